/* See the header. */
#include "health/nameserver/site.h"

#include "base/mem.h"

#define SITE_MAGIC 0x517e0d45u

static uint8_t digit_of(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* `digits` has been checked with the configuration. */
static void read_secret(const char *digits, uint8_t secret[COOKIE_SECRET_BYTES])
{
    for (size_t i = 0; i < COOKIE_SECRET_BYTES; i++)
        secret[i] = (uint8_t)(digit_of(digits[2 * i]) << 4 | digit_of(digits[2 * i + 1]));
}

static void make_cookies(struct site *s, const struct conf_dns *dns, const struct site_secrets *secrets)
{
    uint8_t secret[COOKIE_SECRET_BYTES];

    if (!dns->cookies)
        return;
    memcpy(secret, secrets->cookie, sizeof secret);
    if (strlen(dns->cookie_secret) == CONF_DNS_COOKIE_DIGITS)
        read_secret(dns->cookie_secret, secret);
    cookie_secrets_init(&s->cookies, secret);
    if (strlen(dns->cookie_previous) == CONF_DNS_COOKIE_DIGITS) {
        read_secret(dns->cookie_previous, secret);
        cookie_secrets_accept(&s->cookies, secret);
    }
    mem_wipe(secret, sizeof secret);
    s->service.cookies = &s->cookies;
    s->service.is_cookie_required = dns->cookie_required;
}

static struct limit *make_limit(const struct conf_dns_rate *rate, const uint8_t key[LIMIT_KEY_BYTES])
{
    struct limit_policy policy = {.burst_s = rate->burst_s, .slip = rate->slip, .prefixes = rate->prefixes};

    if (rate->answers == 0 && rate->nxdomain == 0 && rate->errors == 0)
        return NULL;
    policy.per_second[DNS_KIND_ANSWER] = rate->answers;
    policy.per_second[DNS_KIND_NODATA] = rate->answers;
    policy.per_second[DNS_KIND_REFERRAL] = rate->answers;
    policy.per_second[DNS_KIND_NXDOMAIN] = rate->nxdomain;
    policy.per_second[DNS_KIND_ERROR] = rate->errors;
    return limit_create(&policy, key);
}

struct site *site_create(struct conf *conf, const struct steering_table *table, const struct site_secrets *secrets,
                         uint32_t serial, char why[ZONE_CONF_WHY_BYTES])
{
    const struct conf_dns *dns = &conf->dns;
    struct zone_conf zone;
    struct site *s;

    if (!zone_conf_init(&zone, dns, serial, why))
        return NULL;
    OBJ_NEW(s, SITE_MAGIC);
    s->conf = conf_ref(conf);
    s->zone = zone;
    s->service.zone = zone.zone;
    const size_t nsid_len = strlen(dns->nsid);
    s->service.nsid_len = (uint8_t)(nsid_len < DNS_NSID_BYTES ? nsid_len : DNS_NSID_BYTES);
    memcpy(s->service.nsid, dns->nsid, s->service.nsid_len);
    make_cookies(s, dns, secrets);
    s->limit = make_limit(&dns->rate, secrets->limit);
    s->choices = choices_create(&s->zone, table, serial);
    return s;
}

void site_destroy(struct site **sp)
{
    struct site *s = *sp;

    CHECK_OBJ(s, SITE_MAGIC);
    choices_destroy(&s->choices);
    if (s->limit != NULL)
        limit_destroy(&s->limit);
    zone_conf_fini(&s->zone);
    mem_wipe(&s->cookies, sizeof s->cookies);
    conf_unref(&s->conf);
    OBJ_FREE(sp, SITE_MAGIC);
}
