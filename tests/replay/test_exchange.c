/* A request's way to a server: routes, refusals, failover, and the deadlines on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/sock.h"
#include "tests/replay/rig.h"

static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n"
                           "health: { path: /healthz }\n"
                           "limits: { header_timeout: 10s }\n"
                           "pools:\n"
                           "  rt:\n"
                           "    connect_timeout: 1s\n"
                           "    upgrade_timeout: 3s\n"
                           "    failover_timeout: 5s\n"
                           "    max_retries: 3\n"
                           "    circuit: { failures: 2, open: 10s }\n"
                           "    servers:\n"
                           "      - { name: a, url: 'ws://127.0.0.1:@a' }\n"
                           "      - { name: b, url: 'ws://127.0.0.1:@b', tier: backup }\n"
                           "      - { name: c, url: 'ws://127.0.0.1:@c', tier: emergency }\n"
                           "routes:\n"
                           "  - { path: /ws, pool: rt, limits: { connections: 2 } }\n"
                           "  - { path: /each, pool: rt, limits: { per_client: 1 } }\n"
                           "  - { path: /busy, pool: rt }\n";

static void expect_status(struct rig *r, int client, int status)
{
    char want[32], answer[4096];
    (void)snprintf(want, sizeof want, "HTTP/1.1 %d ", status);
    assert_true(rig_read(r, client, answer, sizeof answer) > 0);
    if (strncmp(answer, want, strlen(want)) != 0)
        fail_msg("expected %s, got: %s", want, answer);
}

static const struct {
    const char *what;
    const char *request;
    int status;
} refusals[] = {
    {"not a route", "GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n", 404},
    {"plain HTTP on a WebSocket route", "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 426},
    {"a version nobody speaks",
     "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"
     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
     426},
    {"no key",
     "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
     400},
    {"no host", "GET /ws HTTP/1.1\r\n\r\n", 400},
    {"two framings", "GET /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"dot segments", "GET /ws/../admin HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"another route's path to a server that merges slashes", "GET /busy//x HTTP/1.1\r\nHost: x\r\n\r\n", 426},
    {"the same across routes", "GET //ws HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"to one that drops parameters", "GET /ws;x HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"to one that decodes slashes", "GET /ws%2Fx HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"odd, but no route's", "GET //elsewhere;x%2F HTTP/1.1\r\nHost: x\r\n\r\n", 404},
    {"health", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200},
    {"health cannot be changed", "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405},
};

static void refusals_carry_the_right_status(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        int client = rig_client(&r, refusals[i].request);
        expect_status(&r, client, refusals[i].status);
        close(client);
        sim_settle(r.loop);
    }
    rig_close(&r);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct rig r;
    char answer[8192];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(rig_read(&r, client, answer, sizeof answer) > 0);
    const char *first = strstr(answer, "HTTP/1.1 404");
    const char *second = strstr(answer, "HTTP/1.1 200");
    assert_non_null(first);
    assert_non_null(second);
    assert_true(first < second);
    close(client);
    rig_close(&r);
}

static void half_a_head_is_408_after_the_header_timeout(void **state)
{
    struct rig r;
    char answer[64];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /ws HTTP/1.1\r\nHo");
    rig_advance(&r, 9900);
    assert_int_equal(rig_read(&r, client, answer, sizeof answer), -1);
    rig_advance(&r, 200);
    expect_status(&r, client, 408);
    close(client);
    rig_close(&r);
}

static void a_refused_connect_moves_on_at_once(void **state)
{
    struct rig r;
    char answer[1024];
    (void)state;
    rig_open(&r, yaml);
    rig_stop_server(&r, 0);
    int64_t before_ms = loop_now_ms(r.loop);
    int client = rig_handshake(&r, "/ws");
    int server = rig_accept(&r, 1);
    rig_upgrade(&r, server);
    assert_true(rig_read(&r, client, answer, sizeof answer) > 0);
    assert_memory_equal(answer, "HTTP/1.1 101", 12);
    assert_int_equal(loop_now_ms(r.loop), before_ms);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_silent_server_costs_its_upgrade_timeout(void **state)
{
    struct rig r;
    char request[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_handshake(&r, "/ws");
    int silent = rig_accept(&r, 0);
    assert_true(rig_read(&r, silent, request, sizeof request) > 0);
    rig_advance(&r, 2900);
    assert_false(rig_has_waiting(&r, 1));
    rig_advance(&r, 200);
    int server = rig_accept(&r, 1);
    rig_upgrade(&r, server);
    expect_status(&r, client, 101);
    close(client);
    close(silent);
    close(server);
    rig_close(&r);
}

static void all_attempts_together_have_a_deadline(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_handshake(&r, "/ws");
    int first = rig_accept(&r, 0);
    rig_advance(&r, 3100);
    int second = rig_accept(&r, 1);
    rig_advance(&r, 2000); /* 5.1 s in all: c is not tried any more */
    assert_false(rig_has_waiting(&r, 2));
    expect_status(&r, client, 504);
    close(client);
    close(first);
    close(second);
    rig_close(&r);
}

