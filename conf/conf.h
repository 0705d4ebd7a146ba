/* The configuration: one const, ref-counted tree, made from a YAML file in one go and never changed after.
 *
 * A reload makes a new tree; whoever still works under the old one holds a reference. Fields are documented, with
 * bounds and defaults, in the schema table (conf/schema.c), from which conf/reference.md is generated. Strings are
 * never NULL unless said so ("" when absent). Counts belong to the array above them. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/event.h"
#include "base/log.h"
#include "base/sock.h"
#include "base/tls.h"

enum conf_scheme { SCHEME_NONE = 0, SCHEME_WS, SCHEME_WSS, SCHEME_HTTP, SCHEME_HTTPS, SCHEME_TCP };
enum conf_tier { TIER_PRIMARY = 0, TIER_BACKUP, TIER_EMERGENCY, TIER_COUNT };
enum conf_balance { BALANCE_ROUND_ROBIN = 0, BALANCE_LEAST_CONNECTIONS, BALANCE_HASH };
enum conf_hash_of { HASH_OF_IP = 0, HASH_OF_HEADER, HASH_OF_QUERY };
enum conf_check_type {
    CHECK_NONE = 0,
    CHECK_TCP,
    CHECK_TLS,
    CHECK_HTTP,
    CHECK_WEBSOCKET,
    CHECK_REDIS,
    CHECK_DNS,
    CHECK_COMMAND
};
enum conf_dns_expect { DNS_EXPECT_ANSWER = 0, DNS_EXPECT_NOERROR, DNS_EXPECT_NXDOMAIN, DNS_EXPECT_ANY };
enum conf_speak { SPEAK_NOTHING = 0, SPEAK_PING, SPEAK_PHOENIX };
enum conf_ws_protocol { WS_PROTOCOL_OPAQUE = 0 };
enum conf_over { OVER_AUTO = 0, OVER_H1, OVER_H2 }; /* which HTTP is spoken to a server */
enum conf_access_format { ACCESS_FORMAT_EVENT = 0, ACCESS_FORMAT_JSON, ACCESS_FORMAT_COMBINED };
enum conf_access_query { ACCESS_QUERY_MASKED = 0, ACCESS_QUERY_WHOLE, ACCESS_QUERY_NONE };
/* off: the fields pass like any other; continue: a trace that is there goes on; start: and one begins where there is
 * none. */
enum conf_trace_mode { TRACE_OFF = 0, TRACE_CONTINUE, TRACE_START };
enum conf_trace_from { TRACE_FROM_ANYONE = 0, TRACE_FROM_TRUSTED };
enum conf_journal_sync { JOURNAL_SYNC_SECOND = 0, JOURNAL_SYNC_EACH, JOURNAL_SYNC_NEVER };
enum conf_alert_form { ALERT_FORM_GENERIC = 0, ALERT_FORM_SLACK, ALERT_FORM_PAGERDUTY };
enum conf_starttls { STARTTLS_REQUIRED = 0, STARTTLS_OFF };
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
enum conf_host_header { HOST_HEADER_CLIENT = 0, HOST_HEADER_UPSTREAM, HOST_HEADER_LITERAL };

/* A file named in the configuration: its path (for messages and -T) and its content (what is used). */
struct conf_file {
    const char *path; /* "" when not given */
    const char *text; /* NULL when not given */
};

struct conf_url {
    const char *text; /* as written */
    enum conf_scheme scheme;
    const char *host; /* name or numeric address without brackets */
    uint16_t port;
    const char *authority; /* both, as a Host field has them: without the scheme's own port */
    const char *path;      /* "" or "/prefix" without trailing slash */
    bool is_tls;
};

#define CONF_FLAP_CHANGES_MAX      32u
#define CONF_STATUSES_MAX          8u
#define CONF_EXPECT_HEADERS_MAX    8
#define CONF_COMMAND_ARGUMENTS_MAX 16

struct conf_pair {
    const char *name;
    const char *value;
};

/* Statuses of HTTP: any of these ranges. */
struct conf_statuses {
    uint32_t count;
    struct {
        uint32_t min, max;
    } range[CONF_STATUSES_MAX];
};
bool conf_statuses_have(const struct conf_statuses *s, uint32_t status);

