/* Finding another server: whom a seek asks, what their answers mean, and what it leaves behind when it ends. */
#include "tests/replay/seeking.h"

#define POOL(more, servers, websocket)                                                                                 \
    "listen: [ { address: '127.0.0.1:1' } ]\n"                                                                         \
    "pools:\n  p:\n    " more "\n    servers:\n" servers                                                               \
    "routes:\n  - { path: /ws, pool: p, websocket: { protocol: phoenix, " websocket " } }\n"
#define A   "      - { name: a, url: 'ws://127.0.0.1:@a' }\n"
#define B   "      - { name: b, url: 'ws://127.0.0.1:@b' }\n"
#define C_2 "      - { name: c, url: 'ws://127.0.0.1:@c', tier: backup }\n"

static const char two[] = POOL("connect_timeout: 1s", A B, "hedge_after: 0");
static const char tiers[] = POOL("connect_timeout: 1s", A B C_2, "hedge_after: 0");
static const char hedged[] = POOL("upgrade_timeout: 2s", A B C_2, "hedge_after: 300ms");

/* Who has lost server a seeks another. */
static void seeks_after_a(struct seeking *w, struct owner *o, const char *yaml)
{
    seeking_open(w, yaml);
    *o = (struct owner){.home = w};
    owner_begin(o, &(struct seek_start){.avoid = seeking_server(w, 'a')});
}

static void test_a_server_takes_it(void **state)
{
    (void)state;
    struct seeking w;
    struct owner o;
    seeks_after_a(&w, &o, two);
    int b = rig_accept(&w.rig, 1);
    assert_string_equal(o.asked, "b");
    assert_int_equal(seeking_counted(&w, 'b', STAT_SERVER_OPEN), 1);
    server_reads(&w, b);
    server_accepts(&w, b, "\r\nand more");
    assert_int_equal(o.found_count, 1);
    assert_int_equal(o.found, 'b');
    assert_string_equal(o.rest, "and more");
    assert_int_equal(o.failed_count, 0);
    assert_int_equal(seeking_counted(&w, 'b', STAT_SERVER_ATTEMPTS), 1);
    assert_int_equal(seeking_counted(&w, 'b', STAT_SERVER_FAILURES), 0);
    assert_false(rig_has_waiting(&w.rig, 0));
    owner_fini(&o);
    close(b);
    seeking_close(&w);
}

static void test_the_lost_one_is_asked_when_there_is_no_other(void **state)
{
    (void)state;
    struct seeking w;
    struct owner o;
    seeks_after_a(&w, &o, two);
    int b = rig_accept(&w.rig, 1);
    server_reads(&w, b);
    server_declines(&w, b, 502);
    int a = rig_accept(&w.rig, 0);
    assert_string_equal(o.asked, "ba");
    server_reads(&w, a);
    server_accepts(&w, a, "\r\n");
    assert_int_equal(o.found, 'a');
    assert_int_equal(seeking_counted(&w, 'b', STAT_SERVER_FAILURES), 1);
    owner_fini(&o);
    close(a);
    close(b);
    seeking_close(&w);
}

static void test_it_goes_to_another_tier_before_it_goes_back(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, tiers);
    seeking_judge(&w, 'b', VERDICT_DOWN);
    struct owner o = {.home = &w};
    owner_begin(&o, &(struct seek_start){.avoid = seeking_server(&w, 'a')});
    int c = rig_accept(&w.rig, 2);
    assert_string_equal(o.asked, "c");
    owner_fini(&o);
    assert_true(server_is_left(&w, c));
    close(c);
    seeking_close(&w);
}

static void test_going_back_needs_a_better_tier(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, tiers);
    struct owner o = {.home = &w};
    seeking_judge(&w, 'a', VERDICT_DOWN);
    seeking_judge(&w, 'b', VERDICT_DOWN);
    owner_begin(&o, &(struct seek_start){.avoid = seeking_server(&w, 'c'), .is_better_only = true});
    sim_settle(w.rig.loop);
    assert_int_equal(o.failed_count, 1);
    assert_int_equal(o.failure, SEEK_NO_SERVER);
    assert_string_equal(o.why, "no_healthy_server");
    owner_begin(&o, &(struct seek_start){.avoid = seeking_server(&w, 'a'), .is_better_only = true});
    sim_settle(w.rig.loop);
    assert_int_equal(o.failed_count, 2); /* there is none better than the best */

    seeking_judge(&w, 'b', VERDICT_UP);
    owner_begin(&o, &(struct seek_start){.avoid = seeking_server(&w, 'c'), .is_better_only = true});
    int b = rig_accept(&w.rig, 1);
    assert_string_equal(o.asked, "b");
    server_reads(&w, b);
    server_declines(&w, b, 500);
    assert_int_equal(o.failed_count, 3); /* and not to its own server */
    assert_int_equal(o.failure, SEEK_NO_SERVER);
    assert_int_equal(o.status, 500);
    assert_string_equal(o.why, "status 500");
    owner_fini(&o);
    close(b);
    seeking_close(&w);
}

