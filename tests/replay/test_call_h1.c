/* Calls over HTTP/1.1 against scripted servers: what is sent, where answers end, and which connections serve again. */
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

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_HI    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static const struct ask get = {.path = "/x"};
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

/* ---- what a request and an answer look like ---- */

static const struct {
    const char *what;
    struct ask ask;
    const char *request;
} requests[] = {
    {"a plain one",
     {.path = "/a?b=c", .fields = "accept: */*\n"},
     "GET /a?b=c HTTP/1.1\r\nHost: app.example.com\r\naccept: */*\r\n\r\n"},
    {"nothing to post", {.method = "POST"}, "POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 0\r\n\r\n"},
    {"fields of a connection are ours",
     {.fields = "transfer-encoding: chunked\nconnection: close\n"},
     "GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n"},
    {"a body of known length",
     {.method = "PUT", .has_body = true, .content_length = 5},
     "PUT / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 5\r\n\r\n"},
    {"a body of unknown length",
     {.method = "PATCH", .has_body = true, .content_length = -1},
     "PATCH / HTTP/1.1\r\nHost: app.example.com\r\nTransfer-Encoding: chunked\r\n\r\n"},
};

static void requests_are_framed_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct calls t;
        struct user u = {0};
        char got[4096];
        calls_open(&t, yaml);
        user_start(&t, &u, &requests[i].ask);
        int fd = server_accept(&t, 0);
        assert_true(server_read(&t, fd, got, sizeof got) > 0);
        assert_string_equal(got, requests[i].request);
        user_fini(&u);
        close(fd);
        calls_close(&t);
    }
}

static const struct {
    const char *what;
    const char *method;
    const char *answer;
    bool hangs_up;
    uint16_t status;
    const char *body;
    bool is_kept;
} answers[] = {
    {"with a length", "GET", OK_HI, false, 200, "hi", true},
    {"without content", "GET", OK_EMPTY, false, 200, "", true},
    {"in chunks", "GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n3\r\n ho\r\n0\r\nTrailer: x\r\n\r\n", false,
     200, "hi ho", true},
    {"until the end of the connection", "GET", "HTTP/1.1 200 OK\r\n\r\nhi", true, 200, "hi", false},
    {"to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", false, 200, "", true},
    {"204", "DELETE", "HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", true},
    {"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, 304, "", true},
    {"after interim ones", "GET",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: "
     "2\r\n"
     "\r\nno",
     false, 404, "no", true},
    {"the last one", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", false, 200, "hi",
     false},
    {"of HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, 200, "hi", false},
    {"with more behind it than it has", "GET", OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false, 200,
     "hi", false},
};

static void answers_end_where_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        /* In one piece, and in small ones. */
        for (int round = 0; round < 2; round++) {
            struct calls t;
            struct user u = {0};
            calls_open(&t, yaml);
            user_start(&t, &u, &(struct ask){.method = answers[i].method});
            int fd = server_accept(&t, 0);
            server_expect(&t, fd, answers[i].method, "\r\n\r\n");
            const size_t len = strlen(answers[i].answer);
            for (size_t k = 0; round == 1 && k < len && !u.is_ended; k += 7)
                server_write_bytes(&t, fd, answers[i].answer + k, len - k < 7 ? len - k : 7);
            if (round == 0)
                server_write_bytes(&t, fd, answers[i].answer, len);
            if (answers[i].hangs_up) {
                assert_false(u.is_ended);
                shutdown(fd, SHUT_WR);
                sim_settle(t.loop);
            }
            user_expect(&u, answers[i].status, answers[i].body);
            if (round == 0) {
                char c[2];
                assert_int_equal(server_read(&t, fd, c, sizeof c), answers[i].is_kept ? -1 : 0); /* no reset */
            }
            user_fini(&u);
            close(fd);
            calls_close(&t);
        }
    }
}

static void a_body_goes_up_as_it_comes(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &chunked_upload);
    int fd = server_accept(&t, 0);
    assert_int_equal(u.ready_count, 1);
    server_expect(&t, fd, "POST / ", "\r\n\r\n");
    call_write(u.call, (const uint8_t *)"hello", 5);
    server_expect(&t, fd, "5\r\nhello\r\n", "hello\r\n");
    call_write(u.call, (const uint8_t *)" world, hello", 13);
    call_end_body(u.call);
    server_expect(&t, fd, "d\r\n world, hello\r\n", "0\r\n\r\n");
    server_write(&t, fd, OK_HI);
    user_expect(&u, 200, "hi");
    user_fini(&u);
    /* and the connection is as good as new */
    assert_int_equal(served(&t, &u, fd, OK_HI), fd);
    user_expect(&u, 200, "hi");
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static const struct {
    uint32_t announced, written;
} lies[] = {{5, 3}, {5, 7}};

