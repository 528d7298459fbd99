/* agent/mirror_priv.h - what agent/mirror.c keeps and agent/mirror_view.c shows. */
#pragma once

#include "agent/call.h"
#include "agent/mirror.h"
#include "fwd/fwd.h"

struct waiter {
    struct list link;
    struct view_wait *w;
};

struct mirror {
    struct mirror_opts o;
    struct view view;
    struct call call;
    struct timer retry;
    const struct node_item *item; /* counted; NULL before the first snapshot */
    bool from_server;
    bool started;
    bool known_leader;
    uint64_t index;
    uint64_t last_contact_ms; /* as the answering server said */
    uint64_t asked_ns, born_ns;
    struct list waiters;
    struct fwd_opts fwd;
    struct uuid own;
    uint64_t written; /* index of the last write about the own node that went through here */
};

extern const struct view_ops mirror_ops;
/* fwd_opts.on_write: the copy is behind from now on, until it has this index */
void mirror_on_write(void *arg, const struct method *how, const char *node_id, uint64_t index);
