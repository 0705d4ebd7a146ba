/* Decisions about DNS under a virtual clock: one gateway alone, several with one leader, and all that can part them.
 * Verdicts are written to the tables as targets do; the fleet is one place in memory (tests/replay/fake_fleet.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "health/checker/steerer.h"
#include "health/serial.h"
#include "tests/replay/fake_fleet.h"
#include "tests/replay/sim.h"

#define EVENTS_MAX  32
#define LIFETIME_MS 5000

enum { US = 0, EU, DB, SERVERS }; /* slots */
static const char *const server_names[SERVERS] = {"targets/us", "targets/eu", "targets/db"};

struct node {
    struct fake_birth birth;
    struct slots slots;
    struct health_table table;
    struct steerer *steerer;
    char dir[64];
    struct event events[EVENTS_MAX];
    size_t event_count;
};

struct world {
    struct loop *loop;
    struct fake_shared shared;
    struct node *nodes[3];
    struct conf *conf[3]; /* the last one of each node */
};

/* ---- configurations ---- */

#define CHECK "check: { type: tcp, url: 'tcp://127.0.0.1:1', interval: 4s, jitter: 0%%, rise: 2, fall: 3 }"
#define RECORDS                                                                                                        \
    "    - name: '@'\n      ttl_min: 1s\n      ttl_max: 60s\n      answers:\n"                                         \
    "        - { target: us, a: [ 192.0.2.1 ] }\n"                                                                     \
    "        - { target: eu, tier: backup, a: [ 192.0.2.2 ] }\n"
#define WITH_DB                                                                                                        \
    "    - name: api\n      ttl_min: 1s\n      last_resort: fail-static\n      answers:\n"                             \
    "        - { target: us, requires: [ db ], a: [ 192.0.2.3 ] }\n"                                                   \
    "        - { target: eu, tier: backup, a: [ 192.0.2.4 ] }\n"
#define QUORUM "quorum: { redis: { url: 'redis://127.0.0.1:1/0' }, lifetime: 5s, interval: 1s }\n"

