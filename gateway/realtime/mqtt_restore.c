/* Telling another broker what the one before knew: CONNECT, then the subscriptions, then the client's requests and
 * publishes without an answer, then what waited. Each step begins when the one before has been answered, so packet
 * identifiers of ours never meet the client's on the same leg.
 *
 * In a planned move the client's publishes then wait until the old broker has answered a PINGREQ, which proves that it
 * has read those before; only then they go to the new one. What both bring meanwhile is mqtt_feeds.c's.
 *
 * The broker that was lost may have been lost because of something the client said. The oldest publish (and request)
 * it had not answered is the suspect; when a second broker is lost with it, it is not sent to a third. */
#include <string.h>

#include "base/mem.h"
#include "gateway/realtime/mqtt_priv.h"
#include "gateway/ws/close.h"

#define FILTERS_AT_ONCE  8u   /* in one SUBSCRIBE; there are brokers that take no more */
#define COPY_MS          2000 /* servers of one cluster are milliseconds apart */
#define BYE_MS           300  /* the old server of a move delivers a little longer than this */
#define SWITCH_MS        2000 /* publishes wait no longer for the old server's last word */
#define SETTLE_MS        1000 /* longer than the old server of a move delivers */
#define POISON_LOSSES    2u
#define REFUSALS_MAX     2u
#define KEEP_ALIVE_PARTS 1500 /* of a second's thousand: a broker waits for one and a half keep-alives (3.1.2.10) */

/* ---- judgements of brokers ---- */

bool mqtt_is_busy(const struct mqtt *m, uint8_t reason)
{
    return m->level == MQTT_5 ? reason == MQTT_UNAVAILABLE || reason == MQTT_BUSY || reason == MQTT_ANOTHER_SERVER ||
                                    reason == MQTT_SERVER_MOVED || reason == MQTT_RATE_EXCEEDED
                              : reason == 3; /* server unavailable (3.1.1, 3.2.2.3) */
}

/* Reasons of a DISCONNECT that are about the broker. All others are about the client, which has to know. */
static const uint8_t about_server[] = {
    MQTT_SUCCESS,
    MQTT_UNSPECIFIED,
    0x83 /* implementation specific */,
    MQTT_BUSY,
    MQTT_SHUTTING_DOWN,
    MQTT_SILENT,
    MQTT_ANOTHER_SERVER,
    MQTT_SERVER_MOVED,
    MQTT_RATE_EXCEEDED,
    MQTT_TOO_LONG_CONNECTED,
};

bool mqtt_on_server_disconnect(struct mqtt *m, struct leg *from, uint8_t reason)
{
    const bool is_moving = session_next_leg(m->session) != NULL;

    if (from != session_leg(m->session) && !is_moving)
        return false; /* the old one of a move */
    if (m->unrestorable == NULL && (is_moving || memchr(about_server, reason, sizeof about_server) != NULL)) {
        /* Brokers of one cluster may throw a client out of one because it came to another, as it does in a move. */
        leg_fail(from, mqtt_is_busy(m, reason) ? LEG_BUSY : LEG_ANOTHER, "told to disconnect");
        return false;
    }
    mqtt_feeds_deliver(m); /* the client does not listen to what comes behind that */
    m->phase = MQTT_PHASE_LEAVING;
    return true;
}

bool mqtt_on_server_close(void *p, struct leg *from, uint16_t code, const char *reason, size_t len)
{
    struct mqtt *m = p;
    CHECK_OBJ(m, MQTT_MAGIC);
    char text[WS_CLOSE_REASON_BYTES + 1];
    if (from != session_leg(m->session) || (m->phase != MQTT_PHASE_LEAVING && m->unrestorable == NULL))
        return false;
    const size_t copied = len < sizeof text ? len : sizeof text - 1;
    if (copied > 0)
        memcpy(text, reason, copied);
    text[copied] = '\0';
    m->phase = MQTT_PHASE_LEAVING;
    session_end(m->session, ws_close_code_is_valid_on_wire(code) ? code : WS_CLOSE_NORMAL, text);
    return true;
}

