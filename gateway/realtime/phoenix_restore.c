/* Another server. After a loss everything that was joined is joined there again, a few joins at a time, first the
 * channels for which messages wait; each goes on as soon as its own join is answered. In a planned move the same
 * happens on the next server while the one before serves. Only when all channels are there, and the changes they listen
 * to flow (which is later, and nobody could tell what was missed), and the next server has heard what was pushed before
 * it was asked, pushes wait until the old server has answered a heartbeat, which proves that it has handed on all that
 * came before, and the next one has brought back what the client pushed last, which proves that others hear it before
 * what comes then; then they go to the new one.
 *
 * The client's join_ref stays, so nothing but the gateway's own answers differs from what it would see anyway. */
#include "base/assert.h"
#include "gateway/realtime/phoenix_priv.h"

#define JOINS_MAX 8u /* under way to one server, which takes them one after the other */
#define JOIN_SILENCE_MS                                                                                                \
    15000 /* while joins are under way the server may be silent: a failing one takes it 5 s, a database that wakes up  \
             more */
#define JOIN_WAIT_MS     6000  /* a planned move waits no longer for an old server that joins something else */
#define SWITCH_MS        2000  /* pushes wait no longer for the old server's last answer */
#define ECHO_MS          500   /* by then the next server has heard of what was pushed to the old one, or never will */
#define READY_MS         15000 /* changes flow by then after a join, or will not soon */
#define MOVE_READY_MS    8000  /* a planned move does not wait longer for that: the old server has its own plans */
#define REPLAY_MARGIN_MS 5000  /* clocks differ; what comes twice is known by its id */
#define REFUSED_MAX      3u
#define REJOIN_ONCE_MS   10000 /* a channel that its server drops again so soon is the client's business */

static struct phx_channel *channel_of(struct list *link)
{
    return LIST_ENTRY(link, struct phx_channel, link);
}

static bool has_held(struct phoenix *p, const struct phx_channel *c)
{
    return session_has_held(p->session) && session_first_held(p->session, c->lane) != NULL;
}

/* ---- joins ---- */

static void write_join(const struct phx_channel *c, struct strbuf *out, enum phx_replay replay)
{
    const struct phx_join_changes changes = {
        .token = c->token,
        .presence_key = c->has_random_key ? phx_text_of(c->key) : (struct phx_text){0},
        .replay = replay,
        .replay_since_ms = c->stored_ms - REPLAY_MARGIN_MS,
    };
    strbuf_init(out, 4 * PHX_KEPT_BYTES);
    if (!phx_join_rewrite(out, c->join, &changes))
        strbuf_add(out, c->join.data, c->join.len);
}

static enum phx_replay replay_of(const struct phx_channel *c)
{
    if (!phx_channel_is_answered(c))
        return PHX_REPLAY_KEEP; /* it has got nothing yet */
    if (c->is_private && c->stored_ms != 0)
        return PHX_REPLAY_SINCE;
    return c->wants_replay ? PHX_REPLAY_REMOVE : PHX_REPLAY_KEEP;
}

static void join_again(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *to)
{
    struct strbuf payload;
    const bool is_own = c->life != PHX_JOINING || place == PHX_NEXT;
    struct phx_there *on = &c->on[place];
    write_join(c, &payload, replay_of(c));
    const struct phx_text text = {payload.data, payload.len};
    if (place == PHX_NEXT) {
        phoenix_feeds_begin(p);
        c->early_ms = c->pushed_ms;
    }
    *on = (struct phx_there){.state = PHX_ASKED, .is_own = is_own, .is_again = true};
    leg_allow_silence(to, JOIN_SILENCE_MS);
    session_count(p->session, STAT_ROUTE_SESSION_RESTORES, 1);
    if (on->is_own)
        on->join_number = phoenix_ask(p, to, c, "phx_join", text);
    else
        phoenix_ask_as_client(p, to, c, phx_text_of(c->ref), "phx_join", text);
    strbuf_fini(&payload);
}

