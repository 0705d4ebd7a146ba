/* Pushes in flight: sent, and not known to have arrived; or waiting for a server that has their channel.
 *
 * A server that is lost may have done what it was asked or not. With at-most-once such a push is not sent again, and
 * who waits for an answer gets an error. With at-least-once pushes are kept until the server has answered, or has
 * answered a heartbeat that was sent behind them (one process takes both, in order: a barrier for nothing). What is
 * left is sent again, in order and before anything newer, but never to a third server: it may be what kills them. On a
 * living server nothing is ever sent again, however long it is silent: it may have refused in silence. */
#include <stdio.h>
#include <string.h>

#include "base/json_hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "gateway/realtime/phoenix_priv.h"

#define BARRIER_MS 60 /* after the first push that is not known to have arrived */
#define TRIES_MAX  2u

static struct held *held_of(struct list *link)
{
    return LIST_ENTRY(link, struct held, link);
}

static struct phx_note note_of(const struct held *h)
{
    struct phx_note note;
    ASSERT(h->note_bytes == sizeof note);
    memcpy(&note, h->data, sizeof note);
    return note;
}

static struct phx_text ref_of(const struct phx_note *note)
{
    return (struct phx_text){note->ref, note->ref_bytes};
}

static struct json_text bare(struct json_text string)
{
    if (string.len >= 2 && string.data[0] == '"')
        string = (struct json_text){string.data + 1, string.len - 2};
    return string;
}

/* By what a broadcast is known when it comes back, whichever way it went and whoever wrote it anew: its event and its
 * payload. 0: it is none. */
static uint64_t content_of(const struct phoenix *p, const struct phx_frame *f)
{
    struct json_text event = {f->user_event.data, f->user_event.len}, payload = {f->payload.data, f->payload.len};
    if (!phx_text_is(f->event, "broadcast") || payload.len == 0)
        return 0;
    if (f->kind == PHX_JSON) {
        event = bare(json_find(payload, "event"));
        payload = json_find(payload, "payload");
    }
    return (siphash24(p->key, event.data, event.len) * 31 + json_hash(p->key, payload)) | 1;
}

static struct phx_note make_note(const struct phoenix *p, const struct phx_channel *c, const struct phx_frame *f,
                                 enum phx_push push)
{
    struct phx_note note = {.push = (uint8_t)push};
    if (c->gets_own && phoenix_keeps_journal(p))
        note.content = content_of(p, f);
    if (f->ref.len > 0 && f->ref.len <= sizeof note.ref) {
        note.ref_bytes = (uint8_t)f->ref.len;
        memcpy(note.ref, f->ref.data, f->ref.len);
    }
    return note;
}

static int64_t deadline_ms(struct phoenix *p, enum phx_push push, int64_t since_ms)
{
    const bool is_awaited = push == PHX_PUSH_ASKING || push == PHX_PUSH_LEAVE;
    return is_awaited ? since_ms + session_conf(p->session)->answer_ms : INT64_MAX;
}

/* ---- the journal ---- */

bool phoenix_keeps_journal(const struct phoenix *p)
{
    return session_conf(p->session)->delivery == DELIVERY_AT_LEAST_ONCE;
}

static void strike(struct phoenix *p, struct held *h)
{
    list_unlink(&h->link);
    p->journal.count--;
    p->journal.bytes -= h->frames_bytes;
}

static void enter(struct phoenix *p, struct held *h)
{
    struct phx_journal *j = &p->journal;
    const struct conf_session *conf = session_conf(p->session);
    const uint32_t number = ++j->newest;
    memcpy(h->data + offsetof(struct phx_note, number), &number, sizeof number);
    list_append(&j->sent, &h->link);
    j->count++;
    j->bytes += h->frames_bytes;
    while (j->count > 0 && (j->count > conf->queue_count || j->bytes > conf->queue_bytes)) {
        struct held *oldest = held_of(j->sent.next);
        strike(p, oldest);
        held_free(&oldest);
    }
    if (j->barrier_number == 0 && j->barrier_ms == INT64_MAX) {
        j->barrier_ms = session_now_ms(p->session) + BARRIER_MS;
        phoenix_wake_at(p, j->barrier_ms);
    }
}

