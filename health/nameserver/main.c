/* tidegate-dns: authoritative answers that follow the verdicts. Started by tidegate, never by hand. */
#include <signal.h>
#include <sysexits.h>

#include "base/log.h"
#include "health/nameserver/nameserver.h"
#include "health/steering.h"

static void on_term(void *arg, int signo)
{
    (void)signo;
    loop_stop(arg);
}

int main(void)
{
    struct birth birth;
    struct sig term;

    birth_attach(&birth, ROLE_DNS, sizeof(struct health_table));
    struct loop *loop = loop_create();
    birth_drop_privileges(&birth);
    struct nameserver *n = nameserver_create(loop, &birth);
    sig_init(&term, loop, SIGTERM, on_term, loop);
    loop_run(loop);
    sig_fini(&term);
    nameserver_destroy(&n);
    loop_destroy(&loop);
    log_close();
    return EX_OK;
}
