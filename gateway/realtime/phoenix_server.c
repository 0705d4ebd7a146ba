/* What servers say. Nearly all of it passes after a look at the beginning: broadcasts, changes, presence. Answers to
 * the gateway's own are known by their reference and kept; the answer to a join tells what the client believes to be
 * joined; and while two servers deliver, each message is compared with those of the other. */
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "gateway/realtime/phoenix_priv.h"

#define REPLY_BYTES (1u << 20) /* sessions hand out no longer messages than this in one piece */

static enum sift_verdict only_from_here(enum phx_place place)
{
    return place == PHX_HERE ? SIFT_PASS : SIFT_DROP;
}

static void tell_message(struct phoenix *p, enum phx_kind kind, const struct strbuf *message)
{
    if (!message->failed && message->len > 0)
        session_tell(p->session, kind == PHX_JSON ? WS_OPCODE_TEXT : WS_OPCODE_BINARY, message->data, message->len);
}

/* ---- replies ---- */

void phoenix_answer_join(struct phoenix *p, struct phx_channel *c)
{
    c->life = PHX_JOINED;
    phoenix_tell_kept(p, &c->answer);
}

static enum sift_verdict join_accepted(struct phoenix *p, struct phx_channel *c, enum phx_place place,
                                       const struct phx_reply *r, const struct ws_message *m)
{
    const int64_t wait_ms = session_conf(p->session)->ready_wait_ms;
    const bool is_again = c->on[place].is_again;
    c->on[place].state = PHX_THERE;
    c->refused_count = c->loss_count = 0;
    phx_channel_keep(&c->changes, r->changes);
    if (c->life == PHX_LEAVING)
        return SIFT_PASS;
    if (wait_ms > 0 && c->has_changes && m->opcode == WS_OPCODE_TEXT && m->len <= PHX_KEPT_BYTES) {
        phx_channel_keep(&c->answer, (struct phx_text){(const char *)m->payload, m->len});
        c->answer_by_ms = session_now_ms(p->session) + wait_ms;
        phoenix_wake_at(p, c->answer_by_ms);
    } else {
        c->life = PHX_JOINED;
        session_tell(p->session, m->opcode, m->payload, m->len); /* at once: it goes before what follows from it */
    }
    if (is_again && c->track.data != NULL)
        phoenix_ask_presence(p, c, place, phoenix_leg(p, place), c->track);
    phoenix_be_back(p, c);
    phoenix_go_on(p, PHX_NEXT);
    return SIFT_DROP;
}

static enum sift_verdict join_refused(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from,
                                      const struct phx_reply *r)
{
    if (c->life == PHX_JOINING && phx_refusal_of(r->reason) == PHX_REFUSED_RESTARTING) {
        phoenix_join_elsewhere(p, c, place, from);
        return SIFT_DROP;
    }
    c->on[place] = (struct phx_there){0};
    phoenix_leave_quietly(p, c); /* it may be under way to the other server of a move */
    phoenix_forget(p, &c);
    return SIFT_PASS;
}

static enum sift_verdict on_client_join(struct phoenix *p, struct phx_channel *c, struct leg *from,
                                        const struct phx_frame *f, const struct ws_message *m)
{
    struct phx_reply r = {.is_ok = phx_text_is(f->status, "ok")};
    if (f->kind == PHX_JSON && !phx_reply_read(&r, f->payload))
        return SIFT_PASS;
    const enum sift_verdict verdict =
        r.is_ok ? join_accepted(p, c, PHX_HERE, &r, m) : join_refused(p, c, PHX_HERE, from, &r);
    phoenix_join_answered(p, PHX_HERE, from);
    phoenix_go_on(p, PHX_HERE);
    return verdict;
}

