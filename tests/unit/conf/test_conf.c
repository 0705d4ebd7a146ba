/* What a good file becomes: every key in its member, defaults, what servers take from their pool, values that follow
 * from others, the order of routes, and the life of the result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"

#define POOLS_OK  "pools: { p: { servers: [ { name: s, url: \"ws://h\" } ] } }\n"
#define LISTEN_OK "listen: [ { address: \"127.0.0.1:1\" } ]\n"
#define ROUTES_OK "routes: [ { pool: p } ]\n"

static struct conf *load(const char *text)
{
    struct conf_errors errors;
    struct conf *c = conf_load_text("t.yaml", text, strlen(text), false, &errors);
    if (c == NULL)
        print_error("%s", errors.text);
    conf_errors_fini(&errors);
    assert_non_null(c);
    return c;
}

static const char full[] =
    "node: { name: fra-1, region: eu }\n"
    "workers: 3\n"
    "user: nobody\n"
    "state_dir: /var/lib/tidegate\n"
    "log: { level: debug, format: json, file: /var/log/tidegate.log, access: false }\n"
    "control: { path: /run/c.sock }\n"
    "admin: { address: \"127.0.0.1:9180\" }\n"
    "health: { path: /live }\n"
    "limits: { connections: 1000, per_client: 10, handshake_timeout: 1s, header_timeout: 2s, header_bytes: 8KiB, "
    "body_timeout: 3s, keepalive_timeout: 4s, send_timeout: 5s, streams: 6 }\n"
    "drain: { time: 1m }\n"
    "trusted_proxies: [ 10.0.0.0/8, \"fd00::/8\" ]\n"
    "listen:\n"
    "  - { address: \"0.0.0.0:80\", backlog: 7 }\n"
    "  - { address: \"[::1]:81\" }\n"
    "  - { address: \"unix:/run/t.sock\" }\n"
    "pools:\n"
    "  p:\n"
    "    balance: hash\n"
    "    hash: { of: header, name: X-User }\n"
    "    connect_timeout: 100ms\n"
    "    upgrade_timeout: 200ms\n"
    "    failover_timeout: 300ms\n"
    "    max_retries: 4\n"
    "    circuit: { failures: 6, open: 7s, half_open: 8 }\n"
    "    slow_start: 9s\n"
    "    fail_open: true\n"
    "    servers:\n"
    "      - { name: a, url: \"wss://a.example:444/prefix/\", region: us, tier: backup, weight: 5, max_connections: 6, "
    "drain: "
    "true, tls: { server_name: Other.Example, verify: false } }\n"
    "      - { name: b, url: \"http://[::1]\", tier: emergency, check: { type: http, host: \"b:80\", port: 81, "
    "interval: 4s, "
    "jitter: 0% } }\n"
    "    check: { type: websocket, path: \"/s?v=1\", host: h.example, port: 82, interval: 2s, timeout: 1s, rise: 3, "
    "fall: "
    "4, jitter: 20%, speak: nothing }\n"
    "routes:\n"
    "  - { name: r, host: \"*.Example.com\", path: /socket/, pool: p, websocket: { protocol: opaque, idle_timeout: 1m, "
    "max_lifetime: 2h, max_message: 3MiB, check_utf8: true, buffer: 4KiB }, limits: { connections: 5, per_client: 2 } "
    "}\n";

static void test_every_key_of_the_process(void **state)
{
    (void)state;
    struct conf *c = load(full);
    assert_string_equal(c->node.name, "fra-1");
    assert_string_equal(c->node.region, "eu");
    assert_int_equal(c->workers, 3);
    assert_string_equal(c->user, "nobody");
    assert_string_equal(c->state_dir, "/var/lib/tidegate");
    assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->log.format, LOG_FORMAT_JSON);
    assert_string_equal(c->log.file, "/var/log/tidegate.log");
    assert_false(c->log.access);
    assert_string_equal(c->control.path, "/run/c.sock");
    assert_string_equal(c->admin.text, "127.0.0.1:9180");
    assert_int_equal(addr_port(&c->admin.addr), 9180);
    assert_string_equal(c->health.path, "/live");
    assert_int_equal(c->limits.connections, 1000);
    assert_int_equal(c->limits.per_client, 10);
    assert_int_equal(c->limits.header_timeout_ms, 2000);
    assert_int_equal(c->limits.header_bytes, 8192);
    assert_int_equal(c->limits.handshake_timeout_ms, 1000);
    assert_int_equal(c->limits.body_timeout_ms, 3000);
    assert_int_equal(c->limits.keepalive_timeout_ms, 4000);
    assert_int_equal(c->limits.send_timeout_ms, 5000);
    assert_int_equal(c->limits.streams, 6);
    assert_int_equal(c->drain.time_ms, 60000);
    assert_int_equal(c->trusted_proxy_count, 2);
    struct addr inside;
    assert_true(addr_parse(&inside, "10.1.2.3:4"));
    assert_true(cidr_contains(&c->trusted_proxies[0], &inside));
    assert_false(cidr_contains(&c->trusted_proxies[1], &inside));
    assert_int_equal(c->listen_count, 3);
    assert_string_equal(c->listen[0].text, "0.0.0.0:80");
    assert_int_equal(c->listen[0].backlog, 7);
    assert_int_equal(c->listen[1].addr.sa.sa_family, AF_INET6);
    assert_int_equal(addr_port(&c->listen[1].addr), 81);
    assert_string_equal(c->listen[2].addr.un.sun_path, "/run/t.sock");
    conf_unref(&c);
}

static void test_every_key_of_a_pool(void **state)
{
    (void)state;
    struct conf *c = load(full);
    assert_int_equal(c->pool_count, 1);
    const struct conf_pool *p = &c->pools[0];
    assert_string_equal(p->name, "p");
    assert_int_equal(p->balance, BALANCE_HASH);
    assert_int_equal(p->hash_of, HASH_OF_HEADER);
    assert_string_equal(p->hash_name, "x-user"); /* as headers are looked up */
    assert_int_equal(p->connect_timeout_ms, 100);
    assert_int_equal(p->upgrade_timeout_ms, 200);
    assert_int_equal(p->failover_timeout_ms, 300);
    assert_int_equal(p->max_retries, 4);
    assert_int_equal(p->circuit_failures, 6);
    assert_int_equal(p->circuit_open_ms, 7000);
    assert_int_equal(p->circuit_half_open_count, 8);
    assert_int_equal(p->slow_start_ms, 9000);
    assert_true(p->fail_open);
    assert_int_equal(p->server_count, 2);
    const struct conf_server *a = &p->servers[0];
    assert_string_equal(a->name, "a");
    assert_string_equal(a->slot_name, "p/a");
    assert_string_equal(a->url.text, "wss://a.example:444/prefix/");
    assert_int_equal(a->url.scheme, SCHEME_WSS);
    assert_string_equal(a->url.host, "a.example");
    assert_int_equal(a->url.port, 444);
    assert_string_equal(a->url.authority, "a.example:444");
    assert_string_equal(a->url.path, "/prefix");
    assert_true(a->url.is_tls);
    assert_string_equal(a->region, "us");
    assert_int_equal(a->tier, TIER_BACKUP);
    assert_int_equal(a->weight, 5);
    assert_int_equal(a->max_connections, 6);
    assert_true(a->drain);
    assert_string_equal(a->tls.server_name, "other.example");
    assert_false(a->tls.verify);
    assert_string_equal(a->tls.ca.path, "");
    assert_null(a->tls.ca.text);
    assert_string_equal(p->servers[1].url.host, "::1");
    assert_int_equal(p->servers[1].url.port, 80);
    assert_string_equal(p->servers[1].url.authority, "[::1]");
    assert_int_equal(p->servers[1].tier, TIER_EMERGENCY);
    conf_unref(&c);
}