static struct conf *conf_of(const char *node, const char *more, const char *records)
{
    struct conf_errors errors = {0};
    char *text = mem_printf("node: { name: %s, region: here }\n%stargets:\n  us: { " CHECK " }\n  eu: { " CHECK
                            " }\n  db: { " CHECK " }\ndns:\n  zone: rt.example.com\n  listen: [ '127.0.0.1:1' ]\n"
                            "  nameservers: [ ns1.example.net ]\n  records:\n%s",
                            node, more, records);
    struct conf *c = conf_load_text("test", text, strlen(text), false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    mem_free(text);
    return c;
}

/* ---- nodes ---- */

static void on_event(void *arg, const struct event *e)
{
    struct node *n = arg;
    assert_true(n->event_count < EVENTS_MAX);
    n->events[n->event_count++] = *e;
}

static struct fleet *fleet_of(struct world *w, size_t i)
{
    for (size_t k = 0; k < FAKE_NODES; k++)
        if (w->shared.member[k] != NULL && w->shared.member[k]->arg == w->nodes[i]->steerer)
            return w->shared.member[k];
    return NULL;
}

static void start(struct world *w, size_t i)
{
    struct node *n = w->nodes[i];
    const struct steerer_env env = {.loop = w->loop,
                                    .birth = &n->birth.birth,
                                    .table = &n->table,
                                    .file = state_file_open(n->dir),
                                    .on_event = on_event,
                                    .arg = n};
    n->steerer = steerer_create(&env);
    n->birth.birth.verdicts.base = env.file; /* kept for stop() */
}

static void add_node(struct world *w, size_t i)
{
    struct node *n = calloc(1, sizeof *n);
    w->nodes[i] = n;
    slots_init(&n->slots);
    for (int slot = 0; slot < SERVERS; slot++)
        assert_int_equal(slots_claim(&n->slots, SLOT_SERVER, server_names[slot], NULL), slot);
    health_table_init(&n->table);
    n->birth.shared = &w->shared;
    n->birth.birth.slots = &n->slots;
    snprintf(n->dir, sizeof n->dir, "/tmp/tidegate-steerer-XXXXXX");
    assert_non_null(mkdtemp(n->dir));
    start(w, i);
}

static void stop(struct world *w, size_t i)
{
    struct node *n = w->nodes[i];
    struct state_file *file = n->birth.birth.verdicts.base;
    steerer_destroy(&n->steerer);
    state_file_close(&file);
}

/* Another process on the same machine state: `with_table` for a crash of the checker, without for one of everything. */
static void restart(struct world *w, size_t i, bool with_table)
{
    struct node *n = w->nodes[i];
    stop(w, i);
    if (!with_table)
        health_table_init(&n->table);
    n->event_count = 0;
    start(w, i);
}

static void remove_node(struct world *w, size_t i)
{
    char path[80];
    stop(w, i);
    snprintf(path, sizeof path, "%s/steering", w->nodes[i]->dir);
    unlink(path);
    rmdir(w->nodes[i]->dir);
    free(w->nodes[i]);
    w->nodes[i] = NULL;
}

static void configure(struct world *w, size_t i, const char *more, const char *records)
{
    static const char *const names[] = {"one", "two", "three"};
    if (w->conf[i] != NULL)
        conf_unref(&w->conf[i]);
    w->conf[i] = conf_of(names[i], more, records);
    steerer_take_conf(w->nodes[i]->steerer, w->conf[i]);
}

/* Lets everybody look until nobody has anything to tell. */
static void mingle(struct world *w)
{
    unsigned rounds = 0;
    do {
        assert_true(rounds++ < 20);
        w->shared.is_news = false;
        for (size_t i = 0; i < FAKE_NODES; i++)
            if (w->shared.member[i] != NULL)
                w->shared.member[i]->on_news(w->shared.member[i]->arg);
        sim_advance(w->loop, 10);
    } while (w->shared.is_news);
}

static void reach(struct world *w, size_t i, bool is_reached)
{
    fleet_of(w, i)->is_reached = is_reached;
    mingle(w);
}

static void lead(struct world *w, size_t i)
{
    w->shared.leader = fleet_of(w, i);
    w->shared.term++;
    w->shared.has_decision = false;
    mingle(w);
}

/* What a target writes after a probe. */
static void write_verdict(struct world *w, size_t i, int slot, const struct verdict *v)
{
    const struct verdict_detail d = {
        .probed = v->state, .failures_in_row = v->state == VERDICT_DOWN, .successes_in_row = v->state == VERDICT_UP};
    verdict_write(&w->nodes[i]->table.verdicts, slot, v, &d);
}

static void probe(struct world *w, size_t i, int slot, enum verdict_state state)
{
    write_verdict(w, i, slot, &(struct verdict){.state = state, .checks_left = 2});
    steerer_probed(w->nodes[i]->steerer, slot);
    mingle(w);
}

static void probe_all(struct world *w, size_t i)
{
    for (int slot = 0; slot < SERVERS; slot++)
        probe(w, i, slot, VERDICT_UP);
}

static void operator_says(struct world *w, size_t i, int slot, const struct verdict *v)
{
    write_verdict(w, i, slot, v);
    steerer_touch(w->nodes[i]->steerer);
    mingle(w);
}

/* ---- what is answered ---- */

static struct steering_record record(const struct world *w, size_t i)
{
    struct steering_record r;
    assert_true(steering_load(&w->nodes[i]->table.steering, &r));
    return r;
}

static uint32_t answered(const struct world *w, size_t i, size_t row)
{
    const struct steering_record r = record(w, i);
    size_t seen = 0;
    for (size_t k = 0; k < w->conf[i]->dns.record_count; k++)
        if (w->conf[i]->dns.records[k].answer_count > 0 && seen++ == row) {
            const struct steering_row *found = steering_find(&r, steering_id(&w->conf[i]->dns.records[k]));
            return found != NULL ? found->chosen : 0;
        }
    return 0;
}

static struct steering_row first_row(const struct world *w, size_t i)
{
    const struct steering_record r = record(w, i);
    assert_true(r.row_count > 0);
    return r.rows[0];
}

#define ANSWERS_US 1u
#define ANSWERS_EU 2u

static const struct event *last_event(const struct world *w, size_t i, enum event_kind kind)
{
    const struct node *n = w->nodes[i];
    for (size_t k = n->event_count; k > 0; k--)
        if (n->events[k - 1].kind == kind)
            return &n->events[k - 1];
    return NULL;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    log_use_fd(open("/dev/null", O_WRONLY | O_CLOEXEC)); /* warnings are expected here */
    w->loop = loop_create();
    sim_set_wall(w->loop, INT64_C(1790000000000));
    add_node(w, 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < 3; i++) {
        if (w->nodes[i] != NULL)
            remove_node(w, i);
        if (w->conf[i] != NULL)
            conf_unref(&w->conf[i]);
    }
    loop_destroy(&w->loop);
    log_close();
    free(w);
    return 0;
}

static void configure_alone(struct world *w)
{
    configure(w, 0, "", RECORDS WITH_DB);
}

/* Two gateways, and a third voice; the first leads, everything is up. */
static void configure_fleet(struct world *w, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (w->nodes[i] == NULL)
            add_node(w, i);
        configure(w, i, QUORUM, RECORDS WITH_DB);
        fleet_of(w, i)->is_reached = true;
    }
    lead(w, 0);
    for (size_t i = 0; i < count; i++)
        probe_all(w, i);
}

