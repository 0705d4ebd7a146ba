/* Targets, the zone and the quorum: what is read, what follows from it, that it reads back, and what does not go
 * together, with its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/conf/mistake.h"

#define SERVED    "dns:\n  listen: [ \"127.0.0.1:53\" ]\n  zone: z.example\n  nameservers: [ ns1.example.net ]\n"
#define DNS(more) SERVED "  " more "\n"
#define RECORD(r) DNS("records:\n    - " r)
#define ANSWER(a) TARGETS RECORD("{ name: w, answers: [ " a " ] }")
#define TARGET(t) ROOT("targets: { t: " t " }")
#define SECRET    "00112233445566778899aabbccddeeff"
#define TARGETS                                                                                                        \
    "targets: { us-edge: { check: { type: http, url: \"http://192.0.2.1/h\" } }, eu-edge: { check: { type: none } } "  \
    "}\n"

static struct conf *load(const char *text, bool is_sealed)
{
    struct conf_errors errors;
    struct conf *c = conf_load_text("t.yaml", text, strlen(text), is_sealed, &errors);
    if (c == NULL)
        print_error("%s%s\n", errors.text, text);
    conf_errors_fini(&errors);
    assert_non_null(c);
    return c;
}

static const char whole[] =
    "dns:\n"
    "  listen: [ \"127.0.0.1:53\", \"[::1]:53\" ]\n"
    "  zone: RT.example.com\n"
    "  nameservers: [ ns1.rt.example.com, ns2.example.net. ]\n"
    "  ttl: 2m\n"
    "  cookie_secret: " SECRET "\n"
    "  rate: { burst: 7s }\n"
    "  records:\n"
    "    - name: \"@\"\n"
    "      steer: weighted\n"
    "      last_resort: fail-static\n"
    "      ttl_min: 2s\n"
    "      answers:\n"
    "        - { target: us-edge, requires: [ p/s, eu-edge ], a: [ 192.0.2.10 ], aaaa: [ \"2001:db8::1\" ], weight: 3 "
    "}\n"
    "        - { target: p/s, tier: backup, a: [ 198.51.100.10, 198.51.100.11 ] }\n"
    "        - { tier: emergency, cname: Static.example.net. }\n"
    "    - { name: www, cname: rt.example.com }\n"
    "    - { name: \"*.dev\", alias: app.example.net, ttl: 1h, caa: [ '0 issue \"ca.example\"' ] }\n"
    "    - name: x.RT.example.com.\n"
    "      a: [ 192.0.2.1 ]\n"
    "      aaaa: [ \"::1\" ]\n"
    "      mx: [ 10 mail.example.com ]\n"
    "      txt: [ v=spf1 -all, \"two words\" ]\n"
    "      srv: [ 0 5 443 rt.example.com ]\n"
    "      https: [ 1 . alpn=h2 ]\n"
    "      svcb: [ 1 . port=53 ]\n"
    "    - { name: below, ns: [ ns.below.rt.example.com ] }\n"
    "  push:\n"
    "    - { server: \"[::1]:53\", key_name: k.example, key_algorithm: hmac-sha512, key_secret: c2VjcmV0, timeout: 1s "
    "}\n"
    "targets:\n"
    "  us-edge: { region: us, check: { type: http, url: \"https://192.0.2.10/health?a=b\", host: "
    "\"rt.example.com:443\" } }\n"
    "  eu-edge: { drain: true, check: { type: http, url: \"http://[2001:db8::1]/\", path: /x } }\n"
    "  port: { check: { url: \"tcp://192.0.2.3:6379\" } }\n"
    "quorum: { redis: { url: \"redis://:hush@127.0.0.1/1\" }, group: g, lifetime: 3s, interval: 1s }\n"
    "pools: { p: { servers: [ { name: s, url: \"ws://h\" } ] } }\n";

static void assert_targets(const struct conf *c)
{
    const struct conf_server *t = c->targets;
    assert_int_equal(c->target_count, 3);
    assert_string_equal(t[0].slot_name, "targets/us-edge");
    assert_string_equal(t[0].url.host, "192.0.2.10");
    assert_int_equal(t[0].url.port, 443);
    assert_true(t[0].url.is_tls);
    assert_string_equal(t[0].url.path, "");
    assert_string_equal(t[0].check.path, "/health?a=b");
    assert_string_equal(t[0].tls.server_name, "rt.example.com"); /* asked by address, it has a name */
    assert_string_equal(t[0].region, "us");
    assert_string_equal(t[1].url.host, "2001:db8::1");
    assert_string_equal(t[1].check.path, "/x");
    assert_string_equal(t[1].tls.server_name, "");
    assert_true(t[1].drain);
    assert_int_equal(t[2].url.scheme, SCHEME_TCP);
    assert_int_equal(t[2].url.port, 6379);
    assert_int_equal(t[2].check.type, CHECK_TCP);
    assert_ptr_equal(conf_find_server(c, "targets/port"), &t[2]);
}

