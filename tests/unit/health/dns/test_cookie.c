/* DNS cookies: the vectors of RFC 9018 appendix A, the window of time, the roll of a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "health/dns/cookie.h"

#define SECRET     "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define SECRET_OLD "dd3bdf9344b678b185a6f5cb60fca715"
#define SECRET_NEW "445536bcd2513298075a5d379663c962"

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t len = 0;
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        out[len++] = (uint8_t)byte;
    return len;
}

static enum cookie_verdict judge(const struct cookie_secrets *s, const char *option, const char *address,
                                 uint32_t now_s, char answer[2 * COOKIE_BYTES + 1])
{
    uint8_t data[64], made[COOKIE_BYTES] = {0}, raw[16];
    const bool is_v6 = strchr(address, ':') != NULL;
    assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, address, raw), 1);
    const enum cookie_verdict v = cookie_judge(s, data, unhex(option, data), raw, is_v6 ? 16 : 4, now_s, made);
    for (size_t i = 0; i < sizeof made; i++)
        snprintf(answer + 2 * i, 3, "%02x", made[i]);
    return v;
}

static void secrets_of(struct cookie_secrets *s, const char *active, const char *other)
{
    uint8_t secret[COOKIE_SECRET_BYTES];
    (void)unhex(active, secret);
    cookie_secrets_init(s, secret);
    if (other != NULL) {
        (void)unhex(other, secret);
        cookie_secrets_accept(s, secret);
    }
}

static void appendix_a(void **state)
{
    static const struct {
        const char *secret, *other, *address, *option;
        uint32_t now_s;
        enum cookie_verdict verdict;
        const char *answer;
    } rows[] = {
        {SECRET, NULL, "198.51.100.100", "2464c4abcf10c957", 1559731985, COOKIE_CLIENT,
         "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
        {SECRET, NULL, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385, COOKIE_GOOD,
         "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
        /* Reserved bytes are hashed, and not repeated. It is older than an hour where the appendix has it accepted. */
        {SECRET, NULL, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985, COOKIE_GOOD,
         NULL},
        {SECRET, NULL, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559734700, COOKIE_BAD,
         "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
        {SECRET_NEW, SECRET_OLD, "2001:db8:220:1:59de:d0f4:8769:82b8",
         "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, COOKIE_GOOD,
         "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
    };
    struct cookie_secrets s;
    char answer[2 * COOKIE_BYTES + 1];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        secrets_of(&s, rows[i].secret, rows[i].other);
        assert_int_equal(judge(&s, rows[i].option, rows[i].address, rows[i].now_s, answer), rows[i].verdict);
        if (rows[i].answer != NULL)
            assert_string_equal(answer, rows[i].answer);
        else
            assert_memory_equal(answer, "fc93fc62807ddb8601000000", 24);
    }
}

#define T0   1559731985u
#define GOOD "2464c4abcf10c957010000005cf79f111f8130c3eee29480" /* of T0 */

static void time_window(void **state)
{
    static const struct {
        uint32_t now_s;
        enum cookie_verdict verdict;
        bool is_kept; /* the client's own comes back */
    } rows[] = {
        {T0, COOKIE_GOOD, true},         {T0 + 1800, COOKIE_GOOD, true},        {T0 + 1801, COOKIE_GOOD, false},
        {T0 + 3600, COOKIE_GOOD, false}, {T0 + 3601, COOKIE_BAD, false},        {T0 - 300, COOKIE_GOOD, true},
        {T0 - 301, COOKIE_BAD, false},   {T0 + 0x80000000u, COOKIE_BAD, false},
    };
    struct cookie_secrets s;
    char answer[2 * COOKIE_BYTES + 1];
    (void)state;
    secrets_of(&s, SECRET, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(judge(&s, GOOD, "198.51.100.100", rows[i].now_s, answer), rows[i].verdict);
        assert_int_equal(strcmp(answer, GOOD) == 0, rows[i].is_kept);
    }
}

