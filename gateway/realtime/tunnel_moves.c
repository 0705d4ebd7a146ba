/* Which sessions want to leave their server, and why.
 *
 *   the operator or the configuration drains it   they move to another, and stay while there is none
 *   the configuration no longer names it          they move, and those that could not within drain.time lose it
 *   a better tier has a server again              they move back, where the route says so
 *   it closes one of them with 1012               the others move, before it comes to them
 *   it refuses one of them, for it restarts       that one moves, before all others; for half a minute
 *   it is down                                    nothing here: they lose it at once (tunnel_set.c)
 *
 * The servers are looked at often, the sessions only when there is a reason, then again now and then for those that
 * came meanwhile. */
#include "base/log.h"
#include "base/mem.h"
#include "gateway/realtime/moves.h"
#include "gateway/realtime/session_priv.h"

#define TUNNEL_MOVES_MAGIC 0x6d0f2b57u
#define WALK_MS            1000
/* A session that has just lost a server of a better tier is not sent back there before the checker had time to notice
 * what happened. */
#define SETTLED_MS 5000
/* Servers that restart refuse joins, then close their WebSockets a few at a time; it is over by then. */
#define ANNOUNCED_MS 30000

struct departure { /* from one server */
    int64_t walked_ms;
    int64_t announced_ms; /* by the server itself; 0: it never did */
    uint8_t reason;       /* enum move_reason, as of the last look */
    bool is_told;
};

struct tunnel_moves {
    uint32_t magic;
    struct moves *moves;
    struct departure departures[SLOTS_SERVERS];
};

static const char *const reason_texts[] = {
    [MOVE_NONE] = "stays",
    [MOVE_BACK] = "a better server is back",
    [MOVE_DRAINING] = "its server drains",
    [MOVE_ANNOUNCED] = "its server restarts",
    [MOVE_ASKED] = "its server restarts, and refuses joins",
    [MOVE_REMOVED] = "its server was removed",
};

/* ---- one move ---- */

static struct session *session_of(struct mover *m)
{
    return LIST_ENTRY(m, struct session, mover);
}

/* The server that was to restart is still there. */
static bool is_over(const struct session *s, const struct mover *m)
{
    return m->reason == MOVE_ASKED && session_now_ms(s) - s->asked_move_ms >= ANNOUNCED_MS;
}

static enum move_course on_begin(void *arg, struct mover *m)
{
    struct session *s = session_of(m);
    (void)arg;
    if (session_server(s) != m->from || is_over(s, m))
        return MOVE_DONE;
    return session_move(s, m->reason == MOVE_BACK, reason_texts[m->reason]) ? MOVE_UNDER_WAY : MOVE_NOT_NOW;
}

static enum move_course on_look(void *arg, struct mover *m)
{
    struct session *s = session_of(m);
    (void)arg;
    if (session_server(s) != m->from)
        return MOVE_DONE;
    return session_is_moving(s) ? MOVE_UNDER_WAY : MOVE_FAILED;
}

static void on_must_go(void *arg, struct mover *m)
{
    struct session *s = session_of(m);
    (void)arg;
    session_server_down(s, reason_texts[MOVE_REMOVED]);
}

static const struct moves_ops moves_ops = {.begin = on_begin, .look = on_look, .must_go = on_must_go};

static void want(struct tunnel_moves *m, struct tunnel *t, enum move_reason why, int64_t by_ms)
{
    moves_want(m->moves, &t->session->mover, t->server, why, (uint32_t)t->route_slot, t->route->session.move.per_s,
               by_ms);
}

/* ---- servers ---- */

static bool is_to_be_left(const struct server *s)
{
    return server_verdict(s).is_draining || s->server_conf->drain;
}

/* As far as is known without asking it. */
static bool is_to_be_had(const struct server *s)
{
    return server_verdict(s).state != VERDICT_DOWN && !is_to_be_left(s) && s->server_conf->weight > 0 &&
           s->circuit.state == CIRCUIT_CLOSED;
}

static enum conf_tier best_tier(const struct pool *p)
{
    enum conf_tier best = TIER_COUNT;
    for (size_t i = 0; i < p->server_count; i++)
        if (p->servers[i]->server_conf->tier < best && is_to_be_had(p->servers[i]))
            best = p->servers[i]->server_conf->tier;
    return best;
}

static bool stays(const struct departure *d, const struct tunnel *t, enum move_reason why)
{
    if (why == MOVE_BACK)
        return t->route->session.move.fail_back == FAIL_BACK_NEVER;
    if (why == MOVE_ANNOUNCED) /* what came since came to the one that is there now */
        return t->session->leg == NULL || t->session->leg->opened_ms >= d->announced_ms;
    return why == MOVE_NONE;
}

