/* state/archive.h - the file form of a snapshot: written and read in pieces, never held as a whole.
 *
 * The outer form is Nomad's: gzip of a tar with meta.json, state.bin and SHA256SUMS, in that order
 * (nomad v1.10.5 helper/snapshot), so that `nomad operator snapshot save` and `inspect` work with
 * it.  meta.json has Nomad's fields and says that the state is ours: Format, FormatVersion, Nodes.
 * Its Version is ARCHIVE_META_VERSION, which no Nomad restores ("unsupported snapshot version").
 *
 * state.bin is ours, in a framing that Nomad's inspect can walk: a map {"Format", "Version"}, then
 * records: one byte of type (Nomad's numbers), and an array of the CRC-32 of type and content, and
 * the content as bin 32.  First the indexes ({Key, Value}), then the nodes as packed objects,
 * ascending by id.
 *
 * All calls here block on the descriptor: they run on the writer's thread or in a command.
 *
 * Depends on: base/, codec/, state/store.h (enum table), zlib, nettle.
 * Owns: neither descriptors nor what it is given.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "state/store.h"

enum {
    ARCHIVE_FORMAT = 1,         /* of state.bin; a newer one is refused */
    ARCHIVE_META_VERSION = 101, /* Nomad has 0 and 1 */
    ARCHIVE_DIGEST_BYTES = 32,
    ARCHIVE_ID_MAX = 96,
};

struct archive_info {
    uint64_t index, table_index[TABLE_MAX];
    int64_t created_ms; /* unix time */
    uint64_t nodes;
    uint64_t state_bytes; /* of state.bin */
};

/* --- writing --- */
struct archive_writer;

/* how many bytes state.bin has with these indexes and nodes of so many bytes together */
uint64_t archive_state_bytes(const struct archive_info *info, uint64_t packed_bytes);
/* info->state_bytes must be right; fd is borrowed */
int archive_create(int fd, const struct archive_info *info, struct archive_writer **ret,
                   struct err *e) _must_check_;
int archive_add_node(struct archive_writer *w, const void *packed, size_t n,
                     struct err *e) _must_check_;
/* ends the archive; ret_bytes: its length */
int archive_finish(struct archive_writer *w, uint8_t ret_digest[ARCHIVE_DIGEST_BYTES],
                   uint64_t *ret_bytes, struct err *e) _must_check_;
struct archive_writer *archive_writer_free(struct archive_writer *w);
DEFINE_CLEANUP(struct archive_writer, archive_writer_free)

/* --- reading --- */
struct archive_reader;

/* a node of the state, in the order of the archive; negative ends the reading with it */
typedef int archive_node_fn(void *arg, const uint8_t *packed, size_t n, struct err *e);

struct archive_reader *archive_reader_new(archive_node_fn *fn, void *arg);
struct archive_reader *archive_reader_free(struct archive_reader *r);
DEFINE_CLEANUP(struct archive_reader, archive_reader_free)
/* The next bytes of the file.  -EBADMSG with a sentence about what is wrong with it. */
int archive_read(struct archive_reader *r, const void *p, size_t n, struct err *e) _must_check_;
/* The file has ended: is everything there, and are the sums right?  ret: what it says it holds. */
int archive_read_end(struct archive_reader *r, struct archive_info *ret,
                     struct err *e) _must_check_;
/* the rest of meta.json, good until the reader is freed: "" before it was read */
const char *archive_id(const struct archive_reader *r);
const char *archive_release(const struct archive_reader *r);
