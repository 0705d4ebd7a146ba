/* What two servers bring comes in order, once, and without what the client said itself: while a planned move has both,
 * and when one was lost a moment ago. */
#include "tests/unit/gateway/realtime/phoenix_script.h"

#define DIFF "[null,null,\"" TOPIC "\",\"presence_diff\",{\"joins\":{},\"leaves\":{}}]"

static void test_what_both_servers_bring_comes_once(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg;
    struct leg *next = moves(s, REJOIN("0", ""));
    server_says(s, old, HEARD("1"));
    client_got(s, HEARD("1"));
    server_says(s, next, HEARD("1"));
    server_says(s, next, HEARD("2"));
    server_says(s, old, HEARD("2"));
    client_got(s, HEARD("2"));
    server_says(s, old, BEAT_REPLY("g#9"));
    server_says(s, next, HEARD("3"));
    server_says(s, old, HEARD("3"));
    client_got(s, HEARD("3"));
    server_says(s, old, HEARD("4"));
    client_got(s, HEARD("4"));
    server_says(s, next, HEARD("4"));
    server_says(s, next, HEARD("4")); /* equal, and said twice */
    client_got_nothing(s);
    time_passes(s, 60000);
    client_got(s, HEARD("4"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_DUPLICATES], 2);
    server_says(s, next, HEARD("1"));
    client_got(s, HEARD("1"));
    ends(s);
}

static void test_what_comes_while_the_next_server_joins_comes_once(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = fake_find(s);
    server_got(next, REJOIN("0", ""));
    server_says(s, old, HEARD("1")); /* the next one is on the topic already, and its answer on the way */
    client_got(s, HEARD("1"));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    server_got(old, BEAT("g#9"));
    server_says(s, next, HEARD("1"));
    client_got_nothing(s);
    ends(s);
}

/* It joined between two messages of which the old server, behind the cluster's wire, has handed on neither. */
static void test_the_next_server_does_not_overtake_the_old_one(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = moves(s, REJOIN("0", ""));
    server_says(s, next, HEARD("2"));
    server_says(s, old, BEAT_REPLY("g#9"));
    server_says(s, next, HEARD("3"));
    client_got_nothing(s);
    server_says(s, old, HEARD("1"));
    client_got(s, HEARD("1"));
    server_says(s, old, HEARD("2"));
    client_got(s, HEARD("2"));
    server_says(s, old, HEARD("3"));
    client_got(s, HEARD("3"));
    time_passes(s, 60000);
    ends(s);
}

static void test_what_only_the_next_server_brings_comes_a_moment_later(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = moves(s, REJOIN("0", ""));
    server_says(s, next, HEARD("1"));
    time_passes(s, 200);
    server_says(s, next, HEARD("2"));
    server_says(s, old, BEAT_REPLY("g#9"));
    time_passes(s, 299);
    client_got_nothing(s);
    time_passes(s, 1);
    client_got(s, HEARD("1"));
    client_got_nothing(s);
    server_says(s, old, HEARD("1")); /* after all */
    client_got_nothing(s);
    fake_lose(s, old); /* it has delivered long enough */
    server_says(s, next, HEARD("3"));
    client_got(s, HEARD("2"));
    client_got(s, HEARD("3"));
    ends(s);
}

static void test_what_waits_for_many_does_not_wait_in_vain(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *next = moves(s, REJOIN("0", ""));
    for (int i = 0; i < 1025; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "[null,null,\"" TOPIC "\",\"broadcast\",{\"type\":\"broadcast\",\"n\":%d}]",
                       i);
        server_says(s, next, text);
    }
    client_got(s, "[null,null,\"" TOPIC "\",\"broadcast\",{\"type\":\"broadcast\",\"n\":0}]");
    client_got_nothing(s);
    ends(s);
}

/* What waits for the server that dies comes at once; and what that server brought, and is yet to come from the other,
 * comes from there. */
static void test_what_waits_when_a_server_dies(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = moves(s, REJOIN("0", ""));
    server_says(s, next, HEARD("1"));
    dies(s, next);
    client_got_nothing(s);
    server_says(s, old, HEARD("1"));
    client_got(s, HEARD("1"));
    struct leg *third = moves(s, REJOIN("0", ""));
    server_says(s, third, HEARD("2"));
    client_got_nothing(s);
    dies(s, old);
    assert_ptr_equal(s->leg, third);
    client_got(s, HEARD("2"));
    ends(s);
}

