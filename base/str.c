#include "base/str.h"

#include <ctype.h>
#include <string.h>

#include "base/vec.h"

bool str_eq(const char *a, const char *b)
{
    return strcmp(str_or_empty(a), str_or_empty(b)) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);

    return n >= k && memcmp(s + n - k, suffix, k) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

char *str_trim(char *s)
{
    size_t n;

    while (is_blank(*s))
        s++;
    n = strlen(s);
    while (n > 0 && is_blank(s[n - 1]))
        s[--n] = 0;
    return s;
}

char *str_lower(char *s)
{
    for (char *p = s; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
    return s;
}

/* length of the UTF-8 sequence at s, 0 when it is none; *ret_min is the smallest code point that
 * may be written with that length */
static size_t utf8_sequence(uint8_t lead, uint32_t *ret_bits, uint32_t *ret_min)
{
    if (lead < 0x80)
        return *ret_bits = lead, *ret_min = 0, 1;
    if ((lead & 0xe0) == 0xc0)
        return *ret_bits = lead & 0x1f, *ret_min = 0x80, 2;
    if ((lead & 0xf0) == 0xe0)
        return *ret_bits = lead & 0x0f, *ret_min = 0x800, 3;
    if ((lead & 0xf8) == 0xf0)
        return *ret_bits = lead & 0x07, *ret_min = 0x10000, 4;
    return 0;
}

bool str_utf8_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t code, min;
        size_t len = utf8_sequence((uint8_t)s[i], &code, &min);

        if (len == 0 || len > n - i)
            return false;
        for (size_t k = 1; k < len; k++) {
            uint8_t c = (uint8_t)s[i + k];

            if ((c & 0xc0) != 0x80)
                return false;
            code = code << 6 | (c & 0x3f);
        }
        if (code < min || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += len;
    }
    return true;
}

void strv_add(char ***v, size_t *n, const char *s)
{
    char *copy = xstrdup(str_or_empty(s));

    *vec_add(v, n) = copy;
}

void strv_done(char ***v, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        free((*v)[i]);
    free(*v);
    *v = NULL;
    *n = 0;
}

void strv_split(const char *s, const char *seps, char ***ret, size_t *ret_n)
{
    while (*s) {
        size_t n = strcspn(s, seps);
        _cleanup_free_ char *item = xstrndup(s, n);
        char *text = str_trim(item);

        if (*text)
            strv_add(ret, ret_n, text);
        s += n;
        if (*s)
            s++;
    }
}

bool strv_has(char *const *v, size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i], s))
            return true;
    return false;
}

enum { NEAREST_LEN_MAX = 64 };

/* Levenshtein distance of two short words, letters compared without case */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[NEAREST_LEN_MAX + 1], na = strlen(a), nb = strlen(b);

    if (na > NEAREST_LEN_MAX || nb > NEAREST_LEN_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t best = diagonal + !same;

            diagonal = row[j];
            best = MIN(best, row[j] + 1);
            best = MIN(best, row[j - 1] + 1);
            row[j] = best;
        }
    }
    return row[nb];
}

const char *str_nearest(const char *s, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t best_distance = strlen(s) / 3 + 1; /* one typing error in three letters */

    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(s, candidates[i]);

        if (d < best_distance || (d == best_distance && !best)) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}
