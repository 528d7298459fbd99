/* wire/fds.h - descriptors that peers cannot take away from the rest of the program.
 *
 * Accepted sockets are kept below the process's limit less a reserve (FDS_RESERVE, or a quarter of
 * a small limit): files, children and questions to servers go on working however many connect.
 * Whoever comes to a socket beyond it is told to go, politely where the protocol has words for
 * that. That this happens is said once, and once when it is over.  Depends on: base/.
 */
#pragma once

#include "base/mem.h"

/* whether an accepted descriptor may stay open; -1: there was none to accept with */
bool fds_may_keep(int fd);
/* whether one that may not stay may still be told why: half of the reserve is never touched */
bool fds_may_linger(int fd);
bool fds_short(void);       /* connections were refused, and there is no room again so far */
uint64_t fds_refused(void); /* since the start */
/* fn is told when the shortage begins and when it is over (it looks at fds_short()); NULL = nobody
 */
void fds_on_change(void (*fn)(void *arg), void *arg);
/* looks whether it is over, now and then: nobody else would notice */
void fds_check(void);
