/* The counters' tables, sums over all blocks, and what is cleared when.
 *
 * Clearing a server's or a route's row touches the blocks of running processes, against the rule of one writer per
 * block: a process that adds at that very instant may put the old value back. Rows are cleared only when they get a
 * new owner, whose processes do not know it yet, so nobody adds to such a row. */
#include "base/stats.h"

#include <sys/random.h>

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define X(id, name, kind, help) [id] = {name, kind, help},
const struct stat_info stat_process_info[STAT_PROCESS_COUNT] = {STATS_PROCESS_TABLE(X)};
const struct stat_info stat_route_info[STAT_ROUTE_COUNT] = {STATS_ROUTE_TABLE(X)};
const struct stat_info stat_server_info[STAT_SERVER_COUNT] = {STATS_SERVER_TABLE(X)};
#undef X

#define X(ms) ms,
const int64_t stats_recovery_bounds_ms[STATS_RECOVERY_LONGER] = {STATS_RECOVERY_TABLE(X)};
#undef X

static const char *const closed_by_texts[CLOSED_BY_COUNT] = {
#define X(id, name) [id] = name,
    CLOSED_BY_TABLE(X)
#undef X
};

/* Rows of close codes: none, the sixteen registered ones, one per thousand, and the rest. */
enum { CODE_ROW_NONE = 0, CODE_ROW_FIRST = 1, CODE_ROW_1XXX = 17, CODE_ROW_4XXX = 20, CODE_ROW_OTHER = 21 };
static const char *const code_texts[STATS_CODE_COUNT] = {
    "none", "1000", "1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1009",
    "1010", "1011", "1012", "1013", "1014", "1015", "1xxx", "2xxx", "3xxx", "4xxx", "other",
};

const char *closed_by_text(enum closed_by by)
{
    ASSERT((unsigned)by < CLOSED_BY_COUNT);
    return closed_by_texts[by];
}

uint32_t stats_code_row(uint16_t code)
{
    if (code == 0)
        return CODE_ROW_NONE;
    if (code >= 1000 && code <= 1015)
        return CODE_ROW_FIRST + (uint32_t)(code - 1000);
    if (code >= 1000 && code <= 4999)
        return CODE_ROW_1XXX + (uint32_t)(code / 1000 - 1);
    return CODE_ROW_OTHER;
}

const char *stats_code_text(uint32_t row)
{
    ASSERT(row < STATS_CODE_COUNT);
    return code_texts[row];
}

void stats_init(struct stats *s)
{
    s->magic = STATS_MAGIC;
    ASSERT(getrandom(s->client_key, sizeof s->client_key, 0) == (ssize_t)sizeof s->client_key);
}

static void set_zero(stat_cell *c)
{
    atomic_store_explicit(c, 0, memory_order_relaxed);
}

static void clear_gauges(stat_cell *cells, const struct stat_info *info, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (info[i].kind == STAT_GAUGE)
            set_zero(&cells[i]);
}

void stats_clear_gauges(struct stats_block *b)
{
    clear_gauges(b->process, stat_process_info, STAT_PROCESS_COUNT);
    for (uint32_t i = 0; i < SLOTS_ROUTES; i++)
        clear_gauges(b->route[i], stat_route_info, STAT_ROUTE_COUNT);
    for (uint32_t i = 0; i < SLOTS_SERVERS; i++)
        clear_gauges(b->server[i], stat_server_info, STAT_SERVER_COUNT);
    for (uint32_t i = 0; i < STATS_CLIENT_COUNT; i++)
        for (uint32_t cell = 0; cell < STATS_CLIENT_CELLS; cell++) {
            atomic_store_explicit(&b->client[i][0][cell], 0, memory_order_relaxed);
            atomic_store_explicit(&b->client[i][1][cell], 0, memory_order_relaxed);
        }
}

void stats_clear_server(struct stats *s, int slot)
{
    CHECK_OBJ(s, STATS_MAGIC);
    ASSERT(slot >= 0 && (unsigned)slot < SLOTS_SERVERS);
    for (uint32_t b = 0; b < ROSTER_ROWS; b++)
        for (uint32_t i = 0; i < STAT_SERVER_COUNT; i++)
            set_zero(&s->block[b].server[slot][i]);
}

void stats_clear_route(struct stats *s, int slot)
{
    CHECK_OBJ(s, STATS_MAGIC);
    ASSERT(slot >= 0 && (unsigned)slot < SLOTS_ROUTES);
    for (uint32_t b = 0; b < ROSTER_ROWS; b++)
        for (uint32_t i = 0; i < STAT_ROUTE_COUNT; i++)
            set_zero(&s->block[b].route[slot][i]);
    for (uint32_t b = 0; b < ROSTER_ROWS; b++)
        for (uint32_t i = 0; i < STATS_RECOVERY_COUNT; i++)
            set_zero(&s->block[b].recovery[slot][i]);
}

/* Sums one cell over all blocks, given its place in the first one. */
static uint64_t sum_cell(const struct stats *s, const stat_cell *in_first)
{
    CHECK_OBJ(s, STATS_MAGIC);
    size_t offset = (size_t)((const char *)in_first - (const char *)&s->block[0]);
    uint64_t sum = 0;
    for (uint32_t b = 0; b < ROSTER_ROWS; b++)
        sum += stat_get((const stat_cell *)(const void *)((const char *)&s->block[b] + offset));
    return sum;
}

uint64_t stats_sum_process(const struct stats *s, enum stat_process id)
{
    ASSERT((unsigned)id < STAT_PROCESS_COUNT);
    return sum_cell(s, &s->block[0].process[id]);
}

uint64_t stats_sum_route(const struct stats *s, int slot, enum stat_route id)
{
    ASSERT(slot >= 0 && (unsigned)slot < SLOTS_ROUTES && (unsigned)id < STAT_ROUTE_COUNT);
    return sum_cell(s, &s->block[0].route[slot][id]);
}

uint64_t stats_sum_server(const struct stats *s, int slot, enum stat_server id)
{
    ASSERT(slot >= 0 && (unsigned)slot < SLOTS_SERVERS && (unsigned)id < STAT_SERVER_COUNT);
    return sum_cell(s, &s->block[0].server[slot][id]);
}

void stats_recovered(struct stats_block *b, int route_slot, int64_t time_ms)
{
    stat_cell *cells = b->recovery[route_slot];
    uint32_t bucket = 0;
    while (bucket < STATS_RECOVERY_LONGER && time_ms > stats_recovery_bounds_ms[bucket])
        bucket++;
    stat_add(&cells[bucket], 1);
    stat_add(&cells[STATS_RECOVERY_SUM_MS], time_ms);
}

uint64_t stats_sum_recovery(const struct stats *s, int slot, uint32_t row)
{
    ASSERT(slot >= 0 && (unsigned)slot < SLOTS_ROUTES && row < STATS_RECOVERY_COUNT);
    return sum_cell(s, &s->block[0].recovery[slot][row]);
}

uint64_t stats_sum_closes(const struct stats *s, enum closed_by by, uint32_t row)
{
    ASSERT((unsigned)by < CLOSED_BY_COUNT && row < STATS_CODE_COUNT);
    return sum_cell(s, &s->block[0].closes[by][row]);
}

uint64_t stats_sum_responses(const struct stats *s, uint32_t status)
{
    ASSERT(status < STATS_STATUS_COUNT);
    return sum_cell(s, &s->block[0].responses[status]);
}
