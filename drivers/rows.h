/* drivers/rows.h - the drivers, one per file; drivers.c puts them in order. */
#pragma once

#include "drivers/driver.h"

extern const struct driver driver_docker;
extern const struct driver driver_raw_exec;
