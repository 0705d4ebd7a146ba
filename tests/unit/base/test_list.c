/* The intrusive ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    char name;
    struct list link;
};

struct items {
    struct list head;
    struct item a, b, c;
};

static void items_init(struct items *i)
{
    *i = (struct items){.a.name = 'a', .b.name = 'b', .c.name = 'c'};
    list_init(&i->head);
    list_init(&i->a.link);
    list_init(&i->b.link);
    list_init(&i->c.link);
}

/* The names in order; also checks that the way back is the same. */
static void list_is(const struct list *head, const char *expected)
{
    char text[16];
    size_t len = 0;

    LIST_EACH (link, head) {
        assert_ptr_equal(link->next->prev, link);
        assert_ptr_equal(link->prev->next, link);
        text[len++] = LIST_ENTRY(link, struct item, link)->name;
    }
    text[len] = '\0';
    assert_string_equal(text, expected);
}

static void entries_keep_their_order(void **state)
{
    struct items i;

    (void)state;
    items_init(&i);
    assert_true(list_is_empty(&i.head));
    list_append(&i.head, &i.b.link);
    list_append(&i.head, &i.c.link);
    list_prepend(&i.head, &i.a.link);
    list_is(&i.head, "abc");
    list_unlink(&i.b.link);
    list_is(&i.head, "ac");
    list_insert_before(&i.c.link, &i.b.link);
    list_is(&i.head, "abc");
}

static void unlinking_twice_is_safe(void **state)
{
    struct items i;

    (void)state;
    items_init(&i);
    list_append(&i.head, &i.a.link);
    assert_false(list_is_empty(&i.a.link));
    list_unlink(&i.a.link);
    list_unlink(&i.a.link);
    assert_true(list_is_empty(&i.a.link));
    assert_true(list_is_empty(&i.head));
}

static void a_walk_may_take_entries_out(void **state)
{
    struct items i;

    (void)state;
    items_init(&i);
    list_append(&i.head, &i.a.link);
    list_append(&i.head, &i.b.link);
    list_append(&i.head, &i.c.link);
    LIST_EACH (link, &i.head) {
        struct item *item = LIST_ENTRY(link, struct item, link);

        if (item->name != 'b') {
            list_unlink(link);
            memset(item, 0xee, sizeof *item); /* as if freed */
        }
    }
    list_is(&i.head, "b");
}

static void splicing_moves_everything(void **state)
{
    struct items i;
    struct list other;

    (void)state;
    items_init(&i);
    list_init(&other);
    list_splice(&i.head, &other); /* nothing */
    list_is(&i.head, "");
    list_append(&i.head, &i.a.link);
    list_append(&other, &i.b.link);
    list_append(&other, &i.c.link);
    list_splice(&i.head, &other);
    list_is(&i.head, "abc");
    assert_true(list_is_empty(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_keep_their_order),
        cmocka_unit_test(unlinking_twice_is_safe),
        cmocka_unit_test(a_walk_may_take_entries_out),
        cmocka_unit_test(splicing_moves_everything),
    };
    return cmocka_run_group_tests_name("base/list", tests, NULL, NULL);
}
