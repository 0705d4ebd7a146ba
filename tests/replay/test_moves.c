/* Planned moves of a whole worker's sessions: who goes where and when, while the client's WebSocket stays open. The
 * test plays the servers as well, which speak Phoenix and mean it well. */
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

static void answer(struct link *l, const char *join_ref, const char *ref, const char *topic)
{
    char text[256];
    (void)snprintf(text, sizeof text, "[%s,%s,%s,\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]", join_ref, ref,
                   topic);
    rig_send_text(l->rig, l->fd, text, false);
}

/* Joins and heartbeats are answered, all else is read. */
static enum sift_verdict on_request(void *arg, const struct ws_message *m)
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

static void on_link_close(void *arg, uint16_t code, const char *reason, size_t len)
{
    struct link *l = arg;
    (void)reason;
    (void)len;
    l->close_code = code;
}

static void on_link_bad(void *arg, uint16_t code, const char *error)
{
    (void)arg;
    fail_msg("a server was sent a bad frame: %u %s", code, error);
}

static void ignore(void *arg, const uint8_t *payload, size_t len)
{
    (void)arg;
    (void)payload;
    (void)len;
}

static void on_link_pong(void *arg, const uint8_t *payload, size_t len)
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
static bool hear(int fd, struct sift *s, bool *is_over)
{
    uint8_t buf[4096];
    const ssize_t n = fd >= 0 ? recv(fd, buf, sizeof buf, MSG_DONTWAIT) : 0;
    if (n > 0)
        sift_feed(s, buf, (size_t)n);
    *is_over = fd < 0 || n == 0 || (n < 0 && errno != EAGAIN);
    return n > 0;
}

static bool link_work(struct link *l)
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

static void link_open(struct world *w, int server)
{
    assert_true(w->link_count < LINKS_MAX);
    struct link *l = &w->links[w->link_count++];
    *l = (struct link){.fd = rig_accept(&w->rig, server), .server = server, .rig = &w->rig};
    sift_init(&l->sift, WS_SENDER_CLIENT, 0, 1, 4096, &server_ops, l);
    rig_upgrade(&w->rig, l->fd);
}

/* ---- clients ---- */

static enum sift_verdict on_news(void *arg, const struct ws_message *m)
{
    struct client *c = arg;
    if (!m->is_whole)
        return SIFT_MORE;
    c->heard_count++;
    (void)snprintf(c->heard, sizeof c->heard, "%.*s", (int)m->len, (const char *)m->payload);
    return SIFT_DROP;
}

static void on_client_close(void *arg, uint16_t code, const char *reason, size_t len)
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

static bool client_work(struct client *c)
{
    bool is_over;
    const bool is_busy = hear(c->fd, &c->sift, &is_over);
    c->is_closed |= is_over;
    return is_busy;
}

/* ---- the world ---- */

static bool has_waiting(const struct world *w, int server)
{
    struct pollfd p = {.fd = w->rig.server_fd[server], .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* Everybody does what there is to do, until there is nothing. */
static void work(struct world *w)
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

static void pass(struct world *w, int64_t time_ms)
{
    for (int64_t at_ms = 0; at_ms < time_ms; at_ms += STEP_MS) {
        rig_advance(&w->rig, STEP_MS);
        work(w);
    }
}

static void world_open(struct world *w, const char *yaml)
{
    w->link_count = w->client_count = 0;
    rig_open(&w->rig, yaml);
}

static void world_close(struct world *w)
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
static void come(struct world *w)
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

static void come_many(struct world *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        come(w);
}

static uint32_t count_on(const struct world *w, int server)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->link_count; i++)
        n += w->links[i].fd >= 0 && w->links[i].server == server;
    return n;
}

/* Nobody's WebSocket was closed, and nobody was told anything but the answer to the join. */
static void expect_untouched(const struct world *w)
{
    for (uint32_t i = 0; i < w->client_count; i++) {
        assert_false(w->clients[i].is_closed);
        if (w->clients[i].heard_count != 1)
            fail_msg("client %u heard %s", i, w->clients[i].heard);
    }
}

/* Each server's message reaches its client, so all are where they are thought to be. */
static void expect_served(struct world *w, int server)
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

