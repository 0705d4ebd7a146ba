/* Sessions: what passes between the client and its servers, time, and the life of one. How it comes by its servers is
 * session_servers.c's. */
#include "gateway/realtime/session.h"

#include "base/mem.h"
#include "gateway/realtime/session_priv.h"
#include "gateway/ws/close.h"

#define SPEAKER_HOT_BYTES 192u /* what speakers have first, for every message */

static const struct sift_ops client_ops;
static void on_timer(void *arg);

static const char *const state_texts[SESSION_STATE_COUNT] = {
    [SESSION_CONNECTED] = "connected",
    [SESSION_CONNECTING] = "connecting",
    [SESSION_RECONNECTING] = "reconnecting",
    [SESSION_DISCONNECTED] = "disconnected",
};
static const enum stat_route state_gauges[SESSION_STATE_COUNT] = {
    [SESSION_CONNECTED] = STAT_ROUTE_SESSIONS_CONNECTED,
    [SESSION_CONNECTING] = STAT_ROUTE_SESSIONS_CONNECTING,
    [SESSION_RECONNECTING] = STAT_ROUTE_SESSIONS_RECONNECTING,
    [SESSION_DISCONNECTED] = STAT_ROUTE_SESSIONS_DISCONNECTED,
};

const char *session_state_text(enum session_state s)
{
    ASSERT((unsigned)s < SESSION_STATE_COUNT);
    return state_texts[s];
}

void session_set_state(struct session *s, enum session_state state)
{
    if (s->state == state || s->is_stopped)
        return;
    session_count(s, state_gauges[s->state], -1);
    session_count(s, state_gauges[state], 1);
    s->state = (uint8_t)state;
}

void session_set_leg(struct session *s, struct leg *l)
{
    struct near *n = &s->tunnel->near;
    s->leg = l;
    near_put(n, NEAR_LEG, l, l != NULL ? offsetof(struct leg, sift.frames) : 0);
    near_put(n, NEAR_SERVER, l != NULL ? l->conn : NULL, CONN_NEAR_BYTES);
}

/* ---- what speakers ask ---- */

const struct conf_session *session_conf(const struct session *s)
{
    return &s->tunnel->route->session;
}

int64_t session_now_ms(const struct session *s)
{
    return loop_now_ms(s->tunnel->set->loop);
}

int64_t session_wall_ms(const struct session *s)
{
    return loop_wall_ms(s->tunnel->set->loop);
}

uint64_t session_random(struct session *s)
{
    return tunnel_random(s->tunnel->set);
}

struct leg *session_leg(const struct session *s)
{
    return s->leg != NULL && !s->leg->is_over ? s->leg : NULL;
}

struct leg *session_next_leg(const struct session *s)
{
    return s->next != NULL && !s->next->is_over ? s->next : NULL;
}

struct leg *session_old_leg(const struct session *s)
{
    return s->old != NULL && !s->old->is_over ? s->old : NULL;
}

void session_count(struct session *s, enum stat_route id, int64_t count)
{
    stat_add(&s->tunnel->set->block->route[s->tunnel->route_slot][id], count);
    losses_count(&s->loss, id, count);
}

int64_t session_lost_since_ms(const struct session *s)
{
    return s->lost_since_ms;
}

void session_keep_near(struct session *s, unsigned which, const void *at, size_t bytes)
{
    ASSERT(which < SESSION_NEAR_COUNT);
    near_put(&s->tunnel->near, NEAR_SPEAKER + 1 + which, at, bytes);
}

void session_end(struct session *s, uint16_t code, const char *reason)
{
    if (s->end_reason == NULL)
        s->end_reason = mem_strdup(reason);
    tunnel_plan_end(s->tunnel, 0, CLOSED_BY_UPSTREAM, code, s->end_reason);
}

/* ---- to the client ---- */

static bool is_down_between(const struct session *s)
{
    const struct ws_walk *w = &s->tunnel->walk[DOWN];
    return ws_walk_is_at_boundary(w) && !ws_walk_is_in_message(w);
}

