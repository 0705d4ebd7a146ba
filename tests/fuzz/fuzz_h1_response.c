/* Responses from any server, judged as answers to a handshake. The first byte chooses how the rest is cut. Laws: the
 * verdict does not depend on the cuts; whatever is refused is a 502; what was accepted, once forwarded, is accepted
 * again with the same status and framing. */
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "gateway/http/forward.h"
#include "gateway/http/h1_body.h"
#include "gateway/http/h1_write.h"
#include "gateway/http/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct h1_limits limits = H1_LIMITS_DEFAULT;

static enum h1_result parse_in_pieces(struct http_head *h, const uint8_t *data, size_t len, size_t piece)
{
    struct h1_scan scan = {0};
    enum h1_result r = H1_MORE;
    for (size_t have = 0; r == H1_MORE && have < len;) {
        have = len - have < piece ? len : have + piece;
        r = h1_parse_response(h, &scan, data, have, &limits);
    }
    return r;
}

static void judge(const struct http_head *h)
{
    static const char handshake[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                                    "Sec-WebSocket-Protocol: chat, soap\r\n\r\n";
    struct http_head request;
    struct h1_scan scan = {0};
    ASSERT(h1_parse_request(&request, &scan, (const uint8_t *)handshake, sizeof handshake - 1, &limits) == H1_DONE);
    if (upgrade_check_response(h, &request, http_value(&request, "sec-websocket-key")) == NULL)
        ASSERT(h->status == 101);
}

static void check_forwarded(const struct http_head *h, bool keep_alive)
{
    static const struct h1_limits wide = {.head_bytes = 65536, .target_bytes = 65536, .field_count = HTTP_MAX_FIELDS};
    const struct forward_answer f = {.request_id = {"fresh", 5}, .wall_ms = 1, .server = keep_alive ? "edge" : NULL};
    const struct h1_write w = {.framing = h->is_chunked            ? H1_FRAMING_CHUNKED
                                          : h->content_length >= 0 ? H1_FRAMING_LENGTH
                                                                   : H1_FRAMING_NONE,
                               .content_length = (uint64_t)h->content_length,
                               .connection = keep_alive ? H1_CONNECTION_DEFAULT : H1_CONNECTION_CLOSE};
    struct strbuf out;
    struct http_texts texts;
    struct http_head to, again;
    struct h1_scan scan = {0};

    strbuf_init(&out, 65536);
    http_texts_init(&texts, 1024);
    if (h->field_count + 5 <= HTTP_MAX_FIELDS) {
        ASSERT(forward_response(&to, &texts, h, &f) && h1_write_response(&out, &to, &w));
        const enum h1_result r = h1_parse_response(&again, &scan, (const uint8_t *)out.data, out.len, &wide);
        ASSERT(r == H1_DONE && again.head_bytes == out.len && again.status == h->status);
        ASSERT(again.is_chunked == h->is_chunked && again.content_length == h->content_length);
        ASSERT(keep_alive || h->status < 200 || !again.is_persistent);
        ASSERT(http_count(&again, "date") >= 1);
    }
    http_texts_fini(&texts);
    strbuf_fini(&out);
}

static size_t read_body(const struct http_head *h, const uint8_t *data, size_t len, size_t piece)
{
    struct h1_body b;
    enum h1_result r = H1_MORE;
    size_t at = 0;
    h1_body_init_response(&b, h, false);
    while (r == H1_MORE && at < len) {
        struct http_view content;
        size_t used;
        r = h1_body_feed(&b, data + at, len - at < piece ? len - at : piece, &used, &content);
        ASSERT(used <= len - at && content.len <= used && (r != H1_MORE || used > 0));
        at += used;
    }
    ASSERT(r != H1_BAD || b.error_reason != NULL);
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    const size_t piece = data[0] % 32u + 1;
    struct http_head whole, cut;
    data++;
    len--;
    if (len == 0)
        return 0;

    const enum h1_result r = parse_in_pieces(&whole, data, len, len);
    ASSERT(parse_in_pieces(&cut, data, len, piece) == r);
    if (r == H1_BAD)
        ASSERT(whole.error_status == 502 && whole.error_reason != NULL);
    if (r != H1_DONE)
        return 0;
    ASSERT(whole.status >= 100 && whole.status < 600 && whole.head_bytes <= len);
    judge(&whole);
    check_forwarded(&whole, (piece & 1) != 0);
    data += whole.head_bytes;
    len -= whole.head_bytes;
    ASSERT(read_body(&whole, data, len, len) == read_body(&whole, data, len, piece));
    return 0;
}
