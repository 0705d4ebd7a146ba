/* What servers answer and announce in text payloads: replies, refused joins, system messages, the marks of broadcasts;
 * and presence calls of clients, which are kept as well. The words are Supabase's and stock Phoenix's; what means what
 * is in tables. Pure. */
#ifndef GATEWAY_REALTIME_PHX_ANSWER_H
#define GATEWAY_REALTIME_PHX_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/realtime/phx_frame.h"

/* ---- replies ---- */

struct phx_reply { /* views into the payload, all JSON as written; len 0: not there */
    bool is_ok;    /* its status is "ok" */
    struct phx_text response;
    struct phx_text reason;  /* response.reason, or a response that is a string */
    struct phx_text changes; /* response.postgres_changes, the array */
};
/* False when it is no reply. */
bool phx_reply_read(struct phx_reply *r, struct phx_text payload);

/* Why a join was refused, as far as it says what to do. */
enum phx_refusal {
    PHX_REFUSED = 0,        /* so it will be everywhere */
    PHX_REFUSED_TOKEN,      /* by this token: a fresh one may do */
    PHX_REFUSED_HERE,       /* another server may do it now */
    PHX_REFUSED_RESTARTING, /* so it may, and this one is about to go */
    PHX_REFUSED_FOR_MOMENT, /* too much just now: later */
};
/* `reason` is JSON. What is not known is the application's own word, and final. */
enum phx_refusal phx_refusal_of(struct phx_text reason);

/* ---- system messages ---- */

enum phx_system {
    PHX_SYSTEM_OTHER = 0,
    PHX_SYSTEM_CHANGES_READY,     /* "Subscribed to PostgreSQL" */
    PHX_SYSTEM_REPLICATION_READY, /* "Replication connection established" */
    PHX_SYSTEM_CHANGES_FAILED,    /* the server tries again by itself */
    PHX_SYSTEM_TOKEN,             /* expired, or no good any more: the channel is closed next */
    PHX_SYSTEM_RATE,              /* too much: the channel is closed next */
    PHX_SYSTEM_FORBIDDEN,         /* a permission is gone: the channel is closed next, rightly */
    PHX_SYSTEM_LEAVING,           /* "Server requested disconnect": the WebSocket is closed next */
    PHX_SYSTEM_FAILED,            /* any other error */
};
enum phx_system phx_system_of(struct phx_text payload);

/* ---- presence calls ---- */

enum phx_presence { PHX_PRESENCE_OTHER = 0, PHX_PRESENCE_TRACK, PHX_PRESENCE_UNTRACK };
/* Of a client's `presence` payload. OTHER also when it is not JSON. */
enum phx_presence phx_presence_of(struct phx_text payload);

/* ---- marks of broadcasts ---- */

struct phx_meta {
    struct phx_text id; /* JSON as written; len 0: none */
    bool is_replayed;
};
/* Of a whole broadcast from a server, text or kind 4; false when it has no meta. Looks through all of a text payload.
 */
bool phx_meta_read(struct phx_meta *m, const struct phx_frame *f);
/* The message without the mark that it is replayed; it had one. Whether `out` is a binary message goes by f->kind. */
void phx_write_not_replayed(struct strbuf *out, enum phx_vsn vsn, const struct phx_frame *f);

#endif
