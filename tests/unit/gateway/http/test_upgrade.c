/* The opening handshake: which requests and which answers are good, with RFC 6455's own example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/upgrade.h"
#include "tests/unit/gateway/http/head.h"

#define LINE    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

static const struct {
    const char *what;
    uint16_t status;
    const char *head;
} requests[] = {
    {"good", 0, LINE UPGRADE KEY VERSION "\r\n"},
    {"good, as browsers write it", 0,
     LINE
     "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" KEY
         VERSION "\r\n"},
    {"good, two upgrades offered", 0, LINE "Connection: upgrade\r\nUpgrade: h2c, websocket\r\n" KEY VERSION "\r\n"},
    {"good, with an empty body", 0, LINE UPGRADE KEY VERSION "Content-Length: 0\r\n\r\n"},
    {"POST", 405, "POST /chat HTTP/1.1\r\nHost: a\r\n" UPGRADE KEY VERSION "\r\n"},
    {"HTTP/1.0", 400, "GET /chat HTTP/1.0\r\nHost: a\r\n" UPGRADE KEY VERSION "\r\n"},
    {"no upgrade", 426, LINE KEY VERSION "\r\n"},
    {"upgrade to something else", 426, LINE "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY VERSION "\r\n"},
    {"no connection upgrade", 426, LINE "Upgrade: websocket\r\n" KEY VERSION "\r\n"},
    {"connection keep-alive", 426, LINE "Upgrade: websocket\r\nConnection: keep-alive\r\n" KEY VERSION "\r\n"},
    {"no version", 426, LINE UPGRADE KEY "\r\n"},
    {"version 8", 426, LINE UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n"},
    {"version list", 426, LINE UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n\r\n"},
    {"two versions", 426, LINE UPGRADE KEY VERSION VERSION "\r\n"},
    {"no key", 400, LINE UPGRADE VERSION "\r\n"},
    {"two keys", 400, LINE UPGRADE KEY KEY VERSION "\r\n"},
    {"short key", 400, LINE UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n" VERSION "\r\n"},
    {"long key", 400, LINE UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBub25jZQ==\r\n" VERSION "\r\n"},
    {"key without padding", 400, LINE UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" VERSION "\r\n"},
    {"key not base64", 400, LINE UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-_==\r\n" VERSION "\r\n"},
    {"a body", 400, LINE UPGRADE KEY VERSION "Content-Length: 5\r\n\r\n"},
    {"a chunked body", 400, LINE UPGRADE KEY VERSION "Transfer-Encoding: chunked\r\n\r\n"},
};

/* Extended CONNECT (RFC 8441): what differs from a good one. */
static const struct {
    const char *what;
    uint16_t status;
    const char *method, *protocol, *authority;
    const char *version; /* NULL: none */
    int64_t content_length;
} connects[] = {
    {"good", 0, "CONNECT", "websocket", "a", "13", -1},
    {"good, without version", 0, "CONNECT", "websocket", "a", NULL, -1},
    {"version 8", 426, "CONNECT", "websocket", "a", "8", -1},
    {"no host", 400, "CONNECT", "websocket", NULL, "13", -1},
    {"a body", 400, "CONNECT", "websocket", "a", "13", 5},
    {"GET", 405, "GET", NULL, "a", "13", -1},
    {"CONNECT alone", 405, "CONNECT", NULL, "a", "13", -1},
    {"another protocol", 405, "CONNECT", "connect-udp", "a", "13", -1},
};

static void each_extended_connect_gets_its_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof connects / sizeof connects[0]; i++) {
        struct http_head h;
        const char *reason = NULL;
        http_head_clear(&h);
        h.major_version = 2;
        h.method = http_view_of(connects[i].method);
        h.protocol = http_view_of(connects[i].protocol);
        h.authority = http_view_of(connects[i].authority);
        h.path = h.target = http_view_of("/chat");
        h.content_length = connects[i].content_length;
        if (connects[i].version != NULL)
            assert_true(http_head_add(&h, http_view_of("sec-websocket-version"), http_view_of(connects[i].version)));
        const uint16_t status = upgrade_check_request(&h, &reason);
        if (status != connects[i].status || (status != 0) != (reason != NULL))
            fail_msg("%s: %u (%s)", connects[i].what, status, reason != NULL ? reason : "");
        assert_int_equal(upgrade_is_wanted(&h), connects[i].status != 405);
    }
}