static void check_owed(struct session *s)
{
    if (s->owed.failed)
        tunnel_plan_end(s->tunnel, 0, CLOSED_BY_LIMIT, WS_CLOSE_TRY_LATER, "too much to say");
}

/* What is owed goes out as soon as no message is half out. */
static void pay(struct session *s)
{
    if (s->owed.len == 0 || s->owed.failed || s->is_stopped || !is_down_between(s))
        return;
    struct strbuf owed = s->owed;
    strbuf_init(&s->owed, owed.max_bytes);
    tunnel_from_server(s->tunnel, (const uint8_t *)owed.data, owed.len);
    strbuf_fini(&owed);
}

void session_tell(struct session *s, enum ws_opcode opcode, const void *payload, size_t len)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    uint8_t header[WS_HEADER_BYTES];
    const size_t header_bytes = ws_header_build(header, opcode, len, NULL);
    if (s->is_stopped)
        return;
    if (s->feeding != NULL)
        sift_flush(&s->feeding->sift); /* what came before this goes before it */
    strbuf_add(&s->owed, header, header_bytes);
    strbuf_add(&s->owed, payload, len);
    check_owed(s);
    pay(s);
}

void session_pass_down(struct session *s, struct leg *from, const uint8_t *frames, size_t len)
{
    if (s->is_stopped)
        return;
    if (s->half_out != NULL && s->half_out != from) { /* another one's message is under way: behind it */
        strbuf_add(&s->owed, frames, len);
        check_owed(s);
        return;
    }
    tunnel_from_server(s->tunnel, frames, len);
    s->half_out = is_down_between(s) ? NULL : from;
    pay(s);
}

void session_pause(struct session *s)
{
    struct leg *const legs[] = {s->leg, s->next, s->old};
    s->is_client_full = true;
    for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++)
        if (legs[i] != NULL && !legs[i]->is_over)
            leg_pause(legs[i]);
}

void session_resume(struct session *s)
{
    struct leg *const legs[] = {s->leg, s->next, s->old};
    s->is_client_full = false;
    for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++)
        if (legs[i] != NULL && !legs[i]->is_over) {
            legs[i]->heard_ms = session_now_ms(s); /* it could not be heard */
            conn_resume(legs[i]->conn);
        }
    session_touch(s);
}

/* ---- from the client ---- */

static enum sift_verdict on_client_message(void *arg, const struct ws_message *m)
{
    struct session *s = arg;
    struct leg *l = session_leg(s);
    if (l != NULL && l->owed.len > 0) { /* what waited for the message before this one goes before this one */
        sift_flush(&s->up);
        leg_pay(l);
    }
    return s->is_stopped ? SIFT_DROP : s->protocol->on_client(s->speaker, m);
}

static void on_client_pass(void *arg, const uint8_t *frames, size_t len)
{
    struct session *s = arg;
    struct leg *l = session_leg(s);
    if (l != NULL)
        conn_write(l->conn, frames, len);
}

static void on_client_ping(void *arg, const uint8_t *payload, size_t len)
{
    session_tell(arg, WS_OPCODE_PONG, payload, len);
}

static void on_client_pong(void *arg, const uint8_t *payload, size_t len)
{
    (void)arg;
    (void)payload;
    (void)len;
}

/* The tunnel has seen a close, and violations, before the sifter can. */
static void on_client_close(void *arg, uint16_t code, const char *reason, size_t len)
{
    (void)arg;
    (void)code;
    (void)reason;
    (void)len;
}

static void on_client_bad(void *arg, uint16_t code, const char *error)
{
    (void)arg;
    (void)code;
    (void)error;
}

static const struct sift_ops client_ops = {.on_message = on_client_message,
                                           .on_pass = on_client_pass,
                                           .on_ping = on_client_ping,
                                           .on_pong = on_client_pong,
                                           .on_close = on_client_close,
                                           .on_bad = on_client_bad};

