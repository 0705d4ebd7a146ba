/* The messages of Phoenix, vsn 2.0.0, as far as both sides of the load tester need them; and a backend that speaks
 * them: every join, heartbeat and push is answered with `ok`, the push with its own payload; a user broadcast of
 * Supabase's (binary kind 3) comes back as kind 4. There are no topics behind it. */
#ifndef GATEWAY_BENCH_PHOENIX_H
#define GATEWAY_BENCH_PHOENIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PHOENIX_ELEMENTS 4u /* join_ref, ref, topic, event; the payload comes after them */

struct phoenix_text { /* JSON, somewhere else */
    const char *data;
    size_t len;
};
bool phoenix_text_is(struct phoenix_text t, const char *what);

/* The first elements of a message, and the rest without the closing bracket. False when it is none. */
bool phoenix_split(struct phoenix_text message, struct phoenix_text elements[PHOENIX_ELEMENTS],
                   struct phoenix_text *payload);

/* Adds the frame that answers this message to `out`; nothing when it is not understood. */
void phoenix_answer(struct strbuf *out, const uint8_t *message, size_t len, bool is_binary);

#endif
