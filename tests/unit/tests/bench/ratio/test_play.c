/* L1 beats plain LRU where it claims to: on skewed traces, with scans and without, and where the working set moves it
 * is not behind. The traces are the bench's, shortened; the margins are half of what is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/bench/ratio/lru.h"
#include "tests/bench/ratio/play.h"

static void the_yardstick_is_lru(void **state)
{
    struct lru *l = lru_create(100);

    (void)state;
    assert_false(lru_ask(l, 1, 40));
    assert_false(lru_ask(l, 2, 40));
    assert_true(lru_ask(l, 1, 40));
    assert_false(lru_ask(l, 3, 40)); /* puts out 2 */
    assert_true(lru_ask(l, 1, 40));
    assert_false(lru_ask(l, 2, 40)); /* puts out 3 */
    assert_true(lru_ask(l, 1, 40));
    assert_false(lru_ask(l, 4, 101)); /* fits nowhere */
    assert_true(lru_ask(l, 1, 40));
    assert_true(lru_ask(l, 2, 40));
    lru_destroy(&l);
}

static void a_trace_is_the_same_each_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < trace_count; i++) {
        struct telling *a = telling_create(&traces[i]), *b = telling_create(&traces[i]);
        for (int n = 0; n < 1000; n++)
            assert_true(telling_next(a) == telling_next(b));
        telling_destroy(&a);
        telling_destroy(&b);
    }
}

static void l1_beats_lru(void **state)
{
    static const struct {
        struct trace trace;
        unsigned permille; /* of all bytes are kept */
        double misses;     /* of LRU's, at most */
    } rows[] = {
        {{"skewed", 0.8, 10000, 100000, 0, 0, 0, 0}, 20, 0.93},
        {{"skewed more", 0.99, 10000, 100000, 0, 0, 0, 0}, 100, 0.92},
        {{"scans", 0.8, 10000, 100000, 5000, 1000, 0, 0}, 20, 0.94},
        {{"scans, skewed more", 0.99, 10000, 100000, 5000, 1000, 0, 0}, 100, 0.92},
        {{"moving", 0.99, 10000, 100000, 0, 0, 10000, 200}, 100, 1.0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct played p;
        play(&rows[i].trace, (size_t)(trace_all_bytes(&rows[i].trace) / 1000 * rows[i].permille), &p);
        const double misses = (double)(p.request_count - p.hit_count) / (double)(p.request_count - p.lru_hit_count);
        print_message("%s: %.3f of LRU's misses\n", rows[i].trace.name, misses);
        assert_true(misses < rows[i].misses);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_yardstick_is_lru),
        cmocka_unit_test(a_trace_is_the_same_each_time),
        cmocka_unit_test(l1_beats_lru),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
