/* Servers that take a WebSocket late: they are given time to read what lies in their sockets, and asked whether they
 * have, before the session has them. One that takes it in time is not. */
#include "tests/replay/seeking.h"

#define POOL(servers, websocket)                                                                                       \
    "listen: [ { address: '127.0.0.1:1' } ]\n"                                                                         \
    "pools:\n  p:\n    upgrade_timeout: 5s\n    failover_timeout: 10s\n    servers:\n" servers                         \
    "routes:\n  - { path: /ws, pool: p, websocket: { protocol: phoenix, " websocket " } }\n"
#define A "      - { name: a, url: 'ws://127.0.0.1:@a' }\n"
#define B "      - { name: b, url: 'ws://127.0.0.1:@b' }\n"

static const char one[] = POOL(A, "hedge_after: 300ms");
static const char two[] = POOL(A B, "hedge_after: 300ms");

static const char ping[] = "\x89\x80\0\0\0\0";
static const char pong[] = "\x8a\x08" /* a payload shows that nothing of it is lost */ "and more";
#define PING_BYTES (sizeof ping - 1)
#define PONG_BYTES (sizeof pong - 1)
#define PONG_MS    1000 /* for which a pong is waited for */

static bool is_asked_for_a_sign(struct seeking *w, int fd)
{
    char got[64];
    const int n = rig_read(&w->rig, fd, got, sizeof got);
    if (n <= 0)
        return false;
    assert_int_equal(n, PING_BYTES);
    assert_memory_equal(got, ping, PING_BYTES);
    return true;
}

/* Begins a seek and lets the first server take it after so long: its end. */
static int taken_after(struct seeking *w, struct owner *o, int64_t ms)
{
    owner_begin(o, NULL);
    sim_settle(w->rig.loop);
    const int fd = rig_accept(&w->rig, o->asked[0] - 'a');
    server_reads(w, fd);
    rig_advance(&w->rig, ms);
    server_accepts(w, fd, "\r\n");
    return fd;
}

static void one_that_took_it_in_time_has_it_at_once(void **state)
{
    struct seeking w;
    (void)state;
    seeking_open(&w, one);
    struct owner o = {.home = &w};
    const int a = taken_after(&w, &o, 299);
    assert_int_equal(o.found, 'a');
    assert_false(is_asked_for_a_sign(&w, a));
    owner_fini(&o);
    close(a);
    seeking_close(&w);
}

static void one_that_took_it_late_is_asked_for_a_sign_of_life_first(void **state)
{
    struct seeking w;
    (void)state;
    seeking_open(&w, one);
    struct owner o = {.home = &w};
    const int a = taken_after(&w, &o, 3000);
    rig_advance(&w.rig, LAG_CALM_MS - 1);
    assert_false(is_asked_for_a_sign(&w, a)); /* it has better things to do */
    rig_advance(&w.rig, 1);
    assert_true(is_asked_for_a_sign(&w, a));
    rig_advance(&w.rig, 500);
    assert_int_equal(o.found_count, 0);
    rig_write(&w.rig, a, pong, PONG_BYTES);
    assert_int_equal(o.found, 'a');
    assert_string_equal(o.rest, pong);
    assert_int_equal(seeking_counted(&w, 'a', STAT_SERVER_FAILURES), 0);
    owner_fini(&o);
    close(a);
    seeking_close(&w);
}

static void what_it_said_and_chose_before_is_not_forgotten(void **state)
{
    struct seeking w;
    (void)state;
    seeking_open(&w, one);
    w.protocol = "q";
    struct owner o = {.home = &w};
    owner_begin(&o, NULL);
    const int a = rig_accept(&w.rig, 0);
    server_reads(&w, a);
    rig_advance(&w.rig, 400);
    server_accepts(&w, a, "Sec-WebSocket-Protocol: q\r\n\r\nfirst");
    rig_advance(&w.rig, LAG_CALM_MS);
    rig_write(&w.rig, a, " then", 5);
    assert_int_equal(o.found, 'a');
    assert_string_equal(o.subprotocol, "q");
    assert_string_equal(o.rest, "first then");
    owner_fini(&o);
    close(a);
    seeking_close(&w);
}

