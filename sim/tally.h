/* sim/tally.h - what the agents see, counted: calls by method with their latencies, and the rest.
 *
 * Depends on: base/.
 */
#pragma once

#include "base/buf.h"

/* latencies in buckets of at most 1/16 of their value, from 1 us to half an hour */
enum { LATENCY_SUB = 16, LATENCY_BUCKETS = 32 * LATENCY_SUB };
struct latency {
    uint64_t n, max_ns;
    uint32_t buckets[LATENCY_BUCKETS];
};
void latency_add(struct latency *l, uint64_t ns);
/* the value that so many per mille of all do not exceed, in ns; 0 when there are none */
uint64_t latency_at(const struct latency *l, unsigned per_mille);

enum tally_method {
    TALLY_REGISTER,
    TALLY_BEAT,
    TALLY_ALLOCS, /* Node.GetClientAllocs that is answered at once */
    TALLY_WAIT,   /* the blocking ones: their time says nothing of the server */
    TALLY_EVENTS,
    TALLY_METHODS,
};
const char *tally_method_name(enum tally_method m); /* "Node.Register" */

struct tally_call {
    uint64_t count;    /* answered well */
    uint64_t errors;   /* answered by an error */
    uint64_t lost;     /* the connection went away before an answer */
    uint64_t timeouts; /* no answer in time */
    struct latency latency;
};

enum { TALLY_TEXTS = 8, TALLY_TEXT_LEN = 160 };

struct tally {
    struct tally_call calls[TALLY_METHODS];
    uint64_t late;   /* heartbeats answered so late that the grace of servers was in danger */
    uint64_t missed; /* the server had taken the node for down */
    uint64_t connects, refused;          /* connections made; attempts that failed */
    uint64_t reconnects;                 /* of agents that had one before */
    uint64_t cut;                        /* connections that ended without our doing */
    uint64_t asked;                      /* calls that servers made to agents */
    uint64_t sent_bytes, received_bytes; /* of connections that ended */
    struct {
        uint64_t n;
        char text[TALLY_TEXT_LEN];
    } texts[TALLY_TEXTS]; /* errors in words, the first kinds */
};
void tally_error(struct tally *t, const char *text);
uint64_t tally_errors(const struct tally *t);  /* of all methods, timeouts among them */
uint64_t tally_answers(const struct tally *t); /* good ones, of all methods */
uint64_t tally_lost(const struct tally *t);
