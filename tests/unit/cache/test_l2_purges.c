/* The purge log in a real Redis: what each reader is told, and that nothing is missed without its being said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/cache/l2_world.h"
#include "tests/unit/cache/redis_nodes.h"

#define LOG "tidegate:purges"

struct fixture {
    struct world w;
    struct redis_node redis;
};

static void start(struct world *w, const struct redis_node *n)
{
    char text[256];
    (void)snprintf(text, sizeof text, "url: 'redis://127.0.0.1:%u', timeout: 5s", (unsigned)n->port);
    world_conf(w, text);
}

static void connect_to(struct world *w, const struct redis_node *n)
{
    start(w, n);
    WORLD_AWAIT(w, l2_is_ready(w->l2));
}

/* The same place again, empty. */
static void restart_empty(struct redis_node *n)
{
    char port[8];
    const char *const argv[] = {"redis-server", "--port", port,    "--bind", "127.0.0.1",
                                "--save",       "",       "--dir", n->dir,   NULL};
    (void)snprintf(port, sizeof port, "%u", (unsigned)n->port);
    node_kill(n);
    assert_true(node_spawn(n, argv, "Ready to accept connections"));
}

static void add(struct redis_node *n, const char *id, const char *kind, const char *text)
{
    redisReply *r = node_ask(n, "XADD " LOG " %s kind %s soft 0 text %s", id, kind, text);
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    freeReplyObject(r);
}

static long long log_length(struct redis_node *n)
{
    redisReply *r = node_ask(n, "XLEN " LOG);
    const long long count = r->integer;
    freeReplyObject(r);
    return count;
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    node_start(&f->redis, NULL);
    world_init(&f->w);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    world_fini(&f->w);
    node_stop(&f->redis);
    mem_free(f);
    return 0;
}

static void an_empty_log_is_given_a_record_to_hold_on_to(void **state)
{
    struct fixture *f = *state;
    connect_to(&f->w, &f->redis);
    assert_int_equal(log_length(&f->redis), 1);
    assert_string_equal(f->w.told, "lost reach");
    assert_true(f->w.lost_ms == f->w.reach_ms && f->w.lost_seq == f->w.reach_seq);
}

static void who_comes_later_is_told_all_that_is_there_and_trusts_nothing_older(void **state)
{
    struct fixture *f = *state;
    add(&f->redis, "5-1", "tag", "cars");
    add(&f->redis, "5-2", "nonsense", "x");
    add(&f->redis, "7-0", "prefix", "example.com/rest/");
    connect_to(&f->w, &f->redis);
    assert_string_equal(f->w.told, "lost purge:tag:cars purge:prefix:example.com/rest/ reach");
    assert_true(f->w.lost_ms == 5 && f->w.lost_seq == 1);
    assert_true(f->w.reach_ms == 7 && f->w.reach_seq == 0);
}

static void a_long_log_is_read_to_its_end_before_anything_is_used(void **state)
{
    struct fixture *f = *state;
    char id[24];
    for (unsigned i = 1; i <= 1000; i++) {
        (void)snprintf(id, sizeof id, "%u-0", i);
        add(&f->redis, id, "tag", "cars");
    }
    connect_to(&f->w, &f->redis);
    assert_int_equal(f->w.purge_count, 1000);
    assert_true(f->w.lost_ms == 1 && f->w.reach_ms == 1000 && f->w.lost_count == 1);
}

static void a_purge_reaches_everybody_and_its_author_with_its_id(void **state)
{
    struct fixture *f = *state;
    struct world other;
    world_init(&other);
    connect_to(&f->w, &f->redis);
    connect_to(&other, &f->redis);
    assert_true(world_purge(&f->w, PURGE_URL, "example.com/rest/v1/cars?select=*", true));
    WORLD_AWAIT(&f->w, f->w.purge_count == 1);
    WORLD_AWAIT(&other, other.purge_count == 1);
    assert_string_equal(other.purge.text, "example.com/rest/v1/cars?select=*");
    assert_int_equal(other.purge.kind, PURGE_URL);
    assert_int_equal(other.purge.is_soft, 1);
    assert_true(other.purge.id == 0x1d00 && f->w.purge.id == 0x1d00);
    WORLD_AWAIT(&other, other.reach_ms == f->w.reach_ms && other.reach_seq == f->w.reach_seq);
    world_fini(&other);
}

