/* When to tell a server, and what became of it.
 *
 * There is one question, asked whenever something happened: does the server have what is to be said (`told` is the
 * digest of what it acknowledged last), and if not, may it be told now? Everything else, a new leader, a new
 * configuration, the hour, only makes `told` forget. */
#include "health/nameserver/push_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/value.h"
#include "health/nameserver/push_exchange.h"

#define PUSH_SERVER_MAGIC 0x4d81b36eu
#define USUAL_PORT        53u

enum standing { STANDING_UNKNOWN = 0, STANDING_DONE, STANDING_FAILING, STANDING_LEFT /* to the leader */ };

struct push_server {
    uint32_t magic;
    const struct push_env *env;
    /* set by take_conf */
    struct push_plan *plan; /* NULL: no configuration yet */
    struct tsig_key key;
    char *host;
    uint16_t port;
    int64_t timeout_ms;
    char subject[EVENT_SUBJECT_BYTES];
    /* what it was told */
    uint64_t told;          /* digest; 0: nothing, or not known any more */
    uint64_t tried;         /* digest of what the last visit said; 0: it changed on the way */
    enum standing standing; /* as it was last said */
    unsigned failures;      /* in a row */
    bool has_waited;        /* logged: for the others */
    bool must_flatten;      /* there is no room for a CNAME at this server; until the next hour */
    struct timer again;
    struct log_limit limit;
    /* the visit under way */
    struct push_exchange *exchange; /* NULL: none */
    size_t next_name;
    uint16_t id;
    struct tsig_mac mac;
    struct update_answer answer; /* the last */
    bool is_answered;
};

static uint32_t random_bits(void)
{
    uint32_t r = 0;
    (void)!getrandom(&r, sizeof r, GRND_NONBLOCK);
    return r;
}

/* Up to a tenth less or more, so that gateways do not come together. */
static int64_t jittered(int64_t ms)
{
    return ms - ms / 10 + (int64_t)(random_bits() % (uint64_t)(ms / 5 + 1));
}

static uint64_t unix_s(const struct push_server *s)
{
    return (uint64_t)(loop_wall_ms(s->env->loop) / 1000);
}

/* ---- what became of it ---- */

/* Only failing is a condition. What a run before this one said is not known here: an end is said all the same, as one
 * that changes nothing, and the journal drops it unless there is something to end. */
static void say(struct push_server *s, enum standing standing, const char *cause)
{
    static const char *const words[] = {
        [STANDING_DONE] = "done", [STANDING_FAILING] = "failing", [STANDING_LEFT] = "left to the leader"};
    const bool begins = standing == STANDING_FAILING, ends = s->standing == STANDING_FAILING;
    struct event e;

    if (s->standing == standing)
        return;
    event_init(&e, EVENT_PUSH, begins ? EVENT_BEGINS : EVENT_ENDS, s->subject,
               begins ? words[STANDING_DONE]
               : ends ? words[STANDING_FAILING]
                      : words[standing],
               words[standing], cause);
    s->standing = standing;
    s->env->on_event(s->env->arg, &e);
}

static void succeeded(struct push_server *s)
{
    stat_add(&s->env->block->process[STAT_PUSHES], 1);
    LOG_INFO("names pushed", KV_STR("to", s->subject), KV_UINT("names", push_plan_count(s->plan)));
    s->failures = 0;
    s->told = s->tried;
    say(s, STANDING_DONE, "it has the names as they are");
    timer_start(&s->again, jittered(s->env->pace.again_ms));
}

static void failed(struct push_server *s, const char *why)
{
    int64_t pause_ms = s->env->pace.retry_ms;

    for (unsigned i = 0; i < s->failures && pause_ms < s->env->pace.retry_max_ms; i++)
        pause_ms *= 2;
    const int64_t retry_ms = jittered(pause_ms < s->env->pace.retry_max_ms ? pause_ms : s->env->pace.retry_max_ms);
    stat_add(&s->env->block->process[STAT_PUSH_FAILURES], 1);
    LOG_LIMITED(&s->limit, loop_now_ms(s->env->loop), LOG_LEVEL_WARN, "names not pushed", KV_STR("to", s->subject),
                KV_STR("cause", why), KV_INT("retry_ms", retry_ms));
    s->failures++;
    s->told = 0;
    say(s, STANDING_FAILING, why);
    timer_start(&s->again, retry_ms);
}

/* ---- a visit ---- */

static struct push_choice choice_for(const struct push_server *s)
{
    struct push_choice c = s->env->choice;
    c.must_flatten = s->must_flatten;
    return c;
}

static size_t on_make(void *arg, uint8_t *out, size_t cap_bytes)
{
    struct push_server *s = arg;
    struct update u;

    if (s->next_name == push_plan_count(s->plan))
        return 0;
    s->id = (uint16_t)random_bits();
    update_begin(&u, out, cap_bytes, s->id, push_plan_zone(s->plan));
    const struct push_choice choice = choice_for(s);
    const uint64_t digest = push_plan_digest(s->plan, &choice); /* the choice may be another one by now */
    s->tried = s->next_name == 0 || s->tried == digest ? digest : 0;
    s->next_name = push_plan_write(s->plan, &choice, s->next_name, &u);
    s->is_answered = false;
    return update_end(&u, &s->key, unix_s(s), &s->mac);
}

static bool on_take(void *arg, const uint8_t *data, size_t len)
{
    struct push_server *s = arg;

    s->answer = update_read(data, len, s->id, &s->key, &s->mac, unix_s(s));
    s->is_answered = true;
    return s->answer.is_done;
}

