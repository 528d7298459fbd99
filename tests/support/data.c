#include "tests/support/data.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

char *data_read(const char *name, size_t *ret_n)
{
    _cleanup_free_ char *path = xasprintf("tests/data/%s", name);
    char *text;

    if (file_read(path, 16 * 1024 * 1024, &text, ret_n) < 0) {
        (void)fprintf(stderr, "cannot read %s\n", path);
        abort();
    }
    return text;
}

static unsigned digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = strchr(digits, c);

    if (!p)
        abort();
    return (unsigned)(p - digits);
}

uint8_t *data_hex(const char *hex, size_t *ret_n)
{
    uint8_t *p = xcalloc(strlen(hex) / 2 + 1, 1);
    size_t n = 0;

    for (; *hex; hex++) {
        if (*hex == ' ')
            continue;
        p[n / 2] = (uint8_t)(p[n / 2] << 4 | digit(*hex));
        n++;
    }
    *ret_n = n / 2;
    return p;
}

char *data_to_hex(const void *p, size_t n)
{
    struct buf b = BUF_INIT(2 * n + 1);

    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%02x", ((const uint8_t *)p)[i]);
    return (char *)buf_take(&b, NULL);
}
