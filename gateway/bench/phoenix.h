/* A backend that speaks Phoenix, vsn 2.0.0: every join, heartbeat and push is answered with `ok`, the push with its own
 * payload; a user broadcast of Supabase's (binary kind 3) comes back as kind 4. There are no topics behind it. */
#ifndef GATEWAY_BENCH_PHOENIX_H
#define GATEWAY_BENCH_PHOENIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Adds the frame that answers this message to `out`; nothing when it is not understood. */
void phoenix_answer(struct strbuf *out, const uint8_t *message, size_t len, bool is_binary);

#endif