/* By the server itself: what nobody signed is no reason to say something else. */
static bool is_told_of_others(const struct update_answer *a)
{
    return !a->is_other && a->tsig.verdict == TSIG_GOOD && a->rcode == DNS_RCODE_YXRRSET;
}

static void on_done(void *arg, enum err e, const char *doing)
{
    struct push_server *s = arg;
    char why[EVENT_CAUSE_BYTES], words[UPDATE_WHY_BYTES];

    CHECK_OBJ(s, PUSH_SERVER_MAGIC);
    push_exchange_destroy(&s->exchange);
    if (e == ERR_NONE && s->is_answered && s->answer.is_done) {
        succeeded(s);
    } else if (e == ERR_NONE && is_told_of_others(&s->answer) && !s->must_flatten) {
        LOG_INFO("other records stand where a CNAME is to be, pushing addresses", KV_STR("to", s->subject));
        s->must_flatten = true;
    } else {
        if (e != ERR_NONE)
            snprintf(why, sizeof why, "%s while %s", err_text(e), doing);
        else
            snprintf(why, sizeof why, "%s", update_why(&s->answer, unix_s(s), words));
        failed(s, why);
    }
    push_server_look(s);
}

static void visit(struct push_server *s, uint64_t digest)
{
    static const struct push_exchange_ops ops = {.make = on_make, .take = on_take, .done = on_done};
    const struct push_exchange_plan plan = {.loop = s->env->loop,
                                            .resolver = s->env->resolver,
                                            .host = s->host,
                                            .port = s->port,
                                            .timeout_ms = s->timeout_ms};

    timer_cancel(&s->again);
    s->tried = digest;
    s->next_name = 0;
    s->is_answered = false;
    s->exchange = push_exchange_start(&plan, &ops, s);
}

static void on_again(void *arg)
{
    struct push_server *s = arg;

    CHECK_OBJ(s, PUSH_SERVER_MAGIC);
    s->told = 0;
    s->tried = 0;
    s->must_flatten = false;
    push_server_look(s);
}

/* What a leader tells is his; what went wrong with it before is not told of any more. */
static void follow(struct push_server *s)
{
    say(s, STANDING_LEFT, "the leader pushes");
    s->told = 0;
    s->tried = 0;
    s->failures = 0;
    timer_cancel(&s->again);
}

static bool is_early(struct push_server *s)
{
    const int64_t left_ms = s->env->alone_from_ms - loop_now_ms(s->env->loop);

    if (left_ms > 0 && !s->has_waited)
        LOG_INFO("names are not pushed yet, others may be deciding", KV_STR("to", s->subject),
                 KV_INT("wait_ms", left_ms));
    s->has_waited = true;
    return left_ms > 0;
}

void push_server_look(struct push_server *s)
{
    CHECK_OBJ(s, PUSH_SERVER_MAGIC);
    if (s->plan == NULL || s->exchange != NULL)
        return;
    const uint32_t role = s->env->choice.record->role;
    if (role == STEERING_FOLLOWS) {
        follow(s);
        return;
    }
    if (role == STEERING_ALONE && is_early(s))
        return;
    const struct push_choice choice = choice_for(s);
    const uint64_t digest = push_plan_digest(s->plan, &choice);
    if (digest == 0 || digest == s->told)
        return;
    /* After a failure the pause is kept, unless there is something new to say. */
    if (digest == s->tried && timer_is_active(&s->again))
        return;
    visit(s, digest);
}

/* ---- life ---- */

struct push_server *push_server_create(const struct push_env *env)
{
    struct push_server *s;

    OBJ_NEW(s, PUSH_SERVER_MAGIC);
    s->env = env;
    timer_init(&s->again, env->loop, on_again, s);
    return s;
}

static void forget_conf(struct push_server *s)
{
    if (s->exchange != NULL)
        push_exchange_destroy(&s->exchange);
    if (s->plan != NULL)
        push_plan_destroy(&s->plan);
    mem_free(s->host);
    s->host = NULL;
}

const char *push_server_take_conf(struct push_server *s, const struct conf_dns *conf, const struct conf_dns_push *push)
{
    const char *host = NULL;
    size_t host_len = 0;
    uint16_t port = USUAL_PORT;

    CHECK_OBJ(s, PUSH_SERVER_MAGIC);
    forget_conf(s);
    const char *why = value_host_port(push->server, strlen(push->server), &host, &host_len, &port);
    if (why == NULL)
        why = tsig_key_of(&s->key, push->key_name, push->key_algorithm, push->key_secret);
    if (why != NULL)
        return why;
    s->plan = push_plan_create(conf, push->zone);
    s->host = mem_strndup(host, host_len);
    s->port = port;
    s->timeout_ms = push->timeout_ms;
    (void)conf_push_subject(push, s->subject, sizeof s->subject);
    s->told = 0;
    s->tried = 0;
    s->must_flatten = false;
    if (push_plan_outside_count(s->plan) > 0)
        LOG_WARN("steered names are not pushed, they are outside the zone", KV_STR("to", s->subject),
                 KV_UINT("names", push_plan_outside_count(s->plan)));
    return NULL;
}

bool push_server_is(const struct push_server *s, const struct conf_dns_push *push)
{
    char subject[EVENT_SUBJECT_BYTES];

    CHECK_OBJ(s, PUSH_SERVER_MAGIC);
    return strcmp(s->subject, conf_push_subject(push, subject, sizeof subject)) == 0;
}

void push_server_destroy(struct push_server **sp)
{
    struct push_server *s = *sp;

    CHECK_OBJ(s, PUSH_SERVER_MAGIC);
    forget_conf(s);
    timer_cancel(&s->again);
    mem_wipe(&s->key, sizeof s->key);
    OBJ_FREE(sp, PUSH_SERVER_MAGIC);
}
