/* Sessions that lose a server together are accounted for together, and whoever waits for the account hears of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/realtime/losses.h"
#include "tests/replay/sim.h"

#define SESSIONS     20u
#define ACCOUNTS_MAX 8u

struct told {
    char server[32], why[32];
    struct wave_account a;
    int64_t at_ms;
};

struct world {
    struct loop *loop;
    struct losses *losses;
    struct loss loss[SESSIONS];
    struct told told[ACCOUNTS_MAX];
    uint32_t told_count;
};

static void on_account(void *arg, const struct wave_account *a)
{
    struct world *w = arg;
    assert_true(w->told_count < ACCOUNTS_MAX);
    struct told *t = &w->told[w->told_count++];
    t->a = *a;
    t->at_ms = loop_now_ms(w->loop);
    snprintf(t->server, sizeof t->server, "%s", a->server);
    snprintf(t->why, sizeof t->why, "%s", a->why);
}

static int setup(void **state)
{
    static struct world world;
    world = (struct world){.loop = loop_create()};
    world.losses = losses_create(world.loop, on_account, &world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 0; i < SESSIONS; i++)
        losses_over(w->losses, &w->loss[i], LOSS_LEFT);
    losses_destroy(&w->losses);
    loop_destroy(&w->loop);
    return 0;
}

static void lose(struct world *w, uint32_t first, uint32_t count, const char *server)
{
    for (uint32_t i = first; i < first + count; i++)
        losses_lost(w->losses, &w->loss[i], server, "reset");
}

static void end(struct world *w, uint32_t first, uint32_t count, enum loss_end how)
{
    for (uint32_t i = first; i < first + count; i++)
        losses_over(w->losses, &w->loss[i], how);
}

static void a_quick_failover_is_told_once(void **state)
{
    struct world *w = *state;
    const int64_t start_ms = loop_now_ms(w->loop);
    lose(w, 0, 12, "p/a");
    sim_advance(w->loop, 40);
    end(w, 0, 6, LOSS_RESTORED);
    sim_advance(w->loop, 60);
    end(w, 6, 6, LOSS_RESTORED);
    assert_int_equal(w->told_count, 0); /* others may follow */
    sim_advance(w->loop, 1000);
    assert_int_equal(w->told_count, 1);
    const struct told *t = &w->told[0];
    assert_string_equal(t->server, "p/a");
    assert_string_equal(t->why, "reset");
    assert_true(t->a.is_over);
    assert_int_equal(t->a.lost, 12);
    assert_int_equal(t->a.restored, 12);
    assert_int_equal(t->a.waiting, 0);
    assert_int_equal(t->a.longest_ms, 100);
    assert_int_equal(t->at_ms - start_ms, LOSSES_QUIET_MS);
}

static void a_slow_one_is_announced_and_then_told(void **state)
{
    struct world *w = *state;
    lose(w, 0, 3, "p/a");
    sim_advance(w->loop, 1000);
    assert_int_equal(w->told_count, 1);
    assert_false(w->told[0].a.is_over);
    assert_int_equal(w->told[0].a.waiting, 3);
    end(w, 0, 1, LOSS_RESTORED);
    end(w, 1, 1, LOSS_GIVEN_UP);
    end(w, 2, 1, LOSS_LEFT);
    sim_advance(w->loop, LOSSES_QUIET_MS);
    assert_int_equal(w->told_count, 2);
    const struct wave_account *a = &w->told[1].a;
    assert_true(a->is_over);
    assert_int_equal(a->restored, 1);
    assert_int_equal(a->given_up, 1);
    assert_int_equal(a->left, 1);
    assert_int_equal(a->longest_ms, 1000);
}

static void after_a_while_it_is_told_as_it_stands(void **state)
{
    struct world *w = *state;
    const int64_t start_ms = loop_now_ms(w->loop);
    lose(w, 0, 12, "p/a");
    end(w, 0, 2, LOSS_RESTORED);
    sim_advance(w->loop, 60000);
    assert_int_equal(w->told_count, 2);
    assert_int_equal(w->told[1].at_ms - start_ms, LOSSES_TOLD_BY_MS);
    assert_int_equal(w->told[1].a.restored, 2);
    assert_int_equal(w->told[1].a.waiting, 10);
    end(w, 2, 10, LOSS_RESTORED); /* too late for the account, and no reason for another one */
    sim_advance(w->loop, 60000);
    assert_int_equal(w->told_count, 2);
}

static void servers_have_waves_of_their_own_and_a_session_is_in_one(void **state)
{
    struct world *w = *state;
    lose(w, 0, 2, "p/a");
    lose(w, 2, 3, "p/b");
    lose(w, 0, 1, "p/b"); /* the one it was going to */
    end(w, 0, 5, LOSS_RESTORED);
    end(w, 0, 5, LOSS_RESTORED);
    sim_advance(w->loop, 1000);
    assert_int_equal(w->told_count, 2);
    assert_string_equal(w->told[0].server, "p/a");
    assert_int_equal(w->told[0].a.lost, 2);
    assert_int_equal(w->told[0].a.restored, 2);
    assert_string_equal(w->told[1].server, "p/b");
    assert_int_equal(w->told[1].a.lost, 3);
    assert_int_equal(w->told[1].a.restored, 3);
}

static void what_is_lost_later_is_another_wave(void **state)
{
    struct world *w = *state;
    lose(w, 0, 1, "p/a");
    sim_advance(w->loop, LOSSES_TOLD_BY_MS);
    assert_int_equal(w->told_count, 2);
    lose(w, 1, 1, "p/a");
    end(w, 1, 1, LOSS_RESTORED);
    sim_advance(w->loop, 1000);
    assert_int_equal(w->told_count, 3);
    assert_int_equal(w->told[2].a.lost, 1);
    assert_int_equal(w->told[2].a.restored, 1);
}

static void messages_lost_on_the_way_belong_to_the_wave(void **state)
{
    struct world *w = *state;
    losses_count(&w->loss[0], STAT_ROUTE_SESSION_DROPPED, 1); /* it lives: nobody's */
    lose(w, 0, 2, "p/a");
    losses_count(&w->loss[0], STAT_ROUTE_SESSION_UNKNOWN, 2);
    losses_count(&w->loss[1], STAT_ROUTE_SESSION_DROPPED, 3);
    losses_count(&w->loss[1], STAT_ROUTE_SESSION_BEATS, 4);
    end(w, 0, 2, LOSS_RESTORED);
    losses_count(&w->loss[1], STAT_ROUTE_SESSION_DROPPED, 5);
    sim_advance(w->loop, 1000);
    assert_int_equal(w->told[0].a.unknown, 2);
    assert_int_equal(w->told[0].a.dropped, 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_quick_failover_is_told_once),         TEST(a_slow_one_is_announced_and_then_told),
        TEST(after_a_while_it_is_told_as_it_stands), TEST(servers_have_waves_of_their_own_and_a_session_is_in_one),
        TEST(what_is_lost_later_is_another_wave),    TEST(messages_lost_on_the_way_belong_to_the_wave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
