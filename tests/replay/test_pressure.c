/* Peers that are slow, or say more than they hear: what it costs, and that nothing of a request is lost or sent twice
 * over it. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/replay/h2_user.h"

static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n"
                           "limits: { header_timeout: 10s, body_timeout: 5s, send_timeout: 8s }\n"
                           "health: { path: /healthz }\n"
                           "pools:\n"
                           "  one: { servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] }\n"
                           "  two:\n"
                           "    retry: { budget: 0%, per_second: 1 }\n"
                           "    circuit: { failures: 1000 }\n"
                           "    servers:\n"
                           "      - { name: b, url: 'http://127.0.0.1:@b' }\n"
                           "      - { name: c, url: 'http://127.0.0.1:@c', tier: backup }\n"
                           "routes:\n"
                           "  - { path: /two, pool: two }\n"
                           "  - { path: /said, pool: one, cors: { origins: ['https://a.example'] },\n"
                           "      response_headers: { set: { X-Said: '{host} {host} {host} {host} {host}' } } }\n"
                           "  - { path: /, pool: one }\n";

#define OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void say(struct rig *r, int fd, const char *text)
{
    rig_write(r, fd, text, strlen(text));
}

static const char *text_at(struct rig *r, int fd, char *buf, size_t cap)
{
    buf[0] = '\0';
    (void)rig_read(r, fd, buf, cap);
    return buf;
}

static void expect_at(struct rig *r, int fd, const char *part)
{
    char buf[65536];
    if (strstr(text_at(r, fd, buf, sizeof buf), part) == NULL)
        fail_msg("expected %s, got: %s", part, buf);
}

static uint64_t buffered_bytes(const struct rig *r)
{
    return stat_get(&r->birth.block->process[STAT_BUFFERED_BYTES]);
}

/* ---- clients ---- */

/* Requests without end, and not an answer is read: the gateway stops reading, too. */
static void who_asks_without_listening_is_not_asked_on(void **state)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    enum { MANY = 400 };
    static char requests[MANY * (sizeof request - 1)], buf[1 << 20];
    struct rig r;
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        memcpy(requests + i * (sizeof request - 1), request, sizeof request - 1);
    rig_open(&r, yaml);
    int client = rig_client(&r, "");
    size_t sent_bytes = 0;
    for (int stuck_count = 0; stuck_count < 3;) {
        const size_t at = sent_bytes % sizeof requests;
        const ssize_t n = send(client, requests + at, sizeof requests - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent_bytes += n > 0 ? (size_t)n : 0;
        stuck_count = n > 0 ? 0 : stuck_count + 1;
        sim_settle(r.loop);
        assert_in_range(buffered_bytes(&r), 0, 256 * 1024);
        assert_true(sent_bytes < (64u << 20));
    }
    /* Once it listens, it gets an answer to each. One may begin in two reads. */
    static const char begin[] = "HTTP/1.1 ";
    size_t answer_count = 0, begun = 0;
    for (int n = 0; (n = rig_read(&r, client, buf, sizeof buf)) > 0;)
        for (int i = 0; i < n; i++) {
            begun = buf[i] == begin[begun] ? begun + 1 : buf[i] == begin[0];
            answer_count += begun == sizeof begin - 1;
            begun %= sizeof begin - 1;
        }
    assert_in_range(answer_count, sent_bytes / (sizeof request - 1) - 2, sent_bytes / (sizeof request - 1));
    close(client);
    rig_close(&r);
}

/* What the gateway repeats of a request has room in its answers. */
static void a_host_longer_than_any_name_is_refused(void **state)
{
    enum { LONG = 15000 };
    static char host[LONG + 1], request[LONG + 100], buf[65536];
    struct rig r;
    (void)state;
    memset(host, 'a', LONG);
    rig_open(&r, yaml);
    for (size_t len = 200; len <= LONG; len += LONG - 200) {
        (void)snprintf(request, sizeof request,
                       "OPTIONS /said HTTP/1.1\r\nOrigin: https://b.example\r\nAccess-Control-Request-Method: GET\r\n"
                       "Host: %.*s\r\n\r\n",
                       (int)len, host);
        int client = rig_client(&r, request);
        text_at(&r, client, buf, sizeof buf);
        assert_memory_equal(buf, len == LONG ? "HTTP/1.1 400" : "HTTP/1.1 403", 12);
        close(client);
    }
    rig_close(&r);
}

