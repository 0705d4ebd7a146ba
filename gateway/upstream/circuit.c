/* The state machine is the table below; circuit_set_state() is the only place that assigns the state.
 *
 * The hard part is overlap: attempts last up to seconds, and hundreds are under way when a server dies. Every change of
 * state begins a new turn, and what was admitted in an earlier turn no longer counts when it ends. Without that, the
 * late failures of one crash would re-open a half-open circuit again and again. */
#include "gateway/upstream/circuit.h"

#include "base/assert.h"

enum event {
    EVENT_OK = 0,    /* an attempt succeeded */
    EVENT_FAILED,    /* one failed, and the limit is not reached */
    EVENT_LIMIT,     /* one failed, the last of `failures` in a row */
    EVENT_REST_OVER, /* open_ms went by */
    EVENT_COUNT
};

/* clang-format off */
static const enum circuit_state next_state[CIRCUIT_STATE_COUNT][EVENT_COUNT] = {
    /*                        OK                 FAILED            LIMIT             REST_OVER */
    [CIRCUIT_CLOSED]    = { CIRCUIT_CLOSED,    CIRCUIT_CLOSED,   CIRCUIT_OPEN,     CIRCUIT_CLOSED },
    [CIRCUIT_OPEN]      = { CIRCUIT_OPEN,      CIRCUIT_OPEN,     CIRCUIT_OPEN,     CIRCUIT_HALF_OPEN },
    [CIRCUIT_HALF_OPEN] = { CIRCUIT_CLOSED,    CIRCUIT_OPEN,     CIRCUIT_OPEN,     CIRCUIT_HALF_OPEN },
};
/* clang-format on */

const char *circuit_state_text(enum circuit_state s)
{
    static const char *const text[CIRCUIT_STATE_COUNT] = {"closed", "open", "half_open"};
    return (unsigned)s < CIRCUIT_STATE_COUNT ? text[s] : "?";
}

static void circuit_set_state(struct circuit *c, const struct circuit_limits *l, enum circuit_state to, int64_t now_ms)
{
    if (c->state == to)
        return;
    c->state = to;
    c->turn++;
    c->failures_in_row = 0;
    c->in_flight_count = 0;
    c->open_until_ms = to == CIRCUIT_OPEN ? now_ms + l->open_ms : 0;
}

static void on_event(struct circuit *c, const struct circuit_limits *l, enum event e, int64_t now_ms)
{
    circuit_set_state(c, l, next_state[c->state][e], now_ms);
}

static uint32_t places(const struct circuit_limits *l)
{
    return l->half_open_count == 0 ? 1 : l->half_open_count;
}

bool circuit_admits(const struct circuit *c, const struct circuit_limits *l, int64_t now_ms)
{
    if (l->failures == 0)
        return true;
    if (c->state == CIRCUIT_OPEN)
        return now_ms >= c->open_until_ms;
    if (c->state == CIRCUIT_HALF_OPEN)
        return c->in_flight_count < places(l);
    return true;
}

struct circuit_ticket circuit_admit(struct circuit *c, const struct circuit_limits *l, int64_t now_ms)
{
    ASSERT(circuit_admits(c, l, now_ms));
    if (c->state == CIRCUIT_OPEN && now_ms >= c->open_until_ms)
        on_event(c, l, EVENT_REST_OVER, now_ms);
    if (c->state == CIRCUIT_HALF_OPEN)
        c->in_flight_count++;
    return (struct circuit_ticket){.turn = c->turn};
}

void circuit_settle(struct circuit *c, const struct circuit_limits *l, struct circuit_ticket t, enum circuit_result r,
                    int64_t now_ms)
{
    if (t.turn != c->turn)
        return;
    if (c->state == CIRCUIT_HALF_OPEN) {
        ASSERT(c->in_flight_count > 0);
        c->in_flight_count--;
    }
    if (r == CIRCUIT_RESULT_CANCELLED)
        return;
    if (r == CIRCUIT_RESULT_OK) {
        c->failures_in_row = 0;
        on_event(c, l, EVENT_OK, now_ms);
        return;
    }
    c->failures_in_row++;
    on_event(c, l, l->failures != 0 && c->failures_in_row >= l->failures ? EVENT_LIMIT : EVENT_FAILED, now_ms);
}

void circuit_hasten(struct circuit *c, int64_t now_ms)
{
    if (c->state == CIRCUIT_OPEN && c->open_until_ms > now_ms)
        c->open_until_ms = now_ms;
}
