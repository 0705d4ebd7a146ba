/* The scripted server: http/h2_server.h over a socket that the test reads when it likes. */
#include "tests/replay/peer_h2.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct peer_request *request_of(struct h2_stream *st)
{
    return h2_stream_owner(st);
}

static void copy(char *to, size_t cap, struct http_view v)
{
    (void)snprintf(to, cap, "%.*s", (int)v.len, v.data != NULL ? v.data : "");
}

static void on_request(void *arg, struct h2_stream *st, const struct http_head *h, bool has_body)
{
    struct peer *p = arg;
    assert_true(p->request_count < PEER_REQUESTS_MAX);
    struct peer_request *r = &p->requests[p->request_count++];
    r->st = st;
    r->is_ended = !has_body;
    r->content_length = h->content_length;
    r->has_key = http_find(h, "sec-websocket-key") != NULL;
    copy(r->method, sizeof r->method, h->method);
    copy(r->path, sizeof r->path, h->target);
    copy(r->protocol, sizeof r->protocol, h->protocol);
    copy(r->authority, sizeof r->authority, h->authority);
    h2_stream_set_owner(st, r);
}

static void on_refused(void *arg, struct h2_stream *st, const struct http_head *h)
{
    (void)arg;
    (void)st;
    fail_msg("refused: %s", h->error_reason);
}

static void on_goaway(void *arg, uint32_t code)
{
    (void)arg;
    (void)code;
}

static void on_output(void *arg)
{
    (void)arg; /* peer_run() asks anyway */
}

static void on_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct peer *p = arg;
    struct peer_request *r = request_of(st);
    const size_t have = strlen(r->body), room = sizeof r->body - 1 - have;
    memcpy(r->body + have, data, len < room ? len : room);
    r->body_bytes += len;
    if (!p->is_greedy)
        h2_stream_consume(st, len);
}

static void on_end(void *arg, struct h2_stream *st)
{
    (void)arg;
    request_of(st)->is_ended = true;
}

static void on_writable(void *arg, struct h2_stream *st)
{
    (void)arg;
    (void)st;
}

static void on_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    (void)arg;
    (void)is_unprocessed;
    struct peer_request *r = request_of(st);
    r->st = NULL;
    r->close_code = code;
}

static const struct h2_server_ops ops = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .stream = {.on_data = on_data, .on_end = on_end, .on_writable = on_writable, .on_close = on_close}};

void peer_accept(struct calls *t, struct peer *p, int index, bool serves_connect, uint32_t stream_count)
{
    struct h2_server_limits limits = H2_SERVER_LIMITS_DEFAULT;
    limits.enable_connect_protocol = serves_connect;
    limits.stream_count = stream_count;
    memset(p, 0, sizeof *p);
    p->home = t;
    p->fd = server_accept(t, index);
    p->h2 = h2_server_create(&limits, &ops, p, loop_now_ms(t->loop));
    peer_run(p);
}

static bool write_output(struct peer *p)
{
    uint8_t buf[16384];
    size_t len = 0, total = 0;
    while ((len = h2_server_output(p->h2, buf, sizeof buf)) > 0) {
        assert_int_equal(send(p->fd, buf, len, MSG_NOSIGNAL), (ssize_t)len);
        total += len;
    }
    return total > 0;
}

static bool read_input(struct peer *p)
{
    uint8_t buf[65536];
    const ssize_t n = recv(p->fd, buf, sizeof buf, 0);
    if (n > 0)
        h2_server_feed(p->h2, buf, (size_t)n, loop_now_ms(p->home->loop));
    return n > 0;
}

void peer_run(struct peer *p)
{
    bool moves = true;
    while (moves) {
        moves = write_output(p);
        sim_settle(p->home->loop);
        moves |= read_input(p);
    }
}

void peer_respond(struct peer *p, int i, uint16_t status, const char *field, const char *value, bool has_body)
{
    struct http_head h;
    memset(&h, 0, sizeof h);
    http_head_clear(&h);
    h.status = status;
    h.content_length = -1;
    if (field != NULL)
        assert_true(http_head_add(&h, http_view_of(field), http_view_of(value)));
    assert_true(i < p->request_count && p->requests[i].st != NULL);
    h2_server_respond(p->requests[i].st, &h, has_body);
    peer_run(p);
}

void peer_send(struct peer *p, int i, const void *data, size_t len)
{
    assert_non_null(p->requests[i].st);
    h2_stream_send(p->requests[i].st, data, len);
    peer_run(p);
}

void peer_end(struct peer *p, int i)
{
    assert_non_null(p->requests[i].st);
    h2_stream_end(p->requests[i].st);
    peer_run(p);
}

void peer_answer(struct peer *p, int i, uint16_t status, const char *body, bool is_last)
{
    peer_respond(p, i, status, NULL, NULL, body != NULL);
    if (body != NULL)
        peer_send(p, i, body, strlen(body));
    if (body != NULL && is_last)
        peer_end(p, i);
}

void peer_reset(struct peer *p, int i, enum h2_code code)
{
    assert_non_null(p->requests[i].st);
    h2_stream_reset(&p->requests[i].st, code);
    peer_run(p);
}

void peer_hang_up(struct peer *p)
{
    h2_server_destroy(&p->h2);
    (void)close(p->fd);
    sim_settle(p->home->loop);
}
