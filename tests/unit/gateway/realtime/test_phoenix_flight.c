/* What was under way when a server died: the corner cases of pushes, order and time. */
#include "tests/unit/gateway/realtime/phoenix_script.h"

/* Another server is found and takes the channel again. */
static struct leg *comes_back(struct session *s, const char *rejoin)
{
    struct leg *l = fake_find(s);
    server_got(l, rejoin);
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    time_passes(s, 0);
    return l;
}

/* ---- 1: sent, not answered, and the server dies ---- */

static void test_1_broadcast_that_wanted_an_answer_gets_an_error(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    client_says(s, BROADCAST("7"));
    server_got(s->leg, BROADCAST("7"));
    dies(s, s->leg);
    client_got(s, REPLY("7", "error", REASON("gateway: upstream lost")));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_UNKNOWN], 1);
    (void)comes_back(s, REJOIN("0", ACKS));
    ends(s);
}

static void test_1_broadcast_is_sent_again_where_that_was_asked_for(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    s->conf.delivery = DELIVERY_AT_LEAST_ONCE;
    client_says(s, BROADCAST("7"));
    server_got(s->leg, BROADCAST("7"));
    dies(s, s->leg);
    client_says(s, BROADCAST("8"));
    struct leg *l = comes_back(s, REJOIN("0", ACKS));
    server_got(l, BROADCAST("7"));
    server_got(l, BROADCAST("8"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_RESENT], 1);
    server_says(s, l, REPLY("7", "ok", "{}"));
    client_got(s, REPLY("7", "ok", "{}"));
    server_says(s, l, REPLY("8", "ok", "{}"));
    client_got(s, REPLY("8", "ok", "{}"));
    ends(s);
}

static void test_1_answered_pushes_are_not_sent_again(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    s->conf.delivery = DELIVERY_AT_LEAST_ONCE;
    client_says(s, BROADCAST("7"));
    server_got(s->leg, BROADCAST("7"));
    server_says(s, s->leg, REPLY("7", "ok", "{}"));
    client_got(s, REPLY("7", "ok", "{}"));
    dies(s, s->leg);
    (void)comes_back(s, REJOIN("0", ACKS));
    ends(s);
}

static void test_1_binary_broadcast_is_answered_with_a_reference_as_text(void **state)
{
    (void)state;
    static const char push[] = "\x03\x01\x02\x0d\x01\x00\x01"
                               "3"
                               "12" TOPIC "n{}";
    struct session *s = JOINED(ACKS);
    assert_int_equal(fake_client_says(s, fake_message(WS_OPCODE_BINARY, push, sizeof push - 1)), SIFT_PASS);
    fake_forget(&s->leg->said);
    dies(s, s->leg);
    client_got(s, REPLY("12", "error", REASON("gateway: upstream lost")));
    ends(s);
}

static void test_1_custom_event_gets_an_error(void **state)
{
    (void)state;
    struct session *s = joined_with("[\"3\",\"3\",\"" TOPIC "\",\"phx_join\",{\"user\":1}]", REPLY("3", "ok", "{}"));
    client_says(s, PUSH("7", "new_msg"));
    fake_forget(&s->leg->said);
    dies(s, s->leg);
    client_got(s, REPLY("7", "error", REASON("gateway: upstream lost")));
    ends(s);
}

static void test_1_presence_is_told_once_with_what_was_said_last(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, TRACK("7", "Ann"));
    client_says(s, TRACK("8", "Bob"));
    fake_forget(&s->leg->said);
    dies(s, s->leg);
    client_got_nothing(s);
    struct leg *l = comes_back(s, REJOIN("0", ""));
    server_got(l, TRACK("g#1", "Bob"));
    server_got_nothing(l);
    server_says(s, l, REPLY("g#1", "ok", "{}"));
    client_got(s, REPLY("7", "ok", "{}"));
    client_got(s, REPLY("8", "ok", "{}"));
    ends(s);
}

