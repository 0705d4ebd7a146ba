/* Settling: everything that may change a choice leads to settle(), which makes all of them anew from what is known. So
 * there is one way from the past and the present to a decision, whatever happened, and nothing to forget.
 *
 * The hard part is when not to decide. Who comes up, or loses the leader, keeps what was decided for the time of a
 * lease: the others may still go by it, and the leader may be back. A decision of an older term, or an older version of
 * the term last followed, comes from somebody who does not know that he is past. And a new leader does not begin from
 * what he alone sees, but from the last decision there is: ties and last resorts go on from it. */
#include "health/checker/steerer.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "health/checker/ballot.h"
#include "health/checker/decider.h"
#include "health/checker/fleet.h"
#include "health/checker/steered.h"
#include "health/checker/steering_file.h"
#include "health/serial.h"
#include "health/zone_mark.h"

#define STEERER_MAGIC 0x57ee6e12u

#define SETTLE_PAUSE_MS 5    /* between two: a few hundred a second at most */
#define REFRESH_MS      1000 /* ages on status pages; and what nobody told us */
/* A dispute that lasts longer than this is not about to end: no more hurry. */
#define HURRY_FOR_MS 10000
/* Who remembers nothing waits so long for the others before the first decision: names are answered meanwhile as if
 * nobody had judged anything, which is all he could say, but under no serial that the leader has not given. */
#define FIRST_WAIT_MS 1000

#define ROLE_NONE STEERING_ROLE_COUNT /* none told so far */

struct steerer {
    uint32_t magic;
    struct steerer_env env;
    struct fleet *fleet;
    struct ballot *ballot;
    struct steering_file file;
    struct conf *conf; /* NULL until the first one */
    uint64_t mark;     /* of its zone */
    struct steered names[CONF_DNS_STEERED_MAX];
    size_t name_count;
    bool is_leaving;

    /* what stands */
    struct decision decision;
    uint64_t heard_term, heard_version; /* of the newest decision of somebody else */

    /* whose it is */
    enum steering_role role, role_told;
    bool is_held; /* nobody may decide at the moment: until hold_until_ms */
    bool was_connected;
    int64_t connected_since_wall_ms;
    int64_t hold_until_ms;
    int64_t first_ms;       /* the first decision of who remembers nothing is not made before, if nobody is met */
    int64_t quiet_until_ms; /* to be alone is no news before: we have only begun to look for the others */
    int64_t hurry_until_ms;
    bool was_disputed;
    bool is_blind; /* told: nobody sees anything */

    struct view said;              /* to the others */
    struct steering_record record; /* in the table, if: */
    bool is_stored;
    uint8_t says_before[SLOTS_SERVERS];
    struct decision next; /* while one is made */

    struct log_limit complaints;
    bool is_dirty;
    struct later settle;
    struct timer pause;
    struct timer refresh;
};

static int64_t now_ms(const struct steerer *s)
{
    return loop_now_ms(s->env.loop);
}

static int64_t wall_ms(const struct steerer *s)
{
    return loop_wall_ms(s->env.loop);
}

static bool has_zone(const struct steerer *s)
{
    return s->conf->dns.zone != NULL && s->conf->dns.zone[0] != '\0';
}

/* ---- to the journal ---- */

static void tell_event(struct steerer *s, enum event_kind kind, enum event_phase phase, const char *subject,
                       const char *from, const char *to, const char *cause)
{
    struct event e;

    event_init(&e, kind, phase, subject, from, to, cause);
    s->env.on_event(s->env.arg, &e);
}

static void tell_role(struct steerer *s)
{
    char cause[EVENT_CAUSE_BYTES];

    if (!fleet_is_configured(s->fleet)) {
        s->role_told = ROLE_NONE;
        return;
    }
    if (s->is_held || s->role == s->role_told)
        return;
    if (s->role_told == ROLE_NONE && s->role == STEERING_ALONE && now_ms(s) < s->quiet_until_ms)
        return;
    if (s->role == STEERING_ALONE)
        snprintf(cause, sizeof cause, "%s",
                 fleet_is_connected(s->fleet) ? "nobody leads" : "the others are not reached through Redis");
    else
        snprintf(cause, sizeof cause, "%s leads", s->role == STEERING_LEADS ? "this node" : fleet_leader(s->fleet));
    const bool was_alone = s->role_told == STEERING_ALONE || s->role_told == ROLE_NONE;
    const char *from = s->role_told == ROLE_NONE ? "" : steering_role_text(s->role_told);
    const char *to = steering_role_text(s->role);
    tell_event(s, EVENT_QUORUM,
               s->role == STEERING_ALONE ? EVENT_BEGINS
               : was_alone               ? EVENT_ENDS
                                         : EVENT_ONCE,
               s->conf->node.name, from, to, cause);
    LOG_AT(s->role == STEERING_ALONE ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "part in the quorum changed",
           KV_STR("from", from), KV_STR("to", to), KV_STR("cause", cause), KV_UINT("term", s->decision.term));
    s->role_told = s->role;
}

