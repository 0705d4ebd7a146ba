/* DNS over UDP (RFC 1035 section 4.2.1): packets are taken and answers sent in batches, between buffers that are there
 * once for all sockets. Nothing is allocated or copied per packet, and nothing waits: an answer the socket does not
 * take is dropped, for its client asks again. */
#ifndef HEALTH_NAMESERVER_UDP_H
#define HEALTH_NAMESERVER_UDP_H

#include "base/loop.h"
#include "base/stats.h"
#include "health/nameserver/responder.h"

struct udp;

/* Called before each batch, for who keeps answers up to date. */
typedef void udp_batch_fn(void *arg);

struct udp *udp_create(struct loop *l, struct responder *responder, struct stats_block *block, udp_batch_fn *on_batch,
                       void *arg);
void udp_destroy(struct udp **up); /* closes the sockets */

/* Answers on this bound socket (taken) from now on; through the sending one of sock_bind_udp_sender() of the same
 * address, when that came before. */
void udp_add(struct udp *u, int fd, const char *address);
/* Takes the sending socket of an address. */
void udp_add_sender(struct udp *u, int fd, const char *address);
/* Answers what waits on the socket of this address and closes it. */
void udp_remove(struct udp *u, const char *address);

#endif
