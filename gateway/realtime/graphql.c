/* graphql-transport-ws. What happens to what a client began when its server dies:
 *
 * - connection_init is said again, as the client said it, and its connection_ack stays here.
 * - Subscriptions are begun again on another server, and so are queries that have no result yet. A query that has its
 *   result and only lacks its `complete` gets that from us.
 * - A mutation may or may not have been executed. With at-most-once its client gets an `error` and may look; with
 *   at-least-once it is sent again. What cannot be told (persisted documents) counts as a mutation.
 * - What the client begins while there is no server waits and is sent then. All that is only as much as the route's
 *   channels and 64 KiB each: with more, the session depends on its server, and is closed with 1012 when that dies; the
 *   common clients then begin everything again themselves.
 * - A single result (query, mutation) that two servers in a row died before giving is an `error`; a subscription when
 *   three died at once.
 * - That messages may be missing is told, as the route's `gap` says: by a `ping` with a payload, which clients answer
 *   and applications can listen for; by an `error` of each subscription; or not at all.
 * - Pings and pongs of either side are answered here and go no further. Closes from 4400 to 4499 are the protocol's and
 *   reach the client as they are.
 *
 * The hard part is a planned move. For a moment two servers have the subscriptions: copies are told by their content,
 * and go to the client in the old one's order. Single results come from the old one alone, so the move waits for them,
 * but not long. */
#include "gateway/realtime/graphql_priv.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/realtime/protocol_rows.h"
#include "gateway/ws/close.h"

#define SAY_BYTES (2 * GRAPHQL_RECORD_BYTES)

#define CLOSE_INVALID      4400
#define CLOSE_UNAUTHORIZED 4401
#define CLOSE_DUPLICATE    4409
#define CLOSE_INIT_TWICE   4429

/* ---- saying something ---- */

void graphql_tell(struct graphql *g, struct strbuf *message)
{
    if (!message->failed)
        session_tell(g->session, WS_OPCODE_TEXT, message->data, message->len);
    strbuf_fini(message);
}

void graphql_tell_error(struct graphql *g, struct json_text id, const char *why)
{
    struct strbuf out;
    strbuf_init(&out, SAY_BYTES);
    graphql_write_error(&out, id, why);
    graphql_tell(g, &out);
}

static void say_complete(struct leg *to, struct json_text id)
{
    struct strbuf out;
    strbuf_init(&out, SAY_BYTES);
    graphql_write_complete(&out, id);
    leg_send(to, WS_OPCODE_TEXT, out.data, out.len);
    strbuf_fini(&out);
}

/* ---- wires ---- */

struct graphql_wire *graphql_wire_of(struct graphql *g, const struct leg *l)
{
    const uint32_t epoch = leg_epoch(l);
    struct graphql_wire *oldest = &g->wires[0];

    for (uint32_t i = 0; i < GRAPHQL_WIRE_COUNT; i++) {
        if (g->wires[i].epoch == epoch)
            return &g->wires[i];
        if (g->wires[i].epoch < oldest->epoch)
            oldest = &g->wires[i];
    }
    *oldest = (struct graphql_wire){.epoch = epoch, .due_ms = INT64_MAX};
    return oldest;
}

/* The current leg when the client's messages may go there, else NULL. */
static struct leg *live_leg(struct graphql *g)
{
    struct leg *l = session_leg(g->session);
    return l != NULL && graphql_wire_of(g, l)->state == GRAPHQL_WIRE_LIVE ? l : NULL;
}

/* The one of a move, when it has the subscriptions. */
static struct leg *filled_leg(struct graphql *g)
{
    struct leg *l = session_next_leg(g->session);
    return l != NULL && graphql_wire_of(g, l)->state == GRAPHQL_WIRE_FILLED ? l : NULL;
}

/* ---- operations ---- */

