/* What a probe child writes on its pipe, read as the agent reads it; and firmware tables. */
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "codec/js.h"
#include "codec/ops.h"
#include "fingerprint/fp.h"
#include "fingerprint/smbios.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* a record that could be read can be written, and reads back the same */
static void round_trip(const struct fp *fp)
{
    struct buf b = BUF_INIT(4 * PROBE_RECORD_MAX), json = BUF_INIT(16 * PROBE_RECORD_MAX);
    struct fp *again = NULL;
    size_t used;
    struct err e;

    fp_write_record(&b, fp);
    if (buf_ok(&b) == 0 && b.len <= PROBE_RECORD_MAX) {
        if (fp_read_record(b.p, b.len, &again, &used, &e) < 0 || used != b.len ||
            !ops_equal(&desc_fp, fp, again))
            abort();
    }
    js_encode(&json, &desc_fp, fp, 0);
    (void)fp_free(again);
    buf_done(&b);
    buf_done(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fp *fp;
    size_t used;
    struct err e;
    const uint8_t *p = data;
    size_t n = size;

    while (fp_read_record(p, n, &fp, &used, &e) == 0) {
        round_trip(fp);
        (void)fp_free(fp);
        p += used;
        n -= used;
    }
    (void)smbios_cpu_mhz(data, size);
    return 0;
}
