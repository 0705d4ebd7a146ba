/* What a worker does by itself: takes configurations, follows verdicts, leaves in good order. The traffic takes care of
 * itself from the listeners on (gateway/front). */
#include "gateway/worker/worker.h"

#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"
#include "conf/secure.h"
#include "gateway/report/report.h"
#include "gateway/upstream/call.h"
#include "gateway/worker/listing.h"
#include "gateway/ws/close.h"

#define WATCH_MS 50
/* A server that went down is left by all of its clients within this time; they cannot all come back at once. */
#define DOWN_SPREAD_MS 1000
/* After the time for a drain is over, or at a stop: how long peers may take to hang up. */
#define LAST_CALL_MS 3000

struct new_socket {
    struct list link;
    int fd;
    char address[IPC_TEXT_BYTES];
};

/* ---- configuration ---- */

/* Accepts on the sockets that came for the configuration now in use, or closes them. */
static void settle_sockets(struct worker *w, bool is_accepting)
{
    LIST_EACH (it, &w->new_sockets) {
        struct new_socket *s = LIST_ENTRY(it, struct new_socket, link);
        if (is_accepting)
            front_listen(w->front, s->fd, s->address);
        else
            (void)close(s->fd);
        list_unlink(it);
        mem_free(s);
    }
}

/* Owed since worker_take_conf(): now that the names are known, clients may come. */
static void on_names_settled(void *arg)
{
    struct worker *w = arg;
    CHECK_OBJ(w, WORKER_MAGIC);
    if (!w->is_ack_owed)
        return;
    w->is_ack_owed = false;
    settle_sockets(w, !w->is_leaving);
    tunnel_set_retry(w->tunnels);
    ipc_answer_conf(w->ipc, w->generation, NULL);
}

/* New clients meet the new contexts; those who are here keep what they have. */
static void use_secure(struct worker *w, struct secure_set *s)
{
    struct secure_set *old = w->secure;
    w->secure = s;
    front_secure(w->front, s);
    if (old != NULL)
        secure_set_destroy(&old);
}

static bool refuse(char *error, const char *why)
{
    (void)snprintf(error, IPC_TEXT_BYTES, "%.*s", (int)IPC_TEXT_BYTES - 1, why);
    return false;
}

bool worker_take_conf(struct worker *w, struct conf *c, uint64_t generation, char *error)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    char tls_error[TLS_ERROR_TEXT_BYTES];
    if (!names_check(w->names, c, tls_error))
        return refuse(error, tls_error);
    struct secure_set *secure = secure_set_create(c, w->tickets, w->secure, tls_error);
    if (secure == NULL)
        return refuse(error, tls_error);
    char rules_error[RULES_ERROR_BYTES];
    if (!rules_take_conf(w->rules, c, rules_error)) {
        secure_set_destroy(&secure);
        return refuse(error, rules_error);
    }
    if (pool_set_update(w->pools, c) != ERR_NONE) {
        secure_set_destroy(&secure);
        if (w->conf != NULL) /* back to what was good a moment ago */
            (void)rules_take_conf(w->rules, w->conf, rules_error);
        return refuse(error, "a server has no slot");
    }
    if (w->conf != NULL)
        conf_unref(&w->conf);
    w->conf = conf_ref(c);
    w->env.conf = w->conf;
    w->generation = generation;
    cache_take_conf(w->cache, w->conf);
    tunnel_set_rebind(w->tunnels, w->conf, w->conf->drain.time_ms);
    tunnel_set_share(w->tunnels, w->conf->workers);
    jwks_fetch_follow(w->key_sets, w->conf);
    warm_take_conf(w->warm, w->conf);
    front_retain(w->front, w->conf);
    use_secure(w, secure);
    w->is_ack_owed = true;
    names_learn(w->names, w->pools, w->conf);
    return true;
}

static void take_sealed_conf(struct worker *w, const struct msg_conf *m, int fd)
{
    struct conf_errors errors;
    char why[IPC_TEXT_BYTES];
    struct conf *c = conf_load_sealed(fd, &errors);
    const char *error = errors.text;
    if (c != NULL && !worker_take_conf(w, c, m->generation, why))
        error = why;
    if (error != NULL) {
        settle_sockets(w, false);
        ipc_answer_conf(w->ipc, m->generation, error);
    }
    if (c != NULL)
        conf_unref(&c);
    conf_errors_fini(&errors);
    (void)close(fd);
}

static void keep_socket(struct worker *w, const struct msg_listener *m, int fd)
{
    struct new_socket *s = mem_alloc(sizeof *s);
    s->fd = fd;
    (void)snprintf(s->address, sizeof s->address, "%s", m->address);
    list_append(&w->new_sockets, &s->link);
}

/* ---- verdicts ---- */

static bool is_silent(const struct server *s)
{
    struct verdict_detail d;
    return verdict_read_detail(s->env->verdicts, s->slot, &d) && d.is_silent != 0;
}

