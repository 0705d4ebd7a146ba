/* What a Redis that is ill, hung or hostile can do to L2: every question ends once, in time, and a Redis that is well
 * again is used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/l2_link.h"
#include "tests/replay/peer_redis.h"
#include "tests/replay/sim.h"
#include "tests/unit/cache/l2_world.h"

#define TIMEOUT_MS 25

struct fixture {
    struct world w;
    struct peer peer;
    const char *say;           /* to GETRANGE; NULL: nothing */
    const char *ping;          /* to PING; NULL: PONG */
    bool is_mute;              /* PING gets nothing either */
    bool hangs_up;             /* after `say` */
    size_t flood_bytes;        /* behind `say` */
    struct peer_client *asked; /* the last one that GETRANGE came from */
};

static void flood(struct peer_client *c, size_t bytes)
{
    static char block[65536];
    memset(block, 'x', sizeof block);
    /* The other end reads in the same thread: what does not fit is not sent, and the loop comes back here. */
    for (ssize_t put = 1; bytes > 0 && put > 0; bytes -= put > 0 ? (size_t)put : 0)
        put = send(c->fd, block, bytes < sizeof block ? bytes : sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void answer(void *arg, struct peer_client *c, const struct l2_reply *command)
{
    struct fixture *f = arg;
    if (peer_is(command, "PING") && (f->ping != NULL || f->is_mute)) {
        if (!f->is_mute)
            peer_say(c, f->ping);
    } else if (peer_is(command, "PTTL") && (f->say == NULL || f->hangs_up || f->flood_bytes > 0)) {
        return;
    } else if (!peer_is(command, "GETRANGE")) {
        peer_usual(c, command);
    } else {
        f->asked = c;
        if (f->say != NULL)
            peer_say(c, f->say);
        if (f->flood_bytes > 0)
            flood(c, f->flood_bytes);
        if (f->hangs_up)
            peer_hang_up(c);
    }
}

static void start(struct fixture *f)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "url: 'redis://127.0.0.1:%u', timeout: %dms, connect_timeout: 500ms, "
                   "circuit: {failures: 3, open: 100ms}",
                   (unsigned)f->peer.port, TIMEOUT_MS);
    world_conf(&f->w, text);
}

static void connect_to(struct fixture *f)
{
    start(f);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
}

/* The peer is as good as new; sooner or later L2 is too. */
static void is_well_again(struct fixture *f)
{
    f->say = "$2\r\nok\r\n";
    f->ping = NULL;
    f->is_mute = f->hangs_up = false;
    f->flood_bytes = 0;
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    (void)world_get(&f->w, "key");
    /* PTTL says that it is gone: whole replies, in the right order */
    assert_int_equal(f->w.last, ERR_NOT_FOUND);
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    world_init(&f->w);
    timer_cancel(&f->w.tick); /* the clock jumps to what happens next */
    peer_start(&f->peer, f->w.loop);
    f->peer.arg = f;
    f->peer.answer = answer;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    peer_stop(&f->peer);
    world_fini(&f->w);
    mem_free(f);
    return 0;
}

static void a_late_reply_is_nobodys(void **state)
{
    struct fixture *f = *state;
    connect_to(f);
    const int64_t begun_us = loop_fresh_us(f->w.loop);
    assert_int_equal(world_get(&f->w, "slow"), ERR_TIMEOUT);
    const int64_t took_ms = (loop_fresh_us(f->w.loop) - begun_us) / 1000;
    assert_int_equal(took_ms, TIMEOUT_MS);
    peer_say(f->asked, "$4\r\nslow\r\n:1000\r\n");
    f->say = "$4\r\nfast\r\n";
    assert_int_equal(world_get(&f->w, "fast"), ERR_NOT_FOUND); /* the usual PTTL */
    assert_int_equal(f->w.answer_count, 2);
    peer_say(f->asked, ""); /* nothing is owed, nothing is lost */
    assert_true(l2_is_ready(f->w.l2));
}

