/* See the header. One piece of memory per kind of array, made for the zone once; a refresh only writes into them. */
#include "health/nameserver/choices.h"

#include "base/mem.h"
#include "health/nameserver/inner.h"
#include "health/steer.h"

#define CHOICES_MAGIC 0xc401ce5bu

struct inner { /* a candidate that is a name of our own zone */
    const struct zone_node *node;
    struct steering_alias *place;
};

struct choices {
    uint32_t magic;
    const struct zone_conf *zone;
    const struct steering_table *table;
    uint32_t serial; /* until the table has one */
    uint32_t seen;   /* sequence of the table */
    struct steering steering;
    struct steering_set *sets;
    uint16_t (*weights)[ZONE_CANDIDATES_MAX];
    struct steering_alias **aliases; /* by set: one per candidate, or NULL */
    struct steering_record record;
    size_t inner_count;
    struct inner *inner;
};

/* ---- one set ---- */

static uint16_t weight_of(const struct conf_dns_answer *a)
{
    return a->weight > UINT16_MAX ? UINT16_MAX : (uint16_t)a->weight;
}

/* As if nobody had judged anything. What somebody checks may be judged with the next check. */
static struct steer_choice choose_blindly(const struct conf_dns_record *r)
{
    const struct steer_policy policy = {.kind = r->steer,
                                        .resort = r->last_resort,
                                        .ttl_min_s = (uint32_t)(r->ttl_min_ms / 1000),
                                        .ttl_max_s = (uint32_t)(r->ttl_max_ms / 1000)};
    struct steer_candidate candidates[ZONE_CANDIDATES_MAX];
    struct steer_view views[ZONE_CANDIDATES_MAX];

    for (size_t i = 0; i < r->answer_count; i++) {
        const struct conf_dns_answer *a = &r->answers[i];
        candidates[i] = (struct steer_candidate){.tier = a->tier, .weight = weight_of(a)};
        views[i] = (struct steer_view){.state = VERDICT_UNKNOWN, .interval_ms = a->target[0] != '\0'};
    }
    return steer_choose(&policy, candidates, views, r->answer_count, 0);
}

static void refresh_set(struct choices *c, size_t number)
{
    const struct zone_conf_set *s = &c->zone->sets[number];
    struct steering_set *set = &c->sets[number];

    if (s->steering_id == 0) { /* an alias: its one candidate, for as long as its addresses hold */
        set->chosen = 1;
        set->ttl_s = (uint32_t)((s->record->ttl_ms > 0 ? s->record->ttl_ms : INT64_C(3600000)) / 1000);
        return;
    }
    const struct steering_row *row = steering_find(&c->record, s->steering_id);
    if (row != NULL) {
        set->chosen = row->chosen;
        set->ttl_s = row->ttl_s;
        return;
    }
    const struct steer_choice blind = choose_blindly(s->record);
    set->chosen = blind.chosen;
    set->ttl_s = blind.ttl_s;
}

/* ---- all of them ---- */

void choices_renew(struct choices *c)
{
    CHECK_OBJ(c, CHOICES_MAGIC);
    for (size_t i = 0; i < c->inner_count; i++)
        inner_addresses(c->inner[i].node, &c->steering, c->inner[i].place);
}

static void refresh_all(struct choices *c)
{
    c->steering.serial = c->record.serial != 0 ? c->record.serial : c->serial;
    for (size_t i = 0; i < c->zone->set_count; i++)
        refresh_set(c, i);
    choices_renew(c);
}

bool choices_refresh(struct choices *c)
{
    CHECK_OBJ(c, CHOICES_MAGIC);
    const uint32_t sequence = steering_sequence(c->table);
    if (sequence == c->seen)
        return false;
    struct steering_record fresh;
    if (!steering_load(c->table, &fresh))
        return false; /* being written: what is here holds until the next look */
    c->seen = sequence;
    c->record = fresh;
    refresh_all(c);
    return true;
}

const struct steering *choices_steering(const struct choices *c)
{
    CHECK_OBJ(c, CHOICES_MAGIC);
    return &c->steering;
}

