/* WebSockets that outlive their servers: what each key becomes, what does not go together, and that what nobody wrote
 * is no mistake on a route without sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/conf/mistake.h"

#define PHOENIX(keys) ROUTE("websocket: { protocol: phoenix, " keys " }")
#define OPAQUE(keys)  ROUTE("websocket: { " keys " }")
#define PLACE(column) "t.yaml:5:" column ": routes[0].websocket."
#define NO_USE        ": has no use with websocket.protocol: opaque, expected a protocol that is understood\n"

/* clang-format off */
static const struct mistake mistakes[] = {
    {PHOENIX("heartbeat: 45s"),
     PLACE("48") "heartbeat: would come when the server has been given up, expected less than dead_after\n"},
    {PHOENIX("dead_after: 30s"),
     PLACE("49") "dead_after: would give up a server before it is asked for a sign of life, expected more than heartbeat\n"},
    {PHOENIX("heartbeat: 2s, dead_after: 1s"),
     PLACE("64") "dead_after: would give up a server before it is asked for a sign of life, expected more than heartbeat\n"},
    {PHOENIX("wait_ready: 9s"),
     PLACE("49") "wait_ready: 9s is longer than websocket.answer_within (8s), expected at most that\n"},
    {PHOENIX("backoff: { first: 31s }"),
     PLACE("55") "backoff.first: 31s is longer than max (30s), expected at most that\n"},
    {PHOENIX("backoff: { max: 500ms }"),
     PLACE("53") "backoff.max: 500ms is shorter than first (1s), expected at least that\n"},
    {PHOENIX("quality: { excellent: 400ms }"),
     PLACE("59") "quality.excellent: 400ms is longer than good (300ms), expected at most that\n"},
    {PHOENIX("quality: { fair: 200ms }"),
     PLACE("54") "quality.fair: 200ms is shorter than good (300ms), expected at least that\n"},
    {PHOENIX("restore: { burst: 0 }"),
     PLACE("55") "restore.burst: \"0\" is too small, expected a whole number from 1 to 1000000\n"},
    {ROUTE("websocket: { protocol: mqtt, wait_ready: 1s }"),
     PLACE("46") "wait_ready: has no use with this protocol, expected websocket.protocol: phoenix\n"},

    /* ---- on a route whose WebSockets are not understood ---- */
    {OPAQUE("delivery: at-least-once"), PLACE("28") "delivery" NO_USE},
    {OPAQUE("gap: silent"), PLACE("23") "gap" NO_USE},
    {OPAQUE("heartbeat: 1s"), PLACE("29") "heartbeat" NO_USE},
    {OPAQUE("dead_after: 1m"), PLACE("30") "dead_after" NO_USE},
    {OPAQUE("queue: 0"), PLACE("25") "queue" NO_USE},
    {OPAQUE("queue_bytes: 0"), PLACE("31") "queue_bytes" NO_USE},
    {OPAQUE("channels: 1"), PLACE("28") "channels" NO_USE},
    {OPAQUE("hedge_after: 0"), PLACE("31") "hedge_after" NO_USE},
    {OPAQUE("give_up: 1m"), PLACE("27") "give_up" NO_USE},
    {OPAQUE("answer_within: 1s"), PLACE("33") "answer_within" NO_USE},
    {OPAQUE("wait_ready: 1s"),
     PLACE("30") "wait_ready: has no use with this protocol, expected websocket.protocol: phoenix\n"},
    {OPAQUE("backoff: { first: 2s }"), PLACE("36") "backoff.first" NO_USE},
    {OPAQUE("backoff: { max: 1m }"), PLACE("34") "backoff.max" NO_USE},
    {OPAQUE("backoff: { jitter: 0% }"), PLACE("37") "backoff.jitter" NO_USE},
    {OPAQUE("restore: { rate: 1 }"), PLACE("35") "restore.rate" NO_USE},
    {OPAQUE("restore: { burst: 1 }"), PLACE("36") "restore.burst" NO_USE},
    {OPAQUE("move: { rate: 1 }"), PLACE("32") "move.rate" NO_USE},
    {OPAQUE("move: { fail_back: never }"), PLACE("37") "move.fail_back" NO_USE},
    {OPAQUE("quality: { excellent: 1ms }"), PLACE("40") "quality.excellent" NO_USE},
    {OPAQUE("quality: { good: 200ms }"), PLACE("35") "quality.good" NO_USE},
    {OPAQUE("quality: { fair: 2s }"), PLACE("35") "quality.fair" NO_USE},
};
/* clang-format on */

static void every_mistake_has_its_message(void **state)
{
    (void)state;
    assert_mistakes(mistakes, sizeof mistakes / sizeof mistakes[0]);
}

static struct conf *load(const char *text, bool is_sealed)
{
    struct conf_errors errors;
    struct conf *c = conf_load_text("t.yaml", text, strlen(text), is_sealed, &errors);
    if (c == NULL)
        print_error("%s", errors.text);
    conf_errors_fini(&errors);
    assert_non_null(c);
    return c;
}

