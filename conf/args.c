#include "conf/args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "codec/ops.h"
#include "conf/load.h"
#include "conf/usage.h"

struct given_flag {
    const struct conf_key *key;
    char *value; /* owned */
};

struct conf_args {
    unsigned role;
    char **paths;
    size_t n_paths;
    struct given_flag *flags;
    size_t n_flags;
    bool dev, check, version, help;
};

struct conf_args *conf_args_free(struct conf_args *args)
{
    if (!args)
        return NULL;
    for (size_t i = 0; i < args->n_flags; i++)
        free(args->flags[i].value);
    free(args->flags);
    strv_done(&args->paths, &args->n_paths);
    free(args);
    return NULL;
}

/* one flag being read */
struct flag {
    const char *name;  /* without dashes and value; owned by the caller */
    const char *value; /* behind "=", or NULL */
};

static bool is_switch(const struct conf_key *k)
{
    return k->type == K_BOOL || k->type == K_BOOLP;
}

static int take_switch(const struct flag *f, bool *ret, struct err *e)
{
    if (!f->value) {
        *ret = true;
        return 0;
    }
    if (parse_bool(f->value, ret) < 0)
        return err_set(e, -EINVAL, "invalid boolean value \"%.60s\" for -%s: parse error", f->value,
                       f->name);
    return 0;
}

/* the switches that are no keys; 1 = it was none of them */
static int take_own(struct conf_args *a, const struct flag *f, struct err *e)
{
    if (strcmp(f->name, "dev") == 0)
        return take_switch(f, &a->dev, e);
    if (strcmp(f->name, "check") == 0)
        return take_switch(f, &a->check, e);
    if (strcmp(f->name, "version") == 0 || strcmp(f->name, "v") == 0)
        return take_switch(f, &a->version, e);
    if (strcmp(f->name, "help") == 0 || strcmp(f->name, "h") == 0)
        return take_switch(f, &a->help, e);
    return 1;
}

/* whether the value fits the key, in the words of Go's flag package */
static int check_value(const struct conf_key *k, const struct flag *f, const char *value,
                       struct err *e)
{
    struct setting s = {0};
    struct err why = {0};
    bool on;
    int r;

    if (is_switch(k))
        return take_switch(f, &on, e);
    if (k->type == K_MAP)
        return strchr(value, '=')
                   ? 0
                   : err_set(e, -EINVAL, "Error parsing Client.Meta value: %.80s", value);
    r = setting_from_text(k, value, &s, &why);
    setting_done(&s);
    if (r < 0)
        return err_set(e, -EINVAL, "invalid value \"%.60s\" for flag -%s: parse error (%s)", value,
                       f->name, why.text);
    return 0;
}

static int take_key(struct conf_args *a, const struct flag *f, const char *value, struct err *e)
{
    const struct conf_key *k = key_by_flag(f->name);
    int r = check_value(k, f, value, e);

    if (r < 0)
        return r;
    *vec_add(&a->flags, &a->n_flags) = (struct given_flag){k, xstrdup(value)};
    return 0;
}

static int check_known(unsigned role, const struct flag *f, struct err *e)
{
    const char *names[KEY_CHILDREN_MAX] = {"config", "check", "dev", "version", "help"}, *nearest;
    const struct conf_key *k = key_by_flag(f->name);
    size_t n = 5;

    if (k && !(k->roles & role))
        return err_set(e, -EINVAL, "-%s is a flag of %s, not of %s", f->name,
                       conf_program(k->roles), conf_program(role));
    if (k || strcmp(f->name, "config") == 0)
        return 0;
    for (size_t i = 0; i < n_conf_keys && n < KEY_CHILDREN_MAX; i++)
        if (conf_keys[i].flag && (conf_keys[i].roles & role))
            names[n++] = conf_keys[i].flag;
    nearest = str_nearest(f->name, names, n);
    return err_set(e, -EINVAL, "flag provided but not defined: -%.60s%s%s%s", f->name,
                   nearest ? " (did you mean -" : "", str_or_empty(nearest), nearest ? "?)" : "");
}

/* takes argv[*i], and the next one when it is its value */
static int take_arg(struct conf_args *a, int argc, char *const *argv, int *i, struct err *e)
{
    const char *arg = argv[*i], *text = arg, *equals, *value;
    _cleanup_free_ char *name = NULL;
    struct flag f = {0};
    int r;

    text += *text == '-';
    text += text > arg && *text == '-';
    equals = strchr(text, '=');
    if (arg[0] != '-' || !*text || *text == '-' || *text == '=')
        return err_set(e, -EINVAL, "unexpected argument \"%.80s\"", arg);
    name = equals ? xstrndup(text, (size_t)(equals - text)) : xstrdup(text);
    f = (struct flag){name, equals ? equals + 1 : NULL};
    r = take_own(a, &f, e);
    if (r <= 0)
        return r;
    r = check_known(a->role, &f, e);
    if (r < 0)
        return r;
    value = f.value;
    if (!value && key_by_flag(name) && is_switch(key_by_flag(name)))
        value = "true";
    if (!value && *i + 1 >= argc)
        return err_set(e, -EINVAL, "flag needs an argument: -%s", name);
    if (!value)
        value = argv[++*i];
    if (strcmp(name, "config") == 0) {
        strv_add(&a->paths, &a->n_paths, value);
        return 0;
    }
    return take_key(a, &f, value, e);
}