/* One that does not want what the others had: somebody else may. When it is not the only one, it is right. */
static void refused(struct mqtt *m, struct leg *from, const char *why)
{
    session_count(m->session, STAT_ROUTE_SESSION_RESTORES_FAILED, 1);
    if (++m->refused_count >= REFUSALS_MAX && from == session_leg(m->session))
        session_end(m->session, WS_CLOSE_POLICY, why);
    leg_fail(from, LEG_BUSY, why);
}

/* ---- restoring ---- */

uint32_t mqtt_restore_cost(const void *p)
{
    const struct mqtt *m = p;
    return m->topic_count > 0 ? m->topic_count : 1;
}

/* Sends again what was sent on legs that are gone. */
static void resend_flights(struct mqtt *m, struct leg *to)
{
    const uint32_t epoch = leg_epoch(to);
    LIST_EACH (it, &m->flights) {
        struct mqtt_flight *f = LIST_ENTRY(it, struct mqtt_flight, link);
        if (f->epoch == epoch)
            continue;
        if (f->state == MQTT_FLIGHT_HAD)
            f->state = MQTT_FLIGHT_OURS;
        if (f->state != MQTT_FLIGHT_SENT || f->len == 0)
            continue;
        f->epoch = epoch;
        f->packet[0] |= MQTT_FLAG_DUP;
        mqtt_say(m, to, f->packet, f->len);
        session_count(m->session, STAT_ROUTE_SESSION_RESENT, 1);
    }
}

static void repeat_asks(struct mqtt *m, struct leg *to)
{
    LIST_EACH (it, &m->asks) {
        const struct mqtt_ask *a = LIST_ENTRY(it, struct mqtt_ask, link);
        mqtt_say(m, to, a->packet, a->len);
    }
}

void mqtt_send_held(struct mqtt *m, struct leg *to)
{
    struct held *h;
    struct mqtt_packet p;
    struct mqtt_publish publish;

    while ((h = session_first_held(m->session, MQTT_LANE)) != NULL) {
        h = session_take_held(m->session, h);
        if (mqtt_packet_read(&p, h->data, h->note_bytes) == MQTT_READ_OK &&
            mqtt_publish_read(&publish, &p, (enum mqtt_level)m->level)) {
            if (publish.qos > 0)
                mqtt_flight_add(m, &publish, p.whole, leg_epoch(to));
            mqtt_say(m, to, h->data, h->note_bytes);
        }
        held_free(&h);
    }
}

static void lose_debts(struct mqtt *m, uint32_t epoch)
{
    for (uint32_t i = 0; i < m->debt_count;) {
        struct mqtt_debt *d = &m->debts[i];
        if (d->epoch != epoch || d->state == MQTT_DEBT_REC) {
            i++;
        } else if (d->state == MQTT_DEBT_REL) { /* the client has it and waits for leave to deliver it */
            d->state = MQTT_DEBT_COMP;
            mqtt_tell_ack(m, MQTT_PUBREL, d->packet_id, MQTT_SUCCESS);
            i++;
        } else {
            mqtt_debt_remove(m, d);
        }
    }
}

/* The old server of a move does not deliver any more. */
static void settle_move(struct mqtt *m)
{
    struct leg *l = mqtt_live_leg(m);
    if (m->settle_ms == 0)
        return;
    m->settle_ms = 0;
    m->drops_retained = false;
    mqtt_feeds_deliver(m);
    lose_debts(m, m->old_epoch);
    if (m->dedup != NULL)
        dedup_end(m->dedup, DEDUP_OLD);
    if (l != NULL)
        resend_flights(m, l);
}

/* From here on copies are told. Before the next broker has the subscriptions, because it may be the later of the two
 * with what happened just before. */
static void begin_move(struct mqtt *m, const struct leg *to)
{
    settle_move(m);
    m->new_epoch = leg_epoch(to);
    if (m->dedup != NULL)
        dedup_destroy(&m->dedup);
    m->dedup = dedup_create(COPY_MS, DEDUP_COUNT_MAX);
    m->drops_retained = m->level == MQTT_3_1_1;
}

