/* server/server.h - picket-server: owns its parts and wires them together.
 *
 * server_new() opens the state and starts the deadlines; server_listen() opens the sockets.  Tests
 * use the first without the second and hand requests to dispatch directly.
 *
 * Depends on: everything below server/ (tools/layers.txt).
 */
#pragma once

#include "api/server.h"
#include "conf/conf.h"
#include "server/beats.h"
#include "state/store.h"
#include "wire/accept.h"

/* the release whose rules we follow and claim (design decision 1); the metadata says who we are */
#define SERVER_NOMAD_VERSION  "1.10.5"
#define SERVER_NOMAD_METADATA "picket"

struct server {
    struct loop *loop;           /* borrowed */
    const struct conf *conf;     /* borrowed; a reload changes it where it stands */
    struct store *store;         /* owned */
    struct beats *beats;         /* owned */
    struct view view;            /* what the API asks */
    struct rpc_listener *rpc;    /* owned; NULL without sockets */
    struct api *api;             /* owned; NULL without sockets */
    struct gc *gc;               /* owned */
    struct snapshots *snapshots; /* owned; NULL without a data folder */
    struct list streams;         /* of server/back_stream */
    struct list calls;           /* requests that are waiting (server/call.h) */
    struct list listings;        /* those whose answer is made in slices (ep_list.c) */
    struct defer run_listings;
    size_t writing_bytes;                 /* held by those of them that wait for the disk */
    char *rpc_advertise, *http_advertise; /* owned; "ip:port" */
    char id[UUID_TEXT_LEN + 1];           /* of this server, kept in its data folder */
};

struct server_opts {
    struct loop *loop;
    struct writer *writer;   /* borrowed; freed after the server */
    const struct conf *conf; /* borrowed */
    const char *rpc_advertise, *http_advertise;
    struct persist *take_persist; /* tests: instead of the database in conf's data folder */
};

int server_new(const struct server_opts *o, struct server **ret, struct err *e) _must_check_;
/* opens both sockets ("ip:port", port 0: the kernel chooses) */
int server_listen(struct server *s, const char *rpc_bind, const char *http_bind,
                  struct err *e) _must_check_;
/* conf's members have other values now */
void server_reload(struct server *s);
/* loop_on_late(): timers that were due then are late, nobody is to blame for missed beats */
void server_was_away(void *arg, uint64_t due_ns);
/* closes sockets, drops what waits, waits for the commit in flight */
struct server *server_free(struct server *s);
DEFINE_CLEANUP(struct server, server_free)

/* a deadline has passed: marks the node down unless it came back meanwhile */
void server_node_missed(void *arg, const struct uuid *id);
/* "srv.global" */
char *server_member_name(const struct server *s) _must_check_;
/* host and port of "ip:port" or "[v6]:port"; host owned by the caller */
void server_split_address(const char *address, char **ret_host, uint64_t *ret_port);
