/* One client's Phoenix session through a whole worker, from the first server to the last: what is a matter of minutes
 * passes in no time. Scripts of single corner cases are in tests/unit/gateway/realtime. */
#include "gateway/upstream/lag.h"
#include "gateway/ws/close.h"
#include "tests/replay/phoenix_talk.h"

/* ---- scripts ---- */

static void a_killed_server_is_nothing_a_client_sees(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent"));
    const int64_t before_ms = loop_now_ms(w.rig.loop);
    dies(&w.server);
    says(&w.client, PUSH("5"));
    w.server = server_asked(&w.rig);
    says(&w.client, PUSH("6"));
    says(&w.client, BEAT);
    gets(&w.client, BEAT_OK);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("5"));
    gets(&w.server, PUSH("6"));
    says(&w.server, OK("5"));
    says(&w.server, OK("6"));
    gets(&w.client, OK("5"));
    gets(&w.client, OK("6"));
    says(&w.server, HEARD("1"));
    gets(&w.client, HEARD("1"));
    assert_int_equal(loop_now_ms(w.rig.loop), before_ms);
    world_close(&w);
}

static void the_second_server_dies_while_it_is_told(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent"));
    dies(&w.server);
    says(&w.client, PUSH("5"));
    struct side second = server_asked(&w.rig);
    gets_own(&second, "phx_join", JOINS, false);
    dies(&second);
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("5"));
    world_close(&w);
}

static void a_push_that_was_under_way_is_sent_again_where_that_was_asked_for(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, delivery: at-least-once"));
    says(&w.client, PUSH("5"));
    says(&w.client, PUSH("6"));
    gets(&w.server, PUSH("5"));
    gets(&w.server, PUSH("6"));
    dies(&w.server);
    says(&w.client, PUSH("7"));
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("5"));
    gets(&w.server, PUSH("6"));
    gets(&w.server, PUSH("7"));
    world_close(&w);
}

static void a_push_that_was_under_way_is_reported_otherwise(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent"));
    says(&w.client, PUSH("5"));
    gets(&w.server, PUSH("5"));
    dies(&w.server);
    gets(&w.client, "[\"3\",\"5\",\"" TOPIC
                    "\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"gateway: upstream lost\"}}]");
    w.server = server_asked(&w.rig);
    world_close(&w);
}

static void a_client_leaves_while_it_is_joined_again(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent"));
    dies(&w.server);
    w.server = server_asked(&w.rig);
    gets_own(&w.server, "phx_join", JOINS, false);
    says(&w.client, "[\"3\",\"5\",\"" TOPIC "\",\"phx_leave\",{}]");
    gets(&w.client, OK("5"));
    gets(&w.client, "[\"3\",\"3\",\"" TOPIC "\",\"phx_close\",{}]");
    gets_own(&w.server, "phx_leave", "{}", true);
    world_close(&w);
}

static void nobody_is_there_for_20_s_and_then_somebody_is(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, give_up: 60s, backoff: { max: 4s, jitter: 0% }"));
    all_gone(&w);
    for (unsigned i = 0; i < 4; i++) {
        rig_advance(&w.rig, 5000);
        says(&w.client, BEAT);
        gets(&w.client, BEAT_OK);
    }
    says(&w.client, PUSH("5"));
    gets_nothing(&w.client);
    comes_up(&w.rig, 1);
    for (unsigned i = 0; i < 70 && !is_any_asked(&w.rig); i++)
        rig_advance(&w.rig, 100);
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("5"));
    world_close(&w);
}

static void nobody_is_there_for_too_long_and_the_client_is_told(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, give_up: 10s, backoff: { jitter: 0% }"));
    all_gone(&w);
    rig_advance(&w.rig, 9999);
    gets_nothing(&w.client);
    rig_advance(&w.rig, 2);
    gets(&w.client, FAILED);
    comes_up(&w.rig, 2);
    says(&w.client, JOIN); /* as an SDK does a moment later */
    for (unsigned i = 0; i < 79 && !is_any_asked(&w.rig); i++)
        rig_advance(&w.rig, 100);
    w.server = server_asked(&w.rig);
    gets(&w.server, JOIN);
    says(&w.server, OK("3"));
    gets(&w.client, OK("3"));
    world_close(&w);
}

