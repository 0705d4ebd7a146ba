/* The frame walker. Two ways through it:
 *
 * - the skim, for what nearly all traffic is: whole, unfragmented data frames that lie in the buffer from end to end.
 *   A handful of compares per frame, state in registers, nothing stored;
 * - the step, for everything else: a header gathered byte by byte if need be, judged as early as its bytes allow (a
 *   bad first byte is refused before it is passed on), then the payload in as many pieces as it comes.
 *
 * The hard part is what may be sent on when something is wrong: bytes cannot be called back, so the verdict names the
 * offset of the offending frame, and says when that frame had begun in an earlier call. */
#include "gateway/ws/frame.h"

#include <string.h>

#include "base/assert.h"
#include "gateway/ws/close.h"
#include "gateway/ws/mask.h"

#define BITS_RSV      0x70u
#define BITS_OPCODE   0x0fu
#define BIT_CONTROL   0x08u
#define BIT_MASKED    0x80u
#define BITS_LENGTH   0x7fu
#define LENGTH_16     126u /* two bytes of length follow */
#define LENGTH_64     127u /* eight do */
#define KEY_BYTES     4u
#define KNOWN_OPCODES 0x0707u /* one bit per opcode: 0-2 and 8-10 */

/* Why a frame was refused. */
struct fault {
    uint16_t code;
    const char *text;
};
#define FAULT(c, t) ((struct fault){.code = (c), .text = (t)})
#define NO_FAULT    ((struct fault){.code = 0, .text = NULL})

_Static_assert(sizeof(struct ws_walk) <= 48, "two of these live as long as a connection");

void ws_walk_init(struct ws_walk *w, enum ws_sender sender, uint64_t max_message_bytes, bool checks_utf8)
{
    *w = (struct ws_walk){
        .max_message_bytes = max_message_bytes > 0 ? max_message_bytes : UINT64_MAX,
        .is_server = sender == WS_SENDER_SERVER,
        .checks_utf8 = checks_utf8,
    };
}

void ws_walk_allow_compressed(struct ws_walk *w)
{
    w->may_compress = true;
}

bool ws_walk_is_in_message(const struct ws_walk *w)
{
    return w->message_opcode != 0;
}

/* Whether a whole plain message begins at `p` and ends before `end`: how long its header and its payload are. */
static inline bool see_message(const struct ws_walk *w, uint8_t text, const uint8_t *p, const uint8_t *end,
                               size_t *header, size_t *payload)
{
    const uint8_t mask_bit = w->is_server ? 0 : BIT_MASKED;
    const size_t short_header = w->is_server ? 2 : 2 + KEY_BYTES;
    if ((size_t)(end - p) < short_header || (p[0] != (WS_FIN | WS_OPCODE_BINARY) && p[0] != text))
        return false;
    *payload = p[1] ^ mask_bit; /* a wrong mask bit makes it too large to be a length */
    *header = short_header;
    if (*payload >= LENGTH_16) {
        if (*payload != LENGTH_16 || (size_t)(end - p) < 4)
            return false;
        *payload = (size_t)p[2] << 8 | p[3];
        *header += 2;
        if (*payload < LENGTH_16)
            return false;
    }
    return (size_t)(end - p) >= *header + *payload && *payload <= w->max_message_bytes;
}

/* Text that is to be checked is not plain. */
static uint8_t plain_text(const struct ws_walk *w)
{
    return w->checks_utf8 ? WS_FIN | WS_OPCODE_BINARY : WS_FIN | WS_OPCODE_TEXT;
}

bool ws_walk_sees_message(const struct ws_walk *w, const uint8_t *p, const uint8_t *end, size_t *header,
                          size_t *payload)
{
    return w->header_have == 0 && w->message_opcode == 0 && !w->is_over &&
           see_message(w, plain_text(w), p, end, header, payload);
}

/* Passes over whole plain messages; returns the place of the first frame that needs the step. */
static const uint8_t *skim(const struct ws_walk *w, const uint8_t *p, const uint8_t *end, struct ws_seen *seen)
{
    const uint8_t text = plain_text(w);
    uint32_t message_count = 0;
    size_t header, payload;

    while (see_message(w, text, p, end, &header, &payload)) {
        p += header + payload;
        message_count++;
    }
    seen->message_count += message_count;
    return p;
}

static uint8_t opcode_of(const struct ws_walk *w)
{
    return w->header[0] & BITS_OPCODE;
}

static bool is_control(const struct ws_walk *w)
{
    return (w->header[0] & BIT_CONTROL) != 0;
}

