/* MQTT packets as tests write them down: built here byte by byte, not by what is under test. */
#ifndef TESTS_UNIT_GATEWAY_REALTIME_MQTT_BYTES_H
#define TESTS_UNIT_GATEWAY_REALTIME_MQTT_BYTES_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

struct bytes {
    size_t len;
    uint8_t data[1024];
};

static inline struct bytes bytes_of(const void *data, size_t len)
{
    struct bytes b = {.len = len};
    ASSERT(len <= sizeof b.data);
    memcpy(b.data, data, len);
    return b;
}
/* Of a literal, which may hold NULs. */
#define BYTES(literal) bytes_of(literal, sizeof(literal) - 1)

static inline struct bytes bytes_join(struct bytes a, struct bytes b)
{
    ASSERT(a.len + b.len <= sizeof a.data);
    memcpy(a.data + a.len, b.data, b.len);
    a.len += b.len;
    return a;
}

static inline struct bytes number(unsigned n)
{
    const uint8_t two[] = {(uint8_t)(n >> 8), (uint8_t)n};
    return bytes_of(two, 2);
}

static inline struct bytes text(const char *s)
{
    return bytes_join(number((unsigned)strlen(s)), bytes_of(s, strlen(s)));
}

static inline struct bytes packet(unsigned first, struct bytes body)
{
    uint8_t header[3] = {(uint8_t)first, (uint8_t)body.len};
    if (body.len < 128)
        return bytes_join(bytes_of(header, 2), body);
    header[1] = (uint8_t)((body.len & 0x7f) | 0x80);
    header[2] = (uint8_t)(body.len >> 7);
    return bytes_join(bytes_of(header, 3), body);
}

/* `level` 4 or 5; version 5's properties are written with their length, "" for none. */
static inline struct bytes properties(unsigned level, struct bytes all)
{
    const uint8_t len = (uint8_t)all.len;
    return level == 5 ? bytes_join(bytes_of(&len, 1), all) : bytes_of("", 0);
}
static inline struct bytes nothing(void)
{
    return bytes_of("", 0);
}

static inline struct bytes connect_packet(unsigned level, unsigned flags, unsigned keep_alive_s, struct bytes props,
                                          const char *id)
{
    const uint8_t head[] = {(uint8_t)level, (uint8_t)flags};
    struct bytes b = bytes_join(text("MQTT"), bytes_of(head, 2));
    b = bytes_join(b, number(keep_alive_s));
    b = bytes_join(b, properties(level, props));
    return packet(0x10, bytes_join(b, text(id)));
}

static inline struct bytes connack_packet(unsigned level, unsigned reason, struct bytes props)
{
    const uint8_t head[] = {0, (uint8_t)reason};
    return packet(0x20, bytes_join(bytes_of(head, 2), properties(level, props)));
}

/* `flags`: of the first byte, with the QoS in it. */
static inline struct bytes publish_packet(unsigned level, unsigned flags, unsigned id, const char *topic,
                                          const char *payload)
{
    struct bytes b = text(topic);
    if ((flags & 6) != 0)
        b = bytes_join(b, number(id));
    b = bytes_join(b, properties(level, nothing()));
    return packet(0x30 | flags, bytes_join(b, bytes_of(payload, strlen(payload))));
}
#define QOS0   0x00u
#define QOS1   0x02u
#define QOS2   0x04u
#define DUP    0x08u
#define RETAIN 0x01u

/* PUBACK 0x40, PUBREC 0x50, PUBREL 0x62, PUBCOMP 0x70. */
static inline struct bytes ack_packet(unsigned first, unsigned id)
{
    return packet(first, number(id));
}

static inline struct bytes ack_packet_5(unsigned first, unsigned id, unsigned reason)
{
    const uint8_t r = (uint8_t)reason;
    return packet(first, bytes_join(number(id), bytes_of(&r, 1)));
}

static inline struct bytes subscribe_packet(unsigned level, unsigned id, const char *filter, unsigned options)
{
    const uint8_t o = (uint8_t)options;
    struct bytes b = bytes_join(number(id), properties(level, nothing()));
    return packet(0x82, bytes_join(bytes_join(b, text(filter)), bytes_of(&o, 1)));
}

static inline struct bytes suback_packet(unsigned level, unsigned id, unsigned code)
{
    const uint8_t c = (uint8_t)code;
    return packet(0x90, bytes_join(bytes_join(number(id), properties(level, nothing())), bytes_of(&c, 1)));
}

static inline struct bytes unsubscribe_packet(unsigned level, unsigned id, const char *filter)
{
    return packet(0xa2, bytes_join(bytes_join(number(id), properties(level, nothing())), text(filter)));
}

#define PINGREQ    BYTES("\xc0\x00")
#define PINGRESP   BYTES("\xd0\x00")
#define DISCONNECT BYTES("\xe0\x00")

#endif
