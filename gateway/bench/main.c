/* tidegate-bench: WebSocket load, and the echo server that takes it. `tidegate-bench` alone prints the options. */
#include <stdlib.h>
#include <sysexits.h>

#include "base/mem.h"
#include "gateway/bench/load.h"
#include "gateway/bench/serve.h"

int main(int argc, char **argv)
{
    struct options o;
    if (!options_parse(&o, argc, argv))
        return EX_USAGE;
    if (o.mode == MODE_SERVE)
        return serve_run(&o) ? EXIT_SUCCESS : EX_OSERR;

    struct result *r = mem_alloc(sizeof *r);
    const bool has_run = load_run(&o, r);
    if (has_run)
        result_print(r, o.is_json);
    const bool is_clean = has_run && r->failed == 0 && r->dropped == 0;
    mem_free(r);
    return is_clean ? EXIT_SUCCESS : has_run ? EXIT_FAILURE : EX_OSERR;
}
