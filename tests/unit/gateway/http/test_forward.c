/* Heads on their way through, literally: what goes in, what must come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/forward.h"
#include "tests/unit/gateway/http/head.h"

static const struct forward plain = {
    .client_ip = "192.0.2.7",
    .prefix = "",
    .upstream_host = "us-a.internal:4000",
    .request_id = {"id-1", 4},
};

static void check_request(const char *in, const struct forward *f, const char *expected)
{
    struct http_head h;
    struct strbuf out;
    head_of_request(&h, in);
    strbuf_init(&out, 16384);
    forward_request(&out, &h, f);
    assert_false(out.failed);
    assert_string_equal(out.data, expected);
    strbuf_fini(&out);
}

static void check_response(const char *in, bool keep_alive, const char *expected)
{
    struct http_head h;
    struct strbuf out;
    head_of_response(&h, in);
    strbuf_init(&out, 16384);
    forward_response(&out, &h, keep_alive, (struct http_view){"id-1", 4});
    assert_false(out.failed);
    assert_string_equal(out.data, expected);
    strbuf_fini(&out);
}

static void a_handshake_keeps_what_the_server_needs(void **state)
{
    (void)state;
    check_request("GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n"
                  "Host: rt.example.com\r\n"
                  "Connection: keep-alive, Upgrade\r\n"
                  "Upgrade: websocket\r\n"
                  "Origin: https://app.example.com\r\n"
                  "COOKIE: a=b\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Protocol: chat, soap\r\n"
                  "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                  "X-Client-Info: js/2\r\n"
                  "cookie: c=d\r\n"
                  "\r\n",
                  &plain,
                  "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n"
                  "Host: rt.example.com\r\n"
                  "Origin: https://app.example.com\r\n"
                  "COOKIE: a=b\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Protocol: chat, soap\r\n"
                  "X-Client-Info: js/2\r\n"
                  "cookie: c=d\r\n"
                  "X-Forwarded-For: 192.0.2.7\r\n"
                  "X-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: rt.example.com\r\n"
                  "Forwarded: for=192.0.2.7;host=\"rt.example.com\";proto=http\r\n"
                  "X-Request-Id: id-1\r\n"
                  "Connection: Upgrade\r\n"
                  "Upgrade: websocket\r\n"
                  "\r\n");
}

#define TAIL                                                                                                           \
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"                                 \
    "Forwarded: for=192.0.2.7;host=\"a\";proto=http\r\nX-Request-Id: id-1\r\n"

static void hop_by_hop_fields_end_here(void **state)
{
    (void)state;
    check_request("POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"
                  "TE: trailers\r\nProxy-Authorization: x\r\nProxy: x\r\nX-Hop: x\r\nX-End: y\r\n"
                  "Content-Length: 2\r\n\r\n",
                  &plain, "POST / HTTP/1.1\r\nHost: a\r\nX-End: y\r\nContent-Length: 2\r\n" TAIL "\r\n");
}

static void connection_cannot_take_away_what_matters(void **state)
{
    (void)state;
    check_request(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length, cookie, authorization, x-forwarded-for\r\n"
        "Cookie: a=b\r\nAuthorization: c\r\nContent-Length: 2\r\n\r\n",
        &plain, "POST / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nAuthorization: c\r\nContent-Length: 2\r\n" TAIL "\r\n");
}

static void a_chunked_body_stays_chunked(void **state)
{
    (void)state;
    check_request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", &plain,
                  "POST / HTTP/1.1\r\nHost: a\r\n" TAIL "Transfer-Encoding: chunked\r\n\r\n");
}

static void another_upgrade_is_not_passed_on(void **state)
{
    (void)state;
    check_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                  "HTTP2-Settings: x\r\n\r\n",
                  &plain, "GET / HTTP/1.1\r\nHost: a\r\n" TAIL "\r\n");
}

static void an_untrusted_peer_cannot_speak_for_others(void **state)
{
    (void)state;
    check_request(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"
        "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Anything: 1\r\nForwarded: for=10.0.0.1\r\n"
        "X-Real-IP: 10.0.0.1\r\nX_Forwarded_For: 10.0.0.1\r\nx-forwarded_for: 10.0.0.1\r\n"
        "X-Request-Id: theirs\r\nX-Forward: kept\r\n\r\n",
        &plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Forward: kept\r\n" TAIL "\r\n");
}

static void a_trusted_proxy_is_continued(void **state)
{
    struct forward f = plain;

    (void)state;
    f.is_trusted = true;
    check_request("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 198.51.100.2\r\n"
                  "X-Forwarded-Proto: https\r\nX-Forwarded-Host: public\r\nX-Forwarded-Port: 443\r\n"
                  "Forwarded: for=198.51.100.1;proto=https\r\n\r\n",
                  &f,
                  "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Port: 443\r\n"
                  "X-Forwarded-For: 198.51.100.1, 198.51.100.2, 192.0.2.7\r\n"
                  "X-Forwarded-Proto: https\r\nX-Forwarded-Host: public\r\n"
                  "Forwarded: for=198.51.100.1;proto=https, for=192.0.2.7;host=\"a\";proto=http\r\n"
                  "X-Request-Id: id-1\r\n\r\n");
}

static void an_ipv6_client_over_tls(void **state)
{
    struct forward f = plain;

    (void)state;
    f.client_ip = "2001:db8::7";
    f.is_tls = true;
    check_request("GET / HTTP/1.1\r\nHost: a:8443\r\n\r\n", &f,
                  "GET / HTTP/1.1\r\nHost: a:8443\r\nX-Forwarded-For: 2001:db8::7\r\nX-Forwarded-Proto: https\r\n"
                  "X-Forwarded-Host: a:8443\r\n"
                  "Forwarded: for=\"[2001:db8::7]\";host=\"a:8443\";proto=https\r\nX-Request-Id: id-1\r\n\r\n");
}

static void a_local_client_has_no_address(void **state)
{
    struct forward f = plain;

    (void)state;
    f.client_ip = "unix";
    check_request("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n", &f,
                  "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
                  "Forwarded: for=unknown;host=\"a\";proto=http\r\nX-Request-Id: id-1\r\n\r\n");
    f.is_trusted = true;
    check_request("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n", &f,
                  "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: http\r\n"
                  "X-Forwarded-Host: a\r\n"
                  "Forwarded: for=unknown;host=\"a\";proto=http\r\nX-Request-Id: id-1\r\n\r\n");
}

static void the_target_gets_the_prefix_and_loses_the_host(void **state)
{
    struct forward f = plain;

    (void)state;
    f.prefix = "/realtime/v1";
    check_request("GET http://b/x?y=1? HTTP/1.1\r\nHost: a\r\n\r\n", &f,
                  "GET /realtime/v1/x?y=1? HTTP/1.1\r\nHost: b\r\nX-Forwarded-For: 192.0.2.7\r\n"
                  "X-Forwarded-Proto: http\r\nX-Forwarded-Host: b\r\n"
                  "Forwarded: for=192.0.2.7;host=\"b\";proto=http\r\nX-Request-Id: id-1\r\n\r\n");
    check_request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &f, "OPTIONS * HTTP/1.1\r\nHost: a\r\n" TAIL "\r\n");
}

static void the_host_of_the_server_when_asked_for_or_none_is_there(void **state)
{
    struct forward f = plain;

    (void)state;
    check_request("GET / HTTP/1.0\r\n\r\n", &f,
                  "GET / HTTP/1.1\r\nHost: us-a.internal:4000\r\nX-Forwarded-For: 192.0.2.7\r\n"
                  "X-Forwarded-Proto: http\r\nForwarded: for=192.0.2.7;proto=http\r\nX-Request-Id: id-1\r\n\r\n");
    f.host_policy = FORWARD_HOST_UPSTREAM;
    check_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &f,
                  "GET / HTTP/1.1\r\nHost: us-a.internal:4000\r\n" TAIL "\r\n");
}

static void what_does_not_fit_is_noticed(void **state)
{
    struct http_head h;
    struct strbuf out;

    (void)state;
    head_of_request(&h, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    strbuf_init(&out, 40);
    forward_request(&out, &h, &plain);
    assert_true(out.failed);
    strbuf_fini(&out);
}

static void a_request_id_is_taken_from_trusted_peers_when_sane(void **state)
{
    static const struct {
        const char *value;
        bool is_trusted, is_taken;
    } rows[] = {
        {"abc-123_x.y:z", true, true},
        {"abc-123", false, false},
        {"", true, false},
        {"a b", true, false},
        {"a\"b", true, false},
        {"a,b", true, false},
        {"0123456789012345678901234567890123456789012345678901234567890123", true, true},
        {"01234567890123456789012345678901234567890123456789012345678901234", true, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        struct http_head h;
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: %s\r\n\r\n", rows[i].value);
        head_of_request(&h, text);
        const struct http_view id = forward_request_id(&h, rows[i].is_trusted, "fresh");
        assert_true(http_view_is(id, rows[i].is_taken ? rows[i].value : "fresh"));
    }
}

static void an_accepted_upgrade_goes_back(void **state)
{
    (void)state;
    check_response("HTTP/1.1 101 Web Socket Protocol Handshake\r\nupgrade: WebSocket\r\nconnection: upgrade\r\n"
                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n"
                   "Set-Cookie: a=b\r\n\r\n",
                   true,
                   "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n"
                   "Set-Cookie: a=b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Request-Id: id-1\r\n\r\n");
}

static void a_refusal_goes_back_with_its_framing(void **state)
{
    (void)state;
    check_response("HTTP/1.1 401 Unauthorized\r\nConnection: close, X-Hop\r\nX-Hop: x\r\nKeep-Alive: timeout=5\r\n"
                   "WWW-Authenticate: Bearer\r\nContent-Length: 5\r\nX-Request-Id: theirs\r\n\r\n",
                   true,
                   "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 5\r\n"
                   "X-Request-Id: theirs\r\n\r\n");
    check_response("HTTP/1.1 403\r\nTransfer-Encoding: chunked\r\n\r\n", false,
                   "HTTP/1.1 403 \r\nTransfer-Encoding: chunked\r\nConnection: close\r\nX-Request-Id: id-1\r\n\r\n");
}

static void an_interim_answer_says_nothing_about_the_connection(void **state)
{
    (void)state;
    check_response("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", false,
                   "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Request-Id: id-1\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_keeps_what_the_server_needs),
        cmocka_unit_test(hop_by_hop_fields_end_here),
        cmocka_unit_test(connection_cannot_take_away_what_matters),
        cmocka_unit_test(a_chunked_body_stays_chunked),
        cmocka_unit_test(another_upgrade_is_not_passed_on),
        cmocka_unit_test(an_untrusted_peer_cannot_speak_for_others),
        cmocka_unit_test(a_trusted_proxy_is_continued),
        cmocka_unit_test(an_ipv6_client_over_tls),
        cmocka_unit_test(a_local_client_has_no_address),
        cmocka_unit_test(the_target_gets_the_prefix_and_loses_the_host),
        cmocka_unit_test(the_host_of_the_server_when_asked_for_or_none_is_there),
        cmocka_unit_test(what_does_not_fit_is_noticed),
        cmocka_unit_test(a_request_id_is_taken_from_trusted_peers_when_sane),
        cmocka_unit_test(an_accepted_upgrade_goes_back),
        cmocka_unit_test(a_refusal_goes_back_with_its_framing),
        cmocka_unit_test(an_interim_answer_says_nothing_about_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