enum sift_verdict phoenix_send_join(struct phoenix *p, struct phx_channel *c, struct leg *to)
{
    struct strbuf payload;
    c->on[PHX_HERE] = (struct phx_there){.state = PHX_ASKED};
    leg_allow_silence(to, JOIN_SILENCE_MS);
    if (!c->has_random_key)
        return SIFT_PASS;
    write_join(c, &payload, PHX_REPLAY_KEEP);
    phoenix_ask_as_client(p, to, c, phx_text_of(c->ref), "phx_join", (struct phx_text){payload.data, payload.len});
    strbuf_fini(&payload);
    return SIFT_DROP;
}

void phoenix_leave_quietly(struct phoenix *p, const struct phx_channel *c)
{
    for (unsigned i = 0; i < PHX_PLACES; i++) {
        struct leg *l = phoenix_leg(p, (enum phx_place)i);
        if (l != NULL && c->on[i].state != PHX_ABSENT)
            (void)phoenix_ask(p, l, c, "phx_leave", (struct phx_text){0});
    }
}

/* ---- all of them ---- */

/* The server of now has said that it is about to go, and joins nothing any more. */
static bool is_here_leaving(const struct phoenix *p)
{
    return p->leaving_epoch != 0 && p->leaving_epoch == p->epoch[PHX_HERE];
}

static bool may_join(const struct phoenix *p, const struct phx_channel *c, enum phx_place place)
{
    if (c->on[place].state != PHX_ABSENT || c->life == PHX_LEAVING)
        return false;
    return place == PHX_HERE || c->on[PHX_HERE].state == PHX_THERE || is_here_leaving(p);
}

/* Whether joins are under way to a server, which reads nothing else until it has answered them. */
static bool is_joining(const struct phoenix *p, enum phx_place place)
{
    LIST_EACH (it, &p->channels) {
        if (channel_of(it)->on[place].state == PHX_ASKED)
            return true;
    }
    return false;
}

static uint32_t count_asked(struct phoenix *p, enum phx_place place)
{
    uint32_t count = 0;
    LIST_EACH (it, &p->channels) {
        const struct phx_channel *c = channel_of(it);
        const struct phx_there *on = &c->on[place];
        if (on->state == PHX_ASKED)
            count += on->is_own || p->is_careful;
        else
            count += p->is_careful && phoenix_is_track_awaited(p, c, place);
    }
    return count;
}

/* Asking with a token that has expired would cost the server's displeasure: it is silent for seconds, for all. */
static bool is_expired(const struct phoenix *p, const struct phx_channel *c)
{
    return c->life != PHX_JOINING && c->expires_ms != 0 && c->expires_ms <= session_wall_ms(p->session);
}

void phoenix_rejoin(struct phoenix *p, struct phx_channel **cp)
{
    struct phx_channel *c = *cp;
    struct leg *l = phoenix_leg(p, PHX_HERE);
    const int64_t now_ms = session_now_ms(p->session);
    const bool is_again = c->rejoined_ms != 0 && now_ms - c->rejoined_ms < REJOIN_ONCE_MS;
    c->on[PHX_HERE] = (struct phx_there){0};
    if (is_again || c->join.data == NULL || is_expired(p, c)) {
        phoenix_fail_channel(p, cp);
        return;
    }
    c->lost_ms = c->rejoined_ms = now_ms;
    phoenix_settle(p, c);
    if (l != NULL)
        join_again(p, c, PHX_HERE, l);
}

static void join_some(struct phoenix *p, enum phx_place place, struct leg *to, bool is_urgent_only)
{
    uint32_t asked_count = count_asked(p, place);
    const uint32_t most = p->is_careful ? 1 : JOINS_MAX;
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        if (asked_count >= most)
            return;
        if (!may_join(p, c, place) || (is_urgent_only && !has_held(p, c)))
            continue;
        if (is_expired(p, c) || c->join.data == NULL) {
            phoenix_fail_channel(p, &c);
            continue;
        }
        join_again(p, c, place, to);
        asked_count += c->on[place].is_own || p->is_careful;
    }
}

void phoenix_join_answered(struct phoenix *p, enum phx_place place, struct leg *l)
{
    if (place == PHX_HERE) {
        p->unblocked_ms = session_now_ms(p->session);
        if (p->is_restoring[PHX_NEXT]) /* which waited for that */
            phoenix_wake_at(p, p->unblocked_ms);
    }
    leg_allow_silence(l, is_joining(p, place) ? JOIN_SILENCE_MS : 0);
}

