#include "api/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"

#define CONNECT_TIMEOUT_MS 10000L

struct client {
    CURL *curl;
    char *base;      /* owned: "http://host:port" */
    char *shown;     /* owned: the address as given, for messages */
    char *unix_path; /* owned; NULL = TCP */
    char *resolve;   /* owned: a server name that stands for the address's host; NULL */
    char *token, *region, *namespace_;
    char *ca_file, *ca_dir, *cert_file, *key_file;
    bool skip_verify;
    uint64_t timeout_ns;
    size_t max_reply;
    char error[CURL_ERROR_SIZE];
};

void client_reply_done(struct client_reply *r)
{
    buf_done(&r->body);
    free(r->next_token);
    free(r->content_type);
    *r = (struct client_reply){0};
}

void client_escape(struct buf *b, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (alnum || strchr("-_.~", c))
            buf_add_byte(b, c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

/* --- making one --- */

/* Checks the certificate against another name than the address has: the name goes into the URL, and
 * libcurl is told to connect to the address. */
static int use_server_name(struct client *c, const char *name, struct err *e)
{
    const char *host = strstr(c->base, "://") + 3;
    const char *port = strrchr(host, ':');
    char *base;

    if (str_empty(name) || c->unix_path)
        return 0;
    if (!port || strchr(port, ']'))
        return err_set(e, -EINVAL, "address %s needs a port when a TLS server name is given",
                       c->shown);
    c->resolve = xasprintf("%s%s:%.*s%s", name, port, (int)(port - host), host, port);
    base = xasprintf("https://%s%s", name, port);
    free(c->base);
    c->base = base;
    return 0;
}

static int set_address(struct client *c, const struct client_opts *o, struct err *e)
{
    const char *a = str_or_empty(o->address);
    size_t n = strlen(a);

    c->shown = xstrdup(a);
    if (str_starts(a, "unix://") && a[7] == '/') {
        c->unix_path = xstrdup(a + 7);
        c->base = xstrdup("http://localhost");
        return 0;
    }
    if ((!str_starts(a, "http://") || n == 7) && (!str_starts(a, "https://") || n == 8))
        return err_set(e, -EINVAL,
                       "address \"%s\" is not http://HOST:PORT, https://HOST:PORT or unix:///PATH",
                       a);
    while (n > 0 && a[n - 1] == '/')
        n--;
    c->base = xstrndup(a, n);
    return use_server_name(c, str_starts(a, "https://") ? o->server_name : NULL, e);
}

int client_new(const struct client_opts *o, struct client **ret, struct err *e)
{
    _cleanup_(client_freep) struct client *c = xnew0(struct client);
    int r;

    r = set_address(c, o, e);
    if (r < 0)
        return r;
    c->token = xstrdup(o->token);
    c->region = xstrdup(o->region);
    c->namespace_ = xstrdup(o->namespace_);
    c->ca_file = xstrdup(o->ca_file);
    c->ca_dir = xstrdup(o->ca_dir);
    c->cert_file = xstrdup(o->cert_file);
    c->key_file = xstrdup(o->key_file);
    c->skip_verify = o->skip_verify;
    c->timeout_ns = o->timeout_ns;
    c->max_reply = o->max_reply ? o->max_reply : HTTP_REPLY_MAX;
    c->curl = curl_easy_init();
    if (!c->curl)
        return err_set(e, -ENOMEM, "libcurl cannot be used");
    *ret = steal_ptr(&c);
    return 0;
}

struct client *client_free(struct client *c)
{
    if (!c)
        return NULL;
    curl_easy_cleanup(c->curl);
    free(c->base);
    free(c->shown);
    free(c->unix_path);
    free(c->resolve);
    free(c->token);
    free(c->region);
    free(c->namespace_);
    free(c->ca_file);
    free(c->ca_dir);
    free(c->cert_file);
    free(c->key_file);
    return mem_free(c);
}

/* --- one call --- */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct client_reply *r = arg;

    buf_add(&r->body, p, size * n);
    return buf_ok(&r->body) < 0 ? 0 : size * n;
}

/* "Name: value\r\n" as a string when it has this name */
static char *header_value(const char *p, size_t n, const char *name)
{
    size_t len = strlen(name);
    char *value;

    if (n <= len || strncasecmp(p, name, len) != 0 || p[len] != ':')
        return NULL;
    value = xstrndup(p + len + 1, n - len - 1);
    memmove(value, value + strspn(value, " \t"), strlen(value + strspn(value, " \t")) + 1);
    (void)str_trim(value);
    return value;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    _cleanup_free_ char *index = header_value(p, size * n, "X-Nomad-Index");
    char *token = header_value(p, size * n, "X-Nomad-NextToken");
    char *type = header_value(p, size * n, "Content-Type");
    struct client_reply *r = arg;

    if (index && parse_u64(index, &r->index) < 0)
        r->index = 0;
    if (token) {
        free(r->next_token);
        r->next_token = token;
    }
    if (type) {
        free(r->content_type);
        r->content_type = type;
    }
    return size * n;
}

static char *make_url(const struct client *c, const char *target)
{
    _cleanup_buf_ struct buf b = BUF_INIT(HTTP_HEAD_MAX);
    char mark = strchr(target, '?') ? '&' : '?';

    buf_add_str(&b, c->base);
    buf_add_str(&b, target);
    if (!str_empty(c->region)) {
        buf_printf(&b, "%cregion=", mark);
        client_escape(&b, c->region);
        mark = '&';
    }
    if (!str_empty(c->namespace_)) {
        buf_printf(&b, "%cnamespace=", mark);
        client_escape(&b, c->namespace_);
    }
    return (char *)buf_take(&b, NULL);
}

static void set_tls(struct client *c)
{
    long verify = c->skip_verify ? 0 : 1;

    (void)curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYPEER, verify);
    (void)curl_easy_setopt(c->curl, CURLOPT_SSL_VERIFYHOST, verify * 2);
    if (!str_empty(c->ca_file))
        (void)curl_easy_setopt(c->curl, CURLOPT_CAINFO, c->ca_file);
    if (!str_empty(c->ca_dir))
        (void)curl_easy_setopt(c->curl, CURLOPT_CAPATH, c->ca_dir);
    if (!str_empty(c->cert_file))
        (void)curl_easy_setopt(c->curl, CURLOPT_SSLCERT, c->cert_file);
    if (!str_empty(c->key_file))
        (void)curl_easy_setopt(c->curl, CURLOPT_SSLKEY, c->key_file);
}

