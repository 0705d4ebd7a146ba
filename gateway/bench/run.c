/* The loop: waits for sockets, signals, standard input and the next message that is due, for one load or two - queries
 * beside it are a load of their own, that begins and ends with the other one and is told in the same result. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/bench/load.h"
#include "gateway/bench/net.h"

#define EVENTS_PER_PASS 512
#define TICK_NS         (20 * (int64_t)NS_PER_MS)
#define LOOK_NS         (100 * (int64_t)NS_PER_MS) /* between two looks at what waits */

static void on_signal(struct load *l)
{
    struct signalfd_siginfo info;
    if (read(l->signal_fd, &info, sizeof info) == sizeof info)
        load_interrupt(l);
}

static void on_event(struct load *l, const struct epoll_event *event)
{
    if (event->data.ptr == NULL) {
        load_on_input(l);
    } else if (event->data.ptr == l) {
        on_signal(l);
    } else {
        struct link *k = event->data.ptr;
        if (k->state != LINK_NONE)
            link_on_events(k->load, k, event->events);
    }
}

/* Until something happens or is due. */
static int wait_for_events(struct load *l, struct epoll_event *events)
{
    int64_t until_ns = l->now_ns + TICK_NS;
    for (const struct load *each = l; each != NULL; each = each->beside) {
        if (pace_next_ns(each) < until_ns)
            until_ns = pace_next_ns(each);
    }
    /* what could not be sent when it was due is looked at again soon */
    const int64_t left_ns = until_ns - net_now_ns();
    const struct timespec wait = {.tv_nsec = left_ns > 0 ? left_ns : NS_PER_MS / 4};
    const int n = epoll_pwait2(l->epoll_fd, events, EVENTS_PER_PASS, &wait, NULL);
    return n < 0 && errno == ENOSYS ? epoll_wait(l->epoll_fd, events, EVENTS_PER_PASS, 1) : n;
}

static void run(struct load *l)
{
    struct epoll_event events[EVENTS_PER_PASS];
    int64_t looked_ns = l->now_ns;
    while (l->phase != PHASE_DONE) {
        const int n = wait_for_events(l, events);
        for (int i = 0; i < n; i++)
            on_event(l, &events[i]);
        const bool is_time_to_look = net_now_ns() - looked_ns > LOOK_NS;
        for (struct load *each = l; each != NULL; each = each->beside) {
            each->now_ns = net_now_ns();
            load_step(each);
            if (is_time_to_look)
                load_look_after(each);
        }
        if (is_time_to_look)
            looked_ns = l->now_ns;
    }
}

/* ---- begin and end ---- */

/* The options of queries: a load of its own kind, for as long as the other one runs. */
static void query_options(struct options *to, const struct options *o)
{
    *to = (struct options){.mode = MODE_ECHO,
                           .url = o->url,
                           .connections = o->query_connections,
                           .opening_count = o->query_connections,
                           .timeout_ms = o->timeout_ms,
                           .reconnects = true,
                           .rate = o->query_rate,
                           .size_bytes = 1,
                           .time_ms = INT64_MAX / NS_PER_MS / 2,
                           .token = o->token,
                           .header_count = o->header_count};
    memcpy(to->headers, o->headers, sizeof to->headers);
    to->url.speaks_http = true;
    const bool is_set = url_set_target(&to->url, o->queries);
    ASSERT(is_set);
}

/* What the queries found is part of the same report. */
static void add_queries(struct result *r, const struct result *queries)
{
    r->queries = queries->sent;
    r->queries_failed = queries->sent - queries->answered;
    r->cache_hits += queries->cache_hits;
    r->cache_answers += queries->cache_answers;
    r->bytes_sent += queries->bytes_sent;
    r->bytes_received += queries->bytes_received;
    histogram_merge(&r->query_latency, &queries->latency);
    for (uint32_t i = 0; i < ERROR_KIND_COUNT; i++)
        r->errors[i] += queries->errors[i];
    if (r->first_error[0] == '\0')
        memcpy(r->first_error, queries->first_error, sizeof r->first_error);
}

static bool begin(struct load *l, char *error)
{
    const struct options *o = l->options;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = l};
    if (l->epoll_fd < 0 || l->signal_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->signal_fd, &ev) != 0) {
        (void)snprintf(error, OPTIONS_ERROR_BYTES, "cannot begin: %s", strerror(errno));
        return false;
    }
    if (!o->url.is_tls)
        return true;
    l->secure = secure_create(o->url.host, o->ca_file, o->is_insecure, o->resumes);
    if (l->secure == NULL)
        (void)snprintf(error, OPTIONS_ERROR_BYTES, "cannot use TLS%s%s: %s", o->ca_file != NULL ? " with " : "",
                       o->ca_file != NULL ? o->ca_file : "", secure_failure_text());
    return l->secure != NULL;
}

bool load_run(const struct options *o, const struct addr *address, struct result *r, char *error)
{
    struct options queries;
    struct result *query_result = NULL;
    if (net_raise_fd_limit() < o->connections + o->query_connections + 16u) {
        (void)snprintf(error, OPTIONS_ERROR_BYTES, "%u connections need as many descriptors: raise `ulimit -n`",
                       o->connections);
        return false;
    }
    struct load *l = load_create(o, address, r);
    const bool has_begun = begin(l, error);
    if (has_begun && o->queries != NULL) {
        query_options(&queries, o);
        query_result = mem_alloc(sizeof *query_result);
        l->beside = load_create(&queries, address, query_result);
        l->beside->epoll_fd = l->epoll_fd;
        l->beside->secure = l->secure;
    }
    if (has_begun) {
        progress_init(&l->tally, o->shows_progress, l->now_ns);
        load_step(l);
        run(l);
        progress_end(&l->tally);
    }
    if (l->beside != NULL) {
        add_queries(r, query_result);
        mem_free(query_result);
        load_destroy(&l->beside);
    }
    struct secure *secure = l->secure;
    const int fds[] = {l->epoll_fd, l->signal_fd};
    load_destroy(&l);
    if (secure != NULL)
        secure_destroy(&secure);
    for (size_t i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return has_begun;
}
