/* What h2_server and h2_client have in common: one nghttp2 session, its streams, and the way bytes go through it.
 * Private to gateway/http/h2_*.c.
 *
 * nghttp2 must not be entered again from its own callbacks (but for submitting), nor be deleted there. So a session
 * that is destroyed inside a callback is only marked; it goes when the last call of feed or output on the stack
 * returns. */
#ifndef GATEWAY_HTTP_H2_PRIV_H
#define GATEWAY_HTTP_H2_PRIV_H

#include <nghttp2/nghttp2.h>

#include "base/list.h"
#include "gateway/http/h2_head.h"
#include "gateway/http/h2_queue.h"
#include "gateway/http/h2_stream.h"
#include "gateway/http/h2_watch.h"

/* Interim answers a stream may bring; servers send one or two. */
#define H2_MAX_INTERIMS 16u

struct h2_session;

/* What differs between the two sides. `head` is the block that has just been received whole. */
struct h2_role {
    bool is_server;
    void (*on_head)(struct h2_session *s, struct h2_stream *st, struct h2_head *head, bool has_body);
    void (*on_malformed)(struct h2_session *s, const char *reason);
    void (*on_goaway)(struct h2_session *s, uint32_t code);
    void (*on_settings)(struct h2_session *s);
    void (*on_pong)(struct h2_session *s);
    void (*on_output)(struct h2_session *s);
    void (*free)(struct h2_session *s); /* of the object that contains it, after h2_session_destroy */
};

struct h2_session {
    /* Set at create. */
    nghttp2_session *ng;
    const struct h2_role *role;
    const struct h2_stream_ops *ops;
    void *arg;
    struct h2_head_limits head_limits;
    size_t queue_bytes;
    uint32_t stream_window_bytes;
    uint32_t max_streams;

    struct h2_watch watch;
    struct h2_head *head;  /* being received; NULL: none, or one that nobody wants */
    struct h2_head *spare; /* for the next one, if that comes within the same feed */
    struct list streams;
    struct list writable;  /* whose queue has fallen to half: on_writable is owed */
    uint32_t stream_count; /* of those the owner knows: the others have no head yet */

    /* Output: where h2_session_output writes to, while it runs, and what did not fit, which nghttp2 keeps until it is
     * asked again. */
    uint8_t *out;
    size_t out_cap_bytes;
    size_t out_len;
    const uint8_t *rest;
    size_t rest_len;

    const char *failure; /* static; the session is given up */
    uint8_t depth;       /* of feed and output on the stack */
    bool is_destroyed;
    bool is_broken; /* nghttp2 cannot go on */
    bool is_output_told;
};

struct h2_stream {
    uint32_t magic;
    int32_t id;
    struct h2_session *session;
    struct list link;
    struct list writable_link;
    void *owner;
    struct h2_queue queue;
    uint64_t sent_bytes;
    uint64_t received_bytes;
    size_t unconsumed_bytes;
    uint8_t interim_count;
    bool is_known : 1;     /* to the owner: on_close is owed */
    bool is_refused : 1;   /* the session reads over what it still brings */
    bool has_head : 1;     /* the peer's head has come (interim ones do not count) */
    bool is_head_sent : 1; /* the own head is on its way */
    bool is_sent : 1;      /* and has left */
    bool is_open : 1;      /* bytes may be queued: a body follows the head, h2_stream_end was not called */
    bool is_deferred : 1;  /* nghttp2 waits for bytes */
    bool is_full : 1;      /* above the watermark; on_writable is owed */
    bool is_tunnel : 1;    /* extended CONNECT: its two directions end apart */
    bool is_done : 1;      /* what counts has passed: the answer's end, whichever way it goes */
    bool is_unsendable : 1;
    bool is_blamed : 1; /* the peer has paid for its being reset */
};

/* `s` is zeroed but for role, ops, arg, limits. Settings are sent first. */
void h2_session_init(struct h2_session *s, const nghttp2_settings_entry *settings, size_t setting_count,
                     uint32_t connection_window_bytes, int64_t now_ms);
void h2_session_feed(struct h2_session *s, const uint8_t *data, size_t len, int64_t now_ms);
size_t h2_session_output(struct h2_session *s, uint8_t *buf, size_t cap_bytes);
bool h2_session_is_over(const struct h2_session *s);
/* Ends every stream and, now or when the stack allows, calls role->free. */
void h2_session_destroy(struct h2_session *s);
/* Gives the session up: a last goodbye, then it is over. Not from within nghttp2's callbacks. */
void h2_session_fail(struct h2_session *s, enum h2_code code, const char *reason);
/* Tells the owner of output, unless feed or output will. The last act of everything that submits. */
void h2_session_touched(struct h2_session *s);

struct h2_stream *h2_stream_create(struct h2_session *s, int32_t id);
/* The owner is about to know it, and has it counted. */
void h2_stream_introduce(struct h2_stream *st);
/* Takes it out of the session and frees it, without a word to its owner. */
void h2_stream_destroy(struct h2_stream **stp);
/* Tells the owner that it is over (if he knows it), and destroys it. */
void h2_stream_close(struct h2_stream *st, uint32_t code, bool is_unprocessed);
/* For nghttp2: where the body comes from. */
nghttp2_data_provider h2_stream_source(void);

#endif
