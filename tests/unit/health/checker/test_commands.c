/* Programs: how they end, that they do end, and that there are never too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "health/checker/commands.h"

#define PATIENCE_MS 5000

struct bench {
    struct loop *loop;
    struct commands *commands;
    unsigned ended_count;
    int status;
};

static char *const no_environment[] = {NULL};

static void on_ended(void *arg, int status)
{
    struct bench *t = arg;
    t->ended_count++;
    t->status = status;
}

static int setup(void **state)
{
    struct bench *t = calloc(1, sizeof *t);
    t->loop = loop_create();
    t->commands = commands_create(t->loop);
    *state = t;
    return 0;
}

/* Nobody is left: neither running nor dead and not collected. */
static int teardown(void **state)
{
    struct bench *t = *state;
    commands_destroy(&t->commands);
    loop_destroy(&t->loop);
    while (waitpid(-1, NULL, 0) > 0) /* those that were killed a moment ago */
        ;
    assert_int_equal(errno, ECHILD);
    free(t);
    return 0;
}

static struct command *start(struct bench *t, const char *script, enum err *e)
{
    char *const argv[] = {(char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c", (char *)(uintptr_t)script, NULL};
    return command_start(t->commands, argv, no_environment, on_ended, t, e);
}

static void run_until_ended(struct bench *t, unsigned count)
{
    const int64_t end_ms = loop_now_ms(t->loop) + PATIENCE_MS;
    while (t->ended_count < count && loop_now_ms(t->loop) < end_ms)
        loop_run_once(t->loop, true);
    assert_int_equal(t->ended_count, count);
}

static void test_exit_status(void **state)
{
    struct bench *t = *state;
    enum err e;
    assert_non_null(start(t, "exit 0", &e));
    run_until_ended(t, 1);
    assert_true(WIFEXITED(t->status) && WEXITSTATUS(t->status) == 0);
    assert_non_null(start(t, "exit 7", &e));
    run_until_ended(t, 2);
    assert_int_equal(WEXITSTATUS(t->status), 7);
    assert_non_null(start(t, "kill -9 $$", &e));
    run_until_ended(t, 3);
    assert_true(WIFSIGNALED(t->status) && WTERMSIG(t->status) == 9);
}

static void test_program_that_is_not_there(void **state)
{
    struct bench *t = *state;
    char *const argv[] = {(char *)(uintptr_t) "/nonexistent", NULL};
    enum err e = ERR_NONE;
    assert_null(command_start(t->commands, argv, no_environment, on_ended, t, &e));
    assert_int_equal(e, err_from_errno(ENOENT));
}

static void test_it_gets_nothing_of_ours(void **state)
{
    struct bench *t = *state;
    enum err e;
    /* Its descriptors are the three standard ones, and the one that lists the folder. */
    assert_non_null(start(t, "set -- /proc/self/fd/*; [ $# -le 4 ] && [ -z \"$HOME\" ] && ! read line", &e));
    run_until_ended(t, 1);
    assert_int_equal(t->status, 0);
}

static void test_never_too_many(void **state)
{
    struct bench *t = *state;
    struct command *c[COMMANDS_MAX];
    enum err e;
    for (size_t i = 0; i < COMMANDS_MAX; i++) {
        c[i] = start(t, "sleep 100 & wait", &e);
        assert_non_null(c[i]);
    }
    assert_null(start(t, "exit 0", &e));
    assert_int_equal(e, ERR_FULL);
    command_cancel(&c[0]);
    assert_null(c[0]);
    const int64_t end_ms = loop_now_ms(t->loop) + PATIENCE_MS;
    struct command *next = NULL;
    while ((next = start(t, "exit 0", &e)) == NULL && loop_now_ms(t->loop) < end_ms)
        loop_run_once(t->loop, true);
    assert_non_null(next);
    run_until_ended(t, 1); /* the one cancelled is not told about */
    for (size_t i = 1; i < COMMANDS_MAX / 2; i++)
        command_cancel(&c[i]); /* the others are left to the end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_exit_status),
        T(test_program_that_is_not_there),
        T(test_it_gets_nothing_of_ours),
        T(test_never_too_many),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