static void records_that_are_no_purges_are_skipped_and_reached(void **state)
{
    struct fixture *f = *state;
    connect_to(&f->w, &f->redis);
    add(&f->redis, "*", "url", "://");
    add(&f->redis, "*", "all", "with_a_text");
    freeReplyObject(node_ask(&f->redis, "XADD " LOG " * kind tag"));
    freeReplyObject(node_ask(&f->redis, "XADD " LOG " * a b"));
    freeReplyObject(node_ask(&f->redis, "XADD " LOG " * kind tag soft 0 text cars id 99999999999999999999999"));
    WORLD_AWAIT(&f->w, f->w.purge_count == 1);
    assert_true(f->w.purge.id == 0);
    assert_string_equal(f->w.purge.text, "cars");
    assert_true(l2_is_ready(f->w.l2));
}

static void purges_wait_while_redis_is_away_and_are_in_the_log_before_trust_begins(void **state)
{
    struct fixture *f = *state;
    connect_to(&f->w, &f->redis);
    node_kill(&f->redis);
    WORLD_AWAIT(&f->w, !l2_is_ready(f->w.l2));
    assert_false(world_purge(&f->w, PURGE_TAG, "cars", false));
    assert_false(world_purge(&f->w, PURGE_TAG, "boats", false));
    f->w.told[0] = '\0';
    const uint64_t reached_ms = f->w.reach_ms;
    restart_empty(&f->redis);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    /* Redis came back empty: continuity is lost, once, at the end of what is there now. */
    assert_int_equal(f->w.lost_count, 2);
    assert_non_null(strstr(f->w.told, "purge:tag:cars purge:tag:boats"));
    assert_non_null(strstr(f->w.told, "lost reach"));
    assert_true(f->w.lost_ms >= reached_ms);
    assert_true(f->w.lost_ms == f->w.reach_ms && f->w.lost_seq == f->w.reach_seq);
}

/* What is connected anew to the same log goes on where it was. */
static void a_connection_that_breaks_misses_nothing(void **state)
{
    struct fixture *f = *state;
    connect_to(&f->w, &f->redis);
    freeReplyObject(node_ask(&f->redis, "CLIENT KILL TYPE normal"));
    WORLD_AWAIT(&f->w, !l2_is_ready(f->w.l2));
    add(&f->redis, "*", "tag", "cars");
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    assert_string_equal(f->w.told, "lost reach purge:tag:cars reach");
}

static void a_log_that_is_gone_while_connected_is_noticed(void **state)
{
    struct fixture *f = *state;
    connect_to(&f->w, &f->redis);
    const uint64_t reached_ms = f->w.reach_ms;
    freeReplyObject(node_ask(&f->redis, "DEL " LOG)); /* as an eviction would */
    WORLD_AWAIT(&f->w, f->w.lost_count == 2);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    assert_true(f->w.lost_ms >= reached_ms);
    assert_int_equal(log_length(&f->redis), 1);
}

static void a_reader_whose_place_was_trimmed_away_says_so(void **state)
{
    struct fixture *f = *state;
    connect_to(&f->w, &f->redis);
    freeReplyObject(node_ask(&f->redis, "MULTI"));
    freeReplyObject(node_ask(&f->redis, "XADD " LOG " * kind tag soft 0 text cars"));
    freeReplyObject(node_ask(&f->redis, "XADD " LOG " MAXLEN 1 * kind tag soft 0 text boats"));
    freeReplyObject(node_ask(&f->redis, "EXEC"));
    WORLD_AWAIT(&f->w, f->w.lost_count == 2);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    assert_null(strstr(f->w.told, "cars"));
    assert_non_null(strstr(f->w.told, "purge:tag:boats lost reach"));
}

