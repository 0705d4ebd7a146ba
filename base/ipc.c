/* Messages as datagrams of a SOCK_SEQPACKET socketpair: one sendmsg(2) is one message, so there is no framing to get
 * out of step, and a descriptor travels with exactly the message it belongs to.
 *
 * The hard part is a peer that is slow or mad. What does not fit waits in a bounded queue, each entry with its own
 * duplicate of the descriptor. What arrives is believed only when type and size agree with the table and nothing was
 * cut off; anything else ends the connection, and the supervisor's answer to that is a new child. */
#include "base/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define IPC_MAGIC      0x19c5e21fu
#define IPC_ITEM_MAGIC 0x19c17e3bu
#define PASS_MAX       64 /* messages taken before others get their turn */

/* Sizes of the payloads, from the table. */
static const struct {
    const char *text;
    size_t size_bytes;
} types[MSG_COUNT] = {[MSG_NONE] = {"MSG_NONE", 0},
#define X(id, payload, from, meaning) [id] = {#id, sizeof(payload)},
                      IPC_TABLE(X)
#undef X
};

union payload {
    char any[1];
#define X(id, payload, from, meaning) payload as_##id;
    IPC_TABLE(X)
#undef X
};

struct frame {
    uint32_t type;
    uint32_t size_bytes;
    union payload payload;
};

struct ipc_item {
    uint32_t magic;
    struct list link;
    int fd;
    struct frame frame;
};

struct ipc {
    uint32_t magic;
    int fd;
    struct io io;
    struct later reaper;
    struct list queue;
    uint32_t queue_count;
    bool is_in_callback;
    bool is_destroyed; /* freed by `reaper` */
    bool is_closed;
    ipc_message_fn *on_message;
    ipc_closed_fn *on_closed;
    void *arg;
};

const char *override_text(enum override_kind k)
{
    static const char *const texts[] = {[OVERRIDE_AUTO] = "auto",
                                        [OVERRIDE_UP] = "up",
                                        [OVERRIDE_DOWN] = "down",
                                        [OVERRIDE_DRAIN] = "drain",
                                        [OVERRIDE_UNDRAIN] = "undrain"};
    _Static_assert(sizeof texts / sizeof texts[0] == OVERRIDE_COUNT, "one text each");
    ASSERT((size_t)k < OVERRIDE_COUNT);
    return texts[k];
}

const char *ipc_type_text(enum ipc_type t)
{
    return (unsigned)t < MSG_COUNT ? types[t].text : "MSG_UNKNOWN";
}

static size_t frame_size(const struct frame *f)
{
    return offsetof(struct frame, payload) + f->size_bytes;
}

static enum err frame_send(int socket_fd, const struct frame *f, int fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)f, .iov_len = frame_size(f)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t n;
    do
        n = sendmsg(socket_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? err_from_errno(errno) : ERR_NONE;
}

/* The descriptor that came with a message, or -1; further ones, which nobody may send, are closed. */
static int take_fd(struct msghdr *msg)
{
    int fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int got;
            memcpy(&got, CMSG_DATA(c) + i * sizeof got, sizeof got);
            if (fd < 0)
                fd = got;
            else
                close(got);
        }
    }
    return fd;
}

