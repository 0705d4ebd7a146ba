/* Signatures against those of dnspython 2.3, made for the same key, message and time. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "health/dns/tsig.h"

#define NOW_S  UINT64_C(1700000000)
#define SECRET "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="

/* "www.example.com is 192.0.2.10", not signed yet. */
static const char request_hex[] =
    "123428000001000000020000076578616d706c6503636f6d000006000103777777c00c000100ff000000000000c01d000100"
    "010000001e0004c000020a";

static const struct {
    enum conf_tsig algorithm;
    const char *mac;    /* of the request */
    const char *answer; /* NOERROR, signed */
} vectors[] = {
    {TSIG_HMAC_SHA256, "3d7198a9500b93ae33dc70268cf8f74eb0e06e1ce24e006609ebe0b8a1599162",
     "1234a8000001000000000001076578616d706c6503636f6d00000600010450757368c00c00fa00ff00000000003d0b686d61"
     "632d7368613235360000006553f100012c002003993e3aa692693eb14447b4ddfbdc7b195238617f2927c1bcefd7809dfd77"
     "d0123400000000"},
    {TSIG_HMAC_SHA384,
     "48202ae7813779283df53a0146f5e759a652f7c5ac5b5c6f7601b0982e87ebf7302a27e34f57532c30ea1acbaaa3b6f3",
     "1234a8000001000000000001076578616d706c6503636f6d00000600010450757368c00c00fa00ff00000000004d0b686d61"
     "632d7368613338340000006553f100012c003055c6aa723953fcf3d45b5069c48b91b161d6202926e5c13e5a1f17fba02583"
     "fedb5f6f736a74c7bfb8cdd86493084a5b123400000000"},
    {TSIG_HMAC_SHA512,
     "d6b25291f4ae13eccfbf5e83c792f203d4f88381b522cd93c9b510ae04fa1066b92f8dc6e347a6a274aee08c505dc03e2c59"
     "a041ec2972f10212dcbe3620fa21",
     "1234a8000001000000000001076578616d706c6503636f6d00000600010450757368c00c00fa00ff00000000005d0b686d61"
     "632d7368613531320000006553f100012c0040816d5103164cbe9426c538f07be2c4846ca12be80ce45377d8e4c4ddc145eb"
     "d8fb910682ebcff271e26db0e788f8f3a72206168f5db58ce5ede94b1786415f06123400000000"},
};
/* Answers to the request signed with HMAC-SHA256: NOTAUTH with BADTIME and the server's time, REFUSED. */
static const char badtime_hex[] =
    "1234a8090001000000000001076578616d706c6503636f6d00000600010470757368c00c00fa00ff0000000000430b686d61"
    "632d7368613235360000006553f100012c00205205156ba9c1eed24fdfa1f6bd65789d98ac2ee1a0a6ef7409f185744b8309"
    "6d12340012000600006553f4e8";
static const char refused_hex[] =
    "1234a8050001000000000001076578616d706c6503636f6d00000600010470757368c00c00fa00ff00000000003d0b686d61"
    "632d7368613235360000006553f100012c002026e74a22072fef0ebf1f09b1b601b25d865f8012d58734c4feda151f724bb7"
    "f0123400000000";

struct bytes {
    size_t len;
    uint8_t data[2048];
};

static struct bytes unhex(const char *hex)
{
    struct bytes b = {.len = strlen(hex) / 2};
    for (size_t i = 0; i < b.len; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        b.data[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return b;
}

static struct tsig_key key_of(enum conf_tsig algorithm)
{
    struct tsig_key key;
    assert_null(tsig_key_of(&key, "Push.example.com.", algorithm, SECRET));
    return key;
}

static struct tsig_mac request_mac(size_t i)
{
    const struct bytes b = unhex(vectors[i].mac);
    struct tsig_mac mac = {.len = b.len};
    memcpy(mac.bytes, b.data, b.len);
    return mac;
}

/* What is signed is what dnspython signs, and the record can be read by its rules: names in it are not compressed. */
static void test_a_request_is_signed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct tsig_key key = key_of(vectors[i].algorithm);
        const struct tsig_mac expected = request_mac(i);
        struct bytes b = unhex(request_hex);
        const size_t plain_len = b.len;
        struct tsig_mac mac;

        b.len = tsig_sign(b.data, b.len, &key, NOW_S, &mac);
        assert_int_equal(mac.len, expected.len);
        assert_memory_equal(mac.bytes, expected.bytes, mac.len);
        assert_int_equal(b.data[11], 1); /* an additional record */
        assert_memory_equal(b.data + plain_len, "\4push\7example\3com\0\0\372\0\377\0\0\0\0", 27);
        assert_memory_equal(b.data + b.len - 6 - mac.len, mac.bytes, mac.len);
        assert_memory_equal(b.data + b.len - 6, "\x12\x34\0\0\0", 6);
    }
}

