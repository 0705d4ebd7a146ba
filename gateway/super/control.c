/* One request per connection, each under a deadline, a handful of clients at most. While a command runs its client is
 * not watched: that it hung up is noticed when the answer goes out, and whoever works on the request need not care. */
#include "gateway/super/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"

#define CONTROL_MAGIC      0xc027201eu
#define CLIENT_MAGIC       0xc0271e47u
#define CLIENT_DEADLINE_MS 5000 /* to send the request, and again to take the answer */
#define ACCEPT_PAUSE_MS    1000
#define BACKLOG            16
#define ERROR_BYTES        512u

enum client_state { CLIENT_READING = 1, CLIENT_RUNNING, CLIENT_WRITING };

struct client {
    uint32_t magic;
    enum client_state state;
    struct control *control;
    struct list link;
    struct control_request request;
    int fd; /* -1: closed, waits for `reaper` */
    struct io io;
    struct timer deadline;
    struct later reaper;
    size_t line_len;
    char line[CONTROL_LINE_BYTES];
    struct strbuf head;
    size_t sent_bytes; /* of head and body */
};

struct control {
    uint32_t magic;
    struct loop *loop;
    int fd;
    struct io io;
    struct timer pause; /* runs after descriptors ran out */
    struct addr addr;
    const struct control_command *commands;
    void *arg;
    struct list clients;
    uint32_t client_count;
};

/* ---- the end of a client ---- */

static void hang_up(struct client *c)
{
    if (c->fd < 0)
        return;
    io_fini(&c->io);
    close(c->fd);
    c->fd = -1;
    timer_cancel(&c->deadline);
}

static void client_free(struct client *c)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    hang_up(c);
    later_cancel(&c->reaper);
    list_unlink(&c->link);
    list_unlink(&c->request.link);
    c->control->client_count--;
    strbuf_fini(&c->head);
    strbuf_fini(&c->request.body);
    OBJ_FREE(&c, CLIENT_MAGIC);
}

static void on_reap(void *arg)
{
    client_free(arg);
}

static void client_close(struct client *c)
{
    hang_up(c);
    later_post(&c->reaper);
}

static void on_deadline(void *arg)
{
    client_close(arg);
}

/* ---- the answer ---- */

static void write_some(struct client *c)
{
    const struct strbuf *parts[] = {&c->head, &c->request.body};
    size_t skip = c->sent_bytes;
    for (int i = 0; i < 2; i++) {
        while (skip < parts[i]->len) {
            ssize_t n = send(c->fd, parts[i]->data + skip, parts[i]->len - skip, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0 && errno == EAGAIN) {
                io_want(&c->io, IO_WRITE);
                return;
            }
            if (n < 0) {
                client_close(c);
                return;
            }
            skip += (size_t)n;
            c->sent_bytes += (size_t)n;
        }
        skip -= parts[i]->len;
    }
    client_close(c);
}

void control_answer(struct control_request **rp, const char *error)
{
    struct client *c = LIST_ENTRY(*rp, struct client, request);
    CHECK_OBJ(c, CLIENT_MAGIC);
    ASSERT(c->state == CLIENT_RUNNING);
    *rp = NULL;
    list_unlink(&c->request.link);
    c->state = CLIENT_WRITING;
    if (error == NULL && c->request.body.failed) {
        error = "the answer is too long";
        strbuf_clear(&c->request.body);
    }
    if (error == NULL)
        strbuf_puts(&c->head, "ok\n");
    else
        strbuf_printf(&c->head, "error: %.*s\n", (int)strcspn(error, "\n"), error);
    timer_start(&c->deadline, CLIENT_DEADLINE_MS);
    write_some(c);
}

/* ---- the request ---- */

/* `line` is one request without its end: splits off the command's name and runs it. */
static void run_line(struct client *c, char *line)
{
    struct control *ctl = c->control;
    struct control_request *r = &c->request;
    size_t name_len = strcspn(line, " ");
    char *rest = line + name_len;
    rest += strspn(rest, " ");
    for (size_t len = strlen(rest); len > 0 && (rest[len - 1] == ' ' || rest[len - 1] == '\r'); len--)
        rest[len - 1] = '\0';
    while (name_len > 0 && line[name_len - 1] == '\r')
        name_len--;

    c->state = CLIENT_RUNNING;
    timer_cancel(&c->deadline); /* from here on the command answers for the time */
    io_want(&c->io, 0);
    for (const struct control_command *command = ctl->commands; command->name != NULL; command++)
        if (strlen(command->name) == name_len && memcmp(command->name, line, name_len) == 0) {
            command->run(ctl->arg, r, rest);
            return;
        }
    control_answer(&r, "no such command");
}

