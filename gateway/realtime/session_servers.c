/* How a session comes by its servers, and what happens when it loses them.
 *
 *   CONNECTED     its server is lost                  -> DISCONNECTED, and a seek begins at once
 *   DISCONNECTED  the seek is admitted                -> CONNECTING
 *   CONNECTING    a server takes the WebSocket        -> RECONNECTING: the speaker restores what there was
 *                 none does                           -> DISCONNECTED, the next seek after the back-off
 *   RECONNECTING  everything is there again           -> CONNECTED
 *                 that server is lost too             -> DISCONNECTED, and a seek begins at once, but not for ever
 *
 * Meanwhile the client sees nothing; after give_up it is told, in its protocol's words, and its WebSocket stays. In a
 * planned move the old server serves until the new one has everything (make-before-break), and delivers a moment
 * longer.
 *
 * What happens inside callbacks of connections and speakers is only noted; session_on_settle(), at the end of the pass,
 * acts. */
#include "base/log.h"
#include "base/mem.h"
#include "gateway/realtime/session_priv.h"
#include "gateway/ws/close.h"

#define QUICK_MS         1000 /* a server lost so soon after it had everything ... */
#define QUICK_LOSSES_MAX 2u   /* ... so often in a row: then the back-off counts, as if it had not been there */

static const struct seek_ops seek_ops;

/* ---- seeking ---- */

static void begin_seek(struct session *s, bool is_move, bool is_better_only)
{
    const struct seek_start o = {
        .conf = s->tunnel->conf,
        .route = s->tunnel->route,
        .origin_ops = s->origin_ops,
        .origin = s->origin,
        .avoid = is_move ? s->leg->server : s->avoid,
        .is_better_only = is_better_only,
        .is_urgent = is_move ? s->mover.reason == MOVE_ASKED : session_has_held(s),
        .cost = s->protocol->restore_cost(s->speaker),
        .ops = &seek_ops,
        .arg = s,
    };
    s->is_seek_move = is_move;
    seek_begin(s->tunnel->set->seekers, &s->seek, &o);
}

void session_seek(struct session *s)
{
    s->retry_ms = 0;
    if (s->is_stopped || s->leg != NULL || !session_wants_server(s))
        return;
    if (s->seek != NULL && !s->is_seek_move)
        return;
    if (s->seek != NULL)
        seek_cancel(&s->seek);
    begin_seek(s, false, false);
}

static void back_off(struct session *s)
{
    session_set_state(s, SESSION_DISCONNECTED);
    s->retry_ms = session_now_ms(s) + backoff_next_ms(&s->backoff, &session_conf(s)->backoff, session_random(s));
    session_touch(s);
}

void session_wants_changed(struct session *s)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    if (!s->is_stopped && s->leg == NULL && s->seek == NULL && s->retry_ms == 0 && session_wants_server(s))
        later_post(&s->settle); /* not from within the speaker */
}

void session_retry(struct session *s)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    if (s->retry_ms != 0)
        session_seek(s);
}

static void on_asking(void *arg, const struct server *server)
{
    struct session *s = arg;
    (void)server;
    if (!s->is_seek_move)
        session_set_state(s, SESSION_CONNECTING);
    else if (s->protocol->on_moving != NULL)
        s->protocol->on_moving(s->speaker, true);
}

static bool is_same_subprotocol(const struct session *s, struct http_view v)
{
    if (s->subprotocol == NULL || v.data == NULL)
        return s->subprotocol == NULL && v.data == NULL;
    return http_view_is(v, s->subprotocol);
}

static void on_found(void *arg, const struct seek_found *f)
{
    struct session *s = arg;
    CHECK_OBJ(s, SESSION_MAGIC);
    struct conn *conn = f->conn;
    struct server *server = f->server;
    s->seek = NULL;
    if (!is_same_subprotocol(s, f->subprotocol)) {
        conn_close(&conn, true);
        server_unref(&server);
        session_note(s, "another subprotocol was chosen");
        if (!s->is_seek_move)
            back_off(s);
        return;
    }
    struct leg *l = leg_create(s, conn, server);
    if (s->is_seek_move) {
        s->next = l;
    } else {
        session_set_leg(s, l);
        tunnel_join_server(s->tunnel, server);
        session_set_state(s, SESSION_RECONNECTING);
    }
    session_note_about(s, s->is_seek_move ? "moving to" : "accepted by", server);
    server_unref(&server);
    s->protocol->restore(s->speaker, l);
    if (!l->is_over)
        leg_start(l, f->rest, f->rest_bytes);
    session_touch(s);
}

