/* What is remembered of an MQTT session. Everything is bounded: subscriptions and their requests by the route's
 * channels, publishes in flight by its queue. What does not fit does not fail: it passes, and the session can no longer
 * be given another server (subscriptions) or cannot until it is settled (publishes). The client's own reconnect, which
 * sends again what was not acknowledged, is the better promise then. */
#include <string.h>

#include "base/mem.h"
#include "gateway/realtime/mqtt_priv.h"

#define DEBT_ROOM_FIRST 16u

void mqtt_store_init(struct mqtt *m)
{
    list_init(&m->topics);
    list_init(&m->asks);
    list_init(&m->flights);
    ahead_init(&m->ahead);
}

/* ---- subscriptions ---- */

static struct mqtt_topic *topic_of(struct list *link)
{
    return LIST_ENTRY(link, struct mqtt_topic, link);
}

static struct mqtt_topic *find_topic(struct mqtt *m, struct mqtt_view text)
{
    LIST_EACH (it, &m->topics) {
        struct mqtt_topic *t = topic_of(it);
        if (t->len == text.len && memcmp(t->text, text.data, text.len) == 0)
            return t;
    }
    return NULL;
}

static void forget_topic(struct mqtt *m, struct mqtt_topic *t)
{
    if (t == NULL)
        return;
    list_unlink(&t->link);
    mem_free(t);
    m->topic_count--;
    m->filter_changes++;
}

static void keep_topic(struct mqtt *m, const struct mqtt_filter *f, uint32_t identifier)
{
    struct mqtt_topic *t = find_topic(m, f->text);
    if (t == NULL && m->topic_count >= session_conf(m->session)->channel_count) {
        m->unrestorable = "too many subscriptions";
        return;
    }
    if (t == NULL) {
        t = mem_alloc_begun(sizeof *t + f->text.len, sizeof *t);
        t->len = (uint16_t)f->text.len;
        if (f->text.len > 0)
            memcpy(t->text, f->text.data, f->text.len);
        list_append(&m->topics, &t->link);
        m->topic_count++;
    }
    t->identifier = identifier;
    t->options = f->options;
    m->filter_changes++;
}

/* ---- requests for them ---- */

static struct mqtt_ask *ask_of(struct list *link)
{
    return LIST_ENTRY(link, struct mqtt_ask, link);
}

void mqtt_ask_remove(struct mqtt *m, struct mqtt_ask *a)
{
    list_unlink(&a->link);
    mem_free(a);
    m->ask_count--;
}

bool mqtt_ask_add(struct mqtt *m, const struct mqtt_packet *p, const struct mqtt_filters *f)
{
    struct mqtt_filters left = *f;
    struct mqtt_filter one;
    uint16_t count = 0;

    while (mqtt_filters_next(&left, &one) == MQTT_READ_OK)
        count++;
    if (p->whole.len > MQTT_RECORD_BYTES || m->ask_count >= session_conf(m->session)->channel_count)
        return false;
    struct mqtt_ask *a = mem_alloc_begun(sizeof *a + p->whole.len, sizeof *a);
    a->type = p->type;
    a->packet_id = f->packet_id;
    a->filter_count = count;
    a->len = (uint32_t)p->whole.len;
    memcpy(a->packet, p->whole.data, p->whole.len);
    list_append(&m->asks, &a->link);
    m->ask_count++;
    return true;
}

struct mqtt_ask *mqtt_ask_find(struct mqtt *m, uint16_t packet_id, enum mqtt_type type)
{
    LIST_EACH (it, &m->asks) {
        struct mqtt_ask *a = ask_of(it);
        if (a->packet_id == packet_id && a->type == type)
            return a;
    }
    return NULL;
}

void mqtt_ask_settle(struct mqtt *m, struct mqtt_ask *a, const struct mqtt_suback *answer)
{
    struct mqtt_packet p;
    struct mqtt_filters f;
    struct mqtt_filter one;

    if (mqtt_packet_read(&p, a->packet, a->len) == MQTT_READ_OK &&
        mqtt_filters_read(&f, &p, (enum mqtt_level)m->level)) {
        for (size_t i = 0; mqtt_filters_next(&f, &one) == MQTT_READ_OK; i++) {
            const bool is_refused = i < answer->codes.len && answer->codes.data[i] >= MQTT_UNSPECIFIED;
            if (is_refused)
                continue;
            if (a->type == MQTT_SUBSCRIBE)
                keep_topic(m, &one, f.identifier);
            else
                forget_topic(m, find_topic(m, one.text));
        }
    }
    mqtt_ask_remove(m, a);
}

