/* Sockets by address and process. Each address is one entry with a place per worker; a place is -1 or a socket. A unix
 * socket cannot be bound twice, so its places are duplicates of one.
 *
 * The hard part is that SO_REUSEPORT makes "address in use" silent: a second gateway of the same user would simply
 * share the clients of the first. So a new address is first bound alone, without that option, and only when nobody
 * objects are the real sockets made. An address with port 0 gets one port for all workers. */
#include "gateway/super/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define LISTENERS_MAGIC 0x115e7e25u
#define ENTRY_MAGIC     0x115ee2e9u
#define WORKERS_MAX     64u
#define ADMIN_BACKLOG   64

struct entry {
    uint32_t magic;
    struct list link;
    char *text;       /* as in the configuration */
    struct addr addr; /* with the port that was assigned */
    bool is_admin;
    bool is_new;         /* bound by the bind under way */
    uint32_t kept_count; /* places that were there before it */
    uint32_t count;      /* places */
    int fd[WORKERS_MAX];
};

struct listeners {
    uint32_t magic;
    struct list entries;
};

struct listeners *listeners_create(void)
{
    struct listeners *l;
    OBJ_NEW(l, LISTENERS_MAGIC);
    list_init(&l->entries);
    return l;
}

static bool is_unix(const struct entry *e)
{
    return e->addr.sa.sa_family == AF_UNIX;
}

static void close_from(struct entry *e, uint32_t first)
{
    for (uint32_t i = first; i < e->count; i++)
        if (e->fd[i] >= 0)
            close(e->fd[i]);
    if (e->count > first)
        e->count = first;
}

static void entry_destroy(struct entry *e)
{
    if (is_unix(e) && e->count > 0)
        unlink(e->addr.un.sun_path);
    close_from(e, 0);
    list_unlink(&e->link);
    mem_free(e->text);
    OBJ_FREE(&e, ENTRY_MAGIC);
}

void listeners_close_all(struct listeners *l)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    LIST_EACH (it, &l->entries)
        entry_destroy(LIST_ENTRY(it, struct entry, link));
}

void listeners_destroy(struct listeners **lp)
{
    listeners_close_all(*lp);
    OBJ_FREE(lp, LISTENERS_MAGIC);
}

static struct entry *find(const struct listeners *l, const char *text, bool is_admin)
{
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        if (e->is_admin == is_admin && strcmp(e->text, text) == 0)
            return e;
    }
    return NULL;
}

/* ---- binding ---- */

/* Whether the address is free; finds the port when none was named. */
static enum err reserve(struct entry *e, int backlog)
{
    int fd;
    if (is_unix(e))
        return ERR_NONE; /* says so itself */
    enum err err = sock_listen(&e->addr, false, backlog, &fd);
    if (err != ERR_NONE)
        return err;
    err = sock_local_addr(fd, &e->addr);
    close(fd);
    return err;
}

/* A place beside another one of the same unix socket is a duplicate. */
static enum err open_place(struct entry *e, uint32_t i, int backlog)
{
    int other = -1;
    for (uint32_t j = 0; is_unix(e) && j < e->count && other < 0; j++)
        other = e->fd[j];
    if (other < 0)
        return sock_listen(&e->addr, true, backlog, &e->fd[i]);
    e->fd[i] = fcntl(other, F_DUPFD_CLOEXEC, 0);
    return e->fd[i] < 0 ? err_from_errno(errno) : ERR_NONE;
}

static enum err fill(struct entry *e, uint32_t count, uint64_t away, int backlog)
{
    for (; e->count < count; e->count++)
        e->fd[e->count] = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (e->fd[i] >= 0 || (away >> i & 1u) != 0)
            continue;
        enum err err = open_place(e, i, backlog);
        if (err != ERR_NONE) {
            e->fd[i] = -1;
            return err;
        }
    }
    return ERR_NONE;
}

static enum err bind_one(struct listeners *l, const char *text, const struct addr *addr, bool is_admin, uint32_t count,
                         uint64_t away, int backlog)
{
    struct entry *e = find(l, text, is_admin);
    if (e == NULL) {
        OBJ_NEW(e, ENTRY_MAGIC);
        e->text = mem_strdup(text);
        e->addr = *addr;
        e->is_admin = is_admin;
        e->is_new = true;
        list_init(&e->link);
        list_append(&l->entries, &e->link);
        enum err err = reserve(e, backlog);
        if (err != ERR_NONE)
            return err;
    }
    return fill(e, count, away, backlog);
}

static void undo(struct listeners *l)
{
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        if (e->is_new)
            entry_destroy(e);
        else
            close_from(e, e->kept_count);
    }
}

static void settle(struct listeners *l)
{
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        char text[ADDR_TEXT_BYTES];
        if (e->is_new)
            LOG_INFO("listening", KV_STR("address", addr_text(&e->addr, text, sizeof text)),
                     KV_STR("serves", e->is_admin ? "admin" : "clients"));
        e->is_new = false;
    }
}

/* What the operator has to know about it. */
static const char *cause_text(enum err e)
{
    static const struct {
        enum err err;
        const char *text;
    } causes[] = {
        {ERR_BUSY, "somebody else listens there"},
        {ERR_DENIED, "not allowed to this user"},
        {ERR_INVALID, "the file there is not a socket"},
        {ERR_UNREACHABLE, "not an address of this machine"},
    };
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
        if (causes[i].err == e)
            return causes[i].text;
    return err_text(e);
}

bool listeners_bind(struct listeners *l, const struct conf *c, uint64_t away, char error[LISTENERS_ERROR_BYTES])
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    ASSERT(c->workers <= WORKERS_MAX);
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        e->kept_count = e->count;
    }
    const char *text = c->admin.text;
    enum err err = text[0] != '\0' ? bind_one(l, text, &c->admin.addr, true, 1, 0, ADMIN_BACKLOG) : ERR_NONE;
    for (size_t i = 0; i < c->listen_count && err == ERR_NONE; i++) {
        text = c->listen[i].text;
        err = bind_one(l, text, &c->listen[i].addr, false, c->workers, away, c->listen[i].backlog);
    }
    if (err != ERR_NONE) {
        snprintf(error, LISTENERS_ERROR_BYTES, "cannot listen on %s: %s", text, cause_text(err));
        undo(l);
        return false;
    }
    settle(l);
    return true;
}

/* ---- closing ---- */

static bool is_named(const struct conf *c, const struct entry *e)
{
    if (e->is_admin)
        return strcmp(c->admin.text, e->text) == 0;
    for (size_t i = 0; i < c->listen_count; i++)
        if (strcmp(c->listen[i].text, e->text) == 0)
            return true;
    return false;
}

void listeners_retain(struct listeners *l, const struct conf *c)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        if (is_named(c, e)) {
            close_from(e, e->is_admin ? 1 : c->workers);
            continue;
        }
        LOG_INFO("no longer listening", KV_STR("address", e->text));
        entry_destroy(e);
    }
}

void listeners_close_worker(struct listeners *l, uint32_t index)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        if (e->is_admin || index >= e->count || e->fd[index] < 0)
            continue;
        close(e->fd[index]);
        e->fd[index] = -1;
    }
}

int listeners_worker_fd(const struct listeners *l, const char *address, uint32_t index)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    const struct entry *e = find(l, address, false);
    return e != NULL && index < e->count ? e->fd[index] : -1;
}

int listeners_admin_fd(const struct listeners *l, const char *address)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    const struct entry *e = find(l, address, true);
    return e != NULL && e->count > 0 ? e->fd[0] : -1;
}
