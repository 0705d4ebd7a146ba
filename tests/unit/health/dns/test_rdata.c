/* Records as people write them, and as they travel (in hex; names as they are on the wire). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "health/dns/rdata.h"

static const char *hex_of(const struct rdata *r, char *out)
{
    for (size_t i = 0; i < r->len; i++)
        snprintf(out + 2 * i, 3, "%02x", r->data[i]);
    out[2 * r->len] = '\0';
    return out;
}

#define EXAMPLE "076578616d706c65036e657400" /* example.net */

static void what_is_taken(void **state)
{
    static const struct {
        uint16_t type;
        const char *text, *hex;
    } rows[] = {
        {DNS_TYPE_A, "192.0.2.1", "c0000201"},
        {DNS_TYPE_A, "  192.0.2.1\t", "c0000201"},
        {DNS_TYPE_AAAA, "2001:db8::1", "20010db8000000000000000000000001"},
        {DNS_TYPE_NS, "example.net", EXAMPLE},
        {DNS_TYPE_CNAME, "Example.NET.", EXAMPLE},
        {DNS_TYPE_CNAME, "a\\.b.\\101", "03612e62016500"},
        {DNS_TYPE_MX, "10 example.net", "000a" EXAMPLE},
        {DNS_TYPE_MX, "0 .", "000000"}, /* no mail here (RFC 7505) */
        {DNS_TYPE_TXT, "hi", "026869"},
        {DNS_TYPE_TXT, "", "00"},
        {DNS_TYPE_TXT, "\"a b\"",
         "0522612062"
         "22"}, /* the text itself: quotes are letters of it */
        {DNS_TYPE_SRV, "10 5 443 example.net", "000a000501bb" EXAMPLE},
        {DNS_TYPE_CAA, "0 issue \"ca.test\"",
         "00056973737565"
         "63612e74657374"},
        {DNS_TYPE_CAA, "128 iodef mailto:a@b",
         "8005696f646566"
         "6d61696c746f3a614062"},
        {DNS_TYPE_CAA, "0 issue \";\"", "000569737375653b"},
        {DNS_TYPE_HTTPS, "0 example.net", "0000" EXAMPLE},
        {DNS_TYPE_HTTPS, "1 .", "000100"},
        {DNS_TYPE_HTTPS, "1 . alpn=h2,h3",
         "000100"
         "00010006"
         "026832026833"},
        /* In whatever order they are written they travel ascending. */
        {DNS_TYPE_SVCB, "16 . ipv6hint=::1 port=443 no-default-alpn alpn=\"h2\" mandatory=alpn,port",
         "001000"
         "0000000400010003"
         "00010003026832"
         "00020000"
         "0003000201bb"
         "00060010"
         "00000000000000000000000000000001"},
        {DNS_TYPE_SVCB, "1 . ipv4hint=192.0.2.1,192.0.2.2",
         "000100"
         "00040008c0000201c0000202"},
        {DNS_TYPE_SVCB, "1 . dohpath=/q{?dns}",
         "000100"
         "000700082f717b3f646e737d"},
    };
    struct rdata r;
    char why[RDATA_WHY_BYTES], hex[2 * RDATA_BYTES + 1];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rdata_parse(&r, rows[i].type, rows[i].text, why))
            fail_msg("%s: %s", rows[i].text, why);
        assert_string_equal(hex_of(&r, hex), rows[i].hex);
    }
}

