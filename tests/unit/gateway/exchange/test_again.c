/* A request that is made again: the same as the first time for the same server, with only the server's own part
 * different for another one, and whatever the configuration says by then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>

#include <stdio.h>

#include "base/mem.h"
#include "gateway/exchange/again.h"
#include "tests/unit/gateway/http/head.h"

#define SERVERS                                                                                                        \
    "listen: [ { address: '127.0.0.1:1' } ]\n"                                                                         \
    "pools:\n  p:\n    servers:\n"                                                                                     \
    "      - { name: a, url: 'ws://a.test:8001/one' }\n"                                                               \
    "      - { name: b, url: 'ws://b.test:8002/two' }\n"
#define JWT ", jwt: { secret: 'a secret of at least 32 characters', optional: true, forward: "

#define HANDSHAKE                                                                                                      \
    "GET /socket/websocket?apikey=k&vsn=2.0.0 HTTP/1.1\r\nHost: abc.example.com\r\nConnection: Upgrade, X-Hop\r\n"     \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"               \
    "Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: phoenix, base64url.bearer.phx.eHl6\r\n"   \
    "Origin: https://app.example.com\r\nCookie: a=b; c=d\r\nX-Api-Key: k\r\nX-Empty:\r\nX-Hop: no\r\n"                 \
    "X-Forwarded-For: 203.0.113.9\r\nx_user: root\r\nAuthorization: Bearer t\r\n"

/* A request as an exchange has it, and the configuration it is made under. */
struct world {
    struct conf *conf;
    struct conf_errors errors;
    struct http_head head;
    struct trace trace;
    struct rules_verdict verdict;
    struct outgoing out;
};

static void take_conf(struct world *w, const char *route)
{
    char yaml[4096];
    const int len = snprintf(yaml, sizeof yaml, SERVERS "%s", route);
    if (w->conf != NULL)
        conf_unref(&w->conf);
    w->conf = conf_load_text("again.yaml", yaml, (size_t)len, false, &w->errors);
    if (w->conf == NULL)
        fail_msg("%s", w->errors.text);
    conf_errors_fini(&w->errors);
}

static void world_init(struct world *w, const char *route, const char *request)
{
    static const uint8_t random[TRACE_RANDOM_BYTES] = "0123456789abcdefghijklmn";
    memset(w, 0, sizeof *w);
    take_conf(w, route);
    head_of_request(&w->head, request);
    const struct trace_policy policy = {.mode = w->conf->trace.mode, .is_believed = true, .sample_percent = 100};
    trace_begin(&w->trace, &w->head, &policy, random);
    w->out = (struct outgoing){.head = &w->head,
                               .peer_ip = "192.0.2.1",
                               .client_ip = "192.0.2.1",
                               .is_tls = true,
                               .is_websocket = true,
                               .request_id = http_view_of("r-1"),
                               .trace = &w->trace,
                               .verdict = &w->verdict};
}

static void world_fini(struct world *w)
{
    if (w->verdict.claims != NULL)
        token_claims_unref(&w->verdict.claims);
    conf_unref(&w->conf);
}

static struct server server_of(const struct world *w, int index)
{
    return (struct server){.magic = SERVER_MAGIC, .server_conf = &w->conf->pools[0].servers[index]};
}

/* What the exchange would send to that server now. mem_free. */
static char *first_text(struct world *w, int index)
{
    struct http_head head;
    struct http_texts texts;
    struct strbuf text;
    rules_forward(&w->conf->routes[0], &w->verdict);
    http_texts_init(&texts, 65536);
    assert_true(
        outgoing_head(&w->out, w->conf, &w->conf->routes[0], &w->conf->pools[0].servers[index].url, &head, &texts));
    text_of_head(&text, &head);
    http_texts_fini(&texts);
    return text.data;
}

static char *again_text(const struct world *w, struct again *a, int index)
{
    struct http_head head;
    struct http_texts texts;
    struct strbuf text;
    struct server to = server_of(w, index);
    http_texts_init(&texts, 65536);
    assert_true(again_ops.make_head(a, w->conf, &w->conf->routes[0], &to, &head, &texts));
    text_of_head(&text, &head);
    http_texts_fini(&texts);
    return text.data;
}

static void expect_same(struct world *w, struct again *a, int index)
{
    char *first = first_text(w, index);
    char *again = again_text(w, a, index);
    assert_string_equal(again, first);
    mem_free(first);
    mem_free(again);
}

static void expect_in_again(const struct world *w, struct again *a, int index, const char *line, bool is_there)
{
    char *text = again_text(w, a, index);
    if ((strstr(text, line) != NULL) != is_there)
        fail_msg("%s \"%s\" in:\n%s", is_there ? "no" : "there is", line, text);
    mem_free(text);
}