/* ---- alone ---- */

static void what_nobody_has_judged_is_answered(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_int_equal(record(w, 0).serial, 1790000000);
    assert_int_equal(record(w, 0).role, STEERING_ALONE);
    assert_int_equal(record(w, 0).voter_count, 1);
}

static void a_name_fails_over_and_comes_back(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    const struct steering_record before = record(w, 0);
    sim_advance(w->loop, 3000);
    probe(w, 0, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    const struct steering_record after = record(w, 0);
    assert_int_equal(after.version, before.version + 1);
    assert_true(serial_is_newer(after.serial, before.serial));
    const struct event *e = last_event(w, 0, EVENT_DNS);
    assert_string_equal(e->from, "us");
    assert_string_equal(e->to, "eu");
    assert_string_equal(e->cause, "targets/us is down");
    assert_string_equal(e->subject, "api.rt.example.com"); /* the second record follows the first */
    assert_int_equal(e->phase, EVENT_ONCE);
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    /* within one second: the number after the last */
    probe(w, 0, US, VERDICT_DOWN);
    assert_true(serial_is_newer(record(w, 0).serial, after.serial));
}

static void a_result_that_changes_nothing_moves_no_serial(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    const struct steering_record before = record(w, 0);
    sim_advance(w->loop, 60000);
    probe(w, 0, EU, VERDICT_DOWN); /* the backup: nobody is answered with it */
    assert_int_equal(record(w, 0).serial, before.serial);
    assert_int_equal(record(w, 0).version, before.version);
}

/* interval 4s: a quarter of it between two results that contradict, two more of them needed. */
static void the_ttl_ends_with_the_earliest_flip(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    assert_int_equal(first_row(w, 0).ttl_s, 2);
    const uint32_t sequence = steering_sequence(&w->nodes[0]->table.steering);
    write_verdict(w, 0, US, &(struct verdict){.state = VERDICT_UP, .checks_left = 0});
    steerer_probed(w->nodes[0]->steerer, US);
    mingle(w);
    assert_int_equal(first_row(w, 0).ttl_s, 1);
    assert_int_not_equal(steering_sequence(&w->nodes[0]->table.steering), sequence);
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_UP, .is_forced = true, .checks_left = 255});
    assert_int_equal(first_row(w, 0).ttl_s, 60); /* only the operator can change it */
}

