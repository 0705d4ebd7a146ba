/* Alerts over restarts: open incidents, items that are held, and notices that are not delivered yet, in one file of the
 * state directory that is replaced as a whole. There are no secrets in it. */
#ifndef GATEWAY_ADMIN_ALERT_STORE_H
#define GATEWAY_ADMIN_ALERT_STORE_H

#include "base/buf.h"
#include "gateway/admin/alert_queue.h"
#include "gateway/admin/alert_rules.h"

struct alert_store;

/* Opens the directory; with "" or when that fails, which is logged, nothing is kept. */
struct alert_store *alert_store_open(const char *dir);
void alert_store_close(struct alert_store **sp);

/* Fills both, which have their configuration already, with what the file says. False when there is none to be used. */
bool alert_store_load(const struct alert_store *s, struct alert_rules *r, struct alert_queue *q, int64_t now_ms,
                      int64_t wall_ms);
void alert_store_save(struct alert_store *s, const struct alert_rules *r, const struct alert_queue *q, int64_t now_ms,
                      int64_t wall_ms);

/* Text to state and back, for the above. */
void alert_store_print(const struct alert_rules *r, const struct alert_queue *q, int64_t now_ms, int64_t wall_ms,
                       struct strbuf *out);
bool alert_store_parse(const char *text, size_t len, struct alert_rules *r, struct alert_queue *q, int64_t now_ms,
                       int64_t wall_ms);

#endif
