/* How a tunnel ends: who ends it, and what both sides see of it (of a tunnel with a session its servers do not end it:
 * session_servers.c):
 *
 *   client closes             its close frame goes on, the server's answer comes back
 *   server closes             its close frame goes on, the client's answer goes back
 *   client vanishes           server: end of stream, as without a gateway
 *   server vanishes           client: 1012 at once (a client told 1000 would not come back), and when to
 *   client breaks RFC 6455    client: 1002, 1007 or 1009;  server: 1001 (so for RFC 7692, when it compresses)
 *   server breaks RFC 6455    server: 1002, 1007 or 1009;  client: 1011
 *   idle, too old, drained    both: 1001 (the gateway's own end), or 1012 (the route's or server's end)
 *
 * A close frame of the gateway's own can only go where a frame has just ended. While one is under way the end is put
 * off until it has passed (BOUNDARY_WAIT_MS), and a side that was left in the middle of a frame is cut off. */
#include "gateway/realtime/session_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/assert.h"
#include "gateway/ws/close.h"

#define CLOSE_REPLY_MS   5000  /* one side has said good-bye: how long the other may take to answer */
#define FLUSH_MS         30000 /* how long a slow peer may take for what waits for it at the end */
#define LINGER_MS        2000  /* all is said: how long a peer may take to hang up */
#define BOUNDARY_WAIT_MS 5000  /* how long a frame under way may delay the gateway's own close */

/* How far the peers got with their closing handshake: no close frame had passed, one, both. */
static const char *const phase_text[] = {"open", "closing", "closed"};

/* ---- steps ---- */

static void log_end(const struct tunnel *t, int64_t now_ms)
{
    struct access_record r;
    if (!access_log_is_wanted(t->conf))
        return;
    access_record_restore(&r, t->record);
    r.status = 101;
    r.reason = http_view_of(t->end_reason);
    r.duration_ms += now_ms - t->opened_ms;
    r.websocket.was_open = true;
    r.websocket.code = t->end_code;
    r.websocket.by = closed_by_text((enum closed_by)t->ended_by);
    r.websocket.phase = phase_text[t->close_count];
    r.websocket.up_messages = t->message_count[UP];
    r.websocket.up_bytes = t->byte_count[UP];
    r.websocket.down_messages = t->message_count[DOWN];
    r.websocket.down_bytes = t->byte_count[DOWN];
    access_log_write(t->set->access, t->conf, &r);
}

static void finish(struct tunnel *t)
{
    struct tunnel_set *s = t->set;
    ASSERT(t->phase != TUNNEL_GONE && t->side[UP] == NULL && t->side[DOWN] == NULL);
    t->phase = TUNNEL_GONE;
    timer_cancel(&t->timer);
    if (t->coding != NULL)
        tunnel_coded_stop(t);
    log_end(t, loop_now_ms(s->loop));
    stat_add(&s->block->closes[t->ended_by][stats_code_row(t->end_code)], 1);
    stat_add(&s->block->route[t->route_slot][STAT_ROUTE_WS_OPEN], -1);
    if (t->session != NULL)
        session_stop(t->session, WS_CLOSE_GOING_AWAY);
    tunnel_join_server(t, NULL);
    list_unlink(&t->link);
    list_append(&s->dead, &t->link);
    later_post(&s->reap);
    s->live_count--;
}

static void close_side(struct tunnel *t, int side, bool reset)
{
    if (t->side[side] != NULL)
        conn_close(&t->side[side], reset);
}

/* The first cause counts; what follows from it does not change the record. */
static void note_end(struct tunnel *t, enum closed_by by, uint16_t code, const char *reason)
{
    if (t->has_end)
        return;
    t->has_end = true;
    t->ended_by = (uint8_t)by;
    t->end_code = code;
    t->end_reason = reason;
}

static void enter_phase(struct tunnel *t, enum tunnel_phase phase, int64_t limit_ms)
{
    t->phase = (uint8_t)phase;
    t->phase_until_ms = loop_now_ms(t->set->loop) + limit_ms;
    tunnel_arm(t);
}

/* Whether what went out in direction `dir` ends with a whole frame. */
static bool is_at_boundary(const struct tunnel *t, int dir)
{
    return t->coding != NULL ? tunnel_coded_is_at_boundary(t, dir) : ws_walk_is_at_boundary(&t->walk[dir]);
}

