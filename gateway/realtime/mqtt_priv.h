/* What the files of the MQTT speaker share:
 *
 *   mqtt.c          the row, and packets as they come in messages
 *   mqtt_packets.c  one packet after the other
 *   mqtt_feeds.c    publishes of two servers at once
 *   mqtt_store.c    what is remembered of them
 *   mqtt_restore.c  another server is told; what is lost, moved, late
 *   mqtt_codec.c    packets on the wire
 *
 * What is promised, and what cannot be, stands at the top of mqtt.c. */
#ifndef GATEWAY_REALTIME_MQTT_PRIV_H
#define GATEWAY_REALTIME_MQTT_PRIV_H

#include "gateway/realtime/ahead.h"
#include "gateway/realtime/dedup.h"
#include "gateway/realtime/mqtt_codec.h"
#include "gateway/realtime/protocol.h"
#include "gateway/realtime/session.h"

#define MQTT_MAGIC        0x3a977c15u
#define MQTT_PACKET_BYTES (1u << 20)  /* longer ones cannot be looked at */
#define MQTT_RECORD_BYTES (64u << 10) /* the longest CONNECT and SUBSCRIBE that is kept */
#define MQTT_WIRE_COUNT   3u          /* the current server, the one a move goes to, the one it came from */
#define MQTT_LANE         0u          /* messages wait in one line */

enum mqtt_phase {
    MQTT_PHASE_NEW = 0,    /* the client has not said CONNECT */
    MQTT_PHASE_CONNECTING, /* it has no answer yet */
    MQTT_PHASE_OPEN,
    MQTT_PHASE_LEAVING, /* one side has said its last word */
    MQTT_PHASE_BLIND,   /* everything passes, unseen */
};

/* How far a server has been told. */
enum mqtt_wire_state {
    MQTT_WIRE_NEW = 0,  /* nothing yet */
    MQTT_WIRE_GREETING, /* our CONNECT; the CONNACK is missing */
    MQTT_WIRE_FILLING,  /* our SUBSCRIBEs; not all are answered */
    MQTT_WIRE_READY,    /* nothing is missing, but the last word of the server the session moves away from */
    MQTT_WIRE_LIVE,     /* the client's own packets may go there */
};

struct mqtt_wire {
    uint32_t epoch;          /* of its leg; 0: free */
    uint8_t state;           /* enum mqtt_wire_state */
    uint16_t own_id;         /* our SUBSCRIBEs have this packet identifier and those above */
    uint32_t missing_count;  /* of their answers */
    uint32_t filter_changes; /* when they were sent */
    uint32_t keep_alive_s;   /* that this server counts on */
    uint32_t ping_count;     /* our PINGREQs without an answer */
    int64_t restore_by_ms;   /* the state will be another one by then */
    int64_t said_ms;         /* when something was last sent there */
    struct strbuf part;      /* the beginning of a packet from there */
};

/* A SUBSCRIBE or UNSUBSCRIBE of the client without an answer. */
struct mqtt_ask {
    struct list link;
    enum mqtt_type type;
    uint16_t packet_id;
    uint16_t filter_count;
    uint32_t loss_count; /* servers lost with this the oldest they had not answered */
    uint32_t len;
    uint8_t packet[];
};

/* A subscription that was granted. */
struct mqtt_topic {
    struct list link;
    uint32_t identifier;
    uint8_t options;
    uint16_t len;
    uint8_t text[];
};

enum mqtt_flight_state {
    MQTT_FLIGHT_SENT = 0, /* PUBACK or PUBREC is missing */
    MQTT_FLIGHT_HAD,      /* QoS 2: PUBREC came; PUBCOMP is missing */
    MQTT_FLIGHT_OURS,     /* the server that sent PUBREC is lost: we answer PUBREL */
};

