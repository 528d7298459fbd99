#include "conf/plugins.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { KEYS_MAX = 48 };

/* Drivers of Nomad, and the paths of what their configuration may hold; a path that ends in '.' is
 * a block of any keys. */
static const struct {
    const char *name;
    const char *why; /* set: the driver is not in this release */
    const char *keys[KEYS_MAX];
} plugins[] = {
    {"raw_exec",
     NULL,                                {"enabled", "no_cgroups", "denied_host_uids", "denied_host_gids", "denied_envvars"}},
    {"docker",
     NULL,                                {"endpoint",
      "auth.config",
      "auth.helper",
      "tls.cert",
      "tls.key",
      "tls.ca",
      "extra_labels",
      "logging.type",
      "logging.config.",
      "gc.image",
      "gc.image_delay",
      "gc.container",
      "gc.dangling_containers.enabled",
      "gc.dangling_containers.dry_run",
      "gc.dangling_containers.period",
      "gc.dangling_containers.creation_grace",
      "volumes.enabled",
      "volumes.selinuxlabel",
      "allow_privileged",
      "allow_caps",
      "allow_runtimes",
      "nvidia_runtime",
      "infra_image",
      "infra_image_pull_timeout",
      "image_pull_timeout",
      "container_exists_attempts",
      "oom_score_adj",
      "pull_activity_timeout",
      "pids_limit",
      "disable_log_collection",
      "windows_allow_insecure_container_admin",
      "allowed_modes.pid",
      "allowed_modes.ipc",
      "allowed_modes.userns",
      "allowed_modes.uts"}                                                                                         },
    {"exec",
     "the driver is not in this release", {"no_pivot_root", "default_pid_mode", "default_ipc_mode", "allow_caps", "denied_host_uids",
      "denied_host_gids"}                                                           },
    {"java",
     "the driver is not in this release", {"default_pid_mode", "default_ipc_mode", "allow_caps"}                             },
    {"qemu",
     "the driver is not in this release", {"image_paths", "args_allowlist", "emulators_allowlist"}                           },
};

#define TASKS "tasks are not run by this release"

/* client.options (fact: config.md 5.9) */
static const struct {
    const char *name;
    const char *why; /* set: it has no effect */
} options[] = {
    {"fingerprint.allowlist",                   NULL },
    {"fingerprint.whitelist",                   NULL },
    {"fingerprint.denylist",                    NULL },
    {"fingerprint.blacklist",                   NULL },
    {"driver.allowlist",                        NULL },
    {"driver.whitelist",                        NULL },
    {"driver.denylist",                         NULL },
    {"driver.blacklist",                        NULL },
    {"fingerprint.network.disallow_link_local", NULL },
    {"test.tighten_network_timeouts",           NULL },
    {"driver.raw_exec.enable",                  NULL },
    {"driver.raw_exec.no_cgroups",              NULL },
    {"docker.endpoint",                         NULL },
    {"docker.tls.cert",                         NULL },
    {"docker.tls.key",                          NULL },
    {"docker.tls.ca",                           NULL },
    {"docker.auth.config",                      NULL },
    {"docker.auth.helper",                      NULL },
    {"docker.cleanup.image",                    NULL },
    {"docker.cleanup.image.delay",              NULL },
    {"docker.cleanup.container",                NULL },
    {"docker.volumes.enabled",                  NULL },
    {"docker.volumes.selinuxlabel",             NULL },
    {"docker.caps.allowlist",                   NULL },
    {"docker.caps.whitelist",                   NULL },
    {"docker.privileged.enabled",               NULL },
    {"docker.nvidia_runtime",                   NULL },
    {"env.denylist",                            TASKS},
    {"env.blacklist",                           TASKS},
    {"user.denylist",                           TASKS},
    {"user.blacklist",                          TASKS},
    {"user.checked_drivers",                    TASKS},
};

static size_t find_plugin(const char *name)
{
    size_t i = 0;

    while (i < ARRAY_LEN(plugins) && strcmp(plugins[i].name, name) != 0)
        i++;
    return i;
}

