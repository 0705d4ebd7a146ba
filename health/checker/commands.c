/* Spawning and reaping; see the header. The end of a process is an event on its pidfd: no signal handler, which others
 * in the process might want, and no pid that could meanwhile be another's. */
#include "health/checker/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define COMMANDS_MAGIC 0xc0ffa4d1u
#define COMMAND_MAGIC  0xc0ffa4d2u

struct command {
    uint32_t magic;
    struct list link;
    struct commands *commands;
    pid_t pid;
    int pidfd;
    struct io io;
    command_ended_fn *fn; /* NULL: nobody waits for it any more */
    void *arg;
};

struct commands {
    uint32_t magic;
    struct loop *loop;
    struct list running;
    size_t count;
};

static void command_free(struct command *c)
{
    io_fini(&c->io);
    close(c->pidfd);
    list_unlink(&c->link);
    c->commands->count--;
    OBJ_FREE(&c, COMMAND_MAGIC);
}

static void on_ended(void *arg, unsigned events)
{
    struct command *c = arg;
    int status = 0;

    (void)events;
    CHECK_OBJ(c, COMMAND_MAGIC);
    if (waitpid(c->pid, &status, WNOHANG) == 0)
        return;
    command_ended_fn *fn = c->fn;
    void *fn_arg = c->arg;
    command_free(c);
    if (fn != NULL)
        fn(fn_arg, status);
}

/* ---- starting ---- */

static enum err spawn(pid_t *pid, char *const argv[], char *const envp[])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t all, none;
    int rc = posix_spawn_file_actions_init(&files);

    if (rc != 0)
        return err_from_errno(rc);
    rc = posix_spawnattr_init(&attr);
    if (rc != 0) {
        posix_spawn_file_actions_destroy(&files);
        return err_from_errno(rc);
    }
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setsigmask(&attr, &none);
    for (int fd = 0; fd <= STDERR_FILENO && rc == 0; fd++)
        rc = posix_spawn_file_actions_addopen(&files, fd, "/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    if (rc == 0)
        rc = posix_spawn(pid, argv[0], &files, &attr, argv, envp);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return err_from_errno(rc);
}

struct command *command_start(struct commands *cs, char *const argv[], char *const envp[], command_ended_fn *fn,
                              void *arg, enum err *err)
{
    struct command *c;
    pid_t pid = 0;

    CHECK_OBJ(cs, COMMANDS_MAGIC);
    *err = cs->count == COMMANDS_MAX ? ERR_FULL : spawn(&pid, argv, envp);
    if (*err != ERR_NONE)
        return NULL;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 || fcntl(pidfd, F_SETFD, FD_CLOEXEC) != 0) {
        *err = err_from_errno(errno);
        kill(-pid, SIGKILL);
        (void)waitpid(pid, NULL, 0); /* killed before it did anything: no wait worth the name */
        return NULL;
    }
    OBJ_NEW(c, COMMAND_MAGIC);
    c->commands = cs;
    c->pid = pid;
    c->pidfd = pidfd;
    c->fn = fn;
    c->arg = arg;
    list_init(&c->link);
    list_append(&cs->running, &c->link);
    cs->count++;
    io_init(&c->io, cs->loop, pidfd, on_ended, c);
    io_want(&c->io, IO_READ);
    return c;
}

void command_cancel(struct command **cp)
{
    struct command *c = *cp;

    CHECK_OBJ(c, COMMAND_MAGIC);
    *cp = NULL;
    c->fn = NULL;
    kill(-c->pid, SIGKILL);
}

/* ---- life ---- */

struct commands *commands_create(struct loop *l)
{
    struct commands *c;

    OBJ_NEW(c, COMMANDS_MAGIC);
    c->loop = l;
    list_init(&c->running);
    return c;
}

void commands_destroy(struct commands **cp)
{
    struct commands *cs = *cp;

    CHECK_OBJ(cs, COMMANDS_MAGIC);
    LIST_EACH (it, &cs->running) {
        struct command *c = LIST_ENTRY(it, struct command, link);

        kill(-c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, WNOHANG); /* what is not dead yet is inherited, and collected, by init */
        command_free(c);
    }
    OBJ_FREE(cp, COMMANDS_MAGIC);
}
