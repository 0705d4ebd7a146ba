/* The PROXY header against its specification: what is an address, what is nobody's, what must be dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/net/proxy.h"

#define V2_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text)  (const uint8_t *)(text), sizeof(text) - 1

/* Parses with every shorter beginning first, which must ask for more: nothing is decided early but a refusal. */
static enum proxy_result parse(struct proxy_header *h, const uint8_t *data, size_t len)
{
    enum proxy_result r = PROXY_MORE;
    for (size_t have = 0; have <= len && r == PROXY_MORE; have++)
        r = proxy_parse(h, data, have);
    struct proxy_header whole;
    assert_int_equal(proxy_parse(&whole, data, len), r);
    if (r == PROXY_BAD)
        assert_non_null(h->error_reason);
    return r;
}

static void expect_addresses(const struct proxy_header *h, const char *source, const char *destination)
{
    char text[ADDR_TEXT_BYTES];
    assert_false(h->is_local);
    assert_string_equal(addr_text(&h->source, text, sizeof text), source);
    assert_string_equal(addr_text(&h->destination, text, sizeof text), destination);
}

static const struct {
    const char *line;
    const char *source; /* NULL: the connection's own addresses hold */
    const char *destination;
} v1_good[] = {
    {"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324", "192.168.0.11:443"},
    {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535", "255.255.255.255:65535"},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", "1.2.3.4:0", "5.6.7.8:0"},
    {"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", "[2001:db8::1]:1", "[::1]:65535"},
    {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF 65535 65535\r\n",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {"PROXY UNKNOWN\r\n", NULL, NULL},
    {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
     NULL, NULL},
    {"PROXY UNKNOWN whatever it may be\r\n", NULL, NULL},
};

static void a_line_of_text_names_the_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof v1_good / sizeof *v1_good; i++) {
        struct proxy_header h;
        assert_int_equal(parse(&h, (const uint8_t *)v1_good[i].line, strlen(v1_good[i].line)), PROXY_DONE);
        assert_int_equal(h.len, strlen(v1_good[i].line));
        assert_int_equal(h.is_local, v1_good[i].source == NULL);
        if (!h.is_local)
            expect_addresses(&h, v1_good[i].source, v1_good[i].destination);
    }
}

/* 108 bytes. */
#define LONG_LINE                                                                                                      \
    "PROXY UNKNOWN "                                                                                                   \
    ".............................................................................................\r\n"

static const char *const v1_bad[] = {
    "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n",     /* no CR */
    "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r \n",  /* no LF behind the CR */
    "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r443\r\n",  /* a CR inside */
    "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 \r\n",  /* a space too many */
    "PROXY TCP4  192.168.0.1 192.168.0.11 56324 443\r\n",  /* two spaces */
    "PROXY TCP4\t192.168.0.1 192.168.0.11 56324 443\r\n",  /* a tab */
    "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 1\r\n", /* a word too many */
    "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",       /* a word too few */
    "PROXY TCP4 192.168.0.1 192.168.0.11 56324 65536\r\n", /* no such port */
    "PROXY TCP4 192.168.0.1 192.168.0.11 56324 0443\r\n",  /* octal? */
    "PROXY TCP4 192.168.0.1 192.168.0.11 56324 +443\r\n",  /* a sign */
    "PROXY TCP4 192.168.0.1 192.168.0.11 -1 443\r\n",      /* a sign */
    "PROXY TCP4 192.168.000.1 192.168.0.11 56324 443\r\n", /* octal? */
    "PROXY TCP4 192.168.1 192.168.0.11 56324 443\r\n",     /* three numbers */
    "PROXY TCP4 256.168.0.1 192.168.0.11 56324 443\r\n",   /* no such number */
    "PROXY TCP4 0.0.0.0 192.168.0.11 56324 443\r\n",       /* nobody's address */
    "PROXY TCP4 ::1 ::1 56324 443\r\n",                    /* the other family */
    "PROXY TCP6 1.2.3.4 1.2.3.4 56324 443\r\n",            /* the other family */
    "PROXY TCP6 :: ::1 56324 443\r\n",                     /* nobody's address */
    "PROXY TCP6 1:2:3:4:5:6:7 ::1 56324 443\r\n",          /* 112 bits */
    "PROXY TCP6 fe80::1%lo ::1 56324 443\r\n",             /* a zone */
    "PROXY TCP5 192.168.0.1 192.168.0.11 56324 443\r\n",   /* no such protocol */
    "PROXY UDP4 192.168.0.1 192.168.0.11 56324 443\r\n",   /* not in version 1 */
    "PROXY tcp4 192.168.0.1 192.168.0.11 56324 443\r\n",   /* lower case */
    "PROXY \r\n",                                          /* nothing */
    "proxy TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",   /* not the word */
    "PROXYTCP4 192.168.0.1 192.168.0.11 56324 443\r\n",    /* not the word */
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",                   /* no header at all */
    "\x16\x03\x01\x02",                                    /* a TLS client */
    "\r\n\r\nGET / HTTP/1.1\r\n",                          /* begins like version 2 */
    LONG_LINE,
};

