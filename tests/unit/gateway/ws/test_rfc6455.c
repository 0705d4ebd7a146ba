/* The table of good, odd and bad frames, each case fed whole, byte by byte and cut in two at every place: the verdict
 * must not depend on where the network cuts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/ws/frame.h"
#include "tests/unit/gateway/ws/cases.h"

struct outcome {
    enum ws_verdict verdict;
    uint16_t code;
    size_t pass_bytes; /* over all pieces */
    bool is_torn;
    uint32_t message_count, ping_count, pong_count;
};

/* Feeds the case in pieces: the first of `first` bytes, the others of `rest`. */
static struct outcome feed(const struct ws_case *c, size_t first, size_t rest)
{
    struct outcome o = {.verdict = WS_VERDICT_PASS};
    struct ws_walk w;
    struct ws_seen seen;
    ws_walk_init(&w, c->is_server ? WS_SENDER_SERVER : WS_SENDER_CLIENT, CASES_MAX_BYTES, true);
    for (size_t at = 0, piece = first; at < c->len && o.verdict == WS_VERDICT_PASS; at += piece, piece = rest) {
        if (piece > c->len - at)
            piece = c->len - at;
        o.verdict = ws_walk_feed(&w, c->bytes + at, piece, &seen);
        o.pass_bytes += seen.pass_bytes;
        o.code = seen.code;
        o.is_torn = seen.is_torn;
        o.message_count += seen.message_count;
        o.ping_count += seen.ping_count;
        o.pong_count += seen.pong_count;
    }
    if (o.verdict == WS_VERDICT_PASS && !ws_walk_is_at_boundary(&w))
        fail_msg("%s: the case does not end with a whole frame", c->name);
    return o;
}

static void check(const struct ws_case *c, const struct outcome *o, size_t first)
{
    static const enum ws_verdict verdicts[] = {WS_VERDICT_PASS, WS_VERDICT_CLOSED, WS_VERDICT_BAD};
    if (o->verdict != verdicts[c->outcome] || o->code != c->code)
        fail_msg("%s %s, first piece %zu: verdict %d code %u", c->is_server ? "server" : "client", c->name, first,
                 o->verdict, o->code);
}

/* What arrives in pieces is judged and counted as what arrives whole; only what had to be let go before the fault could
 * be seen differs. */
static void check_same(const struct ws_case *c, const struct outcome *whole, const struct outcome *cut, size_t first)
{
    check(c, cut, first);
    if (cut->message_count != whole->message_count || cut->ping_count != whole->ping_count ||
        cut->pong_count != whole->pong_count)
        fail_msg("%s, first piece %zu: counts differ", c->name, first);
    if (cut->is_torn ? cut->pass_bytes <= whole->pass_bytes : cut->pass_bytes != whole->pass_bytes)
        fail_msg("%s, first piece %zu: passed %zu bytes, whole %zu", c->name, first, cut->pass_bytes,
                 whole->pass_bytes);
}

static void every_case_has_its_outcome_however_it_is_cut(void **state)
{
    FILE *f = fopen(CASES_PATH, "r");
    struct ws_case c;
    size_t case_count = 0;

    (void)state;
    assert_non_null(f);
    for (; case_next(f, &c); case_count++) {
        const struct outcome whole = feed(&c, c.len, c.len);
        check(&c, &whole, c.len);
        assert_false(whole.is_torn);
        if (c.outcome == CASE_PASS)
            assert_int_equal(whole.pass_bytes, c.len);
        struct outcome cut = feed(&c, 1, 1);
        check_same(&c, &whole, &cut, 1);
        for (size_t first = 1; first < c.len; first++) {
            cut = feed(&c, first, c.len);
            check_same(&c, &whole, &cut, first);
        }
    }
    fclose(f);
    assert_true(case_count > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_has_its_outcome_however_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
