/* What base/loop.h promises, as tests that run against both implementations: the product's (test_loop.c) and the one
 * with a virtual clock (tests/replay/test_loop_sim.c). Whatever one of them gets wrong, replay would hide or invent.
 * The includer defines CONTRACT_SIGNAL(loop, signo), which brings a signal about. */
#ifndef TESTS_UNIT_BASE_LOOP_CONTRACT_H
#define TESTS_UNIT_BASE_LOOP_CONTRACT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"

/* A story is what happened, one letter per event, in order. */
struct story {
    struct loop *loop;
    char text[64];
    size_t len;
};

static void tell(struct story *s, char event)
{
    assert_true(s->len + 1 < sizeof s->text);
    s->text[s->len++] = event;
    s->text[s->len] = '\0';
}

/* Something that writes its letter when called, and may do one thing to another. */
struct actor {
    struct story *story;
    char name;
    struct io io;
    struct timer timer;
    struct later later;
    struct io *stops;        /* io_want(0) on it */
    struct io *finishes;     /* io_fini on it */
    struct timer *cancels;   /* timer_cancel on it */
    struct timer *starts;    /* timer_start(0) on it, once */
    struct later *posts;     /* later_post on it, once */
    struct later *withdraws; /* later_cancel on it */
    bool ends_run;
};

static void act(struct actor *a)
{
    tell(a->story, a->name);
    if (a->stops != NULL)
        io_want(a->stops, 0);
    if (a->finishes != NULL)
        io_fini(a->finishes);
    if (a->cancels != NULL)
        timer_cancel(a->cancels);
    if (a->starts != NULL)
        timer_start(a->starts, 0);
    a->starts = NULL;
    if (a->posts != NULL)
        later_post(a->posts);
    a->posts = NULL;
    if (a->withdraws != NULL)
        later_cancel(a->withdraws);
    if (a->ends_run)
        loop_stop(a->story->loop);
}

static void act_on_io(void *arg, unsigned events)
{
    assert_true(events != 0);
    act(arg);
}

static void act_alone(void *arg)
{
    act(arg);
}

static void actor_init(struct actor *a, struct story *s, char name)
{
    *a = (struct actor){.story = s, .name = name};
    timer_init(&a->timer, s->loop, act_alone, a);
    later_init(&a->later, s->loop, act_alone, a);
}

static void story_begin(struct story *s)
{
    *s = (struct story){.loop = loop_create()};
}

static void story_is(struct story *s, const char *expected)
{
    loop_destroy(&s->loop);
    assert_string_equal(s->text, expected);
}

static void timers_fire_in_order_of_their_times(void **state)
{
    struct story s;
    struct actor a, b, c;

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    actor_init(&b, &s, 'b');
    actor_init(&c, &s, 'c');
    c.ends_run = true;
    timer_start(&c.timer, 30);
    timer_start(&a.timer, 0);
    timer_start(&b.timer, 15);
    loop_run(s.loop);
    story_is(&s, "abc");
}

static void a_timer_is_never_early(void **state)
{
    struct story s;
    struct actor a;

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    for (int64_t delay_ms = 0; delay_ms < 12; delay_ms++) {
        int64_t start_ms = loop_now_ms(s.loop);

        timer_start(&a.timer, delay_ms);
        assert_true(timer_is_active(&a.timer));
        while (timer_is_active(&a.timer))
            loop_run_once(s.loop, true);
        assert_in_range(loop_now_ms(s.loop) - start_ms, delay_ms, delay_ms + 5000);
    }
    story_is(&s, "aaaaaaaaaaaa");
}

static void a_timer_started_again_runs_once_and_later(void **state)
{
    struct story s;
    struct actor a, b;

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    actor_init(&b, &s, 'b');
    timer_start(&a.timer, 1);
    timer_start(&b.timer, 10);
    timer_start(&a.timer, 20);
    a.ends_run = true;
    loop_run(s.loop);
    assert_false(timer_is_active(&a.timer));
    story_is(&s, "ba");
}

static void a_timer_may_restart_itself(void **state)
{
    struct story s;
    struct actor a;

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    a.starts = &a.timer;
    timer_start(&a.timer, 0);
    loop_run_once(s.loop, true);
    assert_true(timer_is_active(&a.timer)); /* in the next pass, or descriptors would never get a turn */
    loop_run_once(s.loop, true);
    story_is(&s, "aa");
}

static void after_timer_cancel_returns_no_callback_comes(void **state)
{
    struct story s;
    struct actor a, b;

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'x');
    actor_init(&b, &s, 'x');
    a.cancels = &b.timer; /* both are due in the same pass; whoever is first silences the other */
    b.cancels = &a.timer;
    timer_start(&a.timer, 0);
    timer_start(&b.timer, 0);
    loop_run_once(s.loop, true); /* at once is not always this very pass */
    for (int i = 0; i < 2; i++)
        loop_run_once(s.loop, false);
    timer_cancel(&a.timer);
    timer_cancel(&b.timer);
    story_is(&s, "x");
}

