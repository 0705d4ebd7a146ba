/* Names and cursors of DNS messages.
 *
 * The hard part is compression. Reading: a pointer is believed only when it points before the place the name (or the
 * piece of it that held the last pointer) began, so each jump makes the rest of the way shorter and a loop cannot be
 * written down. Writing: the suffixes that stand in the message are remembered by where they came from, uncompressed,
 * so that a comparison is one memcmp of equal lengths and never follows a pointer. */
#include "health/dns/wire.h"

#include <string.h>
#include <strings.h>

#include "base/assert.h"

#define POINTER_BITS  0xc0u
#define POINTER_REACH 0x4000u

static const struct {
    uint16_t number;
    const char *text;
} type_names[] = {
#define X(name, number, text) {number, text},
    DNS_TYPE_TABLE(X)
#undef X
};

const char *dns_type_text(uint16_t type)
{
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (type_names[i].number == type)
            return type_names[i].text;
    }
    return NULL;
}

uint16_t dns_type_of(const char *text)
{
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (strcasecmp(type_names[i].text, text) == 0)
            return type_names[i].number;
    }
    return 0;
}

static inline uint8_t lower(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

/* ---- names ---- */
void dns_name_from_wire(struct dns_name *out, const uint8_t *wire)
{
    size_t at = 0;
    out->label_count = 0;
    while (wire[at] != 0) {
        out->label_at[out->label_count++] = (uint8_t)at;
        out->wire[at] = wire[at];
        for (size_t end = at + wire[at]; at < end;) {
            at++;
            out->wire[at] = lower(wire[at]);
        }
        at++;
    }
    out->wire[at] = 0;
    out->label_at[out->label_count] = (uint8_t)at;
    out->len = (uint8_t)(at + 1);
}

/* One character of a label and how much of the text it took: itself, \X or \DDD. 0: not a character. */
static size_t text_char(const char *text, uint8_t *c)
{
    if (text[0] != '\\') {
        *c = (uint8_t)text[0];
        return 1;
    }
    if (text[1] < '0' || text[1] > '9') {
        *c = (uint8_t)text[1];
        return text[1] != '\0' ? 2 : 0;
    }
    unsigned n = 0;
    for (size_t i = 1; i <= 3; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        n = n * 10 + (unsigned)(text[i] - '0');
    }
    *c = (uint8_t)n;
    return n <= 255 ? 4 : 0;
}

/* Labels of `text` into `wire`, without the empty one; `*is_whole` when it ended with a dot. */
static const char *parse_labels(uint8_t wire[DNS_NAME_BYTES], size_t *len, const char *text, bool *is_whole)
{
    size_t head = 0, at = 1; /* of the label being read */

    *is_whole = false;
    while (*text != '\0') {
        uint8_t c;
        if (*text == '.') {
            if (at == head + 1)
                return "has an empty label";
            wire[head] = (uint8_t)(at - head - 1);
            head = at++;
            text++;
            *is_whole = *text == '\0';
            continue;
        }
        size_t taken = text_char(text, &c);
        if (taken == 0)
            return "has a broken escape";
        if (at - head > DNS_LABEL_BYTES)
            return "has a label of more than 63 bytes";
        if (at >= DNS_NAME_BYTES - 1)
            return "is longer than 255 bytes";
        wire[at++] = lower(c);
        text += taken;
    }
    if (at > head + 1)
        wire[head] = (uint8_t)(at - head - 1);
    *len = at > head + 1 ? at : head;
    return NULL;
}

const char *dns_name_under(struct dns_name *out, const char *text, const struct dns_name *origin)
{
    uint8_t wire[DNS_NAME_BYTES];
    size_t len = 0;
    bool is_whole = true;

    if (strcmp(text, "@") == 0) {
        *out = *origin;
        return NULL;
    }
    if (*text == '\0')
        return "is empty";
    if (strcmp(text, ".") != 0) {
        const char *why = parse_labels(wire, &len, text, &is_whole);
        if (why != NULL)
            return why;
    }
    if (is_whole) {
        wire[len] = 0;
    } else {
        if (len + origin->len > DNS_NAME_BYTES)
            return "is longer than 255 bytes";
        memcpy(wire + len, origin->wire, origin->len);
    }
    dns_name_from_wire(out, wire);
    return NULL;
}

const char *dns_name_of(struct dns_name *out, const char *text)
{
    static const struct dns_name root = {.len = 1};

    if (strcmp(text, "@") == 0)
        return "is not a name";
    return dns_name_under(out, text, &root);
}

const char *dns_name_text(const uint8_t *name, char out[DNS_NAME_TEXT_BYTES])
{
    size_t at = 0;
    if (*name == 0)
        out[at++] = '.';
    while (*name != 0) {
        for (uint8_t left = *name++; left > 0; left--, name++) {
            if (*name == '.' || *name == '\\') {
                out[at++] = '\\';
                out[at++] = (char)*name;
            } else if (*name > 0x20 && *name < 0x7f) {
                out[at++] = (char)*name;
            } else {
                out[at++] = '\\';
                out[at++] = (char)('0' + *name / 100);
                out[at++] = (char)('0' + *name / 10 % 10);
                out[at++] = (char)('0' + *name % 10);
            }
        }
        out[at++] = '.';
    }
    out[at] = '\0';
    return out;
}

bool dns_name_is_in(const struct dns_name *name, const struct dns_name *zone)
{
    if (name->label_count < zone->label_count)
        return false;
    size_t at = name->label_at[name->label_count - zone->label_count];
    return (size_t)name->len - at == zone->len && memcmp(name->wire + at, zone->wire, zone->len) == 0;
}

/* ---- reading ---- */
void wire_read_begin(struct wire_reader *r, const uint8_t *data, size_t len)
{
    *r = (struct wire_reader){.data = data, .len = len};
}

/* The labels that stand at `at` in one piece, appended to `out`; `at` is moved behind them, to the empty label or to
 * a pointer. False: no room, or no label. */
static bool read_labels(const struct wire_reader *r, size_t *at, struct dns_name *out, size_t *len)
{
    for (;;) {
        if (*at >= r->len)
            return false;
        uint8_t size = r->data[*at];
        if (size == 0 || size >= POINTER_BITS)
            return true;
        if (size > DNS_LABEL_BYTES || r->len - *at <= size || *len + size + 2 > DNS_NAME_BYTES)
            return false;
        out->label_at[out->label_count++] = (uint8_t)*len;
        const uint8_t *from = r->data + *at;
        uint8_t *to = out->wire + *len;
        to[0] = size;
        for (size_t i = 1; i <= size; i++)
            to[i] = lower(from[i]);
        *len += size + 1u;
        *at += size + 1u;
    }
}

void wire_read_name(struct wire_reader *r, struct dns_name *out)
{
    size_t at = r->at, floor = r->at, end = 0, len = 0;

    out->len = 1;
    out->label_count = 0;
    out->wire[0] = 0;
    out->label_at[0] = 0;
    if (r->failed)
        return;
    r->failed = true;
    for (;;) {
        if (!read_labels(r, &at, out, &len))
            return;
        if (r->data[at] == 0)
            break;
        if (r->len - at < 2)
            return;
        size_t to = wire_get_u16(r->data + at) & (POINTER_REACH - 1);
        if (end == 0)
            end = at + 2;
        if (to >= floor || to < DNS_HEADER_BYTES)
            return;
        at = floor = to;
    }
    out->label_at[out->label_count] = (uint8_t)len;
    out->wire[len] = 0;
    out->len = (uint8_t)(len + 1);
    r->at = end != 0 ? end : at + 1;
    r->failed = false;
}

void wire_skip_name(struct wire_reader *r)
{
    size_t begin = r->at;
    while (!r->failed) {
        uint8_t size = wire_read_u8(r);
        if (size >= POINTER_BITS)
            (void)wire_read_u8(r);
        if (size == 0 || size >= POINTER_BITS)
            break;
        if (size > DNS_LABEL_BYTES)
            r->failed = true;
        (void)wire_read_bytes(r, size);
    }
    if (r->at - begin > DNS_NAME_BYTES)
        r->failed = true;
}

/* ---- writing ---- */
void wire_write_begin(struct wire_writer *w, uint8_t *data, size_t cap_bytes)
{
    w->data = data;
    w->cap_bytes = cap_bytes;
    w->len = 0;
    w->failed = false;
    w->known_count = 0;
}

void wire_write_bytes(struct wire_writer *w, const void *data, size_t len)
{
    uint8_t *to = wire_write_room(w, len);
    if (to != NULL && len > 0)
        memcpy(to, data, len);
}

static void remember(struct wire_writer *w, const uint8_t *name, size_t len, size_t at)
{
    if (w->known_count < WIRE_KNOWN_MAX && at < POINTER_REACH)
        w->known[w->known_count++] = (struct wire_known){.name = name, .at = (uint16_t)at, .len = (uint8_t)len};
}

/* Where the name stands already, or 0. */
static uint16_t find_known(const struct wire_writer *w, const uint8_t *name, size_t len)
{
    for (uint32_t i = 0; i < w->known_count; i++) {
        const struct wire_known *k = &w->known[i];
        if (k->len == len && (k->name == name || memcmp(k->name, name, len) == 0))
            return k->at;
    }
    return 0;
}

void wire_write_name(struct wire_writer *w, const uint8_t *name, size_t len)
{
    ASSERT(len >= 1 && len <= DNS_NAME_BYTES);
    while (!w->failed && len > 1) {
        uint16_t at = find_known(w, name, len);
        if (at != 0) {
            wire_write_u16(w, (uint16_t)(POINTER_BITS << 8 | at));
            return;
        }
        size_t size = name[0] + 1u, begin = w->len;
        wire_write_bytes(w, name, size);
        if (!w->failed)
            remember(w, name, len, begin);
        name += size;
        len -= size;
    }
    wire_write_u8(w, 0);
}

void wire_write_known(struct wire_writer *w, const struct dns_name *name, size_t at)
{
    for (size_t i = 0; i < name->label_count; i++) {
        size_t from = name->label_at[i];
        remember(w, name->wire + from, name->len - from, at + from);
    }
}

void wire_write_rewind(struct wire_writer *w, size_t len)
{
    ASSERT(len <= w->len);
    w->len = len;
    w->failed = false;
    while (w->known_count > 0 && w->known[w->known_count - 1].at >= len)
        w->known_count--;
}