static void assert_zone(const struct conf_dns *d)
{
    assert_string_equal(d->zone, "rt.example.com");
    assert_int_equal(d->listen_count, 2);
    assert_int_equal(addr_port(&d->listen[1].addr), 53);
    assert_string_equal(d->contact, "hostmaster@rt.example.com");
    assert_int_equal(d->ttl_ms, 120000);
    assert_int_equal(d->negative_ttl_ms, 30000);
    assert_int_equal(d->rate.burst_s, 7);
    assert_int_equal(d->rate.answers, 200);
    assert_int_equal(d->tcp.pipelined, 64);
    assert_true(d->cookies);
    assert_false(d->cookie_required);
    assert_string_equal(d->cookie_secret, SECRET);
    assert_string_equal(d->pushes[0].zone, "rt.example.com");
    assert_string_equal(d->pushes[0].key_secret, "c2VjcmV0");
    assert_int_equal(d->pushes[0].key_algorithm, TSIG_HMAC_SHA512);
    assert_string_equal(d->records[1].cname, "rt.example.com");
    assert_int_equal(d->records[2].ttl_ms, 3600000);
    assert_string_equal(d->records[3].txt[1], "two words");
    assert_string_equal(d->records[3].name, "x.rt.example.com.");
}

static void assert_steered(const struct conf_dns_record *r)
{
    const struct conf_dns_answer *a = r->answers;
    assert_int_equal(r->answer_count, 3);
    assert_int_equal(r->steer, STEER_WEIGHTED);
    assert_int_equal(r->last_resort, RESORT_FAIL_STATIC);
    assert_int_equal(r->ttl_min_ms, 2000);
    assert_int_equal(r->ttl_max_ms, 60000);
    assert_string_equal(a[0].target, "targets/us-edge");
    assert_string_equal(a[0].requires[0], "p/s");
    assert_string_equal(a[0].requires[1], "targets/eu-edge");
    assert_int_equal(a[0].weight, 3);
    assert_string_equal(a[1].target, "p/s");
    assert_int_equal(a[1].a_count, 2);
    assert_string_equal(a[2].target, "");
    assert_string_equal(a[2].cname, "static.example.net.");
    assert_int_equal(a[2].tier, TIER_EMERGENCY);
}

static void assert_whole(const struct conf *c)
{
    assert_targets(c);
    assert_zone(&c->dns);
    assert_steered(&c->dns.records[0]);
    assert_string_equal(c->quorum.redis.host, "127.0.0.1");
    assert_string_equal(c->quorum.redis.password, "hush");
    assert_string_equal(c->quorum.group, "g");
    assert_int_equal(c->quorum.lifetime_ms, 3000);
}

static void test_what_is_read(void **state)
{
    (void)state;
    struct conf *c = load(whole, false);
    assert_whole(c);
    assert_int_equal(conf_worker_count(c), 0); /* nobody listens */
    conf_unref(&c);
}

