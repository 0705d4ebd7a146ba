/* One row per kind. A read puts exactly one value; it never keeps a pointer into the tree it reads from, because the
 * tree is gone when the load is over. */
#include "conf/kind.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "conf/value.h"

#define POOLS_SHOWN_MAX    8u
#define ARGUMENT_BYTES_MAX 1024u
#define RECORD_BYTES_MAX   4096u
#define MEMBER(type, at)   (*(type *)(at))

static void put_text(struct kind_context *k, void *at, const char *text)
{
    MEMBER(const char *, at) = arena_strdup(k->arena, text);
}

/* ---- numbers ---- */

static const char *within(const struct schema_row *row, uint64_t value)
{
    if (value < (uint64_t)row->min)
        return "is too small";
    return value > (uint64_t)row->max ? "is too large" : NULL;
}

static void put_number(const struct schema_row *row, uint64_t value, void *at)
{
    if (row->size_bytes == sizeof(uint64_t))
        MEMBER(uint64_t, at) = value;
    else if (row->size_bytes == sizeof(uint16_t))
        MEMBER(uint16_t, at) = (uint16_t)value;
    else
        MEMBER(uint32_t, at) = (uint32_t)value;
}

static const char *read_uint(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)k;
    uint64_t value = 0;
    const char *why = value_uint(n->text, &value);
    if (why == NULL)
        why = within(row, value);
    if (why == NULL)
        put_number(row, value, at);
    return why;
}

static const char *read_duration(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)k;
    int64_t ms = 0;
    const char *why = value_duration(n->text, &ms);
    if (why == NULL)
        why = within(row, (uint64_t)ms);
    if (why == NULL)
        MEMBER(int64_t, at) = ms;
    return why;
}

/* A whole number of them. */
static const char *read_seconds(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)k;
    int64_t ms = 0;
    const char *why = value_duration(n->text, &ms);
    if (why == NULL)
        why = within(row, (uint64_t)ms);
    if (why == NULL && ms % 1000 != 0)
        why = "is not a whole number of seconds";
    if (why == NULL)
        put_number(row, (uint64_t)(row->size_bytes == sizeof(uint32_t) ? ms / 1000 : ms), at);
    return why;
}

static const char *read_lifetime(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    if (strcmp(n->text, VALUE_ORIGIN) != 0)
        return read_duration(k, row, n, at);
    MEMBER(int64_t, at) = -1;
    return NULL;
}

static const char *read_size(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)k;
    uint64_t bytes = 0;
    const char *why = value_size(n->text, &bytes);
    if (why == NULL)
        why = within(row, bytes);
    if (why == NULL)
        put_number(row, bytes, at);
    return why;
}

static const char *read_percent(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)k;
    uint32_t percent = 0;
    const char *why = value_percent(n->text, &percent);
    if (why == NULL)
        why = within(row, percent);
    if (why == NULL)
        MEMBER(uint32_t, at) = percent;
    return why;
}

/* Several with commas between; blanks around them do not matter. */
static const char *read_status(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)row;
    struct conf_statuses s = {.count = 0};
    const char *why = NULL, *end = n->text;
    while (why == NULL && end != NULL) {
        const char *part = end + strspn(end, " ");
        end = strchr(part, ',');
        size_t len = end != NULL ? (size_t)(end - part) : strlen(part);
        while (len > 0 && part[len - 1] == ' ')
            len--;
        uint32_t range[2] = {0, 0};
        why = s.count == CONF_STATUSES_MAX ? "has too many of them"
                                           : value_status(arena_strndup(k->arena, part, len), range);
        if (why == NULL) {
            s.range[s.count].min = range[0];
            s.range[s.count++].max = range[1];
        }
        end = end != NULL ? end + 1 : NULL;
    }
    if (why == NULL)
        memcpy(at, &s, sizeof s);
    return why;
}

static const char *read_bool(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)k;
    (void)row;
    return value_bool(n->text, at);
}

static const char *read_word(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)k;
    for (const struct schema_word *w = row->words; w->text != NULL; w++)
        if (strcmp(w->text, n->text) == 0) {
            MEMBER(uint32_t, at) = w->value;
            return NULL;
        }
    return "is not known";
}

