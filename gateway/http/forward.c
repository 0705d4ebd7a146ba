/* Heads for the other side. The hard part is what must not pass: hop-by-hop fields, whatever Connection names (but
 * never the fields in `kept`, or a client could take away what this gateway or the server relies on), and what an
 * untrusted client claims about itself. Servers that build environment variables of header names cannot tell "_"
 * from "-", so neither do we where names are dropped for safety. */
#include "gateway/http/forward.h"

#include <string.h>

/* RFC 9110 section 7.6.1, and the ones that never meant anything good ("Proxy": CVE-2016-5385). */
static const char *const hop_by_hop[] = {
    "connection",     "proxy-connection",    "keep-alive",         "te",    "transfer-encoding", "upgrade",
    "http2-settings", "proxy-authorization", "proxy-authenticate", "proxy",
};

/* End-to-end whatever Connection says. */
static const char *const kept[] = {
    "host",
    "content-length",
    "content-type",
    "authorization",
    "cookie",
    "set-cookie",
    "origin",
    "cache-control",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-accept",
};

/* Written anew for the server. */
static const char *const rewritten[] = {
    "host",      "x-forwarded-for", "x-forwarded-proto",        "x-forwarded-host",
    "forwarded", "x-request-id",    "sec-websocket-extensions",
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static bool is_in(struct http_view name, const char *const *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (http_view_is_nocase(name, table[i]))
            return true;
    }
    return false;
}

static bool is_named_by_connection(const struct http_head *h, struct http_view name)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (!http_view_is_nocase(h->fields[i].name, "connection"))
            continue;
        struct http_view list = h->fields[i].value, option;
        while (http_list_next(&list, &option)) {
            if (http_view_equal_nocase(option, name))
                return true;
        }
    }
    return false;
}

static bool ends_here(const struct http_head *h, struct http_view name)
{
    if (is_in(name, hop_by_hop, COUNT(hop_by_hop)))
        return true;
    return !is_in(name, kept, COUNT(kept)) && is_named_by_connection(h, name);
}

/* Whether the name begins with `prefix` ("-" in it stands for "_" as well) and, with `whole`, ends with it. */
static bool resembles(struct http_view name, const char *prefix, bool whole)
{
    const size_t len = strlen(prefix);
    if (name.len < len || (whole && name.len > len))
        return false;
    for (size_t i = 0; i < len; i++) {
        const char c = name.data[i];
        const char folded = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        if (folded != prefix[i])
            return false;
    }
    return true;
}

/* A claim about the client that only a proxy may make. */
static bool is_claim(struct http_view name)
{
    return resembles(name, "x-forwarded-", false) || resembles(name, "forwarded", true) ||
           resembles(name, "x-real-ip", true) || resembles(name, "x-request-id", true);
}

static void add_view(struct strbuf *out, struct http_view v)
{
    if (v.len > 0)
        strbuf_add(out, v.data, v.len);
}

static void add_field(struct strbuf *out, struct http_view name, struct http_view value)
{
    add_view(out, name);
    strbuf_puts(out, ": ");
    add_view(out, value);
    strbuf_puts(out, "\r\n");
}

static void add_line(struct strbuf *out, const char *name, struct http_view value)
{
    add_field(out, (struct http_view){.data = name, .len = strlen(name)}, value);
}

/* All values of a list field, each followed by ", ". */
static void add_values(struct strbuf *out, const struct http_head *h, const char *name)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (h->fields[i].value.len > 0 && http_view_is_nocase(h->fields[i].name, name)) {
            add_view(out, h->fields[i].value);
            strbuf_puts(out, ", ");
        }
    }
}

struct http_view forward_request_id(const struct http_head *request, bool is_trusted, const char *fresh)
{
    const struct http_view own = {.data = fresh, .len = strlen(fresh)};
    const struct http_view given = http_value(request, "x-request-id");
    if (!is_trusted || given.len == 0 || given.len > FORWARD_ID_BYTES)
        return own;
    for (size_t i = 0; i < given.len; i++) {
        const char c = given.data[i];
        const bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_alnum && (c == '\0' || strchr("-_.:", c) == NULL))
            return own;
    }
    return given;
}

static void add_request_line(struct strbuf *out, const struct http_head *r, const char *prefix)
{
    add_view(out, r->method);
    strbuf_puts(out, " ");
    if (!http_view_is(r->path, "*"))
        strbuf_puts(out, prefix);
    add_view(out, r->path);
    if (r->query.data != NULL) {
        strbuf_puts(out, "?");
        add_view(out, r->query);
    }
    strbuf_puts(out, " HTTP/1.1\r\n");
}

