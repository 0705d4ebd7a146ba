/* A real child, born of this very program: what it inherits, under which limits, and that it dies with its parent.
 *
 * With TIDEGATE_TEST_CHILD in the environment the program is the child: it attaches and does what the variable says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/birth.h"
#include "base/log.h"

#define ENV           "TIDEGATE_TEST_CHILD"
#define VERDICT_BYTES 4096u

struct fixture {
    struct shm slots, roster, stats, verdicts, last_words;
    int nudge_fd, log_read_fd;
    struct birth_gift gift;
};

static void create(struct shm *s, size_t size_bytes, uint32_t magic)
{
    assert_int_equal(shm_create(s, "test", size_bytes), ERR_NONE);
    memcpy(s->base, &magic, sizeof magic);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int log_pipe[2];
    create(&f->slots, sizeof(struct slots), SLOTS_MAGIC);
    create(&f->roster, sizeof(struct roster), ROSTER_MAGIC);
    create(&f->stats, sizeof(struct stats), STATS_MAGIC);
    create(&f->verdicts, VERDICT_BYTES, 0);
    create(&f->last_words, LAST_WORDS_BYTES, 0);
    f->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(pipe2(log_pipe, O_CLOEXEC | O_NONBLOCK), 0);
    f->log_read_fd = log_pipe[0];
    f->gift = (struct birth_gift){
        .note = {.magic = BIRTH_MAGIC,
                 .role = ROLE_WORKER,
                 .index = 3,
                 .roster_row = 5,
                 .worker_count = 8,
                 .log_level = LOG_LEVEL_INFO,
                 .fd_limit = 512},
        .slots_fd = f->slots.fd,
        .roster_fd = f->roster.fd,
        .stats_fd = f->stats.fd,
        .verdicts_fd = f->verdicts.fd,
        .nudge_fd = f->nudge_fd,
        .last_words_fd = f->last_words.fd,
        .log_fd = log_pipe[1],
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    shm_fini(&f->slots);
    shm_fini(&f->roster);
    shm_fini(&f->stats);
    shm_fini(&f->verdicts);
    shm_fini(&f->last_words);
    close(f->nudge_fd);
    close(f->log_read_fd);
    close(f->gift.log_fd);
    free(f);
    return 0;
}

/* ---- the child's side ---- */

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *d = readdir(dir); d != NULL; d = readdir(dir))
        count += d->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* the directory itself */
}

