/* Targets, DNS and the quorum: rules over several keys, and what a file must have to be of any use. */
#include <string.h>

#include "base/mem.h"
#include "conf/build.h"

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

/* Two exchanges may fail before anybody is thought gone, and one is answered or given up before the next. */
static void check_quorum(struct build *b)
{
    const struct conf_quorum *q = &b->conf->quorum;
    if (q->redis.text[0] == '\0' || build_is_broken(b, &q->interval_ms) || build_is_broken(b, &q->lifetime_ms))
        return;
    if (q->interval_ms > q->lifetime_ms / 3)
        build_complain(b, b->conf, &q->interval_ms, "quorum.interval",
                       "is too long beside the lifetime, expected a third of that at most");
}

void check_dns(struct build *b)
{
    check_quorum(b);
    check_parts(b);
}
