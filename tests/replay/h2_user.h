/* A client of the rig that speaks HTTP/2, by the session the gateway itself uses towards servers; and what it has been
 * told, stream by stream. Independent clients are in the scenes. */
#ifndef TESTS_REPLAY_H2_USER_H
#define TESTS_REPLAY_H2_USER_H

#include "gateway/http/h2_client.h"
#include "tests/replay/rig.h"

struct h2_user {
    struct rig *rig;
    int fd;
    struct h2_client *session;
    bool is_goodbye; /* the server wants no more requests */
    bool is_gone;    /* the connection has ended */
};

/* One request and what has come of it. */
struct h2_call {
    struct h2_user *user;
    struct h2_stream *stream; /* NULL once closed */
    bool has_body;            /* of the request ... */
    bool has_ended;           /* ... which the test has ended: kept by the test */
    bool keeps;               /* takes nothing of what comes: no window is given back */
    uint16_t interim;         /* status of the last interim answer */
    uint16_t status;          /* 0: no answer yet */
    char fields[2048];        /* "name: value\n" each */
    char body[4096];          /* its beginning */
    size_t body_bytes;
    bool is_ended;
    bool is_closed;
    uint32_t code; /* of the close */
};

/* Connects, and exchanges settings. */
void h2_user_open(struct h2_user *u, struct rig *r);
void h2_user_close(struct h2_user *u);
/* Lets bytes go to and fro until nothing moves. */
void h2_user_run(struct h2_user *u);
/* Lets `time_ms` pass, and does so before and after. */
void h2_user_pass(struct h2_user *u, int64_t time_ms);

/* Begins a request ("GET", "/path"); `fields` as in HTTP/1.1, with line ends, NULL: none. `has_body`: it goes on with
 * h2_stream_send and h2_stream_end. */
void h2_call_begin(struct h2_call *c, struct h2_user *u, const char *method, const char *path, const char *fields,
                   bool has_body);
/* A WebSocket (RFC 8441): its stream stays open. */
void h2_call_websocket(struct h2_call *c, struct h2_user *u, const char *path);

#endif
