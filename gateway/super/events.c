/* The hard part is saying everything once. A condition that began in a former run of the gateway may end in this one,
 * so conditions that have not ended are read back from the journal; a verdict that was only restored from disk is no
 * news; and the word in the table may be ahead of the message that tells of it. All of that comes down to one rule:
 * `known` is what was last said, and only what differs from it is said. */
#include "gateway/super/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/report/assess.h"
#include "gateway/report/event_line.h"
#include "gateway/super/journal.h"
#include "gateway/super/super.h"
#include "health/steering.h"

#define EVENTS_MAGIC         0xe7e2751cu
#define CONDITION_MAGIC      0xe7c04d17u
#define LOOK_EVERY_MS        250
#define TELL_RETRY_MS        50
#define CERTIFICATE_EVERY_MS (INT64_C(60) * 1000)
#define CONDITIONS_MAX       2048u /* more than there are names to have one */

/* Something that began and has not ended. */
struct condition {
    uint32_t magic;
    struct list link;
    enum event_kind kind; /* the one that began it */
    int64_t began_ms;     /* monotonic; before this run: by the wall clock of then and now */
    char subject[EVENT_SUBJECT_BYTES];
    char to[EVENT_WORD_BYTES];
};

struct known_server {
    uint32_t era;
    enum verdict_state state;
    int64_t circuit_opens; /* sum over the workers */
};

struct events {
    uint32_t magic;
    struct super *super;
    struct journal *journal;
    uint64_t last_seq;
    struct event *ring; /* EVENTS_KEPT; number n is at n % EVENTS_KEPT */
    uint64_t first_seq; /* the oldest there; last_seq + 1: none */
    uint64_t told_seq;  /* what the admin process has */
    struct timer tell_retry;
    struct timer look;
    int64_t certificates_due_ms;
    struct list conditions;
    uint32_t condition_count;
    struct known_server known[SLOTS_SERVERS];
    uint64_t verdicts_seen; /* what the serving tiers were worked out from */
    uint64_t verdicts_now;
    char last_flip[EVENT_CAUSE_BYTES]; /* "pool/server is down: why" */
};

static struct journal_limits limits_of(const struct conf *c)
{
    return (struct journal_limits){
        .file_bytes = c->journal.file_bytes, .file_count = c->journal.file_count, .sync = c->journal.sync};
}

/* ---- conditions ---- */

static struct condition *find_condition(const struct events *e, enum event_kind kind, const char *subject)
{
    LIST_EACH (it, &e->conditions) {
        struct condition *c = LIST_ENTRY(it, struct condition, link);
        if (c->kind == kind && strcmp(c->subject, subject) == 0)
            return c;
    }
    return NULL;
}

static void drop_condition(struct events *e, struct condition *c)
{
    list_unlink(&c->link);
    e->condition_count--;
    OBJ_FREE(&c, CONDITION_MAGIC);
}

/* Follows an event; returns how long the condition lasted that it ends, or -1. */
static int64_t follow(struct events *e, const struct event *what)
{
    const enum event_kind kind = event_condition((enum event_kind)what->kind);
    const int64_t now_ms = loop_now_ms(e->super->loop), ago_ms = loop_wall_ms(e->super->loop) - what->wall_ms;
    struct condition *c = find_condition(e, kind, what->subject);
    if (what->phase == EVENT_ENDS) {
        if (c == NULL)
            return -1;
        int64_t lasted_ms = now_ms - c->began_ms;
        drop_condition(e, c);
        return lasted_ms > 0 ? lasted_ms : 0;
    }
    if (what->phase != EVENT_BEGINS)
        return -1;
    if (c == NULL) {
        if (e->condition_count >= CONDITIONS_MAX)
            drop_condition(e, LIST_ENTRY(e->conditions.next, struct condition, link));
        OBJ_NEW(c, CONDITION_MAGIC);
        c->kind = kind;
        c->began_ms = now_ms - (ago_ms > 0 ? ago_ms : 0);
        snprintf(c->subject, sizeof c->subject, "%s", what->subject);
        list_init(&c->link);
        list_append(&e->conditions, &c->link);
        e->condition_count++;
    }
    snprintf(c->to, sizeof c->to, "%s", what->to);
    return -1;
}

