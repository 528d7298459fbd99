/* api/quote.h - text in quotes as Go's %q prints it, for messages that repeat what was sent. */
#pragma once

#include "base/mem.h"

/* writes at most n bytes, cut where it does not fit */
void quote_go(const char *s, char *ret, size_t n);