/* ---- publishes of the client ---- */

static struct mqtt_flight *flight_of(struct list *link)
{
    return LIST_ENTRY(link, struct mqtt_flight, link);
}

struct mqtt_flight *mqtt_flight_find(struct mqtt *m, uint16_t packet_id)
{
    LIST_EACH (it, &m->flights) {
        struct mqtt_flight *f = flight_of(it);
        if (f->packet_id == packet_id)
            return f;
    }
    return NULL;
}

static void count_bytes(struct mqtt *m, const struct mqtt_flight *f, bool is_new)
{
    if (f->len > 0 && is_new) {
        m->flight_count++;
        m->flight_bytes += f->len;
    } else if (f->len > 0) {
        m->flight_count--;
        m->flight_bytes -= f->len;
    } else if (f->state == MQTT_FLIGHT_SENT) {
        m->unkept_count += is_new ? 1 : UINT32_MAX;
    }
}

void mqtt_flight_remove(struct mqtt *m, struct mqtt_flight *f)
{
    list_unlink(&f->link);
    count_bytes(m, f, false);
    mem_free(f);
}

void mqtt_flight_add(struct mqtt *m, const struct mqtt_publish *publish, struct mqtt_view packet, uint32_t epoch)
{
    const struct conf_session *c = session_conf(m->session);
    const bool has_room = m->flight_count < c->queue_count && m->flight_bytes + packet.len <= c->queue_bytes;
    struct mqtt_flight *f = mqtt_flight_find(m, publish->packet_id);

    if (f != NULL) /* the client has begun with it again */
        mqtt_flight_remove(m, f);
    f = mem_alloc_begun(sizeof *f + (has_room ? packet.len : 0), sizeof *f);
    f->epoch = epoch;
    f->packet_id = publish->packet_id;
    f->qos = publish->qos;
    f->len = has_room ? (uint32_t)packet.len : 0;
    if (has_room)
        memcpy(f->packet, packet.data, packet.len);
    list_append(&m->flights, &f->link);
    count_bytes(m, f, true);
}

void mqtt_flight_had(struct mqtt *m, struct mqtt_flight *f)
{
    if (f->state != MQTT_FLIGHT_SENT)
        return;
    count_bytes(m, f, false);
    f->state = MQTT_FLIGHT_HAD;
    struct mqtt_flight *small = mem_alloc(sizeof *small);
    *small = *f;
    small->len = 0;
    list_insert_before(&f->link, &small->link);
    list_unlink(&f->link);
    mem_free(f);
}

/* ---- publishes of servers ---- */

void mqtt_debt_add(struct mqtt *m, uint32_t epoch, uint16_t packet_id, enum mqtt_debt_state state)
{
    struct mqtt_debt *known = mqtt_debt_find(m, epoch, packet_id, state);
    if (known != NULL) /* it said so again, which a server may not */
        return;
    if (m->debt_count == m->debt_room) {
        m->debt_room = m->debt_room > 0 ? 2 * m->debt_room : DEBT_ROOM_FIRST;
        m->debts = mem_realloc(m->debts, m->debt_room * sizeof *m->debts);
    }
    m->debts[m->debt_count++] = (struct mqtt_debt){.epoch = epoch, .packet_id = packet_id, .state = (uint8_t)state};
}

struct mqtt_debt *mqtt_debt_find(struct mqtt *m, uint32_t epoch, uint16_t packet_id, enum mqtt_debt_state state)
{
    for (uint32_t i = 0; i < m->debt_count; i++) {
        struct mqtt_debt *d = &m->debts[i];
        if (d->packet_id == packet_id && d->state == state && (epoch == 0 || d->epoch == epoch))
            return d;
    }
    return NULL;
}

void mqtt_debt_remove(struct mqtt *m, struct mqtt_debt *d)
{
    const size_t at = (size_t)(d - m->debts);
    memmove(d, d + 1, (m->debt_count - at - 1) * sizeof *d);
    m->debt_count--;
}

void mqtt_store_fini(struct mqtt *m)
{
    while (!list_is_empty(&m->topics))
        forget_topic(m, topic_of(m->topics.next));
    while (!list_is_empty(&m->asks))
        mqtt_ask_remove(m, ask_of(m->asks.next));
    while (!list_is_empty(&m->flights))
        mqtt_flight_remove(m, flight_of(m->flights.next));
    mem_free(m->debts);
    ahead_drop(&m->ahead);
    if (m->dedup != NULL)
        dedup_destroy(&m->dedup);
}
