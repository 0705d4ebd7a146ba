/* The sifter. A data message is in one of four states:
 *
 *   NONE      between two messages
 *   HOLDING   no verdict yet: what has come is kept, as it came and unmasked
 *   PASSING   its frames go on as they come
 *   DROPPING  they do not
 *
 * Nearly every message begins and ends in the bytes of one call and never leaves NONE: it is looked at where it lies.
 * What passes is gathered in a run, a stretch of the caller's bytes, which is handed on when something that does not
 * pass comes behind it.
 *
 * The hard part is that every callback may stop the sifter, hand on the run or give up the message that is passing. So
 * state is set before a callback is made, and read anew after it; and the header of a frame, which the walker forgets
 * with the last byte of payload, is noted before that is taken. */
#include "gateway/ws/sift.h"

#include <string.h>

#include "base/assert.h"
#include "gateway/ws/close.h"
#include "gateway/ws/mask.h"

enum state { NONE = 0, HOLDING, PASSING, DROPPING };

/* Unmasked on the stack for a look; more is rarely asked for. */
#define LOOK_BYTES 1024u
/* Held beyond take_bytes for the headers of a message's frames. A peer may cut a message into frames without payload,
 * as many as it likes; when this is used up, no more is collected. */
#define HEADERS_BYTES 4096u

/* The frame that is being taken, and the bytes of the call. */
struct feed {
    const uint8_t *p;
    const uint8_t *end;
    const uint8_t *frame; /* where its header begins; NULL: in an earlier call */
    bool is_new;          /* its header has just been completed */
    struct ws_seen seen;
};

void sift_init(struct sift *s, enum ws_sender sender, uint64_t max_message_bytes, size_t look_bytes, size_t take_bytes,
               const struct sift_ops *ops, void *arg)
{
    ASSERT(look_bytes > 0 && take_bytes >= look_bytes && take_bytes < SIZE_MAX / 2);
    *s = (struct sift){.ops = ops, .arg = arg, .look_bytes = look_bytes, .take_bytes = take_bytes};
    ws_walk_init(&s->walk, sender, max_message_bytes, false);
    strbuf_init(&s->frames, take_bytes + HEADERS_BYTES);
    strbuf_init(&s->payload, take_bytes);
    strbuf_init(&s->control, WS_CONTROL_BYTES);
}

void sift_fini(struct sift *s)
{
    strbuf_fini(&s->frames);
    strbuf_fini(&s->payload);
    strbuf_fini(&s->control);
}

void sift_stop(struct sift *s)
{
    s->is_stopped = true;
    s->run = NULL;
}

void sift_drop_rest(struct sift *s)
{
    if (s->state == PASSING)
        s->state = DROPPING;
}

bool sift_is_between_messages(const struct sift *s)
{
    return s->state != PASSING;
}

