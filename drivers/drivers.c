#include <stdio.h>

#include "drivers/rows.h"
#include "model/attrs.h"

/* clang-format off */
const struct driver *const drivers[] = {
    &driver_raw_exec,
    &driver_docker,
};
/* clang-format on */
const size_t n_drivers_rows = ARRAY_LEN(drivers);

struct driver_info *driver_begin(const struct probe_ctx *ctx, struct fp *fp, const char *name)
{
    _cleanup_free_ char *denied = probe_denied_by(ctx->conf, "driver", name);

    if (denied) {
        fp_why(fp, "allowed", "client.options", WHY_SKIPPED, denied, "");
        return NULL;
    }
    return fp_driver(fp, name);
}

void driver_state(struct driver_info *d, bool detected, bool healthy, const char *description)
{
    d->detected = detected;
    d->healthy = healthy;
    str_set(&d->health_description, description);
    if (detected) {
        _cleanup_free_ char *key = xasprintf(ATTR_DRIVER_F, d->key);

        strmap_set(&d->attributes, key, "true");
    }
}
