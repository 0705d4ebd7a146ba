/* Stored answers: which fields stay, what a 304 changes, what is found in them, who owns what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/entry.h"
#include "tests/unit/gateway/http/head.h"

#define ANSWER(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"

static struct cache_entry *entry_of(const char *answer, struct slice body)
{
    struct http_head h;
    const struct http_view tags[] = {http_view_of("table:cars"), http_view_of("api")};

    head_of_response(&h, answer);
    return cache_entry_create(&(struct cache_draft){
        .status = h.status,
        .fields = h.fields,
        .field_count = h.field_count,
        .tags = tags,
        .tag_count = 2,
        .key = http_view_of("the key"),
        .host = http_view_of("example.com"),
        .path = http_view_of("/rest"),
        .query = http_view_of("a=1"),
        .life = {.fresh_ms = 1000},
        .position = {.ms = 5, .seq = 6, .local = 7},
        .born_ms = 100,
        .body = body,
    });
}

static struct cache_entry *updated_by(const struct cache_entry *old, const char *answer)
{
    struct http_head h;

    head_of_response(&h, answer);
    return cache_entry_update(old, h.fields, h.field_count, &(struct cache_life){.fresh_ms = 9000},
                              &(struct cache_position){.ms = 50}, 700);
}

/* Its fields as "Name: value" with "|" between them. */
static const char *fields_of(char out[8192], const struct cache_entry *e)
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < e->field_count; i++)
        at += (size_t)snprintf(out + at, 8192 - at, "%s%.*s: %.*s", i > 0 ? "|" : "", (int)e->fields[i].name.len,
                               e->fields[i].name.data, (int)e->fields[i].value.len, e->fields[i].value.data);
    return out;
}

static void assert_view(struct http_view v, const char *text)
{
    if (text == NULL) {
        assert_null(v.data);
        return;
    }
    assert_int_equal(v.len, strlen(text));
    assert_memory_equal(v.data, text, v.len);
}

static void what_is_not_the_answers_own_is_left_out(void **state)
{
    static const struct {
        const char *answer, *fields;
    } rows[] = {
        {ANSWER("Content-Type: text/plain\r\nX-Own: 1\r\nX-Own: 2\r\n"), "Content-Type: text/plain|X-Own: 1|X-Own: 2"},
        {ANSWER("X-A: \r\n"), "X-A: "},
        {ANSWER("Connection: close, X-Hop\r\nX-HOP: 1\r\nX-Hops: 2\r\nX: 3\r\n"), "X-Hops: 2|X: 3"},
        {ANSWER("X-Hop: 1\r\nConnection: x-hop\r\n"), ""},
        {ANSWER("Keep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\n"), ""},
        {ANSWER("Transfer-Encoding: chunked\r\n"), ""},
        {ANSWER("Content-Length: 5\r\nAge: 17\r\nDate: x\r\n"), "Date: x"},
        {ANSWER("Set-Cookie: a=b\r\nset-cookie: c=d\r\nSet-Cookie2: e\r\nSet-Cookies: f\r\n"), "Set-Cookies: f"},
        {ANSWER("Proxy-Authenticate: Basic\r\nPROXY-Connection: close\r\nProxy-: x\r\nProxy: y\r\n"), "Proxy: y"},
        {ANSWER("Surrogate-Key: a b\r\nCache-Tag: a\r\nCache-Control: max-age=5\r\n"), "Cache-Control: max-age=5"},
        {ANSWER("Content-Encoding: gzip\r\nContent-Range: bytes 0-1/2\r\n"),
         "Content-Encoding: gzip|Content-Range: bytes 0-1/2"},
        {ANSWER("X: 1\r\nAccept-Ranges: bytes\r\n"), "X: 1"},
        {"HTTP/1.1 404 Not Found\r\nAccept-Ranges: bytes\r\n\r\n", "Accept-Ranges: bytes"},
    };
    char text[8192];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cache_entry *e = entry_of(rows[i].answer, (struct slice){0});
        assert_string_equal(fields_of(text, e), rows[i].fields);
        cache_entry_unref(&e);
        assert_null(e);
    }
}

