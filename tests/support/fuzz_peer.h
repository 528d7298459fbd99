/* tests/support/fuzz_peer.h - the other end of a server's connections, for fuzzing it as a whole.
 *
 * Keeps books of what was asked on each connection and aborts where the server breaks the
 * protocol: an answer that nobody waits for or a second one, one on a stream that was reset, data
 * beyond a window, a frame that is none, a secret in an answer, an index that the store has not
 * reached.  A connection or a stream that was sent nonsense is `wild`: what was promised to correct
 * peers is not asked of it any more, the rest is.
 */
#pragma once

#include "base/buf.h"
#include "tests/support/fuzz_body.h"

enum { FUZZ_CONNS = 6, FUZZ_STREAMS = 24, FUZZ_PENDING = 32 };

#define FUZZ_CHECK(ok)                                                                             \
    do {                                                                                           \
        if (!(ok))                                                                                 \
            fuzz_broken(__func__, #ok);                                                            \
    } while (0)
_Noreturn void fuzz_broken(const char *where, const char *what);

enum fuzz_kind {
    FUZZ_CLOSED,
    FUZZ_BARE, /* no or another type byte */
    FUZZ_PLAIN,
    FUZZ_STREAMING,
    FUZZ_YAMUX,
    FUZZ_HTTP,
};

struct fuzz_stream {
    uint32_t id;
    bool used, wild, fin_sent, reset, ended; /* ended: by the server */
    bool theirs;                             /* the server opened it */
    bool streaming, asked_stream;
    bool acked, by_hand; /* by_hand: another stream has its id now, of a kind that nobody noted */
    struct buf in;
    int64_t send_window, recv_window;
    uint64_t pending[FUZZ_PENDING]; /* Seq */
    size_t n_pending;
    struct buf *capture; /* borrowed: the body of the next answer */
};

struct fuzz_conn {
    enum fuzz_kind kind;
    int fd;
    bool wild, deaf, held, stingy, eof, going, endless;
    size_t chop; /* writes are cut into so many bytes; 0: they are not */
    struct buf out, in;
    struct fuzz_stream streams[FUZZ_STREAMS];
    uint32_t next_id;
    uint64_t next_seq;
    unsigned n_asked, n_answered; /* HTTP */
};

struct fuzz_peers {
    struct fuzz_conn conns[FUZZ_CONNS];
    bool secrets_anywhere;        /* the input itself spells a secret: not looked for */
    bool agents_spoke;            /* replies of theirs are passed on as they are */
    uint64_t (*index)(void *arg); /* what the server has reached */
    void (*turn)(void *arg);      /* lets the server run */
    void *arg;
};

void fuzz_peers_init(struct fuzz_peers *f);
/* connects to a unix socket and says the type byte (0: none) */
void fuzz_open(struct fuzz_conn *c, const char *path, enum fuzz_kind kind, uint8_t type);
void fuzz_close(struct fuzz_conn *c);
bool fuzz_is_open(const struct fuzz_conn *c);
/* takes what has come; true when something did */
bool fuzz_read(struct fuzz_peers *f, struct fuzz_conn *c);
/* sends what waits; true when something went */
bool fuzz_write(struct fuzz_peers *f, struct fuzz_conn *c);

/* the nth stream of ours, opened when it is not; NULL when there is none */
struct fuzz_stream *fuzz_stream(struct fuzz_conn *c, unsigned n, bool streaming);
/* DATA of at most piece bytes each (0: one frame) */
void fuzz_stream_send(struct fuzz_conn *c, struct fuzz_stream *s, const uint8_t *p, size_t n,
                      size_t piece);
void fuzz_frame(struct fuzz_conn *c, uint8_t version, uint8_t type, uint16_t flags, uint32_t id,
                uint32_t length);
/* one request with a header of ours; correct: it gets an answer, or its stream ends */
void fuzz_request(struct fuzz_conn *c, struct fuzz_stream *s, const char *method, const uint8_t *p,
                  size_t n, size_t piece, bool correct);
/* settled: nothing was on its way, so nothing may come any more */
void fuzz_reset(struct fuzz_conn *c, struct fuzz_stream *s, bool settled);
/* answers the oldest request of a stream that the server opened; false: there is none */
bool fuzz_answer(struct fuzz_conn *c, struct fuzz_in *in);
/* how many requests wait for their answers */
size_t fuzz_unanswered(const struct fuzz_conn *c);
/* aborts when a correct request is still without an answer */
void fuzz_all_answered(const struct fuzz_conn *c);
/* the bytes hold a secret of make_node_secret() */
bool fuzz_has_secret(const uint8_t *p, size_t n);