static void test_what_only_the_next_server_has_joined_does_not_wait(void **state)
{
    static const char said[] = "[null,null,\"other\",\"n\",{\"n\":1}]";
    (void)state;
    struct session *s = JOINED("");
    struct leg *next = moves(s, REJOIN("0", ""));
    server_says(s, s->leg, BEAT_REPLY("g#9"));
    client_says(s, "[\"4\",\"4\",\"other\",\"phx_join\",{}]");
    server_says(s, next, "[\"4\",\"4\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    fake_forget(&s->told);
    fake_forget(&next->said);
    server_says(s, next, said);
    client_got(s, said);
    ends(s);
}

/* A server that was frozen takes the session as soon as it wakes up, before it reads what the cluster has said. */
static void test_what_was_said_while_the_next_server_was_asked_comes_once(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg;
    s->protocol->on_moving(s->speaker, true);
    server_says(s, old, HEARD("1"));
    client_got(s, HEARD("1"));
    struct leg *next = moves(s, REJOIN("0", ""));
    server_says(s, next, HEARD("1"));
    server_says(s, next, HEARD("2"));
    server_says(s, old, BEAT_REPLY("g#9"));
    time_passes(s, 500);
    client_got(s, HEARD("2"));
    ends(s);
}

static const char own_push[] = "\x03\x01\x01\x0d\x01\x00\x01"
                               "3"
                               "7" TOPIC "n{}";
static const char own_echo[] = "\x04\x0d\x01\x00\x01" TOPIC "n{}";

static void test_own_broadcasts_do_not_come_back_by_the_other_server(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    const struct ws_message push = fake_message(WS_OPCODE_BINARY, own_push, sizeof own_push - 1);
    const struct ws_message echo = fake_message(WS_OPCODE_BINARY, own_echo, sizeof own_echo - 1);
    struct leg *old = s->leg, *next = fake_find(s);
    client_says(s, "[\"4\",\"4\",\"other\",\"phx_join\",{}]"); /* keeps the move from being complete */
    server_got(next, REJOIN("0", ""));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    fake_forget(&old->said);
    assert_int_equal(fake_client_says(s, push), SIFT_PASS);
    assert_int_equal(fake_server_says(s, next, echo), SIFT_DROP);
    assert_int_equal(fake_server_says(s, old, echo), SIFT_PASS); /* somebody else said the same */
    assert_int_equal(fake_server_says(s, next, echo), SIFT_DROP);
    fake_forget(&s->told);
    fake_forget(&old->said);
    server_says(s, old, "[\"4\",\"4\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    fake_forget(&s->told);
    server_got(next, "[\"4\",\"g#1\",\"other\",\"phx_join\",{}]");
    server_says(s, next, "[\"4\",\"g#1\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    server_got(old, BEAT("g#9"));
    server_says(s, old, BEAT_REPLY("g#9"));
    assert_int_equal(fake_client_says(s, push), SIFT_PASS);
    assert_int_equal(fake_server_says(s, old, echo), SIFT_DROP);
    fake_forget(&next->said);
    ends(s);
}

static void test_own_text_broadcasts_do_not_come_back_either(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg;
    (void)moves(s, REJOIN("0", ""));
    server_says(s, old, BEAT_REPLY("g#9"));
    client_says(s, BROADCAST("7"));
    fake_forget(&s->leg->said);
    server_says(s, old, HEARD("7"));
    client_got_nothing(s);
    ends(s);
}

/* Nor what is as good as that: servers write text anew. And what others say comes all the same, whoever brings it. */
static void test_others_are_heard_while_own_text_does_not_come_back(void **state)
{
    static const char echo[] = "[null,null,\"" TOPIC "\",\"broadcast\",{ \"payload\" : { \"n\" : 8 }, "
                               "\"event\" : \"\\u006e\", \"type\" : \"broadcast\" }]";
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = moves(s, REJOIN("0", ""));
    client_says(s, BROADCAST("7")); /* waits */
    server_says(s, next, HEARD("1"));
    server_says(s, old, BEAT_REPLY("g#9"));
    server_got(next, BROADCAST("7"));
    client_says(s, BROADCAST("8"));
    server_got(next, BROADCAST("8"));
    server_says(s, old, HEARD("1"));
    client_got(s, HEARD("1"));
    server_says(s, old, HEARD("7"));
    server_says(s, old, echo);
    client_got_nothing(s);
    server_says(s, old, HEARD("2")); /* the next one joined after it */
    client_got(s, HEARD("2"));
    time_passes(s, 60000);
    ends(s);
}

/* A push so long that it is not read to its end: what others say is heard, but for what is as long. */
static void test_others_are_heard_while_a_long_push_does_not_come_back(void **state)
{
    static char echo[(64u << 10) + 200];
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg;
    (void)moves(s, REJOIN("0", ""));
    server_says(s, old, BEAT_REPLY("g#9"));
    const struct ws_message push = {.opcode = WS_OPCODE_TEXT,
                                    .is_at_limit = true,
                                    .payload = (const uint8_t *)BROADCAST("7"),
                                    .len = sizeof BROADCAST("7") - 1};
    assert_int_equal(fake_client_says(s, push), SIFT_PASS);
    const int len =
        snprintf(echo, sizeof echo, "[null,null,\"" TOPIC "\",\"broadcast\",{\"payload\":\"%0*d\"}]", 64 << 10, 7);
    assert_int_equal(fake_server_says(s, old, fake_message(WS_OPCODE_TEXT, echo, (size_t)len)), SIFT_DROP);
    server_says(s, old, HEARD("1"));
    client_got(s, HEARD("1"));
    fake_forget(&s->leg->said);
    ends(s);
}

/* ---- a server that is lost ---- */

/* The server dies, and another one has the channel. */
static struct leg *lives_on(struct session *s)
{
    dies(s, s->leg);
    struct leg *another = fake_find(s);
    server_got(another, REJOIN("0", ""));
    server_says(s, another, REPLY("g#0", "ok", "{}"));
    return another;
}

/* What it said itself its own clients had at once, and the others of the cluster have yet to hear it. */
static void test_what_a_lost_server_said_last_does_not_come_again(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    server_says(s, s->leg, HEARD("1"));
    server_says(s, s->leg, DIFF);
    client_got(s, HEARD("1"));
    client_got(s, DIFF);
    time_passes(s, 100);
    server_says(s, s->leg, HEARD("2"));
    client_got(s, HEARD("2"));
    struct leg *another = lives_on(s);
    server_says(s, another, HEARD("1"));
    server_says(s, another, HEARD("3"));
    client_got(s, HEARD("3"));
    server_says(s, another, HEARD("2"));
    client_got_nothing(s);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_DUPLICATES], 2);
    server_says(s, another, HEARD("2")); /* said once more */
    client_got(s, HEARD("2"));
    server_says(s, another, DIFF);
    client_got(s, DIFF);
    ends(s);
}

static void test_only_what_was_heard_a_moment_ago_can_come_again(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    server_says(s, s->leg, HEARD("1"));
    client_got(s, HEARD("1"));
    time_passes(s, 1001);
    server_says(s, s->leg, HEARD("2"));
    client_got(s, HEARD("2"));
    struct leg *another = lives_on(s);
    server_says(s, another, HEARD("1"));
    client_got(s, HEARD("1"));
    time_passes(s, 2001);
    server_says(s, another, HEARD("2"));
    client_got(s, HEARD("2"));
    ends(s);
}

/* However much it was, the newest of it is known. */
static void test_the_newest_that_was_heard_does_not_come_again(void **state)
{
    char text[256];
    (void)state;
    struct session *s = JOINED("");
    for (int i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof text, "[null,null,\"" TOPIC "\",\"broadcast\",{\"n\":%d}]", i);
        server_says(s, s->leg, text);
        client_got(s, text);
    }
    struct leg *another = lives_on(s);
    for (int i = 90; i < 100; i++) {
        (void)snprintf(text, sizeof text, "[null,null,\"" TOPIC "\",\"broadcast\",{\"n\":%d}]", i);
        server_says(s, another, text);
    }
    client_got_nothing(s);
    ends(s);
}

