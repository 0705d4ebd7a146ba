/* MQTT packets one by one: which of them pass, what is remembered of them, and what is answered in the other side's
 * place. */
#include "gateway/realtime/mqtt_priv.h"

#include "base/mem.h"
#include "gateway/ws/close.h"

#define SMALL_BYTES 64u

/* ---- packets of the client; true: it passes as it is. What goes in its place is added to `out` ---- */

static bool up_connect(struct mqtt *m, const struct mqtt_packet *p, struct strbuf *out)
{
    struct leg *l = session_leg(m->session);
    struct mqtt_connect c;

    if (m->phase != MQTT_PHASE_NEW || !mqtt_connect_read(&c, p)) {
        mqtt_end_broken(m, "bad CONNECT");
        return false;
    }
    m->phase = MQTT_PHASE_CONNECTING;
    m->keep_alive_s = c.keep_alive_s;
    m->level = c.level == MQTT_5 ? MQTT_5 : MQTT_3_1_1;
    if (c.level != MQTT_3_1_1 && c.level != MQTT_5)
        m->unrestorable = "a version that is not spoken";
    else if (!c.is_clean || c.session_expiry_s > 0)
        m->unrestorable = "its state is with the broker";
    else if (c.has_auth_method)
        m->unrestorable = "authenticated step by step";
    else if (p->whole.len > MQTT_RECORD_BYTES)
        m->unrestorable = "CONNECT is too long";
    else
        mqtt_connect_write(&m->connect, &c, c.client_id);
    if (l == NULL) { /* it is sent when there is a server */
        if (m->unrestorable != NULL)
            session_end(m->session, WS_CLOSE_SERVICE_RESTART, m->unrestorable);
        session_wants_changed(m->session);
        return false;
    }
    struct mqtt_wire *w = mqtt_wire_of(m, l);
    w->state = MQTT_WIRE_LIVE;
    w->keep_alive_s = m->keep_alive_s;
    if (m->unrestorable != NULL || !c.has_topic_aliases)
        return true;
    strbuf_add(out, m->connect.data, m->connect.len);
    return false;
}

/* Whether a publish waits for the end of a planned move. Nothing may be dropped for that: when there is no room, what
 * waits goes to the old server after all, which is asked once more whether it has read it. */
static bool waits_for_move(struct mqtt *m, struct leg *here, size_t len)
{
    if (!mqtt_is_switching(m)) {
        if (session_has_held(m->session))
            mqtt_send_held(m, here); /* for a move that is off, which nobody has been told yet */
        return false;
    }
    if (!session_can_hold(m->session, len) && session_has_held(m->session)) {
        mqtt_send_held(m, here);
        mqtt_say_ping(m, here);
    }
    return session_can_hold(m->session, len);
}

static bool up_publish(struct mqtt *m, const struct mqtt_packet *p, struct strbuf *out)
{
    struct leg *l = mqtt_live_leg(m);
    struct mqtt_publish publish;
    const struct ws_message none = {.opcode = WS_OPCODE_BINARY, .is_whole = true, .frames = p->whole.data};
    (void)out;

    if (!mqtt_publish_read(&publish, p, (enum mqtt_level)m->level)) {
        mqtt_end_broken(m, "bad PUBLISH");
        return false;
    }
    if (l == NULL || waits_for_move(m, l, p->whole.len)) {
        session_hold(m->session, &none, MQTT_LANE, INT64_MAX, p->whole.data, p->whole.len);
        return false;
    }
    if (publish.qos > 0)
        mqtt_flight_add(m, &publish, p->whole, leg_epoch(l));
    return true;
}

/* PUBACK, PUBREC and PUBCOMP: they go to the server that is owed them, or to nobody. */
static bool up_ack(struct mqtt *m, const struct mqtt_packet *p, struct strbuf *out)
{
    const enum mqtt_debt_state state = p->type == MQTT_PUBACK   ? MQTT_DEBT_ACK
                                       : p->type == MQTT_PUBREC ? MQTT_DEBT_REC
                                                                : MQTT_DEBT_COMP;
    const struct leg *current = session_leg(m->session);
    struct mqtt_ack ack;
    (void)out;

    if (!mqtt_ack_read(&ack, p)) {
        mqtt_end_broken(m, "bad acknowledgement");
        return false;
    }
    struct mqtt_debt *d = mqtt_debt_find(m, 0, ack.packet_id, state);
    if (d == NULL)
        return m->unrestorable != NULL && mqtt_live_leg(m) != NULL; /* it may be from a connection before this one */
    struct leg *to = mqtt_leg_of(m, d->epoch);
    if (p->type != MQTT_PUBREC || ack.reason >= MQTT_UNSPECIFIED) {
        mqtt_debt_remove(m, d);
    } else if (to != NULL) {
        d->state = MQTT_DEBT_REL;
    } else { /* the server that would say PUBREL is gone */
        d->state = MQTT_DEBT_COMP;
        mqtt_tell_ack(m, MQTT_PUBREL, ack.packet_id, MQTT_SUCCESS);
    }
    if (to != NULL && to != current)
        mqtt_say(m, to, p->whole.data, p->whole.len);
    return to != NULL && to == current;
}

