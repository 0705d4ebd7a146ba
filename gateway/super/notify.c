/* sd_notify(3): assignments, one per line, in one datagram to the socket the manager named. Nothing waits for an
 * answer, and a manager who does not listen is no reason to do anything differently. */
#include "gateway/super/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"

#define NOTIFY_MAGIC  0x4071f4e3u
#define MESSAGE_BYTES 512u

struct notify {
    uint32_t magic;
    struct loop *loop;
    int fd; /* -1: no manager */
    struct addr manager;
    int64_t watchdog_ms;
    struct timer watchdog;
};

static void send_text(struct notify *n, const char *text)
{
    CHECK_OBJ(n, NOTIFY_MAGIC);
    if (n->fd >= 0 && sendto(n->fd, text, strlen(text), MSG_NOSIGNAL, &n->manager.sa, n->manager.len) < 0)
        LOG_DEBUG("service manager not reached", KV_STR("message", text));
}

static void on_watchdog(void *arg)
{
    struct notify *n = arg;
    send_text(n, "WATCHDOG=1");
    timer_start(&n->watchdog, n->watchdog_ms);
}

/* A path, or "@name" for the abstract name space, whose first byte is zero. */
static bool manager_parse(struct addr *a, const char *path)
{
    size_t len = strlen(path);
    memset(a, 0, sizeof *a);
    if (len < 2 || len >= sizeof a->un.sun_path || (path[0] != '/' && path[0] != '@'))
        return false;
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, path, len);
    if (path[0] == '@')
        a->un.sun_path[0] = '\0';
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

struct notify *notify_create(struct loop *l, const char *socket_path, int64_t watchdog_us)
{
    struct notify *n;
    OBJ_NEW(n, NOTIFY_MAGIC);
    n->loop = l;
    n->fd = -1;
    timer_init(&n->watchdog, l, on_watchdog, n);
    if (socket_path == NULL)
        return n;
    if (manager_parse(&n->manager, socket_path))
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (n->fd < 0) {
        LOG_WARN("service manager cannot be told anything", KV_STR("socket", socket_path));
        return n;
    }
    if (watchdog_us > 0) {
        n->watchdog_ms = watchdog_us / 2000 > 0 ? watchdog_us / 2000 : 1;
        on_watchdog(n);
    }
    return n;
}

struct notify *notify_create_from_environment(struct loop *l)
{
    const char *watchdog = getenv("WATCHDOG_USEC");
    const char *watchdog_pid = getenv("WATCHDOG_PID");
    bool is_ours = watchdog_pid == NULL || strtoll(watchdog_pid, NULL, 10) == getpid();
    int64_t watchdog_us = watchdog != NULL && is_ours ? strtoll(watchdog, NULL, 10) : 0;
    struct notify *n = notify_create(l, getenv("NOTIFY_SOCKET"), watchdog_us);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return n;
}

void notify_destroy(struct notify **np)
{
    CHECK_OBJ(*np, NOTIFY_MAGIC);
    timer_cancel(&(*np)->watchdog);
    if ((*np)->fd >= 0)
        close((*np)->fd);
    OBJ_FREE(np, NOTIFY_MAGIC);
}

void notify_ready(struct notify *n)
{
    send_text(n, "READY=1");
}

/* The time tells the manager which of several reloads the next READY belongs to. */
void notify_reloading(struct notify *n)
{
    char text[MESSAGE_BYTES];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, loop_fresh_us(n->loop));
    send_text(n, text);
}

void notify_stopping(struct notify *n)
{
    send_text(n, "STOPPING=1");
}

void notify_status(struct notify *n, const char *text)
{
    char message[MESSAGE_BYTES];
    int len = snprintf(message, sizeof message, "STATUS=%s", text);
    for (int i = 0; i < len && i < (int)sizeof message; i++)
        if (message[i] == '\n')
            message[i] = ' ';
    send_text(n, message);
}
