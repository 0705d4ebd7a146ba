/* Cache-Control as it comes: what is said is understood, what is nonsense is not believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/control.h"

#define TEXT_BYTES 512u

static void add_flag(char *out, const char *name, bool is_there)
{
    const size_t len = strlen(out);
    if (is_there)
        snprintf(out + len, TEXT_BYTES - len, "%s%s", len > 0 ? " " : "", name);
}

static void add_number(char *out, const char *name, int64_t n)
{
    const size_t len = strlen(out);
    if (n >= 0)
        snprintf(out + len, TEXT_BYTES - len, "%s%s=%lld", len > 0 ? " " : "", name, (long long)n);
}

/* All that is set, in one order. */
static const char *told(const struct cache_control *c, char out[TEXT_BYTES])
{
    out[0] = '\0';
    add_flag(out, "no-cache", c->no_cache);
    add_flag(out, "no-store", c->no_store);
    add_flag(out, "private", c->is_private);
    add_flag(out, "public", c->is_public);
    add_flag(out, "must-revalidate", c->must_revalidate);
    add_flag(out, "proxy-revalidate", c->proxy_revalidate);
    add_flag(out, "no-transform", c->no_transform);
    add_flag(out, "only-if-cached", c->only_if_cached);
    add_flag(out, "immutable", c->is_immutable);
    add_flag(out, "max-stale", c->has_max_stale);
    add_number(out, "max-age", c->max_age_s);
    add_number(out, "s-maxage", c->s_maxage_s);
    add_number(out, "stale-for", c->max_stale_s);
    add_number(out, "min-fresh", c->min_fresh_s);
    add_number(out, "swr", c->stale_while_revalidate_s);
    add_number(out, "sie", c->stale_if_error_s);
    return out;
}

/* One Cache-Control field for each that is not NULL. */
static void head_of(struct http_head *h, const char *first, const char *second)
{
    http_head_clear(h);
    if (first != NULL)
        assert_true(http_head_add(h, http_view_of("Cache-Control"), http_view_of(first)));
    assert_true(http_head_add(h, http_view_of("Content-Type"), http_view_of("no-store")));
    if (second != NULL)
        assert_true(http_head_add(h, http_view_of("cache-control"), http_view_of(second)));
}

struct row {
    const char *value, *second; /* of the second field of that name; NULL: none */
    const char *expected;
};

/* clang-format off */
static const struct row answers[] = {
    {NULL, NULL, ""},
    {"", NULL, ""},
    {"no-cache", NULL, "no-cache"},
    {"no-store, private, public", NULL, "no-store private public"},
    {"must-revalidate,proxy-revalidate,no-transform,immutable", NULL,
     "must-revalidate proxy-revalidate no-transform immutable"},
    {"MAX-AGE=5, No-Store", NULL, "no-store max-age=5"},
    {"max-age=60, s-maxage=600, stale-while-revalidate=30, stale-if-error=86400", NULL,
     "max-age=60 s-maxage=600 swr=30 sie=86400"},
    {" ,, max-age=1 ,\t, public ,", NULL, "public max-age=1"},
    {"max-age=5", "public", "public max-age=5"},
    /* quotes: a number is a number, and commas inside part nothing */
    {"max-age=\"60\"", NULL, "max-age=60"},
    {"private=\"set-cookie, max-age=7\"", NULL, "private"},
    {"no-cache=\"a\\\", no-store\", max-age=1", NULL, "no-cache max-age=1"},
    {"ext=\"no-store, private\", max-age=1", NULL, "max-age=1"},
    {"ext=\"a\\\", no-store, b\", max-age=1", NULL, "max-age=1"},
    /* a quote that is never closed hides nothing */
    {"ext=\"abc, no-store", NULL, "no-store"},
    {"ext=\"abc\\", "no-store", "no-store"},
    {"ext=\"abc\\\", no-store", NULL, "no-store"},
    /* unknown ones, and what only looks known */
    {"foo, bar=1, max-ages=3, xmax-age=2, no_store", NULL, ""},
    {"pre-check=0, post-check=0, max-age=3", NULL, "max-age=3"},
    {"max-age", NULL, "max-age=0"},
    {"=5, =, max-age=2", NULL, "max-age=2"},
    /* numbers that are none are 0 */
    {"max-age=", NULL, "max-age=0"},
    {"max-age=\"\"", NULL, "max-age=0"},
    {"max-age=\"", NULL, "max-age=0"},
    {"max-age=-1", NULL, "max-age=0"},
    {"max-age=+1", NULL, "max-age=0"},
    {"max-age=1.5", NULL, "max-age=0"},
    {"max-age=1h", NULL, "max-age=0"},
    {"max-age=0x10", NULL, "max-age=0"},
    {"max-age='60'", NULL, "max-age=0"},
    {"max-age= 60", NULL, "max-age=0"},
    {"max-age =60", NULL, "max-age=60"},
    {"max-age=60; public", NULL, "max-age=0"},
    {"max-age=ten, s-maxage=5", NULL, "max-age=0 s-maxage=5"},
    {"stale-while-revalidate, stale-if-error=x, max-age=3", NULL, "max-age=3 swr=0 sie=0"},
    /* however long */
    {"max-age=0000000000000000000000000000000000000012", NULL, "max-age=12"},
    {"max-age=2147483648", NULL, "max-age=2147483648"},
    {"max-age=2147483649", NULL, "max-age=2147483648"},
    {"max-age=99999999999999999999999999999999999999", NULL, "max-age=2147483648"},
    /* of several the strictest */
    {"max-age=10, max-age=5, max-age=20", NULL, "max-age=5"},
    {"max-age=10", "max-age=x", "max-age=0"},
    {"public, private", "no-store", "no-store private public"},
};