static void test_the_seal_and_the_dump_read_back(void **state)
{
    (void)state;
    struct conf *c = load(whole, false);
    char *seal = conf_seal(c), *dump = conf_dump(c);
    struct conf *again = load(seal, true);
    assert_whole(again);
    char *twice = conf_seal(again);
    assert_string_equal(twice, seal);
    mem_free(twice);
    conf_unref(&again);
    for (size_t i = 0; i < 3; i++)
        assert_null(strstr(dump, ((const char *const[]){SECRET, "c2VjcmV0", "hush"})[i]));
    mem_free(seal);
    mem_free(dump);
    conf_unref(&c);
}

/* What a dump shows is a file one can start with, but for the secrets. */
static void test_a_dump_without_secrets_is_a_file(void **state)
{
    (void)state;
    static const char text[] = TARGETS RECORD("{ name: w, answers: [ { target: us-edge, a: [ 192.0.2.1 ] } ] }\n"
                                              "    - { name: v, txt: [ a ] }");
    struct conf *c = load(text, false);
    char *dump = conf_dump(c);
    struct conf *again = load(dump, false);
    char *twice = conf_dump(again);
    assert_string_equal(twice, dump);
    mem_free(twice);
    conf_unref(&again);
    mem_free(dump);
    conf_unref(&c);
}

/* Nothing of it is required of anybody else, and no text is NULL. */
static void test_what_nobody_wrote(void **state)
{
    (void)state;
    struct conf *c = load(ROOT(""), false);
    assert_int_equal(c->target_count, 0);
    assert_string_equal(c->dns.zone, "");
    assert_string_equal(c->dns.contact, "");
    assert_string_equal(c->dns.nsid, "");
    assert_string_equal(c->dns.cookie_secret, "");
    assert_string_equal(c->dns.cookie_previous, "");
    assert_string_equal(c->quorum.redis.text, "");
    assert_string_equal(c->quorum.redis.host, "");
    assert_string_equal(c->quorum.group, "tidegate");
    assert_int_equal(c->quorum.lifetime_ms, 5000);
    assert_int_equal(c->quorum.interval_ms, 500);
    assert_string_equal(c->pools[0].servers[0].check.canary_topic, "");
    assert_string_equal(c->pools[0].servers[0].check.canary_peer, "");
    assert_string_equal(c->pools[0].servers[0].check.url.text, "");
    assert_int_equal(conf_worker_count(c), c->workers);
    conf_unref(&c);
}

/* A gateway has listeners, routes and pools. Who answers for a zone or judges for others needs none of them. */
static void test_what_stands_alone(void **state)
{
    (void)state;
    static const char *const files[] = {
        RECORD("{ name: \"@\", a: [ 192.0.2.1 ] }"),
        TARGETS "quorum: { redis: { url: \"redis://h\" } }\n",
        POOLS_OK "quorum: { redis: { url: \"redis://h\" } }\n",
        "dns: { zone: z.example, push: [ { server: \"h:53\", key_name: k, key_secret: c2VjcmV0 } ] }\n",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct conf *c = load(files[i], false);
        assert_int_equal(conf_worker_count(c), 0);
        conf_unref(&c);
    }
}

