/* One connection to Redis on our loop, which comes back by itself when it was lost. Two of them make a region's
 * link: one for commands, one that listens. hiredis stays in redis.c. */
#ifndef REGION_REDIS_H
#define REGION_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

#define REDIS_BACKLOG_MAX_BYTES (8u << 20) /* what a slow server may leave unread before commands fail */

struct redis;

/* An answer, flattened: strings and numbers as text, one level of arrays. Borrowed for the call. */
struct redis_answer {
    bool is_error;     /* of the server, or no connection */
    size_t count;      /* of an array, else 1; 0 for nil */
    const char **text; /* NULL for nil */
    size_t *len;
};
typedef void redis_answer_fn(void *arg, const struct redis_answer *a);
typedef void redis_up_fn(void *arg);

/* `url`: redis://host:port[/db] or unix:/path. NULL when it is neither. `on_up` (may be NULL) runs after every connect.
 */
struct redis *redis_create(struct loop *l, const char *url, redis_up_fn *on_up, void *arg);
void redis_destroy(struct redis **rp); /* open commands get their error first */
bool redis_is_up(const struct redis *r);

/* `on_answer` (may be NULL) runs exactly once, with is_error when there is no connection, then possibly before this
 * returns. */
void redis_command(struct redis *r, redis_answer_fn *on_answer, void *arg, size_t argc, const char **argv,
                   const size_t *argv_len);
/* Listens to a channel for the life of this connection: `on_message` runs for each message, text[2] being its bytes. */
void redis_subscribe(struct redis *r, const char *channel, redis_answer_fn *on_message, void *arg);

#endif
