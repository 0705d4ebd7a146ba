/* Phoenix channel messages on the wire: vsn 1.0.0 (JSON objects), 2.0.0 (JSON arrays), and the binary kinds 0 to 4 of
 * 2.0.0, of which 3 and 4 are Supabase's. Pure: bytes in, views out; nothing is changed, nothing is built but what the
 * gateway itself says.
 *
 * Only the first elements are looked at, with a real JSON scanner (base/json_scan.h). References keep their JSON type:
 * they are told as they are written, with their quotes. */
#ifndef GATEWAY_REALTIME_PHX_FRAME_H
#define GATEWAY_REALTIME_PHX_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

enum phx_vsn { PHX_V1 = 1, PHX_V2 };
enum phx_sender { PHX_FROM_CLIENT = 0, PHX_FROM_SERVER };

/* Text somewhere else, not NUL-terminated. */
struct phx_text {
    const char *data;
    size_t len;
};

enum phx_kind { /* of binary messages; the numbers are the wire's */
                PHX_PUSH = 0,
                PHX_REPLY = 1,
                PHX_BROADCAST = 2,
                PHX_USER_PUSH = 3,
                PHX_USER_BROADCAST = 4,
                PHX_JSON = 255
};

#define PHX_NAME_BYTES 1024u /* the longest topic and event that are understood */

struct phx_frame {
    enum phx_kind kind;
    /* As JSON writes them: `"3"`, `3`, `null`; `"3"` also of a binary message, and "" where there is none. */
    struct phx_text join_ref, ref;
    struct phx_text topic, event; /* decoded; of kinds 3 and 4 the event is "broadcast", of kind 1 "phx_reply" */
    struct phx_text user_event;   /* kinds 3 and 4 */
    struct phx_text metadata;     /* the same */
    struct phx_text status;       /* kind 1 */
    bool payload_is_json;
    /* Only of a whole message, else len 0. Of a text message what is to be a JSON value, which nobody has looked at in
     * vsn 2.0.0: who keeps it or builds on it checks it (the readers of phx_join.h do). */
    struct phx_text payload;
    /* Where escapes were decoded, and references of binary messages were put in quotes. */
    char topic_room[PHX_NAME_BYTES], event_room[PHX_NAME_BYTES];
};

enum phx_read {
    PHX_READ_OK = 0,
    PHX_READ_MORE, /* cannot be told from the beginning alone */
    PHX_READ_BAD   /* no message of this protocol, or names longer than understood: pass it and know nothing */
};

/* `bytes` are the beginning of a message, or with `is_whole` all of it. With PHX_READ_OK all but the payload is told;
 * of a vsn 1.0.0 message that is known when it is whole. The views live as long as the bytes and the frame. */
enum phx_read phx_frame_read(struct phx_frame *f, enum phx_vsn vsn, enum phx_sender from, const uint8_t *bytes,
                             size_t len, bool is_binary, bool is_whole);

static inline bool phx_text_equal(struct phx_text a, struct phx_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline bool phx_text_is(struct phx_text t, const char *text)
{
    return phx_text_equal(t, (struct phx_text){text, strlen(text)});
}
/* Whether two references name the same: `"3"` and `3` do, and `"\u0033"`. */
bool phx_ref_equal(struct phx_text a, struct phx_text b);
bool phx_ref_is_null(struct phx_text ref); /* null, or none */

/* Writes a text message. References are JSON as frames tell them ({NULL, 0}: null), `payload` is JSON. A server's vsn
 * 1.0.0 message has no join_ref. */
struct phx_say {
    struct phx_text join_ref, ref;
    struct phx_text topic; /* decoded */
    const char *event;
    struct phx_text payload; /* {NULL, 0}: {} */
};
void phx_write(struct strbuf *out, enum phx_vsn vsn, enum phx_sender as, const struct phx_say *say);
/* The same for a server's reply: `response` is JSON ({NULL, 0}: {}). */
void phx_write_reply(struct strbuf *out, enum phx_vsn vsn, struct phx_text join_ref, struct phx_text ref,
                     struct phx_text topic, const char *status, struct phx_text response);

#endif
