/* fork, exec, and the first steps of a child.
 *
 * Two hard parts. The descriptors to hand over may already sit on the very numbers the child expects, so all of them
 * are first copied above that range and then put into place. And a parent may die between fork and the child's wish to
 * die with it: the wish is made before exec, checked against the parent's pid, and again later, when the control
 * socket of a dead parent reports that it was hung up. */
#include "base/birth.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

#define HANDED_COUNT (BIRTH_FD_END - BIRTH_FD_CONTROL)

/* No process of ours uses the signal for anything else. */
#define PARENT_DEATH_SIGNAL SIGUSR2
/* Of each size of block up to a kilobyte the C library keeps 7 at hand that were freed, which a hundred connections
 * that come and go together use up at once; what is not at hand costs several times as much. 128 of all 64 sizes would
 * be 4 MiB. It can only be told through the environment, where an operator's own word stands. */
#define ALLOCATOR_NAME    "GLIBC_TUNABLES"
#define ALLOCATOR_SETTING "glibc.malloc.tcache_count=128"
/* How long a process may live on without its supervisor; SIGALRM ends it then. */
#define PARENT_LOST_S 4

/* ---- child ---- */

_Noreturn static void stillborn(const char *what)
{
    fprintf(stderr, "cannot start: %s; this program is started by tidegate, not by hand\n", what);
    exit(EX_OSERR);
}

static void read_note(struct birth_note *note, enum role expected)
{
    char *text = NULL;
    size_t len = 0;
    if (shm_read_sealed(BIRTH_FD_NOTE, sizeof *note, &text, &len) != ERR_NONE)
        stillborn("no birth note on descriptor 4");
    if (len == sizeof *note)
        memcpy(note, text, sizeof *note);
    mem_free(text);
    close(BIRTH_FD_NOTE);
    if (len != sizeof *note || note->magic != BIRTH_MAGIC || note->role != (uint32_t)expected ||
        note->roster_row >= ROSTER_ROWS || memchr(note->state_dir, '\0', sizeof note->state_dir) == NULL)
        stillborn("the birth note is of another version or role");
}

/* Maps a table for life and checks its magic, which every table begins with. */
static void *map_table(int fd, size_t size_bytes, uint32_t magic, bool read_only, const char *name, struct shm *out)
{
    struct shm s;
    char what[64];
    snprintf(what, sizeof what, "no %s on descriptor %d", name, fd);
    if (shm_attach(&s, fd, size_bytes, read_only) != ERR_NONE)
        stillborn(what);
    uint32_t found;
    memcpy(&found, s.base, sizeof found);
    if (magic != 0 && found != magic)
        stillborn(what);
    if (out != NULL)
        *out = s;
    else
        close(fd);
    return s.base;
}

static void set_limits(const struct birth_note *note)
{
    const struct rlimit no_core = {0, 0};
    struct rlimit files;
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (note->fd_limit > 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
        struct rlimit wanted = {note->fd_limit, note->fd_limit > files.rlim_max ? note->fd_limit : files.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
            files.rlim_cur = note->fd_limit < files.rlim_max ? note->fd_limit : files.rlim_max;
            (void)setrlimit(RLIMIT_NOFILE, &files);
        }
    }
    umask(S_IWGRP | S_IRWXO);
}

/* Only what a signal handler may do, and it works in a process whose loop hangs. */
static void on_parent_death(int signo)
{
    (void)signo;
    alarm(PARENT_LOST_S);
}

/* A worker that outlived its supervisor would keep taking connections from the next one. The closed control socket
 * tells it to say good-bye to its clients and leave; the death signal sets the term for that. */
static void tie_to_parent(int control_fd)
{
    struct pollfd p = {.fd = control_fd, .events = POLLIN};
    struct sigaction on_death = {.sa_handler = on_parent_death, .sa_flags = SA_RESTART};
    if (sigaction(PARENT_DEATH_SIGNAL, &on_death, NULL) != 0 || prctl(PR_SET_PDEATHSIG, PARENT_DEATH_SIGNAL) != 0)
        stillborn("prctl(PR_SET_PDEATHSIG) failed");
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
        stillborn("the supervisor is gone");
}

static void open_log(const struct birth_note *note)
{
    char name[32];
    if (note->role == ROLE_WORKER)
        snprintf(name, sizeof name, "%s-%u", role_name(ROLE_WORKER), (unsigned)note->index);
    else
        snprintf(name, sizeof name, "%s", role_name((enum role)note->role));
    log_open(name, (enum log_level)note->log_level, (enum log_format)note->log_format, NULL);
    if (fcntl(BIRTH_FD_LOG, F_SETFD, FD_CLOEXEC) != 0)
        stillborn("no log on descriptor 11");
    log_use_fd(BIRTH_FD_LOG);
}

