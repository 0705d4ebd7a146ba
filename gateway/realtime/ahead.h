/* Messages that wait while a session hears two servers at once: what the newer one has brought and the older one has
 * not.
 *
 * The server a session moves to may be ahead: it joined between two messages of which the older server, behind the
 * cluster's wire, has handed on neither. If its second one went out at once, the first would come behind it. So while
 * the older server delivers, what it has not brought yet waits here until it does, for a moment at most; then it goes
 * out in the order it came. By what messages are known, gateway/realtime/dedup.h says. */
#ifndef GATEWAY_REALTIME_AHEAD_H
#define GATEWAY_REALTIME_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "gateway/ws/frame.h"

struct ahead_message {
    struct list link;
    uint64_t hash;
    int64_t since_ms;
    uint32_t epoch; /* of the leg that brought it */
    enum ws_opcode opcode;
    size_t len;
    uint8_t payload[];
};

struct ahead {
    struct list messages; /* the oldest first */
    uint32_t count;
    size_t bytes;
};

void ahead_init(struct ahead *a);
void ahead_drop(struct ahead *a); /* the newer one is gone, and the older one goes on */

/* Keeps a copy of a message of the newer server. */
void ahead_keep(struct ahead *a, uint64_t hash, int64_t now_ms, uint32_t epoch, enum ws_opcode opcode,
                const uint8_t *payload, size_t len);
/* The older one has brought it: true when it was kept, and is not any more. */
bool ahead_found(struct ahead *a, uint64_t hash);
/* The same, handing it over: NULL when it was not kept. Freed by the caller with mem_free(). */
struct ahead_message *ahead_take_found(struct ahead *a, uint64_t hash);
/* The oldest, if it has waited long enough, or there are too many; NULL: none. Freed by the caller with mem_free(). */
struct ahead_message *ahead_take_due(struct ahead *a, int64_t now_ms);
/* The oldest, however long it has waited; NULL: there is none. The same of its memory. */
struct ahead_message *ahead_take(struct ahead *a);
/* When the oldest has waited long enough; INT64_MAX: there is none. */
int64_t ahead_due_ms(const struct ahead *a);

#endif
