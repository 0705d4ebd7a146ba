/* Only what the load tester and a gateway say is understood: arrays without spaces, names without escapes. An answer is
 * written straight behind the others, its length known before. */
#include "gateway/bench/phoenix.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/ws/frame.h"

#define TEXT(literal) ((struct phoenix_text){literal, sizeof(literal) - 1})

bool phoenix_text_is(struct phoenix_text t, const char *what)
{
    return t.len == strlen(what) && memcmp(t.data, what, t.len) == 0;
}

static void add_frame(struct strbuf *out, enum ws_opcode opcode, const struct phoenix_text *parts, size_t part_count)
{
    uint8_t header[WS_HEADER_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < part_count; i++)
        len += parts[i].len;
    strbuf_add(out, header, ws_header_build(header, opcode, len, NULL));
    for (size_t i = 0; i < part_count; i++)
        strbuf_add(out, parts[i].data, parts[i].len);
}

bool phoenix_split(struct phoenix_text message, struct phoenix_text elements[PHOENIX_ELEMENTS],
                   struct phoenix_text *payload)
{
    if (message.len < 2 || message.data[0] != '[' || message.data[message.len - 1] != ']')
        return false;
    const char *at = message.data + 1, *end = message.data + message.len;
    for (size_t i = 0; i < PHOENIX_ELEMENTS; i++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        if (comma == NULL)
            return false;
        elements[i] = (struct phoenix_text){at, (size_t)(comma - at)};
        at = comma + 1;
    }
    *payload = (struct phoenix_text){at, (size_t)(end - 1 - at)};
    return true;
}

static void answer_text(struct strbuf *out, const char *message, size_t len)
{
    struct phoenix_text e[PHOENIX_ELEMENTS], payload;
    if (!phoenix_split((struct phoenix_text){message, len}, e, &payload))
        return;
    const bool is_control = phoenix_text_is(e[3], "\"phx_join\"") || phoenix_text_is(e[3], "\"heartbeat\"") ||
                            phoenix_text_is(e[3], "\"phx_leave\"");
    const struct phoenix_text parts[] = {
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
    const struct phoenix_text parts[] = {
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
