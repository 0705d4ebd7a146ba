/* A server that is about to go refuses a join, and the session moves: what it has goes on there meanwhile. */
#include "tests/unit/gateway/realtime/phoenix_script.h"

#define RESTARTING                    REASON("RealtimeRestarting: Realtime is restarting, please standby")
#define IN_OTHER(ref, event, payload) "[\"4\",\"" ref "\",\"other\",\"" event "\"," payload "]"
#define OTHER_REPLY(ref, status, response)                                                                             \
    IN_OTHER(ref, "phx_reply", "{\"status\":\"" status "\",\"response\":" response "}")
#define JOIN_OTHER IN_OTHER("4", "phx_join", "{}")

/* The room is joined, and the server refuses the other channel. */
static struct session *refused(void)
{
    struct session *s = JOINED("");
    client_says(s, JOIN_OTHER);
    server_got(s->leg, JOIN_OTHER);
    server_says(s, s->leg, OTHER_REPLY("4", "error", RESTARTING));
    client_got_nothing(s);
    assert_false(s->leg->is_failed);
    assert_int_equal(s->asked_move_count, 1);
    return s;
}

/* The other server has been found, and asked for both. */
static struct leg *finds_another(struct session *s)
{
    struct leg *next = fake_find(s);
    server_got(next, REJOIN("0", ""));
    server_got(next, IN_OTHER("g#1", "phx_join", "{}"));
    return next;
}

static void test_10_refused_by_one_that_restarts_is_joined_on_the_next_while_the_rest_goes_on(void **state)
{
    (void)state;
    struct session *s = refused();
    struct leg *old = s->leg, *next = finds_another(s);
    server_says(s, old, HEARD("1"));
    client_got(s, HEARD("1"));
    client_says(s, BROADCAST("7"));
    server_got(old, BROADCAST("7"));
    server_says(s, next, OTHER_REPLY("g#1", "ok", "{\"a\":1}"));
    client_got(s, OTHER_REPLY("4", "ok", "{\"a\":1}")); /* at once, and in its own name */
    client_says(s, IN_OTHER("8", "news", "{}"));
    server_got_nothing(old);
    server_says(s, next, IN_OTHER("4", "news", "{\"b\":1}"));
    client_got(s, IN_OTHER("4", "news", "{\"b\":1}"));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    server_got(old, BEAT("g#9"));
    server_says(s, next, HEARD("7"));
    server_says(s, old, BEAT_REPLY("g#9"));
    assert_ptr_equal(s->leg, next);
    server_got(next, IN_OTHER("8", "news", "{}"));
    server_says(s, next, OTHER_REPLY("8", "ok", "{}"));
    client_got(s, OTHER_REPLY("8", "ok", "{}"));
    ends(s);
}

static void test_10_the_only_channel_is_moved_like_any_other(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    client_says(s, JOIN(""));
    server_got(s->leg, JOIN(PINNED("")));
    server_says(s, s->leg, REPLY("3", "error", RESTARTING));
    client_got_nothing(s);
    assert_int_equal(s->asked_move_count, 1);
    struct leg *old = s->leg, *next = fake_find(s);
    server_got(next, REJOIN("0", ""));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    client_got(s, REPLY("3", "ok", "{}"));
    server_got(old, BEAT("g#9"));
    server_says(s, old, BEAT_REPLY("g#9"));
    assert_ptr_equal(s->leg, next);
    ends(s);
}

/* Servers answer one join after the other, and take long to refuse one: the rest is not waited for. */
static void test_10_joins_behind_the_one_that_was_refused_are_made_on_the_next_as_well(void **state)
{
    (void)state;
    for (int is_late_ok = 0; is_late_ok < 2; is_late_ok++) {
        struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
        struct leg *old = s->leg;
        client_says(s, JOIN(""));
        client_says(s, JOIN_OTHER);
        fake_forget(&old->said);
        server_says(s, old, REPLY("3", "error", RESTARTING));
        struct leg *next = finds_another(s);
        server_says(s, next, OTHER_REPLY("g#1", "ok", "{}"));
        client_got(s, OTHER_REPLY("4", "ok", "{}"));
        server_says(s, old, is_late_ok ? OTHER_REPLY("4", "ok", "{}") : OTHER_REPLY("4", "error", RESTARTING));
        if (is_late_ok) /* it is the next one's already */
            server_got(old, IN_OTHER("g#2", "phx_leave", "{}"));
        server_says(s, next, REPLY("g#0", "ok", "{}"));
        client_got(s, REPLY("3", "ok", "{}"));
        server_got(old, BEAT("g#9"));
        server_says(s, old, BEAT_REPLY("g#9"));
        assert_ptr_equal(s->leg, next);
        assert_int_equal(s->asked_move_count, 1);
        ends(s);
    }
}

