#include "server/node_reply.h"

#include "model/rpc_types.h"
#include "model/texts.h"

int node_key(const char *id, struct uuid *ret, struct err *e)
{
    struct err cause = {0};
    size_t n;
    int r = uuid_index(id ? id : "", false, ret, &n, &cause);

    return r < 0 ? err_set(e, r, TEXT_NODE_LOOKUP, cause.text) : 0;
}

void node_reply_beat(struct call *take_c, const struct node_item *it, uint64_t index)
{
    struct server *s = take_c->srv;
    struct node_server_info self = {
        .rpc_advertise_addr = s->rpc_advertise,
        .rpc_major_version = 1,
        .rpc_minor_version = 1,
        .datacenter = s->conf->datacenter,
    };
    static char eligible[] = NODE_ELIGIBLE, ineligible[] = NODE_INELIGIBLE;
    struct node_update_response reply = {
        .leader_rpc_addr = s->rpc_advertise,
        .num_nodes = (int64_t)store_node_count(s->store),
        .servers = &self,
        .n_servers = 1,
        .node_modify_index = index,
        .q = {.index = index},
    };

    if (it) {
        reply.scheduling_eligibility = it->eligible ? eligible : ineligible;
        if (it->status != STATUS_DOWN)
            reply.heartbeat_ttl = (int64_t)beats_reset(s->beats, &it->key);
    }
    call_reply(take_c, &desc_node_update_response, &reply);
}
