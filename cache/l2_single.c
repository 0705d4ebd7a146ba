/* One Redis for all keys: one link. */
#include "base/mem.h"
#include "cache/l2_priv.h"

#define SINGLE_MAGIC 0x125169e1u

struct single {
    uint32_t magic;
    struct l2 *l2;
    struct l2_link *link;
};

static void on_change(void *arg)
{
    struct single *s = arg;
    CHECK_OBJ(s, SINGLE_MAGIC);
    l2_nodes_changed(s->l2);
}

static const struct l2_link_ops link_ops = {.on_up = on_change, .on_down = on_change};

static void *single_create(struct l2 *l)
{
    struct single *s;
    struct l2_address address;
    struct l2_link_settings settings;
    OBJ_NEW(s, SINGLE_MAGIC);
    s->l2 = l;
    l2_conf_address(l->redis, &address);
    l2_link_settings(l, &address, &settings);
    s->link = l2_link_create(l->net, l->resolver, &settings, &l->counts, &link_ops, s);
    return s;
}

static void single_destroy(void *nodes)
{
    struct single *s = nodes;
    CHECK_OBJ(s, SINGLE_MAGIC);
    l2_link_destroy(&s->link);
    OBJ_FREE(&s, SINGLE_MAGIC);
}

static struct l2_link *single_route(void *nodes, const void *key, size_t key_len)
{
    struct single *s = nodes;
    CHECK_OBJ(s, SINGLE_MAGIC);
    (void)key;
    (void)key_len;
    return s->link;
}

/* A node of a cluster, or a replica, configured as if it stood alone: there is nobody else to ask. */
static struct l2_link *single_redirect(void *nodes, const void *key, size_t key_len, const struct l2_reply *error,
                                       bool *is_asking)
{
    (void)nodes;
    (void)key;
    (void)key_len;
    (void)error;
    *is_asking = false;
    return NULL;
}

static bool single_is_up(const void *nodes)
{
    const struct single *s = nodes;
    CHECK_OBJ(s, SINGLE_MAGIC);
    return l2_link_is_up(s->link);
}

static bool single_is_connected(const void *nodes)
{
    const struct single *s = nodes;
    CHECK_OBJ(s, SINGLE_MAGIC);
    return l2_link_is_connected(s->link);
}

static bool single_is_circuit_open(const void *nodes)
{
    const struct single *s = nodes;
    CHECK_OBJ(s, SINGLE_MAGIC);
    return l2_link_is_circuit_open(s->link);
}

const struct l2_nodes_kind l2_single_kind = {.create = single_create,
                                             .destroy = single_destroy,
                                             .route = single_route,
                                             .redirect = single_redirect,
                                             .is_up = single_is_up,
                                             .is_connected = single_is_connected,
                                             .is_circuit_open = single_is_circuit_open};
