/* Every counter and gauge of the program, declared in one table with its Prometheus name and help.
 *
 * Each process owns one block in shared memory and is its only writer, so an increment is a plain load and store.
 * Readers sum the blocks. A block belongs to a place in the roster: a restarted worker goes on counting in the
 * block of its predecessor, with the gauges cleared. Columns: id, Prometheus name after "tidegate_", kind, help.
 * Labels come from the scope: none, route, server (pool, server), by x code for closes, status for refusals. */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/roster.h"
#include "base/slots.h"

enum stat_kind { STAT_COUNTER = 0, STAT_GAUGE, STAT_MICROSECONDS /* a counter; shown in seconds */ };

/* clang-format off */
#define STATS_PROCESS_TABLE(X)                                                                               \
    X(STAT_CLIENTS_OPEN,        "client_connections",               STAT_GAUGE,   "Client connections open now") \
    X(STAT_CLIENTS_TOTAL,       "client_connections_accepted_total", STAT_COUNTER, "Client connections accepted") \
    X(STAT_CLIENTS_OVER_LIMIT,  "client_connections_refused_total", STAT_COUNTER, "Client connections refused because a limit was reached") \
    X(STAT_TLS_HANDSHAKES,      "tls_handshakes_total",             STAT_COUNTER, "TLS handshakes with clients that succeeded") \
    X(STAT_TLS_RESUMED,         "tls_handshakes_resumed_total",     STAT_COUNTER, "Of these, those that resumed a session") \
    X(STAT_TLS_FAILED,          "tls_handshakes_failed_total",      STAT_COUNTER, "TLS handshakes with clients that failed") \
    X(STAT_REQUESTS_H1,         "http1_requests_total",             STAT_COUNTER, "Requests over HTTP/1") \
    X(STAT_REQUESTS_H2,         "http2_requests_total",             STAT_COUNTER, "Requests over HTTP/2") \
    X(STAT_ACCEPT_PAUSES,       "accept_pauses_total",              STAT_COUNTER, "Times accepting paused because descriptors ran out") \
    X(STAT_BUFFERED_BYTES,      "buffered_bytes",                   STAT_GAUGE,   "Bytes waiting for slow peers") \
    X(STAT_LOG_DROPPED,         "log_lines_dropped_total",          STAT_COUNTER, "Log lines dropped because the sink was full") \
    X(STAT_CACHE_ENTRIES,       "cache_entries",                    STAT_GAUGE,   "Answers stored in memory") \
    X(STAT_CACHE_BYTES,         "cache_bytes",                      STAT_GAUGE,   "Memory they take") \
    X(STAT_CACHE_EVICTED,       "cache_evicted_total",              STAT_COUNTER, "Answers put out of memory to make room") \
    X(STAT_CACHE_PURGED,        "cache_purged_total",               STAT_COUNTER, "Answers dropped from memory because they were purged") \
    X(STAT_CACHE_PURGES,        "cache_purges_total",               STAT_COUNTER, "Purges that workers heard of") \
    X(STAT_L2_COMMANDS,         "cache_l2_commands_total",          STAT_COUNTER, "Commands to Redis") \
    X(STAT_L2_FAILURES,         "cache_l2_failures_total",          STAT_COUNTER, "Commands to Redis that failed, deadlines included") \
    X(STAT_L2_TIMEOUTS,         "cache_l2_timeouts_total",          STAT_COUNTER, "Commands to Redis that were not answered in time") \
    X(STAT_L2_TIME_US,          "cache_l2_time_seconds_total",      STAT_MICROSECONDS, "Time that answered commands to Redis took") \
    X(STAT_L2_CONNECTED,        "cache_l2_connected",               STAT_GAUGE,   "Workers connected to Redis") \
    X(STAT_L2_CIRCUIT,          "cache_l2_circuit_open",            STAT_GAUGE,   "Workers whose circuit for Redis is open") \
    X(STAT_PROBES,              "probes_total",                     STAT_COUNTER, "Health probes finished") \
    X(STAT_PROBE_FAILURES,      "probe_failures_total",             STAT_COUNTER, "Health probes that failed") \
    X(STAT_DNS_UDP_QUERIES,     "dns_udp_queries_total",            STAT_COUNTER, "DNS packets received over UDP") \
    X(STAT_DNS_TCP_QUERIES,     "dns_tcp_queries_total",            STAT_COUNTER, "DNS messages received over TCP") \
    X(STAT_DNS_ANSWERS,         "dns_answers_total",                STAT_COUNTER, "DNS answers with what was asked for") \
    X(STAT_DNS_NODATA,          "dns_nodata_total",                 STAT_COUNTER, "DNS answers that the name has no record of the type") \
    X(STAT_DNS_NXDOMAIN,        "dns_nxdomain_total",               STAT_COUNTER, "DNS answers that there is no such name") \
    X(STAT_DNS_REFERRALS,       "dns_referrals_total",              STAT_COUNTER, "DNS answers that other servers are responsible") \
    X(STAT_DNS_REFUSED,         "dns_refused_total",                STAT_COUNTER, "DNS queries refused: transfers, other classes, names outside the zone") \
    X(STAT_DNS_ERRORS,          "dns_errors_total",                 STAT_COUNTER, "DNS answers with any other error") \
    X(STAT_DNS_MALFORMED,       "dns_malformed_total",              STAT_COUNTER, "Of these, those to queries that cannot be read") \
    X(STAT_DNS_IGNORED,         "dns_ignored_total",                STAT_COUNTER, "DNS messages that get no answer because they are no queries") \
    X(STAT_DNS_TRUNCATED,       "dns_truncated_total",              STAT_COUNTER, "DNS answers too long for UDP") \
    X(STAT_DNS_RATE_DROPPED,    "dns_rate_dropped_total",           STAT_COUNTER, "DNS answers not sent because of dns.rate") \
    X(STAT_DNS_RATE_SLIPPED,    "dns_rate_slipped_total",           STAT_COUNTER, "DNS answers cut down to a hint to use TCP because of dns.rate") \
    X(STAT_DNS_SEND_DROPPED,    "dns_send_dropped_total",           STAT_COUNTER, "DNS answers the network did not take") \
    X(STAT_DNS_TCP_OPEN,        "dns_tcp_connections",              STAT_GAUGE,   "TCP connections of DNS clients open now") \
    X(STAT_DNS_TCP_TOTAL,       "dns_tcp_connections_accepted_total", STAT_COUNTER, "TCP connections of DNS clients accepted") \
    X(STAT_DNS_TCP_REFUSED,     "dns_tcp_connections_refused_total", STAT_COUNTER, "TCP connections of DNS clients closed because a limit was reached") \
    X(STAT_ALERTS_SENT,         "alerts_sent_total",                STAT_COUNTER, "Messages of alerts delivered") \
    X(STAT_ALERTS_FAILED,       "alert_attempts_failed_total",      STAT_COUNTER, "Attempts to deliver one that failed") \
    X(STAT_ALERTS_RETRIES,      "alert_retries_total",              STAT_COUNTER, "Attempts made after another one failed") \
    X(STAT_ALERTS_DROPPED,      "alerts_dropped_total",             STAT_COUNTER, "Messages of alerts given up") \
    X(STAT_ALERTS_WAITING,      "alerts_waiting",                   STAT_GAUGE,   "Messages of alerts not delivered yet") \
    X(STAT_ALERTS_OPEN,         "alerts_open",                      STAT_GAUGE,   "What alerts told of and what lasts") \
    X(STAT_ALERTS_ACKED,        "alerts_acknowledged",              STAT_GAUGE,   "Of these, those that somebody takes care of") \
    X(STAT_PUSHES,              "dns_pushes_total",                 STAT_COUNTER, "Times a server of dns.push took the names as they are") \
    X(STAT_PUSH_FAILURES,       "dns_push_failures_total",          STAT_COUNTER, "Times it was not to be had, or refused")