static void test_1_leave_is_done(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, LEAVE("7"));
    fake_forget(&s->leg->said);
    dies(s, s->leg);
    client_got(s, REPLY("7", "ok", "{}"));
    client_got(s, ENDED("phx_close"));
    assert_false(s->protocol->wants_server(s->speaker));
    server_got_nothing(fake_find(s));
    assert_true(s->leg->is_restored);
    ends(s);
}

/* ---- 2: nobody waits for an answer: barriers ---- */

static void test_2_what_a_heartbeat_has_proved_is_not_sent_again(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    s->conf.delivery = DELIVERY_AT_LEAST_ONCE;
    client_says(s, BROADCAST("7"));
    time_passes(s, 100);
    server_got(s->leg, BROADCAST("7"));
    server_got(s->leg, "[null,\"g#1\",\"phoenix\",\"heartbeat\",{}]");
    client_says(s, BROADCAST("8"));
    server_got(s->leg, BROADCAST("8"));
    server_says(s, s->leg, "[null,\"g#1\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    dies(s, s->leg);
    struct leg *l = comes_back(s, REJOIN("0", ""));
    server_got(l, BROADCAST("8"));
    ends(s);
}

static void test_2_at_most_once_sends_nothing_again(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, BROADCAST("7"));
    time_passes(s, 1000);
    server_got(s->leg, BROADCAST("7"));
    server_got_nothing(s->leg);
    dies(s, s->leg);
    (void)comes_back(s, REJOIN("0", ""));
    ends(s);
}

/* ---- 3: what may have killed a server ---- */

static void test_3_the_second_server_that_dies_of_a_message_is_the_last(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    s->conf.delivery = DELIVERY_AT_LEAST_ONCE;
    client_says(s, BROADCAST("7"));
    dies(s, s->leg);
    struct leg *l = comes_back(s, REJOIN("0", ACKS));
    server_got(l, BROADCAST("7"));
    dies(s, l);
    client_got(s, REPLY("7", "error", REASON("gateway: dropped, servers were lost after it")));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 1);
    (void)comes_back(s, REJOIN("0", ACKS));
    ends(s);
}

static void test_3_a_message_too_big_for_one_server_is_not_for_another(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    s->conf.delivery = DELIVERY_AT_LEAST_ONCE;
    client_says(s, BROADCAST("7"));
    client_says(s, BROADCAST("1234567"));
    client_says(s, BROADCAST("8"));
    s->leg->close_code = 1009;
    dies(s, s->leg);
    client_got(s, REPLY("1234567", "error", REASON("gateway: dropped, servers were lost after it")));
    struct leg *l = comes_back(s, REJOIN("0", ACKS));
    server_got(l, BROADCAST("7"));
    server_got(l, BROADCAST("8"));
    server_got_nothing(l);
    ends(s);
}

/* ---- 4: order ---- */

static void test_4_what_waits_goes_in_order_behind_the_join_and_a_leave_behind_it(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    dies(s, s->leg);
    client_says(s, BROADCAST("7"));
    client_says(s, BROADCAST("8"));
    client_says(s, LEAVE("9"));
    client_got_nothing(s);
    struct leg *l = fake_find(s);
    server_got(l, REJOIN("0", ""));
    server_got_nothing(l);
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    server_got(l, BROADCAST("7"));
    server_got(l, BROADCAST("8"));
    server_got(l, LEAVE("9"));
    server_says(s, l, REPLY("9", "ok", "{}"));
    server_says(s, l, ENDED("phx_close"));
    client_got(s, REPLY("9", "ok", "{}"));
    client_got(s, ENDED("phx_close"));
    assert_false(s->protocol->wants_server(s->speaker));
    ends(s);
}

