/* From the steering table and the configuration to the servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "health/nameserver/pusher.h"
#include "tests/unit/health/nameserver/update_server.h"

#define PATIENCE_MS 5000

static const char *us[] = {"192.0.2.10"}, *eu[] = {"198.51.100.10"};
static struct conf_dns_answer answers[] = {
    {.target = "targets/us", .a = us, .a_count = 1, .cname = ""},
    {.target = "targets/eu", .a = eu, .a_count = 1, .cname = ""},
    {.target = "", .cname = "static.example.net"},
};
static struct conf_dns_record records[] = {{.name = "@", .answers = answers, .answer_count = 3}};

struct world {
    struct loop *loop;
    struct resolver *resolver;
    struct stats_block *block;
    struct steering_table table;
    struct steering_record record;
    struct pusher *pusher;
    struct update_server first, second;
    char addresses[2][ADDR_TEXT_BYTES];
    struct conf_dns_push pushes[2];
    struct conf *conf;
    struct steering_alias alias;
};

static void on_event(void *arg, const struct event *e)
{
    (void)arg;
    assert_int_equal(e->kind, EVENT_PUSH);
}

static const struct steering_alias *alias_of(void *arg, const struct conf_dns_record *record, size_t answer)
{
    struct world *w = arg;
    assert_ptr_equal(record, &records[0]);
    assert_int_equal(answer, 2);
    return &w->alias;
}

static struct conf *conf_of(struct world *w, size_t push_count)
{
    struct conf *c = mem_alloc(sizeof *c);
    *c = (struct conf){.magic = CONF_MAGIC,
                       .refs = 1,
                       .quorum = {.redis.text = ""},
                       .dns = {.zone = "example.com",
                               .records = records,
                               .record_count = 1,
                               .pushes = w->pushes,
                               .push_count = push_count}};
    return c;
}

static int setup(void **state)
{
    struct world *w = mem_alloc(sizeof *w);
    w->loop = loop_create();
    w->resolver = resolver_create(w->loop);
    w->block = mem_alloc(sizeof *w->block);
    steering_table_init(&w->table);
    w->record = (struct steering_record){
        .serial = 1, .row_count = 1, .rows = {{.id = steering_id(&records[0]), .chosen = 1, .ttl_s = 30}}};
    update_server_start(&w->first, w->loop, 0);
    update_server_start(&w->second, w->loop, 0);
    for (size_t i = 0; i < 2; i++)
        w->pushes[i] = (struct conf_dns_push){
            .server = addr_text(i == 0 ? &w->first.addr : &w->second.addr, w->addresses[i], sizeof w->addresses[i]),
            .zone = "example.com",
            .key_name = "push.example.com",
            .key_algorithm = TSIG_HMAC_SHA256,
            .key_secret = UPDATE_SERVER_SECRET,
            .timeout_ms = PATIENCE_MS};
    w->conf = conf_of(w, 2);
    w->pusher = pusher_create(&(struct pusher_env){.loop = w->loop,
                                                   .resolver = w->resolver,
                                                   .block = w->block,
                                                   .table = &w->table,
                                                   .alias = alias_of,
                                                   .on_event = on_event,
                                                   .arg = w});
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    pusher_destroy(&w->pusher);
    assert_int_equal(w->conf->refs, 1); /* it was given back */
    update_server_stop(&w->first);
    update_server_stop(&w->second);
    resolver_destroy(&w->resolver);
    loop_destroy(&w->loop);
    mem_free(w->conf);
    mem_free(w->block);
    mem_free(w);
    return 0;
}

static void on_bell(void *arg)
{
    *(bool *)arg = true;
}

static void run_until_done(struct world *w, uint64_t count)
{
    struct timer bell;
    bool has_rung = false;
    timer_init(&bell, w->loop, on_bell, &has_rung);
    timer_start(&bell, PATIENCE_MS);
    while (stat_get(&w->block->process[STAT_PUSHES]) < count && !has_rung)
        loop_run_once(w->loop, true);
    timer_cancel(&bell);
    assert_int_equal(stat_get(&w->block->process[STAT_PUSHES]), count);
}

static bool has_added(const struct update_server *s, const char *record)
{
    return strstr(s->last.text, record) != NULL;
}

