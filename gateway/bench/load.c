/* The course of a load: phases, patience, links that are opened again.
 *
 * Each phase ends for certain: opening because every handshake has a time limit, measuring by the clock or the number
 * of messages, a hold by the clock or the end of stdin, the last words by the same time limit. A signal ends the phase
 * it meets. */
#include "gateway/bench/load.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/bench/net.h"

#define CHURN_FAILURES 1000u /* a server that refuses everything would be asked a hundred thousand times a second */

static uint32_t opening_count(const struct load *l)
{
    return l->count[LINK_CONNECTING] + l->count[LINK_SECURING] + l->count[LINK_UPGRADING] + l->count[LINK_JOINING];
}

static uint32_t open_count(const struct load *l)
{
    return l->count[LINK_IDLE] + l->count[LINK_WAITING];
}

static void set_phase(struct load *l, enum phase to)
{
    l->phase = to;
    l->phase_since_ns = l->now_ns = net_now_ns();
    l->paced = 0;
    for (uint32_t i = 0; i < l->options->connections; i++)
        l->links[i].owed_count = 0;
    if (to == PHASE_MEASURE)
        l->measure_since_ns = l->now_ns;
}

static bool is_phase_over(const struct load *l, int64_t length_ms)
{
    return l->now_ns - l->phase_since_ns >= length_ms * NS_PER_MS;
}

static bool is_speaking(const struct load *l)
{
    return l->phase == PHASE_WARM_UP || l->phase == PHASE_MEASURE;
}

/* ---- what links tell ---- */

/* As long as nothing was heard on this link, in the measured part. */
static void look_at_gap(struct load *l, const struct link *k, int64_t now_ns)
{
    const int64_t since_ns = k->heard_ns > l->measure_since_ns ? k->heard_ns : l->measure_since_ns;
    if (l->phase == PHASE_MEASURE && k->was_open && now_ns - since_ns > l->result->longest_gap_ns)
        l->result->longest_gap_ns = now_ns - since_ns;
}

static void note_latency(struct load *l, int64_t took_ns)
{
    const uint64_t ns = took_ns < 0 ? 0 : (uint64_t)took_ns;
    histogram_add(&l->result->latency, ns);
    if (l->tally.is_shown)
        histogram_add(&l->result->second, ns);
}

void load_on_open(struct load *l, struct link *k)
{
    const struct options *o = l->options;
    const int64_t now_ns = net_now_ns();
    l->result->opened++;
    l->result->reopened += k->was_open && k->retry_count > 0;
    histogram_add(&l->result->connects, (uint64_t)(now_ns - k->since_ns));
    if (!k->was_open)
        k->heard_ns = now_ns;
    k->was_open = true;
    k->retry_count = 0;
    k->beat_ns = now_ns + o->heartbeat_ms * NS_PER_MS;
    if (l->owed != NULL)
        delivery_open(l->owed, k->number);
    if (pace_send_owed(l, k))
        return;
    const bool has_more = o->messages == 0 || k->message_count < o->messages;
    /* an HTTP client that is held idle is one between two requests */
    if (o->mode == MODE_CHURN || (o->mode == MODE_HOLD && o->url.speaks_http) ||
        (o->mode == MODE_ECHO && is_speaking(l) && !pace_is_set(l) && has_more))
        link_send(l, k, now_ns);
}

void load_on_delivery(struct load *l, struct link *k, uint64_t topic, uint64_t number, int64_t due_ns)
{
    const bool is_measured = l->measure_since_ns > 0 && due_ns >= l->measure_since_ns;
    const int64_t now_ns = net_now_ns();
    switch (topic == UINT64_MAX ? DELIVERY_NONE : delivery_hear(l->owed, k->number, topic, number)) {
    case DELIVERY_NONE:
        return;
    case DELIVERY_AGAIN:
        l->result->twice += is_measured;
        return;
    case DELIVERY_FIRST:
        break;
    }
    look_at_gap(l, k, now_ns);
    k->heard_ns = now_ns;
    l->result->echoes++;
    if (!is_measured)
        return;
    l->result->deliveries++;
    note_latency(l, now_ns - due_ns);
}

/* One round trip is done; what this link does next. */
static void go_on(struct load *l, struct link *k)
{
    const uint32_t messages = l->options->messages;
    if (l->options->url.speaks_http && k->answer.is_last)
        load_on_ended(l, k);
    else if (l->options->mode == MODE_CHURN)
        link_say_goodbye(l, k);
    else if (l->options->mode == MODE_HOLD || pace_send_owed(l, k) || pace_is_set(l))
        return;
    else if (l->phase == PHASE_WARM_UP || (l->phase == PHASE_MEASURE && (messages == 0 || k->message_count < messages)))
        link_send(l, k, net_now_ns());
}

