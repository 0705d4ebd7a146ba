/* A client of the front. Its life: WAITING for a head, SERVING an exchange, then WAITING again or LINGERING.
 *
 * A head that arrives in one read is parsed where it lies; only one that comes in pieces gets a buffer. A client that
 * is being served goes on being read until it says something, so that one who has given up is noticed and no server is
 * looked for on its behalf. Lingering is the polite end of a connection that was refused something: closing while
 * unread bytes wait would send a reset, and a reset destroys the answer on its way. */
#include "gateway/front/client.h"

#include "base/log.h"
#include "base/mem.h"
#include "gateway/http/answer.h"

#define CLIENT_MAGIC 0xc11e47a9u

#define LINGER_MS 1000

enum client_state { CLIENT_WAITING = 0, CLIENT_SERVING, CLIENT_LINGERING, CLIENT_GONE };

struct client {
    uint32_t magic;
    enum client_state state;
    struct client_home *home;
    struct list link;
    struct conn *conn;
    struct exchange *exchange; /* set by it; NULL while there is none */
    struct timer timer;        /* WAITING: for the head. LINGERING: for the peer */
    struct strbuf held;        /* bytes of an unfinished head, or behind the one being served */
    struct h1_scan scan;
    bool is_serving_held; /* keeps pipelined requests from nesting */
};

static struct loop *loop_of(const struct client *c)
{
    return c->home->env->net->loop;
}

/* ---- ends ---- */

static void leave(struct client *c)
{
    struct client_home *h = c->home;
    c->state = CLIENT_GONE;
    timer_cancel(&c->timer);
    if (c->exchange != NULL)
        exchange_cancel(&c->exchange);
    list_unlink(&c->link);
    list_append(&h->dead, &c->link);
    later_post(&h->reap);
    h->live_count--;
}

static void hang_up(struct client *c)
{
    leave(c);
    if (c->conn != NULL)
        conn_close(&c->conn, false);
}

static void linger(struct client *c)
{
    c->state = CLIENT_LINGERING;
    strbuf_fini(&c->held);
    conn_shutdown_write(c->conn);
    if (conn_eof_seen(c->conn) && conn_buffered(c->conn) == 0) {
        hang_up(c);
        return;
    }
    timer_start(&c->timer, LINGER_MS);
    conn_resume(c->conn);
}

/* A refusal that needs no exchange, because there was no request to speak of. */
static void refuse(struct client *c, uint16_t status, const char *reason)
{
    struct answer a = {.status = status, .error = reason};
    struct strbuf out;
    struct addr peer;
    char ip[INET6_ADDRSTRLEN];
    strbuf_init(&out, 4096);
    answer_build(&out, &a);
    conn_write(c->conn, out.data, out.len);
    strbuf_fini(&out);
    stat_add(&c->home->env->net->block->responses[status], 1);
    conn_peer(c->conn, &peer);
    LOG_LIMITED(&c->home->env->failure_log, loop_now_ms(loop_of(c)), LOG_LEVEL_INFO, "request refused",
                KV_STR("client", addr_ip_text(&peer, ip, sizeof ip)), KV_UINT("status", status),
                KV_STR("reason", reason));
    linger(c);
}

/* ---- requests ---- */

static void wait_for_head(struct client *c)
{
    c->state = CLIENT_WAITING;
    c->scan = (struct h1_scan){0};
    if (c->held.len == 0)
        strbuf_fini(&c->held); /* who waits owns no buffer */
    if (c->home->is_draining) {
        linger(c); /* the answer may still be on its way */
        return;
    }
    timer_start(&c->timer, c->home->env->conf->limits.header_timeout_ms);
    conn_resume(c->conn);
}

static void serve_held(struct client *c);

static void on_answered(void *arg, bool keep_alive)
{
    struct client *c = arg;
    CHECK_OBJ(c, CLIENT_MAGIC);
    if (!keep_alive || (conn_eof_seen(c->conn) && c->held.len == 0)) {
        linger(c);
        return;
    }
    wait_for_head(c);
    serve_held(c);
}

static void on_taken(void *arg, struct slice *early)
{
    struct client *c = arg;
    CHECK_OBJ(c, CLIENT_MAGIC);
    *early = slice_borrow(c->held.data, c->held.len);
    c->conn = NULL;
    c->exchange = NULL;
    leave(c);
}

static const struct exchange_ops exchange_ops = {.on_answered = on_answered, .on_taken = on_taken};

/* Looks for a head at the beginning of `data`, which is all there is so far. True when one was found and served, maybe
 * to its end. */
