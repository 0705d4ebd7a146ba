/* The parts of /status: everything in status.c but for what is about DNS, in status_dns.c, and about
 * sessions, in status_sessions.c. */
#ifndef GATEWAY_REPORT_STATUS_PRIV_H
#define GATEWAY_REPORT_STATUS_PRIV_H

#include "gateway/report/assess.h"
#include "gateway/report/json.h"

/* Age of a moment; null when it never was. */
void status_add_age(struct json *j, const char *key, int64_t now_ms, int64_t then_ms);
/* The members that say what is known about a server or a target. */
void status_add_verdict(struct json *j, const struct report_view *v, const struct server_standing *s);

/* A counter or gauge; its name is that of the metric without what the place says already: `scope`, and "_total". */
void status_add_stat(struct json *j, const struct stat_info *info, const char *scope, uint64_t value);
/* The member "sessions" of a route; nothing when its WebSockets end with their server. */
void status_add_sessions(struct json *j, const struct report_view *v, const struct conf_route *r, int slot);

/* The members "targets", "dns" and "quorum"; of what is not configured, nothing. */
void status_add_dns(struct json *j, const struct report_view *v, const struct assessment *a);

#endif
