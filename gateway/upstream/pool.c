/* Picking a server, and carrying the pools over a reload.
 *
 * A pick is one look at each server: a `standing` says what is in its way, the best tier that has a server with nothing
 * in its way is balanced over. Servers tried in this search are in the way of themselves, so a search that goes on
 * leaves a tier when it is used up, before the checker has noticed anything. With a stale heartbeat nothing changes:
 * the words stay as the checker left them, which is the last known state. */
#include "gateway/upstream/pool.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/upstream/balance.h"

/* More than all workers together can begin while a sum of loads ages. */
#define FULL_MARGIN 256u

static const char *const none_text[PICK_NONE_COUNT] = {[PICK_FOUND] = "found",
#define X(name, text) [name] = (text),
                                                       PICK_NONE_TABLE(X)
#undef X
};

const char *pick_none_text(enum pick_none n)
{
    return (unsigned)n < PICK_NONE_COUNT ? none_text[n] : "?";
}

/* ---- one search ---- */

void pick_init(struct pick *k)
{
    *k = (struct pick){0};
}

void pick_set_key(struct pick *k, const void *data, size_t len)
{
    k->has_key = len > 0;
    k->key = k->has_key ? balance_key(data, len) : 0;
}

void pick_set_key_addr(struct pick *k, const struct addr *client)
{
    switch (client->sa.sa_family) {
    case AF_INET:
        pick_set_key(k, &client->v4.sin_addr, sizeof client->v4.sin_addr);
        return;
    case AF_INET6:
        /* the same client through a dual-stack listener is the same key */
        if (IN6_IS_ADDR_V4MAPPED(&client->v6.sin6_addr))
            pick_set_key(k, &client->v6.sin6_addr.s6_addr[12], 4);
        else
            pick_set_key(k, &client->v6.sin6_addr, sizeof client->v6.sin6_addr);
        return;
    default:
        pick_set_key(k, NULL, 0);
    }
}

static bool has_slot(const uint64_t *slots, int slot)
{
    return (slots[slot / 64] >> (slot % 64) & 1u) != 0;
}

static void add_slot(uint64_t *slots, int slot)
{
    slots[slot / 64] |= 1ull << (slot % 64);
}

void pick_avoid(struct pick *k, const struct server *s, bool is_choosy)
{
    k->has_avoided = true;
    k->avoided = s->slot;
    k->is_choosy = is_choosy;
}

void pick_only_better(struct pick *k, const struct server *s)
{
    k->is_better_only = true;
    k->tier_end = s->server_conf->tier;
}

void pick_pass_over(struct pick *k, const struct server *s)
{
    k->has_passed = true;
    add_slot(k->passed, s->slot);
}

static void forget_passed(struct pick *k)
{
    if (k->has_passed)
        memset(k->passed, 0, sizeof k->passed);
    k->has_passed = false;
}

/* ---- standing of one server ---- */

/* Notices a come-back: slow start begins, and an open circuit need not wait, for the checker has just seen the server
 * well. */
static void look(struct server *s, const struct verdict *v, int64_t now_ms, int64_t wall_ms)
{
    const bool was_up = s->ramp.seen.state == VERDICT_UP;
    if (!ramp_observe(&s->ramp, v))
        return;
    circuit_hasten(&s->circuit, now_ms);
    /* A pool nobody asked for a while learns late; the detail says since when. */
    int64_t age_ms = 0;
    struct verdict_detail d;
    if (!was_up && verdict_read_detail(s->env->verdicts, s->slot, &d) && d.since_wall_ms > 0)
        age_ms = wall_ms - d.since_wall_ms;
    ramp_start(&s->ramp, now_ms - (age_ms > 0 ? age_ms : 0));
}

static bool is_full(struct server *s, int64_t now_ms)
{
    const uint32_t max = s->server_conf->max_connections;
    if (max == 0)
        return false;
    /* Far below the limit a sum a few milliseconds old is good enough; near it only the present one is. */
    if (server_load(s, now_ms) + FULL_MARGIN < max)
        return false;
    return server_load_now(s, now_ms) >= max;
}

