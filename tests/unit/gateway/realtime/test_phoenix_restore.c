/* Joining again: the corner cases of tokens, refusals, gaps, and clients that leave or join meanwhile. */
#include "tests/unit/gateway/realtime/phoenix_script.h"

/* The server dies, and the next one is asked for the room. */
static struct leg *dies_and_joins(struct session *s, const char *rejoin)
{
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    server_got(l, rejoin);
    return l;
}

/* ---- 5: the client leaves, or joins anew, while it is being joined again ---- */

static void test_5_leave_while_joining_again_is_done_here_and_there(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *l = dies_and_joins(s, REJOIN("0", ""));
    client_says(s, LEAVE("9"));
    server_got(l, LEAVE("g#1")); /* behind the join, or the server would keep the channel */
    client_got(s, REPLY("9", "ok", "{}"));
    client_got(s, ENDED("phx_close"));
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    server_says(s, l, REPLY("g#1", "ok", "{}"));
    server_says(s, l, ENDED("phx_close"));
    assert_true(l->is_restored);
    ends(s);
}

static void test_5_new_join_takes_the_place_of_the_gateways(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *l = dies_and_joins(s, REJOIN("0", ""));
    client_says(s, LEAVE("9"));
    server_got(l, LEAVE("g#1"));
    fake_forget(&s->told);
    client_says(s, "[\"10\",\"10\",\"" TOPIC "\",\"phx_join\",{\"config\":{}}]");
    server_got(l, "[\"10\",\"10\",\"" TOPIC "\",\"phx_join\",{\"config\":{" PINNED("") "}}]");
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    server_says(s, l, REPLY("g#1", "ok", "{}"));
    server_says(s, l, ENDED("phx_close")); /* of the one before: the client's SDK would take it for its own */
    client_got_nothing(s);
    server_says(s, l, "[\"10\",\"10\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    client_got(s, "[\"10\",\"10\",\"" TOPIC "\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    ends(s);
}

static void test_5_leave_without_any_server(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    dies(s, s->leg);
    client_says(s, LEAVE("9"));
    client_got(s, REPLY("9", "ok", "{}"));
    client_got(s, ENDED("phx_close"));
    assert_false(s->protocol->wants_server(s->speaker));
    ends(s);
}

/* ---- 6: tokens ---- */

/* {"alg":"none"}.{"exp":1700000000}. : over long before the fake session's clock */
#define OLD_TOKEN "eyJhbGciOiJub25lIn0.eyJleHAiOjE2MDAwMDAwMDB9.x"

static void test_6_expired_token_is_not_shown_to_a_server(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, "[\"3\",\"7\",\"" TOPIC "\",\"access_token\",{\"access_token\":\"" OLD_TOKEN "\"}]");
    fake_forget(&s->leg->said);
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    server_got_nothing(l);
    client_got(s, ENDED("phx_error"));
    assert_true(l->is_restored);
    ends(s);
}

static void test_6_newest_token_goes_with_the_join(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, "[\"3\",\"7\",\"" TOPIC "\",\"access_token\",{\"access_token\":\"J2\"}]");
    server_got(s->leg, "[\"3\",\"7\",\"" TOPIC "\",\"access_token\",{\"access_token\":\"J2\"}]");
    dies(s, s->leg);
    client_says(s, "[\"3\",\"8\",\"" TOPIC "\",\"access_token\",{\"access_token\":\"J3\"}]");
    struct leg *l = fake_find(s);
    server_got(l, "[\"3\",\"g#0\",\"" TOPIC "\",\"phx_join\",{\"config\":{" PINNED("") "},\"access_token\":\"J3\"}]");
    client_says(s, "[\"3\",\"9\",\"" TOPIC "\",\"access_token\",{\"access_token\":\"J4\"}]");
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    server_got(l, "[\"3\",\"9\",\"" TOPIC "\",\"access_token\",{\"access_token\":\"J4\"}]");
    ends(s);
}