#define PLAIN_ROUTE "routes: [ { path: /socket/, pool: p } ]\n"

static void test_a_server_is_told_what_the_first_was_told(void **state)
{
    (void)state;
    static const struct {
        const char *route, *request;
        bool is_trusted;
        const char *client_ip, *subject;
    } rows[] = {
        {PLAIN_ROUTE, HANDSHAKE "\r\n", false, NULL, NULL},
        {PLAIN_ROUTE, HANDSHAKE "\r\n", true, "203.0.113.9", NULL},
        {PLAIN_ROUTE, HANDSHAKE "\r\n", false, NULL, "CN=me"},
        {PLAIN_ROUTE, "GET /socket HTTP/1.1\r\nHost: h\r\n\r\n", false, NULL, NULL},   /* hardly any field */
        {PLAIN_ROUTE, "GET /socket/? HTTP/1.1\r\nHost: h\r\n\r\n", false, NULL, NULL}, /* a query, an empty one */
        {"routes: [ { path: /socket/, pool: p, rewrite: { strip_prefix: /socket, add_prefix: /x }, host_header: "
         "upstream,\n"
         "  request_headers: { set: { X-Route: '{route} {client_ip} {host} {scheme} {request_id} {trace_id}' },\n"
         "                     remove: [ cookie ] } } ]\n",
         HANDSHAKE "\r\n", true, "203.0.113.9", NULL},
        {"trace: { mode: start }\n" PLAIN_ROUTE, HANDSHAKE "\r\n", false, NULL, NULL},
        {"trace: { mode: continue }\n" PLAIN_ROUTE,
         HANDSHAKE "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\ntracestate: a=b\r\n\r\n",
         true, NULL, NULL},
        {"trace: { mode: off }\n" PLAIN_ROUTE,
         HANDSHAKE "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n", false, NULL, NULL},
        {"routes: [ { path: /socket/, pool: p" JWT "{ sub: [ X-User, x_user ], none: X-None } } } ]\n",
         HANDSHAKE "\r\n", false, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        world_init(&w, rows[i].route, rows[i].request);
        w.out.is_trusted = rows[i].is_trusted;
        if (rows[i].client_ip != NULL)
            w.out.client_ip = rows[i].client_ip;
        w.out.subject = http_view_of(rows[i].subject);
        w.verdict.claims = token_claims_parse("{\"sub\":\"u-1\"}", 13);
        struct again *a = again_create(&w.out, http_view_of("phoenix"));
        expect_same(&w, a, 0);
        expect_same(&w, a, 1); /* which has another host and another path */
        expect_same(&w, a, 0); /* asking changes nothing */
        again_ops.free(a);
        world_fini(&w);
    }
}

static void test_it_does_not_look_at_what_the_exchange_had(void **state)
{
    (void)state;
    struct world w;
    char *request = mem_strdup(HANDSHAKE "\r\n");
    world_init(&w, PLAIN_ROUTE, request);
    char *first = first_text(&w, 1);
    struct again *a = again_create(&w.out, http_view_of(NULL));
    memset(request, 'x', strlen(request));
    mem_free(request);
    memset(&w.head, 0xff, sizeof w.head);
    char *again = again_text(&w, a, 1);
    assert_string_equal(again, first);
    mem_free(first);
    mem_free(again);
    again_ops.free(a);
    world_fini(&w);
}

static void test_a_new_configuration_counts(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, PLAIN_ROUTE, HANDSHAKE "X-Role: admin\r\n\r\n");
    w.verdict.claims = token_claims_parse("{\"sub\":\"u-1\"}", 13);
    struct again *a = again_create(&w.out, http_view_of(NULL));
    expect_in_again(&w, a, 0, "GET abc.example.com /one/socket/websocket?apikey=k&vsn=2.0.0\n", true);
    expect_in_again(&w, a, 0, "X-Role: admin", true);
    take_conf(&w, "routes: [ { path: /socket/, pool: p, rewrite: { strip_prefix: /socket }, host_header: upstream,\n"
                  "  request_headers: { set: { X-New: yes } }" JWT "{ sub: X-User, role: X-Role } } } ]\n");
    expect_in_again(&w, a, 1, "GET b.test:8002 /two/websocket?apikey=k&vsn=2.0.0\n", true);
    expect_in_again(&w, a, 1, "X-New: yes\n", true);
    expect_in_again(&w, a, 1, "x-user: u-1\n", true);
    expect_in_again(&w, a, 1, "x_user", false); /* what was the client's to say is not any more */
    expect_in_again(&w, a, 1, "X-Role", false);
    expect_in_again(&w, a, 1, "x-role", false);
    again_ops.free(a);
    world_fini(&w);
}

