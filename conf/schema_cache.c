/* The keys of the cache: what routes keep of answers, and the Redis they share it in. */
#include "conf/conf.h"
#include "conf/schema_rows.h"

/* clang-format off */
static const struct schema_word policy_words[] = {
    {"off", CACHE_OFF}, {"stale-while-revalidate", CACHE_STALE_WHILE_REVALIDATE}, {"network-first", CACHE_NETWORK_FIRST},
    {"cache-first", CACHE_FIRST}, {NULL, 0}};
static const struct schema_word scope_words[] = {
    {"public", CACHE_SCOPE_PUBLIC}, {"token", CACHE_SCOPE_TOKEN}, {"claims", CACHE_SCOPE_CLAIMS}, {NULL, 0}};
static const struct schema_word ignore_words[] = {
    {"no-store", CACHE_IGNORE_NO_STORE}, {"private", CACHE_IGNORE_PRIVATE}, {"no-cache", CACHE_IGNORE_NO_CACHE},
    {"must-revalidate", CACHE_IGNORE_MUST_REVALIDATE}, {"set-cookie", CACHE_IGNORE_SET_COOKIE},
    {"authorization", CACHE_IGNORE_AUTHORIZATION}, {"cookie", CACHE_IGNORE_COOKIE}, {"request", CACHE_IGNORE_REQUEST}, {NULL, 0}};
static const struct schema_word compress_words[] = {
    {"gzip", CACHE_COMPRESS_GZIP}, {"br", CACHE_COMPRESS_BR}, {"zstd", CACHE_COMPRESS_ZSTD}, {NULL, 0}};
static const struct schema_word mode_words[] = {
    {"single", REDIS_SINGLE}, {"sentinel", REDIS_SENTINEL}, {"cluster", REDIS_CLUSTER}, {NULL, 0}};

