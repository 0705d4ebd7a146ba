/* Digests against the examples of FIPS 180-4, HMAC against those of RFC 4231. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"

struct example {
    const char *text;
    const char *sha1, *sha256; /* in hex */
};

static const struct example examples[] = {
    {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void assert_hex(const uint8_t *bytes, size_t len, const char *expected)
{
    char hex[2 * DIGEST_MAX_BYTES + 1] = "";
    for (size_t i = 0; i < len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(hex, expected);
}

static void test_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const struct example *e = &examples[i];
        uint8_t sha1[DIGEST_SHA1_BYTES], sha256[DIGEST_SHA256_BYTES];
        digest_sha1(e->text, strlen(e->text), sha1);
        digest_sha256(e->text, strlen(e->text), sha256);
        assert_hex(sha1, sizeof sha1, e->sha1);
        assert_hex(sha256, sizeof sha256, e->sha256);
    }
}

static const struct {
    enum digest_kind kind;
    const char *code;
} jefe[] = {
    {DIGEST_SHA256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {DIGEST_SHA384, "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"},
    {DIGEST_SHA512, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
};

/* Test case 2, cut into pieces. */
static void test_hmac(void **state)
{
    const struct digest_part parts[] = {{"what do ya want", 15}, {"", 0}, {" for nothing?", 13}};
    (void)state;
    for (size_t i = 0; i < sizeof jefe / sizeof jefe[0]; i++) {
        uint8_t out[DIGEST_MAX_BYTES];
        const size_t len = digest_hmac(jefe[i].kind, "Jefe", 4, parts, 3, out);
        assert_int_equal(len, digest_bytes(jefe[i].kind));
        assert_hex(out, len, jefe[i].code);
    }
}

/* Test case 6: a key longer than a block. */
static void test_hmac_of_a_long_key(void **state)
{
    const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    const struct digest_part part = {text, sizeof text - 1};
    uint8_t key[131], out[DIGEST_MAX_BYTES];
    (void)state;
    memset(key, 0xaa, sizeof key);
    assert_hex(out, digest_hmac(DIGEST_SHA256, key, sizeof key, &part, 1, out),
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_equal(void **state)
{
    const uint8_t a[] = {1, 2, 3}, b[] = {1, 2, 4}, c[] = {0, 2, 3};
    (void)state;
    assert_true(digest_equal(a, a, 3));
    assert_true(digest_equal(a, b, 2));
    assert_false(digest_equal(a, b, 3));
    assert_false(digest_equal(a, c, 3));
    assert_true(digest_equal(a, c, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_hmac),
                                       cmocka_unit_test(test_hmac_of_a_long_key), cmocka_unit_test(test_equal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
