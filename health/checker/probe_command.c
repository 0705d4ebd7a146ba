/* The command probe: a program of the operator's decides, by its exit status. It learns from its environment which
 * server it is about. When as many programs run as may, there is no result: that says nothing about the server. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/mem.h"
#include "health/checker/commands.h"
#include "health/checker/probe.h"

#define ENVIRONMENT_BYTES 512u
#define PATH_FALLBACK     "/usr/local/bin:/usr/bin:/bin"

enum { ENV_SERVER = 0, ENV_HOST, ENV_ADDRESS, ENV_PORT, ENV_PATH, ENV_COUNT };

struct probe_command {
    struct probe base;
    struct command *command; /* NULL: none runs */
};

static struct probe_command *command_of(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    ASSERT(p->ops == &probe_command_ops);
    return (struct probe_command *)(void *)p;
}

static void on_ended(void *arg, int status)
{
    struct probe_command *c = arg;
    char detail[64];

    c->command = NULL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        probe_finish(&c->base, ERR_NONE, NULL);
        return;
    }
    snprintf(detail, sizeof detail, WIFEXITED(status) ? "exit status %d" : "ended by signal %d",
             WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    probe_finish(&c->base, ERR_INVALID, detail);
}

static void run(struct probe_command *c, const struct probe_plan *plan)
{
    char env[ENV_COUNT][ENVIRONMENT_BYTES], ip[ADDR_TEXT_BYTES];
    char *envp[ENV_COUNT + 1] = {NULL};
    char *argv[CONF_COMMAND_ARGUMENTS_MAX + 1] = {NULL};
    const char *path = getenv("PATH");
    enum err e;

    snprintf(env[ENV_SERVER], ENVIRONMENT_BYTES, "TIDEGATE_SERVER=%s", plan->server);
    snprintf(env[ENV_HOST], ENVIRONMENT_BYTES, "TIDEGATE_HOST=%s", plan->tls_name);
    snprintf(env[ENV_ADDRESS], ENVIRONMENT_BYTES, "TIDEGATE_ADDRESS=%s", addr_ip_text(&plan->addr, ip, sizeof ip));
    snprintf(env[ENV_PORT], ENVIRONMENT_BYTES, "TIDEGATE_PORT=%u", (unsigned)addr_port(&plan->addr));
    snprintf(env[ENV_PATH], ENVIRONMENT_BYTES, "PATH=%s", path != NULL ? path : PATH_FALLBACK);
    for (size_t i = 0; i < ENV_COUNT; i++)
        envp[i] = env[i];
    for (size_t i = 0; i < plan->check->command_count; i++)
        argv[i] = (char *)(uintptr_t)plan->check->command[i]; /* exec takes no const; nobody writes to it */
    c->command = command_start(plan->commands, argv, envp, on_ended, c, &e);
    if (c->command == NULL) {
        c->base.result.is_void = e == ERR_FULL;
        probe_finish(&c->base, e, e == ERR_FULL ? "too many programs run already" : "program cannot be started");
    }
}

static void start(struct probe *p, const struct probe_plan *plan)
{
    p->waiting_for = "end of the program";
    run(command_of(p), plan);
}

static void stop(struct probe *p)
{
    struct probe_command *c = command_of(p);

    if (c->command != NULL)
        command_cancel(&c->command);
}

const struct probe_ops probe_command_ops = {.size_bytes = sizeof(struct probe_command), .start = start, .stop = stop};
