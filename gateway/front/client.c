/* All clients of a worker: who is here, who has left. */
#include "gateway/front/client.h"

#include "base/mem.h"

void client_join(struct client *c, struct client_home *h, const struct client_kind *kind)
{
    c->kind = kind;
    c->home = h;
    list_init(&c->link);
    list_append(&h->live, &c->link);
    h->live_count++;
}

void client_leave(struct client *c)
{
    struct client_home *h = c->home;
    list_unlink(&c->link);
    list_append(&h->dead, &c->link);
    later_post(&h->reap);
    h->live_count--;
}

static void reap(void *arg)
{
    struct client_home *h = arg;
    LIST_EACH (it, &h->dead) {
        struct client *c = LIST_ENTRY(it, struct client, link);
        list_unlink(it);
        c->kind->free(c);
    }
    if (h->live_count == 0 && h->on_empty != NULL)
        h->on_empty(h->arg);
}

void client_home_init(struct client_home *h, struct exchange_env *env, void (*on_empty)(void *arg), void *arg)
{
    *h = (struct client_home){.env = env, .on_empty = on_empty, .arg = arg};
    list_init(&h->live);
    list_init(&h->dead);
    later_init(&h->reap, env->net->loop, reap, h);
}

void client_home_drain(struct client_home *h)
{
    h->is_draining = true;
    LIST_EACH (it, &h->live) {
        struct client *c = LIST_ENTRY(it, struct client, link);
        c->kind->drain(c);
    }
}

void client_home_fini(struct client_home *h)
{
    h->on_empty = NULL;
    LIST_EACH (it, &h->live) {
        struct client *c = LIST_ENTRY(it, struct client, link);
        c->kind->hang_up(c);
    }
    reap(h);
    later_cancel(&h->reap);
}
