/* What the gateway has to know of a protocol to keep a session alive when its server dies: what to record, how to join
 * again, what to swallow, what to answer. One row of the table in protocol.c per protocol; a new one is its own file
 * and a row.
 *
 * A speaker is the protocol's memory of one session. It sees every message of both sides and says which pass; it speaks
 * to both sides itself with what gateway/realtime/session.h offers. It never waits: it says when it wants to be asked
 * again. The session knows servers, time and queues, and nothing of the protocol. */
#ifndef GATEWAY_REALTIME_PROTOCOL_H
#define GATEWAY_REALTIME_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/conf_session.h"
#include "gateway/http/head.h"
#include "gateway/ws/sift.h"

struct session;
struct leg;
struct held;

/* Of the handshake. Borrowed for the call. */
struct protocol_hello {
    struct http_view query;       /* of the client's request */
    struct http_view subprotocol; /* chosen by the server; data NULL: none */
};

enum held_fate {
    HELD_OVERFLOWED = 0, /* the oldest made room for another one */
    HELD_LATE,           /* its deadline came */
};

struct protocol {
    const char *name;

    /* NULL when this handshake is not understood: the WebSocket is opaque then. */
    void *(*open)(struct session *s, const struct protocol_hello *h);
    void (*close)(void *p);

    /* A message of the client. SIFT_PASS sends it to session_leg(), which must be there. */
    enum sift_verdict (*on_client)(void *p, const struct ws_message *m);
    /* A message of a server, not always the current one. SIFT_PASS sends it to the client. */
    enum sift_verdict (*on_server)(void *p, struct leg *from, const struct ws_message *m);

    /* Whether there is anything for which a server is needed. A session without waits until there is. */
    bool (*wants_server)(const void *p);
    /* How many joins (or the like) restore() will make: what pacing counts. At least 1. */
    uint32_t (*restore_cost)(const void *p);
    /* A server took the WebSocket: re-create on it what was on the one before, then call leg_restored(). During a
     * planned move session_leg() is still the old one and lives; otherwise it is `to`. */
    void (*restore)(void *p, struct leg *to);
    /* A leg is gone, the current one (session_leg() is NULL) or the one a move was going to: forget what was said on
     * it, settle what was in flight. */
    void (*on_lost)(void *p, struct leg *leg);
    /* The server of now closed its WebSocket with this code (1005: none). True: that was the protocol's own last word
     * to the client, and the speaker has ended the session with it (session_end); no other server is sought. False:
     * codes that are meant for the client all the same (1008, and from 3000 up) end the session; else the leg is lost
     * like any other, on_lost() follows. NULL: always false. */
    bool (*on_server_close)(void *p, struct leg *from, uint16_t code, const char *reason, size_t reason_bytes);
    /* A planned move asks a server, or has found none. What is delivered from here on may come from that server once
     * more, when the session goes there: it may have waited with what it has. NULL: not wanted. */
    void (*on_moving)(void *p, bool is_asking);
    /* A planned move is complete: session_leg() is the new one, `old` still delivers for a moment and then goes. */
    void (*on_moved)(void *p, struct leg *old);

    /* Ask the server for a sign of life; call leg_beat_answered() when it comes. */
    void (*beat)(void *p, struct leg *to);
    /* When on_timer() is wanted (loop time); INT64_MAX: not. Asked after every call. */
    int64_t (*due_ms)(const void *p);
    void (*on_timer)(void *p);
    /* A message that waited (session_hold) will not be sent. */
    void (*on_unsent)(void *p, const struct held *h, enum held_fate fate);
    /* There has been no server for too long (give_up): tell the client so, in the protocol's own words, in a way that
     * makes it try again. Its WebSocket stays. */
    void (*give_up)(void *p);
    /* The gateway closes the WebSocket with this code; the protocol may want to say good-bye before. May be NULL. */
    void (*on_end)(void *p, uint16_t code);

    /* For tidegatectl sessions: members of a JSON object, each with a comma before it (,"channels":[...]). */
    void (*describe)(const void *p, struct strbuf *out);
};

/* The row of a protocol; NULL for opaque, which has no memory. */
const struct protocol *protocol_of(enum conf_ws_protocol p);

#endif
