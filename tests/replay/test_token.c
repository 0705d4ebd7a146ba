/* Tokens through a whole worker: their life is that of the WebSocket they opened, and the keys they are checked with
 * come from a server of a pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/rules/token_keys.h"
#include "gateway/ws/close.h"
#include "tests/replay/rig.h"
#include "tests/unit/gateway/rules/sign.h"

#define HEAD                                                                                                           \
    "listen: [ { address: '127.0.0.1:1' } ]\npools:\n"                                                                 \
    "  p: { servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] }\n"                                                  \
    "  auth: { servers: [ { name: b, url: 'http://127.0.0.1:@b/realm' } ] }\nroutes:\n"
#define QUIET "websocket: { idle_timeout: 0 }"

#define HOUR_MS INT64_C(3600000)

static char *path_with(struct rig *r, int64_t expires_in_ms, const char *more)
{
    char *claims = mem_printf("{\"exp\":%.3f%s}", (double)(loop_wall_ms(r->loop) + expires_in_ms) / 1000.0, more);
    char *token = sign_hs256(claims);
    char *path = mem_printf("/x?token=%s", token);
    mem_free(claims);
    mem_free(token);
    return path;
}

static void assert_open(struct rig *r, int client)
{
    char buf[64];
    assert_int_equal(rig_read(r, client, buf, sizeof buf), -1);
}

/* Opened, and closed at its time and not before. */
static void expect_end(const char *yaml, int64_t expires_in_ms, int64_t ends_after_ms)
{
    struct rig r;
    int server;
    rig_open(&r, yaml);
    char *path = path_with(&r, expires_in_ms, "");
    int client = rig_websocket(&r, path, 0, &server);
    rig_advance(&r, ends_after_ms - 50);
    assert_open(&r, client);
    rig_advance(&r, 100);
    rig_expect_close(&r, client, WS_CLOSE_POLICY);
    close(client);
    close(server);
    mem_free(path);
    rig_close(&r);
}

static void a_websocket_ends_with_its_token(void **state)
{
    (void)state;
    expect_end(HEAD "  - { pool: p, " QUIET ", jwt: { secret: '" SECRET "', query: token } }\n", HOUR_MS, HOUR_MS);
    expect_end(HEAD "  - { pool: p, websocket: { idle_timeout: 0, protocol: phoenix, heartbeat: 1h, dead_after: 20h },"
                    " jwt: { secret: '" SECRET "', query: token } }\n",
               HOUR_MS, HOUR_MS); /* a session as well */
    expect_end(HEAD "  - { pool: p, " QUIET ", jwt: { secret: '" SECRET "', query: token, grace: 10m } }\n", HOUR_MS,
               HOUR_MS + 600000);
    /* let in by the leeway: it lasts as long as that */
    expect_end(HEAD "  - { pool: p, " QUIET ", jwt: { secret: '" SECRET "', query: token, leeway: 1m } }\n", -20000,
               40000);
}

static void a_step_of_the_wall_clock_changes_nothing(void **state)
{
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, HEAD "  - { pool: p, " QUIET ", jwt: { secret: '" SECRET "', query: token } }\n");
    char *path = path_with(&r, HOUR_MS, "");
    int client = rig_websocket(&r, path, 0, &server);
    sim_set_wall(r.loop, loop_wall_ms(r.loop) + 10 * HOUR_MS);
    rig_advance(&r, HOUR_MS - 50);
    assert_open(&r, client);
    rig_advance(&r, 100);
    rig_expect_close(&r, client, WS_CLOSE_POLICY);
    close(client);
    close(server);
    mem_free(path);
    rig_close(&r);
}

/* ---- revoked ---- */

struct list_file {
    char name[64];
    char *yaml;
};