struct conf_check {
    enum conf_check_type type; /* http and websocket use TLS when the server's url does */
    const char *path;          /* with query */
    const char *host;          /* Host header; "" = the server's */
    uint16_t port;             /* 0 = the server's */
    int64_t interval_ms;
    int64_t interval_undecided_ms; /* 0 = a quarter of the interval */
    int64_t timeout_ms;
    uint32_t rise, fall;
    uint32_t jitter_percent;
    int64_t hold_ms;       /* a state lasts at least that long */
    int64_t fail_back_ms;  /* of answers, before a server that was down is up */
    uint32_t flap_changes; /* 0 = no such rule */
    int64_t flap_window_ms, flap_quiet_ms;
    int64_t degraded_over_ms; /* mean latency; 0 = never */
    /* http */
    struct conf_statuses expect_statuses;
    struct conf_pair *expect_headers; /* name, and a text its value contains; "*": any */
    size_t expect_header_count;
    const char *expect_body; /* "" = whatever it is */
    enum conf_over http;     /* which HTTP is spoken; OVER_AUTO: what TLS agrees on, HTTP/1.1 without TLS */
    /* websocket */
    enum conf_speak speak;    /* what to say after the upgrade */
    const char *canary_topic; /* phoenix: a broadcast on it has to reach the peer; "" = none */
    const char *canary_peer;  /* "pool/server" */
    /* over TLS */
    int64_t expiry_degraded_ms, expiry_down_ms;
    /* redis */
    const char *redis_user, *redis_password;
    /* dns */
    const char *dns_name;
    uint32_t dns_record; /* the number of the type */
    enum conf_dns_expect dns_expect;
    /* command */
    const char **command;
    size_t command_count;
};

#define CONF_CANARIES_MAX 8

/* Hosts that tell whether the gateway itself is cut off. */
struct conf_canaries {
    const char **addresses; /* host:port */
    size_t address_count;
    uint32_t share_percent; /* of servers that do not answer, before they are asked */
    int64_t timeout_ms;
};

struct conf_server_tls {
    struct conf_file ca, cert, key;
    const char *server_name; /* "" = the url's host */
    bool verify;
};

struct conf_server {
    const char *name;
    const char *slot_name; /* "pool/server" */
    struct conf_url url;
    const char *region;
    enum conf_tier tier;
    uint32_t weight;
    uint32_t max_connections; /* over all workers; 0 = no limit */
    bool drain;               /* configured drain: no new tunnels */
    struct conf_server_tls tls;
    struct conf_check check; /* the pool's with the server's own keys on top */
};

struct conf_pool {
    const char *name;
    enum conf_balance balance;
    enum conf_hash_of hash_of;
    const char *hash_name;      /* header, in lower case, or query parameter */
    int64_t connect_timeout_ms; /* TCP and TLS of one attempt */
    int64_t upgrade_timeout_ms; /* from request sent to response head, one attempt */
    int64_t failover_timeout_ms;
    int64_t first_byte_timeout_ms;    /* from request sent to response head, one attempt; not for WebSockets */
    int64_t between_bytes_timeout_ms; /* no byte moved where one could */
    int64_t request_timeout_ms;       /* the whole request; 0 = none */
    uint32_t max_retries;
    uint32_t retry_budget_percent; /* retries as a share of requests ... */
    uint32_t retry_floor_per_s;    /* ... and this many whatever the share */
    enum conf_over http;
    uint32_t keepalive_count; /* idle connections kept per server and worker; 0 = none */
    int64_t keepalive_ms;
    uint32_t keepalive_request_count; /* after so many a connection is closed; 0 = no limit */
    uint32_t circuit_failures;        /* 0 = no circuit */
    int64_t circuit_open_ms;
    uint32_t circuit_half_open_count;
    int64_t slow_start_ms;   /* 0 = off */
    bool fail_open;          /* with no healthy server at all, try the unhealthy ones */
    struct conf_check check; /* what the servers' checks start from */
    struct conf_server *servers;
    size_t server_count;
};

/* permessage-deflate between the clients of a route and the gateway. */
struct conf_compression {
    bool is_enabled;
    bool keeps_context; /* from message to message */
    uint32_t window_bits;
    uint32_t level;
    uint32_t min_bytes; /* shorter messages are not compressed */
};

