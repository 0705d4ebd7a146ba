/* What is open and what is on its way, for an operator to look at. Pure. */
#ifndef GATEWAY_ADMIN_ALERT_LIST_H
#define GATEWAY_ADMIN_ALERT_LIST_H

#include "base/buf.h"
#include "gateway/admin/alert_queue.h"
#include "gateway/admin/alert_rules.h"

/* Adds {"open":[..],"waiting":[..]}, a line. Of what is open: the number to acknowledge it by, the alert, what it is
 * about and since when, whether it was told of yet, who acknowledged it and when, when it was handed on. Of what waits:
 * the alert, its age, how often it was tried. */
void alert_list_json(const struct alert_rules *r, const struct alert_queue *q, int64_t wall_ms, struct strbuf *out);

#endif
