/* A record in shared memory that one process writes and others read, without a lock between them: the sequence is odd
 * while the record is being written, and a reader that saw it change begins again. A writer may die anywhere; the next
 * one goes on. Records are whole numbers of 64-bit words, so that nothing tears a word. */
#ifndef BASE_SEQLOCK_H
#define BASE_SEQLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef _Atomic uint32_t seqlock;

/* Writer: `size_bytes` is a multiple of 8, both are aligned to it. */
void seqlock_store(seqlock *sequence, void *shared, const void *record, size_t size_bytes);
/* Reader: false when the writer kept it busy for a bounded number of tries; `out` is zeroed then. */
bool seqlock_load(const seqlock *sequence, const void *shared, void *out, size_t size_bytes);

#endif
