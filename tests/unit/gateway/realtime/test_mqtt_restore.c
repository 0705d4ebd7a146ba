/* MQTT sessions that lose their broker. */
#include "tests/unit/gateway/realtime/mqtt_script.h"

static void test_subscriptions_go_on(void **state)
{
    (void)state;
    for (unsigned level = 4; level <= 5; level++) {
        struct session *s = open_session(level);
        subscribe(s, level, 1, "a/#", 1);
        subscribe(s, level, 2, "b", 0);
        subscribe(s, level, 3, "a/#", 2); /* again, with another QoS */
        up(s, subscribe_packet(level, 4, "forbidden", 0));
        down(s, suback_packet(level, 4, 0x80));
        up(s, unsubscribe_packet(level, 5, "b"));
        down(s, level == 5 ? BYTES("\xb0\x04\x00\x05\x00\x00") : BYTES("\xb0\x02\x00\x05"));
        struct leg *l = lose_and_find(s, level);
        heard(l, subscribe_packet(level, 65535, "a/#", 2));
        assert_false(l->is_restored);
        server(s, l, suback_packet(level, 65535, 2));
        assert_true(l->is_restored);
        assert_int_equal(s->counts[STAT_ROUTE_SESSION_RESTORES], 1);
        down(s, publish_packet(level, QOS0, 0, "a/b", "x"));
        finish(s);
    }
}

static void test_many_subscriptions_are_restored_in_few_packets(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    char filter[16];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(filter, sizeof filter, "topic/%u", i);
        subscribe(s, 4, i + 1, filter, 0);
    }
    assert_int_equal(s->protocol->restore_cost(s->speaker), 20);
    struct leg *l = lose_and_find(s, 4);
    struct fake_message m = fake_said_take(&l->said);
    struct mqtt_packet p;
    size_t at = 0;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(mqtt_packet_read(&p, (const uint8_t *)m.data + at, m.len - at), MQTT_READ_OK);
        assert_int_equal(p.type, MQTT_SUBSCRIBE);
        at += p.whole.len;
        assert_false(l->is_restored);
        server(s, l, suback_packet(4, 65535 - i, 0));
    }
    assert_int_equal(at, m.len);
    assert_true(l->is_restored);
    free(m.data);
    finish(s);
}

static void test_requests_without_an_answer_are_made_again(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    up(s, subscribe_packet(4, 7, "a", 0));
    struct leg *l = lose_and_find(s, 4);
    heard(l, subscribe_packet(4, 7, "a", 0)); /* under the client's own number, so that the answer passes */
    down(s, suback_packet(4, 7, 0));
    fake_lose(s, s->leg);
    client(s, unsubscribe_packet(4, 8, "a"));
    client(s, subscribe_packet(4, 65535, "b", 0));
    l = fake_find(s);
    heard(l, hello(4));
    server(s, l, connack_packet(4, 0, nothing()));
    heard(l, subscribe_packet(4, 65534, "a", 0)); /* not under a number of the client's */
    server(s, l, suback_packet(4, 65534, 0));
    heard(l, unsubscribe_packet(4, 8, "a"));
    heard(l, subscribe_packet(4, 65535, "b", 0));
    down(s, BYTES("\xb0\x02\x00\x08"));
    down(s, suback_packet(4, 65535, 0));
    l = lose_and_find(s, 4);
    heard(l, subscribe_packet(4, 65535, "b", 0));
    finish(s);
}

static void test_what_waits_is_sent_in_order(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    up(s, publish_packet(4, QOS1, 1, "a", "1"));
    fake_lose(s, s->leg);
    client(s, publish_packet(4, QOS0, 0, "a", "2"));
    client(s, publish_packet(4, QOS1, 2, "a", "3"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_QUEUED], 2);
    struct leg *l = fake_find(s);
    heard(l, hello(4));
    client(s, publish_packet(4, QOS0, 0, "a", "4")); /* it is not there yet */
    server(s, l, connack_packet(4, 0, nothing()));
    heard(l, publish_packet(4, QOS1 | DUP, 1, "a", "1"));
    heard(l, publish_packet(4, QOS0, 0, "a", "2"));
    heard(l, publish_packet(4, QOS1, 2, "a", "3"));
    heard(l, publish_packet(4, QOS0, 0, "a", "4"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_RESENT], 1);
    down(s, ack_packet(0x40, 1));
    l = lose_and_find(s, 4);
    heard(l, publish_packet(4, QOS1 | DUP, 2, "a", "3"));
    finish(s);
}

