#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/limits.h"
#include "base/parse.h"
#include "base/str.h"
#include "codec/js.h"
#include "codec/js_read.h"
#include "codec/mp.h"
#include "codec/ops.h"
#include "state/archive_format.h"

enum {
    INFLATED_BYTES = 64 * KIB,
    GZIP_WINDOW = 15 + 16,
    RATIO_FREE = 1 * MIB, /* that may be inflated before the ratio counts */
    SUM_TEXT = 2 * SHA256_DIGEST_SIZE,
};

/* meta.json */
struct meta {
    int64_t version, size, format_version, nodes;
    char *id, *format, *release;
    uint64_t index;
};

#define T struct meta
static const struct field meta_fields[] = {
    {"Format",        STR(format)        },
    {"FormatVersion", I64(format_version)},
    {"ID",            STR(id)            },
    {"Index",         U64(index)         },
    {"Nodes",         I64(nodes)         },
    {"Release",       STR(release)       },
    {"Size",          I64(size)          },
    {"Version",       I64(version)       },
};
static DESC(desc_meta, T, meta_fields);
#undef T

/* {Key, Value} of an index */
struct index_row {
    char *key;
    uint64_t value;
};
#define T struct index_row
static const struct field index_fields[] = {
    {"Key",   STR(key)  },
    {"Value", U64(value)},
};
static DESC(desc_index_row, T, index_fields);
#undef T

enum member { META, STATE, SUMS, MEMBERS };
static const char *const member_names[MEMBERS] = {"meta.json", "state.bin", "SHA256SUMS"};

enum place { AT_HEADER, IN_MEMBER, IN_PADDING, AT_END };

struct archive_reader {
    archive_node_fn *fn;
    void *arg;
    z_stream z;
    bool z_open, z_ended;
    uint64_t in_bytes, inflated;
    uint8_t out[INFLATED_BYTES];

    /* tar */
    enum place place;
    enum member member; /* the one that comes or is being read */
    uint8_t header[TAR_BLOCK];
    size_t header_n;
    uint64_t left, padding;
    struct sha256_ctx sum;
    uint8_t sums[2][SHA256_DIGEST_SIZE]; /* of meta.json and state.bin, as they came */
    struct buf text;                     /* meta.json, then SHA256SUMS */
    struct meta meta;

    /* state.bin */
    struct buf record; /* what has come of the head or of a record */
    bool has_head;
    struct uuid last; /* node */
    struct archive_info info;
    unsigned indexes; /* 1 << which of them came */
};

struct archive_reader *archive_reader_new(archive_node_fn *fn, void *arg)
{
    struct archive_reader *r = xnew0(struct archive_reader);

    r->fn = fn;
    r->arg = arg;
    r->text = BUF_INIT(SNAPSHOT_META_MAX);
    r->record = BUF_INIT(NODE_PACKED_MAX + ARCHIVE_FRAME_BYTES);
    r->z_open = inflateInit2(&r->z, GZIP_WINDOW) == Z_OK;
    return r;
}

struct archive_reader *archive_reader_free(struct archive_reader *r)
{
    if (!r)
        return NULL;
    if (r->z_open)
        (void)inflateEnd(&r->z);
    ops_clear(&desc_meta, &r->meta);
    buf_done(&r->text);
    buf_done(&r->record);
    return mem_free(r);
}

const char *archive_id(const struct archive_reader *r)
{
    return str_or_empty(r->meta.id);
}

const char *archive_release(const struct archive_reader *r)
{
    return str_or_empty(r->meta.release);
}

/* --- state.bin --- */

static uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int check_head(const struct archive_reader *r, struct err *e)
{
    const uint8_t *p = r->record.p;

    if (memcmp(p, ARCHIVE_HEAD, ARCHIVE_HEAD_BYTES - 1) != 0)
        return err_set(e, -EBADMSG, "state.bin is not of picket-server");
    if (p[ARCHIVE_HEAD_BYTES - 1] != ARCHIVE_FORMAT)
        return err_set(e, -EPROTONOSUPPORT,
                       "the state was written by a newer picket-server (format %u, this one knows "
                       "%d)",
                       p[ARCHIVE_HEAD_BYTES - 1], ARCHIVE_FORMAT);
    return 0;
}