/* ---- the ring ---- */

static void keep(struct events *e, const struct event *what)
{
    if (what->seq != e->last_seq + 1) /* numbers are missing: what came before cannot be found any more */
        e->first_seq = what->seq;
    e->ring[what->seq % EVENTS_KEPT] = *what;
    e->last_seq = what->seq;
    if (e->first_seq + EVENTS_KEPT <= e->last_seq)
        e->first_seq = e->last_seq - EVENTS_KEPT + 1;
}

static const struct event *at(const struct events *e, uint64_t seq)
{
    return &e->ring[seq % EVENTS_KEPT];
}

/* ---- to the admin process ---- */

static struct child *find_admin(struct super *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (s->child[i].role == ROLE_ADMIN && s->child[i].ipc != NULL)
            return &s->child[i];
    return NULL;
}

static void tell(struct events *e)
{
    struct child *admin = find_admin(e->super);
    if (admin == NULL)
        return;
    if (e->told_seq + 1 < e->first_seq)
        e->told_seq = e->first_seq - 1;
    while (e->told_seq < e->last_seq && ipc_has_room(admin->ipc)) {
        if (ipc_send(admin->ipc, MSG_EVENT, at(e, e->told_seq + 1), -1) != ERR_NONE)
            return; /* it is going away; the next one gets all */
        e->told_seq++;
    }
    if (e->told_seq < e->last_seq)
        timer_start(&e->tell_retry, TELL_RETRY_MS);
}

static void on_tell_retry(void *arg)
{
    tell(arg);
}

void events_tell_anew(struct super *s)
{
    s->events->told_seq = s->events->first_seq - 1;
    tell(s->events);
}

/* ---- adding ---- */

void events_add(struct events *e, struct event *what)
{
    struct strbuf line;
    CHECK_OBJ(e, EVENTS_MAGIC);
    what->seq = e->last_seq + 1;
    what->wall_ms = loop_wall_ms(e->super->loop);
    what->duration_ms = follow(e, what);
    keep(e, what);
    strbuf_init(&line, EVENT_LINE_BYTES_MAX);
    event_line_write(what, &line);
    ASSERT(!line.failed);
    (void)journal_append(e->journal, line.data, line.len);
    strbuf_fini(&line);
    tell(e);
}

static void add(struct events *e, enum event_kind kind, enum event_phase phase, const char *subject, const char *from,
                const char *to, const char *cause)
{
    struct event what;
    event_init(&what, kind, phase, subject, from, to, cause);
    events_add(e, &what);
}

void events_settle(struct events *e, enum event_kind kind, bool is_case, const char *subject, const char *from,
                   const char *to, const char *cause)
{
    CHECK_OBJ(e, EVENTS_MAGIC);
    char before[EVENT_WORD_BYTES];
    const struct condition *c = find_condition(e, kind, subject);
    if (is_case ? c != NULL && strcmp(c->to, to) == 0 : c == NULL)
        return;
    snprintf(before, sizeof before, "%s", c != NULL ? c->to : from);
    add(e, kind, is_case ? EVENT_BEGINS : EVENT_ENDS, subject, before, to, cause);
}

/* A process that was started again does not know what it said before: the beginning of what is the case already is no
 * news, and what ends without having begun just happened, if anything did. */
void events_take(struct events *e, const struct child *from, const struct event *what)
{
    struct event copy = *what;
    CHECK_OBJ(e, EVENTS_MAGIC);
    if (!event_sanitize(&copy)) {
        LOG_WARN("child sent no event", KV_STR("child", from->name));
        return;
    }
    const struct condition *c = find_condition(e, event_condition((enum event_kind)copy.kind), copy.subject);
    if (copy.phase == EVENT_BEGINS && c != NULL && strcmp(c->to, copy.to) == 0)
        return;
    if (copy.phase == EVENT_ENDS && c == NULL) {
        if (strcmp(copy.from, copy.to) == 0)
            return;
        copy.phase = EVENT_ONCE;
    }
    events_add(e, &copy);
}

/* ---- looking at the shared tables ---- */

