/* The course of a run: phases, pacing, patience.
 *
 * Each phase ends for certain: opening because every handshake has a time limit, measuring by the clock or the number
 * of messages, a hold by the clock or the end of stdin, the last words by the same time limit. */
#include "gateway/bench/load.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/bench/net.h"

#define EVENTS_PER_PASS 512
#define TICK_MS         20
#define PACE_TICK_MS    1
#define NS_PER_MS       1000000

static uint32_t opening_count(const struct load *l)
{
    return l->count[LINK_CONNECTING] + l->count[LINK_SECURING] + l->count[LINK_UPGRADING] + l->count[LINK_JOINING];
}

static void set_phase(struct load *l, enum phase to)
{
    l->phase = to;
    l->phase_since_ns = l->now_ns = net_now_ns();
    l->paced = 0;
}

static bool is_phase_over(const struct load *l, int64_t length_ms)
{
    return l->now_ns - l->phase_since_ns >= length_ms * NS_PER_MS;
}

/* ---- what links tell ---- */

void load_on_open(struct load *l, struct link *k)
{
    l->result->opened++;
    histogram_add(&l->result->handshake, (uint64_t)(net_now_ns() - k->since_ns));
    /* an HTTP client that is held idle is one between two requests */
    if (l->options->mode == MODE_CHURN || (l->options->mode == MODE_HOLD && l->options->speaks_http))
        link_send(l, k);
}

void load_on_reply(struct load *l, struct link *k, int64_t took_ns)
{
    l->result->echoes++;
    if (l->phase == PHASE_MEASURE) {
        l->result->round_trips++;
        histogram_add(&l->result->latency, (uint64_t)took_ns);
    }
    if (l->options->mode == MODE_CHURN) {
        link_say_goodbye(l, k);
        return;
    }
    if (l->options->mode == MODE_HOLD) {
        l->result->alive += l->phase == PHASE_LAST_WORDS;
        return;
    }
    const uint32_t messages = l->options->messages;
    if (l->options->pace > 0)
        return;
    if (l->phase == PHASE_WARM_UP || (l->phase == PHASE_MEASURE && (messages == 0 || k->message_count < messages)))
        link_send(l, k);
}

void load_on_gone(struct load *l, struct link *k, bool was_open, bool in_order)
{
    (void)k; /* churn opens it again in its own time */
    if (in_order)
        l->result->cycles += l->phase == PHASE_MEASURE;
    else if (was_open)
        l->result->dropped++;
    else
        l->result->failed++;
}

/* ---- phases ---- */

static void open_more(struct load *l)
{
    const struct options *o = l->options;
    while (l->next_link < o->connections && opening_count(l) < o->opening_count) {
        if (o->rate > 0 && (double)l->next_link > (double)o->rate * (double)(net_now_ns() - l->start_ns) / 1e9)
            return;
        link_open(l, &l->links[l->next_link++]);
    }
}

static void send_on_all(struct load *l)
{
    for (uint32_t i = 0; i < l->options->connections; i++) {
        if (l->links[i].state == LINK_IDLE)
            link_send(l, &l->links[i]);
    }
}

/* What is due by the clock, on links in turn. When all wait for answers it stays due. */
static void send_paced(struct load *l)
{
    const uint32_t count = l->options->connections;
    const double due = (double)l->options->pace * (double)(l->now_ns - l->phase_since_ns) / 1e9;
    for (uint32_t looked = 0; looked < count && (double)l->paced < due; looked++) {
        struct link *k = &l->links[l->next_idle];
        l->next_idle = (l->next_idle + 1) % count;
        if (k->state != LINK_IDLE)
            continue;
        l->paced++;
        link_send(l, k);
    }
}

static void begin_hold(struct load *l)
{
    set_phase(l, PHASE_HOLD);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    /* a file cannot be watched; then the clock alone ends the hold */
    l->has_input = epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev) == 0;
    printf("open=%u\n", l->count[LINK_IDLE]);
    (void)fflush(stdout);
}

static void step_opening(struct load *l)
{
    open_more(l);
    if (l->next_link < l->options->connections || opening_count(l) + l->count[LINK_WAITING] > 0)
        return;
    l->result->open_ns = net_now_ns() - l->start_ns;
    if (l->options->mode == MODE_HOLD || l->options->mode == MODE_LISTEN) {
        begin_hold(l);
        return;
    }
    set_phase(l, l->options->warm_up_ms > 0 ? PHASE_WARM_UP : PHASE_MEASURE);
    if (l->options->pace == 0)
        send_on_all(l);
}

static void step_measure(struct load *l)
{
    const bool is_counted = l->options->messages > 0;
    const bool has_any = l->count[LINK_NONE] < l->options->connections;
    if (has_any && (is_counted ? l->count[LINK_WAITING] > 0 : !is_phase_over(l, l->options->time_ms)))
        return;
    l->result->measured_ns = net_now_ns() - l->phase_since_ns;
    set_phase(l, PHASE_LAST_WORDS);
}

