/* tests/support/golden.h - recordings as text: lines "= name", "word value", "> hex", "< hex".
 *
 * '#' begins a comment line.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "tests/support/check.h"

/* calls fn for every line that has a word and a value; the value is cut at the line's end */
static inline void golden_each(const char *path,
                               void (*fn)(void *arg, const char *word, char *value), void *arg)
{
    char *text, *line, *next, *value;
    size_t len;

    if (file_read(path, 16 << 20, &text, &len) < 0)
        fail_msg("cannot read %s", path);
    for (line = text; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        value = strchr(line, ' ');
        if (line[0] == '#' || !value)
            continue;
        *value++ = 0;
        fn(arg, line, value);
    }
    free(text);
}

/* hex digits to bytes, appended */
static inline void golden_bytes(struct buf *b, const char *hex)
{
    unsigned v;

    for (; hex[0] && hex[1]; hex += 2) {
        assert_int_equal(sscanf(hex, "%2x", &v), 1);
        buf_add_byte(b, (uint8_t)v);
    }
}
