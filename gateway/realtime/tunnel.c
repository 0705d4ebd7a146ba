/* Tunnels. Who ends one, and what both sides see of it (of a tunnel with a session its servers do not end it:
 * session.c):
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

#include "base/mem.h"
#include "gateway/ws/close.h"

#define CLOSE_REPLY_MS   5000  /* one side has said good-bye: how long the other may take to answer */
#define FLUSH_MS         30000 /* how long a slow peer may take for what waits for it at the end */
#define LINGER_MS        2000  /* all is said: how long a peer may take to hang up */
#define BOUNDARY_WAIT_MS 5000  /* how long a frame under way may delay the gateway's own close */

/* How far the peers got with their closing handshake: no close frame had passed, one, both. */
static const char *const phase_text[] = {"open", "closing", "closed"};

static void on_timer(void *arg);

/* ---- the end ---- */

static void log_end(const struct tunnel *t, int64_t now_ms)
{
    struct access_record r;
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

static void arm(struct tunnel *t)
{
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

static void enter_phase(struct tunnel *t, enum tunnel_phase phase, int64_t limit_ms)
{
    t->phase = (uint8_t)phase;
    t->phase_until_ms = loop_now_ms(t->set->loop) + limit_ms;
    arm(t);
}

/* Whether what went out in direction `dir` ends with a whole frame. */
static bool is_at_boundary(const struct tunnel *t, int dir)
{
    return t->coding != NULL ? tunnel_coded_is_at_boundary(t, dir) : ws_walk_is_at_boundary(&t->walk[dir]);
}

static bool is_stalled(const struct tunnel *t)
{
    return t->coding != NULL && tunnel_coded_is_stalled(t);
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

/* All that is to be said was said: no byte passes any more, each side goes when its peer hangs up. */
static void begin_ending(struct tunnel *t)
{
    enter_phase(t, TUNNEL_ENDING, has_unsent(t) ? FLUSH_MS : LINGER_MS);
    if (t->session != NULL)
        session_stop(t->session, t->close_count > 0 ? t->end_code : WS_CLOSE_GOING_AWAY);
    for (int side = UP; side <= DOWN; side++) {
        if (t->side[side] == NULL)
            continue;
        /* A server that was told good-bye hangs up first (RFC 6455 section 7.1.1), and keeps the TIME-WAIT. */
        if (side == UP || !t->is_mute[UP])
            conn_shutdown_write(t->side[side]);
        if (conn_eof_seen(t->side[side]) && conn_buffered(t->side[side]) == 0)
            close_side(t, side, false);
        else
            conn_resume(t->side[side]);
    }
    if (t->side[UP] == NULL && t->side[DOWN] == NULL)
        finish(t);
}

/* The gateway ends the tunnel: its codes for the client and the server; 0 says nothing to that side. */
static void end(struct tunnel *t, uint16_t client_code, uint16_t server_code, const char *reason)
{
    if (client_code != 0 && t->session != NULL)
        session_take_leave(t->session, client_code);
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
    arm(t);
}

static void on_timer(void *arg)
{
    struct tunnel *t = arg;
    CHECK_OBJ(t, TUNNEL_MAGIC);
    int64_t now_ms = loop_now_ms(t->set->loop);
    const struct conf_route *r = t->route;

    if (t->phase != TUNNEL_OPEN) {
        if (now_ms < t->phase_until_ms) {
            arm(t);
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
        arm(t);
        return;
    }
    bool may_wait = now_ms - t->planned.at_ms < BOUNDARY_WAIT_MS;
    if (may_wait && !is_at_boundary(t, DOWN))
        timer_start(&t->timer, BOUNDARY_WAIT_MS); /* relay() ends it at the next boundary */
    else
        tunnel_end_planned(t);
}

/* ---- bytes ---- */

void tunnel_close_passed(struct tunnel *t, int dir, const struct ws_seen *seen)
{
    t->is_mute[dir] = true;
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

void tunnel_write(struct tunnel *t, int dir, const uint8_t *data, size_t len)
{
    if (dir == UP && t->session != NULL)
        session_from_client(t->session, data, len);
    else
        conn_write(t->side[1 - dir], data, len);
}

bool tunnel_is_full(const struct tunnel *t, int dir)
{
    return dir == UP && t->session != NULL ? session_is_full(t->session) : conn_is_full(t->side[1 - dir]);
}

bool tunnel_has_receiver(const struct tunnel *t, int dir)
{
    return (dir == UP && t->session != NULL) || t->side[1 - dir] != NULL;
}

void tunnel_pause_sender(struct tunnel *t, int dir)
{
    if (dir == DOWN && t->session != NULL)
        session_pause(t->session);
    else
        conn_pause(t->side[dir]);
}

void tunnel_count(struct tunnel *t, int dir, size_t bytes, uint32_t message_count)
{
    stat_cell *cells = t->set->block->route[t->route_slot];
    t->byte_count[dir] += bytes;
    t->message_count[dir] += message_count;
    stat_add(&cells[dir == UP ? STAT_ROUTE_UP_BYTES : STAT_ROUTE_DOWN_BYTES], (int64_t)bytes);
    stat_add(&cells[dir == UP ? STAT_ROUTE_UP_MESSAGES : STAT_ROUTE_DOWN_MESSAGES], (int64_t)message_count);
}

/* The fast path: walk the headers, send the same bytes on. */
static void relay(struct tunnel *t, int dir, const uint8_t *data, size_t len)
{
    struct ws_seen seen;
    if (t->phase >= TUNNEL_ENDING || t->is_mute[dir] || !tunnel_has_receiver(t, dir))
        return; /* what comes behind a close frame is read and forgotten */

    t->active_ms = loop_now_ms(t->set->loop);
    enum ws_verdict verdict = ws_walk_feed(&t->walk[dir], data, len, &seen);
    bool ends_here = t->phase == TUNNEL_OPEN && dir == DOWN && seen.boundary >= 0 && verdict == WS_VERDICT_PASS &&
                     tunnel_is_end_due(t);
    size_t pass_bytes = ends_here ? (size_t)seen.boundary : seen.pass_bytes;
    tunnel_count(t, dir, pass_bytes, seen.message_count);
    tunnel_write(t, dir, data, pass_bytes);
    if (t->phase >= TUNNEL_ENDING)
        return; /* by what a session said to it */

    if (verdict == WS_VERDICT_CLOSED) {
        tunnel_close_passed(t, dir, &seen);
    } else if (verdict == WS_VERDICT_BAD) {
        tunnel_violated(t, dir, &seen);
    } else if (ends_here) {
        t->is_cut[DOWN] = true;
        tunnel_end_planned(t);
    } else if (tunnel_is_full(t, dir)) {
        tunnel_pause_sender(t, dir);
    }
}

static void on_client_data(void *arg, const uint8_t *data, size_t len)
{
    relay(arg, UP, data, len);
}

static void on_server_data(void *arg, const uint8_t *data, size_t len)
{
    relay(arg, DOWN, data, len);
}

static void on_coded_client_data(void *arg, const uint8_t *data, size_t len)
{
    tunnel_coded_relay(arg, UP, data, len);
}

static void on_coded_server_data(void *arg, const uint8_t *data, size_t len)
{
    tunnel_coded_relay(arg, DOWN, data, len);
}

static void on_coded_server_drain(void *arg)
{
    tunnel_coded_go_on(arg);
}

static void resume_feeder(struct tunnel *t, int drained_side)
{
    if (drained_side == UP && t->session != NULL)
        session_resume(t->session);
    if (t->side[1 - drained_side] != NULL)
        conn_resume(t->side[1 - drained_side]);
}

static void on_client_drain(void *arg)
{
    struct tunnel *t = arg;
    resume_feeder(t, UP);
    if (t->session != NULL)
        tunnel_server_drained(t); /* it reads, so it is heard again */
}

static void on_server_drain(void *arg)
{
    resume_feeder(arg, DOWN);
}

/* ---- a side hangs up, or breaks ---- */

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
    snprintf(reason, sizeof reason, "upstream lost, retry in %" PRId64 " ms", retry_ms);
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

static void on_client_eof(void *arg)
{
    struct tunnel *t = arg;
    CHECK_OBJ(t, TUNNEL_MAGIC);
    if (t->phase == TUNNEL_CLOSING && t->is_mute[UP])
        return; /* half closed after its close frame: the server's answer still goes out */
    if (t->phase == TUNNEL_ENDING && conn_buffered(t->side[UP]) > 0)
        return; /* on_client_flushed */
    close_side(t, UP, false);
    if (t->phase != TUNNEL_ENDING)
        client_lost(t, ERR_EOF);
    else if (t->side[DOWN] == NULL)
        finish(t);
}

static void on_server_eof(void *arg)
{
    struct tunnel *t = arg;
    CHECK_OBJ(t, TUNNEL_MAGIC);
    close_side(t, DOWN, false);
    if (t->phase != TUNNEL_ENDING)
        server_lost(t, ERR_EOF);
    else if (t->side[UP] == NULL)
        finish(t);
}

static void on_client_flushed(void *arg)
{
    struct tunnel *t = arg;
    if (t->phase != TUNNEL_ENDING)
        return;
    if (conn_eof_seen(t->side[UP]))
        on_client_eof(t);
    else if (!has_unsent(t))
        enter_phase(t, TUNNEL_ENDING, LINGER_MS);
}

static void on_server_flushed(void *arg)
{
    struct tunnel *t = arg;
    if (t->phase == TUNNEL_ENDING && !has_unsent(t))
        enter_phase(t, TUNNEL_ENDING, LINGER_MS);
}

static void on_client_close(void *arg, enum err e)
{
    struct tunnel *t = arg;
    CHECK_OBJ(t, TUNNEL_MAGIC);
    t->side[UP] = NULL;
    if (t->phase != TUNNEL_ENDING)
        client_lost(t, e);
    else if (t->side[DOWN] == NULL)
        finish(t);
}

static void on_server_close(void *arg, enum err e)
{
    struct tunnel *t = arg;
    CHECK_OBJ(t, TUNNEL_MAGIC);
    t->side[DOWN] = NULL;
    if (t->phase != TUNNEL_ENDING)
        server_lost(t, e);
    else if (t->side[UP] == NULL)
        finish(t);
}

static const struct conn_ops client_ops = {
    .on_data = on_client_data,
    .on_eof = on_client_eof,
    .on_drain = on_client_drain,
    .on_flushed = on_client_flushed,
    .on_close = on_client_close,
};
static const struct conn_ops server_ops = {
    .on_data = on_server_data,
    .on_eof = on_server_eof,
    .on_drain = on_server_drain,
    .on_flushed = on_server_flushed,
    .on_close = on_server_close,
};

/* Of a tunnel whose client compresses. */
static const struct conn_ops coded_client_ops = {
    .on_data = on_coded_client_data,
    .on_eof = on_client_eof,
    .on_drain = on_client_drain,
    .on_flushed = on_client_flushed,
    .on_close = on_client_close,
};
static const struct conn_ops coded_server_ops = {
    .on_data = on_coded_server_data,
    .on_eof = on_server_eof,
    .on_drain = on_coded_server_drain,
    .on_flushed = on_server_flushed,
    .on_close = on_server_close,
};

/* ---- life ---- */

static void adopt_sides(struct tunnel *t, const struct tunnel_start *o)
{
    const struct conf_route *r = t->route;
    t->side[UP] = o->client;
    ws_walk_init(&t->walk[UP], WS_SENDER_CLIENT, r->max_message_bytes, r->check_utf8);
    ws_walk_init(&t->walk[DOWN], WS_SENDER_SERVER, r->max_message_bytes, r->check_utf8);
    if (o->deflate != NULL)
        tunnel_coded_open(t, o->deflate);
    conn_set_owner(o->client, t->coding != NULL ? &coded_client_ops : &client_ops, t);
    conn_set_high(o->client, r->buffer_bytes);
    t->session = session_open(t, o);
    if (t->session != NULL)
        return;
    if (o->origin_ops != NULL)
        o->origin_ops->free(o->origin);
    t->side[DOWN] = o->upstream;
    conn_set_owner(o->upstream, t->coding != NULL ? &coded_server_ops : &server_ops, t);
    conn_set_high(o->upstream, r->buffer_bytes);
}

/* Begins to read both sides, with what came behind their handshakes. */
static void begin(struct tunnel *t, const struct tunnel_start *o)
{
    void (*const pass)(struct tunnel *, int, const uint8_t *, size_t) = t->coding != NULL ? tunnel_coded_relay : relay;
    if (t->session != NULL)
        session_start(t->session, o->upstream_early, o->upstream_early_bytes);
    else if (o->upstream_early_bytes > 0)
        pass(t, DOWN, o->upstream_early, o->upstream_early_bytes);
    if (o->client_early_bytes > 0)
        pass(t, UP, o->client_early, o->client_early_bytes);
    if (t->phase < TUNNEL_ENDING && !tunnel_is_full(t, UP) && !is_stalled(t))
        conn_resume(t->side[UP]);
    if (t->phase < TUNNEL_ENDING && t->session == NULL && !conn_is_full(t->side[UP]))
        conn_resume(t->side[DOWN]);
}

struct ws_deflate_policy tunnel_deflate_policy(const struct conf_route *r)
{
    return (struct ws_deflate_policy){
        .is_enabled = r->compression.is_enabled,
        .keeps_context = r->compression.keeps_context,
        .window_bits = (uint8_t)r->compression.window_bits,
        .level = (uint8_t)r->compression.level,
        .min_bytes = r->compression.min_bytes,
    };
}

void tunnel_start(struct tunnel_set *s, const struct tunnel_start *o)
{
    struct tunnel *t;
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    OBJ_NEW(t, TUNNEL_MAGIC);
    t->set = s;
    t->conf = conf_ref(o->conf);
    t->route = o->route;
    t->route_slot = o->route_slot;
    t->record = access_record_keep(o->record);
    if (o->claims != NULL)
        t->claims = token_claims_ref(o->claims);
    t->end_reason = "";
    t->opened_ms = t->active_ms = loop_now_ms(s->loop);
    list_init(&t->link);
    list_init(&t->server_link);
    list_append(&s->live, &t->link);
    s->live_count++;
    timer_init(&t->timer, s->loop, on_timer, t);
    tunnel_join_server(t, o->server);
    stat_add(&s->block->route[t->route_slot][STAT_ROUTE_WS_OPEN], 1);
    stat_add(&s->block->route[t->route_slot][STAT_ROUTE_WS_OPENED], 1);
    adopt_sides(t, o);
    arm(t);
    if (o->token_left_ms > 0)
        tunnel_plan_end(t, o->token_left_ms, CLOSED_BY_GATEWAY, WS_CLOSE_POLICY, "token expired");
    tunnel_catch_up(t, o->newest);
    begin(t, o);
}

void tunnel_rebind(struct tunnel *t, const struct conf *c, const struct conf_route *route)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    conf_unref(&t->conf);
    t->conf = conf_ref(c);
    t->route = route;
    arm(t);
    if (t->session != NULL)
        session_rebound(t->session);
}

void tunnel_abort(struct tunnel *t, const char *reason)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    note_end(t, CLOSED_BY_GATEWAY, WS_CLOSE_GOING_AWAY, reason);
    close_side(t, UP, true);
    close_side(t, DOWN, true);
    finish(t);
}

void tunnel_join_server(struct tunnel *t, struct server *server)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    if (t->server != NULL)
        server_tunnel_closed(&t->server, &t->server_link);
    t->server = server;
    if (server != NULL)
        server_tunnel_opened(server, &t->server_link);
}

void tunnel_from_server(struct tunnel *t, const uint8_t *frames, size_t len)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    (t->coding != NULL ? tunnel_coded_relay : relay)(t, DOWN, frames, len);
}

void tunnel_server_drained(struct tunnel *t)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    if (t->phase >= TUNNEL_ENDING)
        return;
    if (t->coding != NULL)
        tunnel_coded_go_on(t);
    else if (!tunnel_is_full(t, UP))
        resume_feeder(t, DOWN);
}

void tunnel_free(struct tunnel *t)
{
    CHECK_OBJ(t, TUNNEL_MAGIC);
    ASSERT(t->phase == TUNNEL_GONE);
    if (t->session != NULL)
        session_free(&t->session);
    if (t->coding != NULL)
        tunnel_coded_free(t);
    conf_unref(&t->conf);
    access_kept_free(&t->record);
    if (t->claims != NULL)
        token_claims_unref(&t->claims);
    OBJ_FREE(&t, TUNNEL_MAGIC);
}
