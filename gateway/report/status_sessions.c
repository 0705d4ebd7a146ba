/* What /status says of a route's WebSockets that outlive their servers. */
#include "gateway/report/status_priv.h"

/* The bound under which a share of all recoveries took place; -1: the longest bound does not hold for so many. */
static int64_t recovery_bound_ms(const struct stats *s, int slot, uint64_t count, uint32_t percent)
{
    uint64_t below = 0;

    for (uint32_t i = 0; i < STATS_RECOVERY_LONGER; i++) {
        below += stats_sum_recovery(s, slot, i);
        if (below * 100 >= count * percent)
            return stats_recovery_bounds_ms[i];
    }
    return -1;
}

static void add_bound(struct json *j, const char *key, int64_t bound_ms)
{
    if (bound_ms < 0)
        json_str(j, key, NULL);
    else
        json_int(j, key, bound_ms);
}

static void add_recovery(struct json *j, const struct stats *s, int slot)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i <= STATS_RECOVERY_LONGER; i++)
        count += stats_sum_recovery(s, slot, i);
    json_object_begin(j, "recovery");
    json_uint(j, "count", count);
    if (count > 0) {
        json_uint(j, "mean_ms", stats_sum_recovery(s, slot, STATS_RECOVERY_SUM_MS) / count);
        add_bound(j, "p50_within_ms", recovery_bound_ms(s, slot, count, 50));
        add_bound(j, "p99_within_ms", recovery_bound_ms(s, slot, count, 99));
    }
    json_object_end(j);
}

void status_add_sessions(struct json *j, const struct report_view *v, const struct conf_route *r, int slot)
{
    if (r->protocol == WS_PROTOCOL_OPAQUE)
        return;
    json_object_begin(j, "sessions");
    json_str(j, "protocol", conf_ws_protocol_text(r->protocol));
    for (int i = 0; i < STAT_ROUTE_COUNT; i++)
        if (stat_route_is_session((enum stat_route)i))
            status_add_stat(j, &stat_route_info[i], stat_route_info[i].kind == STAT_GAUGE ? "sessions_" : "session_",
                            slot < 0 ? 0 : stats_sum_route(v->stats, slot, (enum stat_route)i));
    if (slot >= 0)
        add_recovery(j, v->stats, slot);
    json_object_end(j);
}
