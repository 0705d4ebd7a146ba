/* DNS messages as bytes (RFC 1035 section 4): names, a reading cursor, a writing cursor that compresses.
 *
 * A name is kept the way it travels, labels with their lengths and the empty label at the end, in lower case: two
 * names are equal when their bytes are. Both cursors are sticky: after the first thing that is not there or does not
 * fit they are `failed`, later calls do nothing, and the caller looks once at the end. Nothing here allocates. */
#ifndef HEALTH_DNS_WIRE_H
#define HEALTH_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_BYTES      255u /* with all lengths and the empty label (RFC 1035 section 3.1) */
#define DNS_LABEL_BYTES     63u
#define DNS_LABELS_MAX      127u /* of one byte each, without the empty one */
#define DNS_HEADER_BYTES    12u
#define DNS_UDP_BYTES       512u /* what a client without EDNS takes */
#define DNS_MESSAGE_BYTES   65535u
#define DNS_NAME_TEXT_BYTES 1021u /* every byte as \DDD, dots, NUL */
#define DNS_RR_FIXED_BYTES  10u   /* type, class, TTL, length of the data */

/* clang-format off */
/*    type             number  text */
#define DNS_TYPE_TABLE(X)               \
    X(DNS_TYPE_A,          1,  "A")     \
    X(DNS_TYPE_NS,         2,  "NS")    \
    X(DNS_TYPE_CNAME,      5,  "CNAME") \
    X(DNS_TYPE_SOA,        6,  "SOA")   \
    X(DNS_TYPE_HINFO,     13,  "HINFO") \
    X(DNS_TYPE_MX,        15,  "MX")    \
    X(DNS_TYPE_TXT,       16,  "TXT")   \
    X(DNS_TYPE_AAAA,      28,  "AAAA")  \
    X(DNS_TYPE_SRV,       33,  "SRV")   \
    X(DNS_TYPE_OPT,       41,  "OPT")   \
    X(DNS_TYPE_DS,        43,  "DS")    \
    X(DNS_TYPE_SVCB,      64,  "SVCB")  \
    X(DNS_TYPE_HTTPS,     65,  "HTTPS") \
    X(DNS_TYPE_TKEY,     249,  "TKEY")  \
    X(DNS_TYPE_TSIG,     250,  "TSIG")  \
    X(DNS_TYPE_IXFR,     251,  "IXFR")  \
    X(DNS_TYPE_AXFR,     252,  "AXFR")  \
    X(DNS_TYPE_MAILA,    254,  "MAILA") \
    X(DNS_TYPE_ANY,      255,  "ANY")   \
    X(DNS_TYPE_CAA,      257,  "CAA")

enum dns_type {
#define X(name, number, text) name = (number),
    DNS_TYPE_TABLE(X)
#undef X
};
/* clang-format on */
/* The mnemonic of a type this server knows, or NULL. */
const char *dns_type_text(uint16_t type);
/* The number of a mnemonic in any case, or 0. */
uint16_t dns_type_of(const char *text);

enum dns_class { DNS_CLASS_IN = 1, DNS_CLASS_CH = 3, DNS_CLASS_NONE = 254, DNS_CLASS_ANY = 255 };
enum dns_rcode {
    DNS_RCODE_NOERROR = 0,
    DNS_RCODE_FORMERR = 1,
    DNS_RCODE_SERVFAIL = 2,
    DNS_RCODE_NXDOMAIN = 3,
    DNS_RCODE_NOTIMP = 4,
    DNS_RCODE_REFUSED = 5,
    DNS_RCODE_YXDOMAIN = 6, /* to 10: answers to updates (RFC 2136 section 2.2) */
    DNS_RCODE_YXRRSET = 7,
    DNS_RCODE_NXRRSET = 8,
    DNS_RCODE_NOTAUTH = 9,
    DNS_RCODE_NOTZONE = 10,
    DNS_RCODE_BADVERS = 16, /* from here on half of it travels in the OPT record */
    DNS_RCODE_BADCOOKIE = 23,
};

#define DNS_FLAG_QR       0x8000u
#define DNS_FLAG_AA       0x0400u
#define DNS_FLAG_TC       0x0200u
#define DNS_FLAG_RD       0x0100u
#define DNS_OPCODE_MASK   0x7800u
#define DNS_OPCODE_UPDATE 0x2800u /* where it stands in the flags */
#define DNS_RCODE_MASK    0x000fu

struct dns_name {
    uint8_t len;         /* 1: the root */
    uint8_t label_count; /* without the empty one */
    uint8_t wire[DNS_NAME_BYTES];
    uint8_t label_at[DNS_LABELS_MAX + 1]; /* where each label begins, the empty one included */
};

/* From presentation form (RFC 1035 section 5.1: dots, \. and \DDD); a dot at the end changes nothing, "." is the root.
 * NULL, or what is wrong with it. */
