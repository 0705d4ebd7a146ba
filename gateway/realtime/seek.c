/* Who may ask when. The hard part is the many: five thousand seeks begin in one pass of the loop, and most of them have
 * to wait. So they stand in lines of those for whom the same servers will do, and only the first of each line is looked
 * at. It is admitted when the pool finds it a server that has joins left; what one who came earlier waits for is not
 * given to others. When nobody can be admitted, a timer waits for the next join of any server.
 *
 * A pass admits no more than a batch, for each of them is a connection to be made. */
#include "gateway/realtime/seek.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/realtime/seek_priv.h"

#define PASS_COUNT  200u /* admitted (or failed) in one pass; the next follows at once */
#define WAIT_MIN_MS 10   /* between passes while somebody waits */
#define CIRCUIT_MS  20   /* between looks at what one attempt makes of a circuit */
#define WAIT_MAX_MS 200  /* so long a server that is back may go unnoticed */

/* ---- the end of one ---- */

void seek_free(struct seek *k)
{
    CHECK_OBJ(k, SEEK_MAGIC);
    *k->self = NULL;
    if (k->line != NULL)
        seek_line_leave(k);
    seek_ask_cancel_all(k);
    if (k->pool != NULL)
        pool_unref(&k->pool);
    conf_unref(&k->conf);
    list_unlink(&k->among);
    OBJ_FREE(&k, SEEK_MAGIC);
}

void seek_failed(struct seek *k)
{
    const struct seek_ops *ops = k->ops;
    void *arg = k->arg;
    const enum seek_failure failure = k->failure;
    const uint16_t status = k->status;
    char why[sizeof k->why];
    memcpy(why, k->why, sizeof why);
    seek_free(k);
    ops->on_failed(arg, failure, status, why);
}

/* No server is left; what one of those that were asked said is worth more than that. */
static void none_left(struct seek *k, const char *why)
{
    if (k->why[0] == '\0')
        (void)snprintf(k->why, sizeof k->why, "%s", why);
    seek_failed(k);
}

/* ---- picking ---- */

/* Leaves out the servers that cannot be given its joins yet; the shortest wait for one of them. */
static int64_t pass_over_paced(struct seek *k, int64_t now_ms)
{
    const struct conf_restore *r = &k->route->session.restore;
    const struct pace_limits limits = pace_share(r->per_s, r->burst, k->all->share_count);
    int64_t least_ms = INT64_MAX;
    for (size_t i = 0; i < k->pool->server_count; i++) {
        struct server *s = k->pool->servers[i];
        const int64_t wait_ms = pace_wait_ms(&s->joins, &limits, k->cost, now_ms);
        const bool is_reserved = limits.per_s > 0 && (k->all->reserved[s->slot / 64] >> (s->slot % 64) & 1u) != 0;
        if (wait_ms == 0 && !is_reserved)
            continue;
        pick_pass_over(&k->pick, s);
        if (wait_ms > 0 && wait_ms < least_ms)
            least_ms = wait_ms;
    }
    return least_ms;
}

bool seek_pick(struct seek *k, int64_t *wait_ms)
{
    struct loop *l = k->all->net->loop;
    const int64_t now_ms = loop_now_ms(l);
    const struct conf_restore *r = &k->route->session.restore;
    const int64_t least_ms = pass_over_paced(k, now_ms);
    struct server *s = pool_pick(k->pool, &k->pick, now_ms, loop_wall_ms(l));
    if (s == NULL) {
        if (k->pick.none == PICK_NONE_PACED && least_ms < *wait_ms)
            *wait_ms = least_ms;
        return false;
    }
    const struct pace_limits limits = pace_share(r->per_s, r->burst, k->all->share_count);
    pace_take(&s->joins, &limits, k->cost, now_ms);
    return true;
}

/* ---- a pass ---- */

/* The one at the head of its line has to wait, and with it the line. */
static void block(struct seek *k, int64_t now_ms)
{
    const struct conf_restore *r = &k->route->session.restore;
    const struct pace_limits limits = pace_share(r->per_s, r->burst, k->all->share_count);
    k->line->is_blocked = true;
    for (size_t i = 0; i < k->pool->server_count; i++) {
        struct server *s = k->pool->servers[i];
        if (pace_wait_ms(&s->joins, &limits, k->cost, now_ms) > 0)
            k->all->reserved[s->slot / 64] |= 1ull << (s->slot % 64);
    }
}

/* Open circuits spare a request the wait for servers that fail. A session has nowhere else to go and paces itself: when
 * nothing but circuits is between it and a server, it is what finds out, and those behind it wait for the result. */
static bool opens_circuits(struct seek *k, int64_t now_ms)
{
    const struct conf_pool *pc = k->pool->pool_conf;
    const struct circuit_limits l = {pc->circuit_failures, pc->circuit_open_ms, pc->circuit_half_open_count};
    bool is_any = false;
    if (k->pick.attempt_count > 0 || k->pick.is_better_only)
        return false;
    for (size_t i = 0; i < k->pool->server_count; i++) {
        struct server *s = k->pool->servers[i];
        if (s->ramp.seen.state == VERDICT_DOWN || circuit_admits(&s->circuit, &l, now_ms))
            continue;
        circuit_hasten(&s->circuit, now_ms);
        is_any = true;
    }
    return is_any;
}

