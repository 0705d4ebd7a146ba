/* Bodies of HTTP/1.1 requests: how they are framed, when they may come, and what becomes of those nobody wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/replay/talk.h"

#define LIMITS "limits: { header_timeout: 10s, body_timeout: 5s, keepalive_timeout: 20s, send_timeout: 8s }\n"
#define REST                                                                                                           \
    "health: { path: /healthz }\n"                                                                                     \
    "pools: { web: { servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] } }\n"                                       \
    "routes: [ { path: /, pool: web } ]\n"

static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n" LIMITS REST;

/* ---- bodies ---- */

static void a_body_with_a_length_is_passed_on_as_it_comes(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    int server = rig_accept(&r, 0);
    char buf[4096];
    text_at(&r, server, buf, sizeof buf);
    assert_non_null(strstr(buf, "Content-Length: 10\r\n"));
    assert_non_null(strstr(buf, "\r\n\r\nhello"));
    say(&r, client, "world");
    expect_at(&r, server, "world");
    say(&r, server, OK_HI);
    expect_status(&r, client, 200);
    close(client);
    close(server);
    rig_close(&r);
}

/* Sizes in any case and with leading zeros, extensions, trailers: all of it is read, and only the content goes on. */
static void a_chunked_body_is_read_whatever_its_form(void **state)
{
    static const char *const pieces[] = {"5;ext=\"a;b\"\r\nhello\r\n", "0000A ; x\r\n 123456789\r\n",
                                         "a\r\nabcdefghij\r\n",
                                         "0;last\r\nX-Trailer: gone\r\nContent-Length: 3\r\n\r\n"};
    (void)state;
    for (int is_cut = 0; is_cut < 2; is_cut++) {
        struct rig r;
        char all[4096] = "", part[4096];
        rig_open(&r, yaml);
        int client = rig_client(&r, "POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        int server = rig_accept(&r, 0);
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            for (const char *p = pieces[i]; *p != '\0'; p += is_cut ? 1 : strlen(p))
                rig_write(&r, client, p, is_cut ? 1 : strlen(p));
            strcat(all, text_at(&r, server, part, sizeof part));
        }
        assert_non_null(strstr(all, "Transfer-Encoding: chunked\r\n"));
        assert_null(strstr(all, "ext"));
        assert_null(strstr(all, "X-Trailer"));
        assert_non_null(strstr(all, is_cut ? "\r\no\r\n" : "\r\nhello\r\n"));
        assert_non_null(strstr(all, "\r\n0\r\n\r\n"));
        say(&r, server, OK_HI);
        expect_status(&r, client, 200);
        /* The trailers are over: the next request begins behind them. */
        say(&r, client, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        expect_status(&r, client, 200);
        close(client);
        close(server);
        rig_close(&r);
    }
}

static const char *const broken_chunks[] = {
    "x\r\n",   "5\r\nhelloX",      "5\r\nhello\n", "5\nhello\r\n0\r\n\r\n", "-1\r\n",
    "\r\n",    "0x5\r\nhello\r\n", "5\rhello",     "ffffffffffffffff\r\n",  "0\r\nA: \x01\r\n",
    "0\r\n\n",
};

static void broken_chunks_are_400_and_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_chunks / sizeof *broken_chunks; i++) {
        struct rig r;
        char buf[4096];
        rig_open(&r, yaml);
        int client = rig_client(&r, "POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        int server = rig_accept(&r, 0);
        text_at(&r, server, buf, sizeof buf);
        say(&r, client, broken_chunks[i]);
        text_at(&r, client, buf, sizeof buf);
        if (strncmp(buf, "HTTP/1.1 400 ", 13) != 0 || strstr(buf, "Connection: close\r\n") == NULL)
            fail_msg("chunk %s: %s", broken_chunks[i], buf);
        expect_end(&r, client);
        assert_true(rig_read(&r, server, buf, sizeof buf) != -1); /* half a request is given up there, too */
        close(client);
        close(server);
        rig_close(&r);
    }
}