static void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void descriptors_are_told_apart_by_what_is_wanted(void **state)
{
    struct story s;
    struct actor a;
    int fds[2];

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    make_pair(fds);
    io_init(&a.io, s.loop, fds[0], act_on_io, &a);
    assert_int_equal(io_wanted(&a.io), 0);
    loop_run_once(s.loop, false); /* nothing is wanted: silence, although it is writable */
    io_want(&a.io, IO_READ);
    loop_run_once(s.loop, false);
    assert_int_equal(s.len, 0);
    io_want(&a.io, IO_READ | IO_WRITE);
    assert_int_equal(io_wanted(&a.io), IO_READ | IO_WRITE);
    loop_run_once(s.loop, false);
    assert_int_equal(s.len, 1);
    io_want(&a.io, IO_READ);
    assert_int_equal(write(fds[1], "!", 1), 1);
    loop_run_once(s.loop, false);
    assert_int_equal(s.len, 2);
    io_want(&a.io, 0);
    loop_run_once(s.loop, false); /* the byte is still there, and nobody asks */
    assert_int_equal(io_wanted(&a.io), 0);
    io_fini(&a.io);
    close(fds[0]);
    close(fds[1]);
    story_is(&s, "aa");
}

static void a_peer_that_hangs_up_is_readable(void **state)
{
    struct story s;
    struct actor a;
    int fds[2];

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    make_pair(fds);
    io_init(&a.io, s.loop, fds[0], act_on_io, &a);
    io_want(&a.io, IO_READ);
    close(fds[1]);
    loop_run_once(s.loop, true);
    io_fini(&a.io);
    close(fds[0]);
    story_is(&s, "a");
}

/* Two descriptors are ready in the same pass, and the first callback deals with the other one. */
static void two_ready(struct actor *a, struct actor *b, int fds[2])
{
    make_pair(fds);
    io_init(&a->io, a->story->loop, fds[0], act_on_io, a);
    io_init(&b->io, b->story->loop, fds[1], act_on_io, b);
    io_want(&a->io, IO_WRITE);
    io_want(&b->io, IO_WRITE);
}

static void after_io_want_nothing_no_callback_comes(void **state)
{
    struct story s;
    struct actor a, b;
    int fds[2];

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'x');
    actor_init(&b, &s, 'x');
    two_ready(&a, &b, fds);
    a.stops = &b.io;
    b.stops = &a.io;
    loop_run_once(s.loop, false);
    io_fini(&a.io);
    io_fini(&b.io);
    close(fds[0]);
    close(fds[1]);
    story_is(&s, "x");
}

static void after_io_fini_no_callback_comes(void **state)
{
    struct story s;
    struct actor a, b;
    int fds[2];

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    actor_init(&b, &s, 'b');
    two_ready(&a, &b, fds);
    a.finishes = &b.io;
    b.finishes = &a.io;
    loop_run_once(s.loop, false);
    assert_int_equal(s.len, 1);
    io_fini(s.text[0] == 'a' ? &a.io : &b.io);
    close(fds[0]);
    close(fds[1]);
    s.text[0] = 'x';
    story_is(&s, "x");
}

static void an_answer_that_is_there_beats_its_timeout(void **state)
{
    struct story s;
    struct actor answer, timeout;
    int fds[2];

    (void)state;
    story_begin(&s);
    actor_init(&answer, &s, 'a');
    actor_init(&timeout, &s, 't');
    make_pair(fds);
    io_init(&answer.io, s.loop, fds[0], act_on_io, &answer);
    io_want(&answer.io, IO_READ);
    answer.cancels = &timeout.timer;
    answer.stops = &answer.io;
    assert_int_equal(write(fds[1], "!", 1), 1);
    timer_start(&timeout.timer, 0);
    for (int i = 0; i < 3; i++)
        loop_run_once(s.loop, false);
    io_fini(&answer.io);
    close(fds[0]);
    close(fds[1]);
    story_is(&s, "a");
}

static void laters_run_after_all_callbacks_in_order_of_posting(void **state)
{
    struct story s;
    struct actor a, b, l, m;
    int fds[2];

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'x');
    actor_init(&b, &s, 'x');
    actor_init(&l, &s, 'l');
    actor_init(&m, &s, 'm');
    two_ready(&a, &b, fds);
    later_post(&l.later);
    later_post(&m.later);
    later_post(&l.later); /* already posted */
    loop_run_once(s.loop, false);
    io_fini(&a.io);
    io_fini(&b.io);
    close(fds[0]);
    close(fds[1]);
    story_is(&s, "xxlm");
}

