/* c-ares on our loop.
 *
 * Three things are awkward. c-ares may answer in the middle of ares_getaddrinfo(), so every answer is kept and
 * delivered at the end of the pass. It cannot cancel one lookup out of several, so a lookup is two objects: the job
 * the caller knows, and the query c-ares knows, which outlives a cancelled or overdue job until c-ares gives up on it
 * (bounded by its own tries and time-outs). And it opens and closes sockets while we are inside the callback of one
 * of them, so the watchers of closed sockets are freed at the end of the pass. */
#include "base/resolve.h"

#include <ares.h>
#include <netdb.h>
#include <string.h>
#include <sys/select.h>

#include "base/list.h"
#include "base/mem.h"

#define RESOLVER_MAGIC 0x2e501ee4u
#define JOB_MAGIC      0x2e50105bu
#define QUERY_MAGIC    0x2e509ae7u
#define WATCH_MAGIC    0x2e50ca7du

#define QUERIES_MAX    256  /* under way at once, forgotten ones included */
#define TRY_TIMEOUT_MS 1500 /* first try of one name server; c-ares doubles it with each round */
#define TRIES          3
#define HOST_BYTES_MAX 255u /* RFC 1035 section 2.3.4 */

struct watch { /* one socket of c-ares */
    uint32_t magic;
    ares_socket_t fd;
    struct list link;
    struct io io;
    struct resolver *resolver;
};

struct query { /* owned by c-ares until its callback */
    uint32_t magic;
    struct resolver *resolver;
    struct resolve_job *job; /* NULL once nobody waits for it */
};

struct resolve_job {
    uint32_t magic;
    struct list link;
    struct resolver *resolver;
    struct query *query; /* NULL when c-ares is done with it or was never asked */
    struct timer deadline;
    struct later delivery;
    uint16_t port;
    resolve_fn *fn;
    void *arg;
    enum err result;
    uint32_t ttl_s;
    size_t addr_count;
    struct addr addrs[RESOLVE_ADDRS_MAX];
};

struct resolver {
    uint32_t magic;
    struct loop *loop;
    ares_channel channel;
    bool has_channel;
    struct timer tick; /* c-ares' own time-outs */
    struct list watches;
    struct list old_watches; /* to be freed by `sweeper` */
    struct later sweeper;
    struct list jobs;
    int query_count;
};

/* ---- sockets and time of c-ares ---- */

static void rearm(struct resolver *r)
{
    struct timeval tv;
    if (ares_timeout(r->channel, NULL, &tv) == NULL)
        timer_cancel(&r->tick);
    else
        timer_start(&r->tick, (int64_t)tv.tv_sec * 1000 + (tv.tv_usec + 999) / 1000);
}

static void on_tick(void *arg)
{
    struct resolver *r = arg;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(r);
}

static void on_socket(void *arg, unsigned events)
{
    struct watch *w = arg;
    CHECK_OBJ(w, WATCH_MAGIC);
    struct resolver *r = w->resolver;
    ares_socket_t fd = w->fd;
    ares_process_fd(r->channel, events & IO_READ ? fd : ARES_SOCKET_BAD, events & IO_WRITE ? fd : ARES_SOCKET_BAD);
    rearm(r);
}

static struct watch *find_watch(struct resolver *r, ares_socket_t fd)
{
    LIST_EACH (it, &r->watches)
        if (LIST_ENTRY(it, struct watch, link)->fd == fd)
            return LIST_ENTRY(it, struct watch, link);
    return NULL;
}

/* c-ares calls this when what it wants of a socket changes; both 0: it is about to close it. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = arg;
    struct watch *w = find_watch(r, fd);
    if (w == NULL && (readable || writable)) {
        OBJ_NEW(w, WATCH_MAGIC);
        w->fd = fd;
        w->resolver = r;
        io_init(&w->io, r->loop, fd, on_socket, w);
        list_init(&w->link);
        list_append(&r->watches, &w->link);
    }
    if (w == NULL)
        return;
    io_want(&w->io, (readable ? (unsigned)IO_READ : 0u) | (writable ? (unsigned)IO_WRITE : 0u));
    if (!readable && !writable) {
        io_fini(&w->io);
        list_unlink(&w->link);
        list_append(&r->old_watches, &w->link);
        later_post(&r->sweeper);
    }
}

static void on_sweep(void *arg)
{
    struct resolver *r = arg;
    LIST_EACH (it, &r->old_watches) {
        struct watch *w = LIST_ENTRY(it, struct watch, link);
        list_unlink(&w->link);
        OBJ_FREE(&w, WATCH_MAGIC);
    }
}

/* ---- jobs ---- */

/* Takes the job out of everything that knows it. */
static void job_detach(struct resolve_job *j)
{
    timer_cancel(&j->deadline);
    later_cancel(&j->delivery);
    list_unlink(&j->link);
    if (j->query != NULL)
        j->query->job = NULL;
    j->query = NULL;
}

/* The callback may cancel other jobs or destroy the resolver. */
static void deliver(struct resolve_job *j)
{
    job_detach(j);
    bool ok = j->result == ERR_NONE;
    j->fn(j->arg, j->result, ok ? j->addrs : NULL, ok ? j->addr_count : 0, ok ? j->ttl_s : 0);
    OBJ_FREE(&j, JOB_MAGIC);
}

static void on_deliver(void *arg)
{
    deliver(arg);
}

static void on_deadline(void *arg)
{
    struct resolve_job *j = arg;
    CHECK_OBJ(j, JOB_MAGIC);
    j->result = ERR_TIMEOUT;
    deliver(j);
}

