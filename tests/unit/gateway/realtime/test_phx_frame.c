/* Messages as clients and servers write them, by tables; each cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "gateway/realtime/phx_frame.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define TEXT(s)  ((struct phx_text){(s), sizeof(s) - 1})
#define NONE     ((struct phx_text){NULL, 0})
#define CLIENT   PHX_FROM_CLIENT
#define SERVER   PHX_FROM_SERVER
#define TOPIC_255                                                                                                      \
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"     \
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"     \
    "ttttttttttttttttttttttttttttttttttttttt"

static void assert_text(struct phx_text t, const char *expected)
{
    if (!phx_text_is(t, expected))
        fail_msg("\"%.*s\" instead of \"%s\"", (int)t.len, t.data != NULL ? t.data : "", expected);
}

/* ---- text ---- */

struct text_row {
    enum phx_vsn vsn;
    enum phx_sender from;
    const char *text;
    const char *join_ref, *ref, *topic, *event, *payload;
};

/* clang-format off */
static const struct text_row texts[] = {
    {PHX_V2, CLIENT, "[\"3\",\"3\",\"realtime:room\",\"phx_join\",{\"config\":{}}]", "\"3\"", "\"3\"", "realtime:room", "phx_join", "{\"config\":{}}"},
    {PHX_V2, CLIENT, "[null,\"12\",\"phoenix\",\"heartbeat\",{}]", "null", "\"12\"", "phoenix", "heartbeat", "{}"},
    {PHX_V2, SERVER, "[null,null,\"realtime:room\",\"postgres_changes\",{\"ids\":[1]}]", "null", "null", "realtime:room", "postgres_changes", "{\"ids\":[1]}"},
    {PHX_V2, CLIENT, " [ 3 , 4 , \"t\" , \"e\" , [ 1 , 2 ] ] ", "3", "4", "t", "e", "[ 1 , 2 ]"},
    {PHX_V2, CLIENT, "[null,null,\"t\",\"e\",\"]\"]\n", "null", "null", "t", "e", "\"]\""},
    {PHX_V2, CLIENT, "[\"\\u0033\",null,\"realtime\\u003aro\\\"om\",\"\\u00e4\",null]", "\"\\u0033\"", "null", "realtime:ro\"om", "\xc3\xa4", "null"},
    {PHX_V2, CLIENT, "[\"a\\\"]\",\"\",\"\",\"\",0]", "\"a\\\"]\"", "\"\"", "", "", "0"},
    {PHX_V2, CLIENT, "[null,null,\"" TOPIC_255 TOPIC_255 "\",\"e\",{}]", "null", "null", TOPIC_255 TOPIC_255, "e", "{}"},
    /* What is behind the fifth element is none of the server's, and here it belongs to the fifth. */
    {PHX_V2, CLIENT, "[null,null,\"t\",\"e\",1,2]", "null", "null", "t", "e", "1,2"},

    {PHX_V1, CLIENT, "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{\"topic\":\"no\"},\"ref\":\"1\",\"join_ref\":\"2\"}", "\"2\"", "\"1\"", "t", "e", "{\"topic\":\"no\"}"},
    {PHX_V1, CLIENT, "{\"join_ref\":\"2\",\"ref\":\"1\",\"topic\":\"t\",\"event\":\"e\",\"payload\":[]}", "\"2\"", "\"1\"", "t", "e", "[]"},
    {PHX_V1, CLIENT, "{\"topic\":\"phoenix\",\"event\":\"heartbeat\",\"payload\":{},\"ref\":null}", "", "null", "phoenix", "heartbeat", "{}"},
    {PHX_V1, CLIENT, "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":7}", "", "7", "t", "e", "{}"},
    {PHX_V1, CLIENT, " { \"ref\" : null , \"payload\" : \"}\" , \"event\" : \"e\" , \"topic\" : \"t\" } ", "", "null", "t", "e", "\"}\""},
    {PHX_V1, CLIENT, "{\"\\u0074opic\":\"t\",\"event\":\"\\u0065\",\"payload\":0,\"ref\":null}", "", "null", "t", "e", "0"},
    {PHX_V1, CLIENT, "{\"topic\":\"a\",\"event\":\"b\",\"payload\":1,\"ref\":1,\"topic\":\"t\",\"event\":\"e\",\"payload\":2,\"ref\":3}", "", "3", "t", "e", "2"},
    {PHX_V1, CLIENT, "{\"more\":{\"ref\":9},\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":null,\"x\":[]}", "", "null", "t", "e", "{}"},
    {PHX_V1, SERVER, "{\"event\":\"e\",\"payload\":{\"ref\":\"1\"},\"ref\":null,\"topic\":\"t\"}", "", "null", "t", "e", "{\"ref\":\"1\"}"},
    {PHX_V1, SERVER, "{\"event\":\"e\",\"payload\":{},\"topic\":\"t\"}", "", "", "t", "e", "{}"},
};
/* clang-format on */

