/* Offers from anybody. The first byte is the policy. What is accepted must be answered with a list that is sound
 * itself, says no more than was asked and allowed, and is what the parameters say. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/ws/extension.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    const struct ws_deflate_policy policy = {
        .is_enabled = true,
        .keeps_context = (data[0] & 1) != 0,
        .window_bits = (uint8_t)(9 + (data[0] >> 1) % 7),
        .level = 1,
    };
    const struct ws_deflate_policy off = {.is_enabled = false};
    const char *text = (const char *)data + 1;
    struct ws_deflate_params params, again;
    char answer[WS_OFFER_ANSWER_BYTES], second[WS_OFFER_ANSWER_BYTES];

    const enum ws_offer offer = ws_offer_judge(&policy, text, len - 1, &params, answer);
    ASSERT((offer == WS_OFFER_MALFORMED) ==
           (ws_offer_judge(&off, text, len - 1, &again, second) == WS_OFFER_MALFORMED));
    if (offer != WS_OFFER_ACCEPTED)
        return 0;
    ASSERT(memchr(answer, '\0', sizeof answer) != NULL);
    ASSERT(params.server_window_bits >= 9 && params.server_window_bits <= policy.window_bits);
    ASSERT(params.client_window_bits >= 8 && params.client_window_bits <= 15);
    ASSERT(params.client_window_bits <= policy.window_bits || params.client_no_context_takeover);
    ASSERT(policy.keeps_context || (params.server_no_context_takeover && params.client_no_context_takeover));
    /* Taken for an offer, the answer leads to itself. */
    ASSERT(ws_offer_judge(&policy, answer, strlen(answer), &again, second) == WS_OFFER_ACCEPTED);
    ASSERT(strcmp(answer, second) == 0);
    ASSERT(params.server_window_bits == again.server_window_bits);
    ASSERT(params.client_window_bits == again.client_window_bits);
    return 0;
}
