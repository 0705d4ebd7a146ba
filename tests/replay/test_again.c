/* The request of a session, as the server sees it that takes over: the one the first server was given, but for what is
 * the server's own and what the configuration says by then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/http/upgrade.h"
#include "tests/replay/rig.h"

#define CONF(pool, route)                                                                                              \
    "listen: [ { address: '127.0.0.1:1' } ]\n"                                                                         \
    "trace: { mode: start }\n"                                                                                         \
    "pools:\n"                                                                                                         \
    "  rt:\n"                                                                                                          \
    "    servers:\n"                                                                                                   \
    "      - { name: a, url: 'ws://127.0.0.1:@a/one' }\n"                                                              \
    "      - { name: b, url: 'ws://127.0.0.1:@b/two', tier: backup }\n" pool "routes:\n"                               \
    "  - { path: /socket/, pool: rt, websocket: { protocol: phoenix, hedge_after: 0 }" route " }\n"

static const char handshake[] =
    "GET /socket/websocket?apikey=k&vsn=2.0.0 HTTP/1.1\r\nHost: abc.example.com\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: phoenix, token.eHl6\r\n"
    "Origin: https://app.example.com\r\nCookie: a=b; c=d\r\nX-Api-Key: k\r\nX-Empty:\r\nx-Odd-CASE: Yes\r\n\r\n";

/* A server takes the WebSocket; `request` (4096) gets what it was asked. */
static int take(struct rig *r, int server, char *request)
{
    char accept[UPGRADE_ACCEPT_BYTES];
    char answer[256];
    int fd = rig_accept(r, server);
    assert_true(rig_read(r, fd, request, 4096) > 0);
    upgrade_accept_key((struct http_view){"dGhlIHNhbXBsZSBub25jZQ==", 24}, accept);
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Protocol: phoenix\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                       accept);
    rig_write(r, fd, answer, (size_t)len);
    return fd;
}

/* A client with a joined channel on server a; *server is that one's end. */
static int open_session(struct rig *r, int *server, char *request)
{
    char buf[1024];
    int client = rig_client(r, handshake);
    *server = take(r, 0, request);
    assert_true(rig_read(r, client, buf, sizeof buf) > 0);
    assert_memory_equal(buf, "HTTP/1.1 101", 12);
    assert_non_null(strstr(buf, "Sec-WebSocket-Protocol: phoenix\r\n"));
    rig_send_text(r, client, "[\"1\",\"1\",\"room\",\"phx_join\",{}]", true);
    assert_true(rig_read(r, *server, buf, sizeof buf) > 0);
    rig_send_text(r, *server, "[\"1\",\"1\",\"room\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]", false);
    assert_true(rig_read(r, client, buf, sizeof buf) > 0);
    return client;
}

/* The lines of `text` that are not in `other`, one behind the other, each with "\n". */
static void lines_apart(const char *text, const char *other, char *out, size_t cap)
{
    size_t len = 0;
    out[0] = '\0';
    for (const char *end; (end = strstr(text, "\r\n")) != NULL && end != text; text = end + 2) {
        char line[600];
        (void)snprintf(line, sizeof line, "%.*s\r\n", (int)(end - text), text);
        if (strstr(other, line) == NULL)
            len += (size_t)snprintf(out + len, cap - len, "%.*s\n", (int)(end - text), text);
    }
}

static void expect_apart(const char *first, const char *second, const char *expected)
{
    char apart[2048];
    lines_apart(second, first, apart, sizeof apart);
    assert_string_equal(apart, expected);
}

static void test_a_second_server_sees_what_the_first_saw(void **state)
{
    struct rig r;
    int a;
    char first[4096], second[4096], apart[2048];
    (void)state;
    rig_open(&r, CONF("", ""));
    int client = open_session(&r, &a, first);
    close(a);
    int b = take(&r, 1, second);
    expect_apart(first, second, "GET /two/socket/websocket?apikey=k&vsn=2.0.0 HTTP/1.1\n");
    lines_apart(first, second, apart, sizeof apart); /* and nothing is missing */
    assert_string_equal(apart, "GET /one/socket/websocket?apikey=k&vsn=2.0.0 HTTP/1.1\n");
    assert_null(strstr(second, "Sec-WebSocket-Extensions"));
    assert_non_null(strstr(second, "traceparent: "));
    close(b);
    close(client);
    rig_close(&r);
}

static void test_a_server_gets_its_own_host(void **state)
{
    struct rig r;
    int a;
    char first[4096], second[4096], expected[200];
    (void)state;
    rig_open(&r, CONF("", ", host_header: upstream"));
    int client = open_session(&r, &a, first);
    close(a);
    int b = take(&r, 1, second);
    (void)snprintf(expected, sizeof expected,
                   "GET /two/socket/websocket?apikey=k&vsn=2.0.0 HTTP/1.1\nHost: 127.0.0.1:%u\n", r.server_port[1]);
    expect_apart(first, second, expected);
    close(b);
    close(client);
    rig_close(&r);
}

static void test_a_reload_in_between_counts(void **state)
{
    struct rig r;
    int a;
    char first[4096], second[4096];
    (void)state;
    rig_open(&r, CONF("", ""));
    int client = open_session(&r, &a, first);
    rig_reload(&r, CONF("", ", rewrite: { strip_prefix: /socket }, request_headers: { set: { X-New: '{route}' },"
                            " remove: [ cookie ] }"));
    close(a);
    int b = take(&r, 1, second);
    expect_apart(first, second, "GET /two/websocket?apikey=k&vsn=2.0.0 HTTP/1.1\nX-New: /socket/\n");
    assert_null(strstr(second, "Cookie"));
    close(b);
    close(client);
    rig_close(&r);
}

/* A client was told which subprotocol is spoken. */
static void test_a_server_with_another_subprotocol_does_not_get_it(void **state)
{
    struct rig r;
    int a;
    char first[4096], second[4096];
    (void)state;
    rig_open(&r, CONF("      - { name: c, url: 'ws://127.0.0.1:@c', tier: emergency }\n", ""));
    int client = open_session(&r, &a, first);
    close(a);
    int b = rig_accept(&r, 1);
    rig_upgrade(&r, b); /* which chooses none */
    int c = take(&r, 2, second);
    assert_true(rig_read(&r, c, second, sizeof second) > 0); /* its channel is joined again */
    close(b);
    close(c);
    close(client);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_server_sees_what_the_first_saw),
        cmocka_unit_test(test_a_server_gets_its_own_host),
        cmocka_unit_test(test_a_reload_in_between_counts),
        cmocka_unit_test(test_a_server_with_another_subprotocol_does_not_get_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
