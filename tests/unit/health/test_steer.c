/* What is chosen. Candidates are written one letter each: state U up, D down, ? unknown, with a following ' when it
 * drains; tiers p b e; the choice as the numbers that are answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "health/steer.h"

static size_t read_views(const char *states, const char *tiers, struct steer_candidate *c, struct steer_view *v)
{
    size_t count = 0;
    for (; *states != '\0'; states++) {
        if (*states == '\'') {
            v[count - 1].is_draining = true;
            continue;
        }
        const char tier = tiers[count];
        c[count] = (struct steer_candidate){.tier = tier == 'p'   ? TIER_PRIMARY
                                                    : tier == 'b' ? TIER_BACKUP
                                                                  : TIER_EMERGENCY,
                                            .weight = 1};
        v[count] = (struct steer_view){.state = *states == 'U'   ? VERDICT_UP
                                                : *states == 'D' ? VERDICT_DOWN
                                                                 : VERDICT_UNKNOWN,
                                       .checks_left = 1,
                                       .interval_ms = 1000};
        count++;
    }
    return count;
}

static const char *chosen_text(const struct steer_choice *c, char out[64])
{
    size_t len = 0;
    for (unsigned i = 0; i < 32; i++)
        len += (c->chosen >> i & 1) != 0 ? (size_t)snprintf(out + len, 64 - len, "%u", i) : 0;
    snprintf(out + len, 64 - len, "%s%s", c->is_draining ? " draining" : "", c->is_last_resort ? " last resort" : "");
    return out;
}

#define F         STEER_FAILOVER
#define A         STEER_ALL_HEALTHY
#define W         STEER_WEIGHTED
#define ALL       RESORT_ALL
#define EMERGENCY RESORT_EMERGENCY
#define STATIC    RESORT_FAIL_STATIC
static void choices(void **state)
{
    static const struct {
        enum conf_steer kind;
        enum conf_resort resort;
        const char *tiers, *states;
        uint32_t last_good;
        const char *chosen;
    } rows[] = {
        {F, ALL, "pbe", "UUU", 0, "0"},
        {F, ALL, "pbe", "DUU", 0, "1"},
        {F, ALL, "pbe", "DDU", 0, "2"},
        {F, ALL, "ppb", "UUU", 0, "01"},
        {F, ALL, "ppb", "DUU", 0, "1"},
        {F, ALL, "bpe", "UUU", 0, "1"}, /* tiers count, not the order they are written in */
        /* Unknown is not down. */
        {F, ALL, "pbe", "???", 0, "0"},
        {F, ALL, "pbe", "?UU", 0, "0"},
        {F, ALL, "ppb", "?UU", 0, "01"},
        {F, ALL, "pbe", "D??", 0, "1"},
        /* What drains stands back, but not behind nothing. */
        {F, ALL, "pbe", "U'UU", 0, "1"},
        {F, ALL, "pbe", "U'DU", 0, "2"},
        {F, ALL, "pb", "U'D", 0, "0 draining"},
        {F, ALL, "pb", "U'U'", 0, "0 draining"},
        {F, ALL, "pb", "D'U", 0, "1"},
        {F, ALL, "pb", "D'D", 0, "01 last resort"},
        /* Nothing stands. */
        {F, ALL, "pbe", "DDD", 2, "012 last resort"},
        {F, EMERGENCY, "pbe", "DDD", 2, "2 last resort"},
        {F, EMERGENCY, "pb", "DD", 2, "01 last resort"},
        {F, STATIC, "pbe", "DDD", 2, "1 last resort"},
        {F, STATIC, "pbe", "DDD", 0, "012 last resort"},
        {F, STATIC, "pb", "DD", 0xfc, "01 last resort"}, /* of candidates that are gone */
        {F, STATIC, "pbe", "DUD", 1, "1"},
        /* All that stand; the emergency tier only for itself. */
        {A, ALL, "ppb", "UUU", 0, "012"},
        {A, ALL, "ppb", "UDU", 0, "02"},
        {A, ALL, "ppe", "UDU", 0, "0"},
        {A, ALL, "ppe", "DDU", 0, "2"},
        {A, ALL, "ppe", "?DU", 0, "0"},
        {A, ALL, "ppp", "U'UD", 0, "1"},
        {A, ALL, "ppp", "DDD", 0, "012 last resort"},
        {W, ALL, "ppb", "UUU", 0, "01"},
        {W, ALL, "ppb", "DDU", 0, "2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct steer_policy p = {.kind = rows[i].kind, .resort = rows[i].resort, .ttl_max_s = 60};
        struct steer_candidate c[8];
        struct steer_view v[8];
        char text[64];
        const size_t count = read_views(rows[i].states, rows[i].tiers, c, v);
        const struct steer_choice choice = steer_choose(&p, c, v, count, rows[i].last_good);
        if (strcmp(chosen_text(&choice, text), rows[i].chosen) != 0)
            fail_msg("row %zu, %s in %s: %s, not %s", i, rows[i].states, rows[i].tiers, text, rows[i].chosen);
    }
}

