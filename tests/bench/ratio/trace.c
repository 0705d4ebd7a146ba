/* Traces. Ranks are drawn by a table of sums and a binary search; keys of scans lie beyond all others. */
#include "tests/bench/ratio/trace.h"

#include <math.h>

#include "base/mem.h"

#define TELLING_MAGIC 0x7e111a95u
#define SEED          0x5eed0f7e11a95u
#define FIRST_SCANNED ((uint64_t)1 << 40)

/* clang-format off */
const struct trace traces[] = {
    /* name                             skew  keys    requests  scans         shifts */
    {"Zipf 0.8",                        0.8,  100000, 1000000,      0,     0,      0,    0},
    {"Zipf 0.99",                       0.99, 100000, 1000000,      0,     0,      0,    0},
    {"Zipf 0.8, a scan now and then",   0.8,  100000, 1000000,  50000, 10000,      0,    0},
    {"Zipf 0.99, a scan now and then",  0.99, 100000, 1000000,  50000, 10000,      0,    0},
    {"Zipf 0.99, a working set that moves", 0.99, 100000, 1000000,  0,     0, 100000, 2000},
};
/* clang-format on */
const size_t trace_count = sizeof traces / sizeof traces[0];

struct telling {
    uint32_t magic;
    const struct trace *trace;
    uint64_t random;
    uint32_t told;      /* requests, without those of scans */
    uint32_t scan_left; /* of the one under way */
    uint64_t scanned;   /* keys, so far */
    uint64_t shifted;   /* ranks */
    double *sums;       /* of all weights up to a rank */
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

struct telling *telling_create(const struct trace *t)
{
    struct telling *l;
    double sum = 0;

    OBJ_NEW(l, TELLING_MAGIC);
    l->trace = t;
    l->random = SEED;
    l->sums = mem_alloc_array(t->key_count, sizeof *l->sums);
    for (uint32_t i = 0; i < t->key_count; i++) {
        sum += pow(i + 1.0, -t->skew);
        l->sums[i] = sum;
    }
    return l;
}

void telling_destroy(struct telling **tp)
{
    CHECK_OBJ(*tp, TELLING_MAGIC);
    mem_free((*tp)->sums);
    OBJ_FREE(tp, TELLING_MAGIC);
}

static uint32_t draw_rank(struct telling *l)
{
    const uint32_t count = l->trace->key_count;
    uint32_t from = 0, to = count - 1;

    l->random += 0x9e3779b97f4a7c15u;
    const double at = (double)(mix(l->random) >> 11) * 0x1p-53 * l->sums[count - 1];
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        if (l->sums[middle] > at)
            to = middle;
        else
            from = middle + 1;
    }
    return from;
}

uint64_t telling_next(struct telling *l)
{
    const struct trace *t = l->trace;

    CHECK_OBJ(l, TELLING_MAGIC);
    if (l->scan_left > 0) {
        l->scan_left--;
        return FIRST_SCANNED + l->scanned++;
    }
    l->told++;
    if (t->scan_every > 0 && l->told % t->scan_every == 0)
        l->scan_left = t->scan_count;
    if (t->shift_every > 0 && l->told % t->shift_every == 0)
        l->shifted += t->shift_count;
    return (draw_rank(l) + l->shifted) % t->key_count;
}

size_t trace_body_bytes(uint64_t key)
{
    const uint64_t random = mix(key + SEED);
    const uint64_t least = (uint64_t)256 << (random & 7u);
    return (size_t)(least + (random >> 8) % least);
}

uint64_t trace_all_bytes(const struct trace *t)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < t->key_count; i++)
        bytes += trace_body_bytes(i);
    return bytes;
}
