#include "api/handlers.h"

#include <errno.h>

/* What came of it is the answer in all cases: 200, 400 with every error of the files, or 500 when
 * they could not be read. */
int configuration_reload(const struct view *v, const struct ask *q, struct reply *ret,
                         struct err *e)
{
    int status;

    (void)q;
    if (!v->ops->reload)
        return err_set_status(e, -ENOTSUP, 501,
                              "not available here: send SIGHUP to read the configuration again");
    status = v->ops->reload(v->impl, &ret->body);
    if (status < 0)
        return status;
    ret->status = status;
    reply_json(ret);
    return 0;
}
