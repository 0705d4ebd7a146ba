/* The configuration of the DNS server, and of those who judge together. A part of conf/conf.h, whose rules about
 * strings and counts hold here. */
#ifndef CONF_CONF_DNS_H
#define CONF_CONF_DNS_H

#include "base/sock.h"
#include "conf/conf_cache.h"
#include "conf/conf_server.h"

enum conf_steer {
    STEER_FAILOVER = 0, /* everything that stands in the best tier that has something */
    STEER_ALL_HEALTHY,  /* everything that stands; the emergency tier when nothing else does */
    STEER_WEIGHTED      /* as failover, but one of them per query, by weight; weight 0 is not answered */
};
enum conf_resort {
    RESORT_ALL = 0,    /* every candidate */
    RESORT_EMERGENCY,  /* the emergency tier; every candidate when it is empty */
    RESORT_FAIL_STATIC /* the last good choice; every candidate when there was none */
};
enum conf_tsig { TSIG_HMAC_SHA256 = 0, TSIG_HMAC_SHA384, TSIG_HMAC_SHA512 };

#define CONF_TARGETS_POOL      "targets" /* no pool is called that: slots of targets are "targets/NAME" */
#define CONF_DNS_ANSWERS_MAX   32u       /* of one record: a choice is a bitmap */
#define CONF_DNS_ADDRESSES_MAX 8u        /* of one answer and family */
#define CONF_DNS_REQUIRES_MAX  8u
#define CONF_DNS_STEERED_MAX   64u /* records with answers */
#define CONF_DNS_PUSHES_MAX    8u
#define CONF_DNS_COOKIE_DIGITS 32u

/* One of the answers a steered record chooses from. */
struct conf_dns_answer {
    const char *target; /* slot name: "targets/NAME" or "pool/server"; "" = always answered, as one nobody has judged */
    const char **requires; /* slot names that have to stand as well */
    size_t require_count;
    enum conf_tier tier;
    uint32_t weight;
    const char **a; /* addresses, or a name */
    size_t a_count;
    const char **aaaa;
    size_t aaaa_count;
    const char *cname; /* "" = addresses */
};

/* Either steered (answers) or fixed (everything else): values of each type in presentation form. */
struct conf_dns_record {
    const char *name; /* "@", relative to the zone, or absolute with a dot at its end */
    struct conf_dns_answer *answers;
    size_t answer_count;
    enum conf_steer steer;
    enum conf_resort last_resort;
    int64_t ttl_min_ms, ttl_max_ms; /* steered */
    int64_t ttl_ms;                 /* fixed; 0 = the zone's */
    const char **a;
    size_t a_count;
    const char **aaaa;
    size_t aaaa_count;
    const char *cname; /* "" = none */
    const char *alias; /* a name whose addresses are answered, also at the apex; "" = none */
    const char **ns;
    size_t ns_count;
    const char **mx;
    size_t mx_count;
    const char **txt;
    size_t txt_count;
    const char **srv;
    size_t srv_count;
    const char **caa;
    size_t caa_count;
    const char **https;
    size_t https_count;
    const char **svcb;
    size_t svcb_count;
};

/* Somebody else's server that is told of changes (RFC 2136), signed with TSIG (RFC 8945). */
struct conf_dns_push {
    const char *server; /* host:port */
    const char *zone;   /* at that server */
    const char *key_name;
    enum conf_tsig key_algorithm;
    const char *key_secret; /* base64 */
    int64_t timeout_ms;
};

/* At most so many answers per second to one network (/24, /56), of each kind; 0 = no limit. */
struct conf_dns_rate {
    uint32_t answers, nxdomain, errors;
    uint32_t burst_s; /* so much of a second's worth may come at once, after a pause */
    uint32_t slip;    /* every so-manieth of those over the limit goes out truncated; 0 = none */
    uint32_t prefixes;
};

struct conf_address {
    const char *text;
    struct addr addr;
};

struct conf_dns {
    const char *zone;            /* "" = no DNS */
    struct conf_address *listen; /* UDP and TCP; none: nothing is answered, records are only pushed */
    size_t listen_count;
    const char **nameservers; /* absolute or below the zone */
    size_t nameserver_count;
    const char *contact; /* mail address */
    int64_t ttl_ms;
    int64_t negative_ttl_ms;
    int64_t refresh_ms, retry_ms, expire_ms; /* of the SOA, for secondaries */
    struct conf_dns_record *records;
    size_t record_count;
    const char *nsid;            /* "" = not told */
    bool cookies;                /* answered */
    bool cookie_required;        /* over UDP, of clients that speak them */
    const char *cookie_secret;   /* CONF_DNS_COOKIE_DIGITS hexadecimal digits; "" = made at start */
    const char *cookie_previous; /* accepted as well; "" = none */
    struct conf_dns_rate rate;
    struct {
        uint32_t connections, per_client;
        int64_t idle_ms;    /* between two queries; RFC 7766 section 6.2.3 */
        uint32_t pipelined; /* answers waiting for a slow client before no more is read */
    } tcp;
    struct conf_dns_push *pushes;
    size_t push_count;
};

/* Gateways and checkers that tell each other, through Redis, what they see. */
struct conf_quorum {
    const char *group;       /* those who judge together use the same */
    int64_t lifetime_ms;     /* of a view, and of a leader who falls silent */
    int64_t interval_ms;     /* between two exchanges while all is quiet */
    struct conf_redis redis; /* text "" = alone */
};

#endif
