/* One client connection while it speaks HTTP/1.1: collects request heads, runs one exchange at a time. */
#ifndef GATEWAY_FRONT_CLIENT_H
#define GATEWAY_FRONT_CLIENT_H

#include "base/list.h"
#include "gateway/exchange/exchange.h"

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
};
void client_home_init(struct client_home *h, struct exchange_env *env, void (*on_empty)(void *arg), void *arg);
void client_home_fini(struct client_home *h); /* closes all */
void client_home_drain(struct client_home *h);

/* Takes a client's socket. */
void client_accept(struct client_home *h, int fd, const struct addr *peer);

#endif
