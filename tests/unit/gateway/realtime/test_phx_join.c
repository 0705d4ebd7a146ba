/* What join payloads say, and what is changed in them, with jansson building the tree that should come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "gateway/realtime/phx_join.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define TEXT(s)  ((struct phx_text){(s), sizeof(s) - 1})

static struct phx_text text_of(const char *s)
{
    return (struct phx_text){s, strlen(s)};
}

static void assert_text(struct phx_text t, const char *expected)
{
    if (!phx_text_is(t, expected))
        fail_msg("\"%.*s\" instead of \"%s\"", (int)t.len, t.data != NULL ? t.data : "", expected);
}

#define SUPABASE_JS                                                                                                    \
    "{\"config\":{\"broadcast\":{\"ack\":true,\"self\":false},\"presence\":{\"key\":\"\",\"enabled\":true},"           \
    "\"postgres_changes\":[{\"event\":\"*\",\"schema\":\"public\",\"table\":\"todos\",\"filter\":\"owner=eq.7\"}],"    \
    "\"private\":false},\"access_token\":\"J1\"}"

/* ---- reading ---- */

struct read_row {
    const char *payload;
    struct phx_join is;
    const char *presence_key, *changes, *token;
};

#define IS(...)                                                                                                        \
    {                                                                                                                  \
        .is_supabase = true, __VA_ARGS__                                                                               \
    }
#define LACKS(...) IS(.has_random_key = true, .lacks_presence = true, __VA_ARGS__)

/* clang-format off */
static const struct read_row reads[] = {
    {SUPABASE_JS, IS(.acks_broadcasts = true, .has_random_key = true, .change_count = 1), "",
     "[{\"event\":\"*\",\"schema\":\"public\",\"table\":\"todos\",\"filter\":\"owner=eq.7\"}]", "\"J1\""},
    {"{}", {.is_supabase = false}, "", "", ""},
    {"[]", {.is_supabase = false}, "", "", ""},
    {"\"any\"", {.is_supabase = false}, "", "", ""},
    {"{\"user_id\":7,\"token\":\"no\"}", {.is_supabase = false}, "", "", ""},
    {"{\"user_token\":\"J2\"}", {.is_supabase = false}, "", "", "\"J2\""},
    {"{\"config\":7}", {.is_supabase = false}, "", "", ""},
    {"{\"config\":{}}", LACKS(.change_count = 0), "", "", ""},
    {"{\"config\":{\"private\":\"true\",\"broadcast\":{\"ack\":\"true\",\"self\":\"false\"}}}",
     LACKS(.is_private = true, .acks_broadcasts = true), "", "", ""},
    {"{\"config\":{\"private\":\"1\",\"broadcast\":{\"self\":true,\"ack\":\"maybe\"}}}", LACKS(.is_private = true, .gets_own = true), "", "", ""},
    {"{\"config\":{\"private\":null,\"broadcast\":[]}}", LACKS(.is_private = false), "", "", ""},
    {"{\"config\":{\"broadcast\":{\"replay\":{\"since\":1,\"limit\":5},\"replication_ready\":true}}}",
     LACKS(.wants_replay = true, .waits_replication = true), "", "", ""},
    {"{\"config\":{\"presence\":{\"key\":\"u1\"}}}", IS(.has_random_key = false), "\"u1\"", "", ""},
    {"{\"config\":{\"presence\":{}}}", IS(.has_random_key = true), "", "", ""},
    {"{\"config\":{\"presence\":{\"key\":null,\"enabled\":\"false\"}}}", IS(.has_random_key = true, .has_no_presence = true), "", "", ""},
    {"{\"config\":{\"presence\":null}}", IS(.has_random_key = true, .lacks_presence = true), "", "", ""},
    {"{\"config\":{\"presence\":\"on\"}}", {.is_supabase = true}, "", "", ""},
    {"{\"config\":{\"postgres_changes\":[]}}", LACKS(.change_count = 0), "", "", ""},
    {"{\"config\":{\"postgres_changes\":[{},{\"a\":[1,2]},3]}}", LACKS(.change_count = 3), "", "[{},{\"a\":[1,2]},3]", ""},
    {"{\"config\":{\"postgres_changes\":{}}}", LACKS(.change_count = 0), "", "", ""},
    {"{\"config\":{},\"access_token\":\"A\",\"user_token\":\"U\"}", LACKS(.change_count = 0), "", "", "\"U\""},
    {"{\"config\":{},\"access_token\":\"A\",\"user_token\":null}", LACKS(.change_count = 0), "", "", "\"A\""},
    {"{\"config\":{},\"access_token\":\"sb_publishable_x\"}", LACKS(.change_count = 0), "", "", ""},
    {"{\"config\":{},\"access_token\":\"A\",\"user_token\":\"sb_x\"}", LACKS(.change_count = 0), "", "", ""},
    {"{\"config\":{},\"access_token\":null}", LACKS(.change_count = 0), "", "", ""},
    {"{\"\\u0063onfig\":{\"private\":true},\"config\":{\"private\":false}}", LACKS(.is_private = false), "", "", ""},
};
/* clang-format on */

