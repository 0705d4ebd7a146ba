/* What clients say. Most of it are pushes to channels that are joined: of these only the beginning is looked at, and
 * they pass. What has to be known to join again elsewhere is recorded on the way: joins, tokens, presence. Heartbeats
 * are answered here, always, so that a client never learns from them that its server is gone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/realtime/phoenix_priv.h"

static enum sift_verdict unknown_topic(struct phoenix *p, const struct phx_frame *f, const char *status,
                                       const char *response)
{
    if (phoenix_leg(p, PHX_HERE) != NULL)
        return SIFT_PASS; /* the server knows what to say */
    if (!phx_ref_is_null(f->ref)) {
        struct strbuf out;
        strbuf_init(&out, 8192);
        phx_write_reply(&out, p->vsn, (struct phx_text){0}, f->ref, f->topic, status, phx_text_of(response));
        if (!out.failed)
            session_tell(p->session, WS_OPCODE_TEXT, out.data, out.len);
        strbuf_fini(&out);
    }
    return SIFT_DROP;
}

/* ---- heartbeats ---- */

static enum sift_verdict on_heartbeat(struct phoenix *p, const struct phx_frame *f, const struct ws_message *m)
{
    struct strbuf out;
    (void)m;
    strbuf_init(&out, 4096);
    phx_write_reply(&out, p->vsn, (struct phx_text){0}, f->ref, f->topic, "ok", (struct phx_text){0});
    if (!out.failed)
        session_tell(p->session, WS_OPCODE_TEXT, out.data, out.len);
    strbuf_fini(&out);
    session_count(p->session, STAT_ROUTE_SESSION_BEATS, 1);
    return SIFT_DROP;
}

/* ---- join ---- */

/* RFC 9562 version 4: what a server would invent, but the same at every join. */
static void invent_key(struct phoenix *p, struct phx_channel *c)
{
    const uint64_t a = session_random(p->session), b = session_random(p->session);
    (void)snprintf(c->key, sizeof c->key, "%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
                   a >> 32, (a >> 16) & 0xffff, a & 0xfff, ((b >> 48) & 0x3fff) | 0x8000, b & 0xffffffffffff);
}

static void refuse_join(struct phoenix *p, const struct phx_frame *f, const char *response)
{
    struct strbuf out;
    strbuf_init(&out, 8192);
    phx_write_reply(&out, p->vsn, f->join_ref, f->ref, f->topic, "error", phx_text_of(response));
    if (!out.failed && !phx_ref_is_null(f->ref))
        session_tell(p->session, WS_OPCODE_TEXT, out.data, out.len);
    strbuf_fini(&out);
}

static enum sift_verdict on_join(struct phoenix *p, const struct phx_frame *f, const struct ws_message *m)
{
    struct leg *here = phoenix_leg(p, PHX_HERE);
    struct phx_channel *c = phoenix_channel(p, f->topic);
    if (!m->is_whole || f->payload.len > PHX_KEPT_BYTES) {
        refuse_join(p, f, "{\"reason\":\"gateway: the join is too long\"}");
        return SIFT_DROP;
    }
    if (c == NULL && p->channel_count >= session_conf(p->session)->channel_count) {
        refuse_join(p, f, "{\"reason\":\"too many channels joined\"}");
        return SIFT_DROP;
    }
    if (c == NULL)
        c = phoenix_add_channel(p, f->topic);
    else
        phoenix_drop_waiting(p, c, "gateway: the channel was joined again");
    phx_channel_join(c, f, session_now_ms(p->session));
    if (c->has_random_key && c->key[0] == '\0')
        invent_key(p, c);
    if (here != NULL) {
        const enum sift_verdict verdict = phoenix_send_join(p, c, here);
        phoenix_go_on(p, PHX_NEXT); /* if that one is about to go */
        return verdict;
    }
    phoenix_wake_at(p, c->asked_ms + session_conf(p->session)->answer_ms);
    session_wants_changed(p->session);
    return SIFT_DROP;
}

/* ---- leave ---- */

void phoenix_tell_left(struct phoenix *p, const struct phx_channel *c, struct phx_text ref)
{
    phoenix_tell_reply(p, c, ref, "ok", "{}");
    if (c->life != PHX_JOINING)
        phoenix_tell_end(p, c, "phx_close");
}