static void on_seek_failed(void *arg, enum seek_failure f, uint16_t status, const char *why)
{
    struct session *s = arg;
    CHECK_OBJ(s, SESSION_MAGIC);
    s->seek = NULL;
    if (s->is_seek_move) {
        if (s->protocol->on_moving != NULL)
            s->protocol->on_moving(s->speaker, false);
        return;
    }
    session_note(s, f == SEEK_REFUSED ? "refused" : f == SEEK_BUSY ? "servers are busy" : "no server");
    LOG_DEBUG("no server for a session", KV_STR("why", why), KV_UINT("status", status));
    if (f == SEEK_REFUSED)
        session_end(s, WS_CLOSE_SERVICE_RESTART, "credentials are refused"); /* it will hear why when it comes again */
    else
        back_off(s);
}

static const struct seek_ops seek_ops = {.on_found = on_found, .on_failed = on_seek_failed, .on_asking = on_asking};

/* ---- losing a server ---- */

void session_leg_lost(struct session *s, struct leg *l)
{
    if (l == s->half_out)
        s->is_torn = true;
    if (l == s->leg)
        sift_drop_rest(&s->up);
    list_append(&s->lost, &l->link);
    later_post(&s->settle);
}

static void note_loss(struct session *s, struct leg *l)
{
    const int64_t now_ms = session_now_ms(s);
    session_note_about(s, "lost", l->server);
    if (!l->is_ours)
        server_tunnel_failed(l->server, now_ms);
    if (s->avoid != NULL)
        server_unref(&s->avoid);
    s->avoid = server_ref(l->server);
    if (l->restored_ms != 0 && now_ms - l->restored_ms >= QUICK_MS) {
        s->quick_losses = 0;
        backoff_reset(&s->backoff);
    } else if (s->epoch > 1) {
        s->quick_losses++;
    }
    s->loss_count++;
    session_count(s, STAT_ROUTE_SESSION_LOSSES, 1);
    if (s->lost_ms == 0 && session_wants_server(s)) {
        s->lost_ms = now_ms;
        s->is_given_up = false;
        s->lost_since_ms = l->heard_ms;
        losses_lost(s->tunnel->set->losses, &s->loss, l->server->server_conf->slot_name, l->why);
    }
}

static void part_old(struct session *s)
{
    if (s->half_out == s->old) {
        s->is_torn = true;
        later_post(&s->settle);
    }
    leg_part(&s->old, WS_CLOSE_NORMAL);
}

static void lost_current(struct session *s, struct leg *l)
{
    session_set_leg(s, NULL);
    note_loss(s, l);
    tunnel_join_server(s->tunnel, NULL);
    if (s->is_seek_move && s->seek != NULL)
        seek_cancel(&s->seek);
    if (s->old != NULL)
        part_old(s);
    s->protocol->on_lost(s->speaker, l);
    session_set_state(s, SESSION_DISCONNECTED);
    if (s->next != NULL && !s->next->is_over) { /* it was on its way already */
        session_set_leg(s, s->next);
        s->next = NULL;
        tunnel_join_server(s->tunnel, s->leg->server);
        session_set_state(s, SESSION_RECONNECTING);
        if (s->leg->restored_ms != 0)
            session_leg_restored(s, s->leg);
    } else if (l->fault == LEG_BUSY || s->quick_losses > QUICK_LOSSES_MAX) {
        back_off(s);
    } else {
        session_seek(s);
    }
    tunnel_server_drained(s->tunnel); /* the client may have been waiting for the one that is gone */
}

