/* The map: a power-of-two table, linear probing, at most three quarters full. An entry keeps its whole hash, so that
 * growing needs no hashing and a probe compares keys only when all 64 bits agree. Removal moves later entries of
 * the same run back (Knuth 6.4, algorithm R) instead of leaving tombstones: a map that lives for months under churn
 * stays as fast as a new one. */
#include "base/map.h"

#include <endian.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

#define MAP_MAGIC     0x3a9e5d17u
#define MAP_MIN_SLOTS 8u

struct map_entry {
    uint64_t hash;
    void *key; /* owned copy */
    size_t key_len;
    void *value; /* NULL: the slot is free */
};

struct map {
    uint32_t magic;
    uint8_t secret[16];
    size_t count;
    size_t mask; /* number of slots - 1 */
    struct map_entry *slot;
};

/* ---- SipHash-2-4 ---- */
static inline uint64_t rotl(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t load_le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

/* The state, in variables of their own: an array would be kept in memory. */
struct sip {
    uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *v)
{
    v->a += v->b;
    v->b = rotl(v->b, 13) ^ v->a;
    v->a = rotl(v->a, 32);
    v->c += v->d;
    v->d = rotl(v->d, 16) ^ v->c;
    v->a += v->d;
    v->d = rotl(v->d, 21) ^ v->a;
    v->c += v->b;
    v->b = rotl(v->b, 17) ^ v->c;
    v->c = rotl(v->c, 32);
}

static inline void sip_word(struct sip *v, uint64_t word)
{
    v->d ^= word;
    sip_round(v);
    sip_round(v);
    v->a ^= word;
}

uint64_t siphash24(const uint8_t key[16], const void *data, size_t len)
{
    const uint8_t *p = data;
    const uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
    struct sip v = {
        .a = k0 ^ 0x736f6d6570736575u,
        .b = k1 ^ 0x646f72616e646f6du,
        .c = k0 ^ 0x6c7967656e657261u,
        .d = k1 ^ 0x7465646279746573u,
    };
    uint64_t last = (uint64_t)len << 56;
    size_t rest = len;

    for (; rest >= 8; rest -= 8, p += 8)
        sip_word(&v, load_le64(p));
    for (size_t i = 0; i < rest; i++)
        last |= (uint64_t)p[i] << (8 * i);
    sip_word(&v, last);
    v.c ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        sip_round(&v);
    return v.a ^ v.b ^ v.c ^ v.d;
}

/* ---- the table ---- */
struct map *map_create(void)
{
    struct map *m;

    OBJ_NEW(m, MAP_MAGIC);
    ssize_t got = getrandom(m->secret, sizeof m->secret, 0);
    ASSERT(got == (ssize_t)sizeof m->secret);
    m->mask = MAP_MIN_SLOTS - 1;
    m->slot = mem_alloc_array(MAP_MIN_SLOTS, sizeof *m->slot);
    return m;
}

void map_destroy(struct map **mp)
{
    struct map *m = *mp;

    CHECK_OBJ(m, MAP_MAGIC);
    for (size_t i = 0; i <= m->mask; i++)
        mem_free(m->slot[i].key);
    mem_free(m->slot);
    mem_wipe(m->secret, sizeof m->secret);
    OBJ_FREE(mp, MAP_MAGIC);
}

/* The entry of the key, or the free slot where it belongs. */
static struct map_entry *find(const struct map *m, uint64_t hash, const void *key, size_t key_len)
{
    size_t i = hash & m->mask;

    while (m->slot[i].value != NULL) {
        const struct map_entry *e = &m->slot[i];

        if (e->hash == hash && e->key_len == key_len && (key_len == 0 || memcmp(e->key, key, key_len) == 0))
            break;
        i = (i + 1) & m->mask;
    }
    return &m->slot[i];
}

static void grow(struct map *m)
{
    struct map_entry *old = m->slot;
    size_t old_count = m->mask + 1;

    m->mask = old_count * 2 - 1;
    m->slot = mem_alloc_array(old_count * 2, sizeof *m->slot);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].value == NULL)
            continue;
        size_t at = old[i].hash & m->mask;
        while (m->slot[at].value != NULL)
            at = (at + 1) & m->mask;
        m->slot[at] = old[i];
    }
    mem_free(old);
}

void *map_get(const struct map *m, const void *key, size_t key_len)
{
    CHECK_OBJ(m, MAP_MAGIC);
    return find(m, siphash24(m->secret, key, key_len), key, key_len)->value;
}

void *map_put(struct map *m, const void *key, size_t key_len, void *value)
{
    CHECK_OBJ(m, MAP_MAGIC);
    ASSERT(value != NULL);
    uint64_t hash = siphash24(m->secret, key, key_len);
    struct map_entry *e = find(m, hash, key, key_len);
    void *before = e->value;

    if (before != NULL) {
        e->value = value;
        return before;
    }
    if ((m->count + 1) * 4 > (m->mask + 1) * 3) {
        grow(m);
        e = find(m, hash, key, key_len);
    }
    *e = (struct map_entry){.hash = hash, .key = mem_strndup(key, key_len), .key_len = key_len, .value = value};
    m->count++;
    return NULL;
}

void *map_remove(struct map *m, const void *key, size_t key_len)
{
    CHECK_OBJ(m, MAP_MAGIC);
    struct map_entry *e = find(m, siphash24(m->secret, key, key_len), key, key_len);
    void *value = e->value;

    if (value == NULL)
        return NULL;
    mem_free(e->key);
    m->count--;
    /* Close the gap: an entry further along the run moves into it unless its home lies after the gap. */
    size_t gap = (size_t)(e - m->slot);
    for (size_t i = (gap + 1) & m->mask; m->slot[i].value != NULL; i = (i + 1) & m->mask) {
        size_t from_home = (i - m->slot[i].hash) & m->mask;
        size_t from_gap = (i - gap) & m->mask;

        if (from_home >= from_gap) {
            m->slot[gap] = m->slot[i];
            gap = i;
        }
    }
    m->slot[gap] = (struct map_entry){0};
    return value;
}

size_t map_count(const struct map *m)
{
    CHECK_OBJ(m, MAP_MAGIC);
    return m->count;
}

bool map_next(const struct map *m, size_t *cursor, const void **key, size_t *key_len, void **value)
{
    CHECK_OBJ(m, MAP_MAGIC);
    while (*cursor <= m->mask) {
        const struct map_entry *e = &m->slot[(*cursor)++];

        if (e->value == NULL)
            continue;
        if (key != NULL)
            *key = e->key;
        if (key_len != NULL)
            *key_len = e->key_len;
        *value = e->value;
        return true;
    }
    return false;
}
