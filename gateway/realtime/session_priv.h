/* What the files of a session share, and what the tunnel it belongs to does with it. Speakers see session.h alone.
 *
 *   session.c          its life; the bytes of both sides, and time
 *   session_servers.c  how it comes by its servers: lost, seeking, restored; planned moves
 *   leg.c              the WebSocket to one server: bytes, heartbeats, the end
 *   held.c             messages that wait for a server
 *   session_life.c     what tidegatectl sessions shows */
#ifndef GATEWAY_REALTIME_SESSION_PRIV_H
#define GATEWAY_REALTIME_SESSION_PRIV_H

#include "gateway/realtime/backoff.h"
#include "gateway/realtime/losses.h"
#include "gateway/realtime/moves.h"
#include "gateway/realtime/protocol.h"
#include "gateway/realtime/seek.h"
#include "gateway/realtime/session.h"
#include "gateway/realtime/tunnel_priv.h"

#define SESSION_MAGIC 0x5e5510a8u
#define LEG_MAGIC     0x1e6b07c3u

#define SESSION_HOLD_BYTES  (1u << 20)   /* of a server's message: a longer one is passed on while it comes */
#define SESSION_LOOK_BYTES  256u         /* of a client's message: enough to know what it is */
#define SESSION_TAKE_BYTES  (256u << 10) /* a client's message of which all must be known is not longer */
#define SESSION_OWED_BYTES  (4u << 20)   /* what waits for a message that is half out */
#define SESSION_SAID_BYTES  (256u << 10) /* of the gateway's own that a client leaves unread, beside its buffer */
#define SESSION_OVERLAP_MS  500          /* after a planned move: how long the old server still delivers */
#define SESSION_HALF_OUT_MS 30000        /* so much longer, if it is in the middle of a message */
#define SESSION_PART_MS     2000         /* how long a server that was told good-bye may take to hang up */
#define SESSION_LIFE_COUNT  16u

enum leg_loss { LEG_LOSS_FAULT = 0 /* the server's */, LEG_LOSS_OURS };

struct leg { /* what every message needs comes first */
    uint32_t magic;
    uint32_t epoch;
    struct session *session; /* NULL: parting, nobody's any more */
    struct conn *conn;       /* NULL once it is lost */
    int64_t heard_ms;
    bool is_over;
    bool is_ours;        /* lost by our own decision */
    uint8_t fault;       /* enum leg_fault */
    uint16_t close_code; /* said by the server; 0: none */
    struct strbuf owed;  /* frames of the gateway's own, while a message of the client's is half out */
    struct sift sift;

    struct list link;      /* in the set's list of those that part, or the session's of the lost */
    struct server *server; /* a reference */
    struct timer parting;
    int64_t beat_at_ms;      /* when the next heartbeat is due */
    int64_t beat_us;         /* when the last one was sent that has not been answered; 0: none */
    int64_t silent_until_ms; /* allowed to be silent */
    int64_t restored_ms;     /* 0: not yet */
    int64_t opened_ms;
    int64_t ends_ms; /* the old one of a move; 0: it is not */
    const char *why; /* lost; static or in why_room */
    char why_room[64];
};

struct life_note {
    const char *what;    /* static */
    uint32_t after_ms;   /* the session was opened */
    int16_t server_slot; /* -1: about none */
};

struct session { /* what every message needs comes first */
    uint32_t magic;
    uint32_t epoch;
    struct tunnel *tunnel;
    const struct protocol *protocol;
    void *speaker;
    struct leg *leg, *next, *old;
    struct leg *feeding;  /* whose messages are on the stack; NULL: nobody's */
    struct leg *half_out; /* of whose message half is out to the client; NULL: nobody's */
    bool is_feeding_up;   /* a client's messages are on the stack */
    bool is_stopped;
    bool is_client_full; /* legs are not read */
    bool is_seek_move;   /* the seek is for a planned move */
    bool has_left;       /* the speaker has said good-bye */
    bool is_given_up;
    bool is_torn;         /* half a message went to the client, and its other half is lost */
    uint8_t state;        /* enum session_state */
    int64_t timer_due_ms; /* INT64_MAX: not running */
    struct strbuf owed;   /* frames for the client, while a server's message is half out */
    uint32_t held_count;
    struct sift up; /* the client's messages */

    struct list held; /* struct held, in the order they came */
    uint64_t held_bytes;
    int64_t held_due_ms;
    const struct origin_ops *origin_ops;
    void *origin;
    char *subprotocol; /* NULL: none */
    char *end_reason;  /* the first that was given to session_end() */
    uint64_t serial;
    struct list lost; /* legs that on_pass_end() settles */
    struct later settle;
    struct seek *seek;
    struct timer timer;

