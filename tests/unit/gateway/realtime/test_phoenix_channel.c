/* Channels as servers and clients treat them: the corner cases of closes, names and versions, and what every session
 * does. */
#include "tests/unit/gateway/realtime/phoenix_script.h"

#define BEAT_REPLY(ref) "[null,\"" ref "\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"

/* ---- what every session does ---- */

static void test_heartbeats_are_answered_here_with_the_reference_as_it_is(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, "[null,\"12\",\"phoenix\",\"heartbeat\",{}]");
    client_got(s, BEAT_REPLY("12"));
    client_says(s, "[null,13,\"phoenix\",\"heartbeat\",{}]");
    client_got(s, "[null,13,\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    client_says(s, "[null,null,\"phoenix\",\"heartbeat\",{}]");
    client_got(s, "[null,null,\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    dies(s, s->leg);
    client_says(s, "[null,\"14\",\"phoenix\",\"heartbeat\",{}]");
    client_got(s, BEAT_REPLY("14"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_BEATS], 4);
    ends(s);
}

static void test_heartbeats_to_servers_are_known_by_their_answer(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    s->protocol->beat(s->speaker, s->leg);
    server_got(s->leg, "[null,\"g#0\",\"phoenix\",\"heartbeat\",{}]");
    server_says(s, s->leg, BEAT_REPLY("g#0"));
    assert_int_equal(s->leg->answered_count, 1);
    server_says(s, s->leg, BEAT_REPLY("g#0"));
    assert_int_equal(s->leg->answered_count, 1);
    ends(s);
}

static void test_only_as_many_channels_as_the_route_allows(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    s->conf.channel_count = 1;
    client_says(s, "[\"4\",\"4\",\"other\",\"phx_join\",{}]");
    client_got(s, "[\"4\",\"4\",\"other\",\"phx_reply\",{\"status\":\"error\",\"response\":" REASON(
                      "too many channels joined") "}]");
    client_says(s, JOIN("")); /* the same one again is no other */
    server_got(s->leg, JOIN(PINNED("")));
    ends(s);
}

static void test_versions_that_servers_take(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        bool is_understood;
    } cases[] = {{NULL, true},        {"", true},           {"vsn=1.0.0", true},  {"a=b&vsn=2.0.0&c=d", true},
                 {"vsn=2.0.7", true}, {"vsn=3.0.0", false}, {"vsn=2.1.0", false}, {"vsn=", false},
                 {"xvsn=3.0.0", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session *s = fake_open(&protocol_phoenix, NULL, cases[i].query);
        assert_int_equal(s->speaker != NULL, cases[i].is_understood);
        fake_close(&s);
    }
}

/* ---- 18: servers end what has no channels ---- */

static void test_18_no_server_is_needed_without_channels(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    assert_false(s->protocol->wants_server(s->speaker));
    client_says(s, JOIN(""));
    assert_true(s->protocol->wants_server(s->speaker));
    server_says(s, s->leg, REPLY("3", "error", REASON("Unauthorized: no")));
    assert_false(s->protocol->wants_server(s->speaker));
    fake_close(&s);
}

/* ---- 19: closes ---- */

#define SAID_BEFORE(message) SYSTEM("system", "error", message)

static void test_19_close_after_what_a_new_join_mends_becomes_an_error(void **state)
{
    (void)state;
    static const char *const messages[] = {SAID_BEFORE("Token has expired 3 seconds ago"),
                                           SAID_BEFORE("Too many messages per second"),
                                           SAID_BEFORE("Client presence rate limit exceeded")};
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct session *s = JOINED("");
        server_says(s, s->leg, messages[i]);
        client_got(s, messages[i]);
        server_says(s, s->leg, ENDED("phx_close"));
        client_got(s, ENDED("phx_error"));
        assert_int_equal(s->counts[STAT_ROUTE_SESSION_REPAIRED], 1);
        ends(s);
    }
}