#define STATS_ROUTE_TABLE(X)                                                                                 \
    X(STAT_ROUTE_REQUESTS,      "requests_total",                   STAT_COUNTER, "Requests that matched the route") \
    X(STAT_ROUTE_WS_OPEN,       "ws_connections",                   STAT_GAUGE,   "WebSockets open now")   \
    X(STAT_ROUTE_WS_OPENED,     "ws_opened_total",                  STAT_COUNTER, "WebSockets opened")     \
    X(STAT_ROUTE_UP_MESSAGES,   "ws_messages_up_total",             STAT_COUNTER, "Messages from clients to servers") \
    X(STAT_ROUTE_DOWN_MESSAGES, "ws_messages_down_total",           STAT_COUNTER, "Messages from servers to clients") \
    X(STAT_ROUTE_UP_BYTES,      "ws_bytes_up_total",                STAT_COUNTER, "Bytes from clients to servers, frame headers included") \
    X(STAT_ROUTE_DOWN_BYTES,    "ws_bytes_down_total",              STAT_COUNTER, "Bytes from servers to clients, frame headers included") \
    X(STAT_ROUTE_WS_PLAIN_BYTES, "ws_deflate_plain_bytes_total",    STAT_COUNTER, "Payload of compressed messages, both ways, as it is without compression") \
    X(STAT_ROUTE_WS_PACKED_BYTES, "ws_deflate_packed_bytes_total",  STAT_COUNTER, "The same payload, compressed, as clients send and receive it") \
    X(STAT_ROUTE_CACHE_HITS,    "cache_hits_total",                 STAT_COUNTER, "Requests answered from memory with what was fresh") \
    X(STAT_ROUTE_CACHE_STALE,   "cache_stale_served_total",         STAT_COUNTER, "Requests answered with what was stale") \
    X(STAT_ROUTE_CACHE_L2,      "cache_l2_hits_total",              STAT_COUNTER, "Requests answered with what Redis had") \
    X(STAT_ROUTE_CACHE_MISSES,  "cache_misses_total",               STAT_COUNTER, "Requests for which the origin was asked") \
    X(STAT_ROUTE_CACHE_COALESCED, "cache_coalesced_total",          STAT_COUNTER, "Requests that waited for what another one fetched") \
    X(STAT_ROUTE_CACHE_BYPASSED, "cache_bypassed_total",            STAT_COUNTER, "Requests on cached routes that were not for the cache") \
    X(STAT_ROUTE_CACHE_FETCHES, "cache_fetches_total",              STAT_COUNTER, "Times the cache asked the origin") \
    X(STAT_ROUTE_CACHE_REFRESHES, "cache_refreshes_total",          STAT_COUNTER, "Of these, those that nobody waited for") \
    X(STAT_ROUTE_CACHE_VALIDATED, "cache_validated_total",          STAT_COUNTER, "Of these, those whose answer was that nothing had changed") \
    X(STAT_ROUTE_CACHE_FAILED,  "cache_fetches_failed_total",       STAT_COUNTER, "Of these, those that failed") \
    X(STAT_ROUTE_LIMITED,       "route_refused_total",              STAT_COUNTER, "Requests refused by the route's limits") \
    X(STAT_ROUTE_NO_SERVER,     "route_no_server_total",            STAT_COUNTER, "Requests for which no server was to be had") \
    X(STAT_ROUTE_SESSIONS_CONNECTED, "sessions_connected",          STAT_GAUGE,   "Sessions whose server has everything") \
    X(STAT_ROUTE_SESSIONS_CONNECTING, "sessions_connecting",        STAT_GAUGE,   "Sessions for which a server is being asked") \
    X(STAT_ROUTE_SESSIONS_RECONNECTING, "sessions_reconnecting",    STAT_GAUGE,   "Sessions that a server has taken and is being told of") \
    X(STAT_ROUTE_SESSIONS_DISCONNECTED, "sessions_disconnected",    STAT_GAUGE,   "Sessions without a server, for which none is asked right now") \
    X(STAT_ROUTE_SESSION_LOSSES, "session_failovers_total",         STAT_COUNTER, "Times a session lost its server") \
    X(STAT_ROUTE_SESSION_MOVES, "session_moves_total",              STAT_COUNTER, "Times a session was moved to another server on purpose") \
    X(STAT_ROUTE_SESSION_GIVEN_UP, "session_given_up_total",        STAT_COUNTER, "Times a session was without a server for so long that its client was told") \
    X(STAT_ROUTE_SESSION_RESTORES, "session_joins_replayed_total",  STAT_COUNTER, "Joins and subscriptions replayed to another server") \
    X(STAT_ROUTE_SESSION_RESTORES_FAILED, "session_joins_refused_total", STAT_COUNTER, "Of these, those a server refused") \
    X(STAT_ROUTE_SESSION_QUEUED, "session_messages_queued_total",   STAT_COUNTER, "Messages of clients that waited for a server") \
    X(STAT_ROUTE_SESSION_DROPPED, "session_messages_dropped_total", STAT_COUNTER, "Of these, those dropped because too many waited, or too long") \
    X(STAT_ROUTE_SESSION_UNKNOWN, "session_messages_unknown_total", STAT_COUNTER, "Messages of clients a lost server may or may not have had, not sent again") \
    X(STAT_ROUTE_SESSION_RESENT, "session_messages_resent_total",   STAT_COUNTER, "Such messages that were sent again") \
    X(STAT_ROUTE_SESSION_POISONED, "session_messages_poisoned_total", STAT_COUNTER, "Messages dropped because two servers were lost after them") \
    X(STAT_ROUTE_SESSION_DUPLICATES, "session_duplicates_total",    STAT_COUNTER, "Messages for clients that had come from another server already, suppressed") \
    X(STAT_ROUTE_SESSION_GAPS, "session_gaps_total",                STAT_COUNTER, "Times a client was told that messages for it may be missing") \
    X(STAT_ROUTE_SESSION_REPAIRED, "session_closes_repaired_total", STAT_COUNTER, "Closes of channels that became errors, from which clients recover") \
    X(STAT_ROUTE_SESSION_BEATS, "session_heartbeats_total",         STAT_COUNTER, "Heartbeats of clients answered by the gateway")

