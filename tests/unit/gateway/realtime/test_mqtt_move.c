/* MQTT sessions that are moved to another broker while their own lives. */
#include "tests/unit/gateway/realtime/mqtt_script.h"

/* Up to where the new one has been asked for the subscription to "a", without what is retained if that can be said. */
static struct leg *move(struct session *s, unsigned level)
{
    struct leg *next = fake_find(s);
    heard(next, hello(level));
    server(s, next, connack_packet(level, 0, nothing()));
    heard(next, subscribe_packet(level, 65535, "a", level == 5 ? 0x21 : 0x01));
    return next;
}

/* From there on, up to the last word of the old one. */
static void wait_for_last_word(struct session *s, unsigned level)
{
    server(s, s->next, suback_packet(level, 65535, 1));
    assert_false(s->next->is_restored);
    heard(s->leg, PINGREQ);
}

static void complete(struct session *s, unsigned level)
{
    struct leg *next = s->next;
    wait_for_last_word(s, level);
    server(s, s->leg, PINGRESP);
    assert_ptr_equal(s->leg, next);
}

static struct session *open_subscribed(unsigned level)
{
    struct session *s = open_session(level);
    subscribe(s, level, 1, "a", 1);
    return s;
}

static void test_a_move(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    up(s, publish_packet(4, QOS1, 2, "x", "in flight"));
    struct leg *old = s->leg, *next = move(s, 4);
    server(s, next, publish_packet(4, QOS1 | RETAIN, 1, "a", "known"));
    heard(next, ack_packet(0x40, 1));
    up(s, publish_packet(4, QOS1, 3, "x", "still to the old one"));
    complete(s, 4);
    server(s, next, publish_packet(4, QOS0 | RETAIN, 0, "a", "known as well"));
    server(s, old, ack_packet(0x40, 2));
    told(s, ack_packet(0x40, 2));
    up(s, publish_packet(4, QOS0, 0, "x", "to the new one"));
    server(s, old, publish_packet(4, QOS1, 9, "a", "only the old one has it"));
    told(s, publish_packet(4, QOS1, 9, "a", "only the old one has it"));
    client(s, ack_packet(0x40, 9));
    heard(old, ack_packet(0x40, 9));
    fake_advance(s, 499);
    heard(old, DISCONNECT); /* or it would publish the will */
    fake_lose(s, old);
    fake_advance(s, 501);
    heard(next, publish_packet(4, QOS1 | DUP, 3, "x", "still to the old one"));
    down(s, ack_packet(0x40, 3));
    finish(s);
}

static void test_what_is_asked_for_after_a_move_may_be_retained(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg;
    (void)move(s, 4);
    complete(s, 4);
    subscribe(s, 4, 2, "b", 0);
    server(s, s->leg, publish_packet(4, QOS0 | RETAIN, 0, "b", "retained"));
    fake_lose(s, old); /* which does not bring it, but nobody knows that */
    fake_advance(s, 0);
    told(s, publish_packet(4, QOS0 | RETAIN, 0, "b", "retained"));
    finish(s);
}

static void test_a_move_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    subscribe(s, 4, 2, "b", 0); /* which the next one does not know */
    server(s, next, suback_packet(4, 65535, 1));
    assert_true(next->is_failed);
    fake_settle(s);
    assert_ptr_equal(s->leg, old);
    down(s, publish_packet(4, QOS0, 0, "a", "x"));
    up(s, publish_packet(4, QOS0, 0, "a", "x"));
    finish(s);
}

static void test_the_old_server_goes_during_a_move(void **state)
{
    (void)state;
    struct session *s = open_subscribed(5);
    up(s, publish_packet(5, QOS1, 2, "x", "in flight"));
    struct leg *old = s->leg, *next = move(s, 5);
    server(s, old, BYTES("\xe0\x01\x8e")); /* its cluster: the client has come elsewhere */
    assert_true(old->is_failed);
    fake_settle(s);
    assert_ptr_equal(s->leg, next);
    client(s, publish_packet(5, QOS0, 0, "x", "waits"));
    server(s, next, suback_packet(5, 65535, 1));
    assert_true(next->is_restored);
    heard(next, publish_packet(5, QOS1 | DUP, 2, "x", "in flight"));
    heard(next, publish_packet(5, QOS0, 0, "x", "waits"));
    finish(s);
}

