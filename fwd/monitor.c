#include "api/relay.h"
#include "base/limits.h"
#include "codec/mp.h"
#include "fwd/fwd.h"
#include "model/rpc_client.h"

int fwd_monitor(const struct fwd_opts *o, const struct monitor_request *q, struct view_stream *ret,
                struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_OBJECT_MAX);
    struct relay *r;
    int code;

    mp_encode(&b, &desc_monitor_request, q);
    code = buf_ok(&b);
    if (code < 0)
        return err_set(e, code, "the request is too large");
    r = relay_new(q->plain_text ? "text/plain" : "application/json");
    relay_start(r, pool_stream_open(o->pool, "Agent.Monitor", b.p, b.len, &relay_user, r), ret);
    return 0;
}