static void nobody_there_is_502_and_then_the_circuits_open(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    for (int i = 0; i < RIG_SERVERS; i++)
        rig_stop_server(&r, i);
    for (int i = 0; i < 2; i++) {
        int client = rig_handshake(&r, "/ws");
        expect_status(&r, client, 502);
        close(client);
    }
    /* Two failures each: nobody is even tried, and the client is told when to come back. */
    char answer[1024];
    int client = rig_handshake(&r, "/ws");
    assert_true(rig_read(&r, client, answer, sizeof answer) > 0);
    assert_memory_equal(answer, "HTTP/1.1 503", 12);
    assert_non_null(strstr(answer, "Retry-After:"));
    close(client);
    rig_close(&r);
}

static void the_servers_own_refusal_is_passed_on(void **state)
{
    struct rig r;
    char request[4096], answer[1024];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_handshake(&r, "/ws");
    int server = rig_accept(&r, 0);
    assert_true(rig_read(&r, server, request, sizeof request) > 0);
    static const char refusal[] =
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 5\r\n\r\nsorry";
    rig_write(&r, server, refusal, sizeof refusal - 1);
    assert_true(rig_read(&r, client, answer, sizeof answer) > 0);
    assert_memory_equal(answer, "HTTP/1.1 401", 12);
    assert_non_null(strstr(answer, "WWW-Authenticate: Bearer\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\nsorry"));
    assert_false(rig_has_waiting(&r, 1));
    close(client);
    close(server);
    rig_close(&r);
}

static void a_refusal_that_ends_with_its_connection_leaves_the_clients(void **state)
{
    struct rig r;
    char request[4096], answer[1024];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_handshake(&r, "/ws");
    int server = rig_accept(&r, 0);
    assert_true(rig_read(&r, server, request, sizeof request) > 0);
    static const char refusal[] = "HTTP/1.1 403 Forbidden\r\n\r\nnot you";
    rig_write(&r, server, refusal, sizeof refusal - 1);
    assert_true(rig_read(&r, client, answer, sizeof answer) > 0);
    assert_non_null(strstr(answer, "Transfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\n7\r\nnot you\r\n"));
    close(server);
    assert_true(rig_read(&r, client, answer, sizeof answer) > 0);
    assert_non_null(strstr(answer, "0\r\n\r\n"));
    assert_int_equal(rig_read(&r, client, answer, sizeof answer), -1);
    close(client);
    rig_close(&r);
}

