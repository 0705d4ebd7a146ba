/* Alone, until the exchange is there. */
#include "health/checker/fleet.h"

#include "base/mem.h"

#define FLEET_MAGIC 0xf1ee7a05u

struct fleet {
    uint32_t magic;
    struct loop *loop;
    struct conf *conf;
};

struct fleet *fleet_create(struct loop *l, const struct birth *b, fleet_news_fn *on_news, void *arg)
{
    struct fleet *f;
    (void)b;
    (void)on_news;
    (void)arg;
    OBJ_NEW(f, FLEET_MAGIC);
    f->loop = l;
    return f;
}

void fleet_destroy(struct fleet **fp)
{
    CHECK_OBJ(*fp, FLEET_MAGIC);
    if ((*fp)->conf != NULL)
        conf_unref(&(*fp)->conf);
    OBJ_FREE(fp, FLEET_MAGIC);
}

void fleet_take_conf(struct fleet *f, const struct conf *c, bool may_lead, uint64_t highest_term)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    (void)may_lead;
    (void)highest_term;
    struct conf *before = f->conf;
    f->conf = conf_ref(c);
    if (before != NULL)
        conf_unref(&before);
}

void fleet_say(struct fleet *f, const struct view *mine, bool is_urgent)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    (void)mine;
    (void)is_urgent;
}

void fleet_decide(struct fleet *f, const struct decision *d)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    (void)d;
}

void fleet_hurry(struct fleet *f, bool is_hurried)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    (void)is_hurried;
}

bool fleet_is_configured(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return f->conf != NULL && f->conf->quorum.redis.text != NULL && *f->conf->quorum.redis.text != '\0';
}

bool fleet_is_connected(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return false;
}

bool fleet_leads(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return false;
}

uint64_t fleet_term(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return 0;
}

uint64_t fleet_highest_term(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return 0;
}

const char *fleet_leader(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return "";
}

const struct decision *fleet_decision(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return NULL;
}

size_t fleet_view_count(const struct fleet *f)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    return 0;
}

const struct view *fleet_view(const struct fleet *f, size_t i, int64_t *age_ms)
{
    CHECK_OBJ(f, FLEET_MAGIC);
    (void)i;
    (void)age_ms;
    return NULL;
}
