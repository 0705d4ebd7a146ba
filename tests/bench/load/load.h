/* The client side of the load tester: many links, one thread, one epoll.
 *
 * A link speaks WebSocket - then the message is a frame, and its answer the echo - or HTTP: then the message is a
 * request, and its answer whatever comes with status 200. Both do so over TCP or TLS.
 *
 * link.c is the life of one connection; load.c says when it is opened, when it speaks, and when the run is over. The
 * message is the same for all and built once, and so is the echo, so that sending is one system call and checking one
 * comparison. */
#ifndef TESTS_BENCH_LOAD_LOAD_H
#define TESTS_BENCH_LOAD_LOAD_H

#include <stdint.h>

#include "tests/bench/load/options.h"
#include "tests/bench/load/result.h"
#include "tests/bench/load/secure.h"

enum link_state {
    LINK_NONE = 0, /* no socket */
    LINK_CONNECTING,
    LINK_SECURING,  /* the TLS handshake is under way */
    LINK_UPGRADING, /* the request is out */
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
    uint32_t message_count;         /* round trips completed */
    uint32_t sent_bytes, got_bytes; /* of the message and the echo under way */
    int64_t since_ns;               /* of the connect, the message or the close frame under way */
    bool wants_write;
    bool is_closed; /* the peer's close frame has come */
    char *head;     /* a response (WebSocket: its head) that came in pieces */
    uint32_t head_len;
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

    /* built once */
    char *request;
    uint32_t request_len;
    uint8_t *message; /* frame or request as sent */
    uint32_t message_len;
    uint8_t *echo; /* frame as it must come back */
    uint32_t echo_len;
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

/* ---- load.c, called by link.c ---- */
void load_on_open(struct load *l, struct link *k);
void load_on_reply(struct load *l, struct link *k, int64_t took_ns);
/* The link is LINK_NONE again. `was_open`: after a completed handshake; `in_order`: with the whole closing handshake.
 */
void load_on_gone(struct load *l, struct link *k, bool was_open, bool in_order);

#endif
