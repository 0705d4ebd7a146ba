/* Who may come. Connections are counted by address and all together; when all places are taken, the connection that has
 * been idle for longest is closed for the new one, so that holding places open keeps nobody out (RFC 7766 section
 * 6.2.2 lets a server close idle ones at will). Who holds as many as one address may have is refused another. */
#include "health/nameserver/tcp.h"

#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "health/nameserver/tcp_priv.h"

#define LISTENER_MAGIC  0x7c911572u
#define ACCEPT_BATCH    64
#define ACCEPT_PAUSE_MS 100

struct tcp_listener {
    uint32_t magic;
    struct list link;
    struct tcp *tcp;
    int fd;
    struct io io;
    struct timer pause;
    char *address;
};

/* ---- places ---- */

static const void *address_of(const struct addr *peer, size_t *len)
{
    *len = peer->sa.sa_family == AF_INET ? sizeof peer->v4.sin_addr : sizeof peer->v6.sin6_addr;
    return peer->sa.sa_family == AF_INET ? (const void *)&peer->v4.sin_addr : (const void *)&peer->v6.sin6_addr;
}

static uintptr_t count_of(const struct tcp *t, const struct addr *peer)
{
    size_t len;
    const void *key = address_of(peer, &len);
    return (uintptr_t)map_get(t->per_address, key, len);
}

static void set_count(struct tcp *t, const struct addr *peer, uintptr_t count)
{
    size_t len;
    const void *key = address_of(peer, &len);
    if (count > 0)
        (void)map_put(t->per_address, key, len, (void *)count);
    else
        (void)map_remove(t->per_address, key, len);
}

void tcp_forget(struct tcp *t, struct tcp_client *c)
{
    set_count(t, &c->peer, count_of(t, &c->peer) - 1);
    t->client_count--;
    stat_add(&t->block->process[STAT_DNS_TCP_OPEN], -1);
    tcp_client_close(c);
    list_append(&t->gone, &c->link);
    later_post(&t->free_gone);
}

static void on_free_gone(void *arg)
{
    struct tcp *t = arg;
    LIST_EACH (it, &t->gone)
        tcp_client_free(LIST_ENTRY(it, struct tcp_client, link));
}

/* Closes who is idle for longest; false when everybody is in the middle of something. */
static bool make_room(struct tcp *t)
{
    LIST_EACH (it, &t->clients) {
        struct tcp_client *c = LIST_ENTRY(it, struct tcp_client, link);
        if (!tcp_client_is_idle(c))
            continue;
        tcp_forget(t, c);
        stat_add(&t->block->process[STAT_DNS_TCP_REFUSED], 1);
        return true;
    }
    return false;
}

/* NULL, or why there is no place for one more from there. */
static const char *refusal(struct tcp *t, const struct addr *peer)
{
    if (count_of(t, peer) >= t->limits.per_client)
        return "dns.tcp.per_client";
    if (t->client_count >= t->limits.connections && !make_room(t))
        return "dns.tcp.connections";
    return NULL;
}

/* ---- accepting ---- */

static void take(struct tcp *t, int fd, const struct addr *peer)
{
    char text[ADDR_TEXT_BYTES];
    const char *why = refusal(t, peer);

    if (why != NULL) {
        stat_add(&t->block->process[STAT_DNS_TCP_REFUSED], 1);
        LOG_LIMITED(&t->refusals, loop_now_ms(t->loop), LOG_LEVEL_WARN, "connection refused",
                    KV_STR("client", addr_ip_text(peer, text, sizeof text)), KV_STR("limit", why));
        close(fd);
        return;
    }
    set_count(t, peer, count_of(t, peer) + 1);
    t->client_count++;
    stat_add(&t->block->process[STAT_DNS_TCP_OPEN], 1);
    stat_add(&t->block->process[STAT_DNS_TCP_TOTAL], 1);
    tcp_client_start(t, fd, peer);
}

