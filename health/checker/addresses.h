/* The addresses of one name, looked up without anybody waiting for it twice.
 *
 * The first lookup has to be waited for. Later ones run beside the probes, which go on with the addresses known: a
 * name server that is slow or gone must not look like a dead backend. Who waits has less patience than a lookup may
 * need, with the first of several name servers gone; what comes too late for one probe is there for the next. */
#ifndef HEALTH_CHECKER_ADDRESSES_H
#define HEALTH_CHECKER_ADDRESSES_H

#include "base/resolve.h"

/* A name's time to live is believed within these. */
#define ADDRESSES_TTL_MIN_MS 5000
#define ADDRESSES_TTL_MAX_MS 60000
#define ADDRESSES_RETRY_MS   1000  /* after a lookup that failed */
#define ADDRESSES_LOOKUP_MS  10000 /* for a lookup, until it has asked every name server */

/* The lookup that was waited for is over: addresses are there, or `e` says why not. Never called from within
 * addresses_want. */
typedef void addresses_fn(void *arg, enum err e);

struct addresses {
    struct resolver *resolver;
    struct loop *loop;
    struct resolve_job *job;
    addresses_fn *fn;
    void *arg;
    int64_t fresh_until_ms;
    bool is_waited_for;
    size_t count;
    size_t at; /* the one to use */
    struct addr addrs[RESOLVE_ADDRS_MAX];
};

void addresses_init(struct addresses *a, struct loop *l, struct resolver *r, addresses_fn *fn, void *arg);
void addresses_fini(struct addresses *a);
/* Forgets everything; no callback comes for an earlier want. */
void addresses_reset(struct addresses *a);
/* True when addresses are there (renewed in the background if due); false when the callback will tell. */
bool addresses_want(struct addresses *a, const char *host, uint16_t port);
void addresses_unwant(struct addresses *a); /* no callback any more; the lookup goes on */
const struct addr *addresses_get(const struct addresses *a);
/* The one in use did not work: takes the next in turn. */
void addresses_next(struct addresses *a);

#endif
