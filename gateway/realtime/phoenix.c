/* Phoenix channels, and Supabase Realtime, which speaks them: the speaker's life, and what is due when.
 *
 * What keeps this simple: references are opaque to servers, and a channel is joined again with the client's own
 * join_ref. So what client and server say to each other afterwards passes as it is, and only answers to what the
 * gateway itself asked, known by their reference, are kept from the client. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "gateway/realtime/phoenix_priv.h"
#include "gateway/realtime/protocol_rows.h"

/* ---- channels ---- */

struct phx_channel *phoenix_channel(struct phoenix *p, struct phx_text topic)
{
    /* Mostly it is the one of the message before, or there is only one. */
    if (p->newest != NULL && phx_text_equal(topic, phx_channel_topic(p->newest)))
        return p->newest;
    p->newest = map_get(p->by_topic, topic.data, topic.len);
    if (p->newest != NULL) {
        session_keep_near(p->session, 0, p->newest, offsetof(struct phx_channel, link));
        session_keep_near(p->session, 1, p->newest->topic, p->newest->topic_bytes);
    }
    return p->newest;
}

struct phx_channel *phoenix_channel_in_lane(const struct phoenix *p, uint32_t lane)
{
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = LIST_ENTRY(it, struct phx_channel, link);
        if (c->lane == lane)
            return c;
    }
    return NULL;
}

struct phx_channel *phoenix_add_channel(struct phoenix *p, struct phx_text topic)
{
    struct phx_channel *c = phx_channel_create(topic, ++p->newest_lane);
    list_append(&p->channels, &c->link);
    map_put(p->by_topic, topic.data, topic.len, c);
    p->channel_count++;
    return c;
}

static void take_out(struct phoenix *p, struct phx_channel *c)
{
    map_remove(p->by_topic, c->topic, c->topic_bytes);
    if (p->newest == c)
        p->newest = NULL;
    list_unlink(&c->link);
    p->channel_count--;
}

void phoenix_forget(struct phoenix *p, struct phx_channel **cp)
{
    struct phx_channel *c = *cp;
    const bool has_leg = phoenix_leg(p, PHX_HERE) != NULL;
    if (!has_leg) /* else the server answers what was pushed */
        phoenix_settle(p, c);
    phoenix_drop_waiting(p, c, "gateway: the channel is gone");
    if (has_leg && c->on[PHX_HERE].state == PHX_THERE)
        phoenix_answer_presence(p, c);
    else
        (void)phoenix_refuse_presence(p, c, "gateway: the channel is gone");
    take_out(p, c);
    phx_channel_destroy(cp);
    if (p->is_restoring[PHX_NEXT]) /* it may have been waited for */
        phoenix_wake_at(p, session_now_ms(p->session));
}

void phoenix_forget_later(struct phoenix *p, struct phx_channel *c)
{
    (void)phoenix_refuse_presence(p, c, "gateway: the channel is gone");
    take_out(p, c);
    list_append(&p->left, &c->link);
    phoenix_wake_at(p, session_now_ms(p->session));
}

bool phoenix_is_home(const struct phx_channel *c, enum phx_place place)
{
    const struct phx_there *here = &c->on[PHX_HERE];
    return place == PHX_HERE || (place == PHX_NEXT && here->state != PHX_THERE && !here->is_own);
}

bool phoenix_is_live(struct phoenix *p, const struct phx_channel *c)
{
    const struct phx_there *on = &c->on[PHX_HERE];
    if (p->is_switching || phoenix_leg(p, PHX_HERE) == NULL)
        return false;
    /* The client's own join goes before what it says behind it, and the server takes one after the other. */
    const bool is_under_way = on->state == PHX_ASKED && !on->is_own && !phx_channel_is_answered(c);
    if (on->state != PHX_THERE && !is_under_way)
        return false;
    return !session_has_held(p->session) || session_first_held(p->session, c->lane) == NULL;
}

/* ---- legs ---- */

struct leg *phoenix_leg(struct phoenix *p, enum phx_place place)
{
    struct leg *l = place == PHX_HERE ? session_leg(p->session) : session_next_leg(p->session);
    if (l == NULL)
        return NULL;
    if (place == PHX_HERE && p->epoch[PHX_HERE] == 0)
        p->epoch[PHX_HERE] = leg_epoch(l); /* the session's first, which is not restored */
    return leg_epoch(l) == p->epoch[place] ? l : NULL;
}

enum phx_place phoenix_place(struct phoenix *p, const struct leg *l)
{
    (void)phoenix_leg(p, PHX_HERE);
    for (unsigned i = 0; i <= PHX_BEFORE; i++)
        if (p->epoch[i] == leg_epoch(l))
            return (enum phx_place)i;
    return PHX_NOWHERE;
}

