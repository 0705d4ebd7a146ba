/* L2 beside a real Redis: entries, leases, deadlines, the circuit, logging in, coming back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/l2_priv.h"
#include "tests/unit/cache/l2_world.h"
#include "tests/unit/cache/redis_nodes.h"

struct fixture {
    struct world w;
    struct redis_node redis;
    char conf[512];
};

/* Connected to `f->redis` with further keys, and ready. */
static void connect_with(struct fixture *f, const char *more)
{
    (void)snprintf(f->conf, sizeof f->conf, "url: 'redis://127.0.0.1:%u', %s", (unsigned)f->redis.port, more);
    world_conf(&f->w, f->conf);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
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

static long long number_of(struct redis_node *n, const char *command, const char *key, const char *rest)
{
    char text[512];
    (void)snprintf(text, sizeof text, "%s %s %s", command, key, rest);
    redisReply *r = node_ask(n, text);
    assert_int_equal(r->type, REDIS_REPLY_INTEGER);
    const long long number = r->integer;
    freeReplyObject(r);
    return number;
}

static void without_redis_nothing_is_asked(void **state)
{
    struct fixture *f = *state;
    world_conf(&f->w, "");
    assert_false(l2_is_ready(f->w.l2));
    assert_int_equal(world_get(&f->w, "key"), ERR_AGAIN);
    assert_int_equal(world_lease(&f->w, "key", 1000), ERR_AGAIN);
    assert_false(world_put(&f->w, "key", "text", 1000));
    assert_false(l2_release(f->w.l2, "key", 3));
    assert_false(world_purge(&f->w, PURGE_TAG, "cars", false));
}

static void what_is_put_is_got_with_the_time_it_has_left(void **state)
{
    struct fixture *f = *state;
    connect_with(f, "timeout: 5s");
    assert_int_equal(world_get(&f->w, "key"), ERR_NOT_FOUND);
    assert_true(world_put(&f->w, "key", "an entry", 60000));
    assert_int_equal(world_get(&f->w, "key"), ERR_NONE);
    assert_string_equal(f->w.text, "an entry");
    assert_in_range(f->w.left_ms, 50000, 60000);
    assert_true(l2_remove(f->w.l2, "key", 3));
    assert_int_equal(world_get(&f->w, "key"), ERR_NOT_FOUND);
}

static void a_lease_is_taken_once_and_released_by_its_owner_alone(void **state)
{
    struct fixture *f = *state;
    struct world other;
    world_init(&other);
    connect_with(f, "timeout: 5s");
    world_conf(&other, f->conf);
    WORLD_AWAIT(&other, l2_is_ready(other.l2));
    assert_int_equal(world_lease(&f->w, "key", 60000), ERR_NONE);
    assert_int_equal(world_lease(&other, "key", 60000), ERR_BUSY);
    assert_false(l2_release(other.l2, "key", 3)); /* it has none */
    assert_int_equal(world_lease(&other, "key", 60000), ERR_BUSY);
    assert_true(l2_release(f->w.l2, "key", 3));
    assert_int_equal(world_get(&f->w, "other"), ERR_NOT_FOUND);
    assert_int_equal(world_lease(&other, "key", 60000), ERR_NONE);
    assert_true(l2_release(other.l2, "key", 3));
    assert_int_equal(world_get(&other, "other"), ERR_NOT_FOUND);
    assert_int_equal(world_lease(&f->w, "key", 60000), ERR_NONE);
    world_fini(&other);
}

static void garbage_under_our_keys_is_no_entry(void **state)
{
    struct fixture *f = *state;
    struct l2_redis_key k;
    connect_with(f, "timeout: 5s");
    l2_redis_key(f->w.l2, L2_NAME_ENTRY, "key", 3, &k);
    assert_true(number_of(&f->redis, "LPUSH", k.text, "x") == 1);
    assert_int_equal(world_get(&f->w, "key"), ERR_INVALID);
    assert_true(world_put(&f->w, "key", "an entry", 60000)); /* takes its place */
    assert_int_equal(world_get(&f->w, "key"), ERR_NONE);
    NODE_TELL(&f->redis, "SET %s forever", k.text);
    assert_int_equal(world_get(&f->w, "key"), ERR_NONE);
    assert_int_equal(f->w.left_ms, -1);
    (void)number_of(&f->redis, "SETRANGE", k.text, "8000000 x"); /* larger than any entry */
    assert_int_equal(world_get(&f->w, "key"), ERR_LIMIT);
    assert_true(l2_is_ready(f->w.l2));
}

static void a_full_redis_still_answers(void **state)
{
    struct fixture *f = *state;
    struct l2_counts counts;
    connect_with(f, "timeout: 5s");
    assert_true(world_put(&f->w, "key", "an entry", 60000));
    assert_int_equal(world_get(&f->w, "key"), ERR_NONE);
    NODE_TELL(&f->redis, "CONFIG SET maxmemory 1");
    assert_true(world_put(&f->w, "other", "an entry", 60000)); /* sent, and refused */
    assert_int_equal(world_lease(&f->w, "other", 1000), ERR_FULL);
    assert_int_equal(world_get(&f->w, "other"), ERR_NOT_FOUND);
    assert_int_equal(world_get(&f->w, "key"), ERR_NONE);
    l2_counts(f->w.l2, &counts);
    assert_int_equal(counts.failure_count, 2);
    assert_true(l2_is_ready(f->w.l2));
}

/* SIGSTOP: connections stay, the kernel goes on accepting, nothing is answered. */
static void a_hung_redis_is_given_up_and_found_again(void **state)
{
    struct fixture *f = *state;
    connect_with(f, "timeout: 300ms, connect_timeout: 300ms, circuit: {failures: 2, open: 50ms}");
    assert_true(world_put(&f->w, "key", "an entry", 60000));
    assert_int_equal(world_get(&f->w, "key"), ERR_NONE);
    assert_int_equal(kill(f->redis.pid, SIGSTOP), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(world_get(&f->w, "key"), ERR_TIMEOUT);
    assert_int_equal(world_get(&f->w, "key"), ERR_AGAIN);
    assert_int_equal(kill(f->redis.pid, SIGCONT), 0);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    assert_int_equal(world_get(&f->w, "key"), ERR_NONE);
}

static void a_killed_redis_ends_what_was_asked(void **state)
{
    struct fixture *f = *state;
    connect_with(f, "timeout: 5s");
    assert_int_equal(kill(f->redis.pid, SIGSTOP), 0);
    assert_non_null(l2_get(f->w.l2, "key", 3, world_on_entry, &f->w));
    loop_run_once(f->w.loop, true); /* it is on its way */
    node_kill(&f->redis);
    WORLD_AWAIT(&f->w, f->w.answer_count == 1);
    assert_true(f->w.last == ERR_EOF || f->w.last == ERR_RESET);
    assert_false(l2_is_ready(f->w.l2));
}

/* The entry is Redis', but whoever fetched is gone: the lease ends by itself. */
static void a_lease_nobody_releases_ends(void **state)
{
    struct fixture *f = *state;
    struct world other;
    world_init(&other);
    connect_with(f, "timeout: 5s");
    world_conf(&other, f->conf);
    WORLD_AWAIT(&other, l2_is_ready(other.l2));
    assert_int_equal(world_lease(&f->w, "key", 50), ERR_NONE);
    enum err e = world_lease(&other, "key", 1000);
    for (; e == ERR_BUSY; e = world_lease(&other, "key", 1000))
        continue;
    assert_int_equal(e, ERR_NONE);
    /* Ours is over, and theirs is not removed by us. */
    (void)l2_release(f->w.l2, "key", 3);
    assert_int_equal(world_get(&f->w, "key"), ERR_NOT_FOUND);
    assert_int_equal(world_lease(&f->w, "key", 1000), ERR_BUSY);
    world_fini(&other);
}

static void a_lease_that_is_not_waited_for_is_not_kept(void **state)
{
    struct fixture *f = *state;
    connect_with(f, "timeout: 5s");
    struct l2_job *j = l2_lease(f->w.l2, "key", 3, 60000, world_on_done, &f->w);
    assert_non_null(j);
    l2_cancel(&j);
    assert_int_equal(world_lease(&f->w, "key", 60000), ERR_NONE);
    assert_int_equal(world_lease(&f->w, "key", 60000), ERR_AGAIN); /* we have it */
}

/* ---- any other command ---- */

struct asker {
    uint32_t answer_count, change_count;
    enum err last;
    int64_t number;
    char text[64];
};

static void on_answer(void *arg, enum err e, const struct l2_reply *reply)
{
    struct asker *a = arg;
    a->answer_count++;
    a->last = e;
    a->number = reply != NULL ? reply->integer : -1;
    (void)snprintf(a->text, sizeof a->text, "%s", reply != NULL && reply->kind == L2_ERROR ? reply->text : "");
}

static enum err ask(struct fixture *f, struct l2 *l, struct asker *a, const char *command, const char *key)
{
    struct l2_args args = {0};
    const uint32_t before = a->answer_count;
    l2_args_text(&args, command);
    l2_args_text(&args, key);
    if (l2_ask(l, key, &args, on_answer, a) == NULL)
        return ERR_AGAIN;
    assert_int_equal(a->answer_count, before);
    WORLD_AWAIT(&f->w, a->answer_count != before);
    return a->last;
}

static void any_command_is_answered_with_what_redis_says(void **state)
{
    struct fixture *f = *state;
    struct asker a = {0};
    assert_int_equal(ask(f, f->w.l2, &a, "INCR", "mine"), ERR_AGAIN);
    connect_with(f, "timeout: 5s");
    assert_int_equal(ask(f, f->w.l2, &a, "INCR", "mine"), ERR_NONE);
    assert_int_equal(ask(f, f->w.l2, &a, "INCR", "mine"), ERR_NONE);
    assert_int_equal(a.number, 2);
    assert_int_equal(ask(f, f->w.l2, &a, "LLEN", "mine"), ERR_INVALID); /* WRONGTYPE, and the word is there */
    assert_memory_equal(a.text, "WRONGTYPE", 9);
    node_kill(&f->redis);
    const enum err e = ask(f, f->w.l2, &a, "INCR", "mine");
    assert_true(e != ERR_NONE);
}

static void on_change(void *arg)
{
    struct asker *a = arg;
    a->change_count++;
}

static void who_does_not_want_the_purge_log_is_ready_without_it(void **state)
{
    struct fixture *f = *state;
    static const struct l2_ops ops = {.on_change = on_change};
    struct asker a = {0};
    struct l2 *plain = l2_create(f->w.net, &ops, &a);
    struct l2 *own = f->w.l2;
    f->w.l2 = plain;
    (void)snprintf(f->conf, sizeof f->conf, "url: 'redis://127.0.0.1:%u', timeout: 5s", (unsigned)f->redis.port);
    world_conf(&f->w, f->conf);
    WORLD_AWAIT(&f->w, a.change_count > 0);
    assert_true(l2_is_ready(plain));
    assert_int_equal(ask(f, plain, &a, "INCR", "mine"), ERR_NONE);
    assert_false(world_purge(&f->w, PURGE_TAG, "cars", false));
    assert_false(node_has(&f->redis, "CLIENT LIST", "cmd=xread"));
    f->w.l2 = own;
    l2_destroy(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(without_redis_nothing_is_asked),
        CASE(what_is_put_is_got_with_the_time_it_has_left),
        CASE(garbage_under_our_keys_is_no_entry),
        CASE(a_full_redis_still_answers),
        CASE(a_hung_redis_is_given_up_and_found_again),
        CASE(a_killed_redis_ends_what_was_asked),
        CASE(a_lease_is_taken_once_and_released_by_its_owner_alone),
        CASE(a_lease_nobody_releases_ends),
        CASE(a_lease_that_is_not_waited_for_is_not_kept),
        CASE(any_command_is_answered_with_what_redis_says),
        CASE(who_does_not_want_the_purge_log_is_ready_without_it),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