/* The pool's check stands behind its servers in the file; the order does not matter. */
static void test_a_server_takes_its_check_from_the_pool(void **state)
{
    (void)state;
    struct conf *c = load(full);
    const struct conf_check *of_a = &c->pools[0].servers[0].check;
    assert_int_equal(of_a->type, CHECK_WEBSOCKET);
    assert_string_equal(of_a->path, "/s?v=1");
    assert_string_equal(of_a->host, "h.example");
    assert_int_equal(of_a->port, 82);
    assert_int_equal(of_a->interval_ms, 2000);
    assert_int_equal(of_a->timeout_ms, 1000);
    assert_int_equal(of_a->rise, 3);
    assert_int_equal(of_a->fall, 4);
    assert_int_equal(of_a->jitter_percent, 20);
    assert_int_equal(of_a->speak, SPEAK_NOTHING);
    const struct conf_check *of_b = &c->pools[0].servers[1].check;
    assert_int_equal(of_b->type, CHECK_HTTP);
    assert_string_equal(of_b->path, "/s?v=1");
    assert_string_equal(of_b->host, "b:80");
    assert_int_equal(of_b->port, 81);
    assert_int_equal(of_b->interval_ms, 4000);
    assert_int_equal(of_b->timeout_ms, 1000);
    assert_int_equal(of_b->jitter_percent, 0);
    conf_unref(&c);
}