/* When the next server has heard what was pushed to the old one at that time, or never will. */
static int64_t heard_ms(const struct phoenix *p, int64_t pushed_ms)
{
    return (pushed_ms > p->unblocked_ms ? pushed_ms : p->unblocked_ms) + ECHO_MS;
}

/* What the next server has heard does not become unheard when the old one joins something more. */
static void forget_heard(struct phoenix *p)
{
    const int64_t now_ms = session_now_ms(p->session);
    if (is_joining(p, PHX_HERE))
        return;
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        if (c->early_ms != 0 && heard_ms(p, c->early_ms) <= now_ms)
            c->early_ms = 0;
    }
}

/* From when on a channel on the next server is as good as on the one before; INT64_MAX: not yet. */
static int64_t good_ms(const struct phoenix *p, const struct phx_channel *c)
{
    const struct phx_there *on = &c->on[PHX_NEXT];
    if (on->state != PHX_THERE)
        return INT64_MAX;
    const int64_t settled_ms = c->early_ms != 0 ? heard_ms(p, c->early_ms) : 0;
    return on->awaits_changes && p->ready_by_ms > settled_ms ? p->ready_by_ms : settled_ms;
}

/* From when on all channels are there; INT64_MAX: not yet. */
static int64_t all_there_ms(const struct phoenix *p, enum phx_place place)
{
    /* What was pushed to the old one while it joins, nobody has heard. */
    int64_t from_ms = place == PHX_NEXT && is_joining(p, PHX_HERE) ? p->move_ms + JOIN_WAIT_MS : 0;
    LIST_EACH (it, &p->channels) {
        const struct phx_channel *c = channel_of(it);
        const struct phx_there *on = &c->on[place];
        if (c->life == PHX_LEAVING)
            continue;
        if (place == PHX_HERE && (on->state == PHX_ABSENT || (on->state == PHX_ASKED && on->is_own)))
            return INT64_MAX;
        if (place == PHX_NEXT && good_ms(p, c) > from_ms)
            from_ms = good_ms(p, c);
    }
    return from_ms;
}

static bool is_all_there(const struct phoenix *p, enum phx_place place)
{
    return all_there_ms(p, place) <= session_now_ms(p->session);
}

void phoenix_be_back(struct phoenix *p, struct phx_channel *c)
{
    struct leg *here = phoenix_leg(p, PHX_HERE);
    if (here == NULL || c->on[PHX_HERE].state != PHX_THERE)
        return;
    if (c->on[PHX_HERE].track_number == 0)
        phoenix_answer_presence(p, c);
    phoenix_tell_dropped(p, c);
    if (!p->is_switching && has_held(p, c)) /* else it is for the next server */
        phoenix_flush(p, c, here);
}

void phoenix_all_back(struct phoenix *p)
{
    LIST_EACH (it, &p->channels) {
        phoenix_be_back(p, channel_of(it));
    }
}

static void finish_switch(struct phoenix *p)
{
    struct leg *next = phoenix_leg(p, PHX_NEXT);
    p->switch_number = 0;
    if (!p->is_switching)
        return;
    if (next != NULL && is_all_there(p, PHX_NEXT)) {
        p->is_restoring[PHX_NEXT] = false;
        leg_restored(next); /* on_moved() follows at once */
        return;
    }
    p->is_switching = false; /* a channel has come or gone meanwhile */
    phoenix_all_back(p);
    phoenix_go_on(p, PHX_NEXT);
}

static void begin_switch(struct phoenix *p)
{
    struct leg *here = phoenix_leg(p, PHX_HERE);
    if (p->is_switching || here == NULL)
        return;
    p->is_switching = true;
    if (p->channel_count == 0) {
        finish_switch(p);
        return;
    }
    p->switch_by_ms = session_now_ms(p->session) + SWITCH_MS;
    p->switch_number = phoenix_ask_beat(p, here);
    phoenix_wake_at(p, p->switch_by_ms);
}

