/* The gateway's own answers: refusals, errors, and small bodies such as the health text. */
#ifndef GATEWAY_HTTP_ANSWER_H
#define GATEWAY_HTTP_ANSWER_H

#include "base/buf.h"
#include "gateway/http/h1.h"

struct answer {
    uint16_t status;
    const char *error;           /* words for the JSON body; NULL: the reason phrase */
    struct http_view request_id; /* data NULL: none */
    uint32_t retry_after_s;      /* 0: none, but a 503 always says something */
    const char *content_type;    /* with `body` */
    const void *body;            /* NULL: {"error":..., "status":..., "request_id":...} */
    size_t body_len;
    const char *extra_fields; /* NULL, or whole lines with CRLF */
    bool keep_alive;
    bool is_head; /* the request was HEAD: the same head, no body */
};

/* Adds head and body to `out`. 426 carries Upgrade: websocket and Sec-WebSocket-Version: 13, 405 carries Allow: GET.
 * Never cacheable (Cache-Control: no-store). Look at out->failed afterwards. */
void answer_build(struct strbuf *out, const struct answer *a);

/* Reason phrase; "Unknown" for a status without one. */
const char *answer_reason(uint16_t status);

#endif
