/* When to exchange, and what an answer means from then on.
 *
 * One exchange is under way at most. What it brings is good for as long as it says, counted on our own clock from the
 * moment before it was sent: views and the leader's lease end here no later than they do in Redis, and our own lease
 * ends LEASE_MARGIN sooner. So a process that was stopped, or cut off from Redis, knows by looking at its clock that it
 * leads no more, and one timer tells its user when anything it was told ends. */
#include "health/checker/fleet.h"

#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "cache/l2.h"
#include "gateway/net/conn.h"
#include "health/checker/exchange.h"
#include "health/checker/voices.h"

#define FLEET_MAGIC 0xf1ee7a05u

#define URGENT_PACE_MS 20
/* A tenth of the lifetime: clocks do not run that differently, and who decides takes no longer than that. */
#define LEASE_MARGIN(lifetime_ms) ((lifetime_ms) / 10)

struct fleet {
    uint32_t magic;
    struct loop *loop;
    struct net *net;
    struct l2 *l2;
    fleet_news_fn *on_news;
    void *arg;
    bool is_alone; /* of the birth */
    int64_t since_ms;
    char who[EXCHANGE_WHO_BYTES];

    /* set by fleet_take_conf() */
    struct conf *conf;
    struct exchange_names names;
    bool may_lead;
    uint64_t highest_term;

    /* what we say */
    bool has_view;
    bool has_word; /* an operator's, in the view */
    struct strbuf view;
    uint64_t decided_term; /* 0: nothing decided */
    struct strbuf decided;
    bool is_decided_held; /* Redis has it, as of the last answer */

    /* exchanges */
    bool is_hurried, is_urgent;
    struct timer next;
    struct l2_job *job; /* NULL: none is under way */
    int64_t sent_ms;    /* of this or the last one */
    bool is_leaving, has_left;

    /* what the answers said; times of our clock */
    bool is_connected;
    int64_t connected_until_ms;
    int64_t listens_until_ms; /* not all of the others may have spoken yet */
    uint64_t term;            /* of the lease, ours or not */
    bool is_ours;
    int64_t ours_until_ms;
    char leader[STEERING_NODE_BYTES];
    int64_t leader_until_ms;
    struct strbuf leader_text;
    struct decision *decision; /* NULL: none, or nothing that can be read */
    struct voices voices;
    struct timer lapse; /* the next of these times */

    enum err told_error; /* of the log line about a failure; ERR_NONE: none since the last success */
    struct log_limit odd_limit;
};

static void on_next(void *arg);

/* ---- what is known ---- */

static int64_t now_of(const struct fleet *f)
{
    return loop_now_ms(f->loop);
}

static void news(struct fleet *f)
{
    if (!f->is_leaving)
        f->on_news(f->arg);
}

static void forget_leader(struct fleet *f)
{
    f->is_ours = false;
    f->leader[0] = '\0';
    strbuf_clear(&f->leader_text);
    mem_free(f->decision);
    f->decision = NULL;
}

static void forget_all(struct fleet *f)
{
    forget_leader(f);
    voices_fini(&f->voices);
    f->is_connected = false;
    f->is_decided_held = false;
    timer_cancel(&f->lapse);
}

static void arm_lapse(struct fleet *f)
{
    int64_t at_ms = voices_lapse_ms(&f->voices);

    if (f->is_connected && f->connected_until_ms < at_ms)
        at_ms = f->connected_until_ms;
    if (f->is_ours && f->ours_until_ms < at_ms)
        at_ms = f->ours_until_ms;
    if (f->leader[0] != '\0' && f->leader_until_ms < at_ms)
        at_ms = f->leader_until_ms;
    if (at_ms == INT64_MAX)
        timer_cancel(&f->lapse);
    else
        timer_start(&f->lapse, at_ms > now_of(f) ? at_ms - now_of(f) : 0);
}

/* Something we were told is no longer so. */
static void on_lapse(void *arg)
{
    struct fleet *f = arg;
    CHECK_OBJ(f, FLEET_MAGIC);
    const int64_t now = now_of(f);

    if (f->is_connected && f->connected_until_ms <= now) {
        LOG_WARN("fleet out of reach, alone", KV_STR("group", f->conf->quorum.group));
        f->is_connected = false;
    }
    if (f->is_ours && f->ours_until_ms <= now)
        LOG_WARN("fleet is led from here no more, the lease ran out", KV_UINT("term", f->term));
    if ((f->is_ours && f->ours_until_ms <= now) || (f->leader[0] != '\0' && f->leader_until_ms <= now))
        forget_leader(f);
    (void)voices_lapse(&f->voices, now);
    arm_lapse(f);
    news(f);
}

/* ---- an answer ---- */

