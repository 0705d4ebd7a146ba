/* MQTT control packets of both versions, and what the gateway changes in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gateway/realtime/mqtt_codec.h"
#include "tests/unit/gateway/realtime/mqtt_bytes.h"

static struct mqtt_packet read_packet(const struct bytes *b)
{
    struct mqtt_packet p;
    assert_int_equal(mqtt_packet_read(&p, b->data, b->len), MQTT_READ_OK);
    assert_int_equal(p.whole.len, b->len);
    return p;
}

static void assert_view(struct mqtt_view v, const char *expected)
{
    assert_int_equal(v.len, strlen(expected));
    if (v.len > 0)
        assert_memory_equal(v.data, expected, v.len);
}

static void assert_written(struct strbuf *out, struct bytes expected)
{
    assert_int_equal(out->len, expected.len);
    assert_memory_equal(out->data, expected.data, expected.len);
    strbuf_clear(out);
}

static void test_fixed_headers(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *bytes;
        size_t len;
        enum mqtt_read read;
        unsigned type;
        size_t whole;
    } rows[] = {
        {"", 0, MQTT_READ_MORE, 0, 0},
        {"\xc0", 1, MQTT_READ_MORE, MQTT_PINGREQ, 0},
        {"\xc0\x00", 2, MQTT_READ_OK, MQTT_PINGREQ, 2},
        {"\xc0\x00\xc0", 3, MQTT_READ_OK, MQTT_PINGREQ, 2},
        {"\x30\x05""ab", 4, MQTT_READ_MORE, MQTT_PUBLISH, 7},
        {"\x30\x80", 2, MQTT_READ_MORE, MQTT_PUBLISH, 0},
        {"\x30\x80\x01", 3, MQTT_READ_MORE, MQTT_PUBLISH, 131},
        {"\x30\xff\xff\xff\x7f", 5, MQTT_READ_MORE, MQTT_PUBLISH, 268435460},
        {"\x30\xff\xff\xff\xff", 5, MQTT_READ_BAD, MQTT_PUBLISH, 0},
        {"\x00\x00", 2, MQTT_READ_BAD, 0, 0},
        {"\xc1\x00", 2, MQTT_READ_BAD, 0, 0},
        {"\x80\x00", 2, MQTT_READ_BAD, 0, 0},
        {"\x82\x00", 2, MQTT_READ_OK, MQTT_SUBSCRIBE, 2},
        {"\x60\x02\x00\x01", 4, MQTT_READ_BAD, 0, 0},
        {"\x62\x02\x00\x01", 4, MQTT_READ_OK, MQTT_PUBREL, 4},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mqtt_packet p;
        assert_int_equal(mqtt_packet_read(&p, (const uint8_t *)rows[i].bytes, rows[i].len), rows[i].read);
        assert_int_equal(p.type, rows[i].type);
        assert_int_equal(p.whole.len, rows[i].whole);
    }
}

static void test_connect(void **state)
{
    (void)state;
    struct mqtt_connect c;
    struct bytes b = connect_packet(4, 0x02, 60, nothing(), "me");
    struct mqtt_packet p = read_packet(&b);
    assert_true(mqtt_connect_read(&c, &p));
    assert_int_equal(c.level, 4);
    assert_true(c.is_clean);
    assert_int_equal(c.keep_alive_s, 60);
    assert_view(c.client_id, "me");
    assert_view(c.rest, "");

    b = connect_packet(5, 0xc0, 10, BYTES("\x22\x00\x0a\x11\x00\x00\x00\x3c\x15\x00\x01m"), "");
    b = packet(0x10, bytes_join(bytes_of(b.data + 2, b.len - 2), bytes_join(text("user"), text("pass"))));
    p = read_packet(&b);
    assert_true(mqtt_connect_read(&c, &p));
    assert_false(c.is_clean);
    assert_true(c.has_topic_aliases);
    assert_true(c.has_auth_method);
    assert_int_equal(c.session_expiry_s, 60);
    assert_view(c.client_id, "");
    assert_int_equal(c.rest.len, 12);

    b = packet(0x10, bytes_join(text("MQIsdp"), BYTES("\x03\x02\x00\x3c\x00\x00"))); /* version 3.1 */
    p = read_packet(&b);
    assert_true(mqtt_connect_read(&c, &p));
    assert_int_equal(c.level, 3);
}

