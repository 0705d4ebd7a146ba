/* A port of 127.0.0.1 that stays the test's own, whether something listens there or not. A port that is only left to
 * the kernel again may be given to another test that runs at the same time, or to the very connection that is to be
 * refused. */
#ifndef TESTS_UNIT_BASE_PORT_H
#define TESTS_UNIT_BASE_PORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/sock.h"

/* The socket that holds it, which is the caller's. */
static inline int port_hold(uint16_t *port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct addr a;
    assert_true(fd >= 0 && addr_from_ip(&a, "127.0.0.1", 0));
    /* so that listeners may share it with us: it is ours to allow */
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    assert_int_equal(bind(fd, &a.sa, a.len), 0);
    assert_int_equal(sock_local_addr(fd, &a), ERR_NONE);
    *port = addr_port(&a);
    return fd;
}

/* A listener at a port that is held. */
static inline int port_listen(uint16_t port, int backlog)
{
    struct addr a;
    int fd = -1;
    assert_true(addr_from_ip(&a, "127.0.0.1", port));
    assert_int_equal(sock_listen(&a, false, backlog, &fd), ERR_NONE);
    return fd;
}

#endif