static void test_the_table_is_watched(void **state)
{
    struct world *w = *state;
    pusher_take_conf(w->pusher, w->conf);
    for (int i = 0; i < 20; i++)
        loop_run_once(w->loop, false);
    assert_int_equal(w->first.accepted_count, 0); /* nothing decided yet */

    steering_store(&w->table, &w->record);
    run_until_done(w, 2);
    assert_true(has_added(&w->first, "add example.com. 30 A 192.0.2.10\n"));
    assert_true(has_added(&w->second, "add example.com. 30 A 192.0.2.10\n"));

    w->record.rows[0].chosen = 2;
    steering_store(&w->table, &w->record);
    run_until_done(w, 4);
    assert_true(has_added(&w->first, "add example.com. 30 A 198.51.100.10\n"));
    assert_true(has_added(&w->second, "add example.com. 30 A 198.51.100.10\n"));
}

/* Nobody writes to the table when a name's addresses change. */
static void test_names_are_watched(void **state)
{
    struct world *w = *state;
    w->record.rows[0].chosen = 4;
    steering_store(&w->table, &w->record);
    pusher_take_conf(w->pusher, w->conf);
    for (int i = 0; i < 20; i++)
        loop_run_once(w->loop, false);
    assert_int_equal(w->first.accepted_count, 0); /* not resolved yet */
    w->alias = (struct steering_alias){.is_known = true, .a_count = 1, .a = {{203, 0, 113, 1}}};
    run_until_done(w, 2);
    assert_true(has_added(&w->first, "add example.com. 30 A 203.0.113.1\n"));
}

static void test_a_server_that_hangs_keeps_no_other_waiting(void **state)
{
    struct world *w = *state;
    w->first.does = UPDATE_HANGS;
    steering_store(&w->table, &w->record);
    pusher_take_conf(w->pusher, w->conf);
    run_until_done(w, 1);
    w->record.rows[0].chosen = 2;
    steering_store(&w->table, &w->record);
    run_until_done(w, 2);
    assert_true(has_added(&w->second, "add example.com. 30 A 198.51.100.10\n"));
    assert_int_equal(w->first.accepted_count, 1);
}

/* With a quorum to be part of, nothing is told before there was time to meet the others. */
static void test_a_quorum_is_waited_for(void **state)
{
    struct world *w = *state;
    w->conf->quorum.redis.text = "redis://127.0.0.1";
    w->conf->quorum.lifetime_ms = 100;
    steering_store(&w->table, &w->record);
    const int64_t begin_ms = loop_now_ms(w->loop);
    pusher_take_conf(w->pusher, w->conf);
    run_until_done(w, 2);
    assert_true(loop_now_ms(w->loop) - begin_ms >= 100);
}

/* A configuration without a server is one that tells it nothing any more. */
static void test_a_reload_adds_and_removes_servers(void **state)
{
    struct world *w = *state;
    struct conf *one = conf_of(w, 1);
    steering_store(&w->table, &w->record);
    pusher_take_conf(w->pusher, one);
    run_until_done(w, 1);
    assert_int_equal(w->second.accepted_count, 0);

    pusher_take_conf(w->pusher, w->conf);
    assert_int_equal(one->refs, 1); /* given back */
    run_until_done(w, 3);
    assert_int_equal(w->second.update_count, 1);

    pusher_take_conf(w->pusher, one);
    run_until_done(w, 4);
    w->record.rows[0].chosen = 2;
    steering_store(&w->table, &w->record);
    run_until_done(w, 5);
    assert_int_equal(w->second.update_count, 1);
    pusher_take_conf(w->pusher, w->conf);
    mem_free(one);
}

/* One that cannot be used is none; the others are told. */
static void test_a_key_that_is_none(void **state)
{
    struct world *w = *state;
    w->pushes[0].key_secret = "no base64";
    steering_store(&w->table, &w->record);
    pusher_take_conf(w->pusher, w->conf);
    run_until_done(w, 1);
    assert_int_equal(w->first.accepted_count, 0);
    assert_int_equal(w->second.update_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_table_is_watched, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_are_watched, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_server_that_hangs_keeps_no_other_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_quorum_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reload_adds_and_removes_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_key_that_is_none, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