bool kind_range(struct strbuf *b, const struct schema_row *row)
{
    switch (row->kind) {
    case KIND_UINT:
    case KIND_LIST:
    case KIND_MAP:
    case KIND_CIDRS:
    case KIND_TOKENS:
    case KIND_ORIGINS:
    case KIND_CLAIMS:
    case KIND_PARAMETERS:
    case KIND_TARGETS:
    case KIND_TAGS:
    case KIND_NODES:
    case KIND_ARGUMENTS:
    case KIND_LABELS:
    case KIND_IPV4S:
    case KIND_IPV6S:
    case KIND_DOMAINS:
    case KIND_RECORDS:
    case KIND_ADDRESSES:
    case KIND_PAIRS:
        strbuf_printf(b, "%lld to %lld", (long long)row->min, (long long)row->max);
        return true;
    case KIND_PERCENT:
        strbuf_printf(b, "%lld%% to %lld%%", (long long)row->min, (long long)row->max);
        return true;
    case KIND_SECONDS:
    case KIND_DURATION:
    case KIND_LIFETIME:
        value_duration_text(b, row->min);
        strbuf_puts(b, " to ");
        value_duration_text(b, row->max);
        return true;
    case KIND_SIZE:
        value_size_text(b, (uint64_t)row->min);
        strbuf_puts(b, " to ");
        value_size_text(b, (uint64_t)row->max);
        return true;
    default:
        return false;
    }
}

static void expect_uint(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    (void)conf;
    strbuf_puts(b, "a whole number from ");
    (void)kind_range(b, row);
}

static void expect_duration(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    (void)conf;
    strbuf_puts(b, "a duration with its unit (ms, s, m, h, d) from ");
    (void)kind_range(b, row);
}

static void expect_seconds(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    (void)conf;
    strbuf_puts(b, "whole seconds (s, m, h, d) from ");
    (void)kind_range(b, row);
}

static void expect_lifetime(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    strbuf_puts(b, VALUE_ORIGIN ", or ");
    expect_duration(b, row, conf);
}

static void expect_size(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    (void)conf;
    strbuf_puts(b, "a size with its unit (B, KiB, MiB, GiB, KB, MB, GB) from ");
    (void)kind_range(b, row);
}

static void expect_percent(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    (void)conf;
    strbuf_puts(b, "a percentage from ");
    (void)kind_range(b, row);
}

static void expect_word(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    (void)conf;
    for (const struct schema_word *w = row->words; w->text != NULL; w++)
        strbuf_printf(b, "%s%s", w == row->words ? "" : w[1].text == NULL ? " or " : ", ", w->text);
}

/* ---- text ---- */

static const char *read_name(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    const char *why = row->kind == KIND_LABEL ? value_label(n->text) : value_name(n->text);
    if (why == NULL)
        put_text(k, at, n->text);
    return why;
}

static const char *read_path(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    const char *path = expand_path(k->expansion, n->text);
    const char *why = value_file_path(path);
    if (why == NULL && strlen(path) > (size_t)row->max)
        why = "is too long";
    if (why == NULL)
        put_text(k, at, path);
    return why;
}

static const char *read_http_path(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    const char *why = value_path(n->text, row->kind == KIND_HTTP_TARGET);
    if (why == NULL)
        put_text(k, at, n->text);
    return why;
}

static const char *lowered(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *s = copy; *s != '\0'; s++)
        *s = (char)tolower((unsigned char)*s);
    return copy;
}

/* Host names are compared without regard to case; one spelling is kept. */
static const char *read_host(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    const char *why = row->kind == KIND_HOST ? value_hostname(n->text) : value_host_pattern(n->text);
    if (why != NULL)
        return why;
    MEMBER(const char *, at) = lowered(k->arena, n->text);
    return NULL;
}

static const char *read_authority(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    const char *why = row->kind == KIND_NODE ? value_node(n->text) : value_authority(n->text);
    if (why == NULL)
        put_text(k, at, n->text);
    return why;
}

static const char *read_domain(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    const char *why = row->kind == KIND_OWNER ? value_owner(n->text) : value_domain(n->text);
    if (why == NULL)
        MEMBER(const char *, at) = lowered(k->arena, n->text);
    return why;
}

static const char *read_parameter(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)row;
    const char *why = value_parameter(n->text);
    if (why == NULL)
        put_text(k, at, n->text);
    return why;
}

static const char *read_text(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    if (n->text[0] == '\0')
        return "is empty";
    if (strlen(n->text) > (size_t)row->max)
        return "is too long";
    put_text(k, at, n->text);
    return NULL;
}

static void expect_path(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    (void)conf;
    strbuf_printf(b, "a path of at most %lld bytes", (long long)row->max);
}

/* ---- things with parts ---- */