static bool up_pubrel(struct mqtt *m, const struct mqtt_packet *p, struct strbuf *out)
{
    const struct leg *l = mqtt_live_leg(m);
    struct mqtt_ack ack;
    (void)out;

    if (!mqtt_ack_read(&ack, p)) {
        mqtt_end_broken(m, "bad PUBREL");
        return false;
    }
    struct mqtt_flight *f = mqtt_flight_find(m, ack.packet_id);
    struct leg *to = f != NULL && f->state == MQTT_FLIGHT_HAD ? mqtt_leg_of(m, f->epoch) : NULL;
    if (to != NULL)
        f->is_released = true;
    if (to != NULL && to != l)
        mqtt_say(m, to, p->whole.data, p->whole.len);
    if (to != NULL || (f == NULL && l != NULL))
        return to == l || f == NULL;
    mqtt_tell_ack(m, MQTT_PUBCOMP, ack.packet_id, MQTT_SUCCESS);
    if (f != NULL)
        mqtt_flight_remove(m, f);
    return false;
}

/* SUBSCRIBE and UNSUBSCRIBE. */
static bool up_ask(struct mqtt *m, const struct mqtt_packet *p, struct strbuf *out)
{
    struct mqtt_filters f;
    (void)out;

    if (!mqtt_filters_read(&f, p, (enum mqtt_level)m->level)) {
        mqtt_end_broken(m, "bad SUBSCRIBE");
        return false;
    }
    m->drops_retained = false; /* what it asks for now may be retained */
    if (!mqtt_ask_add(m, p, &f))
        m->unrestorable = "too many subscriptions";
    if (mqtt_live_leg(m) != NULL)
        return true;
    if (m->unrestorable != NULL)
        session_end(m->session, WS_CLOSE_SERVICE_RESTART, m->unrestorable);
    return false;
}

static bool up_ping(struct mqtt *m, const struct mqtt_packet *p, struct strbuf *out)
{
    struct strbuf pong;
    (void)p;
    (void)out;

    strbuf_init(&pong, SMALL_BYTES);
    mqtt_ping_write(&pong, MQTT_PINGRESP);
    mqtt_tell(m, &pong);
    session_count(m->session, STAT_ROUTE_SESSION_BEATS, 1);
    return false;
}

static bool up_disconnect(struct mqtt *m, const struct mqtt_packet *p, struct strbuf *out)
{
    struct leg *l = mqtt_live_leg(m);
    (void)p;
    (void)out;
    m->phase = MQTT_PHASE_LEAVING;
    mqtt_say_bye(m);
    if (l != NULL)
        mqtt_send_held(m, l); /* which waits for a move, and there will be none */
    return l != NULL;
}

static bool up_auth(struct mqtt *m, const struct mqtt_packet *p, struct strbuf *out)
{
    (void)p;
    (void)out;
    return mqtt_live_leg(m) != NULL;
}

/* ---- packets of servers ---- */

static bool down_connack(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out)
{
    struct mqtt_wire *w = mqtt_wire_of(m, from);
    struct mqtt_connack c;

    if (!mqtt_connack_read(&c, p, (enum mqtt_level)m->level) || w->state == MQTT_WIRE_NEW) {
        leg_fail(from, LEG_ANOTHER, "bad CONNACK");
        return false;
    }
    const bool is_first = m->phase == MQTT_PHASE_CONNECTING;
    if (is_first && mqtt_is_busy(m, c.reason) && m->unrestorable == NULL) {
        leg_fail(from, LEG_BUSY, "the broker is busy");
        return false;
    }
    if (is_first) {
        m->phase = c.reason == MQTT_SUCCESS ? MQTT_PHASE_OPEN : MQTT_PHASE_LEAVING;
        if (c.has_keep_alive)
            m->keep_alive_s = w->keep_alive_s = c.keep_alive_s;
        if (c.assigned_id.len > 0)
            strbuf_add(&m->assigned_id, c.assigned_id.data, c.assigned_id.len);
    }
    if (w->state == MQTT_WIRE_GREETING && m->phase == MQTT_PHASE_OPEN)
        mqtt_greeted(m, from, &c);
    if (!is_first || !c.has_topic_aliases || m->unrestorable != NULL)
        return is_first;
    mqtt_connack_write(out, &c);
    return false;
}

static bool down_publish(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out)
{
    struct mqtt_publish publish;
    (void)out;

    if (!mqtt_publish_read(&publish, p, (enum mqtt_level)m->level)) {
        leg_fail(from, LEG_ANOTHER, "bad PUBLISH");
        return false;
    }
    if (from != session_leg(m->session) && from != session_next_leg(m->session) && m->settle_ms == 0)
        return false; /* from the old one, after its time */
    if (m->phase == MQTT_PHASE_LEAVING)
        return false; /* behind the last word of one side */
    return mqtt_feeds_take(m, from, p, &publish);
}

