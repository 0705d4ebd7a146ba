/* Calls to servers that are away, hostile or slow: what is refused, and how long anything may take. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/replay/calls.h"

static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n"
                           "pools:\n"
                           "  api:\n"
                           "    connect_timeout: 1s\n"
                           "    upgrade_timeout: 3s\n"
                           "    first_byte_timeout: 30s\n"
                           "    between_bytes_timeout: 60s\n"
                           "    request_timeout: 5m\n"
                           "    keepalive: { connections: 2, time: 60s, requests: 4 }\n"
                           "    servers:\n"
                           "      - { name: a, url: 'http://127.0.0.1:@a' }\n"
                           "      - { name: b, url: 'http://127.0.0.1:@b' }\n"
                           "routes: [ { path: /, pool: api } ]\n";

static const char yaml_h2[] = "listen: [ { address: '127.0.0.1:1' } ]\n"
                              "pools:\n"
                              "  api:\n"
                              "    http: h2\n"
                              "    connect_timeout: 1s\n"
                              "    servers: [ { name: a, url: 'http://127.0.0.1:@a' } ]\n"
                              "routes: [ { path: /, pool: api } ]\n";

#define OK_HI  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define WS_KEY "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13\n"

static const struct ask get = {.path = "/x"};
static const struct ask chunked_upload = {.method = "POST", .has_body = true, .content_length = -1};

/* ---- failures ---- */

static void nobody_there_is_told_at_once(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    close(t.server_fd[0]);
    t.server_fd[0] = -1;
    user_start(&t, &u, &get);
    sim_settle(t.loop);
    user_expect_failed(&u, ERR_REFUSED, CALL_CONNECT);
    assert_true(u.failure.is_unprocessed);
    user_fini(&u);
    calls_close(&t);
}

static void a_server_without_an_address_is_not_resolved(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    calls_server(&t, 0)->addr_count = 0;
    user_start(&t, &u, &get);
    sim_settle(t.loop);
    user_expect_failed(&u, ERR_RESOLVE, CALL_RESOLVE);
    assert_true(u.failure.is_unprocessed);
    user_fini(&u);
    calls_close(&t);
}

/* Of several addresses each is tried in turn, beginning with another one each time. */
static void another_address_may_be_better(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    struct server *s = calls_server(&t, 0);
    s->addrs[s->addr_count++] = calls_server(&t, 1)->addrs[0];
    close(t.server_fd[0]);
    t.server_fd[0] = -1;
    for (int i = 0; i < 2; i++) {
        user_start(&t, &u, &get);
        int fd = server_accept(&t, 1);
        server_expect(&t, fd, "GET /x ", "\r\n\r\n");
        server_write(&t, fd, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        user_expect(&u, 204, "");
        user_fini(&u);
        close(fd);
    }
    calls_close(&t);
}

static const struct {
    const char *what;
    const char *answer;
    bool is_websocket;
    enum err error;
} hostile[] = {
    {"two framings", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", false, ERR_PROTOCOL},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", false, ERR_PROTOCOL},
    {"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", false, ERR_PROTOCOL},
    {"a folded field", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", false, ERR_PROTOCOL},
    {"no status", "HTTP/1.1 OK\r\n\r\n", false, ERR_PROTOCOL},
    {"another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", false, ERR_PROTOCOL},
    {"HTTP/2", "HTTP/2 200 OK\r\n\r\n", false, ERR_PROTOCOL},
    {"an upgrade nobody asked for", "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false,
     ERR_PROTOCOL},
    {"interim answers without end",
     "HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\n"
     "HTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\nHTTP/1.1 100 A\r\n\r\n",
     false, ERR_PROTOCOL},
    {"200 to an upgrade", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, ERR_PROTOCOL},
    {"an upgrade with somebody else's key",
     "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
     "AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
     true, ERR_PROTOCOL},
    {"an upgrade to something else",
     "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
     "\r\n",
     true, ERR_PROTOCOL},
};

static void hostile_heads_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct calls t;
        struct user u = {0};
        calls_open(&t, yaml);
        user_start(
            &t, &u,
            &(struct ask){.is_websocket = hostile[i].is_websocket, .fields = hostile[i].is_websocket ? WS_KEY : ""});
        int fd = server_accept(&t, 0);
        server_write(&t, fd, hostile[i].answer);
        if (!u.is_failed)
            fail_msg("taken: %s", hostile[i].what);
        user_expect_failed(&u, hostile[i].error, CALL_ANSWER);
        assert_false(u.failure.is_unprocessed);
        user_fini(&u);
        server_expect_gone(&t, fd);
        close(fd);
        calls_close(&t);
    }
}