static void the_circuit_opens_and_a_ping_closes_it(void **state)
{
    struct fixture *f = *state;
    struct l2_counts counts;
    connect_to(f);
    f->is_mute = true;
    const uint32_t pings = f->peer.ping_count;
    for (int i = 0; i < 3; i++) {
        assert_true(l2_is_ready(f->w.l2));
        assert_int_equal(world_get(&f->w, "key"), ERR_TIMEOUT);
    }
    l2_counts(f->w.l2, &counts);
    assert_true(counts.is_circuit_open && counts.is_connected);
    assert_int_equal(counts.timeout_count, 3);
    assert_false(l2_is_ready(f->w.l2));
    assert_int_equal(world_get(&f->w, "key"), ERR_AGAIN); /* nothing is sent */
    WORLD_AWAIT(&f->w, f->peer.ping_count > pings);
    assert_false(l2_is_ready(f->w.l2));
    for (int i = 0; i < 3; i++)
        peer_say(f->asked, "$0\r\n\r\n:-2\r\n");
    peer_say(f->asked, "+PONG\r\n");
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    l2_counts(f->w.l2, &counts);
    assert_false(counts.is_circuit_open);
    is_well_again(f);
}

/* To be let in again does not count as having rested. */
static void a_new_connection_does_not_close_the_circuit(void **state)
{
    struct fixture *f = *state;
    struct l2_counts counts;
    char text[256];
    (void)snprintf(text, sizeof text, "url: 'redis://127.0.0.1:%u', timeout: %dms, circuit: {failures: 2, open: 1h}",
                   (unsigned)f->peer.port, TIMEOUT_MS);
    world_conf(&f->w, text);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    for (int i = 0; i < 2; i++)
        assert_int_equal(world_get(&f->w, "key"), ERR_TIMEOUT);
    const uint32_t pings = f->peer.ping_count;
    peer_hang_up(f->asked);
    WORLD_AWAIT(&f->w, f->peer.ping_count > pings);
    do {
        loop_run_once(f->w.loop, true);
        l2_counts(f->w.l2, &counts);
    } while (!counts.is_connected);
    assert_true(counts.is_circuit_open);
    assert_false(l2_is_ready(f->w.l2));
}

static void who_owes_a_reply_for_too_long_is_left(void **state)
{
    struct fixture *f = *state;
    connect_to(f);
    f->is_mute = true;
    const int64_t begun_us = loop_fresh_us(f->w.loop);
    assert_int_equal(world_get(&f->w, "key"), ERR_TIMEOUT);
    assert_true(f->asked->fd >= 0);
    WORLD_AWAIT(&f->w, f->asked->fd < 0);
    assert_int_equal((loop_fresh_us(f->w.loop) - begun_us) / 1000, L2_HANG_TIMEOUTS * TIMEOUT_MS);
    is_well_again(f);
}

static void who_accepts_and_never_answers_is_left(void **state)
{
    struct fixture *f = *state;
    f->is_mute = true;
    start(f);
    WORLD_AWAIT(&f->w, f->peer.client_count >= 2);
    assert_false(l2_is_ready(f->w.l2));
    is_well_again(f);
}

static void what_is_no_reply_ends_the_connection(void **state)
{
    static const char *const said[] = {
        "hello\r\n",
        "\r\n",
        "$-7\r\n",
        "$abc\r\n",
        ":12a\r\n",
        "*99999999\r\n",
        "*-5\r\n",
        "$99999999999999999999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        "*65536\r\n*65536\r\n*65536\r\n*65536\r\n*65536\r\n*65536\r\n",
        "+one\r\n+two\r\n+three that nobody asked for\r\n",
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct fixture *f = *state;
        connect_to(f);
        f->say = said[i];
        const enum err e = world_get(&f->w, "key");
        if (e == ERR_NONE || e == ERR_TIMEOUT || e == ERR_NOT_FOUND)
            fail_msg("%s: %s", said[i], err_text(e));
        f->say = NULL;
        WORLD_AWAIT(&f->w, f->asked->fd < 0);
        is_well_again(f);
        (void)teardown(state); /* each with a back-off that begins anew */
        (void)setup(state);
    }
}

