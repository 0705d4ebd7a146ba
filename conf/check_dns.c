/* The zone: rules over several keys, as far as they have a place in the file. What a name server makes of the zone as
 * a whole (delegations, names beside a CNAME, the form of values) is judged by the zone itself, in health/dns. */
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "conf/build.h"
#include "conf/value.h"

#define COUNT_OF(a)      (sizeof(a) / sizeof((a)[0]))
#define SECRET_BYTES_MAX 512u
/* The defaults: a dump has every key. */
#define TTL_MIN_USUAL_MS 5000
#define TTL_MAX_USUAL_MS 60000

/* ---- records ---- */

/* The absolute form of a record's name, without the dot at its end; in lower case as both parts are. */
static const char *full_name(struct build *b, const char *name)
{
    const char *zone = b->conf->dns.zone;
    const size_t len = strlen(name), zone_len = strlen(zone);
    const size_t bare_len = zone_len > 0 && zone[zone_len - 1] == '.' ? zone_len - 1 : zone_len;
    if (strcmp(name, "@") == 0)
        return arena_strndup(b->scratch, zone, bare_len);
    if (len > 0 && name[len - 1] == '.')
        return arena_strndup(b->scratch, name, len - 1);
    return arena_printf(b->scratch, "%s.%.*s", name, (int)bare_len, zone);
}

static bool is_below(const char *name, const char *zone)
{
    const size_t len = strlen(name), zone_len = strlen(zone);
    return len >= zone_len && strcmp(name + len - zone_len, zone) == 0 &&
           (len == zone_len || name[len - zone_len - 1] == '.');
}

static void check_name(struct build *b, const struct conf_dns_record *r)
{
    const char *zone = full_name(b, "@");
    const size_t len = strlen(r->name);
    if (r->name[0] == '\0' || zone[0] == '\0')
        return;
    if (!is_below(full_name(b, r->name), zone))
        build_complain(b, r, &r->name, "name", "\"%s\" is not in the zone, expected a name below %s", r->name, zone);
    else if (r->name[len - 1] != '.' && is_below(r->name, zone))
        build_complain(b, r, &r->name, "name",
                       "\"%s\" would be below the zone and have its name twice, expected it with a dot at its end",
                       r->name);
}

/* Each with whether there is any. */
#define FIXED_KEYS 10u
static size_t fixed_uses(const struct conf_dns_record *r, struct check_use uses[FIXED_KEYS])
{
    const struct check_use all[FIXED_KEYS] = {
        {&r->a, "a", r->a_count > 0},           {&r->aaaa, "aaaa", r->aaaa_count > 0},
        {&r->cname, "cname", r->cname[0] != 0}, {&r->alias, "alias", r->alias[0] != 0},
        {&r->ns, "ns", r->ns_count > 0},        {&r->mx, "mx", r->mx_count > 0},
        {&r->txt, "txt", r->txt_count > 0},     {&r->srv, "srv", r->srv_count > 0},
        {&r->caa, "caa", r->caa_count > 0},     {&r->https, "https", r->https_count > 0},
    };
    size_t count = 0;
    memcpy(uses, all, sizeof all);
    for (size_t i = 0; i < FIXED_KEYS; i++)
        count += all[i].is_set;
    return count + (r->svcb_count > 0);
}

/* A key with a value that was complained about is there as well. */
static bool has_broken_value(struct build *b, const struct conf_dns_record *r, const struct check_use *uses)
{
    bool is_broken = build_is_broken(b, &r->answers) || build_is_broken(b, &r->svcb);
    for (size_t i = 0; i < FIXED_KEYS; i++)
        is_broken = is_broken || build_is_broken(b, uses[i].member);
    return is_broken;
}

static void check_fixed(struct build *b, const struct conf_dns_record *r, const struct check_use *uses, size_t count)
{
    const struct check_use steering[] = {{&r->steer, "steer", r->steer != STEER_FAILOVER},
                                         {&r->last_resort, "last_resort", r->last_resort != RESORT_ALL},
                                         {&r->ttl_min_ms, "ttl_min", r->ttl_min_ms != TTL_MIN_USUAL_MS},
                                         {&r->ttl_max_ms, "ttl_max", r->ttl_max_ms != TTL_MAX_USUAL_MS}};
    if (has_broken_value(b, r, uses))
        return;
    check_unused(b, r, steering, COUNT_OF(steering), "answers");
    if (count == 0)
        build_complain(b, r, NULL, "answers", "is missing, expected it or values such as a, cname or txt");
    if (r->cname[0] != '\0' && count > 1)
        build_complain(b, r, &r->cname, "cname", "has no use beside other values, expected it alone");
    else if (r->alias[0] != '\0' && (r->a_count > 0 || r->aaaa_count > 0))
        build_complain(b, r, &r->alias, "alias", "has no use beside addresses, expected one or the other");
}

