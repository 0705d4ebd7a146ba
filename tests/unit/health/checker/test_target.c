/* One target against a server that comes, goes and hangs: state, schedule, reloads, and what a restart remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "health/checker/schedule.h"
#include "health/checker/target.h"
#include "tests/unit/health/checker/backend.h"
#include "tests/unit/until.h"

#define SLOT 7

struct bench {
    struct loop *loop;
    struct verdict_table table;
    struct stats_block block;
    struct target_env env;
    struct backend backend;
    struct conf_server server;
    struct target *target;
    struct timer patience;
    unsigned flip_count;
    char last_cause[VERDICT_CAUSE_BYTES];
};

static void on_flip(void *arg, const struct target *target, enum verdict_state before, const char *cause)
{
    struct bench *t = arg;
    t->flip_count++;
    assert_int_not_equal(before, target_state(target));
    assert_int_equal(verdict_read(&t->table, SLOT).state, target_state(target)); /* the table knows first */
    snprintf(t->last_cause, sizeof t->last_cause, "%s", cause);
}

static void on_patience(void *arg)
{
    (void)arg;
}

static int setup(void **state)
{
    struct bench *t = calloc(1, sizeof *t);
    t->loop = loop_create();
    verdict_table_init(&t->table);
    (void)verdict_adopt(&t->table, SLOT, 1);
    t->env = (struct target_env){
        .loop = t->loop,
        .resolver = resolver_create(t->loop),
        .engine = lws_engine_create(t->loop),
        .commands = commands_create(t->loop),
        .verdicts = &t->table,
        .block = &t->block,
        .on_flip = on_flip,
        .arg = t,
    };
    assert_non_null(t->env.engine);
    backend_open(&t->backend, t->loop);
    t->backend.does = BACKEND_ANSWERS;
    timer_init(&t->patience, t->loop, on_patience, t);
    t->server = (struct conf_server){
        .name = "a",
        .slot_name = "pool/a",
        .url =
            {.scheme = SCHEME_HTTP, .host = "127.0.0.1", .port = addr_port(&t->backend.addr), .path = "", .text = ""},
        .tls = {.server_name = "", .verify = true},
        .check = {.type = CHECK_HTTP,
                  .path = "/",
                  .host = "",
                  .interval_ms = 120,
                  .timeout_ms = 250,
                  .rise = 2,
                  .fall = 3,
                  .expect_statuses = {.count = 1, .range = {{200, 299}}}},
    };
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct bench *t = *state;
    if (t->target != NULL)
        target_destroy(&t->target);
    timer_cancel(&t->patience);
    if (t->backend.fd >= 0)
        backend_close(&t->backend);
    resolver_destroy(&t->env.resolver);
    lws_engine_destroy(&t->env.engine);
    commands_destroy(&t->env.commands);
    loop_destroy(&t->loop);
    free(t);
    return 0;
}

static void begin(struct bench *t, const struct persist_entry *last)
{
    t->target = target_create(&t->env, SLOT, &t->server, last);
}

static uint64_t probe_count(const struct bench *t)
{
    return stat_get(&t->block.process[STAT_PROBES]);
}

static struct verdict word(const struct bench *t)
{
    return verdict_read(&t->table, SLOT);
}

static struct verdict_detail detail(const struct bench *t)
{
    struct verdict_detail d;
    assert_true(verdict_read_detail(&t->table, SLOT, &d));
    return d;
}

#define RUN_UNTIL(t, condition) UNTIL((t)->loop, condition)

static void run_for(struct bench *t, int64_t ms)
{
    timer_start(&t->patience, ms);
    while (timer_is_active(&t->patience))
        loop_run_once(t->loop, true);
}

static void kill_backend(struct bench *t)
{
    backend_close(&t->backend);
    t->backend.fd = -1;
}

/* ---- states ---- */

static void test_first_answer_brings_it_up(void **state)
{
    struct bench *t = *state;
    begin(t, NULL);
    assert_int_equal(word(t).state, VERDICT_UNKNOWN);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    assert_int_equal(probe_count(t), 1);
    assert_int_equal(t->flip_count, 1);
    assert_int_equal(word(t).checks_left, 2);
    assert_true(detail(t).since_wall_ms > 0);
    assert_true(detail(t).latency_us > 0);
    assert_int_equal(detail(t).successes_in_row, 1);
}

