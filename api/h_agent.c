#include "api/handlers.h"

#include <errno.h>

int agent_self(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    int r;

    (void)q;
    r = v->ops->agent_self(v->impl, &ret->body, e);
    if (r < 0)
        return r;
    reply_json(ret);
    return 0;
}

int agent_members(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    int r;

    (void)q;
    r = v->ops->agent_members(v->impl, &ret->body, e);
    if (r < 0)
        return r;
    reply_json(ret);
    return 0;
}

/* A sick agent answers 500 with the JSON as plain text, as Nomad does (fact: http-api 10). */
int agent_health(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    const char *type = "";
    int status;

    (void)e;
    if (q->type_given && q->type_client != q->type_server)
        type = q->type_client ? "client" : "server";
    if (q->type_given && !q->type_client && !q->type_server) {
        buf_add_str(&ret->body, "{}"); /* nothing that we know was asked for, so nothing is ill */
        reply_json(ret);
        return 0;
    }
    status = v->ops->agent_health(v->impl, type, &ret->body);
    reply_json(ret);
    if (status != 200) {
        ret->status = status;
        ret->content_type = "text/plain; charset=utf-8";
        ret->is_json = false;
    }
    return 0;
}

/* what this host is, with sources and checks; servers have none */
int agent_fingerprint(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    int r;

    if (!v->ops->fingerprint) {
        ret->status = 404;
        return 0;
    }
    r = v->ops->fingerprint(v->impl, q->explain, &ret->body, e);
    if (r < 0)
        return r;
    reply_json(ret);
    return 0;
}