static void follow_server(struct worker *w, struct server *s)
{
    bool is_down = server_verdict(s).state == VERDICT_DOWN;
    bool went_down = is_down && !w->was_down[s->slot], came_up = !is_down && w->was_down[s->slot];
    w->was_down[s->slot] = is_down;
    if (went_down) {
        lag_went_down(&s->lag, is_silent(s));
        call_forget_server(s);
        tunnel_set_server_down(w->tunnels, s);
    }
    if (came_up) {
        lag_came_up(&s->lag, loop_now_ms(w->loop));
        tunnel_set_retry(w->tunnels);
    }
    /* Also those whose handshake was under way; but with fail_open clients are there although it is down. */
    if (!is_down || s->tunnel_count == 0 || (!went_down && s->pool_conf->fail_open))
        return;
    if (went_down)
        LOG_WARN("server down, moving its clients", KV_STR("server", s->server_conf->slot_name),
                 KV_UINT("websockets", s->tunnel_count), KV_INT("within_ms", DOWN_SPREAD_MS));
    tunnel_drain_server(w->tunnels, s, DOWN_SPREAD_MS, CLOSED_BY_UPSTREAM, WS_CLOSE_SERVICE_RESTART, "upstream down");
}

/* A server may die without a word (paused, cut off): its sockets look well, but the checker knows. */
static void on_watch(void *arg)
{
    struct worker *w = arg;
    timer_start(&w->watch, WATCH_MS);
    if (w->conf == NULL)
        return;
    w->birth->block->process[STAT_LOG_DROPPED] = log_dropped_count() + access_log_dropped_count(w->access);
    for (size_t i = 0; i < w->conf->pool_count; i++) {
        struct pool *p = pool_set_at(w->pools, i);
        for (size_t j = 0; j < p->server_count; j++)
            follow_server(w, p->servers[j]);
        tunnel_set_look(w->tunnels, p);
    }
}

static void on_server_removed(void *arg, struct server *s)
{
    struct worker *w = arg;
    names_forget(s);
    call_forget_server(s);
    if (s->tunnel_count > 0)
        tunnel_drain_server(w->tunnels, s, w->conf->drain.time_ms, CLOSED_BY_DRAIN, WS_CLOSE_SERVICE_RESTART,
                            "upstream removed");
}

static void on_server_free(void *arg, struct server *s)
{
    (void)arg;
    names_forget(s);
    call_forget_server(s);
}

static const struct server_ops server_ops = {.on_removed = on_server_removed, .on_free = on_server_free};

/* ---- leaving ---- */

static void on_maybe_empty(void *arg)
{
    struct worker *w = arg;
    if (w->is_leaving && tunnel_set_count(w->tunnels) == 0 && front_client_count(w->front) == 0)
        loop_stop(w->loop);
}

static void on_last_call(void *arg)
{
    struct worker *w = arg;
    loop_stop(w->loop);
}

void worker_leave(struct worker *w, int64_t time_ms, enum closed_by by)
{
    CHECK_OBJ(w, WORKER_MAGIC);
    LOG_INFO("leaving", KV_UINT("websockets", tunnel_set_count(w->tunnels)), KV_INT("within_ms", time_ms));
    w->is_leaving = true;
    front_drain(w->front);
    tunnel_set_drain(w->tunnels, time_ms, by, WS_CLOSE_GOING_AWAY, "gateway going away");
    timer_start(&w->last_call, time_ms + LAST_CALL_MS);
    on_maybe_empty(w);
}

/* ---- messages ---- */

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct worker *w = arg;
    CHECK_OBJ(w, WORKER_MAGIC);
    if (type == MSG_LISTENER && fd >= 0) {
        keep_socket(w, payload, fd);
    } else if (type == MSG_CONF && fd >= 0) {
        take_sealed_conf(w, payload, fd);
    } else if (type == MSG_TICKETS && fd < 0) {
        if (!tls_tickets_set(w->tickets, &((const struct msg_tickets *)payload)->keys))
            LOG_ERR("ticket keys not understood");
    } else if (type == MSG_REOPEN_LOG) {
        if (fd >= 0)
            log_use_fd(fd);
    } else if (type == MSG_ACCESS_LOG) {
        access_log_use_fd(w->access, fd);
    } else {
        if (type == MSG_DRAIN)
            worker_leave(w, ((const struct msg_drain *)payload)->time_ms, CLOSED_BY_DRAIN);
        else if (type == MSG_STOP)
            worker_leave(w, 0, CLOSED_BY_GATEWAY);
        else if (type == MSG_PURGE)
            purging_take(w, payload);
        else if (type == MSG_SESSIONS)
            listing_take(w, payload);
        if (fd >= 0)
            (void)close(fd);
    }
}

static void on_supervisor_gone(void *arg)
{
    struct worker *w = arg;
    LOG_ERR("supervisor is gone, leaving");
    worker_leave(w, 0, CLOSED_BY_GATEWAY);
}

/* ---- life ---- */

