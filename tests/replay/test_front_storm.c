/* Everything at once: clients of both versions of HTTP and servers that do, in any order, what they may and what they
 * may not. Nobody says what must be answered; but nothing may crash, and when all have gone, nothing is left: no
 * client, no tunnel, no byte. STORM_SEED=n in the environment plays one other storm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/http/upgrade.h"
#include "tests/replay/h2_user.h"

#define STEPS 500
#define HANDSHAKE                                                                                                      \
    "GET /4 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"         \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static const char yaml[] =
    "listen: [ { address: '127.0.0.1:1' } ]\n"
    "limits: { header_timeout: 2s, body_timeout: 2s, keepalive_timeout: 4s, send_timeout: 3s, streams: 6 }\n"
    "health: { path: /healthz }\n"
    "pools: { web: { circuit: { failures: 0 }, servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] } }\n"
    "routes: [ { path: /, pool: web, websocket: { idle_timeout: 5s } } ]\n";

enum { USERS = 3, CALLS = 12, PLAIN = 5, SERVERS = 24 };

struct storm {
    struct rig rig;
    uint32_t seed;
    bool is_draining;           /* nobody new is let in */
    struct h2_user user[USERS]; /* session NULL: not there */
    struct h2_call call[USERS][CALLS];
    int plain[PLAIN];    /* HTTP/1.1 clients; -1: none */
    int server[SERVERS]; /* connections at the server; -1: none */
};

static uint32_t any(struct storm *s, uint32_t below)
{
    s->seed = s->seed * 1664525u + 1013904223u;
    return (s->seed >> 8) % below;
}

/* As much as the other side takes; that it may have gone is part of the storm. */
static void push(struct storm *s, int fd, const void *data, size_t len)
{
    (void)!send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    sim_settle(s->rig.loop);
}

static void push_text(struct storm *s, int fd, const char *text)
{
    push(s, fd, text, strlen(text));
}

/* One of `fds` that is open, or that is not if there is none. */
static int *any_of(struct storm *s, int *fds, uint32_t count)
{
    const uint32_t first = any(s, count);
    for (uint32_t i = 0; i < count; i++)
        if (fds[(first + i) % count] >= 0)
            return &fds[(first + i) % count];
    return &fds[first];
}

/* ---- servers ---- */

static void accept_waiting(struct storm *s)
{
    for (int i = 0; i < SERVERS && rig_has_waiting(&s->rig, 0); i++)
        if (s->server[i] < 0)
            s->server[i] = rig_accept(&s->rig, 0);
}

/* What a good server says to the request. */
static void answer_well(struct storm *s, int fd, const char *request)
{
    char accept[UPGRADE_ACCEPT_BYTES], answer[512];
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    if (key == NULL) {
        push_text(s, fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        return;
    }
    upgrade_accept_key((struct http_view){key + 19, 24}, accept);
    (void)snprintf(answer, sizeof answer,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n\x81\x02yo",
                   accept);
    push_text(s, fd, answer);
}

static void server_step(struct storm *s)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhi",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
        "nonsense\r\n\r\n",
        "\x81\x05hello",
        "\x88\x02\x03\xe8",
    };
    static char block[65536];
    int *fd = any_of(s, s->server, SERVERS);
    if (*fd < 0)
        return;
    switch (any(s, 12)) {
    case 0:
        close(*fd);
        *fd = -1;
        return;
    case 1:
        push(s, *fd, block, sizeof block);
        return;
    case 2:
    case 3:
    case 4:
        push_text(s, *fd, answers[any(s, sizeof answers / sizeof *answers)]);
        return;
    default:
        if (rig_read(&s->rig, *fd, block, sizeof block) > 0 && strstr(block, "HTTP/1.1\r\n") != NULL)
            answer_well(s, *fd, block);
        memset(block, 0, sizeof block);
        return;
    }
}

/* ---- HTTP/1.1 ---- */

static void plain_step(struct storm *s)
{
    static const char *const words[] = {
        "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        HANDSHAKE,
        "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello",
        "world",
        "POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "\x81\x82\1\1\1\1ij",
        "HEAD /5 HTTP/1.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n",
        "GET",
    };
    char buf[4096];
    int *fd = any(s, 3) == 0 ? &s->plain[any(s, PLAIN)] : any_of(s, s->plain, PLAIN);
    if (*fd < 0) {
        if (!s->is_draining)
            *fd = rig_client(&s->rig, "");
        return;
    }
    switch (any(s, 16)) {
    case 0:
        close(*fd);
        *fd = -1;
        return;
    case 1:
        (void)shutdown(*fd, SHUT_WR);
        return;
    case 2:
    case 3:
    case 4:
        if (rig_read(&s->rig, *fd, buf, sizeof buf) == 0) {
            close(*fd);
            *fd = -1;
        }
        return;
    default:
        /* Mostly one of the first, which are whole. */
        push_text(s, *fd, words[any(s, any(s, 4) == 0 ? sizeof words / sizeof *words : 4)]);
        return;
    }
}