/* ---- answers ---- */

static void check_answer(struct build *b, const struct conf_dns_record *r, const struct conf_dns_answer *a)
{
    const bool has_addresses = a->a_count > 0 || a->aaaa_count > 0;
    const bool is_broken = build_is_broken(b, &a->a) || build_is_broken(b, &a->aaaa) || build_is_broken(b, &a->cname);
    if (has_addresses && a->cname[0] != '\0')
        build_complain(b, a, &a->cname, "cname", "has no use beside addresses, expected one or the other");
    else if (!has_addresses && a->cname[0] == '\0' && !is_broken)
        build_complain(b, a, NULL, "a", "is missing, expected a, aaaa or cname");
    check_slot(b, a, &a->target, "target");
    for (size_t i = 0; i < a->require_count; i++)
        check_slot(b, a, &a->requires[i], "requires");
    if (a->weight != 1 && r->steer != STEER_WEIGHTED && !build_is_broken(b, &r->steer))
        build_complain(b, a, &a->weight, "weight", "has no use with this steer, expected steer: weighted with it");
}

static void check_answers(struct build *b, const struct conf_dns_record *r, const struct check_use *uses, size_t count)
{
    uint32_t weights = 0;
    if (count > 0)
        for (size_t i = 0; i < FIXED_KEYS; i++)
            if (uses[i].is_set)
                build_complain(b, r, uses[i].member, uses[i].key,
                               "has no use beside answers, expected it in an item of its own");
    if (r->ttl_ms != 0)
        build_complain(b, r, &r->ttl_ms, "ttl", "has no use with answers, expected ttl_min and ttl_max");
    check_at_most(b, r, &r->ttl_min_ms, "ttl_min", &r->ttl_max_ms, "ttl_max");
    for (size_t i = 0; i < r->answer_count; i++) {
        check_answer(b, r, &r->answers[i]);
        weights += r->answers[i].weight;
    }
    if (weights == 0)
        build_complain(b, r, &r->answers, "answers", "have no weight at all, expected one with weight: 1 or more");
}

/* Two lists to choose from for one name would be two choices. */
static void check_twice(struct build *b, size_t index)
{
    const struct conf_dns *d = &b->conf->dns;
    const char *name = full_name(b, d->records[index].name);
    for (size_t i = 0; i < index; i++)
        if (d->records[i].answer_count > 0 && d->records[i].name[0] != '\0' &&
            strcmp(full_name(b, d->records[i].name), name) == 0) {
            build_complain(b, &d->records[index], &d->records[index].name, "name",
                           "\"%s\" has answers on line %u already, expected them in one list", d->records[index].name,
                           build_line(b, &d->records[i]));
            return;
        }
}

static void check_records(struct build *b)
{
    const struct conf_dns *d = &b->conf->dns;
    size_t steered_count = 0;
    for (size_t i = 0; i < d->record_count; i++) {
        const struct conf_dns_record *r = &d->records[i];
        struct check_use uses[FIXED_KEYS];
        const size_t count = fixed_uses(r, uses);
        check_name(b, r);
        if (r->answer_count == 0) {
            check_fixed(b, r, uses, count);
            continue;
        }
        check_answers(b, r, uses, count);
        if (r->name[0] != '\0')
            check_twice(b, i);
        if (++steered_count == CONF_DNS_STEERED_MAX + 1)
            build_complain(b, r, &r->answers, "answers",
                           "are those of one record too many, expected at most %u with them", CONF_DNS_STEERED_MAX);
    }
}

/* ---- the server ---- */

static void check_addresses(struct build *b)
{
    const struct conf *c = b->conf;
    const struct conf_dns *d = &c->dns;
    for (size_t i = 0; i < d->listen_count; i++) {
        const struct conf_address *a = &d->listen[i];
        const char *other = NULL;
        for (size_t k = 0; k < i && other == NULL; k++)
            if (check_is_clash(&a->addr, &d->listen[k].addr))
                other = arena_printf(b->scratch, "%s beside it", d->listen[k].text);
        for (size_t k = 0; k < c->listen_count && other == NULL; k++)
            if (check_is_clash(&a->addr, &c->listen[k].addr))
                other = arena_printf(b->scratch, "the listener %s on line %u", c->listen[k].text,
                                     build_line(b, &c->listen[k]));
        if (other == NULL && check_is_clash(&a->addr, &c->admin.addr))
            other = arena_printf(b->scratch, "admin.address %s", c->admin.text);
        if (other != NULL)
            build_complain(b, d, a, "listen", "%s clashes with %s, expected another address", a->text, other);
    }
}

