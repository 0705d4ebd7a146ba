/* Floods against HTTP/2 servers: every kind is noticed, said goodbye to and costs nothing more; and what honest peers
 * do, for as long as they like, is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/gateway/http/h2_peer.h"

static void flood_resets(struct wire *w, uint32_t i)
{
    WIRE_GET(w, 2 * i + 1, END_STREAM, NULL);
    wire_frame_u32(w, RST_STREAM, 2 * i + 1, H2_CANCEL);
}

/* Never resets anything itself, but has every stream reset. */
static void flood_made_resets(struct wire *w, uint32_t i)
{
    WIRE_GET(w, 2 * i + 1, END_STREAM, NULL);
    wire_frame_u32(w, WINDOW_UPDATE, 2 * i + 1, 0x7fffffff);
}

/* The same by a body that is not as long as it said: one byte too many ... */
static void flood_long_bodies(struct wire *w, uint32_t i)
{
    WIRE_GET(w, 2 * i + 1, 0, "content-length", "1", NULL);
    wire_frame(w, DATA, 0, 2 * i + 1, "xx", 2);
}

/* ... or too few. */
static void flood_short_bodies(struct wire *w, uint32_t i)
{
    WIRE_GET(w, 2 * i + 1, 0, "content-length", "3", NULL);
    wire_frame(w, DATA, END_STREAM, 2 * i + 1, "xx", 2);
}

static void flood_malformed(struct wire *w, uint32_t i)
{
    WIRE_GET(w, 2 * i + 1, END_STREAM, "", "", NULL);
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

static void flood_empty_data(struct wire *w, uint32_t i)
{
    if (i == 0)
        WIRE_GET(w, 1, 0, NULL);
    wire_frame(w, DATA, 0, 1, NULL, 0);
}

static void flood_padding(struct wire *w, uint32_t i)
{
    if (i == 0)
        WIRE_GET(w, 1, 0, NULL);
    wire_frame(w, DATA, PADDED, 1, "", 1);
}

static void flood_priorities(struct wire *w, uint32_t i)
{
    wire_frame(w, PRIORITY, 0, 2 * i + 1, "\0\0\0\0\1", 5);
}

static void flood_priority_updates(struct wire *w, uint32_t i)
{
    (void)i;
    wire_frame(w, 16, 0, 0, "\0\0\0\1u=1", 7);
}

static void flood_windows(struct wire *w, uint32_t i)
{
    (void)i;
    wire_frame_u32(w, WINDOW_UPDATE, 0, 1);
}

static void flood_unknown(struct wire *w, uint32_t i)
{
    wire_frame(w, 77, 0, i, "x", 1);
}

static const struct {
    const char *what;
    void (*send)(struct wire *w, uint32_t i);
    uint32_t flood_count;
    uint32_t honest_count; /* per second, for as long as it likes */
    const char *reason;
} flood_rows[] = {
    {"rapid reset", flood_resets, 420, 30, "too many streams reset"},
    {"made you reset", flood_made_resets, 420, 30, "too many streams reset"},
    {"bodies too long", flood_long_bodies, 420, 30, "too many streams reset"},
    {"bodies too short", flood_short_bodies, 420, 30, "too many streams reset"},
    {"malformed requests", flood_malformed, 420, 30, "too many streams reset"},
    {"settings", flood_settings, 25, 1, "too many settings"},
    {"pings", flood_pings, 110, 15, "too many pings"},
    {"empty data", flood_empty_data, 110, 15, "too many empty frames"},
    {"padding only", flood_padding, 110, 15, "too many empty frames"},
    {"priorities", flood_priorities, 1010, 80, "too many priority frames"},
    {"priority updates", flood_priority_updates, 1010, 80, "too many priority frames"},
    {"window updates", flood_windows, 2010, 150, "too many window updates"},
    {"unknown frames", flood_unknown, 110, 15, "too many frames of no use"},
};

static void test_floods(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof flood_rows / sizeof flood_rows[0]; row++) {
        struct peer p;
        start(&p);
        for (uint32_t i = 0; i < flood_rows[row].flood_count; i++) {
            flood_rows[row].send(&p.in, i);
            if (i % 50 == 49 && h2_server_failure(p.server) == NULL)
                exchange(&p);
        }
        exchange(&p);
        if (h2_server_failure(p.server) == NULL)
            fail_msg("%s: not noticed", flood_rows[row].what);
        assert_string_equal(h2_server_failure(p.server), flood_rows[row].reason);
        assert_true(h2_server_is_over(p.server));
        stop(&p);

        start(&p);
        for (uint32_t i = 0; i < flood_rows[row].flood_count * 3; i++) {
            flood_rows[row].send(&p.in, i);
            if (i % flood_rows[row].honest_count == 0) {
                exchange(&p);
                p.now_ms += 1000;
            }
        }
        exchange(&p);
        if (h2_server_failure(p.server) != NULL)
            fail_msg("%s: honest peers fail: %s", flood_rows[row].what, h2_server_failure(p.server));
        stop(&p);
    }
}

static void test_flood_is_said_goodbye(void **state)
{
    struct peer p;
    (void)state;
    start(&p);
    for (uint32_t i = 0; i < 110; i++)
        flood_unknown(&p.in, i);
    WIRE_GET(&p.in, 1, END_STREAM, NULL);
    exchange(&p);
    assert_string_equal(sent(&p), "GOAWAY=ENHANCE_YOUR_CALM");
    assert_string_equal(p.log, "");
    stop(&p);
}

static void test_continuation_flood(void **state)
{
    (void)state;
    for (size_t size = 0; size < 2; size++) {
        struct peer p;
        start(&p);
        wire_frame(&p.in, HEADERS, END_STREAM, 1, NULL, 0);
        for (uint32_t i = 0; i < 9; i++)
            wire_frame(&p.in, CONTINUATION, 0, 1, "\x82", size);
        exchange(&p);
        assert_string_equal(h2_server_failure(p.server), "too many continuations");
        stop(&p);
    }
}

/* Who asks and asks and never reads what he gets. */
static void test_unread_output(void **state)
{
    struct peer p;
    (void)state;
    start(&p);
    for (uint32_t i = 0; i < 300 && h2_server_failure(p.server) == NULL; i++) {
        flood_pings(&p.in, i);
        p.now_ms += 100;
        feed(&p);
    }
    assert_string_equal(h2_server_failure(p.server), "peer does not read");
    stop(&p);
}

/* A download explains the window updates that come with it, two for every kilobyte. */
static void test_window_updates_of_a_download(void **state)
{
    static char bytes[64 * 1024];
    struct http_head head;
    struct peer p;
    (void)state;
    start(&p);
    WIRE_GET(&p.in, 1, END_STREAM, NULL);
    exchange(&p);
    http_head_clear(&head);
    head.status = 200;
    h2_server_respond(p.stream, &head, true);
    for (uint32_t round = 0; round < 100; round++) {
        h2_stream_send(p.stream, bytes, sizeof bytes);
        fetch(&p);
        for (uint32_t i = 0; i < sizeof bytes / 1024; i++) {
            wire_frame_u32(&p.in, WINDOW_UPDATE, 0, 1024);
            wire_frame_u32(&p.in, WINDOW_UPDATE, 1, 1024);
        }
        exchange(&p);
        assert_null(h2_server_failure(p.server));
    }
    assert_true(h2_stream_sent_bytes(p.stream) > 99 * sizeof bytes);
    stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_flood_is_said_goodbye),
        cmocka_unit_test(test_continuation_flood),
        cmocka_unit_test(test_unread_output),
        cmocka_unit_test(test_window_updates_of_a_download),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
