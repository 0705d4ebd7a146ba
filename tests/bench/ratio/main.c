/* tidegate-ratio: hit ratios of L1 beside plain LRU on the same made-up traces, as a table. No options. */
#include <stdio.h>

#include "tests/bench/ratio/play.h"

static const unsigned permilles[] = {5, 20, 100}; /* of the bytes of all answers */

int main(void)
{
    printf("| %-35s |  cache | LRU hits | Tidegate hits | misses of LRU's |\n", "trace");
    printf("|-------------------------------------|-------:|---------:|--------------:|----------------:|\n");
    for (size_t i = 0; i < trace_count; i++) {
        const uint64_t all_bytes = trace_all_bytes(&traces[i]);
        for (size_t s = 0; s < sizeof permilles / sizeof permilles[0]; s++) {
            struct played p;
            play(&traces[i], (size_t)(all_bytes / 1000 * permilles[s]), &p);
            const double all = (double)p.request_count;
            const double misses = (double)(p.request_count - p.hit_count);
            const double lru_misses = (double)(p.request_count - p.lru_hit_count);
            printf("| %-35s | %4.1f %% | %6.1f %% | %11.1f %% | %14.2fx |\n", traces[i].name, permilles[s] / 10.0,
                   (double)p.lru_hit_count / all * 100, (double)p.hit_count / all * 100, misses / lru_misses);
        }
    }
    return 0;
}
