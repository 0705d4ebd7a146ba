/* The request of a session, packed.
 *
 * A struct http_head is 4 KiB of pointers; a gateway holds a hundred thousand sessions that may never need theirs. So
 * all texts lie one behind the other, each after its length (seven bits a byte, the last one below 128), and are found
 * again by reading from the start. Field names are kept as written: a server may be given exactly what the first was
 * given. */
#include "gateway/exchange/again.h"

#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"

#define AGAIN_MAGIC 0xa6a1b03cu

struct again {
    uint32_t magic;
    uint32_t text_bytes;
    uint16_t field_count;
    uint8_t major_version, minor_version;
    bool is_trusted : 1;
    bool is_tls : 1;
    bool is_proxied : 1; /* the client is not the peer */
    bool owns_trace : 1; /* see struct trace */
    bool is_trace_continued : 1;
    struct token_claims *claims; /* NULL: none */
    uint8_t texts[];
};

/* In this order, then names and values of the fields. */
enum text {
    TEXT_PEER_IP = 0,
    TEXT_CLIENT_IP,
    TEXT_REQUEST_ID,
    TEXT_SUBJECT,
    TEXT_TRACE_ID,
    TEXT_TRACE_PARENT,
    TEXT_SUBPROTOCOL,
    TEXT_PATH,
    TEXT_QUERY,
    TEXT_AUTHORITY,
    TEXT_COUNT
};

/* ---- packing ---- */

/* No text at all is told from an empty one by a length of 0; every other length is one more. */
static size_t length_of(struct http_view v)
{
    return v.data != NULL ? v.len + 1 : 0;
}

static size_t packed_bytes(struct http_view v)
{
    size_t bytes = 1;
    for (size_t n = length_of(v); n >= 128; n >>= 7)
        bytes++;
    return bytes + v.len;
}

static uint8_t *pack(uint8_t *out, struct http_view v)
{
    size_t n = length_of(v);
    for (; n >= 128; n >>= 7)
        *out++ = (uint8_t)(n | 128);
    *out++ = (uint8_t)n;
    if (v.len > 0)
        memcpy(out, v.data, v.len);
    return out + v.len;
}

static struct http_view unpack(const uint8_t **at)
{
    size_t n = 0;
    unsigned shift = 0;
    for (; **at >= 128; shift += 7)
        n |= (size_t)(*(*at)++ & 127) << shift;
    n |= (size_t) * (*at)++ << shift;
    if (n == 0)
        return (struct http_view){NULL, 0};
    const struct http_view v = {(const char *)*at, n - 1};
    *at += v.len;
    return v;
}

struct again *again_create(const struct outgoing *o, struct http_view subprotocol)
{
    const struct http_head *h = o->head;
    const bool is_proxied = strcmp(o->client_ip, o->peer_ip) != 0;
    const struct http_view texts[TEXT_COUNT] = {
        [TEXT_PEER_IP] = http_view_of(o->peer_ip),
        [TEXT_CLIENT_IP] = http_view_of(is_proxied ? o->client_ip : NULL),
        [TEXT_REQUEST_ID] = o->request_id,
        [TEXT_SUBJECT] = o->subject,
        [TEXT_TRACE_ID] = http_view_of(o->trace->trace_id),
        [TEXT_TRACE_PARENT] = http_view_of(o->trace->parent),
        [TEXT_SUBPROTOCOL] = subprotocol,
        [TEXT_PATH] = h->path,
        [TEXT_QUERY] = h->query,
        [TEXT_AUTHORITY] = h->authority,
    };
    size_t bytes = 0;
    for (size_t i = 0; i < TEXT_COUNT; i++)
        bytes += packed_bytes(texts[i]);
    for (uint32_t i = 0; i < h->field_count; i++)
        bytes += packed_bytes(h->fields[i].name) + packed_bytes(h->fields[i].value);

    struct again *a = mem_alloc(sizeof *a + bytes);
    a->magic = AGAIN_MAGIC;
    a->text_bytes = (uint32_t)bytes;
    a->field_count = (uint16_t)h->field_count;
    a->major_version = h->major_version;
    a->minor_version = h->minor_version;
    a->is_trusted = o->is_trusted;
    a->is_tls = o->is_tls;
    a->is_proxied = is_proxied;
    a->owns_trace = o->trace->owns_fields;
    a->is_trace_continued = o->trace->is_continued;
    if (o->verdict->claims != NULL)
        a->claims = token_claims_ref(o->verdict->claims);
    uint8_t *at = a->texts;
    for (size_t i = 0; i < TEXT_COUNT; i++)
        at = pack(at, texts[i]);
    for (uint32_t i = 0; i < h->field_count; i++)
        at = pack(pack(at, h->fields[i].name), h->fields[i].value);
    ASSERT(at == a->texts + bytes);
    return a;
}

