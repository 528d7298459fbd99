#include "api/router.h"

#include <errno.h>
#include <string.h>

#include "api/url.h"
#include "base/limits.h"
#include "base/str.h"

static const struct {
    const char *name;
    unsigned bit;
} methods[] = {
    {"GET",    M_GET   },
    {"PUT",    M_PUT   },
    {"POST",   M_POST  },
    {"DELETE", M_DELETE},
};

static unsigned method_bit(const char *method)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(methods[i].name, method))
            return methods[i].bit;
    return 0;
}

/* how much of a pattern is a fixed beginning; all of it for exact ones */
static size_t fixed_len(const char *pattern)
{
    return strcspn(pattern, ":*");
}

static bool is_subtree(const char *pattern)
{
    return pattern[fixed_len(pattern)] != 0;
}

/* "/drain" of "/v1/node/:id/drain" */
static const char *ending_of(const char *pattern)
{
    const char *p = pattern + fixed_len(pattern);

    return p + strcspn(p, "/");
}

/* the first row whose pattern takes the path: exact ones, then the longest subtree */
static const struct route *find_pattern(const char *path)
{
    const struct route *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; i < n_routes; i++) {
        const char *pattern = routes[i].pattern;
        size_t n = fixed_len(pattern);

        if (!is_subtree(pattern)) {
            if (str_eq(pattern, path))
                return &routes[i];
        } else if (n > best_len && strncmp(path, pattern, n) == 0 &&
                   str_ends(path + n, ending_of(pattern))) {
            best = &routes[i];
            best_len = n;
        }
    }
    return best;
}

/* the root of a subtree without its slash */
static bool is_bare_root(const char *path)
{
    size_t n = strlen(path);

    for (size_t i = 0; i < n_routes; i++) {
        const char *pattern = routes[i].pattern;

        if (is_subtree(pattern) && fixed_len(pattern) == n + 1 && strncmp(path, pattern, n) == 0 &&
            pattern[n] == '/')
            return true;
    }
    return false;
}

static char *make_location(const char *path, const char *query)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4 * HTTP_HEAD_MAX);

    url_encode_path(&b, path);
    if (*query)
        buf_printf(&b, "?%s", query);
    return (char *)buf_take(&b, NULL);
}

static char *cut_id(const struct route *row, const char *path)
{
    const char *rest = path + fixed_len(row->pattern);

    if (!is_subtree(row->pattern))
        return xstrdup("");
    return xstrndup(rest, strlen(rest) - strlen(ending_of(row->pattern)));
}

int router_find(const char *method, const char *path, const char *query, struct router_match *ret,
                struct err *e)
{
    _cleanup_buf_ struct buf clean = BUF_INIT(HTTP_HEAD_MAX);
    _cleanup_free_ char *decoded = xstrdup(path);
    const struct route *row;
    unsigned bit = method_bit(method);

    *ret = (struct router_match){0};
    if (url_decode(decoded, false) < 0)
        return err_set_status(e, -EINVAL, 400, "invalid URL escape in the path");
    if (*decoded != '/')
        return ROUTER_NOT_FOUND;
    url_clean_path(&clean, decoded);
    if (!str_eq(buf_str(&clean), decoded)) {
        ret->location = make_location(buf_str(&clean), query);
        return ROUTER_MOVED;
    }
    row = find_pattern(decoded);
    if (is_bare_root(decoded) && (!row || is_subtree(row->pattern))) {
        buf_add_byte(&clean, '/');
        ret->location = make_location(buf_str(&clean), query);
        return ROUTER_MOVED;
    }
    if (!row)
        return ROUTER_NOT_FOUND;
    ret->id = cut_id(row, decoded);
    for (const struct route *r = row; r < routes + n_routes; r++) {
        if (!str_eq(r->pattern, row->pattern))
            break;
        ret->route = r;
        if (r->methods == (unsigned)M_ANY || (r->methods & bit))
            return ROUTER_FOUND;
    }
    return ROUTER_METHOD;
}

void router_match_done(struct router_match *m)
{
    free(m->id);
    free(m->location);
    *m = (struct router_match){0};
}
