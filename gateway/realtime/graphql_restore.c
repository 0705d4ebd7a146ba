/* Telling another server what the one before knew, and settling what it had not answered. */
#include "base/mem.h"
#include "gateway/realtime/graphql_priv.h"
#include "gateway/ws/close.h"

#define SETTLE_MS            1000 /* longer than the old server of a move delivers */
#define QUICK_MS             1000 /* a server lost so soon after it was told of a subscription may have died of it */
#define POISON_LOSSES_SINGLE 2u
#define POISON_LOSSES_STREAM 3u

static const char gap_text[] = "gateway: resumed; messages may be missing";
static const char gap_payload[] = "{\"gateway\":\"resumed; messages may be missing\"}";

static struct graphql_op *op_of(struct list *link)
{
    return LIST_ENTRY(link, struct graphql_op, link);
}

uint32_t graphql_restore_cost(const void *p)
{
    const struct graphql *g = p;
    return g->op_count > 0 ? g->op_count : 1;
}

/* ---- after a loss ---- */

static void tell_gap(struct graphql *g)
{
    struct strbuf out;
    strbuf_init(&out, GRAPHQL_RECORD_BYTES);
    graphql_write_beat(&out, GRAPHQL_PING, (struct json_text){gap_payload, sizeof gap_payload - 1});
    graphql_tell(g, &out);
    session_count(g->session, STAT_ROUTE_SESSION_GAPS, 1);
}

/* Sends everything that is not on this leg. */
static void send_ops(struct graphql *g, struct leg *to)
{
    const enum conf_gap gap = session_conf(g->session)->gap;
    bool has_gap = false;

    LIST_EACH (it, &g->order) {
        struct graphql_op *o = op_of(it);
        const bool is_again = o->epoch != 0;
        if (o->epoch == leg_epoch(to))
            continue;
        if (is_again && graphql_op_is_stream(o))
            has_gap = true;
        if (is_again && graphql_op_is_stream(o) && gap == GAP_REJOIN) {
            graphql_op_fail(g, o, gap_text);
            session_count(g->session, STAT_ROUTE_SESSION_GAPS, 1);
            continue;
        }
        if (is_again)
            session_count(g->session, graphql_op_is_stream(o) ? STAT_ROUTE_SESSION_RESTORES : STAT_ROUTE_SESSION_RESENT,
                          1);
        graphql_op_send(g, o, to);
    }
    if (has_gap && gap == GAP_NOTICE)
        tell_gap(g);
}

static void become_live(struct graphql *g, struct leg *l)
{
    struct graphql_wire *w = graphql_wire_of(g, l);
    w->state = GRAPHQL_WIRE_LIVE;
    w->due_ms = INT64_MAX;
    send_ops(g, l);
    leg_restored(l);
}

/* ---- settling ---- */

/* What a server that is gone has not answered. */
static void settle_single(struct graphql *g, struct graphql_op *o)
{
    const bool may_repeat = o->kind == GRAPHQL_QUERY || session_conf(g->session)->delivery == DELIVERY_AT_LEAST_ONCE;
    struct strbuf out;

    if (o->is_answered) {
        strbuf_init(&out, GRAPHQL_RECORD_BYTES);
        graphql_write_complete(&out, graphql_op_id(o));
        graphql_tell(g, &out);
        graphql_op_remove(g, o);
    } else if (!may_repeat) {
        session_count(g->session, STAT_ROUTE_SESSION_UNKNOWN, 1);
        graphql_op_fail(g, o, "gateway: upstream lost");
    } else if (++o->loss_count >= POISON_LOSSES_SINGLE) {
        session_count(g->session, STAT_ROUTE_SESSION_POISONED, 1);
        graphql_op_fail(g, o, "gateway: upstream lost twice");
    }
}

static void settle_stream(struct graphql *g, struct graphql_op *o)
{
    if (o->is_answered || session_now_ms(g->session) - o->sent_ms > QUICK_MS)
        o->loss_count = 0;
    else if (++o->loss_count >= POISON_LOSSES_STREAM) {
        session_count(g->session, STAT_ROUTE_SESSION_POISONED, 1);
        graphql_op_fail(g, o, "gateway: upstream lost at once");
    }
}