/* Each broken promise is a bit of the exit code. */
static int child_check(const struct birth *b)
{
    struct rlimit files, core;
    sigset_t blocked;
    getrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_CORE, &core);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    int death_signal = 0;
    prctl(PR_GET_PDEATHSIG, &death_signal);
    bool limits_ok = files.rlim_cur == 512 && core.rlim_cur == 0 && umask(0) == (S_IWGRP | S_IRWXO);
    bool note_ok = b->note.index == 3 && b->note.worker_count == 8 && b->block == &b->stats->block[5];
    bool signals_ok = sigismember(&blocked, SIGTERM) == 0 && signal(SIGUSR1, SIG_DFL) == SIG_DFL &&
                      signal(SIGPIPE, SIG_IGN) == SIG_IGN && death_signal == SIGUSR2;
    /* 0-2, control, nudge, log; the tables are mapped and closed, only the verdicts keep their descriptor */
    bool fds_ok = open_descriptors() == 7 && b->control_fd == BIRTH_FD_CONTROL && b->nudge_fd == BIRTH_FD_NUDGE;
    bool cloexec_ok = true;
    for (int fd = STDERR_FILENO + 1; fd < BIRTH_FD_END; fd++)
        cloexec_ok = cloexec_ok && (fcntl(fd, F_GETFD) == -1 || (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    const char *setting = getenv("GLIBC_TUNABLES");
    bool allocator_ok = setting != NULL && strstr(setting, "tcache_count") != NULL;
    LOG_INFO("child speaks");
    stat_add(&b->block->process[STAT_CLIENTS_TOTAL], 42);
    eventfd_write(b->nudge_fd, 1);
    return (limits_ok ? 0 : 1) | (note_ok ? 0 : 2) | (signals_ok ? 0 : 4) | (fds_ok ? 0 : 8) | (cloexec_ok ? 0 : 16) |
           (allocator_ok ? 0 : 32);
}

static int child_main(const char *task)
{
    struct birth b;
    birth_attach(&b, ROLE_WORKER, VERDICT_BYTES);
    if (strcmp(task, "check") == 0)
        return child_check(&b);
    if (strcmp(task, "assert") == 0)
        ASSERT(b.note.index == 99);
    if (strcmp(task, "drop") == 0) {
        birth_drop_privileges(&b);
        int death_signal = 0;
        prctl(PR_GET_PDEATHSIG, &death_signal);
        return getuid() == 65534 && getgid() == 65534 && setuid(0) != 0 && death_signal == SIGUSR2 &&
                       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
                   ? 0
                   : 1;
    }
    char byte = 'r';
    if (send(b.control_fd, &byte, 1, 0) != 1)
        return 1;
    for (;;)
        pause();
}

/* ---- the parent's side ---- */

static pid_t spawn(struct fixture *f, const char *task, int *control_fd)
{
    pid_t pid = 0;
    setenv(ENV, task, 1);
    assert_int_equal(birth_spawn("/proc/self/exe", &f->gift, &pid, control_fd), ERR_NONE);
    unsetenv(ENV);
    return pid;
}

static int spawn_and_wait(struct fixture *f, const char *task)
{
    int control_fd = -1, status = 0;
    pid_t pid = spawn(f, task, &control_fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(control_fd);
    return status;
}

static void test_a_child_inherits_the_list_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    sigset_t some, before;
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, &before);
    signal(SIGUSR1, SIG_IGN);
    int stray = dup(f->nudge_fd); /* not close-on-exec, and still not inherited */

    int status = spawn_and_wait(f, "check");
    signal(SIGUSR1, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(stray);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(stats_sum_process(f->stats.base, STAT_CLIENTS_TOTAL), 42);
    eventfd_t nudges = 0;
    assert_int_equal(eventfd_read(f->nudge_fd, &nudges), 0);
    assert_int_equal(nudges, 1);
    char line[256] = "";
    ssize_t n = read(f->log_read_fd, line, sizeof line - 1);
    assert_true(n > 0);
    assert_non_null(strstr(line, "worker-3"));
    assert_non_null(strstr(line, "child speaks"));
}

/* The sources lie on the target numbers, each on somebody else's. */
static void test_descriptors_that_overlap_the_target_range_survive(void **state)
{
    struct fixture *f = *state;
    int *sources[] = {&f->gift.log_fd,   &f->gift.last_words_fd, &f->gift.nudge_fd, &f->gift.verdicts_fd,
                      &f->gift.stats_fd, &f->gift.roster_fd,     &f->gift.slots_fd};
    int high[7], saved[7];
    for (int i = 0; i < 7; i++) {
        high[i] = fcntl(*sources[i], F_DUPFD_CLOEXEC, 100);
        assert_true(high[i] >= 100);
    }
    int kept[BIRTH_FD_END]; /* what the test has open on these numbers itself */
    for (int fd = BIRTH_FD_CONTROL; fd < BIRTH_FD_END; fd++)
        kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 200);
    for (int i = 0; i < 7; i++) {
        saved[i] = *sources[i];
        *sources[i] = BIRTH_FD_CONTROL + i;
        assert_int_equal(dup2(high[i], *sources[i]), *sources[i]);
    }
    int status = spawn_and_wait(f, "check");
    for (int fd = BIRTH_FD_CONTROL; fd < BIRTH_FD_END; fd++) {
        close(fd);
        if (kept[fd] >= 0) {
            dup2(kept[fd], fd);
            close(kept[fd]);
        }
    }
    for (int i = 0; i < 7; i++) {
        close(high[i]);
        *sources[i] = saved[i];
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_failed_assert_leaves_last_words(void **state)
{
    struct fixture *f = *state;
    int status = spawn_and_wait(f, "assert");
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(f->last_words.base, "b.note.index == 99"));
}

static void test_privileges_are_dropped_for_good(void **state)
{
    struct fixture *f = *state;
    if (getuid() != 0)
        skip();
    f->gift.note.uid = f->gift.note.gid = 65534;
    int status = spawn_and_wait(f, "drop");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A middle process is the parent; it dies at once when the child runs, and the child must not survive it. */
static void test_a_child_dies_with_its_parent(void **state)
{
    struct fixture *f = *state;
    int watch[2];
    char byte;
    assert_int_equal(pipe2(watch, O_CLOEXEC), 0);
    f->gift.log_fd = watch[1]; /* the child holds the writing end for as long as it lives */
    pid_t middle = fork();
    if (middle == 0) {
        int control_fd = -1;
        spawn(f, "wait", &control_fd);
        struct pollfd p = {.fd = control_fd, .events = POLLIN};
        _exit(poll(&p, 1, 10000) == 1 ? 0 : 1);
    }
    close(watch[1]);
    f->gift.log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int status = 0;
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_int_equal(status, 0);
    struct pollfd p = {.fd = watch[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(read(watch[0], &byte, 1), 0);
    close(watch[0]);
}

static void test_a_program_that_is_not_there_is_an_error(void **state)
{
    struct fixture *f = *state;
    pid_t pid = 0;
    int control_fd = -1;
    assert_int_equal(birth_spawn("/nonexistent/tidegate-worker", &f->gift, &pid, &control_fd), ERR_NOT_FOUND);
    assert_int_equal(control_fd, -1);
}

static void test_the_wrong_role_does_not_start(void **state)
{
    struct fixture *f = *state;
    f->gift.note.role = ROLE_ADMIN;
    int status = spawn_and_wait(f, "check");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EX_OSERR);
}

static void test_started_by_hand_it_says_so(void **state)
{
    (void)state;
    int output[2], status = 0;
    char text[256] = "";
    pid_t pid;
    assert_int_equal(pipe(output), 0);
    if ((pid = fork()) == 0) {
        char *argv[] = {(char[]){"child"}, NULL};
        setenv(ENV, "check", 1);
        dup2(output[1], STDERR_FILENO);
        close_range(STDERR_FILENO + 1, ~0u, 0);
        execv("/proc/self/exe", argv);
        _exit(1);
    }
    close(output[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EX_OSERR);
    assert_true(read(output[0], text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "started by tidegate"));
    close(output[0]);
}

int main(void)
{
    const char *task = getenv(ENV);
    if (task != NULL)
        return child_main(task);
    unsetenv("GLIBC_TUNABLES"); /* an operator's own word would stand */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_child_inherits_the_list_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(test_descriptors_that_overlap_the_target_range_survive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_assert_leaves_last_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_privileges_are_dropped_for_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_child_dies_with_its_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_program_that_is_not_there_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_wrong_role_does_not_start, setup, teardown),
        cmocka_unit_test(test_started_by_hand_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
