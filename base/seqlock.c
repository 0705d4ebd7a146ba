/* Words are copied one by one with relaxed atomics; the fences order them against the sequence. */
#include "base/seqlock.h"

#include <string.h>

#include "base/assert.h"

/* A write takes far less than a microsecond per line of the cache; whoever is still in the way after so many tries was
 * stopped in the middle. */
#define LOAD_TRIES 64

/* The same bytes are some struct to everybody else. */
typedef uint64_t __attribute__((may_alias)) word;

void seqlock_store(seqlock *sequence, void *shared, const void *record, size_t size_bytes)
{
    word *to = shared;
    const word *from = record;
    ASSERT(size_bytes % sizeof *to == 0);
    /* Odd already when a predecessor died in here. */
    const uint32_t busy = atomic_load_explicit(sequence, memory_order_relaxed) | 1u;

    atomic_store_explicit(sequence, busy, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < size_bytes / sizeof *to; i++)
        __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
    atomic_store_explicit(sequence, busy + 1u, memory_order_release);
}

static bool load_once(const seqlock *sequence, const word *from, word *to, size_t count)
{
    const uint32_t before = atomic_load_explicit(sequence, memory_order_acquire);

    if ((before & 1u) != 0)
        return false;
    for (size_t i = 0; i < count; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(sequence, memory_order_relaxed) == before;
}

bool seqlock_load(const seqlock *sequence, const void *shared, void *out, size_t size_bytes)
{
    ASSERT(size_bytes % sizeof(word) == 0);
    for (int i = 0; i < LOAD_TRIES; i++)
        if (load_once(sequence, shared, out, size_bytes / sizeof(word)))
            return true;
    memset(out, 0, size_bytes);
    return false;
}