/* Whether a session of that server wants to leave it. One that waits for its turn and whose reason is gone stays. */
static bool judge(struct tunnel_moves *m, const struct departure *d, struct tunnel *t, enum move_reason why,
                  int64_t now_ms)
{
    struct session *s = t->session;
    if (s->mover.reason == MOVE_ASKED && s->mover.from == t->server)
        return false; /* it goes before the others already */
    if (stays(d, t, why)) {
        mover_leave(&s->mover);
        return false;
    }
    if (why == MOVE_BACK && (s->leg == NULL || now_ms - s->leg->opened_ms < SETTLED_MS))
        return false;
    want(m, t, why, INT64_MAX);
    return true;
}

static void look_at_server(struct tunnel_set *set, struct server *s, enum move_reason why)
{
    struct departure *d = &set->moves->departures[s->slot];
    const int64_t now_ms = loop_now_ms(set->loop);
    const bool is_news = d->reason != why;
    uint32_t wanting_count = 0;
    if (is_news && d->reason == MOVE_DRAINING)
        tunnel_set_retry(set); /* it may be had again */
    if (!is_news && (why == MOVE_NONE || now_ms - d->walked_ms < WALK_MS))
        return;
    d->walked_ms = now_ms;
    d->reason = (uint8_t)why;
    d->is_told = !is_news && d->is_told;
    LIST_EACH (it, &s->tunnels) {
        struct tunnel *t = LIST_ENTRY(it, struct tunnel, server_link);
        if (t->session != NULL)
            wanting_count += judge(set->moves, d, t, why, now_ms);
    }
    if (wanting_count == 0 || d->is_told)
        return;
    d->is_told = true;
    LOG_INFO("sessions move", KV_STR("from", s->server_conf->slot_name), KV_STR("why", reason_texts[why]),
             KV_UINT("sessions", wanting_count));
}

void tunnel_set_look(struct tunnel_set *set, struct pool *p)
{
    CHECK_OBJ(set, TUNNEL_SET_MAGIC);
    if (set->leaving.at_ms != 0)
        return;
    const enum conf_tier best = best_tier(p);
    for (size_t i = 0; i < p->server_count; i++) {
        struct server *s = p->servers[i];
        const int64_t announced_ms = set->moves->departures[s->slot].announced_ms;
        enum move_reason why = MOVE_NONE;
        if (is_to_be_left(s))
            why = MOVE_DRAINING;
        else if (announced_ms != 0 && loop_now_ms(set->loop) - announced_ms < ANNOUNCED_MS)
            why = MOVE_ANNOUNCED;
        else if (best < s->server_conf->tier)
            why = MOVE_BACK;
        look_at_server(set, s, why);
    }
}

/* ---- for tunnel_set.c ---- */

struct tunnel_moves *tunnel_moves_create(struct loop *l)
{
    struct tunnel_moves *m;
    OBJ_NEW(m, TUNNEL_MOVES_MAGIC);
    m->moves = moves_create(l, &moves_ops, m);
    return m;
}

void tunnel_moves_destroy(struct tunnel_moves **mp)
{
    CHECK_OBJ(*mp, TUNNEL_MOVES_MAGIC);
    moves_destroy(&(*mp)->moves);
    OBJ_FREE(mp, TUNNEL_MOVES_MAGIC);
}

void tunnel_moves_set_shares(struct tunnel_moves *m, uint32_t worker_count)
{
    CHECK_OBJ(m, TUNNEL_MOVES_MAGIC);
    moves_set_shares(m->moves, worker_count);
}

void tunnel_moves_server_removed(struct tunnel_moves *m, struct tunnel *t, int64_t time_ms)
{
    CHECK_OBJ(m, TUNNEL_MOVES_MAGIC);
    want(m, t, MOVE_REMOVED, loop_now_ms(t->set->loop) + time_ms);
}

void tunnel_moves_announced(struct tunnel_moves *m, const struct server *s, int64_t now_ms)
{
    CHECK_OBJ(m, TUNNEL_MOVES_MAGIC);
    m->departures[s->slot].announced_ms = now_ms;
}

void tunnel_moves_asked(struct tunnel_moves *m, struct tunnel *t)
{
    struct session *s = t->session;
    CHECK_OBJ(m, TUNNEL_MOVES_MAGIC);
    if (s->mover.reason == MOVE_REMOVED) /* it has to go anyway, and by when is known */
        return;
    if (s->mover.reason != MOVE_ASKED || s->mover.from != t->server)
        s->asked_move_ms = session_now_ms(s);
    want(m, t, MOVE_ASKED, INT64_MAX);
}

void tunnel_moves_hurry(struct tunnel_moves *m)
{
    CHECK_OBJ(m, TUNNEL_MOVES_MAGIC);
    moves_hurry(m->moves);
}

void tunnel_moves_stop(struct tunnel_moves *m)
{
    CHECK_OBJ(m, TUNNEL_MOVES_MAGIC);
    moves_stop(m->moves);
}