/* Sends a close frame to one side, the one that receives direction `dir`, if a frame may go there now. */
static bool say_close(struct tunnel *t, int dir, uint16_t code, const char *reason)
{
    struct conn *to = t->side[1 - dir];
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    uint8_t key[4] = {0};
    if (to == NULL || t->is_mute[dir])
        return true;
    if (!t->is_cut[dir] && !is_at_boundary(t, dir))
        return false;
    bool to_server = dir == UP;
    if (to_server && getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return false;
    size_t len = ws_close_build(frame, code, reason, to_server ? key : NULL);
    conn_write(to, frame, len);
    t->is_mute[dir] = true;
    return true;
}

static bool has_unsent(const struct tunnel *t)
{
    return (t->side[UP] != NULL && conn_buffered(t->side[UP]) > 0) ||
           (t->side[DOWN] != NULL && conn_buffered(t->side[DOWN]) > 0);
}

/* Both close frames have passed between the client and us: the server hangs up first, without waiting for the client
 * (RFC 6455 section 7.1.1), and that is what we are to it. What a client says behind its close frame is answered with a
 * reset. */
bool tunnel_is_client_done(const struct tunnel *t)
{
    return t->has_client_closed && t->is_mute[DOWN];
}

static void let_hang_up(struct tunnel *t, int side)
{
    /* A server that was told good-bye hangs up first (RFC 6455 section 7.1.1), and keeps the TIME-WAIT. */
    if (side == UP || !t->is_mute[UP])
        conn_shutdown_write(t->side[side]);
    conn_resume(t->side[side]);
}

/* All that is to be said was said: no byte passes any more, each side goes when its peer hangs up, or is done. */
static void begin_ending(struct tunnel *t)
{
    enter_phase(t, TUNNEL_ENDING, has_unsent(t) ? FLUSH_MS : LINGER_MS);
    if (t->session != NULL)
        session_stop(t->session, t->close_count > 0 ? t->end_code : WS_CLOSE_GOING_AWAY);
    for (int side = UP; side <= DOWN; side++) {
        if (t->side[side] == NULL)
            continue;
        const bool is_done = conn_eof_seen(t->side[side]) || (side == UP && tunnel_is_client_done(t));
        if (is_done && conn_buffered(t->side[side]) == 0)
            close_side(t, side, false);
        else
            let_hang_up(t, side);
    }
    if (t->side[UP] == NULL && t->side[DOWN] == NULL)
        finish(t);
}

/* ---- the gateway ends it ---- */

/* Its codes for the client and the server; 0 says nothing to that side. */
static void end(struct tunnel *t, uint16_t client_code, uint16_t server_code, const char *reason)
{
    if (client_code != 0 && t->session != NULL)
        session_take_leave(t->session, client_code);
    if (t->phase >= TUNNEL_ENDING)
        return; /* behind what the speaker said last was the boundary that a planned end had waited for */
    if (client_code != 0 && !say_close(t, DOWN, client_code, reason))
        close_side(t, UP, true);
    if (server_code != 0 && !say_close(t, UP, server_code, reason))
        close_side(t, DOWN, true);
    begin_ending(t);
}

void tunnel_end_planned(struct tunnel *t)
{
    struct ending *e = &t->planned;
    note_end(t, (enum closed_by)e->by, e->code, e->reason);
    end(t, e->code, WS_CLOSE_GOING_AWAY, e->reason);
}

void tunnel_end_now(struct tunnel *t, enum closed_by by, uint16_t code, const char *reason)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    if (t->phase >= TUNNEL_ENDING)
        return;
    note_end(t, by, code, reason);
    end(t, code, 0, reason);
}

void tunnel_abort(struct tunnel *t, const char *reason)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    note_end(t, CLOSED_BY_GATEWAY, WS_CLOSE_GOING_AWAY, reason);
    close_side(t, UP, true);
    close_side(t, DOWN, true);
    finish(t);
}

/* ---- deadlines ---- */

