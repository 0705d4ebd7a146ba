/* Memory files (memfd_create(2)) and their seals.
 *
 * Tables are sealed against a change of size, so that no process can make another one fault by truncating what it has
 * mapped. Handed-over texts are sealed against every change, and a reader insists on it: what it validated is what it
 * goes on to use. */
#include "base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/mem.h"

#define SEALS_SIZE  (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_WHOLE (SEALS_SIZE | F_SEAL_WRITE | F_SEAL_SEAL)

static enum err fail_close(int fd)
{
    enum err e = err_from_errno(errno);
    close(fd);
    return e;
}

enum err shm_create(struct shm *s, const char *name, size_t size_bytes)
{
    ASSERT(size_bytes > 0);
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_from_errno(errno);
    /* Mode 0600: who was given a read-only descriptor cannot open a better one under /proc. */
    if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 || ftruncate(fd, (off_t)size_bytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, SEALS_SIZE | F_SEAL_SEAL) != 0)
        return fail_close(fd);
    void *base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return fail_close(fd);
    *s = (struct shm){.fd = fd, .base = base, .size_bytes = size_bytes};
    return ERR_NONE;
}

enum err shm_reopen_read_only(const struct shm *s, int *fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", s->fd);
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? err_from_errno(errno) : ERR_NONE;
}

enum err shm_attach(struct shm *s, int fd, size_t size_bytes, bool read_only)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return fail_close(fd);
    int seals = fcntl(fd, F_GET_SEALS);
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (size_t)st.st_size < size_bytes || seals < 0 ||
        (seals & SEALS_SIZE) != SEALS_SIZE) {
        close(fd);
        return ERR_INVALID;
    }
    int prot = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    void *base = mmap(NULL, size_bytes, prot, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return fail_close(fd);
    *s = (struct shm){.fd = fd, .base = base, .size_bytes = size_bytes};
    return ERR_NONE;
}

void shm_fini(struct shm *s)
{
    if (s->base == NULL)
        return;
    munmap(s->base, s->size_bytes);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct shm){.fd = -1};
}

enum err shm_seal_bytes(const char *name, const void *data, size_t len, int *fd)
{
    int f = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (f < 0)
        return err_from_errno(errno);
    if (fchmod(f, S_IRUSR) != 0 || !file_write_all(f, data, len) || fcntl(f, F_ADD_SEALS, SEALS_WHOLE) != 0)
        return fail_close(f);
    *fd = f;
    return ERR_NONE;
}

enum err shm_read_sealed(int fd, size_t max_bytes, char **data, size_t *len)
{
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & (SEALS_SIZE | F_SEAL_WRITE)) != (SEALS_SIZE | F_SEAL_WRITE))
        return ERR_DENIED;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_from_errno(errno);
    size_t size = (size_t)st.st_size;
    if (size > max_bytes)
        return ERR_LIMIT;

    char *text = mem_alloc(size + 1);
    size_t got = 0;
    while (got < size) {
        /* pread: the same descriptor goes to several readers, whose file offset is one. */
        ssize_t n = pread(fd, text + got, size - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            mem_free(text);
            return n < 0 ? err_from_errno(errno) : ERR_EOF;
        }
        got += (size_t)n;
    }
    *data = text;
    *len = size;
    return ERR_NONE;
}
