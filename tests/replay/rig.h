/* A whole worker in the test's own process, under the virtual clock: real loopback sockets, no other process. The test
 * plays the client, the servers, the supervisor and the checker. */
#ifndef TESTS_REPLAY_RIG_H
#define TESTS_REPLAY_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/birth.h"
#include "gateway/worker/worker.h"
#include "tests/replay/sim.h"

#define RIG_SERVERS      3
#define RIG_REASON_BYTES 124 /* the longest there is, and a NUL */

struct rig {
    struct loop *loop;
    struct birth birth;
    struct slots *slots;
    struct roster *roster;
    struct verdict_table *verdicts;
    struct worker *worker;
    int supervisor_fd;          /* our end of the control socket */
    uint16_t port;              /* the worker listens here */
    int server_fd[RIG_SERVERS]; /* listening sockets of the servers "a", "b", "c"; -1: closed, connects are refused */
    uint16_t server_port[RIG_SERVERS];
    int held_fd[RIG_SERVERS]; /* hold these ports */
    uint64_t generation;
};

/* Sets up servers and a worker that has `yaml` for configuration: a printf format that is given the ports of a, b and
 * c. */
void rig_open(struct rig *r, const char *yaml);
/* Gives the worker another configuration, as the supervisor would; fails the test when it is refused. */
void rig_reload(struct rig *r, const char *yaml);
void rig_close(struct rig *r);
/* Lets `time_ms` pass, with everything that becomes due on the way. */
void rig_advance(struct rig *r, int64_t time_ms);

/* A client connects and sends `request`, or a plain handshake for `path`. The returned socket is the test's. */
int rig_client(struct rig *r, const char *request);
int rig_handshake(struct rig *r, const char *path);
/* Takes the next connection that waits at a server; fails the test when there is none. */
int rig_accept(struct rig *r, int server);
bool rig_has_waiting(struct rig *r, int server);
/* Reads the worker's request at a server and accepts the upgrade. */
void rig_upgrade(struct rig *r, int fd);
/* A client whose WebSocket is open, through server `server`; *server_fd is that server's end. */
int rig_websocket(struct rig *r, const char *path, int server, int *server_fd);
/* Stops a server: nothing listens there any more. */
void rig_stop_server(struct rig *r, int server);

/* Lets the worker work until nothing moves, then reads what `fd` has; at most `cap` - 1 bytes, NUL-terminated.
 * Returns the count, 0 at end of stream, -1 when nothing is there, -2 after a reset. */
int rig_read(struct rig *r, int fd, char *buf, size_t cap);
void rig_write(struct rig *r, int fd, const void *data, size_t len);
/* Reads one frame the worker or the other side sent and expects it to be a close with `code`. */
void rig_expect_close(struct rig *r, int fd, uint16_t code);
/* The same; copies its reason, NUL-terminated, to `reason`. */
void rig_expect_close_reason(struct rig *r, int fd, uint16_t code, char reason[RIG_REASON_BYTES]);
/* Sends a text message, from a client (masked) or a server. */
void rig_send_text(struct rig *r, int fd, const char *text, bool from_client);

#endif