void phoenix_barrier_passed(struct phoenix *p)
{
    struct phx_journal *j = &p->journal;
    const int64_t now_ms = session_now_ms(p->session);
    LIST_EACH (it, &j->sent) {
        struct held *h = held_of(it);
        const struct phx_note note = note_of(h);
        /* It has arrived; but an answer says more, and is waited for as long as the client does. */
        if (note.number > j->asked_up_to || (note.push == PHX_PUSH_ASKING && now_ms < h->deadline_ms))
            continue;
        strike(p, h);
        held_free(&h);
    }
    j->barrier_number = 0;
    if (j->newest > j->asked_up_to && j->count > 0) {
        j->barrier_ms = now_ms + BARRIER_MS;
        phoenix_wake_at(p, j->barrier_ms);
    }
}

void phoenix_on_time_journal(struct phoenix *p, int64_t now_ms)
{
    struct phx_journal *j = &p->journal;
    struct leg *l = phoenix_leg(p, PHX_HERE);
    if (j->barrier_ms > now_ms) {
        phoenix_wake_at(p, j->barrier_ms);
        return;
    }
    j->barrier_ms = INT64_MAX;
    if (l == NULL || j->barrier_number != 0 || j->count == 0)
        return;
    j->asked_up_to = j->newest;
    j->barrier_number = phoenix_ask_beat(p, l);
}

void phoenix_journal_fini(struct phoenix *p)
{
    LIST_EACH (it, &p->journal.sent) {
        struct held *h = held_of(it);
        strike(p, h);
        held_free(&h);
    }
    p->journal.barrier_number = 0;
    p->journal.barrier_ms = INT64_MAX;
}

void phoenix_suspect_longest(struct phoenix *p)
{
    struct held *longest = NULL;
    LIST_EACH (it, &p->journal.sent) {
        struct held *h = held_of(it);
        if (longest == NULL || h->frames_bytes > longest->frames_bytes)
            longest = h;
    }
    if (longest != NULL)
        longest->try_count = TRIES_MAX;
}

/* ---- what waits ---- */

void phoenix_hold(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f, const struct ws_message *m,
                  enum phx_push push)
{
    struct phx_note note = make_note(p, c, f, push);
    if (!c->gets_own)
        note.content = phoenix_echo_of(p, c, f);
    session_hold(p->session, m, c->lane, deadline_ms(p, push, session_now_ms(p->session)), &note, sizeof note);
}

void phoenix_flush(struct phoenix *p, struct phx_channel *c, struct leg *to)
{
    struct held *h;
    const int64_t now_ms = session_now_ms(p->session);
    while ((h = session_first_held(p->session, c->lane)) != NULL) {
        h = session_take_held(p->session, h);
        const struct phx_note note = note_of(h);
        if (h->try_count++ > 0)
            session_count(p->session, STAT_ROUTE_SESSION_RESENT, 1);
        if (!c->gets_own && note.content != 0)
            phoenix_expect_late_echo(p, c, note.content);
        leg_send_frames(to, held_frames(h), h->frames_bytes);
        c->pushed_ms = now_ms;
        if (c->on[PHX_NEXT].state != PHX_ABSENT)
            c->early_ms = now_ms;
        if (note.push == PHX_PUSH_LEAVE)
            c->life = PHX_LEAVING;
        if (note.push != PHX_PUSH_PLAIN && note.push != PHX_PUSH_TOKEN)
            phx_channel_pend(c, ref_of(&note), (enum phx_push)note.push, now_ms);
        if (phoenix_keeps_journal(p) && (note.push == PHX_PUSH_PLAIN || note.push == PHX_PUSH_ASKING))
            enter(p, h);
        else
            held_free(&h);
    }
}

