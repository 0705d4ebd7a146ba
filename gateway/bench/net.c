/* A connection is named by four numbers, and one client address has some 28,000 ports for one server port: with more
 * connections than that, several loopback addresses are used. The port is then chosen at connect, not at bind, so
 * that it need only be unique per destination. */
#include "gateway/bench/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int net_connect(const struct addr *to, uint32_t source)
{
    const int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (source > 0 && to->sa.sa_family == AF_INET) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + source - 1);
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, (const struct sockaddr *)&from, sizeof from) != 0)
            goto fail;
    }
    if (connect(fd, &to->sa, to->len) == 0 || errno == EINPROGRESS)
        return fd;
fail:;
    const int why = errno;
    close(fd);
    errno = why;
    return -1;
}

uint64_t net_raise_fd_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0)
        return 1024;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &l);
    return l.rlim_cur;
}

int64_t net_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
