/* MQTT 3.1.1 and 5.0 over WebSockets. What is kept for the client when its broker dies, and what cannot be:
 *
 * - Sessions with clean session (3.1.1) or clean start and no session expiry (5.0) are restored: CONNECT, then the
 *   subscriptions that were granted. Others live in their broker's store, and so do those that authenticate step by
 *   step (AUTH): they are watched, but when their broker is lost the client is closed with 1012.
 * - QoS 0: at most once; what waits for a broker is sent when there is one. QoS 1: at least once; sent again with DUP
 *   until a broker acknowledges it. QoS 2 upwards: what was not PUBREC'd is sent again; what was, counts as delivered,
 *   so a broker that dies between PUBREC and PUBREL takes it along. Downwards: the gateway finishes what the lost
 *   broker began, so the client delivers it once.
 * - Retained messages come again with the restored subscriptions, as they do after any reconnect; they bring what
 *   changed meanwhile. In a planned move there is no meanwhile, and they do not.
 * - Order per topic, in a planned move: what the new broker brings waits until the old one has brought it too, for half
 *   a second at most; and the client's publishes go to the new one when the old one has read those before (it answers a
 *   PINGREQ), or does not answer for two seconds.
 * - Wills: the lost broker, if it lives, takes the client for dead and publishes its will. That cannot be prevented.
 *   In a planned move the old broker is told DISCONNECT, and does not.
 * - Topic aliases are of one connection, so neither side is allowed any. Receive maximum, maximum packet size, and what
 *   else the first CONNACK promised may be less elsewhere; a broker that is asked for too much will say so.
 * - A broker of 3.1.1 does not say that another client took over the identifier; two that share one throw each other
 *   out through the gateway as they would without it.
 * - MQTT has no word for a gap, nor for waiting: gap=notice tells nothing, gap=rejoin and give_up close the client.
 *
 * The hard part: a WebSocket message may hold several packets, or a piece of one. Only whole packets are sent on, or a
 * server that dies in the middle of one would tear the client's stream. A message of whole packets that all pass, which
 * is nearly every one, passes as it came; of any other the packets that pass are put into one of our own. */
#include "gateway/realtime/mqtt_priv.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/realtime/protocol_rows.h"
#include "gateway/ws/close.h"

#define SMALL_BYTES     64u
#define BLIND_SILENT_MS ((int64_t)365 * 24 * 3600 * 1000)

/* ---- saying something ---- */

void mqtt_tell(struct mqtt *m, struct strbuf *packet)
{
    ASSERT(!packet->failed);
    if (packet->len > 0)
        session_tell(m->session, WS_OPCODE_BINARY, packet->data, packet->len);
    strbuf_fini(packet);
}

void mqtt_tell_ack(struct mqtt *m, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
    struct strbuf out;
    strbuf_init(&out, SMALL_BYTES);
    mqtt_ack_write(&out, type, (enum mqtt_level)m->level, packet_id, reason);
    mqtt_tell(m, &out);
}

void mqtt_say(struct mqtt *m, struct leg *to, const void *packets, size_t len)
{
    if (len == 0)
        return;
    mqtt_wire_of(m, to)->said_ms = session_now_ms(m->session);
    leg_send(to, WS_OPCODE_BINARY, packets, len);
}

void mqtt_say_ack(struct mqtt *m, struct leg *to, enum mqtt_type type, uint16_t packet_id)
{
    struct strbuf out;
    strbuf_init(&out, SMALL_BYTES);
    mqtt_ack_write(&out, type, (enum mqtt_level)m->level, packet_id, MQTT_SUCCESS);
    mqtt_say(m, to, out.data, out.len);
    strbuf_fini(&out);
}

void mqtt_say_ping(struct mqtt *m, struct leg *to)
{
    static const uint8_t ping[] = {MQTT_PINGREQ << 4, 0};
    mqtt_wire_of(m, to)->ping_count++;
    mqtt_say(m, to, ping, sizeof ping);
}

void mqtt_end_broken(struct mqtt *m, const char *why)
{
    session_end(m->session, WS_CLOSE_PROTOCOL_ERROR, why);
    m->phase = MQTT_PHASE_LEAVING;
}

/* ---- wires ---- */

