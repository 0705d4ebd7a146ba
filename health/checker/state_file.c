/* Reading and replacing the verdict file: written beside, forced to disk, renamed. */
#include "health/checker/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define STATE_FILE_MAGIC 0x57f11e93u

#define NAME     "verdicts"
#define NAME_NEW "verdicts.new"

struct state_file {
    uint32_t magic;
    int dir_fd; /* -1: nothing is kept */
    struct log_limit complaints;
};

struct state_file *state_file_open(const char *dir)
{
    struct state_file *f;

    OBJ_NEW(f, STATE_FILE_MAGIC);
    f->dir_fd = -1;
    if (dir[0] == '\0')
        return f;
    f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir_fd < 0)
        LOG_WARN("verdicts will not survive a restart, state directory cannot be opened", KV_STR("path", dir),
                 KV_STR("cause", err_text(err_from_errno(errno))));
    return f;
}

void state_file_close(struct state_file **fp)
{
    CHECK_OBJ(*fp, STATE_FILE_MAGIC);
    if ((*fp)->dir_fd >= 0)
        close((*fp)->dir_fd);
    OBJ_FREE(fp, STATE_FILE_MAGIC);
}

/* Up to `cap` bytes; more than that in the file is as good as none. */
static bool read_all(int fd, char *to, size_t cap, size_t *len)
{
    *len = 0;
    for (;;) {
        ssize_t n = read(fd, to + *len, cap - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        *len += (size_t)n;
        if (*len == cap) {
            errno = EFBIG;
            return false;
        }
    }
}

void state_file_load(const struct state_file *f, struct persist *p)
{
    CHECK_OBJ(f, STATE_FILE_MAGIC);
    p->count = 0;
    int fd = f->dir_fd < 0 ? -1 : openat(f->dir_fd, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (f->dir_fd >= 0 && errno != ENOENT)
            LOG_WARN("last verdicts cannot be read", KV_STR("cause", err_text(err_from_errno(errno))));
        return;
    }
    char *text = mem_alloc(PERSIST_BYTES_MAX + 1);
    size_t len = 0;
    if (!read_all(fd, text, PERSIST_BYTES_MAX + 1, &len)) {
        LOG_WARN("last verdicts cannot be read", KV_STR("cause", err_text(err_from_errno(errno))));
    } else {
        size_t unusable_count = persist_parse(p, text, len);
        if (unusable_count > 0)
            LOG_WARN("last verdicts are damaged", KV_UINT("lines_unusable", unusable_count),
                     KV_UINT("lines_taken", p->count));
    }
    mem_free(text);
    close(fd);
}

bool state_file_save(struct state_file *f, const struct persist *p, int64_t now_ms)
{
    struct strbuf text;

    CHECK_OBJ(f, STATE_FILE_MAGIC);
    if (f->dir_fd < 0)
        return false;
    strbuf_init(&text, PERSIST_BYTES_MAX);
    persist_print(p, &text);
    bool is_kept =
        !text.failed && file_replace(f->dir_fd, NAME, NAME_NEW, S_IRUSR | S_IWUSR | S_IRGRP, text.data, text.len);
    if (!is_kept)
        LOG_LIMITED(&f->complaints, now_ms, LOG_LEVEL_WARN, "verdicts cannot be kept",
                    KV_STR("cause", err_text(err_from_errno(errno))));
    strbuf_fini(&text);
    return is_kept;
}
