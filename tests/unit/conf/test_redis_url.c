/* Where the shared Redis is: URLs in their parts, what is wrong with others, the keys beside the URL, and that no
 * password shows anywhere but in the seal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/value.h"

#define LONG_20  "aaaaaaaaaaaaaaaaaaaa"
#define LONG_100 LONG_20 LONG_20 LONG_20 LONG_20 LONG_20

/* Line 4 is `  redis: { ... }`. */
static struct conf *load(const char *redis, struct conf_errors *errors)
{
    char *text = mem_printf("listen: [ { address: \"127.0.0.1:1\" } ]\n"
                            "pools: { p: { servers: [ { name: s, url: \"http://h\" } ] } }\n"
                            "cache:\n"
                            "  redis: { %s }\n"
                            "routes: [ { pool: p } ]\n",
                            redis);
    struct conf *c = conf_load_text("t.yaml", text, strlen(text), false, errors);
    mem_free(text);
    return c;
}

static struct conf *good(const char *redis)
{
    struct conf_errors errors = {0};
    struct conf *c = load(redis, &errors);
    if (c == NULL)
        fail_msg("%s: %s", redis, errors.text);
    conf_errors_fini(&errors);
    return c;
}

static const struct {
    const char *url;
    enum conf_redis_scheme scheme;
    const char *host;
    uint16_t port;
    uint32_t database;
    const char *username, *password;
    const char *masked; /* NULL: as it is */
} urls[] = {
    {"redis://h", REDIS_TCP, "h", 6379, 0, "", "", NULL},
    {"redis://h/", REDIS_TCP, "h", 6379, 0, "", "", NULL},
    {"redis://127.0.0.1:7000/5", REDIS_TCP, "127.0.0.1", 7000, 5, "", "", NULL},
    {"redis://[::1]:7000/65535", REDIS_TCP, "::1", 7000, 65535, "", "", NULL},
    {"rediss://a.example", REDIS_TLS, "a.example", 6379, 0, "", "", NULL},
    {"rediss://me:pw@a.example:1/2", REDIS_TLS, "a.example", 1, 2, "me", "pw", "rediss://me:***@a.example:1/2"},
    {"redis://:pw@h", REDIS_TCP, "h", 6379, 0, "", "pw", "redis://:***@h"},
    {"redis://@h", REDIS_TCP, "h", 6379, 0, "", "", NULL},
    {"redis://:@h", REDIS_TCP, "h", 6379, 0, "", "", NULL},
    {"redis://a%3Ab:%40%2f%3F%23%25@h", REDIS_TCP, "h", 6379, 0, "a:b", "@/?#%", "redis://a%3Ab:***@h"},
    {"redis://:a:b@c@h", REDIS_TCP, "h", 6379, 0, "", "a:b@c", "redis://:***@h"}, /* the last @ is the border */
    {"redis://%0a%09%0d:%c2%85%22%5C%24%7bA%7d@h", REDIS_TCP, "h", 6379, 0, "\n\t\r", "\xc2\x85\"\\${A}",
     "redis://%0a%09%0d:***@h"},
    {"redis://:%c3%a4@h", REDIS_TCP, "h", 6379, 0, "", "\xc3\xa4", "redis://:***@h"},
    {"unix:/run/redis.sock", REDIS_UNIX, "/run/redis.sock", 0, 0, "", "", NULL},
    {"unix:///run/redis.sock?db=3", REDIS_UNIX, "/run/redis.sock", 0, 3, "", "", NULL},
    {"redis+unix:///run/a b@c.sock", REDIS_UNIX, "/run/a b@c.sock", 0, 0, "", "", NULL},
    {"redis+unix:/r", REDIS_UNIX, "/r", 0, 0, "", "", NULL},
};

static void assert_is(const struct conf_redis *r, size_t i, bool is_masked)
{
    const bool has_password = urls[i].password[0] != '\0';
    assert_string_equal(r->text, is_masked && urls[i].masked != NULL ? urls[i].masked : urls[i].url);
    assert_int_equal(r->scheme, urls[i].scheme);
    assert_string_equal(r->host, urls[i].host);
    assert_int_equal(r->port, urls[i].port);
    assert_int_equal(r->database, urls[i].database);
    assert_string_equal(r->username, urls[i].username);
    assert_string_equal(r->password, is_masked && has_password ? "***" : urls[i].password);
}