static void test_19_close_after_a_permission_is_gone_stays_one(void **state)
{
    (void)state;
    const char *message = SAID_BEFORE("You no longer have permission to read from this Channel topic");
    struct session *s = JOINED("");
    server_says(s, s->leg, message);
    client_got(s, message);
    server_says(s, s->leg, ENDED("phx_close"));
    client_got(s, ENDED("phx_close"));
    assert_false(s->protocol->wants_server(s->speaker));
    ends(s);
}

static void test_19_close_for_no_reason_is_mended_once(void **state)
{
    (void)state;
    static const char *const events[] = {ENDED("phx_close"), ENDED("phx_error")};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        struct session *s = JOINED("");
        server_says(s, s->leg, events[i]);
        client_says(s, BROADCAST("7"));
        server_got(s->leg, REJOIN("0", ""));
        server_says(s, s->leg, REPLY("g#0", "ok", "{}"));
        server_got(s->leg, BROADCAST("7"));
        client_got_nothing(s);
        server_says(s, s->leg, events[i]);
        client_got(s, ENDED("phx_error"));
        ends(s);
    }
}

static void test_unmatched_topic_is_joined_again_and_the_push_sent_once_more(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    s->conf.delivery = DELIVERY_AT_LEAST_ONCE;
    client_says(s, BROADCAST("7"));
    server_got(s->leg, BROADCAST("7"));
    server_says(s, s->leg,
                "[null,\"7\",\"" TOPIC
                "\",\"phx_reply\",{\"status\":\"error\",\"response\":" REASON("unmatched topic") "}]");
    server_got(s->leg, REJOIN("0", ACKS));
    server_says(s, s->leg, REPLY("g#0", "ok", "{}"));
    server_got(s->leg, BROADCAST("7"));
    server_says(s, s->leg, REPLY("7", "ok", "{}"));
    client_got(s, REPLY("7", "ok", "{}"));
    ends(s);
}

/* ---- 20: vsn 1.0.0 ---- */

#define V1(event, payload, ref)                                                                                        \
    "{\"topic\":\"" TOPIC "\",\"event\":\"" event "\",\"payload\":" payload ",\"ref\":\"" ref "\",\"join_ref\":\"3\"}"
#define V1_SAID(event, payload, ref)                                                                                   \
    "{\"topic\":\"" TOPIC "\",\"event\":\"" event "\",\"payload\":" payload ",\"ref\":" ref "}"

static void test_20_clients_of_vsn_1(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "apikey=k");
    s->conf.gap = GAP_NOTICE;
    client_says(s, V1("phx_join", "{\"config\":{}}", "3"));
    server_got(s->leg, V1("phx_join", "{\"config\":{" PINNED("") "}}", "3"));
    server_says(s, s->leg, V1_SAID("phx_reply", "{\"status\":\"ok\",\"response\":{}}", "\"3\""));
    client_got(s, V1_SAID("phx_reply", "{\"status\":\"ok\",\"response\":{}}", "\"3\""));
    client_says(s, "{\"topic\":\"phoenix\",\"event\":\"heartbeat\",\"payload\":{},\"ref\":\"4\"}");
    client_got(s, "{\"topic\":\"phoenix\",\"event\":\"phx_reply\",\"payload\":{\"status\":\"ok\",\"response\":{}},"
                  "\"ref\":\"4\"}");
    server_says(s, s->leg, V1_SAID("phx_close", "{}", "\"2\"")); /* of a join before: it would close this one */
    client_got_nothing(s);
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    server_got(l, V1("phx_join", "{\"config\":{" PINNED("") "}}", "g#0"));
    server_says(s, l, V1_SAID("phx_reply", "{\"status\":\"ok\",\"response\":{}}", "\"g#0\""));
    time_passes(s, 0);
    client_got(s, V1_SAID("system",
                          "{\"extension\":\"gateway\",\"status\":\"ok\",\"message\":\"resumed; messages between * may "
                          "be missing\",\"channel\":\"room\"}",
                          "null"));
    s->protocol->give_up(s->speaker);
    server_got(l, V1("phx_leave", "{}", "g#1"));
    client_got(s, V1_SAID("phx_error", "{}", "\"3\""));
    ends(s);
}

