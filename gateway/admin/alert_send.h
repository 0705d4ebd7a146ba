/* One attempt to deliver at a time and for each letter: an HTTP post or a mail, by libcurl on our loop. Bounded in time
 * and in what is read of an answer; nothing here blocks. libcurl stays inside alert_send.c. */
#ifndef GATEWAY_ADMIN_ALERT_SEND_H
#define GATEWAY_ADMIN_ALERT_SEND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/loop.h"
#include "conf/conf.h"

#define ALERT_ERROR_BYTES 256u

struct alert_sender;
struct alert_attempt;

struct alert_outcome {
    bool is_delivered;
    bool is_hopeless; /* the same again would be refused again */
    char error[ALERT_ERROR_BYTES];
};

/* Called once, not from within alert_attempt_start(); the attempt is gone afterwards. */
typedef void alert_done_fn(void *arg, const struct alert_outcome *o);

/* NULL when libcurl cannot start. */
struct alert_sender *alert_sender_create(struct loop *l);
/* All attempts must have ended or be cancelled. */
void alert_sender_destroy(struct alert_sender **sp);

/* What is said in `rule` about where and how is copied or used at once, and so is `text`: the body of a post, or a
 * whole mail when the rule is one for mail. NULL when it cannot even begin. */
struct alert_attempt *alert_attempt_start(struct alert_sender *s, const struct conf_alert *rule,
                                          const char *content_type, const char *text, size_t len, alert_done_fn *done,
                                          void *arg);
void alert_attempt_cancel(struct alert_attempt **ap); /* done is not called */

#endif
