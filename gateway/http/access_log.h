/* The access log: one line for each request and each WebSocket that is over, whatever happened to it.
 *
 * Three forms: events (lines of the log, as all others), JSON objects, and the combined form of web servers with more
 * fields behind. They go to the log, or to a file of their own, whose descriptor the supervisor hands in. Peers choose
 * much of the text: it is escaped, bounded, and values of query parameters that look like credentials are masked. */
#ifndef GATEWAY_HTTP_ACCESS_LOG_H
#define GATEWAY_HTTP_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "gateway/http/head.h"

/* Text without data, -1 times and zero WebSocket members are left out (combined: "-"). */
struct access_record {
    int64_t begun_wall_ms; /* when the request came */
    struct http_view id;
    struct http_view client; /* address */
    struct http_view user;   /* whom its token names */
    struct http_view method;
    struct http_view scheme; /* http, https */
    struct http_view host;
    struct http_view path;
    struct http_view query;
    uint8_t major_version; /* of the client's HTTP; 0: it never said */
    uint8_t minor_version;
    struct http_view tls; /* "TLSv1.3" */
    struct http_view user_agent;
    struct http_view referer;
    struct http_view trace_id;
    struct http_view span_id;
    struct http_view parent_id;

    struct http_view route;
    struct http_view server; /* the last one tried: "pool/server" */
    struct http_view cache;  /* hit, miss, ... */
    struct http_view reason; /* why it ended as it did; a few words */
    uint16_t status;         /* 101: a WebSocket, whatever it came over; 499: the client left first */
    uint32_t attempt_count;
    uint64_t in_bytes;  /* of the request's body */
    uint64_t out_bytes; /* of the answer's body */
    int64_t duration_ms;
    int64_t first_byte_ms; /* until the answer began; -1: it did not */
    int64_t upstream_ms;   /* of that, the last attempt; -1: none */

    /* A WebSocket that was open. `status` is 101, `duration_ms` includes the handshake. */
    struct {
        bool was_open;
        uint16_t code;
        const char *by;    /* closed_by_text(); static, as `phase` is */
        const char *phase; /* open, closing, closed: how far the peers' own handshake got */
        uint64_t up_messages, up_bytes;
        uint64_t down_messages, down_bytes;
    } websocket;
};

/* A record packed for the long time until its line is written, when the request's head is gone: text bounded as the log
 * would bound it, numbers of the handshake; bytes and WebSocket members are not kept. A few hundred bytes, as an open
 * WebSocket has one. */
struct access_kept;
struct access_kept *access_record_keep(const struct access_record *r);
/* Fills `to`, whose text looks into `k`. */
void access_record_restore(struct access_record *to, const struct access_kept *k);
void access_kept_free(struct access_kept **kp);

/* Where the lines go; one per process. */
struct access_log;

struct access_log *access_log_create(void); /* to the log */
void access_log_destroy(struct access_log **ap);
/* From now on lines go to `fd` (taken), or, with -1, to the log. */
void access_log_use_fd(struct access_log *a, int fd);
/* Lines that its file did not take; those that went to the log are counted there. */
uint64_t access_log_dropped_count(const struct access_log *a);
/* False: what a line would be made of need not be gathered. */
static inline bool access_log_is_wanted(const struct conf *c)
{
    return c->log.access;
}
/* Writes the line, if `c` wants one (log.access, log.access_format, log.access_query). */
void access_log_write(struct access_log *a, const struct conf *c, const struct access_record *r);

#endif
