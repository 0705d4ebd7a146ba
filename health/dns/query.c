/* One pass over a query with the sticky cursor. A question's name has nothing before it to point at, so a compressed
 * one is malformed without a rule of its own: pointers go backwards and not into the header. */
#include "health/dns/query.h"

#define SECTIONS     4u
#define SECTION_LAST 3u /* additional */
#define BEHIND_TYPE  6u /* class and TTL */

/* One record behind the question; only an OPT means something. */
static void read_record(struct query *q, struct wire_reader *r, bool is_additional)
{
    const bool is_root = r->at < r->len && r->data[r->at] == 0;

    wire_skip_name(r);
    const uint16_t type = wire_read_u16(r);
    if (type == DNS_TYPE_OPT) {
        if (!is_additional || !is_root || q->edns.is_there)
            r->failed = true;
        else
            edns_read(&q->edns, r);
        return;
    }
    (void)wire_read_bytes(r, BEHIND_TYPE);
    const uint16_t len = wire_read_u16(r);
    (void)wire_read_bytes(r, len);
}

/* All but the verdict and the bytes themselves. */
static enum query_verdict read_all(struct query *q, const uint8_t *data, size_t len)
{
    struct wire_reader r;
    uint16_t count[SECTIONS];

    if (len < DNS_HEADER_BYTES || len > DNS_MESSAGE_BYTES || (wire_get_u16(data + 2) & DNS_FLAG_QR) != 0)
        return QUERY_IGNORED;
    q->flags = wire_get_u16(data + 2);
    q->qtype = q->qclass = 0;
    q->has_question = false;
    q->edns = (struct edns){.is_there = false};
    if ((q->flags & DNS_OPCODE_MASK) != 0)
        return QUERY_UNKNOWN;

    wire_read_begin(&r, data, len);
    r.at = 4;
    for (size_t i = 0; i < SECTIONS; i++)
        count[i] = wire_read_u16(&r);
    if (count[0] > 1)
        return QUERY_MALFORMED;
    if (count[0] == 1) {
        wire_read_name(&r, &q->qname);
        q->qtype = wire_read_u16(&r);
        q->qclass = wire_read_u16(&r);
        q->has_question = !r.failed;
    }
    for (size_t section = 1; section < SECTIONS; section++) {
        for (uint32_t i = 0; i < count[section] && !r.failed; i++)
            read_record(q, &r, section == SECTION_LAST);
    }
    return !r.failed && r.at == r.len ? QUERY_READ : QUERY_MALFORMED;
}

void query_read(struct query *q, const uint8_t *data, size_t len)
{
    q->data = data;
    q->verdict = read_all(q, data, len);
}
