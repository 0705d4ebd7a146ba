/* Nodes of a cluster that send us round in circles, to nobody, tell nonsense or go away: each lookup ends once and in
 * time, and whoever can be found is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/l2_slots.h"
#include "tests/replay/fake_redis.h"

#define NODES      3
#define TIMEOUT_MS 500

struct fixture {
    struct world world;
    struct fake_redis node[NODES];
    struct fake_redis *owner; /* of all slots, as the maps have it */
    const char *nonsense;     /* what node 0 says to CLUSTER SLOTS instead; NULL: the map */
    const char *plea;         /* MOVED, ASK: what a GET gets; NULL: its value */
    uint32_t slot_off;        /* how far the slot it speaks of is from the one that was asked for */
    uint16_t to[NODES];       /* the port each node sends to; 0: nowhere, it answers */
    uint32_t asking_count, map_count;
};

static void answer(void *arg, struct fake_redis *n, const struct l2_reply *command, char said[FAKE_SAID_BYTES])
{
    struct fixture *f = arg;
    struct l2_redis_key name;
    const uint16_t to = f->to[n - f->node];
    l2_redis_key(f->world.l2, L2_NAME_ENTRY, "key", 3, &name);
    if (fake_is(command, "CLUSTER")) {
        f->map_count++;
        if (f->nonsense && n == &f->node[0])
            (void)snprintf(said, FAKE_SAID_BYTES, "%s", f->nonsense);
        else
            (void)snprintf(said, FAKE_SAID_BYTES, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n",
                           (unsigned)f->owner->port);
    } else if (fake_is(command, "ASKING")) {
        f->asking_count++;
        (void)snprintf(said, FAKE_SAID_BYTES, "+OK\r\n");
    } else if (!fake_is(command, "GET")) {
        (void)snprintf(said, FAKE_SAID_BYTES, "-ERR unknown command\r\n");
    } else if (f->plea && to != 0) {
        (void)snprintf(said, FAKE_SAID_BYTES, "-%s %u 127.0.0.1:%u\r\n", f->plea,
                       (unsigned)(l2_slot_of(name.text, name.len) + f->slot_off), (unsigned)to);
    } else {
        (void)snprintf(said, FAKE_SAID_BYTES, "$4\r\ntext\r\n");
    }
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    *state = f;
    world_init(&f->world);
    for (int i = 0; i < NODES; i++) {
        fake_start(&f->node[i], f->world.loop);
        f->node[i].answer = answer;
        f->node[i].arg = f;
    }
    f->owner = &f->node[0];
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < NODES; i++)
        fake_stop(&f->node[i]);
    world_fini(&f->world);
    mem_free(f);
    return 0;
}

/* Nodes 0 and 1 are in the configuration. `more`: further keys. */
static void begin(struct fixture *f, const char *more)
{
    char redis[200];
    (void)snprintf(redis, sizeof redis,
                   "mode: cluster, url: 'redis://127.0.0.1:%u', nodes: ['127.0.0.1:%u'], timeout: %dms%s",
                   (unsigned)f->node[0].port, (unsigned)f->node[1].port, TIMEOUT_MS, more);
    world_conf(&f->world, redis);
}

static void begin_well(struct fixture *f)
{
    begin(f, "");
    WORLD_AWAIT(&f->world, fake_look_up(&f->world) == ERR_NONE);
}

static void a_lookup_sent_in_circles_ends(void **state)
{
    struct fixture *f = *state;
    begin_well(f);
    f->plea = "MOVED";
    f->to[0] = f->node[1].port;
    f->to[1] = f->node[0].port;
    uint32_t before = f->node[0].command_count + f->node[1].command_count;
    assert_int_equal(fake_look_up(&f->world), ERR_UNREACHABLE);
    assert_in_range(f->node[0].command_count + f->node[1].command_count - before, 2, 8);
    f->plea = NULL;
    assert_int_equal(fake_look_up(&f->world), ERR_NONE);
}

