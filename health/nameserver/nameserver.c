/* What the supervisor's messages mean here, and the steering table on its way into the answers.
 *
 * A configuration counts only when it arrives whole and its zone can be built: the sockets that came before it are held
 * back until then, and one that is refused changes nothing but the answer.
 *
 * The table is looked at before every batch of queries, so a decision is in the next answer. A look costs one read of
 * shared memory; nothing wakes this process when nobody asks, unless there are servers to be told (pusher.h). */
#include "health/nameserver/nameserver.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ipc.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/resolve.h"
#include "base/sock.h"
#include "health/nameserver/aliases.h"
#include "health/nameserver/pusher.h"
#include "health/nameserver/responder.h"
#include "health/nameserver/site.h"
#include "health/nameserver/tcp.h"
#include "health/nameserver/udp.h"
#include "health/serial.h"
#include "health/zone_mark.h"

#define NAMESERVER_MAGIC 0x4a3e5e7bu
#define WATCH_MS         1000
#define SERIAL_UNDECIDED 1u
/* How long the first answers wait for the checker, which knows what was decided before a restart; and how often a look
 * is taken whether it has said so. */
#define DECISION_WAIT_MS 1000
#define DECISION_LOOK_MS 5

struct new_socket {
    struct list link;
    int fd;
    char address[IPC_TEXT_BYTES];
};

struct nameserver {
    uint32_t magic;
    struct loop *loop;
    const struct birth *birth;
    const struct steering_table *table;
    struct ipc *ipc; /* NULL once the supervisor is gone */
    struct site_secrets secrets;
    struct responder *responder;
    struct udp *udp;
    struct tcp *tcp;
    struct resolver *resolver;
    struct aliases *aliases;
    struct pusher *pusher;
    struct site *site;       /* NULL before the first configuration */
    struct list new_sockets; /* came since the last configuration */
    struct list own_sockets; /* of one that was taken, not yet in use */
    int64_t waits_until_ms;  /* for the first decision */
    struct timer first_look;
    struct timer watch;
    struct timer drain_end;
};

/* ---- what answers are made of ---- */

static void on_batch(void *arg)
{
    struct nameserver *n = arg;
    responder_set_time(n->responder, loop_now_ms(n->loop), loop_wall_ms(n->loop));
    (void)choices_refresh(n->site->choices);
}

static void on_alias(void *arg, const struct dns_name *name, struct steering_alias *place)
{
    aliases_want(arg, name, place);
}

static void use_site(struct nameserver *n, struct site *s)
{
    const struct conf_dns *dns = &s->conf->dns;
    struct site *old = n->site;

    n->site = s;
    aliases_begin(n->aliases);
    choices_each_alias(s->choices, on_alias, n->aliases);
    aliases_end(n->aliases);
    responder_use(n->responder, &s->service, choices_steering(s->choices), s->limit);
    tcp_set_limits(n->tcp, &(struct tcp_limits){.connections = dns->tcp.connections,
                                                .per_client = dns->tcp.per_client,
                                                .pipelined = dns->tcp.pipelined,
                                                .idle_ms = dns->tcp.idle_ms});
    if (old != NULL)
        site_destroy(&old);
}

/* ---- what others are told ---- */

static const struct steering_alias *alias_of(void *arg, const struct conf_dns_record *record, size_t answer)
{
    const struct nameserver *n = arg;
    const struct zone_conf *zone = &n->site->zone;
    const struct steering *steering = choices_steering(n->site->choices);

    for (size_t i = 0; i < zone->set_count; i++)
        if (zone->sets[i].record == record && steering->sets[i].aliases != NULL)
            return &steering->sets[i].aliases[answer];
    return NULL;
}

/* A journal that cannot be reached keeps nobody from working. */
static void on_event(void *arg, const struct event *e)
{
    struct nameserver *n = arg;
    if (n->ipc != NULL && ipc_has_room(n->ipc) && ipc_send(n->ipc, MSG_EVENT, e, -1) != ERR_NONE)
        LOG_DEBUG("supervisor does not take messages", KV_STR("message", ipc_type_text(MSG_EVENT)));
}

/* ---- sockets ---- */

static void keep_socket(struct nameserver *n, const void *payload, int fd)
{
    const struct msg_listener *m = payload;
    struct new_socket *s = mem_alloc(sizeof *s);

    s->fd = fd;
    snprintf(s->address, sizeof s->address, "%s", m->address);
    list_init(&s->link);
    list_append(&n->new_sockets, &s->link);
}

static bool is_udp(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM;
}

static void socket_use(struct nameserver *n, struct new_socket *s)
{
    if (sock_is_udp_sender(s->fd))
        udp_add_sender(n->udp, s->fd, s->address);
    else if (is_udp(s->fd))
        udp_add(n->udp, s->fd, s->address);
    else
        tcp_add(n->tcp, s->fd, s->address);
    list_unlink(&s->link);
    mem_free(s);
}