void load_on_reply(struct load *l, struct link *k, bool is_good)
{
    const int64_t now_ns = net_now_ns();
    l->result->echoes++;
    if (l->phase == PHASE_MEASURE)
        l->result->round_trips += is_good;
    if (k->is_measured) {
        l->result->answered += is_good;
        note_latency(l, now_ns - k->due_ns);
    }
    look_at_gap(l, k, now_ns);
    k->heard_ns = now_ns;
    if (l->options->mode == MODE_HOLD)
        l->result->alive += l->phase == PHASE_LAST_WORDS;
    go_on(l, k);
}

static void retry_at(struct load *l, struct link *k, int64_t when_ns)
{
    if (l->phase >= PHASE_LAST_WORDS || k->retry_ns > 0)
        return;
    k->retry_ns = when_ns;
    l->retry_count++;
}

void load_on_ended(struct load *l, struct link *k)
{
    link_drop(l, k);
    if (l->options->mode == MODE_CHURN)
        load_on_gone(l, k, true, true);
    else
        retry_at(l, k, net_now_ns());
}

void load_on_gone(struct load *l, struct link *k, bool was_open, bool in_order)
{
    /* as realtime-js does, and not all at once */
    static const int64_t waits_ms[] = {1000, 2000, 5000, 10000};
    const uint32_t last = sizeof waits_ms / sizeof waits_ms[0] - 1;
    if (l->owed != NULL)
        delivery_gone(l->owed, k->number);
    l->result->unsent += k->owed_count;
    k->owed_count = k->message_count = 0;
    if (in_order)
        l->result->cycles += l->phase == PHASE_MEASURE;
    else if (was_open)
        l->result->dropped++;
    else
        l->result->failed++;
    if (in_order || !l->options->reconnects)
        return; /* churn opens it again in its own time */
    const int64_t wait_ms = waits_ms[k->retry_count < last ? k->retry_count : last];
    if (k->retry_count < last)
        k->retry_count++;
    retry_at(l, k, net_now_ns() + wait_ms * NS_PER_MS + (int64_t)(k->number % 100) * wait_ms * NS_PER_MS / 1000);
}

/* ---- phases ---- */

static bool may_open_another(const struct load *l)
{
    const struct options *o = l->options;
    const int64_t past_ns = net_now_ns() - l->start_ns;
    const double due = o->ramp_ms > 0 ? (double)o->connections * (double)past_ns / 1e6 / (double)o->ramp_ms
                                      : (double)o->ramp_per_second * (double)past_ns / 1e9;
    return (o->ramp_ms == 0 && o->ramp_per_second == 0) || (double)l->next_link <= due;
}

static void open_more(struct load *l)
{
    while (l->next_link < l->options->connections && opening_count(l) < l->options->opening_count &&
           may_open_another(l))
        link_open(l, &l->links[l->next_link++]);
}

static void open_again(struct load *l)
{
    for (uint32_t i = 0; i < l->options->connections && l->retry_count > 0; i++) {
        struct link *k = &l->links[i];
        if (k->retry_ns == 0 || k->retry_ns > l->now_ns || opening_count(l) >= l->options->opening_count)
            continue;
        k->retry_ns = 0;
        l->retry_count--;
        if (k->state == LINK_NONE) /* churn may have opened it meanwhile */
            link_open(l, k);
    }
}