static void test_bad_connects(void **state)
{
    (void)state;
    struct mqtt_connect c;
    struct bytes whole = connect_packet(5, 0x02, 60, BYTES("\x21\x00\x0a"), "me");
    for (size_t len = 0; len < whole.len - 2; len++) { /* cut short anywhere */
        struct bytes b = packet(0x10, bytes_of(whole.data + 2, len));
        struct mqtt_packet p = read_packet(&b);
        assert_false(mqtt_connect_read(&c, &p));
    }
    static const struct {
        const char *properties;
        size_t len;
    } rows[] = {{"\x7f\x00", 2}, {"\x21\x00", 2}, {"\x26\x00\x01k", 4}, {"\x0b\xff\xff\xff\xff\x01", 6}, {"\x04", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bytes b = connect_packet(5, 0x02, 60, bytes_of(rows[i].properties, rows[i].len), "me");
        struct mqtt_packet p = read_packet(&b);
        assert_false(mqtt_connect_read(&c, &p));
    }
    struct bytes b = connect_packet(4, 0x03, 60, nothing(), "me"); /* the reserved flag */
    struct mqtt_packet p = read_packet(&b);
    assert_false(mqtt_connect_read(&c, &p));
}

static void test_topic_aliases_are_taken_out(void **state)
{
    (void)state;
    struct strbuf out;
    struct mqtt_connect c;
    struct mqtt_connack a;
    strbuf_init(&out, 4096);

    struct bytes b = connect_packet(5, 0x02, 60, BYTES("\x22\x00\x0a\x26\x00\x01k\x00\x01v\x21\x00\x05"), "me");
    struct mqtt_packet p = read_packet(&b);
    assert_true(mqtt_connect_read(&c, &p));
    mqtt_connect_write(&out, &c, c.client_id);
    assert_written(&out, connect_packet(5, 0x02, 60, BYTES("\x26\x00\x01k\x00\x01v\x21\x00\x05"), "me"));
    mqtt_connect_write(&out, &c, (struct mqtt_view){(const uint8_t *)"another", 7});
    assert_written(&out, connect_packet(5, 0x02, 60, BYTES("\x26\x00\x01k\x00\x01v\x21\x00\x05"), "another"));

    b = connect_packet(4, 0x02, 60, nothing(), "me"); /* what has none stays as it is */
    p = read_packet(&b);
    assert_true(mqtt_connect_read(&c, &p));
    mqtt_connect_write(&out, &c, c.client_id);
    assert_written(&out, b);

    b = connack_packet(5, 0, BYTES("\x12\x00\x02id\x22\x00\x0a\x13\x00\x1e"));
    p = read_packet(&b);
    assert_true(mqtt_connack_read(&a, &p, MQTT_5));
    assert_true(a.has_topic_aliases && a.has_keep_alive);
    assert_int_equal(a.keep_alive_s, 30);
    assert_view(a.assigned_id, "id");
    mqtt_connack_write(&out, &a);
    assert_written(&out, connack_packet(5, 0, BYTES("\x12\x00\x02id\x13\x00\x1e")));

    b = connack_packet(4, 5, nothing());
    p = read_packet(&b);
    assert_true(mqtt_connack_read(&a, &p, MQTT_3_1_1));
    assert_int_equal(a.reason, 5);
    strbuf_fini(&out);
}

static void test_publish(void **state)
{
    (void)state;
    struct mqtt_publish m;
    struct bytes b = publish_packet(4, QOS1 | RETAIN, 7, "a/b", "hello");
    struct mqtt_packet p = read_packet(&b);
    assert_true(mqtt_publish_read(&m, &p, MQTT_3_1_1));
    assert_int_equal(m.qos, 1);
    assert_true(m.is_retained);
    assert_int_equal(m.packet_id, 7);
    assert_view(m.topic, "a/b");
    assert_view(m.payload, "hello");

    b = publish_packet(5, QOS0, 0, "a", "");
    p = read_packet(&b);
    assert_true(mqtt_publish_read(&m, &p, MQTT_5));
    assert_int_equal(m.qos, 0);
    assert_view(m.payload, "");

    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\x30\x02\x00\x01", 4},
               {"\x32\x03\x00\x01x", 5},
               {"\x32\x05\x00\x01x\x00\x00", 7},
               {"\x36\x05\x00\x01x\x00\x01", 7}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        b = bytes_of(bad[i].bytes, bad[i].len);
        p = read_packet(&b);
        assert_false(mqtt_publish_read(&m, &p, MQTT_3_1_1));
    }
}