static bool slice_is(struct slice s, const struct strbuf *b)
{
    return s.len == b->len && (s.len == 0 || memcmp(s.data, b->data, s.len) == 0);
}

/* True: another one than before. */
static bool take_decision(struct fleet *f, const struct exchange_answer *a)
{
    if (slice_is(a->decision, &f->leader_text))
        return false;
    strbuf_clear(&f->leader_text);
    strbuf_add(&f->leader_text, a->decision.data, a->decision.len);
    if (f->decision == NULL)
        f->decision = mem_alloc(sizeof *f->decision);
    if (a->decision.len > 0 && decision_parse(f->decision, (const char *)a->decision.data, a->decision.len) &&
        (f->decision->term == a->term || (a->is_ours && f->decision->term < a->term)))
        return true;
    if (a->decision.len > 0)
        LOG_LIMITED(&f->odd_limit, now_of(f), LOG_LEVEL_WARN, "fleet's decision cannot be understood",
                    KV_STR("leader", f->leader));
    mem_free(f->decision);
    f->decision = NULL;
    return true;
}

static bool take_leader(struct fleet *f, const struct exchange_answer *a)
{
    char leader[STEERING_NODE_BYTES] = "";

    if (a->leader.len > 0)
        memcpy(leader, a->leader.data, a->leader.len);
    const bool differs = a->is_ours != f->is_ours || a->term != f->term || strcmp(leader, f->leader) != 0;
    if (differs) {
        if (a->is_ours)
            LOG_INFO("fleet is led from here", KV_UINT("term", a->term), KV_STR("group", f->conf->quorum.group));
        else if (f->is_ours)
            LOG_WARN("fleet is led from here no more", KV_UINT("term", f->term), KV_STR("leader", leader));
        else if (a->is_led)
            LOG_INFO("fleet is led by another", KV_STR("node", leader), KV_UINT("term", a->term));
        forget_leader(f);
    }
    memcpy(f->leader, leader, sizeof leader);
    f->term = a->term;
    f->is_ours = a->is_ours;
    if (a->term > f->highest_term)
        f->highest_term = a->term;
    f->leader_until_ms = f->sent_ms + a->lease_left_ms;
    f->ours_until_ms = f->sent_ms + a->lease_left_ms - LEASE_MARGIN(a->lease_left_ms);
    return differs | take_decision(f, a);
}

static void complain(struct fleet *f, const struct exchange_answer *a, const struct voices_odd *odd)
{
    if (odd->unread_count > 0)
        LOG_LIMITED(&f->odd_limit, now_of(f), LOG_LEVEL_WARN, "fleet has voices that cannot be understood",
                    KV_STR("group", f->conf->quorum.group), KV_UINT("count", odd->unread_count));
    if (odd->is_our_name)
        LOG_LIMITED(&f->odd_limit, now_of(f), LOG_LEVEL_WARN,
                    "another process has the name of this node, it is not heard", KV_STR("node", f->conf->node.name));
    if (a->is_full)
        LOG_LIMITED(&f->odd_limit, now_of(f), LOG_LEVEL_WARN, "fleet is full, nobody hears us",
                    KV_STR("group", f->conf->quorum.group), KV_UINT("voices", STEERING_PEERS_MAX + 1));
    if (a->repaired_count > 0)
        LOG_LIMITED(&f->odd_limit, now_of(f), LOG_LEVEL_WARN, "fleet's keys held what was not ours, dropped",
                    KV_STR("group", f->conf->quorum.group), KV_UINT("count", a->repaired_count));
}

static void take_answer(struct fleet *f, const struct exchange_answer *a)
{
    const bool was_connected = f->is_connected, was_held = f->is_decided_held;
    struct voices_odd odd;

    bool differs = voices_take(&f->voices, a, f->conf->node.name, f->since_ms, f->sent_ms, &odd);
    complain(f, a, &odd);
    differs |= take_leader(f, a);
    f->is_decided_held = slice_is(a->decision, &f->decided);
    if (f->is_ours && f->decided_term == f->term && !f->is_decided_held && was_held)
        f->is_urgent = true; /* it was there, and is gone */
    f->is_connected = true;
    f->connected_until_ms = f->sent_ms + f->conf->quorum.lifetime_ms;
    if (!was_connected || odd.is_cut_short)
        f->listens_until_ms = f->sent_ms + f->conf->quorum.interval_ms;
    if (!was_connected)
        LOG_INFO("fleet reached", KV_STR("group", f->conf->quorum.group), KV_UINT("others", f->voices.count),
                 KV_STR("leader", f->leader));
    arm_lapse(f);
    if (differs || !was_connected)
        news(f);
}

/* ---- exchanges ---- */

static bool may_exchange(const struct fleet *f)
{
    return fleet_is_configured(f) && f->has_view && !f->is_leaving;
}

