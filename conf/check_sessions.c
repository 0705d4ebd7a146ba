/* WebSockets that outlive their servers: rules over several keys. What is only good for a protocol the gateway speaks
 * would be ignored in silence on an opaque route, and somebody would count on it, so it is a mistake there. */
#include "conf/build.h"

/* What a route says of sessions when nobody writes anything. */
static const struct conf_session standard = {
    .heartbeat_ms = 30000,
    .dead_after_ms = 45000,
    .queue_count = 100,
    .queue_bytes = 1 << 20,
    .channel_count = 100,
    .backoff = {.first_ms = 1000, .max_ms = 30000, .jitter_percent = 50},
    .hedge_ms = 300,
    .give_up_ms = 30000,
    .answer_ms = 8000,
    .restore = {.per_s = 500, .burst = 1000},
    .move = {.per_s = 50},
    .quality = {.excellent_ms = 100, .good_ms = 300, .fair_ms = 1000},
};

struct use {
    const void *section;
    struct check_use of;
};

/* clang-format off */
static void check_opaque(struct build *b, const struct conf_route *r)
{
    const struct conf_session *s = &r->session, *u = &standard;
    const struct conf_backoff *o = &s->backoff;
    const struct conf_restore *e = &s->restore;
    const struct conf_move *m = &s->move;
    const struct conf_quality *q = &s->quality;
    const struct use uses[] = {
        {r, {&s->delivery, "websocket.delivery", s->delivery != u->delivery}},
        {r, {&s->gap, "websocket.gap", s->gap != u->gap}},
        {r, {&s->heartbeat_ms, "websocket.heartbeat", s->heartbeat_ms != u->heartbeat_ms}},
        {r, {&s->dead_after_ms, "websocket.dead_after", s->dead_after_ms != u->dead_after_ms}},
        {r, {&s->queue_count, "websocket.queue", s->queue_count != u->queue_count}},
        {r, {&s->queue_bytes, "websocket.queue_bytes", s->queue_bytes != u->queue_bytes}},
        {r, {&s->channel_count, "websocket.channels", s->channel_count != u->channel_count}},
        {r, {&s->hedge_ms, "websocket.hedge_after", s->hedge_ms != u->hedge_ms}},
        {r, {&s->give_up_ms, "websocket.give_up", s->give_up_ms != u->give_up_ms}},
        {r, {&s->answer_ms, "websocket.answer_within", s->answer_ms != u->answer_ms}},
        {o, {&o->first_ms, "first", o->first_ms != u->backoff.first_ms}},
        {o, {&o->max_ms, "max", o->max_ms != u->backoff.max_ms}},
        {o, {&o->jitter_percent, "jitter", o->jitter_percent != u->backoff.jitter_percent}},
        {e, {&e->per_s, "rate", e->per_s != u->restore.per_s}},
        {e, {&e->burst, "burst", e->burst != u->restore.burst}},
        {m, {&m->per_s, "rate", m->per_s != u->move.per_s}},
        {m, {&m->fail_back, "fail_back", m->fail_back != u->move.fail_back}},
        {q, {&q->excellent_ms, "excellent", q->excellent_ms != u->quality.excellent_ms}},
        {q, {&q->good_ms, "good", q->good_ms != u->quality.good_ms}},
        {q, {&q->fair_ms, "fair", q->fair_ms != u->quality.fair_ms}},
    };
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        if (uses[i].of.is_set)
            build_complain(b, uses[i].section, uses[i].of.member, uses[i].of.key,
                           "has no use with websocket.protocol: opaque, expected a protocol that is understood");
}
/* clang-format on */

/* A server that has not been asked yet cannot be missed. */
static void check_silence(struct build *b, const struct conf_route *r)
{
    const struct conf_session *s = &r->session;
    if (s->dead_after_ms > s->heartbeat_ms)
        return;
    if (build_is_given(b, &s->dead_after_ms))
        build_complain(b, r, &s->dead_after_ms, "websocket.dead_after",
                       "would give up a server before it is asked for a sign of life, expected more than heartbeat");
    else if (build_is_given(b, &s->heartbeat_ms))
        build_complain(b, r, &s->heartbeat_ms, "websocket.heartbeat",
                       "would come when the server has been given up, expected less than dead_after");
}

void check_sessions(struct build *b)
{
    const struct conf *c = b->conf;
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *r = &c->routes[i];
        const struct conf_session *s = &r->session;
        if (build_is_broken(b, &r->protocol))
            continue;
        if (r->protocol != WS_PROTOCOL_PHOENIX && s->ready_wait_ms != 0)
            build_complain(b, r, &s->ready_wait_ms, "websocket.wait_ready",
                           "has no use with this protocol, expected websocket.protocol: phoenix");
        if (r->protocol == WS_PROTOCOL_OPAQUE) {
            check_opaque(b, r);
            continue;
        }
        check_silence(b, r);
        check_at_most(b, r, &s->ready_wait_ms, "websocket.wait_ready", &s->answer_ms, "websocket.answer_within");
        check_at_most(b, &s->backoff, &s->backoff.first_ms, "first", &s->backoff.max_ms, "max");
        check_at_most(b, &s->quality, &s->quality.excellent_ms, "excellent", &s->quality.good_ms, "good");
        check_at_most(b, &s->quality, &s->quality.good_ms, "good", &s->quality.fair_ms, "fair");
    }
}
