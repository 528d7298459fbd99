#include "api/handlers.h"

#include <errno.h>

#include "base/str.h"
#include "codec/js.h"
#include "model/texts.h"

int status_leader(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    const char *leader = v->ops->leader(v->impl);

    (void)q;
    if (!leader)
        return err_set(e, -EHOSTUNREACH, TEXT_NO_LEADER);
    js_str(&ret->body, leader);
    reply_json(ret);
    return 0;
}

int status_peers(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    char **peers = NULL;
    size_t n = 0;

    (void)q;
    (void)e;
    v->ops->peers(v->impl, &peers, &n);
    buf_add_byte(&ret->body, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_byte(&ret->body, ',');
        js_str(&ret->body, peers[i]);
    }
    buf_add_byte(&ret->body, ']');
    strv_done(&peers, &n);
    reply_json(ret);
    return 0;
}

/* one region: there is no federation */
int regions_list(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    (void)q;
    (void)e;
    buf_add_byte(&ret->body, '[');
    js_str(&ret->body, v->ops->region(v->impl));
    buf_add_byte(&ret->body, ']');
    reply_json(ret);
    return 0;
}