static void a_server_that_stopped_is_left_when_it_has_been_silent_for_too_long(void **state)
{
    struct world w;
    char text[4096];
    (void)state;
    world_open(&w, YAML("gap: silent, heartbeat: 3s, dead_after: 5s"));
    rig_advance(&w.rig, 4900);
    assert_false(is_any_asked(&w.rig));
    assert_non_null(strstr(next_text(&w.server, text), "\"heartbeat\""));
    rig_advance(&w.rig, 200);
    int n; /* the first heartbeat comes at random, so a second may have been sent */
    do
        n = rig_read(&w.rig, w.server.fd, text, sizeof text);
    while (n > 0);
    assert_int_equal(n, -2); /* reset: it must not go on without us */
    struct side second = server_asked(&w.rig);
    GETS_JOIN(&second);
    GETS_TRACK(&second);
    (void)close(w.server.fd);
    w.server = second;
    world_close(&w);
}

/* Its end of the heartbeat that comes within 3 s, answered so much later. */
static void answers_heartbeat_after(struct world *w, int64_t ms)
{
    char text[4096], answer[256];
    const char *got = "";
    for (int i = 0; got[0] == '\0' && i < 3000; i++) {
        rig_advance(&w->rig, 1);
        got = next_text(&w->server, text);
    }
    const char *ref = strstr(got, "\"g");
    assert_non_null(ref);
    (void)snprintf(answer, sizeof answer,
                   "[null,\"%.*s\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
                   (int)strcspn(ref + 1, "\""), ref + 1);
    rig_advance(&w->rig, ms);
    says(&w->server, answer);
}

/* What it missed while it stood still lies in its sockets: the client has heard that elsewhere, or will not. */
static void a_server_that_answered_late_is_told_the_joins_when_it_is_calm(void **state)
{
    static const char ping[] = "\x89\x80\0\0\0\0", pong[] = "\x8a\0";
    (void)state;
    for (int64_t late_ms = LAG_LATE_MS - 100; late_ms <= LAG_LATE_MS + 100; late_ms += 200) {
        struct world w;
        char got[64];
        world_open(&w, YAML("gap: silent, heartbeat: 3s, dead_after: 5s"));
        rig_stop_server(&w.rig, 1);
        rig_stop_server(&w.rig, 2);
        answers_heartbeat_after(&w, late_ms);
        dies(&w.server);
        rig_advance(&w.rig, 0);
        w.server = server_asked(&w.rig);
        if (late_ms > LAG_LATE_MS) {
            rig_advance(&w.rig, LAG_CALM_MS - 1);
            gets_nothing(&w.server);
            rig_advance(&w.rig, 1);
            assert_int_equal(rig_read(&w.rig, w.server.fd, got, sizeof got), sizeof ping - 1);
            assert_memory_equal(got, ping, sizeof ping - 1);
            rig_write(&w.rig, w.server.fd, pong, sizeof pong - 1);
        }
        GETS_JOIN(&w.server);
        GETS_TRACK(&w.server);
        world_close(&w);
    }
}

static void a_server_is_not_too_silent_for_rules_it_did_not_know(void **state)
{
    struct world w;
    char text[4096];
    (void)state;
    world_open(&w, YAML("gap: silent, heartbeat: 600s, dead_after: 900s"));
    rig_advance(&w.rig, 20000);
    (void)next_text(&w.server, text); /* a heartbeat may have been due already */
    rig_reload(&w.rig, YAML("gap: silent, heartbeat: 3s, dead_after: 5s"));
    assert_false(is_any_asked(&w.rig));
    rig_advance(&w.rig, 3001);
    assert_non_null(strstr(next_text(&w.server, text), "\"heartbeat\""));
    assert_false(is_any_asked(&w.rig));
    rig_advance(&w.rig, 2000); /* from now on they hold */
    struct side second = server_asked(&w.rig);
    GETS_JOIN(&second);
    GETS_TRACK(&second);
    (void)close(w.server.fd);
    w.server = second;
    world_close(&w);
}

#define REFUSED(ref, why)                                                                                              \
    "[\"3\",\"" ref "\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"gateway: " why    \
    "\"}}]"

static void of_what_waits_the_oldest_makes_room_and_nothing_waits_for_ever(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, queue: 2, backoff: { jitter: 0% }"));
    all_gone(&w);
    says(&w.client, PUSH("5"));
    says(&w.client, PUSH("6"));
    gets_nothing(&w.client);
    says(&w.client, PUSH("7"));
    gets(&w.client, REFUSED("5", "too many messages wait"));
    rig_advance(&w.rig, 7900);
    says(&w.client, PUSH("8"));
    gets(&w.client, REFUSED("6", "too many messages wait"));
    gets_nothing(&w.client);
    rig_advance(&w.rig, 200);
    gets(&w.client, REFUSED("7", "no server"));
    gets_nothing(&w.client);
    comes_up(&w.rig, 1);
    for (unsigned i = 0; i < 80 && !is_any_asked(&w.rig); i++)
        rig_advance(&w.rig, 100);
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("8"));
    gets_nothing(&w.server);
    world_close(&w);
}

