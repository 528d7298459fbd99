#include "api/ask.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "api/quote.h"
#include "api/routes.h"
#include "api/url.h"
#include "base/parse.h"
#include "base/str.h"
#include "model/texts.h"
#include "wire/http1.h"

/* the parameters as they came: NULL = not given; the first of several wins */
struct raw {
    const char *region, *namespace_, *prefix, *stale, *index, *wait, *pretty, *per_page,
        *next_token, *filter, *reverse, *resources, *os;
};

static const struct {
    const char *name;
    size_t off;
} params[] = {
    {"region",     offsetof(struct raw, region)    },
    {"namespace",  offsetof(struct raw, namespace_)},
    {"prefix",     offsetof(struct raw, prefix)    },
    {"stale",      offsetof(struct raw, stale)     },
    {"index",      offsetof(struct raw, index)     },
    {"wait",       offsetof(struct raw, wait)      },
    {"pretty",     offsetof(struct raw, pretty)    },
    {"per_page",   offsetof(struct raw, per_page)  },
    {"next_token", offsetof(struct raw, next_token)},
    {"filter",     offsetof(struct raw, filter)    },
    {"reverse",    offsetof(struct raw, reverse)   },
    {"resources",  offsetof(struct raw, resources) },
    {"os",         offsetof(struct raw, os)        },
};

static void take_type(struct ask *q, const char *value)
{
    q->type_given = true;
    if (str_eq(value, "client"))
        q->type_client = true;
    else if (str_eq(value, "server"))
        q->type_server = true;
}

static void read_query(struct ask *q, char *query, struct raw *raw)
{
    const char *key, *value;

    while (url_next_pair(&query, &key, &value)) {
        if (str_eq(key, "type"))
            take_type(q, value);
        for (size_t i = 0; i < ARRAY_LEN(params); i++) {
            const char **at = (const char **)((char *)raw + params[i].off);

            if (!*at && str_eq(key, params[i].name))
                *at = value;
        }
    }
}

/* command/agent/http.go parse(): stale, pages, wait, index, in this order */
static int read_params(struct ask *q, const struct raw *raw, struct err *e)
{
    int64_t per_page = 0;

    q->stale = raw->stale != NULL;
    if (!str_empty(raw->stale) && parse_bool(raw->stale, &q->stale) < 0)
        return err_set_status(e, -EINVAL, 400, TEXT_HTTP_STALE);
    if (!str_empty(raw->per_page) &&
        (parse_i64(raw->per_page, &per_page) < 0 || per_page > INT32_MAX || per_page < INT32_MIN))
        return err_set_status(e, -EINVAL, 400, TEXT_HTTP_PER_PAGE);
    q->per_page = (int32_t)per_page;
    q->reverse = str_eq(raw->reverse, "true");
    if (!str_empty(raw->wait) && parse_duration(raw->wait, &q->wait_ns) < 0)
        return err_set_status(e, -EINVAL, 400, TEXT_HTTP_WAIT);
    if (!str_empty(raw->index) && parse_u64(raw->index, &q->index) < 0)
        return err_set_status(e, -EINVAL, 400, TEXT_HTTP_INDEX);
    return 0;
}

static int read_bool(const char *name, const char *value, bool *ret, struct err *e)
{
    char quoted[128];

    if (str_empty(value) || parse_bool(value, ret) == 0)
        return 0;
    quote_go(value, quoted, sizeof(quoted));
    return err_set_status(e, -EINVAL, 400,
                          "Failed to parse node list fields: Failed to parse value of \"%s\" "
                          "(%s) as a bool: strconv.ParseBool: parsing %s: invalid syntax",
                          name, value, quoted);
}

/* the token of a request: X-Nomad-Token wins over Authorization */
static char *find_token(const struct http_request *q)
{
    const char *value = http_request_header(q, "X-Nomad-Token");

    if (str_empty(value)) {
        value = http_request_header(q, "Authorization");
        if (!value || strncasecmp(value, "Bearer ", 7) != 0)
            return NULL;
        value += 7;
        value += strspn(value, " ");
        return xstrndup(value, strcspn(value, " "));
    }
    return xstrdup(value); /* http1 has trimmed it */
}

enum ask_encoding ask_encoding(const struct http_request *q)
{
    const char *at = http_request_header(q, "Accept-Encoding");

    if (!at || http_request_header(q, "Upgrade"))
        return ENCODING_NONE;
    while (*at) {
        size_t n;

        at += strspn(at, " \t,");
        n = strcspn(at, ",");
        while (n > 0 && strchr(" \t", at[n - 1]))
            n--;
        if (n == 4 && memcmp(at, "gzip", 4) == 0)
            return ENCODING_GZIP;
        if (n == 7 && memcmp(at, "deflate", 7) == 0)
            return ENCODING_DEFLATE;
        at += strcspn(at, ",");
    }
    return ENCODING_NONE;
}

static char *append(char **at, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = *at;

    memcpy(p, s, n);
    *at += n;
    return p;
}

int ask_parse(struct ask *ret, const struct http_request *hq, const struct route *route,
              const char *id, struct err *e)
{
    _cleanup_free_ char *token = find_token(hq);
    struct ask q = {.route = route};
    struct raw raw = {0};
    char *at;
    int r = 0;

    q.encoding = (uint8_t)ask_encoding(hq);
    at = q.text = xnew0_n(char, strlen(id) + strlen(hq->query) + strlen(str_or_empty(token)) + 3);
    q.id = append(&at, id);
    q.token = append(&at, str_or_empty(token));
    read_query(&q, append(&at, hq->query), &raw);
    q.pretty = raw.pretty && !str_eq(raw.pretty, "0");
    q.region = str_or_empty(raw.region);
    q.namespace_ = str_empty(raw.namespace_) ? "default" : raw.namespace_;
    q.prefix = str_or_empty(raw.prefix);
    q.filter = str_or_empty(raw.filter);
    q.next_token = str_or_empty(raw.next_token);
    if (route->flags & ROUTE_PARAMS)
        r = read_params(&q, &raw, e);
    if (r == 0 && (route->flags & ROUTE_LIST_FIELDS))
        r = read_bool("resources", raw.resources, &q.resources, e);
    if (r == 0 && (route->flags & ROUTE_LIST_FIELDS))
        r = read_bool("os", raw.os, &q.os, e);
    if (r < 0) {
        ask_done(&q);
        return r;
    }
    *ret = q;
    return 0;
}

void ask_done(struct ask *q)
{
    free(q->text);
    *q = (struct ask){0};
}
