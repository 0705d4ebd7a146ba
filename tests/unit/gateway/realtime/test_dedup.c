/* Two feeds of the same messages: of each, as many are delivered as the feed that had more of it brought. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/realtime/dedup.h"

#define WINDOW_MS 10000

struct step {
    enum dedup_feed feed;
    char message;
    int64_t at_ms;
    bool is_delivered;
};
#define STEPS_MAX 10u
#define OLD       DEDUP_OLD
#define NEW       DEDUP_NEW

static const struct {
    const char *name;
    struct step steps[STEPS_MAX];
} courses[] = {
    {"a copy on the other feed", {{OLD, 'a', 1, true}, {NEW, 'a', 2, false}}},
    {"the new one is ahead", {{NEW, 'a', 1, true}, {OLD, 'a', 2, false}}},
    {"two that are equal",
     {{OLD, 'a', 1, true}, {OLD, 'a', 2, true}, {NEW, 'a', 3, false}, {NEW, 'a', 4, false}, {NEW, 'a', 5, true}}},
    {"the lead changes",
     {{OLD, 'a', 1, true}, {NEW, 'a', 2, false}, {NEW, 'a', 3, true}, {OLD, 'a', 4, false}, {OLD, 'a', 5, true}}},
    {"each its own",
     {{OLD, 'a', 1, true}, {NEW, 'b', 2, true}, {OLD, 'b', 3, false}, {NEW, 'a', 4, false}, {OLD, 'c', 5, true}}},
    {"a copy that comes just in time", {{OLD, 'a', 1, true}, {NEW, 'a', WINDOW_MS, false}}},
    {"a copy that comes too late", {{OLD, 'a', 1, true}, {NEW, 'a', 1 + WINDOW_MS, true}}},
    {"each expires for itself",
     {{OLD, 'a', 1, true}, {OLD, 'a', 5000, true}, {NEW, 'a', 1 + WINDOW_MS, false}, {NEW, 'a', 2 + WINDOW_MS, true}}},
};

static uint64_t hash_of(uint64_t n)
{
    return n * 64; /* all in the same bucket, for a while */
}

static void known_courses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof courses / sizeof courses[0]; i++) {
        struct dedup *d = dedup_create(WINDOW_MS, 100);
        for (const struct step *s = courses[i].steps; s->message != '\0'; s++)
            if (dedup_take(d, s->feed, hash_of((uint64_t)s->message), s->at_ms) != s->is_delivered)
                fail_msg("%s: message at %d ms", courses[i].name, (int)s->at_ms);
        dedup_destroy(&d);
    }
}

static void when_a_feed_ends_only_its_lead_counts(void **state)
{
    (void)state;
    struct dedup *d = dedup_create(WINDOW_MS, 100);
    assert_false(dedup_is_done(d, 0));
    assert_true(dedup_take(d, OLD, hash_of(1), 0));
    assert_true(dedup_take(d, NEW, hash_of(2), 0));
    assert_true(dedup_take(d, NEW, hash_of(2), 0));
    dedup_end(d, OLD);
    assert_true(dedup_take(d, NEW, hash_of(2), 1)); /* another one, not a copy */
    assert_false(dedup_is_done(d, 1));
    assert_false(dedup_take(d, NEW, hash_of(1), 1)); /* late */
    assert_true(dedup_is_done(d, 1));
    assert_true(dedup_take(d, NEW, hash_of(1), 1));
    assert_true(dedup_is_done(d, 1)); /* nothing is waited for on a feed that has ended */
    dedup_destroy(&d);
}

static void a_lead_that_nobody_follows_expires(void **state)
{
    (void)state;
    struct dedup *d = dedup_create(WINDOW_MS, 100);
    for (uint64_t i = 0; i < 50; i++)
        assert_true(dedup_take(d, OLD, hash_of(i), (int64_t)i));
    dedup_end(d, OLD);
    assert_false(dedup_is_done(d, WINDOW_MS + 48));
    assert_true(dedup_is_done(d, WINDOW_MS + 49));
    dedup_destroy(&d);
}

static void at_the_bound_the_oldest_is_forgotten(void **state)
{
    (void)state;
    struct dedup *d = dedup_create(WINDOW_MS, 100);
    for (uint64_t i = 0; i < 1000; i++)
        assert_true(dedup_take(d, OLD, hash_of(i), (int64_t)i));
    for (uint64_t i = 900; i < 1000; i++)
        assert_false(dedup_take(d, NEW, hash_of(i), 1000));
    assert_true(dedup_take(d, NEW, hash_of(899), 1000)); /* the hundred and first */
    dedup_destroy(&d);
}

