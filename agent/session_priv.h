/* agent/session_priv.h - inside the session: registration (session.c), changes of the node
 * (session_change.c), heartbeats (session_beat.c).
 */
#pragma once

#include "agent/call.h"
#include "agent/session.h"
#include "base/rand.h"

#define SEC NSEC_PER_SEC

enum {
    PING_SEC = 3,      /* a server that accepts and says nothing is left after this */
    REGISTER_SEC = 20, /* the hold for a leader is 5 s on each side */
    BEAT_TRIES = 3,    /* servers asked for one heartbeat at the same time */
    TRY_MIN_SEC = 6,   /* a server may hold a call for 5 s while there is no leader */
    TRY_MAX_SEC = 10,
    TTL_MIN_SEC = 1, /* a reply without TTL must not make us beat without pause */
    TTL_MAX_SEC = 24 * 3600,
    RETRY_MAX_SEC = 15,
    RECONNECT_SEC = 10, /* design decision 13: a fleet that lost its server comes back spread out */
    CHANGE_SEC = 5,     /* nomad client/node_updater.go: 5 s + rnd(5 s) */
};

enum need {
    NEED_NOTHING,
    NEED_FIRST,   /* not registered since start */
    NEED_CHANGE,  /* the node differs from the accepted one */
    NEED_UNKNOWN, /* servers do not know the node any more */
};

enum token { TOKEN_NONE, TOKEN_SECRET, TOKEN_IDENTITY };

/* a heartbeat asked of one server */
struct beat_try {
    struct session *s;
    struct call call;
    uint64_t sent_ns;
    char *server; /* that was asked; NULL = not known yet */
};

struct session {
    struct session_opts o;
    enum session_state state;
    enum need need;
    struct call call; /* Status.Ping and Node.Register */
    struct beat_try tries[BEAT_TRIES];
    struct beat_try *newest; /* of those under way */
    unsigned n_tried;        /* of this round */
    struct timer quiet;      /* the newest has had its time */
    struct timer retry;      /* the next ping or registration */
    struct timer beat;
    struct late *late;
    uint64_t due_ns;    /* when the beat under way, or the last one, was due */
    uint64_t failed_ns; /* when the last round ended without an answer; 0 = none did */
    struct timer change;
    const struct node_snap *wanted, *sending, *accepted; /* counted */
    enum token token;                                    /* of the registration under way */
    bool tried_plain;                                    /* "" was tried after a denial */
    bool in_contact;
    bool changed_once; /* the first change after the start goes out sooner */
    bool ttl_warned;
    unsigned failures;      /* in a row, of the first kind of call */
    uint64_t registered_ns; /* of the last accepted registration */
    bool fresh; /* registered just now: that the next beat changes the status is no wonder */
    uint64_t contact_ns, beat_ns, ttl_ns;
    uint64_t alive_ns; /* when the servers began to count the TTL: sending of what they accepted */
    uint64_t asked_ns; /* when the registration under way was sent */
    uint64_t took_ns;  /* of the last answer to a heartbeat */
    uint64_t n_registrations, n_beats;
    char *leader, *error;
};

/* so many seconds and as much again at random */
static inline uint64_t session_spread(uint64_t base_sec)
{
    return base_sec * SEC + rand_below(base_sec * SEC);
}

/* session.c */
void session_notify(struct session *s);
void session_set_error(struct session *s, const char *what, const char *text);
void session_got_contact(struct session *s);
void session_lost_contact(struct session *s, const char *what, const char *why);
/* what Register and UpdateStatus answer alike: TTL, servers, leader, identity */
void session_take_reply(struct session *s, const struct node_update_response *r);
void session_drop_identity(struct session *s);

void session_register_now(struct session *s); /* unless there is nothing to say, or nobody */
void session_retry(void *arg);                /* the next ping or registration is due */

/* session_change.c */
void session_change_due(void *arg);

/* session_beat.c */
void session_beats_init(struct session *s);
void session_beats_done(struct session *s);
void session_beat_now(void *arg);
/* a registration was accepted: servers count its TTL from there */
void session_beat_replan(struct session *s);
void session_beats_cancel(struct session *s); /* the node is not registered any more */
