/* codec/js_text.h - the insides of JSON string literals.  Private to codec/. */
#pragma once

#include "base/mem.h"

/* Writes the content of a valid literal (between its quotes) to out, which has room for 3 n bytes
 * (each byte that is no UTF-8 becomes U+FFFD); returns the length. */
size_t js_unescape(const char *p, size_t n, char *out);
/* standard alphabet, padded; in place.  -EINVAL */
int js_base64_decode(char *text, size_t n, size_t *ret_n) _must_check_;
