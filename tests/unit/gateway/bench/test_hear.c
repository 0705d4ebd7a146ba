/* What a Phoenix link makes of what it hears, however it is cut into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/bench/load.h"
#include "gateway/ws/frame.h"

struct stage {
    struct load load;
    struct options options;
    struct result result;
    struct link link;
    uint8_t bytes[4096];
    size_t len;
};

static int begin(void **state)
{
    struct stage *t = mem_alloc(sizeof *t);
    t->options = (struct options){.mode = MODE_LISTEN, .connections = 1, .channel_count = 1, .topic = "realtime:bench"};
    t->load.options = &t->options;
    t->load.result = &t->result;
    t->link.load = &t->load;
    t->load.links = &t->link;
    t->link.state = LINK_IDLE;
    t->link.fd = -1;
    t->load.count[LINK_IDLE] = 1;
    *state = t;
    return 0;
}

static int end(void **state)
{
    struct stage *t = *state;
    mem_free(t->link.head);
    mem_free(t);
    return 0;
}

static void add(struct stage *t, const char *payload)
{
    const size_t len = strlen(payload);
    t->len += ws_header_build(t->bytes + t->len, WS_OPCODE_TEXT, len, NULL);
    memcpy(t->bytes + t->len, payload, len);
    t->len += len;
}

static void add_broadcast(struct stage *t, unsigned n, unsigned at)
{
    char *payload =
        mem_printf("[null,null,\"realtime:bench-0\",\"broadcast\",{\"type\":\"broadcast\",\"event\":\"tick\","
                   "\"payload\":{\"n\":%u,\"at\":%u}}]",
                   n, at);
    add(t, payload);
    mem_free(payload);
}

static void numbers_are_counted_in_any_pieces(void **state)
{
    struct stage *t = *state;
    const unsigned said[] = {5, 6, 9, 9, 8, 10}; /* 7 and 8 are missing, then 9 comes again and 8 too late */
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        add_broadcast(t, said[i], 1);
    for (size_t piece = 1; piece <= t->len; piece++) {
        memset(&t->result, 0, sizeof t->result);
        t->link.heard.last = 0;
        for (size_t at = 0; at < t->len; at += piece)
            hear_on_bytes(&t->load, &t->link, t->bytes + at, piece < t->len - at ? piece : t->len - at);
        assert_int_equal(t->result.heard, 6);
        assert_int_equal(t->result.missing, 2);
        assert_int_equal(t->result.again, 2);
    }
}

static void what_was_said_before_the_mark_does_not_end_the_silence(void **state)
{
    struct stage *t = *state;
    listen_on_line(&t->load, "mark 1000\n");
    assert_int_equal(t->result.awaiting, 1);
    add_broadcast(t, 1, 999);
    add_broadcast(t, 2, 1000);
    hear_on_bytes(&t->load, &t->link, t->bytes, t->len);
    assert_int_equal(t->result.awaiting, 1);
    t->len = 0;
    add_broadcast(t, 3, 1001);
    add_broadcast(t, 4, 1002);
    hear_on_bytes(&t->load, &t->link, t->bytes, t->len);
    assert_int_equal(t->result.awaiting, 0);
    assert_int_equal(t->result.latency.count, 1);
}

static void a_channel_that_fails_is_told(void **state)
{
    struct stage *t = *state;
    add(t, "[\"1\",\"1\",\"realtime:bench-0\",\"phx_error\",{}]");
    hear_on_bytes(&t->load, &t->link, t->bytes, t->len);
    assert_int_equal(t->result.refused, 1);
    assert_string_equal(t->result.first_error, "channel: failed or closed");
}

static void replies_are_known_by_their_reference(void **state)
{
    struct stage *t = *state;
    static const struct {
        const char *text;
        bool is_answer, is_good;
    } rows[] = {
        {"[\"1\",\"1007\",\"realtime:bench-0\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]", true, true},
        {"[\"1\",\"1007\",\"realtime:bench-0\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]", true, true},
        {"[\"1\",\"1007\",\"realtime:bench-0\",\"phx_reply\",{\"status\":\"error\",\"response\":{}}]", true, false},
        {"[null,\"beat\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]", false, false},
        {"[\"1\",\"1\",\"realtime:bench-0\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]", false, false},
        {"[\"1\",null,\"realtime:bench-0\",\"presence_state\",{}]", false, false},
        {"no JSON", false, false},
        {"[]", false, false},
    };
    t->options.mode = MODE_ECHO;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(&t->result, 0, sizeof t->result);
        link_set_state(&t->load, &t->link, LINK_WAITING);
        t->link.is_measured = true;
        t->link.is_beat_out = true;
        t->len = 0;
        add(t, rows[i].text);
        hear_on_bytes(&t->load, &t->link, t->bytes, t->len);
        assert_int_equal(t->result.echoes, rows[i].is_answer);
        assert_int_equal(t->result.answered, rows[i].is_good);
        assert_int_equal(t->result.errors[ERROR_ANSWER], rows[i].is_answer && !rows[i].is_good);
        assert_int_equal(t->link.is_beat_out, strstr(rows[i].text, "beat") == NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_are_counted_in_any_pieces, begin, end),
        cmocka_unit_test_setup_teardown(what_was_said_before_the_mark_does_not_end_the_silence, begin, end),
        cmocka_unit_test_setup_teardown(replies_are_known_by_their_reference, begin, end),
        cmocka_unit_test_setup_teardown(a_channel_that_fails_is_told, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
