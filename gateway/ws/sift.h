/* The sifter: looks at the messages of one direction of a WebSocket as their frames pass, and lets each through, or
 * not.
 *
 * It unmasks as much of a message as a decision needs and hands the peer's own frames on, untouched and in order. A
 * message that lies whole in the bytes of one call, which is nearly all of them, costs no copy. One that does not is
 * held until there is enough of it; what is held is bounded, and nothing is held between messages.
 *
 * Frames are judged on the way (gateway/ws/frame.h). Control frames never pass: they are reported.
 *
 * What passes is handed on as late as possible, so that a read full of messages is one write: whoever sends something
 * of its own from within a callback, behind what has passed already, calls sift_flush() before. */
#ifndef GATEWAY_WS_SIFT_H
#define GATEWAY_WS_SIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/ws/frame.h"

/* A data message, or the beginning of one. Everything is borrowed for the call. */
struct ws_message {
    enum ws_opcode opcode;  /* text or binary */
    bool is_whole;          /* `payload` is all of it */
    bool is_at_limit;       /* it is not, and there will not be more to look at: pass it or drop it */
    const uint8_t *payload; /* unmasked, without frame headers */
    size_t len;
    const uint8_t *frames; /* as they came, without control frames between them; only of a whole message */
    size_t frames_bytes;
};

enum sift_verdict {
    SIFT_PASS = 0, /* goes on, with what is yet to come of it */
    SIFT_DROP,     /* nobody sees it, nor what is yet to come of it */
    SIFT_MORE,     /* ask again when there is more of it; not for a whole one, nor at the limit */
};

/* Callbacks. Any of them may call sift_stop(); the sifter itself must live until sift_feed() returns. */
struct sift_ops {
    enum sift_verdict (*on_message)(void *arg, const struct ws_message *m);
    void (*on_pass)(void *arg, const uint8_t *frames, size_t len); /* to be sent on; maybe in the middle of a message */
    void (*on_ping)(void *arg, const uint8_t *payload, size_t len);
    void (*on_pong)(void *arg, const uint8_t *payload, size_t len);
    void (*on_close)(void *arg, uint16_t code, const char *reason, size_t len); /* 1005: none; nothing follows */
    void (*on_bad)(void *arg, uint16_t code, const char *error);                /* a violation; nothing follows */
};

struct sift { /* initialised by sift_init; members are its own, those of every message first */
    struct ws_walk walk;
    uint8_t state;
    bool is_stopped;
    const struct sift_ops *ops;
    void *arg;
    const uint8_t *run; /* in the bytes of this call: passed and not handed on yet; NULL: nothing */
    size_t run_bytes;
    size_t look_bytes;
    size_t take_bytes;
    size_t next_look_bytes; /* of the payload held, for the next look */
    struct strbuf frames;   /* held, as they came */
    struct strbuf payload;  /* of the same, unmasked */
    struct strbuf control;  /* payload of a control frame that came in pieces, unmasked */
};

/* The first look is taken when a message is whole or `look_bytes` of its payload are there, further ones each time it
 * has doubled; a message is collected up to `take_bytes` of payload (at least look_bytes, which is at least 1), or a
 * little less when it comes in very many frames. `max_message_bytes` as in ws_walk_init(). */
void sift_init(struct sift *s, enum ws_sender sender, uint64_t max_message_bytes, size_t look_bytes, size_t take_bytes,
               const struct sift_ops *ops, void *arg);
void sift_fini(struct sift *s);
void sift_feed(struct sift *s, const uint8_t *data, size_t len);
/* No callback any more; what is fed is ignored. What was passed and not handed on is not. */
void sift_stop(struct sift *s);
/* Hands on now what has passed; outside of callbacks there is nothing to do. */
void sift_flush(struct sift *s);
/* Drops what is yet to come of a message that was passed and is not complete: its receiver is gone. */
void sift_drop_rest(struct sift *s);
/* Whether what was passed so far ends with a whole message, or the rest of the last one is dropped. */
bool sift_is_between_messages(const struct sift *s);

#endif
