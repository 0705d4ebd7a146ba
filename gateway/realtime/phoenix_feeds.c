/* Two servers deliver the same while a session moves from one to the other. What both bring reaches the client once.
 * And the gateway's second channel is another process of the cluster, which does not know that it is the sender's: it
 * brings the client's own broadcasts back, also where the client asked not to hear them.
 *
 * The next server may be on the topic long before its answer to the join is here; and one that was frozen takes the
 * session first and then reads what the cluster said meanwhile. So there are two from the moment it is asked for its
 * WebSocket: what the present one brings until then is remembered, and if the next does not have it, in vain. */
#include "base/assert.h"
#include "base/json_scan.h"
#include "gateway/realtime/phoenix_priv.h"

#define OVERLAP_MS 2000 /* longer than sessions let the one before deliver */

void phoenix_feeds_begin(struct phoenix *p)
{
    if (p->feeds_end_ms != 0) { /* the move before this one: its old server is gone, and with it what it had ahead */
        p->epoch[PHX_BEFORE] = 0;
        phoenix_feeds_end(p);
    }
    if (p->feeds == NULL)
        p->feeds = dedup_create(DEDUP_WINDOW_MS, DEDUP_COUNT_MAX);
}

void phoenix_on_moving(void *arg, bool is_asking)
{
    struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    if (is_asking)
        phoenix_feeds_begin(p);
    else
        phoenix_feeds_end(p);
    p->is_moving = is_asking;
}

void phoenix_feeds_moved(struct phoenix *p)
{
    p->is_moving = false;
    if (p->feeds == NULL)
        return;
    p->feeds_end_ms = session_now_ms(p->session) + OVERLAP_MS;
    phoenix_wake_at(p, p->feeds_end_ms);
}

void phoenix_feeds_end(struct phoenix *p)
{
    if (p->feeds != NULL)
        dedup_destroy(&p->feeds);
    p->feeds_end_ms = 0;
    p->is_moving = false;
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = LIST_ENTRY(it, struct phx_channel, link);
        c->has_new_presence = c->has_pushed_text = false;
    }
}

void phoenix_on_time_feeds(struct phoenix *p, int64_t now_ms)
{
    if (p->feeds == NULL || p->feeds_end_ms == 0)
        return;
    if (now_ms < p->feeds_end_ms) {
        phoenix_wake_at(p, p->feeds_end_ms);
        return;
    }
    p->epoch[PHX_BEFORE] = 0;
    dedup_end(p->feeds, DEDUP_OLD);
    if (dedup_is_done(p->feeds, now_ms))
        phoenix_feeds_end(p);
    else
        phoenix_wake_at(p, now_ms + OVERLAP_MS);
}

static uint64_t hash_of(const struct phoenix *p, const struct phx_frame *f)
{
    struct phx_text content = f->payload;
    if (phx_text_is(f->event, "postgres_changes")) { /* the numbers beside it are each server's own */
        const struct json_text data = json_find((struct json_text){f->payload.data, f->payload.len}, "data");
        if (data.data != NULL)
            content = (struct phx_text){data.data, data.len};
    }
    const struct dedup_part parts[] = {{f->topic.data, f->topic.len},
                                       {f->event.data, f->event.len},
                                       {f->user_event.data, f->user_event.len},
                                       {content.data, content.len}};
    return dedup_hash(p->feeds, parts, sizeof parts / sizeof parts[0]);
}

static enum dedup_feed feed_of(const struct phoenix *p, enum phx_place place)
{
    return place == PHX_BEFORE || (place == PHX_HERE && p->feeds_end_ms == 0) ? DEDUP_OLD : DEDUP_NEW;
}

bool phoenix_feeds_take(struct phoenix *p, struct phx_channel *c, enum phx_place place, const struct phx_frame *f)
{
    const bool has_two = p->feeds_end_ms != 0 || p->is_moving || c->on[PHX_NEXT].state != PHX_ABSENT;
    if (p->feeds == NULL || !has_two)
        return place == PHX_HERE;
    /* What the new server knew when it told all of it is not what the old one has told: from there on its changes alone
     * add up. Without that they are compared like everything else. */
    if (c->has_new_presence && phx_text_is(f->event, "presence_diff"))
        return feed_of(p, place) == DEDUP_NEW;
    if (place != PHX_HERE && c->has_pushed_text && phx_text_is(f->event, "broadcast"))
        return false;
    return dedup_take(p->feeds, feed_of(p, place), hash_of(p, f), session_now_ms(p->session));
}

bool phoenix_feeds_take_state(struct phoenix *p, struct phx_channel *c, enum phx_place place)
{
    if (place == PHX_BEFORE)
        return false;
    c->has_new_presence = p->feeds != NULL && feed_of(p, place) == DEDUP_NEW;
    return true;
}

void phoenix_expect_echo(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f)
{
    if (c->gets_own || !phx_text_is(f->event, "broadcast") ||
        (p->feeds_end_ms == 0 && !p->is_moving && c->on[PHX_NEXT].state == PHX_ABSENT))
        return;
    if (f->kind != PHX_USER_PUSH) {
        c->has_pushed_text = true; /* a server writes it anew, in its own order */
        return;
    }
    (void)dedup_take(p->feeds, feed_of(p, PHX_HERE), hash_of(p, f), session_now_ms(p->session));
}
