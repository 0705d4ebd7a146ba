/* Messages that wait for the older of two servers: their order, how long, and how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/realtime/ahead.h"

#define WAIT_MS 500

static void keep(struct ahead *a, uint64_t hash, int64_t now_ms, const char *text)
{
    ahead_keep(a, hash, now_ms, 7, WS_OPCODE_TEXT, (const uint8_t *)text, strlen(text));
}

static void expect(struct ahead_message *m, const char *text)
{
    assert_non_null(m);
    assert_int_equal(m->len, strlen(text));
    assert_memory_equal(m->payload, text, m->len);
    assert_int_equal(m->epoch, 7);
    assert_int_equal(m->opcode, WS_OPCODE_TEXT);
    mem_free(m);
}

static void test_they_go_out_in_the_order_they_came_when_they_have_waited_long_enough(void **state)
{
    (void)state;
    struct ahead a;
    ahead_init(&a);
    assert_true(ahead_due_ms(&a) == INT64_MAX);
    keep(&a, 1, 1000, "one");
    keep(&a, 2, 1200, "two");
    assert_int_equal(ahead_due_ms(&a), 1000 + WAIT_MS);
    assert_null(ahead_take_due(&a, 999 + WAIT_MS));
    expect(ahead_take_due(&a, 1000 + WAIT_MS), "one");
    assert_null(ahead_take_due(&a, 1000 + WAIT_MS));
    expect(ahead_take(&a), "two");
    assert_null(ahead_take(&a));
}

static void test_what_the_older_one_brings_does_not_wait_any_more(void **state)
{
    (void)state;
    struct ahead a;
    ahead_init(&a);
    keep(&a, 1, 0, "one");
    keep(&a, 2, 0, "two");
    keep(&a, 2, 0, "two again");
    assert_false(ahead_found(&a, 3));
    assert_true(ahead_found(&a, 2)); /* one for one */
    assert_true(ahead_found(&a, 2));
    assert_false(ahead_found(&a, 2));
    expect(ahead_take(&a), "one");
    ahead_drop(&a);
}

static void test_too_many_or_too_long_ones_do_not_wait(void **state)
{
    (void)state;
    static char big[700000];
    struct ahead a;
    uint32_t count = 0;
    struct ahead_message *m;
    ahead_init(&a);
    for (uint32_t i = 0; i < 1030; i++)
        keep(&a, i, 0, "x");
    for (; (m = ahead_take_due(&a, 0)) != NULL; count++)
        mem_free(m);
    assert_int_equal(count, 6);
    ahead_drop(&a);
    assert_int_equal(a.count, 0);
    assert_int_equal(a.bytes, 0);

    memset(big, 'x', sizeof big - 1);
    keep(&a, 1, 0, big);
    assert_null(ahead_take_due(&a, 0));
    keep(&a, 2, 0, big);
    expect(ahead_take_due(&a, 0), big);
    assert_null(ahead_take_due(&a, 0));
    ahead_drop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_they_go_out_in_the_order_they_came_when_they_have_waited_long_enough),
        cmocka_unit_test(test_what_the_older_one_brings_does_not_wait_any_more),
        cmocka_unit_test(test_too_many_or_too_long_ones_do_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
