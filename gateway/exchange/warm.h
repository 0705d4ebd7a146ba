/* Warming: what routes list (routes[].cache.warm) is fetched before anybody asks for it, and again before it stops
 * being fresh as long as it is asked for. One after the other, at the configuration's pace, and once for all gateways
 * that share a Redis, which is waited for at the start as long as a connection to it may take; a list of which nothing
 * is due costs a look per turn. */
#ifndef GATEWAY_EXCHANGE_WARM_H
#define GATEWAY_EXCHANGE_WARM_H

#include "gateway/exchange/exchange.h"

struct warm;

struct warm *warm_create(struct exchange_env *env); /* borrowed for life */
void warm_destroy(struct warm **wp);
/* Begins anew with the lists of a configuration that the rest of the process has taken (a reference is taken). */
void warm_take_conf(struct warm *w, const struct conf *c);

#endif
