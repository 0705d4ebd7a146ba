/* One query, from its header to its answer.
 *
 * The state of it is one struct on the stack, most of which (the compression table) is never touched. Every section is
 * written straight into the answer; an RRset that does not fit is taken back whole. Room for the OPT record is set
 * aside before the first record, so that it always fits, and the counts are filled in last.
 *
 * The order in which a query is judged: can it be read; is it a query; is its EDNS one we speak; does its cookie hold;
 * is it about something we serve. A client is told as much as was understood of what it sent: its question as soon as
 * that could be read, an OPT as soon as it sent one. */
#include "health/dns/answer.h"

#include <string.h>

#include "base/assert.h"
#include "health/dns/edns.h"
#include "health/dns/query.h"
#include "health/steer.h"

#define QUESTION_FIXED  4u /* type and class */
#define SOA_SERIAL_BACK 20u
#define ANY_TTL_S       3600u
#define META_TYPE_FIRST 128u /* RFC 6895 section 3.1: from here to ANY are types of questions */
#define STEERED_MAX     (ZONE_CANDIDATES_MAX * ZONE_ADDRESSES_MAX)

enum section { QUESTION, ANSWER, AUTHORITY, ADDITIONAL, SECTIONS };

struct asking {
    const struct dns_service *service;
    const struct steering *steering;
    const struct dns_query_info *info;
    struct dns_outcome *outcome;
    enum dns_rcode rcode;
    bool is_authoritative;
    bool is_truncated;
    uint32_t ttl_cap_s; /* of a negative answer: not longer than the choice it depends on */
    uint16_t count[SECTIONS];
    uint8_t cookie[COOKIE_BYTES];
    const struct query *query;
    struct wire_writer w;
};

/* Whose records are written: the question itself, or a name of the zone. */
struct owner {
    const uint8_t *name; /* NULL: the question */
    size_t len;
};
static const struct owner the_question = {.name = NULL};

/* ---- records ---- */
static void put_owner(struct asking *q, struct owner owner)
{
    if (owner.name == NULL)
        wire_write_u16(&q->w, (uint16_t)(0xc000u | DNS_HEADER_BYTES));
    else
        wire_write_name(&q->w, owner.name, owner.len);
}

static void put_fixed(struct asking *q, uint16_t type, uint32_t ttl_s, uint16_t len)
{
    uint8_t *to = wire_write_room(&q->w, DNS_RR_FIXED_BYTES);
    if (to == NULL)
        return;
    wire_put_u16(to, type);
    wire_put_u16(to + 2, DNS_CLASS_IN);
    wire_put_u32(to + 4, ttl_s);
    wire_put_u16(to + 8, len);
}

static size_t name_len(const uint8_t *name)
{
    size_t len = 0;
    while (name[len] != 0)
        len += name[len] + 1u;
    return len + 1;
}

/* Data with names in it, compressed; its length is known afterwards. */
static void put_data(struct asking *q, uint16_t type, const uint8_t *data, size_t len)
{
    const struct rdata_shape shape = rdata_shape(type);
    const size_t begin = q->w.len;
    size_t at = shape.names_at;

    wire_write_bytes(&q->w, data, shape.names_at);
    for (size_t i = 0; i < shape.name_count; i++) {
        const size_t size = name_len(data + at);
        wire_write_name(&q->w, data + at, size);
        at += size;
    }
    wire_write_bytes(&q->w, data + at, len - at);
    if (!q->w.failed)
        wire_put_u16(q->w.data + begin - 2, (uint16_t)(q->w.len - begin));
}

/* One record of a zone, `rr` behind its owner pointer. */
static void put_record(struct asking *q, struct owner owner, const uint8_t *rr, uint32_t ttl_s)
{
    const uint16_t type = wire_get_u16(rr), len = wire_get_u16(rr + 8);

    put_owner(q, owner);
    put_fixed(q, type, ttl_s, len);
    put_data(q, type, rr + DNS_RR_FIXED_BYTES, len);
    if (type == DNS_TYPE_SOA && !q->w.failed)
        wire_put_u32(q->w.data + q->w.len - SOA_SERIAL_BACK, q->steering->serial);
}

