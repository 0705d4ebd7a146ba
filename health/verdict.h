/* The one truth about which server is healthy: one atomic word per target, written by the checker, read by all.
 *
 * word layout (64 bits):  state:2 | draining:1 | forced:1 | degraded:1 | unused:3 | checks_left:8 | generation:48
 *   checks_left   results still needed before the state could flip; 0 when it may flip with the next one
 *   generation    grows with every change of state, draining or forced
 *
 * Beside each word stands a detail record under a sequence lock for status pages; the traffic path never reads it.
 * The heartbeat says whether the writer lives: with a stale one readers keep the last known state. Unknown is not
 * down: a target nobody has judged yet may be tried. */
#ifndef HEALTH_VERDICT_H
#define HEALTH_VERDICT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/seqlock.h"
#include "base/slots.h"

enum verdict_state { VERDICT_UNKNOWN = 0, VERDICT_UP, VERDICT_DOWN };
const char *verdict_state_text(enum verdict_state s);

struct verdict { /* a decoded word */
    enum verdict_state state;
    bool is_draining;
    bool is_forced; /* an operator said so; probes do not change it */
    bool is_degraded;
    uint8_t checks_left;
    uint64_t generation;
};
uint64_t verdict_pack(const struct verdict *v);
struct verdict verdict_unpack(uint64_t word);

/* What keeps a state from changing although enough results ask for it (health/damping.h). */
enum verdict_held { VERDICT_FREE = 0, VERDICT_HELD, VERDICT_HELD_FAIL_BACK, VERDICT_HELD_FLAPPING, VERDICT_HELD_COUNT };
const char *verdict_held_text(enum verdict_held h); /* "" when nothing does */

/* Why a server that is up is degraded; bits. */
#define VERDICT_DEGRADED_SLOW        1u /* its latency */
#define VERDICT_DEGRADED_CERTIFICATE 2u /* ends soon */

#define VERDICT_CAUSE_BYTES 96u
struct verdict_detail {               /* crosses processes: fixed size, no pointers */
    int64_t since_wall_ms;            /* of the current state; 0: never judged */
    int64_t last_probe_wall_ms;       /* 0: never */
    int64_t certificate_ends_wall_ms; /* of the one the server showed; 0: not known */
    uint32_t latency_us;              /* of the last successful probe */
    uint32_t latency_mean_us;         /* of successful probes, weighted towards the last ones */
    uint32_t latency_p95_us;          /* of the last successful probes */
    uint32_t successes_in_row;
    uint32_t failures_in_row;
    uint32_t probed;                 /* enum verdict_state: what the probes say, whatever an operator does */
    uint32_t held;                   /* enum verdict_held */
    uint32_t degraded;               /* VERDICT_DEGRADED_... */
    uint32_t is_operator_drain;      /* an operator drains it; the configuration may do so as well */
    uint32_t is_silent;              /* the last probe failed because nothing came in time */
    char cause[VERDICT_CAUSE_BYTES]; /* why the last probe failed; "" after a success */
};

#define VERDICT_MAGIC 0x7e2d1c70u
struct verdict_row {
    _Atomic uint64_t word;
    seqlock sequence;     /* of the detail */
    _Atomic uint32_t era; /* era of the slot this was written in (base/slots.h) */
    struct verdict_detail detail;
};
struct verdict_table {
    uint32_t magic;
    _Atomic int64_t heartbeat_wall_ms; /* the checker writes it every VERDICT_HEARTBEAT_MS */
    _Atomic int64_t cut_off_wall_ms;   /* since when the checker reaches nobody and keeps the verdicts; 0: it does */
    struct verdict_row row[SLOTS_SERVERS]; /* index: slot of kind SLOT_SERVER */
};
#define VERDICT_HEARTBEAT_MS       500
#define VERDICT_HEARTBEAT_STALE_MS 5000

void verdict_table_init(struct verdict_table *t); /* supervisor, once */
struct verdict verdict_read(const struct verdict_table *t, int slot);
/* Copies the detail; false when the writer kept it busy for the bounded number of tries (then *out is zeroed). */
bool verdict_read_detail(const struct verdict_table *t, int slot, struct verdict_detail *out);
bool verdict_is_stale(const struct verdict_table *t, int64_t wall_ms);
/* Checker only. Keeps the generation: it grows when state, draining or forced differ from the stored word. */
void verdict_write(struct verdict_table *t, int slot, const struct verdict *v, const struct verdict_detail *d);
void verdict_clear(struct verdict_table *t, int slot); /* back to UNKNOWN; the generation grows */
/* Before the first write in `era` of the slot: clears the row when it was written in another era, that is about
 * another server. True when it was kept, as after a restart of the checker. */
bool verdict_adopt(struct verdict_table *t, int slot, uint32_t era);
void verdict_heartbeat(struct verdict_table *t, int64_t wall_ms);

#endif
