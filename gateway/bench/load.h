/* The client side of the load tester: many links, one thread, one epoll.
 *
 * A link speaks WebSocket - then the message is a frame, and its answer the echo - or HTTP: then the message is a
 * request, and its answer whatever comes without being an error. Both do so over TCP or TLS. Over a WebSocket it may
 * speak Phoenix: then it joins its channels before it is open, and a message is answered with a reply, or broadcast to
 * others.
 *
 * link.c is the life of one connection, utter.c how it gets its words out; answer.c reads HTTP, hear.c Phoenix, and
 * listen.c what others broadcast. load.c says when a link is opened and when the load is over, pace.c when it speaks,
 * and run.c keeps it all going. */
#ifndef GATEWAY_BENCH_LOAD_H
#define GATEWAY_BENCH_LOAD_H

#include <stdint.h>

#include "gateway/bench/delivery.h"
#include "gateway/bench/options.h"
#include "gateway/bench/progress.h"
#include "gateway/bench/result.h"
#include "gateway/bench/secure.h"
#include "gateway/bench/words.h"
#include "gateway/http/h1_body.h"

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

struct load;

struct link {
    struct load *load;
    enum link_state state;
    int fd;
    struct secure_link *tls;        /* NULL: none */
    struct ssl_session_st *session; /* of TLS, from the connection before (--resume); NULL: none */
    uint32_t number;
    uint32_t joined_count;  /* channels */
    uint32_t message_count; /* round trips completed; over connections that ended in order, too */
    uint32_t owed_count;    /* messages of its own pace that were due while it waited */
    int64_t since_ns;       /* of the connect, the message or the close frame under way */
    int64_t due_ns;         /* when that message was to be sent */
    int64_t heard_ns;       /* the last answer or delivery; before any, when it was first open */
    int64_t beat_ns;        /* of the next heartbeat */
    int64_t retry_ns;       /* LINK_NONE: when it is opened again; 0: not */
    uint8_t retry_count;    /* since it was last open */
    bool was_open;          /* once */
    bool is_measured;       /* the message under way */
    bool is_beat_out;       /* and not answered yet */
    bool wants_write;
    bool is_closed; /* the peer's close frame has come */

    /* on its way out: what is left of the words, then of the rest */
    const struct words *words;
    uint32_t sent_bytes;
    uint8_t *out;
    uint32_t out_len, out_sent;

    /* on its way in */
    uint32_t got_bytes; /* of the echo under way */
    char *head;         /* a response (WebSocket: its head; Phoenix: a frame) that came in pieces */
    uint32_t head_len;
    struct { /* HTTP, behind the head */
        struct h1_body body;
        uint16_t status;
        bool is_under_way, is_last; /* on this connection */
    } answer;
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

#define SCRATCH_BYTES 65536u
#define NS_PER_MS     1000000
#define NS_PER_S      1000000000
#define LOAD_MAGIC    0x10adbe9cu

struct load {
    uint32_t magic;
    const struct options *options;
    const struct addr *address;
    struct result *result;
    struct load *beside; /* queries at the same time; NULL: none. It shares epoll_fd and secure. */
    int epoll_fd, signal_fd;
    enum phase phase;
    int64_t phase_since_ns;
    int64_t measure_since_ns;
    int64_t now_ns; /* of this pass */
    int64_t start_ns;
    struct link *links;   /* options->connections of them */
    uint32_t next_link;   /* the first one not opened yet */
    uint64_t paced;       /* messages that were due by the clock in this phase, and dealt with */
    uint32_t next_idle;   /* where the next link to speak is looked for */
    uint32_t retry_count; /* links that are to be opened again */
    uint32_t count[LINK_STATE_COUNT];
    bool has_input;        /* hold: stdin is being watched */
    struct secure *secure; /* NULL: no TLS */
    struct delivery *owed; /* broadcasts; NULL: none are counted */
    struct progress tally;

