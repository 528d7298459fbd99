#include "api/reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/ask.h"
#include "api/cache.h"
#include "api/gzip.h"
#include "api/pages.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "codec/js.h"
#include "model/texts.h"

enum {
    COMPRESS_MIN = 256, /* below it a gzip member is hardly smaller than the text */
    PAGES_MIN = 64,     /* items; a shorter list is compressed as a whole */
    OWN_HEADERS_MAX = 8,
};

#define TEXT_PLAIN "text/plain; charset=utf-8"

void reply_init(struct reply *r)
{
    *r = (struct reply){.status = 200, .body = BUF_INIT(HTTP_REPLY_MAX)};
}

void reply_done(struct reply *r)
{
    buf_done(&r->body);
    node_list_done(&r->items);
    blob_list_done(&r->parts);
    free(r->next_token);
    free(r->location);
    *r = (struct reply){0};
}

void reply_json(struct reply *r)
{
    r->content_type = "application/json";
    r->is_json = true;
}

void reply_list(struct reply *r, char *const *v, size_t n)
{
    buf_add_byte(&r->body, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_byte(&r->body, ',');
        js_str(&r->body, v[i]);
    }
    buf_add_byte(&r->body, ']');
    reply_json(r);
}

void reply_text(struct reply *r, int status, const char *text)
{
    buf_reset(&r->body);
    blob_list_done(&r->parts);
    buf_add_str(&r->body, text);
    r->status = status;
    r->content_type = TEXT_PLAIN;
    r->is_json = r->laid_out = false;
    r->render_items = NULL;
    r->stream = NULL;
    r->coding = NULL;
    r->next_token = mem_free(r->next_token);
}

/* --- errors --- */

/* "RPC Error:: 404,Unknown node": how an HTTP status travels through an RPC error */
static bool split_rpc_error(const char *text, int *ret_status, const char **ret_text)
{
    static const char mark[] = "RPC Error:: ";
    const char *at = strstr(text, mark), *comma;
    char number[4] = "";
    uint64_t status;

    if (!at)
        return false;
    at += sizeof(mark) - 1;
    comma = strchr(at, ',');
    if (!comma || comma - at != 3)
        return false;
    memcpy(number, at, 3);
    if (parse_u64(number, &status) < 0 || status < 400 || status > 599)
        return false;
    *ret_status = (int)status;
    *ret_text = comma + 1;
    return true;
}

static const struct {
    const char *suffix;
    int status;
} suffixes[] = {
    {TEXT_PERMISSION_DENIED,                                                              403},
    {TEXT_TOKEN_NOT_FOUND,                                                                403},
    {"Job registration, dispatch, and scale are disabled by the scheduler configuration", 403},
    {"Filter expression cannot be used with other filter parameters",                     400},
};

void reply_error(struct reply *r, const struct err *e)
{
    const char *text = e->text;
    int status = e->status;

    if (status == 0 && !split_rpc_error(e->text, &status, &text)) {
        status = 500;
        for (size_t i = 0; i < ARRAY_LEN(suffixes) && status == 500; i++) {
            if (str_ends(text, suffixes[i].suffix)) {
                status = suffixes[i].status;
                text = suffixes[i].suffix;
            }
        }
    }
    r->has_meta = false;
    reply_text(r, status, text);
}

/* --- sending --- */

void reply_lay_out(struct reply *r)
{
    struct buf out = BUF_INIT(HTTP_REPLY_MAX);

    if (!r->is_json || r->laid_out)
        return;
    js_pretty(&out, (const char *)r->body.p, r->body.len);
    buf_done(&r->body);
    r->body = out;
    r->laid_out = true;
}

/* the name of the coding that the body has now; NULL = none */
static const char *compress_body(struct reply *r, unsigned encoding)
{
    struct buf out = BUF_INIT(HTTP_REPLY_MAX);

    if (encoding == ENCODING_NONE || r->body.len < COMPRESS_MIN)
        return NULL;
    if (gzip_compress(&out, r->body.p, r->body.len, encoding == ENCODING_DEFLATE) < 0) {
        buf_done(&out);
        return NULL;
    }
    buf_done(&r->body);
    r->body = out;
    return encoding == ENCODING_DEFLATE ? "deflate" : "gzip";
}

void reply_make_body(struct reply *r, const struct ask *q)
{
    struct node_list_at at = {0};
    struct err e = {0};

    if (!r->render_items)
        return;
    if (r->render_items(&r->body, &r->items, &at, r->items.n, q, &e) < 0)
        reply_error(r, &e);
    else if (buf_ok(&r->body) < 0)
        reply_error(r, &(struct err){.text = "the reply is too large"});
}

/* makes the body in the form asked for; returns its coding */
static const char *make_form(struct reply *r, const struct ask *q)
{
    reply_make_body(r, q);
    if (q->pretty)
        reply_lay_out(r);
    if (buf_ok(&r->body) < 0) {
        buf_done(&r->body);
        reply_error(r, &(struct err){.text = "the reply is too large"});
    }
    return compress_body(r, q->encoding);
}