const struct schema_row schema_cache_rows[] = {
    /* ---- routes[].cache ---- */
    {SECTION_CACHE, "policy", KIND_WORD, IN(conf_cache_route, policy), .words = policy_words, .standard = "off", .applies = APPLIES_WORKER,
     .doc = "off: nothing is kept. stale-while-revalidate: what is there is served at once, fresh or within stale, and a stale one is fetched "
            "anew behind the client's back. network-first: the servers are asked, and what is there is served when they have not answered "
            "within timeout or fail. cache-first: what is fresh is served; what is not is fetched while the client waits. Only GET and HEAD "
            "are answered from the cache, and POST where post says so. Not for pools of ws:// servers."},
    {SECTION_CACHE, "scope", KIND_WORD, IN(conf_cache_route, scope), .words = scope_words, .standard = "public", .applies = APPLIES_WORKER,
     .doc = "Who shares an answer. public: everybody. A request with Authorization is then answered by the servers and kept only if the origin "
            "says public, s-maxage or must-revalidate (RFC 9111 section 3.5), or ignore has authorization. token: those with the same token. "
            "claims: those whose verified tokens have the same values in the claims listed. A request without token, or with "
            "jwt.optional without claims, is then not for the cache."},
    {SECTION_CACHE, "claims", KIND_CLAIMS, IN(conf_cache_route, claims), RANGE(0, 16), .applies = APPLIES_WORKER,
     .doc = "With scope: claims, which; dots lead into objects. All that an answer depends on must be here: whoever has the same values gets it."},
    {SECTION_CACHE, "headers", KIND_TOKENS, IN(conf_cache_route, headers), RANGE(0, 32),
     .standard_doc = "accept, accept-profile, apikey, prefer", .applies = APPLIES_WORKER,
     .doc = "Request headers that are part of the key. Of the client's own fields only these reach the servers with a request that may be answered "
            "from the cache, so list every one that changes the answers. Cookie makes an entry for each different Cookie field."},
    {SECTION_CACHE, "query.sort", KIND_BOOL, IN(conf_cache_route, sorts_query), .standard = "true", .applies = APPLIES_WORKER,
     .doc = "Whether queries with the same parameters in another order are the same. Repeated ones keep their order among each other. The servers "
            "see the sorted query."},
    {SECTION_CACHE, "query.keep", KIND_PARAMETERS, IN(conf_cache_route, keep_query), RANGE(0, 64), .applies = APPLIES_WORKER,
     .doc = "The only query parameters that count; the others do not reach the servers. None: all count. Not together with query.drop."},
    {SECTION_CACHE, "query.drop", KIND_PARAMETERS, IN(conf_cache_route, drop_query), RANGE(0, 64), .applies = APPLIES_WORKER,
     .doc = "Query parameters that do not count, and do not reach the servers. utm_* stands for all that begin with utm_."},
    {SECTION_CACHE, "post", KIND_BOOL, IN(conf_cache_route, post), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Whether a POST is a query as well (GraphQL, RPC), told from others by its body. Only for a route whose POSTs change nothing."},
    {SECTION_CACHE, "post_body", KIND_SIZE, IN(conf_cache_route, body_bytes), RANGE(1, 1 * MIB), .standard = "64KiB", .applies = APPLIES_WORKER,
     .doc = "A POST with a longer body is not for the cache."},
    {SECTION_CACHE, "fresh", KIND_LIFETIME, IN(conf_cache_route, fresh_ms), RANGE(0, 365 * DAY), .standard = "origin", .applies = APPLIES_WORKER,
     .doc = "How long an answer is fresh: served without asking. A duration wins over the origin's s-maxage, max-age and Expires. origin: theirs "
            "counts, and an answer without them is never fresh."},
    {SECTION_CACHE, "stale", KIND_LIFETIME, IN(conf_cache_route, stale_ms), RANGE(0, 365 * DAY), .standard = "origin", .applies = APPLIES_WORKER,
     .doc = "How long after that it may be served while it is fetched anew; with network-first and cache-first only when the servers are late or fail. A "
            "duration wins over the origin's stale-while-revalidate; an origin that says no-cache, must-revalidate, proxy-revalidate or (with fresh: "
            "origin) s-maxage forbids it unless that is in ignore (must-revalidate for the last three). With the other policies it is "
            "stale_if_error by another name, and the longer of the two counts."},
    {SECTION_CACHE, "stale_if_error", KIND_LIFETIME, IN(conf_cache_route, error_ms), RANGE(0, 365 * DAY), .standard = "origin",
     .applies = APPLIES_WORKER,
     .doc = "How long after it was fresh it may be served when the servers cannot be reached or answer 500, 502, 503 or 504, and with network-first when "
            "they are late. A duration wins over the origin's stale-if-error; what forbids stale forbids this."},
    {SECTION_CACHE, "stale_if_down", KIND_DURATION, IN(conf_cache_route, down_ms), RANGE(0, 365 * DAY), .standard = "0", .applies = APPLIES_WORKER,
     .doc = "How long after it was fresh it may be served while no server of the pool is up. Writes get 503 with Retry-After at once then. 0: no longer "
            "than stale_if_error."},
    {SECTION_CACHE, "negative", KIND_DURATION, IN(conf_cache_route, negative_ms), RANGE(0, HOUR), .standard = "1s", .applies = APPLIES_WORKER,
     .doc = "How long a failed fetch is remembered: who asks for the same meanwhile gets what is kept, or the failure, and the servers are left alone. "
            "0: not at all."},
    {SECTION_CACHE, "heuristic", KIND_BOOL, IN(conf_cache_route, heuristic), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Whether an answer without any lifetime is fresh for a tenth of its age by Last-Modified (RFC 9111 section 4.2.2), at most a day."},
    {SECTION_CACHE, "ignore", KIND_WORDS, IN(conf_cache_route, ignore), .words = ignore_words, .standard_doc = "none", .applies = APPLIES_WORKER,
     .doc = "What is not heeded. Of the origin: no-store, private, no-cache, must-revalidate (and proxy-revalidate), set-cookie (the field is dropped from "
            "what is kept). Of the request: authorization (an answer to a request with it may be kept for everybody), cookie (the request is as "
            "good as one without, and the servers do not see it), request (its Cache-Control and Pragma)."},
    {SECTION_CACHE, "timeout", KIND_DURATION, IN(conf_cache_route, timeout_ms), RANGE(1 * MS, HOUR), .standard = "800ms", .applies = APPLIES_WORKER,
     .doc = "With policy: network-first, how long the servers are waited for when there is something to serve instead."},
    {SECTION_CACHE, "wait", KIND_DURATION, IN(conf_cache_route, wait_ms), RANGE(1 * MS, HOUR), .standard = "5s", .applies = APPLIES_WORKER,
     .doc = "How long a request waits for an answer that another one is fetching already. Those who have waited so long share one more fetch; "
            "and no gateway waits longer for what another one has the lease of."},
    {SECTION_CACHE, "tags", KIND_TAGS, IN(conf_cache_route, tags), RANGE(0, 16), .applies = APPLIES_WORKER,
     .doc = "Names under which all answers of the route can be purged, besides those the origin gives them with Surrogate-Key or Cache-Tag."},
    {SECTION_CACHE, "purge_on_write", KIND_BOOL, IN(conf_cache_route, purges_on_write), .standard = "true", .applies = APPLIES_WORKER,
     .doc = "Whether a POST, PUT, PATCH or DELETE through the route that succeeds purges the route's tags and the URL itself. A POST that "
            "post makes a query does not."},
    {SECTION_CACHE, "compress", KIND_WORDS, IN(conf_cache_route, compress), .words = compress_words, .standard_doc = "none", .applies = APPLIES_WORKER,
     .doc = "Codings in which answers are kept beside the plain one, made once and served to all who accept them."},
    {SECTION_CACHE, "compress_min", KIND_SIZE, IN(conf_cache_route, compress_min_bytes), RANGE(0, 64 * MIB), .standard = "512B",
     .applies = APPLIES_WORKER, .doc = "Shorter answers are kept plain."},
    {SECTION_CACHE, "warm", KIND_TARGETS, IN(conf_cache_route, warm), RANGE(0, 256), .applies = APPLIES_WORKER,
     .doc = "Paths with their queries, as clients ask for them, that are fetched at the start, and again before they expire while they are asked for; "
            "once for all gateways that share a Redis. Only with scope: public."},
    {SECTION_CACHE, "warm_as", KIND_TEXT, IN(conf_cache_route, warm_as), RANGE(0, 255), .standard = "", .applies = APPLIES_WORKER,
     .doc = "Scheme, host and port under which clients ask for these, such as https://app.example.com: what is fetched for another name "
            "would not be theirs. Required with warm."},

    /* ---- cache.redis ---- */
    {SECTION_REDIS, "url", KIND_REDIS_URL, IN(conf_redis, text), .standard = "", .applies = APPLIES_WORKER,
     .doc = "redis://[user:password@]host[:port][/database], rediss:// for TLS, or unix:/path[?db=number] for a socket (redis+unix: is the same). "
            "User and password are percent-encoded. The port is 6379, with mode: sentinel 26379, unless given. With rediss:// and mode: sentinel or cluster "
            "all Sentinels and nodes are spoken to over TLS. Empty: no Redis."},
    {SECTION_REDIS, "username", KIND_TEXT, IN(conf_redis, username), RANGE(0, 1024), .standard = "", .standard_doc = "that of the url",
     .applies = APPLIES_WORKER, .doc = "The user of its access control list. Empty: the default one."},
    {SECTION_REDIS, "password", KIND_TEXT, IN(conf_redis, password), RANGE(0, 1024), .standard = "", .standard_doc = "that of the url",
     .is_secret = true, .applies = APPLIES_WORKER, .doc = "The password; best as ${NAME} or !file path. Empty: none is sent."},
    {SECTION_REDIS, "prefix", KIND_NAME, IN(conf_redis, prefix), .standard = "tidegate", .applies = APPLIES_WORKER,
     .doc = "What all keys in Redis begin with. Gateways with the same prefix share entries, leases and purges."},
    {SECTION_REDIS, "mode", KIND_WORD, IN(conf_redis, mode), .words = mode_words, .standard = "single", .applies = APPLIES_WORKER,
     .doc = "single: the url is the Redis. sentinel: the url and nodes are Sentinels, which know where master is. cluster: the url and "
            "nodes are some of a cluster's, the others are asked for."},
    {SECTION_REDIS, "master", KIND_LABEL, IN(conf_redis, master), .standard = "", .applies = APPLIES_WORKER,
     .doc = "With mode: sentinel, the name the Sentinels know the Redis by."},
    {SECTION_REDIS, "nodes", KIND_NODES, IN(conf_redis, nodes), RANGE(0, 64), .applies = APPLIES_WORKER,
     .doc = "Further Sentinels or nodes of the cluster, as host:port."},
    {SECTION_REDIS, "sentinel_password", KIND_TEXT, IN(conf_redis, sentinel_password), RANGE(0, 1024), .standard = "", .is_secret = true,
     .applies = APPLIES_WORKER, .doc = "What the Sentinels want, if they want any. username and password are for the Redis."},
    {SECTION_REDIS, "tls.ca", KIND_FILE, IN(conf_redis, tls.ca), .standard = "", .standard_doc = "the system's trust store",
     .applies = APPLIES_WORKER, .doc = "PEM file with the authorities that may vouch for Redis."},
    {SECTION_REDIS, "tls.cert", KIND_FILE, IN(conf_redis, tls.cert), .standard = "", .applies = APPLIES_WORKER,
     .doc = "PEM file with the certificate, and its chain, shown to Redis."},
    {SECTION_REDIS, "tls.key", KIND_FILE, IN(conf_redis, tls.key), .standard = "", .is_secret = true, .applies = APPLIES_WORKER,
     .doc = "PEM file with the private key of tls.cert."},
    {SECTION_REDIS, "tls.server_name", KIND_HOST, IN(conf_redis, tls.server_name), .standard = "",
     .standard_doc = "the host of each node", .applies = APPLIES_WORKER, .doc = "The name to ask for (SNI) and to find in the certificates."},
    {SECTION_REDIS, "tls.verify", KIND_BOOL, IN(conf_redis, tls.verify), .standard = "true", .applies = APPLIES_WORKER,
     .doc = "Whether certificates are checked. Without it anybody in between can read and change everything."},
    {SECTION_REDIS, "timeout", KIND_DURATION, IN(conf_redis, timeout_ms), RANGE(1 * MS, MINUTE), .standard = "25ms", .applies = APPLIES_WORKER,
     .doc = "How long a request waits for Redis, at most; it then goes on without."},
    {SECTION_REDIS, "connect_timeout", KIND_DURATION, IN(conf_redis, connect_timeout_ms), RANGE(1 * MS, MINUTE), .standard = "500ms",
     .applies = APPLIES_WORKER, .doc = "From the connection to the end of the greeting, TLS and AUTH included. No request waits for it."},
    {SECTION_REDIS, "circuit.failures", KIND_UINT, IN(conf_redis, circuit_failures), RANGE(0, 10000), .standard = "5",
     .applies = APPLIES_WORKER, .doc = "Failures and timeouts in a row after which Redis is left alone. 0: never."},
    {SECTION_REDIS, "circuit.open", KIND_DURATION, IN(conf_redis, circuit_open_ms), RANGE(1 * MS, DAY), .standard = "2s",
     .applies = APPLIES_WORKER, .doc = "How long, before it is tried again."},
};
/* clang-format on */

const size_t schema_cache_row_count = sizeof schema_cache_rows / sizeof schema_cache_rows[0];

ARRAY_FITS(conf_cache_route, claims, claim_count);
ARRAY_FITS(conf_cache_route, headers, header_count);
ARRAY_FITS(conf_cache_route, keep_query, keep_query_count);
ARRAY_FITS(conf_cache_route, drop_query, drop_query_count);
ARRAY_FITS(conf_cache_route, tags, tag_count);
ARRAY_FITS(conf_cache_route, warm, warm_count);
ARRAY_FITS(conf_redis, nodes, node_count);
