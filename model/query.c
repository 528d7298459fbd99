/* model/query.c - descriptor tables of the groups embedded in requests and replies. */
#include "model/query.h"

/* clang-format off */
#define T struct query_options
static const struct field query_fields[] = {
    {"AllowStale", BOOL(allow_stale)},
    {"AuthToken", STR(auth_token), F_SECRET},
    {"Filter", STR(filter), .since = "1.3"},
    {"Forwarded", BOOL(forwarded)},
    {"MaxQueryTime", I64(max_query_time), F_DURATION},
    {"MinQueryIndex", U64(min_query_index)},
    {"Namespace", STR(namespace_)},
    {"NextToken", STR(next_token), .since = "1.1"},
    {"PerPage", I64(per_page), .since = "1.1"},
    {"Prefix", STR(prefix)},
    {"Region", STR(region)},
    {"Reverse", BOOL(reverse), .since = "1.3"},
};
DESC(desc_query_options, T, query_fields);
#undef T

#define T struct write_request
static const struct field write_fields[] = {
    {"AuthToken", STR(auth_token), F_SECRET},
    {"Forwarded", BOOL(forwarded)},
    {"IdempotencyToken", STR(idempotency_token), .since = "1.1"},
    {"Namespace", STR(namespace_)},
    {"Region", STR(region)},
};
DESC(desc_write_request, T, write_fields);
#undef T

#define T struct query_meta
static const struct field query_meta_fields[] = {
    {"Index", U64(index)},
    {"KnownLeader", BOOL(known_leader)},
    {"LastContact", I64(last_contact), F_DURATION},
    {"NextToken", STR(next_token), .since = "1.2"},
};
DESC(desc_query_meta, T, query_meta_fields);
#undef T

#define T struct write_meta
static const struct field write_meta_fields[] = {
    {"Index", U64(index)},
};
DESC(desc_write_meta, T, write_meta_fields);
#undef T
/* clang-format on */
