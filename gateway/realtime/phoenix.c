/* Phoenix channels, and Supabase Realtime, which speaks them. */
#include "gateway/realtime/protocol_rows.h"

static void *open_speaker(struct session *s, const struct protocol_hello *h)
{
    (void)s;
    (void)h;
    return NULL;
}

const struct protocol protocol_phoenix = {
    .name = "phoenix",
    .open = open_speaker,
};
