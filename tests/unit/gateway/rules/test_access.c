/* Who the client is, and whether it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/rules/access.h"
#include "tests/unit/gateway/rules/world.h"

static void lists_of_addresses(void **state)
{
    static const struct {
        const char *rules, *peer;
        bool is_allowed;
    } rows[] = {
        {"path: /", "192.0.2.7:1", true},
        {"deny: [ 192.0.2.0/24 ]", "192.0.2.7:1", false},
        {"deny: [ 192.0.2.0/24 ]", "192.0.3.7:1", true},
        {"allow: [ 192.0.2.0/24 ]", "192.0.2.7:1", true},
        {"allow: [ 192.0.2.0/24 ]", "192.0.3.7:1", false},
        {"allow: [ 192.0.2.0/24 ], deny: [ 192.0.2.7 ]", "192.0.2.7:1", false}, /* deny comes first */
        {"allow: [ 192.0.2.0/24 ], deny: [ 192.0.2.7 ]", "192.0.2.8:1", true},
        {"allow: [ \"2001:db8::/32\" ]", "[2001:db8:1::1]:1", true},
        {"allow: [ \"2001:db8::/32\" ]", "192.0.2.7:1", false},
        {"deny: [ 192.0.2.7 ]", "[::ffff:192.0.2.7]:1", false}, /* the same host by another name */
        {"allow: [ 192.0.2.7 ]", "unix:/tmp/x", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        world_init(&w, "", rows[i].rules);
        const uint16_t status = world_ask_from(&w, rows[i].peer, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        if (status != (rows[i].is_allowed ? 0 : 403))
            fail_msg("%s, from %s: %u", rows[i].rules, rows[i].peer, status);
        world_fini(&w);
    }
}

static void the_client_behind_proxies(void **state)
{
    static const struct {
        const char *peer, *fields, *client;
    } rows[] = {
        {"192.0.2.7:1", "", "192.0.2.7"},
        {"192.0.2.7:1", "X-Forwarded-For: 198.51.100.1\r\n", "192.0.2.7"}, /* anybody can write that */
        {"10.0.0.1:1", "", "10.0.0.1"},
        {"10.0.0.1:1", "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"},
        {"10.0.0.1:1", "X-Forwarded-For: 203.0.113.9, 198.51.100.1\r\n", "198.51.100.1"}, /* the first one is a claim */
        {"10.0.0.1:1", "X-Forwarded-For: 203.0.113.9, 198.51.100.1, 10.0.0.2\r\n", "198.51.100.1"},
        {"10.0.0.1:1", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"},
        {"10.0.0.1:1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"}, /* all of the house */
        {"10.0.0.1:1", "X-Forwarded-For: 198.51.100.1:5555\r\n", "198.51.100.1"},
        {"10.0.0.1:1", "X-Forwarded-For: [2001:db8::1]:5555\r\n", "2001:db8::1"},
        {"10.0.0.1:1", "X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1"},
        {"10.0.0.1:1", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"},
        {"10.0.0.1:1", "X-Forwarded-For: 198.51.100.1, unknown\r\n", "10.0.0.1"}, /* nothing behind it counts */
        {"10.0.0.1:1", "X-Forwarded-For: unix:/tmp/x\r\n", "10.0.0.1"},
        {"10.0.0.1:1", "X-Forwarded-For: ,,\r\n", "10.0.0.1"},
    };
    (void)state;
    struct world w;
    world_init(&w, "trusted_proxies: [ 10.0.0.0/8 ]\n", "path: /");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char request[512], text[ADDR_TEXT_BYTES];
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", rows[i].fields);
        world_ask_from(&w, rows[i].peer, request);
        assert_string_equal(addr_ip_text(&w.verdict.client, text, sizeof text), rows[i].client);
    }
    world_fini(&w);
}

static void more_hops_than_anybody_has(void **state)
{
    (void)state;
    struct world w;
    char request[4096] = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.1", text[ADDR_TEXT_BYTES];
    world_init(&w, "trusted_proxies: [ 10.0.0.0/8 ]\n", "path: /");
    for (int i = 0; i < 100; i++)
        strcat(request, ", 10.1.1.1");
    strcat(request, "\r\n\r\n");
    world_ask_from(&w, "10.0.0.1:1", request);
    assert_string_equal(addr_ip_text(&w.verdict.client, text, sizeof text), "10.1.1.1");
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists_of_addresses),
                                       cmocka_unit_test(the_client_behind_proxies),
                                       cmocka_unit_test(more_hops_than_anybody_has)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