    struct vocabulary words;
    struct strbuf frame; /* that is put together */
    int64_t mark_ns;     /* listening: broadcasts made after this are awaited */
    uint8_t scratch[SCRATCH_BYTES];
};

/* ---- run.c ---- */
/* Runs to the end, or until SIGINT or SIGTERM, which end the measured part; a second one ends it all. The outcome is in
 * *r. False with a sentence in `error` (OPTIONS_ERROR_BYTES) when it could not even begin. */
bool load_run(const struct options *o, const struct addr *address, struct result *r, char *error);

/* ---- link.c ---- */
void link_open(struct load *l, struct link *k);
/* LINK_IDLE: one message, that was due at that time. */
void link_send(struct load *l, struct link *k, int64_t due_ns);
void link_broadcast(struct load *l, struct link *k, uint32_t channel, int64_t due_ns);
void link_beat(struct load *l, struct link *k);        /* open, Phoenix: a heartbeat */
void link_say_goodbye(struct load *l, struct link *k); /* LINK_IDLE: the close frame */
void link_drop(struct load *l, struct link *k);        /* closes the socket, tells nobody */
void link_on_events(struct load *l, struct link *k, uint32_t events);
/* Waited too long for whatever is under way. */
void link_on_timeout(struct load *l, struct link *k);

void link_set_state(struct load *l, struct link *k, enum link_state to);
/* The link is in good order no more: closes the socket, and counts why. */
void link_fail(struct load *l, struct link *k, enum error_kind kind, const char *detail);
/* LINK_JOINING: the join under way was answered with `ok`. */
void link_on_joined(struct load *l, struct link *k);
/* LINK_WAITING: the answer is there. `is_good`: it was no error. */
void link_on_answer(struct load *l, struct link *k, bool is_good);
/* What a server may say at any time: ping, pong, close. Takes a frame; 0 when the link is gone. */
size_t link_on_control(struct load *l, struct link *k, const uint8_t *data, size_t len);
/* Keeps the beginning of something; false when it is too long, and the link is gone. */
bool link_keep(struct load *l, struct link *k, const uint8_t *data, size_t len);

/* ---- utter.c ---- */
void link_watch(struct load *l, struct link *k, int op, bool wants_write);
/* Begins to send what all say alike; nothing else may be on its way out. */
void link_utter(struct load *l, struct link *k, const struct words *w);
/* Sends these bytes behind what is on its way out. */
void link_say(struct load *l, struct link *k, const void *data, size_t len);
/* The socket takes more. */
void link_go_on(struct load *l, struct link *k);
void link_forget_out(struct link *k);

/* ---- answer.c, hear.c, listen.c ---- */
void answer_on_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len);
/* The connection has ended; whether that was in order. */
bool answer_on_end(struct load *l, struct link *k);
void hear_on_bytes(struct load *l, struct link *k, const uint8_t *data, size_t len);
/* A numbered broadcast of somebody else. */
void listen_on_broadcast(struct load *l, struct link *k, uint64_t number, int64_t made_ns);
/* A line of stdin: "mark NS" says that something happens at that time of the monotonic clock. */
void listen_on_line(struct load *l, const char *line);

/* ---- pace.c ---- */
/* Sends what is due by the clock. */
void pace_send(struct load *l);
/* Of its own pace it owes a message: sends it. False when it does not. */
bool pace_send_owed(struct load *l, struct link *k);
bool pace_is_set(const struct load *l);
/* When the next message is due; INT64_MAX: never. */
int64_t pace_next_ns(const struct load *l);

/* ---- load.c, called by the loop ---- */
/* Address and result are borrowed. It does nothing before its epoll_fd is set and it is stepped. */
struct load *load_create(const struct options *o, const struct addr *address, struct result *r);
void load_destroy(struct load **lp); /* closes all its links, neither epoll_fd nor secure */
/* Does what is due now; to be called after every wait. */
void load_step(struct load *l);
/* Several times a second: looks for what took too long, and tells the progress. */
void load_look_after(struct load *l);
/* Something can be read on stdin. */
void load_on_input(struct load *l);
/* The first time, ends what is measured; after that, ends it all. */
void load_interrupt(struct load *l);

/* ---- load.c, called by links ---- */
void load_on_open(struct load *l, struct link *k);
void load_on_reply(struct load *l, struct link *k, bool is_good);
void load_on_delivery(struct load *l, struct link *k, uint64_t topic, uint64_t number, int64_t due_ns);
/* The server has said that it is done with the connection, and with nothing under way: the link goes on over another.
 */
void load_on_ended(struct load *l, struct link *k);
/* The link is LINK_NONE again. `was_open`: after a completed handshake; `in_order`: with the whole closing handshake.
 */
void load_on_gone(struct load *l, struct link *k, bool was_open, bool in_order);

#endif
