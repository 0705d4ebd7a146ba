/* Vary. Most of what an origin says it varies by is in the key already, or is the gateway's to deal with. What is left
 * it was not told so far: from now on it is, and those fields are part of the key. */
#include <string.h>

#include "base/assert.h"
#include "cache/accept.h"
#include "cache/key_priv.h"
#include "gateway/http/text.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Part of every key, or left to the gateway when not listed as a key header. */
static const char *const in_key[] = {"host", "x-forwarded-proto", "x-forwarded-host", "content-type",
                                     "content-encoding"};

/* Never told to the origin of a cacheable request, whatever it varies by: what they ask for, the gateway does. */
static const char *const of_gateway[] = {"if-match",
                                         "if-none-match",
                                         "if-modified-since",
                                         "if-unmodified-since",
                                         "if-range",
                                         "range",
                                         "cache-control",
                                         "pragma",
                                         "connection",
                                         "upgrade",
                                         "te"};

/* Written by the gateway for each request anew: no two clients are told the same. */
static const char *const of_each[] = {"x-forwarded-for", "forwarded", "x-request-id", "traceparent", "tracestate"};

/* Whether the route's own edits write a field that is another for each request: the other values they may have are in
 * the key. */
static bool is_edited(struct http_view name, const struct conf_pair *edits, size_t count)
{
    static const char *const differing[] = {"{client_ip}", "{request_id}", "{trace_id}"};
    for (size_t i = 0; i < count; i++) {
        if (!http_view_equal_nocase(name, http_view_of(edits[i].name)))
            continue;
        for (size_t k = 0; k < COUNT(differing); k++) {
            if (strstr(edits[i].value, differing[k]) != NULL)
                return true;
        }
    }
    return false;
}

/* Whether the field carries a claim of the client's token, which the key may not hold. */
static bool is_claim(const struct conf_route *r, struct http_view name)
{
    if (r->cache.scope == CACHE_SCOPE_TOKEN)
        return false;
    for (size_t i = 0; i < r->jwt.forward_count; i++) {
        if (http_view_equal_nocase(name, http_view_of(r->jwt.forward[i].value)))
            return true;
    }
    return false;
}

static bool differs_always(const struct conf_route *r, struct http_view name)
{
    const struct conf_edits *e = &r->request_edits;
    return http_view_is_any(name, of_each, COUNT(of_each)) || is_edited(name, e->set, e->set_count) ||
           is_edited(name, e->add, e->add_count) || is_claim(r, name);
}

static bool is_no_matter(const struct conf_route *r, struct http_view name)
{
    if (key_field_is_listed(r, name) || http_view_is_any(name, in_key, COUNT(in_key)))
        return true;
    if (r->cache.scope == CACHE_SCOPE_TOKEN && http_view_is_nocase(name, "authorization"))
        return true;
    if (r->cache.compress != 0 && http_view_is_nocase(name, "accept-encoding"))
        return true; /* the origin is asked for none */
    if ((r->cache.ignore >> CACHE_IGNORE_AUTHORIZATION & 1u) != 0 && r->cache.scope == CACHE_SCOPE_PUBLIC &&
        http_view_is_nocase(name, "authorization"))
        return true; /* it is never told */
    /* Requests with a cookie are not for the cache there, or are taken for such without one. */
    return (r->cache.scope == CACHE_SCOPE_PUBLIC && http_view_is_nocase(name, "cookie")) ||
           http_view_is_any(name, of_gateway, COUNT(of_gateway));
}

/* ---- the list ---- */

struct names {
    uint32_t count;
    size_t bytes;
    struct http_view name[CACHE_VARY_MAX];
};

static int compare_nocase(struct http_view a, struct http_view b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        const int difference = (uint8_t)text_lower(a.data[i]) - (uint8_t)text_lower(b.data[i]);
        if (difference != 0)
            return difference;
    }
    return (a.len > b.len) - (a.len < b.len);
}

/* Where it belongs, unless it is there. False when there are too many. */
static bool insert(struct names *n, struct http_view name)
{
    uint32_t at = n->count;
    while (at > 0) {
        const int order = compare_nocase(n->name[at - 1], name);
        if (order == 0)
            return true;
        if (order < 0)
            break;
        at--;
    }
    if (n->count == CACHE_VARY_MAX)
        return false;
    memmove(&n->name[at + 1], &n->name[at], (n->count - at) * sizeof name);
    n->name[at] = name;
    n->bytes += name.len;
    n->count++;
    return true;
}