static void joins_say_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(reads); i++) {
        const struct phx_join *is = &reads[i].is;
        struct phx_join j;
        assert_true(phx_join_read(&j, text_of(reads[i].payload)));
        assert_int_equal(j.is_supabase, is->is_supabase);
        assert_int_equal(j.is_private, is->is_private);
        assert_int_equal(j.acks_broadcasts, is->acks_broadcasts);
        assert_int_equal(j.gets_own, is->gets_own);
        assert_int_equal(j.wants_replay, is->wants_replay);
        assert_int_equal(j.waits_replication, is->waits_replication);
        assert_int_equal(j.has_no_presence, is->has_no_presence);
        assert_int_equal(j.has_random_key, is->has_random_key);
        assert_int_equal(j.lacks_presence, is->lacks_presence);
        assert_int_equal(j.change_count, is->change_count);
        assert_text(j.presence_key, reads[i].presence_key);
        assert_text(j.changes, reads[i].changes);
        assert_text(j.token, reads[i].token);
    }
}

static void what_is_no_json_is_refused(void **state)
{
    struct phx_join j;
    const size_t len = sizeof SUPABASE_JS - 1;
    (void)state;
    for (size_t cut = 0; cut < len; cut++)
        assert_false(phx_join_read(&j, (struct phx_text){SUPABASE_JS, cut}));
    assert_false(phx_join_read(&j, TEXT("{},{}")));
    assert_false(phx_join_read(&j, TEXT("{\"config\":{]}}")));
    assert_false(phx_join_read(&j, (struct phx_text){NULL, 0}));
}

static void tokens_of_messages(void **state)
{
    (void)state;
    assert_text(phx_token_read(TEXT("{\"access_token\":\"J2\",\"version\":\"x\"}")), "\"J2\"");
    assert_text(phx_token_read(TEXT("{\"access_token\":null}")), "");
    assert_text(phx_token_read(TEXT("{\"access_token\":\"sb_secret\"}")), "");
    assert_text(phx_token_read(TEXT("{\"access_token\":\"J2\"")), "");
    assert_text(phx_token_read(TEXT("{}")), "");
}

/* ---- rewriting ---- */

/* The tree that should come out. */
static json_t *expected_tree(const char *payload, const struct phx_join_changes *c)
{
    json_t *tree = json_loads(payload, 0, NULL);
    json_t *config = json_object_get(tree, "config");
    json_t *broadcast = json_object_get(config, "broadcast"), *presence = json_object_get(config, "presence");
    if (c->token.len > 0) {
        json_object_set_new(tree, "access_token", json_stringn(c->token.data + 1, c->token.len - 2));
        json_object_del(tree, "user_token");
    }
    if (c->presence_key.len > 0 && json_is_object(presence))
        json_object_set_new(presence, "key", json_stringn(c->presence_key.data, c->presence_key.len));
    if (c->presence_key.len > 0 && json_is_object(config) && (presence == NULL || json_is_null(presence)))
        json_object_set_new(config, "presence",
                            json_pack("{s:s%}", "key", c->presence_key.data, (size_t)c->presence_key.len));
    if (c->replay == PHX_REPLAY_REMOVE && json_is_object(broadcast))
        json_object_del(broadcast, "replay");
    if (c->replay == PHX_REPLAY_SINCE && json_is_object(config)) {
        if (!json_is_object(broadcast)) {
            broadcast = json_object();
            json_object_set_new(config, "broadcast", broadcast);
        }
        json_object_set_new(broadcast, "replay",
                            json_pack("{s:I,s:i}", "since", (json_int_t)c->replay_since_ms, "limit", 25));
    }
    return tree;
}