static void what_is_not_ours(void **state)
{
    static const struct {
        const char *option, *address;
        enum cookie_verdict verdict;
    } rows[] = {
        {GOOD, "198.51.100.101", COOKIE_BAD},                                               /* another client */
        {"2464c4abcf10c958010000005cf79f111f8130c3eee29480", "198.51.100.100", COOKIE_BAD}, /* another cookie */
        {"2464c4abcf10c957020000005cf79f111f8130c3eee29480", "198.51.100.100", COOKIE_BAD}, /* another version */
        {"2464c4abcf10c957010000005cf79f121f8130c3eee29480", "198.51.100.100", COOKIE_BAD}, /* another time */
        {"2464c4abcf10c957010000005cf79f111f8130c3eee29400", "198.51.100.100", COOKIE_BAD},
        {"2464c4abcf10c9570102030405060708", "198.51.100.100", COOKIE_BAD}, /* of another make, 8 to 32 bytes */
        {"2464c4abcf10c957010203040506070801020304050607080102030405060708"
         "0102030405060708",
         "198.51.100.100", COOKIE_BAD},
        {"2464c4abcf10c957", "198.51.100.100", COOKIE_CLIENT},
        {"", "198.51.100.100", COOKIE_MALFORMED},
        {"2464c4abcf10c9", "198.51.100.100", COOKIE_MALFORMED},
        {"2464c4abcf10c95701", "198.51.100.100", COOKIE_MALFORMED},
        {"2464c4abcf10c95701020304050607", "198.51.100.100", COOKIE_MALFORMED},
        {"2464c4abcf10c957010203040506070801020304050607080102030405060708"
         "010203040506070809",
         "198.51.100.100", COOKIE_MALFORMED},
    };
    struct cookie_secrets s;
    char answer[2 * COOKIE_BYTES + 1];
    (void)state;
    secrets_of(&s, SECRET, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(judge(&s, rows[i].option, rows[i].address, T0, answer), rows[i].verdict);
        if (rows[i].verdict == COOKIE_CLIENT)
            assert_string_equal(answer, GOOD);
    }
}

/* A cookie made before the roll is good until the old secret is dropped, one made after it from the first step on:
 * gateways of one address need not roll at the same instant. */
static void a_secret_is_rolled(void **state)
{
    struct cookie_secrets a, b;
    char of_old[2 * COOKIE_BYTES + 1], of_new[2 * COOKIE_BYTES + 1], answer[2 * COOKIE_BYTES + 1];
    (void)state;
    secrets_of(&a, SECRET, NULL);
    (void)judge(&a, "2464c4abcf10c957", "192.0.2.1", T0, of_old);
    secrets_of(&a, SECRET, SECRET_NEW);
    secrets_of(&b, SECRET, SECRET_NEW);
    (void)judge(&a, "2464c4abcf10c957", "192.0.2.1", T0, answer);
    assert_string_equal(answer, of_old);
    secrets_of(&a, SECRET_NEW, SECRET);
    (void)judge(&a, "2464c4abcf10c957", "192.0.2.1", T0, of_new);
    assert_string_not_equal(of_new, of_old);
    assert_int_equal(judge(&b, of_new, "192.0.2.1", T0, answer), COOKIE_GOOD);
    assert_int_equal(judge(&a, of_old, "192.0.2.1", T0, answer), COOKIE_GOOD);
    assert_string_equal(answer, of_new);
    secrets_of(&a, SECRET_NEW, NULL);
    assert_int_equal(judge(&a, of_old, "192.0.2.1", T0, answer), COOKIE_BAD);
    assert_int_equal(judge(&a, of_new, "192.0.2.1", T0, answer), COOKIE_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appendix_a),
        cmocka_unit_test(time_window),
        cmocka_unit_test(what_is_not_ours),
        cmocka_unit_test(a_secret_is_rolled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
