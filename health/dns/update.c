/* UPDATE messages. The one thing to get right is the order: a server goes through the records one by one (RFC 2136
 * section 3.4.2.7), and adding a CNAME beside addresses, or addresses beside a CNAME, is skipped in silence. */
#include "health/dns/update.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"

void update_begin(struct update *u, uint8_t *data, size_t cap_bytes, uint16_t id, const struct dns_name *zone)
{
    ASSERT(cap_bytes > DNS_UDP_BYTES + TSIG_RECORD_BYTES && cap_bytes <= DNS_MESSAGE_BYTES);
    *u = (struct update){0};
    wire_write_begin(&u->writer, data, cap_bytes - TSIG_RECORD_BYTES);
    wire_write_u16(&u->writer, id);
    wire_write_u16(&u->writer, DNS_OPCODE_UPDATE);
    wire_write_u16(&u->writer, 1); /* zones */
    wire_write_u16(&u->writer, 0); /* prerequisites, and updates: update_end() */
    wire_write_u16(&u->writer, 0);
    wire_write_u16(&u->writer, 0);
    wire_write_name(&u->writer, zone->wire, zone->len);
    wire_write_u16(&u->writer, DNS_TYPE_SOA);
    wire_write_u16(&u->writer, DNS_CLASS_IN);
}

static void write_record(struct update *u, const struct dns_name *name, uint16_t type, uint16_t class, uint32_t ttl_s,
                         const void *data, size_t len)
{
    wire_write_name(&u->writer, name->wire, name->len);
    wire_write_u16(&u->writer, type);
    wire_write_u16(&u->writer, class);
    wire_write_u32(&u->writer, ttl_s);
    wire_write_u16(&u->writer, (uint16_t)len);
    wire_write_bytes(&u->writer, data, len);
}

/* "There is no such RRset" (section 2.4.3). It has to be said type by type, so of those that people use. */
void update_require_room(struct update *u, const struct dns_name *name)
{
    static const uint16_t unwanted[] = {DNS_TYPE_TXT, DNS_TYPE_MX,   DNS_TYPE_CAA,  DNS_TYPE_SRV,
                                        DNS_TYPE_NS,  DNS_TYPE_SVCB, DNS_TYPE_HTTPS};
    const size_t before = u->writer.len;

    ASSERT(u->record_count == 0);
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++)
        write_record(u, name, unwanted[i], DNS_CLASS_NONE, 0, NULL, 0);
    if (u->writer.failed)
        wire_write_rewind(&u->writer, before);
    else
        u->required_count = (uint16_t)(u->required_count + sizeof unwanted / sizeof *unwanted);
}

bool update_add(struct update *u, const struct update_set *s)
{
    static const uint16_t replaced[] = {DNS_TYPE_CNAME, DNS_TYPE_A, DNS_TYPE_AAAA};
    const size_t before = u->writer.len, a_count = s->cname == NULL ? s->a_count : 0,
                 aaaa_count = s->cname == NULL ? s->aaaa_count : 0;

    ASSERT(s->cname != NULL || a_count + aaaa_count > 0);
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++)
        write_record(u, s->name, replaced[i], DNS_CLASS_ANY, 0, NULL, 0);
    if (s->cname != NULL)
        write_record(u, s->name, DNS_TYPE_CNAME, DNS_CLASS_IN, s->ttl_s, s->cname->wire, s->cname->len);
    for (size_t i = 0; i < a_count; i++)
        write_record(u, s->name, DNS_TYPE_A, DNS_CLASS_IN, s->ttl_s, s->a[i], sizeof s->a[i]);
    for (size_t i = 0; i < aaaa_count; i++)
        write_record(u, s->name, DNS_TYPE_AAAA, DNS_CLASS_IN, s->ttl_s, s->aaaa[i], sizeof s->aaaa[i]);
    if (u->writer.failed) {
        wire_write_rewind(&u->writer, before);
        return false;
    }
    u->record_count =
        (uint16_t)(u->record_count + sizeof replaced / sizeof *replaced + a_count + aaaa_count + (s->cname != NULL));
    return true;
}

size_t update_end(struct update *u, const struct tsig_key *key, uint64_t now_s, struct tsig_mac *mac)
{
    ASSERT(!u->writer.failed);
    wire_put_u16(u->writer.data + 6, u->required_count);
    wire_put_u16(u->writer.data + 8, u->record_count);
    return tsig_sign(u->writer.data, u->writer.len, key, now_s, mac);
}

struct update_answer update_read(const uint8_t *data, size_t len, uint16_t id, const struct tsig_key *key,
                                 const struct tsig_mac *mac, uint64_t now_s)
{
    struct update_answer a = {.tsig = tsig_verify(data, len, key, mac, now_s)};

    if (a.tsig.verdict == TSIG_MALFORMED)
        return a;
    const uint16_t flags = wire_get_u16(data + 2);
    a.is_other =
        wire_get_u16(data) != id || (flags & (DNS_FLAG_QR | DNS_OPCODE_MASK)) != (DNS_FLAG_QR | DNS_OPCODE_UPDATE);
    a.rcode = flags & DNS_RCODE_MASK;
    a.is_done = !a.is_other && a.tsig.verdict == TSIG_GOOD && a.rcode == DNS_RCODE_NOERROR;
    return a;
}

static const char *const refusals[16] = {
    [DNS_RCODE_FORMERR] = "the server does not understand updates of this kind (FORMERR)",
    [DNS_RCODE_SERVFAIL] = "the server failed (SERVFAIL)",
    [DNS_RCODE_NXDOMAIN] = "a name that has to be there is not (NXDOMAIN)",
    [DNS_RCODE_NOTIMP] = "the server takes no updates (NOTIMP)",
    [DNS_RCODE_REFUSED] = "the server does not allow this key to change these names (REFUSED)",
    [DNS_RCODE_YXDOMAIN] = "a name is there that must not be (YXDOMAIN)",
    [DNS_RCODE_YXRRSET] = "other records stand where a CNAME has to be (YXRRSET)",
    [DNS_RCODE_NXRRSET] = "records that have to be there are not (NXRRSET)",
    [DNS_RCODE_NOTAUTH] = "the server is not the primary of this zone, or knows no such key (NOTAUTH)",
    [DNS_RCODE_NOTZONE] = "a name is not in the server's zone (NOTZONE)",
};

/* What the server says of our signature tells more than the code that comes with it; an error that comes unsigned, as
 * from a server that was never told of the key, tells more than that it is unsigned. */
const char *update_why(const struct update_answer *a, uint64_t now_s, char out[UPDATE_WHY_BYTES])
{
    const enum tsig_verdict v = a->tsig.verdict;
    const bool is_refusal = (v == TSIG_GOOD || v == TSIG_ABSENT) && a->rcode != DNS_RCODE_NOERROR;

    if (a->is_other)
        snprintf(out, UPDATE_WHY_BYTES, "the answer belongs to another request");
    else if (is_refusal && refusals[a->rcode] != NULL)
        snprintf(out, UPDATE_WHY_BYTES, "%s", refusals[a->rcode]);
    else if (is_refusal)
        snprintf(out, UPDATE_WHY_BYTES, "the server answered with code %u", (unsigned)a->rcode);
    else if (v == TSIG_SAYS_BADTIME)
        snprintf(out, UPDATE_WHY_BYTES, "%s: its clock is %" PRId64 " s ahead of ours", tsig_verdict_text(v),
                 a->tsig.time_s - (int64_t)now_s);
    else
        snprintf(out, UPDATE_WHY_BYTES, "%s", tsig_verdict_text(v));
    return out;
}
