/* model/why.c - lists of named checks. */
#include "model/why.h"

#include "base/str.h"
#include "base/vec.h"

/* clang-format off */
#define T struct why
static const struct field why_fields[] = {
    {"Fix", STR(fix)},
    {"Found", STR(found)},
    {"ID", STR(id)},
    {"Looked", STR(looked)},
    {"Result", I64(result)},
};
DESC(desc_why, T, why_fields);
#undef T
/* clang-format on */

void why_add(struct why **v, size_t *n, const char *id, const char *looked, enum why_result result,
             const char *found, const char *fix)
{
    *vec_add(v, n) = (struct why){
        .id = xstrdup(id),
        .looked = xstrdup(str_or_empty(looked)),
        .result = result,
        .found = xstrdup(str_or_empty(found)),
        .fix = xstrdup(str_or_empty(fix)),
    };
}

const struct why *why_first_failed(const struct why *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (v[i].result == WHY_FAILED)
            return &v[i];
    return NULL;
}

const char *why_result_name(int64_t result)
{
    switch (result) {
    case WHY_OK:
        return "ok";
    case WHY_FAILED:
        return "failed";
    default:
        return "skipped";
    }
}