/* The TTL ends with the earliest flip that changes the choice: of what is answered, or of what is better. */
static void how_long_it_is_believed(void **state)
{
    static const struct {
        const char *tiers, *states;
        uint8_t left[3];
        uint32_t interval_ms[3];
        uint32_t min_s, max_s, ttl_s;
    } rows[] = {
        {"pbe", "UUU", {5, 0, 0}, {1000, 1000, 1000}, 0, 60, 5},  /* only the primary matters */
        {"pbe", "DUU", {9, 5, 0}, {1000, 1000, 1000}, 0, 60, 5},  /* the backup may fall */
        {"pbe", "DUU", {3, 5, 0}, {1000, 1000, 1000}, 0, 60, 3},  /* before that the primary may rise */
        {"pbe", "UUU", {5, 0, 0}, {4000, 1000, 1000}, 0, 60, 20}, /* slow checks */
        {"pbe", "UUU", {5, 0, 0}, {4000, 1000, 1000}, 0, 10, 10}, /* not over the maximum, */
        {"pbe", "UUU", {0, 9, 9}, {1000, 1000, 1000}, 2, 60, 2},  /* nor under the minimum */
        {"pbe", "UUU", {1, 9, 9}, {1500, 1000, 1000}, 0, 60, 1},  /* down to whole seconds */
        {"ppp", "UUU", {9, 3, 7}, {1000, 1000, 1000}, 0, 60, 3},
        {"pbe", "?UU", {4, 1, 1}, {1000, 1000, 1000}, 0, 60, 4}, /* unknown may turn out to be down */
        {"pbe", "UUU", {0, 9, 9}, {0, 1000, 1000}, 0, 60, 60},   /* never checked: it stays what it is */
        {"ppp", "DDD", {2, 3, 4}, {1000, 1000, 1000}, 0, 60, 2}, /* the last resort ends with the first rise */
        {"pbe", "UUU", {255, 9, 9}, {4294967295u, 1000, 1000}, 0, 86400, 86400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct steer_policy p = {.kind = STEER_FAILOVER, .ttl_min_s = rows[i].min_s, .ttl_max_s = rows[i].max_s};
        struct steer_candidate c[3];
        struct steer_view v[3];
        const size_t count = read_views(rows[i].states, rows[i].tiers, c, v);
        for (size_t k = 0; k < count; k++) {
            v[k].checks_left = rows[i].left[k];
            v[k].interval_ms = rows[i].interval_ms[k];
        }
        assert_int_equal(steer_choose(&p, c, v, count, 0).ttl_s, rows[i].ttl_s);
        v[0].is_forced = v[1].is_forced = v[2].is_forced = true;
        assert_int_equal(steer_choose(&p, c, v, count, 0).ttl_s, rows[i].max_s);
    }
}

static void weight_zero_is_not_answered(void **state)
{
    const struct steer_policy p = {.kind = STEER_WEIGHTED, .ttl_max_s = 60};
    struct steer_candidate c[3];
    struct steer_view v[3];
    char text[64];
    (void)state;
    const size_t count = read_views("UUU", "ppb", c, v);
    c[0].weight = 0;
    struct steer_choice choice = steer_choose(&p, c, v, count, 0);
    assert_string_equal(chosen_text(&choice, text), "1");
    c[1].weight = 0;
    choice = steer_choose(&p, c, v, count, 0);
    assert_string_equal(chosen_text(&choice, text), "2");
}

/* Over all random numbers the shares are the weights. */
static void shares(void **state)
{
    static const struct {
        uint32_t chosen;
        uint16_t weights[4];
        unsigned share[4]; /* of 1000 */
    } rows[] = {
        {15, {1, 1, 1, 1}, {250, 250, 250, 250}}, {15, {1, 2, 3, 4}, {100, 200, 300, 400}},
        {10, {9, 1, 9, 3}, {0, 250, 0, 750}},     {5, {0, 7, 10, 7}, {0, 0, 1000, 0}},
        {3, {0, 0, 1, 1}, {500, 500, 0, 0}},      {8, {0, 0, 0, 65535}, {0, 0, 0, 1000}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned got[4] = {0};
        for (uint32_t n = 0; n < 1000; n++)
            got[steer_pick(rows[i].chosen, rows[i].weights, n * 4294967u + 2000)]++;
        for (size_t k = 0; k < 4; k++)
            assert_in_range(got[k] + 1, rows[i].share[k], rows[i].share[k] + 2);
    }
}

/* As many as a bitmap has bits. */
static void thirty_two(void **state)
{
    const struct steer_policy p = {.kind = STEER_ALL_HEALTHY, .ttl_max_s = 60};
    struct steer_candidate c[32] = {{TIER_PRIMARY, 1}};
    struct steer_view v[32] = {{VERDICT_UP, false, false, 1, 1000}};
    (void)state;
    assert_int_equal(steer_choose(&p, c, v, 32, 0).chosen, UINT32_MAX);
    for (size_t i = 0; i < 32; i++)
        v[i].state = VERDICT_DOWN;
    assert_int_equal(steer_choose(&p, c, v, 32, 0).chosen, UINT32_MAX);
    v[31].state = VERDICT_UP;
    assert_int_equal(steer_choose(&p, c, v, 32, 0).chosen, UINT32_C(1) << 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices),
        cmocka_unit_test(how_long_it_is_believed),
        cmocka_unit_test(weight_zero_is_not_answered),
        cmocka_unit_test(shares),
        cmocka_unit_test(thirty_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
