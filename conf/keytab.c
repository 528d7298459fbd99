/* Questions about the key table. */
#include "conf/keys.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

const char *key_name(const struct conf_key *k)
{
    const char *dot = strrchr(k->path, '.');

    return dot ? dot + 1 : k->path;
}

const char *key_type_name(enum key_type t)
{
    static const char *const names[K_TYPE_MAX] = {
        [K_STR] = "a string",
        [K_INT] = "a whole number",
        [K_FLOAT] = "a number",
        [K_BOOL] = "true or false",
        [K_INTP] = "a whole number",
        [K_STRP] = "a string",
        [K_BOOLP] = "true or false",
        [K_DUR] = "a duration",
        [K_LIST] = "a list of strings",
        [K_MAP] = "a block of strings",
        [K_FREE] = "a block",
        [K_BLOCK] = "a block",
        [K_LABEL] = "a block with a label",
    };

    return names[t];
}

const char *key_action_name(enum key_action a)
{
    static const char *const names[] = {"used", "with its block", "warns", "refused", "ignored"};

    return names[a];
}

const struct conf_key *key_find(const char *path)
{
    for (size_t i = 0; i < n_conf_keys; i++)
        if (strcmp(conf_keys[i].path, path) == 0)
            return &conf_keys[i];
    return NULL;
}

bool key_is_child(const struct conf_key *k, const char *block)
{
    size_t n = strlen(block);
    const char *rest = k->path;

    if (n > 0) {
        if (strncmp(k->path, block, n) != 0 || k->path[n] != '.')
            return false;
        rest += n + 1;
    }
    return !strchr(rest, '.');
}

const struct conf_key *key_child(const char *block, const char *name)
{
    for (size_t i = 0; i < n_conf_keys; i++)
        if (key_is_child(&conf_keys[i], block) && strcasecmp(key_name(&conf_keys[i]), name) == 0)
            return &conf_keys[i];
    return NULL;
}

bool key_in_label(const struct conf_key *k)
{
    const char *dot = strrchr(k->path, '.');

    for (const struct conf_key *up = k; dot && up >= conf_keys; up--)
        if (strncmp(up->path, k->path, (size_t)(dot - k->path)) == 0 && !up->path[dot - k->path])
            return up->type == K_LABEL;
    return false;
}

const struct conf_key *key_by_flag(const char *flag)
{
    for (size_t i = 0; i < n_conf_keys; i++)
        if (conf_keys[i].flag && strcmp(conf_keys[i].flag, flag) == 0)
            return &conf_keys[i];
    return NULL;
}

/* the blocks that have a key of exactly this name, "a or b"; false when there is none */
static bool other_blocks(const char *name, struct buf *out)
{
    unsigned n = 0;

    for (size_t i = 0; i < n_conf_keys && n < 3; i++) {
        const struct conf_key *k = &conf_keys[i];
        size_t len = strlen(k->path) - strlen(key_name(k));

        if (strcasecmp(key_name(k), name) != 0)
            continue;
        buf_add_str(out, n++ ? " or " : "; it belongs ");
        if (len == 0)
            buf_add_str(out, "at the top level");
        else
            buf_printf(out, "into %.*s", (int)len - 1, k->path);
    }
    return n > 0;
}

void key_explain_unknown(const char *block, const char *name, bool list, struct buf *out)
{
    const char *names[KEY_CHILDREN_MAX] = {0}, *nearest;
    size_t n = 0;

    for (size_t i = 0; i < n_conf_keys && n < ARRAY_LEN(names); i++)
        if (key_is_child(&conf_keys[i], block))
            names[n++] = key_name(&conf_keys[i]);
    nearest = other_blocks(name, out) ? NULL : str_nearest(name, names, n);
    if (nearest)
        buf_printf(out, "; did you mean \"%s\"?", nearest);
    if (!list || n == 0)
        return;
    buf_add_str(out, nearest ? " Allowed here: " : "; allowed here: ");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s%s", i ? ", " : "", names[i]);
}
