#include "fingerprint/rows.h"
#include "model/attrs.h"

static int version_run(struct probe_ctx *ctx, struct fp *fp)
{
    const struct probe_conf *c = ctx->conf;

    fp_set(fp, ATTR_NOMAD_VERSION, c->nomad_version, "configuration");
    fp_set(fp, ATTR_PICKET_VERSION, c->picket_version, "this build");
    fp_set(fp, ATTR_UNIQUE_ADVERTISE_ADDRESS, c->http_addr, "configuration");
    fp_set(fp, ATTR_NOMAD_SERVICE_DISCOVERY, c->service_discovery ? "true" : "false",
           "configuration");
    return 0;
}

const struct probe probe_version = {
    .name = "version",
    .summary = "versions and addresses that the agent advertises",
    .class = PROBE_FAST,
    .deadline_ms = PROBE_FAST_DEADLINE_MS,
    .run = version_run,
};