static void finish_later(struct resolve_job *j, enum err result)
{
    j->result = result;
    timer_cancel(&j->deadline);
    later_post(&j->delivery);
}

static void add_node(struct resolve_job *j, const struct ares_addrinfo_node *n)
{
    if (j->addr_count >= RESOLVE_ADDRS_MAX || (n->ai_family != AF_INET && n->ai_family != AF_INET6) ||
        n->ai_addrlen > sizeof(struct sockaddr_in6))
        return;
    struct addr *a = &j->addrs[j->addr_count];
    memset(a, 0, sizeof *a);
    memcpy(&a->sa, n->ai_addr, n->ai_addrlen);
    a->len = n->ai_addrlen;
    if (n->ai_family == AF_INET)
        a->v4.sin_port = htons(j->port);
    else
        a->v6.sin6_port = htons(j->port);
    uint32_t ttl_s = n->ai_ttl > 0 ? (uint32_t)n->ai_ttl : 0;
    if (j->addr_count == 0 || ttl_s < j->ttl_s)
        j->ttl_s = ttl_s;
    j->addr_count++;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *answer)
{
    (void)timeouts;
    struct query *q = arg;
    CHECK_OBJ(q, QUERY_MAGIC);
    struct resolve_job *j = q->job;
    q->resolver->query_count--;
    if (j != NULL) {
        j->query = NULL;
        for (struct ares_addrinfo_node *n = answer != NULL ? answer->nodes : NULL; n != NULL; n = n->ai_next)
            add_node(j, n);
        for (struct ares_addrinfo_cname *c = answer != NULL ? answer->cnames : NULL; c != NULL; c = c->next)
            if (c->ttl >= 0 && (uint32_t)c->ttl < j->ttl_s)
                j->ttl_s = (uint32_t)c->ttl;
        bool found = status == ARES_SUCCESS && j->addr_count > 0;
        finish_later(j, found ? ERR_NONE : status == ARES_ETIMEOUT ? ERR_TIMEOUT : ERR_RESOLVE);
    }
    if (answer != NULL)
        ares_freeaddrinfo(answer);
    OBJ_FREE(&q, QUERY_MAGIC);
}

static void ask(struct resolver *r, struct resolve_job *j, const char *host)
{
    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct query *q;
    OBJ_NEW(q, QUERY_MAGIC);
    q->resolver = r;
    q->job = j;
    j->query = q;
    r->query_count++;
    ares_getaddrinfo(r->channel, host, NULL, &hints, on_answer, q);
    rearm(r);
}

struct resolve_job *resolve_start(struct resolver *r, const char *host, uint16_t port, int64_t timeout_ms,
                                  resolve_fn *fn, void *arg)
{
    CHECK_OBJ(r, RESOLVER_MAGIC);
    struct resolve_job *j;
    OBJ_NEW(j, JOB_MAGIC);
    j->resolver = r;
    j->port = port;
    j->fn = fn;
    j->arg = arg;
    timer_init(&j->deadline, r->loop, on_deadline, j);
    later_init(&j->delivery, r->loop, on_deliver, j);
    list_init(&j->link);
    list_append(&r->jobs, &j->link);

    size_t len = strlen(host);
    if (addr_from_ip(&j->addrs[0], host, port)) {
        j->addr_count = 1;
        finish_later(j, ERR_NONE);
    } else if (len == 0 || len > HOST_BYTES_MAX || !r->has_channel) {
        finish_later(j, ERR_RESOLVE);
    } else if (r->query_count >= QUERIES_MAX) {
        finish_later(j, ERR_LIMIT);
    } else {
        timer_start(&j->deadline, timeout_ms);
        ask(r, j, host);
    }
    return j;
}

void resolve_cancel(struct resolve_job **jp)
{
    struct resolve_job *j = *jp;
    CHECK_OBJ(j, JOB_MAGIC);
    *jp = NULL;
    job_detach(j);
    OBJ_FREE(&j, JOB_MAGIC);
}

/* ---- the resolver ---- */

struct resolver *resolver_create(struct loop *l)
{
    struct resolver *r;
    OBJ_NEW(r, RESOLVER_MAGIC);
    r->loop = l;
    list_init(&r->watches);
    list_init(&r->old_watches);
    list_init(&r->jobs);
    timer_init(&r->tick, l, on_tick, r);
    later_init(&r->sweeper, l, on_sweep, r);

    struct ares_options options = {
        .timeout = TRY_TIMEOUT_MS, .tries = TRIES, .sock_state_cb = on_socket_state, .sock_state_cb_data = r};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    if (ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS)
        r->has_channel = ares_init_options(&r->channel, &options, mask) == ARES_SUCCESS;
    return r;
}

bool resolver_set_servers(struct resolver *r, const char *servers)
{
    CHECK_OBJ(r, RESOLVER_MAGIC);
    return r->has_channel && ares_set_servers_ports_csv(r->channel, servers) == ARES_SUCCESS;
}

void resolver_destroy(struct resolver **rp)
{
    struct resolver *r = *rp;
    CHECK_OBJ(r, RESOLVER_MAGIC);
    LIST_EACH (it, &r->jobs) {
        struct resolve_job *j = LIST_ENTRY(it, struct resolve_job, link);
        resolve_cancel(&j);
    }
    if (r->has_channel)
        ares_destroy(r->channel); /* answers every query with ARES_EDESTRUCTION and closes the sockets */
    ares_library_cleanup();
    timer_cancel(&r->tick);
    later_cancel(&r->sweeper);
    on_sweep(r);
    ASSERT(list_is_empty(&r->watches) && r->query_count == 0);
    OBJ_FREE(rp, RESOLVER_MAGIC);
}
