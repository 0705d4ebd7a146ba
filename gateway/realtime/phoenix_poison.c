/* What may kill servers, as far as the gateway asks it again and again: joins, and what channels track. A join is
 * blamed when servers are lost before they have answered it, a track the same, and neither goes to a third.
 *
 * Which of those that were under way has done it is not known. So the next server is asked for one after the other, a
 * channel's track directly behind its join, so that only one thing is under way. A server that has survived a track
 * clears it: it has answered, or has lived on for long, for other applications may not answer. */
#include "base/assert.h"
#include "gateway/realtime/phoenix_priv.h"

#define LOSSES_MAX 2u   /* servers lost while they were asked for the same; a third is not */
#define TRACK_MS   5000 /* a track has done by then what it does */

static struct phx_channel *channel_of(struct list *link)
{
    return LIST_ENTRY(link, struct phx_channel, link);
}

void phoenix_ask_presence(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *to,
                          struct phx_text payload)
{
    c->on[place].track_number = phoenix_ask(p, to, c, "presence", payload);
    c->on[place].track_ms = session_now_ms(p->session);
}

bool phoenix_is_track_awaited(struct phoenix *p, const struct phx_channel *c, enum phx_place place)
{
    const struct phx_there *on = &c->on[place];
    if (place != PHX_HERE || c->track.data == NULL || on->track_number == 0)
        return false;
    if (session_now_ms(p->session) >= on->track_ms + TRACK_MS)
        return false;
    phoenix_wake_at(p, on->track_ms + TRACK_MS);
    return true;
}

/* The gateway's, or the client's own. */
static bool is_track_under_way(const struct phx_channel *c, int64_t at_ms)
{
    const struct phx_there *here = &c->on[PHX_HERE];
    if (here->track_number != 0 && at_ms < here->track_ms + TRACK_MS)
        return true;
    for (uint8_t i = 0; i < c->pending_count; i++)
        if (c->pending[i].push == PHX_PUSH_PRESENCE && at_ms < c->pending[i].since_ms + TRACK_MS)
            return true;
    return false;
}

static void suspect_track(struct phoenix *p, struct phx_channel *c, const struct leg *l, bool is_killed)
{
    if (c->track.data == NULL)
        return;
    if (!is_track_under_way(c, leg_heard_ms(l))) {
        if (c->on[PHX_HERE].state == PHX_THERE)
            c->track_loss_count = 0;
        return;
    }
    if (is_killed) {
        c->track_loss_count++;
        p->is_careful = true;
    }
}

void phoenix_suspect(struct phoenix *p, const struct leg *l, bool is_killed)
{
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        suspect_track(p, c, l, is_killed);
        if (c->on[PHX_HERE].state != PHX_ASKED || !is_killed)
            continue;
        c->loss_count++;
        p->is_careful = true;
    }
}

/* The channel stays. Who does not wait for the answer was told once that it is present, and hears that it is not. */
static void drop_track(struct phoenix *p, struct phx_channel *c)
{
    c->track_loss_count = 0;
    phx_channel_keep(&c->track, (struct phx_text){0});
    session_count(p->session, STAT_ROUTE_SESSION_POISONED, 1);
    if (!phoenix_refuse_presence(p, c, "gateway: dropped, servers were lost after it"))
        phoenix_tell_system(p, c, "error", phx_text_of("\"presence was dropped, servers were lost after it\""));
}

void phoenix_drop_poisonous(struct phoenix *p)
{
    LIST_EACH (it, &p->channels) {
        struct phx_channel *c = channel_of(it);
        /* The next server of a planned move, which takes over now, may have it already, and lives. */
        if (c->track_loss_count >= LOSSES_MAX && c->on[PHX_NEXT].state != PHX_THERE)
            drop_track(p, c);
        if (c->loss_count < LOSSES_MAX)
            continue;
        session_count(p->session, STAT_ROUTE_SESSION_POISONED, 1);
        phoenix_give_up_channel(p, &c, "gateway: dropped, servers were lost after it");
    }
}
