/* See the header. The random numbers need to be fast and different, not secret: they spread clients over addresses. */
#include "health/nameserver/responder.h"

#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"

#define RESPONDER_MAGIC 0x7e5b04d2u

struct responder {
    uint32_t magic;
    struct stats_block *block;
    uint64_t random;
    int64_t now_ms;
    uint32_t now_s; /* wall clock */
    const struct dns_service *service;
    const struct steering *steering;
    struct limit *limit;
};

static const enum stat_process kind_stats[DNS_KIND_COUNT] = {
    [DNS_KIND_NONE] = STAT_DNS_IGNORED,       [DNS_KIND_ANSWER] = STAT_DNS_ANSWERS,
    [DNS_KIND_NODATA] = STAT_DNS_NODATA,      [DNS_KIND_NXDOMAIN] = STAT_DNS_NXDOMAIN,
    [DNS_KIND_REFERRAL] = STAT_DNS_REFERRALS, [DNS_KIND_ERROR] = STAT_DNS_ERRORS,
};

struct responder *responder_create(struct stats_block *block, const uint8_t seed[RESPONDER_SEED_BYTES])
{
    struct responder *r;
    OBJ_NEW(r, RESPONDER_MAGIC);
    r->block = block;
    memcpy(&r->random, seed, sizeof r->random);
    return r;
}

void responder_destroy(struct responder **rp)
{
    OBJ_FREE(rp, RESPONDER_MAGIC);
}

void responder_use(struct responder *r, const struct dns_service *service, const struct steering *steering,
                   struct limit *limit)
{
    CHECK_OBJ(r, RESPONDER_MAGIC);
    r->service = service;
    r->steering = steering;
    r->limit = limit;
}

void responder_set_time(struct responder *r, int64_t now_ms, int64_t wall_ms)
{
    CHECK_OBJ(r, RESPONDER_MAGIC);
    r->now_ms = now_ms;
    r->now_s = (uint32_t)(wall_ms / 1000);
}

/* SplitMix64 (Steele, Lea, Flood 2014): a counter and a mixer. */
static uint32_t next_random(struct responder *r)
{
    uint64_t z = r->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(z >> 32);
}

static void set_address(struct dns_query_info *info, const struct sockaddr *client)
{
    if (client->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)client;
        info->address_len = 4;
        memcpy(info->address, &v4->sin_addr, 4);
    } else {
        const struct sockaddr_in6 *v6 = (const void *)client;
        info->address_len = 16;
        memcpy(info->address, &v6->sin6_addr, 16);
    }
}

static void count(struct responder *r, enum stat_process id)
{
    stat_add(&r->block->process[id], 1);
}

static void count_outcome(struct responder *r, const struct dns_outcome *o)
{
    if (o->rcode == DNS_RCODE_REFUSED)
        count(r, STAT_DNS_REFUSED);
    else
        count(r, kind_stats[o->kind]);
    if (o->rcode == DNS_RCODE_FORMERR)
        count(r, STAT_DNS_MALFORMED);
    if (o->is_truncated)
        count(r, STAT_DNS_TRUNCATED);
}

/* Over TCP and with a good cookie the client's address is its own, and nobody can be flooded with answers. */
static size_t limited(struct responder *r, const struct dns_query_info *info, const struct dns_outcome *o, uint8_t *out,
                      size_t len)
{
    if (r->limit == NULL || info->is_tcp || o->cookie == COOKIE_GOOD || len == 0)
        return len;
    switch (limit_judge(r->limit, info->address, info->address_len, o->kind, r->now_ms)) {
    case LIMIT_PASS:
        break;
    case LIMIT_DROP:
        count(r, STAT_DNS_RATE_DROPPED);
        return 0;
    case LIMIT_SLIP:
        count(r, STAT_DNS_RATE_SLIPPED);
        return dns_answer_slip(out, len, o);
    }
    return len;
}

void responder_read(const struct responder *r, struct query *q, const uint8_t *data, size_t len)
{
    CHECK_OBJ(r, RESPONDER_MAGIC);
    ASSERT(r->service != NULL);
    query_read(q, data, len);
    dns_foresee(r->service, q);
}

size_t responder_answer(struct responder *r, const struct sockaddr *client, bool is_tcp, const struct query *q,
                        uint8_t *out, size_t cap_bytes)
{
    struct dns_query_info info;
    struct dns_outcome outcome;

    CHECK_OBJ(r, RESPONDER_MAGIC);
    ASSERT(r->service != NULL);
    set_address(&info, client);
    info.is_tcp = is_tcp;
    info.now_s = r->now_s;
    info.random = next_random(r);
    count(r, is_tcp ? STAT_DNS_TCP_QUERIES : STAT_DNS_UDP_QUERIES);
    const size_t answer_len = dns_answer(r->service, r->steering, &info, q, out, cap_bytes, &outcome);
    count_outcome(r, &outcome);
    return limited(r, &info, &outcome, out, answer_len);
}
