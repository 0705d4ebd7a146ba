/* Three gateways through whatever may happen to them, in an order that a seed says. Nothing is asked of single answers;
 * what has to hold is looked at after every step: serials and terms never go back, no answer changes under the serial
 * it had, there are no two leaders, who follows answers what was decided, and nobody is told news for ever (mingle()).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/replay/steering_world.h"

#define SEEDS 16
#define STEPS 200
#define NODES 3

static const char *const zones[] = {
    RECORDS WITH_DB,
    RECORDS,
    RECORDS WITH_DB "    - { name: www, a: [ 192.0.2.9 ] }\n",
    RECORDS WITH_DB "    - name: new\n      answers:\n        - { target: db, a: [ 192.0.2.7 ] }\n"
                    "        - { target: eu, tier: backup, a: [ 192.0.2.8 ] }\n",
};

struct walk {
    struct world *w;
    uint64_t seed, bits;
    unsigned step;
    const char *zone[NODES];
    struct steering_record before[NODES];
};

static unsigned draw(struct walk *k, unsigned count)
{
    k->bits = k->bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(k->bits >> 33) % count;
}

static enum verdict_state any_state(struct walk *k)
{
    return draw(k, 2) != 0 ? VERDICT_UP : VERDICT_DOWN;
}

/* ---- what may happen ---- */

static void a_probe_ends(struct walk *k, size_t i)
{
    const int slot = (int)draw(k, SERVERS);
    probe(k->w, i, slot, any_state(k));
}

static void redis_comes_or_goes(struct walk *k, size_t i)
{
    reach(k->w, i, !fleet_of(k->w, i)->is_reached);
}

static void it_leads(struct walk *k, size_t i)
{
    if (fleet_of(k->w, i)->is_reached)
        lead(k->w, i);
}

static void nobody_leads(struct walk *k, size_t i)
{
    (void)i;
    k->w->shared.leader = NULL;
    mingle(k->w);
}

static void it_is_cut_off_or_sees_again(struct walk *k, size_t i)
{
    struct verdict_table *t = &k->w->nodes[i]->table.verdicts;
    t->cut_off_wall_ms = t->cut_off_wall_ms != 0 ? 0 : loop_wall_ms(k->w->loop);
    steerer_touch(k->w->nodes[i]->steerer);
    mingle(k->w);
}

static void it_crashes(struct walk *k, size_t i)
{
    const bool is_reached = fleet_of(k->w, i)->is_reached;
    restart(k->w, i, draw(k, 2) != 0);
    configure(k->w, i, QUORUM, k->zone[i]);
    reach(k->w, i, is_reached);
}

static void it_is_reloaded(struct walk *k, size_t i)
{
    k->zone[i] = zones[draw(k, sizeof zones / sizeof zones[0])];
    configure(k->w, i, QUORUM, k->zone[i]);
    mingle(k->w);
}

static void time_passes(struct walk *k, size_t i)
{
    (void)i;
    sim_advance(k->w->loop, 1 + draw(k, 9000));
}

static void an_operator_speaks(struct walk *k, size_t i)
{
    const int slot = (int)draw(k, SERVERS);
    struct verdict v = {.state = any_state(k), .checks_left = 1};
    v.is_forced = draw(k, 2) != 0;
    v.is_draining = draw(k, 3) == 0;
    operator_says(k->w, i, slot, &v);
}

static void (*const happenings[])(struct walk *k, size_t i) = {
    a_probe_ends,
    a_probe_ends,
    a_probe_ends,
    redis_comes_or_goes,
    it_leads,
    nobody_leads,
    it_is_cut_off_or_sees_again,
    it_crashes,
    it_is_reloaded,
    time_passes,
    an_operator_speaks,
};

/* ---- what has to hold ---- */

static void hold(const struct walk *k, bool is_so, size_t i, const char *what)
{
    if (!is_so)
        fail_msg("seed %llu, step %u, node %zu: %s", (unsigned long long)k->seed, k->step, i, what);
}

static void look_at(struct walk *k, size_t i)
{
    const struct steering_record *before = &k->before[i], now = record(k->w, i);
    const struct decision *d = fleet_decision(fleet_of(k->w, i));

    hold(k, now.serial != 0 && !serial_is_newer(before->serial, now.serial), i, "the serial went back");
    hold(k, now.term >= before->term, i, "the term went back");
    for (uint32_t r = 0; r < now.row_count; r++) {
        const struct steering_row *was = steering_find(before, now.rows[r].id);
        const struct decision_row *decided = d != NULL ? decision_find(d, now.rows[r].id) : NULL;
        hold(k, was == NULL || was->chosen == now.rows[r].chosen || now.serial != before->serial, i,
             "an answer changed under its serial");
        hold(k,
             now.role != STEERING_FOLLOWS || decided == NULL || now.term != d->term ||
                 decided->chosen == now.rows[r].chosen,
             i, "a follower answers something else");
    }
    hold(k,
         now.role != STEERING_LEADS || !fleet_of(k->w, i)->is_reached || fleet_leads(fleet_of(k->w, i)) ||
             k->w->shared.leader == NULL,
         i, "there are two leaders");
    k->before[i] = now;
    k->w->nodes[i]->event_count = 0;
}

static void whatever_happens_nothing_goes_back(void **state)
{
    struct walk k = {.w = *state};
    configure_fleet(k.w, NODES);
    for (size_t i = 0; i < NODES; i++) {
        k.zone[i] = zones[0];
        k.before[i] = record(k.w, i);
    }
    for (k.seed = 1; k.seed <= SEEDS; k.seed++) {
        k.bits = k.seed;
        for (k.step = 0; k.step < STEPS; k.step++) {
            const size_t i = draw(&k, NODES);
            happenings[draw(&k, sizeof happenings / sizeof happenings[0])](&k, i);
            for (size_t n = 0; n < NODES; n++)
                look_at(&k, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whatever_happens_nothing_goes_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