static void what_stays_is_not_stored_again(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    const uint32_t sequence = steering_sequence(&w->nodes[0]->table.steering);
    for (unsigned i = 0; i < 50; i++)
        probe(w, 0, US, VERDICT_UP);
    sim_advance(w->loop, 60000);
    assert_int_equal(steering_sequence(&w->nodes[0]->table.steering), sequence);
}

static void an_answer_needs_what_it_requires(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, DB, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_int_equal(answered(w, 0, 1), ANSWERS_EU);
    assert_string_equal(last_event(w, 0, EVENT_DNS)->cause, "targets/db is down");
    operator_says(w, 0, DB, &(struct verdict){.state = VERDICT_UP, .is_forced = true});
    assert_int_equal(answered(w, 0, 1), ANSWERS_US);
    assert_string_equal(last_event(w, 0, EVENT_DNS)->cause, "targets/db is forced up");
}

static void an_operator_drains_and_forces(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_UP, .is_draining = true, .checks_left = 2});
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_string_equal(last_event(w, 0, EVENT_DNS)->cause, "targets/us drains");
    probe(w, 0, EU, VERDICT_DOWN); /* nothing but what drains is left */
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_UP, .is_draining = true, .checks_left = 2});
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_DOWN, .is_forced = true});
    assert_true(first_row(w, 0).is_last_resort);
}

static void a_last_resort_begins_and_ends(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    probe(w, 0, EU, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US | ANSWERS_EU); /* all */
    assert_int_equal(answered(w, 0, 1), ANSWERS_EU);              /* fail-static: what was good last */
    assert_int_equal(last_event(w, 0, EVENT_DNS)->phase, EVENT_BEGINS);
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 1), ANSWERS_US);
    assert_int_equal(last_event(w, 0, EVENT_DNS)->phase, EVENT_ENDS);
}

static void who_is_cut_off_and_alone_keeps_the_last_decision(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    w->nodes[0]->table.verdicts.cut_off_wall_ms = loop_wall_ms(w->loop);
    probe(w, 0, EU, VERDICT_DOWN);
    probe(w, 0, US, VERDICT_UP);
    sim_advance(w->loop, 600000);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_int_equal(record(w, 0).serial, before.serial);
    assert_int_equal(record(w, 0).voter_count, 0);
    /* an operator sees more than we do */
    operator_says(w, 0, EU, &(struct verdict){.state = VERDICT_DOWN, .is_forced = true});
    assert_true(first_row(w, 0).is_last_resort);
    w->nodes[0]->table.verdicts.cut_off_wall_ms = 0;
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_int_equal(record(w, 0).voter_count, 1);
}

/* ---- restarts and reloads ---- */

static void a_restart_goes_on_from_the_file_until_a_probe_says_otherwise(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    restart(w, 0, false);
    configure_alone(w); /* nothing is judged: unknown is not down, but what was decided is known */
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_int_equal(record(w, 0).serial, before.serial);
    assert_int_equal(record(w, 0).version, before.version);
    assert_int_equal(w->nodes[0]->event_count, 0);
    /* a verdict that was only remembered, older than the decision, is no reason */
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_UP, .checks_left = 2});
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_true(serial_is_newer(record(w, 0).serial, before.serial));
}

