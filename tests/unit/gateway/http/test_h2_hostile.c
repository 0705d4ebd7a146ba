/* Hostile HTTP/2 servers get no further than hostile clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/gateway/http/h2_origin.h"

static void break_first(struct wire *w)
{
    wire_put(w, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void break_push(struct wire *w)
{
    struct wire block = {.len = 0};
    wire_frame(w, SETTINGS, 0, 0, NULL, 0);
    wire_frame(w, SETTINGS, ACK, 0, NULL, 0);
    wire_put(&block, "\0\0\0\2", 4);
    wire_field(&block, ":method", "GET");
    wire_frame(w, PUSH_PROMISE, END_HEADERS, 1, block.data, block.len);
}

static void break_early_data(struct wire *w)
{
    wire_frame(w, SETTINGS, 0, 0, NULL, 0);
    wire_frame(w, DATA, 0, 1, "x", 1);
}

static void break_unasked(struct wire *w)
{
    wire_frame(w, SETTINGS, 0, 0, NULL, 0);
    wire_headers(w, 7, END_STREAM, ":status", "200", NULL);
}

static void break_goaway(struct wire *w)
{
    wire_frame(w, SETTINGS, 0, 0, NULL, 0);
    wire_frame(w, GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
    wire_frame(w, GOAWAY, 0, 0, "\0\0\0\3\0\0\0\0", 8);
}

static void break_table(struct wire *w)
{
    wire_frame(w, SETTINGS, 0, 0, NULL, 0);
    wire_frame(w, HEADERS, END_HEADERS, 1, "\x3f\xff\xff\x03", 4); /* a table larger than allowed */
}

static const struct {
    const char *what;
    const char *reason;
    void (*send)(struct wire *w);
} broken_rows[] = {
    {"an answer of HTTP/1.1", "PROTOCOL_ERROR", break_first},
    {"a push", "PROTOCOL_ERROR", break_push},
    {"content before the head", "PROTOCOL_ERROR", break_early_data},
    {"an answer to what was not asked", "PROTOCOL_ERROR", break_unasked},
    {"a goodbye that takes another back", "PROTOCOL_ERROR", break_goaway},
    {"a table that grows", "COMPRESSION_ERROR", break_table},
};

static void test_broken_connections(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_rows / sizeof broken_rows[0]; i++) {
        struct pair p;
        create(&p);
        get(&p);
        fetch(&p);
        broken_rows[i].send(&p.in);
        exchange(&p);
        const char *failure = h2_client_failure(p.client);
        if (failure == NULL || !h2_client_is_over(p.client))
            fail_msg("%s: %s / %s", broken_rows[i].what, p.log, sent(&p));
        assert_string_equal(failure, broken_rows[i].reason);
        assert_false(h2_client_can_request(p.client));
        stop(&p);
    }
}

/* Before the server knows that pushes are not wanted, one may be on its way: it is refused alone. */
static void test_push_that_crossed(void **state)
{
    struct pair p;
    struct wire block = {.len = 0};
    (void)state;
    create(&p);
    get(&p);
    fetch(&p);
    wire_frame(&p.in, SETTINGS, 0, 0, NULL, 0);
    wire_put(&block, "\0\0\0\2", 4);
    wire_field(&block, ":method", "GET");
    wire_frame(&p.in, PUSH_PROMISE, END_HEADERS, 1, block.data, block.len);
    wire_headers(&p.in, 1, END_STREAM, ":status", "200", NULL);
    exchange(&p);
    assert_string_equal(p.log, "settings 200 close NO_ERROR ");
    assert_non_null(strstr(sent(&p), "RST_STREAM:2="));
    stop(&p);
}

static void flood_settings(struct wire *w, uint32_t i)
{
    wire_setting(w, 4, 65535 + i);
}

static void flood_pings(struct wire *w, uint32_t i)
{
    (void)i;
    wire_frame(w, PING, 0, 0, "12345678", 8);
}

static void flood_unknown(struct wire *w, uint32_t i)
{
    wire_frame(w, 77, 0, i, "x", 1);
}

static void flood_resets(struct wire *w, uint32_t i)
{
    (void)i;
    wire_frame_u32(w, RST_STREAM, 1, H2_CANCEL);
}

static void flood_goodbyes(struct wire *w, uint32_t i)
{
    (void)i;
    wire_frame(w, GOAWAY, 0, 0, "\x7f\xff\xff\xff\0\0\0\0", 8);
}

static const struct {
    const char *what;
    void (*send)(struct wire *w, uint32_t i);
    uint32_t count;
    const char *reason;
} flood_rows[] = {
    {"settings", flood_settings, 25, "too many settings"},
    {"pings", flood_pings, 110, "too many pings"},
    {"unknown frames", flood_unknown, 110, "too many frames of no use"},
    {"resets of one stream", flood_resets, 420, "too many streams reset"},
    {"goodbyes", flood_goodbyes, 110, "too many frames of no use"},
};

static void test_floods(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof flood_rows / sizeof flood_rows[0]; row++) {
        struct pair p;
        start(&p);
        get(&p);
        get(&p);
        fetch(&p);
        for (uint32_t i = 0; i < flood_rows[row].count; i++)
            flood_rows[row].send(&p.in, i);
        exchange(&p);
        if (h2_client_failure(p.client) == NULL)
            fail_msg("%s: not noticed", flood_rows[row].what);
        assert_string_equal(h2_client_failure(p.client), flood_rows[row].reason);
        stop(&p);
    }
}

/* A server that refuses all it is asked for is no flood. */
static void test_refusals_are_no_flood(void **state)
{
    struct pair p;
    (void)state;
    start(&p);
    for (uint32_t i = 0; i < 2000; i++) {
        assert_non_null(get(&p));
        fetch(&p);
        wire_frame_u32(&p.in, RST_STREAM, 2 * i + 1, H2_REFUSED_STREAM);
        exchange(&p);
        assert_string_equal(p.log, "close REFUSED_STREAM! ");
    }
    stop(&p);
}

static void test_destroyed_in_callbacks(void **state)
{
    (void)state;
    for (int place = 0; place < 5; place++) {
        struct pair p;
        start(&p);
        get(&p);
        get(&p);
        fetch(&p);
        p.destroys = true;
        if (place == 0)
            wire_headers(&p.in, 1, 0, ":status", "103", NULL);
        if (place == 1)
            wire_setting(&p.in, 4, 1000);
        if (place == 2)
            wire_frame_u32(&p.in, RST_STREAM, 1, H2_CANCEL);
        if (place == 3)
            wire_frame(&p.in, GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
        wire_headers(&p.in, 1, 0, ":status", "200", NULL);
        wire_frame(&p.in, DATA, END_STREAM, 1, "x", 1);
        exchange(&p);
        assert_null(p.client);
        assert_non_null(strstr(p.log, "close CANCEL"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_connections),
        cmocka_unit_test(test_push_that_crossed),
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_refusals_are_no_flood),
        cmocka_unit_test(test_destroyed_in_callbacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
