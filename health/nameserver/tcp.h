/* DNS over TCP (RFC 7766): messages behind their length, any number on a connection, answered in the order in which
 * they came. A client who does not read what he asked for is not listened to until he does; one who stays silent, or
 * stops in the middle of a message, is closed. */
#ifndef HEALTH_NAMESERVER_TCP_H
#define HEALTH_NAMESERVER_TCP_H

#include "base/loop.h"
#include "base/stats.h"
#include "health/nameserver/responder.h"

struct tcp_limits {
    uint32_t connections; /* all together; when they are used up the one that is idle for longest makes room */
    uint32_t per_client;  /* of one address */
    uint32_t pipelined;   /* answers made before they are sent; at least 1 */
    int64_t idle_ms;      /* for the next query, and for an answer to be taken */
};

struct tcp;

/* Called before answers are made, for who keeps them up to date. */
typedef void tcp_batch_fn(void *arg);

struct tcp *tcp_create(struct loop *l, struct responder *responder, struct stats_block *block, tcp_batch_fn *on_batch,
                       void *arg);
void tcp_destroy(struct tcp **tp); /* closes everything */

/* Holds for the connections there are, too, as far as time goes; nobody is closed for a smaller number. */
void tcp_set_limits(struct tcp *t, const struct tcp_limits *limits);
/* Accepts on this listening socket (taken) from now on. */
void tcp_add(struct tcp *t, int fd, const char *address);
/* Accepts who waits on the socket of this address and closes it; its connections stay. */
void tcp_remove(struct tcp *t, const char *address);
size_t tcp_connection_count(const struct tcp *t);

#endif
