/* What was heard last, for the case that its server is lost. Others of its cluster may be behind it, and most of all
 * behind what it said itself: that went to its own clients at once, and is on its way to the others still when it is
 * gone. A session that comes to one of them at that moment would hear it again.
 *
 * Every message pays for this, so it is copied and no more; by what it is known is found out after a loss. The copies
 * fill one half after the other: at least the newest half is there. */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/realtime/phoenix_priv.h"

#define HEARD_MAGIC 0x8ea4d21bu
#define HALF_BYTES  1024u
#define HEARD_MS    1000 /* servers of a cluster are milliseconds apart, unless the machine is too busy */

struct entry {
    int64_t at_ms;
    uint32_t len;
    bool is_binary;
};

struct phx_heard {
    uint32_t magic;
    uint32_t now; /* the half that is filled */
    uint32_t used[2];
    uint8_t half[2][HALF_BYTES];
};

void phoenix_heard_keep(struct phoenix *p, const struct ws_message *m)
{
    const struct entry e = {
        .at_ms = session_now_ms(p->session), .len = (uint32_t)m->len, .is_binary = m->opcode == WS_OPCODE_BINARY};
    struct phx_heard *h = p->heard;
    if (m->len > HALF_BYTES - sizeof e)
        return;
    if (h == NULL) {
        OBJ_NEW(h, HEARD_MAGIC);
        p->heard = h;
    }
    if (h->used[h->now] + sizeof e + m->len > HALF_BYTES) {
        h->now = 1 - h->now;
        h->used[h->now] = 0;
    }
    uint8_t *to = h->half[h->now] + h->used[h->now];
    memcpy(to, &e, sizeof e);
    memcpy(to + sizeof e, m->payload, m->len);
    h->used[h->now] += (uint32_t)(sizeof e + m->len);
}

static void expect_half(struct phoenix *p, const uint8_t *half, uint32_t used)
{
    const int64_t since_ms = session_now_ms(p->session) - HEARD_MS;
    struct entry e;
    for (uint32_t at = 0; at < used; at += (uint32_t)sizeof e + e.len) {
        struct phx_frame f;
        memcpy(&e, half + at, sizeof e);
        if (e.at_ms < since_ms)
            continue;
        if (phx_frame_read(&f, p->vsn, PHX_FROM_SERVER, half + at + sizeof e, e.len, e.is_binary, true) != PHX_READ_OK)
            continue;
        const struct phx_channel *c = phoenix_channel(p, f.topic);
        if (c != NULL)
            phoenix_feeds_expect_again(p, c, &f);
    }
}

void phoenix_heard_expect(struct phoenix *p)
{
    struct phx_heard *h = p->heard;
    if (h == NULL)
        return;
    CHECK_OBJ(h, HEARD_MAGIC);
    phoenix_feeds_begin_after_loss(p);
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t half = i == 0 ? 1 - h->now : h->now;
        expect_half(p, h->half[half], h->used[half]);
        h->used[half] = 0;
    }
    phoenix_feeds_end_old(p);
}

void phoenix_heard_fini(struct phoenix *p)
{
    if (p->heard != NULL)
        OBJ_FREE(&p->heard, HEARD_MAGIC);
}