static void judge(struct world *w, const char *server, enum verdict_state state, bool is_draining)
{
    const int slot = slots_find(w->rig.slots, SLOT_SERVER, server);
    const struct verdict v = {.state = state, .is_draining = is_draining};
    const struct verdict_detail d = {0};
    assert_true(slot >= 0);
    (void)verdict_adopt(w->rig.verdicts, slot, atomic_load(&w->rig.slots->server[slot].era));
    verdict_write(w->rig.verdicts, slot, &v, &d);
}

/* ---- drains ---- */

static void sessions_leave_a_server_that_drains_at_the_pace(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 2 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come_many(&w, 8);
    assert_int_equal(count_on(&w, 0), 8);
    judge(&w, "rt/b", VERDICT_UP, false);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 2000); /* the old link of one that moves stays for a moment */
    assert_in_range(count_on(&w, 1), 4, 5);
    assert_in_range(count_on(&w, 0), 3, 6);
    pass(&w, 3000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 8);
    expect_untouched(&w);
    expect_served(&w, 1);
    for (uint32_t i = 0; i < 8; i++) /* told, and not just dropped */
        assert_int_equal(w.links[i].close_code, WS_CLOSE_NORMAL);
    world_close(&w);
}

static void the_old_server_serves_until_the_new_one_has_everything(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come(&w);
    judge(&w, "rt/b", VERDICT_UP, false);
    judge(&w, "rt/a", VERDICT_UP, true);
    rig_advance(&w.rig, 200); /* the other server is asked, and takes its time */
    assert_true(rig_has_waiting(&w.rig, 1));
    expect_served(&w, 0);
    assert_int_equal(count_on(&w, 0), 1);
    pass(&w, 1000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 1);
    assert_int_equal(w.links[w.link_count - 1].join_count, 1);
    assert_false(w.clients[0].is_closed);
    world_close(&w);
}

static void nothing_else_to_be_had_they_stay(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come_many(&w, 3);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 20000);
    assert_int_equal(count_on(&w, 0), 3);
    expect_untouched(&w);
    judge(&w, "rt/b", VERDICT_UP, false); /* then they go at once, however long they have waited */
    pass(&w, 1500);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 3);
    expect_untouched(&w);
    world_close(&w);
}

static void a_drain_that_is_taken_back_stops_the_rest(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 1 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come_many(&w, 6);
    judge(&w, "rt/b", VERDICT_UP, false);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 2000);
    judge(&w, "rt/a", VERDICT_UP, false);
    pass(&w, 10000);
    assert_in_range(count_on(&w, 1), 2, 3);
    assert_int_equal(count_on(&w, 0) + count_on(&w, 1), 6);
    expect_untouched(&w);
    world_close(&w);
}

static void a_server_that_goes_down_is_left_at_once(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 1 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come_many(&w, 6);
    judge(&w, "rt/b", VERDICT_UP, false);
    judge(&w, "rt/a", VERDICT_DOWN, false);
    pass(&w, 250); /* whatever the pace of moves is */
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 6);
    for (uint32_t i = 0; i < w.client_count; i++)
        assert_false(w.clients[i].is_closed);
    world_close(&w);
}

static void a_rescue_is_not_left_to_a_server_that_is_down(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B "," C) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    judge(&w, "rt/c", VERDICT_DOWN, false);
    come(&w);
    judge(&w, "rt/b", VERDICT_UP, false);
    judge(&w, "rt/a", VERDICT_UP, true);
    rig_advance(&w.rig, 200);
    const int frozen = rig_accept(&w.rig, 1); /* takes the WebSocket, and says nothing after that */
    rig_upgrade(&w.rig, frozen);
    judge(&w, "rt/c", VERDICT_UP, false);
    judge(&w, "rt/b", VERDICT_DOWN, false);
    judge(&w, "rt/a", VERDICT_DOWN, false);
    pass(&w, 300);
    assert_int_equal(count_on(&w, 2), 1);
    assert_false(w.clients[0].is_closed);
    close(frozen);
    world_close(&w);
}

/* A server that restarts closes its WebSockets one after the other; only the first of them is taken by surprise. */
static void a_server_that_announces_its_restart_is_left(void **state)
{
    static struct world w;
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come_many(&w, 4);
    judge(&w, "rt/b", VERDICT_UP, false);
    pass(&w, 2000);
    rig_write(&w.rig, w.links[0].fd, frame, ws_close_build(frame, WS_CLOSE_SERVICE_RESTART, "", NULL));
    pass(&w, 2000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 4);
    w.clients[0].heard_count = 1; /* it may have been told of a gap; the others have none */
    expect_untouched(&w);
    come_many(&w, 2); /* whoever comes to the server that is there again stays */
    const uint32_t on_a = count_on(&w, 0);
    pass(&w, 10000);
    assert_int_equal(count_on(&w, 0), on_a);
    world_close(&w);
}