static void said_flip(struct events *e, struct known_server *k, const char *name, enum verdict_state to,
                      const char *cause)
{
    const char *was = verdict_state_text(k->state);
    const bool was_down = find_condition(e, EVENT_DOWN, name) != NULL;
    k->state = to;
    if (to == VERDICT_DOWN && !was_down)
        add(e, EVENT_DOWN, EVENT_BEGINS, name, was, verdict_state_text(to), cause);
    else if (to == VERDICT_UP)
        add(e, EVENT_UP, was_down ? EVENT_ENDS : EVENT_ONCE, name, was_down ? "down" : was, verdict_state_text(to),
            cause);
    snprintf(e->last_flip, sizeof e->last_flip, "%s is %s%s%s", name, verdict_state_text(to),
             cause[0] != '\0' ? ": " : "", cause);
}

static void look_at_circuit(struct events *e, struct known_server *k, const char *name, int slot)
{
    const struct stats *stats = e->super->tables.stats;
    const int64_t opens = (int64_t)stats_sum_server(stats, slot, STAT_SERVER_CIRCUIT_OPENS);
    const uint64_t open_count = stats_sum_server(stats, slot, STAT_SERVER_CIRCUIT);
    const bool is_missed = opens > k->circuit_opens && open_count == 0;
    k->circuit_opens = opens;
    if (is_missed) /* it opened and closed between two looks */
        events_settle(e, EVENT_BREAKER, true, name, "closed", "open", "too many failures in a row");
    events_settle(e, EVENT_BREAKER, open_count > 0, name, open_count > 0 ? "closed" : "open",
                  open_count > 0 ? "open" : "closed",
                  open_count > 0 ? "too many failures in a row" : "attempts succeed again");
}

/* What stands beside the state. */
static void look_at_flags(struct events *e, const struct conf_server *cs, const struct verdict *v,
                          const struct verdict_detail *d)
{
    const bool is_draining = v->is_draining || cs->drain;
    events_settle(e, EVENT_FORCED, v->is_forced, cs->slot_name, "auto",
                  v->is_forced ? verdict_state_text(v->state) : "auto", "an operator");
    events_settle(e, EVENT_DRAIN, is_draining, cs->slot_name, "serving", is_draining ? "draining" : "serving",
                  cs->drain ? "configured" : "an operator");
    events_settle(e, EVENT_DEGRADED, v->is_degraded, cs->slot_name, "normal", v->is_degraded ? "degraded" : "normal",
                  (d->degraded & VERDICT_DEGRADED_SLOW) != 0          ? "slow"
                  : (d->degraded & VERDICT_DEGRADED_CERTIFICATE) != 0 ? "its certificate ends soon"
                                                                      : "");
}

static void look_at_server(struct events *e, const struct conf_server *cs)
{
    const struct tables *t = &e->super->tables;
    const int slot = slots_find(t->slots, SLOT_SERVER, cs->slot_name);
    if (slot < 0)
        return;
    const uint32_t era = atomic_load_explicit(&t->slots->server[slot].era, memory_order_relaxed);
    struct known_server *k = &e->known[slot];
    if (k->era != era)
        *k = (struct known_server){.era = era};
    look_at_circuit(e, k, cs->slot_name, slot);
    if (atomic_load_explicit(&t->health->verdicts.row[slot].era, memory_order_relaxed) != era)
        return; /* still about somebody else */
    const struct verdict v = verdict_read(&t->health->verdicts, slot);
    e->verdicts_now = (e->verdicts_now + v.generation) * 31 + (uint64_t)slot;
    struct verdict_detail d;
    if (!verdict_read_detail(&t->health->verdicts, slot, &d))
        return; /* the checker is at it; the next look is near */
    d.cause[sizeof d.cause - 1] = '\0';
    if (v.state != k->state) {
        if (k->state == VERDICT_UNKNOWN && d.since_wall_ms < atomic_load(&t->roster->started_wall_ms) &&
            (v.state == VERDICT_DOWN) == (find_condition(e, EVENT_DOWN, cs->slot_name) != NULL))
            k->state = v.state; /* as the last run left it, and as the journal has it */
        else
            said_flip(e, k, cs->slot_name, v.state, d.cause);
    }
    look_at_flags(e, cs, &v, &d);
}

