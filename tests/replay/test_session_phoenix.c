/* One client's Phoenix session through a whole worker, from the first server to the last: what is a matter of minutes
 * passes in no time. Scripts of single corner cases are in tests/unit/gateway/realtime. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sock.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"
#include "tests/replay/rig.h"

#define YAML(keys)                                                                                                     \
    "workers: 1\nlisten: [ { address: '127.0.0.1:1' } ]\n"                                                             \
    "pools:\n  rt:\n    servers:\n"                                                                                    \
    "      - { name: a, url: 'ws://127.0.0.1:@a' }\n"                                                                  \
    "      - { name: b, url: 'ws://127.0.0.1:@b' }\n"                                                                  \
    "      - { name: c, url: 'ws://127.0.0.1:@c' }\n"                                                                  \
    "routes:\n  - { path: /ws, pool: rt, websocket: { protocol: phoenix, " keys " } }\n"
#define PATH      "/ws?vsn=2.0.0"
#define TOPIC     "realtime:room"
#define JOINS     "{\"config\":{\"broadcast\":{\"ack\":true},\"presence\":{\"key\":\"ann\"}}}"
#define JOIN      "[\"3\",\"3\",\"" TOPIC "\",\"phx_join\"," JOINS "]"
#define TRACK     "{\"type\":\"presence\",\"event\":\"track\",\"payload\":{\"name\":\"Ann\"}}"
#define PUSH(ref) "[\"3\",\"" ref "\",\"" TOPIC "\",\"broadcast\",{\"event\":\"n\",\"payload\":" ref "}]"
#define OK(ref)   "[\"3\",\"" ref "\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"
#define BEAT      "[null,\"99\",\"phoenix\",\"heartbeat\",{}]"
#define BEAT_OK   "[null,\"99\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"
#define FAILED    "[\"3\",\"3\",\"" TOPIC "\",\"phx_error\",{}]"
#define HEARD(n)  "[null,null,\"" TOPIC "\",\"broadcast\",{\"event\":\"n\",\"payload\":" n "}]"

/* One side of a WebSocket, and what it has got but not looked at. */
struct side {
    struct rig *rig;
    int fd;
    bool is_client;
    size_t len;
    uint8_t bytes[16384];
};

static void drop_bytes(struct side *s, size_t count)
{
    memmove(s->bytes, s->bytes + count, s->len - count);
    s->len -= count;
}

static void take_in(struct side *s)
{
    char buf[4096];
    int n;
    while ((n = rig_read(s->rig, s->fd, buf, sizeof buf)) > 0) {
        assert_true(s->len + (size_t)n <= sizeof s->bytes);
        memcpy(s->bytes + s->len, buf, (size_t)n);
        s->len += (size_t)n;
    }
}

/* The next text message, unmasked; "" when there is none. A close is a failure: nobody here shall see one. */
static const char *next_text(struct side *s, char out[4096])
{
    take_in(s);
    if (s->len < 2)
        return "";
    size_t header = 2, len = s->bytes[1] & 0x7f;
    const bool is_masked = (s->bytes[1] & 0x80) != 0;
    if (len == 126) {
        len = (size_t)s->bytes[2] << 8 | s->bytes[3];
        header = 4;
    }
    if (is_masked)
        header += 4;
    assert_true(s->len >= header + len && len < 4096);
    if (s->bytes[0] != (0x80 | WS_OPCODE_TEXT))
        fail_msg("%s got a frame that begins with %02x", s->is_client ? "the client" : "a server", s->bytes[0]);
    memcpy(out, s->bytes + header, len);
    if (is_masked)
        ws_mask((uint8_t *)out, len, s->bytes + header - 4, 0);
    out[len] = '\0';
    drop_bytes(s, header + len);
    return out;
}

static void gets(struct side *s, const char *expected)
{
    char text[4096];
    const char *got = next_text(s, text);
    if (strcmp(got, expected) != 0)
        fail_msg("%s should have got %s, got %s", s->is_client ? "the client" : "the server", expected, got);
}

static void gets_nothing(struct side *s)
{
    gets(s, "");
}

static void says(struct side *s, const char *text)
{
    rig_send_text(s->rig, s->fd, text, s->is_client);
}

/* A message of the gateway's own for this event, answered with ok when `is_answered`. */
static void gets_own(struct side *s, const char *event, const char *payload, bool is_answered)
{
    char text[4096], ref[64], answer[512], expected[1024];
    const char *got = next_text(s, text);
    const char *own = strstr(got, ",\"g");
    if (own == NULL)
        fail_msg("the server should have got a %s of the gateway's, got %s", event, got);
    (void)snprintf(ref, sizeof ref, "%.*s", (int)strcspn(own + 2, "\""), own + 2);
    (void)snprintf(expected, sizeof expected, "[\"3\",\"%s\",\"" TOPIC "\",\"%s\",%s]", ref, event, payload);
    assert_string_equal(got, expected);
    (void)snprintf(answer, sizeof answer,
                   "[\"3\",\"%s\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]", ref);
    if (is_answered)
        says(s, answer);
}

