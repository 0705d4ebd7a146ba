/* The graphql-transport-ws speaker, as scripts: what each side says, and what the other hears. */
#include "tests/unit/gateway/realtime/graphql_script.h"

static void test_other_subprotocols_are_opaque(void **state)
{
    (void)state;
    static const char *const others[] = {NULL, "graphql-ws", "mqtt"};
    for (size_t i = 0; i < 3; i++) {
        struct session *s = fake_open(&protocol_graphql, others[i], "");
        assert_null(s->speaker);
        fake_close(&s);
    }
}

static void test_a_session_without_losses_is_a_relay(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, SUB_A);
    server(s, s->leg, NEXT("a", 1));
    fake_expect(&s->told, NEXT("a", 1));
    server(s, s->leg, COMPLETE("a"));
    fake_expect(&s->told, COMPLETE("a"));
    begin(s, SUB_B);
    begin(s, COMPLETE("b"));
    server(s, s->leg, NEXT("b", 1)); /* it was under way */
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_RESTORES], 0);
    finish(s);
}

static void test_pings_are_answered_here(void **state)
{
    (void)state;
    struct session *s = open_acked();
    client(s, "{\"type\":\"ping\",\"payload\":{\"n\":1}}");
    fake_expect(&s->told, "{\"type\":\"pong\",\"payload\":{\"n\":1}}");
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_BEATS], 1);
    server(s, s->leg, "{\"type\":\"ping\"}");
    fake_expect(&s->leg->said, "{\"type\":\"pong\"}");
    client(s, "{\"type\":\"pong\"}");
    s->protocol->beat(s->speaker, s->leg);
    fake_expect(&s->leg->said, "{\"type\":\"ping\"}");
    server(s, s->leg, "{\"type\":\"pong\"}");
    assert_int_equal(s->leg->answered_count, 1);
    fake_lose(s, s->leg);
    client(s, "{\"type\":\"ping\"}");
    fake_expect(&s->told, "{\"type\":\"pong\"}");
    finish(s);
}

static void test_subscriptions_go_on(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, SUB_A);
    begin(s, SUB_B);
    begin(s, COMPLETE("b"));
    struct leg *l = lose_and_find(s);
    fake_expect(&l->said, SUB_A);
    assert_true(l->is_restored);
    fake_expect(&s->told, NOTICE);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_RESTORES], 1);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_GAPS], 1);
    server(s, l, NEXT("a", 2));
    fake_expect(&s->told, NEXT("a", 2));
    finish(s);
}

static void test_what_a_gap_means(void **state)
{
    (void)state;
    struct session *s = open_acked();
    s->conf.gap = GAP_REJOIN;
    begin(s, SUB_A);
    struct leg *l = lose_and_find(s);
    assert_true(l->is_restored);
    fake_expect(&s->told, ERROR("a", "gateway: resumed; messages may be missing"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_GAPS], 1);
    begin(s, SUB_B);
    s->conf.gap = GAP_SILENT;
    l = lose_and_find(s);
    fake_expect(&l->said, SUB_B);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_GAPS], 1);
    finish(s);
}

static void test_what_begins_without_a_server_waits(void **state)
{
    (void)state;
    struct session *s = open_acked();
    assert_false(s->protocol->wants_server(s->speaker));
    fake_lose(s, s->leg);
    client(s, SUB_A);
    client(s, MUTATION);
    client(s, SUB_B);
    client(s, COMPLETE("a"));
    assert_true(s->protocol->wants_server(s->speaker));
    assert_true(s->wants_changed_count > 0);
    struct leg *l = fake_find(s);
    fake_expect(&l->said, INIT);
    server(s, l, ACK);
    fake_expect(&l->said, MUTATION);
    fake_expect(&l->said, SUB_B);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_GAPS], 0); /* nothing was missed */
    finish(s);
}

static void test_a_client_that_waits_for_its_ack_gets_it_from_another_server(void **state)
{
    (void)state;
    struct session *s = open_session();
    client(s, INIT);
    fake_expect(&s->leg->said, INIT);
    fake_lose(s, s->leg);
    struct leg *l = fake_find(s);
    fake_expect(&l->said, INIT);
    server(s, l, ACK);
    fake_expect(&s->told, ACK);
    assert_true(l->is_restored);
    finish(s);
}

