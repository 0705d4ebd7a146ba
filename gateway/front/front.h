/* The front: listening sockets and the client connections that speak HTTP to them.
 *
 * A client is here from accept until its connection becomes a tunnel or is closed; each of its requests is an exchange.
 */
#ifndef GATEWAY_FRONT_FRONT_H
#define GATEWAY_FRONT_FRONT_H

#include <stdint.h>

#include "conf/conf.h"
#include "gateway/exchange/exchange.h"

struct front;

/* Called each time the last client that spoke HTTP is gone. */
typedef void front_empty_fn(void *arg);

struct front *front_create(struct exchange_env *env, front_empty_fn *on_empty,
                           void *arg); /* env is borrowed for life */
void front_destroy(struct front **fp); /* closes everybody */

struct secure_set;

/* The TLS contexts of the listeners by address, for new clients from now on; borrowed until it is replaced. Open
 * connections keep theirs. */
void front_secure(struct front *f, const struct secure_set *s);
/* Accepts on `fd` (taken) from now on; `address` names it. */
void front_listen(struct front *f, int fd, const char *address);
/* Closes the listeners whose address the configuration does not name any more. */
void front_retain(struct front *f, const struct conf *c);
/* Stops accepting, closes idle clients; those with a request under way are served, and closed after it. */
void front_drain(struct front *f);
uint32_t front_client_count(const struct front *f);

#endif
