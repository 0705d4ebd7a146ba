/* Nodes of a cluster that send us round in circles, to nobody, or tell nonsense: each lookup ends once and in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/l2_job.h"
#include "cache/l2_slots.h"
#include "tests/unit/cache/fake_node.h"
#include "tests/unit/cache/l2_world.h"

struct fixture {
    struct world world;
    struct fake_node node[2];
    char said[256];
    const char *map;  /* what CLUSTER SLOTS gets instead of the real one */
    const char *plea; /* MOVED, ASK: what a GET gets; NULL: its value */
    uint16_t to[2];   /* the port each node sends to */
    uint32_t asking_count;
};

/* One range for all: node 0 has it. */
static const char *answer(void *arg, struct fake_node *n, const struct l2_reply *command)
{
    struct fixture *f = arg;
    const bool is_second = n == &f->node[1];
    if (fake_is(command, "CLUSTER") && f->map && !is_second)
        return f->map;
    if (fake_is(command, "CLUSTER")) {
        (void)snprintf(f->said, sizeof f->said, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n",
                       (unsigned)f->node[0].port);
        return f->said;
    }
    if (fake_is(command, "ASKING")) {
        f->asking_count++;
        return "+OK\r\n";
    }
    if (!fake_is(command, "GET"))
        return "-ERR unknown command\r\n";
    if (!f->plea || f->to[is_second] == 0)
        return "$4\r\ntext\r\n";
    struct l2_redis_key name;
    l2_redis_key(f->world.l2, L2_NAME_ENTRY, "key", 3, &name);
    (void)snprintf(f->said, sizeof f->said, "-%s %u 127.0.0.1:%u\r\n", f->plea,
                   (unsigned)l2_slot_of(name.text, name.len), (unsigned)f->to[is_second]);
    return f->said;
}

static void on_done(struct l2_job *j, enum err e, struct l2_reply *const *replies)
{
    struct world *w = j->arg;
    w->answer_count++;
    w->last = e != ERR_NONE ? e : l2_fault_err(l2_reply_fault(replies[0]));
    (void)snprintf(w->text, sizeof w->text, "%s", e == ERR_NONE ? replies[0]->text : "");
}

/* A lookup below the gate of l2_is_ready(), for these nodes have no purge log. */
static enum err look_up(struct world *w)
{
    struct l2_args get = {0};
    struct l2_job *j = l2_job_create(w->l2, L2_NAME_ENTRY, "key", 3);
    l2_args_text(&get, "GET");
    l2_args_bytes(&get, j->key.text, j->key.len);
    l2_job_add(j, &get);
    j->on_done = on_done;
    j->arg = w;
    uint32_t before = w->answer_count;
    if (!l2_job_send(j))
        return ERR_AGAIN;
    WORLD_AWAIT(w, w->answer_count != before);
    assert_int_equal(w->answer_count, before + 1);
    return w->last;
}

static int setup(void **state)
{
    char redis[200];
    struct fixture *f = mem_alloc(sizeof *f);
    *state = f;
    world_init(&f->world);
    for (int i = 0; i < 2; i++) {
        fake_start(&f->node[i], f->world.loop);
        f->node[i].answer = answer;
        f->node[i].arg = f;
    }
    (void)snprintf(redis, sizeof redis,
                   "mode: cluster, url: 'redis://127.0.0.1:%u', nodes: ['127.0.0.1:%u'], timeout: 500ms",
                   (unsigned)f->node[0].port, (unsigned)f->node[1].port);
    world_conf(&f->world, redis);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++)
        fake_stop(&f->node[i]);
    world_fini(&f->world);
    mem_free(f);
    return 0;
}

static void a_lookup_sent_in_circles_ends(void **state)
{
    struct fixture *f = *state;
    WORLD_AWAIT(&f->world, look_up(&f->world) == ERR_NONE);
    f->plea = "MOVED";
    f->to[0] = f->node[1].port;
    f->to[1] = f->node[0].port;
    uint32_t before = f->node[0].command_count + f->node[1].command_count;
    assert_int_equal(look_up(&f->world), ERR_UNREACHABLE);
    assert_in_range(f->node[0].command_count + f->node[1].command_count - before, 2, 8);
    f->plea = NULL;
    assert_int_equal(look_up(&f->world), ERR_NONE);
}

