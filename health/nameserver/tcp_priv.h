/* A connection of a DNS client, between tcp.c (who may come, and who has to go) and tcp_client.c (what is said). */
#ifndef HEALTH_NAMESERVER_TCP_PRIV_H
#define HEALTH_NAMESERVER_TCP_PRIV_H

#include "base/list.h"
#include "base/log.h"
#include "base/sock.h"
#include "health/nameserver/tcp.h"

#define TCP_MAGIC        0x7c9d05a1u
#define TCP_CLIENT_MAGIC 0x7c9c11e7u

#define TCP_LENGTH_BYTES 2u
/* No query of ours comes near it; RFC 7766 asks nobody to take what he has no use for. */
#define TCP_QUERY_MAX_BYTES 4096u
#define TCP_IN_BYTES        16384u
#define TCP_OUT_BYTES       (2 * (TCP_LENGTH_BYTES + DNS_MESSAGE_BYTES))
#define TCP_MESSAGE_MS      5000 /* from its first byte to its last */

struct tcp {
    uint32_t magic;
    struct loop *loop;
    struct responder *responder;
    struct stats_block *block;
    tcp_batch_fn *on_batch;
    void *arg;
    struct tcp_limits limits;
    struct list listeners;
    struct list clients; /* who was served last stands last */
    size_t client_count;
    struct list gone; /* closed in this pass, freed at its end */
    struct later free_gone;
    struct map *per_address; /* number of connections by address */
    struct log_limit refusals, pauses;
    /* used by one connection at a time, and empty between two */
    uint8_t in[TCP_IN_BYTES];
    uint8_t out[TCP_OUT_BYTES];
};

struct tcp_client {
    uint32_t magic;
    struct list link;
    struct tcp *tcp;
    int fd;
    struct io io;
    struct timer deadline; /* for the next query, the rest of one, or for answers to be taken */
    struct addr peer;
    /* what did not become whole or did not go out; both NULL for most of the time */
    uint8_t *unread, *unsent;
    size_t unread_len, unsent_len, unsent_at;
};

/* The connection belongs to the loop from here on, and ends itself by tcp_forget(). Takes fd. */
void tcp_client_start(struct tcp *t, int fd, const struct addr *peer);
/* Closes it and puts it on no list; its memory stays for tcp_client_free(). */
void tcp_client_close(struct tcp_client *c);
void tcp_client_free(struct tcp_client *c);
/* In the middle of nothing: nobody loses anything when it is closed now. */
bool tcp_client_is_idle(const struct tcp_client *c);

/* tcp.c: the connection is closed and its place free; its memory goes at the end of the pass. */
void tcp_forget(struct tcp *t, struct tcp_client *c);

#endif