/* A PUBLISH of the client with QoS 1 or 2 that has not been settled. */
struct mqtt_flight {
    struct list link;
    uint32_t epoch; /* of the leg it was sent on last */
    uint16_t packet_id;
    uint8_t qos;
    uint8_t state;
    uint32_t loss_count;
    bool is_released; /* the client has said PUBREL */
    uint32_t len;     /* 0: there was no room to keep it */
    uint8_t packet[];
};

enum mqtt_debt_state {
    MQTT_DEBT_ACK = 0, /* QoS 1: the client's PUBACK is missing */
    MQTT_DEBT_REC,     /* QoS 2: its PUBREC */
    MQTT_DEBT_REL,     /* the server's PUBREL */
    MQTT_DEBT_COMP,    /* the client's PUBCOMP */
};

/* A PUBLISH of a server with QoS 1 or 2 that the client has not settled. */
struct mqtt_debt {
    uint32_t epoch;
    uint16_t packet_id;
    uint8_t state;
};

struct mqtt {
    uint32_t magic;
    uint8_t phase; /* enum mqtt_phase */
    uint8_t level; /* enum mqtt_level */
    uint8_t bye;   /* the reason the client is told at the end; 0: by the close code */
    struct session *session;
    const char *unrestorable; /* why no other server will do; NULL: one will */
    uint32_t refused_count;   /* servers in a row that did not want this client, or a subscription of it */

    struct strbuf connect; /* the packet, as servers are told it */
    struct strbuf assigned_id;
    uint32_t keep_alive_s;
    int64_t heard_ms; /* the client, last */

    struct strbuf part; /* the beginning of a packet of the client */
    struct mqtt_wire wires[MQTT_WIRE_COUNT];

    struct list topics, asks, flights;
    uint32_t topic_count, ask_count, flight_count, unkept_count;
    uint32_t filter_changes;
    uint64_t flight_bytes;
    struct mqtt_debt *debts;
    uint32_t debt_count, debt_room;
    struct dedup *dedup; /* during a move; NULL: none */
    struct ahead ahead;  /* what the server it goes to has brought, and the other one not yet; else empty */
    bool drops_retained; /* after a move: the new server says what it has, as to somebody who is new */
    uint32_t new_epoch;  /* of the leg the last move goes, or went, to */
    uint32_t old_epoch;  /* of the leg the last move came from */
    int64_t bye_ms;      /* when that is told DISCONNECT; 0: it has been, or there is none */
    int64_t settle_ms;   /* after a move: what the old server did not answer by then is sent again; 0: nothing */
};

/* ---- mqtt.c ---- */
void mqtt_tell(struct mqtt *m, struct strbuf *packet); /* to the client; frees it */
void mqtt_tell_ack(struct mqtt *m, enum mqtt_type type, uint16_t packet_id, uint8_t reason);
void mqtt_say(struct mqtt *m, struct leg *to, const void *packets, size_t len);
void mqtt_say_ack(struct mqtt *m, struct leg *to, enum mqtt_type type, uint16_t packet_id);
/* Its answer shows that the server has read all that was said before. */
void mqtt_say_ping(struct mqtt *m, struct leg *to);
/* The client breaks the rules. */
void mqtt_end_broken(struct mqtt *m, const char *why);
struct mqtt_wire *mqtt_wire_of(struct mqtt *m, const struct leg *l);
/* NULL: it is gone. */
struct leg *mqtt_leg_of(const struct mqtt *m, uint32_t epoch);
/* The current leg when the client's packets may go there, else NULL. */
struct leg *mqtt_live_leg(struct mqtt *m);

/* ---- mqtt_packets.c ---- */
enum mqtt_judgement {
    MQTT_PASSES = 0, /* as it is */
    MQTT_STAYS,      /* it does not; what goes in its place was added to `out` */
    MQTT_OUT_OF_PLACE,
};
/* `from` NULL: it is the client's. */
enum mqtt_judgement mqtt_judge(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out);

