/* agent/socket.h - the unix socket of the local API: where it is, and that it is ours.
 *
 * $RUNTIME_DIRECTORY/agent.sock when systemd gave one, else <data_dir>/agent.sock.  Anybody may
 * connect (mode 0666); what a peer may do is decided by its user id.
 */
#pragma once

#include "api/server.h"
#include "base/err.h"

/* runtime_directory: the environment's, may be NULL (of several the first); owned by the caller */
char *socket_path(const char *runtime_directory, const char *data_dir) _must_check_;
/* Listens.  A socket that a dead agent left is replaced, a living one's is not: -EADDRINUSE. */
int socket_open(const char *path, int *ret_fd, struct err *e) _must_check_;
/* Serves the API there, too.  Returns the path, owned by the caller, or NULL: a warning says why
 * there is no socket. */
char *socket_serve(struct api *api, const char *data_dir) _must_check_;
/* before the API goes, while the socket is still ours; NULL-safe */
void socket_remove(char *take_path);
