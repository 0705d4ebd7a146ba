/* Names to addresses without blocking the loop: c-ares behind one file (base/resolve.c). Hosts file first,
 * then DNS, as the system is configured. */
#ifndef BASE_RESOLVE_H
#define BASE_RESOLVE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/sock.h"

#define RESOLVE_ADDRS_MAX 16u

struct resolver;
struct resolve_job;

/* `addrs` is borrowed for the call. `ttl_s` is the smallest TTL seen, 0 when the hosts file answered. */
typedef void resolve_fn(void *arg, enum err e, const struct addr *addrs, size_t count, uint32_t ttl_s);

struct resolver *resolver_create(struct loop *l);
void resolver_destroy(struct resolver **rp); /* cancels what is under way */

/* Asks these name servers ("192.0.2.1:53,[2001:db8::1]:53") instead of the system's; false when the text does not
 * parse. */
bool resolver_set_servers(struct resolver *r, const char *servers);

/* Looks `host` up (numeric addresses answer too) and calls back exactly once, never before this returns,
 * ERR_TIMEOUT after `timeout_ms` at the latest, ERR_RESOLVE when there is no address. The job belongs to the resolver
 * and is gone when the callback returns. */
struct resolve_job *resolve_start(struct resolver *r, const char *host, uint16_t port, int64_t timeout_ms,
                                  resolve_fn *fn, void *arg);
void resolve_cancel(struct resolve_job **jp); /* no callback after this */

#endif