/* Whether the frame whose header is in hand belongs to a compressed message. */
static bool is_compressed(const struct ws_walk *w)
{
    return opcode_of(w) == WS_OPCODE_CONTINUATION ? w->is_compressed : (w->header[0] & WS_RSV1) != 0;
}

static struct fault check_first_byte(const struct ws_walk *w)
{
    const uint8_t first = w->header[0];
    const uint8_t opcode = first & BITS_OPCODE;

    const bool begins_message = opcode == WS_OPCODE_TEXT || opcode == WS_OPCODE_BINARY;
    if ((first & BITS_RSV) != 0 && !(w->may_compress && begins_message && (first & BITS_RSV) == WS_RSV1))
        return FAULT(WS_CLOSE_PROTOCOL_ERROR, "reserved bits set");
    if ((KNOWN_OPCODES >> opcode & 1u) == 0)
        return FAULT(WS_CLOSE_PROTOCOL_ERROR, "unknown opcode");
    if (opcode & BIT_CONTROL)
        return first & WS_FIN ? NO_FAULT : FAULT(WS_CLOSE_PROTOCOL_ERROR, "fragmented control frame");
    if (opcode == WS_OPCODE_CONTINUATION && w->message_opcode == 0)
        return FAULT(WS_CLOSE_PROTOCOL_ERROR, "continuation of nothing");
    if (opcode != WS_OPCODE_CONTINUATION && w->message_opcode != 0)
        return FAULT(WS_CLOSE_PROTOCOL_ERROR, "new message inside another");
    return NO_FAULT;
}

static struct fault check_second_byte(const struct ws_walk *w)
{
    const uint8_t second = w->header[1];
    const uint8_t length = second & BITS_LENGTH;

    if (w->is_server && (second & BIT_MASKED))
        return FAULT(WS_CLOSE_PROTOCOL_ERROR, "masked frame from a server");
    if (!w->is_server && !(second & BIT_MASKED))
        return FAULT(WS_CLOSE_PROTOCOL_ERROR, "unmasked frame from a client");
    if (is_control(w) && length > WS_CONTROL_BYTES)
        return FAULT(WS_CLOSE_PROTOCOL_ERROR, "control frame too long");
    if (opcode_of(w) == WS_OPCODE_CLOSE && length == 1)
        return FAULT(WS_CLOSE_PROTOCOL_ERROR, "close frame of one byte");
    return NO_FAULT;
}

/* Bytes of length after the first two. */
static size_t extended_bytes(uint8_t second)
{
    const uint8_t length = second & BITS_LENGTH;
    return length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
}

/* What does not compress grows by the headers of its blocks. */
static uint64_t message_bound(const struct ws_walk *w)
{
    const uint64_t growth = is_compressed(w) ? w->max_message_bytes / 64 + 256 : 0;
    return w->max_message_bytes < UINT64_MAX - growth ? w->max_message_bytes + growth : UINT64_MAX;
}

static struct fault check_length(struct ws_walk *w)
{
    const uint8_t length = w->header[1] & BITS_LENGTH;
    uint64_t payload = length;

    if (length >= LENGTH_16) {
        const size_t extended = extended_bytes(w->header[1]);
        payload = 0;
        for (size_t i = 0; i < extended; i++)
            payload = payload << 8 | w->header[2 + i];
        if (payload >> 63)
            return FAULT(WS_CLOSE_PROTOCOL_ERROR, "length of 64 bits");
        if (payload <= (extended == 2 ? LENGTH_16 - 1 : UINT16_MAX))
            return FAULT(WS_CLOSE_PROTOCOL_ERROR, "length not in its shortest form");
    }
    if (!is_control(w) && payload > message_bound(w) - w->message_bytes)
        return FAULT(WS_CLOSE_TOO_BIG, "message too big");
    w->frame_left_bytes = payload;
    return NO_FAULT;
}

/* The header is whole and sound: sets up the payload. */
static void begin_payload(struct ws_walk *w)
{
    const uint8_t opcode = opcode_of(w);
    w->phase = 0;
    if (opcode == WS_OPCODE_CLOSE) {
        w->text = (struct utf8){0};
    } else if (!is_control(w)) {
        if (opcode != WS_OPCODE_CONTINUATION) {
            w->is_compressed = is_compressed(w);
            w->message_opcode = opcode;
            w->text = (struct utf8){0};
        }
        w->message_bytes += w->frame_left_bytes;
    }
}

