/* The http and websocket probes: libwebsockets asks, this file judges what it reports.
 *
 * http: status and fields of the response to a GET decide; the body is read only when a text is to be found in it, and
 * no further than that. websocket: the upgrade decides, or, when the probe is to speak, the answer to a ping with the
 * same payload (RFC 6455 section 5.5.3) or to a heartbeat of Phoenix Channels. What the server sends besides is
 * ignored, but does not count as an answer. After the heartbeat a canary may follow (canary.h), with a second
 * connection to its peer; it can only make the answer worse, never the latency. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "health/checker/canary_line.h"
#include "health/checker/lws_priv.h"
#include "health/checker/matches.h"
#include "health/checker/phoenix.h"

#define DETAIL_BYTES 64u

enum phase { PHASE_CONNECT = 0, PHASE_TLS, PHASE_RESPONSE, PHASE_BODY, PHASE_PONG, PHASE_HEARTBEAT, PHASE_CANARY };
static const char *const phase_texts[] = {
    [PHASE_CONNECT] = "connection",
    [PHASE_TLS] = "tls handshake",
    [PHASE_RESPONSE] = "response",
    [PHASE_BODY] = "body",
    [PHASE_PONG] = "pong",
    [PHASE_HEARTBEAT] = "heartbeat reply",
    [PHASE_CANARY] = "reply to the join (canary)",
};

struct probe_lws {
    struct probe base;
    struct lws_host *host;
    struct lws_conn *conn; /* NULL once the answer is found */
    enum phase phase;
    bool is_websocket;
    enum conf_speak speak;
    struct matches *matches; /* http */
    struct probe_expiry expiry;
    bool must_speak;
    struct phoenix_reader reader;
    bool has_canary; /* by configuration */
    struct canary_line line;
    int64_t timeout_ms;
    uint32_t heartbeat_us; /* until the heartbeat's reply */
};

static const char ping_payload[] = "tidegate";
#define PING_LEN (sizeof ping_payload - 1)

static struct probe_lws *lws_of(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    ASSERT(p->ops == &probe_lws_ops);
    return (struct probe_lws *)(void *)p;
}

static void set_phase(struct probe_lws *q, enum phase phase)
{
    q->phase = phase;
    q->base.waiting_for = phase_texts[phase];
}

/* Gives the answer and leaves the connection to close itself. */
static void finish(struct probe_lws *q, enum err e, const char *detail)
{
    probe_finish(&q->base, e, detail);
    if (q->conn != NULL)
        lws_conn_leave(&q->conn);
    canary_line_leave(&q->line);
}

/* ---- canary ---- */

static const char no_peer[] = "canary: the peer cannot be asked";

/* Healthy, as far as the heartbeat says. */
static void finish_without_peer(struct probe_lws *q)
{
    finish(q, ERR_NONE, NULL);
    q->base.result.is_peer_lost = true;
    snprintf(q->base.result.cause, sizeof q->base.result.cause, "%s", no_peer);
}

static void conclude_canary(struct probe_lws *q, enum canary_outcome outcome, const char *refusal)
{
    if (outcome == CANARY_OPEN)
        return;
    lws_callback_on_writable(q->conn->wsi); /* to say good-bye */
    if (outcome == CANARY_UNKNOWN)
        finish_without_peer(q);
    else
        finish(q, outcome == CANARY_CROSSED ? ERR_NONE : ERR_PROTOCOL, outcome == CANARY_CROSSED ? NULL : refusal);
    q->base.result.latency_us = q->heartbeat_us;
}

/* After whatever happened on either side. */
static void settle_canary(void *arg)
{
    struct probe_lws *q = arg;

    if (q->phase != PHASE_CANARY || q->base.is_finished)
        return;
    canary_line_poke(&q->line, q->conn);
    conclude_canary(q, canary_outcome(q->line.canary), "canary: join refused");
}

