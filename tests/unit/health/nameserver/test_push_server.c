/* When a server is told, and what is made of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "health/nameserver/push_server.h"
#include "tests/unit/health/nameserver/update_server.h"

#define PATIENCE_MS 5000
#define QUIET_MS    60 /* longer than the pauses of these tests */

static const char *us[] = {"192.0.2.10"}, *eu[] = {"198.51.100.10"};
static struct conf_dns_answer answers[] = {
    {.target = "targets/us", .a = us, .a_count = 1, .cname = ""},
    {.target = "targets/eu", .a = eu, .a_count = 1, .cname = ""},
};
static struct conf_dns_record records[] = {{.name = "www", .answers = answers, .answer_count = 2}};

struct world {
    struct loop *loop;
    struct resolver *resolver;
    struct stats_block *block;
    struct steering_record record;
    struct conf_dns_push push;
    struct conf_dns conf;
    char address[64];
    struct push_env env;
    struct push_server *server;
    struct update_server fake;
    unsigned event_count;
    struct event event; /* the last one */
};

static void on_event(void *arg, const struct event *e)
{
    struct world *w = arg;
    w->event_count++;
    w->event = *e;
}

static const struct steering_alias *no_alias(void *arg, const struct conf_dns_record *record, size_t answer)
{
    (void)arg;
    (void)record;
    (void)answer;
    return NULL;
}

static void point_to(struct world *w, const char *host)
{
    (void)snprintf(w->address, sizeof w->address, "%s:%u", host, addr_port(&w->fake.addr));
    w->push.server = w->address;
}

static int setup(void **state)
{
    struct world *w = mem_alloc(sizeof *w);
    w->loop = loop_create();
    w->resolver = resolver_create(w->loop);
    w->block = mem_alloc(sizeof *w->block);
    w->push = (struct conf_dns_push){.zone = "example.com",
                                     .key_name = "push.example.com",
                                     .key_algorithm = TSIG_HMAC_SHA256,
                                     .key_secret = UPDATE_SERVER_SECRET,
                                     .timeout_ms = PATIENCE_MS};
    w->conf = (struct conf_dns){
        .zone = "example.com", .records = records, .record_count = 1, .pushes = &w->push, .push_count = 1};
    w->record = (struct steering_record){
        .serial = 1, .row_count = 1, .rows = {{.id = steering_id(&records[0]), .chosen = 1, .ttl_s = 30}}};
    w->env = (struct push_env){.loop = w->loop,
                               .resolver = w->resolver,
                               .block = w->block,
                               .choice = {.record = &w->record, .alias = no_alias},
                               .pace = {.again_ms = 3600000, .retry_ms = 10, .retry_max_ms = 20},
                               .on_event = on_event,
                               .arg = w};
    update_server_start(&w->fake, w->loop, 0);
    point_to(w, "127.0.0.1");
    w->server = push_server_create(&w->env);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    push_server_destroy(&w->server);
    update_server_stop(&w->fake);
    resolver_destroy(&w->resolver);
    loop_destroy(&w->loop);
    mem_free(w->block);
    mem_free(w);
    return 0;
}

static void begin(struct world *w)
{
    assert_null(push_server_take_conf(w->server, &w->conf, &w->push));
    push_server_look(w->server);
}

static uint64_t done_count(const struct world *w)
{
    return stat_get(&w->block->process[STAT_PUSHES]);
}

static uint64_t failed_count(const struct world *w)
{
    return stat_get(&w->block->process[STAT_PUSH_FAILURES]);
}

static void on_bell(void *arg)
{
    *(bool *)arg = true;
}

/* Until `count` visits have ended well and `failures` have not. */
static void run_until(struct world *w, uint64_t count, uint64_t failures)
{
    struct timer bell;
    bool has_rung = false;
    timer_init(&bell, w->loop, on_bell, &has_rung);
    timer_start(&bell, PATIENCE_MS);
    while (done_count(w) < count || failed_count(w) < failures) {
        if (has_rung)
            fail_msg("%llu done, %llu failed", (unsigned long long)done_count(w), (unsigned long long)failed_count(w));
        loop_run_once(w->loop, true);
    }
    timer_cancel(&bell);
}