static void urls_come_apart_and_only_the_seal_has_them_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char *redis = mem_printf("url: \"%s\"", urls[i].url);
        struct conf *c = good(redis);
        assert_is(&c->cache.redis, i, false);
        char *texts[] = {conf_seal(c), conf_dump(c)};
        for (int t = 0; t < 2; t++) {
            struct conf_errors errors = {0};
            struct conf *again = conf_load_text("again", texts[t], strlen(texts[t]), t == 0, &errors);
            if (again == NULL)
                fail_msg("%s%s", errors.text, texts[t]);
            assert_is(&again->cache.redis, i, t == 1);
            conf_unref(&again);
            mem_free(texts[t]);
        }
        conf_unref(&c);
        mem_free(redis);
    }
}

static const struct {
    const char *url, *why;
} bad_urls[] = {
    {"h", "has no scheme"},
    {"h:6379", "has no scheme"},
    {"http://h", "has an unknown scheme"},
    {"REDIS://h", "has an unknown scheme"},
    {"redis://", "has no host"},
    {"redis://u:p@", "has no host"},
    {"redis://a b", "has a host that is neither a name nor an address"},
    {"redis://::1", "has no host"},
    {"redis://[::1", "has a [ without ]"},
    {"redis://h:0", "has a port that is not a number from 1 to 65535"},
    {"redis://h:65536", "has a port that is not a number from 1 to 65535"},
    {"redis://h:", "has a port that is not a number from 1 to 65535"},
    {"redis://h/x", "has a database that is not a number from 0 to 65535"},
    {"redis://h/1/2", "has a database that is not a number from 0 to 65535"},
    {"redis://h/-1", "has a database that is not a number from 0 to 65535"},
    {"redis://h/65536", "has a database that is not a number from 0 to 65535"},
    {"redis://h?db=1", "has a query"},
    {"redis://h/1?x=y", "has a query"},
    {"redis://h#x", "has a fragment"},
    {"redis://:a%@h", "has a % without two hexadecimal digits"},
    {"redis://:a%4@h", "has a % without two hexadecimal digits"},
    {"redis://a%g0@h", "has a % without two hexadecimal digits"},
    {"redis://:%00@h", "has a %00"},
    {"redis://:%ff@h", "has a user or password that is not UTF-8 text"},
    {"redis://:a b@h", "has a character that must be written as %XX"},
    {"redis://:\xc3\xa4@h", "has a character that must be written as %XX"},
    {"redis://:sec/ret@h", "has a password with a / ? or # that must be written as %XX"},
    {"redis://u/ret@h", "has a password with a / ? or # that must be written as %XX"},
    {"unix:", "has no absolute path of a socket"},
    {"unix:/", "has no absolute path of a socket"},
    {"unix:run/x", "has no absolute path of a socket"},
    {"unix://u:p@/run/x", "has no absolute path of a socket"},
    {"unix:/x?db=y", "has a database that is not a number from 0 to 65535"},
    {"unix:/x?password=y", "has a query other than ?db=number"},
    {"unix:/x\x01", "has a control character"},
    {"unix:/" LONG_100 "aaaaaaa", "has a path that is too long for a socket"},
};

static void other_texts_are_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_urls / sizeof bad_urls[0]; i++) {
        struct value_redis_url parts;
        const char *why = value_redis_url(bad_urls[i].url, &parts);
        if (why == NULL)
            fail_msg("%s was taken", bad_urls[i].url);
        if (strcmp(why, bad_urls[i].why) != 0)
            fail_msg("%s\nwanted: %s\ngot:    %s", bad_urls[i].url, bad_urls[i].why, why);
    }
    struct value_redis_url parts;
    assert_null(value_redis_url("unix:/" LONG_100 "aaaaaa", &parts)); /* 107 bytes are a path */
    char *text =
        mem_printf("redis://:%s%s@h", LONG_100 LONG_100 LONG_100 LONG_100 LONG_100, LONG_100 LONG_100 LONG_100);
    assert_null(value_redis_url(text, &parts));
    mem_free(text);
    text = mem_printf("redis://:%01025d@h", 0);
    assert_string_equal(value_redis_url(text, &parts), "has a user or password that is too long");
    mem_free(text);
    text = mem_printf("redis://%02000d", 0);
    assert_string_equal(value_redis_url(text, &parts), "is too long");
    mem_free(text);
}

#define EXPECTED                                                                                                       \
    ", expected redis://[user:password@]host[:port][/database], rediss://... for TLS, or unix:/path[?db=number]\n"

