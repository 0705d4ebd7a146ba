/* Votes by slot; see the header. Names are compared when a view or a configuration comes, not when votes are counted:
 * that happens after every probe. */
#include "health/checker/ballot.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "health/checker/schedule.h"

#define BALLOT_MAGIC 0xba1107e5u

struct ballot_server { /* of the configuration */
    const char *name;  /* of the slot; borrowed from it */
    int slot;
    uint32_t interval_ms; /* between two probes that contradict what is known; 0: it is not checked */
};

struct ballot_peer {
    char node[STEERING_NODE_BYTES];
    char region[STEERING_NODE_BYTES];
    int64_t heard_wall_ms;
    bool is_cut_off;
    bool is_gateway;
    bool is_there[SLOTS_SERVERS]; /* it knows the server of this slot */
    struct quorum_vote vote[SLOTS_SERVERS];
};

struct ballot {
    uint32_t magic;
    const struct verdict_table *verdicts;
    const struct slots *slots;
    size_t server_count;
    struct ballot_server servers[SLOTS_SERVERS];
    bool is_cut_off;
    /* by slot */
    bool is_borne_out[SLOTS_SERVERS]; /* a probe of this run found what the table says */
    enum verdict_state believed[SLOTS_SERVERS];
    bool is_decided[SLOTS_SERVERS]; /* it came by ballot_believe() */
    struct quorum_vote own[SLOTS_SERVERS];
    struct quorum_verdict verdict[SLOTS_SERVERS];
    uint8_t says[SLOTS_SERVERS];
    bool is_disputed;
    size_t peer_count;
    struct ballot_peer peers[STEERING_PEERS_MAX];
};

/* ---- what comes in ---- */

static void add_server(struct ballot *b, const struct conf_server *s)
{
    const int slot = slots_find(b->slots, SLOT_SERVER, s->slot_name);

    if (slot < 0 || b->server_count == SLOTS_SERVERS)
        return;
    const struct conf_check *c = &s->check;
    const struct schedule timing = {
        .interval_ms = c->interval_ms, .undecided_ms = c->interval_undecided_ms, .jitter_percent = c->jitter_percent};
    const int64_t interval_ms = c->type == CHECK_NONE ? 0 : schedule_undecided_least_ms(&timing);
    b->servers[b->server_count++] =
        (struct ballot_server){.name = s->slot_name,
                               .slot = slot,
                               .interval_ms = interval_ms < UINT32_MAX ? (uint32_t)interval_ms : UINT32_MAX};
}

/* A slot that has another owner now knows nothing of the one before. */
static void forget_changed(struct ballot *b, char (*before)[SLOTS_NAME_BYTES])
{
    bool is_kept[SLOTS_SERVERS] = {false};

    for (size_t i = 0; i < b->server_count; i++)
        is_kept[b->servers[i].slot] = strcmp(before[b->servers[i].slot], b->servers[i].name) == 0;
    for (size_t slot = 0; slot < SLOTS_SERVERS; slot++) {
        b->is_borne_out[slot] = b->is_borne_out[slot] && is_kept[slot];
        b->says[slot] = is_kept[slot] ? b->says[slot] : 0;
    }
}

void ballot_take_conf(struct ballot *b, const struct conf *c)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    char(*before)[SLOTS_NAME_BYTES] = mem_alloc_array(SLOTS_SERVERS, sizeof *before);
    for (size_t i = 0; i < b->server_count; i++)
        snprintf(before[b->servers[i].slot], SLOTS_NAME_BYTES, "%s", b->servers[i].name);
    b->server_count = 0;
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t k = 0; k < c->pools[i].server_count; k++)
            add_server(b, &c->pools[i].servers[k]);
    for (size_t i = 0; i < c->target_count; i++)
        add_server(b, &c->targets[i]);
    forget_changed(b, before);
    mem_free(before);
    memset(b->is_decided, 0, sizeof b->is_decided);
    memset(b->believed, 0, sizeof b->believed);
    memset(b->own, 0, sizeof b->own);
    memset(b->verdict, 0, sizeof b->verdict);
    b->peer_count = 0;
}