static const char *const payloads[] = {
    SUPABASE_JS,
    "{}",
    "{\"config\":{}}",
    "{\"config\":{\"presence\":{},\"broadcast\":{}}}",
    "{\"config\":{\"presence\":null,\"private\":true}}",
    "{\"config\":{\"presence\":\"on\"}}",
    "{\"config\":{\"presence\":{\"key\":null,\"x\":[1.5,2e3]},\"broadcast\":{\"replay\":{\"since\":1},\"ack\":true}}}",
    "{\"user_token\":\"U\",\"config\":{\"broadcast\":{\"replay\":{\"since\":1}}},\"access_token\":null}",
    "{ \"access_token\" : \"A\" , \"user_token\":1, \"config\":{ \"private\" : true } }",
    "{\"config\":\"none\",\"t\\u00e4g\":\"\\ud83d\\ude00\"}",
    "{\"room\":{\"config\":{\"broadcast\":{\"replay\":1}}},\"access_token\":\"A\"}",
};

static void joins_are_equal_but_for_the_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(payloads); i++)
        for (unsigned which = 0; which < 12; which++) {
            struct phx_join_changes c = {.replay = (enum phx_replay)(which / 4), .replay_since_ms = 1767225600123};
            struct strbuf out;
            if ((which & 1) != 0)
                c.token = TEXT("\"J9.x-_\"");
            if ((which & 2) != 0)
                c.presence_key = TEXT("k\"1\"\n");
            strbuf_init(&out, 4096);
            assert_true(phx_join_rewrite(&out, text_of(payloads[i]), &c));
            json_t *got = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
            json_t *expected = expected_tree(payloads[i], &c);
            assert_non_null(got);
            if (!json_equal(got, expected))
                fail_msg("%s became %s", payloads[i], out.data);
            json_decref(got);
            json_decref(expected);
            strbuf_fini(&out);
        }
}

static void numbers_and_escapes_stay_as_written(void **state)
{
    static const char payload[] =
        "{\"n\":1.00e+02,\"big\":123456789012345678901,\"s\":\"\\u00e4\\/\",\"user_token\":\"x\"}";
    const struct phx_join_changes c = {.token = TEXT("\"J\"")};
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 4096);
    assert_true(phx_join_rewrite(&out, TEXT(payload), &c));
    assert_string_equal(out.data,
                        "{\"n\":1.00e+02,\"big\":123456789012345678901,\"s\":\"\\u00e4\\/\",\"access_token\":\"J\"}");
    strbuf_fini(&out);
}

static void what_is_no_object_is_not_rewritten(void **state)
{
    static const char *const others[] = {"", "[]", "null", "\"x\"", "{", "{} x", "{\"config\":{\"presence\":{]}}}"};
    const struct phx_join_changes c = {.token = TEXT("\"J\""), .presence_key = TEXT("k")};
    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        struct strbuf out;
        strbuf_init(&out, 4096);
        assert_false(phx_join_rewrite(&out, text_of(others[i]), &c));
        assert_int_equal(out.len, 0);
        strbuf_fini(&out);
    }
}

/* ---- tokens ---- */

static const struct {
    const char *token;
    int64_t expires_ms;
} tokens[] = {
    /* {"exp":1767225600}, {"role":"anon","exp":1767225600.5}, {"exp":"x"}, {"sub":"u"}, {"exp":-1}, {"exp":1e300}, [1]
     */
    {"eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3NjcyMjU2MDB9.c2ln", 1767225600000},
    {"\"eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3NjcyMjU2MDB9.c2ln\"", 1767225600000},
    {"e30.eyJyb2xlIjoiYW5vbiIsImV4cCI6MTc2NzIyNTYwMC41fQ.", 1767225600500},
    {"e30.eyJleHAiOiJ4In0.", 0},
    {"e30.eyJzdWIiOiJ1In0.", 0},
    {"e30.eyJleHAiOi0xfQ.", 0},
    {"e30.eyJleHAiOjFlMzAwfQ.", 0},
    {"e30.WzFd.", 0},
    {"e30.eyJleHAiOjE3NjcyMjU2MDB9", 0},     /* two parts */
    {"e30.eyJleHAiOjE3NjcyMjU2MDB.c2ln", 0}, /* cut */
    {"e30.!!!!.c2ln", 0},
    {"..", 0},
    {".", 0},
    {"", 0},
    {"\"", 0},
    {"\"\"", 0},
    {"sb_publishable_abc", 0},
};

static void tokens_say_when_they_expire(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(tokens); i++)
        assert_int_equal(phx_token_expires_ms(text_of(tokens[i].token)), tokens[i].expires_ms);
    assert_int_equal(phx_token_expires_ms((struct phx_text){NULL, 0}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_say_what_they_say),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(tokens_of_messages),
        cmocka_unit_test(joins_are_equal_but_for_the_changes),
        cmocka_unit_test(numbers_and_escapes_stay_as_written),
        cmocka_unit_test(what_is_no_object_is_not_rewritten),
        cmocka_unit_test(tokens_say_when_they_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