void mqtt_restore(void *p, struct leg *to)
{
    struct mqtt *m = p;
    CHECK_OBJ(m, MQTT_MAGIC);
    if (m->unrestorable != NULL || m->phase == MQTT_PHASE_LEAVING) {
        session_end(m->session, WS_CLOSE_SERVICE_RESTART, m->unrestorable != NULL ? m->unrestorable : "");
        return;
    }
    struct mqtt_wire *w = mqtt_wire_of(m, to);
    if (m->phase == MQTT_PHASE_NEW) {
        leg_restored(to);
        return;
    }
    if (to == session_next_leg(m->session))
        begin_move(m, to);
    w->state = MQTT_WIRE_GREETING;
    w->keep_alive_s = m->keep_alive_s;
    w->restore_by_ms = session_now_ms(m->session) + session_conf(m->session)->answer_ms;
    if (m->assigned_id.len == 0) {
        mqtt_say(m, to, m->connect.data, m->connect.len);
        return;
    }
    /* The name the first broker gave the client; it knows no other. */
    struct mqtt_packet packet;
    struct mqtt_connect c;
    struct strbuf out;
    strbuf_init(&out, 4 * MQTT_RECORD_BYTES);
    if (mqtt_packet_read(&packet, (const uint8_t *)m->connect.data, m->connect.len) == MQTT_READ_OK &&
        mqtt_connect_read(&c, &packet)) {
        mqtt_connect_write(&out, &c, (struct mqtt_view){(const uint8_t *)m->assigned_id.data, m->assigned_id.len});
        mqtt_say(m, to, out.data, out.len);
    }
    strbuf_fini(&out);
}

static void live(struct mqtt *m, struct leg *leg)
{
    struct mqtt_wire *w = mqtt_wire_of(m, leg);
    if (w->filter_changes != m->filter_changes) {
        leg_fail(leg, LEG_ANOTHER, "subscriptions changed meanwhile"); /* and it does not know how */
        return;
    }
    if (m->unrestorable != NULL) {
        leg_fail(leg, LEG_ANOTHER, m->unrestorable); /* which came to be while it was waited for */
        return;
    }
    w->state = MQTT_WIRE_LIVE;
    m->refused_count = 0;
    if (leg == session_leg(m->session)) {
        repeat_asks(m, leg);
        resend_flights(m, leg);
        mqtt_send_held(m, leg);
    }
    leg_restored(leg);
}

/* It has everything. */
static void be_ready(struct mqtt *m, struct leg *leg)
{
    struct mqtt_wire *w = mqtt_wire_of(m, leg);
    struct leg *here = mqtt_live_leg(m);
    if (here == NULL || m->phase != MQTT_PHASE_OPEN || w->filter_changes != m->filter_changes) {
        live(m, leg);
        return;
    }
    w->state = MQTT_WIRE_READY;
    w->restore_by_ms = session_now_ms(m->session) + SWITCH_MS;
    mqtt_say_ping(m, here);
}

void mqtt_pinged(struct mqtt *m, const struct leg *from)
{
    if (from == session_leg(m->session) && mqtt_is_switching(m))
        live(m, session_next_leg(m->session));
}

/* The next of our packet identifiers, downwards, that is none of the client's. */
static uint16_t own_id(struct mqtt *m, uint16_t last)
{
    uint16_t id = (uint16_t)(last - 1);
    while (id > 1 && (mqtt_ask_find(m, id, MQTT_SUBSCRIBE) != NULL || mqtt_ask_find(m, id, MQTT_UNSUBSCRIBE) != NULL))
        id--;
    return id;
}

