#include "api/handlers.h"

#include <errno.h>

#include "base/str.h"
#include "codec/js.h"
#include "model/texts.h"

int status_leader(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    const char *leader = NULL;
    int r;

    (void)q;
    r = v->ops->leader(v->impl, &leader, e);
    if (r < 0)
        return r;
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
    int r;

    (void)q;
    r = v->ops->peers(v->impl, &peers, &n, e);
    if (r < 0)
        return r;
    reply_list(ret, peers, n);
    strv_done(&peers, &n);
    return 0;
}

int regions_list(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    char **regions = NULL;
    size_t n = 0;
    int r = 0;

    (void)q;
    if (v->ops->regions)
        r = v->ops->regions(v->impl, &regions, &n, e);
    else
        strv_add(&regions, &n, v->ops->region(v->impl));
    if (r < 0)
        return r;
    reply_list(ret, regions, n);
    strv_done(&regions, &n);
    return 0;
}
