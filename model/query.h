/* model/query.h - what every RPC request and reply carries (fact: rpc-wire 7).  Plain data. */
#pragma once

#include "codec/desc.h"

struct query_options {
    char *region;
    char *namespace_;
    uint64_t min_query_index;
    int64_t max_query_time; /* ns; <= 0 = the server's default */
    bool allow_stale;
    char *prefix;
    char *auth_token;
    char *filter;
    int64_t per_page;
    char *next_token;
    bool reverse;
    bool forwarded;
};
extern const struct desc desc_query_options;

struct write_request {
    char *region;
    char *namespace_;
    char *auth_token;
    char *idempotency_token;
    bool forwarded;
};
extern const struct desc desc_write_request;

struct query_meta {
    uint64_t index;
    int64_t last_contact; /* ns */
    bool known_leader;
    char *next_token;
};
extern const struct desc desc_query_meta;

struct write_meta {
    uint64_t index;
};
extern const struct desc desc_write_meta;
