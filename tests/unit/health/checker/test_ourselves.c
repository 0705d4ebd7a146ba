/* Who is to blame when nobody answers: canaries that listen, that are gone, that hang, and none at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "health/checker/ourselves.h"
#include "tests/unit/health/checker/backend.h"

#define PATIENCE_MS 5000

struct bench {
    struct loop *loop;
    struct resolver *resolver;
    struct verdict_table table;
    struct ourselves *ourselves;
    struct backend backend;
    char address[2][ADDR_TEXT_BYTES];
    const char *addresses[2];
    struct conf_canaries conf;
};

static int setup(void **state)
{
    struct bench *t = calloc(1, sizeof *t);
    struct backend gone;
    t->loop = loop_create();
    t->resolver = resolver_create(t->loop);
    verdict_table_init(&t->table);
    t->table.cut_off_wall_ms = 5; /* what a predecessor left */
    t->ourselves = ourselves_create(t->loop, t->resolver, &t->table);
    assert_int_equal(t->table.cut_off_wall_ms, 0);
    backend_open(&gone, t->loop);
    backend_close(&gone); /* nobody listens there any more */
    backend_open(&t->backend, t->loop);
    addr_text(&gone.addr, t->address[0], sizeof t->address[0]);
    addr_text(&t->backend.addr, t->address[1], sizeof t->address[1]);
    t->addresses[0] = t->address[0];
    t->addresses[1] = t->address[1];
    t->conf =
        (struct conf_canaries){.addresses = t->addresses, .address_count = 2, .share_percent = 100, .timeout_ms = 2000};
    ourselves_set(t->ourselves, &t->conf);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct bench *t = *state;
    ourselves_destroy(&t->ourselves);
    if (t->backend.fd >= 0)
        backend_close(&t->backend);
    resolver_destroy(&t->resolver);
    loop_destroy(&t->loop);
    free(t);
    return 0;
}

static void kill_canary(struct bench *t)
{
    backend_close(&t->backend);
    t->backend.fd = -1;
}

static void on_tick(void *arg)
{
    (void)arg;
}

/* Asks as a server does that fails again and again since `since_ms`, until it may be called down, or we are cut off. */
static bool is_sure_in_the_end(struct bench *t, int64_t since_ms)
{
    const int64_t end_ms = loop_now_ms(t->loop) + PATIENCE_MS;
    while (loop_now_ms(t->loop) < end_ms && t->table.cut_off_wall_ms == 0) {
        if (ourselves_are_sure(t->ourselves, 3, 3, since_ms))
            return true;
        loop_run_once(t->loop, true);
    }
    assert_int_not_equal(t->table.cut_off_wall_ms, 0);
    return false;
}

static void test_without_canaries_it_is_the_server(void **state)
{
    struct bench *t = *state;
    struct conf_canaries none = {.share_percent = 100};
    ourselves_set(t->ourselves, &none);
    assert_true(ourselves_are_sure(t->ourselves, 3, 3, loop_now_ms(t->loop)));
}

static void test_nobody_is_asked_while_servers_answer(void **state)
{
    struct bench *t = *state;
    assert_true(ourselves_are_sure(t->ourselves, 2, 3, loop_now_ms(t->loop)));
    t->conf.share_percent = 60;
    ourselves_set(t->ourselves, &t->conf);
    assert_false(ourselves_are_sure(t->ourselves, 2, 3, loop_now_ms(t->loop)));
    assert_true(ourselves_are_sure(t->ourselves, 1, 3, loop_now_ms(t->loop)));
}

static void test_one_canary_is_enough(void **state)
{
    struct bench *t = *state;
    int64_t since_ms = loop_now_ms(t->loop);
    assert_true(is_sure_in_the_end(t, since_ms));
    assert_int_equal(t->backend.accepted_count, 1);
    assert_true(ourselves_are_sure(t->ourselves, 3, 3, since_ms));                  /* and once */
    assert_false(ourselves_are_sure(t->ourselves, 3, 3, loop_now_ms(t->loop) + 1)); /* not for what began later */
}

static void test_when_all_are_gone_it_is_us(void **state)
{
    struct bench *t = *state;
    kill_canary(t);
    assert_false(is_sure_in_the_end(t, loop_now_ms(t->loop)));
    ourselves_saw_somebody(t->ourselves);
    assert_int_equal(t->table.cut_off_wall_ms, 0);
}

static void test_canaries_that_come_back_are_seen(void **state)
{
    struct bench *t = *state;
    int64_t since_ms = loop_now_ms(t->loop);
    kill_canary(t);
    assert_false(is_sure_in_the_end(t, since_ms));
    backend_open(&t->backend, t->loop);
    addr_text(&t->backend.addr, t->address[1], sizeof t->address[1]);
    ourselves_set(t->ourselves, &t->conf);             /* a free port: another one */
    assert_int_not_equal(t->table.cut_off_wall_ms, 0); /* a reload alone heals nothing */
    const int64_t end_ms = loop_now_ms(t->loop) + PATIENCE_MS;
    struct timer tick; /* the next failure of the server */
    timer_init(&tick, t->loop, on_tick, NULL);
    while (!ourselves_are_sure(t->ourselves, 3, 3, since_ms) && loop_now_ms(t->loop) < end_ms) {
        timer_start(&tick, 50);
        loop_run_once(t->loop, true);
    }
    timer_cancel(&tick);
    assert_true(ourselves_are_sure(t->ourselves, 3, 3, since_ms));
    assert_int_equal(t->table.cut_off_wall_ms, 0);
}

static void test_names_that_lead_nowhere_are_no_answer(void **state)
{
    struct bench *t = *state;
    t->addresses[0] = "nowhere.invalid:80";
    t->conf.address_count = 1;
    t->conf.timeout_ms = 300;
    ourselves_set(t->ourselves, &t->conf);
    assert_false(is_sure_in_the_end(t, loop_now_ms(t->loop)));
}

static void test_destroyed_while_it_asks(void **state)
{
    struct bench *t = *state;
    assert_false(ourselves_are_sure(t->ourselves, 3, 3, loop_now_ms(t->loop)));
    ourselves_set(t->ourselves, &t->conf);
    assert_false(ourselves_are_sure(t->ourselves, 3, 3, loop_now_ms(t->loop)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_without_canaries_it_is_the_server),
        T(test_nobody_is_asked_while_servers_answer),
        T(test_one_canary_is_enough),
        T(test_when_all_are_gone_it_is_us),
        T(test_canaries_that_come_back_are_seen),
        T(test_names_that_lead_nowhere_are_no_answer),
        T(test_destroyed_while_it_asks),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
