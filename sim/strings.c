#include "sim/strings.h"

struct walk {
    strings_fn *fn;
    void *arg;
    const char *within;
};

static void walk_struct(const struct walk *w, const struct desc *d, void *obj);

static void tell(const struct walk *w, const char *name, char **s)
{
    const struct string_place at = {w->within, name};

    w->fn(w->arg, &at, s);
}

static void walk_map(const struct walk *w, struct strmap *m)
{
    for (size_t i = 0; i < m->n; i++)
        tell(w, m->items[i].key, &m->items[i].value);
}

static void walk_field(const struct walk *w, const struct field *f, void *obj)
{
    void *p = field_at(f, obj);

    switch (f->type) {
    case FT_STR:
    case FT_OPT_STR:
        tell(w, f->name, p);
        break;
    case FT_MAP:
        walk_map(w, p);
        break;
    case FT_STRVEC:
        for (size_t i = 0; i < field_count(f, obj); i++)
            tell(w, f->name, &(*(char ***)p)[i]);
        break;
    case FT_STRUCT:
    case FT_EMBED:
        walk_struct(w, f->sub, p);
        break;
    case FT_PTR:
        if (*(void **)p)
            walk_struct(w, f->sub, *(void **)p);
        break;
    case FT_VEC:
    case FT_MAPVEC:
        for (size_t i = 0; i < field_count(f, obj); i++)
            walk_struct(w, f->sub, *(char **)p + i * f->sub->size);
        break;
    default:
        break; /* no text */
    }
}

static void walk_struct(const struct walk *w, const struct desc *d, void *obj)
{
    for (size_t i = 0; i < d->n_fields; i++) {
        struct walk inner = *w;

        if (!inner.within)
            inner.within = d->fields[i].name;
        walk_field(&inner, &d->fields[i], obj);
    }
}

void strings_each(const struct desc *d, void *obj, strings_fn *fn, void *arg)
{
    const struct walk w = {fn, arg, NULL};

    walk_struct(&w, d, obj);
}
