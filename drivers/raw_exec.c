#include <string.h>

#include "codec/js.h"
#include "codec/ops.h"
#include "drivers/rows.h"
#include "fingerprint/rows.h"

struct raw_exec_conf {
    bool enabled;
};

#define T struct raw_exec_conf
static const struct field raw_exec_conf_fields[] = {
    {"enabled", BOOL(enabled)},
};
static DESC(desc_raw_exec_conf, struct raw_exec_conf, raw_exec_conf_fields);
#undef T

/* A plugin block replaces what the options say, also when it does not mention "enabled". */
static void raw_exec_check(struct probe_ctx *ctx, struct fp *fp, struct driver_info *d)
{
    static const char option[] = "driver.raw_exec.enable";
    const char *json = strmap_get(&ctx->conf->plugins, "raw_exec");
    struct raw_exec_conf c = {.enabled = probe_option_bool(ctx->conf, option)};
    const char *looked = json ? "plugin \"raw_exec\"" : option;
    struct err e = {0};

    if (json) {
        c.enabled = false;
        if (js_decode(&desc_raw_exec_conf, json, strlen(json), &c, &e) < 0) {
            fp_why(fp, "config", looked, WHY_FAILED, e.text, "correct the config block");
            driver_state(d, false, false, DRIVER_DISABLED);
            return;
        }
    }
    if (!c.enabled) {
        fp_why(fp, "enabled", looked, WHY_FAILED, DRIVER_DISABLED,
               "plugin \"raw_exec\" { config { enabled = true } }");
        driver_state(d, false, false, DRIVER_DISABLED);
        return;
    }
    fp_why(fp, "enabled", looked, WHY_OK, "true", "");
    driver_state(d, true, true, DRIVER_HEALTHY);
}

static int raw_exec_run(struct probe_ctx *ctx, struct fp *fp)
{
    struct driver_info *d = driver_begin(ctx, fp, "raw_exec");

    if (d)
        raw_exec_check(ctx, fp, d);
    return 0;
}

const struct driver driver_raw_exec = {
    .name = "raw_exec",
    .probe =
        {
                .name = "driver.raw_exec",
                .summary = "programs run without isolation",
                .class = PROBE_FAST,
                .deadline_ms = PROBE_FAST_DEADLINE_MS,
                .run = raw_exec_run,
                },
};
