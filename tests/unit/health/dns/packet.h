/* Queries made and answers taken apart, for the tests and the fuzz target of health/dns: a reader of its own, strict
 * where resolvers are lenient, that shares no code with the writer it checks.
 *
 * An answer is told as one line, sections in order, empty ones left out:
 *   NOERROR aa tc | an owner ttl TYPE data; ... | ns ... | ar ... | opt 1232 do cookie=hex nsid=text */
#ifndef TESTS_UNIT_HEALTH_DNS_PACKET_H
#define TESTS_UNIT_HEALTH_DNS_PACKET_H

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PACKET_TEXT_BYTES 65536u
#define PACKET_NAME_BYTES 1100u

/* ---- making queries ---- */
struct packet {
    size_t len;
    uint8_t data[4096];
};

static inline void packet_u16(struct packet *p, unsigned n)
{
    p->data[p->len++] = (uint8_t)(n >> 8);
    p->data[p->len++] = (uint8_t)n;
}

static inline void packet_bytes(struct packet *p, const void *data, size_t len)
{
    memcpy(p->data + p->len, data, len);
    p->len += len;
}

/* Letters as they are given; no escapes, but a \ is an ordinary byte. */
static inline void packet_name(struct packet *p, const char *name)
{
    while (*name != '\0' && *name != '.') {
        const size_t size = strcspn(name, ".");
        p->data[p->len++] = (uint8_t)size;
        packet_bytes(p, name, size);
        name += size + (name[size] == '.');
    }
    p->data[p->len++] = 0;
}

static inline void packet_header(struct packet *p, unsigned flags, unsigned questions, unsigned additional)
{
    p->len = 0;
    packet_u16(p, 0x4a17);
    packet_u16(p, flags);
    packet_u16(p, questions);
    packet_u16(p, 0);
    packet_u16(p, 0);
    packet_u16(p, additional);
}

static inline void packet_query(struct packet *p, const char *name, unsigned type)
{
    packet_header(p, 0, 1, 0);
    packet_name(p, name);
    packet_u16(p, type);
    packet_u16(p, 1);
}

/* An OPT record behind whatever there is. */
static inline void packet_opt(struct packet *p, unsigned payload, unsigned version, bool is_do, const void *options,
                              size_t options_len)
{
    p->data[11]++;
    p->data[p->len++] = 0;
    packet_u16(p, 41);
    packet_u16(p, payload);
    packet_u16(p, version);
    packet_u16(p, is_do ? 0x8000 : 0);
    packet_u16(p, (unsigned)options_len);
    if (options_len > 0)
        packet_bytes(p, options, options_len);
}

/* ---- taking answers apart ---- */
struct packet_reader {
    const uint8_t *data;
    size_t len, at;
    const char *wrong; /* the first thing that is */
    char *text;
    size_t text_len, text_room;
    uint8_t marks[65536 / 8]; /* a bit per byte: a label began here */
};

static inline void packet_wrong(struct packet_reader *r, const char *what)
{
    if (r->wrong == NULL)
        r->wrong = what;
}