#define GETS_JOIN(s)  gets_own(s, "phx_join", JOINS, true)
#define GETS_TRACK(s) gets_own(s, "presence", TRACK, true)

/* The server that the session comes to next. */
static struct side server_asked(struct rig *r)
{
    for (int i = 0; i < RIG_SERVERS; i++) {
        if (r->server_fd[i] < 0 || !rig_has_waiting(r, i))
            continue;
        struct side s = {.rig = r, .fd = rig_accept(r, i)};
        rig_upgrade(r, s.fd);
        return s;
    }
    fail_msg("no server was asked");
    return (struct side){.fd = -1};
}

static bool is_any_asked(struct rig *r)
{
    bool is_asked = false;
    for (int i = 0; i < RIG_SERVERS; i++)
        is_asked = is_asked || (r->server_fd[i] >= 0 && rig_has_waiting(r, i));
    return is_asked;
}

static void dies(struct side *s)
{
    sock_reset_on_close(s->fd);
    (void)close(s->fd);
    s->fd = -1;
    sim_settle(s->rig->loop);
}

struct world {
    struct rig rig;
    struct side client, server;
};

/* A client that has joined the room on server a, and is present there. */
static void world_open(struct world *w, const char *yaml)
{
    memset(w, 0, sizeof *w);
    rig_open(&w->rig, yaml);
    w->client = (struct side){.rig = &w->rig, .is_client = true};
    w->server = (struct side){.rig = &w->rig};
    w->client.fd = rig_websocket(&w->rig, PATH, 0, &w->server.fd);
    says(&w->client, JOIN);
    gets(&w->server, JOIN);
    says(&w->server, OK("3"));
    gets(&w->client, OK("3"));
    says(&w->client, "[\"3\",\"4\",\"" TOPIC "\",\"presence\"," TRACK "]");
    gets(&w->server, "[\"3\",\"4\",\"" TOPIC "\",\"presence\"," TRACK "]");
    says(&w->server, OK("4"));
    gets(&w->client, OK("4"));
}

static void world_close(struct world *w)
{
    gets_nothing(&w->client);
    (void)close(w->client.fd);
    sim_settle(w->rig.loop);
    if (w->server.fd >= 0)
        (void)close(w->server.fd);
    rig_close(&w->rig);
}

/* All servers go, and those listening as well. */
static void all_gone(struct world *w)
{
    for (int i = 0; i < RIG_SERVERS; i++)
        rig_stop_server(&w->rig, i);
    dies(&w->server);
}

static void comes_up(struct rig *r, int server)
{
    struct addr a;
    assert_true(addr_from_ip(&a, "127.0.0.1", r->server_port[server]));
    assert_int_equal(sock_listen(&a, false, 64, &r->server_fd[server]), ERR_NONE);
}

/* ---- scripts ---- */

static void a_killed_server_is_nothing_a_client_sees(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent"));
    const int64_t before_ms = loop_now_ms(w.rig.loop);
    dies(&w.server);
    says(&w.client, PUSH("5"));
    w.server = server_asked(&w.rig);
    says(&w.client, PUSH("6"));
    says(&w.client, BEAT);
    gets(&w.client, BEAT_OK);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("5"));
    gets(&w.server, PUSH("6"));
    says(&w.server, OK("5"));
    says(&w.server, OK("6"));
    gets(&w.client, OK("5"));
    gets(&w.client, OK("6"));
    says(&w.server, HEARD("1"));
    gets(&w.client, HEARD("1"));
    assert_int_equal(loop_now_ms(w.rig.loop), before_ms);
    world_close(&w);
}

static void the_second_server_dies_while_it_is_told(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent"));
    dies(&w.server);
    says(&w.client, PUSH("5"));
    struct side second = server_asked(&w.rig);
    gets_own(&second, "phx_join", JOINS, false);
    dies(&second);
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("5"));
    world_close(&w);
}

static void a_push_that_was_under_way_is_sent_again_where_that_was_asked_for(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, delivery: at-least-once"));
    says(&w.client, PUSH("5"));
    says(&w.client, PUSH("6"));
    gets(&w.server, PUSH("5"));
    gets(&w.server, PUSH("6"));
    dies(&w.server);
    says(&w.client, PUSH("7"));
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("5"));
    gets(&w.server, PUSH("6"));
    gets(&w.server, PUSH("7"));
    world_close(&w);
}

