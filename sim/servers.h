/* sim/servers.h - lists of servers, each kept once however many agents have it.
 *
 * Depends on: base/, model/rpc_types.h.
 */
#pragma once

#include <sys/socket.h>

#include "model/rpc_types.h"

enum { SIM_SERVERS_MAX = 64 }; /* of one list; more are not looked at */

struct sim_server {
    char *address; /* owned: "ip:port" */
    struct sockaddr_storage sa;
    socklen_t len;
};
struct server_list {
    struct sim_server *servers; /* owned; in order of their addresses */
    size_t n;
};

struct sim_servers; /* all lists */
struct sim_servers *sim_servers_new(void);
struct sim_servers *sim_servers_free(struct sim_servers *s);
DEFINE_CLEANUP(struct sim_servers, sim_servers_free)
/* "ip[:port]", "localhost[:port]", several with commas; -EINVAL with a sentence.  Lists live as
 * long as the whole. */
int sim_servers_parse(struct sim_servers *s, const char *text, const struct server_list **ret,
                      struct err *e) _must_check_;
/* the list of a reply: the same one for the same set; had when it names nobody */
const struct server_list *sim_servers_learn(struct sim_servers *s, const struct server_list *had,
                                            const struct node_server_info *v, size_t n);
