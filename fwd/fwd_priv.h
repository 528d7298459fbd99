/* fwd/fwd_priv.h - one request on its way to a server and back, for the files of this folder. */
#pragma once

#include "base/buf.h"
#include "codec/mp.h"
#include "fwd/fwd.h"
#include "model/query.h"

struct fwd {
    struct view view;
    struct fwd_opts o;
    const struct ask *q;
    struct view_wait *wait;
    struct pool_call *call; /* NULL = not under way */
    bool asked;
    bool answered;
    enum rpc_result how;
    char *text;      /* owned: the failure */
    struct buf body; /* the reply */
    char *leader;    /* owned: what leader() hands out */
    /* a list that is cut into items, some at a time */
    bool cutting;
    struct mp_in rest; /* of the body */
    size_t left;       /* items in it */
    struct node_list items;
    struct query_meta meta;
    struct defer again;
};

/* The first time sends the request and returns -EINPROGRESS; once the reply is there 0 with
 * f->body, or the failure in the words of a Nomad client agent. */
int fwd_ask(struct fwd *f, const char *method, const struct desc *d, const void *request,
            unsigned flags, struct err *e) _must_check_;

extern const struct view_ops fwd_ops;
