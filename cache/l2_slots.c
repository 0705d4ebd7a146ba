/* Hash slots and what nodes say of them. The hard part is not to believe too much: numbers out of range, hosts that are
 * none, arrays of the wrong shape and more nodes than anybody runs come from broken proxies as well as from malice. */
#include "cache/l2_slots.h"

#include <hiredis/hiredis.h>
#include <string.h>
#include <strings.h>

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

bool l2_at_set(struct l2_at *at, const char *host, size_t host_len, int64_t port)
{
    memset(at, 0, sizeof *at);
    if (host_len >= sizeof at->host || port < 1 || port > UINT16_MAX || !host_is_sound(host, host_len))
        return false;
    if (host_len > 0)
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

/* The port stands after the last colon, for IPv6 addresses come without brackets here. What else follows the port
 * (",hostname" in some versions) is not part of it. */
bool l2_at_parse(struct l2_at *at, const char *text, size_t len)
{
    const char *comma = memchr(text, ',', len);
    if (comma)
        len = (size_t)(comma - text);
    const char *colon = memrchr(text, ':', len);
    memset(at, 0, sizeof *at);
    if (!colon)
        return false;
    size_t host_len = (size_t)(colon - text);
    int64_t port = number_of(colon + 1, len - host_len - 1, UINT16_MAX);
    if (host_len >= 2 && text[0] == '[' && colon[-1] == ']')
        return l2_at_set(at, text + 1, host_len - 2, port);
    return l2_at_set(at, text, host_len, port);
}

bool l2_at_equal(const struct l2_at *a, const struct l2_at *b)
{
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

void l2_at_complete(struct l2_at *at, const struct l2_at *teller)
{
    if (at->host[0] == '\0')
        memcpy(at->host, teller->host, sizeof at->host);
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

const struct l2_at *l2_slots_node(const struct l2_slots *s, uint16_t slot)
{
    ASSERT(slot < L2_SLOT_COUNT);
    return s->owner[slot] == L2_SLOT_NOBODY ? NULL : &s->node[s->owner[slot]];
}

/* Index of the node, which is added when it is new; -1 when there are too many. */
static int node_index(struct l2_slots *s, const struct l2_at *at)
{
    for (uint32_t i = 0; i < s->node_count; i++)
        if (l2_at_equal(&s->node[i], at))
            return (int)i;
    if (s->node_count == L2_NODES_MAX)
        return -1;
    s->node[s->node_count] = *at;
    return (int)s->node_count++;
}

bool l2_slots_move(struct l2_slots *s, uint16_t slot, const struct l2_at *to)
{
    ASSERT(slot < L2_SLOT_COUNT && to->port != 0);
    int node = node_index(s, to);
    if (node < 0)
        return false;
    s->owner[slot] = (uint8_t)node;
    return true;
}

static bool is_text(const redisReply *r)
{
    return r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS;
}

/* The address in a node's further properties (Redis 7: name, value, name, value ...); NULL when it has none. */
static const redisReply *ip_among(const redisReply *node)
{
    const redisReply *list = node->elements > 3 ? node->element[3] : NULL;
    if (!list || list->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < list->elements; i += 2)
        if (is_text(list->element[i]) && strcmp(list->element[i]->str, "ip") == 0 && is_text(list->element[i + 1]))
            return list->element[i + 1];
    return NULL;
}

/* A node of a range: host (or null: that of the teller), port, id, properties. False when it has no shape at all;
 * at->port is 0 when it can not be gone to. */
static bool node_read(struct l2_at *at, const redisReply *node, const struct l2_at *teller)
{
    memset(at, 0, sizeof *at);
    if (node->type != REDIS_REPLY_ARRAY || node->elements < 2 || node->element[1]->type != REDIS_REPLY_INTEGER)
        return false;
    const redisReply *host = node->element[0];
    int64_t port = node->element[1]->integer;
    bool is_placed = false;
    if (host->type == REDIS_REPLY_NIL) {
        is_placed = l2_at_set(at, "", 0, port);
    } else if (!is_text(host)) {
        return false;
    } else if (strcmp(host->str, HOST_UNKNOWN) != 0) {
        is_placed = l2_at_set(at, host->str, host->len, port);
    } else {
        const redisReply *ip = ip_among(node);
        is_placed = ip && ip->len > 0 && l2_at_set(at, ip->str, ip->len, port);
    }
    if (!is_placed)
        memset(at, 0, sizeof *at);
    else
        l2_at_complete(at, teller);
    return true;
}

static enum err range_read(struct l2_slots *s, const redisReply *range, const struct l2_at *teller)
{
    struct l2_at at;
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 || range->element[0]->type != REDIS_REPLY_INTEGER ||
        range->element[1]->type != REDIS_REPLY_INTEGER)
        return ERR_INVALID;
    long long first = range->element[0]->integer, last = range->element[1]->integer;
    if (first < 0 || last < first || last >= (long long)L2_SLOT_COUNT || !node_read(&at, range->element[2], teller))
        return ERR_INVALID;
    if (at.port == 0 || at.host[0] == '\0')
        return ERR_NONE;
    int node = node_index(s, &at);
    if (node < 0)
        return ERR_LIMIT;
    memset(&s->owner[first], node, (size_t)(last - first + 1));
    return ERR_NONE;
}

enum err l2_slots_read(struct l2_slots *s, const void *reply, const struct l2_at *teller)
{
    const redisReply *ranges = reply;
    l2_slots_init(s);
    /* More ranges than slots cannot all mean something. */
    if (ranges->type != REDIS_REPLY_ARRAY || ranges->elements > L2_SLOT_COUNT)
        return ERR_INVALID;
    for (size_t i = 0; i < ranges->elements; i++) {
        enum err e = range_read(s, ranges->element[i], teller);
        if (e != ERR_NONE)
            return e;
    }
    return s->node_count > 0 ? ERR_NONE : ERR_NOT_FOUND;
}

/* ---- pleas ---- */

static const struct {
    const char *word;
    enum l2_plea plea;
} pleas[] = {
    {"MOVED", L2_PLEA_MOVED},           {"ASK", L2_PLEA_ASK},
    {"TRYAGAIN", L2_PLEA_TRYAGAIN},     {"CLUSTERDOWN", L2_PLEA_CLUSTERDOWN},
    {"LOADING", L2_PLEA_LOADING},       {"READONLY", L2_PLEA_READONLY},
    {"MASTERDOWN", L2_PLEA_MASTERDOWN},
};
_Static_assert(sizeof pleas / sizeof pleas[0] == L2_PLEA_COUNT - 1, "every plea has its word");

/* "3999 127.0.0.1:6381". False when there is no such slot; to.port stays 0 when the place makes no sense. */
static bool redirect_read(struct l2_redirect *r, const char *text, size_t len)
{
    const char *space = len ? memchr(text, ' ', len) : NULL;
    memset(r, 0, sizeof *r);
    if (!space)
        return false;
    int64_t slot = number_of(text, (size_t)(space - text), L2_SLOT_COUNT - 1);
    if (slot < 0)
        return false;
    r->slot = (uint16_t)slot;
    if (!l2_at_parse(&r->to, space + 1, len - (size_t)(space + 1 - text)))
        memset(&r->to, 0, sizeof r->to);
    return true;
}

enum l2_plea l2_plea_of(const char *text, size_t len, struct l2_redirect *r)
{
    const char *space = len ? memchr(text, ' ', len) : NULL;
    size_t word_len = space ? (size_t)(space - text) : len;
    for (size_t i = 0; i < sizeof pleas / sizeof pleas[0]; i++) {
        if (strlen(pleas[i].word) != word_len || memcmp(pleas[i].word, text, word_len) != 0)
            continue;
        bool is_redirect = pleas[i].plea == L2_PLEA_MOVED || pleas[i].plea == L2_PLEA_ASK;
        struct l2_redirect unused;
        if (is_redirect && (!space || !redirect_read(r ? r : &unused, space + 1, len - word_len - 1)))
            return L2_PLEA_NONE;
        return pleas[i].plea;
    }
    return L2_PLEA_NONE;
}
