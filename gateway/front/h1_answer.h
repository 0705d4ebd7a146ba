/* One answer on its way to an HTTP/1.1 client: the head waits for the first bytes of the body, so that a small answer
 * is one write, and the body is framed as the head said. */
#ifndef GATEWAY_FRONT_H1_ANSWER_H
#define GATEWAY_FRONT_H1_ANSWER_H

#include "gateway/http/h1_write.h"
#include "gateway/net/conn.h"

struct h1_answer {       /* all zero: not begun */
    struct strbuf head;  /* not sent yet */
    uint64_t left_bytes; /* of a body whose length was told */
    uint8_t framing;     /* enum h1_framing */
    bool is_begun;
    bool is_spoilt; /* is not, or cannot be, what the head says: the connection must not go on */
};

/* False when the head cannot be written; nothing of it will be sent then. Without a body, a length is only told. */
bool h1_answer_begin(struct h1_answer *a, const struct http_head *h, const struct h1_write *w, bool has_body);
/* Each of these returns how many bytes it handed to the connection. */
size_t h1_answer_body(struct h1_answer *a, struct conn *c, const uint8_t *data, size_t len);
size_t h1_answer_end(struct h1_answer *a, struct conn *c);
/* The head goes out alone when its body takes its time. */
size_t h1_answer_flush(struct h1_answer *a, struct conn *c);
/* Back to not begun. */
void h1_answer_clear(struct h1_answer *a);

#endif
