/* Queues of streams: bytes leave in the order in which they came, whether they were lent or copied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/h2_queue.h"

static void expect(struct h2_queue *q, const char *text)
{
    uint8_t taken[64];
    const size_t len = strlen(text);
    h2_queue_take(q, taken, len);
    assert_memory_equal(taken, text, len);
}

static struct slice part(struct slice s, size_t from, size_t len)
{
    return (struct slice){s.data + from, len, s.owner};
}

static void test_lent(void **state)
{
    struct h2_queue q = {.len = 0};
    struct slice s = slice_copy("0123456789", 10);
    (void)state;

    h2_queue_add(&q, part(s, 0, 4));
    h2_queue_add(&q, part(s, 4, 4)); /* goes on: the same piece */
    assert_int_equal(s.owner->refs, 2);
    assert_null(q.copied);
    expect(&q, "012345");
    h2_queue_add(&q, part(s, 9, 1)); /* does not */
    assert_int_equal(s.owner->refs, 2);
    assert_non_null(q.copied);
    h2_queue_add(&q, part(s, 0, 2)); /* behind copied ones */
    assert_int_equal(q.len, 5);
    expect(&q, "6790");
    assert_int_equal(s.owner->refs, 1);
    expect(&q, "1");
    assert_int_equal(q.len, 0);
    assert_null(q.copied);

    h2_queue_add(&q, s);
    h2_queue_add(&q, slice_borrow("ab", 2));
    assert_int_equal(s.owner->refs, 2);
    h2_queue_fini(&q);
    assert_int_equal(s.owner->refs, 1);
    slice_release(&s);
}

/* A hundred thousand pieces in and out, as chance has it. */
static void test_order(void **state)
{
    uint8_t bytes[256], taken[256];
    struct h2_queue q = {.len = 0};
    uint32_t seed = 1;
    size_t added = 0, removed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    struct slice s = slice_copy(bytes, sizeof bytes);
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1103515245u + 12345u;
        const size_t from = added % sizeof bytes, len = (seed >> 8) % (sizeof bytes - from + 1);
        if (q.len < 2000) {
            h2_queue_add(&q, (seed >> 20 & 1) != 0 ? part(s, from, len) : slice_borrow(bytes + from, len));
            added += len;
        }
        size_t out = (seed >> 4) % sizeof taken;
        out = out < q.len ? out : q.len;
        h2_queue_take(&q, taken, out);
        for (size_t k = 0; k < out; k++)
            assert_int_equal(taken[k], (uint8_t)(removed + k));
        removed += out;
        assert_int_equal(q.len, added - removed);
    }
    h2_queue_fini(&q);
    assert_int_equal(s.owner->refs, 1);
    slice_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lent),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
