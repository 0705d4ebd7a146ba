/* What `tidegatectl sessions` makes of the gateway's JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ctl/sessions.h"

static void expect(bool (*render)(const char *, size_t, struct strbuf *), const char *json, const char *page)
{
    struct strbuf out;

    strbuf_init(&out, 1 << 16);
    assert_true(render(json, strlen(json), &out));
    assert_string_equal(out.data, page);
    strbuf_fini(&out);
}

#define ONE                                                                                                            \
    "{\"id\":\"2-1837\",\"client\":\"192.0.2.7\",\"route\":\"/socket/\",\"protocol\":\"phoenix\",\"state\":"           \
    "\"connected\",\"server\":\"realtime/"                                                                             \
    "us-a\",\"opened_ms_ago\":3725000,\"rtt_ms\":12.345,\"quality\":\"excellent\","                                    \
    "\"held\":0,\"losses\":1,"                                                                                         \
    "\"channels\":[{\"topic\":\"room:1\",\"state\":\"joined\",\"private\":true},{\"topic\":\"room:2\"}],"              \
    "\"life\":[{\"ms_ago\":3725000,\"what\":\"connected\",\"server\":\"realtime/us-a\"},"                              \
    "{\"ms_ago\":850,\"what\":\"lost\"}]}"
#define TWO                                                                                                            \
    "{\"id\":\"1-2\",\"client\":\"192.0.2.8\",\"route\":\"/mqtt\",\"protocol\":\"mqtt\",\"state\":\"disconnected\","   \
    "\"server\":null,\"opened_ms_ago\":900,\"rtt_ms\":null,\"quality\":null,\"held\":3,\"losses\":0,"                  \
    "\"subscriptions\":4,\"life\":[]}"

static void test_a_table(void **state)
{
    (void)state;
    expect(sessions_render, "{\"fitting\":2,\"sessions\":[" ONE "," TWO "],\"missing\":[],\"cut\":false}",
           "ID      CLIENT     ROUTE     PROTOCOL  STATE         SERVER         AGE    BEAT              JOINED  HELD  "
           "LOSSES\n"
           "2-1837  192.0.2.7  /socket/  phoenix   connected     realtime/us-a  1h 2m  12.3ms excellent  2       0     "
           "1\n"
           "1-2     192.0.2.8  /mqtt     mqtt      disconnected  -              900ms  -                 4       3     "
           "0\n");
}

static void test_what_is_not_all(void **state)
{
    (void)state;
    expect(sessions_render, "{\"fitting\":412,\"sessions\":[],\"missing\":[\"worker 1\"],\"cut\":true}",
           "no sessions\n"
           "0 of 412 sessions are shown, for want of room\n"
           "worker 1 did not answer in time: its sessions are not shown\n");
}

static void test_a_life(void **state)
{
    (void)state;
    expect(sessions_render_life, "{\"fitting\":1,\"sessions\":[" ONE "],\"missing\":[]}",
           "id        2-1837\n"
           "client    192.0.2.7\n"
           "route     /socket/\n"
           "protocol  phoenix\n"
           "state     connected\n"
           "server    realtime/us-a\n"
           "opened    1h 2m ago\n"
           "rtt_ms    12.3\n"
           "quality   excellent\n"
           "held      0\n"
           "losses    1\n"
           "\n"
           "channels\n"
           "  topic=room:1 state=joined private=yes\n"
           "  topic=room:2\n"
           "\n"
           "AGO    WHAT       SERVER\n"
           "1h 2m  connected  realtime/us-a\n"
           "850ms  lost\n");
    expect(sessions_render_life, "{\"fitting\":0,\"sessions\":[]}", "no such session\n");
}

/* Topics are the clients' own words. */
static void test_control_characters_do_not_reach_the_terminal(void **state)
{
    static const char json[] = "{\"sessions\":[{\"id\":\"\\u001b[2J\",\"channels\":[{\"topic\":\"a\\u001b[2J\"}],"
                               "\"life\":[{\"what\":\"\\u0007\"}]}]}";
    struct strbuf out;

    (void)state;
    strbuf_init(&out, 1 << 16);
    assert_true(sessions_render(json, sizeof json - 1, &out));
    assert_true(sessions_render_life(json, sizeof json - 1, &out));
    assert_null(memchr(out.data, '\x1b', out.len));
    assert_null(memchr(out.data, '\x07', out.len));
    strbuf_fini(&out);
}

static void test_what_is_no_list(void **state)
{
    static const char *const texts[] = {"", "{", "[1]", "null", "{\"sessions\":7}"};
    struct strbuf out;

    (void)state;
    strbuf_init(&out, 1 << 16);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(sessions_render(texts[i], strlen(texts[i]), &out));
        assert_false(sessions_render_life(texts[i], strlen(texts[i]), &out));
    }
    assert_int_equal(out.len, 0);
    strbuf_fini(&out);
}

static void test_what_is_an_id(void **state)
{
    (void)state;
    assert_true(sessions_is_id("2-1837"));
    assert_true(sessions_is_id("0-0"));
    assert_false(sessions_is_id(""));
    assert_false(sessions_is_id("2-"));
    assert_false(sessions_is_id("-2"));
    assert_false(sessions_is_id("2-1837x"));
    assert_false(sessions_is_id("10.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_table),         cmocka_unit_test(test_what_is_not_all),
        cmocka_unit_test(test_a_life),          cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(test_what_is_no_list), cmocka_unit_test(test_what_is_an_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