static void test_4_channels_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    joins_other(s);
    dies(s, s->leg);
    client_says(s, "[\"4\",null,\"other\",\"hello\",{}]");
    struct leg *l = fake_find(s);
    server_got(l, "[\"4\",\"g#1\",\"other\",\"phx_join\",{}]"); /* first, for messages wait */
    server_got(l, REJOIN("0", ""));
    server_says(s, l, "[\"4\",\"g#1\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    server_got(l, "[\"4\",null,\"other\",\"hello\",{}]");
    client_says(s, "[\"4\",null,\"other\",\"again\",{}]");
    server_got(l, "[\"4\",null,\"other\",\"again\",{}]");
    assert_false(l->is_restored);
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    assert_true(l->is_restored);
    ends(s);
}

/* ---- 12: presence is limited by servers ---- */

static void test_12_one_track_whatever_was_said_meanwhile(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    dies(s, s->leg);
    for (unsigned i = 0; i < 4; i++)
        client_says(s, TRACK("7", "Ann"));
    struct leg *l = comes_back(s, REJOIN("0", ""));
    server_got(l, TRACK("g#1", "Ann"));
    server_got_nothing(l);
    server_says(s, l, REPLY("g#1", "ok", "{}"));
    for (unsigned i = 0; i < 4; i++)
        client_got(s, REPLY("7", "ok", "{}"));
    ends(s);
}

static void test_12_untracked_stays_untracked(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, TRACK("7", "Ann"));
    fake_forget(&s->leg->said);
    server_says(s, s->leg, REPLY("7", "ok", "{}"));
    fake_forget(&s->told);
    dies(s, s->leg);
    client_says(s, "[\"3\",\"8\",\"" TOPIC "\",\"presence\",{\"type\":\"presence\",\"event\":\"untrack\"}]");
    client_got(s, REPLY("8", "ok", "{}"));
    (void)comes_back(s, REJOIN("0", ""));
    ends(s);
}

/* ---- 13: a living server may be silent ---- */

static void test_13_silence_of_a_living_server_is_not_broken(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    client_says(s, BROADCAST("7"));
    client_says(s, TRACK("8", "Ann"));
    server_got(s->leg, BROADCAST("7"));
    server_got(s->leg, TRACK("8", "Ann"));
    time_passes(s, 60000);
    ends(s);
}

/* ---- 30: what comes back to its sender has been done ---- */

static void test_30_echo_proves_that_a_broadcast_was_done(void **state)
{
    (void)state;
    struct session *s = JOINED("\"broadcast\":{\"ack\":true,\"self\":true}");
    s->conf.delivery = DELIVERY_AT_LEAST_ONCE;
    client_says(s, BROADCAST("7"));
    client_says(s, BROADCAST("8"));
    server_says(s, s->leg,
                "[null,null,\"" TOPIC
                "\",\"broadcast\",{\"event\":\"n\",\"payload\":{\"n\":7},\"type\":\"broadcast\"}]");
    fake_forget(&s->told);
    dies(s, s->leg);
    client_got(s, REPLY("7", "ok", "{}"));
    struct leg *l = comes_back(s, REJOIN("0", "\"broadcast\":{\"ack\":true,\"self\":true}"));
    server_got(l, BROADCAST("8"));
    ends(s);
}

/* ---- time ---- */

static void test_whoever_waits_for_an_answer_gets_one_in_time(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    dies(s, s->leg);
    client_says(s, BROADCAST("7"));
    client_says(s, TRACK("8", "Ann"));
    time_passes(s, 7999);
    client_got_nothing(s);
    time_passes(s, 1);
    client_got(s, REPLY("7", "error", REASON("gateway: no server")));
    client_got(s, REPLY("8", "error", REASON("gateway: no server")));
    struct leg *l = comes_back(s, REJOIN("0", ACKS)); /* presence is state: it is told all the same */
    server_got(l, TRACK("g#1", "Ann"));
    ends(s);
}

