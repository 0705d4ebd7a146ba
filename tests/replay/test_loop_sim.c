/* The replay loop keeps the contract of the real one, and its clock jumps. */
#define CONTRACT_SIGNAL(loop, signo) sim_signal((loop), (signo))
#include "base/sock.h"
#include "tests/replay/sim.h"
#include "tests/unit/base/loop_contract.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define HOUR_MS INT64_C(3600000)

struct heart {
    struct timer timer;
    uint32_t beat_count;
};

static void beat(void *arg)
{
    struct heart *h = arg;

    h->beat_count++;
    timer_start(&h->timer, 1000);
}

static int64_t real_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void an_hour_of_heartbeats_passes_in_no_time(void **state)
{
    struct loop *l = loop_create();
    struct heart h = {0};
    int64_t begin_ms = loop_now_ms(l), begin_wall_ms = loop_wall_ms(l), begin_real_ms = real_ms();

    (void)state;
    timer_init(&h.timer, l, beat, &h);
    timer_start(&h.timer, 1000);
    sim_advance(l, HOUR_MS);
    assert_int_equal(h.beat_count, 3600);
    assert_int_equal(loop_now_ms(l) - begin_ms, HOUR_MS);
    assert_int_equal(loop_wall_ms(l) - begin_wall_ms, HOUR_MS);
    assert_in_range(real_ms() - begin_real_ms, 0, 20000);
    timer_cancel(&h.timer);
    loop_destroy(&l);
}

static void time_stops_exactly_where_asked(void **state)
{
    struct loop *l = loop_create();
    struct heart h = {0};
    int64_t begin_ms = loop_now_ms(l);

    (void)state;
    assert_int_equal(sim_next_timer_ms(l), -1);
    timer_init(&h.timer, l, beat, &h);
    timer_start(&h.timer, 1000);
    sim_advance(l, 999);
    assert_int_equal(h.beat_count, 0);
    assert_int_equal(sim_next_timer_ms(l), 1);
    sim_advance(l, 1);
    assert_int_equal(h.beat_count, 1);
    assert_int_equal(loop_now_ms(l) - begin_ms, 1000);
    timer_cancel(&h.timer);
    loop_destroy(&l);
}

static void the_run_ends_when_nothing_can_happen_any_more(void **state)
{
    struct story s;
    struct actor reader, timer;
    int fds[2];

    (void)state;
    story_begin(&s);
    actor_init(&reader, &s, 'r');
    actor_init(&timer, &s, 't');
    make_pair(fds);
    io_init(&reader.io, s.loop, fds[0], act_on_io, &reader);
    io_want(&reader.io, IO_READ);
    timer_start(&timer.timer, HOUR_MS);
    loop_run(s.loop);
    io_fini(&reader.io);
    close(fds[0]);
    close(fds[1]);
    story_is(&s, "t");
}

/* Passes a byte on with the next letter, up to 'e'. */
struct passer {
    struct story *story;
    struct io io;
    int fd;
};

static void pass_on(void *arg, unsigned events)
{
    struct passer *p = arg;
    char byte;

    assert_int_equal(events, IO_READ);
    assert_int_equal(read(p->fd, &byte, 1), 1);
    tell(p->story, byte);
    if (byte++ < 'e')
        assert_int_equal(write(p->fd, &byte, 1), 1);
}

static void passer_init(struct passer *p, struct story *s, int fd)
{
    *p = (struct passer){.story = s, .fd = fd};
    io_init(&p->io, s->loop, fd, pass_on, p);
    io_want(&p->io, IO_READ);
}

