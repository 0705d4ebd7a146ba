/* Legs. The hard part is that a leg can be lost in the middle of its own bytes, by its server, by a speaker, or by a
 * write to it. So losing one only takes its connection away and stops its sifter, at once, and the session deals with
 * it at the end of the pass; its memory goes then. What is lost by our decision is reset: a server that was thought
 * dead and is not must not keep a second presence of the client. */
#include <stdio.h>

#include "base/mem.h"
#include "gateway/realtime/session_priv.h"
#include "gateway/ws/close.h"
#include "gateway/ws/mask.h"

#define MOVE_MS 15000 /* a planned move is complete by then, or tried again later */

static const struct conn_ops leg_ops, parting_ops;
static const struct sift_ops sift_ops;

/* ---- life ---- */

static void on_parted(void *arg)
{
    struct leg *l = arg;
    leg_free(&l);
}

struct leg *leg_create(struct session *s, struct conn *conn, struct server *server)
{
    struct leg *l;
    const struct conf_route *r = s->tunnel->route;
    const int64_t now_ms = session_now_ms(s);
    OBJ_NEW(l, LEG_MAGIC);
    l->session = s;
    l->epoch = ++s->epoch;
    l->conn = conn;
    l->server = server_ref(server);
    l->opened_ms = l->heard_ms = now_ms;
    l->silent_until_ms = 0;
    /* Of many that come at once not all beat at once. */
    l->beat_at_ms = now_ms + 1 + (int64_t)(session_random(s) % (uint64_t)r->session.heartbeat_ms);
    l->why = "";
    list_init(&l->link);
    timer_init(&l->parting, s->tunnel->set->loop, on_parted, l);
    const size_t most = r->max_message_bytes < SESSION_HOLD_BYTES ? (size_t)r->max_message_bytes : SESSION_HOLD_BYTES;
    strbuf_init(&l->owed, SESSION_OWED_BYTES);
    sift_init(&l->sift, WS_SENDER_SERVER, r->max_message_bytes, most, most, &sift_ops, l);
    conn_set_owner(conn, &leg_ops, l);
    conn_set_high(conn, r->buffer_bytes);
    conn_set_near(conn, &s->tunnel->near);
    return l;
}

void leg_free(struct leg **lp)
{
    struct leg *l = *lp;
    CHECK_OBJ(l, LEG_MAGIC);
    timer_cancel(&l->parting);
    list_unlink(&l->link);
    sift_fini(&l->sift);
    strbuf_fini(&l->owed);
    if (l->conn != NULL)
        conn_close(&l->conn, false);
    server_unref(&l->server);
    OBJ_FREE(lp, LEG_MAGIC);
}

static void forget_beat(struct leg *l)
{
    if (l->beat_us != 0)
        lag_forget(&l->server->lag);
    l->beat_us = 0;
}

void leg_lose(struct leg *l, enum leg_fault fault, enum leg_loss loss, const char *why)
{
    CHECK_OBJ(l, LEG_MAGIC);
    if (l->is_over)
        return;
    if (l->session->feeding == l)
        sift_flush(&l->sift); /* what it said before */
    l->is_over = true;
    forget_beat(l);
    l->is_ours = loss == LEG_LOSS_OURS;
    l->fault = (uint8_t)fault;
    (void)snprintf(l->why_room, sizeof l->why_room, "%s", why);
    l->why = l->why_room;
    sift_stop(&l->sift);
    if (l->conn != NULL)
        conn_close(&l->conn, true);
    session_leg_lost(l->session, l);
}

void leg_fail(struct leg *l, enum leg_fault fault, const char *why)
{
    leg_lose(l, fault, LEG_LOSS_FAULT, why);
}

/* What the client said before this goes before it. */
static void flush_up(struct leg *l)
{
    if (l->session->is_feeding_up && l == l->session->leg)
        sift_flush(&l->session->up);
}

/* Nothing of the gateway's own can stand inside a message that the client has not sent to its end. */
static bool may_speak(const struct leg *l)
{
    return l != l->session->leg || sift_is_between_messages(&l->session->up);
}

