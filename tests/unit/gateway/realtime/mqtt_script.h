/* What scripts about MQTT sessions say: packets of each side, and what the other one hears. */
#ifndef TESTS_UNIT_GATEWAY_REALTIME_MQTT_SCRIPT_H
#define TESTS_UNIT_GATEWAY_REALTIME_MQTT_SCRIPT_H

#include "gateway/realtime/mqtt_codec.h"
#include "gateway/realtime/protocol_rows.h"
#include "tests/unit/gateway/realtime/fake_session.h"
#include "tests/unit/gateway/realtime/mqtt_bytes.h"

#define CLEAN 0x02u

static inline struct bytes hello(unsigned level)
{
    return connect_packet(level, CLEAN, 60, nothing(), "me");
}

static inline void client(struct session *s, struct bytes b)
{
    (void)fake_client_says(s, fake_message(WS_OPCODE_BINARY, b.data, b.len));
}

static inline void server(struct session *s, struct leg *from, struct bytes b)
{
    (void)fake_server_says(s, from, fake_message(WS_OPCODE_BINARY, b.data, b.len));
}

static inline void heard(struct leg *l, struct bytes b)
{
    fake_expect_bytes(&l->said, b.data, b.len);
}

static inline void told(struct session *s, struct bytes b)
{
    fake_expect_bytes(&s->told, b.data, b.len);
}

/* What the client says and its server hears. */
static inline void up(struct session *s, struct bytes b)
{
    client(s, b);
    heard(s->leg, b);
}

static inline void down(struct session *s, struct bytes b)
{
    server(s, s->leg, b);
    told(s, b);
}

static inline struct session *open_new(void)
{
    struct session *s = fake_open(&protocol_mqtt, "mqtt", "");
    assert_non_null(s->speaker);
    return s;
}

static inline struct session *open_session(unsigned level)
{
    struct session *s = open_new();
    up(s, hello(level));
    down(s, connack_packet(level, 0, nothing()));
    return s;
}

static inline void subscribe(struct session *s, unsigned level, unsigned id, const char *filter, unsigned qos)
{
    up(s, subscribe_packet(level, id, filter, qos));
    down(s, suback_packet(level, id, qos));
}

/* The server is lost and another one found, which takes the CONNECT. */
static inline struct leg *lose_and_find(struct session *s, unsigned level)
{
    fake_lose(s, s->leg);
    struct leg *l = fake_find(s);
    heard(l, hello(level));
    server(s, l, connack_packet(level, 0, nothing()));
    return l;
}

static inline void finish(struct session *s)
{
    for (uint32_t i = 0; i < s->leg_count; i++)
        fake_expect_nothing(&s->legs[i]->said);
    fake_expect_nothing(&s->told);
    fake_close(&s);
}

static inline void finish_ended(struct session *s, uint16_t code)
{
    assert_int_equal(s->end_code, code);
    finish(s);
}

#endif