/* Behind "t.yaml:4:". */
static const struct {
    const char *redis, *wanted;
} mistakes[] = {
    {"url: h", "17: cache.redis.url: the URL has no scheme" EXPECTED},
    {"url: \"redis:/u:hunter2@h\"", "17: cache.redis.url: the URL has no scheme" EXPECTED},
    {"url: \"unix:/x?password=hunter2\"", "17: cache.redis.url: the URL has a query other than ?db=number" EXPECTED},
    {"url: [ a ]", "17: cache.redis.url: is a list" EXPECTED},
    {"url: \"redis://:hunter2@h\", password: hunter3",
     "49: cache.redis.password: differs from that of the url, expected it in one of the two places\n"},
    {"url: \"redis://a:hunter2@h\", username: b",
     "50: cache.redis.username: differs from that of the url, expected it in one of the two places\n"},
    {"url: \"redis://h\", username: a",
     "40: cache.redis.username: is given without a password, expected both or neither\n"},
    {"url: \"redis://hunter2@h\"", "17: cache.redis.username: is given without a password, expected both or neither\n"},
    {"url: \"redis://h\", password: [ hunter2 ]", "40: cache.redis.password: is a list, expected a value\n"},
    {"password: hunter2", "22: cache.redis.password: has no use by itself, expected url with it\n"},
    {"mode: cluster", "18: cache.redis.mode: has no use by itself, expected url with it\n"},
    {"url: \"redis://h\", prefix: \"a b\"", "38: cache.redis.prefix: \"a b\" has a character that names may not have, "
                                            "expected letters, digits, \".\", \"_\" and \"-\", at most 60\n"},
    /* modes */
    {"url: \"redis://h\", mode: ring",
     "36: cache.redis.mode: \"ring\" is not known, expected single, sentinel or cluster\n"},
    {"url: \"redis://h\", mode: sentinel",
     "36: cache.redis.master: is missing, expected the name the Sentinels know it by\n"},
    {"url: \"redis://h\", master: m", "38: cache.redis.master: has no use with this mode, expected mode: sentinel\n"},
    {"url: \"redis://h\", sentinel_password: hunter2",
     "49: cache.redis.sentinel_password: has no use with this mode, expected mode: sentinel\n"},
    {"url: \"redis://h\", nodes: [ \"a:1\" ]",
     "37: cache.redis.nodes: has no use with this mode, expected mode: sentinel or mode: cluster\n"},
    {"url: \"redis://h\", mode: cluster, nodes: [ a ]",
     "54: cache.redis.nodes: \"a\" has no port, expected host:port, such as 10.0.0.1:6379 or \"[fd00::1]:6379\"\n"},
    {"url: \"redis://h/1\", mode: cluster",
     "17: cache.redis.url: names database 1, expected none: a cluster has no others than 0\n"},
    {"url: \"unix:/x\", mode: cluster",
     "17: cache.redis.url: is a socket, which has one Redis behind it, expected mode: single\n"},
    {"url: \"unix:/x\", mode: sentinel, master: m",
     "17: cache.redis.url: is a socket, which has one Redis behind it, expected mode: single\n"},
    /* TLS */
    {"url: \"redis://:hunter2@h\", tls: { verify: false }",
     "54: cache.redis.tls.verify: has no use with this url, expected a rediss:// url\n"},
    {"url: \"redis://h\", tls: { server_name: a }",
     "50: cache.redis.tls.server_name: has no use with this url, expected a rediss:// url\n"},
    {"url: \"rediss://h\", tls: { ca: /nowhere/ca.pem }",
     "42: cache.redis.tls.ca: cannot read the file /nowhere/ca.pem: No such file or directory, expected a readable "
     "text "
     "file\n"},
    {"url: \"rediss://h\", tls: { cert: \"-----BEGIN CERTIFICATE-----\" }",
     "44: cache.redis.tls.cert: is given without tls.key, expected both or neither\n"},
    {"url: \"rediss://h\", tls: { ca: \"-----BEGIN CERTIFICATE-----\" }", NULL}, /* in OpenSSL's words */
    /* times */
    {"url: \"redis://h\", timeout: 0", "39: cache.redis.timeout: \"0\" is too small, expected a duration with its unit "
                                       "(ms, s, m, h, d) from 1ms to 1m\n"},
    {"url: \"redis://h\", circuit: { opened: 1s }", "41: cache.redis.circuit.opened: unknown key, expected open?\n"},
};

static void every_mistake_has_its_message_and_shows_no_password(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct conf_errors errors = {0};
        struct conf *c = load(mistakes[i].redis, &errors);
        if (c != NULL)
            fail_msg("%s was taken", mistakes[i].redis);
        if (mistakes[i].wanted != NULL && strcmp(errors.text + strlen("t.yaml:4:"), mistakes[i].wanted) != 0)
            fail_msg("%s\nwanted: t.yaml:4:%sgot:    %s", mistakes[i].redis, mistakes[i].wanted, errors.text);
        assert_null(strstr(errors.text, "hunter"));
        conf_errors_fini(&errors);
    }
}

