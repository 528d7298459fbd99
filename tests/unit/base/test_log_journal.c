/* Records in the journal's own protocol. */
#include "base/log_journal.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void test_field_is_a_line_with_its_name_in_capitals(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1024);

    (void)state;
    journal_add(&b, "", "MESSAGE", "node registered");
    journal_add(&b, "PICKET_", "node_id.x-1", "a=b");
    assert_string_equal(buf_str(&b), "MESSAGE=node registered\nPICKET_NODE_ID_X_1=a=b\n");
}

static void test_value_with_line_ends_has_a_length_in_front(void **state)
{
    static const char wanted[] = "MESSAGE\n\x0a\0\0\0\0\0\0\0two\nlines\n\n";
    _cleanup_buf_ struct buf b = BUF_INIT(1024);

    (void)state;
    journal_add(&b, "", "MESSAGE", "two\nlines\n");
    assert_int_equal(b.len, sizeof(wanted) - 1);
    assert_memory_equal(b.p, wanted, sizeof(wanted) - 1);
}

static void test_value_cannot_add_a_field_of_its_own(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1024);

    (void)state;
    journal_add(&b, "PICKET_", "error", "x\nPRIORITY=0");
    assert_memory_equal(b.p, "PICKET_ERROR\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\n", b.len);
}

static void test_record_past_its_ceiling_is_not_sent(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16);

    (void)state;
    journal_add(&b, "", "MESSAGE", "longer than there is room for");
    assert_true(journal_send(&b) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_is_a_line_with_its_name_in_capitals),
        cmocka_unit_test(test_value_with_line_ends_has_a_length_in_front),
        cmocka_unit_test(test_value_cannot_add_a_field_of_its_own),
        cmocka_unit_test(test_record_past_its_ceiling_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