/* Which pages of other origins may use a route (Fetch standard, "CORS protocol"). */
struct conf_cors {
    const char **origins; /* names, "*." before a host, or "*" alone; none: no CORS rules */
    size_t origin_count;
    const char **methods;
    size_t method_count;
    const char **headers; /* of requests; "*" alone: whatever is asked for */
    size_t header_count;
    const char **expose; /* of answers */
    size_t expose_count;
    bool credentials;
    int64_t max_age_ms;
    const char *methods_text, *headers_text, *expose_text; /* the lists as fields have them; "" when empty */
};

enum conf_rate_per { RATE_PER_IP = 0, RATE_PER_HEADER, RATE_PER_CLAIM };
struct conf_rate {
    enum conf_rate_per per;
    const char *name;  /* header (lower case) or claim */
    uint32_t requests; /* in `every`; 0: no limit */
    int64_t every_ms;
    uint32_t burst; /* resolved: never 0 with a limit */
};

/* name: value, in the order of the file. A name with several values stands there once for each, in a row. */
/* Edits to the fields of a head. */
struct conf_edits {
    struct conf_pair *set;
    size_t set_count;
    struct conf_pair *add;
    size_t add_count;
    const char **remove;
    size_t remove_count;
};

/* What a route answers while it is taken out of service. */
struct conf_maintenance {
    bool enabled;
    uint32_t status;
    int64_t retry_after_ms;   /* 0 = none */
    const char *body;         /* "" = made for the client: JSON, HTML or text */
    const char *content_type; /* of body */
    struct cidr *allow;       /* clients that pass nevertheless */
    size_t allow_count;
};

enum conf_jwt_algorithm { JWT_HS256 = 0, JWT_RS256, JWT_ES256 };
struct conf_jwt { /* one of secret, public_key, jwks_file and jwks_pool: where the keys come from; none: no tokens */
    const char *secret;
    struct conf_file public_key; /* PEM */
    struct conf_file jwks_file;  /* RFC 7517 */
    const char *jwks_pool;
    const char *jwks_path;
    int64_t jwks_refresh_ms;
    uint32_t algorithms; /* bit 1 << enum conf_jwt_algorithm; resolved: never 0 with keys */
    const char *header;  /* lower case; "" = none */
    const char *query;   /* parameter; "" = none */
    const char *cookie;  /* "" = none */
    bool optional;       /* a request without token passes, without claims */
    int64_t leeway_ms;
    int64_t grace_ms;           /* of WebSockets, beyond exp */
    struct conf_pair *required; /* claim: value; several values of one claim: any of them; "*": any at all */
    size_t required_count;
    struct conf_pair *forward; /* claim: header (lower case) */
    size_t forward_count;
    struct conf_file revoked; /* lines "jti:..." and "sub:..." */
};