static void tell_choice(struct steerer *s, const struct steered *n, const struct decision_row *before,
                        const struct decision_row *now)
{
    char from[EVENT_WORD_BYTES] = "", to[EVENT_WORD_BYTES], cause[EVENT_CAUSE_BYTES];
    const bool was_resort = before != NULL && before->is_last_resort;

    if (before != NULL && decider_is_same_choice(before, now))
        return;
    steered_choice_text(n, now->chosen, to);
    steered_choice_text(n, before != NULL ? before->chosen : now->chosen, from);
    steered_cause(n, s->says_before, ballot_says(s->ballot), cause);
    if (cause[0] == '\0' && s->role == STEERING_FOLLOWS)
        snprintf(cause, sizeof cause, "decided by %s", s->next.node);
    const bool is_new = before == NULL;
    /* A record that is new ends a last resort its name may still be in, from before a restart or a reload. */
    tell_event(s, EVENT_DNS,
               now->is_last_resort    ? EVENT_BEGINS
               : was_resort || is_new ? EVENT_ENDS
                                      : EVENT_ONCE,
               n->name, from, to, cause);
    if (!is_new || now->is_last_resort)
        LOG_AT(now->is_last_resort ? LOG_LEVEL_ERR : LOG_LEVEL_INFO,
               now->is_last_resort ? "nothing stands, name is answered with its last resort" : "name is steered",
               KV_STR("name", n->name), KV_STR("from", from), KV_STR("to", to), KV_STR("cause", cause),
               KV_UINT("serial", s->next.serial), KV_STR("role", steering_role_text(s->role)));
}

/* Nobody sees anything: loudly, once each way. */
static void tell_blindness(struct steerer *s)
{
    const bool is_blind = ballot_voter_count(s->ballot) == 0;

    if (is_blind == s->is_blind || s->name_count == 0)
        return;
    s->is_blind = is_blind;
    if (is_blind)
        LOG_ERR("cut off and alone, the last decision about DNS stands", KV_UINT("version", s->decision.version));
    else
        LOG_INFO("views count again, DNS follows them", KV_UINT("voters", ballot_voter_count(s->ballot)));
}

/* ---- whose decision it is ---- */

static bool is_leader_already(const struct steerer *s)
{
    return s->role == STEERING_LEADS && fleet_leads(s->fleet) && fleet_term(s->fleet) == s->decision.term;
}

/* What the leader decided, if it is to be believed; NULL otherwise. */
static const struct decision *hear_decision(struct steerer *s)
{
    const struct decision *d = fleet_decision(s->fleet);

    if (d == NULL || !fleet_is_connected(s->fleet) || is_leader_already(s))
        return NULL;
    if (d->term < s->heard_term || (d->term == s->heard_term && d->version < s->heard_version)) {
        LOG_LIMITED(&s->complaints, now_ms(s), LOG_LEVEL_WARN, "decision of the past refused", KV_STR("node", d->node),
                    KV_UINT("term", d->term), KV_UINT("version", d->version), KV_UINT("term_known", s->heard_term),
                    KV_UINT("version_known", s->heard_version));
        return NULL;
    }
    return d;
}

static void note_connection(struct steerer *s)
{
    const bool is_connected = fleet_is_connected(s->fleet);

    if (is_connected && !s->was_connected)
        s->connected_since_wall_ms = wall_ms(s);
    if (!is_connected && s->was_connected) /* it lasts a lease longer than the last exchange */
        s->hold_until_ms = now_ms(s);
    s->was_connected = is_connected;
}

