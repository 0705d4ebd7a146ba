/* A scripted HTTP/2 server at the other end of a call: it answers nothing by itself but what the protocol demands. */
#ifndef TESTS_REPLAY_PEER_H2_H
#define TESTS_REPLAY_PEER_H2_H

#include "gateway/http/h2_server.h"
#include "tests/replay/calls.h"

#define PEER_REQUESTS_MAX 256

struct peer_request {
    struct h2_stream *st; /* NULL: closed */
    char method[16], path[64], protocol[16], authority[64];
    bool has_key; /* a Sec-WebSocket-Key came along */
    bool is_ended;
    int64_t content_length; /* -1: not said */
    uint64_t body_bytes;
    char body[64]; /* the beginning */
    uint32_t close_code;
};

struct peer {
    struct calls *home;
    int fd;
    struct h2_server *h2;
    struct peer_request requests[PEER_REQUESTS_MAX];
    int request_count;
    bool is_greedy; /* gives no window back */
};

/* Takes the next connection of server `index`. */
void peer_accept(struct calls *t, struct peer *p, int index, bool serves_connect, uint32_t stream_count);
/* Lets both sides work until nothing moves. */
void peer_run(struct peer *p);
/* Answers request `i`; body NULL: none; `is_last` ends it. */
void peer_answer(struct peer *p, int i, uint16_t status, const char *body, bool is_last);
void peer_respond(struct peer *p, int i, uint16_t status, const char *field, const char *value, bool has_body);
void peer_send(struct peer *p, int i, const void *data, size_t len);
void peer_end(struct peer *p, int i);
void peer_reset(struct peer *p, int i, enum h2_code code);
void peer_hang_up(struct peer *p);

#endif