static void again_free(void *origin)
{
    struct again *a = origin;
    CHECK_OBJ(a, AGAIN_MAGIC);
    if (a->claims != NULL)
        token_claims_unref(&a->claims);
    OBJ_FREE(&a, AGAIN_MAGIC);
}

/* ---- unpacking ---- */

/* What the request's users want as C strings. Lies among texts, so that a head may look into it. */
struct strings {
    char peer_ip[INET6_ADDRSTRLEN];
    char client_ip[INET6_ADDRSTRLEN];
    struct trace trace;
};
_Static_assert(_Alignof(struct strings) == 1, "texts are not aligned");

static void copy_text(char *out, size_t cap_bytes, struct http_view v)
{
    ASSERT(v.len < cap_bytes);
    if (v.len > 0)
        memcpy(out, v.data, v.len);
    out[v.len] = '\0';
}

/* The head as the exchange had it, and the other texts. */
static void unpack_all(const struct again *a, struct http_head *h, struct http_view *texts)
{
    const uint8_t *at = a->texts;
    for (size_t i = 0; i < TEXT_COUNT; i++)
        texts[i] = unpack(&at);
    http_head_clear(h);
    h->method = http_view_of("GET");
    h->major_version = a->major_version;
    h->minor_version = a->minor_version;
    h->path = texts[TEXT_PATH];
    h->query = texts[TEXT_QUERY];
    h->authority = texts[TEXT_AUTHORITY];
    for (uint32_t i = 0; i < a->field_count; i++) {
        const struct http_view name = unpack(&at);
        (void)http_head_add(h, name, unpack(&at));
    }
    ASSERT(at == a->texts + a->text_bytes);
}

static void make_strings(const struct again *a, const struct http_view *texts, struct strings *s)
{
    memset(s, 0, sizeof *s);
    copy_text(s->peer_ip, sizeof s->peer_ip, texts[TEXT_PEER_IP]);
    copy_text(s->client_ip, sizeof s->client_ip, texts[a->is_proxied ? TEXT_CLIENT_IP : TEXT_PEER_IP]);
    s->trace.owns_fields = a->owns_trace;
    s->trace.is_continued = a->is_trace_continued;
    copy_text(s->trace.trace_id, sizeof s->trace.trace_id, texts[TEXT_TRACE_ID]);
    copy_text(s->trace.parent, sizeof s->trace.parent, texts[TEXT_TRACE_PARENT]);
}

static bool again_make_head(void *origin, const struct conf *c, const struct conf_route *route, const struct server *to,
                            struct http_head *head, struct http_texts *t)
{
    const struct again *a = origin;
    CHECK_OBJ(a, AGAIN_MAGIC);
    struct http_head request;
    struct http_view texts[TEXT_COUNT];
    struct rules_verdict verdict = {.claims = a->claims};
    struct strings *strings = (struct strings *)http_texts_room(t, sizeof *strings);
    if (strings == NULL)
        return false;
    unpack_all(a, &request, texts);
    make_strings(a, texts, strings);
    rules_forward(route, &verdict);
    const struct outgoing o = {.head = &request,
                               .peer_ip = strings->peer_ip,
                               .client_ip = strings->client_ip,
                               .is_trusted = a->is_trusted,
                               .is_tls = a->is_tls,
                               .is_websocket = true,
                               .request_id = texts[TEXT_REQUEST_ID],
                               .subject = texts[TEXT_SUBJECT],
                               .trace = &strings->trace,
                               .verdict = &verdict};
    return outgoing_head(&o, c, route, &to->server_conf->url, head, t);
}

static void again_set_key(void *origin, const struct conf_pool *p, struct pick *k)
{
    const struct again *a = origin;
    CHECK_OBJ(a, AGAIN_MAGIC);
    struct http_head request;
    struct http_view texts[TEXT_COUNT];
    struct strings strings;
    struct addr peer;
    if (p->balance != BALANCE_HASH)
        return;
    unpack_all(a, &request, texts);
    make_strings(a, texts, &strings);
    if (!addr_from_ip(&peer, strings.peer_ip, 0))
        memset(&peer, 0, sizeof peer); /* of a local socket, which has no address to balance by */
    outgoing_set_key(&request, &peer, p, k);
}

static bool again_accepts(void *origin, const struct http_head *answer)
{
    const struct again *a = origin;
    CHECK_OBJ(a, AGAIN_MAGIC);
    const uint8_t *at = a->texts;
    struct http_view chosen = {NULL, 0};
    for (size_t i = 0; i <= TEXT_SUBPROTOCOL; i++)
        chosen = unpack(&at);
    const struct http_view now = http_value(answer, "sec-websocket-protocol");
    return chosen.len == now.len && (now.len == 0 || memcmp(chosen.data, now.data, now.len) == 0);
}

const struct origin_ops again_ops = {
    .make_head = again_make_head,
    .set_key = again_set_key,
    .accepts = again_accepts,
    .free = again_free,
};