static void a_body_is_as_long_as_announced(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct calls t;
        struct user u = {0};
        calls_open(&t, yaml);
        user_start(&t, &u, &(struct ask){.method = "PUT", .has_body = true, .content_length = lies[i].announced});
        int fd = server_accept(&t, 0);
        call_write(u.call, (const uint8_t *)"0123456789", lies[i].written);
        if (u.call != NULL)
            call_end_body(u.call);
        user_expect_failed(&u, ERR_INVALID, CALL_REQUEST);
        user_fini(&u);
        server_expect_gone(&t, fd);
        close(fd);
        calls_close(&t);
    }
}

/* ---- kept connections ---- */

static void a_connection_serves_many_requests(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    int fd = -1;
    for (int i = 0; i < 4; i++) {
        fd = served(&t, &u, fd, OK_HI);
        user_expect(&u, 200, "hi");
        user_fini(&u);
        calls_advance(&t, 1000);
    }
    assert_int_equal(calls_counted(&t, STAT_SERVER_CONNECTS), 1);
    assert_int_equal(calls_counted(&t, STAT_SERVER_REUSES), 3);
    server_expect_gone(&t, fd); /* keepalive.requests: 4 */
    close(fd);
    calls_close(&t);
}

static void idle_connections_are_few_and_not_for_ever(void **state)
{
    struct calls t;
    struct user u[3] = {0};
    int fd[3];
    (void)state;
    calls_open(&t, yaml);
    for (int i = 0; i < 3; i++) {
        user_start(&t, &u[i], &get);
        fd[i] = server_accept(&t, 0);
    }
    for (int i = 0; i < 3; i++) {
        server_expect(&t, fd[i], "GET ", "\r\n\r\n");
        server_write(&t, fd[i], OK_HI);
        user_fini(&u[i]);
        calls_advance(&t, 100);
    }
    assert_int_equal(t.net->open_count, 3);
    calls_advance(&t, 900);
    assert_int_equal(t.net->open_count, 2); /* keepalive.connections: 2 */
    server_expect_gone(&t, fd[0]);          /* the newest stay */
    assert_int_equal(served(&t, &u[0], fd[2], OK_HI), fd[2]);
    user_expect(&u[0], 200, "hi");
    user_fini(&u[0]);
    calls_advance(&t, 59000);
    server_expect_gone(&t, fd[1]); /* a minute after its answer */
    calls_advance(&t, 2000);
    server_expect_gone(&t, fd[2]);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    calls_close(&t);
}

