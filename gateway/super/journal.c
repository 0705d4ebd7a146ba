/* Appending, rotating and repairing files. All names are resolved below one open directory, and nothing there is
 * followed: the directory belongs to whom the children become, the supervisor may be root. */
#include "gateway/super/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#define JOURNAL_MAGIC   0x70a14a1eu
#define NAME            "events.jsonl"
#define NAME_BYTES      32u
#define SYNC_DELAY_MS   1000
#define FILE_COUNT_MAX  100u /* bound of journal.files */
#define JOURNAL_MODE    (S_IRUSR | S_IWUSR | S_IRGRP)
#define SCAN_FILE_COUNT 2u /* a file that was begun a moment ago tells little */

struct journal {
    uint32_t magic;
    struct loop *loop;
    struct journal_limits limits;
    int dir_fd; /* -1: nothing is kept */
    int fd;     /* -1: to be opened with the next line */
    uint64_t size_bytes;
    bool is_unsynced;
    struct timer sync;
    struct log_limit complaints;
};

static void complain(struct journal *j, const char *what)
{
    LOG_LIMITED(&j->complaints, loop_now_ms(j->loop), LOG_LEVEL_ERR, what,
                KV_STR("cause", err_text(err_from_errno(errno))));
}

static void name_of(char name[NAME_BYTES], uint32_t age)
{
    if (age == 0)
        snprintf(name, NAME_BYTES, "%s", NAME);
    else
        snprintf(name, NAME_BYTES, "%s.%u", NAME, age);
}

/* ---- to disk ---- */

static void sync_now(struct journal *j)
{
    timer_cancel(&j->sync);
    if (j->is_unsynced && j->fd >= 0 && fdatasync(j->fd) != 0)
        complain(j, "event journal cannot be forced to disk");
    j->is_unsynced = false;
}

static void on_sync(void *arg)
{
    sync_now(arg);
}

static void written(struct journal *j)
{
    j->is_unsynced = j->limits.sync != JOURNAL_SYNC_NEVER;
    if (j->limits.sync == JOURNAL_SYNC_EACH)
        sync_now(j);
    else if (j->is_unsynced && !timer_is_active(&j->sync))
        timer_start(&j->sync, SYNC_DELAY_MS);
}

static void close_file(struct journal *j)
{
    if (j->fd < 0)
        return;
    sync_now(j);
    close(j->fd);
    j->fd = -1;
}

/* ---- repair ---- */

static ssize_t read_at(int fd, char *to, size_t len, uint64_t offset)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = pread(fd, to + got, len - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* The end of the last whole line, looking back from `size_bytes`; -1 with errno. */
static int64_t find_end(int fd, uint64_t size_bytes)
{
    char piece[4096];
    while (size_bytes > 0) {
        size_t len = size_bytes < sizeof piece ? (size_t)size_bytes : sizeof piece;
        if (read_at(fd, piece, len, size_bytes - len) != (ssize_t)len)
            return -1;
        const char *last = memrchr(piece, '\n', len);
        if (last != NULL)
            return (int64_t)(size_bytes - len + (size_t)(last - piece) + 1);
        size_bytes -= len;
    }
    return 0;
}

/* Cuts off what comes after the last whole line. */
static bool repair(struct journal *j)
{
    struct stat st;
    if (fstat(j->fd, &st) != 0)
        return false;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return false;
    }
    int64_t end = find_end(j->fd, (uint64_t)st.st_size);
    if (end < 0)
        return false;
    if (end < st.st_size) {
        LOG_WARN("event journal repaired, its last line was cut off", KV_INT("bytes", st.st_size - end));
        if (ftruncate(j->fd, end) != 0)
            return false;
    }
    j->size_bytes = (uint64_t)end;
    return true;
}

static bool open_file(struct journal *j)
{
    if (j->fd >= 0)
        return true;
    j->fd = openat(j->dir_fd, NAME, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, JOURNAL_MODE);
    if (j->fd >= 0 && repair(j))
        return true;
    complain(j, "event journal cannot be opened");
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
    return false;
}

/* ---- rotation ---- */

