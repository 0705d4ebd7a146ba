/* The http probe over HTTP/2 (RFC 9113): one GET on a connection of its own, chosen by ALPN over TLS, by prior
 * knowledge without.
 *
 * libwebsockets could speak it as well, but does not keep the fields it has no number for, which a check may ask about;
 * so the client is the one that the traffic uses. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/http/h2_client.h"
#include "health/checker/contact.h"
#include "health/checker/matches.h"
#include "health/checker/probe.h"

#define DETAIL_BYTES 64u

static const char user_agent[] = "tidegate/" TIDEGATE_VERSION;
static const char wrong_body[] = "body without the text expected";

/* More than matches_body() looks through may be on its way at once, and no more. */
static const struct h2_client_limits limits = {
    .stream_count = 1,
    .header_bytes = 65536,
    .field_count = HTTP_MAX_FIELDS,
    .stream_window_bytes = 2 * MATCHES_BODY_BYTES,
    .connection_window_bytes = 2 * MATCHES_BODY_BYTES,
    .queue_bytes = 16384,
};

struct probe_h2 {
    struct probe base;
    struct contact contact;
    char *authority, *path;
    bool is_tls;
    struct matches *matches;
    struct h2_client *h2; /* NULL: not connected yet */
};

static struct probe_h2 *h2_of(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    ASSERT(p->ops == &probe_h2_ops);
    return (struct probe_h2 *)(void *)p;
}

/* ---- the answer; events of the session ---- */

static bool is_field_good(const struct probe_h2 *q, size_t i, const struct http_head *head)
{
    char value[MATCHES_VALUE_BYTES];
    const char *name = matches_field_name(q->matches, i);

    for (uint32_t k = 0; k < head->field_count; k++) {
        const struct http_field *f = &head->fields[k];
        if (!http_view_is_nocase(f->name, name))
            continue;
        snprintf(value, sizeof value, "%.*s", (int)(f->value.len < sizeof value ? f->value.len : sizeof value - 1),
                 f->value.data);
        if (matches_field(q->matches, i, value))
            return true;
    }
    return false;
}

static void on_response(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct probe_h2 *q = arg;
    char detail[DETAIL_BYTES];

    (void)st;
    if (!matches_status(q->matches, head->status)) {
        snprintf(detail, sizeof detail, "status %u", (unsigned)head->status);
        probe_finish(&q->base, ERR_PROTOCOL, detail);
        return;
    }
    for (size_t i = 0; i < matches_field_count(q->matches); i++) {
        if (is_field_good(q, i, head))
            continue;
        snprintf(detail, sizeof detail, "header %s is not as expected", matches_field_name(q->matches, i));
        probe_finish(&q->base, ERR_PROTOCOL, detail);
        return;
    }
    q->base.waiting_for = "body";
    if (!matches_wants_body(q->matches))
        probe_finish(&q->base, ERR_NONE, NULL);
    else if (!has_body)
        probe_finish(&q->base, ERR_PROTOCOL, wrong_body);
}

static void on_body(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct probe_h2 *q = arg;

    h2_stream_consume(st, len);
    if (q->base.is_finished)
        return;
    enum match match = matches_body(q->matches, (const char *)data, len);
    if (match != MATCH_OPEN)
        probe_finish(&q->base, match == MATCH_GOOD ? ERR_NONE : ERR_PROTOCOL, match == MATCH_GOOD ? NULL : wrong_body);
}

static void on_end(void *arg, struct h2_stream *st)
{
    struct probe_h2 *q = arg;

    (void)st;
    probe_finish(&q->base, ERR_PROTOCOL, wrong_body);
}

static void on_closed(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    struct probe_h2 *q = arg;
    char detail[DETAIL_BYTES];

    (void)st;
    (void)is_unprocessed;
    snprintf(detail, sizeof detail, "stream closed with %s", h2_code_text(code));
    probe_finish(&q->base, ERR_PROTOCOL, detail);
}

static void on_writable(void *arg, struct h2_stream *st)
{
    (void)arg;
    (void)st;
}

static void on_nothing(void *arg)
{
    (void)arg; /* output is fetched after whatever may have caused some */
}

static void on_goaway(void *arg, uint32_t code)
{
    (void)arg;
    (void)code; /* the stream may still be answered; if not, it is closed */
}

static const struct h2_client_ops h2_ops = {
    .on_response = on_response,
    .on_settings = on_nothing,
    .on_goaway = on_goaway,
    .on_output = on_nothing,
    .stream = {.on_data = on_body, .on_end = on_end, .on_writable = on_writable, .on_close = on_closed},
};

/* ---- the connection ---- */

static void pump(struct probe_h2 *q)
{
    uint8_t buf[H2_OUTPUT_MIN_BYTES * 2];
    size_t len;

    while ((len = h2_client_output(q->h2, buf, sizeof buf)) > 0)
        contact_write(&q->contact, buf, len);
    if (!h2_client_is_over(q->h2))
        return;
    const char *failure = h2_client_failure(q->h2);
    probe_finish(&q->base, failure != NULL ? ERR_PROTOCOL : ERR_EOF, failure != NULL ? failure : "going away");
}

static void ask(struct probe_h2 *q)
{
    struct http_head head;

    http_head_clear(&head);
    head.method = http_view_of("GET");
    head.target = http_view_of(q->path);
    const char *wrong = http_head_set_target(&head);
    head.authority = http_view_of(q->authority);
    (void)http_head_add(&head, http_view_of("user-agent"), http_view_of(user_agent));
    if (wrong != NULL)
        probe_finish(&q->base, ERR_INVALID, wrong);
    else if (h2_client_request(q->h2, &head, q->is_tls ? "https" : "http", false, q) == NULL)
        probe_finish(&q->base, ERR_PROTOCOL, "no stream");
}

static void on_open(struct probe *p)
{
    struct probe_h2 *q = h2_of(p);

    if (q->is_tls && contact_alpn(&q->contact) != TLS_ALPN_H2) {
        p->result.is_http11 = true;
        probe_finish(p, ERR_PROTOCOL, "the server does not choose HTTP/2");
        return;
    }
    p->waiting_for = "response";
    q->h2 = h2_client_create(&limits, &h2_ops, q, loop_now_ms(p->loop));
    ask(q);
    pump(q);
}

static void on_data(struct probe *p, const uint8_t *data, size_t len)
{
    struct probe_h2 *q = h2_of(p);

    h2_client_feed(q->h2, data, len, loop_now_ms(p->loop));
    if (!p->is_finished)
        pump(q);
}

static const struct contact_ops contact_ops = {.on_open = on_open, .on_data = on_data};

static void start(struct probe *p, const struct probe_plan *plan)
{
    struct probe_h2 *q = h2_of(p);

    q->authority = mem_strdup(plan->host_header);
    q->path = mem_strdup(plan->check->path);
    q->is_tls = plan->tls != NULL;
    q->matches = matches_create(plan->check);
    contact_open(&q->contact, p, plan, plan->tls, TLS_OFFER_H2, &contact_ops);
}

static void stop(struct probe *p)
{
    struct probe_h2 *q = h2_of(p);

    p->is_finished = true; /* what happens while it ends is no answer */
    if (q->h2 != NULL) {
        h2_client_goaway(q->h2);
        pump(q);
        h2_client_destroy(&q->h2);
    }
    contact_close(&q->contact);
    matches_destroy(&q->matches);
    mem_free(q->authority);
    mem_free(q->path);
}

const struct probe_ops probe_h2_ops = {.size_bytes = sizeof(struct probe_h2), .start = start, .stop = stop};
