/* Alerts, all of it: events in, letters out, what is on its way kept over restarts, and the operator's two commands. */
#ifndef GATEWAY_ADMIN_ALERTS_H
#define GATEWAY_ADMIN_ALERTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/event.h"
#include "base/ipc.h"
#include "base/loop.h"
#include "base/stats.h"
#include "conf/conf.h"

struct alerts;

struct alerts_ops {
    /* To a command. What is long comes in `list` (otherwise NULL), borrowed for the call. */
    void (*answer)(void *arg, uint64_t number, bool ok, const char *text, const struct strbuf *list);
    void (*event)(void *arg, const struct event *e); /* something for the journal */
};

/* Opens `state_dir` ("": keeps nothing). Events of before `since_wall_ms` are old news unless the kept state says that
 * they have not been looked at. What is counted is counted in `cells` (STAT_PROCESS_COUNT, borrowed). NULL when nothing
 * can be sent. */
struct alerts *alerts_create(struct loop *l, const char *state_dir, int64_t since_wall_ms, stat_cell *cells,
                             const struct alerts_ops *ops, void *arg);
void alerts_destroy(struct alerts **ap); /* keeps what there is to keep */
/* Borrowed until the next call. */
void alerts_set(struct alerts *a, const struct conf *c);
/* After alerts_set(). May come again. */
void alerts_event(struct alerts *a, const struct event *e);
void alerts_command(struct alerts *a, const struct msg_alert *m);
/* What is open and what is on its way, as alert_list.h says. */
void alerts_list(const struct alerts *a, struct strbuf *out);

#endif
