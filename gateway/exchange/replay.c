/* Bounded memory of a body. What has grown too large is given back at once: nobody will ask for half of it. */
#include "gateway/exchange/replay.h"

void replay_init(struct replay *r, size_t max_bytes)
{
    *r = (struct replay){0};
    strbuf_init(&r->kept, max_bytes);
}

void replay_fini(struct replay *r)
{
    strbuf_fini(&r->kept);
}

void replay_add(struct replay *r, const uint8_t *data, size_t len)
{
    if (r->is_lost || len == 0)
        return;
    strbuf_add(&r->kept, data, len);
    if (r->kept.failed) {
        r->is_lost = true;
        strbuf_fini(&r->kept);
    }
}