struct mqtt_wire *mqtt_wire_of(struct mqtt *m, const struct leg *l)
{
    const uint32_t epoch = leg_epoch(l);
    struct mqtt_wire *oldest = &m->wires[0];

    for (uint32_t i = 0; i < MQTT_WIRE_COUNT; i++) {
        if (m->wires[i].epoch == epoch)
            return &m->wires[i];
        if (m->wires[i].epoch < oldest->epoch)
            oldest = &m->wires[i];
    }
    strbuf_fini(&oldest->part);
    *oldest = (struct mqtt_wire){.epoch = epoch, .said_ms = session_now_ms(m->session)};
    strbuf_init(&oldest->part, MQTT_PACKET_BYTES);
    return oldest;
}

struct leg *mqtt_leg_of(const struct mqtt *m, uint32_t epoch)
{
    struct leg *const legs[] = {session_leg(m->session), session_next_leg(m->session), session_old_leg(m->session)};
    for (size_t i = 0; i < sizeof legs / sizeof legs[0]; i++)
        if (legs[i] != NULL && leg_epoch(legs[i]) == epoch)
            return legs[i];
    return NULL;
}

struct leg *mqtt_live_leg(struct mqtt *m)
{
    struct leg *l = session_leg(m->session);
    return l != NULL && mqtt_wire_of(m, l)->state == MQTT_WIRE_LIVE ? l : NULL;
}

/* ---- streams of packets ---- */

/* A direction, while a message of it is looked at. */
struct stream {
    struct mqtt *m;
    struct leg *from;    /* NULL: the client */
    struct strbuf *part; /* what is left of the message before */
    struct strbuf out;   /* what is sent on in our own message */
    bool is_rebuilt;
};

static void send_out(struct stream *st)
{
    struct leg *to = session_leg(st->m->session);
    if (st->out.len > 0 && st->from != NULL)
        session_tell(st->m->session, WS_OPCODE_BINARY, st->out.data, st->out.len);
    else if (st->out.len > 0 && to != NULL)
        mqtt_say(st->m, to, st->out.data, st->out.len);
    strbuf_clear(&st->out);
}

/* One side breaks the rules. */
static void fail(const struct stream *st, const char *why)
{
    if (st->from != NULL)
        leg_fail(st->from, LEG_ANOTHER, why);
    else
        mqtt_end_broken(st->m, why);
}

static void rebuild(struct stream *st, const uint8_t *passed, size_t len)
{
    if (!st->is_rebuilt)
        strbuf_add(&st->out, passed, len);
    st->is_rebuilt = true;
}

/* Judges the whole packets of `bytes`; how long they are together. */
static size_t walk(struct stream *st, const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    struct mqtt_packet p;

    while (at < len) {
        const enum mqtt_read read = mqtt_packet_read(&p, bytes + at, len - at);
        if (read == MQTT_READ_BAD) {
            rebuild(st, bytes, at);
            fail(st, "not a packet");
            return len;
        }
        if (read == MQTT_READ_MORE)
            break;
        /* What takes its place is written behind what came before it, so that has to be there first. */
        const bool may_change = p.type == MQTT_CONNECT || p.type == MQTT_CONNACK;
        if (may_change)
            rebuild(st, bytes, at);
        const enum mqtt_judgement judgement = mqtt_judge(st->m, st->from, &p, &st->out);
        if (judgement == MQTT_OUT_OF_PLACE)
            fail(st, "a packet out of place");
        if (judgement != MQTT_PASSES)
            rebuild(st, bytes, at);
        else if (st->is_rebuilt)
            strbuf_add(&st->out, p.whole.data, p.whole.len);
        at += p.whole.len;
    }
    if (at < len)
        rebuild(st, bytes, at);
    return at;
}

/* A packet longer than can be kept: from here on everything passes as it comes, and nobody knows where packets begin.
 * What is here of it goes first. */