static void a_reply_that_is_cut_is_no_reply(void **state)
{
    struct fixture *f = *state;
    connect_to(f);
    f->say = "$100\r\nabc";
    f->hangs_up = true;
    assert_int_equal(world_get(&f->w, "key"), ERR_EOF);
    is_well_again(f);
}

static void a_reply_that_never_ends_is_bounded(void **state)
{
    struct fixture *f = *state;
    connect_to(f);
    f->say = "$500000000\r\n";
    f->flood_bytes = 1;
    assert_non_null(l2_get(f->w.l2, "key", 3, world_on_entry, &f->w));
    WORLD_AWAIT(&f->w, f->asked != NULL);
    for (size_t sent = 0; f->w.answer_count == 0 || f->w.last == ERR_TIMEOUT; sent += 65536) {
        assert_true(sent < (64u << 20)); /* far more than L2 takes */
        const size_t clients = f->peer.client_count;
        flood(f->asked, 65536);
        loop_run_once(f->w.loop, false);
        if (f->peer.client_count > clients || f->asked->fd < 0)
            break;
    }
    assert_int_equal(f->w.answer_count, 1);
    is_well_again(f);
}

static void errors_say_what_they_are_about(void **state)
{
    static const struct {
        const char *said;
        enum err err;
    } cases[] = {
        {"-LOADING Redis is loading the dataset in memory\r\n", ERR_UNREACHABLE},
        {"-OOM command not allowed\r\n", ERR_FULL},
        {"-WRONGTYPE Operation against a key\r\n", ERR_INVALID},
        {"-MOVED 1 127.0.0.1:1\r\n", ERR_UNREACHABLE},
        {"-READONLY You can't write against a read only replica.\r\n", ERR_UNREACHABLE},
        {"-ERR unknown command\r\n", ERR_PROTOCOL},
        {"-OOMS\r\n", ERR_PROTOCOL},
        {"-\r\n", ERR_PROTOCOL},
        {":1\r\n", ERR_PROTOCOL},
        {"*0\r\n", ERR_PROTOCOL},
    };
    struct fixture *f = *state;
    connect_to(f);
    const size_t clients = f->peer.client_count;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->say = cases[i].said;
        assert_int_equal(world_get(&f->w, "key"), cases[i].err);
    }
    assert_int_equal(f->peer.client_count, clients); /* and none of them is a reason to hang up */
    is_well_again(f);
}

static void not_now_opens_the_circuit(void **state)
{
    struct fixture *f = *state;
    connect_to(f);
    f->say = f->ping = "-LOADING Redis is loading the dataset in memory\r\n";
    for (int i = 0; i < 3; i++)
        assert_int_equal(world_get(&f->w, "key"), ERR_UNREACHABLE);
    assert_false(l2_is_ready(f->w.l2));
    is_well_again(f);
}

static void who_is_no_longer_let_in_logs_in_anew(void **state)
{
    struct fixture *f = *state;
    connect_to(f);
    const size_t clients = f->peer.client_count;
    f->say = "-NOAUTH Authentication required.\r\n";
    assert_int_equal(world_get(&f->w, "key"), ERR_DENIED);
    WORLD_AWAIT(&f->w, f->peer.client_count > clients);
    is_well_again(f);
}

static void a_redis_that_loads_its_data_is_waited_for(void **state)
{
    struct fixture *f = *state;
    f->ping = "-LOADING Redis is loading the dataset in memory\r\n";
    start(f);
    WORLD_AWAIT(&f->w, f->peer.client_count >= 2);
    assert_false(l2_is_ready(f->w.l2));
    is_well_again(f);
}