/* By an operator's word or the configuration's: no new tunnels. */
static bool is_draining(const struct server *s)
{
    return s->ramp.seen.is_draining || s->server_conf->drain || s->server_conf->weight == 0;
}

/* PICK_FOUND when the server may be used. With `fail_open` being down is no obstacle. */
static enum pick_none standing(struct server *s, const struct pick *k, bool fail_open, int64_t now_ms)
{
    const struct conf_pool *cp = s->pool_conf;
    const struct circuit_limits l = {cp->circuit_failures, cp->circuit_open_ms, cp->circuit_half_open_count};

    if (s->ramp.seen.state == VERDICT_DOWN && !fail_open)
        return PICK_NONE_DOWN;
    if (is_draining(s))
        return PICK_NONE_DRAINING;
    if (has_slot(k->tried, s->slot) || (k->is_avoiding && s->slot == k->avoided))
        return PICK_NONE_TRIED;
    if (is_full(s, now_ms))
        return PICK_NONE_FULL;
    if (!circuit_admits(&s->circuit, &l, now_ms))
        return PICK_NONE_CIRCUIT;
    if (has_slot(k->passed, s->slot))
        return PICK_NONE_PACED;
    return PICK_FOUND;
}

static struct candidate candidate_of(struct server *s, enum conf_balance how, int64_t now_ms)
{
    const uint64_t percent = ramp_percent(&s->ramp, s->pool_conf->slow_start_ms, now_ms);
    uint64_t weight = s->server_conf->weight * percent;
    return (struct candidate){
        .weight = weight < BALANCE_WEIGHT_MAX ? weight : BALANCE_WEIGHT_MAX - 1,
        .load = how == BALANCE_LEAST_CONNECTIONS ? server_load(s, now_ms) : 0,
        .name_hash = s->name_hash,
        .turn = &s->turn,
    };
}

/* The best server of one tier, or NULL; *none becomes the mildest obstacle met. */
static struct server *pick_in_tier(struct pool *p, const struct pick *k, enum conf_tier tier, bool fail_open,
                                   enum pick_none *none, int64_t now_ms)
{
    enum conf_balance how = p->pool_conf->balance;
    if (fail_open || (how == BALANCE_HASH && !k->has_key))
        how = BALANCE_ROUND_ROBIN;

    struct candidate candidates[BALANCE_CANDIDATES_MAX];
    struct server *of[BALANCE_CANDIDATES_MAX];
    size_t found = 0;
    for (size_t i = 0; i < p->server_count && found < BALANCE_CANDIDATES_MAX; i++) {
        struct server *s = p->servers[i];
        if (s->server_conf->tier != tier)
            continue;
        const enum pick_none obstacle = standing(s, k, fail_open, now_ms);
        if (obstacle != PICK_FOUND) {
            *none = obstacle > *none ? obstacle : *none;
            continue;
        }
        of[found] = s;
        candidates[found++] = candidate_of(s, how, now_ms);
    }
    return found == 0 ? NULL : of[balance_of(how)(candidates, found, k->key)];
}

static struct server *pick_in_tiers(struct pool *p, const struct pick *k, bool fail_open, enum pick_none *none,
                                    int64_t now_ms)
{
    const enum conf_tier end = k->is_better_only ? k->tier_end : TIER_COUNT;
    for (enum conf_tier tier = TIER_PRIMARY; tier < end; tier++) {
        /* Who only has to wait a little for a better one is not sent to the last resort. */
        if (tier == TIER_EMERGENCY && *none == PICK_NONE_PACED)
            return NULL;
        struct server *s = pick_in_tier(p, k, tier, fail_open, none, now_ms);
        if (s != NULL)
            return s;
    }
    return NULL;
}

struct server *pool_pick(struct pool *p, struct pick *k, int64_t now_ms, int64_t wall_ms)
{
    CHECK_OBJ(p, POOL_MAGIC);
    ASSERT(k->server == NULL);
    bool has_usable = false;
    for (size_t i = 0; i < p->server_count; i++) {
        struct server *s = p->servers[i];
        const struct verdict v = server_verdict(s);
        look(s, &v, now_ms, wall_ms);
        has_usable |= v.state != VERDICT_DOWN && !is_draining(s);
    }