/* ---- what both bring ---- */

static void test_copies_of_what_the_old_one_brought(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    down(s, publish_packet(4, QOS1, 10, "a", "1"));
    server(s, next, publish_packet(4, QOS1, 1, "a", "1"));
    heard(next, ack_packet(0x40, 1)); /* the client has it from the other */
    client(s, ack_packet(0x40, 10));
    heard(old, ack_packet(0x40, 10));
    down(s, publish_packet(4, QOS2, 11, "a", "2"));
    server(s, next, publish_packet(4, QOS2, 2, "a", "2"));
    heard(next, ack_packet(0x50, 2));
    server(s, next, ack_packet(0x62, 2));
    heard(next, ack_packet(0x70, 2));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_DUPLICATES], 2);
    finish(s);
}

/* Before the move is complete, or after it. */
static void new_one_is_ahead(bool is_complete)
{
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    if (is_complete)
        complete(s, 4);
    server(s, next, publish_packet(4, QOS1, 1, "a", "2"));
    server(s, next, publish_packet(4, QOS2, 2, "a", "3"));
    server(s, next, publish_packet(4, QOS0, 0, "a", "4"));
    fake_expect_nothing(&s->told);
    fake_expect_nothing(&next->said);
    const struct bytes all = bytes_join(publish_packet(4, QOS1, 10, "a", "1"), publish_packet(4, QOS1, 11, "a", "2"));
    server(s, old, all);
    told(s, all);
    heard(next, ack_packet(0x40, 1)); /* the client has it from the old one */
    server(s, old, publish_packet(4, QOS2, 12, "a", "3"));
    told(s, publish_packet(4, QOS2, 12, "a", "3"));
    heard(next, ack_packet(0x50, 2));
    server(s, next, ack_packet(0x62, 2));
    heard(next, ack_packet(0x70, 2));
    server(s, old, publish_packet(4, QOS0, 0, "a", "4"));
    told(s, publish_packet(4, QOS0, 0, "a", "4"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_DUPLICATES], 3);
    client(s, ack_packet(0x40, 10));
    heard(old, ack_packet(0x40, 10));
    client(s, ack_packet(0x40, 11));
    heard(old, ack_packet(0x40, 11));
    client(s, ack_packet(0x50, 12));
    heard(old, ack_packet(0x50, 12));
    client(s, ack_packet(0x40, 1)); /* it owes nobody that */
    fake_advance(s, 1000);
    if (is_complete) {
        heard(old, DISCONNECT);
        told(s, ack_packet(0x62, 12)); /* which the old one cannot say any more */
    }
    finish(s);
}

static void test_what_the_new_one_brings_first_waits_for_the_old_one(void **state)
{
    (void)state;
    new_one_is_ahead(false);
    new_one_is_ahead(true);
}

static void test_what_the_old_one_never_brings_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    server(s, next, publish_packet(4, QOS1, 1, "a", "1"));
    fake_advance(s, 100);
    server(s, next, publish_packet(4, QOS2, 2, "a", "2"));
    client(s, ack_packet(0x40, 1)); /* of something else: it has not got that */
    fake_advance(s, 399);
    fake_expect_nothing(&s->told);
    fake_advance(s, 1);
    told(s, publish_packet(4, QOS1, 1, "a", "1"));
    fake_expect_nothing(&s->told);
    fake_advance(s, 100);
    told(s, publish_packet(4, QOS2, 2, "a", "2"));
    client(s, ack_packet(0x40, 1));
    heard(next, ack_packet(0x40, 1));
    client(s, ack_packet(0x50, 2));
    heard(next, ack_packet(0x50, 2));
    server(s, next, ack_packet(0x62, 2));
    told(s, ack_packet(0x62, 2));
    client(s, ack_packet(0x70, 2));
    heard(next, ack_packet(0x70, 2));
    server(s, old, publish_packet(4, QOS1, 10, "a", "1")); /* late */
    heard(old, ack_packet(0x40, 10));
    finish(s);
}

