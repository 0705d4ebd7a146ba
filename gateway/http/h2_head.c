/* Heads out of header blocks and back. nghttp2 has checked the letters, the order and number of pseudo-header fields
 * and that nothing of HTTP/1.1's connections is there; what remains is what h1.c is strict about as well, with the same
 * words, so that a request means the same whatever version it came in. */
#include "gateway/http/h2_head.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/http/h2_field.h"

#define H2_HEAD_MAGIC 0x8ead2c51u

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* ---- in ---- */

struct h2_head *h2_head_create(void)
{
    struct h2_head *h;
    OBJ_NEW_UP_TO(h, H2_HEAD_MAGIC, head);
    return h;
}

void h2_head_begin(struct h2_head *h, enum h2_head_kind kind, int32_t stream_id)
{
    CHECK_OBJ(h, H2_HEAD_MAGIC);
    h->kind = kind;
    h->stream_id = stream_id;
    http_head_clear(&h->head);
    h->head.major_version = 2;
    h->head.is_persistent = true;
}

void h2_head_clear(struct h2_head *h)
{
    CHECK_OBJ(h, H2_HEAD_MAGIC);
    for (uint32_t i = 0; i < h->held_count; i++)
        nghttp2_rcbuf_decref(h->held[i]);
    strbuf_fini(&h->cookie);
    memset(h, 0, offsetof(struct h2_head, head));
    h->magic = H2_HEAD_MAGIC;
}

void h2_head_destroy(struct h2_head **hp)
{
    h2_head_clear(*hp);
    OBJ_FREE(hp, H2_HEAD_MAGIC);
}

static struct http_view view_of(nghttp2_rcbuf *b)
{
    const nghttp2_vec v = nghttp2_rcbuf_get_buf(b);
    return (struct http_view){.data = (const char *)v.base, .len = v.len};
}

static struct http_view hold(struct h2_head *h, nghttp2_rcbuf *b)
{
    ASSERT(h->held_count < COUNT(h->held));
    nghttp2_rcbuf_incref(b);
    h->held[h->held_count++] = b;
    return view_of(b);
}

static bool malformed(struct h2_head *h, const char *reason)
{
    h->malformed = reason;
    return false;
}

static bool set_status(struct h2_head *h, struct http_view v)
{
    if (v.len != 3 || v.data[0] < '1' || v.data[0] > '5')
        return malformed(h, "bad status code");
    h->head.status = (uint16_t)((v.data[0] - '0') * 100 + (v.data[1] - '0') * 10 + (v.data[2] - '0'));
    return true;
}

/* Where it goes; NULL: it is no pseudo-header of a request. */
static struct http_view *pseudo_of(struct h2_head *h, struct http_view name)
{
    if (http_view_is(name, ":method"))
        return &h->head.method;
    if (http_view_is(name, ":path"))
        return &h->head.target;
    if (http_view_is(name, ":scheme"))
        return &h->scheme;
    if (http_view_is(name, ":authority"))
        return &h->head.authority;
    return http_view_is(name, ":protocol") ? &h->head.protocol : NULL;
}

/* nghttp2 lets only those through that belong to the kind of message, once each. */
static bool add_pseudo(struct h2_head *h, struct http_view name, nghttp2_rcbuf *value)
{
    if (http_view_is(name, ":status"))
        return set_status(h, view_of(value));
    struct http_view *to = pseudo_of(h, name);
    if (to == NULL)
        return malformed(h, "unknown pseudo-header");
    *to = hold(h, value);
    return true;
}

/* RFC 9113 section 8.2.3: a client may cut its cookies into many fields; nobody behind this gateway expects that. False
 * for the first one. */
static bool join_cookie(struct h2_head *h, const struct h2_head_limits *l, struct http_view crumb)
{
    const struct http_field *first = http_find(&h->head, "cookie");
    if (first == NULL)
        return false;
    if (h->cookie.len == 0) {
        strbuf_init(&h->cookie, l->header_bytes); /* which counts more for each than is written here */
        strbuf_add(&h->cookie, first->value.data, first->value.len);
    }
    strbuf_add(&h->cookie, "; ", 2);
    strbuf_add(&h->cookie, crumb.data, crumb.len);
    return true;
}

bool h2_head_add(struct h2_head *h, const struct h2_head_limits *l, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    CHECK_OBJ(h, H2_HEAD_MAGIC);
    const struct http_view n = view_of(name);
    h->list_bytes += n.len + view_of(value).len + H2_FIELD_EXTRA_BYTES;
    if (h->list_bytes > l->header_bytes) {
        h->is_too_large = true;
        if (h->kind != H2_HEAD_REQUEST || h->list_bytes > l->header_bytes + H2_HEAD_PATIENCE_BYTES)
            return malformed(h, "head too large");
        return true;
    }
    if (h->kind == H2_HEAD_TRAILERS)
        return true;
    if (n.len > 0 && n.data[0] == ':')
        return add_pseudo(h, n, value);
    if (h->kind == H2_HEAD_REQUEST && http_view_is(n, "cookie") && join_cookie(h, l, view_of(value)))
        return true;
    if (h->head.field_count == l->field_count) {
        h->is_too_large = true;
        return h->kind == H2_HEAD_REQUEST ? true : malformed(h, "too many fields");
    }
    const struct http_view kept_name = hold(h, name);
    return http_head_add(&h->head, kept_name, hold(h, value));
}

