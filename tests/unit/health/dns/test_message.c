/* What surrounds an answer: headers, EDNS, NSID, cookies, sizes; and packets that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/health/dns/fixture.h"

#define WWW "an www.zone.test. 300 AAAA 2001:db8::80"

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    mem_free(*state);
    return 0;
}

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t len = 0;
    unsigned byte;
    for (; *hex != '\0'; hex += *hex == ' ' ? 1 : 2) {
        if (*hex != ' ' && sscanf(hex, "%2x", &byte) == 1)
            out[len++] = (uint8_t)byte;
    }
    return len;
}

static const char *ask_with(struct fixture *f, const char *type, unsigned payload, unsigned version, bool is_do,
                            const char *options)
{
    uint8_t data[512];
    const size_t len = unhex(options, data);
    packet_query(&f->query, "www.zone.test", dns_type_of(type));
    packet_opt(&f->query, payload, version, is_do, data, len);
    return fixture_send(f);
}

/* ---- header ---- */
static void flags_that_come_back(void **state)
{
    static const struct {
        unsigned flags;
        const char *answer;
    } sent[] = {
        {0x0000, "NOERROR aa | " WWW},
        {0x0100, "NOERROR aa rd | " WWW}, /* recursion is wanted, and not available */
        {0x0010, "NOERROR aa | " WWW},    /* CD means nothing here */
        {0x0020, "NOERROR aa | " WWW},    /* nor AD */
        {0x0400, "NOERROR aa | " WWW},
        {0x000f, "NOERROR aa | " WWW},
        {0x8000, "(none)"}, /* an answer is not answered: two servers would talk for ever */
        {0x8005, "(none)"},
        {0x0800, "NOTIMP"}, /* inverse query, */
        {0x1000, "NOTIMP"}, /* status, */
        {0x2000, "NOTIMP"}, /* notify, */
        {0x2800, "NOTIMP"}, /* update: not here */
        {0x7900, "NOTIMP rd"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        packet_query(&f->query, "www.zone.test", DNS_TYPE_AAAA);
        f->query.data[2] = (uint8_t)(sent[i].flags >> 8);
        f->query.data[3] = (uint8_t)sent[i].flags;
        assert_string_equal(fixture_send(f), sent[i].answer);
        if (f->len > 0)
            assert_int_equal(f->answer[2] & 0x78, sent[i].flags >> 8 & 0x78);
    }
}

/* ---- packets that are no good ---- */
static void malformed(void **state)
{
    static const struct {
        const char *what, *hex, *answer;
    } sent[] = {
        {"nothing", "", "(none)"},
        {"a header cut short", "4a17 0000 0001 0000 0000", "(none)"},
        {"a header alone", "4a17 0000 0000 0000 0000 0000", "FORMERR"},
        {"a question that is not there", "4a17 0000 0001 0000 0000 0000", "FORMERR"},
        {"a label that runs out", "4a17 0000 0001 0000 0000 0000 3f 7a6f", "FORMERR"},
        {"a name without end", "4a17 0000 0001 0000 0000 0000 047a6f6e65", "FORMERR"},
        {"a label of a kind nobody uses", "4a17 0000 0001 0000 0000 0000 41 00 0001 0001", "FORMERR"},
        {"a pointer to itself", "4a17 0000 0001 0000 0000 0000 c00c 0001 0001", "FORMERR"},
        {"a pointer ahead", "4a17 0000 0001 0000 0000 0000 c012 0001 0001 00", "FORMERR"},
        {"a pointer into the header", "4a17 0000 0001 0000 0000 0000 c002 0001 0001", "FORMERR"},
        {"a name and a pointer to it", "4a17 0000 0001 0000 0000 0000 0161 c00c 0001 0001", "FORMERR"},
        {"no class", "4a17 0000 0001 0000 0000 0000 047a6f6e65 0474657374 00 0001", "FORMERR"},
        {"two questions", "4a17 0000 0002 0000 0000 0000 00 0001 0001 00 0001 0001", "FORMERR"},
        {"something behind it", "4a17 0000 0001 0000 0000 0000 047a6f6e65 0474657374 00 0010 0001 00", "FORMERR"},
        {"a record that is promised", "4a17 0000 0001 0000 0000 0001 047a6f6e65 0474657374 00 0010 0001", "FORMERR"},
        {"records without end", "4a17 0000 0001 ffff ffff ffff 047a6f6e65 0474657374 00 0010 0001", "FORMERR"},
        {"data that runs out",
         "4a17 0000 0001 0000 0000 0001 047a6f6e65 0474657374 00 0010 0001 00 0001 0001 00000000 00ff 00", "FORMERR"},
        /* Records that mean nothing in a query do no harm: IXFR brings a SOA, TSIG a signature. */
        {"a record in the answer section",
         "4a17 0000 0001 0001 0000 0000 047a6f6e65 0474657374 00 0010 0001 c00c 0001 0001 00000000 0004 c0000201",
         "NOERROR aa | an zone.test. 3600 TXT \"v=spf1 -all\""},
        {"an OPT with a name",
         "4a17 0000 0001 0000 0000 0001 047a6f6e65 0474657374 00 0010 0001 0161 00 0029 04d0 00000000 0000", "FORMERR"},
        {"an OPT in the answer section",
         "4a17 0000 0001 0001 0000 0000 047a6f6e65 0474657374 00 0010 0001 00 0029 04d0 00000000 0000", "FORMERR"},
        {"two OPT",
         "4a17 0000 0001 0000 0000 0002 047a6f6e65 0474657374 00 0010 0001 00 0029 04d0 00000000 0000"
         "00 0029 04d0 00000000 0000",
         "FORMERR | opt 1232"},
        {"an option that runs out",
         "4a17 0000 0001 0000 0000 0001 047a6f6e65 0474657374 00 0010 0001 00 0029 04d0 00000000 0006 0003 0003 6162",
         "FORMERR | opt 1232"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        f->query.len = unhex(sent[i].hex, f->query.data);
        const char *answer = fixture_send(f);
        if (strcmp(answer, sent[i].answer) != 0)
            fail_msg("%s: is answered %s\n  and not %s", sent[i].what, answer, sent[i].answer);
    }
}

/* Every query cut at every byte, and with every byte turned around, has an answer that can be read. */
static void mutilated(void **state)
{
    struct fixture *f = *state;
    (void)ask_with(f, "A", 4096, 0, true, "0003 0000 000a 0008 2464c4abcf10c957");
    const struct packet whole = f->query;
    for (size_t cut = 0; cut < whole.len; cut++) {
        f->query.len = cut;
        const char *answer = fixture_send(f);
        assert_true(strncmp(answer, cut < 12 ? "(none)" : "FORMERR", 6) == 0);
    }
    for (size_t at = 2; at < whole.len; at++) {
        f->query = whole;
        f->query.data[at] ^= 0xff;
        assert_int_not_equal(strncmp(fixture_send(f), "BROKEN", 6), 0);
    }
}

/* ---- EDNS ---- */
static void edns(void **state)
{
    struct fixture *f = *state;
    static const struct {
        unsigned payload, version;
        bool is_do;
        const char *options, *answer;
    } sent[] = {
        {4096, 0, false, "", "NOERROR aa | " WWW " | opt 1232"},
        {4096, 0, true, "", "NOERROR aa | " WWW " | opt 1232 do"},
        {0, 0, false, "", "NOERROR aa | " WWW " | opt 1232"},
        {4096, 1, false, "", "EXTENDED | opt 1232 rcode=16"},
        {4096, 255, true, "0003", "EXTENDED | opt 1232 rcode=16 do"},
        /* Client subnet, padding and one nobody has heard of. */
        {1232, 0, false, "0008 0007 0001 18 00 c63364 000c 0002 0000 fde9 0001 aa", "NOERROR aa | " WWW " | opt 1232"},
        {1232, 0, false, "0003 0000", "NOERROR aa | " WWW " | opt 1232 nsid=fra-1"},
        {1232, 0, false, "000a 0008 2464c4abcf10c957", "NOERROR aa | " WWW " | opt 1232"}, /* no cookies here */
    };
    f->service.nsid_len = 5;
    memcpy(f->service.nsid, "fra-1", 5);
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        const char *answer = ask_with(f, "AAAA", sent[i].payload, sent[i].version, sent[i].is_do, sent[i].options);
        /* EXTENDED is BADVERS here: the low half of its code is NOERROR's. */
        if (strncmp(sent[i].answer, "EXTENDED", 8) == 0)
            assert_string_equal(strchr(answer, ' '), strchr(sent[i].answer, ' '));
        else
            assert_string_equal(answer, sent[i].answer);
    }
    assert_int_equal(f->outcome.opt_len, 11);
    f->service.nsid_len = 0;
    assert_string_equal(ask_with(f, "AAAA", 1232, 0, false, "0003 0000"), "NOERROR aa | " WWW " | opt 1232");
    /* Errors have an OPT too. */
    packet_query(&f->query, "example.net", DNS_TYPE_A);
    packet_opt(&f->query, 1232, 0, false, NULL, 0);
    assert_string_equal(fixture_send(f), "REFUSED | opt 1232");
}

/* ---- cookies: the exchange of RFC 9018 appendix A.1, then with a bad one ---- */
#define CLIENT "2464c4abcf10c957"
#define SERVER "010000005cf79f111f8130c3eee29480"
static void cookies(void **state)
{
    struct fixture *f = *state;
    struct cookie_secrets secrets;
    uint8_t secret[16];

    (void)unhex("e5e973e5a6b2a43f48e7dc849e37bfcf", secret);
    cookie_secrets_init(&secrets, secret);
    f->service.cookies = &secrets;
    assert_string_equal(ask_with(f, "AAAA", 4096, 0, false, ""), "NOERROR aa | " WWW " | opt 1232");
    assert_int_equal(f->outcome.cookie, COOKIE_NONE);
    assert_string_equal(ask_with(f, "AAAA", 4096, 0, false, "000a 0008" CLIENT),
                        "NOERROR aa | " WWW " | opt 1232 cookie=" CLIENT SERVER);
    assert_int_equal(f->outcome.cookie, COOKIE_CLIENT);
    assert_string_equal(ask_with(f, "AAAA", 4096, 0, false, "000a 0018" CLIENT SERVER),
                        "NOERROR aa | " WWW " | opt 1232 cookie=" CLIENT SERVER);
    assert_int_equal(f->outcome.cookie, COOKIE_GOOD);
    /* Not required: a bad one is a client's alone. The first of two counts. */
    assert_string_equal(ask_with(f, "AAAA", 4096, 0, false, "000a 0018" CLIENT "010000005cf79f111f8130c3eee29481"),
                        "NOERROR aa | " WWW " | opt 1232 cookie=" CLIENT SERVER);
    assert_int_equal(f->outcome.cookie, COOKIE_BAD);
    assert_string_equal(ask_with(f, "AAAA", 4096, 0, false, "000a 0018" CLIENT SERVER "000a 0008 0000000000000000"),
                        "NOERROR aa | " WWW " | opt 1232 cookie=" CLIENT SERVER);
    assert_string_equal(ask_with(f, "AAAA", 4096, 0, false, "000a 0009" CLIENT "01"), "FORMERR | opt 1232");
    /* A question is not needed to learn one, but two are too many. */
    f->query.len = unhex("4a17 0000 0002 0000 0000 0001 00 0029 04d0 00000000 000c 000a 0008" CLIENT, f->query.data);
    assert_string_equal(fixture_send(f), "FORMERR");
    f->query.len = unhex("4a17 0000 0000 0000 0000 0001 00 0029 04d0 00000000 000c 000a 0008" CLIENT, f->query.data);
    assert_string_equal(fixture_send(f), "NOERROR | opt 1232 cookie=" CLIENT SERVER);
}

static void cookies_required(void **state)
{
    struct fixture *f = *state;
    struct cookie_secrets secrets;
    uint8_t secret[16];

    (void)unhex("e5e973e5a6b2a43f48e7dc849e37bfcf", secret);
    cookie_secrets_init(&secrets, secret);
    f->service.cookies = &secrets;
    f->service.is_cookie_required = true;
    /* 23 is BADCOOKIE: come back with this one. */
    static const char badcookie[] = " | opt 1232 rcode=23 cookie=" CLIENT SERVER;
    assert_non_null(strstr(ask_with(f, "AAAA", 4096, 0, false, "000a 0008" CLIENT), badcookie));
    assert_null(strstr(f->text, " an "));
    assert_int_equal(f->outcome.rcode, DNS_RCODE_BADCOOKIE);
    assert_non_null(
        strstr(ask_with(f, "AAAA", 4096, 0, false, "000a 0018" CLIENT "010000005cf79f110000000000000000"), badcookie));
    assert_string_equal(ask_with(f, "AAAA", 4096, 0, false, "000a 0018" CLIENT SERVER),
                        "NOERROR aa | " WWW " | opt 1232 cookie=" CLIENT SERVER);
    /* Who does not speak cookies cannot be asked for one, and TCP has shown its address. */
    assert_string_equal(fixture_ask(f, "www.zone.test", "AAAA"), "NOERROR aa | " WWW);
    f->info.is_tcp = true;
    assert_string_equal(ask_with(f, "AAAA", 4096, 0, false, "000a 0008" CLIENT),
                        "NOERROR aa | " WWW " | opt 1232 cookie=" CLIENT SERVER);
}

/* ---- sizes ---- */
/* A zone with names whose answers are large: `big` has 40 addresses (640 bytes), `huge` 100 (1,600), `led` leads to
 * huge, `srv` has 8 targets with 12 addresses each. Delegated are `cut` to 8 names below it, `own` to itself (640 bytes
 * of addresses), `other` to huge. */
static void fill(struct fixture *f)
{
    static const struct zone_soa soa = {.mname = "ns.zone.test", .rname = "h.zone.test", .ttl_s = 60, .minimum_s = 60};
    struct zone_draft *d = zone_begin("zone.test", &soa);
    char text[64], owner[16], why[ZONE_WHY_BYTES];

    assert_true(zone_add(d, "@", DNS_TYPE_NS, 60, "ns.zone.test"));
    for (unsigned i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "192.0.2.%u", i);
        assert_true(zone_add(d, "huge", DNS_TYPE_A, 60, text));
        assert_true(i >= 40 || zone_add(d, "big", DNS_TYPE_A, 60, text));
        assert_true(i >= 40 || zone_add(d, "own", DNS_TYPE_A, 60, text));
        snprintf(owner, sizeof owner, "t%u", i % 8);
        assert_true(i >= 96 || zone_add(d, owner, DNS_TYPE_A, 60, text));
    }
    for (unsigned i = 0; i < 8; i++) {
        snprintf(text, sizeof text, "0 0 1 t%u.zone.test", i);
        assert_true(zone_add(d, "srv", DNS_TYPE_SRV, 60, text));
        snprintf(text, sizeof text, "t%u.cut.zone.test", i);
        assert_true(zone_add(d, "cut", DNS_TYPE_NS, 60, text));
        for (unsigned k = 0; k < 12; k++) {
            snprintf(text, sizeof text, "192.0.2.%u", k);
            snprintf(owner, sizeof owner, "t%u.cut", i);
            assert_true(zone_add(d, owner, DNS_TYPE_A, 60, text));
        }
    }
    assert_true(zone_add(d, "own", DNS_TYPE_NS, 60, "own.zone.test"));
    assert_true(zone_add(d, "other", DNS_TYPE_NS, 60, "huge.zone.test"));
    assert_true(zone_add(d, "led", DNS_TYPE_CNAME, 60, "huge.zone.test"));
    zone_destroy(&f->zone);
    f->zone = zone_finish(&d, why);
    assert_non_null(f->zone);
    f->service.zone = f->zone;
}

