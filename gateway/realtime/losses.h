/* How the sessions of lost servers fare, server by server: for the journal, which has one line for all of them.
 *
 * Sessions that lose one server within a short time are one wave. A wave is told of twice: soon after it began, if some
 * of its sessions are still without a server, so that whoever puts the accounts of several processes together knows to
 * wait for this one; and when all have found a server, or LOSSES_TOLD_BY_MS after it began. */
#ifndef GATEWAY_REALTIME_LOSSES_H
#define GATEWAY_REALTIME_LOSSES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/stats.h"

#define LOSSES_QUIET_MS   250
#define LOSSES_TOLD_BY_MS 10000

struct losses; /* of a process */
struct wave;   /* of one server */

struct wave_account {
    const char *server; /* "pool/server"; borrowed for the call, as is */
    const char *why;    /* that of the first session */
    uint32_t lost;      /* sessions; of these, those that: */
    uint32_t restored;  /* live on another server */
    uint32_t given_up;  /* were told so, after the route's give_up */
    uint32_t left;      /* ended meanwhile */
    uint32_t waiting;   /* are still without a server */
    uint32_t unknown;   /* messages of clients the lost server may or may not have had */
    uint32_t dropped;   /* messages of clients that waited in vain */
    int64_t longest_ms; /* until the last of them was restored */
    bool is_over;       /* nothing more will be told about this wave */
};
typedef void losses_tell_fn(void *arg, const struct wave_account *a);

/* Of one session: embedded in it, zero at first. */
struct loss {
    struct wave *wave; /* NULL: it has a server, as far as this file knows */
    int64_t since_ms;
};

enum loss_end {
    LOSS_RESTORED = 0,
    LOSS_GIVEN_UP,
    LOSS_LEFT, /* the client is gone, or closed */
};

/* `tell` may be NULL: then nobody is told. */
struct losses *losses_create(struct loop *l, losses_tell_fn *tell, void *arg);
void losses_destroy(struct losses **lp); /* every loss is over by then */
void losses_follow(struct losses *all, losses_tell_fn *tell, void *arg);

/* A session lost its server. One that is on the way already stays with the wave it came from: it never lived on the
 * server that was lost now. */
void losses_lost(struct losses *all, struct loss *l, const char *server, const char *why);
/* It is on the way no more; no-op when it was not. */
void losses_over(struct losses *all, struct loss *l, enum loss_end how);
/* What session_count() counts: messages lost on the way go to its wave; no-op for all else. */
void losses_count(struct loss *l, enum stat_route id, int64_t count);

#endif