static void a_head_without_end_is_cut_off(void **state)
{
    struct calls t;
    struct user u = {0};
    char line[1024];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    int fd = server_accept(&t, 0);
    server_write(&t, fd, "HTTP/1.1 200 OK\r\n");
    (void)snprintf(line, sizeof line, "X-Pad: %0980d\r\n", 0);
    for (int i = 0; i < 100 && !u.is_failed; i++)
        server_write(&t, fd, line);
    user_expect_failed(&u, ERR_PROTOCOL, CALL_ANSWER);
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static const struct {
    const char *what;
    const char *answer;
    enum err error;
} broken_bodies[] = {
    {"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", ERR_EOF},
    {"cut off in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf", ERR_EOF},
    {"cut off before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", ERR_EOF},
    {"a chunk of no size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n", ERR_PROTOCOL},
    {"a chunk too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nffffffffffffffff\r\n",
     ERR_PROTOCOL},
};

static void a_body_that_breaks_is_a_failure_of_the_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_bodies / sizeof broken_bodies[0]; i++) {
        struct calls t;
        struct user u = {0};
        calls_open(&t, yaml);
        user_start(&t, &u, &get);
        int fd = server_accept(&t, 0);
        server_expect(&t, fd, "GET ", "\r\n\r\n");
        server_write(&t, fd, broken_bodies[i].answer);
        close(fd);
        sim_settle(t.loop);
        assert_int_equal(u.status, 200);
        user_expect_failed(&u, broken_bodies[i].error, CALL_BODY);
        assert_string_equal(u.body.data, "half");
        user_fini(&u);
        calls_close(&t);
    }
}

/* ---- deadlines ---- */

/* A listener whose queue is full answers nothing. */
static void become_a_black_hole(struct calls *t, int filler[2])
{
    struct addr a;
    assert_true(addr_parse(&a, "127.0.0.1:0"));
    close(t->server_fd[0]);
    assert_int_equal(sock_listen(&a, false, 0, &t->server_fd[0]), ERR_NONE);
    assert_int_equal(sock_local_addr(t->server_fd[0], &a), ERR_NONE);
    calls_server(t, 0)->addrs[0] = a;
    for (int i = 0; i < 2; i++)
        assert_int_equal(sock_connect(&a, &filler[i]), ERR_NONE);
}

static void a_black_hole_costs_the_connect_timeout(void **state)
{
    struct calls t;
    struct user u[3] = {0};
    int filler[2];
    (void)state;
    calls_open(&t, yaml);
    become_a_black_hole(&t, filler);
    user_start(&t, &u[0], &get);
    calls_advance(&t, 990);
    assert_false(u[0].is_failed);
    calls_advance(&t, 20);
    user_expect_failed(&u[0], ERR_TIMEOUT, CALL_CONNECT);
    assert_true(u[0].failure.is_unprocessed && !u[0].failure.is_cut_short);
    user_start(&t, &u[1], &(struct ask){.deadline_ms = loop_now_ms(t.loop) + 300});
    calls_advance(&t, 310);
    user_expect_failed(&u[1], ERR_TIMEOUT, CALL_CONNECT);
    assert_true(u[1].failure.is_cut_short);
    for (int i = 0; i < 2; i++) {
        user_fini(&u[i]);
        close(filler[i]);
    }
    calls_close(&t);
}

/* Over HTTP/2 the connection is not the call's, and goes on being made when that has given up. */
static void a_black_hole_costs_a_session_the_same(void **state)
{
    struct calls t;
    struct user u[2] = {0};
    int filler[2];
    (void)state;
    calls_open(&t, yaml_h2);
    become_a_black_hole(&t, filler);
    user_start(&t, &u[0], &(struct ask){.deadline_ms = loop_now_ms(t.loop) + 300});
    calls_advance(&t, 310);
    user_expect_failed(&u[0], ERR_TIMEOUT, CALL_CONNECT);
    assert_int_equal(t.net->open_count, 1);
    user_start(&t, &u[1], &get);
    assert_int_equal(t.net->open_count, 1);
    calls_advance(&t, 680);
    assert_false(u[1].is_failed);
    calls_advance(&t, 20);
    user_expect_failed(&u[1], ERR_TIMEOUT, CALL_CONNECT);
    assert_true(u[1].failure.is_unprocessed && !u[1].failure.is_cut_short);
    assert_int_equal(t.net->open_count, 0);
    for (int i = 0; i < 2; i++) {
        user_fini(&u[i]);
        close(filler[i]);
    }
    calls_close(&t);
}

static void a_silent_server_costs_the_first_byte_timeout(void **state)
{
    struct calls t;
    struct user plain = {0}, ws = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &plain, &get);
    user_start(&t, &ws, &(struct ask){.is_websocket = true, .fields = WS_KEY});
    int fd[2] = {server_accept(&t, 0), server_accept(&t, 0)};
    calls_advance(&t, 2990);
    assert_false(ws.is_failed);
    calls_advance(&t, 20);
    user_expect_failed(&ws, ERR_TIMEOUT, CALL_ANSWER);
    calls_advance(&t, 26980);
    assert_false(plain.is_failed);
    calls_advance(&t, 20);
    user_expect_failed(&plain, ERR_TIMEOUT, CALL_ANSWER);
    assert_false(plain.failure.is_cut_short);
    user_fini(&plain);
    user_fini(&ws);
    close(fd[0]);
    close(fd[1]);
    calls_close(&t);
}