static void test_a_server_must_choose_the_same_subprotocol(void **state)
{
    (void)state;
    static const struct {
        const char *first, *answer;
        bool is_good;
    } rows[] = {
        {"phoenix", "Sec-WebSocket-Protocol: phoenix\r\n", true},
        {"phoenix", "sec-websocket-protocol: phoenix\r\n", true},
        {"phoenix", "Sec-WebSocket-Protocol: phoenix2\r\n", false},
        {"phoenix", "Sec-WebSocket-Protocol: mqtt\r\n", false},
        {"phoenix", "", false},
        {NULL, "", true},
        {NULL, "Sec-WebSocket-Protocol: mqtt\r\n", false},
    };
    struct world w;
    world_init(&w, PLAIN_ROUTE, HANDSHAKE "\r\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        struct http_head answer;
        struct again *a = again_create(&w.out, http_view_of(rows[i].first));
        (void)snprintf(text, sizeof text, "HTTP/1.1 101 Switching Protocols\r\n%s\r\n", rows[i].answer);
        head_of_response(&answer, text);
        assert_int_equal(again_ops.accepts(a, &answer), rows[i].is_good);
        again_ops.free(a);
    }
    world_fini(&w);
}

/* That of the pool p, which balances so, the key is this. */
static void expect_key(struct again *a, const char *hash, const void *key, size_t len)
{
    struct world w;
    char route[512];
    (void)snprintf(route, sizeof route,
                   "  q: { balance: hash, hash: { %s }, servers: [ { name: a, url: 'ws://c.test' } ] }\n" PLAIN_ROUTE,
                   hash);
    world_init(&w, route, HANDSHAKE "\r\n");
    struct pick expected, got;
    pick_init(&expected);
    pick_init(&got);
    pick_set_key(&expected, key, len);
    again_ops.set_key(a, &w.conf->pools[1], &got);
    assert_int_equal(got.has_key, expected.has_key);
    assert_true(got.key == expected.key);
    world_fini(&w);
}

static void test_it_is_balanced_by_what_the_first_was_balanced_by(void **state)
{
    (void)state;
    static const uint8_t ip[4] = {192, 0, 2, 1};
    struct world w;
    world_init(&w, PLAIN_ROUTE, HANDSHAKE "\r\n");
    struct again *a = again_create(&w.out, http_view_of(NULL));
    expect_key(a, "of: ip", ip, sizeof ip);
    expect_key(a, "of: header, name: x-api-key", "k", 1);
    expect_key(a, "of: query, name: vsn", "2.0.0", 5);
    expect_key(a, "of: query, name: none", "", 0);
    again_ops.free(a);
    w.out.peer_ip = w.out.client_ip = "unix"; /* has no address */
    a = again_create(&w.out, http_view_of(NULL));
    expect_key(a, "of: ip", NULL, 0);
    again_ops.free(a);
    world_fini(&w);
}

static void test_it_takes_little_more_memory_than_the_head(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "trace: { mode: start }\n" PLAIN_ROUTE, HANDSHAKE "\r\n");
    struct again *a = again_create(&w.out, http_view_of("phoenix"));
    assert_in_range(malloc_usable_size(a), 1, strlen(HANDSHAKE) + 200); /* all of it is one piece */
    again_ops.free(a);
    world_fini(&w);
}

static void test_texts_of_all_lengths_come_back(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 126, 127, 128, 129, 16382, 16383, 16384, 20000};
    char *value = mem_alloc(20001);
    memset(value, 'v', 20000);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct world w;
        world_init(&w, PLAIN_ROUTE, "GET /socket/ HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(http_head_add(&w.head, http_view_of("X-Long"), (struct http_view){value, lengths[i]}));
        assert_true(http_head_add(&w.head, http_view_of("X-Last"), http_view_of("z")));
        struct again *a = again_create(&w.out, http_view_of(NULL));
        expect_same(&w, a, 0);
        again_ops.free(a);
        world_fini(&w);
    }
    mem_free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_server_is_told_what_the_first_was_told),
        cmocka_unit_test(test_it_does_not_look_at_what_the_exchange_had),
        cmocka_unit_test(test_a_new_configuration_counts),
        cmocka_unit_test(test_a_server_must_choose_the_same_subprotocol),
        cmocka_unit_test(test_it_is_balanced_by_what_the_first_was_balanced_by),
        cmocka_unit_test(test_it_takes_little_more_memory_than_the_head),
        cmocka_unit_test(test_texts_of_all_lengths_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
