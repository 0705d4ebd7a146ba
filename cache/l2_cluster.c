/* A Redis cluster: one link per master, commands sent to the one that has the key's slot, MOVED and ASK followed.
 *
 * The map of slots is asked for (CLUSTER SLOTS) at the start, when nodes say that it is wrong, while something is
 * amiss, and now and then; paced, for a cluster in trouble sends everybody elsewhere at once. Anybody who answers may
 * tell it: masters known so far, or the seeds of the configuration, which are gone back to when nobody answers.
 *
 * The hard part is what happens to nodes that the map no longer names: commands may be under way there, a slot that
 * moves sends us to a node that has none yet (ASK), and seeds are often names for nodes that the map knows by address.
 * So a node stays for NODE_IDLE_MS after it was last needed, and goes earlier only when there are too many. */
#include "cache/l2_priv.h"

#include "base/log.h"
#include "base/mem.h"
#include "cache/l2_slots.h"

#define CLUSTER_MAGIC 0x91c7e04du
#define NODE_MAGIC    0x5fd2a836u

#define REFRESH_PACE_MS   500   /* between two questions for the map, however many reasons there are */
#define REFRESH_AMISS_MS  1000  /* while a master is not reached */
#define REFRESH_IDLE_MS   10000 /* while all is well */
#define REFRESH_ANSWER_MS 1000  /* nobody waits for it, but a node that hangs is not to be waited for either */
#define NODE_IDLE_MS      10000
#define SEEDS_MAX         65u /* the url's and those of the list (conf/schema_cache.c) */
/* Masters, and beside them for a while seeds and nodes a slot moves to. */
#define LINKS_MAX (L2_NODES_MAX + SEEDS_MAX + 16u)

struct cluster;

struct node {
    uint32_t magic;
    struct cluster *cluster;
    struct list link; /* cluster->nodes or cluster->gone */
    struct l2_link *line;
    int64_t needed_ms; /* when it was last a master, a seed, or where somebody was sent */
};

struct cluster {
    uint32_t magic;
    struct l2 *l2;
    struct list nodes;
    uint32_t node_count;
    struct list gone; /* to be destroyed at the end of the pass: that calls back those who wait for them */
    struct later bury;

    struct l2_slots map;               /* has no node before the first answer */
    struct node *master[L2_NODES_MAX]; /* of map.node */

    struct timer refresh;
    struct l2_call *asked; /* NULL: no question is under way */
    struct node *teller;   /* who is asked, or was last */
    bool is_asked_again;   /* another reason came up meanwhile */
    int64_t asked_ms;
    struct log_limit odd_limit;
};

static void refresh_soon(struct cluster *c);

static int64_t now_of(const struct cluster *c)
{
    return loop_now_ms(c->l2->net->loop);
}

/* ---- nodes ---- */

static bool is_master(const struct cluster *c, const struct node *n)
{
    for (uint32_t i = 0; i < c->map.node_count; i++)
        if (c->master[i] == n)
            return true;
    return false;
}

static void on_up(void *arg)
{
    struct node *n = arg;
    CHECK_OBJ(n, NODE_MAGIC);
    l2_nodes_changed(n->cluster->l2);
    if (n->cluster->map.node_count == 0)
        refresh_soon(n->cluster);
}

static void on_down(void *arg)
{
    struct node *n = arg;
    CHECK_OBJ(n, NODE_MAGIC);
    l2_nodes_changed(n->cluster->l2);
    refresh_soon(n->cluster);
}

static const struct l2_link_ops node_ops = {.on_up = on_up, .on_down = on_down};

static void node_destroy(struct node *n)
{
    list_unlink(&n->link);
    l2_link_destroy(&n->line);
    OBJ_FREE(&n, NODE_MAGIC);
}

static void on_bury(void *arg)
{
    struct cluster *c = arg;
    CHECK_OBJ(c, CLUSTER_MAGIC);
    while (!list_is_empty(&c->gone))
        node_destroy(LIST_ENTRY(c->gone.next, struct node, link));
}

static void node_remove(struct cluster *c, struct node *n)
{
    if (c->teller == n && c->asked) {
        l2_link_forget(&c->asked);
        refresh_soon(c);
    }
    if (c->teller == n)
        c->teller = NULL;
    list_unlink(&n->link);
    list_append(&c->gone, &n->link);
    c->node_count--;
    later_post(&c->bury);
}

/* There are more places than masters: whoever is none and was needed longest ago makes room. */
static void node_make_room(struct cluster *c)
{
    struct node *oldest = NULL;
    LIST_EACH (it, &c->nodes) {
        struct node *n = LIST_ENTRY(it, struct node, link);
        if (!is_master(c, n) && (!oldest || n->needed_ms < oldest->needed_ms))
            oldest = n;
    }
    ASSERT(oldest != NULL);
    node_remove(c, oldest);
}