static void test_6_token_that_a_server_refuses_leads_to_an_error(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *l = dies_and_joins(s, REJOIN("0", ""));
    server_says(s, l, REPLY("g#0", "error", REASON("InvalidJWTToken: Token has expired 3 seconds ago")));
    client_got(s, ENDED("phx_error"));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_RESTORES_FAILED], 1);
    assert_true(l->is_restored);
    ends(s);
}

static void test_6_refused_for_good_is_said_and_leads_to_an_error(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *l = dies_and_joins(s, REJOIN("0", ""));
    server_says(s, l, REPLY("g#0", "error", REASON("PrivateOnly: This project only allows private channels")));
    client_got(s, SYSTEM("gateway", "error", "PrivateOnly: This project only allows private channels"));
    client_got(s, ENDED("phx_error"));
    ends(s);
}

/* ---- 7, 9: what may be missing ---- */

static void test_7_notice_comes_when_changes_flow_again(void **state)
{
    (void)state;
    struct session *s = joined_with(JOIN(CHANGES), REPLY("3", "ok", LISTED));
    s->conf.gap = GAP_NOTICE;
    server_says(s, s->leg, READY);
    client_got(s, READY);
    struct leg *l = dies_and_joins(s, REJOIN("0", CHANGES));
    server_says(s, l, REPLY("g#0", "ok", LISTED));
    time_passes(s, 1000);
    client_got_nothing(s);
    server_says(s, l, READY); /* which the client has heard before */
    client_got(s, RESUMED);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_GAPS], 1);
    server_says(s, l, READY); /* now it is news: after a new token */
    client_got(s, READY);
    ends(s);
}

/* Its server tries by itself again, so the client is not alarmed at once. */
static void test_7_trouble_with_changes_is_told_if_it_lasts(void **state)
{
    static const char trouble[] = SYSTEM("postgres_changes", "error", "Unable to subscribe");
    (void)state;
    for (int lasts = 0; lasts < 2; lasts++) {
        struct session *s = joined_with(JOIN(CHANGES), REPLY("3", "ok", LISTED));
        server_says(s, s->leg, READY);
        client_got(s, READY);
        struct leg *l = dies_and_joins(s, REJOIN("0", CHANGES));
        server_says(s, l, REPLY("g#0", "ok", LISTED));
        server_says(s, l, trouble);
        time_passes(s, 9999);
        client_got_nothing(s);
        if (!lasts)
            server_says(s, l, READY);
        time_passes(s, 1);
        if (lasts)
            client_got(s, trouble);
        ends(s);
    }
}

static void test_7_who_never_heard_that_changes_flow_hears_it_from_the_next(void **state)
{
    (void)state;
    struct session *s = joined_with(JOIN(CHANGES), REPLY("3", "ok", LISTED));
    struct leg *l = dies_and_joins(s, REJOIN("0", CHANGES));
    server_says(s, l, REPLY("g#0", "ok", LISTED));
    server_says(s, l, READY);
    client_got(s, READY);
    ends(s);
}

static void test_7_strict_routes_make_the_client_join_again(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    s->conf.gap = GAP_REJOIN;
    dies(s, s->leg);
    client_says(s, BROADCAST("7"));
    struct leg *l = fake_find(s);
    server_got(l, REJOIN("0", ""));
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    time_passes(s, 0);
    server_got(l, BROADCAST("7")); /* what waited is not lost by that */
    server_got(l, LEAVE("g#1"));
    client_got(s, ENDED("phx_error"));
    server_says(s, l, ENDED("phx_close"));
    ends(s);
}

static void test_7_numbers_of_changes_stay_those_the_client_knows(void **state)
{
    (void)state;
    struct session *s = joined_with(JOIN(CHANGES), REPLY("3", "ok", LISTED));
    struct leg *l = dies_and_joins(s, REJOIN("0", CHANGES));
    server_says(s, l, REPLY("g#0", "ok", "{\"postgres_changes\":[{\"id\":99,\"event\":\"*\",\"schema\":\"public\"}]}"));
    server_says(s, l, "[null,null,\"" TOPIC "\",\"postgres_changes\",{\"ids\":[99],\"data\":{\"type\":\"INSERT\"}}]");
    client_got(s, "[null,null,\"" TOPIC "\",\"postgres_changes\",{\"data\":{\"type\":\"INSERT\"},\"ids\":[7]}]");
    ends(s);
}

