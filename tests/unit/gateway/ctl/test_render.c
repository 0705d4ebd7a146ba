/* What `tidegatectl status` makes of the gateway's JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ctl/render.h"

static void expect_page(const char *json, const char *page)
{
    struct strbuf out;

    strbuf_init(&out, 1 << 20);
    assert_true(render_status(json, strlen(json), &out));
    assert_string_equal(out.data, page);
    strbuf_fini(&out);
}

static void test_a_full_status(void **state)
{
    (void)state;
    expect_page(
        "{\"status\":\"degraded\",\"reasons\":[\"server web/a is down: reset\"],\"node\":{\"name\":\"fra-1\"},"
        "\"version\":\"0.1.0\",\"uptime_ms\":97200000,"
        "\"config\":{\"path\":\"/etc/t.yaml\",\"generation\":3,\"loaded_age_ms\":725000,\"reloads\":2,"
        "\"reloads_refused\":1},"
        "\"processes\":[{\"role\":\"worker\",\"index\":0,\"pid\":4711,\"state\":\"ready\",\"uptime_ms\":59000,"
        "\"restarts\":1,\"conf_generation\":3}],"
        "\"pools\":[{\"name\":\"web\",\"status\":\"degraded\",\"tier\":\"backup\",\"balance\":\"round-robin\","
        "\"servers\":[{\"name\":\"a\",\"url\":\"ws://192.0.2.1:80\",\"region\":\"us\",\"tier\":\"primary\","
        "\"state\":\"down\",\"forced\":false,\"draining\":false,\"since_age_ms\":850,\"connections\":0,"
        "\"attempts\":12,\"failures\":2,\"latency_us\":0,\"cause\":\"reset\"},"
        "{\"name\":\"b\",\"url\":\"ws://192.0.2.2:80\",\"region\":\"eu\",\"tier\":\"backup\",\"state\":\"up\","
        "\"forced\":true,\"draining\":true,\"since_age_ms\":null,\"connections\":10,\"attempts\":10,\"failures\":0,"
        "\"latency_us\":20000,\"cause\":null}]}],"
        "\"routes\":[{\"name\":\"/\",\"pool\":\"web\",\"status\":\"degraded\",\"tier\":\"backup\",\"requests\":22,"
        "\"ws_connections\":10,\"ws_opened\":20,\"refused\":0}]}",
        "fra-1: Tidegate 0.1.0, degraded, up 1d 3h\n"
        "configuration 3 from /etc/t.yaml, loaded 12m 5s ago; 2 reloads, 1 refused\n"
        "  ! server web/a is down: reset\n"
        "\n"
        "PROCESS   PID   STATE  UP   RESTARTS  CONFIG\n"
        "worker 0  4711  ready  59s  1         3\n"
        "\n"
        "pool web: degraded, served by backup, round-robin\n"
        "  SERVER  TIER     REGION  STATE               SINCE  OPEN  ATTEMPTS  FAILURES  LATENCY  URL                "
        "CAUSE\n"
        "  a       primary  us      down                850ms  0     12        2         -        ws://192.0.2.1:80  "
        "reset\n"
        "  b       backup   eu      up forced draining  -      10    10        0         20.0ms   ws://192.0.2.2:80\n"
        "\n"
        "ROUTE  POOL  STATUS    TIER    REQUESTS  OPEN  OPENED  REFUSED\n"
        "/      web   degraded  backup  22        10    20      0\n");
}

/* Another version may send less, and members of other types. */
static void test_what_is_missing_shows_as_a_dash(void **state)
{
    (void)state;
    expect_page("{\"processes\":[{}, 7],\"pools\":\"none\",\"reasons\":[null]}",
                "-: Tidegate -, -, up 0ms\n"
                "configuration 0 from -, loaded 0ms ago; 0 reloads, 0 refused\n"
                "  ! -\n"
                "\n"
                "PROCESS  PID  STATE  UP  RESTARTS  CONFIG\n"
                "- 0      -    -      -   -         -\n"
                "- 0      -    -      -   -         -\n"
                "\n"
                "ROUTE  POOL  STATUS  TIER  REQUESTS  OPEN  OPENED  REFUSED\n");
}

