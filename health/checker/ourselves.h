/* Whether it is us: when no server answers any more, hosts that have nothing to do with them (canaries) are asked. When
 * those do not answer either, this gateway is cut off, and what it does not see says nothing about the servers: their
 * verdicts stay as they are (fail-static), and health says so.
 *
 * A canary answers when a TCP connection to it comes about; one of them is enough. They are asked only in doubt. */
#ifndef HEALTH_CHECKER_OURSELVES_H
#define HEALTH_CHECKER_OURSELVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/resolve.h"
#include "conf/conf.h"
#include "health/verdict.h"

/* While they do not answer they are asked again this often at most. */
#define OURSELVES_PAUSE_MS 500

struct ourselves;

/* The table is told since when we are cut off. All outlive it. */
struct ourselves *ourselves_create(struct loop *l, struct resolver *r, struct verdict_table *verdicts);
void ourselves_destroy(struct ourselves **op);
/* `c` is borrowed until the next call or the end. */
void ourselves_set(struct ourselves *o, const struct conf_canaries *c);

/* Whether a server may be called down that has failed since `since_ms`, when `unseen_count` of `count` servers, itself
 * among them, have not answered since then. False: not now; the canaries are being asked, or they do not answer. */
bool ourselves_are_sure(struct ourselves *o, size_t unseen_count, size_t count, int64_t since_ms);
void ourselves_saw_somebody(struct ourselves *o); /* a server answered */

#endif