static void test_a_publish_that_kills_brokers(void **state)
{
    (void)state;
    for (unsigned level = 4; level <= 5; level++) {
        struct session *s = open_session(level);
        up(s, publish_packet(level, QOS1, 1, "a", "poison"));
        up(s, publish_packet(level, QOS1, 2, "a", "innocent"));
        struct leg *l = lose_and_find(s, level);
        heard(l, publish_packet(level, QOS1 | DUP, 1, "a", "poison"));
        heard(l, publish_packet(level, QOS1 | DUP, 2, "a", "innocent"));
        l = lose_and_find(s, level);
        told(s, level == 5 ? ack_packet_5(0x40, 1, 0x80) : ack_packet(0x40, 1));
        heard(l, publish_packet(level, QOS1 | DUP, 2, "a", "innocent"));
        assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 1);
        down(s, ack_packet(0x40, 2));
        finish(s);
    }
}

static void test_a_request_that_kills_brokers(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    up(s, subscribe_packet(4, 1, "poison", 0));
    struct leg *l = lose_and_find(s, 4);
    heard(l, subscribe_packet(4, 1, "poison", 0));
    (void)lose_and_find(s, 4);
    told(s, suback_packet(4, 1, 0x80));
    finish(s);
}

static void test_too_many_wait(void **state)
{
    (void)state;
    struct session *s = open_session(5);
    s->conf.queue_count = 1;
    fake_lose(s, s->leg);
    client(s, publish_packet(5, QOS1, 1, "a", "1"));
    client(s, publish_packet(5, QOS0, 0, "a", "2"));
    told(s, ack_packet_5(0x40, 1, 0x97));
    client(s, publish_packet(5, QOS2, 2, "a", "3"));
    client(s, publish_packet(5, QOS0, 0, "a", "4"));
    told(s, ack_packet_5(0x50, 2, 0x97));
    finish(s);

    s = open_session(4); /* which has no word for it, and must not believe it was delivered */
    s->conf.queue_count = 1;
    fake_lose(s, s->leg);
    client(s, publish_packet(4, QOS1, 1, "a", "1"));
    client(s, publish_packet(4, QOS0, 0, "a", "2"));
    finish_ended(s, 1013);
}

static void test_more_in_flight_than_is_kept(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    s->conf.queue_count = 1;
    up(s, publish_packet(4, QOS1, 1, "a", "1"));
    up(s, publish_packet(4, QOS1, 2, "a", "2"));
    down(s, ack_packet(0x40, 2));
    struct leg *l = lose_and_find(s, 4); /* it is settled */
    heard(l, publish_packet(4, QOS1 | DUP, 1, "a", "1"));
    up(s, publish_packet(4, QOS1, 3, "a", "3"));
    fake_lose(s, s->leg); /* this time it is not: the client sends it again itself */
    finish_ended(s, 1012);
}

static void test_acknowledgements_for_a_lost_server_go_nowhere(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    down(s, publish_packet(4, QOS1, 1, "a", "1"));
    struct leg *l = lose_and_find(s, 4);
    client(s, ack_packet(0x40, 1));
    fake_expect_nothing(&l->said);
    down(s, publish_packet(4, QOS1, 1, "a", "2"));
    up(s, ack_packet(0x40, 1));
    finish(s);
}

static void test_qos_2_upwards(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    up(s, publish_packet(4, QOS2, 1, "a", "not had")); /* no PUBREC */
    up(s, publish_packet(4, QOS2, 2, "a", "had"));     /* PUBREC */
    down(s, ack_packet(0x50, 2));
    up(s, publish_packet(4, QOS2, 3, "a", "released")); /* PUBREC and PUBREL */
    down(s, ack_packet(0x50, 3));
    up(s, ack_packet(0x62, 3));
    struct leg *l = lose_and_find(s, 4);
    told(s, ack_packet(0x70, 3));
    heard(l, publish_packet(4, QOS2 | DUP, 1, "a", "not had"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_UNKNOWN], 2);
    client(s, ack_packet(0x62, 2));
    told(s, ack_packet(0x70, 2));
    down(s, ack_packet(0x50, 1));
    up(s, ack_packet(0x62, 1));
    down(s, ack_packet(0x70, 1));
    finish(s);
}

static void test_qos_2_downwards(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    down(s, publish_packet(4, QOS2, 1, "a", "not received"));
    down(s, publish_packet(4, QOS2, 2, "a", "received"));
    up(s, ack_packet(0x50, 2));
    down(s, publish_packet(4, QOS2, 3, "a", "released"));
    up(s, ack_packet(0x50, 3));
    down(s, ack_packet(0x62, 3));
    struct leg *l = lose_and_find(s, 4);
    told(s, ack_packet(0x62, 2)); /* what the lost server would have said */
    client(s, ack_packet(0x70, 2));
    client(s, ack_packet(0x70, 3));
    client(s, ack_packet(0x50, 1));
    told(s, ack_packet(0x62, 1));
    client(s, ack_packet(0x70, 1));
    fake_expect_nothing(&l->said);
    finish(s);
}

