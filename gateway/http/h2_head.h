/* Message heads between HTTP/2 and struct http_head, both ways. Private to gateway/http/h2_*.c. */
#ifndef GATEWAY_HTTP_H2_HEAD_H
#define GATEWAY_HTTP_H2_HEAD_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "gateway/http/head.h"

/* What a field costs besides its bytes (RFC 9113 section 6.5.2). */
#define H2_FIELD_EXTRA_BYTES 32u
/* Fields of a head beyond the limit are read over, to answer it with 431, as far as this; then the stream is reset. */
#define H2_HEAD_PATIENCE_BYTES (256u * 1024u)

struct h2_head_limits {
    size_t header_bytes;
    size_t target_bytes;
    uint32_t field_count;
};

enum h2_head_kind { H2_HEAD_REQUEST = 1, H2_HEAD_RESPONSE, H2_HEAD_TRAILERS };

/* A header block being received. The texts stay where the decoder put them, held by reference. */
struct h2_head {
    uint32_t magic;
    enum h2_head_kind kind;
    int32_t stream_id;
    size_t list_bytes;
    bool is_too_large;
    const char *malformed; /* a few static words: the stream is to be reset */
    struct http_view scheme;
    struct strbuf cookie; /* all cookie fields as one, once there are two */
    uint32_t held_count;
    /* from here on not zeroed: most of it is never used */
    struct http_head head;
    nghttp2_rcbuf *held[2 * HTTP_MAX_FIELDS + 16];
};

struct h2_head *h2_head_create(void); /* empty */
void h2_head_begin(struct h2_head *h, enum h2_head_kind kind, int32_t stream_id);
void h2_head_clear(struct h2_head *h); /* empties it, for another block */
void h2_head_destroy(struct h2_head **hp);
/* The next field, which nghttp2 has found well-formed. False: the stream is to be reset (malformed says why). */
bool h2_head_add(struct h2_head *h, const struct h2_head_limits *l, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
/* After the last field of a request: fills in the rest of h->head. False: h->head.error_status says what to answer. */
bool h2_head_finish_request(struct h2_head *h, const struct h2_head_limits *l);
/* The same for a response; false: h->malformed says why it cannot be used. */
bool h2_head_finish_response(struct h2_head *h);

/* The urgency that a request's priority field asks for (RFC 9218 section 4.1): 0 to 7, 3 when it does not. */
uint32_t h2_head_urgency(const struct http_head *request);

/* Fields on their way out; they look at texts that must stay until they are submitted. */
struct h2_fields {
    size_t count;
    char length[DECIMAL_BYTES];
    /* from here on not zeroed: most of it is never used */
    nghttp2_nv list[HTTP_ROOM_FIELDS + 8];
};

void h2_fields_begin(struct h2_fields *f);
/* `name` is a literal, in lower case. */
void h2_fields_add(struct h2_fields *f, const char *name, struct http_view value);
/* Adds the fields of `head`, without those that say something about a connection or its framing, and those HTTP/2
 * cannot carry. */
void h2_fields_add_all(struct h2_fields *f, const struct http_head *head);
/* Adds content-length; -1: nothing. */
void h2_fields_add_length(struct h2_fields *f, int64_t content_length);

#endif
