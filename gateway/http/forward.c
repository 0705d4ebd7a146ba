/* Heads for the other side. The hard part is what must not pass: hop-by-hop fields, whatever Connection names (but
 * never what is HTTP_KEPT, or a client could take away what this gateway or the server relies on), and what an
 * untrusted client claims about itself. Servers that build environment variables of header names cannot tell "_"
 * from "-", so neither do we where names are dropped for safety. */
#include "gateway/http/forward.h"

#include <string.h>

#include "gateway/http/date.h"
#include "gateway/http/names.h"
#include "gateway/http/target.h"
#include "gateway/http/text.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define NOTHING      ((struct http_view){.data = NULL, .len = 0})

/* A head being made. */
struct making {
    const struct http_head *from;
    struct http_head *to;
    struct http_texts *texts;
    bool failed; /* a field did not fit */

    /* what Connection names */
    struct http_view options[HTTP_MAX_OPTIONS];
    size_t option_count;
};

/* Not by an initialiser, which would clear room for options that nobody has. */
static void making_init(struct making *m, const struct http_head *from, struct http_head *to, struct http_texts *t)
{
    m->from = from;
    m->to = to;
    m->texts = t;
    m->failed = false;
    m->option_count = 0;
    http_head_clear(to);
}

static void add(struct making *m, struct http_view name, struct http_view value)
{
    m->failed = !http_head_add(m->to, name, value) || m->failed;
}

static void add_named(struct making *m, const char *name, struct http_view value)
{
    add(m, http_view_of(name), value);
}

/* The parser has counted them. */
static void note_options(struct making *m)
{
    for (uint32_t i = 0; i < m->from->field_count; i++) {
        if (!http_view_is_nocase(m->from->fields[i].name, "connection"))
            continue;
        struct http_view list = m->from->fields[i].value, option;
        while (http_list_next(&list, &option)) {
            if (m->option_count == HTTP_MAX_OPTIONS)
                m->failed = true;
            else
                m->options[m->option_count++] = option;
        }
    }
}

static bool ends_here(const struct making *m, struct http_view name, unsigned traits)
{
    if ((traits & HTTP_ENDS_HERE) != 0)
        return true;
    for (size_t i = 0; i < m->option_count && (traits & HTTP_KEPT) == 0; i++) {
        if (http_view_equal_nocase(m->options[i], name))
            return true;
    }
    return false;
}

static bool begins_with(struct http_view name, const char *prefix)
{
    const size_t len = strlen(prefix);
    return name.len >= len &&
           http_names_resemble((struct http_view){.data = name.data, .len = len}, http_view_of(prefix));
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
        if (http_names_resemble(name, f->own[i].name))
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

/* RFC 8441 section 5: HTTP/2 has no key. One that comes all the same was judged by nobody; the server gets our own. */
static bool handshake_field_passes(const struct making *m, struct http_view name, const struct forward *f)
{
    return f->is_websocket && !(m->from->major_version == 2 && http_view_is_nocase(name, "sec-websocket-key"));
}

static bool request_field_passes(const struct making *m, struct http_view name, const struct forward *f)
{
    const unsigned traits = http_traits(name);
    if ((traits & HTTP_HANDSHAKE) != 0)
        return handshake_field_passes(m, name, f);
    if (begins_with(name, "sec-websocket-")) /* another of them */
        return false;
    if (f->trace != NULL && f->trace->owns_fields &&
        (http_view_is_nocase(name, "traceparent") ||
         (!f->trace->is_continued && http_view_is_nocase(name, "tracestate"))))
        return false;
    const bool is_claim = (traits & HTTP_CLAIM) != 0 || begins_with(name, "x-forwarded-");
    return (traits & HTTP_REWRITTEN) == 0 && !ends_here(m, name, traits) &&
           (!is_claim || may_claim(name, f->is_trusted)) && !is_own(name, f);
}

static void add_request_fields(struct making *m, const struct forward *f)
{
    const struct http_head *r = m->from;
    note_options(m);
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (request_field_passes(m, r->fields[i].name, f))
            add(m, r->fields[i].name, r->fields[i].value);
    }
    if (f->is_websocket && http_find(r, "sec-websocket-version") == NULL)
        add_named(m, "Sec-WebSocket-Version", http_view_of("13"));
}

bool forward_request(struct http_head *to, struct http_texts *t, const struct http_head *from, const struct forward *f)
{
    struct making m;
    making_init(&m, from, to, t);
    const bool has_ip = strcmp(f->client_ip, "unix") != 0;

    to->method = f->is_websocket ? http_view_of("GET") : from->method;
    to->major_version = from->major_version;
    to->minor_version = from->minor_version;
    to->content_length = from->content_length;
    to->authority = authority_for(from, f);
    make_target(&m, from, f);
    add_request_fields(&m, f);
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

static bool answer_field_passes(const struct making *m, struct http_view name, const struct forward_answer *f)
{
    if (f->server != NULL && http_view_is_nocase(name, "server"))
        return false;
    if (f->is_joined && begins_with(name, "sec-websocket-"))
        return http_view_is_nocase(name, "sec-websocket-protocol");
    return !ends_here(m, name, http_traits(name));
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
    struct making m;
    making_init(&m, from, to, t);

    to->status = f->is_joined ? 101 : from->status;
    to->reason = f->is_joined ? NOTHING : from->reason;
    to->major_version = from->major_version;
    to->minor_version = from->minor_version;
    to->content_length = f->is_joined ? -1 : from->content_length;
    note_options(&m);
    for (uint32_t i = 0; i < from->field_count; i++) {
        if (answer_field_passes(&m, from->fields[i].name, f))
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