static void take_role(struct steerer *s, const struct decision *heard)
{
    const bool was_with_others = s->role != STEERING_ALONE && !s->is_held;

    s->is_held = false;
    if (!fleet_is_configured(s->fleet)) {
        s->role = STEERING_ALONE;
        return;
    }
    if (was_with_others && fleet_is_connected(s->fleet))
        s->hold_until_ms = now_ms(s) + s->conf->quorum.lifetime_ms;
    if (fleet_is_connected(s->fleet) && fleet_leads(s->fleet)) {
        s->role = STEERING_LEADS;
    } else if (heard != NULL) { /* also one of our own name: what we were before a crash, or somebody who took it */
        s->role = STEERING_FOLLOWS;
    } else {
        s->is_held = now_ms(s) < s->hold_until_ms;
        if (!s->is_held)
            s->role = STEERING_ALONE;
    }
}

/* ---- a settlement ---- */

static void tell_view(struct steerer *s)
{
    struct view *v = mem_alloc(sizeof *v);
    bool is_urgent = false;

    snprintf(v->node, sizeof v->node, "%s", s->conf->node.name);
    snprintf(v->region, sizeof v->region, "%s", s->conf->node.region);
    v->is_gateway = has_zone(s) && !s->env.birth->is_alone;
    v->serial = v->is_gateway ? s->decision.serial : 0;
    ballot_view(s->ballot, v);
    if (memcmp(v, &s->said, sizeof *v) != 0) {
        is_urgent = v->is_cut_off != s->said.is_cut_off || v->count != s->said.count;
        for (size_t i = 0; i < v->count && !is_urgent; i++) {
            const struct quorum_vote *a = &v->rows[i].vote, *b = &s->said.rows[i].vote;
            is_urgent = a->state != b->state || a->is_forced != b->is_forced || a->is_draining != b->is_draining;
        }
        memcpy(&s->said, v, sizeof *v);
        fleet_say(s->fleet, v, is_urgent);
    }
    mem_free(v);
    if (is_urgent)
        s->hurry_until_ms = now_ms(s) + HURRY_FOR_MS;
}

static void hurry(struct steerer *s)
{
    const bool is_disputed = ballot_is_disputed(s->ballot);

    if (is_disputed && !s->was_disputed)
        s->hurry_until_ms = now_ms(s) + HURRY_FOR_MS;
    s->was_disputed = is_disputed;
    fleet_hurry(s->fleet, is_disputed && now_ms(s) < s->hurry_until_ms);
}

/* First on the disk, then in the table and with the others, then in the journal. */
static void publish(struct steerer *s, struct steering_record *record)
{
    const struct decision *d = &s->next;

    if (has_zone(s))
        (void)steering_file_save(&s->file, d, now_ms(s));
    record->term = d->term;
    record->version = d->version;
    record->since_wall_ms = d->since_wall_ms;
    record->serial = d->serial;
    record->role = s->role;
    record->voter_count = ballot_voter_count(s->ballot);
    if (!s->is_stored || memcmp(record, &s->record, sizeof *record) != 0) {
        s->is_stored = true;
        memcpy(&s->record, record, sizeof *record);
        steering_store(&s->env.table->steering, record);
    }
    for (size_t i = 0; i < s->name_count; i++)
        tell_choice(s, &s->names[i], decider_find(&s->decision, &s->names[i]), &d->rows[i]);
}

static void publish_fleet(struct steerer *s)
{
    struct steering_fleet f = {.is_configured = fleet_is_configured(s->fleet),
                               .is_connected = fleet_is_connected(s->fleet),
                               .connected_since_wall_ms = s->was_connected ? s->connected_since_wall_ms : 0};
    const char *leader = fleet_leader(s->fleet);

    ballot_tell(s->ballot, &f);
    for (size_t i = 0; i < f.peer_count; i++)
        f.peers[i].is_leader = leader[0] != '\0' && strcmp(f.peers[i].node, leader) == 0;
    steering_store_fleet(&s->env.table->steering, &f);
}

/* The newest serial that any of the others answers. */
static uint32_t serial_of_others(const struct steerer *s)
{
    uint32_t newest = 0;
    int64_t age_ms;

    for (size_t i = 0; i < fleet_view_count(s->fleet); i++) {
        const uint32_t serial = fleet_view(s->fleet, i, &age_ms)->serial;
        if (serial != 0 && (newest == 0 || serial_is_newer(serial, newest)))
            newest = serial;
    }
    return newest;
}

/* What is decided by others, or goes on by itself, is believed; the rest is counted. */
static void decide(struct steerer *s, const struct decision *standing, const struct decision *base,
                   struct steering_record *record)
{
    const bool is_leader = s->role == STEERING_LEADS && !s->is_held;
    const struct decider d = {
        .names = s->names,
        .name_count = s->name_count,
        .ballot = s->ballot,
        .last = &s->decision,
        .standing = standing,
        .base = base,
        .node = s->conf->node.name,
        .term = is_leader ? fleet_term(s->fleet) : 0,
        .zone_mark = s->mark,
        .has_zone = has_zone(s),
        .serial_of_others = is_leader ? serial_of_others(s) : 0,
        .wall_ms = wall_ms(s),
    };