/* What an id means, for `room`; its length, SIZE_MAX when it is none or too long. */
static size_t decode_id(struct json_text id, char room[GRAPHQL_ID_BYTES])
{
    struct json_string s;
    return json_to_string(id, &s) && s.len <= GRAPHQL_ID_BYTES ? json_decode(s, room, GRAPHQL_ID_BYTES) : SIZE_MAX;
}

struct graphql_op *graphql_op_find(const struct graphql *g, struct json_text id)
{
    char room[GRAPHQL_ID_BYTES];
    const size_t len = decode_id(id, room);
    return len != SIZE_MAX ? map_get(g->ops, room, len) : NULL;
}

void graphql_op_remove(struct graphql *g, struct graphql_op *o)
{
    char room[GRAPHQL_ID_BYTES];
    const size_t len = decode_id(graphql_op_id(o), room);
    ASSERT(len != SIZE_MAX);
    (void)map_remove(g->ops, room, len);
    list_unlink(&o->link);
    mem_free(o);
    g->op_count--;
}

void graphql_op_fail(struct graphql *g, struct graphql_op *o, const char *why)
{
    graphql_tell_error(g, graphql_op_id(o), why);
    graphql_op_remove(g, o);
}

void graphql_op_send(struct graphql *g, struct graphql_op *o, struct leg *to)
{
    o->epoch = leg_epoch(to);
    o->sent_ms = session_now_ms(g->session);
    o->is_answered = false;
    leg_send(to, WS_OPCODE_TEXT, o->data + o->id_bytes, o->message_bytes);
}

/* NULL: there is no room for it. */
static struct graphql_op *keep_op(struct graphql *g, const struct graphql_message *m, const struct ws_message *ws)
{
    char room[GRAPHQL_ID_BYTES];
    const size_t id_bytes = decode_id(m->id, room);

    if (id_bytes == SIZE_MAX || ws->len > GRAPHQL_RECORD_BYTES ||
        g->op_count >= session_conf(g->session)->channel_count)
        return NULL;
    struct graphql_op *o = mem_alloc_begun(sizeof *o + m->id.len + ws->len, sizeof *o);
    o->kind = graphql_payload_kind(m->payload);
    o->id_bytes = (uint32_t)m->id.len;
    o->message_bytes = (uint32_t)ws->len;
    memcpy(o->data, m->id.data, m->id.len);
    memcpy(o->data + m->id.len, ws->payload, ws->len);
    (void)map_put(g->ops, room, id_bytes, o);
    list_append(&g->order, &o->link);
    g->op_count++;
    return o;
}

/* ---- messages of the client ---- */

static enum sift_verdict up_init(struct graphql *g, const struct graphql_message *m, const struct ws_message *ws)
{
    struct leg *l = session_leg(g->session);
    (void)m;

    if (g->phase != GRAPHQL_PHASE_NEW) {
        if (live_leg(g) != NULL)
            return SIFT_PASS; /* its server will close for it */
        session_end(g->session, CLOSE_INIT_TWICE, "Too many initialisation requests");
        return SIFT_DROP;
    }
    g->phase = GRAPHQL_PHASE_INIT;
    if (ws->len > GRAPHQL_RECORD_BYTES)
        g->unrestorable = "connection_init is too long";
    else
        strbuf_add(&g->init, ws->payload, ws->len);
    if (l != NULL) {
        graphql_wire_of(g, l)->state = GRAPHQL_WIRE_LIVE;
        return SIFT_PASS;
    }
    session_wants_changed(g->session);
    return SIFT_DROP;
}

static enum sift_verdict up_subscribe(struct graphql *g, const struct graphql_message *m, const struct ws_message *ws)
{
    struct leg *l = live_leg(g), *next = filled_leg(g);

