/* api/watch.h - what a daemon says of its own trouble with many peers: descriptors that are running
 * out, callbacks that held everybody up.  One for a process.
 *
 * Depends on: base/, wire/fds.
 */
#pragma once

#include "base/loop.h"

struct watch;

/* begins to say things in the log: a shortage when it begins and when it is over, slow callbacks
 * once a minute at debug; and sets malloc() up so that memory goes back after a flood */
struct watch *watch_new(struct loop *l);
struct watch *watch_free(struct watch *w);
/* the trouble of now, for a status line and for health; "" = none.  Static text. */
const char *watch_trouble(void);
