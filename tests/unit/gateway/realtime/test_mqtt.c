/* MQTT sessions while their broker lives: what passes, what is answered here, and who breaks the rules. */
#include "tests/unit/gateway/realtime/mqtt_script.h"

static void test_other_subprotocols_are_opaque(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_mqtt, "mqttv3.1", "");
    assert_null(s->speaker);
    fake_close(&s);
}

static void test_a_session_without_losses_is_a_relay(void **state)
{
    (void)state;
    for (unsigned level = 4; level <= 5; level++) {
        struct session *s = open_session(level);
        subscribe(s, level, 1, "a/#", 1);
        up(s, publish_packet(level, QOS0, 0, "a/b", "x"));
        up(s, publish_packet(level, QOS1, 2, "a/b", "y"));
        down(s, ack_packet(0x40, 2));
        up(s, publish_packet(level, QOS2, 3, "a/b", "z"));
        down(s, ack_packet(0x50, 3));
        up(s, ack_packet(0x62, 3));
        down(s, ack_packet(0x70, 3));
        down(s, publish_packet(level, QOS0, 0, "a/b", "x"));
        down(s, publish_packet(level, QOS1, 1, "a/b", "y"));
        up(s, ack_packet(0x40, 1));
        down(s, publish_packet(level, QOS2, 2, "a/b", "z"));
        up(s, ack_packet(0x50, 2));
        down(s, ack_packet(0x62, 2));
        up(s, ack_packet(0x70, 2));
        up(s, unsubscribe_packet(level, 4, "a/#"));
        up(s, DISCONNECT);
        assert_true(fake_server_closes(s, s->leg, 1000, ""));
        finish_ended(s, 1000);
    }
}

static void test_pings_are_answered_here(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    client(s, PINGREQ);
    told(s, PINGRESP);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_BEATS], 1);
    s->protocol->beat(s->speaker, s->leg);
    heard(s->leg, PINGREQ);
    server(s, s->leg, PINGRESP);
    assert_int_equal(s->leg->answered_count, 1);
    fake_lose(s, s->leg);
    client(s, PINGREQ);
    told(s, PINGRESP);
    finish(s);
}

/* The client's own keep-alive ends here, so we keep it for the broker, and watch over it ourselves. */
static void test_keep_alive(void **state)
{
    (void)state;
    struct session *s = open_session(5);
    fake_advance(s, 59999);
    fake_expect_nothing(&s->leg->said);
    fake_advance(s, 1);
    heard(s->leg, PINGREQ);
    fake_advance(s, 29999);
    assert_int_equal(s->end_code, 0);
    fake_advance(s, 1);
    assert_int_equal(s->end_code, 1008);
    s->protocol->on_end(s->speaker, 1008);
    told(s, BYTES("\xe0\x01\x8d"));
    finish(s);

    s = open_session(4); /* it speaks, and the broker has heard it */
    for (unsigned i = 0; i < 10; i++) {
        fake_advance(s, 50000);
        up(s, publish_packet(4, QOS0, 0, "a", "x"));
    }
    finish(s);

    s = open_session(4); /* what it says waits because the broker does not read */
    s->leg->buffered = 1;
    fake_advance(s, 200000);
    assert_int_equal(s->end_code, 0);
    fake_forget(&s->leg->said);
    finish(s);

    s = open_new(); /* the broker wants another keep-alive */
    up(s, hello(5));
    down(s, connack_packet(5, 0, BYTES("\x13\x00\x0a")));
    fake_advance(s, 10000);
    heard(s->leg, PINGREQ);
    fake_advance(s, 5000);
    finish_ended(s, 1008);
}

/* Browsers and libraries cut packets as they like. */
static void test_packets_and_messages_are_cut_differently(void **state)
{
    (void)state;
    const struct bytes a = publish_packet(4, QOS0, 0, "a", "one"), b = publish_packet(4, QOS0, 0, "b", "two");
    const struct bytes both = bytes_join(a, b);
    for (size_t cut = 1; cut < both.len; cut++) {
        struct session *s = open_session(4);
        client(s, bytes_of(both.data, cut));
        client(s, bytes_of(both.data + cut, both.len - cut));
        struct strbuf all;
        strbuf_init(&all, 4096);
        while (s->leg->said.count > 0) { /* whole packets, whatever the messages */
            struct fake_message m = fake_said_take(&s->leg->said);
            strbuf_add(&all, m.data, m.len);
            assert_true(all.len == a.len || all.len == both.len);
            free(m.data);
        }
        assert_int_equal(all.len, both.len);
        assert_memory_equal(all.data, both.data, both.len);
        strbuf_fini(&all);
        server(s, s->leg, bytes_of(both.data, cut));
        fake_forget(&s->told);
        finish(s);
    }
}