    if (standing != NULL || base != NULL)
        ballot_believe(s->ballot, standing != NULL ? standing : base);
    ballot_count(s->ballot, standing != NULL ? BALLOT_STANDS : BALLOT_COUNTS);
    decider_decide(&d, &s->next, record);
    if (!s->is_held && s->role != STEERING_ALONE) {
        s->heard_term = s->next.term;
        s->heard_version = s->next.version;
    }
}

/* What a new leader goes on from. NULL when that is what we last followed, or decided for all, ourselves: what we came
 * to since, alone, goes on from it already. */
static const struct decision *inheritance(const struct steerer *s, const struct decision *heard)
{
    const bool is_known = heard != NULL && heard->term == s->heard_term && heard->version == s->heard_version &&
                          !serial_is_newer(heard->serial, s->decision.serial);
    return is_known ? NULL : heard;
}

static void settle(struct steerer *s)
{
    struct steering_record record = {0};
    s->is_dirty = false;
    ballot_look(s->ballot);
    ballot_hear(s->ballot, s->fleet, wall_ms(s));
    tell_view(s);
    note_connection(s);
    const bool was_leader = is_leader_already(s);
    const struct decision *heard = hear_decision(s);
    take_role(s, heard);
    const bool is_new_leader = s->role == STEERING_LEADS && !s->is_held && !was_leader;
    if (s->role == STEERING_ALONE && s->decision.serial == 0 && now_ms(s) < s->first_ms) {
        publish_fleet(s);
        return;
    }
    decide(s,
           s->is_held                    ? &s->decision
           : s->role == STEERING_FOLLOWS ? heard
                                         : NULL,
           is_new_leader ? inheritance(s, heard) : NULL, &record);
    const bool is_news = !decider_is_same(&s->next, &s->decision);
    publish(s, &record);
    memcpy(&s->decision, &s->next, sizeof s->decision);
    memcpy(s->says_before, ballot_says(s->ballot), sizeof s->says_before);
    if (s->role == STEERING_LEADS && !s->is_held && (is_news || is_new_leader))
        fleet_decide(s->fleet, &s->decision);
    tell_role(s);
    tell_blindness(s);
    publish_fleet(s);
    hurry(s);
}

/* ---- when ---- */

/* Also when nothing happens: ages go on, and nobody tells of the end of a hold. */
static void plan_refresh(struct steerer *s)
{
    const int64_t first_left_ms = s->first_ms - now_ms(s), hold_left_ms = s->hold_until_ms - now_ms(s);
    int64_t delay_ms = REFRESH_MS;

    if (s->is_held && hold_left_ms < delay_ms)
        delay_ms = hold_left_ms;
    if (first_left_ms > 0 && first_left_ms < delay_ms)
        delay_ms = first_left_ms;
    timer_start(&s->refresh, delay_ms > 0 ? delay_ms : 0);
}

static void settle_now(struct steerer *s)
{
    later_cancel(&s->settle);
    settle(s);
    timer_start(&s->pause, SETTLE_PAUSE_MS);
    plan_refresh(s);
}

static void on_settle(void *arg)
{
    struct steerer *s = arg;
    CHECK_OBJ(s, STEERER_MAGIC);
    settle_now(s);
}

static void on_pause_over(void *arg)
{
    struct steerer *s = arg;
    CHECK_OBJ(s, STEERER_MAGIC);
    if (s->is_dirty)
        settle_now(s);
}

static void on_refresh(void *arg)
{
    steerer_touch(arg); /* the next one is planned when that is settled */
}

static void on_news(void *arg)
{
    steerer_touch(arg);
}

void steerer_touch(struct steerer *s)
{
    CHECK_OBJ(s, STEERER_MAGIC);
    if (s->conf == NULL || s->is_leaving)
        return;
    s->is_dirty = true;
    if (!timer_is_active(&s->pause))
        later_post(&s->settle);
}

void steerer_probed(struct steerer *s, int slot)
{
    CHECK_OBJ(s, STEERER_MAGIC);
    ballot_probed(s->ballot, slot);
    steerer_touch(s);
}

/* ---- configuration ---- */

