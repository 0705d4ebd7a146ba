/* Token buckets, one for each client of a route, in memory that all workers share.
 *
 * A bucket is one word: the time at which it will be full again (the "generic cell rate algorithm"), beside a mark of
 * whose it is. A word is read, judged and swapped in one go, so that a worker that dies holds nothing up. A full bucket
 * needs no word at all, which is why the table may be small and fixed: it holds only clients that asked lately. */
#ifndef GATEWAY_RULES_RATE_H
#define GATEWAY_RULES_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sock.h"
#include "base/stats.h"
#include "conf/conf.h"

/* Whose bucket: of an address (IPv6: its /64), or of any text. */
uint64_t rate_key_of_address(const struct stats *shared, int route_slot, const struct addr *a);
uint64_t rate_key_of_text(const struct stats *shared, int route_slot, const char *text, size_t len);

/* Takes one from the bucket. False when it is empty: *retry_after_s is then when to come again, rounded up. */
bool rate_take(struct stats *shared, const struct conf_rate *rate, uint64_t key, int64_t now_ms,
               uint32_t *retry_after_s);

#endif
