/* libwebsockets' server side, all of it: HTTP answers, WebSocket frames. Its types stay in web.c. */
#ifndef REGION_WEB_H
#define REGION_WEB_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tests/region/head.h"

struct client;
struct region;
struct web;

/* NULL when the library does not start; the log says why. */
struct web *web_create(struct region *r);
void web_destroy(struct web **wp); /* ends every connection */

/* A request has come in: takes `fd`, the head, and the body (which a WebSocket has none of). */
void web_admit(struct web *w, int fd, struct head *take_head, struct strbuf *take_body);
/* The status a request is to be refused with before it gets here (unknown WebSocket path, unknown protocol version); 0:
 * none. */
int64_t web_refusal(const struct region *r, const struct head *h);
/* Something waits in the client's queue, or it is to be closed. */
void web_want_write(struct client *c);
/* client_may_read() may have changed. */
void web_check_reading(struct client *c);

#endif
