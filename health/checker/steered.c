/* From verdicts to what is believed about answers, and to words; see the header. */
#include "health/checker/steered.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "health/steering.h"

/* ---- from the configuration ---- */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static uint32_t seconds(int64_t ms)
{
    return ms < 0 ? 0 : ms / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ms / 1000);
}

static void add_part(struct steered *s, size_t answer, const char *name, const struct slots *slots)
{
    s->parts[s->part_count++] =
        (struct steered_part){.answer = (uint32_t)answer, .slot = slots_find(slots, SLOT_SERVER, name), .name = name};
}

void steered_init(struct steered *s, const char *zone, const struct conf_dns_record *r, const struct slots *slots)
{
    size_t part_count = 0;

    memset(s, 0, sizeof *s);
    s->record = r;
    s->id = steering_id(r);
    steering_name(zone, r->name, s->name, sizeof s->name);
    s->policy = (struct steer_policy){
        .kind = r->steer,
        .resort = r->last_resort,
        .ttl_min_s = seconds(r->ttl_min_ms),
        .ttl_max_s = seconds(r->ttl_max_ms > r->ttl_min_ms ? r->ttl_max_ms : r->ttl_min_ms),
    };
    s->count = min_size(r->answer_count, STEERED_ANSWERS_MAX);
    for (size_t i = 0; i < s->count; i++)
        part_count += 1 + r->answers[i].require_count;
    s->parts = mem_alloc_array(part_count > 0 ? part_count : 1, sizeof *s->parts);
    for (size_t i = 0; i < s->count; i++) {
        const struct conf_dns_answer *a = &r->answers[i];
        s->candidates[i] = (struct steer_candidate){
            .tier = a->tier, .weight = (uint16_t)(a->weight < UINT16_MAX ? a->weight : UINT16_MAX)};
        if (a->target[0] != '\0')
            add_part(s, i, a->target, slots);
        for (size_t k = 0; k < a->require_count; k++)
            add_part(s, i, a->requires[k], slots);
    }
}

void steered_fini(struct steered *s)
{
    mem_free(s->parts);
    memset(s, 0, sizeof *s);
}

/* ---- what is believed about an answer ---- */

/* While an answer is being put together: an operator's word is a flip that never comes. */
static uint64_t flip_ms(const struct steer_view *v)
{
    return v->is_forced || v->interval_ms == 0 ? UINT64_MAX : (uint64_t)v->checks_left * v->interval_ms;
}

static void take_flip(struct steer_view *to, const struct steer_view *from)
{
    to->is_forced = from->is_forced;
    to->checks_left = from->checks_left;
    to->interval_ms = from->interval_ms;
}

/* An answer that is down is back when the last of those that keep it down is; one that is not goes with the first. */
static void combine(struct steer_view *all, const struct steer_view *one)
{
    all->is_draining |= one->is_draining;
    if ((one->state == VERDICT_DOWN) != (all->state == VERDICT_DOWN)) {
        if (one->state != VERDICT_DOWN)
            return;
        all->state = VERDICT_DOWN;
        take_flip(all, one);
        return;
    }
    if (one->state == VERDICT_UNKNOWN)
        all->state = VERDICT_UNKNOWN;
    if ((one->state == VERDICT_DOWN) == (flip_ms(one) > flip_ms(all)))
        take_flip(all, one);
}

void steered_look(const struct steered *s, const struct quorum_verdict verdicts[SLOTS_SERVERS],
                  struct steer_view views[STEERED_ANSWERS_MAX])
{
    bool is_begun[STEERED_ANSWERS_MAX] = {false};

    memset(views, 0, STEERED_ANSWERS_MAX * sizeof *views);
    for (size_t i = 0; i < s->part_count; i++) {
        const struct steered_part *p = &s->parts[i];
        struct steer_view one = {.state = VERDICT_UNKNOWN};
        if (p->slot >= 0) {
            const struct quorum_verdict *v = &verdicts[p->slot];
            one = (struct steer_view){.state = v->state,
                                      .is_draining = v->is_draining,
                                      .is_forced = v->is_forced,
                                      .checks_left = v->checks_left,
                                      .interval_ms = v->interval_ms};
        }
        if (is_begun[p->answer])
            combine(&views[p->answer], &one);
        else
            views[p->answer] = one;
        is_begun[p->answer] = true;
    }
}

/* ---- words ---- */

static const char *answer_text(const struct conf_dns_answer *a)
{
    const char *slash = strchr(a->target, '/');

    if (slash != NULL && strncmp(a->target, CONF_TARGETS_POOL "/", sizeof CONF_TARGETS_POOL) == 0)
        return slash + 1;
    if (a->target[0] != '\0')
        return a->target;
    if (a->cname[0] != '\0')
        return a->cname;
    return a->a_count > 0 ? a->a[0] : a->aaaa_count > 0 ? a->aaaa[0] : "";
}

#define MORE_BYTES 4u /* ",+31" */

void steered_choice_text(const struct steered *s, uint32_t chosen, char out[EVENT_WORD_BYTES])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < s->count; i++) {
        const uint32_t bit = UINT32_C(1) << i, later = chosen & ~((bit << 1) - 1);
        if ((chosen & bit) == 0)
            continue;
        const char *text = answer_text(&s->record->answers[i]);
        const size_t room = EVENT_WORD_BYTES - 1 - len - (later != 0 ? MORE_BYTES : 0);
        if (len > 0 && strlen(text) + 1 > room) {
            snprintf(out + len, EVENT_WORD_BYTES - len, ",+%d", __builtin_popcount(chosen & ~(bit - 1)));
            return;
        }
        const int n = snprintf(out + len, room + 1, "%s%s", len > 0 ? "," : "", text);
        len += min_size((size_t)n, room);
    }
}

static void add_words(char out[EVENT_CAUSE_BYTES], const char *name, const char *is, const char *what)
{
    const size_t len = strlen(out);
    const size_t needed = strlen(name) + strlen(is) + strlen(what) + 2;

    if (len + needed < EVENT_CAUSE_BYTES)
        snprintf(out + len, EVENT_CAUSE_BYTES - len, "%s%s%s%s", len > 0 ? ", " : "", name, is, what);
}

static bool is_named_before(const struct steered *s, size_t part)
{
    for (size_t i = 0; i < part; i++)
        if (s->parts[i].slot == s->parts[part].slot)
            return true;
    return false;
}

void steered_cause(const struct steered *s, const uint8_t before[SLOTS_SERVERS], const uint8_t now[SLOTS_SERVERS],
                   char out[EVENT_CAUSE_BYTES])
{
    out[0] = '\0';
    for (size_t i = 0; i < s->part_count; i++) {
        const struct steered_part *p = &s->parts[i];
        if (p->slot < 0 || is_named_before(s, i))
            continue;
        const unsigned a = before[p->slot], b = now[p->slot];
        const char *state = verdict_state_text((enum verdict_state)(b & STEERING_SAYS_STATE));
        if (((a ^ b) & (STEERING_SAYS_STATE | STEERING_SAYS_FORCED)) != 0)
            add_words(out, p->name, (b & STEERING_SAYS_FORCED) != 0 ? " is forced " : " is ", state);
        if (((a ^ b) & STEERING_SAYS_DRAINING) != 0)
            add_words(out, p->name, (b & STEERING_SAYS_DRAINING) != 0 ? " drains" : " drains no longer", "");
    }
}