/* Until when the next server may bring back what the client has pushed; 0: it has. */
static int64_t echo_by_ms(const struct phoenix *p)
{
    int64_t by_ms = 0;
    LIST_EACH (it, &p->channels) {
        const struct phx_channel *c = channel_of(it);
        if (c->echo != 0 && heard_ms(p, c->pushed_ms) > by_ms)
            by_ms = heard_ms(p, c->pushed_ms);
    }
    return by_ms;
}

static void on_last_word(struct phoenix *p)
{
    p->switch_number = 0;
    p->switch_by_ms = echo_by_ms(p);
    if (p->switch_by_ms <= session_now_ms(p->session))
        finish_switch(p);
    else
        phoenix_wake_at(p, p->switch_by_ms);
}

void phoenix_on_time_switch(struct phoenix *p, int64_t now_ms)
{
    if (!p->is_switching)
        phoenix_go_on(p, PHX_NEXT);
    else if (now_ms >= p->switch_by_ms || (p->switch_number == 0 && now_ms >= echo_by_ms(p)))
        finish_switch(p);
    else
        phoenix_wake_at(p, p->switch_by_ms);
}

void phoenix_go_on(struct phoenix *p, enum phx_place place)
{
    struct leg *to = phoenix_leg(p, place);
    if (to == NULL || !p->is_restoring[place])
        return;
    join_some(p, place, to, true);
    join_some(p, place, to, false);
    if (place == PHX_HERE)
        phoenix_all_back(p);
    else
        forget_heard(p);
    const int64_t there_ms = all_there_ms(p, place);
    if (there_ms > session_now_ms(p->session)) {
        if (there_ms != INT64_MAX)
            phoenix_wake_at(p, there_ms);
        return;
    }
    if (place == PHX_NEXT) {
        begin_switch(p);
        return;
    }
    p->is_restoring[PHX_HERE] = p->is_careful = false;
    leg_restored(to);
}

void phoenix_restore(void *arg, struct leg *to)
{
    struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    const enum phx_place place = session_next_leg(p->session) == to ? PHX_NEXT : PHX_HERE;
    p->epoch[place] = leg_epoch(to);
    p->beat_number[place] = 0;
    p->is_restoring[place] = true;
    if (place == PHX_NEXT)
        p->move_ms = session_now_ms(p->session);
    LIST_EACH (it, &p->channels) {
        channel_of(it)->on[place] = (struct phx_there){0};
    }
    phoenix_go_on(p, place);
}

/* ---- answers ---- */

static void take_changes(struct phoenix *p, struct phx_channel **cp, enum phx_place place, struct phx_text changes)
{
    struct phx_channel *c = *cp;
    struct phx_ids *ids = NULL;
    const enum phx_changes same = phx_changes_compare(c->changes, changes, &ids);
    if (c->ids[place] != NULL)
        phx_ids_destroy(&c->ids[place]);
    c->ids[place] = ids;
    if (same == PHX_CHANGES_DIFFER)
        phoenix_fail_channel(p, cp); /* only a join of its own can tell it */
}

/* What may have been missed is told when changes flow again. */
void phoenix_expect_notice(struct phoenix *p, struct phx_channel *c)
{
    const int64_t now_ms = session_now_ms(p->session);
    if (c->life != PHX_JOINED)
        return;
    c->notice_by_ms = c->on[PHX_HERE].awaits_changes ? now_ms + READY_MS : now_ms;
    phoenix_wake_at(p, c->notice_by_ms);
}

static void be_joined(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from,
                      struct phx_text changes)
{
    c->on[place].state = PHX_THERE;
    c->refused_count = c->loss_count = 0;
    if (c->has_changes)
        take_changes(p, &c, place, changes);
    if (c == NULL)
        return;
    c->is_stored_swallowed = true;
    if (c->track.data != NULL)
        phoenix_ask_presence(p, c, place, from, c->track);
    c->on[place].awaits_changes = c->has_changes;
    if (place == PHX_NEXT) {
        if (c->has_changes)
            p->ready_by_ms = session_now_ms(p->session) + MOVE_READY_MS;
        return;
    }
    phoenix_be_back(p, c);
    phoenix_expect_notice(p, c);
}

