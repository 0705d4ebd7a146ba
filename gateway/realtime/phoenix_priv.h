/* What the files of the Phoenix speaker share; nobody else includes this.
 *
 *   phoenix.c          its life, what is due, what tidegatectl sessions shows
 *   phoenix_say.c      what the gateway says itself, to both sides
 *   phoenix_client.c   messages of the client
 *   phoenix_server.c   messages of servers
 *   phoenix_system.c   of these, what servers say about a channel: system messages, closes, errors
 *   phoenix_restore.c  another server: joins again, what waited, planned moves
 *   phoenix_places.c   servers that are lost, and moves that are complete
 *   phoenix_feeds.c    two servers that deliver the same
 *   phoenix_ahead.c    what the newer of the two brings first
 *   phoenix_heard.c    what a lost server said last
 *   phoenix_flight.c   pushes in flight: what becomes of them when their server is lost
 *   phoenix_poison.c   joins and tracks after which servers are lost
 *   phx_channel.c      what is known of a channel */
#ifndef GATEWAY_REALTIME_PHOENIX_PRIV_H
#define GATEWAY_REALTIME_PHOENIX_PRIV_H

#include "gateway/realtime/ahead.h"
#include "gateway/realtime/dedup.h"
#include "gateway/realtime/phx_channel.h"
#include "gateway/realtime/protocol.h"
#include "gateway/realtime/session.h"

#define PHOENIX_MAGIC 0x50e781c3u

enum phx_place {
    PHX_HERE = 0, /* session_leg() */
    PHX_NEXT,     /* session_next_leg() */
    PHX_PLACES,
    PHX_BEFORE = PHX_PLACES, /* the one a planned move has left */
    PHX_NOWHERE,
};

/* What waits, and what was sent and may have to be sent again, carries this as its note. */
struct phx_note {
    uint64_t content; /* of a broadcast that comes back: to who gets its own, or by the other server; 0: of none */
    uint32_t number;  /* of the journal */
    uint8_t push;     /* enum phx_push */
    uint8_t ref_bytes;
    char ref[PHX_REF_BYTES];
};

/* Pushes that may have to be sent again, in the order they were sent (at-least-once). */
struct phx_journal {
    struct list sent; /* struct held */
    uint32_t count;
    uint64_t bytes;
    uint32_t newest;         /* number of the newest */
    uint32_t asked_up_to;    /* what the barrier under way will prove */
    uint32_t barrier_number; /* its reference; 0: none is under way */
    int64_t barrier_ms;      /* when to send one; INT64_MAX: no need */
};

struct phoenix { /* what every message needs comes first */
    uint32_t magic;
    bool is_switching; /* pushes wait: a planned move is about to be complete */
    bool is_careful;   /* a server was lost while joins were under way: the next has one at a time */
    bool is_moving;    /* a server is asked to be the next, or is told what there is */
    bool is_restoring[PHX_PLACES];
    uint8_t own_bytes;
    enum phx_vsn vsn;
    uint32_t epoch[PHX_PLACES + 1]; /* of the legs at these places, and before; 0: none */
    struct session *session;
    struct phx_channel *newest; /* the last one looked up; NULL: none */
    struct dedup *feeds;        /* while two servers deliver; else NULL */
    struct ahead ahead;         /* of what the newer of the two brought, and the older one has not yet */
    struct phx_heard *heard;    /* NULL: nothing yet */
    int64_t due_ms;
    char own[24]; /* begins the gateway's references; not to be guessed */
    struct phx_journal journal;

    struct list channels;
    struct list left; /* not joined any more, but messages of theirs still wait: freed by the timer */
    struct map *by_topic;
    uint32_t channel_count;
    uint32_t newest_lane;
    uint32_t newest_number; /* of the gateway's references */
    uint32_t beat_number[PHX_PLACES];
    uint32_t failed_epoch;  /* of the newest leg that was given up here, and not lost */
    uint32_t leaving_epoch; /* of the newest that refused a join because it is about to go; 0: none did */
    uint32_t switch_number; /* the barrier before a switch; 0: none, or it has been passed */
    int64_t switch_by_ms;
    int64_t move_ms;      /* when the next server could be told what there is */
    int64_t unblocked_ms; /* when the server of now answered a join last: until then it read nothing */
    int64_t ready_by_ms;  /* a planned move does not wait longer for changes to flow on the next server; 0: for none */
    int64_t feeds_end_ms; /* when the one before has ended; 0: no move is complete */
    uint8_t key[16];      /* of hashes of content */
};