static void socket_close(struct new_socket *s)
{
    close(s->fd);
    list_unlink(&s->link);
    mem_free(s);
}

static void close_sockets(struct list *sockets)
{
    LIST_EACH (it, sockets)
        socket_close(LIST_ENTRY(it, struct new_socket, link));
}

static void use_own_sockets(struct nameserver *n)
{
    LIST_EACH (it, &n->own_sockets)
        socket_use(n, LIST_ENTRY(it, struct new_socket, link));
}

static bool is_named(const struct conf_dns *dns, const char *address)
{
    for (size_t i = 0; i < dns->listen_count; i++)
        if (strcmp(dns->listen[i].text, address) == 0)
            return true;
    return false;
}

/* Closes what the configuration names no more, before the one before it goes, so that what waits is still answered; and
 * owns what came with it. */
static void follow_sockets(struct nameserver *n, const struct conf_dns *dns)
{
    for (size_t i = 0; n->site != NULL && i < n->site->conf->dns.listen_count; i++) {
        const char *address = n->site->conf->dns.listen[i].text;
        if (is_named(dns, address))
            continue;
        udp_remove(n->udp, address);
        tcp_remove(n->tcp, address);
    }
    LIST_EACH (it, &n->own_sockets) {
        struct new_socket *s = LIST_ENTRY(it, struct new_socket, link);
        if (!is_named(dns, s->address))
            socket_close(s);
    }
    list_splice(&n->own_sockets, &n->new_sockets);
}

/* ---- configuration ---- */

/* The serial of a zone for which nobody decides: it follows the clock, and a change within the same second has one of
 * its own. Where somebody does, and has not told yet, it is older than any that he may have told before: the clock
 * would run ahead of one that was kept over a restart, and then the zone's serial would go back. */
static uint32_t own_serial(const struct nameserver *n, const struct conf *c)
{
    const uint32_t clock_s = (uint32_t)(loop_wall_ms(n->loop) / 1000);
    const struct conf_dns *dns = &c->dns;

    if (n->site == NULL)
        return conf_has_steered_records(c) ? SERIAL_UNDECIDED : clock_s;
    const uint32_t last = choices_steering(n->site->choices)->serial;
    return zone_mark(dns) == zone_mark(&n->site->conf->dns) ? last : serial_next(last, clock_s);
}

/* Queries that come before the sockets are used wait in them: better late by a moment than answered with a region that
 * was known to be down before the restart. */
static void on_first_look(void *arg)
{
    struct nameserver *n = arg;

    (void)choices_refresh(n->site->choices);
    const bool is_decided = choices_are_decided(n->site->choices) || !conf_has_steered_records(n->site->conf);
    if (is_decided || loop_now_ms(n->loop) >= n->waits_until_ms)
        use_own_sockets(n);
    else
        timer_start(&n->first_look, DECISION_LOOK_MS);
}

/* Without a zone this process is dismissed next, unless another one refuses and all go back: then the sockets come
 * again, with what is said here until then. */
static void stand_by(struct nameserver *n, struct conf *c)
{
    follow_sockets(n, &c->dns);
    pusher_take_conf(n->pusher, c);
    LOG_INFO("no zone to answer for");
}

static bool take_conf(struct nameserver *n, struct conf *c, char why[ZONE_CONF_WHY_BYTES])
{
    const bool is_first = n->site == NULL;

    if (!conf_wants_dns(c)) {
        stand_by(n, c);
        return true;
    }

    struct site *s = site_create(c, n->table, &n->secrets, own_serial(n, c), why);

    if (s == NULL)
        return false;
    follow_sockets(n, &c->dns);
    use_site(n, s);
    if (is_first)
        n->waits_until_ms = loop_now_ms(n->loop) + DECISION_WAIT_MS;
    if (!timer_is_active(&n->first_look))
        on_first_look(n);
    pusher_take_conf(n->pusher, c);
    LOG_INFO("zone taken", KV_STR("zone", c->dns.zone), KV_UINT("names", zone_name_count(s->zone.zone)),
             KV_UINT("steered", s->zone.set_count), KV_UINT("serial", choices_steering(s->choices)->serial));
    return true;
}

static void on_conf(struct nameserver *n, const void *payload, int fd)
{
    const struct msg_conf *m = payload;
    struct conf_errors errors;
    char why[ZONE_CONF_WHY_BYTES];
    struct conf *c = conf_load_sealed(fd, &errors);
    const char *error = errors.text;

    if (c != NULL && !take_conf(n, c, why))
        error = why;
    if (error != NULL)
        close_sockets(&n->new_sockets);
    ipc_answer_conf(n->ipc, m->generation, error);
    if (c != NULL)
        conf_unref(&c);
    conf_errors_fini(&errors);
    if (fd >= 0)
        close(fd);
}

