/* One Phoenix channel of a client: what has to be known to join it again on another server. Its memory alone: nothing
 * here speaks to anybody, and time is handed in.
 *
 * Everything a client makes it remember is bounded: the join and the track payload by PHX_KEPT_BYTES each, pushes
 * without an answer by PHX_PENDING_MAX, and the rest stays below 2 KiB. */
#ifndef GATEWAY_REALTIME_PHX_CHANNEL_H
#define GATEWAY_REALTIME_PHX_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "gateway/realtime/phx_answer.h"
#include "gateway/realtime/phx_changes.h"
#include "gateway/realtime/phx_frame.h"
#include "gateway/realtime/phx_join.h"

#define PHX_CHANNEL_MAGIC 0x9c4a11e7u
#define PHX_KEPT_BYTES    65536u /* of a payload; servers take less than that in a join */
#define PHX_PENDING_MAX   32u
#define PHX_REF_BYTES     22u /* of a reference as JSON writes it; what has a longer one is not told of its fate */
#define PHX_SEEN_MAX      64u /* stored broadcasts known by their id: more than twice what one replay brings */

/* As the client sees it. */
enum phx_life {
    PHX_JOINING = 0, /* its join has not been answered */
    PHX_JOINED,
    PHX_LEAVING, /* its leave has been sent */
};

/* On one server's WebSocket. */
enum phx_there_state { PHX_ABSENT = 0, PHX_ASKED, PHX_THERE };
struct phx_there {
    uint8_t state;         /* enum phx_there_state */
    bool is_own;           /* the gateway asked: the answer is not the client's */
    bool is_again;         /* after another server */
    bool awaits_changes;   /* it is joined again, and changes do not flow yet */
    uint32_t join_number;  /* of the gateway's join */
    uint32_t track_number; /* of its track; 0: none is under way */
    int64_t track_ms;      /* when that was sent */
};

/* What a push wants, and so what becomes of it when its server is lost. */
enum phx_push {
    PHX_PUSH_PLAIN = 0, /* nobody waits for an answer */
    PHX_PUSH_ASKING,    /* an answer is expected, and what was done is not known without */
    PHX_PUSH_PRESENCE,  /* state: the newest counts */
    PHX_PUSH_TOKEN,     /* the same, without an answer */
    PHX_PUSH_FOLDED,    /* presence that was told on a server that is lost, or never: the next track answers it */
    PHX_PUSH_LEAVE,
};

struct phx_pending {
    int64_t since_ms;
    char ref[PHX_REF_BYTES]; /* as JSON writes it */
    uint8_t ref_bytes;
    uint8_t push;   /* enum phx_push */
    bool is_proved; /* it has been done, although nobody has said so */
};

struct phx_channel { /* what every message needs comes first */
    uint32_t magic;
    uint32_t lane; /* for messages that wait, and unlike any other channel's */
    char *topic;
    uint32_t topic_bytes;
    uint8_t life; /* enum phx_life */
    uint8_t pending_count, pending_room;

    /* what the join asked for */
    bool is_supabase;
    bool is_private;
    bool acks_broadcasts;
    bool gets_own;
    bool has_changes;
    bool wants_replay;
    bool has_random_key;

    struct phx_there on[2]; /* enum phx_place of phoenix_priv.h */
    struct phx_ids *ids[2]; /* of the servers it is on, when they are not those the client knows */
    struct phx_pending *pending;

    /* what the client pushes, and the other server of a move has to hear */
    int64_t pushed_ms; /* when it pushed last; 0: never */
    int64_t early_ms;  /* when it pushed last what is not known by its echo, before the next server was asked for the
                          channel above all; 0: that one has heard it */
    uint64_t echo;     /* of the newest push that the next server has not brought back; 0: none */

    uint8_t refused_count;    /* joins of the gateway's in a row that failed in a way that may pass */
    uint8_t loss_count;       /* servers in a row that were lost while its join was under way */
    uint8_t track_loss_count; /* the same of what it tracks */
    uint8_t closing_kind;     /* enum phx_system of the newest system error */

