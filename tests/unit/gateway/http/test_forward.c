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

#define TEXTS_BYTES 8192u

static const struct forward plain = {
    .client_ip = "192.0.2.7",
    .upstream_host = "us-a.internal:4000",
    .request_id = {"id-1", 4},
};

/* What a request without claims about its client gets in the way of fields, Host being "a". */
#define TAIL                                                                                                           \
    "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\nX-Forwarded-Host: a\n"                                       \
    "Forwarded: for=192.0.2.7;host=\"a\";proto=http\nX-Request-Id: id-1\n"

static void check_forwarded(const struct http_head *from, const struct forward *f, const char *expected)
{
    struct http_head to;
    struct http_texts texts;
    struct strbuf text;
    http_texts_init(&texts, TEXTS_BYTES);
    assert_true(forward_request(&to, &texts, from, f));
    text_of_head(&text, &to);
    assert_string_equal(text.data, expected);
    strbuf_fini(&text);
    http_texts_fini(&texts);
}

static void check_request(const char *in, const struct forward *f, const char *expected)
{
    struct http_head h;
    head_of_request(&h, in);
    check_forwarded(&h, f, expected);
}

static void check_response(const char *in, const struct forward_answer *f, const char *expected)
{
    struct http_head from, to;
    struct http_texts texts;
    struct strbuf text;
    head_of_response(&from, in);
    http_texts_init(&texts, TEXTS_BYTES);
    assert_true(forward_response(&to, &texts, &from, f));
    text_of_head(&text, &to);
    assert_string_equal(text.data, expected);
    strbuf_fini(&text);
    http_texts_fini(&texts);
}

/* ---- requests ---- */

static void a_handshake_keeps_what_the_server_needs(void **state)
{
    struct forward f = plain;

    (void)state;
    f.is_websocket = true;
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
                  &f,
                  "GET rt.example.com /socket/websocket?vsn=2.0.0\n"
                  "Origin: https://app.example.com\n"
                  "COOKIE: a=b\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"
                  "Sec-WebSocket-Version: 13\n"
                  "Sec-WebSocket-Protocol: chat, soap\n"
                  "X-Client-Info: js/2\n"
                  "cookie: c=d\n"
                  "X-Forwarded-For: 192.0.2.7\n"
                  "X-Forwarded-Proto: http\n"
                  "X-Forwarded-Host: rt.example.com\n"
                  "Forwarded: for=192.0.2.7;host=\"rt.example.com\";proto=http\n"
                  "X-Request-Id: id-1\n");
}

/* RFC 8441: the stream itself stands for the key, which the call to the server makes when it needs one. */
static void a_handshake_over_http2_becomes_one_of_http1(void **state)
{
    struct forward f = plain;
    struct http_head h;

    (void)state;
    http_head_clear(&h);
    h.major_version = 2;
    h.method = http_view_of("CONNECT");
    h.protocol = http_view_of("websocket");
    h.authority = http_view_of("a");
    h.target = h.path = http_view_of("/chat");
    assert_true(http_head_add(&h, http_view_of("sec-websocket-protocol"), http_view_of("chat")));
    assert_true(http_head_add(&h, http_view_of("sec-websocket-extensions"), http_view_of("permessage-deflate")));
    assert_true(http_head_add(&h, http_view_of("sec-websocket-key"), http_view_of("abc")));
    f.is_websocket = true;
    check_forwarded(&h, &f, "GET a /chat\nsec-websocket-protocol: chat\nSec-WebSocket-Version: 13\n" TAIL);
}

static void hop_by_hop_fields_end_here(void **state)
{
    (void)state;
    check_request("POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"
                  "TE: trailers\r\nTrailer: X-T\r\nExpect: 100-continue\r\nProxy-Authorization: x\r\nProxy: x\r\n"
                  "X-Hop: x\r\nX-End: y\r\nSec-WebSocket-Protocol: x\r\nContent-Length: 2\r\n\r\n",
                  &plain, "POST a /\n(2 bytes)\nX-End: y\n" TAIL);
}

