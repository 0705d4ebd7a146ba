/* What is told to whom, and when: pure, with the time passed in. Events go in; notices, each a few items for one alert
 * of the configuration, come out through `ops`. How a notice is worded and delivered is no business of this file.
 *
 * An incident is a condition (base/event.h) an alert applies to; its id is the number of the event that began it, so
 * it is the same in all alerts. It waits until it has lasted (`after`), is told of, then maybe again (`repeat`), handed
 * on (`escalate`) unless acknowledged, and ends with the condition. Items are held for `group`, and in quiet hours
 * until these are over; what begins and ends while held is not told of at all. */
#ifndef GATEWAY_ADMIN_ALERT_RULES_H
#define GATEWAY_ADMIN_ALERT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/event.h"
#include "base/list.h"
#include "base/tz.h"
#include "conf/conf.h"

#define ALERT_ITEMS_MAX     50u   /* of a notice; more are only counted */
#define ALERT_INCIDENTS_MAX 1024u /* of all alerts; the oldest makes room */
#define ALERT_NAME_BYTES    64u

enum alert_reason {
    ALERT_EVENT = 0, /* it happened, once */
    ALERT_BEGAN,
    ALERT_CHANGED,
    ALERT_LASTS, /* told again */
    ALERT_ESCALATED,
    ALERT_ENDED,
    ALERT_ACKED, /* told only to who keeps incidents himself: see alert_rules_ack */
    ALERT_TEST,
    ALERT_REASON_COUNT
};
const char *alert_reason_text(enum alert_reason r);

struct alert_item {
    enum alert_reason reason;
    uint64_t id; /* of the incident; of the event when there is none */
    struct event event;
};

struct alert_notice {
    const struct alert_item *items;
    size_t count;
    size_t more_count; /* that there was no room for */
};

struct alert_incident {
    uint32_t magic;
    struct list link;
    char rule[ALERT_NAME_BYTES];
    enum event_kind condition;
    uint64_t id;
    struct event event; /* the newest about it */
    int64_t began_wall_ms;
    bool is_told;
    bool is_acked;
    char acked_by[ALERT_NAME_BYTES]; /* "": nobody said who */
    int64_t acked_wall_ms;
    int64_t escalated_wall_ms; /* to another alert; 0: not */
    int64_t due_ms;            /* not told yet: when it will have lasted long enough */
    int64_t repeat_ms;         /* 0: not */
    int64_t escalate_ms;       /* 0: not, or done */
};

/* Of one alert in the configuration. */
struct alert_rule {
    const struct conf_alert *conf; /* borrowed: see alert_rules_set */
    struct tz *zone;               /* of its quiet hours; NULL: conf->quiet.zone_min */
    struct alert_item *items;      /* ALERT_ITEMS_MAX */
    size_t item_count;
    size_t more_count;
    int64_t flush_ms; /* while there are items */
    bool is_held;     /* by quiet hours */
};

struct alert_rules_ops {
    void (*send)(void *arg, const struct conf_alert *rule, const struct alert_notice *n);
};

struct alert_rules {
    uint32_t magic;
    const struct alert_rules_ops *ops;
    void *arg;
    struct alert_rule *rules;
    size_t rule_count;
    struct list incidents;
    size_t incident_count;
    uint64_t last_seq; /* of the events that went in */
};

struct alert_rules *alert_rules_create(const struct alert_rules_ops *ops, void *arg);
void alert_rules_destroy(struct alert_rules **rp);
/* The alerts of another configuration, borrowed until the next call; by their names they keep what they have. The time
 * zones they name are read anew. */
void alert_rules_set(struct alert_rules *r, const struct conf *c);
struct alert_rule *alert_rules_find(const struct alert_rules *r, const char *name); /* NULL: there is none */

/* An event; those with numbers up to last_seq have been here before and are skipped. */
void alert_rules_event(struct alert_rules *r, const struct event *e, int64_t now_ms, int64_t wall_ms);
/* Does what is due; to be called at the time alert_rules_next_ms() says, or a little later. */
void alert_rules_tick(struct alert_rules *r, int64_t now_ms, int64_t wall_ms);
int64_t alert_rules_next_ms(const struct alert_rules *r); /* INT64_MAX: never */
/* `by` takes care of the incident (0: of all that were told of); how many alerts that is news to. PagerDuty, which
 * reminds people itself, is told. */
size_t alert_rules_ack(struct alert_rules *r, uint64_t id, const char *by, int64_t wall_ms);
/* Incidents that were told of, and how many of them are acknowledged. */
size_t alert_rules_open_count(const struct alert_rules *r, size_t *acked_count);

/* Whether it is quiet hours for the alert. */
bool alert_is_quiet(const struct alert_rule *rule, int64_t wall_ms);
/* `*` in the pattern stands for any text. */
bool alert_pattern_fits(const char *pattern, const char *text);
/* Puts an item back that was kept over a restart; false when there is no room. */
bool alert_rule_put(struct alert_rule *rule, const struct alert_item *item);
/* An empty one, to be filled with what was kept; NULL: there is no room. */
struct alert_incident *alert_incident_add(struct alert_rules *r);

#endif
