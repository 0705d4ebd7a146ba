/* Base64 back to bytes (RFC 4648), strictly: one text per value, so that nobody can write a signed token or a key in
 * two ways. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room that `text_len` characters decode into. */
#define BASE64_ROOM(text_len) ((text_len) / 4 * 3 + 2)

/* Section 5: - and _, no padding. False when it is anything else, or has bits left over that are not zero. */
bool base64url_decode(const char *text, size_t len, uint8_t *out, size_t *out_len);
/* Section 4: + and /, padded to whole groups of four. */
bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len);

#endif