void birth_attach(struct birth *b, enum role expected, size_t verdicts_size_bytes)
{
    struct stat st;
    memset(b, 0, sizeof *b);
    if (fstat(BIRTH_FD_CONTROL, &st) != 0 || !S_ISSOCK(st.st_mode))
        stillborn("no control socket on descriptor 3");
    read_note(&b->note, expected);
    signal(SIGPIPE, SIG_IGN);
    tie_to_parent(BIRTH_FD_CONTROL);
    set_limits(&b->note);

    b->slots = map_table(BIRTH_FD_SLOTS, sizeof *b->slots, SLOTS_MAGIC, true, "slot table", NULL);
    b->roster = map_table(BIRTH_FD_ROSTER, sizeof *b->roster, ROSTER_MAGIC, true, "roster", NULL);
    b->stats = map_table(BIRTH_FD_STATS, sizeof *b->stats, STATS_MAGIC, false, "counters", NULL);
    b->block = &b->stats->block[b->note.roster_row];
    map_table(BIRTH_FD_VERDICTS, verdicts_size_bytes, 0, expected != ROLE_CHECKER, "verdict table", &b->verdicts);
    last_words_register(map_table(BIRTH_FD_LAST_WORDS, LAST_WORDS_BYTES, 0, false, "last words", NULL));
    b->control_fd = BIRTH_FD_CONTROL;
    b->nudge_fd = BIRTH_FD_NUDGE;
    if (fcntl(b->control_fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(b->nudge_fd, F_SETFD, FD_CLOEXEC) != 0)
        stillborn("no nudge on descriptor 9");
    open_log(&b->note);
}

void birth_drop_privileges(const struct birth *b)
{
    bool is_changing = b->note.uid != 0 || b->note.gid != 0;
    if (is_changing && setgroups(0, NULL) != 0)
        stillborn("the groups could not be given up");
    if (b->note.gid != 0 && setresgid(b->note.gid, b->note.gid, b->note.gid) != 0)
        stillborn("the group could not be changed");
    if (b->note.uid != 0 && setresuid(b->note.uid, b->note.uid, b->note.uid) != 0)
        stillborn("the user could not be changed");
    if (b->note.uid != 0 && setuid(0) == 0)
        stillborn("privileges could be taken back");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        stillborn("prctl(PR_SET_NO_NEW_PRIVS) failed");
    /* The kernel forgets the death signal when the identity changes. */
    tie_to_parent(b->control_fd);
}

/* ---- supervisor ---- */

/* Between fork and exec: nothing but system calls, and a word for the C library of the next program, which only a
 * supervisor of one thread may leave there. Exit code 71 tells the supervisor the exec never happened. */
_Noreturn static void become_child(const char *exe, const int sources[HANDED_COUNT], pid_t parent)
{
    char *argv[] = {(char *)(uintptr_t)exe, NULL};
    int moved[HANDED_COUNT];

    /* A terminal's Ctrl-C is for the supervisor, which then tells its children. */
    setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(EX_OSERR);
    for (int i = 0; i < HANDED_COUNT; i++)
        if ((moved[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, BIRTH_FD_END)) < 0)
            _exit(EX_OSERR);
    for (int i = 0; i < HANDED_COUNT; i++)
        if (dup2(moved[i], BIRTH_FD_CONTROL + i) < 0)
            _exit(EX_OSERR);
    int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
        _exit(EX_OSERR);
    if (null_fd > STDERR_FILENO)
        close(null_fd);
    /* What we open is close-on-exec; this is about libraries. A kernel or container may not know the call. */
    (void)close_range(BIRTH_FD_END, ~0u, 0);

    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setenv(ALLOCATOR_NAME, ALLOCATOR_SETTING, 0);
    execv(exe, argv);
    _exit(EX_OSERR);
}

enum err birth_spawn(const char *exe, const struct birth_gift *g, pid_t *pid, int *control_fd)
{
    ASSERT(g->note.magic == BIRTH_MAGIC);
    int pair[2], note_fd;
    if (access(exe, X_OK) != 0)
        return err_from_errno(errno);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return err_from_errno(errno);
    enum err e = shm_seal_bytes("birth-note", &g->note, sizeof g->note, &note_fd);
    if (e != ERR_NONE) {
        close(pair[0]);
        close(pair[1]);
        return e;
    }
    const int sources[HANDED_COUNT] = {
        [BIRTH_FD_CONTROL - BIRTH_FD_CONTROL] = pair[1],   [BIRTH_FD_NOTE - BIRTH_FD_CONTROL] = note_fd,
        [BIRTH_FD_SLOTS - BIRTH_FD_CONTROL] = g->slots_fd, [BIRTH_FD_ROSTER - BIRTH_FD_CONTROL] = g->roster_fd,
        [BIRTH_FD_STATS - BIRTH_FD_CONTROL] = g->stats_fd, [BIRTH_FD_VERDICTS - BIRTH_FD_CONTROL] = g->verdicts_fd,
        [BIRTH_FD_NUDGE - BIRTH_FD_CONTROL] = g->nudge_fd, [BIRTH_FD_LAST_WORDS - BIRTH_FD_CONTROL] = g->last_words_fd,
        [BIRTH_FD_LOG - BIRTH_FD_CONTROL] = g->log_fd,
    };
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0)
        become_child(exe, sources, parent);
    e = child < 0 ? err_from_errno(errno) : ERR_NONE;
    close(pair[1]);
    close(note_fd);
    if (e != ERR_NONE) {
        close(pair[0]);
        return e;
    }
    *pid = child;
    *control_fd = pair[0];
    return ERR_NONE;
}
