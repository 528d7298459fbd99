#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum {
    RECORD_MAX = 8192,
    RING_SIZE = 256 * 1024,
    FIELDS_MAX = 24,
};

static const struct {
    const char *name;
    const char *padded;
    const char *lower;
    int priority; /* of syslog(3) */
} levels[] = {
    [LOG_LEVEL_TRACE] = {"TRACE", "[TRACE]", "trace", 7},
    [LOG_LEVEL_DEBUG] = {"DEBUG", "[DEBUG]", "debug", 7},
    [LOG_LEVEL_INFO] = {"INFO",  "[INFO] ", "info",  6},
    [LOG_LEVEL_WARN] = {"WARN",  "[WARN] ", "warn",  4},
    [LOG_LEVEL_ERROR] = {"ERROR", "[ERROR]", "error", 3},
    [LOG_LEVEL_OFF] = {"OFF",   "[OFF]  ", "off",   0},
};

static struct {
    enum log_level level;
    bool json;
    int journal; /* -1 = not looked yet */
    uint64_t dropped, dropped_shown;
    char *ring; /* owned; made by the first record */
    size_t ring_at, ring_len;
    void (*tap)(void *arg, enum log_level level, const char *line);
    void *tap_arg;
} state = {.level = LOG_LEVEL_INFO, .journal = -1};

void log_set_level(enum log_level level)
{
    state.level = level;
}

enum log_level log_get_level(void)
{
    return state.level;
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

int log_level_parse(const char *s, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strcasecmp(s, levels[i].name) == 0)
            return *ret = (enum log_level)i, 0;
    return -EINVAL;
}

void log_set_json(bool on)
{
    state.json = on;
}

void log_set_tap(void (*fn)(void *arg, enum log_level level, const char *line), void *arg)
{
    state.tap = fn;
    state.tap_arg = arg;
}

uint64_t log_dropped(void)
{
    return state.dropped;
}

static void ring_add(const char *p, size_t n)
{
    if (!state.ring)
        state.ring = xcalloc(RING_SIZE, 1);
    for (size_t i = 0; i < n; i++) {
        state.ring[state.ring_at] = p[i];
        state.ring_at = (state.ring_at + 1) % RING_SIZE;
    }
    state.ring_len = MIN(state.ring_len + n, (size_t)RING_SIZE);
}

char *log_ring_text(void)
{
    size_t start = (state.ring_at + RING_SIZE - state.ring_len) % RING_SIZE;
    char *text = xcalloc(state.ring_len + 1, 1), *whole;

    for (size_t i = 0; i < state.ring_len; i++)
        text[i] = state.ring[(start + i) % RING_SIZE];
    if (state.ring_len < RING_SIZE)
        return text;
    whole = strchr(text, '\n'); /* the first line is cut */
    memmove(text, whole ? whole + 1 : "", whole ? strlen(whole + 1) + 1 : 1);
    return text;
}

/* values with blanks, quotes or control characters are quoted */
static void add_value(struct buf *b, const char *s, bool quote)
{
    if (!quote) {
        quote = !*s;
        for (const char *p = s; *p; p++)
            quote |= *p == ' ' || *p == '"' || *p == '=' || iscntrl((unsigned char)*p);
    }
    if (!quote) {
        buf_add_str(b, s);
        return;
    }
    buf_add_byte(b, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_printf(b, "\\%c", *s);
        else if (*s == '\n')
            buf_add_str(b, "\\n");
        else if (iscntrl((unsigned char)*s))
            buf_printf(b, "\\u%04x", (unsigned)(unsigned char)*s);
        else
            buf_add_byte(b, (uint8_t)*s);
    }
    buf_add_byte(b, '"');
}

