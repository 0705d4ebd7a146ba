/* The dump and the seal read back as what they were made from. The property is tried on configurations made at random
 * from the schema table, so that a new key is covered the moment it has a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "tests/unit/conf/maker.h"

#define ROUNDS         300
#define TEXT_MAX_BYTES 65536u

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

static void assert_reads_back(const struct conf *c, char *(*write)(const struct conf *), bool is_sealed)
{
    char *text = write(c);
    struct conf *again = load(text, is_sealed);
    char *second = write(again);
    assert_string_equal(text, second);
    char *seal = conf_seal(c);
    char *second_seal = conf_seal(again);
    assert_string_equal(seal, second_seal); /* nothing was lost that only the seal shows */
    mem_free(seal);
    mem_free(second_seal);
    mem_free(second);
    mem_free(text);
    conf_unref(&again);
}

static void test_random_configurations_read_back(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct maker m = {.random = i * 7919 + 1};
        strbuf_init(&m.out, TEXT_MAX_BYTES);
        make_section(&m, SECTION_ROOT);
        assert_false(m.out.failed);
        struct conf *c = load(m.out.data, false);
        assert_reads_back(c, conf_seal, true);
        assert_reads_back(c, conf_dump, false);
        conf_unref(&c);
        strbuf_fini(&m.out);
    }
}

/* A pool's check of one type, taken over by a server that asks for something else. */
static void test_every_kind_of_check_reads_back(void **state)
{
    (void)state;
    static const char text[] =
        "listen: [ { address: \"127.0.0.1:1\" } ]\nroutes: [ { pool: p } ]\npools:\n  p:\n"
        "    check: { type: http, expect: { status: \"200, 301-302,404\", headers: { A: b, C: \"*\" }, body: "
        "\"x\\\"y\" } }\n"
        "    servers:\n"
        "      - { name: a, url: \"https://h\" }\n"
        "      - { name: b, url: \"https://h\", check: { type: tls, expiry: { degraded: 30d, down: 1h } } }\n"
        "      - { name: c, url: \"https://h\", check: { type: dns, dns: { name: x.test, record: AAAA, expect: any } } "
        "}\n"
        "      - { name: d, url: \"https://h\", check: { type: command, command: [ /bin/x, \"a \\\"b\", \"\" ] } }\n"
        "      - { name: e, url: \"https://h\", check: { type: tcp, flap: { changes: 3 } } }\n";
    struct conf *c = load(text, false);
    const struct conf_check *a = &c->pools[0].servers[0].check, *d = &c->pools[0].servers[3].check;
    assert_int_equal(a->expect_statuses.count, 3);
    assert_true(conf_statuses_have(&a->expect_statuses, 302));
    assert_false(conf_statuses_have(&a->expect_statuses, 303));
    assert_int_equal(a->expect_header_count, 2);
    assert_int_equal(d->command_count, 3);
    assert_string_equal(d->command[1], "a \"b");
    assert_reads_back(c, conf_seal, true);
    assert_reads_back(c, conf_dump, false);
    conf_unref(&c);
}

/* ---- what the texts look like ---- */

#define WITH_SERVER(server)                                                                                            \
    "listen: [ { address: \"127.0.0.1:1\" } ]\nroutes: [ { pool: p } ]\npools: { p: { servers: [ " server " ] } }\n"

static void test_the_dump_has_every_default(void **state)
{
    (void)state;
    struct conf *c = load(WITH_SERVER("{ name: s, url: \"ws://h\" }"), false);
    char *text = conf_dump(c);
    assert_non_null(strstr(text, "\nlog:\n  level: info\n  format: text\n  file: \"\"\n  access: true\n"));
    assert_non_null(strstr(text, "\ntrusted_proxies: []\nlisten:\n  - address: \"127.0.0.1:1\"\n    backlog: 1024\n"));
    assert_non_null(strstr(text, "\npools:\n  \"p\":\n    balance: round-robin\n    hash:\n      of: ip\n"));
    assert_non_null(strstr(text, "\n      expect:\n        status: 200-299\n"));
    assert_non_null(strstr(
        text,
        "\n    pool: \"p\"\n    websocket:\n      protocol: opaque\n      upstream: auto\n      idle_timeout: 1h\n"));
    mem_free(text);
    conf_unref(&c);
}

static char *pem_of(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = mem_alloc(65536);
    size_t len = fread(text, 1, 65535, f);
    fclose(f);
    text[len] = '\0';
    return text;
}

/* A certificate and its key, made here: what stands in the repository would expire. */
struct pair {
    char directory[64], cert[96], key[96];
};

