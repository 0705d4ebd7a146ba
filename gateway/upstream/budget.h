/* A retry budget, pure: how many second attempts a pool gets.
 *
 * A retry is harmless while few requests fail, and the last thing a pool needs when all of them do. So retries are
 * allowed as a share of the requests of the last BUDGET_WINDOW_S seconds, with a floor for pools that see little
 * traffic. Counted in whole seconds, one cell each, in a ring. */
#ifndef GATEWAY_UPSTREAM_BUDGET_H
#define GATEWAY_UPSTREAM_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_WINDOW_S 10

struct budget_limits {
    uint32_t percent;     /* retries per hundred requests of the window */
    uint32_t floor_per_s; /* allowed whatever the share, on the average of the window */
};

struct budget {     /* all zero: nothing happened yet */
    int64_t second; /* the last one counted in */
    uint32_t requests[BUDGET_WINDOW_S];
    uint32_t retries[BUDGET_WINDOW_S];
};

/* A request began; its first attempt costs nothing. */
void budget_request(struct budget *b, int64_t now_ms);
/* Whether a retry may be made now; one that may is counted as made. */
bool budget_may_retry(struct budget *b, const struct budget_limits *l, int64_t now_ms);

#endif
