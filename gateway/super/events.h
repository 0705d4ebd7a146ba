/* Everything that happens, in one order: the supervisor numbers each event, writes it to the journal, keeps the newest
 * in memory, and passes all of them on to the admin process, which shows them and sends alerts.
 *
 * What the checker and the workers know stands in the shared tables; it is compared with what was last said about it, a
 * few times a second and with every message of a flip. So an event can be late but is not lost with a message, and the
 * other processes need not know of the journal. */
#ifndef GATEWAY_SUPER_EVENTS_H
#define GATEWAY_SUPER_EVENTS_H

#include <stdint.h>

#include "base/event.h"
#include "base/ipc.h"

#define EVENTS_KEPT 1024u /* in memory */

struct super;
struct child;
struct control_request;
struct events;

/* Opens the journal in the state directory of the current configuration, and goes on where it ended. */
struct events *events_create(struct super *s);
void events_destroy(struct events **ep);

/* Something happened: `e` as event_init() makes it. Number, time and duration are put in here. */
void events_add(struct events *e, struct event *what);
/* A condition is the case, or is not: an event if that was not known, or if `to` is something else than last time.
 * Texts as in event_init(). */
void events_settle(struct events *e, enum event_kind kind, bool is_case, const char *subject, const char *from,
                   const char *to, const char *cause);
/* A process sent one. It may repeat that a condition began, or end one that did not begin, with `from` like `to` if
 * that is all there is to say: neither is an event then. */
void events_take(struct events *e, const struct child *from, const struct event *what);

/* ---- what happens in the supervisor ---- */
void events_started(struct super *s);
void events_conf(struct super *s);                           /* there is a new current configuration */
void events_flip(struct super *s, const struct msg_text *m); /* the checker changed a verdict */
void events_child_ready(struct super *s, const struct child *c);
void events_child_ended(struct super *s, const struct child *c, const char *cause);
/* The process that wants all events is new: it gets those in memory. */
void events_tell_anew(struct super *s);

/* The control command `events [AFTER [LIMIT]]`: lines of JSON, oldest first. */
void events_command(struct super *s, struct control_request *r, const char *rest);

#endif