    /* what is expected after a join of the gateway's */
    bool is_ready_told;       /* the client has heard "Subscribed to PostgreSQL": after another join it is no news */
    bool is_stored_swallowed; /* nor the next "Replication connection established" */
    bool has_new_presence;    /* since two servers deliver: the new one has told all of it */
    bool has_pushed_long;     /* since two servers deliver: its echo cannot be told from what is as long */
    bool was_before;          /* it is on the server that a planned move has left */
    uint32_t dropped_count;   /* pushes that nobody waits for, and that waited in vain: the client hears of them when it
                                 is joined again */

    struct list link; /* in the speaker's, in the order of their joins */
    char *join_ref;   /* as JSON writes them: `"3"`, `null` */
    char *ref;
    struct phx_text join;    /* the payload, owned, as all below; data NULL: none */
    struct phx_text changes; /* postgres_changes of the ok that the client got */
    struct phx_text token;   /* newer than the join's; as JSON writes it */
    struct phx_text track;   /* payload of the last track */
    struct phx_text answer;  /* an ok reply that waits until changes flow */
    struct phx_text trouble; /* a system error that may pass by itself */
    char key[40];            /* presence key given by the gateway; "": none */

    int64_t asked_ms;      /* when the client asked to join */
    int64_t expires_ms;    /* wall clock: the end of the newest token; 0: not known */
    int64_t answer_by_ms;  /* `answer` goes out by then */
    int64_t trouble_by_ms; /* the same of `trouble` */
    int64_t notice_by_ms;  /* the client hears of a gap by then; 0: there is none */
    int64_t fail_by_ms;    /* it is failed by then, whatever is under way; 0: that is not intended */
    int64_t closing_ms;    /* when the newest system error came */
    int64_t lost_ms;       /* since when it may have missed something */
    int64_t rejoined_ms;   /* when it was joined again after its server had dropped it */
    int64_t stored_ms;     /* wall clock of the newest stored broadcast; 0: none came */
    uint64_t *seen;        /* a ring of PHX_SEEN_MAX; NULL before the first */
    uint32_t seen_next;
};
_Static_assert(sizeof(struct phx_channel) + PHX_PENDING_MAX * sizeof(struct phx_pending) < 2048,
               "what a channel costs");

struct phx_channel *phx_channel_create(struct phx_text topic, uint32_t lane);
void phx_channel_destroy(struct phx_channel **cp);
static inline struct phx_text phx_text_of(const char *text)
{
    return (struct phx_text){text, text != NULL ? __builtin_strlen(text) : 0};
}
static inline struct phx_text phx_channel_topic(const struct phx_channel *c)
{
    return (struct phx_text){c->topic, c->topic_bytes};
}

/* The client has a server's ok to its join, or will have it when changes flow. */
static inline bool phx_channel_is_answered(const struct phx_channel *c)
{
    return c->life == PHX_JOINED || c->answer.data != NULL;
}

/* A new join of the client's, which is at most PHX_KEPT_BYTES: what belonged to the one before is forgotten, but for
 * the presence key. */
void phx_channel_join(struct phx_channel *c, const struct phx_frame *f, int64_t now_ms);
/* Replaces one of the texts with a copy, as far as that is not too long; {NULL, 0} removes it. */
void phx_channel_keep(struct phx_text *text, struct phx_text value);

/* Remembers a push until its answer comes; the oldest goes when there are too many. */
void phx_channel_pend(struct phx_channel *c, struct phx_text ref, enum phx_push push, int64_t now_ms);
/* The one with that reference; NULL: none. Valid until the next change. */
struct phx_pending *phx_channel_pending(struct phx_channel *c, struct phx_text ref);
void phx_channel_answered(struct phx_channel *c, struct phx_pending *p);

/* Whether a stored broadcast has been seen; it has after that. */
bool phx_channel_saw(struct phx_channel *c, struct phx_text id);

#endif