static void fill(struct mqtt *m, struct leg *to, struct mqtt_wire *w)
{
    struct strbuf out;
    struct list *it = m->topics.next;
    const bool is_move = m->level == MQTT_5 && to == session_next_leg(m->session);

    strbuf_init(&out, SIZE_MAX / 2); /* bounded by what is recorded */
    w->filter_changes = m->filter_changes;
    w->state = MQTT_WIRE_FILLING;
    w->own_id = 0;
    while (it != &m->topics) {
        struct mqtt_filter filters[FILTERS_AT_ONCE];
        size_t count = 0;
        const uint32_t identifier = LIST_ENTRY(it, struct mqtt_topic, link)->identifier;
        for (; it != &m->topics && count < FILTERS_AT_ONCE; it = it->next) {
            const struct mqtt_topic *t = LIST_ENTRY(it, struct mqtt_topic, link);
            if (t->identifier != identifier)
                break;
            const uint8_t options =
                is_move ? (uint8_t)((t->options & ~MQTT_RETAIN_MASK) | MQTT_RETAIN_NEVER) : t->options;
            filters[count++] = (struct mqtt_filter){.text = {t->text, t->len}, .options = options};
        }
        w->own_id = own_id(m, w->own_id);
        w->missing_count++;
        mqtt_subscribe_write(&out, (enum mqtt_level)m->level, w->own_id, identifier, filters, count);
    }
    session_count(m->session, STAT_ROUTE_SESSION_RESTORES, m->topic_count);
    mqtt_say(m, to, out.data, out.len);
    strbuf_fini(&out);
    if (w->missing_count == 0)
        be_ready(m, to);
}

void mqtt_greeted(struct mqtt *m, struct leg *from, const struct mqtt_connack *c)
{
    struct mqtt_wire *w = mqtt_wire_of(m, from);
    if (mqtt_is_busy(m, c->reason)) {
        session_count(m->session, STAT_ROUTE_SESSION_RESTORES_FAILED, 1);
        leg_fail(from, LEG_BUSY, "the broker is busy");
    } else if (c->reason != MQTT_SUCCESS) {
        refused(m, from, "the broker refused the client");
    } else {
        if (c->has_keep_alive)
            w->keep_alive_s = c->keep_alive_s;
        fill(m, from, w);
    }
}

void mqtt_filled(struct mqtt *m, struct leg *from, const struct mqtt_suback *a)
{
    struct mqtt_wire *w = mqtt_wire_of(m, from);
    for (size_t i = 0; i < a->codes.len; i++)
        if (a->codes.data[i] >= MQTT_UNSPECIFIED) {
            refused(m, from, "the broker refused a subscription");
            return;
        }
    if (--w->missing_count == 0)
        be_ready(m, from);
}

/* ---- losing ---- */

static void poisoned(struct mqtt *m, struct mqtt_flight *f)
{
    session_count(m->session, STAT_ROUTE_SESSION_POISONED, 1);
    session_note(m->session, "dropped a publish after which two brokers were lost");
    mqtt_tell_ack(m, f->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, f->packet_id, MQTT_UNSPECIFIED);
    if (f->qos == 2 && m->level != MQTT_5) { /* for which that was no refusal */
        mqtt_flight_had(m, f);
        LIST_ENTRY(m->flights.next, struct mqtt_flight, link)->state = MQTT_FLIGHT_OURS;
        return;
    }
    mqtt_flight_remove(m, f);
}

static void suspect_ask(struct mqtt *m)
{
    if (list_is_empty(&m->asks))
        return;
    struct mqtt_ask *a = LIST_ENTRY(m->asks.next, struct mqtt_ask, link);
    if (++a->loss_count < POISON_LOSSES)
        return;
    struct strbuf out;
    strbuf_init(&out, SIZE_MAX / 2);
    mqtt_refusal_write(&out, a->type == MQTT_SUBSCRIBE ? MQTT_SUBACK : MQTT_UNSUBACK, (enum mqtt_level)m->level,
                       a->packet_id, a->filter_count);
    mqtt_tell(m, &out);
    session_count(m->session, STAT_ROUTE_SESSION_POISONED, 1);
    mqtt_ask_remove(m, a);
}

static void lose_flights(struct mqtt *m, uint32_t epoch)
{
    bool is_first = true;
    LIST_EACH (it, &m->flights) {
        struct mqtt_flight *f = LIST_ENTRY(it, struct mqtt_flight, link);
        if (f->epoch != epoch)
            continue;
        if (f->state == MQTT_FLIGHT_HAD) {
            session_count(m->session, STAT_ROUTE_SESSION_UNKNOWN, 1);
            f->state = MQTT_FLIGHT_OURS;
            if (f->is_released) {
                mqtt_tell_ack(m, MQTT_PUBCOMP, f->packet_id, MQTT_SUCCESS);
                mqtt_flight_remove(m, f);
            }
        } else if (is_first) {
            is_first = false;
            if (++f->loss_count >= POISON_LOSSES)
                poisoned(m, f);
        }
    }
}