/* The next exchange at its time, if none is under way. */
static void schedule(struct fleet *f)
{
    if (!may_exchange(f) || f->job != NULL)
        return;
    int64_t pause_ms = f->conf->quorum.interval_ms;
    if (f->is_hurried && pause_ms > FLEET_HURRY_MS)
        pause_ms = FLEET_HURRY_MS;
    if (f->is_urgent)
        pause_ms = URGENT_PACE_MS;
    const int64_t left_ms = f->sent_ms + pause_ms - now_of(f);
    timer_start(&f->next, left_ms > 0 ? left_ms : 0);
}

static void urge(struct fleet *f)
{
    f->is_urgent = true;
    schedule(f);
}

static void on_answer(void *arg, enum err e, const struct l2_reply *reply)
{
    struct fleet *f = arg;
    struct exchange_answer *a = mem_alloc(sizeof *a);
    CHECK_OBJ(f, FLEET_MAGIC);

    f->job = NULL;
    if (e == ERR_NONE && !exchange_read(a, reply))
        e = ERR_PROTOCOL;
    if (e == ERR_NONE)
        take_answer(f, a);
    else if (e != f->told_error)
        LOG_WARN("fleet not heard, asked again", KV_STR("group", f->conf->quorum.group), KV_STR("cause", err_text(e)),
                 KV_INT("interval_ms", f->conf->quorum.interval_ms));
    f->told_error = e;
    mem_free(a);
    schedule(f);
}

static struct slice slice_of(const struct strbuf *b)
{
    return slice_borrow(b->data != NULL ? b->data : "", b->len);
}

/* Who hears nothing does not keep a lease: what he says may well arrive while every answer comes too late, and the
 * others would follow the last thing he decided for ever. And nobody takes one before he has heard the others. */
static bool may_hold_lease(const struct fleet *f)
{
    return f->may_lead && fleet_is_connected(f) && (f->is_ours || f->sent_ms >= f->listens_until_ms);
}

static struct l2_job *ask(struct fleet *f, struct slice view, l2_answer_fn *fn)
{
    const bool has_decided = f->decided_term > 0 && f->decided_term == f->term && f->is_ours && !f->is_decided_held;
    const struct exchange_ask q = {
        .names = &f->names,
        .who = f->who,
        .node = f->conf->node.name,
        .view = view,
        .lifetime_ms = f->conf->quorum.lifetime_ms,
        .may_lead = may_hold_lease(f),
        .highest_term = f->highest_term,
        .decision_term = f->decided_term,
        .decision = has_decided ? slice_of(&f->decided) : slice_borrow("", 0),
    };
    struct l2_args words;
    exchange_words(&q, &words);
    return l2_ask(f->l2, f->names.text[EXCHANGE_VIEWS], &words, fn, f);
}

static void on_next(void *arg)
{
    struct fleet *f = arg;
    CHECK_OBJ(f, FLEET_MAGIC);

    if (!may_exchange(f) || f->job != NULL)
        return;
    f->sent_ms = now_of(f);
    f->is_urgent = false;
    f->job = ask(f, slice_of(&f->view), on_answer);
    if (f->job == NULL)
        schedule(f); /* Redis is away: it says so itself when it is back */
}

static void on_redis_change(void *arg)
{
    struct fleet *f = arg;
    CHECK_OBJ(f, FLEET_MAGIC);
    if (l2_is_ready(f->l2))
        urge(f);
}

/* ---- life ---- */

static const struct l2_ops redis_ops = {.on_change = on_redis_change};

struct fleet *fleet_create(struct loop *l, const struct birth *b, fleet_news_fn *on_news, void *arg)
{
    struct fleet *f;
    uint8_t random[(EXCHANGE_WHO_BYTES - 1) / 2];

    OBJ_NEW(f, FLEET_MAGIC);
    f->loop = l;
    f->net = net_create(l, b);
    f->l2 = l2_create(f->net, &redis_ops, f);
    f->on_news = on_news;
    f->arg = arg;
    f->is_alone = b->is_alone;
    f->since_ms = loop_now_ms(l);
    const ssize_t got = getrandom(random, sizeof random, 0);
    ASSERT(got == (ssize_t)sizeof random);
    *hex_text(random, sizeof random, f->who) = '\0';
    strbuf_init(&f->view, VIEW_BYTES_MAX);
    strbuf_init(&f->decided, DECISION_BYTES_MAX);
    strbuf_init(&f->leader_text, DECISION_BYTES_MAX);
    timer_init(&f->next, l, on_next, f);
    timer_init(&f->lapse, l, on_lapse, f);
    return f;
}

static void on_left(void *arg, enum err e, const struct l2_reply *reply)
{
    struct fleet *f = arg;
    CHECK_OBJ(f, FLEET_MAGIC);
    (void)e;
    (void)reply;
    f->job = NULL;
    f->has_left = true;
}