static void test_only_the_packets_that_pass_do(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    const struct bytes a = publish_packet(4, QOS0, 0, "a", "one"), b = publish_packet(4, QOS0, 0, "b", "two");
    assert_int_equal(fake_client_says(s, fake_message(WS_OPCODE_BINARY, bytes_join(a, b).data, a.len + b.len)),
                     SIFT_PASS);
    heard(s->leg, bytes_join(a, b));
    client(s, bytes_join(a, bytes_join(PINGREQ, b)));
    told(s, PINGRESP);
    heard(s->leg, bytes_join(a, b));
    client(s, bytes_join(PINGREQ, PINGREQ));
    told(s, PINGRESP);
    told(s, PINGRESP);
    server(s, s->leg, bytes_join(PINGRESP, a));
    told(s, a);
    finish(s);
}

static void test_half_a_packet_of_a_lost_server_does_not_reach_the_client(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    const struct bytes a = publish_packet(4, QOS0, 0, "a", "one");
    server(s, s->leg, bytes_of(a.data, a.len - 1));
    struct leg *l = lose_and_find(s, 4);
    server(s, l, a);
    told(s, a);
    finish(s);
}

static void test_no_topic_aliases(void **state)
{
    (void)state;
    struct session *s = open_new();
    client(s, connect_packet(5, CLEAN, 60, BYTES("\x22\x00\x0a"), "me"));
    heard(s->leg, hello(5));
    server(s, s->leg, connack_packet(5, 0, BYTES("\x22\x00\x0a\x21\x00\x05")));
    told(s, connack_packet(5, 0, BYTES("\x21\x00\x05")));
    struct leg *l = lose_and_find(s, 5);
    assert_true(l->is_restored);
    finish(s);
}

/* ---- brokers that say no ---- */

static void test_a_refused_client_hears_it(void **state)
{
    (void)state;
    struct session *s = open_new();
    up(s, hello(4));
    down(s, connack_packet(4, 5, nothing()));
    assert_false(s->protocol->wants_server(s->speaker));
    assert_true(fake_server_closes(s, s->leg, 1005, ""));
    finish_ended(s, 1000);

    s = open_new(); /* the broker is only busy: another one may not be */
    up(s, hello(5));
    server(s, s->leg, connack_packet(5, 0x89, nothing()));
    assert_true(s->leg->is_failed);
    assert_int_equal(s->leg->fault, LEG_BUSY);
    finish(s);
}

static void test_a_broker_that_refuses_what_another_took(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    fake_lose(s, s->leg);
    struct leg *l = fake_find(s);
    heard(l, hello(4));
    server(s, l, connack_packet(4, 5, nothing()));
    assert_true(l->is_failed);
    assert_int_equal(l->fault, LEG_BUSY);
    assert_int_equal(s->end_code, 0);
    fake_settle(s);
    l = fake_find(s);
    heard(l, hello(4));
    server(s, l, connack_packet(4, 5, nothing())); /* two of them are right */
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_RESTORES_FAILED], 2);
    finish_ended(s, 1008);

    s = open_session(4);
    subscribe(s, 4, 1, "a", 0);
    l = lose_and_find(s, 4);
    heard(l, subscribe_packet(4, 65535, "a", 0));
    server(s, l, suback_packet(4, 65535, 0x80));
    assert_true(l->is_failed);
    finish(s);
}

static void test_a_broker_that_does_not_answer_is_left(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    fake_lose(s, s->leg);
    struct leg *l = fake_find(s);
    heard(l, hello(4));
    fake_advance(s, 7999);
    assert_false(l->is_failed);
    fake_advance(s, 1);
    assert_true(l->is_failed);
    assert_int_equal(l->fault, LEG_ANOTHER);
    finish(s);
}

