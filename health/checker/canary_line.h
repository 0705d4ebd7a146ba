/* A canary on libwebsockets: the connection to its peer, and what is said on either side. The connection to the server
 * that is judged is the probe's. */
#ifndef HEALTH_CHECKER_CANARY_LINE_H
#define HEALTH_CHECKER_CANARY_LINE_H

#include "health/checker/canary.h"
#include "health/checker/lws_priv.h"

/* Something happened at the peer's end. */
typedef void canary_line_fn(void *arg);

struct canary_line {       /* part of the probe; zeroed: there is no canary */
    struct canary *canary; /* NULL: none, or its peer cannot be asked */
    struct lws_conn *conn; /* NULL: none, or gone */
    struct loop *loop;
    canary_line_fn *on_change;
    void *arg;
};

/* Begins to connect. Nothing is told before this returns. */
void canary_line_open(struct canary_line *l, struct loop *loop, const struct probe_peer *peer, const char *topic,
                      canary_line_fn *on_change, void *arg);
/* Asks for the chance to write wherever something wants to be said; `here` is the connection to the server judged. */
void canary_line_poke(struct canary_line *l, struct lws_conn *here);
/* The chance to write: says one thing. Nonzero closes the connection. */
int canary_line_say(struct canary_line *l, struct lws *wsi, enum canary_side side);
/* A piece of a message. */
void canary_line_hear(struct canary_line *l, struct lws *wsi, enum canary_side side, const char *data, size_t len);
/* The answer is found: says good-bye to the peer. Allowed in callbacks. */
void canary_line_leave(struct canary_line *l);
/* Cuts the connection and frees the canary. Not allowed in callbacks of libwebsockets. */
void canary_line_close(struct canary_line *l);

#endif
