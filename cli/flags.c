#include "cli/command.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/str.h"

#define T struct meta
/* clang-format off */
const struct flag meta_flags[] = {
    {"address", FLAG_STR, offsetof(T, address), "<addr>",
     "The address of the server or agent. Overrides NOMAD_ADDR. Default http://127.0.0.1:4646;\n"
     "    unix:///path is a socket."},
    {"region", FLAG_STR, offsetof(T, region), "<region>",
     "The region to ask. Overrides NOMAD_REGION. Default: that of the server."},
    {"namespace", FLAG_STR, offsetof(T, namespace_), "<namespace>",
     "The namespace to ask. Overrides NOMAD_NAMESPACE."},
    {"token", FLAG_STR, offsetof(T, token), NULL,
     "The secret ID of an ACL token. Overrides NOMAD_TOKEN."},
    {"ca-cert", FLAG_STR, offsetof(T, ca_cert), "<path>",
     "PEM file of the certificate authority. Overrides NOMAD_CACERT."},
    {"ca-path", FLAG_STR, offsetof(T, ca_path), "<path>",
     "Folder of PEM files of certificate authorities. Overrides NOMAD_CAPATH."},
    {"client-cert", FLAG_STR, offsetof(T, client_cert), "<path>",
     "PEM file of the client certificate, with -client-key. Overrides NOMAD_CLIENT_CERT."},
    {"client-key", FLAG_STR, offsetof(T, client_key), "<path>",
     "PEM file of its key. Overrides NOMAD_CLIENT_KEY."},
    {"tls-server-name", FLAG_STR, offsetof(T, tls_server_name), "<name>",
     "The name that the server's certificate must have. Overrides NOMAD_TLS_SERVER_NAME."},
    {"tls-skip-verify", FLAG_BOOL, offsetof(T, tls_skip_verify), NULL,
     "Do not check the server's certificate. NOMAD_SKIP_VERIFY does the same."},
    {"insecure", FLAG_BOOL, offsetof(T, tls_skip_verify), NULL, NULL},
    {"no-color", FLAG_BOOL, offsetof(T, no_color), NULL, NULL},
    {"force-color", FLAG_BOOL, offsetof(T, force_color), NULL, NULL},
};
/* clang-format on */
#undef T
const size_t n_meta_flags = ARRAY_LEN(meta_flags);

/* the value of an environment variable under a flag; empty counts as unset */
static void from_environment(const char **value, const char *name)
{
    const char *env = getenv(name);

    if (!*value && !str_empty(env))
        *value = env;
}

void meta_environment(struct meta *m)
{
    const char *skip = getenv("NOMAD_SKIP_VERIFY");
    bool on;

    m->address_given = m->address != NULL;
    from_environment(&m->address, "NOMAD_ADDR");
    from_environment(&m->region, "NOMAD_REGION");
    from_environment(&m->namespace_, "NOMAD_NAMESPACE");
    from_environment(&m->token, "NOMAD_TOKEN");
    from_environment(&m->ca_cert, "NOMAD_CACERT");
    from_environment(&m->ca_path, "NOMAD_CAPATH");
    from_environment(&m->client_cert, "NOMAD_CLIENT_CERT");
    from_environment(&m->client_key, "NOMAD_CLIENT_KEY");
    from_environment(&m->tls_server_name, "NOMAD_TLS_SERVER_NAME");
    if (!m->address)
        m->address = "http://127.0.0.1:4646";
    if (skip && parse_bool(skip, &on) == 0 && on) /* junk is ignored, as in Nomad */
        m->tls_skip_verify = true;
}

struct slot {
    const struct flag *flag;
    void *at;
};

static bool find_in(const struct flag *flags, size_t n, const char *name, void *object,
                    struct slot *ret)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(flags[i].name, name) == 0) {
            *ret = (struct slot){&flags[i], (char *)object + flags[i].off};
            return true;
        }
    return false;
}

static int set_flag(const struct slot *s, const char *value, struct err *e)
{
    struct flag_list *list = s->at;

    if (s->flag->type == FLAG_BOOL) {
        if (parse_bool(value, s->at) < 0)
            return err_set(e, -EINVAL, "invalid boolean value \"%.60s\" for -%s: parse error",
                           value, s->flag->name);
    } else if (s->flag->type == FLAG_STR) {
        *(const char **)s->at = value;
    } else {
        strv_add(&list->v, &list->n, value);
    }
    return 0;
}

int flags_parse(const struct command *c, int argc, char **argv, struct meta *meta, void *opts,
                bool *ret_help, struct err *e)
{
    int i;

    for (i = 0; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *text = argv[i] + 1 + (argv[i][1] == '-'), *equals = strchr(text, '=');
        _cleanup_free_ char *name =
            equals ? xstrndup(text, (size_t)(equals - text)) : xstrdup(text);
        const char *value = equals ? equals + 1 : NULL;
        struct slot s;
        int r;

        if (!*text) /* "--" ends the flags */
            return i + 1;
        if (strcmp(name, "h") == 0 || strcmp(name, "help") == 0) {
            *ret_help = true;
            return i;
        }
        if (!find_in(c->flags, c->n_flags, name, opts, &s) &&
            !(c->remote && find_in(meta_flags, n_meta_flags, name, meta, &s)))
            return err_set(e, -EINVAL, "flag provided but not defined: -%.60s", name);
        if (!value && s.flag->type == FLAG_BOOL)
            value = "true";
        if (!value && i + 1 >= argc)
            return err_set(e, -EINVAL, "flag needs an argument: -%s", name);
        if (!value)
            value = argv[++i];
        r = set_flag(&s, value, e);
        if (r < 0)
            return r;
    }
    return i;
}

void flags_done(const struct command *c, void *opts)
{
    for (size_t i = 0; i < c->n_flags; i++) {
        struct flag_list *list = (void *)((char *)opts + c->flags[i].off);

        if (c->flags[i].type == FLAG_LIST)
            strv_done(&list->v, &list->n);
    }
}