/* The first failure of a server that was remembered as up does not bear that out. */
static void a_remembered_verdict_in_doubt_is_no_vote(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    restart(w, 0, false);
    configure_alone(w);
    const struct verdict_detail d = {.probed = VERDICT_UP, .failures_in_row = 1};
    verdict_write(&w->nodes[0]->table.verdicts, US, &(struct verdict){.state = VERDICT_UP, .checks_left = 1}, &d);
    steerer_probed(w->nodes[0]->steerer, US);
    mingle(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
}

static void the_serial_never_goes_back_whatever_the_clock_does(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const uint32_t before = record(w, 0).serial;
    sim_set_wall(w->loop, INT64_C(1600000000000));
    restart(w, 0, false);
    configure_alone(w);
    assert_int_equal(record(w, 0).serial, before);
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(record(w, 0).serial, before + 1);
}

static void without_a_file_the_table_remembers(void **state)
{
    struct world *w = *state;
    char path[80];
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    snprintf(path, sizeof path, "%s/steering", w->nodes[0]->dir);
    unlink(path);
    restart(w, 0, true);
    configure_alone(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_false(serial_is_newer(before.serial, record(w, 0).serial));
}

static void a_damaged_file_stops_nothing(void **state)
{
    struct world *w = *state;
    char path[80];
    configure_alone(w);
    snprintf(path, sizeof path, "%s/steering", w->nodes[0]->dir);
    assert_int_equal(truncate(path, 40), 0);
    restart(w, 0, false);
    configure_alone(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_true(record(w, 0).serial != 0);
}

static void it_is_on_the_disk_before_it_is_answered(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    /* whoever reads the file now finds at least what is answered */
    struct state_file *dir = state_file_open(w->nodes[0]->dir);
    struct strbuf text;
    struct decision *d = malloc(sizeof *d);
    strbuf_init(&text, DECISION_BYTES_MAX);
    assert_true(state_file_read(dir, "steering", &text));
    assert_true(decision_parse(d, text.data, text.len));
    assert_int_equal(d->serial, before.serial);
    assert_int_equal(d->version, before.version);
    assert_int_equal(d->rows[0].chosen, before.rows[0].chosen);
    strbuf_fini(&text);
    free(d);
    state_file_close(&dir);
}

static void a_reload_decides_new_records_and_leaves_the_others(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const uint32_t before = record(w, 0).serial;
    configure(w, 0, "", RECORDS "    - { name: www, a: [ 192.0.2.9 ] }\n"); /* api is gone, www is fixed */
    assert_int_equal(record(w, 0).row_count, 1);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    const uint32_t between = record(w, 0).serial;
    assert_true(serial_is_newer(between, before)); /* the fixed part is another one */
    configure(w, 0, "", RECORDS "    - { name: www, a: [ 192.0.2.9 ] }\n");
    assert_int_equal(record(w, 0).serial, between);
    configure(w, 0, "", RECORDS WITH_DB "    - { name: www, a: [ 192.0.2.9 ] }\n");
    assert_int_equal(answered(w, 0, 1), ANSWERS_EU); /* by what is known of the servers */
    assert_true(serial_is_newer(record(w, 0).serial, between));
}

static void a_record_that_follows_another_target_is_another_record(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    restart(w, 0, false);
    configure(w, 0, "",
              "    - name: '@'\n      answers:\n        - { target: db, a: [ 192.0.2.1 ] }\n"
              "        - { target: eu, tier: backup, a: [ 192.0.2.2 ] }\n");
    assert_int_equal(answered(w, 0, 0), 1);
}

/* A slot the supervisor could not give: nobody judges it, and unknown is not down. */
static void a_target_without_a_slot_is_unknown(void **state)
{
    struct world *w = *state;
    slots_init(&w->nodes[0]->slots);
    memset(&w->nodes[0]->slots.server, 0, sizeof w->nodes[0]->slots.server);
    configure_alone(w);
    sim_advance(w->loop, 10000);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_int_equal(first_row(w, 0).ttl_s, 60);
}

/* ---- together ---- */

static void the_majority_decides_and_all_follow(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 3);
    assert_int_equal(record(w, 0).role, STEERING_LEADS);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_int_equal(record(w, 1).voter_count, 3);
    const uint32_t before = record(w, 1).serial;
    sim_advance(w->loop, 2000);
    probe(w, 0, US, VERDICT_DOWN); /* one of three */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(answered(w, i, 0), ANSWERS_US);
    assert_true(fleet_of(w, 1)->is_hurried);
    assert_int_equal(first_row(w, 1).ttl_s, 2);
    probe(w, 2, US, VERDICT_DOWN); /* two of three */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(answered(w, i, 0), ANSWERS_EU);
        assert_int_equal(record(w, i).serial, record(w, 0).serial);
        assert_int_equal(record(w, i).version, record(w, 0).version);
        assert_int_equal(record(w, i).term, 1);
    }
    assert_true(serial_is_newer(record(w, 1).serial, before));
    assert_string_equal(last_event(w, 1, EVENT_DNS)->to, "eu");
}

static void a_tie_leaves_what_was_also_under_a_new_leader(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    probe(w, 0, US, VERDICT_DOWN);
    probe(w, 1, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    probe(w, 0, US, VERDICT_UP); /* one says so, one does not */
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    lead(w, 1);
    assert_int_equal(record(w, 1).role, STEERING_LEADS);
    assert_int_equal(record(w, 0).role, STEERING_FOLLOWS);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_int_equal(record(w, 0).term, 2);
    probe(w, 1, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
}

static void a_new_leader_who_knows_nothing_goes_on_from_the_last_decision(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 1);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    add_node(w, 1); /* never probed anything */
    configure(w, 1, QUORUM, RECORDS WITH_DB);
    fleet_of(w, 1)->is_reached = true;
    mingle(w);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    remove_node(w, 0);
    lead(w, 1);
    assert_int_equal(record(w, 1).role, STEERING_LEADS);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_false(serial_is_newer(before.serial, record(w, 1).serial));
    assert_true(w->shared.has_decision);
    assert_int_equal(w->shared.decision.term, 2);
}

static void a_leader_of_the_past_is_not_believed(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    lead(w, 0);
    lead(w, 0);
    struct decision *past = malloc(sizeof *past);
    memcpy(past, &w->shared.decision, sizeof *past);
    assert_int_equal(record(w, 1).term, 3);
    past->term = 2;
    past->version += 100;
    for (size_t i = 0; i < past->row_count; i++)
        past->rows[i].chosen = ANSWERS_EU;
    memcpy(&w->shared.decision, past, sizeof *past);
    mingle(w);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    past->term = 3; /* of this term, but a version that is over */
    past->version = 0;
    memcpy(&w->shared.decision, past, sizeof *past);
    mingle(w);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    assert_int_equal(record(w, 1).term, 3);
    free(past);
}

static void redis_away_keeps_the_decision_for_a_lease_then_each_decides_alone(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    probe(w, 1, US, VERDICT_DOWN); /* the follower alone sees it: a tie */
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    w->shared.leader = NULL; /* the lease ran out, nobody takes it; views are still there */
    w->shared.has_decision = false;
    mingle(w);
    sim_advance(w->loop, LIFETIME_MS - 1000);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_int_equal(first_row(w, 1).ttl_s, 1); /* nobody knows what comes */
    reach(w, 0, false);                         /* not reached for a lease: fleet_is_connected() says so after one */
    reach(w, 1, false);
    assert_int_equal(record(w, 1).role, STEERING_ALONE);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    const struct event *e = last_event(w, 1, EVENT_QUORUM);
    assert_int_equal(e->phase, EVENT_BEGINS);
    assert_string_equal(e->subject, "two");
    assert_string_equal(e->from, "follows");
    assert_string_equal(e->to, "alone");
    const uint32_t alone = record(w, 1).serial;

    fleet_of(w, 0)->is_reached = fleet_of(w, 1)->is_reached = true;
    lead(w, 0);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US); /* a tie: what the leader goes on from */
    assert_true(serial_is_newer(record(w, 1).serial, alone));
    assert_int_equal(last_event(w, 1, EVENT_QUORUM)->phase, EVENT_ENDS);
}

static void a_leader_who_falls_silent_is_waited_for(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    probe(w, 1, US, VERDICT_DOWN);
    remove_node(w, 0); /* he is gone, and with him his view; the lease goes on */
    mingle(w);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    sim_advance(w->loop, LIFETIME_MS - 500);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    sim_advance(w->loop, 501);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_int_equal(record(w, 1).role, STEERING_ALONE);
}

static void a_restart_waits_for_the_others_before_it_decides(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    probe(w, 0, US, VERDICT_DOWN);
    probe(w, 1, US, VERDICT_DOWN);
    restart(w, 1, false);
    configure(w, 1, QUORUM, RECORDS WITH_DB);
    probe(w, 1, US, VERDICT_UP);
    sim_advance(w->loop, 1000);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU); /* not reached yet */
    assert_null(last_event(w, 1, EVENT_QUORUM));
    reach(w, 1, true);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    stop(w, 1);
    w->nodes[1]->event_count = 0;
    start(w, 1);
    configure(w, 1, QUORUM, RECORDS WITH_DB);
    probe(w, 1, US, VERDICT_UP);
    sim_advance(w->loop, LIFETIME_MS); /* nobody is there: so be it */
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    assert_int_equal(last_event(w, 1, EVENT_QUORUM)->phase, EVENT_BEGINS);
}

