/* Shared memory as inherited memory files (memfd_create(2)), sealed so that no process can resize what others map. */
#ifndef BASE_SHM_H
#define BASE_SHM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct shm {
    int fd;
    void *base;
    size_t size_bytes;
};

/* A zeroed, mapped table sealed against growing and shrinking. fini unmaps and closes. */
enum err shm_create(struct shm *s, const char *name, size_t size_bytes) MUST_CHECK;
/* Maps an inherited descriptor (taken); fails with ERR_INVALID when it is smaller than `size_bytes`. */
enum err shm_attach(struct shm *s, int fd, size_t size_bytes, bool read_only) MUST_CHECK;
/* Another descriptor of the table that cannot be mapped writable, for its readers; *fd belongs to the caller. */
enum err shm_reopen_read_only(const struct shm *s, int *fd) MUST_CHECK;
void shm_fini(struct shm *s);

/* A read-only file of `len` bytes, sealed against every change; *fd belongs to the caller. */
enum err shm_seal_bytes(const char *name, const void *data, size_t len, int *fd) MUST_CHECK;
/* Reads a sealed file whole; *data is the caller's (mem_free) and NUL-terminated. ERR_DENIED when it is not sealed
 * against writing, ERR_LIMIT when longer than `max_bytes`. `fd` stays the caller's. */
enum err shm_read_sealed(int fd, size_t max_bytes, char **data, size_t *len) MUST_CHECK;

#endif