    int64_t opened_ms;
    int64_t lost_ms;  /* since when there is no server; 0: there is one */
    int64_t retry_ms; /* when to seek again; 0: nothing is planned */
    int64_t lost_since_ms;
    int64_t rtt_us;       /* -1: not known */
    struct server *avoid; /* a reference: the one that was lost */
    struct backoff backoff;
    uint32_t quick_losses; /* in a row, of servers that had hardly begun */
    uint32_t loss_count, move_count;
    struct mover mover;
    int64_t asked_move_ms; /* when the speaker began to ask for a move (MOVE_ASKED) */
    struct loss loss;      /* the one it suffers from, in the tally of all */
    struct life_note life[SESSION_LIFE_COUNT];
    uint32_t life_count;
};

/* ---- session.c: for the tunnel ---- */

/* A session for a tunnel that is being started: takes the origin, and the upstream if there is a session. NULL: the
 * tunnel is opaque. */
struct session *session_open(struct tunnel *t, const struct tunnel_start *o);
/* Begins to read the first server, with what came behind its 101. */
void session_start(struct session *s, const uint8_t *early, size_t len);
/* Bytes of the client, judged already. */
void session_from_client(struct session *s, const uint8_t *data, size_t len);
bool session_is_full(const struct session *s); /* the client is to be paused */
/* The client is full, or has room again. */
void session_pause(struct session *s);
void session_resume(struct session *s);
/* The client is about to be sent a close: what its protocol says before that. Once. */
void session_take_leave(struct session *s, uint16_t code);
/* The tunnel ends: servers are told good-bye. No callback after this. */
void session_stop(struct session *s, uint16_t code);
void session_free(struct session **sp);
/* The route's configuration may be another one. */
void session_rebound(struct session *s);

/* ---- session_servers.c: for the tunnel ---- */

/* Other servers may be there now. */
void session_retry(struct session *s);
/* The server it is on is down, says somebody who knows. */
void session_server_down(struct session *s, const char *why);
/* Moves it to another server although its own lives (static `why`), with `is_better_only` to one of a better tier.
 * False when that cannot be begun now. What came of it shows in session_is_moving() and session_server(). */
bool session_move(struct session *s, bool is_better_only, const char *why);
bool session_is_moving(const struct session *s);
struct server *session_server(const struct session *s); /* of the current leg; NULL: none */

/* ---- session.c: for the other files ---- */
/* The server's WebSocket of now is another one; NULL: none. */
void session_set_leg(struct session *s, struct leg *l);
void session_set_state(struct session *s, enum session_state state);
void session_touch(struct session *s); /* what is due when may have changed */
void session_touch_after_bytes(struct session *s);
void session_pass_down(struct session *s, struct leg *from, const uint8_t *frames, size_t len);
static inline bool session_wants_server(const struct session *s)
{
    return s->protocol->wants_server(s->speaker);
}

/* ---- session_servers.c: for the other files ---- */
void session_seek(struct session *s);
/* A leg was lost: it is dealt with at the end of the pass, by session_on_settle(). */
void session_leg_lost(struct session *s, struct leg *l);
void session_on_settle(void *arg);
void session_leg_restored(struct session *s, struct leg *l);
/* After a planned move: the old server has delivered long enough, unless half a message of it is out. */
void session_end_overlap(struct session *s, int64_t now_ms);

/* ---- leg.c ---- */
struct leg *leg_create(struct session *s, struct conn *conn, struct server *server);
void leg_start(struct leg *l, const uint8_t *early, size_t len);
/* It is not listened to, because the client does not read. */
void leg_pause(struct leg *l);
/* Lost for a reason (copied). Does nothing when it is already. */
void leg_lose(struct leg *l, enum leg_fault fault, enum leg_loss loss, const char *why);
/* Sends what is owed, as soon as no message of the client's is half out. */
void leg_pay(struct leg *l);
/* Says good-bye to the server and lets it go; the leg is nobody's then. */
void leg_part(struct leg **lp, uint16_t code);
void leg_free(struct leg **lp);
int64_t leg_due_ms(const struct leg *l);
void leg_on_time(struct leg *l, int64_t now_ms);
/* Its heartbeats, and how long it may be silent, may be others from now on. */
void leg_rebound(struct leg *l, int64_t now_ms);

/* ---- held.c ---- */
void held_init(struct session *s);
void held_fini(struct session *s);
void held_expire(struct session *s, int64_t now_ms);

/* ---- session_life.c ---- */
void session_note_about(struct session *s, const char *what, const struct server *server);
/* A JSON object:
 * {"id","client","route","protocol","state","server","opened_ms_ago","rtt_ms","quality","losses","moves",
 * "held","life":[{"ms_ago","what","server"}], and what the speaker adds}. The id is the worker's index and a serial. */
void session_describe(const struct session *s, struct strbuf *out);

#endif
