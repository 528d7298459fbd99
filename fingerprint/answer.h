/* fingerprint/answer.h - what picket-probe answers to the odd jobs of the agent that may block, as
 * one JSON object each on its stdout.  Plain data.
 */
#pragma once

#include "codec/desc.h"

/* -user: an entry of the user database */
struct answer_user {
    bool found;
    char *name;
    int64_t uid, gid;
    char *home;
};
extern const struct desc desc_answer_user;

/* -delete */
struct answer_delete {
    uint64_t deleted; /* files and folders */
    uint64_t n_kept;  /* that could not be deleted, but for folders which are only not empty */
    char **kept;      /* the first ANSWER_KEPT_MAX of them: "path: reason" */
    size_t n_kept_texts;
};
extern const struct desc desc_answer_delete;

enum { ANSWER_KEPT_MAX = 16 };