static void a_servers_503_is_worth_another_server(void **state)
{
    struct rig r;
    char request[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_handshake(&r, "/ws");
    int tired = rig_accept(&r, 0);
    assert_true(rig_read(&r, tired, request, sizeof request) > 0);
    static const char refusal[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    rig_write(&r, tired, refusal, sizeof refusal - 1);
    int server = rig_accept(&r, 1);
    rig_upgrade(&r, server);
    expect_status(&r, client, 101);
    close(client);
    close(tired);
    close(server);
    rig_close(&r);
}

static void a_forged_accept_is_not_believed(void **state)
{
    struct rig r;
    char request[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_handshake(&r, "/ws");
    int liar = rig_accept(&r, 0);
    assert_true(rig_read(&r, liar, request, sizeof request) > 0);
    static const char forged[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    rig_write(&r, liar, forged, sizeof forged - 1);
    int server = rig_accept(&r, 1);
    rig_upgrade(&r, server);
    expect_status(&r, client, 101);
    close(client);
    close(liar);
    close(server);
    rig_close(&r);
}

static void a_route_takes_no_more_than_its_limit(void **state)
{
    struct rig r;
    int server[2];
    (void)state;
    rig_open(&r, yaml);
    int one = rig_websocket(&r, "/ws", 0, &server[0]);
    int two = rig_websocket(&r, "/ws", 0, &server[1]);
    int three = rig_handshake(&r, "/ws");
    expect_status(&r, three, 503);
    close(one);
    close(two);
    close(three);
    close(server[0]);
    close(server[1]);
    rig_close(&r);
}

static void one_clients_limit_on_a_route_counts_only_what_it_has_there(void **state)
{
    struct rig r;
    int client[5], server[5];
    (void)state;
    rig_open(&r, yaml);
    for (int i = 0; i < 2; i++)
        client[i] = rig_websocket(&r, "/busy", 0, &server[i]);
    client[2] = rig_websocket(&r, "/each", 0, &server[2]);
    client[3] = rig_handshake(&r, "/each");
    expect_status(&r, client[3], 429);
    /* The place is free once the other is gone; one that was refused does not hold any. */
    close(client[2]);
    close(server[2]);
    sim_settle(r.loop);
    client[4] = rig_websocket(&r, "/each", 0, &server[4]);
    for (int i = 0; i < 5; i++) {
        if (i != 2)
            close(client[i]);
        if (i != 2 && i != 3)
            close(server[i]);
    }
    rig_close(&r);
}

static void frames_sent_early_on_both_sides_are_not_lost(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                                "\x81\x82\x01\x01\x01\x01ij");
    int server = rig_accept(&r, 0);
    assert_true(rig_read(&r, server, buf, sizeof buf) > 0);
    assert_null(strstr(buf, "ij"));
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02yo";
    rig_write(&r, server, answer, sizeof answer - 1);
    assert_int_equal(rig_read(&r, server, buf, sizeof buf), 8);
    assert_memory_equal(buf, "\x81\x82\x01\x01\x01\x01ij", 8);
    int n = rig_read(&r, client, buf, sizeof buf);
    assert_true(n > 4);
    assert_memory_equal(buf + n - 4, "\x81\x02yo", 4);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_client_that_gives_up_ends_the_search(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_handshake(&r, "/ws");
    int server = rig_accept(&r, 0);
    assert_true(rig_read(&r, server, buf, sizeof buf) > 0);
    close(client);
    assert_true(rig_read(&r, server, buf, sizeof buf) != -1); /* hung up, with or without a reset */
    assert_false(rig_has_waiting(&r, 1));
    close(server);
    rig_close(&r);
}

static void what_a_client_says_before_its_answer_is_kept(void **state)
{
    struct rig r;
    char buf[4096];
    static const char hi[] = "\x81\x82\x01\x01\x01\x01ij";
    (void)state;
    rig_open(&r, yaml);
    int client = rig_handshake(&r, "/ws");
    int server = rig_accept(&r, 0);
    for (int i = 0; i < 2; i++) { /* the second one waits in the socket */
        rig_write(&r, client, hi, sizeof hi - 1);
        rig_advance(&r, 10);
    }
    rig_upgrade(&r, server);
    expect_status(&r, client, 101);
    assert_int_equal(rig_read(&r, server, buf, sizeof buf), 2 * (sizeof hi - 1));
    assert_memory_equal(buf, hi, sizeof hi - 1);
    assert_memory_equal(buf + sizeof hi - 1, hi, sizeof hi - 1);
    close(client);
    close(server);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_carry_the_right_status),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(half_a_head_is_408_after_the_header_timeout),
        cmocka_unit_test(a_refused_connect_moves_on_at_once),
        cmocka_unit_test(a_silent_server_costs_its_upgrade_timeout),
        cmocka_unit_test(all_attempts_together_have_a_deadline),
        cmocka_unit_test(nobody_there_is_502_and_then_the_circuits_open),
        cmocka_unit_test(the_servers_own_refusal_is_passed_on),
        cmocka_unit_test(a_refusal_that_ends_with_its_connection_leaves_the_clients),
        cmocka_unit_test(a_servers_503_is_worth_another_server),
        cmocka_unit_test(a_forged_accept_is_not_believed),
        cmocka_unit_test(a_route_takes_no_more_than_its_limit),
        cmocka_unit_test(one_clients_limit_on_a_route_counts_only_what_it_has_there),
        cmocka_unit_test(frames_sent_early_on_both_sides_are_not_lost),
        cmocka_unit_test(a_client_that_gives_up_ends_the_search),
        cmocka_unit_test(what_a_client_says_before_its_answer_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