static void a_body_that_does_not_come_is_408(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    rig_advance(&r, 4900);
    say(&r, client, "l"); /* the time counts from the last byte */
    rig_advance(&r, 4900);
    expect_nothing(&r, client);
    rig_advance(&r, 200);
    expect_status(&r, client, 408);
    expect_end(&r, client);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_client_that_waits_is_told_to_go_on(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    int server = rig_accept(&r, 0);
    char buf[4096];
    text_at(&r, server, buf, sizeof buf);
    assert_null(strstr(buf, "100-continue"));
    assert_string_equal(text_at(&r, client, buf, sizeof buf), "HTTP/1.1 100 Continue\r\n\r\n");
    say(&r, client, "hello");
    expect_at(&r, server, "hello");
    say(&r, server, OK_HI);
    expect_status(&r, client, 200);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_client_that_waits_may_be_refused_at_once(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client =
        rig_client(&r, "PUT /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    text_at(&r, client, buf, sizeof buf);
    assert_memory_equal(buf, "HTTP/1.1 405 ", 13);
    /* Nobody can know whether the five bytes still come. */
    assert_non_null(strstr(buf, "Connection: close\r\n"));
    expect_end(&r, client);
    close(client);
    rig_close(&r);
}

static void who_did_not_wait_is_not_told_to_go_on(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client =
        rig_client(&r, "PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    int server = rig_accept(&r, 0);
    expect_at(&r, server, "hello");
    expect_nothing(&r, client);
    say(&r, server, OK_HI);
    expect_status(&r, client, 200);
    (void)buf;
    close(client);
    close(server);
    rig_close(&r);
}

/* ---- an answer before the body was read ---- */

static void a_small_body_nobody_wants_is_read_over(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    expect_status(&r, client, 405);
    say(&r, client, "world");
    say(&r, client, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(&r, client, 200);
    say(&r, client,
        "POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    char buf[8192];
    text_at(&r, client, buf, sizeof buf);
    assert_memory_equal(buf, "HTTP/1.1 405 ", 13);
    assert_non_null(strstr(buf, "HTTP/1.1 200 "));
    close(client);
    rig_close(&r);
}

static void a_body_nobody_wants_has_little_time_to_come(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    expect_status(&r, client, 405);
    rig_advance(&r, 1400);
    expect_nothing(&r, client);
    rig_advance(&r, 200);
    expect_end(&r, client);
    close(client);
    rig_close(&r);
}

static void a_large_body_nobody_wants_ends_the_connection(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhello");
    text_at(&r, client, buf, sizeof buf);
    assert_memory_equal(buf, "HTTP/1.1 405 ", 13);
    assert_non_null(strstr(buf, "Connection: close\r\n"));
    expect_end(&r, client);
    /* No reset while the client still sends: it would destroy the answer. */
    for (int i = 0; i < 10; i++)
        say(&r, client, "more of the same");
    expect_end(&r, client);
    close(client);
    rig_close(&r);
}

static void an_endless_body_nobody_wants_is_not_read_to_its_end(void **state)
{
    struct rig r;
    static char chunk[20000];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect_status(&r, client, 405);
    memset(chunk, 'x', sizeof chunk);
    for (int i = 0; i < 3; i++) {
        say(&r, client, "4e20\r\n");
        rig_write(&r, client, chunk, sizeof chunk);
        say(&r, client, "\r\n");
        expect_nothing(&r, client);
    }
    say(&r, client, "4e20\r\n");
    rig_write(&r, client, chunk, sizeof chunk);
    expect_end(&r, client);
    close(client);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_with_a_length_is_passed_on_as_it_comes),
        cmocka_unit_test(a_chunked_body_is_read_whatever_its_form),
        cmocka_unit_test(broken_chunks_are_400_and_the_end),
        cmocka_unit_test(a_body_that_does_not_come_is_408),
        cmocka_unit_test(a_client_that_waits_is_told_to_go_on),
        cmocka_unit_test(a_client_that_waits_may_be_refused_at_once),
        cmocka_unit_test(who_did_not_wait_is_not_told_to_go_on),
        cmocka_unit_test(a_small_body_nobody_wants_is_read_over),
        cmocka_unit_test(a_body_nobody_wants_has_little_time_to_come),
        cmocka_unit_test(a_large_body_nobody_wants_ends_the_connection),
        cmocka_unit_test(an_endless_body_nobody_wants_is_not_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
