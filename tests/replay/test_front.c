/* Connections before they speak HTTP: whose they are, and what they are going to speak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/http/h2_server.h"
#include "tests/replay/rig.h"
#include "tests/unit/base/authority.h"

#define LIMITS "limits: { header_timeout: 10s, handshake_timeout: 3s, per_client: 1 }\n"
#define REST                                                                                                           \
    "health: { path: /healthz }\n"                                                                                     \
    "pools: { web: { servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] } }\n"                                       \
    "routes: [ { path: /, pool: web } ]\n"

static const char proxied[] = "listen: [ { address: '127.0.0.1:1', proxy_protocol: true } ]\n"
                              "trusted_proxies: [ 127.0.0.0/8 ]\n" LIMITS REST;
static const char untrusted[] = "listen: [ { address: '127.0.0.1:1', proxy_protocol: true } ]\n"
                                "trusted_proxies: [ 10.0.0.0/8 ]\n" LIMITS REST;
static const char plain[] = "listen: [ { address: '127.0.0.1:1' } ]\nlimits: { header_timeout: 10s }\n" REST;
static const char h1_only[] = "listen: [ { address: '127.0.0.1:1', http2: false } ]\n" REST;

#define GET_1 "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"

static void expect_server_sees(struct rig *r, const char *part)
{
    char buf[4096] = "";
    int server = rig_accept(r, 0);
    (void)rig_read(r, server, buf, sizeof buf);
    if (strstr(buf, part) == NULL)
        fail_msg("expected %s, got: %s", part, buf);
    close(server);
}

static void expect_start(struct rig *r, int client, const char *start)
{
    char buf[4096] = "";
    int n = rig_read(r, client, buf, sizeof buf);
    if (n <= 0 || strncmp(buf, start, strlen(start)) != 0)
        fail_msg("expected %s, got %d: %s", start, n, buf);
}

static void expect_gone(struct rig *r, int client)
{
    char buf[4096];
    int n = rig_read(r, client, buf, sizeof buf);
    if (n != 0 && n != -2)
        fail_msg("still there: %d", n);
    assert_int_equal(front_client_count(r->worker->front), 0);
}

/* ---- the PROXY header ---- */

static void the_proxys_word_says_who_the_client_is(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, proxied);
    int client = rig_client(&r, "PROXY TCP4 192.0.2.7 192.0.2.1 1234 443\r\n" GET_1);
    expect_server_sees(&r, "X-Forwarded-For: 192.0.2.7\r\n");
    close(client);
    client = rig_client(&r, "PROXY TCP6 2001:db8::7 2001:db8::1 1234 443\r\n" GET_1);
    expect_server_sees(&r, "X-Forwarded-For: 2001:db8::7\r\n");
    close(client);
    rig_close(&r);
}

static void a_header_in_pieces_is_put_together(void **state)
{
    static const char header[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\xc0\0\2\1\4\xd2\1\xbb";
    struct rig r;
    (void)state;
    rig_open(&r, proxied);
    int client = rig_client(&r, "");
    for (size_t i = 0; i < sizeof header - 1; i++)
        rig_write(&r, client, header + i, 1);
    rig_write(&r, client, GET_1, strlen(GET_1));
    expect_server_sees(&r, "X-Forwarded-For: 192.0.2.7\r\n");
    close(client);
    rig_close(&r);
}

static void a_proxy_may_speak_for_itself(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, proxied);
    int client = rig_client(&r, "PROXY UNKNOWN\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_start(&r, client, "HTTP/1.1 200 ");
    close(client);
    rig_close(&r);
}

static void who_has_no_header_is_not_let_in(void **state)
{
    static const char *const requests[] = {GET_1, "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n" GET_1, H2_PREFACE,
                                           "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n" GET_1};
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct rig r;
        rig_open(&r, proxied);
        int client = rig_client(&r, requests[i]);
        expect_gone(&r, client);
        close(client);
        rig_close(&r);
    }
}

static void a_header_that_does_not_come_is_not_waited_for(void **state)
{
    struct rig r;
    char buf[64];
    (void)state;
    rig_open(&r, proxied);
    int client = rig_client(&r, "PROXY TCP4 192.0.2.7");
    rig_advance(&r, 2900);
    assert_int_equal(rig_read(&r, client, buf, sizeof buf), -1);
    rig_advance(&r, 200);
    expect_gone(&r, client);
    close(client);
    rig_close(&r);
}

static void half_a_header_and_the_end_is_the_end(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, proxied);
    int client = rig_client(&r, "PROXY TCP4 192.0.2.7");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    expect_gone(&r, client);
    close(client);
    rig_close(&r);
}

static void strangers_are_not_believed(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, untrusted);
    int client = rig_client(&r, "PROXY TCP4 192.0.2.7 192.0.2.1 1234 443\r\n" GET_1);
    expect_gone(&r, client);
    assert_false(rig_has_waiting(&r, 0));
    close(client);
    rig_close(&r);
}