static void admit(struct seek *k, int64_t *wait_ms)
{
    const int64_t now_ms = loop_now_ms(k->all->net->loop);
    if (k->pool == NULL) {
        none_left(k, "pool removed");
        return;
    }
    const struct conf_pool *pc = k->pool->pool_conf;
    if (k->left_ms < 0)
        k->left_ms = pc->failover_timeout_ms;
    if (k->pick.attempt_count > pc->max_retries || k->left_ms == 0) {
        none_left(k, k->left_ms == 0 ? "failover timeout" : "retries used up");
        return;
    }
    k->origin_ops->set_key(k->origin, pc, &k->pick);
    bool is_picked = seek_pick(k, wait_ms);
    const bool is_circuit = !is_picked && k->pick.none != PICK_NONE_PACED && opens_circuits(k, now_ms);
    if (is_circuit)
        is_picked = seek_pick(k, wait_ms);
    if (is_picked) {
        seek_line_leave(k);
        k->deadline_ms = now_ms + k->left_ms;
        seek_ask(k);
    } else if (k->pick.none == PICK_NONE_PACED) {
        block(k, now_ms);
    } else if (is_circuit) {
        k->line->is_blocked = true;
        *wait_ms = *wait_ms < CIRCUIT_MS ? *wait_ms : CIRCUIT_MS;
    } else {
        none_left(k, pick_none_text(k->pick.none));
    }
}

static void on_pass(void *arg)
{
    struct seekers *s = arg;
    CHECK_OBJ(s, SEEKERS_MAGIC);
    int64_t wait_ms = WAIT_MAX_MS;
    uint32_t count = 0;
    struct seek *k;
    timer_cancel(&s->timer);
    seek_line_unblock_all(s);
    while (count < PASS_COUNT && (k = seek_line_first(s)) != NULL) {
        admit(k, &wait_ms);
        count++;
    }
    memset(s->reserved, 0, sizeof s->reserved);
    if (list_is_empty(&s->lines))
        return;
    if (count == PASS_COUNT)
        wait_ms = 1; /* others have their turn in between */
    else if (wait_ms < WAIT_MIN_MS)
        wait_ms = WAIT_MIN_MS;
    timer_start(&s->timer, wait_ms);
}

/* ---- one seek ---- */

void seek_begin(struct seekers *all, struct seek **kp, const struct seek_start *o)
{
    CHECK_OBJ(all, SEEKERS_MAGIC);
    ASSERT(*kp == NULL && (!o->is_better_only || o->avoid != NULL));
    struct seek *k;
    OBJ_NEW(k, SEEK_MAGIC);
    k->all = all;
    k->self = kp;
    k->cost = o->cost > 0 ? o->cost : 1;
    k->conf = conf_ref(o->conf);
    k->route = o->route;
    k->origin_ops = o->origin_ops;
    k->origin = o->origin;
    k->ops = o->ops;
    k->arg = o->arg;
    k->is_urgent = o->is_urgent;
    k->left_ms = -1;
    /* By its name: the set may be that of a newer configuration already. */
    struct pool *p = pool_set_find(all->pools, o->conf->pools[o->route->pool].name);
    if (p != NULL)
        k->pool = pool_ref(p);
    pick_init(&k->pick);
    if (o->avoid != NULL)
        pick_avoid(&k->pick, o->avoid, o->is_better_only);
    if (o->is_better_only)
        pick_only_better(&k->pick, o->avoid);
    list_init(&k->link);
    seek_ask_init(k);
    k->order = all->queued_count++;
    list_init(&k->among);
    list_append(&all->seeks, &k->among);
    *kp = k;
    seek_line_enter(k, false);
    later_post(&all->pass);
}

void seek_hurry(struct seek *k)
{
    CHECK_OBJ(k, SEEK_MAGIC);
    if (k->is_urgent)
        return;
    const bool is_in_line = k->line != NULL;
    if (is_in_line)
        seek_line_leave(k);
    k->is_urgent = true;
    if (is_in_line)
        seek_line_enter(k, false);
}

void seek_cancel(struct seek **kp)
{
    if (*kp != NULL)
        seek_free(*kp);
}

void seek_go_on(struct seek *k)
{
    const int64_t left_ms = k->deadline_ms - loop_now_ms(k->all->net->loop);
    k->left_ms = left_ms > 0 ? left_ms : 0;
    seek_line_enter(k, true);
    later_post(&k->all->pass);
}

/* ---- all of them ---- */

struct seekers *seekers_create(struct net *n, struct pool_set *pools)
{
    struct seekers *s;
    OBJ_NEW(s, SEEKERS_MAGIC);
    s->net = n;
    s->pools = pools;
    s->share_count = 1;
    list_init(&s->lines);
    list_init(&s->seeks);
    later_init(&s->pass, n->loop, on_pass, s);
    timer_init(&s->timer, n->loop, on_pass, s);
    return s;
}

void seekers_destroy(struct seekers **sp)
{
    struct seekers *s = *sp;
    CHECK_OBJ(s, SEEKERS_MAGIC);
    ASSERT(list_is_empty(&s->seeks));
    later_cancel(&s->pass);
    timer_cancel(&s->timer);
    OBJ_FREE(sp, SEEKERS_MAGIC);
}

void seekers_server_down(struct seekers *all, const struct server *s)
{
    CHECK_OBJ(all, SEEKERS_MAGIC);
    LIST_EACH (it, &all->seeks) {
        seek_ask_give_up(LIST_ENTRY(it, struct seek, among), s, "server is down");
    }
}

void seekers_set_shares(struct seekers *s, uint32_t worker_count)
{
    CHECK_OBJ(s, SEEKERS_MAGIC);
    s->share_count = worker_count > 0 ? worker_count : 1;
}