static void what_is_no_such_line_is_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof v1_bad / sizeof *v1_bad; i++) {
        struct proxy_header h;
        if (parse(&h, (const uint8_t *)v1_bad[i], strlen(v1_bad[i])) != PROXY_BAD)
            fail_msg("accepted: %s", v1_bad[i]);
    }
}

static void a_line_that_never_ends_is_dropped_at_its_limit(void **state)
{
    struct proxy_header h;
    char line[PROXY_V1_BYTES_MAX];
    (void)state;
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(proxy_parse(&h, (uint8_t *)line, sizeof line - 1), PROXY_MORE);
    assert_int_equal(proxy_parse(&h, (uint8_t *)line, sizeof line), PROXY_BAD);
    /* At the limit there is no room for the LF any more. */
    line[sizeof line - 1] = '\r';
    assert_int_equal(proxy_parse(&h, (uint8_t *)line, sizeof line), PROXY_BAD);
}

static void what_follows_the_header_is_not_looked_at(void **state)
{
    struct proxy_header h;
    (void)state;
    static const char text[] = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\n\r\0 anything";
    assert_int_equal(proxy_parse(&h, BYTES(text)), PROXY_DONE);
    assert_int_equal(h.len, 32);
    static const char binary[] = V2_SIGNATURE "\x21\x11\x00\x0c"
                                              "\1\2\3\4\5\6\7\x08"
                                              "\0\1\0\2"
                                              "anything";
    assert_int_equal(proxy_parse(&h, BYTES(binary)), PROXY_DONE);
    assert_int_equal(h.len, 28);
}

static const struct {
    const char *what;
    const uint8_t *data;
    size_t len;
    const char *source; /* NULL: local */
} v2_good[] = {
    {"TCP over IPv4",
     BYTES(V2_SIGNATURE "\x21\x11\x00\x0c"
                        "\x0a\1\2\3"
                        "\x0a\4\5\6"
                        "\xdc\x04\x01\xbb"),
     "10.1.2.3:56324"},
    {"UDP over IPv4",
     BYTES(V2_SIGNATURE "\x21\x12\x00\x0c"
                        "\x0a\1\2\3"
                        "\x0a\4\5\6"
                        "\xdc\x04\x01\xbb"),
     "10.1.2.3:56324"},
    {"TCP over IPv6",
     BYTES(V2_SIGNATURE "\x21\x21\x00\x24"
                        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                        "\xdc\x04\x01\xbb"),
     "[2001:db8::1]:56324"},
    {"a health check of the proxy", BYTES(V2_SIGNATURE "\x20\x00\x00\x00"), NULL},
    {"LOCAL with addresses, which do not count",
     BYTES(V2_SIGNATURE "\x20\x11\x00\x0c"
                        "abcdefghijkl"),
     NULL},
    {"LOCAL with nonsense for a family",
     BYTES(V2_SIGNATURE "\x20\xff\x00\x03"
                        "abc"),
     NULL},
    {"an unspecified family",
     BYTES(V2_SIGNATURE "\x21\x00\x00\x05"
                        "abcde"),
     NULL},
    {"an unspecified protocol",
     BYTES(V2_SIGNATURE "\x21\x10\x00\x0c"
                        "abcdefghijkl"),
     NULL},
    {"extensions, read over",
     BYTES(V2_SIGNATURE "\x21\x11\x00\x19"
                        "\x0a\1\2\3"
                        "\x0a\4\5\6"
                        "\xdc\x04\x01\xbb"
                        "\x04\0\0"
                        "\x02\0\7exa.org"),
     "10.1.2.3:56324"},
    /* Computed apart from the code under test, by one that gives 0xe3069283 for "123456789". */
    {"a right checksum",
     BYTES(V2_SIGNATURE "\x21\x11\x00\x13"
                        "\x7f\0\0\1"
                        "\x7f\0\0\2"
                        "\x30\x39\x01\xbb"
                        "\x03\0\4"
                        "\xcb\x93\x64\xcb"),
     "127.0.0.1:12345"},
};

