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
#include "conf/conf_cache.h"
#include "conf/conf_dns.h"
#include "conf/conf_server.h"
#include "conf/conf_session.h"

enum conf_access_format { ACCESS_FORMAT_EVENT = 0, ACCESS_FORMAT_JSON, ACCESS_FORMAT_COMBINED };
enum conf_access_query { ACCESS_QUERY_MASKED = 0, ACCESS_QUERY_WHOLE, ACCESS_QUERY_NONE };
/* off: the fields pass like any other; continue: a trace that is there goes on; start: and one begins where there is
 * none. */
enum conf_trace_mode { TRACE_OFF = 0, TRACE_CONTINUE, TRACE_START };
enum conf_trace_from { TRACE_FROM_ANYONE = 0, TRACE_FROM_TRUSTED };
enum conf_journal_sync { JOURNAL_SYNC_SECOND = 0, JOURNAL_SYNC_EACH, JOURNAL_SYNC_NEVER };
enum conf_alert_form { ALERT_FORM_GENERIC = 0, ALERT_FORM_SLACK, ALERT_FORM_PAGERDUTY };
enum conf_starttls { STARTTLS_REQUIRED = 0, STARTTLS_OFF };
enum conf_host_header { HOST_HEADER_CLIENT = 0, HOST_HEADER_UPSTREAM, HOST_HEADER_LITERAL };

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

static inline bool conf_edits_are_none(const struct conf_edits *e)
{
    return e->set_count == 0 && e->add_count == 0 && e->remove_count == 0;
}

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

struct conf_route {
    const char *name; /* given, or host + path */
    const char *host; /* "" = any; "*.example.com" = one or more labels */
    const char *path; /* prefix on segment borders unless it ends in "/" */
    size_t pool;      /* index */
    enum conf_ws_protocol protocol;
    enum conf_over ws_upstream; /* how WebSockets travel to the server */
    struct conf_session session;
    int64_t idle_timeout_ms; /* 0 = none; nothing in either direction */
    int64_t max_lifetime_ms; /* 0 = none */
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
        const char *zone_name;    /* in its place; "" = none. The file is read by who uses it: base/tz.h */
    } quiet;
    struct {
        int64_t after_ms;
        const char *to; /* name of another one; "" = nobody */
    } escalate;
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
/* The same from the file that came with MSG_CONF, conf_seal()'s text in a sealed descriptor; `fd` stays the caller's,
 * and -1 is complained about. The text, which holds the content of key files, is wiped. */
struct conf *conf_load_sealed(int fd, struct conf_errors *errors);
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
/* "zone at server": what events about a server that is told of changes are about; returns `out`. */
const char *conf_push_subject(const struct conf_dns_push *push, char *out, size_t cap_bytes);
bool conf_has_steered_records(const struct conf *c);

/* How many workers there are: none without listeners. */
uint32_t conf_worker_count(const struct conf *c);

/* Whether `peer` is one of trusted_proxies: what it says about its clients is believed, and it may be many of them. */
bool conf_is_trusted(const struct conf *c, const struct addr *peer);

/* Whether there is any key a token could be checked with; without, the route wants no token. */
bool conf_jwt_is_on(const struct conf_jwt *j);

/* Text of the enums, as written in the file. */
const char *conf_tier_text(enum conf_tier t);
const char *conf_ws_protocol_text(enum conf_ws_protocol p);
const char *conf_balance_text(enum conf_balance b);

#endif