/* ---- HTTP/2 ---- */

static void begin_call(struct storm *s, struct h2_user *u, struct h2_call *c)
{
    static const char *const paths[] = {"/1", "/healthz", "/2"};
    const char *path = paths[any(s, 3)];
    if (!h2_client_can_request(u->session))
        return;
    switch (any(s, 4)) {
    case 0:
        h2_call_begin(c, u, "GET", path, NULL, false);
        return;
    case 1:
        h2_call_begin(c, u, "POST", path, "expect: 100-continue\r\n", true);
        return;
    case 2:
        h2_call_begin(c, u, "POST", path, "content-length: 20\r\n", true);
        return;
    default:
        h2_call_websocket(c, u, path);
        return;
    }
}

static void call_step(struct storm *s, struct h2_call *c)
{
    static char block[100000];
    switch (any(s, 6)) {
    case 0:
        h2_stream_reset(&c->stream, H2_CANCEL);
        return;
    case 1:
        c->keeps = !c->keeps;
        return;
    case 2:
        if (!c->has_ended && c->has_body)
            h2_stream_end(c->stream);
        c->has_ended = true;
        return;
    case 3:
        if (!c->has_ended && c->has_body)
            h2_stream_send(c->stream, block, sizeof block);
        return;
    default:
        if (!c->has_ended && c->has_body)
            h2_stream_send(c->stream, "\x81\x82\1\1\1\1ij", 8);
        return;
    }
}

static void user_step(struct storm *s)
{
    const uint32_t i = any(s, USERS);
    struct h2_user *u = &s->user[i];
    if (u->session == NULL && s->is_draining)
        return;
    if (u->session == NULL) {
        h2_user_open(u, &s->rig);
    } else if (u->is_gone || any(s, 40) == 0) {
        h2_user_close(u);
        return;
    } else {
        struct h2_call *c = &s->call[i][any(s, CALLS)];
        if (c->stream == NULL)
            begin_call(s, u, c);
        else
            call_step(s, c);
    }
    if (any(s, 3) > 0)
        h2_user_run(u);
}

/* ---- the storm ---- */

static void step(struct storm *s)
{
    accept_waiting(s);
    switch (any(s, 12)) {
    case 0:
    case 1:
    case 2:
        server_step(s);
        return;
    case 3:
    case 4:
    case 5:
    case 6:
        plain_step(s);
        return;
    case 7:
        if (any(s, 4) == 0)
            rig_reload(&s->rig, yaml);
        else
            rig_advance(&s->rig, any(s, 1000));
        return;
    default:
        user_step(s);
        return;
    }
}

static void calm_down(struct storm *s)
{
    for (int i = 0; i < USERS; i++)
        if (s->user[i].session != NULL)
            h2_user_close(&s->user[i]);
    for (int i = 0; i < PLAIN; i++)
        if (s->plain[i] >= 0)
            close(s->plain[i]);
    for (int i = 0; i < SERVERS; i++)
        if (s->server[i] >= 0)
            close(s->server[i]);
    rig_advance(&s->rig, 100);
    while (rig_has_waiting(&s->rig, 0))
        close(rig_accept(&s->rig, 0));
    rig_advance(&s->rig, 20000);
}

static void play(uint32_t seed)
{
    static struct storm s;
    memset(&s, 0, sizeof s);
    s.seed = seed;
    memset(s.plain, 0xff, sizeof s.plain);
    memset(s.server, 0xff, sizeof s.server);
    rig_open(&s.rig, yaml);
    for (int i = 0; i < STEPS; i++) {
        step(&s);
        if (i == STEPS * 3 / 4 && seed % 3 == 0) {
            s.is_draining = true;
            front_drain(s.rig.worker->front);
        }
    }
    calm_down(&s);
    assert_int_equal(front_client_count(s.rig.worker->front), 0);
    assert_int_equal(tunnel_set_count(s.rig.worker->tunnels), 0);
    assert_int_equal(stat_get(&s.rig.birth.block->process[STAT_BUFFERED_BYTES]), 0);
    assert_int_equal(stat_get(&s.rig.birth.block->process[STAT_CLIENTS_OPEN]), 0);
    rig_close(&s.rig);
}

static void nothing_is_left_of_a_storm(void **state)
{
    const char *wanted = getenv("STORM_SEED");
    (void)state;
    if (wanted != NULL) {
        play((uint32_t)strtoul(wanted, NULL, 10));
        return;
    }
    for (uint32_t seed = 1; seed <= 6; seed++)
        play(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_of_a_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