static int take_index(struct archive_reader *r, const uint8_t *p, size_t n, struct err *e)
{
    struct index_row row = {0};
    int code = mp_decode(&desc_index_row, p, n, &row, e);

    for (size_t i = 0; code == 0 && i <= TABLE_MAX; i++) {
        if (!str_eq(row.key, archive_index_names[i]))
            continue;
        r->indexes |= 1U << i;
        if (i == TABLE_MAX)
            r->info.index = row.value;
        else
            r->info.table_index[i] = row.value;
        if (row.value > INT64_MAX)
            code = err_set(e, -EBADMSG, "index \"%s\" is out of range", row.key);
    }
    ops_clear(&desc_index_row, &row);
    return code < 0 ? err_wrap(e, -EBADMSG, "state.bin") : 0;
}

static int take_node(struct archive_reader *r, const uint8_t *p, size_t n, struct err *e)
{
    int code;

    if (r->info.nodes == (uint64_t)r->meta.nodes)
        return err_set(e, -EBADMSG, "state.bin has more nodes than the %lld of meta.json",
                       (long long)r->meta.nodes);
    code = r->fn(r->arg, p, n, e);
    if (code < 0)
        return err_wrap(e, code, "node %llu of the archive", (unsigned long long)r->info.nodes + 1);
    r->info.nodes++;
    return 0;
}

static int take_record(struct archive_reader *r, struct err *e)
{
    const uint8_t *p = r->record.p, *content = p + ARCHIVE_FRAME_BYTES;
    size_t n = get_be32(p + 8);

    if (archive_crc(p[0], content, n) != get_be32(p + 3))
        return err_set(e, -EBADMSG, "a record of state.bin is not what was stored (checksum)");
    if (p[0] == ARCHIVE_INDEX)
        return take_index(r, content, n, e);
    if (p[0] == ARCHIVE_NODE)
        return take_node(r, content, n, e);
    return err_set(e, -EBADMSG, "state.bin has a record of unknown type %u", p[0]);
}

/* how many bytes the head or the record has that begins in r->record; 0: not known yet */
static ssize_t record_bytes(const struct archive_reader *r, struct err *e)
{
    const uint8_t *p = r->record.p;

    if (!r->has_head)
        return ARCHIVE_HEAD_BYTES;
    if (r->record.len < ARCHIVE_FRAME_BYTES)
        return 0;
    if (p[1] != 0x92 || p[2] != 0xce || p[7] != 0xc6)
        return err_set(e, -EBADMSG, "state.bin is ill-formed");
    if (get_be32(p + 8) > NODE_PACKED_MAX)
        return err_set(e, -EBADMSG,
                       "state.bin has an object of %u bytes, more than the limit of %zu",
                       get_be32(p + 8), NODE_PACKED_MAX);
    return (ssize_t)ARCHIVE_FRAME_BYTES + (ssize_t)get_be32(p + 8);
}

static int feed_state(struct archive_reader *r, const uint8_t *p, size_t n, struct err *e)
{
    while (n > 0) {
        ssize_t want = record_bytes(r, e);
        size_t k;
        int code = 0;

        if (want < 0)
            return (int)want;
        k = MIN(n, (want > 0 ? (size_t)want : (size_t)ARCHIVE_FRAME_BYTES) - r->record.len);
        buf_add(&r->record, p, k);
        if (buf_ok(&r->record) < 0)
            return err_set(e, -ENOMEM, "out of memory");
        p += k;
        n -= k;
        if (want == 0)
            want = record_bytes(r, e);
        if (want < 0)
            return (int)want;
        if (want == 0 || r->record.len < (size_t)want)
            continue;
        code = r->has_head ? take_record(r, e) : check_head(r, e);
        if (code < 0)
            return code;
        r->has_head = true;
        buf_reset(&r->record);
    }
    return 0;
}

static int end_state(const struct archive_reader *r, struct err *e)
{
    if (!r->has_head || r->record.len > 0)
        return err_set(e, -EBADMSG, "state.bin ends within an object");
    if (r->indexes != (1U << (TABLE_MAX + 1)) - 1)
        return err_set(e, -EBADMSG, "state.bin lacks an index");
    if (r->info.nodes != (uint64_t)r->meta.nodes || r->info.index != r->meta.index)
        return err_set(e, -EBADMSG, "state.bin is not what meta.json says: %llu nodes, index %llu",
                       (unsigned long long)r->info.nodes, (unsigned long long)r->info.index);
    return 0;
}

/* --- the other members --- */

/* its ID is term, index, milliseconds */
static void take_created(struct archive_reader *r)
{
    const char *dash = strrchr(str_or_empty(r->meta.id), '-');
    uint64_t ms;

    if (dash && parse_u64(dash + 1, &ms) == 0 && ms < INT64_MAX)
        r->info.created_ms = (int64_t)ms;
}

