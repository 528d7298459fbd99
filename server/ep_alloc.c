/* Alloc.GetAllocs: nomad v1.10.5 nomad/alloc_endpoint.go.  The table is empty until there is a
 * scheduler; the caller has to be a node all the same, as since 1.7. */
#include "codec/mp.h"
#include "model/rpc_types.h"
#include "model/texts.h"
#include "server/auth.h"
#include "server/ep.h"

static int get_allocs(struct call *c, struct buf *reply, uint64_t *ret_index, struct err *e)
{
    struct allocs_get_response out = {0};

    (void)e;
    c->watch.kind = WATCH_TABLE;
    c->watch.table = TABLE_ALLOCS;
    *ret_index = MAX(store_table_index(c->srv->store, TABLE_ALLOCS), 1);
    out.q = call_meta(*ret_index);
    mp_encode(reply, &desc_allocs_get_response, &out);
    return 0;
}

void ep_alloc_get_allocs(struct call *c)
{
    const struct uuid *bound = c->sink->bound ? c->sink->bound(c->sink_arg) : NULL;
    const struct node_item *it = auth_find(c->srv->store, bound, call_token(c));

    if (!it) {
        call_fail(c, TEXT_PERMISSION_DENIED);
        return;
    }
    call_bind(c, &it->key);
    call_query(c, get_allocs);
}
