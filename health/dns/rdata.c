/* Presentation form to wire form, a row of parsers by type.
 *
 * A record's text is cut into words at blanks; a word may stand in quotes to hold blanks. The one type with a language
 * of its own is SVCB: its parameters have to be in ascending order without repetition (RFC 9460 section 2.2), so they
 * are parsed in the order written and laid out sorted. */
#include "health/dns/rdata.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define WORD_BYTES       1024u
#define TXT_STRING_BYTES 255u
#define SVCB_PARAMS_MAX  16u
#define SVCB_VALUE_BYTES 512u

#define SVCB_ALPN            1u
#define SVCB_NO_DEFAULT_ALPN 2u

/* The text being read and what has been said about it. */
struct source {
    const char *at;
    char *why;
};

static bool refuse(const struct source *s, const char *what, const char *detail)
{
    snprintf(s->why, RDATA_WHY_BYTES, "%s%s%.60s", what, *detail != '\0' ? ": " : "", detail);
    return false;
}

static bool put(struct rdata *out, const void *data, size_t len)
{
    if (sizeof out->data - out->len < len)
        return false;
    memcpy(out->data + out->len, data, len);
    out->len += len;
    return true;
}

/* Numbers and names of one record always fit. */
static void put_u16(struct rdata *out, uint16_t n)
{
    uint8_t bytes[2];
    wire_put_u16(bytes, n);
    bool is_put = put(out, bytes, sizeof bytes);
    ASSERT(is_put);
}