/* ---- phoenix.c ---- */
struct phx_channel *phoenix_channel(struct phoenix *p, struct phx_text topic);
struct phx_channel *phoenix_channel_in_lane(const struct phoenix *p, uint32_t lane);
struct phx_channel *phoenix_add_channel(struct phoenix *p, struct phx_text topic);
/* Forgets a channel, whose waiting messages are answered for first. */
void phoenix_forget(struct phoenix *p, struct phx_channel **cp);
/* The same, from within on_unsent(), where the messages that wait must not be touched. */
void phoenix_forget_later(struct phoenix *p, struct phx_channel *c);
/* The leg at a place; NULL: none that is known. */
struct leg *phoenix_leg(struct phoenix *p, enum phx_place place);
enum phx_place phoenix_place(struct phoenix *p, const struct leg *l);
/* Whether the client's own channel may be at that place: here always, and on the next server when it is not here. */
bool phoenix_is_home(const struct phx_channel *c, enum phx_place place);
void phoenix_wake_at(struct phoenix *p, int64_t at_ms);
/* Nothing can be done for a channel: who is joined hears that it failed, who waits for its join that for this reason it
 * did. */
void phoenix_give_up_channel(struct phoenix *p, struct phx_channel **cp, const char *reason);
/* Whether the client's pushes of a channel go straight on. */
bool phoenix_is_live(struct phoenix *p, const struct phx_channel *c);

/* ---- phoenix_say.c ---- */
/* To the client. */
void phoenix_tell(struct phoenix *p, const struct phx_say *say);
void phoenix_tell_reply(struct phoenix *p, const struct phx_channel *c, struct phx_text ref, const char *status,
                        const char *response);
/* An error reply with this reason, in the gateway's name. */
void phoenix_tell_refused(struct phoenix *p, const struct phx_channel *c, struct phx_text ref, const char *reason);
/* phx_error or phx_close. */
void phoenix_tell_end(struct phoenix *p, const struct phx_channel *c, const char *event);
/* A system message of the gateway's own; `message` is a JSON string. */
void phoenix_tell_system(struct phoenix *p, const struct phx_channel *c, const char *status, struct phx_text message);
/* A text message that was kept. */
void phoenix_tell_kept(struct phoenix *p, struct phx_text *message);
/* To a server, with a reference of the gateway's own, whose number is returned. */
uint32_t phoenix_ask(struct phoenix *p, struct leg *to, const struct phx_channel *c, const char *event,
                     struct phx_text payload);
uint32_t phoenix_ask_beat(struct phoenix *p, struct leg *to);
/* To a server, in the client's name. */
void phoenix_ask_as_client(struct phoenix *p, struct leg *to, const struct phx_channel *c, struct phx_text ref,
                           const char *event, struct phx_text payload);
/* The number of one of the gateway's references; 0: it is none. */
uint32_t phoenix_own_number(const struct phoenix *p, struct phx_text ref);

/* ---- phoenix_client.c, phoenix_server.c, phoenix_system.c ---- */
enum sift_verdict phoenix_on_client(void *arg, const struct ws_message *m);
enum sift_verdict phoenix_on_server(void *arg, struct leg *from, const struct ws_message *m);
/* What is new on a channel, if no other server has told it. */
enum sift_verdict phoenix_deliver(struct phoenix *p, struct phx_channel *c, enum phx_place place,
                                  const struct phx_frame *f);
/* That the client's leave is done. */
void phoenix_tell_left(struct phoenix *p, const struct phx_channel *c, struct phx_text ref);
/* The join was answered by a server: the reply that waited goes out. */
void phoenix_answer_join(struct phoenix *p, struct phx_channel *c);
/* A join of the gateway's was answered for which the client still waits: that is its answer. */
void phoenix_on_clients_answer(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from,
                               const struct phx_frame *f);
