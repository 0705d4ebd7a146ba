/* Events as lines, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/report/event_line.h"

static void test_there_and_back(void **state)
{
    struct event e, back;
    struct strbuf line;

    (void)state;
    event_init(&e, EVENT_UP, EVENT_ENDS, "pool/a", "down", "up", "a \"cause\"\n\\ \x01");
    e.seq = 7;
    e.wall_ms = 1700000000123;
    e.duration_ms = 4200;
    strbuf_init(&line, EVENT_LINE_BYTES_MAX);
    event_line_write(&e, &line);
    assert_null(memchr(line.data, '\n', line.len));
    assert_non_null(strstr(line.data, "\"seq\":7,\"time\":\"2023-11-14T22:13:20.123Z\""));
    assert_true(event_line_read(line.data, line.len, &back));
    assert_memory_equal(&e, &back, sizeof e);
    strbuf_fini(&line);
}

static void test_the_longest_fits(void **state)
{
    struct event e;
    struct strbuf line;
    char text[1024];

    (void)state;
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    event_init(&e, EVENT_CERTIFICATE, EVENT_BEGINS, text, text, text, text);
    e.seq = UINT64_MAX;
    e.wall_ms = INT64_MAX / 2;
    e.duration_ms = INT64_MAX;
    strbuf_init(&line, EVENT_LINE_BYTES_MAX);
    event_line_write(&e, &line);
    assert_false(line.failed);
    strbuf_fini(&line);
}

static void test_what_is_no_event(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "[]",
        "{\"seq\":0,\"kind\":\"up\",\"phase\":\"ends\"}",
        "{\"seq\":-1,\"kind\":\"up\",\"phase\":\"ends\"}",
        "{\"seq\":1,\"kind\":\"sideways\",\"phase\":\"ends\"}",
        "{\"seq\":1,\"kind\":\"none\",\"phase\":\"ends\"}",
        "{\"seq\":1,\"kind\":\"up\",\"phase\":\"\"}",
        "{\"seq\":1,\"kind\":\"up\"}",
        "{\"seq\":1,\"seq\":2,\"kind\":\"up\",\"phase\":\"ends\"}",
    };
    static const char more[] = "{\"seq\":1,\"kind\":\"up\",\"phase\":\"ends\",\"new\":[]}";
    struct event e;

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_false(event_line_read(lines[i], strlen(lines[i]), &e));
    assert_true(event_line_read(more, sizeof more - 1, &e));
    assert_int_equal(e.duration_ms, -1);
}

static void test_texts_are_cut_between_characters(void **state)
{
    struct event e;
    char text[EVENT_WORD_BYTES + 2];

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text + EVENT_WORD_BYTES - 2, "\xc3\xa9", 3); /* its second byte would have no room for the NUL behind it */
    event_init(&e, EVENT_UP, EVENT_ONCE, NULL, text, "", NULL);
    assert_int_equal(strlen(e.from), EVENT_WORD_BYTES - 2);
    e.kind = EVENT_KIND_COUNT;
    assert_false(event_sanitize(&e));
    e.kind = EVENT_UP;
    memset(e.cause, 'x', sizeof e.cause);
    assert_true(event_sanitize(&e));
    assert_int_equal(strlen(e.cause), sizeof e.cause - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_the_longest_fits),
        cmocka_unit_test(test_what_is_no_event),
        cmocka_unit_test(test_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
