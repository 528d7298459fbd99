/* codec/desc.h - field tables: each field of a struct is written once.
 *
 * One const table per struct drives JSON and msgpack both ways, copy, equality, diff and free.
 * A row is
 *     { "WireName", KIND(member ...), flags..., .since = "1.6" }
 * with T defined as the struct type; the macro checks the member's C type while compiling:
 *
 *     #define T struct node
 *     static const struct field node_fields[] = {
 *         { "Attributes", MAP(attributes) },
 *         { "DrainStrategy", PTR(drain_strategy, desc_drain_strategy) },
 *         { "Events", VEC(events, n_events, desc_node_event) },
 *         { "SecretID", STR(secret_id), .flags = F_SECRET },
 *     };
 *     DESC(desc_node, T, node_fields);
 *     #undef T
 *
 * Rows stand in ascending byte order of their names (Nomad prints fields sorted); F_EMBED rows,
 * whose fields are flattened into the outer map on msgpack, stand last.
 *
 * A struct that stands in maps (MAPVEC) has `char *key` as its first member, no row for it, and is
 * declared with DESC_KEYED: the key is then copied, compared and freed with the rest.
 *
 * Nil against empty: a NULL pointer is Go's nil (JSON null, msgpack nil), a non-NULL one with count
 * 0 the empty one ([] {}).  NULL strings are "".  Every pointer in a described struct is owned.
 */
#pragma once

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

enum field_type {
    FT_BOOL,     /* bool */
    FT_I64,      /* int64_t: Go int, int8..64, time.Duration (ns) */
    FT_U64,      /* uint64_t: Go uint.. */
    FT_F64,      /* double */
    FT_STR,      /* char *; NULL = "" */
    FT_TIME,     /* struct gotime; JSON null when zero */
    FT_BYTES,    /* struct bytes: raw on msgpack, base64 in JSON */
    FT_U8LIST,   /* struct bytes: raw on msgpack, list of numbers in JSON (Topology.Nodes) */
    FT_MAP,      /* struct strmap */
    FT_I64MAP,   /* struct i64map: map string to int */
    FT_STRVEC,   /* char **, size_t n */
    FT_U16VEC,   /* uint16_t *, size_t n */
    FT_MATRIX,   /* struct int_row *, size_t n: [][]int */
    FT_OPT_I64,  /* int64_t *; NULL = nil */
    FT_OPT_F64,  /* double * */
    FT_OPT_BOOL, /* bool * */
    FT_OPT_STR,  /* char *; NULL = nil, unlike FT_STR */
    FT_STRUCT,   /* struct by value */
    FT_PTR,      /* struct pointer; NULL = nil */
    FT_VEC,      /* T *v, size_t n: array of structs by value */
    FT_MAPVEC,   /* T *v, size_t n: map of structs, kept in key order; T's first member is char *key
                  */
    FT_OPT_MAP,  /* struct optmap: map string to nullable string (NodeMeta.Apply) */
    FT_RAW,   /* struct bytes: one whole msgpack object, passed through; JSON prints its content */
    FT_EMBED, /* struct by value, its fields flattened into the outer map */
    FT_MAX,
};

enum field_flags {
    F_SECRET = 1 << 0,    /* JSON prints "" (or leaves it out of logs); msgpack carries it */
    F_OMITEMPTY = 1 << 1, /* left out of JSON and msgpack when zero, nil or empty */
    F_NO_JSON = 1 << 2,   /* never in JSON */
    F_NO_MP = 1 << 3,     /* never on msgpack */
    F_RECV = 1 << 4,     /* msgpack: decoded when present, never encoded (fields of old releases) */
    F_DURATION = 1 << 5, /* I64 that is a time.Duration in Go: for the texts of type errors */
    F_INT = 1 << 6,      /* I64 that is an int in Go: likewise */
    D_KEYED = 1 << 16,   /* of a desc: the first member is the char *key of a MAPVEC element */
};

struct bytes {
    uint8_t *p; /* owned; NULL = nil */
    size_t n;
};

struct i64pair {
    char *key; /* owned */
    int64_t value;
};
struct i64map {
    struct i64pair *items; /* owned, in key order; NULL = nil */
    size_t n;
};

struct optpair {
    char *key;   /* owned */
    char *value; /* owned; NULL = null */
};
struct optmap {
    struct optpair *items;
    size_t n;
};

struct int_row {
    int64_t *v; /* owned */
    size_t n;
};

struct desc;

struct field {
    const char *name;
    enum field_type type;
    size_t off;             /* of the member */
    size_t off_n;           /* of its count, for the vector kinds */
    const struct desc *sub; /* of the element or the embedded struct */
    unsigned flags;
    const char *since; /* Nomad release that brought it; NULL = 0.10 or older */
    const char *until; /* last release that had it; NULL = still there */
};

