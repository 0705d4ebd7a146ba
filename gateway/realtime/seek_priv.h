/* What the files of seeking share; nobody else includes this.
 *
 *   seek.c        life, and who is admitted when       seek_line.c   where they wait
 *   seek_ask.c    asking servers, one or two at a time
 *   seek_calm.c   those that were late before */
#ifndef GATEWAY_REALTIME_SEEK_PRIV_H
#define GATEWAY_REALTIME_SEEK_PRIV_H

#include "base/log.h"
#include "gateway/realtime/seek.h"

#define SEEKERS_MAGIC   0x5eec2a91u
#define SEEK_MAGIC      0x7d1be3c6u
#define SEEK_LINE_MAGIC 0xc41f9e07u
#define SEEK_ASKS       2 /* at a time: the second is the hedge */

struct seek_line;

struct seekers {
    uint32_t magic;
    uint32_t share_count;
    struct net *net;
    struct pool_set *pools;
    struct list seeks;     /* all of them */
    uint64_t queued_count; /* seeks that ever stood in line: their order */
    struct list lines;     /* of struct seek_line; those in which somebody waits */
    struct later pass;
    struct timer timer; /* the next pass */
    /* Within a pass: servers that somebody who came earlier waits for. */
    uint64_t reserved[SLOTS_SERVERS / 64];
    struct log_limit failure_log;
};

/* One server being asked. */
struct seek_ask {
    struct seek *seek;
    struct call *call; /* NULL: none */
    struct attempt attempt;
    bool is_first; /* it had all the time there was */
    int64_t asked_ms;
    /* It took the WebSocket, and is waited for until it is calm. */
    struct conn *conn; /* NULL: it is not */
    char *subprotocol; /* that it chose; NULL: none */
    struct strbuf rest;
    struct timer calm;
    bool is_pinged;
};

struct seek {
    uint32_t magic;
    uint32_t cost;
    struct list among; /* all->seeks */
    struct seekers *all;
    struct seek **self; /* the owner's pointer to us, nulled at the end */
    struct conf *conf;
    const struct conf_route *route; /* in conf */
    const struct origin_ops *origin_ops;
    void *origin;
    const struct seek_ops *ops;
    void *arg;
    struct pool *pool; /* NULL: the configuration's is gone */

    struct pick pick;
    bool is_urgent;
    struct list link;
    struct seek_line *line; /* NULL: not in line */
    uint64_t order;

    /* The time for asking, which does not pass in line. */
    int64_t left_ms; /* -1: not admitted yet */
    int64_t deadline_ms;
    struct seek_ask asks[SEEK_ASKS];
    struct timer hedge;

    /* what is said when no server takes it */
    enum seek_failure failure;
    uint16_t status;
    char why[64];
};

/* ---- seek.c ---- */
/* Stands in line again, before the others, for another server. */
void seek_go_on(struct seek *k);
/* Ends it; what it asked is cancelled. The owner's callback comes after it, with what was read from `k` before. */
void seek_free(struct seek *k);
void seek_failed(struct seek *k);
/* The best server for which there are joins left, as an attempt in k->pick, its joins taken. False: k->pick.none says
 * why; PICK_NONE_PACED: after *wait_ms, if that is less than it was. */
bool seek_pick(struct seek *k, int64_t *wait_ms);

/* ---- seek_ask.c ---- */
/* Asks the server that was picked. The seek may be gone when this returns. */
void seek_ask(struct seek *k);
void seek_ask_init(struct seek *k);
void seek_ask_cancel_all(struct seek *k);
/* What is asked of this server is given up. The seek may be gone when this returns. */
void seek_ask_give_up(struct seek *k, const struct server *s, const char *why);

/* A server took the WebSocket: it has the session. Takes f->conn; the server is filled in here. The seek is gone when
 * this returns. */
void seek_ask_found(struct seek_ask *a, struct seek_found *f);
/* The same, when it broke off before. */
void seek_ask_failed(struct seek_ask *a, const char *why, enum outcome outcome);

/* ---- seek_calm.c ---- */
void seek_calm_init(struct seek_ask *a);
/* A server took the WebSocket. True: it was late, so seek_ask_found() or seek_ask_failed() follows later, and the
 * connection is taken. */
bool seek_calm_begin(struct seek_ask *a, const struct call_joined *j);
/* It is not waited for any more; the connection is closed. Harmless when it is not waited for. */
void seek_calm_cancel(struct seek_ask *a);

/* ---- seek_line.c ---- */
/* Those who may go to the same servers wait behind each other: if the first cannot be served, no other can. */
struct seek_line {
    uint32_t magic;
    bool is_blocked; /* in this pass */
    struct list link;
    struct list urgent, others; /* of struct seek */
};

/* Puts it behind (or before) the others that may go to the same servers. */
void seek_line_enter(struct seek *k, bool is_first);
/* Takes it out of its line; a line in which nobody waits is gone. */
void seek_line_leave(struct seek *k);
/* Of all lines that are not blocked, who is first; NULL: nobody. */
struct seek *seek_line_first(const struct seekers *s);
void seek_line_unblock_all(struct seekers *s);

#endif