/* Whether a request's field of that name, with a Connection field of that value, gets to the server. */
static bool passes(const char *name, const char *connection)
{
    struct http_head from, to;
    struct http_texts texts;
    http_head_clear(&from);
    from.method = http_view_of("GET");
    from.path = from.target = http_view_of("/");
    (void)http_head_add(&from, http_view_of("Connection"), http_view_of(connection));
    (void)http_head_add(&from, http_view_of(name), http_view_of("secret"));
    http_texts_init(&texts, TEXTS_BYTES);
    assert_true(forward_request(&to, &texts, &from, &plain));
    bool is_there = false;
    for (uint32_t i = 0; i < to.field_count; i++)
        is_there = is_there || http_view_is(to.fields[i].value, "secret");
    http_texts_fini(&texts);
    return is_there;
}

/* In the letters of the table, in capitals, as a server's environment variable; and nearly. */
static void check_name(const char *name, bool may_pass, bool may_pass_as_variable, const char *connection)
{
    char capitals[64], variable[64], longer[64] = "", shorter[64] = "";
    const size_t len = strlen(name);
    assert_true(len + 1 < sizeof capitals);
    for (size_t i = 0; i <= len; i++) {
        capitals[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 0x20) : name[i];
        variable[i] = name[i] == '-' ? '_' : name[i];
    }
    memcpy(longer, name, len);
    longer[len] = 'x';
    memcpy(shorter, name, len - 1);
    if (passes(name, connection) != may_pass || passes(capitals, connection) != may_pass)
        fail_msg("%s", name);
    if (strchr(name, '-') != NULL && passes(variable, connection) != may_pass_as_variable)
        fail_msg("%s", variable);
    if (strncmp(name, "x-forwarded-", 12) != 0 && (!passes(longer, connection) || !passes(shorter, connection)))
        fail_msg("like %s", name);
}

static void every_name_that_is_known(void **state)
{
    static const char *const ending_here[] = {
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "content-length",
        "upgrade",
        "host",
        "expect",
        "proxy-connection",
        "proxy",
        "http2-settings",
        "proxy-authorization",
        "connection",
        "x-real-ip",
        "x-request-id",
        "proxy-authenticate",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "proxy-authentication-info",
    };
    static const char *const kept[] = {
        "content-type",  "authorization", "cookie",      "set-cookie", "origin",
        "cache-control", "via",           "traceparent", "tracestate",
    };
    (void)state;
    for (size_t i = 0; i < sizeof ending_here / sizeof ending_here[0]; i++)
        check_name(ending_here[i], false, false, "close");
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        char connection[256];
        (void)snprintf(connection, sizeof connection, "close, %s, keep-alive", kept[i]);
        check_name(kept[i], true, true, connection);
    }
    assert_false(passes("content_types", "content_types"));
}

static void connection_cannot_take_away_what_matters(void **state)
{
    (void)state;
    check_request(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: host, content-length, cookie, authorization, x-forwarded-for\r\n"
        "Cookie: a=b\r\nAuthorization: c\r\nContent-Length: 2\r\n\r\n",
        &plain, "POST a /\n(2 bytes)\nCookie: a=b\nAuthorization: c\n" TAIL);
}

static void framing_is_left_to_the_writer(void **state)
{
    (void)state;
    check_request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", &plain, "POST a /\n" TAIL);
    check_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                  "HTTP2-Settings: x\r\n\r\n",
                  &plain, "GET a /\n" TAIL);
}

/* ---- what is said about the client ---- */

static void an_untrusted_peer_cannot_speak_for_others(void **state)
{
    (void)state;
    check_request(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"
        "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Anything: 1\r\nForwarded: for=10.0.0.1\r\n"
        "X-Real-IP: 10.0.0.1\r\nX_Forwarded_For: 10.0.0.1\r\nx-forwarded_for: 10.0.0.1\r\n"
        "X-Request-Id: theirs\r\nX-Forward: kept\r\n\r\n",
        &plain, "GET a /\nX-Forward: kept\n" TAIL);
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
                  "GET a /\nX-Forwarded-Port: 443\n"
                  "X-Forwarded-For: 198.51.100.1, 198.51.100.2, 192.0.2.7\n"
                  "X-Forwarded-Proto: https\nX-Forwarded-Host: public\n"
                  "Forwarded: for=198.51.100.1;proto=https, for=192.0.2.7;host=\"a\";proto=http\n"
                  "X-Request-Id: id-1\n");
}

/* A proxy that is trusted passes on what it does not know, and that is what a client could say in other letters to a
 * server that cannot tell "_" from "-". */
