/* What is known by name: every row is found however it is written, and nothing next to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/names.h"

static const struct {
    const char *name;
    unsigned traits;
} rows[] = {
    {"te", HTTP_ENDS_HERE},
    {"host", HTTP_ENDS_HERE},
    {"proxy", HTTP_ENDS_HERE},
    {"expect", HTTP_ENDS_HERE},
    {"trailer", HTTP_ENDS_HERE},
    {"upgrade", HTTP_ENDS_HERE},
    {"http2-settings", HTTP_ENDS_HERE},
    {"proxy-authenticate", HTTP_ENDS_HERE},
    {"proxy-authorization", HTTP_ENDS_HERE},
    {"proxy-authentication-info", HTTP_ENDS_HERE},
    {"connection", HTTP_ENDS_HERE},
    {"keep-alive", HTTP_ENDS_HERE},
    {"content-length", HTTP_ENDS_HERE},
    {"proxy-connection", HTTP_ENDS_HERE},
    {"transfer-encoding", HTTP_ENDS_HERE},
    {"forwarded", HTTP_CLAIM | HTTP_REWRITTEN},
    {"x-request-id", HTTP_CLAIM | HTTP_REWRITTEN},
    {"x-forwarded-for", HTTP_CLAIM | HTTP_REWRITTEN},
    {"x-forwarded-host", HTTP_CLAIM | HTTP_REWRITTEN},
    {"x-forwarded-proto", HTTP_CLAIM | HTTP_REWRITTEN},
    {"x-real-ip", HTTP_CLAIM},
    {"via", HTTP_KEPT},
    {"cookie", HTTP_KEPT},
    {"origin", HTTP_KEPT},
    {"set-cookie", HTTP_KEPT},
    {"tracestate", HTTP_KEPT},
    {"traceparent", HTTP_KEPT},
    {"content-type", HTTP_KEPT},
    {"authorization", HTTP_KEPT},
    {"cache-control", HTTP_KEPT},
    {"sec-websocket-key", HTTP_KEPT | HTTP_HANDSHAKE},
    {"sec-websocket-version", HTTP_KEPT | HTTP_HANDSHAKE},
    {"sec-websocket-protocol", HTTP_KEPT | HTTP_HANDSHAKE},
};

#define NAME_BYTES 32u

static void each_row_is_found_in_any_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char capitals[NAME_BYTES] = "";
        for (size_t k = 0; rows[i].name[k] != '\0'; k++)
            capitals[k] = rows[i].name[k] >= 'a' ? (char)(rows[i].name[k] - 0x20) : rows[i].name[k];
        if (http_traits(http_view_of(rows[i].name)) != rows[i].traits ||
            http_traits(http_view_of(capitals)) != rows[i].traits)
            fail_msg("%s", rows[i].name);
    }
}

static void lookalikes_share_what_is_for_safety(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char variable[NAME_BYTES] = "";
        bool differs = false;
        for (size_t k = 0; rows[i].name[k] != '\0'; k++) {
            variable[k] = rows[i].name[k] == '-' ? '_' : rows[i].name[k];
            differs = differs || rows[i].name[k] == '-';
        }
        if (differs && http_traits(http_view_of(variable)) != (rows[i].traits & (HTTP_ENDS_HERE | HTTP_CLAIM)))
            fail_msg("%s", variable);
    }
}

static void what_differs_in_a_byte_is_not_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char near[NAME_BYTES] = "";
        const size_t len = strlen(rows[i].name);
        memcpy(near, rows[i].name, len);
        for (size_t at = 0; at < len; at++) {
            near[at] = '0';
            assert_int_equal(http_traits((struct http_view){near, len}), 0);
            near[at] = rows[i].name[at];
        }
        near[len] = 'x';
        assert_int_equal(http_traits((struct http_view){near, len + 1}), 0);
        assert_int_equal(http_traits((struct http_view){near, len - 1}), 0);
    }
}

static void names_of_any_length(void **state)
{
    char name[64];
    (void)state;
    memset(name, 'a', sizeof name);
    for (size_t len = 0; len <= sizeof name; len++)
        assert_int_equal(http_traits((struct http_view){name, len}), 0);
    assert_int_equal(http_traits((struct http_view){NULL, 0}), 0);
}

static void a_dash_and_an_underscore_are_alike(void **state)
{
    (void)state;
    assert_true(http_names_resemble(http_view_of("X-User_Id"), http_view_of("x_user-id")));
    assert_false(http_names_resemble(http_view_of("X-User-Id"), http_view_of("x-user-ids")));
    assert_false(http_names_resemble(http_view_of("X-User-Id"), http_view_of("x.user.id")));
    assert_true(http_names_resemble((struct http_view){NULL, 0}, http_view_of("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_found_in_any_case),       cmocka_unit_test(lookalikes_share_what_is_for_safety),
        cmocka_unit_test(what_differs_in_a_byte_is_not_known), cmocka_unit_test(names_of_any_length),
        cmocka_unit_test(a_dash_and_an_underscore_are_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
