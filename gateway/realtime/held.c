/* Messages of a client that wait for a server: one list in the order they came, with lanes in it for those that depend
 * on each other. There are few (the route's queue), so walking the list is all the index it needs. */
#include "base/mem.h"
#include "gateway/realtime/session_priv.h"

void held_init(struct session *s)
{
    list_init(&s->held);
    s->held_due_ms = INT64_MAX;
}

void held_free(struct held **hp)
{
    mem_free(*hp);
    *hp = NULL;
}

static struct held *held_of(struct list *link)
{
    return LIST_ENTRY(link, struct held, link);
}

static uint64_t size_of(const struct held *h)
{
    return sizeof *h + h->note_bytes + h->frames_bytes;
}

static void take_off(struct session *s, struct held *h)
{
    list_unlink(&h->link);
    s->held_count--;
    s->held_bytes -= size_of(h);
}

static void put_on(struct session *s, struct held *h)
{
    s->held_count++;
    s->held_bytes += size_of(h);
    if (h->deadline_ms < s->held_due_ms) {
        s->held_due_ms = h->deadline_ms;
        session_touch(s);
    }
}

static void give_back(struct session *s, struct held *h, enum held_fate fate)
{
    take_off(s, h);
    session_count(s, STAT_ROUTE_SESSION_DROPPED, 1);
    if (!s->is_stopped)
        s->protocol->on_unsent(s->speaker, h, fate);
    held_free(&h);
}

void held_fini(struct session *s)
{
    while (!list_is_empty(&s->held)) {
        struct held *h = held_of(s->held.next);
        take_off(s, h);
        held_free(&h);
    }
}

/* The oldest goes first: what a client said last is what it still means. */
static void keep_bounds(struct session *s)
{
    const struct conf_session *c = session_conf(s);
    while (s->held_count > 0 && (s->held_count > c->queue_count || s->held_bytes > c->queue_bytes))
        give_back(s, held_of(s->held.next), HELD_OVERFLOWED);
}

void session_hold(struct session *s, const struct ws_message *m, uint32_t lane, int64_t deadline_ms, const void *note,
                  size_t note_bytes)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    ASSERT(m->is_whole && note_bytes <= UINT32_MAX && m->frames_bytes <= UINT32_MAX);
    struct held *h = mem_alloc_begun(sizeof *h + note_bytes + m->frames_bytes, sizeof *h);
    list_init(&h->link);
    h->lane = lane;
    h->since_ms = session_now_ms(s);
    h->deadline_ms = deadline_ms;
    h->note_bytes = (uint32_t)note_bytes;
    h->frames_bytes = (uint32_t)m->frames_bytes;
    if (note_bytes > 0)
        memcpy(h->data, note, note_bytes);
    memcpy(h->data + note_bytes, m->frames, m->frames_bytes);
    session_count(s, STAT_ROUTE_SESSION_QUEUED, 1);
    list_append(&s->held, &h->link);
    if (s->seek != NULL && !s->is_seek_move)
        seek_hurry(s->seek);
    put_on(s, h);
    keep_bounds(s);
}

bool session_can_hold(const struct session *s, size_t bytes)
{
    const struct conf_session *c = session_conf(s);
    return s->held_count < c->queue_count && s->held_bytes + sizeof(struct held) + bytes <= c->queue_bytes;
}

struct held *session_first_held(struct session *s, uint32_t lane)
{
    LIST_EACH (it, &s->held) {
        struct held *h = held_of(it);
        if (h->lane == lane)
            return h;
    }
    return NULL;
}

bool session_has_held(const struct session *s)
{
    return s->held_count > 0;
}

struct held *session_take_held(struct session *s, struct held *h)
{
    take_off(s, h);
    return h;
}

void session_hold_again(struct session *s, struct held *h)
{
    struct held *first = session_first_held(s, h->lane);
    list_insert_before(first != NULL ? &first->link : &s->held, &h->link);
    put_on(s, h);
    keep_bounds(s);
}

void held_expire(struct session *s, int64_t now_ms)
{
    if (s->held_due_ms > now_ms)
        return;
    s->held_due_ms = INT64_MAX;
    LIST_EACH (it, &s->held) {
        struct held *h = held_of(it);
        if (h->deadline_ms <= now_ms)
            give_back(s, h, HELD_LATE);
        else if (h->deadline_ms < s->held_due_ms)
            s->held_due_ms = h->deadline_ms;
    }
}
