#include "api/handlers.h"

#include <errno.h>

/* What came of it is the answer in both cases: 200, or 400 with every error of the files. */
int configuration_reload(const struct view *v, const struct ask *q, struct reply *ret,
                         struct err *e)
{
    (void)q;
    if (!v->ops->reload)
        return err_set_status(e, -ENOTSUP, 501,
                              "not available here: send SIGHUP to read the configuration again");
    ret->status = v->ops->reload(v->impl, &ret->body);
    reply_json(ret);
    return 0;
}