static void the_users_deadline_is_of_the_head_alone(void **state)
{
    struct calls t;
    struct user late = {0}, slow = {0};
    (void)state;
    calls_open(&t, yaml);
    const struct ask ask = {.deadline_ms = loop_now_ms(t.loop) + 5000};
    user_start(&t, &slow, &ask);
    int slow_fd = server_accept(&t, 0);
    server_write(&t, slow_fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
    user_start(&t, &late, &ask);
    int late_fd = server_accept(&t, 0);
    calls_advance(&t, 5010);
    user_expect_failed(&late, ERR_TIMEOUT, CALL_ANSWER);
    assert_true(late.failure.is_cut_short);
    calls_advance(&t, 20000);
    server_write(&t, slow_fd, "i");
    user_expect(&slow, 200, "hi");
    user_fini(&late);
    user_fini(&slow);
    close(slow_fd);
    close(late_fd);
    calls_close(&t);
}

static void a_body_may_pause_but_not_stop(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    int fd = server_accept(&t, 0);
    server_write(&t, fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    for (int i = 0; i < 3; i++) { /* a byte now and then is a sign of life */
        calls_advance(&t, 50000);
        server_write(&t, fd, "x");
    }
    calls_advance(&t, 59900);
    assert_false(u.is_failed);
    calls_advance(&t, 200);
    user_expect_failed(&u, ERR_TIMEOUT, CALL_BODY);
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static void a_user_who_pauses_is_not_the_servers_fault(void **state)
{
    struct calls t;
    struct user u = {.pauses = true};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    int fd = server_accept(&t, 0);
    server_write(&t, fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh");
    calls_advance(&t, 200000);
    assert_false(u.is_failed);
    call_resume(u.call);
    calls_advance(&t, 59000);
    server_write(&t, fd, "i");
    user_expect(&u, 200, "hi");
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static void a_request_has_a_deadline_as_a_whole(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    /* Three of its five minutes went with other servers. */
    user_start(&t, &u, &(struct ask){.begun_ms = loop_now_ms(t.loop) - 180000 + 1});
    int fd = server_accept(&t, 0);
    server_write(&t, fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        calls_advance(&t, 39000);
        server_write(&t, fd, "x");
    }
    assert_false(u.is_failed);
    calls_advance(&t, 4000);
    user_expect_failed(&u, ERR_TIMEOUT, CALL_BODY);
    assert_true(u.failure.is_cut_short);
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static void a_client_that_sends_slowly_is_not_the_servers_fault(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &chunked_upload);
    int fd = server_accept(&t, 0);
    calls_advance(&t, 100000);
    call_write(u.call, (const uint8_t *)"x", 1);
    calls_advance(&t, 100000);
    assert_false(u.is_failed);
    call_end_body(u.call);
    calls_advance(&t, 29000);
    server_write(&t, fd, OK_HI);
    user_expect(&u, 200, "hi");
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

/* The server's time begins when there is something for it to take, however long nothing was before. */
static void a_client_that_sends_much_after_a_pause_is_not_either(void **state)
{
    struct calls t;
    struct user u = {0};
    static uint8_t much[16 << 20];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &chunked_upload);
    int fd = server_accept(&t, 0);
    calls_advance(&t, 100000);
    call_write(u.call, much, sizeof much);
    assert_true(call_is_full(u.call));
    calls_advance(&t, 59000);
    assert_false(u.is_failed);
    calls_advance(&t, 2000);
    user_expect_failed(&u, ERR_TIMEOUT, CALL_REQUEST);
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_there_is_told_at_once),
        cmocka_unit_test(a_server_without_an_address_is_not_resolved),
        cmocka_unit_test(another_address_may_be_better),
        cmocka_unit_test(hostile_heads_are_refused),
        cmocka_unit_test(a_head_without_end_is_cut_off),
        cmocka_unit_test(a_body_that_breaks_is_a_failure_of_the_body),
        cmocka_unit_test(a_black_hole_costs_the_connect_timeout),
        cmocka_unit_test(a_black_hole_costs_a_session_the_same),
        cmocka_unit_test(a_silent_server_costs_the_first_byte_timeout),
        cmocka_unit_test(the_users_deadline_is_of_the_head_alone),
        cmocka_unit_test(a_body_may_pause_but_not_stop),
        cmocka_unit_test(a_user_who_pauses_is_not_the_servers_fault),
        cmocka_unit_test(a_request_has_a_deadline_as_a_whole),
        cmocka_unit_test(a_client_that_sends_slowly_is_not_the_servers_fault),
        cmocka_unit_test(a_client_that_sends_much_after_a_pause_is_not_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
