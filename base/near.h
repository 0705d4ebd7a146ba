/* Places in memory that will be needed together, and soon. What belongs to one of thousands of connections is in no
 * cache when its turn comes; looked for one behind the other, each place would be waited for. Listed here, they are all
 * fetched at once, while the kernel does something else.
 *
 * Nothing is read at a place, so one that is stale costs a useless fetch and no more. */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

#define NEAR_MAX        8u
#define NEAR_LINE_BYTES 64u /* what the processor fetches at a time, on all there are today */
#define NEAR_LINES_MAX  (NEAR_LINE_BYTES - 1)

/* Of each place where its first line begins, and in the bits that are zero there the number of lines. All zero: none.
 */
struct near {
    uintptr_t place[NEAR_MAX];
};

/* Lists `bytes` from `at` on, in place of what was listed as `which` (below NEAR_MAX); what is longer than
 * NEAR_LINES_MAX lines is cut off. NULL: nothing. */
static inline void near_put(struct near *n, unsigned which, const void *at, size_t bytes)
{
    const uintptr_t into = (uintptr_t)at % NEAR_LINE_BYTES;
    const size_t lines = (into + bytes + NEAR_LINE_BYTES - 1) / NEAR_LINE_BYTES;
    ASSERT(which < NEAR_MAX);
    n->place[which] = at == NULL ? 0 : ((uintptr_t)at - into) | (lines < NEAR_LINES_MAX ? lines : NEAR_LINES_MAX);
}

static inline uintptr_t near_from(const struct near *n, unsigned which)
{
    return n->place[which] - n->place[which] % NEAR_LINE_BYTES;
}

static inline unsigned near_lines(const struct near *n, unsigned which)
{
    return (unsigned)(n->place[which] % NEAR_LINE_BYTES);
}

/* By force, for gcc takes a function that does nothing but this for one that does nothing. */
static inline __attribute__((always_inline)) void near_fetch(const struct near *n)
{
    for (unsigned i = 0; i < NEAR_MAX; i++) {
        const uintptr_t from = near_from(n, i);
        for (unsigned line = 0; line < near_lines(n, i); line++)
            __builtin_prefetch((const void *)(from + line * NEAR_LINE_BYTES)); /* NOLINT(performance-no-int-to-ptr) */
    }
}

#endif