static void test_every_key_of_a_route(void **state)
{
    (void)state;
    struct conf *c = load(full);
    assert_int_equal(c->route_count, 1);
    const struct conf_route *r = &c->routes[0];
    assert_string_equal(r->name, "r");
    assert_string_equal(r->host, "*.example.com");
    assert_string_equal(r->path, "/socket/");
    assert_int_equal(r->pool, 0);
    assert_int_equal(r->protocol, WS_PROTOCOL_OPAQUE);
    assert_int_equal(r->idle_timeout_ms, 60000);
    assert_int_equal(r->max_lifetime_ms, 7200000);
    assert_int_equal(r->max_message_bytes, 3 << 20);
    assert_true(r->check_utf8);
    assert_int_equal(r->buffer_bytes, 4096);
    assert_int_equal(r->max_connections, 5);
    assert_int_equal(r->max_per_client, 2);
    conf_unref(&c);
}

static void test_what_becomes_of_heads(void **state)
{
    (void)state;
    struct conf *c = load(
        "log: { access_format: combined, access_query: none, access_file: /var/log/a.log }\n"
        "headers: { via: \"off\", via_answers: true, server: edge/1 }\n"
        "trace: { mode: start, from: trusted, sample: 5% }\n" LISTEN_OK POOLS_OK "routes:\n"
        "  - { pool: p, path: /api/v1, rewrite: { strip_prefix: /api, add_prefix: /x }, host_header: upstream,\n"
        "      request_headers: { set: { X-A: \"{host}\" }, add: { X-B: [ c, d ] }, remove: [ cookie ] },\n"
        "      response_headers: { remove: [ X-Powered-By ] },\n"
        "      maintenance: { enabled: true, status: 502, retry_after: 5m, body: later, content_type: text/plain,\n"
        "                     allow: [ 10.0.0.0/8 ] } }\n"
        "  - { pool: p, path: /, host_header: \"app.internal:81\" }\n");
    assert_int_equal(c->log.access_format, ACCESS_FORMAT_COMBINED);
    assert_int_equal(c->log.access_query, ACCESS_QUERY_NONE);
    assert_string_equal(c->log.access_file, "/var/log/a.log");
    assert_string_equal(c->headers.via, "");
    assert_true(c->headers.via_answers);
    assert_string_equal(c->headers.server, "edge/1");
    assert_int_equal(c->trace.mode, TRACE_START);
    assert_int_equal(c->trace.from, TRACE_FROM_TRUSTED);
    assert_int_equal(c->trace.sample_percent, 5);
    const struct conf_route *r = &c->routes[0];
    assert_string_equal(r->strip_prefix, "/api");
    assert_string_equal(r->add_prefix, "/x");
    assert_int_equal(r->host_policy, HOST_HEADER_UPSTREAM);
    assert_int_equal(r->request_edits.set_count, 1);
    assert_string_equal(r->request_edits.set[0].value, "{host}");
    assert_int_equal(r->request_edits.add_count, 2);
    assert_string_equal(r->request_edits.add[1].name, "X-B");
    assert_string_equal(r->request_edits.add[1].value, "d");
    assert_string_equal(r->request_edits.remove[0], "cookie");
    assert_int_equal(r->answer_edits.remove_count, 1);
    assert_true(r->maintenance.enabled);
    assert_int_equal(r->maintenance.status, 502);
    assert_int_equal(r->maintenance.retry_after_ms, 300000);
    assert_string_equal(r->maintenance.body, "later");
    assert_string_equal(r->maintenance.content_type, "text/plain");
    assert_int_equal(r->maintenance.allow_count, 1);
    assert_int_equal(c->routes[1].host_policy, HOST_HEADER_LITERAL);
    assert_string_equal(c->routes[1].host_header, "app.internal:81");
    conf_unref(&c);
}