static void a_304_updates_the_fields(void **state)
{
    static const struct {
        const char *answer, *update, *fields;
    } rows[] = {
        {ANSWER("A: 1\r\nB: 2\r\n"), ANSWER(""), "A: 1|B: 2"},
        {ANSWER("A: 1\r\nB: 2\r\n"), ANSWER("a: 3\r\n"), "B: 2|a: 3"},
        {ANSWER("A: 1\r\nA: 2\r\nB: 3\r\n"), ANSWER("A: 4\r\n"), "B: 3|A: 4"},
        {ANSWER("A: 1\r\n"), ANSWER("A: 2\r\nA: 3\r\nC: 4\r\n"), "A: 2|A: 3|C: 4"},
        {ANSWER("A: 1\r\n"), ANSWER("Connection: a, b\r\nA: 2\r\nB: 3\r\nSet-Cookie: x\r\nAge: 5\r\n"), "A: 1"},
        {ANSWER("Content-Type: text/html\r\n"), ANSWER("Content-Type: text/plain\r\nContent-Length: 0\r\n"),
         "Content-Type: text/plain"},
        {ANSWER("Content-Encoding: gzip\r\n"), ANSWER("Content-Encoding: br\r\nContent-Range: bytes 0-1/2\r\n"),
         "Content-Encoding: gzip"},
        {ANSWER("A: 1\r\n"), ANSWER("Content-Encoding: br\r\n"), "A: 1"},
        {ANSWER("A: 1\r\n"), ANSWER("Accept-Ranges: none\r\n"), "A: 1"},
    };
    char text[8192];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cache_entry *old = entry_of(rows[i].answer, (struct slice){0});
        struct cache_entry *e = updated_by(old, rows[i].update);
        cache_entry_unref(&old);
        assert_string_equal(fields_of(text, e), rows[i].fields);
        cache_entry_unref(&e);
    }
}

