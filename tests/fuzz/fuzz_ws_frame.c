/* Frames from anybody. The first byte chooses the sender, the checks and how the rest is cut. The walker is held
 * against a plain model that reads the same rules off one byte at a time with everything in memory; and what came in
 * pieces must be judged and counted as what came whole. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/ws/close.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/utf8.h"

#define MAX_MESSAGE 300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct outcome {
    enum ws_verdict verdict;
    uint16_t code;
    bool is_torn;
    size_t pass_bytes;
    uint32_t message_count, ping_count, pong_count;
};

static struct outcome walk(const uint8_t *data, size_t len, size_t piece, enum ws_sender sender, bool checks_utf8)
{
    struct outcome o = {.verdict = WS_VERDICT_PASS};
    struct ws_walk w;
    struct ws_seen seen;
    ws_walk_init(&w, sender, MAX_MESSAGE, checks_utf8);
    for (size_t at = 0; at < len && o.verdict == WS_VERDICT_PASS; at += piece) {
        const size_t have = len - at < piece ? len - at : piece;
        o.verdict = ws_walk_feed(&w, data + at, have, &seen);
        ASSERT(seen.pass_bytes <= have && seen.boundary >= -1 && seen.boundary <= (ptrdiff_t)have);
        ASSERT(o.verdict != WS_VERDICT_PASS || seen.pass_bytes == have);
        ASSERT((o.verdict == WS_VERDICT_BAD) == (seen.error != NULL));
        ASSERT(seen.code == 0 || seen.code == WS_CLOSE_NO_STATUS || ws_close_code_is_valid_on_wire(seen.code));
        ASSERT(ws_walk_frame_left(&w) <= MAX_MESSAGE || o.verdict != WS_VERDICT_PASS);
        o.pass_bytes += seen.pass_bytes;
        o.code = seen.code;
        o.is_torn = seen.is_torn;
        o.message_count += seen.message_count;
        o.ping_count += seen.ping_count;
        o.pong_count += seen.pong_count;
    }
    return o;
}

/* The model: one frame at `data`, judged with all of it (or as much as there is) at hand. */
struct model {
    bool is_masked, checks_utf8;
    uint8_t message_opcode;
    uint64_t message_bytes;
    uint8_t text[MAX_MESSAGE];
};

static uint16_t model_header(const struct model *m, const uint8_t *d, size_t len, size_t *header, uint64_t *payload)
{
    const uint8_t opcode = d[0] & 15;
    if ((d[0] & 0x70) != 0 || (opcode > 2 && opcode < 8) || opcode > 10)
        return 1002;
    if (opcode >= 8 ? (d[0] & 0x80) == 0 : (opcode == 0) != (m->message_opcode != 0))
        return 1002;
    *header = SIZE_MAX;
    if (len < 2)
        return 0;
    const uint8_t short_length = d[1] & 127;
    if (((d[1] & 128) != 0) != m->is_masked)
        return 1002;
    if (opcode >= 8 && (short_length > 125 || (opcode == 8 && short_length == 1)))
        return 1002;
    const size_t extended = short_length == 126 ? 2 : short_length == 127 ? 8 : 0;
    if (len < 2 + extended + (m->is_masked ? 4 : 0))
        return 0;
    *header = 2 + extended + (m->is_masked ? 4 : 0);
    *payload = extended == 0 ? short_length : 0;
    for (size_t i = 0; i < extended; i++)
        *payload = *payload << 8 | d[2 + i];
    if ((extended == 2 && *payload < 126) || (extended == 8 && (*payload < 65536 || *payload >> 63)))
        return 1002;
    return opcode < 8 && *payload + m->message_bytes > MAX_MESSAGE ? 1009 : 0;
}

static bool is_text(const uint8_t *text, size_t len, bool is_whole)
{
    struct utf8 u = {0};
    return utf8_feed(&u, text, len) && (!is_whole || utf8_may_end(&u));
}

static uint16_t model_close(const uint8_t *p, size_t have, bool is_whole)
{
    if (have >= 2 && !ws_close_code_is_valid_on_wire((uint16_t)(p[0] << 8 | p[1])))
        return 1002;
    return have > 2 && !is_text(p + 2, have - 2, is_whole) ? 1007 : 0;
}

/* Verdict, code and pass_bytes of the whole input. */
static struct outcome model_walk(struct model *m, const uint8_t *data, size_t len)
{
    struct outcome o = {.verdict = WS_VERDICT_PASS};
    while (o.pass_bytes < len) {
        const uint8_t *d = data + o.pass_bytes;
        const size_t left = len - o.pass_bytes;
        const uint8_t opcode = d[0] & 15;
        size_t header = SIZE_MAX;
        uint64_t payload = 0;
        uint8_t plain[MAX_MESSAGE];
        o.code = model_header(m, d, left, &header, &payload);
        if (o.code == 0 && header != SIZE_MAX) {
            const size_t have = left - header < payload ? left - header : (size_t)payload;
            const bool is_whole = have == payload, is_final = (d[0] & 128) != 0;
            for (size_t i = 0; i < have; i++)
                plain[i] = (uint8_t)(d[header + i] ^ (m->is_masked ? d[header - 4 + i % 4] : 0));
            if (opcode == 8)
                o.code = model_close(plain, have, is_whole);
            if (opcode < 8) {
                if (opcode != 0)
                    m->message_opcode = opcode;
                memcpy(m->text + m->message_bytes, plain, have);
                m->message_bytes += have;
                if (m->checks_utf8 && m->message_opcode == 1 &&
                    !is_text(m->text, (size_t)m->message_bytes, is_whole && is_final))
                    o.code = 1007;
            }
            if (o.code == 0 && is_whole) {
                o.pass_bytes += header + have;
                o.ping_count += opcode == 9;
                o.pong_count += opcode == 10;
                o.message_count += opcode < 8 && is_final;
                if (opcode < 8 && is_final)
                    m->message_opcode = 0, m->message_bytes = 0;
                if (opcode == 8) {
                    o.code = (uint16_t)(payload >= 2 ? plain[0] << 8 | plain[1] : WS_CLOSE_NO_STATUS);
                    o.verdict = WS_VERDICT_CLOSED;
                    return o;
                }
                continue;
            }
        }
        if (o.code != 0)
            o.verdict = WS_VERDICT_BAD;
        else
            o.pass_bytes = len;
        return o;
    }
    return o;
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    ASSERT(a->verdict == b->verdict && a->code == b->code);
    ASSERT(a->message_count == b->message_count && a->ping_count == b->ping_count && a->pong_count == b->pong_count);
    ASSERT(a->is_torn ? a->pass_bytes > b->pass_bytes : a->pass_bytes == b->pass_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    const enum ws_sender sender = data[0] & 1 ? WS_SENDER_SERVER : WS_SENDER_CLIENT;
    const bool checks_utf8 = (data[0] & 2) != 0;
    const size_t piece = (data[0] >> 2) + 1u;
    struct model m = {.is_masked = sender == WS_SENDER_CLIENT, .checks_utf8 = checks_utf8};
    data++;
    len--;

    const struct outcome expected = model_walk(&m, data, len);
    const struct outcome whole = walk(data, len, len, sender, checks_utf8);
    const struct outcome cut = walk(data, len, piece, sender, checks_utf8);
    check_same(&whole, &expected);
    check_same(&cut, &expected);
    return 0;
}