static unsigned count_of(const struct fixture *f, unsigned section)
{
    return (unsigned)f->answer[6 + 2 * section] << 8 | f->answer[7 + 2 * section];
}

static void what_does_not_fit(void **state)
{
    static const struct {
        const char *name, *type;
        unsigned payload; /* 0: no EDNS; 1: TCP */
        bool is_truncated;
        unsigned answers, additionals;
        size_t len_max;
    } asked[] = {
        {"big.zone.test", "A", 0, true, 0, 0, 512},
        {"big.zone.test", "A", 512, true, 0, 1, 512},
        {"big.zone.test", "A", 100, true, 0, 1, 512}, /* less than 512 is 512 */
        {"big.zone.test", "A", 700, false, 40, 1, 700},
        {"big.zone.test", "A", 65535, false, 40, 1, 1232},
        {"huge.zone.test", "A", 4096, true, 0, 1, 1232},
        {"huge.zone.test", "A", 1, false, 100, 0, 65535},
        /* The RRset that fits stays: the client knows where to go on. */
        {"led.zone.test", "A", 4096, true, 1, 1, 1232},
        {"led.zone.test", "A", 1, false, 101, 0, 65535},
        /* Addresses that are a courtesy are left out by whole RRsets, and nobody needs to be told. */
        {"srv.zone.test", "SRV", 0, false, 8, 12, 512},
        {"srv.zone.test", "SRV", 1, false, 8, 96, 65535},
        /* Glue is needed: without all of it the referral is not whole. */
        {"cut.zone.test", "A", 0, true, 0, 12, 512},
        {"cut.zone.test", "A", 1, false, 0, 96, 65535},
        {"own.zone.test", "A", 0, true, 0, 0, 512},
        {"own.zone.test", "A", 4096, false, 0, 41, 1232},
        /* The address of a nameserver elsewhere is a courtesy again. */
        {"other.zone.test", "A", 0, false, 0, 0, 512},
        {"other.zone.test", "A", 1, false, 0, 100, 65535},
    };
    struct fixture *f = *state;
    fill(f);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        packet_query(&f->query, asked[i].name, dns_type_of(asked[i].type));
        if (asked[i].payload > 1)
            packet_opt(&f->query, asked[i].payload, 0, false, NULL, 0);
        f->info.is_tcp = asked[i].payload == 1;
        const char *answer = fixture_send(f);
        assert_int_not_equal(strncmp(answer, "BROKEN", 6), 0);
        if (f->len > asked[i].len_max || f->outcome.is_truncated != asked[i].is_truncated ||
            (strstr(answer, " tc") != NULL) != asked[i].is_truncated || count_of(f, 0) != asked[i].answers ||
            count_of(f, 2) < asked[i].additionals || (asked[i].additionals == 1 && count_of(f, 2) != 1))
            fail_msg("%s %s in %u: %zu bytes, %u answers, %u additionals: %.200s", asked[i].name, asked[i].type,
                     asked[i].payload, f->len, count_of(f, 0), count_of(f, 2), answer);
        if (asked[i].additionals > 0 && asked[i].additionals % 12 == 0)
            assert_int_equal(count_of(f, 2) % 12, 0);
    }
}