static int make_pair(void **state)
{
    struct pair *p = mem_alloc(sizeof *p);
    strcpy(p->directory, "/tmp/tidegate-dump-XXXXXX");
    assert_non_null(mkdtemp(p->directory));
    snprintf(p->cert, sizeof p->cert, "%s/a.crt", p->directory);
    snprintf(p->key, sizeof p->key, "%s/a.key", p->directory);
    char command[512];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a.example "
             "-keyout %s -out %s 2>/dev/null",
             p->key, p->cert);
    assert_int_equal(system(command), 0);
    *state = p;
    return 0;
}

static int remove_pair(void **state)
{
    struct pair *p = *state;
    remove(p->cert);
    remove(p->key);
    int failed = remove(p->directory);
    mem_free(p);
    return failed;
}

/* Listeners carry the same kinds of files, in a list that is not there when it is empty. */
static void test_certificates_go_through_seal_and_dump(void **state)
{
    const struct pair *p = *state;
    char text[2048];
    snprintf(text, sizeof text,
             "pools: { p: { servers: [ { name: s, url: \"ws://h\" } ] } }\nroutes: [ { pool: p } ]\n"
             "listen:\n  - { address: \"127.0.0.1:1\" }\n"
             "  - { address: \"127.0.0.1:2\", http2: false, tls: { certificates: [ { cert: \"%s\", key: \"%s\" } ],\n"
             "      min_version: 1.3, client_ca: \"%s\", client_certificate: optional } }\n",
             p->cert, p->key, p->cert);
    struct conf *c = load(text, false);
    const struct conf_listen *l = &c->listen[1];
    assert_int_equal(c->listen[0].tls.certificate_count, 0);
    assert_int_equal(l->tls.certificate_count, 1);
    assert_string_equal(l->tls.certificates[0].info.names, "a.example");
    int64_t days_left = l->tls.certificates[0].info.not_after_ms / 1000 - time(NULL);
    assert_in_range(days_left, 86400, 2 * 86400);
    assert_int_equal(l->tls.min_version, TLS_MIN_1_3);
    assert_int_equal(l->tls.client_certificate, TLS_CLIENT_CERT_OPTIONAL);
    assert_true(c->listen[0].http2 && !l->http2);
    assert_reads_back(c, conf_seal, true);
    assert_reads_back(c, conf_dump, false);
    char *dump = conf_dump(c);
    assert_null(strstr(dump, "PRIVATE KEY"));
    mem_free(dump);
    conf_unref(&c);
}

static void test_secrets_stay_in_the_seal(void **state)
{
    const struct pair *p = *state;
    char *key = pem_of(p->key);
    char text[1024];
    snprintf(text, sizeof text,
             WITH_SERVER("{ name: s, url: \"wss://h\", tls: { cert: \"%s\", key: \"%s\" } }, "
                         "{ name: t, url: \"wss://h\", tls: { cert: \"%s\", key: \"${TIDEGATE_TEST_KEY}\" } }"),
             p->cert, p->key, p->cert);
    setenv("TIDEGATE_TEST_KEY", key, 1);
    struct conf *c = load(text, false);
    unsetenv("TIDEGATE_TEST_KEY");
    key[strlen(key) - 1] = '\0'; /* a file's last line end is not part of the value */
    assert_string_equal(c->pools[0].servers[0].tls.key.path, p->key);
    assert_string_equal(c->pools[0].servers[0].tls.key.text, key);
    assert_string_equal(c->pools[0].servers[1].tls.key.path, "");

    char *dump = conf_dump(c);
    assert_null(strstr(dump, "PRIVATE KEY"));
    assert_non_null(strstr(dump, p->key));
    assert_non_null(strstr(dump, "key: \"***\""));
    mem_free(dump);

    char *seal = conf_seal(c);
    assert_int_equal(remove(p->key), 0); /* the seal needs no file */
    struct conf *again = load(seal, true);
    assert_string_equal(again->pools[0].servers[0].tls.key.text, key);
    assert_string_equal(again->pools[0].servers[0].tls.key.path, p->key);
    assert_string_equal(again->pools[0].servers[0].tls.cert.text, c->pools[0].servers[0].tls.cert.text);
    assert_string_equal(again->pools[0].servers[1].tls.key.text, c->pools[0].servers[1].tls.key.text);
    mem_free(seal);
    mem_free(key);
    conf_unref(&again);
    conf_unref(&c);
}