static void look_at_pools(struct events *e)
{
    struct super *s = e->super;
    const struct report_view view = {.conf = s->current.conf,
                                     .slots = s->tables.slots,
                                     .roster = s->tables.roster,
                                     .stats = s->tables.stats,
                                     .verdicts = &s->tables.health->verdicts,
                                     .steering = &s->tables.health->steering,
                                     .wall_ms = loop_wall_ms(s->loop)};
    struct assessment a;
    assess_init(&a, &view);
    for (size_t i = 0; i < s->current.conf->pool_count; i++) {
        const struct pool_standing *p = &a.pools[i];
        const char *best = conf_tier_text(p->tier_best);
        const char *now = !p->is_served ? "none" : p->is_failing_open ? "fail-open" : conf_tier_text(p->tier);
        const size_t name_len = strlen(p->pool->name);
        const bool is_why = strncmp(e->last_flip, p->pool->name, name_len) == 0 && e->last_flip[name_len] == '/';
        events_settle(e, EVENT_FAILOVER, strcmp(now, best) != 0, p->pool->name, best, now, is_why ? e->last_flip : "");
    }
    assess_fini(&a);
}

static char *certificate_subject(const struct conf_listen *l, const struct conf_certificate *c)
{
    return mem_printf("%.80s on %.60s", c->info.names, l->text);
}

static bool has_certificate(const struct conf *c, const char *subject)
{
    bool is_found = false;
    for (size_t i = 0; i < c->listen_count && !is_found; i++)
        for (size_t k = 0; k < c->listen[i].tls.certificate_count && !is_found; k++) {
            char *name = certificate_subject(&c->listen[i], &c->listen[i].tls.certificates[k]);
            is_found = strcmp(name, subject) == 0;
            mem_free(name);
        }
    return is_found;
}

static bool has_steered_name(const struct conf_dns *d, const char *subject)
{
    char name[EVENT_SUBJECT_BYTES];
    for (size_t i = 0; i < d->record_count; i++) {
        if (d->records[i].answer_count == 0)
            continue;
        steering_name(d->zone, d->records[i].name, name, sizeof name);
        if (strcmp(name, subject) == 0)
            return true;
    }
    return false;
}

/* "zone at server", as the DNS process calls it. */
static bool has_push(const struct conf *c, const char *subject)
{
    char name[EVENT_SUBJECT_BYTES];
    bool is_found = false;
    for (size_t i = 0; i < c->dns.push_count && !is_found; i++)
        is_found = strcmp(conf_push_subject(&c->dns.pushes[i], name, sizeof name), subject) == 0;
    return is_found;
}

/* Whether there is still something by the name a condition is about. */
static bool has_subject(const struct conf *c, const struct condition *k)
{
    if (k->kind == EVENT_CERTIFICATE)
        return has_certificate(c, k->subject);
    if (k->kind == EVENT_CUT_OFF)
        return strcmp(c->node.name, k->subject) == 0;
    if (k->kind == EVENT_QUORUM)
        return strcmp(c->node.name, k->subject) == 0 && c->quorum.redis.text[0] != '\0';
    if (k->kind == EVENT_DNS)
        return has_steered_name(&c->dns, k->subject);
    if (k->kind == EVENT_PUSH)
        return has_push(c, k->subject);
    if (k->kind == EVENT_FAILOVER)
        return conf_find_pool(c, k->subject) != NULL;
    return conf_find_server(c, k->subject) != NULL;
}

static bool is_about_conf(enum event_kind k)
{
    return k == EVENT_DOWN || k == EVENT_DEGRADED || k == EVENT_FORCED || k == EVENT_DRAIN || k == EVENT_FAILOVER ||
           k == EVENT_BREAKER || k == EVENT_CERTIFICATE || k == EVENT_CUT_OFF || k == EVENT_DNS || k == EVENT_QUORUM ||
           k == EVENT_PUSH;
}