static void test_an_answer_is_verified(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct tsig_key key = key_of(vectors[i].algorithm);
        const struct tsig_mac mac = request_mac(i);
        const struct bytes b = unhex(vectors[i].answer);
        const struct tsig_result r = tsig_verify(b.data, b.len, &key, &mac, NOW_S + 299);
        assert_int_equal(r.verdict, TSIG_GOOD);
        assert_int_equal(r.time_s, NOW_S);
        assert_int_equal(r.signed_at, 12 + 17);
    }
}

/* Not one bit of it may change, but for the message's id, which stands in the signature as well, and the case of the
 * letters in the names of key and algorithm. */
static void test_a_changed_answer_is_found_out(void **state)
{
    const struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    const struct tsig_mac mac = request_mac(0);
    struct bytes b = unhex(vectors[0].answer);
    size_t letter_count = 0;
    (void)state;
    for (size_t bit = (size_t)2 * 8; bit < b.len * 8; bit++) {
        const size_t at = bit / 8;
        const bool is_name = (at >= 29 && at < 34) || (at >= 46 && at < 58);
        const bool is_case = is_name && bit % 8 == 5 && isalpha(b.data[at]) != 0;
        b.data[at] ^= (uint8_t)(1u << bit % 8);
        const bool is_good = tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict == TSIG_GOOD;
        b.data[at] ^= (uint8_t)(1u << bit % 8);
        if (is_good != is_case)
            fail_msg("bit %zu", bit);
        letter_count += is_case;
    }
    assert_int_equal(letter_count, strlen("Push") + strlen("hmacsha"));
}

static void test_an_answer_to_another_request_is_none(void **state)
{
    const struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    struct tsig_mac mac = request_mac(0);
    const struct bytes b = unhex(vectors[0].answer);
    (void)state;
    mac.bytes[0] ^= 1;
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_FORGED);
    mac.bytes[0] ^= 1;
    mac.len--;
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_FORGED);
}

static void test_keys_are_told_apart(void **state)
{
    const struct tsig_mac mac = request_mac(0);
    const struct bytes b = unhex(vectors[0].answer);
    struct tsig_key key;
    (void)state;
    assert_null(tsig_key_of(&key, "pusher.example.com", TSIG_HMAC_SHA256, SECRET));
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_OTHER_KEY);
    key = key_of(TSIG_HMAC_SHA512);
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_OTHER_KEY);
    key = key_of(TSIG_HMAC_SHA256);
    key.secret[0] ^= 1;
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_FORGED);
}

static void test_clocks_may_differ_by_the_fudge(void **state)
{
    const struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    const struct tsig_mac mac = request_mac(0);
    const struct bytes b = unhex(vectors[0].answer);
    static const struct {
        uint64_t now_s;
        enum tsig_verdict verdict;
    } rows[] = {{NOW_S - 301, TSIG_STALE},
                {NOW_S - 300, TSIG_GOOD},
                {NOW_S + 300, TSIG_GOOD},
                {NOW_S + 301, TSIG_STALE},
                {0, TSIG_STALE}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, rows[i].now_s).verdict, rows[i].verdict);
}

/* The server's clock is believed as far as it is signed, however far off it is. */
static void test_badtime_tells_the_servers_time(void **state)
{
    const struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    const struct tsig_mac mac = request_mac(0);
    struct bytes b = unhex(badtime_hex);
    (void)state;
    struct tsig_result r = tsig_verify(b.data, b.len, &key, &mac, NOW_S);
    assert_int_equal(r.verdict, TSIG_SAYS_BADTIME);
    assert_int_equal(r.time_s, NOW_S + 1000);
    b.data[b.len - 1] ^= 1;
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_FORGED);
}

static void test_a_signed_refusal_is_signed_all_the_same(void **state)
{
    const struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    const struct tsig_mac mac = request_mac(0);
    const struct bytes b = unhex(refused_hex);
    (void)state;
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_GOOD);
}

