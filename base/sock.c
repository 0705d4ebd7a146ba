/* Addresses as text and as bytes, and the socket calls everything else is built from.
 *
 * The hard part is accept(2): Linux passes pending network errors of the new connection through it, so most of its
 * errors say something about one client and nothing about the listener. They are skipped; running out of descriptors
 * is the one thing the caller must know, because the listener stays readable and the loop would spin. */
#include "base/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"

#define UNIX_PREFIX      "unix:"
#define KEEPALIVE_IDLE_S 60
#define USER_TIMEOUT_MS  120000    /* also ends the probing; see tcp(7) */
#define UDP_ROOM_BYTES   (4 << 20) /* some ten milliseconds of packets as fast as one process answers */
#define ACCEPT_TRIES_MAX 16        /* clients that went away before they were taken, per call */

static bool port_parse(const char *text, uint16_t *port)
{
    uint32_t value = 0;
    size_t digits = 0;
    for (; text[digits] != '\0'; digits++) {
        if (text[digits] < '0' || text[digits] > '9' || digits == 5)
            return false;
        value = value * 10 + (uint32_t)(text[digits] - '0');
    }
    *port = (uint16_t)value;
    return digits > 0 && value <= UINT16_MAX;
}

static bool unix_parse(struct addr *a, const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof a->un.sun_path)
        return false;
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, path, len + 1);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return true;
}

bool addr_from_ip(struct addr *a, const char *ip, uint16_t port)
{
    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, ip, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons(port);
        a->len = sizeof a->v4;
        return true;
    }
    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET6, ip, &a->v6.sin6_addr) == 1) {
        a->v6.sin6_family = AF_INET6;
        a->v6.sin6_port = htons(port);
        a->len = sizeof a->v6;
        return true;
    }
    return false;
}

bool addr_parse(struct addr *a, const char *text)
{
    memset(a, 0, sizeof *a);
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return unix_parse(a, text + strlen(UNIX_PREFIX));

    const char *colon = strrchr(text, ':');
    uint16_t port = 0;
    if (colon == NULL || !port_parse(colon + 1, &port))
        return false;
    bool is_bracketed = text[0] == '[';
    size_t start = is_bracketed ? 1 : 0;
    size_t end = (size_t)(colon - text);
    if (is_bracketed) {
        if (end < 2 || text[end - 1] != ']')
            return false;
        end--;
    }
    char ip[INET6_ADDRSTRLEN];
    if (end <= start || end - start >= sizeof ip)
        return false;
    memcpy(ip, text + start, end - start);
    ip[end - start] = '\0';
    return addr_from_ip(a, ip, port) && (a->sa.sa_family == AF_INET6) == is_bracketed;
}

/* Each request asks for it twice, and inet_ntop(3) would call printf. */
static void ip4_text(const struct in_addr *ip, char out[INET_ADDRSTRLEN])
{
    const uint8_t *octets = (const uint8_t *)&ip->s_addr;
    char *at = out;
    for (size_t i = 0; i < 4; i++) {
        at += decimal_text(octets[i], at);
        *at++ = i < 3 ? '.' : '\0';
    }
}

const char *addr_ip_text(const struct addr *a, char *out, size_t cap_bytes)
{
    ASSERT(cap_bytes >= INET6_ADDRSTRLEN);
    if (a->len == 0)
        snprintf(out, cap_bytes, "none");
    else if (a->sa.sa_family == AF_INET)
        ip4_text(&a->v4.sin_addr, out);
    else if (a->sa.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &a->v6.sin6_addr, out, (socklen_t)cap_bytes);
    else
        snprintf(out, cap_bytes, "unix");
    return out;
}

const char *addr_text(const struct addr *a, char *out, size_t cap_bytes)
{
    ASSERT(cap_bytes >= ADDR_TEXT_BYTES);
    char ip[INET6_ADDRSTRLEN];
    if (a->len != 0 && a->sa.sa_family == AF_UNIX) {
        size_t max = sizeof a->un.sun_path;
        size_t room = a->len - (socklen_t)offsetof(struct sockaddr_un, sun_path);
        const char *path = room > 0 ? a->un.sun_path : "";
        snprintf(out, cap_bytes, UNIX_PREFIX "%.*s", (int)(room < max ? room : max), path);
        return out;
    }
    addr_ip_text(a, ip, sizeof ip);
    if (a->len == 0)
        snprintf(out, cap_bytes, "%s", ip);
    else
        snprintf(out, cap_bytes, a->sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, (unsigned)addr_port(a));
    return out;
}

uint16_t addr_port(const struct addr *a)
{
    if (a->len == 0)
        return 0;
    if (a->sa.sa_family == AF_INET)
        return ntohs(a->v4.sin_port);
    return a->sa.sa_family == AF_INET6 ? ntohs(a->v6.sin6_port) : 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    if (a->len == 0 || b->len == 0)
        return a->len == b->len;
    if (a->sa.sa_family != b->sa.sa_family || addr_port(a) != addr_port(b))
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    if (a->sa.sa_family == AF_INET6)
        return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0 &&
               a->v6.sin6_scope_id == b->v6.sin6_scope_id;
    return a->len == b->len && memcmp(&a->un, &b->un, a->len) == 0;
}

