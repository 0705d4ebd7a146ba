/* The recoder: a state machine over frames.
 *
 *   BETWEEN   the next byte begins, or goes on with, a header
 *   PASSING   payload that goes on as it is
 *   CODING    payload that is inflated or compressed
 *   DRAINING  the frame has come in whole, but zlib has more to give
 *
 * The hard part is the order of things at the end of a frame: the walker forgets the header with the last byte of
 * payload, while zlib may still fill many outputs; so what matters of the header is noted when coding begins. */
#include "gateway/ws/recode.h"

#include <string.h>

#include "base/assert.h"
#include "gateway/ws/close.h"
#include "gateway/ws/mask.h"

enum state { BETWEEN = 0, PASSING, CODING, DRAINING };

#define PIECE_BYTES    4096u  /* unmasked at a time */
#define FRAGMENT_BYTES 65535u /* the longest frame written: two bytes of length */
#define LEAST_ROOM     512u   /* a fragment that would be smaller waits for an empty output */
#define BEGAN_EARLIER  SIZE_MAX

void ws_recode_init(struct ws_recode *r, struct ws_walk *walk, struct ws_stock *stock,
                    const struct ws_deflate_params *params, uint64_t max_message_bytes, bool checks_utf8)
{
    *r = (struct ws_recode){
        .walk = walk,
        .stock = stock,
        .params = params,
        .max_message_bytes = max_message_bytes > 0 ? max_message_bytes : UINT64_MAX,
        .checks_utf8 = checks_utf8,
    };
    if (!walk->is_server)
        ws_walk_allow_compressed(walk);
}

void ws_recode_fini(struct ws_recode *r)
{
    if (r->inflater != NULL)
        ws_inflater_release(r->stock, &r->inflater);
    if (r->deflater != NULL)
        ws_deflater_release(r->stock, &r->deflater);
}

bool ws_recode_is_at_boundary(const struct ws_recode *r)
{
    return r->state != PASSING;
}

static bool is_from_client(const struct ws_recode *r)
{
    return !r->walk->is_server;
}

static size_t room(const struct ws_turn *t)
{
    return t->room_bytes - t->out_bytes;
}

