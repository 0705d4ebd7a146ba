/* OPT: the class is a size, the TTL holds the upper half of the answer's code, a version and one flag. */
#include "health/dns/edns.h"

#define OPTION_NSID     3u
#define OPTION_COOKIE   10u
#define OPTION_HEAD     4u
#define OPT_FIXED_BYTES 11u /* with its owner, the root */
#define FLAG_DNSSEC     0x8000u

static void read_options(struct edns *e, const uint8_t *data, size_t len)
{
    struct wire_reader r;

    wire_read_begin(&r, data, len);
    while (!r.failed && r.at < r.len) {
        const uint16_t code = wire_read_u16(&r);
        const uint16_t size = wire_read_u16(&r);
        const uint8_t *value = wire_read_bytes(&r, size);
        if (r.failed)
            break;
        if (code == OPTION_NSID)
            e->wants_nsid = true;
        if (code == OPTION_COOKIE && e->cookie == NULL) {
            e->cookie = value;
            e->cookie_len = size;
        }
    }
    e->is_broken = r.failed;
}

void edns_read(struct edns *e, struct wire_reader *r)
{
    *e = (struct edns){.is_there = true, .payload_bytes = wire_read_u16(r)};
    (void)wire_read_u8(r);
    e->version = wire_read_u8(r);
    e->wants_dnssec = (wire_read_u16(r) & FLAG_DNSSEC) != 0;
    const uint16_t len = wire_read_u16(r);
    const uint8_t *data = wire_read_bytes(r, len);
    if (data != NULL && e->version == 0)
        read_options(e, data, len);
}

static size_t options_len(const struct edns_answer *a)
{
    return (a->cookie != NULL ? OPTION_HEAD + COOKIE_BYTES : 0) + (a->nsid_len > 0 ? OPTION_HEAD + a->nsid_len : 0);
}

size_t edns_answer_len(const struct edns_answer *a)
{
    return OPT_FIXED_BYTES + options_len(a);
}

static void write_option(struct wire_writer *w, uint16_t code, const uint8_t *value, size_t len)
{
    wire_write_u16(w, code);
    wire_write_u16(w, (uint16_t)len);
    wire_write_bytes(w, value, len);
}

void edns_write(struct wire_writer *w, const struct edns_answer *a)
{
    wire_write_u8(w, 0);
    wire_write_u16(w, DNS_TYPE_OPT);
    wire_write_u16(w, a->payload_bytes);
    wire_write_u8(w, (uint8_t)(a->rcode >> 4));
    wire_write_u8(w, 0);
    wire_write_u16(w, a->wants_dnssec ? FLAG_DNSSEC : 0);
    wire_write_u16(w, (uint16_t)options_len(a));
    if (a->cookie != NULL)
        write_option(w, OPTION_COOKIE, a->cookie, COOKIE_BYTES);
    if (a->nsid_len > 0)
        write_option(w, OPTION_NSID, a->nsid, a->nsid_len);
}
