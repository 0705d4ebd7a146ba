/* Requests from anybody. The first two bytes choose the limits and how the rest is cut; the rest is a stream of
 * requests with their bodies. Laws: the verdict does not depend on the cuts; views lie inside the input; what was
 * accepted, once forwarded, is a request that is accepted again and asks for the same; framing is said once. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/http/answer.h"
#include "gateway/http/forward.h"
#include "gateway/http/h1_body.h"
#include "gateway/http/h1_write.h"
#include "gateway/http/target.h"
#include "gateway/http/trace.h"
#include "gateway/http/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_inside(struct http_view v, const uint8_t *data, size_t len)
{
    const uint8_t *at = (const uint8_t *)v.data;
    ASSERT(v.len == 0 || (at >= data && at + v.len <= data + len));
}

static enum h1_result parse_in_pieces(struct http_head *h, const uint8_t *data, size_t len, size_t piece,
                                      const struct h1_limits *l)
{
    struct h1_scan scan = {0};
    enum h1_result r = H1_MORE;
    for (size_t have = 0; r == H1_MORE && have < len;) {
        have = len - have < piece ? len : have + piece;
        r = h1_parse_request(h, &scan, data, have, l);
    }
    return r;
}

static bool is_same(struct http_view a, struct http_view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void check_forwarded(const struct http_head *h, bool is_websocket)
{
    static const struct h1_limits wide = {.head_bytes = 65536, .target_bytes = 65536, .field_count = HTTP_MAX_FIELDS};
    const struct forward f = {.client_ip = "2001:db8::1",
                              .is_trusted = (h->head_bytes & 1) != 0,
                              .is_websocket = is_websocket,
                              .upstream_host = "upstream:80",
                              .via = "edge",
                              .request_id = forward_request_id(h, (h->head_bytes & 1) != 0, "fresh")};
    const struct h1_write w = {.framing = h->is_chunked            ? H1_FRAMING_CHUNKED
                                          : h->content_length >= 0 ? H1_FRAMING_LENGTH
                                                                   : H1_FRAMING_NONE,
                               .content_length = (uint64_t)h->content_length};
    struct strbuf out;
    struct http_texts texts;
    struct http_head to, again;
    struct h1_scan scan = {0};

    strbuf_init(&out, 65536);
    http_texts_init(&texts, 65536);
    ASSERT(forward_request(&to, &texts, h, &f) && h1_write_request(&out, &to, &w));
    const enum h1_result r = h1_parse_request(&again, &scan, (const uint8_t *)out.data, out.len, &wide);
    if (r == H1_BAD) { /* the gateway's own fields may be the ones too many, never anything else */
        ASSERT(again.error_status == 431);
    } else {
        ASSERT(r == H1_DONE && again.head_bytes == out.len);
        ASSERT(is_same(again.method, to.method) && is_same(again.path, h->path) && is_same(again.query, h->query));
        ASSERT(again.is_chunked == h->is_chunked && again.content_length == h->content_length);
        ASSERT(http_count(&again, "x-request-id") == 1 && http_count(&again, "forwarded") == 1);
    }
    http_texts_fini(&texts);
    strbuf_fini(&out);
}

/* A trace that goes on is one that everybody behind the gateway can read. */
static void check_trace(const struct http_head *h)
{
    static const struct trace_policy policy = {.mode = TRACE_CONTINUE, .is_believed = true};
    static const uint8_t random[TRACE_RANDOM_BYTES] = {1};
    struct trace t, again;
    trace_begin(&t, h, &policy, random);
    if (t.is_continued)
        ASSERT(trace_parse(http_view_of(t.parent), &again) && again.flags == t.flags);
    else
        ASSERT(t.parent[0] == '\0');
}

static void use_head(const struct http_head *h, const uint8_t *data, size_t len)
{
    const char *reason = NULL;
    char value[8], accept[UPGRADE_ACCEPT_BYTES];

    ASSERT(h->head_bytes <= len && h->field_count <= HTTP_MAX_FIELDS);
    ASSERT(http_count(h, "host") <= 1 && http_count(h, "content-length") + h->is_chunked <= 1);
    check_inside(h->method, data, len);
    check_inside(h->target, data, len);
    check_inside(h->authority, data, len);
    for (uint32_t i = 0; i < h->field_count; i++) {
        check_inside(h->fields[i].name, data, len);
        check_inside(h->fields[i].value, data, len);
        ASSERT(http_is_token(h->fields[i].name));
    }
    ASSERT(answer_choose(h) < ANSWER_FORM_COUNT);
    (void)target_path_is_safe(h->path);
    (void)target_matches_prefix(h->path, "/a%20b/");
    (void)target_matches_host(h->authority, "*.example.com");
    (void)target_query_value(h->query, "vsn", value, sizeof value);
    if (upgrade_check_request(h, &reason) == 0)
        upgrade_accept_key(http_value(h, "sec-websocket-key"), accept);
    else
        ASSERT(reason != NULL);
    check_forwarded(h, upgrade_check_request(h, &reason) == 0);
    check_trace(h);
}

/* The body of `h`, read in pieces; returns how many bytes belong to it, or `len` when it does not end or is bad. */
static size_t read_body(const struct http_head *h, const uint8_t *data, size_t len, size_t piece)
{
    struct h1_body b;
    enum h1_result r = H1_MORE;
    size_t at = 0;
    h1_body_init_request(&b, h);
    if (b.kind == H1_BODY_NONE)
        return 0;
    while (r == H1_MORE && at < len) {
        struct http_view content;
        size_t used;
        r = h1_body_feed(&b, data + at, len - at < piece ? len - at : piece, &used, &content);
        ASSERT(used <= len - at && (r != H1_MORE || used > 0));
        check_inside(content, data, len);
        at += used;
    }
    return r == H1_DONE ? at : len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    const struct h1_limits l = {.head_bytes = 16u + data[0] * 32u,
                                .target_bytes = 4u + data[0] * 8u,
                                .field_count = data[0] % HTTP_MAX_FIELDS + 1};
    const size_t piece = data[1] % 32u + 1;
    data += 2;
    len -= 2;

    while (len > 0) {
        struct http_head whole, cut;
        const enum h1_result r = parse_in_pieces(&whole, data, len, len, &l);
        ASSERT(parse_in_pieces(&cut, data, len, piece, &l) == r);
        ASSERT(whole.error_status == cut.error_status && whole.head_bytes == cut.head_bytes);
        if (r != H1_DONE)
            break;
        use_head(&whole, data, len);
        data += whole.head_bytes;
        len -= whole.head_bytes;
        const size_t body = read_body(&whole, data, len, len);
        ASSERT(read_body(&whole, data, len, piece) == body);
        data += body;
        len -= body;
    }
    return 0;
}