#define STATS_SERVER_TABLE(X)                                                                                \
    X(STAT_SERVER_OPEN,         "server_connections",               STAT_GAUGE,   "WebSockets and requests under way to the server now") \
    X(STAT_SERVER_ATTEMPTS,     "server_attempts_total",            STAT_COUNTER, "Attempts to reach the server") \
    X(STAT_SERVER_FAILURES,     "server_failures_total",            STAT_COUNTER, "Attempts and tunnels that failed by the server's fault") \
    X(STAT_SERVER_REFUSALS,     "server_refusals_total",            STAT_COUNTER, "Upgrades the server itself refused") \
    X(STAT_SERVER_RETRIES,      "server_retries_total",             STAT_COUNTER, "Attempts made after another one failed") \
    X(STAT_SERVER_CONNECTS,     "server_connections_opened_total",  STAT_COUNTER, "Connections opened to the server") \
    X(STAT_SERVER_REUSES,       "server_connections_reused_total",  STAT_COUNTER, "Requests that went over a connection that was there") \
    X(STAT_SERVER_CIRCUIT_OPENS, "circuit_opens_total",             STAT_COUNTER, "Times the server's circuit opened") \
    X(STAT_SERVER_CIRCUIT,      "circuit_state",                    STAT_GAUGE,   "Workers whose circuit for the server is not closed")