static void be_refused(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from,
                       struct phx_text reason)
{
    const enum phx_refusal refusal = phx_refusal_of(reason);
    const bool is_elsewhere = refusal == PHX_REFUSED_HERE || refusal == PHX_REFUSED_RESTARTING;
    const bool may_pass = is_elsewhere || refusal == PHX_REFUSED_FOR_MOMENT;
    session_count(p->session, STAT_ROUTE_SESSION_RESTORES_FAILED, 1);
    c->on[place] = (struct phx_there){0};
    if (may_pass && (place == PHX_NEXT || ++c->refused_count < REFUSED_MAX)) {
        p->failed_epoch = leg_epoch(from);
        leg_fail(from, is_elsewhere ? LEG_ANOTHER : LEG_BUSY, "join refused");
        return;
    }
    if (refusal == PHX_REFUSED && reason.len > 0)
        phoenix_tell_system(p, c, "error", reason);
    phoenix_fail_channel(p, &c);
}

static struct phx_reply reply_of(const struct phx_frame *f)
{
    struct phx_reply r = {.is_ok = phx_text_is(f->status, "ok")};
    if (f->kind == PHX_JSON && !phx_reply_read(&r, f->payload))
        r = (struct phx_reply){0};
    return r;
}

static void on_join_reply(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from,
                          const struct phx_frame *f)
{
    const struct phx_reply r = reply_of(f);
    if (c->life == PHX_JOINING && !phx_channel_is_answered(c))
        phoenix_on_clients_answer(p, c, place, from, f);
    else if (r.is_ok)
        be_joined(p, c, place, from, r.changes);
    else
        be_refused(p, c, place, from, r.reason);
    phoenix_join_answered(p, place, from);
    phoenix_go_on(p, place);
}

void phoenix_on_late_answer(struct phoenix *p, struct phx_channel *c, struct leg *from, const struct phx_frame *f)
{
    c->on[PHX_HERE] = (struct phx_there){0}; /* what is about to go is not waited for, nor joined there after all */
    if (reply_of(f).is_ok)
        (void)phoenix_ask(p, from, c, "phx_leave", (struct phx_text){0});
    phoenix_join_answered(p, PHX_HERE, from);
}

/* Others live on that server, and go on there until the next one has everything. Who is restored there has nothing to
 * lose, and the next server of a move can just be another one. */
void phoenix_join_elsewhere(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from)
{
    c->on[place] = (struct phx_there){0};
    if (place == PHX_NEXT || p->is_restoring[PHX_HERE]) {
        p->failed_epoch = leg_epoch(from);
        leg_fail(from, LEG_ANOTHER, "server is restarting");
        return;
    }
    p->leaving_epoch = leg_epoch(from);
    phoenix_wake_at(p, c->asked_ms + session_conf(p->session)->answer_ms);
    session_ask_move(p->session);
    phoenix_go_on(p, PHX_NEXT);
}

static void on_beat_reply(struct phoenix *p, struct leg *from, enum phx_place place, uint32_t number)
{
    if (place < PHX_PLACES && p->beat_number[place] == number) {
        p->beat_number[place] = 0;
        leg_beat_answered(from);
    }
    if (p->journal.barrier_number == number)
        phoenix_barrier_passed(p);
    if (p->switch_number == number)
        on_last_word(p);
}

void phoenix_on_own_reply(struct phoenix *p, struct leg *from, enum phx_place place, uint32_t number,
                          const struct phx_frame *f)
{
    struct phx_channel *c = phoenix_channel(p, f->topic);
    if (phx_text_is(f->topic, "phoenix")) {
        on_beat_reply(p, from, place, number);
        return;
    }
    if (c == NULL || place >= PHX_PLACES)
        return;
    struct phx_there *on = &c->on[place];
    if (on->state == PHX_ASKED && on->is_own && on->join_number == number) {
        on_join_reply(p, c, place, from, f);
    } else if (on->track_number == number) {
        on->track_number = 0;
        if (place == PHX_HERE)
            phoenix_answer_presence(p, c);
        if (p->is_careful)
            phoenix_go_on(p, place);
    }
}
