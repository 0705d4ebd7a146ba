/* The ring of events, and what is shown of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gateway/admin/feed.h"

static void add(struct feed *f, uint64_t seq)
{
    struct event e;

    event_init(&e, EVENT_PURGE, EVENT_ONCE, "all", "", "", "");
    e.seq = seq;
    assert_true(feed_add(f, &e));
}

static void assert_shows(const struct feed *f, uint64_t after, uint64_t limit, uint64_t first, unsigned count)
{
    struct strbuf out;
    char begin[64];
    unsigned got = 0;

    strbuf_init(&out, 1u << 20);
    feed_json(f, after, limit, &out);
    for (const char *s = out.data; (s = strstr(s, "{\"seq\":")) != NULL; s++)
        got++;
    assert_int_equal(got, count);
    snprintf(begin, sizeof begin, "\"events\":[{\"seq\":%llu,", (unsigned long long)first);
    if (count > 0)
        assert_non_null(strstr(out.data, begin));
    strbuf_fini(&out);
}

static void test_the_list(void **state)
{
    struct feed *f = feed_create();

    (void)state;
    assert_shows(f, 0, 0, 0, 0);
    for (uint64_t seq = 5; seq <= 300; seq++)
        add(f, seq);
    assert_shows(f, 0, 0, 201, FEED_LIMIT_USUAL); /* the newest */
    assert_shows(f, 0, 1000, 5, 296);
    assert_shows(f, 1, 3, 5, 3); /* what came before is gone */
    assert_shows(f, 298, 10, 299, 2);
    assert_shows(f, 300, 10, 0, 0);
    assert_shows(f, UINT64_MAX - 1, 10, 0, 0);
    feed_destroy(&f);
}

static void test_old_ones_make_room(void **state)
{
    struct feed *f = feed_create();
    struct event again;

    (void)state;
    for (uint64_t seq = 1; seq <= FEED_KEPT + 10; seq++)
        add(f, seq);
    assert_int_equal(feed_first_seq(f), 11);
    assert_null(feed_at(f, 10));
    assert_int_equal(feed_at(f, 11)->seq, 11);
    again = *feed_at(f, 20);
    assert_false(feed_add(f, &again)); /* told twice */
    feed_destroy(&f);
}

static void test_missing_numbers(void **state)
{
    struct feed *f = feed_create();
    uint64_t cursor = 0;
    struct strbuf out;

    (void)state;
    add(f, 1);
    add(f, 4);
    assert_null(feed_at(f, 2));
    assert_shows(f, 0, 10, 1, 2);
    strbuf_init(&out, 4096);
    feed_sse(f, &cursor, 4096, &out);
    assert_int_equal(cursor, 4);
    assert_int_equal(strncmp(out.data, "id: 1\ndata: {\"seq\":1,", 21), 0);
    assert_non_null(strstr(out.data, "}\n\nid: 4\ndata: {\"seq\":4,"));
    strbuf_fini(&out);
    feed_destroy(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_list),
        cmocka_unit_test(test_old_ones_make_room),
        cmocka_unit_test(test_missing_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
