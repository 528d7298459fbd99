#include "base/map.h"

#include <string.h>

#include "base/vec.h"

/* index of the first item whose key is not below the given one */
static size_t lower_bound(const struct strmap *m, const char *key, size_t len)
{
    size_t lo = 0, hi = m->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strncmp(m->items[mid].key, key, len);

        if (c < 0)
            lo = mid + 1;
        else
            hi = mid; /* equal to len bytes: same key, or a longer one */
    }
    return lo;
}

static bool is_key(const struct strpair *p, const char *key, size_t len)
{
    return strncmp(p->key, key, len) == 0 && p->key[len] == 0;
}

void strmap_done(struct strmap *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->items[i].key);
        free(m->items[i].value);
    }
    free(m->items);
    *m = (struct strmap){0};
}

void strmap_make(struct strmap *m)
{
    if (!m->items)
        m->items = xnew0(struct strpair);
}

void strmap_set_n(struct strmap *m, const char *key, size_t key_len, const char *value,
                  size_t value_len)
{
    size_t i;

    key_len = strnlen(key, key_len);
    i = lower_bound(m, key, key_len);
    if (i < m->n && is_key(&m->items[i], key, key_len)) {
        char *copy = xstrndup(value, value_len);

        free(m->items[i].value);
        m->items[i].value = copy;
        return;
    }
    (void)vec_add(&m->items, &m->n);
    memmove(&m->items[i + 1], &m->items[i], (m->n - 1 - i) * sizeof(*m->items));
    m->items[i] = (struct strpair){xstrndup(key, key_len), xstrndup(value, value_len)};
}

void strmap_set(struct strmap *m, const char *key, const char *value)
{
    strmap_set_n(m, key, strlen(key), value, strlen(value));
}

void strmap_setf(struct strmap *m, const char *key, const char *fmt, ...)
{
    _cleanup_free_ char *value = NULL;
    va_list ap;

    va_start(ap, fmt);
    value = xvasprintf(fmt, ap);
    va_end(ap);
    strmap_set(m, key, value);
}

const char *strmap_get(const struct strmap *m, const char *key)
{
    size_t len = strlen(key), i = lower_bound(m, key, len);

    return i < m->n && is_key(&m->items[i], key, len) ? m->items[i].value : NULL;
}

bool strmap_remove(struct strmap *m, const char *key)
{
    size_t len = strlen(key), i = lower_bound(m, key, len);

    if (i >= m->n || !is_key(&m->items[i], key, len))
        return false;
    free(m->items[i].key);
    free(m->items[i].value);
    /* vec_add() derives the capacity from the count: re-make the array at the smaller one */
    memmove(&m->items[i], &m->items[i + 1], (m->n - 1 - i) * sizeof(*m->items));
    m->n--;
    if (m->n > 0 && m->items) {
        size_t cap = 1;

        while (cap < m->n)
            cap *= 2;
        m->items = xrealloc(m->items, cap, sizeof(*m->items));
    }
    return true;
}

void strmap_copy(struct strmap *dst, const struct strmap *src)
{
    *dst = (struct strmap){0};
    if (!src->items)
        return;
    strmap_make(dst);
    for (size_t i = 0; i < src->n; i++)
        strmap_set(dst, src->items[i].key, src->items[i].value);
}

bool strmap_equal(const struct strmap *a, const struct strmap *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i].key, b->items[i].key) != 0 ||
            strcmp(a->items[i].value, b->items[i].value) != 0)
            return false;
    return true;
}