static void lose_current(struct mqtt *m, uint32_t epoch, bool was_live)
{
    if (m->phase == MQTT_PHASE_LEAVING) {
        session_end(m->session, WS_CLOSE_NORMAL, "");
    } else if (m->unrestorable != NULL) {
        session_end(m->session, WS_CLOSE_SERVICE_RESTART, m->unrestorable);
    } else if (m->unkept_count > 0) {
        session_end(m->session, WS_CLOSE_SERVICE_RESTART, "too much was in flight");
    } else if (session_conf(m->session)->gap == GAP_REJOIN && m->topic_count > 0 && was_live) {
        session_count(m->session, STAT_ROUTE_SESSION_GAPS, 1);
        session_end(m->session, WS_CLOSE_SERVICE_RESTART, "messages may be missing");
    } else {
        lose_flights(m, epoch);
        if (was_live)
            suspect_ask(m);
    }
}

/* What waits of two servers, of which one is gone now. Of the next one it comes from the present one as well; else
 * nobody brings it any more, and also what was brought by the one that is gone now is told: sent again it will not be,
 * for to any other broker the client is new. What it owes for that goes to nobody, like all debts to the lost. */
static void lose_move(struct mqtt *m)
{
    struct leg *here = mqtt_live_leg(m);
    if (session_leg(m->session) != NULL)
        ahead_drop(&m->ahead);
    else
        mqtt_feeds_deliver(m);
    if (here != NULL)
        mqtt_send_held(m, here);   /* which waited for the next one */
    else if (mqtt_is_switching(m)) /* nobody else says a word any more */
        mqtt_wire_of(m, session_next_leg(m->session))->restore_by_ms = session_now_ms(m->session);
}

void mqtt_on_lost(void *p, struct leg *leg)
{
    struct mqtt *m = p;
    CHECK_OBJ(m, MQTT_MAGIC);
    struct mqtt_wire *w = mqtt_wire_of(m, leg);
    const bool was_live = w->state == MQTT_WIRE_LIVE;
    const uint32_t epoch = w->epoch;

    strbuf_fini(&w->part);
    *w = (struct mqtt_wire){0};
    lose_move(m);
    lose_debts(m, epoch);
    if (m->dedup != NULL && session_leg(m->session) == NULL && session_next_leg(m->session) != NULL)
        dedup_end(m->dedup, DEDUP_OLD);
    else if (m->dedup != NULL)
        dedup_destroy(&m->dedup);
    m->drops_retained = false;
    if (session_leg(m->session) == NULL)
        lose_current(m, epoch, was_live);
}

void mqtt_on_moved(void *p, struct leg *old)
{
    struct mqtt *m = p;
    CHECK_OBJ(m, MQTT_MAGIC);
    struct leg *now = session_leg(m->session);

    mqtt_wire_of(m, old)->state = MQTT_WIRE_LIVE; /* nothing is waited for there */
    if (m->phase == MQTT_PHASE_NEW || now == NULL)
        return;
    repeat_asks(m, now);
    mqtt_send_held(m, now);
    m->old_epoch = leg_epoch(old);
    m->bye_ms = session_now_ms(m->session) + BYE_MS;
    m->settle_ms = session_now_ms(m->session) + SETTLE_MS;
}

/* ---- time ---- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_restoring(const struct mqtt_wire *w)
{
    return w->epoch != 0 && w->state > MQTT_WIRE_NEW && w->state < MQTT_WIRE_LIVE;
}

static int64_t silent_at_ms(const struct mqtt *m)
{
    const bool counts = m->keep_alive_s > 0 && (m->phase == MQTT_PHASE_CONNECTING || m->phase == MQTT_PHASE_OPEN);
    return counts ? m->heard_ms + (int64_t)m->keep_alive_s * KEEP_ALIVE_PARTS : INT64_MAX;
}

/* The server must hear something in every keep-alive, and the client's own PINGREQs end here. */
static int64_t ping_at_ms(const struct mqtt *m, const struct mqtt_wire *w)
{
    const bool counts = w->epoch != 0 && w->state == MQTT_WIRE_LIVE && w->keep_alive_s > 0;
    return counts && m->phase != MQTT_PHASE_BLIND ? w->said_ms + (int64_t)w->keep_alive_s * 1000 : INT64_MAX;
}

