/* The configuration of servers: where they are, how they are checked, and the pools they stand in for each other in.
 * A part of conf/conf.h, whose rules about strings and counts hold here. */
#ifndef CONF_CONF_SERVER_H
#define CONF_CONF_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
enum conf_over { OVER_AUTO = 0, OVER_H1, OVER_H2 }; /* which HTTP is spoken to a server */

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
bool conf_statuses_are_same(const struct conf_statuses *a, const struct conf_statuses *b); /* in the same order */

struct conf_check {
    enum conf_check_type type; /* http and websocket use TLS when the server's url does */
    struct conf_url url;       /* of a target: what is asked, its path as written; text "" = not given */
    const char *path;          /* with query */
    const char *host;          /* Host header; "" = the server's */
    uint16_t port;             /* 0 = the server's */
    int64_t interval_ms;
    int64_t interval_undecided_ms; /* 0 = a quarter of the interval */
    int64_t timeout_ms;
    uint32_t rise, fall;
    uint32_t jitter_percent;
    bool watch;            /* an idle connection between the probes, whose end asks at once */
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
    const char *slot_name; /* "pool/server", "targets/NAME" */
    struct conf_url url;   /* of a target: that of its check, without the path */
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

#endif
