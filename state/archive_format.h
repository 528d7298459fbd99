/* state/archive_format.h - what the writer and the reader of archives agree upon. */
#pragma once

#include "base/mem.h"
#include "state/archive.h"

/* {"Format": "picket-server", "Version": 1}: the last byte is ARCHIVE_FORMAT */
#define ARCHIVE_HEAD                                                                               \
    "\x82\xa6"                                                                                     \
    "Format"                                                                                       \
    "\xad"                                                                                         \
    "picket-server"                                                                                \
    "\xa7"                                                                                         \
    "Version"                                                                                      \
    "\x01"
enum {
    ARCHIVE_HEAD_BYTES = sizeof(ARCHIVE_HEAD) - 1,
    ARCHIVE_FRAME_BYTES = 12, /* type, array of 2, uint 32, bin 32 */
    TAR_BLOCK = 512,
    /* nomad v1.10.5 nomad/fsm.go SnapshotType */
    ARCHIVE_NODE = 0,
    ARCHIVE_INDEX = 2,
};

#define ARCHIVE_FORMAT_NAME "picket-server"

/* the rows of indexes: the global one and that of each table */
extern const char *const archive_index_names[TABLE_MAX + 1];

/* type, checksum and length in front of a record's content */
void archive_frame(uint8_t ret[ARCHIVE_FRAME_BYTES], uint8_t type, const void *p, size_t n);
uint32_t archive_crc(uint8_t type, const void *p, size_t n);
