/* What this process has to one server between requests: idle HTTP/1.1 connections, HTTP/2 sessions (session.h), and
 * what was learned about the server's abilities. Hangs on the server (server->links).
 *
 * Kept connections are used newest first, so that a pool in little use shrinks. They are watched while they are idle:
 * one that the server closes is dropped quietly, and so is one on which it says anything, for an answer that nobody has
 * asked for could be taken for the next one's. */
#ifndef GATEWAY_UPSTREAM_LINKS_H
#define GATEWAY_UPSTREAM_LINKS_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/net/conn.h"
#include "gateway/upstream/server.h"

/* ---- HTTP/1.1 ---- */

/* A connection on which nothing is under way, and how many requests it has carried. */
struct link {
    struct conn *conn;
    uint32_t request_count;
    uint32_t forgotten_count; /* server->forgotten_count when it was made */
};

/* The newest kept connection, if it has been idle for `idle_max_ms` at most; it is the caller's then, who sets its
 * owner. */
bool links_take(struct server *s, int64_t idle_max_ms, struct link *l);
/* Takes a connection whose last answer was complete, with nothing behind it: keeps it for a while, or closes it. */
void links_keep(struct net *n, struct server *s, struct link *l);

/* ---- HTTP/2 ---- */

/* The sessions that take requests (struct session, by its link). */
struct list *links_sessions(struct net *n, struct server *s);

/* ---- facts ---- */

enum links_fact {
    LINKS_FACT_H1_ONLY = 0,   /* it does not speak HTTP/2 */
    LINKS_FACT_NO_WEBSOCKETS, /* over HTTP/2 */
    LINKS_FACT_COUNT
};
#define LINKS_FACT_MS (10 * 60 * 1000) /* after that time it is asked again */
void links_learn(struct net *n, struct server *s, enum links_fact f);
bool links_knows(struct net *n, const struct server *s, enum links_fact f);

/* How many streams the server's newest session allows; before the first one a usual number. */
void links_learn_streams(struct net *n, struct server *s, uint32_t count);
uint32_t links_streams(const struct server *s);

/* ---- the end ---- */

/* Closes what is idle, and forgets what was learned; what is busy is closed when it has done its work. */
void links_forget(struct server *s);

#endif
