/* For behaviour that ends a process: runs `fn` in a child with its stderr in a pipe. */
#ifndef TESTS_UNIT_BASE_CHILD_H
#define TESTS_UNIT_BASE_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Returns true when the child was ended by SIGABRT; what it said on stderr is in `out`, NUL-terminated. */
static inline bool child_aborts(void (*fn)(void *arg), void *arg, char *out, size_t cap_bytes)
{
    int fds[2], status = 0;
    size_t len = 0;

    if (pipe(fds) < 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(fds[1], STDERR_FILENO);
        (void)close(fds[0]);
        (void)close(fds[1]);
        (void)alarm(20);
        fn(arg);
        _exit(0);
    }
    (void)close(fds[1]);
    for (ssize_t got; len + 1 < cap_bytes && (got = read(fds[0], out + len, cap_bytes - 1 - len)) > 0;)
        len += (size_t)got;
    out[len] = '\0';
    (void)close(fds[0]);
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