static void test_7_other_changes_than_the_client_was_told_of_lead_to_an_error(void **state)
{
    (void)state;
    struct session *s = joined_with(JOIN(CHANGES), REPLY("3", "ok", LISTED));
    struct leg *l = dies_and_joins(s, REJOIN("0", CHANGES));
    server_says(s, l, REPLY("g#0", "ok", "{\"postgres_changes\":[]}"));
    server_got(l, LEAVE("g#1"));
    client_got(s, ENDED("phx_error"));
    ends(s);
}

static void test_9_notice_comes_at_once_without_changes(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    s->conf.gap = GAP_NOTICE;
    struct leg *l = dies_and_joins(s, REJOIN("0", ""));
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    time_passes(s, 0);
    client_got(s, RESUMED);
    ends(s);
}

/* ---- 8: broadcasts of the database ---- */

#define STORED(n, meta)                                                                                                \
    "[null,null,\"" TOPIC "\",\"broadcast\",{\"event\":\"n\",\"payload\":{\"n\":" n                                    \
    "},\"type\":\"broadcast\",\"meta\":{" meta "}}]"

static void test_8_stored_broadcasts_are_asked_for_and_come_once(void **state)
{
    (void)state;
    struct session *s = JOINED("\"private\":true");
    server_says(s, s->leg, STORED("1", "\"id\":\"a\""));
    client_got(s, STORED("1", "\"id\":\"a\""));
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    struct fake_message join = fake_said_take(&l->said);
    assert_non_null(strstr(join.data, "\"replay\":{\"since\":1700000995000,\"limit\":25}"));
    const char *own = strstr(join.data, "\"g") + 1;
    snprintf(own_refs[0], sizeof own_refs[0], "%.*s", (int)strcspn(own, "\""), own);
    free(join.data);
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    server_says(s, l, STORED("1", "\"id\":\"a\",\"replayed\":true"));
    client_got_nothing(s);
    server_says(s, l, STORED("2", "\"id\":\"b\",\"replayed\":true")); /* the client did not ask for a replay */
    client_got(s, STORED("2", "\"id\":\"b\""));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_DUPLICATES], 1);
    ends(s);
}

static void test_8_replay_the_client_has_had_is_not_asked_for_again(void **state)
{
    (void)state;
    struct session *s = JOINED("\"private\":true,\"broadcast\":{\"replay\":{\"since\":1}}");
    (void)dies_and_joins(s, REJOIN("0", "\"private\":true,\"broadcast\":{}"));
    ends(s);
}

/* ---- 11: presence keys ---- */

/* The payload of this join as the first server gets it is what the second and the third get too. */
static void key_stays(const char *said, const char *got_first, const char *got_again)
{
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    s->conf.gap = GAP_SILENT;
    client_says(s, said);
    struct fake_message first = fake_said_take(&s->leg->said);
    assert_true(matches(got_first, first.data));
    assert_null(strstr(first.data, "\"key\":\"\""));
    server_says(s, s->leg, REPLY("3", "ok", "{}"));
    client_got(s, REPLY("3", "ok", "{}"));
    for (int i = 0; i < 2; i++) {
        dies(s, s->leg);
        struct leg *l = fake_find(s);
        struct fake_message again = fake_said_take(&l->said);
        assert_true(matches(got_again, again.data)); /* which learns its reference */
        assert_string_equal(strstr(first.data, "\"phx_join\""), strstr(again.data, "\"phx_join\""));
        free(again.data);
        server_says(s, l, REPLY("g#0", "ok", "{}"));
    }
    free(first.data);
    ends(s);
}

#define KEY_STAYS(said, got) key_stays(JOIN(said), JOIN(got), REJOIN_AS("0", got))

static void test_11_random_presence_key_stays_the_same(void **state)
{
    (void)state;
    KEY_STAYS("\"presence\":{\"key\":\"\"}", "\"presence\":{\"key\":\"*\"}");
    KEY_STAYS("\"presence\":{\"enabled\":true}", "\"presence\":{\"enabled\":true,\"key\":\"*\"}");
}

