/* Server cookies: made, judged, rolled. The time in a cookie is a serial number of 32 bits (RFC 1982): its age is a
 * difference, not a comparison. */
#include "health/dns/cookie.h"

#include <endian.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "health/dns/wire.h"

#define COOKIE_VERSION    1u
#define OPTION_BYTES_MIN  16u /* client and the shortest server cookie of RFC 7873 section 4 */
#define OPTION_BYTES_MAX  40u
#define SERVER_HEAD_BYTES 8u
#define ADDRESS_BYTES_MAX 16u

void cookie_secrets_init(struct cookie_secrets *s, const uint8_t secret[COOKIE_SECRET_BYTES])
{
    memset(s, 0, sizeof *s);
    memcpy(s->active, secret, COOKIE_SECRET_BYTES);
}

void cookie_secrets_accept(struct cookie_secrets *s, const uint8_t other[COOKIE_SECRET_BYTES])
{
    memcpy(s->other, other, COOKIE_SECRET_BYTES);
    s->has_other = true;
}

/* `head` is version, reserved and time, the first 8 bytes of the server cookie. */
static void make(const uint8_t secret[COOKIE_SECRET_BYTES], const uint8_t client[COOKIE_CLIENT_BYTES],
                 const uint8_t head[8], const uint8_t *address, size_t address_len, uint8_t out[COOKIE_SERVER_BYTES])
{
    uint8_t hashed[COOKIE_CLIENT_BYTES + SERVER_HEAD_BYTES + ADDRESS_BYTES_MAX];

    ASSERT(address_len == 4 || address_len == ADDRESS_BYTES_MAX);
    memcpy(hashed, client, COOKIE_CLIENT_BYTES);
    memcpy(hashed + COOKIE_CLIENT_BYTES, head, SERVER_HEAD_BYTES);
    memcpy(hashed + COOKIE_CLIENT_BYTES + SERVER_HEAD_BYTES, address, address_len);
    const uint64_t hash = htole64(siphash24(secret, hashed, COOKIE_CLIENT_BYTES + SERVER_HEAD_BYTES + address_len));
    memmove(out, head, SERVER_HEAD_BYTES);
    memcpy(out + SERVER_HEAD_BYTES, &hash, sizeof hash);
}

static bool is_made_with(const uint8_t secret[COOKIE_SECRET_BYTES], const uint8_t *cookie, const uint8_t *address,
                         size_t address_len)
{
    uint8_t made[COOKIE_SERVER_BYTES];
    uint8_t difference = 0;

    make(secret, cookie, cookie + COOKIE_CLIENT_BYTES, address, address_len, made);
    for (size_t i = 0; i < sizeof made; i++)
        difference |= (uint8_t)(made[i] ^ cookie[COOKIE_CLIENT_BYTES + i]);
    return difference == 0;
}

enum cookie_verdict cookie_judge(const struct cookie_secrets *s, const uint8_t *option, size_t len,
                                 const uint8_t *address, size_t address_len, uint32_t now_s,
                                 uint8_t answer[COOKIE_BYTES])
{
    enum cookie_verdict verdict = COOKIE_CLIENT;
    uint8_t head[SERVER_HEAD_BYTES] = {COOKIE_VERSION};

    if (len != COOKIE_CLIENT_BYTES && (len < OPTION_BYTES_MIN || len > OPTION_BYTES_MAX))
        return COOKIE_MALFORMED;
    if (len > COOKIE_CLIENT_BYTES)
        verdict = COOKIE_BAD;
    if (len == COOKIE_BYTES && option[COOKIE_CLIENT_BYTES] == COOKIE_VERSION) {
        const int32_t age_s = (int32_t)(now_s - wire_get_u32(option + COOKIE_CLIENT_BYTES + 4));
        const bool is_in_time = age_s <= (int32_t)COOKIE_PAST_MAX_S && age_s >= -(int32_t)COOKIE_FUTURE_MAX_S;
        const bool is_active = is_in_time && is_made_with(s->active, option, address, address_len);
        if (is_active || (is_in_time && s->has_other && is_made_with(s->other, option, address, address_len)))
            verdict = COOKIE_GOOD;
        if (is_active && age_s <= (int32_t)COOKIE_RENEW_S && memcmp(option + COOKIE_CLIENT_BYTES, head, 4) == 0) {
            memcpy(answer, option, COOKIE_BYTES);
            return COOKIE_GOOD;
        }
    }
    memcpy(answer, option, COOKIE_CLIENT_BYTES);
    wire_put_u32(head + 4, now_s);
    make(s->active, option, head, address, address_len, answer + COOKIE_CLIENT_BYTES);
    return verdict;
}
