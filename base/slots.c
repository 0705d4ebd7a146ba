/* Names to row numbers, written by the supervisor while others read.
 *
 * A row is published by its state: name and era are written first, then the state is stored with release order. A
 * row that changes its owner is taken out (FREE), rewritten, and published again under a new era; a reader who was in
 * the middle of the old name sees text that is always terminated, and finds the new era when it looks next. */
#include "base/slots.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"

static const struct {
    size_t offset;
    uint32_t count;
} kinds[] = {
    [SLOT_SERVER] = {offsetof(struct slots, server), SLOTS_SERVERS},
    [SLOT_ROUTE] = {offsetof(struct slots, route), SLOTS_ROUTES},
};
_Static_assert(sizeof kinds / sizeof *kinds == SLOT_KINDS, "one array per kind");

static const struct slot_row *rows_of(const struct slots *s, enum slot_kind kind)
{
    CHECK_OBJ(s, SLOTS_MAGIC);
    ASSERT((unsigned)kind < SLOT_KINDS);
    return (const struct slot_row *)(const void *)((const char *)s + kinds[kind].offset);
}

static struct slot_row *rows_to_change(struct slots *s, enum slot_kind kind)
{
    CHECK_OBJ(s, SLOTS_MAGIC);
    ASSERT((unsigned)kind < SLOT_KINDS);
    return (struct slot_row *)(void *)((char *)s + kinds[kind].offset);
}

static enum slot_state state_of(const struct slot_row *r)
{
    return (enum slot_state)atomic_load_explicit(&r->state, memory_order_acquire);
}

static void set_state(struct slot_row *r, enum slot_state state)
{
    atomic_store_explicit(&r->state, (uint32_t)state, memory_order_release);
}

void slots_init(struct slots *s)
{
    s->magic = SLOTS_MAGIC;
}

int slots_find(const struct slots *s, enum slot_kind kind, const char *name)
{
    const struct slot_row *rows = rows_of(s, kind);
    for (uint32_t i = 0; i < kinds[kind].count; i++)
        if (state_of(&rows[i]) != SLOT_STATE_FREE && strncmp(rows[i].name, name, SLOTS_NAME_BYTES) == 0)
            return (int)i;
    return -1;
}

/* A row nobody ever had; when there is none left, one whose owner is gone; -1 when all are taken. */
static int row_to_assign(const struct slot_row *rows, uint32_t count)
{
    int retired = -1;
    for (uint32_t i = 0; i < count; i++) {
        enum slot_state state = state_of(&rows[i]);
        if (state == SLOT_STATE_FREE)
            return (int)i;
        if (state == SLOT_STATE_RETIRED && retired < 0)
            retired = (int)i;
    }
    return retired;
}

int slots_claim(struct slots *s, enum slot_kind kind, const char *name, bool *is_new)
{
    struct slot_row *rows = rows_to_change(s, kind);
    size_t len = strlen(name);
    if (len == 0 || len >= SLOTS_NAME_BYTES)
        return -1;
    int slot = slots_find(s, kind, name);
    bool assigned = slot < 0;
    if (assigned) {
        slot = row_to_assign(rows, kinds[kind].count);
        if (slot < 0)
            return -1;
        struct slot_row *r = &rows[slot];
        set_state(r, SLOT_STATE_FREE);
        atomic_thread_fence(memory_order_release);
        memset(r->name, 0, sizeof r->name);
        memcpy(r->name, name, len);
        atomic_fetch_add_explicit(&r->era, 1, memory_order_relaxed);
    }
    set_state(&rows[slot], SLOT_STATE_IN_USE);
    if (is_new != NULL)
        *is_new = assigned;
    return slot;
}

void slots_retire(struct slots *s, enum slot_kind kind, int slot)
{
    struct slot_row *rows = rows_to_change(s, kind);
    ASSERT(slot >= 0 && (uint32_t)slot < kinds[kind].count);
    ASSERT(state_of(&rows[slot]) != SLOT_STATE_FREE);
    set_state(&rows[slot], SLOT_STATE_RETIRED);
}

const char *slots_name(const struct slots *s, enum slot_kind kind, int slot)
{
    const struct slot_row *rows = rows_of(s, kind);
    ASSERT(slot >= 0 && (uint32_t)slot < kinds[kind].count);
    return state_of(&rows[slot]) != SLOT_STATE_FREE ? rows[slot].name : NULL;
}