static int end_meta(struct archive_reader *r, struct err *e)
{
    const struct meta *m = &r->meta;
    int code = js_decode(&desc_meta, buf_str(&r->text), r->text.len, &r->meta, e);

    if (code < 0)
        return err_wrap(e, -EBADMSG, "meta.json");
    if (!m->format)
        return err_set(e, -ENOTSUP,
                       "this is the snapshot of a Nomad server (version %lld, index %llu): "
                       "picket-server reads its own only",
                       (long long)m->version, (unsigned long long)m->index);
    if (!str_eq(m->format, ARCHIVE_FORMAT_NAME))
        return err_set(e, -ENOTSUP, "this is a snapshot of \"%.60s\", not of picket-server",
                       m->format);
    if (m->format_version > ARCHIVE_FORMAT)
        return err_set(e, -EPROTONOSUPPORT,
                       "the snapshot was written by a newer picket-server (format %lld, this one "
                       "knows %d)",
                       (long long)m->format_version, ARCHIVE_FORMAT);
    if (m->nodes < 0 || (uint64_t)m->nodes > SNAPSHOT_NODES_MAX)
        return err_set(e, -EBADMSG, "meta.json: %lld nodes are more than the limit of %llu",
                       (long long)m->nodes, (unsigned long long)SNAPSHOT_NODES_MAX);
    take_created(r);
    return 0;
}

static bool sum_is(const char *line, const uint8_t *sum, const char *name)
{
    char want[SUM_TEXT + 1] = "";

    for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++)
        (void)snprintf(want + 2 * i, 3, "%02x", sum[i]);
    return strncmp(line, want, SUM_TEXT) == 0 && strncmp(line + SUM_TEXT, "  ", 2) == 0 &&
           str_starts(line + SUM_TEXT + 2, name) && line[SUM_TEXT + 2 + strlen(name)] == '\n';
}

static int end_sums(const struct archive_reader *r, struct err *e)
{
    bool seen[2] = {false};
    const char *line = buf_str(&r->text);

    while (*line) {
        const char *end = strchr(line, '\n');

        if (!end || end - line < SUM_TEXT + 2)
            return err_set(e, -EBADMSG, "SHA256SUMS is ill-formed");
        for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
            if (!str_starts(line + SUM_TEXT + 2, member_names[i]))
                continue;
            if (!sum_is(line, r->sums[i], member_names[i]))
                return err_set(e, -EBADMSG, "the checksum of %s does not match", member_names[i]);
            seen[i] = true;
        }
        line = end + 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        if (!seen[i])
            return err_set(e, -EBADMSG, "SHA256SUMS has no line for %s", member_names[i]);
    return 0;
}

static int end_member(struct archive_reader *r, struct err *e)
{
    int code;

    if (r->member < SUMS)
        sha256_digest(&r->sum, SHA256_DIGEST_SIZE, r->sums[r->member]);
    code = r->member == META    ? end_meta(r, e)
           : r->member == STATE ? end_state(r, e)
                                : end_sums(r, e);
    buf_reset(&r->text);
    r->member++;
    return code;
}

/* --- tar --- */

static bool is_zero(const uint8_t *p, size_t n)
{
    while (n > 0 && *p == 0) {
        p++;
        n--;
    }
    return n == 0;
}

static int parse_octal(const uint8_t *p, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0;

    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
        v = v * 8 + (uint64_t)(p[i] - '0');
    if (i == 0 || (i < n && p[i] != 0 && p[i] != ' '))
        return -EBADMSG;
    *ret = v;
    return 0;
}

static int check_header_sum(const uint8_t *h, struct err *e)
{
    uint64_t want = 0, sum = 0;

    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : h[i];
    if (parse_octal(h + 148, 8, &want) < 0 || want != sum)
        return err_set(e, -EBADMSG, "the archive is damaged (header checksum)");
    return 0;
}

