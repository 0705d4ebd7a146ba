/* One visit to a server that is told of changes: over TCP, message and answer in turn (RFC 1035 section 4.2.2), all of
 * it within one deadline. What is said and whether the answers are good is the owner's business. */
#ifndef HEALTH_NAMESERVER_PUSH_EXCHANGE_H
#define HEALTH_NAMESERVER_PUSH_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/resolve.h"

struct push_exchange;

struct push_exchange_ops {
    /* The next message into `out`; its length, 0: all is said. */
    size_t (*make)(void *arg, uint8_t *out, size_t cap_bytes);
    /* Its answer, borrowed for the call. False: enough of it. */
    bool (*take)(void *arg, const uint8_t *data, size_t len);
    /* The end, once, never from within another call: ERR_NONE when all was said or take() had enough, otherwise what
     * went wrong `doing` what. The exchange may be destroyed in it. */
    void (*done)(void *arg, enum err e, const char *doing);
};

struct push_exchange_plan {
    struct loop *loop;
    struct resolver *resolver;
    const char *host; /* name or address without brackets; may go when the call returns */
    uint16_t port;
    int64_t timeout_ms;
};

/* `ops` stay borrowed. */
struct push_exchange *push_exchange_start(const struct push_exchange_plan *p, const struct push_exchange_ops *ops,
                                          void *arg);
/* Ends it wherever it is; no callback after this. */
void push_exchange_destroy(struct push_exchange **xp);

#endif
