/* Reading must cost next to nothing, for every message of a session comes by: of vsn 2.0.0 the first four elements are
 * read where they lie, and what is behind them is taken as it is. The objects of vsn 1.0.0 have no order, so all of one
 * must be seen. */
#include "gateway/realtime/phx_frame.h"

#include <string.h>

#include "base/assert.h"
#include "base/json_scan.h"

#define NONE ((struct phx_text){NULL, 0})

static enum phx_read read_of(enum json_read r)
{
    return r == JSON_OK ? PHX_READ_OK : r == JSON_MORE ? PHX_READ_MORE : PHX_READ_BAD;
}

/* ---- text messages ---- */

static enum json_read read_ref(struct json_scan *s, struct phx_text *ref)
{
    struct json_text value;
    char first;
    enum json_read r = json_peek(s, &first);
    if (r != JSON_OK)
        return r;
    if (first == '"') {
        struct json_string string;
        r = json_read_string(s, &string);
        if (r == JSON_OK)
            *ref = (struct phx_text){string.data - 1, string.len + 2};
        return r;
    }
    if (first == '{' || first == '[')
        return JSON_BAD;
    r = json_skip(s, &value);
    if (r == JSON_OK)
        *ref = (struct phx_text){value.data, value.len};
    return r;
}

static enum json_read read_name(struct json_scan *s, struct phx_text *name, char room[PHX_NAME_BYTES])
{
    struct json_string string;
    const enum json_read r = json_read_string(s, &string);
    if (r != JSON_OK)
        return r;
    *name = (struct phx_text){string.data, string.len};
    if (string.has_escapes) {
        name->data = room;
        name->len = json_decode(string, room, PHX_NAME_BYTES);
    }
    return name->len <= PHX_NAME_BYTES ? JSON_OK : JSON_BAD;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* From behind the fourth comma to the bracket that ends the message. */
static enum phx_read take_payload(struct phx_frame *f, const char *at, const char *end)
{
    while (end > at && is_blank(end[-1]))
        end--;
    if (end == at || *--end != ']')
        return PHX_READ_BAD;
    while (at < end && is_blank(*at))
        at++;
    while (end > at && is_blank(end[-1]))
        end--;
    f->payload = (struct phx_text){at, (size_t)(end - at)};
    return at < end ? PHX_READ_OK : PHX_READ_BAD;
}

static enum json_read read_comma(struct json_scan *s)
{
    char c;
    const enum json_read r = json_peek(s, &c);
    if (r != JSON_OK)
        return r;
    s->at++;
    return c == ',' ? JSON_OK : JSON_BAD;
}

/* The next byte that ends plain text, not behind `end`, which counts as one: so it must not be asked for more after
 * that. `marks` are those of the block that are yet to be seen. */
static inline const char *next_mark(const char **block, const char *end, uint64_t *marks)
{
    while (*marks == 0) {
        *block += 64;
        *marks = json_special_bits(*block, (size_t)(end - *block));
    }
    const char *at = *block + __builtin_ctzll(*marks);
    *marks &= *marks - 1;
    return at;
}

/* Nearly all messages are written in this one way: four strings without escapes, or null, and no blanks. Where the
 * quotes are is found 64 bytes at a time; of most messages all that matters lies in the first of them. What is behind
 * the fourth comma; NULL: it may still be good. */
static const char *read_usual_array(struct phx_frame *f, const char *at, const char *end)
{
    struct phx_text parts[4]; /* with their quotes */
    const char *block = at;
    if (at == end || *at++ != '[')
        return NULL;
    uint64_t marks = json_special_bits(block, (size_t)(end - block));
    for (size_t i = 0; i < 4; i++) {
        if (end - at > 5 && *at == 'n' && memcmp(at, "null,", 5) == 0) {
            parts[i] = (struct phx_text){at, 4};
            at += 5;
            continue;
        }
        if (at == end || *at != '"')
            return NULL;
        (void)next_mark(&block, end, &marks); /* this quote */
        const char *close = next_mark(&block, end, &marks);
        if (end - close < 2 || memcmp(close, "\",", 2) != 0)
            return NULL;
        parts[i] = (struct phx_text){at, (size_t)(close + 1 - at)};
        at = close + 2;
    }
    if (parts[2].data[0] != '"' || parts[3].data[0] != '"' || parts[2].len > PHX_NAME_BYTES + 2 ||
        parts[3].len > PHX_NAME_BYTES + 2)
        return NULL;
    f->join_ref = parts[0];
    f->ref = parts[1];
    f->topic = (struct phx_text){parts[2].data + 1, parts[2].len - 2};
    f->event = (struct phx_text){parts[3].data + 1, parts[3].len - 2};
    return at;
}

static enum phx_read read_array(struct phx_frame *f, struct json_scan s)
{
    char first;
    const char *rest = read_usual_array(f, s.at, s.end);
    if (rest != NULL)
        return s.is_whole ? take_payload(f, rest, s.end) : PHX_READ_OK;
    enum json_read r = json_peek(&s, &first);
    if (r == JSON_OK && first != '[')
        r = JSON_BAD;
    if (r == JSON_OK) {
        s.at++;
        r = read_ref(&s, &f->join_ref);
    }
    if (r == JSON_OK && (r = read_comma(&s)) == JSON_OK)
        r = read_ref(&s, &f->ref);
    if (r == JSON_OK && (r = read_comma(&s)) == JSON_OK)
        r = read_name(&s, &f->topic, f->topic_room);
    if (r == JSON_OK && (r = read_comma(&s)) == JSON_OK)
        r = read_name(&s, &f->event, f->event_room);
    if (r == JSON_OK)
        r = read_comma(&s);
    if (r != JSON_OK || !s.is_whole)
        return read_of(r);
    return take_payload(f, s.at, s.end);
}

enum key { KEY_TOPIC = 1, KEY_EVENT = 2, KEY_PAYLOAD = 4, KEY_REF = 8, KEY_JOIN_REF = 16, KEY_OTHER = 32 };

static enum key key_of(const struct json_string *name)
{
    static const struct {
        const char *text;
        size_t len;
        enum key key;
    } keys[] = {
        {"topic", 5, KEY_TOPIC}, {"event", 5, KEY_EVENT},       {"payload", 7, KEY_PAYLOAD},
        {"ref", 3, KEY_REF},     {"join_ref", 8, KEY_JOIN_REF},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (name->has_escapes ? json_string_is(*name, keys[i].text, keys[i].len)
                              : name->len == keys[i].len && memcmp(name->data, keys[i].text, keys[i].len) == 0)
            return keys[i].key;
    return KEY_OTHER;
}

static enum json_read read_member(struct phx_frame *f, struct json_scan *s, enum key key)
{
    struct json_text value;
    enum json_read r;
    switch (key) {
    case KEY_TOPIC:
        return read_name(s, &f->topic, f->topic_room);
    case KEY_EVENT:
        return read_name(s, &f->event, f->event_room);
    case KEY_REF:
        return read_ref(s, &f->ref);
    case KEY_JOIN_REF:
        return read_ref(s, &f->join_ref);
    case KEY_PAYLOAD:
    case KEY_OTHER:
        break;
    }
    r = json_skip(s, &value);
    if (r == JSON_OK && key == KEY_PAYLOAD)
        f->payload = (struct phx_text){value.data, value.len};
    return r;
}

static enum phx_read read_object(struct phx_frame *f, enum phx_sender from, struct json_scan s)
{
    struct json_walk w;
    struct json_string name;
    char first;
    unsigned seen = 0;
    enum json_read r = json_peek(&s, &first);
    if (r != JSON_OK || first != '{')
        return r == JSON_OK ? PHX_READ_BAD : read_of(r);
    if (!s.is_whole)
        return PHX_READ_MORE;
    r = json_enter(&w, &s);
    while (r == JSON_OK && (r = json_next_member(&w, &name)) == JSON_OK) {
        const enum key key = key_of(&name);
        seen |= key;
        r = read_member(f, &s, key);
    }
    /* Servers refuse messages without a ref, and do not all write one where they have none. */
    const unsigned needed = KEY_TOPIC | KEY_EVENT | KEY_PAYLOAD | (from == PHX_FROM_CLIENT ? KEY_REF : 0u);
    if (r != JSON_END || (seen & needed) != needed || json_peek(&s, &first) == JSON_OK)
        return PHX_READ_BAD;
    return PHX_READ_OK;
}

/* ---- binary messages ---- */

enum part { PART_JOIN_REF, PART_REF, PART_TOPIC, PART_EVENT, PART_STATUS, PART_USER_EVENT, PART_METADATA, PART_COUNT };

/* What the lengths behind the kind are those of, in the order in which they are followed by the texts. */
struct layout {
    enum phx_sender from;
    enum phx_kind kind;
    bool has_encoding;
    uint8_t part_count;
    uint8_t parts[5];
    const char *event; /* where it is not written */
};

static const struct layout layouts[] = {
    {PHX_FROM_CLIENT, PHX_PUSH, false, 4, {PART_JOIN_REF, PART_REF, PART_TOPIC, PART_EVENT}, NULL},
    {PHX_FROM_SERVER, PHX_PUSH, false, 3, {PART_JOIN_REF, PART_TOPIC, PART_EVENT}, NULL},
    {PHX_FROM_SERVER, PHX_REPLY, false, 4, {PART_JOIN_REF, PART_REF, PART_TOPIC, PART_STATUS}, "phx_reply"},
    {PHX_FROM_SERVER, PHX_BROADCAST, false, 2, {PART_TOPIC, PART_EVENT}, NULL},
    {PHX_FROM_CLIENT,
     PHX_USER_PUSH,
     true,
     5,
     {PART_JOIN_REF, PART_REF, PART_TOPIC, PART_USER_EVENT, PART_METADATA},
     "broadcast"},
    {PHX_FROM_SERVER, PHX_USER_BROADCAST, true, 3, {PART_TOPIC, PART_USER_EVENT, PART_METADATA}, "broadcast"},
};

static const struct layout *layout_of(enum phx_sender from, uint8_t kind)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (layouts[i].from == from && layouts[i].kind == (enum phx_kind)kind)
            return &layouts[i];
    return NULL;
}

/* Puts a reference in quotes. One that would have to be escaped is not understood: nobody's library makes such. */
static bool quote_ref(struct phx_text *ref, char room[PHX_NAME_BYTES])
{
    if (ref->len == 0)
        return true;
    for (size_t i = 0; i < ref->len; i++)
        if (ref->data[i] == '"' || ref->data[i] == '\\' || (unsigned char)ref->data[i] < 0x20)
            return false;
    room[0] = '"';
    memcpy(room + 1, ref->data, ref->len);
    room[ref->len + 1] = '"';
    *ref = (struct phx_text){room, ref->len + 2};
    return true;
}

static enum phx_read read_binary(struct phx_frame *f, enum phx_sender from, const uint8_t *bytes, size_t len,
                                 bool is_whole)
{
    const enum phx_read short_read = is_whole ? PHX_READ_BAD : PHX_READ_MORE;
    if (len == 0)
        return short_read;
    const struct layout *l = layout_of(from, bytes[0]);
    if (l == NULL)
        return PHX_READ_BAD;
    const size_t head = (size_t)1 + l->part_count + l->has_encoding;
    if (len < head)
        return short_read;
    struct phx_text parts[PART_COUNT] = {{NULL, 0}};
    size_t at = head;
    for (size_t i = 0; i < l->part_count; i++) {
        const size_t part_len = bytes[1 + i];
        if (part_len > len - at)
            return short_read;
        parts[l->parts[i]] = (struct phx_text){(const char *)bytes + at, part_len};
        at += part_len;
    }
    if (l->has_encoding && bytes[head - 1] > 1)
        return PHX_READ_BAD;
    f->kind = l->kind;
    f->join_ref = parts[PART_JOIN_REF];
    f->ref = parts[PART_REF];
    f->topic = parts[PART_TOPIC];
    f->event = l->event != NULL ? (struct phx_text){l->event, strlen(l->event)} : parts[PART_EVENT];
    f->user_event = parts[PART_USER_EVENT];
    f->metadata = parts[PART_METADATA];
    f->status = parts[PART_STATUS];
    f->payload_is_json = l->has_encoding && bytes[head - 1] == 1;
    if (is_whole)
        f->payload = (struct phx_text){(const char *)bytes + at, len - at};
    return quote_ref(&f->join_ref, f->topic_room) && quote_ref(&f->ref, f->event_room) ? PHX_READ_OK : PHX_READ_BAD;
}

/* ---- reading ---- */

enum phx_read phx_frame_read(struct phx_frame *f, enum phx_vsn vsn, enum phx_sender from, const uint8_t *bytes,
                             size_t len, bool is_binary, bool is_whole)
{
    /* Everything but the rooms, which are large and seldom needed. */
    memset(f, 0, offsetof(struct phx_frame, topic_room));
    if (is_binary)
        return vsn == PHX_V2 ? read_binary(f, from, bytes, len, is_whole) : PHX_READ_BAD;
    f->kind = PHX_JSON;
    f->payload_is_json = true;
    const struct json_scan s = json_scan_of((const char *)bytes, len, is_whole);
    return vsn == PHX_V2 ? read_array(f, s) : read_object(f, from, s);
}

/* ---- comparing ---- */

bool phx_ref_is_null(struct phx_text ref)
{
    return ref.len == 0 || phx_text_is(ref, "null");
}

#define REF_BYTES 256u

/* What a reference says, without its quotes; in `room` when it has escapes. NONE when that is too long. */
static struct phx_text bare_ref(struct phx_text ref, char room[REF_BYTES])
{
    struct json_string string;
    if (!json_to_string((struct json_text){ref.data, ref.len}, &string))
        return ref;
    if (!string.has_escapes)
        return (struct phx_text){string.data, string.len};
    const size_t len = json_decode(string, room, REF_BYTES);
    return len <= REF_BYTES ? (struct phx_text){room, len} : NONE;
}

bool phx_ref_equal(struct phx_text a, struct phx_text b)
{
    char a_room[REF_BYTES], b_room[REF_BYTES];
    if (phx_text_equal(a, b))
        return true;
    if (phx_ref_is_null(a) || phx_ref_is_null(b))
        return phx_ref_is_null(a) && phx_ref_is_null(b);
    a = bare_ref(a, a_room);
    b = bare_ref(b, b_room);
    return a.data != NULL && b.data != NULL && phx_text_equal(a, b);
}

/* ---- writing ---- */

static void put_ref(struct strbuf *out, struct phx_text ref)
{
    if (ref.len == 0)
        strbuf_puts(out, "null");
    else
        strbuf_add(out, ref.data, ref.len);
}

static void put_payload(struct strbuf *out, struct phx_text payload)
{
    if (payload.len == 0)
        strbuf_puts(out, "{}");
    else
        strbuf_add(out, payload.data, payload.len);
}

static void put_array(struct strbuf *out, const struct phx_say *say)
{
    strbuf_puts(out, "[");
    put_ref(out, say->join_ref);
    strbuf_puts(out, ",");
    put_ref(out, say->ref);
    strbuf_puts(out, ",");
    strbuf_json_string(out, say->topic.data, say->topic.len);
    strbuf_puts(out, ",");
    strbuf_json_string(out, say->event, strlen(say->event));
    strbuf_puts(out, ",");
    put_payload(out, say->payload);
    strbuf_puts(out, "]");
}

static void put_object(struct strbuf *out, enum phx_sender as, const struct phx_say *say)
{
    strbuf_puts(out, "{\"topic\":");
    strbuf_json_string(out, say->topic.data, say->topic.len);
    strbuf_puts(out, ",\"event\":");
    strbuf_json_string(out, say->event, strlen(say->event));
    strbuf_puts(out, ",\"payload\":");
    put_payload(out, say->payload);
    strbuf_puts(out, ",\"ref\":");
    put_ref(out, say->ref);
    if (as == PHX_FROM_CLIENT) {
        strbuf_puts(out, ",\"join_ref\":");
        put_ref(out, say->join_ref);
    }
    strbuf_puts(out, "}");
}

void phx_write(struct strbuf *out, enum phx_vsn vsn, enum phx_sender as, const struct phx_say *say)
{
    ASSERT(say->event != NULL);
    if (vsn == PHX_V2)
        put_array(out, say);
    else
        put_object(out, as, say);
}

void phx_write_reply(struct strbuf *out, enum phx_vsn vsn, struct phx_text join_ref, struct phx_text ref,
                     struct phx_text topic, const char *status, struct phx_text response)
{
    /* The payload is written by itself first: it is an argument of what writes messages. */
    struct strbuf payload;
    strbuf_init(&payload, response.len + strlen(status) + 64);
    strbuf_puts(&payload, "{\"status\":");
    strbuf_json_string(&payload, status, strlen(status));
    strbuf_puts(&payload, ",\"response\":");
    put_payload(&payload, response);
    strbuf_puts(&payload, "}");
    ASSERT(!payload.failed);
    const struct phx_say say = {
        .join_ref = join_ref, .ref = ref, .topic = topic, .event = "phx_reply", .payload = {payload.data, payload.len}};
    phx_write(out, vsn, PHX_FROM_SERVER, &say);
    strbuf_fini(&payload);
}
