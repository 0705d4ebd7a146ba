/* The journal on disk: lines in `events.jsonl`, only ever added to. When the file is full it becomes `events.jsonl.1`,
 * that one `.2` and so on, and the oldest goes. One process writes it.
 *
 * A line is there as a whole or not at all: one that a crash cut off is removed at the next start, one that a full
 * disk cut off at once. */
#ifndef GATEWAY_SUPER_JOURNAL_H
#define GATEWAY_SUPER_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "conf/conf.h"

struct journal_limits {
    uint64_t file_bytes; /* of one file, at least one line */
    uint32_t file_count; /* the one that is written included, at least 1 */
    enum conf_journal_sync sync;
};

struct journal;

/* A line without its end, borrowed for the call. */
typedef void journal_line_fn(void *arg, const char *line, size_t len);

/* Opens the journal in the directory (copied), repairs it, and tells the newest lines, oldest first: those of the last
 * JOURNAL_TAIL_BYTES, or more. With "" or when it cannot be opened, which is logged, nothing is kept. */
#define JOURNAL_TAIL_BYTES (1u << 20)
struct journal *journal_open(struct loop *l, const char *dir, const struct journal_limits *limits,
                             journal_line_fn *on_line, void *arg);
void journal_set_limits(struct journal *j, const struct journal_limits *limits);
/* Adds a line without its end. False when it is not on disk; why is logged. */
bool journal_append(struct journal *j, const char *line, size_t len);
/* Forces what was written to disk, as far as the limits want that at all. */
void journal_close(struct journal **jp);

#endif