static void the_accept_key_goes_back_to_the_client(void **state)
{
    struct http_head request, answer;
    char accept[UPGRADE_ACCEPT_BYTES];

    (void)state;
    head_of_request(&request, LINE UPGRADE KEY VERSION "\r\n");
    http_head_clear(&answer);
    assert_true(upgrade_add_accept(&answer, &request, accept));
    assert_true(http_view_is(http_value(&answer, "sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

static void each_request_gets_its_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct http_head h;
        const char *reason = NULL;
        head_of_request(&h, requests[i].head);
        const uint16_t status = upgrade_check_request(&h, &reason);
        if (status != requests[i].status || (status != 0) != (reason != NULL))
            fail_msg("%s: %u (%s)", requests[i].what, status, reason != NULL ? reason : "");
    }
}

static void plain_requests_are_told_from_handshakes(void **state)
{
    struct http_head h;

    (void)state;
    head_of_request(&h, LINE "\r\n");
    assert_false(upgrade_is_wanted(&h));
    head_of_request(&h, LINE "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    assert_false(upgrade_is_wanted(&h));
    head_of_request(&h, LINE UPGRADE "\r\n");
    assert_true(upgrade_is_wanted(&h));
    head_of_request(&h, LINE KEY "\r\n"); /* a proxy on the way took the upgrade: worth a 426, not a page */
    assert_true(upgrade_is_wanted(&h));
}

static void the_accept_key_of_the_rfc(void **state)
{
    char accept[UPGRADE_ACCEPT_BYTES];

    (void)state;
    upgrade_accept_key((struct http_view){"dGhlIHNhbXBsZSBub25jZQ==", 24}, accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void a_key_is_made_of_sixteen_bytes(void **state)
{
    char key[UPGRADE_KEY_BYTES];

    (void)state;
    upgrade_make_key((const uint8_t *)"the sample nonce", key);
    assert_string_equal(key, "dGhlIHNhbXBsZSBub25jZQ==");
}

#define STATUS "HTTP/1.1 101 Switching Protocols\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static const struct {
    const char *what;
    const char *fault; /* NULL: acceptable */
    const char *head;
} responses[] = {
    {"good", NULL, STATUS UPGRADE ACCEPT "\r\n"},
    {"good, other case", NULL, STATUS "upgrade: WebSocket\r\nconnection: upgrade\r\n" ACCEPT "\r\n"},
    {"good, first protocol", NULL, STATUS UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat\r\n\r\n"},
    {"good, protocol of the second field", NULL, STATUS UPGRADE ACCEPT "Sec-WebSocket-Protocol: mqtt\r\n\r\n"},
    {"good, empty extensions", NULL, STATUS UPGRADE ACCEPT "Sec-WebSocket-Extensions:\r\n\r\n"},
    {"status 200", "status is not 101", "HTTP/1.1 200 OK\r\n" UPGRADE ACCEPT "\r\n"},
    {"no upgrade", "no upgrade to websocket", STATUS "Connection: Upgrade\r\n" ACCEPT "\r\n"},
    {"upgrade to h2c", "no upgrade to websocket", STATUS "Connection: Upgrade\r\nUpgrade: h2c\r\n" ACCEPT "\r\n"},
    {"no connection", "connection does not name upgrade", STATUS "Upgrade: websocket\r\n" ACCEPT "\r\n"},
    {"no accept", "not exactly one accept key", STATUS UPGRADE "\r\n"},
    {"two accepts", "not exactly one accept key", STATUS UPGRADE ACCEPT ACCEPT "\r\n"},
    {"wrong accept", "wrong accept key", STATUS UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n\r\n"},
    {"accept in other case", "wrong accept key",
     STATUS UPGRADE "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"},
    {"the key sent back", "wrong accept key", STATUS UPGRADE "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"},
    {"protocol nobody offered", "subprotocol was not offered",
     STATUS UPGRADE ACCEPT "Sec-WebSocket-Protocol: superchat\r\n\r\n"},
    {"protocol in other case", "subprotocol was not offered",
     STATUS UPGRADE ACCEPT "Sec-WebSocket-Protocol: Chat\r\n\r\n"},
    {"protocol list", "subprotocol was not offered",
     STATUS UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat, mqtt\r\n\r\n"},
    {"two protocols", "several subprotocols",
     STATUS UPGRADE ACCEPT "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"},
    {"an extension", "extension was not offered",
     STATUS UPGRADE ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"},
};

static void each_response_is_acceptable_or_not(void **state)
{
    struct http_head request;

    (void)state;
    head_of_request(&request, LINE UPGRADE KEY VERSION
                    "Sec-WebSocket-Protocol: chat, soap\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n");
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
        struct http_head h;
        head_of_response(&h, responses[i].head);
        const char *fault = upgrade_check_response(&h, &request, http_value(&request, "sec-websocket-key"));
        const char *expected = responses[i].fault;
        if ((fault == NULL) != (expected == NULL) || (fault != NULL && strcmp(fault, expected) != 0))
            fail_msg("%s: %s", responses[i].what, fault != NULL ? fault : "accepted");
    }
}

/* One that a rule of the route has put there may be anything. */
static void a_response_to_a_bad_key_is_not_acceptable(void **state)
{
    static const char *const keys[] = {"", "abc", "dGhlIHNhbXBsZSBub25j-_==", "dGhlIHNhbXBsZSBub25jZSBub25jZQ=="};
    struct http_head request, h;

    (void)state;
    head_of_request(&request, LINE UPGRADE VERSION "\r\n");
    head_of_response(&h, STATUS UPGRADE ACCEPT "\r\n");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_string_equal(upgrade_check_response(&h, &request, http_view_of(keys[i])), "key that is none was sent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_gets_its_status),
        cmocka_unit_test(each_extended_connect_gets_its_status),
        cmocka_unit_test(the_accept_key_goes_back_to_the_client),
        cmocka_unit_test(plain_requests_are_told_from_handshakes),
        cmocka_unit_test(the_accept_key_of_the_rfc),
        cmocka_unit_test(a_key_is_made_of_sixteen_bytes),
        cmocka_unit_test(each_response_is_acceptable_or_not),
        cmocka_unit_test(a_response_to_a_bad_key_is_not_acceptable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
