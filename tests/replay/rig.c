/* The rig. Everything goes over 127.0.0.1 within one process, so the loop knows when all of it has arrived. */
#include "tests/replay/rig.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/sock.h"
#include "conf/conf.h"
#include "gateway/http/upgrade.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"
#include "health/steering.h"
#include "tests/unit/base/port.h"

static int listen_somewhere(uint16_t *port)
{
    struct addr a;
    int fd = -1;
    assert_true(addr_parse(&a, "127.0.0.1:0"));
    assert_int_equal(sock_listen(&a, false, 64, &fd), ERR_NONE);
    assert_int_equal(sock_local_addr(fd, &a), ERR_NONE);
    *port = addr_port(&a);
    return fd;
}

static void birth_init(struct rig *r)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    r->supervisor_fd = pair[0];
    r->slots = mem_alloc(sizeof *r->slots);
    r->roster = mem_alloc(sizeof *r->roster);
    struct health_table *health = mem_alloc(sizeof *health);
    r->verdicts = &health->verdicts;
    slots_init(r->slots);
    health_table_init(health);
    r->roster->magic = ROSTER_MAGIC;
    r->roster->row[0] = (struct roster_row){.role = ROLE_WORKER, .state = ROSTER_READY, .conf_generation = 1};
    r->roster->row[1] = (struct roster_row){.role = ROLE_CHECKER, .state = ROSTER_READY, .conf_generation = 1};
    r->roster->reload_ok = 1;
    r->birth = (struct birth){.control_fd = pair[1],
                              .nudge_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
                              .slots = r->slots,
                              .roster = r->roster,
                              .stats = mem_alloc(sizeof *r->birth.stats),
                              .verdicts = {.base = health, .fd = -1}};
    stats_init(r->birth.stats);
    r->birth.block = &r->birth.stats->block[0];
}

/* Writes `yaml` with @a, @b and @c replaced by the servers' ports. */
static void fill_in(const struct rig *r, const char *yaml, struct strbuf *out)
{
    for (const char *p = yaml; *p != '\0'; p++) {
        if (p[0] == '@' && p[1] >= 'a' && p[1] < 'a' + RIG_SERVERS) {
            strbuf_printf(out, "%u", r->server_port[p[1] - 'a']);
            p++;
        } else {
            strbuf_add(out, p, 1);
        }
    }
    assert_false(out->failed);
}

static struct conf *load(struct rig *r, const char *yaml)
{
    struct conf_errors errors = {0};
    struct strbuf text;
    strbuf_init(&text, 8192);
    fill_in(r, yaml, &text);
    struct conf *c = conf_load_text("rig.yaml", text.data, text.len, false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    strbuf_fini(&text);
    for (size_t i = 0; i < c->route_count; i++)
        assert_true(slots_claim(r->slots, SLOT_ROUTE, c->routes[i].name, NULL) >= 0);
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++)
            assert_true(slots_claim(r->slots, SLOT_SERVER, c->pools[i].servers[j].slot_name, NULL) >= 0);
    return c;
}

void rig_reload(struct rig *r, const char *yaml)
{
    char error[IPC_TEXT_BYTES] = "";
    struct conf *c = load(r, yaml);
    if (!worker_take_conf(r->worker, c, ++r->generation, error))
        fail_msg("%s", error);
    conf_unref(&c);
    sim_settle(r->loop);
}

void rig_open(struct rig *r, const char *yaml)
{
    memset(r, 0, sizeof *r);
    log_open("rig", LOG_LEVEL_ERR, LOG_FORMAT_TEXT, NULL);
    for (int i = 0; i < RIG_SERVERS; i++) {
        r->held_fd[i] = port_hold(&r->server_port[i]);
        r->server_fd[i] = port_listen(r->server_port[i], 64);
    }
    birth_init(r);
    r->loop = loop_create();
    verdict_heartbeat(r->verdicts, loop_wall_ms(r->loop));
    r->worker = worker_create(&r->birth, r->loop);
    rig_reload(r, yaml);
    front_listen(r->worker->front, listen_somewhere(&r->port), "127.0.0.1:1");
}

void rig_close(struct rig *r)
{
    worker_destroy(&r->worker);
    loop_destroy(&r->loop);
    for (int i = 0; i < RIG_SERVERS; i++)
        if (r->server_fd[i] >= 0)
            rig_stop_server(r, i);
    for (int i = 0; i < RIG_SERVERS; i++)
        (void)close(r->held_fd[i]);
    (void)close(r->supervisor_fd);
    (void)close(r->birth.nudge_fd);
    mem_free(r->slots);
    mem_free(r->roster);
    mem_free(r->birth.verdicts.base);
    mem_free(r->birth.stats);
}