static enum phx_read read_tight(struct phx_frame *f, uint8_t **copy, enum phx_vsn vsn, enum phx_sender from,
                                const void *bytes, size_t len, bool is_binary, bool is_whole)
{
    *copy = mem_alloc(len + 1);
    *copy = mem_realloc(*copy, len > 0 ? len : 1);
    memcpy(*copy, bytes, len);
    return phx_frame_read(f, vsn, from, *copy, len, is_binary, is_whole);
}

static void texts_are_read(void **state)
{
    struct phx_frame f;
    uint8_t *copy;
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        const struct text_row *r = &texts[i];
        assert_int_equal(read_tight(&f, &copy, r->vsn, r->from, r->text, strlen(r->text), false, true), PHX_READ_OK);
        assert_int_equal(f.kind, PHX_JSON);
        assert_true(f.payload_is_json);
        assert_text(f.join_ref, r->join_ref);
        assert_text(f.ref, r->ref);
        assert_text(f.topic, r->topic);
        assert_text(f.event, r->event);
        assert_text(f.payload, r->payload);
        mem_free(copy);
    }
}

/* A beginning is never mistaken for something else, and of vsn 2.0.0 the names are known from it. */
static void texts_may_be_cut_anywhere(void **state)
{
    struct phx_frame f;
    uint8_t *copy;
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        const struct text_row *r = &texts[i];
        const size_t len = strlen(r->text);
        bool is_known = false;
        for (size_t cut = 0; cut <= len; cut++) {
            const enum phx_read read = read_tight(&f, &copy, r->vsn, r->from, r->text, cut, false, false);
            if (read == PHX_READ_OK) {
                is_known = true;
                assert_text(f.ref, r->ref);
                assert_text(f.topic, r->topic);
                assert_text(f.event, r->event);
                assert_int_equal(f.payload.len, 0);
            } else {
                assert_int_equal(read, PHX_READ_MORE);
                assert_false(is_known);
            }
            mem_free(copy);
        }
        assert_int_equal(is_known, r->vsn == PHX_V2);
    }
}