static enum sift_verdict on_leave(struct phoenix *p, const struct phx_frame *f, const struct ws_message *m)
{
    struct phx_channel *c = phoenix_channel(p, f->topic);
    const bool has_leg = phoenix_leg(p, PHX_HERE) != NULL;
    if (c == NULL)
        return unknown_topic(p, f, "ok", "{}");
    if (!phx_ref_is_null(f->join_ref) && !phx_ref_equal(f->join_ref, phx_text_of(c->join_ref)))
        return has_leg ? SIFT_PASS : SIFT_DROP; /* servers ignore it */
    phx_channel_keep(&c->answer, (struct phx_text){0});
    if (phoenix_is_live(p, c)) {
        if (c->on[PHX_NEXT].state != PHX_ABSENT)
            (void)phoenix_ask(p, phoenix_leg(p, PHX_NEXT), c, "phx_leave", (struct phx_text){0});
        c->life = PHX_LEAVING;
        phoenix_sent(p, c, f, m, PHX_PUSH_LEAVE);
        return SIFT_PASS;
    }
    const bool is_its_turn_near = has_leg && c->on[PHX_HERE].state == PHX_THERE;
    if ((is_its_turn_near || session_first_held(p->session, c->lane) != NULL) && m->is_whole) {
        phoenix_hold(p, c, f, m, PHX_PUSH_LEAVE); /* what was pushed before it goes before it */
        return SIFT_DROP;
    }
    phoenix_leave_quietly(p, c);
    phoenix_tell_left(p, c, f->ref);
    phoenix_forget(p, &c);
    phoenix_go_on(p, PHX_HERE);
    phoenix_go_on(p, PHX_NEXT);
    return SIFT_DROP;
}

/* ---- state: token and presence ---- */

static enum sift_verdict on_token(struct phoenix *p, const struct phx_frame *f, const struct ws_message *m)
{
    struct phx_channel *c = phoenix_channel(p, f->topic);
    const struct phx_text token = m->is_whole ? phx_token_read(f->payload) : (struct phx_text){0};
    if (c == NULL)
        return unknown_topic(p, f, "error", "{\"reason\":\"unmatched topic\"}");
    if (token.len > 0) {
        phx_channel_keep(&c->token, token);
        c->expires_ms = phx_token_expires_ms(token);
    }
    if (phoenix_is_live(p, c)) {
        if (c->on[PHX_NEXT].state != PHX_ABSENT && token.len > 0)
            (void)phoenix_ask(p, phoenix_leg(p, PHX_NEXT), c, "access_token", f->payload);
        return SIFT_PASS;
    }
    if ((c->on[PHX_HERE].state != PHX_ABSENT || c->on[PHX_NEXT].state != PHX_ABSENT) && m->is_whole)
        phoenix_hold(p, c, f, m, PHX_PUSH_TOKEN); /* the join went with an older one */
    return SIFT_DROP;
}

static enum sift_verdict on_presence(struct phoenix *p, const struct phx_frame *f, const struct ws_message *m)
{
    struct phx_channel *c = phoenix_channel(p, f->topic);
    const enum phx_presence what = m->is_whole ? phx_presence_of(f->payload) : PHX_PRESENCE_OTHER;
    if (c == NULL)
        return unknown_topic(p, f, "error", "{\"reason\":\"unmatched topic\"}");
    if (what == PHX_PRESENCE_TRACK && !phx_text_equal(c->track, f->payload))
        c->track_loss_count = 0;
    if (what == PHX_PRESENCE_TRACK)
        phx_channel_keep(&c->track, f->payload);
    else if (what == PHX_PRESENCE_UNTRACK)
        phx_channel_keep(&c->track, (struct phx_text){0});
    if (phoenix_is_live(p, c)) {
        if (c->on[PHX_NEXT].state == PHX_THERE && what != PHX_PRESENCE_OTHER)
            phoenix_ask_presence(p, c, PHX_NEXT, phoenix_leg(p, PHX_NEXT), f->payload);
        phoenix_sent(p, c, f, m, PHX_PUSH_PRESENCE);
        return SIFT_PASS;
    }
    if (what == PHX_PRESENCE_OTHER) {
        if (m->is_whole)
            phoenix_hold(p, c, f, m, PHX_PUSH_ASKING);
        return SIFT_DROP;
    }
    const enum phx_place home = phoenix_is_home(c, PHX_NEXT) ? PHX_NEXT : PHX_HERE;
    if (c->on[home].state == PHX_THERE && m->is_whole) {
        phoenix_hold(p, c, f, m, PHX_PUSH_PRESENCE); /* it is joined there, and only waits for its turn */
        return SIFT_DROP;
    }
    /* It is told with the next join, once, whatever was said until then; who asked is answered then. */
    phx_channel_pend(c, f->ref, PHX_PUSH_FOLDED, session_now_ms(p->session));
    phoenix_wake_at(p, session_now_ms(p->session) + session_conf(p->session)->answer_ms);
    if (c->track.data == NULL)
        phoenix_answer_presence(p, c);
    return SIFT_DROP;
}

