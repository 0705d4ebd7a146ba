/* Stable numbers for named things.
 *
 * Counters, verdicts and positions live in shared arrays; this table says which row belongs to whom, so that rows
 * stay with their owner over reloads and restarts. The supervisor is the only writer; everyone looks names up
 * after loading a configuration. A name that left the configuration keeps its row (retired) until the table is
 * full and the row is needed for another name. */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SLOTS_MAGIC      0x510752a1u
#define SLOTS_NAME_BYTES 128u
#define SLOTS_SERVERS    256u
#define SLOTS_ROUTES     256u

enum slot_kind { SLOT_SERVER = 0 /* "pool/server" */, SLOT_ROUTE, SLOT_KINDS };
enum slot_state { SLOT_STATE_FREE = 0, SLOT_STATE_IN_USE, SLOT_STATE_RETIRED };

struct slot_row {
    _Atomic uint32_t state;
    _Atomic uint32_t era; /* grows when the row changes its owner: readers of a row reset what they derived from it */
    char name[SLOTS_NAME_BYTES];
};

struct slots {
    uint32_t magic;
    struct slot_row server[SLOTS_SERVERS];
    struct slot_row route[SLOTS_ROUTES];
};

void slots_init(struct slots *s); /* supervisor, once, on zeroed shared memory */
/* The row of `name`, or -1. */
int slots_find(const struct slots *s, enum slot_kind kind, const char *name);
/* Finds or assigns a row; -1 when all rows are in use. *is_new (may be NULL) tells whether its arrays must be cleared.
 * Supervisor only. */
int slots_claim(struct slots *s, enum slot_kind kind, const char *name, bool *is_new);
void slots_retire(struct slots *s, enum slot_kind kind, int slot);
/* Name of a row in use or retired, NULL for a free one. */
const char *slots_name(const struct slots *s, enum slot_kind kind, int slot);

#endif