static void on_acceptable(void *arg, unsigned events)
{
    struct tcp_listener *l = arg;
    struct tcp *t = l->tcp;

    (void)events;
    CHECK_OBJ(l, LISTENER_MAGIC);
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = -1;
        struct addr peer;
        const enum err e = sock_accept(l->fd, &fd, &peer);
        if (e == ERR_NONE) {
            take(t, fd, &peer);
            continue;
        }
        if (e == ERR_LIMIT) { /* the socket stays readable and would spin the loop */
            stat_add(&t->block->process[STAT_ACCEPT_PAUSES], 1);
            LOG_LIMITED(&t->pauses, loop_now_ms(t->loop), LOG_LEVEL_WARN, "accepting paused",
                        KV_STR("listener", l->address), KV_STR("cause", "descriptors"),
                        KV_INT("pause_ms", ACCEPT_PAUSE_MS));
            io_want(&l->io, 0);
            timer_start(&l->pause, ACCEPT_PAUSE_MS);
        }
        return;
    }
}

static void on_pause_over(void *arg)
{
    struct tcp_listener *l = arg;
    io_want(&l->io, IO_READ);
}

void tcp_add(struct tcp *t, int fd, const char *address)
{
    struct tcp_listener *l;

    CHECK_OBJ(t, TCP_MAGIC);
    OBJ_NEW(l, LISTENER_MAGIC);
    l->tcp = t;
    l->fd = fd;
    l->address = mem_strdup(address);
    list_init(&l->link);
    list_append(&t->listeners, &l->link);
    io_init(&l->io, t->loop, fd, on_acceptable, l);
    timer_init(&l->pause, t->loop, on_pause_over, l);
    io_want(&l->io, IO_READ);
}

static void close_listener(struct tcp_listener *l)
{
    io_fini(&l->io);
    timer_cancel(&l->pause);
    close(l->fd);
    list_unlink(&l->link);
    mem_free(l->address);
    OBJ_FREE(&l, LISTENER_MAGIC);
}

void tcp_remove(struct tcp *t, const char *address)
{
    CHECK_OBJ(t, TCP_MAGIC);
    LIST_EACH (it, &t->listeners) {
        struct tcp_listener *l = LIST_ENTRY(it, struct tcp_listener, link);
        if (strcmp(l->address, address) != 0)
            continue;
        on_acceptable(l, IO_READ);
        close_listener(l);
    }
}

/* ---- life ---- */

void tcp_set_limits(struct tcp *t, const struct tcp_limits *limits)
{
    CHECK_OBJ(t, TCP_MAGIC);
    ASSERT(limits->pipelined > 0 && limits->idle_ms > 0);
    t->limits = *limits;
}

size_t tcp_connection_count(const struct tcp *t)
{
    CHECK_OBJ(t, TCP_MAGIC);
    return t->client_count;
}

struct tcp *tcp_create(struct loop *l, struct responder *responder, struct stats_block *block, tcp_batch_fn *on_batch,
                       void *arg)
{
    struct tcp *t;
    OBJ_NEW(t, TCP_MAGIC);
    t->loop = l;
    t->responder = responder;
    t->block = block;
    t->on_batch = on_batch;
    t->arg = arg;
    t->limits = (struct tcp_limits){.connections = 1, .per_client = 1, .pipelined = 1, .idle_ms = 1000};
    list_init(&t->listeners);
    list_init(&t->clients);
    list_init(&t->gone);
    later_init(&t->free_gone, l, on_free_gone, t);
    t->per_address = map_create();
    return t;
}

void tcp_destroy(struct tcp **tp)
{
    struct tcp *t = *tp;

    CHECK_OBJ(t, TCP_MAGIC);
    LIST_EACH (it, &t->listeners)
        close_listener(LIST_ENTRY(it, struct tcp_listener, link));
    LIST_EACH (it, &t->clients)
        tcp_forget(t, LIST_ENTRY(it, struct tcp_client, link));
    later_cancel(&t->free_gone);
    on_free_gone(t);
    map_destroy(&t->per_address);
    OBJ_FREE(tp, TCP_MAGIC);
}
