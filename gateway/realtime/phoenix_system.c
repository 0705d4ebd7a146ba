/* What servers say about a channel: system messages, closes, errors.
 *
 * Clients never come back from a phx_close, and rejoin after a phx_error. Servers close channels for reasons that a new
 * join would mend: a token that has expired, too many messages. They say so in a system message just before, so that is
 * remembered for a moment, and the close becomes an error. A close or an error for no reason is the server's own
 * trouble, and is mended here. */
#include <stdio.h>

#include "base/log_line.h"
#include "gateway/realtime/phoenix_priv.h"

#define CLOSING_MS    1000 /* a close follows the system message that says why at once */
#define ANSWERS_MS    2000 /* an error that is only to make a client join again waits for answers so long */
#define LOOK_AGAIN_MS 20
#define TROUBLE_MS    10000 /* servers try by themselves again to listen to changes */

/* ---- the channel's end, for the client ---- */

void phoenix_fail_channel(struct phoenix *p, struct phx_channel **cp)
{
    const bool is_there = phoenix_leg(p, PHX_HERE) != NULL && (*cp)->on[PHX_HERE].state == PHX_THERE;
    phoenix_leave_quietly(p, *cp);
    if (!is_there) /* else the server answers what was pushed before it hears of the leave */
        phoenix_settle(p, *cp);
    phoenix_drop_waiting(p, *cp, "gateway: the channel failed");
    if (is_there)
        phoenix_answer_presence(p, *cp);
    else
        (void)phoenix_refuse_presence(p, *cp, "gateway: the channel is gone");
    phoenix_tell_dropped(p, *cp);
    phoenix_tell_end(p, *cp, "phx_error");
    phoenix_forget(p, cp);
}

/* What waited has just been sent; its answers go before the error, as far as they come soon. */
static bool is_answer_near(struct phoenix *p, struct phx_channel *c)
{
    const int64_t now_ms = session_now_ms(p->session);
    if (c->fail_by_ms == 0)
        c->fail_by_ms = now_ms + ANSWERS_MS;
    if (c->pending_count == 0 || now_ms >= c->fail_by_ms)
        return false;
    c->notice_by_ms = now_ms + LOOK_AGAIN_MS;
    phoenix_wake_at(p, c->notice_by_ms);
    return true;
}

void phoenix_tell_gap(struct phoenix *p, struct phx_channel **cp)
{
    struct phx_channel *c = *cp;
    const enum conf_gap gap = session_conf(p->session)->gap;
    const int64_t wall_ms = session_wall_ms(p->session);
    char from[LOG_TIME_BYTES], to[LOG_TIME_BYTES], message[64 + 2 * LOG_TIME_BYTES];
    const int64_t lost_ms = c->lost_ms;
    if (gap == GAP_REJOIN && is_answer_near(p, c))
        return;
    c->notice_by_ms = c->lost_ms = 0;
    if (gap == GAP_SILENT)
        return;
    session_count(p->session, STAT_ROUTE_SESSION_GAPS, 1);
    if (gap == GAP_REJOIN) {
        phoenix_fail_channel(p, cp);
        return;
    }
    const int len =
        snprintf(message, sizeof message, "\"resumed; messages between %s and %s may be missing\"",
                 log_time_text(wall_ms - (session_now_ms(p->session) - lost_ms), from), log_time_text(wall_ms, to));
    phoenix_tell_system(p, c, "ok", (struct phx_text){message, (size_t)len});
}

/* ---- system messages ---- */

/* It is news for the client the first time, and when it comes of its own accord, after a new token for instance. */
static enum sift_verdict on_ready(struct phoenix *p, struct phx_channel *c, enum phx_place place)
{
    const bool is_awaited = c->on[place].awaits_changes;
    const bool is_news = phoenix_is_home(c, place) ? !is_awaited || !c->is_ready_told : is_awaited && !c->is_ready_told;
    c->on[place].awaits_changes = false;
    c->is_ready_told = true;
    if (c->answer.data != NULL && phoenix_is_home(c, place))
        phoenix_answer_join(p, c);
    if (place == PHX_NEXT) {
        phoenix_go_on(p, PHX_NEXT);
        return is_news ? SIFT_PASS : SIFT_DROP;
    }
    phx_channel_keep(&c->trouble, (struct phx_text){0});
    if (is_awaited && c->notice_by_ms != 0)
        phoenix_tell_gap(p, &c);
    return is_news ? SIFT_PASS : SIFT_DROP;
}

