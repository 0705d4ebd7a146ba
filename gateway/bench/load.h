/* The client side of the load tester: many links, one thread, one epoll.
 *
 * A link speaks WebSocket - then the message is a frame, and its answer the echo - or HTTP: then the message is a
 * request, and its answer whatever comes with status 200. Both do so over TCP or TLS. Over a WebSocket it may speak
 * Phoenix: then it joins its channels before it is open, and the answer is a reply.
 *
 * link.c is the life of one connection, words.c what it says, listen.c what it makes of broadcasts; load.c says when it
 * is opened, when it speaks, and when the run is over. */
#ifndef GATEWAY_BENCH_LOAD_H
#define GATEWAY_BENCH_LOAD_H

#include <stdint.h>

#include "gateway/bench/options.h"
#include "gateway/bench/result.h"
#include "gateway/bench/secure.h"
#include "gateway/bench/words.h"

enum link_state {
    LINK_NONE = 0, /* no socket */
    LINK_CONNECTING,
    LINK_SECURING,  /* the TLS handshake is under way */
    LINK_UPGRADING, /* the request is out */
    LINK_JOINING,   /* Phoenix: the channels are joined, one after the other */
    LINK_IDLE,      /* open */
    LINK_WAITING,   /* open, a message is in flight */
    LINK_CLOSING,   /* the close frame is out; its answer and the end of stream are awaited */
    LINK_STATE_COUNT
};

struct link {
    enum link_state state;
    int fd;
    struct secure_link *tls; /* NULL: none */
    uint32_t number;
    const struct words *words;      /* the message and the echo under way */
    uint32_t joined_count;          /* channels */
    uint32_t message_count;         /* round trips completed */
    uint32_t sent_bytes, got_bytes; /* of the message and the echo under way */
    int64_t since_ns;               /* of the connect, the message or the close frame under way */
    bool wants_write;
    bool is_closed; /* the peer's close frame has come */
    char *head;     /* a response (WebSocket: its head; listening: a frame) that came in pieces */
    uint32_t head_len;
    struct {              /* listening */
        uint64_t last;    /* number of the newest broadcast; 0: none yet */
        bool is_awaiting; /* the first one since the mark */
    } heard;
};

enum phase {
    PHASE_OPENING = 0,
    PHASE_WARM_UP,
    PHASE_MEASURE,
    PHASE_HOLD,
    PHASE_LAST_WORDS, /* what is still in flight may arrive */
    PHASE_DONE
};

#define SCRATCH_BYTES    65536u
#define LINK_PATIENCE_NS 10000000000 /* for a handshake, an echo, a close */

struct load {
    const struct options *options;
    struct result *result;
    int epoll_fd;
    enum phase phase;
    int64_t phase_since_ns;
    int64_t now_ns; /* of this pass */
    int64_t start_ns;
    struct link *links; /* options->connections of them */
    uint32_t next_link; /* the first one not opened yet */
    uint64_t paced;     /* messages sent by the clock in this phase */
    uint32_t next_idle; /* where the next link to speak is looked for */
    uint32_t count[LINK_STATE_COUNT];
    bool has_input;        /* hold: stdin is being watched */
    struct secure *secure; /* NULL: no TLS */

    struct vocabulary words;
    int64_t mark_ns; /* listening: broadcasts made after this are awaited */
    uint8_t scratch[SCRATCH_BYTES];
};

/* Runs to the end; the outcome is in *r. False when it could not even begin. */
bool load_run(const struct options *o, struct result *r);

/* ---- link.c ---- */
void link_open(struct load *l, struct link *k);
void link_send(struct load *l, struct link *k);        /* LINK_IDLE: one message */
void link_say_goodbye(struct load *l, struct link *k); /* LINK_IDLE: the close frame */
void link_drop(struct load *l, struct link *k);        /* closes the socket, tells nobody */
void link_on_events(struct load *l, struct link *k, uint32_t events);
/* Waited too long for whatever is under way. */
void link_on_timeout(struct load *l, struct link *k);

/* The link is in good order no more: closes the socket, and counts why. */
void link_fail(struct load *l, struct link *k, const char *what, const char *detail);
/* LINK_JOINING: the join under way was answered with `ok`. */
void link_on_joined(struct load *l, struct link *k);
/* What a server may say at any time: ping, pong, close. Takes a frame; 0 when the link is gone. */
size_t link_on_control(struct load *l, struct link *k, const uint8_t *data, size_t len);
/* Keeps the beginning of something; false when it is too long, and the link is gone. */
bool link_keep(struct load *l, struct link *k, const uint8_t *data, size_t len);

/* ---- listen.c ---- */
void listen_on_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len);
/* A line of stdin: "mark NS" says that something happens at that time of the monotonic clock. */
void listen_on_line(struct load *l, const char *line);

/* ---- load.c, called by link.c ---- */
void load_on_open(struct load *l, struct link *k);
void load_on_reply(struct load *l, struct link *k, int64_t took_ns);
/* The link is LINK_NONE again. `was_open`: after a completed handshake; `in_order`: with the whole closing handshake.
 */
void load_on_gone(struct load *l, struct link *k, bool was_open, bool in_order);

#endif
