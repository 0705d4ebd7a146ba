/* The surroundings of a call: a pool set, and sockets that play its servers. */
#include "tests/replay/calls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/unit/base/port.h"

#define BODY_KEPT_BYTES (1u << 20)

/* ---- surroundings ---- */

static void on_settled(void *arg)
{
    (void)arg;
}

static void on_gone(void *arg, struct server *s)
{
    (void)arg;
    names_forget(s);
    call_forget_server(s);
}
static const struct server_ops server_ops = {.on_removed = on_gone, .on_free = on_gone};

static void listen_all(struct calls *t)
{
    for (int i = 0; i < CALLS_SERVERS; i++) {
        t->held_fd[i] = port_hold(&t->server_port[i]);
        t->server_fd[i] = port_listen(t->server_port[i], 256);
    }
}

static struct conf *load(struct calls *t, const char *yaml)
{
    struct conf_errors errors = {0};
    struct strbuf text;
    strbuf_init(&text, 65536);
    for (const char *p = yaml; *p != '\0'; p++) {
        if (p[0] == '@' && p[1] >= 'a' && p[1] < 'a' + CALLS_SERVERS)
            strbuf_printf(&text, "%u", t->server_port[*++p - 'a']);
        else
            strbuf_add(&text, p, 1);
    }
    struct conf *c = conf_load_text("calls.yaml", text.data, text.len, false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    strbuf_fini(&text);
    for (size_t i = 0; i < c->pools[0].server_count; i++)
        assert_true(slots_claim(t->slots, SLOT_SERVER, c->pools[0].servers[i].slot_name, NULL) >= 0);
    return c;
}

void calls_open(struct calls *t, const char *yaml)
{
    memset(t, 0, sizeof *t);
    log_open("calls", LOG_LEVEL_ERR, LOG_FORMAT_TEXT, NULL);
    listen_all(t);
    t->slots = mem_alloc(sizeof *t->slots);
    t->roster = mem_alloc(sizeof *t->roster);
    t->verdicts = mem_alloc(sizeof *t->verdicts);
    slots_init(t->slots);
    verdict_table_init(t->verdicts);
    t->roster->magic = ROSTER_MAGIC;
    t->birth = (struct birth){.roster = t->roster, .stats = mem_alloc(sizeof *t->birth.stats)};
    stats_init(t->birth.stats);
    t->birth.block = &t->birth.stats->block[0];
    t->loop = loop_create();
    t->net = net_create(t->loop, &t->birth);
    t->env = (struct server_env){.slots = t->slots,
                                 .verdicts = t->verdicts,
                                 .stats = t->birth.stats,
                                 .block = t->birth.block,
                                 .nudge_fd = -1,
                                 .ops = &server_ops};
    t->pools = pool_set_create(&t->env, 0);
    t->names = names_create(t->loop, on_settled, t);
    t->conf = load(t, yaml);
    char error[TLS_ERROR_TEXT_BYTES];
    assert_true(names_check(t->names, t->conf, error));
    assert_int_equal(pool_set_update(t->pools, t->conf), ERR_NONE);
    names_learn(t->names, t->pools, t->conf);
}

void calls_close(struct calls *t)
{
    pool_set_destroy(&t->pools);
    names_destroy(&t->names);
    assert_int_equal(t->net->open_count, 0);
    assert_int_equal(stat_get(&t->birth.block->process[STAT_BUFFERED_BYTES]), 0);
    net_destroy(&t->net);
    loop_destroy(&t->loop);
    conf_unref(&t->conf);
    for (int i = 0; i < CALLS_SERVERS; i++) {
        if (t->server_fd[i] >= 0)
            (void)close(t->server_fd[i]);
        (void)close(t->held_fd[i]);
    }
    mem_free(t->slots);
    mem_free(t->roster);
    mem_free(t->verdicts);
    mem_free(t->birth.stats);
}

struct server *calls_server(struct calls *t, int index)
{
    return pool_set_at(t->pools, 0)->servers[index];
}

void calls_advance(struct calls *t, int64_t time_ms)
{
    sim_advance(t->loop, time_ms);
}

uint64_t calls_counted(struct calls *t, enum stat_server id)
{
    return stat_get(&t->birth.block->server[calls_server(t, 0)->slot][id]);
}

/* ---- the user ---- */

static void on_ready(void *arg)
{
    struct user *u = arg;
    u->ready_count++;
}

static void on_head(void *arg, const struct http_head *h, bool has_body)
{
    struct user *u = arg;
    assert_int_equal(u->status, 0);
    u->status = h->status;
    u->has_body = has_body;
    const struct http_view v = http_value(h, "x-test");
    (void)snprintf(u->field, sizeof u->field, "%.*s", (int)v.len, v.data);
    if (u->cancels_at_head)
        call_cancel(&u->call);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct user *u = arg;
    assert_true(u->status != 0 && !u->is_ended && len > 0);
    if (u->body.len + len <= BODY_KEPT_BYTES)
        strbuf_add(&u->body, data, len);
    u->body_bytes += len;
    if (u->cancels_at_data)
        call_cancel(&u->call);
    else if (u->pauses)
        call_pause(u->call);
}

static void on_drain(void *arg)
{
    struct user *u = arg;
    assert_false(call_is_full(u->call));
    u->drain_count++;
}

static void on_end(void *arg)
{
    struct user *u = arg;
    assert_true(u->status != 0);
    u->is_ended = true;
    u->call = NULL;
}

static void on_tunnel_data(void *arg, const uint8_t *data, size_t len)
{
    struct user *u = arg;
    strbuf_add(&u->tunnel, data, len);
}

static void on_tunnel_eof(void *arg)
{
    struct user *u = arg;
    u->is_tunnel_over = true;
}

static void on_tunnel_close(void *arg, enum err e)
{
    struct user *u = arg;
    (void)e;
    u->is_tunnel_over = true;
    u->joined = NULL;
}

static const struct conn_ops tunnel_ops = {
    .on_data = on_tunnel_data, .on_eof = on_tunnel_eof, .on_close = on_tunnel_close};

static void on_joined(void *arg, const struct call_joined *j)
{
    struct user *u = arg;
    const struct http_view v = http_value(j->head, "sec-websocket-protocol");
    (void)snprintf(u->protocol, sizeof u->protocol, "%.*s", (int)v.len, v.data);
    u->has_accept = http_find(j->head, "sec-websocket-accept") != NULL || http_find(j->head, "upgrade") != NULL;
    u->status = j->head->status;
    u->call = NULL;
    u->joined = j->conn;
    strbuf_add(&u->tunnel, j->rest, j->rest_bytes);
    conn_set_owner(j->conn, &tunnel_ops, u);
    conn_resume(j->conn);
}

static void on_failed(void *arg, const struct call_failure *f)
{
    struct user *u = arg;
    u->is_failed = true;
    u->failure = *f;
    (void)snprintf(u->detail, sizeof u->detail, "%s", f->detail);
    u->failure.detail = u->detail;
    u->call = NULL;
}

static const struct call_ops user_ops = {.on_ready = on_ready,
                                         .on_head = on_head,
                                         .on_data = on_data,
                                         .on_drain = on_drain,
                                         .on_end = on_end,
                                         .on_joined = on_joined,
                                         .on_failed = on_failed};

static void add_fields(struct http_head *h, const char *fields)
{
    while (fields != NULL && *fields != '\0') {
        const char *colon = strchr(fields, ':'), *end = strchr(fields, '\n');
        assert_true(colon != NULL && end != NULL);
        assert_true(http_head_add(h, (struct http_view){fields, (size_t)(colon - fields)},
                                  (struct http_view){colon + 2, (size_t)(end - colon - 2)}));
        fields = end + 1;
    }
}

void user_start(struct calls *t, struct user *u, const struct ask *a)
{
    struct http_head h;
    const bool pauses = u->pauses, at_head = u->cancels_at_head, at_data = u->cancels_at_data;
    *u = (struct user){.home = t, .pauses = pauses, .cancels_at_head = at_head, .cancels_at_data = at_data};
    strbuf_init(&u->body, BODY_KEPT_BYTES);
    strbuf_init(&u->tunnel, BODY_KEPT_BYTES);
    memset(&h, 0, sizeof h);
    http_head_clear(&h);
    h.method = http_view_of(a->method != NULL ? a->method : "GET");
    h.path = h.target = http_view_of(a->path != NULL ? a->path : "/");
    h.authority = http_view_of("app.example.com");
    h.major_version = 1;
    h.minor_version = 1;
    h.content_length = a->has_body ? a->content_length : -1;
    add_fields(&h, a->fields);
    const struct call_start o = {.server = calls_server(t, a->server),
                                 .head = &h,
                                 .has_body = a->has_body,
                                 .is_repeatable = !a->is_not_repeatable,
                                 .websocket = a->is_websocket ? CALL_WEBSOCKET : CALL_PLAIN,
                                 .over = a->over,
                                 .deadline_ms = a->deadline_ms,
                                 .begun_ms = a->begun_ms,
                                 .ops = &user_ops,
                                 .arg = u};
    u->call = call_start(t->net, &o);
    assert_true(u->ready_count == 0 && u->status == 0 && !u->is_failed);
}

void user_fini(struct user *u)
{
    if (u->call != NULL)
        call_cancel(&u->call);
    if (u->joined != NULL)
        conn_close(&u->joined, false);
    strbuf_fini(&u->body);
    strbuf_fini(&u->tunnel);
    sim_settle(u->home->loop);
}

void user_expect(const struct user *u, uint16_t status, const char *body)
{
    if (u->is_failed)
        fail_msg("failed: %s in %s: %s", err_text(u->failure.error), call_phase_text(u->failure.phase), u->detail);
    assert_int_equal(u->status, status);
    assert_true(u->is_ended);
    assert_string_equal(u->body.len > 0 ? u->body.data : "", body);
}

void user_expect_failed(const struct user *u, enum err e, enum call_phase phase)
{
    assert_true(u->is_failed);
    assert_string_equal(err_text(u->failure.error), err_text(e));
    assert_string_equal(call_phase_text(u->failure.phase), call_phase_text(phase));
}

/* ---- servers ---- */

bool server_has_waiting(struct calls *t, int index)
{
    struct pollfd p = {.fd = t->server_fd[index], .events = POLLIN};
    sim_settle(t->loop);
    return poll(&p, 1, 0) == 1;
}

int server_accept(struct calls *t, int index)
{
    struct addr peer;
    int fd = -1;
    assert_true(server_has_waiting(t, index));
    assert_int_equal(sock_accept(t->server_fd[index], &fd, &peer), ERR_NONE);
    sim_settle(t->loop);
    return fd;
}

int server_read(struct calls *t, int fd, char *buf, size_t cap)
{
    sim_settle(t->loop);
    ssize_t n = recv(fd, buf, cap - 1, 0);
    if (n < 0)
        return errno == EAGAIN ? -1 : -2;
    buf[n] = '\0';
    return (int)n;
}

void server_expect(struct calls *t, int fd, const char *begin, const char *end)
{
    char buf[16384];
    const int n = server_read(t, fd, buf, sizeof buf);
    assert_true(n >= (int)strlen(end));
    if (strncmp(buf, begin, strlen(begin)) != 0 || strcmp(buf + n - strlen(end), end) != 0)
        fail_msg("expected %s ... %s, got: %s", begin, end, buf);
}

void server_write_bytes(struct calls *t, int fd, const void *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
    sim_settle(t->loop);
}

void server_write(struct calls *t, int fd, const char *text)
{
    server_write_bytes(t, fd, text, strlen(text));
}

void server_expect_gone(struct calls *t, int fd)
{
    char buf[16384];
    int n;
    while ((n = server_read(t, fd, buf, sizeof buf)) > 0)
        continue;
    assert_true(n == 0 || n == -2);
}
