/* The hard part is never to block, although the sink is often not ours: stderr may be a pipe whose reader is stuck,
 * shared with programs that rely on its being blocking, so O_NONBLOCK must not be set on it. A pipe or terminal is
 * opened again through /proc for a file description of our own; sockets take MSG_DONTWAIT; files never block; for what
 * is left, poll(2) comes first, and a line is no longer than PIPE_BUF, which is the room a writable pipe is known to
 * have. The same bound keeps lines of several processes from mixing. */
#include "base/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* systemd names device and inode of the stream it reads; both differ when stderr was redirected since. */
static bool is_journal(const struct stat *st)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;

    return stream != NULL && sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) == 2 && device == st->st_dev &&
           inode == st->st_ino;
}

/* A non-blocking file description of our own for a pipe or terminal somebody else may share; -1: stay with `fd`. */
static int open_again(int fd, const struct stat *st)
{
    char path[32];

    if (!S_ISFIFO(st->st_mode) && !S_ISCHR(st->st_mode))
        return -1; /* a file shares its position with others, a socket cannot be opened */
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void drop_fd(struct log_sink *s)
{
    if (s->owns_fd)
        (void)close(s->fd);
    s->fd = STDERR_FILENO;
    s->owns_fd = false;
}

void log_sink_use(struct log_sink *s, int fd, bool owns_fd)
{
    struct stat st = {0};
    int flags = fcntl(fd, F_GETFL);

    drop_fd(s);
    s->fd = fd;
    s->owns_fd = owns_fd;
    s->is_torn = false;
    s->kind = SINK_PLAIN;
    s->to_journal = false;
    if (fstat(fd, &st) < 0)
        return;
    s->to_journal = is_journal(&st);
    if (S_ISSOCK(st.st_mode)) {
        s->kind = SINK_SOCKET;
        return;
    }
    if (S_ISREG(st.st_mode)) {
        s->kind = SINK_FILE;
        return;
    }
    if (flags >= 0 && (flags & O_NONBLOCK) != 0) {
        s->kind = SINK_NONBLOCKING;
        return;
    }
    int own = open_again(fd, &st);
    if (own >= 0) {
        drop_fd(s);
        s->fd = own;
        s->owns_fd = true;
        s->kind = SINK_NONBLOCKING;
    }
}

void log_sink_close(struct log_sink *s)
{
    log_sink_use(s, STDERR_FILENO, false);
}

static ssize_t try_write(const struct log_sink *s, const char *data, size_t len)
{
    ssize_t put;

    if (s->kind == SINK_PLAIN) {
        struct pollfd p = {.fd = s->fd, .events = POLLOUT};

        if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
            return -1;
    }
    do {
        put = s->kind == SINK_SOCKET ? send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(s->fd, data, len);
    } while (put < 0 && errno == EINTR);
    return put;
}

/* What was cut off in the middle is ended before the next line begins. */
void log_sink_write(struct log_sink *s, const char *line, size_t len)
{
    if (s->is_torn) {
        if (try_write(s, "\n", 1) != 1) {
            s->dropped_count++;
            return;
        }
        s->is_torn = false;
    }
    ssize_t put = try_write(s, line, len);
    if (put == (ssize_t)len)
        return;
    s->dropped_count++;
    s->is_torn = put > 0;
}

int log_file_open(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0640);
}