static bool wants_server(const void *arg)
{
    const struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    return p->channel_count > 0;
}

static uint32_t restore_cost(const void *arg)
{
    const struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    return p->channel_count > 0 ? p->channel_count : 1;
}

static void beat(void *arg, struct leg *to)
{
    struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    const enum phx_place place = phoenix_place(p, to);
    const uint32_t number = phoenix_ask_beat(p, to);
    if (place < PHX_PLACES)
        p->beat_number[place] = number;
}

/* ---- time ---- */

void phoenix_wake_at(struct phoenix *p, int64_t at_ms)
{
    if (at_ms < p->due_ms)
        p->due_ms = at_ms;
}

static int64_t due_ms(const void *arg)
{
    const struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    return p->due_ms;
}

/* A join that nobody takes is answered before the client stops waiting; it will try again by itself. */
static bool is_join_late(struct phoenix *p, const struct phx_channel *c, int64_t now_ms)
{
    if (c->life != PHX_JOINING || c->answer.data != NULL)
        return false;
    if (phoenix_leg(p, PHX_HERE) != NULL && c->on[PHX_HERE].state != PHX_ABSENT)
        return false; /* a living server takes its time */
    const int64_t by_ms = c->asked_ms + session_conf(p->session)->answer_ms;
    if (now_ms < by_ms)
        phoenix_wake_at(p, by_ms);
    return now_ms >= by_ms;
}

/* The same of what was said about presence, which is told again with the next join. */
static void refuse_late_presence(struct phoenix *p, struct phx_channel *c, int64_t now_ms)
{
    const int64_t patience_ms = session_conf(p->session)->answer_ms;
    if (phoenix_is_live(p, c))
        return;
    for (uint8_t i = c->pending_count; i-- > 0;) {
        struct phx_pending *pending = &c->pending[i];
        if (pending->push != PHX_PUSH_FOLDED)
            continue;
        if (pending->since_ms + patience_ms > now_ms) {
            phoenix_wake_at(p, pending->since_ms + patience_ms);
            continue;
        }
        const struct phx_pending late = *pending;
        phx_channel_answered(c, pending);
        phoenix_tell_refused(p, c, (struct phx_text){late.ref, late.ref_bytes}, "gateway: no server");
    }
}

static void free_left(struct phoenix *p)
{
    LIST_EACH (it, &p->left) {
        struct phx_channel *c = LIST_ENTRY(it, struct phx_channel, link);
        phoenix_drop_waiting(p, c, "gateway: the channel is gone");
        phx_channel_destroy(&c);
    }
}

static bool is_due(struct phoenix *p, int64_t by_ms, int64_t now_ms)
{
    if (now_ms < by_ms)
        phoenix_wake_at(p, by_ms);
    return now_ms >= by_ms;
}

static void on_time_channel(struct phoenix *p, struct phx_channel *c, int64_t now_ms)
{
    if (is_join_late(p, c, now_ms)) {
        phoenix_tell_refused(p, c, phx_text_of(c->ref), "gateway: no server");
        phoenix_leave_quietly(p, c);
        phoenix_forget(p, &c);
        phoenix_go_on(p, PHX_NEXT);
        return;
    }
    refuse_late_presence(p, c, now_ms);
    if (c->answer.data != NULL && is_due(p, c->answer_by_ms, now_ms))
        phoenix_answer_join(p, c);
    if (c->trouble.data != NULL && is_due(p, c->trouble_by_ms, now_ms))
        phoenix_tell_kept(p, &c->trouble);
    if (c->notice_by_ms != 0 && is_due(p, c->notice_by_ms, now_ms))
        phoenix_tell_gap(p, &c);
}

static void on_timer(void *arg)
{
    struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    const int64_t now_ms = session_now_ms(p->session);
    p->due_ms = INT64_MAX;
    free_left(p);
    phoenix_on_time_journal(p, now_ms);
    phoenix_on_time_switch(p, now_ms);
    phoenix_on_time_ahead(p, now_ms);
    phoenix_on_time_feeds(p, now_ms);
    LIST_EACH (it, &p->channels) {
        on_time_channel(p, LIST_ENTRY(it, struct phx_channel, link), now_ms);
    }
    if (p->is_restoring[PHX_HERE])
        phoenix_go_on(p, PHX_HERE);
}

