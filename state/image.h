/* state/image.h - the state as it was at one index, pinned, and written as an archive piece by
 * piece while the store goes on.
 *
 * image_take() costs some nanoseconds a page.  image_write() may run on the writer's thread: it
 * reads what is const as long as it is pinned, and counts nothing.
 *
 * Owns: the list, until image_free() on the loop.
 */
#pragma once

#include "model/page.h"
#include "state/archive.h"

struct image;

struct image *image_take(struct store *s, int64_t created_ms) _must_check_;
struct image *image_free(struct image *i);
DEFINE_CLEANUP(struct image, image_free)
const struct archive_info *image_info(const struct image *i);

/* Writes the next nodes, some bytes of them at most, to fd (the same one each time).  1: there is
 * more; 0: all is written, ret_digest and ret_bytes are set. */
int image_write(struct image *i, int fd, size_t some_bytes,
                uint8_t ret_digest[ARCHIVE_DIGEST_BYTES], uint64_t *ret_bytes,
                struct err *e) _must_check_;
