/* A zone that never changes: built once from plain calls, read by every answer, replaced whole at a reload.
 *
 * Every name is a node in a hash table keyed by the lower-cased name: owners of records, and the empty ones between
 * them and the apex (RFC 8020). A node knows the delegation it lies under and the wildcard below it, so that a look-up
 * is one probe for a name that exists and one per missing label for one that does not (RFC 4592). Records are kept as
 * they travel behind an owner that points at the question, so that the usual answer is one copy.
 *
 * A *steered* name has candidates instead of addresses; which of them are answered is chosen from outside, by the
 * number of the set. A candidate is a list of addresses or a name. A name is answered as a CNAME where a CNAME may
 * stand, elsewhere (at the apex, beside other records, beside other candidates) by its addresses, which somebody
 * resolves and hands in. */
#ifndef HEALTH_DNS_ZONE_H
#define HEALTH_DNS_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/dns/rdata.h"
#include "health/dns/wire.h"

#define ZONE_WHY_BYTES      512u
#define ZONE_TTL_MAX_S      2147483647u /* RFC 2181 section 8 */
#define ZONE_CANDIDATES_MAX 32u         /* of one steered set: a choice is a bitmap */
#define ZONE_ADDRESSES_MAX  8u          /* of one candidate and family */
#define ZONE_OWNER_BYTES    2u          /* the pointer before every record of an RRset */

struct zone;
struct zone_draft;

struct zone_soa {
    const char *mname; /* the first nameserver, absolute */
    const char *rname; /* mail address or the name made of one */
    uint32_t serial;   /* at first; struct steering carries the one that is answered */
    uint32_t refresh_s, retry_s, expire_s;
    uint32_t minimum_s; /* how long "there is no such thing" may be believed (RFC 2308) */
    uint32_t ttl_s;
};

struct zone_candidate_text {
    const char *const *a; /* `a_count` IPv4 addresses */
    const char *const *aaaa;
    size_t a_count, aaaa_count;
    const char *cname; /* NULL, or instead of addresses: an absolute name */
};

/* ---- building ---- */
/* `apex` is absolute. Never NULL; a bad apex is told by the calls that follow. */
struct zone_draft *zone_begin(const char *apex, const struct zone_soa *soa);
/* `owner` is "@" or relative to the apex, or absolute with a dot at the end; `*` as its first label is a wildcard.
 * `text` as in rdata_parse(). False: not added, zone_draft_why() says why. */
bool zone_add(struct zone_draft *d, const char *owner, uint16_t type, uint32_t ttl_s, const char *text);
/* The number of the set, counted from 0 in the order of the calls; negative: not added. */
int zone_add_steered(struct zone_draft *d, const char *owner, const struct zone_candidate_text *candidates,
                     size_t count);
/* A set of the one candidate `to`, an absolute name, that is answered by addresses wherever it stands. */
int zone_add_alias(struct zone_draft *d, const char *owner, const char *to);
/* What was wrong with the last call that failed: "owner type: reason". Valid until the next call. */
const char *zone_draft_why(const struct zone_draft *d);
/* The zone, checked as a whole, and the draft is gone; or NULL with the reason in `why`, and the draft is gone too. */
struct zone *zone_finish(struct zone_draft **dp, char why[ZONE_WHY_BYTES]);
void zone_destroy(struct zone **zp);

/* ---- what answers are made from: set at zone_finish(), read only ---- */
struct zone_rrset {
    uint16_t type;
    uint16_t count;
    uint32_t ttl_s;
    uint32_t len;     /* of `wire` */
    uint32_t targets; /* for zone_targets() */
    uint8_t wire[];   /* records: pointer to the question, type, class, TTL, length, data not compressed */
};

struct zone_candidate {
    const struct dns_name *cname; /* NULL: addresses */
    uint8_t a_count, aaaa_count;
    uint8_t a[ZONE_ADDRESSES_MAX][4];
    uint8_t aaaa[ZONE_ADDRESSES_MAX][16];
};

struct zone_steered {
    uint32_t number;
    uint8_t candidate_count;
    bool must_flatten; /* no CNAME may stand here */
    struct zone_candidate candidate[];
};

/* A node stands at the beginning of a cache line, and its RRsets lie behind its name, each behind the other: all that
 * is read of a usual name are two lines that are its own. Never assigned as a whole: the name begins where the struct
 * would be padded. */
struct zone_node {
    const struct zone_steered *steered; /* or NULL */
    const struct zone_node *cut;        /* the delegation it lies at or under, below the apex; or NULL */
    const struct zone_node *wildcard;   /* the node *.name; or NULL */
    uint8_t rrset_count;
    uint8_t name_len;
    uint8_t name[]; /* in lower case, not compressed */
};
#define ZONE_RRSET_ALIGN 4u
_Static_assert(_Alignof(struct zone_rrset) <= ZONE_RRSET_ALIGN, "an RRset may stand there");
/* Where the RRset stands that follows what ends at `end`. */
static inline void *zone_rrset_after(const uint8_t *end)
{
    return (void *)(((uintptr_t)end + ZONE_RRSET_ALIGN - 1) & ~(uintptr_t)(ZONE_RRSET_ALIGN - 1));
}
/* For `rrset_count` steps. */
static inline const struct zone_rrset *zone_node_first(const struct zone_node *n)
{
    return zone_rrset_after(n->name + n->name_len);
}
static inline const struct zone_rrset *zone_node_next(const struct zone_rrset *set)
{
    return zone_rrset_after(set->wire + set->len);
}
const struct zone_rrset *zone_node_rrset(const struct zone_node *n, uint16_t type); /* or NULL */
/* True when something is there: an empty non-terminal has nothing, and is there all the same. */
bool zone_node_has_data(const struct zone_node *n);

enum zone_found {
    ZONE_FOUND_OUTSIDE = 1, /* not in this zone */
    ZONE_FOUND_NODE,        /* node: the name itself */
    ZONE_FOUND_WILDCARD,    /* node: the wildcard that stands for it */
    ZONE_FOUND_CUT,         /* node: the delegation at or above it */
    ZONE_FOUND_NOTHING,     /* there is no such name */
};
struct zone_lookup {
    enum zone_found found;
    const struct zone_node *node; /* NULL: outside or nothing */
};
struct zone_lookup zone_lookup(const struct zone *z, const struct dns_name *name);
/* Has what is read of that name fetched from where it is far from the processor, for a look-up that comes soon. */
void zone_fetch(const struct zone *z, const struct dns_name *name);

const struct dns_name *zone_apex(const struct zone *z);
const struct zone_rrset *zone_soa(const struct zone *z);
/* Per record the node its name leads to, or NULL; NULL instead of all for types without such names (rdata_target()). */
const struct zone_node *const *zone_targets(const struct zone *z, const struct zone_rrset *set);
uint32_t zone_negative_ttl_s(const struct zone *z); /* the lesser of the SOA's TTL and its minimum */
size_t zone_steered_count(const struct zone *z);
size_t zone_name_count(const struct zone *z); /* empty non-terminals included */

#endif
