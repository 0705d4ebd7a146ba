/* The opening handshake of a WebSocket (RFC 6455 section 4), judged on both sides of the gateway. */
#ifndef GATEWAY_HTTP_UPGRADE_H
#define GATEWAY_HTTP_UPGRADE_H

#include "gateway/http/h1.h"

#define UPGRADE_ACCEPT_BYTES 29u /* base64 of a SHA-1, with NUL */
#define UPGRADE_KEY_BYTES    25u /* base64 of 16 bytes, with NUL */

/* Whether the request asks for a WebSocket at all (Upgrade names websocket, or a Sec-WebSocket-Key is there; over
 * HTTP/2 an extended CONNECT to websocket, RFC 8441); the others are plain HTTP. */
bool upgrade_is_wanted(const struct http_head *request);

/* Checks method, version, Host, Upgrade, Connection, Sec-WebSocket-Key and -Version; of an extended CONNECT what there
 * is of these. 0 when the handshake may go on, else the status to answer with: 400, 405, 426. *reason (a few static
 * words) is set in that case. */
uint16_t upgrade_check_request(const struct http_head *request, const char **reason);

/* The Sec-WebSocket-Accept that belongs to `key` (the field's value), NUL-terminated. */
void upgrade_accept_key(struct http_view key, char accept[UPGRADE_ACCEPT_BYTES]);
/* Adds the Sec-WebSocket-Accept for an HTTP/1.1 client whose `request` passed upgrade_check_request(); `accept` must
 * outlive the head. False when there is no room. */
bool upgrade_add_accept(struct http_head *answer, const struct http_head *request, char accept[UPGRADE_ACCEPT_BYTES]);
/* A Sec-WebSocket-Key from 16 random bytes, NUL-terminated; for clients. */
void upgrade_make_key(const uint8_t random[16], char key[UPGRADE_KEY_BYTES]);

/* Judges a server's 101 against the request it answers, as it was forwarded or as the client sent it, and the `key`
 * that was sent with it: Upgrade, Connection, Accept, a subprotocol that was offered, no extension (the gateway offers
 * none upstream). Over HTTP/2 that is a 200, without the first three, and no key is asked for. NULL when it is
 * acceptable, else a few static words: also when the key, which an edit may have made, is none. */
const char *upgrade_check_response(const struct http_head *response, const struct http_head *request,
                                   struct http_view key);

#endif
