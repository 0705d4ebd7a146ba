/* Two brokers bring the same while a session moves from one to the other, and for a moment after it. What both bring
 * reaches the client once, in the order of the older one: what the newer one brings first waits until the older one has
 * brought it too (gateway/realtime/ahead.h), or for half a second, or until the older one is gone. Before it is told,
 * the client owes nothing for it, and its broker hears nothing.
 *
 * A subscription that the client made after the move is the newer one's alone, and what it brings, retained messages
 * too, waits in vain. Which filter a message comes from nobody says; and another one, older, may bring the same topic,
 * whose order counts. The old broker is gone a moment after the move, so nothing waits for long. */
#include "base/mem.h"
#include "gateway/realtime/mqtt_priv.h"

/* The one a move goes to, or went to; also when that has failed and nobody has been told so yet. */
static bool is_new_leg(const struct mqtt *m, const struct leg *from)
{
    return leg_epoch(from) >= m->new_epoch;
}

/* Whether the older of two may still bring something. */
static bool is_old_there(const struct mqtt *m)
{
    if (session_next_leg(m->session) != NULL)
        return session_leg(m->session) != NULL;
    return m->settle_ms != 0 && session_old_leg(m->session) != NULL;
}

static uint64_t hash_of(const struct mqtt *m, const struct mqtt_publish *publish)
{
    const struct dedup_part parts[] = {
        {publish->topic.data, publish->topic.len}, {publish->payload.data, publish->payload.len}, {&publish->qos, 1}};
    return dedup_hash(m->dedup, parts, sizeof parts / sizeof parts[0]);
}

/* ---- acknowledgements ---- */

static void owe(struct mqtt *m, uint32_t epoch, const struct mqtt_publish *publish)
{
    if (publish->qos > 0)
        mqtt_debt_add(m, epoch, publish->packet_id, publish->qos == 1 ? MQTT_DEBT_ACK : MQTT_DEBT_REC);
}

/* In the client's place, which does not see it. Of QoS 2 the rest follows: who owes nothing is answered for when PUBREL
 * comes. */
static void acknowledge(struct mqtt *m, uint32_t epoch, const struct mqtt_publish *publish)
{
    struct leg *to = mqtt_leg_of(m, epoch);
    if (publish->qos > 0 && to != NULL)
        mqtt_say_ack(m, to, publish->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, publish->packet_id);
}

static void acknowledge_copy(struct mqtt *m, uint32_t epoch, const struct mqtt_publish *publish)
{
    session_count(m->session, STAT_ROUTE_SESSION_DUPLICATES, 1);
    acknowledge(m, epoch, publish);
}

/* ---- what waits ---- */

static struct mqtt_publish publish_of(const struct mqtt *m, const struct ahead_message *a)
{
    struct mqtt_packet p;
    struct mqtt_publish publish;
    const bool is_read = mqtt_packet_read(&p, a->payload, a->len) == MQTT_READ_OK &&
                         mqtt_publish_read(&publish, &p, (enum mqtt_level)m->level);
    ASSERT(is_read); /* as when it came */
    return publish;
}

/* Takes the message over, for `out`. The leg that brought it may be gone; then the client owes as for what that one
 * said last (lose_debts() of mqtt_restore.c). */
static void put(struct mqtt *m, struct ahead_message *a, struct strbuf *out)
{
    const struct mqtt_publish publish = publish_of(m, a);
    (void)dedup_take(m->dedup, DEDUP_NEW, a->hash, session_now_ms(m->session)); /* what waits is nobody's copy */
    owe(m, a->epoch, &publish);
    strbuf_add(out, (const char *)a->payload, a->len);
    mem_free(a);
}

void mqtt_feeds_put(struct mqtt *m, struct strbuf *out)
{
    struct ahead_message *a;
    while ((a = ahead_take(&m->ahead)) != NULL)
        put(m, a, out);
}

/* As one message: a session whose end is due may end with the first. */
static void tell(struct mqtt *m, struct strbuf *out)
{
    if (out->len > 0)
        mqtt_tell(m, out);
    else
        strbuf_fini(out);
}

void mqtt_feeds_deliver(struct mqtt *m)
{
    struct strbuf out;
    strbuf_init(&out, SIZE_MAX / 2); /* bounded by what may wait */
    mqtt_feeds_put(m, &out);
    tell(m, &out);
}

void mqtt_feeds_end(struct mqtt *m)
{
    if (session_next_leg(m->session) != NULL)
        ahead_drop(&m->ahead);
    else
        mqtt_feeds_deliver(m);
}

int64_t mqtt_feeds_due_ms(const struct mqtt *m)
{
    return m->ahead.count > 0 && !is_old_there(m) ? 0 : ahead_due_ms(&m->ahead);
}

void mqtt_feeds_on_time(struct mqtt *m)
{
    struct ahead_message *a;
    struct strbuf out;
    strbuf_init(&out, SIZE_MAX / 2); /* bounded by what may wait */
    if (!is_old_there(m))
        mqtt_feeds_put(m, &out);
    while ((a = ahead_take_due(&m->ahead, session_now_ms(m->session))) != NULL)
        put(m, a, &out);
    tell(m, &out);
}

/* ---- what comes ---- */

static bool take_old(struct mqtt *m, const struct leg *from, const struct mqtt_publish *publish, uint64_t hash)
{
    struct ahead_message *a = ahead_take_found(&m->ahead, hash);
    if (a != NULL) { /* the newer one's turns out to be the copy */
        const struct mqtt_publish copy = publish_of(m, a);
        acknowledge_copy(m, a->epoch, &copy);
        mem_free(a);
    } else if (!dedup_take(m->dedup, DEDUP_OLD, hash, session_now_ms(m->session))) {
        acknowledge_copy(m, leg_epoch(from), publish);
        return false;
    }
    return true;
}

static bool take_new(struct mqtt *m, const struct leg *from, const struct mqtt_packet *p,
                     const struct mqtt_publish *publish, uint64_t hash)
{
    const int64_t now_ms = session_now_ms(m->session);
    if (dedup_take_copy(m->dedup, DEDUP_NEW, hash, now_ms)) {
        acknowledge_copy(m, leg_epoch(from), publish);
        return false;
    }
    if (is_old_there(m)) {
        ahead_keep(&m->ahead, hash, now_ms, leg_epoch(from), WS_OPCODE_BINARY, p->whole.data, p->whole.len);
        mqtt_feeds_on_time(m);
        return false;
    }
    mqtt_feeds_deliver(m);
    return dedup_take(m->dedup, DEDUP_NEW, hash, now_ms);
}

bool mqtt_feeds_take(struct mqtt *m, struct leg *from, const struct mqtt_packet *p, const struct mqtt_publish *publish)
{
    const bool is_new = is_new_leg(m, from);
    if (publish->is_retained && m->drops_retained && is_new) {
        acknowledge(m, leg_epoch(from), publish);
        return false;
    }
    bool passes = true;
    if (m->dedup != NULL) {
        const uint64_t hash = hash_of(m, publish);
        passes = is_new ? take_new(m, from, p, publish, hash) : take_old(m, from, publish, hash);
        if (dedup_is_done(m->dedup, session_now_ms(m->session)))
            dedup_destroy(&m->dedup);
    }
    if (passes)
        owe(m, leg_epoch(from), publish);
    return passes;
}