static void check_secret(struct build *b, const char *const *secret, const char *key)
{
    if ((*secret)[0] != '\0' && (strlen(*secret) != CONF_DNS_COOKIE_DIGITS ||
                                 strspn(*secret, "0123456789abcdefABCDEF") != CONF_DNS_COOKIE_DIGITS))
        build_complain(b, &b->conf->dns, secret, key, "is no such secret, expected %u hexadecimal digits",
                       CONF_DNS_COOKIE_DIGITS);
}

static void check_cookies(struct build *b)
{
    const struct conf_dns *d = &b->conf->dns;
    const struct check_use uses[] = {{&d->cookie_required, "cookie_required", d->cookie_required},
                                     {&d->cookie_secret, "cookie_secret", d->cookie_secret[0] != '\0'},
                                     {&d->cookie_previous, "cookie_previous", d->cookie_previous[0] != '\0'}};
    check_secret(b, &d->cookie_secret, "cookie_secret");
    check_secret(b, &d->cookie_previous, "cookie_previous");
    if (!d->cookies && !build_is_broken(b, &d->cookies))
        check_unused(b, d, uses, COUNT_OF(uses), "cookies: true");
    else if (d->cookie_previous[0] != '\0' && d->cookie_secret[0] == '\0' && !build_is_broken(b, &d->cookie_secret))
        check_unused(b, d, &uses[2], 1, "cookie_secret");
}

static void check_server(struct build *b)
{
    const struct conf_dns *d = &b->conf->dns;
    const char *at = strchr(d->contact, '@');
    check_addresses(b);
    check_cookies(b);
    if (d->listen_count > 0 && d->nameserver_count == 0 && !build_is_broken(b, &d->nameservers))
        build_complain(b, d, &d->nameservers, "nameservers",
                       "is missing, expected the names of those that answer for the zone");
    if (d->listen_count == 0 && d->push_count == 0 && !build_is_broken(b, &d->listen) &&
        !build_is_broken(b, &d->pushes))
        build_complain(b, d, &d->zone, "zone", "is told to nobody, expected listen or push with it");
    if (at == NULL || at == d->contact || at[1] == '\0' || strchr(at + 1, '@') != NULL)
        build_complain(b, d, &d->contact, "contact", "\"%s\" is no address, expected name@host", d->contact);
    check_at_most(b, d, &d->refresh_ms, "refresh", &d->expire_ms, "expire");
}

/* ---- others that are told ---- */

static void check_pushes(struct build *b)
{
    const struct conf_dns *d = &b->conf->dns;
    for (size_t i = 0; i < d->push_count; i++) {
        const struct conf_dns_push *p = &d->pushes[i];
        uint8_t key[BASE64_ROOM(SECRET_BYTES_MAX)];
        size_t key_len = 0;
        if (p->key_secret[0] != '\0' &&
            (!base64_decode(p->key_secret, strlen(p->key_secret), key, &key_len) || key_len == 0))
            build_complain(b, p, &p->key_secret, "key_secret", "is not base64, expected the key as its server has it");
        mem_wipe(key, sizeof key);
        for (size_t k = 0; k < i && p->server[0] != '\0'; k++)
            if (strcmp(p->server, d->pushes[k].server) == 0 && strcmp(p->zone, d->pushes[k].zone) == 0)
                build_complain(b, p, &p->server, "server",
                               "%s is also told on line %u, expected another server or zone", p->server,
                               build_line(b, &d->pushes[k]));
    }
}

void check_dns(struct build *b)
{
    const struct conf_dns *d = &b->conf->dns;
    if (b->kind.expansion->is_off || build_is_broken(b, &d->zone))
        return;               /* sealed: judged before, and everything is written there */
    if (d->zone[0] == '\0') { /* one that is empty is there, for an environment without DNS */
        if (d->listen_count > 0 || d->record_count > 0 || d->push_count > 0 || d->nameserver_count > 0)
            build_missing(b, d, SECTION_DNS, &d->zone, "zone");
        return;
    }
    check_server(b);
    check_records(b);
    check_pushes(b);
}