/* ---- half a message ---- */

#define PUSH_BYTES 3000u
#define HALF_BYTES 2000u

/* A client's push, long enough that its beginning goes on before its end has come. */
static size_t make_push(uint8_t frame[PUSH_BYTES])
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    const size_t head = ws_header_build(frame, WS_OPCODE_TEXT, PUSH_BYTES - 8, key);
    const int n = snprintf((char *)frame + head, PUSH_BYTES - head, "[\"1\",\"2\",\"room:a\",\"news\",\"");
    memset(frame + head + n, 'x', PUSH_BYTES - head - (size_t)n);
    memcpy(frame + PUSH_BYTES - 2, "\"]", 2);
    ws_mask(frame + head, PUSH_BYTES - head, key, 0);
    assert_int_equal(head, 8);
    return PUSH_BYTES;
}

static void nothing_stands_inside_a_message_of_the_client(void **state)
{
    static struct world w;
    uint8_t push[PUSH_BYTES];
    (void)state;
    world_open(&w, LISTEN POOL(A) ROUTE("move: { rate: 0 }"));
    come(&w);
    struct link *l = &w.links[0];
    const size_t len = make_push(push);
    rig_write(&w.rig, w.clients[0].fd, push, HALF_BYTES);
    work(&w);
    rig_write(&w.rig, l->fd, "\x89\x01p", 3); /* a ping, whose answer has to wait */
    work(&w);
    assert_int_equal(l->pong_count, 0);
    rig_write(&w.rig, w.clients[0].fd, push + HALF_BYTES, len - HALF_BYTES);
    work(&w);
    assert_int_equal(l->push_count, 1);
    assert_int_equal(l->pong_count, 1);
    expect_untouched(&w);
    world_close(&w);
}

static void a_message_that_has_begun_ends_where_it_began(void **state)
{
    static struct world w;
    uint8_t push[PUSH_BYTES];
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come(&w);
    const size_t len = make_push(push);
    rig_write(&w.rig, w.clients[0].fd, push, HALF_BYTES);
    work(&w);
    judge(&w, "rt/b", VERDICT_UP, false);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 3000);
    assert_int_equal(count_on(&w, 0), 1);
    assert_int_equal(count_on(&w, 1), 1); /* it has everything, and waits */
    rig_write(&w.rig, w.clients[0].fd, push + HALF_BYTES, len - HALF_BYTES);
    pass(&w, 1000);
    assert_int_equal(w.links[0].push_count, 1);
    assert_int_equal(w.links[1].push_count, 0);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 1);
    expect_untouched(&w);
    expect_served(&w, 1);
    world_close(&w);
}

/* ---- configurations ---- */

static void a_configuration_that_drains_a_server(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A) ROUTE("move: { rate: 0 }"));
    come_many(&w, 4);
    rig_reload(&w.rig, LISTEN POOL(A_DRAINED "," B) ROUTE("move: { rate: 0 }"));
    pass(&w, 1000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 4);
    expect_untouched(&w);
    world_close(&w);
}

static void a_configuration_without_the_server(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN "drain: { time: 5s }\n" POOL(A) ROUTE("move: { rate: 2 }"));
    come_many(&w, 8);
    rig_reload(&w.rig, LISTEN "drain: { time: 5s }\n" POOL(B) ROUTE("move: { rate: 2 }"));
    pass(&w, 2000);
    assert_in_range(count_on(&w, 1), 4, 5);
    expect_untouched(&w);
    pass(&w, 4000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 8);
    expect_untouched(&w);
    world_close(&w);
}

/* The pace would take longer than a drain may: the rest loses the server, and finds another like everybody who does. */
static void those_that_wait_at_the_end_of_the_drain_fail_over(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN "drain: { time: 5s }\n" POOL(A) ROUTE("move: { rate: 1 }"));
    come_many(&w, 12);
    rig_reload(&w.rig, LISTEN "drain: { time: 5s }\n" POOL(B) ROUTE("move: { rate: 1 }"));
    pass(&w, 4500);
    assert_in_range(count_on(&w, 1), 4, 6);
    pass(&w, 1500);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 12);
    for (uint32_t i = 0; i < w.client_count; i++)
        assert_false(w.clients[i].is_closed);
    world_close(&w);
}