static void put_u32(struct rdata *out, uint32_t n)
{
    put_u16(out, (uint16_t)(n >> 16));
    put_u16(out, (uint16_t)n);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word without its quotes; "" at the end. A quote may begin inside a word: key="a b". */
static bool next_word(struct source *s, char word[WORD_BYTES])
{
    size_t len = 0;
    bool is_quoted = false;

    while (is_blank(*s->at))
        s->at++;
    for (; *s->at != '\0' && (is_quoted || !is_blank(*s->at)); s->at++) {
        if (*s->at == '"') {
            is_quoted = !is_quoted;
            continue;
        }
        if (len + 1 >= WORD_BYTES)
            return refuse(s, "a word is too long", "");
        word[len++] = *s->at;
    }
    word[len] = '\0';
    return is_quoted ? refuse(s, "a quote is not closed", "") : true;
}

static bool parse_number(const char *word, uint32_t max, uint32_t *out)
{
    uint64_t n = 0;
    const char *c = word;
    for (; *c >= '0' && *c <= '9' && n <= max; c++)
        n = n * 10 + (uint64_t)(*c - '0');
    *out = (uint32_t)n;
    return c != word && *c == '\0' && n <= max;
}

static bool read_number(struct source *s, const char *what, uint32_t max, uint32_t *out)
{
    char word[WORD_BYTES];
    if (!next_word(s, word))
        return false;
    return parse_number(word, max, out) ? true : refuse(s, what, word);
}

static bool read_name(struct source *s, struct rdata *out)
{
    char word[WORD_BYTES];
    struct dns_name name;

    if (!next_word(s, word))
        return false;
    const char *wrong = dns_name_of(&name, word);
    if (wrong != NULL) {
        snprintf(s->why, RDATA_WHY_BYTES, "the name \"%.60s\" %s", word, wrong);
        return false;
    }
    return put(out, name.wire, name.len);
}

/* ---- one function per type ---- */
static bool parse_a(struct source *s, struct rdata *out)
{
    char word[WORD_BYTES];
    out->len = 4;
    return next_word(s, word) && (inet_pton(AF_INET, word, out->data) == 1 || refuse(s, "not an IPv4 address", word));
}

static bool parse_aaaa(struct source *s, struct rdata *out)
{
    char word[WORD_BYTES];
    out->len = 16;
    return next_word(s, word) && (inet_pton(AF_INET6, word, out->data) == 1 || refuse(s, "not an IPv6 address", word));
}

static bool parse_mx(struct source *s, struct rdata *out)
{
    uint32_t preference;
    if (!read_number(s, "not a preference from 0 to 65535", UINT16_MAX, &preference))
        return false;
    put_u16(out, (uint16_t)preference);
    return read_name(s, out);
}

static bool parse_srv(struct source *s, struct rdata *out)
{
    uint32_t priority, weight, port;
    if (!read_number(s, "not a priority from 0 to 65535", UINT16_MAX, &priority) ||
        !read_number(s, "not a weight from 0 to 65535", UINT16_MAX, &weight) ||
        !read_number(s, "not a port", UINT16_MAX, &port))
        return false;
    put_u16(out, (uint16_t)priority);
    put_u16(out, (uint16_t)weight);
    put_u16(out, (uint16_t)port);
    return read_name(s, out);
}

/* The whole text, as it is. */
static bool parse_txt(struct source *s, struct rdata *out)
{
    size_t left = strlen(s->at);
    do {
        const uint8_t size = (uint8_t)(left < TXT_STRING_BYTES ? left : TXT_STRING_BYTES);
        if (!put(out, &size, 1) || !put(out, s->at, size))
            return refuse(s, "the text is too long", "");
        s->at += size;
        left -= size;
    } while (left > 0);
    return true;
}

static bool parse_caa(struct source *s, struct rdata *out)
{
    char tag[WORD_BYTES], value[WORD_BYTES];
    uint32_t flags;

    if (!read_number(s, "not flags from 0 to 255", UINT8_MAX, &flags) || !next_word(s, tag))
        return false;
    const size_t tag_len = strlen(tag);
    if (tag_len == 0 || tag_len > 15 || strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789") != tag_len)
        return refuse(s, "not a tag like issue, issuewild or iodef", tag);
    if (!next_word(s, value))
        return false;
    const uint8_t head[2] = {(uint8_t)flags, (uint8_t)tag_len};
    return put(out, head, sizeof head) && put(out, tag, tag_len) && put(out, value, strlen(value));
}

/* ---- SVCB ---- */
struct svcb_param {
    uint16_t key;
    uint16_t len;
    uint8_t value[SVCB_VALUE_BYTES];
};

static bool param_put(struct svcb_param *p, const void *data, size_t len)
{
    if (sizeof p->value - p->len < len)
        return false;
    memcpy(p->value + p->len, data, len);
    p->len = (uint16_t)(p->len + len);
    return true;
}

static bool svcb_alpn(struct svcb_param *p, const char *item)
{
    const size_t len = strlen(item);
    const uint8_t size = (uint8_t)len;
    return len >= 1 && len <= 255 && param_put(p, &size, 1) && param_put(p, item, len);
}

static bool svcb_port(struct svcb_param *p, const char *item)
{
    uint32_t n;
    uint8_t bytes[2];
    if (p->len > 0 || !parse_number(item, UINT16_MAX, &n))
        return false;
    wire_put_u16(bytes, (uint16_t)n);
    return param_put(p, bytes, sizeof bytes);
}

static bool svcb_ipv4(struct svcb_param *p, const char *item)
{
    uint8_t address[4];
    return inet_pton(AF_INET, item, address) == 1 && param_put(p, address, sizeof address);
}

static bool svcb_ipv6(struct svcb_param *p, const char *item)
{
    uint8_t address[16];
    return inet_pton(AF_INET6, item, address) == 1 && param_put(p, address, sizeof address);
}

static bool svcb_text(struct svcb_param *p, const char *item)
{
    return p->len == 0 && param_put(p, item, strlen(item));
}

static bool svcb_mandatory(struct svcb_param *p, const char *item);

/* By key number; a key without a parser takes no value. */
static const struct {
    uint16_t key;
    const char *name;
    bool (*parse)(struct svcb_param *p, const char *item); /* of one item of a list with commas */
} svcb_keys[] = {
    {0, "mandatory", svcb_mandatory}, {SVCB_ALPN, "alpn", svcb_alpn}, {SVCB_NO_DEFAULT_ALPN, "no-default-alpn", NULL},
    {3, "port", svcb_port},           {4, "ipv4hint", svcb_ipv4},     {6, "ipv6hint", svcb_ipv6},
    {7, "dohpath", svcb_text},
};
#define SVCB_KEY_COUNT (sizeof svcb_keys / sizeof *svcb_keys)

static size_t svcb_key_of(const char *name)
{
    size_t i = 0;
    while (i < SVCB_KEY_COUNT && strcmp(svcb_keys[i].name, name) != 0)
        i++;
    return i;
}

static bool svcb_mandatory(struct svcb_param *p, const char *item)
{
    const size_t i = svcb_key_of(item);
    uint8_t bytes[2];
    /* Ascending, and never itself (RFC 9460 section 8). */
    if (i == 0 || i == SVCB_KEY_COUNT || (p->len > 0 && wire_get_u16(p->value + p->len - 2) >= svcb_keys[i].key))
        return false;
    wire_put_u16(bytes, svcb_keys[i].key);
    return param_put(p, bytes, sizeof bytes);
}

/* key, key=item or key=item,item */
static bool svcb_param_parse(struct source *s, struct svcb_param *p, char *word)
{
    char *value = strchr(word, '=');
    if (value != NULL)
        *value++ = '\0';
    const size_t i = svcb_key_of(word);
    if (i == SVCB_KEY_COUNT)
        return refuse(s, "not a parameter like alpn, port, ipv4hint or ipv6hint", word);
    p->key = svcb_keys[i].key;
    p->len = 0;
    if ((value == NULL) != (svcb_keys[i].parse == NULL))
        return refuse(s, value == NULL ? "the parameter needs a value" : "the parameter takes no value", word);
    while (value != NULL) {
        char *rest = strchr(value, ',');
        if (rest != NULL)
            *rest++ = '\0';
        if (!svcb_keys[i].parse(p, value))
            return refuse(s, "not a value for this parameter", value);
        value = rest;
    }
    return true;
}

/* Keys ascending, none twice, and what is mandatory is there, as is what a key means nothing without. */
static bool svcb_lay_out(const struct source *s, struct rdata *out, const struct svcb_param *params, size_t count)
{
    const struct svcb_param *mandatory = NULL;
    size_t laid = 0, found = 0;
    bool has_alpn = false;

    for (uint16_t key = 0; key <= svcb_keys[SVCB_KEY_COUNT - 1].key; key++) {
        bool is_there = false;
        for (size_t i = 0; i < count; i++) {
            if (params[i].key != key)
                continue;
            if (is_there)
                return refuse(s, "a parameter is given twice", "");
            is_there = true;
            laid++;
            put_u16(out, key);
            put_u16(out, params[i].len);
            if (!put(out, params[i].value, params[i].len))
                return refuse(s, "the parameters are too long", "");
            if (key == 0)
                mandatory = &params[i];
            has_alpn = has_alpn || key == SVCB_ALPN;
            if (key == SVCB_NO_DEFAULT_ALPN && !has_alpn) /* RFC 9460 section 7.1.1 */
                return refuse(s, "no-default-alpn has no use without alpn", "");
        }
        for (size_t i = 0; is_there && mandatory != NULL && i < mandatory->len; i += 2)
            found += wire_get_u16(mandatory->value + i) == key;
    }
    ASSERT(laid == count);
    if (mandatory != NULL && found != mandatory->len / 2u)
        return refuse(s, "a mandatory parameter is missing", "");
    return true;
}

static bool parse_svcb(struct source *s, struct rdata *out)
{
    struct svcb_param params[SVCB_PARAMS_MAX];
    char word[WORD_BYTES];
    uint32_t priority;
    size_t count = 0;

    if (!read_number(s, "not a priority from 0 to 65535", UINT16_MAX, &priority))
        return false;
    put_u16(out, (uint16_t)priority);
    if (!read_name(s, out))
        return false;
    for (;;) {
        if (!next_word(s, word))
            return false;
        if (*word == '\0')
            break;
        if (priority == 0)
            return refuse(s, "an alias (priority 0) has no parameters", "");
        if (count == SVCB_PARAMS_MAX)
            return refuse(s, "too many parameters", "");
        if (!svcb_param_parse(s, &params[count++], word))
            return false;
    }
    return svcb_lay_out(s, out, params, count);
}

static const struct {
    uint16_t type;
    bool (*parse)(struct source *s, struct rdata *out);
} rdata_parsers[] = {
    {DNS_TYPE_A, parse_a},       {DNS_TYPE_AAAA, parse_aaaa},  {DNS_TYPE_NS, read_name},  {DNS_TYPE_CNAME, read_name},
    {DNS_TYPE_MX, parse_mx},     {DNS_TYPE_TXT, parse_txt},    {DNS_TYPE_SRV, parse_srv}, {DNS_TYPE_CAA, parse_caa},
    {DNS_TYPE_SVCB, parse_svcb}, {DNS_TYPE_HTTPS, parse_svcb},
};

bool rdata_parse(struct rdata *out, uint16_t type, const char *text, char why[RDATA_WHY_BYTES])
{
    struct source s = {.at = text, .why = why};

    out->len = 0;
    for (size_t i = 0; i < sizeof rdata_parsers / sizeof *rdata_parsers; i++) {
        if (rdata_parsers[i].type != type)
            continue;
        if (!rdata_parsers[i].parse(&s, out))
            return false;
        while (is_blank(*s.at))
            s.at++;
        return *s.at == '\0' ? true : refuse(&s, "something follows that does not belong there", s.at);
    }
    return refuse(&s, "records of this type are not served", "");
}

/* The mailbox as a name: what is before the @ is one label, dots and all. */
static const char *mailbox_name(struct dns_name *out, const char *rname)
{
    char text[DNS_NAME_TEXT_BYTES];
    size_t at = 0;
    const char *c = rname;

    const char *domain = strchr(rname, '@');
    if (domain == NULL)
        return dns_name_of(out, rname);
    if (domain == rname || domain[1] == '\0')
        return "is half of an address";
    for (; *c != '@' && at + 3 < sizeof text; c++) {
        if (*c == '.' || *c == '\\')
            text[at++] = '\\';
        text[at++] = *c;
    }
    if (*c != '@' || (size_t)snprintf(text + at, sizeof text - at, ".%s", c + 1) >= sizeof text - at)
        return "is longer than 255 bytes";
    return dns_name_of(out, text);
}

bool rdata_soa(struct rdata *out, const struct rdata_soa *soa, char why[RDATA_WHY_BYTES])
{
    struct dns_name mname, rname;
    const char *wrong = dns_name_of(&mname, soa->mname);

    if (wrong != NULL) {
        snprintf(why, RDATA_WHY_BYTES, "the first nameserver \"%.60s\" %s", soa->mname, wrong);
        return false;
    }
    wrong = mailbox_name(&rname, soa->rname);
    if (wrong != NULL) {
        snprintf(why, RDATA_WHY_BYTES, "the mailbox \"%.60s\" %s", soa->rname, wrong);
        return false;
    }
    out->len = 0;
    bool is_put = put(out, mname.wire, mname.len) && put(out, rname.wire, rname.len);
    ASSERT(is_put);
    put_u32(out, soa->serial);
    put_u32(out, soa->refresh_s);
    put_u32(out, soa->retry_s);
    put_u32(out, soa->expire_s);
    put_u32(out, soa->minimum_s);
    return true;
}

/* ---- names in the data ---- */
static const struct {
    uint16_t type;
    struct rdata_shape shape;
    uint8_t target_at; /* 255: has no target with addresses */
} rdata_shapes[] = {
    {DNS_TYPE_NS, {0, 1}, 0},  {DNS_TYPE_CNAME, {0, 1}, 255}, {DNS_TYPE_SOA, {0, 2}, 255}, {DNS_TYPE_MX, {2, 1}, 2},
    {DNS_TYPE_SRV, {0, 0}, 6}, {DNS_TYPE_SVCB, {0, 0}, 2},    {DNS_TYPE_HTTPS, {0, 0}, 2},
};

struct rdata_shape rdata_shape(uint16_t type)
{
    for (size_t i = 0; i < sizeof rdata_shapes / sizeof *rdata_shapes; i++) {
        if (rdata_shapes[i].type == type)
            return rdata_shapes[i].shape;
    }
    return (struct rdata_shape){0, 0};
}

const uint8_t *rdata_target(uint16_t type, const uint8_t *data)
{
    for (size_t i = 0; i < sizeof rdata_shapes / sizeof *rdata_shapes; i++) {
        if (rdata_shapes[i].type == type && rdata_shapes[i].target_at != 255)
            return data + rdata_shapes[i].target_at;
    }
    return NULL;
}