enum sift_verdict phoenix_on_system(struct phoenix *p, struct phx_channel *c, enum phx_place place,
                                    const struct phx_frame *f, const struct ws_message *m);
/* `c` NULL: none of that topic. */
enum sift_verdict phoenix_on_end(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from,
                                 const struct phx_frame *f);
/* The client is told that the channel failed, which makes it join again; nothing is known of it after that. */
void phoenix_fail_channel(struct phoenix *p, struct phx_channel **cp);
/* The client is told what it may have missed, or made to join again (then *cp is NULL). */
void phoenix_tell_gap(struct phoenix *p, struct phx_channel **cp);

/* ---- phoenix_restore.c ---- */
void phoenix_restore(void *arg, struct leg *to);
/* Joins what is not joined there yet, as far as joins may be under way, and says so when that is all. */
void phoenix_go_on(struct phoenix *p, enum phx_place place);
/* An answer to the gateway's own. */
void phoenix_on_own_reply(struct phoenix *p, struct leg *from, enum phx_place place, uint32_t number,
                          const struct phx_frame *f);
/* The server has dropped a channel: it is joined again, once; if it was just now, the client is told (then *cp is
 * NULL).
 */
void phoenix_rejoin(struct phoenix *p, struct phx_channel **cp);
/* A join has been answered: the server may be silent only as long as others are under way. */
void phoenix_join_answered(struct phoenix *p, enum phx_place place, struct leg *l);
/* The server of now answers the client's own join, which has an answer already: from the next server. */
void phoenix_on_late_answer(struct phoenix *p, struct phx_channel *c, struct leg *from, const struct phx_frame *f);
/* The client's join was refused by a server that is about to go: the channel waits for another one. */
void phoenix_join_elsewhere(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from);
/* A channel is joined: what waited for that goes on. */
void phoenix_be_back(struct phoenix *p, struct phx_channel *c);
/* The client's own join, as it is sent to a server; SIFT_PASS when it can go as it is. */
enum sift_verdict phoenix_send_join(struct phoenix *p, struct phx_channel *c, struct leg *to);
/* Leaves a channel wherever it is joined or asked for, unheard by the client. */
void phoenix_leave_quietly(struct phoenix *p, const struct phx_channel *c);
/* A planned move has waited long enough for the old server's last word. */
void phoenix_on_time_switch(struct phoenix *p, int64_t now_ms);

/* All that are joined here. */
void phoenix_all_back(struct phoenix *p);
/* A channel may have missed something: the client hears of it, at the latest when changes should flow. */
void phoenix_expect_notice(struct phoenix *p, struct phx_channel *c);

/* ---- phoenix_places.c ---- */
void phoenix_on_lost(void *arg, struct leg *l);
void phoenix_on_moved(void *arg, struct leg *old);

/* ---- phoenix_feeds.c ---- */
void phoenix_feeds_begin(struct phoenix *p);
void phoenix_on_moving(void *arg, bool is_asking);
void phoenix_feeds_moved(struct phoenix *p); /* what was next is here now, and the one before ends soon */
void phoenix_feeds_end(struct phoenix *p);   /* there is one again */
void phoenix_on_time_feeds(struct phoenix *p, int64_t now_ms);
/* What is to be done with a server's message, as far as the other server is concerned. */
enum phx_feed {
    PHX_FEED_DELIVER = 0,
    PHX_FEED_COPY,  /* the client has it, or will have it from the other one */
    PHX_FEED_WAITS, /* it is delivered later */
};
enum phx_feed phoenix_feeds_take(struct phoenix *p, struct phx_channel *c, enum phx_place place,
                                 const struct phx_frame *f, const struct ws_message *m);
/* A message that waited is delivered: whether it still has to be. */
bool phoenix_feeds_take_waited(struct phoenix *p, uint64_t hash);
/* The same of a presence_state, from which on that server's presence_diffs count. */
bool phoenix_feeds_take_state(struct phoenix *p, struct phx_channel *c, enum phx_place place);
/* The client pushes; the server that does not know it as the sender will bring it back, and a move waits a moment for
 * that. */