static size_t least(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static void take_input(struct ws_turn *t, size_t len)
{
    t->in += len;
    t->in_bytes -= len;
}

static enum ws_turned refuse(struct ws_recode *r, struct ws_seen *seen, uint16_t code, const char *error)
{
    r->is_over = true;
    seen->code = code;
    seen->error = error;
    return WS_TURNED_BAD;
}

/* ---- writing ---- */

/* A frame may not have the mask of the one before it (RFC 6455 section 5.3). The client's own random key, which nobody
 * could foresee when the payload was written, is spread over the frames its frame becomes; the constant is 2^32 divided
 * by the golden ratio, so that none comes twice. */
static void next_key(struct ws_recode *r, uint8_t key[4])
{
    memcpy(key, &r->key, 4);
    r->key += 0x9e3779b9u;
}

static size_t header_room(const struct ws_recode *r)
{
    return is_from_client(r) ? 8 : 4;
}

/* Puts a header in front of `len` bytes of payload that stand header_room() bytes behind the end of the output. */
static void write_fragment(struct ws_recode *r, struct ws_turn *t, size_t len, bool is_final)
{
    uint8_t header[WS_HEADER_BYTES], key[4];
    uint8_t *payload = t->out + t->out_bytes + header_room(r);
    uint8_t first = (uint8_t)(r->opcode | (is_final ? WS_FIN : 0));

    if (is_from_client(r)) {
        next_key(r, key);
        ws_mask(payload, len, key, 0);
    } else if (r->opcode != WS_OPCODE_CONTINUATION) {
        first |= WS_RSV1;
    }
    const size_t header_len = ws_fragment_build(header, first, len, is_from_client(r) ? key : NULL);
    if (header_len < header_room(r))
        memmove(t->out + t->out_bytes + header_len, payload, len);
    memcpy(t->out + t->out_bytes, header, header_len);
    t->out_bytes += header_len + len;
    r->opcode = WS_OPCODE_CONTINUATION;
}

/* ---- a message begins and ends ---- */

static bool begin_inflating(struct ws_recode *r)
{
    if (!ws_walk_is_compressed(r->walk))
        return false;
    if (r->inflater == NULL)
        r->inflater = ws_inflater_acquire(r->stock, r->params->client_window_bits);
    r->text = (struct utf8){0};
    r->is_text = ws_walk_opcode(r->walk) == WS_OPCODE_TEXT;
    r->message_bytes = 0;
    return true;
}

/* The length of a message in several frames is not known: it is taken for a long one. */
static bool begin_compressing(struct ws_recode *r, const struct ws_turn *t)
{
    const uint64_t len = ws_walk_frame_left(r->walk);
    enum ws_span span = WS_SPAN_MESSAGE;
    if (ws_walk_is_final(r->walk) && (len == 0 || len < r->params->min_bytes))
        return false;
    if (!r->params->server_no_context_takeover)
        span = WS_SPAN_CONNECTION;
    else if (ws_walk_is_final(r->walk) && len <= t->in_bytes)
        span = WS_SPAN_CALL;
    if (r->deflater == NULL)
        r->deflater = ws_deflater_acquire(r->stock, r->params->server_window_bits, r->params->level, span);
    return r->deflater != NULL;
}

static void end_message(struct ws_recode *r)
{
    r->is_coding = false;
    if (r->inflater != NULL && r->params->client_no_context_takeover)
        ws_inflater_release(r->stock, &r->inflater);
    if (r->deflater != NULL && r->params->server_no_context_takeover)
        ws_deflater_release(r->stock, &r->deflater);
}

static void begin_frame(struct ws_recode *r, struct ws_turn *t)
{
    const struct ws_walk *w = r->walk;
    const enum ws_opcode opcode = ws_walk_opcode(w);
    if (opcode == WS_OPCODE_TEXT || opcode == WS_OPCODE_BINARY) {
        r->is_coding = is_from_client(r) ? begin_inflating(r) : begin_compressing(r, t);
        r->opcode = (uint8_t)opcode;
    }
    if (opcode <= WS_OPCODE_BINARY && r->is_coding) {
        r->state = CODING;
        r->is_last = ws_walk_is_final(w);
        if (is_from_client(r))
            memcpy(&r->key, ws_walk_mask_key(w), 4);
    } else {
        r->state = PASSING;
        t->passing_at = t->out_bytes;
        memcpy(t->out + t->out_bytes, w->header, w->header_have);
        t->out_bytes += w->header_have;
    }
}

/* ---- the states ---- */

static enum ws_turned run_between(struct ws_recode *r, struct ws_turn *t, struct ws_seen *seen)
{
    const uint8_t *p = t->in;
    if (room(t) < WS_HEADER_BYTES)
        return WS_TURNED_FULL;
    const enum ws_take take = ws_walk_take_header(r->walk, &p, t->in + t->in_bytes, seen);
    take_input(t, (size_t)(p - t->in));
    if (take == WS_TAKE_BAD)
        return refuse(r, seen, seen->code, seen->error);
    if (take == WS_TAKE_WHOLE)
        begin_frame(r, t); /* the input begins with its payload */
    return WS_TURNED_ALL;
}

static enum ws_turned run_passing(struct ws_recode *r, struct ws_turn *t, struct ws_seen *seen)
{
    const size_t len = least(ws_walk_frame_left(r->walk), least(t->in_bytes, room(t)));
    if (len == 0 && ws_walk_frame_left(r->walk) > 0)
        return t->in_bytes > 0 ? WS_TURNED_FULL : WS_TURNED_ALL;
    const enum ws_take take = ws_walk_take_payload(r->walk, t->in, len, seen);
    if (take == WS_TAKE_BAD) {
        seen->is_torn = t->passing_at == BEGAN_EARLIER;
        t->out_bytes = seen->is_torn ? t->out_bytes : t->passing_at;
        return refuse(r, seen, seen->code, seen->error);
    }
    if (len > 0)
        memcpy(t->out + t->out_bytes, t->in, len);
    t->out_bytes += len;
    take_input(t, len);
    if (take == WS_TAKE_MORE)
        return WS_TURNED_ALL;
    r->state = BETWEEN;
    r->is_over = take == WS_TAKE_CLOSED;
    return take == WS_TAKE_CLOSED ? WS_TURNED_CLOSED : WS_TURNED_ALL;
}

/* One call to zlib, from as much of the frame as lies there. *taken of it went in. */
static enum ws_coded code(struct ws_recode *r, struct ws_turn *t, uint8_t *out, size_t out_room, size_t *taken,
                          size_t *made)
{
    uint8_t plain[PIECE_BYTES];
    const uint64_t left = r->state == CODING ? ws_walk_frame_left(r->walk) : 0;
    const size_t len = least(least(left, t->in_bytes), is_from_client(r) ? sizeof plain : SIZE_MAX);
    const uint8_t *in = t->in;
    size_t rest = len;
    enum ws_coded coded;

    if (is_from_client(r)) {
        if (len > 0)
            ws_mask_copy(plain, t->in, len, ws_walk_mask_key(r->walk), ws_walk_mask_phase(r->walk));
        in = plain;
        coded = ws_inflate(r->inflater, &in, &rest, r->is_last && len == left, out, out_room, made);
    } else {
        coded = ws_deflate(r->deflater, &in, &rest, r->is_last && len == left, out, out_room, made);
    }
    *taken = len - rest;
    t->plain_bytes += is_from_client(r) ? *made : *taken;
    t->packed_bytes += is_from_client(r) ? *taken : *made;
    return coded;
}

static enum ws_turned check_inflated(struct ws_recode *r, const uint8_t *text, size_t len, bool is_whole,
                                     struct ws_seen *seen)
{
    r->message_bytes += len;
    if (r->message_bytes > r->max_message_bytes)
        return refuse(r, seen, WS_CLOSE_TOO_BIG, "message too big");
    if (r->checks_utf8 && r->is_text && (!utf8_feed(&r->text, text, len) || (is_whole && !utf8_may_end(&r->text))))
        return refuse(r, seen, WS_CLOSE_BAD_DATA, "text is not UTF-8");
    return WS_TURNED_ALL;
}

/* Fills one fragment as far as input and room allow; *len says how far, and *coded why it ends. */
static enum ws_turned fill_fragment(struct ws_recode *r, struct ws_turn *t, size_t *len, enum ws_coded *coded,
                                    struct ws_seen *seen)
{
    uint8_t *out = t->out + t->out_bytes + header_room(r);
    const size_t out_room = least(room(t) - header_room(r), FRAGMENT_BYTES);
    do {
        size_t taken = 0, made = 0;
        *coded = code(r, t, out + *len, out_room - *len, &taken, &made);
        if (r->state == CODING) {
            const enum ws_take take = ws_walk_take_payload(r->walk, t->in, taken, seen);
            if (take == WS_TAKE_BAD)
                return refuse(r, seen, seen->code, seen->error);
            take_input(t, taken);
            if (take == WS_TAKE_WHOLE)
                r->state = DRAINING;
        }
        if (*coded == WS_CODED_BAD)
            return refuse(r, seen, WS_CLOSE_BAD_DATA, "compressed data are bad");
        if (is_from_client(r)) {
            const enum ws_turned checked = check_inflated(r, out + *len, made, *coded == WS_CODED_DONE, seen);
            if (checked != WS_TURNED_ALL)
                return checked;
        }
        *len += made;
    } while (*coded == WS_CODED_MORE && r->state == CODING && t->in_bytes > 0 && out_room - *len >= WS_DEFLATE_ROOM);
    return WS_TURNED_ALL;
}

static enum ws_turned run_coding(struct ws_recode *r, struct ws_turn *t, struct ws_seen *seen)
{
    size_t len = 0;
    enum ws_coded coded;
    if (r->state == CODING && t->in_bytes == 0 && ws_walk_frame_left(r->walk) > 0 && !r->has_more)
        return WS_TURNED_ALL;
    if (room(t) < LEAST_ROOM)
        return WS_TURNED_FULL;
    const enum ws_turned filled = fill_fragment(r, t, &len, &coded, seen);
    if (filled != WS_TURNED_ALL)
        return filled;
    r->has_more = coded == WS_CODED_FULL;
    if (len > 0 || coded == WS_CODED_DONE)
        write_fragment(r, t, len, coded == WS_CODED_DONE);
    if (r->state == DRAINING && !r->has_more) {
        r->state = BETWEEN;
        if (coded == WS_CODED_DONE)
            end_message(r);
    }
    return WS_TURNED_ALL;
}

enum ws_turned ws_recode_run(struct ws_recode *r, struct ws_turn *t, struct ws_seen *seen)
{
    static enum ws_turned (*const steps[])(struct ws_recode *, struct ws_turn *, struct ws_seen *) = {
        [BETWEEN] = run_between, [PASSING] = run_passing, [CODING] = run_coding, [DRAINING] = run_coding};

    ASSERT(t->room_bytes >= WS_RECODE_ROOM);
    if (t->out_bytes == 0)
        t->passing_at = BEGAN_EARLIER;
    if (r->is_over)
        return WS_TURNED_CLOSED;
    for (;;) {
        if (t->stops_at_boundary && ws_recode_is_at_boundary(r))
            return WS_TURNED_STOPPED;
        const uint8_t state = r->state;
        const size_t in_bytes = t->in_bytes, out_bytes = t->out_bytes;
        if (state == BETWEEN && in_bytes == 0)
            return WS_TURNED_ALL;
        const enum ws_turned turned = steps[state](r, t, seen);
        if (turned != WS_TURNED_ALL)
            return turned;
        if (r->state == state && t->in_bytes == in_bytes && t->out_bytes == out_bytes)
            return WS_TURNED_ALL; /* nothing moved: it waits for input */
    }
}