static void step_churn(struct load *l)
{
    /* a server that refuses everything would be asked a hundred thousand times a second */
    const uint64_t failures = l->result->failed + l->result->dropped;
    if (is_phase_over(l, l->options->time_ms) || failures > 1000) {
        l->result->measured_ns = net_now_ns() - l->phase_since_ns;
        l->result->open_ns = l->result->measured_ns;
        set_phase(l, PHASE_LAST_WORDS);
        return;
    }
    for (uint32_t i = 0; i < l->options->connections && opening_count(l) < l->options->opening_count; i++) {
        if (l->links[i].state == LINK_NONE)
            link_open(l, &l->links[i]);
    }
}

static void end_hold(struct load *l)
{
    if (l->has_input)
        (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
    l->result->measured_ns = net_now_ns() - l->phase_since_ns;
    set_phase(l, PHASE_LAST_WORDS);
    if (l->options->mode == MODE_HOLD)
        send_on_all(l);
}

static void step(struct load *l)
{
    switch (l->phase) {
    case PHASE_OPENING:
        step_opening(l);
        return;
    case PHASE_WARM_UP:
        send_paced(l);
        if (is_phase_over(l, l->options->warm_up_ms))
            set_phase(l, PHASE_MEASURE);
        return;
    case PHASE_MEASURE:
        if (l->options->mode == MODE_CHURN) {
            step_churn(l);
            return;
        }
        send_paced(l);
        step_measure(l);
        return;
    case PHASE_HOLD:
        if (is_phase_over(l, l->options->time_ms))
            end_hold(l);
        return;
    case PHASE_LAST_WORDS:
        if (opening_count(l) + l->count[LINK_WAITING] + l->count[LINK_CLOSING] == 0)
            set_phase(l, PHASE_DONE);
        return;
    case PHASE_DONE:
        return;
    }
}

static void lose_patience(struct load *l)
{
    for (uint32_t i = 0; i < l->options->connections; i++) {
        struct link *k = &l->links[i];
        if (k->state != LINK_NONE && k->state != LINK_IDLE && l->now_ns - k->since_ns > LINK_PATIENCE_NS)
            link_on_timeout(l, k);
    }
}

static void on_input(struct load *l)
{
    char line[256];
    if (l->phase != PHASE_HOLD)
        return;
    const ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);
    line[n < 0 ? 0 : n] = '\0';
    if (n <= 0)
        end_hold(l);
    else if (l->options->mode == MODE_LISTEN)
        listen_on_line(l, line);
}

static void run(struct load *l)
{
    struct epoll_event events[EVENTS_PER_PASS];
    const int tick_ms = l->options->pace > 0 ? PACE_TICK_MS : TICK_MS;
    int64_t looked_ns = l->now_ns;
    while (l->phase != PHASE_DONE) {
        const int n = epoll_wait(l->epoll_fd, events, EVENTS_PER_PASS, tick_ms);
        for (int i = 0; i < n; i++) {
            struct link *k = events[i].data.ptr;
            if (k == NULL)
                on_input(l);
            else if (k->state != LINK_NONE)
                link_on_events(l, k, events[i].events);
        }
        l->now_ns = net_now_ns();
        step(l);
        if (l->now_ns - looked_ns > 1000 * (int64_t)NS_PER_MS) {
            looked_ns = l->now_ns;
            lose_patience(l);
        }
    }
}

bool load_run(const struct options *o, struct result *r)
{
    if (net_raise_fd_limit() < o->connections + 16u) {
        fprintf(stderr, "tidegate-bench: %u connections need as many descriptors: raise `ulimit -n`\n", o->connections);
        return false;
    }
    struct load *l = mem_alloc(sizeof *l);
    l->options = o;
    l->result = r;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->secure = o->is_tls ? secure_create(o->resumes) : NULL;
    if (l->epoll_fd < 0 || (o->is_tls && l->secure == NULL)) {
        fprintf(stderr, "tidegate-bench: cannot begin: %s\n", l->epoll_fd < 0 ? "epoll" : secure_failure_text());
        mem_free(l);
        return false;
    }
    l->links = mem_alloc_array(o->connections, sizeof *l->links);
    for (uint32_t i = 0; i < o->connections; i++)
        l->links[i].number = i;
    l->count[LINK_NONE] = o->connections;
    vocabulary_init(&l->words, o);
    r->join_bytes = o->channel_count > 0 ? l->words.joins[0].message_len : 0;
    set_phase(l, o->mode == MODE_CHURN ? PHASE_MEASURE : PHASE_OPENING);
    l->start_ns = l->now_ns;
    step(l);
    run(l);
    for (uint32_t i = 0; i < o->connections; i++)
        link_drop(l, &l->links[i]);
    close(l->epoll_fd);
    if (l->secure != NULL)
        secure_destroy(&l->secure);
    vocabulary_fini(&l->words);
    mem_free(l->links);
    mem_free(l);
    return true;
}