    if (g->phase == GRAPHQL_PHASE_NEW) {
        if (session_leg(g->session) != NULL)
            return SIFT_PASS; /* its server will close for it */
        session_end(g->session, CLOSE_UNAUTHORIZED, "Unauthorized");
        return SIFT_DROP;
    }
    if (graphql_op_find(g, m->id) != NULL) {
        if (l != NULL)
            return SIFT_PASS; /* its server will close for it */
        session_end(g->session, CLOSE_DUPLICATE, "Subscriber already exists");
        return SIFT_DROP;
    }
    struct graphql_op *o = keep_op(g, m, ws);
    if (o == NULL) {
        g->unrestorable = "too many operations, or too long ones";
        if (l == NULL)
            session_end(g->session, WS_CLOSE_SERVICE_RESTART, g->unrestorable);
        return l != NULL ? SIFT_PASS : SIFT_DROP;
    }
    if (l == NULL) {
        session_count(g->session, STAT_ROUTE_SESSION_QUEUED, 1);
        session_wants_changed(g->session);
        return SIFT_DROP;
    }
    if (next != NULL && graphql_op_is_stream(o)) {
        graphql_op_send(g, o, next);
        o->next_epoch = o->epoch;
    }
    o->epoch = leg_epoch(l);
    o->sent_ms = session_now_ms(g->session);
    return SIFT_PASS;
}

static enum sift_verdict up_complete(struct graphql *g, const struct graphql_message *m, const struct ws_message *ws)
{
    struct leg *l = live_leg(g), *next = filled_leg(g);
    struct graphql_op *o = graphql_op_find(g, m->id);
    (void)ws;

    if (o == NULL)
        return l != NULL ? SIFT_PASS : SIFT_DROP;
    const bool passes = l != NULL && o->epoch == leg_epoch(l);
    if (next != NULL && o->next_epoch == leg_epoch(next))
        say_complete(next, graphql_op_id(o));
    graphql_op_remove(g, o);
    graphql_go_on(g);
    return passes ? SIFT_PASS : SIFT_DROP;
}

static enum sift_verdict up_ping(struct graphql *g, const struct graphql_message *m, const struct ws_message *ws)
{
    struct strbuf out;
    (void)ws;
    strbuf_init(&out, m->payload.len + SAY_BYTES);
    graphql_write_beat(&out, GRAPHQL_PONG, m->payload);
    graphql_tell(g, &out);
    session_count(g->session, STAT_ROUTE_SESSION_BEATS, 1);
    return SIFT_DROP;
}

static enum sift_verdict up_pong(struct graphql *g, const struct graphql_message *m, const struct ws_message *ws)
{
    (void)g; /* servers have had theirs from us */
    (void)m;
    (void)ws;
    return SIFT_DROP;
}

/* ---- messages of servers ---- */

/* Whether what `from` says about it counts: a single result comes from where it was asked for. */
static bool is_told_by(const struct graphql_op *o, const struct leg *from)
{
    return graphql_op_is_stream(o) || o->epoch == leg_epoch(from);
}

static enum sift_verdict down_next(struct graphql *g, struct leg *from, const struct graphql_message *m,
                                   const struct ws_message *ws)
{
    struct graphql_op *o = graphql_op_find(g, m->id);
    if (o == NULL)
        return g->unrestorable != NULL ? SIFT_PASS : SIFT_DROP;
    if (!is_told_by(o, from))
        return SIFT_DROP;
    if (from != session_leg(g->session) && from != session_next_leg(g->session) && g->settle_ms == 0)
        return SIFT_DROP; /* from the old one, after its time */
    if (o->epoch == leg_epoch(from)) {
        o->is_answered = o->was_answered = true;
        o->loss_count = 0;
    }
    return graphql_op_is_stream(o) ? graphql_feeds_take(g, o, from, ws) : SIFT_PASS;
}

