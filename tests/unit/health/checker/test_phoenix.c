/* Replies to a heartbeat are told from everything else, well-formed or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "health/checker/phoenix.h"

#define OK_REPLY "[null,\"1\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"

static enum phoenix_reply read_whole(const char *text)
{
    struct phoenix_reader r = {0};
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1); /* of the exact size, for the sanitizer */
    memcpy(copy, text, len);
    enum phoenix_reply reply = phoenix_read(&r, copy, len, true);
    free(copy);
    return reply;
}

static void test_messages(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum phoenix_reply reply;
    } cases[] = {
        {OK_REPLY, PHOENIX_REPLY_OK},
        {" [ null , \"1\" , \"phoenix\" , \"phx_reply\" , {\"response\":{\"a\":[1,{}]},\"status\":\"ok\"} ] ",
         PHOENIX_REPLY_OK},
        {"[null,\"1\",\"phoenix\",\"phx_reply\",{\"status\":\"error\",\"response\":{}}]", PHOENIX_REPLY_ERROR},
        {"[null,\"1\",\"phoenix\",\"phx_reply\",{\"response\":{\"status\":\"ok\"}}]", PHOENIX_REPLY_ERROR},
        {"[null,\"1\",\"phoenix\",\"phx_reply\",{}]", PHOENIX_REPLY_ERROR},
        {"[null,\"1\",\"phoenix\",\"phx_reply\",\"status\"]", PHOENIX_REPLY_ERROR},
        {"[null,\"2\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\"}]", PHOENIX_OTHER},
        {"[null,\"1\",\"room:1\",\"phx_reply\",{\"status\":\"ok\"}]", PHOENIX_OTHER},
        {"[null,null,\"phoenix\",\"phx_close\",{}]", PHOENIX_OTHER},
        {"[\"a]\\\"\",\"1\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\"}]", PHOENIX_REPLY_OK},
        {"{\"topic\":\"phoenix\",\"event\":\"phx_reply\",\"ref\":\"1\"}", PHOENIX_OTHER},
        {"[null,\"1\",\"phoenix\",\"phx_reply\"]", PHOENIX_OTHER},
        {"[null,\"1\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\"},1]", PHOENIX_OTHER},
        {"[,,,,]", PHOENIX_OTHER},
        {"[", PHOENIX_OTHER},
        {"[\"", PHOENIX_OTHER},
        {"[\"\\", PHOENIX_OTHER},
        {"hello", PHOENIX_OTHER},
        {"", PHOENIX_OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (read_whole(cases[i].text) != cases[i].reply)
            fail_msg("%s", cases[i].text);
}

static void test_pieces_and_long_messages(void **state)
{
    (void)state;
    struct phoenix_reader r = {0};
    char piece[700];
    memset(piece, 'x', sizeof piece);
    for (size_t i = 0; i + 1 < strlen(OK_REPLY); i++)
        assert_int_equal(phoenix_read(&r, &OK_REPLY[i], 1, false), PHOENIX_OTHER);
    assert_int_equal(phoenix_read(&r, "]", 1, true), PHOENIX_REPLY_OK);
    assert_int_equal(phoenix_read(&r, piece, sizeof piece, false), PHOENIX_OTHER);
    assert_int_equal(phoenix_read(&r, piece, sizeof piece, false), PHOENIX_OTHER);
    assert_int_equal(phoenix_read(&r, piece, 1, true), PHOENIX_OTHER);
    assert_int_equal(phoenix_read(&r, OK_REPLY, strlen(OK_REPLY), true),
                     PHOENIX_REPLY_OK); /* the next one is its own */
}

/* Every reply with one byte changed or cut off anywhere: nothing is read beyond its end. */
static void test_damage(void **state)
{
    (void)state;
    char text[] = OK_REPLY;
    for (size_t at = 0; at < sizeof text - 1; at++) {
        char kept = text[at];
        for (unsigned byte = 1; byte < 256; byte++) {
            text[at] = (char)byte;
            (void)read_whole(text);
        }
        text[at] = '\0';
        assert_int_not_equal(read_whole(text), PHOENIX_REPLY_OK);
        text[at] = kept;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_pieces_and_long_messages),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
