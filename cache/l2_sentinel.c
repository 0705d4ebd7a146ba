/* A master watched by sentinels: one link, which moves to wherever the sentinels say that the master is.
 *
 * One sentinel is asked (SENTINEL get-master-addr-by-name), every ASK_EVERY_MS, and at once when there is trouble: the
 * link is lost, a write was refused by a replica, the node turns out to be none. A sentinel that does not answer, or
 * does not know the master, is left for the next. Nothing is subscribed to: what a message would tell sooner is lost
 * with the connection it comes over, just when it matters.
 *
 * The hard part is the time in which sentinels and nodes disagree. After a failover the old master goes on as one for
 * seconds, and takes writes that are lost when it becomes a replica; so the sentinels' word counts, the link moves when
 * they say so and not when it breaks. And what they name may not be the master yet, or any more: a node is used after
 * ROLE has said that it is. */
#include "cache/l2_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define WATCH_MAGIC 0x6be1f35cu

#define SENTINELS_MAX 65u  /* the url's and those of the list (conf/schema_cache.c) */
#define ASK_EVERY_MS  1000 /* one small command: what a failover may go unnoticed */
#define ASK_PACE_MS   200  /* between two questions, however many reasons there are */
#define ANSWER_MS     1000 /* nobody waits for these, but who hangs is not to be waited for */
#define USELESS_MS    3000 /* a sentinel that names what is no master for so long is behind the times */

struct watch {
    uint32_t magic;
    struct l2 *l2;

    /* whom we ask; each has its turn until it fails us */
    struct l2_address sentinel[SENTINELS_MAX];
    uint32_t sentinel_count, turn;
    struct l2_link *teller;
    struct l2_link_counts teller_counts; /* not part of L2's */
    int64_t turn_since_ms;               /* since when it is of no help */
    struct timer ask;
    struct l2_call *asked;
    int64_t asked_ms;
    uint32_t useless_count; /* turns that have helped nobody, in a row: each sentinel is complained about once */
    struct log_limit odd_limit;

    /* what they told us of */
    struct l2_link *master; /* NULL: nothing yet */
    struct l2_call *role;
    bool is_confirmed; /* ROLE said so, since it was connected or moved or refused a write */
    bool is_doubted;   /* and this has been logged */
};

static int64_t now_of(const struct watch *w)
{
    return loop_now_ms(w->l2->net->loop);
}

static void ask_soon(struct watch *w)
{
    int64_t wait_ms = w->asked_ms + ASK_PACE_MS - now_of(w);
    if (!w->asked)
        timer_start(&w->ask, wait_ms > 0 ? wait_ms : 0);
}

/* ---- the master ---- */

static void set_confirmed(struct watch *w, bool is_confirmed)
{
    if (w->is_confirmed == is_confirmed)
        return;
    w->is_confirmed = is_confirmed;
    w->is_doubted = false;
    w->useless_count = 0;
    w->turn_since_ms = now_of(w);
    l2_nodes_changed(w->l2);
}

/* Who may not ask for the role (an ACL) has to believe the sentinels. */
static bool says_master(const struct l2_reply *r)
{
    if (r->kind == L2_ARRAY)
        return r->len > 0 && l2_reply_is_text(r->elements[0], "master");
    return l2_reply_fault(r) == L2_FAULT_OTHER;
}

static void on_role(void *arg, enum err e, struct l2_reply *const *replies, size_t count)
{
    struct watch *w = arg;
    CHECK_OBJ(w, WATCH_MAGIC);
    (void)count;
    w->role = NULL;
    if (e == ERR_NONE && says_master(replies[0])) {
        set_confirmed(w, true);
        return;
    }
    if (e == ERR_NONE && !w->is_doubted)
        LOG_LIMITED(&w->odd_limit, now_of(w), LOG_LEVEL_WARN, "redis node is no master, asking the sentinels again",
                    KV_STR("host", l2_link_address(w->master)->host),
                    KV_UINT("port", l2_link_address(w->master)->port));
    w->is_doubted = true;
    ask_soon(w);
}