/* Ends the conditions for which `is_over` says so. */
static void end_conditions(struct events *e, bool (*is_over)(const struct events *, const struct condition *),
                           const char *to, const char *cause)
{
    bool is_found = true;
    while (is_found) {
        is_found = false;
        LIST_EACH (it, &e->conditions) {
            const struct condition *c = LIST_ENTRY(it, struct condition, link);
            if (!is_over(e, c))
                continue;
            const enum event_kind kind = c->kind == EVENT_DOWN    ? EVENT_UP
                                         : c->kind == EVENT_CRASH ? EVENT_RESTART
                                                                  : c->kind;
            char subject[EVENT_SUBJECT_BYTES], from[EVENT_WORD_BYTES];
            memcpy(subject, c->subject, sizeof subject);
            memcpy(from, c->to, sizeof from);
            add(e, kind, EVENT_ENDS, subject, from, to, cause);
            is_found = true;
            break; /* the list has changed */
        }
    }
}

static bool is_removed(const struct events *e, const struct condition *c)
{
    return is_about_conf(c->kind) && !has_subject(e->super->current.conf, c);
}

static bool is_of_last_run(const struct events *e, const struct condition *c)
{
    (void)e;
    return c->kind == EVENT_CRASH || c->kind == EVENT_RELOAD || c->kind == EVENT_BREAKER;
}

static void look_at_certificates(struct events *e)
{
    const struct conf *c = e->super->current.conf;
    const int64_t wall_ms = loop_wall_ms(e->super->loop);
    for (size_t i = 0; i < c->listen_count; i++)
        for (size_t k = 0; k < c->listen[i].tls.certificate_count; k++) {
            const struct conf_certificate *cert = &c->listen[i].tls.certificates[k];
            const int64_t left_ms = cert->info.not_after_ms - wall_ms;
            const bool is_near = left_ms <= 0 || left_ms < c->health.certificate_warning_ms;
            char *subject = certificate_subject(&c->listen[i], cert);
            char *cause = mem_printf("%.200s: %" PRId64 " h left", cert->cert.path, left_ms / (3600 * 1000));
            events_settle(e, EVENT_CERTIFICATE, is_near, subject, "valid",
                          left_ms <= 0 ? "expired"
                          : is_near    ? "expiring"
                                       : "valid",
                          cause);
            mem_free(subject);
            mem_free(cause);
        }
}

static void look_now(struct events *e)
{
    const struct conf *c = e->super->current.conf;
    e->verdicts_now = e->super->current.generation;
    const bool is_cut_off = atomic_load(&e->super->tables.health->verdicts.cut_off_wall_ms) != 0;
    events_settle(e, EVENT_CUT_OFF, is_cut_off, c->node.name, "reaching", is_cut_off ? "cut off" : "reaching",
                  is_cut_off ? "neither servers nor canaries answer, verdicts stay as they are" : "");
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++)
            look_at_server(e, &c->pools[i].servers[j]);
    for (size_t i = 0; i < c->target_count; i++)
        look_at_server(e, &c->targets[i]);
    if (e->verdicts_now != e->verdicts_seen)
        look_at_pools(e);
    e->verdicts_seen = e->verdicts_now;
    if (loop_now_ms(e->super->loop) >= e->certificates_due_ms) {
        e->certificates_due_ms = loop_now_ms(e->super->loop) + CERTIFICATE_EVERY_MS;
        look_at_certificates(e);
    }
}

static void on_look(void *arg)
{
    struct events *e = arg;
    timer_start(&e->look, LOOK_EVERY_MS);
    if (!super_is_leaving(e->super))
        look_now(e);
}

/* ---- what happens in the supervisor ---- */

void events_started(struct super *s)
{
    struct events *e = s->events;
    add(e, EVENT_START, EVENT_ONCE, s->current.conf->node.name, "", TIDEGATE_VERSION, s->conf_path);
    end_conditions(e, is_of_last_run, "", "the gateway was started again");
    events_conf(s);
    on_look(e);
}

void events_conf(struct super *s)
{
    struct events *e = s->events;
    const struct journal_limits limits = limits_of(s->current.conf);
    journal_set_limits(e->journal, &limits);
    e->certificates_due_ms = 0;
    end_conditions(e, is_removed, "removed", "no longer in the configuration");
}

