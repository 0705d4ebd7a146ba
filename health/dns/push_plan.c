/* Choices to record sets. The hard part is the same name seen from two sides: the apex of our zone is an ordinary name
 * in the zone above it, where a CNAME may stand, and a name of ours may be the apex of theirs. */
#include "health/dns/push_plan.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/mem.h"

#define PUSH_PLAN_MAGIC 0x9a51e7d4u
#define ADDRESSES_MAX   (CONF_DNS_ANSWERS_MAX * CONF_DNS_ADDRESSES_MAX) /* of one name and family */
#define FNV_BEGIN       UINT64_C(14695981039346656037)
#define FNV_PRIME       UINT64_C(1099511628211)

struct plan_row {
    const struct conf_dns_record *record;
    uint64_t id;       /* steering_id() */
    bool must_flatten; /* no CNAME may stand here */
    struct dns_name name;
};

struct push_plan {
    uint32_t magic;
    struct dns_name zone;
    size_t outside_count;
    size_t count;
    struct plan_row rows[CONF_DNS_STEERED_MAX];
};

/* One set and what it points into. */
struct plan_set {
    struct update_set set;
    struct dns_name cname;
    uint8_t a[ADDRESSES_MAX][4];
    uint8_t aaaa[ADDRESSES_MAX][16];
};

/* ---- the names ---- */

static bool is_same_name(const struct dns_name *a, const struct dns_name *b)
{
    return a->len == b->len && memcmp(a->wire, b->wire, a->len) == 0;
}

/* Other records at the same name. */
static bool stands_beside_others(const struct conf_dns *conf, const struct dns_name *apex,
                                 const struct conf_dns_record *record, const struct dns_name *name)
{
    for (size_t i = 0; i < conf->record_count; i++) {
        struct dns_name other;
        if (&conf->records[i] != record && dns_name_under(&other, conf->records[i].name, apex) == NULL &&
            is_same_name(&other, name))
            return true;
    }
    return false;
}

static void add_row(struct push_plan *p, const struct conf_dns *conf, const struct dns_name *apex,
                    const struct conf_dns_record *record)
{
    struct plan_row *row = &p->rows[p->count];

    if (p->count == CONF_DNS_STEERED_MAX || dns_name_under(&row->name, record->name, apex) != NULL)
        return;
    if (!dns_name_is_in(&row->name, &p->zone)) {
        p->outside_count++;
        return;
    }
    row->record = record;
    row->id = steering_id(record);
    row->must_flatten = is_same_name(&row->name, &p->zone) || stands_beside_others(conf, apex, record, &row->name);
    p->count++;
}

struct push_plan *push_plan_create(const struct conf_dns *conf, const char *zone)
{
    struct push_plan *p;
    struct dns_name apex;

    OBJ_NEW(p, PUSH_PLAN_MAGIC);
    const char *why = dns_name_of(&apex, conf->zone);
    if (why == NULL)
        why = dns_name_of(&p->zone, zone[0] != '\0' ? zone : conf->zone);
    for (size_t i = 0; i < conf->record_count && why == NULL; i++)
        if (conf->records[i].answer_count > 0)
            add_row(p, conf, &apex, &conf->records[i]);
    return p;
}

void push_plan_destroy(struct push_plan **pp)
{
    OBJ_FREE(pp, PUSH_PLAN_MAGIC);
}

const struct dns_name *push_plan_zone(const struct push_plan *p)
{
    CHECK_OBJ(p, PUSH_PLAN_MAGIC);
    return &p->zone;
}

size_t push_plan_count(const struct push_plan *p)
{
    CHECK_OBJ(p, PUSH_PLAN_MAGIC);
    return p->count;
}

size_t push_plan_outside_count(const struct push_plan *p)
{
    CHECK_OBJ(p, PUSH_PLAN_MAGIC);
    return p->outside_count;
}

/* ---- their sets ---- */

/* The same address twice is one record. */
static void add_a(struct plan_set *s, const uint8_t a[4])
{
    for (size_t i = 0; i < s->set.a_count; i++)
        if (memcmp(s->a[i], a, sizeof s->a[i]) == 0)
            return;
    if (s->set.a_count < ADDRESSES_MAX)
        memcpy(s->a[s->set.a_count++], a, sizeof s->a[0]);
}