static void a_trusted_proxy_does_not_write_underscores(void **state)
{
    struct forward f = plain;

    (void)state;
    f.is_trusted = true;
    check_request("POST / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 10.0.0.1\r\nx-forwarded_proto: https\r\n"
                  "X_Real_IP: 10.0.0.1\r\nX_Request_Id: x\r\nX_Forwarded_User: root\r\n"
                  "Content_Length: 7\r\nTransfer_Encoding: chunked\r\nX_Own: 1\r\nContent-Length: 2\r\n\r\n",
                  &f, "POST a /\n(2 bytes)\nX_Own: 1\n" TAIL);
}

static void an_ipv6_client_over_tls(void **state)
{
    struct forward f = plain;

    (void)state;
    f.client_ip = "2001:db8::7";
    f.is_tls = true;
    check_request("GET / HTTP/1.1\r\nHost: a:8443\r\n\r\n", &f,
                  "GET a:8443 /\nX-Forwarded-For: 2001:db8::7\nX-Forwarded-Proto: https\n"
                  "X-Forwarded-Host: a:8443\n"
                  "Forwarded: for=\"[2001:db8::7]\";host=\"a:8443\";proto=https\nX-Request-Id: id-1\n");
}

static void a_local_client_has_no_address(void **state)
{
    static const char in[] = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.1\r\n"
                             "X-Forwarded-For: 198.51.100.2\r\n\r\n";
    struct forward f = plain;

    (void)state;
    f.client_ip = "unix";
    check_request(in, &f,
                  "GET a /\nX-Forwarded-Proto: http\nX-Forwarded-Host: a\n"
                  "Forwarded: for=unknown;host=\"a\";proto=http\nX-Request-Id: id-1\n");
    f.is_trusted = true;
    check_request(in, &f,
                  "GET a /\nX-Forwarded-For: 198.51.100.1, 198.51.100.2\nX-Forwarded-Proto: http\n"
                  "X-Forwarded-Host: a\n"
                  "Forwarded: for=unknown;host=\"a\";proto=http\nX-Request-Id: id-1\n");
}