static void drop_old(struct journal *j)
{
    char name[NAME_BYTES];
    for (uint32_t age = j->limits.file_count; age <= FILE_COUNT_MAX; age++) {
        name_of(name, age);
        (void)unlinkat(j->dir_fd, name, 0);
    }
}

static void rotate(struct journal *j)
{
    char from[NAME_BYTES], to[NAME_BYTES];
    close_file(j);
    for (uint32_t age = j->limits.file_count; age > 0; age--) {
        name_of(from, age - 1);
        name_of(to, age);
        if (renameat(j->dir_fd, from, j->dir_fd, to) != 0 && errno != ENOENT)
            complain(j, "event journal cannot be rotated");
    }
    drop_old(j);
}

/* ---- telling what is there ---- */

static void tell_file(struct journal *j, uint32_t age, journal_line_fn *on_line, void *arg)
{
    char name[NAME_BYTES];
    struct stat st;
    name_of(name, age);
    int fd = openat(j->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        uint64_t start = st.st_size > (off_t)JOURNAL_TAIL_BYTES ? (uint64_t)st.st_size - JOURNAL_TAIL_BYTES : 0;
        char *text = mem_alloc(JOURNAL_TAIL_BYTES);
        ssize_t len = read_at(fd, text, JOURNAL_TAIL_BYTES, start);
        const char *line = text, *end = len > 0 ? text + len : text;
        if (start > 0) /* begins within a line */
            line = memchr(text, '\n', (size_t)(end - text));
        for (const char *lf; line != NULL && (lf = memchr(line, '\n', (size_t)(end - line))) != NULL; line = lf + 1)
            on_line(arg, line, (size_t)(lf - line));
        mem_free(text);
    }
    close(fd);
}

/* ---- life ---- */

struct journal *journal_open(struct loop *l, const char *dir, const struct journal_limits *limits,
                             journal_line_fn *on_line, void *arg)
{
    struct journal *j;
    OBJ_NEW(j, JOURNAL_MAGIC);
    j->loop = l;
    j->limits = *limits;
    j->fd = -1;
    j->dir_fd = dir[0] != '\0' ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    timer_init(&j->sync, l, on_sync, j);
    if (j->dir_fd < 0) {
        if (dir[0] != '\0')
            complain(j, "events are not kept, state directory cannot be opened");
        return j;
    }
    (void)open_file(j);
    drop_old(j);
    for (uint32_t age = SCAN_FILE_COUNT; age-- > 0;)
        tell_file(j, age, on_line, arg);
    return j;
}

void journal_set_limits(struct journal *j, const struct journal_limits *limits)
{
    CHECK_OBJ(j, JOURNAL_MAGIC);
    j->limits = *limits;
    if (j->dir_fd >= 0)
        drop_old(j);
}

static bool write_line(struct journal *j, const char *text, size_t len)
{
    ssize_t n;
    do
        n = write(j->fd, text, len);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)len)
        return true;
    if (n >= 0)
        errno = ENOSPC;
    complain(j, "event cannot be written to the journal");
    if (n > 0 && ftruncate(j->fd, (off_t)j->size_bytes) != 0) {
        close(j->fd); /* opening it again repairs it */
        j->fd = -1;
    }
    return false;
}

bool journal_append(struct journal *j, const char *line, size_t len)
{
    CHECK_OBJ(j, JOURNAL_MAGIC);
    if (j->dir_fd < 0 || !open_file(j))
        return false;
    if (j->size_bytes > 0 && j->size_bytes + len + 1 > j->limits.file_bytes) {
        rotate(j);
        if (!open_file(j))
            return false;
    }
    char *text = mem_alloc(len + 1);
    memcpy(text, line, len);
    text[len] = '\n';
    bool is_written = write_line(j, text, len + 1);
    mem_free(text);
    if (is_written) {
        j->size_bytes += len + 1;
        written(j);
    }
    return is_written;
}

void journal_close(struct journal **jp)
{
    struct journal *j = *jp;
    CHECK_OBJ(j, JOURNAL_MAGIC);
    close_file(j);
    timer_cancel(&j->sync);
    if (j->dir_fd >= 0)
        close(j->dir_fd);
    OBJ_FREE(jp, JOURNAL_MAGIC);
}
