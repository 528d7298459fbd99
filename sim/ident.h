/* sim/ident.h - who a simulated agent is: everything that is its own follows from the seed of the
 * fleet and its number, so that a second run is the same fleet and an agent keeps none of it.
 *
 * Profiles have places for it: {id} {name} {ip} {mac} {number} and {uuid:K}, K any number (a device
 * of the host, say).
 *
 * Depends on: base/.
 */
#pragma once

#include "base/uuid.h"

enum { IDENT_NAME_MAX = 128, IDENT_PREFIX_MAX = 100 };

struct ident {
    uint64_t seed, number;
    char id[UUID_TEXT_LEN + 1];
    char secret[UUID_TEXT_LEN + 1];
    char name[IDENT_NAME_MAX]; /* "<prefix>-00042" */
    char ip[16];               /* 10.x.y.z: one for each of 16 million */
    char mac[18];              /* 02:...: locally administered */
};
/* prefix: at most IDENT_PREFIX_MAX bytes */
void ident_make(uint64_t seed, const char *prefix, uint64_t number, struct ident *ret);
/* the template with the places filled in; an unknown place stays as it is.  Owned by the caller. */
char *ident_expand(const struct ident *i, const char *template) _must_check_;
/* whether it has any */
bool ident_has_place(const char *template);
