#include <errno.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/str.h"
#include "codec/mp.h"
#include "state/archive_format.h"

enum {
    OUT_BYTES = 64 * KIB,
    LEVEL = 1,
    GZIP_WINDOW = 15 + 16,
    CONTENT_MAX = 4 * KIB, /* of meta.json, of SHA256SUMS, of a row of indexes */
};

struct archive_writer {
    int fd;
    z_stream z;
    bool z_open;
    struct sha256_ctx all, state;
    uint8_t meta_sum[SHA256_DIGEST_SIZE];
    uint64_t out_bytes;
    uint64_t state_bytes, state_left;
    uint64_t mtime;
    uint8_t out[OUT_BYTES];
};

const char *const archive_index_names[TABLE_MAX + 1] = {
    [TABLE_NODES] = "nodes",
    [TABLE_ALLOCS] = "allocs",
    [TABLE_MAX] = "index",
};

uint32_t archive_crc(uint8_t type, const void *p, size_t n)
{
    uLong crc = crc32(crc32(0, NULL, 0), &type, 1);

    return (uint32_t)crc32(crc, p, (uInt)n);
}

static void put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

void archive_frame(uint8_t ret[ARCHIVE_FRAME_BYTES], uint8_t type, const void *p, size_t n)
{
    ret[0] = type;
    ret[1] = 0x92;
    ret[2] = 0xce;
    put_be32(ret + 3, archive_crc(type, p, n));
    ret[7] = 0xc6;
    put_be32(ret + 8, (uint32_t)n);
}

/* --- bytes down the chain: deflate, sum, file --- */

static int write_all(struct archive_writer *w, const uint8_t *p, size_t n, struct err *e)
{
    int r;

    sha256_update(&w->all, n, p);
    w->out_bytes += n;
    if (w->out_bytes > SNAPSHOT_FILE_MAX)
        return err_set(e, -EFBIG, "the snapshot is larger than %llu bytes",
                       (unsigned long long)SNAPSHOT_FILE_MAX);
    r = file_write_all(w->fd, p, n);
    return r < 0 ? err_errno(e, r, "cannot write the snapshot") : 0;
}

static int deflate_some(struct archive_writer *w, const void *p, size_t n, int flush, struct err *e)
{
    int rc, r;

    w->z.next_in = (Bytef *)(uintptr_t)p;
    w->z.avail_in = (uInt)n;
    do {
        w->z.next_out = w->out;
        w->z.avail_out = sizeof(w->out);
        rc = deflate(&w->z, flush);
        if (rc == Z_STREAM_ERROR)
            return err_set(e, -ENOMEM, "out of memory");
        r = write_all(w, w->out, sizeof(w->out) - w->z.avail_out, e);
        if (r < 0)
            return r;
    } while (w->z.avail_in > 0 || w->z.avail_out == 0 || (flush == Z_FINISH && rc != Z_STREAM_END));
    return 0;
}

/* --- tar --- */

static int put_header(struct archive_writer *w, const char *name, uint64_t size, struct err *e)
{
    uint8_t h[TAR_BLOCK] = {0};
    unsigned sum = 0;

    (void)snprintf((char *)h, 100, "%s", name);
    memcpy(h + 100, "0000600\0000000000\0000000000", 24);
    (void)snprintf((char *)h + 124, 12, "%011" PRIo64, size & UINT64_C(077777777777));
    (void)snprintf((char *)h + 136, 12, "%011" PRIo64, w->mtime & UINT64_C(077777777777));
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a field of fixed width */
    memcpy(h + 148, "        0", 9);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a field of fixed width */
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(h); i++)
        sum += h[i];
    (void)snprintf((char *)h + 148, 8, "%06o", sum);
    return deflate_some(w, h, sizeof(h), Z_NO_FLUSH, e);
}

static int put_padding(struct archive_writer *w, uint64_t size, struct err *e)
{
    static const uint8_t zero[TAR_BLOCK];
    size_t over = (size_t)(size % TAR_BLOCK);

    return over ? deflate_some(w, zero, TAR_BLOCK - over, Z_NO_FLUSH, e) : 0;
}

static int put_member(struct archive_writer *w, const char *name, const struct buf *b,
                      struct err *e)
{
    int r = buf_ok(b);

    if (r < 0)
        return err_errno(e, r, "%s", name);
    r = put_header(w, name, b->len, e);
    if (r == 0)
        r = deflate_some(w, b->p, b->len, Z_NO_FLUSH, e);
    return r < 0 ? r : put_padding(w, b->len, e);
}

static int put_meta(struct archive_writer *w, const struct archive_info *info, struct err *e)
{
    _cleanup_buf_ struct buf b = BUF_INIT(CONTENT_MAX);
    struct sha256_ctx sum;

    /* Nomad takes the time from the ID: term, index, milliseconds */
    buf_printf(&b,
               "{\"Version\":%d,\"ID\":\"1-%" PRIu64 "-%" PRId64 "\",\"Index\":%" PRIu64
               ",\"Term\":1,\"Peers\":null,\"Configuration\":{\"Servers\":[]},"
               "\"ConfigurationIndex\":0,\"Size\":%" PRIu64 ",\"Format\":\"" ARCHIVE_FORMAT_NAME
               "\",\"FormatVersion\":%d,\"Nodes\":%" PRIu64 ",\"Release\":\"" PICKET_VERSION
               "\"}\n",
               ARCHIVE_META_VERSION, info->index, info->created_ms, info->index, info->state_bytes,
               ARCHIVE_FORMAT, info->nodes);
    sha256_init(&sum);
    sha256_update(&sum, b.len, b.p);
    sha256_digest(&sum, sizeof(w->meta_sum), w->meta_sum);
    return put_member(w, "meta.json", &b, e);
}