static void test_what_an_answer_means(void **state)
{
    (void)state;
    static const struct {
        unsigned a, b; /* status of each; 0: not asked */
        enum seek_failure failure;
        unsigned status;
        unsigned failures; /* counted against a */
        unsigned refusals;
    } rows[] = {
        {401, 0, SEEK_REFUSED, 401, 0, 1},     {403, 0, SEEK_REFUSED, 403, 0, 1},
        {404, 0, SEEK_REFUSED, 404, 0, 1},     {429, 429, SEEK_BUSY, 429, 0, 1},
        {503, 503, SEEK_BUSY, 503, 1, 0},      {503, 500, SEEK_BUSY, 503, 1, 0},
        {500, 429, SEEK_BUSY, 429, 1, 0},      {500, 502, SEEK_NO_SERVER, 502, 1, 0},
        {302, 400, SEEK_NO_SERVER, 400, 0, 1}, {429, 401, SEEK_REFUSED, 401, 0, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct seeking w;
        seeking_open(&w, two);
        struct owner o = {.home = &w};
        owner_begin(&o, NULL);
        sim_settle(w.rig.loop);
        /* round-robin decides who is first */
        const bool is_a_first = o.asked[0] == 'a';
        int first = rig_accept(&w.rig, is_a_first ? 0 : 1);
        server_reads(&w, first);
        server_declines(&w, first, rows[i].a);
        int second = -1;
        if (rows[i].b != 0) {
            second = rig_accept(&w.rig, is_a_first ? 1 : 0);
            server_reads(&w, second);
            server_declines(&w, second, rows[i].b);
        }
        assert_int_equal(o.failed_count, 1);
        assert_int_equal(o.failure, rows[i].failure);
        assert_int_equal(o.status, rows[i].status);
        assert_int_equal(strlen(o.asked), rows[i].b != 0 ? 2 : 1);
        assert_int_equal(seeking_counted(&w, o.asked[0], STAT_SERVER_FAILURES), rows[i].failures);
        assert_int_equal(seeking_counted(&w, o.asked[0], STAT_SERVER_REFUSALS), rows[i].refusals);
        owner_fini(&o);
        close(first);
        if (second >= 0)
            close(second);
        seeking_close(&w);
    }
}

static void test_another_subprotocol_will_not_do(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, two);
    w.protocol = "p";
    struct owner o = {.home = &w};
    owner_begin(&o, &(struct seek_start){.avoid = seeking_server(&w, 'a')});
    int b = rig_accept(&w.rig, 1);
    server_reads(&w, b);
    server_accepts(&w, b, "Sec-WebSocket-Protocol: q\r\n\r\n");
    assert_true(server_is_left(&w, b));
    int a = rig_accept(&w.rig, 0);
    server_reads(&w, a);
    server_accepts(&w, a, "Sec-WebSocket-Protocol: p\r\n\r\n");
    assert_int_equal(o.found, 'a');
    owner_fini(&o);
    close(a);
    close(b);
    seeking_close(&w);
}

static void test_nobody_is_there(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, two);
    rig_stop_server(&w.rig, 0);
    rig_stop_server(&w.rig, 1);
    struct owner o = {.home = &w};
    owner_begin(&o, &(struct seek_start){.avoid = seeking_server(&w, 'a')});
    rig_advance(&w.rig, 1);
    assert_string_equal(o.asked, "ba");
    assert_int_equal(o.failed_count, 1);
    assert_int_equal(o.failure, SEEK_NO_SERVER);
    assert_int_equal(o.status, 0);
    assert_string_not_equal(o.why, "");
    assert_int_equal(seeking_counted(&w, 'a', STAT_SERVER_FAILURES), 1);
    owner_fini(&o);
    seeking_close(&w);
}