static void the_map_is_asked_for_at_a_pace(void **state)
{
    struct fixture *f = *state;
    begin_well(f);
    uint32_t before = f->map_count;
    sim_advance(f->world.loop, 60000);
    assert_in_range(f->map_count - before, 5, 8); /* nothing is amiss */

    f->plea = "MOVED";
    f->to[0] = f->node[1].port;
    f->to[1] = f->node[0].port;
    before = f->map_count;
    for (int i = 0; i < 100; i++) {
        (void)fake_look_up(&f->world);
        sim_advance(f->world.loop, 20);
    }
    assert_in_range(f->map_count - before, 2, 6); /* two seconds in which every answer says that it is wrong */
}

static void a_question_passed_on_is_asked_there_once(void **state)
{
    struct fixture *f = *state;
    begin_well(f);
    f->plea = "ASK";
    f->to[0] = f->node[1].port;
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(fake_look_up(&f->world), ERR_NONE);
        assert_string_equal(f->world.text, "text");
        assert_int_equal(f->asking_count, i); /* the slot has not moved: the next one begins where it did */
    }
}

static void a_lookup_waits_for_a_node_that_is_new(void **state)
{
    struct fixture *f = *state;
    begin_well(f);
    f->plea = "ASK";
    f->to[0] = f->node[2].port;
    assert_int_equal(fake_client_count(&f->node[2]), 0);
    assert_int_equal(fake_look_up(&f->world), ERR_NONE);
    assert_int_equal(f->asking_count, 1);
    begin(f, ", prefix: other"); /* begins anew */
    f->plea = NULL;
    WORLD_AWAIT(&f->world, fake_look_up(&f->world) == ERR_NONE);
    assert_int_equal(fake_client_count(&f->node[2]), 0);
    f->plea = "MOVED";
    assert_int_equal(fake_look_up(&f->world), ERR_NONE);
    assert_int_equal(f->node[2].command_count, 1 + 1 + 1); /* ASKING, GET; GET */
}

static void a_lookup_that_waits_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    begin_well(f);
    fake_stop(&f->node[2]);
    f->plea = "ASK";
    f->to[0] = f->node[2].port;
    uint32_t before = f->world.answer_count;
    for (int i = 0; i < 2; i++) {
        assert_true(fake_ask(&f->world));
        sim_advance(f->world.loop, TIMEOUT_MS / 2);
        struct l2_job *j = LIST_ENTRY(f->world.l2->jobs.next, struct l2_job, link);
        assert_true(timer_is_active(&j->patience));
        if (i == 0) {
            l2_cancel(&j);
        } else { /* a new configuration ends it no later than it would have ended */
            begin(f, ", prefix: other");
        }
        sim_advance(f->world.loop, TIMEOUT_MS / 2);
        assert_int_equal(f->world.answer_count, before + (uint32_t)i);
    }
}

static void a_lookup_sent_to_nobody_ends(void **state)
{
    struct fixture *f = *state;
    begin_well(f);
    fake_stop(&f->node[2]);
    f->plea = "ASK";
    f->to[0] = f->node[2].port;
    int64_t began_ms = loop_now_ms(f->world.loop);
    assert_int_equal(fake_look_up(&f->world), ERR_TIMEOUT); /* it may yet be connected to until then */
    assert_int_equal(loop_now_ms(f->world.loop) - began_ms, TIMEOUT_MS);
    f->plea = "MOVED";
    assert_int_equal(fake_look_up(&f->world), ERR_TIMEOUT);
    /* Nobody has the slot now; the map that is asked for puts that right. */
    f->plea = NULL;
    assert_int_equal(fake_look_up(&f->world), ERR_AGAIN);
    sim_advance(f->world.loop, 600);
    assert_int_equal(fake_look_up(&f->world), ERR_NONE);
}

