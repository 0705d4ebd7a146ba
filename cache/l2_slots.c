/* Hash slots and what nodes say of them. The hard part is not to believe too much: numbers out of range, hosts that are
 * none, arrays of the wrong shape and more nodes than anybody runs come from broken proxies as well as from malice. */
#include "cache/l2_slots.h"

#include <string.h>

#include "base/assert.h"

/* What "?" is in an address: the node has no name although names were asked for (Redis 7). */
#define HOST_UNKNOWN "?"

/* ---- places ---- */

static bool host_is_sound(const char *host, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)host[i] <= ' ' || (unsigned char)host[i] >= 0x7f || host[i] == '/' || host[i] == '[' ||
            host[i] == ']' || host[i] == '?')
            return false;
    return true;
}

static bool place_set(struct l2_address *at, const char *host, size_t host_len, int64_t port,
                      const struct l2_address *teller)
{
    if (host_len == 0 && !teller->is_unix) {
        host = teller->host;
        host_len = strlen(host);
    }
    memset(at, 0, sizeof *at);
    if (host_len == 0 || host_len >= sizeof at->host || port < 1 || port > UINT16_MAX || !host_is_sound(host, host_len))
        return false;
    memcpy(at->host, host, host_len);
    at->port = (uint16_t)port;
    return true;
}

/* Digits and nothing else; -1 when it is no number up to `max`. */
static int64_t number_of(const char *text, size_t len, int64_t max)
{
    int64_t n = 0;
    if (len == 0)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        n = n * 10 + (text[i] - '0');
        if (n > max)
            return -1;
    }
    return n;
}

/* ---- slots of keys ---- */

/* CRC16 with polynomial 0x1021, begun with zero, four bits at a time. */
static uint16_t crc16(const uint8_t *data, size_t len)
{
    static const uint16_t step[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                      0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint16_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc << 4) ^ step[(crc >> 12) ^ (data[i] >> 4)];
        crc = (uint16_t)(crc << 4) ^ step[(crc >> 12) ^ (data[i] & 0x0f)];
    }
    return crc;
}

uint16_t l2_slot_of(const void *key, size_t key_len)
{
    const char *text = key;
    const char *open = key_len ? memchr(text, '{', key_len) : NULL;
    const char *end = text + key_len;
    const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;
    if (close && close > open + 1) {
        text = open + 1;
        key_len = (size_t)(close - text);
    }
    return crc16((const uint8_t *)text, key_len) % L2_SLOT_COUNT;
}

/* ---- the map ---- */

void l2_slots_init(struct l2_slots *s)
{
    s->node_count = 0;
    memset(s->owner, L2_SLOT_NOBODY, sizeof s->owner);
}

int l2_slots_owner(const struct l2_slots *s, uint16_t slot)
{
    ASSERT(slot < L2_SLOT_COUNT);
    return s->owner[slot] == L2_SLOT_NOBODY ? -1 : (int)s->owner[slot];
}

/* Index of the node, which is added when it is new; -1 when there are too many. */
static int node_index(struct l2_slots *s, const struct l2_address *at)
{
    for (uint32_t i = 0; i < s->node_count; i++)
        if (l2_address_equal(&s->node[i], at))
            return (int)i;
    if (s->node_count == L2_NODES_MAX)
        return -1;
    s->node[s->node_count] = *at;
    return (int)s->node_count++;
}

int l2_slots_move(struct l2_slots *s, uint16_t slot, const struct l2_address *to)
{
    ASSERT(slot < L2_SLOT_COUNT);
    int node = node_index(s, to);
    if (node >= 0)
        s->owner[slot] = (uint8_t)node;
    return node;
}

/* ---- CLUSTER SLOTS ---- */

static bool is_array(const struct l2_reply *r, size_t least)
{
    return r->kind == L2_ARRAY && r->len >= least;
}

static bool is_text(const struct l2_reply *r)
{
    return r->kind == L2_BULK || r->kind == L2_STATUS;
}