static void set_method(struct client *c, const char *method, const void *body, size_t n)
{
    if (str_eq(method, "HEAD")) {
        (void)curl_easy_setopt(c->curl, CURLOPT_NOBODY, 1L);
        return;
    }
    if (n > 0 || !str_eq(method, "GET")) {
        (void)curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
        (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, n > 0 ? body : "");
    }
    (void)curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, method);
}

static struct curl_slist *make_headers(const struct client *c, size_t n)
{
    _cleanup_free_ char *token = NULL;
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    if (n > 0)
        list = curl_slist_append(list, "Content-Type: application/json");
    if (!str_empty(c->token)) {
        token = xasprintf("X-Nomad-Token: %s", c->token);
        list = curl_slist_append(list, token);
    }
    return list;
}

static void set_transfer(struct client *c, struct client_reply *r)
{
    curl_easy_reset(c->curl);
    (void)curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
    (void)curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(c->curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    (void)curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "picket/" PICKET_VERSION);
    (void)curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, (long)(c->timeout_ns / NSEC_PER_MSEC));
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, r);
    (void)curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, r);
    if (c->unix_path) {
        (void)curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->unix_path);
        (void)curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
    }
    set_tls(c);
}

static int transfer_failed(struct client *c, CURLcode code, const struct client_reply *r,
                           struct err *e)
{
    const char *text = c->error[0] ? c->error : curl_easy_strerror(code);

