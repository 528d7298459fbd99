#include "fingerprint/os_name.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/vec.h"
#include "fingerprint/look.h"

struct finder {
    const struct probe_ctx *ctx;
    char *lsb_id, *lsb_release; /* owned; NULL = not there */
    struct os_name *ret;
};

struct rule {
    const char *file; /* in /etc; the rule applies when it is there and not empty */
    const char *name; /* NULL = the function finds it */
    void (*fn)(struct finder *f, const char *name, const char *text);
};

/* The value of KEY=value, quotes taken off; owned; NULL when there is no such line. */
static char *shell_value(const char *text, const char *key)
{
    char **lines = NULL, *found = NULL;
    size_t n = 0, len = strlen(key);

    strv_split(text, "\n", &lines, &n);
    for (size_t i = 0; i < n; i++) {
        char *v, *end;

        if (strncmp(lines[i], key, len) != 0 || lines[i][len] != '=')
            continue;
        v = lines[i] + len + 1;
        if (*v == '"' || *v == '\'')
            v++;
        end = v + strlen(v);
        if (end > v && (end[-1] == '"' || end[-1] == '\''))
            end[-1] = 0;
        free(found);
        found = xstrdup(v);
    }
    strv_done(&lines, &n);
    return found;
}

static char *first_line(const char *text)
{
    return xstrndup(text, strcspn(text, "\n"));
}

static void answer(struct finder *f, const char *name, char *take_version)
{
    f->ret->name = xstrdup(name);
    f->ret->version = take_version;
}

/* "rawhide", or what follows "release " in the text: a word character, then digits and dots */
static char *redhat_version(const char *lower)
{
    const char *at = lower;

    if (strstr(lower, "rawhide"))
        return xstrdup("rawhide");
    while ((at = strstr(at, "release "))) {
        at += strlen("release ");
        if (isalnum((unsigned char)*at) || *at == '_')
            return xstrndup(at, 1 + strspn(at + 1, "0123456789."));
    }
    return NULL;
}

static void rule_redhat(struct finder *f, const char *name, const char *text)
{
    _cleanup_free_ char *lower = str_lower(xstrdup(text)), *word = NULL;

    if (!name) {
        word = xstrndup(lower, strcspn(lower, " \n"));
        name = strstr(lower, "red hat") ? "redhat" : word;
    }
    answer(f, name, redhat_version(lower));
}

static void rule_slackware(struct finder *f, const char *name, const char *text)
{
    _cleanup_free_ char *line = first_line(text);
    const char *version = str_lower(line);

    if (str_starts(version, "slackware "))
        version += strlen("slackware ");
    answer(f, name, xstrdup(version));
}

static bool is_raspbian(const struct probe_ctx *ctx)
{
    _cleanup_free_ char *path = look_path(ctx, "/usr/bin/raspi-config");
    struct stat st;

    return stat(path, &st) == 0 && st.st_size > 0;
}

static void rule_debian(struct finder *f, const char *name, const char *text)
{
    static const struct {
        const char *lsb_id, *name;
    } derived[] = {
        {"Ubuntu",        "ubuntu"      },
        {"LinuxMint",     "linuxmint"   },
        {"Kylin",         "Kylin"       },
        {"uos",           "uos"         },
        {"Cumulus Linux", "cumuluslinux"},
        {"Deepin",        "Deepin"      },
    };

    (void)name;
    for (size_t i = 0; i < ARRAY_LEN(derived); i++) {
        if (str_eq(f->lsb_id, derived[i].lsb_id)) {
            answer(f, derived[i].name, xstrdup(f->lsb_release));
            return;
        }
    }
    answer(f, is_raspbian(f->ctx) ? "raspbian" : "debian", first_line(text));
}

