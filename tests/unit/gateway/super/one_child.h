/* A supervisor with one child, for what operators send to it: the child is the other end of a socketpair, the operator
 * a client of a real control socket. A fixture begins with struct one_child. */
#ifndef TESTS_UNIT_GATEWAY_SUPER_ONE_CHILD_H
#define TESTS_UNIT_GATEWAY_SUPER_ONE_CHILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"
#include "gateway/super/super.h"

#define PATIENCE_MS 10000

struct one_child {
    struct loop *loop;
    struct super *super;
    struct child *child;
    char dir[64], path[96];
    struct ipc *ipc; /* the child's end; NULL once the supervisor's is gone */
    bool is_silent;
    unsigned count; /* of messages that came to the child */
};

static inline void one_child_on_closed(void *arg)
{
    struct one_child *o = arg;
    ipc_destroy(&o->ipc);
}

static inline void one_child_super_closed(void *arg)
{
    (void)arg;
}

/* `commands` get the supervisor as their argument; the message functions get `o`. */
static inline void one_child_init(struct one_child *o, enum role role, const struct control_command *commands,
                                  ipc_message_fn *child_on_message, ipc_message_fn *super_on_message)
{
    enum err e;
    int pair[2];
    log_open("super", LOG_LEVEL_ERR, LOG_FORMAT_TEXT, "/dev/null");
    o->loop = loop_create();
    OBJ_NEW(o->super, SUPER_MAGIC);
    o->super->loop = o->loop;
    children_init(o->super);
    for (uint32_t i = 0; i < CHILDREN_MAX && o->child == NULL; i++)
        if (o->super->child[i].role == role)
            o->child = &o->super->child[i];
    assert_non_null(o->child);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    o->child->ipc = ipc_create(o->loop, pair[0], super_on_message, one_child_super_closed, o);
    o->child->state = ROSTER_READY;
    o->ipc = ipc_create(o->loop, pair[1], child_on_message, one_child_on_closed, o);
    strcpy(o->dir, "/tmp/tidegate-test-XXXXXX");
    assert_non_null(mkdtemp(o->dir));
    snprintf(o->path, sizeof o->path, "%s/control", o->dir);
    o->super->control = control_create(o->loop, o->path, commands, o->super, &e);
    assert_int_equal(e, ERR_NONE);
}

/* After the control socket and what waits for answers are gone. */
static inline void one_child_fini(struct one_child *o)
{
    children_fini(o->super);
    if (o->ipc != NULL)
        ipc_destroy(&o->ipc);
    loop_run_once(o->loop, false);
    OBJ_FREE(&o->super, SUPER_MAGIC);
    loop_destroy(&o->loop);
    assert_int_equal(rmdir(o->dir), 0);
    log_close();
}

static inline int send_line(struct one_child *o, const char *line)
{
    struct addr a;
    char text[128];
    int fd = -1;
    snprintf(text, sizeof text, "unix:%s", o->path);
    assert_true(addr_parse(&a, text));
    assert_int_equal(sock_connect(&a, &fd), ERR_NONE);
    assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
    return fd;
}

static inline void assert_answer(struct one_child *o, int fd, const char *expected)
{
    char text[4096];
    size_t len = 0;
    const int64_t end_ms = loop_now_ms(o->loop) + PATIENCE_MS;
    for (ssize_t n; (n = recv(fd, text + len, sizeof text - 1 - len, MSG_DONTWAIT)) != 0;) {
        assert_true(loop_now_ms(o->loop) < end_ms);
        if (n > 0)
            len += (size_t)n;
        else
            loop_run_once(o->loop, true);
    }
    text[len] = '\0';
    close(fd);
    assert_string_equal(text, expected);
}

static inline void run_until_count(struct one_child *o, unsigned count)
{
    const int64_t end_ms = loop_now_ms(o->loop) + PATIENCE_MS;
    while (o->count < count && loop_now_ms(o->loop) < end_ms)
        loop_run_once(o->loop, true);
    assert_int_equal(o->count, count);
}

/* Lines that are refused before the child hears of them. */
static inline void assert_refused(struct one_child *o, const char *const *lines, size_t line_count)
{
    for (size_t i = 0; i < line_count; i++) {
        int fd = send_line(o, lines[i]);
        char text[256] = "";
        while (recv(fd, text, sizeof text - 1, MSG_DONTWAIT) < 0)
            loop_run_once(o->loop, true);
        assert_int_equal(strncmp(text, "error: expected ", 16), 0);
        close(fd);
    }
    assert_int_equal(o->count, 0);
}

/* The process ends, as children.c sees it; what was asked of it is then to be forgotten. */
static inline void one_child_ends(struct one_child *o)
{
    ipc_destroy(&o->child->ipc);
    o->child->state = ROSTER_WAITING;
}

#endif
