/* The last verdicts as text, to start from after a restart: one line per server, `state since_wall_ms pool/server`.
 *
 * Pure: bytes to entries and back. The file may have been cut off, edited or filled with garbage; every line stands
 * for itself, and what does not parse is counted and left out. */
#ifndef HEALTH_PERSIST_H
#define HEALTH_PERSIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slots.h"
#include "health/verdict.h"

#define PERSIST_ENTRIES_MAX SLOTS_SERVERS
/* Longest line: state, 19 digits, name, two blanks and the line's end. */
#define PERSIST_BYTES_MAX (64u + PERSIST_ENTRIES_MAX * (7u + 20u + SLOTS_NAME_BYTES + 3u))

struct persist_entry {
    enum verdict_state state; /* UP or DOWN */
    int64_t since_wall_ms;
    char name[SLOTS_NAME_BYTES];
};

struct persist {
    size_t count;
    struct persist_entry entries[PERSIST_ENTRIES_MAX];
};

/* Fills `p` with what `text` (any bytes) holds; returns the number of lines that could not be used, a missing or
 * foreign first line among them (then nothing is taken). Of entries with the same name the first counts. */
size_t persist_parse(struct persist *p, const char *text, size_t len);
/* Appends an entry; those that say nothing (UNKNOWN) or could not be read back are left out. */
void persist_add(struct persist *p, const char *name, enum verdict_state state, int64_t since_wall_ms);
void persist_print(const struct persist *p, struct strbuf *out);
/* NULL when there is none. */
const struct persist_entry *persist_find(const struct persist *p, const char *name);

#endif