/* The address in a node's further properties (Redis 7: name, value, name, value ...); NULL when it has none. */
static const struct l2_reply *ip_among(const struct l2_reply *node)
{
    const struct l2_reply *list = node->len > 3 ? node->elements[3] : NULL;
    if (!list || !is_array(list, 2))
        return NULL;
    for (size_t i = 0; i + 1 < list->len; i += 2)
        if (l2_reply_is_text(list->elements[i], "ip") && is_text(list->elements[i + 1]))
            return list->elements[i + 1];
    return NULL;
}

/* A node of a range: host (or nil: that of the teller), port, id, properties. ERR_NOT_FOUND when it cannot be gone to,
 * ERR_INVALID when it is no node at all. */
static enum err node_read(struct l2_address *at, const struct l2_reply *node, const struct l2_address *teller)
{
    if (!is_array(node, 2) || node->elements[1]->kind != L2_INTEGER)
        return ERR_INVALID;
    const struct l2_reply *host = node->elements[0];
    int64_t port = node->elements[1]->integer;
    bool is_placed;
    if (host->kind == L2_NIL) {
        is_placed = place_set(at, "", 0, port, teller);
    } else if (!is_text(host)) {
        return ERR_INVALID;
    } else if (!l2_reply_is_text(host, HOST_UNKNOWN)) {
        is_placed = place_set(at, host->text, host->len, port, teller);
    } else {
        const struct l2_reply *ip = ip_among(node);
        is_placed = ip && ip->len > 0 && place_set(at, ip->text, ip->len, port, teller);
    }
    return is_placed ? ERR_NONE : ERR_NOT_FOUND;
}

static enum err range_read(struct l2_slots *s, const struct l2_reply *range, const struct l2_address *teller)
{
    struct l2_address at;
    if (!is_array(range, 3) || range->elements[0]->kind != L2_INTEGER || range->elements[1]->kind != L2_INTEGER)
        return ERR_INVALID;
    int64_t first = range->elements[0]->integer, last = range->elements[1]->integer;
    if (first < 0 || last < first || last >= (int64_t)L2_SLOT_COUNT)
        return ERR_INVALID;
    enum err e = node_read(&at, range->elements[2], teller);
    if (e != ERR_NONE)
        return e == ERR_NOT_FOUND ? ERR_NONE : e;
    int node = node_index(s, &at);
    if (node < 0)
        return ERR_LIMIT;
    memset(&s->owner[first], node, (size_t)(last - first + 1));
    return ERR_NONE;
}

enum err l2_slots_read(struct l2_slots *s, const struct l2_reply *reply, const struct l2_address *teller)
{
    l2_slots_init(s);
    /* More ranges than slots cannot all mean something. */
    if (!is_array(reply, 0) || reply->len > L2_SLOT_COUNT)
        return ERR_INVALID;
    for (size_t i = 0; i < reply->len; i++) {
        enum err e = range_read(s, reply->elements[i], teller);
        if (e != ERR_NONE)
            return e;
    }
    return s->node_count > 0 ? ERR_NONE : ERR_NOT_FOUND;
}

/* ---- redirects ---- */

/* The next word of a text whose words stand one space apart; *len 0: there is none. */
static const char *next_word(const char **rest, size_t *len)
{
    const char *word = *rest, *end = strchrnul(word, ' ');
    *len = (size_t)(end - word);
    *rest = *end ? end + 1 : end;
    return word;
}

/* The port stands after the last colon. Some servers say a name as well, after a comma. */
bool l2_redirect_read(struct l2_redirect *r, const struct l2_reply *error, const struct l2_address *teller)
{
    ASSERT(error->kind == L2_ERROR);
    const char *rest = error->text;
    size_t len;
    (void)next_word(&rest, &len);
    const char *slot_text = next_word(&rest, &len);
    int64_t slot = number_of(slot_text, len, L2_SLOT_COUNT - 1);
    const char *place = next_word(&rest, &len);
    const char *comma = memchr(place, ',', len);
    if (comma)
        len = (size_t)(comma - place);
    const char *colon = memrchr(place, ':', len);
    if (slot < 0 || !colon)
        return false;
    size_t host_len = (size_t)(colon - place);
    r->slot = (uint16_t)slot;
    return place_set(&r->to, place, host_len, number_of(colon + 1, len - host_len - 1, UINT16_MAX), teller);
}
