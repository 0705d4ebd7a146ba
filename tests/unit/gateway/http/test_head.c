/* Copies and borrowings of heads: what looks where, and that nothing looks back at what is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/gateway/http/head.h"

#define REQUEST                                                                                                        \
    "POST /a/b?c=d HTTP/1.1\r\nHost: example.org:80\r\nX-Empty:\r\nCookie: a=b\r\nContent-Length: 12\r\n\r\nthe body"

static void assert_view(struct http_view v, const char *expected)
{
    if (!http_view_is(v, expected))
        fail_msg("\"%.*s\" is not \"%s\"", (int)v.len, v.data != NULL ? v.data : "", expected);
}

static void assert_is_request(const struct http_head *h)
{
    assert_view(h->method, "POST");
    assert_view(h->target, "/a/b?c=d");
    assert_view(h->path, "/a/b");
    assert_view(h->query, "c=d");
    assert_view(h->authority, "example.org:80");
    assert_null(h->protocol.data);
    assert_null(h->reason.data);
    assert_view(http_value(h, "host"), "example.org:80");
    assert_view(http_value(h, "x-empty"), "");
    assert_view(http_value(h, "COOKIE"), "a=b");
    assert_int_equal(h->content_length, 12);
}

/* Parses into a block of its own, which is gone when the copy is looked at. */
static struct slice copied(struct http_head *to, const char *text, void (*change)(struct http_head *))
{
    struct http_head h;
    char *own = mem_strdup(text);
    head_of_request(&h, own);
    if (change != NULL)
        change(&h);
    struct slice s = http_head_copy(to, &h);
    memset(own, '?', strlen(own));
    mem_free(own);
    return s;
}