/* clang-format off */
static const struct mistake mistakes[] = {
    {RAW("node: { name: n }\n"),
     "t.yaml:1:1: listen: is missing, expected a list, 1 to 64 items\n"
     "t.yaml:1:1: pools: is missing, expected sections by name, 1 to 128 items\n"
     "t.yaml:1:1: routes: is missing, expected a list, 1 to 256 items\n"},
    {RAW(TARGETS),
     "t.yaml:1:1: listen: is missing, expected a list, 1 to 64 items\n"
     "t.yaml:1:1: pools: is missing, expected sections by name, 1 to 128 items\n"
     "t.yaml:1:1: routes: is missing, expected a list, 1 to 256 items\n"},
    {RAW("quorum: { redis: { url: \"redis://h\" } }\n"),
     "t.yaml:1:1: listen: is missing, expected a list, 1 to 64 items\n"
     "t.yaml:1:1: pools: is missing, expected sections by name, 1 to 128 items\n"
     "t.yaml:1:1: routes: is missing, expected a list, 1 to 256 items\n"},
    {RAW(SERVED LISTEN_OK),
     "t.yaml:1:1: pools: is missing, expected sections by name, 1 to 128 items\n"
     "t.yaml:1:1: routes: is missing, expected a list, 1 to 256 items\n"},
    {RAW(SERVED ROUTES_OK),
     "t.yaml:1:1: listen: is missing, expected a list, 1 to 64 items\n"
     "t.yaml:1:1: pools: is missing, expected sections by name, 1 to 128 items\n"},
    {POOLS("targets: { servers: [ { name: s, url: \"ws://h\" } ] }\n  p: { servers: [ { name: s, url: \"ws://h\" } ] }"),
     "t.yaml:4:3: pools.targets: is the name under which targets are known, expected another name for a pool\n"},
    {POOL("check: { url: \"http://h\" }"),
     "t.yaml:6:19: pools.p.check.url: has no use in the check of a server, which has a url of its own, expected it in that of a target\n"},
    {SERVER("{ name: s, url: \"ws://h\", check: { url: \"http://h\" } }"),
     "t.yaml:6:49: pools.p.servers[0].check.url: has no use in the check of a server, which has a url of its own, expected it in that of a target\n"},
    {TARGET("{}"),
     "t.yaml:1:12: targets.t.check.url: is missing, expected what to ask, such as https://192.0.2.10/health\n"},
    {TARGET("{ url: \"http://h\" }"),
     "t.yaml:1:12: targets.t.check.url: is missing, expected what to ask, such as https://192.0.2.10/health\n"
     "t.yaml:1:17: targets.t.url: unknown key, expected it as check.url\n"},
    {TARGET("{ check: { url: \"http://h?a\" } }"),
     "t.yaml:1:31: targets.t.check.url: \"http://h?a\" has a query, expected a URL such as https://192.0.2.10/health or tcp://192.0.2.10:6379 (http, https, ws, wss, tcp)\n"},
    {TARGET("{ check: { url: \"tcp://h\" } }"),
     "t.yaml:1:31: targets.t.check.url: \"tcp://h\" has no port, expected a URL such as https://192.0.2.10/health or tcp://192.0.2.10:6379 (http, https, ws, wss, tcp)\n"},
    {TARGET("{ check: { url: h } }"),
     "t.yaml:1:31: targets.t.check.url: \"h\" has no scheme, expected a URL such as https://192.0.2.10/health or tcp://192.0.2.10:6379 (http, https, ws, wss, tcp)\n"},
    {TARGET("{ check: { type: http, url: \"tcp://h:1\" } }"),
     "t.yaml:1:43: targets.t.check.url: says nothing of HTTP, expected https:// or http:// with a check of this type\n"},
    {TARGET("{ check: { type: tcp, url: \"http://h/x\" } }"),
     "t.yaml:1:42: targets.t.check.url: has a path, which has no use in a check of this type, expected type: http or type: websocket\n"},
    {TARGET("{ check: { type: tls, url: \"http://h\" } }"),
     "t.yaml:1:42: targets.t.check.url: http://h has no TLS to check, expected wss:// or https:// with type: tls\n"},
    {TARGET("{ tls: { verify: false }, check: { url: \"http://h\" } }"),
     "t.yaml:1:32: targets.t.tls.verify: has no use with http://h, expected a check.url of https:// or wss://\n"},
    {TARGET("{ check: { type: http, url: \"http://h\", interval: 1s, timeout: 2s } }"),
     "t.yaml:1:78: targets.t.check.timeout: 2s is longer than interval (1s), expected at most that\n"},
    {POOL("check: { type: tcp, http: 2 }"),
     "t.yaml:6:31: pools.p.check.http: has no use in a check of this type, expected type: http with it\n"},
    {POOL("check: { http: 3 }"),
     "t.yaml:6:20: pools.p.check.http: \"3\" is not known, expected auto, 1.1 or 2\n"},
    {POOL("check: { type: tcp, canary: { topic: t } }"),
     "t.yaml:6:42: pools.p.check.canary.topic: has no use in a check of this type, expected type: websocket with it\n"},
    {SERVER("{ name: s, url: \"ws://h\", check: { type: websocket, speak: phoenix, canary: { topic: t } } }"),
     "t.yaml:6:94: pools.p.servers[0].check.canary: is half of one, expected canary.topic and canary.peer\n"},
    {SERVER("{ name: s, url: \"ws://h\", check: { type: websocket, speak: phoenix, canary: { peer: p/t } } }\n      - { name: t, url: \"ws://h\", check: { type: websocket } }"),
     "t.yaml:6:93: pools.p.servers[0].check.canary: is half of one, expected canary.topic and canary.peer\n"},
    {SERVER("{ name: s, url: \"ws://h\", check: { type: websocket, canary: { topic: t, peer: p/t } } }\n      - { name: t, url: \"ws://h\", check: { type: websocket } }"),
     "t.yaml:6:78: pools.p.servers[0].check.canary.topic: has no use with this speak, expected speak: phoenix\n"},
    {SERVER("{ name: s, url: \"ws://h\", check: { type: websocket, speak: phoenix, canary: { topic: t, peer: p/s } } }"),
     "t.yaml:6:103: pools.p.servers[0].check.canary.peer: is the server itself, expected another one\n"},
    {SERVER("{ name: s, url: \"ws://h\", check: { type: websocket, speak: phoenix, canary: { topic: t, peer: p/t } } }\n      - { name: t, url: \"ws://h\" }"),
     "t.yaml:6:103: pools.p.servers[0].check.canary.peer: p/t is not checked by WebSocket, expected one that is\n"},
    {SERVER("{ name: s, url: \"ws://h\", check: { type: websocket, speak: phoenix, canary: { topic: t, peer: p/x } } }"),
     "t.yaml:6:103: pools.p.servers[0].check.canary.peer: \"p/x\" is neither a target nor a pool/server, expected p/s?\n"},
    {ROOT("quorum: { group: g }"),
     "t.yaml:1:18: quorum.group: has no use by itself, expected redis.url with it\n"},
    {ROOT("quorum: { redis: { url: \"redis://h\" }, lifetime: 1s, interval: 400ms }"),
     "t.yaml:1:64: quorum.interval: is too long beside the lifetime, expected a third of that at most\n"},
    {ROOT("quorum: { redis: { url: \"redis://h\", mode: sentinel } }"),
     "t.yaml:1:44: quorum.redis.master: is missing, expected the name the Sentinels know it by\n"},
    {ROOT("quorum: { redis: { url: h } }"),
     "t.yaml:1:25: quorum.redis.url: the URL has no scheme, expected redis://[user:password@]host[:port][/database], rediss://... for TLS, or unix:/path[?db=number]\n"},
    {ROOT("dns: { listen: [ \"127.0.0.1:53\" ] }"),
     "t.yaml:1:6: dns.zone: is missing, expected a name such as rt.example.com\n"},
    {ROOT("dns: { zone: z.example }"),
     "t.yaml:1:14: dns.zone: is told to nobody, expected listen or push with it\n"},
    {RAW("dns: { zone: 192.0.2.1 }\n"),
     "t.yaml:1:14: dns.zone: \"192.0.2.1\" is an address, expected a name such as rt.example.com\n"},
    {RAW("dns: { zone: z.example, listen: [ \"127.0.0.1:53\" ] }\n"),
     "t.yaml:1:6: dns.nameservers: is missing, expected the names of those that answer for the zone\n"},
    {DNS("contact: nobody"),
     "t.yaml:5:12: dns.contact: \"nobody\" is no address, expected name@host\n"},
    {DNS("ttl: 1500ms"),
     "t.yaml:5:8: dns.ttl: \"1500ms\" is not a whole number of seconds, expected whole seconds (s, m, h, d) from 0 to 7d\n"},
    {DNS("refresh: 2d\n  expire: 1d"),
     "t.yaml:5:12: dns.refresh: 2d is longer than expire (1d), expected at most that\n"},
    {DNS("rate: { burst: 1500ms }"),
     "t.yaml:5:18: dns.rate.burst: \"1500ms\" is not a whole number of seconds, expected whole seconds (s, m, h, d) from 1s to 1m\n"},
    {RAW("dns: { zone: z.example, nameservers: [ h ], listen: [ \"unix:/x\", \"127.0.0.1:53\", h ] }\n"),
     "t.yaml:1:55: dns.listen: \"unix:/x\" is no address of the Internet, expected one such as 0.0.0.0:53 or \"[::]:53\"\n"
     "t.yaml:1:82: dns.listen: \"h\" has no port, expected one such as 0.0.0.0:53 or \"[::]:53\"\n"},
    {RAW("dns: { zone: z.example, nameservers: [ h ], listen: [ \"127.0.0.1:53\", \"0.0.0.0:53\" ] }\n"),
     "t.yaml:1:71: dns.listen: 0.0.0.0:53 clashes with 127.0.0.1:53 beside it, expected another address\n"},
    {ROOT("dns: { zone: z.example, nameservers: [ h ], listen: [ \"127.0.0.1:1\" ] }"),
     "t.yaml:1:55: dns.listen: 127.0.0.1:1 clashes with the listener 127.0.0.1:1 on line 2, expected another address\n"},
    {RAW("admin: { address: \"127.0.0.1:53\" }\n" SERVED),
     "t.yaml:3:13: dns.listen: 127.0.0.1:53 clashes with admin.address 127.0.0.1:53, expected another address\n"},
    {DNS("cookie_secret: short"),
     "t.yaml:5:18: dns.cookie_secret: is no such secret, expected 32 hexadecimal digits\n"},
    {DNS("cookie_secret: g0112233445566778899aabbccddeeff"),
     "t.yaml:5:18: dns.cookie_secret: is no such secret, expected 32 hexadecimal digits\n"},
    {DNS("cookie_previous: " SECRET),
     "t.yaml:5:20: dns.cookie_previous: has no use by itself, expected cookie_secret with it\n"},
    {DNS("cookies: false\n  cookie_required: true\n  cookie_secret: " SECRET),
     "t.yaml:6:20: dns.cookie_required: has no use by itself, expected cookies: true with it\n"
     "t.yaml:7:18: dns.cookie_secret: has no use by itself, expected cookies: true with it\n"},
    {RECORD("{ a: [ 192.0.2.1 ] }"),
     "t.yaml:6:7: dns.records[0].name: is missing, expected \"@\", a name below the zone, or one with a dot at its end\n"},
    {RECORD("{ name: \"a..b\", a: [ 192.0.2.1 ] }"),
     "t.yaml:6:15: dns.records[0].name: \"a..b\" has an empty part, expected \"@\", a name below the zone, or one with a dot at its end\n"},
    {RECORD("{ name: x.example.net., a: [ 192.0.2.1 ] }"),
     "t.yaml:6:15: dns.records[0].name: \"x.example.net.\" is not in the zone, expected a name below z.example\n"},
    {RECORD("{ name: www.z.example, a: [ 192.0.2.1 ] }"),
     "t.yaml:6:15: dns.records[0].name: \"www.z.example\" would be below the zone and have its name twice, expected it with a dot at its end\n"},
    {RECORD("{ name: w }"),
     "t.yaml:6:7: dns.records[0].answers: is missing, expected it or values such as a, cname or txt\n"},
    {RECORD("{ name: w, a: [ \"::1\", 192.0.2 ], aaaa: [ 192.0.2.1 ] }"),
     "t.yaml:6:23: dns.records[0].a: \"::1\" is not an IPv4 address, expected one such as 192.0.2.1\n"
     "t.yaml:6:30: dns.records[0].a: \"192.0.2\" is not an IPv4 address, expected one such as 192.0.2.1\n"
     "t.yaml:6:49: dns.records[0].aaaa: \"192.0.2.1\" is not an IPv6 address, expected one such as 2001:db8::1\n"},
    {RECORD("{ name: w, cname: 192.0.2.1 }"),
     "t.yaml:6:25: dns.records[0].cname: \"192.0.2.1\" is an address, expected a name such as rt.example.com\n"},
    {RECORD("{ name: w, cname: h.example, txt: [ a ] }"),
     "t.yaml:6:25: dns.records[0].cname: has no use beside other values, expected it alone\n"},
    {RECORD("{ name: w, alias: h.example, a: [ 192.0.2.1 ] }"),
     "t.yaml:6:25: dns.records[0].alias: has no use beside addresses, expected one or the other\n"},
    {RECORD("{ name: w, a: [ 192.0.2.1 ], steer: weighted, ttl_max: 5m }"),
     "t.yaml:6:43: dns.records[0].steer: has no use by itself, expected answers with it\n"
     "t.yaml:6:62: dns.records[0].ttl_max: has no use by itself, expected answers with it\n"},
    {RECORD("{ name: w, txt: [ \"\" ] }"),
     "t.yaml:6:25: dns.records[0].txt: \"\" is empty, expected at most 4096 bytes\n"},
    {RECORD("{ name: w, ns: [ \"::1\" ] }"),
     "t.yaml:6:24: dns.records[0].ns: \"::1\" is an address, expected a name such as ns1.example.com\n"},
    {ANSWER("{ a: [ 192.0.2.1 ] } ], txt: [ a ], cname: [ h"),
     "t.yaml:7:58: dns.records[0].txt: has no use beside answers, expected it in an item of its own\n"
     "t.yaml:7:72: dns.records[0].cname: is a list, expected a name such as rt.example.com\n"},
    {ANSWER("{ a: [ 192.0.2.1 ] } ], txt: [ a"),
     "t.yaml:7:58: dns.records[0].txt: has no use beside answers, expected it in an item of its own\n"},
    {ANSWER("{ a: [ 192.0.2.1 ] } ], ttl: 5s, steer: [ x"),
     "t.yaml:7:58: dns.records[0].ttl: has no use with answers, expected ttl_min and ttl_max\n"
     "t.yaml:7:69: dns.records[0].steer: is a list, expected failover, all-healthy or weighted\n"},
    {ANSWER("{ a: [ 192.0.2.1 ] } ], ttl_min: 10m, ttl: 5s, requires: [ x"),
     "t.yaml:7:62: dns.records[0].ttl_min: 10m is longer than ttl_max (1m), expected at most that\n"
     "t.yaml:7:72: dns.records[0].ttl: has no use with answers, expected ttl_min and ttl_max\n"
     "t.yaml:7:76: dns.records[0].requires: unknown key, expected one of name, steer, last_resort, ttl_min, ttl_max, answers, ttl, a, aaaa, cname, alias, ns, mx, txt, srv, caa, https, svcb\n"},
    {ANSWER("{ target: us-edge }"),
     "t.yaml:7:29: dns.records[0].answers[0].a: is missing, expected a, aaaa or cname\n"},
    {ANSWER("{ target: us-edge, a: [ 192.0.2.1 ], cname: h.example }"),
     "t.yaml:7:73: dns.records[0].answers[0].cname: has no use beside addresses, expected one or the other\n"},
    {ANSWER("{ target: us-egde, a: [ 192.0.2.1 ] }"),
     "t.yaml:7:39: dns.records[0].answers[0].target: \"us-egde\" is neither a target nor a pool/server, expected us-edge?\n"},
    {ANSWER("{ target: nowhere, a: [ 192.0.2.1 ] }"),
     "t.yaml:7:39: dns.records[0].answers[0].target: \"nowhere\" is neither a target nor a pool/server, expected one of us-edge, eu-edge\n"},
    {ANSWER("{ requires: [ eu-edge, p/s ], a: [ 192.0.2.1 ] }"),
     "t.yaml:7:52: dns.records[0].answers[0].requires: \"p/s\" is neither a target nor a pool/server, expected one of us-edge, eu-edge\n"},
    {ANSWER("{ a: [ 192.0.2.1 ], weight: 3 }"),
     "t.yaml:7:57: dns.records[0].answers[0].weight: has no use with this steer, expected steer: weighted with it\n"},
    {ANSWER("{ a: [ 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6, 192.0.2.7, 192.0.2.8, 192.0.2.9 ] }"),
     "t.yaml:7:34: dns.records[0].answers[0].a: has 9 items, expected a list of IPv4 addresses, at most 8 items\n"},
    {RECORD("{ name: w, answers: [ { target: x, a: [ 192.0.2.1 ] } ] }"),
     "t.yaml:6:39: dns.records[0].answers[0].target: \"x\" is neither a target nor a pool/server, expected one that targets or pools have\n"},
    {RECORD("{ name: w, steer: weighted, answers: [ { weight: 0, a: [ 192.0.2.1 ] } ] }"),
     "t.yaml:6:44: dns.records[0].answers: have no weight at all, expected one with weight: 1 or more\n"},
    {RECORD("{ name: w, answers: [ { a: [ 192.0.2.1 ] } ] }\n    - { name: W.z.example., answers: [ { a: [ 192.0.2.1 ] } ] }"),
     "t.yaml:7:15: dns.records[1].name: \"w.z.example.\" has answers on line 6 already, expected them in one list\n"},
    {DNS("push: [ { server: h, key_name: k, key_secret: c2VjcmV0 } ]"),
     "t.yaml:5:21: dns.push[0].server: \"h\" has no port, expected host:port, such as ns1.example.net:53 or \"[2001:db8::53]:53\"\n"},
    {DNS("push: [ { server: \"h:53\" } ]"),
     "t.yaml:5:11: dns.push[0].key_name: is missing, expected a name such as rt.example.com\n"
     "t.yaml:5:11: dns.push[0].key_secret: is missing, expected a value\n"},
    {DNS("push: [ { server: \"h:53\", key_name: k, key_secret: \"not base64\" } ]"),
     "t.yaml:5:54: dns.push[0].key_secret: is not base64, expected the key as its server has it\n"},
    {DNS("push: [ { server: \"h:53\", key_name: k, key_secret: c2VjcmV0 }, { server: \"h:53\", key_name: k, key_secret: c2VjcmV0 } ]"),
     "t.yaml:5:76: dns.push[1].server: h:53 is also told on line 5, expected another server or zone\n"},
};
/* clang-format on */