static void test_a_client_that_waits_for_its_connack_gets_it_from_another_server(void **state)
{
    (void)state;
    struct session *s = open_new();
    up(s, hello(4));
    up(s, publish_packet(4, QOS1, 1, "a", "early")); /* which it may */
    fake_lose(s, s->leg);
    struct leg *l = fake_find(s);
    heard(l, hello(4));
    server(s, l, connack_packet(4, 0, nothing()));
    told(s, connack_packet(4, 0, nothing()));
    heard(l, publish_packet(4, QOS1 | DUP, 1, "a", "early"));
    assert_true(l->is_restored);
    finish(s);

    s = open_new(); /* it has not even begun */
    fake_lose(s, s->leg);
    assert_false(s->protocol->wants_server(s->speaker));
    client(s, hello(4));
    assert_true(s->protocol->wants_server(s->speaker));
    l = fake_find(s);
    heard(l, hello(4));
    finish(s);

    s = open_new();
    fake_lose(s, s->leg);
    l = fake_find(s);
    assert_true(l->is_restored);
    up(s, hello(4));
    down(s, connack_packet(4, 0, nothing()));
    finish(s);
}

static void test_a_name_given_by_a_broker_is_kept(void **state)
{
    (void)state;
    struct session *s = open_new();
    up(s, connect_packet(5, CLEAN, 60, nothing(), ""));
    down(s, connack_packet(5, 0, BYTES("\x12\x00\x02me")));
    (void)lose_and_find(s, 5);
    finish(s);
}

static void test_sessions_that_live_in_their_broker(void **state)
{
    (void)state;
    const struct bytes rows[] = {
        connect_packet(4, 0, 60, nothing(), "me"),                                     /* no clean session */
        connect_packet(5, 0, 60, nothing(), "me"),                                     /* no clean start */
        connect_packet(5, CLEAN, 60, BYTES("\x11\x00\x00\x00\x3c"), "me"),             /* kept for a minute */
        connect_packet(5, CLEAN, 60, BYTES("\x15\x00\x01m"), "me"),                    /* AUTH */
        packet(0x10, bytes_join(text("MQIsdp"), BYTES("\x03\x02\x00\x3c\x00\x02me"))), /* version 3.1 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const unsigned level = rows[i].data[8] == 5 ? 5 : 4;
        struct session *s = open_new();
        up(s, rows[i]);
        down(s, connack_packet(level, 0, nothing()));
        down(s, ack_packet(0x62, 9)); /* of a connection before this one */
        up(s, ack_packet(0x70, 9));
        fake_lose(s, s->leg);
        finish_ended(s, 1012);
    }
    struct session *s = open_new(); /* as does a planned move of it */
    up(s, rows[0]);
    down(s, connack_packet(4, 0, nothing()));
    (void)fake_find(s);
    finish_ended(s, 1012);
}

static void test_what_operators_see(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    struct strbuf out;
    subscribe(s, 4, 1, "a", 0);
    up(s, publish_packet(4, QOS1, 2, "x", "in flight"));
    strbuf_init(&out, 4096);
    s->protocol->describe(s->speaker, &out);
    assert_string_equal(out.data, ",\"subscriptions\":1,\"in_flight\":1");
    strbuf_fini(&out);
    finish(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscriptions_go_on),
        cmocka_unit_test(test_many_subscriptions_are_restored_in_few_packets),
        cmocka_unit_test(test_requests_without_an_answer_are_made_again),
        cmocka_unit_test(test_what_waits_is_sent_in_order),
        cmocka_unit_test(test_a_publish_that_kills_brokers),
        cmocka_unit_test(test_a_request_that_kills_brokers),
        cmocka_unit_test(test_too_many_wait),
        cmocka_unit_test(test_more_in_flight_than_is_kept),
        cmocka_unit_test(test_acknowledgements_for_a_lost_server_go_nowhere),
        cmocka_unit_test(test_qos_2_upwards),
        cmocka_unit_test(test_qos_2_downwards),
        cmocka_unit_test(test_a_client_that_waits_for_its_connack_gets_it_from_another_server),
        cmocka_unit_test(test_a_name_given_by_a_broker_is_kept),
        cmocka_unit_test(test_sessions_that_live_in_their_broker),
        cmocka_unit_test(test_what_operators_see),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