static bool insert_all(struct names *n, const struct conf_route *r, struct http_view list)
{
    struct http_view name;
    while (http_list_next(&list, &name)) {
        if (!http_is_token(name) || http_view_is(name, "*") || differs_always(r, name))
            return false;
        if (!is_no_matter(r, name) && !insert(n, name))
            return false;
    }
    return true;
}

static bool write_names(struct http_view *out, struct http_texts *t, const struct names *n)
{
    *out = (struct http_view){NULL, 0};
    if (n->count == 0)
        return true;
    const size_t len = n->bytes + n->count - 1;
    char *to = http_texts_room(t, len);
    if (to == NULL)
        return false;
    *out = (struct http_view){.data = to, .len = len};
    for (uint32_t i = 0; i < n->count; i++) {
        if (i > 0)
            *to++ = ',';
        for (size_t k = 0; k < n->name[i].len; k++)
            *to++ = text_lower(n->name[i].data[k]);
    }
    return true;
}

bool cache_vary_of(struct http_view *out, struct http_texts *t, const struct conf_route *r,
                   const struct http_head *answer, struct http_view known)
{
    struct names n = {0};
    bool is_fine = insert_all(&n, r, known);
    for (uint32_t i = 0; is_fine && i < answer->field_count; i++) {
        if (http_view_is_nocase(answer->fields[i].name, "vary"))
            is_fine = insert_all(&n, r, answer->fields[i].value);
    }
    return is_fine && write_names(out, t, &n);
}

/* ---- what a request says in them ---- */

static bool has_field(const struct http_head *h, struct http_view name)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (http_view_equal_nocase(h->fields[i].name, name))
            return true;
    }
    return false;
}

/* RFC 9111 section 4.1 lets white space at commas and the number of fields be no difference. */
static void add_values(struct strbuf *text, const struct http_head *h, struct http_view name)
{
    bool is_first = true;
    for (uint32_t i = 0; i < h->field_count; i++) {
        struct http_view list = h->fields[i].value, element;
        if (!http_view_equal_nocase(h->fields[i].name, name))
            continue;
        while (http_list_next(&list, &element)) {
            if (!is_first)
                strbuf_add(text, ",", 1);
            strbuf_add(text, element.data, element.len);
            is_first = false;
        }
    }
}

static void add_codings(struct strbuf *text, const struct http_head *h)
{
    struct cache_accept a;
    cache_accept_of(&a, h);
    for (int c = 0; c < CODING_OTHER; c++) {
        if (a.weight[c] == 0)
            continue;
        if (text->len > 0)
            strbuf_add(text, ",", 1);
        strbuf_puts(text, cache_coding_text((enum cache_coding)c));
    }
}

static void add_normal(struct strbuf *key, const struct http_head *request, struct http_view name)
{
    struct strbuf text;
    if (!has_field(request, name))
        return;
    strbuf_init(&text, CACHE_KEY_BYTES_MAX);
    if (http_view_is_nocase(name, "accept-encoding"))
        add_codings(&text, request);
    else
        add_values(&text, request, name);
    key->failed = key->failed || text.failed;
    key_part_add(key, KEY_PART_VALUE, (struct http_view){.data = text.data, .len = text.len});
    strbuf_fini(&text);
}

static void add_digests(struct strbuf *key, const struct http_head *request, struct http_view name)
{
    for (uint32_t i = 0; i < request->field_count; i++) {
        if (http_view_equal_nocase(request->fields[i].name, name))
            key_part_add_sha256(key, KEY_PART_DIGEST, request->fields[i].value);
    }
}

bool cache_key_add_vary(struct strbuf *key, struct http_view vary, const struct http_head *request)
{
    struct http_view name;
    while (http_list_next(&vary, &name)) {
        key_part_add(key, KEY_PART_VARY, name);
        if (key_field_is_secret(name))
            add_digests(key, request, name);
        else
            add_normal(key, request, name);
    }
    return !key->failed && key->len <= CACHE_KEY_BYTES_MAX;
}