/* All that is on another leg than the one with `but_epoch`. */
static void settle_ops(struct graphql *g, uint32_t but_epoch)
{
    LIST_EACH (it, &g->order) {
        struct graphql_op *o = op_of(it);
        if (o->epoch == 0 || o->epoch == GRAPHQL_EPOCH_LOST || o->epoch == but_epoch)
            continue;
        o->epoch = GRAPHQL_EPOCH_LOST;
        if (graphql_op_is_stream(o))
            settle_stream(g, o);
        else
            settle_single(g, o);
    }
}

/* The old server of a move does not deliver any more. */
static void settle_move(struct graphql *g)
{
    struct leg *l = session_leg(g->session);
    if (g->settle_ms == 0)
        return;
    g->settle_ms = 0;
    graphql_feeds_end_old(g);
    if (l == NULL)
        return;
    settle_ops(g, leg_epoch(l));
    send_ops(g, l);
}

/* ---- restoring ---- */

/* From here on copies are told. Before the next server has the subscriptions, because it may be the later of the two
 * with what happened just before. */
static void begin_move(struct graphql *g, const struct leg *to)
{
    settle_move(g);
    graphql_feeds_begin(g, to);
}

void graphql_restore(void *p, struct leg *to)
{
    struct graphql *g = p;
    CHECK_OBJ(g, GRAPHQL_MAGIC);
    if (g->unrestorable != NULL) {
        session_end(g->session, WS_CLOSE_SERVICE_RESTART, g->unrestorable);
        return;
    }
    struct graphql_wire *w = graphql_wire_of(g, to);
    if (g->phase == GRAPHQL_PHASE_NEW) {
        leg_restored(to);
        return;
    }
    if (to == session_next_leg(g->session))
        begin_move(g, to);
    w->state = GRAPHQL_WIRE_GREETING;
    w->due_ms = session_now_ms(g->session) + session_conf(g->session)->answer_ms;
    leg_send(to, WS_OPCODE_TEXT, g->init.data, g->init.len);
}

/* ---- moving ---- */

static bool has_single(const struct graphql *g, uint32_t epoch)
{
    LIST_EACH (it, &g->order) {
        const struct graphql_op *o = op_of(it);
        if (!graphql_op_is_stream(o) && o->epoch == epoch)
            return true;
    }
    return false;
}

static void move_now(struct graphql *g, struct leg *next)
{
    struct graphql_wire *w = graphql_wire_of(g, next);
    w->state = GRAPHQL_WIRE_LIVE;
    w->due_ms = INT64_MAX;
    leg_restored(next);
}

void graphql_go_on(struct graphql *g)
{
    const struct leg *l = session_leg(g->session);
    struct leg *next = session_next_leg(g->session);
    if (next == NULL || l == NULL || graphql_wire_of(g, next)->state != GRAPHQL_WIRE_FILLED)
        return;
    if (!has_single(g, leg_epoch(l))) /* not from here: the last answer has still to pass */
        graphql_wire_of(g, next)->due_ms = session_now_ms(g->session);
}

static void fill(struct graphql *g, struct leg *next)
{
    struct graphql_wire *w = graphql_wire_of(g, next);

    LIST_EACH (it, &g->order) {
        struct graphql_op *o = op_of(it);
        if (!graphql_op_is_stream(o))
            continue;
        leg_send(next, WS_OPCODE_TEXT, o->data + o->id_bytes, o->message_bytes);
        o->next_epoch = leg_epoch(next);
        session_count(g->session, STAT_ROUTE_SESSION_RESTORES, 1);
    }
    if (!has_single(g, leg_epoch(session_leg(g->session)))) {
        move_now(g, next);
        return;
    }
    w->state = GRAPHQL_WIRE_FILLED;
    w->due_ms = session_now_ms(g->session) + session_conf(g->session)->answer_ms;
}

void graphql_greeted(struct graphql *g, struct leg *from)
{
    if (from == session_leg(g->session))
        become_live(g, from);
    else if (session_leg(g->session) != NULL)
        fill(g, from);
}

