/* The admin HTTP server: GET and HEAD of a few pages (gateway/admin/pages.h), for monitors and people, on one listening
 * socket that may change with a reload. Bounded in connections, header size and time; nothing it says may be cached.
 * libwebsockets stays inside web.c. */
#ifndef GATEWAY_ADMIN_WEB_H
#define GATEWAY_ADMIN_WEB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "gateway/admin/feed.h"
#include "gateway/report/report.h"

#define WEB_LIVE_MAX        64u  /* of these may follow the events */
#define WEB_CONNECTIONS_MAX 256u /* at once; more wait in the kernel's queue */

struct web;

struct web_ops {
    /* Fills a view for one request; what it borrows stays until the callback that asked has returned. False: there is
     * nothing to show yet. */
    bool (*view)(void *arg, struct report_view *v);
    /* The events, for /events; NULL: there is no such page. */
    struct feed *(*feed)(void *arg);
    /* Adds what alerts are open, for /alerts; false: there are none to speak of yet. NULL: there is no such page. */
    bool (*alerts)(void *arg, struct strbuf *out);
    /* After web_drain: no request is in progress any more. */
    void (*on_idle)(void *arg);
};

struct web_limits {
    int64_t request_ms;  /* a connection without a complete request for this long is closed */
    int64_t response_ms; /* a response, or an event, that its client has not taken by then is cut off */
};

/* NULL when libwebsockets cannot start. `ops` and `arg` are borrowed until web_destroy. */
struct web *web_create(struct loop *l, const struct web_ops *ops, void *arg, const struct web_limits *limits);
void web_set_limits(struct web *w, const struct web_limits *limits); /* for waits that begin from now on */
/* Accepts on `fd` (taken) instead of on the socket before; -1: accepts nothing. Open connections stay. */
void web_listen(struct web *w, int fd);
/* There are more events: those who follow them get them. */
void web_feed_grew(struct web *w);
/* Accepts nothing more; on_idle comes once, in this call or later. */
void web_drain(struct web *w);
/* Closes everything. Not from a web_ops callback. */
void web_destroy(struct web **wp);

#endif
