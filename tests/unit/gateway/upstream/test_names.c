/* Where servers are: numeric addresses at once, names by lookup, and what a bad certificate file does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/tls.h"
#include "gateway/upstream/names.h"

struct fixture {
    struct loop *loop;
    struct slots *slots;
    struct stats *stats;
    struct verdict_table *verdicts;
    struct server_env env;
    struct pool_set *pools;
    struct names *names;
    int settled_count;
};

static void on_settled(void *arg)
{
    ((struct fixture *)arg)->settled_count++;
}

static void forget(void *arg, struct server *s)
{
    (void)arg;
    names_forget(s);
}

static const struct server_ops ops = {.on_removed = forget, .on_free = forget};

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    f->loop = loop_create();
    f->slots = mem_alloc(sizeof *f->slots);
    f->stats = mem_alloc(sizeof *f->stats);
    f->verdicts = mem_alloc(sizeof *f->verdicts);
    slots_init(f->slots);
    stats_init(f->stats);
    verdict_table_init(f->verdicts);
    f->env = (struct server_env){.slots = f->slots,
                                 .verdicts = f->verdicts,
                                 .stats = f->stats,
                                 .block = &f->stats->block[0],
                                 .nudge_fd = -1,
                                 .ops = &ops};
    f->pools = pool_set_create(&f->env, 0);
    f->names = names_create(f->loop, on_settled, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    pool_set_destroy(&f->pools);
    names_destroy(&f->names);
    loop_destroy(&f->loop);
    mem_free(f->slots);
    mem_free(f->stats);
    mem_free(f->verdicts);
    mem_free(f);
    return 0;
}

static struct conf *load(struct fixture *f, const char *url)
{
    struct conf_errors errors = {0};
    char yaml[512];
    int len = snprintf(yaml, sizeof yaml,
                       "listen: [ { address: '127.0.0.1:1' } ]\n"
                       "pools: { p: { servers: [ { name: a, url: '%s' } ] } }\n"
                       "routes: [ { path: /, pool: p } ]\n",
                       url);
    struct conf *c = conf_load_text("names.yaml", yaml, (size_t)len, false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    assert_true(slots_claim(f->slots, SLOT_SERVER, "p/a", NULL) >= 0);
    return c;
}

static struct server *learn(struct fixture *f, const char *url)
{
    struct conf *c = load(f, url);
    assert_int_equal(pool_set_update(f->pools, c), ERR_NONE);
    names_learn(f->names, f->pools, c);
    conf_unref(&c);
    return pool_set_at(f->pools, 0)->servers[0];
}

static void a_numeric_address_is_known_at_once(void **state)
{
    struct fixture *f = *state;
    struct server *s = learn(f, "ws://127.0.0.7:81");
    char text[ADDR_TEXT_BYTES];
    assert_int_equal(f->settled_count, 1);
    assert_int_equal(s->addr_count, 1);
    assert_string_equal(addr_text(&s->addrs[0], text, sizeof text), "127.0.0.7:81");
}

static void a_name_is_settled_when_its_lookup_ended(void **state)
{
    struct fixture *f = *state;
    struct server *s = learn(f, "ws://localhost:81");
    assert_int_equal(f->settled_count, 0);
    for (int i = 0; i < 1000 && f->settled_count == 0; i++)
        loop_run_once(f->loop, true);
    assert_int_equal(f->settled_count, 1);
    assert_true(s->addr_count >= 1);
    assert_int_equal(addr_port(&s->addrs[0]), 81);
}

static void a_server_that_goes_while_it_is_looked_up_settles_too(void **state)
{
    struct fixture *f = *state;
    (void)learn(f, "ws://localhost:81");
    struct server *s = learn(f, "ws://127.0.0.7:82");
    assert_int_equal(f->settled_count, 1);
    assert_int_equal(s->addr_count, 1);
}

static void a_secure_server_gets_a_context(void **state)
{
    struct fixture *f = *state;
    struct server *s = learn(f, "wss://127.0.0.7:443");
    assert_non_null(s->tls);
}

static void what_a_reload_leaves_alone_is_not_looked_up_again(void **state)
{
    struct fixture *f = *state;
    struct server *before = learn(f, "ws://127.0.0.7:81");
    before->addr_next = 0;
    struct server *after = learn(f, "ws://127.0.0.7:81");
    assert_ptr_equal(before, after);
    assert_int_equal(f->settled_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_numeric_address_is_known_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_is_settled_when_its_lookup_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_goes_while_it_is_looked_up_settles_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_secure_server_gets_a_context, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_reload_leaves_alone_is_not_looked_up_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
