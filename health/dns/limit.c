/* The table is rows of four buckets; a prefix and kind belongs to one row by its keyed hash. The whole hash stands in
 * the bucket instead of the prefix: 64 bits do not collide by chance, and nobody without the key can make them.
 * Tokens are thousandths, so that a millisecond of a rate of 1 per second is one of them and nothing is lost to
 * rounding. */
#include "health/dns/limit.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define LIMIT_MAGIC  0xd4517a31u
#define ROW_BUCKETS  4u
#define PREFIXES_MIN 16u
#define PREFIXES_MAX (1u << 22)
#define TOKEN        1000
#define IPV4_PREFIX  3u /* bytes: /24 */
#define IPV6_PREFIX  7u /* /56 */
#define RATE_MAX     1000000u

struct limit_bucket {
    uint64_t hash; /* 0: free */
    int64_t seen_ms;
    int64_t tokens; /* in thousandths */
    uint32_t over_count;
};

struct limit {
    uint32_t magic;
    uint32_t row_mask;
    struct limit_policy policy;
    uint8_t key[LIMIT_KEY_BYTES];
    struct limit_bucket *bucket;
};

struct limit *limit_create(const struct limit_policy *policy, const uint8_t key[LIMIT_KEY_BYTES])
{
    struct limit *l;
    uint32_t buckets = PREFIXES_MIN;

    OBJ_NEW(l, LIMIT_MAGIC);
    l->policy = *policy;
    for (size_t i = 0; i < DNS_KIND_COUNT; i++) {
        if (l->policy.per_second[i] > RATE_MAX)
            l->policy.per_second[i] = 0;
    }
    if (l->policy.burst_s == 0)
        l->policy.burst_s = 1;
    while (buckets < policy->prefixes && buckets < PREFIXES_MAX)
        buckets *= 2;
    memcpy(l->key, key, LIMIT_KEY_BYTES);
    l->row_mask = buckets / ROW_BUCKETS - 1;
    l->bucket = mem_alloc_array(buckets, sizeof *l->bucket);
    return l;
}

void limit_destroy(struct limit **lp)
{
    CHECK_OBJ(*lp, LIMIT_MAGIC);
    mem_wipe((*lp)->key, LIMIT_KEY_BYTES);
    mem_free((*lp)->bucket);
    OBJ_FREE(lp, LIMIT_MAGIC);
}

/* The bucket of the hash: its own, a free one, or that of the prefix that was quiet for longest. A new one is full. */
static struct limit_bucket *find_bucket(struct limit *l, uint64_t hash, int64_t full, int64_t now_ms)
{
    struct limit_bucket *row = &l->bucket[(hash >> 1 & l->row_mask) * ROW_BUCKETS]; /* its lowest bit is always set */
    struct limit_bucket *victim = row;

    for (size_t i = 0; i < ROW_BUCKETS; i++) {
        if (row[i].hash == hash)
            return &row[i];
        if (victim->hash != 0 && (row[i].hash == 0 || row[i].seen_ms < victim->seen_ms))
            victim = &row[i];
    }
    *victim = (struct limit_bucket){.hash = hash, .seen_ms = now_ms, .tokens = full};
    return victim;
}

enum limit_verdict limit_judge(struct limit *l, const uint8_t *address, size_t address_len, enum dns_kind kind,
                               int64_t now_ms)
{
    CHECK_OBJ(l, LIMIT_MAGIC);
    ASSERT(address_len == 4 || address_len == 16);
    const uint32_t rate = l->policy.per_second[kind];
    uint8_t hashed[1 + IPV6_PREFIX] = {(uint8_t)kind};

    if (rate == 0)
        return LIMIT_PASS;
    const size_t prefix = address_len == 4 ? IPV4_PREFIX : IPV6_PREFIX;
    memcpy(hashed + 1, address, prefix);
    const uint64_t hash = siphash24(l->key, hashed, 1 + prefix) | 1; /* the length is hashed too: families differ */
    const int64_t full = (int64_t)rate * l->policy.burst_s * TOKEN;
    struct limit_bucket *b = find_bucket(l, hash, full, now_ms);

    const int64_t passed_ms = now_ms > b->seen_ms ? now_ms - b->seen_ms : 0;
    if (passed_ms >= (int64_t)l->policy.burst_s * 1000)
        b->tokens = full;
    else
        b->tokens += passed_ms * rate;
    if (b->tokens > full)
        b->tokens = full;
    b->seen_ms = now_ms;
    if (b->tokens >= TOKEN) {
        b->tokens -= TOKEN;
        return LIMIT_PASS;
    }
    b->over_count++;
    return l->policy.slip > 0 && b->over_count % l->policy.slip == 0 ? LIMIT_SLIP : LIMIT_DROP;
}