static void a_kept_connection_that_broke_is_replaced_in_silence(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    int old = served(&t, &u, -1, OK_HI);
    user_fini(&u);
    /* The server hangs up in the very moment in which the next request is on its way. */
    user_start(&t, &u, &get);
    close(old);
    int fd = server_accept(&t, 0);
    server_expect(&t, fd, "GET /x ", "\r\n\r\n");
    server_write(&t, fd, OK_HI);
    user_expect(&u, 200, "hi");
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

/* The body has not begun, or turned out to be empty: both can be said again. */
static void a_replacement_hears_all_that_was_said(void **state)
{
    (void)state;
    for (int is_empty = 0; is_empty < 2; is_empty++) {
        struct calls t;
        struct user u = {0};
        calls_open(&t, yaml);
        int old = served(&t, &u, -1, OK_HI);
        user_fini(&u);
        user_start(&t, &u, &(struct ask){.method = "PUT", .has_body = true, .content_length = -1});
        server_expect(&t, old, "PUT ", "\r\n\r\n");
        assert_int_equal(u.ready_count, 1);
        if (is_empty)
            call_end_body(u.call);
        close(old);
        int fd = server_accept(&t, 0);
        if (!is_empty) {
            assert_int_equal(u.drain_count, 1);
            call_write(u.call, (const uint8_t *)"x", 1);
            call_end_body(u.call);
        }
        server_expect(&t, fd, "PUT ", is_empty ? "\r\n\r\n0\r\n\r\n" : "\r\n\r\n1\r\nx\r\n0\r\n\r\n");
        server_write(&t, fd, OK_HI);
        user_expect(&u, 200, "hi");
        assert_int_equal(u.ready_count, 1);
        user_fini(&u);
        close(fd);
        calls_close(&t);
    }
}

static void silently_means_once(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    int old = served(&t, &u, -1, OK_HI);
    user_fini(&u);
    user_start(&t, &u, &get);
    close(old);
    int fd = server_accept(&t, 0);
    server_expect(&t, fd, "GET /x ", "\r\n\r\n");
    close(fd);
    sim_settle(t.loop);
    user_expect_failed(&u, ERR_EOF, CALL_ANSWER);
    assert_false(u.failure.is_unprocessed);
    assert_false(server_has_waiting(&t, 0));
    user_fini(&u);
    calls_close(&t);
}

static void what_must_not_happen_twice_is_not_sent_twice(void **state)
{
    struct calls t;
    struct user u = {0};
    const struct ask post = {.method = "POST", .is_not_repeatable = true};
    (void)state;
    calls_open(&t, yaml);
    int old = served(&t, &u, -1, OK_HI);
    user_fini(&u);
    /* Warm enough to be trusted; when it breaks all the same, nobody knows what the server did. */
    user_start(&t, &u, &post);
    server_expect(&t, old, "POST ", "\r\n\r\n");
    close(old);
    sim_settle(t.loop);
    user_expect_failed(&u, ERR_EOF, CALL_ANSWER);
    assert_false(u.failure.is_unprocessed);
    assert_false(server_has_waiting(&t, 0));
    user_fini(&u);
    /* A cold one is not even tried. */
    old = served(&t, &u, -1, OK_HI);
    user_fini(&u);
    calls_advance(&t, 1500);
    user_start(&t, &u, &post);
    int fd = server_accept(&t, 0);
    server_expect(&t, fd, "POST ", "\r\n\r\n");
    server_write(&t, fd, OK_EMPTY);
    user_expect(&u, 200, "");
    user_fini(&u);
    close(fd);
    close(old);
    calls_close(&t);
}

static void a_connection_closed_while_idle_is_not_tried(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    int old = served(&t, &u, -1, OK_HI);
    user_fini(&u);
    close(old);
    sim_settle(t.loop);
    assert_int_equal(t.net->open_count, 0);
    int fd = served(&t, &u, -1, OK_HI);
    user_expect(&u, 200, "hi");
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static void bytes_nobody_asked_for_end_a_kept_connection(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    int fd = served(&t, &u, -1, OK_HI);
    user_fini(&u);
    server_write(&t, fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    server_expect_gone(&t, fd);
    close(fd);
    fd = served(&t, &u, -1, OK_HI);
    user_expect(&u, 200, "hi");
    user_fini(&u);
    close(fd);
    calls_close(&t);
}

static void a_server_that_is_forgotten_keeps_nothing(void **state)
{
    struct calls t;
    struct user idle = {0}, busy = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &busy, &get);
    int busy_fd = server_accept(&t, 0);
    int idle_fd = served(&t, &idle, -1, OK_HI);
    user_fini(&idle);
    call_forget_server(calls_server(&t, 0));
    server_expect_gone(&t, idle_fd);
    server_write(&t, busy_fd, OK_HI);
    user_expect(&busy, 200, "hi");
    user_fini(&busy);
    server_expect_gone(&t, busy_fd);
    close(idle_fd);
    close(busy_fd);
    calls_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_framed_anew),
        cmocka_unit_test(answers_end_where_they_say),
        cmocka_unit_test(a_body_goes_up_as_it_comes),
        cmocka_unit_test(a_body_is_as_long_as_announced),
        cmocka_unit_test(a_connection_serves_many_requests),
        cmocka_unit_test(idle_connections_are_few_and_not_for_ever),
        cmocka_unit_test(a_kept_connection_that_broke_is_replaced_in_silence),
        cmocka_unit_test(a_replacement_hears_all_that_was_said),
        cmocka_unit_test(silently_means_once),
        cmocka_unit_test(what_must_not_happen_twice_is_not_sent_twice),
        cmocka_unit_test(a_connection_closed_while_idle_is_not_tried),
        cmocka_unit_test(bytes_nobody_asked_for_end_a_kept_connection),
        cmocka_unit_test(a_server_that_is_forgotten_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
