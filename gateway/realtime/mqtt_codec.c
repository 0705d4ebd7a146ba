/* MQTT control packets. The hard part is version 5's properties: their table says how long each is, because one that
 * is not known cannot be jumped over. Section numbers are those of version 5.0. */
#include "gateway/realtime/mqtt_codec.h"

#include <string.h>

#include "base/assert.h"

#define LENGTH_BYTES 4u /* of a variable byte integer, at most (section 1.5.5) */

/* ---- a place in a packet, with an error that stays ---- */

struct cursor {
    const uint8_t *at, *end;
    bool is_bad;
};

static struct cursor cursor_over(struct mqtt_view v)
{
    return (struct cursor){.at = v.data, .end = v.len > 0 ? v.data + v.len : v.data};
}

static struct mqtt_view take(struct cursor *c, size_t len)
{
    if (c->is_bad || (size_t)(c->end - c->at) < len) {
        c->is_bad = true;
        return (struct mqtt_view){NULL, 0};
    }
    c->at += len;
    return (struct mqtt_view){c->at - len, len};
}

static struct mqtt_view take_rest(struct cursor *c)
{
    return take(c, (size_t)(c->end - c->at));
}

static uint32_t take_number(struct cursor *c, size_t width)
{
    const struct mqtt_view v = take(c, width);
    uint32_t n = 0;
    for (size_t i = 0; i < v.len; i++)
        n = n << 8 | v.data[i];
    return n;
}

static uint32_t take_varint(struct cursor *c)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < LENGTH_BYTES; i++) {
        const uint32_t byte = take_number(c, 1);
        n |= (byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0)
            return n;
    }
    c->is_bad = true;
    return 0;
}

static struct mqtt_view take_text(struct cursor *c)
{
    return take(c, take_number(c, 2));
}

/* ---- properties (section 2.2.2) ---- */

enum property_kind {
    KIND_UNKNOWN = 0,
    KIND_1,
    KIND_2,
    KIND_4,
    KIND_VARINT,
    KIND_TEXT, /* or binary data, which looks the same */
    KIND_PAIR,
};
enum property {
    PROPERTY_IDENTIFIER = 0x0b,
    PROPERTY_SESSION_EXPIRY = 0x11,
    PROPERTY_ASSIGNED_ID = 0x12,
    PROPERTY_KEEP_ALIVE = 0x13,
    PROPERTY_AUTH_METHOD = 0x15,
    PROPERTY_TOPIC_ALIAS_MAX = 0x22,
};

/* clang-format off */
static const uint8_t property_kinds[] = {
    [0x01] = KIND_1,      [0x02] = KIND_4,    [0x03] = KIND_TEXT, [0x08] = KIND_TEXT, [0x09] = KIND_TEXT,
    [0x0b] = KIND_VARINT, [0x11] = KIND_4,    [0x12] = KIND_TEXT, [0x13] = KIND_2,    [0x15] = KIND_TEXT,
    [0x16] = KIND_TEXT,   [0x17] = KIND_1,    [0x18] = KIND_4,    [0x19] = KIND_1,    [0x1a] = KIND_TEXT,
    [0x1c] = KIND_TEXT,   [0x1f] = KIND_TEXT, [0x21] = KIND_2,    [0x22] = KIND_2,    [0x23] = KIND_2,
    [0x24] = KIND_1,      [0x25] = KIND_1,    [0x26] = KIND_PAIR, [0x27] = KIND_4,    [0x28] = KIND_1,
    [0x29] = KIND_1,      [0x2a] = KIND_1,
};
/* clang-format on */

struct property_read {
    uint8_t id;
    uint32_t number;
    struct mqtt_view text;
    struct mqtt_view whole;
};

/* False at the end, and when it is bad. */
static bool next_property(struct cursor *c, struct property_read *p)
{
    if (c->is_bad || c->at == c->end)
        return false;
    const uint8_t *begin = c->at;
    const uint32_t id = take_varint(c);

    *p = (struct property_read){.id = (uint8_t)id};
    switch (id < sizeof property_kinds ? (enum property_kind)property_kinds[id] : KIND_UNKNOWN) {
    case KIND_UNKNOWN:
        c->is_bad = true;
        break;
    case KIND_1:
        p->number = take_number(c, 1);
        break;
    case KIND_2:
        p->number = take_number(c, 2);
        break;
    case KIND_4:
        p->number = take_number(c, 4);
        break;
    case KIND_VARINT:
        p->number = take_varint(c);
        break;
    case KIND_PAIR:
        (void)take_text(c);
        p->text = take_text(c);
        break;
    case KIND_TEXT:
        p->text = take_text(c);
        break;
    }
    p->whole = (struct mqtt_view){begin, (size_t)(c->at - begin)};
    return !c->is_bad;
}