static void questions_of_one_pass_go_out_in_one_write(void **state)
{
    struct fixture *f = *state;
    f->say = "$0\r\n\r\n";
    connect_to(f);
    (void)world_get(&f->w, "key");
    const uint32_t reads = f->asked->read_count;
    f->w.answer_count = 0;
    for (int i = 0; i < 100; i++)
        assert_non_null(l2_get(f->w.l2, "key", 3, world_on_entry, &f->w));
    WORLD_AWAIT(&f->w, f->w.answer_count == 100);
    assert_int_equal(f->asked->read_count - reads, 1);
}

static void what_a_node_may_owe_is_bounded(void **state)
{
    struct fixture *f = *state;
    uint32_t count = 0;
    connect_to(f);
    while (l2_get(f->w.l2, "key", 3, world_on_entry, &f->w) != NULL)
        count++;
    assert_int_equal(count, L2_OWED_CALLS_MAX);
    WORLD_AWAIT(&f->w, f->w.answer_count == count);
    assert_int_equal(f->w.last, ERR_TIMEOUT);
}

static void who_cancels_hears_nothing(void **state)
{
    struct fixture *f = *state;
    f->say = "$0\r\n\r\n";
    connect_to(f);
    struct l2_job *j = l2_get(f->w.l2, "key", 3, world_on_entry, &f->w);
    assert_non_null(j);
    l2_cancel(&j);
    assert_null(j);
    assert_int_equal(world_get(&f->w, "other"), ERR_NOT_FOUND); /* answered after the first one was */
    assert_int_equal(f->w.answer_count, 1);
    assert_non_null(l2_get(f->w.l2, "key", 3, world_on_entry, &f->w));
    /* l2_destroy() cancels the rest */
}

static void without_redis_from_now_on_questions_end(void **state)
{
    struct fixture *f = *state;
    connect_to(f);
    assert_non_null(l2_get(f->w.l2, "key", 3, world_on_entry, &f->w));
    world_conf(&f->w, "");
    assert_int_equal(f->w.answer_count, 1);
    assert_int_equal(f->w.last, ERR_CANCELLED);
    assert_false(l2_is_ready(f->w.l2));
    f->say = "$0\r\n\r\n";
    connect_to(f);
    is_well_again(f);
}

static void what_did_not_change_stays_connected(void **state)
{
    struct fixture *f = *state;
    connect_to(f);
    const size_t clients = f->peer.client_count;
    start(f);
    assert_true(l2_is_ready(f->w.l2));
    is_well_again(f);
    assert_int_equal(f->peer.client_count, clients);
}

/* An hour without Redis: it is looked for often enough, and not too often. */
static void who_is_away_is_looked_for_every_few_seconds(void **state)
{
    struct fixture *f = *state;
    struct l2_counts counts;
    world_conf(&f->w, "url: 'unix:/nonexistent/redis.sock'");
    assert_false(world_purge(&f->w, PURGE_TAG, "cars", false)); /* waits all the time */
    sim_advance(f->w.loop, 1000);
    l2_counts(f->w.l2, &counts);
    assert_in_range(counts.failure_count, 4, 9); /* 25-50, 50-100, 100-200 ms ... */
    sim_advance(f->w.loop, 3600000);
    l2_counts(f->w.l2, &counts);
    assert_in_range(counts.failure_count, 3600 / 5, 3600 * 2 / 5 + 10);
    start(f);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
}

/* The reader alone is asked every second: nobody's question has to time out to notice. */
static void a_log_that_goes_silent_is_noticed(void **state)
{
    struct fixture *f = *state;
    connect_to(f);
    sim_advance(f->w.loop, 1000 + 500 - 1); /* the wait it asked for, and connect_timeout */
    assert_true(l2_is_ready(f->w.l2));
    sim_advance(f->w.loop, 1);
    assert_false(l2_is_ready(f->w.l2));
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2)); /* connected anew */
    assert_string_equal(f->w.told, "lost reach");
}

