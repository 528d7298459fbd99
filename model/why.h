/* model/why.h - one named check: what was looked at, what was found, what would fix it. */
#pragma once

#include "codec/desc.h"

enum why_result { WHY_OK, WHY_FAILED, WHY_SKIPPED, WHY_MAX };

struct why {
    char *id;       /* "socket" */
    char *looked;   /* "unix:///var/run/docker.sock" */
    int64_t result; /* enum why_result */
    char *found;    /* "connection refused" */
    char *fix;      /* "start docker: systemctl start docker"; "" when there is nothing to say */
};
extern const struct desc desc_why;

void why_add(struct why **v, size_t *n, const char *id, const char *looked, enum why_result result,
             const char *found, const char *fix);
/* the first failed one, or NULL */
const struct why *why_first_failed(const struct why *v, size_t n);
const char *why_result_name(int64_t result); /* "ok", "failed", "skipped" */
