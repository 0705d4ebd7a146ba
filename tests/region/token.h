/* Tokens of clients: JSON Web Tokens (RFC 7519) of which only the expiry is read. Nothing is verified: who talks to an
 * example is believed. Pure. */
#ifndef REGION_TOKEN_H
#define REGION_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

/* False when `text` is no such token. *expires_s: Unix time, 0 when it never does. */
bool token_read(const char *text, int64_t *expires_s);

#endif
