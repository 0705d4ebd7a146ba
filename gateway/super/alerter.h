/* An operator's words about alerts (ack, test) on their way to the admin process, which sends alerts. */
#ifndef GATEWAY_SUPER_ALERTER_H
#define GATEWAY_SUPER_ALERTER_H

#include <stdint.h>

#include "base/ipc.h"
#include "gateway/super/errand.h"

#define ALERTER_DEADLINE_MS 15000 /* a test takes as long as a mail server does */

struct alerter {
    struct errands errands;
};

void alerter_init(struct super *s);
/* Whoever still waits is not answered. */
void alerter_fini(struct super *s);

/* The control command `ack [NUMBER] [by NAME]`: without a number, all that was told of. */
void alerter_ack(struct super *s, struct control_request *r, const char *rest);
/* `alerts`: answered with what is open, as JSON. `alerts test NAME`: once it was delivered, or with what went wrong. */
void alerter_alerts(struct super *s, struct control_request *r, const char *rest);

/* ---- what the admin process does ---- */
void alerter_answered(struct super *s, const struct msg_alert_answer *m, int fd); /* `fd` stays the caller's */
void alerter_forget(struct super *s, const struct child *c);                      /* its process is gone */

#endif
