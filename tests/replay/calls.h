/* Calls in the test's own process, under the virtual clock: real loopback sockets, scripted servers, and a user of
 * calls who writes down what it is told. */
#ifndef TESTS_REPLAY_CALLS_H
#define TESTS_REPLAY_CALLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "gateway/upstream/call.h"
#include "gateway/upstream/names.h"
#include "gateway/upstream/pool.h"
#include "tests/replay/sim.h"

#define CALLS_SERVERS 2

struct calls {
    struct loop *loop;
    struct net *net;
    struct birth birth;
    struct slots *slots;
    struct roster *roster;
    struct verdict_table *verdicts;
    struct server_env env;
    struct pool_set *pools;
    struct names *names;
    struct conf *conf;
    int server_fd[CALLS_SERVERS]; /* listening sockets of "a" and "b" */
    int held_fd[CALLS_SERVERS];   /* hold their ports */
    uint16_t server_port[CALLS_SERVERS];
};

/* `yaml`: a configuration whose first pool has the servers that are meant; @a and @b stand for the ports. */
void calls_open(struct calls *t, const char *yaml);
void calls_close(struct calls *t); /* every call must be over, every server's socket closed */
struct server *calls_server(struct calls *t, int index);
void calls_advance(struct calls *t, int64_t time_ms);
uint64_t calls_counted(struct calls *t, enum stat_server id); /* of server 0 */

/* A call and what was heard of it. */
struct user {
    struct calls *home;
    struct call *call;
    int ready_count, drain_count;
    uint16_t status; /* 0: no head yet */
    bool has_body;
    char field[128]; /* value of the answer's X-Test field */
    struct strbuf body;
    uint64_t body_bytes; /* all of it, also what was not kept */
    bool is_ended;
    struct conn *joined;          /* owned */
    struct http_head joined_head; /* but for its texts */
    char protocol[32];            /* Sec-WebSocket-Protocol of the same */
    bool has_accept;
    struct strbuf tunnel; /* what came over it, the rest of the call first */
    bool is_tunnel_over;
    bool is_failed;
    struct call_failure failure;
    char detail[128];
    bool pauses;          /* pauses at the first data */
    bool cancels_at_head; /* ends it from within a callback */
    bool cancels_at_data;
};

struct ask {
    const char *method; /* GET */
    const char *path;   /* / */
    const char *fields; /* "name: value\n..." */
    bool has_body;
    int64_t content_length; /* with has_body; -1: chunked */
    bool is_not_repeatable;
    bool is_websocket;
    enum conf_over over;
    int64_t deadline_ms, begun_ms;
    int server;
};
void user_start(struct calls *t, struct user *u, const struct ask *a);
void user_fini(struct user *u); /* cancels what is under way, closes what was joined */
/* Fails the test unless the call ended with this answer. */
void user_expect(const struct user *u, uint16_t status, const char *body);
void user_expect_failed(const struct user *u, enum err e, enum call_phase phase);

/* Servers: raw sockets. Reading lets the loop work until nothing moves. */
bool server_has_waiting(struct calls *t, int index);
int server_accept(struct calls *t, int index);
/* At most cap - 1 bytes, NUL-terminated. 0 at the end of stream, -1 when nothing is there, -2 after a reset. */
int server_read(struct calls *t, int fd, char *buf, size_t cap);
/* Reads something that begins with `begin` and ends with `end`. */
void server_expect(struct calls *t, int fd, const char *begin, const char *end);
void server_write(struct calls *t, int fd, const char *text);
void server_write_bytes(struct calls *t, int fd, const void *data, size_t len);
/* The peer has hung up, with or without a reset. */
void server_expect_gone(struct calls *t, int fd);

#endif