enum conf_cache_policy { CACHE_OFF = 0, CACHE_STALE_WHILE_REVALIDATE, CACHE_NETWORK_FIRST, CACHE_FIRST };
enum conf_cache_scope { CACHE_SCOPE_PUBLIC = 0, CACHE_SCOPE_TOKEN, CACHE_SCOPE_CLAIMS };
/* What the origin, or the client, says and the route does not heed: bits of conf_cache_route.ignore. */
enum conf_cache_ignore {
    CACHE_IGNORE_NO_STORE = 0,
    CACHE_IGNORE_PRIVATE,
    CACHE_IGNORE_NO_CACHE,
    CACHE_IGNORE_MUST_REVALIDATE,
    CACHE_IGNORE_SET_COOKIE,    /* the field is dropped from what is stored */
    CACHE_IGNORE_AUTHORIZATION, /* RFC 9111 section 3.5 */
    CACHE_IGNORE_COOKIE,        /* a request with a Cookie is as good as one without */
    CACHE_IGNORE_REQUEST        /* the client's Cache-Control and Pragma */
};
enum conf_cache_compress { CACHE_COMPRESS_GZIP = 1, CACHE_COMPRESS_BR, CACHE_COMPRESS_ZSTD }; /* enum cache_coding */
/* Times of -1: what the origin says. */
struct conf_cache_route {
    enum conf_cache_policy policy;
    enum conf_cache_scope scope;
    const char **claims; /* paths, as in jwt.require; with scope: claims */
    size_t claim_count;
    const char **headers; /* lower case: part of the key */
    size_t header_count;
    bool sorts_query;
    const char **keep_query; /* none: all */
    size_t keep_query_count;
    const char **drop_query; /* a name, or a beginning with * at its end */
    size_t drop_query_count;
    bool post;           /* POST is a query, told apart by the hash of its body */
    uint64_t body_bytes; /* ... of so much at most */
    int64_t fresh_ms;
    int64_t stale_ms;
    int64_t error_ms; /* stale_if_error */
    int64_t down_ms;  /* stale_if_down */
    int64_t negative_ms;
    bool heuristic;
    uint32_t ignore;    /* bit 1 << enum conf_cache_ignore */
    int64_t timeout_ms; /* network-first: how long the network is waited for */
    int64_t wait_ms;    /* how long a request waits for what another one fetches */
    const char **tags;
    size_t tag_count;
    bool purges_on_write; /* a successful write through the route purges its tags */
    uint32_t compress;    /* bit 1 << enum conf_cache_compress */
    uint64_t compress_min_bytes;
    const char **warm; /* targets: path and query */
    size_t warm_count;
    const char *warm_as; /* scheme://host[:port] under which clients ask for these */
};

struct conf_redis {
    const char *text; /* the url as written, with its password: never shown; "" = no Redis */
    enum conf_redis_scheme { REDIS_TCP = 0, REDIS_TLS, REDIS_UNIX } scheme;
    const char *host; /* or the path of the socket */
    uint16_t port;
    uint32_t database;
    const char *username; /* "" = none; what the url has, else the keys of their own */
    const char *password;
    const char *prefix;
    enum conf_redis_mode { REDIS_SINGLE = 0, REDIS_SENTINEL, REDIS_CLUSTER } mode;
    const char *master; /* sentinel: the name it is known by */
    const char **nodes; /* further sentinels or cluster nodes: host:port */
    size_t node_count;
    const char *sentinel_password;
    struct conf_server_tls tls;
    int64_t timeout_ms; /* of a command */
    int64_t connect_timeout_ms;
    uint32_t circuit_failures;
    int64_t circuit_open_ms;
};

struct conf_route {
    const char *name; /* given, or host + path */
    const char *host; /* "" = any; "*.example.com" = one or more labels */
    const char *path; /* prefix on segment borders unless it ends in "/" */
    size_t pool;      /* index */
    enum conf_ws_protocol protocol;
    enum conf_over ws_upstream; /* how WebSockets travel to the server */
    int64_t idle_timeout_ms;    /* 0 = none; nothing in either direction */
    int64_t max_lifetime_ms;    /* 0 = none */
    uint64_t max_message_bytes;
    bool check_utf8;
    uint64_t buffer_bytes; /* high watermark of each direction */
    struct conf_compression compression;
    uint32_t max_connections; /* open WebSockets, over all workers; 0 = no limit */
    uint32_t max_per_client;  /* per client address; 0 = no limit */
    uint64_t max_body_bytes;  /* of a request; 0 = no limit */
    uint64_t replay_bytes;    /* of a request's body, kept to send them again */
    bool retry_with_key;      /* a request with an Idempotency-Key is repeatable, whatever its method */

    const char *strip_prefix;          /* comes off the path; "" = nothing */
    const char *add_prefix;            /* goes before it; "" = nothing */
    const char *host_header;           /* client, upstream, or the host itself */
    enum conf_host_header host_policy; /* from host_header */
    struct conf_edits request_edits;
    struct conf_edits answer_edits;
    struct conf_maintenance maintenance;
    const char **methods; /* none: all */
    size_t method_count;
    const char *methods_text; /* as the Allow field has it; "" */
    struct cidr *allow;       /* none: everybody who is not in `deny` */
    size_t allow_count;
    struct cidr *deny;
    size_t deny_count;
    const char **ws_origins; /* whose pages may open WebSockets; none: all */
    size_t ws_origin_count;
    struct conf_cors cors;
    struct conf_rate rate;
    struct conf_jwt jwt;
    struct conf_cache_route cache;
};