void phoenix_expect_echo(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f, bool is_whole);
/* By what a broadcast of the client's will be known then; 0: it is none, or does not come back that way. */
uint64_t phoenix_echo_of(const struct phoenix *p, const struct phx_channel *c, const struct phx_frame *f);
/* The same as the first, of a push that had to wait. */
void phoenix_expect_late_echo(struct phoenix *p, struct phx_channel *c, uint64_t echo);

/* The server of now is lost. What it said last, as told by the second, does not come again from the next one; nothing
 * more comes from it after the third. */
void phoenix_feeds_begin_after_loss(struct phoenix *p);
void phoenix_feeds_expect_again(struct phoenix *p, const struct phx_channel *c, const struct phx_frame *f);
void phoenix_feeds_end_old(struct phoenix *p);

/* ---- phoenix_heard.c ---- */
/* A message of a server goes to the client. */
void phoenix_heard_keep(struct phoenix *p, const struct ws_message *m);
/* The server of now is lost: what was heard a moment ago does not count when it comes again. */
void phoenix_heard_expect(struct phoenix *p);
void phoenix_heard_fini(struct phoenix *p);

/* ---- phoenix_ahead.c ---- */
/* Keeps a message of the newer server, which the older one is to bring as well. */
void phoenix_ahead_keep(struct phoenix *p, enum phx_place place, uint64_t hash, const struct ws_message *m);
/* The older one brings nothing more: what is kept goes to the client. */
void phoenix_ahead_deliver(struct phoenix *p);
void phoenix_on_time_ahead(struct phoenix *p, int64_t now_ms);

/* ---- phoenix_flight.c ---- */
/* Keeps a push until the channel is live. */
void phoenix_hold(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f, const struct ws_message *m,
                  enum phx_push push);
/* Sends what waits. */
void phoenix_flush(struct phoenix *p, struct phx_channel *c, struct leg *to);
void phoenix_on_unsent(void *arg, const struct held *h, enum held_fate fate);
/* A push has been passed on. */
void phoenix_sent(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f, const struct ws_message *m,
                  enum phx_push push);
/* Its answer came; false: none was expected. */
bool phoenix_answered(struct phoenix *p, struct phx_channel *c, struct phx_text ref);
/* A broadcast came; if it is one of the client's own, which it asked to get back, it has been done. */
void phoenix_echoed(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f);
bool phoenix_is_in_journal(const struct phoenix *p, const struct phx_channel *c, struct phx_text ref);
/* The server of a channel is lost, or has lost it: pushes in flight are settled, or wait to be sent again. */
void phoenix_settle(struct phoenix *p, struct phx_channel *c);
/* Track and untrack are done. */
void phoenix_answer_presence(struct phoenix *p, struct phx_channel *c);
/* They will not be. Whether anybody waited for them. */
bool phoenix_refuse_presence(struct phoenix *p, struct phx_channel *c, const char *reason);
/* How many of the client's messages that nobody waits for were dropped, if any. */
void phoenix_tell_dropped(struct phoenix *p, struct phx_channel *c);
/* Forgets what waits, telling whoever waits for an answer. */
void phoenix_drop_waiting(struct phoenix *p, struct phx_channel *c, const char *reason);
bool phoenix_keeps_journal(const struct phoenix *p);
void phoenix_barrier_passed(struct phoenix *p);
void phoenix_on_time_journal(struct phoenix *p, int64_t now_ms);
void phoenix_journal_fini(struct phoenix *p);
/* A server found a message too big: it is not for another one either. */
void phoenix_suspect_longest(struct phoenix *p);

/* ---- phoenix_poison.c ---- */
/* Sends a track or untrack in the gateway's name. */
void phoenix_ask_presence(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *to,
                          struct phx_text payload);
/* Whether, one thing at a time, others have to wait until it is seen what a channel's track does. */
bool phoenix_is_track_awaited(struct phoenix *p, const struct phx_channel *c, enum phx_place place);
/* The server here is lost, killed or given up: what was under way there is remembered, or has been survived. */
void phoenix_suspect(struct phoenix *p, const struct leg *l, bool is_killed);
/* After that: what too many servers were lost after is given up. */
void phoenix_drop_poisonous(struct phoenix *p);

#endif
