/* Choices as the checker leaves them and others find them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "health/steering.h"

static const char *us[] = {"192.0.2.10"};
static const char *eu[] = {"198.51.100.10"};

static void test_a_reader_finds_what_was_stored(void **state)
{
    (void)state;
    static struct health_table t;
    health_table_init(&t);
    uint32_t seen = steering_sequence(&t.steering);
    struct steering_record r = {
        .term = 3, .version = 7, .serial = 42, .row_count = 1, .rows = {{.id = 9, .chosen = 2}}};
    steering_store(&t.steering, &r);
    assert_int_not_equal(steering_sequence(&t.steering), seen);
    struct steering_record found;
    assert_true(steering_load(&t.steering, &found));
    assert_int_equal(found.serial, 42);
    assert_int_equal(steering_find(&found, 9)->chosen, 2);
    assert_null(steering_find(&found, 8));
}

static void test_a_record_half_written_is_not_read(void **state)
{
    (void)state;
    static struct health_table t;
    health_table_init(&t);
    steering_store(&t.steering, &(struct steering_record){.serial = 1});
    atomic_fetch_add(&t.steering.record_sequence, 1); /* the writer died in the middle */
    struct steering_record found;
    assert_false(steering_load(&t.steering, &found));
    assert_int_equal(found.serial, 0);
    steering_store(&t.steering, &(struct steering_record){.serial = 2});
    assert_true(steering_load(&t.steering, &found));
    assert_int_equal(found.serial, 2);
}

/* Whatever stands in shared memory, readers stay within their arrays. */
static void test_counts_are_kept_in_bounds(void **state)
{
    (void)state;
    static struct health_table t;
    static struct steering_fleet fleet;
    struct steering_record record;
    health_table_init(&t);
    t.steering.record.row_count = UINT32_MAX;
    t.steering.fleet.peer_count = UINT32_MAX;
    memset(t.steering.fleet.peers[0].node, 'x', sizeof t.steering.fleet.peers[0].node);
    assert_true(steering_load(&t.steering, &record));
    assert_int_equal(record.row_count, CONF_DNS_STEERED_MAX);
    assert_true(steering_load_fleet(&t.steering, &fleet));
    assert_int_equal(fleet.peer_count, STEERING_PEERS_MAX);
    assert_int_equal(strlen(fleet.peers[0].node), STEERING_NODE_BYTES - 1);
}

static void test_a_record_is_known_by_its_name_and_answers(void **state)
{
    (void)state;
    struct conf_dns_answer answers[2] = {{.target = "targets/us", .a = us, .a_count = 1, .cname = ""},
                                         {.target = "targets/eu", .a = eu, .a_count = 1, .cname = ""}};
    struct conf_dns_record r = {.name = "@", .answers = answers, .answer_count = 2};
    const uint64_t id = steering_id(&r);
    assert_int_equal(steering_id(&r), id);
    r.ttl_min_ms = 5000; /* says nothing about which bit stands for what */
    assert_int_equal(steering_id(&r), id);

    r.name = "www";
    assert_int_not_equal(steering_id(&r), id);
    r.name = "@";
    r.answer_count = 1;
    assert_int_not_equal(steering_id(&r), id);
    r.answer_count = 2;
    answers[0].a = eu;
    assert_int_not_equal(steering_id(&r), id);
    answers[0].a = us;
    const struct conf_dns_answer first = answers[0];
    answers[0] = answers[1];
    answers[1] = first;
    assert_int_not_equal(steering_id(&r), id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_finds_what_was_stored),
        cmocka_unit_test(test_a_record_half_written_is_not_read),
        cmocka_unit_test(test_counts_are_kept_in_bounds),
        cmocka_unit_test(test_a_record_is_known_by_its_name_and_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