static void leave(struct fleet *f)
{
    const int64_t until_us = loop_fresh_us(f->loop) + FLEET_LEAVE_MS * 1000;

    if (f->job != NULL)
        l2_cancel(&f->job);
    if (!may_exchange(f))
        return;
    f->is_leaving = true;
    f->may_lead = false;
    /* What an operator told us holds for all until we are back from a restart, or our view ends. */
    f->job = ask(f, f->has_word ? slice_of(&f->view) : slice_borrow("", 0), on_left);
    while (f->job != NULL && loop_fresh_us(f->loop) < until_us) {
        timer_start(&f->lapse, FLEET_LEAVE_MS); /* there is something to wake up for */
        loop_run_once(f->loop, true);
    }
    if (f->job != NULL)
        l2_cancel(&f->job);
}

void fleet_destroy(struct fleet **fp)
{
    struct fleet *f = *fp;

    CHECK_OBJ(f, FLEET_MAGIC);
    leave(f);
    f->is_leaving = true;
    forget_all(f);
    timer_cancel(&f->next);
    l2_destroy(&f->l2);
    net_destroy(&f->net);
    strbuf_fini(&f->view);
    strbuf_fini(&f->decided);
    strbuf_fini(&f->leader_text);
    if (f->conf != NULL)
        conf_unref(&f->conf);
    OBJ_FREE(fp, FLEET_MAGIC);
}

void fleet_take_conf(struct fleet *f, const struct conf *c, bool may_lead, uint64_t highest_term)
{
    struct conf *before = f->conf;
    struct exchange_names names = {{{0}}};
    CHECK_OBJ(f, FLEET_MAGIC);

    f->conf = conf_ref(c);
    f->may_lead = may_lead && !f->is_alone;
    if (highest_term <= EXCHANGE_TERM_MAX && highest_term > f->highest_term)
        f->highest_term = highest_term;
    const bool has_names =
        fleet_is_configured(f) && exchange_names_make(&names, c->quorum.redis.prefix, c->quorum.group);
    ASSERT(has_names == fleet_is_configured(f)); /* their lengths were bounded when they were read */
    if (memcmp(&names, &f->names, sizeof names) != 0) {
        if (f->job != NULL)
            l2_cancel(&f->job);
        forget_all(f);
        f->names = names;
    }
    l2_take_redis(f->l2, f->conf, &f->conf->quorum.redis);
    if (before != NULL)
        conf_unref(&before);
    urge(f);
}

void fleet_say(struct fleet *f, const struct view *mine, bool is_urgent)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    strbuf_clear(&f->view);
    view_print(mine, &f->view);
    ASSERT(!f->view.failed);
    f->has_word = false;
    for (size_t i = 0; i < mine->count; i++)
        f->has_word |= mine->rows[i].vote.is_forced || mine->rows[i].vote.is_draining;
    const bool is_first = !f->has_view;
    f->has_view = true;
    if (is_urgent || is_first)
        urge(f);
}

void fleet_decide(struct fleet *f, const struct decision *d)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    strbuf_clear(&f->decided);
    decision_print(d, &f->decided);
    ASSERT(!f->decided.failed);
    f->decided_term = d->term;
    f->is_decided_held = false;
    urge(f);
}

void fleet_hurry(struct fleet *f, bool is_hurried)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    if (f->is_hurried == is_hurried)
        return;
    f->is_hurried = is_hurried;
    schedule(f);
}

/* ---- what is known now ---- */

bool fleet_is_configured(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return f->conf != NULL && f->conf->quorum.redis.text != NULL && *f->conf->quorum.redis.text != '\0';
}

bool fleet_is_connected(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return f->is_connected && now_of(f) < f->connected_until_ms;
}

bool fleet_leads(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return f->is_ours && f->may_lead && now_of(f) < f->ours_until_ms;
}

uint64_t fleet_term(const struct fleet *f)
{
    return fleet_leads(f) ? f->term : 0;
}

uint64_t fleet_highest_term(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return f->highest_term;
}

/* Our own lease is over for us before it is for the others. */
static bool is_led(const struct fleet *f)
{
    return now_of(f) < (f->is_ours ? f->ours_until_ms : f->leader_until_ms);
}

const char *fleet_leader(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return is_led(f) ? f->leader : "";
}

const struct decision *fleet_decision(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return is_led(f) ? f->decision : NULL;
}

size_t fleet_view_count(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return f->voices.count;
}

const struct view *fleet_view(const struct fleet *f, size_t i, int64_t *age_ms)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    ASSERT(i < f->voices.count);
    *age_ms = now_of(f) - f->voices.list[i].said_ms;
    return f->voices.list[i].view;
}
