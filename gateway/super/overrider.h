/* An operator's words about servers (force, drain) on their way to the checker, which alone writes verdicts. */
#ifndef GATEWAY_SUPER_OVERRIDER_H
#define GATEWAY_SUPER_OVERRIDER_H

#include <stdint.h>

#include "base/ipc.h"
#include "gateway/super/errand.h"

#define OVERRIDER_DEADLINE_MS 2000 /* for the checker to confirm */

struct overrider {
    struct errands errands;
};

void overrider_init(struct super *s);
/* Whoever still waits is not answered. */
void overrider_fini(struct super *s);

/* The control commands: `rest` is POOL/SERVER WORD (or targets/NAME WORD), the word up, down or auto; for drain and
 * undrain POOL/SERVER alone. Answered when the checker has confirmed, or with what went wrong. */
void overrider_force(struct super *s, struct control_request *r, const char *rest);
void overrider_drain(struct super *s, struct control_request *r, const char *rest);
void overrider_undrain(struct super *s, struct control_request *r, const char *rest);

/* ---- what the checker does ---- */
void overrider_acked(struct super *s, const struct msg_override_ack *ack);
/* Its process is gone. Whether it had done what it did not confirm is not known, so the operator is told to look. */
void overrider_forget(struct super *s, const struct child *c);

#endif