/* The server invents one for who says nothing of presence, and whoever tracks is known by it. */
static void test_11_so_does_the_key_of_who_says_nothing_of_presence(void **state)
{
    (void)state;
    KEY_STAYS("", "\"presence\":{\"key\":\"*\"}");
    KEY_STAYS("\"private\":true", "\"private\":true,\"presence\":{\"key\":\"*\"}");
    KEY_STAYS("\"presence\":null,\"private\":true", "\"private\":true,\"presence\":{\"key\":\"*\"}");
}

/* Without a config a join asks Supabase for the changes of the table that its topic names; with one it does not. And
 * what other applications mean by a config is not known. */
static void test_11_what_a_key_would_change_stays_as_it_is(void **state)
{
    static const char *const joins[] = {
        "[\"3\",\"3\",\"realtime:public:todos\",\"phx_join\",{\"user_token\":\"J1\"}]",
        "[\"3\",\"3\",\"" TOPIC "\",\"phx_join\",{\"config\":{\"presence\":\"on\"}}]",
        "[\"3\",\"3\",\"room:1\",\"phx_join\",{\"config\":{\"colour\":\"red\"}}]",
        "[\"3\",\"3\",\"room:1\",\"phx_join\",{}]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof joins / sizeof joins[0]; i++) {
        struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
        client_says(s, joins[i]);
        server_got(s->leg, joins[i]);
        ends(s);
    }
}

/* ---- 14: a join under way ---- */

static void test_14_join_under_way_is_the_clients_own(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    client_says(s, JOIN(""));
    server_got(s->leg, JOIN(PINNED("")));
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    server_got(l, JOIN(PINNED("")));
    server_says(s, l, REPLY("3", "ok", "{}"));
    client_got(s, REPLY("3", "ok", "{}"));
    ends(s);
}

static void test_14_join_that_nobody_takes_is_refused_in_time(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    dies(s, s->leg);
    client_says(s, JOIN(""));
    assert_int_equal(s->wants_changed_count, 1);
    time_passes(s, 7999);
    client_got_nothing(s);
    time_passes(s, 1);
    client_got(s, REPLY("3", "error", REASON("gateway: no server")));
    assert_false(s->protocol->wants_server(s->speaker));
    ends(s);
}

/* ---- 15: the second server dies too ---- */