void session_from_client(struct session *s, const uint8_t *data, size_t len)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    s->is_feeding_up = true;
    sift_feed(&s->up, data, len);
    s->is_feeding_up = false;
    if (s->is_stopped)
        return;
    if (session_leg(s) != NULL)
        leg_pay(s->leg);
    if (session_next_leg(s) != NULL && s->next->restored_ms != 0)
        session_leg_restored(s, s->next); /* it waited for the end of a message */
    session_touch_after_bytes(s);
}

/* What servers say waits for the client with them; what the gateway answers itself, to heartbeats and pings, does not.
 * So who does not read that is not heard any more. */
static bool is_told_enough(const struct session *s)
{
    const struct conn *client = s->tunnel->side[UP];
    return client != NULL && conn_buffered(client) > s->tunnel->route->buffer_bytes + SESSION_SAID_BYTES;
}

bool session_is_full(const struct session *s)
{
    const struct leg *l = session_leg(s);
    return (l != NULL && conn_is_full(l->conn)) || is_told_enough(s);
}

/* ---- time ---- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t due_ms(const struct session *s)
{
    const struct leg *const legs[] = {s->leg, s->next, s->old};
    int64_t due = least(s->protocol->due_ms(s->speaker), s->held_due_ms);
    if (s->retry_ms != 0)
        due = least(due, s->retry_ms);
    if (s->lost_ms != 0 && !s->is_given_up)
        due = least(due, s->lost_ms + session_conf(s)->give_up_ms);
    for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++)
        if (legs[i] != NULL && !legs[i]->is_over)
            due = least(due, leg_due_ms(legs[i]));
    return due;
}

/* The timer is only ever moved forward: what turns out to be due later is found out when it fires. */
void session_touch(struct session *s)
{
    if (s->is_stopped)
        return;
    const int64_t due = due_ms(s), now_ms = session_now_ms(s);
    if (due >= s->timer_due_ms)
        return;
    s->timer_due_ms = due;
    timer_start(&s->timer, due > now_ms ? due - now_ms : 0);
}

/* Bytes make what is due of a leg later, never earlier: only the speaker can have changed its mind. */
void session_touch_after_bytes(struct session *s)
{
    if (!s->is_stopped && s->protocol->due_ms(s->speaker) < s->timer_due_ms)
        session_touch(s);
}

static void on_timer(void *arg)
{
    struct session *s = arg;
    CHECK_OBJ(s, SESSION_MAGIC);
    const int64_t now_ms = session_now_ms(s);
    struct leg *const legs[] = {s->leg, s->next, s->old};
    s->timer_due_ms = INT64_MAX;
    for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++)
        if (legs[i] != NULL && !legs[i]->is_over)
            leg_on_time(legs[i], now_ms);
    if (s->old != NULL && s->old->ends_ms <= now_ms)
        session_end_overlap(s, now_ms);
    held_expire(s, now_ms);
    if (s->protocol->due_ms(s->speaker) <= now_ms)
        s->protocol->on_timer(s->speaker);
    if (s->lost_ms != 0 && !s->is_given_up && now_ms - s->lost_ms >= session_conf(s)->give_up_ms) {
        s->is_given_up = true;
        session_count(s, STAT_ROUTE_SESSION_GIVEN_UP, 1);
        session_note(s, "gave up");
        losses_over(s->tunnel->set->losses, &s->loss, LOSS_GIVEN_UP);
        s->protocol->give_up(s->speaker);
        if (!s->is_stopped && !session_wants_server(s))
            s->lost_ms = 0; /* nothing is missed any more */
    }
    if (s->retry_ms != 0 && s->retry_ms <= now_ms)
        session_seek(s);
    session_touch(s);
}

/* ---- life ---- */

