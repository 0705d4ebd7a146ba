/* Two servers deliver the same while a session moves from one to the other. What both bring reaches the client once.
 * And the gateway's second channel is another process of the cluster, which does not know that it is the sender's: it
 * brings the client's own broadcasts back, also where the client asked not to hear them.
 *
 * The next server may be on the topic long before its answer to the join is here; and one that was frozen takes the
 * session first and then reads what the cluster said meanwhile. So there are two from the moment it is asked for its
 * WebSocket: what the present one brings until then is remembered, and if the next does not have it, in vain. */
#include "base/assert.h"
#include "base/json_hash.h"
#include "base/map.h"
#include "gateway/realtime/phoenix_priv.h"

#define OVERLAP_MS 2000        /* longer than sessions let the one before deliver */
#define AGAIN_MS   2000        /* what a lost server said may come again from the next one for so long */
#define LONG_BYTES (64u << 10) /* as long at least is, written anew, what of a client is not read to its end */

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
    phoenix_ahead_deliver(p);
    if (p->feeds != NULL)
        dedup_destroy(&p->feeds);
    p->feeds_end_ms = 0;
    p->is_moving = false;
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = LIST_ENTRY(it, struct phx_channel, link);
        c->echo = 0;
        c->early_ms = 0;
        c->has_new_presence = c->has_pushed_long = c->was_before = false;
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
    phoenix_ahead_deliver(p);
    p->epoch[PHX_BEFORE] = 0;
    dedup_end(p->feeds, DEDUP_OLD);
    if (dedup_is_done(p->feeds, now_ms))
        phoenix_feeds_end(p);
    else
        phoenix_wake_at(p, now_ms + OVERLAP_MS);
}

/* Servers write text anew, each in its own way: it is known by what it means. What is binary they take as it is. */
static uint64_t content_of(const struct phoenix *p, const struct phx_frame *f)
{
    struct json_text content = {f->payload.data, f->payload.len};
    if (phx_text_is(f->event, "postgres_changes")) { /* the numbers beside it are each server's own */
        const struct json_text data = json_find(content, "data");
        if (data.data != NULL)
            content = data;
    }
    const bool is_text = f->kind == PHX_JSON;
    const uint64_t parts[] = {siphash24(p->key, f->event.data, f->event.len),
                              siphash24(p->key, f->user_event.data, f->user_event.len),
                              is_text ? json_hash(p->key, content) : siphash24(p->key, content.data, content.len)};
    return siphash24(p->key, parts, sizeof parts) | 1;
}

static uint64_t hash_of(const struct phoenix *p, const struct phx_channel *c, uint64_t content)
{
    const struct dedup_part parts[] = {{c->topic, c->topic_bytes}, {&content, sizeof content}};
    return dedup_hash(p->feeds, parts, sizeof parts / sizeof parts[0]);
}

static enum dedup_feed feed_of(const struct phoenix *p, enum phx_place place)
{
    return place == PHX_BEFORE || (place == PHX_HERE && p->feeds_end_ms == 0) ? DEDUP_OLD : DEDUP_NEW;
}

static bool has_two(const struct phoenix *p, const struct phx_channel *c)
{
    return p->feeds != NULL && (p->feeds_end_ms != 0 || p->is_moving || c->on[PHX_NEXT].state != PHX_ABSENT);
}

/* Whether the older server brings what is said on a channel. */
static bool is_old_there(struct phoenix *p, const struct phx_channel *c)
{
    if (p->feeds_end_ms == 0)
        return phoenix_leg(p, PHX_HERE) != NULL && c->on[PHX_HERE].state == PHX_THERE;
    const struct leg *old = session_old_leg(p->session);
    return c->was_before && old != NULL && leg_epoch(old) == p->epoch[PHX_BEFORE];
}

void phoenix_feeds_begin_after_loss(struct phoenix *p)
{
    ASSERT(p->feeds == NULL);
    p->feeds = dedup_create(AGAIN_MS, DEDUP_COUNT_MAX);
}