static void test_10_joined_by_the_one_that_restarts_after_all(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    struct leg *old = s->leg;
    client_says(s, JOIN(""));
    client_says(s, JOIN_OTHER);
    fake_forget(&old->said);
    server_says(s, old, REPLY("3", "error", RESTARTING));
    struct leg *next = finds_another(s);
    server_says(s, old, OTHER_REPLY("4", "ok", "{}"));
    client_got(s, OTHER_REPLY("4", "ok", "{}"));
    server_says(s, next, OTHER_REPLY("g#1", "ok", "{}"));
    client_got_nothing(s);
    client_says(s, IN_OTHER("8", "news", "{}"));
    server_got(old, IN_OTHER("8", "news", "{}"));
    ends(s);
}

/* The session asks servers again by itself; the client is told before it stops waiting. */
static void test_10_refused_by_the_next_one_too_is_said_in_time(void **state)
{
    (void)state;
    struct session *s = refused();
    struct leg *old = s->leg;
    for (int i = 0; i < 2; i++) {
        struct leg *next = finds_another(s);
        server_says(s, next, OTHER_REPLY("g#1", "error", RESTARTING));
        assert_true(next->is_failed);
        fake_settle(s);
        time_passes(s, 2000);
    }
    assert_int_equal(s->asked_move_count, 1);
    time_passes(s, 3999);
    client_got_nothing(s);
    time_passes(s, 1);
    client_got(s, OTHER_REPLY("4", "error", REASON("gateway: no server")));
    client_says(s, BROADCAST("7"));
    server_got(old, BROADCAST("7"));
    assert_false(old->is_failed);
    ends(s);
}

static void test_10_refused_for_good_by_the_next_one(void **state)
{
    (void)state;
    struct session *s = refused();
    struct leg *next = finds_another(s);
    server_says(s, next, OTHER_REPLY("g#1", "error", REASON("Unauthorized: no")));
    client_got(s, OTHER_REPLY("4", "error", REASON("Unauthorized: no")));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    server_got(s->leg, BEAT("g#9")); /* the room moves: its server is about to go */
    ends(s);
}

static void test_10_a_next_one_that_dies_takes_only_what_it_alone_had(void **state)
{
    (void)state;
    struct session *s = refused();
    struct leg *next = finds_another(s);
    server_says(s, next, OTHER_REPLY("g#1", "ok", "{}"));
    client_got(s, OTHER_REPLY("4", "ok", "{}"));
    client_says(s, IN_OTHER("8", "presence", "{\"type\":\"presence\",\"event\":\"track\",\"payload\":{}}"));
    client_says(s, IN_OTHER("9", "news", "{}"));
    fake_lose(s, next);
    client_got(s, OTHER_REPLY("8", "error", REASON("gateway: the channel failed")));
    client_got(s, OTHER_REPLY("9", "error", REASON("gateway: the channel failed")));
    client_got(s, "[\"4\",\"4\",\"other\",\"phx_error\",{}]"); /* which makes it join again */
    client_says(s, BROADCAST("7"));
    server_got(s->leg, BROADCAST("7"));
    ends(s);
}

static void test_10_the_one_that_restarts_goes_before_the_move_is_complete(void **state)
{
    (void)state;
    struct session *s = refused();
    struct leg *next = finds_another(s);
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    dies(s, s->leg);
    assert_ptr_equal(s->leg, next);
    server_says(s, next, OTHER_REPLY("g#1", "ok", "{}"));
    client_got(s, OTHER_REPLY("4", "ok", "{}"));
    assert_true(next->is_restored);
    ends(s);
}

