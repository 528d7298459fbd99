/* api/url.h - percent coding and path cleaning as Go's net/url and net/http do it.
 *
 * Depends on: base/.
 */
#pragma once

#include "base/buf.h"

/* Decodes in place.  plus: '+' is a blank (query strings).  -EINVAL: a % without two hex digits, or
 * one that gives NUL. */
int url_decode(char *s, bool plus) _must_check_;
/* Go's path.Clean for request paths: no "//", "/./", "/../"; a slash at the end stays.  Appends the
 * result; path begins with '/'. */
void url_clean_path(struct buf *b, const char *path);
/* appends a path with everything escaped that may not stand in one */
void url_encode_path(struct buf *b, const char *path);
/* Walks over "a=1&b": decodes key and value in place and moves *at on.  Pairs with bad escapes or
 * ';' are left out, as in Go.  false at the end; value is "" when there is no '='. */
bool url_next_pair(char **at, const char **ret_key, const char **ret_value);