static void a_question_passed_on_is_asked_there_once(void **state)
{
    struct fixture *f = *state;
    WORLD_AWAIT(&f->world, look_up(&f->world) == ERR_NONE);
    f->plea = "ASK";
    f->to[0] = f->node[1].port;
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(look_up(&f->world), ERR_NONE);
        assert_string_equal(f->world.text, "text");
        assert_int_equal(f->asking_count, i); /* the slot has not moved: the next one begins where it did */
    }
}

static void a_lookup_sent_to_nobody_ends(void **state)
{
    struct fixture *f = *state;
    WORLD_AWAIT(&f->world, look_up(&f->world) == ERR_NONE);
    f->plea = "ASK";
    f->to[0] = 1; /* nobody listens there */
    assert_int_equal(look_up(&f->world), ERR_UNREACHABLE);
    f->plea = "MOVED";
    assert_int_equal(look_up(&f->world), ERR_UNREACHABLE);
    /* Nobody has the slot now; the map that is asked for puts that right. */
    f->plea = NULL;
    WORLD_AWAIT(&f->world, look_up(&f->world) == ERR_NONE);
}

static void a_slot_that_was_not_asked_for_is_not_moved(void **state)
{
    struct fixture *f = *state;
    WORLD_AWAIT(&f->world, look_up(&f->world) == ERR_NONE);
    f->plea = "MOVED 1"; /* of slot 1, and something that is no address */
    f->to[0] = f->node[1].port;
    assert_int_equal(look_up(&f->world), ERR_UNREACHABLE);
    f->plea = NULL;
    uint32_t before = f->node[0].command_count;
    assert_int_equal(look_up(&f->world), ERR_NONE);
    assert_true(f->node[0].command_count > before);
}

static void a_node_that_tells_nonsense_is_left_for_another(void **state)
{
    static const char *const maps[] = {"-ERR This instance has cluster support disabled\r\n", "*0\r\n", "+OK\r\n",
                                       "*1\r\n*3\r\n:9\r\n:5\r\n*2\r\n$1\r\nh\r\n:7\r\n"};
    struct fixture *f = *state;
    char redis[200];
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        f->map = maps[i];
        (void)snprintf(
            redis, sizeof redis,
            "prefix: p%zu, mode: cluster, url: 'redis://127.0.0.1:%u', nodes: ['127.0.0.1:%u'], timeout: 500ms", i,
            (unsigned)f->node[0].port, (unsigned)f->node[1].port);
        world_conf(&f->world, redis); /* begins anew */
        assert_int_equal(look_up(&f->world), ERR_AGAIN);
        WORLD_AWAIT(&f->world, look_up(&f->world) == ERR_NONE);
    }
}

static void who_destroys_l2_is_called_back_by_nobody(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    WORLD_AWAIT(w, look_up(w) == ERR_NONE);
    struct l2_args get = {0};
    struct l2_job *j = l2_job_create(w->l2, L2_NAME_ENTRY, "key", 3);
    l2_args_text(&get, "GET");
    l2_args_bytes(&get, j->key.text, j->key.len);
    l2_job_add(j, &get);
    j->on_done = on_done;
    j->arg = w;
    uint32_t before = w->answer_count;
    assert_true(l2_job_send(j));
    static const struct l2_ops ops = {.on_purge = world_on_purge, .on_reach = world_on_reach, .on_lost = world_on_lost};
    l2_destroy(&w->l2);
    w->l2 = l2_create(w->net, &ops, w);
    for (int i = 0; i < 5; i++)
        loop_run_once(w->loop, true);
    assert_int_equal(w->answer_count, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lookup_sent_in_circles_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_question_passed_on_is_asked_there_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lookup_sent_to_nobody_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slot_that_was_not_asked_for_is_not_moved, setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_tells_nonsense_is_left_for_another, setup, teardown),
        cmocka_unit_test_setup_teardown(who_destroys_l2_is_called_back_by_nobody, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
