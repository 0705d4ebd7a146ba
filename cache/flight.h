/* One fetch, many waiters: whoever wants what is not there, or not fresh, waits for the one flight that brings it.
 *
 *   LOOKING    Redis is asked: another worker or gateway may have it
 *   LEASING    it is not there: who gets the lease, and then still finds nothing, is the one of the whole fleet to ask
 *              the origin
 *   AWAITING   somebody else has the lease: Redis is asked again and again, until what they fetch is there or the
 *              route's `wait` is over
 *   ASKING     the origin is asked, by the user of this header
 *
 * Without Redis a flight is ASKING from the start. It outlives those who wait for it, the first one included. A flight
 * ends exactly once: what it brought is told to all who wait. */
#ifndef CACHE_FLIGHT_H
#define CACHE_FLIGHT_H

#include "base/list.h"
#include "cache/cache.h"

struct flight;

enum flight_end {
    FLIGHT_ENTRY = 0, /* here it is */
    FLIGHT_PASS,      /* what comes is not for sharing: everybody asks for themselves */
    FLIGHT_AGAIN,     /* look again: what the key is made of has changed */
    FLIGHT_FAILED     /* the origin failed, or said that it did */
};

struct flight_outcome {
    enum flight_end end;
    struct cache_entry *entry; /* FLIGHT_ENTRY; FLIGHT_FAILED: the origin's own words, or NULL. Borrowed for the call */
    bool is_from_l2;           /* fresh, or what may be served while it is refreshed */
    bool is_soft_purged;       /* ... and then to be taken for stale */
    const void *by;            /* whoever asked the origin (flight_start.arg), valid for the call; NULL: nobody did */
    uint16_t status;           /* FLIGHT_FAILED without entry: what to answer */
    const char *reason;        /* ... and why; static */
};

struct flight_waiter;
/* It waits no more when this is called. */
typedef void flight_end_fn(struct flight_waiter *w, const struct flight_outcome *o);
struct flight_waiter {
    struct list link;
    flight_end_fn *on_end;
};

/* Whoever asks the origin. */
struct flight_ops {
    /* The origin is to be asked; ends with flight_end(). May be called before flight_start() returns. */
    void (*ask)(void *arg);
    /* The flight is over without it: what it brought came from Redis, or it was not worth asking. */
    void (*over)(void *arg);
};

struct flight_start {
    const void *key; /* copied */
    size_t key_len;
    const struct conf_cache_route *route; /* valid as long as the flight: `arg` keeps its configuration */
    const struct cache_entry *known;      /* what is there already, not fresh; NULL: nothing. Borrowed for the call */
    bool must_ask;                        /* Redis is not looked into */
    const struct flight_ops *ops;
    void *arg;
};

/* The flight to that key that is under way, or NULL. */
struct flight *flight_find(const struct cache *c, const void *key, size_t key_len);
/* Begins one; there must be none. *fp is set first, and NULL once it is over. */
void flight_start(struct cache *c, const struct flight_start *o, struct flight **fp);
/* Waits. on_end is called once, unless flight_leave() comes first. A waiter's memory must be zero before. */
void flight_wait(struct flight *f, struct flight_waiter *w, flight_end_fn *on_end);
void flight_leave(struct flight_waiter *w); /* harmless when it does not wait */
/* The first of those who wait, or NULL; he waits no more. */
struct flight_waiter *flight_take_first(struct flight *f);
/* Ends a flight that is ASKING: the lease is given back, and all who wait are told. What is to be found by others must
 * be stored before. */
void flight_end(struct flight **fp, const struct flight_outcome *o);
/* Gives one up; nobody may be waiting, and nobody is told. */
void flight_cancel(struct flight **fp);

#endif