/* ---- everything else ---- */

/* Supabase answers broadcasts if asked to in the join, and nothing it does not know; other applications may answer
 * anything. */
static enum phx_push push_of(const struct phx_channel *c, const struct phx_frame *f)
{
    if (phx_ref_is_null(f->ref))
        return PHX_PUSH_PLAIN;
    if (c->is_supabase)
        return c->acks_broadcasts && phx_text_is(f->event, "broadcast") ? PHX_PUSH_ASKING : PHX_PUSH_PLAIN;
    return PHX_PUSH_ASKING;
}

static enum sift_verdict on_push(struct phoenix *p, const struct phx_frame *f, const struct ws_message *m)
{
    struct phx_channel *c = phoenix_channel(p, f->topic);
    if (c == NULL)
        return unknown_topic(p, f, "error", "{\"reason\":\"unmatched topic\"}");
    const enum phx_push push = push_of(c, f);
    if (phoenix_is_live(p, c)) {
        if ((phoenix_keeps_journal(p) || p->feeds != NULL) && !m->is_whole && !m->is_at_limit)
            return SIFT_MORE;
        if (p->feeds != NULL)
            phoenix_expect_echo(p, c, f, m->is_whole);
        c->pushed_ms = session_now_ms(p->session);
        phoenix_sent(p, c, f, m, push);
        return SIFT_PASS;
    }
    if (!m->is_whole && !m->is_at_limit)
        return SIFT_MORE;
    if (m->is_whole) {
        phoenix_hold(p, c, f, m, push);
        return SIFT_DROP;
    }
    session_count(p->session, STAT_ROUTE_SESSION_DROPPED, 1);
    if (push == PHX_PUSH_ASKING)
        phoenix_tell_refused(p, c, f->ref, "gateway: too long to wait for a server");
    else
        c->dropped_count++;
    return SIFT_DROP;
}

static const struct client_event {
    struct phx_text event;
    bool is_on_topic_phoenix; /* else on channels */
    enum sift_verdict (*on)(struct phoenix *p, const struct phx_frame *f, const struct ws_message *m);
} client_events[] = {
    {{"phx_join", 8}, false, on_join},      {{"phx_leave", 9}, false, on_leave},
    {{"heartbeat", 9}, true, on_heartbeat}, {{"access_token", 12}, false, on_token},
    {{"presence", 8}, false, on_presence},
};

enum sift_verdict phoenix_on_client(void *arg, const struct ws_message *m)
{
    struct phoenix *p = arg;
    struct phx_frame f;
    CHECK_OBJ(p, PHOENIX_MAGIC);
    const enum phx_read read =
        phx_frame_read(&f, p->vsn, PHX_FROM_CLIENT, m->payload, m->len, m->opcode == WS_OPCODE_BINARY, m->is_whole);
    if (read == PHX_READ_MORE && !m->is_whole && !m->is_at_limit)
        return SIFT_MORE;
    if (read != PHX_READ_OK) /* not understood: the server may */
        return phoenix_leg(p, PHX_HERE) != NULL ? SIFT_PASS : SIFT_DROP;
    if (f.kind != PHX_JSON)
        return on_push(p, &f, m);
    for (size_t i = 0; i < sizeof client_events / sizeof client_events[0]; i++) {
        const struct client_event *e = &client_events[i];
        if (!phx_text_equal(f.event, e->event) || phx_text_is(f.topic, "phoenix") != e->is_on_topic_phoenix)
            continue;
        return m->is_whole || m->is_at_limit ? e->on(p, &f, m) : SIFT_MORE;
    }
    return on_push(p, &f, m);
}