/* Nothing more comes: what could be due is over. */
static void run_quiet(struct world *w)
{
    const unsigned before = w->fake.accepted_count;
    struct timer bell;
    bool has_rung = false;
    timer_init(&bell, w->loop, on_bell, &has_rung);
    timer_start(&bell, QUIET_MS);
    while (!has_rung)
        loop_run_once(w->loop, true);
    assert_int_equal(w->fake.accepted_count, before);
}

#define WWW_IS(ttl, address)                                                                                           \
    "zone example.com.\n"                                                                                              \
    "delete www.example.com. CNAME\n"                                                                                  \
    "delete www.example.com. A\n"                                                                                      \
    "delete www.example.com. AAAA\n"                                                                                   \
    "add www.example.com. " ttl " A " address "\n"                                                                     \
    "signed push.example.com.\n"

/* ---- when ---- */

static void test_it_is_told_at_the_start(void **state)
{
    struct world *w = *state;
    begin(w);
    run_until(w, 1, 0);
    assert_string_equal(w->fake.last.text, WWW_IS("30", "192.0.2.10"));
    assert_int_equal(w->event_count, 1); /* in case the run before this one failed */
    assert_int_equal(w->event.phase, EVENT_ENDS);
    assert_string_equal(w->event.from, "done"); /* and if not, it is no news */
    assert_string_equal(w->event.to, "done");
    push_server_look(w->server);
    run_quiet(w);
}

static void test_nothing_is_told_before_something_is_decided(void **state)
{
    struct world *w = *state;
    w->record.row_count = 0;
    begin(w);
    run_quiet(w);
    w->record.row_count = 1;
    push_server_look(w->server);
    run_until(w, 1, 0);
}

static void test_it_is_told_of_another_choice(void **state)
{
    struct world *w = *state;
    begin(w);
    run_until(w, 1, 0);
    w->record.rows[0].chosen = 2;
    w->record.rows[0].ttl_s = 5;
    push_server_look(w->server);
    run_until(w, 2, 0);
    assert_string_equal(w->fake.last.text, WWW_IS("5", "198.51.100.10"));
}

/* The lifetime follows the checks, up and down all day. */
static void test_a_lifetime_is_no_news(void **state)
{
    struct world *w = *state;
    begin(w);
    run_until(w, 1, 0);
    w->record.rows[0].ttl_s = 5;
    push_server_look(w->server);
    run_quiet(w);
    assert_int_equal(w->fake.update_count, 1);
}

static void test_what_changes_during_a_visit_is_told_after_it(void **state)
{
    struct world *w = *state;
    begin(w);
    while (w->fake.update_count == 0)
        loop_run_once(w->loop, true);
    w->record.rows[0].chosen = 2;
    push_server_look(w->server); /* the answer to the first is still under way */
    run_until(w, 2, 0);
    assert_int_equal(w->fake.open_most, 1);
    assert_string_equal(w->fake.last.text, WWW_IS("30", "198.51.100.10"));
}

/* What counts is what was said, not what was to be said when the visit began. */
static void test_a_choice_that_comes_and_goes_during_a_visit(void **state)
{
    struct world *w = *state;
    begin(w);
    w->record.rows[0].chosen = 2; /* while the server's address is looked up */
    while (w->fake.update_count == 0)
        loop_run_once(w->loop, true);
    assert_string_equal(w->fake.last.text, WWW_IS("30", "198.51.100.10"));
    w->record.rows[0].chosen = 1;
    run_until(w, 2, 0);
    assert_string_equal(w->fake.last.text, WWW_IS("30", "192.0.2.10"));
}

static void test_it_is_told_again_after_a_while(void **state)
{
    struct world *w = *state;
    w->env.pace.again_ms = 10;
    begin(w);
    run_until(w, 3, 0);
    assert_string_equal(w->fake.last.text, WWW_IS("30", "192.0.2.10"));
    assert_int_equal(w->event_count, 1); /* no news in that */
}