static void start_canary(struct probe_lws *q, const struct probe_plan *plan)
{
    const char *topic = plan->check->canary_topic;

    q->has_canary = q->speak == SPEAK_PHOENIX && topic != NULL && topic[0] != '\0';
    q->timeout_ms = plan->check->timeout_ms;
    if (q->has_canary && plan->peer.host != NULL && !q->base.is_finished)
        canary_line_open(&q->line, q->base.loop, &plan->peer, topic, settle_canary, q);
}

static void on_heartbeat_reply(struct probe_lws *q)
{
    if (q->line.canary != NULL) {
        q->heartbeat_us = probe_elapsed_us(&q->base);
        set_phase(q, PHASE_CANARY);
        canary_up(q->line.canary, CANARY_HERE);
        settle_canary(q);
        return;
    }
    lws_callback_on_writable(q->conn->wsi);
    if (q->has_canary)
        finish_without_peer(q);
    else
        finish(q, ERR_NONE, NULL);
}

/* ---- events; each returns nonzero to close the connection ---- */

static int on_connected(struct probe_lws *q)
{
    set_phase(q, q->host->tls != NULL ? PHASE_TLS : PHASE_RESPONSE);
    return 0;
}

/* The value of a field, or NULL; lives in `value`. Names that libwebsockets knows are found by its number for them,
 * others by their text. */
static const char *field(struct lws *wsi, const char *name, char *value, int cap)
{
    char key[MATCHES_NAME_BYTES + 2];
    int len = snprintf(key, sizeof key, "%s:", name), found = -1;
    const unsigned char *known;

    for (int i = 0; (known = lws_token_to_string((enum lws_token_indexes)i)) != NULL; i++)
        if (strcmp((const char *)known, key) == 0)
            found = lws_hdr_total_length(wsi, (enum lws_token_indexes)i) > 0
                        ? lws_hdr_copy(wsi, value, cap, (enum lws_token_indexes)i)
                        : -1;
    if (found < 0)
        found = lws_hdr_custom_copy(wsi, value, cap, key, len);
    return found >= 0 ? value : NULL;
}

static bool are_fields_good(struct probe_lws *q, char *detail)
{
    char value[MATCHES_VALUE_BYTES];

    for (size_t i = 0; i < matches_field_count(q->matches); i++) {
        const char *name = matches_field_name(q->matches, i);
        if (matches_field(q->matches, i, field(q->conn->wsi, name, value, sizeof value)))
            continue;
        snprintf(detail, DETAIL_BYTES, "header %s is not as expected", name);
        return false;
    }
    return true;
}

/* False after giving the answer that the certificate ends too soon. */
static bool is_certificate_good(struct probe_lws *q)
{
    if (q->host->tls == NULL)
        return true;
    int64_t ends_ms = tls_lend_peer_ends_ms(q->host->tls, lws_get_ssl(lws_get_network_wsi(q->conn->wsi)));
    if (probe_certificate(&q->base, &q->expiry, ends_ms))
        return true;
    finish(q, ERR_TLS_VERIFY, NULL);
    return false;
}

static int on_status(struct probe_lws *q)
{
    char detail[DETAIL_BYTES];
    unsigned status = lws_http_client_http_response(q->conn->wsi);

    if (q->is_websocket && status == 101)
        return 0; /* the rest of the head is judged by libwebsockets */
    if (q->is_websocket || !matches_status(q->matches, status)) {
        snprintf(detail, sizeof detail, "status %u", status);
        finish(q, ERR_PROTOCOL, detail);
        return -1;
    }
    if (!is_certificate_good(q))
        return -1;
    if (!are_fields_good(q, detail)) {
        finish(q, ERR_PROTOCOL, detail);
        return -1;
    }
    if (matches_wants_body(q->matches)) {
        set_phase(q, PHASE_BODY);
        return 0;
    }
    finish(q, ERR_NONE, NULL);
    return -1;
}