static void what_the_gateway_says_itself_nobody_else_may_say(void **state)
{
    static const struct http_field own[] = {{{"x-user", 6}, {"u-1", 3}}, {{"x-role", 6}, {NULL, 0}}};
    struct forward f = plain;

    (void)state;
    f.own = own;
    f.own_count = 2;
    f.is_trusted = true;
    check_request("GET / HTTP/1.1\r\nHost: a\r\nX-User: root\r\nx_user: root\r\nX-Role: admin\r\nX-Users: 2\r\n\r\n",
                  &f, "GET a /\nX-Users: 2\n" TAIL "x-user: u-1\n");
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

/* ---- target and host ---- */

static void the_path_is_rewritten_and_the_query_stays(void **state)
{
    static const struct {
        const char *target, *strip, *add, *server, *expected;
    } rows[] = {
        {"/x?y=1?", NULL, NULL, "/realtime/v1", "/realtime/v1/x?y=1?"},
        {"/x?", NULL, NULL, NULL, "/x?"},
        {"/api/x?a=b", "/api", NULL, "", "/x?a=b"},
        {"/api/x", "/api/", "", "", "/x"},
        {"/api?a=b", "/api", NULL, NULL, "/?a=b"},
        {"/api/", "/api/", NULL, NULL, "/"},
        {"/api", "/api", "/v1", NULL, "/v1"},
        {"/api/", "/api", "/v1", NULL, "/v1/"},
        {"/api/x", "/api", "/v1/", "/deep/", "/deep/v1/x"},
        {"/api/x", "/api/", "/v1", NULL, "/v1/x"},
        {"/api/", "/api/", "/v1", NULL, "/v1/"},
        {"/x", "/", "/v1", NULL, "/v1/x"},
        {"/%61pi/x%2Fy", "/api", "/v1", NULL, "/v1/x%2Fy"},
        {"/apis/x", "/api", "/v1", NULL, "/v1/apis/x"},
        {"/x", NULL, "/", NULL, "/x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct forward f = plain;
        char in[128], expected[512];
        f.strip_prefix = rows[i].strip;
        f.add_prefix = rows[i].add;
        f.server_prefix = rows[i].server;
        snprintf(in, sizeof in, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", rows[i].target);
        snprintf(expected, sizeof expected, "GET a %s\n" TAIL, rows[i].expected);
        check_request(in, &f, expected);
    }
}

static void path_and_query_are_parts_of_the_target(void **state)
{
    struct http_head from, to;
    struct http_texts texts;
    struct forward f = plain;

    (void)state;
    f.add_prefix = "/v1";
    http_texts_init(&texts, TEXTS_BYTES);
    head_of_request(&from, "GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(forward_request(&to, &texts, &from, &f));
    assert_true(http_view_is(to.authority, "b"));
    assert_true(http_view_is(to.path, "/v1/x"));
    assert_true(http_view_is(to.query, "y"));
    head_of_request(&from, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(forward_request(&to, &texts, &from, &f));
    assert_true(http_view_is(to.path, "/v1/x"));
    assert_null(to.query.data);
    head_of_request(&from, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(forward_request(&to, &texts, &from, &f));
    assert_true(http_view_is(to.path, "*"));
    http_texts_fini(&texts);
}

static void the_host_is_the_clients_the_servers_or_another(void **state)
{
    struct forward f = plain;

    (void)state;
    check_request("GET / HTTP/1.0\r\n\r\n", &f,
                  "GET us-a.internal:4000 /\nX-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\n"
                  "Forwarded: for=192.0.2.7;proto=http\nX-Request-Id: id-1\n");
    f.host_policy = HOST_HEADER_UPSTREAM;
    check_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &f, "GET us-a.internal:4000 /\n" TAIL);
    f.host_policy = HOST_HEADER_LITERAL;
    f.literal_host = "app.internal";
    check_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &f, "GET app.internal /\n" TAIL);
}

/* ---- trace, Via ---- */

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void a_trace_goes_on_under_the_gateways_span(void **state)
{
    static const char in[] = "GET / HTTP/1.1\r\nHost: a\r\ntraceparent: " PARENT "\r\ntracestate: v=1\r\n\r\n";
    struct trace t = {.owns_fields = true, .is_continued = true, .parent = "00-mine"};
    struct forward f = plain;

    (void)state;
    check_request(in, &f, "GET a /\ntraceparent: " PARENT "\ntracestate: v=1\n" TAIL);
    f.trace = &t;
    check_request(in, &f, "GET a /\ntracestate: v=1\n" TAIL "traceparent: 00-mine\n");
    t.is_continued = false; /* one begun here: the state belonged to the other one */
    check_request(in, &f, "GET a /\n" TAIL "traceparent: 00-mine\n");
    t.parent[0] = '\0';
    check_request(in, &f, "GET a /\n" TAIL);
}

static void via_tells_the_version_and_the_name(void **state)
{
    struct forward f = plain;

    (void)state;
    f.via = "edge";
    check_request("GET / HTTP/1.0\r\nHost: a\r\nVia: 1.1 first\r\nConnection: via\r\n\r\n", &f,
                  "GET a /\nVia: 1.1 first\n" TAIL "Via: 1.0 edge\n");
}

/* ---- bounds ---- */

static void the_fullest_head_of_a_peer_has_room_for_ours(void **state)
{
    struct http_head from, to;
    struct http_texts texts;
    struct forward f = plain;

    (void)state;
    f.via = "edge";
    http_texts_init(&texts, TEXTS_BYTES);
    head_of_request(&from, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    while (from.field_count < HTTP_MAX_FIELDS)
        assert_true(http_head_add(&from, http_view_of("X-More"), http_view_of("1")));
    assert_true(forward_request(&to, &texts, &from, &f));
    assert_int_equal(http_count(&to, "x-more"), HTTP_MAX_FIELDS - 1);
    assert_int_equal(http_count(&to, "via"), 1);
    http_texts_fini(&texts);
}

static void what_does_not_fit_is_noticed(void **state)
{
    struct http_head from, to;
    struct http_texts texts;

    (void)state;
    head_of_request(&from, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    http_texts_init(&texts, 20);
    assert_false(forward_request(&to, &texts, &from, &plain));
    http_texts_fini(&texts);

    http_texts_init(&texts, TEXTS_BYTES);
    while (http_head_add(&from, http_view_of("X-More"), http_view_of("1")))
        ;
    assert_false(forward_request(&to, &texts, &from, &plain));
    http_texts_fini(&texts);
}

/* ---- answers ---- */

static const struct forward_answer back = {.request_id = {"id-1", 4}};

static void an_accepted_upgrade_goes_back(void **state)
{
    struct forward_answer f = back;

    (void)state;
    f.is_joined = true;
    f.wall_ms = 1;
    check_response("HTTP/1.1 101 Web Socket Protocol Handshake\r\nupgrade: WebSocket\r\nconnection: upgrade\r\n"
                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n"
                   "Set-Cookie: a=b\r\n\r\n",
                   &f, "101\nSec-WebSocket-Protocol: chat\nSet-Cookie: a=b\nX-Request-Id: id-1\n");
    check_response("HTTP/1.1 200 OK\r\nSec-WebSocket-Protocol: chat\r\n\r\n", &f,
                   "101\nSec-WebSocket-Protocol: chat\nX-Request-Id: id-1\n");
}

static void an_answer_loses_framing_and_hop_by_hop_fields(void **state)
{
    (void)state;
    check_response("HTTP/1.1 401 Unauthorized\r\nConnection: close, X-Hop\r\nX-Hop: x\r\nKeep-Alive: timeout=5\r\n"
                   "WWW-Authenticate: Bearer\r\nContent-Length: 5\r\nX-Request-Id: theirs\r\n\r\n",
                   &back, "401\n(5 bytes)\nWWW-Authenticate: Bearer\nX-Request-Id: theirs\n");
    check_response("HTTP/1.1 403\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n", &back,
                   "403\nX-Request-Id: id-1\n");
    check_response("HTTP/1.1 302 Found\r\nLocation: http://inner/x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n", &back,
                   "302\nLocation: http://inner/x\nSet-Cookie: a\nSet-Cookie: b\nX-Request-Id: id-1\n");
}

static void server_date_and_via_as_configured(void **state)
{
    static const char in[] = "HTTP/1.1 200 OK\r\nServer: app/1\r\n\r\n";
    struct forward_answer f = back;

    (void)state;
    check_response(in, &f, "200\nServer: app/1\nX-Request-Id: id-1\n");
    f.server = "";
    check_response(in, &f, "200\nX-Request-Id: id-1\n");
    f.server = "edge";
    f.via = "edge";
    f.wall_ms = INT64_C(784111777123);
    check_response(in, &f,
                   "200\nServer: edge\nDate: Sun, 06 Nov 1994 08:49:37 GMT\nX-Request-Id: id-1\nVia: 1.1 edge\n");
    check_response("HTTP/1.1 200 OK\r\nDate: theirs\r\n\r\n", &f,
                   "200\nDate: theirs\nServer: edge\nX-Request-Id: id-1\nVia: 1.1 edge\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_keeps_what_the_server_needs),
        cmocka_unit_test(a_handshake_over_http2_becomes_one_of_http1),
        cmocka_unit_test(hop_by_hop_fields_end_here),
        cmocka_unit_test(every_name_that_is_known),
        cmocka_unit_test(connection_cannot_take_away_what_matters),
        cmocka_unit_test(framing_is_left_to_the_writer),
        cmocka_unit_test(an_untrusted_peer_cannot_speak_for_others),
        cmocka_unit_test(a_trusted_proxy_is_continued),
        cmocka_unit_test(a_trusted_proxy_does_not_write_underscores),
        cmocka_unit_test(an_ipv6_client_over_tls),
        cmocka_unit_test(a_local_client_has_no_address),
        cmocka_unit_test(what_the_gateway_says_itself_nobody_else_may_say),
        cmocka_unit_test(a_request_id_is_taken_from_trusted_peers_when_sane),
        cmocka_unit_test(the_path_is_rewritten_and_the_query_stays),
        cmocka_unit_test(path_and_query_are_parts_of_the_target),
        cmocka_unit_test(the_host_is_the_clients_the_servers_or_another),
        cmocka_unit_test(a_trace_goes_on_under_the_gateways_span),
        cmocka_unit_test(via_tells_the_version_and_the_name),
        cmocka_unit_test(the_fullest_head_of_a_peer_has_room_for_ours),
        cmocka_unit_test(what_does_not_fit_is_noticed),
        cmocka_unit_test(an_accepted_upgrade_goes_back),
        cmocka_unit_test(an_answer_loses_framing_and_hop_by_hop_fields),
        cmocka_unit_test(server_date_and_via_as_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
