/* The front's own answers. What they say is small; what they repeat of a request was bounded with it. */
#include "gateway/front/reply.h"

#include "base/assert.h"
#include "base/tls.h"
#include "gateway/http/access_log.h"
#include "gateway/http/answer.h"

#define HTTPS_PORT 443u
/* A target and an authority, each at most as long as a head may be, and some words of ours. */
#define TEXTS_BYTES (3u << 20)
#define BODY_BYTES  4096u

/* One line for the access log, as for every other request. */
static void log_reply(const struct client_home *h, const struct conn *conn, const struct http_head *request,
                      const struct reply *r, const char *reason)
{
    struct addr peer;
    char ip[INET6_ADDRSTRLEN];
    const struct tls *tls = conn_tls(conn);
    struct access_record record = {.begun_wall_ms = loop_wall_ms(h->env->net->loop),
                                   .scheme = http_view_of(tls != NULL ? "https" : "http"),
                                   .tls = http_view_of(tls != NULL ? tls_version_text(tls) : NULL),
                                   .status = r->head.status,
                                   .reason = http_view_of(reason),
                                   .out_bytes = r->body.len,
                                   .upstream_ms = -1};
    conn_peer(conn, &peer);
    record.client = http_view_of(addr_ip_text(&peer, ip, sizeof ip));
    if (request != NULL) {
        record.method = request->method;
        record.host = request->authority;
        record.path = request->path;
        record.query = request->query;
        record.major_version = request->major_version;
        record.minor_version = request->minor_version;
        record.user_agent = http_value(request, "user-agent");
        record.referer = http_value(request, "referer");
    }
    access_log_write(h->env->access, h->env->conf, &record);
}

static void build(struct reply *r, struct client_home *h, const struct answer *a)
{
    struct answer full = *a;
    full.server = h->env->conf->headers.server;
    full.wall_ms = loop_wall_ms(h->env->net->loop);
    strbuf_init(&r->body, BODY_BYTES);
    bool is_built = answer_build(&r->head, &r->texts, &r->body, &full);
    ASSERT(is_built && !r->body.failed);
    stat_add(&h->env->net->block->responses[a->status], 1);
}

void reply_refuse(struct reply *r, struct client_home *h, const struct conn *conn, const struct http_head *request,
                  uint16_t status, const char *reason)
{
    struct answer a = {.status = status, .error = reason};
    if (request != NULL)
        a.form = answer_choose(request);
    http_texts_init(&r->texts, TEXTS_BYTES);
    build(r, h, &a);
    if (conn != NULL)
        log_reply(h, conn, request, r, reason);
}

bool reply_redirects(const struct client_home *h, const struct http_head *request)
{
    const char *health = h->env->conf->health.path;
    return health[0] == '\0' || !http_view_is(request->path, health);
}

/* The authority without its port. */
static struct http_view host_of(struct http_view authority)
{
    for (size_t i = authority.len; i > 0 && authority.data[i - 1] != ']'; i--) {
        if (authority.data[i - 1] == ':')
            return (struct http_view){authority.data, i - 1};
    }
    return authority;
}

void reply_redirect(struct reply *r, struct client_home *h, const struct conn *conn, const struct http_head *request,
                    uint16_t port)
{
    if (request->authority.len == 0) {
        reply_refuse(r, h, conn, request, 400, "no host");
        return;
    }
    const struct http_view host = host_of(request->authority);
    const bool has_path = request->path.len > 0 && request->path.data[0] == '/'; /* OPTIONS * has none */
    const bool is_simple = http_view_is(request->method, "GET") || http_view_is(request->method, "HEAD");
    http_texts_init(&r->texts, TEXTS_BYTES);
    struct http_view port_text = {.data = NULL};
    if (port != HTTPS_PORT)
        port_text = http_texts_printf(&r->texts, ":%u", (unsigned)port);
    const struct http_view pieces[] = {http_view_of("https://"),
                                       host,
                                       port_text,
                                       has_path ? request->path : http_view_of("/"),
                                       http_view_of(request->query.data != NULL ? "?" : NULL),
                                       request->query};
    const struct http_field location = {.name = http_view_of("Location"),
                                        .value = http_texts_join(&r->texts, pieces, sizeof pieces / sizeof pieces[0])};
    struct answer a = {
        .status = is_simple ? 301 : 308, .form = answer_choose(request), .fields = &location, .field_count = 1};
    build(r, h, &a);
    log_reply(h, conn, request, r, "to https");
}

void reply_fini(struct reply *r)
{
    strbuf_fini(&r->body);
    http_texts_fini(&r->texts);
}