/* Bytes of the body wait; reading them calls back with each piece. */
static int on_body(struct probe_lws *q)
{
    char buffer[LWS_PRE + 4096];
    char *at = buffer + LWS_PRE;
    int len = sizeof buffer - LWS_PRE;
    struct lws *wsi = q->conn->wsi;

    return lws_http_client_read(wsi, &at, &len) < 0 ? -1 : 0;
}

static int on_body_piece(struct probe_lws *q, const char *data, size_t len)
{
    switch (matches_body(q->matches, data, len)) {
    case MATCH_OPEN:
        return 0;
    case MATCH_GOOD:
        finish(q, ERR_NONE, NULL);
        return -1;
    case MATCH_BAD:
        finish(q, ERR_PROTOCOL, "body without the text expected");
        return -1;
    }
    return -1;
}

static int on_body_end(struct probe_lws *q)
{
    finish(q, ERR_PROTOCOL, "body without the text expected");
    return -1;
}

static int on_upgraded(struct probe_lws *q)
{
    if (!is_certificate_good(q))
        return -1;
    lws_callback_on_writable(q->conn->wsi);
    if (q->speak == SPEAK_NOTHING) {
        finish(q, ERR_NONE, NULL);
        return 0;
    }
    set_phase(q, q->speak == SPEAK_PING ? PHASE_PONG : PHASE_HEARTBEAT);
    q->must_speak = true;
    return 0;
}

static int on_writable(struct probe_lws *q)
{
    static const char heartbeat[] = PHOENIX_HEARTBEAT;
    unsigned char frame[LWS_PRE + sizeof heartbeat];
    bool is_ping = q->speak == SPEAK_PING;
    size_t len = is_ping ? PING_LEN : sizeof heartbeat - 1;

    if (q->phase == PHASE_CANARY)
        return canary_line_say(&q->line, q->conn->wsi, CANARY_HERE);
    if (!q->must_speak)
        return 0;
    q->must_speak = false;
    memcpy(frame + LWS_PRE, is_ping ? ping_payload : heartbeat, len);
    return lws_write(q->conn->wsi, frame + LWS_PRE, len, is_ping ? LWS_WRITE_PING : LWS_WRITE_TEXT) < 0 ? -1 : 0;
}

/* A piece of a message. */
static int on_message(struct probe_lws *q, const char *data, size_t len)
{
    if (q->phase == PHASE_CANARY) {
        canary_line_hear(&q->line, q->conn->wsi, CANARY_HERE, data, len);
        settle_canary(q);
        return 0;
    }
    if (q->phase != PHASE_HEARTBEAT)
        return 0;
    switch (phoenix_read(&q->reader, data, len, lws_is_whole(q->conn->wsi))) {
    case PHOENIX_OTHER:
        return 0;
    case PHOENIX_REPLY_OK:
        on_heartbeat_reply(q);
        return 0;
    case PHOENIX_REPLY_ERROR:
        lws_callback_on_writable(q->conn->wsi);
        finish(q, ERR_PROTOCOL, "heartbeat answered with an error");
        return 0;
    }
    return 0;
}

static int on_pong(struct probe_lws *q, const void *data, size_t len)
{
    if (len != PING_LEN || memcmp(data, ping_payload, PING_LEN) != 0)
        return 0; /* unsolicited, which RFC 6455 allows */
    lws_callback_on_writable(q->conn->wsi);
    finish(q, ERR_NONE, NULL);
    return 0;
}

/* libwebsockets shows 1002 in place of every code it does not know, 1012 among them. */
static int on_peer_close(struct probe_lws *q, const unsigned char *data, size_t len)
{
    char detail[DETAIL_BYTES] = "close frame";
    unsigned code = len >= 2 ? (unsigned)data[0] << 8 | data[1] : 0;

    if (code != 0 && code != LWS_CLOSE_STATUS_PROTOCOL_ERR)
        snprintf(detail, sizeof detail, "close frame %u", code);
    finish(q, ERR_EOF, detail);
    return 0;
}

