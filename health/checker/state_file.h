/* What the checker keeps in the state directory: the file `verdicts`, and what others of it keep there. Files are read
 * at start, and replaced as a whole when something changed.
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

/* Another file of the directory: its text, "" when there is none; false when it cannot be read or is longer than `out`
 * may become. */
bool state_file_read(const struct state_file *f, const char *name, struct strbuf *out);
/* As state_file_save(), with whatever text. */
bool state_file_write(struct state_file *f, const char *name, const char *text, size_t len, int64_t now_ms);

#endif