/* Error and complete. */
static enum sift_verdict down_over(struct graphql *g, struct leg *from, const struct graphql_message *m,
                                   const struct ws_message *ws)
{
    struct leg *l = session_leg(g->session), *next = session_next_leg(g->session);
    struct graphql_op *o = graphql_op_find(g, m->id);
    (void)ws;

    if (o == NULL)
        return g->unrestorable != NULL ? SIFT_PASS : SIFT_DROP;
    if (!is_told_by(o, from))
        return SIFT_DROP;
    if (from == next && m->type == GRAPHQL_ERROR) {
        session_count(g->session, STAT_ROUTE_SESSION_RESTORES_FAILED, 1);
        leg_fail(next, LEG_ANOTHER, "a subscription was refused");
        return SIFT_DROP;
    }
    if (from == l && m->type == GRAPHQL_ERROR && o->was_answered && !o->is_answered)
        session_count(g->session, STAT_ROUTE_SESSION_RESTORES_FAILED, 1);
    if (next != NULL && from != next && o->next_epoch == leg_epoch(next))
        say_complete(next, graphql_op_id(o));
    if (l != NULL && from != l && o->epoch == leg_epoch(l))
        say_complete(l, graphql_op_id(o));
    graphql_feeds_deliver(g); /* it may be about this one, and goes before its end */
    graphql_op_remove(g, o);
    graphql_go_on(g);
    return SIFT_PASS;
}

static enum sift_verdict down_ack(struct graphql *g, struct leg *from, const struct graphql_message *m,
                                  const struct ws_message *ws)
{
    const bool is_first = g->phase == GRAPHQL_PHASE_INIT;
    (void)m;
    (void)ws;
    if (is_first)
        g->phase = GRAPHQL_PHASE_OPEN;
    if (graphql_wire_of(g, from)->state == GRAPHQL_WIRE_GREETING)
        graphql_greeted(g, from);
    return is_first ? SIFT_PASS : SIFT_DROP;
}

static enum sift_verdict down_ping(struct graphql *g, struct leg *from, const struct graphql_message *m,
                                   const struct ws_message *ws)
{
    struct strbuf out;
    (void)g;
    (void)ws;
    strbuf_init(&out, m->payload.len + SAY_BYTES);
    graphql_write_beat(&out, GRAPHQL_PONG, m->payload);
    leg_send(from, WS_OPCODE_TEXT, out.data, out.len);
    strbuf_fini(&out);
    return SIFT_DROP;
}

static enum sift_verdict down_pong(struct graphql *g, struct leg *from, const struct graphql_message *m,
                                   const struct ws_message *ws)
{
    (void)g;
    (void)m;
    (void)ws;
    leg_beat_answered(from);
    return SIFT_DROP;
}

typedef enum sift_verdict up_fn(struct graphql *g, const struct graphql_message *m, const struct ws_message *ws);
typedef enum sift_verdict down_fn(struct graphql *g, struct leg *from, const struct graphql_message *m,
                                  const struct ws_message *ws);

/* Who may say what; what is in no row passes, and the other side judges it. */
static const struct {
    up_fn *up;
    down_fn *down;
} handlers[GRAPHQL_TYPE_COUNT] = {
    [GRAPHQL_CONNECTION_INIT] = {.up = up_init},
    [GRAPHQL_CONNECTION_ACK] = {.down = down_ack},
    [GRAPHQL_PING] = {.up = up_ping, .down = down_ping},
    [GRAPHQL_PONG] = {.up = up_pong, .down = down_pong},
    [GRAPHQL_SUBSCRIBE] = {.up = up_subscribe},
    [GRAPHQL_NEXT] = {.down = down_next},
    [GRAPHQL_ERROR] = {.down = down_over},
    [GRAPHQL_COMPLETE] = {.up = up_complete, .down = down_over},
};

static enum sift_verdict on_client(void *p, const struct ws_message *ws)
{
    struct graphql *g = p;
    struct graphql_message m;
    CHECK_OBJ(g, GRAPHQL_MAGIC);
    if (!ws->is_whole && !ws->is_at_limit)
        return SIFT_MORE; /* what is recorded is recorded whole */
    if (ws->is_whole && graphql_message_read(&m, ws->payload, ws->len, true) == GRAPHQL_READ_OK &&
        handlers[m.type].up != NULL)
        return handlers[m.type].up(g, &m, ws);
    if (!ws->is_whole)
        g->unrestorable = "a message that is too long";
    if (live_leg(g) != NULL || (g->phase == GRAPHQL_PHASE_NEW && session_leg(g->session) != NULL))
        return SIFT_PASS;
    session_end(g->session, CLOSE_INVALID, "Invalid message received");
    return SIFT_DROP;
}

