/* Of two servers that deliver the same, the one a session moves to may be ahead: it joined between two messages of
 * which the older server, behind the cluster's wire, has handed on neither. If its second one went out at once, the
 * first would come behind it. So while the older server delivers, what it has not brought yet waits until it does, for
 * a moment at most; then it goes out in the order it came. */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/realtime/phoenix_priv.h"

#define AHEAD_MS        500 /* servers of a cluster are milliseconds apart; as long as the older one stays after a move */
#define AHEAD_COUNT_MAX 1024u
#define AHEAD_BYTES_MAX (1u << 20)

struct phx_ahead {
    struct list link;
    uint64_t hash;
    int64_t since_ms;
    uint32_t epoch;
    enum ws_opcode opcode;
    size_t len;
    uint8_t payload[];
};

static struct phx_ahead *first(const struct phoenix *p)
{
    return LIST_ENTRY(p->ahead.next, struct phx_ahead, link);
}

static void take_off(struct phoenix *p, struct phx_ahead *a)
{
    list_unlink(&a->link);
    p->ahead_count--;
    p->ahead_bytes -= a->len;
}

static enum phx_place place_of(const struct phoenix *p, const struct phx_ahead *a)
{
    return a->epoch == p->epoch[PHX_HERE] ? PHX_HERE : a->epoch == p->epoch[PHX_NEXT] ? PHX_NEXT : PHX_NOWHERE;
}

static void deliver(struct phoenix *p, struct phx_ahead *a)
{
    struct phx_frame f;
    take_off(p, a);
    const enum phx_place place = place_of(p, a);
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
    struct phx_ahead *a = mem_alloc(sizeof *a + m->len);
    ASSERT(m->is_whole && place < PHX_PLACES);
    list_init(&a->link);
    a->hash = hash;
    a->since_ms = session_now_ms(p->session);
    a->epoch = p->epoch[place];
    a->opcode = m->opcode;
    a->len = m->len;
    memcpy(a->payload, m->payload, m->len);
    list_append(&p->ahead, &a->link);
    p->ahead_count++;
    p->ahead_bytes += a->len;
    while (p->ahead_count > AHEAD_COUNT_MAX || p->ahead_bytes > AHEAD_BYTES_MAX)
        deliver(p, first(p));
    if (p->ahead_count > 0)
        phoenix_wake_at(p, first(p)->since_ms + AHEAD_MS);
}

bool phoenix_ahead_found(struct phoenix *p, uint64_t hash)
{
    LIST_EACH (it, &p->ahead) {
        struct phx_ahead *a = LIST_ENTRY(it, struct phx_ahead, link);
        if (a->hash != hash)
            continue;
        take_off(p, a);
        mem_free(a);
        return true;
    }
    return false;
}

void phoenix_ahead_deliver(struct phoenix *p)
{
    while (p->ahead_count > 0)
        deliver(p, first(p));
}

void phoenix_ahead_drop(struct phoenix *p)
{
    while (p->ahead_count > 0) {
        struct phx_ahead *a = first(p);
        take_off(p, a);
        mem_free(a);
    }
}

void phoenix_on_time_ahead(struct phoenix *p, int64_t now_ms)
{
    while (p->ahead_count > 0 && first(p)->since_ms + AHEAD_MS <= now_ms)
        deliver(p, first(p));
    if (p->ahead_count > 0)
        phoenix_wake_at(p, first(p)->since_ms + AHEAD_MS);
}
