/* Gateways that decide about DNS, under a virtual clock. Verdicts are written to the tables as targets do; the fleet is
 * one place in memory (fake_fleet.h). To be included first. */
#ifndef TESTS_REPLAY_STEERING_WORLD_H
#define TESTS_REPLAY_STEERING_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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

static inline struct conf *conf_of(const char *node, const char *more, const char *records)
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

static inline void on_event(void *arg, const struct event *e)
{
    struct node *n = arg;
    assert_true(n->event_count < EVENTS_MAX);
    n->events[n->event_count++] = *e;
}

static inline struct fleet *fleet_of(struct world *w, size_t i)
{
    for (size_t k = 0; k < FAKE_NODES; k++)
        if (w->shared.member[k] != NULL && w->shared.member[k]->arg == w->nodes[i]->steerer)
            return w->shared.member[k];
    return NULL;
}

static inline void start(struct world *w, size_t i)
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

static inline void add_node(struct world *w, size_t i)
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

static inline void stop(struct world *w, size_t i)
{
    struct node *n = w->nodes[i];
    struct state_file *file = n->birth.birth.verdicts.base;
    steerer_destroy(&n->steerer);
    state_file_close(&file);
}

/* Another process on the same machine state: `with_table` for a crash of the checker, without for one of everything. */
static inline void restart(struct world *w, size_t i, bool with_table)
{
    struct node *n = w->nodes[i];
    stop(w, i);
    if (!with_table)
        health_table_init(&n->table);
    n->event_count = 0;
    start(w, i);
}

static inline void remove_node(struct world *w, size_t i)
{
    char path[80];
    stop(w, i);
    snprintf(path, sizeof path, "%s/steering", w->nodes[i]->dir);
    unlink(path);
    rmdir(w->nodes[i]->dir);
    free(w->nodes[i]);
    w->nodes[i] = NULL;
}

static inline void configure(struct world *w, size_t i, const char *more, const char *records)
{
    static const char *const names[] = {"one", "two", "three"};
    if (w->conf[i] != NULL)
        conf_unref(&w->conf[i]);
    w->conf[i] = conf_of(names[i], more, records);
    steerer_take_conf(w->nodes[i]->steerer, w->conf[i]);
}

/* Lets everybody look until nobody has anything to tell. */
static inline void mingle(struct world *w)
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

static inline void reach(struct world *w, size_t i, bool is_reached)
{
    fleet_of(w, i)->is_reached = is_reached;
    mingle(w);
}

static inline void lead(struct world *w, size_t i)
{
    w->shared.leader = fleet_of(w, i);
    w->shared.term++;
    mingle(w);
}

/* What a target writes after a probe. */
static inline void write_verdict(struct world *w, size_t i, int slot, const struct verdict *v)
{
    const struct verdict_detail d = {
        .probed = v->state, .failures_in_row = v->state == VERDICT_DOWN, .successes_in_row = v->state == VERDICT_UP};
    verdict_write(&w->nodes[i]->table.verdicts, slot, v, &d);
}

static inline void probe(struct world *w, size_t i, int slot, enum verdict_state state)
{
    write_verdict(w, i, slot, &(struct verdict){.state = state, .checks_left = 2});
    steerer_probed(w->nodes[i]->steerer, slot);
    mingle(w);
}

static inline void probe_all(struct world *w, size_t i)
{
    for (int slot = 0; slot < SERVERS; slot++)
        probe(w, i, slot, VERDICT_UP);
}

static inline void operator_says(struct world *w, size_t i, int slot, const struct verdict *v)
{
    write_verdict(w, i, slot, v);
    steerer_touch(w->nodes[i]->steerer);
    mingle(w);
}

/* ---- what is answered ---- */

static inline struct steering_record record(const struct world *w, size_t i)
{
    struct steering_record r;
    assert_true(steering_load(&w->nodes[i]->table.steering, &r));
    return r;
}

static inline uint32_t answered(const struct world *w, size_t i, size_t row)
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

static inline struct steering_row first_row(const struct world *w, size_t i)
{
    const struct steering_record r = record(w, i);
    assert_true(r.row_count > 0);
    return r.rows[0];
}

#define ANSWERS_US 1u
#define ANSWERS_EU 2u

static inline const struct event *last_event(const struct world *w, size_t i, enum event_kind kind)
{
    const struct node *n = w->nodes[i];
    for (size_t k = n->event_count; k > 0; k--)
        if (n->events[k - 1].kind == kind)
            return &n->events[k - 1];
    return NULL;
}

static inline int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    log_use_fd(open("/dev/null", O_WRONLY | O_CLOEXEC)); /* warnings are expected here */
    w->loop = loop_create();
    sim_set_wall(w->loop, INT64_C(1790000000000));
    add_node(w, 0);
    *state = w;
    return 0;
}

static inline int teardown(void **state)
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

static inline void configure_alone(struct world *w)
{
    configure(w, 0, "", RECORDS WITH_DB);
}

/* Two gateways, and a third voice; the first leads, everything is up. */
static inline void configure_fleet(struct world *w, size_t count)
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

#endif
