/* Writing one packet and reading one; see the header. What is read comes from the network: a cursor goes through it
 * and sticks at the first byte that is not there. */
#include "health/checker/dns_question.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HEADER_BYTES  12u
#define LABEL_MAX     63u
#define NAME_WIRE_MAX 255u
#define CLASS_IN      1u

#define FLAG_RESPONSE  0x80u /* of the third byte */
#define FLAG_TRUNCATED 0x02u
#define FLAG_RECURSION 0x01u
#define RCODE_MASK     0x0fu /* of the fourth */

enum { RCODE_NOERROR = 0, RCODE_NXDOMAIN = 3 };

static void put_16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint16_t get_16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* Bytes of the name on the wire; 0 when it is none. "." and a dot at the end are fine. */
static size_t put_name(uint8_t *out, const char *name)
{
    size_t at = 0;

    for (const char *label = name; *label != '\0';) {
        size_t len = strcspn(label, ".");

        if (len == 0 && label == name && label[1] == '\0')
            break; /* the root */
        if (len == 0 || len > LABEL_MAX || at + 1 + len + 1 > NAME_WIRE_MAX)
            return 0;
        out[at++] = (uint8_t)len;
        memcpy(out + at, label, len);
        at += len;
        label += len + (label[len] == '.' ? 1 : 0);
    }
    out[at++] = 0;
    return at;
}

void dns_question_make(struct dns_question *q, uint16_t id, const char *name, uint16_t type)
{
    memset(q, 0, sizeof *q);
    put_16(q->packet, id);
    q->packet[2] = FLAG_RECURSION;
    put_16(q->packet + 4, 1); /* one question */
    size_t len = put_name(q->packet + HEADER_BYTES, name);
    if (len == 0)
        return;
    put_16(q->packet + HEADER_BYTES + len, type);
    put_16(q->packet + HEADER_BYTES + len + 2, CLASS_IN);
    q->len = HEADER_BYTES + len + 4;
}

/* ---- reading ---- */

struct cursor {
    const uint8_t *data;
    size_t len, at;
    bool is_stuck;
};

static const uint8_t *take(struct cursor *c, size_t count)
{
    if (c->is_stuck || c->len - c->at < count) {
        c->is_stuck = true;
        return NULL;
    }
    c->at += count;
    return c->data + c->at - count;
}

/* A name is passed over: labels up to the root or to a pointer, which ends it. */
static void skip_name(struct cursor *c)
{
    for (;;) {
        const uint8_t *len = take(c, 1);

        if (len == NULL || *len == 0)
            return;
        if (*len >= 0xc0) {
            (void)take(c, 1);
            return;
        }
        if (*len > LABEL_MAX)
            c->is_stuck = true;
        (void)take(c, *len);
    }
}

static bool has_record(struct cursor *c, unsigned count, uint16_t type)
{
    for (unsigned i = 0; i < count && !c->is_stuck; i++) {
        skip_name(c);
        const uint8_t *head = take(c, 10);
        if (head == NULL)
            return false;
        (void)take(c, get_16(head + 8));
        if (!c->is_stuck && get_16(head) == type && get_16(head + 2) == CLASS_IN)
            return true;
    }
    return false;
}

/* The question comes back as it was asked, but for the case of its letters. Length bytes are below 'A'. */
static bool is_about(const struct dns_question *q, const uint8_t *answer, size_t len)
{
    if (len < q->len || memcmp(answer, q->packet, 2) != 0 || (answer[2] & FLAG_RESPONSE) == 0 ||
        get_16(answer + 4) != 1)
        return false;
    for (size_t i = HEADER_BYTES; i < q->len; i++)
        if (tolower(answer[i]) != tolower(q->packet[i]))
            return false;
    return true;
}

/* An error may come without the question (RFC 1035 leaves that open, and servers do so with FORMERR). */
static bool is_bare_error(const struct dns_question *q, const uint8_t *answer, size_t len)
{
    return len == HEADER_BYTES && memcmp(answer, q->packet, 2) == 0 && (answer[2] & FLAG_RESPONSE) != 0 &&
           (answer[3] & RCODE_MASK) != RCODE_NOERROR;
}

static const char *rcode_text(unsigned rcode)
{
    static const char *const texts[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
    return rcode < sizeof texts / sizeof texts[0] ? texts[rcode] : "an unusual rcode";
}

enum dns_judgement dns_question_judge(const struct dns_question *q, enum conf_dns_expect expect, const uint8_t *answer,
                                      size_t len, char *cause)
{
    cause[0] = '\0';
    if (!is_about(q, answer, len) && !is_bare_error(q, answer, len))
        return DNS_FOREIGN;
    unsigned rcode = answer[3] & RCODE_MASK;
    unsigned wanted = expect == DNS_EXPECT_NXDOMAIN ? RCODE_NXDOMAIN : RCODE_NOERROR;
    if (expect == DNS_EXPECT_ANY)
        return DNS_GOOD;
    if (rcode != wanted) {
        snprintf(cause, DNS_CAUSE_BYTES, "answered %s", rcode_text(rcode));
        return DNS_BAD;
    }
    struct cursor c = {.data = answer, .len = len, .at = q->len};
    bool needs_record = expect == DNS_EXPECT_ANSWER && (answer[2] & FLAG_TRUNCATED) == 0;
    if (!needs_record || has_record(&c, get_16(answer + 6), get_16(q->packet + q->len - 4)))
        return DNS_GOOD;
    snprintf(cause, DNS_CAUSE_BYTES, c.is_stuck ? "answer is cut off" : "no record of that type");
    return DNS_BAD;
}