static void test_a_server_that_dies_in_the_handshake(void **state)
{
    (void)state;
    struct seeking w;
    struct owner o;
    seeks_after_a(&w, &o, two);
    int b = rig_accept(&w.rig, 1);
    server_reads(&w, b);
    close(b);
    int a = rig_accept(&w.rig, 0);
    server_reads(&w, a);
    rig_write(&w.rig, a, "HTTP/1.1 101 Switch", 19);
    close(a);
    sim_settle(w.rig.loop);
    assert_int_equal(o.failed_count, 1);
    assert_int_equal(seeking_counted(&w, 'a', STAT_SERVER_FAILURES), 1);
    assert_int_equal(seeking_counted(&w, 'b', STAT_SERVER_FAILURES), 1);
    owner_fini(&o);
    seeking_close(&w);
}

/* It may be frozen, and would answer when it wakes up. */
static void test_a_server_found_down_is_waited_for_no_more(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, two);
    struct owner o = {.home = &w};
    owner_begin(&o, &(struct seek_start){.cost = 1});
    sim_settle(w.rig.loop);
    assert_string_equal(o.asked, "a");
    seeking_judge(&w, 'a', VERDICT_DOWN);
    seekers_server_down(w.all, seeking_server(&w, 'b')); /* nobody asks that one */
    sim_settle(w.rig.loop);
    assert_string_equal(o.asked, "a");
    seekers_server_down(w.all, seeking_server(&w, 'a'));
    sim_settle(w.rig.loop);
    assert_string_equal(o.asked, "ab");
    assert_int_equal(seeking_counted(&w, 'a', STAT_SERVER_FAILURES), 0);
    owner_fini(&o);
    seeking_close(&w);
}

static void test_all_of_it_ends_at_failover_timeout(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL("failover_timeout: 3s\n    upgrade_timeout: 2s", A B, "hedge_after: 0"));
    struct owner o = {.home = &w};
    owner_begin(&o, NULL);
    rig_advance(&w.rig, 2000);
    assert_int_equal(strlen(o.asked), 2);
    rig_advance(&w.rig, 999);
    assert_int_equal(o.failed_count, 0);
    rig_advance(&w.rig, 2);
    assert_int_equal(o.failed_count, 1);
    assert_int_equal(seeking_counted(&w, o.asked[0], STAT_SERVER_FAILURES), 1);
    assert_int_equal(seeking_counted(&w, o.asked[1], STAT_SERVER_FAILURES), 0); /* it had less than its own time */
    owner_fini(&o);
    seeking_close(&w);
}

static void test_retries_are_as_many_as_the_pool_says(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL("max_retries: 1", A B C_2, "hedge_after: 0"));
    for (int i = 0; i < RIG_SERVERS; i++)
        rig_stop_server(&w.rig, i);
    struct owner o = {.home = &w};
    owner_begin(&o, NULL);
    rig_advance(&w.rig, 1);
    assert_int_equal(strlen(o.asked), 2);
    assert_int_equal(o.failed_count, 1);
    owner_fini(&o);
    seeking_close(&w);
}

static void test_a_head_that_cannot_be_made(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, two);
    w.is_head_refused = true;
    struct owner o = {.home = &w};
    owner_begin(&o, NULL);
    sim_settle(w.rig.loop);
    assert_int_equal(o.failed_count, 1);
    assert_int_equal(seeking_counted(&w, 'a', STAT_SERVER_FAILURES), 0);
    owner_fini(&o);
    seeking_close(&w);
}

/* ---- hedging ---- */

static void test_a_slow_server_gets_company(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, hedged);
    struct owner o = {.home = &w};
    owner_begin(&o, NULL);
    sim_settle(w.rig.loop);
    const int first_index = o.asked[0] - 'a';
    int first = rig_accept(&w.rig, first_index);
    rig_advance(&w.rig, 299);
    assert_int_equal(strlen(o.asked), 1);
    rig_advance(&w.rig, 1);
    assert_int_equal(strlen(o.asked), 2);
    int second = rig_accept(&w.rig, 1 - first_index);
    rig_advance(&w.rig, 600);
    assert_int_equal(strlen(o.asked), 2); /* two at a time are enough */
    server_reads(&w, second);
    server_accepts(&w, second, "\r\n");
    rig_advance(&w.rig, LAG_CALM_MS); /* late as well, it has to be calm first (test_seek_calm.c) */
    rig_write(&w.rig, second, "\x8a\0", 2);
    assert_int_equal(o.found, o.asked[1]);
    assert_true(server_is_left(&w, first));
    assert_int_equal(seeking_counted(&w, o.asked[0], STAT_SERVER_FAILURES), 0); /* slow is not broken */
    owner_fini(&o);
    close(first);
    close(second);
    seeking_close(&w);
}