static void assert_is_sentinel(const struct conf_redis *r, bool is_masked)
{
    assert_string_equal(r->host, "h");
    assert_int_equal(r->port, 26379); /* nobody gave one, and Sentinels are asked */
    assert_int_equal(r->database, 2);
    assert_string_equal(r->username, "me");
    assert_string_equal(r->password, is_masked ? "***" : "hunter2");
    assert_string_equal(r->prefix, "gate");
    assert_int_equal(r->mode, REDIS_SENTINEL);
    assert_string_equal(r->master, "mymaster");
    assert_int_equal(r->node_count, 2);
    assert_string_equal(r->nodes[0], "b:1");
    assert_string_equal(r->nodes[1], "[::1]:2");
    assert_string_equal(r->sentinel_password, is_masked ? "***" : "hunter3");
    assert_string_equal(r->tls.server_name, "a.example");
    assert_false(r->tls.verify);
    assert_int_equal(r->timeout_ms, 5);
    assert_int_equal(r->connect_timeout_ms, 60000);
    assert_int_equal(r->circuit_failures, 0);
    assert_int_equal(r->circuit_open_ms, 3600000);
}

static void every_key_goes_through_dump_and_seal(void **state)
{
    (void)state;
    struct conf *c = good("url: \"rediss://h/2\", username: me, password: hunter2, prefix: gate, mode: sentinel, "
                          "master: mymaster, nodes: [ \"b:1\", \"[::1]:2\" ], sentinel_password: hunter3, "
                          "tls: { server_name: A.example, verify: false }, timeout: 5ms, connect_timeout: 1m, "
                          "circuit: { failures: 0, open: 1h }");
    assert_is_sentinel(&c->cache.redis, false);
    char *seal = conf_seal(c), *dump = conf_dump(c);
    assert_null(strstr(dump, "hunter"));
    struct conf_errors errors = {0};
    struct conf *again = conf_load_text("again", seal, strlen(seal), true, &errors);
    assert_non_null(again);
    assert_is_sentinel(&again->cache.redis, false);
    conf_unref(&again);
    again = conf_load_text("again", dump, strlen(dump), false, &errors);
    assert_non_null(again);
    assert_is_sentinel(&again->cache.redis, true);
    conf_unref(&again);
    mem_free(seal);
    mem_free(dump);
    conf_unref(&c);
}

static void without_a_url_there_is_no_redis(void **state)
{
    (void)state;
    struct conf *c = good("timeout: 10ms");
    const struct conf_redis *r = &c->cache.redis;
    assert_string_equal(r->text, "");
    assert_string_equal(r->host, "");
    assert_string_equal(r->prefix, "tidegate");
    assert_int_equal(r->timeout_ms, 10);
    assert_int_equal(r->connect_timeout_ms, 500);
    assert_int_equal(r->circuit_failures, 5);
    assert_int_equal(r->circuit_open_ms, 2000);
    assert_true(r->tls.verify);
    conf_unref(&c);
    /* The environment may have none. */
    c = good("url: \"${TIDEGATE_TEST_NO_REDIS:-}\", mode: cluster, nodes: [ \"a:1\" ], password: x");
    assert_string_equal(c->cache.redis.text, "");
    conf_unref(&c);
}

/* What the url may have the keys may have as well: a dump and a seal show it there. */
static void long_credentials_go_through(void **state)
{
    (void)state;
    char *redis = mem_printf("url: \"redis://%01024d:%0300d@h\"", 0, 0);
    struct conf *c = good(redis);
    assert_int_equal(strlen(c->cache.redis.username), 1024);
    char *seal = conf_seal(c);
    struct conf_errors errors = {0};
    struct conf *again = conf_load_text("again", seal, strlen(seal), true, &errors);
    assert_non_null(again);
    assert_string_equal(again->cache.redis.username, c->cache.redis.username);
    assert_string_equal(again->cache.redis.password, c->cache.redis.password);
    conf_unref(&again);
    conf_unref(&c);
    mem_free(seal);
    mem_free(redis);
}

/* The same in both places is no contradiction; the dump is like that. */
static void a_password_may_stand_in_both_places(void **state)
{
    (void)state;
    struct conf *c = good("url: \"redis://a:p%40@h\", username: a, password: \"p@\"");
    assert_string_equal(c->cache.redis.password, "p@");
    conf_unref(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_come_apart_and_only_the_seal_has_them_whole),
        cmocka_unit_test(other_texts_are_none),
        cmocka_unit_test(every_mistake_has_its_message_and_shows_no_password),
        cmocka_unit_test(every_key_goes_through_dump_and_seal),
        cmocka_unit_test(without_a_url_there_is_no_redis),
        cmocka_unit_test(long_credentials_go_through),
        cmocka_unit_test(a_password_may_stand_in_both_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
