/* The loop of the product, libev, against its contract, and what only a real clock can show. */
#define CONTRACT_SIGNAL(loop, signo) ((void)(loop), assert_int_equal(raise(signo), 0))
#include "tests/unit/base/loop_contract.h"

static int64_t spin_ms(const struct loop *l, int64_t time_ms)
{
    int64_t end_us = loop_fresh_us(l) + time_ms * 1000;

    while (loop_fresh_us(l) < end_us)
        continue;
    return loop_fresh_us(l) / 1000;
}

struct busy {
    struct loop *loop;
    struct timer timer;
    int64_t started_ms;
    int64_t fired_ms;
};

static void on_due(void *arg)
{
    struct busy *b = arg;

    b->fired_ms = loop_fresh_us(b->loop) / 1000;
}

/* The pass began long ago; the delay counts from the call all the same. */
static void work_then_start(void *arg)
{
    struct busy *b = arg;

    b->started_ms = spin_ms(b->loop, 30);
    timer_start(&b->timer, 10);
}

static void a_timer_started_late_in_a_long_pass_is_not_early(void **state)
{
    struct busy b = {.loop = loop_create()};
    struct later work;

    (void)state;
    timer_init(&b.timer, b.loop, on_due, &b);
    later_init(&work, b.loop, work_then_start, &b);
    later_post(&work);
    while (b.fired_ms == 0)
        loop_run_once(b.loop, true);
    assert_in_range(b.fired_ms - b.started_ms, 10, 5000);
    loop_destroy(&b.loop);
}

static void the_time_of_a_pass_stands_still(void **state)
{
    struct loop *l = loop_create();
    int64_t now_ms = loop_now_ms(l), wall_ms = loop_wall_ms(l);

    (void)state;
    spin_ms(l, 5);
    assert_int_equal(loop_now_ms(l), now_ms);
    assert_int_equal(loop_wall_ms(l), wall_ms);
    loop_run_once(l, false);
    assert_true(loop_now_ms(l) >= now_ms + 5);
    loop_destroy(&l);
}

static void libraries_get_the_loop_beneath(void **state)
{
    struct loop *l = loop_create();

    (void)state;
    assert_non_null(loop_native(l));
    loop_destroy(&l);
}

/* A descriptor number that is closed and used again belongs to its new owner alone. */
static void a_reused_descriptor_number_is_a_new_descriptor(void **state)
{
    struct story s;
    struct actor a, b;
    int first[2], second[2];

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    actor_init(&b, &s, 'b');
    make_pair(first);
    io_init(&a.io, s.loop, first[0], act_on_io, &a);
    io_want(&a.io, IO_READ);
    loop_run_once(s.loop, false);
    io_fini(&a.io);
    close(first[0]);
    close(first[1]);
    make_pair(second);
    assert_int_equal(second[0], first[0]);
    io_init(&b.io, s.loop, second[0], act_on_io, &b);
    io_want(&b.io, IO_READ);
    loop_run_once(s.loop, false);
    assert_int_equal(write(second[1], "!", 1), 1);
    loop_run_once(s.loop, true);
    io_fini(&b.io);
    close(second[0]);
    close(second[1]);
    story_is(&s, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_CONTRACT_TESTS,
        cmocka_unit_test(a_timer_started_late_in_a_long_pass_is_not_early),
        cmocka_unit_test(the_time_of_a_pass_stands_still),
        cmocka_unit_test(libraries_get_the_loop_beneath),
        cmocka_unit_test(a_reused_descriptor_number_is_a_new_descriptor),
    };
    return cmocka_run_group_tests_name("base/loop", tests, NULL, NULL);
}