/* Who ended a WebSocket. */
#define CLOSED_BY_TABLE(X)                                                                                   \
    X(CLOSED_BY_CLIENT, "client")                                                                            \
    X(CLOSED_BY_UPSTREAM, "upstream")                                                                        \
    X(CLOSED_BY_GATEWAY, "gateway")                                                                          \
    X(CLOSED_BY_TIMEOUT, "timeout")                                                                          \
    X(CLOSED_BY_DRAIN, "drain")                                                                              \
    X(CLOSED_BY_LIMIT, "limit")

enum stat_process {
#define X(id, name, kind, help) id,
    STATS_PROCESS_TABLE(X)
#undef X
    STAT_PROCESS_COUNT
};
enum stat_route {
#define X(id, name, kind, help) id,
    STATS_ROUTE_TABLE(X)
#undef X
    STAT_ROUTE_COUNT
};
enum stat_server {
#define X(id, name, kind, help) id,
    STATS_SERVER_TABLE(X)
#undef X
    STAT_SERVER_COUNT
};
enum closed_by {
#define X(id, name) id,
    CLOSED_BY_TABLE(X)
#undef X
    CLOSED_BY_COUNT
};
/* clang-format on */
const char *closed_by_text(enum closed_by by);

#define STATS_CODE_COUNT   24u /* 0: none (no close frame), 1000..1015 one each, then one per thousand */
#define STATS_STATUS_COUNT 600u
#define STATS_CLIENT_CELLS 16384u
enum stats_client { STATS_CLIENT_ANYWHERE = 0, STATS_CLIENT_ON_ROUTE, STATS_CLIENT_COUNT };

