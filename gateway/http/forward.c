/* Heads for the other side. The hard part is what must not pass: hop-by-hop fields, whatever Connection names (but
 * never the fields in `kept`, or a client could take away what this gateway or the server relies on), and what an
 * untrusted client claims about itself. Servers that build environment variables of header names cannot tell "_"
 * from "-", so neither do we where names are dropped for safety. */
#include "gateway/http/forward.h"

#include <string.h>

#include "gateway/http/date.h"
#include "gateway/http/target.h"
#include "gateway/http/text.h"

/* RFC 9110 section 7.6.1; what frames a message or names its target; what is asked of the next hop alone (Expect,
 * Proxy-*); the trailers that are dropped; and what never meant anything good ("Proxy": CVE-2016-5385). */
static const char *const ending_here[] = {
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "content-length",
    "upgrade",
    "host",
    "expect",
    "http2-settings",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy",
};

/* End-to-end whatever Connection says. */
static const char *const kept[] = {
    "content-type",
    "authorization",
    "cookie",
    "set-cookie",
    "origin",
    "cache-control",
    "via",
    "traceparent",
    "tracestate",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
};

/* Written anew for the server. */
static const char *const rewritten[] = {
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-request-id",
};

static const char *const websocket_fields[] = {"sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol"};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define NOTHING      ((struct http_view){.data = NULL, .len = 0})

/* A head being made. */
struct making {
    struct http_head *to;
    struct http_texts *texts;
    bool failed; /* a field did not fit */
};

static void add(struct making *m, struct http_view name, struct http_view value)
{
    m->failed = !http_head_add(m->to, name, value) || m->failed;
}

static void add_named(struct making *m, const char *name, struct http_view value)
{
    add(m, http_view_of(name), value);
}

static char fold(char c)
{
    return c == '_' ? '-' : text_lower(c);
}

/* Whether the names are the same to a server that cannot tell "_" from "-". */
static bool resembles(struct http_view a, struct http_view b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (fold(a.data[i]) != fold(b.data[i]))
            return false;
    }
    return true;
}

/* One of the table (in lower case, with dashes), or what a server could take for one. */
static bool resembles_one(struct http_view name, const char *const *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < name.len && table[i][at] != '\0' && fold(name.data[at]) == table[i][at])
            at++;
        if (at == name.len && table[i][at] == '\0')
            return true;
    }
    return false;
}

static bool ends_here(const struct http_head *h, struct http_view name)
{
    if (resembles_one(name, ending_here, COUNT(ending_here)))
        return true;
    return !http_view_is_any(name, kept, COUNT(kept)) && http_connection_names(h->fields, h->field_count, name);
}

static bool begins_with(struct http_view name, const char *prefix)
{
    const size_t len = strlen(prefix);
    return name.len >= len && resembles((struct http_view){.data = name.data, .len = len}, http_view_of(prefix));
}

/* A claim about the client that only a proxy may make. */
static bool is_claim(struct http_view name)
{
    static const char *const names[] = {"forwarded", "x-real-ip", "x-request-id"};
    return resembles_one(name, names, COUNT(names)) || begins_with(name, "x-forwarded-");
}

/* A proxy makes such claims with dashes; in other letters they are its client's. */
static bool may_claim(struct http_view name, bool is_trusted)
{
    return is_trusted && memchr(name.data, '_', name.len) == NULL;
}

/* The gateway alone may say it. */
static bool is_own(struct http_view name, const struct forward *f)
{
    for (size_t i = 0; i < f->own_count; i++) {
        if (resembles(name, f->own[i].name))
            return true;
    }
    return false;
}

/* All values of a list field as one, with `last` (may be empty) behind them. */
static struct http_view join_values(struct http_texts *t, const struct http_head *h, const char *name,
                                    struct http_view last)
{
    struct http_view pieces[2 * HTTP_ROOM_FIELDS + 1];
    size_t count = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (h->fields[i].value.len == 0 || !http_view_is_nocase(h->fields[i].name, name))
            continue;
        pieces[count++] = h->fields[i].value;
        pieces[count++] = (struct http_view){", ", 2};
    }
    if (last.len > 0)
        pieces[count++] = last;
    else if (count > 0)
        count--;
    return http_texts_join(t, pieces, count);
}

