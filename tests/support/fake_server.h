/* tests/support/fake_server.h - a Nomad server as far as one agent sees it, on loopback.
 *
 * Speaks yamux and RPC over wire/, so that agents are tested with the bytes they really send.
 * Behaves as Nomad does (facts: rpc-wire 8, 12, 13) and can be told to misbehave.  Everything
 * that arrives is kept for the test to look at.
 */
#pragma once

#include "base/loop.h"
#include "codec/desc.h"
#include "model/node.h"

struct fake_server;

struct fake_server *fake_server_new(struct loop *l);
struct fake_server *fake_server_free(struct fake_server *s);
DEFINE_CLEANUP(struct fake_server, fake_server_free)
const char *fake_server_address(const struct fake_server *s); /* "127.0.0.1:port" */
/* away: closes the listener and all connections; back: on the same port, with its state */
void fake_server_stop(struct fake_server *s);
void fake_server_start(struct fake_server *s);
void fake_server_forget(struct fake_server *s); /* as after a lost disk or a purge */
/* closes the connections only */
void fake_server_cut(struct fake_server *s);

/* what arrived */
size_t fake_server_calls(const struct fake_server *s, const char *method); /* NULL = of all */
/* decodes the argument of the last call of a method; false when there was none */
bool fake_server_last(const struct fake_server *s, const char *method, const struct desc *d,
                      void *obj);
void fake_server_reset_calls(struct fake_server *s);

/* what it knows */
bool fake_server_knows(const struct fake_server *s);
const char *fake_server_node_status(const struct fake_server *s); /* "" when it knows none */
void fake_server_set_node_status(struct fake_server *s, const char *status);
void fake_server_set_secret(struct fake_server *s, const char *secret); /* of the stored node */
uint64_t fake_server_index(const struct fake_server *s);
/* all node events that were ever accepted, in order; borrowed until the next one */
const struct node_event *fake_server_events(const struct fake_server *s, size_t *ret_n);

/* how it behaves */
void fake_server_set_ttl(struct fake_server *s, int64_t ns);
/* what replies list; none = nil; the default is its own address */
void fake_server_set_servers(struct fake_server *s, const char *const *addresses, size_t n);
void fake_server_set_identity(struct fake_server *s, const char *jwt); /* handed out; NULL = nil */
/* as 1.10 and newer: AuthToken must be the stored secret (or the identity), but for the first
 * Register, which must carry "" */
void fake_server_set_strict(struct fake_server *s, bool strict);
/* the next n calls of a method (NULL = any) are answered by this error */
void fake_server_fail(struct fake_server *s, const char *method, const char *text, unsigned n);
/* the next n Node.EmitEvents are done, but never answered */
void fake_server_lose_events(struct fake_server *s, unsigned n);
void fake_server_mute(struct fake_server *s, bool mute);  /* takes requests, answers none */
void fake_server_garbage(struct fake_server *s, bool on); /* answers bodies of the wrong shape */

/* calls the agent over its own newest connection; the error text of the answer ("" = it worked)
 * once it is there, NULL before; owned by the fake */
void fake_server_call_back(struct fake_server *s, const char *method);
const char *fake_server_call_back_error(const struct fake_server *s);

/* an allocation with two tasks "web" and "log" in group "g", or a newer version of it */
void fake_server_put_alloc(struct fake_server *s, const char *id, const char *desired,
                           const char *client_status);
void fake_server_remove_alloc(struct fake_server *s, const char *id); /* collected */
const char *fake_server_alloc_status(const struct fake_server *s, const char *id);
