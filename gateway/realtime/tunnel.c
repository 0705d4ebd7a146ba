/* One tunnel: its life, and the bytes on their way. How it ends is another file, tunnel_end.c.
 *
 * The hard part is that the receiver of a direction is not always the connection on the other side: with a session
 * (session.c) the client speaks to that, and with compression (tunnel_coded.c) what comes out is not what went in. So
 * there are two sets of callbacks, and a handful of functions that know who a direction leads to. */
#include "gateway/realtime/session_priv.h"

#include "base/mem.h"
#include "gateway/ws/close.h"

/* ---- bytes ---- */

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

/* ---- a side is done, hangs up, or breaks ---- */

static void on_client_eof(void *arg)
{
    struct tunnel *t = arg;
    CHECK_OBJ(t, TUNNEL_MAGIC);
    if (t->phase == TUNNEL_CLOSING && t->is_mute[UP])
        return; /* half closed after its close frame: the server's answer still goes out */
    if (t->phase == TUNNEL_ENDING && conn_buffered(t->side[UP]) > 0)
        return; /* on_client_flushed */
    tunnel_side_lost(t, UP, ERR_EOF);
}

static void on_server_eof(void *arg)
{
    tunnel_side_lost(arg, DOWN, ERR_EOF);
}

static void on_client_flushed(void *arg)
{
    struct tunnel *t = arg;
    if (t->phase == TUNNEL_ENDING && (conn_eof_seen(t->side[UP]) || tunnel_is_client_done(t)))
        on_client_eof(t);
    else
        tunnel_side_flushed(t);
}

static void on_server_flushed(void *arg)
{
    tunnel_side_flushed(arg);
}

static void on_client_close(void *arg, enum err e)
{
    struct tunnel *t = arg;
    CHECK_OBJ(t, TUNNEL_MAGIC);
    t->side[UP] = NULL;
    tunnel_side_lost(t, UP, e);
}

static void on_server_close(void *arg, enum err e)
{
    struct tunnel *t = arg;
    CHECK_OBJ(t, TUNNEL_MAGIC);
    t->side[DOWN] = NULL;
    tunnel_side_lost(t, DOWN, e);
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
    conn_set_near(o->client, &t->near);
    near_put(&t->near, NEAR_TUNNEL, t, offsetof(struct tunnel, link));
    near_put(&t->near, NEAR_CLIENT, o->client, CONN_NEAR_BYTES);
    t->session = session_open(t, o);
    if (t->session != NULL)
        return;
    if (o->origin_ops != NULL)
        o->origin_ops->free(o->origin);
    t->side[DOWN] = o->upstream;
    conn_set_owner(o->upstream, t->coding != NULL ? &coded_server_ops : &server_ops, t);
    conn_set_high(o->upstream, r->buffer_bytes);
    conn_set_near(o->upstream, &t->near);
    near_put(&t->near, NEAR_SERVER, o->upstream, CONN_NEAR_BYTES);
}

static bool is_stalled(const struct tunnel *t)
{
    return t->coding != NULL && tunnel_coded_is_stalled(t);
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
    timer_init(&t->timer, s->loop, tunnel_on_due, t);
    tunnel_join_server(t, o->server);
    stat_add(&s->block->route[t->route_slot][STAT_ROUTE_WS_OPEN], 1);
    stat_add(&s->block->route[t->route_slot][STAT_ROUTE_WS_OPENED], 1);
    adopt_sides(t, o);
    tunnel_arm(t);
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
    tunnel_arm(t);
    if (t->session != NULL)
        session_rebound(t->session);
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