static void test_the_oldest_that_waits_makes_room(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    s->conf.queue_count = 2;
    dies(s, s->leg);
    client_says(s, BROADCAST("7"));
    client_says(s, BROADCAST("8"));
    client_says(s, BROADCAST("9"));
    client_got(s, REPLY("7", "error", REASON("gateway: too many messages wait")));
    struct leg *l = comes_back(s, REJOIN("0", ACKS));
    server_got(l, BROADCAST("8"));
    server_got(l, BROADCAST("9"));
    ends(s);
}

/* Who waits for no answer hears of it all the same, once for all of them. */
static void test_what_was_dropped_is_reported(void **state)
{
    (void)state;
    struct session *s = JOINED("\"broadcast\":{}");
    s->conf.queue_count = 1;
    dies(s, s->leg);
    for (int i = 0; i < 4; i++)
        client_says(s, BROADCAST("7"));
    client_got_nothing(s);
    struct leg *l = comes_back(s, REJOIN("0", "\"broadcast\":{}"));
    client_got(s, SYSTEM("gateway", "error", "messages that were not sent, for want of a server: 3"));
    server_got(l, BROADCAST("7"));
    server_got_nothing(l);
    ends(s);
}

static void test_what_was_too_long_to_wait_is_reported(void **state)
{
    (void)state;
    struct session *s = JOINED("\"broadcast\":{}");
    struct ws_message m = fake_message(WS_OPCODE_TEXT, BROADCAST("7"), strlen(BROADCAST("7")));
    m.is_whole = false;
    m.is_at_limit = true;
    dies(s, s->leg);
    assert_int_equal(fake_client_says(s, m), SIFT_DROP);
    (void)comes_back(s, REJOIN("0", "\"broadcast\":{}"));
    client_got(s, SYSTEM("gateway", "error", "messages that were not sent, for want of a server: 1"));
    ends(s);
}

static void test_a_leave_that_waited_too_long_is_done(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    dies(s, s->leg);
    client_says(s, BROADCAST("7"));
    client_says(s, LEAVE("8"));
    time_passes(s, 8000);
    client_got(s, REPLY("8", "ok", "{}"));
    client_got(s, ENDED("phx_close"));
    assert_false(s->protocol->wants_server(s->speaker));
    assert_false(session_has_held(s));
    ends(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_broadcast_that_wanted_an_answer_gets_an_error),
        cmocka_unit_test(test_1_broadcast_is_sent_again_where_that_was_asked_for),
        cmocka_unit_test(test_1_answered_pushes_are_not_sent_again),
        cmocka_unit_test(test_1_binary_broadcast_is_answered_with_a_reference_as_text),
        cmocka_unit_test(test_1_custom_event_gets_an_error),
        cmocka_unit_test(test_1_presence_is_told_once_with_what_was_said_last),
        cmocka_unit_test(test_1_leave_is_done),
        cmocka_unit_test(test_2_what_a_heartbeat_has_proved_is_not_sent_again),
        cmocka_unit_test(test_2_at_most_once_sends_nothing_again),
        cmocka_unit_test(test_3_the_second_server_that_dies_of_a_message_is_the_last),
        cmocka_unit_test(test_3_a_message_too_big_for_one_server_is_not_for_another),
        cmocka_unit_test(test_4_what_waits_goes_in_order_behind_the_join_and_a_leave_behind_it),
        cmocka_unit_test(test_4_channels_do_not_wait_for_each_other),
        cmocka_unit_test(test_12_one_track_whatever_was_said_meanwhile),
        cmocka_unit_test(test_12_untracked_stays_untracked),
        cmocka_unit_test(test_13_silence_of_a_living_server_is_not_broken),
        cmocka_unit_test(test_30_echo_proves_that_a_broadcast_was_done),
        cmocka_unit_test(test_whoever_waits_for_an_answer_gets_one_in_time),
        cmocka_unit_test(test_the_oldest_that_waits_makes_room),
        cmocka_unit_test(test_what_was_dropped_is_reported),
        cmocka_unit_test(test_what_was_too_long_to_wait_is_reported),
        cmocka_unit_test(test_a_leave_that_waited_too_long_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
