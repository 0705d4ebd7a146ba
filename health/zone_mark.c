/* FNV-1a over everything in its order; see the header. What is hashed is bounded by what follows it: texts end with
 * their NUL, lists with their length. */
#include "health/zone_mark.h"

#include <stddef.h>

#include "health/steering.h"

#define FNV_BEGIN UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

static void add_number(uint64_t *hash, uint64_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 8)
        *hash = (*hash ^ (n >> shift & 0xff)) * FNV_PRIME;
}

/* NULL is another way to say "". */
static void add_text(uint64_t *hash, const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        *hash = (*hash ^ (uint8_t)*text) * FNV_PRIME;
    *hash *= FNV_PRIME;
}

static void add_texts(uint64_t *hash, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_text(hash, texts[i]);
    add_number(hash, count);
}

static void add_record(uint64_t *hash, const struct conf_dns_record *r)
{
    add_text(hash, r->name);
    add_number(hash, r->answer_count > 0 ? steering_id(r) : 0);
    add_number(hash, (uint64_t)r->ttl_ms);
    add_text(hash, r->cname);
    add_text(hash, r->alias);
    add_texts(hash, r->a, r->a_count);
    add_texts(hash, r->aaaa, r->aaaa_count);
    add_texts(hash, r->ns, r->ns_count);
    add_texts(hash, r->mx, r->mx_count);
    add_texts(hash, r->txt, r->txt_count);
    add_texts(hash, r->srv, r->srv_count);
    add_texts(hash, r->caa, r->caa_count);
    add_texts(hash, r->https, r->https_count);
    add_texts(hash, r->svcb, r->svcb_count);
}

uint64_t zone_mark(const struct conf_dns *d)
{
    uint64_t hash = FNV_BEGIN;

    add_text(&hash, d->zone);
    add_text(&hash, d->contact);
    add_texts(&hash, d->nameservers, d->nameserver_count);
    add_number(&hash, (uint64_t)d->ttl_ms);
    add_number(&hash, (uint64_t)d->negative_ttl_ms);
    add_number(&hash, (uint64_t)d->refresh_ms);
    add_number(&hash, (uint64_t)d->retry_ms);
    add_number(&hash, (uint64_t)d->expire_ms);
    for (size_t i = 0; i < d->record_count; i++)
        add_record(&hash, &d->records[i]);
    add_number(&hash, d->record_count);
    return hash != 0 ? hash : 1;
}