/* --- state.bin --- */

static int put_state(struct archive_writer *w, const void *p, size_t n, struct err *e)
{
    if (n > w->state_left)
        return err_set(e, -EINVAL, "the state is larger than was said");
    w->state_left -= n;
    sha256_update(&w->state, n, p);
    return deflate_some(w, p, n, Z_NO_FLUSH, e);
}

static int put_record(struct archive_writer *w, uint8_t type, const void *p, size_t n,
                      struct err *e)
{
    uint8_t frame[ARCHIVE_FRAME_BYTES];
    int r;

    archive_frame(frame, type, p, n);
    r = put_state(w, frame, sizeof(frame), e);
    return r < 0 ? r : put_state(w, p, n, e);
}

static void make_index(struct buf *b, const struct archive_info *info, size_t i)
{
    mp_map(b, 2);
    mp_str(b, "Key");
    mp_str(b, archive_index_names[i]);
    mp_str(b, "Value");
    mp_u64(b, i == TABLE_MAX ? info->index : info->table_index[i]);
}

uint64_t archive_state_bytes(const struct archive_info *info, uint64_t packed_bytes)
{
    uint64_t n = ARCHIVE_HEAD_BYTES + packed_bytes + info->nodes * ARCHIVE_FRAME_BYTES;

    for (size_t i = 0; i <= TABLE_MAX; i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(CONTENT_MAX);

        make_index(&b, info, i);
        n += ARCHIVE_FRAME_BYTES + b.len;
    }
    return n;
}

static int put_indexes(struct archive_writer *w, const struct archive_info *info, struct err *e)
{
    int r = put_state(w, ARCHIVE_HEAD, ARCHIVE_HEAD_BYTES, e);

    for (size_t i = 0; r == 0 && i <= TABLE_MAX; i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(CONTENT_MAX);

        make_index(&b, info, i);
        r = put_record(w, ARCHIVE_INDEX, b.p, b.len, e);
    }
    return r;
}

int archive_add_node(struct archive_writer *w, const void *packed, size_t n, struct err *e)
{
    return put_record(w, ARCHIVE_NODE, packed, n, e);
}

/* --- the whole --- */

int archive_create(int fd, const struct archive_info *info, struct archive_writer **ret,
                   struct err *e)
{
    _cleanup_(archive_writer_freep) struct archive_writer *w = xnew0(struct archive_writer);
    int r;

    if (info->state_bytes > SNAPSHOT_STATE_MAX)
        return err_set(e, -EFBIG, "the state is larger than %llu bytes",
                       (unsigned long long)SNAPSHOT_STATE_MAX);
    w->fd = fd;
    w->state_bytes = w->state_left = info->state_bytes;
    w->mtime = (uint64_t)(info->created_ms / 1000);
    sha256_init(&w->all);
    sha256_init(&w->state);
    w->z_open = deflateInit2(&w->z, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    if (!w->z_open)
        return err_set(e, -ENOMEM, "out of memory");
    r = put_meta(w, info, e);
    if (r == 0)
        r = put_header(w, "state.bin", info->state_bytes, e);
    if (r == 0)
        r = put_indexes(w, info, e);
    if (r == 0)
        *ret = steal_ptr(&w);
    return r;
}

static void put_sum(struct buf *b, const uint8_t *sum, const char *name)
{
    for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++)
        buf_printf(b, "%02x", sum[i]);
    buf_printf(b, "  %s\n", name);
}

int archive_finish(struct archive_writer *w, uint8_t ret_digest[ARCHIVE_DIGEST_BYTES],
                   uint64_t *ret_bytes, struct err *e)
{
    static const uint8_t end[2 * TAR_BLOCK];
    _cleanup_buf_ struct buf sums = BUF_INIT(CONTENT_MAX);
    uint8_t state_sum[SHA256_DIGEST_SIZE];
    int r;

    if (w->state_left > 0)
        return err_set(e, -EINVAL, "the state is smaller than was said");
    sha256_digest(&w->state, sizeof(state_sum), state_sum);
    put_sum(&sums, w->meta_sum, "meta.json");
    put_sum(&sums, state_sum, "state.bin");
    r = put_padding(w, w->state_bytes, e);
    if (r == 0)
        r = put_member(w, "SHA256SUMS", &sums, e);
    if (r == 0)
        r = deflate_some(w, end, sizeof(end), Z_FINISH, e);
    if (r < 0)
        return r;
    sha256_digest(&w->all, ARCHIVE_DIGEST_BYTES, ret_digest);
    *ret_bytes = w->out_bytes;
    return 0;
}

struct archive_writer *archive_writer_free(struct archive_writer *w)
{
    if (!w)
        return NULL;
    if (w->z_open)
        (void)deflateEnd(&w->z);
    return mem_free(w);
}