/* Gathers the header from *p on. Returns whether it is whole now, or why it is refused. */
static bool take_header(struct ws_walk *w, const uint8_t **p, const uint8_t *end, struct fault *fault)
{
    for (;;) {
        size_t need = 2;
        if (w->header_have >= 2)
            need += extended_bytes(w->header[1]) + (w->is_server ? 0 : KEY_BYTES);
        if (w->header_have >= 2 && w->header_have == need) {
            *fault = check_length(w);
            if (fault->code == 0)
                begin_payload(w);
            return fault->code == 0;
        }
        if (*p == end)
            return false;
        w->header[w->header_have++] = *(*p)++;
        if (w->header_have == 1)
            *fault = check_first_byte(w);
        else if (w->header_have == 2)
            *fault = check_second_byte(w);
        if (fault->code != 0)
            return false;
    }
}

static struct fault take_text(struct ws_walk *w, const uint8_t *p, size_t len)
{
    bool is_valid = true;
    if (w->is_server) {
        is_valid = utf8_feed(&w->text, p, len);
    } else {
        uint8_t plain[512];
        for (size_t done = 0; done < len && is_valid;) {
            size_t piece = len - done < sizeof plain ? len - done : sizeof plain;
            ws_mask_copy(plain, p + done, piece, ws_walk_mask_key(w), w->phase + done);
            is_valid = utf8_feed(&w->text, plain, piece);
            done += piece;
        }
    }
    return is_valid ? NO_FAULT : FAULT(WS_CLOSE_BAD_DATA, "text is not UTF-8");
}

static struct fault take_close(struct ws_walk *w, const uint8_t *p, size_t len, struct ws_seen *seen)
{
    uint8_t plain[WS_CONTROL_BYTES];
    size_t at = 0;
    if (w->is_server)
        memcpy(plain, p, len);
    else
        ws_mask_copy(plain, p, len, ws_walk_mask_key(w), w->phase);

    for (; at < len && w->phase + at < 2; at++) {
        w->close_code = (uint16_t)(w->close_code << 8 | plain[at]);
        if (w->phase + at == 1 && !ws_close_code_is_valid_on_wire(w->close_code))
            return FAULT(WS_CLOSE_PROTOCOL_ERROR, "close code not allowed");
    }
    if (!utf8_feed(&w->text, plain + at, len - at))
        return FAULT(WS_CLOSE_BAD_DATA, "close reason is not UTF-8");
    memcpy(seen->reason, plain + at, len - at);
    seen->reason_len = (uint8_t)(len - at);
    return NO_FAULT;
}

/* The last byte of the frame has passed. */
static struct fault end_frame(struct ws_walk *w, struct ws_seen *seen)
{
    const uint8_t opcode = opcode_of(w);
    const bool is_final = (w->header[0] & WS_FIN) != 0;

    w->header_have = 0;
    if (opcode == WS_OPCODE_PING) {
        seen->ping_count++;
    } else if (opcode == WS_OPCODE_PONG) {
        seen->pong_count++;
    } else if (opcode == WS_OPCODE_CLOSE) {
        if (!utf8_may_end(&w->text))
            return FAULT(WS_CLOSE_BAD_DATA, "close reason is not UTF-8");
        seen->code = w->close_code != 0 ? w->close_code : WS_CLOSE_NO_STATUS;
        w->is_over = true;
    } else if (is_final) {
        if (!utf8_may_end(&w->text))
            return FAULT(WS_CLOSE_BAD_DATA, "text is not UTF-8");
        w->message_opcode = 0;
        w->message_bytes = 0;
        seen->message_count++;
    }
    return NO_FAULT;
}

static struct fault take_payload(struct ws_walk *w, const uint8_t *p, size_t len, struct ws_seen *seen)
{
    struct fault fault = NO_FAULT;
    if (opcode_of(w) == WS_OPCODE_CLOSE)
        fault = take_close(w, p, len, seen);
    else if (w->checks_utf8 && w->message_opcode == WS_OPCODE_TEXT && !is_control(w) && !w->is_compressed)
        fault = take_text(w, p, len);
    if (fault.code != 0)
        return fault;
    w->phase = (uint8_t)(w->phase + len);
    w->frame_left_bytes -= len;
    return NO_FAULT;
}

/* Takes what there is of one frame, header and payload. */
static struct fault step(struct ws_walk *w, const uint8_t **p, const uint8_t *end, struct ws_seen *seen)
{
    struct fault fault = NO_FAULT;
    /* frame_left_bytes is 0 with a header in hand only while that header is incomplete: a frame without payload ends
     * in the very step that completes its header. */
    if (w->frame_left_bytes == 0 && !take_header(w, p, end, &fault))
        return fault;

