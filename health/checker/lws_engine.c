/* libwebsockets 4.1 as a guest on our loop. Its habits this file works around:
 *
 * - It arms its own timers only after it has seen traffic, so they cannot guard against silence. All waiting is
 *   guarded by our timers, its limits are put out of reach, and a connection is ended by "kill now".
 * - A vhost destroyed while connections are bound to it is never freed, so they are cut first. Connections that say
 *   good-bye wait for an answer with a limit of its own (5 s); the next probe of the same host cuts them.
 * - Opening a connection may destroy it before the call returns, with or without the callback that says so.
 * - It sends everything through a proxy when the environment says http_proxy.
 * - The callback of its log has no argument, and there is no other way to learn why it could not start. So while it
 *   starts its complaints are errors, and later, when peers can cause them, they are debug lines; what a probe needs
 *   to know it says in its result. */
#include "health/checker/lws_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "health/checker/lws_priv.h"

#define LWS_ENGINE_MAGIC 0x1a5e9613u

/* One probe under way and one connection saying good-bye for each server and for the peer of its canary, its own pipe,
 * and room to spare. */
#define FDS_MAX (SLOTS_SERVERS * 4u + 64u)
/* Response heads up to this are read; beyond it a probe fails. */
#define HEAD_BYTES_MAX 16384
/* Out of reach of any probe's timeout. */
#define NEVER_S 3600

/* Lengths libwebsockets would cut or refuse without saying so (128 and 2048 bytes with the words around them). */
#define HOST_HEADER_BYTES_MAX 110u
#define PATH_BYTES_MAX        2000u

struct lws_engine {
    uint32_t magic;
    struct lws_context *context;
    struct list hosts;
};

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

static const struct lws_protocols protocols[] = {{.name = "probe", .callback = on_event}, {0}};

/* ---- its log ---- */

static void log_line(enum log_level level, const char *line)
{
    size_t len = strcspn(line, "\r\n");
    LOG_AT(level, "libwebsockets", KV_STRN("says", line, len));
}

static void emit_at_start(int level, const char *line)
{
    (void)level;
    log_line(LOG_LEVEL_ERR, line);
}

static void emit_later(int level, const char *line)
{
    (void)level;
    log_line(LOG_LEVEL_DEBUG, line);
}

/* ---- engine ---- */

struct lws_engine *lws_engine_create(struct loop *l)
{
    struct lws_engine *e;
    void *loops[] = {loop_native(l)};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .foreign_loops = loops,
        .gid = -1,
        .uid = -1,
        .timeout_secs = NEVER_S,
        .fd_limit_per_thread = FDS_MAX,
        .max_http_header_pool = FDS_MAX,
        .max_http_header_data2 = HEAD_BYTES_MAX,
    };

    unsetenv("http_proxy");
    lws_set_log_level(LLL_ERR, emit_at_start);
    struct lws_context *context = lws_create_context(&info);
    if (context == NULL) {
        LOG_ERR("probes cannot start", KV_STR("cause", "libwebsockets does not work on libev"),
                KV_STR("hint", "is its libev plugin (Debian: libwebsockets-evlib-ev) installed?"));
        return NULL;
    }
    lws_set_log_level(LLL_ERR, emit_later);
    OBJ_NEW(e, LWS_ENGINE_MAGIC);
    e->context = context;
    list_init(&e->hosts);
    return e;
}

void lws_engine_destroy(struct lws_engine **ep)
{
    struct lws_engine *e = *ep;

    CHECK_OBJ(e, LWS_ENGINE_MAGIC);
    ASSERT(list_is_empty(&e->hosts));
    lws_context_destroy(e->context);
    OBJ_FREE(ep, LWS_ENGINE_MAGIC);
}

/* ---- hosts ---- */

struct lws_host *lws_host_create(struct lws_engine *e, const struct tls_client_opts *tls, const char *server_name,
                                 char *error)
{
    struct lws_host *h;
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .vhost_name = "probe",
        .connect_timeout_secs = NEVER_S,
    };

    CHECK_OBJ(e, LWS_ENGINE_MAGIC);
    OBJ_NEW(h, LWS_HOST_MAGIC);
    h->engine = e;
    list_init(&h->conns);
    list_init(&h->link);
    if (tls != NULL) {
        h->tls = tls_lend_create(tls, server_name, error);
        if (h->tls == NULL) {
            OBJ_FREE(&h, LWS_HOST_MAGIC);
            return NULL;
        }
        info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.provided_client_ssl_ctx = tls_lend_native(h->tls);
    }
    h->vhost = lws_create_vhost(e->context, &info);
    ASSERT(h->vhost != NULL); /* nothing but memory can be missing */
    list_append(&e->hosts, &h->link);
    return h;
}

static void cut_all(struct lws_host *h)
{
    LIST_EACH (it, &h->conns) {
        struct lws_conn *c = LIST_ENTRY(it, struct lws_conn, link);
        ASSERT(c->arg == NULL);
        lws_conn_kill(&c);
    }
}