/* On the next leg of a move it is as well: that is where it is now. */
static void adopt(struct graphql *g, uint32_t epoch)
{
    LIST_EACH (it, &g->order) {
        struct graphql_op *o = op_of(it);
        o->was_on_old = o->next_epoch == epoch;
        if (o->was_on_old) {
            o->epoch = epoch;
            o->sent_ms = session_now_ms(g->session);
        }
        o->next_epoch = 0;
    }
}

/* The next leg is gone: all is where it was. */
static void forget_next(struct graphql *g)
{
    LIST_EACH (it, &g->order)
        op_of(it)->next_epoch = 0;
}

void graphql_on_moved(void *p, struct leg *old)
{
    struct graphql *g = p;
    const struct leg *l = session_leg(g->session);
    CHECK_OBJ(g, GRAPHQL_MAGIC);
    graphql_wire_of(g, old)->due_ms = INT64_MAX; /* nothing is waited for there */
    if (l == NULL)
        return;
    adopt(g, leg_epoch(l));
    g->settle_ms = session_now_ms(g->session) + SETTLE_MS;
}

/* ---- losing ---- */

void graphql_on_lost(void *p, struct leg *leg)
{
    struct graphql *g = p;
    CHECK_OBJ(g, GRAPHQL_MAGIC);
    const bool is_current = session_leg(g->session) == NULL;
    struct leg *next = session_next_leg(g->session);
    struct graphql_wire *w = graphql_wire_of(g, leg);

    *w = (struct graphql_wire){.due_ms = INT64_MAX};
    if (!is_current) {
        forget_next(g);
        graphql_feeds_end(g);
        return;
    }
    if (g->unrestorable != NULL) {
        session_end(g->session, WS_CLOSE_SERVICE_RESTART, g->unrestorable);
        return;
    }
    g->settle_ms = 0;
    graphql_feeds_end_old(g);
    if (next == NULL)
        graphql_feeds_end(g);
    settle_ops(g, 0);
    if (next == NULL || graphql_wire_of(g, next)->state != GRAPHQL_WIRE_FILLED)
        return;
    /* It has the subscriptions already, without a gap; it will be the current one in a moment. */
    adopt(g, leg_epoch(next));
    graphql_wire_of(g, next)->due_ms = session_now_ms(g->session);
}

void graphql_give_up(void *p)
{
    struct graphql *g = p;
    CHECK_OBJ(g, GRAPHQL_MAGIC);
    LIST_EACH (it, &g->order)
        graphql_op_fail(g, op_of(it), "gateway: no server");
    if (g->phase == GRAPHQL_PHASE_INIT) /* there is no other word for that */
        session_end(g->session, WS_CLOSE_TRY_LATER, "no server");
}

/* ---- time ---- */

int64_t graphql_due_ms(const void *p)
{
    const struct graphql *g = p;
    int64_t due = ahead_due_ms(&g->ahead);
    if (g->settle_ms != 0 && g->settle_ms < due)
        due = g->settle_ms;
    for (uint32_t i = 0; i < GRAPHQL_WIRE_COUNT; i++)
        if (g->wires[i].epoch != 0 && g->wires[i].due_ms < due)
            due = g->wires[i].due_ms;
    return due;
}

static void wire_due(struct graphql *g, struct leg *l)
{
    struct graphql_wire *w = graphql_wire_of(g, l);
    if (session_now_ms(g->session) < w->due_ms)
        return;
    w->due_ms = INT64_MAX;
    if (w->state == GRAPHQL_WIRE_GREETING)
        leg_fail(l, LEG_ANOTHER, "no connection_ack");
    else if (w->state == GRAPHQL_WIRE_FILLED && l == session_leg(g->session))
        become_live(g, l);
    else if (w->state == GRAPHQL_WIRE_FILLED)
        move_now(g, l);
}

void graphql_on_timer(void *p)
{
    struct graphql *g = p;
    CHECK_OBJ(g, GRAPHQL_MAGIC);
    struct leg *next = session_next_leg(g->session), *l = session_leg(g->session);

    if (next != NULL)
        wire_due(g, next);
    if (l != NULL)
        wire_due(g, l);
    graphql_feeds_on_time(g);
    if (session_now_ms(g->session) >= g->settle_ms)
        settle_move(g);
}
