#include "wire/pool_hedge.h"

#include "wire/pool_priv.h"

const char *pool_call_server(const struct pool_call *c)
{
    return c->server ? c->server->address : NULL;
}

void pool_call_doubt(struct pool_call *c)
{
    if (!c->server)
        return;
    if (c->pool->n_servers < 2)
        (void)pool_server_renew(c->server);
    else
        pool_server_failed(c->server);
}
