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

#define NAME       "verdicts"
#define NAME_BYTES 64

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

bool state_file_read(const struct state_file *f, const char *name, struct strbuf *out)
{
    bool is_read = false;

    CHECK_OBJ(f, STATE_FILE_MAGIC);
    int fd = f->dir_fd < 0 ? -1 : openat(f->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && (f->dir_fd < 0 || errno == ENOENT))
        return true;
    while (fd >= 0 && !is_read && !out->failed) {
        char bytes[4096];
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno != EINTR)
            break;
        if (n > 0)
            strbuf_add(out, bytes, (size_t)n);
        is_read = n == 0;
    }
    if (!is_read)
        LOG_WARN("file of the last run cannot be read", KV_STR("file", name),
                 KV_STR("cause", err_text(out->failed ? ERR_FULL : err_from_errno(errno))));
    if (fd >= 0)
        close(fd);
    return is_read;
}

void state_file_load(const struct state_file *f, struct persist *p)
{
    struct strbuf text;

    p->count = 0;
    strbuf_init(&text, PERSIST_BYTES_MAX);
    if (state_file_read(f, NAME, &text) && text.len > 0) {
        size_t unusable_count = persist_parse(p, text.data, text.len);
        if (unusable_count > 0)
            LOG_WARN("last verdicts are damaged", KV_UINT("lines_unusable", unusable_count),
                     KV_UINT("lines_taken", p->count));
    }
    strbuf_fini(&text);
}

bool state_file_write(struct state_file *f, const char *name, const char *text, size_t len, int64_t now_ms)
{
    char name_new[NAME_BYTES];

    CHECK_OBJ(f, STATE_FILE_MAGIC);
    if (f->dir_fd < 0)
        return false;
    snprintf(name_new, sizeof name_new, "%s.new", name);
    bool is_kept = file_replace(f->dir_fd, name, name_new, S_IRUSR | S_IWUSR | S_IRGRP, text, len);
    if (!is_kept)
        LOG_LIMITED(&f->complaints, now_ms, LOG_LEVEL_WARN, "state cannot be kept", KV_STR("file", name),
                    KV_STR("cause", err_text(err_from_errno(errno))));
    return is_kept;
}

bool state_file_save(struct state_file *f, const struct persist *p, int64_t now_ms)
{
    struct strbuf text;

    CHECK_OBJ(f, STATE_FILE_MAGIC);
    strbuf_init(&text, PERSIST_BYTES_MAX);
    persist_print(p, &text);
    ASSERT(!text.failed);
    bool is_kept = state_file_write(f, NAME, text.data, text.len, now_ms);
    strbuf_fini(&text);
    return is_kept;
}
