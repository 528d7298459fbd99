#include "cli/remote.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/ops.h"

static int check_files(const struct meta *m, struct err *e)
{
    if (str_empty(m->client_cert) != str_empty(m->client_key))
        return err_set(e, -EINVAL, "Both client cert and client key must be provided");
    if (!str_empty(m->ca_cert) && access(m->ca_cert, R_OK) < 0)
        return err_set(e, -errno, "Error loading CA File: open %s: %s", m->ca_cert,
                       strerror(errno));
    if (!str_empty(m->ca_path) && access(m->ca_path, R_OK | X_OK) < 0)
        return err_set(e, -errno, "Error loading CA Path: open %s: %s", m->ca_path,
                       strerror(errno));
    return 0;
}

struct client *remote_open(const struct meta *m)
{
    struct client_opts o = {
        .address = m->address,
        .token = m->token,
        .region = m->region,
        .namespace_ = m->namespace_,
        .ca_file = m->ca_cert,
        .ca_dir = m->ca_path,
        .cert_file = m->client_cert,
        .key_file = m->client_key,
        .server_name = m->tls_server_name,
        .skip_verify = m->tls_skip_verify,
    };
    struct client *c = NULL;
    struct err e = {0};
    int r;

    r = check_files(m, &e);
    if (r == 0)
        r = client_new(&o, &c, &e);
    if (r < 0) {
        (void)fprintf(stderr, "Error initializing client: %s\n", e.text);
        return NULL;
    }
    return c;
}

int remote_get(struct client *c, const char *target, const struct desc *d, void *ret, struct err *e)
{
    struct client_reply reply _cleanup_client_reply_ = {0};
    int r;

    r = client_get(c, target, &reply, e);
    if (r < 0)
        return r;
    r = js_decode(d, buf_str(&reply.body), reply.body.len, ret, e);
    if (r < 0) {
        ops_clear(d, ret);
        return err_wrap(e, r, "cannot read the answer of %s", target);
    }
    return 0;
}

int remote_list(struct client *c, const char *target, const struct desc *d, void *ret_items,
                size_t *ret_n, char **ret_next_token, struct err *e)
{
    struct client_reply reply _cleanup_client_reply_ = {0};
    int r;

    r = client_get(c, target, &reply, e);
    if (r < 0)
        return r;
    r = js_decode_array(d, buf_str(&reply.body), reply.body.len, ret_items, ret_n, e);
    if (r < 0)
        return err_wrap(e, r, "cannot read the answer of %s", target);
    if (ret_next_token)
        *ret_next_token = steal_ptr(&reply.next_token);
    return 0;
}

/* an array is no struct: it is read as the member of one */
struct strings {
    char **v;
    size_t n;
};
#define T struct strings
static const struct field strings_fields[] = {
    {"V", STRVEC(v, n)},
};
static DESC(desc_strings, T, strings_fields);
#undef T

int remote_strings(struct client *c, const char *target, char ***ret, size_t *ret_n, struct err *e)
{
    struct client_reply reply _cleanup_client_reply_ = {0};
    struct buf text _cleanup_buf_ = BUF_INIT(HTTP_REPLY_MAX);
    struct strings s = {0};
    int r;

    r = client_get(c, target, &reply, e);
    if (r < 0)
        return r;
    buf_printf(&text, "{\"V\":%s}", buf_str(&reply.body));
    r = js_decode(&desc_strings, buf_str(&text), text.len, &s, e);
    if (r < 0) {
        ops_clear(&desc_strings, &s);
        return err_wrap(e, r, "cannot read the answer of %s", target);
    }
    *ret = s.v;
    *ret_n = s.n;
    return 0;
}

int remote_print(struct client *c, const char *target, struct err *e)
{
    struct client_reply reply _cleanup_client_reply_ = {0};
    struct buf pretty _cleanup_buf_ = BUF_INIT(4 * HTTP_REPLY_MAX);
    int r;

    r = client_get(c, target, &reply, e);
    if (r < 0)
        return r;
    js_pretty(&pretty, buf_str(&reply.body), reply.body.len);
    r = buf_ok(&pretty);
    if (r < 0)
        return err_set(e, r, "the answer is too large");
    (void)fwrite(buf_str(&pretty), 1, pretty.len, stdout);
    return 0;
}