static void servers_that_die_at_once_are_not_asked_without_end(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, backoff: { jitter: 0% }"));
    rig_advance(&w.rig, 2000);
    dies(&w.server);
    for (int i = 0; i < 3; i++) {
        w.server = server_asked(&w.rig);
        GETS_JOIN(&w.server);
        GETS_TRACK(&w.server);
        dies(&w.server);
    }
    rig_advance(&w.rig, 999);
    assert_false(is_any_asked(&w.rig));
    rig_advance(&w.rig, 1);
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    world_close(&w);
}

static void who_is_not_let_in_any_more_hears_1012_and_may_ask_why(void **state)
{
    struct world w;
    char head[4096];
    (void)state;
    world_open(&w, YAML("gap: silent"));
    dies(&w.server);
    int asked = 0;
    while (!rig_has_waiting(&w.rig, asked))
        assert_true(++asked < RIG_SERVERS);
    w.server.fd = rig_accept(&w.rig, asked);
    assert_true(rig_read(&w.rig, w.server.fd, head, sizeof head) > 0);
    static const char refusal[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    rig_write(&w.rig, w.server.fd, refusal, sizeof refusal - 1);
    rig_expect_close(&w.rig, w.client.fd, 1012);
    assert_false(is_any_asked(&w.rig));
    world_close(&w);
}

/* The first 1.5 MiB of a message of 2 MiB are more than is collected, so they are with the client already. */
static void nothing_follows_half_a_long_message(void **state)
{
    static const uint8_t header[10] = {0x81, 127, 0, 0, 0, 0, 0, 0x20, 0, 0};
    static uint8_t half[64u << 10];
    struct world w;
    char got[4096];
    int n;
    (void)state;
    memset(half, 'x', sizeof half);
    memcpy(half, "[null,null,\"a\",\"b\",\"", 21);
    world_open(&w, YAML("gap: silent, max_message: 8MiB"));
    rig_write(&w.rig, w.server.fd, header, sizeof header);
    for (size_t i = 0; i < 24; i++) {
        rig_write(&w.rig, w.server.fd, half, sizeof half);
        while (i > 18 && rig_read(&w.rig, w.client.fd, got, sizeof got) > 0)
            ;
    }
    dies(&w.server);
    while ((n = rig_read(&w.rig, w.client.fd, got, sizeof got)) > 0)
        assert_null(memmem(got, (size_t)n, "phx_", 4));
    assert_int_equal(n, -2); /* a close frame would be taken for a part of the message */
    assert_false(is_any_asked(&w.rig));
    (void)close(w.client.fd);
    sim_settle(w.rig.loop);
    rig_close(&w.rig);
}

static void a_close_that_is_meant_for_the_client_reaches_it(void **state)
{
    static const uint16_t codes[] = {WS_CLOSE_POLICY, 3000, 4403};
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    char reason[RIG_REASON_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct world w;
        world_open(&w, YAML("gap: silent"));
        rig_write(&w.rig, w.server.fd, frame, ws_close_build(frame, codes[i], "Forbidden", NULL));
        rig_expect_close_reason(&w.rig, w.client.fd, codes[i], reason);
        assert_string_equal(reason, "Forbidden");
        assert_false(is_any_asked(&w.rig));
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_server_is_nothing_a_client_sees),
        cmocka_unit_test(a_close_that_is_meant_for_the_client_reaches_it),
        cmocka_unit_test(the_second_server_dies_while_it_is_told),
        cmocka_unit_test(a_push_that_was_under_way_is_sent_again_where_that_was_asked_for),
        cmocka_unit_test(a_push_that_was_under_way_is_reported_otherwise),
        cmocka_unit_test(a_client_leaves_while_it_is_joined_again),
        cmocka_unit_test(nobody_is_there_for_20_s_and_then_somebody_is),
        cmocka_unit_test(nobody_is_there_for_too_long_and_the_client_is_told),
        cmocka_unit_test(a_server_that_stopped_is_left_when_it_has_been_silent_for_too_long),
        cmocka_unit_test(a_server_that_answered_late_is_told_the_joins_when_it_is_calm),
        cmocka_unit_test(a_server_is_not_too_silent_for_rules_it_did_not_know),
        cmocka_unit_test(of_what_waits_the_oldest_makes_room_and_nothing_waits_for_ever),
        cmocka_unit_test(servers_that_die_at_once_are_not_asked_without_end),
        cmocka_unit_test(who_is_not_let_in_any_more_hears_1012_and_may_ask_why),
        cmocka_unit_test(nothing_follows_half_a_long_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