/* "pool/server before after why"; the table may say more by now, which the look that follows finds. */
void events_flip(struct super *s, const struct msg_text *m)
{
    struct events *e = s->events;
    char text[IPC_TEXT_BYTES], *rest = text, *word[3];
    if (super_is_leaving(s))
        return;
    snprintf(text, sizeof text, "%.*s", (int)sizeof m->text - 1, m->text);
    for (int i = 0; i < 3; i++)
        word[i] = strsep(&rest, " ");
    const int slot = word[2] != NULL ? slots_find(s->tables.slots, SLOT_SERVER, word[0]) : -1;
    if (slot >= 0) {
        const enum verdict_state to = strcmp(word[2], verdict_state_text(VERDICT_UP)) == 0     ? VERDICT_UP
                                      : strcmp(word[2], verdict_state_text(VERDICT_DOWN)) == 0 ? VERDICT_DOWN
                                                                                               : VERDICT_UNKNOWN;
        struct known_server *k = &e->known[slot];
        const uint32_t era = atomic_load_explicit(&s->tables.slots->server[slot].era, memory_order_relaxed);
        if (k->era != era)
            *k = (struct known_server){.era = era};
        if (to != k->state)
            said_flip(e, k, word[0], to, rest != NULL ? rest : "");
    }
    look_now(e);
}

void events_child_ready(struct super *s, const struct child *c)
{
    if (find_condition(s->events, EVENT_CRASH, c->name) != NULL)
        add(s->events, EVENT_RESTART, EVENT_ENDS, c->name, "ended", "running", "");
}

void events_child_ended(struct super *s, const struct child *c, const char *cause)
{
    add(s->events, EVENT_CRASH, EVENT_BEGINS, c->name, "running", "ended", cause);
}

/* ---- the control command ---- */

void events_command(struct super *s, struct control_request *r, const char *rest)
{
    const struct events *e = s->events;
    char *end = NULL;
    uint64_t after = strtoull(rest, &end, 10);
    uint64_t limit = strtoull(end, &end, 10);
    if (*end != '\0' || rest[0] == '-') {
        control_answer(&r, "expected the number after which events are wanted, and how many");
        return;
    }
    if (limit == 0 || limit > EVENTS_KEPT)
        limit = EVENTS_KEPT;
    uint64_t first = after >= e->first_seq ? after + 1 : e->first_seq;
    if (after == 0 && e->last_seq - e->first_seq + 1 > limit) /* nobody has seen any: the newest */
        first = e->last_seq - limit + 1;
    for (uint64_t seq = first; seq <= e->last_seq && limit-- > 0; seq++) {
        event_line_write(at(e, seq), &r->body);
        strbuf_puts(&r->body, "\n");
    }
    control_answer(&r, NULL);
}

/* ---- life ---- */

/* A line of the journal, from former runs. */
static void on_line(void *arg, const char *line, size_t len)
{
    struct events *e = arg;
    struct event what;
    if (!event_line_read(line, len, &what) || what.seq <= e->last_seq)
        return;
    keep(e, &what);
    (void)follow(e, &what);
}

struct events *events_create(struct super *s)
{
    const struct journal_limits limits = limits_of(s->current.conf);
    struct events *e;
    OBJ_NEW(e, EVENTS_MAGIC);
    e->super = s;
    e->first_seq = 1;
    e->ring = mem_alloc_array(EVENTS_KEPT, sizeof *e->ring);
    list_init(&e->conditions);
    timer_init(&e->tell_retry, s->loop, on_tell_retry, e);
    timer_init(&e->look, s->loop, on_look, e);
    e->journal = journal_open(s->loop, s->current.conf->state_dir, &limits, on_line, e);
    return e;
}

void events_destroy(struct events **ep)
{
    struct events *e = *ep;
    CHECK_OBJ(e, EVENTS_MAGIC);
    timer_cancel(&e->tell_retry);
    timer_cancel(&e->look);
    journal_close(&e->journal);
    LIST_EACH (it, &e->conditions)
        drop_condition(e, LIST_ENTRY(it, struct condition, link));
    mem_free(e->ring);
    OBJ_FREE(ep, EVENTS_MAGIC);
}