bool choices_are_decided(const struct choices *c)
{
    CHECK_OBJ(c, CHOICES_MAGIC);
    return c->record.serial != 0;
}

static size_t candidate_count(const struct zone_conf_set *s)
{
    return s->steering_id != 0 ? s->record->answer_count : 1;
}

static const char *candidate_name(const struct zone_conf_set *s, size_t i)
{
    return s->steering_id != 0 ? s->record->answers[i].cname : s->record->alias;
}

void choices_each_alias(struct choices *c, choices_alias_fn *fn, void *arg)
{
    CHECK_OBJ(c, CHOICES_MAGIC);
    for (size_t n = 0; n < c->zone->set_count; n++) {
        const struct zone_conf_set *s = &c->zone->sets[n];
        for (size_t i = 0; i < candidate_count(s); i++) {
            const struct zone_node *node;
            struct dns_name name;
            const char *text = candidate_name(s, i);
            if (text[0] != '\0' && dns_name_of(&name, text) == NULL && !inner_find(c->zone->zone, &name, &node))
                fn(arg, &name, &c->aliases[n][i]);
        }
    }
}

static void find_inner(struct choices *c)
{
    for (size_t n = 0; n < c->zone->set_count; n++) {
        const struct zone_conf_set *s = &c->zone->sets[n];
        for (size_t i = 0; i < candidate_count(s); i++) {
            const struct zone_node *node = NULL;
            struct dns_name name;
            const char *text = candidate_name(s, i);
            if (text[0] == '\0' || dns_name_of(&name, text) != NULL || !inner_find(c->zone->zone, &name, &node))
                continue;
            c->inner = mem_realloc(c->inner, (c->inner_count + 1) * sizeof *c->inner);
            c->inner[c->inner_count++] = (struct inner){.node = node, .place = &c->aliases[n][i]};
        }
    }
}

/* ---- life ---- */

static void make_set(struct choices *c, size_t number)
{
    const struct zone_conf_set *s = &c->zone->sets[number];
    struct steering_set *set = &c->sets[number];
    const bool is_steered = s->steering_id != 0;
    bool has_names = !is_steered;

    for (size_t i = 0; is_steered && i < s->record->answer_count; i++) {
        c->weights[number][i] = weight_of(&s->record->answers[i]);
        has_names = has_names || candidate_name(s, i)[0] != '\0';
    }
    set->weights = is_steered && s->record->steer == STEER_WEIGHTED ? c->weights[number] : NULL;
    if (has_names)
        c->aliases[number] = mem_alloc_array(candidate_count(s), sizeof **c->aliases);
    set->aliases = c->aliases[number];
}

struct choices *choices_create(const struct zone_conf *zone, const struct steering_table *table, uint32_t serial)
{
    const size_t room = zone->set_count > 0 ? zone->set_count : 1;
    struct choices *c;

    OBJ_NEW(c, CHOICES_MAGIC);
    c->zone = zone;
    c->table = table;
    c->serial = serial;
    c->sets = mem_alloc_array(room, sizeof *c->sets);
    c->weights = mem_alloc_array(room, sizeof *c->weights);
    c->aliases = mem_alloc_array(room, sizeof(struct steering_alias *));
    c->steering.sets = c->sets;
    c->steering.set_count = (uint32_t)zone->set_count;
    for (size_t i = 0; i < zone->set_count; i++)
        make_set(c, i);
    find_inner(c);
    if (!choices_refresh(c))
        refresh_all(c);
    return c;
}

void choices_destroy(struct choices **cp)
{
    struct choices *c = *cp;

    CHECK_OBJ(c, CHOICES_MAGIC);
    for (size_t i = 0; i < c->zone->set_count; i++)
        mem_free(c->aliases[i]);
    mem_free(c->aliases);
    mem_free(c->inner);
    mem_free(c->weights);
    mem_free(c->sets);
    OBJ_FREE(cp, CHOICES_MAGIC);
}