    const uint64_t have = (uint64_t)(end - *p);
    const size_t len = (size_t)(have < w->frame_left_bytes ? have : w->frame_left_bytes);
    fault = take_payload(w, *p, len, seen);
    if (fault.code == 0)
        *p += len;
    return fault.code == 0 && w->frame_left_bytes == 0 ? end_frame(w, seen) : fault;
}

static enum ws_verdict refuse(struct ws_walk *w, struct ws_seen *seen, ptrdiff_t frame_at, struct fault fault)
{
    w->is_over = true;
    seen->is_torn = frame_at < 0;
    seen->boundary = frame_at;
    seen->pass_bytes = frame_at < 0 ? 0 : (size_t)frame_at;
    seen->code = fault.code;
    seen->error = fault.text;
    return WS_VERDICT_BAD;
}

void ws_seen_clear(struct ws_seen *seen)
{
    seen->pass_bytes = 0;
    seen->boundary = -1;
    seen->message_count = 0;
    seen->ping_count = 0;
    seen->pong_count = 0;
    seen->is_torn = false;
    seen->code = 0;
    seen->reason_len = 0;
    seen->error = NULL;
}

enum ws_verdict ws_walk_feed(struct ws_walk *w, const uint8_t *data, size_t len, struct ws_seen *seen)
{
    const uint8_t *p = data;
    const uint8_t *end = data + len;
    ptrdiff_t frame_at = -1; /* where the current frame begins; -1: in an earlier call */

    ws_seen_clear(seen);
    if (w->is_over)
        return WS_VERDICT_CLOSED;

    while (p < end) {
        if (w->header_have == 0) {
            if (w->message_opcode == 0)
                p = skim(w, p, end, seen);
            if (p == end)
                break;
            frame_at = p - data;
        }
        struct fault fault = step(w, &p, end, seen);
        if (fault.code != 0)
            return refuse(w, seen, frame_at, fault);
        if (w->is_over) {
            seen->pass_bytes = (size_t)(p - data);
            seen->boundary = p - data;
            return WS_VERDICT_CLOSED;
        }
    }
    seen->pass_bytes = len;
    seen->boundary = w->header_have == 0 ? (ptrdiff_t)len : frame_at;
    return WS_VERDICT_PASS;
}

/* ---- a frame at a time ---- */

static enum ws_take take_bad(struct ws_walk *w, struct ws_seen *seen, struct fault fault)
{
    w->is_over = true;
    seen->code = fault.code;
    seen->error = fault.text;
    return WS_TAKE_BAD;
}

enum ws_take ws_walk_take_header(struct ws_walk *w, const uint8_t **p, const uint8_t *end, struct ws_seen *seen)
{
    struct fault fault = NO_FAULT;
    if (take_header(w, p, end, &fault))
        return WS_TAKE_WHOLE;
    return fault.code != 0 ? take_bad(w, seen, fault) : WS_TAKE_MORE;
}

enum ws_take ws_walk_take_payload(struct ws_walk *w, const uint8_t *payload, size_t len, struct ws_seen *seen)
{
    ASSERT(len <= w->frame_left_bytes);
    struct fault fault = take_payload(w, payload, len, seen);
    if (fault.code == 0 && w->frame_left_bytes > 0)
        return WS_TAKE_MORE;
    if (fault.code == 0)
        fault = end_frame(w, seen);
    if (fault.code != 0)
        return take_bad(w, seen, fault);
    return w->is_over ? WS_TAKE_CLOSED : WS_TAKE_WHOLE;
}

/* ---- writing ---- */

size_t ws_fragment_build(uint8_t out[WS_HEADER_BYTES], uint8_t first, uint64_t payload_bytes, const uint8_t *key)
{
    size_t extended = payload_bytes < LENGTH_16 ? 0 : payload_bytes <= UINT16_MAX ? 2 : 8;
    uint8_t length = extended == 8 ? LENGTH_64 : extended == 2 ? LENGTH_16 : (uint8_t)payload_bytes;

    out[0] = first;
    out[1] = (uint8_t)(length | (key != NULL ? BIT_MASKED : 0));
    for (size_t i = 0; i < extended; i++)
        out[2 + i] = (uint8_t)(payload_bytes >> 8 * (extended - 1 - i));
    if (key != NULL)
        memcpy(out + 2 + extended, key, KEY_BYTES);
    return 2 + extended + (key != NULL ? KEY_BYTES : 0);
}

size_t ws_header_build(uint8_t out[WS_HEADER_BYTES], enum ws_opcode opcode, uint64_t payload_bytes, const uint8_t *key)
{
    return ws_fragment_build(out, (uint8_t)(WS_FIN | (uint8_t)opcode), payload_bytes, key);
}
