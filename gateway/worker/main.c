/* tidegate-worker: born from the supervisor, lives in its loop, ends when told or when the supervisor ends. */
#include <signal.h>

#include "base/birth.h"
#include "base/log.h"
#include "gateway/worker/worker.h"
#include "health/steering.h"

int main(void)
{
    struct birth birth;
    birth_attach(&birth, ROLE_WORKER, sizeof(struct health_table));
    (void)signal(SIGPIPE, SIG_IGN);
    struct loop *loop = loop_create();
    struct worker *worker = worker_create(&birth, loop);
    birth_drop_privileges(&birth);
    LOG_DEBUG("worker started");
    loop_run(loop);
    worker_destroy(&worker);
    loop_destroy(&loop);
    log_close();
    return 0;
}
