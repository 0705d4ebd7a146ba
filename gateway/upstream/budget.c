/* Counting retries against requests. The window moves by whole seconds: cells that fell out of it are emptied when the
 * next event comes, however late that is. */
#include "gateway/upstream/budget.h"

#include <stddef.h>
#include <string.h>

static size_t cell_of(int64_t second)
{
    return (size_t)(second % BUDGET_WINDOW_S);
}

/* Brings the ring to the second of `now_ms`; returns its cell. A clock that stands still or jumps back changes nothing.
 */
static size_t move_to(struct budget *b, int64_t now_ms)
{
    const int64_t second = now_ms / 1000;
    if (second - b->second >= BUDGET_WINDOW_S) {
        *b = (struct budget){.second = second};
    } else {
        while (b->second < second) {
            b->second++;
            b->requests[cell_of(b->second)] = 0;
            b->retries[cell_of(b->second)] = 0;
        }
    }
    return cell_of(b->second);
}

static uint64_t sum(const uint32_t cells[BUDGET_WINDOW_S])
{
    uint64_t total = 0;
    for (size_t i = 0; i < BUDGET_WINDOW_S; i++)
        total += cells[i];
    return total;
}

void budget_request(struct budget *b, int64_t now_ms)
{
    b->requests[move_to(b, now_ms)]++;
}

bool budget_may_retry(struct budget *b, const struct budget_limits *l, int64_t now_ms)
{
    const size_t cell = move_to(b, now_ms);
    const uint64_t floor = (uint64_t)l->floor_per_s * BUDGET_WINDOW_S;
    const uint64_t share = sum(b->requests) * l->percent / 100;
    if (sum(b->retries) >= (share > floor ? share : floor))
        return false;
    b->retries[cell]++;
    return true;
}
