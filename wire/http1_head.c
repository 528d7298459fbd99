#include "wire/http1_head.h"

#include <errno.h>
#include <http_parser.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/str.h"

/* --- where does the head end? --- */

static int bad_syntax(struct err *e, const char *what)
{
    return err_set_status(e, -EBADMSG, 400, "malformed HTTP head: %s", what);
}

static int check_byte(const struct http_scan *s, const uint8_t *p, size_t i, struct err *e)
{
    uint8_t c = p[i], last = i > 0 ? p[i - 1] : 0;

    if (last == '\r' && c != '\n')
        return bad_syntax(e, "carriage return without line feed");
    if (c == '\n' && last != '\r')
        return bad_syntax(e, "line feed without carriage return");
    if (c == 0x7f || (c < 0x20 && c != '\t' && c != '\r' && c != '\n'))
        return bad_syntax(e, "control character");
    if (i == s->line && (c == ' ' || c == '\t'))
        return bad_syntax(e, i == 0 ? "blank before the request line" : "folded header line");
    return 0;
}

ssize_t http_head_scan(struct http_scan *s, const uint8_t *p, size_t n, struct err *e)
{
    for (size_t i = s->at; i < n; i++) {
        int r;

        if (i >= HTTP_HEAD_MAX)
            return err_set_status(e, -EMSGSIZE, 431, "header is larger than %zu bytes",
                                  HTTP_HEAD_MAX);
        r = check_byte(s, p, i, e);
        if (r < 0)
            return r;
        s->at = (uint32_t)i + 1;
        if (p[i] != '\n')
            continue;
        if (i == s->line + 1)
            return (ssize_t)i + 1;
        s->line = (uint32_t)i + 1;
    }
    return 0;
}

/* --- what does it say? --- */

struct collect {
    struct http_head *head;
    const uint8_t *in; /* the head as it came */
    char *text;        /* its copy, cut up with NULs */
    size_t n_max;
    size_t target_at, target_len;
    size_t name_at, name_len, value_at, value_len; /* of the header being read */
    bool open;                                     /* a header is being read */
    bool too_many;
};

/* a header is complete: cut its name and value out of the copy */
static void finish_header(struct collect *c)
{
    struct http_header *h;

    if (!c->open)
        return;
    c->open = false;
    h = &c->head->headers[c->head->n_headers - 1];
    c->text[c->name_at + c->name_len] = 0;
    h->name = c->text + c->name_at;
    h->value = "";
    if (c->value_len == 0)
        return; /* value_at is behind the line then */
    while (c->value_len > 0 && strchr(" \t", c->text[c->value_at + c->value_len - 1]))
        c->value_len--;
    c->text[c->value_at + c->value_len] = 0;
    h->value = c->text + c->value_at;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    struct collect *c = p->data;

    if (c->target_len == 0)
        c->target_at = (size_t)((const uint8_t *)at - c->in);
    c->target_len += n;
    return 0;
}

static int on_name(http_parser *p, const char *at, size_t n)
{
    struct collect *c = p->data;

    if (c->open && c->value_at) /* the header before this one has its value */
        finish_header(c);
    if (!c->open) {
        if (c->head->n_headers == c->n_max) {
            c->too_many = true;
            return -1;
        }
        c->head->n_headers++;
        c->open = true;
        c->name_at = (size_t)((const uint8_t *)at - c->in);
        c->name_len = c->value_at = c->value_len = 0;
    }
    c->name_len += n;
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    struct collect *c = p->data;

    if (!c->value_at)
        c->value_at = (size_t)((const uint8_t *)at - c->in);
    c->value_len += n;
    return 0;
}

static int on_headers_complete(http_parser *p)
{
    struct collect *c = p->data;

    finish_header(c);
    c->head->minor = (uint8_t)p->http_minor;
    c->head->keep_alive = http_should_keep_alive(p) != 0;
    c->head->method = http_method_str((enum http_method)p->method);
    return 1; /* the body is ours */
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
};

/* RFC 9110 5.6.2; http-parser as Debian builds it lets blanks through */
static bool is_token(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++) {
        bool alnum = (*s >= '0' && *s <= '9') || ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'z');

        if (!alnum && !strchr("!#$%&'*+-.^_`|~", *s))
            return false;
    }
    return true;
}

const char *http_headers_get(const struct http_header *h, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(h[i].name, name) == 0)
            return h[i].value;
    return NULL;
}

static size_t count_header(const struct http_head *h, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_headers; i++)
        n += strcasecmp(h->headers[i].name, name) == 0;
    return n;
}

/* Where does the body end?  Every doubt is refused: two readers that answer differently are how
 * requests are smuggled (RFC 9112 6.3). */