void tunnel_arm(struct tunnel *t)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    int64_t now_ms = loop_now_ms(t->set->loop);
    int64_t due_ms = INT64_MAX;
    if (t->phase != TUNNEL_OPEN) {
        due_ms = t->phase_until_ms;
    } else {
        if (t->route->idle_timeout_ms > 0)
            due_ms = t->active_ms + t->route->idle_timeout_ms;
        if (t->route->max_lifetime_ms > 0 && t->opened_ms + t->route->max_lifetime_ms < due_ms)
            due_ms = t->opened_ms + t->route->max_lifetime_ms;
        if (t->planned.at_ms != 0 && t->planned.at_ms < due_ms)
            due_ms = t->planned.at_ms;
    }
    if (due_ms == INT64_MAX)
        timer_cancel(&t->timer);
    else
        timer_start(&t->timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

bool tunnel_is_end_due(const struct tunnel *t)
{
    return t->planned.at_ms != 0 && loop_now_ms(t->set->loop) >= t->planned.at_ms;
}

void tunnel_plan_end(struct tunnel *t, int64_t in_ms, enum closed_by by, uint16_t code, const char *reason)
{
    int64_t at_ms = loop_now_ms(t->set->loop) + in_ms;
    if (t->phase != TUNNEL_OPEN || (t->planned.at_ms != 0 && t->planned.at_ms <= at_ms))
        return;
    t->planned = (struct ending){.at_ms = at_ms, .by = (uint8_t)by, .code = code, .reason = reason};
    tunnel_arm(t);
}

void tunnel_on_due(void *arg)
{
    struct tunnel *t = arg;
    CHECK_OBJ(t, TUNNEL_MAGIC);
    int64_t now_ms = loop_now_ms(t->set->loop);
    const struct conf_route *r = t->route;

    if (t->phase != TUNNEL_OPEN) {
        if (now_ms < t->phase_until_ms) {
            tunnel_arm(t);
            return;
        }
        if (t->phase == TUNNEL_CLOSING) {
            end(t, t->end_code, t->end_code, ""); /* answers in place of the silent one */
            return;
        }
        /* What the kernel has, it still delivers; a reset would take it back. */
        bool reset = has_unsent(t);
        close_side(t, UP, reset);
        close_side(t, DOWN, reset);
        finish(t);
        return;
    }
    if (r->idle_timeout_ms > 0 && now_ms - t->active_ms >= r->idle_timeout_ms)
        tunnel_plan_end(t, 0, CLOSED_BY_TIMEOUT, WS_CLOSE_GOING_AWAY, "idle timeout");
    if (r->max_lifetime_ms > 0 && now_ms - t->opened_ms >= r->max_lifetime_ms)
        tunnel_plan_end(t, 0, CLOSED_BY_TIMEOUT, WS_CLOSE_GOING_AWAY, "maximum lifetime");
    if (!tunnel_is_end_due(t)) {
        tunnel_arm(t);
        return;
    }
    bool may_wait = now_ms - t->planned.at_ms < BOUNDARY_WAIT_MS;
    if (may_wait && !is_at_boundary(t, DOWN))
        timer_start(&t->timer, BOUNDARY_WAIT_MS); /* relay() ends it at the next boundary */
    else
        tunnel_end_planned(t);
}

/* ---- a close frame has passed, a rule was broken, a side is gone ---- */

void tunnel_close_passed(struct tunnel *t, int dir, const struct ws_seen *seen)
{
    t->is_mute[dir] = true;
    t->has_client_closed |= dir == UP;
    t->close_count++;
    note_end(t, dir == UP ? CLOSED_BY_CLIENT : CLOSED_BY_UPSTREAM, seen->code, "");
    if (t->session != NULL) {
        end(t, seen->code, 0, ""); /* answers itself: there may be no server now */
        return;
    }
    if (t->phase == TUNNEL_CLOSING || t->side[dir == UP ? DOWN : UP] == NULL)
        begin_ending(t);
    else
        enter_phase(t, TUNNEL_CLOSING, CLOSE_REPLY_MS);
}

void tunnel_violated(struct tunnel *t, int dir, const struct ws_seen *seen)
{
    bool by_client = dir == UP;
    bool is_limit = seen->code == WS_CLOSE_TOO_BIG;
    note_end(t,
             is_limit    ? CLOSED_BY_LIMIT
             : by_client ? CLOSED_BY_CLIENT
                         : CLOSED_BY_UPSTREAM,
             seen->code, seen->error);
    /* The receiver of a frame that is half out cannot be spoken to any more. */
    if (seen->is_torn)
        close_side(t, by_client ? DOWN : UP, true);
    t->is_cut[dir] = !seen->is_torn;
    if (by_client)
        end(t, seen->code, WS_CLOSE_GOING_AWAY, seen->error);
    else
        end(t, WS_CLOSE_INTERNAL, seen->code, seen->error);
}

static void client_lost(struct tunnel *t, enum err e)
{
    note_end(t, CLOSED_BY_CLIENT, WS_CLOSE_ABNORMAL, err_text(e));
    begin_ending(t);
}

/* All clients of the server hear it now: each is told another time, or they would be back in the same moment. */
static void tell_lost(struct tunnel *t)
{
    char reason[48];
    const int64_t retry_ms = backoff_hint_ms(t->server->tunnel_count, tunnel_random(t->set));
    (void)snprintf(reason, sizeof reason, "upstream lost, retry in %" PRId64 " ms", retry_ms);
    end(t, WS_CLOSE_SERVICE_RESTART, 0, reason);
}

static void server_lost(struct tunnel *t, enum err e)
{
    if (t->phase == TUNNEL_OPEN) {
        note_end(t, CLOSED_BY_UPSTREAM, WS_CLOSE_SERVICE_RESTART, err_text(e));
        server_tunnel_failed(t->server, loop_now_ms(t->set->loop));
        tell_lost(t);
    } else if (t->phase == TUNNEL_CLOSING) {
        /* It owes the client an answer to its close frame, unless it was the one to close. */
        end(t, t->end_code, 0, "");
    } else {
        begin_ending(t);
    }
}

void tunnel_side_lost(struct tunnel *t, int side, enum err e)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    close_side(t, side, false);
    if (t->phase != TUNNEL_ENDING)
        (side == UP ? client_lost : server_lost)(t, e);
    else if (t->side[1 - side] == NULL)
        finish(t);
}

void tunnel_side_flushed(struct tunnel *t)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    if (t->phase == TUNNEL_ENDING && !has_unsent(t))
        enter_phase(t, TUNNEL_ENDING, LINGER_MS);
}
