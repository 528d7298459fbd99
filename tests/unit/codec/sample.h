/* tests/unit/codec/sample.h - a struct with a field of every kind, for the tests of the codecs. */
#pragma once

#include "base/vec.h"
#include "codec/desc.h"
#include "codec/ops.h"

struct small {
    char *name;
    int64_t number;
};

struct keyed {
    char *key;
    bool on;
    char *text;
};

struct embedded {
    char *auth;
    uint64_t index;
};

struct sample {
    bool flag;
    int64_t i;
    uint64_t u;
    double f;
    char *s;
    char *secret;
    struct gotime t;
    struct bytes bytes;
    struct bytes list;
    struct bytes raw;
    struct strmap map;
    struct i64map numbers;
    struct optmap opts;
    char **words;
    size_t n_words;
    uint16_t *cores;
    size_t n_cores;
    struct int_row *rows;
    size_t n_rows;
    int64_t *oi;
    double *of;
    bool *ob;
    char *os;
    struct small inner;
    struct small *ptr;
    struct small *vec;
    size_t n_vec;
    struct keyed *keyed;
    size_t n_keyed;
    char *old;
    char *hidden;
    char *local;
    char *optional;
    struct embedded e;
};

#define T struct small
static const struct field small_fields[] = {
    {"Name",       STR(name) },
    { "Number", I64(number), F_DURATION},
};
static DESC_GO(desc_small, T, small_fields, "api.Small");
#undef T

#define T struct keyed
static const struct field keyed_fields[] = {
    {"On",   BOOL(on) },
    {"Text", STR(text)},
};
static DESC_KEYED(desc_keyed, T, keyed_fields);
#undef T

#define T struct embedded
static const struct field embedded_fields[] = {
    {"AuthToken", STR(auth), F_SECRET},
    {"Index",           U64(index)             },
};
static DESC(desc_embedded, T, embedded_fields);
#undef T

/* clang-format off */
#define T struct sample
static const struct field sample_fields[] = {
    {"Bytes", BYTES(bytes)},
    {"Cores", U16VEC(cores, n_cores)},
    {"Flag", BOOL(flag)},
    {"Float", F64(f)},
    {"Hidden", STR(hidden), F_NO_JSON},
    {"Inner", STRUCT(inner, desc_small)},
    {"Int", I64(i), F_INT},
    {"Keyed", MAPVEC(keyed, n_keyed, desc_keyed)},
    {"List", U8LIST(list)},
    {"Local", STR(local), F_NO_MP},
    {"Map", MAP(map)},
    {"Numbers", I64MAP(numbers)},
    {"Old", STR(old), F_RECV},
    {"OptBool", OPT_BOOL(ob)},
    {"OptFloat", OPT_F64(of)},
    {"OptInt", OPT_I64(oi)},
    {"OptMap", OPT_MAP(opts)},
    {"OptStr", OPT_STR(os)},
    {"Optional", STR(optional), F_OMITEMPTY},
    {"Ptr", PTR(ptr, desc_small)},
    {"Raw", RAW(raw)},
    {"Rows", MATRIX(rows, n_rows)},
    {"Secret", STR(secret), F_SECRET},
    {"Str", STR(s)},
    {"Time", TIME(t)},
    {"Uint", U64(u)},
    {"Vec", VEC(vec, n_vec, desc_small)},
    {"Words", STRVEC(words, n_words)},
    {EMBED(e, desc_embedded)},
};
static DESC_GO(desc_sample, T, sample_fields, "api.Sample");
#undef T
/* clang-format on */

static inline struct keyed *sample_key(struct sample *s, const char *key)
{
    return ops_keyed_add(&desc_keyed, &s->keyed, &s->n_keyed, key);
}

/* a value in every field that travels both ways; clear with ops_clear() */
static inline void sample_fill(struct sample *s)
{
    static const uint8_t packed[] = {0x81, 0xa1, 'k', 0x92, 0x01, 0xc0};
    struct int_row *row;

    *s = (struct sample){.flag = true, .i = -129, .u = UINT64_MAX, .f = 0.1};
    s->t = (struct gotime){.sec = GOTIME_UNIX_EPOCH + 1600000000, .nsec = 5000, .offset_min = 120};
    s->s = xstrdup("text \xc3\xa9 \"quoted\" </&>");
    s->secret = xstrdup("the secret");
    s->bytes = (struct bytes){xmemdup("\x00\xff\x10\x80", 4), 4};
    s->list = (struct bytes){xmemdup("\x00\x01\xff", 3), 3};
    s->raw = (struct bytes){xmemdup(packed, sizeof(packed)), sizeof(packed)};
    strmap_set(&s->map, "b", "2");
    strmap_set(&s->map, "a", "");
    s->numbers = (struct i64map){xnew0_n(struct i64pair, 2), 2};
    s->numbers.items[0] = (struct i64pair){xstrdup("one"), 1};
    s->numbers.items[1] = (struct i64pair){xstrdup("two"), INT64_MIN};
    s->opts = (struct optmap){xnew0_n(struct optpair, 2), 2};
    s->opts.items[0] = (struct optpair){xstrdup("gone"), NULL};
    s->opts.items[1] = (struct optpair){xstrdup("set"), xstrdup("v")};
    *vec_add(&s->words, &s->n_words) = xstrdup("w1");
    *vec_add(&s->words, &s->n_words) = xstrdup("");
    *vec_add(&s->words, &s->n_words) = xstrdup("w3");
    *vec_add(&s->cores, &s->n_cores) = 0;
    *vec_add(&s->cores, &s->n_cores) = 65535;
    row = vec_add(&s->rows, &s->n_rows);
    *vec_add(&row->v, &row->n) = 10;
    *vec_add(&row->v, &row->n) = -20;
    (void)vec_add(&s->rows, &s->n_rows);
    s->oi = xnew0(int64_t);
    *s->oi = 1 << 20;
    s->of = xnew0(double);
    *s->of = 2.5;
    s->ob = xnew0(bool);
    s->os = xstrdup("");
    s->inner = (struct small){xstrdup("inner"), 7};
    s->ptr = xnew0(struct small);
    *s->ptr = (struct small){xstrdup("behind"), -7};
    *vec_add(&s->vec, &s->n_vec) = (struct small){xstrdup("v0"), 0};
    *vec_add(&s->vec, &s->n_vec) = (struct small){NULL, 128};
    sample_key(s, "k2")->on = true;
    sample_key(s, "k1")->text = xstrdup("t");
    s->optional = xstrdup("there");
    s->e = (struct embedded){xstrdup("token"), 300};
}