/* Ends what began at `mark`: counted when it is whole, else taken back. */
static bool keep(struct asking *q, enum section section, size_t mark, size_t count)
{
    if (q->w.failed) {
        wire_write_rewind(&q->w, mark);
        return false;
    }
    q->count[section] = (uint16_t)(q->count[section] + count);
    return true;
}

static bool put_rrset(struct asking *q, enum section section, struct owner owner, const struct zone_rrset *set,
                      uint32_t ttl_s)
{
    const size_t mark = q->w.len;
    const uint8_t *rr = set->wire;

    if (owner.name == NULL && rdata_shape(set->type).name_count == 0) {
        wire_write_bytes(&q->w, set->wire, set->len);
        return keep(q, section, mark, set->count);
    }
    for (size_t i = 0; i < set->count; i++) {
        put_record(q, owner, rr + ZONE_OWNER_BYTES, ttl_s);
        rr += ZONE_OWNER_BYTES + DNS_RR_FIXED_BYTES + wire_get_u16(rr + ZONE_OWNER_BYTES + 8);
    }
    return keep(q, section, mark, set->count);
}

/* What is part of the answer and does not fit is announced. */
static void must_put(struct asking *q, enum section section, struct owner owner, const struct zone_rrset *set,
                     uint32_t ttl_s)
{
    if (!put_rrset(q, section, owner, set, ttl_s))
        q->is_truncated = true;
}

/* ---- steered names ---- */
struct choice {
    const struct steering_set *set;
    uint32_t chosen;
    const struct dns_name *cname; /* what is answered is this one name; NULL: addresses */
};

static struct choice choose(const struct asking *q, const struct zone_steered *steered)
{
    struct choice c = {.set = &q->steering->sets[steered->number]};
    const uint32_t all = (uint32_t)((UINT64_C(1) << steered->candidate_count) - 1);

    c.chosen = (c.set->chosen & all) != 0 ? c.set->chosen & all : all;
    if (c.set->weights != NULL)
        c.chosen = UINT32_C(1) << steer_pick(c.chosen, c.set->weights, q->info->random);
    if (!steered->must_flatten && (c.chosen & (c.chosen - 1)) == 0)
        c.cname = steered->candidate[__builtin_ctz(c.chosen)].cname;
    return c;
}

struct addresses {
    const uint8_t *address[STEERED_MAX];
    size_t count;
    uint32_t ttl_s;
    bool is_unknown; /* a name that was chosen is not resolved yet */
};

static void add_addresses(struct addresses *a, const uint8_t *from, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++, from += size) {
        bool is_new = true;
        for (size_t k = 0; is_new && k < a->count; k++)
            is_new = memcmp(a->address[k], from, size) != 0;
        if (is_new)
            a->address[a->count++] = from;
    }
}

/* The addresses of all that is chosen, of one family. */
static void gather(struct addresses *a, const struct zone_steered *steered, const struct choice *c, uint16_t type)
{
    const size_t size = type == DNS_TYPE_A ? 4 : 16;

    a->count = 0;
    a->ttl_s = c->set->ttl_s;
    a->is_unknown = false;
    for (uint32_t left = c->chosen; left != 0; left &= left - 1) {
        const unsigned i = (unsigned)__builtin_ctz(left);
        const struct zone_candidate *fixed = &steered->candidate[i];
        const struct steering_alias *alias = c->set->aliases != NULL ? &c->set->aliases[i] : NULL;

        if (fixed->cname == NULL) {
            if (type == DNS_TYPE_A)
                add_addresses(a, fixed->a[0], fixed->a_count, size);
            else
                add_addresses(a, fixed->aaaa[0], fixed->aaaa_count, size);
        } else if (alias == NULL || !alias->is_known) {
            a->is_unknown = true;
        } else {
            ASSERT(alias->a_count <= ZONE_ADDRESSES_MAX && alias->aaaa_count <= ZONE_ADDRESSES_MAX);
            if (type == DNS_TYPE_A)
                add_addresses(a, alias->a[0], alias->a_count, size);
            else
                add_addresses(a, alias->aaaa[0], alias->aaaa_count, size);
            if (alias->ttl_s < a->ttl_s)
                a->ttl_s = alias->ttl_s;
        }
    }
}

