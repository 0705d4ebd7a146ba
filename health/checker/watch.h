/* Between two probes: one idle connection to the server, whose end says that it is time to ask.
 *
 * A process that dies takes its connections with it, and the kernel tells of that at once. But servers and what stands
 * before them close idle connections for reasons of their own, so an end is a hint, never a verdict; a server that
 * keeps closing soon, or talks without being asked, is left alone for a while. Nothing is sent. Part of its owner's
 * struct. */
#ifndef HEALTH_CHECKER_WATCH_H
#define HEALTH_CHECKER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/sock.h"

/* An end within so many intervals is a soon one; after so many of them in a row nobody watches for so long. */
#define WATCH_SOON_INTERVALS 3
#define WATCH_SOON_ENDS_MAX  3u
#define WATCH_REST_MS        600000
/* What a server may say, a greeting for one; it is thrown away. */
#define WATCH_HEARD_BYTES_MAX 4096u

/* The server has ended the connection, or did not take it. Never called from within the functions below. */
typedef void watch_ended_fn(void *arg);

struct watch {
    struct loop *loop;
    watch_ended_fn *fn;
    void *arg;
    int fd; /* -1: not open */
    struct io io;
    struct addr addr;
    bool is_connected;
    int64_t connected_ms, soon_ms;
    size_t heard_bytes;
    unsigned soon_count; /* ends in a row */
    int64_t rest_until_ms;
};

void watch_init(struct watch *w, struct loop *l, watch_ended_fn *fn, void *arg);
void watch_fini(struct watch *w); /* no callback any more */
/* After a good answer from `addr`: opens the connection unless it is open, or at rest. That it cannot be opened is no
 * end: the next answer brings the next attempt. */
void watch_keep(struct watch *w, const struct addr *addr, int64_t interval_ms);
/* Closes it, without a callback: nobody wants to know any more. */
void watch_drop(struct watch *w);
/* After a failure: drops it, and does not hold its end against the server any more, which had a reason. */
void watch_confirm(struct watch *w);
bool watch_is_open(const struct watch *w); /* or about to be */

#endif
