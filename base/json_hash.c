/* Members are added up, so their order does not matter; elements are chained, so theirs does. Arrays and objects that
 * are open are a stack of fixed depth: a peer must not choose how deep ours gets. */
#include "base/json_hash.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define NUMBER_BYTES 48u /* a longer one is taken as it is written */

enum kind { KIND_WRITTEN = 1, KIND_STRING, KIND_FRACTION, KIND_ARRAY, KIND_OBJECT };

struct open_value {
    struct json_walk walk;
    uint64_t name;  /* of the member that is read */
    uint64_t sum;   /* of those before */
    uint64_t count; /* of them */
};

struct hashing {
    const uint8_t *key;
    struct json_scan scan;
    uint32_t depth;
    struct open_value open[JSON_HASH_DEPTH_MAX];
};

static uint64_t mix(const uint8_t *key, enum kind kind, uint64_t a, uint64_t b)
{
    const uint64_t parts[] = {kind, a, b};
    return siphash24(key, parts, sizeof parts);
}

static uint64_t hash_written(const uint8_t *key, struct json_text text)
{
    return mix(key, KIND_WRITTEN, siphash24(key, text.data, text.len), text.len);
}

static uint64_t hash_string(const uint8_t *key, struct json_string string)
{
    if (!string.has_escapes)
        return mix(key, KIND_STRING, siphash24(key, string.data, string.len), string.len);
    char *room = mem_alloc(string.len); /* escapes are longer than what they stand for */
    const size_t len = json_decode(string, room, string.len);
    const uint64_t hash = mix(key, KIND_STRING, siphash24(key, room, len), len);
    mem_free(room);
    return hash;
}

static uint64_t hash_number(const uint8_t *key, struct json_text text)
{
    char room[NUMBER_BYTES];
    bool is_whole = true;
    for (size_t i = 0; i < text.len; i++)
        is_whole = is_whole && text.data[i] != '.' && text.data[i] != 'e' && text.data[i] != 'E';
    if (is_whole || text.len >= sizeof room)
        return hash_written(key, text);
    memcpy(room, text.data, text.len);
    room[text.len] = '\0';
    const double number = strtod(room, NULL);
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return mix(key, KIND_FRACTION, bits, 0);
}

/* ---- the walk ---- */

static void take(struct hashing *h, uint64_t value)
{
    struct open_value *o = &h->open[h->depth - 1];
    o->count++;
    if (o->walk.is_object)
        o->sum += mix(h->key, KIND_OBJECT, o->name, value);
    else
        o->sum = mix(h->key, KIND_ARRAY, o->sum, value);
}

/* Behind a value: to the next one, out of all that end here. JSON_END: the outermost has ended, with this hash. */
static enum json_read go_on(struct hashing *h, uint64_t *value)
{
    while (h->depth > 0) {
        struct open_value *o = &h->open[h->depth - 1];
        struct json_string name;
        const enum json_read r = o->walk.is_object ? json_next_member(&o->walk, &name) : json_next(&o->walk);
        if (r == JSON_OK && o->walk.is_object)
            o->name = hash_string(h->key, name);
        if (r != JSON_END)
            return r;
        *value = mix(h->key, o->walk.is_object ? KIND_OBJECT : KIND_ARRAY, o->sum, o->count);
        if (--h->depth > 0)
            take(h, *value);
    }
    return JSON_END;
}

static enum json_read read_plain(struct hashing *h, char first, uint64_t *value)
{
    struct json_string string;
    struct json_text text;
    const enum json_read r = first == '"' ? json_read_string(&h->scan, &string) : json_skip(&h->scan, &text);
    if (r != JSON_OK)
        return r;
    if (first == '"')
        *value = hash_string(h->key, string);
    else if (first == '-' || (first >= '0' && first <= '9'))
        *value = hash_number(h->key, text);
    else
        *value = hash_written(h->key, text);
    return JSON_OK;
}

/* A value, or the beginning of one. */
static enum json_read go_into(struct hashing *h, uint64_t *value)
{
    char first;
    const enum json_read r = json_peek(&h->scan, &first);
    if (r != JSON_OK)
        return r;
    if ((first == '{' || first == '[') && h->depth < JSON_HASH_DEPTH_MAX) {
        struct open_value *o = &h->open[h->depth++];
        *o = (struct open_value){0};
        return json_enter(&o->walk, &h->scan);
    }
    const enum json_read plain = read_plain(h, first, value);
    if (plain == JSON_OK && h->depth > 0)
        take(h, *value);
    return plain;
}

uint64_t json_hash(const uint8_t key[16], struct json_text text)
{
    struct hashing h;
    uint64_t value = 0;
    enum json_read r;
    char rest;
    h.key = key;
    h.scan = json_scan_of(text.data, text.len, true);
    h.depth = 0;
    do {
        r = go_into(&h, &value);
        if (r == JSON_OK)
            r = go_on(&h, &value);
    } while (r == JSON_OK);
    const bool is_all = r == JSON_END && json_peek(&h.scan, &rest) != JSON_OK;
    return is_all ? value : hash_written(key, text);
}