static struct mqtt_view take_properties(struct cursor *c)
{
    return take(c, take_varint(c));
}

/* ---- the fixed header ---- */

/* What the lower half of the first byte must be (section 2.1.3); 0xff: it means something. */
static const uint8_t fixed_flags[16] = {
    [MQTT_PUBLISH] = 0xff, [MQTT_PUBREL] = 0x02, [MQTT_SUBSCRIBE] = 0x02, [MQTT_UNSUBSCRIBE] = 0x02};

enum mqtt_read mqtt_packet_read(struct mqtt_packet *p, const uint8_t *bytes, size_t len)
{
    *p = (struct mqtt_packet){.whole = {bytes, 0}};
    if (len == 0)
        return MQTT_READ_MORE;
    p->flags = bytes[0] & 0x0f;
    const uint8_t type = bytes[0] >> 4;
    const uint8_t want = fixed_flags[type];
    if (type == 0 || (want != 0xff && p->flags != want))
        return MQTT_READ_BAD;
    p->type = (enum mqtt_type)type;

    size_t body_bytes = 0;
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        if (i + 1 >= len)
            return MQTT_READ_MORE;
        const uint8_t byte = bytes[1 + i];
        body_bytes |= (size_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) != 0)
            continue;
        p->whole.len = 2 + i + body_bytes;
        p->body = (struct mqtt_view){bytes + 2 + i, body_bytes};
        return len < p->whole.len ? MQTT_READ_MORE : MQTT_READ_OK;
    }
    return MQTT_READ_BAD;
}

/* ---- reading packets ---- */

/* Section 3.1.2.3. */
enum connect_flag { CONNECT_RESERVED = 0x01, CONNECT_CLEAN = 0x02 };

static bool read_connect_properties(struct mqtt_connect *c)
{
    struct cursor in = cursor_over(c->properties);
    struct property_read one;

    while (next_property(&in, &one)) {
        if (one.id == PROPERTY_SESSION_EXPIRY)
            c->session_expiry_s = one.number;
        if (one.id == PROPERTY_TOPIC_ALIAS_MAX)
            c->has_topic_aliases = true;
        if (one.id == PROPERTY_AUTH_METHOD)
            c->has_auth_method = true;
    }
    return !in.is_bad;
}

bool mqtt_connect_read(struct mqtt_connect *c, const struct mqtt_packet *p)
{
    struct cursor in = cursor_over(p->body);
    const struct mqtt_view name = take_text(&in);

    *c = (struct mqtt_connect){.level = (uint8_t)take_number(&in, 1)};
    if (in.is_bad)
        return false;
    if (name.len != 4 || memcmp(name.data, "MQTT", 4) != 0 || (c->level != MQTT_3_1_1 && c->level != MQTT_5))
        return true;
    c->flags = (uint8_t)take_number(&in, 1);
    c->is_clean = (c->flags & CONNECT_CLEAN) != 0;
    c->keep_alive_s = (uint16_t)take_number(&in, 2);
    if (c->level == MQTT_5)
        c->properties = take_properties(&in);
    c->client_id = take_text(&in);
    c->rest = take_rest(&in);
    return !in.is_bad && (c->flags & CONNECT_RESERVED) == 0 && (c->properties.len == 0 || read_connect_properties(c));
}

bool mqtt_connack_read(struct mqtt_connack *c, const struct mqtt_packet *p, enum mqtt_level level)
{
    struct cursor in = cursor_over(p->body);
    struct property_read one;

    *c = (struct mqtt_connack){.flags = (uint8_t)take_number(&in, 1)};
    c->reason = (uint8_t)take_number(&in, 1);
    if (level != MQTT_5 || in.is_bad)
        return !in.is_bad;
    c->properties = take_properties(&in);
    if (in.is_bad)
        return false;
    in = cursor_over(c->properties);
    while (next_property(&in, &one)) {
        if (one.id == PROPERTY_KEEP_ALIVE) {
            c->has_keep_alive = true;
            c->keep_alive_s = (uint16_t)one.number;
        }
        if (one.id == PROPERTY_TOPIC_ALIAS_MAX)
            c->has_topic_aliases = true;
        if (one.id == PROPERTY_ASSIGNED_ID)
            c->assigned_id = one.text;
    }
    return !in.is_bad;
}

