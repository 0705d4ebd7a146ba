/* How much of a message the sifter shows at once, and when again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/gateway/ws/sift_stream.h"

struct look {
    struct sift sift;
    size_t seen[16];
    uint32_t count;
    uint32_t more_count;
    const uint8_t *payload;
};

static enum sift_verdict note_look(void *arg, const struct ws_message *m)
{
    struct look *l = arg;
    l->seen[l->count++] = m->len;
    l->payload = m->payload;
    return l->count <= l->more_count ? SIFT_MORE : SIFT_PASS;
}

static void ignore_pass(void *arg, const uint8_t *frames, size_t len)
{
    (void)arg;
    (void)frames;
    (void)len;
}

static const struct sift_ops look_ops = {.on_message = note_look, .on_pass = ignore_pass};

static void no_more_is_unmasked_than_is_asked_for(void **state)
{
    (void)state;
    static const char text[] = "a message of some length";
    static struct bytes in;
    for (uint32_t more_count = 0; more_count < 2; more_count++) {
        struct look l = {.more_count = more_count};
        in.len = 0;
        add_frame(&in, WS_SENDER_CLIENT, WS_FIN | WS_OPCODE_TEXT, text, sizeof text);
        sift_init(&l.sift, WS_SENDER_CLIENT, 0, LOOK, TAKE, &look_ops, &l);
        sift_feed(&l.sift, in.data, in.len);
        assert_int_equal(l.count, 1 + more_count);
        assert_int_equal(l.seen[0], LOOK);
        assert_int_equal(l.seen[more_count], more_count == 0 ? LOOK : sizeof text);
        sift_fini(&l.sift);
    }
    struct look l = {.more_count = 0}; /* a server's lies there as it is */
    in.len = 0;
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_TEXT, text, sizeof text);
    sift_init(&l.sift, WS_SENDER_SERVER, 0, LOOK, TAKE, &look_ops, &l);
    sift_feed(&l.sift, in.data, in.len);
    assert_int_equal(l.seen[0], sizeof text);
    assert_ptr_equal(l.payload, in.data + 2);
    sift_fini(&l.sift);
}

static void larger_than_the_stack_is_unmasked_too(void **state)
{
    (void)state;
    static uint8_t text[5000];
    static struct bytes in;
    struct look l = {.more_count = 1};
    memset(text, 'x', sizeof text);
    in.len = 0;
    add_frame(&in, WS_SENDER_CLIENT, WS_FIN | WS_OPCODE_BINARY, text, sizeof text);
    sift_init(&l.sift, WS_SENDER_CLIENT, 0, 2000, 10000, &look_ops, &l);
    sift_feed(&l.sift, in.data, in.len);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.seen[0], 2000);
    assert_int_equal(l.seen[1], sizeof text);
    assert_null(l.sift.payload.data);
    sift_fini(&l.sift);
}

/* A peer that sends byte by byte may not have its message looked at again at each of them. */
static void further_looks_are_taken_when_it_has_doubled(void **state)
{
    (void)state;
    static uint8_t text[1000];
    static struct bytes in;
    struct look l = {.more_count = 100};
    in.len = 0;
    add_frame(&in, WS_SENDER_CLIENT, WS_OPCODE_TEXT, text, sizeof text);
    sift_init(&l.sift, WS_SENDER_CLIENT, 0, LOOK, 2000, &look_ops, &l);
    for (size_t i = 0; i < in.len; i++)
        sift_feed(&l.sift, in.data + i, 1);
    const size_t expected[] = {8, 16, 32, 64, 128, 256, 512};
    assert_int_equal(l.count, sizeof expected / sizeof expected[0]);
    assert_memory_equal(l.seen, expected, sizeof expected);
    sift_fini(&l.sift);
}

/* The message of a hold lies there with its frames, ready to be sent elsewhere. */
static enum sift_verdict check_frames(void *arg, const struct ws_message *m)
{
    struct look *l = arg;
    if (!m->is_whole)
        return SIFT_MORE;
    l->count++;
    assert_int_equal(m->len, 12);
    assert_memory_equal(m->payload, "one two four", 12);
    assert_int_equal(m->frames_bytes, 18);
    assert_memory_equal(m->frames,
                        "\x01\x04one \x00\x04two \x80\x04"
                        "four",
                        18);
    return SIFT_DROP;
}

static void ignore_control(void *arg, const uint8_t *payload, size_t len)
{
    ignore_pass(arg, payload, len);
}

static void frames_of_a_whole_message_are_without_control_frames(void **state)
{
    (void)state;
    static const struct sift_ops frames_ops = {
        .on_message = check_frames, .on_pass = ignore_pass, .on_ping = ignore_control, .on_pong = ignore_control};
    static struct bytes in;
    in.len = 0;
    add_frame(&in, WS_SENDER_SERVER, WS_OPCODE_TEXT, "one ", 4);
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_PING, "three", 5);
    add_frame(&in, WS_SENDER_SERVER, WS_OPCODE_CONTINUATION, "two ", 4);
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_PONG, "", 0);
    add_frame(&in, WS_SENDER_SERVER, WS_FIN | WS_OPCODE_CONTINUATION, "four", 4);
    for (size_t cut = 0; cut <= in.len; cut++) {
        struct look l = {.count = 0};
        sift_init(&l.sift, WS_SENDER_SERVER, 0, LOOK, TAKE, &frames_ops, &l);
        sift_feed(&l.sift, in.data, cut);
        sift_feed(&l.sift, in.data + cut, in.len - cut);
        assert_int_equal(l.count, 1);
        sift_fini(&l.sift);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_is_unmasked_than_is_asked_for),
        cmocka_unit_test(larger_than_the_stack_is_unmasked_too),
        cmocka_unit_test(further_looks_are_taken_when_it_has_doubled),
        cmocka_unit_test(frames_of_a_whole_message_are_without_control_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