static void tell_unsent(struct phoenix *p, const struct phx_channel *c, const struct phx_note *note, const char *reason)
{
    if (note->push == PHX_PUSH_LEAVE)
        phoenix_tell_left(p, c, ref_of(note));
    else if (note->push == PHX_PUSH_ASKING || note->push == PHX_PUSH_PRESENCE)
        phoenix_tell_refused(p, c, ref_of(note), reason);
}

void phoenix_on_unsent(void *arg, const struct held *h, enum held_fate fate)
{
    struct phoenix *p = arg;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    const struct phx_note note = note_of(h);
    struct phx_channel *c = phoenix_channel_in_lane(p, h->lane);
    if (c == NULL)
        return;
    tell_unsent(p, c, &note, fate == HELD_LATE ? "gateway: no server" : "gateway: too many messages wait");
    c->dropped_count += note.push == PHX_PUSH_PLAIN;
    if (note.push == PHX_PUSH_LEAVE) {
        phoenix_leave_quietly(p, c);
        phoenix_forget_later(p, c);
    }
}

void phoenix_tell_dropped(struct phoenix *p, struct phx_channel *c)
{
    char message[96];
    if (c->dropped_count == 0)
        return;
    const int len = snprintf(message, sizeof message, "\"messages that were not sent, for want of a server: %u\"",
                             c->dropped_count);
    c->dropped_count = 0;
    phoenix_tell_system(p, c, "error", (struct phx_text){message, (size_t)len});
}

void phoenix_drop_waiting(struct phoenix *p, struct phx_channel *c, const char *reason)
{
    struct held *h;
    while ((h = session_first_held(p->session, c->lane)) != NULL) {
        h = session_take_held(p->session, h);
        const struct phx_note note = note_of(h);
        session_count(p->session, STAT_ROUTE_SESSION_DROPPED, 1);
        tell_unsent(p, c, &note, reason);
        c->dropped_count += note.push == PHX_PUSH_PLAIN;
        held_free(&h);
    }
}

/* ---- what was sent ---- */

void phoenix_sent(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f, const struct ws_message *m,
                  enum phx_push push)
{
    const bool is_awaited = push != PHX_PUSH_PLAIN && push != PHX_PUSH_TOKEN;
    const bool is_kept = phoenix_keeps_journal(p) && m->is_whole && (push == PHX_PUSH_PLAIN || push == PHX_PUSH_ASKING);
    if (!is_awaited && !is_kept)
        return;
    const int64_t now_ms = session_now_ms(p->session);
    if (is_awaited)
        phx_channel_pend(c, f->ref, push, now_ms);
    if (!is_kept)
        return;
    const struct phx_note note = make_note(p, c, f, push);
    struct held *h = mem_alloc_begun(sizeof *h + sizeof note + m->frames_bytes, sizeof *h);
    list_init(&h->link);
    h->lane = c->lane;
    h->try_count = 1;
    h->since_ms = now_ms;
    h->deadline_ms = deadline_ms(p, push, now_ms);
    h->note_bytes = sizeof note;
    h->frames_bytes = (uint32_t)m->frames_bytes;
    memcpy(h->data, &note, sizeof note);
    memcpy(h->data + sizeof note, m->frames, m->frames_bytes);
    enter(p, h);
}

bool phoenix_is_in_journal(const struct phoenix *p, const struct phx_channel *c, struct phx_text ref)
{
    LIST_EACH (it, &p->journal.sent) {
        const struct held *h = held_of(it);
        const struct phx_note note = note_of(h);
        if (h->lane == c->lane && phx_ref_equal(ref_of(&note), ref))
            return true;
    }
    return false;
}

bool phoenix_answered(struct phoenix *p, struct phx_channel *c, struct phx_text ref)
{
    struct phx_pending *pending = phx_channel_pending(c, ref);
    if (pending != NULL)
        phx_channel_answered(c, pending);
    if (p->journal.count == 0)
        return pending != NULL;
    LIST_EACH (it, &p->journal.sent) {
        struct held *h = held_of(it);
        const struct phx_note note = note_of(h);
        if (h->lane != c->lane || !phx_ref_equal(ref_of(&note), ref))
            continue;
        strike(p, h);
        held_free(&h);
        return true;
    }
    return pending != NULL;
}