static const struct {
    enum phx_vsn vsn;
    const char *text;
} bad_texts[] = {
    {PHX_V2, ""},
    {PHX_V2, "[]"},
    {PHX_V2, "{}"},
    {PHX_V2, "hello"},
    {PHX_V2, "[null,null,\"t\",\"e\"]"},
    {PHX_V2, "[null,null,\"t\",\"e\",]"},
    {PHX_V2, "[null,null,\"t\",\"e\",{}"},
    {PHX_V2, "[null,null,null,\"e\",{}]"},
    {PHX_V2, "[null,null,\"t\",1,{}]"},
    {PHX_V2, "[{},null,\"t\",\"e\",{}]"},
    {PHX_V2, "[null,[],\"t\",\"e\",{}]"},
    {PHX_V2, "[null null,\"t\",\"e\",{}]"},
    {PHX_V2, "[nul,null,\"t\",\"e\",{}]"},
    {PHX_V2, "[null,null,\"t\\x\",\"e\",{}]"},
    {PHX_V2, "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":null}"},
    {PHX_V1, "[null,null,\"t\",\"e\",{}]"},
    {PHX_V1, ""},
    {PHX_V1, "{}"},
    {PHX_V1, "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{}}"},
    {PHX_V1, "{\"topic\":\"t\",\"event\":\"e\",\"ref\":null}"},
    {PHX_V1, "{\"topic\":1,\"event\":\"e\",\"payload\":{},\"ref\":null}"},
    {PHX_V1, "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":{}}"},
    {PHX_V1, "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{]},\"ref\":null}"},
    {PHX_V1, "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":null} x"},
    {PHX_V1, "{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":null"},
};

static void others_are_bad(void **state)
{
    struct phx_frame f;
    (void)state;
    for (size_t i = 0; i < COUNT(bad_texts); i++)
        if (phx_frame_read(&f, bad_texts[i].vsn, CLIENT, (const uint8_t *)bad_texts[i].text, strlen(bad_texts[i].text),
                           false, true) != PHX_READ_BAD)
            fail_msg("understood: %s", bad_texts[i].text);
}

static void names_have_an_end(void **state)
{
    char text[4 * PHX_NAME_BYTES];
    struct phx_frame f;
    (void)state;
    for (size_t name_len = PHX_NAME_BYTES; name_len <= PHX_NAME_BYTES + 1; name_len++)
        for (int is_escaped = 0; is_escaped < 2; is_escaped++) {
            size_t len = 0;
            len += (size_t)sprintf(text, "[null,null,\"%s", is_escaped ? "\\n" : "n");
            memset(text + len, 'n', name_len - 1);
            len += name_len - 1;
            len += (size_t)sprintf(text + len, "\",\"e\",{}]");
            assert_int_equal(phx_frame_read(&f, PHX_V2, CLIENT, (const uint8_t *)text, len, false, true),
                             name_len == PHX_NAME_BYTES ? PHX_READ_OK : PHX_READ_BAD);
        }
}

/* ---- binary ---- */

struct binary_row {
    enum phx_sender from;
    const char *bytes;
    size_t len;
    enum phx_kind kind;
    const char *join_ref, *ref, *topic, *event, *user_event, *metadata, *status, *payload;
    bool is_json;
};

#define BYTES(s) s, sizeof(s) - 1

/* clang-format off */
static const struct binary_row binaries[] = {
    {CLIENT, BYTES("\x00\x01\x02\x05\x03" "3" "17" "topic" "evt" "\x01\x02"), PHX_PUSH, "\"3\"", "\"17\"", "topic", "evt", "", "", "", "\x01\x02", false},
    {CLIENT, BYTES("\x00\x00\x00\x05\x03" "topic" "evt"), PHX_PUSH, "", "", "topic", "evt", "", "", "", "", false},
    {SERVER, BYTES("\x00\x01\x05\x03" "3" "topic" "evt" "data"), PHX_PUSH, "\"3\"", "", "topic", "evt", "", "", "", "data", false},
    {SERVER, BYTES("\x01\x01\x02\x05\x02" "3" "17" "topic" "ok" "data"), PHX_REPLY, "\"3\"", "\"17\"", "topic", "phx_reply", "", "", "ok", "data", false},
    {SERVER, BYTES("\x02\x05\x03" "topic" "evt" "data"), PHX_BROADCAST, "", "", "topic", "evt", "", "", "", "data", false},
    {CLIENT, BYTES("\x03\x01\x01\x0d\x06\x00\x01" "3" "7" "realtime:room" "cursor" "{\"x\":1}"), PHX_USER_PUSH, "\"3\"", "\"7\"", "realtime:room", "broadcast", "cursor", "", "", "{\"x\":1}", true},
    {CLIENT, BYTES("\x03\x01\x00\x01\x01\x02\x00" "3" "t" "u" "{}" "raw"), PHX_USER_PUSH, "\"3\"", "", "t", "broadcast", "u", "{}", "", "raw", false},
    {SERVER, BYTES("\x04\x0d\x06\x0a\x01" "realtime:room" "cursor" "{\"id\":\"u\"}" "{}"), PHX_USER_BROADCAST, "", "", "realtime:room", "broadcast", "cursor", "{\"id\":\"u\"}", "", "{}", true},
    {SERVER, BYTES("\x04\xff\x00\x00\x00" TOPIC_255 "b"), PHX_USER_BROADCAST, "", "", TOPIC_255, "broadcast", "", "", "", "b", false},
};
/* clang-format on */

static void assert_head(const struct phx_frame *f, const struct binary_row *r)
{
    assert_int_equal(f->kind, r->kind);
    assert_text(f->join_ref, r->join_ref);
    assert_text(f->ref, r->ref);
    assert_text(f->topic, r->topic);
    assert_text(f->event, r->event);
    assert_text(f->user_event, r->user_event);
    assert_text(f->metadata, r->metadata);
    assert_text(f->status, r->status);
    assert_int_equal(f->payload_is_json, r->is_json);
}

static void binary_messages_are_read_and_may_be_cut_anywhere(void **state)
{
    struct phx_frame f;
    uint8_t *copy;
    (void)state;
    for (size_t i = 0; i < COUNT(binaries); i++) {
        const struct binary_row *r = &binaries[i];
        const size_t head = r->len - strlen(r->payload);
        assert_int_equal(read_tight(&f, &copy, PHX_V2, r->from, r->bytes, r->len, true, true), PHX_READ_OK);
        assert_head(&f, r);
        assert_text(f.payload, r->payload);
        mem_free(copy);
        for (size_t cut = 0; cut <= r->len; cut++) {
            const enum phx_read read = read_tight(&f, &copy, PHX_V2, r->from, r->bytes, cut, true, false);
            assert_int_equal(read, cut < head ? PHX_READ_MORE : PHX_READ_OK);
            if (read == PHX_READ_OK)
                assert_head(&f, r);
            mem_free(copy);
        }
        for (size_t cut = 0; cut < head; cut++) {
            assert_int_equal(read_tight(&f, &copy, PHX_V2, r->from, r->bytes, cut, true, true), PHX_READ_BAD);
            mem_free(copy);
        }
    }
}

static const struct {
    enum phx_vsn vsn;
    enum phx_sender from;
    const char *bytes;
    size_t len;
} bad_binaries[] = {
    {PHX_V2, CLIENT,
     BYTES("\x01\x01\x02\x05\x02"
           "3"
           "17"
           "topic"
           "ok")}, /* of the other direction */
    {PHX_V2, CLIENT,
     BYTES("\x02\x05\x03"
           "topic"
           "evt")},
    {PHX_V2, CLIENT,
     BYTES("\x04\x01\x01\x00\x01"
           "t"
           "u"
           "{}")},
    {PHX_V2, SERVER,
     BYTES("\x03\x01\x01\x01\x01\x00\x01"
           "3"
           "7"
           "t"
           "u"
           "{}")},
    {PHX_V2, SERVER,
     BYTES("\x05\x05\x03"
           "topic"
           "evt")},
    {PHX_V2, SERVER, BYTES("\xff\x00\x00\x00\x00\x00\x00")},
    {PHX_V2, SERVER,
     BYTES("\x04\x01\x01\x00\x02"
           "t"
           "u"
           "{}")}, /* an encoding nobody knows */
    {PHX_V2, CLIENT,
     BYTES("\x00\x01\x01\x01\x01"
           "\""
           "7"
           "t"
           "e")}, /* references that break out */
    {PHX_V2, CLIENT,
     BYTES("\x00\x01\x01\x01\x01"
           "3"
           "\\"
           "t"
           "e")},
    {PHX_V1, CLIENT,
     BYTES("\x00\x01\x02\x05\x03"
           "3"
           "17"
           "topic"
           "evt")}, /* there are none in vsn 1.0.0 */
};

static void other_bytes_are_bad(void **state)
{
    struct phx_frame f;
    (void)state;
    for (size_t i = 0; i < COUNT(bad_binaries); i++)
        assert_int_equal(phx_frame_read(&f, bad_binaries[i].vsn, bad_binaries[i].from,
                                        (const uint8_t *)bad_binaries[i].bytes, bad_binaries[i].len, true, true),
                         PHX_READ_BAD);
}

/* ---- references ---- */

static void references_are_compared_by_what_they_say(void **state)
{
    (void)state;
    assert_true(phx_ref_equal(TEXT("\"3\""), TEXT("\"3\"")));
    assert_true(phx_ref_equal(TEXT("\"3\""), TEXT("3")));
    assert_true(phx_ref_equal(TEXT("3"), TEXT("\"\\u0033\"")));
    assert_true(phx_ref_equal(TEXT("\"g1\""), TEXT("\"\\u00671\"")));
    assert_false(phx_ref_equal(TEXT("\"3\""), TEXT("\"33\"")));
    assert_false(phx_ref_equal(TEXT("\"3\""), TEXT("null")));
    assert_false(phx_ref_equal(TEXT("\"null\""), TEXT("null")));
    assert_false(phx_ref_equal(NONE, TEXT("\"\"")));
    assert_true(phx_ref_equal(NONE, TEXT("null")));
    assert_true(phx_ref_equal(NONE, NONE));
    assert_true(phx_ref_is_null(TEXT("null")));
    assert_true(phx_ref_is_null(NONE));
    assert_false(phx_ref_is_null(TEXT("\"null\"")));
    assert_false(phx_ref_is_null(TEXT("\"\"")));
}

/* ---- writing ---- */

static void assert_written(enum phx_vsn vsn, enum phx_sender as, const struct phx_say *say, const char *expected)
{
    struct strbuf out;
    struct phx_frame f;
    strbuf_init(&out, 4096);
    phx_write(&out, vsn, as, say);
    assert_string_equal(out.data, expected);
    assert_int_equal(phx_frame_read(&f, vsn, as, (const uint8_t *)out.data, out.len, false, true), PHX_READ_OK);
    assert_true(phx_text_equal(f.topic, say->topic));
    assert_true(phx_ref_equal(f.ref, say->ref));
    strbuf_fini(&out);
}

static void what_is_written_can_be_read(void **state)
{
    const struct phx_say join = {.join_ref = TEXT("\"3\""),
                                 .ref = TEXT("\"g1\""),
                                 .topic = TEXT("room \"1\""),
                                 .event = "phx_join",
                                 .payload = TEXT("{\"n\":1.0}")};
    const struct phx_say bare = {.topic = TEXT("t"), .event = "phx_error"};
    const struct phx_say number = {.join_ref = TEXT("3"), .ref = TEXT("4"), .topic = TEXT("t"), .event = "e"};

    (void)state;
    assert_written(PHX_V2, CLIENT, &join, "[\"3\",\"g1\",\"room \\\"1\\\"\",\"phx_join\",{\"n\":1.0}]");
    assert_written(PHX_V1, CLIENT, &join,
                   "{\"topic\":\"room \\\"1\\\"\",\"event\":\"phx_join\",\"payload\":{\"n\":1.0},\"ref\":\"g1\","
                   "\"join_ref\":\"3\"}");
    assert_written(PHX_V2, SERVER, &bare, "[null,null,\"t\",\"phx_error\",{}]");
    assert_written(PHX_V1, SERVER, &bare, "{\"topic\":\"t\",\"event\":\"phx_error\",\"payload\":{},\"ref\":null}");
    assert_written(PHX_V2, CLIENT, &number, "[3,4,\"t\",\"e\",{}]");
}

static void replies_are_written_for_either_version(void **state)
{
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 4096);
    phx_write_reply(&out, PHX_V2, TEXT("\"3\""), TEXT("\"7\""), TEXT("t"), "error", TEXT("{\"reason\":\"x\"}"));
    assert_string_equal(out.data,
                        "[\"3\",\"7\",\"t\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"x\"}}]");
    strbuf_clear(&out);
    phx_write_reply(&out, PHX_V1, TEXT("\"3\""), TEXT("null"), TEXT("phoenix"), "ok", NONE);
    assert_string_equal(out.data, "{\"topic\":\"phoenix\",\"event\":\"phx_reply\",\"payload\":{\"status\":\"ok\","
                                  "\"response\":{}},\"ref\":null}");
    strbuf_fini(&out);
}

