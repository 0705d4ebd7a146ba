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
#include "conf/schema.h"
#include "conf/value.h"

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

/* ---- configurations at random ---- */

struct maker {
    struct strbuf out;
    uint64_t random;
    unsigned names; /* given so far: each is unique */
    bool is_target; /* its check has a url of its own */
};

static uint64_t pick(struct maker *m, uint64_t count)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (m->random >> 33) % count;
}

/* Keys that only go together with others get a value that goes with everything; some of them are always written. */
static const struct settled {
    const char *key, *text;
    bool is_always;
} settled[] = {
    {"cache.memory", "256MiB", true},
    {"failover_timeout", "1h", true},
    {"interval", "1d", true},
    {"type", "websocket", true},
    {"balance", "hash", true},
    {"hash.of", "query", true},
    {"hash.name", "user", true},
    {"expect.status", "2xx", false}, /* test_every_kind_of_check_reads_back has those of other types */
    {"expect.headers", "{}", false},
    {"dns.name", "\"\"", false},
    {"dns.record", "A", false},
    {"dns.expect", "answer", false},
    {"command", "[]", false},
    {"limits.connections", "0", false},
    {"limits.per_client", "7", false},
    {"url", "\"https://h\"", true},
    {"pool", "p0", true},
    {"path", NULL, true}, /* made: unique paths keep routes apart */
    {"control.path", "\"\"", false},
    {"health.path", "/-health", true},
    {"origins", "[ \"https://a.example\", \"app://*.b.example:81\", d+e://f ]", true},
    {"per", "ip", false},
    {"requests", "100", true},
    {"burst", "7", false},
    {"jwks.pool", "p0", true},
    {"algorithms", "[ ES256 ]", false},
    {"tls.min_version", "1.2", false}, /* without certificates; test_secrets_stay_in_the_seal has some */
    {"tls.client_certificate", "none", false},
    {"redirect_port", "443", false},
    {"proxy_protocol", "false", false},
    {"trace.mode", "start", true},
    {"rewrite.strip_prefix", "/", false},
    {"set", "{ X-A: \"{host} {x}\", \"x_b\": [ c, d ] }", false},
    {"add", "{ Via: x }", false},
    {"status", "503", false},
    {"host_header", "upstream", false},
    {"headers.client_subject", "X-Subject", false},
    {"body", "\"<p>later</p>\\n\"", true},
    {"content_type", "text/x-later", false},
};

/* The same for keys that mean something else in other sections. */
static const struct {
    enum schema_section section;
    struct settled settled;
} settled_there[] = {
    {SECTION_CACHE, {"headers", "[ cookie, X-A ]", false}},
    {SECTION_CACHE, {"scope", "public", false}},
    {SECTION_CACHE, {"claims", "[]", false}},
    {SECTION_CACHE, {"query.keep", "[]", false}},
    {SECTION_CACHE, {"query.drop", "[ \"utm_*\", a ]", false}},
    {SECTION_CACHE, {"timeout", "800ms", false}},
    {SECTION_CACHE, {"warm", "[]", false}},
    {SECTION_REDIS, {"url", "\"rediss://[::1]:7/0\"", true}},
    {SECTION_REDIS, {"mode", "cluster", true}},
    {SECTION_REDIS, {"master", "\"\"", false}},
    {SECTION_ALERT, {"form", "generic", false}},
    {SECTION_ALERT, {"body", "\"\"", false}},
    {SECTION_ALERT, {"content_type", "text/plain", false}},
    {SECTION_ALERT, {"email.smtp", "\"smtp://h:25\"", true}},
    {SECTION_ALERT, {"email.from", "a@b", true}},
    {SECTION_ALERT, {"email.to", "[ c@d, e@f ]", true}},
    {SECTION_ALERT, {"quiet.from", "\"22:00\"", true}},
    {SECTION_ALERT, {"quiet.to", "\"07:30\"", true}},
    {SECTION_ALERT, {"quiet.zone", "\"-03:30\"", false}},
    {SECTION_ALERT, {"escalate.to", "\"\"", false}},
    {SECTION_ROOT, {"listen", NULL, true}},
    {SECTION_ROOT, {"pools", NULL, true}},
    {SECTION_ROOT, {"routes", NULL, true}},
    {SECTION_ROOT, {"targets", NULL, true}},
    {SECTION_CHECK, {"http", "auto", false}},
    {SECTION_CHECK, {"canary.topic", "\"\"", false}},
    {SECTION_CHECK, {"canary.peer", "\"\"", false}},
    {SECTION_DNS, {"zone", "z.example", true}},
    {SECTION_DNS, {"nameservers", "[ ns1.z.example, ns2.example.net. ]", true}},
    {SECTION_DNS, {"listen", "[ \"0.0.0.0:53\", \"[::]:53\" ]", true}},
    {SECTION_DNS, {"refresh", "2h", false}},
    {SECTION_DNS, {"expire", "3h", false}},
    {SECTION_DNS, {"contact", "a@b", false}},
    {SECTION_DNS, {"cookies", "true", true}},
    {SECTION_DNS_RECORD, {"answers", NULL, true}}, /* test_records_read_back has the others */
    {SECTION_DNS_RECORD, {"ttl_min", "7s", false}},
    {SECTION_DNS_RECORD, {"ttl_max", "90s", false}},
    {SECTION_DNS_RECORD, {"ttl", "0", false}},
    {SECTION_DNS_RECORD, {"a", "[]", false}},
    {SECTION_DNS_RECORD, {"aaaa", "[]", false}},
    {SECTION_DNS_RECORD, {"cname", "\"\"", false}},
    {SECTION_DNS_RECORD, {"alias", "\"\"", false}},
    {SECTION_DNS_RECORD, {"ns", "[]", false}},
    {SECTION_DNS_ANSWER, {"target", "p0", false}},
    {SECTION_DNS_ANSWER, {"requires", "[ p0, targets/p0 ]", false}},
    {SECTION_DNS_ANSWER, {"weight", "1", false}},
    {SECTION_DNS_ANSWER, {"a", "[ 192.0.2.1, 192.0.2.2 ]", true}},
    {SECTION_DNS_ANSWER, {"cname", "\"\"", false}},
    {SECTION_QUORUM, {"lifetime", "1h", true}},
    {SECTION_QUORUM, {"interval", "1s", false}},
};