static void test_targets_names_and_quorum(void **state)
{
    struct strbuf out;
    const char *json =
        "{\"targets\":[{\"name\":\"us-edge\",\"url\":\"https://192.0.2.10/health\",\"state\":\"down\",\"forced\":true,"
        "\"since_age_ms\":7000,\"latency_us\":2500,\"cause\":\"reset\"}],"
        "\"dns\":{\"zone\":\"rt.example.com\",\"serial\":7,\"term\":2,\"version\":5,\"role\":\"follows\",\"since_age_"
        "ms\":61000,"
        "\"records\":[{\"name\":\"rt.example.com\",\"decided\":true,\"chosen\":[\"us-edge\",\"eu-edge\"],\"ttl_s\":3,"
        "\"last_resort\":true,\"draining\":false},{\"name\":\"b.rt.example.com\",\"decided\":false,\"chosen\":[]}]},"
        "\"quorum\":{\"group\":\"edge\",\"role\":\"follows\",\"leader\":\"lon-1\",\"voters\":2,\"connected\":true,"
        "\"peers\":[{\"node\":\"lon-1\",\"region\":\"eu\",\"kind\":\"gateway\",\"age_ms\":300,\"leader\":true,\"cut_"
        "off\":true}],"
        "\"views\":[{\"server\":\"targets/us-edge\",\"effective\":\"down\",\"says\":{\"fra-1\":\"up\",\"lon-1\":\"down "
        "forced\"}},"
        "{\"server\":\"web/a\",\"effective\":\"up\",\"says\":{\"fra-1\":\"up\"}}]}}";

    (void)state;
    strbuf_init(&out, 1 << 20);
    assert_true(render_status(json, strlen(json), &out));
    assert_non_null(strstr(out.data, "TARGET           STATE        SINCE  LATENCY  URL                        CAUSE\n"
                                     "targets/us-edge  down forced  7s     2.5ms    https://192.0.2.10/health  reset\n"
                                     "\n"
                                     "dns rt.example.com: follows, serial 7, term 2, version 5, unchanged for 1m 1s\n"
                                     "  NAME              ANSWERED WITH    TTL  NOTE\n"
                                     "  rt.example.com    us-edge eu-edge  3s   last resort\n"
                                     "  b.rt.example.com  -                0s   not decided yet\n"
                                     "\n"
                                     "quorum edge: follows, leader lon-1, 2 voters, Redis answers\n"
                                     "  PEER   REGION  KIND     HEARD  NOTE\n"
                                     "  lon-1  eu      gateway  300ms  leader cut off\n"
                                     "  SERVER           TOGETHER  fra-1  lon-1\n"
                                     "  targets/us-edge  down      up     down forced\n"
                                     "  web/a            up        up     -\n"));
    strbuf_fini(&out);
}

/* Names come from a file and causes from the network: neither may move the cursor. */
static void test_control_characters_do_not_reach_the_terminal(void **state)
{
    struct strbuf out;
    const char *json =
        "{\"status\":\"\\u001b[31m\",\"reasons\":[\"a\\r\\u0007b\"],\"routes\":[{\"name\":\"x\\u001b[2Jy\"}]}";

    (void)state;
    strbuf_init(&out, 1 << 20);
    assert_true(render_status(json, strlen(json), &out));
    assert_null(memchr(out.data, '\x1b', out.len));
    assert_non_null(strstr(out.data, "x?[2Jy"));
    assert_non_null(strstr(out.data, "! a??b\n"));
    strbuf_fini(&out);
}

static void test_columns_count_characters(void **state)
{
    (void)state;
    expect_page("{\"routes\":[{\"name\":\"/é\",\"pool\":\"p\"},{\"name\":\"/abc\",\"pool\":\"p\"}]}",
                "-: Tidegate -, -, up 0ms\n"
                "configuration 0 from -, loaded 0ms ago; 0 reloads, 0 refused\n"
                "\n"
                "PROCESS  PID  STATE  UP  RESTARTS  CONFIG\n"
                "\n"
                "ROUTE  POOL  STATUS  TIER  REQUESTS  OPEN  OPENED  REFUSED\n"
                "/é     p     -       -     -         -     -       -\n"
                "/abc   p     -       -     -         -     -       -\n");
}