static struct node *node_find(const struct cluster *c, const struct l2_address *at)
{
    LIST_EACH (it, &c->nodes) {
        struct node *n = LIST_ENTRY(it, struct node, link);
        if (l2_address_equal(l2_link_address(n->line), at))
            return n;
    }
    return NULL;
}

/* The node at that address, connected to when it is new. */
static struct node *node_at(struct cluster *c, const struct l2_address *at)
{
    struct l2_link_settings settings;
    struct node *n = node_find(c, at);
    if (!n) {
        if (c->node_count == LINKS_MAX)
            node_make_room(c);
        OBJ_NEW(n, NODE_MAGIC);
        n->cluster = c;
        l2_link_settings(c->l2, at, &settings);
        settings.what = "redis cluster";
        settings.database = 0; /* a cluster has no other */
        n->line = l2_link_create(c->l2->net, c->l2->resolver, &settings, &c->l2->counts, &node_ops, n);
        list_init(&n->link);
        list_append(&c->nodes, &n->link);
        c->node_count++;
    }
    n->needed_ms = now_of(c);
    return n;
}

static void nodes_tidy(struct cluster *c)
{
    int64_t now_ms = now_of(c);
    LIST_EACH (it, &c->nodes) {
        struct node *n = LIST_ENTRY(it, struct node, link);
        if (is_master(c, n))
            n->needed_ms = now_ms;
        else if (now_ms - n->needed_ms > NODE_IDLE_MS)
            node_remove(c, n);
    }
}

/* The configuration's nodes: where it begins, and where it begins again when nobody else answers. */
static void nodes_seed(struct cluster *c)
{
    const struct conf_redis *r = c->l2->redis;
    struct l2_address at;
    l2_conf_address(r, &at);
    (void)node_at(c, &at);
    for (size_t i = 0; i < r->node_count && i + 1 < SEEDS_MAX; i++)
        if (l2_address_parse(&at, r->nodes[i], strlen(r->nodes[i])))
            (void)node_at(c, &at);
}

/* ---- the map ---- */

static bool is_amiss(const struct cluster *c)
{
    for (uint32_t i = 0; i < c->map.node_count; i++)
        if (!l2_link_is_up(c->master[i]->line))
            return true;
    return c->map.node_count == 0;
}

static void refresh_soon(struct cluster *c)
{
    int64_t wait_ms = c->asked_ms + REFRESH_PACE_MS - now_of(c);
    if (c->asked)
        c->is_asked_again = true;
    else
        timer_start(&c->refresh, wait_ms > 0 ? wait_ms : 0);
}

/* Those who are known already first, so that none of them has to make room for the new ones. */
static void adopt(struct cluster *c, const struct l2_slots *map)
{
    if (c->map.node_count == 0)
        LOG_INFO("redis cluster found", KV_STR("told_by", l2_link_address(c->teller->line)->host),
                 KV_UINT("masters", map->node_count));
    c->map = *map;
    for (uint32_t i = 0; i < map->node_count; i++)
        c->master[i] = node_find(c, &map->node[i]);
    for (uint32_t i = 0; i < map->node_count; i++)
        c->master[i] = node_at(c, &map->node[i]);
    nodes_tidy(c);
    l2_nodes_changed(c->l2);
}

static void on_slots(void *arg, enum err e, struct l2_reply *const *replies, size_t count)
{
    struct cluster *c = arg;
    CHECK_OBJ(c, CLUSTER_MAGIC);
    const struct l2_address *teller = l2_link_address(c->teller->line);
    struct l2_slots *map = mem_alloc(sizeof *map);
    int64_t next_ms = 0;

    c->asked = NULL;
    if (e == ERR_NONE)
        e = l2_slots_read(map, replies[0], teller);
    if (e == ERR_NONE) {
        adopt(c, map);
        next_ms = is_amiss(c) ? REFRESH_AMISS_MS : REFRESH_IDLE_MS;
    } else {
        const char *detail = count > 0 && replies[0]->kind == L2_ERROR ? replies[0]->text : "";
        LOG_LIMITED(&c->odd_limit, now_of(c), LOG_LEVEL_WARN, "redis cluster node has no map of slots, asking another",
                    KV_STR("host", teller->host), KV_UINT("port", teller->port), KV_STR("cause", err_text(e)),
                    KV_STR("detail", detail));
    }
    mem_free(map);
    timer_start(&c->refresh, e != ERR_NONE || c->is_asked_again ? REFRESH_PACE_MS : next_ms);
}

/* Whoever can be asked is, another one each time: who was asked goes to the end. When nobody can be, the seeds are
 * gone back to. */