static void go_blind(struct stream *st)
{
    struct mqtt *m = st->m;
    struct leg *l = session_leg(m->session);
    if (mqtt_live_leg(m) == NULL || (st->from != NULL && st->from != l)) {
        if (st->from != NULL)
            leg_fail(st->from, LEG_ANOTHER, "a packet that is too long");
        else
            session_end(m->session, WS_CLOSE_TOO_BIG, "a packet that is too long");
        return;
    }
    struct mqtt_wire *w = mqtt_wire_of(m, l);
    session_note(m->session, "a packet too long to be looked at");
    mqtt_feeds_end(m);
    mqtt_send_held(m, l);
    send_out(st);
    m->phase = MQTT_PHASE_BLIND;
    m->unrestorable = "a packet was too long to be looked at";
    leg_allow_silence(l, BLIND_SILENT_MS);
    if (m->part.len > 0)
        mqtt_say(m, l, m->part.data, m->part.len);
    if (w->part.len > 0)
        session_tell(m->session, WS_OPCODE_BINARY, w->part.data, w->part.len);
    strbuf_clear(&m->part);
    strbuf_clear(&w->part);
}

static enum sift_verdict sift_packets(struct stream *st, const struct ws_message *msg)
{
    struct mqtt *m = st->m;
    if (m->phase == MQTT_PHASE_BLIND)
        return st->from == NULL || st->from == session_leg(m->session) ? SIFT_PASS : SIFT_DROP;
    if (!msg->is_whole && !msg->is_at_limit)
        return SIFT_MORE;
    if (msg->opcode != WS_OPCODE_BINARY) {
        fail(st, "a text message");
        return SIFT_DROP;
    }
    if (!msg->is_whole || st->part->len + msg->len > MQTT_PACKET_BYTES) {
        go_blind(st);
        return m->phase == MQTT_PHASE_BLIND ? SIFT_PASS : SIFT_DROP;
    }
    strbuf_init(&st->out, 2 * MQTT_PACKET_BYTES);
    const bool had_part = st->part->len > 0;
    if (had_part) {
        strbuf_add(st->part, msg->payload, msg->len);
        st->is_rebuilt = true;
    }
    const uint8_t *bytes = had_part ? (const uint8_t *)st->part->data : msg->payload;
    const size_t len = had_part ? st->part->len : msg->len;
    const size_t done = walk(st, bytes, len);
    if (had_part && done > 0) {
        memmove(st->part->data, st->part->data + done, len - done);
        st->part->len = len - done;
    } else if (!had_part) {
        strbuf_add(st->part, bytes + done, len - done);
    }
    send_out(st);
    strbuf_fini(&st->out);
    if (st->part->len == 0)
        strbuf_fini(st->part); /* idle sessions keep no memory for it */
    return st->is_rebuilt ? SIFT_DROP : SIFT_PASS;
}

static enum sift_verdict on_client(void *p, const struct ws_message *msg)
{
    struct mqtt *m = p;
    CHECK_OBJ(m, MQTT_MAGIC);
    struct stream st = {.m = m, .part = &m->part};
    struct leg *l = session_leg(m->session);
    m->heard_ms = session_now_ms(m->session);
    const enum sift_verdict v = sift_packets(&st, msg);
    if (v == SIFT_PASS && l != NULL)
        mqtt_wire_of(m, l)->said_ms = m->heard_ms;
    return v == SIFT_PASS && session_leg(m->session) == NULL ? SIFT_DROP : v;
}

static enum sift_verdict on_server(void *p, struct leg *from, const struct ws_message *msg)
{
    struct mqtt *m = p;
    CHECK_OBJ(m, MQTT_MAGIC);
    struct stream st = {.m = m, .from = from, .part = &mqtt_wire_of(m, from)->part};
    return sift_packets(&st, msg);
}

/* ---- the rest of the row ---- */

static void *open_speaker(struct session *s, const struct protocol_hello *h)
{
    struct mqtt *m;
    if (!http_view_is(h->subprotocol, "mqtt"))
        return NULL;
    OBJ_NEW(m, MQTT_MAGIC);
    m->session = s;
    m->level = MQTT_3_1_1;
    m->heard_ms = session_now_ms(s);
    strbuf_init(&m->connect, 2 * MQTT_RECORD_BYTES);
    strbuf_init(&m->assigned_id, UINT16_MAX);
    strbuf_init(&m->part, MQTT_PACKET_BYTES);
    mqtt_store_init(m);
    return m;
}

