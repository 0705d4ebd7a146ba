/* How notices are worded: for people, for webhooks in their forms, for mail. Pure. */
#ifndef GATEWAY_ADMIN_ALERT_TEXT_H
#define GATEWAY_ADMIN_ALERT_TEXT_H

#include "base/buf.h"
#include "gateway/admin/alert_rules.h"

#define ALERT_TEXT_BYTES_MAX (512u << 10)

struct alert_letter {
    const char *node;
    const struct conf_alert *rule;
    struct alert_notice notice;
    uint64_t number; /* of the delivery: the same each time it is tried */
    int64_t wall_ms;
};

/* One line about one item, such as "realtime/us-a is down (timeout)". */
void alert_item_text(const struct alert_item *i, struct strbuf *out);
/* One line about all of it. */
void alert_summary(const struct alert_letter *l, struct strbuf *out);
/* "firing" while something of it lasts, "resolved" when all of it ended, "info" when it is about what just happened. */
const char *alert_status(const struct alert_notice *n);
/* The body of a post, in the rule's form. With ALERT_FORM_PAGERDUTY there must be exactly one item. */
void alert_body(const struct alert_letter *l, struct strbuf *out);
/* The Content-Type of that. */
const char *alert_content_type(const struct conf_alert *c);
/* A message of RFC 5322, with its header; lines end with CRLF. */
void alert_mail(const struct alert_letter *l, struct strbuf *out);

#endif
