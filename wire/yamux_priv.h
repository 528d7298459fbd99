/* wire/yamux_priv.h - the insides of a session, for wire/yamux.c and wire/yamux_stream.c only. */
#pragma once

#include "base/limits.h"
#include "wire/yamux.h"

enum yamux_type { YAMUX_DATA, YAMUX_WINDOW_UPDATE, YAMUX_PING, YAMUX_GO_AWAY };
enum yamux_flag { YAMUX_SYN = 1, YAMUX_ACK = 2, YAMUX_FIN = 4, YAMUX_RST = 8 };
enum yamux_code { YAMUX_NORMAL, YAMUX_PROTOCOL_ERROR, YAMUX_INTERNAL_ERROR };

enum {
    YAMUX_HEADER_BYTES = 12,
    YAMUX_BACKLOG = 256,          /* streams that may wait for ACK or acceptance */
    YAMUX_FRAME_BYTES = 32 * KIB, /* of data we send at a time */
    YAMUX_CONN_BYTES = 128 * KIB, /* of data in the conn before streams wait */
    YAMUX_REPLY_BYTES = 1 * MIB,  /* in the conn, with answers to pings and the like: not read */
};
#define YAMUX_PING_EVERY_NS  (30 * NSEC_PER_SEC)
#define YAMUX_PING_ANSWER_NS (10 * NSEC_PER_SEC)
#define YAMUX_WRITE_LIMIT_NS (10 * NSEC_PER_SEC)
#define YAMUX_OPEN_LIMIT_NS  (75 * NSEC_PER_SEC)
#define YAMUX_CLOSE_LIMIT_NS (300 * NSEC_PER_SEC)

struct yamux_frame {
    uint8_t version, type;
    uint16_t flags;
    uint32_t id, length;
};

struct yamux {
    struct loop *loop;
    struct conn *conn; /* owned reference */
    const struct yamux_user *user;
    void *arg;
    struct yamux_stream **streams; /* owned; by id */
    size_t n_streams;
    struct list writers;     /* streams that have data and window */
    struct list done;        /* streams that are through and not let go of */
    struct yamux_stream *rx; /* whose payload is arriving; NULL: thrown away */
    uint32_t rx_left;        /* bytes of payload still to come */
    uint16_t rx_flags;
    uint32_t next_id;
    uint32_t ping_id;
    unsigned unacked; /* streams of ours without ACK */
    unsigned backlog; /* streams of the peer not yet accepted */
    unsigned refs;
    size_t queued;          /* bytes waiting in streams */
    size_t counted;         /* of those, what is part of the budget */
    uint64_t written;       /* bytes handed to the conn so far */
    uint64_t mark;          /* of those, how many had left when write_timer was set */
    uint64_t received;      /* bytes of payload so far */
    uint64_t received_mark; /* of those, when the ping was sent or looked after last */
    uint64_t answer_ns;     /* that a ping's answer may take while nothing else comes */
    struct timer keepalive, write_timer;
    struct defer work;
    char *why; /* owned; set once dead */
    int why_code;
    bool awaiting_pong;
    bool late;  /* the answer's time was up, but bytes were there that we had not read */
    bool going; /* the peer said GO AWAY 0 */
    bool dead;
};

struct yamux_stream {
    struct yamux *y; /* borrowed; NULL when gone from the session */
    const struct yamux_stream_user *user;
    void *arg;
    struct list link; /* in writers or done */
    struct timer timer;
    struct buf out; /* waits for the window */
    size_t out_at;  /* already sent of it */
    uint64_t send_window;
    uint32_t recv_window;
    uint32_t credit; /* consumed and not yet granted again */
    uint32_t id;
    bool unacked;    /* ours, ACK not seen */
    bool unaccepted; /* the peer's */
    bool fin_wanted, fin_sent, fin_seen;
    bool released;
};

void yamux_unref(struct yamux *y);
void yamux_send(struct yamux *y, enum yamux_type type, uint16_t flags, uint32_t id,
                uint32_t length);
void yamux_send_data(struct yamux *y, uint32_t id, const void *p, size_t n);
/* ends the session; the users hear of it next turn; goodbye: a GO AWAY code, or -1 for none */
void yamux_fail(struct yamux *y, int goodbye, int code, const char *fmt, ...) _printf_(4, 5);

/* streams */
struct yamux_stream *yamux_find(const struct yamux *y, uint32_t id);
struct yamux_stream *yamux_stream_new(struct yamux *y, uint32_t id);
/* out of the session; freed as well when the user has let go */
void yamux_stream_remove(struct yamux_stream *s);
void yamux_stream_free(struct yamux_stream *s);
void yamux_on_ack(struct yamux_stream *s);
void yamux_on_window(struct yamux_stream *s, uint32_t delta);
void yamux_on_fin(struct yamux_stream *s);
void yamux_pump(struct yamux *y);
