/* Control frames and close codes. One table says what each registered code means and whether it may be sent. */
#include "gateway/ws/close.h"

#include <string.h>

#include "base/assert.h"
#include "gateway/ws/mask.h"

/* https://www.iana.org/assignments/websocket: the block 1000-1015; what is not here is not assigned. */
static const struct {
    uint16_t code;
    bool may_be_sent;
    const char *text;
} close_codes[] = {
    {WS_CLOSE_NORMAL, true, "normal"},
    {WS_CLOSE_GOING_AWAY, true, "going away"},
    {WS_CLOSE_PROTOCOL_ERROR, true, "protocol error"},
    {WS_CLOSE_UNSUPPORTED, true, "unsupported data"},
    {WS_CLOSE_NO_STATUS, false, "no status"},
    {WS_CLOSE_ABNORMAL, false, "abnormal"},
    {WS_CLOSE_BAD_DATA, true, "bad data"},
    {WS_CLOSE_POLICY, true, "policy violation"},
    {WS_CLOSE_TOO_BIG, true, "message too big"},
    {WS_CLOSE_EXTENSION, true, "extension missing"},
    {WS_CLOSE_INTERNAL, true, "internal error"},
    {WS_CLOSE_SERVICE_RESTART, true, "service restart"},
    {WS_CLOSE_TRY_LATER, true, "try again later"},
    {WS_CLOSE_BAD_GATEWAY, true, "bad gateway"},
    {WS_CLOSE_TLS, false, "tls handshake"},
};

bool ws_close_code_is_valid_on_wire(uint16_t code)
{
    if (code >= 3000)
        return code <= 4999;
    for (size_t i = 0; i < sizeof close_codes / sizeof close_codes[0]; i++) {
        if (close_codes[i].code == code)
            return close_codes[i].may_be_sent;
    }
    return false;
}

const char *ws_close_code_text(uint16_t code)
{
    for (size_t i = 0; i < sizeof close_codes / sizeof close_codes[0]; i++) {
        if (close_codes[i].code == code)
            return close_codes[i].text;
    }
    if (code >= 3000 && code <= 3999)
        return "library";
    return code >= 4000 && code <= 4999 ? "application" : "unknown";
}

static size_t control_build(uint8_t *out, enum ws_opcode opcode, const void *payload, size_t len,
                            const uint8_t *mask_key)
{
    ASSERT(len <= WS_CONTROL_BYTES);
    size_t header = ws_header_build(out, opcode, len, mask_key);
    if (len > 0)
        memcpy(out + header, payload, len);
    if (mask_key != NULL)
        ws_mask(out + header, len, mask_key, 0);
    return header + len;
}

/* How much of `reason` fits without cutting a character in two. */
static size_t reason_fit(const char *reason)
{
    size_t len = strnlen(reason, WS_CLOSE_REASON_BYTES + 1);
    if (len <= WS_CLOSE_REASON_BYTES)
        return len;
    len = WS_CLOSE_REASON_BYTES;
    while (len > 0 && ((uint8_t)reason[len] & 0xc0) == 0x80)
        len--;
    return len;
}

size_t ws_close_build(uint8_t out[WS_CONTROL_FRAME_BYTES], uint16_t code, const char *reason, const uint8_t *mask_key)
{
    if (code == WS_CLOSE_NO_STATUS)
        return control_build(out, WS_OPCODE_CLOSE, NULL, 0, mask_key);
    ASSERT(ws_close_code_is_valid_on_wire(code));
    uint8_t payload[WS_CONTROL_BYTES] = {(uint8_t)(code >> 8), (uint8_t)(code & 0xff)};
    size_t reason_len = reason != NULL ? reason_fit(reason) : 0;
    if (reason_len > 0)
        memcpy(payload + 2, reason, reason_len);
    return control_build(out, WS_OPCODE_CLOSE, payload, 2 + reason_len, mask_key);
}

size_t ws_ping_build(uint8_t out[WS_CONTROL_FRAME_BYTES], const void *payload, size_t len, const uint8_t *mask_key)
{
    return control_build(out, WS_OPCODE_PING, payload, len, mask_key);
}

size_t ws_pong_build(uint8_t out[WS_CONTROL_FRAME_BYTES], const void *payload, size_t len, const uint8_t *mask_key)
{
    return control_build(out, WS_OPCODE_PONG, payload, len, mask_key);
}
