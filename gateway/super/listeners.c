/* Sockets by address and whom they serve. Each address is one entry with a place per socket: one per worker, one for
 * the admin process, UDP to send, UDP to receive and TCP for the DNS process. A place is -1 or a socket. A unix socket
 * cannot be bound twice, so its places are duplicates of one.
 *
 * The hard part is that SO_REUSEPORT makes "address in use" silent: a second gateway of the same user would simply
 * share the clients of the first. So a new address is first bound alone, without that option, and only when nobody
 * objects are the real sockets made. An address with port 0 gets one port for all its places. */
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
#define DNS_BACKLOG     256
#define DNS_PORTS_MAX   16 /* that are tried until one is free for UDP and TCP */

enum purpose { FOR_CLIENTS = 0, FOR_ADMIN, FOR_DNS };
static const char *const purpose_texts[] = {[FOR_CLIENTS] = "clients", [FOR_ADMIN] = "admin", [FOR_DNS] = "dns"};

/* An address that is to be bound. */
struct wish {
    enum purpose purpose;
    const char *text;
    const struct addr *addr;
    int backlog;
    uint32_t count; /* of places */
    uint64_t away;  /* places that stay empty */
};

struct entry {
    uint32_t magic;
    struct list link;
    char *text;       /* as in the configuration */
    struct addr addr; /* with the port that was assigned */
    enum purpose purpose;
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

static struct entry *find(const struct listeners *l, const char *text, enum purpose purpose)
{
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        if (e->purpose == purpose && strcmp(e->text, text) == 0)
            return e;
    }
    return NULL;
}

/* ---- binding ---- */

/* Finds a port for UDP that is free for TCP as well. */
static enum err reserve_dns(struct entry *e)
{
    const struct addr wanted = e->addr;
    enum err err = ERR_BUSY;
    for (int tries = 0; err == ERR_BUSY && tries < DNS_PORTS_MAX; tries++) {
        int udp = -1, tcp = -1;
        e->addr = wanted;
        err = sock_bind_udp(&e->addr, &udp);
        if (err == ERR_NONE)
            err = sock_local_addr(udp, &e->addr);
        if (err == ERR_NONE)
            err = sock_listen(&e->addr, false, 1, &tcp);
        if (udp >= 0)
            close(udp);
        if (tcp >= 0)
            close(tcp);
        if (addr_port(&wanted) != 0)
            break;
    }
    return err;
}

/* Whether the address is free; finds the port when none was named. */
static enum err reserve(struct entry *e, int backlog)
{
    int fd;
    if (e->purpose == FOR_DNS)
        return reserve_dns(e);
    if (is_unix(e))
        return ERR_NONE; /* says so itself */
    enum err err = sock_listen(&e->addr, false, backlog, &fd);
    if (err != ERR_NONE)
        return err;
    err = sock_local_addr(fd, &e->addr);
    close(fd);
    return err;
}

/* In the order of the places: who sends has to be there before who receives. */
static enum err open_dns_place(struct entry *e, uint32_t i, int backlog)
{
    if (i == LISTENERS_DNS_SENDER)
        return sock_bind_udp_sender(&e->addr, &e->fd[i]);
    if (i == LISTENERS_DNS_UDP)
        return sock_bind_udp_beside(&e->addr, e->fd[LISTENERS_DNS_SENDER], &e->fd[i]);
    return sock_listen(&e->addr, false, backlog, &e->fd[i]);
}

/* A place beside another one of the same unix socket is a duplicate. */
static enum err open_place(struct entry *e, uint32_t i, int backlog)
{
    int other = -1;
    if (e->purpose == FOR_DNS)
        return open_dns_place(e, i, backlog);
    for (uint32_t j = 0; is_unix(e) && j < e->count && other < 0; j++)
        other = e->fd[j];
    if (other < 0)
        return sock_listen(&e->addr, true, backlog, &e->fd[i]);
    e->fd[i] = fcntl(other, F_DUPFD_CLOEXEC, 0);
    return e->fd[i] < 0 ? err_from_errno(errno) : ERR_NONE;
}

