/* Connections on connections. The hard part is who calls whom: a carrier pushes from inside its own parser and pulls
 * from inside its own writer, where no owner may be let loose. So a push goes straight through (nothing else of the
 * carrier's is under way then that an owner could disturb), while everything a pull leads to, and what was held for a
 * paused owner, is told from the loop. */
#include "gateway/net/carried.h"

#include "base/mem.h"
#include "gateway/net/conn_priv.h"

#define CARRIED_MAGIC 0xca441ed5u

struct carried {
    uint32_t magic;
    struct conn *conn;
    const struct carrier_ops *ops;
    void *carrier;
    const struct conn *wire;
    struct chunk_queue held; /* came while the owner had paused */
    struct later later;
    bool is_eof_held;
    bool has_pulled; /* the owner is to hear what has become of its output */
};

/* Bytes for an owner who reads; false when it closed the connection. */
static bool deliver(struct conn *c, const uint8_t *data, size_t len)
{
    struct carried *d = c->carried;
    c->ops->on_data(c->arg, data, len);
    if (c->is_dead)
        return false;
    d->ops->on_taken(d->carrier, len);
    return true;
}

static void deliver_eof(struct conn *c)
{
    c->carried->is_eof_held = false;
    c->is_eof = true;
    if (c->ops->on_eof != NULL)
        c->ops->on_eof(c->arg);
    else
        conn_fail(c, ERR_EOF);
}

static void deliver_held(struct conn *c)
{
    struct carried *d = c->carried;
    while (!c->is_paused && d->held.first != NULL) {
        /* Out of the queue first: the owner may close the connection. */
        struct chunk *first = d->held.first;
        size_t len = first->end - first->begin;
        struct block *b = block_ref(first->block);
        const uint8_t *data = b->data + first->begin;
        chunk_queue_drop(&d->held, len);
        bool is_alive = deliver(c, data, len);
        block_unref(&b);
        if (!is_alive)
            return;
    }
    if (!c->is_paused && d->is_eof_held)
        deliver_eof(c);
}

static void on_later(void *arg)
{
    struct carried *d = arg;
    CHECK_OBJ(d, CARRIED_MAGIC);
    struct conn *c = d->conn;
    if (d->has_pulled) {
        d->has_pulled = false;
        conn_out_notify(c);
    }
    if (!c->is_dead)
        deliver_held(c);
}

/* ---- for conn.c ---- */

void carried_update_interest(struct conn *c)
{
    struct carried *d = c->carried;
    CHECK_OBJ(d, CARRIED_MAGIC);
    if (!c->is_paused && (d->held.first != NULL || d->is_eof_held))
        later_post(&d->later);
}

void carried_output(struct conn *c)
{
    struct carried *d = c->carried;
    CHECK_OBJ(d, CARRIED_MAGIC);
    d->ops->on_output(d->carrier);
}

void carried_closed(struct conn *c, bool reset)
{
    struct carried *d = c->carried;
    CHECK_OBJ(d, CARRIED_MAGIC);
    c->carried = NULL;
    later_cancel(&d->later);
    chunk_queue_drop(&d->held, d->held.bytes);
    if (d->carrier != NULL)
        d->ops->on_closed(d->carrier, reset);
    OBJ_FREE(&d, CARRIED_MAGIC);
}

const struct tls *carried_tls(const struct conn *c)
{
    return conn_tls(c->carried->wire);
}

/* ---- the carrier's side ---- */

struct conn *carried_create(struct conn *wire, const struct carrier_ops *carrier_ops, void *carrier,
                            const struct conn_ops *ops, void *arg)
{
    struct addr peer;
    struct carried *d;
    conn_peer(wire, &peer);
    struct conn *c = conn_create(wire->net, -1, &peer, ops, arg, CONN_OPEN);
    OBJ_NEW(d, CARRIED_MAGIC);
    d->conn = c;
    d->ops = carrier_ops;
    d->carrier = carrier;
    d->wire = wire;
    later_init(&d->later, wire->net->loop, on_later, d);
    c->carried = d;
    return c;
}

void carried_push(struct conn *c, const uint8_t *data, size_t len)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(!c->is_dead && !c->is_eof && !c->carried->is_eof_held);
    if (c->is_paused || c->carried->held.first != NULL)
        chunk_queue_append(&c->carried->held, data, len);
    else
        (void)deliver(c, data, len);
}

void carried_push_eof(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(!c->is_dead);
    if (c->is_paused || c->carried->held.first != NULL)
        c->carried->is_eof_held = true;
    else
        deliver_eof(c);
}

void carried_break(struct conn *c, enum err e)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(!c->is_dead);
    c->carried->carrier = NULL;
    conn_fail(c, e);
}

size_t carried_pull(struct conn *c, void *buf, size_t cap, bool *is_end)
{
    CHECK_OBJ(c, CONN_MAGIC);
    struct carried *d = c->carried;
    uint8_t *to = buf;
    size_t got = 0;
    while (got < cap && c->out.first != NULL) {
        const struct chunk *first = c->out.first;
        size_t have = first->end - first->begin;
        size_t take = have < cap - got ? have : cap - got;
        memcpy(to + got, first->block->data + first->begin, take);
        conn_out_sent(c, take);
        got += take;
    }
    *is_end = c->is_shut && c->out.first == NULL;
    if (got > 0) {
        d->has_pulled = true;
        later_post(&d->later);
    }
    return got;
}
