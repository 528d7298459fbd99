/* /v1/metrics (fact: http-api 10; command/agent/metrics_endpoint.go). */
#include "api/handlers.h"

#include <errno.h>

#include "base/str.h"

int metrics_read(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    bool prometheus = str_eq(q->format, "prometheus");
    int r;

    if (!v->ops->metrics)
        return err_set_status(e, -ENOTSUP, 501,
                              "not available in this release of Picket: metrics of a server");
    r = v->ops->metrics(v->impl, prometheus, &ret->body, e);
    if (r < 0)
        return r;
    reply_json(ret);
    if (prometheus) {
        ret->content_type = "text/plain; version=0.0.4; charset=utf-8";
        ret->is_json = false;
    }
    return 0;
}
