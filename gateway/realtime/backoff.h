/* How long to wait before another try: twice as long after each failure, with jitter, so that those who lost the same
 * server do not come back together. Pure: random bits are handed in. */
#ifndef GATEWAY_REALTIME_BACKOFF_H
#define GATEWAY_REALTIME_BACKOFF_H

#include <stdint.h>

#include "conf/conf_session.h"

struct backoff { /* all zero: nothing has failed yet */
    uint32_t failure_count;
};

/* Another try failed: how long to wait, in [1, c->max_ms]. Before jitter that is first_ms, doubled with each further
 * failure up to max_ms; jitter takes off up to jitter_percent of it, as `random` says. */
int64_t backoff_next_ms(struct backoff *b, const struct conf_backoff *c, uint64_t random);
/* One succeeded. */
void backoff_reset(struct backoff *b);

/* When a client that is sent away had better come back, with so many others: somewhere in a window of 1 s and 1 ms for
 * each of them, 30 s at most, every millisecond as likely as the next. In [1, the window]. */
int64_t backoff_hint_ms(uint32_t client_count, uint64_t random);

#endif
