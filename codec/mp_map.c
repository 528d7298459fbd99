/* codec/mp_map.c - packed maps, read and changed key by key.  Nothing here allocates, but for the
 * buffer that a changed map is written to. */
#include <errno.h>
#include <string.h>

#include "codec/mp.h"

static bool key_is(const struct mp_token *t, const char *key)
{
    return t->type == MP_STR && t->n == strlen(key) && memcmp(t->p, key, t->n) == 0;
}

static int open_map(struct mp_in *in, size_t *ret_n)
{
    struct mp_token t;
    int r = mp_next(in, &t);

    if (r < 0 || t.type != MP_MAP)
        return -EBADMSG;
    *ret_n = t.n;
    return 0;
}

/* one entry: where key and value begin, and its key as a token */
struct entry {
    const uint8_t *key, *value, *end;
    struct mp_token name;
};

static int next_entry(struct mp_in *in, struct entry *ret)
{
    struct mp_in key;

    ret->key = in->p;
    key = *in;
    if (mp_skip(in) < 0)
        return -EBADMSG;
    ret->value = in->p;
    if (mp_skip(in) < 0)
        return -EBADMSG;
    ret->end = in->p;
    return mp_next(&key, &ret->name);
}

int mp_map_find(const void *p, size_t n, const char *key, const uint8_t **ret, size_t *ret_n)
{
    struct mp_in in = mp_in(p, n);
    const uint8_t *found = NULL;
    size_t found_n = 0, count_left;
    int r;

    r = open_map(&in, &count_left);
    if (r < 0)
        return r;
    for (; count_left > 0; count_left--) {
        struct entry e;

        r = next_entry(&in, &e);
        if (r < 0)
            return r;
        if (key_is(&e.name, key)) { /* of doubles the last one counts, as in mp_decode() */
            found = e.value;
            found_n = (size_t)(e.end - e.value);
        }
    }
    if (!found)
        return -ENOENT;
    *ret = found;
    *ret_n = found_n;
    return 0;
}

/* the patch for an entry, or NULL */
static const struct mp_patch *patch_for(const struct entry *e, const struct mp_patch *patches,
                                        size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (key_is(&e->name, patches[i].key))
            return &patches[i];
    return NULL;
}

/* entries of the map that no patch touches; also checks the whole map */
static int count_untouched(struct mp_in in, size_t n, const struct mp_patch *patches,
                           size_t n_patches, size_t *ret)
{
    *ret = 0;
    for (; n > 0; n--) {
        struct entry e;

        if (next_entry(&in, &e) < 0)
            return -EBADMSG;
        if (!patch_for(&e, patches, n_patches))
            (*ret)++;
    }
    return 0;
}

static void put_patch(struct buf *out, const struct mp_patch *patch)
{
    mp_str(out, patch->key);
    buf_add(out, patch->value, patch->n);
}

/* A patched key keeps its place (the first of doubles), a new one comes last. */
int mp_map_patch(const void *p, size_t n, const struct mp_patch *patches, size_t n_patches,
                 struct buf *out)
{
    enum { PATCHES_MAX = 64 };
    bool done[PATCHES_MAX] = {false};
    struct mp_in in = mp_in(p, n);
    size_t entries, total;
    int r;

    if (n_patches > PATCHES_MAX)
        return -EINVAL;
    r = open_map(&in, &entries);
    if (r < 0)
        return r;
    r = count_untouched(in, entries, patches, n_patches, &total);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_patches; i++) {
        struct mp_in value = mp_in(patches[i].value, patches[i].n);

        if (!patches[i].value)
            continue;
        if (mp_skip(&value) < 0 || value.p != value.end)
            return -EINVAL;
        total++;
    }
    mp_map(out, total);
    for (; entries > 0; entries--) {
        const struct mp_patch *patch;
        struct entry e;

        r = next_entry(&in, &e);
        if (r < 0)
            return r;
        patch = patch_for(&e, patches, n_patches);
        if (!patch) {
            buf_add(out, e.key, (size_t)(e.end - e.key));
        } else if (patch->value && !done[patch - patches]) {
            put_patch(out, patch);
            done[patch - patches] = true;
        }
    }
    for (size_t i = 0; i < n_patches; i++)
        if (patches[i].value && !done[i])
            put_patch(out, &patches[i]);
    return buf_ok(out);
}