static void rule_suse(struct finder *f, const char *name, const char *text)
{
    _cleanup_free_ char *lower = str_lower(xstrdup(text));
    char **lines = NULL, *version = NULL, *patch = NULL;
    size_t n = 0;

    (void)name;
    strv_split(lower, "\n", &lines, &n);
    for (size_t i = 0; i < n; i++) {
        char *eq = strchr(lines[i], '=');

        if (!eq)
            continue;
        if (str_starts(lines[i], "version"))
            version = str_trim(eq + 1);
        else if (str_starts(lines[i], "patchlevel"))
            patch = str_trim(eq + 1);
    }
    answer(f, strstr(lower, "opensuse") ? "opensuse" : "suse",
           version && patch ? xasprintf("%s.%s", version, patch) : xstrdup(version));
    strv_done(&lines, &n);
}

static void rule_lsb(struct finder *f, const char *name, const char *text)
{
    (void)text;
    answer(f, name, xstrdup(f->lsb_release));
}

static void rule_first_line(struct finder *f, const char *name, const char *text)
{
    answer(f, name, first_line(text));
}

static void rule_os_release(struct finder *f, const char *name, const char *text)
{
    _cleanup_free_ char *id = shell_value(text, "ID");

    (void)name;
    answer(f, str_eq(id, "amzn") ? "amazon" : str_or_empty(id), shell_value(text, "VERSION_ID"));
}

/* clang-format off */
static const struct rule rules[] = {
    {"oracle-release",     "oracle",    rule_redhat},
    {"enterprise-release", "oracle",    rule_redhat},
    {"slackware-version",  "slackware", rule_slackware},
    {"debian_version",     NULL,        rule_debian},
    {"neokylin-release",   NULL,        rule_redhat},
    {"redhat-release",     NULL,        rule_redhat},
    {"system-release",     NULL,        rule_redhat},
    {"gentoo-release",     "gentoo",    rule_redhat},
    {"SuSE-release",       NULL,        rule_suse},
    {"arch-release",       "arch",      rule_lsb},
    {"alpine-release",     "alpine",    rule_first_line},
    {"os-release",         NULL,        rule_os_release},
};
/* clang-format on */

/* the last resort: what lsb-release says */
static void lsb_alone(struct finder *f)
{
    static const struct {
        const char *lsb_id, *name;
    } known[] = {
        {"RedHat",       "redhat"    },
        {"Amazon",       "amazon"    },
        {"ScientificSL", "scientific"},
        {"XenServer",    "xenserver" },
    };
    _cleanup_free_ char *lower = NULL;

    if (str_empty(f->lsb_id))
        return;
    f->ret->source = xstrdup("/etc/lsb-release");
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(f->lsb_id, known[i].lsb_id)) {
            answer(f, known[i].name, xstrdup(f->lsb_release));
            return;
        }
    }
    lower = str_lower(xstrdup(f->lsb_id));
    answer(f, lower, xstrdup(f->lsb_release));
}

void os_name_find(const struct probe_ctx *ctx, struct os_name *ret)
{
    struct finder f = {.ctx = ctx, .ret = ret};
    _cleanup_free_ char *lsb = NULL;

    if (look_text(ctx, &lsb, "/etc/lsb-release") == 0) {
        f.lsb_id = shell_value(lsb, "DISTRIB_ID");
        f.lsb_release = shell_value(lsb, "DISTRIB_RELEASE");
    }
    for (size_t i = 0; i < ARRAY_LEN(rules) && !ret->source; i++) {
        _cleanup_free_ char *text = NULL;

        if (look_text(ctx, &text, "/etc/%s", rules[i].file) < 0 || !*text)
            continue;
        ret->source = xasprintf("/etc/%s", rules[i].file);
        rules[i].fn(&f, rules[i].name, text);
    }
    if (!ret->source)
        lsb_alone(&f);
    free(f.lsb_id);
    free(f.lsb_release);
}

void os_name_done(struct os_name *o)
{
    free(o->name);
    free(o->version);
    free(o->source);
    *o = (struct os_name){0};
}