bool mqtt_publish_read(struct mqtt_publish *m, const struct mqtt_packet *p, enum mqtt_level level)
{
    struct cursor in = cursor_over(p->body);

    *m = (struct mqtt_publish){.qos = p->flags >> 1 & 3, .is_retained = (p->flags & 1) != 0};
    m->topic = take_text(&in);
    if (m->qos > 0)
        m->packet_id = (uint16_t)take_number(&in, 2);
    if (level == MQTT_5)
        (void)take_properties(&in);
    m->payload = take_rest(&in);
    return !in.is_bad && m->qos < 3 && (m->qos == 0 || m->packet_id != 0);
}

bool mqtt_ack_read(struct mqtt_ack *a, const struct mqtt_packet *p)
{
    struct cursor in = cursor_over(p->body);

    *a = (struct mqtt_ack){.packet_id = (uint16_t)take_number(&in, 2)};
    if (!in.is_bad && in.at < in.end)
        a->reason = (uint8_t)take_number(&in, 1);
    return !in.is_bad && a->packet_id != 0;
}

bool mqtt_filters_read(struct mqtt_filters *f, const struct mqtt_packet *p, enum mqtt_level level)
{
    struct cursor in = cursor_over(p->body);
    struct property_read one;

    *f = (struct mqtt_filters){.packet_id = (uint16_t)take_number(&in, 2), .has_options = p->type == MQTT_SUBSCRIBE};
    if (level == MQTT_5) {
        struct cursor all = cursor_over(take_properties(&in));
        while (!in.is_bad && next_property(&all, &one))
            if (one.id == PROPERTY_IDENTIFIER)
                f->identifier = one.number;
        in.is_bad |= all.is_bad;
    }
    f->left = take_rest(&in);
    return !in.is_bad && f->packet_id != 0 && f->left.len > 0;
}

enum mqtt_read mqtt_filters_next(struct mqtt_filters *f, struct mqtt_filter *out)
{
    struct cursor in = cursor_over(f->left);

    if (f->left.len == 0)
        return MQTT_READ_MORE;
    out->text = take_text(&in);
    out->options = f->has_options ? (uint8_t)take_number(&in, 1) : 0;
    if (in.is_bad)
        return MQTT_READ_BAD;
    f->left = take_rest(&in);
    return MQTT_READ_OK;
}

bool mqtt_suback_read(struct mqtt_suback *a, const struct mqtt_packet *p, enum mqtt_level level)
{
    struct cursor in = cursor_over(p->body);

    *a = (struct mqtt_suback){.packet_id = (uint16_t)take_number(&in, 2)};
    if (level == MQTT_5)
        (void)take_properties(&in);
    a->codes = take_rest(&in);
    return !in.is_bad;
}

uint8_t mqtt_disconnect_reason(const struct mqtt_packet *p)
{
    return p->body.len > 0 ? p->body.data[0] : 0;
}

/* ---- writing ---- */

static void add_number(struct strbuf *out, uint32_t n, size_t width)
{
    uint8_t bytes[4];
    for (size_t i = 0; i < width; i++)
        bytes[i] = (uint8_t)(n >> (8 * (width - 1 - i)));
    strbuf_add(out, bytes, width);
}

static size_t varint_bytes(size_t n)
{
    return n < 0x80 ? 1 : n < 0x4000 ? 2 : n < 0x200000 ? 3 : 4;
}

static void add_varint(struct strbuf *out, size_t n)
{
    do {
        add_number(out, (uint32_t)((n & 0x7f) | (n > 0x7f ? 0x80 : 0)), 1);
        n >>= 7;
    } while (n > 0);
}

static void add_view(struct strbuf *out, struct mqtt_view v)
{
    if (v.len > 0)
        strbuf_add(out, v.data, v.len);
}

static void add_text(struct strbuf *out, struct mqtt_view v)
{
    add_number(out, (uint32_t)v.len, 2);
    add_view(out, v);
}