/* A certificate with its chain, its key, and an OCSP response to staple if there is one (as tls_ocsp_pem() has it). */
struct conf_certificate {
    struct conf_file cert, key, ocsp;
    struct tls_certificate_info info; /* of cert */
};

struct conf_listen {
    const char *text;
    struct addr addr;
    int backlog;
    struct {
        struct conf_certificate *certificates; /* none: plain text is spoken here */
        size_t certificate_count;
        enum tls_min_version min_version;
        struct conf_file client_ca;
        enum tls_client_cert client_certificate;
    } tls;
    bool http2;
    bool proxy_protocol;    /* trusted_proxies begin every connection with a PROXY header */
    bool redirect_https;    /* answers nothing but redirects to https:// ... */
    uint16_t redirect_port; /* ... on this port */
};

/* Whom to tell about what, and when; either a webhook or an email. */
struct conf_alert {
    const char *name;    /* given, or "alert-" and its place in the list */
    const char *webhook; /* "" = none */
    enum conf_alert_form form;
    const char *body; /* a template; "" = the usual one */
    const char *content_type;
    const char *authorization; /* the field's value; "" = none */
    const char *routing_key;   /* pagerduty */
    struct {
        const char *smtp; /* "" = none */
        const char *from;
        const char **to;
        size_t to_count;
        const char *username, *password;
        enum conf_starttls starttls; /* with smtp:// */
    } email;
    struct conf_file ca;
    bool verify;
    uint32_t on;          /* bits 1 << enum event_kind */
    const char **targets; /* patterns of subjects; none: all */
    size_t target_count;
    int64_t after_ms;
    int64_t repeat_ms; /* 0: not */
    bool recovery;
    int64_t group_ms;
    int64_t timeout_ms;
    int64_t give_up_ms;
    struct {
        const char *from_text, *to_text, *zone_text;
        uint32_t days;            /* bits 1 << 0 (Monday) to 6 of the days on which it begins; 0: all */
        int32_t from_min, to_min; /* of the day; equal: no quiet hours */
        int32_t zone_min;         /* ahead of UTC */
    } quiet;
    struct {
        int64_t after_ms;
        const char *to; /* name of another one; "" = nobody */
    } escalate;
};

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
    const char *zone;   /* at that server; "" = dns.zone */
    const char *key_name;
    enum conf_tsig key_algorithm;
    const char *key_secret; /* base64 */
    int64_t timeout_ms;
};

/* At most so many answers per second to one network (/24, /56), of each kind; 0 = no limit. */
struct conf_dns_rate {
    uint32_t answers, nxdomain, errors;
    uint32_t burst_s;
    uint32_t slip; /* every so-manieth of those over the limit goes out truncated; 0 = none */
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
    const char *contact; /* mail address; "" = hostmaster@zone */
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
    struct conf_redis redis; /* text "" = alone */
    const char *group;       /* those who judge together use the same */
    int64_t lifetime_ms;     /* of a view, and of a leader who falls silent */
    int64_t interval_ms;     /* between two exchanges while all is quiet */
};