static inline void packet_say(struct packet_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void packet_say(struct packet_reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(r->text + r->text_len, r->text_room - r->text_len, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= r->text_room - r->text_len)
        packet_wrong(r, "the text is too long");
    else
        r->text_len += (size_t)len;
}

static inline unsigned packet_take(struct packet_reader *r, size_t size)
{
    unsigned n = 0;
    if (r->wrong != NULL || r->len - r->at < size) {
        packet_wrong(r, "it ends too early");
        return 0;
    }
    for (; size > 0; size--)
        n = n << 8 | r->data[r->at++];
    return n;
}

/* Where a label began: only there may a pointer lead. */
static inline void packet_mark(struct packet_reader *r, size_t at)
{
    r->marks[at / 8] |= (uint8_t)(1u << at % 8);
}

static inline bool packet_is_marked(const struct packet_reader *r, size_t at)
{
    return (r->marks[at / 8] >> at % 8 & 1) != 0;
}

/* The name that begins here, as text. */
static inline void packet_take_name(struct packet_reader *r, char out[PACKET_NAME_BYTES])
{
    size_t at = r->at, end = 0, name_len = 0, text_len = 0;

    out[0] = '\0';
    while (r->wrong == NULL) {
        if (at >= r->len) {
            packet_wrong(r, "a name ends too early");
            return;
        }
        const unsigned size = r->data[at];
        if (size == 0)
            break;
        if (size >= 0xc0) {
            const size_t to = at + 1 < r->len ? (size_t)((size & 0x3f) << 8 | r->data[at + 1]) : r->len;
            if (to >= at || !packet_is_marked(r, to))
                packet_wrong(r, "a pointer leads where no name began");
            end = end != 0 ? end : at + 2;
            at = to;
            continue;
        }
        if (size > 63 || r->len - at <= size || name_len + size + 2 > 255) {
            packet_wrong(r, "a label or a name is too long");
            return;
        }
        if (end == 0)
            packet_mark(r, at);
        for (size_t i = 1; i <= size; i++) {
            const uint8_t c = r->data[at + i];
            text_len +=
                (size_t)sprintf(out + text_len, c > 0x20 && c < 0x7f && c != '.' && c != '\\' ? "%c" : "\\%03u", c);
        }
        out[text_len++] = '.';
        name_len += size + 1;
        at += size + 1;
    }
    if (text_len == 0)
        out[text_len++] = '.';
    out[text_len] = '\0';
    r->at = end != 0 ? end : at + 1;
}

static inline const char *packet_type_text(unsigned type)
{
    static const struct {
        unsigned type;
        const char *text;
    } types[] = {{1, "A"},    {2, "NS"},    {5, "CNAME"}, {6, "SOA"},   {13, "HINFO"}, {15, "MX"},
                 {16, "TXT"}, {28, "AAAA"}, {33, "SRV"},  {64, "SVCB"}, {65, "HTTPS"}, {257, "CAA"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].type == type)
            return types[i].text;
    }
    return NULL;
}

static inline void packet_say_hex(struct packet_reader *r, size_t len)
{
    for (; len > 0 && r->wrong == NULL; len--)
        packet_say(r, "%02x", packet_take(r, 1));
}

static inline void packet_say_strings(struct packet_reader *r, size_t end)
{
    while (r->at < end && r->wrong == NULL) {
        packet_say(r, " \"");
        for (unsigned size = packet_take(r, 1); size > 0 && r->wrong == NULL; size--) {
            const unsigned c = packet_take(r, 1);
            packet_say(r, c >= 0x20 && c < 0x7f ? "%c" : "\\%03u", c);
        }
        packet_say(r, "\"");
    }
}

/* The data of one record; must end where its length says. */
static inline void packet_say_data(struct packet_reader *r, unsigned type, size_t len)
{
    char name[PACKET_NAME_BYTES], address[64];
    const size_t end = r->at + len, begin = r->at;

    if (r->wrong != NULL || r->len - r->at < len) {
        packet_wrong(r, "the data ends too early");
        return;
    }
    if (type == 1 || type == 28) {
        if (len != (type == 1 ? 4 : 16))
            packet_wrong(r, "an address of another size");
        else
            packet_say(r, " %s", inet_ntop(type == 1 ? AF_INET : AF_INET6, r->data + r->at, address, sizeof address));
        r->at = end;
    } else if (type == 13 || type == 16) {
        packet_say_strings(r, end);
    } else if (type == 257) {
        packet_say(r, " %u", packet_take(r, 1));
        const unsigned tag = packet_take(r, 1);
        packet_say(r, " %.*s", (int)tag, (const char *)r->data + r->at);
        r->at += tag;
        packet_say(r, " \"%.*s\"", (int)(end - r->at), (const char *)r->data + r->at);
        r->at = end;
    } else {
        const unsigned numbers = type == 33 ? 3 : type == 15 || type == 64 || type == 65 ? 1 : 0;
        for (unsigned i = 0; i < numbers; i++)
            packet_say(r, " %u", packet_take(r, 2));
        packet_take_name(r, name);
        packet_say(r, " %s", name);
        if (type == 6) {
            packet_take_name(r, name);
            packet_say(r, " %s", name);
            for (unsigned i = 0; i < 5; i++)
                packet_say(r, " %u", packet_take(r, 4));
        }
        if ((type == 33 || type == 64 || type == 65) && r->wrong == NULL && r->at < end + 1) {
            for (size_t at = begin + 2 * numbers; at < r->at && r->data[at] != 0; at += r->data[at] + 1u) {
                if (r->data[at] >= 0xc0)
                    packet_wrong(r, "a name is compressed that must not be");
            }
        }
        while ((type == 64 || type == 65) && r->at < end && r->wrong == NULL) {
            packet_say(r, " key%u=", packet_take(r, 2));
            packet_say_hex(r, packet_take(r, 2));
        }
    }
    if (r->at != end)
        packet_wrong(r, "the data does not end where it says");
}

