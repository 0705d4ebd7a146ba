/* Sentinels that name the wrong node, none, or say nothing, and nodes that are not what they are taken for: who is used
 * is a master by its own word, and trouble is asked about at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/replay/fake_redis.h"

struct fixture {
    struct world world;
    struct fake_redis sentinel[2];
    const char *says[2]; /* what each says instead; "": nothing; NULL: where the node it names is */
    int names[2];        /* which node each names */
    struct fake_redis node[2];
    const char *role[2]; /* of the nodes; NULL: ROLE is not allowed */
    const char *refusal; /* what a GET gets; NULL: its value */
};

static void answer_as_sentinel(void *arg, struct fake_redis *n, const struct l2_reply *command,
                               char said[FAKE_SAID_BYTES])
{
    struct fixture *f = arg;
    const size_t i = (size_t)(n - f->sentinel);
    assert_true(fake_is(command, "SENTINEL") && command->len == 3 && l2_reply_is_text(command->elements[2], "tide"));
    if (f->says[i])
        (void)snprintf(said, FAKE_SAID_BYTES, "%s", f->says[i]);
    else
        (void)snprintf(said, FAKE_SAID_BYTES, "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%05u\r\n",
                       (unsigned)f->node[f->names[i]].port);
}

static void answer_as_node(void *arg, struct fake_redis *n, const struct l2_reply *command, char said[FAKE_SAID_BYTES])
{
    struct fixture *f = arg;
    const size_t i = (size_t)(n - f->node);
    if (fake_is(command, "ROLE") && f->role[i])
        (void)snprintf(said, FAKE_SAID_BYTES, "*3\r\n$%zu\r\n%s\r\n:0\r\n*0\r\n", strlen(f->role[i]), f->role[i]);
    else if (fake_is(command, "ROLE"))
        (void)snprintf(said, FAKE_SAID_BYTES, "-NOPERM this user has no permissions to run the 'role' command\r\n");
    else if (!fake_is(command, "GET"))
        (void)snprintf(said, FAKE_SAID_BYTES, "-ERR unknown command\r\n");
    else if (f->refusal)
        (void)snprintf(said, FAKE_SAID_BYTES, "%s", f->refusal);
    else
        (void)snprintf(said, FAKE_SAID_BYTES, "$6\r\nnode-%zu\r\n", i);
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    *state = f;
    world_init(&f->world);
    for (int i = 0; i < 2; i++) {
        fake_start(&f->sentinel[i], f->world.loop);
        fake_start(&f->node[i], f->world.loop);
        f->sentinel[i].answer = answer_as_sentinel;
        f->node[i].answer = answer_as_node;
        f->sentinel[i].arg = f->node[i].arg = f;
        f->role[i] = "master";
    }
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        fake_stop(&f->sentinel[i]);
        fake_stop(&f->node[i]);
    }
    world_fini(&f->world);
    mem_free(f);
    return 0;
}

/* `more`: further keys. */
static void begin(struct fixture *f, const char *more)
{
    char redis[300];
    (void)snprintf(redis, sizeof redis,
                   "mode: sentinel, master: tide, url: 'redis://127.0.0.1:%u', nodes: ['127.0.0.1:%u'], "
                   "timeout: 500ms, connect_timeout: 1s%s",
                   (unsigned)f->sentinel[0].port, (unsigned)f->sentinel[1].port, more);
    world_conf(&f->world, redis);
}

static void expect_node(struct fixture *f, const char *text)
{
    assert_int_equal(fake_look_up(&f->world), ERR_NONE);
    assert_string_equal(f->world.text, text);
}

static void one_sentinel_is_asked_once_a_second(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    sim_advance(f->world.loop, 500);
    expect_node(f, "node-0");
    uint32_t before = f->sentinel[0].command_count;
    sim_advance(f->world.loop, 10000);
    assert_in_range(f->sentinel[0].command_count - before, 9, 11);
    assert_int_equal(f->sentinel[1].command_count, 0);
}

static void a_master_that_moves_is_followed(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    sim_advance(f->world.loop, 500);
    expect_node(f, "node-0");
    f->names[0] = 1; /* the old one goes on as before */
    sim_advance(f->world.loop, 1100);
    expect_node(f, "node-1");
}