struct conf {
    uint32_t magic;
    uint32_t refs;
    const char *path; /* of the file */
    struct {
        const char *name;
        const char *region;
    } node;
    uint32_t workers;      /* resolved: never 0 */
    const char *user;      /* "" = stay */
    const char *state_dir; /* "" = keep no state on disk */
    struct {
        enum log_level level;
        enum log_format format;
        const char *file;
        bool access;
        enum conf_access_format access_format;
        enum conf_access_query access_query;
        const char *const *token_queries; /* every name in routes[].jwt.query, once */
        size_t token_query_count;
        const char *access_file; /* "" = where the log goes */
    } log;
    struct {
        const char *via;  /* this gateway's name in Via fields; "" = none; from via_text */
        bool via_answers; /* in answers as well as in requests */
        const char *via_text;
        const char *server; /* NULL = the server's own passes; "" = none; else this one; from server_text */
        const char *server_text;
        const char *client_subject; /* the field that tells servers the subject of a client certificate; "" = none */
        const char *client_subject_text;
    } headers;
    struct {
        enum conf_trace_mode mode;
        enum conf_trace_from from;
        uint32_t sample_percent; /* of the traces begun here */
    } trace;
    struct {
        const char *path;
    } control; /* unix socket of tidegatectl; "" = none */
    struct {
        const char *text;
        struct addr addr;
    } admin; /* text "" = no admin process */
    struct {
        uint64_t file_bytes;
        uint32_t file_count;
        enum conf_journal_sync sync;
    } journal; /* of events, in state_dir */
    struct {
        const char *path; /* on the public listeners; "" = none */
        int64_t certificate_warning_ms;
    } health;
    struct {
        uint32_t connections;
        uint32_t per_client;
        int64_t handshake_timeout_ms; /* PROXY header and TLS */
        int64_t header_timeout_ms;
        uint32_t header_bytes;
        int64_t body_timeout_ms;      /* between two reads of a request's body */
        int64_t keepalive_timeout_ms; /* between two requests */
        int64_t send_timeout_ms;      /* without a byte leaving */
        uint32_t streams;             /* of one HTTP/2 connection at a time */
    } limits;
    struct {
        int64_t time_ms;
    } drain; /* on QUIT and for what a reload removes */
    struct {
        uint64_t memory_bytes; /* of each worker */
        uint64_t max_entry_bytes;
        struct conf_redis redis;
        uint32_t warm_per_s; /* requests, of each worker */
    } cache;
    struct conf_alert *alerts;
    size_t alert_count;
    struct conf_canaries canaries;
    struct conf_server
        *targets; /* what DNS answers about: checked like servers, never sent traffic; slot_name "targets/NAME" */
    size_t target_count;
    struct conf_dns dns;
    struct conf_quorum quorum;
    struct cidr *trusted_proxies;
    size_t trusted_proxy_count;
    struct conf_listen *listen;
    size_t listen_count;
    struct conf_pool *pools;
    size_t pool_count;
    struct conf_route *routes;
    size_t route_count; /* in match order: longest path first, hosts before any */
};

#define CONF_MAGIC 0xc0f16e5du
/* The longest text conf_seal() can make: every file it carries was bounded when it was read. */
#define CONF_SEALED_BYTES_MAX (32u << 20)

/* All complaints of one load, ready to print, one per line: `file:line:column: key: what, expected what`. */
struct conf_errors {
    size_t count;
    char *text; /* mem_free */
};

/* Reads, expands ${ENV} and !file, validates everything. NULL with at least one complaint on failure. */
struct conf *conf_load_file(const char *path, struct conf_errors *errors);
/* The same from memory; `name` stands for the file in messages. With `is_sealed` the text comes from conf_seal():
 * nothing is expanded, no file is opened, and `path` is that of the file it was made from. */
struct conf *conf_load_text(const char *name, const char *text, size_t len, bool is_sealed, struct conf_errors *errors);
void conf_errors_fini(struct conf_errors *e);

struct conf *conf_ref(const struct conf *c);
void conf_unref(struct conf **cp);

/* The whole effective configuration with every default, as YAML. Secrets are masked. mem_free. */
char *conf_dump(const struct conf *c);
/* The same for handing to a child: nothing masked, contents of files included; conf_load_text(is_sealed) reads it. */
char *conf_seal(const struct conf *c);
/* The reference manual of all keys, as Markdown. mem_free. */
char *conf_reference(void);

/* Lookups by name; NULL when there is none. */
const struct conf_pool *conf_find_pool(const struct conf *c, const char *name);
/* A server or a target by its slot name. */
const struct conf_server *conf_find_server(const struct conf *c, const char *slot_name);
/* Whether there is work for a DNS process: somebody to answer or somebody to tell. */
bool conf_wants_dns(const struct conf *c);
bool conf_has_steered_records(const struct conf *c);

/* Whether `peer` is one of trusted_proxies: what it says about its clients is believed, and it may be many of them. */
bool conf_is_trusted(const struct conf *c, const struct addr *peer);

/* Whether there is any key a token could be checked with; without, the route wants no token. */
bool conf_jwt_is_on(const struct conf_jwt *j);

/* Text of the enums, as written in the file. */
const char *conf_tier_text(enum conf_tier t);
const char *conf_balance_text(enum conf_balance b);

#endif