/* In another order for every query: many clients take the first one. */
static bool put_addresses(struct asking *q, enum section section, struct owner owner, const struct addresses *a,
                          uint16_t type)
{
    const size_t mark = q->w.len;
    const size_t size = type == DNS_TYPE_A ? 4 : 16;

    for (size_t i = 0; i < a->count; i++) {
        put_owner(q, owner);
        put_fixed(q, type, a->ttl_s, (uint16_t)size);
        wire_write_bytes(&q->w, a->address[(i + q->info->random) % a->count], size);
    }
    return keep(q, section, mark, a->count);
}

/* ---- additional addresses ---- */
static bool put_node_addresses(struct asking *q, const struct zone_node *n, struct owner owner)
{
    static const uint16_t families[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
    bool is_whole = true;

    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const struct zone_rrset *set = zone_node_rrset(n, families[i]);
        if (set != NULL)
            is_whole = put_rrset(q, ADDITIONAL, owner, set, set->ttl_s) && is_whole;
        if (n->steered == NULL)
            continue;
        const struct choice c = choose(q, n->steered);
        struct addresses a;
        gather(&a, n->steered, &c, families[i]);
        if (c.cname == NULL)
            is_whole = put_addresses(q, ADDITIONAL, owner, &a, families[i]) && is_whole;
    }
    return is_whole;
}

/* Addresses of the names the records lead to, each once. Records of `n` that lead to it themselves lead to `owner`, the
 * name a wildcard stands for. `cut`: the delegation they are glue of, or NULL. Glue below the cut is part of a referral
 * (RFC 9471), everything else is a courtesy. */
static void put_targets(struct asking *q, const struct zone_node *n, struct owner owner, const struct zone_rrset *set,
                        const struct zone_node *cut)
{
    const struct zone_node *const *targets = zone_targets(q->service->zone, set);

    if (targets == NULL || q->is_truncated)
        return;
    for (size_t i = 0; i < set->count; i++) {
        const struct zone_node *target = targets[i];
        bool is_new = target != NULL;
        for (size_t k = 0; is_new && k < i; k++)
            is_new = targets[k] != target;
        if (!is_new)
            continue;
        const struct owner own = {.name = target->name, .len = target->name_len};
        if (!put_node_addresses(q, target, target == n ? owner : own) && cut != NULL && target->cut == cut)
            q->is_truncated = true;
    }
}

/* ---- what a look-up comes to ---- */
static void negative(struct asking *q, enum dns_kind kind)
{
    const struct zone_rrset *soa = zone_soa(q->service->zone);
    const struct dns_name *apex = zone_apex(q->service->zone);
    uint32_t ttl_s = zone_negative_ttl_s(q->service->zone);

    if (q->ttl_cap_s < ttl_s)
        ttl_s = q->ttl_cap_s;
    q->outcome->kind = kind;
    q->rcode = kind == DNS_KIND_NXDOMAIN ? DNS_RCODE_NXDOMAIN : DNS_RCODE_NOERROR;
    must_put(q, AUTHORITY, (struct owner){.name = apex->wire, .len = apex->len}, soa, ttl_s);
}

static void referral(struct asking *q, const struct zone_node *cut)
{
    const struct zone_rrset *ns = zone_node_rrset(cut, DNS_TYPE_NS);
    const struct owner owner = {.name = cut->name, .len = cut->name_len};

    /* Whether the delegation is signed is this side's to say (RFC 4035 section 3.1.4.1): it is not. */
    if (q->query->qtype == DNS_TYPE_DS && q->query->qname.len == cut->name_len) {
        negative(q, DNS_KIND_NODATA);
        return;
    }
    q->outcome->kind = DNS_KIND_REFERRAL;
    q->is_authoritative = q->count[ANSWER] > 0;
    must_put(q, AUTHORITY, owner, ns, ns->ttl_s);
    put_targets(q, cut, owner, ns, cut);
}

static void put_cname(struct asking *q, struct owner owner, const struct dns_name *to, uint32_t ttl_s)
{
    const size_t mark = q->w.len;

    put_owner(q, owner);
    put_fixed(q, DNS_TYPE_CNAME, ttl_s, 0);
    put_data(q, DNS_TYPE_CNAME, to->wire, to->len);
    if (!keep(q, ANSWER, mark, 1))
        q->is_truncated = true;
}