void ballot_believe(struct ballot *b, const struct decision *d)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    memset(b->is_decided, 0, sizeof b->is_decided);
    for (size_t i = 0; i < b->server_count; i++) {
        for (size_t k = 0; k < d->state_count; k++) {
            const struct decision_state *s = &d->states[(i + k) % d->state_count]; /* mostly in the same order */
            if (strcmp(s->name, b->servers[i].name) != 0)
                continue;
            b->believed[b->servers[i].slot] = s->state;
            b->is_decided[b->servers[i].slot] = true;
            break;
        }
    }
}

void ballot_probed(struct ballot *b, int slot)
{
    struct verdict_detail d;

    CHECK_OBJ(b, BALLOT_MAGIC);
    ASSERT(slot >= 0 && slot < (int)SLOTS_SERVERS);
    if (b->is_borne_out[slot] || !verdict_read_detail(b->verdicts, slot, &d))
        return;
    b->is_borne_out[slot] =
        (d.probed == VERDICT_UP && d.failures_in_row == 0) || (d.probed == VERDICT_DOWN && d.successes_in_row == 0);
}

/* What one who is cut off has to say: nothing that came of probes. */
static void take_out_probes(struct quorum_vote *vote)
{
    if (!vote->is_forced)
        vote->state = VERDICT_UNKNOWN;
}

static void hear_peer(struct ballot *b, struct ballot_peer *p, const struct view *v)
{
    memcpy(p->node, v->node, sizeof p->node);
    memcpy(p->region, v->region, sizeof p->region);
    p->is_cut_off = v->is_cut_off;
    p->is_gateway = v->is_gateway;
    memset(p->is_there, 0, sizeof p->is_there);
    for (size_t i = 0; i < b->server_count; i++) {
        const int slot = b->servers[i].slot;
        for (size_t k = 0; k < v->count; k++) {
            const struct view_row *row = &v->rows[(i + k) % v->count]; /* mostly in the same order */
            if (strcmp(row->name, b->servers[i].name) != 0)
                continue;
            p->is_there[slot] = true;
            p->vote[slot] = row->vote;
            if (v->is_cut_off)
                take_out_probes(&p->vote[slot]);
            break;
        }
    }
}

void ballot_hear(struct ballot *b, const struct fleet *f, int64_t wall_ms)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    const size_t count = fleet_view_count(f);
    b->peer_count = 0;
    for (size_t i = 0; i < count && b->peer_count < STEERING_PEERS_MAX; i++) {
        int64_t age_ms = 0;
        const struct view *v = fleet_view(f, i, &age_ms);
        struct ballot_peer *p = &b->peers[b->peer_count++];
        hear_peer(b, p, v);
        p->heard_wall_ms = wall_ms - age_ms;
    }
}

void ballot_look(struct ballot *b)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    b->is_cut_off = atomic_load_explicit(&b->verdicts->cut_off_wall_ms, memory_order_relaxed) != 0;
    for (size_t i = 0; i < b->server_count; i++) {
        const int slot = b->servers[i].slot;
        const struct verdict v = verdict_read(b->verdicts, slot);
        b->own[slot] = (struct quorum_vote){.state = v.state,
                                            .is_forced = v.is_forced,
                                            .is_draining = v.is_draining,
                                            .checks_left = v.checks_left,
                                            .interval_ms = b->servers[i].interval_ms};
        const bool is_memory = !b->is_borne_out[slot] && b->believed[slot] != VERDICT_UNKNOWN;
        if (!is_memory || v.is_forced || b->servers[i].interval_ms == 0)
            continue;
        b->own[slot].state = VERDICT_UNKNOWN;
        b->own[slot].checks_left = 0; /* the next probe may bear it out, against what was decided */
    }
}

/* ---- counting ---- */

static size_t votes_about(const struct ballot *b, int slot, struct quorum_vote votes[1 + STEERING_PEERS_MAX])
{
    size_t count = 0;

    votes[count] = b->own[slot];
    if (b->is_cut_off)
        take_out_probes(&votes[count]);
    count++;
    for (size_t i = 0; i < b->peer_count; i++)
        if (b->peers[i].is_there[slot])
            votes[count++] = b->peers[i].vote[slot];
    return count;
}

