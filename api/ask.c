#include "api/ask.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "api/quote.h"
#include "api/routes.h"
#include "api/url.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/str.h"
#include "base/vec.h"
#include "model/texts.h"
#include "wire/http1.h"

enum { ADDRESSES_MAX = 64 }; /* as many servers as one list has */

/* the parameters as they came: NULL = not given; the first of several wins */
struct raw {
    const char *region, *namespace_, *prefix, *stale, *index, *wait, *pretty, *per_page,
        *next_token, *filter, *reverse, *resources, *os, *node_id, *server_id, *explain, *format,
        *log_level, *log_json, *plain, *enable;
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
    {"node_id",    offsetof(struct raw, node_id)   },
    {"server_id",  offsetof(struct raw, server_id) },
    {"explain",    offsetof(struct raw, explain)   },
    {"format",     offsetof(struct raw, format)    },
    {"log_level",  offsetof(struct raw, log_level) },
    {"log_json",   offsetof(struct raw, log_json)  },
    {"plain",      offsetof(struct raw, plain)     },
    {"enable",     offsetof(struct raw, enable)    },
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
        if (str_eq(key, "address") && q->n_addresses < ADDRESSES_MAX)
            *(const char **)vec_add(&q->addresses, &q->n_addresses) = value;
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

/* command/agent/agent_endpoint.go AgentMonitor, in its order */
static int read_log_params(struct ask *q, const struct raw *raw, struct err *e)
{
    static const struct {
        const char *name;
        size_t value, ret;
    } options[] = {
        {"log json", offsetof(struct raw, log_json), offsetof(struct ask, log_json)},
        {"plain",    offsetof(struct raw, plain),    offsetof(struct ask, plain)   },
    };
    enum log_level level;

    if (!str_empty(q->log_level) && log_level_parse(q->log_level, &level) < 0)
        return err_set_status(e, -EINVAL, 400, "Unknown log level: %s", q->log_level);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const char *value = *(const char *const *)((const char *)raw + options[i].value);
        char quoted[128];

        if (str_empty(value) || parse_bool(value, (bool *)((char *)q + options[i].ret)) == 0)
            continue;
        quote_go(value, quoted, sizeof(quoted));
        return err_set_status(e, -EINVAL, 400,
                              "Unknown option for %s: strconv.ParseBool: parsing %s: invalid "
                              "syntax",
                              options[i].name, quoted);
    }
    if (*q->node_id && *q->server_id)
        return err_set_status(e, -EINVAL, 400, "Cannot target node and server simultaneously");
    return 0;
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

static void fill_texts(struct ask *q, const struct raw *raw)
{
    q->pretty = raw->pretty && !str_eq(raw->pretty, "0");
    q->region = str_or_empty(raw->region);
    q->namespace_ = str_empty(raw->namespace_) ? "default" : raw->namespace_;
    q->prefix = str_or_empty(raw->prefix);
    q->filter = str_or_empty(raw->filter);
    q->next_token = str_or_empty(raw->next_token);
    q->node_id = str_or_empty(raw->node_id);
    q->server_id = str_or_empty(raw->server_id);
    q->explain = str_or_empty(raw->explain);
    q->format = str_or_empty(raw->format);
    q->enable = str_or_empty(raw->enable);
    q->log_level = str_or_empty(raw->log_level);
}

/* what is wrong for this route */
static int check(struct ask *q, const struct raw *raw, struct err *e)
{
    unsigned flags = q->route->flags;
    int r = 0;

    if (flags & ROUTE_PARAMS)
        r = read_params(q, raw, e);
    if (r == 0 && (flags & ROUTE_LIST_FIELDS))
        r = read_bool("resources", raw->resources, &q->resources, e);
    if (r == 0 && (flags & ROUTE_LIST_FIELDS))
        r = read_bool("os", raw->os, &q->os, e);
    if (r == 0 && (flags & ROUTE_LOG))
        r = read_log_params(q, raw, e);
    return r;
}

int ask_parse(struct ask *ret, const struct http_request *hq, const struct route *route,
              const char *id, struct err *e)
{
    _cleanup_free_ char *token = find_token(hq);
    size_t body_len = (route->flags & ROUTE_BODY) ? hq->body_len : 0;
    struct ask q = {.route = route};
    struct raw raw = {0};
    char *at;
    int r;

    q.encoding = (uint8_t)ask_encoding(hq);
    q.peer_is_unix = hq->peer_is_unix;
    q.peer_uid = hq->peer_uid;
    /* http1 has held the body to HTTP_BODY_MAX */
    at = q.text =
        xnew0_n(char, strlen(id) + strlen(hq->query) + strlen(str_or_empty(token)) + body_len + 4);
    q.id = append(&at, id);
    q.token = append(&at, str_or_empty(token));
    read_query(&q, append(&at, hq->query), &raw);
    fill_texts(&q, &raw);
    q.body = (uint8_t *)at;
    q.body_len = body_len;
    if (body_len > 0)
        memcpy(at, hq->body, body_len);
    r = check(&q, &raw, e);
    if (r < 0) {
        ask_done(&q);
        return r;
    }
    *ret = q;
    return 0;
}

static char *text(const char *s)
{
    return (char *)(uintptr_t)s; /* requests are only read */
}

struct query_options ask_query_options(const struct ask *q, const char *region)
{
    return (struct query_options){
        .region = text(*q->region ? q->region : region),
        .namespace_ = text(q->namespace_),
        .min_query_index = q->index,
        .max_query_time = q->wait_ns,
        .allow_stale = q->stale,
        .prefix = text(q->prefix),
        .auth_token = text(q->token),
        .filter = text(q->filter),
        .per_page = q->per_page,
        .next_token = text(q->next_token),
        .reverse = q->reverse,
    };
}

struct write_request ask_write_request(const struct ask *q, const char *region)
{
    return (struct write_request){
        .region = text(*q->region ? q->region : region),
        .namespace_ = text(q->namespace_),
        .auth_token = text(q->token),
    };
}

void ask_done(struct ask *q)
{
    free(q->text);
    free(q->addresses);
    *q = (struct ask){0};
}