static void test_defaults(void **state)
{
    (void)state;
    struct conf *c = load(LISTEN_OK POOLS_OK ROUTES_OK);
    assert_in_range(c->workers, 1, 64);
    assert_true(c->node.name[0] != '\0');
    assert_string_equal(c->control.path, "/run/tidegate/control.sock");
    assert_int_equal(c->log.level, LOG_LEVEL_INFO);
    assert_true(c->log.access);
    assert_string_equal(c->admin.text, "");
    assert_int_equal(c->admin.addr.len, 0);
    assert_int_equal(c->limits.connections, 65536);
    assert_int_equal(c->limits.header_timeout_ms, 10000);
    assert_int_equal(c->limits.header_bytes, 16384);
    assert_int_equal(c->limits.handshake_timeout_ms, 5000);
    assert_int_equal(c->limits.body_timeout_ms, 30000);
    assert_int_equal(c->limits.keepalive_timeout_ms, 75000);
    assert_int_equal(c->limits.send_timeout_ms, 60000);
    assert_int_equal(c->limits.streams, 128);
    assert_int_equal(c->drain.time_ms, 30000);
    const struct conf_pool *p = &c->pools[0];
    assert_int_equal(p->balance, BALANCE_ROUND_ROBIN);
    assert_int_equal(p->connect_timeout_ms, 1000);
    assert_int_equal(p->upgrade_timeout_ms, 3000);
    assert_int_equal(p->failover_timeout_ms, 5000);
    assert_int_equal(p->max_retries, 3);
    assert_int_equal(p->circuit_failures, 5);
    assert_int_equal(p->circuit_open_ms, 10000);
    assert_int_equal(p->circuit_half_open_count, 1);
    const struct conf_server *s = &p->servers[0];
    assert_int_equal(s->weight, 1);
    assert_true(s->tls.verify);
    assert_int_equal(s->check.type, CHECK_TCP);
    assert_int_equal(s->check.interval_ms, 1000);
    assert_int_equal(s->check.timeout_ms, 800);
    assert_int_equal(s->check.rise, 2);
    assert_int_equal(s->check.fall, 2);
    assert_int_equal(s->check.jitter_percent, 10);
    assert_int_equal(s->check.speak, SPEAK_PING);
    assert_int_equal(s->check.expect_statuses.count, 1);
    assert_int_equal(s->check.expect_statuses.range[0].min, 200);
    assert_int_equal(s->check.expect_statuses.range[0].max, 299);
    const struct conf_route *r = &c->routes[0];
    assert_string_equal(r->name, "/");
    assert_int_equal(r->idle_timeout_ms, 3600000);
    assert_int_equal(r->max_message_bytes, 16 << 20);
    assert_int_equal(r->buffer_bytes, 65536);
    assert_string_equal(c->headers.via, "tidegate");
    assert_null(c->headers.server);
    assert_int_equal(c->trace.mode, TRACE_CONTINUE);
    assert_int_equal(c->routes[0].host_policy, HOST_HEADER_CLIENT);
    assert_int_equal(c->routes[0].maintenance.status, 503);
    conf_unref(&c);
}

/* A default never contradicts what was written. */
static void test_defaults_give_way(void **state)
{
    (void)state;
    struct conf *c = load(LISTEN_OK ROUTES_OK "pools:\n"
                                              "  p:\n"
                                              "    failover_timeout: 500ms\n"
                                              "    check: { interval: 200ms }\n"
                                              "    servers:\n"
                                              "      - { name: a, url: \"ws://h\" }\n"
                                              "      - { name: b, url: \"ws://h\", check: { interval: 100ms } }\n");
    const struct conf_pool *p = &c->pools[0];
    assert_int_equal(p->connect_timeout_ms, 500);
    assert_int_equal(p->upgrade_timeout_ms, 500);
    assert_int_equal(p->check.timeout_ms, 200);
    assert_int_equal(p->servers[0].check.timeout_ms, 200);
    assert_int_equal(p->servers[1].check.timeout_ms, 100);
    conf_unref(&c);
}

/* Who judges waits longer for Redis than a request does. */
static void test_defaults_of_redis_suit_the_quorum(void **state)
{
    (void)state;
    struct conf *c = load(LISTEN_OK ROUTES_OK POOLS_OK "quorum: { lifetime: 900ms, redis: { url: \"redis://h\" } }\n");
    assert_int_equal(c->quorum.interval_ms, 300);
    assert_int_equal(c->quorum.redis.timeout_ms, 225);
    assert_int_equal(c->quorum.redis.circuit_failures, 0);
    assert_int_equal(c->cache.redis.timeout_ms, 25);
    conf_unref(&c);
    c = load(LISTEN_OK ROUTES_OK POOLS_OK
             "quorum: { redis: { url: \"redis://h\", timeout: 80ms, circuit: { failures: 3 } } }\n");
    assert_int_equal(c->quorum.interval_ms, 500);
    assert_int_equal(c->quorum.redis.timeout_ms, 80);
    assert_int_equal(c->quorum.redis.circuit_failures, 3);
    conf_unref(&c);
}