const char *dns_name_of(struct dns_name *out, const char *text);
/* The same, continued by `origin` unless the text ends with a dot; "@" is the origin itself. */
const char *dns_name_under(struct dns_name *out, const char *text, const struct dns_name *origin);
/* Presentation form with the dot at the end; returns `out`. `name` is a whole name on the wire, not compressed. */
const char *dns_name_text(const uint8_t *name, char out[DNS_NAME_TEXT_BYTES]);
/* True when `name` is `zone` or below it. */
bool dns_name_is_in(const struct dns_name *name, const struct dns_name *zone);
/* Fills the rest of the struct from a valid uncompressed name, in lower case. */
void dns_name_from_wire(struct dns_name *out, const uint8_t *wire);

/* ---- numbers ---- */
static inline uint16_t wire_get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void wire_put_u16(uint8_t *p, uint16_t n)
{
    p[0] = (uint8_t)(n >> 8);
    p[1] = (uint8_t)n;
}

static inline uint32_t wire_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void wire_put_u32(uint8_t *p, uint32_t n)
{
    wire_put_u16(p, (uint16_t)(n >> 16));
    wire_put_u16(p + 2, (uint16_t)n);
}

/* ---- reading ---- */
struct wire_reader {
    const uint8_t *data; /* the whole message */
    size_t len;
    size_t at;
    bool failed;
};

void wire_read_begin(struct wire_reader *r, const uint8_t *data, size_t len);
/* NULL after a failure. */
static inline const uint8_t *wire_read_bytes(struct wire_reader *r, size_t len)
{
    if (r->failed || r->len - r->at < len) {
        r->failed = true;
        return NULL;
    }
    r->at += len;
    return r->data + r->at - len;
}

/* 0 after a failure, as the others. */
static inline uint8_t wire_read_u8(struct wire_reader *r)
{
    const uint8_t *p = wire_read_bytes(r, 1);
    return p != NULL ? *p : 0;
}

static inline uint16_t wire_read_u16(struct wire_reader *r)
{
    const uint8_t *p = wire_read_bytes(r, 2);
    return p != NULL ? wire_get_u16(p) : 0;
}

static inline uint32_t wire_read_u32(struct wire_reader *r)
{
    const uint8_t *p = wire_read_bytes(r, 4);
    return p != NULL ? wire_get_u32(p) : 0;
}

/* A name, perhaps compressed, in lower case. Pointers go strictly backwards and not into the header, so that there
 * are no loops; the bounds of RFC 1035 hold for what they add up to. */
void wire_read_name(struct wire_reader *r, struct dns_name *out);
/* Over a name without looking at what it points at. */
void wire_skip_name(struct wire_reader *r);

/* ---- writing ---- */
#define WIRE_KNOWN_MAX 64u
struct wire_writer {
    uint8_t *data;
    size_t cap_bytes; /* may be moved by the owner, to keep room for something */
    size_t len;
    bool failed;
    uint32_t known_count;
    struct wire_known {      /* a suffix that stands in the message */
        const uint8_t *name; /* in lower case, not compressed; borrowed until the message is done */
        uint16_t at;
        uint8_t len;
    } known[WIRE_KNOWN_MAX];
};

void wire_write_begin(struct wire_writer *w, uint8_t *data, size_t cap_bytes);
/* Where the next `len` bytes are to be written; NULL: they do not fit, or others before them did not. */
static inline uint8_t *wire_write_room(struct wire_writer *w, size_t len)
{
    if (w->failed || w->len > w->cap_bytes || w->cap_bytes - w->len < len) {
        w->failed = true;
        return NULL;
    }
    w->len += len;
    return w->data + w->len - len;
}

static inline void wire_write_u8(struct wire_writer *w, uint8_t n)
{
    uint8_t *to = wire_write_room(w, 1);
    if (to != NULL)
        *to = n;
}

static inline void wire_write_u16(struct wire_writer *w, uint16_t n)
{
    uint8_t *to = wire_write_room(w, 2);
    if (to != NULL)
        wire_put_u16(to, n);
}

static inline void wire_write_u32(struct wire_writer *w, uint32_t n)
{
    uint8_t *to = wire_write_room(w, 4);
    if (to != NULL)
        wire_put_u32(to, n);
}

void wire_write_bytes(struct wire_writer *w, const void *data, size_t len);
/* A name of `len` bytes, compressed; it stays borrowed. */
void wire_write_name(struct wire_writer *w, const uint8_t *name, size_t len);
/* Tells the writer that `name` already stands at `at`, uncompressed. */
void wire_write_known(struct wire_writer *w, const struct dns_name *name, size_t at);
/* Back to an earlier length, to take back what did not fit whole: names behind it are forgotten, the failure too. */
void wire_write_rewind(struct wire_writer *w, size_t len);

#endif
