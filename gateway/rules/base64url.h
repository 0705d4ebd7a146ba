/* base64url without padding (RFC 4648 section 5), strictly: one text per value, so that nobody can write a signed token
 * in two ways. */
#ifndef GATEWAY_RULES_BASE64URL_H
#define GATEWAY_RULES_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that `text_len` characters decode into. */
#define BASE64URL_ROOM(text_len) ((text_len) / 4 * 3 + 2)

/* False when it is not base64url, has padding, or bits left over that are not zero. */
bool base64url_decode(const char *text, size_t len, uint8_t *out, size_t *out_len);

#endif