static void answer_any(struct asking *q, const struct zone_node *n)
{
    static const uint8_t hinfo[] = "\007RFC8482"; /* and an empty string: the NUL is its length */
    const struct zone_rrset *cname = zone_node_rrset(n, DNS_TYPE_CNAME);
    const size_t mark = q->w.len;

    if (cname != NULL) {
        must_put(q, ANSWER, the_question, cname, cname->ttl_s);
        return;
    }
    if (n->steered != NULL) {
        const struct choice c = choose(q, n->steered);
        if (c.cname != NULL) {
            put_cname(q, the_question, c.cname, c.set->ttl_s);
            return;
        }
    }
    if (!zone_node_has_data(n)) {
        negative(q, DNS_KIND_NODATA);
        return;
    }
    put_owner(q, the_question);
    put_fixed(q, DNS_TYPE_HINFO, ANY_TTL_S, sizeof hinfo);
    wire_write_bytes(&q->w, hinfo, sizeof hinfo);
    if (!keep(q, ANSWER, mark, 1))
        q->is_truncated = true;
}

/* Answers from a steered name. The name to go on with, or NULL. */
static const uint8_t *answer_steered(struct asking *q, const struct zone_node *n, struct owner owner)
{
    const struct choice c = choose(q, n->steered);
    struct addresses a;

    if (c.set->ttl_s < q->ttl_cap_s)
        q->ttl_cap_s = c.set->ttl_s;
    if (c.cname != NULL) {
        put_cname(q, owner, c.cname, c.set->ttl_s);
        return q->query->qtype != DNS_TYPE_CNAME ? c.cname->wire : NULL;
    }
    if (q->query->qtype != DNS_TYPE_A && q->query->qtype != DNS_TYPE_AAAA) {
        negative(q, DNS_KIND_NODATA);
        return NULL;
    }
    gather(&a, n->steered, &c, q->query->qtype);
    if (a.ttl_s < q->ttl_cap_s)
        q->ttl_cap_s = a.ttl_s;
    if (a.count > 0) {
        if (!put_addresses(q, ANSWER, owner, &a, q->query->qtype))
            q->is_truncated = true;
    } else if (a.is_unknown) {
        q->rcode = DNS_RCODE_SERVFAIL;
        q->is_authoritative = false;
        q->outcome->kind = DNS_KIND_ERROR;
    } else {
        negative(q, DNS_KIND_NODATA);
    }
    return NULL;
}

/* Answers from a name that is there. The name to go on with, or NULL. */
static const uint8_t *answer_node(struct asking *q, const struct zone_node *n, struct owner owner)
{
    const struct zone_rrset *set = zone_node_rrset(n, q->query->qtype);

    if (q->query->qtype == DNS_TYPE_ANY) {
        answer_any(q, n);
        return NULL;
    }
    if (set != NULL) {
        must_put(q, ANSWER, owner, set, set->ttl_s);
        put_targets(q, n, owner, set, NULL);
        return NULL;
    }
    set = zone_node_rrset(n, DNS_TYPE_CNAME);
    if (set != NULL) {
        must_put(q, ANSWER, owner, set, set->ttl_s);
        return set->wire + ZONE_OWNER_BYTES + DNS_RR_FIXED_BYTES;
    }
    if (n->steered != NULL)
        return answer_steered(q, n, owner);
    negative(q, DNS_KIND_NODATA);
    return NULL;
}

static void refuse(struct asking *q, enum dns_rcode rcode)
{
    q->rcode = rcode;
    q->is_authoritative = false;
    q->outcome->kind = DNS_KIND_ERROR;
}

/* True when the chain has been at this name: choices and wildcards can close a circle no check of the zone sees. */
static bool is_circle(const struct asking *q, const uint8_t *const *chain, size_t count, const struct dns_name *name)
{
    if (name->len == q->query->qname.len && memcmp(name->wire, q->query->qname.wire, name->len) == 0)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (name_len(chain[i]) == name->len && memcmp(chain[i], name->wire, name->len) == 0)
            return true;
    }
    return false;
}

