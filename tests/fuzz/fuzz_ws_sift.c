/* Messages from anybody, sifted. The first byte chooses the sender and how the rest is cut; the first byte of each
 * message says whether it passes, and how much has to be seen before that is known. Whatever the cut, exactly the
 * frames of those that pass come out, in order; of the last one, if it is unfinished, maybe a beginning. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/ws/mask.h"
#include "gateway/ws/sift.h"

#define MAX_MESSAGE 600u
#define MAX_INPUT   4000u /* less than what may be held of headers */
#define LOOK        16u
#define TAKE        100u

#define LETTER_DROPS   1u
#define LETTER_PATIENT 2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What came out, and what was told. */
struct outcome {
    uint8_t passed[MAX_INPUT];
    size_t passed_bytes;
    size_t whole_bytes; /* of those, up to the end of the last whole message */
    uint32_t ping_count, pong_count;
    uint16_t code;
    bool is_closed, is_bad;
};

static void add(struct outcome *o, const uint8_t *data, size_t len)
{
    ASSERT(o->passed_bytes + len <= MAX_INPUT);
    memcpy(o->passed + o->passed_bytes, data, len);
    o->passed_bytes += len;
}

static enum sift_verdict on_message(void *arg, const struct ws_message *m)
{
    struct outcome *o = arg;
    ASSERT(!o->is_closed && !o->is_bad);
    ASSERT(m->opcode == WS_OPCODE_TEXT || m->opcode == WS_OPCODE_BINARY);
    ASSERT(m->len <= TAKE && (m->len >= LOOK || m->is_whole));
    ASSERT(m->is_whole == (m->frames_bytes > m->len));
    const uint8_t letter = m->len > 0 ? m->payload[0] : 0;
    if ((letter & LETTER_PATIENT) != 0 && !m->is_whole && !m->is_at_limit)
        return SIFT_MORE;
    return (letter & LETTER_DROPS) != 0 ? SIFT_DROP : SIFT_PASS;
}

static void on_pass(void *arg, const uint8_t *frames, size_t len)
{
    ASSERT(len > 0);
    add(arg, frames, len);
}

static void on_ping(void *arg, const uint8_t *payload, size_t len)
{
    struct outcome *o = arg;
    ASSERT(payload != NULL && len <= WS_CONTROL_BYTES);
    o->ping_count++;
}

static void on_pong(void *arg, const uint8_t *payload, size_t len)
{
    struct outcome *o = arg;
    ASSERT(payload != NULL && len <= WS_CONTROL_BYTES);
    o->pong_count++;
}

static void on_close(void *arg, uint16_t code, const char *reason, size_t len)
{
    struct outcome *o = arg;
    ASSERT(reason != NULL && len <= WS_CLOSE_REASON_BYTES);
    o->is_closed = true;
    o->code = code;
}

static void on_bad(void *arg, uint16_t code, const char *error)
{
    struct outcome *o = arg;
    ASSERT(error != NULL);
    o->is_bad = true;
    o->code = code;
}

static void run(const uint8_t *data, size_t len, size_t piece, enum ws_sender sender, struct outcome *o)
{
    static const struct sift_ops ops = {.on_message = on_message,
                                        .on_pass = on_pass,
                                        .on_ping = on_ping,
                                        .on_pong = on_pong,
                                        .on_close = on_close,
                                        .on_bad = on_bad};
    struct sift s;
    memset(o, 0, sizeof *o);
    sift_init(&s, sender, MAX_MESSAGE, LOOK, TAKE, &ops, o);
    for (size_t at = 0; at < len; at += piece) {
        sift_feed(&s, data + at, len - at < piece ? len - at : piece);
        ASSERT(s.payload.len <= TAKE);
    }
    sift_fini(&s);
}

/* ---- the model: everything is there, and is read a frame at a time ---- */

struct model {
    struct ws_walk walk;
    struct ws_seen seen;
    size_t message_at; /* where the unfinished message begins in what passed */
    bool has_letter, drops;
};

static enum ws_take model_payload(struct model *m, const uint8_t *p, size_t have)
{
    const bool is_data = ws_walk_opcode(&m->walk) <= WS_OPCODE_BINARY;
    const uint64_t left = ws_walk_frame_left(&m->walk);
    if (is_data && have > 0 && !m->has_letter) {
        uint8_t letter = p[0];
        if (!m->walk.is_server)
            ws_mask(&letter, 1, ws_walk_mask_key(&m->walk), 0);
        m->has_letter = true;
        m->drops = (letter & LETTER_DROPS) != 0;
    }
    return ws_walk_take_payload(&m->walk, p, left < have ? (size_t)left : have, &m->seen);
}

static void model_run(const uint8_t *data, size_t len, enum ws_sender sender, struct outcome *o)
{
    struct model m = {.has_letter = false};
    const uint8_t *p = data, *end = data + len;
    enum ws_take take = WS_TAKE_WHOLE;
    memset(o, 0, sizeof *o);
    ws_walk_init(&m.walk, sender, MAX_MESSAGE, false);
    ws_seen_clear(&m.seen);
    while (p < end && take == WS_TAKE_WHOLE) {
        const uint8_t *frame = p;
        take = ws_walk_take_header(&m.walk, &p, end, &m.seen);
        if (take != WS_TAKE_WHOLE)
            break;
        const bool is_data = ws_walk_opcode(&m.walk) <= WS_OPCODE_BINARY, is_final = ws_walk_is_final(&m.walk);
        const uint64_t left = ws_walk_frame_left(&m.walk);
        const size_t have = left < (size_t)(end - p) ? (size_t)left : (size_t)(end - p);
        take = model_payload(&m, p, have);
        p += have;
        if (take != WS_TAKE_BAD && is_data)
            add(o, frame, (size_t)(p - frame));
        if (take != WS_TAKE_WHOLE || !is_data || !is_final)
            continue;
        if (m.drops)
            o->passed_bytes = m.message_at;
        o->whole_bytes = m.message_at = o->passed_bytes;
        m.has_letter = m.drops = false;
    }
    if (m.drops)
        o->passed_bytes = m.message_at;
    o->ping_count = m.seen.ping_count;
    o->pong_count = m.seen.pong_count;
    o->code = m.seen.code;
    o->is_closed = take == WS_TAKE_CLOSED;
    o->is_bad = take == WS_TAKE_BAD;
}

static void check(const struct outcome *o, const struct outcome *expected)
{
    ASSERT(o->passed_bytes >= expected->whole_bytes && o->passed_bytes <= expected->passed_bytes);
    ASSERT(memcmp(o->passed, expected->passed, o->passed_bytes) == 0);
    ASSERT(o->ping_count == expected->ping_count && o->pong_count == expected->pong_count);
    ASSERT(o->is_closed == expected->is_closed && o->is_bad == expected->is_bad && o->code == expected->code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct outcome expected, outcome;
    if (len < 2 || len > MAX_INPUT)
        return 0;
    const enum ws_sender sender = (data[0] & 1) != 0 ? WS_SENDER_SERVER : WS_SENDER_CLIENT;
    const size_t piece = (data[0] >> 1) + 1u;
    data++;
    len--;
    model_run(data, len, sender, &expected);
    run(data, len, len, sender, &outcome);
    check(&outcome, &expected);
    run(data, len, piece, sender, &outcome);
    check(&outcome, &expected);
    return 0;
}
