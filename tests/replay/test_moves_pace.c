/* Who wants to move goes at the pace of its line, comes back when nobody took it, and is told when its time is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/realtime/moves.h"
#include "tests/replay/sim.h"

#define PLAYERS 100u
#define NEVER   INT64_MAX

struct player {
    struct mover mover;
    enum move_course begins, goes; /* what it answers */
    uint32_t begun_count;
    int64_t begun_ms; /* the last time */
    int64_t must_go_ms;
    bool leaves; /* as soon as it is asked */
};

struct world {
    struct loop *loop;
    struct moves *moves;
    int64_t began_ms;
    uint32_t begun_count;
    struct player players[PLAYERS];
};

static struct player *player_of(struct mover *m)
{
    return LIST_ENTRY(m, struct player, mover);
}

static enum move_course on_begin(void *arg, struct mover *m)
{
    struct world *w = arg;
    struct player *p = player_of(m);
    p->begun_count++;
    p->begun_ms = loop_now_ms(w->loop) - w->began_ms;
    w->begun_count++;
    if (p->leaves)
        mover_leave(m);
    return p->begins;
}

static enum move_course on_look(void *arg, struct mover *m)
{
    (void)arg;
    struct player *p = player_of(m);
    if (p->leaves)
        mover_leave(m);
    return p->goes;
}

static bool is_idle(const struct mover *m)
{
    return m->reason == MOVE_NONE;
}

static void on_must_go(void *arg, struct mover *m)
{
    struct world *w = arg;
    assert_true(is_idle(m));
    player_of(m)->must_go_ms = loop_now_ms(w->loop) - w->began_ms;
}

static const struct moves_ops ops = {.begin = on_begin, .look = on_look, .must_go = on_must_go};

static int setup(void **state)
{
    static struct world w;
    w = (struct world){.loop = loop_create()};
    w.moves = moves_create(w.loop, &ops, &w);
    w.began_ms = loop_now_ms(w.loop);
    for (size_t i = 0; i < PLAYERS; i++) {
        mover_init(&w.players[i].mover);
        w.players[i].begins = MOVE_UNDER_WAY;
        w.players[i].goes = MOVE_DONE;
    }
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    moves_destroy(&w->moves);
    loop_destroy(&w->loop);
    return 0;
}

static void want(struct world *w, uint32_t first, uint32_t count, uint32_t line, uint32_t per_s)
{
    for (uint32_t i = first; i < first + count; i++)
        moves_want(w->moves, &w->players[i].mover, w, MOVE_DRAINING, line, per_s, NEVER);
}

static uint32_t idle_count(const struct world *w)
{
    uint32_t n = 0;
    for (size_t i = 0; i < PLAYERS; i++)
        n += is_idle(&w->players[i].mover);
    return n;
}

static void they_go_at_the_pace_of_their_line(void **state)
{
    struct world *w = *state;
    want(w, 0, 100, 3, 10);
    for (uint32_t s = 1; s <= 9; s++) {
        sim_advance(w->loop, 1000);
        assert_in_range(w->begun_count, 10 * s, 10 * s + 1);
    }
    sim_advance(w->loop, 1100);
    assert_int_equal(w->begun_count, 100);
    assert_int_equal(idle_count(w), 100);
    assert_int_equal(sim_next_timer_ms(w->loop), -1); /* nothing ticks any more */
    for (uint32_t i = 1; i < PLAYERS; i++)
        assert_true(w->players[i].begun_ms >= w->players[i - 1].begun_ms);
}

static void the_pace_is_shared_by_all_processes(void **state)
{
    struct world *w = *state;
    moves_set_shares(w->moves, 4);
    want(w, 0, 100, 3, 10);
    sim_advance(w->loop, 10000);
    assert_in_range(w->begun_count, 25, 26);
}

static void lines_do_not_wait_for_each_other(void **state)
{
    struct world *w = *state;
    want(w, 0, 50, 3, 1);
    want(w, 50, 50, 4, 50);
    sim_advance(w->loop, 1100);
    assert_int_equal(w->players[99].begun_count, 1);
    assert_int_equal(w->players[2].begun_count, 0);
}

static void without_a_limit_all_go_at_once(void **state)
{
    struct world *w = *state;
    want(w, 0, 100, 3, 0);
    sim_advance(w->loop, 50);
    assert_int_equal(w->begun_count, 100);
}

static void who_wants_twice_stands_in_line_once(void **state)
{
    struct world *w = *state;
    for (uint32_t n = 0; n < 100; n++) {
        want(w, 0, 1, 3, 10);
        sim_advance(w->loop, 1);
    }
    want(w, 1, 2, 3, 10);
    sim_advance(w->loop, 1000);
    assert_int_equal(w->players[1].begun_count, 1);
    assert_int_equal(w->players[2].begun_count, 1);
}

static void what_failed_is_tried_again_after_a_growing_pause(void **state)
{
    struct world *w = *state;
    struct player *p = &w->players[0];
    p->goes = MOVE_FAILED;
    want(w, 0, 1, 3, 50);
    int64_t before_ms = 0;
    static const int64_t pauses_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (uint32_t n = 0; n < sizeof pauses_ms / sizeof pauses_ms[0]; n++) {
        while (p->begun_count < n + 1)
            sim_advance(w->loop, 50);
        if (n > 0)
            assert_in_range(p->begun_ms - before_ms, pauses_ms[n - 1], pauses_ms[n - 1] + 700);
        before_ms = p->begun_ms;
    }
    p->goes = MOVE_DONE;
    sim_advance(w->loop, 31000);
    assert_true(is_idle(&p->mover));
    want(w, 0, 1, 3, 50); /* later, for another reason: as if nothing had been */
    p->goes = MOVE_FAILED;
    sim_advance(w->loop, 100);
    const uint32_t count = p->begun_count;
    sim_advance(w->loop, 1600);
    assert_int_equal(p->begun_count, count + 1);
}

