/* Whether a join is welcome, and how long its WebSocket is blocked by it: what Supabase Realtime does between a join
 * and its reply, as far as the knobs ask for it. */
#ifndef REGION_ADMISSION_H
#define REGION_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/region/wire.h"

struct client;

struct admission {
    char reason[256]; /* of the refusal; "": welcome */
    bool is_last;     /* the WebSocket is closed with 1001 behind the refusal */
    int64_t wait_ms;  /* until the reply; nothing is read or sent meanwhile */
};

void admission_judge(struct admission *a, const struct client *c, const struct frame *join, size_t channel_count);

/* The token a join or an access_token event brings, or the connection's own; NULL: none. */
const char *admission_token(const struct client *c, const json_t *payload, char room[2048]);
/* "Token has expired 3 seconds ago"; false while it has not, or never does. */
bool admission_has_expired(const struct client *c, int64_t expires_s, char *text, size_t cap);

#endif