struct session *session_open(struct tunnel *t, const struct tunnel_start *o)
{
    const struct protocol *p = o->origin_ops != NULL ? protocol_of(o->route->protocol) : NULL;
    const struct protocol_hello hello = {.query = o->query, .subprotocol = o->subprotocol};
    struct session *s;
    if (p == NULL)
        return NULL;
    OBJ_NEW(s, SESSION_MAGIC);
    s->tunnel = t;
    s->protocol = p;
    s->opened_ms = session_now_ms(s);
    s->rtt_us = -1;
    s->timer_due_ms = INT64_MAX;
    s->serial = ++t->set->session_count;
    list_init(&s->lost);
    mover_init(&s->mover);
    held_init(s);
    strbuf_init(&s->owed, SESSION_OWED_BYTES);
    later_init(&s->settle, t->set->loop, session_on_settle, s);
    timer_init(&s->timer, t->set->loop, on_timer, s);
    const uint64_t most = t->route->max_message_bytes;
    sift_init(&s->up, WS_SENDER_CLIENT, most, SESSION_LOOK_BYTES < most ? SESSION_LOOK_BYTES : (size_t)most,
              SESSION_TAKE_BYTES < most ? SESSION_TAKE_BYTES : (size_t)most, &client_ops, s);
    s->state = SESSION_CONNECTED;
    s->speaker = p->open(s, &hello);
    if (s->speaker == NULL) {
        sift_fini(&s->up);
        OBJ_FREE(&s, SESSION_MAGIC);
        return NULL;
    }
    session_count(s, state_gauges[s->state], 1);
    s->origin_ops = o->origin_ops;
    s->origin = o->origin;
    if (o->subprotocol.data != NULL)
        s->subprotocol = mem_strndup(o->subprotocol.data, o->subprotocol.len);
    near_put(&t->near, NEAR_SESSION, s, offsetof(struct session, up.frames));
    near_put(&t->near, NEAR_SPEAKER, s->speaker, SPEAKER_HOT_BYTES);
    session_set_leg(s, leg_create(s, o->upstream, o->server));
    s->leg->restored_ms = s->opened_ms;
    session_note_about(s, "opened on", o->server);
    return s;
}

void session_start(struct session *s, const uint8_t *early, size_t len)
{
    leg_start(s->leg, early, len);
    session_touch(s);
}

void session_take_leave(struct session *s, uint16_t code)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    if (s->is_stopped || s->has_left)
        return;
    s->has_left = true;
    if (s->protocol->on_end != NULL)
        s->protocol->on_end(s->speaker, code);
}

void session_rebound(struct session *s)
{
    struct leg *const legs[] = {s->leg, s->next, s->old};
    CHECK_OBJ(s, SESSION_MAGIC);
    for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++)
        if (legs[i] != NULL && !legs[i]->is_over)
            leg_rebound(legs[i], session_now_ms(s));
    session_touch(s);
}

void session_stop(struct session *s, uint16_t code)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    if (s->is_stopped)
        return;
    session_take_leave(s, code);
    s->is_stopped = true;
    session_count(s, state_gauges[s->state], -1);
    losses_over(s->tunnel->set->losses, &s->loss, LOSS_LEFT);
    mover_leave(&s->mover);
    timer_cancel(&s->timer);
    later_cancel(&s->settle);
    sift_stop(&s->up);
    if (s->seek != NULL)
        seek_cancel(&s->seek);
    const uint16_t said =
        code == WS_CLOSE_NO_STATUS || ws_close_code_is_valid_on_wire(code) ? code : WS_CLOSE_GOING_AWAY;
    struct leg **const legs[] = {&s->leg, &s->next, &s->old};
    for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++)
        if (*legs[i] != NULL)
            leg_part(legs[i], said);
}

void session_free(struct session **sp)
{
    struct session *s = *sp;
    CHECK_OBJ(s, SESSION_MAGIC);
    ASSERT(s->is_stopped);
    s->protocol->close(s->speaker);
    held_fini(s);
    strbuf_fini(&s->owed);
    sift_fini(&s->up);
    if (s->avoid != NULL)
        server_unref(&s->avoid);
    s->origin_ops->free(s->origin);
    mem_free(s->subprotocol);
    mem_free(s->end_reason);
    OBJ_FREE(sp, SESSION_MAGIC);
}
