#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log_journal.h"
#include "base/parse.h"
#include "base/str.h"

enum {
    RECORD_MAX = 8192,
    JOURNAL_MAX = 64 * 1024, /* every value once as a field, once in the message */
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
    struct list taps;
    enum log_level tapped; /* the lowest level of a tap */
    bool in_tap;
} state = {
    .level = LOG_LEVEL_INFO, .journal = -1, .taps = LIST_INIT(state.taps), .tapped = LOG_LEVEL_OFF};

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

static void find_lowest_tap(void)
{
    state.tapped = LOG_LEVEL_OFF;
    list_for_each (t, &state.taps, struct log_tap, link)
        state.tapped = MIN(state.tapped, t->level);
}

void log_tap_add(struct log_tap *t)
{
    list_append(&state.taps, &t->link);
    find_lowest_tap();
}

void log_tap_remove(struct log_tap *t)
{
    list_remove(&t->link);
    find_lowest_tap();
}

uint64_t log_dropped(void)
{
    return state.dropped;
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

static void format_line(struct buf *b, bool json, enum log_level level, int code, const char *msg,
                        const struct log_field *f, size_t n)
{
    char time[GOTIME_TEXT_MAX];
    struct gotime now = gotime_now();
    unsigned ms = now.nsec / 1000000;

    now.nsec = 0;
    gotime_format(now, time); /* ends in Z: the decimals go in front of it, always three */
    (void)snprintf(time + strlen(time) - 1, 6, ".%03uZ", ms % 1000);
    if (json) {
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
        buf_printf(b, json ? ",\"%s\":" : " %s=", key);
        if (i < n && f[i].is_number)
            buf_printf(b, "%lld", (long long)f[i].number);
        else
            add_value(b, text ? text : "", json);
    }
    if (json)
        buf_add_byte(b, '}');
}

/* systemd says which stream it has connected with the journal (systemd.exec(5)): whose standard
 * error was redirected since then is to find the log there */
static bool is_journal(int fd, const char *stream)
{
    _cleanup_free_ char *text = xstrdup(str_or_empty(stream));
    char *colon = strchr(text, ':');
    uint64_t device, inode;
    struct stat st;

    if (!colon)
        return false;
    *colon = 0;
    return parse_u64(text, &device) == 0 && parse_u64(colon + 1, &inode) == 0 &&
           fstat(fd, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static bool to_journal(void)
{
    if (state.journal < 0)
        state.journal = is_journal(STDERR_FILENO, getenv("JOURNAL_STREAM"));
    return state.journal > 0;
}

static void write_journal(enum log_level level, int code, const char *text, const char *file,
                          int line_no, const char *func, const struct log_field *f, size_t n)
{
    _cleanup_buf_ struct buf b = BUF_INIT(JOURNAL_MAX);
    char number[32];

    journal_add(&b, "", "MESSAGE", text);
    (void)snprintf(number, sizeof(number), "%d", levels[level].priority);
    journal_add(&b, "", "PRIORITY", number);
    journal_add(&b, "", "SYSLOG_IDENTIFIER", program_invocation_short_name);
    journal_add(&b, "", "CODE_FILE", file);
    (void)snprintf(number, sizeof(number), "%d", line_no);
    journal_add(&b, "", "CODE_LINE", number);
    journal_add(&b, "", "CODE_FUNC", func);
    if (code < 0) {
        (void)snprintf(number, sizeof(number), "%d", -code);
        journal_add(&b, "", "ERRNO", number);
    }
    for (size_t i = 0; i < n && i < FIELDS_MAX; i++) {
        if (!f[i].key)
            continue;
        if (f[i].is_number)
            (void)snprintf(number, sizeof(number), "%lld", (long long)f[i].number);
        journal_add(&b, "PICKET_", f[i].key, f[i].is_number ? number : f[i].text ? f[i].text : "");
    }
    if (journal_send(&b) < 0)
        state.dropped++;
}

/* the message and fields of a line: the journal has its own time and level */
static const char *after_level(const char *line)
{
    line += strcspn(line, "]");
    return line + strspn(line, "] ");
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

/* both forms are made at most once for a record */
struct lines {
    struct buf form[2]; /* text, JSON */
    bool made[2];
};

struct record {
    enum log_level level;
    int code;
    const char *msg, *file;
    int line;
    const char *func;
    const struct log_field *fields;
    size_t n;
};

static struct buf *line_of(struct lines *l, bool json, const struct record *r)
{
    struct buf *b = &l->form[json];

    if (!l->made[json])
        format_line(b, json, r->level, r->code, r->msg, r->fields, r->n);
    l->made[json] = true;
    return b;
}

static void tell_taps(struct lines *l, const struct record *r)
{
    if (state.in_tap)
        return;
    state.in_tap = true;
    list_for_each (t, &state.taps, struct log_tap, link)
        if (r->level >= t->level)
            t->fn(t->arg, buf_str(line_of(l, t->json, r)));
    state.in_tap = false;
}

static void write_record(struct lines *l, const struct record *r)
{
    struct buf *b = line_of(l, state.json, r);

    if (state.dropped > state.dropped_shown && !state.json) {
        buf_printf(b, " dropped_records=%llu", (unsigned long long)state.dropped);
        state.dropped_shown = state.dropped;
    }
    if (to_journal()) {
        write_journal(r->level, r->code, state.json ? buf_str(b) : after_level(buf_str(b)), r->file,
                      r->line, r->func, r->fields, r->n);
        return;
    }
    b->failed = false; /* too long: cut, but still a line */
    b->max++;
    buf_add_byte(b, '\n');
    if (!write_now(STDERR_FILENO, b->p, b->len))
        state.dropped++;
}

int log_record(enum log_level level, int code, const char *msg, const char *file, int line,
               const char *func, const struct log_field *fields, size_t n)
{
    const struct record r = {level, code, msg, file, line, func, fields, n};
    struct lines l = {
        .form = {BUF_INIT(RECORD_MAX), BUF_INIT(RECORD_MAX)}
    };
    int saved = errno;

    if (level < MIN(state.level, state.tapped))
        return code;
    if (level >= state.tapped)
        tell_taps(&l, &r);
    if (level >= state.level)
        write_record(&l, &r);
    buf_done(&l.form[0]);
    buf_done(&l.form[1]);
    errno = saved;
    return code;
}
