/* The part of a request's body that was sent to a server, kept as long as it is small, so that another server can be
 * given the same request. */
#ifndef GATEWAY_EXCHANGE_REPLAY_H
#define GATEWAY_EXCHANGE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct replay {
    struct strbuf kept;
    bool is_lost; /* more came than is kept, or the request may not be repeated anyway */
};

/* Keeps up to `max_bytes`; 0: nothing, so any body is lost. */
void replay_init(struct replay *r, size_t max_bytes);
void replay_fini(struct replay *r);
void replay_add(struct replay *r, const uint8_t *data, size_t len);

#endif