/* ---- back to a better tier ---- */

static void fail_over_to_backup(struct world *w, uint32_t count)
{
    judge(w, "rt/a", VERDICT_UP, false);
    judge(w, "rt/b", VERDICT_UP, false);
    come_many(w, count);
    assert_int_equal(count_on(w, 0), count);
    judge(w, "rt/a", VERDICT_DOWN, false);
    pass(w, 10000);
    assert_int_equal(count_on(w, 0), 0);
    assert_int_equal(count_on(w, 1), count);
    for (uint32_t i = 0; i < count; i++)
        w->clients[i].heard_count = 1; /* a loss may have been told of; what follows is none */
}

static void sessions_go_back_at_the_pace(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B_BACKUP) ROUTE("move: { rate: 2 }"));
    fail_over_to_backup(&w, 6);
    judge(&w, "rt/a", VERDICT_UP, false);
    pass(&w, 1500);
    assert_in_range(count_on(&w, 0), 2, 4);
    pass(&w, 3000);
    assert_int_equal(count_on(&w, 0), 6);
    assert_int_equal(count_on(&w, 1), 0);
    expect_untouched(&w);
    expect_served(&w, 0);
    world_close(&w);
}

static void sessions_stay_where_the_route_says_so(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B_BACKUP) ROUTE("move: { fail_back: never }"));
    fail_over_to_backup(&w, 4);
    judge(&w, "rt/a", VERDICT_UP, false);
    pass(&w, 20000);
    assert_int_equal(count_on(&w, 0), 0);
    expect_untouched(&w);
    judge(&w, "rt/b", VERDICT_UP, true); /* a drain is another matter */
    pass(&w, 2000);
    assert_int_equal(count_on(&w, 0), 4);
    expect_untouched(&w);
    world_close(&w);
}

/* The server died without the checker having noticed: sessions do not try to go back to it at once. */
static void nobody_goes_back_before_the_checker_knows(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B_BACKUP) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/a", VERDICT_UP, false);
    come_many(&w, 3);
    const uint32_t link_count = w.link_count;
    for (uint32_t i = 0; i < link_count; i++) {
        (void)close(w.links[i].fd);
        w.links[i].fd = -1;
    }
    /* Its listening socket still is: who asked would be counted. */
    int tried = 0;
    for (int i = 0; i < 16; i++) {
        rig_advance(&w.rig, STEP_MS);
        while (rig_has_waiting(&w.rig, 0)) {
            (void)close(rig_accept(&w.rig, 0));
            tried++;
        }
        work(&w);
    }
    assert_int_equal(count_on(&w, 1), 3);
    assert_in_range(tried, 0, 3); /* of those that had lost it, and had to go somewhere */
    world_close(&w);
}

/* ---- the gateway itself leaves ---- */

static void nothing_moves_while_the_gateway_leaves(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come_many(&w, 4);
    judge(&w, "rt/b", VERDICT_UP, false);
    worker_leave(w.rig.worker, 10000, CLOSED_BY_DRAIN);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 9000);
    assert_int_equal(count_on(&w, 1), 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_leave_a_server_that_drains_at_the_pace),
        cmocka_unit_test(the_old_server_serves_until_the_new_one_has_everything),
        cmocka_unit_test(nothing_else_to_be_had_they_stay),
        cmocka_unit_test(a_drain_that_is_taken_back_stops_the_rest),
        cmocka_unit_test(a_server_that_goes_down_is_left_at_once),
        cmocka_unit_test(a_rescue_is_not_left_to_a_server_that_is_down),
        cmocka_unit_test(a_server_that_announces_its_restart_is_left),
        cmocka_unit_test(nothing_stands_inside_a_message_of_the_client),
        cmocka_unit_test(a_message_that_has_begun_ends_where_it_began),
        cmocka_unit_test(a_configuration_that_drains_a_server),
        cmocka_unit_test(a_configuration_without_the_server),
        cmocka_unit_test(those_that_wait_at_the_end_of_the_drain_fail_over),
        cmocka_unit_test(sessions_go_back_at_the_pace),
        cmocka_unit_test(sessions_stay_where_the_route_says_so),
        cmocka_unit_test(nobody_goes_back_before_the_checker_knows),
        cmocka_unit_test(nothing_moves_while_the_gateway_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
