/* The circuit breaker, as scripts of what attempts do and what state that leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/upstream/circuit.h"

#define OPEN_MS 10000

/* One letter per event; attempts end in the order they began:
 *   a  an attempt is admitted        o f c  the oldest ends: ok, failed, cancelled
 *   z  the newest ends: ok           t      the open time goes by, less one millisecond
 *   .  one millisecond               h      the checker saw the server well */
struct play {
    const char *script;
    enum circuit_state state;
    bool admits;
};

static const struct circuit_limits limits = {.failures = 3, .open_ms = OPEN_MS, .half_open_count = 1};

static void play(const struct circuit_limits *l, const struct play *p)
{
    struct circuit c = {0};
    struct circuit_ticket held[64];
    size_t first = 0, end = 0;
    int64_t now_ms = 1000;
    for (const char *s = p->script; *s != '\0'; s++) {
        switch (*s) {
        case 'a':
            if (!circuit_admits(&c, l, now_ms))
                fail_msg("\"%s\": not admitted at %zu", p->script, (size_t)(s - p->script));
            held[end++] = circuit_admit(&c, l, now_ms);
            break;
        case 'o':
            circuit_settle(&c, l, held[first++], CIRCUIT_RESULT_OK, now_ms);
            break;
        case 'f':
            circuit_settle(&c, l, held[first++], CIRCUIT_RESULT_FAILED, now_ms);
            break;
        case 'c':
            circuit_settle(&c, l, held[first++], CIRCUIT_RESULT_CANCELLED, now_ms);
            break;
        case 'z':
            circuit_settle(&c, l, held[--end], CIRCUIT_RESULT_OK, now_ms);
            break;
        case 't':
            now_ms += OPEN_MS - 1;
            break;
        case '.':
            now_ms++;
            break;
        case 'h':
            circuit_hasten(&c, now_ms);
            break;
        case ' ':
            break;
        default:
            fail_msg("\"%s\": what is '%c'?", p->script, *s);
        }
    }
    if (c.state != p->state)
        fail_msg("\"%s\" ends %s, not %s", p->script, circuit_state_text(c.state), circuit_state_text(p->state));
    if (circuit_admits(&c, l, now_ms) != p->admits)
        fail_msg("\"%s\" should %sadmit", p->script, p->admits ? "" : "not ");
}

static void play_all(const struct circuit_limits *l, const struct play *plays, size_t count)
{
    for (size_t i = 0; i < count; i++)
        play(l, &plays[i]);
}
#define PLAY(l, plays) play_all((l), (plays), sizeof(plays) / sizeof(plays)[0])

static void test_failures_in_a_row_open_it(void **state)
{
    (void)state;
    static const struct play plays[] = {
        {"", CIRCUIT_CLOSED, true},
        {"af af", CIRCUIT_CLOSED, true},
        {"af af af", CIRCUIT_OPEN, false},
        {"af af ao af af", CIRCUIT_CLOSED, true}, /* a success between begins the count anew */
        {"af af ac af", CIRCUIT_OPEN, false},     /* a cancelled attempt proves nothing */
        {"aaa fff", CIRCUIT_OPEN, false},
        {"ac ac ac ac", CIRCUIT_CLOSED, true},
    };
    PLAY(&limits, plays);
}

static void test_it_rests_then_one_attempt_decides(void **state)
{
    (void)state;
    static const struct play plays[] = {
        {"af af af t", CIRCUIT_OPEN, false}, /* not a millisecond early */
        {"af af af t.", CIRCUIT_OPEN, true},
        {"af af af t. a", CIRCUIT_HALF_OPEN, false}, /* one place, taken */
        {"af af af t. ao", CIRCUIT_CLOSED, true},
        {"af af af t. af", CIRCUIT_OPEN, false},
        {"af af af t. af t", CIRCUIT_OPEN, false}, /* the full rest again */
        {"af af af t. af t. ao", CIRCUIT_CLOSED, true},
        {"af af af t. ac", CIRCUIT_HALF_OPEN, true},    /* the place is free again */
        {"af af af t. ao af af", CIRCUIT_CLOSED, true}, /* closed means closed: the count is new */
        {"af af af t. ao af af af", CIRCUIT_OPEN, false},
    };
    PLAY(&limits, plays);
}

