#include "base/parse.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/vec.h"

int parse_hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* digits of the given base up to a NUL, as an unsigned number */
static int parse_digits(const char *s, unsigned base, uint64_t *ret)
{
    uint64_t v = 0;

    if (!*s)
        return -EINVAL;
    for (; *s; s++) {
        int d = parse_hex_digit(*s);

        if (d < 0 || (unsigned)d >= base)
            return -EINVAL;
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)d, &v))
            return -ERANGE;
    }
    *ret = v;
    return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
    return parse_digits(s, 10, ret);
}

static int apply_sign(bool negative, uint64_t v, int64_t *ret)
{
    if (v > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

static bool take_sign(const char **s)
{
    bool negative = **s == '-';

    if (**s == '-' || **s == '+')
        (*s)++;
    return negative;
}

int parse_i64(const char *s, int64_t *ret)
{
    bool negative = take_sign(&s);
    uint64_t v;
    int r = parse_digits(s, 10, &v);

    return r < 0 ? r : apply_sign(negative, v, ret);
}

int parse_i64_base0(const char *s, int64_t *ret)
{
    bool negative = take_sign(&s);
    unsigned base = 10;
    uint64_t v;
    int r;

    if (s[0] == '0' && s[1]) {
        char c = (char)(s[1] | 0x20);

        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        s += c == 'x' || c == 'b' || c == 'o' ? 2 : 1;
    }
    r = parse_digits(s, base, &v);
    return r < 0 ? r : apply_sign(negative, v, ret);
}

int parse_f64(const char *s, double *ret)
{
    char *end;
    double v;

    if (!*s || s[strspn(s, "+-.0123456789eE")])
        return -EINVAL;
    errno = 0;
    v = strtod(s, &end);
    if (*end || end == s)
        return -EINVAL;
    if (!isfinite(v))
        return -ERANGE;
    *ret = v;
    return 0;
}

int parse_bool(const char *s, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(s, yes[i]) == 0)
            return *ret = true, 0;
        if (strcmp(s, no[i]) == 0)
            return *ret = false, 0;
    }
    return -EINVAL;
}

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    {"ns",        1                  },
    {"us",        1000               },
    {"\xc2\xb5s", 1000               }, /* micro sign */
    {"\xce\xbcs", 1000               }, /* Greek mu */
    {"ms",        1000000            },
    {"s",         NSEC_PER_SEC       },
    {"m",         60 * NSEC_PER_SEC  },
    {"h",         3600 * NSEC_PER_SEC},
};

/* one "number unit" pair at *s; adds it to *total */
static int duration_part(const char **s, uint64_t *total)
{
    uint64_t whole = 0, unit = 0, part;
    double fraction = 0, scale = 1;
    const char *start = *s, *u;
    size_t len;

    for (; **s >= '0' && **s <= '9'; (*s)++)
        if (__builtin_mul_overflow(whole, UINT64_C(10), &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(**s - '0'), &whole))
            return -ERANGE;
    if (**s == '.') {
        const char *dot = (*s)++;

        for (; **s >= '0' && **s <= '9'; (*s)++) {
            scale *= 10;
            fraction = fraction * 10 + (**s - '0');
        }
        if (*s == dot + 1 && dot == start)
            return -EINVAL;
    }
    if (*s == start)
        return -EINVAL;
    u = *s;
    len = strcspn(u, ".0123456789");
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strlen(units[i].name) == len && strncmp(units[i].name, u, len) == 0)
            unit = units[i].ns;
    if (unit == 0)
        return -EINVAL;
    *s += len;
    if (__builtin_mul_overflow(whole, unit, &part) ||
        __builtin_add_overflow(part, (uint64_t)(fraction * ((double)unit / scale)), &part) ||
        __builtin_add_overflow(*total, part, total))
        return -ERANGE;
    return 0;
}

int parse_duration(const char *s, int64_t *ret_ns)
{
    bool negative = take_sign(&s);
    uint64_t total = 0;

    if (strcmp(s, "0") == 0)
        return *ret_ns = 0, 0;
    if (!*s)
        return -EINVAL;
    while (*s) {
        int r = duration_part(&s, &total);

        if (r < 0)
            return r;
    }
    return apply_sign(negative, total, ret_ns);
}

/* seconds with up to nine decimals, trailing zeros cut */
static char *format_fraction(uint64_t v, uint64_t unit, const char *name)
{
    char digits[24] = "";
    uint64_t rest = v % unit;
    size_t n = 0;

    for (uint64_t u = unit; u >= 10 && rest > 0;) {
        u /= 10;
        digits[n++] = (char)('0' + rest / u);
        rest %= u;
    }
    return xasprintf("%llu%s%s%s", (unsigned long long)(v / unit), n ? "." : "", digits, name);
}

char *format_duration(int64_t ns)
{
    uint64_t v = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, hours, minutes;
    _cleanup_free_ char *tail = NULL;
    const char *sign = ns < 0 ? "-" : "";

    if (v == 0)
        return xstrdup("0s");
    if (v < 1000)
        tail = format_fraction(v, 1, "ns");
    else if (v < 1000000)
        tail = format_fraction(v, 1000, "\xc2\xb5s");
    else if (v < NSEC_PER_SEC)
        tail = format_fraction(v, 1000000, "ms");
    else
        tail = format_fraction(v % (60 * NSEC_PER_SEC), NSEC_PER_SEC, "s");
    hours = v / (3600 * NSEC_PER_SEC);
    minutes = v / (60 * NSEC_PER_SEC) % 60;
    if (hours)
        return xasprintf("%s%lluh%llum%s", sign, (unsigned long long)hours,
                         (unsigned long long)minutes, tail);
    if (minutes)
        return xasprintf("%s%llum%s", sign, (unsigned long long)minutes, tail);
    return xasprintf("%s%s", sign, tail);
}

static int compare_u16(const void *a, const void *b)
{
    return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

int parse_cpulist(const char *s, size_t max, uint16_t **ret, size_t *ret_n)
{
    _cleanup_free_ uint16_t *v = NULL;
    size_t n = 0, kept = 0;

    while (*s) {
        _cleanup_free_ char *item = xstrndup(s, strcspn(s, ","));
        char *dash = strchr(item, '-');
        uint64_t from, to;

        if (dash)
            *dash = 0;
        if (parse_u64(item, &from) < 0 || (dash && parse_u64(dash + 1, &to) < 0))
            return -EINVAL;
        if (!dash)
            to = from;
        if (to < from)
            return -EINVAL;
        if (to > UINT16_MAX || to - from >= max || n > max - (size_t)(to - from) - 1)
            return -ERANGE;
        for (uint64_t i = from; i <= to; i++)
            *vec_add(&v, &n) = (uint16_t)i;
        s += strcspn(s, ",");
        if (*s == ',' && !*++s)
            return -EINVAL;
    }
    if (n > 0)
        qsort(v, n, sizeof(*v), compare_u16);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || v[kept - 1] != v[i])
            v[kept++] = v[i];
    *ret = steal_ptr(&v);
    *ret_n = kept;
    return 0;
}
