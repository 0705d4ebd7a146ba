/* What client_h1.c (the connection and its time), h1_request.c (what the client sends) and h1_respond.c (what it is
 * answered) share; nobody else includes this. */
#ifndef GATEWAY_FRONT_CLIENT_H1_PRIV_H
#define GATEWAY_FRONT_CLIENT_H1_PRIV_H

#include "gateway/front/client.h"
#include "gateway/front/h1_answer.h"
#include "gateway/front/reply.h"
#include "gateway/front/stall.h"
#include "gateway/http/h1_body.h"

#define CLIENT_H1_MAGIC 0xc11e47a9u

/* What is left of a body after its answer is read over, if it is no more than that, to keep the connection. */
#define DISCARD_MS    1500
#define DISCARD_BYTES (64u * 1024u)

#define H1_NEVER INT64_MAX

enum h1_state { H1_WAITING = 1, H1_SERVING, H1_DISCARDING, H1_LINGERING, H1_GONE };

struct client_h1 {
    uint32_t magic;
    uint8_t state; /* enum h1_state */
    /* WAITING */
    bool is_timed : 1; /* the deadline of this head runs */
    /* the request */
    bool is_head : 1;
    bool is_http10 : 1;
    bool is_persistent : 1; /* the client means to go on after it */
    bool is_wanted : 1;     /* its body */
    bool owes_continue : 1; /* the client waits for 100 (Continue) before it sends that */
    /* the answer */
    bool is_last : 1;       /* the connection ends with it */
    uint16_t redirect_port; /* of the door */
    uint32_t discarded_bytes;
    struct client client;
    struct conn *conn;
    struct exchange *exchange; /* set by it; NULL while there is none */
    struct timer timer;        /* may go off too early, and looks again then: who comes next need not move it */
    int64_t timer_ms;          /* when it goes off, if it is active */
    int64_t due_ms;            /* what it is for; H1_NEVER: nothing */
    struct later work;
    struct strbuf held;
    struct h1_scan scan;
    struct h1_body body;
    struct h1_answer answer;
    struct stall stall;
    int64_t begun_ms; /* first byte of the head */
    int64_t read_ms;  /* the body was read last, or began to be wanted */
};

static inline const struct conf *client_h1_conf(const struct client_h1 *c)
{
    return c->client.home->env->conf;
}

static inline bool client_h1_is_reading_body(const struct client_h1 *c)
{
    return c->state == H1_SERVING && c->is_wanted && c->body.kind != H1_BODY_NONE;
}

/* ---- client_h1.c ---- */
void client_h1_set_timer(struct client_h1 *c, int64_t delay_ms);
void client_h1_set_short_timer(struct client_h1 *c, int64_t delay_ms);
void client_h1_stop_timer(struct client_h1 *c);
/* Lets the timer look after a body that is awaited, and bytes that wait to be taken. */
void client_h1_watch(struct client_h1 *c);
/* So many bytes were handed to the connection. */
void client_h1_wrote(struct client_h1 *c, size_t len);
/* The answer is said, and nothing is left of its request: the next one, or the end. */
void client_h1_wait(struct client_h1 *c);
void client_h1_linger(struct client_h1 *c);
void client_h1_hang_up(struct client_h1 *c, bool reset);
void client_h1_leave(struct client_h1 *c); /* without its connection, if that has become somebody else's */

/* ---- h1_request.c ---- */
void h1_request_data(struct client_h1 *c, const uint8_t *data, size_t len);
/* The end of a pass: goes on with what is held, if there is a use for it now. */
void h1_request_work(struct client_h1 *c);

/* ---- h1_respond.c ---- */
extern const struct requester_ops h1_requester_ops;
void h1_send_reply(struct client_h1 *c, struct reply *r);
/* The end of a client that broke the rules, or took too long. */
void h1_refuse(struct client_h1 *c, uint16_t status, const char *reason);
/* A body that cannot be read, or does not come. */
void h1_fail_body(struct client_h1 *c, uint16_t status, const char *reason);

#endif