static int check_framing(struct http_head *h, uint64_t max_body, struct err *e)
{
    size_t n_length = count_header(h, "Content-Length");
    size_t n_coding = count_header(h, "Transfer-Encoding");
    const char *length = http_headers_get(h->headers, h->n_headers, "Content-Length");
    const char *coding = http_headers_get(h->headers, h->n_headers, "Transfer-Encoding");
    int r;

    if (n_length > 1)
        return bad_syntax(e, "more than one Content-Length");
    if (n_length && n_coding)
        return bad_syntax(e, "Content-Length together with Transfer-Encoding");
    if (n_coding > 1)
        return bad_syntax(e, "more than one Transfer-Encoding");
    if (coding) {
        if (h->minor == 0)
            return bad_syntax(e, "Transfer-Encoding in HTTP/1.0");
        if (strcasecmp(coding, "chunked") != 0)
            return err_set_status(e, -EBADMSG, 501, "unsupported transfer encoding");
        h->chunked = true;
    }
    if (!length)
        return 0;
    r = parse_u64(length, &h->length);
    if (r == -EINVAL || (r == 0 && strlen(length) > 20))
        return bad_syntax(e, "Content-Length is not a number");
    if (r < 0 || h->length > max_body)
        return err_set_status(e, -EMSGSIZE, 413, "body is larger than %llu bytes",
                              (unsigned long long)max_body);
    h->has_length = true;
    return 0;
}

static int check_request(struct http_head *h, struct err *e)
{
    size_t hosts = count_header(h, "Host");
    const char *expect = http_headers_get(h->headers, h->n_headers, "Expect");

    if (hosts > 1)
        return bad_syntax(e, "more than one Host");
    if (hosts == 0 && h->minor >= 1)
        return bad_syntax(e, "missing Host");
    if (expect) {
        if (strcasecmp(expect, "100-continue") != 0)
            return err_set_status(e, -EBADMSG, 417, "unknown expectation");
        h->expect_continue = h->minor >= 1;
    }
    return 0;
}

/* "/path?query", "http://host/path?query", "*" */
static int split_target(struct http_head *h, char *path, struct err *e)
{
    char *mark;

    if (strncasecmp(path, "http://", 7) == 0 || strncasecmp(path, "https://", 8) == 0) {
        char *host = strchr(path, ':') + 3;

        path = host + strcspn(host, "/?");
        if (*path != '/') { /* no path: make room by giving up the last byte of the host */
            *--path = '/';
        }
    }
    if (*path != '/' && strcmp(path, "*") != 0)
        return bad_syntax(e, "request target has no path");
    h->path = path;
    mark = strchr(path, '?');
    h->query = mark ? mark + 1 : "";
    if (mark)
        *mark = 0;
    return 0;
}

static size_t count_lines(const uint8_t *p, size_t n)
{
    size_t lines = 0;
    const uint8_t *end = p + n;

    for (; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
        lines++;
    return lines;
}

static int check_version(const http_parser *p, struct err *e)
{
    if (p->http_major == 1 && p->http_minor <= 1)
        return 0;
    return err_set_status(e, -EBADMSG, 505, "HTTP version is not 1.0 or 1.1");
}

static int run_parser(struct collect *c, size_t n, struct err *e)
{
    http_parser parser;
    size_t used;

    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = c;
    used = http_parser_execute(&parser, &settings, (const char *)c->in, n);
    if (c->too_many)
        return err_set_status(e, -EMSGSIZE, 431, "more than %d header lines", HTTP_HEADERS_MAX);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK)
        return bad_syntax(e, http_errno_description(HTTP_PARSER_ERRNO(&parser)));
    if (used != n || !c->head->method)
        return bad_syntax(e, "no end of headers");
    return check_version(&parser, e);
}

int http_head_parse(const uint8_t *p, size_t n, uint64_t max_body, struct http_head **ret,
                    struct err *e)
{
    size_t lines = count_lines(p, n), n_max = MIN(lines, (size_t)HTTP_HEADERS_MAX);
    _cleanup_free_ struct http_head *h = NULL;
    struct collect c = {.in = p, .n_max = n_max};
    char *target;
    int r;

    /* the head's text twice: cut into headers, and the target on its own */
    h = try_alloc(sizeof(*h) + n_max * sizeof(struct http_header) + 2 * (n + 1));
    if (!h)
        return err_set_status(e, -ENOMEM, 503, "out of memory");
    *h = (struct http_head){0};
    c.head = h;
    c.text = (char *)&h->headers[n_max];
    memcpy(c.text, p, n);
    r = run_parser(&c, n, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < h->n_headers; i++)
        if (!is_token(h->headers[i].name))
            return bad_syntax(e, "invalid header name");
    r = check_framing(h, max_body, e);
    if (r < 0)
        return r;
    c.text[c.target_at + c.target_len] = 0;
    h->target = c.text + c.target_at;
    target = c.text + n + 1;
    memcpy(target, h->target, c.target_len + 1);
    r = check_request(h, e);
    if (r == 0)
        r = split_target(h, target, e);
    if (r < 0)
        return r;
    *ret = steal_ptr(&h);
    return 0;
}
