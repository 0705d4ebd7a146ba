/* On a terminal one line is kept up to date; elsewhere each second is a line of its own, for a log. */
#include "gateway/bench/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS 1000000000

void progress_init(struct progress *p, bool is_wanted, int64_t now_ns)
{
    *p = (struct progress){.is_terminal = isatty(STDERR_FILENO) == 1, .start_ns = now_ns, .last_ns = now_ns};
    p->is_shown = is_wanted || p->is_terminal;
}

void progress_tick(struct progress *p, struct result *r, uint32_t open_count, const char *phase, int64_t now_ns)
{
    const int64_t past_ns = now_ns - p->last_ns;
    if (!p->is_shown || past_ns < SECOND_NS)
        return;
    fprintf(
        stderr, "%s%5.0f s %-9s %u open, %.0f sent/s, %.0f received/s, %" PRIu64 " errors, p50 %.2f ms, p99 %.2f ms%s",
        p->is_terminal ? "\r\033[K" : "", (double)(now_ns - p->start_ns) / 1e9, phase, open_count,
        (double)(r->said - p->said) * 1e9 / (double)past_ns, (double)(r->echoes - p->echoes) * 1e9 / (double)past_ns,
        result_error_count(r), (double)histogram_quantile_ns(&r->second, 0.5) / 1e6,
        (double)histogram_quantile_ns(&r->second, 0.99) / 1e6, p->is_terminal ? "" : "\n");
    (void)fflush(stderr);
    p->last_ns = now_ns;
    p->said = r->said;
    p->echoes = r->echoes;
    memset(&r->second, 0, sizeof r->second);
}

void progress_end(struct progress *p)
{
    if (p->is_shown && p->is_terminal)
        fputs("\r\033[K", stderr);
    p->is_shown = false;
}