/* Routes whose cache had anything to do have a table of their own. */
static void test_cached_routes(void **state)
{
    (void)state;
    expect_page("{\"routes\":[{\"name\":\"/a\",\"pool\":\"p\",\"cache_hits\":7,\"cache_stale_served\":2,"
                "\"cache_l2_hits\":1,\"cache_misses\":3,\"cache_coalesced\":0,\"cache_bypassed\":4,"
                "\"cache_refreshes\":2},{\"name\":\"/b\",\"pool\":\"p\",\"cache_hits\":0}]}",
                "-: Tidegate -, -, up 0ms\n"
                "configuration 0 from -, loaded 0ms ago; 0 reloads, 0 refused\n"
                "\n"
                "PROCESS  PID  STATE  UP  RESTARTS  CONFIG\n"
                "\n"
                "ROUTE  POOL  STATUS  TIER  REQUESTS  OPEN  OPENED  REFUSED\n"
                "/a     p     -       -     -         -     -       -\n"
                "/b     p     -       -     -         -     -       -\n"
                "\n"
                "CACHED ROUTE  HITS  STALE  REDIS  MISSES  COALESCED  BYPASSED  REFRESHES\n"
                "/a            7     2      1      3       0          4         2\n");
}

/* Routes whose WebSockets outlive their servers as well. */
static void test_routes_with_sessions(void **state)
{
    (void)state;
    expect_page("{\"routes\":[{\"name\":\"/a\",\"sessions\":{\"protocol\":\"phoenix\",\"connected\":412,"
                "\"connecting\":1,\"reconnecting\":2,\"disconnected\":0,\"failovers\":7,\"moves\":6,\"given_up\":5,"
                "\"messages_unknown\":4,\"messages_dropped\":3,\"recovery\":{\"count\":7,\"p99_within_ms\":250}}},"
                "{\"name\":\"/b\"},"
                "{\"name\":\"/c\",\"sessions\":{\"protocol\":\"mqtt\",\"recovery\":{\"count\":0}}}]}",
                "-: Tidegate -, -, up 0ms\n"
                "configuration 0 from -, loaded 0ms ago; 0 reloads, 0 refused\n"
                "\n"
                "PROCESS  PID  STATE  UP  RESTARTS  CONFIG\n"
                "\n"
                "ROUTE  POOL  STATUS  TIER  REQUESTS  OPEN  OPENED  REFUSED\n"
                "/a     -     -       -     -         -     -       -\n"
                "/b     -     -       -     -         -     -       -\n"
                "/c     -     -       -     -         -     -       -\n"
                "\n"
                "SESSIONS ON  PROTOCOL  CONNECTED  CONNECTING  RECONNECTING  DISCONNECTED  LOSSES  MOVES  GIVEN UP  "
                "UNKNOWN  DROPPED  RECOVERY\n"
                "/a           phoenix   412        1           2             0             7       6      5         4"
                "        3        99% within 250ms\n"
                "/c           mqtt      -          -           -             -             -       -      -         -"
                "        -        -\n");
}

static void test_what_is_no_status(void **state)
{
    static const char *const texts[] = {"", "{", "[1]", "null", "\"x\"", "{} {}"};
    struct strbuf out;

    (void)state;
    strbuf_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(render_status(texts[i], strlen(texts[i]), &out));
    assert_int_equal(out.len, 0);
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_status),
        cmocka_unit_test(test_targets_names_and_quorum),
        cmocka_unit_test(test_what_is_missing_shows_as_a_dash),
        cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(test_columns_count_characters),
        cmocka_unit_test(test_cached_routes),
        cmocka_unit_test(test_routes_with_sessions),
        cmocka_unit_test(test_what_is_no_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
