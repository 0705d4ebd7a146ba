/* A whole worker's sessions on the move: many clients that have joined a channel, and servers that speak Phoenix and
 * mean it well, all played by the test. */
#ifndef TESTS_REPLAY_MOVING_H
#define TESTS_REPLAY_MOVING_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/ws/close.h"
#include "gateway/ws/mask.h"
#include "gateway/ws/sift.h"
#include "tests/replay/rig.h"

#define CLIENTS_MAX 12u
#define LINKS_MAX   64u
#define STEP_MS     250

#define LISTEN "workers: 1\nlisten: [ { address: '127.0.0.1:1' } ]\n"
#define ROUTE(keys)                                                                                                    \
    "routes:\n  - { path: /ws, pool: rt, websocket: { protocol: phoenix, heartbeat: 1h, dead_after: 3h, " keys " } "   \
    "}\n"
#define A             "{ name: a, url: 'ws://127.0.0.1:@a' }"
#define B             "{ name: b, url: 'ws://127.0.0.1:@b' }"
#define C             "{ name: c, url: 'ws://127.0.0.1:@c' }"
#define B_BACKUP      "{ name: b, url: 'ws://127.0.0.1:@b', tier: backup }"
#define A_DRAINED     "{ name: a, url: 'ws://127.0.0.1:@a', drain: true }"
#define POOL(servers) "pools:\n  rt:\n    servers: [ " servers " ]\n"

/* One WebSocket a server has accepted. */
struct link {
    int fd; /* -1: gone */
    int server;
    struct sift sift;
    struct rig *rig;
    uint32_t join_count, push_count, pong_count;
    uint16_t close_code; /* said by the gateway; 0: none */
};

struct client {
    int fd;
    struct sift sift;
    uint32_t heard_count; /* messages */
    char heard[512];      /* the last */
    bool is_closed;
};

struct world {
    struct rig rig;
    struct link links[LINKS_MAX];
    uint32_t link_count;
    struct client clients[CLIENTS_MAX];
    uint32_t client_count;
};

/* ---- servers ---- */

static inline void answer(struct link *l, const char *join_ref, const char *ref, const char *topic)
{
    char text[256];
    (void)snprintf(text, sizeof text, "[%s,%s,%s,\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]", join_ref, ref,
                   topic);
    rig_send_text(l->rig, l->fd, text, false);
}

/* Joins and heartbeats are answered, all else is read. */
static inline enum sift_verdict on_request(void *arg, const struct ws_message *m)
{
    struct link *l = arg;
    char text[512], join_ref[64], ref[64], topic[64], event[64];
    if (!m->is_whole)
        return SIFT_MORE;
    (void)snprintf(text, sizeof text, "%.*s", (int)m->len, (const char *)m->payload);
    if (sscanf(text, "[%63[^,],%63[^,],%63[^,],\"%63[^\"]\"", join_ref, ref, topic, event) != 4)
        fail_msg("a server was sent %s", text);
    l->join_count += strcmp(event, "phx_join") == 0;
    l->push_count += strcmp(event, "news") == 0;
    if (strcmp(event, "phx_join") == 0 || strcmp(event, "heartbeat") == 0)
        answer(l, join_ref, ref, topic);
    return SIFT_DROP;
}

static inline void on_link_close(void *arg, uint16_t code, const char *reason, size_t len)
{
    struct link *l = arg;
    (void)reason;
    (void)len;
    l->close_code = code;
}

static inline void on_link_bad(void *arg, uint16_t code, const char *error)
{
    (void)arg;
    fail_msg("a server was sent a bad frame: %u %s", code, error);
}

static inline void ignore(void *arg, const uint8_t *payload, size_t len)
{
    (void)arg;
    (void)payload;
    (void)len;
}

static inline void on_link_pong(void *arg, const uint8_t *payload, size_t len)
{
    struct link *l = arg;
    (void)payload;
    (void)len;
    l->pong_count++;
}

static const struct sift_ops server_ops = {.on_message = on_request,
                                           .on_pass = ignore,
                                           .on_ping = ignore,
                                           .on_pong = on_link_pong,
                                           .on_close = on_link_close,
                                           .on_bad = on_link_bad};

/* Feeds what has come to a sifter. False: nothing has; *is_over: and nothing will. */
static inline bool hear(int fd, struct sift *s, bool *is_over)
{
    uint8_t buf[4096];
    const ssize_t n = fd >= 0 ? recv(fd, buf, sizeof buf, MSG_DONTWAIT) : 0;
    if (n > 0)
        sift_feed(s, buf, (size_t)n);
    *is_over = fd < 0 || n == 0 || (n < 0 && errno != EAGAIN);
    return n > 0;
}

static inline bool link_work(struct link *l)
{
    bool is_over;
    const bool is_busy = hear(l->fd, &l->sift, &is_over);
    if (l->fd >= 0 && (is_over || l->close_code != 0)) {
        (void)close(l->fd);
        l->fd = -1;
        return true;
    }
    return is_busy;
}

static inline void link_open(struct world *w, int server)
{
    assert_true(w->link_count < LINKS_MAX);
    struct link *l = &w->links[w->link_count++];
    *l = (struct link){.fd = rig_accept(&w->rig, server), .server = server, .rig = &w->rig};
    sift_init(&l->sift, WS_SENDER_CLIENT, 0, 1, 4096, &server_ops, l);
    rig_upgrade(&w->rig, l->fd);
}

/* ---- clients ---- */