/* Follows the question through the zone. */
static void resolve(struct asking *q)
{
    struct zone_lookup l = zone_lookup(q->service->zone, &q->query->qname);
    struct owner owner = the_question;
    const uint8_t *chain[DNS_CHASE_MAX];
    struct dns_name name;

    q->is_authoritative = true;
    q->outcome->kind = DNS_KIND_ANSWER;
    for (unsigned chased = 0; chased < DNS_CHASE_MAX && !q->is_truncated; chased++) {
        const uint8_t *next = NULL;
        switch (l.found) {
        case ZONE_FOUND_OUTSIDE:
            if (chased == 0)
                refuse(q, DNS_RCODE_REFUSED);
            break;
        case ZONE_FOUND_CUT:
            referral(q, l.node);
            break;
        case ZONE_FOUND_NOTHING:
            negative(q, DNS_KIND_NXDOMAIN);
            break;
        case ZONE_FOUND_NODE:
        case ZONE_FOUND_WILDCARD:
            next = answer_node(q, l.node, owner);
            break;
        }
        if (next == NULL)
            break;
        dns_name_from_wire(&name, next);
        if (is_circle(q, chain, chased, &name))
            break;
        chain[chased] = next;
        owner = (struct owner){.name = next, .len = name.len};
        l = zone_lookup(q->service->zone, &name);
    }
}

/* ---- judging it ---- */
/* What keeps the question from being looked up; NOERROR: nothing. */
static enum dns_rcode judge_question(const struct asking *q)
{
    if (q->query->qtype == DNS_TYPE_OPT)
        return DNS_RCODE_FORMERR;
    if (q->query->qclass != DNS_CLASS_IN || q->query->qtype == DNS_TYPE_AXFR || q->query->qtype == DNS_TYPE_IXFR)
        return DNS_RCODE_REFUSED;
    if (q->query->qtype >= META_TYPE_FIRST && q->query->qtype < DNS_TYPE_ANY)
        return DNS_RCODE_NOTIMP;
    return DNS_RCODE_NOERROR;
}

static enum dns_rcode judge(struct asking *q)
{
    const struct dns_service *s = q->service;
    enum cookie_verdict *cookie = &q->outcome->cookie;

    if (q->query->edns.is_broken)
        return DNS_RCODE_FORMERR;
    if (q->query->edns.version > 0)
        return DNS_RCODE_BADVERS;
    if (s->cookies != NULL && q->query->edns.cookie != NULL)
        *cookie = cookie_judge(s->cookies, q->query->edns.cookie, q->query->edns.cookie_len, q->info->address,
                               q->info->address_len, q->info->now_s, q->cookie);
    if (*cookie == COOKIE_MALFORMED)
        return DNS_RCODE_FORMERR;
    if (s->is_cookie_required && !q->info->is_tcp && (*cookie == COOKIE_CLIENT || *cookie == COOKIE_BAD))
        return DNS_RCODE_BADCOOKIE;
    /* A query for a cookie alone has no question (RFC 7873 section 5.4). */
    if (!q->query->has_question)
        return *cookie != COOKIE_NONE ? DNS_RCODE_NOERROR : DNS_RCODE_FORMERR;
    return judge_question(q);
}

/* ---- the answer around it ---- */
static size_t answer_room(const struct asking *q, size_t cap_bytes)
{
    size_t room = DNS_MESSAGE_BYTES;

    if (!q->info->is_tcp) {
        room = q->query->edns.is_there ? q->query->edns.payload_bytes : DNS_UDP_BYTES;
        room = room < DNS_UDP_BYTES ? DNS_UDP_BYTES : room > DNS_UDP_ANSWER_BYTES ? DNS_UDP_ANSWER_BYTES : room;
    }
    return room < cap_bytes ? room : cap_bytes;
}

static void begin_answer(struct asking *q, uint8_t *out, size_t room)
{
    wire_write_begin(&q->w, out, room);
    if (q->query->has_question) {
        wire_write_bytes(&q->w, q->query->data, DNS_HEADER_BYTES + q->query->qname.len + QUESTION_FIXED);
        wire_write_known(&q->w, &q->query->qname, DNS_HEADER_BYTES);
        q->count[QUESTION] = 1;
    } else {
        wire_write_bytes(&q->w, q->query->data, DNS_HEADER_BYTES);
    }
    q->outcome->head_len = (uint16_t)q->w.len;
}

