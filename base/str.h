/* base/str.h - questions about text, and lists of strings. */
#pragma once

#include "base/mem.h"

static inline bool str_empty(const char *s)
{
    return !s || !*s;
}
/* NULL counts as "" */
bool str_eq(const char *a, const char *b);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* s, or "" for NULL */
static inline const char *str_or_empty(const char *s)
{
    return s ? s : "";
}
/* cuts blanks (space, tab, CR, LF) at both ends in place; returns the first character kept */
char *str_trim(char *s);
/* ASCII lower case in place; returns s */
char *str_lower(char *s);
/* whether n bytes are valid UTF-8 (no surrogates, no overlong forms) */
bool str_utf8_valid(const char *s, size_t n);

/* a list of owned strings, as descriptor tables hold it: pointer and count, NULL = nil */
void strv_add(char ***v, size_t *n, const char *s);
void strv_done(char ***v, size_t *n);
/* splits at any character of seps, trims items, leaves empty ones out */
void strv_split(const char *s, const char *seps, char ***ret, size_t *ret_n);
bool strv_has(char *const *v, size_t n, const char *s);

/* the string among n candidates that is nearest to s by edit distance, or NULL when none is near
 * enough to be a likely typing error */
const char *str_nearest(const char *s, const char *const *candidates, size_t n);