static void test_results_of_an_earlier_turn_do_not_count(void **state)
{
    (void)state;
    static const struct play plays[] = {
        {"aaaaaa fff ooo", CIRCUIT_OPEN, false},           /* late successes do not close it */
        {"aaaaaa fff t. f", CIRCUIT_OPEN, true},           /* late failures do not prolong the rest */
        {"aaaaaa fff t. a fff", CIRCUIT_HALF_OPEN, false}, /* nor decide for the attempt that is to find out */
        {"aaaaaa fff t. a fff o", CIRCUIT_CLOSED, true},
        {"aaaa fff t. a z f", CIRCUIT_CLOSED, true}, /* nor count against the closed circuit later */
    };
    PLAY(&limits, plays);
}

static void test_half_open_places(void **state)
{
    (void)state;
    static const struct circuit_limits three = {.failures = 1, .open_ms = OPEN_MS, .half_open_count = 3};
    static const struct play plays[] = {
        {"af t. aa", CIRCUIT_HALF_OPEN, true},    {"af t. aaa", CIRCUIT_HALF_OPEN, false},
        {"af t. aaa c", CIRCUIT_HALF_OPEN, true}, {"af t. aaa o", CIRCUIT_CLOSED, true},
        {"af t. aaa of", CIRCUIT_CLOSED, true}, /* the first one decided */
        {"af t. aaa fo", CIRCUIT_OPEN, false},
    };
    PLAY(&three, plays);

    static const struct circuit_limits none = {.failures = 1, .open_ms = OPEN_MS, .half_open_count = 0};
    static const struct play at_least_one[] = {{"af t. a", CIRCUIT_HALF_OPEN, false}};
    PLAY(&none, at_least_one);
}

static void test_switched_off(void **state)
{
    (void)state;
    static const struct circuit_limits off = {.failures = 0, .open_ms = OPEN_MS, .half_open_count = 1};
    static const struct play plays[] = {{"af af af af af af af af", CIRCUIT_CLOSED, true}};
    PLAY(&off, plays);
}

/* A reload switches the circuit off while it is open: everything is admitted at once, and the state heals by itself. */
static void test_switched_off_while_open(void **state)
{
    (void)state;
    static const struct circuit_limits off = {.failures = 0, .open_ms = OPEN_MS, .half_open_count = 1};
    struct circuit c = {0};
    for (int i = 0; i < 3; i++)
        circuit_settle(&c, &limits, circuit_admit(&c, &limits, 0), CIRCUIT_RESULT_FAILED, 0);
    assert_int_equal(c.state, CIRCUIT_OPEN);
    assert_true(circuit_admits(&c, &off, 1));
    struct circuit_ticket early = circuit_admit(&c, &off, 1);
    circuit_settle(&c, &off, early, CIRCUIT_RESULT_OK, 1);
    struct circuit_ticket one = circuit_admit(&c, &off, OPEN_MS);
    struct circuit_ticket two = circuit_admit(&c, &off, OPEN_MS);
    circuit_settle(&c, &off, one, CIRCUIT_RESULT_OK, OPEN_MS);
    circuit_settle(&c, &off, two, CIRCUIT_RESULT_FAILED, OPEN_MS);
    assert_int_equal(c.state, CIRCUIT_CLOSED);
}

static void test_hasten_ends_the_rest(void **state)
{
    (void)state;
    static const struct play plays[] = {
        {"af af af h", CIRCUIT_OPEN, true},
        {"af af af h af", CIRCUIT_OPEN, false}, /* the checker may be wrong */
        {"af af af h ao", CIRCUIT_CLOSED, true},
        {"h", CIRCUIT_CLOSED, true},
        {"af af af t. a h", CIRCUIT_HALF_OPEN, false},
    };
    PLAY(&limits, plays);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures_in_a_row_open_it),
        cmocka_unit_test(test_it_rests_then_one_attempt_decides),
        cmocka_unit_test(test_results_of_an_earlier_turn_do_not_count),
        cmocka_unit_test(test_half_open_places),
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_switched_off_while_open),
        cmocka_unit_test(test_hasten_ends_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
