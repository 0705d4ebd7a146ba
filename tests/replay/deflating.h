/* A client of the replay that speaks permessage-deflate, with zlib of its own. */
#ifndef TESTS_REPLAY_DEFLATING_H
#define TESTS_REPLAY_DEFLATING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/replay/rig.h"

#define DEFLATING_OFFER "permessage-deflate; client_max_window_bits"

/* A client that offers `offer`, through server "a". `answer` gets the head of the 101. */
int deflating_offer(struct rig *r, const char *path, const char *offer, int *server, char answer[1024]);
/* A client with which compression is agreed. */
int deflating_open(struct rig *r, const char *path, int *server);

/* Sends a frame whose first byte is `first`; a client's is masked. */
void deflating_send(struct rig *r, int fd, uint8_t first, const void *payload, size_t len, bool is_masked);
/* Reads one frame: returns its first byte, its payload is in `buf`, unmasked and with a NUL behind it. */
uint8_t deflating_read(struct rig *r, int fd, uint8_t *buf, size_t cap, size_t *len);
void deflating_expect(struct rig *r, int fd, uint8_t first, const char *text);

/* Compresses a message of its own; returns the length. */
size_t deflating_pack(const void *data, size_t len, uint8_t *out, size_t cap);
/* The other way; `data` must have room for four bytes more. */
size_t deflating_unpack(uint8_t *data, size_t len, void *out, size_t cap);

#endif
