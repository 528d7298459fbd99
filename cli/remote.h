/* cli/remote.h - the API as commands see it: a client from flags and environment, answers decoded
 * by descriptors. */
#pragma once

#include "api/client.h"
#include "cli/command.h"
#include "codec/desc.h"

/* prints "Error initializing client: ..." itself; NULL then */
struct client *remote_open(const struct meta *m);
/* GET and decode an object into a zeroed struct, which stays zeroed when that fails */
int remote_get(struct client *c, const char *target, const struct desc *d, void *ret,
               struct err *e) _must_check_;
/* GET and decode an array; items and count are the caller's (ops_clear each, free) */
int remote_list(struct client *c, const char *target, const struct desc *d, void *ret_items,
                size_t *ret_n, char **ret_next_token, struct err *e) _must_check_;
/* GET and decode an array of strings; the caller's (strv_done) */
int remote_strings(struct client *c, const char *target, char ***ret, size_t *ret_n,
                   struct err *e) _must_check_;
/* GET and print the body indented; 0 or negative with the text */
int remote_print(struct client *c, const char *target, struct err *e) _must_check_;
