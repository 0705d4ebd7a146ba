/* An HTTP client for the admin tests: plain sockets on the test's own loop, so that client and server (in the same
 * process or in another) are waited for in one place. Every wait has a guard that fails the test. */
#ifndef TESTS_UNIT_GATEWAY_ADMIN_CLIENT_H
#define TESTS_UNIT_GATEWAY_ADMIN_CLIENT_H

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/sock.h"
#include "tests/unit/gateway/report/world.h"

#define PATIENCE_MS 20000

/* Where clients live. A test that fails leaves its own open, and then the loop cannot be destroyed: see
 * clients_fini. */
struct clients {
    struct loop *loop;
    size_t open_count;
};

struct client {
    struct clients *all;
    int fd;
    struct io io;
    struct strbuf in;
    bool is_closed; /* by the server, either way */
};

/* One response, cut out of the client's input. */
struct response {
    int status;
    char head[2048];
    size_t body_len;
    char *body; /* response_fini */
};

static inline void on_patience_over(void *arg)
{
    (void)arg;
    fail_msg("waited %d ms for something that did not come", PATIENCE_MS);
}

/* Runs the loop until `*flag`; flags are set by callbacks. */
static inline void run_until(struct loop *l, const bool *flag)
{
    struct timer guard;

    timer_init(&guard, l, on_patience_over, NULL);
    timer_start(&guard, PATIENCE_MS);
    while (!*flag)
        loop_run_once(l, true);
    timer_cancel(&guard);
}

static inline void client_on_readable(void *arg, unsigned events)
{
    struct client *c = arg;
    char piece[65536];
    ssize_t n = recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);

    (void)events;
    if (n > 0) {
        strbuf_add(&c->in, piece, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        c->is_closed = true;
        io_want(&c->io, 0);
    }
}

static inline void clients_init(struct clients *all)
{
    *all = (struct clients){.loop = loop_create()};
}

/* Nothing is left of the loop, unless a test has failed: its message is worth more than a clean end. */
static inline void clients_fini(struct clients *all)
{
    if (all->open_count == 0)
        loop_destroy(&all->loop);
}

/* Connects; `receive_bytes` above 0 shrinks the receive buffer, and reading waits for client_read. */
static inline void client_open(struct client *c, struct clients *all, const struct addr *to, int receive_bytes)
{
    *c = (struct client){.all = all, .fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(c->fd >= 0);
    strbuf_init(&c->in, 16u << 20);
    if (receive_bytes > 0)
        assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes), 0);
    assert_int_equal(connect(c->fd, &to->sa, to->len), 0);
    io_init(&c->io, all->loop, c->fd, client_on_readable, c);
    all->open_count++;
    io_want(&c->io, receive_bytes > 0 ? 0 : IO_READ);
}

static inline void client_read(struct client *c)
{
    io_want(&c->io, IO_READ);
}

static inline void client_close(struct client *c)
{
    io_fini(&c->io);
    close(c->fd);
    strbuf_fini(&c->in);
    c->all->open_count--;
}

static inline void client_send_bytes(struct client *c, const void *data, size_t len)
{
    assert_int_equal(send(c->fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void client_send(struct client *c, const char *text)
{
    client_send_bytes(c, text, strlen(text));
}

static inline void client_wait_closed(struct client *c)
{
    client_read(c);
    run_until(c->all->loop, &c->is_closed);
}

/* The value of a header in a response head, or NULL; copied into `out`. */
static inline const char *header_of(const struct response *r, const char *name, char out[256])
{
    const char *line = r->head;
    size_t name_len = strlen(name);

    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        line += name_len + 1 + strspn(line + name_len + 1, " ");
        snprintf(out, 256, "%.*s", (int)strcspn(line, "\r"), line);
        return out;
    }
    return NULL;
}

static inline void assert_header(const struct response *r, const char *name, const char *expected)
{
    char value[256];

    if (header_of(r, name, value) == NULL)
        fail_msg("no header %s in %s", name, r->head);
    assert_string_equal(value, expected);
}

/* Cuts a whole response off the input; false while it is not all there. */
static inline bool client_take(struct client *c, bool is_head, struct response *r)
{
    const char *end = c->in.len > 0 ? strstr(c->in.data, "\r\n\r\n") : NULL;
    size_t head_len, left;
    char value[256];

    if (end == NULL)
        return false;
    *r = (struct response){.status = 0};
    head_len = (size_t)(end - c->in.data) + 4;
    assert_true(head_len < sizeof r->head);
    memcpy(r->head, c->in.data, head_len);
    assert_int_equal(sscanf(r->head, "HTTP/1.%*1[01] %d ", &r->status), 1);
    r->body_len = header_of(r, "content-length", value) != NULL && !is_head ? strtoul(value, NULL, 10) : 0;
    if (c->in.len < head_len + r->body_len)
        return false;
    r->body = mem_strndup(c->in.data + head_len, r->body_len);
    left = c->in.len - head_len - r->body_len;
    memmove(c->in.data, c->in.data + head_len + r->body_len, left);
    c->in.len = left;
    c->in.data[left] = '\0';
    return true;
}

static inline void response_fini(struct response *r)
{
    mem_free(r->body);
}

static inline void client_wait(struct client *c, bool is_head, struct response *r)
{
    struct timer guard;

    timer_init(&guard, c->all->loop, on_patience_over, NULL);
    timer_start(&guard, PATIENCE_MS);
    client_read(c);
    while (!client_take(c, is_head, r)) {
        if (c->is_closed)
            fail_msg("closed without a response after %zu bytes", c->in.len);
        loop_run_once(c->all->loop, true);
    }
    timer_cancel(&guard);
}

/* Sends one request and waits for its response. */
static inline void client_ask(struct client *c, const char *method, const char *path, struct response *r)
{
    char request[512];

    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, path);
    client_send(c, request);
    client_wait(c, strcmp(method, "HEAD") == 0, r);
}

#endif
