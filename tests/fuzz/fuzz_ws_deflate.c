/* A compressed WebSocket from anybody. The first byte chooses the sender, whether contexts are kept, the checks and how
 * the rest is cut. Whatever comes, what goes on must be sound frames with the same messages whatever the cut, none of
 * them larger than allowed, and nobody may be given more room for them than the output has. From a server, what was
 * compressed must inflate to what was sent. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/ws/mask.h"
#include "gateway/ws/recode.h"

#define MAX_MESSAGE 20000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct told { /* the whole messages and the control frames that came out */
    uint64_t hash;
    uint32_t count;
    bool is_bad; /* the sender broke the rules */
};

/* Reads the output as its receiver would. */
struct receiver {
    struct ws_walk walk;
    struct ws_inflater *inflater; /* a client's */
    uint64_t message_hash;
    size_t message_bytes;
    bool is_payload;
    struct told told;
};

static uint64_t hash_more(uint64_t hash, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

static void hear_inflated(struct receiver *v, const uint8_t *data, size_t len, bool is_last)
{
    uint8_t plain[512];
    size_t made = 0;
    enum ws_coded coded;
    do {
        coded = ws_inflate(v->inflater, &data, &len, is_last, plain, sizeof plain, &made);
        v->message_hash = hash_more(v->message_hash, plain, made);
        v->message_bytes += made;
    } while (coded == WS_CODED_FULL);
    ASSERT(coded == (is_last ? WS_CODED_DONE : WS_CODED_MORE));
}

static void hear_payload(struct receiver *v, const uint8_t *data, size_t len)
{
    const bool is_control = ws_walk_opcode(&v->walk) >= WS_OPCODE_CLOSE;
    const bool ends = len == ws_walk_frame_left(&v->walk) && ws_walk_is_final(&v->walk) && !is_control;
    uint8_t plain[65536];
    memcpy(plain, data, len);
    if (!v->walk.is_server)
        ws_mask(plain, len, ws_walk_mask_key(&v->walk), ws_walk_mask_phase(&v->walk));
    if (is_control) {
        v->told.hash = hash_more(v->told.hash, plain, len);
    } else if (ws_walk_is_compressed(&v->walk)) {
        hear_inflated(v, plain, len, ends);
    } else {
        v->message_hash = hash_more(v->message_hash, plain, len);
        v->message_bytes += len;
    }
    ASSERT(v->message_bytes <= MAX_MESSAGE);
    if (ends) {
        v->told.hash = hash_more(v->told.hash, (const uint8_t *)&v->message_hash, sizeof v->message_hash);
        v->told.count++;
        v->message_hash = 0;
        v->message_bytes = 0;
    }
}

static void hear(struct receiver *v, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    struct ws_seen seen;
    ws_seen_clear(&seen);
    for (;;) {
        if (!v->is_payload) {
            if (p == end)
                return;
            enum ws_take take = ws_walk_take_header(&v->walk, &p, end, &seen);
            ASSERT(take != WS_TAKE_BAD);
            if (take == WS_TAKE_MORE)
                return;
            v->is_payload = true;
        }
        const size_t have = (size_t)(end - p);
        const uint64_t left = ws_walk_frame_left(&v->walk);
        const size_t take_len = left < have ? (size_t)left : have;
        if (take_len == 0 && left > 0)
            return;
        hear_payload(v, p, take_len);
        enum ws_take take = ws_walk_take_payload(&v->walk, p, take_len, &seen);
        ASSERT(take != WS_TAKE_BAD);
        p += take_len;
        if (take == WS_TAKE_CLOSED) {
            ASSERT(p == end);
            return;
        }
        v->is_payload = take == WS_TAKE_MORE;
    }
}

static struct told run(const uint8_t *data, size_t len, uint8_t choice, size_t piece, size_t room_bytes)
{
    const bool is_server = (choice & 1) != 0, is_kept = (choice & 2) != 0, checks_utf8 = (choice & 4) != 0;
    const struct ws_deflate_params params = {.server_window_bits = 9,
                                             .client_window_bits = 15,
                                             .server_no_context_takeover = !is_kept,
                                             .client_no_context_takeover = !is_kept,
                                             .level = 1,
                                             .min_bytes = 8};
    uint8_t out[65536];
    struct ws_stock *stock = ws_stock_create();
    struct ws_walk walk;
    struct ws_recode recode;
    struct ws_seen seen;
    struct receiver v = {.is_payload = false};
    enum ws_turned turned = WS_TURNED_ALL;
    ws_walk_init(&walk, is_server ? WS_SENDER_SERVER : WS_SENDER_CLIENT, MAX_MESSAGE, checks_utf8);
    ws_recode_init(&recode, &walk, stock, &params, MAX_MESSAGE, checks_utf8);
    ws_walk_init(&v.walk, is_server ? WS_SENDER_SERVER : WS_SENDER_CLIENT, 0, false);
    if (is_server)
        ws_walk_allow_compressed(&v.walk);
    v.inflater = ws_inflater_acquire(stock, 9);
    ws_seen_clear(&seen);
    for (size_t at = 0; at < len && turned == WS_TURNED_ALL; at += piece) {
        struct ws_turn t = {
            .in = data + at, .in_bytes = len - at < piece ? len - at : piece, .out = out, .room_bytes = room_bytes};
        do {
            turned = ws_recode_run(&recode, &t, &seen);
            ASSERT(t.out_bytes <= room_bytes);
            ASSERT(turned != WS_TURNED_FULL || t.out_bytes > 0);
            hear(&v, out, t.out_bytes);
            t.out_bytes = 0;
        } while (turned == WS_TURNED_FULL);
        ASSERT(turned != WS_TURNED_ALL || t.in_bytes == 0);
        ASSERT(turned != WS_TURNED_BAD || (seen.code >= 1002 && seen.error != NULL));
    }
    ASSERT(v.walk.header_have == 0 || !ws_recode_is_at_boundary(&recode) || turned == WS_TURNED_BAD);
    v.told.is_bad = turned == WS_TURNED_BAD;
    ws_inflater_release(stock, &v.inflater);
    ws_recode_fini(&recode);
    ws_stock_destroy(&stock);
    return v.told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    const uint8_t choice = data[0];
    const struct told whole = run(data + 1, len - 1, choice, len - 1, 65536);
    const struct told cut = run(data + 1, len - 1, choice, (choice >> 3) + 1u, WS_RECODE_ROOM);
    ASSERT(whole.is_bad == cut.is_bad && whole.count == cut.count);
    ASSERT(whole.is_bad || whole.hash == cut.hash);
    return 0;
}