static size_t end_answer(struct asking *q, const struct edns_answer *edns)
{
    uint16_t flags = (uint16_t)(DNS_FLAG_QR | (q->query->flags & (DNS_OPCODE_MASK | DNS_FLAG_RD)));

    if (q->query->edns.is_there) {
        const size_t before = q->w.len;
        q->w.cap_bytes += q->outcome->opt_len;
        edns_write(&q->w, edns);
        ASSERT(q->w.len - before == q->outcome->opt_len);
        q->count[ADDITIONAL]++;
    }
    ASSERT(!q->w.failed);
    flags |= (uint16_t)((q->is_authoritative ? DNS_FLAG_AA : 0) | (q->is_truncated ? DNS_FLAG_TC : 0));
    wire_put_u16(q->w.data + 2, (uint16_t)(flags | (q->rcode & DNS_RCODE_MASK)));
    for (size_t i = 0; i < SECTIONS; i++)
        wire_put_u16(q->w.data + 4 + 2 * i, q->count[i]);
    q->outcome->rcode = (uint16_t)q->rcode;
    q->outcome->qtype = q->query->has_question ? q->query->qtype : 0;
    q->outcome->is_truncated = q->is_truncated;
    return q->w.len;
}

void dns_foresee(const struct dns_service *service, const struct query *query)
{
    if (query->verdict == QUERY_READ && query->has_question)
        zone_fetch(service->zone, &query->qname);
}

size_t dns_answer(const struct dns_service *service, const struct steering *steering, const struct dns_query_info *info,
                  const struct query *query, uint8_t *out, size_t cap_bytes, struct dns_outcome *outcome)
{
    struct asking q; /* not zeroed: the writer's table is a KiB */

    ASSERT(cap_bytes >= DNS_UDP_BYTES);
    ASSERT(steering->set_count >= zone_steered_count(service->zone));
    *outcome = (struct dns_outcome){.kind = DNS_KIND_NONE};
    if (query->verdict == QUERY_IGNORED)
        return 0;
    q.service = service;
    q.steering = steering;
    q.info = info;
    q.outcome = outcome;
    q.query = query;
    q.rcode = DNS_RCODE_NOERROR;
    q.is_authoritative = q.is_truncated = false;
    q.ttl_cap_s = UINT32_MAX;
    memset(q.count, 0, sizeof q.count);
    const enum dns_rcode rcode = query->verdict == QUERY_READ      ? judge(&q)
                                 : query->verdict == QUERY_UNKNOWN ? DNS_RCODE_NOTIMP
                                                                   : DNS_RCODE_FORMERR;

    struct edns_answer edns = {.payload_bytes = DNS_UDP_ANSWER_BYTES, .wants_dnssec = query->edns.wants_dnssec};
    edns.cookie = outcome->cookie >= COOKIE_CLIENT ? q.cookie : NULL;
    edns.nsid = service->nsid;
    edns.nsid_len = query->edns.wants_nsid ? service->nsid_len : 0;
    outcome->opt_len = query->edns.is_there ? (uint16_t)edns_answer_len(&edns) : 0;
    begin_answer(&q, out, answer_room(&q, cap_bytes) - outcome->opt_len);
    if (rcode != DNS_RCODE_NOERROR)
        refuse(&q, rcode);
    else if (query->has_question)
        resolve(&q);
    else
        outcome->kind = DNS_KIND_ANSWER;
    edns.rcode = (uint16_t)q.rcode;
    return end_answer(&q, &edns);
}

size_t dns_answer_slip(uint8_t *out, size_t len, const struct dns_outcome *outcome)
{
    const size_t opt_len = outcome->opt_len;

    ASSERT(outcome->head_len >= DNS_HEADER_BYTES && outcome->head_len + opt_len <= len);
    memmove(out + outcome->head_len, out + len - opt_len, opt_len);
    out[2] |= DNS_FLAG_TC >> 8;
    memset(out + 6, 0, 6);
    out[11] = opt_len > 0;
    return outcome->head_len + opt_len;
}
