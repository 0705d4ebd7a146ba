/* The little of Phoenix Channels (vsn 2.0.0) that a probe speaks: messages are arrays of
 * [join_ref, ref, topic, event, payload]. Pure. */
#ifndef HEALTH_CHECKER_PHOENIX_H
#define HEALTH_CHECKER_PHOENIX_H

#include <stdbool.h>
#include <stddef.h>

#define PHOENIX_HEARTBEAT     "[null,\"1\",\"phoenix\",\"heartbeat\",{}]"
#define PHOENIX_JOIN_REF      "\"2\"" /* of a join, and of what is said in its channel */
#define PHOENIX_MESSAGE_BYTES 1024u   /* longer messages are not replies to a heartbeat */

struct phoenix_reader { /* zeroed at first */
    size_t len;
    bool is_too_long;
    char text[PHOENIX_MESSAGE_BYTES];
};

/* A piece of a message, wherever it was cut. True when the message is whole: it is then in the reader until the next
 * call, without a NUL. Messages that are too long are passed over. */
bool phoenix_collect(struct phoenix_reader *r, const char *piece, size_t len, bool is_last, const char **text,
                     size_t *text_len);

/* A piece of a text message, wherever it was cut. OTHER: no reply to our heartbeat, or not all of it yet. */
enum phoenix_reply { PHOENIX_OTHER = 0, PHOENIX_REPLY_OK, PHOENIX_REPLY_ERROR };
/* Whether a whole message is the reply to the message with that ref, given as JSON text: "\"2\"". */
enum phoenix_reply phoenix_reply_to(const char *text, size_t len, const char *ref);
enum phoenix_reply phoenix_read(struct phoenix_reader *r, const char *piece, size_t len, bool is_last);

#endif
