/* Calls whose bytes do not go one after the other: back-pressure both ways, answers before the request is over,
 * WebSockets, and users who change their minds. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/http/upgrade.h"
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

#define OK_HI     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define WS_KEY    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13\n"
#define WS_ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static const struct ask get = {.path = "/x"};
static const struct ask upload = {.method = "POST", .has_body = true, .content_length = 1000000};
static const struct ask chunked_upload = {.method = "POST", .has_body = true, .content_length = -1};

/* One GET over the connection `fd`, or a new one when it is -1; returns the connection. */
static int served(struct calls *t, struct user *u, int fd, const char *answer)
{
    user_start(t, u, &get);
    if (fd < 0)
        fd = server_accept(t, 0);
    server_expect(t, fd, "GET /x HTTP/1.1\r\nHost: app.example.com\r\n", "\r\n\r\n");
    server_write(t, fd, answer);
    return fd;
}

/* ---- back-pressure ---- */

static void a_server_that_does_not_read_stops_the_upload(void **state)
{
    struct calls t;
    struct user u = {0};
    static uint8_t piece[16384];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &chunked_upload);
    int fd = server_accept(&t, 0);
    uint64_t written = 0;
    while (!call_is_full(u.call)) {
        call_write(u.call, piece, sizeof piece);
        written += sizeof piece;
        assert_true(written < (64u << 20));
    }
    /* What does not go into the kernel is little. */
    assert_in_range(stat_get(&t.birth.block->process[STAT_BUFFERED_BYTES]), 1,
                    CONN_HIGH_BYTES_DEFAULT + 2 * sizeof piece);
    sim_settle(t.loop);
    assert_int_equal(u.drain_count, 0);
    calls_advance(&t, 59000);
    char buf[65536];
    while (u.drain_count == 0)
        assert_true(server_read(&t, fd, buf, sizeof buf) > 0);
    assert_false(call_is_full(u.call));
    /* Full again, and nobody reads: it is the server's turn. */
    while (!call_is_full(u.call))
        call_write(u.call, piece, sizeof piece);
    calls_advance(&t, 59000);
    assert_false(u.is_failed);
    calls_advance(&t, 2000);
    user_expect_failed(&u, ERR_TIMEOUT, CALL_REQUEST);
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static void a_user_who_does_not_read_stops_the_download(void **state)
{
    struct calls t;
    struct user u = {.pauses = true};
    static char piece[65536];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    int fd = server_accept(&t, 0);
    server_write(&t, fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    uint64_t sent = 0;
    ssize_t n;
    while ((n = send(fd, piece, sizeof piece, MSG_NOSIGNAL | MSG_DONTWAIT)) > 0) {
        sent += (uint64_t)n;
        sim_settle(t.loop);
        assert_true(sent < (64u << 20));
    }
    assert_in_range(u.body_bytes, 1, CALL_AHEAD_BYTES);
    /* Each time it looks, it gets a little more. */
    for (int i = 0; i < 4; i++) {
        const uint64_t before = u.body_bytes;
        call_resume(u.call);
        sim_settle(t.loop);
        assert_in_range(u.body_bytes - before, 1, CALL_AHEAD_BYTES);
    }
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

/* ---- early answers ---- */

static void a_refusal_of_an_upload_is_delivered(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &upload);
    int fd = server_accept(&t, 0);
    call_write(u.call, (const uint8_t *)"some", 4);
    server_write(&t, fd, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nno");
    assert_int_equal(u.status, 413);
    assert_true(call_is_full(u.call)); /* no more of it, please */
    call_write(u.call, (const uint8_t *)"more", 4);
    server_expect(&t, fd, "POST ", "\r\n\r\nsome");
    server_write(&t, fd, "!!");
    user_expect(&u, 413, "no!!");
    assert_int_equal(u.drain_count, 0);
    user_fini(&u);
    server_expect_gone(&t, fd); /* half a request is on it */
    close(fd);
    calls_close(&t);
}

static void a_server_may_answer_while_it_reads(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &chunked_upload);
    int fd = server_accept(&t, 0);
    server_expect(&t, fd, "POST ", "\r\n\r\n");
    server_write(&t, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        call_write(u.call, (const uint8_t *)"ping", 4);
        server_expect(&t, fd, "4\r\nping", "\r\n");
        server_write(&t, fd, "4\r\npong\r\n");
    }
    call_end_body(u.call);
    server_expect(&t, fd, "0\r\n", "\r\n");
    server_write(&t, fd, "0\r\n\r\n");
    user_expect(&u, 200, "pongpongpong");
    user_fini(&u);
    assert_int_equal(t.net->open_count, 1); /* all was said on both sides: kept */
    close(fd);
    calls_close(&t);
}

/* ---- WebSockets ---- */

static void a_websocket_is_handed_over_with_what_came_early(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &(struct ask){.is_websocket = true, .fields = WS_KEY "sec-websocket-protocol: a, b\n"});
    int fd = server_accept(&t, 0);
    char request[2048];
    assert_true(server_read(&t, fd, request, sizeof request) > 0);
    assert_non_null(strstr(request, "Connection: Upgrade\r\n"));
    assert_non_null(strstr(request, "Upgrade: websocket\r\n"));
    assert_non_null(strstr(request, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
    server_write(&t, fd,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" WS_ACCEPT
                 "Sec-WebSocket-Protocol: b\r\n\r\nearly");
    assert_non_null(u.joined);
    assert_int_equal(u.status, 101);
    assert_false(u.has_accept);
    assert_string_equal(u.protocol, "b");
    server_write(&t, fd, " and late");
    assert_string_equal(u.tunnel.data, "early and late");
    conn_write(u.joined, "up", 2);
    server_expect(&t, fd, "up", "up");
    calls_advance(&t, 3600000); /* no deadline of the call's is left behind */
    assert_non_null(u.joined);
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static void a_key_is_made_where_there_is_none(void **state)
{
    struct calls t;
    struct user u = {0};
    char request[2048], accept[UPGRADE_ACCEPT_BYTES], answer[512];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &(struct ask){.is_websocket = true});
    int fd = server_accept(&t, 0);
    assert_true(server_read(&t, fd, request, sizeof request) > 0);
    assert_non_null(strstr(request, "Sec-WebSocket-Version: 13\r\n"));
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    upgrade_accept_key((struct http_view){key + 19, 24}, accept);
    (void)snprintf(answer, sizeof answer,
                   "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                   accept);
    server_write(&t, fd, answer);
    assert_non_null(u.joined);
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static void a_declined_websocket_is_an_answer(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &(struct ask){.is_websocket = true, .fields = WS_KEY});
    int fd = server_accept(&t, 0);
    server_expect(&t, fd, "GET ", "\r\n\r\n");
    server_write(&t, fd, "HTTP/1.1 401 No\r\nX-Test: why\r\nContent-Length: 5\r\n\r\nsorry");
    user_expect(&u, 401, "sorry");
    assert_string_equal(u.field, "why");
    user_fini(&u);
    assert_int_equal(served(&t, &u, fd, OK_HI), fd);
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

/* ---- cancelling ---- */

static void a_call_can_be_ended_at_any_time(void **state)
{
    (void)state;
    for (int phase = 0; phase < 6; phase++) {
        struct calls t;
        struct user u = {.cancels_at_head = phase == 4, .cancels_at_data = phase == 5};
        int fd = -1;
        calls_open(&t, yaml);
        user_start(&t, &u, &chunked_upload);
        if (phase > 0)
            fd = server_accept(&t, 0);
        if (phase > 1)
            call_write(u.call, (const uint8_t *)"x", 1);
        if (phase > 2)
            call_end_body(u.call);
        if (phase > 3) {
            server_write(&t, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1\r\ny\r\n0\r\n\r\n");
            assert_null(u.call);
        }
        user_fini(&u);
        assert_int_equal(t.net->open_count, 0);
        assert_false(u.is_ended || u.is_failed);
        calls_advance(&t, 600000);
        if (fd >= 0)
            close(fd);
        calls_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_does_not_read_stops_the_upload),
        cmocka_unit_test(a_user_who_does_not_read_stops_the_download),
        cmocka_unit_test(a_refusal_of_an_upload_is_delivered),
        cmocka_unit_test(a_server_may_answer_while_it_reads),
        cmocka_unit_test(a_websocket_is_handed_over_with_what_came_early),
        cmocka_unit_test(a_key_is_made_where_there_is_none),
        cmocka_unit_test(a_declined_websocket_is_an_answer),
        cmocka_unit_test(a_call_can_be_ended_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