/* PUBACK, PUBREC and PUBCOMP. Those of a leg that the publish is no longer on are late, and do not count. */
static bool down_ack(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out)
{
    struct mqtt_ack ack;
    (void)out;

    if (!mqtt_ack_read(&ack, p)) {
        leg_fail(from, LEG_ANOTHER, "bad acknowledgement");
        return false;
    }
    struct mqtt_flight *f = mqtt_flight_find(m, ack.packet_id);
    if (f == NULL)
        return m->unrestorable != NULL; /* it may be from a connection before this one */
    if (f->epoch != leg_epoch(from))
        return false;
    if (p->type == MQTT_PUBREC && f->qos == 2 && ack.reason < MQTT_UNSPECIFIED)
        mqtt_flight_had(m, f);
    else
        mqtt_flight_remove(m, f);
    return true;
}

static bool down_pubrel(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out)
{
    struct mqtt_ack ack;
    (void)out;

    if (!mqtt_ack_read(&ack, p)) {
        leg_fail(from, LEG_ANOTHER, "bad PUBREL");
        return false;
    }
    struct mqtt_debt *d = mqtt_debt_find(m, leg_epoch(from), ack.packet_id, MQTT_DEBT_REL);
    if (d == NULL && m->unrestorable != NULL)
        return true; /* it may be from a connection before this one */
    if (d == NULL) {
        mqtt_say_ack(m, from, MQTT_PUBCOMP, ack.packet_id);
        return false;
    }
    d->state = MQTT_DEBT_COMP;
    return true;
}

/* SUBACK and UNSUBACK. */
static bool down_suback(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out)
{
    const enum mqtt_type type = p->type == MQTT_SUBACK ? MQTT_SUBSCRIBE : MQTT_UNSUBSCRIBE;
    const struct mqtt_wire *w = mqtt_wire_of(m, from);
    struct mqtt_suback a;
    (void)out;

    if (!mqtt_suback_read(&a, p, (enum mqtt_level)m->level)) {
        leg_fail(from, LEG_ANOTHER, "bad SUBACK");
        return false;
    }
    if (w->state == MQTT_WIRE_FILLING) {
        if (a.packet_id >= w->own_id)
            mqtt_filled(m, from, &a);
        return false;
    }
    struct mqtt_ask *ask = mqtt_ask_find(m, a.packet_id, type);
    if (ask == NULL)
        return m->unrestorable != NULL;
    mqtt_ask_settle(m, ask, &a);
    return true;
}

static bool down_pong(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out)
{
    struct mqtt_wire *w = mqtt_wire_of(m, from);
    (void)p;
    (void)out;
    leg_beat_answered(from);
    if (w->ping_count > 0 && --w->ping_count == 0)
        mqtt_pinged(m, from);
    return false;
}

static bool down_disconnect(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out)
{
    (void)out;
    return mqtt_on_server_disconnect(m, from, mqtt_disconnect_reason(p));
}

static bool down_auth(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out)
{
    (void)p;
    (void)out;
    return from == session_leg(m->session);
}

typedef bool up_fn(struct mqtt *m, const struct mqtt_packet *p, struct strbuf *out);
typedef bool down_fn(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out);

/* Who may say what (section 2.1.2). */
static const struct {
    up_fn *up;
    down_fn *down;
} handlers[] = {
    [MQTT_CONNECT] = {.up = up_connect},
    [MQTT_CONNACK] = {.down = down_connack},
    [MQTT_PUBLISH] = {.up = up_publish, .down = down_publish},
    [MQTT_PUBACK] = {.up = up_ack, .down = down_ack},
    [MQTT_PUBREC] = {.up = up_ack, .down = down_ack},
    [MQTT_PUBREL] = {.up = up_pubrel, .down = down_pubrel},
    [MQTT_PUBCOMP] = {.up = up_ack, .down = down_ack},
    [MQTT_SUBSCRIBE] = {.up = up_ask},
    [MQTT_SUBACK] = {.down = down_suback},
    [MQTT_UNSUBSCRIBE] = {.up = up_ask},
    [MQTT_UNSUBACK] = {.down = down_suback},
    [MQTT_PINGREQ] = {.up = up_ping},
    [MQTT_PINGRESP] = {.down = down_pong},
    [MQTT_DISCONNECT] = {.up = up_disconnect, .down = down_disconnect},
    [MQTT_AUTH] = {.up = up_auth, .down = down_auth},
};
_Static_assert(sizeof handlers / sizeof handlers[0] == MQTT_AUTH + 1, "one row per type");

enum mqtt_judgement mqtt_judge(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, struct strbuf *out)
{
    const bool has_begun = m->phase != MQTT_PHASE_NEW;
    up_fn *up = handlers[p->type].up;
    down_fn *down = handlers[p->type].down;

    if (from != NULL && down != NULL && has_begun)
        return down(m, from, p, out) ? MQTT_PASSES : MQTT_STAYS;
    if (from == NULL && up != NULL && has_begun == (p->type != MQTT_CONNECT))
        return up(m, p, out) ? MQTT_PASSES : MQTT_STAYS;
    return MQTT_OUT_OF_PLACE;
}
