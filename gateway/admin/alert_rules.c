/* The decisions. Nothing here sends, and nothing waits: whatever is to happen later is a time in a struct, and
 * alert_rules_next_ms() is the least of them. */
#include "gateway/admin/alert_rules.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define ALERT_RULES_MAGIC    0xa1e27201u
#define ALERT_INCIDENT_MAGIC 0xa1e2714cu
#define QUIET_LOOK_MS        10000 /* how often it is looked whether quiet hours are over */
#define DAY_MIN              (24 * 60)
#define MINUTE_MS            60000

static const char *const reasons[ALERT_REASON_COUNT] = {
    [ALERT_EVENT] = "event",         [ALERT_BEGAN] = "began", [ALERT_CHANGED] = "changed",    [ALERT_LASTS] = "lasts",
    [ALERT_ESCALATED] = "escalated", [ALERT_ENDED] = "ended", [ALERT_ACKED] = "acknowledged", [ALERT_TEST] = "test"};

const char *alert_reason_text(enum alert_reason r)
{
    return reasons[(unsigned)r < ALERT_REASON_COUNT ? r : ALERT_EVENT];
}

/* ---- what applies ---- */

bool alert_pattern_fits(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool is_on(const struct conf_alert *c, enum event_kind k)
{
    return (c->on & 1u << k) != 0;
}

static bool is_target(const struct conf_alert *c, const char *subject)
{
    for (size_t i = 0; i < c->target_count; i++)
        if (alert_pattern_fits(c->targets[i], subject))
            return true;
    return c->target_count == 0;
}

bool alert_is_quiet(const struct alert_rule *rule, int64_t wall_ms)
{
    const struct conf_alert *c = rule->conf;
    const int32_t zone_min = rule->zone != NULL ? tz_offset_s(rule->zone, wall_ms / 1000) / 60 : c->quiet.zone_min;
    const int32_t from = c->quiet.from_min, to = c->quiet.to_min;
    const int64_t local_min = wall_ms / MINUTE_MS + zone_min;
    const int32_t minute = (int32_t)(local_min % DAY_MIN);
    /* The day of the epoch was a Thursday. */
    const uint32_t today = (uint32_t)((local_min / DAY_MIN + 3) % 7), yesterday = (today + 6) % 7;
    const uint32_t days = c->quiet.days == 0 ? 0x7fu : c->quiet.days;
    if (from == to)
        return false;
    if (from < to)
        return minute >= from && minute < to && (days & 1u << today) != 0;
    return (minute >= from && (days & 1u << today) != 0) || (minute < to && (days & 1u << yesterday) != 0);
}

/* ---- items ---- */

bool alert_rule_put(struct alert_rule *rule, const struct alert_item *item)
{
    if (rule->item_count == ALERT_ITEMS_MAX) {
        rule->more_count++;
        return false;
    }
    rule->items[rule->item_count++] = *item;
    return true;
}

static bool has_item(const struct alert_rule *rule, uint64_t id)
{
    for (size_t i = 0; i < rule->item_count; i++)
        if (rule->items[i].id == id)
            return true;
    return false;
}

static void drop_items(struct alert_rule *rule, uint64_t id)
{
    size_t kept_count = 0;
    for (size_t i = 0; i < rule->item_count; i++)
        if (rule->items[i].id != id)
            rule->items[kept_count++] = rule->items[i];
    rule->item_count = kept_count;
}

static void add_item(struct alert_rule *rule, enum alert_reason reason, uint64_t id, const struct event *e,
                     int64_t now_ms, int64_t wall_ms)
{
    const struct alert_item item = {.reason = reason, .id = id, .event = *e};
    const bool is_first = rule->item_count == 0;
    if (is_first) {
        rule->is_held = alert_is_quiet(rule, wall_ms);
        rule->flush_ms = now_ms + (rule->is_held ? QUIET_LOOK_MS : rule->conf->group_ms);
    }
    if (reason == ALERT_LASTS && has_item(rule, id))
        return;
    (void)alert_rule_put(rule, &item);
}

static void flush(struct alert_rules *r, struct alert_rule *rule, int64_t now_ms, int64_t wall_ms)
{
    if (rule->item_count == 0 || now_ms < rule->flush_ms)
        return;
    rule->is_held = alert_is_quiet(rule, wall_ms);
    if (rule->is_held) {
        rule->flush_ms = now_ms + QUIET_LOOK_MS;
        return;
    }
    const struct alert_notice n = {.items = rule->items, .count = rule->item_count, .more_count = rule->more_count};
    r->ops->send(r->arg, rule->conf, &n);
    rule->item_count = rule->more_count = 0;
}

/* ---- incidents ---- */

static void incident_drop(struct alert_rules *r, struct alert_incident *i)
{
    list_unlink(&i->link);
    r->incident_count--;
    OBJ_FREE(&i, ALERT_INCIDENT_MAGIC);
}

static struct alert_incident *incident_find(const struct alert_rules *r, const char *rule, enum event_kind condition,
                                            const char *subject)
{
    LIST_EACH (it, &r->incidents) {
        struct alert_incident *i = LIST_ENTRY(it, struct alert_incident, link);
        if (i->condition == condition && strcmp(i->rule, rule) == 0 && strcmp(i->event.subject, subject) == 0)
            return i;
    }
    return NULL;
}

struct alert_incident *alert_incident_add(struct alert_rules *r)
{
    struct alert_incident *i;
    CHECK_OBJ(r, ALERT_RULES_MAGIC);
    if (r->incident_count == ALERT_INCIDENTS_MAX)
        return NULL;
    OBJ_NEW(i, ALERT_INCIDENT_MAGIC);
    list_init(&i->link);
    list_append(&r->incidents, &i->link);
    r->incident_count++;
    return i;
}

static struct alert_incident *incident_begin(struct alert_rules *r, const struct alert_rule *rule, uint64_t id,
                                             const struct event *e)
{
    struct alert_incident *i = alert_incident_add(r);
    if (i == NULL)
        return NULL;
    snprintf(i->rule, sizeof i->rule, "%s", rule->conf->name);
    i->condition = event_condition((enum event_kind)e->kind);
    i->id = id;
    i->event = *e;
    i->began_wall_ms = e->wall_ms;
    return i;
}

static void tell(struct alert_incident *i, struct alert_rule *rule, enum alert_reason reason, int64_t now_ms,
                 int64_t wall_ms)
{
    const struct conf_alert *c = rule->conf;
    if (!i->is_told && c->escalate.to[0] != '\0')
        i->escalate_ms = now_ms + c->escalate.after_ms;
    i->is_told = true;
    i->repeat_ms = c->repeat_ms > 0 ? now_ms + c->repeat_ms : 0;
    add_item(rule, reason, i->id, &i->event, now_ms, wall_ms);
}

/* Another alert takes over what this one was not acknowledged for. */
static void escalate(struct alert_rules *r, struct alert_incident *i, const struct alert_rule *from, int64_t now_ms,
                     int64_t wall_ms)
{
    struct alert_rule *to = alert_rules_find(r, from->conf->escalate.to);
    struct alert_incident *there;
    if (to == NULL)
        return;
    i->escalated_wall_ms = wall_ms;
    there = incident_find(r, to->conf->name, i->condition, i->event.subject);
    if (there == NULL) {
        there = incident_begin(r, to, i->id, &i->event);
        if (there != NULL)
            there->began_wall_ms = i->began_wall_ms;
    }
    if (there != NULL)
        tell(there, to, ALERT_ESCALATED, now_ms, wall_ms);
}

/* ---- events ---- */

static void on_begin(struct alert_rules *r, struct alert_rule *rule, struct alert_incident *i, const struct event *e,
                     int64_t now_ms, int64_t wall_ms)
{
    if (i == NULL && is_on(rule->conf, (enum event_kind)e->kind) && is_target(rule->conf, e->subject)) {
        if (r->incident_count == ALERT_INCIDENTS_MAX) /* the oldest makes room */
            incident_drop(r, LIST_ENTRY(r->incidents.next, struct alert_incident, link));
        i = incident_begin(r, rule, e->seq, e);
        ASSERT(i != NULL);
        i->due_ms = now_ms + rule->conf->after_ms;
        if (rule->conf->after_ms == 0)
            tell(i, rule, ALERT_BEGAN, now_ms, wall_ms);
    } else if (i != NULL) {
        const bool is_other = strcmp(i->event.to, e->to) != 0;
        i->event = *e;
        if (i->is_told && is_other)
            tell(i, rule, ALERT_CHANGED, now_ms, wall_ms);
    }
}

static void on_end(struct alert_rules *r, struct alert_rule *rule, struct alert_incident *i, const struct event *e,
                   int64_t now_ms, int64_t wall_ms)
{
    const struct conf_alert *c = rule->conf;
    const enum event_kind kind = (enum event_kind)e->kind, condition = event_condition(kind);
    const bool is_named = kind != condition && is_on(c, kind) && is_target(c, e->subject);
    if (i == NULL) {
        if (is_named && !is_on(c, condition)) /* the end is all it wants to know */
            add_item(rule, ALERT_EVENT, e->seq, e, now_ms, wall_ms);
        return;
    }
    if (i->is_told && rule->is_held && has_item(rule, i->id))
        drop_items(rule, i->id);
    else if (i->is_told && (c->recovery || is_named))
        add_item(rule, ALERT_ENDED, i->id, e, now_ms, wall_ms);
    incident_drop(r, i);
}

void alert_rules_event(struct alert_rules *r, const struct event *e, int64_t now_ms, int64_t wall_ms)
{
    CHECK_OBJ(r, ALERT_RULES_MAGIC);
    const enum event_kind kind = (enum event_kind)e->kind, condition = event_condition(kind);
    if (e->seq <= r->last_seq)
        return;
    r->last_seq = e->seq;
    for (size_t k = 0; k < r->rule_count; k++) {
        struct alert_rule *rule = &r->rules[k];
        struct alert_incident *i = incident_find(r, rule->conf->name, condition, e->subject);
        if (e->phase == EVENT_BEGINS)
            on_begin(r, rule, i, e, now_ms, wall_ms);
        else if (e->phase == EVENT_ENDS)
            on_end(r, rule, i, e, now_ms, wall_ms);
        else if (kind == condition && is_on(rule->conf, kind) && is_target(rule->conf, e->subject))
            add_item(rule, ALERT_EVENT, e->seq, e, now_ms, wall_ms);
    }
    alert_rules_tick(r, now_ms, wall_ms);
}

/* ---- time ---- */

static void incident_tick(struct alert_rules *r, struct alert_incident *i, int64_t now_ms, int64_t wall_ms)
{
    struct alert_rule *rule = alert_rules_find(r, i->rule);
    if (rule == NULL)
        return;
    if (!i->is_told && now_ms >= i->due_ms)
        tell(i, rule, ALERT_BEGAN, now_ms, wall_ms);
    if (!i->is_told || i->is_acked)
        return;
    if (i->repeat_ms != 0 && now_ms >= i->repeat_ms)
        tell(i, rule, ALERT_LASTS, now_ms, wall_ms);
    if (i->escalate_ms != 0 && now_ms >= i->escalate_ms) {
        i->escalate_ms = 0;
        escalate(r, i, rule, now_ms, wall_ms);
    }
}

void alert_rules_tick(struct alert_rules *r, int64_t now_ms, int64_t wall_ms)
{
    CHECK_OBJ(r, ALERT_RULES_MAGIC);
    LIST_EACH (it, &r->incidents)
        incident_tick(r, LIST_ENTRY(it, struct alert_incident, link), now_ms, wall_ms);
    for (size_t k = 0; k < r->rule_count; k++)
        flush(r, &r->rules[k], now_ms, wall_ms);
}

static void least(int64_t *next_ms, int64_t ms)
{
    if (ms != 0 && ms < *next_ms)
        *next_ms = ms;
}

int64_t alert_rules_next_ms(const struct alert_rules *r)
{
    CHECK_OBJ(r, ALERT_RULES_MAGIC);
    int64_t next_ms = INT64_MAX;
    LIST_EACH (it, &r->incidents) {
        const struct alert_incident *i = LIST_ENTRY(it, struct alert_incident, link);
        if (!i->is_told)
            least(&next_ms, i->due_ms);
        if (!i->is_acked && i->is_told) {
            least(&next_ms, i->repeat_ms);
            least(&next_ms, i->escalate_ms);
        }
    }
    for (size_t k = 0; k < r->rule_count; k++)
        if (r->rules[k].item_count > 0)
            least(&next_ms, r->rules[k].flush_ms);
    return next_ms;
}

/* What it was told of and has not been sent yet comes first. Quiet hours do not hold this back: it is what keeps a
 * pager quiet. */
static void tell_acked(struct alert_rules *r, struct alert_rule *rule, const struct alert_incident *i)
{
    const struct alert_item item = {.reason = ALERT_ACKED, .id = i->id, .event = i->event};
    const struct alert_notice n = {.items = &item, .count = 1};
    if (rule->conf->form != ALERT_FORM_PAGERDUTY || rule->conf->webhook[0] == '\0')
        return;
    if (has_item(rule, i->id))
        (void)alert_rule_put(rule, &item);
    else
        r->ops->send(r->arg, rule->conf, &n);
}

size_t alert_rules_ack(struct alert_rules *r, uint64_t id, const char *by, int64_t wall_ms)
{
    CHECK_OBJ(r, ALERT_RULES_MAGIC);
    size_t count = 0;
    LIST_EACH (it, &r->incidents) {
        struct alert_incident *i = LIST_ENTRY(it, struct alert_incident, link);
        if (i->is_acked || (id == 0 ? !i->is_told : i->id != id))
            continue;
        struct alert_rule *rule = alert_rules_find(r, i->rule);
        i->is_acked = true;
        i->acked_wall_ms = wall_ms;
        snprintf(i->acked_by, sizeof i->acked_by, "%s", by);
        if (i->is_told && rule != NULL)
            tell_acked(r, rule, i);
        count++;
    }
    return count;
}

size_t alert_rules_open_count(const struct alert_rules *r, size_t *acked_count)
{
    CHECK_OBJ(r, ALERT_RULES_MAGIC);
    size_t count = 0;
    *acked_count = 0;
    LIST_EACH (it, &r->incidents) {
        const struct alert_incident *i = LIST_ENTRY(it, struct alert_incident, link);
        count += i->is_told;
        *acked_count += i->is_told && i->is_acked;
    }
    return count;
}

/* ---- life ---- */

struct alert_rule *alert_rules_find(const struct alert_rules *r, const char *name)
{
    CHECK_OBJ(r, ALERT_RULES_MAGIC);
    for (size_t k = 0; k < r->rule_count; k++)
        if (strcmp(r->rules[k].conf->name, name) == 0)
            return &r->rules[k];
    return NULL;
}

/* One that was there when the configuration was checked may be gone; the one before is better than none. */
static void take_zone(struct alert_rule *rule)
{
    const char *name = rule->conf->quiet.zone_name;
    struct tz *zone = name[0] != '\0' ? tz_load(TZ_DIR, name) : NULL;
    if (zone == NULL && name[0] != '\0') {
        LOG_WARN("time zone cannot be read", KV_STR("alert", rule->conf->name), KV_STR("zone", name),
                 KV_STR("used", rule->zone != NULL ? "the one before" : "UTC"));
        return;
    }
    if (rule->zone != NULL)
        tz_destroy(&rule->zone);
    rule->zone = zone;
}

static void free_rules(struct alert_rules *r)
{
    for (size_t k = 0; k < r->rule_count; k++) {
        mem_free(r->rules[k].items);
        if (r->rules[k].zone != NULL)
            tz_destroy(&r->rules[k].zone);
    }
    mem_free(r->rules);
}

void alert_rules_set(struct alert_rules *r, const struct conf *c)
{
    CHECK_OBJ(r, ALERT_RULES_MAGIC);
    struct alert_rule *rules = mem_alloc_array(c->alert_count + 1, sizeof *rules);
    for (size_t k = 0; k < c->alert_count; k++) {
        struct alert_rule *old = alert_rules_find(r, c->alerts[k].name);
        if (old != NULL) {
            rules[k] = *old;
            old->items = NULL;
            old->zone = NULL;
        } else {
            rules[k].items = mem_alloc_array(ALERT_ITEMS_MAX, sizeof *rules[k].items);
        }
        rules[k].conf = &c->alerts[k];
        take_zone(&rules[k]);
    }
    free_rules(r);
    r->rules = rules;
    r->rule_count = c->alert_count;
    LIST_EACH (it, &r->incidents) {
        struct alert_incident *i = LIST_ENTRY(it, struct alert_incident, link);
        if (alert_rules_find(r, i->rule) == NULL)
            incident_drop(r, i);
    }
}

struct alert_rules *alert_rules_create(const struct alert_rules_ops *ops, void *arg)
{
    struct alert_rules *r;
    OBJ_NEW(r, ALERT_RULES_MAGIC);
    r->ops = ops;
    r->arg = arg;
    list_init(&r->incidents);
    return r;
}

void alert_rules_destroy(struct alert_rules **rp)
{
    struct alert_rules *r = *rp;
    CHECK_OBJ(r, ALERT_RULES_MAGIC);
    LIST_EACH (it, &r->incidents)
        incident_drop(r, LIST_ENTRY(it, struct alert_incident, link));
    free_rules(r);
    OBJ_FREE(rp, ALERT_RULES_MAGIC);
}
