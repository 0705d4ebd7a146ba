/* An operator wants to see the sessions there are: the supervisor asks (MSG_SESSIONS), and this worker tells of its
 * own.
 */
#ifndef GATEWAY_WORKER_LISTING_H
#define GATEWAY_WORKER_LISTING_H

#include "base/ipc.h"

struct worker;

void listing_take(struct worker *w, const struct msg_sessions *m);

#endif
