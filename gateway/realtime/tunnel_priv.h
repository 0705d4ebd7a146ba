/* What tunnel.c and tunnel_end.c (one of them), tunnel_set.c and tunnel_moves.c (all of them) and tunnel_coded.c share,
 * and what they offer to sessions. */
#ifndef GATEWAY_REALTIME_TUNNEL_PRIV_H
#define GATEWAY_REALTIME_TUNNEL_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/net/conn.h"
#include "gateway/realtime/losses.h"
#include "gateway/realtime/session.h"
#include "gateway/realtime/tunnel.h"
#include "gateway/ws/frame.h"

#define TUNNEL_SET_MAGIC 0x70e1a55eu
#define TUNNEL_MAGIC     0x7be15c03u

enum tunnel_phase {
    TUNNEL_OPEN = 0,
    TUNNEL_CLOSING, /* one side's close frame has passed */
    TUNNEL_ENDING,  /* nothing more will pass; waiting for the peers to hang up */
    TUNNEL_GONE,
};
enum { UP = 0, DOWN = 1 }; /* direction: from the client, from the server */

/* Why the gateway ends a tunnel. */
struct ending {
    int64_t at_ms; /* not before this time; 0: no ending is planned */
    const char *reason;
    uint16_t code;
    uint8_t by; /* enum closed_by */
};

struct tunnel_set {
    uint32_t magic;
    struct loop *loop;
    struct stats_block *block;
    struct access_log *access;
    struct list live;
    struct list dead; /* freed at the end of the pass */
    struct later reap;
    uint32_t live_count;
    uint64_t random;           /* for jitter */
    struct ws_stock *stock;    /* for compressed tunnels */
    uint8_t *coded_out;        /* scratch for what they write; NULL before the first */
    struct ending leaving;     /* of all, also of those that come yet; at_ms: when the last is gone */
    const struct rules *rules; /* NULL: no token is ever revoked */

    /* for sessions */
    struct seekers *seekers;
    struct losses *losses;
    struct tunnel_moves *moves;
    const struct slots *slots;
    struct list parting;    /* legs that were told good-bye */
    uint64_t session_count; /* since the start */
    uint32_t worker_index;
    tunnel_set_empty_fn *on_empty;
    void *arg;
};

/* What a message needs, of whatever direction it is. */
enum tunnel_near {
    NEAR_TUNNEL,
    NEAR_CLIENT,
    NEAR_SERVER,
    NEAR_SESSION,
    NEAR_LEG,
    NEAR_SPEAKER, /* itself, and what it asks for (session_keep_near) */
    NEAR_COUNT = NEAR_SPEAKER + 1 + SESSION_NEAR_COUNT
};
_Static_assert((unsigned)NEAR_COUNT <= NEAR_MAX, "they are all listed");

struct session;

struct tunnel { /* what every message needs comes first */
    uint32_t magic;
    uint8_t phase;
    bool is_mute[2];        /* a close frame went in that direction, or nothing can go any more */
    bool has_client_closed; /* its close frame passed: nothing may follow it (RFC 6455 section 5.5.1) */
    bool is_cut[2];         /* the walker saw more than was sent on: what was sent ends with a frame */
    bool has_end;
    struct tunnel_set *set;
    struct conn *side[2];         /* [UP] the client's, [DOWN] the server's: where that direction's bytes come from */
    struct session *session;      /* NULL: opaque. Else it has the servers' sides, and side[DOWN] is NULL */
    struct tunnel_coding *coding; /* NULL: the bytes pass as they are */
    const struct conf_route *route;
    int route_slot;
    struct ws_walk walk[2];
    uint64_t message_count[2];
    uint64_t byte_count[2];
    int64_t active_ms;
    struct ending planned;

    struct list link; /* in set->live or set->dead */
    struct list server_link;
    struct server *server; /* NULL: the session has none now */
    struct conf *conf;
    struct token_claims *claims; /* of its token; NULL: it needed none */
    struct timer timer;          /* the earliest of all its deadlines, moved lazily */
    int64_t opened_ms;
    int64_t phase_until_ms; /* TUNNEL_CLOSING, TUNNEL_ENDING */
    const char *end_reason;
    uint16_t end_code;
    uint8_t close_count; /* close frames of the peers that were sent on */
    uint8_t ended_by;
    struct access_kept *record; /* as it was when the tunnel opened */
    struct near near;           /* by enum tunnel_near */
};

