/* /v1/agent/servers: the servers an agent uses (command/agent/agent_endpoint.go).  A server has no
 * such list. */
#include "api/handlers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "model/texts.h"

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int no_client(struct err *e)
{
    return err_set_status(e, -ENOTSUP, 501, TEXT_HTTP_METHOD);
}

int agent_servers(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    char **list = NULL;
    size_t n = 0;
    int r;

    (void)q;
    if (!v->ops->set_servers)
        return no_client(e);
    r = v->ops->peers(v->impl, &list, &n, e);
    if (r < 0)
        return r;
    if (n > 0)
        qsort(list, n, sizeof(*list), compare);
    reply_list(ret, list, n);
    strv_done(&list, &n);
    return 0;
}

int agent_set_servers(const struct view *v, const struct ask *q, struct reply *ret, struct err *e)
{
    (void)ret;
    if (!v->ops->set_servers)
        return no_client(e);
    if (q->n_addresses == 0)
        return err_set_status(e, -EINVAL, 400, "missing server address");
    return v->ops->set_servers(v->impl, q->addresses, q->n_addresses, e);
}
