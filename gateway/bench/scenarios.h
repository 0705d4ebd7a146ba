/* Loads that ship with the program: options as a user would give them, and what others have measured under the same
 * load, so that the report can show theirs and ours side by side. */
#ifndef GATEWAY_BENCH_SCENARIOS_H
#define GATEWAY_BENCH_SCENARIOS_H

#include <stddef.h>

struct scenario_figure {
    const char *title;
    const char *metric; /* key of ours (metrics.h) */
    const char *theirs; /* as they told it */
};

#define SCENARIO_OPTIONS_MAX 32u
#define SCENARIO_FIGURES_MAX 8u

struct scenario {
    const char *name, *summary;
    const char *options[SCENARIO_OPTIONS_MAX];            /* an argument each, NULL behind the last */
    struct scenario_figure figures[SCENARIO_FIGURES_MAX]; /* title NULL behind the last */
};

size_t scenario_count(void);
const struct scenario *scenario_at(size_t i);
const struct scenario *scenario_find(const char *name); /* NULL: none of that name */

#endif
