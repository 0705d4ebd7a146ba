/* Waiting, and no more: what is waited for is the business of those who send errands. */
#include "gateway/super/errand.h"

#include "base/assert.h"
#include "gateway/super/super.h"

void errands_init(struct errands *all)
{
    list_init(&all->list);
}

struct child *errands_child(struct super *s, enum role role)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *c = &s->child[i];
        if (c->role == role && c->ipc != NULL && !c->is_killed && c->state == ROSTER_READY)
            return c;
    }
    return NULL;
}

void errand_begin(struct errand *e, struct errands *all, struct loop *l, struct control_request *r, int64_t deadline_ms,
                  timer_fn *on_late, void *arg)
{
    e->request = r;
    e->number = ++all->last_number;
    timer_init(&e->deadline, l, on_late, arg);
    timer_start(&e->deadline, deadline_ms);
    list_init(&e->link);
    list_append(&all->list, &e->link);
}

struct control_request *errand_end(struct errand *e)
{
    timer_cancel(&e->deadline);
    list_unlink(&e->link);
    return e->request;
}

struct errand *errand_find(const struct errands *all, uint64_t number)
{
    LIST_EACH (it, &all->list) {
        struct errand *e = LIST_ENTRY(it, struct errand, link);
        if (e->number == number)
            return e;
    }
    return NULL;
}
