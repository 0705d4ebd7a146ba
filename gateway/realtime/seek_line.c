/* The lines. There are few: one per pool and lost server, more only when servers fail one after the other. So they are
 * simply searched. */
#include <string.h>

#include "base/mem.h"
#include "gateway/realtime/seek_priv.h"

static struct seek *front_of(const struct seek_line *l)
{
    const struct list *queue = list_is_empty(&l->urgent) ? &l->others : &l->urgent;
    return LIST_ENTRY(queue->next, struct seek, link);
}

/* Whether the same servers will do for both. */
static bool is_alike(const struct seek *a, const struct seek *b)
{
    const struct pick *p = &a->pick, *q = &b->pick;
    return a->pool == b->pool && p->has_avoided == q->has_avoided && p->avoided == q->avoided &&
           p->is_better_only == q->is_better_only && p->tier_end == q->tier_end &&
           memcmp(p->tried, q->tried, sizeof p->tried) == 0;
}

static struct seek_line *line_for(const struct seek *k)
{
    LIST_EACH (it, &k->all->lines) {
        struct seek_line *l = LIST_ENTRY(it, struct seek_line, link);
        if (is_alike(front_of(l), k))
            return l;
    }
    struct seek_line *l;
    OBJ_NEW(l, SEEK_LINE_MAGIC);
    list_init(&l->urgent);
    list_init(&l->others);
    list_init(&l->link);
    list_append(&k->all->lines, &l->link);
    return l;
}

void seek_line_enter(struct seek *k, bool is_first)
{
    ASSERT(k->line == NULL);
    k->line = line_for(k);
    struct list *queue = k->is_urgent ? &k->line->urgent : &k->line->others;
    if (is_first)
        list_prepend(queue, &k->link);
    else
        list_append(queue, &k->link);
}

void seek_line_leave(struct seek *k)
{
    struct seek_line *l = k->line;
    CHECK_OBJ(l, SEEK_LINE_MAGIC);
    k->line = NULL;
    list_unlink(&k->link);
    if (!list_is_empty(&l->urgent) || !list_is_empty(&l->others))
        return;
    list_unlink(&l->link);
    OBJ_FREE(&l, SEEK_LINE_MAGIC);
}

struct seek *seek_line_first(const struct seekers *s)
{
    struct seek *first = NULL;
    LIST_EACH (it, &s->lines) {
        const struct seek_line *l = LIST_ENTRY(it, struct seek_line, link);
        if (l->is_blocked)
            continue;
        struct seek *k = front_of(l);
        if (first == NULL || k->is_urgent > first->is_urgent ||
            (k->is_urgent == first->is_urgent && k->order < first->order))
            first = k;
    }
    return first;
}

void seek_line_unblock_all(struct seekers *s)
{
    LIST_EACH (it, &s->lines)
        LIST_ENTRY(it, struct seek_line, link)->is_blocked = false;
}