static size_t least(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static bool is_masked(const struct sift *s)
{
    return !s->walk.is_server;
}

/* ---- what passes ---- */

void sift_flush(struct sift *s)
{
    const uint8_t *run = s->run;
    s->run = NULL;
    if (run != NULL)
        s->ops->on_pass(s->arg, run, s->run_bytes);
}

/* The message is complete, or no longer to be held. */
static void let_go(struct sift *s)
{
    strbuf_fini(&s->frames);
    strbuf_fini(&s->payload);
}

/* ---- looking where a message lies ---- */

/* A message that begins in the bytes of this call, and what there is of its first frame. */
struct lying {
    const uint8_t *frame; /* its header */
    const uint8_t *payload;
    size_t len;         /* of the payload, here */
    const uint8_t *key; /* of a client's */
    enum ws_opcode opcode;
    bool ends_here;
};

/* As it is without its mask: where it lies, or in `plain` or, when that is too small, in s->payload. */
static const uint8_t *unmasked(struct sift *s, const struct lying *x, size_t len, uint8_t plain[LOOK_BYTES])
{
    if (!is_masked(s))
        return x->payload;
    uint8_t *out = plain;
    if (len > LOOK_BYTES) {
        strbuf_clear(&s->payload);
        out = (uint8_t *)strbuf_extend(&s->payload, len);
        ASSERT(out != NULL);
    }
    ws_mask_copy(out, x->payload, len, x->key, 0);
    return out;
}

static enum sift_verdict ask(struct sift *s, const struct lying *x, size_t len, uint8_t plain[LOOK_BYTES])
{
    const bool is_whole = x->ends_here && len == x->len;
    const struct ws_message m = {
        .opcode = x->opcode,
        .is_whole = is_whole,
        .is_at_limit = !is_whole && len == s->take_bytes,
        .payload = unmasked(s, x, len, plain),
        .len = len,
        .frames = is_whole ? x->frame : NULL,
        .frames_bytes = is_whole ? (size_t)(x->payload + len - x->frame) : 0,
    };
    const enum sift_verdict v = s->ops->on_message(s->arg, &m);
    ASSERT(v != SIFT_MORE || s->is_stopped || !(m.is_whole || m.is_at_limit));
    return v;
}

/* A verdict, or MORE when the message has to be held. A client's is not unmasked any further than needed. */
static enum sift_verdict look_here(struct sift *s, const struct lying *x)
{
    uint8_t plain[LOOK_BYTES];
    const size_t first = least(x->len, is_masked(s) ? s->look_bytes : s->take_bytes);
    enum sift_verdict v = ask(s, x, first, plain);
    if (v == SIFT_MORE && first < x->len && x->ends_here && x->len <= s->take_bytes && !s->is_stopped)
        v = ask(s, x, x->len, plain);
    s->next_look_bytes = 2 * first;
    if (s->payload.data != NULL)
        strbuf_fini(&s->payload);
    return v;
}

/* A new message, `len` bytes of whose payload are here. */
static void begin_message(struct sift *s, const struct feed *f, size_t len)
{
    const struct lying x = {
        .frame = f->frame,
        .payload = f->p,
        .len = len,
        .key = ws_walk_mask_key(&s->walk),
        .opcode = ws_walk_opcode(&s->walk),
        .ends_here = ws_walk_is_final(&s->walk) && len == ws_walk_frame_left(&s->walk),
    };
    enum sift_verdict v = SIFT_MORE;
    s->next_look_bytes = s->look_bytes;
    if (f->frame != NULL && (x.ends_here || len >= s->look_bytes))
        v = look_here(s, &x);
    s->state = v == SIFT_PASS ? PASSING : v == SIFT_DROP ? DROPPING : HOLDING;
}

/* ---- looking at what is held ---- */

static bool is_at_limit(const struct sift *s)
{
    return s->payload.len >= s->take_bytes || s->frames.len + WS_HEADER_BYTES > s->frames.max_bytes;
}

/* The message is whole, at the limit, or has grown enough for another look. */
static void look_at_held(struct sift *s, bool is_whole)
{
    struct ws_message m = {
        .opcode = (enum ws_opcode)((uint8_t)s->frames.data[0] & 0x0f),
        .is_whole = is_whole,
        .is_at_limit = !is_whole && is_at_limit(s),
        .payload = s->payload.data != NULL ? (const uint8_t *)s->payload.data : (const uint8_t *)"",
        .len = s->payload.len,
        .frames = is_whole ? (const uint8_t *)s->frames.data : NULL,
        .frames_bytes = is_whole ? s->frames.len : 0,
    };
    const enum sift_verdict v = s->ops->on_message(s->arg, &m);
    if (s->is_stopped)
        return;
    ASSERT(v != SIFT_MORE || !(m.is_whole || m.is_at_limit));
    s->next_look_bytes = 2 * m.len;
    if (v == SIFT_MORE)
        return;
    if (v == SIFT_PASS) {
        sift_flush(s);
        if (s->is_stopped)
            return;
    }
    s->state = is_whole ? NONE : v == SIFT_PASS ? PASSING : DROPPING;
    if (v == SIFT_PASS)
        s->ops->on_pass(s->arg, (const uint8_t *)s->frames.data, s->frames.len);
    if (!s->is_stopped)
        let_go(s);
}

static void hold(struct sift *s, const struct feed *f, size_t len)
{
    if (f->is_new)
        strbuf_add(&s->frames, s->walk.header, s->walk.header_have);
    if (len > 0) {
        strbuf_add(&s->frames, f->p, len);
        char *out = strbuf_extend(&s->payload, len);
        ASSERT(out != NULL);
        if (is_masked(s))
            ws_mask_copy((uint8_t *)out, f->p, len, ws_walk_mask_key(&s->walk), ws_walk_mask_phase(&s->walk));
        else
            memcpy(out, f->p, len);
    }
    ASSERT(!s->frames.failed);
}

/* ---- frames ---- */

static void bad(struct sift *s, const struct ws_seen *seen)
{
    sift_flush(s);
    if (s->is_stopped)
        return;
    sift_stop(s);
    s->ops->on_bad(s->arg, seen->code, seen->error);
}

/* Adds bytes to the run, or begins a new one. */
static void run_add(struct sift *s, const uint8_t *from, const uint8_t *to)
{
    if (s->run == NULL)
        s->run = from;
    s->run_bytes = (size_t)(to - s->run);
}

/* Adds the next `len` bytes, and the header before them when it is new, to the run. Any of the callbacks may have
 * changed the state. */
static void pass_payload(struct sift *s, const struct feed *f, size_t len)
{
    const uint8_t *from = f->is_new && f->frame != NULL ? f->frame : f->p;
    const bool is_header_gone = f->is_new && f->frame == NULL;
    if (s->run != NULL && (is_header_gone || s->run + s->run_bytes != from))
        sift_flush(s);
    if (is_header_gone && s->state == PASSING && !s->is_stopped)
        s->ops->on_pass(s->arg, s->walk.header, s->walk.header_have);
    if (s->state == PASSING && !s->is_stopped && f->p + len > from)
        run_add(s, from, f->p + len);
}

/* Asks about a whole message in one frame, of which all is to be seen at once. */
static enum sift_verdict look_at_whole(struct sift *s, const uint8_t *frame, size_t header, size_t len)
{
    uint8_t plain[LOOK_BYTES];
    struct ws_message m = {
        .opcode = (enum ws_opcode)(frame[0] & 0x0f),
        .is_whole = true,
        .payload = frame + header,
        .len = len,
        .frames = frame,
        .frames_bytes = header + len,
    };
    if (is_masked(s)) {
        ws_mask_copy(plain, m.payload, len, frame + header - 4, 0);
        m.payload = plain;
    }
    return s->ops->on_message(s->arg, &m);
}

/* The same of a long one of a client's, of which the beginning may do. */
static enum sift_verdict look_at_long(struct sift *s, const uint8_t *frame, size_t header, size_t len)
{
    const struct lying x = {
        .frame = frame,
        .payload = frame + header,
        .len = len,
        .key = frame + header - 4,
        .opcode = (enum ws_opcode)(frame[0] & 0x0f),
        .ends_here = true,
    };
    return look_here(s, &x);
}

/* What nearly all messages are: whole, in one frame, and decided at once. The walker need not know of them. */
static bool skim(struct sift *s, struct feed *f)
{
    size_t header, len;
    if (!ws_walk_sees_message(&s->walk, f->p, f->end, &header, &len) || len > s->take_bytes)
        return false;
    const uint8_t *frame = f->p;
    const bool is_long = is_masked(s) && len > least(s->look_bytes, LOOK_BYTES);
    const enum sift_verdict v = is_long ? look_at_long(s, frame, header, len) : look_at_whole(s, frame, header, len);
    ASSERT(v != SIFT_MORE || s->is_stopped);
    if (s->is_stopped)
        return true;
    f->p = frame + header + len;
    if (v == SIFT_PASS && s->run != NULL && s->run + s->run_bytes != frame)
        sift_flush(s);
    if (v == SIFT_PASS && !s->is_stopped)
        run_add(s, frame, f->p);
    return true;
}

/* What there is of a data frame. */
static void take_data(struct sift *s, struct feed *f)
{
    size_t len = least(ws_walk_frame_left(&s->walk), (size_t)(f->end - f->p));
    const bool is_final = ws_walk_is_final(&s->walk);
    if (s->state == NONE)
        begin_message(s, f, len);
    if (s->is_stopped)
        return;
    if (s->state == HOLDING) {
        len = least(len, least(s->take_bytes - s->payload.len,
                               s->frames.max_bytes - s->frames.len - (f->is_new ? s->walk.header_have : 0)));
        hold(s, f, len);
    } else if (s->state == PASSING) {
        pass_payload(s, f, len);
        if (s->is_stopped)
            return;
    }
    f->is_new = false;
    const enum ws_take take = ws_walk_take_payload(&s->walk, f->p, len, &f->seen);
    f->p += len;
    const bool is_whole = take == WS_TAKE_WHOLE && is_final;
    if (s->state == HOLDING) {
        if (is_whole || is_at_limit(s) || (f->p == f->end && s->payload.len >= s->next_look_bytes))
            look_at_held(s, is_whole);
    } else if (is_whole) {
        s->state = NONE;
    }
}

static void tell_control(struct sift *s, enum ws_opcode opcode, const uint8_t *payload, size_t len)
{
    sift_flush(s);
    if (s->is_stopped)
        return;
    if (opcode == WS_OPCODE_PING) {
        s->ops->on_ping(s->arg, payload, len);
    } else if (opcode == WS_OPCODE_PONG) {
        s->ops->on_pong(s->arg, payload, len);
    } else {
        const size_t code_len = len < 2 ? 0 : 2;
        uint16_t code = WS_CLOSE_NO_STATUS;
        if (code_len > 0)
            code = (uint16_t)(payload[0] << 8 | payload[1]);
        sift_stop(s);
        s->ops->on_close(s->arg, code, (const char *)payload + code_len, len - code_len);
    }
}

/* What there is of a control frame. */
static void take_control(struct sift *s, struct feed *f)
{
    uint8_t plain[WS_CONTROL_BYTES];
    const size_t len = least(ws_walk_frame_left(&s->walk), (size_t)(f->end - f->p));
    const enum ws_opcode opcode = ws_walk_opcode(&s->walk);
    if (is_masked(s))
        ws_mask_copy(plain, f->p, len, ws_walk_mask_key(&s->walk), ws_walk_mask_phase(&s->walk));
    else if (len > 0)
        memcpy(plain, f->p, len);
    const bool is_in_one = f->is_new;
    const enum ws_take take = ws_walk_take_payload(&s->walk, f->p, len, &f->seen);
    f->p += len;
    f->is_new = false;
    if (take == WS_TAKE_BAD) {
        bad(s, &f->seen);
    } else if (take != WS_TAKE_MORE && is_in_one) {
        tell_control(s, opcode, plain, len);
    } else {
        strbuf_add(&s->control, plain, len);
        if (take != WS_TAKE_MORE)
            tell_control(s, opcode, (const uint8_t *)s->control.data, s->control.len);
        if (take != WS_TAKE_MORE)
            strbuf_fini(&s->control);
    }
}

/* Takes a header, or what there is of it. Whether a payload follows, maybe an empty one. */
static bool take_header(struct sift *s, struct feed *f)
{
    f->frame = s->walk.header_have == 0 ? f->p : NULL;
    const enum ws_take take = ws_walk_take_header(&s->walk, &f->p, f->end, &f->seen);
    f->is_new = take == WS_TAKE_WHOLE;
    if (take == WS_TAKE_BAD)
        bad(s, &f->seen);
    return f->is_new;
}

void sift_feed(struct sift *s, const uint8_t *data, size_t len)
{
    struct feed f;
    f.p = data;
    f.end = data + len;
    f.is_new = false;
    ws_seen_clear(&f.seen);
    while (f.p < f.end && !s->is_stopped) {
        if (skim(s, &f))
            continue;
        /* frame_left is 0 between two frames, and while a header is incomplete. */
        if (ws_walk_frame_left(&s->walk) == 0 && !take_header(s, &f))
            break;
        if (ws_walk_opcode(&s->walk) >= WS_OPCODE_CLOSE)
            take_control(s, &f);
        else
            take_data(s, &f);
    }
    if (!s->is_stopped)
        sift_flush(s);
}