/* ERR_EOF when the peer is gone, ERR_PROTOCOL for a message that is not in the table. */
static enum err frame_receive(int socket_fd, struct frame *f, int *fd)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = f, .iov_len = sizeof *f};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    msg.msg_control = control.bytes;
    msg.msg_controllen = sizeof control.bytes;
    ssize_t n;
    do
        n = recvmsg(socket_fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_from_errno(errno);
    if (n == 0)
        return ERR_EOF;
    *fd = take_fd(&msg);
    bool is_whole = (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && (size_t)n >= offsetof(struct frame, payload);
    if (is_whole && f->type > MSG_NONE && f->type < MSG_COUNT && f->size_bytes == types[f->type].size_bytes &&
        (size_t)n == frame_size(f))
        return ERR_NONE;
    if (*fd >= 0)
        close(*fd);
    return ERR_PROTOCOL;
}

static void item_drop(struct ipc *i, struct ipc_item *item)
{
    list_unlink(&item->link);
    i->queue_count--;
    if (item->fd >= 0)
        close(item->fd);
    mem_wipe(&item->frame, sizeof item->frame); /* it may have been keys */
    OBJ_FREE(&item, IPC_ITEM_MAGIC);
}

static void queue_drop(struct ipc *i)
{
    LIST_EACH (it, &i->queue)
        item_drop(i, LIST_ENTRY(it, struct ipc_item, link));
}

static void watch(struct ipc *i)
{
    io_want(&i->io, i->is_closed ? 0 : IO_READ | (list_is_empty(&i->queue) ? 0u : (unsigned)IO_WRITE));
}

/* Sends what waits; a dead peer is noticed by reading. */
static void flush(struct ipc *i)
{
    LIST_EACH (it, &i->queue) {
        struct ipc_item *item = LIST_ENTRY(it, struct ipc_item, link);
        enum err e = frame_send(i->fd, &item->frame, item->fd);
        if (e == ERR_AGAIN)
            break;
        if (e != ERR_NONE)
            LOG_WARN("message lost", KV_STR("type", ipc_type_text(item->frame.type)), KV_STR("cause", err_text(e)));
        item_drop(i, item);
    }
    watch(i);
}

static void closed(struct ipc *i, enum err why)
{
    if (why != ERR_EOF && why != ERR_RESET)
        LOG_WARN("control connection given up", KV_STR("cause", err_text(why)));
    i->is_closed = true;
    queue_drop(i);
    watch(i);
    i->on_closed(i->arg);
}

/* An answer that does not fit need not be sent: those that wait say the same. */
static void answer_ping(struct ipc *i, int fd)
{
    static const struct msg_empty pong = {0};
    if (fd >= 0)
        close(fd);
    (void)!ipc_send(i, MSG_PONG, &pong, -1);
}

static void receive(struct ipc *i)
{
    for (int n = 0; n < PASS_MAX && !i->is_destroyed; n++) {
        struct frame f;
        int fd = -1;
        enum err e = frame_receive(i->fd, &f, &fd);
        if (e == ERR_AGAIN)
            return;
        if (e != ERR_NONE) {
            closed(i, e);
            return;
        }
        if (f.type == MSG_PING)
            answer_ping(i, fd);
        else
            i->on_message(i->arg, (enum ipc_type)f.type, &f.payload, fd);
        mem_wipe(&f, sizeof f);
    }
}

static void on_io(void *arg, unsigned events)
{
    struct ipc *i = arg;
    CHECK_OBJ(i, IPC_MAGIC);
    i->is_in_callback = true;
    if (events & IO_WRITE)
        flush(i);
    if ((events & IO_READ) && !i->is_closed)
        receive(i);
    i->is_in_callback = false;
}

static void on_reap(void *arg)
{
    struct ipc *i = arg;
    OBJ_FREE(&i, IPC_MAGIC);
}

struct ipc *ipc_create(struct loop *l, int fd, ipc_message_fn *on_message, ipc_closed_fn *on_closed, void *arg)
{
    struct ipc *i;
    OBJ_NEW(i, IPC_MAGIC);
    i->fd = fd;
    i->on_message = on_message;
    i->on_closed = on_closed;
    i->arg = arg;
    list_init(&i->queue);
    later_init(&i->reaper, l, on_reap, i);
    io_init(&i->io, l, fd, on_io, i);
    watch(i);
    return i;
}

void ipc_destroy(struct ipc **ip)
{
    struct ipc *i = *ip;
    CHECK_OBJ(i, IPC_MAGIC);
    ASSERT(!i->is_destroyed);
    *ip = NULL;
    i->is_destroyed = true;
    i->is_closed = true;
    queue_drop(i);
    io_fini(&i->io);
    close(i->fd);
    if (i->is_in_callback)
        later_post(&i->reaper);
    else
        on_reap(i);
}

static enum err queue_add(struct ipc *i, const struct frame *f, int fd)
{
    int copy = -1;
    if (i->queue_count >= IPC_QUEUE_MAX)
        return ERR_FULL;
    if (fd >= 0 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
        return err_from_errno(errno);
    struct ipc_item *item;
    OBJ_NEW(item, IPC_ITEM_MAGIC);
    item->fd = copy;
    item->frame = *f;
    list_append(&i->queue, &item->link);
    i->queue_count++;
    watch(i);
    return ERR_NONE;
}

enum err ipc_send(struct ipc *i, enum ipc_type type, const void *payload, int fd)
{
    CHECK_OBJ(i, IPC_MAGIC);
    ASSERT(type > MSG_NONE && type < MSG_COUNT);
    if (i->is_closed)
        return ERR_EOF;
    struct frame f = {.type = type, .size_bytes = (uint32_t)types[type].size_bytes};
    memcpy(&f.payload, payload, f.size_bytes);
    enum err e = list_is_empty(&i->queue) ? frame_send(i->fd, &f, fd) : ERR_AGAIN;
    if (e == ERR_AGAIN)
        e = queue_add(i, &f, fd);
    mem_wipe(&f, sizeof f);
    return e;
}

bool ipc_has_room(const struct ipc *i)
{
    CHECK_OBJ(i, IPC_MAGIC);
    return i->queue_count < IPC_QUEUE_MAX / 2;
}

void ipc_answer_conf(struct ipc *i, uint64_t generation, const char *error)
{
    struct msg_conf_ack ack = {.generation = generation, .ok = error == NULL};

    if (error != NULL)
        (void)snprintf(ack.error, sizeof ack.error, "%.*s", (int)sizeof ack.error - 1, error);
    const enum err e = ipc_send(i, MSG_CONF_ACK, &ack, -1);
    if (e != ERR_NONE)
        LOG_ERR("configuration not answered", KV_UINT("generation", generation), KV_STR("cause", err_text(e)));
}
