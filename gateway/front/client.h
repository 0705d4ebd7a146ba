/* Clients: connections that speak HTTP to us, from accept until they are closed or become a tunnel.
 *
 * A client begins as an arrival (PROXY header, TLS, which HTTP) and becomes a client of HTTP/1.1 or of HTTP/2. Each of
 * the three is a struct of its own around a struct client, so that an idle connection pays only for what it is. */
#ifndef GATEWAY_FRONT_CLIENT_H
#define GATEWAY_FRONT_CLIENT_H

#include "base/list.h"
#include "gateway/exchange/exchange.h"

struct client;

/* What clients need of the front; embedded there. */
struct client_home {
    struct exchange_env *env;
    struct list live;
    struct list dead; /* freed at the end of the pass */
    struct later reap;
    uint32_t live_count;
    bool is_draining;
    void (*on_empty)(void *arg);
    void *arg;
    struct log_limit refusal_log, proxy_log, tls_log, h2_log; /* what clients do wrong is rate-limited in the log */
};
void client_home_init(struct client_home *h, struct exchange_env *env, void (*on_empty)(void *arg), void *arg);
void client_home_fini(struct client_home *h); /* closes all */
/* Idle clients leave now, the others once they have been served. */
void client_home_drain(struct client_home *h);

/* How the clients of a listener are received. */
struct door {
    struct tls_ctx *tls;    /* NULL: plain; borrowed for the call it is handed to */
    bool has_http2;         /* plain: HTTP/2 with prior knowledge; TLS: as the context offers it */
    bool expects_proxy;     /* a PROXY header comes first, from trusted proxies only */
    uint16_t redirect_port; /* plain: requests are sent to https on that port; 0: they are served */
};

/* Takes a client's socket. */
void client_accept(struct client_home *h, int fd, const struct addr *peer, const struct door *d);

/* ---- for the kinds of clients ---- */

struct client_kind {
    void (*drain)(struct client *c);   /* leave now if nothing is under way, or soon */
    void (*hang_up)(struct client *c); /* leave now */
    void (*free)(struct client *c);    /* at the end of the pass in which it left */
};

struct client {
    const struct client_kind *kind;
    struct client_home *home;
    struct list link;
};

void client_join(struct client *c, struct client_home *h, const struct client_kind *kind);
/* The memory goes at the end of the pass. */
void client_leave(struct client *c);

static inline struct loop *client_loop(const struct client *c)
{
    return c->home->env->net->loop;
}
static inline int64_t client_now_ms(const struct client *c)
{
    return loop_now_ms(client_loop(c));
}
static inline void client_count(const struct client *c, enum stat_process id)
{
    stat_add(&c->home->env->net->block->process[id], 1);
}

/* The engines. Each takes `conn`, which is open, and looks at `data`, pieces that were read of it already. */
void client_h1_begin(struct client_home *h, struct conn *conn, const struct door *d, int64_t head_deadline_ms,
                     const struct slice *data, size_t data_count);
void client_h2_begin(struct client_home *h, struct conn *conn, const struct door *d, const struct slice *data,
                     size_t data_count);

#endif
