/* One server's life: references, load, the results of attempts, and the nudge.
 *
 * The hard part is who else looks at the counters. The gauge of open tunnels is the load that all workers balance by,
 * so it counts an attempt from its beginning: otherwise a burst that arrives within one connect time would all go to
 * the server that was least loaded before it. And a row of counters may be given to another server once this one has
 * left the configuration, while its last tunnels are still draining; the row's era tells, and from then on this object
 * no longer writes there. */
#include "gateway/upstream/server.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/upstream/balance.h"

static void count(struct server *s, enum stat_server id, int64_t delta)
{
    const struct slot_row *row = &s->env->slots->server[s->slot];
    if (atomic_load_explicit(&row->era, memory_order_relaxed) == s->slot_era)
        stat_add(&s->env->block->server[s->slot][id], delta);
}

static struct circuit_limits limits_of(const struct server *s)
{
    return (struct circuit_limits){
        .failures = s->pool_conf->circuit_failures,
        .open_ms = s->pool_conf->circuit_open_ms,
        .half_open_count = s->pool_conf->circuit_half_open_count,
    };
}

/* The gauge says 1 while this process's circuit for a configured server is not closed. */
static void gauge_circuit(struct server *s)
{
    const bool is_due = !s->is_removed && s->circuit.state != CIRCUIT_CLOSED;
    if (is_due == s->is_circuit_counted)
        return;
    count(s, STAT_SERVER_CIRCUIT, is_due ? 1 : -1);
    s->is_circuit_counted = is_due;
}

struct server *server_create(const struct server_env *env, const struct conf *c, const struct conf_pool *cp,
                             const struct conf_server *cs, int slot)
{
    ASSERT(slot >= 0 && slot < (int)SLOTS_SERVERS);
    struct server *s;
    OBJ_NEW(s, SERVER_MAGIC);
    s->refs = 1;
    s->env = env;
    s->conf = conf_ref(c);
    s->pool_conf = cp;
    s->server_conf = cs;
    s->slot = slot;
    s->slot_era = atomic_load_explicit(&env->slots->server[slot].era, memory_order_relaxed);
    s->name_hash = balance_key(cs->slot_name, strlen(cs->slot_name));
    s->others_at_ms = -SERVER_LOAD_AGE_MS;
    s->nudged_at_ms = -SERVER_NUDGE_INTERVAL_MS;
    list_init(&s->tunnels);
    return s;
}

void server_set_conf(struct server *s, const struct conf *c, const struct conf_pool *cp, const struct conf_server *cs)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    struct conf *old = s->conf;
    s->conf = conf_ref(c);
    s->pool_conf = cp;
    s->server_conf = cs;
    conf_unref(&old);
}

static bool is_same_file(const struct conf_file *a, const struct conf_file *b)
{
    /* by content: a renewed certificate in the same place is another one */
    if (a->text == NULL || b->text == NULL)
        return a->text == b->text;
    return strcmp(a->text, b->text) == 0;
}

bool server_is_same(const struct server *s, const struct conf_server *cs)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    const struct conf_server *mine = s->server_conf;
    return strcmp(mine->slot_name, cs->slot_name) == 0 && strcmp(mine->url.text, cs->url.text) == 0 &&
           mine->tls.verify == cs->tls.verify && strcmp(mine->tls.server_name, cs->tls.server_name) == 0 &&
           is_same_file(&mine->tls.ca, &cs->tls.ca) && is_same_file(&mine->tls.cert, &cs->tls.cert) &&
           is_same_file(&mine->tls.key, &cs->tls.key);
}

void server_set_removed(struct server *s)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    s->is_removed = true;
    gauge_circuit(s);
}

struct server *server_ref(struct server *s)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    s->refs++;
    return s;
}

void server_unref(struct server **sp)
{
    struct server *s = *sp;
    CHECK_OBJ(s, SERVER_MAGIC);
    ASSERT(s->refs > 0);
    *sp = NULL;
    if (--s->refs > 0)
        return;
    ASSERT(s->is_removed && list_is_empty(&s->tunnels) && s->attempt_count == 0 && s->request_count == 0);
    if (s->env->ops != NULL && s->env->ops->on_free != NULL)
        s->env->ops->on_free(s->env->ops_arg, s);
    conf_unref(&s->conf);
    OBJ_FREE(&s, SERVER_MAGIC);
}

/* ---- attempts ---- */