static void on_refresh(void *arg)
{
    struct cluster *c = arg;
    CHECK_OBJ(c, CLUSTER_MAGIC);
    struct l2_command command;

    nodes_tidy(c);
    c->is_asked_again = false;
    c->asked_ms = now_of(c);
    l2_command_words(&command, "CLUSTER", "SLOTS", NULL);
    LIST_EACH (it, &c->nodes) {
        c->teller = LIST_ENTRY(it, struct node, link);
        c->asked = l2_link_send(c->teller->line, &command, 1, REFRESH_ANSWER_MS, on_slots, c);
        if (c->asked)
            break;
    }
    l2_command_fini(&command);
    if (c->asked) {
        list_unlink(&c->teller->link);
        list_append(&c->nodes, &c->teller->link);
    } else {
        nodes_seed(c);
        timer_start(&c->refresh, REFRESH_PACE_MS);
    }
}

/* ---- what the others call ---- */

static struct node *node_of(const struct cluster *c, const void *key, size_t key_len)
{
    int owner = l2_slots_owner(&c->map, l2_slot_of(key, key_len));
    return owner < 0 ? NULL : c->master[owner];
}

static struct l2_link *cluster_route(void *nodes, const void *key, size_t key_len)
{
    struct cluster *c = nodes;
    CHECK_OBJ(c, CLUSTER_MAGIC);
    struct node *n = node_of(c, key, key_len);
    return n ? n->line : NULL;
}

/* The one slot is corrected at once, the rest by the map that is asked for. */
static struct node *follow_moved(struct cluster *c, const struct l2_redirect *r)
{
    struct node *n = node_at(c, &r->to);
    int owner = l2_slots_move(&c->map, r->slot, &r->to);
    if (owner < 0)
        return NULL;
    c->master[owner] = n;
    l2_nodes_changed(c->l2);
    return c->master[owner];
}

static struct l2_link *cluster_redirect(void *nodes, const void *key, size_t key_len, const struct l2_reply *error,
                                        bool *is_asking)
{
    struct cluster *c = nodes;
    CHECK_OBJ(c, CLUSTER_MAGIC);
    enum l2_fault fault = l2_reply_fault(error);
    struct node *teller = node_of(c, key, key_len), *to = NULL;
    struct l2_redirect r;

    *is_asking = fault == L2_FAULT_ASK;
    if (fault != L2_FAULT_ASK)
        refresh_soon(c);
    /* The slot is the one we asked about, or the answer is of no use. */
    if (!teller || (fault != L2_FAULT_ASK && fault != L2_FAULT_MOVED) ||
        !l2_redirect_read(&r, error, l2_link_address(teller->line)) || r.slot != l2_slot_of(key, key_len))
        return NULL;
    to = fault == L2_FAULT_ASK ? node_at(c, &r.to) : follow_moved(c, &r);
    return to ? to->line : NULL;
}

static bool cluster_any(const void *nodes, bool (*is)(const struct l2_link *k))
{
    const struct cluster *c = nodes;
    CHECK_OBJ(c, CLUSTER_MAGIC);
    for (uint32_t i = 0; i < c->map.node_count; i++)
        if (is(c->master[i]->line))
            return true;
    return false;
}
static bool cluster_is_up(const void *nodes)
{
    return cluster_any(nodes, l2_link_is_up);
}
static bool cluster_is_connected(const void *nodes)
{
    return cluster_any(nodes, l2_link_is_connected);
}
static bool cluster_is_circuit_open(const void *nodes)
{
    return cluster_any(nodes, l2_link_is_circuit_open);
}

static void *cluster_create(struct l2 *l)
{
    struct cluster *c;
    OBJ_NEW(c, CLUSTER_MAGIC);
    c->l2 = l;
    l2_slots_init(&c->map);
    list_init(&c->nodes);
    list_init(&c->gone);
    later_init(&c->bury, l->net->loop, on_bury, c);
    timer_init(&c->refresh, l->net->loop, on_refresh, c);
    nodes_seed(c);
    return c;
}

static void cluster_destroy(void *nodes)
{
    struct cluster *c = nodes;
    CHECK_OBJ(c, CLUSTER_MAGIC);
    LIST_EACH (it, &c->nodes) {
        node_remove(c, LIST_ENTRY(it, struct node, link));
    }
    on_bury(c);
    timer_cancel(&c->refresh);
    later_cancel(&c->bury);
    OBJ_FREE(&c, CLUSTER_MAGIC);
}

const struct l2_nodes_kind l2_cluster_kind = {
    .create = cluster_create,
    .destroy = cluster_destroy,
    .route = cluster_route,
    .redirect = cluster_redirect,
    .is_up = cluster_is_up,
    .is_connected = cluster_is_connected,
    .is_circuit_open = cluster_is_circuit_open,
};
