/* What a client can put into a key and into the choice of an answer: a query, fields, a range. The first byte is the
 * route's rules; then, line by line: query, host, Vary of an answer, and the fields of the request in a row, each with
 * the first byte of its line for its name. */
#include <string.h>

#include "base/assert.h"
#include "cache/accept.h"
#include "cache/key.h"
#include "cache/range.h"
#include "cache/serve.h"
#include "gateway/http/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define BODY_BYTES 1000u
#define ALL        (1u << CODING_GZIP | 1u << CODING_BR | 1u << CODING_ZSTD)

static const char *const names[] = {"accept-encoding",     "range",         "if-range", "if-none-match",    "if-match",
                                    "if-unmodified-since", "authorization", "x-key",    "if-modified-since"};
static const char *const headers[] = {"x-key"};
static const char *const keep[] = {"a", "b", "id"};
static const char *const drop[] = {"utm_*", "c"};

static struct http_view line_next(struct http_view *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    const size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    const struct http_view line = {rest->data, len};
    rest->data += end != NULL ? len + 1 : len;
    rest->len -= end != NULL ? len + 1 : len;
    return line;
}

static bool is_same(struct http_view a, struct http_view b)
{
    return (a.data == NULL) == (b.data == NULL) && a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void make_route(struct conf_route *r, uint8_t rules)
{
    *r = (struct conf_route){.name = "r", .cache.headers = (const char **)headers, .cache.header_count = 1};
    r->cache.sorts_query = (rules & 1) != 0;
    r->cache.keep_query = (const char **)keep;
    r->cache.keep_query_count = (rules & 2) != 0 ? sizeof keep / sizeof keep[0] : 0;
    r->cache.drop_query = (const char **)drop;
    r->cache.drop_query_count = (rules & 4) != 0 ? sizeof drop / sizeof drop[0] : 0;
    r->cache.scope = (rules & 8) != 0 ? CACHE_SCOPE_TOKEN : CACHE_SCOPE_PUBLIC;
}

static void make_request(struct http_head *h, struct http_view rest)
{
    while (rest.len > 0 && h->field_count < HTTP_MAX_FIELDS) {
        struct http_view line = line_next(&rest);
        if (line.len == 0)
            continue;
        const uint8_t name = (uint8_t)line.data[0] % (sizeof names / sizeof names[0]);
        line.data++;
        line.len--;
        (void)http_head_add(h, http_view_of(names[name]), text_trim(line));
    }
}

/* ---- invariants ---- */

/* What was made once has nothing left to be made; and a key of it is the key of what it was made of. */
static void check_query(const struct conf_route *r, struct http_head *h)
{
    const struct cache_who who = {.is_trusted = true};
    struct http_view once, twice;
    struct http_texts t;
    struct strbuf one, other;
    http_texts_init(&t, 4 * CACHE_KEY_BYTES_MAX);
    strbuf_init(&one, CACHE_KEY_BYTES_MAX);
    strbuf_init(&other, CACHE_KEY_BYTES_MAX);
    const bool has_query = cache_key_query(&once, &t, r, h->query);
    const bool has_key = cache_key_build(&one, r, h, false, &who, NULL);
    ASSERT(has_query || !has_key);
    if (has_query) {
        ASSERT(once.data == NULL || (once.len > 0 && once.len <= h->query.len));
        ASSERT(cache_key_query(&twice, &t, r, once) && twice.data == once.data && twice.len == once.len);
        h->query = once;
        ASSERT(cache_key_build(&other, r, h, false, &who, NULL) == has_key);
        ASSERT(!has_key || (one.len == other.len && memcmp(one.data, other.data, one.len) == 0));
    }
    strbuf_fini(&one);
    strbuf_fini(&other);
    http_texts_fini(&t);
}

static void check_host(struct http_view host)
{
    struct http_texts t;
    http_texts_init(&t, CACHE_KEY_BYTES_MAX);
    const struct http_view once = cache_key_host(&t, host, true);
    ASSERT(t.failed || once.len <= host.len);
    ASSERT(t.failed || once.len == 0 || once.data[0] == text_lower(host.data[0]));
    http_texts_fini(&t);
}

static void check_vary(const struct conf_route *r, const struct http_head *request, struct http_view value)
{
    struct http_head answer;
    struct http_view once, twice;
    struct http_texts t;
    struct strbuf key;
    http_head_clear(&answer);
    ASSERT(http_head_add(&answer, http_view_of("vary"), value));
    http_texts_init(&t, 4 * CACHE_KEY_BYTES_MAX);
    strbuf_init(&key, CACHE_KEY_BYTES_MAX);
    if (cache_vary_of(&once, &t, r, &answer, (struct http_view){NULL, 0})) {
        ASSERT(cache_vary_of(&twice, &t, r, &answer, once) && is_same(once, twice));
        (void)cache_key_add_vary(&key, once, request);
    }
    strbuf_clear(&key);
    (void)cache_key_add_vary(&key, http_view_of("accept-encoding,if-match,range"), request);
    strbuf_fini(&key);
    http_texts_fini(&t);
}

static struct cache_entry *make_entry(void)
{
    static const struct http_field fields[] = {
        {{"etag", 4}, {"\"x\"", 3}},
        {{"date", 4}, {"Sun, 06 Nov 1994 08:50:00 GMT", 29}},
        {{"last-modified", 13}, {"Sun, 06 Nov 1994 08:49:37 GMT", 29}},
    };
    static const uint8_t body[BODY_BYTES];
    const struct cache_draft d = {.status = 200,
                                  .fields = fields,
                                  .field_count = sizeof fields / sizeof fields[0],
                                  .key = {"k", 1},
                                  .body = slice_borrow(body, sizeof body)};
    struct cache_entry *e = cache_entry_create(&d);
    e->coded[CODING_GZIP] = slice_copy(body, BODY_BYTES / 2);
    e->is_coded_in_vain[CODING_ZSTD] = true;
    return e;
}

/* Whatever is asked, what goes out is there, and the head says how much it is. */
static void check_serving(const struct http_head *request)
{
    struct cache_entry *e = make_entry();
    struct cache_serving s;
    struct http_head head;
    struct http_texts t;
    http_texts_init(&t, 4096);
    cache_serve_choose(&s, e, request, ALL);
    ASSERT(s.coding != CODING_ZSTD && s.coding < CODING_OTHER);
    if (s.needs_coding) {
        ASSERT(s.coding == CODING_BR);
        cache_serve_choose(&s, e, request, ALL & ~(1u << CODING_BR));
    }
    ASSERT(!s.needs_coding);
    const size_t body_bytes = s.coding == CODING_GZIP ? BODY_BYTES / 2 : BODY_BYTES;
    ASSERT(s.from_byte <= body_bytes && s.byte_count <= body_bytes - s.from_byte);
    ASSERT(s.status == 200 || s.status == 206 || s.status == 304 || s.status == 412 || s.status == 416);
    ASSERT(s.has_body == (s.status == 200 || s.status == 206));
    ASSERT(s.status != 200 || s.byte_count == body_bytes);
    ASSERT(cache_serve_head(&head, &t, e, &s, ALL, 1000));
    ASSERT(head.content_length == (s.status == 304 ? -1 : (int64_t)s.byte_count));
    http_texts_fini(&t);
    cache_entry_unref(&e);
}

static void check_tags(struct http_view list)
{
    struct http_texts t;
    http_texts_init(&t, (size_t)1 << 20);
    const struct http_view all = cache_serve_origin_etags(&t, list);
    ASSERT(all.data == NULL || (all.len >= list.len && memcmp(all.data, list.data, list.len) == 0));
    http_texts_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct conf_route r;
    struct http_head h;
    if (len < 1)
        return 0;
    struct http_view rest = {(const char *)data + 1, len - 1};
    make_route(&r, data[0]);
    http_head_clear(&h);
    h.method = http_view_of("GET");
    h.path = http_view_of("/");
    h.query = line_next(&rest);
    h.authority = line_next(&rest);
    const struct http_view vary = line_next(&rest);
    make_request(&h, rest);
    check_host(h.authority);
    check_vary(&r, &h, vary);
    check_serving(&h);
    for (uint32_t i = 0; i < h.field_count; i++)
        check_tags(h.fields[i].value);
    check_query(&r, &h);
    return 0;
}