/* Refused, with these words as all there is to say. */
static void assert_refused(const struct strbuf *text, const char *wanted)
{
    struct conf_errors errors;
    assert_null(conf_load_text("t.yaml", text->data, text->len, false, &errors));
    assert_string_equal(errors.text, wanted);
    conf_errors_fini(&errors);
}

static void test_too_many_of_them(void **state)
{
    (void)state;
    struct strbuf text;
    strbuf_init(&text, 65536);
    strbuf_puts(&text, LISTEN_OK POOLS_OK ROUTES_OK "targets:\n");
    for (int i = 0; i < 256; i++)
        strbuf_printf(&text, "  t%d: { check: { type: none } }\n", i);
    assert_refused(&text, "t.yaml:5:3: targets: bring the number of targets and servers to 257, expected at most 256 "
                          "together\n");
    strbuf_clear(&text);
    strbuf_puts(&text, SERVED "  records:\n");
    for (int i = 0; i < 65; i++)
        strbuf_printf(&text, "    - { name: n%d, answers: [ { a: [ 192.0.2.1 ] } ] }\n", i);
    assert_refused(&text,
                   "t.yaml:70:29: dns.records[64].answers: are those of one record too many, expected at most 64 "
                   "with them\n");
    strbuf_fini(&text);
}

static void test_every_conflict_has_its_message(void **state)
{
    (void)state;
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_the_seal_and_the_dump_read_back),
        cmocka_unit_test(test_a_dump_without_secrets_is_a_file),
        cmocka_unit_test(test_what_nobody_wrote),
        cmocka_unit_test(test_what_stands_alone),
        cmocka_unit_test(test_too_many_of_them),
        cmocka_unit_test(test_every_conflict_has_its_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
