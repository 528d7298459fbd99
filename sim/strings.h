/* sim/strings.h - every text of a described struct, one after the other: profiles are scrubbed and
 * filled in with it.
 *
 * Depends on: codec/desc.h.
 */
#pragma once

#include "codec/desc.h"

/* where a text stands */
struct string_place {
    const char
        *within;      /* the field of the outermost struct: "Attributes", "NodeResources", "Name" */
    const char *name; /* its own field, or its key in a map */
};
/* s may be replaced (owned by the struct); NULL when there is no text yet */
typedef void strings_fn(void *arg, const struct string_place *at, char **s);

/* not the keys of maps and of keyed elements, not packed objects and bytes */
void strings_each(const struct desc *d, void *obj, strings_fn *fn, void *arg);