static void close_speaker(void *p)
{
    struct mqtt *m = p;
    CHECK_OBJ(m, MQTT_MAGIC);
    mqtt_store_fini(m);
    for (uint32_t i = 0; i < MQTT_WIRE_COUNT; i++)
        strbuf_fini(&m->wires[i].part);
    strbuf_fini(&m->connect);
    strbuf_fini(&m->assigned_id);
    strbuf_fini(&m->part);
    OBJ_FREE(&m, MQTT_MAGIC);
}

static bool wants_server(const void *p)
{
    const struct mqtt *m = p;
    return m->phase == MQTT_PHASE_CONNECTING || m->phase == MQTT_PHASE_OPEN;
}

static void beat(void *p, struct leg *to)
{
    struct mqtt *m = p;
    if (m->phase == MQTT_PHASE_BLIND || mqtt_wire_of(m, to)->state == MQTT_WIRE_NEW)
        leg_beat_answered(to); /* nothing can be asked, or nobody was greeted yet */
    else
        mqtt_say_ping(m, to);
}

/* Only version 5 has a word for "not now". */
static void on_unsent(void *p, const struct held *h, enum held_fate fate)
{
    struct mqtt *m = p;
    struct mqtt_packet packet;
    struct mqtt_publish publish;
    (void)fate;

    if (mqtt_packet_read(&packet, h->data, h->note_bytes) != MQTT_READ_OK ||
        !mqtt_publish_read(&publish, &packet, (enum mqtt_level)m->level) || publish.qos == 0)
        return;
    if (m->level == MQTT_5)
        mqtt_tell_ack(m, publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, publish.packet_id, MQTT_QUOTA);
    else
        session_end(m->session, WS_CLOSE_TRY_LATER, "too many messages wait");
}

static void give_up(void *p)
{
    struct mqtt *m = p;
    m->bye = MQTT_UNAVAILABLE;
    session_end(m->session, WS_CLOSE_TRY_LATER, "no broker");
}

static void on_end(void *p, uint16_t code)
{
    struct mqtt *m = p;
    struct leg *l = mqtt_live_leg(m);
    struct strbuf out;
    CHECK_OBJ(m, MQTT_MAGIC);
    if (l != NULL)
        mqtt_send_held(m, l);        /* for there will be no move */
    strbuf_init(&out, SIZE_MAX / 2); /* bounded by what may wait */
    mqtt_feeds_put(m, &out);         /* for nobody brings it any more */
    if (m->level == MQTT_5 && m->phase == MQTT_PHASE_OPEN) {
        m->phase = MQTT_PHASE_LEAVING;
        const uint8_t reason = m->bye != 0                                                       ? m->bye
                               : code == WS_CLOSE_SERVICE_RESTART || code == WS_CLOSE_GOING_AWAY ? MQTT_SHUTTING_DOWN
                               : code == WS_CLOSE_TRY_LATER                                      ? MQTT_BUSY
                               : code == WS_CLOSE_POLICY                                         ? MQTT_NOT_ALLOWED
                                                                                                 : MQTT_UNSPECIFIED;
        mqtt_disconnect_write(&out, reason);
    }
    if (out.len > 0)
        mqtt_tell(m, &out);
    else
        strbuf_fini(&out);
}

static void describe(const void *p, struct strbuf *out)
{
    const struct mqtt *m = p;
    strbuf_printf(out, ",\"subscriptions\":%u,\"in_flight\":%u", m->topic_count, m->flight_count + m->unkept_count);
    if (m->unrestorable != NULL)
        strbuf_printf(out, ",\"bound_to_server\":\"%s\"", m->unrestorable);
}

const struct protocol protocol_mqtt = {
    .name = "mqtt",
    .open = open_speaker,
    .close = close_speaker,
    .on_client = on_client,
    .on_server = on_server,
    .wants_server = wants_server,
    .restore_cost = mqtt_restore_cost,
    .restore = mqtt_restore,
    .on_lost = mqtt_on_lost,
    .on_server_close = mqtt_on_server_close,
    .on_moved = mqtt_on_moved,
    .beat = beat,
    .due_ms = mqtt_due_ms,
    .on_timer = mqtt_on_timer,
    .on_unsent = on_unsent,
    .give_up = give_up,
    .on_end = on_end,
    .describe = describe,
};