static uint8_t say(enum verdict_state state, bool is_forced, bool is_draining)
{
    return (uint8_t)((unsigned)state | (is_forced ? STEERING_SAYS_FORCED : 0u) |
                     (is_draining ? STEERING_SAYS_DRAINING : 0u));
}

static void count_about(struct ballot *b, int slot, enum ballot_rule rule)
{
    struct quorum_vote votes[1 + STEERING_PEERS_MAX];
    const size_t count = votes_about(b, slot, votes);
    struct quorum_verdict v = quorum_decide(votes, count, b->believed[slot]);

    if (rule == BALLOT_STANDS && b->is_decided[slot] && v.state != b->believed[slot]) {
        v.state = b->believed[slot];
        v.is_forced = false;
        v.checks_left = 0; /* who decides may see tomorrow what we see today */
        v.interval_ms = 1;
    }
    b->believed[slot] = v.state;
    b->verdict[slot] = v;
    b->says[slot] = say(v.state, v.is_forced, v.is_draining);
    for (size_t i = 0; i < count; i++)
        b->is_disputed |= votes[i].state != VERDICT_UNKNOWN && votes[i].state != v.state;
}

void ballot_count(struct ballot *b, enum ballot_rule rule)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    b->is_disputed = false;
    for (size_t i = 0; i < b->server_count; i++)
        count_about(b, b->servers[i].slot, rule);
}

const struct quorum_verdict *ballot_verdicts(const struct ballot *b)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    return b->verdict;
}

const uint8_t *ballot_says(const struct ballot *b)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    return b->says;
}

uint32_t ballot_voter_count(const struct ballot *b)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    uint32_t count = b->is_cut_off ? 0 : 1;
    for (size_t i = 0; i < b->peer_count; i++)
        count += b->peers[i].is_cut_off ? 0 : 1;
    return count;
}

bool ballot_has_word(const struct ballot *b, int slot)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    return slot >= 0 && (b->own[slot].is_forced || b->own[slot].is_draining);
}

bool ballot_is_disputed(const struct ballot *b)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    return b->is_disputed;
}

/* ---- what goes out ---- */

void ballot_states(const struct ballot *b, struct decision *d)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    d->state_count = 0;
    for (size_t i = 0; i < b->server_count; i++) {
        struct decision_state *s = &d->states[d->state_count++];
        snprintf(s->name, sizeof s->name, "%s", b->servers[i].name);
        s->state = b->believed[b->servers[i].slot];
    }
}

void ballot_view(const struct ballot *b, struct view *v)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    v->is_cut_off = b->is_cut_off;
    v->count = 0;
    for (size_t i = 0; i < b->server_count; i++) {
        struct view_row *row = &v->rows[v->count++];
        snprintf(row->name, sizeof row->name, "%s", b->servers[i].name);
        row->vote = b->own[b->servers[i].slot];
    }
}

void ballot_tell(const struct ballot *b, struct steering_fleet *f)
{
    CHECK_OBJ(b, BALLOT_MAGIC);
    memcpy(f->effective, b->says, sizeof f->effective);
    f->peer_count = (uint32_t)b->peer_count;
    for (size_t i = 0; i < b->peer_count; i++) {
        const struct ballot_peer *p = &b->peers[i];
        struct steering_peer *to = &f->peers[i];
        memcpy(to->node, p->node, sizeof to->node);
        memcpy(to->region, p->region, sizeof to->region);
        to->heard_wall_ms = p->heard_wall_ms;
        to->is_cut_off = p->is_cut_off;
        to->is_gateway = p->is_gateway;
        for (size_t slot = 0; slot < SLOTS_SERVERS; slot++)
            if (p->is_there[slot])
                to->says[slot] = say(p->vote[slot].state, p->vote[slot].is_forced, p->vote[slot].is_draining);
    }
}

/* ---- life ---- */

struct ballot *ballot_create(const struct verdict_table *verdicts, const struct slots *slots)
{
    struct ballot *b;

    OBJ_NEW(b, BALLOT_MAGIC);
    b->verdicts = verdicts;
    b->slots = slots;
    return b;
}

void ballot_destroy(struct ballot **bp)
{
    OBJ_FREE(bp, BALLOT_MAGIC);
}