static void test_killed_server_goes_down_and_comes_back(void **state)
{
    struct bench *t = *state;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    kill_backend(t);
    RUN_UNTIL(t, word(t).checks_left == 1);
    assert_string_equal(detail(t).cause, "unreachable: no connection");
    assert_int_equal(word(t).state, VERDICT_UP);
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    assert_int_equal(detail(t).failures_in_row, 3);
    assert_int_equal(stat_get(&t->block.process[STAT_PROBE_FAILURES]), 3);
    assert_string_equal(t->last_cause, "unreachable: no connection");

    backend_open(&t->backend, t->loop);
    t->backend.does = BACKEND_ANSWERS;
    struct conf_server moved = t->server; /* to a free port: somebody else may have the old one by now */
    moved.url.port = addr_port(&t->backend.addr);
    target_set_server(t->target, &moved);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    assert_string_equal(detail(t).cause, "");
    assert_int_equal(t->flip_count, 3);
    target_set_server(t->target, &t->server);
}

static void test_hanging_server_is_as_dead_as_a_killed_one(void **state)
{
    struct bench *t = *state;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    t->backend.does = BACKEND_HANGS;
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    assert_string_equal(t->last_cause, "timeout: waiting for response");
}

static void test_websocket_server_that_never_answers_a_ping(void **state)
{
    struct bench *t = *state;
    t->server.check.type = CHECK_WEBSOCKET;
    t->server.check.speak = SPEAK_PING;
    t->backend.does = BACKEND_UPGRADES;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    t->backend.pings = BACKEND_IGNORES_PINGS;
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    assert_string_equal(t->last_cause, "timeout: waiting for pong");
}

static void test_server_without_a_check_stays_unknown(void **state)
{
    struct bench *t = *state;
    t->server.check.type = CHECK_NONE;
    t->server.drain = true;
    begin(t, NULL);
    assert_true(word(t).is_draining);
    target_nudge(t->target);
    run_for(t, 300);
    assert_int_equal(word(t).state, VERDICT_UNKNOWN);
    assert_int_equal(probe_count(t), 0);
    assert_int_equal(t->backend.accepted_count, 0);
}

static void test_trust_that_cannot_be_used(void **state)
{
    struct bench *t = *state;
    t->server.url.is_tls = true;
    t->server.url.scheme = SCHEME_HTTPS;
    t->server.tls.ca.text = "not a certificate";
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    assert_non_null(strstr(t->last_cause, "tls: ca:"));
}

/* ---- schedule ---- */

static void test_undecided_target_is_asked_more_often(void **state)
{
    struct bench *t = *state;
    t->server.check.interval_ms = 4000;
    t->server.check.fall = 2;
    begin(t, NULL);
    kill_backend(t);
    RUN_UNTIL(t, probe_count(t) == 1);
    int64_t first_ms = loop_now_ms(t->loop);
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    assert_in_range(loop_now_ms(t->loop) - first_ms, 900, 2500);
}

static void test_nudge_asks_at_once(void **state)
{
    struct bench *t = *state;
    t->server.check.interval_ms = 3600000;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    for (unsigned i = 2; i < 5; i++) {
        target_nudge(t->target);
        target_nudge(t->target); /* twice is once */
        RUN_UNTIL(t, probe_count(t) == i);
    }
    RUN_UNTIL(t, probe_count(t) == 5); /* one answer does not clear the doubt, two do */
    run_for(t, 2 * SCHEDULE_DOUBT_MS);
    assert_int_equal(probe_count(t), 5);
}

static void test_nudge_during_a_probe_asks_again_after_it(void **state)
{
    struct bench *t = *state;
    t->server.check.interval_ms = 3600000;
    t->server.check.timeout_ms = 3000;
    begin(t, NULL);
    RUN_UNTIL(t, t->backend.accepted_count == 1);
    target_nudge(t->target);
    RUN_UNTIL(t, probe_count(t) == 2);
}

static void test_one_nudge_leads_to_a_verdict(void **state)
{
    struct bench *t = *state;
    t->server.check.interval_ms = 3600000;
    t->server.check.fall = 3;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    kill_backend(t);
    target_nudge(t->target);
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    assert_int_equal(probe_count(t), 4);
    run_for(t, 2 * SCHEDULE_DOUBT_MS); /* settled */
    assert_int_equal(probe_count(t), 4);
}