static void test_10_token_presence_and_leave_of_a_channel_that_only_the_next_one_has(void **state)
{
    static const char token[] = IN_OTHER("8", "access_token", "{\"access_token\":\"J2\"}");
    static const char track[] = IN_OTHER("9", "presence", "{\"type\":\"presence\",\"event\":\"track\"}");
    (void)state;
    for (int is_leaving = 0; is_leaving < 2; is_leaving++) {
        struct session *s = refused();
        struct leg *old = s->leg, *next = finds_another(s);
        server_says(s, next, OTHER_REPLY("g#1", "ok", "{}"));
        client_got(s, OTHER_REPLY("4", "ok", "{}"));
        if (is_leaving) {
            client_says(s, IN_OTHER("10", "phx_leave", "{}"));
            server_got(next, IN_OTHER("g#2", "phx_leave", "{}"));
            client_got(s, OTHER_REPLY("10", "ok", "{}"));
            client_got(s, "[\"4\",\"4\",\"other\",\"phx_close\",{}]");
        } else {
            client_says(s, token);
            client_says(s, track);
        }
        server_got_nothing(old);
        server_says(s, next, REPLY("g#0", "ok", "{}"));
        server_got(old, BEAT("g#9"));
        server_says(s, old, BEAT_REPLY("g#9"));
        if (!is_leaving) { /* in their order, and before what comes now */
            server_got(next, token);
            server_got(next, track);
        }
        ends(s);
    }
}

static void test_7_changes_of_a_channel_that_only_the_next_one_has(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    s->conf.ready_wait_ms = 5000;
    client_says(s, JOIN(CHANGES));
    fake_forget(&s->leg->said);
    server_says(s, s->leg, REPLY("3", "error", RESTARTING));
    struct leg *old = s->leg, *next = fake_find(s);
    server_got(next, REJOIN("0", CHANGES));
    server_says(s, next, REPLY("g#0", "ok", LISTED));
    client_got_nothing(s); /* until they flow */
    server_got(old, BEAT("g#9"));
    server_says(s, next, READY);
    client_got(s, REPLY("3", "ok", LISTED));
    client_got(s, READY);
    server_says(s, old, BEAT_REPLY("g#9"));
    assert_ptr_equal(s->leg, next);
    ends(s);
}

/* A server that takes the session after a loss, and says the same, has nothing to lose. */
static void test_10_one_that_restores_is_just_left(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    dies(s, s->leg);
    client_says(s, JOIN_OTHER);
    struct leg *l = fake_find(s);
    server_got(l, REJOIN("0", ""));
    server_got(l, JOIN_OTHER);
    server_says(s, l, OTHER_REPLY("4", "error", RESTARTING));
    assert_true(l->is_failed);
    assert_int_equal(s->asked_move_count, 0);
    fake_settle(s);
    l = fake_find(s);
    server_got(l, REJOIN("0", ""));
    server_got(l, JOIN_OTHER);
    ends(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_10_refused_by_one_that_restarts_is_joined_on_the_next_while_the_rest_goes_on),
        cmocka_unit_test(test_10_the_only_channel_is_moved_like_any_other),
        cmocka_unit_test(test_10_joins_behind_the_one_that_was_refused_are_made_on_the_next_as_well),
        cmocka_unit_test(test_10_joined_by_the_one_that_restarts_after_all),
        cmocka_unit_test(test_10_refused_by_the_next_one_too_is_said_in_time),
        cmocka_unit_test(test_10_refused_for_good_by_the_next_one),
        cmocka_unit_test(test_10_a_next_one_that_dies_takes_only_what_it_alone_had),
        cmocka_unit_test(test_10_the_one_that_restarts_goes_before_the_move_is_complete),
        cmocka_unit_test(test_10_token_presence_and_leave_of_a_channel_that_only_the_next_one_has),
        cmocka_unit_test(test_7_changes_of_a_channel_that_only_the_next_one_has),
        cmocka_unit_test(test_10_one_that_restores_is_just_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