static void add_header(struct strbuf *out, enum mqtt_type type, size_t body_bytes)
{
    const uint8_t flags = fixed_flags[type] != 0xff ? fixed_flags[type] : 0;
    add_number(out, (uint32_t)((unsigned)type << 4 | flags), 1);
    add_varint(out, body_bytes);
}

/* How long the properties are without topic aliases, and, with `out`, they themselves. */
static size_t other_properties(struct strbuf *out, struct mqtt_view properties)
{
    struct cursor in = cursor_over(properties);
    struct property_read one;
    size_t bytes = 0;

    while (properties.len > 0 && next_property(&in, &one)) {
        if (one.id == PROPERTY_TOPIC_ALIAS_MAX)
            continue;
        bytes += one.whole.len;
        if (out != NULL)
            add_view(out, one.whole);
    }
    return bytes;
}

void mqtt_connect_write(struct strbuf *out, const struct mqtt_connect *c, struct mqtt_view client_id)
{
    const size_t property_bytes = other_properties(NULL, c->properties);
    size_t bytes = 10 + 2 + client_id.len + c->rest.len;

    if (c->level == MQTT_5)
        bytes += varint_bytes(property_bytes) + property_bytes;
    add_header(out, MQTT_CONNECT, bytes);
    add_text(out, (struct mqtt_view){(const uint8_t *)"MQTT", 4});
    add_number(out, c->level, 1);
    add_number(out, c->flags, 1);
    add_number(out, c->keep_alive_s, 2);
    if (c->level == MQTT_5) {
        add_varint(out, property_bytes);
        (void)other_properties(out, c->properties);
    }
    add_text(out, client_id);
    add_view(out, c->rest);
}

void mqtt_connack_write(struct strbuf *out, const struct mqtt_connack *c)
{
    const size_t property_bytes = other_properties(NULL, c->properties);

    add_header(out, MQTT_CONNACK, 2 + varint_bytes(property_bytes) + property_bytes);
    add_number(out, c->flags, 1);
    add_number(out, c->reason, 1);
    add_varint(out, property_bytes);
    (void)other_properties(out, c->properties);
}

void mqtt_ack_write(struct strbuf *out, enum mqtt_type type, enum mqtt_level level, uint16_t packet_id, uint8_t reason)
{
    const bool has_reason = level == MQTT_5 && reason != MQTT_SUCCESS;

    add_header(out, type, has_reason ? 3 : 2);
    add_number(out, packet_id, 2);
    if (has_reason)
        add_number(out, reason, 1);
}

void mqtt_ping_write(struct strbuf *out, enum mqtt_type type)
{
    ASSERT(type == MQTT_PINGREQ || type == MQTT_PINGRESP);
    add_header(out, type, 0);
}

void mqtt_disconnect_write(struct strbuf *out, uint8_t reason)
{
    add_header(out, MQTT_DISCONNECT, 1);
    add_number(out, reason, 1);
}

void mqtt_subscribe_write(struct strbuf *out, enum mqtt_level level, uint16_t packet_id, uint32_t identifier,
                          const struct mqtt_filter *filters, size_t count)
{
    const size_t property_bytes = identifier != 0 ? 1 + varint_bytes(identifier) : 0;
    size_t bytes = 2;

    if (level == MQTT_5)
        bytes += varint_bytes(property_bytes) + property_bytes;
    for (size_t i = 0; i < count; i++)
        bytes += 2 + filters[i].text.len + 1;
    add_header(out, MQTT_SUBSCRIBE, bytes);
    add_number(out, packet_id, 2);
    if (level == MQTT_5)
        add_varint(out, property_bytes);
    if (level == MQTT_5 && identifier != 0) {
        add_number(out, PROPERTY_IDENTIFIER, 1);
        add_varint(out, identifier);
    }
    for (size_t i = 0; i < count; i++) {
        add_text(out, filters[i].text);
        add_number(out, filters[i].options, 1);
    }
}

void mqtt_refusal_write(struct strbuf *out, enum mqtt_type answer, enum mqtt_level level, uint16_t packet_id,
                        size_t count)
{
    const size_t code_count = level == MQTT_5 || answer == MQTT_SUBACK ? count : 0;

    add_header(out, answer, 2 + (level == MQTT_5 ? 1u : 0u) + code_count);
    add_number(out, packet_id, 2);
    if (level == MQTT_5)
        add_varint(out, 0);
    for (size_t i = 0; i < code_count; i++)
        add_number(out, MQTT_UNSPECIFIED, 1);
}
