/* Choosing and numbering; see the header. */
#include "health/checker/decider.h"

#include <stdio.h>
#include <string.h>

#include "health/serial.h"
#include "health/steer.h"

/* ---- choices ---- */

static uint32_t all_answers(const struct steered *n)
{
    return n->count >= STEERED_ANSWERS_MAX ? UINT32_MAX : (UINT32_C(1) << n->count) - 1;
}

const struct decision_row *decider_find(const struct decision *d, const struct steered *n)
{
    const struct decision_row *row = d != NULL ? decision_find(d, n->id) : NULL;
    return row != NULL && (row->chosen & all_answers(n)) != 0 ? row : NULL;
}

bool decider_is_same_choice(const struct decision_row *a, const struct decision_row *b)
{
    return a->chosen == b->chosen && a->is_last_resort == b->is_last_resort;
}

static bool has_word(const struct decider *d, const struct steered *n)
{
    for (size_t i = 0; i < n->part_count; i++)
        if (ballot_has_word(d->ballot, n->parts[i].slot))
            return true;
    return false;
}

/* Fills the row, and returns its TTL. */
static uint32_t choose(const struct decider *d, const struct steered *n, struct decision_row *row)
{
    struct steer_view views[STEERED_ANSWERS_MAX];
    const struct decision_row *before = decider_find(d->base, n), *given = decider_find(d->standing, n);

    if (before == NULL)
        before = decider_find(d->last, n);
    steered_look(n, ballot_verdicts(d->ballot), views);
    const struct steer_choice c =
        steer_choose(&n->policy, n->candidates, views, n->count, before != NULL ? before->last_good : 0);
    if (given == NULL && ballot_voter_count(d->ballot) == 0 && !has_word(d, n))
        given = before; /* nobody sees anything */
    if (given != NULL) {
        *row = *given;
        row->chosen &= all_answers(n);
    } else {
        row->id = n->id;
        row->chosen = c.chosen;
        row->last_good = !c.is_last_resort ? c.chosen : before != NULL ? before->last_good : 0;
        row->is_last_resort = c.is_last_resort;
        row->is_draining = c.is_draining;
    }
    /* Where another choice would be made here, one is about to be made elsewhere; and when nobody may make one, soon
     * somebody may. */
    return row->chosen == c.chosen && d->standing != d->last ? c.ttl_s : n->policy.ttl_min_s;
}

static bool is_changed_from(const struct decision *d, const struct steered *n, const struct decision_row *row)
{
    const struct decision_row *before = decider_find(d, n);
    return before == NULL || !decider_is_same_choice(before, row);
}

/* Whether anything is answered differently from before, by us or by whom we go on from. */
static bool choose_all(const struct decider *d, struct decision *next, struct steering_record *record)
{
    bool is_changed = false;

    next->row_count = d->name_count;
    record->row_count = (uint32_t)d->name_count;
    for (size_t i = 0; i < d->name_count; i++) {
        const struct steered *n = &d->names[i];
        struct decision_row *row = &next->rows[i];
        const uint32_t ttl_s = choose(d, n, row);
        record->rows[i] = (struct steering_row){.id = row->id,
                                                .chosen = row->chosen,
                                                .ttl_s = ttl_s,
                                                .is_last_resort = row->is_last_resort,
                                                .is_draining = row->is_draining};
        is_changed |= is_changed_from(d->last, n, row) || (d->base != NULL && is_changed_from(d->base, n, row));
    }
    return is_changed;
}

/* ---- numbers ---- */

static uint32_t newer_serial(uint32_t a, uint32_t b)
{
    return a == 0 || (b != 0 && serial_is_newer(b, a)) ? b : a;
}

static uint32_t next_serial(const struct decider *d, bool is_changed)
{
    const uint32_t clock_s = (uint32_t)(d->wall_ms / 1000), last = d->last->serial;
    const struct decision *heard = d->base != NULL ? d->base : d->standing;
    const uint32_t newest = heard != NULL ? newer_serial(last, heard->serial) : last;

    if (newest == 0)
        return clock_s != 0 ? clock_s : 1;
    /* Who was alone for a moment may have gone ahead of us, and goes back for nobody. */
    if (d->serial_of_others != 0 && serial_is_newer(d->serial_of_others, newest))
        return serial_next(d->serial_of_others, clock_s);
    if (d->base == NULL && newest != last)
        return newest; /* the leader has moved it for all of us */
    if (is_changed || d->zone_mark != d->last->zone_hash)
        return serial_next(newest, clock_s);
    return newest;
}

static void sign(struct decision *next, const struct decision *as)
{
    next->term = as->term;
    next->version = as->version;
    next->since_wall_ms = as->since_wall_ms;
    memcpy(next->node, as->node, sizeof next->node);
}

void decider_decide(const struct decider *d, struct decision *next, struct steering_record *record)
{
    memset(next, 0, sizeof *next);
    const bool is_changed = choose_all(d, next, record);
    ballot_states(d->ballot, next);
    next->zone_hash = d->zone_mark;
    next->serial = d->has_zone ? next_serial(d, is_changed) : d->last->serial;
    if (d->standing != NULL && d->standing != d->last) {
        sign(next, d->standing);
        return;
    }
    sign(next, d->base != NULL && d->base->version > d->last->version ? d->base : d->last);
    if (d->term != 0)
        next->term = d->term;
    if (is_changed) {
        next->version++;
        next->since_wall_ms = d->wall_ms;
    }
    if (is_changed || d->term != 0 || next->node[0] == '\0')
        snprintf(next->node, sizeof next->node, "%s", d->node);
}

bool decider_is_same(const struct decision *a, const struct decision *b)
{
    if (a->term != b->term || a->version != b->version || a->serial != b->serial || a->zone_hash != b->zone_hash ||
        a->row_count != b->row_count || a->state_count != b->state_count || strcmp(a->node, b->node) != 0)
        return false;
    for (size_t i = 0; i < a->row_count; i++)
        if (a->rows[i].id != b->rows[i].id || !decider_is_same_choice(&a->rows[i], &b->rows[i]) ||
            a->rows[i].last_good != b->rows[i].last_good || a->rows[i].is_draining != b->rows[i].is_draining)
            return false;
    for (size_t i = 0; i < a->state_count; i++)
        if (a->states[i].state != b->states[i].state || strcmp(a->states[i].name, b->states[i].name) != 0)
            return false;
    return true;
}