/* ---- a purge log that is none ---- */

struct log_case {
    const char *first, *rest, *range; /* what XREAD from 0-0, XREAD from elsewhere, and XRANGE get */
};

#define RECORD(id) "*2\r\n$3\r\n" id "\r\n*2\r\n$4\r\nkind\r\n$5\r\nbegin\r\n"
#define STREAM(id) "*1\r\n*2\r\n$1\r\nk\r\n*1\r\n" RECORD(id)

static void answer_log(void *arg, struct peer_client *c, const struct l2_reply *command)
{
    const struct log_case *l = arg;
    if (peer_is(command, "XRANGE"))
        peer_say(c, l->range);
    else if (peer_is(command, "XREAD"))
        peer_say(c, l2_reply_is_text(command->elements[command->len - 1], "0-0") ? l->first : l->rest);
    else
        peer_usual(c, command);
}

static void a_log_that_makes_no_sense_is_not_read_in_circles(void **state)
{
    static const struct log_case cases[] = {
        {"*-1\r\n", "*-1\r\n", "*0\r\n"},                       /* empty whatever is added */
        {STREAM("5-1"), "*-1\r\n", "*0\r\n"},                   /* never holds what it gave */
        {STREAM("5-1"), STREAM("5-1"), "*1\r\n" RECORD("5-1")}, /* gives the same again and again */
        {STREAM("5-1"), STREAM("4-9"), "*1\r\n" RECORD("5-1")}, /* goes back */
        {STREAM("5-1"), "*-1\r\n", "*1\r\n" RECORD("5-1")},     /* does not wait when it is told to */
        {STREAM("x-1"), "*-1\r\n", "*1\r\n" RECORD("5-1")},     /* records without a place */
        {"*1\r\n*0\r\n", "*-1\r\n", "*1\r\n" RECORD("5-1")},    /* no stream */
        {"*1\r\n:1\r\n", "*-1\r\n", ":1\r\n"},
        {"$3\r\nabc\r\n", "*-1\r\n", ":1\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = *state;
        f->peer.answer = answer_log;
        f->peer.arg = (void *)(uintptr_t)&cases[i];
        start(f);
        WORLD_AWAIT(&f->w, f->peer.client_count == 2 && f->peer.command_count >= 3);
        sim_advance(f->w.loop, 10000);
        if (f->peer.command_count > 120)
            fail_msg("case %zu: %u commands", i, (unsigned)f->peer.command_count);
        (void)teardown(state);
        (void)setup(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(a_late_reply_is_nobodys),
        CASE(the_circuit_opens_and_a_ping_closes_it),
        CASE(a_new_connection_does_not_close_the_circuit),
        CASE(who_owes_a_reply_for_too_long_is_left),
        CASE(who_accepts_and_never_answers_is_left),
        CASE(what_is_no_reply_ends_the_connection),
        CASE(a_reply_that_is_cut_is_no_reply),
        CASE(a_reply_that_never_ends_is_bounded),
        CASE(errors_say_what_they_are_about),
        CASE(not_now_opens_the_circuit),
        CASE(who_is_no_longer_let_in_logs_in_anew),
        CASE(a_redis_that_loads_its_data_is_waited_for),
        CASE(questions_of_one_pass_go_out_in_one_write),
        CASE(what_a_node_may_owe_is_bounded),
        CASE(who_cancels_hears_nothing),
        CASE(without_redis_from_now_on_questions_end),
        CASE(what_did_not_change_stays_connected),
        CASE(who_is_away_is_looked_for_every_few_seconds),
        CASE(a_log_that_goes_silent_is_noticed),
        CASE(a_log_that_makes_no_sense_is_not_read_in_circles),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
