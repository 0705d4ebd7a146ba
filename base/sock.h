/* Socket addresses and the few socket calls the program makes. Everything is non-blocking and close-on-exec. */
#ifndef BASE_SOCK_H
#define BASE_SOCK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"

struct addr {
    socklen_t len; /* 0: none */
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    };
};

#define ADDR_TEXT_BYTES 128u /* any address as text, with port and NUL */

/* "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock"; numbers only, no names. False when it is none of these. */
bool addr_parse(struct addr *a, const char *text);
/* From a numeric IP (no brackets) and a port; false when `ip` is not numeric. */
bool addr_from_ip(struct addr *a, const char *ip, uint16_t port);
const char *addr_text(const struct addr *a, char *out, size_t cap_bytes);    /* with port; returns `out` */
const char *addr_ip_text(const struct addr *a, char *out, size_t cap_bytes); /* IP alone; "unix" for local sockets */
uint16_t addr_port(const struct addr *a);
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_any(const struct addr *a); /* 0.0.0.0 or [::] */

/* An address block; IPv4-mapped IPv6 addresses match IPv4 blocks. */
struct cidr {
    uint8_t bytes[16]; /* IPv4 is kept as ::ffff:a.b.c.d */
    uint8_t prefix_bits;
};
bool cidr_parse(struct cidr *c, const char *text); /* "10.0.0.0/8", "::1", "fd00::/8" */
bool cidr_contains(const struct cidr *c, const struct addr *a);

/* Listening TCP (SO_REUSEPORT when `share_port`) or unix socket; *fd belongs to the caller. */
enum err sock_listen(const struct addr *a, bool share_port, int backlog, int *fd) MUST_CHECK;
/* A UDP socket for a server: with room for a burst, never shared, and no datagram it sends is kept from being
 * fragmented. One that is bound to all addresses tells with each datagram to which one it came (IP_PKTINFO). */
enum err sock_bind_udp(const struct addr *a, int *fd) MUST_CHECK;
/* Two of them on one address: the first only sends, the second receives. A socket that is waited for pays for that with
 * each datagram it sends, too; one that nobody waits for does not. `a` is free, so far as sock_bind_udp() can tell. */
enum err sock_bind_udp_sender(const struct addr *a, int *fd) MUST_CHECK;
enum err sock_bind_udp_beside(const struct addr *a, int sender_fd, int *fd) MUST_CHECK;
bool sock_is_udp_sender(int fd);
/* Starts a connect: ERR_NONE at once or later (wait for writability, then sock_connect_result). */
enum err sock_connect(const struct addr *a, int *fd) MUST_CHECK;
/* The same, but nobody asks whether a silent peer is still there before sock_probe_idle(): three system calls that a
 * connection which does not last has no use for. */
enum err sock_connect_briefly(const struct addr *a, int *fd) MUST_CHECK;
enum err sock_connect_result(int fd) MUST_CHECK;
/* A TCP peer that has been silent for a minute is asked for a sign of life, and one that acknowledges nothing for two
 * is given up. The minute counts from when it was last heard, however late this is called. */
void sock_probe_idle(int fd);
/* Whether it met itself: a connect to a free local port out of the ephemeral range may be given that very port. */
bool sock_is_self_connected(int fd, const struct addr *peer);
/* Next waiting client, ERR_AGAIN when there is none, ERR_LIMIT when descriptors ran out. */
enum err sock_accept(int listen_fd, int *fd, struct addr *peer) MUST_CHECK;
enum err sock_local_addr(int fd, struct addr *a) MUST_CHECK;
/* Makes the socket readable only when at least so many bytes wait; 1 is the normal state. */
void sock_set_low_water(int fd, int byte_count);
/* Makes the coming close(2) send RST instead of FIN. */
void sock_reset_on_close(int fd);

#endif