/* Whatever room there is, an answer is readable and not larger: every size from the least to the whole. */
static void every_size(void **state)
{
    static const char *const names[] = {"srv.zone.test", "cut.zone.test", "led.zone.test"};
    struct fixture *f = *state;
    const char *wrong;

    fill(f);
    f->info.is_tcp = true;
    for (size_t i = 0; i < 3; i++) {
        packet_query(&f->query, names[i], i == 0 ? DNS_TYPE_SRV : DNS_TYPE_A);
        packet_opt(&f->query, 1232, 0, true, NULL, 0);
        for (size_t room = DNS_UDP_BYTES; room < 2100; room++) {
            size_t len = fixture_answer(f, f->query.data, f->query.len, f->answer, room, &f->outcome);
            assert_in_range(len, 12, room);
            (void)packet_tell(f->answer, len, f->text, &wrong);
            assert_null(wrong);
        }
    }
}

static void a_slip_says_come_by_tcp(void **state)
{
    struct fixture *f = *state;
    const char *wrong;

    (void)ask_with(f, "A", 1232, 0, true, "");
    size_t len = dns_answer_slip(f->answer, f->len, &f->outcome);
    assert_string_equal(packet_tell(f->answer, len, f->text, &wrong), "NOERROR aa tc | opt 1232 do");
    assert_null(wrong);
    (void)fixture_ask(f, "www.zone.test", "A");
    len = dns_answer_slip(f->answer, f->len, &f->outcome);
    assert_string_equal(packet_tell(f->answer, len, f->text, &wrong), "NOERROR aa tc");
    assert_null(wrong);
    assert_int_equal(len, f->query.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(flags_that_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(mutilated, setup, teardown),
        cmocka_unit_test_setup_teardown(edns, setup, teardown),
        cmocka_unit_test_setup_teardown(cookies, setup, teardown),
        cmocka_unit_test_setup_teardown(cookies_required, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(every_size, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slip_says_come_by_tcp, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
