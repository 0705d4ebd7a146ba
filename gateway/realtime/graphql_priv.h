/* What the files of the graphql-transport-ws speaker share:
 *
 *   graphql.c          messages as they come, from both sides
 *   graphql_restore.c  another server is told; what is lost, moved, late
 *   graphql_feeds.c    two servers that deliver the same
 *   graphql_codec.c    messages on the wire, and GraphQL documents
 *
 * What is promised stands at the top of graphql.c. */
#ifndef GATEWAY_REALTIME_GRAPHQL_PRIV_H
#define GATEWAY_REALTIME_GRAPHQL_PRIV_H

#include "base/map.h"
#include "gateway/realtime/ahead.h"
#include "gateway/realtime/dedup.h"
#include "gateway/realtime/graphql_codec.h"
#include "gateway/realtime/protocol.h"
#include "gateway/realtime/session.h"

#define GRAPHQL_MAGIC        0x6a41b90cu
#define GRAPHQL_RECORD_BYTES (64u << 10) /* the longest message that is kept */
#define GRAPHQL_ID_BYTES     1024u       /* the longest name of an operation */
#define GRAPHQL_EPOCH_LOST   UINT32_MAX  /* it was on a leg that is gone, and that is settled */
#define GRAPHQL_WIRE_COUNT   3u          /* the current server, the one a move goes to, the one it came from */

enum graphql_phase {
    GRAPHQL_PHASE_NEW = 0, /* the client has not said connection_init */
    GRAPHQL_PHASE_INIT,    /* it has no answer yet */
    GRAPHQL_PHASE_OPEN,
};

/* How far a server has been told. */
enum graphql_wire_state {
    GRAPHQL_WIRE_NEW = 0,
    GRAPHQL_WIRE_GREETING, /* our connection_init; the connection_ack is missing */
    GRAPHQL_WIRE_FILLED,   /* the next one of a move: it has the subscriptions, the old one has still to answer */
    GRAPHQL_WIRE_LIVE,     /* the client's own messages go there */
};

struct graphql_wire {
    uint32_t epoch; /* of its leg; 0: free */
    uint8_t state;  /* enum graphql_wire_state */
    int64_t due_ms; /* when its state must be over */
};

/* An operation of the client that is not complete. */
struct graphql_op {
    struct list link;
    enum graphql_kind kind;
    uint32_t epoch;      /* of the leg it was sent on; 0: on none yet; or GRAPHQL_EPOCH_LOST */
    uint32_t next_epoch; /* of the leg of a move on which it is as well; 0: on none */
    int64_t sent_ms;
    uint32_t loss_count; /* servers lost, in a row, before it was answered */
    bool is_answered;    /* on the leg it is on now */
    bool was_answered;   /* on any */
    bool was_on_old;     /* on the leg that a move has left */
    uint32_t id_bytes, message_bytes;
    char data[]; /* its id as JSON, then the message */
};

struct graphql {
    uint32_t magic;
    uint8_t phase; /* enum graphql_phase */
    struct session *session;
    const char *unrestorable; /* why no other server will do; NULL: one will */
    struct strbuf init;       /* connection_init, as the client said it */
    struct graphql_wire wires[GRAPHQL_WIRE_COUNT];
    struct map *ops; /* by decoded id */
    struct list order;
    uint32_t op_count;
    struct dedup *dedup; /* during a move; NULL: none */
    struct ahead ahead;  /* what only the new server of a move has brought */
    uint32_t new_epoch;  /* of the leg the last move goes, or went, to */
    int64_t settle_ms;   /* after one: what the old server did not answer by then is settled; 0: nothing */
};

static inline struct json_text graphql_op_id(const struct graphql_op *o)
{
    return (struct json_text){o->data, o->id_bytes};
}
/* Whether its results come one after the other for as long as it lives. */
static inline bool graphql_op_is_stream(const struct graphql_op *o)
{
    return o->kind == GRAPHQL_SUBSCRIPTION;
}

/* ---- graphql.c ---- */
void graphql_tell(struct graphql *g, struct strbuf *message); /* to the client; frees it */
void graphql_tell_error(struct graphql *g, struct json_text id, const char *why);
void graphql_op_send(struct graphql *g, struct graphql_op *o, struct leg *to);
void graphql_op_remove(struct graphql *g, struct graphql_op *o);
struct graphql_op *graphql_op_find(const struct graphql *g, struct json_text id); /* NULL: none */
/* Ends it for the client. */
void graphql_op_fail(struct graphql *g, struct graphql_op *o, const char *why);
struct graphql_wire *graphql_wire_of(struct graphql *g, const struct leg *l);

/* ---- graphql_feeds.c ---- */
void graphql_feeds_begin(struct graphql *g, const struct leg *to);
/* A result of a subscription came: whether it goes to the client now. */
enum sift_verdict graphql_feeds_take(struct graphql *g, const struct graphql_op *o, const struct leg *from,
                                     const struct ws_message *ws);
void graphql_feeds_deliver(struct graphql *g); /* what waits for the old server goes out */
void graphql_feeds_end_old(struct graphql *g); /* nothing more comes from it */
void graphql_feeds_end(struct graphql *g);     /* there is one server, and it is the one there was */
void graphql_feeds_on_time(struct graphql *g);

/* ---- graphql_restore.c ---- */
void graphql_restore(void *p, struct leg *to);
uint32_t graphql_restore_cost(const void *p);
/* Its connection_ack. */
void graphql_greeted(struct graphql *g, struct leg *from);
/* Whether a move that waits for answers of the old server has them may have changed. */
void graphql_go_on(struct graphql *g);
void graphql_on_lost(void *p, struct leg *leg);
void graphql_on_moved(void *p, struct leg *old);
int64_t graphql_due_ms(const void *p);
void graphql_on_timer(void *p);
void graphql_give_up(void *p);

#endif