static const char every_key[] = ROUTE(
    "websocket: { protocol: phoenix, delivery: at-least-once, gap: rejoin, heartbeat: 1s, dead_after: 2s, queue: 0,"
    " queue_bytes: 0, channels: 7, hedge_after: 0, give_up: 3s, answer_within: 4s, wait_ready: 4s,"
    " backoff: { first: 5s, max: 5s, jitter: 10% }, restore: { rate: 11, burst: 12 },"
    " move: { rate: 13, fail_back: never }, quality: { excellent: 14ms, good: 14ms, fair: 15ms } }");

static void assert_every_key(const struct conf *c)
{
    const struct conf_session *s = &c->routes[0].session;
    assert_int_equal(c->routes[0].protocol, WS_PROTOCOL_PHOENIX);
    assert_int_equal(s->delivery, DELIVERY_AT_LEAST_ONCE);
    assert_int_equal(s->gap, GAP_REJOIN);
    assert_int_equal(s->heartbeat_ms, 1000);
    assert_int_equal(s->dead_after_ms, 2000);
    assert_int_equal(s->queue_count, 0);
    assert_int_equal(s->queue_bytes, 0);
    assert_int_equal(s->channel_count, 7);
    assert_int_equal(s->hedge_ms, 0);
    assert_int_equal(s->give_up_ms, 3000);
    assert_int_equal(s->answer_ms, 4000);
    assert_int_equal(s->ready_wait_ms, 4000);
    assert_int_equal(s->backoff.first_ms, 5000);
    assert_int_equal(s->backoff.max_ms, 5000);
    assert_int_equal(s->backoff.jitter_percent, 10);
    assert_int_equal(s->restore.per_s, 11);
    assert_int_equal(s->restore.burst, 12);
    assert_int_equal(s->move.per_s, 13);
    assert_int_equal(s->move.fail_back, FAIL_BACK_NEVER);
    assert_int_equal(s->quality.excellent_ms, 14);
    assert_int_equal(s->quality.good_ms, 14);
    assert_int_equal(s->quality.fair_ms, 15);
}

static void every_key_arrives_in_the_seal_and_the_dump_too(void **state)
{
    (void)state;
    struct conf *c = load(every_key, false);
    char *seal = conf_seal(c), *dump = conf_dump(c);
    struct conf *sealed = load(seal, true), *dumped = load(dump, false);
    assert_every_key(c);
    assert_every_key(sealed);
    assert_every_key(dumped);
    conf_unref(&dumped);
    conf_unref(&sealed);
    mem_free(dump);
    mem_free(seal);
    conf_unref(&c);
}

/* The dump has all keys: those of sessions say on an opaque route what they say by default, which is fine. */
static void an_opaque_route_may_show_what_nobody_wrote(void **state)
{
    (void)state;
    struct conf *c = load(OPAQUE("protocol: opaque"), false);
    char *dump = conf_dump(c);
    assert_non_null(strstr(dump, "dead_after: 45s"));
    struct conf *again = load(dump, false);
    assert_memory_equal(&again->routes[0].session, &c->routes[0].session, sizeof c->routes[0].session);
    conf_unref(&again);
    mem_free(dump);
    conf_unref(&c);
}

/* The numbers that users of realtime clients asked for. */
static void what_nobody_wrote_is_what_users_expect(void **state)
{
    (void)state;
    struct conf *c = load(PHOENIX("gap: notice"), false);
    const struct conf_session *s = &c->routes[0].session;
    assert_int_equal(s->delivery, DELIVERY_AT_MOST_ONCE);
    assert_int_equal(s->gap, GAP_NOTICE);
    assert_int_equal(s->heartbeat_ms, 30000);
    assert_int_equal(s->dead_after_ms, 45000);
    assert_int_equal(s->queue_count, 100);
    assert_int_equal(s->backoff.first_ms, 1000);
    assert_int_equal(s->backoff.max_ms, 30000);
    assert_true(s->backoff.jitter_percent > 0);
    assert_int_equal(s->hedge_ms, 300);
    assert_int_equal(s->give_up_ms, 30000);
    assert_int_equal(s->answer_ms, 8000);
    assert_int_equal(s->ready_wait_ms, 0);
    assert_true(s->restore.per_s > 0 && s->move.per_s > 0);
    assert_int_equal(s->move.fail_back, FAIL_BACK_PACED);
    assert_int_equal(s->quality.excellent_ms, 100);
    assert_int_equal(s->quality.good_ms, 300);
    assert_int_equal(s->quality.fair_ms, 1000);
    conf_unref(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_has_its_message),
        cmocka_unit_test(every_key_arrives_in_the_seal_and_the_dump_too),
        cmocka_unit_test(what_nobody_wrote_is_what_users_expect),
        cmocka_unit_test(an_opaque_route_may_show_what_nobody_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