static inline enum sift_verdict on_news(void *arg, const struct ws_message *m)
{
    struct client *c = arg;
    if (!m->is_whole)
        return SIFT_MORE;
    c->heard_count++;
    (void)snprintf(c->heard, sizeof c->heard, "%.*s", (int)m->len, (const char *)m->payload);
    return SIFT_DROP;
}

static inline void on_client_close(void *arg, uint16_t code, const char *reason, size_t len)
{
    struct client *c = arg;
    (void)code;
    (void)reason;
    (void)len;
    c->is_closed = true;
}

static const struct sift_ops client_ops = {.on_message = on_news,
                                           .on_pass = ignore,
                                           .on_ping = ignore,
                                           .on_pong = ignore,
                                           .on_close = on_client_close,
                                           .on_bad = on_link_bad};

static inline bool client_work(struct client *c)
{
    bool is_over;
    const bool is_busy = hear(c->fd, &c->sift, &is_over);
    c->is_closed |= is_over;
    return is_busy;
}

/* ---- the world ---- */

static inline bool has_waiting(const struct world *w, int server)
{
    struct pollfd p = {.fd = w->rig.server_fd[server], .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* Everybody does what there is to do, until there is nothing. */
static inline void work(struct world *w)
{
    bool is_busy = true;
    while (is_busy) {
        is_busy = false;
        sim_settle(w->rig.loop);
        for (int server = 0; server < RIG_SERVERS; server++)
            for (; has_waiting(w, server); is_busy = true)
                link_open(w, server);
        for (uint32_t i = 0; i < w->link_count; i++)
            is_busy |= link_work(&w->links[i]);
        for (uint32_t i = 0; i < w->client_count; i++)
            is_busy |= client_work(&w->clients[i]);
    }
}

static inline void pass(struct world *w, int64_t time_ms)
{
    for (int64_t at_ms = 0; at_ms < time_ms; at_ms += STEP_MS) {
        rig_advance(&w->rig, STEP_MS);
        work(w);
    }
}

static inline void world_open(struct world *w, const char *yaml)
{
    w->link_count = w->client_count = 0;
    rig_open(&w->rig, yaml);
}

static inline void world_close(struct world *w)
{
    for (uint32_t i = 0; i < w->client_count; i++) {
        (void)close(w->clients[i].fd);
        sift_fini(&w->clients[i].sift);
    }
    sim_settle(w->rig.loop);
    for (uint32_t i = 0; i < w->link_count; i++) {
        if (w->links[i].fd >= 0)
            (void)close(w->links[i].fd);
        sift_fini(&w->links[i].sift);
    }
    rig_close(&w->rig);
}

/* A client that has joined a channel, on whatever server. */
static inline void come(struct world *w)
{
    assert_true(w->client_count < CLIENTS_MAX);
    struct client *c = &w->clients[w->client_count++];
    *c = (struct client){.fd = rig_handshake(&w->rig, "/ws/websocket?vsn=2.0.0")};
    for (int server = 0; server < RIG_SERVERS; server++)
        if (rig_has_waiting(&w->rig, server))
            link_open(w, server);
    char buf[1024];
    assert_true(rig_read(&w->rig, c->fd, buf, sizeof buf) > 0);
    assert_memory_equal(buf, "HTTP/1.1 101", 12);
    sift_init(&c->sift, WS_SENDER_SERVER, 0, 1, 4096, &client_ops, c);
    rig_send_text(&w->rig, c->fd, "[\"1\",\"1\",\"room:a\",\"phx_join\",{}]", true);
    work(w);
    assert_int_equal(c->heard_count, 1);
}

static inline void come_many(struct world *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        come(w);
}

static inline uint32_t count_on(const struct world *w, int server)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->link_count; i++)
        n += w->links[i].fd >= 0 && w->links[i].server == server;
    return n;
}

/* Nobody's WebSocket was closed, and nobody was told anything but the answer to the join. */
static inline void expect_untouched(const struct world *w)
{
    for (uint32_t i = 0; i < w->client_count; i++) {
        assert_false(w->clients[i].is_closed);
        if (w->clients[i].heard_count != 1)
            fail_msg("client %u heard %s", i, w->clients[i].heard);
    }
}

/* Each server's message reaches its client, so all are where they are thought to be. */
static inline void expect_served(struct world *w, int server)
{
    for (uint32_t i = 0; i < w->link_count; i++)
        if (w->links[i].fd >= 0 && w->links[i].server == server)
            rig_send_text(&w->rig, w->links[i].fd, "[\"1\",null,\"room:a\",\"news\",{\"n\":7}]", false);
    work(w);
    for (uint32_t i = 0; i < w->client_count; i++) {
        assert_int_equal(w->clients[i].heard_count, 2);
        assert_string_equal(w->clients[i].heard, "[\"1\",null,\"room:a\",\"news\",{\"n\":7}]");
    }
}

static inline void judge(struct world *w, const char *server, enum verdict_state state, bool is_draining)
{
    const int slot = slots_find(w->rig.slots, SLOT_SERVER, server);
    const struct verdict v = {.state = state, .is_draining = is_draining};
    const struct verdict_detail d = {0};
    assert_true(slot >= 0);
    (void)verdict_adopt(w->rig.verdicts, slot, atomic_load(&w->rig.slots->server[slot].era));
    verdict_write(w->rig.verdicts, slot, &v, &d);
}

/* Clients of server a, while there is no other; then there is b. */
static inline void world_open_on_a(struct world *w, const char *yaml, uint32_t client_count)
{
    world_open(w, yaml);
    judge(w, "rt/b", VERDICT_DOWN, false);
    come_many(w, client_count);
    assert_int_equal(count_on(w, 0), client_count);
    judge(w, "rt/b", VERDICT_UP, false);
}

#endif