static const struct settled *find_settled(const struct schema_row *row)
{
    for (size_t i = 0; i < sizeof settled_there / sizeof settled_there[0]; i++)
        if (settled_there[i].section == row->section && strcmp(settled_there[i].settled.key, row->key) == 0)
            return &settled_there[i].settled;
    for (size_t i = 0; i < sizeof settled / sizeof settled[0]; i++)
        if (strcmp(settled[i].key, row->key) == 0)
            return &settled[i];
    return NULL;
}

static bool is_left_out(struct maker *m, const struct schema_row *row)
{
    const struct settled *s = find_settled(row);
    /* test_secrets_stay_in_the_seal has them */
    if (schema_is_file(row->kind) || row->is_secret || row->of == SECTION_CERTIFICATE || row->of == SECTION_DNS_PUSH)
        return true;
    if (row->kind == KIND_ASKED_URL)
        return !m->is_target;
    return !row->is_required && (s == NULL || !s->is_always) && row->kind != KIND_INLINE && pick(m, 2) == 0;
}

static void make_text(struct maker *m, const struct schema_row *row)
{
    static const char *const texts[KIND_COUNT][3] = {
        [KIND_REGION] = {"eu", "any", "\"\""},
        [KIND_USER] = {"nobody", "\"\"", "a.b"},
        [KIND_PATH] = {"/a/b", "\"/with space/\xc3\xa4\\u2028\\x85\"", "\"/$${HOME}/\\\"\\\\'\""},
        [KIND_HTTP_TARGET] = {"/", "\"/a?b=c\"", "\"/a%20b\""},
        [KIND_HOST] = {"a.example", "\"::1\"", "\"\""},
        [KIND_PARAMETER] = {"user", "X-Some", "\"a_b\""},
        [KIND_TEXT] = {"\"\"", "\"\"", "\"\""},
        [KIND_TOKENS] = {"[ GET, HEAD ]", "[ PUT ]", "[]"},
        [KIND_ORIGINS] = {"[ \"https://a.example\" ]", "[ \"*\" ]", "[]"},
        [KIND_LIFETIME] = {"origin", "90s", "0"},
        [KIND_CLAIMS] = {"[ sub, \"a.b c\" ]", "[]", "[ \"${X:-y}\" ]"},
        [KIND_PARAMETERS] = {"[ a, \"b%20c\" ]", "[]", "[ select ]"},
        [KIND_TARGETS] = {"[ \"/a?b=c\", / ]", "[]", "[ /x ]"},
        [KIND_TAGS] = {"[ \"table:a\", b ]", "[]", "[ \"\\\"\\\\\" ]"},
        [KIND_NODES] = {"[ \"h:1\", \"[::1]:2\" ]", "[]", "[ \"a.example:3\" ]"},
        [KIND_LABELS] = {"[ \"p/*\", b ]", "[]", "[ a@b ]"},
        [KIND_PAIRS] = {"{ sub: x-a, \"a b\": [ x-c, x-d ] }", "{}", "{ \"e.f\": X-G }"},
        [KIND_ASKED_URL] = {"\"https://h:1/a/b?c=d\"", "\"wss://[::1]/\"", "\"http://h\""},
        [KIND_IPV6S] = {"[]", "[ \"::1\" ]", "[ \"2001:db8::1\", \"2001:db8::2\" ]"},
        [KIND_RECORDS] = {"[]", "[]", "[]"},
        [KIND_AUTHORITY] = {"a.example", "\"[::1]:80\"", "\"\""},
    };
    const char *text = texts[row->kind][pick(m, 3)];
    assert_non_null(text);
    strbuf_puts(&m->out, text);
}

