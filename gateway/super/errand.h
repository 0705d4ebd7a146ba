/* What an operator asked for and a child does: the request waits here until the child has said so, or its time is over.
 * The answer is known by its number. Whoever sends errands has a list of them, keeps what else there is to remember of
 * each in a struct around it, and gives the operator the answer. */
#ifndef GATEWAY_SUPER_ERRAND_H
#define GATEWAY_SUPER_ERRAND_H

#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "base/roster.h"

struct super;
struct child;
struct control_request;

struct errand {
    struct list link;
    struct control_request *request;
    struct timer deadline;
    uint64_t number;
};

struct errands {
    uint64_t last_number; /* given out so far */
    struct list list;     /* as many as the control socket has clients */
};

void errands_init(struct errands *all);
/* The one child of this role, ready for work; NULL: there is none now. */
struct child *errands_child(struct super *s, enum role role);

/* Begins to wait, under the next number. Unless it ends before, `on_late` is called with `arg` and is to end it. */
void errand_begin(struct errand *e, struct errands *all, struct loop *l, struct control_request *r, int64_t deadline_ms,
                  timer_fn *on_late, void *arg);
/* Waits no more. Returns the request, which is to be answered unless everything ends. */
struct control_request *errand_end(struct errand *e);
/* The one with this number, or NULL. */
struct errand *errand_find(const struct errands *all, uint64_t number);

#endif
