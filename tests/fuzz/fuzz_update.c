/* Answers to updates. Input: the answer. Laws: the verdict is the same twice and its words end; what is taken for done
 * is signed with our key, so that another secret, another request and another time take it for something else; a
 * message that can be walked through can be signed, and that signature verified. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "health/dns/update.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Those of tests/unit/health/dns/test_tsig.c: the corpus has answers that are signed right. */
#define NOW_S UINT64_C(1700000000)
#define ID    0x1234
static const uint8_t request_code[] = {0x3d, 0x71, 0x98, 0xa9, 0x50, 0x0b, 0x93, 0xae, 0x33, 0xdc, 0x70,
                                       0x26, 0x8c, 0xf8, 0xf7, 0x4e, 0xb0, 0xe0, 0x6e, 0x1c, 0xe2, 0x4e,
                                       0x00, 0x66, 0x09, 0xeb, 0xe0, 0xb8, 0xa1, 0x59, 0x91, 0x62};

static void check_done(const uint8_t *data, size_t len, const struct tsig_key *key, const struct tsig_mac *mac)
{
    struct tsig_key other_key = *key;
    struct tsig_mac other_mac = *mac;

    other_key.secret[0] ^= 1;
    other_mac.bytes[0] ^= 1;
    ASSERT(!update_read(data, len, ID, &other_key, mac, NOW_S).is_done);
    ASSERT(!update_read(data, len, ID, key, &other_mac, NOW_S).is_done);
    ASSERT(!update_read(data, len, ID ^ 1, key, mac, NOW_S).is_done);
    ASSERT(!update_read(data, len, ID, key, mac, NOW_S + 100000).is_done);
    ASSERT(len > 12 && (data[3] & 15) == 0);
}

static void check_signing(const uint8_t *data, size_t len, const struct tsig_key *key)
{
    struct tsig_mac mac;

    if (len > DNS_MESSAGE_BYTES - TSIG_RECORD_BYTES || wire_get_u16(data + 10) == UINT16_MAX)
        return;
    uint8_t *message = mem_alloc(len + TSIG_RECORD_BYTES);
    memcpy(message, data, len);
    const size_t signed_len = tsig_sign(message, len, key, NOW_S, &mac);
    ASSERT(signed_len > len && signed_len <= len + TSIG_RECORD_BYTES);
    const struct tsig_result r = tsig_verify(message, signed_len, key, NULL, NOW_S);
    ASSERT(r.verdict == TSIG_GOOD && r.signed_at == len);
    mem_free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct tsig_key key;
    struct tsig_mac mac = {.len = sizeof request_code};
    char why[UPDATE_WHY_BYTES];

    const char *wrong =
        tsig_key_of(&key, "push.example.com", TSIG_HMAC_SHA256, "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=");
    ASSERT(wrong == NULL);
    memcpy(mac.bytes, request_code, sizeof request_code);
    const struct update_answer a = update_read(data, len, ID, &key, &mac, NOW_S),
                               again = update_read(data, len, ID, &key, &mac, NOW_S);
    ASSERT(a.is_done == again.is_done && a.rcode == again.rcode && a.tsig.verdict == again.tsig.verdict);
    ASSERT(a.tsig.signed_at <= len);
    const size_t why_len = strlen(update_why(&a, NOW_S, why));
    ASSERT(why_len > 0 && why_len < UPDATE_WHY_BYTES - 1);
    if (a.is_done)
        check_done(data, len, &key, &mac);
    if (a.tsig.verdict == TSIG_ABSENT)
        check_signing(data, len, &key);
    return 0;
}