static void check_role(struct watch *w)
{
    struct l2_command role;
    if (w->role || !w->master)
        return;
    l2_command_words(&role, "ROLE", NULL);
    w->role = l2_link_send(w->master, &role, 1, ANSWER_MS, on_role, w);
    l2_command_fini(&role);
}

static void on_master_up(void *arg)
{
    struct watch *w = arg;
    CHECK_OBJ(w, WATCH_MAGIC);
    check_role(w);
}

static void on_master_down(void *arg)
{
    struct watch *w = arg;
    CHECK_OBJ(w, WATCH_MAGIC);
    set_confirmed(w, false);
    l2_nodes_changed(w->l2);
    ask_soon(w);
}

static const struct l2_link_ops master_ops = {.on_up = on_master_up, .on_down = on_master_down};

static void follow(struct watch *w, const struct l2_address *to)
{
    struct l2_link_settings settings;
    if (w->master && l2_address_equal(l2_link_address(w->master), to)) {
        if (!w->is_confirmed)
            check_role(w);
        return;
    }
    LOG_INFO(w->master ? "redis master has moved" : "redis master found", KV_STR("host", to->host),
             KV_UINT("port", to->port));
    set_confirmed(w, false);
    if (w->role)
        l2_link_forget(&w->role);
    if (w->master) {
        l2_link_move(w->master, to);
        return;
    }
    l2_link_settings(w->l2, to, &settings);
    w->master = l2_link_create(w->l2->net, w->l2->resolver, &settings, &w->l2->counts, &master_ops, w);
}

/* ---- the sentinels ---- */

static void turn_over(struct watch *w, const char *why)
{
    if (w->useless_count++ < w->sentinel_count)
        LOG_LIMITED(&w->odd_limit, now_of(w), LOG_LEVEL_WARN, "redis sentinel does not help, asking the next",
                    KV_STR("host", w->sentinel[w->turn].host), KV_UINT("port", w->sentinel[w->turn].port),
                    KV_STR("cause", why), KV_STR("master", w->l2->redis->master));
    w->turn = (w->turn + 1) % w->sentinel_count;
    w->turn_since_ms = now_of(w);
    l2_link_move(w->teller, &w->sentinel[w->turn]);
}

/* The answer: host and port, or nil. NULL when it is one; else why it is none. */
static const char *answer_read(const struct l2_reply *r, struct l2_address *at)
{
    char text[L2_HOST_BYTES + 8];
    if (r->kind == L2_ERROR)
        return r->text;
    if (r->kind == L2_NIL)
        return "it does not know the master";
    if (r->kind != L2_ARRAY || r->len != 2 || r->elements[0]->kind != L2_BULK || r->elements[1]->kind != L2_BULK)
        return "its answer is none";
    int len = snprintf(text, sizeof text, "%s:%s", r->elements[0]->text, r->elements[1]->text);
    if (len < 0 || (size_t)len >= sizeof text || !l2_address_parse(at, text, (size_t)len))
        return "its answer is no address";
    return NULL;
}

static void on_told(void *arg, enum err e, struct l2_reply *const *replies, size_t count)
{
    struct watch *w = arg;
    CHECK_OBJ(w, WATCH_MAGIC);
    struct l2_address at;
    (void)count;
    w->asked = NULL;
    const char *why = e != ERR_NONE ? err_text(e) : answer_read(replies[0], &at);
    if (!why)
        follow(w, &at);
    if (!why && !w->is_confirmed && now_of(w) - w->turn_since_ms > USELESS_MS)
        why = "what it names is no master";
    if (why)
        turn_over(w, why);
    timer_start(&w->ask, why || !w->is_confirmed ? ASK_PACE_MS : ASK_EVERY_MS);
}

/* A sentinel that is not connected to within the time a connection may take has had its turn. */
static void on_ask(void *arg)
{
    struct watch *w = arg;
    CHECK_OBJ(w, WATCH_MAGIC);
    struct l2_command command;

    w->asked_ms = now_of(w);
    l2_command_words(&command, "SENTINEL", "get-master-addr-by-name", w->l2->redis->master, NULL);
    w->asked = l2_link_send(w->teller, &command, 1, ANSWER_MS, on_told, w);
    l2_command_fini(&command);
    if (w->asked)
        return;
    if (now_of(w) - w->turn_since_ms > w->l2->redis->connect_timeout_ms)
        turn_over(w, "not reached");
    timer_start(&w->ask, ASK_PACE_MS);
}