/* What an upload over HTTP/2 leaves behind while the server takes it little by little is no more than a window. */
static void an_upload_may_go_little_by_little(void **state)
{
    enum { MANY = 1536 << 10, LITTLE = 8 << 10 };
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    static char block[256 << 10];
    size_t got = 0;
    (void)state;
    rig_open(&r, yaml);
    /* With segments as small as on a real line the kernel buffers little, and frees it in small pieces. */
    assert_int_equal(setsockopt(r.server_fd[0], IPPROTO_TCP, TCP_MAXSEG, &(int){536}, sizeof(int)), 0);
    assert_int_equal(setsockopt(r.server_fd[0], SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int)), 0);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "POST", "/up", NULL, true);
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    for (size_t sent = 0; sent < MANY; sent += sizeof block)
        h2_stream_send(c.stream, block, sizeof block);
    h2_stream_end(c.stream);
    h2_user_run(&u);
    for (int n = 1; n > 0;) {
        n = rig_read(&r, server, block, LITTLE);
        got += n > 0 ? (size_t)n : 0;
        h2_user_run(&u);
    }
    assert_true(got > MANY);
    say(&r, server, OK_HI);
    h2_user_run(&u);
    assert_int_equal(c.status, 200);
    h2_user_close(&u);
    close(server);
    rig_close(&r);
}

/* ---- servers ---- */

/* A client that has heard a refusal need not go on sending what nobody wants. */
static void a_refusal_of_an_upload_may_take_its_time(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbegun");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    say(&r, server, "HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nnot");
    rig_advance(&r, 4000);
    say(&r, server, "for");
    rig_advance(&r, 4000);
    say(&r, server, "you");
    expect_at(&r, client, "\r\n\r\nnotforyou");
    close(client);
    close(server);
    rig_close(&r);
}

/* Leaves a connection to server `i` that is kept, and returns the server's end. */
static int warm_up(struct rig *r, const char *path, int i)
{
    char request[256], buf[4096];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    int client = rig_client(r, request);
    int server = rig_accept(r, i);
    expect_at(r, server, "GET ");
    say(r, server, OK_HI);
    text_at(r, client, buf, sizeof buf);
    assert_memory_equal(buf, "HTTP/1.1 200", 12);
    close(client);
    return server;
}

/* A kept connection breaks after the head of an upload, and the upload comes while another one is made. */
static void a_body_that_comes_while_its_connection_is_replaced_is_not_lost(void **state)
{
    static const char *const forms[][2] = {
        {"Content-Length: 5\r\n", "hello"},
        {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"},
        {"Transfer-Encoding: chunked\r\n", "0\r\n\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct rig r;
        char request[256], buf[4096];
        rig_open(&r, yaml);
        int old = warm_up(&r, "/two", 1);
        (void)snprintf(request, sizeof request, "PUT /two HTTP/1.1\r\nHost: x\r\n%s\r\n", forms[i][0]);
        int client = rig_client(&r, request);
        expect_at(&r, old, "PUT /two");
        close(old);
        loop_run_once(r.loop, false); /* it is noticed, and connecting begins ... */
        (void)send(client, forms[i][1], strlen(forms[i][1]), MSG_NOSIGNAL);
        loop_run_once(r.loop, false); /* ... but is not seen to be done before the body */
        int fresh = rig_accept(&r, 1);
        text_at(&r, fresh, buf, sizeof buf);
        assert_memory_equal(buf, "PUT /two", 8);
        const char *body = strstr(buf, "\r\n\r\n");
        assert_non_null(body);
        assert_string_equal(body + 4, forms[i][1]);
        say(&r, fresh, OK_HI);
        expect_at(&r, client, "200 OK");
        close(client);
        close(fresh);
        rig_close(&r);
    }
}

/* One retry a second for ten seconds: ten times a 503 of the first server is not the answer. */
static void a_retry_is_paid_once(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    for (int i = 0; i < 11; i++) {
        int client = rig_client(&r, "GET /two HTTP/1.1\r\nHost: x\r\n\r\n");
        int tired = rig_accept(&r, 1);
        text_at(&r, tired, buf, sizeof buf);
        say(&r, tired, "HTTP/1.1 503 Tired\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        if (i < 10) {
            int other = rig_accept(&r, 2);
            text_at(&r, other, buf, sizeof buf);
            say(&r, other, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
            expect_at(&r, client, "200 OK");
            close(other);
        } else {
            assert_false(rig_has_waiting(&r, 2));
            expect_at(&r, client, "503 Tired"); /* the server's own words */
        }
        close(tired);
        close(client);
    }
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_without_listening_is_not_asked_on),
        cmocka_unit_test(a_host_longer_than_any_name_is_refused),
        cmocka_unit_test(an_upload_may_go_little_by_little),
        cmocka_unit_test(a_refusal_of_an_upload_may_take_its_time),
        cmocka_unit_test(a_body_that_comes_while_its_connection_is_replaced_is_not_lost),
        cmocka_unit_test(a_retry_is_paid_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
