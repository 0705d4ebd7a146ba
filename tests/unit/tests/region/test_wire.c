/* Phoenix frames both ways: the two text forms, and the binary forms of Supabase's clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/region/wire.h"

#define OUT_MAX 4096u

static void reads_both_text_forms(void **state)
{
    static const struct {
        enum wire_vsn vsn;
        const char *text;
    } same[] = {
        {WIRE_V1, "{\"topic\":\"room\",\"event\":\"hi\",\"payload\":{\"a\":1},\"ref\":\"7\",\"join_ref\":\"3\"}"},
        {WIRE_V2, "[\"3\",\"7\",\"room\",\"hi\",{\"a\":1}]"},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct frame f;

        assert_int_equal(frame_read(&f, same[i].vsn, same[i].text, strlen(same[i].text), false), ERR_NONE);
        assert_string_equal(f.topic, "room");
        assert_string_equal(f.event, "hi");
        assert_string_equal(json_string_value(f.ref), "7");
        assert_string_equal(json_string_value(f.join_ref), "3");
        assert_int_equal(json_integer_value(json_object_get(f.payload, "a")), 1);
        frame_fini(&f);
    }
}

static void keeps_the_type_of_references(void **state)
{
    static const char text[] = "[null,12,\"phoenix\",\"heartbeat\",{}]";
    struct strbuf out;
    struct frame f;

    (void)state;
    assert_int_equal(frame_read(&f, WIRE_V2, text, strlen(text), false), ERR_NONE);
    strbuf_init(&out, OUT_MAX);
    wire_write(&out, WIRE_V2, f.join_ref, f.ref, f.topic, f.event, "{}", 2);
    assert_string_equal(out.data, text);
    strbuf_clear(&out);
    wire_write(&out, WIRE_V1, f.join_ref, f.ref, f.topic, f.event, "{}", 2);
    assert_string_equal(out.data, "{\"topic\":\"phoenix\",\"event\":\"heartbeat\",\"ref\":12,\"payload\":{}}");
    strbuf_fini(&out);
    frame_fini(&f);
}

static void refuses_what_is_no_frame(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "nonsense",
        "[1,2,\"t\",\"e\"]",
        "[1,2,3,\"e\",{}]",
        "[[],2,\"t\",\"e\",{}]",
        "[null,null,null,null,null]",
    };
    struct frame f;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(frame_read(&f, WIRE_V2, bad[i], strlen(bad[i]), false), ERR_INVALID);
        assert_int_equal(frame_read(&f, WIRE_V1, bad[i], strlen(bad[i]), false), ERR_INVALID);
    }
}

/* Kind 3 with join_ref "3", ref "7", topic "room", event "cur", no metadata, JSON. */
static const uint8_t user_push[] = "\x03\x01\x01\x04\x03\x00\x01"
                                   "37roomcur{\"x\":1}";

static void reads_a_user_broadcast(void **state)
{
    struct frame f;

    (void)state;
    assert_int_equal(frame_read(&f, WIRE_V2, user_push, sizeof(user_push) - 1, true), ERR_NONE);
    assert_string_equal(f.event, "broadcast");
    assert_string_equal(f.user_event, "cur");
    assert_true(f.user_is_json);
    assert_int_equal(f.user_len, 7);
    assert_memory_equal(f.user_bytes, "{\"x\":1}", 7);
    frame_fini(&f);
    for (size_t len = 0; len < sizeof(user_push) - 8; len++) /* every cut before the payload */
        assert_int_equal(frame_read(&f, WIRE_V2, user_push, len, true), ERR_INVALID);
    assert_int_equal(frame_read(&f, WIRE_V1, user_push, sizeof(user_push) - 1, true), ERR_INVALID);
}

static void writes_a_shout_in_each_form(void **state)
{
    static const char *const wanted[WIRE_FORM_COUNT] = {
        ("{\"topic\":\"room\",\"event\":\"broadcast\",\"ref\":null,"
         "\"payload\":{\"type\":\"broadcast\",\"event\":\"cur\",\"payload\":{\"x\":1}}}"),
        "[null,null,\"room\",\"broadcast\",{\"type\":\"broadcast\",\"event\":\"cur\",\"payload\":{\"x\":1}}]",
        "\x04\x04\x03",
    };
    struct shout s = {
        .topic = "room", .event = "cur", .is_user = true, .is_json = true, .bytes = "{\"x\":1}", .len = 7};

    (void)state;
    for (int form = 0; form < WIRE_FORM_COUNT; form++) {
        struct strbuf out;
        bool is_binary;

        strbuf_init(&out, OUT_MAX);
        assert_true(wire_write_shout(&out, (enum wire_form)form, &s, &is_binary));
        assert_int_equal(is_binary, form == WIRE_FORM_V2_USER);
        assert_memory_equal(out.data, wanted[form], is_binary ? 3 : strlen(wanted[form]));
        strbuf_fini(&out);
    }
}

static void bytes_have_only_the_binary_form(void **state)
{
    struct shout s = {.topic = "room", .event = "cur", .is_user = true, .is_json = false, .bytes = "\xff", .len = 1};
    struct strbuf out;
    bool is_binary;

    (void)state;
    strbuf_init(&out, OUT_MAX);
    assert_false(wire_write_shout(&out, WIRE_FORM_V1, &s, &is_binary));
    assert_false(wire_write_shout(&out, WIRE_FORM_V2, &s, &is_binary));
    assert_true(wire_write_shout(&out, WIRE_FORM_V2_USER, &s, &is_binary));
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_text_forms),       cmocka_unit_test(keeps_the_type_of_references),
        cmocka_unit_test(refuses_what_is_no_frame),    cmocka_unit_test(reads_a_user_broadcast),
        cmocka_unit_test(writes_a_shout_in_each_form), cmocka_unit_test(bytes_have_only_the_binary_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