static void test_what_waits_is_told_when_the_old_one_dies(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    server(s, next, publish_packet(4, QOS1, 1, "a", "1"));
    server(s, next, publish_packet(4, QOS0, 0, "a", "2"));
    fake_lose(s, old);
    told(s, bytes_join(publish_packet(4, QOS1, 1, "a", "1"), publish_packet(4, QOS0, 0, "a", "2")));
    client(s, ack_packet(0x40, 1));
    heard(next, ack_packet(0x40, 1));
    down(s, publish_packet(4, QOS0, 0, "a", "2")); /* another one */
    finish(s);
}

static void test_what_waits_is_told_when_the_old_one_has_gone_after_the_move(void **state)
{
    (void)state;
    for (unsigned is_told_by_message = 0; is_told_by_message < 2; is_told_by_message++) {
        struct session *s = open_subscribed(4);
        struct leg *old = s->leg;
        (void)move(s, 4);
        complete(s, 4);
        server(s, s->leg, publish_packet(4, QOS1, 1, "a", "1"));
        fake_lose(s, old);
        fake_expect_nothing(&s->told);
        if (is_told_by_message)
            server(s, s->leg, publish_packet(4, QOS0, 0, "a", "2"));
        else
            fake_advance(s, 0);
        told(s, publish_packet(4, QOS1, 1, "a", "1"));
        up(s, ack_packet(0x40, 1));
        if (is_told_by_message)
            told(s, publish_packet(4, QOS0, 0, "a", "2"));
        finish(s);
    }
}

static void test_what_waits_is_dropped_when_the_new_one_dies(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *next = move(s, 4);
    server(s, next, publish_packet(4, QOS1, 1, "a", "1"));
    fake_lose(s, next);
    down(s, publish_packet(4, QOS1, 10, "a", "1"));
    up(s, ack_packet(0x40, 10));
    fake_advance(s, 1000);
    finish(s);
}

/* The next one has failed, and nobody has been told so yet. */
static void test_what_the_old_one_brings_when_the_new_one_has_failed(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *next = move(s, 4);
    server(s, next, publish_packet(4, QOS0, 0, "a", "1"));
    server(s, next, publish_packet(4, QOS0, 0, "a", "2"));
    leg_fail(next, LEG_ANOTHER, "by the test");
    server(s, s->leg, publish_packet(4, QOS0, 0, "a", "1"));
    told(s, publish_packet(4, QOS0, 0, "a", "1"));
    fake_settle(s);
    down(s, publish_packet(4, QOS0, 0, "a", "2"));
    fake_advance(s, 1000);
    finish(s);
}

static void test_what_waits_is_told_when_both_die(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg;
    (void)move(s, 4);
    complete(s, 4);
    server(s, s->leg, publish_packet(4, QOS1, 1, "a", "1"));
    server(s, s->leg, publish_packet(4, QOS2, 2, "a", "2"));
    fake_lose(s, old);
    fake_lose(s, s->leg);
    /* no other broker sends it again */
    told(s, bytes_join(publish_packet(4, QOS1, 1, "a", "1"), publish_packet(4, QOS2, 2, "a", "2")));
    client(s, ack_packet(0x40, 1));
    client(s, ack_packet(0x50, 2));
    told(s, ack_packet(0x62, 2));
    client(s, ack_packet(0x70, 2));
    finish(s);
}

static void test_what_waits_is_told_before_a_good_bye(void **state)
{
    (void)state;
    struct session *s = open_subscribed(5);
    (void)move(s, 5);
    complete(s, 5);
    server(s, s->leg, publish_packet(5, QOS0, 0, "a", "1"));
    server(s, s->leg, BYTES("\xe0\x01\x8e")); /* another client has taken over */
    told(s, publish_packet(5, QOS0, 0, "a", "1"));
    told(s, BYTES("\xe0\x01\x8e"));
    server(s, s->old, publish_packet(5, QOS0, 0, "a", "1")); /* behind the last word */
    finish(s);

    s = open_subscribed(5);
    (void)move(s, 5);
    server(s, s->next, publish_packet(5, QOS0, 0, "a", "1"));
    client(s, publish_packet(5, QOS0, 0, "x", "1"));
    heard(s->leg, publish_packet(5, QOS0, 0, "x", "1"));
    wait_for_last_word(s, 5);
    client(s, publish_packet(5, QOS0, 0, "x", "2"));
    s->protocol->on_end(s->speaker, 1001);
    heard(s->leg, publish_packet(5, QOS0, 0, "x", "2"));
    told(s,
         bytes_join(publish_packet(5, QOS0, 0, "a", "1"), BYTES("\xe0\x01\x8b"))); /* or it would end with the first */
    finish(s);
}