void phoenix_give_up_channel(struct phoenix *p, struct phx_channel **cp, const char *reason)
{
    if ((*cp)->life != PHX_JOINING) {
        phoenix_fail_channel(p, cp);
        return;
    }
    phoenix_tell_refused(p, *cp, phx_text_of((*cp)->ref), reason);
    phoenix_forget(p, cp);
}

static void give_up(void *arg)
{
    struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = LIST_ENTRY(it, struct phx_channel, link);
        phoenix_give_up_channel(p, &c, "gateway: no server");
    }
}

/* ---- life ---- */

/* As servers match it: semantic versions 1.0.x and 2.0.x, and 1.0.0 for who says nothing. */
static enum phx_vsn vsn_of(struct http_view query)
{
    const char *at = query.data, *end = query.data != NULL ? query.data + query.len : NULL;
    while (at != NULL && at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        const size_t len = (size_t)((stop != NULL ? stop : end) - at);
        if (len >= 4 && memcmp(at, "vsn=", 4) == 0) {
            if (len > 8 && memcmp(at + 4, "1.0.", 4) == 0)
                return PHX_V1;
            if (len > 8 && memcmp(at + 4, "2.0.", 4) == 0)
                return PHX_V2;
            return (enum phx_vsn)0;
        }
        at = stop != NULL ? stop + 1 : NULL;
    }
    return PHX_V1;
}

static void *open_speaker(struct session *s, const struct protocol_hello *h)
{
    struct phoenix *p;
    const enum phx_vsn vsn = vsn_of(h->query);
    if (vsn == (enum phx_vsn)0)
        return NULL;
    OBJ_NEW(p, PHOENIX_MAGIC);
    p->session = s;
    p->vsn = vsn;
    p->due_ms = INT64_MAX;
    p->journal.barrier_ms = INT64_MAX;
    list_init(&p->channels);
    list_init(&p->left);
    ahead_init(&p->ahead);
    list_init(&p->journal.sent);
    p->by_topic = map_create();
    for (size_t i = 0; i < sizeof p->key; i += sizeof(uint64_t)) {
        const uint64_t random = session_random(s);
        memcpy(p->key + i, &random, sizeof random);
    }
    p->own_bytes = (uint8_t)snprintf(p->own, sizeof p->own, "g%016" PRIx64 ".", session_random(s));
    return p;
}

static void close_speaker(void *arg)
{
    struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    phoenix_journal_fini(p);
    ahead_drop(&p->ahead);
    phoenix_feeds_end(p);
    phoenix_heard_fini(p);
    list_splice(&p->channels, &p->left);
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = LIST_ENTRY(it, struct phx_channel, link);
        phx_channel_destroy(&c);
    }
    map_destroy(&p->by_topic);
    OBJ_FREE(&p, PHOENIX_MAGIC);
}

/* ---- what an operator sees ---- */

static const char *state_text(const struct phx_channel *c)
{
    if (c->life == PHX_LEAVING)
        return "leaving";
    if (c->life == PHX_JOINING)
        return "joining";
    return c->on[PHX_HERE].state == PHX_THERE || c->on[PHX_NEXT].state == PHX_THERE ? "joined" : "rejoining";
}

static void describe(const void *arg, struct strbuf *out)
{
    const struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    const char *comma = "";
    strbuf_printf(out, ",\"vsn\":\"%d.0.0\",\"channels\":[", (int)p->vsn);
    LIST_EACH (it, &p->channels) {
        const struct phx_channel *c = LIST_ENTRY(it, struct phx_channel, link);
        strbuf_printf(out, "%s{\"topic\":", comma);
        strbuf_json_string(out, c->topic, c->topic_bytes);
        strbuf_printf(out, ",\"state\":\"%s\",\"private\":%s,\"presence\":%s,\"pending\":%u,\"held\":%s}",
                      state_text(c), c->is_private ? "true" : "false", c->track.data != NULL ? "true" : "false",
                      c->pending_count, session_first_held(p->session, c->lane) != NULL ? "true" : "false");
        comma = ",";
    }
    strbuf_puts(out, "]");
}

const struct protocol protocol_phoenix = {
    .name = "phoenix",
    .open = open_speaker,
    .close = close_speaker,
    .on_client = phoenix_on_client,
    .on_server = phoenix_on_server,
    .wants_server = wants_server,
    .restore_cost = restore_cost,
    .restore = phoenix_restore,
    .on_lost = phoenix_on_lost,
    .on_moving = phoenix_on_moving,
    .on_moved = phoenix_on_moved,
    .beat = beat,
    .due_ms = due_ms,
    .on_timer = on_timer,
    .on_unsent = phoenix_on_unsent,
    .give_up = give_up,
    .describe = describe,
};
