/* Which methods a route takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/rules/methods.h"
#include "tests/unit/gateway/rules/world.h"

static void the_list_decides(void **state)
{
    static const struct {
        const char *methods, *method;
        uint16_t status;
    } rows[] = {
        {"[]", "GET", 0},          {"[]", "BREW", 0},           {"[ GET ]", "GET", 0},
        {"[ GET ]", "HEAD", 0},                                                          /* HEAD is part of GET */
        {"[ GET ]", "POST", 405},  {"[ GET ]", "OPTIONS", 405}, {"[ GET ]", "get", 405}, /* methods have case */
        {"[ POST ]", "HEAD", 405}, {"[ HEAD ]", "HEAD", 0},     {"[ HEAD ]", "GET", 405},
        {"[ BREW ]", "BREW", 0},   {"[ GET ]", "GETS", 405},    {"[ GET, PUT ]", "PUT", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        char route[64], request[128];
        snprintf(route, sizeof route, "methods: %s", rows[i].methods);
        snprintf(request, sizeof request, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", rows[i].method);
        world_init(&w, "", route);
        if (world_ask(&w, request) != rows[i].status)
            fail_msg("%s with %s: %u", rows[i].method, rows[i].methods, w.verdict.status);
        world_fini(&w);
    }
}

static void a_refusal_says_what_is_allowed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "", "methods: [ GET, PUT ]");
    assert_int_equal(world_ask(&w, "DELETE / HTTP/1.1\r\nHost: h\r\n\r\n"), 405);
    assert_string_equal(w.verdict.reason, "method not allowed");
    world_expect_fields(&w, "Allow: GET, PUT\n");
    world_fini(&w);
}

static void a_websocket_is_a_get(void **state)
{
    (void)state;
    struct world w;
    struct http_head extended;
    world_init(&w, "", "methods: [ GET ]");
    http_head_clear(&extended);
    extended.method = http_view_of("CONNECT"); /* RFC 8441 */
    assert_true(methods_allow(&w.conf->routes[0], &extended, true));
    assert_false(methods_allow(&w.conf->routes[0], &extended, false));
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_list_decides),
                                       cmocka_unit_test(a_refusal_says_what_is_allowed),
                                       cmocka_unit_test(a_websocket_is_a_get)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