bool reply_is_joined(const struct reply *r, const struct ask *q, const struct reply_shared *s)
{
    bool gzip = q->encoding == ENCODING_GZIP && r->items.n >= PAGES_MIN;

    return r->render_items && r->is_stubs && s->pages && !q->pretty &&
           (q->encoding == ENCODING_NONE || gzip);
}

static const char *join(struct reply *r, const struct ask *q, struct pages *pages)
{
    bool gzip = q->encoding == ENCODING_GZIP;
    struct err e = {0};

    if (pages_are_full(pages))
        reply_text(r, 503, "the server is busy: slow readers of node lists hold its memory\n");
    else if (pages_body(pages, &r->items, gzip, &r->parts, &e) < 0)
        reply_error(r, &e);
    else if (gzip)
        return "gzip";
    return NULL;
}

/* the same by what was kept */
static const char *find_form(struct reply *r, const struct ask *q, const struct reply_shared *s)
{
    struct blob *kept;
    const char *coding;

    if (r->coding)
        return r->coding;
    if (r->is_stubs && s->pages)
        pages_touch(s->pages);
    if (reply_is_joined(r, q, s))
        return join(r, q, s->pages);
    if (!r->render_items || r->one_off || !s->cache)
        return make_form(r, q);
    kept = cache_get(s->cache, r, q, &coding);
    if (kept && s->pages && pages_are_full(s->pages)) { /* one of its own, that has its ceiling */
        buf_add(&r->body, kept->bytes, kept->len);
        return coding;
    }
    if (kept) {
        blob_list_add(&r->parts, blob_ref(kept), 0, kept->len);
        return coding;
    }
    coding = make_form(r, q);
    if (r->status == 200)
        cache_put(s->cache, r, q, coding);
    return coding;
}

struct headers {
    struct http_header *v; /* owned */
    size_t n;
    char index[24], last_contact[24];
};

static void add_header(struct headers *h, const char *name, const char *value)
{
    if (value)
        h->v[h->n++] = (struct http_header){name, value};
}

static bool has_header(const struct headers *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++)
        if (strcasecmp(h->v[i].name, name) == 0)
            return true;
    return false;
}

/* what is ours to say, or http1's */
static bool is_reserved(const char *name)
{
    static const char *const names[] = {"Content-Length", "Transfer-Encoding", "Connection",
                                        "Date"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

/* Spelling as Go puts it on the wire: X-Nomad-Knownleader (fact: http-api 1). */
static void add_headers(struct headers *h, const struct reply *r, const char *coding,
                        const struct strmap *configured)
{
    size_t n_configured = configured && !r->bare ? configured->n : 0;

    h->v = xnew0_n(struct http_header, OWN_HEADERS_MAX + n_configured);
    add_header(h, "Content-Type", r->body.len || r->parts.bytes ? r->content_type : NULL);
    add_header(h, "Content-Encoding", coding);
    add_header(h, "Vary", "Accept-Encoding");
    add_header(h, "Location", r->location);
    if (r->has_meta) {
        (void)snprintf(h->index, sizeof(h->index), "%llu", (unsigned long long)r->meta.index);
        (void)snprintf(h->last_contact, sizeof(h->last_contact), "%llu",
                       (unsigned long long)r->meta.last_contact_ms);
        add_header(h, "X-Nomad-Index", h->index);
    }
    if (r->has_meta && !r->index_only) {
        add_header(h, "X-Nomad-Knownleader", r->meta.known_leader ? "true" : "false");
        add_header(h, "X-Nomad-Lastcontact", h->last_contact);
    }
    add_header(h, "X-Nomad-Nexttoken", r->next_token);
    for (size_t i = 0; i < n_configured; i++)
        if (!has_header(h, configured->items[i].key) && !is_reserved(configured->items[i].key))
            add_header(h, configured->items[i].key, configured->items[i].value);
}

void reply_send(struct reply *take_r, const struct ask *q, const struct reply_shared *shared,
                struct http_exchange *take_x)
{
    const char *coding = find_form(take_r, q, shared);
    struct headers h = {0};

    add_headers(&h, take_r, coding, shared->configured);
    if (take_r->parts.n > 0)
        http_answer_blobs(take_x, take_r->status, h.v, h.n, &take_r->parts);
    else
        http_answer_buf(take_x, take_r->status, h.v, h.n, &take_r->body);
    free(h.v);
    reply_done(take_r);
}

void reply_stream(struct reply *take_r, const struct reply_shared *shared,
                  struct http_exchange *take_x)
{
    struct headers h = {0};

    add_headers(&h, take_r, NULL, shared->configured);
    take_r->stream(take_r->stream_arg, take_x, h.v, h.n);
    free(h.v);
    reply_done(take_r);
}
