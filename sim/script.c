#include "sim/script.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"

enum takes {
    TAKES_COUNT = 1 << 0,
    TAKES_PERCENT = 1 << 1, /* and "all" */
    TAKES_RATE = 1 << 2,    /* "1%/min" */
    TAKES_OVER = 1 << 3,
    TAKES_FOR = 1 << 4,
    TAKES_EVERY = 1 << 5, /* must be there */
};

static const struct {
    const char *name;
    unsigned takes;
    const char *usage;
} verbs[STEP_MAX] = {
    [STEP_JOIN] = {"join",      TAKES_COUNT | TAKES_OVER,                              "join N [over TIME]"},
    [STEP_LEAVE] = {"leave",     TAKES_COUNT | TAKES_PERCENT | TAKES_OVER,
                   "leave N|P%|all [over TIME]"                                                            },
    [STEP_DROP] = {"drop",      TAKES_COUNT | TAKES_PERCENT | TAKES_OVER | TAKES_FOR,
                   "drop N|P%|all [over TIME] [for TIME]"                                                  },
    [STEP_RESTART] = {"restart",   TAKES_COUNT | TAKES_PERCENT | TAKES_OVER,
                   "restart N|P%|all [over TIME]"                                                          },
    [STEP_FLAP] = {"flap",      TAKES_COUNT | TAKES_PERCENT | TAKES_FOR | TAKES_EVERY,
                   "flap N|P%|all every TIME [for TIME]"                                                   },
    [STEP_PARTITION] = {"partition", TAKES_COUNT | TAKES_PERCENT | TAKES_OVER | TAKES_FOR,
                   "partition N|P%|all [over TIME] [for TIME]"                                             },
    [STEP_CHURN] = {"churn",     TAKES_COUNT | TAKES_PERCENT | TAKES_RATE | TAKES_FOR,
                   "churn N|P%/s|min|h [for TIME]"                                                         },
    [STEP_STEADY] = {"steady",    0,                                                     "steady"            },
    [STEP_STATUS] = {"status",    0,                                                     "status"            },
    [STEP_END] = {"end",       0,                                                     "end"               },
};

const char *step_verb_name(enum step_verb v)
{
    return verbs[v].name;
}

/* --- words --- */

static int usage(enum step_verb v, struct err *e, const char *what, const char *word)
{
    return err_set(e, -EINVAL, "%s \"%s\": the step is: %s", what, word, verbs[v].usage);
}

static int parse_time(const char *s, uint64_t *ret)
{
    int64_t ns;

    if (parse_duration(s, &ns) < 0 || ns < 0)
        return -EINVAL;
    *ret = (uint64_t)ns;
    return 0;
}