static bool serve(struct client *c, const uint8_t *data, size_t len)
{
    const struct conf *conf = c->home->env->conf;
    struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct http_head head;
    limits.head_bytes = conf->limits.header_bytes;
    if (limits.target_bytes > limits.head_bytes)
        limits.target_bytes = limits.head_bytes;

    enum h1_result result = h1_parse_request(&head, &c->scan, data, len, &limits);
    if (result == H1_BAD) {
        refuse(c, head.error_status, head.error_reason);
        return false;
    }
    bool is_held = data == (const uint8_t *)c->held.data;
    if (result == H1_MORE) {
        if (!is_held)
            strbuf_add(&c->held, data, len);
        return false;
    }
    timer_cancel(&c->timer);
    c->state = CLIENT_SERVING;
    /* What lies behind the head waits its turn. */
    struct slice head_bytes = slice_copy(data, head.head_bytes);
    struct slice rest = slice_copy(data + head.head_bytes, len - head.head_bytes);
    strbuf_clear(&c->held);
    strbuf_add(&c->held, rest.data, rest.len);
    slice_release(&rest);
    if (c->held.len > 0)
        conn_pause(c->conn);
    exchange_start(c->home->env, c->conn, head_bytes.data, head_bytes.len, &limits, &exchange_ops, c, &c->exchange);
    slice_release(&head_bytes);
    return true;
}

/* Serves what was sent behind the last request, one after the other. */
static void serve_held(struct client *c)
{
    if (c->is_serving_held)
        return;
    c->is_serving_held = true;
    while (c->state == CLIENT_WAITING && c->held.len > 0)
        if (!serve(c, (const uint8_t *)c->held.data, c->held.len))
            break;
    c->is_serving_held = false;
}

/* ---- the connection ---- */

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct client *c = arg;
    CHECK_OBJ(c, CLIENT_MAGIC);
    if (c->state == CLIENT_LINGERING)
        return;
    if (c->state == CLIENT_SERVING) { /* read all the same, to notice when it gives up; once */
        strbuf_add(&c->held, data, len);
        conn_pause(c->conn);
        return;
    }
    ASSERT(c->state == CLIENT_WAITING);
    if (c->held.len == 0) {
        if (serve(c, data, len))
            serve_held(c);
        return;
    }
    strbuf_add(&c->held, data, len);
    if (c->held.failed)
        refuse(c, 431, "head too long");
    else
        serve_held(c);
}

static void on_eof(void *arg)
{
    struct client *c = arg;
    CHECK_OBJ(c, CLIENT_MAGIC);
    if (c->state == CLIENT_LINGERING && conn_buffered(c->conn) > 0)
        return; /* on_flushed */
    if (c->state == CLIENT_SERVING && exchange_is_answering(c->exchange))
        return; /* on_answered */
    if (c->state == CLIENT_WAITING && conn_buffered(c->conn) > 0)
        linger(c);
    else
        hang_up(c);
}

static void on_flushed(void *arg)
{
    struct client *c = arg;
    if (c->state == CLIENT_LINGERING && conn_eof_seen(c->conn))
        hang_up(c);
}

static void on_drain(void *arg)
{
    struct client *c = arg;
    if (c->exchange != NULL)
        exchange_client_drained(c->exchange);
}

static void on_close(void *arg, enum err e)
{
    struct client *c = arg;
    CHECK_OBJ(c, CLIENT_MAGIC);
    (void)e;
    c->conn = NULL;
    leave(c);
}

static const struct conn_ops conn_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_flushed = on_flushed,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void on_timer(void *arg)
{
    struct client *c = arg;
    CHECK_OBJ(c, CLIENT_MAGIC);
    if (c->state == CLIENT_WAITING && c->held.len > 0)
        refuse(c, 408, "head took too long");
    else
        hang_up(c); /* nothing was asked, or the linger time is over */
}

void client_accept(struct client_home *h, int fd, const struct addr *peer)
{
    struct client *c;
    OBJ_NEW(c, CLIENT_MAGIC);
    c->home = h;
    list_init(&c->link);
    list_append(&h->live, &c->link);
    h->live_count++;
    timer_init(&c->timer, h->env->net->loop, on_timer, c);
    /* One read beyond the longest head; the parser has the last word on the head itself. */
    strbuf_init(&c->held, h->env->conf->limits.header_bytes + NET_SCRATCH_BYTES);
    c->conn = conn_accept(h->env->net, fd, peer, &conn_ops, c);
    wait_for_head(c);
}

/* ---- all of them ---- */

static void reap(void *arg)
{
    struct client_home *h = arg;
    LIST_EACH (it, &h->dead) {
        struct client *c = LIST_ENTRY(it, struct client, link);
        list_unlink(it);
        strbuf_fini(&c->held);
        OBJ_FREE(&c, CLIENT_MAGIC);
    }
    if (h->live_count == 0 && h->on_empty != NULL)
        h->on_empty(h->arg);
}

void client_home_init(struct client_home *h, struct exchange_env *env, void (*on_empty)(void *arg), void *arg)
{
    *h = (struct client_home){.env = env, .on_empty = on_empty, .arg = arg};
    list_init(&h->live);
    list_init(&h->dead);
    later_init(&h->reap, env->net->loop, reap, h);
}

void client_home_drain(struct client_home *h)
{
    h->is_draining = true;
    LIST_EACH (it, &h->live) {
        struct client *c = LIST_ENTRY(it, struct client, link);
        if (c->state == CLIENT_WAITING)
            hang_up(c);
    }
}

void client_home_fini(struct client_home *h)
{
    h->on_empty = NULL;
    LIST_EACH (it, &h->live) {
        hang_up(LIST_ENTRY(it, struct client, link));
    }
    reap(h);
    later_cancel(&h->reap);
}