void phoenix_feeds_expect_again(struct phoenix *p, const struct phx_channel *c, const struct phx_frame *f)
{
    (void)dedup_take(p->feeds, DEDUP_OLD, hash_of(p, c, content_of(p, f)), session_now_ms(p->session));
}

void phoenix_feeds_end_old(struct phoenix *p)
{
    dedup_end(p->feeds, DEDUP_OLD);
    p->feeds_end_ms = session_now_ms(p->session) + AGAIN_MS;
    phoenix_wake_at(p, p->feeds_end_ms);
}

bool phoenix_feeds_take_waited(struct phoenix *p, uint64_t hash)
{
    return dedup_take(p->feeds, DEDUP_NEW, hash, session_now_ms(p->session));
}

enum phx_feed phoenix_feeds_take(struct phoenix *p, struct phx_channel *c, enum phx_place place,
                                 const struct phx_frame *f, const struct ws_message *m)
{
    const int64_t now_ms = session_now_ms(p->session);
    const enum dedup_feed feed = feed_of(p, place);
    const bool is_presence = phx_text_is(f->event, "presence_diff");
    if (!has_two(p, c))
        return place == PHX_HERE ? PHX_FEED_DELIVER : PHX_FEED_COPY;
    /* What the new server knew when it told all of it is not what the old one has told: from there on its changes alone
     * add up. Without that they are compared like everything else. */
    if (c->has_new_presence && is_presence)
        return feed == DEDUP_NEW ? PHX_FEED_DELIVER : PHX_FEED_COPY;
    if (place != PHX_HERE && c->has_pushed_long && f->payload.len >= LONG_BYTES && phx_text_is(f->event, "broadcast"))
        return PHX_FEED_COPY;
    const uint64_t hash = hash_of(p, c, content_of(p, f));
    if (place == PHX_NEXT && hash == c->echo) {
        c->echo = 0;
        c->early_ms = 0;
        phoenix_wake_at(p, now_ms); /* the move may have waited for that */
    }
    if (feed == DEDUP_OLD && ahead_found(&p->ahead, hash))
        return PHX_FEED_DELIVER;
    if (feed == DEDUP_OLD || is_presence)
        return dedup_take(p->feeds, feed, hash, now_ms) ? PHX_FEED_DELIVER : PHX_FEED_COPY;
    if (dedup_take_copy(p->feeds, feed, hash, now_ms))
        return PHX_FEED_COPY;
    if (is_old_there(p, c)) {
        phoenix_ahead_keep(p, place, hash, m);
        return PHX_FEED_WAITS;
    }
    phoenix_ahead_deliver(p);
    return dedup_take(p->feeds, feed, hash, now_ms) ? PHX_FEED_DELIVER : PHX_FEED_COPY;
}

bool phoenix_feeds_take_state(struct phoenix *p, struct phx_channel *c, enum phx_place place)
{
    if (place == PHX_BEFORE)
        return false;
    c->has_new_presence = p->feeds != NULL && feed_of(p, place) == DEDUP_NEW;
    return true;
}

uint64_t phoenix_echo_of(const struct phoenix *p, const struct phx_channel *c, const struct phx_frame *f)
{
    return !c->gets_own && phx_text_is(f->event, "broadcast") ? content_of(p, f) : 0;
}

void phoenix_expect_late_echo(struct phoenix *p, struct phx_channel *c, uint64_t echo)
{
    if (has_two(p, c))
        (void)dedup_take(p->feeds, feed_of(p, PHX_HERE), hash_of(p, c, echo), session_now_ms(p->session));
}

void phoenix_expect_echo(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f, bool is_whole)
{
    const bool is_broadcast = phx_text_is(f->event, "broadcast");
    if ((c->is_supabase && !is_broadcast) || !has_two(p, c))
        return;
    if (!is_whole) {
        c->has_pushed_long |= !c->gets_own;
        return;
    }
    const uint64_t content = content_of(p, f);
    if (c->on[PHX_NEXT].state != PHX_ABSENT)
        c->echo = hash_of(p, c, content);
    if (is_broadcast && !c->gets_own)
        phoenix_expect_late_echo(p, c, content);
}