/* ---- tunnel.c ---- */
/* Moves the tunnel to another configuration, in which `route` is its route. */
void tunnel_rebind(struct tunnel *t, const struct conf *c, const struct conf_route *route);
/* Frees it, at the end of the pass in which it ended. */
void tunnel_free(struct tunnel *t);
void tunnel_count(struct tunnel *t, int dir, size_t bytes, uint32_t message_count);

/* The three things there are to do with the receiver of a direction and its sender, whoever they are. */
void tunnel_write(struct tunnel *t, int dir, const uint8_t *data, size_t len);
bool tunnel_is_full(const struct tunnel *t, int dir);
bool tunnel_has_receiver(const struct tunnel *t, int dir);
void tunnel_pause_sender(struct tunnel *t, int dir);

/* ---- tunnel.c, for its session ---- */
/* Frames for the client, as if the server had sent them. */
void tunnel_from_server(struct tunnel *t, const uint8_t *frames, size_t len);
/* The current server has room again, or is gone. */
void tunnel_server_drained(struct tunnel *t);
/* The tunnel counts as one of this server's from now on; NULL: nobody's. */
void tunnel_join_server(struct tunnel *t, struct server *server);

/* ---- tunnel_end.c ---- */
/* Ends the tunnel at `in_ms` from now, or a little later when a frame is under way then. The earliest plan stands. */
void tunnel_plan_end(struct tunnel *t, int64_t in_ms, enum closed_by by, uint16_t code, const char *reason);
bool tunnel_is_end_due(const struct tunnel *t);
void tunnel_end_planned(struct tunnel *t);
/* Ends it now, whatever is half out. Not from within its own callbacks. */
void tunnel_end_now(struct tunnel *t, enum closed_by by, uint16_t code, const char *reason);
/* Resets both sides, at once. */
void tunnel_abort(struct tunnel *t, const char *reason);
/* Sets the timer for the earliest deadline there is now; tunnel_on_due() is what it calls. */
void tunnel_arm(struct tunnel *t);
void tunnel_on_due(void *arg);
/* A close frame has passed in direction `dir`. */
void tunnel_close_passed(struct tunnel *t, int dir, const struct ws_seen *seen);
/* The sender of direction `dir` broke the rules; what may be passed on has been. */
void tunnel_violated(struct tunnel *t, int dir, const struct ws_seen *seen);
/* Nothing more comes from the client, and it has been told all there was. */
bool tunnel_is_client_done(const struct tunnel *t);
/* Nothing more comes from that side: ERR_EOF, its peer hung up; else the connection broke, and is NULL already. */
void tunnel_side_lost(struct tunnel *t, int side, enum err e);
/* All that was written to a side has gone out. */
void tunnel_side_flushed(struct tunnel *t);

/* ---- tunnel_set.c ---- */
uint64_t tunnel_random(struct tunnel_set *s);
/* What was decided about all tunnels while this one's handshake was under way holds for it as well. */
void tunnel_catch_up(struct tunnel *t, const struct conf *newest);

/* ---- tunnel_moves.c ---- */
struct tunnel_moves *tunnel_moves_create(struct loop *l);
void tunnel_moves_destroy(struct tunnel_moves **mp);
void tunnel_moves_set_shares(struct tunnel_moves *m, uint32_t worker_count);
/* The server of a tunnel with a session was removed: it moves within `time_ms`. */
void tunnel_moves_server_removed(struct tunnel_moves *m, struct tunnel *t, int64_t time_ms);
/* A server has said that it restarts. */
void tunnel_moves_announced(struct tunnel_moves *m, const struct server *s, int64_t now_ms);
/* A session's own wish (session_ask_move). */
void tunnel_moves_asked(struct tunnel_moves *m, struct tunnel *t);
/* A server may be there that was not: those that found none try again. */
void tunnel_moves_hurry(struct tunnel_moves *m);
void tunnel_moves_stop(struct tunnel_moves *m); /* the gateway is leaving: nothing moves any more */

/* ---- tunnel_coded.c ---- */
/* Makes the tunnel a compressed one, before any byte has passed. */
void tunnel_coded_open(struct tunnel *t, const struct ws_deflate_params *params);
void tunnel_coded_relay(struct tunnel *t, int dir, const uint8_t *data, size_t len);
/* The server has room: goes on with what waited for it, and with the client. */
void tunnel_coded_go_on(struct tunnel *t);
bool tunnel_coded_is_stalled(const struct tunnel *t);
bool tunnel_coded_is_at_boundary(const struct tunnel *t, int dir);
void tunnel_coded_stop(struct tunnel *t); /* no callback after this */
void tunnel_coded_free(struct tunnel *t);

#endif
