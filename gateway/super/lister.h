/* The sessions of all workers, for an operator: each worker is asked for its own, and what came in time is shown. */
#ifndef GATEWAY_SUPER_LISTER_H
#define GATEWAY_SUPER_LISTER_H

#include "base/ipc.h"
#include "gateway/super/errand.h"

#define LISTER_DEADLINE_MS 3000

struct lister {
    struct errands errands;
};

void lister_init(struct super *s);
/* Whoever still waits is not answered. */
void lister_fini(struct super *s);

/* The control command `sessions LIMIT [FILTER]`: answered with JSON, {"fitting": how many there are, "sessions": [...]
 * of which at most LIMIT, "missing": [workers that did not answer in time], "cut": whether there was no room for more}.
 */
void lister_start(struct super *s, struct control_request *r, const char *rest);

/* ---- what workers do ---- */
void lister_answered(struct super *s, const struct child *c, const struct msg_sessions_answer *m, int fd); /* borrows */
void lister_forget(struct super *s, const struct child *c); /* its process is gone, and so are its sessions */

#endif