static void who_is_cut_off_follows_those_who_see(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 3);
    w->nodes[0]->table.verdicts.cut_off_wall_ms = loop_wall_ms(w->loop); /* the leader, blinded */
    steerer_touch(w->nodes[0]->steerer);
    mingle(w);
    assert_int_equal(record(w, 0).voter_count, 2);
    assert_int_equal(record(w, 1).voter_count, 2);
    probe(w, 1, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    probe(w, 2, US, VERDICT_DOWN);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(answered(w, i, 0), ANSWERS_EU);
    /* all of them: it stands */
    for (size_t i = 1; i < 3; i++) {
        w->nodes[i]->table.verdicts.cut_off_wall_ms = loop_wall_ms(w->loop);
        steerer_touch(w->nodes[i]->steerer);
    }
    mingle(w);
    probe(w, 1, EU, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_int_equal(record(w, 0).voter_count, 0);
}

static void an_operator_anywhere_is_heard_everywhere(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 3);
    operator_says(w, 2, US, &(struct verdict){.state = VERDICT_UP, .is_draining = true, .checks_left = 2});
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(answered(w, i, 0), ANSWERS_EU);
    operator_says(w, 2, US, &(struct verdict){.state = VERDICT_UP, .checks_left = 2});
    operator_says(w, 1, US, &(struct verdict){.state = VERDICT_DOWN, .is_forced = true});
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(answered(w, i, 0), ANSWERS_EU);
}

