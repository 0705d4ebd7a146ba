/* What an answer of the script may look like, and what is none. The script itself is seen at work in test_fleet.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "health/checker/exchange.h"
#include "health/checker/voices.h"

#define WHO   "$32\r\n0123456789abcdef0123456789abcdef\r\n"
#define PEER  "*4\r\n" WHO ":20\r\n:1980\r\n$4\r\nview\r\n"
#define BEGIN "*10\r\n$10\r\nexchange 1\r\n"
#define LED   ":1\r\n:0\r\n$3\r\nfra\r\n:1500\r\n"
#define NOONE ":0\r\n:0\r\n$0\r\n\r\n:0\r\n"
#define REST  "$0\r\n\r\n:0\r\n:0\r\n"

static struct l2_reply *reply_of(const char *wire)
{
    struct l2_reply *reply = NULL;
    struct l2_parser *p = l2_parser_create(1 << 20);
    assert_int_equal(l2_parser_feed(p, wire, strlen(wire)), ERR_NONE);
    assert_int_equal(l2_parser_next(p, &reply), ERR_NONE);
    l2_parser_destroy(&p);
    return reply;
}

static bool reads(const char *wire)
{
    struct exchange_answer a;
    struct l2_reply *reply = reply_of(wire);
    const bool is_read = exchange_read(&a, reply);
    l2_reply_destroy(&reply);
    return is_read;
}

static void an_answer_says_who_leads_and_what_others_see(void **state)
{
    struct exchange_answer a;
    struct l2_reply *reply = reply_of(BEGIN "$13\r\n1795267194657\r\n" LED "$8\r\ndecision\r\n:1\r\n:3\r\n*1\r\n" PEER);
    (void)state;
    assert_true(exchange_read(&a, reply));
    assert_int_equal(a.term, 1795267194657);
    assert_true(a.is_led && !a.is_ours && a.is_full);
    assert_memory_equal(a.leader.data, "fra", 3);
    assert_int_equal(a.lease_left_ms, 1500);
    assert_int_equal(a.decision.len, 8);
    assert_int_equal(a.repaired_count, 3);
    assert_int_equal(a.peer_count, 1);
    assert_int_equal(a.peers[0].age_ms, 20);
    assert_int_equal(a.peers[0].left_ms, 1980);
    assert_memory_equal(a.peers[0].view.data, "view", 4);
    l2_reply_destroy(&reply);
    assert_true(reads(BEGIN "$1\r\n0\r\n" NOONE REST "*0\r\n"));
}

static void what_is_no_answer_is_not_read(void **state)
{
    static const char *const wrong[] = {
        "+OK\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*0\r\n",
        "*1\r\n$10\r\nexchange 1\r\n",
        "*10\r\n$10\r\nexchange 2\r\n$1\r\n1\r\n" LED REST "*0\r\n", /* of another version */
        BEGIN "$0\r\n\r\n" NOONE REST "*0\r\n",                      /* terms that are none */
        BEGIN "$2\r\n-1\r\n" NOONE REST "*0\r\n",
        BEGIN "$3\r\n1e3\r\n" NOONE REST "*0\r\n",
        BEGIN "$16\r\n9999999999999999\r\n" NOONE REST "*0\r\n",
        BEGIN "$20\r\n18446744073709551617\r\n" NOONE REST "*0\r\n",
        BEGIN ":1\r\n" NOONE REST "*0\r\n",
        BEGIN "$1\r\n0\r\n" LED REST "*0\r\n", /* led without a term, a node, or an end */
        BEGIN "$1\r\n1\r\n:1\r\n:0\r\n$0\r\n\r\n:1500\r\n" REST "*0\r\n",
        BEGIN "$1\r\n1\r\n:1\r\n:0\r\n$3\r\nfra\r\n:0\r\n" REST "*0\r\n",
        BEGIN "$1\r\n1\r\n:1\r\n:0\r\n$3\r\nfra\r\n:-1\r\n" REST "*0\r\n",
        BEGIN "$1\r\n1\r\n:1\r\n:0\r\n$3\r\nfra\r\n:3600001\r\n" REST "*0\r\n",
        BEGIN "$1\r\n1\r\n:1\r\n:0\r\n$3\r\nf\na\r\n:1500\r\n" REST "*0\r\n", /* a name that would break a line */
        BEGIN "$1\r\n1\r\n:0\r\n:1\r\n$0\r\n\r\n:0\r\n" REST "*0\r\n",        /* ours, and nobody's */
        BEGIN "$1\r\n1\r\n:2\r\n:0\r\n$3\r\nfra\r\n:1500\r\n" REST "*0\r\n",
        BEGIN "$1\r\n1\r\n" NOONE REST "$0\r\n\r\n", /* others that are none */
        BEGIN "$1\r\n1\r\n" NOONE REST "*1\r\n:1\r\n",
        BEGIN "$1\r\n1\r\n" NOONE REST "*1\r\n*0\r\n",
        BEGIN "$1\r\n1\r\n" NOONE REST "*1\r\n*4\r\n$1\r\na\r\n:1\r\n:1\r\n$1\r\nv\r\n",
        BEGIN "$1\r\n1\r\n" NOONE REST "*1\r\n*4\r\n" WHO ":-1\r\n:1\r\n$1\r\nv\r\n",
        BEGIN "$1\r\n1\r\n" NOONE REST "*1\r\n*4\r\n" WHO ":1\r\n:9999999999\r\n$1\r\nv\r\n",
        BEGIN "$1\r\n1\r\n" NOONE REST
              "*17\r\n" PEER PEER PEER PEER PEER PEER PEER PEER PEER PEER PEER PEER PEER PEER PEER PEER PEER,
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (reads(wrong[i]))
            fail_msg("read: %s", wrong[i]);
}

