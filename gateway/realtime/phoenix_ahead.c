/* What the newer of two servers brings first; gateway/realtime/ahead.h says why it waits. */
#include "base/assert.h"
#include "base/mem.h"
#include "gateway/realtime/phoenix_priv.h"

static enum phx_place place_of(const struct phoenix *p, uint32_t epoch)
{
    return epoch == p->epoch[PHX_HERE] ? PHX_HERE : epoch == p->epoch[PHX_NEXT] ? PHX_NEXT : PHX_NOWHERE;
}

/* Takes the message over. */
static void deliver(struct phoenix *p, struct ahead_message *a)
{
    struct phx_frame f;
    const enum phx_place place = place_of(p, a->epoch);
    const bool is_binary = a->opcode == WS_OPCODE_BINARY;
    if (place != PHX_NOWHERE &&
        phx_frame_read(&f, p->vsn, PHX_FROM_SERVER, a->payload, a->len, is_binary, true) == PHX_READ_OK) {
        struct phx_channel *c = phoenix_channel(p, f.topic);
        if (c != NULL && phoenix_feeds_take_waited(p, a->hash) && phoenix_deliver(p, c, place, &f) == SIFT_PASS)
            session_tell(p->session, a->opcode, a->payload, a->len);
    }
    mem_free(a);
}

void phoenix_ahead_keep(struct phoenix *p, enum phx_place place, uint64_t hash, const struct ws_message *m)
{
    ASSERT(m->is_whole && place < PHX_PLACES);
    const int64_t now_ms = session_now_ms(p->session);
    ahead_keep(&p->ahead, hash, now_ms, p->epoch[place], m->opcode, m->payload, m->len);
    phoenix_on_time_ahead(p, now_ms);
}

void phoenix_ahead_deliver(struct phoenix *p)
{
    struct ahead_message *a;
    while ((a = ahead_take(&p->ahead)) != NULL)
        deliver(p, a);
}

void phoenix_on_time_ahead(struct phoenix *p, int64_t now_ms)
{
    struct ahead_message *a;
    while ((a = ahead_take_due(&p->ahead, now_ms)) != NULL)
        deliver(p, a);
    phoenix_wake_at(p, ahead_due_ms(&p->ahead));
}
