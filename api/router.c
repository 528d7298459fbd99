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

static bool is_open(char c)
{
    return c == ':' || c == '*';
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

/* how many characters of a pattern's fixed beginning the path has, too */
static size_t common_len(const char *pattern, const char *path)
{
    size_t n = 0;

    while (pattern[n] && pattern[n] == path[n] && !is_open(pattern[n]))
        n++;
    return n;
}

/* The first row whose pattern takes the path: exact ones, then the longest subtree.  *ret_root: the
 * path is the root of a subtree without its slash. */
static const struct route *find_pattern(const char *path, bool *ret_root)
{
    const struct route *best = NULL;
    size_t best_len = 0;

    *ret_root = false;
    for (const struct route *r = routes; r < routes + n_routes; r++) {
        size_t n = common_len(r->pattern, path);
        const char *rest = r->pattern + n;

        if (!*rest && !path[n]) {
            *ret_root = false;
            return r;
        }
        if (*rest == '/' && is_open(rest[1]) && !path[n])
            *ret_root = true;
        else if (is_open(*rest) && n > best_len && str_ends(path + n, ending_of(r->pattern))) {
            best = r;
            best_len = n;
        }
    }
    return best;
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
    bool root;
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
    row = find_pattern(decoded, &root);
    if (root) {
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
