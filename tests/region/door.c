/* A visit ends in one of three ways: its socket and head go on to web, it is refused and lingers until the peer has
 * read why, or it is dropped. Everything is bounded: visits at a time, the head's size and its time. */
#include "tests/region/door.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/sock.h"
#include "tests/region/client.h"
#include "tests/region/region.h"
#include "tests/region/web.h"

#define DOOR_MAGIC        0x4e610d02u
#define VISIT_MAGIC       0x4e610d03u
#define ACCEPTS_PER_PASS  64
#define VISITS_MAX        8192u
#define READ_TIMEOUT_MS   10000
#define LINGER_TIMEOUT_MS 2000

enum visit_state { VISIT_READING = 1, VISIT_BODY, VISIT_WAITING, VISIT_HELD, VISIT_LINGERING, VISIT_GONE };

struct visit {
    uint32_t magic;
    enum visit_state state;
    struct door *door;
    struct list link; /* door->visits, then door->gone */
    int fd;           /* -1 once given away */
    struct io io;
    struct timer timer; /* of the state: head deadline, delay, linger */
    struct head head;   /* once read */
    struct strbuf body;
    size_t len; /* of the head, so far */
    char bytes[HEAD_BYTES_MAX];
};

struct door {
    uint32_t magic;
    struct region *region;
    int fd;
    struct io io;
    struct list visits;
    struct list gone; /* freed at the end of the pass */
    struct later sweep;
    size_t visit_count;
};

static void on_sweep(void *arg)
{
    struct door *d = arg;

    LIST_EACH (it, &d->gone) {
        struct visit *v = LIST_ENTRY(it, struct visit, link);

        list_unlink(&v->link);
        head_fini(&v->head);
        strbuf_fini(&v->body);
        OBJ_FREE(&v, VISIT_MAGIC);
    }
}

/* The one way out; closes the socket unless it was given away. */
static void leave(struct visit *v)
{
    struct door *d = v->door;

    if (v->state == VISIT_GONE)
        return;
    v->state = VISIT_GONE;
    timer_cancel(&v->timer);
    if (v->fd >= 0) {
        io_fini(&v->io);
        close(v->fd);
        v->fd = -1;
    }
    d->visit_count--;
    list_unlink(&v->link);
    list_append(&d->gone, &v->link);
    later_post(&d->sweep);
}

static void refuse(struct visit *v, int64_t status)
{
    char text[512];
    int len;

    if (status == KNOB_REFUSE_RESET) {
        sock_reset_on_close(v->fd);
        leave(v);
        return;
    }
    len = snprintf(text, sizeof(text),
                   "HTTP/1.1 %d Refused\r\ncontent-type: text/plain\r\ncontent-length: 8\r\nx-region: %s\r\n"
                   "connection: close\r\n\r\nrefused\n",
                   (int)status, v->door->region->name);
    if (send(v->fd, text, (size_t)len, MSG_NOSIGNAL) != len || shutdown(v->fd, SHUT_WR) != 0) {
        leave(v);
        return;
    }
    v->state = VISIT_LINGERING;
    io_want(&v->io, IO_READ);
    timer_start(&v->timer, LINGER_TIMEOUT_MS);
}

static void admit(struct visit *v)
{
    struct head head = v->head;
    struct strbuf body = v->body;
    int fd = v->fd;

    io_fini(&v->io);
    v->fd = -1;
    memset(&v->head, 0, sizeof(v->head));
    memset(&v->body, 0, sizeof(v->body));
    if (head_asks_websocket(&head))
        v->door->region->upgrade_count++;
    web_admit(v->door->region->web, fd, &head, &body);
    leave(v);
}

/* What the knobs have in mind for a complete request; called again when they change. */
static void decide(struct visit *v, bool has_waited)
{
    const struct knobs *k = &v->door->region->knobs;
    bool is_websocket = head_asks_websocket(&v->head);
    int64_t status = web_refusal(v->door->region, &v->head);

    if (strncmp(v->head.path, "/_", 2) == 0) {
        admit(v);
    } else if (!has_waited && knobs_number(k, KNOB_DELAY) > 0) {
        v->state = VISIT_WAITING;
        io_want(&v->io, 0);
        timer_start(&v->timer, knobs_number(k, KNOB_DELAY));
    } else if (knobs_number(k, KNOB_REFUSE) != 0) {
        refuse(v, knobs_number(k, KNOB_REFUSE));
    } else if (is_websocket && knobs_number(k, KNOB_UPGRADE_STATUS) != 0) {
        refuse(v, knobs_number(k, KNOB_UPGRADE_STATUS));
    } else if (is_websocket && knobs_number(k, KNOB_HANG) == HANG_UPGRADE) {
        v->state = VISIT_HELD;
        timer_cancel(&v->timer);
        io_want(&v->io, IO_READ);
    } else if (status != 0) {
        refuse(v, status);
    } else {
        admit(v);
    }
}