static int find_verb(const char *word, enum step_verb *ret, struct err *e)
{
    const char *names[STEP_MAX], *near;

    for (size_t i = 0; i < STEP_MAX; i++) {
        names[i] = verbs[i].name;
        if (str_eq(word, names[i])) {
            *ret = (enum step_verb)i;
            return 0;
        }
    }
    near = str_nearest(word, names, STEP_MAX);
    return err_set(e, -EINVAL, "there is no step \"%s\"%s%s%s", word,
                   near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static int parse_rate(char *word, uint64_t *ret_per_ns)
{
    static const struct {
        const char *unit;
        uint64_t sec;
    } units[] = {
        {"s",   1   },
        {"min", 60  },
        {"m",   60  },
        {"h",   3600},
    };
    char *slash = strchr(word, '/');

    if (!slash)
        return -EINVAL;
    *slash = '\0';
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(slash + 1, units[i].unit)) {
            *ret_per_ns = units[i].sec * NSEC_PER_SEC;
            return 0;
        }
    return -EINVAL;
}

static int parse_count(const char *word, unsigned takes, struct step *s)
{
    size_t n = strlen(word);
    _cleanup_free_ char *number = xstrdup(word);

    if (str_eq(word, "all") && (takes & TAKES_PERCENT)) {
        s->percent = true;
        s->count = 100;
        return 0;
    }
    if (n > 1 && word[n - 1] == '%' && (takes & TAKES_PERCENT)) {
        number[n - 1] = '\0';
        s->percent = true;
        return parse_f64(number, &s->count) < 0 || s->count < 0 || s->count > 100 ? -EINVAL : 0;
    }
    if (takes & TAKES_RATE)
        return parse_f64(word, &s->count) < 0 || s->count < 0 || s->count > SIM_AGENTS_MAX ? -EINVAL
                                                                                           : 0;
    uint64_t whole;

    if (parse_u64(word, &whole) < 0 || whole > SIM_AGENTS_MAX)
        return -EINVAL;
    s->count = (double)whole;
    return 0;
}

/* "over 30s" and the like, in any order */
static int parse_option(char *const *words, size_t n, struct step *s, struct err *e)
{
    unsigned takes = verbs[s->verb].takes;
    uint64_t *where = NULL;

    if (str_eq(words[0], "over") && (takes & TAKES_OVER))
        where = &s->over_ns;
    else if (str_eq(words[0], "for") && (takes & TAKES_FOR))
        where = &s->for_ns;
    else if (str_eq(words[0], "every") && (takes & TAKES_EVERY))
        where = &s->every_ns;
    if (!where)
        return usage(s->verb, e, "unexpected", words[0]);
    if (n < 2 || parse_time(words[1], where) < 0)
        return usage(s->verb, e, "no time behind", words[0]);
    if (where != &s->over_ns && *where == 0)
        return usage(s->verb, e, "a time above zero is expected behind", words[0]);
    return 0;
}

static int parse_words(char **words, size_t n, struct step *s, struct err *e)
{
    size_t i = 0;
    int r;

    if (n > 1 && words[0][0] >= '0' && words[0][0] <= '9') {
        if (parse_time(words[0], &s->at_ns) < 0)
            return err_set(e, -EINVAL, "\"%s\" is no time: 30s, 2m, 1h30m", words[0]);
        s->has_time = true;
        i = 1;
    }
    r = find_verb(words[i++], &s->verb, e);
    if (r < 0)
        return r;
    if (verbs[s->verb].takes & TAKES_COUNT) {
        if (i >= n)
            return usage(s->verb, e, "how many is missing behind", words[i - 1]);
        if ((verbs[s->verb].takes & TAKES_RATE) && parse_rate(words[i], &s->per_ns) < 0)
            return usage(s->verb, e, "no rate:", words[i]);
        if (parse_count(words[i], verbs[s->verb].takes, s) < 0)
            return usage(s->verb, e, "no number of agents:", words[i]);
        i++;
    }
    for (; r == 0 && i < n; i += 2)
        r = parse_option(words + i, n - i, s, e);
    if (r == 0 && (verbs[s->verb].takes & TAKES_EVERY) && s->every_ns == 0)
        return usage(s->verb, e, "no \"every\" in", verbs[s->verb].name);
    return r;
}

int step_parse(const char *line, struct step *ret, struct err *e)
{
    _cleanup_free_ char *text = xstrndup(line, strcspn(line, "#"));
    struct step s = {0};
    char **words = NULL;
    size_t n = 0;
    int r;

    if (strlen(line) > SIM_LINE_MAX)
        return err_set(e, -EINVAL, "the line is longer than %zu bytes", SIM_LINE_MAX);
    strv_split(text, " \t\r\n", &words, &n);
    r = n == 0 ? 1 : parse_words(words, n, &s, e);
    strv_done(&words, &n);
    if (r == 0)
        *ret = s;
    return r;
}

int script_parse(const char *name, const char *text, struct script *ret, struct err *e)
{
    struct script s = {0};
    uint64_t last_ns = 0;
    int r = 0;

    for (size_t line = 1; r >= 0 && *text; line++) {
        size_t n = strcspn(text, "\n");
        _cleanup_free_ char *one = xstrndup(text, n);
        struct step step = {0};

        text += n + (text[n] == '\n');
        r = step_parse(one, &step, e);
        if (r == 0 && !step.has_time)
            step.at_ns = last_ns;
        if (r == 0 && step.at_ns < last_ns)
            r = err_set(e, -EINVAL, "the step is earlier than the one above");
        if (r == 0 && s.n >= SIM_STEPS_MAX)
            r = err_set(e, -EINVAL, "more than %d steps", SIM_STEPS_MAX);
        if (r < 0)
            r = err_wrap(e, r, "%s:%zu", name, line);
        if (r != 0)
            continue;
        last_ns = step.at_ns;
        *vec_add(&s.steps, &s.n) = step;
    }
    if (r < 0) {
        script_done(&s);
        return r;
    }
    *ret = s;
    return 0;
}

void script_done(struct script *s)
{
    s->steps = mem_free(s->steps);
    s->n = 0;
}