void lws_host_destroy(struct lws_host **hp)
{
    struct lws_host *h = *hp;

    CHECK_OBJ(h, LWS_HOST_MAGIC);
    cut_all(h);
    ASSERT(list_is_empty(&h->conns));
    lws_vhost_destroy(h->vhost);
    if (h->tls != NULL)
        tls_lend_destroy(&h->tls);
    list_unlink(&h->link);
    OBJ_FREE(hp, LWS_HOST_MAGIC);
}

size_t lws_host_open_count(const struct lws_host *h)
{
    size_t count = 0;

    CHECK_OBJ(h, LWS_HOST_MAGIC);
    for (const struct list *it = h->conns.next; it != &h->conns; it = it->next)
        count++;
    return count;
}

/* ---- connections ---- */

static void conn_gone(struct lws_conn *c)
{
    CHECK_OBJ(c, LWS_CONN_MAGIC);
    if (c->is_gone != NULL)
        *c->is_gone = true;
    list_unlink(&c->link);
    OBJ_FREE(&c, LWS_CONN_MAGIC);
}

static bool fits(const struct lws_question *q, const char **why)
{
    *why = strlen(q->host_header) > HOST_HEADER_BYTES_MAX ? "host header too long"
           : strlen(q->path) > PATH_BYTES_MAX             ? "path too long"
                                                          : NULL;
    return *why == NULL;
}

struct lws_conn *lws_conn_open(struct lws_host *h, const struct lws_question *q, lws_event_fn *on_conn_event, void *arg,
                               const char **why)
{
    struct lws_conn *c;
    char ip[ADDR_TEXT_BYTES];
    bool is_gone = false;

    CHECK_OBJ(h, LWS_HOST_MAGIC);
    cut_all(h);
    if (!fits(q, why))
        return NULL;
    OBJ_NEW(c, LWS_CONN_MAGIC);
    list_append(&h->conns, &c->link);
    c->on_event = on_conn_event;
    c->arg = arg;
    c->is_gone = &is_gone;
    struct lws_client_connect_info info = {
        .context = h->engine->context,
        .vhost = h->vhost,
        .address = addr_ip_text(&q->addr, ip, sizeof ip),
        .port = addr_port(&q->addr),
        .host = q->host_header,
        .path = q->path,
        .method = q->is_websocket ? NULL : "GET", /* NULL means websocket */
        .alpn = "http/1.1",
        .local_protocol_name = protocols[0].name,
        .ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT |
                          (h->tls != NULL ? LCCSCF_USE_SSL | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK : 0),
        .ietf_version_or_minus_one = -1,
        .opaque_user_data = c,
    };
    struct lws *wsi = lws_client_connect_via_info(&info);
    *why = "no connection";
    if (is_gone)
        return NULL;
    if (wsi == NULL) {
        conn_gone(c);
        return NULL;
    }
    c->wsi = wsi;
    c->is_gone = NULL;
    return c;
}

void lws_conn_leave(struct lws_conn **cp)
{
    CHECK_OBJ(*cp, LWS_CONN_MAGIC);
    (*cp)->arg = NULL;
    *cp = NULL;
}

void lws_conn_kill(struct lws_conn **cp)
{
    struct lws_conn *c = *cp;
    bool is_gone = false;

    CHECK_OBJ(c, LWS_CONN_MAGIC);
    *cp = NULL;
    c->arg = NULL;
    c->is_gone = &is_gone;
    lws_set_timeout(c->wsi, 1, LWS_TO_KILL_SYNC);
    ASSERT(is_gone);
}

int lws_say_who_asks(unsigned char **at, size_t room)
{
    int n = snprintf((char *)*at, room, "User-Agent: tidegate/%s\r\n", TIDEGATE_VERSION);

    if (n > 0 && (size_t)n < room)
        *at += n;
    return 0;
}

bool lws_is_whole(struct lws *wsi)
{
    return lws_is_final_fragment(wsi) != 0 && lws_remaining_packet_payload(wsi) == 0;
}

/* A connection whose probe is over: websockets say good-bye at the next chance to write, others were told to close. */
static int on_parting(struct lws *wsi, enum lws_callback_reasons reason)
{
    if (reason != LWS_CALLBACK_CLIENT_WRITEABLE)
        return 0;
    lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
    return -1;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct lws_conn *c = lws_get_opaque_user_data(wsi);

    (void)user;
    if (c == NULL)
        return 0;
    CHECK_OBJ(c, LWS_CONN_MAGIC);
    if (reason == LWS_CALLBACK_WSI_DESTROY) {
        lws_set_opaque_user_data(wsi, NULL);
        conn_gone(c);
        return 0;
    }
    c->wsi = wsi;
    return c->arg != NULL ? c->on_event(c->arg, c, reason, in, len) : on_parting(wsi, reason);
}
