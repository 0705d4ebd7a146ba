/* The few system calls the load tester makes beyond base/sock.h. */
#ifndef GATEWAY_BENCH_NET_H
#define GATEWAY_BENCH_NET_H

#include <stdint.h>

#include "base/sock.h"

/* Starts a TCP connect from 127.0.0.`source` (0: the kernel chooses); the descriptor, or -1 with errno. */
int net_connect(const struct addr *to, uint32_t source);
/* As many descriptors as the hard limit allows; returns that number. */
uint64_t net_raise_fd_limit(void);
int64_t net_now_ns(void);

#endif
