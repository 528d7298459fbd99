/* api/cache.h - bodies rendered a moment ago, for the next one who asks for the same.
 *
 * When one change wakes thousands of readers, all of them get the same bytes; those are made once.
 * An entry is found by the very items it was made of (it holds references, so an address stands for
 * one object) and by the form asked for.  Few entries, a ceiling on their bytes, dropped when
 * nobody asked for a while: an idle agent keeps nothing.
 */
#pragma once

#include "api/reply.h"
#include "base/loop.h"

struct cache;

struct cache *cache_new(struct loop *l);
struct cache *cache_free(struct cache *c);
DEFINE_CLEANUP(struct cache, cache_free)

/* the body for r and q: borrowed until the next call; NULL = not here.  *ret_coding is the name of
 * its content coding or NULL. */
struct blob *cache_get(struct cache *c, const struct reply *r, const struct ask *q,
                       const char **ret_coding);
/* keeps a copy of r->body, the form of it that q asked for; coding is static text */
void cache_put(struct cache *c, const struct reply *r, const struct ask *q, const char *coding);
