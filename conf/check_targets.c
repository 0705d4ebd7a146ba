/* Targets, those who judge them together, and what a file must have to be of any use: rules over several keys. */
#include <string.h>

#include "base/mem.h"
#include "base/slots.h"
#include "conf/build.h"
#include "conf/value.h"

#define SHOWN_MAX          8u
#define NAMES_BYTES        600u
#define LIFETIME_INTERVALS 3 /* two exchanges may fail before anybody is thought gone */

/* ---- the file as a whole ---- */

/* A gateway listens, has routes, and pools behind them. DNS needs none of it, nor does a checker that tells others
 * what it sees; but whoever has one of the first two means a gateway. */
static void check_parts(struct build *b)
{
    const struct conf *c = b->conf;
    const bool judges = c->quorum.redis.text[0] != '\0' && (c->target_count > 0 || c->pool_count > 0);
    const bool is_gateway = c->listen_count > 0 || c->route_count > 0 || !(c->dns.zone[0] != '\0' || judges);
    if (!is_gateway || build_is_broken(b, &c->dns.zone) || build_is_broken(b, &c->quorum.redis.text))
        return;
    build_missing(b, c, SECTION_ROOT, &c->listen, "listen");
    build_missing(b, c, SECTION_ROOT, &c->pools, "pools");
    build_missing(b, c, SECTION_ROOT, &c->routes, "routes");
}

/* ---- names of what is checked ---- */

const char *check_slot_text(const char *slot_name)
{
    const size_t len = sizeof CONF_TARGETS_POOL;
    return strncmp(slot_name, CONF_TARGETS_POOL "/", len) == 0 ? slot_name + len : slot_name;
}

struct nearest {
    const char *text;
    size_t distance;
    const char *wanted;
    struct strbuf *all;
    size_t count;
};

static void consider(struct nearest *n, const char *slot_name)
{
    const char *text = check_slot_text(slot_name);
    const size_t distance = value_distance(n->wanted, text, n->distance - 1);
    if (distance < n->distance) {
        n->distance = distance;
        n->text = text;
    }
    if (n->count++ < SHOWN_MAX)
        strbuf_printf(n->all, "%s%s", n->all->len > 0 ? ", " : "", text);
}

/* To stand behind "expected". */
static const char *instead(struct build *b, const char *wanted)
{
    const struct conf *c = b->conf;
    const size_t len = strlen(wanted);
    struct strbuf all;
    strbuf_init(&all, NAMES_BYTES);
    struct nearest n = {.wanted = wanted,
                        .distance = (len <= 2   ? 0
                                     : len <= 4 ? 1
                                     : len <= 7 ? 2
                                                : 3) +
                                    1,
                        .all = &all};
    for (size_t i = 0; i < c->target_count; i++)
        consider(&n, c->targets[i].slot_name);
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++)
            consider(&n, c->pools[i].servers[j].slot_name);
    const char *text = n.text != NULL        ? arena_printf(b->scratch, "%s?", n.text)
                       : n.count == 0        ? "one that targets or pools have"
                       : n.count > SHOWN_MAX ? arena_printf(b->scratch, "one of %s, ...", all.data)
                                             : arena_printf(b->scratch, "one of %s", all.data);
    strbuf_fini(&all);
    return text;
}

void check_slot(struct build *b, const void *section, const char *const *member, const char *key)
{
    const char *text = check_slot_text(*member);
    if ((*member)[0] != '\0' && conf_find_server(b->conf, *member) == NULL)
        build_complain(b, section, member, key, "%s is neither a target nor a pool/server, expected %s",
                       complaint_quote(b->complaints, text), instead(b, text));
}

/* ---- targets ---- */

static void check_asked(struct build *b, const struct conf_server *t)
{
    const struct conf_check *c = &t->check;
    const bool asks = c->type == CHECK_HTTP || c->type == CHECK_WEBSOCKET;
    if (build_is_broken(b, &c->url) || build_is_broken(b, &c->type))
        return;
    if (c->url.scheme == SCHEME_NONE && c->type != CHECK_NONE)
        build_complain(b, c, NULL, "url", "is missing, expected what to ask, such as https://192.0.2.10/health");
    else if (c->url.scheme == SCHEME_TCP && asks)
        build_complain(b, c, &c->url, "url",
                       "says nothing of HTTP, expected https:// or http:// with a check of this type");
    else if (c->url.path[0] != '\0' && strcmp(c->url.path, "/") != 0 && !asks)
        build_complain(b, c, &c->url, "url",
                       "has a path, which has no use in a check of this type, expected type: http or type: websocket");
}

static void check_targets(struct build *b)
{
    const struct conf *c = b->conf;
    size_t count = c->target_count;
    for (size_t i = 0; i < c->target_count; i++) {
        const struct conf_server *t = &c->targets[i];
        check_probe(b, t, &t->check, NULL);
        check_asked(b, t);
        if (t->url.scheme != SCHEME_NONE)
            check_client_tls(b, t, &t->tls, t->url.is_tls, t->url.text, "a check.url of https:// or wss://");
    }
    for (size_t i = 0; i < c->pool_count; i++) {
        count += c->pools[i].server_count;
        if (strcmp(c->pools[i].name, CONF_TARGETS_POOL) == 0)
            build_complain(b, &c->pools[i], NULL, "",
                           "is the name under which targets are known, expected another name for a pool");
    }
    if (c->target_count > 0 && count > SLOTS_SERVERS)
        build_complain(b, c, &c->targets, "targets",
                       "bring the number of targets and servers to %zu, expected at most %u together", count,
                       SLOTS_SERVERS);
}

/* ---- the quorum ---- */

static void check_quorum(struct build *b)
{
    const struct conf_quorum *q = &b->conf->quorum;
    const struct check_use uses[] = {{&q->group, "group", build_is_given(b, &q->group)},
                                     {&q->lifetime_ms, "lifetime", build_is_given(b, &q->lifetime_ms)},
                                     {&q->interval_ms, "interval", build_is_given(b, &q->interval_ms)}};
    check_redis(b, &q->redis);
    if (q->redis.text[0] == '\0' && !build_is_given(b, &q->redis.text) && !build_is_broken(b, &q->redis.text))
        check_unused(b, q, uses, sizeof uses / sizeof uses[0], "redis.url");
    if (q->interval_ms > q->lifetime_ms / LIFETIME_INTERVALS && !build_is_broken(b, &q->lifetime_ms))
        build_complain(b, q, &q->interval_ms, "interval",
                       "is too long beside the lifetime, expected a third of that at most");
}

void check_judges(struct build *b)
{
    check_parts(b);
    if (b->kind.expansion->is_off)
        return; /* sealed: judged before, and everything is written there */
    check_targets(b);
    check_quorum(b);
}
