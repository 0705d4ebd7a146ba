/* One attempt to reach one server: connect, TLS, send a request head, read the head of the answer.
 *
 * The attempt has two deadlines of its own (pool_conf: connect_timeout_ms up to the end of TLS, upgrade_timeout_ms from
 * there to the end of the head) under one from the caller. When a server has several addresses and one refuses or
 * cannot be reached, the next is tried within the same attempt. What the answer means is the caller's business. */
#ifndef GATEWAY_UPSTREAM_DIAL_H
#define GATEWAY_UPSTREAM_DIAL_H

#include <stdint.h>

#include "gateway/http/h1.h"
#include "gateway/net/conn.h"
#include "gateway/upstream/server.h"

struct dial;

/* How far the attempt got; the name is for the log. */
enum dial_phase { DIAL_RESOLVE = 0, DIAL_CONNECT, DIAL_ANSWER };
const char *dial_phase_text(enum dial_phase p);

struct dial_result {
    enum err error;               /* ERR_NONE: an answer came */
    enum dial_phase phase;        /* of the failure */
    bool is_cut_short;            /* the caller's deadline came before the attempt's own */
    const char *detail;           /* of the failure, "" when there is nothing to add; borrowed for the call */
    struct conn *conn;            /* of a success: now the callee's, paused */
    const struct http_head *head; /* borrowed for the call, as the bytes are */
    const uint8_t *rest;          /* what came behind the head */
    size_t rest_bytes;
};
/* Exactly one call per dial, never before dial_start() returns; the dial is gone when it returns. */
typedef void dial_fn(void *arg, const struct dial_result *r);

/* `request` is sent as it is, and copied. At `deadline_ms` (loop time) the attempt ends at the latest. Keeps a
 * reference to `s`. */
struct dial *dial_start(struct net *n, struct server *s, const void *request, size_t request_bytes, int64_t deadline_ms,
                        dial_fn *fn, void *arg);
void dial_cancel(struct dial **dp); /* no callback after this */

#endif