static void test_followers_tell_nothing_until_they_lead(void **state)
{
    struct world *w = *state;
    w->record.role = STEERING_FOLLOWS;
    begin(w);
    run_quiet(w);
    w->record.role = STEERING_LEADS;
    push_server_look(w->server);
    run_until(w, 1, 0);
    w->record.role = STEERING_FOLLOWS;
    w->record.rows[0].chosen = 2;
    push_server_look(w->server);
    run_quiet(w);
    w->record.rows[0].chosen = 1; /* what this one told last: told again all the same */
    w->record.role = STEERING_ALONE;
    push_server_look(w->server);
    run_until(w, 2, 0);
}

static void test_who_has_not_met_the_others_yet_tells_nothing(void **state)
{
    struct world *w = *state;
    w->env.alone_from_ms = loop_now_ms(w->loop) + 3600000;
    begin(w);
    run_quiet(w);
    w->record.role = STEERING_LEADS;
    push_server_look(w->server);
    run_until(w, 1, 0);
}

static void test_a_follower_does_not_try_again(void **state)
{
    struct world *w = *state;
    w->fake.rcode = 5;
    begin(w);
    run_until(w, 0, 1);
    w->record.role = STEERING_FOLLOWS;
    push_server_look(w->server);
    assert_int_equal(w->event.phase, EVENT_ENDS);
    assert_string_equal(w->event.to, "left to the leader");
    run_quiet(w);
}

static void test_a_configuration_is_told_at_once(void **state)
{
    struct world *w = *state;
    begin(w);
    run_until(w, 1, 0);
    begin(w);
    run_until(w, 2, 0);
}

/* ---- how it goes ---- */