static void on_purge(void *arg, const struct cache_purge *p)
{
    purging_tell(arg, p);
}

/* The journal's business: a supervisor that does not keep up gets the next account. */
static void on_losses(void *arg, const struct wave_account *a)
{
    const struct worker *w = arg;
    struct msg_losses m = {.is_over = a->is_over,
                           .lost = a->lost,
                           .restored = a->restored,
                           .given_up = a->given_up,
                           .left = a->left,
                           .waiting = a->waiting,
                           .unknown = a->unknown,
                           .dropped = a->dropped,
                           .longest_ms = a->longest_ms};
    (void)snprintf(m.server, sizeof m.server, "%s", a->server);
    (void)snprintf(m.why, sizeof m.why, "%.*s", (int)sizeof m.why - 1, a->why);
    if (!ipc_has_room(w->ipc) || ipc_send(w->ipc, MSG_LOSSES, &m, -1) != ERR_NONE)
        LOG_WARN("lost sessions not told of", KV_STR("server", a->server), KV_UINT("sessions", a->lost));
}

static const struct cache_ops cache_ops = {.on_purge = on_purge};

static int health_text(void *arg, struct strbuf *out)
{
    const struct worker *w = arg;
    const struct health_table *health = w->birth->verdicts.base;
    struct report_view v = {.conf = w->conf,
                            .slots = w->birth->slots,
                            .roster = w->birth->roster,
                            .stats = w->birth->stats,
                            .verdicts = &health->verdicts,
                            .steering = &health->steering,
                            .wall_ms = loop_wall_ms(w->loop)};
    return report_health_json(&v, out);
}

static void env_init(struct worker *w)
{
    w->env = (struct exchange_env){.net = w->net,
                                   .pools = w->pools,
                                   .tunnels = w->tunnels,
                                   .slots = w->birth->slots,
                                   .rules = w->rules,
                                   .cache = w->cache,
                                   .access = w->access,
                                   .health = health_text,
                                   .health_arg = w};
    exchange_env_init(&w->env);
    ssize_t got = getrandom(&w->env.id_seed, sizeof w->env.id_seed, 0);
    ASSERT(got == (ssize_t)sizeof w->env.id_seed);
}

struct worker *worker_create(struct birth *b, struct loop *l)
{
    struct worker *w;
    OBJ_NEW(w, WORKER_MAGIC);
    w->birth = b;
    w->loop = l;
    w->verdicts = b->verdicts.base;
    list_init(&w->new_sockets);
    w->net = net_create(l, b);
    w->names = names_create(l, on_names_settled, w);
    w->access = access_log_create();
    w->tunnels = tunnel_set_create(l, b->block, w->access, on_maybe_empty, w);
    w->server_env = (struct server_env){.slots = b->slots,
                                        .verdicts = w->verdicts,
                                        .stats = b->stats,
                                        .block = b->block,
                                        .nudge_fd = b->nudge_fd,
                                        .ops = &server_ops,
                                        .ops_arg = w};
    tunnel_set_tell_losses(w->tunnels, on_losses, w);
    w->rules = rules_create(b->stats);
    tunnel_set_follow(w->tunnels, w->rules);
    w->tickets = tls_tickets_create();
    w->pools = pool_set_create(&w->server_env, b->note.index);
    tunnel_set_serve(w->tunnels, w->net, w->pools, b->slots, b->note.index);
    w->cache = cache_create(w->net, b->slots, &cache_ops, w);
    env_init(w);
    w->key_sets = jwks_fetch_create(w->net, w->pools, w->rules);
    w->warm = warm_create(&w->env);
    w->front = front_create(&w->env, on_maybe_empty, w);
    purging_init(w);
    timer_init(&w->watch, l, on_watch, w);
    timer_init(&w->last_call, l, on_last_call, w);
    timer_start(&w->watch, WATCH_MS);
    w->ipc = ipc_create(l, b->control_fd, on_message, on_supervisor_gone, w);
    return w;
}

void worker_destroy(struct worker **wp)
{
    struct worker *w = *wp;
    CHECK_OBJ(w, WORKER_MAGIC);
    purging_fini(w);
    timer_cancel(&w->watch);
    timer_cancel(&w->last_call);
    settle_sockets(w, false);
    front_destroy(&w->front);
    warm_destroy(&w->warm);
    exchange_env_fini(&w->env);
    jwks_fetch_destroy(&w->key_sets);
    if (w->secure != NULL)
        secure_set_destroy(&w->secure);
    tls_tickets_unref(&w->tickets);
    tunnel_set_destroy(&w->tunnels);
    pool_set_destroy(&w->pools);
    rules_destroy(&w->rules);
    cache_destroy(&w->cache);
    access_log_destroy(&w->access);
    names_destroy(&w->names);
    net_destroy(&w->net);
    ipc_destroy(&w->ipc);
    if (w->conf != NULL)
        conf_unref(&w->conf);
    OBJ_FREE(wp, WORKER_MAGIC);
}