static enum err fill(struct entry *e, const struct wish *w)
{
    for (; e->count < w->count; e->count++)
        e->fd[e->count] = -1;
    for (uint32_t i = 0; i < w->count; i++) {
        if (e->fd[i] >= 0 || (w->away >> i & 1u) != 0)
            continue;
        enum err err = open_place(e, i, w->backlog);
        if (err != ERR_NONE) {
            e->fd[i] = -1;
            return err;
        }
    }
    return ERR_NONE;
}

static enum err bind_one(struct listeners *l, const struct wish *w)
{
    struct entry *e = find(l, w->text, w->purpose);
    if (e == NULL) {
        OBJ_NEW(e, ENTRY_MAGIC);
        e->text = mem_strdup(w->text);
        e->addr = *w->addr;
        e->purpose = w->purpose;
        e->is_new = true;
        list_init(&e->link);
        list_append(&l->entries, &e->link);
        enum err err = reserve(e, w->backlog);
        if (err != ERR_NONE)
            return err;
    }
    return fill(e, w);
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
                     KV_STR("serves", purpose_texts[e->purpose]));
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

/* The `i`th address the configuration names; false behind the last one. */
static bool wish_of(const struct conf *c, size_t i, uint64_t away, struct wish *w)
{
    const size_t admin_count = c->admin.text[0] != '\0';
    if (i < admin_count) {
        *w = (struct wish){FOR_ADMIN, c->admin.text, &c->admin.addr, ADMIN_BACKLOG, 1, 0};
        return true;
    }
    i -= admin_count;
    if (i < c->listen_count) {
        const struct conf_listen *l = &c->listen[i];
        *w = (struct wish){FOR_CLIENTS, l->text, &l->addr, l->backlog, c->workers, away};
        return true;
    }
    i -= c->listen_count;
    if (i < c->dns.listen_count) {
        const struct conf_address *a = &c->dns.listen[i];
        *w = (struct wish){FOR_DNS, a->text, &a->addr, DNS_BACKLOG, LISTENERS_DNS_COUNT, 0};
        return true;
    }
    return false;
}

bool listeners_bind(struct listeners *l, const struct conf *c, uint64_t away, char error[LISTENERS_ERROR_BYTES])
{
    struct wish w;
    CHECK_OBJ(l, LISTENERS_MAGIC);
    ASSERT(c->workers <= WORKERS_MAX);
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        e->kept_count = e->count;
    }
    for (size_t i = 0; wish_of(c, i, away, &w); i++) {
        enum err err = bind_one(l, &w);
        if (err == ERR_NONE)
            continue;
        snprintf(error, LISTENERS_ERROR_BYTES, "cannot listen on %s: %s", w.text, cause_text(err));
        undo(l);
        return false;
    }
    settle(l);
    return true;
}

/* ---- closing ---- */

/* How many places of the entry the configuration has a use for; 0: it does not name the address. */
static uint32_t wanted_count(const struct conf *c, const struct entry *e)
{
    struct wish w;
    for (size_t i = 0; wish_of(c, i, 0, &w); i++)
        if (w.purpose == e->purpose && strcmp(w.text, e->text) == 0)
            return w.count;
    return 0;
}

void listeners_retain(struct listeners *l, const struct conf *c)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        const uint32_t count = wanted_count(c, e);
        close_from(e, count);
        if (count > 0)
            continue;
        LOG_INFO("no longer listening", KV_STR("address", e->text));
        entry_destroy(e);
    }
}

void listeners_close_worker(struct listeners *l, uint32_t index)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    LIST_EACH (it, &l->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        if (e->purpose != FOR_CLIENTS || index >= e->count || e->fd[index] < 0)
            continue;
        close(e->fd[index]);
        e->fd[index] = -1;
    }
}

static int place_fd(const struct listeners *l, const char *address, enum purpose purpose, uint32_t place)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    const struct entry *e = find(l, address, purpose);
    return e != NULL && place < e->count ? e->fd[place] : -1;
}

int listeners_worker_fd(const struct listeners *l, const char *address, uint32_t index)
{
    return place_fd(l, address, FOR_CLIENTS, index);
}

int listeners_admin_fd(const struct listeners *l, const char *address)
{
    return place_fd(l, address, FOR_ADMIN, 0);
}

int listeners_dns_fd(const struct listeners *l, const char *address, enum listeners_dns which)
{
    return place_fd(l, address, FOR_DNS, which);
}
