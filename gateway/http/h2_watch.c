/* Purses of tokens, and a walk over frame headers that survives any cut of the bytes. */
#include "gateway/http/h2_watch.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

/* Frame types and flags of RFC 9113 section 6 and RFC 9218 section 7.1. */
enum {
    TYPE_DATA = 0,
    TYPE_HEADERS = 1,
    TYPE_PRIORITY = 2,
    TYPE_RST_STREAM = 3,
    TYPE_SETTINGS = 4,
    TYPE_PUSH_PROMISE = 5,
    TYPE_PING = 6,
    TYPE_WINDOW_UPDATE = 8,
    TYPE_CONTINUATION = 9,
    TYPE_PRIORITY_UPDATE = 16,
};
#define FLAG_END_STREAM  0x01u
#define FLAG_END_HEADERS 0x04u
#define FLAG_PADDED      0x08u

/* With frames of 16 KiB this is more than any head that is taken. */
#define MAX_CONTINUATIONS 8u

/* Derived from what browsers and proxies do at their worst, times some: a page left while all of its streams are open,
 * twice (resets); a ping per round trip on a good line (ping); one priority frame per stream and move (priority). */
static const struct {
    uint32_t burst_count;
    uint32_t per_second_count;
    const char *violation;
} purses[H2_PURSE_COUNT] = {
    [H2_PURSE_RESET] = {400, 40, "too many streams reset"},
    [H2_PURSE_SETTINGS] = {20, 2, "too many settings"},
    [H2_PURSE_PING] = {100, 20, "too many pings"},
    [H2_PURSE_EMPTY] = {100, 20, "too many empty frames"},
    [H2_PURSE_PRIORITY] = {1000, 100, "too many priority frames"},
    [H2_PURSE_WINDOW] = {2000, 200, "too many window updates"},
    [H2_PURSE_ODD] = {100, 20, "too many frames of no use"},
};

void h2_watch_init(struct h2_watch *w, size_t skip_bytes, int64_t now_ms)
{
    *w = (struct h2_watch){.filled_ms = now_ms, .left_bytes = skip_bytes};
    for (size_t i = 0; i < H2_PURSE_COUNT; i++)
        w->tokens[i] = (int64_t)purses[i].burst_count * 1000;
}

static void fill(struct h2_watch *w, int64_t now_ms)
{
    const int64_t passed_ms = now_ms - w->filled_ms;
    if (passed_ms <= 0)
        return;
    w->filled_ms = now_ms;
    for (size_t i = 0; i < H2_PURSE_COUNT; i++) {
        const int64_t most = (int64_t)purses[i].burst_count * 1000;
        /* A purse that was empty is full again after burst / per_second, which is less than a minute for all. */
        const int64_t more = passed_ms < 60000 ? passed_ms * purses[i].per_second_count : most;
        w->tokens[i] = w->tokens[i] + more < most ? w->tokens[i] + more : most;
    }
}

void h2_watch_charge(struct h2_watch *w, enum h2_purse p)
{
    ASSERT(p < H2_PURSE_COUNT);
    if (w->tokens[p] < 1000) {
        w->violation = purses[p].violation;
        return;
    }
    w->tokens[p] -= 1000;
}

void h2_watch_credit(struct h2_watch *w, enum h2_purse p, uint32_t count)
{
    ASSERT(p < H2_PURSE_COUNT);
    const int64_t most = (int64_t)purses[p].burst_count * 1000;
    const int64_t tokens = w->tokens[p] + (int64_t)count * 1000;
    w->tokens[p] = tokens < most ? tokens : most;
}

/* Header blocks: a frame that begins one, and those that continue it. */
static void judge_block(struct h2_watch *w, uint8_t type, uint8_t flags, uint32_t len)
{
    if (len == 0 && (flags & FLAG_END_HEADERS) == 0)
        h2_watch_charge(w, H2_PURSE_EMPTY);
    if (type != TYPE_CONTINUATION)
        w->block_frame_count = 0;
    else if (w->block_frame_count > MAX_CONTINUATIONS)
        w->violation = "too many continuations";
    w->block_frame_count++;
}

static void judge(struct h2_watch *w, uint8_t type, uint8_t flags, uint32_t len)
{
    const bool is_padding_only = (flags & FLAG_PADDED) != 0 && len <= 1;
    switch (type) {
    case TYPE_DATA:
        if ((len == 0 || is_padding_only) && (flags & FLAG_END_STREAM) == 0)
            h2_watch_charge(w, H2_PURSE_EMPTY);
        break;
    case TYPE_HEADERS:
    case TYPE_PUSH_PROMISE:
    case TYPE_CONTINUATION:
        judge_block(w, type, flags, len);
        break;
    case TYPE_RST_STREAM:
        h2_watch_charge(w, H2_PURSE_RESET);
        break;
    case TYPE_SETTINGS:
        h2_watch_charge(w, H2_PURSE_SETTINGS);
        break;
    case TYPE_PING:
        h2_watch_charge(w, H2_PURSE_PING);
        break;
    case TYPE_WINDOW_UPDATE:
        h2_watch_charge(w, H2_PURSE_WINDOW);
        break;
    case TYPE_PRIORITY:
    case TYPE_PRIORITY_UPDATE:
        h2_watch_charge(w, H2_PURSE_PRIORITY);
        break;
    default: /* GOAWAY, and what this version does not know */
        h2_watch_charge(w, H2_PURSE_ODD);
        break;
    }
}

size_t h2_watch_feed(struct h2_watch *w, const uint8_t *data, size_t len, int64_t now_ms)
{
    size_t at = 0, header_at = 0; /* where the header being read begins, when that is in `data` */
    fill(w, now_ms);
    while (at < len && w->violation == NULL) {
        if (w->left_bytes > 0) {
            const size_t take = len - at < w->left_bytes ? len - at : (size_t)w->left_bytes;
            w->left_bytes -= take;
            at += take;
            continue;
        }
        if (w->header_len == 0)
            header_at = at;
        w->header[w->header_len++] = data[at++];
        if (w->header_len < H2_FRAME_HEADER_BYTES)
            continue;
        const uint32_t payload = (uint32_t)w->header[0] << 16 | (uint32_t)w->header[1] << 8 | w->header[2];
        judge(w, w->header[3], w->header[4], payload);
        w->left_bytes = payload;
        w->header_len = 0;
        if (w->violation != NULL)
            return header_at;
    }
    return w->violation == NULL ? len : 0;
}