static void test_what_a_lost_server_said_does_not_come_again_from_the_one_a_move_was_going_to(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *next = moves(s, REJOIN("0", ""));
    server_says(s, s->leg, HEARD("1"));
    client_got(s, HEARD("1"));
    dies(s, s->leg);
    assert_ptr_equal(s->leg, next);
    server_says(s, next, HEARD("1"));
    client_got_nothing(s);
    ends(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_both_servers_bring_comes_once),
        cmocka_unit_test(test_what_comes_while_the_next_server_joins_comes_once),
        cmocka_unit_test(test_the_next_server_does_not_overtake_the_old_one),
        cmocka_unit_test(test_what_only_the_next_server_brings_comes_a_moment_later),
        cmocka_unit_test(test_what_waits_for_many_does_not_wait_in_vain),
        cmocka_unit_test(test_what_waits_when_a_server_dies),
        cmocka_unit_test(test_what_only_the_next_server_has_joined_does_not_wait),
        cmocka_unit_test(test_what_was_said_while_the_next_server_was_asked_comes_once),
        cmocka_unit_test(test_own_broadcasts_do_not_come_back_by_the_other_server),
        cmocka_unit_test(test_own_text_broadcasts_do_not_come_back_either),
        cmocka_unit_test(test_others_are_heard_while_own_text_does_not_come_back),
        cmocka_unit_test(test_others_are_heard_while_a_long_push_does_not_come_back),
        cmocka_unit_test(test_what_a_lost_server_said_last_does_not_come_again),
        cmocka_unit_test(test_only_what_was_heard_a_moment_ago_can_come_again),
        cmocka_unit_test(test_the_newest_that_was_heard_does_not_come_again),
        cmocka_unit_test(test_what_a_lost_server_said_does_not_come_again_from_the_one_a_move_was_going_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
