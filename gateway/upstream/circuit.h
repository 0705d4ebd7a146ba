/* A circuit breaker, pure: no clock, no log, no server.
 *
 * CLOSED lets everything through and counts failures in a row; at `failures` of them it is OPEN and lets nothing
 * through for `open_ms`; then it is HALF_OPEN and lets `half_open_count` attempts at a time find out. The first one
 * that succeeds closes it, one that fails opens it again.
 *
 * Attempts overlap. Each holds a ticket of the turn it was admitted in, and a result counts only while that turn
 * lasts: the crowd that was under way when the circuit opened can neither close it nor open it a second time. */
#ifndef GATEWAY_UPSTREAM_CIRCUIT_H
#define GATEWAY_UPSTREAM_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

enum circuit_state { CIRCUIT_CLOSED = 0, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN, CIRCUIT_STATE_COUNT };
enum circuit_result { CIRCUIT_RESULT_OK = 0, CIRCUIT_RESULT_FAILED, CIRCUIT_RESULT_CANCELLED };

const char *circuit_state_text(enum circuit_state s);

struct circuit_limits {
    uint32_t failures; /* in a row; 0: the circuit never opens */
    int64_t open_ms;
    uint32_t half_open_count; /* attempts in flight while half open; 0 is taken as 1 */
};

struct circuit { /* all zero: closed */
    enum circuit_state state;
    uint32_t turn;            /* grows with every change of state */
    uint32_t failures_in_row; /* while closed */
    uint32_t in_flight_count; /* while half open */
    int64_t open_until_ms;    /* while open */
};

struct circuit_ticket {
    uint32_t turn;
};

/* Whether an attempt would be admitted now. Changes nothing. */
bool circuit_admits(const struct circuit *c, const struct circuit_limits *l, int64_t now_ms);
/* Admits one attempt (circuit_admits() must be true), taking a half-open place when that is the state. The ticket
 * must be given back with exactly one circuit_settle(). */
struct circuit_ticket circuit_admit(struct circuit *c, const struct circuit_limits *l, int64_t now_ms);
/* The attempt ended. CIRCUIT_RESULT_CANCELLED proves nothing and only gives the place back. */
void circuit_settle(struct circuit *c, const struct circuit_limits *l, struct circuit_ticket t, enum circuit_result r,
                    int64_t now_ms);
/* Somebody who knows (the checker) found the server well: an open circuit may be tried from now on. */
void circuit_hasten(struct circuit *c, int64_t now_ms);

#endif