static enum sift_verdict on_server(void *p, struct leg *from, const struct ws_message *ws)
{
    struct graphql *g = p;
    struct graphql_message m;
    CHECK_OBJ(g, GRAPHQL_MAGIC);
    const enum graphql_read r = graphql_message_read(&m, ws->payload, ws->len, ws->is_whole);
    if (r == GRAPHQL_READ_MORE && !ws->is_whole && !ws->is_at_limit)
        return SIFT_MORE;
    if (r == GRAPHQL_READ_OK && handlers[m.type].down != NULL)
        return handlers[m.type].down(g, from, &m, ws);
    return from == session_leg(g->session) ? SIFT_PASS : SIFT_DROP;
}

/* ---- the rest of the row ---- */

static void *open_speaker(struct session *s, const struct protocol_hello *h)
{
    struct graphql *g;
    if (!http_view_is(h->subprotocol, "graphql-transport-ws"))
        return NULL;
    OBJ_NEW(g, GRAPHQL_MAGIC);
    g->session = s;
    g->ops = map_create();
    list_init(&g->order);
    ahead_init(&g->ahead);
    strbuf_init(&g->init, GRAPHQL_RECORD_BYTES);
    return g;
}

static void close_speaker(void *p)
{
    struct graphql *g = p;
    CHECK_OBJ(g, GRAPHQL_MAGIC);
    while (!list_is_empty(&g->order))
        graphql_op_remove(g, LIST_ENTRY(g->order.next, struct graphql_op, link));
    graphql_feeds_end(g);
    map_destroy(&g->ops);
    strbuf_fini(&g->init);
    OBJ_FREE(&g, GRAPHQL_MAGIC);
}

static bool wants_server(const void *p)
{
    const struct graphql *g = p;
    return g->phase == GRAPHQL_PHASE_INIT || g->op_count > 0;
}

static void beat(void *p, struct leg *to)
{
    struct strbuf out;
    (void)p;
    strbuf_init(&out, SAY_BYTES);
    graphql_write_beat(&out, GRAPHQL_PING, (struct json_text){NULL, 0});
    leg_send(to, WS_OPCODE_TEXT, out.data, out.len);
    strbuf_fini(&out);
}

static void on_unsent(void *p, const struct held *h, enum held_fate fate)
{
    (void)p; /* operations wait in the record of them */
    (void)h;
    (void)fate;
}

static void describe(const void *p, struct strbuf *out)
{
    static const char *const kinds[] = {"unknown", "query", "mutation", "subscription"};
    const struct graphql *g = p;
    bool is_first = true;

    strbuf_puts(out, ",\"operations\":[");
    LIST_EACH (it, &g->order) {
        const struct graphql_op *o = LIST_ENTRY(it, struct graphql_op, link);
        strbuf_puts(out, is_first ? "{\"id\":" : ",{\"id\":");
        strbuf_add(out, o->data, o->id_bytes);
        strbuf_printf(out, ",\"kind\":\"%s\"}", kinds[o->kind]);
        is_first = false;
    }
    strbuf_puts(out, "]");
}

const struct protocol protocol_graphql = {
    .name = "graphql-transport-ws",
    .open = open_speaker,
    .close = close_speaker,
    .on_client = on_client,
    .on_server = on_server,
    .wants_server = wants_server,
    .restore_cost = graphql_restore_cost,
    .restore = graphql_restore,
    .on_lost = graphql_on_lost,
    .on_moved = graphql_on_moved,
    .beat = beat,
    .due_ms = graphql_due_ms,
    .on_timer = graphql_on_timer,
    .on_unsent = on_unsent,
    .give_up = graphql_give_up,
    .describe = describe,
};