static void put_cookie(struct h2_head *h)
{
    for (uint32_t i = 0; i < h->head.field_count && h->cookie.len > 0; i++) {
        if (http_view_is(h->head.fields[i].name, "cookie"))
            h->head.fields[i].value = (struct http_view){.data = h->cookie.data, .len = h->cookie.len};
    }
}

static void drop_fields(struct http_head *head, const char *name)
{
    const struct http_view n = http_view_of(name);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (!http_view_equal_nocase(head->fields[i].name, n)) {
            if (kept < i)
                head->fields[kept] = head->fields[i];
            kept++;
        }
    }
    head->field_count = kept;
}

/* :authority, or the host field that a translator from HTTP/1.1 may send instead; both only when they agree. */
static const char *set_authority(struct http_head *head)
{
    const struct http_view host = http_value(head, "host");
    if (head->authority.data == NULL)
        head->authority = host;
    else if (host.data != NULL && !http_view_equal_nocase(host, head->authority))
        return "host is not the authority";
    drop_fields(head, "host");
    return http_is_authority(head->authority) ? NULL : "bad host";
}

static const char *set_request(struct http_head *head)
{
    if (!http_is_token(head->method))
        return "bad method";
    const char *reason = set_authority(head);
    if (reason != NULL)
        return reason;
    if (head->target.len == 0 || (head->target.data[0] != '/' && !http_view_is(head->target, "*")))
        return "target of no known form";
    reason = http_head_set_target(head);
    if (reason == NULL)
        reason = http_head_set_length(head);
    if (reason == NULL && head->protocol.data != NULL && head->content_length >= 0)
        return "tunnel with a content length";
    return reason;
}

static bool refuse(struct h2_head *h, uint16_t status, const char *reason)
{
    h->head.error_status = status;
    h->head.error_reason = reason;
    return false;
}

bool h2_head_finish_request(struct h2_head *h, const struct h2_head_limits *l)
{
    struct http_head *head = &h->head;
    CHECK_OBJ(h, H2_HEAD_MAGIC);
    if (h->is_too_large)
        return refuse(h, 431, h->list_bytes > l->header_bytes ? "head too large" : "too many fields");
    if (head->target.len > l->target_bytes)
        return refuse(h, 414, "target too long");
    if (http_view_is(head->method, "CONNECT") && head->protocol.data == NULL)
        return refuse(h, 501, "CONNECT is not served");
    if (!http_view_is_nocase(h->scheme, "http") && !http_view_is_nocase(h->scheme, "https"))
        return refuse(h, 400, "unknown scheme");
    const char *reason = set_request(head);
    if (reason != NULL)
        return refuse(h, 400, reason);
    put_cookie(h);
    drop_fields(head, "te");
    head->expects_continue = http_view_is_nocase(http_value(head, "expect"), "100-continue");
    return true;
}

bool h2_head_finish_response(struct h2_head *h)
{
    CHECK_OBJ(h, H2_HEAD_MAGIC);
    h->malformed = http_head_set_length(&h->head);
    drop_fields(&h->head, "te");
    return h->malformed == NULL;
}

uint32_t h2_head_urgency(const struct http_head *request)
{
    struct http_view list = http_value(request, "priority"), item;
    while (http_list_next(&list, &item)) {
        if (item.len == 3 && item.data[0] == 'u' && item.data[1] == '=' && item.data[2] >= '0' && item.data[2] <= '7')
            return (uint32_t)(item.data[2] - '0');
    }
    return NGHTTP2_EXTPRI_DEFAULT_URGENCY;
}

/* ---- out ---- */

/* The pointers are only not const by history. */
static void add(struct h2_fields *f, struct http_view name, struct http_view value, uint8_t flags)
{
    ASSERT(f->count < COUNT(f->list));
    nghttp2_nv *nv = &f->list[f->count++];
    memcpy(&nv->name, &name.data, sizeof nv->name);
    memcpy(&nv->value, &value.data, sizeof nv->value);
    nv->namelen = name.len;
    nv->valuelen = value.len;
    nv->flags = flags;
}

void h2_fields_begin(struct h2_fields *f)
{
    f->count = 0;
}

void h2_fields_add(struct h2_fields *f, const char *name, struct http_view value)
{
    add(f, http_view_of(name), value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

/* nghttp2 copies values, and names that are not known here, which it makes lower case. */
static void add_field(struct h2_fields *f, const struct http_field *field)
{
    const struct h2_name *known = h2_name_find(field->name);
    const enum h2_manner manner = known != NULL ? known->manner : H2_SAID;
    if (manner == H2_UNSAID || (known == NULL && !http_is_token(field->name)) || !h2_value_is_sound(field->value))
        return;
    const unsigned apart = manner == H2_SAID_APART ? NGHTTP2_NV_FLAG_NO_INDEX : 0;
    if (known != NULL)
        add(f, known->text, field->value, (uint8_t)(apart | NGHTTP2_NV_FLAG_NO_COPY_NAME));
    else
        add(f, field->name, field->value, NGHTTP2_NV_FLAG_NONE);
}

void h2_fields_add_all(struct h2_fields *f, const struct http_head *head)
{
    for (uint32_t i = 0; i < head->field_count; i++)
        add_field(f, &head->fields[i]);
}

void h2_fields_add_length(struct h2_fields *f, int64_t content_length)
{
    if (content_length < 0)
        return;
    const size_t len = decimal_text((uint64_t)content_length, f->length);
    h2_fields_add(f, "content-length", (struct http_view){f->length, len});
}
