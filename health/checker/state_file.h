/* The file `verdicts` in the state directory: read at start, replaced as a whole when something changed.
 *
 * The directory is opened before privileges go and used through its descriptor. Whatever is wrong with file or
 * directory costs a warning and the memory of the last run, never the start. */
#ifndef HEALTH_CHECKER_STATE_FILE_H
#define HEALTH_CHECKER_STATE_FILE_H

#include "health/persist.h"

struct state_file;

/* `dir` "" : nothing is read or written. Never NULL. */
struct state_file *state_file_open(const char *dir);
void state_file_close(struct state_file **fp);
/* What the file holds; empty when there is none. */
void state_file_load(const struct state_file *f, struct persist *p);
/* Replaces the file: readers see the old or the new one, also after a crash of the machine. Blocks for the disk. False
 * when nothing is kept. */
bool state_file_save(struct state_file *f, const struct persist *p, int64_t now_ms);

#endif