static void test_the_first_may_still_win(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, hedged);
    struct owner o = {.home = &w};
    owner_begin(&o, NULL);
    sim_settle(w.rig.loop);
    const int first_index = o.asked[0] - 'a';
    int first = rig_accept(&w.rig, first_index);
    rig_advance(&w.rig, 300);
    int second = rig_accept(&w.rig, 1 - first_index);
    server_reads(&w, first);
    server_reads(&w, second);
    server_declines(&w, second, 401); /* which does not end what the other is doing */
    assert_int_equal(o.failed_count, 0);
    server_accepts(&w, first, "\r\n");
    rig_advance(&w.rig, LAG_CALM_MS); /* late, it has to be calm first (test_seek_calm.c) */
    rig_write(&w.rig, first, "\x8a\0", 2);
    assert_int_equal(o.found, o.asked[0]);
    owner_fini(&o);
    close(first);
    close(second);
    seeking_close(&w);
}

static void test_company_that_fails_is_replaced(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, hedged);
    struct owner o = {.home = &w};
    owner_begin(&o, NULL);
    sim_settle(w.rig.loop);
    const int first_index = o.asked[0] - 'a';
    int first = rig_accept(&w.rig, first_index);
    rig_advance(&w.rig, 300);
    int second = rig_accept(&w.rig, 1 - first_index);
    server_reads(&w, second);
    server_declines(&w, second, 503);
    assert_int_equal(strlen(o.asked), 2);
    rig_advance(&w.rig, 300);
    assert_int_equal(o.asked[2], 'c');
    int third = rig_accept(&w.rig, 2);
    server_reads(&w, third);
    server_accepts(&w, third, "\r\n");
    assert_int_equal(o.found, 'c');
    owner_fini(&o);
    close(first);
    close(second);
    close(third);
    seeking_close(&w);
}

static void test_the_lost_server_is_no_company(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL("upgrade_timeout: 2s", A B, "hedge_after: 300ms"));
    struct owner o = {.home = &w};
    owner_begin(&o, &(struct seek_start){.avoid = seeking_server(&w, 'a')});
    rig_advance(&w.rig, 1500);
    assert_string_equal(o.asked, "b");
    rig_advance(&w.rig, 600);
    assert_string_equal(o.asked, "ba"); /* b did not answer at all */
    owner_fini(&o);
    seeking_close(&w);
}

/* ---- ending ---- */

static void test_it_may_be_cancelled_at_any_time(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, hedged);
    struct owner o = {.home = &w};

    seek_cancel(&o.seek); /* none is under way */
    owner_begin(&o, NULL);
    seek_cancel(&o.seek); /* in line */
    assert_null(o.seek);
    sim_settle(w.rig.loop);
    assert_string_equal(o.asked, "");

    o.cancels_at_asking = true; /* in a callback */
    owner_begin(&o, NULL);
    sim_settle(w.rig.loop);
    assert_null(o.seek);
    assert_int_equal(strlen(o.asked), 1);
    o.cancels_at_asking = false;

    owner_begin(&o, NULL); /* while one server is asked */
    sim_settle(w.rig.loop);
    seek_cancel(&o.seek);

    owner_begin(&o, NULL); /* while two are */
    rig_advance(&w.rig, 300);
    assert_int_equal(strlen(o.asked), 4);
    o.cancels_at_asking = true; /* and in the callback about the second */
    seek_cancel(&o.seek);
    o.cancels_at_asking = false;
    owner_begin(&o, NULL);
    sim_settle(w.rig.loop);
    o.cancels_at_asking = true;
    rig_advance(&w.rig, 300);
    assert_null(o.seek);

    rig_advance(&w.rig, 60000);
    assert_int_equal(o.found_count + o.failed_count, 0);
    for (char letter = 'a'; letter <= 'c'; letter++)
        assert_int_equal(seeking_counted(&w, letter, STAT_SERVER_FAILURES), 0);
    owner_fini(&o);
    seeking_close(&w);
}

static void test_callbacks_may_end_others_and_begin_anew(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, two);
    seeking_judge(&w, 'a', VERDICT_DOWN);
    seeking_judge(&w, 'b', VERDICT_DOWN);
    struct owner o[4] = {{.home = &w}, {.home = &w}, {.home = &w}, {.home = &w}};
    o[0].cancels = &o[1]; /* the next in line */
    o[2].again_count = 3;
    for (int i = 0; i < 4; i++)
        owner_begin(&o[i], NULL);
    sim_settle(w.rig.loop);
    assert_int_equal(o[0].failed_count, 1);
    assert_int_equal(o[1].failed_count, 0);
    assert_int_equal(o[2].failed_count, 4);
    assert_int_equal(o[3].failed_count, 1);
    for (int i = 0; i < 4; i++)
        owner_fini(&o[i]);
    seeking_close(&w);
}