static void test_a_session_that_has_not_begun(void **state)
{
    (void)state;
    struct session *s = open_session();
    fake_lose(s, s->leg);
    assert_false(s->protocol->wants_server(s->speaker));
    client(s, INIT);
    assert_true(s->protocol->wants_server(s->speaker));
    struct leg *l = fake_find(s);
    fake_expect(&l->said, INIT);
    server(s, l, ACK);
    fake_expect(&s->told, ACK);
    finish(s);

    s = open_session();
    fake_lose(s, s->leg);
    l = fake_find(s); /* for whatever reason */
    assert_true(l->is_restored);
    begin(s, INIT);
    finish(s);

    s = open_session();
    fake_lose(s, s->leg);
    client(s, SUB_A);
    assert_int_equal(s->end_code, 4401);
    finish(s);
}

static void test_queries_are_asked_again_and_mutations_are_not(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, QUERY);
    begin(s, MUTATION);
    begin(s, OP("u", "nobody understands this"));
    struct leg *l = lose_and_find(s);
    fake_expect(&s->told, ERROR("m", "gateway: upstream lost"));
    fake_expect(&s->told, ERROR("u", "gateway: upstream lost"));
    fake_expect(&l->said, QUERY);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_UNKNOWN], 2);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_RESENT], 1);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_GAPS], 0);
    server(s, l, NEXT("q", 1));
    fake_expect(&s->told, NEXT("q", 1));
    finish(s);
}

static void test_at_least_once_asks_mutations_again(void **state)
{
    (void)state;
    struct session *s = open_acked();
    s->conf.delivery = DELIVERY_AT_LEAST_ONCE;
    begin(s, MUTATION);
    struct leg *l = lose_and_find(s);
    fake_expect(&l->said, MUTATION);
    (void)lose_and_find(s); /* a mutation that kills servers */
    fake_expect(&s->told, ERROR("m", "gateway: upstream lost twice"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 1);
    finish(s);
}

static void test_a_result_without_its_complete_is_completed(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, MUTATION);
    server(s, s->leg, NEXT("m", 1));
    fake_expect(&s->told, NEXT("m", 1));
    (void)lose_and_find(s);
    fake_expect(&s->told, COMPLETE("m"));
    finish(s);
}

static void test_servers_that_die_while_they_are_told_are_not_blamed_on_what_they_were_not_sent(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, QUERY);
    for (unsigned i = 0; i < 4; i++) {
        fake_lose(s, s->leg);
        struct leg *l = fake_find(s);
        fake_expect(&l->said, INIT);
    }
    server(s, s->leg, ACK);
    fake_expect(&s->leg->said, QUERY);
    finish(s);
}

static void test_a_subscription_that_kills_servers(void **state)
{
    (void)state;
    struct session *s = open_acked();
    s->conf.gap = GAP_SILENT;
    begin(s, SUB_A);
    for (unsigned i = 0; i < 2; i++) {
        struct leg *l = lose_and_find(s);
        fake_expect(&l->said, SUB_A);
    }
    (void)lose_and_find(s);
    fake_expect(&s->told, ERROR("a", "gateway: upstream lost at once"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 1);

    begin(s, SUB_B); /* one that is only quiet */
    for (unsigned i = 0; i < 5; i++) {
        fake_advance(s, 1500);
        struct leg *l = lose_and_find(s);
        fake_expect(&l->said, SUB_B);
    }
    finish(s);
}

static void test_a_server_that_does_not_answer_is_left(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, SUB_A);
    fake_lose(s, s->leg);
    struct leg *l = fake_find(s);
    fake_expect(&l->said, INIT);
    fake_advance(s, 7999);
    assert_false(l->is_failed);
    fake_advance(s, 1);
    assert_true(l->is_failed);
    assert_int_equal(l->fault, LEG_ANOTHER);
    finish(s);
}

static void test_the_clients_own_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t code; /* without a server; with one, it judges */
    } rows[] = {{INIT, 4429}, {SUB_A, 4409}, {"{\"type\":\"start\"}", 4400}, {"nonsense", 4400}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct session *s = open_acked();
        begin(s, SUB_A);
        begin(s, rows[i].text);
        fake_lose(s, s->leg);
        client(s, rows[i].text);
        assert_int_equal(s->end_code, rows[i].code);
        finish(s);
    }
}

static void test_more_than_is_kept_passes_and_binds_the_session_to_its_server(void **state)
{
    (void)state;
    struct session *s = open_acked();
    s->conf.channel_count = 1;
    begin(s, SUB_A);
    begin(s, SUB_B);
    server(s, s->leg, NEXT("b", 1));
    fake_expect(&s->told, NEXT("b", 1));
    fake_lose(s, s->leg);
    assert_int_equal(s->end_code, 1012);
    finish(s);
}