struct http_view forward_request_id(const struct http_head *request, bool is_trusted, const char *fresh)
{
    const struct http_view own = http_view_of(fresh);
    const struct http_view given = http_value(request, "x-request-id");
    if (!is_trusted || given.len == 0 || given.len > FORWARD_ID_BYTES)
        return own;
    for (size_t i = 0; i < given.len; i++) {
        const char c = given.data[i];
        if (!text_is_alnum(c) && (c == '\0' || strchr("-_.:", c) == NULL))
            return own;
    }
    return given;
}

/* ---- the request's target ---- */

/* Without the "/" at its end: what follows begins with one. */
static struct http_view prefix_of(const char *text)
{
    struct http_view v = http_view_of(text);
    while (v.len > 0 && v.data[v.len - 1] == '/')
        v.len--;
    return v;
}

static void make_target(struct making *m, const struct http_head *r, const struct forward *f)
{
    struct http_head *to = m->to;
    struct http_view rest = r->path;
    const bool has_strip = f->strip_prefix != NULL && f->strip_prefix[0] != '\0';
    const ptrdiff_t strip_bytes = has_strip ? target_prefix_bytes(r->path, f->strip_prefix) : 0;
    if (strip_bytes > 0) {
        rest.data += strip_bytes;
        rest.len -= (size_t)strip_bytes;
        if (rest.data[-1] == '/') { /* the border stays */
            rest.data--;
            rest.len++;
        }
    }
    struct http_view pieces[] = {
        prefix_of(f->server_prefix), prefix_of(f->add_prefix), NOTHING, rest, NOTHING, r->query};
    const bool has_prefix = pieces[0].len + pieces[1].len > 0;
    if (http_view_is(r->path, "*"))
        pieces[0] = pieces[1] = NOTHING;
    else if (rest.len == 0 && !has_prefix)
        pieces[2] = (struct http_view){"/", 1};
    if (r->query.data != NULL)
        pieces[4] = (struct http_view){"?", 1};

    to->target = http_texts_join(m->texts, pieces, COUNT(pieces));
    to->path = to->target;
    if (r->query.data != NULL && to->target.data != NULL) {
        to->path.len -= r->query.len + 1;
        to->query = (struct http_view){.data = to->path.data + to->path.len + 1, .len = r->query.len};
    }
}

static struct http_view authority_for(const struct http_head *r, const struct forward *f)
{
    if (f->host_policy == HOST_HEADER_LITERAL)
        return http_view_of(f->literal_host);
    if (f->host_policy == HOST_HEADER_CLIENT && r->authority.data != NULL)
        return r->authority;
    return http_view_of(f->upstream_host);
}

/* ---- what is said about the client ---- */

/* X-Forwarded-*: the first hop's word on scheme and host stands, addresses are a list. */
static void add_x_forwarded(struct making *m, const struct http_head *r, const struct forward *f, bool has_ip)
{
    const struct http_view ip = has_ip ? http_view_of(f->client_ip) : NOTHING;
    const struct http_view list = f->is_trusted ? join_values(m->texts, r, "x-forwarded-for", ip) : ip;
    struct http_view proto = http_value(r, "x-forwarded-proto");
    struct http_view host = http_value(r, "x-forwarded-host");

    if (list.len > 0)
        add_named(m, "X-Forwarded-For", list);
    if (!f->is_trusted || proto.len == 0)
        proto = http_view_of(f->is_tls ? "https" : "http");
    add_named(m, "X-Forwarded-Proto", proto);
    if (!f->is_trusted || host.len == 0)
        host = r->authority;
    if (host.len > 0)
        add_named(m, "X-Forwarded-Host", host);
}

/* RFC 7239: an element of our own behind those of trusted proxies. */
static void add_forwarded(struct making *m, const struct http_head *r, const struct forward *f, bool has_ip)
{
    const bool is_ip6 = strchr(f->client_ip, ':') != NULL;
    const struct http_view pieces[] = {
        http_view_of(is_ip6 ? "for=\"[" : "for="),
        http_view_of(has_ip ? f->client_ip : "unknown"),
        http_view_of(is_ip6 ? "]\"" : NULL),
        http_view_of(r->authority.len > 0 ? ";host=\"" : NULL), /* the parser lets nothing into an authority that */
        r->authority,                                           /* would need an escape */
        http_view_of(r->authority.len > 0 ? "\"" : NULL),
        http_view_of(f->is_tls ? ";proto=https" : ";proto=http"),
    };
    const struct http_view own = http_texts_join(m->texts, pieces, COUNT(pieces));
    add_named(m, "Forwarded", f->is_trusted ? join_values(m->texts, r, "forwarded", own) : own);
}

