/* The front of one worker: its listeners, its clients, and who is not let in. */
#include "gateway/front/front.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"
#include "conf/secure.h"
#include "gateway/front/client.h"
#include "gateway/net/listener.h"
#include "gateway/net/seats.h"

#define FRONT_MAGIC 0xf40e70f5u

/* The sum over all workers may be this old when the limit on all connections is looked at. */
#define TOTAL_AGE_MS 100

struct front_listener {
    struct list link;
    struct front *front;
    struct listener *listener;
    struct door door; /* with a reference to its TLS context */
};

struct front {
    uint32_t magic;
    struct exchange_env *env;
    struct client_home home;
    struct list listeners;
    const struct secure_set *secure; /* NULL before the first configuration */
    uint64_t total_count;            /* clients of all workers ... */
    int64_t total_at_ms;             /* ... as of then */
    struct log_limit limit_log;
};

/* NULL when the client may come in. */
static const char *find_limit(struct front *f, const struct addr *peer)
{
    const struct conf *c = f->env->conf;
    struct net *n = f->env->net;
    int64_t now_ms = loop_now_ms(n->loop);
    if (now_ms - f->total_at_ms >= TOTAL_AGE_MS) {
        f->total_count = stats_sum_process(n->stats, STAT_CLIENTS_OPEN);
        f->total_at_ms = now_ms;
    }
    if (c->limits.connections > 0 && f->total_count >= c->limits.connections)
        return "connections";
    /* Behind a trusted proxy sits everybody. */
    if (c->limits.per_client > 0 && !conf_is_trusted(c, peer) && seat_count_of(n, peer) >= c->limits.per_client)
        return "per_client";
    return NULL;
}

/* Too many already: says so in one write, where that needs no handshake, and hangs up; nothing is kept of such a
 * client. */
static void turn_away(const struct front_listener *fl, int fd, const struct addr *peer, const char *limit)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
                               "Connection: close\r\n\r\n";
    struct front *f = fl->front;
    struct net *n = f->env->net;
    char ip[INET6_ADDRSTRLEN];
    if (fl->door.tls == NULL && !fl->door.expects_proxy) {
        (void)send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)shutdown(fd, SHUT_WR);
        stat_add(&n->block->responses[503], 1);
    }
    (void)close(fd);
    stat_add(&n->block->process[STAT_CLIENTS_OVER_LIMIT], 1);
    LOG_LIMITED(&f->limit_log, loop_now_ms(n->loop), LOG_LEVEL_WARN, "client turned away", KV_STR("limit", limit),
                KV_STR("client", addr_ip_text(peer, ip, sizeof ip)));
}

/* How its clients are received from now on. One that the configuration does not name any more stays as it was, for
 * those who wait in its queue. */
static void listener_set_door(struct front_listener *fl)
{
    const struct conf *c = fl->front->env->conf;
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct conf_listen *l = &c->listen[i];
        if (strcmp(l->text, listener_address(fl->listener)) != 0)
            continue;
        fl->door.has_http2 = l->http2;
        fl->door.expects_proxy = l->proxy_protocol;
        fl->door.redirect_port = l->redirect_https ? l->redirect_port : 0;
    }
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
    struct front_listener *fl = arg;
    struct front *f = fl->front;
    CHECK_OBJ(f, FRONT_MAGIC);
    const char *limit = find_limit(f, peer);
    if (limit != NULL) {
        turn_away(fl, fd, peer, limit);
        return;
    }
    f->total_count++;
    client_accept(&f->home, fd, peer, &fl->door);
}

struct front *front_create(struct exchange_env *env, front_empty_fn *on_empty, void *arg)
{
    struct front *f;
    OBJ_NEW(f, FRONT_MAGIC);
    f->env = env;
    f->total_at_ms = -TOTAL_AGE_MS;
    list_init(&f->listeners);
    client_home_init(&f->home, env, on_empty, arg);
    return f;
}

static void listener_close(struct front_listener *fl)
{
    list_unlink(&fl->link);
    listener_destroy(&fl->listener);
    if (fl->door.tls != NULL)
        tls_ctx_unref(&fl->door.tls);
    mem_free(fl);
}

static void listener_secure(struct front_listener *fl)
{
    struct front *f = fl->front;
    struct tls_ctx *old = fl->door.tls;
    struct tls_ctx *found = f->secure != NULL ? secure_set_find(f->secure, listener_address(fl->listener)) : NULL;
    fl->door.tls = found != NULL ? tls_ctx_ref(found) : NULL;
    if (old != NULL)
        tls_ctx_unref(&old);
}

void front_destroy(struct front **fp)
{
    struct front *f = *fp;
    CHECK_OBJ(f, FRONT_MAGIC);
    LIST_EACH (it, &f->listeners) {
        listener_close(LIST_ENTRY(it, struct front_listener, link));
    }
    client_home_fini(&f->home);
    OBJ_FREE(fp, FRONT_MAGIC);
}

void front_listen(struct front *f, int fd, const char *address)
{
    CHECK_OBJ(f, FRONT_MAGIC);
    struct front_listener *fl = mem_alloc(sizeof *fl);
    fl->front = f;
    fl->listener = listener_create(f->env->net, fd, address, on_accept, fl);
    listener_set_door(fl);
    listener_secure(fl);
    list_append(&f->listeners, &fl->link);
}

void front_secure(struct front *f, const struct secure_set *s)
{
    CHECK_OBJ(f, FRONT_MAGIC);
    f->secure = s;
    LIST_EACH (it, &f->listeners) {
        listener_secure(LIST_ENTRY(it, struct front_listener, link));
    }
}

static bool is_named(const struct conf *c, const char *address)
{
    for (size_t i = 0; i < c->listen_count; i++)
        if (strcmp(c->listen[i].text, address) == 0)
            return true;
    return false;
}

void front_retain(struct front *f, const struct conf *c)
{
    CHECK_OBJ(f, FRONT_MAGIC);
    LIST_EACH (it, &f->listeners) {
        struct front_listener *fl = LIST_ENTRY(it, struct front_listener, link);
        if (!is_named(c, listener_address(fl->listener)))
            listener_close(fl);
        else
            listener_set_door(fl);
    }
}

void front_drain(struct front *f)
{
    CHECK_OBJ(f, FRONT_MAGIC);
    LIST_EACH (it, &f->listeners) {
        listener_close(LIST_ENTRY(it, struct front_listener, link));
    }
    client_home_drain(&f->home);
}

uint32_t front_client_count(const struct front *f)
{
    CHECK_OBJ(f, FRONT_MAGIC);
    return f->home.live_count;
}
