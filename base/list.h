/* Intrusive doubly linked ring. An entry that is on no list points to itself, so unlinking twice is safe
 * and "is it queued?" is one comparison. The list owns nothing. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

/* Puts `e`, which is on no list, before `at`; with the head as `at` this appends. */
static inline void list_insert_before(struct list *at, struct list *e)
{
    e->next = at;
    e->prev = at->prev;
    at->prev->next = e;
    at->prev = e;
}

static inline void list_append(struct list *head, struct list *e)
{
    list_insert_before(head, e);
}

static inline void list_prepend(struct list *head, struct list *e)
{
    list_insert_before(head->next, e);
}

static inline void list_unlink(struct list *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
    list_init(e);
}

/* Moves everything from `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define LIST_ENTRY(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Walks the ring; the body may unlink or free the current entry. */
#define LIST_EACH(it, head)                                                                                            \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
