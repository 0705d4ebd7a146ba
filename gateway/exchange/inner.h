/* An exchange without a client: what the cache asks an origin for. It begins where others pick a server, and tells its
 * fetch what others tell their clients. */
#ifndef GATEWAY_EXCHANGE_INNER_H
#define GATEWAY_EXCHANGE_INNER_H

#include "gateway/exchange/exchange_priv.h"

struct inner_start {
    const struct exchange *of;       /* on whose behalf; nothing of it is kept */
    const struct cache_entry *known; /* whose validators go along; NULL: none */
    const struct requester_ops *ops;
    struct fetch *fetch;
};

/* Makes it; *xp is NULL again when it is over. Its request is that of `of`, but for what is not part of the key: no
 * other field, parameter or spelling of the host reaches the origin. */
void inner_create(const struct inner_start *o, struct exchange **xp);
/* Asks. */
void inner_run(struct exchange *x);

#endif