    if (code == CURLE_WRITE_ERROR && buf_ok(&r->body) < 0)
        return err_set(e, -EMSGSIZE, "%s: the reply is larger than %zu bytes", c->shown,
                       r->body.max);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(e, -ETIMEDOUT, "%s: %s", c->shown, text);
    if (code == CURLE_COULDNT_CONNECT)
        return err_set(e, -ECONNREFUSED, "%s: %s", c->shown, text);
    return err_set(e, -EIO, "%s: %s", c->shown, text);
}

/* runs what has been set up; *ret_status is 0 when no answer began */
static CURLcode perform(struct client *c, const char *target, size_t n_body, int *ret_status)
{
    _cleanup_free_ char *url = make_url(c, target);
    struct curl_slist *headers = make_headers(c, n_body), *connect_to = NULL;
    long status = 0;
    CURLcode code;

    (void)curl_easy_setopt(c->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    if (c->resolve) {
        connect_to = curl_slist_append(NULL, c->resolve);
        (void)curl_easy_setopt(c->curl, CURLOPT_CONNECT_TO, connect_to);
    }
    code = curl_easy_perform(c->curl);
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
    *ret_status = (int)status;
    return code;
}

static void prepare(struct client *c, struct client_reply *ret)
{
    *ret = (struct client_reply){.body = BUF_INIT(c->max_reply)};
    c->error[0] = 0;
    set_transfer(c, ret);
}

int client_call(struct client *c, const char *method, const char *target, const void *body,
                size_t n, struct client_reply *ret, struct err *e)
{
    CURLcode code;
    int status;

    prepare(c, ret);
    set_method(c, method, body, n);
    code = perform(c, target, n, &status);
    if (code != CURLE_OK)
        return transfer_failed(c, code, ret, e);
    ret->status = status;
    return 0;
}

static int check_status(const struct client_reply *r, struct err *e)
{
    if (r->status == 200)
        return 0;
    return err_set_status(e, -EPROTO, r->status, "Unexpected response code: %d (%s)", r->status,
                          buf_str(&r->body));
}

int client_send(struct client *c, const char *method, const char *target, const void *body,
                size_t n, struct client_reply *ret, struct err *e)
{
    int r = client_call(c, method, target, body, n, ret, e);

    return r < 0 ? r : check_status(ret, e);
}

int client_get(struct client *c, const char *target, struct client_reply *ret, struct err *e)
{
    return client_send(c, "GET", target, NULL, 0, ret, e);
}

/* --- an answer that goes on --- */

struct streaming {
    struct client *c;
    const struct client_stream *s;
    struct client_reply *reply; /* of another status than 200 */
    bool over;
};

static size_t on_piece(char *p, size_t size, size_t n, void *arg)
{
    struct streaming *st = arg;
    long status = 0;

    (void)curl_easy_getinfo(st->c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return on_body(p, size, n, st->reply);
    st->over = !st->s->on_data(st->s->arg, p, size * n);
    return st->over ? 0 : size * n;
}

static int on_progress(void *arg, curl_off_t all, curl_off_t got, curl_off_t up, curl_off_t sent)
{
    struct streaming *st = arg;

    (void)all;
    (void)got;
    (void)up;
    (void)sent;
    st->over = st->over || (st->s->is_over && st->s->is_over(st->s->arg));
    return st->over;
}

int client_stream(struct client *c, const char *target, const struct client_stream *s,
                  struct err *e)
{
    struct client_reply reply _cleanup_client_reply_ = {0};
    struct streaming st = {c, s, &reply, false};
    CURLcode code;

    prepare(c, &reply);
    (void)curl_easy_setopt(c->curl, CURLOPT_ACCEPT_ENCODING, NULL); /* piece by piece */
    (void)curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, 0L);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_piece);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &st);
    (void)curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, &st);
    code = perform(c, target, 0, &reply.status);
    if (st.over || reply.status == 200)
        return 0;
    return code != CURLE_OK ? transfer_failed(c, code, &reply, e) : check_status(&reply, e);
}