    /* Fail-open replaces the verdicts only when they leave nothing at all; a server that is up but was just tried in
     * vain is no reason to bother one that is down. */
    const bool fail_open = p->pool_conf->fail_open && !has_usable && !k->is_better_only;
    k->none = PICK_NONE_EMPTY;
    k->is_avoiding = k->has_avoided;
    struct server *s = pick_in_tiers(p, k, fail_open, &k->none, now_ms);
    k->is_avoiding = k->has_avoided && k->is_choosy;
    if (s == NULL && k->has_avoided && !k->is_choosy && k->none != PICK_NONE_PACED)
        s = pick_in_tiers(p, k, fail_open, &k->none, now_ms);
    forget_passed(k);
    k->is_fail_open = fail_open && s != NULL;
    if (s == NULL)
        return NULL;
    k->none = PICK_FOUND;
    k->server = server_ref(s);
    add_slot(k->tried, s->slot);
    k->ticket = server_attempt_begin(s, k->attempt_count > 0, now_ms);
    k->attempt_count++;
    return s;
}

bool pool_is_down(struct pool *p, int64_t now_ms)
{
    CHECK_OBJ(p, POOL_MAGIC);
    if (p->pool_conf == NULL || p->pool_conf->fail_open)
        return false;
    const struct conf_pool *cp = p->pool_conf;
    const struct circuit_limits l = {cp->circuit_failures, cp->circuit_open_ms, cp->circuit_half_open_count};
    for (size_t i = 0; i < p->server_count; i++) {
        const struct server *s = p->servers[i];
        const struct verdict v = server_verdict(s);
        const bool is_left = v.is_draining || s->server_conf->drain || s->server_conf->weight == 0;
        if (v.state != VERDICT_DOWN && !is_left && circuit_admits(&s->circuit, &l, now_ms))
            return false;
    }
    return true;
}

static struct budget_limits budget_of(const struct pool *p)
{
    return (struct budget_limits){p->pool_conf->retry_budget_percent, p->pool_conf->retry_floor_per_s};
}

void pool_request(struct pool *p, int64_t now_ms)
{
    CHECK_OBJ(p, POOL_MAGIC);
    budget_request(&p->budget, now_ms);
}

bool pool_may_retry(struct pool *p, int64_t now_ms)
{
    CHECK_OBJ(p, POOL_MAGIC);
    const struct budget_limits l = budget_of(p);
    return budget_may_retry(&p->budget, &l, now_ms);
}

bool pool_has_another(struct pool *p, const struct pick *k, int64_t now_ms)
{
    CHECK_OBJ(p, POOL_MAGIC);
    for (size_t i = 0; i < p->server_count; i++)
        if (standing(p->servers[i], k, k->is_fail_open, now_ms) == PICK_FOUND)
            return true;
    return false;
}

struct attempt pick_detach(struct pick *k)
{
    const struct attempt a = {.server = k->server, .ticket = k->ticket};
    CHECK_OBJ(a.server, SERVER_MAGIC);
    k->server = NULL;
    return a;
}

void attempt_end(struct attempt *a, enum outcome o, int64_t now_ms)
{
    static const enum circuit_result result_of[OUTCOME_COUNT] = {
        [OUTCOME_OK] = CIRCUIT_RESULT_OK,
        [OUTCOME_FAILED] = CIRCUIT_RESULT_FAILED,
        [OUTCOME_REFUSED] = CIRCUIT_RESULT_OK, /* it answered */
        [OUTCOME_CANCELLED] = CIRCUIT_RESULT_CANCELLED,
    };
    ASSERT((unsigned)o < OUTCOME_COUNT);
    struct server *s = a->server;
    CHECK_OBJ(s, SERVER_MAGIC);
    if (o == OUTCOME_REFUSED)
        server_refused(s);
    server_attempt_end(s, a->ticket, result_of[o], now_ms);
    server_unref(&a->server);
}

void pick_end(struct pick *k, enum outcome o, int64_t now_ms)
{
    struct attempt a = pick_detach(k);
    attempt_end(&a, o, now_ms);
}