static void on_teller_up(void *arg)
{
    struct watch *w = arg;
    CHECK_OBJ(w, WATCH_MAGIC);
    w->turn_since_ms = now_of(w);
    ask_soon(w);
}

/* From now on it is not reached, and has as long as at first. */
static void on_teller_down(void *arg)
{
    struct watch *w = arg;
    CHECK_OBJ(w, WATCH_MAGIC);
    w->turn_since_ms = now_of(w);
}

static const struct l2_link_ops teller_ops = {.on_up = on_teller_up, .on_down = on_teller_down};

/* ---- what the others call ---- */

static struct l2_link *watch_route(void *nodes, const void *key, size_t key_len)
{
    struct watch *w = nodes;
    CHECK_OBJ(w, WATCH_MAGIC);
    (void)key;
    (void)key_len;
    return w->is_confirmed ? w->master : NULL;
}

/* Whatever it is that it does not take: it is not the master we took it for, and nobody else is known yet. */
static struct l2_link *watch_redirect(void *nodes, const void *key, size_t key_len, const struct l2_reply *error,
                                      bool *is_asking)
{
    struct watch *w = nodes;
    CHECK_OBJ(w, WATCH_MAGIC);
    (void)key;
    (void)key_len;
    (void)error;
    *is_asking = false;
    set_confirmed(w, false);
    ask_soon(w);
    return NULL;
}

static bool watch_is_up(const void *nodes)
{
    const struct watch *w = nodes;
    CHECK_OBJ(w, WATCH_MAGIC);
    return w->is_confirmed && l2_link_is_up(w->master);
}

static bool watch_is_connected(const void *nodes)
{
    const struct watch *w = nodes;
    CHECK_OBJ(w, WATCH_MAGIC);
    return w->is_confirmed && l2_link_is_connected(w->master);
}

static bool watch_is_circuit_open(const void *nodes)
{
    const struct watch *w = nodes;
    CHECK_OBJ(w, WATCH_MAGIC);
    return w->master && l2_link_is_circuit_open(w->master);
}

static void *watch_create(struct l2 *l)
{
    const struct conf_redis *r = l->redis;
    struct l2_link_settings settings;
    struct watch *w;

    OBJ_NEW(w, WATCH_MAGIC);
    w->l2 = l;
    l2_conf_address(r, &w->sentinel[w->sentinel_count++]);
    for (size_t i = 0; i < r->node_count && w->sentinel_count < SENTINELS_MAX; i++)
        if (l2_address_parse(&w->sentinel[w->sentinel_count], r->nodes[i], strlen(r->nodes[i])))
            w->sentinel_count++;
    timer_init(&w->ask, l->net->loop, on_ask, w);
    l2_link_settings(l, &w->sentinel[0], &settings);
    settings.what = "redis sentinel";
    settings.username = "";
    settings.password = r->sentinel_password;
    settings.database = 0;
    settings.circuit_failures = 0; /* there are others to be asked */
    w->turn_since_ms = now_of(w);
    w->teller = l2_link_create(l->net, l->resolver, &settings, &w->teller_counts, &teller_ops, w);
    timer_start(&w->ask, ASK_PACE_MS);
    return w;
}

static void watch_destroy(void *nodes)
{
    struct watch *w = nodes;
    CHECK_OBJ(w, WATCH_MAGIC);
    if (w->asked)
        l2_link_forget(&w->asked);
    if (w->role)
        l2_link_forget(&w->role);
    l2_link_destroy(&w->teller);
    if (w->master)
        l2_link_destroy(&w->master);
    timer_cancel(&w->ask);
    OBJ_FREE(&w, WATCH_MAGIC);
}

const struct l2_nodes_kind l2_sentinel_kind = {
    .create = watch_create,
    .destroy = watch_destroy,
    .route = watch_route,
    .redirect = watch_redirect,
    .is_up = watch_is_up,
    .is_connected = watch_is_connected,
    .is_circuit_open = watch_is_circuit_open,
};
