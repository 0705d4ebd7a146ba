/* Seeks that find nothing, until there is somebody who looks. */
#include "gateway/realtime/seek.h"

#include "base/mem.h"

#define SEEKERS_MAGIC 0x5ee4e250u
#define SEEK_MAGIC    0x5ee40b1eu

struct seekers {
    uint32_t magic;
    struct net *net;
};

struct seek {
    uint32_t magic;
    struct seek **self;
    struct later end;
    const struct seek_ops *ops;
    void *arg;
};

struct seekers *seekers_create(struct net *n, struct pool_set *pools)
{
    struct seekers *s;
    (void)pools;
    OBJ_NEW(s, SEEKERS_MAGIC);
    s->net = n;
    return s;
}

void seekers_destroy(struct seekers **sp)
{
    OBJ_FREE(sp, SEEKERS_MAGIC);
}

void seekers_set_shares(struct seekers *s, uint32_t worker_count)
{
    (void)s;
    (void)worker_count;
}

static void on_end(void *arg)
{
    struct seek *k = arg;
    const struct seek_ops *ops = k->ops;
    void *to = k->arg;
    seek_cancel(k->self);
    ops->on_failed(to, SEEK_NO_SERVER, 0, "nobody looks");
}

void seek_begin(struct seekers *all, struct seek **kp, const struct seek_start *o)
{
    struct seek *k;
    OBJ_NEW(k, SEEK_MAGIC);
    k->self = kp;
    k->ops = o->ops;
    k->arg = o->arg;
    later_init(&k->end, all->net->loop, on_end, k);
    later_post(&k->end);
    *kp = k;
}

void seek_cancel(struct seek **kp)
{
    later_cancel(&(*kp)->end);
    OBJ_FREE(kp, SEEK_MAGIC);
}
