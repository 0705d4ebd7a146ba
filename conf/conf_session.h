/* The configuration of sessions: WebSockets whose protocol the gateway speaks, so that they survive their server. A
 * part of conf/conf.h, whose rules about strings and counts hold here. */
#ifndef CONF_CONF_SESSION_H
#define CONF_CONF_SESSION_H

#include <stdint.h>

enum conf_ws_protocol {
    WS_PROTOCOL_OPAQUE = 0,
    WS_PROTOCOL_PHOENIX,
    WS_PROTOCOL_GRAPHQL,
    WS_PROTOCOL_MQTT,
    WS_PROTOCOL_COUNT
};
enum conf_delivery { DELIVERY_AT_MOST_ONCE = 0, DELIVERY_AT_LEAST_ONCE };
/* What a client hears after messages for it may have been lost. */
enum conf_gap { GAP_NOTICE = 0, GAP_REJOIN, GAP_SILENT };
enum conf_fail_back { FAIL_BACK_PACED = 0, FAIL_BACK_NEVER };

struct conf_backoff {
    int64_t first_ms, max_ms; /* doubled from one to the other */
    uint32_t jitter_percent;  /* each delay is up to so much shorter */
};

struct conf_restore {
    uint32_t per_s; /* joins replayed to one server, over all workers; 0: no limit */
    uint32_t burst;
};

struct conf_move {
    uint32_t per_s; /* sessions moved on purpose, over all workers; 0: no limit */
    enum conf_fail_back fail_back;
};

struct conf_quality {
    int64_t excellent_ms, good_ms, fair_ms; /* round trips below this; else poor */
};

struct conf_session {
    enum conf_delivery delivery;
    enum conf_gap gap;
    int64_t heartbeat_ms;  /* of the gateway, to the server */
    int64_t dead_after_ms; /* silence of a server after which it counts as lost */
    uint32_t queue_count;  /* messages of one session that may wait for a server */
    uint64_t queue_bytes;
    uint32_t channel_count; /* joins, subscriptions of one session */
    struct conf_backoff backoff;
    int64_t hedge_ms;      /* a second server is asked when the first takes longer; 0: never */
    int64_t give_up_ms;    /* without a server: then the client is told */
    int64_t answer_ms;     /* by then whoever waits for an answer gets one */
    int64_t ready_wait_ms; /* a join is answered when the changes it asks for flow, or after this; 0: at once */
    struct conf_restore restore;
    struct conf_move move;
    struct conf_quality quality;
};

#endif
