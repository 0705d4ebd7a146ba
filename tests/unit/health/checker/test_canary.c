/* The canary's two sides, message by message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "health/checker/canary.h"

#define JOINED "[\"2\",\"2\",\"realtime:canary\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"
#define REFUSED                                                                                                        \
    "[\"2\",\"2\",\"realtime:canary\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"no\"}}]"
#define NONCE "00112233445566778899aabbccddeeff"

static const uint8_t random_bytes[CANARY_NONCE_BYTES / 2] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                                             0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static struct canary *begin(void)
{
    return canary_create("realtime:canary", random_bytes);
}

static void hear(struct canary *c, enum canary_side side, const char *text)
{
    canary_hear(c, side, text, strlen(text), true);
}

static void expect_said(struct canary *c, enum canary_side side, int64_t now_ms, const char *wanted)
{
    struct strbuf out;

    assert_true(canary_wants_to_say(c, side));
    strbuf_init(&out, 4096);
    canary_say(c, side, &out, now_ms);
    assert_string_equal(out.data, wanted);
    strbuf_fini(&out);
}

static void skip_said(struct canary *c, enum canary_side side)
{
    struct strbuf out;

    strbuf_init(&out, 4096);
    canary_say(c, side, &out, 0);
    strbuf_fini(&out);
}

/* Both sides joined, the broadcast sent at `now_ms`. */
static struct canary *sent(int64_t now_ms)
{
    struct canary *c = begin();

    for (int side = CANARY_HERE; side <= CANARY_THERE; side++) {
        canary_up(c, (enum canary_side)side);
        skip_said(c, (enum canary_side)side);
        hear(c, (enum canary_side)side, JOINED);
    }
    expect_said(c, CANARY_THERE, now_ms,
                "[\"2\",\"3\",\"realtime:canary\",\"broadcast\",{\"type\":\"broadcast\",\"event\":\"canary\","
                "\"payload\":{\"nonce\":\"" NONCE "\"}}]");
    return c;
}

static void test_crosses_and_says_good_bye(void **state)
{
    static const char binary[] = "\x04\x0f\x06\x00\x01realtime:canarycanary{\"nonce\":\"001122";
    static const char rest[] = "33445566778899aabbccddeeff\"}";
    struct canary *c = begin();

    (void)state;
    assert_false(canary_wants_to_say(c, CANARY_HERE)); /* not connected yet */
    canary_up(c, CANARY_HERE);
    expect_said(
        c, CANARY_HERE, 0,
        "[\"2\",\"2\",\"realtime:canary\",\"phx_join\",{\"config\":{\"broadcast\":{\"ack\":false,\"self\":false},"
        "\"presence\":{\"enabled\":false}}}]");
    hear(c, CANARY_HERE, JOINED);
    assert_false(canary_wants_to_say(c, CANARY_HERE));
    canary_up(c, CANARY_THERE);
    skip_said(c, CANARY_THERE);
    assert_false(canary_wants_to_say(c, CANARY_THERE)); /* not joined yet */
    hear(c, CANARY_THERE, JOINED);
    skip_said(c, CANARY_THERE);
    hear(c, CANARY_THERE, "[null,null,\"realtime:canary\",\"broadcast\",{\"nonce\":\"" NONCE "\"}]"); /* an echo */
    assert_false(canary_wants_to_say(c, CANARY_HERE));

    hear(c, CANARY_HERE,
         "[null,null,\"realtime:canary\",\"broadcast\",{\"nonce\":\"ff112233445566778899aabbccddeeff\"}]");
    assert_false(canary_wants_to_say(c, CANARY_HERE)); /* another checker's */
    canary_hear(c, CANARY_HERE, binary, sizeof binary - 1, false);
    canary_hear(c, CANARY_HERE, rest, sizeof rest - 1, true);
    assert_int_equal(canary_outcome(c), CANARY_OPEN);
    expect_said(c, CANARY_HERE, 0, "[\"2\",\"4\",\"realtime:canary\",\"phx_leave\",{}]");
    expect_said(c, CANARY_THERE, 0, "[\"2\",\"4\",\"realtime:canary\",\"phx_leave\",{}]");
    assert_int_equal(canary_outcome(c), CANARY_CROSSED);
    canary_destroy(&c);
}

static void test_tells_whose_fault_a_refusal_is(void **state)
{
    struct canary *c = begin();

    (void)state;
    canary_up(c, CANARY_HERE);
    skip_said(c, CANARY_HERE);
    hear(c, CANARY_HERE, REFUSED);
    assert_int_equal(canary_outcome(c), CANARY_REFUSED);
    canary_destroy(&c);

    c = begin();
    canary_up(c, CANARY_THERE);
    skip_said(c, CANARY_THERE);
    hear(c, CANARY_THERE, REFUSED);
    assert_int_equal(canary_outcome(c), CANARY_UNKNOWN);
    canary_destroy(&c);

    c = sent(0);
    canary_lost(c); /* before it could pass the broadcast on, or without ever doing so */
    assert_int_equal(canary_outcome(c), CANARY_UNKNOWN);
    hear(c, CANARY_HERE, NONCE); /* it did */
    skip_said(c, CANARY_HERE);
    assert_int_equal(canary_outcome(c), CANARY_CROSSED);
    canary_destroy(&c);
}

static void test_judges_by_the_time_there_was(void **state)
{
    struct canary *c = begin();

    (void)state;
    canary_up(c, CANARY_HERE);
    skip_said(c, CANARY_HERE);
    assert_int_equal(canary_expire(c, 1000, 1000), CANARY_OPEN); /* the join itself is late */
    hear(c, CANARY_HERE, JOINED);
    assert_int_equal(canary_expire(c, 1000, 1000), CANARY_UNKNOWN); /* the peer is */
    canary_destroy(&c);

    c = sent(501);
    assert_int_equal(canary_expire(c, 1000, 1000), CANARY_UNKNOWN); /* sent too late to tell */
    assert_int_equal(canary_expire(c, 1001, 1000), CANARY_REFUSED);
    hear(c, CANARY_HERE, NONCE);
    assert_int_equal(canary_expire(c, 1001, 1000), CANARY_CROSSED);
    canary_destroy(&c);
}

static void test_topics_are_escaped(void **state)
{
    struct canary *c = canary_create("a\"b\\c", random_bytes);

    (void)state;
    canary_up(c, CANARY_HERE);
    skip_said(c, CANARY_HERE);
    hear(c, CANARY_HERE, JOINED);
    canary_up(c, CANARY_THERE);
    skip_said(c, CANARY_THERE);
    hear(c, CANARY_THERE, JOINED);
    skip_said(c, CANARY_THERE);
    hear(c, CANARY_HERE, NONCE);
    expect_said(c, CANARY_HERE, 0, "[\"2\",\"4\",\"a\\\"b\\\\c\",\"phx_leave\",{}]");
    canary_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crosses_and_says_good_bye),
        cmocka_unit_test(test_tells_whose_fault_a_refusal_is),
        cmocka_unit_test(test_judges_by_the_time_there_was),
        cmocka_unit_test(test_topics_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