static void settle_lost(struct session *s, struct leg *l)
{
    list_unlink(&l->link);
    if (l == s->leg) {
        lost_current(s, l);
    } else {
        if (l == s->next) {
            s->next = NULL;
            session_note_about(s, "move failed", l->server);
            s->protocol->on_lost(s->speaker, l);
        } else if (l == s->old) {
            s->old = NULL;
        }
    }
    leg_free(&l);
}

void session_on_settle(void *arg)
{
    struct session *s = arg;
    CHECK_OBJ(s, SESSION_MAGIC);
    if (s->is_torn) { /* nothing can follow half a message */
        tunnel_end_now(s->tunnel, CLOSED_BY_UPSTREAM, WS_CLOSE_SERVICE_RESTART, "lost in the middle of a message");
        return;
    }
    while (!s->is_stopped && !list_is_empty(&s->lost))
        settle_lost(s, LIST_ENTRY(s->lost.next, struct leg, link));
    if (!s->is_stopped && s->leg == NULL && s->seek == NULL && s->retry_ms == 0)
        session_seek(s);
    session_touch(s);
}

void session_server_down(struct session *s, const char *why)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    if (s->leg != NULL)
        leg_lose(s->leg, LEG_ANOTHER, LEG_LOSS_OURS, why);
}

/* ---- having one again ---- */

/* A planned move is complete, but for a message that the client has begun to send to the old server: its end goes there
 * too (session_from_client() comes back to it). */
static void switch_over(struct session *s, int64_t now_ms)
{
    struct leg *old = s->leg;
    if (!sift_is_between_messages(&s->up))
        return;
    if (s->is_feeding_up)
        sift_flush(&s->up);
    leg_pay(old);
    session_set_leg(s, s->next);
    s->next = NULL;
    s->old = old;
    old->ends_ms = now_ms + SESSION_OVERLAP_MS;
    tunnel_join_server(s->tunnel, s->leg->server);
    s->move_count++;
    session_count(s, STAT_ROUTE_SESSION_MOVES, 1);
    session_note_about(s, "moved to", s->leg->server);
    s->protocol->on_moved(s->speaker, old);
    session_touch(s);
}

void session_leg_restored(struct session *s, struct leg *l)
{
    const int64_t now_ms = session_now_ms(s);
    if (l == s->next) {
        switch_over(s, now_ms);
        return;
    }
    session_set_state(s, SESSION_CONNECTED);
    if (s->lost_ms == 0)
        return;
    stats_recovered(s->tunnel->set->block, s->tunnel->route_slot, now_ms - s->lost_ms);
    losses_over(s->tunnel->set->losses, &s->loss, LOSS_RESTORED);
    session_note_about(s, "restored on", l->server);
    s->lost_ms = 0;
    s->is_given_up = false;
}

/* The old server of a move has delivered long enough, unless half a message of it is out. */
void session_end_overlap(struct session *s, int64_t now_ms)
{
    const bool may_wait = s->leg != NULL && now_ms - s->leg->restored_ms < SESSION_HALF_OUT_MS;
    if (s->half_out == s->old && may_wait)
        s->old->ends_ms = now_ms + SESSION_OVERLAP_MS;
    else
        part_old(s);
}

/* ---- planned moves ---- */

bool session_move(struct session *s, bool is_better_only, const char *why)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    if (s->is_stopped || session_leg(s) == NULL || s->state != SESSION_CONNECTED || s->next != NULL || s->old != NULL ||
        s->seek != NULL)
        return false;
    session_note(s, why);
    begin_seek(s, true, is_better_only);
    return true;
}

void session_ask_move(struct session *s)
{
    CHECK_OBJ(s, SESSION_MAGIC);
    if (s->is_stopped || session_leg(s) == NULL)
        return;
    tunnel_moves_asked(s->tunnel->set->moves, s->tunnel);
}

bool session_is_moving(const struct session *s)
{
    return s->next != NULL || (s->seek != NULL && s->is_seek_move);
}

struct server *session_server(const struct session *s)
{
    return s->leg != NULL ? s->leg->server : NULL;
}