static const char *read_address(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)row;
    const size_t addr_offset = offsetof(struct conf_listen, addr) - offsetof(struct conf_listen, text);
    struct addr addr;
    if (value_file_path(n->text) != NULL)
        return value_file_path(n->text);
    if (!addr_parse(&addr, n->text))
        return strchr(n->text, ':') == NULL ? "has no port" : "is not a numeric address with a port";
    put_text(k, at, n->text);
    memcpy((char *)at + addr_offset, &addr, sizeof addr);
    return NULL;
}

/* Of a list: a socket of DNS has no path. */
static const char *read_ip_address(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    struct conf_address a;
    const char *why = read_address(k, row, n, &a);
    if (why == NULL && a.addr.sa.sa_family == AF_UNIX)
        why = "is no address of the Internet";
    if (why == NULL)
        MEMBER(struct conf_address, at) = a;
    return why;
}

static const char *authority_of(struct arena *a, const struct value_url *u)
{
    const char *host = arena_strndup(a, u->host, u->host_len);
    if (strchr(host, ':') != NULL)
        host = arena_printf(a, "[%s]", host);
    return u->is_usual_port ? host : arena_printf(a, "%s:%u", host, u->port);
}

static const char *read_url(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    struct value_url parts;
    const char *why = row->kind == KIND_ASKED_URL ? value_asked_url(n->text, &parts) : value_url(n->text, &parts);
    if (why != NULL)
        return why;
    MEMBER(struct conf_url, at) = (struct conf_url){.text = arena_strdup(k->arena, n->text),
                                                    .scheme = parts.scheme,
                                                    .host = arena_strndup(k->arena, parts.host, parts.host_len),
                                                    .port = parts.port,
                                                    .authority = authority_of(k->arena, &parts),
                                                    .path = arena_strndup(k->arena, parts.path, parts.path_len),
                                                    .is_tls = value_scheme_is_tls(parts.scheme)};
    return NULL;
}

static const char *read_redis_url(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)row;
    struct value_redis_url parts;
    const char *why = value_redis_url(n->text, &parts);
    if (why == NULL)
        put_text(k, at, n->text);
    return why;
}

static const char *read_pool(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)row;
    for (size_t i = 0; i < k->conf->pool_count; i++)
        if (strcmp(k->conf->pools[i].name, n->text) == 0) {
            MEMBER(size_t, at) = i;
            return NULL;
        }
    return k->conf->pool_count == 0 ? NULL : "is not a pool"; /* that there are no pools has been said */
}

static void expect_pool(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    (void)row;
    strbuf_puts(b, "the name of a pool");
    size_t shown_count = 0;
    for (size_t i = 0; i < conf->pool_count && shown_count < POOLS_SHOWN_MAX; i++)
        if (value_name(conf->pools[i].name) == NULL)
            strbuf_printf(b, "%s%s", shown_count++ == 0 ? ": " : ", ", conf->pools[i].name);
    if (conf->pool_count > POOLS_SHOWN_MAX)
        strbuf_puts(b, ", ...");
}

/* ---- lists of plain values: one of them ---- */

static const char *read_cidr(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    (void)k;
    (void)row;
    return cidr_parse(at, n->text) ? NULL : "is not an address block";
}

static const char *read_item(struct kind_context *k, const struct schema_row *row, const struct node *n, void *at)
{
    const char *why = kind_lists[row->kind].judge(n->text);
    if (why == NULL)
        put_text(k, at, n->text);
    return why;
}

static const char *judge_target(const char *text)
{
    return value_path(text, true);
}

static const char *judge_argument(const char *text)
{
    return strlen(text) > ARGUMENT_BYTES_MAX ? "is too long" : NULL;
}

static const char *judge_record(const char *text)
{
    return text[0] == '\0' ? "is empty" : strlen(text) > RECORD_BYTES_MAX ? "is too long" : NULL;
}

bool kind_is_texts(enum schema_kind k)
{
    return kind_lists[k].judge != NULL;
}

static void expect_words(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    strbuf_puts(b, "a list of ");
    expect_word(b, row, conf);
}

static void expect_items(struct strbuf *b, const struct schema_row *row, const struct conf *conf)
{
    (void)conf;
    const char *what = row->kind == KIND_MAP         ? "sections by name"
                       : row->kind == KIND_LIST      ? "a list"
                       : row->kind == KIND_CIDRS     ? "a list of address blocks such as 10.0.0.0/8"
                       : row->kind == KIND_ADDRESSES ? "a list of addresses such as 0.0.0.0:53"
                                                     : kinds[row->kind].title;
    if (kind_is_texts(row->kind))
        strbuf_puts(b, "a ");
    strbuf_puts(b, what);
    if (row->min > 0)
        strbuf_printf(b, ", %lld to %lld items", (long long)row->min, (long long)row->max);
    else
        strbuf_printf(b, ", at most %lld items", (long long)row->max);
}

