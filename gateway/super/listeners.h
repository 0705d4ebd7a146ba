/* The listening sockets: for every address of the configuration one SO_REUSEPORT socket per worker, one for the admin
 * process, and for the DNS process two of UDP (one to send) and one of TCP per address. They belong to the supervisor
 * and outlive the processes that accept on them, so that clients who come while one is being restarted wait instead of
 * being refused.
 */
#ifndef GATEWAY_SUPER_LISTENERS_H
#define GATEWAY_SUPER_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

#define LISTENERS_ERROR_BYTES 256u

struct listeners;

struct listeners *listeners_create(void);
void listeners_destroy(struct listeners **lp); /* closes all */

/* Binds whatever `c` needs and is not bound yet. Workers whose bit (1 << index) is set in `away` get nothing: clients
 * who queue on a socket nobody accepts on wait in vain. On failure `error` says which address, and nothing has changed
 * but that workers who had lost their sockets may have them again. */
bool listeners_bind(struct listeners *l, const struct conf *c, uint64_t away, char error[LISTENERS_ERROR_BYTES]);
/* Closes whatever `c` does not need: addresses it does not name, sockets of workers beyond its count. */
void listeners_retain(struct listeners *l, const struct conf *c);
/* Closes the sockets of one worker, whose share of the clients then goes to the others. */
void listeners_close_worker(struct listeners *l, uint32_t index);
void listeners_close_all(struct listeners *l);

/* The socket for worker `index` on the address with this text, or -1; borrowed. */
int listeners_worker_fd(const struct listeners *l, const char *address, uint32_t index);
int listeners_admin_fd(const struct listeners *l, const char *address);
enum listeners_dns { LISTENERS_DNS_SENDER = 0, LISTENERS_DNS_UDP, LISTENERS_DNS_TCP, LISTENERS_DNS_COUNT };
int listeners_dns_fd(const struct listeners *l, const char *address, enum listeners_dns which);

#endif