struct desc {
    const char *name; /* "desc_x", or Go's name of the type where messages show it */
    size_t size;
    const struct field *fields;
    size_t n_fields;
    unsigned flags; /* F_OMITEMPTY = every field has it; D_KEYED */
};

#define OFF_IF(m, ct)                                                                              \
    (offsetof(T, m) +                                                                              \
     0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->m), ct) ? 1 : -1]))
#define OFF_N(m)     OFF_IF(m, size_t)

#define BOOL(m)      FT_BOOL, OFF_IF(m, bool), 0, NULL
#define I64(m)       FT_I64, OFF_IF(m, int64_t), 0, NULL
#define U64(m)       FT_U64, OFF_IF(m, uint64_t), 0, NULL
#define F64(m)       FT_F64, OFF_IF(m, double), 0, NULL
#define STR(m)       FT_STR, OFF_IF(m, char *), 0, NULL
#define TIME(m)      FT_TIME, OFF_IF(m, struct gotime), 0, NULL
#define BYTES(m)     FT_BYTES, OFF_IF(m, struct bytes), 0, NULL
#define U8LIST(m)    FT_U8LIST, OFF_IF(m, struct bytes), 0, NULL
#define RAW(m)       FT_RAW, OFF_IF(m, struct bytes), 0, NULL
#define MAP(m)       FT_MAP, OFF_IF(m, struct strmap), 0, NULL
#define I64MAP(m)    FT_I64MAP, OFF_IF(m, struct i64map), 0, NULL
#define OPT_MAP(m)   FT_OPT_MAP, OFF_IF(m, struct optmap), 0, NULL
#define STRVEC(m, n) FT_STRVEC, OFF_IF(m, char **), OFF_N(n), NULL
#define U16VEC(m, n) FT_U16VEC, OFF_IF(m, uint16_t *), OFF_N(n), NULL
#define MATRIX(m, n) FT_MATRIX, OFF_IF(m, struct int_row *), OFF_N(n), NULL
#define OPT_I64(m)   FT_OPT_I64, OFF_IF(m, int64_t *), 0, NULL
#define OPT_F64(m)   FT_OPT_F64, OFF_IF(m, double *), 0, NULL
#define OPT_BOOL(m)  FT_OPT_BOOL, OFF_IF(m, bool *), 0, NULL
#define OPT_STR(m)   FT_OPT_STR, OFF_IF(m, char *), 0, NULL
/* the C types of sub-structs are checked by size at run time (test_desc) */
#define STRUCT(m, d)    FT_STRUCT, offsetof(T, m), 0, &(d)
#define PTR(m, d)       FT_PTR, offsetof(T, m), 0, &(d)
#define VEC(m, n, d)    FT_VEC, offsetof(T, m), OFF_N(n), &(d)
#define MAPVEC(m, n, d) FT_MAPVEC, offsetof(T, m), OFF_N(n), &(d)
#define EMBED(m, d)     "", FT_EMBED, offsetof(T, m), 0, &(d)

#define DESC(var, type, table)                                                                     \
    const struct desc var = {#var, sizeof(type), table, ARRAY_LEN(table), 0}
#define DESC_OMITEMPTY(var, type, table)                                                           \
    const struct desc var = {#var, sizeof(type), table, ARRAY_LEN(table), F_OMITEMPTY}
/* an element of a MAPVEC: its first member is char *key */
#define DESC_KEYED(var, type, table)                                                               \
    const struct desc var = {#var, sizeof(type), table, ARRAY_LEN(table), D_KEYED};                \
    _Static_assert(offsetof(type, key) == 0 &&                                                     \
                       __builtin_types_compatible_p(__typeof__(((type *)0)->key), char *),         \
                   "the first member of a keyed struct is char *key")
/* with Go's name of the type, package included ("api.DrainSpec"), which JSON type errors show */
#define DESC_GO(var, type, table, go)                                                              \
    const struct desc var = {go, sizeof(type), table, ARRAY_LEN(table), 0}

/* address of a field, and of its count, inside an object */
static inline void *field_at(const struct field *f, const void *obj)
{
    return (char *)(uintptr_t)obj + f->off;
}
static inline size_t field_count(const struct field *f, const void *obj)
{
    return *(const size_t *)((const char *)obj + f->off_n);
}
/* bytes of one element of a list or map */
static inline size_t field_item_size(const struct field *f)
{
    switch (f->type) {
    case FT_STRVEC:
        return sizeof(char *);
    case FT_U16VEC:
        return sizeof(uint16_t);
    case FT_BYTES:
    case FT_U8LIST:
        return sizeof(uint8_t);
    case FT_I64:
        return sizeof(int64_t);
    case FT_MATRIX:
        return sizeof(struct int_row);
    case FT_MAP:
    case FT_I64MAP:
    case FT_OPT_MAP:
        return sizeof(struct strpair); /* the three kinds look alike */
    default:
        return f->sub->size;
    }
}