static void bytes_travel_while_the_clock_stands_still(void **state)
{
    struct story s;
    struct passer left, right;
    struct actor timer;
    int fds[2];

    (void)state;
    story_begin(&s);
    make_pair(fds);
    actor_init(&timer, &s, 't');
    passer_init(&left, &s, fds[0]);
    passer_init(&right, &s, fds[1]);
    timer_start(&timer.timer, 1);
    assert_int_equal(write(fds[0], "a", 1), 1);
    int64_t begin_ms = loop_now_ms(s.loop);
    sim_settle(s.loop);
    assert_string_equal(s.text, "abcde");
    assert_int_equal(loop_now_ms(s.loop), begin_ms);
    loop_run(s.loop);
    io_fini(&left.io);
    io_fini(&right.io);
    close(fds[0]);
    close(fds[1]);
    story_is(&s, "abcdet");
}

/* Takes the connection in and passes bytes on over it. */
struct door {
    struct passer passer;
    struct io io;
    int fd;
};

static void let_in(void *arg, unsigned events)
{
    struct door *d = arg;
    struct addr peer;
    int fd;

    assert_int_equal(events, IO_READ);
    assert_int_equal(sock_accept(d->fd, &fd, &peer), ERR_NONE);
    passer_init(&d->passer, d->passer.story, fd);
}

/* A connect, its acceptance and each byte are on their way over loopback in turn: the clock waits for them all. */
static void bytes_travel_over_tcp_while_the_clock_stands_still(void **state)
{
    struct story s;
    struct passer caller;
    struct door door = {.passer.story = &s};
    struct actor timer;
    struct addr a;
    int fd;

    (void)state;
    story_begin(&s);
    actor_init(&timer, &s, 't');
    assert_true(addr_parse(&a, "127.0.0.1:0"));
    assert_int_equal(sock_listen(&a, false, 1, &door.fd), ERR_NONE);
    assert_int_equal(sock_local_addr(door.fd, &a), ERR_NONE);
    io_init(&door.io, s.loop, door.fd, let_in, &door);
    io_want(&door.io, IO_READ);
    timer_start(&timer.timer, 1);
    assert_int_equal(sock_connect(&a, &fd), ERR_NONE);
    passer_init(&caller, &s, fd);
    sim_settle(s.loop);
    assert_int_equal(write(fd, "a", 1), 1);
    loop_run(s.loop);
    io_fini(&caller.io);
    io_fini(&door.passer.io);
    io_fini(&door.io);
    close(fd);
    close(door.passer.fd);
    close(door.fd);
    story_is(&s, "abcdet");
}

static void the_wall_clock_may_be_set(void **state)
{
    struct loop *l = loop_create();
    int64_t begin_ms = loop_now_ms(l);

    (void)state;
    sim_set_wall(l, INT64_C(1893456000000));
    assert_int_equal(loop_wall_ms(l), INT64_C(1893456000000));
    sim_advance(l, 5);
    assert_int_equal(loop_wall_ms(l), INT64_C(1893456000005));
    assert_int_equal(loop_now_ms(l), begin_ms + 5);
    loop_destroy(&l);
}

static void post_again(void *arg)
{
    later_post(arg);
}

static void a_runaway_aborts_instead_of_hanging(void **state)
{
    int status;

    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct loop *l = loop_create();
        struct later again;

        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        later_init(&again, l, post_again, &again);
        later_post(&again);
        sim_limit_passes(l, 100);
        loop_run(l);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void nothing_of_the_real_loop_is_here(void **state)
{
    struct loop *l = loop_create();

    (void)state;
    assert_null(loop_native(l));
    loop_destroy(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_CONTRACT_TESTS,
        cmocka_unit_test(an_hour_of_heartbeats_passes_in_no_time),
        cmocka_unit_test(time_stops_exactly_where_asked),
        cmocka_unit_test(the_run_ends_when_nothing_can_happen_any_more),
        cmocka_unit_test(bytes_travel_while_the_clock_stands_still),
        cmocka_unit_test(bytes_travel_over_tcp_while_the_clock_stands_still),
        cmocka_unit_test(the_wall_clock_may_be_set),
        cmocka_unit_test(a_runaway_aborts_instead_of_hanging),
        cmocka_unit_test(nothing_of_the_real_loop_is_here),
    };
    return cmocka_run_group_tests_name("replay/loop_sim", tests, NULL, NULL);
}
