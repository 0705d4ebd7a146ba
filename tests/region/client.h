/* One connection that came in through the door: its request, what it says and what is still to be said to it. Knows
 * nothing of libwebsockets; web.c moves the bytes. */
#ifndef REGION_CLIENT_H
#define REGION_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "tests/region/head.h"
#include "tests/region/wrong.h"

#define CLIENT_MAGIC           0x4e61c104u
#define CLIENT_HEADROOM        32u         /* before each outgoing payload, for the library's frame header */
#define CLIENT_QUEUE_MAX_BYTES (32u << 20) /* what a slow reader may leave unread before it is closed */
#define CLIENT_PAUSE_BYTES     (4u << 20)  /* an echo stops reading above this */
#define CLIENT_MESSAGE_MAX     (16u << 20) /* longest message taken: echo */
#define CLIENT_FRAME_MAX       5000000u    /* the same for Phoenix */
#define CLIENT_BODY_MAX        (8u << 20)

struct region;

enum client_kind { CLIENT_KIND_HTTP = 0, CLIENT_KIND_ECHO, CLIENT_KIND_PHOENIX };

struct outgoing {
    struct list link;
    bool is_binary;
    size_t len;
    uint8_t room[]; /* CLIENT_HEADROOM, then the payload */
};

struct client {
    uint32_t magic;
    enum client_kind kind;
    struct region *region;
    struct list link; /* region->clients */
    struct head head;
    void *wsi; /* web's; NULL before and after */

    struct strbuf in; /* request body, or the message being put together */
    bool in_is_binary;
    struct list out;
    size_t out_bytes;

    bool is_upgraded;
    bool is_answered; /* HTTP: the answer is queued */
    bool is_paused;   /* HTTP: its answer's body is held back (hang=body) */
    bool is_busy;     /* nothing is read and nothing is sent: a join is under way */
    bool is_closing;  /* after the queue is empty, with: */
    uint16_t close_code;
    char close_reason[124];
    const struct wrong_frame *wrong; /* to be sent after the queue is empty; NULL: none */

    struct socket *socket;   /* Phoenix */
    struct request *request; /* REST, while rows are under way */
};

struct client *client_create(struct region *r, struct head *take_head);
void client_destroy(struct client **cp);

/* Queues a message; a client that does not read is closed with 1013. */
void client_send(struct client *c, const void *bytes, size_t len, bool is_binary);
/* Queues the whole HTTP answer, after which the connection is closed. `type` NULL: text/plain. */
void client_answer(struct client *c, int status, const char *type, const void *body, size_t len);
/* The same with JSON; takes the reference. */
void client_answer_json(struct client *c, int status, json_t *take_body);
/* Closes the WebSocket after what is queued. */
void client_close(struct client *c, uint16_t code, const char *reason);
/* The same for a node that shuts down: its channels are gone at once, however long the closing takes. */
void client_dismiss(struct client *c, uint16_t code, const char *reason);
void client_set_busy(struct client *c, bool is_busy);
void client_send_wrong(struct client *c, const struct wrong_frame *w);
/* Whether its bytes are to be read at this moment. */
bool client_may_read(const struct client *c);

#endif
