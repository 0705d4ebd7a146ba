/* The configuration of what is kept of answers, and of a Redis. A part of conf/conf.h, whose rules about strings and
 * counts hold here. */
#ifndef CONF_CONF_CACHE_H
#define CONF_CONF_CACHE_H

#include "conf/conf_server.h"

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

#endif
