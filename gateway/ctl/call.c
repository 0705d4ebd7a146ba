/* A blocking client with one deadline over everything: the socket does not block, poll(2) does the waiting. */
#include "gateway/ctl/call.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sock.h"

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static enum err wait_for(int fd, short events, int64_t deadline_ms)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        int64_t left_ms = deadline_ms - now_ms();
        int n;

        if (left_ms <= 0)
            return ERR_TIMEOUT;
        n = poll(&p, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (n > 0)
            return ERR_NONE;
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
    }
}

static enum err send_line(int fd, const char *command, int64_t deadline_ms)
{
    char *line = mem_printf("%s\n", command);
    size_t len = strlen(line), sent = 0;
    enum err e = ERR_NONE;

    while (sent < len && e == ERR_NONE) {
        ssize_t n = send(fd, line + sent, len - sent, MSG_NOSIGNAL);

        if (n > 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            e = wait_for(fd, POLLOUT, deadline_ms);
        else if (errno != EINTR)
            e = err_from_errno(errno);
    }
    mem_free(line);
    return e;
}

static enum err read_to_end(int fd, struct strbuf *out, int64_t deadline_ms)
{
    char piece[16384];
    enum err e = ERR_NONE;

    while (e == ERR_NONE) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);

        if (n == 0)
            return ERR_NONE;
        if (n > 0) {
            strbuf_add(out, piece, (size_t)n);
            if (out->failed)
                return ERR_LIMIT;
        } else if (errno == EAGAIN) {
            e = wait_for(fd, POLLIN, deadline_ms);
        } else if (errno != EINTR) {
            e = err_from_errno(errno);
        }
    }
    return e;
}

/* Splits the first line off. */
static enum err parse(const struct strbuf *raw, struct call_answer *answer)
{
    static const char ok[] = "ok", error[] = "error: ";
    const char *end = raw->len > 0 ? memchr(raw->data, '\n', raw->len) : NULL;
    size_t len;

    if (end == NULL)
        return ERR_PROTOCOL;
    len = (size_t)(end - raw->data);
    strbuf_init(&answer->text, CALL_ANSWER_BYTES_MAX);
    if (len == sizeof ok - 1 && memcmp(raw->data, ok, len) == 0) {
        answer->is_ok = true;
        strbuf_add(&answer->text, end + 1, raw->len - len - 1);
    } else if (len >= sizeof error - 1 && memcmp(raw->data, error, sizeof error - 1) == 0) {
        answer->is_ok = false;
        strbuf_add(&answer->text, raw->data + sizeof error - 1, len - (sizeof error - 1));
        if (raw->len > len + 2) { /* more lines: a refused configuration has many complaints */
            strbuf_puts(&answer->text, "\n");
            strbuf_add(&answer->text, end + 1, raw->len - len - 1);
        }
    } else {
        return ERR_PROTOCOL;
    }
    strbuf_puts(&answer->text, ""); /* never NULL */
    return ERR_NONE;
}

enum err call_gateway(const char *socket_path, const char *command, int64_t timeout_ms, struct call_answer *answer)
{
    int64_t deadline_ms = now_ms() + timeout_ms;
    struct strbuf raw;
    struct addr a;
    char *text = mem_printf("unix:%s", socket_path);
    bool is_valid = addr_parse(&a, text);
    enum err e;
    int fd;

    mem_free(text);
    if (!is_valid)
        return ERR_INVALID;
    e = sock_connect(&a, &fd);
    if (e != ERR_NONE)
        return e;
    strbuf_init(&raw, CALL_ANSWER_BYTES_MAX);
    e = wait_for(fd, POLLOUT, deadline_ms);
    if (e == ERR_NONE)
        e = sock_connect_result(fd);
    if (e == ERR_NONE)
        e = send_line(fd, command, deadline_ms);
    if (e == ERR_NONE)
        e = read_to_end(fd, &raw, deadline_ms);
    if (e == ERR_NONE)
        e = parse(&raw, answer);
    strbuf_fini(&raw);
    close(fd);
    return e;
}

void call_answer_fini(struct call_answer *answer)
{
    strbuf_fini(&answer->text);
}
