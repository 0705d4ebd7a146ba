/* The purge log, a stream in Redis: read by a connection of its own that blocks, added to over the links of all.
 *
 * What it tells goes to l2_ops: on_purge for each record in order, on_reach for how far it was read, on_lost when what
 * happened before a position is not known. */
#ifndef CACHE_L2_PURGES_H
#define CACHE_L2_PURGES_H

#include <stdbool.h>

#include "cache/l2_priv.h"

/* `l` is borrowed for life. Idle until l2_purges_nodes_changed() finds a node. */
struct l2_purges *l2_purges_create(struct l2 *l);
void l2_purges_destroy(struct l2_purges **pp);
/* Another Redis, or none, from now on: its log has nothing to do with the one that was read. Waiting purges stay. */
void l2_purges_forget_log(struct l2_purges *p);
/* The log of l2->redis, from now on. */
void l2_purges_name_log(struct l2_purges *p);
/* Who has the log may have changed, or can be asked now. */
void l2_purges_nodes_changed(struct l2_purges *p);
/* All that was in the log a moment ago has been told. */
bool l2_purges_is_caught_up(const struct l2_purges *p);
/* True: sent; false: waits. */
bool l2_purges_add(struct l2_purges *p, const struct cache_purge *what);

#endif
