/* The header of the PROXY protocol, versions 1 (a line of text) and 2 (binary), by which a proxy in front says whose
 * connection it passes on (haproxy.org, proxy-protocol.txt). Pure: bytes in, addresses out.
 *
 * Whoever may connect can claim to be anybody, so only what trusted proxies send is to be read as one; and as the
 * header can be mistaken for nothing else, nothing else may stand in its place. */
#ifndef GATEWAY_NET_PROXY_H
#define GATEWAY_NET_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sock.h"

#define PROXY_V1_BYTES_MAX 107u  /* with its line end */
#define PROXY_V2_BYTES_MAX 4096u /* with all its extensions; the format would allow 64 KiB */

struct proxy_header {
    size_t len; /* of the header: the connection's own bytes begin behind it */
    /* The proxy speaks for itself (a health check), or cannot say for whom: the connection's own addresses count, and
     * the two below are empty. */
    bool is_local;
    struct addr source;       /* the client */
    struct addr destination;  /* where it connected to */
    const char *error_reason; /* after PROXY_BAD: a few static words */
};

enum proxy_result {
    PROXY_MORE = 0, /* call again with the same bytes and more behind them */
    PROXY_DONE,
    PROXY_BAD, /* no such header, or a broken one: the connection must be dropped */
};

/* Reads the header at the beginning of `data`, which holds all that has come so far. No more than PROXY_V2_BYTES_MAX
 * bytes are ever needed. A checksum (CRC32C), where there is one, must be right; other extensions are read over. */
enum proxy_result proxy_parse(struct proxy_header *h, const uint8_t *data, size_t len);

#endif