bool addr_is_any(const struct addr *a)
{
    if (a->len == 0)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

/* Every IP address as 16 bytes, IPv4 as ::ffff:a.b.c.d; false for anything else. */
static bool ip_bytes(const struct addr *a, uint8_t out[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (a->len != 0 && a->sa.sa_family == AF_INET) {
        memcpy(out, mapped, sizeof mapped);
        memcpy(out + sizeof mapped, &a->v4.sin_addr, 4);
        return true;
    }
    if (a->len != 0 && a->sa.sa_family == AF_INET6) {
        memcpy(out, &a->v6.sin6_addr, 16);
        return true;
    }
    return false;
}

bool cidr_parse(struct cidr *c, const char *text)
{
    char ip[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    struct addr a;
    if (len == 0 || len >= sizeof ip)
        return false;
    memcpy(ip, text, len);
    ip[len] = '\0';
    if (!addr_from_ip(&a, ip, 0) || !ip_bytes(&a, c->bytes))
        return false;

    uint16_t max = a.sa.sa_family == AF_INET ? 32 : 128;
    uint16_t bits = max;
    if (slash != NULL && (!port_parse(slash + 1, &bits) || bits > max))
        return false;
    c->prefix_bits = (uint8_t)(bits + (max == 32 ? 96 : 0));
    return true;
}

bool cidr_contains(const struct cidr *c, const struct addr *a)
{
    uint8_t bytes[16];
    if (!ip_bytes(a, bytes))
        return false;
    size_t whole = c->prefix_bits / 8u;
    if (memcmp(bytes, c->bytes, whole) != 0)
        return false;
    unsigned rest = c->prefix_bits % 8u;
    return rest == 0 || ((bytes[whole] ^ c->bytes[whole]) >> (8u - rest)) == 0;
}

static void set_int(int fd, int level, int option, int value)
{
    /* These options tune; a socket without them still works. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

static enum err fail_close(int fd)
{
    enum err e = err_from_errno(errno);
    close(fd);
    return e;
}

/* Who finds the name of a unix socket taken by something else is told EINVAL. */
static bool unix_is_other_file(const struct addr *a)
{
    struct stat st;
    return lstat(a->un.sun_path, &st) == 0 && !S_ISSOCK(st.st_mode);
}

/* A unix socket file whose owner died refuses connections; it may be replaced. */
static bool unix_is_abandoned(const struct addr *a)
{
    struct stat st;
    int saved = errno;
    bool is_refused = false;
    if (lstat(a->un.sun_path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        is_refused = fd >= 0 && connect(fd, &a->sa, a->len) != 0 && errno == ECONNREFUSED;
        if (fd >= 0)
            close(fd);
    }
    errno = saved;
    return is_refused;
}

/* A peer that vanished without a word is noticed, whether the connection is silent (keepalive) or bytes for it are
 * under way (user timeout, RFC 5482), in about two minutes. */
void sock_probe_idle(int fd)
{
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

enum err sock_listen(const struct addr *a, bool share_port, int backlog, int *fd)
{
    ASSERT(a->len != 0);
    bool is_unix = a->sa.sa_family == AF_UNIX;
    int s = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        return err_from_errno(errno);
    if (!is_unix) {
        set_int(s, SOL_SOCKET, SO_REUSEADDR, 1);
        if (share_port)
            set_int(s, SOL_SOCKET, SO_REUSEPORT, 1);
        /* No waiting for more bytes to send along; and what follows. Accepted sockets inherit both, which saves the
         * calls per client. */
        set_int(s, IPPROTO_TCP, TCP_NODELAY, 1);
        sock_probe_idle(s);
        /* "[::]:80" beside "0.0.0.0:80" must not clash. */
        if (a->sa.sa_family == AF_INET6)
            set_int(s, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    int rc = bind(s, &a->sa, a->len);
    if (rc != 0 && errno == EADDRINUSE && is_unix && unix_is_abandoned(a)) {
        unlink(a->un.sun_path);
        rc = bind(s, &a->sa, a->len);
    }
    if (rc != 0 && errno == EADDRINUSE && is_unix && unix_is_other_file(a))
        errno = EINVAL;
    if (rc != 0)
        return fail_close(s);
    if (listen(s, backlog) != 0)
        return fail_close(s);
    *fd = s;
    return ERR_NONE;
}

/* The path's MTU is left out of account: what a forged ICMP message says about it must not shape answers. */
static enum err bind_udp(const struct addr *a, bool is_beside_another, int *fd)
{
    ASSERT(a->len != 0 && a->sa.sa_family != AF_UNIX);
    const int room_bytes = UDP_ROOM_BYTES;
    int s = socket(a->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        return err_from_errno(errno);
    if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room_bytes, sizeof room_bytes) != 0)
        set_int(s, SOL_SOCKET, SO_RCVBUF, room_bytes);
    if (setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &room_bytes, sizeof room_bytes) != 0)
        set_int(s, SOL_SOCKET, SO_SNDBUF, room_bytes);
    if (a->sa.sa_family == AF_INET6) {
        set_int(s, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        set_int(s, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
        set_int(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, addr_is_any(a));
    } else {
        set_int(s, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
        set_int(s, IPPROTO_IP, IP_PKTINFO, addr_is_any(a));
    }
    set_int(s, SOL_SOCKET, SO_REUSEADDR, is_beside_another);
    if (bind(s, &a->sa, a->len) != 0)
        return fail_close(s);
    *fd = s;
    return ERR_NONE;
}

enum err sock_bind_udp(const struct addr *a, int *fd)
{
    return bind_udp(a, false, fd);
}

/* A connected socket gets nothing but what its peer sends, and this one is its own peer: it is connected before the
 * other one is there, so that no datagram ever falls into it. */
enum err sock_bind_udp_sender(const struct addr *a, int *fd)
{
    struct addr self;
    int s = -1;
    enum err e = bind_udp(a, true, &s);
    if (e != ERR_NONE)
        return e;
    set_int(s, SOL_SOCKET, SO_RCVBUF, 0); /* what somebody forges from ourselves is not kept: nobody reads here */
    e = sock_local_addr(s, &self);
    if (e == ERR_NONE && addr_is_any(&self) && self.sa.sa_family == AF_INET)
        self.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (e == ERR_NONE && addr_is_any(&self))
        self.v6.sin6_addr = in6addr_loopback;
    if (e == ERR_NONE && connect(s, &self.sa, self.len) != 0)
        e = err_from_errno(errno);
    if (e == ERR_NONE)
        *fd = s;
    else
        close(s);
    return e;
}

/* Once both are there the port is closed to everybody else. */
enum err sock_bind_udp_beside(const struct addr *a, int sender_fd, int *fd)
{
    enum err e = bind_udp(a, true, fd);
    if (e == ERR_NONE)
        set_int(*fd, SOL_SOCKET, SO_REUSEADDR, 0);
    set_int(sender_fd, SOL_SOCKET, SO_REUSEADDR, 0);
    return e;
}

bool sock_is_udp_sender(int fd)
{
    struct addr peer = {.len = sizeof peer.un};
    int type = 0;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM &&
           getpeername(fd, &peer.sa, &peer.len) == 0;
}

enum err sock_connect_briefly(const struct addr *a, int *fd)
{
    ASSERT(a->len != 0);
    int s = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        return errno == EMFILE || errno == ENFILE ? ERR_LIMIT : err_from_errno(errno);
    if (a->sa.sa_family != AF_UNIX)
        set_int(s, IPPROTO_TCP, TCP_NODELAY, 1);
    if (connect(s, &a->sa, a->len) != 0 && errno != EINPROGRESS) {
        /* EAGAIN: a unix socket with a full backlog, or no free local port; waiting would not be told of either. */
        if (errno == EAGAIN)
            errno = a->sa.sa_family == AF_UNIX ? ECONNREFUSED : EADDRNOTAVAIL;
        return fail_close(s);
    }
    *fd = s;
    return ERR_NONE;
}

enum err sock_connect(const struct addr *a, int *fd)
{
    enum err e = sock_connect_briefly(a, fd);
    if (e == ERR_NONE && a->sa.sa_family != AF_UNIX)
        sock_probe_idle(*fd);
    return e;
}

enum err sock_connect_result(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return err_from_errno(errno);
    return err_from_errno(error);
}

bool sock_is_self_connected(int fd, const struct addr *peer)
{
    struct addr local;
    return sock_local_addr(fd, &local) == ERR_NONE && addr_equal(&local, peer);
}

enum err sock_accept(int listen_fd, int *fd, struct addr *peer)
{
    for (int tries = 0; tries < ACCEPT_TRIES_MAX; tries++) {
        memset(peer, 0, sizeof *peer);
        peer->len = sizeof(struct sockaddr_un);
        int s = accept4(listen_fd, &peer->sa, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (s >= 0) {
            *fd = s;
            return ERR_NONE;
        }
        peer->len = 0;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            return ERR_LIMIT;
        if (errno == EAGAIN)
            return ERR_AGAIN;
        if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP)
            return err_from_errno(errno);
    }
    return ERR_AGAIN;
}

enum err sock_local_addr(int fd, struct addr *a)
{
    memset(a, 0, sizeof *a);
    a->len = sizeof(struct sockaddr_un);
    if (getsockname(fd, &a->sa, &a->len) == 0)
        return ERR_NONE;
    a->len = 0;
    return err_from_errno(errno);
}

void sock_reset_on_close(int fd)
{
    struct linger l = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

void sock_set_low_water(int fd, int byte_count)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &byte_count, sizeof byte_count);
}
