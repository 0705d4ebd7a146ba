/* Configurations made at random from the schema table: every key in them is one of a row. To be included after
 * cmocka.h. */
#ifndef TESTS_UNIT_CONF_MAKER_H
#define TESTS_UNIT_CONF_MAKER_H

#include <string.h>

#include "base/buf.h"
#include "conf/schema.h"
#include "conf/value.h"

struct maker {
    struct strbuf out;
    uint64_t random;
    unsigned names; /* given so far: each is unique */
    bool is_target; /* its check has a url of its own */
};

static inline uint64_t pick(struct maker *m, uint64_t count)
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
    {SECTION_ROUTE, {"websocket.protocol", "phoenix", true}}, /* test_sessions.c has the others */
    {SECTION_ROUTE, {"websocket.heartbeat", "7s", false}},
    {SECTION_ROUTE, {"websocket.dead_after", "1h", true}},
    {SECTION_ROUTE, {"websocket.wait_ready", "90ms", false}},
    {SECTION_BACKOFF, {"first", "70ms", false}},
    {SECTION_BACKOFF, {"max", "7m", true}},
    {SECTION_QUALITY, {"excellent", "7ms", false}},
    {SECTION_QUALITY, {"good", "700ms", false}},
    {SECTION_QUALITY, {"fair", "7s", true}},
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

static inline const struct settled *find_settled(const struct schema_row *row)
{
    for (size_t i = 0; i < sizeof settled_there / sizeof settled_there[0]; i++)
        if (settled_there[i].section == row->section && strcmp(settled_there[i].settled.key, row->key) == 0)
            return &settled_there[i].settled;
    for (size_t i = 0; i < sizeof settled / sizeof settled[0]; i++)
        if (strcmp(settled[i].key, row->key) == 0)
            return &settled[i];
    return NULL;
}

static inline bool is_left_out(struct maker *m, const struct schema_row *row)
{
    const struct settled *s = find_settled(row);
    /* test_secrets_stay_in_the_seal has them */
    if (schema_is_file(row->kind) || row->is_secret || row->of == SECTION_CERTIFICATE || row->of == SECTION_DNS_PUSH)
        return true;
    if (row->kind == KIND_ASKED_URL)
        return !m->is_target;
    return !row->is_required && (s == NULL || !s->is_always) && row->kind != KIND_INLINE && pick(m, 2) == 0;
}

static inline void make_text(struct maker *m, const struct schema_row *row)
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

static inline void make_word(struct maker *m, const struct schema_row *row)
{
    size_t count = 0;
    while (row->words[count].text != NULL)
        count++;
    strbuf_puts(&m->out, row->words[pick(m, count)].text);
}

static inline void make_value(struct maker *m, const struct schema_row *row)
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

static inline void make_section(struct maker *m, enum schema_section section);

static inline void make_items(struct maker *m, const struct schema_row *row)
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
static inline void make_section(struct maker *m, enum schema_section section)
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

#endif