/* ---- watching ---- */

/* Up, with one connection more than the probe's, which is over. */
static void begin_watched(struct bench *t)
{
    t->server.check.type = CHECK_TCP;
    t->server.check.interval_ms = 3600000;
    t->server.check.watch = true;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    RUN_UNTIL(t, t->backend.accepted_count == 2 && t->backend.open_count == 1);
}

static void hang_up(struct bench *t)
{
    LIST_EACH (it, &t->backend.conns)
        backend_conn_close(LIST_ENTRY(it, struct backend_conn, link));
}

static void test_watched_server_that_dies_is_asked_at_once(void **state)
{
    struct bench *t = *state;
    begin_watched(t);
    kill_backend(t);
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    assert_int_equal(probe_count(t), 4);
}

static void test_watched_server_that_hangs_up_is_asked_and_watched_again(void **state)
{
    struct bench *t = *state;
    begin_watched(t);
    hang_up(t);
    RUN_UNTIL(t, probe_count(t) == 3); /* at once, and until it is in doubt no more */
    RUN_UNTIL(t, t->backend.accepted_count == 5 && t->backend.open_count == 1);
    run_for(t, 2 * SCHEDULE_DOUBT_MS);
    assert_int_equal(probe_count(t), 3);
    assert_int_equal(t->backend.accepted_count, 5);
    assert_int_equal(word(t).state, VERDICT_UP);
    assert_int_equal(t->flip_count, 1);
}

static void test_server_that_hates_to_be_watched_is_left_alone(void **state)
{
    struct bench *t = *state;
    t->backend.does = BACKEND_CLOSES;
    t->server.check.type = CHECK_TCP;
    t->server.check.interval_ms = 3600000;
    t->server.check.watch = true;
    begin(t, NULL);
    RUN_UNTIL(t, t->backend.accepted_count >= 6); /* three watched, three asked */
    run_for(t, 4 * SCHEDULE_DOUBT_MS);
    assert_in_range(probe_count(t), 4, 7);
    assert_int_equal(t->backend.accepted_count, probe_count(t) + 3);
    assert_int_equal(word(t).state, VERDICT_UP);
    assert_int_equal(t->flip_count, 1);
}

static void test_watch_ends_with_the_wish_for_it(void **state)
{
    struct bench *t = *state;
    begin_watched(t);
    struct conf_server next = t->server;
    next.check.watch = false;
    target_set_server(t->target, &next);
    RUN_UNTIL(t, t->backend.open_count == 0);
    run_for(t, SCHEDULE_GAP_MS);
    assert_int_equal(probe_count(t), 1);
}

static void test_watch_ends_with_the_question(void **state)
{
    struct bench *t = *state;
    begin_watched(t);
    struct conf_server next = t->server;
    next.check.type = CHECK_NONE; /* written in a pool, watch is inherited by checks that have no use for it */
    target_set_server(t->target, &next);
    RUN_UNTIL(t, t->backend.open_count == 0);
    target_set_server(t->target, &t->server);
    RUN_UNTIL(t, t->backend.accepted_count == 4 && t->backend.open_count == 1);
    target_destroy(&t->target);
    RUN_UNTIL(t, t->backend.open_count == 0);
}

/* ---- names ---- */

static void test_name_with_several_addresses(void **state)
{
    struct bench *t = *state;
    t->server.url.host = "localhost"; /* often ::1 as well, where nobody listens */
    t->server.check.timeout_ms = 2000;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    RUN_UNTIL(t, probe_count(t) == 3);
    assert_int_equal(stat_get(&t->block.process[STAT_PROBE_FAILURES]), 0);
}

static void test_name_without_an_address(void **state)
{
    struct bench *t = *state;
    t->server.url.host = "nowhere.invalid";
    t->server.check.fall = 1;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    if (strcmp(t->last_cause, "timeout: waiting for address") != 0)
        assert_string_equal(t->last_cause, "resolve: name lookup");
}

/* ---- memory ---- */

