#include "fingerprint/answer.h"

/* clang-format off */
#define T struct answer_user
static const struct field user_fields[] = {
    { "Found", BOOL(found) },
    { "GID", I64(gid) },
    { "Home", STR(home) },
    { "Name", STR(name) },
    { "UID", I64(uid) },
};
DESC(desc_answer_user, struct answer_user, user_fields);
#undef T

#define T struct answer_delete
static const struct field delete_fields[] = {
    { "Deleted", U64(deleted) },
    { "Kept", STRVEC(kept, n_kept_texts) },
    { "KeptCount", U64(n_kept) },
};
DESC(desc_answer_delete, struct answer_delete, delete_fields);
#undef T
/* clang-format on */