static void test_15_second_server_dies_half_way(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    joins_other(s);
    struct leg *first = s->leg;
    dies(s, first);
    client_says(s, BROADCAST("7"));
    struct leg *second = fake_find(s);
    server_got(second, REJOIN("0", ""));
    server_got(second, "[\"4\",\"g#1\",\"other\",\"phx_join\",{}]");
    server_says(s, second, REPLY("g#0", "ok", "{}"));
    server_got(second, BROADCAST("7"));
    dies(s, second);
    struct leg *third = fake_find(s);
    server_says(s, second, "[\"4\",\"g#1\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    server_says(s, first, "[null,null,\"" TOPIC "\",\"broadcast\",{}]"); /* the dead are not heard */
    client_got_nothing(s);
    assert_false(third->is_restored);
    server_got(third, REJOIN("0", ""));
    server_got_nothing(third); /* one after the other now: it may be a join that kills them */
    server_says(s, third, REPLY("g#0", "ok", "{}"));
    server_got(third, "[\"4\",\"g#1\",\"other\",\"phx_join\",{}]");
    server_says(s, third, "[\"4\",\"g#1\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    assert_true(third->is_restored);
    ends(s);
}

/* ---- many channels ---- */

#define CHANNELS 20

static const char *in_channel(char text[128], int i, const char *ref, const char *rest)
{
    (void)snprintf(text, 128, "[\"c%d\",\"%.40s\",\"room%d\",%s]", i, ref, i, rest);
    return text;
}

/* A server takes one after the other, those of other sessions as well. */
static void test_joins_are_asked_for_eight_at_a_time(void **state)
{
    char text[128], own[CHANNELS][64];
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    s->conf.gap = GAP_SILENT;
    for (int i = 0; i < CHANNELS; i++) {
        client_says(s, in_channel(text, i, "1", "\"phx_join\",{}"));
        server_says(s, s->leg, in_channel(text, i, "1", "\"phx_reply\",{\"status\":\"ok\",\"response\":{}}"));
    }
    fake_forget(&s->told);
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    for (int i = 0, answered_count = 0; answered_count < CHANNELS; answered_count++) {
        const int asked_count = answered_count + 8 < CHANNELS ? answered_count + 8 : CHANNELS;
        for (; i < asked_count; i++) {
            server_got(l, in_channel(text, i, "g#0", "\"phx_join\",{}"));
            memcpy(own[i], own_refs[0], sizeof own[i]);
        }
        server_got_nothing(l);
        assert_false(l->is_restored);
        server_says(
            s, l,
            in_channel(text, answered_count, own[answered_count], "\"phx_reply\",{\"status\":\"ok\",\"response\":{}}"));
    }
    assert_true(l->is_restored);
    ends(s);
}

/* ---- 17: the blocked server ---- */

static void test_17_server_may_be_silent_while_joins_are_under_way(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    assert_int_equal(l->silence_ms, 15000);
    server_got(l, REJOIN("0", ""));
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    assert_int_equal(l->silence_ms, 0);
    ends(s);
}

static void test_17_it_may_until_the_last_of_the_clients_joins_is_answered(void **state)
{
    (void)state;
    struct session *s = fake_open(&protocol_phoenix, NULL, "vsn=2.0.0");
    client_says(s, JOIN(""));
    client_says(s, "[\"4\",\"4\",\"realtime:other\",\"phx_join\",{}]");
    assert_int_equal(s->leg->silence_ms, 15000);
    server_says(s, s->leg, REPLY("3", "ok", "{}"));
    assert_int_equal(s->leg->silence_ms, 15000);
    server_says(s, s->leg, "[\"4\",\"4\",\"realtime:other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    assert_int_equal(s->leg->silence_ms, 0);
    fake_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_5_leave_while_joining_again_is_done_here_and_there),
        cmocka_unit_test(test_5_new_join_takes_the_place_of_the_gateways),
        cmocka_unit_test(test_5_leave_without_any_server),
        cmocka_unit_test(test_6_expired_token_is_not_shown_to_a_server),
        cmocka_unit_test(test_6_newest_token_goes_with_the_join),
        cmocka_unit_test(test_6_token_that_a_server_refuses_leads_to_an_error),
        cmocka_unit_test(test_6_refused_for_good_is_said_and_leads_to_an_error),
        cmocka_unit_test(test_7_notice_comes_when_changes_flow_again),
        cmocka_unit_test(test_7_trouble_with_changes_is_told_if_it_lasts),
        cmocka_unit_test(test_7_who_never_heard_that_changes_flow_hears_it_from_the_next),
        cmocka_unit_test(test_7_strict_routes_make_the_client_join_again),
        cmocka_unit_test(test_7_numbers_of_changes_stay_those_the_client_knows),
        cmocka_unit_test(test_7_other_changes_than_the_client_was_told_of_lead_to_an_error),
        cmocka_unit_test(test_9_notice_comes_at_once_without_changes),
        cmocka_unit_test(test_8_stored_broadcasts_are_asked_for_and_come_once),
        cmocka_unit_test(test_8_replay_the_client_has_had_is_not_asked_for_again),
        cmocka_unit_test(test_11_random_presence_key_stays_the_same),
        cmocka_unit_test(test_11_so_does_the_key_of_who_says_nothing_of_presence),
        cmocka_unit_test(test_11_what_a_key_would_change_stays_as_it_is),
        cmocka_unit_test(test_14_join_under_way_is_the_clients_own),
        cmocka_unit_test(test_14_join_that_nobody_takes_is_refused_in_time),
        cmocka_unit_test(test_15_second_server_dies_half_way),
        cmocka_unit_test(test_joins_are_asked_for_eight_at_a_time),
        cmocka_unit_test(test_17_server_may_be_silent_while_joins_are_under_way),
        cmocka_unit_test(test_17_it_may_until_the_last_of_the_clients_joins_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