static void one_that_owes_the_pong_has_it_all_the_same(void **state)
{
    struct seeking w;
    (void)state;
    seeking_open(&w, one);
    struct owner o = {.home = &w};
    const int a = taken_after(&w, &o, 400);
    rig_advance(&w.rig, LAG_CALM_MS);
    rig_advance(&w.rig, PONG_MS - 1);
    assert_int_equal(o.found_count, 0);
    rig_advance(&w.rig, 1);
    assert_int_equal(o.found, 'a');
    owner_fini(&o);
    close(a);
    seeking_close(&w);
}

static void another_one_may_have_it_meanwhile(void **state)
{
    struct seeking w;
    (void)state;
    seeking_open(&w, two);
    struct owner o = {.home = &w};
    const int late = taken_after(&w, &o, 310);
    assert_int_equal(strlen(o.asked), 2); /* at 300 ms */
    const int other = rig_accept(&w.rig, o.asked[1] - 'a');
    server_reads(&w, other);
    server_accepts(&w, other, "\r\n");
    assert_int_equal(o.found, o.asked[1]);
    assert_true(server_is_left(&w, late));
    assert_int_equal(seeking_counted(&w, o.asked[0], STAT_SERVER_FAILURES), 0); /* slow is not broken */
    owner_fini(&o);
    close(late);
    close(other);
    seeking_close(&w);
}

static void those_who_come_next_wait_too_until_it_is_calm(void **state)
{
    struct seeking w;
    (void)state;
    seeking_open(&w, one);
    struct owner first = {.home = &w}, second = {.home = &w}, third = {.home = &w};
    const int a1 = taken_after(&w, &first, 400);
    rig_advance(&w.rig, 100);
    const int a2 = taken_after(&w, &second, 1);
    assert_int_equal(second.found_count, 0);
    rig_advance(&w.rig, LAG_CALM_MS - 101);
    assert_true(is_asked_for_a_sign(&w, a1));
    assert_true(is_asked_for_a_sign(&w, a2)); /* both at the same time: it is the server that is not calm */
    const int a3 = taken_after(&w, &third, 1);
    assert_int_equal(third.found_count, 1);
    rig_write(&w.rig, a1, pong, PONG_BYTES);
    rig_write(&w.rig, a2, pong, PONG_BYTES);
    assert_int_equal(first.found_count + second.found_count, 2);
    owner_fini(&first);
    owner_fini(&second);
    owner_fini(&third);
    close(a1);
    close(a2);
    close(a3);
    seeking_close(&w);
}

static void one_that_breaks_off_meanwhile_is_replaced(void **state)
{
    struct seeking w;
    (void)state;
    for (int is_pinged = 0; is_pinged < 2; is_pinged++) {
        seeking_open(&w, two);
        struct owner o = {.home = &w};
        lag_went_down(&seeking_server(&w, 'a')->lag, true);
        lag_went_down(&seeking_server(&w, 'b')->lag, true);
        const int first = taken_after(&w, &o, 1);
        assert_int_equal(o.found_count, 0);
        if (is_pinged)
            rig_advance(&w.rig, LAG_CALM_MS - 1); /* before company comes */
        sock_reset_on_close(first);
        close(first);
        sim_settle(w.rig.loop);
        rig_advance(&w.rig, LAG_CALM_MS);
        assert_int_equal(strlen(o.asked), 2);
        const int second = rig_accept(&w.rig, o.asked[1] - 'a');
        lag_came_up(&seeking_server(&w, o.asked[1])->lag, 0);
        rig_advance(&w.rig, LAG_CALM_MS);
        server_reads(&w, second);
        server_accepts(&w, second, "\r\n");
        rig_advance(&w.rig, LAG_CALM_MS + PONG_MS);
        assert_int_equal(o.found, o.asked[1]);
        assert_int_equal(seeking_counted(&w, o.asked[0], STAT_SERVER_FAILURES), 1);
        owner_fini(&o);
        close(second);
        seeking_close(&w);
    }
}