int conf_args_parse(int argc, char *const *argv, unsigned role, struct conf_args **ret,
                    struct err *e)
{
    struct conf_args *a = xnew0(struct conf_args);

    a->role = role;
    for (int i = 1; i < argc; i++) {
        int r = take_arg(a, argc, argv, &i, e);

        if (r < 0) {
            (void)conf_args_free(a);
            return r;
        }
    }
    *ret = a;
    return 0;
}

/* flags over what the files said; a list flag that may be repeated is one list */
static void merge_flags(const struct conf_args *a, struct draft *d)
{
    for (size_t i = 0; i < a->n_flags; i++) {
        const struct conf_key *k = a->flags[i].key;
        struct setting s = {.at.flag = k->flag}, *at = &d->set[key_index(k)];
        const char *value = a->flags[i].value, *equals = strchr(value, '=');
        bool on;

        if (k->type == K_MAP && equals) {
            strmap_set_n(&s.map, value, (size_t)(equals - value), equals + 1, strlen(equals + 1));
        } else if (is_switch(k)) {
            s.text = xstrdup(parse_bool(value, &on) == 0 && on ? "true" : "false");
        } else if (setting_from_text(k, value, &s, NULL) < 0) {
            continue;
        }
        if (k->type == K_LIST && at->at.flag) { /* the flag's list goes on */
            strv_add(&at->list, &at->n_list, s.list ? s.list[0] : "");
            setting_done(&s);
            continue;
        }
        setting_merge(k, at, &s);
    }
}

int conf_args_load_files(const struct conf_args *args, const struct conf_files *files,
                         struct conf *ret, struct conf_report *report)
{
    struct draft d;

    *report = (struct conf_report){0};
    draft_init(&d, report);
    load_files(&d, files);
    merge_flags(args, &d);
    if (args->dev && !draft_setting(&d, "log_level")->set) {
        struct setting s = {.text = xstrdup("DEBUG")};

        setting_merge(key_find("log_level"), draft_setting(&d, "log_level"), &s);
    }
    return load_finish(&d, args->role, LOAD_HERE | (args->dev ? LOAD_DEV : 0), ret);
}

int conf_args_load(const struct conf_args *args, struct conf *ret, struct conf_report *report)
{
    struct conf_files files = {0};
    int r;

    conf_files_read((const char *const *)args->paths, args->n_paths, NULL, &files);
    r = conf_args_load_files(args, &files, ret, report);
    ops_clear(&desc_conf_files, &files);
    return r;
}

const char *const *conf_args_paths(const struct conf_args *args, size_t *ret_n)
{
    *ret_n = args->n_paths;
    return (const char *const *)args->paths;
}

static void print_usage(unsigned role)
{
    struct buf out _cleanup_buf_ = BUF_INIT(65536);

    conf_usage(role, &out);
    (void)fputs(buf_str(&out), stdout);
}

static void print_lines(const char *prefix, char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)fprintf(stderr, "%s%s\n", prefix, lines[i]);
}

/* -help and -version; CONF_START_RUN when neither is asked for */
static int answer_questions(const struct conf_args *a)
{
    if (a->help)
        print_usage(a->role);
    else if (a->version)
        (void)printf("%s v%s\n", conf_program(a->role), PICKET_VERSION);
    else
        return CONF_START_RUN;
    return CONF_START_ANSWERED;
}

int conf_start(int argc, char **argv, unsigned role, struct conf_args **ret_args, struct conf *ret,
               struct conf_report *report)
{
    _cleanup_(conf_args_freep) struct conf_args *a = NULL;
    struct err e = {0};
    int r;

    r = conf_args_parse(argc, argv, role, &a, &e);
    if (r < 0) {
        (void)fprintf(stderr, "==> %s\n%s -help lists the flags.\n", e.text, conf_program(role));
        return r;
    }
    r = answer_questions(a);
    if (r != CONF_START_RUN)
        return r;
    r = conf_args_load(a, ret, report);
    print_lines("==> ", report->errors, report->n_errors);
    if (a->check) {
        print_lines("==> WARNING: ", report->warnings, report->n_warnings);
        (void)puts(r < 0 ? "Configuration is invalid" : "Configuration is valid!");
    }
    if (r == 0 && !a->check) {
        *ret_args = steal_ptr(&a);
        return CONF_START_RUN;
    }
    if (r == 0)
        conf_done(ret);
    conf_report_done(report);
    return r < 0 ? -EINVAL : CONF_START_ANSWERED;
}