static void test_last_run_is_remembered(void **state)
{
    struct bench *t = *state;
    struct persist_entry last = {.state = VERDICT_DOWN, .since_wall_ms = 1700000000000, .name = "pool/a"};
    t->server.check.interval_ms = 3600000;
    begin(t, &last);
    assert_int_equal(word(t).state, VERDICT_DOWN);
    assert_int_equal(detail(t).since_wall_ms, 1700000000000);
    assert_int_equal(word(t).checks_left, 1); /* `rise` answers, as for any server that is down */
}

static void test_table_outlives_the_checker(void **state)
{
    struct bench *t = *state;
    struct persist_entry last = {.state = VERDICT_UP, .since_wall_ms = 1, .name = "pool/a"};
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    kill_backend(t);
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    struct verdict_detail before = detail(t);
    target_destroy(&t->target);
    begin(t, &last); /* which is older than what the table says */
    assert_int_equal(word(t).state, VERDICT_DOWN);
    assert_int_equal(detail(t).since_wall_ms, before.since_wall_ms);
    assert_int_equal(detail(t).failures_in_row, before.failures_in_row);
}

/* ---- reloads ---- */

static void test_reload_keeps_state_and_probe(void **state)
{
    struct bench *t = *state;
    struct conf_server next = t->server;
    t->server.check.timeout_ms = next.check.timeout_ms = 2000;
    next.drain = true;
    next.check.fall = 1;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    RUN_UNTIL(t, t->backend.accepted_count == 2); /* a probe is under way */
    target_set_server(t->target, &next);
    assert_true(word(t).is_draining);
    assert_int_equal(word(t).state, VERDICT_UP);
    RUN_UNTIL(t, probe_count(t) == 2);
    assert_int_equal(t->backend.accepted_count, 2);
    kill_backend(t);
    RUN_UNTIL(t, word(t).state == VERDICT_DOWN);
    assert_int_equal(detail(t).failures_in_row, 1);
}

static void test_reload_with_another_question_asks_anew(void **state)
{
    struct bench *t = *state;
    struct conf_server next = t->server;
    next.check.path = "/other";
    t->server.check.interval_ms = next.check.interval_ms = 3600000;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    target_set_server(t->target, &next);
    assert_int_equal(word(t).state, VERDICT_UP);
    RUN_UNTIL(t, probe_count(t) == 2);
    assert_non_null(strstr(t->backend.request, "GET /other "));
}

static void test_reload_without_a_check_forgets(void **state)
{
    struct bench *t = *state;
    struct conf_server next = t->server;
    next.check.type = CHECK_NONE;
    begin(t, NULL);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
    target_set_server(t->target, &next);
    assert_int_equal(word(t).state, VERDICT_UNKNOWN);
    assert_int_equal(detail(t).since_wall_ms, 0);
    target_set_server(t->target, &t->server);
    RUN_UNTIL(t, word(t).state == VERDICT_UP);
}

static void test_destroyed_at_any_moment(void **state)
{
    struct bench *t = *state;
    t->server.url.host = "localhost";
    t->server.check.interval_ms = 100;
    for (int passes = 0; passes < 15; passes++) {
        begin(t, NULL);
        for (int i = 0; i < passes; i++)
            loop_run_once(t->loop, true);
        target_destroy(&t->target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_first_answer_brings_it_up),
        T(test_killed_server_goes_down_and_comes_back),
        T(test_hanging_server_is_as_dead_as_a_killed_one),
        T(test_websocket_server_that_never_answers_a_ping),
        T(test_server_without_a_check_stays_unknown),
        T(test_trust_that_cannot_be_used),
        T(test_undecided_target_is_asked_more_often),
        T(test_nudge_asks_at_once),
        T(test_nudge_during_a_probe_asks_again_after_it),
        T(test_one_nudge_leads_to_a_verdict),
        T(test_watched_server_that_dies_is_asked_at_once),
        T(test_watched_server_that_hangs_up_is_asked_and_watched_again),
        T(test_server_that_hates_to_be_watched_is_left_alone),
        T(test_watch_ends_with_the_wish_for_it),
        T(test_watch_ends_with_the_question),
        T(test_name_with_several_addresses),
        T(test_name_without_an_address),
        T(test_last_run_is_remembered),
        T(test_table_outlives_the_checker),
        T(test_reload_keeps_state_and_probe),
        T(test_reload_with_another_question_asks_anew),
        T(test_reload_without_a_check_forgets),
        T(test_destroyed_at_any_moment),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