#define EXPECT(name, what)                                                                                             \
    static void name(struct strbuf *b, const struct schema_row *row, const struct conf *conf)                          \
    {                                                                                                                  \
        (void)row;                                                                                                     \
        (void)conf;                                                                                                    \
        strbuf_puts(b, what);                                                                                          \
    }
EXPECT(expect_bool, "true or false")
EXPECT(expect_status, "an HTTP status such as 200, 200-299 or 2xx, or several with commas between")
EXPECT(expect_name, "letters, digits, \".\", \"_\" and \"-\", at most 60")
EXPECT(expect_label, "visible ASCII without spaces and quotes, at most 127 bytes")
EXPECT(expect_http_path, "a path that begins with /, without query")
EXPECT(expect_http_target, "a path that begins with /, with a query if need be")
EXPECT(expect_host, "a host name or address")
EXPECT(expect_host_pattern, "a host name without port, or *. and one")
EXPECT(expect_authority, "a host name or address, with :port if need be")
EXPECT(expect_node, "host:port, such as ns1.example.net:53 or \"[2001:db8::53]:53\"")
EXPECT(expect_parameter, "the name of a header or query parameter")
EXPECT(expect_address, "address:port such as 0.0.0.0:80 or \"[::1]:80\", or unix:/path")
EXPECT(expect_url, "a URL such as wss://us-a.example.com or http://10.0.0.1:8080/prefix (ws, wss, http, https)")
EXPECT(expect_domain, "a name such as rt.example.com")
EXPECT(expect_owner, "\"@\", a name below the zone, or one with a dot at its end")
EXPECT(expect_asked_url, "a URL such as https://192.0.2.10/health or tcp://192.0.2.10:6379 (http, https, ws, wss, tcp)")
EXPECT(expect_redis_url,
       "redis://[user:password@]host[:port][/database], rediss://... for TLS, or unix:/path[?db=number]")
EXPECT(expect_file, "the path of a PEM file, or PEM text")
EXPECT(expect_text, "a value")
EXPECT(expect_text_file, "the path of a file")
EXPECT(expect_pairs, "names with a value, or a list of values, each")
EXPECT(expect_ocsp, "the path of an OCSP response in DER or PEM")
EXPECT(expect_section, "a section with keys")

