/* The order of forcing things to the disk is the whole point: the new content, then its name. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

bool file_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

bool file_replace(int dir_fd, const char *name, const char *name_new, mode_t mode, const void *data, size_t len)
{
    int fd = openat(dir_fd, name_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return false;
    bool is_written = file_write_all(fd, data, len) && fsync(fd) == 0;
    int errno_kept = errno;
    close(fd);
    errno = errno_kept;
    /* The directory is forced too, or the rename may be lost with the power. */
    return is_written && renameat(dir_fd, name_new, dir_fd, name) == 0 && fsync(dir_fd) == 0;
}
