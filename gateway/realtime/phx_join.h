/* The payload of a phx_join: what the gateway must know of it to join again elsewhere, and how it is changed for that,
 * by cutting into the client's own text. What is not understood in it is none of ours and stays as it is.
 *
 * Of Supabase's joins all of it is understood; those of other Phoenix applications are only kept. Pure. */
#ifndef GATEWAY_REALTIME_PHX_JOIN_H
#define GATEWAY_REALTIME_PHX_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/realtime/phx_frame.h"

/* Views into the payload. Booleans may be written as strings there, as the server takes them. */
struct phx_join {
    bool is_supabase; /* has a config */
    bool is_private;
    bool acks_broadcasts;         /* broadcast.ack: each broadcast is answered */
    bool gets_own;                /* broadcast.self: broadcasts come back to their sender */
    bool wants_replay;            /* broadcast.replay: messages of before */
    bool waits_replication;       /* broadcast.replication_ready: a system message will tell */
    bool has_no_presence;         /* presence.enabled is false */
    bool has_random_key;          /* presence has no key, or "": the server invents one at each join */
    bool lacks_presence;          /* has_random_key, and there is no presence to write it into */
    struct phx_text presence_key; /* as JSON writes it, with its quotes; len 0: none */
    struct phx_text changes;      /* postgres_changes, the array; len 0: none, or an empty one */
    uint32_t change_count;
    struct phx_text
        token; /* as JSON writes it, with its quotes; what the server goes by. len 0: that of the connection */
};

/* False when it is not JSON: the server will not understand it either, and it must not be kept. */
bool phx_join_read(struct phx_join *j, struct phx_text payload);

/* The token of an access_token message, in the same form; len 0: none that the server would take. */
struct phx_text phx_token_read(struct phx_text payload);

enum phx_replay {
    PHX_REPLAY_KEEP = 0,
    PHX_REPLAY_REMOVE, /* or all would come once more */
    PHX_REPLAY_SINCE,  /* what came since then, 25 at most: the server's own limit */
};
#define PHX_REPLAY_COUNT 25u

struct phx_join_changes {
    struct phx_text token;        /* JSON, with quotes: takes the place of all that there were; len 0: keep them */
    struct phx_text presence_key; /* bare text; len 0: keep. Only for joins with has_random_key, and with presence where
                                     there is none: that switches nothing on or off, for servers take what is missing
                                     in it for what they take it for when there is none */
    enum phx_replay replay;
    int64_t replay_since_ms; /* wall time */
};

/* Writes the payload with these changes. False, and nothing is written, when it is not a JSON object. */
bool phx_join_rewrite(struct strbuf *out, struct phx_text payload, const struct phx_join_changes *changes);

/* Wall time at which a JWT (RFC 7519) expires by its own words; 0: it says nothing, or is none. Not verified. Bare, or
 * as JSON writes it. */
int64_t phx_token_expires_ms(struct phx_text token);

#endif