/* A certificate that does not belong to its key is a mistake in the file, not a surprise at the first connection. */
static void test_a_key_of_another_certificate(void **state)
{
    struct pair *p = *state;
    struct pair *other = NULL;
    assert_int_equal(make_pair((void **)&other), 0);
    char text[1024];
    snprintf(text, sizeof text, WITH_SERVER("{ name: s, url: \"wss://h\", tls: { cert: \"%s\", key: \"%s\" } }"),
             p->cert, other->key);
    struct conf_errors errors;
    assert_null(conf_load_text("t.yaml", text, strlen(text), false, &errors));
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(errors.text, "pools.p.servers[0].tls: "));
    conf_errors_fini(&errors);
    assert_int_equal(remove_pair((void **)&other), 0);
}

static void test_an_alert_keeps_its_secrets(void **state)
{
    static const char *const secrets[] = {"h/hook-secret", "Bearer field-secret", "key-secret", "word-secret"};
    (void)state;
    struct conf *c = load("alerts: [ { webhook: \"http://h/hook-secret\", form: pagerduty, routing_key: key-secret,"
                          " authorization: \"Bearer field-secret\" },"
                          " { email: { smtp: \"smtp://h\", from: a@b, to: [ c@d ], username: u, password: word-secret "
                          "} } ]\n" WITH_SERVER("{ name: s, url: \"ws://h\" }"),
                          false);
    char *dump = conf_dump(c), *seal = conf_seal(c);
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        assert_null(strstr(dump, secrets[i]));
        assert_non_null(strstr(seal, secrets[i]));
    }
    mem_free(dump);
    mem_free(seal);
    conf_unref(&c);
}

/* The child that reads the seal has another environment and may not open files. */
static void test_sealed_text_is_taken_as_it_is(void **state)
{
    (void)state;
    struct conf *c = load("user: \"\"\nstate_dir: \"/${HOME}\"\n" WITH_SERVER("{ name: s, url: \"ws://h\" }"), true);
    assert_string_equal(c->state_dir, "/${HOME}");
    conf_unref(&c);
}

/* A file written on another system keeps its line ends. */
static void test_odd_characters_survive_the_seal(void **state)
{
    (void)state;
    struct conf *c = load(WITH_SERVER("{ name: s, url: \"wss://h\", tls: { ca: [ \"/a \\\"b\\\\\", "
                                      "\"-----BEGIN X-----\\r\\n\\tText: ${A} \\x85\\u2028 \xf0\x9f\x98\x80\" ] } }"),
                          true);
    char *seal = conf_seal(c);
    struct conf *again = load(seal, true);
    assert_string_equal(again->pools[0].servers[0].tls.ca.path, "/a \"b\\");
    assert_string_equal(again->pools[0].servers[0].tls.ca.text,
                        "-----BEGIN X-----\r\n\tText: ${A} \xc2\x85\xe2\x80\xa8 \xf0\x9f\x98\x80");
    mem_free(seal);
    conf_unref(&again);
    conf_unref(&c);
}

/* The path is a comment in front, whatever its bytes. */
static void test_the_seal_knows_the_file(void **state)
{
    (void)state;
    static const char text[] = WITH_SERVER("{ name: s, url: \"ws://h\" }");
    static const struct {
        const char *path, *wanted;
    } rows[] = {{"/etc/gate.yaml", "/etc/gate.yaml"},
                {"\xc3\xa4 #.yaml", "\xc3\xa4 #.yaml"},
                {"a\nworkers: x", "child"},
                {"a\xe2\x80\xa8workers: x", "child"},
                {"\xff.yaml", "child"},
                {"\x1b[2J", "child"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct conf_errors errors;
        struct conf *c = conf_load_text(rows[i].path, text, strlen(text), false, &errors);
        assert_non_null(c);
        char *seal = conf_seal(c);
        struct conf *again = conf_load_text("child", seal, strlen(seal), true, &errors);
        assert_non_null(again);
        assert_string_equal(again->path, rows[i].wanted);
        mem_free(seal);
        conf_unref(&again);
        conf_unref(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_configurations_read_back),
        cmocka_unit_test(test_every_kind_of_check_reads_back),
        cmocka_unit_test(test_the_dump_has_every_default),
        cmocka_unit_test_setup_teardown(test_certificates_go_through_seal_and_dump, make_pair, remove_pair),
        cmocka_unit_test_setup_teardown(test_secrets_stay_in_the_seal, make_pair, remove_pair),
        cmocka_unit_test_setup_teardown(test_a_key_of_another_certificate, make_pair, remove_pair),
        cmocka_unit_test(test_an_alert_keeps_its_secrets),
        cmocka_unit_test(test_sealed_text_is_taken_as_it_is),
        cmocka_unit_test(test_odd_characters_survive_the_seal),
        cmocka_unit_test(test_the_seal_knows_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