/* A failover to a machine whose clock lags: its ids would be older than what entries were stored at. */
static void positions_never_go_back(void **state)
{
    struct fixture *f = *state;
    add(&f->redis, "99999999999999-7", "tag", "cars");
    connect_to(&f->w, &f->redis);
    assert_true(f->w.reach_ms == UINT64_C(99999999999999));
    freeReplyObject(node_ask(&f->redis, "DEL " LOG));
    add(&f->redis, "1000-0", "tag", "boats");
    WORLD_AWAIT(&f->w, f->w.lost_count == 2);
    assert_true(f->w.lost_ms == UINT64_C(100000000000000));
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    assert_true(f->w.reach_ms == UINT64_C(100000000000000));
}

/* The same id, another record: a log that was replaced. */
static void another_record_under_the_same_id_is_another_log(void **state)
{
    struct fixture *f = *state;
    add(&f->redis, "1000-0", "tag", "cars");
    connect_to(&f->w, &f->redis);
    freeReplyObject(node_ask(&f->redis, "MULTI"));
    freeReplyObject(node_ask(&f->redis, "DEL " LOG));
    freeReplyObject(node_ask(&f->redis, "XADD " LOG " 1000-0 kind tag soft 0 text boats"));
    freeReplyObject(node_ask(&f->redis, "EXEC"));
    WORLD_AWAIT(&f->w, f->w.lost_count == 2);
    assert_non_null(strstr(f->w.told, "purge:tag:boats"));
}

static void a_value_of_another_type_under_the_log_keeps_l2_from_being_used(void **state)
{
    struct fixture *f = *state;
    struct l2_counts counts;
    NODE_TELL(&f->redis, "SET " LOG " garbage");
    start(&f->w, &f->redis);
    do {
        loop_run_once(f->w.loop, true);
        l2_counts(f->w.l2, &counts);
    } while (counts.failure_count == 0);
    assert_false(l2_is_ready(f->w.l2));
    freeReplyObject(node_ask(&f->redis, "DEL " LOG));
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
}

static void a_full_redis_is_asked_again(void **state)
{
    struct fixture *f = *state;
    struct l2_counts counts;
    connect_to(&f->w, &f->redis);
    NODE_TELL(&f->redis, "CONFIG SET maxmemory 1");
    assert_true(world_purge(&f->w, PURGE_TAG, "cars", false));
    do {
        loop_run_once(f->w.loop, true);
        l2_counts(f->w.l2, &counts);
    } while (counts.failure_count == 0);
    assert_int_equal(f->w.purge_count, 0);
    assert_true(l2_is_ready(f->w.l2)); /* what was caught up with stays so, and can be read */
    NODE_TELL(&f->redis, "CONFIG SET maxmemory 0");
    WORLD_AWAIT(&f->w, f->w.purge_count == 1);
}

static void too_many_waiting_purges_become_one_of_all(void **state)
{
    struct fixture *f = *state;
    node_kill(&f->redis);
    start(&f->w, &f->redis);
    for (unsigned i = 0; i <= L2_PURGES_WAITING; i++)
        assert_false(world_purge(&f->w, PURGE_TAG, i < L2_PURGES_WAITING ? "cars" : "boats", false));
    restart_empty(&f->redis);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    assert_string_equal(f->w.told, "lost purge:all: purge:tag:boats reach");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(an_empty_log_is_given_a_record_to_hold_on_to),
        CASE(who_comes_later_is_told_all_that_is_there_and_trusts_nothing_older),
        CASE(a_long_log_is_read_to_its_end_before_anything_is_used),
        CASE(a_purge_reaches_everybody_and_its_author_with_its_id),
        CASE(records_that_are_no_purges_are_skipped_and_reached),
        CASE(purges_wait_while_redis_is_away_and_are_in_the_log_before_trust_begins),
        CASE(a_connection_that_breaks_misses_nothing),
        CASE(a_log_that_is_gone_while_connected_is_noticed),
        CASE(a_reader_whose_place_was_trimmed_away_says_so),
        CASE(positions_never_go_back),
        CASE(another_record_under_the_same_id_is_another_log),
        CASE(a_value_of_another_type_under_the_log_keeps_l2_from_being_used),
        CASE(a_full_redis_is_asked_again),
        CASE(too_many_waiting_purges_become_one_of_all),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
