/* The addresses of one name; see the header. */
#include "health/checker/addresses.h"

#include <string.h>

#include "base/mem.h"

void addresses_init(struct addresses *a, struct loop *l, struct resolver *r, addresses_fn *fn, void *arg)
{
    *a = (struct addresses){.resolver = r, .loop = l, .fn = fn, .arg = arg};
}

void addresses_fini(struct addresses *a)
{
    addresses_reset(a);
}

void addresses_reset(struct addresses *a)
{
    if (a->job != NULL)
        resolve_cancel(&a->job);
    a->is_waited_for = false;
    a->count = 0;
    a->at = 0;
    a->fresh_until_ms = 0;
}

static int64_t fresh_ms(uint32_t ttl_s)
{
    int64_t ttl_ms = (int64_t)ttl_s * 1000;
    return ttl_ms < ADDRESSES_TTL_MIN_MS   ? ADDRESSES_TTL_MIN_MS
           : ttl_ms > ADDRESSES_TTL_MAX_MS ? ADDRESSES_TTL_MAX_MS
                                           : ttl_ms;
}

/* Keeps the address in use when it is among the new ones: the order of answers rotates, probes should not. */
static void take(struct addresses *a, const struct addr *addrs, size_t count)
{
    struct addr used = a->count > 0 ? a->addrs[a->at] : (struct addr){.len = 0};

    a->count = count;
    a->at = 0;
    for (size_t i = 0; i < count; i++) {
        a->addrs[i] = addrs[i];
        if (used.len != 0 && addr_equal(&used, &addrs[i]))
            a->at = i;
    }
}

static void on_resolved(void *arg, enum err e, const struct addr *addrs, size_t count, uint32_t ttl_s)
{
    struct addresses *a = arg;
    bool is_waited_for = a->is_waited_for;

    a->job = NULL;
    a->is_waited_for = false;
    if (e == ERR_NONE)
        take(a, addrs, count);
    a->fresh_until_ms = loop_now_ms(a->loop) + (e == ERR_NONE ? fresh_ms(ttl_s) : ADDRESSES_RETRY_MS);
    if (is_waited_for)
        a->fn(a->arg, e);
}

bool addresses_want(struct addresses *a, const char *host, uint16_t port)
{
    bool is_stale = a->count == 0 || loop_now_ms(a->loop) >= a->fresh_until_ms;

    if (a->count == 0 && addr_from_ip(&a->addrs[0], host, port)) {
        a->count = 1;
        a->fresh_until_ms = INT64_MAX;
        return true;
    }
    if (is_stale && a->job == NULL)
        a->job = resolve_start(a->resolver, host, port, ADDRESSES_LOOKUP_MS, on_resolved, a);
    a->is_waited_for = a->count == 0;
    return a->count > 0;
}

void addresses_unwant(struct addresses *a)
{
    a->is_waited_for = false;
}

const struct addr *addresses_get(const struct addresses *a)
{
    ASSERT(a->count > 0);
    return &a->addrs[a->at];
}

void addresses_next(struct addresses *a)
{
    if (a->count > 0)
        a->at = (a->at + 1) % a->count;
}