static void format_line(struct buf *b, enum log_level level, int code, const char *msg,
                        const struct log_field *f, size_t n)
{
    char time[GOTIME_TEXT_MAX];
    struct gotime now = gotime_now();
    unsigned ms = now.nsec / 1000000;

    now.nsec = 0;
    gotime_format(now, time); /* ends in Z: the decimals go in front of it, always three */
    (void)snprintf(time + strlen(time) - 1, 6, ".%03uZ", ms % 1000);
    if (state.json) {
        buf_printf(b, "{\"@level\":\"%s\",\"@message\":", levels[level].lower);
        add_value(b, msg, true);
        buf_printf(b, ",\"@timestamp\":\"%s\"", time);
    } else {
        buf_printf(b, "%s %s %s", time, levels[level].padded, msg);
    }
    for (size_t i = 0; i <= n; i++) {
        const char *key = i < n ? f[i].key : "errno", *text = i < n ? f[i].text : NULL;

        if (i == n && code < 0)
            text = strerror(-code);
        if (!key || (i == n && code >= 0))
            continue;
        buf_printf(b, state.json ? ",\"%s\":" : " %s=", key);
        if (i < n && f[i].is_number)
            buf_printf(b, "%lld", (long long)f[i].number);
        else
            add_value(b, text ? text : "", state.json);
    }
    if (state.json)
        buf_add_byte(b, '}');
}

static bool to_journal(void)
{
    if (state.journal < 0)
        state.journal = getenv("JOURNAL_STREAM") && !isatty(STDERR_FILENO);
    return state.journal > 0;
}

static void write_journal(enum log_level level, int code, const char *line, const char *file,
                          int line_no, const char *func, const struct log_field *f, size_t n)
{
    struct iovec v[FIELDS_MAX + 6];
    char *owned[FIELDS_MAX + 6];
    size_t k = 0;

    owned[k++] = xasprintf("MESSAGE=%s", line);
    owned[k++] = xasprintf("PRIORITY=%d", levels[level].priority);
    owned[k++] = xasprintf("CODE_FILE=%s", file);
    owned[k++] = xasprintf("CODE_LINE=%d", line_no);
    owned[k++] = xasprintf("CODE_FUNC=%s", func);
    if (code < 0)
        owned[k++] = xasprintf("ERRNO=%d", -code);
    for (size_t i = 0; i < n && k < ARRAY_LEN(owned); i++) {
        char *p;

        if (!f[i].key)
            continue;
        p = f[i].is_number ? xasprintf("PICKET_%s=%lld", f[i].key, (long long)f[i].number)
                           : xasprintf("PICKET_%s=%s", f[i].key, f[i].text ? f[i].text : "");
        for (char *c = p; *c && *c != '='; c++)
            *c = *c == '-' || *c == '.' ? '_' : (char)toupper((unsigned char)*c);
        owned[k++] = p;
    }
    for (size_t i = 0; i < k; i++)
        v[i] = (struct iovec){owned[i], strlen(owned[i])};
    if (sd_journal_sendv(v, (int)k) < 0)
        state.dropped++;
    for (size_t i = 0; i < k; i++)
        free(owned[i]);
}

/* Writes all of it or says no, without ever waiting: a pipe that has room takes PIPE_BUF bytes at
 * once.  The descriptor is shared with others, so it must not be made non-blocking. */
static bool write_now(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
        ssize_t done;

        if (poll(&poll_fd, 1, 0) != 1 || !(poll_fd.revents & POLLOUT))
            return false;
        done = write(fd, p, MIN(n, (size_t)PIPE_BUF));
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

int log_record(enum log_level level, int code, const char *msg, const char *file, int line,
               const char *func, const struct log_field *fields, size_t n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RECORD_MAX);
    int saved = errno;

    if (level < state.level)
        return code;
    format_line(&b, level, code, msg, fields, n);
    if (state.dropped > state.dropped_shown && !state.json) {
        buf_printf(&b, " dropped_records=%llu", (unsigned long long)state.dropped);
        state.dropped_shown = state.dropped;
    }
    if (state.tap)
        state.tap(state.tap_arg, level, buf_str(&b));
    if (to_journal()) {
        /* the journal has its own time and level: only message and fields of the line */
        write_journal(level, code,
                      state.json ? buf_str(&b) : buf_str(&b) + strcspn(buf_str(&b), "]") + 1, file,
                      line, func, fields, n);
    }
    b.failed = false; /* too long: cut, but still a line */
    b.max++;
    buf_add_byte(&b, '\n');
    ring_add(buf_str(&b), b.len);
    if (!to_journal() && !write_now(STDERR_FILENO, b.p, b.len))
        state.dropped++;
    errno = saved;
    return code;
}
