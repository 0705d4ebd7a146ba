/* The little of Phoenix Channels (vsn 2.0.0) that a probe speaks: messages are arrays of
 * [join_ref, ref, topic, event, payload]. Pure. */
#ifndef HEALTH_CHECKER_PHOENIX_H
#define HEALTH_CHECKER_PHOENIX_H

#include <stdbool.h>
#include <stddef.h>

#define PHOENIX_HEARTBEAT     "[null,\"1\",\"phoenix\",\"heartbeat\",{}]"
#define PHOENIX_MESSAGE_BYTES 1024u /* longer messages are not replies to a heartbeat */

struct phoenix_reader { /* zeroed at first */
    size_t len;
    bool is_too_long;
    char text[PHOENIX_MESSAGE_BYTES];
};

/* A piece of a text message, wherever it was cut. OTHER: no reply to our heartbeat, or not all of it yet. */
enum phoenix_reply { PHOENIX_OTHER = 0, PHOENIX_REPLY_OK, PHOENIX_REPLY_ERROR };
enum phoenix_reply phoenix_read(struct phoenix_reader *r, const char *piece, size_t len, bool is_last);

#endif