static void a_push_that_was_under_way_is_reported_otherwise(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent"));
    says(&w.client, PUSH("5"));
    gets(&w.server, PUSH("5"));
    dies(&w.server);
    gets(&w.client, "[\"3\",\"5\",\"" TOPIC
                    "\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"gateway: upstream lost\"}}]");
    w.server = server_asked(&w.rig);
    world_close(&w);
}

static void a_client_leaves_while_it_is_joined_again(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent"));
    dies(&w.server);
    w.server = server_asked(&w.rig);
    gets_own(&w.server, "phx_join", JOINS, false);
    says(&w.client, "[\"3\",\"5\",\"" TOPIC "\",\"phx_leave\",{}]");
    gets(&w.client, OK("5"));
    gets(&w.client, "[\"3\",\"3\",\"" TOPIC "\",\"phx_close\",{}]");
    gets_own(&w.server, "phx_leave", "{}", true);
    world_close(&w);
}

static void nobody_is_there_for_20_s_and_then_somebody_is(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, give_up: 60s, backoff: { max: 4s, jitter: 0% }"));
    all_gone(&w);
    for (unsigned i = 0; i < 4; i++) {
        rig_advance(&w.rig, 5000);
        says(&w.client, BEAT);
        gets(&w.client, BEAT_OK);
    }
    says(&w.client, PUSH("5"));
    gets_nothing(&w.client);
    comes_up(&w.rig, 1);
    for (unsigned i = 0; i < 70 && !is_any_asked(&w.rig); i++)
        rig_advance(&w.rig, 100);
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("5"));
    world_close(&w);
}

static void nobody_is_there_for_too_long_and_the_client_is_told(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, give_up: 10s, backoff: { jitter: 0% }"));
    all_gone(&w);
    rig_advance(&w.rig, 9999);
    gets_nothing(&w.client);
    rig_advance(&w.rig, 2);
    gets(&w.client, FAILED);
    comes_up(&w.rig, 2);
    says(&w.client, JOIN); /* as an SDK does a moment later */
    for (unsigned i = 0; i < 79 && !is_any_asked(&w.rig); i++)
        rig_advance(&w.rig, 100);
    w.server = server_asked(&w.rig);
    gets(&w.server, JOIN);
    says(&w.server, OK("3"));
    gets(&w.client, OK("3"));
    world_close(&w);
}

static void a_server_that_stopped_is_left_when_it_has_been_silent_for_too_long(void **state)
{
    struct world w;
    char text[4096];
    (void)state;
    world_open(&w, YAML("gap: silent, heartbeat: 3s, dead_after: 5s"));
    rig_advance(&w.rig, 4900);
    assert_false(is_any_asked(&w.rig));
    assert_non_null(strstr(next_text(&w.server, text), "\"heartbeat\""));
    rig_advance(&w.rig, 200);
    int n; /* the first heartbeat comes at random, so a second may have been sent */
    do
        n = rig_read(&w.rig, w.server.fd, text, sizeof text);
    while (n > 0);
    assert_int_equal(n, -2); /* reset: it must not go on without us */
    struct side second = server_asked(&w.rig);
    GETS_JOIN(&second);
    GETS_TRACK(&second);
    (void)close(w.server.fd);
    w.server = second;
    world_close(&w);
}

static void a_server_is_not_too_silent_for_rules_it_did_not_know(void **state)
{
    struct world w;
    char text[4096];
    (void)state;
    world_open(&w, YAML("gap: silent, heartbeat: 600s, dead_after: 900s"));
    rig_advance(&w.rig, 20000);
    (void)next_text(&w.server, text); /* a heartbeat may have been due already */
    rig_reload(&w.rig, YAML("gap: silent, heartbeat: 3s, dead_after: 5s"));
    assert_false(is_any_asked(&w.rig));
    rig_advance(&w.rig, 3001);
    assert_non_null(strstr(next_text(&w.server, text), "\"heartbeat\""));
    assert_false(is_any_asked(&w.rig));
    rig_advance(&w.rig, 2000); /* from now on they hold */
    struct side second = server_asked(&w.rig);
    GETS_JOIN(&second);
    GETS_TRACK(&second);
    (void)close(w.server.fd);
    w.server = second;
    world_close(&w);
}

#define REFUSED(ref, why)                                                                                              \
    "[\"3\",\"" ref "\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"gateway: " why    \
    "\"}}]"