static void fail_tls(struct probe_lws *q)
{
    const char *text;
    enum err e = tls_lend_failure(q->host->tls, lws_get_ssl(q->conn->wsi), &text);

    finish(q, e, text);
}

/* It failed before it was established. Why a connection did not come about, libwebsockets does not tell. */
static int on_failed(struct probe_lws *q, const char *says, size_t len)
{
    char detail[DETAIL_BYTES];
    bool is_alerted = q->host->tls != NULL && tls_lend_alert(q->host->tls) != NULL;

    if (q->phase == PHASE_CONNECT) {
        finish(q, ERR_UNREACHABLE, "no connection");
    } else if (q->phase == PHASE_TLS || is_alerted) {
        fail_tls(q);
    } else {
        snprintf(detail, sizeof detail, "%.*s", (int)(len < DETAIL_BYTES ? len : DETAIL_BYTES),
                 says != NULL ? says : "");
        finish(q, ERR_PROTOCOL, says != NULL ? detail : NULL);
    }
    return 0;
}

static int on_closed(struct probe_lws *q)
{
    char detail[DETAIL_BYTES];

    snprintf(detail, sizeof detail, "while waiting for %s", q->base.waiting_for);
    finish(q, ERR_EOF, detail);
    return 0;
}

static int on_event(void *arg, struct lws_conn *c, enum lws_callback_reasons reason, void *in, size_t len)
{
    struct probe_lws *q = lws_of(arg);

    q->conn = c;
    switch ((int)reason) { /* of some hundred, those that concern a client */
    case LWS_CALLBACK_WSI_CREATE:
        return on_connected(q);
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        set_phase(q, PHASE_RESPONSE);
        return lws_say_who_asks(in, len);
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
        return on_status(q);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        return on_upgraded(q);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return on_writable(q);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return on_message(q, in, len);
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
        return on_body(q);
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
        return on_body_piece(q, in, len);
    case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
        return on_body_end(q);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        return on_pong(q, in, len);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return on_peer_close(q, in, len);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        return on_failed(q, in, len);
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
        return on_closed(q);
    default:
        return 0;
    }
}

/* ---- life ---- */

static void start(struct probe *p, const struct probe_plan *plan)
{
    struct probe_lws *q = lws_of(p);
    struct lws_question question = {.addr = plan->addr,
                                    .host_header = plan->host_header,
                                    .path = plan->check->path,
                                    .is_websocket = plan->check->type == CHECK_WEBSOCKET};
    const char *why;

    q->host = plan->host;
    q->is_websocket = plan->check->type == CHECK_WEBSOCKET;
    q->speak = plan->check->speak;
    q->matches = matches_create(plan->check);
    q->expiry = probe_expiry_of(plan->check);
    q->conn = lws_conn_open(plan->host, &question, on_event, p, &why);
    if (q->conn == NULL)
        probe_finish(p, ERR_UNREACHABLE, why);
    else if (p->is_finished)
        lws_conn_leave(&q->conn);
    start_canary(q, plan);
}

/* The peer may be what is late; then the heartbeat has to do. */
static void expire(struct probe *p)
{
    struct probe_lws *q = lws_of(p);

    if (q->phase == PHASE_CANARY)
        conclude_canary(q, canary_expire(q->line.canary, loop_now_ms(p->loop), q->timeout_ms),
                        "canary: no broadcast from peer");
}

static void stop(struct probe *p)
{
    struct probe_lws *q = lws_of(p);

    if (q->conn != NULL)
        lws_conn_kill(&q->conn);
    canary_line_close(&q->line);
    matches_destroy(&q->matches);
}

const struct probe_ops probe_lws_ops = {
    .size_bytes = sizeof(struct probe_lws), .start = start, .stop = stop, .expire = expire};