static enum sift_verdict on_stored_ready(struct phx_channel *c)
{
    const bool is_swallowed = c->is_stored_swallowed;
    c->is_stored_swallowed = false;
    return is_swallowed ? SIFT_DROP : SIFT_PASS;
}

static enum sift_verdict on_trouble(struct phoenix *p, struct phx_channel *c, const struct ws_message *m)
{
    if (!c->on[PHX_HERE].awaits_changes || m->opcode != WS_OPCODE_TEXT)
        return SIFT_PASS;
    phx_channel_keep(&c->trouble, (struct phx_text){(const char *)m->payload, m->len});
    c->trouble_by_ms = session_now_ms(p->session) + TROUBLE_MS;
    phoenix_wake_at(p, c->trouble_by_ms);
    return SIFT_DROP;
}

enum sift_verdict phoenix_on_system(struct phoenix *p, struct phx_channel *c, enum phx_place place,
                                    const struct phx_frame *f, const struct ws_message *m)
{
    const enum phx_system kind = phx_system_of(f->payload);
    if (place < PHX_PLACES && c != NULL && kind == PHX_SYSTEM_CHANGES_READY)
        return on_ready(p, c, place);
    if (kind == PHX_SYSTEM_LEAVING || (place != PHX_HERE && (c == NULL || !phoenix_is_home(c, place))))
        return SIFT_DROP;
    if (c == NULL)
        return SIFT_PASS;
    switch (kind) {
    case PHX_SYSTEM_REPLICATION_READY:
        return on_stored_ready(c);
    case PHX_SYSTEM_CHANGES_FAILED:
        return on_trouble(p, c, m);
    case PHX_SYSTEM_TOKEN:
    case PHX_SYSTEM_RATE:
    case PHX_SYSTEM_FORBIDDEN:
        c->closing_kind = (uint8_t)kind;
        c->closing_ms = session_now_ms(p->session);
        return SIFT_PASS;
    case PHX_SYSTEM_CHANGES_READY:
    case PHX_SYSTEM_LEAVING:
    case PHX_SYSTEM_FAILED:
    case PHX_SYSTEM_OTHER:
        break;
    }
    return SIFT_PASS;
}

/* ---- closes and errors ---- */

/* Whether it is about the channel as it is now. With vsn 1.0.0 its join is told by the reference. */
static bool is_current(const struct phoenix *p, const struct phx_channel *c, const struct phx_frame *f)
{
    const struct phx_text about = p->vsn == PHX_V1 ? f->ref : f->join_ref;
    return phx_ref_is_null(about) || phx_ref_equal(about, phx_text_of(c->join_ref));
}

enum sift_verdict phoenix_on_end(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from,
                                 const struct phx_frame *f)
{
    if (c == NULL || place >= PHX_PLACES || !is_current(p, c, f))
        return SIFT_DROP;
    if (c->life == PHX_LEAVING && place == PHX_HERE) {
        phoenix_forget(p, &c);
        phoenix_go_on(p, PHX_NEXT);
        return SIFT_PASS;
    }
    if (c->on[place].state != PHX_THERE)
        return SIFT_DROP; /* of the channel before this one */
    if (place == PHX_NEXT) {
        leg_fail(from, LEG_ANOTHER, "channel closed");
        return SIFT_DROP;
    }
    const bool is_explained = c->closing_ms != 0 && session_now_ms(p->session) - c->closing_ms <= CLOSING_MS;
    c->on[PHX_HERE] = (struct phx_there){0};
    if (c->answer.data != NULL)
        phoenix_answer_join(p, c);
    if (is_explained && c->closing_kind == PHX_SYSTEM_FORBIDDEN) {
        phoenix_settle(p, c);
        phoenix_forget(p, &c);
        return SIFT_PASS;
    }
    if (is_explained) {
        session_count(p->session, STAT_ROUTE_SESSION_REPAIRED, 1);
        phoenix_fail_channel(p, &c);
    } else {
        phoenix_rejoin(p, &c);
    }
    return SIFT_DROP;
}
