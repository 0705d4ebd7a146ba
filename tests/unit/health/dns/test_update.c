/* Updates as they go out, and what is made of what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "health/dns/update.h"
#include "tests/unit/health/dns/update_text.h"

#define NOW_S UINT64_C(1700000000)

static const uint8_t us[][4] = {{192, 0, 2, 10}, {192, 0, 2, 11}};
static const uint8_t us6[][16] = {{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

struct world {
    struct tsig_key key;
    struct dns_name zone, www, apex, other;
    struct update update;
    struct tsig_mac mac;
    uint8_t data[DNS_MESSAGE_BYTES];
    struct update_text text;
};

static struct world *world(void)
{
    static struct world w;
    assert_null(tsig_key_of(&w.key, "push.example.com", TSIG_HMAC_SHA256, "c2VjcmV0"));
    assert_null(dns_name_of(&w.zone, "example.com"));
    assert_null(dns_name_of(&w.www, "www.example.com"));
    assert_null(dns_name_of(&w.other, "static.example.net"));
    w.apex = w.zone;
    update_begin(&w.update, w.data, sizeof w.data, 0x4a17, &w.zone);
    return &w;
}

static const char *end(struct world *w)
{
    const size_t len = update_end(&w->update, &w->key, NOW_S, &w->mac);
    return update_tell(&w->text, w->data, len);
}

static void test_a_name_gets_addresses(void **state)
{
    struct world *w = world();
    (void)state;
    assert_true(update_add(
        &w->update,
        &(struct update_set){.name = &w->www, .ttl_s = 30, .a = us, .a_count = 2, .aaaa = us6, .aaaa_count = 1}));
    assert_string_equal(end(w), "zone example.com.\n"
                                "delete www.example.com. CNAME\n"
                                "delete www.example.com. A\n"
                                "delete www.example.com. AAAA\n"
                                "add www.example.com. 30 A 192.0.2.10\n"
                                "add www.example.com. 30 A 192.0.2.11\n"
                                "add www.example.com. 30 AAAA 2001:db8::1\n"
                                "signed push.example.com.\n");
}

/* All that a name may have goes before anything comes: a CNAME is skipped where addresses stand, and they where it
 * does (RFC 2136 section 3.4.2.2). */
static void test_names_in_one_message(void **state)
{
    struct world *w = world();
    (void)state;
    assert_true(update_add(&w->update, &(struct update_set){.name = &w->www, .ttl_s = 5, .cname = &w->other}));
    assert_true(update_add(&w->update, &(struct update_set){.name = &w->apex, .ttl_s = 6, .a = us, .a_count = 1}));
    assert_string_equal(end(w), "zone example.com.\n"
                                "delete www.example.com. CNAME\n"
                                "delete www.example.com. A\n"
                                "delete www.example.com. AAAA\n"
                                "add www.example.com. 5 CNAME static.example.net.\n"
                                "delete example.com. CNAME\n"
                                "delete example.com. A\n"
                                "delete example.com. AAAA\n"
                                "add example.com. 6 A 192.0.2.10\n"
                                "signed push.example.com.\n");
}

/* What stands beside a CNAME would make a server skip it: rather nothing is changed then. */
static void test_room_for_a_cname_is_required(void **state)
{
    struct world *w = world();
    (void)state;
    update_require_room(&w->update, &w->www);
    assert_true(update_add(&w->update, &(struct update_set){.name = &w->www, .ttl_s = 5, .cname = &w->other}));
    assert_string_equal(end(w), "zone example.com.\n"
                                "no www.example.com. TXT\n"
                                "no www.example.com. MX\n"
                                "no www.example.com. CAA\n"
                                "no www.example.com. SRV\n"
                                "no www.example.com. NS\n"
                                "no www.example.com. SVCB\n"
                                "no www.example.com. HTTPS\n"
                                "delete www.example.com. CNAME\n"
                                "delete www.example.com. A\n"
                                "delete www.example.com. AAAA\n"
                                "add www.example.com. 5 CNAME static.example.net.\n"
                                "signed push.example.com.\n");
}

/* A set is in the message whole or not at all. */
static void test_what_does_not_fit_is_left_out(void **state)
{
    struct world *w = world();
    const size_t cap_bytes = DNS_UDP_BYTES + TSIG_RECORD_BYTES + 1;
    const struct update_set set = {.name = &w->www, .ttl_s = 30, .a = us, .a_count = 2};
    unsigned added = 0, told = 0;
    (void)state;
    update_begin(&w->update, w->data, cap_bytes, 1, &w->zone);
    while (update_add(&w->update, &set))
        added++;
    assert_false(update_add(&w->update, &set));
    const size_t len = update_end(&w->update, &w->key, NOW_S, &w->mac);
    assert_true(len <= cap_bytes);
    const char *at = update_tell(&w->text, w->data, len);
    while ((at = strstr(at, "add www.example.com. 30 A 192.0.2.11")) != NULL) {
        told++;
        at++;
    }
    assert_true(added > 0);
    assert_int_equal(told, added);
}