void rig_advance(struct rig *r, int64_t time_ms)
{
    sim_advance(r->loop, time_ms);
}

void rig_stop_server(struct rig *r, int server)
{
    (void)close(r->server_fd[server]);
    r->server_fd[server] = -1;
}

int rig_client(struct rig *r, const char *request)
{
    struct addr a;
    int fd = -1;
    assert_true(addr_from_ip(&a, "127.0.0.1", r->port));
    assert_int_equal(sock_connect(&a, &fd), ERR_NONE);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    assert_int_equal(poll(&p, 1, 1000), 1);
    assert_int_equal(sock_connect_result(fd), ERR_NONE);
    rig_write(r, fd, request, strlen(request));
    return fd;
}

int rig_handshake(struct rig *r, const char *path)
{
    char request[512];
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                   path);
    return rig_client(r, request);
}

bool rig_has_waiting(struct rig *r, int server)
{
    struct pollfd p = {.fd = r->server_fd[server], .events = POLLIN};
    sim_settle(r->loop);
    return poll(&p, 1, 0) == 1;
}

int rig_accept(struct rig *r, int server)
{
    struct addr peer;
    int fd = -1;
    assert_true(rig_has_waiting(r, server));
    assert_int_equal(sock_accept(r->server_fd[server], &fd, &peer), ERR_NONE);
    return fd;
}

void rig_upgrade(struct rig *r, int fd)
{
    char request[4096];
    char accept[UPGRADE_ACCEPT_BYTES];
    char answer[256];
    assert_true(rig_read(r, fd, request, sizeof request) > 0);
    assert_non_null(strstr(request, "\r\n\r\n"));
    upgrade_accept_key((struct http_view){"dGhlIHNhbXBsZSBub25jZQ==", 24}, accept);
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n\r\n",
                       accept);
    rig_write(r, fd, answer, (size_t)len);
}

int rig_websocket(struct rig *r, const char *path, int server, int *server_fd)
{
    char answer[1024];
    int client = rig_handshake(r, path);
    *server_fd = rig_accept(r, server);
    rig_upgrade(r, *server_fd);
    assert_true(rig_read(r, client, answer, sizeof answer) > 0);
    assert_memory_equal(answer, "HTTP/1.1 101", 12);
    return client;
}

int rig_read(struct rig *r, int fd, char *buf, size_t cap)
{
    sim_settle(r->loop);
    ssize_t n = recv(fd, buf, cap - 1, 0);
    if (n < 0)
        return errno == EAGAIN ? -1 : -2;
    buf[n] = '\0';
    return (int)n;
}

void rig_write(struct rig *r, int fd, const void *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
    sim_settle(r->loop);
}

void rig_send_text(struct rig *r, int fd, const char *text, bool from_client)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t frame[512];
    size_t len = strlen(text);
    assert_in_range(len, 0, sizeof frame - WS_HEADER_BYTES);
    size_t head = ws_header_build(frame, WS_OPCODE_TEXT, len, from_client ? key : NULL);
    memcpy(frame + head, text, len);
    if (from_client)
        ws_mask(frame + head, len, key, 0);
    rig_write(r, fd, frame, head + len);
}

void rig_expect_close(struct rig *r, int fd, uint16_t code)
{
    char reason[RIG_REASON_BYTES];
    rig_expect_close_reason(r, fd, code, reason);
}

void rig_expect_close_reason(struct rig *r, int fd, uint16_t code, char reason[RIG_REASON_BYTES])
{
    uint8_t frame[256];
    int n = rig_read(r, fd, (char *)frame, sizeof frame);
    assert_true(n >= 4);
    assert_int_equal(frame[0], 0x80 | WS_OPCODE_CLOSE);
    bool is_masked = (frame[1] & 0x80) != 0;
    if (is_masked)
        ws_mask(frame + 6, (size_t)n - 6, frame + 2, 0);
    const uint8_t *payload = frame + (is_masked ? 6 : 2);
    assert_int_equal(payload[0] << 8 | payload[1], code);
    const int payload_bytes = frame[1] & 0x7f;
    assert_in_range(payload_bytes, 2, RIG_REASON_BYTES + 1);
    memcpy(reason, payload + 2, (size_t)payload_bytes - 2);
    reason[payload_bytes - 2] = '\0';
}
