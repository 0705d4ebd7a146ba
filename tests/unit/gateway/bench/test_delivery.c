/* Who is owed what, and who has had it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/bench/delivery.h"

/* Five connections in groups of two, two channels each, all open. */
static int begin(void **state)
{
    struct delivery *d = delivery_create(5, 2, 2);
    for (uint32_t i = 0; i < 5; i++)
        delivery_open(d, i);
    *state = d;
    return 0;
}

static int end(void **state)
{
    struct delivery *d = *state;
    delivery_destroy(&d);
    return 0;
}

static void groups_have_topics_of_their_own(void **state)
{
    struct delivery *d = *state;
    assert_int_equal(delivery_topic_count(d), 6);
    assert_int_equal(delivery_topic(d, 0, 0), 0);
    assert_int_equal(delivery_topic(d, 1, 1), 1);
    assert_int_equal(delivery_topic(d, 2, 0), 2);
    assert_int_equal(delivery_topic(d, 4, 1), 5);
}

static void each_member_is_owed_each_message_once(void **state)
{
    struct delivery *d = *state;
    uint32_t owed;
    assert_int_equal(delivery_say(d, 0, 1, true, &owed), 1);
    assert_int_equal(owed, 2);
    assert_int_equal(delivery_say(d, 1, 1, false, &owed), 2);
    assert_int_equal(owed, 1);
    assert_int_equal(delivery_say(d, 4, 1, false, &owed), 1);
    assert_int_equal(owed, 0); /* alone in its group */
    assert_int_equal(delivery_hear(d, 1, 1, 1), DELIVERY_FIRST);
    assert_int_equal(delivery_hear(d, 1, 1, 1), DELIVERY_AGAIN);
    assert_int_equal(delivery_hear(d, 0, 1, 1), DELIVERY_FIRST);
}

static void what_is_not_owed_does_not_count(void **state)
{
    struct delivery *d = *state;
    uint32_t owed;
    (void)delivery_say(d, 0, 0, true, &owed);
    assert_int_equal(delivery_hear(d, 2, 0, 1), DELIVERY_NONE); /* another group */
    assert_int_equal(delivery_hear(d, 0, 1, 1), DELIVERY_NONE); /* nothing was said on that channel */
    assert_int_equal(delivery_hear(d, 0, 0, 2), DELIVERY_NONE); /* never said */
    assert_int_equal(delivery_hear(d, 0, 0, 0), DELIVERY_NONE);
    assert_int_equal(delivery_hear(d, 0, UINT64_MAX, 1), DELIVERY_NONE);
}

static void messages_may_overtake_each_other(void **state)
{
    struct delivery *d = *state;
    uint32_t owed;
    for (int i = 0; i < 200; i++)
        (void)delivery_say(d, 0, 0, true, &owed);
    assert_int_equal(delivery_hear(d, 1, 0, 3), DELIVERY_FIRST);
    assert_int_equal(delivery_hear(d, 1, 0, 1), DELIVERY_FIRST);
    assert_int_equal(delivery_hear(d, 1, 0, 2), DELIVERY_FIRST);
    assert_int_equal(delivery_hear(d, 1, 0, 2), DELIVERY_AGAIN);
    assert_int_equal(delivery_hear(d, 1, 0, 66), DELIVERY_FIRST);
    assert_int_equal(delivery_hear(d, 1, 0, 3), DELIVERY_AGAIN);
    assert_int_equal(delivery_hear(d, 1, 0, 4), DELIVERY_FIRST);
    assert_int_equal(delivery_hear(d, 1, 0, 200), DELIVERY_FIRST);
    assert_int_equal(delivery_hear(d, 1, 0, 199), DELIVERY_FIRST);
    assert_int_equal(delivery_hear(d, 1, 0, 136), DELIVERY_AGAIN); /* too far behind to tell */
}

static void who_comes_later_is_owed_what_is_said_from_then_on(void **state)
{
    struct delivery *d = *state;
    uint32_t owed;
    delivery_gone(d, 1);
    delivery_gone(d, 1); /* once more is nothing */
    assert_int_equal(delivery_say(d, 0, 0, true, &owed), 1);
    assert_int_equal(owed, 1);
    assert_int_equal(delivery_hear(d, 1, 0, 1), DELIVERY_NONE);
    delivery_open(d, 1);
    assert_int_equal(delivery_hear(d, 1, 0, 1), DELIVERY_NONE); /* said before it came */
    assert_int_equal(delivery_say(d, 0, 0, true, &owed), 2);
    assert_int_equal(owed, 2);
    assert_int_equal(delivery_hear(d, 1, 0, 2), DELIVERY_FIRST);
    assert_int_equal(delivery_hear(d, 1, 0, 2), DELIVERY_AGAIN);
}

static void groups_members_and_channels_take_turns(void **state)
{
    struct delivery *d = *state;
    static const struct {
        uint32_t connection, channel;
    } turns[] = {{0, 0}, {2, 0}, {4, 0}, {1, 0}, {3, 0}, {4, 1}, {0, 1}, {2, 1}, {4, 0}, {1, 1}};
    for (uint64_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
        uint32_t channel;
        assert_int_equal(delivery_speaker(d, i, &channel), turns[i].connection);
        assert_int_equal(channel, turns[i].channel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(groups_have_topics_of_their_own, begin, end),
        cmocka_unit_test_setup_teardown(each_member_is_owed_each_message_once, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_owed_does_not_count, begin, end),
        cmocka_unit_test_setup_teardown(messages_may_overtake_each_other, begin, end),
        cmocka_unit_test_setup_teardown(who_comes_later_is_owed_what_is_said_from_then_on, begin, end),
        cmocka_unit_test_setup_teardown(groups_members_and_channels_take_turns, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