static void test_too_much_does_not_wait(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *next = move(s, 4);
    for (unsigned i = 0; i <= 1024; i++)
        server(s, next, publish_packet(4, QOS0, 0, "a", i == 0 ? "first" : "x"));
    told(s, publish_packet(4, QOS0, 0, "a", "first"));
    finish(s);
}

/* ---- what the client says ---- */

static void test_publishes_wait_for_the_last_word_of_the_old_one(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    s->protocol->beat(s->speaker, old); /* which is another question */
    heard(old, PINGREQ);
    wait_for_last_word(s, 4);
    client(s, publish_packet(4, QOS1, 2, "x", "1"));
    client(s, publish_packet(4, QOS0, 0, "x", "2"));
    server(s, old, PINGRESP);
    assert_false(next->is_restored);
    up(s, subscribe_packet(4, 3, "b", 0));
    server(s, old, PINGRESP);
    assert_ptr_equal(s->leg, next);
    heard(next, subscribe_packet(4, 3, "b", 0));
    heard(next, publish_packet(4, QOS1, 2, "x", "1"));
    heard(next, publish_packet(4, QOS0, 0, "x", "2"));
    down(s, ack_packet(0x40, 2));
    up(s, publish_packet(4, QOS0, 0, "x", "3"));
    finish(s);
}

static void test_the_last_word_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    wait_for_last_word(s, 4);
    client(s, publish_packet(4, QOS0, 0, "x", "1"));
    fake_advance(s, 1999);
    assert_false(next->is_restored);
    fake_advance(s, 1);
    assert_ptr_equal(s->leg, next);
    heard(next, publish_packet(4, QOS0, 0, "x", "1"));
    server(s, old, PINGRESP);
    finish(s);
}

static void test_one_of_both_dies_before_the_last_word(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    wait_for_last_word(s, 4);
    client(s, publish_packet(4, QOS0, 0, "x", "1"));
    fake_lose(s, next);
    heard(old, publish_packet(4, QOS0, 0, "x", "1"));
    server(s, old, PINGRESP);
    up(s, publish_packet(4, QOS1, 2, "x", "2"));

    next = move(s, 4);
    wait_for_last_word(s, 4);
    client(s, publish_packet(4, QOS0, 0, "x", "3"));
    fake_lose(s, old);
    client(s, publish_packet(4, QOS0, 0, "x", "4"));
    fake_advance(s, 0);
    assert_true(next->is_restored);
    heard(next, publish_packet(4, QOS1 | DUP, 2, "x", "2"));
    heard(next, publish_packet(4, QOS0, 0, "x", "3"));
    heard(next, publish_packet(4, QOS0, 0, "x", "4"));
    up(s, publish_packet(4, QOS0, 0, "x", "5"));
    finish(s);
}

static void test_a_subscription_before_the_last_word(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    wait_for_last_word(s, 4);
    client(s, publish_packet(4, QOS0, 0, "x", "1"));
    subscribe(s, 4, 2, "b", 0); /* which the next one does not know */
    server(s, old, PINGRESP);
    assert_true(next->is_failed);
    client(s, publish_packet(4, QOS0, 0, "x", "2")); /* before that is settled */
    heard(old, publish_packet(4, QOS0, 0, "x", "1"));
    heard(old, publish_packet(4, QOS0, 0, "x", "2"));
    fake_settle(s);
    assert_ptr_equal(s->leg, old);
    up(s, publish_packet(4, QOS0, 0, "x", "3"));
    finish(s);
}

