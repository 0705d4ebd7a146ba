/* Writing HTTP/1.1 messages (RFC 9112): heads from struct http_head, and the frame around chunks of a body.
 *
 * The writer alone says how a message is framed and what becomes of its connection: Content-Length, Transfer-Encoding,
 * Connection, Keep-Alive and Proxy-Connection among the fields of the head are left out. A head that would not be read
 * back as what it is (a line end inside a field, a name that is no token) is not written at all. */
#ifndef GATEWAY_HTTP_H1_WRITE_H
#define GATEWAY_HTTP_H1_WRITE_H

#include "base/buf.h"
#include "gateway/http/head.h"

enum h1_framing {
    H1_FRAMING_NONE = 0, /* no body, and nothing is said about one */
    H1_FRAMING_LENGTH,   /* Content-Length; of an answer to HEAD it may be told without a body */
    H1_FRAMING_CHUNKED,  /* Transfer-Encoding: chunked */
    H1_FRAMING_CLOSE,    /* the end of the connection ends the body; answers only */
};

enum h1_connection {
    H1_CONNECTION_DEFAULT = 0, /* HTTP/1.1: stays open */
    H1_CONNECTION_CLOSE,       /* Connection: close */
    H1_CONNECTION_KEEP_ALIVE,  /* Connection: keep-alive, which an HTTP/1.0 client must be told */
};

struct h1_write {
    enum h1_framing framing;
    uint64_t content_length; /* H1_FRAMING_LENGTH */
    enum h1_connection connection;
};

/* Adds status line, fields and the empty line to `out`. A head with an Upgrade field (101, 426) gets the Connection:
 * upgrade that belongs to it. Without a reason the usual one is written. False, with `out` spoilt, when the head cannot
 * be written or has no room. */
bool h1_write_response(struct strbuf *out, const struct http_head *h, const struct h1_write *w);

/* Adds a request: method, path and query (the target when there is no path), Host first (the authority, else the field
 * of that name), the fields, the empty line. An Upgrade field as above. */
bool h1_write_request(struct strbuf *out, const struct http_head *h, const struct h1_write *w);

#define H1_CHUNK_HEAD_BYTES 20u /* the longest size line, with NUL */
/* The size line of a chunk of `len` > 0 bytes, which H1_CHUNK_END must follow. Returns its length. */
size_t h1_write_chunk_head(char out[H1_CHUNK_HEAD_BYTES], size_t len);
#define H1_CHUNK_END  "\r\n"
#define H1_LAST_CHUNK "0\r\n\r\n" /* ends the body */

#endif