static void what_is_refused(void **state)
{
    static const struct {
        uint16_t type;
        const char *text, *why;
    } rows[] = {
        {DNS_TYPE_A, "", "not an IPv4 address"},
        {DNS_TYPE_A, "::1", "not an IPv4 address: ::1"},
        {DNS_TYPE_A, "192.0.2.1 192.0.2.2", "something follows that does not belong there: 192.0.2.2"},
        {DNS_TYPE_AAAA, "192.0.2.1", "not an IPv6 address: 192.0.2.1"},
        {DNS_TYPE_NS, "", "the name \"\" is empty"},
        {DNS_TYPE_NS, "@", "the name \"@\" is not a name"},
        {DNS_TYPE_CNAME, "a\\", "the name \"a\\\" has a broken escape"},
        {DNS_TYPE_CNAME, "a\\256", "the name \"a\\256\" has a broken escape"},
        {DNS_TYPE_CNAME, "a\\12", "the name \"a\\12\" has a broken escape"},
        {DNS_TYPE_MX, "mail.test", "not a preference from 0 to 65535: mail.test"},
        {DNS_TYPE_MX, "65536 mail.test", "not a preference from 0 to 65535: 65536"},
        {DNS_TYPE_MX, "10", "the name \"\" is empty"},
        {DNS_TYPE_SRV, "1 2 70000 x", "not a port: 70000"},
        {DNS_TYPE_SRV, "1 -2 3 x", "not a weight from 0 to 65535: -2"},
        {DNS_TYPE_CAA, "256 issue x", "not flags from 0 to 255: 256"},
        {DNS_TYPE_CAA, "0 Issue! x", "not a tag like issue, issuewild or iodef: Issue!"},
        {DNS_TYPE_CAA, "0 issue \"x", "a quote is not closed"},
        {DNS_TYPE_HTTPS, "1 . alpn", "the parameter needs a value: alpn"},
        {DNS_TYPE_HTTPS, "1 . alpn=", "not a value for this parameter"},
        {DNS_TYPE_HTTPS, "1 . alpn=h2,,h3", "not a value for this parameter"},
        {DNS_TYPE_HTTPS, "1 . no-default-alpn", "no-default-alpn has no use without alpn"},
        {DNS_TYPE_HTTPS, "1 . no-default-alpn=1", "the parameter takes no value: no-default-alpn"},
        {DNS_TYPE_HTTPS, "1 . port=1,2", "not a value for this parameter: 2"},
        {DNS_TYPE_HTTPS, "1 . port=70000", "not a value for this parameter: 70000"},
        {DNS_TYPE_HTTPS, "1 . port=1 port=1", "a parameter is given twice"},
        {DNS_TYPE_HTTPS, "1 . mandatory=port", "a mandatory parameter is missing"},
        {DNS_TYPE_HTTPS, "1 . mandatory=mandatory", "not a value for this parameter: mandatory"},
        {DNS_TYPE_HTTPS, "1 . mandatory=port,alpn alpn=h2 port=1", "not a value for this parameter: alpn"},
        {DNS_TYPE_HTTPS, "1 . colour=red", "not a parameter like alpn, port, ipv4hint or ipv6hint: colour"},
        {DNS_TYPE_HTTPS, "0 example.net alpn=h2", "an alias (priority 0) has no parameters"},
        {DNS_TYPE_OPT, "x", "records of this type are not served"},
    };
    struct rdata r;
    char why[RDATA_WHY_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(rdata_parse(&r, rows[i].type, rows[i].text, why));
        assert_string_equal(why, rows[i].why);
    }
}

/* A long text is cut into strings of 255; one that is too long is not taken. */
static void long_texts(void **state)
{
    struct rdata r;
    char why[RDATA_WHY_BYTES], text[RDATA_BYTES + 1];
    (void)state;
    memset(text, 'x', sizeof text);
    text[300] = '\0';
    assert_true(rdata_parse(&r, DNS_TYPE_TXT, text, why));
    assert_int_equal(r.len, 302);
    assert_int_equal(r.data[0], 255);
    assert_int_equal(r.data[256], 45);
    text[300] = 'x';
    text[16 * 255] = '\0'; /* with 16 lengths all there is room for */
    assert_true(rdata_parse(&r, DNS_TYPE_TXT, text, why));
    assert_int_equal(r.len, RDATA_BYTES);
    text[16 * 255] = 'x';
    text[16 * 255 + 1] = '\0';
    assert_false(rdata_parse(&r, DNS_TYPE_TXT, text, why));
    assert_string_equal(why, "the text is too long");
    assert_false(rdata_parse(&r, DNS_TYPE_CNAME, text, why));
    assert_string_equal(why, "a word is too long");
}

static void mailboxes(void **state)
{
    static const struct {
        const char *rname, *text;
    } rows[] = {{"hostmaster@zone.test", "hostmaster.zone.test."},
                {"first.last@zone.test", "first\\.last.zone.test."},
                {"hostmaster.zone.test", "hostmaster.zone.test."}};
    char why[RDATA_WHY_BYTES], text[DNS_NAME_TEXT_BYTES];
    struct rdata r;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct rdata_soa soa = {.mname = ".", .rname = rows[i].rname, .serial = 1, .minimum_s = 5};
        assert_true(rdata_soa(&r, &soa, why));
        assert_string_equal(dns_name_text(r.data + 1, text), rows[i].text);
        assert_int_equal(r.data[r.len - 1], 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(mailboxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
