/* HTTP/2 frames written by hand and read back as text, for tests that must send what no library would. */
#ifndef TESTS_UNIT_GATEWAY_HTTP_H2_WIRE_H
#define TESTS_UNIT_GATEWAY_HTTP_H2_WIRE_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

enum {
    DATA = 0,
    HEADERS = 1,
    PRIORITY = 2,
    RST_STREAM = 3,
    SETTINGS = 4,
    PUSH_PROMISE = 5,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8,
    CONTINUATION = 9,
};
#define END_STREAM  0x01u
#define ACK         0x01u
#define END_HEADERS 0x04u
#define PADDED      0x08u

struct wire {
    size_t len;
    uint8_t data[400000];
};

static inline void wire_put(struct wire *w, const void *data, size_t len)
{
    ASSERT(w->len + len <= sizeof w->data);
    if (len > 0)
        memcpy(w->data + w->len, data, len);
    w->len += len;
}

static inline void wire_frame(struct wire *w, int type, unsigned flags, uint32_t id, const void *payload, size_t len)
{
    const uint8_t header[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
                               (uint8_t)type,        (uint8_t)flags,      (uint8_t)(id >> 24),
                               (uint8_t)(id >> 16),  (uint8_t)(id >> 8),  (uint8_t)id};
    wire_put(w, header, sizeof header);
    wire_put(w, payload, len);
}

/* A frame whose payload is one number of 32 bits: RST_STREAM, WINDOW_UPDATE. */
static inline void wire_frame_u32(struct wire *w, int type, uint32_t id, uint32_t value)
{
    const uint8_t payload[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    wire_frame(w, type, 0, id, payload, sizeof payload);
}

static inline void wire_setting(struct wire *w, uint16_t name, uint32_t value)
{
    const uint8_t payload[6] = {(uint8_t)(name >> 8),   (uint8_t)name,         (uint8_t)(value >> 24),
                                (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    wire_frame(w, SETTINGS, 0, 0, payload, sizeof payload);
}

/* RFC 7541 section 5.1, with a prefix of 7 bits. */
static inline void wire_string(struct wire *w, const char *text, size_t len)
{
    uint8_t byte;
    size_t rest = len;
    if (rest < 127) {
        byte = (uint8_t)rest;
        wire_put(w, &byte, 1);
    } else {
        byte = 127;
        wire_put(w, &byte, 1);
        for (rest -= 127; rest >= 128; rest >>= 7) {
            byte = (uint8_t)(rest | 128);
            wire_put(w, &byte, 1);
        }
        byte = (uint8_t)rest;
        wire_put(w, &byte, 1);
    }
    wire_put(w, text, len);
}

/* A literal field without indexing and without Huffman (RFC 7541 section 6.2.2): any bytes can be said. */
static inline void wire_field_n(struct wire *block, const char *name, size_t name_len, const char *value,
                                size_t value_len)
{
    wire_put(block, "", 1);
    wire_string(block, name, name_len);
    wire_string(block, value, value_len);
}

static inline void wire_field(struct wire *block, const char *name, const char *value)
{
    wire_field_n(block, name, strlen(name), value, strlen(value));
}

/* One block of name and value pairs, up to NULL, in one frame. */
static inline void wire_headers(struct wire *w, uint32_t id, unsigned flags, ...)
{
    struct wire block;
    va_list ap;
    block.len = 0;
    va_start(ap, flags);
    for (const char *name = va_arg(ap, const char *); name != NULL; name = va_arg(ap, const char *))
        wire_field(&block, name, va_arg(ap, const char *));
    va_end(ap);
    wire_frame(w, HEADERS, flags | END_HEADERS, id, block.data, block.len);
}

#define WIRE_GET(w, id, flags, ...)                                                                                    \
    wire_headers(w, id, flags, ":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a", __VA_ARGS__)

static inline uint32_t wire_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* What frames there are, as text: "SETTINGS HEADERS:1 DATA:1(5)$ RST_STREAM:3=CANCEL". "$" ends the stream. Window
 * updates are left out. The bytes must be whole frames. */
static inline const char *wire_text(const uint8_t *data, size_t len, char *text, size_t cap)
{
    static const char *const names[] = {"DATA", "HEADERS", "PRIORITY", "RST_STREAM",    "SETTINGS",
                                        "PUSH", "PING",    "GOAWAY",   "WINDOW_UPDATE", "CONTINUATION"};
    static const char *const codes[] = {"NO_ERROR",
                                        "PROTOCOL_ERROR",
                                        "INTERNAL_ERROR",
                                        "FLOW_CONTROL_ERROR",
                                        "SETTINGS_TIMEOUT",
                                        "STREAM_CLOSED",
                                        "FRAME_SIZE",
                                        "REFUSED_STREAM",
                                        "CANCEL",
                                        "COMPRESSION_ERROR",
                                        "CONNECT_ERROR",
                                        "ENHANCE_YOUR_CALM",
                                        "INADEQUATE_SECURITY",
                                        "HTTP_1_1_REQUIRED"};
    size_t at = 0, out = 0;
    text[0] = '\0';
    while (at < len) {
        const uint8_t *p = data + at;
        const size_t payload = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        const uint32_t id = wire_u32(p + 5);
        ASSERT(at + 9 + payload <= len && p[3] < sizeof names / sizeof names[0]);
        at += 9 + payload;
        if (p[3] == WINDOW_UPDATE)
            continue;
        out += (size_t)snprintf(text + out, cap - out, "%s%s", out > 0 ? " " : "", names[p[3]]);
        if (id != 0)
            out += (size_t)snprintf(text + out, cap - out, ":%u", id);
        if (p[3] == DATA)
            out += (size_t)snprintf(text + out, cap - out, "(%zu)", payload);
        if (p[3] == RST_STREAM || p[3] == GOAWAY) {
            const uint32_t code = wire_u32(p + 9 + (p[3] == GOAWAY ? 4 : 0));
            out += (size_t)snprintf(text + out, cap - out, "=%s", code < 14 ? codes[code] : "?");
        }
        if ((p[3] == SETTINGS || p[3] == PING) && (p[4] & ACK) != 0)
            out += (size_t)snprintf(text + out, cap - out, "!");
        if ((p[3] == DATA || p[3] == HEADERS) && (p[4] & END_STREAM) != 0)
            out += (size_t)snprintf(text + out, cap - out, "$");
        ASSERT(out < cap);
    }
    return text;
}

#endif
