/* Response rate limiting: what one network may be sent per second, so that this server is no use for flooding it.
 *
 * One token bucket per client prefix (/24, /56) and kind of answer, in a table of fixed size that is never larger than
 * it was made: a new prefix takes the place of the one of its row that was quiet for longest. Of what is over the limit
 * every `slip`th goes out truncated, so that a real client in the flooded network can come by TCP; the rest is dropped.
 * For UDP only; a client with a good cookie is not limited, the caller does not ask. */
#ifndef HEALTH_DNS_LIMIT_H
#define HEALTH_DNS_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "health/dns/answer.h"

#define LIMIT_KEY_BYTES 16u

struct limit_policy {
    uint32_t per_second[DNS_KIND_COUNT]; /* by enum dns_kind; 0: no limit */
    uint32_t burst_s;                    /* a quiet prefix may have so many seconds' worth at once; at least 1 */
    uint32_t slip;                       /* every so-manieth goes out truncated; 0: none, 1: all */
    uint32_t prefixes;                   /* room for so many at once, rounded up to a power of two */
};

enum limit_verdict { LIMIT_PASS = 1, LIMIT_DROP, LIMIT_SLIP };

struct limit;
/* `key` is random: who knows it can choose prefixes that share a row. */
struct limit *limit_create(const struct limit_policy *policy, const uint8_t key[LIMIT_KEY_BYTES]);
void limit_destroy(struct limit **lp);
/* Counts one answer to this client and says what becomes of it. `now_ms` is monotonic. */
enum limit_verdict limit_judge(struct limit *l, const uint8_t *address, size_t address_len, enum dns_kind kind,
                               int64_t now_ms);

#endif
