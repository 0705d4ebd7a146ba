/* /proc/<pid>/statm is one short line per process, readable by everybody unless /proc is mounted with hidepid. A pid
 * may belong to somebody else by the time it is looked at; a wrong figure for one scrape is all that can come of it. */
#include "gateway/admin/rss.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t read_one(int32_t pid)
{
    char path[64], text[128];
    uint64_t total_pages, resident_pages;
    ssize_t len;
    int fd;

    snprintf(path, sizeof path, "/proc/%" PRId32 "/statm", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &total_pages, &resident_pages) != 2)
        return 0;
    return resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void rss_read(const struct roster *r, uint64_t *rss_bytes)
{
    memset(rss_bytes, 0, ROSTER_ROWS * sizeof rss_bytes[0]);
    for (size_t i = 0; i < ROSTER_ROWS; i++) {
        int32_t pid = atomic_load(&r->row[i].pid);
        uint32_t state = atomic_load(&r->row[i].state);

        if (pid > 0 && state != ROSTER_UNUSED && state != ROSTER_GONE && state != ROSTER_WAITING)
            rss_bytes[i] = read_one(pid);
    }
}
