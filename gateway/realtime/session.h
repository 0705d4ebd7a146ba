/* A session: a client's WebSocket that outlives its servers. This is what speakers (gateway/realtime/protocol.h) see of
 * it; gateway/realtime/session_priv.h is for the tunnel it belongs to.
 *
 * A leg is the WebSocket to one server. There is mostly one; none while a server is sought, two during a planned move.
 * Legs have epochs: what is known about one never counts for another. */
#ifndef GATEWAY_REALTIME_SESSION_H
#define GATEWAY_REALTIME_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/stats.h"
#include "conf/conf_session.h"
#include "gateway/ws/sift.h"

/* As the users of realtime clients know them. */
enum session_state {
    SESSION_CONNECTED = 0, /* its server has everything */
    SESSION_CONNECTING,    /* a server is being asked */
    SESSION_RECONNECTING,  /* one has taken the WebSocket, and is told what there was */
    SESSION_DISCONNECTED,  /* no server, and none is asked right now */
    SESSION_STATE_COUNT
};
const char *session_state_text(enum session_state s);

struct session;
struct leg;

/* ---- the session ---- */

const struct conf_session *session_conf(const struct session *s); /* valid until the next return to the loop */
int64_t session_now_ms(const struct session *s);
int64_t session_wall_ms(const struct session *s);
/* 64 bits that differ from session to session and call to call; not secret. */
uint64_t session_random(struct session *s);
/* The server's WebSocket of now; NULL: none. It may not have been restored yet. */
struct leg *session_leg(const struct session *s);
/* The one a planned move is going to; NULL: none. */
struct leg *session_next_leg(const struct session *s);
/* The one a planned move came from, while it still delivers; NULL: none. */
struct leg *session_old_leg(const struct session *s);

/* What the speaker will need with the next message (base/near.h), beside itself: `which` is below SESSION_NEAR_COUNT.
 */
#define SESSION_NEAR_COUNT 2u
void session_keep_near(struct session *s, unsigned which, const void *at, size_t bytes);
/* A message of the gateway's own to the client. It waits while one of a server's is half out. */
void session_tell(struct session *s, enum ws_opcode opcode, const void *payload, size_t len);
/* What wants_server() says may have changed. */
void session_wants_changed(struct session *s);
/* The server of now (session_leg(), which has everything) has said that it is about to go, and refuses what it is asked
 * for: a planned move to another one is wanted at once. It goes on serving until that has everything: restore() and
 * on_moved() follow as in any move. Nobody has to ask who has asked already, or moves for another reason.
 *
 * When there is no other server, or that one fails too (on_lost() of the next leg), the session stays where it is. The
 * move is tried again after pauses that grow, for half a minute; after that it has to be asked for again. So what waits
 * for the move needs a deadline of its own. */
void session_ask_move(struct session *s);
/* Nothing can bring this session back (its credentials were refused for good): closes the client. The reason is
 * copied. */
void session_end(struct session *s, uint16_t code, const char *reason);
/* Counts on the route, and adds to the life that tidegatectl sessions shows; `what` is static. */
void session_count(struct session *s, enum stat_route id, int64_t count);
void session_note(struct session *s, const char *what);
/* Messages for this client may have been lost since this loop time; how it hears of that is the speaker's business. */
int64_t session_lost_since_ms(const struct session *s);

/* ---- messages that wait ---- */

/* A client's message, kept until it can be sent. `lane` keeps the order of those that depend on each other. */
struct held {
    struct list link;
    uint32_t lane;
    uint32_t try_count; /* legs it was sent on */
    int64_t since_ms;
    int64_t deadline_ms; /* on_unsent(HELD_LATE) by then; INT64_MAX: none */
    uint32_t note_bytes;
    uint32_t frames_bytes;
    uint8_t data[]; /* the speaker's note, then the client's own frames */
};
static inline const uint8_t *held_frames(const struct held *h)
{
    return h->data + h->note_bytes;
}

/* Keeps a whole message behind the others of its lane, with `note` for the speaker to know it by. Over the route's
 * bounds the oldest of all goes, which may be this one. */
void session_hold(struct session *s, const struct ws_message *m, uint32_t lane, int64_t deadline_ms, const void *note,
                  size_t note_bytes);
/* Whether one with so many bytes of note and frames can wait without another one going. */
bool session_can_hold(const struct session *s, size_t bytes);
/* The first that waits in a lane; NULL: none. Borrowed until the next call about held messages. */
struct held *session_first_held(struct session *s, uint32_t lane);
/* Whether any waits, in whatever lane. */
bool session_has_held(const struct session *s);
/* Takes it off the queue, to be sent or not; the caller's from now on: held_free() or session_hold_again(). */
struct held *session_take_held(struct session *s, struct held *h);
/* Puts it back in front of its lane. */
void session_hold_again(struct session *s, struct held *h);
void held_free(struct held **hp);

/* ---- legs ---- */

uint32_t leg_epoch(const struct leg *l);     /* 1 for a session's first, and so on */
const char *leg_server(const struct leg *l); /* "pool/server" */

int64_t leg_heard_ms(const struct leg *l);    /* when its server last said anything */
uint16_t leg_close_code(const struct leg *l); /* with which its server closed; 0: it did not */

void leg_send(struct leg *l, enum ws_opcode opcode, const void *payload, size_t len);
/* The client's own frames, whole messages. */
void leg_send_frames(struct leg *l, const void *frames, size_t len);
/* Bytes that wait because the server does not read. */
size_t leg_buffered(const struct leg *l);

void leg_beat_answered(struct leg *l);
/* The server may be silent for so long more, because it was asked for something that keeps it busy; 0: not any more. */
void leg_allow_silence(struct leg *l, int64_t ms);
/* Everything is there again: the session lives on this leg. */
void leg_restored(struct leg *l);

/* The speaker found out that this leg is no good. The session drops it and does what follows. on_lost() is called at
 * the end of the pass. */
enum leg_fault {
    LEG_ANOTHER = 0, /* another server may do better: at once */
    LEG_BUSY,        /* so it may, but not at once: back off */
};
void leg_fail(struct leg *l, enum leg_fault fault, const char *why);

#endif