static void drop_names(struct steerer *s)
{
    for (size_t i = 0; i < s->name_count; i++)
        steered_fini(&s->names[i]);
    s->name_count = 0;
}

static void take_names(struct steerer *s)
{
    const struct conf_dns *d = &s->conf->dns;

    drop_names(s);
    for (size_t i = 0; has_zone(s) && i < d->record_count && s->name_count < CONF_DNS_STEERED_MAX; i++)
        if (d->records[i].answer_count > 0)
            steered_init(&s->names[s->name_count++], d->zone, &d->records[i], s->env.birth->slots);
    s->mark = has_zone(s) ? zone_mark(d) : 0;
}

void steerer_take_conf(struct steerer *s, const struct conf *c)
{
    CHECK_OBJ(s, STEERER_MAGIC);
    if (s->is_leaving)
        return;
    struct conf *before = s->conf;
    const bool was_configured = before != NULL && fleet_is_configured(s->fleet);
    s->conf = conf_ref(c);
    take_names(s);
    ballot_take_conf(s->ballot, s->conf);
    ballot_believe(s->ballot, &s->decision);
    memcpy(s->says_before, ballot_says(s->ballot), sizeof s->says_before);
    fleet_take_conf(s->fleet, s->conf, has_zone(s), s->heard_term);
    if (before != NULL)
        conf_unref(&before);
    if (fleet_is_configured(s->fleet) && !was_configured) {
        s->quiet_until_ms = now_ms(s) + s->conf->quorum.lifetime_ms;
        s->hold_until_ms = s->decision.row_count > 0 ? s->quiet_until_ms : now_ms(s);
        s->first_ms = now_ms(s) + FIRST_WAIT_MS;
    }
    settle_now(s);
}

/* ---- life ---- */

/* What stands in the table since a former run of this process, where it is ahead of the file. */
static void go_on_from_table(struct steerer *s)
{
    struct steering_record r;
    struct decision *d = &s->decision;

    if (!steering_load(&s->env.table->steering, &r) || r.serial == 0 ||
        (d->serial != 0 && !serial_is_newer(r.serial, d->serial)))
        return;
    d->term = r.term > d->term ? r.term : d->term;
    d->version = r.version;
    d->since_wall_ms = r.since_wall_ms;
    d->serial = r.serial;
    d->row_count = 0;
    d->state_count = 0; /* older than the verdicts beside the record */
    for (uint32_t i = 0; i < r.row_count; i++)
        if (r.rows[i].id != 0 && r.rows[i].chosen != 0)
            d->rows[d->row_count++] = (struct decision_row){
                .id = r.rows[i].id,
                .chosen = r.rows[i].chosen,
                .last_good = r.rows[i].chosen, /* also where it is the last resort that stays as it was */
                .is_last_resort = r.rows[i].is_last_resort != 0,
                .is_draining = r.rows[i].is_draining != 0};
}

struct steerer *steerer_create(const struct steerer_env *env)
{
    struct steerer *s;

    OBJ_NEW(s, STEERER_MAGIC);
    s->env = *env;
    s->role_told = ROLE_NONE;
    steering_file_init(&s->file, env->file);
    if (steering_file_load(&s->file, &s->decision))
        LOG_INFO("going on from the last decision about DNS", KV_UINT("term", s->decision.term),
                 KV_UINT("version", s->decision.version), KV_UINT("serial", s->decision.serial));
    go_on_from_table(s);
    s->heard_term = s->decision.term;
    s->ballot = ballot_create(&env->table->verdicts, env->birth->slots);
    later_init(&s->settle, env->loop, on_settle, s);
    timer_init(&s->pause, env->loop, on_pause_over, s);
    timer_init(&s->refresh, env->loop, on_refresh, s);
    s->fleet = fleet_create(env->loop, env->birth, on_news, s);
    return s;
}

void steerer_destroy(struct steerer **sp)
{
    struct steerer *s = *sp;

    CHECK_OBJ(s, STEERER_MAGIC);
    s->is_leaving = true;
    later_cancel(&s->settle);
    timer_cancel(&s->pause);
    timer_cancel(&s->refresh);
    if (s->conf != NULL && has_zone(s) && s->decision.serial != 0)
        (void)steering_file_save(&s->file, &s->decision, s->file.again_ms); /* what was left for later */
    fleet_destroy(&s->fleet);
    ballot_destroy(&s->ballot);
    steering_file_fini(&s->file);
    drop_names(s);
    if (s->conf != NULL)
        conf_unref(&s->conf);
    OBJ_FREE(sp, STEERER_MAGIC);
}