static void write_list(const struct list_file *l, const char *text)
{
    FILE *f = fopen(l->name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void list_open(struct list_file *l, const char *text)
{
    snprintf(l->name, sizeof l->name, "/tmp/tidegate-revoked-XXXXXX");
    int fd = mkstemp(l->name);
    assert_true(fd >= 0);
    close(fd);
    write_list(l, text);
    l->yaml = mem_printf(
        HEAD "  - { pool: p, " QUIET ", jwt: { secret: '" SECRET "', query: token, revoked: '%s' } }\n", l->name);
}

static void list_close(struct list_file *l)
{
    unlink(l->name);
    mem_free(l->yaml);
}

static void expect_revoked(const char *before)
{
    struct rig r;
    struct list_file l;
    int server[2];
    list_open(&l, "");
    rig_open(&r, before != NULL ? before : l.yaml);
    char *mine = path_with(&r, HOUR_MS, ",\"jti\":\"mine\""), *stolen = path_with(&r, HOUR_MS, ",\"jti\":\"stolen\"");
    int kept = rig_websocket(&r, mine, 0, &server[0]), ended = rig_websocket(&r, stolen, 0, &server[1]);
    write_list(&l, "jti:stolen\n");
    rig_reload(&r, l.yaml);
    sim_settle(r.loop);
    rig_expect_close(&r, ended, WS_CLOSE_POLICY);
    assert_open(&r, kept);
    for (int i = 0; i < 2; i++)
        close(server[i]);
    close(kept);
    close(ended);
    mem_free(mine);
    mem_free(stolen);
    rig_close(&r);
    list_close(&l);
}

static void a_reload_ends_what_it_revokes(void **state)
{
    (void)state;
    expect_revoked(NULL);
    /* The route gets its first list when there is something to revoke. */
    expect_revoked(HEAD "  - { pool: p, " QUIET ", jwt: { secret: '" SECRET "', query: token } }\n");
}

/* The token was good when the request came, and is not any more when the server has answered. */
static void revoked_while_the_handshake_is_under_way(void **state)
{
    struct rig r;
    struct list_file l;
    char answer[1024];
    (void)state;
    list_open(&l, "");
    rig_open(&r, l.yaml);
    char *path = path_with(&r, HOUR_MS, ",\"sub\":\"mallory\"");
    int client = rig_handshake(&r, path);
    int server = rig_accept(&r, 0);
    write_list(&l, "sub:mallory\n");
    rig_reload(&r, l.yaml);
    rig_upgrade(&r, server);
    ssize_t len = rig_read(&r, client, answer, sizeof answer);
    assert_true(len > 0);
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    if (end[4] == '\0') /* the close may come with the 101 or behind it */
        rig_expect_close(&r, client, WS_CLOSE_POLICY);
    else
        assert_int_equal((uint8_t)end[6] << 8 | (uint8_t)end[7], WS_CLOSE_POLICY);
    close(client);
    close(server);
    mem_free(path);
    rig_close(&r);
    list_close(&l);
}

/* ---- key sets ---- */

static const char with_key_set[] =
    HEAD "  - { pool: p, jwt: { query: token, jwks: { pool: auth, path: '/keys?v=1', refresh: 5m } } }\n";

/* The next request for the key set, which the test answers. */
static int accept_fetch(struct rig *r)
{
    char request[2048];
    int fd = rig_accept(r, 1);
    assert_true(rig_read(r, fd, request, sizeof request) > 0);
    assert_non_null(strstr(request, "GET /realm/keys?v=1 HTTP/1.1\r\n"));
    return fd;
}

static void answer_fetch(struct rig *r, int fd, const char *head, const char *body)
{
    char *text =
        mem_printf("HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", head, strlen(body), body);
    rig_write(r, fd, text, strlen(text));
    sim_settle(r->loop);
    close(fd);
    mem_free(text);
}

/* The status of the answer to a request with a token of that key. */
static int ask(struct rig *r, EVP_PKEY *key)
{
    char answer[2048], *end = NULL;
    char *token = sign_with(key, "{\"alg\":\"ES256\"}", "{}");
    char *request = mem_printf("GET /x?token=%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", token);
    int client = rig_client(r, request);
    ssize_t len = rig_read(r, client, answer, sizeof answer);
    int status = len > 0 ? (int)strtol(answer + strlen("HTTP/1.1 "), &end, 10) : 0; /* 0: on its way to the server */
    close(client);
    mem_free(token);
    mem_free(request);
    sim_settle(r->loop);
    return status;
}

static void keys_come_from_a_server_of_the_pool(void **state)
{
    struct rig r;
    (void)state;
    EVP_PKEY *key = sign_ec_key("P-256");
    char *jwk = sign_jwk(key, ""), *set = mem_printf("{\"keys\":[%s]}", jwk);
    rig_open(&r, with_key_set);
    int fd = accept_fetch(&r);
    assert_int_equal(ask(&r, key), 503);
    answer_fetch(&r, fd, "200 OK\r\nCache-Control: public, max-age=60", set);
    assert_int_equal(ask(&r, key), 0);
    rig_advance(&r, 59000);
    assert_false(rig_has_waiting(&r, 1));
    rig_advance(&r, 1500);
    fd = accept_fetch(&r); /* fresh for a minute, as the answer said */
    answer_fetch(&r, fd, "500 Oops", "{}");
    assert_int_equal(ask(&r, key), 0); /* the keys stay */
    rig_close(&r);
    mem_free(jwk);
    mem_free(set);
    EVP_PKEY_free(key);
}

static void a_bad_answer_is_not_taken_and_asked_for_again(void **state)
{
    static const struct {
        const char *head, *body;
    } rows[] = {
        {"404 Not Found", "{\"keys\":[]}"}, {"204 No Content", ""}, {"200 OK", "<html>"}, {"200 OK", "{\"keys\":[]}"}};
    (void)state;
    EVP_PKEY *key = sign_ec_key("P-256");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig r;
        rig_open(&r, with_key_set);
        answer_fetch(&r, accept_fetch(&r), rows[i].head, rows[i].body);
        assert_int_equal(ask(&r, key), 503);
        rig_advance(&r, 1500);
        close(accept_fetch(&r));
        rig_close(&r);
    }
    EVP_PKEY_free(key);
}

static void a_silent_server_does_not_hold_it_up_for_ever(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, with_key_set);
    int silent = accept_fetch(&r);
    rig_advance(&r, 4900);
    assert_false(rig_has_waiting(&r, 1));
    rig_advance(&r, 1600); /* given up, and a second to wait */
    int next = accept_fetch(&r);
    close(silent);
    close(next);
    rig_close(&r);
}