static void test_what_is_wrong_is_said(void **state)
{
    static const struct {
        enum update_does does;
        unsigned rcode, error;
        const char *cause;
    } rows[] = {
        {UPDATE_DOES_SIGN, 5, 0, "the server does not allow this key to change these names (REFUSED)"},
        {UPDATE_DOES_SIGN, 2, 0, "the server failed (SERVFAIL)"},
        {UPDATE_DOES_NOT_SIGN, 0, 0, "the answer is not signed"},
        {UPDATE_DOES_NOT_SIGN, 9, 0, "the server is not the primary of this zone, or knows no such key (NOTAUTH)"},
        {UPDATE_DOES_FORGE, 0, 0, "the answer's signature does not fit: somebody else's, or another secret"},
        {UPDATE_DOES_OBJECT, 9, 16, "our signature does not fit there: another secret for this key (BADSIG)"},
        {UPDATE_DOES_OBJECT, 9, 17, "the key or its algorithm is not known there (BADKEY)"},
        {UPDATE_TALKS_NONSENSE, 0, 0, "the answer is no DNS message"},
        {UPDATE_CLOSES, 0, 0, "closed while waiting for its answer"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        w->fake.does = rows[i].does;
        w->fake.rcode = rows[i].rcode;
        w->fake.error = rows[i].error;
        begin(w);
        run_until(w, i, 2 * i + 2); /* it is tried again, and fails again */
        assert_int_equal(w->event.kind, EVENT_PUSH);
        assert_int_equal(w->event.phase, EVENT_BEGINS);
        assert_string_equal(w->event.cause, rows[i].cause);
        assert_string_equal(w->event.to, "failing");
        assert_int_equal(w->event_count, 2 * i + 1); /* said once */

        w->fake.does = UPDATE_DOES_SIGN;
        w->fake.rcode = 0;
        run_until(w, i + 1, 0);
        assert_int_equal(w->event.phase, EVENT_ENDS);
        assert_string_equal(w->event.from, "failing");
        assert_string_equal(w->event.to, "done");
        assert_int_equal(w->event_count, 2 * i + 2);
        w->block->process[STAT_PUSH_FAILURES] = 2 * i + 2; /* there may have been a third */
    }
}

/* Without CNAMEs it is tried at once; that is refused no more than once. */
static void test_a_cname_that_has_no_room_is_not_insisted_on(void **state)
{
    struct world *w = *state;
    w->env.pace.retry_ms = w->env.pace.retry_max_ms = 3600000;
    w->fake.rcode = 7;
    begin(w);
    run_until(w, 0, 1);
    assert_int_equal(w->fake.update_count, 2);
    assert_string_equal(w->event.cause, "other records stand where a CNAME has to be (YXRRSET)");
    run_quiet(w);
}

/* Who does not prove to be the server changes nothing of what it is told. */
static void test_what_nobody_signed_is_no_reason_to_do_without(void **state)
{
    struct world *w = *state;
    w->env.pace.retry_ms = w->env.pace.retry_max_ms = 3600000;
    w->fake.does = UPDATE_DOES_NOT_SIGN;
    w->fake.rcode = 7;
    begin(w);
    run_until(w, 0, 1);
    assert_int_equal(w->fake.update_count, 1);
    run_quiet(w);
}

static void test_an_answer_may_come_in_pieces(void **state)
{
    struct world *w = *state;
    w->fake.does = UPDATE_IN_PIECES;
    begin(w);
    run_until(w, 1, 0);
    assert_int_equal(failed_count(w), 0);
}

static void test_nobody_waits_longer_than_the_deadline(void **state)
{
    struct world *w = *state;
    w->fake.does = UPDATE_HANGS;
    w->push.timeout_ms = 30;
    begin(w);
    run_until(w, 0, 1);
    assert_string_equal(w->event.cause, "timeout while waiting for its answer");
    assert_int_equal(w->fake.accepted_count, 1);
}

static void test_a_server_that_is_not_there_is_found_when_it_comes(void **state)
{
    struct world *w = *state;
    const uint16_t port = addr_port(&w->fake.addr);
    update_server_stop(&w->fake);
    begin(w);
    run_until(w, 0, 2);
    assert_string_equal(w->event.cause, "refused while connecting");
    w->record.rows[0].chosen = 2; /* meanwhile */
    update_server_start(&w->fake, w->loop, port);
    run_until(w, 1, 0);
    assert_string_equal(w->fake.last.text, WWW_IS("30", "198.51.100.10"));
    assert_string_equal(w->event.to, "done");
}

static void test_a_name_leads_there(void **state)
{
    struct world *w = *state;
    point_to(w, "localhost"); /* perhaps ::1 first, where nobody listens */
    begin(w);
    run_until(w, 1, 0);
    assert_int_equal(failed_count(w), 0);
}

static void test_pauses_grow(void **state)
{
    struct world *w = *state;
    w->env.pace.retry_ms = 20;
    w->env.pace.retry_max_ms = 3600000;
    w->fake.rcode = 5;
    const int64_t begun_ms = loop_now_ms(w->loop);
    begin(w);
    run_until(w, 0, 5);
    assert_true(loop_now_ms(w->loop) - begun_ms >= (20 + 40 + 80 + 160) * 9 / 10); /* a tenth is left to chance */
}

static void test_a_choice_does_not_wait_for_the_pause(void **state)
{
    struct world *w = *state;
    w->env.pace.retry_ms = w->env.pace.retry_max_ms = 3600000;
    w->fake.rcode = 5;
    begin(w);
    run_until(w, 0, 1);
    push_server_look(w->server);
    run_quiet(w);
    w->fake.rcode = 0;
    w->record.rows[0].chosen = 2;
    push_server_look(w->server);
    run_until(w, 1, 0);
}

static void test_it_may_end_at_any_time(void **state)
{
    struct world *w = *state;
    w->fake.does = UPDATE_HANGS;
    for (unsigned passes = 0; passes < 6; passes++) {
        begin(w);
        for (unsigned i = 0; i < passes; i++)
            loop_run_once(w->loop, false);
        push_server_destroy(&w->server);
        w->server = push_server_create(&w->env);
    }
    run_quiet(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_told_at_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_told_before_something_is_decided, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_is_told_of_another_choice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lifetime_is_no_news, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_changes_during_a_visit_is_told_after_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_choice_that_comes_and_goes_during_a_visit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_is_told_again_after_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(test_followers_tell_nothing_until_they_lead, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_has_not_met_the_others_yet_tells_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_follower_does_not_try_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_configuration_is_told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cname_that_has_no_room_is_not_insisted_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_nobody_signed_is_no_reason_to_do_without, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_answer_may_come_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_waits_longer_than_the_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_server_that_is_not_there_is_found_when_it_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_leads_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pauses_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_choice_does_not_wait_for_the_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_may_end_at_any_time, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