/* ---- 22: the same topic again ---- */

static void test_22_leave_and_join_back_to_back(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, LEAVE("4"));
    client_says(s, "[\"5\",\"5\",\"" TOPIC "\",\"phx_join\",{\"config\":{}}]");
    fake_forget(&s->leg->said);
    server_says(s, s->leg, REPLY("4", "ok", "{}"));
    client_got(s, REPLY("4", "ok", "{}"));
    server_says(s, s->leg, ENDED("phx_close")); /* of the one that was left */
    server_says(s, s->leg, "[\"5\",\"5\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    client_got(s, "[\"5\",\"5\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    dies(s, s->leg);
    server_got(fake_find(s), "[\"5\",\"g#0\",\"" TOPIC "\",\"phx_join\",{\"config\":{" PINNED("") "}}]");
    ends(s);
}

static void test_22_second_join_of_a_topic_takes_the_place_of_the_first(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, "[\"5\",\"5\",\"" TOPIC "\",\"phx_join\",{\"config\":{}}]");
    fake_forget(&s->leg->said);
    server_says(s, s->leg, "[\"5\",\"5\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    client_got(s, "[\"5\",\"5\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    server_says(s, s->leg, ENDED("phx_close"));
    ends(s);
}

/* ---- 23: names and references ---- */

static void test_23_names_and_references_of_all_kinds(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    s->conf.gap = GAP_SILENT;
    client_says(s, "[3,3,\"caf\\u00e9 \\\"1\\\"\",\"phx_join\",{}]");
    fake_forget(&s->leg->said);
    server_says(s, s->leg, "[3,3,\"caf\xc3\xa9 \\\"1\\\"\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    fake_forget(&s->told);
    dies(s, s->leg);
    client_says(s, "[3,4,\"caf\\u00e9 \\u00221\\u0022\",\"hello\",{\"big\":12345678901234567890.10}]");
    struct leg *l = fake_find(s);
    server_got(l, "[3,\"g#0\",\"caf\xc3\xa9 \\\"1\\\"\",\"phx_join\",{}]");
    server_says(s, l, "[3,\"g#0\",\"caf\xc3\xa9 \\\"1\\\"\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    server_got(l, "[3,4,\"caf\\u00e9 \\u00221\\u0022\",\"hello\",{\"big\":12345678901234567890.10}]");
    dies(s, l);
    client_got(s, "[3,4,\"caf\xc3\xa9 \\\"1\\\"\",\"phx_reply\",{\"status\":\"error\",\"response\":" REASON(
                      "gateway: upstream lost") "}]");
    ends(s);
}

static void test_23_what_is_not_understood_passes(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, "{\"no\":\"array\"}");
    server_got(s->leg, "{\"no\":\"array\"}");
    server_says(s, s->leg, "hello?");
    client_got(s, "hello?");
    dies(s, s->leg);
    client_says(s, "{\"no\":\"array\"}");
    ends(s);
}

/* ---- 24, 25: servers that are busy, or leave ---- */

static void test_24_server_that_asks_to_disconnect_is_not_heard(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    server_says(s, s->leg, SYSTEM("system", "ok", "Server requested disconnect"));
    ends(s);
}

static void test_25_refused_for_the_moment_is_tried_again_elsewhere_but_not_for_ever(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    dies(s, s->leg);
    for (unsigned i = 0; i < 3; i++) {
        struct leg *l = fake_find(s);
        server_got(l, REJOIN("0", ""));
        client_got_nothing(s);
        server_says(s, l, REPLY("g#0", "error", REASON("ConnectionRateLimitReached: Too many connected users")));
        assert_int_equal(l->is_failed, i < 2);
        if (i < 2)
            assert_int_equal(l->fault, LEG_BUSY);
        fake_settle(s);
    }
    client_got(s, ENDED("phx_error"));
    ends(s);
}

/* ---- without any server ---- */

static void test_clients_are_told_when_there_is_no_server_for_too_long(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    dies(s, s->leg);
    client_says(s, BROADCAST("7"));
    s->protocol->give_up(s->speaker);
    client_got(s, SYSTEM("gateway", "error", "messages that were not sent, for want of a server: 1"));
    client_got(s, ENDED("phx_error"));
    assert_false(s->protocol->wants_server(s->speaker));
    assert_false(session_has_held(s));
    client_says(s, JOIN("")); /* as an SDK does a moment later */
    struct leg *l = fake_find(s);
    server_got(l, JOIN(PINNED("")));
    server_says(s, l, REPLY("3", "ok", "{}"));
    client_got(s, REPLY("3", "ok", "{}"));
    ends(s);
}

/* ---- the join that is answered when changes flow ---- */

static void test_join_is_answered_when_changes_flow(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    s->conf.ready_wait_ms = 5000;
    client_says(s, JOIN(CHANGES));
    fake_forget(&s->leg->said);
    server_says(s, s->leg, REPLY("3", "ok", LISTED));
    client_got_nothing(s);
    server_says(s, s->leg, READY);
    client_got(s, REPLY("3", "ok", LISTED));
    client_got(s, READY);
    ends(s);
}

static void test_join_is_answered_in_any_case_after_a_while(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    s->conf.ready_wait_ms = 5000;
    client_says(s, JOIN(CHANGES));
    fake_forget(&s->leg->said);
    server_says(s, s->leg, REPLY("3", "ok", LISTED));
    dies(s, s->leg); /* the client has not heard of it: its join goes to the next */
    struct leg *l = fake_find(s);
    server_got(l, JOIN(PINNED(CHANGES)));
    server_says(s, l, REPLY("3", "ok", LISTED));
    time_passes(s, 4999);
    client_got_nothing(s);
    time_passes(s, 1);
    client_got(s, REPLY("3", "ok", LISTED));
    ends(s);
}

static void test_describing_tells_topics_and_no_secrets(void **state)
{
    (void)state;
    struct strbuf out;
    struct session *s = JOINED("");
    strbuf_init(&out, 4096);
    s->protocol->describe(s->speaker, &out);
    assert_string_equal(out.data, ",\"vsn\":\"2.0.0\",\"channels\":[{\"topic\":\"" TOPIC
                                  "\",\"state\":\"joined\",\"private\":false,\"presence\":false,\"pending\":0,"
                                  "\"held\":false}]");
    strbuf_fini(&out);
    ends(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heartbeats_are_answered_here_with_the_reference_as_it_is),
        cmocka_unit_test(test_heartbeats_to_servers_are_known_by_their_answer),
        cmocka_unit_test(test_only_as_many_channels_as_the_route_allows),
        cmocka_unit_test(test_versions_that_servers_take),
        cmocka_unit_test(test_18_no_server_is_needed_without_channels),
        cmocka_unit_test(test_19_close_after_what_a_new_join_mends_becomes_an_error),
        cmocka_unit_test(test_19_close_after_a_permission_is_gone_stays_one),
        cmocka_unit_test(test_19_close_for_no_reason_is_mended_once),
        cmocka_unit_test(test_unmatched_topic_is_joined_again_and_the_push_sent_once_more),
        cmocka_unit_test(test_20_clients_of_vsn_1),
        cmocka_unit_test(test_22_leave_and_join_back_to_back),
        cmocka_unit_test(test_22_second_join_of_a_topic_takes_the_place_of_the_first),
        cmocka_unit_test(test_23_names_and_references_of_all_kinds),
        cmocka_unit_test(test_23_what_is_not_understood_passes),
        cmocka_unit_test(test_24_server_that_asks_to_disconnect_is_not_heard),
        cmocka_unit_test(test_25_refused_for_the_moment_is_tried_again_elsewhere_but_not_for_ever),
        cmocka_unit_test(test_clients_are_told_when_there_is_no_server_for_too_long),
        cmocka_unit_test(test_join_is_answered_when_changes_flow),
        cmocka_unit_test(test_join_is_answered_in_any_case_after_a_while),
        cmocka_unit_test(test_describing_tells_topics_and_no_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