/* RFC 9110 section 7.6.3: the version is that of the message as it came. */
static void add_via(struct making *m, const struct http_head *from, const char *via)
{
    const char version[] = {(char)('0' + from->major_version), '.', (char)('0' + from->minor_version), ' '};
    const struct http_view pieces[] = {{version, sizeof version}, http_view_of(via)};
    if (via != NULL && via[0] != '\0')
        add_named(m, "Via", http_texts_join(m->texts, pieces, COUNT(pieces)));
}

/* ---- requests ---- */

static bool request_field_passes(const struct http_head *r, struct http_view name, const struct forward *f)
{
    if (begins_with(name, "sec-websocket-"))
        return f->is_websocket && http_view_is_any(name, websocket_fields, COUNT(websocket_fields));
    if (f->trace != NULL && f->trace->owns_fields &&
        (http_view_is_nocase(name, "traceparent") ||
         (!f->trace->is_continued && http_view_is_nocase(name, "tracestate"))))
        return false;
    return !http_view_is_any(name, rewritten, COUNT(rewritten)) && !ends_here(r, name) &&
           (may_claim(name, f->is_trusted) || !is_claim(name)) && !is_own(name, f);
}

static void add_request_fields(struct making *m, const struct http_head *r, const struct forward *f)
{
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (request_field_passes(r, r->fields[i].name, f))
            add(m, r->fields[i].name, r->fields[i].value);
    }
    if (f->is_websocket && http_find(r, "sec-websocket-version") == NULL)
        add_named(m, "Sec-WebSocket-Version", http_view_of("13"));
}

bool forward_request(struct http_head *to, struct http_texts *t, const struct http_head *from, const struct forward *f)
{
    struct making m = {.to = to, .texts = t};
    const bool has_ip = strcmp(f->client_ip, "unix") != 0;

    http_head_clear(to);
    to->method = f->is_websocket ? http_view_of("GET") : from->method;
    to->major_version = from->major_version;
    to->minor_version = from->minor_version;
    to->content_length = from->content_length;
    to->authority = authority_for(from, f);
    make_target(&m, from, f);
    add_request_fields(&m, from, f);
    add_x_forwarded(&m, from, f, has_ip);
    add_forwarded(&m, from, f, has_ip);
    add_named(&m, "X-Request-Id", f->request_id);
    if (f->trace != NULL && f->trace->parent[0] != '\0')
        add_named(&m, "traceparent", http_view_of(f->trace->parent));
    add_via(&m, from, f->via);
    for (size_t i = 0; i < f->own_count; i++) {
        if (f->own[i].value.data != NULL)
            add(&m, f->own[i].name, f->own[i].value);
    }
    return !m.failed && !t->failed;
}

/* ---- answers ---- */

static bool answer_field_passes(const struct http_head *r, struct http_view name, const struct forward_answer *f)
{
    if (f->server != NULL && http_view_is_nocase(name, "server"))
        return false;
    if (f->is_joined && begins_with(name, "sec-websocket-"))
        return http_view_is_nocase(name, "sec-websocket-protocol");
    return !ends_here(r, name);
}

static void add_date(struct making *m, int64_t wall_ms)
{
    char date[DATE_BYTES];
    (void)date_text(wall_ms, date);
    add_named(m, "Date", http_texts_add(m->texts, date, DATE_BYTES - 1));
}

bool forward_response(struct http_head *to, struct http_texts *t, const struct http_head *from,
                      const struct forward_answer *f)
{
    struct making m = {.to = to, .texts = t};

    http_head_clear(to);
    to->status = f->is_joined ? 101 : from->status;
    to->reason = f->is_joined ? NOTHING : from->reason;
    to->major_version = from->major_version;
    to->minor_version = from->minor_version;
    to->content_length = f->is_joined ? -1 : from->content_length;
    for (uint32_t i = 0; i < from->field_count; i++) {
        if (answer_field_passes(from, from->fields[i].name, f))
            add(&m, from->fields[i].name, from->fields[i].value);
    }
    if (f->server != NULL && f->server[0] != '\0')
        add_named(&m, "Server", http_view_of(f->server));
    if (f->wall_ms != 0 && !f->is_joined && http_find(from, "date") == NULL)
        add_date(&m, f->wall_ms);
    if (f->request_id.data != NULL && http_find(from, "x-request-id") == NULL)
        add_named(&m, "X-Request-Id", f->request_id);
    add_via(&m, from, f->via);
    return !m.failed && !t->failed;
}
