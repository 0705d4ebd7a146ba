/* The system's own resolver, which may block: nothing else is under way yet. */
#include "gateway/bench/target.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define CONNECT_SECONDS 3
#define ADDRESSES_MAX   8 /* tried in turn */

/* 0, or an errno. */
static int try(const struct addrinfo *info)
{
    const int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    const struct timeval patience = {.tv_sec = CONNECT_SECONDS};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int why = connect(fd, info->ai_addr, info->ai_addrlen) == 0 ? 0 : errno;
    if (why == EINPROGRESS) /* how a blocking connect says that its time is over */
        why = ETIMEDOUT;
    close(fd);
    return why;
}

bool target_find(struct addr *a, const struct url *u, char *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", u->port);
    const int failed = getaddrinfo(u->host, port, &hints, &list);
    if (failed != 0) {
        (void)snprintf(error, TARGET_ERROR_BYTES, "cannot look up %s: %s", u->host, gai_strerror(failed));
        return false;
    }
    int why = ENOENT, tried = 0;
    for (const struct addrinfo *i = list; i != NULL && why != 0 && tried < ADDRESSES_MAX; i = i->ai_next, tried++) {
        why = try(i);
        if (why == 0) {
            a->len = i->ai_addrlen;
            memcpy(&a->sa, i->ai_addr, i->ai_addrlen);
        }
    }
    freeaddrinfo(list);
    if (why != 0)
        (void)snprintf(error, TARGET_ERROR_BYTES, "cannot connect to %s port %u: %s", u->host, u->port, strerror(why));
    return why == 0;
}