static void of_what_waits_the_oldest_makes_room_and_nothing_waits_for_ever(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, queue: 2, backoff: { jitter: 0% }"));
    all_gone(&w);
    says(&w.client, PUSH("5"));
    says(&w.client, PUSH("6"));
    gets_nothing(&w.client);
    says(&w.client, PUSH("7"));
    gets(&w.client, REFUSED("5", "too many messages wait"));
    rig_advance(&w.rig, 7900);
    says(&w.client, PUSH("8"));
    gets(&w.client, REFUSED("6", "too many messages wait"));
    gets_nothing(&w.client);
    rig_advance(&w.rig, 200);
    gets(&w.client, REFUSED("7", "no server"));
    gets_nothing(&w.client);
    comes_up(&w.rig, 1);
    for (unsigned i = 0; i < 80 && !is_any_asked(&w.rig); i++)
        rig_advance(&w.rig, 100);
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    GETS_TRACK(&w.server);
    gets(&w.server, PUSH("8"));
    gets_nothing(&w.server);
    world_close(&w);
}

static void servers_that_die_at_once_are_not_asked_without_end(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, YAML("gap: silent, backoff: { jitter: 0% }"));
    rig_advance(&w.rig, 2000);
    dies(&w.server);
    for (int i = 0; i < 3; i++) {
        w.server = server_asked(&w.rig);
        GETS_JOIN(&w.server);
        GETS_TRACK(&w.server);
        dies(&w.server);
    }
    rig_advance(&w.rig, 999);
    assert_false(is_any_asked(&w.rig));
    rig_advance(&w.rig, 1);
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    world_close(&w);
}

static void who_is_not_let_in_any_more_hears_1012_and_may_ask_why(void **state)
{
    struct world w;
    char head[4096];
    (void)state;
    world_open(&w, YAML("gap: silent"));
    dies(&w.server);
    int asked = 0;
    while (!rig_has_waiting(&w.rig, asked))
        assert_true(++asked < RIG_SERVERS);
    w.server.fd = rig_accept(&w.rig, asked);
    assert_true(rig_read(&w.rig, w.server.fd, head, sizeof head) > 0);
    static const char refusal[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    rig_write(&w.rig, w.server.fd, refusal, sizeof refusal - 1);
    rig_expect_close(&w.rig, w.client.fd, 1012);
    assert_false(is_any_asked(&w.rig));
    world_close(&w);
}

/* The first 1.5 MiB of a message of 2 MiB are more than is collected, so they are with the client already. */
static void nothing_follows_half_a_long_message(void **state)
{
    static const uint8_t header[10] = {0x81, 127, 0, 0, 0, 0, 0, 0x20, 0, 0};
    static uint8_t half[64u << 10];
    struct world w;
    char got[4096];
    int n;
    (void)state;
    memset(half, 'x', sizeof half);
    memcpy(half, "[null,null,\"a\",\"b\",\"", 21);
    world_open(&w, YAML("gap: silent, max_message: 8MiB"));
    rig_write(&w.rig, w.server.fd, header, sizeof header);
    for (size_t i = 0; i < 24; i++) {
        rig_write(&w.rig, w.server.fd, half, sizeof half);
        while (i > 18 && rig_read(&w.rig, w.client.fd, got, sizeof got) > 0)
            ;
    }
    dies(&w.server);
    while ((n = rig_read(&w.rig, w.client.fd, got, sizeof got)) > 0)
        assert_null(memmem(got, (size_t)n, "phx_", 4));
    assert_int_equal(n, -2); /* a close frame would be taken for a part of the message */
    assert_false(is_any_asked(&w.rig));
    (void)close(w.client.fd);
    sim_settle(w.rig.loop);
    rig_close(&w.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_server_is_nothing_a_client_sees),
        cmocka_unit_test(the_second_server_dies_while_it_is_told),
        cmocka_unit_test(a_push_that_was_under_way_is_sent_again_where_that_was_asked_for),
        cmocka_unit_test(a_push_that_was_under_way_is_reported_otherwise),
        cmocka_unit_test(a_client_leaves_while_it_is_joined_again),
        cmocka_unit_test(nobody_is_there_for_20_s_and_then_somebody_is),
        cmocka_unit_test(nobody_is_there_for_too_long_and_the_client_is_told),
        cmocka_unit_test(a_server_that_stopped_is_left_when_it_has_been_silent_for_too_long),
        cmocka_unit_test(a_server_is_not_too_silent_for_rules_it_did_not_know),
        cmocka_unit_test(of_what_waits_the_oldest_makes_room_and_nothing_waits_for_ever),
        cmocka_unit_test(servers_that_die_at_once_are_not_asked_without_end),
        cmocka_unit_test(who_is_not_let_in_any_more_hears_1012_and_may_ask_why),
        cmocka_unit_test(nothing_follows_half_a_long_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