struct circuit_ticket server_attempt_begin(struct server *s, bool is_retry, int64_t now_ms)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    const struct circuit_limits l = limits_of(s);
    s->attempt_count++;
    count(s, STAT_SERVER_OPEN, 1);
    count(s, STAT_SERVER_ATTEMPTS, 1);
    if (is_retry)
        count(s, STAT_SERVER_RETRIES, 1);
    return circuit_admit(&s->circuit, &l, now_ms);
}

static void log_circuit(const struct server *s, enum circuit_state before)
{
    const char *name = s->server_conf->slot_name;
    const char *was = circuit_state_text(before);
    if (s->circuit.state == CIRCUIT_OPEN)
        LOG_WARN("circuit opened", KV_STR("server", name), KV_STR("was", was),
                 KV_INT("open_ms", s->pool_conf->circuit_open_ms));
    else
        LOG_INFO("circuit closed", KV_STR("server", name), KV_STR("was", was));
}

void server_attempt_end(struct server *s, struct circuit_ticket t, enum circuit_result r, int64_t now_ms)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    ASSERT(s->attempt_count > 0);
    s->attempt_count--;
    count(s, STAT_SERVER_OPEN, -1);

    const struct circuit_limits l = limits_of(s);
    const enum circuit_state before = s->circuit.state;
    circuit_settle(&s->circuit, &l, t, r, now_ms);
    if (s->circuit.state != before) {
        if (s->circuit.state == CIRCUIT_OPEN)
            count(s, STAT_SERVER_CIRCUIT_OPENS, 1);
        gauge_circuit(s);
        log_circuit(s, before);
    }
    if (r == CIRCUIT_RESULT_FAILED) {
        count(s, STAT_SERVER_FAILURES, 1);
        server_nudge(s, now_ms);
    }
}

void server_refused(struct server *s)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    count(s, STAT_SERVER_REFUSALS, 1);
}

/* ---- tunnels ---- */

void server_tunnel_opened(struct server *s, struct list *link)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    server_ref(s);
    list_append(&s->tunnels, link);
    s->tunnel_count++;
    count(s, STAT_SERVER_OPEN, 1);
}

void server_tunnel_closed(struct server **sp, struct list *link)
{
    struct server *s = *sp;
    CHECK_OBJ(s, SERVER_MAGIC);
    ASSERT(s->tunnel_count > 0 && !list_is_empty(link));
    list_unlink(link);
    s->tunnel_count--;
    count(s, STAT_SERVER_OPEN, -1);
    server_unref(sp);
}

void server_request_began(struct server *s)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    server_ref(s);
    s->request_count++;
    count(s, STAT_SERVER_OPEN, 1);
}

void server_request_ended(struct server **sp)
{
    struct server *s = *sp;
    CHECK_OBJ(s, SERVER_MAGIC);
    ASSERT(s->request_count > 0);
    s->request_count--;
    count(s, STAT_SERVER_OPEN, -1);
    server_unref(sp);
}

void server_connected(struct server *s)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    count(s, STAT_SERVER_CONNECTS, 1);
}

void server_reused(struct server *s)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    count(s, STAT_SERVER_REUSES, 1);
}

void server_tunnel_failed(struct server *s, int64_t now_ms)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    count(s, STAT_SERVER_FAILURES, 1);
    server_nudge(s, now_ms);
}

struct verdict server_verdict(const struct server *s)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    const struct verdict_row *row = &s->env->verdicts->row[s->slot];
    if (atomic_load_explicit(&row->era, memory_order_acquire) != s->slot_era)
        return (struct verdict){.state = VERDICT_UNKNOWN};
    return verdict_read(s->env->verdicts, s->slot);
}

uint64_t server_load_now(struct server *s, int64_t now_ms)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    const uint64_t own = stat_get(&s->env->block->server[s->slot][STAT_SERVER_OPEN]);
    s->others_open = stats_sum_server(s->env->stats, s->slot, STAT_SERVER_OPEN) - own;
    s->others_at_ms = now_ms;
    return s->others_open + own;
}

uint64_t server_load(struct server *s, int64_t now_ms)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    if (now_ms - s->others_at_ms >= SERVER_LOAD_AGE_MS)
        return server_load_now(s, now_ms);
    return s->others_open + stat_get(&s->env->block->server[s->slot][STAT_SERVER_OPEN]);
}

void server_nudge(struct server *s, int64_t now_ms)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    if (s->env->nudge_fd < 0 || now_ms - s->nudged_at_ms < SERVER_NUDGE_INTERVAL_MS)
        return;
    s->nudged_at_ms = now_ms;
    /* A full eventfd is one nobody has read yet: the nudge is already on its way. */
    const uint64_t one = 1;
    const ssize_t ignored = write(s->env->nudge_fd, &one, sizeof one);
    (void)ignored;
}
