/* Small files that must not be lost: written whole, and replaced so that a reader finds the old one or the new one. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* All of it, however many calls that takes. False with errno set. */
bool file_write_all(int fd, const void *data, size_t len);
/* Replaces `name` in the directory by way of `name_new`, which is forced to the disk before it takes the other's place,
 * as the directory is after. Links are not followed. False with errno set; the old file stays. */
bool file_replace(int dir_fd, const char *name, const char *name_new, mode_t mode, const void *data, size_t len);

#endif