static void a_slot_that_was_not_asked_for_is_not_moved(void **state)
{
    struct fixture *f = *state;
    begin_well(f);
    f->plea = "MOVED";
    f->slot_off = 1;
    f->to[0] = f->node[1].port;
    uint32_t before = f->node[1].command_count;
    assert_int_equal(fake_look_up(&f->world), ERR_UNREACHABLE);
    assert_int_equal(f->node[1].command_count, before);
    f->plea = NULL;
    before = f->node[0].command_count;
    assert_int_equal(fake_look_up(&f->world), ERR_NONE);
    assert_int_equal(f->node[0].command_count, before + 1);
}

static void a_node_that_tells_nonsense_is_left_for_another(void **state)
{
    static const char *const nonsense[] = {"-ERR This instance has cluster support disabled\r\n", "*0\r\n", "+OK\r\n",
                                           "*1\r\n*3\r\n:9\r\n:5\r\n*2\r\n$1\r\nh\r\n:7\r\n", ""};
    struct fixture *f = *state;
    char more[32];
    f->owner = &f->node[2];
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        f->nonsense = nonsense[i];
        (void)snprintf(more, sizeof more, ", prefix: p%zu", i); /* begins anew */
        begin(f, more);
        assert_int_equal(fake_look_up(&f->world), ERR_AGAIN);
        sim_advance(f->world.loop, 2000);
        assert_int_equal(fake_look_up(&f->world), ERR_NONE);
    }
}

static void seeds_are_gone_back_to_when_all_masters_are_gone(void **state)
{
    struct fixture *f = *state;
    f->owner = &f->node[2];
    begin_well(f);
    sim_advance(f->world.loop, 30000);
    /* They are no masters: nobody talks to them any more. */
    assert_int_equal(fake_client_count(&f->node[0]), 0);
    assert_int_equal(fake_client_count(&f->node[1]), 0);

    /* The cluster has come up again elsewhere, as clusters of containers do. */
    fake_stop(&f->node[2]);
    fake_stop(&f->node[0]);
    f->owner = &f->node[1];
    sim_advance(f->world.loop, 3000);
    assert_int_equal(fake_look_up(&f->world), ERR_NONE);
    /* Who is on no map is forgotten, also by the one that tried to reach it. */
    sim_advance(f->world.loop, 30000);
    assert_int_equal(fake_look_up(&f->world), ERR_NONE);
}

static void who_destroys_l2_is_called_back_by_nobody(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    static const struct l2_ops ops = {.on_purge = world_on_purge, .on_reach = world_on_reach, .on_lost = world_on_lost};
    begin_well(f);
    uint32_t before = w->answer_count;
    assert_true(fake_ask(w));
    l2_destroy(&w->l2);
    w->l2 = l2_create(w->net, &ops, w);
    sim_advance(w->loop, 5000);
    assert_int_equal(w->answer_count, before);
}

static void another_configuration_ends_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    begin_well(f);
    uint32_t before = f->world.answer_count;
    assert_true(fake_ask(&f->world));
    begin(f, ", prefix: other");
    sim_advance(f->world.loop, 1000);
    assert_int_equal(f->world.answer_count, before + 1);
    assert_int_equal(f->world.last, ERR_CANCELLED);
    assert_int_equal(fake_look_up(&f->world), ERR_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lookup_sent_in_circles_ends),
        TEST(the_map_is_asked_for_at_a_pace),
        TEST(a_question_passed_on_is_asked_there_once),
        TEST(a_lookup_waits_for_a_node_that_is_new),
        TEST(a_lookup_that_waits_can_be_cancelled),
        TEST(a_lookup_sent_to_nobody_ends),
        TEST(a_slot_that_was_not_asked_for_is_not_moved),
        TEST(a_node_that_tells_nonsense_is_left_for_another),
        TEST(seeds_are_gone_back_to_when_all_masters_are_gone),
        TEST(who_destroys_l2_is_called_back_by_nobody),
        TEST(another_configuration_ends_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