static void test_a_reload_in_between(void **state)
{
    (void)state;
    struct seeking w;
    struct owner o;
    seeks_after_a(&w, &o, two);
    int b = rig_accept(&w.rig, 1);
    /* its pool is another one's neighbour now, and the server it is asking is gone */
    rig_reload(&w.rig, "listen: [ { address: '127.0.0.1:1' } ]\n"
                       "pools:\n  other: { servers: [ { name: x, url: 'ws://127.0.0.1:1' } ] }\n"
                       "  p:\n    servers:\n" A "      - { name: c, url: 'ws://127.0.0.1:@c' }\n"
                       "routes:\n  - { path: /ws, pool: p, websocket: { protocol: phoenix, hedge_after: 0 } }\n");
    server_reads(&w, b);
    server_declines(&w, b, 503);
    int c = rig_accept(&w.rig, 2);
    server_reads(&w, c);
    server_accepts(&w, c, "\r\n");
    assert_int_equal(o.found, 'c');
    owner_fini(&o);
    close(b);
    close(c);
    seeking_close(&w);
}

/* The session has not been told yet. */
static void test_begun_with_the_configuration_of_before(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, two);
    struct conf *before = conf_ref(w.rig.worker->conf);
    rig_reload(&w.rig, "listen: [ { address: '127.0.0.1:1' } ]\n"
                       "pools:\n  other: { servers: [ { name: x, url: 'ws://127.0.0.1:1' } ] }\n"
                       "  p:\n    servers:\n" A "routes: [ { path: /ws, pool: p } ]\n");
    struct owner o = {.home = &w};
    owner_begin(&o, &(struct seek_start){.conf = before});
    sim_settle(w.rig.loop);
    assert_string_equal(o.asked, "a");
    seek_cancel(&o.seek);
    rig_reload(&w.rig, "listen: [ { address: '127.0.0.1:1' } ]\n"
                       "pools:\n  other: { servers: [ { name: x, url: 'ws://127.0.0.1:1' } ] }\n"
                       "routes: [ { path: /ws, pool: other } ]\n");
    owner_begin(&o, &(struct seek_start){.conf = before});
    sim_settle(w.rig.loop);
    assert_int_equal(o.failed_count, 1);
    assert_string_equal(o.why, "pool removed");
    conf_unref(&before);
    owner_fini(&o);
    seeking_close(&w);
}

static void test_a_pool_that_is_gone(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, two);
    struct owner o = {.home = &w};
    owner_begin(&o, NULL);
    rig_reload(&w.rig, "listen: [ { address: '127.0.0.1:1' } ]\n"
                       "pools:\n  other: { servers: [ { name: x, url: 'ws://127.0.0.1:1' } ] }\n"
                       "routes: [ { path: /ws, pool: other } ]\n");
    sim_settle(w.rig.loop);
    assert_int_equal(o.failed_count, 1);
    assert_string_equal(o.why, "pool_is_empty");
    owner_fini(&o);
    seeking_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_server_takes_it),
        cmocka_unit_test(test_the_lost_one_is_asked_when_there_is_no_other),
        cmocka_unit_test(test_it_goes_to_another_tier_before_it_goes_back),
        cmocka_unit_test(test_going_back_needs_a_better_tier),
        cmocka_unit_test(test_what_an_answer_means),
        cmocka_unit_test(test_another_subprotocol_will_not_do),
        cmocka_unit_test(test_nobody_is_there),
        cmocka_unit_test(test_a_server_that_dies_in_the_handshake),
        cmocka_unit_test(test_a_server_found_down_is_waited_for_no_more),
        cmocka_unit_test(test_all_of_it_ends_at_failover_timeout),
        cmocka_unit_test(test_retries_are_as_many_as_the_pool_says),
        cmocka_unit_test(test_a_head_that_cannot_be_made),
        cmocka_unit_test(test_a_slow_server_gets_company),
        cmocka_unit_test(test_the_first_may_still_win),
        cmocka_unit_test(test_company_that_fails_is_replaced),
        cmocka_unit_test(test_the_lost_server_is_no_company),
        cmocka_unit_test(test_it_may_be_cancelled_at_any_time),
        cmocka_unit_test(test_callbacks_may_end_others_and_begin_anew),
        cmocka_unit_test(test_a_reload_in_between),
        cmocka_unit_test(test_begun_with_the_configuration_of_before),
        cmocka_unit_test(test_a_pool_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
