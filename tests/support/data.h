/* tests/support/data.h - files below tests/data, and bytes written as hex. */
#pragma once

#include "base/buf.h"

/* the whole file tests/data/<name>; ends the test when it cannot be read.  Owned by the caller. */
char *data_read(const char *name, size_t *ret_n);
/* "82 a3 4e" as bytes; blanks are skipped.  Owned by the caller. */
uint8_t *data_hex(const char *hex, size_t *ret_n);
/* bytes as "82a34e".  Owned by the caller. */
char *data_to_hex(const void *p, size_t n);
