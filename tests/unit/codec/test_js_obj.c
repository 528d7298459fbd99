#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/limits.h"
#include "codec/js_obj.h"

static void test_keys_have_commas_between_them(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64 * KIB);
    static char x[] = "x", brace[] = "{", *names[] = {x, brace};
    struct strmap m = {0};

    (void)state;
    obj_element(&b, true);
    obj_str(&b, "a\n", "\"{");
    obj_str(&b, "none", NULL);
    obj_i64(&b, "min", INT64_MIN);
    obj_u64(&b, "max", UINT64_MAX);
    obj_bool(&b, "yes", true);
    obj_open(&b, "in");
    obj_bool(&b, "no", false);
    obj_close(&b);
    obj_open(&b, "empty");
    obj_close(&b);
    obj_strv(&b, "list", names, 2);
    obj_strv(&b, "nothing", NULL, 0);
    obj_map(&b, "nil", &m);
    strmap_set(&m, "k", "v");
    obj_map(&b, "map", &m);
    obj_close(&b);
    obj_element(&b, false);
    obj_key(&b, "raw");
    buf_add_byte(&b, '1');
    obj_close(&b);
    assert_string_equal(buf_str(&b),
                        "{\"a\\n\":\"\\\"{\",\"none\":\"\",\"min\":-9223372036854775808,"
                        "\"max\":18446744073709551615,\"yes\":true,\"in\":{\"no\":false},"
                        "\"empty\":{},\"list\":[\"x\",\"{\"],\"nothing\":[],\"nil\":{},"
                        "\"map\":{\"k\":\"v\"}},{\"raw\":1}");
    strmap_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_have_commas_between_them),
    };

    return cmocka_run_group_tests_name("codec/js_obj", tests, NULL, NULL);
}
