/* The verdict table: packing of the word, and the detail beside it. */
#include "health/verdict.h"

#include <string.h>

#include "base/assert.h"

#define STATE_MASK       UINT64_C(0x3)
#define DRAINING_BIT     (UINT64_C(1) << 2)
#define FORCED_BIT       (UINT64_C(1) << 3)
#define DEGRADED_BIT     (UINT64_C(1) << 4)
#define CHECKS_SHIFT     8
#define CHECKS_MASK      UINT64_C(0xff)
#define GENERATION_SHIFT 16
#define GENERATION_MASK  ((UINT64_C(1) << 48) - 1)

_Static_assert(sizeof(struct verdict_detail) % 8 == 0, "copied in whole words");

const char *verdict_state_text(enum verdict_state s)
{
    static const char *const texts[] = {[VERDICT_UNKNOWN] = "unknown", [VERDICT_UP] = "up", [VERDICT_DOWN] = "down"};
    ASSERT((size_t)s < sizeof texts / sizeof texts[0]);
    return texts[s];
}

const char *verdict_held_text(enum verdict_held h)
{
    static const char *const texts[] = {[VERDICT_FREE] = "",
                                        [VERDICT_HELD] = "hold",
                                        [VERDICT_HELD_FAIL_BACK] = "fail_back",
                                        [VERDICT_HELD_FLAPPING] = "flapping"};
    _Static_assert(sizeof texts / sizeof texts[0] == VERDICT_HELD_COUNT, "one text each");
    /* Read from shared memory, where anything may stand. */
    return (size_t)h < VERDICT_HELD_COUNT ? texts[h] : "";
}

uint64_t verdict_pack(const struct verdict *v)
{
    ASSERT((uint64_t)v->state <= VERDICT_DOWN);
    return (uint64_t)v->state | (v->is_draining ? DRAINING_BIT : 0) | (v->is_forced ? FORCED_BIT : 0) |
           (v->is_degraded ? DEGRADED_BIT : 0) | (uint64_t)v->checks_left << CHECKS_SHIFT |
           (v->generation & GENERATION_MASK) << GENERATION_SHIFT;
}

struct verdict verdict_unpack(uint64_t word)
{
    uint64_t state = word & STATE_MASK;
    return (struct verdict){
        .state = state <= VERDICT_DOWN ? (enum verdict_state)state : VERDICT_UNKNOWN,
        .is_draining = (word & DRAINING_BIT) != 0,
        .is_forced = (word & FORCED_BIT) != 0,
        .is_degraded = (word & DEGRADED_BIT) != 0,
        .checks_left = (uint8_t)(word >> CHECKS_SHIFT & CHECKS_MASK),
        .generation = word >> GENERATION_SHIFT & GENERATION_MASK,
    };
}

static const struct verdict_row *row_get(const struct verdict_table *t, int slot)
{
    CHECK_OBJ(t, VERDICT_MAGIC);
    ASSERT(slot >= 0 && slot < (int)SLOTS_SERVERS);
    return &t->row[slot];
}

static struct verdict_row *row_get_mutable(struct verdict_table *t, int slot)
{
    CHECK_OBJ(t, VERDICT_MAGIC);
    ASSERT(slot >= 0 && slot < (int)SLOTS_SERVERS);
    return &t->row[slot];
}

void verdict_table_init(struct verdict_table *t)
{
    memset(t, 0, sizeof *t);
    t->magic = VERDICT_MAGIC;
}

struct verdict verdict_read(const struct verdict_table *t, int slot)
{
    return verdict_unpack(atomic_load_explicit(&row_get(t, slot)->word, memory_order_acquire));
}

bool verdict_read_detail(const struct verdict_table *t, int slot, struct verdict_detail *out)
{
    const struct verdict_row *row = row_get(t, slot);
    bool is_read = seqlock_load(&row->sequence, &row->detail, out, sizeof *out);
    out->cause[VERDICT_CAUSE_BYTES - 1] = '\0';
    return is_read;
}

bool verdict_is_stale(const struct verdict_table *t, int64_t wall_ms)
{
    CHECK_OBJ(t, VERDICT_MAGIC);
    int64_t age_ms = wall_ms - atomic_load_explicit(&t->heartbeat_wall_ms, memory_order_relaxed);
    /* Far in the future is as stale: the clock was set back, and a living writer corrects that with its next beat. */
    return age_ms > VERDICT_HEARTBEAT_STALE_MS || age_ms < -VERDICT_HEARTBEAT_STALE_MS;
}

void verdict_write(struct verdict_table *t, int slot, const struct verdict *v, const struct verdict_detail *d)
{
    struct verdict_row *row = row_get_mutable(t, slot);
    struct verdict old = verdict_unpack(atomic_load_explicit(&row->word, memory_order_relaxed));
    struct verdict next = *v;
    bool is_change = old.state != v->state || old.is_draining != v->is_draining || old.is_forced != v->is_forced;

    next.generation = old.generation + (is_change ? 1u : 0u);
    seqlock_store(&row->sequence, &row->detail, d, sizeof *d);
    atomic_store_explicit(&row->word, verdict_pack(&next), memory_order_release);
}

void verdict_clear(struct verdict_table *t, int slot)
{
    struct verdict_row *row = row_get_mutable(t, slot);
    struct verdict old = verdict_unpack(atomic_load_explicit(&row->word, memory_order_relaxed));
    struct verdict next = {.generation = old.generation + 1u};

    seqlock_store(&row->sequence, &row->detail, &(struct verdict_detail){0}, sizeof(struct verdict_detail));
    atomic_store_explicit(&row->word, verdict_pack(&next), memory_order_release);
}

bool verdict_adopt(struct verdict_table *t, int slot, uint32_t era)
{
    struct verdict_row *row = row_get_mutable(t, slot);

    if (atomic_load_explicit(&row->era, memory_order_relaxed) == era)
        return true;
    verdict_clear(t, slot);
    atomic_store_explicit(&row->era, era, memory_order_release);
    return false;
}

void verdict_heartbeat(struct verdict_table *t, int64_t wall_ms)
{
    CHECK_OBJ(t, VERDICT_MAGIC);
    atomic_store_explicit(&t->heartbeat_wall_ms, wall_ms, memory_order_relaxed);
}