static bool has_ended(ssize_t got)
{
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

static void on_complete(struct visit *v)
{
    timer_cancel(&v->timer);
    decide(v, false);
}

static void on_head(struct visit *v)
{
    size_t body_bytes;

    if (head_parse(&v->head, v->bytes, v->len) != ERR_NONE) {
        refuse(v, 400);
        return;
    }
    region_remember(v->door->region, &v->head);
    body_bytes = head_body_bytes(&v->head);
    if (head_asks_websocket(&v->head) || body_bytes == 0) {
        on_complete(v);
    } else if (body_bytes > CLIENT_BODY_MAX) {
        refuse(v, 413);
    } else {
        v->state = VISIT_BODY;
        strbuf_init(&v->body, body_bytes);
    }
}

/* Takes the head out of the socket and not a byte more. */
static void read_head(struct visit *v)
{
    ssize_t got = recv(v->fd, v->bytes + v->len, sizeof(v->bytes) - v->len, MSG_PEEK);
    size_t head_len;

    if (got <= 0) {
        if (has_ended(got))
            leave(v);
        return;
    }
    head_len = head_length(v->bytes, v->len + (size_t)got);
    got = recv(v->fd, v->bytes + v->len, head_len > 0 ? head_len - v->len : (size_t)got, 0);
    ASSERT(got > 0);
    v->len += (size_t)got;
    if (head_len > 0)
        on_head(v);
    else if (v->len == sizeof(v->bytes))
        refuse(v, 431);
}

static void read_body(struct visit *v)
{
    size_t left = v->body.max_bytes - v->body.len;
    ssize_t got = recv(v->fd, v->bytes, left < sizeof(v->bytes) ? left : sizeof(v->bytes), 0);

    if (has_ended(got)) {
        leave(v);
    } else if (got > 0) {
        strbuf_add(&v->body, v->bytes, (size_t)got);
        if (v->body.len == v->body.max_bytes)
            on_complete(v);
    }
}

static void on_visit_io(void *arg, unsigned events)
{
    struct visit *v = arg;
    ssize_t got;

    (void)events;
    CHECK_OBJ(v, VISIT_MAGIC);
    switch (v->state) {
    case VISIT_READING:
        read_head(v);
        break;
    case VISIT_BODY:
        read_body(v);
        break;
    case VISIT_HELD: /* it may hang up, but what it says is for later */
        got = recv(v->fd, v->bytes, 1, MSG_PEEK);
        if (has_ended(got))
            leave(v);
        else if (got > 0)
            io_want(&v->io, 0);
        break;
    case VISIT_LINGERING: /* what still comes is thrown away */
        if (has_ended(recv(v->fd, v->bytes, sizeof(v->bytes), 0)))
            leave(v);
        break;
    case VISIT_WAITING:
    case VISIT_GONE:
        break;
    }
}

static void on_visit_timer(void *arg)
{
    struct visit *v = arg;

    CHECK_OBJ(v, VISIT_MAGIC);
    if (v->state == VISIT_WAITING)
        decide(v, true);
    else
        leave(v);
}

static void on_accept(void *arg, unsigned events)
{
    struct door *d = arg;

    (void)events;
    CHECK_OBJ(d, DOOR_MAGIC);
    for (int i = 0; i < ACCEPTS_PER_PASS; i++) {
        struct visit *v;
        struct addr peer;
        int fd;

        if (sock_accept(d->fd, &fd, &peer) != ERR_NONE)
            return;
        if (d->visit_count == VISITS_MAX) {
            close(fd);
            continue;
        }
        OBJ_NEW(v, VISIT_MAGIC);
        v->state = VISIT_READING;
        v->door = d;
        v->fd = fd;
        d->visit_count++;
        list_init(&v->link);
        list_append(&d->visits, &v->link);
        io_init(&v->io, d->region->loop, fd, on_visit_io, v);
        io_want(&v->io, IO_READ);
        timer_init(&v->timer, d->region->loop, on_visit_timer, v);
        timer_start(&v->timer, READ_TIMEOUT_MS);
    }
}

struct door *door_create(struct region *r, const char *listen)
{
    struct door *d;
    struct addr addr;
    enum err e = ERR_INVALID;
    int fd = -1;

    if (addr_parse(&addr, listen))
        e = sock_listen(&addr, false, 1024, &fd);
    if (e != ERR_NONE) {
        LOG_ERR("cannot listen", KV_STR("address", listen), KV_STR("cause", err_text(e)));
        return NULL;
    }
    OBJ_NEW(d, DOOR_MAGIC);
    d->region = r;
    d->fd = fd;
    list_init(&d->visits);
    list_init(&d->gone);
    later_init(&d->sweep, r->loop, on_sweep, d);
    io_init(&d->io, r->loop, fd, on_accept, d);
    io_want(&d->io, IO_READ);
    return d;
}

uint16_t door_port(const struct door *d)
{
    struct addr addr;

    CHECK_OBJ(d, DOOR_MAGIC);
    return sock_local_addr(d->fd, &addr) == ERR_NONE ? addr_port(&addr) : 0;
}

void door_shut(struct door *d)
{
    CHECK_OBJ(d, DOOR_MAGIC);
    if (d->fd < 0)
        return;
    io_fini(&d->io);
    close(d->fd);
    d->fd = -1;
    LIST_EACH (it, &d->visits)
        leave(LIST_ENTRY(it, struct visit, link));
}

void door_recheck(struct door *d)
{
    CHECK_OBJ(d, DOOR_MAGIC);
    LIST_EACH (it, &d->visits) {
        struct visit *v = LIST_ENTRY(it, struct visit, link);

        if (v->state == VISIT_HELD)
            decide(v, true);
    }
}

void door_destroy(struct door **dp)
{
    CHECK_OBJ(*dp, DOOR_MAGIC);
    door_shut(*dp);
    later_cancel(&(*dp)->sweep);
    on_sweep(*dp);
    OBJ_FREE(dp, DOOR_MAGIC);
}