static void a_lost_master_is_asked_about_at_once(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    sim_advance(f->world.loop, 500);
    expect_node(f, "node-0");
    sim_advance(f->world.loop, 700); /* between two regular questions */
    f->names[0] = 1;
    fake_stop(&f->node[0]);
    sim_advance(f->world.loop, 250);
    expect_node(f, "node-1");
}

static void a_replica_is_not_used_until_it_is_the_master(void **state)
{
    struct fixture *f = *state;
    f->role[0] = "slave";
    begin(f, "");
    sim_advance(f->world.loop, 2000);
    assert_int_equal(fake_look_up(&f->world), ERR_AGAIN);
    f->role[0] = "master";
    sim_advance(f->world.loop, 250);
    expect_node(f, "node-0");
}

static void who_refuses_a_write_is_used_again_when_it_is_the_master(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    sim_advance(f->world.loop, 500);
    expect_node(f, "node-0");
    f->refusal = "-READONLY You can't write against a read only replica.\r\n";
    f->role[0] = "slave";
    assert_int_equal(fake_look_up(&f->world), ERR_UNREACHABLE);
    assert_int_equal(fake_look_up(&f->world), ERR_AGAIN);
    sim_advance(f->world.loop, 1000);
    assert_int_equal(fake_look_up(&f->world), ERR_AGAIN);
    f->refusal = NULL;
    f->role[0] = "master";
    sim_advance(f->world.loop, 250);
    expect_node(f, "node-0");
}

static void who_may_not_ask_for_the_role_believes_the_sentinels(void **state)
{
    struct fixture *f = *state;
    f->role[0] = NULL;
    begin(f, "");
    sim_advance(f->world.loop, 500);
    expect_node(f, "node-0");
}

static void a_sentinel_behind_the_times_is_left_for_the_next(void **state)
{
    struct fixture *f = *state;
    f->role[0] = "slave";
    f->names[1] = 1;
    begin(f, "");
    sim_advance(f->world.loop, 2500);
    assert_int_equal(f->sentinel[1].command_count, 0);
    sim_advance(f->world.loop, 2500);
    expect_node(f, "node-1");
}

static void a_sentinel_that_tells_nonsense_or_nothing_is_left_for_the_next(void **state)
{
    static const char *const says[] = {
        "*-1\r\n",
        "$-1\r\n",
        "-IDONTKNOW No such master\r\n",
        ":1\r\n",
        "+OK\r\n",
        "*0\r\n",
        "*1\r\n$9\r\n127.0.0.1\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n:6379\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n",
        "*2\r\n$0\r\n\r\n$4\r\n6379\r\n",
        "*2\r\n*0\r\n*0\r\n",
        "", /* it hangs */
    };
    struct fixture *f = *state;
    char more[32];
    f->names[1] = 1;
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        f->says[0] = says[i];
        (void)snprintf(more, sizeof more, ", prefix: p%zu", i); /* begins anew */
        begin(f, more);
        sim_advance(f->world.loop, 50);
        assert_int_equal(fake_look_up(&f->world), ERR_AGAIN);
        sim_advance(f->world.loop, 2000);
        expect_node(f, "node-1");
    }
}

static void the_master_is_used_while_no_sentinel_can_be_asked(void **state)
{
    struct fixture *f = *state;
    begin(f, "");
    sim_advance(f->world.loop, 500);
    expect_node(f, "node-0");
    fake_stop(&f->sentinel[0]);
    fake_stop(&f->sentinel[1]);
    for (int i = 0; i < 10; i++) {
        sim_advance(f->world.loop, 1000);
        expect_node(f, "node-0");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_sentinel_is_asked_once_a_second),
        TEST(a_master_that_moves_is_followed),
        TEST(a_lost_master_is_asked_about_at_once),
        TEST(a_replica_is_not_used_until_it_is_the_master),
        TEST(who_refuses_a_write_is_used_again_when_it_is_the_master),
        TEST(who_may_not_ask_for_the_role_believes_the_sentinels),
        TEST(a_sentinel_behind_the_times_is_left_for_the_next),
        TEST(a_sentinel_that_tells_nonsense_or_nothing_is_left_for_the_next),
        TEST(the_master_is_used_while_no_sentinel_can_be_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