void phoenix_on_clients_answer(struct phoenix *p, struct phx_channel *c, enum phx_place place, struct leg *from,
                               const struct phx_frame *f)
{
    struct phx_reply r = {.is_ok = phx_text_is(f->status, "ok")};
    struct strbuf out;
    if (f->kind == PHX_JSON)
        (void)phx_reply_read(&r, f->payload);
    strbuf_init(&out, 2 * REPLY_BYTES);
    phx_write_reply(&out, p->vsn, phx_text_of(c->join_ref), phx_text_of(c->ref), phx_channel_topic(c),
                    r.is_ok ? "ok" : "error", r.response);
    const struct ws_message m = {
        .opcode = WS_OPCODE_TEXT, .is_whole = true, .payload = (const uint8_t *)out.data, .len = out.len};
    const enum sift_verdict verdict =
        r.is_ok ? join_accepted(p, c, place, &r, &m) : join_refused(p, c, place, from, &r);
    if (verdict == SIFT_PASS)
        tell_message(p, PHX_JSON, &out);
    strbuf_fini(&out);
}

/* The server does not have the channel that the client and the gateway believe it has. What was pushed is sent again if
 * it is still there; it has certainly not been done. */
static enum sift_verdict on_unmatched(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f)
{
    const bool is_kept = phoenix_is_in_journal(p, c, f->ref);
    if (!is_kept)
        (void)phoenix_answered(p, c, f->ref);
    phoenix_rejoin(p, &c);
    return is_kept ? SIFT_DROP : SIFT_PASS;
}

static bool says_ok(struct phx_text payload)
{
    static const char first[] = "{\"status\":\"ok\"", last[] = "\"status\":\"ok\"}"; /* as servers write it */
    const size_t n = sizeof first - 1, m = sizeof last - 1;
    return payload.len >= n &&
           (memcmp(payload.data, first, n) == 0 || memcmp(payload.data + payload.len - m, last, m) == 0);
}

/* Answers are many, and this one is short and rare: only what looks like it is read. */
static bool is_unmatched(const struct phx_frame *f)
{
    struct phx_reply r;
    return f->kind == PHX_JSON && f->payload.len < 256 && !says_ok(f->payload) && phx_reply_read(&r, f->payload) &&
           !r.is_ok && phx_text_is(r.reason, "\"unmatched topic\"");
}

static enum sift_verdict on_reply(struct phoenix *p, struct leg *from, enum phx_place place, const struct phx_frame *f,
                                  const struct ws_message *m)
{
    const uint32_t number = phoenix_own_number(p, f->ref);
    struct phx_channel *c = phoenix_channel(p, f->topic);
    if (number != 0) {
        phoenix_on_own_reply(p, from, place, number, f);
        return SIFT_DROP;
    }
    if (place == PHX_NEXT)
        return SIFT_DROP;
    const struct phx_there *on = c != NULL ? &c->on[PHX_HERE] : NULL;
    const bool is_join = place == PHX_HERE && c != NULL && on->state == PHX_ASKED && !on->is_own &&
                         phx_ref_equal(f->ref, phx_text_of(c->ref));
    if (is_join && phx_channel_is_answered(c)) {
        phoenix_on_late_answer(p, c, from, f);
        return SIFT_DROP;
    }
    if (is_join)
        return on_client_join(p, c, from, f, m);
    if (leg_epoch(from) == p->leaving_epoch && phx_ref_equal(f->ref, f->join_ref))
        return SIFT_DROP; /* to a join that the next server has answered, and that is over by now */
    if (c == NULL)        /* of a channel that was left meanwhile, or never was */
        return SIFT_PASS;
    if (place == PHX_BEFORE)
        return phoenix_answered(p, c, f->ref) ? SIFT_PASS : SIFT_DROP;
    if (on->state == PHX_THERE && is_unmatched(f))
        return on_unmatched(p, c, f);
    if (!phoenix_answered(p, c, f->ref) && on->state == PHX_ASKED && on->is_own && is_unmatched(f))
        return SIFT_DROP; /* pushed before the server dropped the channel: that has been settled */
    return SIFT_PASS;
}

/* ---- what is new ---- */

/* A broadcast out of the database, which has an id. It comes once more when the messages since then were asked for. */
static enum sift_verdict on_stored(struct phoenix *p, struct phx_channel *c, const struct phx_frame *f)
{
    struct phx_meta meta;
    if (!phx_meta_read(&meta, f) || meta.id.len == 0)
        return SIFT_PASS;
    c->stored_ms = session_wall_ms(p->session);
    if (phx_channel_saw(c, meta.id)) {
        session_count(p->session, STAT_ROUTE_SESSION_DUPLICATES, 1);
        return SIFT_DROP;
    }
    if (!meta.is_replayed || c->wants_replay)
        return SIFT_PASS;
    struct strbuf out;
    strbuf_init(&out, REPLY_BYTES);
    phx_write_not_replayed(&out, p->vsn, f);
    tell_message(p, f->kind, &out);
    strbuf_fini(&out);
    return SIFT_DROP;
}

