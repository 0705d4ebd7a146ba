/* The fleet of health/checker/fleet.h without a Redis: what is told stands in one place in memory, and whoever reaches
 * it sees all of it at once. A test says who reaches it and who leads. Linked instead of health/checker/fleet.c. */
#ifndef TESTS_REPLAY_FAKE_FLEET_H
#define TESTS_REPLAY_FAKE_FLEET_H

#include <string.h>

#include "base/mem.h"
#include "health/checker/fleet.h"

#define FAKE_NODES 4

struct fake_shared {
    struct fleet *member[FAKE_NODES]; /* NULL: not there */
    struct fleet *leader;             /* NULL: nobody */
    uint64_t term;                    /* of the last lease */
    bool has_decision;
    struct decision decision;
    bool is_news; /* somebody told something the others have not looked at */
};

/* What a test hands over as the birth of a node. */
struct fake_birth {
    struct birth birth; /* first */
    struct fake_shared *shared;
};

struct fleet {
    struct fake_shared *shared;
    fleet_news_fn *on_news;
    void *arg;
    struct conf *conf;
    bool is_reached; /* by this node; a test says so */
    bool has_said, may_lead, is_hurried, was_urgent;
    uint64_t highest_term;
    struct view said;
};

struct fleet *fleet_create(struct loop *l, const struct birth *b, fleet_news_fn *on_news, void *arg)
{
    struct fleet *f = mem_alloc(sizeof *f);
    (void)l;
    f->shared = ((const struct fake_birth *)(const void *)b)->shared;
    f->on_news = on_news;
    f->arg = arg;
    for (size_t i = 0; i < FAKE_NODES; i++)
        if (f->shared->member[i] == NULL) {
            f->shared->member[i] = f;
            break;
        }
    return f;
}

void fleet_destroy(struct fleet **fp)
{
    struct fleet *f = *fp;
    for (size_t i = 0; i < FAKE_NODES; i++)
        if (f->shared->member[i] == f)
            f->shared->member[i] = NULL;
    if (f->shared->leader == f)
        f->shared->leader = NULL;
    if (f->conf != NULL)
        conf_unref(&f->conf);
    mem_free(f);
    *fp = NULL;
}

void fleet_take_conf(struct fleet *f, const struct conf *c, bool may_lead, uint64_t highest_term)
{
    struct conf *before = f->conf;
    f->conf = conf_ref(c);
    if (before != NULL)
        conf_unref(&before);
    f->may_lead = may_lead;
    f->highest_term = highest_term;
}

void fleet_say(struct fleet *f, const struct view *mine, bool is_urgent)
{
    memcpy(&f->said, mine, sizeof *mine);
    f->has_said = true;
    f->was_urgent = is_urgent;
    f->shared->is_news = true;
}

void fleet_decide(struct fleet *f, const struct decision *d)
{
    if (!f->is_reached || d->term != f->shared->term)
        return;
    memcpy(&f->shared->decision, d, sizeof *d);
    f->shared->has_decision = true;
    f->shared->is_news = true;
}

void fleet_hurry(struct fleet *f, bool is_hurried)
{
    f->is_hurried = is_hurried;
}

bool fleet_is_configured(const struct fleet *f)
{
    return f->conf != NULL && f->conf->quorum.redis.text[0] != '\0';
}

bool fleet_is_connected(const struct fleet *f)
{
    return fleet_is_configured(f) && f->is_reached;
}

bool fleet_leads(const struct fleet *f)
{
    return f->is_reached && f->shared->leader == f;
}

uint64_t fleet_term(const struct fleet *f)
{
    return fleet_leads(f) ? f->shared->term : 0;
}

const char *fleet_leader(const struct fleet *f)
{
    return f->is_reached && f->shared->leader != NULL ? f->shared->leader->said.node : "";
}

const struct decision *fleet_decision(const struct fleet *f)
{
    const struct fake_shared *w = f->shared;
    if (!f->is_reached || w->leader == NULL || !w->has_decision)
        return NULL;
    return w->decision.term == w->term || (w->leader == f && w->decision.term < w->term) ? &w->decision : NULL;
}

size_t fleet_view_count(const struct fleet *f)
{
    size_t count = 0;
    for (size_t i = 0; f->is_reached && i < FAKE_NODES; i++) {
        const struct fleet *m = f->shared->member[i];
        count += m != NULL && m != f && m->is_reached && m->has_said;
    }
    return count;
}

const struct view *fleet_view(const struct fleet *f, size_t i, int64_t *age_ms)
{
    *age_ms = 7;
    for (size_t k = 0; k < FAKE_NODES; k++) {
        const struct fleet *m = f->shared->member[k];
        if (m != NULL && m != f && m->is_reached && m->has_said && i-- == 0)
            return &m->said;
    }
    return NULL;
}

#endif