static void a_304_changes_the_head_and_times_alone(void **state)
{
    const struct slice body = slice_copy("hello", 5);
    struct cache_entry *old = entry_of(ANSWER("ETag: \"1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), body);

    (void)state;
    old->coded[CODING_BR] = slice_copy("hi", 2);
    old->is_coded_in_vain[CODING_GZIP] = true;
    struct cache_entry *e = updated_by(old, ANSWER("ETag: \"2\"\r\n"));
    assert_ptr_equal(e->body.data, old->body.data);
    assert_ptr_equal(e->coded[CODING_BR].data, old->coded[CODING_BR].data);
    assert_null(e->coded[CODING_GZIP].data);
    assert_true(e->is_coded_in_vain[CODING_GZIP]);
    assert_int_equal(e->size_bytes, old->size_bytes);
    cache_entry_unref(&old);
    slice_release(&(struct slice){.owner = body.owner});

    assert_int_equal(e->status, 200);
    assert_memory_equal(e->body.data, "hello", 5);
    assert_memory_equal(e->coded[CODING_BR].data, "hi", 2);
    assert_view(e->key, "the key");
    assert_view(e->host, "example.com");
    assert_view(e->path, "/rest");
    assert_view(e->query, "a=1");
    assert_int_equal(e->tag_count, 2);
    assert_view(e->tags[0], "table:cars");
    assert_view(e->tags[1], "api");
    assert_view(e->etag, "\"2\"");
    assert_true(e->last_modified_wall_ms == 784111777000);
    assert_int_equal(e->life.fresh_ms, 9000);
    assert_int_equal(e->position.ms, 50);
    assert_int_equal(e->position.local, 0);
    assert_int_equal(e->born_ms, 700);
    cache_entry_unref(&e);
}

static void fields_have_a_bound_whatever_304s_add(void **state)
{
    struct cache_entry *e = entry_of(ANSWER("A: 1\r\n"), (struct slice){0});

    (void)state;
    for (unsigned n = 0; n < 10; n++) {
        char names[90][8];
        struct http_field fields[90];
        for (unsigned i = 0; i < 90; i++) {
            snprintf(names[i], sizeof names[i], "x%u", n * 90 + i);
            fields[i] = (struct http_field){http_view_of(names[i]), http_view_of("v")};
        }
        struct cache_entry *old = e;
        e = cache_entry_update(old, fields, 90, &old->life, &old->position, 0);
        cache_entry_unref(&old);
    }
    assert_int_equal(e->field_count, HTTP_ROOM_FIELDS);
    assert_view(e->fields[0].name, "A");
    cache_entry_unref(&e);
}

static void validators_are_those_that_are_good(void **state)
{
    static const struct {
        const char *answer, *etag;
        int64_t modified_wall_ms;
    } rows[] = {
        {ANSWER(""), NULL, -1},
        {ANSWER("ETag: \"x\"\r\n"), "\"x\"", -1},
        {ANSWER("etag: W/\"x\"\r\n"), "W/\"x\"", -1},
        {ANSWER("ETag: \"\"\r\n"), "\"\"", -1},
        {ANSWER("ETag: x\r\n"), NULL, -1},
        {ANSWER("ETag: \"x\r\n"), NULL, -1},
        {ANSWER("ETag: w/\"x\"\r\n"), NULL, -1},
        {ANSWER("ETag: \"\r\n"), NULL, -1},
        {ANSWER("ETag: \"a\"b\"\r\n"), NULL, -1},
        {ANSWER("ETag: \"a b\"\r\n"), NULL, -1},
        {ANSWER("ETag: \"a\"\r\nETag: \"b\"\r\n"), NULL, -1},
        {ANSWER("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), NULL, 784111777000},
        {ANSWER("Last-Modified: Sun Nov  6 08:49:37 1994\r\n"), NULL, 784111777000},
        {ANSWER("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nLast-Modified: Sunday, 06-Nov-94 08:49:37 GMT\r\n"), NULL,
         784111777000},
        {ANSWER("Date: Sat, 21 Nov 2026 09:00:00 GMT\r\nLast-Modified: Sunday, 06-Nov-94 08:49:37 GMT\r\n"), NULL,
         784111777000},
        {ANSWER("Date: Sat, 21 Nov 2026 09:00:00 GMT\r\nLast-Modified: Friday, 06-Nov-20 08:49:37 GMT\r\n"), NULL,
         1604652577000},
        {ANSWER("Last-Modified: Sunday, 06-Nov-94 08:49:37 GMT\r\n"), NULL, 784111777000},
        {ANSWER("Last-Modified: yesterday\r\n"), NULL, -1},
        {ANSWER("Last-Modified:\r\n"), NULL, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cache_entry *e = entry_of(rows[i].answer, (struct slice){0});
        assert_view(e->etag, rows[i].etag);
        assert_true(e->last_modified_wall_ms == rows[i].modified_wall_ms);
        assert_int_equal(e->last_modified.data != NULL, rows[i].modified_wall_ms != -1);
        cache_entry_unref(&e);
    }
}

static void the_coding_is_the_one_of_the_body(void **state)
{
    static const struct {
        const char *answer;
        enum cache_coding coding;
    } rows[] = {
        {ANSWER(""), CODING_IDENTITY},
        {ANSWER("Content-Encoding:\r\n"), CODING_IDENTITY},
        {ANSWER("Content-Encoding: identity\r\n"), CODING_IDENTITY},
        {ANSWER("Content-Encoding: GZip\r\n"), CODING_GZIP},
        {ANSWER("Content-Encoding: x-gzip\r\n"), CODING_GZIP},
        {ANSWER("Content-Encoding: br\r\n"), CODING_BR},
        {ANSWER("Content-Encoding: zstd\r\n"), CODING_ZSTD},
        {ANSWER("Content-Encoding: deflate\r\n"), CODING_OTHER},
        {ANSWER("Content-Encoding: gzip, br\r\n"), CODING_OTHER},
        {ANSWER("Content-Encoding: gzip\r\nContent-Encoding: br\r\n"), CODING_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cache_entry *e = entry_of(rows[i].answer, (struct slice){0});
        assert_int_equal(e->coding, rows[i].coding);
        cache_entry_unref(&e);
    }
    assert_string_equal(cache_coding_text(CODING_IDENTITY), "identity");
    assert_string_equal(cache_coding_text(CODING_BR), "br");
    assert_null(cache_coding_text(CODING_OTHER));
}

/* What is counted is what is held: a small part of a large block is not kept by keeping the block. */
static void a_body_is_shared_unless_that_holds_too_much(void **state)
{
    struct block *b = block_create(10000);
    memset(b->data, 'x', 10000);

    (void)state;
    struct cache_entry *most = entry_of(ANSWER(""), (struct slice){.data = b->data, .len = 9000, .owner = b});
    struct cache_entry *part = entry_of(ANSWER(""), (struct slice){.data = b->data + 5, .len = 4000, .owner = b});
    struct cache_entry *none = entry_of(ANSWER(""), (struct slice){.data = b->data, .len = 0, .owner = b});
    struct cache_entry *borrowed = entry_of(ANSWER(""), slice_borrow("static", 6));
    assert_int_equal(b->refs, 2);
    assert_ptr_equal(most->body.data, b->data);
    assert_ptr_not_equal(part->body.data, b->data + 5);
    assert_non_null(borrowed->body.owner);
    assert_null(none->body.owner);
    assert_int_equal(most->size_bytes - part->size_bytes, 6000);
    assert_true(none->size_bytes < part->size_bytes - 4000);
    block_unref(&b);
    assert_int_equal(most->body.data[8999], 'x');
    cache_entry_unref(&most);
    cache_entry_unref(&part);
    cache_entry_unref(&none);
    cache_entry_unref(&borrowed);
}

static void the_longest_key_is_kept_whole(void **state)
{
    char key[CACHE_KEY_BYTES_MAX];

    (void)state;
    memset(key, 'k', sizeof key);
    struct cache_entry *e = cache_entry_create(&(struct cache_draft){.status = 200, .key = {key, sizeof key}});
    assert_int_equal(e->key.len, sizeof key);
    assert_memory_equal(e->key.data, key, sizeof key);
    cache_entry_unref(&e);
}

static void an_entry_lives_as_long_as_anyone_holds_it(void **state)
{
    struct cache_entry *e = entry_of(ANSWER("A: 1\r\n"), slice_borrow("static", 6));
    struct cache_entry *again = cache_entry_ref(e);

    (void)state;
    cache_entry_unref(&e);
    assert_null(e);
    assert_view(again->fields[0].value, "1");
    cache_entry_unref(&again);
}

static void times_are_simple(void **state)
{
    static const struct {
        struct cache_life life;
        int64_t whole_ms;
    } rows[] = {
        {{0}, 0},
        {{.fresh_ms = 5}, 5},
        {{.fresh_ms = 5, .stale_ms = 10, .error_ms = 20, .down_ms = 7, .keep_ms = 1}, 25},
        {{.fresh_ms = 5, .keep_ms = 30}, 35},
        {{.fresh_ms = 5, .down_ms = 31, .keep_ms = 30}, 36},
    };
    struct cache_entry *e = entry_of(ANSWER(""), (struct slice){0});

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(cache_life_whole_ms(&rows[i].life), rows[i].whole_ms);
    assert_int_equal(cache_entry_age_ms(e, 100), 0);
    assert_int_equal(cache_entry_age_ms(e, 150), 50);
    assert_int_equal(cache_entry_age_ms(e, 99), 0);
    cache_entry_unref(&e);
}

static void positions_have_an_order(void **state)
{
    static const struct cache_position in_order[] = {
        {0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {1, 0, 0}, {1, 0, 9}, {1, 1, 0}, {UINT64_MAX, 0, 0},
    };
    const size_t count = sizeof in_order / sizeof in_order[0];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            const int order = cache_position_compare(&in_order[i], &in_order[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_the_answers_own_is_left_out),
        cmocka_unit_test(a_304_updates_the_fields),
        cmocka_unit_test(a_304_changes_the_head_and_times_alone),
        cmocka_unit_test(fields_have_a_bound_whatever_304s_add),
        cmocka_unit_test(validators_are_those_that_are_good),
        cmocka_unit_test(the_coding_is_the_one_of_the_body),
        cmocka_unit_test(a_body_is_shared_unless_that_holds_too_much),
        cmocka_unit_test(the_longest_key_is_kept_whole),
        cmocka_unit_test(an_entry_lives_as_long_as_anyone_holds_it),
        cmocka_unit_test(times_are_simple),
        cmocka_unit_test(positions_have_an_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
