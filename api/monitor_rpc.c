#include "api/monitor_rpc.h"

#include <errno.h>

#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"

enum { FRAME_EXTRA = 64 }; /* of a frame besides its payload */

static void send_frame(struct rpc_stream *s, const struct stream_frame *f)
{
    _cleanup_buf_ struct buf b = BUF_INIT(RPC_STREAM_MAX);

    mp_encode(&b, &desc_stream_frame, f);
    if (buf_ok(&b) == 0)
        (void)!rpc_stream_write(s, b.p, b.len); /* what has no room is lost */
}

static size_t sink_room(void *arg)
{
    size_t room = rpc_stream_room(arg);

    return room > FRAME_EXTRA ? room - FRAME_EXTRA : 0;
}

static void sink_write(void *arg, const void *p, size_t n)
{
    send_frame(arg, &(struct stream_frame){
                        .payload = {(uint8_t *)(uintptr_t)p, n}
    });
}

const struct monitor_sink monitor_rpc_sink = {sink_room, sink_write};

int monitor_rpc_read(const struct monitor_request *q, struct monitor_opts *ret, struct err *e)
{
    ret->level = LOG_LEVEL_INFO;
    if (!str_empty(q->log_level) && log_level_parse(q->log_level, &ret->level) < 0)
        return err_set_status(e, -EINVAL, 400, "Unknown log level");
    ret->json = q->log_json;
    ret->plain = q->plain_text;
    return 0;
}

void monitor_rpc_fail(struct rpc_stream *take_s, const struct err *e)
{
    int64_t code = e->status ? e->status : 500;
    struct stream_error error = {&code, (char *)(uintptr_t)e->text};

    send_frame(take_s, &(struct stream_frame){.error = &error});
    (void)rpc_stream_close(take_s);
}
