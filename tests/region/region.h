/* One example region: a small backend that the demo and the tests put behind the gateway. It plays a node of a Phoenix
 * cluster (WebSocket channels and presence), a JSON service with rows, an echo, and on demand a bad neighbour.
 *
 * The way of a connection: door (accepts, reads the request head, makes it wait or refuses) -> web (libwebsockets:
 * HTTP bodies, WebSocket) -> page, echo or socket (Phoenix) -> hub (topics), which cluster joins to the other regions.
 */
#ifndef REGION_REGION_H
#define REGION_REGION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"
#include "tests/region/head.h"
#include "tests/region/knobs.h"

#define REGION_MAGIC         0x4e610e01u
#define REGION_REQUESTS_KEPT 64u /* for /_last_request */

struct region {
    uint32_t magic;
    struct loop *loop;
    const char *name; /* "us-a" */
    char run[17];     /* random, tells two runs of one name apart */
    struct knobs knobs;

    struct door *door;
    struct web *web;
    struct hub *hub;
    struct cluster *cluster; /* NULL without Redis */
    struct rows *rows;
    struct posts *posts;

    struct list clients; /* struct client.link */
    struct head requests[REGION_REQUESTS_KEPT];
    bool is_draining; /* told to stop */
    struct timer drain;
    int64_t drain_step_ms;  /* between two closes */
    uint64_t join_count;    /* accepted */
    uint64_t request_count; /* all since the start; the ring's next row is this modulo its size */
    uint64_t upgrade_count;
    uint64_t message_count;
    uint64_t open_count; /* WebSockets now */
};

struct region_options {
    const char *name;
    const char *listen; /* numeric address with port; port 0 takes a free one */
    const char *redis;  /* redis://host:port/db, unix:/path, or NULL */
    struct knobs knobs;
};

/* NULL with a line in the log when it cannot start. `o`'s strings are borrowed for its life. */
struct region *region_create(struct loop *l, const struct region_options *o);
uint16_t region_port(const struct region *r);
/* Stops accepting and closes WebSockets with 1012, as a node of a cluster does when it is told to stop: at once, or one
 * after the other over the time of the knob. */
void region_drain(struct region *r);
void region_destroy(struct region **rp);

/* Remembers the head (copied) for /_last_request; control paths are not remembered. */
void region_remember(struct region *r, const struct head *h);
/* The newest remembered request whose target contains `match`; JSON null when there is none. */
json_t *region_last_request(const struct region *r, const char *match);
json_t *region_stats(const struct region *r);
/* Applies close= and frame= to the WebSockets that are open now, and looks again at what waits at the door. */
void region_knobs_changed(struct region *r);

#endif