/* X-Forwarded-*: the first hop's word on scheme and host stands, addresses are a list. */
static void add_x_forwarded(struct strbuf *out, const struct http_head *r, const struct forward *f, bool has_ip)
{
    struct http_view proto = http_value(r, "x-forwarded-proto");
    struct http_view host = http_value(r, "x-forwarded-host");

    if (has_ip) {
        strbuf_puts(out, "X-Forwarded-For: ");
        if (f->is_trusted)
            add_values(out, r, "x-forwarded-for");
        strbuf_puts(out, f->client_ip);
        strbuf_puts(out, "\r\n");
    } else if (f->is_trusted && http_value(r, "x-forwarded-for").len > 0) {
        add_line(out, "X-Forwarded-For", http_value(r, "x-forwarded-for"));
    }
    if (!f->is_trusted || proto.len == 0)
        proto = f->is_tls ? (struct http_view){"https", 5} : (struct http_view){"http", 4};
    add_line(out, "X-Forwarded-Proto", proto);
    if (!f->is_trusted || host.len == 0)
        host = r->authority;
    if (host.len > 0)
        add_line(out, "X-Forwarded-Host", host);
}

/* RFC 7239: an element of our own behind those of trusted proxies. */
static void add_forwarded(struct strbuf *out, const struct http_head *r, const struct forward *f, bool has_ip)
{
    strbuf_puts(out, "Forwarded: ");
    if (f->is_trusted)
        add_values(out, r, "forwarded");
    if (!has_ip)
        strbuf_puts(out, "for=unknown");
    else if (strchr(f->client_ip, ':') != NULL)
        strbuf_printf(out, "for=\"[%s]\"", f->client_ip);
    else
        strbuf_printf(out, "for=%s", f->client_ip);
    if (r->authority.len > 0) { /* the parser lets nothing into an authority that would need an escape */
        strbuf_puts(out, ";host=\"");
        add_view(out, r->authority);
        strbuf_puts(out, "\"");
    }
    strbuf_printf(out, ";proto=%s\r\n", f->is_tls ? "https" : "http");
}

void forward_request(struct strbuf *out, const struct http_head *request, const struct forward *f)
{
    const struct http_head *r = request;
    const bool use_client_host = f->host_policy == FORWARD_HOST_CLIENT && r->authority.data != NULL;
    const bool has_ip = strcmp(f->client_ip, "unix") != 0;

    add_request_line(out, r, f->prefix);
    add_line(out, "Host",
             use_client_host ? r->authority : (struct http_view){f->upstream_host, strlen(f->upstream_host)});
    for (uint32_t i = 0; i < r->field_count; i++) {
        const struct http_view name = r->fields[i].name;
        if (is_in(name, rewritten, COUNT(rewritten)) || ends_here(r, name) || (!f->is_trusted && is_claim(name)))
            continue;
        add_field(out, name, r->fields[i].value);
    }
    add_x_forwarded(out, r, f, has_ip);
    add_forwarded(out, r, f, has_ip);
    add_line(out, "X-Request-Id", f->request_id);
    if (r->is_chunked)
        strbuf_puts(out, "Transfer-Encoding: chunked\r\n");
    if (r->wants_upgrade && http_has_token(r, "upgrade", "websocket"))
        strbuf_puts(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    strbuf_puts(out, "\r\n");
}

void forward_response(struct strbuf *out, const struct http_head *response, bool keep_alive,
                      struct http_view request_id)
{
    const struct http_head *r = response;

    strbuf_printf(out, "HTTP/1.1 %u ", (unsigned)r->status);
    add_view(out, r->reason);
    strbuf_puts(out, "\r\n");
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (!ends_here(r, r->fields[i].name))
            add_field(out, r->fields[i].name, r->fields[i].value);
    }
    if (r->is_chunked)
        strbuf_puts(out, "Transfer-Encoding: chunked\r\n");
    if (r->status == 101)
        strbuf_puts(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    else if (!keep_alive && r->status >= 200)
        strbuf_puts(out, "Connection: close\r\n");
    if (request_id.data != NULL && http_find(r, "x-request-id") == NULL)
        add_line(out, "X-Request-Id", request_id);
    strbuf_puts(out, "\r\n");
}
