/* The table of all keys but for those of what routes check and change, sessions, the cache, checks, alerts and DNS
 * (conf/schema_rules.c and the like). The order of rows is the order of the dump and the manual, and a row may rely on
 * those above it: a server's check starts as a copy of its pool's, a route names a pool that has been read before. */
#include "conf/schema.h"

#include <string.h>

#include "base/assert.h"
#include "base/slots.h"
#include "conf/conf.h"
#include "conf/schema_rows.h"

/* clang-format off */
static const struct schema_word log_level_words[] = {
    {"error", LOG_LEVEL_ERR}, {"warn", LOG_LEVEL_WARN}, {"info", LOG_LEVEL_INFO}, {"debug", LOG_LEVEL_DEBUG}, {NULL, 0}};
static const struct schema_word log_format_words[] = {{"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON}, {NULL, 0}};
const struct schema_word schema_balance_words[] = {
    {"round-robin", BALANCE_ROUND_ROBIN}, {"least-connections", BALANCE_LEAST_CONNECTIONS}, {"hash", BALANCE_HASH}, {NULL, 0}};
static const struct schema_word hash_of_words[] = {
    {"ip", HASH_OF_IP}, {"header", HASH_OF_HEADER}, {"query", HASH_OF_QUERY}, {NULL, 0}};
const struct schema_word schema_tier_words[] = {
    {"primary", TIER_PRIMARY}, {"backup", TIER_BACKUP}, {"emergency", TIER_EMERGENCY}, {NULL, 0}};
static const struct schema_word over_words[] = {{"auto", OVER_AUTO}, {"h1", OVER_H1}, {"h2", OVER_H2}, {NULL, 0}};
static const struct schema_word min_version_words[] = {{"1.2", TLS_MIN_1_2}, {"1.3", TLS_MIN_1_3}, {NULL, 0}};
static const struct schema_word client_cert_words[] = {
    {"none", TLS_CLIENT_CERT_NONE}, {"optional", TLS_CLIENT_CERT_OPTIONAL}, {"required", TLS_CLIENT_CERT_REQUIRED}, {NULL, 0}};
static const struct schema_word access_format_words[] = {
    {"event", ACCESS_FORMAT_EVENT}, {"json", ACCESS_FORMAT_JSON}, {"combined", ACCESS_FORMAT_COMBINED}, {NULL, 0}};
static const struct schema_word access_query_words[] = {
    {"masked", ACCESS_QUERY_MASKED}, {"whole", ACCESS_QUERY_WHOLE}, {"none", ACCESS_QUERY_NONE}, {NULL, 0}};
static const struct schema_word trace_mode_words[] = {
    {"off", TRACE_OFF}, {"continue", TRACE_CONTINUE}, {"start", TRACE_START}, {NULL, 0}};
static const struct schema_word trace_from_words[] = {
    {"anyone", TRACE_FROM_ANYONE}, {"trusted", TRACE_FROM_TRUSTED}, {NULL, 0}};
static const struct schema_word journal_sync_words[] = {
    {"second", JOURNAL_SYNC_SECOND}, {"each", JOURNAL_SYNC_EACH}, {"never", JOURNAL_SYNC_NEVER}, {NULL, 0}};
const struct schema_word schema_ws_protocol_words[] = {
    {"opaque", WS_PROTOCOL_OPAQUE}, {"phoenix", WS_PROTOCOL_PHOENIX}, {"graphql-transport-ws", WS_PROTOCOL_GRAPHQL}, {"mqtt", WS_PROTOCOL_MQTT}, {NULL, 0}};
static const struct schema_word delivery_words[] = {
    {"at-most-once", DELIVERY_AT_MOST_ONCE}, {"at-least-once", DELIVERY_AT_LEAST_ONCE}, {NULL, 0}};
static const struct schema_word gap_words[] = {{"notice", GAP_NOTICE}, {"rejoin", GAP_REJOIN}, {"silent", GAP_SILENT}, {NULL, 0}};

const char *const schema_applies_texts[APPLIES_COUNT] = {
    [APPLIES_ON_RESTART] = "restart",
    [APPLIES_SUPERVISOR] = "reload (supervisor)",
    [APPLIES_WORKER]     = "reload (workers)",
    [APPLIES_CHECKER]    = "reload (checker)",
    [APPLIES_ADMIN]      = "reload (admin)",
    [APPLIES_ALL]        = "reload (all)",
};

const struct schema_section_info schema_sections[SECTION_COUNT] = {
    [SECTION_ROOT]   = {"", sizeof(struct conf), 0, "The whole file."},
    [SECTION_LISTEN] = {"listen[]", sizeof(struct conf_listen), 0, "Where clients connect."},
    [SECTION_CERTIFICATE] = {"listen[].tls.certificates[]", sizeof(struct conf_certificate), 0,
                        "A certificate shown to clients. The name a client asks for selects it: an exact name in the "
                        "certificate, then a wildcard, else the first of the list. Two of the same names, one RSA and one "
                        "ECDSA, stand in for each other."},
    [SECTION_POOL]   = {"pools.<name>", sizeof(struct conf_pool), offsetof(struct conf_pool, name),
                        "Servers that can stand in for each other, and how one is picked."},
    [SECTION_CHECK]  = {"pools.<name>.check", sizeof(struct conf_check), 0,
                        "How the checker finds out whether a server works. A server may have the same keys under its "
                        "own check; what it does not give it takes from the pool."},
    [SECTION_SERVER] = {"pools.<name>.servers[]", sizeof(struct conf_server), 0, "One backend."},
    [SECTION_ROUTE]  = {"routes[]", sizeof(struct conf_route), 0,
                        "Which requests go to which pool. The longest matching path wins; among equal paths an exact "
                        "host comes before a wildcard and a wildcard before any host. The order in the file does not matter."},
    [SECTION_COMPRESSION] = {"routes[].websocket.compression", sizeof(struct conf_compression), 0,
                        "permessage-deflate (RFC 7692) between the clients and the gateway. Servers see plain messages either way."},
    [SECTION_BACKOFF] = {"routes[].websocket.backoff", sizeof(struct conf_backoff), 0,
                        "How a session whose server was lost, and that no other one takes, tries again."},
    [SECTION_RESTORE] = {"routes[].websocket.restore", sizeof(struct conf_restore), 0,
                        "How fast the sessions of a lost server are given to the others."},
    [SECTION_MOVE]   = {"routes[].websocket.move", sizeof(struct conf_move), 0,
                        "Sessions that are moved to another server although theirs lives."},
    [SECTION_QUALITY] = {"routes[].websocket.quality", sizeof(struct conf_quality), 0,
                        "What the round trips of a session's heartbeats are called."},
    [SECTION_CORS]   = {"routes[].cors", sizeof(struct conf_cors), 0,
                        "Which pages of other origins may use the route. Preflights are answered by the gateway, and the "
                        "servers' own Access-Control fields give way to these."},
    [SECTION_RATE]   = {"routes[].rate", sizeof(struct conf_rate), 0,
                        "How often one client may ask: a bucket that fills steadily and from which each request takes one. "
                        "All workers draw from the same bucket. Who finds it empty gets 429 with Retry-After. Preflights "
                        "do not count; opening a WebSocket counts once."},
    [SECTION_JWT]    = {"routes[].jwt", sizeof(struct conf_jwt), 0,
                        "A signed token (RFC 7519) that requests must carry: one of secret, public_key, jwks.file and "
                        "jwks.pool says where the keys come from. Who has none, or not a good one, gets 401. A WebSocket "
                        "is closed with 1008 when its token expires. Tokens whose header has a typ other than JWT are "
                        "refused."},
    [SECTION_EDITS]  = {"routes[].request_headers", sizeof(struct conf_edits), 0,
                        "Edits to the header fields of requests on their way to the servers: remove, then set, then add. "
                        "response_headers has the same keys, for the answers. Values may hold {client_ip}, {host}, {scheme}, "
                        "{request_id}, {route} and {trace_id}. Fields that frame a message or belong to a connection are not "
                        "for editing; the Host field is host_header's."},
    [SECTION_MAINTENANCE] = {"routes[].maintenance", sizeof(struct conf_maintenance), 0,
                        "What the route answers while it is taken out of service, without asking any server."},
    [SECTION_CACHE]  = {"routes[].cache", sizeof(struct conf_cache_route), 0,
                        "Whether and how answers are kept (RFC 9111, RFC 5861) and given to others who ask the same. Who is "
                        "right: of how long an answer lives, the route, where it says anything; else the origin. Of whether "
                        "it may be kept or used at all, the origin (no-store, private, Set-Cookie and the like) and the "
                        "client, whatever the route says of lifetimes, unless that is in ignore. What is not part of the key "
                        "does not reach the origin of a request that may be answered from the cache."},
    [SECTION_REDIS]  = {"cache.redis", sizeof(struct conf_redis), 0,
                        "The second layer, shared by all workers and gateways: Redis 6 or later, or Valkey. It may be slow, "
                        "gone or full at any time; the gateways then go on with what each worker has. quorum.redis has the same keys."},
    [SECTION_ALERT]  = {"alerts[]", sizeof(struct conf_alert), 0,
                        "Whom to tell about what, and when. Messages wait in a queue of their own and are tried again until they are "
                        "delivered, over restarts too when there is a state_dir; nothing else waits for them. tidegatectl alerts test NAME "
                        "sends one, and tidegatectl ack says that somebody takes care."},
    [SECTION_TARGET] = {"targets.<name>", sizeof(struct conf_server), offsetof(struct conf_server, name),
                        "Something DNS answers about: the entry point of a region, mostly. It is checked like a server, and drained and forced "
                        "like one, as targets/name; no request of a client goes there."},
    [SECTION_DNS]    = {"dns", sizeof(struct conf_dns), 0,
                        "One zone, answered with authority. Records with answers follow the verdicts of targets and servers; the others "
                        "are what they are."},
    [SECTION_DNS_RECORD] = {"dns.records[]", sizeof(struct conf_dns_record), 0,
                        "The records of one name: either answers, of which those are given that stand, or values of any types. Names in "
                        "values are absolute, with or without a dot at their end. A name may stand in several items."},
    [SECTION_DNS_ANSWER] = {"dns.records[].answers[]", sizeof(struct conf_dns_answer), 0,
                        "What to answer when a target stands: addresses, or the name of somebody who has some."},
    [SECTION_DNS_PUSH] = {"dns.push[]", sizeof(struct conf_dns_push), 0,
                        "Somebody else's server that is told of every change (RFC 2136), signed with TSIG (RFC 8945): for those who keep "
                        "their provider, and let Tidegate be the hidden primary."},
    [SECTION_QUORUM] = {"quorum", sizeof(struct conf_quorum), 0,
                        "Gateways and checkers tell each other, through a Redis, what they see. What most of those say whose view is "
                        "fresh decides what DNS answers; with Redis or the others away, the own view does. Workers act on their own view."},
};

/* A gateway needs it; DNS, or a checker alone, does not. */
#define UNLESS_ALONE "**required**, unless there is dns, or targets with quorum"

static const struct schema_row rows[] = {
    /* ---- the process ---- */
    {SECTION_ROOT, "node.name", KIND_NAME, IN(conf, node.name), .standard_doc = "the host name", .applies = APPLIES_ALL,
     .doc = "What this gateway calls itself in logs, status and headers."},
    {SECTION_ROOT, "node.region", KIND_REGION, IN(conf, node.region), .standard = "", .applies = APPLIES_ALL,
     .doc = "The region this gateway runs in; shown in status."},
    {SECTION_ROOT, "workers", KIND_UINT, IN(conf, workers), RANGE(1, 64), .standard_doc = "the number of CPUs",
     .applies = APPLIES_SUPERVISOR, .doc = "Processes that serve clients."},
    {SECTION_ROOT, "user", KIND_USER, IN(conf, user), .standard = "", .applies = APPLIES_ON_RESTART,
     .doc = "The user the child processes become when the supervisor was started as root. Empty: they stay what they are."},
    {SECTION_ROOT, "state_dir", KIND_PATH, IN(conf, state_dir), RANGE(0, 255), .standard = "", .applies = APPLIES_ON_RESTART,
     .doc = "Directory in which verdicts, the journal of events (events.jsonl) and alerts on their way are kept over restarts. Empty: nothing is kept."},
    {SECTION_ROOT, "journal.file_size", KIND_SIZE, IN(conf, journal.file_bytes), RANGE(4 * KIB, 1 * GIB), .standard = "4MiB",
     .applies = APPLIES_SUPERVISOR, .doc = "When the journal of events is that long it is put aside as events.jsonl.1, and a new one begun."},
    {SECTION_ROOT, "journal.files", KIND_UINT, IN(conf, journal.file_count), RANGE(1, 100), .standard = "5",
     .applies = APPLIES_SUPERVISOR, .doc = "How many files of the journal are kept, the one in use included."},
    {SECTION_ROOT, "journal.sync", KIND_WORD, IN(conf, journal.sync), .words = journal_sync_words, .standard = "second",
     .applies = APPLIES_SUPERVISOR, .doc = "When events are forced to disk: within a second, each at once, or when the system gets to it. That is for the "
                                          "loss of power; a crash of the gateway alone loses nothing."},
    {SECTION_ROOT, "log.level", KIND_WORD, IN(conf, log.level), .words = log_level_words, .standard = "info",
     .applies = APPLIES_ON_RESTART, .doc = "The least important lines that are written."},
    {SECTION_ROOT, "log.format", KIND_WORD, IN(conf, log.format), .words = log_format_words, .standard = "text",
     .applies = APPLIES_ON_RESTART, .doc = "key=value lines, or one JSON object per line."},
    {SECTION_ROOT, "log.file", KIND_PATH, IN(conf, log.file), RANGE(0, 1023), .standard = "", .applies = APPLIES_ON_RESTART,
     .doc = "The log file, opened again on USR1. Empty: standard error."},
    {SECTION_ROOT, "log.access", KIND_BOOL, IN(conf, log.access), .standard = "true", .applies = APPLIES_WORKER,
     .doc = "One line for each request and each WebSocket that ended."},
    {SECTION_ROOT, "log.access_format", KIND_WORD, IN(conf, log.access_format), .words = access_format_words, .standard = "event",
     .applies = APPLIES_WORKER, .doc = "event: a line as all others of the log. json: an object. combined: the combined form of web servers, "
                                       "with further fields as key=value behind."},
    {SECTION_ROOT, "log.access_query", KIND_WORD, IN(conf, log.access_query), .words = access_query_words, .standard = "masked",
     .applies = APPLIES_WORKER, .doc = "What is shown of the query of a request and of its Referer. masked: all of it, but *** for the values of "
                                       "parameters that look like credentials by their names (apikey, token, jwt, password, ...), "
                                       "and of those in which a route expects its tokens."},
    {SECTION_ROOT, "log.access_file", KIND_PATH, IN(conf, log.access_file), RANGE(0, 1023), .standard = "",
     .applies = APPLIES_SUPERVISOR, .doc = "A file for these lines alone, opened again on USR1. Empty: they go where the log goes."},
    {SECTION_ROOT, "headers.via", KIND_NAME, IN(conf, headers.via_text), .standard = "tidegate", .applies = APPLIES_WORKER,
     .doc = "What this gateway calls itself in the Via field it adds to requests (RFC 9110 section 7.6.3). off: it adds none. nginx as a server "
            "does not compress answers to requests with a Via field unless its gzip_proxied says so."},
    {SECTION_ROOT, "headers.via_answers", KIND_BOOL, IN(conf, headers.via_answers), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Whether answers get a Via field as well."},
    {SECTION_ROOT, "headers.server", KIND_LABEL, IN(conf, headers.server_text), .standard = "pass", .applies = APPLIES_WORKER,
     .doc = "The Server field of answers. pass: what the server says. off: none. Else this text."},
    {SECTION_ROOT, "headers.client_subject", KIND_LABEL, IN(conf, headers.client_subject_text), .standard = "X-Client-Subject", .applies = APPLIES_WORKER,
     .doc = "The field that tells servers the subject (RFC 4514) of the certificate a client has shown. One that a client sends itself is dropped. "
            "off: none."},
    {SECTION_ROOT, "trace.mode", KIND_WORD, IN(conf, trace.mode), .words = trace_mode_words, .standard = "continue", .applies = APPLIES_WORKER,
     .doc = "W3C trace context. continue: a trace that a request belongs to goes on, with the gateway as a span of its own, whose id the "
            "access log has. start: and one begins with a request that belongs to none. off: traceparent and tracestate pass untouched."},
    {SECTION_ROOT, "trace.from", KIND_WORD, IN(conf, trace.from), .words = trace_from_words, .standard = "anyone", .applies = APPLIES_WORKER,
     .doc = "Whose traces are continued: anyone's, or those of trusted_proxies alone. What others say is dropped."},
    {SECTION_ROOT, "trace.sample", KIND_PERCENT, IN(conf, trace.sample_percent), RANGE(0, 100), .standard = "100%", .applies = APPLIES_WORKER,
     .doc = "With mode: start, how many of the traces begun here are marked as sampled."},
    {SECTION_ROOT, "control.path", KIND_PATH, IN(conf, control.path), RANGE(0, 107), .standard = "/run/tidegate/control.sock",
     .applies = APPLIES_ON_RESTART, .doc = "The unix socket tidegatectl talks to. Empty: none."},
    {SECTION_ROOT, "admin.address", KIND_ADDRESS, IN(conf, admin.text), .standard = "", .applies = APPLIES_SUPERVISOR,
     .doc = "Where health, metrics and status are served. Keep it away from the public. Empty: no admin process."},
    {SECTION_ROOT, "health.path", KIND_HTTP_PATH, IN(conf, health.path), .standard = "", .applies = APPLIES_WORKER,
     .doc = "The path at which the public listeners answer the health question themselves, whatever the host. Empty: none."},
    {SECTION_ROOT, "health.certificate_warning", KIND_DURATION, IN(conf, health.certificate_warning_ms), RANGE(0, 365 * DAY),
     .standard = "14d", .applies = APPLIES_ALL,
     .doc = "How long before the end of a certificate the gateway calls itself degraded. 0: when it has ended."},
    {SECTION_ROOT, "limits.connections", KIND_UINT, IN(conf, limits.connections), RANGE(0, 10000000), .standard = "65536",
     .applies = APPLIES_WORKER, .doc = "Client connections over all workers. 0: as many as descriptors allow."},
    {SECTION_ROOT, "limits.per_client", KIND_UINT, IN(conf, limits.per_client), RANGE(0, 10000000), .standard = "0",
     .applies = APPLIES_WORKER, .doc = "Connections of one client address. 0: no limit."},
    {SECTION_ROOT, "limits.handshake_timeout", KIND_DURATION, IN(conf, limits.handshake_timeout_ms), RANGE(100 * MS, HOUR), .standard = "5s",
     .applies = APPLIES_WORKER, .doc = "From the connection to the end of what comes before HTTP: PROXY header and TLS handshake."},
    {SECTION_ROOT, "limits.header_timeout", KIND_DURATION, IN(conf, limits.header_timeout_ms), RANGE(100 * MS, HOUR), .standard = "10s",
     .applies = APPLIES_WORKER, .doc = "From the connection to the last byte of the request's header."},
    {SECTION_ROOT, "limits.header_bytes", KIND_SIZE, IN(conf, limits.header_bytes), RANGE(1 * KIB, 1 * MIB), .standard = "16KiB",
     .applies = APPLIES_WORKER, .doc = "Request line and header fields together."},
    {SECTION_ROOT, "limits.body_timeout", KIND_DURATION, IN(conf, limits.body_timeout_ms), RANGE(100 * MS, HOUR), .standard = "30s",
     .applies = APPLIES_WORKER, .doc = "How long a client may pause within the body of a request."},
    {SECTION_ROOT, "limits.keepalive_timeout", KIND_DURATION, IN(conf, limits.keepalive_timeout_ms), RANGE(100 * MS, DAY), .standard = "75s",
     .applies = APPLIES_WORKER, .doc = "How long a connection may wait for its next request."},
    {SECTION_ROOT, "limits.send_timeout", KIND_DURATION, IN(conf, limits.send_timeout_ms), RANGE(1 * SECOND, HOUR), .standard = "60s",
     .applies = APPLIES_WORKER, .doc = "A client that takes none of an answer for that long is cut off."},
    {SECTION_ROOT, "limits.streams", KIND_UINT, IN(conf, limits.streams), RANGE(1, 10000), .standard = "128",
     .applies = APPLIES_WORKER, .doc = "Requests, WebSockets included, under way at a time on one HTTP/2 connection."},
    {SECTION_ROOT, "drain.time", KIND_DURATION, IN(conf, drain.time_ms), RANGE(0, DAY), .standard = "30s", .applies = APPLIES_WORKER,
     .doc = "Over which connections are closed, evenly spread, on QUIT and for what a reload removed."},
    {SECTION_ROOT, "cache.memory", KIND_SIZE, IN(conf, cache.memory_bytes), RANGE(0, 64 * GIB), .standard = "64MiB", .applies = APPLIES_WORKER,
     .doc = "What the answers that one worker keeps may take. 0: none are kept in memory."},
    {SECTION_ROOT, "cache.max_entry", KIND_SIZE, IN(conf, cache.max_entry_bytes), RANGE(1 * KIB, 64 * MIB), .standard = "1MiB",
     .standard_doc = "1MiB, or a quarter of memory if that is less", .applies = APPLIES_WORKER,
     .doc = "A longer answer is passed on and not kept. At most a quarter of memory."},
    {SECTION_ROOT, "cache.warm_per_second", KIND_UINT, IN(conf, cache.warm_per_s), RANGE(0, 10000), .standard = "10", .applies = APPLIES_WORKER,
     .doc = "How fast a worker fetches what routes[].cache.warm lists. 0: it does not."},
    {SECTION_ROOT, "cache.redis", KIND_INLINE, IN(conf, cache.redis), .of = SECTION_REDIS, .applies = APPLIES_WORKER,
     .doc = "A Redis shared by all workers and gateways."},
    {SECTION_ROOT, "alerts", KIND_LIST, IN(conf, alerts), RANGE(0, 64), .of = SECTION_ALERT, .standard_doc = "none", .applies = APPLIES_ADMIN,
     .doc = "Whom to tell about what happens. The admin process sends them; it runs when there are any."},
    {SECTION_ROOT, "canaries.addresses", KIND_NODES, IN(conf, canaries.addresses), RANGE(0, CONF_CANARIES_MAX), .applies = APPLIES_CHECKER,
     .doc = "Hosts outside, independent of the servers and of each other, to which a TCP connection shows that this gateway is not cut off. "
            "They are asked when servers are about to go down while none answers; when no canary answers either, the verdicts stay as "
            "they are, and health is degraded. None: whatever fails is the server's fault."},
    {SECTION_ROOT, "canaries.share", KIND_PERCENT, IN(conf, canaries.share_percent), RANGE(1, 100), .standard = "100%", .applies = APPLIES_CHECKER,
     .doc = "The share of all servers that must have stopped answering for them to be asked."},
    {SECTION_ROOT, "canaries.timeout", KIND_DURATION, IN(conf, canaries.timeout_ms), RANGE(1 * MS, MINUTE), .standard = "500ms",
     .applies = APPLIES_CHECKER, .doc = "How long they may take to answer."},
    {SECTION_ROOT, "trusted_proxies", KIND_CIDRS, IN(conf, trusted_proxies), RANGE(0, 1024), .applies = APPLIES_WORKER,
     .doc = "Address blocks whose X-Forwarded-* and Forwarded fields are believed; from others they are replaced."},
    {SECTION_ROOT, "listen", KIND_LIST, IN(conf, listen), RANGE(1, 64), .of = SECTION_LISTEN, .standard_doc = UNLESS_ALONE,
     .applies = APPLIES_SUPERVISOR, .doc = "Where clients connect. Without it there are no workers."},
    {SECTION_ROOT, "pools", KIND_MAP, IN(conf, pools), RANGE(1, 128), .of = SECTION_POOL, .standard_doc = UNLESS_ALONE,
     .applies = APPLIES_ALL, .doc = "Pools of servers by name. None is called targets."},
    {SECTION_ROOT, "routes", KIND_LIST, IN(conf, routes), RANGE(1, SLOTS_ROUTES), .of = SECTION_ROUTE, .standard_doc = UNLESS_ALONE,
     .applies = APPLIES_ALL, .doc = "Which requests go to which pool."},
    {SECTION_ROOT, "targets", KIND_MAP, IN(conf, targets), RANGE(0, SLOTS_SERVERS), .of = SECTION_TARGET, .standard_doc = "none",
     .applies = APPLIES_ALL, .doc = "What DNS answers about, by name; checked like servers."},
    {SECTION_ROOT, "dns", KIND_INLINE, IN(conf, dns), .of = SECTION_DNS, .applies = APPLIES_ALL, .doc = "A zone whose answers follow the checks."},
    {SECTION_ROOT, "quorum", KIND_INLINE, IN(conf, quorum), .of = SECTION_QUORUM, .applies = APPLIES_CHECKER,
     .doc = "Gateways and checkers that judge together."},

    /* ---- listen[] ---- */
    {SECTION_LISTEN, "address", KIND_ADDRESS, IN(conf_listen, text), .is_required = true, .applies = APPLIES_SUPERVISOR,
     .doc = "What to listen on. 0.0.0.0 stands for all IPv4 addresses of the machine, [::] for all IPv6 ones."},
    {SECTION_LISTEN, "backlog", KIND_UINT, IN(conf_listen, backlog), RANGE(1, 65535), .standard = "1024",
     .applies = APPLIES_SUPERVISOR, .doc = "Connections of one worker that may wait to be accepted."},
    {SECTION_LISTEN, "tls.certificates", KIND_LIST, IN(conf_listen, tls.certificates), RANGE(1, 256), .of = SECTION_CERTIFICATE,
     .standard_doc = "none: no TLS", .applies = APPLIES_ALL, .doc = "The certificates shown to clients. With one or more of them, TLS is spoken here."},
    {SECTION_LISTEN, "tls.min_version", KIND_WORD, IN(conf_listen, tls.min_version), .words = min_version_words, .standard = "1.2",
     .applies = APPLIES_WORKER, .doc = "The oldest version of TLS that is spoken."},
    {SECTION_LISTEN, "tls.client_ca", KIND_FILE, IN(conf_listen, tls.client_ca), .standard = "", .applies = APPLIES_WORKER,
     .doc = "PEM file with the authorities that may vouch for clients."},
    {SECTION_LISTEN, "tls.client_certificate", KIND_WORD, IN(conf_listen, tls.client_certificate), .words = client_cert_words,
     .standard = "none", .applies = APPLIES_WORKER,
     .doc = "Whether clients are asked for a certificate. optional: they may have none, but not a bad one."},
    {SECTION_LISTEN, "http2", KIND_BOOL, IN(conf_listen, http2), .standard = "true", .applies = APPLIES_WORKER,
     .doc = "Whether HTTP/2 is spoken besides HTTP/1.1: by agreement (ALPN) under TLS, by its preface in plain text."},
    {SECTION_LISTEN, "proxy_protocol", KIND_BOOL, IN(conf_listen, proxy_protocol), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Whether trusted_proxies begin every connection with a PROXY header (version 1 or 2) that names the client."},
    {SECTION_LISTEN, "redirect_https", KIND_BOOL, IN(conf_listen, redirect_https), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Answers every request with a redirect to the same place under https://."},
    {SECTION_LISTEN, "redirect_port", KIND_UINT, IN(conf_listen, redirect_port), RANGE(1, 65535), .standard = "443",
     .applies = APPLIES_WORKER, .doc = "The port redirect_https leads to."},

    /* ---- listen[].tls.certificates[] ---- */
    {SECTION_CERTIFICATE, "cert", KIND_FILE, IN(conf_certificate, cert), .is_required = true, .applies = APPLIES_ALL,
     .doc = "PEM file with the certificate and, after it, its chain."},
    {SECTION_CERTIFICATE, "key", KIND_FILE, IN(conf_certificate, key), .is_required = true, .is_secret = true, .applies = APPLIES_WORKER,
     .doc = "PEM file with its private key, without a passphrase."},
    {SECTION_CERTIFICATE, "ocsp", KIND_OCSP, IN(conf_certificate, ocsp), .standard = "", .applies = APPLIES_WORKER,
     .doc = "File with an OCSP response (DER or PEM) that is stapled until its nextUpdate. It is read at each reload."},

    /* ---- pools.<name> ---- */
    {SECTION_POOL, "balance", KIND_WORD, IN(conf_pool, balance), .words = schema_balance_words, .standard = "round-robin",
     .applies = APPLIES_WORKER, .doc = "How one of the healthy servers of the best tier is picked."},
    {SECTION_POOL, "hash.of", KIND_WORD, IN(conf_pool, hash_of), .words = hash_of_words, .standard = "ip",
     .applies = APPLIES_WORKER, .doc = "With balance: hash, what stays with the same server."},
    {SECTION_POOL, "hash.name", KIND_PARAMETER, IN(conf_pool, hash_name), .standard = "", .applies = APPLIES_WORKER,
     .doc = "Which header or query parameter is meant."},
    {SECTION_POOL, "connect_timeout", KIND_DURATION, IN(conf_pool, connect_timeout_ms), RANGE(1 * MS, 10 * MINUTE), .standard = "1s",
     .applies = APPLIES_WORKER, .doc = "TCP and TLS of one attempt."},
    {SECTION_POOL, "upgrade_timeout", KIND_DURATION, IN(conf_pool, upgrade_timeout_ms), RANGE(1 * MS, 10 * MINUTE), .standard = "3s",
     .applies = APPLIES_WORKER, .doc = "From a WebSocket's request sent to the head of the response, one attempt."},
    {SECTION_POOL, "first_byte_timeout", KIND_DURATION, IN(conf_pool, first_byte_timeout_ms), RANGE(1 * MS, DAY), .standard = "30s",
     .applies = APPLIES_WORKER, .doc = "From any other request sent to the head of the response, one attempt."},
    {SECTION_POOL, "between_bytes_timeout", KIND_DURATION, IN(conf_pool, between_bytes_timeout_ms), RANGE(1 * MS, DAY), .standard = "60s",
     .applies = APPLIES_WORKER, .doc = "How long a server may neither take a byte of a request's body nor send one of a response's."},
    {SECTION_POOL, "request_timeout", KIND_DURATION, IN(conf_pool, request_timeout_ms), RANGE(0, DAY), .standard = "0",
     .applies = APPLIES_WORKER, .doc = "A whole request with its response, all attempts together; not for WebSockets. 0: no limit."},
    {SECTION_POOL, "failover_timeout", KIND_DURATION, IN(conf_pool, failover_timeout_ms), RANGE(1 * MS, HOUR), .standard = "5s",
     .applies = APPLIES_WORKER, .doc = "All attempts together, before the client is told."},
    {SECTION_POOL, "max_retries", KIND_UINT, IN(conf_pool, max_retries), RANGE(0, 100), .standard = "3", .applies = APPLIES_WORKER,
     .doc = "Further attempts after the first, each on another server as long as there is one."},
    {SECTION_POOL, "retry.budget", KIND_PERCENT, IN(conf_pool, retry_budget_percent), RANGE(0, 100), .standard = "20%",
     .applies = APPLIES_WORKER, .doc = "Retries as a share of the requests of the last ten seconds; beyond it the first failure is the answer, so that a "
                                       "pool in trouble is not asked for more."},
    {SECTION_POOL, "retry.per_second", KIND_UINT, IN(conf_pool, retry_floor_per_s), RANGE(0, 10000), .standard = "10",
     .applies = APPLIES_WORKER, .doc = "Retries a worker may make whatever the share."},
    {SECTION_POOL, "http", KIND_WORD, IN(conf_pool, http), .words = over_words, .standard = "auto", .applies = APPLIES_WORKER,
     .doc = "What is spoken to the servers. auto: over TLS what the server chooses (ALPN), without it HTTP/1.1. h2 without TLS is spoken "
            "without asking first."},
    {SECTION_POOL, "keepalive.connections", KIND_UINT, IN(conf_pool, keepalive_count), RANGE(0, 10000), .standard = "32",
     .applies = APPLIES_WORKER, .doc = "Idle HTTP/1.1 connections one worker keeps to one server; those beyond are closed after a second. 0: none."},
    {SECTION_POOL, "keepalive.time", KIND_DURATION, IN(conf_pool, keepalive_ms), RANGE(1 * MS, HOUR), .standard = "60s",
     .applies = APPLIES_WORKER, .doc = "How long a connection may be idle before it is closed; better less than the servers' own time."},
    {SECTION_POOL, "keepalive.requests", KIND_UINT, IN(conf_pool, keepalive_request_count), RANGE(0, 100000000), .standard = "0",
     .applies = APPLIES_WORKER, .doc = "Requests after which a connection is not used again. 0: no limit."},
    {SECTION_POOL, "circuit.failures", KIND_UINT, IN(conf_pool, circuit_failures), RANGE(0, 10000), .standard = "5",
     .applies = APPLIES_WORKER, .doc = "Failures in a row that open a server's circuit. 0: no circuit."},
    {SECTION_POOL, "circuit.open", KIND_DURATION, IN(conf_pool, circuit_open_ms), RANGE(1 * MS, DAY), .standard = "10s",
     .applies = APPLIES_WORKER, .doc = "How long the server is left alone before it is tried again."},
    {SECTION_POOL, "circuit.half_open", KIND_UINT, IN(conf_pool, circuit_half_open_count), RANGE(1, 1000), .standard = "1",
     .applies = APPLIES_WORKER, .doc = "Attempts at a time while it is tried again."},
    {SECTION_POOL, "slow_start", KIND_DURATION, IN(conf_pool, slow_start_ms), RANGE(0, DAY), .standard = "0", .applies = APPLIES_WORKER,
     .doc = "Over which the share of a recovered server grows to its full weight. 0: at once."},
    {SECTION_POOL, "fail_open", KIND_BOOL, IN(conf_pool, fail_open), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "With no healthy server at all, try the unhealthy ones instead of refusing."},
    {SECTION_POOL, "check", KIND_INLINE, IN(conf_pool, check), .of = SECTION_CHECK, .applies = APPLIES_CHECKER,
     .doc = "How to find out whether a server works. It is read first and passed on to the servers."},
    {SECTION_POOL, "servers", KIND_LIST, IN(conf_pool, servers), RANGE(1, SLOTS_SERVERS), .of = SECTION_SERVER, .is_required = true,
     .applies = APPLIES_ALL, .doc = "The servers of the pool."},

    /* ---- pools.<name>.servers[] ---- */
    {SECTION_SERVER, "name", KIND_NAME, IN(conf_server, name), .is_required = true, .applies = APPLIES_ALL,
     .doc = "Unique in the pool. Counters and verdicts stay with the name over reloads and restarts."},
    {SECTION_SERVER, "url", KIND_URL, IN(conf_server, url), .is_required = true, .applies = APPLIES_ALL,
     .doc = "Scheme, host and port; a path is put in front of the request's."},
    {SECTION_SERVER, "region", KIND_REGION, IN(conf_server, region), .standard = "", .applies = APPLIES_ALL,
     .doc = "Where the server runs; shown in status."},
    {SECTION_SERVER, "tier", KIND_WORD, IN(conf_server, tier), .words = schema_tier_words, .standard = "primary", .applies = APPLIES_ALL,
     .doc = "A tier gets traffic only while all better ones have no server to offer."},
    {SECTION_SERVER, "weight", KIND_UINT, IN(conf_server, weight), RANGE(1, 1000), .standard = "1", .applies = APPLIES_WORKER,
     .doc = "Share of the traffic relative to the other servers of the tier."},
    {SECTION_SERVER, "max_connections", KIND_UINT, IN(conf_server, max_connections), RANGE(0, 10000000), .standard = "0",
     .applies = APPLIES_WORKER, .doc = "Tunnels to the server over all workers. 0: no limit."},
    {SECTION_SERVER, "drain", KIND_BOOL, IN(conf_server, drain), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Gives the server no new tunnels; the open ones stay."},
    {SECTION_SERVER, "tls.ca", KIND_FILE, IN(conf_server, tls.ca), .standard = "", .standard_doc = "the system's trust store",
     .applies = APPLIES_ALL, .doc = "PEM file with the authorities that may vouch for the server."},
    {SECTION_SERVER, "tls.cert", KIND_FILE, IN(conf_server, tls.cert), .standard = "", .applies = APPLIES_ALL,
     .doc = "PEM file with the certificate, and its chain, shown to the server."},
    {SECTION_SERVER, "tls.key", KIND_FILE, IN(conf_server, tls.key), .standard = "", .is_secret = true, .applies = APPLIES_ALL,
     .doc = "PEM file with the private key of tls.cert."},
    {SECTION_SERVER, "tls.server_name", KIND_HOST, IN(conf_server, tls.server_name), .standard = "",
     .standard_doc = "the host of the url", .applies = APPLIES_ALL, .doc = "The name to ask for (SNI) and to find in the server's certificate."},
    {SECTION_SERVER, "tls.verify", KIND_BOOL, IN(conf_server, tls.verify), .standard = "true", .applies = APPLIES_ALL,
     .doc = "Whether the server's certificate is checked. Without it anybody in between can read and change everything."},
    {SECTION_SERVER, "check", KIND_INLINE, IN(conf_server, check), .of = SECTION_CHECK, .inherits = true, .applies = APPLIES_CHECKER,
     .doc = "Keys of check that differ from the pool's."},

    /* ---- routes[] ---- */
    {SECTION_ROUTE, "name", KIND_LABEL, IN(conf_route, name), .standard_doc = "host and path", .applies = APPLIES_ALL,
     .doc = "Under which the route is counted and logged; unique."},
    {SECTION_ROUTE, "host", KIND_HOST_PATTERN, IN(conf_route, host), .standard = "", .applies = APPLIES_WORKER,
     .doc = "A host name without port, or *.example.com for all names below example.com. Empty: any."},
    {SECTION_ROUTE, "path", KIND_HTTP_PATH, IN(conf_route, path), .standard = "/", .applies = APPLIES_WORKER,
     .doc = "Matches itself and everything below it: /chat matches /chat and /chat/1 but not /chats. With a / at its end it "
            "matches what begins with it. A path that is one route's as it is written, and another's to a server that merges //, "
            "decodes %2F or drops ;parameters, is answered with 400."},
    {SECTION_ROUTE, "pool", KIND_POOL, IN(conf_route, pool), .is_required = true, .applies = APPLIES_WORKER,
     .doc = "The pool that serves the route."},
    {SECTION_ROUTE, "websocket.protocol", KIND_WORD, IN(conf_route, protocol), .words = schema_ws_protocol_words, .standard = "opaque",
     .applies = APPLIES_WORKER, .doc = "What is spoken inside. opaque: frames are checked and passed on, not understood, and the loss of the "
                                       "server closes the WebSocket. Any other: the session survives its server, and goes on with another one."},
    {SECTION_ROUTE, "websocket.upstream", KIND_WORD, IN(conf_route, ws_upstream), .words = over_words, .standard = "auto",
     .applies = APPLIES_WORKER, .doc = "How WebSockets travel to the server: h1, each on its own connection; h2, many on one (RFC 8441); auto, h2 where the "
                                       "server announces it. A server that cannot do it over h2 gets them over h1."},
    {SECTION_ROUTE, "websocket.idle_timeout", KIND_DURATION, IN(conf_route, idle_timeout_ms), RANGE(0, 30 * DAY), .standard = "1h",
     .applies = APPLIES_WORKER, .doc = "Closes a WebSocket when neither side has sent anything, not even a ping, for so long. 0: never."},
    {SECTION_ROUTE, "websocket.max_lifetime", KIND_DURATION, IN(conf_route, max_lifetime_ms), RANGE(0, 365 * DAY), .standard = "0",
     .applies = APPLIES_WORKER, .doc = "Closes a WebSocket that has been open for so long. 0: never."},
    {SECTION_ROUTE, "websocket.max_message", KIND_SIZE, IN(conf_route, max_message_bytes), RANGE(125, 2 * GIB), .standard = "16MiB",
     .applies = APPLIES_WORKER, .doc = "A longer message ends the WebSocket with 1009."},
    {SECTION_ROUTE, "websocket.check_utf8", KIND_BOOL, IN(conf_route, check_utf8), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Ends a WebSocket with 1007 when a text message is not UTF-8. Off, that is left to the receiver."},
    {SECTION_ROUTE, "websocket.buffer", KIND_SIZE, IN(conf_route, buffer_bytes), RANGE(4 * KIB, 64 * MIB), .standard = "64KiB",
     .applies = APPLIES_WORKER, .doc = "Bytes that may wait for a slow receiver, per direction, before the sender is paused."},
    {SECTION_ROUTE, "websocket.delivery", KIND_WORD, IN(conf_route, session.delivery), .words = delivery_words, .standard = "at-most-once",
     .applies = APPLIES_WORKER, .doc = "What happens to messages of the client that the lost server may or may not have had. at-most-once: they are "
                                       "not sent again, and who waits for an answer is told. at-least-once: they are, and a receiver may see one twice."},
    {SECTION_ROUTE, "websocket.gap", KIND_WORD, IN(conf_route, session.gap), .words = gap_words, .standard = "notice",
     .applies = APPLIES_WORKER, .doc = "What a client hears after messages for it may have been lost. notice: a message that says so, where the protocol has "
                                       "one for it; rejoin: that the channel failed, so that it joins and fetches again; silent: nothing."},
    {SECTION_ROUTE, "websocket.heartbeat", KIND_DURATION, IN(conf_route, session.heartbeat_ms), RANGE(100, HOUR), .standard = "30s",
     .applies = APPLIES_WORKER, .doc = "How often the gateway asks the server of a session for a sign of life. Those of the client it answers itself."},
    {SECTION_ROUTE, "websocket.dead_after", KIND_DURATION, IN(conf_route, session.dead_after_ms), RANGE(200, DAY), .standard = "45s",
     .applies = APPLIES_WORKER, .doc = "A server that has said nothing at all for so long is lost. Longer than heartbeat."},
    {SECTION_ROUTE, "websocket.queue", KIND_UINT, IN(conf_route, session.queue_count), RANGE(0, 100000), .standard = "100",
     .applies = APPLIES_WORKER, .doc = "Messages of one client that wait while it has no server. One more drops the oldest, which its sender hears if it waits for an answer."},
    {SECTION_ROUTE, "websocket.queue_bytes", KIND_SIZE, IN(conf_route, session.queue_bytes), RANGE(0, 1 * GIB), .standard = "1MiB",
     .applies = APPLIES_WORKER, .doc = "The same in bytes."},
    {SECTION_ROUTE, "websocket.channels", KIND_UINT, IN(conf_route, session.channel_count), RANGE(1, 100000), .standard = "100",
     .applies = APPLIES_WORKER, .doc = "Joins or subscriptions of one client. One more is refused."},
    {SECTION_ROUTE, "websocket.backoff", KIND_INLINE, IN(conf_route, session.backoff), .of = SECTION_BACKOFF, .applies = APPLIES_WORKER,
     .doc = "How a session without a server tries again."},
    {SECTION_ROUTE, "websocket.hedge_after", KIND_DURATION, IN(conf_route, session.hedge_ms), RANGE(0, HOUR), .standard = "300ms",
     .applies = APPLIES_WORKER, .doc = "A server that has not accepted a session after so long gets company: a second one is asked, and the first that accepts has it. "
                                       "One that answered so late is told what was joined a moment later: it may have been frozen. 0: never; late is 300ms then."},
    {SECTION_ROUTE, "websocket.give_up", KIND_DURATION, IN(conf_route, session.give_up_ms), RANGE(100, DAY), .standard = "30s",
     .applies = APPLIES_WORKER, .doc = "Without a server for so long, the client is told that its channels failed. Its WebSocket stays open, and what it joins "
                                       "again goes on when there is a server. mqtt has no word for that: there the WebSocket is closed with 1013."},
    {SECTION_ROUTE, "websocket.answer_within", KIND_DURATION, IN(conf_route, session.answer_ms), RANGE(100, HOUR), .standard = "8s",
     .applies = APPLIES_WORKER, .doc = "What a client asked for is answered by then, if need be with an error. Less than the ten seconds for which clients wait."},
    {SECTION_ROUTE, "websocket.wait_ready", KIND_DURATION, IN(conf_route, session.ready_wait_ms), RANGE(0, MINUTE), .standard = "0",
     .applies = APPLIES_WORKER, .doc = "phoenix: a join that asks for changes of the database is answered when these flow, or after so long. 0: when the server "
                                       "answers, which may be some seconds before the first change is told."},
    {SECTION_ROUTE, "websocket.restore", KIND_INLINE, IN(conf_route, session.restore), .of = SECTION_RESTORE, .applies = APPLIES_WORKER,
     .doc = "How fast sessions are given to the servers that are left."},
    {SECTION_ROUTE, "websocket.move", KIND_INLINE, IN(conf_route, session.move), .of = SECTION_MOVE, .applies = APPLIES_WORKER,
     .doc = "Moving sessions on purpose."},
    {SECTION_ROUTE, "websocket.quality", KIND_INLINE, IN(conf_route, session.quality), .of = SECTION_QUALITY, .applies = APPLIES_WORKER,
     .doc = "What the round trips of heartbeats are called."},
    {SECTION_ROUTE, "websocket.compression", KIND_INLINE, IN(conf_route, compression), .of = SECTION_COMPRESSION,
     .applies = APPLIES_WORKER, .doc = "Compressed messages."},
    {SECTION_ROUTE, "websocket.origins", KIND_ORIGINS, IN(conf_route, ws_origins), RANGE(0, 64), .applies = APPLIES_WORKER,
     .doc = "Origins whose pages may open WebSockets; others get 403. Who sends no Origin is no browser and passes. None: all may."},
    {SECTION_ROUTE, "limits.connections", KIND_UINT, IN(conf_route, max_connections), RANGE(0, 10000000), .standard = "0",
     .applies = APPLIES_WORKER, .doc = "WebSockets of the route over all workers. 0: no limit."},
    {SECTION_ROUTE, "limits.per_client", KIND_UINT, IN(conf_route, max_per_client), RANGE(0, 10000000), .standard = "0",
     .applies = APPLIES_WORKER, .doc = "WebSockets of one client address on the route. 0: no limit."},
    {SECTION_ROUTE, "limits.body", KIND_SIZE, IN(conf_route, max_body_bytes), RANGE(0, 1024 * GIB), .standard = "0",
     .applies = APPLIES_WORKER, .doc = "The body of a request; a longer one is refused with 413. It streams through, whatever its size. 0: no limit."},
    {SECTION_ROUTE, "retry.body", KIND_SIZE, IN(conf_route, replay_bytes), RANGE(0, 16 * MIB), .standard = "64KiB",
     .applies = APPLIES_WORKER, .doc = "How much of a request's body is kept while it streams, to send it to another server when the first fails. "
                                       "Of a longer one nothing is kept, and it is sent once."},
    {SECTION_ROUTE, "retry.idempotency_key", KIND_BOOL, IN(conf_route, retry_with_key), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Whether a POST or PATCH with an Idempotency-Key field may be sent to a second server although the first may have executed it. "
            "GET, HEAD, OPTIONS, PUT and DELETE always may."},
    {SECTION_ROUTE, "methods", KIND_TOKENS, IN(conf_route, methods), RANGE(0, 32), .applies = APPLIES_WORKER,
     .doc = "Methods that are allowed; others get 405. A WebSocket is a GET, over HTTP/2 too. None: all are."},
    {SECTION_ROUTE, "allow", KIND_CIDRS, IN(conf_route, allow), RANGE(0, 1024), .applies = APPLIES_WORKER,
     .doc = "Address blocks of clients that may use the route; others get 403. None: all may, but for those in deny."},
    {SECTION_ROUTE, "deny", KIND_CIDRS, IN(conf_route, deny), RANGE(0, 1024), .applies = APPLIES_WORKER,
     .doc = "Address blocks of clients that get 403, also when they are in allow."},
    {SECTION_ROUTE, "rewrite.strip_prefix", KIND_HTTP_PATH, IN(conf_route, strip_prefix), .standard = "", .applies = APPLIES_WORKER,
     .doc = "Comes off the path of a request before it is sent on; the route's path begins with it."},
    {SECTION_ROUTE, "rewrite.add_prefix", KIND_HTTP_PATH, IN(conf_route, add_prefix), .standard = "", .applies = APPLIES_WORKER,
     .doc = "Goes before the path, behind the path of the server's url. The query stays as it is."},
    {SECTION_ROUTE, "host_header", KIND_AUTHORITY, IN(conf_route, host_header), .standard = "client", .applies = APPLIES_WORKER,
     .doc = "The Host field for the servers. client: as the client sent it. upstream: the host of the server's url. Else this host."},
    {SECTION_ROUTE, "request_headers", KIND_INLINE, IN(conf_route, request_edits), .of = SECTION_EDITS, .applies = APPLIES_WORKER,
     .doc = "Edits to requests."},
    {SECTION_ROUTE, "response_headers", KIND_INLINE, IN(conf_route, answer_edits), .of = SECTION_EDITS, .applies = APPLIES_WORKER,
     .doc = "Edits to answers, the gateway's own included."},
    {SECTION_ROUTE, "maintenance", KIND_INLINE, IN(conf_route, maintenance), .of = SECTION_MAINTENANCE, .applies = APPLIES_WORKER,
     .doc = "The route is out of service."},
    {SECTION_ROUTE, "cors", KIND_INLINE, IN(conf_route, cors), .of = SECTION_CORS, .applies = APPLIES_WORKER,
     .doc = "Pages of other origins."},
    {SECTION_ROUTE, "rate", KIND_INLINE, IN(conf_route, rate), .of = SECTION_RATE, .applies = APPLIES_WORKER,
     .doc = "How often one client may ask."},
    {SECTION_ROUTE, "jwt", KIND_INLINE, IN(conf_route, jwt), .of = SECTION_JWT, .applies = APPLIES_WORKER,
     .doc = "The token that requests must carry."},
    {SECTION_ROUTE, "cache", KIND_INLINE, IN(conf_route, cache), .of = SECTION_CACHE, .applies = APPLIES_WORKER,
     .doc = "Answers that are kept."},

    /* ---- routes[].websocket.compression ---- */
    {SECTION_COMPRESSION, "enabled", KIND_BOOL, IN(conf_compression, is_enabled), .standard = "false", .applies = APPLIES_WORKER,
     .doc = "Whether permessage-deflate is agreed with clients that offer it."},
    {SECTION_COMPRESSION, "min_message", KIND_SIZE, IN(conf_compression, min_bytes), RANGE(0, 1 * MIB), .standard = "256B",
     .applies = APPLIES_WORKER, .doc = "Shorter messages are sent to the client as they are."},
    {SECTION_COMPRESSION, "level", KIND_UINT, IN(conf_compression, level), RANGE(1, 9), .standard = "3", .applies = APPLIES_WORKER,
     .doc = "1 is the fastest, 9 the smallest."},
    {SECTION_COMPRESSION, "context_takeover", KIND_BOOL, IN(conf_compression, keeps_context), .standard = "false",
     .applies = APPLIES_WORKER,
     .doc = "Lets a message build on the ones before it, which makes small messages of one kind much smaller. Each WebSocket then "
            "keeps its own memory, about 9 * 2^window_bits bytes and 14 KiB: 302 KiB with 15 bits, 50 KiB with 12. Without it an idle "
            "WebSocket keeps none, one whose client is in the middle of a message up to 40 KiB, and a worker 4 MiB for compressing."},
    {SECTION_COMPRESSION, "window_bits", KIND_UINT, IN(conf_compression, window_bits), RANGE(9, 15), .standard = "15",
     .applies = APPLIES_WORKER, .doc = "How far back a repetition is looked for: 2 to this power bytes."},
};
/* clang-format on */

ARRAY_FITS(conf, trusted_proxies, trusted_proxy_count);
ARRAY_FITS(conf, alerts, alert_count);
ARRAY_FITS(conf, listen, listen_count);
ARRAY_FITS(conf_listen, tls.certificates, tls.certificate_count);
ARRAY_FITS(conf, pools, pool_count);
ARRAY_FITS(conf, routes, route_count);
ARRAY_FITS(conf_pool, servers, server_count);
ARRAY_FITS(conf_route, methods, method_count);
ARRAY_FITS(conf_route, allow, allow_count);
ARRAY_FITS(conf_route, deny, deny_count);
ARRAY_FITS(conf_route, ws_origins, ws_origin_count);
ARRAY_FITS(conf_canaries, addresses, address_count);
_Static_assert(offsetof(struct conf_listen, addr) - offsetof(struct conf_listen, text) ==
                   offsetof(struct conf, admin.addr) - offsetof(struct conf, admin.text),
               "both address members have one shape");

const struct schema_row *schema_section_rows(enum schema_section s, size_t *count)
{
    const struct {
        const struct schema_row *rows;
        size_t count;
    } tables[] = {
        {rows, sizeof rows / sizeof rows[0]},        {schema_session_rows, schema_session_row_count},
        {schema_rules_rows, schema_rules_row_count}, {schema_cache_rows, schema_cache_row_count},
        {schema_check_rows, schema_check_row_count}, {schema_alert_rows, schema_alert_row_count},
        {schema_dns_rows, schema_dns_row_count},
    };
    size_t at = 0, first = 0, end;
    while (tables[at].rows[first].section != s)
        if (++first == tables[at].count) {
            first = 0;
            at++;
            ASSERT(at < sizeof tables / sizeof tables[0]);
        }
    const struct schema_row *table = tables[at].rows;
    for (end = first; end < tables[at].count && table[end].section == s; end++)
        ;
    *count = end - first;
    return &table[first];
}

bool schema_is_file(enum schema_kind k)
{
    return k == KIND_FILE || k == KIND_TEXT_FILE || k == KIND_OCSP;
}

const char *schema_word_text(const struct schema_word *words, uint32_t value)
{
    for (; words->text != NULL; words++)
        if (words->value == value)
            return words->text;
    return NULL;
}