static int begin_member(struct archive_reader *r, struct err *e)
{
    const uint8_t *h = r->header;
    char name[101] = "";

    if (is_zero(h, TAR_BLOCK)) {
        r->place = AT_END;
        if (r->member == MEMBERS)
            return 0;
        return err_set(e, -EBADMSG, "%s is missing in the archive", member_names[r->member]);
    }
    if (check_header_sum(h, e) < 0)
        return -EBADMSG;
    memcpy(name, h, 100);
    if (r->member == MEMBERS || strcmp(name, member_names[r->member]) != 0 ||
        (h[156] != '0' && h[156] != 0))
        return err_set(e, -EBADMSG, "unexpected file \"%.100s\" in the archive", name);
    if (parse_octal(h + 124, 12, &r->left) < 0)
        return err_set(e, -EBADMSG, "%s: its size is no number", name);
    if (r->member != STATE && r->left > SNAPSHOT_META_MAX)
        return err_set(e, -EBADMSG, "%s is larger than %zu bytes", name, SNAPSHOT_META_MAX);
    if (r->member == STATE && (r->left > SNAPSHOT_STATE_MAX || (int64_t)r->left != r->meta.size))
        return err_set(e, -EBADMSG, "state.bin has %llu bytes, meta.json says %lld",
                       (unsigned long long)r->left, (long long)r->meta.size);
    if (r->member == STATE)
        r->info.state_bytes = r->left;
    r->padding = (TAR_BLOCK - r->left % TAR_BLOCK) % TAR_BLOCK;
    r->place = IN_MEMBER;
    sha256_init(&r->sum);
    return 0;
}

/* n > 0; returns how many were taken */
static ssize_t feed_tar(struct archive_reader *r, const uint8_t *p, size_t n, struct err *e)
{
    size_t k = n;
    int code = 0;

    switch (r->place) {
    case AT_HEADER:
        k = MIN(n, TAR_BLOCK - r->header_n);
        memcpy(r->header + r->header_n, p, k);
        r->header_n += k;
        if (r->header_n == TAR_BLOCK) {
            r->header_n = 0;
            code = begin_member(r, e);
        }
        break;
    case IN_MEMBER:
        k = (size_t)MIN((uint64_t)n, r->left);
        r->left -= k;
        sha256_update(&r->sum, k, p);
        if (r->member == STATE)
            code = feed_state(r, p, k, e);
        else
            buf_add(&r->text, p, k);
        break;
    case IN_PADDING:
        k = (size_t)MIN((uint64_t)n, r->padding);
        r->padding -= k;
        break;
    case AT_END:
        if (!is_zero(p, n))
            code = err_set(e, -EBADMSG, "there is something behind the end of the archive");
        break;
    default:
        break;
    }
    if (code == 0 && r->place == IN_MEMBER && r->left == 0) {
        r->place = IN_PADDING;
        code = end_member(r, e);
    }
    if (r->place == IN_PADDING && r->padding == 0)
        r->place = AT_HEADER;
    return code < 0 ? code : (ssize_t)k;
}

/* --- gzip --- */

static int feed_inflated(struct archive_reader *r, size_t n, struct err *e)
{
    r->inflated += n;
    if (r->inflated > RATIO_FREE && r->inflated / SNAPSHOT_RATIO_MAX > r->in_bytes)
        return err_set(e, -EBADMSG, "the archive inflates to more than %d times its size",
                       SNAPSHOT_RATIO_MAX);
    for (size_t at = 0; at < n;) {
        ssize_t k = feed_tar(r, r->out + at, n - at, e);

        if (k < 0)
            return (int)k;
        at += (size_t)k;
    }
    return 0;
}

int archive_read(struct archive_reader *r, const void *p, size_t n, struct err *e)
{
    if (!r->z_open)
        return err_set(e, -ENOMEM, "out of memory");
    if (n > 0 && r->z_ended)
        return err_set(e, -EBADMSG, "there is something behind the end of the archive");
    r->in_bytes += n;
    r->z.next_in = (Bytef *)(uintptr_t)p;
    r->z.avail_in = (uInt)n;
    while (r->z.avail_in > 0 && !r->z_ended) {
        int rc, code;

        r->z.next_out = r->out;
        r->z.avail_out = sizeof(r->out);
        rc = inflate(&r->z, Z_NO_FLUSH);
        if (rc == Z_MEM_ERROR)
            return err_set(e, -ENOMEM, "out of memory");
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return err_set(e, -EBADMSG,
                           r->inflated == 0 ? "not a snapshot (no gzip)"
                                            : "the archive is damaged (gzip)");
        r->z_ended = rc == Z_STREAM_END;
        code = feed_inflated(r, sizeof(r->out) - r->z.avail_out, e);
        if (code < 0)
            return code;
    }
    if (r->z.avail_in > 0)
        return err_set(e, -EBADMSG, "there is something behind the end of the archive");
    return 0;
}

int archive_read_end(struct archive_reader *r, struct archive_info *ret, struct err *e)
{
    if (r->in_bytes == 0)
        return err_set(e, -EBADMSG, "the archive is empty");
    if (!r->z_ended || r->member != MEMBERS || r->place != AT_END)
        return err_set(e, -EBADMSG, "the archive is cut short: unexpected EOF");
    *ret = r->info;
    return 0;
}