static void a_later_of_a_later_waits_for_the_next_pass_which_does_not_wait(void **state)
{
    struct story s;
    struct actor far, l, m;

    (void)state;
    story_begin(&s);
    actor_init(&far, &s, 'f');
    actor_init(&l, &s, 'l');
    actor_init(&m, &s, 'm');
    timer_start(&far.timer, 3600000);
    l.posts = &m.later;
    later_post(&l.later);
    loop_run_once(s.loop, true);
    assert_string_equal(s.text, "l");
    loop_run_once(s.loop, true); /* would last an hour */
    timer_cancel(&far.timer);
    story_is(&s, "lm");
}

static void a_later_taken_back_does_not_run(void **state)
{
    struct story s;
    struct actor l, m, n;

    (void)state;
    story_begin(&s);
    actor_init(&l, &s, 'l');
    actor_init(&m, &s, 'm');
    actor_init(&n, &s, 'n');
    later_post(&l.later);
    later_post(&m.later);
    later_post(&n.later);
    later_cancel(&n.later);
    l.withdraws = &m.later; /* when both are already due */
    loop_run_once(s.loop, true);
    later_cancel(&l.later); /* taking back what has run is allowed */
    story_is(&s, "l");
}

static void laters_of_the_last_pass_run_before_the_loop_is_gone(void **state)
{
    struct story s;
    struct actor a, l, m;

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    actor_init(&l, &s, 'l');
    actor_init(&m, &s, 'm');
    a.ends_run = true;
    a.posts = &l.later;
    l.posts = &m.later;
    timer_start(&a.timer, 0);
    loop_run(s.loop);
    assert_string_equal(s.text, "al");
    story_is(&s, "alm");
}

static void a_stop_ahead_of_the_run_is_honoured_once(void **state)
{
    struct story s;
    struct actor a;

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    a.ends_run = true;
    timer_start(&a.timer, 0);
    loop_stop(s.loop);
    loop_run(s.loop);
    assert_int_equal(s.len, 0);
    loop_run(s.loop);
    story_is(&s, "a");
}

static void tell_signal(void *arg, int signo)
{
    tell(arg, signo == SIGUSR1 ? '1' : '2');
}

static void signals_arrive_as_callbacks(void **state)
{
    struct story s;
    struct sig one, two;

    (void)state;
    story_begin(&s);
    sig_init(&one, s.loop, SIGUSR1, tell_signal, &s);
    sig_init(&two, s.loop, SIGUSR2, tell_signal, &s);
    CONTRACT_SIGNAL(s.loop, SIGUSR1);
    assert_int_equal(s.len, 0);
    loop_run_once(s.loop, true);
    sig_fini(&one);
    CONTRACT_SIGNAL(s.loop, SIGUSR2);
    loop_run_once(s.loop, true);
    sig_fini(&two);
    story_is(&s, "12");
}

static void both_clocks_go_forward_together(void **state)
{
    struct story s;
    struct actor a;

    (void)state;
    story_begin(&s);
    actor_init(&a, &s, 'a');
    a.ends_run = true;
    int64_t now_ms = loop_now_ms(s.loop), wall_ms = loop_wall_ms(s.loop), fresh_us = loop_fresh_us(s.loop);
    assert_true(wall_ms > INT64_C(1577836800000)); /* 2020 */
    assert_in_range(fresh_us / 1000 - now_ms, 0, 1000);
    timer_start(&a.timer, 20);
    loop_run(s.loop);
    assert_in_range(loop_now_ms(s.loop) - now_ms, 20, 5000);
    assert_in_range(loop_wall_ms(s.loop) - wall_ms, 19, 5000);
    assert_true(loop_fresh_us(s.loop) - fresh_us >= 20000);
    story_is(&s, "a");
}

#define LOOP_CONTRACT_TESTS                                                                                            \
    cmocka_unit_test(timers_fire_in_order_of_their_times), cmocka_unit_test(a_timer_is_never_early),                   \
        cmocka_unit_test(a_timer_started_again_runs_once_and_later), cmocka_unit_test(a_timer_may_restart_itself),     \
        cmocka_unit_test(after_timer_cancel_returns_no_callback_comes),                                                \
        cmocka_unit_test(descriptors_are_told_apart_by_what_is_wanted),                                                \
        cmocka_unit_test(a_peer_that_hangs_up_is_readable), cmocka_unit_test(after_io_want_nothing_no_callback_comes), \
        cmocka_unit_test(after_io_fini_no_callback_comes),                                                             \
        cmocka_unit_test(an_answer_that_is_there_beats_its_timeout),                                                   \
        cmocka_unit_test(laters_run_after_all_callbacks_in_order_of_posting),                                          \
        cmocka_unit_test(a_later_of_a_later_waits_for_the_next_pass_which_does_not_wait),                              \
        cmocka_unit_test(a_later_taken_back_does_not_run),                                                             \
        cmocka_unit_test(laters_of_the_last_pass_run_before_the_loop_is_gone),                                         \
        cmocka_unit_test(a_stop_ahead_of_the_run_is_honoured_once), cmocka_unit_test(signals_arrive_as_callbacks),     \
        cmocka_unit_test(both_clocks_go_forward_together)

#endif