static void send_on_all(struct load *l)
{
    for (uint32_t i = 0; i < l->options->connections; i++) {
        if (l->links[i].state == LINK_IDLE)
            link_send(l, &l->links[i], net_now_ns());
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
    if (!pace_is_set(l))
        send_on_all(l);
}

/* The measured part, or the hold, is over. */
static void begin_last_words(struct load *l)
{
    for (uint32_t i = 0; i < l->options->connections; i++) {
        look_at_gap(l, &l->links[i], l->now_ns);
        l->result->unsent += l->links[i].owed_count;
    }
    if (l->phase == PHASE_OPENING) /* interrupted */
        l->result->open_ns = l->now_ns - l->start_ns;
    if (l->phase == PHASE_MEASURE || l->phase == PHASE_HOLD)
        l->result->measured_ns = net_now_ns() - l->phase_since_ns;
    if (l->options->mode == MODE_ECHO && l->options->per_connection <= 0 && pace_next_ns(l) < l->now_ns)
        l->result->unsent += (uint64_t)((double)(l->now_ns - pace_next_ns(l)) / 1e9 * l->options->rate);
    set_phase(l, PHASE_LAST_WORDS);
    if (l->beside != NULL && l->beside->phase < PHASE_LAST_WORDS)
        begin_last_words(l->beside);
}

static void step_measure(struct load *l)
{
    const bool is_counted = l->options->messages > 0;
    const bool has_any = l->count[LINK_NONE] < l->options->connections || l->retry_count > 0;
    /* links that are lost for good, or for as long as their server is, do not hold up a run that counts messages */
    const uint32_t busy = l->count[LINK_WAITING] + opening_count(l) + (l->options->reconnects ? 0 : l->retry_count);
    if (has_any && (is_counted ? busy > 0 : !is_phase_over(l, l->options->time_ms)))
        return;
    begin_last_words(l);
}

static void step_churn(struct load *l)
{
    if (is_phase_over(l, l->options->time_ms) || l->result->failed + l->result->dropped > CHURN_FAILURES) {
        l->result->open_ns = net_now_ns() - l->phase_since_ns;
        begin_last_words(l);
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
    begin_last_words(l);
    if (l->options->mode == MODE_HOLD)
        send_on_all(l);
}

static void step_last_words(struct load *l)
{
    /* broadcasts that have not come yet are waited for like answers */
    const bool is_heard =
        l->result->deliveries >= l->result->expected || is_phase_over(l, l->options->timeout_ms) || open_count(l) == 0;
    if (is_heard && opening_count(l) + l->count[LINK_WAITING] + l->count[LINK_CLOSING] == 0)
        set_phase(l, PHASE_DONE);
}

void load_step(struct load *l)
{
    if (l->retry_count > 0 && l->phase < PHASE_LAST_WORDS)
        open_again(l);
    switch (l->phase) {
    case PHASE_OPENING:
        step_opening(l);
        return;
    case PHASE_WARM_UP:
        pace_send(l);
        if (is_phase_over(l, l->options->warm_up_ms))
            set_phase(l, PHASE_MEASURE);
        return;
    case PHASE_MEASURE:
        if (l->options->mode == MODE_CHURN) {
            step_churn(l);
            return;
        }
        pace_send(l);
        step_measure(l);
        return;
    case PHASE_HOLD:
        if (is_phase_over(l, l->options->time_ms))
            end_hold(l);
        return;
    case PHASE_LAST_WORDS:
        step_last_words(l);
        return;
    case PHASE_DONE:
        return;
    }
}

/* ---- once a second ---- */

static void look_after(struct load *l, struct link *k)
{
    const bool is_busy = k->state != LINK_NONE && k->state != LINK_IDLE;
    if (is_busy && l->now_ns - k->since_ns > l->options->timeout_ms * NS_PER_MS)
        link_on_timeout(l, k);
    else if ((k->state == LINK_IDLE || k->state == LINK_WAITING) && l->options->channel_count > 0 &&
             l->options->heartbeat_ms > 0 && k->beat_ns <= l->now_ns && l->phase < PHASE_LAST_WORDS) {
        k->beat_ns = l->now_ns + l->options->heartbeat_ms * NS_PER_MS;
        link_beat(l, k);
    }
}

void load_look_after(struct load *l)
{
    static const char *const phase_texts[] = {"opening", "warm-up", "measuring", "holding", "ending", "done"};
    for (uint32_t i = 0; i < l->options->connections; i++)
        look_after(l, &l->links[i]);
    progress_tick(&l->tally, l->result, open_count(l), phase_texts[l->phase], l->now_ns);
}

/* ---- from outside ---- */

void load_on_input(struct load *l)
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

void load_interrupt(struct load *l)
{
    l->now_ns = net_now_ns();
    if (l->result->is_interrupted)
        set_phase(l, PHASE_DONE);
    else if (l->phase == PHASE_HOLD)
        end_hold(l);
    else if (l->phase < PHASE_LAST_WORDS)
        begin_last_words(l);
    l->result->is_interrupted = true;
}

/* ---- begin and end ---- */

struct load *load_create(const struct options *o, const struct addr *address, struct result *r)
{
    struct load *l;
    OBJ_NEW(l, LOAD_MAGIC);
    l->options = o;
    l->address = address;
    l->result = r;
    l->links = mem_alloc_array(o->connections, sizeof *l->links);
    for (uint32_t i = 0; i < o->connections; i++) {
        l->links[i].number = i;
        l->links[i].load = l;
        l->links[i].fd = -1;
    }
    l->count[LINK_NONE] = o->connections;
    l->start_ns = net_now_ns();
    vocabulary_init(&l->words, o, (uint32_t)getpid());
    strbuf_init(&l->frame, WORDS_FRAME_BYTES);
    if (o->mode == MODE_BROADCAST || l->words.message_count == 0)
        l->owed =
            delivery_create(o->connections, o->channel_count, o->member_count > 0 ? o->member_count : o->connections);
    set_phase(l, o->mode == MODE_CHURN ? PHASE_MEASURE : PHASE_OPENING);
    return l;
}

void load_destroy(struct load **lp)
{
    struct load *l = *lp;
    CHECK_OBJ(l, LOAD_MAGIC);
    for (uint32_t i = 0; i < l->options->connections; i++) {
        link_drop(l, &l->links[i]);
        secure_session_free(&l->links[i].session);
    }
    vocabulary_fini(&l->words);
    strbuf_fini(&l->frame);
    if (l->owed != NULL)
        delivery_destroy(&l->owed);
    mem_free(l->links);
    OBJ_FREE(lp, LOAD_MAGIC);
}
