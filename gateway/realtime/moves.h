/* Planned moves: those who want to leave a server that still serves them stand in line here and go at a set pace, one
 * line for each route. Who wants to, and why, is decided elsewhere (gateway/realtime/tunnel_moves.c); what a move is,
 * the mover knows.
 *
 * A move that fails, for nobody else took the session, is tried again after a pause that grows. Who must have left by
 * some time and could not is told so then. */
#ifndef GATEWAY_REALTIME_MOVES_H
#define GATEWAY_REALTIME_MOVES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "base/slots.h"
#include "gateway/realtime/backoff.h"

enum move_reason {
    MOVE_NONE = 0,
    MOVE_BACK,      /* a server of a better tier is there again */
    MOVE_DRAINING,  /* its server is to be left, says the operator or the configuration */
    MOVE_ANNOUNCED, /* it restarts, as it said to another of its sessions */
    MOVE_ASKED,     /* so it said to this one, which waits for what is refused there: before all others */
    MOVE_REMOVED,   /* the configuration no longer names its server */
};

/* One who may want to move; embedded in it, initialised once. Members are for moves.c, and `from` and `reason` to be
 * read. */
struct mover {
    struct list link;
    const void *from; /* what is to be left; compared only */
    int64_t ready_ms;
    int64_t by_ms;
    struct backoff pauses;
    uint16_t line;
    uint8_t reason; /* enum move_reason; MOVE_NONE: it does not want to */
    uint8_t place;
};
void mover_init(struct mover *m);

enum move_course {
    MOVE_UNDER_WAY = 0,
    MOVE_DONE,    /* or needless: it is elsewhere already */
    MOVE_NOT_NOW, /* could not begin: soon again */
    MOVE_FAILED,  /* nobody else took it */
};

/* Called from the loop, never from within a call of what is below. Either may call mover_leave() on its mover. */
struct moves_ops {
    enum move_course (*begin)(void *arg, struct mover *m);
    enum move_course (*look)(void *arg, struct mover *m); /* how the one that began comes on */
    void (*must_go)(void *arg, struct mover *m);          /* by_ms has come; it is in no line any more */
};

struct moves;
struct moves *moves_create(struct loop *l, const struct moves_ops *ops, void *arg);
void moves_destroy(struct moves **mp); /* nobody wants to move any more */
/* So many processes share the pace. */
void moves_set_shares(struct moves *all, uint32_t worker_count);

/* It wants to leave `from`, in a line (below MOVES_LINES) that moves `per_s` (0: no limit) over all processes; by
 * `by_ms` of the loop at the latest (INT64_MAX: whenever). Who stands there already keeps its place. */
#define MOVES_LINES SLOTS_ROUTES
void moves_want(struct moves *all, struct mover *m, const void *from, enum move_reason why, uint32_t line,
                uint32_t per_s, int64_t by_ms);
/* It does not want to any more; a move that began goes on for itself. No-op when it never did. */
void mover_leave(struct mover *m);
/* What was in the way may be gone: nobody pauses any longer. */
void moves_hurry(struct moves *all);
/* Nothing begins any more, and nobody may want to; for when all have to go anyway. */
void moves_stop(struct moves *all);

#endif