static void add_aaaa(struct plan_set *s, const uint8_t aaaa[16])
{
    for (size_t i = 0; i < s->set.aaaa_count; i++)
        if (memcmp(s->aaaa[i], aaaa, sizeof s->aaaa[i]) == 0)
            return;
    if (s->set.aaaa_count < ADDRESSES_MAX)
        memcpy(s->aaaa[s->set.aaaa_count++], aaaa, sizeof s->aaaa[0]);
}

static void add_fixed(struct plan_set *s, const struct conf_dns_answer *answer)
{
    uint8_t address[16];

    for (size_t i = 0; i < answer->a_count; i++)
        if (inet_pton(AF_INET, answer->a[i], address) == 1)
            add_a(s, address);
    for (size_t i = 0; i < answer->aaaa_count; i++)
        if (inet_pton(AF_INET6, answer->aaaa[i], address) == 1)
            add_aaaa(s, address);
}

static void add_resolved(struct plan_set *s, const struct steering_alias *alias)
{
    if (alias == NULL || !alias->is_known)
        return;
    for (size_t i = 0; i < alias->a_count && i < ZONE_ADDRESSES_MAX; i++)
        add_a(s, alias->a[i]);
    for (size_t i = 0; i < alias->aaaa_count && i < ZONE_ADDRESSES_MAX; i++)
        add_aaaa(s, alias->aaaa[i]);
}

/* False: there is nothing to say about this name now. */
static bool make_set(const struct plan_row *row, const struct push_choice *c, struct plan_set *s)
{
    const struct conf_dns_record *record = row->record;
    const struct steering_row *decided = steering_find(c->record, row->id);
    const uint32_t all = (uint32_t)((UINT64_C(1) << record->answer_count) - 1);
    const uint32_t chosen = decided != NULL ? decided->chosen & all : 0;
    const bool is_one = (chosen & (chosen - 1)) == 0;

    if (chosen == 0)
        return false;
    s->set = (struct update_set){.name = &row->name, .ttl_s = decided->ttl_s, .a = s->a, .aaaa = s->aaaa};
    for (size_t i = 0; i < record->answer_count; i++) {
        const struct conf_dns_answer *answer = &record->answers[i];
        if ((chosen & UINT32_C(1) << i) == 0)
            continue;
        if (answer->cname[0] == '\0')
            add_fixed(s, answer);
        else if (row->must_flatten || c->must_flatten || !is_one)
            add_resolved(s, c->alias(c->arg, record, i));
        else if (dns_name_of(&s->cname, answer->cname) == NULL)
            s->set.cname = &s->cname;
    }
    return s->set.cname != NULL || s->set.a_count + s->set.aaaa_count > 0;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * FNV_PRIME;
    return hash;
}

/* Elements are summed up: resolvers hand addresses out in an order that changes. */
static uint64_t hash_set(const struct plan_set *s)
{
    const uint64_t name = hash_bytes(FNV_BEGIN, s->set.name->wire, s->set.name->len);
    uint64_t sum = name;

    if (s->set.cname != NULL)
        sum += hash_bytes(name, s->cname.wire, s->cname.len);
    for (size_t i = 0; i < s->set.a_count; i++)
        sum += hash_bytes(name, s->a[i], sizeof s->a[i]);
    for (size_t i = 0; i < s->set.aaaa_count; i++)
        sum += hash_bytes(name, s->aaaa[i], sizeof s->aaaa[i]);
    return sum;
}

uint64_t push_plan_digest(const struct push_plan *p, const struct push_choice *c)
{
    uint64_t digest = 0;
    bool is_any = false;

    CHECK_OBJ(p, PUSH_PLAN_MAGIC);
    for (size_t i = 0; i < p->count; i++) {
        struct plan_set s;
        if (make_set(&p->rows[i], c, &s)) {
            const uint64_t set = hash_set(&s);
            digest = hash_bytes(digest, &set, sizeof set);
            is_any = true;
        }
    }
    return !is_any ? 0 : digest != 0 ? digest : 1;
}

size_t push_plan_write(const struct push_plan *p, const struct push_choice *c, size_t from, struct update *u)
{
    CHECK_OBJ(p, PUSH_PLAN_MAGIC);
    for (size_t i = from; i < p->count; i++) {
        struct plan_set s;
        if (make_set(&p->rows[i], c, &s) && s.set.cname != NULL)
            update_require_room(u, &p->rows[i].name);
    }
    for (size_t i = from; i < p->count; i++) {
        struct plan_set s;
        if (make_set(&p->rows[i], c, &s) && !update_add(u, &s.set) && u->record_count > 0)
            return i;
    }
    return p->count;
}