/* ---- what comes back ---- */

/* The answer to w's message: its header and zone, `flags`, and no signature. */
static size_t make_answer(struct world *w, unsigned flags, uint8_t out[64])
{
    assert_true(update_add(&w->update, &(struct update_set){.name = &w->www, .ttl_s = 5, .cname = &w->other}));
    (void)end(w);
    memcpy(out, w->data, 12 + 17);
    wire_put_u16(out + 2, (uint16_t)flags);
    memset(out + 6, 0, 6);
    return 12 + 17;
}

static void assert_why(const struct update_answer *a, const char *expected)
{
    char why[UPDATE_WHY_BYTES];
    assert_false(a->is_done);
    assert_string_equal(update_why(a, NOW_S, why), expected);
}

/* Nobody is believed to have done it who has not signed for it; whoever refuses need not sign to be understood. */
static void test_unsigned_answers(void **state)
{
    static const struct {
        unsigned flags;
        const char *why;
    } rows[] = {
        {0xa800, "the answer is not signed"},
        {0xa801, "the server does not understand updates of this kind (FORMERR)"},
        {0xa804, "the server takes no updates (NOTIMP)"},
        {0xa805, "the server does not allow this key to change these names (REFUSED)"},
        {0xa809, "the server is not the primary of this zone, or knows no such key (NOTAUTH)"},
        {0xa80a, "a name is not in the server's zone (NOTZONE)"},
        {0xa80f, "the server answered with code 15"},
        {0x2800, "the answer belongs to another request"}, /* a request */
        {0x8005, "the answer belongs to another request"}, /* to a query */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *w = world();
        uint8_t answer[64];
        const size_t len = make_answer(w, rows[i].flags, answer);
        const struct update_answer a = update_read(answer, len, 0x4a17, &w->key, &w->mac, NOW_S);
        assert_why(&a, rows[i].why);
    }
}

static void test_an_answer_to_another_id(void **state)
{
    struct world *w = world();
    uint8_t answer[64];
    const size_t len = make_answer(w, 0xa805, answer);
    (void)state;
    const struct update_answer a = update_read(answer, len, 0x4a18, &w->key, &w->mac, NOW_S);
    assert_why(&a, "the answer belongs to another request");
}

static void test_no_answer_at_all(void **state)
{
    struct world *w = world();
    (void)state;
    const struct update_answer a = update_read((const uint8_t *)"+PONG\r\n", 7, 0x4a17, &w->key, &w->mac, NOW_S);
    assert_why(&a, "the answer is no DNS message");
}

/* Signed with the same key over its own request, as a request is, is not signed as its answer. */
static void test_an_answer_signed_without_its_request(void **state)
{
    struct world *w = world();
    uint8_t answer[64 + TSIG_RECORD_BYTES];
    struct tsig_mac unused;
    size_t len = make_answer(w, 0xa800, answer);
    (void)state;
    len = tsig_sign(answer, len, &w->key, NOW_S, &unused);
    const struct update_answer a = update_read(answer, len, 0x4a17, &w->key, &w->mac, NOW_S);
    assert_why(&a, "the answer's signature does not fit: somebody else's, or another secret");
}

static void test_words_for_what_the_server_says_of_us(void **state)
{
    const struct update_answer badsig = {.rcode = 9, .tsig.verdict = TSIG_SAYS_BADSIG},
                               badkey = {.rcode = 9, .tsig.verdict = TSIG_SAYS_BADKEY},
                               badtime = {
                                   .rcode = 9, .tsig.verdict = TSIG_SAYS_BADTIME, .tsig.time_s = (int64_t)NOW_S - 600};
    (void)state;
    assert_why(&badsig, "our signature does not fit there: another secret for this key (BADSIG)");
    assert_why(&badkey, "the key or its algorithm is not known there (BADKEY)");
    assert_why(&badtime, "our clock and the server's are too far apart (BADTIME): its clock is -600 s ahead of ours");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_gets_addresses),
        cmocka_unit_test(test_names_in_one_message),
        cmocka_unit_test(test_room_for_a_cname_is_required),
        cmocka_unit_test(test_what_does_not_fit_is_left_out),
        cmocka_unit_test(test_unsigned_answers),
        cmocka_unit_test(test_an_answer_to_another_id),
        cmocka_unit_test(test_no_answer_at_all),
        cmocka_unit_test(test_an_answer_signed_without_its_request),
        cmocka_unit_test(test_words_for_what_the_server_says_of_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