void leg_pay(struct leg *l)
{
    CHECK_OBJ(l, LEG_MAGIC);
    if (l->owed.len == 0 || l->is_over || !may_speak(l))
        return;
    conn_write(l->conn, l->owed.data, l->owed.len);
    strbuf_fini(&l->owed);
}

static void put(struct leg *l, const struct slice *pieces, size_t count)
{
    flush_up(l);
    leg_pay(l);
    if (may_speak(l)) {
        conn_write_pieces(l->conn, pieces, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        strbuf_add(&l->owed, pieces[i].data, pieces[i].len);
    if (l->owed.failed)
        leg_lose(l, LEG_ANOTHER, LEG_LOSS_OURS, "too much waits behind a message");
}

static void send_frame(struct leg *l, enum ws_opcode opcode, const void *payload, size_t len)
{
    uint8_t header[WS_HEADER_BYTES], small[WS_CONTROL_BYTES];
    uint8_t key[4];
    const uint64_t random = session_random(l->session);
    memcpy(key, &random, sizeof key);
    const size_t header_bytes = ws_header_build(header, opcode, len, key);
    uint8_t *masked = len <= sizeof small ? small : mem_alloc_begun(len, 0);
    ws_mask_copy(masked, payload, len, key, 0);
    const struct slice pieces[] = {slice_borrow(header, header_bytes), slice_borrow(masked, len)};
    put(l, pieces, len > 0 ? 2 : 1);
    if (masked != small)
        mem_free(masked);
}

void leg_part(struct leg **lp, uint16_t code)
{
    struct leg *l = *lp;
    CHECK_OBJ(l, LEG_MAGIC);
    if (!l->is_over && !may_speak(l)) {
        l->is_over = true;
        conn_close(&l->conn, true);
    }
    *lp = NULL;
    forget_beat(l);
    sift_stop(&l->sift);
    list_unlink(&l->link);
    list_append(&l->session->tunnel->set->parting, &l->link);
    if (l->is_over) { /* its own bytes may be on the stack */
        timer_start(&l->parting, 0);
        return;
    }
    uint8_t frame[WS_CONTROL_FRAME_BYTES], key[4];
    const uint64_t random = session_random(l->session);
    memcpy(key, &random, sizeof key);
    conn_write(l->conn, frame, ws_close_build(frame, code, "", key));
    l->session = NULL;
    l->is_over = true;
    conn_set_owner(l->conn, &parting_ops, l);
    conn_resume(l->conn);
    timer_start(&l->parting, SESSION_PART_MS);
}

/* ---- what is said to the server ---- */

uint32_t leg_epoch(const struct leg *l)
{
    return l->epoch;
}

const char *leg_server(const struct leg *l)
{
    return l->server->server_conf->slot_name;
}

int64_t leg_heard_ms(const struct leg *l)
{
    return l->heard_ms;
}

uint16_t leg_close_code(const struct leg *l)
{
    return l->close_code;
}

void leg_send(struct leg *l, enum ws_opcode opcode, const void *payload, size_t len)
{
    CHECK_OBJ(l, LEG_MAGIC);
    if (!l->is_over)
        send_frame(l, opcode, payload, len);
}

void leg_send_frames(struct leg *l, const void *frames, size_t len)
{
    CHECK_OBJ(l, LEG_MAGIC);
    const struct slice piece = slice_borrow(frames, len);
    if (!l->is_over)
        put(l, &piece, 1);
}

size_t leg_buffered(const struct leg *l)
{
    return l->is_over ? 0 : conn_buffered(l->conn) + l->owed.len;
}

/* ---- what the server says ---- */

static enum sift_verdict on_message(void *arg, const struct ws_message *m)
{
    struct leg *l = arg;
    struct session *s = l->session;
    return s->protocol->on_server(s->speaker, l, m);
}

static void on_pass(void *arg, const uint8_t *frames, size_t len)
{
    struct leg *l = arg;
    session_pass_down(l->session, l, frames, len);
}

/* Not each has to be answered (RFC 6455 section 5.5.3), least of all of a server that does not read the answers. */
static void on_ping(void *arg, const uint8_t *payload, size_t len)
{
    struct leg *l = arg;
    if (!conn_is_full(l->conn))
        leg_send(l, WS_OPCODE_PONG, payload, len);
}

static void on_pong(void *arg, const uint8_t *payload, size_t len)
{
    (void)arg; /* that it came was noted */
    (void)payload;
    (void)len;
}

/* What a server means this one client with passes: codes from 3000 up are the application's (RFC 6455 section 7.4.2),
 * and 1008 is a judgement about the client. Everything else is about the server, whose sessions go on elsewhere, unless
 * the protocol knows better. */
static bool is_about_client(struct leg *l, uint16_t code, const char *reason, size_t len)
{
    struct session *s = l->session;
    if (l != s->leg)
        return false;
    if (s->protocol->on_server_close != NULL && s->protocol->on_server_close(s->speaker, l, code, reason, len))
        return true;
    if (code != WS_CLOSE_POLICY && code < 3000)
        return false;
    char text[WS_CLOSE_REASON_BYTES + 1];
    const size_t text_bytes = len < sizeof text ? len : sizeof text - 1;
    if (text_bytes > 0)
        memcpy(text, reason, text_bytes);
    text[text_bytes] = '\0';
    session_end(s, code, text);
    return true;
}

static void on_close(void *arg, uint16_t code, const char *reason, size_t len)
{
    struct leg *l = arg;
    char why[32];
    l->close_code = code;
    if (!is_about_client(l, code, reason, len)) {
        (void)snprintf(why, sizeof why, "server closed with %u", code);
        if (code == WS_CLOSE_SERVICE_RESTART)
            tunnel_moves_announced(l->session->tunnel->set->moves, l->server, session_now_ms(l->session));
        leg_lose(l, LEG_ANOTHER, LEG_LOSS_FAULT, why);
    } else if (!l->is_over) { /* the end is planned; nothing takes its place meanwhile */
        session_note_about(l->session, "closed by", l->server);
        l->is_over = true;
        sift_stop(&l->sift);
        conn_close(&l->conn, false);
    }
}

static void on_bad(void *arg, uint16_t code, const char *error)
{
    (void)code;
    leg_lose(arg, LEG_ANOTHER, LEG_LOSS_FAULT, error);
}

static const struct sift_ops sift_ops = {.on_message = on_message,
                                         .on_pass = on_pass,
                                         .on_ping = on_ping,
                                         .on_pong = on_pong,
                                         .on_close = on_close,
                                         .on_bad = on_bad};

static void feed(struct leg *l, const uint8_t *data, size_t len)
{
    struct session *s = l->session;
    l->heard_ms = session_now_ms(s);
    s->feeding = l;
    sift_feed(&l->sift, data, len);
    s->feeding = NULL;
    if (!l->is_over)
        session_touch_after_bytes(s);
}

void leg_pause(struct leg *l)
{
    CHECK_OBJ(l, LEG_MAGIC);
    forget_beat(l); /* how long the answer takes says nothing about the server now */
    conn_pause(l->conn);
}

void leg_start(struct leg *l, const uint8_t *early, size_t len)
{
    if (len > 0)
        feed(l, early, len);
    if (!l->is_over && !l->session->is_client_full)
        conn_resume(l->conn);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    feed(arg, data, len);
}

static void on_eof(void *arg)
{
    leg_lose(arg, LEG_ANOTHER, LEG_LOSS_FAULT, "end of stream");
}

static void on_conn_close(void *arg, enum err e)
{
    struct leg *l = arg;
    l->conn = NULL;
    leg_lose(l, LEG_ANOTHER, LEG_LOSS_FAULT, err_text(e));
}

static void on_drain(void *arg)
{
    struct leg *l = arg;
    tunnel_server_drained(l->session->tunnel);
}

static const struct conn_ops leg_ops = {
    .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_close = on_conn_close};

static void on_parting_data(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

static void on_parting_eof(void *arg)
{
    struct leg *l = arg;
    leg_free(&l);
}

static void on_parting_close(void *arg, enum err e)
{
    struct leg *l = arg;
    (void)e;
    l->conn = NULL;
    leg_free(&l);
}

static const struct conn_ops parting_ops = {
    .on_data = on_parting_data, .on_eof = on_parting_eof, .on_close = on_parting_close};

/* ---- signs of life ---- */

void leg_beat_answered(struct leg *l)
{
    CHECK_OBJ(l, LEG_MAGIC);
    if (l->beat_us == 0 || l->is_over)
        return;
    struct session *s = l->session;
    s->rtt_us = loop_fresh_us(s->tunnel->set->loop) - l->beat_us;
    forget_beat(l);
    lag_answered(&l->server->lag, s->rtt_us / 1000, lag_limit_ms(session_conf(s)), session_now_ms(s));
}

void leg_allow_silence(struct leg *l, int64_t ms)
{
    CHECK_OBJ(l, LEG_MAGIC);
    if (l->is_over)
        return;
    l->silent_until_ms = ms > 0 ? session_now_ms(l->session) + ms : 0;
    session_touch(l->session);
}

void leg_restored(struct leg *l)
{
    CHECK_OBJ(l, LEG_MAGIC);
    if (l->is_over || l->restored_ms != 0)
        return;
    l->restored_ms = session_now_ms(l->session);
    session_leg_restored(l->session, l);
}

static int64_t dead_at_ms(const struct leg *l)
{
    if (l->session->is_client_full)
        return INT64_MAX; /* it is not listened to */
    const int64_t at_ms = l->heard_ms + session_conf(l->session)->dead_after_ms;
    return at_ms > l->silent_until_ms ? at_ms : l->silent_until_ms;
}

/* A server that a session is being moved to has so long; the session has a server, and can wait for a better one. */
static int64_t move_by_ms(const struct leg *l)
{
    const int64_t answer_ms = session_conf(l->session)->answer_ms;
    return l->opened_ms + (answer_ms > MOVE_MS ? answer_ms : MOVE_MS);
}

int64_t leg_due_ms(const struct leg *l)
{
    const int64_t dead_ms = dead_at_ms(l);
    int64_t due_ms = l->beat_at_ms < dead_ms ? l->beat_at_ms : dead_ms;
    if (l->ends_ms != 0 && l->ends_ms < due_ms)
        due_ms = l->ends_ms;
    if (l == l->session->next && move_by_ms(l) < due_ms)
        due_ms = move_by_ms(l);
    return due_ms;
}

/* A server that was asked for a sign of life less often than now has not been silent for too long. */
void leg_rebound(struct leg *l, int64_t now_ms)
{
    const int64_t heartbeat_ms = session_conf(l->session)->heartbeat_ms;
    if (l->beat_at_ms - now_ms > heartbeat_ms)
        l->beat_at_ms = now_ms + 1 + (int64_t)(session_random(l->session) % (uint64_t)heartbeat_ms);
    if (l->heard_ms + heartbeat_ms < l->beat_at_ms)
        l->heard_ms = now_ms;
}

void leg_on_time(struct leg *l, int64_t now_ms)
{
    struct session *s = l->session;
    if (now_ms >= dead_at_ms(l)) {
        leg_lose(l, LEG_ANOTHER, LEG_LOSS_FAULT, "silence");
        return;
    }
    if (l == s->next && now_ms >= move_by_ms(l)) {
        leg_lose(l, LEG_ANOTHER, LEG_LOSS_OURS, "takes too long");
        return;
    }
    if (now_ms < l->beat_at_ms)
        return;
    l->beat_at_ms = now_ms + session_conf(s)->heartbeat_ms;
    if (l->beat_us == 0 && !s->is_client_full) {
        l->beat_us = loop_fresh_us(s->tunnel->set->loop);
        lag_asked(&l->server->lag, now_ms);
    }
    s->protocol->beat(s->speaker, l);
}