static void names_have_one_tag_and_bounded_lengths(void **state)
{
    struct exchange_names n;
    char lengthy[129];
    (void)state;
    assert_true(exchange_names_make(&n, "tidegate", "eu"));
    assert_string_equal(n.text[EXCHANGE_VIEWS], "{tidegate:eu}:views");
    assert_string_equal(n.text[EXCHANGE_TERM], "{tidegate:eu}:term");
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    assert_false(exchange_names_make(&n, lengthy, lengthy));
}

/* ---- voices ---- */

#define SENT_MS     100000
#define LIFETIME_MS 2000

struct said {
    const char *node;
    int64_t age_ms;
    enum verdict_state state;
};

/* Takes an answer in which these speak. */
static bool take(struct voices *v, struct voices_odd *odd, const struct said *said, size_t count)
{
    struct exchange_answer a = {0};
    struct strbuf texts[4];
    struct view *view = mem_alloc(sizeof *view);
    view->count = 1;
    (void)snprintf(view->rows[0].name, sizeof view->rows[0].name, "targets/one");
    for (size_t i = 0; i < count; i++) {
        strbuf_init(&texts[i], VIEW_BYTES_MAX);
        (void)snprintf(view->node, sizeof view->node, "%s", said[i].node);
        view->rows[0].vote.state = said[i].state;
        if (said[i].node[0] != '\0')
            view_print(view, &texts[i]);
        else
            strbuf_puts(&texts[i], "no view at all");
        a.peers[a.peer_count++] = (struct exchange_peer){.who = "",
                                                         .age_ms = said[i].age_ms,
                                                         .left_ms = LIFETIME_MS - said[i].age_ms,
                                                         .view = slice_borrow(texts[i].data, texts[i].len)};
    }
    const bool is_other = voices_take(v, &a, "own", SENT_MS - 500, SENT_MS, odd);
    for (size_t i = 0; i < count; i++)
        strbuf_fini(&texts[i]);
    mem_free(view);
    return is_other;
}
#define TAKE(v, odd, ...)                                                                                              \
    take((v), (odd), (const struct said[]){__VA_ARGS__},                                                               \
         sizeof((const struct said[]){__VA_ARGS__}) / sizeof(struct said))

