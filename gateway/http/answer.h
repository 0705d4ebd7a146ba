/* The gateway's own answers: refusals, errors, and small bodies such as the health text, as a head and a body for
 * either version of HTTP. */
#ifndef GATEWAY_HTTP_ANSWER_H
#define GATEWAY_HTTP_ANSWER_H

#include "base/buf.h"
#include "gateway/http/head.h"
#include "gateway/http/texts.h"

enum answer_form { ANSWER_JSON = 0, ANSWER_HTML, ANSWER_TEXT, ANSWER_FORM_COUNT };

/* What the request's Accept likes best among the forms (RFC 9110 section 12.5.1); JSON on a tie, without Accept, and
 * when it likes none. */
enum answer_form answer_choose(const struct http_head *request);

struct answer {
    uint16_t status;
    enum answer_form form;       /* of a body made here */
    const char *error;           /* words for the body made here; NULL: the reason phrase */
    struct http_view request_id; /* data NULL: none */
    uint32_t retry_after_s;      /* 0: none, but a 503 always says something */
    const char *content_type;    /* with `body`; NULL: text/plain */
    const void *body;            /* NULL: made here, in `form`, from `error`, `status` and `request_id` */
    size_t body_len;
    const struct http_field *fields; /* added as they are; they take the place of those the status would get: Allow,
                                        WWW-Authenticate, Retry-After, Cache-Control */
    size_t field_count;
    const char *server; /* Server; NULL or "": none */
    int64_t wall_ms;    /* now, for Date; 0: none */
    bool is_h1;         /* the client speaks HTTP/1: a 426 then carries Upgrade */
};

/* Makes the head; the body is added to `body` (none for 1xx, 204 and 304). content_length is the body's length: the
 * head of an answer to HEAD is the same, its body is not to be sent. Never cacheable (Cache-Control: no-store) unless
 * `fields` say otherwise. False when there is no room in `to`, `t` or `body`. */
bool answer_build(struct http_head *to, struct http_texts *t, struct strbuf *body, const struct answer *a);

/* Reason phrase; "Unknown" for a status without one. */
const char *answer_reason(uint16_t status);

#endif
