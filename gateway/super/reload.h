/* Changing the configuration of the running gateway: all of it, or none of it. */
#ifndef GATEWAY_SUPER_RELOAD_H
#define GATEWAY_SUPER_RELOAD_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "gateway/super/children.h"

struct control_request;

enum reload_phase {
    RELOAD_IDLE = 0,
    RELOAD_OFFERED,  /* every running child has the new edition and is to say whether it can work under it */
    RELOAD_SETTLING, /* it is the current one; children that were started for it are not ready yet */
};

struct reload {
    enum reload_phase phase;
    struct edition offer;
    struct timer deadline;
    struct list waiting; /* control requests that started or joined this reload */
    struct list next;    /* those that came while it was under way: the file may have changed since it was read */
    bool is_wanted_again;
    bool is_refused; /* some child cannot work under the offer */
    struct strbuf complaints;
};

void reload_init(struct super *s);
void reload_fini(struct super *s);
/* Reloads, now or after the one under way. `r` (NULL: a signal asked) is answered when all is done. */
void reload_start(struct super *s, struct control_request *r);
/* The gateway leaves: what is under way ends here, since its end would start children again; who waits is told. */
void reload_abandon(struct super *s);
/* A child cannot work under a generation. True when that is the one on offer, so that its refusal decides the reload.
 */
bool reload_refused(struct super *s, const struct child *c, uint64_t generation, const char *error);
/* Some child answered, became ready or went away; maybe everything is done now. */
void reload_check(struct super *s);

/* Loads and validates the file (the first one says where the log goes) and binds what it needs; *e becomes an edition
 * with the next generation. EX_OK, or EX_CONFIG or EX_OSERR with one line per complaint; what was bound and claimed by
 * then is up to the caller. */
int edition_make(struct super *s, struct edition *e, struct strbuf *complaints);
void edition_drop(struct edition *e);
/* After rotation. The old file stays in use when that fails. */
void edition_reopen_access_log(struct edition *e);
void edition_publish(struct super *s); /* tells the readers of the roster which one is current */

#endif
