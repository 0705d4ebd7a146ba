/* What several who look at the same servers say together.
 *
 * Everybody with a fresh view votes, ourselves included. Who is cut off by his own account does not, and who has not
 * judged a server yet has no vote about it. More than half of those who have one decide; without a majority the last
 * decision stands. An operator's word (forced) on any of them outweighs what is probed, and a server that one of them
 * drains is drained for all. Alone, our own view is the majority. Pure: same views and same past, same decision. */
#ifndef HEALTH_QUORUM_H
#define HEALTH_QUORUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/verdict.h"

struct quorum_vote { /* of one of them, about one server */
    enum verdict_state state;
    bool is_forced;
    bool is_draining;
    uint8_t checks_left;  /* as in health/verdict.h */
    uint32_t interval_ms; /* of the checks behind it; 0: none */
};

struct quorum_verdict {
    enum verdict_state state;
    bool is_forced;
    bool is_draining;
    uint8_t checks_left;  /* with interval_ms: no vote can flip sooner than after so many such checks ... */
    uint32_t interval_ms; /* ... the product is the least of all votes'; 0: nobody checks */
    uint32_t up_count, down_count;
};

/* `votes` are of those who may vote at all (fresh and not cut off); `before` is the last decision. `count` may be 0:
 * nobody knows anything, and the last decision stands. So it does when those who check have not judged yet; when
 * nobody checks any more, the server is unknown again. Operators who contradict each other are counted like others. */
struct quorum_verdict quorum_decide(const struct quorum_vote *votes, size_t count, enum verdict_state before);

#endif
