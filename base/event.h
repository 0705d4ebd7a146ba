/* What the journal keeps: one event, fixed-size, so that it travels between processes as it is (MSG_EVENT).
 *
 * Most events belong to a condition, something that is the case for a while: one that begins it, perhaps some that
 * change it, one that ends it. The kind names the event; the condition is told by the kind that begins it
 * (event_condition) and the subject. What just happens once stands for itself. */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#define EVENT_SUBJECT_BYTES 160u
#define EVENT_WORD_BYTES    32u
#define EVENT_CAUSE_BYTES   256u

/* clang-format off */
/*    id                 name           condition           subject, and what `from` and `to` are */
#define EVENT_TABLE(X)                                                                                       \
    X(EVENT_DOWN,        "down",        EVENT_DOWN,        "pool/server; its verdicts")                     \
    X(EVENT_UP,          "up",          EVENT_DOWN,        "pool/server; its verdicts")                     \
    X(EVENT_DEGRADED,    "degraded",    EVENT_DEGRADED,    "pool/server; normal or degraded")               \
    X(EVENT_FORCED,      "forced",      EVENT_FORCED,      "pool/server; auto, or the verdict an operator set") \
    X(EVENT_DRAIN,       "drain",       EVENT_DRAIN,       "pool/server; serving or draining")              \
    X(EVENT_FAILOVER,    "failover",    EVENT_FAILOVER,    "pool; the tier that serves, fail-open, or none") \
    X(EVENT_BREAKER,     "breaker",     EVENT_BREAKER,     "pool/server; closed or open, in one worker at least") \
    X(EVENT_CERTIFICATE, "certificate", EVENT_CERTIFICATE, "names on listener; valid, expiring or expired") \
    X(EVENT_RELOAD,      "reload",      EVENT_RELOAD,      "the file; done or refused")                     \
    X(EVENT_CRASH,       "crash",       EVENT_CRASH,       "the process; running or ended")                 \
    X(EVENT_RESTART,     "restart",     EVENT_CRASH,       "the process; ended or running")                 \
    X(EVENT_START,       "start",       EVENT_START,       "the node; its version")                         \
    X(EVENT_STOP,        "stop",        EVENT_STOP,        "the node")                                      \
    X(EVENT_PURGE,       "purge",       EVENT_PURGE,       "what is no longer served from the caches")      \
    X(EVENT_ACK,         "ack",         EVENT_ACK,         "alerts that somebody takes care of")              \
    X(EVENT_CUT_OFF,     "cut-off",     EVENT_CUT_OFF,     "the node; reaching, or cut off from servers and canaries") \
    X(EVENT_DNS,         "dns",         EVENT_DNS,         "a steered name; what it is answered with; last resort is a condition") \
    X(EVENT_QUORUM,      "quorum",      EVENT_QUORUM,      "the node; alone, leads or follows; alone is a condition") \
    X(EVENT_PUSH,        "push",        EVENT_PUSH,        "zone at a server that is told of changes; done or failing") \
    X(EVENT_SESSIONS,    "sessions",    EVENT_SESSIONS,    "pool/server that many sessions lost at once; how many, how many went on")

enum event_kind {
    EVENT_NONE = 0,
#define X(id, name, condition, about) id,
    EVENT_TABLE(X)
#undef X
    EVENT_KIND_COUNT
};
/* clang-format on */

enum event_phase { EVENT_ONCE = 0, EVENT_BEGINS, EVENT_ENDS, EVENT_PHASE_COUNT };

struct event {    /* texts end with a NUL */
    uint64_t seq; /* from 1 up, over restarts; 0: not in the journal yet */
    int64_t wall_ms;
    int64_t duration_ms; /* of the condition that ends here; -1: none, or not known */
    uint32_t kind;       /* enum event_kind */
    uint32_t phase;      /* enum event_phase */
    char subject[EVENT_SUBJECT_BYTES];
    char from[EVENT_WORD_BYTES];
    char to[EVENT_WORD_BYTES];
    char cause[EVENT_CAUSE_BYTES];
};

const char *event_kind_text(enum event_kind k);
const char *event_phase_text(enum event_phase p); /* "once", "begins", "ends" */
/* EVENT_NONE, EVENT_PHASE_COUNT for what is none. */
enum event_kind event_kind_of(const char *text);
enum event_phase event_phase_of(const char *text);
/* The kind that begins the condition events of kind `k` are about. */
enum event_kind event_condition(enum event_kind k);

/* How some events are told: "SUBJECT VERB", or "SUBJECT VERB TO, before FROM" when the verb ends with a blank. NULL: as
 * "SUBJECT FROM -> TO", which says enough. */
const char *event_verb(enum event_kind k, enum event_phase p);

/* Fills the texts (NULL: ""); what is too long is cut off between characters. Everything else is zero, the duration
 * unknown. */
void event_init(struct event *e, enum event_kind kind, enum event_phase phase, const char *subject, const char *from,
                const char *to, const char *cause);
/* Makes one that came from another process safe to use: ends its texts, and takes out kinds and phases that do not
 * exist. False when it is no event. */
bool event_sanitize(struct event *e);

#endif