void phoenix_echoed(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f)
{
    const uint64_t content = content_of(p, f);
    LIST_EACH (it, &p->journal.sent) {
        struct held *h = held_of(it);
        const struct phx_note note = note_of(h);
        if (h->lane != c->lane || content == 0 || note.content != content)
            continue;
        struct phx_pending *pending = phx_channel_pending(c, ref_of(&note));
        if (pending != NULL)
            pending->is_proved = true;
        strike(p, h);
        held_free(&h);
        return; /* one for one */
    }
}

static bool answer_folded(struct phoenix *p, struct phx_channel *c, const char *status, const char *response)
{
    bool is_any = false;
    for (uint8_t i = 0; i < c->pending_count;) {
        const struct phx_pending pending = c->pending[i];
        if (pending.push != PHX_PUSH_FOLDED) {
            i++;
            continue;
        }
        phx_channel_answered(c, &c->pending[i]);
        phoenix_tell_reply(p, c, (struct phx_text){pending.ref, pending.ref_bytes}, status, response);
        is_any = true;
    }
    return is_any;
}

void phoenix_answer_presence(struct phoenix *p, struct phx_channel *c)
{
    (void)answer_folded(p, c, "ok", "{}");
}

bool phoenix_refuse_presence(struct phoenix *p, struct phx_channel *c, const char *reason)
{
    char response[128];
    (void)snprintf(response, sizeof response, "{\"reason\":\"%s\"}", reason);
    return answer_folded(p, c, "error", response);
}

/* Back to the messages that wait, in front of them; or dropped, as what may have killed two servers. */
static void take_back(struct phoenix *p, struct phx_channel *c, struct held *h)
{
    const struct phx_note note = note_of(h);
    struct phx_pending *pending = phx_channel_pending(c, ref_of(&note));
    strike(p, h);
    if (pending != NULL && note.push == PHX_PUSH_ASKING)
        phx_channel_answered(c, pending);
    if (h->try_count < TRIES_MAX) {
        session_hold_again(p->session, h);
        return;
    }
    session_count(p->session, STAT_ROUTE_SESSION_POISONED, 1);
    if (note.push == PHX_PUSH_ASKING)
        phoenix_tell_refused(p, c, ref_of(&note), "gateway: dropped, servers were lost after it");
    held_free(&h);
}

void phoenix_settle(struct phoenix *p, struct phx_channel *c)
{
    struct list *sent = &p->journal.sent;
    for (struct list *it = sent->prev, *before = it->prev; it != sent; it = before, before = it->prev) {
        struct held *h = held_of(it);
        if (h->lane == c->lane)
            take_back(p, c, h);
    }
    for (uint8_t i = 0; i < c->pending_count; i++)
        if (c->pending[i].push == PHX_PUSH_PRESENCE)
            c->pending[i].push = PHX_PUSH_FOLDED;
    if (c->track.data == NULL)
        phoenix_answer_presence(p, c);
    else if (c->pending_count > 0)
        phoenix_wake_at(p, session_now_ms(p->session)); /* not for ever */
    for (uint8_t i = 0; i < c->pending_count;) {
        const struct phx_pending pending = c->pending[i];
        if (pending.push != PHX_PUSH_ASKING) {
            i++;
            continue;
        }
        const struct phx_text ref = {pending.ref, pending.ref_bytes};
        phx_channel_answered(c, &c->pending[i]);
        if (pending.is_proved) {
            phoenix_tell_reply(p, c, ref, "ok", "{}");
            continue;
        }
        session_count(p->session, STAT_ROUTE_SESSION_UNKNOWN, 1);
        phoenix_tell_refused(p, c, ref, "gateway: upstream lost");
    }
}
