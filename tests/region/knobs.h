/* Knobs to misbehave. Each is a text with a number behind it; "" turns it off. They are set on the command line or at
 * run time over POST /_knobs, and whoever serves asks for them at the moment it matters. */
#ifndef REGION_KNOBS_H
#define REGION_KNOBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define KNOB_TEXT_BYTES 124u

/* clang-format off */
/*    id                   name              form          what it does */
#define KNOB_TABLE(X)                                                                                                  \
    X(KNOB_DELAY,          "delay",          duration,     "every request waits this long before it is served")        \
    X(KNOB_REFUSE,         "refuse",         refusal,      "every request gets this status; `reset`: RST instead")     \
    X(KNOB_UPGRADE_STATUS, "upgrade_status", status,       "every WebSocket upgrade gets this status")                 \
    X(KNOB_HEALTH,         "health",         status,       "what /health answers")                                     \
    X(KNOB_HANG,           "hang",           hang,         "upgrade | ping | body | reply | ack: what never comes")    \
    X(KNOB_CLOSE,          "close",          close_code,   "closes WebSockets with this code, open and new")           \
    X(KNOB_CLOSE_REASON,   "close_reason",   any,          "and this reason")                                          \
    X(KNOB_FRAME,          "frame",          frame,        "sends this wrong frame to WebSockets, open and new")       \
    X(KNOB_JOIN_ERROR,     "join_error",     any,          "joins are refused with this reason")                       \
    X(KNOB_JOIN_ERROR_COUNT, "join_error_count", count,    "so many of them, then no more")                            \
    X(KNOB_JOIN_ERROR_DELAY, "join_error_delay", duration, "a refused join blocks its WebSocket for so long")          \
    X(KNOB_JOIN_DELAY,     "join_delay",     duration,     "and an accepted one for so long")                          \
    X(KNOB_JOIN_TOPIC,     "join_topic",     any,          "the join knobs are for topics that contain this")          \
    X(KNOB_READY_DELAY,    "ready_delay",    duration,     "from a join's reply until changes of rows flow")           \
    X(KNOB_STOP_AFTER_EVENT, "stop_after_event", any,      "a broadcast of this event kills the region")               \
    X(KNOB_EXPIRY_DELAY,   "expiry_delay",   duration,     "so long after its end a token of a channel is looked at")  \
    X(KNOB_REFUSE_VSN,     "refuse_vsn",     any,          "WebSockets whose vsn begins with this get 403")            \
    X(KNOB_DRAIN,          "drain",          duration,     "on TERM, WebSockets are closed over this time")            \
    X(KNOB_SUBPROTOCOL,    "subprotocol",    any,          "answered instead of the first one offered; `none`: no answer")
/* clang-format on */

enum knob {
#define X(id, name, form, doc) id,
    KNOB_TABLE(X)
#undef X
        KNOB_COUNT
};

enum knob_hang { HANG_NONE = 0, HANG_UPGRADE, HANG_PING, HANG_BODY, HANG_REPLY, HANG_ACK };
#define KNOB_REFUSE_RESET (-1)

struct knobs {
    struct {
        char text[KNOB_TEXT_BYTES];
        int64_t number; /* milliseconds, status, code, enum knob_hang, row of wrong_frames; by the form */
    } value[KNOB_COUNT];
};

/* False when there is no such knob or the value has another form; *error then says so (borrowed, constant). */
bool knobs_set(struct knobs *k, const char *name, const char *value, const char **error);
int64_t knobs_number(const struct knobs *k, enum knob id);
const char *knobs_text(const struct knobs *k, enum knob id);
void knobs_clear(struct knobs *k, enum knob id);
/* One less of a count; true when that was the last. False of a knob that is off. */
bool knobs_count_down(struct knobs *k, enum knob id);
json_t *knobs_json(const struct knobs *k); /* new reference: name -> text */
void knobs_print_help(void);               /* to stdout */

#endif