static void one_that_is_found_down_meanwhile_is_waited_for_no_more(void **state)
{
    struct seeking w;
    (void)state;
    seeking_open(&w, two);
    struct owner o = {.home = &w};
    const int late = taken_after(&w, &o, 310);
    const int other = rig_accept(&w.rig, o.asked[1] - 'a');
    seekers_server_down(w.all, seeking_server(&w, o.asked[0]));
    assert_true(server_is_left(&w, late));
    server_reads(&w, other);
    server_accepts(&w, other, "\r\n");
    assert_int_equal(o.found, o.asked[1]);
    owner_fini(&o);
    close(late);
    close(other);
    seeking_close(&w);
}

static void it_may_be_cancelled_meanwhile(void **state)
{
    struct seeking w;
    (void)state;
    for (int64_t after_ms = 0; after_ms <= LAG_CALM_MS; after_ms += LAG_CALM_MS) {
        seeking_open(&w, one);
        struct owner o = {.home = &w};
        const int a = taken_after(&w, &o, 400);
        rig_advance(&w.rig, after_ms);
        seek_cancel(&o.seek);
        assert_true(server_is_left(&w, a));
        rig_advance(&w.rig, 5000);
        assert_int_equal(o.found_count + o.failed_count, 0);
        owner_fini(&o);
        close(a);
        seeking_close(&w);
    }
}

/* What the worker follows: the checks. */
static void judge(struct seeking *w, enum verdict_state state, bool is_silent)
{
    const struct verdict v = {.state = state};
    const struct verdict_detail d = {.is_silent = is_silent};
    const int slot = seeking_server(w, 'a')->slot;
    (void)verdict_adopt(w->rig.verdicts, slot, atomic_load(&w->rig.slots->server[slot].era));
    verdict_write(w->rig.verdicts, slot, &v, &d);
    rig_advance(&w->rig, 100); /* it looks now and then */
}

static void one_that_is_back_after_silence_is_waited_for_and_one_that_was_started_anew_is_not(void **state)
{
    struct seeking w;
    (void)state;
    for (int is_silent = 0; is_silent < 2; is_silent++) {
        seeking_open(&w, one);
        judge(&w, VERDICT_UP, false);
        judge(&w, VERDICT_DOWN, is_silent);
        judge(&w, VERDICT_UP, false);
        struct owner o = {.home = &w};
        const int a = taken_after(&w, &o, 1);
        assert_int_equal(o.found_count, 1 - is_silent);
        rig_advance(&w.rig, LAG_CALM_MS);
        assert_int_equal(is_asked_for_a_sign(&w, a), is_silent);
        owner_fini(&o);
        close(a);
        seeking_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_took_it_in_time_has_it_at_once),
        cmocka_unit_test(one_that_took_it_late_is_asked_for_a_sign_of_life_first),
        cmocka_unit_test(what_it_said_and_chose_before_is_not_forgotten),
        cmocka_unit_test(one_that_owes_the_pong_has_it_all_the_same),
        cmocka_unit_test(another_one_may_have_it_meanwhile),
        cmocka_unit_test(those_who_come_next_wait_too_until_it_is_calm),
        cmocka_unit_test(one_that_breaks_off_meanwhile_is_replaced),
        cmocka_unit_test(one_that_is_found_down_meanwhile_is_waited_for_no_more),
        cmocka_unit_test(it_may_be_cancelled_meanwhile),
        cmocka_unit_test(one_that_is_back_after_silence_is_waited_for_and_one_that_was_started_anew_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