static enum verdict_state state_of(const struct voices *v, size_t i)
{
    return v->list[i].view->rows[0].vote.state;
}

static void voices_stand_by_name_and_are_news_when_they_differ(void **state)
{
    struct voices v = {0};
    struct voices_odd odd;
    (void)state;
    assert_true(TAKE(&v, &odd, {"b", 10, VERDICT_UP}, {"a", 20, VERDICT_DOWN}));
    assert_int_equal(v.count, 2);
    assert_string_equal(v.list[0].view->node, "a");
    assert_int_equal(v.list[0].said_ms, SENT_MS - 20);
    assert_int_equal(state_of(&v, 0), VERDICT_DOWN);
    assert_false(TAKE(&v, &odd, {"a", 5, VERDICT_DOWN}, {"b", 5, VERDICT_UP})); /* later, and the same */
    assert_int_equal(v.list[0].said_ms, SENT_MS - 5);
    assert_true(TAKE(&v, &odd, {"a", 5, VERDICT_UP}, {"b", 5, VERDICT_UP}));
    assert_true(TAKE(&v, &odd, {"a", 5, VERDICT_UP}, {"c", 5, VERDICT_UP}));
    assert_true(TAKE(&v, &odd, {"c", 5, VERDICT_UP}));
    voices_fini(&v);
}

static void a_node_has_one_voice_the_one_heard_last(void **state)
{
    struct voices v = {0};
    struct voices_odd odd;
    (void)state;
    (void)TAKE(&v, &odd, {"a", 900, VERDICT_DOWN}, {"a", 10, VERDICT_UP}, {"a", 500, VERDICT_DOWN});
    assert_int_equal(v.count, 1);
    assert_int_equal(state_of(&v, 0), VERDICT_UP);
    assert_int_equal(odd.unread_count, 0);
    voices_fini(&v);
}

static void our_own_name_is_no_voice(void **state)
{
    struct voices v = {0};
    struct voices_odd odd;
    (void)state;
    assert_false(TAKE(&v, &odd, {"own", 600, VERDICT_UP})); /* from before our time: a predecessor */
    assert_false(odd.is_our_name);
    assert_false(TAKE(&v, &odd, {"own", 400, VERDICT_UP}));
    assert_true(odd.is_our_name);
    assert_int_equal(v.count, 0);
    assert_true(TAKE(&v, &odd, {"a", 1, VERDICT_UP}, {"", 1, VERDICT_UP}));
    assert_int_equal(odd.unread_count, 1);
    assert_int_equal(v.count, 1);
    voices_fini(&v);
}

static void voices_lapse_one_by_one(void **state)
{
    struct voices v = {0};
    struct voices_odd odd;
    (void)state;
    assert_int_equal(voices_lapse_ms(&v), INT64_MAX);
    (void)TAKE(&v, &odd, {"a", 500, VERDICT_UP}, {"b", 1500, VERDICT_UP}, {"c", 1000, VERDICT_UP});
    assert_int_equal(voices_lapse_ms(&v), SENT_MS + 500);
    assert_false(voices_lapse(&v, SENT_MS + 499));
    assert_true(voices_lapse(&v, SENT_MS + 500));
    assert_int_equal(v.count, 2);
    assert_string_equal(v.list[1].view->node, "c");
    assert_true(voices_lapse(&v, SENT_MS + LIFETIME_MS));
    assert_int_equal(v.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_says_who_leads_and_what_others_see),
        cmocka_unit_test(what_is_no_answer_is_not_read),
        cmocka_unit_test(names_have_one_tag_and_bounded_lengths),
        cmocka_unit_test(voices_stand_by_name_and_are_news_when_they_differ),
        cmocka_unit_test(a_node_has_one_voice_the_one_heard_last),
        cmocka_unit_test(our_own_name_is_no_voice),
        cmocka_unit_test(voices_lapse_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