static void a_host_has_nothing_odd_in_it(void **state)
{
    static const char *const good[] = {"a", "a-b.c_d~e", "A.example:80", "127.0.0.1:8080", "[::1]", "[::1]:80", "a:"};
    static const struct http_view bad[] = {
        {"", 0},      {"a b", 3}, {"a\0b", 3},   {"a\0", 2},   {"a/b", 3}, {"a@b", 3},
        {"a:80a", 5}, {":80", 3}, {"[::1]a", 6}, {"[::g]", 5}, {"[]", 2},  {"a:800000", 8},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(http_is_authority(http_view_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(http_is_authority(bad[i]));
}

static void a_copy_outlives_what_was_read(void **state)
{
    struct http_head h;
    (void)state;
    struct slice s = copied(&h, REQUEST, NULL);
    assert_is_request(&h);
    assert_int_equal(h.field_count, 4);
    slice_release(&s);
}

static void a_copy_of_a_copy(void **state)
{
    struct http_head first, second;
    (void)state;
    struct slice s = copied(&first, REQUEST, NULL);
    struct slice t = http_head_copy(&second, &first);
    slice_release(&s);
    assert_is_request(&second);
    slice_release(&t);
}

static void add_from_elsewhere(struct http_head *h)
{
    static char room[32];
    (void)snprintf(room, sizeof room, "made on the way");
    assert_true(http_head_add(h, http_view_of("X-Made"), http_view_of(room)));
    assert_true(http_head_add(h, http_view_of("X-None"), (struct http_view){NULL, 0}));
    h->authority = http_view_of("other.example");
}

static void what_lies_elsewhere_comes_along(void **state)
{
    struct http_head h;
    (void)state;
    struct slice s = copied(&h, REQUEST, add_from_elsewhere);
    assert_view(h.authority, "other.example");
    assert_view(http_value(&h, "host"), "example.org:80");
    assert_view(http_value(&h, "x-made"), "made on the way");
    assert_non_null(http_find(&h, "x-none"));
    assert_null(http_value(&h, "x-none").data);
    for (uint32_t i = 0; i < h.field_count; i++) /* all of it in the block, nothing where it was */
        assert_true(h.fields[i].name.data >= (const char *)s.data &&
                    h.fields[i].name.data + h.fields[i].name.len <= (const char *)s.data + s.len);
    slice_release(&s);
}

static void a_head_that_was_never_in_one_piece(void **state)
{
    struct http_head from, to;
    char value[] = "one";
    (void)state;
    http_head_clear(&from);
    from.method = http_view_of("GET");
    assert_true(http_head_add(&from, http_view_of("a"), http_view_of(value)));
    struct slice s = http_head_copy(&to, &from);
    memset(value, '?', sizeof value - 1);
    assert_view(to.method, "GET");
    assert_view(http_value(&to, "a"), "one");
    assert_null(to.path.data);
    slice_release(&s);
    http_head_clear(&from);
    s = http_head_copy(&to, &from);
    assert_int_equal(to.field_count, 0);
    slice_release(&s);
}

/* The path of such a target is none of its bytes. */
static void a_target_without_a_path(void **state)
{
    struct http_head h;
    (void)state;
    struct slice s = copied(&h, "\r\nGET http://a HTTP/1.1\r\nHost: b\r\n\r\n", NULL);
    assert_view(h.path, "/");
    assert_view(h.authority, "a");
    assert_view(http_value(&h, "host"), "b");
    slice_release(&s);
}

static void a_borrower_adds_fields_of_its_own(void **state)
{
    struct http_head from, to;
    (void)state;
    head_of_request(&from, REQUEST);
    http_head_borrow(&to, &from);
    assert_is_request(&to);
    assert_true(http_head_add(&to, http_view_of("x-more"), http_view_of("y")));
    assert_int_equal(from.field_count, 4);
    assert_view(http_value(&to, "x-more"), "y");
    assert_int_equal(http_count(&to, "x-more"), 1);
    assert_int_equal(http_count(&from, "x-more"), 0);
}

/* Whatever a head was asked for, it is found by its marks: of each name there is, in whatever letters, and of none that
 * is not. */
static void a_mark_never_hides_a_field(void **state)
{
    static const char *const names[] = {"a", "B", "Host", "x-request-id", "SEC-WEBSOCKET-KEY", "set-cookie", "~", ""};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct http_head h;
        char capitals[32] = "";
        http_head_clear(&h);
        assert_null(http_find(&h, names[i]));
        assert_true(http_head_add(&h, http_view_of(names[i]), http_view_of("v, w")));
        for (size_t k = 0; names[i][k] != '\0'; k++)
            capitals[k] = (char)(names[i][k] >= 'a' && names[i][k] <= 'z' ? names[i][k] - 0x20 : names[i][k]);
        assert_view(http_value(&h, names[i]), "v, w");
        assert_view(http_value(&h, capitals), "v, w");
        assert_int_equal(http_count(&h, capitals), 1);
        assert_true(http_has_token(&h, capitals, "W"));
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            assert_int_equal(http_find(&h, names[k]) != NULL, k == i);
    }
}

/* Dropping one leaves its mark, which only costs a look. */
static void a_field_that_was_dropped_is_not_found(void **state)
{
    struct http_head h;
    (void)state;
    http_head_clear(&h);
    assert_true(http_head_add(&h, http_view_of("x-gone"), http_view_of("1")));
    h.field_count = 0;
    assert_true(http_may_have(&h, http_view_of("X-Gone")));
    assert_null(http_find(&h, "x-gone"));
    assert_int_equal(http_count(&h, "x-gone"), 0);
    assert_false(http_has_token(&h, "x-gone", "1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_has_nothing_odd_in_it),
        cmocka_unit_test(a_copy_outlives_what_was_read),
        cmocka_unit_test(a_copy_of_a_copy),
        cmocka_unit_test(what_lies_elsewhere_comes_along),
        cmocka_unit_test(a_head_that_was_never_in_one_piece),
        cmocka_unit_test(a_target_without_a_path),
        cmocka_unit_test(a_borrower_adds_fields_of_its_own),
        cmocka_unit_test(a_mark_never_hides_a_field),
        cmocka_unit_test(a_field_that_was_dropped_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
