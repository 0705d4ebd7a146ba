/* Families about WebSockets that outlive their servers, for the routes that have such. All have the route and its pool
 * as labels, so that a pool's figures are sums over its routes. */
#include <stdio.h>
#include <string.h>

#include "gateway/report/metrics_print.h"

#define LE_BYTES 24u

typedef void route_fn(const struct printer *p, const struct conf_route *r, int slot, enum stat_route id);

static void each_route(const struct printer *p, route_fn *print, enum stat_route id)
{
    for (size_t i = 0; i < p->v->conf->route_count; i++) {
        const struct conf_route *r = &p->v->conf->routes[i];

        if (r->protocol != WS_PROTOCOL_OPAQUE && p->a->route_slots[i] >= 0)
            print(p, r, p->a->route_slots[i], id);
    }
}

/* clang-format off */
#define ROUTE_LABELS(p, r) {"route", (r)->name}, {"pool", (p)->v->conf->pools[(r)->pool].name}
/* clang-format on */

static void print_states(const struct printer *p, const struct conf_route *r, int slot, enum stat_route id)
{
    for (id = STAT_ROUTE_SESSIONS_CONNECTED; id <= STAT_ROUTE_SESSIONS_DISCONNECTED; id++)
        metric_cell(p, LABELS(ROUTE_LABELS(p, r), {"state", stat_route_info[id].name + strlen("sessions_")}),
                    STAT_GAUGE, stats_sum_route(p->v->stats, slot, id));
}

static void print_counter(const struct printer *p, const struct conf_route *r, int slot, enum stat_route id)
{
    metric_cell(p, LABELS(ROUTE_LABELS(p, r)), stat_route_info[id].kind, stats_sum_route(p->v->stats, slot, id));
}

/* Buckets count what is at most so long, so each has those before it as well. */
static void print_recovery(const struct printer *p, const struct conf_route *r, int slot, enum stat_route id)
{
    struct printer line = *p;
    uint64_t count = 0;

    (void)id;
    line.family = "session_recovery_seconds_bucket";
    for (uint32_t i = 0; i <= STATS_RECOVERY_LONGER; i++) {
        char le[LE_BYTES] = "+Inf";

        if (i < STATS_RECOVERY_LONGER)
            snprintf(le, sizeof le, "%g", (double)stats_recovery_bounds_ms[i] / 1000.0);
        count += stats_sum_recovery(p->v->stats, slot, i);
        metric_uint(&line, LABELS(ROUTE_LABELS(p, r), {"le", le}), count);
    }
    line.family = "session_recovery_seconds_sum";
    metric_seconds(&line, LABELS(ROUTE_LABELS(p, r)),
                   (int64_t)stats_sum_recovery(p->v->stats, slot, STATS_RECOVERY_SUM_MS));
    line.family = "session_recovery_seconds_count";
    metric_uint(&line, LABELS(ROUTE_LABELS(p, r)), count);
}

void metrics_sessions(struct printer *p)
{
    bool has_sessions = false;

    for (size_t i = 0; i < p->v->conf->route_count; i++)
        has_sessions |= p->v->conf->routes[i].protocol != WS_PROTOCOL_OPAQUE;
    if (!has_sessions)
        return;
    p->family = "sessions";
    metric_head(p, "gauge", "WebSockets that outlive their servers, by what they have of one now");
    each_route(p, print_states, STAT_ROUTE_SESSIONS_CONNECTED);
    for (int i = STAT_ROUTE_SESSIONS_DISCONNECTED + 1; i < STAT_ROUTE_COUNT; i++) {
        if (!stat_route_is_session((enum stat_route)i))
            continue;
        p->family = stat_route_info[i].name;
        metric_head(p, "counter", stat_route_info[i].help);
        each_route(p, print_counter, (enum stat_route)i);
    }
    p->family = "session_recovery_seconds";
    metric_head(p, "histogram", "From the loss of a session's server to the moment another one had everything");
    each_route(p, print_recovery, STAT_ROUTE_SESSIONS_CONNECTED);
}