static void a_binary_header_names_the_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof v2_good / sizeof *v2_good; i++) {
        struct proxy_header h;
        char text[ADDR_TEXT_BYTES];
        if (parse(&h, v2_good[i].data, v2_good[i].len) != PROXY_DONE)
            fail_msg("%s: %s", v2_good[i].what, h.error_reason != NULL ? h.error_reason : "more");
        assert_int_equal(h.len, v2_good[i].len);
        assert_int_equal(h.is_local, v2_good[i].source == NULL);
        if (!h.is_local)
            assert_string_equal(addr_text(&h.source, text, sizeof text), v2_good[i].source);
    }
}

static void a_local_socket_of_the_proxy_is_nobody_we_know(void **state)
{
    struct proxy_header h;
    uint8_t data[16 + 216] = V2_SIGNATURE "\x21\x31\x00\xd8/run/client.sock";
    (void)state;
    assert_int_equal(parse(&h, data, sizeof data), PROXY_DONE);
    assert_true(h.is_local);
}

static const struct {
    const char *what;
    const uint8_t *data;
    size_t len;
} v2_bad[] = {
    {"version 1 in binary", BYTES(V2_SIGNATURE "\x11\x11\x00\x0c"
                                               "abcdefghijkl")},
    {"version 3", BYTES(V2_SIGNATURE "\x31\x11\x00\x0c"
                                     "abcdefghijkl")},
    {"an unknown command", BYTES(V2_SIGNATURE "\x22\x11\x00\x0c"
                                              "abcdefghijkl")},
    {"an unknown family", BYTES(V2_SIGNATURE "\x21\x41\x00\x0c"
                                             "abcdefghijkl")},
    {"an unknown protocol", BYTES(V2_SIGNATURE "\x21\x13\x00\x0c"
                                               "abcdefghijkl")},
    {"IPv4 addresses cut short", BYTES(V2_SIGNATURE "\x21\x11\x00\x0b"
                                                    "abcdefghijk")},
    {"IPv6 addresses cut short", BYTES(V2_SIGNATURE "\x21\x21\x00\x0c"
                                                    "abcdefghijkl")},
    {"a path cut short", BYTES(V2_SIGNATURE "\x21\x31\x00\x0c"
                                            "abcdefghijkl")},
    {"nobody's address", BYTES(V2_SIGNATURE "\x21\x11\x00\x0c"
                                            "\0\0\0\0"
                                            "efghijkl")},
    {"too long", BYTES(V2_SIGNATURE "\x21\x11\x0f\xf1")},
    {"an extension cut short", BYTES(V2_SIGNATURE "\x21\x11\x00\x0e"
                                                  "abcdefghijkl"
                                                  "\4\0")},
    {"an extension that ends too late", BYTES(V2_SIGNATURE "\x21\x11\x00\x10"
                                                           "abcdefghijkl"
                                                           "\4\0\2x")},
    {"a checksum of three bytes", BYTES(V2_SIGNATURE "\x21\x11\x00\x12"
                                                     "abcdefghijkl"
                                                     "\3\0\3xyz")},
    {"a wrong checksum", BYTES(V2_SIGNATURE "\x21\x11\x00\x13"
                                            "abcdefghijkl"
                                            "\3\0\4\0\0\0\0")},
    {"a bare CR LF of version 2 and then something else", BYTES("\r\n\r\n\0\r\nQUIX\n")},
};

static void what_is_no_such_header_is_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof v2_bad / sizeof *v2_bad; i++) {
        struct proxy_header h;
        if (parse(&h, v2_bad[i].data, v2_bad[i].len) != PROXY_BAD)
            fail_msg("accepted: %s", v2_bad[i].what);
    }
}

static void the_longest_header_is_read(void **state)
{
    static uint8_t data[PROXY_V2_BYTES_MAX] = V2_SIGNATURE "\x21\x11\x0f\xf0"
                                                           "\x0a\1\2\3"
                                                           "\x0a\4\5\6"
                                                           "\0\1\0\2";
    struct proxy_header h;
    (void)state;
    /* One extension that fills the rest. */
    data[28] = 0xe0;
    data[29] = (uint8_t)((sizeof data - 31) >> 8);
    data[30] = (uint8_t)((sizeof data - 31) & 0xff);
    assert_int_equal(proxy_parse(&h, data, sizeof data - 1), PROXY_MORE);
    assert_int_equal(proxy_parse(&h, data, sizeof data), PROXY_DONE);
    assert_int_equal(h.len, sizeof data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_text_names_the_client),
        cmocka_unit_test(what_is_no_such_line_is_dropped),
        cmocka_unit_test(a_line_that_never_ends_is_dropped_at_its_limit),
        cmocka_unit_test(what_follows_the_header_is_not_looked_at),
        cmocka_unit_test(a_binary_header_names_the_client),
        cmocka_unit_test(a_local_socket_of_the_proxy_is_nobody_we_know),
        cmocka_unit_test(what_is_no_such_header_is_dropped),
        cmocka_unit_test(the_longest_header_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