static void hashes_tell_the_parts_apart(void **state)
{
    (void)state;
    struct dedup *d = dedup_create(WINDOW_MS, 100), *other = dedup_create(WINDOW_MS, 100);
    const struct dedup_part ab_c[] = {{"ab", 2}, {"c", 1}}, a_bc[] = {{"a", 1}, {"bc", 2}}, abc[] = {{"abc", 3}};
    const uint64_t first = dedup_hash(d, ab_c, 2);
    assert_true(first == dedup_hash(d, ab_c, 2));
    assert_true(first != dedup_hash(d, a_bc, 2));
    assert_true(first != dedup_hash(d, abc, 1));
    assert_true(first != dedup_hash(other, ab_c, 2)); /* each has a key of its own */
    dedup_destroy(&d);
    dedup_destroy(&other);
}

/* ---- against an oracle ---- */

#define MESSAGES 400u
#define VALUES   40u /* many are equal */

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* A feed brings the stream in its order, with a delay of its own for each message and some left out. */
struct feed {
    uint32_t value[MESSAGES];
    int64_t at_ms[MESSAGES];
    uint32_t count, next;
};

static void feed_make(struct feed *f, const uint32_t *stream, uint64_t *x, uint32_t lost_percent)
{
    int64_t at_ms = 0;
    *f = (struct feed){.count = 0};
    for (uint32_t i = 0; i < MESSAGES; i++) {
        const int64_t arrives_ms = (int64_t)i * 5 + (int64_t)(next_random(x) % 300);
        at_ms = arrives_ms > at_ms ? arrives_ms : at_ms;
        if (next_random(x) % 100 < lost_percent)
            continue;
        f->value[f->count] = stream[i];
        f->at_ms[f->count++] = at_ms;
    }
}

/* Delivers both in the order of their times, and of what came how many were delivered. */
static void merge(struct feed feeds[2], uint64_t *x, int64_t old_ends_ms, uint32_t delivered[VALUES],
                  uint32_t came[2][VALUES])
{
    struct dedup *d = dedup_create(WINDOW_MS, 2 * MESSAGES);
    bool is_ended = false;
    memset(delivered, 0, VALUES * sizeof delivered[0]);
    memset(came, 0, 2 * VALUES * sizeof came[0][0]);
    for (;;) {
        const bool has_old = feeds[OLD].next < feeds[OLD].count && feeds[OLD].at_ms[feeds[OLD].next] < old_ends_ms;
        const bool has_new = feeds[NEW].next < feeds[NEW].count;
        if (!has_old && !is_ended)
            dedup_end(d, OLD);
        is_ended |= !has_old;
        if (!has_old && !has_new)
            break;
        const int64_t old_ms = has_old ? feeds[OLD].at_ms[feeds[OLD].next] : INT64_MAX;
        const int64_t new_ms = has_new ? feeds[NEW].at_ms[feeds[NEW].next] : INT64_MAX;
        const enum dedup_feed from = old_ms < new_ms || (old_ms == new_ms && (next_random(x) & 1) != 0) ? OLD : NEW;
        const uint32_t value = feeds[from].value[feeds[from].next];
        came[from][value]++;
        delivered[value] += dedup_take(d, from, hash_of(value), feeds[from].at_ms[feeds[from].next]);
        feeds[from].next++;
    }
    assert_true(dedup_is_done(d, WINDOW_MS * 2));
    dedup_destroy(&d);
}

static void random_feeds(void **state)
{
    (void)state;
    static struct feed feeds[2];
    static const uint32_t lost_percents[] = {0, 0, 10, 100};
    uint64_t x = 0x6d2b79f5u;
    for (uint32_t round = 0; round < 400; round++) {
        uint32_t stream[MESSAGES], delivered[VALUES], came[2][VALUES], sent[VALUES] = {0};
        for (uint32_t i = 0; i < MESSAGES; i++)
            sent[stream[i] = (uint32_t)(next_random(&x) % VALUES)]++;
        feed_make(&feeds[OLD], stream, &x, lost_percents[round % 4]);
        feed_make(&feeds[NEW], stream, &x, round % 4 == 0 ? 0 : lost_percents[next_random(&x) % 4]);
        const int64_t old_ends_ms = round % 3 == 0 ? (int64_t)(next_random(&x) % 2000) : INT64_MAX;
        merge(feeds, &x, old_ends_ms, delivered, came);
        for (uint32_t v = 0; v < VALUES; v++) {
            assert_int_equal(delivered[v], came[OLD][v] > came[NEW][v] ? came[OLD][v] : came[NEW][v]);
            if (round % 4 == 0) /* the new feed lost none: every message once, wherever the old one ended */
                assert_int_equal(delivered[v], sent[v]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_courses),
        cmocka_unit_test(when_a_feed_ends_only_its_lead_counts),
        cmocka_unit_test(a_lead_that_nobody_follows_expires),
        cmocka_unit_test(at_the_bound_the_oldest_is_forgotten),
        cmocka_unit_test(hashes_tell_the_parts_apart),
        cmocka_unit_test(random_feeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