static void test_a_broker_that_says_disconnect(void **state)
{
    (void)state;
    static const struct {
        uint8_t reason;
        bool is_about_client;
    } rows[] = {{0x8b, false}, {0x89, false}, {0x9c, false}, {0x00, false}, {0x8e, true}, {0x82, true}, {0x98, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct session *s = open_session(5);
        const struct bytes b = packet(0xe0, bytes_of(&rows[i].reason, 1));
        server(s, s->leg, b);
        assert_int_equal(s->legs[0]->is_failed, !rows[i].is_about_client);
        if (rows[i].is_about_client) {
            told(s, b);
            assert_true(fake_server_closes(s, s->leg, 1000, ""));
            assert_int_equal(s->end_code, 1000);
        }
        finish(s);
    }
}

static void test_those_who_break_the_rules(void **state)
{
    (void)state;
    const struct bytes bad[] = {BYTES("\x00\x00"),         BYTES("\xc1\x00"), hello(4),
                                BYTES("\x32\x02\x00\x05"), PINGRESP,          BYTES("\x82\x02\x00\x01")};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct session *s = open_session(4);
        client(s, bad[i]);
        finish_ended(s, 1002);
    }
    struct session *s = open_new();
    client(s, PINGREQ); /* before CONNECT */
    finish_ended(s, 1002);
    s = open_session(4);
    (void)fake_client_text(s, "text");
    finish_ended(s, 1002);

    const struct bytes bad_servers[] = {BYTES("\x00\x00"), PINGREQ, BYTES("\x32\x02\x00\x05"),
                                        subscribe_packet(4, 1, "a", 0), BYTES("\x20\x01\x00")};
    for (size_t i = 0; i < sizeof bad_servers / sizeof bad_servers[0]; i++) {
        s = open_session(4);
        server(s, s->leg, bad_servers[i]);
        assert_true(s->legs[0]->is_failed);
        assert_int_equal(s->end_code, 0);
        finish(s);
    }
}

static void test_a_packet_too_long_to_be_looked_at(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    const struct bytes begin = BYTES("\x30\xff\xff\x7f");
    client(s, begin); /* its length is known, and that nobody keeps so much */
    struct ws_message m = fake_message(WS_OPCODE_BINARY, "payload", 7);
    m.is_whole = false;
    assert_int_equal(s->protocol->on_client(s->speaker, &m), SIFT_MORE);
    m.is_at_limit = true;
    assert_int_equal(fake_client_says(s, m), SIFT_PASS);
    heard(s->leg, begin);
    heard(s->leg, BYTES("payload"));
    assert_true(s->leg->silence_ms > 0);
    up(s, BYTES("anything"));
    down(s, BYTES("anything"));
    s->protocol->beat(s->speaker, s->leg);
    assert_int_equal(s->leg->answered_count, 1);
    fake_lose(s, s->leg);
    finish_ended(s, 1012);
}

/* ---- what the client is told ---- */

static void test_good_bye(void **state)
{
    (void)state;
    static const struct {
        uint16_t code;
        const char *last;
    } rows[] = {{1012, "\xe0\x01\x8b"}, {1001, "\xe0\x01\x8b"}, {1013, "\xe0\x01\x89"}, {1008, "\xe0\x01\x87"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct session *s = open_session(5);
        s->protocol->on_end(s->speaker, rows[i].code);
        told(s, bytes_of(rows[i].last, 3));
        finish(s);
        s = open_session(4);
        s->protocol->on_end(s->speaker, rows[i].code);
        finish(s);
    }
    struct session *s = open_session(5);
    fake_lose(s, s->leg);
    s->protocol->give_up(s->speaker);
    s->protocol->on_end(s->speaker, 1013);
    told(s, BYTES("\xe0\x01\x88"));
    finish_ended(s, 1013);
}

static void test_a_gap_that_must_be_told_closes(void **state)
{
    (void)state;
    struct session *s = open_session(4);
    s->conf.gap = GAP_REJOIN;
    fake_lose(s, s->leg); /* nothing can have been missed */
    assert_int_equal(s->end_code, 0);
    finish(s);
    s = open_session(4);
    s->conf.gap = GAP_REJOIN;
    subscribe(s, 4, 1, "a", 0);
    fake_lose(s, s->leg);
    finish_ended(s, 1012);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_subprotocols_are_opaque),
        cmocka_unit_test(test_a_session_without_losses_is_a_relay),
        cmocka_unit_test(test_pings_are_answered_here),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_packets_and_messages_are_cut_differently),
        cmocka_unit_test(test_only_the_packets_that_pass_do),
        cmocka_unit_test(test_half_a_packet_of_a_lost_server_does_not_reach_the_client),
        cmocka_unit_test(test_no_topic_aliases),
        cmocka_unit_test(test_a_refused_client_hears_it),
        cmocka_unit_test(test_a_broker_that_refuses_what_another_took),
        cmocka_unit_test(test_a_broker_that_does_not_answer_is_left),
        cmocka_unit_test(test_a_broker_that_says_disconnect),
        cmocka_unit_test(test_those_who_break_the_rules),
        cmocka_unit_test(test_a_packet_too_long_to_be_looked_at),
        cmocka_unit_test(test_good_bye),
        cmocka_unit_test(test_a_gap_that_must_be_told_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
