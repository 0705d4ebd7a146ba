/* The fence: a UDP socket that is connected to itself. */
#include "tests/replay/fence.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sock.h"

#define FENCE_MAGIC 0x7be3c1d9u
/* A connect is three segments, each sent when the one before has arrived: the longest way without a process in it. */
#define HOPS_COUNT 3
/* A datagram that is not there after so long is lost, and the machine beyond help. */
#define LOST_MS 10000

struct fence {
    uint32_t magic;
    int fd;
    cpu_set_t cpus; /* where the process might run before */
};

struct fence *fence_create(void)
{
    struct fence *f;
    struct addr a;
    cpu_set_t here;

    OBJ_NEW(f, FENCE_MAGIC);
    bool is_open = addr_parse(&a, "127.0.0.1:0") && sock_bind_udp(&a, &f->fd) == ERR_NONE &&
                   sock_local_addr(f->fd, &a) == ERR_NONE && connect(f->fd, &a.sa, a.len) == 0;
    ASSERT(is_open);
    CPU_ZERO(&here);
    CPU_SET((size_t)sched_getcpu(), &here);
    bool is_here = sched_getaffinity(0, sizeof f->cpus, &f->cpus) == 0 && sched_setaffinity(0, sizeof here, &here) == 0;
    ASSERT(is_here);
    return f;
}

void fence_destroy(struct fence **fp)
{
    struct fence *f = *fp;

    CHECK_OBJ(f, FENCE_MAGIC);
    (void)sched_setaffinity(0, sizeof f->cpus, &f->cpus);
    (void)close(f->fd);
    OBJ_FREE(fp, FENCE_MAGIC);
}

/* Sends a datagram and takes it in again; whether it was there at once. */
static bool pass_once(struct fence *f)
{
    struct pollfd p = {.fd = f->fd, .events = POLLIN};
    bool is_at_once = true;
    char byte = 0;
    ssize_t got = send(f->fd, &byte, 1, 0);

    ASSERT(got == 1);
    while ((got = recv(f->fd, &byte, 1, 0)) < 0) {
        ASSERT(errno == EAGAIN);
        int ready_count = poll(&p, 1, LOST_MS);
        ASSERT(ready_count == 1);
        is_at_once = false;
    }
    return is_at_once;
}

/* The kernel hands on at once what is sent, until it has too much of it and leaves the queue to a thread. As long as it
 * does, so has it done with everything before. */
void fence_pass(struct fence *f)
{
    CHECK_OBJ(f, FENCE_MAGIC);
    if (pass_once(f))
        return;
    for (int hop = 0; hop < HOPS_COUNT; hop++)
        (void)pass_once(f);
}