static enum sift_verdict renumber(struct phoenix *p, const struct phx_channel *c, enum phx_place place,
                                  const struct phx_frame *f)
{
    struct strbuf payload, out;
    strbuf_init(&payload, REPLY_BYTES);
    strbuf_init(&out, 2 * REPLY_BYTES);
    const int count = phx_ids_rewrite(&payload, f->payload, c->ids[place]);
    if (count > 0) {
        phx_write(&out, p->vsn, PHX_FROM_SERVER,
                  &(struct phx_say){.join_ref = f->join_ref,
                                    .ref = f->ref,
                                    .topic = f->topic,
                                    .event = "postgres_changes",
                                    .payload = {payload.data, payload.len}});
        tell_message(p, PHX_JSON, &out);
    }
    strbuf_fini(&payload);
    strbuf_fini(&out);
    return count < 0 ? SIFT_PASS : SIFT_DROP;
}

enum sift_verdict phoenix_deliver(struct phoenix *p, struct phx_channel *c, enum phx_place place,
                                  const struct phx_frame *f)
{
    if (phx_text_is(f->event, "broadcast")) {
        if (c->gets_own && p->journal.count > 0)
            phoenix_echoed(p, c, f);
        return c->is_private ? on_stored(p, c, f) : SIFT_PASS;
    }
    const enum phx_place ids = place == PHX_BEFORE ? PHX_HERE : place;
    if (c->ids[ids] != NULL && place != PHX_BEFORE && phx_text_is(f->event, "postgres_changes"))
        return renumber(p, c, place, f);
    return SIFT_PASS;
}

static enum sift_verdict on_news(struct phoenix *p, struct phx_channel *c, enum phx_place place,
                                 const struct phx_frame *f, const struct ws_message *m)
{
    if (!m->is_whole || c == NULL)
        return only_from_here(place);
    if (phx_text_is(f->event, "presence_state")) /* the whole of it, by which clients correct what they know */
        return phoenix_feeds_take_state(p, c, place) ? SIFT_PASS : SIFT_DROP;
    const bool is_alone = p->feeds == NULL && place == PHX_HERE;
    const enum phx_feed feed = is_alone ? PHX_FEED_DELIVER : phoenix_feeds_take(p, c, place, f, m);
    if (feed == PHX_FEED_COPY)
        session_count(p->session, STAT_ROUTE_SESSION_DUPLICATES, 1);
    if (feed != PHX_FEED_DELIVER)
        return SIFT_DROP;
    if (!phx_text_is(f->event, "presence_diff"))
        phoenix_heard_keep(p, m);
    return phoenix_deliver(p, c, place, f);
}

enum sift_verdict phoenix_on_server(void *arg, struct leg *from, const struct ws_message *m)
{
    struct phoenix *p = arg;
    struct phx_frame f;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    const enum phx_place place = phoenix_place(p, from);
    if (place == PHX_NOWHERE)
        return SIFT_DROP;
    const enum phx_read read =
        phx_frame_read(&f, p->vsn, PHX_FROM_SERVER, m->payload, m->len, m->opcode == WS_OPCODE_BINARY, m->is_whole);
    if (read == PHX_READ_MORE && !m->is_whole && !m->is_at_limit)
        return SIFT_MORE;
    if (read != PHX_READ_OK)
        return only_from_here(place);
    if (phx_text_is(f.event, "phx_reply"))
        return on_reply(p, from, place, &f, m);
    struct phx_channel *c = phoenix_channel(p, f.topic);
    if (phx_text_is(f.event, "phx_close") || phx_text_is(f.event, "phx_error"))
        return phoenix_on_end(p, c, place, from, &f);
    if (phx_text_is(f.event, "system"))
        return phoenix_on_system(p, c, place, &f, m);
    return on_news(p, c, place, &f, m);
}
