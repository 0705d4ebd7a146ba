/* Servers change places: the one of now is lost, or the next one of a move; a move is complete, or becomes the rescue.
 *
 * What was said on a server is forgotten with it. The hard part is what only one of two had: what the client was told
 * in the name of a server that is gone before the move to it was complete. */
#include "base/assert.h"
#include "gateway/realtime/phoenix_priv.h"
#include "gateway/ws/close.h"

static struct phx_channel *channel_of(struct list *link)
{
    return LIST_ENTRY(link, struct phx_channel, link);
}

static void forget_place(struct phoenix *p, enum phx_place place)
{
    p->epoch[place] = 0;
    if (place == PHX_NEXT)
        p->ready_by_ms = 0;
    p->is_restoring[place] = false;
    p->beat_number[place] = 0;
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        c->on[place] = (struct phx_there){0};
        if (c->ids[place] != NULL)
            phx_ids_destroy(&c->ids[place]);
    }
}

/* What was next is here. */
static void shift_places(struct phoenix *p)
{
    p->epoch[PHX_HERE] = p->epoch[PHX_NEXT];
    p->beat_number[PHX_HERE] = p->beat_number[PHX_NEXT];
    p->is_restoring[PHX_HERE] = p->is_restoring[PHX_NEXT];
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        if (c->ids[PHX_HERE] != NULL)
            phx_ids_destroy(&c->ids[PHX_HERE]);
        c->ids[PHX_HERE] = c->ids[PHX_NEXT];
        c->ids[PHX_NEXT] = NULL;
        c->on[PHX_HERE] = c->on[PHX_NEXT];
    }
    forget_place(p, PHX_NEXT);
}

static void finish_leaving(struct phoenix *p)
{
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        if (c->life != PHX_LEAVING)
            continue;
        for (uint8_t i = 0; i < c->pending_count; i++)
            if (c->pending[i].push == PHX_PUSH_LEAVE)
                phoenix_tell_left(p, c, (struct phx_text){c->pending[i].ref, c->pending[i].ref_bytes});
        phoenix_forget(p, &c);
    }
}

/* Servers have changed places: what still does not flow was missed since then. */
static void expect_changes(struct phoenix *p)
{
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        if (!c->on[PHX_HERE].awaits_changes)
            continue;
        if (c->lost_ms == 0)
            c->lost_ms = session_now_ms(p->session);
        phoenix_expect_notice(p, c);
    }
}

static void stop_switching(struct phoenix *p)
{
    p->is_switching = false;
    p->switch_number = 0;
}

static void lost_next(struct phoenix *p)
{
    const bool is_served = phoenix_leg(p, PHX_HERE) != NULL && !p->is_restoring[PHX_HERE];
    forget_place(p, PHX_NEXT);
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        if (!is_served || c->on[PHX_HERE].state == PHX_THERE || c->on[PHX_HERE].is_own)
            continue;
        if (c->life == PHX_JOINED)
            phoenix_fail_channel(p, &c); /* only the next one had it */
        else
            phx_channel_keep(&c->answer, (struct phx_text){0});
    }
    phoenix_all_back(p);
    phoenix_wake_at(p, session_now_ms(p->session));
}

void phoenix_on_lost(void *arg, struct leg *l)
{
    struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    const enum phx_place place = phoenix_place(p, l);
    if (place >= PHX_PLACES)
        return;
    stop_switching(p);
    if (place == PHX_NEXT)
        ahead_drop(&p->ahead);
    phoenix_feeds_end(p);
    if (place == PHX_NEXT) {
        lost_next(p);
        return;
    }
    phoenix_heard_expect(p);
    const bool is_rescued = session_next_leg(p->session) != NULL && p->epoch[PHX_NEXT] != 0; /* by a move */
    finish_leaving(p);
    phoenix_suspect(p, l, p->failed_epoch != leg_epoch(l) && p->leaving_epoch != leg_epoch(l));
    if (leg_close_code(l) == WS_CLOSE_TOO_BIG)
        phoenix_suspect_longest(p);
    forget_place(p, PHX_HERE);
    p->epoch[PHX_BEFORE] = 0;
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        if (!is_rescued || c->on[PHX_NEXT].state == PHX_ABSENT)
            phx_channel_keep(&c->answer, (struct phx_text){0});
        phx_channel_keep(&c->trouble, (struct phx_text){0});
        if (c->notice_by_ms == 0 || c->lost_ms == 0)
            c->lost_ms = session_lost_since_ms(p->session);
        c->notice_by_ms = c->fail_by_ms = 0;
        phoenix_settle(p, c);
    }
    phoenix_journal_fini(p);
    phoenix_drop_poisonous(p);
    if (is_rescued) {
        shift_places(p);
        p->is_restoring[PHX_HERE] = true;
        expect_changes(p);
    }
    phoenix_wake_at(p, session_now_ms(p->session));
}

void phoenix_on_moved(void *arg, struct leg *old)
{
    struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    stop_switching(p);
    p->epoch[PHX_BEFORE] = leg_epoch(old);
    finish_leaving(p);
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        c->was_before = c->on[PHX_HERE].state == PHX_THERE;
    }
    shift_places(p);
    expect_changes(p);
    phoenix_feeds_moved(p);
    p->journal.barrier_number = 0;
    p->journal.barrier_ms = p->journal.count > 0 ? session_now_ms(p->session) : INT64_MAX;
    phoenix_wake_at(p, p->journal.barrier_ms);
    phoenix_all_back(p);
}