static void make_word(struct maker *m, const struct schema_row *row)
{
    size_t count = 0;
    while (row->words[count].text != NULL)
        count++;
    strbuf_puts(&m->out, row->words[pick(m, count)].text);
}

static void make_value(struct maker *m, const struct schema_row *row)
{
    uint64_t span = (uint64_t)(row->max - row->min) + 1;
    uint64_t number = (uint64_t)row->min + (span > 1 ? pick(m, span) : 0);
    const struct settled *s = find_settled(row);
    if (s != NULL && s->text != NULL) {
        strbuf_puts(&m->out, s->text);
        return;
    }
    switch (row->kind) {
    case KIND_UINT:
        strbuf_printf(&m->out, "%llu", (unsigned long long)number);
        break;
    case KIND_DURATION:
        value_duration_text(&m->out, (int64_t)number);
        break;
    case KIND_SECONDS:
        value_duration_text(&m->out, (int64_t)(number - number % 1000));
        break;
    case KIND_WORDS:
        strbuf_printf(&m->out, "[ %s, %s ]", row->words[0].text, row->words[1].text);
        break;
    case KIND_SIZE:
        value_size_text(&m->out, number);
        break;
    case KIND_PERCENT:
        strbuf_printf(&m->out, "%llu%%", (unsigned long long)number);
        break;
    case KIND_BOOL:
        strbuf_puts(&m->out, pick(m, 2) == 0 ? "true" : "false");
        break;
    case KIND_WORD:
        make_word(m, row);
        break;
    case KIND_NAME:
    case KIND_LABEL:
        strbuf_printf(&m->out, "n%u", m->names++);
        break;
    case KIND_HTTP_PATH:
        strbuf_printf(&m->out, "/%u%s", m->names++, pick(m, 2) == 0 ? "/" : "");
        break;
    case KIND_HOST_PATTERN:
        strbuf_printf(&m->out, "\"*.h%u.example\"", m->names++);
        break;
    case KIND_OWNER:
        strbuf_printf(&m->out, pick(m, 2) == 0 ? "\"*.o%u\"" : "o%u.Z.example.", m->names++);
        break;
    case KIND_ADDRESS:
        strbuf_printf(&m->out, "\"127.0.0.1:%u\"", 1 + m->names++);
        break;
    case KIND_CIDRS:
        strbuf_printf(&m->out, "[ 10.0.0.0/%u, \"fd00::/%u\" ]", (unsigned)pick(m, 33), (unsigned)pick(m, 129));
        break;
    default:
        make_text(m, row);
        break;
    }
}

static void make_section(struct maker *m, enum schema_section section);

static void make_items(struct maker *m, const struct schema_row *row)
{
    uint64_t count = 1 + pick(m, 4);
    strbuf_puts(&m->out, row->kind == KIND_MAP ? "{ " : "[ ");
    m->is_target = row->of == SECTION_TARGET;
    for (uint64_t i = 0; i < count; i++) {
        if (row->kind == KIND_MAP)
            strbuf_printf(&m->out, "p%u: ", (unsigned)i);
        make_section(m, row->of);
        strbuf_puts(&m->out, ", ");
    }
    strbuf_puts(&m->out, row->kind == KIND_MAP ? "}" : "]");
}

/* Keys of a group stand together in the table: its section opens before the first and closes behind the last. */
static void make_section(struct maker *m, enum schema_section section)
{
    size_t count = 0, open_len = 0;
    const struct schema_row *rows = schema_section_rows(section, &count);
    strbuf_puts(&m->out, "{ ");
    for (size_t i = 0; i < count; i++) {
        const struct schema_row *row = &rows[i];
        const char *dot = strchr(row->key, '.');
        size_t len = dot != NULL ? (size_t)(dot - row->key) : 0;
        bool is_same = len > 0 && len == open_len && strncmp(row->key, rows[i - 1].key, len) == 0;
        if (open_len > 0 && !is_same)
            strbuf_puts(&m->out, "}, ");
        if (len > 0 && !is_same)
            strbuf_printf(&m->out, "%.*s: { ", (int)len, row->key);
        open_len = len;
        if (is_left_out(m, row))
            continue;
        strbuf_printf(&m->out, "%s: ", dot != NULL ? dot + 1 : row->key);
        if (row->kind == KIND_INLINE)
            make_section(m, row->of);
        else if (row->kind == KIND_LIST || row->kind == KIND_MAP)
            make_items(m, row);
        else
            make_value(m, row);
        strbuf_puts(&m->out, ", ");
    }
    strbuf_puts(&m->out, open_len > 0 ? "} }" : "}");
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