/* ---- other messages ---- */

static void on_drain_end(void *arg)
{
    struct nameserver *n = arg;
    loop_stop(n->loop);
}

static void on_drain(struct nameserver *n, const void *payload, int fd)
{
    const struct msg_drain *m = payload;

    (void)fd;
    timer_start(&n->drain_end, m->time_ms > 0 ? m->time_ms : 0);
}

static void on_stop(struct nameserver *n, const void *payload, int fd)
{
    (void)payload;
    (void)fd;
    loop_stop(n->loop);
}

static void on_reopen_log(struct nameserver *n, const void *payload, int fd)
{
    (void)n;
    (void)payload;
    if (fd >= 0)
        log_use_fd(fd);
    else
        log_reopen();
}

/* What this process listens to; `takes_fd` says who closes a descriptor that came along. */
static const struct {
    void (*handle)(struct nameserver *n, const void *payload, int fd);
    bool takes_fd;
} handlers[MSG_COUNT] = {
    [MSG_LISTENER] = {keep_socket, true},     [MSG_CONF] = {on_conf, true},
    [MSG_DRAIN] = {on_drain, false},          [MSG_STOP] = {on_stop, false},
    [MSG_REOPEN_LOG] = {on_reopen_log, true},
};

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct nameserver *n = arg;

    CHECK_OBJ(n, NAMESERVER_MAGIC);
    if (type == MSG_LISTENER && fd < 0)
        return;
    if (handlers[type].handle != NULL)
        handlers[type].handle(n, payload, fd);
    if (fd >= 0 && !handlers[type].takes_fd)
        close(fd);
}

static void on_supervisor_gone(void *arg)
{
    struct nameserver *n = arg;

    CHECK_OBJ(n, NAMESERVER_MAGIC);
    LOG_WARN("supervisor is gone, stopping");
    ipc_destroy(&n->ipc);
    loop_stop(n->loop);
}

/* ---- life ---- */

static void on_watch(void *arg)
{
    struct nameserver *n = arg;

    timer_start(&n->watch, WATCH_MS);
    if (n->site != NULL)
        choices_renew(n->site->choices);
    n->birth->block->process[STAT_LOG_DROPPED] = log_dropped_count();
}

static void make_random(void *out, size_t len)
{
    const ssize_t got = getrandom(out, len, 0);
    ASSERT(got == (ssize_t)len);
}

struct nameserver *nameserver_create(struct loop *l, const struct birth *birth)
{
    const struct health_table *health = birth->verdicts.base;
    uint8_t seed[RESPONDER_SEED_BYTES];
    struct nameserver *n;

    OBJ_NEW(n, NAMESERVER_MAGIC);
    n->loop = l;
    n->birth = birth;
    n->table = &health->steering;
    make_random(&n->secrets, sizeof n->secrets);
    make_random(seed, sizeof seed);
    list_init(&n->new_sockets);
    list_init(&n->own_sockets);
    timer_init(&n->first_look, l, on_first_look, n);
    timer_init(&n->watch, l, on_watch, n);
    timer_init(&n->drain_end, l, on_drain_end, n);
    n->responder = responder_create(birth->block, seed);
    n->udp = udp_create(l, n->responder, birth->block, on_batch, n);
    n->tcp = tcp_create(l, n->responder, birth->block, on_batch, n);
    n->resolver = resolver_create(l);
    n->aliases = aliases_create(l, n->resolver);
    n->pusher = pusher_create(&(struct pusher_env){.loop = l,
                                                   .resolver = n->resolver,
                                                   .block = birth->block,
                                                   .table = n->table,
                                                   .alias = alias_of,
                                                   .on_event = on_event,
                                                   .arg = n});
    timer_start(&n->watch, WATCH_MS);
    n->ipc = ipc_create(l, birth->control_fd, on_message, on_supervisor_gone, n);
    return n;
}

void nameserver_destroy(struct nameserver **np)
{
    struct nameserver *n = *np;

    CHECK_OBJ(n, NAMESERVER_MAGIC);
    timer_cancel(&n->first_look);
    timer_cancel(&n->watch);
    timer_cancel(&n->drain_end);
    close_sockets(&n->new_sockets);
    close_sockets(&n->own_sockets);
    udp_destroy(&n->udp);
    tcp_destroy(&n->tcp);
    pusher_destroy(&n->pusher);
    aliases_destroy(&n->aliases);
    resolver_destroy(&n->resolver);
    responder_destroy(&n->responder);
    if (n->site != NULL)
        site_destroy(&n->site);
    if (n->ipc != NULL)
        ipc_destroy(&n->ipc);
    mem_wipe(&n->secrets, sizeof n->secrets);
    OBJ_FREE(np, NAMESERVER_MAGIC);
}