static const struct row requests[] = {
    {"no-cache", NULL, "no-cache"},
    {"no-store, only-if-cached", NULL, "no-store only-if-cached"},
    {"max-age=0", NULL, "max-age=0"},
    {"max-stale", NULL, "max-stale"},
    {"max-stale=30", NULL, "max-stale stale-for=30"},
    {"max-stale=\"30\", min-fresh=5", NULL, "max-stale stale-for=30 min-fresh=5"},
    {"stale-if-error=60", NULL, "sie=60"},
    /* what is no number was not asked for */
    {"max-age=soon, min-fresh=, max-stale=x, stale-if-error=-1", NULL, ""},
    {"max-stale=", NULL, ""},
    /* of several the strictest */
    {"max-age=10, max-age=5, min-fresh=5, min-fresh=10", NULL, "max-age=5 min-fresh=10"},
    {"max-stale, max-stale=10", "max-stale=20", "max-stale stale-for=10"},
    {"max-stale=10", "max-stale", "max-stale stale-for=10"},
};
/* clang-format on */

static void check(const struct row *row, bool is_request)
{
    struct http_head h;
    struct cache_control c;
    char text[TEXT_BYTES];

    head_of(&h, row->value, row->second);
    if (is_request)
        cache_control_of_request(&h, &c);
    else
        cache_control_of_answer(h.fields, h.field_count, &c);
    if (strcmp(told(&c, text), row->expected) != 0)
        fail_msg("%s | %s\n  gives    \"%s\"\n  expected \"%s\"", row->value, row->second != NULL ? row->second : "",
                 text, row->expected);
}

static void answers_as_a_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        check(&answers[i], false);
}

static void requests_as_a_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        check(&requests[i], true);
}

static void pragma_speaks_for_clients_without_cache_control(void **state)
{
    struct http_head h;
    struct cache_control c;

    (void)state;
    http_head_clear(&h);
    assert_true(http_head_add(&h, http_view_of("Pragma"), http_view_of("x, No-Cache")));
    cache_control_of_request(&h, &c);
    assert_true(c.no_cache);
    cache_control_of_answer(h.fields, h.field_count, &c);
    assert_false(c.no_cache);

    assert_true(http_head_add(&h, http_view_of("Cache-Control"), http_view_of("max-age=5")));
    cache_control_of_request(&h, &c);
    assert_false(c.no_cache);
    assert_int_equal(c.max_age_s, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_a_table),
        cmocka_unit_test(requests_as_a_table),
        cmocka_unit_test(pragma_speaks_for_clients_without_cache_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
