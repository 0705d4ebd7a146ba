/* Theirs are the figures that users of such systems gave for their own load tests; "-" is what they did not tell. What
 * they left open is chosen here: how many hear a message follows from their rates (50 a second become 1,247, so a room
 * has 25), the size of an update from their traffic (47.3 MB for 300,000 updates are 157 bytes each, of which Phoenix
 * takes about a hundred). */
#include "gateway/bench/scenarios.h"

#include <string.h>

static const struct scenario scenarios[] = {
    {
        .name = "subscriptions",
        .summary = "500 users with 10 subscriptions each, 1,000 messages a second; two users share a topic",
        .options = {"--broadcast", "--connections", "500", "--channels", "10", "--members", "2", "--rate", "1000",
                    "--ramp", "5s", "--warm-up", "2", "--seconds", "30"},
        .figures = {{"connections", "opened", "500"},
                    {"sent", "sent_per_second", "1,000/s"},
                    {"heard", "deliveries_per_second", "1,000/s"},
                    {"lost", "lost", "-"},
                    {"p95", "p95_ms", "-"}},
    },
    {
        .name = "updates",
        .summary = "1,000 users, one acknowledged update per second each, 300 s",
        .options = {"--connections", "1000", "--channels", "1", "--members", "1", "--per-connection", "1", "--size",
                    "50", "--ramp", "10s", "--seconds", "300"},
        .figures = {{"mean latency", "mean_ms", "127 ms"},
                    {"messages", "round_trips_per_second", "52.8/s"},
                    {"traffic sent", "bytes_sent", "47.3 MB"},
                    {"success", "success", "99.2 %"}},
    },
    {
        .name = "fan-out",
        .summary = "1,000 connections in rooms of 25, 50 messages a second, so 1,250 heard (theirs: 1,247)",
        .options = {"--broadcast", "--self", "--connections", "1000", "--channels", "1", "--members", "25", "--rate",
                    "50", "--ramp", "10s", "--warm-up", "2", "--seconds", "60", "--query-rate", "20"},
        .figures = {{"connects that succeed", "connect_success", "98.7 %"},
                    {"sent", "sent_per_second", "50/s"},
                    {"heard", "deliveries_per_second", "1,247/s"},
                    {"p95", "p95_ms", "238 ms"},
                    {"errors", "error_rate", "0.12 %"},
                    {"cache hits (--queries)", "cache_hits", "94.7 %"}},
    },
    {
        .name = "failover",
        .summary = "500 sessions that hear something ten times a second, while somebody takes their region away",
        .options = {"--broadcast", "--self", "--reconnect", "--connections", "500", "--channels", "1", "--members",
                    "25", "--rate", "200", "--ramp", "5s", "--warm-up", "1", "--seconds", "30"},
        .figures = {{"longest silence", "longest_gap_ms", "5-10 s"},
                    {"connections lost", "dropped", "-"},
                    {"messages lost", "lost", "-"}},
    },
};

size_t scenario_count(void)
{
    return sizeof scenarios / sizeof scenarios[0];
}

const struct scenario *scenario_at(size_t i)
{
    return &scenarios[i];
}

const struct scenario *scenario_find(const char *name)
{
    for (size_t i = 0; i < scenario_count(); i++) {
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    }
    return NULL;
}