/* Every message that is understood says the same when it is written again; jansson reads the result. */
static void messages_survive_being_written_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        const struct text_row *r = &texts[i];
        if (strcmp(r->payload, "1,2") == 0)
            continue;
        struct phx_frame f;
        struct strbuf out;
        strbuf_init(&out, 8192);
        assert_int_equal(phx_frame_read(&f, r->vsn, r->from, (const uint8_t *)r->text, strlen(r->text), false, true),
                         PHX_READ_OK);
        const struct phx_say say = {
            .join_ref = f.join_ref, .ref = f.ref, .topic = f.topic, .event = r->event, .payload = f.payload};
        phx_write(&out, PHX_V2, r->from, &say);
        json_t *tree = json_loads(out.data, JSON_DECODE_ANY, NULL);
        assert_non_null(tree);
        assert_int_equal(json_array_size(tree), 5);
        assert_string_equal(json_string_value(json_array_get(tree, 2)), r->topic);
        assert_string_equal(json_string_value(json_array_get(tree, 3)), r->event);
        json_decref(tree);
        strbuf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read),
        cmocka_unit_test(texts_may_be_cut_anywhere),
        cmocka_unit_test(others_are_bad),
        cmocka_unit_test(names_have_an_end),
        cmocka_unit_test(binary_messages_are_read_and_may_be_cut_anywhere),
        cmocka_unit_test(other_bytes_are_bad),
        cmocka_unit_test(references_are_compared_by_what_they_say),
        cmocka_unit_test(what_is_written_can_be_read),
        cmocka_unit_test(replies_are_written_for_either_version),
        cmocka_unit_test(messages_survive_being_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