/* Row of a close code: exact for 0 and 1000-1015, else "1xxx".."4xxx", else "other". */
uint32_t stats_code_row(uint16_t code);
const char *stats_code_text(uint32_t row); /* NULL for an unused row */

typedef _Atomic uint64_t stat_cell;

/* How long sessions were without a server: a histogram with these upper bounds. */
/* clang-format off */
#define STATS_RECOVERY_TABLE(X) \
    X(10) X(25) X(50) X(100) X(250) X(500) X(1000) X(2500) X(5000) X(10000) X(30000)
/* clang-format on */
enum {
#define X(ms) STATS_RECOVERY_UNDER_##ms,
    STATS_RECOVERY_TABLE(X)
#undef X
        STATS_RECOVERY_LONGER,
    STATS_RECOVERY_SUM_MS, /* of all of them together */
    STATS_RECOVERY_COUNT
};
extern const int64_t stats_recovery_bounds_ms[STATS_RECOVERY_LONGER];

#define STATS_BUCKETS 65536u /* a power of two */

#define STATS_MAGIC 0x57a75b10u
struct stats_block {
    stat_cell process[STAT_PROCESS_COUNT];
    stat_cell route[SLOTS_ROUTES][STAT_ROUTE_COUNT];
    stat_cell server[SLOTS_SERVERS][STAT_SERVER_COUNT];
    stat_cell closes[CLOSED_BY_COUNT][STATS_CODE_COUNT];
    stat_cell recovery[SLOTS_ROUTES][STATS_RECOVERY_COUNT];
    stat_cell responses[STATS_STATUS_COUNT]; /* answers the gateway itself gave, by HTTP status */
    /* gauges: clients by address, and by address and route; see gateway/net/seats.h */
    _Atomic uint16_t client[STATS_CLIENT_COUNT][2][STATS_CLIENT_CELLS];
};
struct stats {
    uint32_t magic;
    uint8_t client_key[16]; /* secret of the hash that finds a client's cells; the same for all workers */
    _Atomic uint64_t bucket[STATS_BUCKETS]; /* rate limits; all workers write: see gateway/rules/rate.c */
    struct stats_block block[ROSTER_ROWS];
};

/* The owner's increment; `delta` may be negative for gauges. */
static inline void stat_add(stat_cell *c, int64_t delta)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + (uint64_t)delta, memory_order_relaxed);
}
static inline uint64_t stat_get(const stat_cell *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

/* A session was without a server for so long. */
void stats_recovered(struct stats_block *b, int route_slot, int64_t time_ms);

void stats_init(struct stats *s); /* supervisor, once */
void stats_clear_gauges(struct stats_block *b);
void stats_clear_server(struct stats *s, int slot); /* when a row changes its owner */
void stats_clear_route(struct stats *s, int slot);
uint64_t stats_sum_process(const struct stats *s, enum stat_process id);
uint64_t stats_sum_route(const struct stats *s, int slot, enum stat_route id);
uint64_t stats_sum_server(const struct stats *s, int slot, enum stat_server id);
uint64_t stats_sum_recovery(const struct stats *s, int slot, uint32_t row); /* of the enum above */
uint64_t stats_sum_closes(const struct stats *s, enum closed_by by, uint32_t row);
uint64_t stats_sum_responses(const struct stats *s, uint32_t status);

/* Name, kind and help of each scope's rows, for whoever prints them. */
struct stat_info {
    const char *name;
    enum stat_kind kind;
    const char *help;
};
extern const struct stat_info stat_process_info[STAT_PROCESS_COUNT];
extern const struct stat_info stat_route_info[STAT_ROUTE_COUNT];
/* Whether it is about sessions: nothing to show on a route that has none. */
static inline bool stat_route_is_session(enum stat_route id)
{
    return id >= STAT_ROUTE_SESSIONS_CONNECTED && id <= STAT_ROUTE_SESSION_BEATS;
}
extern const struct stat_info stat_server_info[STAT_SERVER_COUNT];

#endif
