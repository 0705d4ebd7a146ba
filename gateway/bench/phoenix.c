/* Only what the load tester and a gateway say is understood: arrays without spaces, names without escapes. An answer is
 * written straight behind the others, its length known before. */
#include "gateway/bench/phoenix.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/ws/frame.h"

#define ELEMENT_COUNT 4u /* join_ref, ref, topic, event; the payload comes after them */

struct text {
    const char *data;
    size_t len;
};
#define TEXT(literal) ((struct text){literal, sizeof(literal) - 1})

static bool is(struct text t, const char *what)
{
    return t.len == strlen(what) && memcmp(t.data, what, t.len) == 0;
}

static void add_frame(struct strbuf *out, enum ws_opcode opcode, const struct text *parts, size_t part_count)
{
    uint8_t header[WS_HEADER_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < part_count; i++)
        len += parts[i].len;
    strbuf_add(out, header, ws_header_build(header, opcode, len, NULL));
    for (size_t i = 0; i < part_count; i++)
        strbuf_add(out, parts[i].data, parts[i].len);
}

/* The JSON texts of the first elements, and the rest without the closing bracket. */
static bool split(const char *message, size_t len, struct text elements[ELEMENT_COUNT], struct text *payload)
{
    const char *at = message + 1, *end = message + len;
    if (len < 2 || message[0] != '[' || end[-1] != ']')
        return false;
    for (size_t i = 0; i < ELEMENT_COUNT; i++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        if (comma == NULL)
            return false;
        elements[i] = (struct text){at, (size_t)(comma - at)};
        at = comma + 1;
    }
    *payload = (struct text){at, (size_t)(end - 1 - at)};
    return true;
}

static void answer_text(struct strbuf *out, const char *message, size_t len)
{
    struct text e[ELEMENT_COUNT], payload;
    if (!split(message, len, e, &payload))
        return;
    const bool is_control = is(e[3], "\"phx_join\"") || is(e[3], "\"heartbeat\"") || is(e[3], "\"phx_leave\"");
    const struct text parts[] = {
        TEXT("["),
        e[0],
        TEXT(","),
        e[1],
        TEXT(","),
        e[2],
        TEXT(",\"phx_reply\",{\"status\":\"ok\",\"response\":"),
        is_control ? TEXT("{}") : payload,
        TEXT("}]"),
    };
    add_frame(out, WS_OPCODE_TEXT, parts, sizeof parts / sizeof parts[0]);
}

/* 3, lengths of join_ref, ref, topic, event and metadata, the encoding; these texts; the payload. */
static void answer_binary(struct strbuf *out, const uint8_t *m, size_t len)
{
    if (len < 7 || m[0] != 3)
        return;
    const size_t topic_at = 7u + m[1] + m[2], metadata_at = topic_at + m[3] + m[4], payload_at = metadata_at + m[5];
    if (payload_at > len)
        return;
    const char head[] = {4, (char)m[3], (char)m[4], 0, (char)m[6]};
    const struct text parts[] = {
        {head, sizeof head},
        {(const char *)m + topic_at, metadata_at - topic_at},
        {(const char *)m + payload_at, len - payload_at},
    };
    add_frame(out, WS_OPCODE_BINARY, parts, sizeof parts / sizeof parts[0]);
}

void phoenix_answer(struct strbuf *out, const uint8_t *message, size_t len, bool is_binary)
{
    if (is_binary)
        answer_binary(out, message, len);
    else
        answer_text(out, (const char *)message, len);
}
