/* agent/identity.h - who this node is: state_dir/client-id and state_dir/secret-id.
 *
 * The files are Nomad's (fact: fingerprints 2): 36 bytes, no newline, so that a host can change
 * between Nomad and Picket and stay the same node.  Read trimmed and lower-cased.  A missing or
 * empty file gets a new id; any other content that is no id is an error that names the file, and
 * nothing is overwritten: losing the secret of a registered node locks it out.
 *
 * The folder is locked (flock) while the identity is open, so that two agents cannot share it; a
 * Nomad agent's state.db in it is locked as well, which keeps a Nomad from starting beside us.
 */
#pragma once

#include "base/err.h"
#include "base/uuid.h"

struct identity {
    char node_id[UUID_TEXT_LEN + 1];
    char secret_id[UUID_TEXT_LEN + 1];
    bool created; /* the node id is new */
    int lock_fd;  /* the locked folder; -1 = not open */
    int nomad_fd; /* the locked state.db of a Nomad; -1 = there is none */
};

struct identity_opts {
    const char *state_dir; /* made with mode 0700 when missing */
    bool no_host_uuid;     /* true: a random id; false: derived from the host's */
    const char *root;      /* for the host's id; "" = the real root */
};

/* Opens or creates.  Errors say which file, what is wrong, what is expected. */
int identity_open(const struct identity_opts *o, struct identity *ret, struct err *e) _must_check_;
void identity_done(struct identity *id); /* unlocks; harmless when not open */

/* The id that Nomad derives from a host: DMI product uuid, machine-id or boot id, hashed with
 * SHA-512 (client/client.go ensureNodeID, helper/funcs.go HashUUID).  -ENOENT when the host has
 * none that is a UUID. */
int identity_from_host(const char *root, char ret[UUID_TEXT_LEN + 1]) _must_check_;