static void an_endless_answer_is_bounded(void **state)
{
    struct rig r;
    static char filler[64 * 1024];
    (void)state;
    rig_open(&r, with_key_set);
    int fd = accept_fetch(&r);
    const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
    rig_write(&r, fd, head, sizeof head - 1);
    memset(filler, ' ', sizeof filler);
    for (size_t sent = 0; sent <= TOKEN_KEYS_TEXT_MAX; sent += sizeof filler) {
        rig_write(&r, fd, filler, sizeof filler);
        sim_settle(r.loop);
    }
    rig_advance(&r, 1500); /* given up as soon as it was too long, and a second to wait */
    int next = accept_fetch(&r);
    close(fd);
    close(next);
    rig_close(&r);
}

static void a_reload_in_the_middle_of_a_fetch(void **state)
{
    struct rig r;
    (void)state;
    EVP_PKEY *key = sign_ec_key("P-256");
    char *jwk = sign_jwk(key, ""), *set = mem_printf("{\"keys\":[%s]}", jwk);
    rig_open(&r, with_key_set);
    int fd = accept_fetch(&r);
    rig_reload(&r,
               HEAD "  - { pool: p, jwt: { query: token, jwks: { pool: auth, path: '/keys?v=1', refresh: 1h } } }\n");
    answer_fetch(&r, fd, "200 OK", set);
    assert_int_equal(ask(&r, key), 0);
    rig_reload(&r, HEAD "  - { pool: p }\n");
    rig_advance(&r, 2 * HOUR_MS);
    assert_false(rig_has_waiting(&r, 1)); /* nobody wants keys any more */
    rig_close(&r);
    mem_free(jwk);
    mem_free(set);
    EVP_PKEY_free(key);
}

static void a_worker_that_leaves_gives_up_its_fetch(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, with_key_set);
    int fd = accept_fetch(&r);
    rig_close(&r);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_websocket_ends_with_its_token),
        cmocka_unit_test(a_step_of_the_wall_clock_changes_nothing),
        cmocka_unit_test(a_reload_ends_what_it_revokes),
        cmocka_unit_test(revoked_while_the_handshake_is_under_way),
        cmocka_unit_test(keys_come_from_a_server_of_the_pool),
        cmocka_unit_test(a_bad_answer_is_not_taken_and_asked_for_again),
        cmocka_unit_test(a_silent_server_does_not_hold_it_up_for_ever),
        cmocka_unit_test(an_endless_answer_is_bounded),
        cmocka_unit_test(a_reload_in_the_middle_of_a_fetch),
        cmocka_unit_test(a_worker_that_leaves_gives_up_its_fetch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