static void nobody_pauses_when_another_server_is_there(void **state)
{
    struct world *w = *state;
    struct player *p = &w->players[0];
    p->goes = MOVE_FAILED;
    want(w, 0, 1, 3, 50);
    sim_advance(w->loop, 20000);
    const uint32_t count = p->begun_count;
    p->goes = MOVE_DONE;
    moves_hurry(w->moves);
    sim_advance(w->loop, 100);
    assert_int_equal(p->begun_count, count + 1);
    assert_true(is_idle(&p->mover));
}

static void what_cannot_begin_costs_the_others_nothing(void **state)
{
    struct world *w = *state;
    for (uint32_t i = 0; i < 50; i++)
        w->players[i].begins = MOVE_NOT_NOW;
    want(w, 0, 60, 3, 10);
    sim_advance(w->loop, 1000);
    assert_int_equal(w->players[50 + 9].begun_count, 1);
    assert_in_range(w->players[0].begun_count, 1, 2);
    for (uint32_t i = 0; i < 50; i++)
        w->players[i].begins = MOVE_DONE; /* elsewhere by themselves */
    sim_advance(w->loop, 1100);
    assert_int_equal(idle_count(w), PLAYERS);
}

static void who_must_have_gone_is_told(void **state)
{
    struct world *w = *state;
    struct player *waits = &w->players[0], *fails = &w->players[1], *goes = &w->players[2];
    fails->goes = MOVE_FAILED;
    moves_want(w->moves, &fails->mover, w, MOVE_REMOVED, 4, 50, w->began_ms + 10000);
    moves_want(w->moves, &goes->mover, w, MOVE_REMOVED, 4, 50, w->began_ms + 10000);
    want(w, 10, 50, 3, 1);
    moves_want(w->moves, &waits->mover, w, MOVE_REMOVED, 3, 1, w->began_ms + 10000);
    sim_advance(w->loop, 9900);
    assert_int_equal(waits->must_go_ms + fails->must_go_ms, 0);
    sim_advance(w->loop, 1000);
    assert_in_range(waits->must_go_ms, 10000, 10600);
    assert_in_range(fails->must_go_ms, 10000, 10600);
    assert_int_equal(goes->must_go_ms, 0);
    assert_true(is_idle(&waits->mover));
}

/* A client waits for what its server refuses. */
static void who_asks_goes_before_all_others(void **state)
{
    struct world *w = *state;
    want(w, 0, 50, 3, 10);
    moves_want(w->moves, &w->players[60].mover, w, MOVE_ASKED, 3, 10, NEVER);
    moves_want(w->moves, &w->players[40].mover, w, MOVE_ASKED, 3, 10, NEVER); /* in line already, at its end */
    sim_advance(w->loop, 250);
    assert_int_equal(w->players[60].begun_count, 1);
    assert_int_equal(w->players[40].begun_count, 1);
    assert_in_range(w->begun_count, 2, 4);
}

static void who_leaves_the_line_is_not_asked(void **state)
{
    struct world *w = *state;
    want(w, 0, 3, 3, 1);
    mover_leave(&w->players[1].mover);
    mover_leave(&w->players[1].mover);
    mover_leave(&w->players[50].mover); /* never was in it */
    sim_advance(w->loop, 3000);
    assert_int_equal(w->players[1].begun_count, 0);
    assert_int_equal(w->players[2].begun_count, 1);
}

static void a_mover_may_leave_while_it_is_asked(void **state)
{
    struct world *w = *state;
    w->players[0].leaves = w->players[1].leaves = true;
    w->players[1].begins = MOVE_FAILED;
    want(w, 0, 3, 3, 0);
    sim_advance(w->loop, 5000);
    assert_int_equal(idle_count(w), PLAYERS);
    assert_int_equal(w->begun_count, 3);
}

static void nothing_moves_after_the_stop(void **state)
{
    struct world *w = *state;
    want(w, 0, 50, 3, 10);
    w->players[0].goes = MOVE_UNDER_WAY;
    sim_advance(w->loop, 1000);
    const uint32_t count = w->begun_count;
    moves_stop(w->moves);
    want(w, 50, 50, 4, 10);
    sim_advance(w->loop, 5000);
    assert_int_equal(w->begun_count, count);
    assert_int_equal(idle_count(w), PLAYERS);
    assert_int_equal(sim_next_timer_ms(w->loop), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_go_at_the_pace_of_their_line, setup, teardown),
        cmocka_unit_test_setup_teardown(the_pace_is_shared_by_all_processes, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_do_not_wait_for_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_limit_all_go_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(who_wants_twice_stands_in_line_once, setup, teardown),
        cmocka_unit_test_setup_teardown(what_failed_is_tried_again_after_a_growing_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_pauses_when_another_server_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_begin_costs_the_others_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(who_must_have_gone_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(who_asks_goes_before_all_others, setup, teardown),
        cmocka_unit_test_setup_teardown(who_leaves_the_line_is_not_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mover_may_leave_while_it_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_moves_after_the_stop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