static void read_some(struct client *c)
{
    size_t room = sizeof c->line - c->line_len;
    ssize_t n = recv(c->fd, c->line + c->line_len, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_close(c);
        return;
    }
    char *end = memchr(c->line + c->line_len, '\n', (size_t)n);
    c->line_len += (size_t)n;
    if (end != NULL && memchr(c->line, '\0', (size_t)(end - c->line)) == NULL) {
        *end = '\0';
        run_line(c, c->line);
    } else if (end != NULL || c->line_len == sizeof c->line) {
        struct control_request *r = &c->request;
        c->state = CLIENT_RUNNING;
        control_answer(&r, "not a request");
    }
}

static void on_client(void *arg, unsigned events)
{
    struct client *c = arg;
    CHECK_OBJ(c, CLIENT_MAGIC);
    (void)events;
    if (c->state == CLIENT_READING)
        read_some(c);
    else if (c->state == CLIENT_WRITING)
        write_some(c);
}

/* ---- listening ---- */

static void client_create(struct control *ctl, int fd)
{
    struct client *c;
    OBJ_NEW(c, CLIENT_MAGIC);
    c->state = CLIENT_READING;
    c->control = ctl;
    c->fd = fd;
    list_init(&c->link);
    list_init(&c->request.link);
    strbuf_init(&c->request.body, CONTROL_BODY_BYTES);
    strbuf_init(&c->head, ERROR_BYTES + 16);
    later_init(&c->reaper, ctl->loop, on_reap, c);
    timer_init(&c->deadline, ctl->loop, on_deadline, c);
    timer_start(&c->deadline, CLIENT_DEADLINE_MS);
    io_init(&c->io, ctl->loop, fd, on_client, c);
    io_want(&c->io, IO_READ);
    list_append(&ctl->clients, &c->link);
    ctl->client_count++;
}

static void on_listen(void *arg, unsigned events)
{
    struct control *ctl = arg;
    static const char busy[] = "error: too many requests at once\n";
    struct addr peer;
    int fd;
    (void)events;
    CHECK_OBJ(ctl, CONTROL_MAGIC);
    enum err e;
    while ((e = sock_accept(ctl->fd, &fd, &peer)) == ERR_NONE) {
        if (ctl->client_count < CONTROL_CLIENTS_MAX) {
            client_create(ctl, fd);
            continue;
        }
        (void)!send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        close(fd);
    }
    if (e != ERR_AGAIN) {
        LOG_WARN("control socket takes nobody for a while", KV_STR("cause", err_text(e)));
        io_want(&ctl->io, 0);
        timer_start(&ctl->pause, ACCEPT_PAUSE_MS);
    }
}

static void on_pause_end(void *arg)
{
    struct control *ctl = arg;
    io_want(&ctl->io, IO_READ);
}

struct control *control_create(struct loop *l, const char *path, const struct control_command *commands, void *arg,
                               enum err *err)
{
    struct addr addr = {.un = {.sun_family = AF_UNIX}};
    size_t len = strlen(path);
    int fd = -1;
    *err = ERR_INVALID;
    if (len >= sizeof addr.un.sun_path)
        return NULL;
    memcpy(addr.un.sun_path, path, len + 1);
    addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    mode_t before = umask(S_IRWXG | S_IRWXO); /* the socket is never open to others, not even for a moment */
    *err = sock_listen(&addr, false, BACKLOG, &fd);
    umask(before);
    if (*err != ERR_NONE)
        return NULL;

    struct control *ctl;
    OBJ_NEW(ctl, CONTROL_MAGIC);
    ctl->loop = l;
    ctl->fd = fd;
    ctl->addr = addr;
    ctl->commands = commands;
    ctl->arg = arg;
    list_init(&ctl->clients);
    timer_init(&ctl->pause, l, on_pause_end, ctl);
    io_init(&ctl->io, l, fd, on_listen, ctl);
    io_want(&ctl->io, IO_READ);
    return ctl;
}

void control_destroy(struct control **cp)
{
    struct control *ctl = *cp;
    CHECK_OBJ(ctl, CONTROL_MAGIC);
    LIST_EACH (it, &ctl->clients)
        client_free(LIST_ENTRY(it, struct client, link));
    timer_cancel(&ctl->pause);
    io_fini(&ctl->io);
    close(ctl->fd);
    unlink(ctl->addr.un.sun_path);
    OBJ_FREE(cp, CONTROL_MAGIC);
}