static inline void packet_say_opt(struct packet_reader *r)
{
    packet_say(r, " | opt %u", packet_take(r, 2));
    const unsigned upper = packet_take(r, 1), version = packet_take(r, 1), flags = packet_take(r, 2);
    const size_t len = packet_take(r, 2), end = r->at + len;

    if (version != 0 || (flags & 0x7fff) != 0)
        packet_wrong(r, "an OPT of another version, or with flags nobody knows");
    if (upper > 0)
        packet_say(r, " rcode=%u", upper << 4 | (r->data[3] & 15u));
    if (flags != 0)
        packet_say(r, " do");
    while (r->at < end && r->wrong == NULL) {
        const unsigned code = packet_take(r, 2);
        const size_t size = packet_take(r, 2);
        packet_say(r, " %s=", code == 10 ? "cookie" : code == 3 ? "nsid" : "unknown");
        if (r->wrong != NULL || r->len - r->at < size) {
            packet_wrong(r, "an option ends too late");
        } else if (code == 3) {
            packet_say(r, "%.*s", (int)size, (const char *)r->data + r->at);
            r->at += size;
        } else {
            packet_say_hex(r, size);
        }
    }
    if (r->at != end)
        packet_wrong(r, "the options do not end where they say");
}

static inline void packet_say_section(struct packet_reader *r, const char *title, unsigned count, bool *has_opt)
{
    char name[PACKET_NAME_BYTES];
    bool is_first = true;

    for (; count > 0 && r->wrong == NULL; count--) {
        const bool is_root = r->at < r->len && r->data[r->at] == 0;
        packet_take_name(r, name);
        const unsigned type = packet_take(r, 2);
        if (type == 41) {
            if (!is_root || *has_opt || strcmp(title, "ar ") != 0)
                packet_wrong(r, "an OPT out of place");
            *has_opt = true;
            packet_say_opt(r);
            continue;
        }
        const unsigned class = packet_take(r, 2), ttl_s = packet_take(r, 4), len = packet_take(r, 2);
        if (*has_opt)
            packet_wrong(r, "a record behind the OPT");
        if (class != 1 || ttl_s > INT32_MAX || packet_type_text(type) == NULL) {
            packet_wrong(r, "a record of a class, TTL or type that is never answered");
            return;
        }
        packet_say(r, "%s%s%s %u %s", is_first ? " | " : "; ", is_first ? title : "", name, ttl_s,
                   packet_type_text(type));
        is_first = false;
        packet_say_data(r, type, len);
    }
}

/* The answer as text, or what is wrong with it in `*wrong`. */
static inline const char *packet_tell(const uint8_t *data, size_t len, char text[PACKET_TEXT_BYTES], const char **wrong)
{
    static const char *const rcodes[16] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
    struct packet_reader r = {.data = data, .len = len, .text = text, .text_room = PACKET_TEXT_BYTES};
    char name[PACKET_NAME_BYTES];
    bool has_opt = false;

    text[0] = '\0';
    (void)packet_take(&r, 2);
    const unsigned flags = packet_take(&r, 2), questions = packet_take(&r, 2);
    const unsigned answers = packet_take(&r, 2), authorities = packet_take(&r, 2), additionals = packet_take(&r, 2);
    if ((flags & 0x8000) == 0 || (flags & 0x00f0) != 0)
        packet_wrong(&r, "not an answer, or with flags that are not this server's to set");
    const char *rcode = rcodes[flags & 15];
    packet_say(&r, "%s", rcode != NULL ? rcode : "EXTENDED");
    packet_say(&r, "%s%s%s", (flags & 0x0400) != 0 ? " aa" : "", (flags & 0x0200) != 0 ? " tc" : "",
               (flags & 0x0100) != 0 ? " rd" : "");
    if (questions > 1)
        packet_wrong(&r, "more than one question");
    if (questions == 1) {
        packet_take_name(&r, name);
        (void)packet_take(&r, 4);
    }
    packet_say_section(&r, "an ", answers, &has_opt);
    packet_say_section(&r, "ns ", authorities, &has_opt);
    packet_say_section(&r, "ar ", additionals, &has_opt);
    if (r.at != r.len)
        packet_wrong(&r, "something is left at the end");
    *wrong = r.wrong;
    return text;
}

#endif
