/* wire/http1_conn.h - one served connection: reads requests, hands them to the handler in order,
 * writes the answers.  What wire/http1.c (listening, accepting) needs of it.
 */
#pragma once

#include "base/list.h"
#include "wire/http1.h"
#include "wire/http1_clients.h"

struct hconn;

/* what the connections of one server share */
struct hconn_set {
    struct loop *loop;
    struct http_server_opts opts;
    struct list conns;
    size_t n;
    struct list dead; /* ended in this turn: freed at its end, when nothing is on the stack */
    struct defer bury;
    struct http_clients clients;
};
void hconn_set_init(struct hconn_set *set, struct loop *l, const struct http_server_opts *o);
void hconn_set_done(struct hconn_set *set);

/* takes the accepted socket; client: to be left at the end, NULL = not counted */
struct hconn *hconn_new(struct hconn_set *set, int take_fd, struct http_client *client);
/* answers instead of the handler, and closes: text is for a person */
void hconn_refuse(struct hconn *h, int status, const char *text);
