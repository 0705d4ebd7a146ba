/* Sec-WebSocket-Extensions (RFC 6455 section 9.1) as far as the gateway speaks it: permessage-deflate (RFC 7692), the
 * server's side. Text in, decision out. */
#ifndef GATEWAY_WS_EXTENSION_H
#define GATEWAY_WS_EXTENSION_H

#include <stddef.h>

#include "gateway/ws/deflate.h"

/* What a route allows. */
struct ws_deflate_policy {
    bool is_enabled;
    bool keeps_context; /* messages may build on the ones before, at the price of two windows per connection */
    uint8_t window_bits;
    uint8_t level;
    uint32_t min_bytes;
};

enum ws_offer {
    WS_OFFER_NONE = 0,  /* nothing the gateway can or may accept: the answer carries no such field */
    WS_OFFER_ACCEPTED,  /* the answer carries `answer` */
    WS_OFFER_MALFORMED, /* not an extension list: RFC 6455 section 9.1 has the handshake refused with 400 */
};

#define WS_OFFER_ANSWER_BYTES 136u

/* Judges the offers of one Sec-WebSocket-Extensions field (of several fields: one after the other, until one is
 * accepted) and takes the first that can be met. ACCEPTED: *params and the field's value, NUL-terminated, are filled;
 * otherwise neither is touched. The text is checked to its end whatever the policy says. */
enum ws_offer ws_offer_judge(const struct ws_deflate_policy *policy, const char *text, size_t len,
                             struct ws_deflate_params *params, char answer[WS_OFFER_ANSWER_BYTES]);

#endif
