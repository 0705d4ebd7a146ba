/* The slow path of a tunnel: its client speaks permessage-deflate, its server does not.
 *
 * gateway/ws/recode.h does the work; here is what it costs. The hard part is a small message that becomes a large one:
 * inflating stops as soon as the server is full, or when it has kept everybody else waiting long enough, and what is
 * left of the input is put aside (a stall) with the client paused. So the memory of a connection is bounded by one read
 * and the tunnel's buffer, whatever a client sends. Compressing needs none of that: what comes out is no larger. */
#include "base/buf.h"
#include "base/mem.h"
#include "gateway/realtime/tunnel_priv.h"
#include "gateway/ws/recode.h"

#define CODING_MAGIC 0xc0d15e55u
#define STALL_MAGIC  0x57a111edu

#define OUT_BYTES  NET_SCRATCH_BYTES
#define TURN_BYTES (512u * 1024u) /* inflated in one go before the others get a turn */

struct stall {
    uint32_t magic;
    struct slice held;  /* input that has not been looked at */
    struct timer again; /* runs when only the turn was over; otherwise the server's on_drain goes on */
};

struct tunnel_coding {
    uint32_t magic;
    struct ws_deflate_params params;
    struct ws_recode way[2];
    struct stall *stall; /* from the client; NULL: nothing waits */
};

static void on_again(void *arg)
{
    tunnel_coded_go_on(arg);
}

void tunnel_coded_open(struct tunnel *t, const struct ws_deflate_params *params)
{
    struct tunnel_coding *c;
    const struct conf_route *r = t->route;
    OBJ_NEW(c, CODING_MAGIC);
    c->params = *params;
    for (int dir = UP; dir <= DOWN; dir++)
        ws_recode_init(&c->way[dir], &t->walk[dir], t->set->stock, &c->params, r->max_message_bytes, r->check_utf8);
    if (t->set->coded_out == NULL)
        t->set->coded_out = mem_alloc(OUT_BYTES);
    t->coding = c;
}

void tunnel_coded_stop(struct tunnel *t)
{
    struct tunnel_coding *c = t->coding;
    CHECK_OBJ(c, CODING_MAGIC);
    if (c->stall == NULL)
        return;
    timer_cancel(&c->stall->again);
    slice_release(&c->stall->held);
    OBJ_FREE(&c->stall, STALL_MAGIC);
}

void tunnel_coded_free(struct tunnel *t)
{
    CHECK_OBJ(t->coding, CODING_MAGIC);
    tunnel_coded_stop(t);
    ws_recode_fini(&t->coding->way[UP]);
    ws_recode_fini(&t->coding->way[DOWN]);
    OBJ_FREE(&t->coding, CODING_MAGIC);
}

bool tunnel_coded_is_at_boundary(const struct tunnel *t, int dir)
{
    CHECK_OBJ(t->coding, CODING_MAGIC);
    return ws_recode_is_at_boundary(&t->coding->way[dir]);
}

bool tunnel_coded_is_stalled(const struct tunnel *t)
{
    CHECK_OBJ(t->coding, CODING_MAGIC);
    return t->coding->stall != NULL;
}

/* Puts the input aside that has not been looked at; `of` is what holds it. */
static void put_aside(struct tunnel *t, struct slice of, const struct ws_turn *turn)
{
    struct stall *s;
    OBJ_NEW(s, STALL_MAGIC);
    s->held = slice_ref((struct slice){.data = turn->in, .len = turn->in_bytes, .owner = of.owner});
    timer_init(&s->again, t->set->loop, on_again, t);
    if (!tunnel_is_full(t, UP))
        timer_start(&s->again, 0);
    t->coding->stall = s;
    conn_pause(t->side[UP]);
}

static void count(struct tunnel *t, int dir, size_t client_bytes, const struct ws_turn *turn,
                  const struct ws_seen *seen)
{
    stat_cell *cells = t->set->block->route[t->route_slot];
    tunnel_count(t, dir, client_bytes, seen->message_count);
    stat_add(&cells[STAT_ROUTE_WS_PLAIN_BYTES], (int64_t)turn->plain_bytes);
    stat_add(&cells[STAT_ROUTE_WS_PACKED_BYTES], (int64_t)turn->packed_bytes);
}

static void work(struct tunnel *t, int dir, struct slice in)
{
    struct ws_seen seen;
    struct ws_turn turn = {
        .in = in.data,
        .in_bytes = in.len,
        .out = t->set->coded_out,
        .room_bytes = OUT_BYTES,
        .stops_at_boundary = t->phase == TUNNEL_OPEN && dir == DOWN && tunnel_is_end_due(t),
    };
    size_t sent_bytes = 0;
    enum ws_turned turned = WS_TURNED_FULL;

    t->active_ms = loop_now_ms(t->set->loop);
    ws_seen_clear(&seen);
    for (bool may_go_on = true; turned == WS_TURNED_FULL && may_go_on;) {
        turned = ws_recode_run(&t->coding->way[dir], &turn, &seen);
        tunnel_write(t, dir, turn.out, turn.out_bytes);
        if (t->phase >= TUNNEL_ENDING)
            return; /* by what a session said to it */
        sent_bytes += turn.out_bytes;
        turn.out_bytes = 0;
        may_go_on = dir == DOWN || (!tunnel_is_full(t, dir) && sent_bytes < TURN_BYTES);
    }
    count(t, dir, dir == UP ? in.len - turn.in_bytes : sent_bytes, &turn, &seen);

    if (turned == WS_TURNED_CLOSED) {
        tunnel_close_passed(t, dir, &seen);
    } else if (turned == WS_TURNED_BAD) {
        tunnel_violated(t, dir, &seen);
    } else if (turned == WS_TURNED_STOPPED) {
        t->is_cut[DOWN] = true;
        tunnel_end_planned(t);
    } else if (turned == WS_TURNED_FULL) {
        put_aside(t, in, &turn);
    } else if (tunnel_is_full(t, dir)) {
        tunnel_pause_sender(t, dir);
    }
}

static bool is_deaf(const struct tunnel *t, int dir)
{
    return t->phase >= TUNNEL_ENDING || t->is_mute[dir] || !tunnel_has_receiver(t, dir);
}

void tunnel_coded_relay(struct tunnel *t, int dir, const uint8_t *data, size_t len)
{
    CHECK_OBJ(t->coding, CODING_MAGIC);
    if (is_deaf(t, dir))
        return;
    ASSERT(dir == DOWN || t->coding->stall == NULL); /* the client is paused meanwhile */
    work(t, dir, slice_borrow(data, len));
}

void tunnel_coded_go_on(struct tunnel *t)
{
    CHECK_OBJ(t->coding, CODING_MAGIC);
    if (t->coding->stall != NULL) {
        struct slice held = slice_ref(t->coding->stall->held);
        tunnel_coded_stop(t);
        if (!is_deaf(t, UP))
            work(t, UP, held);
        slice_release(&held);
    }
    if (t->side[UP] != NULL && t->coding->stall == NULL && (!tunnel_has_receiver(t, UP) || !tunnel_is_full(t, UP)))
        conn_resume(t->side[UP]);
}