static void test_filters(void **state)
{
    (void)state;
    struct mqtt_filters f;
    struct mqtt_filter one;
    struct bytes body = bytes_join(number(9), BYTES("\x02\x0b\x05"));
    struct bytes b = packet(0x82, bytes_join(body, bytes_join(bytes_join(text("a/+"), BYTES("\x01")),
                                                              bytes_join(text("#"), BYTES("\x02")))));
    struct mqtt_packet p = read_packet(&b);
    assert_true(mqtt_filters_read(&f, &p, MQTT_5));
    assert_int_equal(f.packet_id, 9);
    assert_int_equal(f.identifier, 5);
    assert_int_equal(mqtt_filters_next(&f, &one), MQTT_READ_OK);
    assert_view(one.text, "a/+");
    assert_int_equal(one.options, 1);
    assert_int_equal(mqtt_filters_next(&f, &one), MQTT_READ_OK);
    assert_view(one.text, "#");
    assert_int_equal(mqtt_filters_next(&f, &one), MQTT_READ_MORE);

    b = unsubscribe_packet(4, 3, "a/+");
    p = read_packet(&b);
    assert_true(mqtt_filters_read(&f, &p, MQTT_3_1_1));
    assert_int_equal(mqtt_filters_next(&f, &one), MQTT_READ_OK);
    assert_view(one.text, "a/+");

    b = packet(0x82, number(9)); /* nothing asked for */
    p = read_packet(&b);
    assert_false(mqtt_filters_read(&f, &p, MQTT_3_1_1));
    b = packet(0x82, bytes_join(number(9), text("a"))); /* no options */
    p = read_packet(&b);
    assert_true(mqtt_filters_read(&f, &p, MQTT_3_1_1));
    assert_int_equal(mqtt_filters_next(&f, &one), MQTT_READ_BAD);
}

static void test_what_the_gateway_says(void **state)
{
    (void)state;
    struct strbuf out;
    strbuf_init(&out, 4096);
    mqtt_ack_write(&out, MQTT_PUBREL, MQTT_3_1_1, 258, MQTT_SUCCESS);
    assert_written(&out, BYTES("\x62\x02\x01\x02"));
    mqtt_ack_write(&out, MQTT_PUBACK, MQTT_5, 1, MQTT_QUOTA);
    assert_written(&out, BYTES("\x40\x03\x00\x01\x97"));
    mqtt_ack_write(&out, MQTT_PUBACK, MQTT_3_1_1, 1, MQTT_QUOTA);
    assert_written(&out, BYTES("\x40\x02\x00\x01"));
    mqtt_ping_write(&out, MQTT_PINGRESP);
    assert_written(&out, PINGRESP);
    mqtt_disconnect_write(&out, MQTT_SHUTTING_DOWN);
    assert_written(&out, BYTES("\xe0\x01\x8b"));
    const struct mqtt_filter filters[] = {{{(const uint8_t *)"a", 1}, 1}};
    mqtt_subscribe_write(&out, MQTT_3_1_1, 65535, 0, filters, 1);
    assert_written(&out, subscribe_packet(4, 65535, "a", 1));
    mqtt_subscribe_write(&out, MQTT_5, 2, 200, filters, 1);
    assert_written(&out, BYTES("\x82\x0a\x00\x02\x03\x0b\xc8\x01\x00\x01"
                               "a\x01"));
    mqtt_refusal_write(&out, MQTT_SUBACK, MQTT_3_1_1, 1, 2);
    assert_written(&out, BYTES("\x90\x04\x00\x01\x80\x80"));
    mqtt_refusal_write(&out, MQTT_UNSUBACK, MQTT_3_1_1, 1, 2);
    assert_written(&out, BYTES("\xb0\x02\x00\x01"));
    mqtt_refusal_write(&out, MQTT_UNSUBACK, MQTT_5, 1, 1);
    assert_written(&out, BYTES("\xb0\x04\x00\x01\x00\x80"));
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_headers),
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_bad_connects),
        cmocka_unit_test(test_topic_aliases_are_taken_out),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_what_the_gateway_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