/* clang-format off */
const struct kind kinds[KIND_COUNT] = {
    [KIND_UINT]         = {"number",       read_uint,      expect_uint},
    [KIND_DURATION]     = {"duration",     read_duration,  expect_duration},
    [KIND_SECONDS]      = {"whole seconds", read_seconds,  expect_seconds},
    [KIND_LIFETIME]     = {"duration or `" VALUE_ORIGIN "`", read_lifetime, expect_lifetime},
    [KIND_SIZE]         = {"size",         read_size,      expect_size},
    [KIND_PERCENT]      = {"percentage",   read_percent,   expect_percent},
    [KIND_BOOL]         = {"boolean",      read_bool,      expect_bool},
    [KIND_WORD]         = {"word",         read_word,      expect_word},
    [KIND_STATUS]       = {"HTTP status",  read_status,    expect_status},
    [KIND_NAME]         = {"name",         read_name,      expect_name},
    [KIND_REGION]       = {"name",         read_name,      expect_name},
    [KIND_USER]         = {"name",         read_name,      expect_name},
    [KIND_LABEL]        = {"label",        read_name,      expect_label},
    [KIND_PATH]         = {"file path",    read_path,      expect_path},
    [KIND_HTTP_PATH]    = {"request path", read_http_path, expect_http_path},
    [KIND_HTTP_TARGET]  = {"request path", read_http_path, expect_http_target},
    [KIND_HOST]         = {"host",         read_host,      expect_host},
    [KIND_HOST_PATTERN] = {"host pattern", read_host,      expect_host_pattern},
    [KIND_DOMAIN]       = {"domain name",  read_domain,    expect_domain},
    [KIND_OWNER]        = {"name of a record", read_domain, expect_owner},
    [KIND_AUTHORITY]    = {"host",         read_authority, expect_authority},
    [KIND_NODE]         = {"address",      read_authority, expect_node},
    [KIND_PARAMETER]    = {"name",         read_parameter, expect_parameter},
    [KIND_ADDRESS]      = {"address",      read_address,   expect_address},
    [KIND_URL]          = {"URL",          read_url,       expect_url},
    [KIND_ASKED_URL]    = {"URL",          read_url,       expect_asked_url},
    [KIND_REDIS_URL]    = {"URL",          read_redis_url, expect_redis_url},
    [KIND_FILE]         = {"PEM file",     kind_read_file,      expect_file},
    [KIND_TEXT]         = {"text",         read_text,      expect_text},
    [KIND_TEXT_FILE]    = {"file",         kind_read_text_file, expect_text_file},
    [KIND_OCSP]         = {"OCSP file",    kind_read_ocsp,      expect_ocsp},
    [KIND_POOL]         = {"pool",         read_pool,      expect_pool},
    [KIND_WORDS]        = {"list of words", NULL,          expect_words},
    [KIND_PAIRS]        = {"names with values", NULL,      expect_pairs},
    [KIND_CIDRS]        = {"list of address blocks", read_cidr, expect_items},
    [KIND_TOKENS]       = {"list of names", read_item,     expect_items},
    [KIND_ORIGINS]      = {"list of origins", read_item,   expect_items},
    [KIND_CLAIMS]       = {"list of claims", read_item,    expect_items},
    [KIND_PARAMETERS]   = {"list of parameters", read_item, expect_items},
    [KIND_TARGETS]      = {"list of request paths", read_item, expect_items},
    [KIND_TAGS]         = {"list of tags", read_item,      expect_items},
    [KIND_NODES]        = {"list of addresses", read_item, expect_items},
    [KIND_ARGUMENTS]    = {"list of texts", read_item,     expect_items},
    [KIND_LABELS]       = {"list of texts", read_item,     expect_items},
    [KIND_IPV4S]        = {"list of IPv4 addresses", read_item, expect_items},
    [KIND_IPV6S]        = {"list of IPv6 addresses", read_item, expect_items},
    [KIND_DOMAINS]      = {"list of domain names", read_item, expect_items},
    [KIND_RECORDS]      = {"list of values", read_item,    expect_items},
    [KIND_ADDRESSES]    = {"list of addresses", read_ip_address, expect_items},
    [KIND_LIST]         = {"list",         NULL,           expect_items},
    [KIND_MAP]          = {"named sections", NULL,         expect_items},
    [KIND_INLINE]       = {"section",      NULL,           expect_section},
};
const struct kind_list kind_lists[KIND_COUNT] = {
    [KIND_CIDRS]      = {sizeof(struct cidr), NULL, "one such as 10.0.0.0/8, 192.0.2.1 or fd00::/8"},
    [KIND_TOKENS]     = {sizeof(char *), value_token, "letters, digits and hyphens"},
    [KIND_ORIGINS]    = {sizeof(char *), value_origin, "one such as https://app.example.com, https://*.example.com or \"*\""},
    [KIND_CLAIMS]     = {sizeof(char *), value_claim, "the name of a claim, at most 127 bytes, dots lead into objects"},
    [KIND_PARAMETERS] = {sizeof(char *), value_parameter, "the name of a query parameter"},
    [KIND_TARGETS]    = {sizeof(char *), judge_target, "a path that begins with /, with a query if need be"},
    [KIND_TAGS]       = {sizeof(char *), value_tag, "1 to 128 bytes of visible ASCII without commas"},
    [KIND_NODES]      = {sizeof(char *), value_node, "host:port, such as 10.0.0.1:6379 or \"[fd00::1]:6379\""},
    [KIND_ARGUMENTS]  = {sizeof(char *), judge_argument, "at most 1024 bytes"},
    [KIND_LABELS]     = {sizeof(char *), value_label, "1 to 127 bytes of visible ASCII"},
    [KIND_IPV4S]      = {sizeof(char *), value_ipv4, "one such as 192.0.2.1"},
    [KIND_IPV6S]      = {sizeof(char *), value_ipv6, "one such as 2001:db8::1"},
    [KIND_DOMAINS]    = {sizeof(char *), value_domain, "a name such as ns1.example.com"},
    [KIND_RECORDS]    = {sizeof(char *), judge_record, "at most 4096 bytes"},
    [KIND_ADDRESSES]  = {sizeof(struct conf_address), NULL, "one such as 0.0.0.0:53 or \"[::]:53\""},
};
/* clang-format on */