/* ---- mqtt_feeds.c ---- */
/* A PUBLISH of a server. True: it goes to the client, which owes the acknowledgement from now on. False: it is a copy
 * of what the other server brought, and was acknowledged; or it waits for that one. */
bool mqtt_feeds_take(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, const struct mqtt_publish *publish);
/* Tells the client all that waits, or puts it where that is said. */
void mqtt_feeds_deliver(struct mqtt *m);
void mqtt_feeds_put(struct mqtt *m, struct strbuf *out);
/* Nothing may wait any more: what the server of a move under way has brought comes from the present one. */
void mqtt_feeds_end(struct mqtt *m);
int64_t mqtt_feeds_due_ms(const struct mqtt *m);
void mqtt_feeds_on_time(struct mqtt *m);

/* ---- mqtt_store.c ---- */
void mqtt_store_init(struct mqtt *m);
void mqtt_store_fini(struct mqtt *m);

/* False when there is no room for it. */
bool mqtt_ask_add(struct mqtt *m, const struct mqtt_packet *p, const struct mqtt_filters *f);
struct mqtt_ask *mqtt_ask_find(struct mqtt *m, uint16_t packet_id, enum mqtt_type type);
/* It was answered: what it asks for is the case now, as far as `codes` say so. */
void mqtt_ask_settle(struct mqtt *m, struct mqtt_ask *a, const struct mqtt_suback *answer);
void mqtt_ask_remove(struct mqtt *m, struct mqtt_ask *a);

void mqtt_flight_add(struct mqtt *m, const struct mqtt_publish *publish, struct mqtt_view packet, uint32_t epoch);
struct mqtt_flight *mqtt_flight_find(struct mqtt *m, uint16_t packet_id);
/* QoS 2: from now on only its identifier is needed. */
void mqtt_flight_had(struct mqtt *m, struct mqtt_flight *f);
void mqtt_flight_remove(struct mqtt *m, struct mqtt_flight *f);

void mqtt_debt_add(struct mqtt *m, uint32_t epoch, uint16_t packet_id, enum mqtt_debt_state state);
/* The oldest in this state; `epoch` 0: of any server. NULL: none. */
struct mqtt_debt *mqtt_debt_find(struct mqtt *m, uint32_t epoch, uint16_t packet_id, enum mqtt_debt_state state);
void mqtt_debt_remove(struct mqtt *m, struct mqtt_debt *d);

/* ---- mqtt_restore.c ---- */
void mqtt_restore(void *p, struct leg *to);
uint32_t mqtt_restore_cost(const void *p);
/* Whether the client's publishes wait for a planned move, which is about to be complete. */
bool mqtt_is_switching(const struct mqtt *m);
void mqtt_send_held(struct mqtt *m, struct leg *to);
/* The client leaves: so do we, wherever else it is known because of a move. */
void mqtt_say_bye(struct mqtt *m);
/* A server has answered all that it was asked (mqtt_say_ping). */
void mqtt_pinged(struct mqtt *m, const struct leg *from);
/* The answer to our CONNECT. */
void mqtt_greeted(struct mqtt *m, struct leg *from, const struct mqtt_connack *c);
/* To one of our SUBSCRIBEs. */
void mqtt_filled(struct mqtt *m, struct leg *from, const struct mqtt_suback *a);
void mqtt_on_lost(void *p, struct leg *leg);
void mqtt_on_moved(void *p, struct leg *old);
bool mqtt_on_server_close(void *p, struct leg *from, uint16_t code, const char *reason, size_t len);
/* Version 5's DISCONNECT. True: the client is to see it. */
bool mqtt_on_server_disconnect(struct mqtt *m, struct leg *from, uint8_t reason);
/* Whether another server, or the same one later, may judge otherwise. */
bool mqtt_is_busy(const struct mqtt *m, uint8_t connack_reason);
int64_t mqtt_due_ms(const void *p);
void mqtt_on_timer(void *p);

#endif