/* The limit is one connection of each client; all of them come from one proxy. */
static void behind_a_proxy_each_client_is_counted_for_itself(void **state)
{
    struct rig r;
    char buf[64];
    (void)state;
    rig_open(&r, proxied);
    int one = rig_client(&r, "PROXY TCP4 192.0.2.7 192.0.2.1 1234 443\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    int two = rig_client(&r, "PROXY TCP4 192.0.2.8 192.0.2.1 1234 443\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_start(&r, one, "HTTP/1.1 200 ");
    expect_start(&r, two, "HTTP/1.1 200 ");
    int again = rig_client(&r, "PROXY TCP4 192.0.2.7 192.0.2.1 1235 443\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(rig_read(&r, again, buf, sizeof buf) <= 0);
    assert_int_equal(stat_get(&r.birth.block->process[STAT_CLIENTS_OVER_LIMIT]), 1);
    close(one);
    close(two);
    close(again);
    rig_close(&r);
}

/* ---- which HTTP ---- */

/* The server's settings come first. */
static void expect_h2(struct rig *r, int client)
{
    char buf[4096];
    assert_true(rig_read(r, client, buf, sizeof buf) > 9);
    assert_int_equal(buf[3], 4);
}

static void the_first_bytes_say_what_is_spoken(void **state)
{
    static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    struct rig r;
    (void)state;
    rig_open(&r, plain);
    int client = rig_client(&r, H2_PREFACE);
    rig_write(&r, client, settings, sizeof settings);
    expect_h2(&r, client);
    close(client);

    client = rig_client(&r, "");
    for (const char *p = H2_PREFACE; *p != '\0'; p++)
        rig_write(&r, client, p, 1);
    rig_write(&r, client, settings, sizeof settings);
    expect_h2(&r, client);
    close(client);
    rig_close(&r);
}

static void what_only_begins_like_http2_is_http1(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, plain);
    int client = rig_client(&r, "P");
    static const char rest[] = "OST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    rig_write(&r, client, rest, sizeof rest - 1);
    expect_start(&r, client, "HTTP/1.1 405 ");
    close(client);
    client = rig_client(&r, "PRI * HTTP/2.0\r\n\r\nSN");
    expect_start(&r, client, "HTTP/1.1 505 ");
    close(client);
    rig_close(&r);
}

static void http2_is_not_spoken_where_it_is_off(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, h1_only);
    int client = rig_client(&r, H2_PREFACE);
    expect_start(&r, client, "HTTP/1.1 505 ");
    close(client);
    rig_close(&r);
}

static void who_says_nothing_is_not_waited_for(void **state)
{
    static const char *const beginnings[] = {"", "PRI * HT"};
    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        struct rig r;
        char buf[64];
        rig_open(&r, plain);
        int client = rig_client(&r, beginnings[i]);
        rig_advance(&r, 9900);
        assert_int_equal(rig_read(&r, client, buf, sizeof buf), -1);
        rig_advance(&r, 200);
        expect_gone(&r, client);
        close(client);
        rig_close(&r);
    }
}

/* ---- TLS ---- */

static void write_file(char *path, char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    free(text);
}

/* A worker whose listener speaks TLS. */
static void open_secure(struct rig *r)
{
    char cert[] = "/tmp/tidegate-replay-XXXXXX", key[] = "/tmp/tidegate-replay-XXXXXX", yaml[1024];
    struct identity self = make_identity(NULL, "replay", "DNS:app.example.com");
    write_file(cert, cert_pem(&self));
    write_file(key, key_pem(&self));
    identity_free(&self);
    (void)snprintf(
        yaml, sizeof yaml,
        "listen: [ { address: '127.0.0.1:1', tls: { certificates: [ { cert: %s, key: %s } ] } } ]\n" LIMITS REST, cert,
        key);
    rig_open(r, yaml);
    (void)unlink(cert);
    (void)unlink(key);
}

static uint64_t count_of(const struct rig *r, enum stat_process id)
{
    return stat_get(&r->birth.block->process[id]);
}

static void what_is_no_handshake_is_refused(void **state)
{
    struct rig r;
    (void)state;
    open_secure(&r);
    int client = rig_client(&r, GET_1);
    expect_gone(&r, client);
    assert_int_equal(count_of(&r, STAT_TLS_FAILED), 1);
    assert_int_equal(count_of(&r, STAT_TLS_HANDSHAKES), 0);
    close(client);
    rig_close(&r);
}

static void a_handshake_that_does_not_come_is_not_waited_for(void **state)
{
    static const char *const beginnings[] = {"", "\x16\x03\x01\x01"};
    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        struct rig r;
        char buf[64];
        open_secure(&r);
        int client = rig_client(&r, beginnings[i]);
        rig_advance(&r, 2900);
        assert_int_equal(rig_read(&r, client, buf, sizeof buf), -1);
        rig_advance(&r, 200);
        expect_gone(&r, client);
        assert_int_equal(count_of(&r, STAT_TLS_FAILED), 1);
        close(client);
        rig_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_proxys_word_says_who_the_client_is),
        cmocka_unit_test(a_header_in_pieces_is_put_together),
        cmocka_unit_test(a_proxy_may_speak_for_itself),
        cmocka_unit_test(who_has_no_header_is_not_let_in),
        cmocka_unit_test(a_header_that_does_not_come_is_not_waited_for),
        cmocka_unit_test(half_a_header_and_the_end_is_the_end),
        cmocka_unit_test(strangers_are_not_believed),
        cmocka_unit_test(behind_a_proxy_each_client_is_counted_for_itself),
        cmocka_unit_test(the_first_bytes_say_what_is_spoken),
        cmocka_unit_test(what_only_begins_like_http2_is_http1),
        cmocka_unit_test(http2_is_not_spoken_where_it_is_off),
        cmocka_unit_test(who_says_nothing_is_not_waited_for),
        cmocka_unit_test(what_is_no_handshake_is_refused),
        cmocka_unit_test(a_handshake_that_does_not_come_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
