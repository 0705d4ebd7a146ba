/* An MQTT session whose client and brokers say anything, and come and go at any moment. A script of steps: a letter for
 * what happens, a length, and so many bytes. Laws: nothing crashes or leaks; the client's stream is whole packets
 * whatever the servers', and so is every server's; and what was changed in CONNECT and CONNACK reads as it was. */
#include "gateway/realtime/mqtt_codec.h"
#include "gateway/realtime/protocol_rows.h"
#include "tests/unit/gateway/realtime/fake_session.h"

#define STEPS_MAX 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_connect(const struct mqtt_packet *p)
{
    struct mqtt_connect c, again;
    struct mqtt_packet written;
    struct strbuf out;

    if (!mqtt_connect_read(&c, p) || (c.level != MQTT_3_1_1 && c.level != MQTT_5))
        return;
    strbuf_init(&out, 1u << 20);
    mqtt_connect_write(&out, &c, c.client_id);
    ASSERT(mqtt_packet_read(&written, (const uint8_t *)out.data, out.len) == MQTT_READ_OK);
    ASSERT(written.whole.len == out.len && mqtt_connect_read(&again, &written));
    ASSERT(!again.has_topic_aliases && again.is_clean == c.is_clean && again.keep_alive_s == c.keep_alive_s);
    ASSERT(again.client_id.len == c.client_id.len && again.rest.len == c.rest.len);
    strbuf_fini(&out);
}

static void check_connack(const struct mqtt_packet *p)
{
    struct mqtt_connack c, again;
    struct mqtt_packet written;
    struct strbuf out;

    if (!mqtt_connack_read(&c, p, MQTT_5))
        return;
    strbuf_init(&out, 1u << 20);
    mqtt_connack_write(&out, &c);
    ASSERT(mqtt_packet_read(&written, (const uint8_t *)out.data, out.len) == MQTT_READ_OK);
    ASSERT(written.whole.len == out.len && mqtt_connack_read(&again, &written, MQTT_5));
    ASSERT(!again.has_topic_aliases && again.reason == c.reason && again.assigned_id.len == c.assigned_id.len);
    strbuf_fini(&out);
}

static void read_everything(const uint8_t *data, size_t len)
{
    struct mqtt_packet p;
    struct mqtt_publish publish;
    struct mqtt_ack ack;
    struct mqtt_suback suback;
    struct mqtt_filters f;
    struct mqtt_filter one;

    for (; mqtt_packet_read(&p, data, len) == MQTT_READ_OK; data += p.whole.len, len -= p.whole.len) {
        check_connect(&p);
        check_connack(&p);
        for (enum mqtt_level level = MQTT_3_1_1; level <= MQTT_5; level++) {
            (void)mqtt_publish_read(&publish, &p, level);
            (void)mqtt_suback_read(&suback, &p, level);
            if (mqtt_filters_read(&f, &p, level))
                while (mqtt_filters_next(&f, &one) == MQTT_READ_OK)
                    ASSERT(one.text.len < p.whole.len);
        }
        (void)mqtt_ack_read(&ack, &p);
        (void)mqtt_disconnect_reason(&p);
    }
}

static void check_whole(struct fake_said *s, bool is_blind)
{
    struct mqtt_packet p;
    while (s->count > 0) {
        struct fake_message m = fake_said_take(s);
        const uint8_t *at = (const uint8_t *)m.data;
        for (size_t left = m.len; left > 0 && !is_blind; at += p.whole.len, left -= p.whole.len)
            ASSERT(mqtt_packet_read(&p, at, left) == MQTT_READ_OK);
        free(m.data);
    }
}

static void say(struct session *s, struct leg *from, const uint8_t *data, size_t len, bool is_whole)
{
    struct ws_message m = fake_message(WS_OPCODE_BINARY, data, len);
    m.is_whole = is_whole;
    m.is_at_limit = !is_whole;
    if (from != NULL)
        (void)fake_server_says(s, from, m);
    else
        (void)fake_client_says(s, m);
}

static void step(struct session *s, uint8_t what, const uint8_t *data, size_t len)
{
    struct leg *const leg = session_leg(s), *const next = session_next_leg(s);
    switch (what % 16) {
    case 'l' % 16: /* lost */
        if (s->leg != NULL)
            fake_lose(s, s->leg);
        break;
    case 'n' % 16: /* the next one is lost */
        if (s->next != NULL)
            fake_lose(s, s->next);
        break;
    case 'f' % 16: /* found */
        if (s->next == NULL && s->leg_count < FAKE_LEGS_MAX && s->protocol->wants_server(s->speaker))
            (void)fake_find(s);
        break;
    case 't' % 16:
        fake_advance(s, (int64_t)len * 1000);
        break;
    case 'x' % 16:
        if (leg != NULL)
            (void)fake_server_closes(s, leg, 1000, "");
        break;
    case 'b' % 16:
        if (leg != NULL)
            say(s, leg, data, len, false);
        break;
    case 's' % 16:
        if (leg != NULL)
            say(s, leg, data, len, true);
        break;
    case 'm' % 16:
        if (next != NULL)
            say(s, next, data, len, true);
        break;
    case 'o' % 16:
        if (s->old != NULL)
            say(s, s->old, data, len, true);
        break;
    default:
        say(s, NULL, data, len, true);
    }
    fake_settle(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct session *s = fake_open(&protocol_mqtt, "mqtt", "");
    bool is_blind = false;
    read_everything(data, len);
    s->conf.channel_count = s->conf.queue_count = 8;
    for (unsigned i = 0; i < STEPS_MAX && len >= 2 && s->end_code == 0; i++) {
        const size_t n = data[1] < len - 2 ? data[1] : len - 2;
        step(s, data[0], data + 2, n);
        is_blind |= s->note != NULL && strstr(s->note, "too long") != NULL;
        check_whole(&s->told, is_blind);
        for (uint32_t l = 0; l < s->leg_count; l++)
            check_whole(&s->legs[l]->said, is_blind);
        data += 2 + n;
        len -= 2 + n;
    }
    s->protocol->on_end(s->speaker, 1012);
    fake_close(&s);
    return 0;
}