/* Server errors that come without a code: the error stands behind the (empty) MAC and the id. */
static struct bytes unsigned_error(uint16_t error)
{
    struct bytes b = unhex(vectors[0].answer);
    b.len -= 6 + 32;
    b.data[b.len - 1] = 0; /* length of the MAC */
    b.data[12 + 17 + 7 + 9] = 0x3d - 32;
    memcpy(b.data + b.len, "\x12\x34\0\0\0\0", 6);
    b.data[b.len + 3] = (uint8_t)error;
    b.len += 6;
    return b;
}

static void test_what_the_server_says_is_told_apart(void **state)
{
    const struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    const struct tsig_mac mac = request_mac(0);
    static const struct {
        uint16_t error;
        enum tsig_verdict verdict;
    } rows[] = {{16, TSIG_SAYS_BADSIG},
                {17, TSIG_SAYS_BADKEY},
                {18, TSIG_FORGED}, /* has to be signed */
                {22, TSIG_FORGED},
                {0, TSIG_FORGED}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct bytes b = unsigned_error(rows[i].error);
        const struct tsig_result r = tsig_verify(b.data, b.len, &key, &mac, NOW_S);
        assert_int_equal(r.verdict, rows[i].verdict);
        assert_int_equal(r.error, rows[i].error);
    }
}

static void test_a_message_without_a_signature_has_none(void **state)
{
    const struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    const struct tsig_mac mac = request_mac(0);
    struct bytes b = unhex(vectors[0].answer);
    (void)state;
    b.len = 12 + 17;
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_MALFORMED); /* a record is missing */
    b.data[11] = 0;
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_ABSENT);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(tsig_verify(b.data, len, &key, &mac, NOW_S).verdict, TSIG_MALFORMED);
}

/* A signature is the last thing of a message, and there is one (RFC 8945 section 5.2). */
static void test_a_signature_stands_last_and_alone(void **state)
{
    const struct tsig_key key = key_of(TSIG_HMAC_SHA256);
    const struct tsig_mac mac = request_mac(0);
    struct bytes b = unhex(vectors[0].answer);
    const size_t record_len = b.len - 29;
    (void)state;
    memcpy(b.data + b.len, b.data + 29, record_len); /* twice */
    b.data[11] = 2;
    assert_int_equal(tsig_verify(b.data, b.len + record_len, &key, &mac, NOW_S).verdict, TSIG_MALFORMED);
    b.data[11] = 1;
    assert_int_equal(tsig_verify(b.data, b.len + record_len, &key, &mac, NOW_S).verdict, TSIG_MALFORMED);
    b.data[11] = 0;
    b.data[7] = 1; /* among the answers */
    assert_int_equal(tsig_verify(b.data, b.len, &key, &mac, NOW_S).verdict, TSIG_MALFORMED);
}

static void test_keys_that_are_none(void **state)
{
    static const struct {
        const char *name, *secret, *why;
    } rows[] = {{".", SECRET, "name is not a name"},
                {"a..b", SECRET, "name is not a name"},
                {"k", "", "secret is empty"},
                {"k", "AQI", "secret is not base64"}};
    char long_secret[(TSIG_SECRET_BYTES + 3) / 3 * 4 + 5];
    struct tsig_key key;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(tsig_key_of(&key, rows[i].name, TSIG_HMAC_SHA256, rows[i].secret), rows[i].why);
    memset(long_secret, 'A', sizeof long_secret);
    for (size_t len = TSIG_SECRET_BYTES; len < sizeof long_secret; len += 4) {
        long_secret[len] = '\0';
        const char *why = tsig_key_of(&key, "k", TSIG_HMAC_SHA256, long_secret);
        if (len / 4 * 3 <= TSIG_SECRET_BYTES)
            assert_null(why);
        else
            assert_string_equal(why, "secret is too long");
        long_secret[len] = 'A';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_signed),
        cmocka_unit_test(test_an_answer_is_verified),
        cmocka_unit_test(test_a_changed_answer_is_found_out),
        cmocka_unit_test(test_an_answer_to_another_request_is_none),
        cmocka_unit_test(test_keys_are_told_apart),
        cmocka_unit_test(test_clocks_may_differ_by_the_fudge),
        cmocka_unit_test(test_badtime_tells_the_servers_time),
        cmocka_unit_test(test_a_signed_refusal_is_signed_all_the_same),
        cmocka_unit_test(test_what_the_server_says_is_told_apart),
        cmocka_unit_test(test_a_message_without_a_signature_has_none),
        cmocka_unit_test(test_a_signature_stands_last_and_alone),
        cmocka_unit_test(test_keys_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