enum known { UNKNOWN, KNOWN_KEY, KNOWN_BLOCK, KNOWN_FREE };

static enum known look_up(size_t plugin, const char *path)
{
    size_t n = strlen(path);

    for (const char *const *k = plugins[plugin].keys; *k; k++) {
        if (strcmp(*k, path) == 0)
            return KNOWN_KEY;
        if (strncmp(*k, path, n) == 0 && (*k)[n] == '.')
            return (*k)[n + 1] ? KNOWN_BLOCK : KNOWN_FREE;
    }
    return UNKNOWN;
}

/* the nearest key of the same block, or NULL */
static const char *nearest(size_t plugin, const char *block, const char *name)
{
    const char *names[KEYS_MAX] = {NULL};
    size_t n = 0, skip = strlen(block);

    for (const char *const *k = plugins[plugin].keys; *k; k++)
        if (strncmp(*k, block, skip) == 0 && !strchr(*k + skip, '.'))
            names[n++] = *k + skip;
    return str_nearest(name, names, n);
}

static void check_object(struct draft *d, size_t plugin, const char *block,
                         const struct hcl_value *v)
{
    for (size_t i = 0; i < v->n_items; i++) /* a block given as a list of objects */
        check_object(d, plugin, block, &v->items[i]);
    for (size_t i = 0; i < v->n_members; i++) {
        const struct hcl_word *word = &v->members[i].words[0];
        struct place at = {.file = d->files[d->n_files - 1], .pos = word->pos};
        _cleanup_free_ char *path = xasprintf("%s%s", block, word->text);
        _cleanup_free_ char *inner = xasprintf("%s.", path);
        enum known known = look_up(plugin, path);
        const char *near = known == UNKNOWN ? nearest(plugin, block, word->text) : NULL;

        if (known == UNKNOWN)
            draft_error(d, &at,
                        "plugin \"%s\": No argument or block type is named \"%.60s\".%s%s%s",
                        plugins[plugin].name, word->text, near ? " Did you mean \"" : "",
                        str_or_empty(near), near ? "\"?" : "");
        else if (known == KNOWN_BLOCK)
            check_object(d, plugin, inner, &v->members[i].value);
    }
}

void plugin_check_config(struct draft *d, const char *plugin, const struct hcl_value *config)
{
    size_t i = find_plugin(plugin);

    if (i < ARRAY_LEN(plugins))
        check_object(d, i, "", config);
}

static void answer_plugins(struct draft *d)
{
    for (size_t i = 0; i < d->n_inst; i++) {
        const struct instance *in = &d->inst[i];
        size_t p = find_plugin(in->label);

        if (strcmp(in->key->path, "plugin") != 0)
            continue;
        if (p == ARRAY_LEN(plugins))
            draft_warn(d, &in->at,
                       "plugin \"%.60s\" has no effect: it is not built in, and external "
                       "plugins are not supported",
                       in->label);
        else if (plugins[p].why)
            draft_warn(d, &in->at, "plugin \"%s\" has no effect: %s", in->label, plugins[p].why);
    }
}

static void answer_option(struct draft *d, const struct place *at, const char *name)
{
    const char *names[ARRAY_LEN(options)], *near;

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        names[i] = options[i].name;
        if (strcmp(names[i], name) != 0)
            continue;
        if (options[i].why)
            draft_warn(d, at, "client.options \"%s\" has no effect: %s", name, options[i].why);
        return;
    }
    near = str_nearest(name, names, ARRAY_LEN(options));
    draft_warn(d, at, "client.options \"%.80s\" has no effect: it is not known%s%s%s", name,
               near ? "; did you mean \"" : "", str_or_empty(near), near ? "\"?" : "");
}

void plugin_answer(struct draft *d)
{
    const struct setting *s = draft_setting(d, "client.options");

    answer_plugins(d);
    for (size_t i = 0; i < s->map.n; i++)
        answer_option(d, &s->at, s->map.items[i].key);
}
