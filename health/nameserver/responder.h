/* One query in, one answer out, with what surrounds the pure answer (health/dns/answer.h): the client's address, a
 * random number, the limit on what one network is sent, and the counters. No socket and no clock of its own; nothing
 * is allocated and nothing waits. */
#ifndef HEALTH_NAMESERVER_RESPONDER_H
#define HEALTH_NAMESERVER_RESPONDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/stats.h"
#include "health/dns/answer.h"
#include "health/dns/limit.h"

#define RESPONDER_SEED_BYTES 8u

struct responder;

/* `seed` is random. `block` is where answers are counted. Answers nothing before it has a service. */
struct responder *responder_create(struct stats_block *block, const uint8_t seed[RESPONDER_SEED_BYTES]);
void responder_destroy(struct responder **rp);

/* From here on answers are made of these. All are borrowed until the next call; `limit` NULL: none. `steering` may be
 * changed by its owner between two answers. */
void responder_use(struct responder *r, const struct dns_service *service, const struct steering *steering,
                   struct limit *limit);

/* The time of the answers to come: monotonic, and wall clock. */
void responder_set_time(struct responder *r, int64_t now_ms, int64_t wall_ms);

/* Reads what a client sent, which stays borrowed until it is answered, and has what its answer needs fetched: best
 * while another one is still to be answered. */
void responder_read(const struct responder *r, struct query *q, const uint8_t *data, size_t len);
/* Answers what `client` (IPv4 or IPv6) sent into `out`; how many bytes go out, 0: nothing does. `cap_bytes` is at least
 * DNS_UDP_ANSWER_BYTES, for TCP DNS_MESSAGE_BYTES if the longest answers are to fit. */
size_t responder_answer(struct responder *r, const struct sockaddr *client, bool is_tcp, const struct query *q,
                        uint8_t *out, size_t cap_bytes);

#endif