static void test_without_a_server_for_too_long(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, SUB_A);
    fake_lose(s, s->leg);
    s->protocol->give_up(s->speaker);
    fake_expect(&s->told, ERROR("a", "gateway: no server"));
    assert_int_equal(s->end_code, 0);
    client(s, SUB_B); /* its WebSocket is still good */
    struct leg *l = fake_find(s);
    fake_expect(&l->said, INIT);
    server(s, l, ACK);
    fake_expect(&l->said, SUB_B);
    finish(s);

    s = open_session();
    client(s, INIT);
    fake_expect(&s->leg->said, INIT);
    fake_lose(s, s->leg);
    s->protocol->give_up(s->speaker);
    assert_int_equal(s->end_code, 1013);
    finish(s);
}

static void test_a_subscription_refused_after_a_loss_is_told(void **state)
{
    (void)state;
    struct session *s = open_acked();
    s->conf.gap = GAP_SILENT;
    begin(s, SUB_A);
    server(s, s->leg, NEXT("a", 1));
    fake_expect(&s->told, NEXT("a", 1));
    struct leg *l = lose_and_find(s);
    fake_expect(&l->said, SUB_A);
    server(s, l, REFUSED("a"));
    fake_expect(&s->told, REFUSED("a"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_RESTORES_FAILED], 1);
    finish(s);
}

static void test_messages_in_pieces(void **state)
{
    (void)state;
    struct session *s = open_acked();
    struct ws_message m = fake_message(WS_OPCODE_TEXT, SUB_A, strlen(SUB_A) - 5);
    m.is_whole = false;
    assert_int_equal(s->protocol->on_client(s->speaker, &m), SIFT_MORE);
    begin(s, SUB_A);
    m = fake_message(WS_OPCODE_TEXT, NEXT("a", 1), strlen(NEXT("a", 1)) - 2);
    m.is_whole = false;
    assert_int_equal(s->protocol->on_server(s->speaker, s->leg, &m), SIFT_PASS);
    m.len = 12;
    assert_int_equal(s->protocol->on_server(s->speaker, s->leg, &m), SIFT_MORE);
    m.is_at_limit = true;
    assert_int_equal(s->protocol->on_server(s->speaker, s->leg, &m), SIFT_PASS);
    finish(s);
}

static void test_what_operators_see(void **state)
{
    (void)state;
    struct session *s = open_acked();
    struct strbuf out;
    begin(s, SUB_A);
    begin(s, MUTATION);
    strbuf_init(&out, 4096);
    s->protocol->describe(s->speaker, &out);
    assert_string_equal(
        out.data, ",\"operations\":[{\"id\":\"a\",\"kind\":\"subscription\"},{\"id\":\"m\",\"kind\":\"mutation\"}]");
    strbuf_fini(&out);
    assert_int_equal(s->protocol->restore_cost(s->speaker), 2);
    finish(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_subprotocols_are_opaque),
        cmocka_unit_test(test_a_session_without_losses_is_a_relay),
        cmocka_unit_test(test_pings_are_answered_here),
        cmocka_unit_test(test_subscriptions_go_on),
        cmocka_unit_test(test_what_a_gap_means),
        cmocka_unit_test(test_what_begins_without_a_server_waits),
        cmocka_unit_test(test_a_client_that_waits_for_its_ack_gets_it_from_another_server),
        cmocka_unit_test(test_a_session_that_has_not_begun),
        cmocka_unit_test(test_queries_are_asked_again_and_mutations_are_not),
        cmocka_unit_test(test_at_least_once_asks_mutations_again),
        cmocka_unit_test(test_a_result_without_its_complete_is_completed),
        cmocka_unit_test(test_servers_that_die_while_they_are_told_are_not_blamed_on_what_they_were_not_sent),
        cmocka_unit_test(test_a_subscription_that_kills_servers),
        cmocka_unit_test(test_a_server_that_does_not_answer_is_left),
        cmocka_unit_test(test_the_clients_own_mistakes),
        cmocka_unit_test(test_more_than_is_kept_passes_and_binds_the_session_to_its_server),
        cmocka_unit_test(test_without_a_server_for_too_long),
        cmocka_unit_test(test_a_subscription_refused_after_a_loss_is_told),
        cmocka_unit_test(test_messages_in_pieces),
        cmocka_unit_test(test_what_operators_see),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
