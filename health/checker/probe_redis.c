/* The redis probe: PING, after AUTH when there is a password, and PONG is the answer. Both commands are sent at once;
 * Redis answers in order. A Redis that loads its data or has lost its master says so instead, and is not healthy. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "health/checker/probe.h"

#define REQUEST_BYTES_MAX 2048u
/* The answers are one short line each; of a longer one the beginning is enough. */
#define ANSWER_BYTES 512u

struct probe_redis {
    struct probe base;
    int fd; /* -1: none */
    struct io io;
    bool is_connected;
    struct strbuf request;
    size_t sent_bytes;
    unsigned lines_left; /* to be answered */
    size_t answer_len;
    char answer[ANSWER_BYTES];
};

static struct probe_redis *redis_of(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    ASSERT(p->ops == &probe_redis_ops);
    return (struct probe_redis *)(void *)p;
}

static void add_text(struct strbuf *out, const char *text)
{
    strbuf_printf(out, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void make_request(struct probe_redis *r, const struct conf_check *c)
{
    bool has_user = c->redis_user[0] != '\0', has_password = c->redis_password[0] != '\0';

    strbuf_init(&r->request, REQUEST_BYTES_MAX);
    r->lines_left = has_password ? 2 : 1;
    if (has_password) {
        strbuf_puts(&r->request, has_user ? "*3\r\n" : "*2\r\n");
        add_text(&r->request, "AUTH");
        if (has_user)
            add_text(&r->request, c->redis_user);
        add_text(&r->request, c->redis_password);
    }
    strbuf_puts(&r->request, "*1\r\n");
    add_text(&r->request, "PING");
}

/* One line of an answer: "+OK" to AUTH, then "+PONG". An error's first word is its code ("-NOAUTH Authentication
 * required."), which says enough and, unlike the rest, nothing secret. */
static void take_line(struct probe_redis *r, const char *line, size_t len)
{
    const char *wanted = r->lines_left == 2 ? "+OK" : "+PONG";
    char detail[64] = "not an answer of Redis";

    if (len == strlen(wanted) && memcmp(line, wanted, len) == 0) {
        if (--r->lines_left == 0)
            probe_finish(&r->base, ERR_NONE, NULL);
        return;
    }
    if (len > 1 && line[0] == '-') {
        int n = 0;
        while (n + 1 < (int)len && n < 32 && line[n + 1] >= 'A' && line[n + 1] <= 'Z')
            n++;
        snprintf(detail, sizeof detail, "answered %.*s", n, line + 1);
    }
    probe_finish(&r->base, ERR_PROTOCOL, detail);
}

static void take_lines(struct probe_redis *r)
{
    char *end;

    while (!r->base.is_finished && (end = memchr(r->answer, '\n', r->answer_len)) != NULL) {
        size_t len = (size_t)(end - r->answer), used = len + 1;

        take_line(r, r->answer, len > 0 && end[-1] == '\r' ? len - 1 : len);
        r->answer_len -= used;
        memmove(r->answer, r->answer + used, r->answer_len);
    }
    if (!r->base.is_finished && r->answer_len == sizeof r->answer)
        probe_finish(&r->base, ERR_PROTOCOL, "not an answer of Redis");
}

static void receive(struct probe_redis *r)
{
    ssize_t n = recv(r->fd, r->answer + r->answer_len, sizeof r->answer - r->answer_len, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        probe_finish(&r->base, n == 0 ? ERR_EOF : err_from_errno(errno), "while waiting for PONG");
        return;
    }
    r->answer_len += (size_t)n;
    take_lines(r);
}

static void transmit(struct probe_redis *r)
{
    ssize_t n = send(r->fd, r->request.data + r->sent_bytes, r->request.len - r->sent_bytes, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        probe_finish(&r->base, err_from_errno(errno), "while asking");
    if (n > 0)
        r->sent_bytes += (size_t)n;
    if (r->sent_bytes == r->request.len)
        io_want(&r->io, IO_READ);
}

static void on_io(void *arg, unsigned events)
{
    struct probe_redis *r = arg;

    if (!r->is_connected) {
        enum err e = sock_connect_result(r->fd);
        if (e != ERR_NONE) {
            probe_finish(&r->base, e, NULL);
        } else {
            r->is_connected = true;
            r->base.waiting_for = "PONG";
        }
    }
    if (!r->base.is_finished && (events & IO_WRITE) != 0)
        transmit(r);
    if (!r->base.is_finished && (events & IO_READ) != 0)
        receive(r);
    if (r->base.is_finished)
        io_want(&r->io, 0);
}

static void start(struct probe *p, const struct probe_plan *plan)
{
    struct probe_redis *r = redis_of(p);

    make_request(r, plan->check);
    r->fd = -1;
    enum err e = r->request.failed ? ERR_LIMIT : sock_connect(&plan->addr, &r->fd);
    if (e != ERR_NONE) {
        r->fd = -1;
        probe_finish(p, e, NULL);
        return;
    }
    io_init(&r->io, p->loop, r->fd, on_io, r);
    io_want(&r->io, IO_READ | IO_WRITE);
}

static void stop(struct probe *p)
{
    struct probe_redis *r = redis_of(p);

    if (r->request.data != NULL)
        mem_wipe(r->request.data, r->request.len); /* the password */
    strbuf_fini(&r->request);
    if (r->fd < 0)
        return;
    io_fini(&r->io);
    close(r->fd);
    r->fd = -1;
}

const struct probe_ops probe_redis_ops = {.size_bytes = sizeof(struct probe_redis), .start = start, .stop = stop};
