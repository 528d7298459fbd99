/* wire/conn_priv.h - the insides of a conn, for wire/conn.c and wire/conn_open.c only. */
#pragma once

#include "wire/filter.h"
#include "wire/outq.h"

enum conn_state {
    CONN_HANDSHAKE, /* TCP or a filter above it is not ready */
    CONN_OPEN,
    CONN_DEAD, /* the descriptor is closed */
};

struct conn {
    struct loop *loop;
    const struct conn_user *user; /* borrowed; NULL after conn_close */
    void *arg;
    struct conn_filter *top; /* owned down to socket, which is embedded */
    struct socket_filter socket;
    struct conn_filter *stash; /* set while on_data runs and pushes a filter */
    struct io io;
    struct list link;   /* among those that are closing */
    struct timer timer; /* handshake, closing */
    struct defer work;
    struct outq out;
    struct buf in;                  /* what the user left for later */
    size_t in_counted, out_counted; /* parts of the budget */
    char *peer;                     /* owned */
    char *local;                    /* owned; made when asked for */
    char *why;                      /* owned; why it failed */
    int why_code;
    unsigned refs;
    enum conn_state state;
    bool paused;        /* conn_read_pause */
    bool blocked;       /* the socket takes nothing more now */
    bool unflushed;     /* filters may hold bytes */
    bool eof, eof_told; /* the peer's end: seen, told */
    bool parked;        /* not watched: hung up while paused */
    bool offer;         /* bytes in `in` are to be offered (again) */
    bool closing;       /* conn_close was called: no user any more */
    bool shut;          /* our end was sent */
    bool in_data;       /* on_data is running */
    bool closed_told;
};

/* the connection has failed; the user hears of it next turn */
void conn_fail(struct conn *c, int code, const char *text);
/* when nobody holds a reference any more; everything but memory was given back */
void conn_free(struct conn *c);
/* callbacks of the loop */
void conn_on_io(void *arg, uint32_t revents);
void conn_on_timer(void *arg);
void conn_on_work(void *arg);