static void a_follower_with_another_configuration_decides_what_the_leader_does_not_have(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    const uint32_t before = record(w, 1).serial;
    configure(w, 1, QUORUM,
              RECORDS WITH_DB "    - name: new\n      answers:\n        - { target: db, a: [ 192.0.2.7 ] }\n"
                              "        - { target: eu, tier: backup, a: [ 192.0.2.8 ] }\n");
    mingle(w);
    assert_int_equal(answered(w, 1, 2), 1);
    const uint32_t reloaded = record(w, 1).serial;
    assert_true(serial_is_newer(reloaded, before)); /* it answers more than the leader */
    probe(w, 0, US, VERDICT_DOWN);
    probe(w, 1, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_true(serial_is_newer(record(w, 1).serial, reloaded));
}

static void it_is_told_who_says_what(void **state)
{
    struct world *w = *state;
    struct steering_fleet f;
    configure_fleet(w, 3);
    probe(w, 2, US, VERDICT_DOWN);
    operator_says(w, 1, EU, &(struct verdict){.state = VERDICT_UP, .is_draining = true});
    sim_advance(w->loop, 1000);
    assert_true(steering_load_fleet(&w->nodes[0]->table.steering, &f));
    assert_true(f.is_configured && f.is_connected);
    assert_int_equal(f.peer_count, 2);
    assert_string_equal(f.peers[0].node, "two");
    assert_string_equal(f.peers[0].region, "here");
    assert_true(f.peers[0].is_gateway && !f.peers[0].is_leader && !f.peers[0].is_cut_off);
    assert_in_range(f.peers[0].heard_wall_ms, loop_wall_ms(w->loop) - 1007, loop_wall_ms(w->loop) - 7);
    assert_int_equal(f.peers[0].says[EU], VERDICT_UP | STEERING_SAYS_DRAINING);
    assert_int_equal(f.peers[1].says[US], VERDICT_DOWN);
    assert_int_equal(f.effective[US], VERDICT_UP);
    assert_int_equal(f.effective[EU], VERDICT_UP | STEERING_SAYS_DRAINING);
    assert_true(steering_load_fleet(&w->nodes[1]->table.steering, &f));
    assert_true(f.peers[0].is_leader);
    reach(w, 0, false);
    assert_true(steering_load_fleet(&w->nodes[0]->table.steering, &f));
    assert_false(f.is_connected);
    assert_int_equal(f.peer_count, 0);
}

static void a_flip_is_told_at_once_and_a_dispute_is_not_hurried_for_ever(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 3);
    probe(w, 1, US, VERDICT_DOWN);
    assert_true(fleet_of(w, 1)->was_urgent);
    assert_true(fleet_of(w, 0)->is_hurried);
    write_verdict(w, 1, US, &(struct verdict){.state = VERDICT_DOWN, .checks_left = 0});
    steerer_probed(w->nodes[1]->steerer, US);
    mingle(w);
    assert_false(fleet_of(w, 1)->was_urgent); /* only closer to one */
    sim_advance(w->loop, 30000);
    assert_false(fleet_of(w, 0)->is_hurried);
    probe(w, 1, US, VERDICT_UP);
    assert_false(fleet_of(w, 0)->is_hurried);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_nobody_has_judged_is_answered),
        TEST(a_name_fails_over_and_comes_back),
        TEST(a_result_that_changes_nothing_moves_no_serial),
        TEST(the_ttl_ends_with_the_earliest_flip),
        TEST(what_stays_is_not_stored_again),
        TEST(an_answer_needs_what_it_requires),
        TEST(an_operator_drains_and_forces),
        TEST(a_last_resort_begins_and_ends),
        TEST(who_is_cut_off_and_alone_keeps_the_last_decision),
        TEST(a_restart_goes_on_from_the_file_until_a_probe_says_otherwise),
        TEST(a_remembered_verdict_in_doubt_is_no_vote),
        TEST(the_serial_never_goes_back_whatever_the_clock_does),
        TEST(without_a_file_the_table_remembers),
        TEST(a_damaged_file_stops_nothing),
        TEST(it_is_on_the_disk_before_it_is_answered),
        TEST(a_reload_decides_new_records_and_leaves_the_others),
        TEST(a_record_that_follows_another_target_is_another_record),
        TEST(a_target_without_a_slot_is_unknown),
        TEST(the_majority_decides_and_all_follow),
        TEST(a_tie_leaves_what_was_also_under_a_new_leader),
        TEST(a_new_leader_who_knows_nothing_goes_on_from_the_last_decision),
        TEST(a_leader_of_the_past_is_not_believed),
        TEST(redis_away_keeps_the_decision_for_a_lease_then_each_decides_alone),
        TEST(a_leader_who_falls_silent_is_waited_for),
        TEST(a_restart_waits_for_the_others_before_it_decides),
        TEST(who_is_cut_off_follows_those_who_see),
        TEST(an_operator_anywhere_is_heard_everywhere),
        TEST(a_follower_with_another_configuration_decides_what_the_leader_does_not_have),
        TEST(it_is_told_who_says_what),
        TEST(a_flip_is_told_at_once_and_a_dispute_is_not_hurried_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
