/* All tunnels of a process: what a reload, a drain or a lost server does to many of them at once. */
#include <sys/random.h>

#include "base/mem.h"
#include "gateway/realtime/session_priv.h"
#include "gateway/ws/close.h"

static void reap(void *arg)
{
    struct tunnel_set *s = arg;
    LIST_EACH (it, &s->dead) {
        struct tunnel *t = LIST_ENTRY(it, struct tunnel, link);
        list_unlink(it);
        tunnel_free(t);
    }
    if (s->live_count == 0 && s->on_empty != NULL)
        s->on_empty(s->arg);
}

struct tunnel_set *tunnel_set_create(struct loop *l, struct stats_block *block, struct access_log *access,
                                     tunnel_set_empty_fn *on_empty, void *arg)
{
    struct tunnel_set *s;
    OBJ_NEW(s, TUNNEL_SET_MAGIC);
    s->loop = l;
    s->block = block;
    s->access = access;
    s->on_empty = on_empty;
    s->arg = arg;
    ssize_t got = getrandom(&s->random, sizeof s->random, 0);
    ASSERT(got == (ssize_t)sizeof s->random);
    s->random |= 1; /* zero would stay zero */
    s->stock = ws_stock_create();
    s->losses = losses_create(l, NULL, NULL);
    s->moves = tunnel_moves_create(l);
    list_init(&s->parting);
    list_init(&s->live);
    list_init(&s->dead);
    later_init(&s->reap, l, reap, s);
    return s;
}

void tunnel_set_destroy(struct tunnel_set **sp)
{
    struct tunnel_set *s = *sp;
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    LIST_EACH (it, &s->live) {
        tunnel_abort(LIST_ENTRY(it, struct tunnel, link), "gateway stopped");
    }
    s->on_empty = NULL;
    reap(s);
    later_cancel(&s->reap);
    LIST_EACH (it, &s->parting) {
        struct leg *l = LIST_ENTRY(it, struct leg, link);
        leg_free(&l);
    }
    if (s->seekers != NULL)
        seekers_destroy(&s->seekers);
    ws_stock_destroy(&s->stock);
    losses_destroy(&s->losses);
    tunnel_moves_destroy(&s->moves);
    mem_free(s->coded_out);
    OBJ_FREE(sp, TUNNEL_SET_MAGIC);
}

uint32_t tunnel_set_count(const struct tunnel_set *s)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    return s->live_count;
}

void tunnel_set_follow(struct tunnel_set *s, const struct rules *rules)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    s->rules = rules;
}

void tunnel_set_tell_losses(struct tunnel_set *s, losses_tell_fn *tell, void *arg)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    losses_follow(s->losses, tell, arg);
}

void tunnel_set_serve(struct tunnel_set *s, struct net *n, struct pool_set *pools, const struct slots *slots,
                      uint32_t worker_index)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    s->seekers = seekers_create(n, pools);
    s->slots = slots;
    s->worker_index = worker_index;
}

void tunnel_set_share(struct tunnel_set *s, uint32_t worker_count)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    seekers_set_shares(s->seekers, worker_count);
    tunnel_moves_set_shares(s->moves, worker_count);
}

/* ---- many at once ---- */

/* xorshift64 (Marsaglia 2003): jitter must differ from process to process, no more is asked of it. */
uint64_t tunnel_random(struct tunnel_set *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

/* The i-th of n endings within time_ms: evenly spread, each somewhere in its own share of the time, so that the
 * clients come back one after the other and not in step. */
static int64_t spread_ms(struct tunnel_set *s, uint32_t i, uint32_t n, int64_t time_ms)
{
    double share = (double)time_ms / (double)(n > 0 ? n : 1);
    double place = (double)(tunnel_random(s) >> 11) * 0x1p-53;
    return (int64_t)(share * ((double)i + place));
}

static const struct conf_route *route_by_name(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->route_count; i++)
        if (strcmp(c->routes[i].name, name) == 0)
            return &c->routes[i];
    return NULL;
}

/* Under the configuration the tunnel is bound to. */
static void end_if_revoked(struct tunnel *t)
{
    if (t->claims != NULL && t->set->rules != NULL && rules_is_revoked(t->set->rules, t->route, t->claims))
        tunnel_plan_end(t, 0, CLOSED_BY_GATEWAY, WS_CLOSE_POLICY, "token revoked");
}