static const struct mqtt_wire *wire_at(const struct mqtt *m, const struct leg *l)
{
    for (uint32_t i = 0; l != NULL && i < MQTT_WIRE_COUNT; i++)
        if (m->wires[i].epoch == leg_epoch(l))
            return &m->wires[i];
    return NULL;
}

bool mqtt_is_switching(const struct mqtt *m)
{
    const struct mqtt_wire *next = wire_at(m, session_next_leg(m->session));
    return next != NULL && next->state == MQTT_WIRE_READY;
}

int64_t mqtt_due_ms(const void *p)
{
    const struct mqtt *m = p;
    const struct mqtt_wire *current = wire_at(m, session_leg(m->session));
    int64_t due = least(silent_at_ms(m), mqtt_feeds_due_ms(m));

    for (uint32_t i = 0; i < MQTT_WIRE_COUNT; i++)
        if (is_restoring(&m->wires[i]))
            due = least(due, m->wires[i].restore_by_ms);
    if (current != NULL)
        due = least(due, ping_at_ms(m, current));
    if (m->bye_ms != 0)
        due = least(due, m->bye_ms);
    return m->settle_ms != 0 ? least(due, m->settle_ms) : due;
}

static void say_disconnect(struct mqtt *m, struct leg *to)
{
    static const uint8_t disconnect[] = {MQTT_DISCONNECT << 4, 0};
    mqtt_say(m, to, disconnect, sizeof disconnect);
}

/* Or the old server would publish the will. Not earlier: what it has and the new one had before it knew the client,
 * only the old one brings. */
static void say_bye_to_old(struct mqtt *m)
{
    struct leg *old = session_old_leg(m->session);
    if (m->bye_ms != 0 && old != NULL)
        say_disconnect(m, old);
    m->bye_ms = 0;
}

void mqtt_say_bye(struct mqtt *m)
{
    struct leg *next = session_next_leg(m->session);
    if (next != NULL && mqtt_wire_of(m, next)->state != MQTT_WIRE_NEW)
        say_disconnect(m, next);
    say_bye_to_old(m);
}

static void check_client(struct mqtt *m, int64_t now_ms)
{
    const struct leg *l = session_leg(m->session);
    if (now_ms < silent_at_ms(m))
        return;
    if (l != NULL && leg_buffered(l) > 0) { /* it may have said much that nobody takes */
        m->heard_ms = now_ms;
        return;
    }
    m->bye = MQTT_SILENT;
    m->keep_alive_s = 0;
    session_end(m->session, WS_CLOSE_POLICY, "silent for longer than its keep-alive");
}

void mqtt_on_timer(void *p)
{
    struct mqtt *m = p;
    CHECK_OBJ(m, MQTT_MAGIC);
    const int64_t now_ms = session_now_ms(m->session);
    struct leg *const legs[] = {session_leg(m->session), session_next_leg(m->session)};

    check_client(m, now_ms);
    for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++) {
        struct mqtt_wire *w = legs[i] != NULL ? mqtt_wire_of(m, legs[i]) : NULL;
        if (w != NULL && w->state == MQTT_WIRE_READY && now_ms >= w->restore_by_ms) {
            live(m, legs[i]);
        } else if (w != NULL && is_restoring(w) && now_ms >= w->restore_by_ms) {
            w->state = MQTT_WIRE_NEW;
            leg_fail(legs[i], LEG_ANOTHER, "no answer to what was restored");
        } else if (i == 0 && w != NULL && now_ms >= ping_at_ms(m, w)) {
            mqtt_say_ping(m, legs[i]);
        }
    }
    mqtt_feeds_on_time(m);
    if (now_ms >= m->bye_ms)
        say_bye_to_old(m);
    if (now_ms >= m->settle_ms)
        settle_move(m);
}
