#include "agent/late.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "codec/js.h"

enum {
    FIRED_LATE_MS = 100, /* worth a step when nothing else tells of it */
    STEP_TEXT_MAX = 200,
};

struct late {
    struct late_beat now;               /* the one under way, or what is known of the next */
    struct late_beat ended[LATE_BEATS]; /* a ring */
    size_t n_ended;                     /* of all time */
};

static void step_done(struct late_step *s)
{
    free(s->server);
    free(s->what);
    *s = (struct late_step){0};
}

static void beat_done(struct late_beat *b)
{
    for (size_t i = 0; i < b->n_steps; i++)
        step_done(&b->steps[i]);
    free(b->server);
    *b = (struct late_beat){0};
}

struct late *late_new(void)
{
    return xnew0(struct late);
}

struct late *late_free(struct late *l)
{
    if (!l)
        return NULL;
    beat_done(&l->now);
    for (size_t i = 0; i < LATE_BEATS; i++)
        beat_done(&l->ended[i]);
    return mem_free(l);
}

/* --- keeping --- */

void late_step(struct late *l, const char *server, const char *what, uint64_t took_ns)
{
    struct late_beat *b = &l->now;
    struct late_step *s = b->n_steps ? &b->steps[b->n_steps - 1] : NULL;
    uint64_t now = clock_boot_ns();

    if (s && str_eq(s->server, server) && str_eq(s->what, what)) {
        s->took_ns += took_ns;
        s->times++;
        return;
    }
    if (b->n_steps == LATE_STEPS)
        step_done(&b->steps[--b->n_steps]); /* what came last says most */
    b->steps[b->n_steps++] = (struct late_step){
        .server = server ? xstrdup(server) : NULL,
        .what = xstrndup(what, strnlen(what, STEP_TEXT_MAX)), /* may be what a server said */
        .at_ns = now > took_ns ? now - took_ns : 0,
        .took_ns = took_ns,
        .times = 1,
    };
}

void late_begin(struct late *l, uint64_t due_ns)
{
    if (l->now.fired_ns)
        return;
    l->now.due_ns = due_ns;
    l->now.fired_ns = clock_boot_ns();
    if (l->now.n_steps == 0 && l->now.fired_ns > due_ns + FIRED_LATE_MS * NSEC_PER_MSEC)
        late_step(l, NULL, "begun late", l->now.fired_ns - due_ns);
}

const struct late_beat *late_end(struct late *l, const char *server, uint64_t ttl_ns,
                                 uint64_t limit_ns)
{
    struct late_beat *b = &l->ended[l->n_ended++ % LATE_BEATS];
    uint64_t now = clock_boot_ns();

    beat_done(b);
    *b = l->now;
    l->now = (struct late_beat){0};
    b->done_ns = now;
    b->ttl_ns = ttl_ns;
    b->late_ns = now > limit_ns + LATE_SLACK_MS * NSEC_PER_MSEC ? now - limit_ns : 0;
    b->server = server ? xstrdup(server) : NULL;
    return b;
}

void late_drop(struct late *l)
{
    beat_done(&l->now);
}

const struct late_beat *late_beat(const struct late *l, size_t n)
{
    if (n >= l->n_ended || n >= LATE_BEATS)
        return NULL;
    return &l->ended[(l->n_ended - 1 - n) % LATE_BEATS];
}

/* --- telling --- */

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NSEC_PER_SEC;
}

char *late_step_text(const struct late_step *s)
{
    _cleanup_free_ char *times = s->times > 1 ? xasprintf(", %u times", s->times) : xstrdup("");

    return xasprintf("%s%s%s%s %.1f s", s->server ? s->server : "", s->server ? " " : "", s->what,
                     times, seconds(s->took_ns));
}

void late_explain(const struct late_beat *b, struct strmap *ret)
{
    strmap_setf(ret, "late", "%.1f s", seconds(b->late_ns));
    strmap_setf(ret, "ttl", "%.1f s", seconds(b->ttl_ns));
    if (b->server)
        strmap_set(ret, "server", b->server);
    for (size_t i = 0; i < b->n_steps; i++) {
        _cleanup_free_ char *text = late_step_text(&b->steps[i]);
        _cleanup_free_ char *key = xasprintf("step_%02zu", i + 1);

        strmap_set(ret, key, text);
    }
}

static void beat_json(const struct late_beat *b, struct buf *out)
{
    char due[GOTIME_TEXT_MAX];

    gotime_format(gotime_from_unix_ns(clock_wall_of(b->due_ns)), due);
    buf_add_str(out, "{\"Due\":");
    js_str(out, due);
    buf_printf(out,
               ",\"LateMs\":%llu,\"Server\":", (unsigned long long)(b->late_ns / NSEC_PER_MSEC));
    js_str(out, str_or_empty(b->server));
    buf_add_str(out, ",\"Steps\":[");
    for (size_t i = 0; i < b->n_steps; i++) {
        _cleanup_free_ char *text = late_step_text(&b->steps[i]);

        if (i)
            buf_add_byte(out, ',');
        js_str(out, text);
    }
    buf_printf(out, "],\"TookMs\":%llu}",
               (unsigned long long)((b->done_ns - b->due_ns) / NSEC_PER_MSEC));
}

void late_json(const struct late *l, struct buf *b)
{
    const struct late_beat *beat;

    buf_add_byte(b, '[');
    for (size_t i = 0; (beat = late_beat(l, i)); i++) {
        if (i)
            buf_add_byte(b, ',');
        beat_json(beat, b);
    }
    buf_add_byte(b, ']');
}