static void test_routes_stand_in_match_order(void **state)
{
    (void)state;
    struct conf *c = load(LISTEN_OK POOLS_OK "routes:\n"
                                             "  - { pool: p, path: / }\n"
                                             "  - { pool: p, path: /a, host: \"*.example.com\" }\n"
                                             "  - { pool: p, path: /a/b }\n"
                                             "  - { pool: p, path: /a }\n"
                                             "  - { pool: p, path: /a, host: \"*.eu.example.com\" }\n"
                                             "  - { pool: p, path: /a, host: example.com }\n"
                                             "  - { pool: p, path: /, host: example.com }\n");
    static const char *const wanted[] = {
        "/a/b", "example.com/a", "*.eu.example.com/a", "*.example.com/a", "/a", "example.com/", "/"};
    assert_int_equal(c->route_count, 7);
    for (size_t i = 0; i < c->route_count; i++)
        assert_string_equal(c->routes[i].name, wanted[i]);
    conf_unref(&c);
}

static void test_listeners_that_do_not_clash(void **state)
{
    (void)state;
    struct conf *c = load(POOLS_OK ROUTES_OK "listen:\n"
                                             "  - { address: \"0.0.0.0:80\" }\n"
                                             "  - { address: \"127.0.0.1:81\" }\n"
                                             "  - { address: \"[::]:80\" }\n"
                                             "  - { address: \"127.0.0.1:0\" }\n"
                                             "  - { address: \"127.0.0.1:0\" }\n"
                                             "admin: { address: \"[::1]:81\" }\n");
    assert_int_equal(c->listen_count, 5);
    conf_unref(&c);
}

static void test_lookups_and_texts(void **state)
{
    (void)state;
    struct conf *c = load(full);
    assert_ptr_equal(conf_find_pool(c, "p"), &c->pools[0]);
    assert_null(conf_find_pool(c, "P"));
    assert_null(conf_find_pool(c, ""));
    assert_string_equal(conf_tier_text(TIER_PRIMARY), "primary");
    assert_string_equal(conf_tier_text(TIER_EMERGENCY), "emergency");
    assert_string_equal(conf_balance_text(BALANCE_LEAST_CONNECTIONS), "least-connections");
    assert_null(conf_tier_text(TIER_COUNT));
    conf_unref(&c);
}

static void test_references(void **state)
{
    (void)state;
    struct conf *c = load(full);
    const struct conf *shared = c;
    struct conf *second = conf_ref(shared);
    conf_unref(&c);
    assert_null(c);
    assert_string_equal(second->pools[0].name, "p"); /* still there */
    conf_unref(&second);
    assert_null(second);
    conf_unref(&second); /* of nothing is nothing */
}

/* They come without anything in the environment but a secret, and are what a new user copies. */
static void test_the_examples(void **state)
{
    (void)state;
    static const char *const names[] = {
        "conf/minimal.yaml", "conf/tidegate.yaml",        "conf/dns.yaml",
        "conf/checker.yaml", "deploy/dns/delegated.yaml", "deploy/dns/hidden-primary.yaml"};
    unsetenv("TIDEGATE_NODE");
    setenv("TSIG_SECRET", "c2VjcmV0", 1); /* that one stands nowhere */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct conf_errors errors;
        struct conf *c = conf_load_file(names[i], &errors);
        if (c == NULL)
            fail_msg("%s", errors.text);
        assert_string_equal(c->path, names[i]);
        conf_unref(&c);
    }
}

static void test_bad_certificates_are_told_at_once(void **state)
{
    (void)state;
    static const char text[] = LISTEN_OK ROUTES_OK
        "pools: { p: { servers: [ { name: s, url: \"wss://h\", tls: { ca: \"-----BEGIN CERTIFICATE-----\" } } ] } }\n";
    struct conf_errors errors;
    assert_null(conf_load_text("t.yaml", text, strlen(text), false, &errors));
    assert_int_equal(errors.count, 1);
    if (strstr(errors.text, "t.yaml:3:64: pools.p.servers[0].tls: ca: ") == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_of_the_process),
        cmocka_unit_test(test_every_key_of_a_pool),
        cmocka_unit_test(test_a_server_takes_its_check_from_the_pool),
        cmocka_unit_test(test_every_key_of_a_route),
        cmocka_unit_test(test_what_becomes_of_heads),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_defaults_give_way),
        cmocka_unit_test(test_defaults_of_redis_suit_the_quorum),
        cmocka_unit_test(test_routes_stand_in_match_order),
        cmocka_unit_test(test_listeners_that_do_not_clash),
        cmocka_unit_test(test_lookups_and_texts),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_the_examples),
        cmocka_unit_test(test_bad_certificates_are_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