static void test_nothing_is_dropped_while_the_last_word_is_missing(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    s->conf.queue_count = 2;
    wait_for_last_word(s, 4);
    client(s, publish_packet(4, QOS1, 1, "x", "1"));
    client(s, publish_packet(4, QOS1, 2, "x", "2"));
    client(s, publish_packet(4, QOS1, 3, "x", "3"));
    heard(old, publish_packet(4, QOS1, 1, "x", "1"));
    heard(old, publish_packet(4, QOS1, 2, "x", "2"));
    heard(old, PINGREQ);
    server(s, old, PINGRESP);
    assert_false(next->is_restored);
    server(s, old, PINGRESP);
    assert_ptr_equal(s->leg, next);
    heard(next, publish_packet(4, QOS1, 3, "x", "3"));
    assert_int_equal(s->end_code, 0);
    finish(s);

    s = open_subscribed(4); /* nothing may wait at all */
    s->conf.queue_count = 0;
    (void)move(s, 4);
    wait_for_last_word(s, 4);
    up(s, publish_packet(4, QOS0, 0, "x", "1"));
    finish(s);
}

static void test_a_client_that_leaves_before_the_last_word(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    wait_for_last_word(s, 4);
    client(s, publish_packet(4, QOS0, 0, "x", "1"));
    client(s, DISCONNECT);
    heard(next, DISCONNECT); /* or it would publish the will */
    heard(old, publish_packet(4, QOS0, 0, "x", "1"));
    heard(old, DISCONNECT);
    finish(s);
}

static void test_a_packet_too_long_to_be_looked_at(void **state)
{
    (void)state;
    struct session *s = open_subscribed(4);
    struct leg *old = s->leg, *next = move(s, 4);
    wait_for_last_word(s, 4);
    client(s, publish_packet(4, QOS0, 0, "x", "1"));
    server(s, next, publish_packet(4, QOS0, 0, "a", "1"));
    struct ws_message m = fake_message(WS_OPCODE_BINARY, "long", 4);
    m.is_whole = false;
    m.is_at_limit = true;
    assert_int_equal(fake_client_says(s, m), SIFT_PASS);
    heard(old, publish_packet(4, QOS0, 0, "x", "1"));
    heard(old, BYTES("long"));
    fake_advance(s, 2000); /* what the next one brought would go between the bytes of any packet */
    assert_true(next->is_failed);
    assert_ptr_equal(s->leg, old);
    finish(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_move),
        cmocka_unit_test(test_what_is_asked_for_after_a_move_may_be_retained),
        cmocka_unit_test(test_a_move_that_fails_changes_nothing),
        cmocka_unit_test(test_the_old_server_goes_during_a_move),
        cmocka_unit_test(test_copies_of_what_the_old_one_brought),
        cmocka_unit_test(test_what_the_new_one_brings_first_waits_for_the_old_one),
        cmocka_unit_test(test_what_the_old_one_never_brings_does_not_wait_for_ever),
        cmocka_unit_test(test_what_waits_is_told_when_the_old_one_dies),
        cmocka_unit_test(test_what_waits_is_told_when_the_old_one_has_gone_after_the_move),
        cmocka_unit_test(test_what_waits_is_dropped_when_the_new_one_dies),
        cmocka_unit_test(test_what_the_old_one_brings_when_the_new_one_has_failed),
        cmocka_unit_test(test_what_waits_is_told_when_both_die),
        cmocka_unit_test(test_what_waits_is_told_before_a_good_bye),
        cmocka_unit_test(test_too_much_does_not_wait),
        cmocka_unit_test(test_publishes_wait_for_the_last_word_of_the_old_one),
        cmocka_unit_test(test_the_last_word_is_not_waited_for_for_ever),
        cmocka_unit_test(test_one_of_both_dies_before_the_last_word),
        cmocka_unit_test(test_a_subscription_before_the_last_word),
        cmocka_unit_test(test_nothing_is_dropped_while_the_last_word_is_missing),
        cmocka_unit_test(test_a_client_that_leaves_before_the_last_word),
        cmocka_unit_test(test_a_packet_too_long_to_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
