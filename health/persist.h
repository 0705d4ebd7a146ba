/* The last verdicts as text, to start from after a restart: one line per server, `state since_wall_ms pool/server`.
 * What an operator said stands behind the state: `up,forced-down`, `unknown,draining`, `down,forced-up,draining`.
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
/* Longest line: state with an operator's words, 19 digits, name, two blanks and the line's end. */
#define PERSIST_BYTES_MAX (64u + PERSIST_ENTRIES_MAX * (29u + 20u + SLOTS_NAME_BYTES + 3u))

struct persist_entry {
    enum verdict_state state;  /* as probed */
    enum verdict_state forced; /* by an operator; UNKNOWN: not */
    bool is_draining;          /* at an operator's wish */
    int64_t since_wall_ms;     /* of the state shown */
    char name[SLOTS_NAME_BYTES];
};

struct persist {
    size_t count;
    struct persist_entry entries[PERSIST_ENTRIES_MAX];
};

/* Fills `p` with what `text` (any bytes) holds; returns the number of lines that could not be used, a missing or
 * foreign first line among them (then nothing is taken). Of entries with the same name the first counts. */
size_t persist_parse(struct persist *p, const char *text, size_t len);
/* Appends a copy of `e`; one that says nothing (state unknown, and no operator's word) or could not be read back is
 * left out. */
void persist_add(struct persist *p, const struct persist_entry *e);
void persist_print(const struct persist *p, struct strbuf *out);
/* NULL when there is none. */
const struct persist_entry *persist_find(const struct persist *p, const char *name);

#endif