void tunnel_catch_up(struct tunnel *t, const struct conf *newest)
{
    const struct ending *l = &t->set->leaving;
    int64_t left_ms = l->at_ms - loop_now_ms(t->set->loop);
    const struct conf_route *to = newest == t->conf ? t->route : route_by_name(newest, t->route->name);
    if (l->at_ms != 0)
        tunnel_plan_end(t, left_ms > 0 ? spread_ms(t->set, 0, 1, left_ms) : 0, (enum closed_by)l->by, l->code,
                        l->reason);
    if (t->session != NULL && t->server != NULL && server_is_removed(t->server))
        tunnel_moves_server_removed(t->set->moves, t, newest->drain.time_ms);
    if (t->session == NULL && server_is_removed(t->server))
        tunnel_plan_end(t, spread_ms(t->set, 0, 1, newest->drain.time_ms), CLOSED_BY_DRAIN, WS_CLOSE_SERVICE_RESTART,
                        "upstream removed");
    if (to == NULL)
        tunnel_plan_end(t, spread_ms(t->set, 0, 1, newest->drain.time_ms), CLOSED_BY_DRAIN, WS_CLOSE_SERVICE_RESTART,
                        "route removed");
    else if (newest != t->conf)
        tunnel_rebind(t, newest, to);
    if (to != NULL)
        end_if_revoked(t);
}

void tunnel_set_drain(struct tunnel_set *s, int64_t time_ms, enum closed_by by, uint16_t code, const char *reason)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    uint32_t i = 0;
    tunnel_moves_stop(s->moves);
    s->leaving =
        (struct ending){.at_ms = loop_now_ms(s->loop) + time_ms, .by = (uint8_t)by, .code = code, .reason = reason};
    LIST_EACH (it, &s->live) {
        tunnel_plan_end(LIST_ENTRY(it, struct tunnel, link), spread_ms(s, i, s->live_count, time_ms), by, code, reason);
        i++;
    }
}

void tunnel_drain_server(struct tunnel_set *s, struct server *server, int64_t time_ms, enum closed_by by, uint16_t code,
                         const char *reason)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    uint32_t i = 0;
    LIST_EACH (it, &server->tunnels) {
        struct tunnel *t = LIST_ENTRY(it, struct tunnel, server_link);
        if (t->session == NULL)
            tunnel_plan_end(t, spread_ms(s, i++, server->tunnel_count, time_ms), by, code, reason);
        else if (by == CLOSED_BY_UPSTREAM)
            session_server_down(t->session, reason);
        else
            tunnel_moves_server_removed(s->moves, t, time_ms);
    }
}

void tunnel_set_server_down(struct tunnel_set *s, const struct server *server)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    seekers_server_down(s->seekers, server);
    LIST_EACH (it, &s->live) {
        struct session *of = LIST_ENTRY(it, struct tunnel, link)->session;
        if (of != NULL && of->next != NULL && of->next->server == server)
            leg_lose(of->next, LEG_ANOTHER, LEG_LOSS_OURS, "server is down");
    }
}

void tunnel_set_retry(struct tunnel_set *s)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    tunnel_moves_hurry(s->moves);
    LIST_EACH (it, &s->live) {
        struct tunnel *t = LIST_ENTRY(it, struct tunnel, link);
        if (t->session != NULL)
            session_retry(t->session);
    }
}

/* The last route looked up: neighbours mostly share theirs. */
struct route_move {
    const struct conf_route *from;
    const struct conf_route *to; /* NULL: removed */
};

static const struct conf_route *moved_to(struct route_move *m, const struct conf *c, const struct conf_route *from)
{
    if (from != m->from)
        *m = (struct route_move){.from = from, .to = route_by_name(c, from->name)};
    return m->to;
}

void tunnel_set_rebind(struct tunnel_set *s, const struct conf *c, int64_t time_ms)
{
    CHECK_OBJ(s, TUNNEL_SET_MAGIC);
    struct route_move last = {.from = NULL};
    uint32_t gone_count = 0, i = 0;
    LIST_EACH (it, &s->live) {
        gone_count += moved_to(&last, c, LIST_ENTRY(it, struct tunnel, link)->route) == NULL;
    }
    LIST_EACH (it, &s->live) {
        struct tunnel *t = LIST_ENTRY(it, struct tunnel, link);
        const struct conf_route *to = moved_to(&last, c, t->route);
        if (to != NULL) {
            tunnel_rebind(t, c, to);
            end_if_revoked(t);
            continue;
        }
        tunnel_plan_end(t, spread_ms(s, i++, gone_count, time_ms), CLOSED_BY_DRAIN, WS_CLOSE_SERVICE_RESTART,
                        "route removed");
    }
}
