/* Addresses read and written, address blocks, and the socket calls on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sock.h"

static void test_an_address_is_read_and_written_back(void **state)
{
    (void)state;
    const struct {
        const char *text, *ip;
        int family;
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1", AF_INET, 80},
        {"0.0.0.0:0", "0.0.0.0", AF_INET, 0},
        {"255.255.255.255:65535", "255.255.255.255", AF_INET, 65535},
        {"[::1]:443", "::1", AF_INET6, 443},
        {"[2001:db8::7]:8080", "2001:db8::7", AF_INET6, 8080},
        {"unix:/run/x.sock", "unix", AF_UNIX, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr a;
        char text[ADDR_TEXT_BYTES];
        assert_true(addr_parse(&a, cases[i].text));
        assert_int_equal(a.sa.sa_family, cases[i].family);
        assert_int_equal(addr_port(&a), cases[i].port);
        assert_string_equal(addr_text(&a, text, sizeof text), cases[i].text);
        assert_string_equal(addr_ip_text(&a, text, sizeof text), cases[i].ip);
    }
}

static void test_what_is_no_address_is_refused(void **state)
{
    (void)state;
    const char *const cases[] = {
        "",       "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",   "127.0.0.1:8o",   "localhost:80",
        "::1:80", "[::1]",     "[::1]80",    "[::1:80",         "[127.0.0.1]:80", "1.2.3:80",       ":80",
        "[]:80",  "unix:",     "[::1]:",     "256.0.0.1:80",    "1.2.3.4:000080", "[fe80::1%lo]:1", "1.2.3.4 :80",
    };
    struct addr a;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (addr_parse(&a, cases[i]))
            fail_msg("accepted: %s", cases[i]);

    char path[300] = "unix:/";
    memset(path + 6, 'p', sizeof path - 7);
    path[sizeof path - 1] = '\0';
    assert_false(addr_parse(&a, path));
}

static void test_addresses_are_compared_by_meaning(void **state)
{
    (void)state;
    struct addr a, b;
    const struct addr none = {.len = 0};
    assert_true(addr_parse(&a, "[2001:db8:0:0::1]:80") && addr_parse(&b, "[2001:db8::1]:80"));
    assert_true(addr_equal(&a, &b));
    assert_true(addr_parse(&b, "[2001:db8::1]:81"));
    assert_false(addr_equal(&a, &b));
    assert_true(addr_parse(&b, "unix:/tmp/a") && addr_parse(&a, "unix:/tmp/a"));
    assert_true(addr_equal(&a, &b));
    assert_true(addr_parse(&b, "unix:/tmp/b"));
    assert_false(addr_equal(&a, &b));
    assert_true(addr_equal(&none, &none));
    assert_false(addr_equal(&none, &a));
}

static void test_address_blocks(void **state)
{
    (void)state;
    const struct {
        const char *block, *ip;
        bool is_inside;
    } cases[] = {
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"192.168.1.128/25", "192.168.1.129", true},
        {"192.168.1.128/25", "192.168.1.127", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"fd00::/7", "fdff::1", true},
        {"fd00::/8", "fe00::1", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.0/8", "::ffff:127.3.2.1", true},
        {"127.0.0.1/32", "127.0.0.2", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cidr c;
        struct addr a;
        assert_true(cidr_parse(&c, cases[i].block));
        assert_true(addr_from_ip(&a, cases[i].ip, 1));
        if (cidr_contains(&c, &a) != cases[i].is_inside)
            fail_msg("%s in %s", cases[i].ip, cases[i].block);
    }
    struct cidr c;
    const char *const bad[] = {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "ten/8", "10.0.0.0/8/8", "10.0.0.0/-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(cidr_parse(&c, bad[i]));
    assert_true(cidr_parse(&c, "0.0.0.0/0"));
    struct addr local;
    assert_true(addr_parse(&local, "unix:/tmp/a"));
    assert_false(cidr_contains(&c, &local));
}

static int listen_on(const char *text, bool share_port, struct addr *bound)
{
    struct addr a;
    int fd = -1;
    assert_true(addr_parse(&a, text));
    assert_int_equal(sock_listen(&a, share_port, 8, &fd), ERR_NONE);
    assert_int_equal(sock_local_addr(fd, bound), ERR_NONE);
    return fd;
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    assert_int_equal(poll(&p, 1, 5000), 1);
}

static bool is_probed(int fd)
{
    int keeps = 0, timeout_ms = 0;
    socklen_t len = sizeof keeps;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keeps, &len), 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, &len), 0);
    assert_int_equal(keeps != 0, timeout_ms > 0);
    return keeps != 0;
}

static void test_connect_and_accept(void **state)
{
    (void)state;
    struct addr server, client_seen, client_own;
    int l = listen_on("127.0.0.1:0", false, &server), c = -1, s = -1;
    assert_int_equal(sock_accept(l, &s, &client_seen), ERR_AGAIN);

    assert_int_equal(sock_connect(&server, &c), ERR_NONE);
    wait_for(c, POLLOUT);
    assert_int_equal(sock_connect_result(c), ERR_NONE);
    wait_for(l, POLLIN);
    assert_int_equal(sock_accept(l, &s, &client_seen), ERR_NONE);
    assert_int_equal(sock_local_addr(c, &client_own), ERR_NONE);
    assert_true(addr_equal(&client_seen, &client_own));

    /* Both ends notice a peer that vanished; the accepted one inherited that. */
    assert_true(is_probed(c));
    assert_true(is_probed(s));

    /* A reset is seen as one, not as an orderly end. */
    sock_reset_on_close(c);
    close(c);
    wait_for(s, POLLIN);
    char byte;
    assert_int_equal(read(s, &byte, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    close(s);
    close(l);
}

static void test_a_brief_connect_is_probed_once_that_is_asked_for(void **state)
{
    (void)state;
    struct addr server;
    int l = listen_on("127.0.0.1:0", false, &server), c = -1, no_delay = 0;
    socklen_t len = sizeof no_delay;
    assert_int_equal(sock_connect_briefly(&server, &c), ERR_NONE);
    wait_for(c, POLLOUT);
    assert_int_equal(sock_connect_result(c), ERR_NONE);
    assert_int_equal(getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len), 0);
    assert_int_equal(no_delay, 1);
    assert_false(is_probed(c));
    sock_probe_idle(c);
    assert_true(is_probed(c));
    close(c);
    close(l);
}

static void test_a_port_nobody_listens_on_refuses(void **state)
{
    (void)state;
    struct addr a;
    int c = -1;
    close(listen_on("127.0.0.1:0", false, &a));
    enum err e = sock_connect(&a, &c);
    if (e == ERR_NONE) {
        wait_for(c, POLLOUT);
        e = sock_connect_result(c);
        close(c);
    }
    assert_int_equal(e, ERR_REFUSED);
}

static void test_a_socket_that_meets_itself_is_told_from_one_that_is_served(void **state)
{
    (void)state;
    struct addr a;
    int l = listen_on("127.0.0.1:0", false, &a), c = -1;
    assert_int_equal(sock_connect(&a, &c), ERR_NONE);
    wait_for(c, POLLOUT);
    assert_false(sock_is_self_connected(c, &a));
    close(c);
    close(l);

    assert_true(addr_parse(&a, "127.0.0.1:0"));
    c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(c, &a.sa, a.len), 0);
    assert_int_equal(sock_local_addr(c, &a), ERR_NONE);
    assert_int_equal(connect(c, &a.sa, a.len), 0); /* to the port it was given */
    assert_true(sock_is_self_connected(c, &a));
    close(c);
}

static void test_a_taken_port_is_busy_unless_shared(void **state)
{
    (void)state;
    struct addr a;
    int second = -1;
    int alone = listen_on("127.0.0.1:0", false, &a);
    assert_int_equal(sock_listen(&a, false, 8, &second), ERR_BUSY);
    close(alone);

    int shared = listen_on("127.0.0.1:0", true, &a);
    assert_int_equal(sock_listen(&a, true, 8, &second), ERR_NONE);
    close(shared);
    close(second);
}

static void test_both_families_on_one_port(void **state)
{
    (void)state;
    struct addr v4, v6, any;
    int first = listen_on("0.0.0.0:0", false, &v4), second = -1;
    char text[32];
    snprintf(text, sizeof text, "[::]:%u", addr_port(&v4));
    assert_true(addr_parse(&any, text));
    enum err e = sock_listen(&any, false, 8, &second);
    if (e == ERR_NONE) {
        assert_int_equal(sock_local_addr(second, &v6), ERR_NONE);
        close(second);
    } else {
        assert_int_equal(e, ERR_INVALID); /* a machine without IPv6 */
    }
    close(first);
}

/* Whatever comes arrives at the one that receives; the other one sends from the same port, and nobody can join them. */
static void test_a_port_with_one_socket_to_send_and_one_to_receive(void **state)
{
    static const char *const addresses[] = {"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"};
    static const char *const reached_at[] = {"127.0.0.1", "127.0.0.7", "::1", "::1"};
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct addr a, client_addr, from = {.len = sizeof from.un};
        int fd = -1, sender = -1, client = -1, third = -1;
        char byte;
        assert_true(addr_parse(&a, addresses[i]));
        assert_int_equal(sock_bind_udp_sender(&a, &sender), ERR_NONE);
        const uint16_t port =
            (assert_int_equal(sock_local_addr(sender, &client_addr), ERR_NONE), addr_port(&client_addr));
        if (a.sa.sa_family == AF_INET)
            a.v4.sin_port = htons(port);
        else
            a.v6.sin6_port = htons(port);
        assert_int_equal(sock_bind_udp_beside(&a, sender, &fd), ERR_NONE);
        assert_true(sock_is_udp_sender(sender) && !sock_is_udp_sender(fd));
        assert_int_equal(sock_bind_udp(&a, &third), ERR_BUSY);
        assert_int_equal(sock_bind_udp_sender(&a, &third), ERR_BUSY);

        client = socket(a.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(addr_from_ip(&client_addr, reached_at[i], port));
        for (int n = 0; n < 20; n++)
            assert_int_equal(sendto(client, "q", 1, 0, &client_addr.sa, client_addr.len), 1);
        for (int n = 0; n < 20; n++)
            assert_int_equal(recvfrom(fd, &byte, 1, 0, &from.sa, &from.len), 1);
        assert_int_equal(recv(sender, &byte, 1, 0), -1);
        assert_int_equal(sendto(sender, "a", 1, 0, &from.sa, from.len), 1);
        assert_int_equal(recvfrom(client, &byte, 1, 0, &from.sa, &from.len), 1);
        assert_int_equal(addr_port(&from), port);
        close(fd), close(sender), close(client);
    }
}

static void test_an_abandoned_unix_socket_is_replaced_and_nothing_else_is(void **state)
{
    (void)state;
    char dir[] = "/tmp/tidegate-test-XXXXXX", text[128], other[160];
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof text, "unix:%s/s", dir);
    struct addr a, seen;
    int alive = listen_on(text, false, &seen), again = -1;
    assert_true(addr_parse(&a, text));
    assert_true(addr_equal(&seen, &a));
    assert_int_equal(sock_listen(&a, false, 8, &again), ERR_BUSY);
    close(alive);
    assert_int_equal(sock_listen(&a, false, 8, &again), ERR_NONE);
    close(again);
    unlink(a.un.sun_path);

    FILE *f = fopen(a.un.sun_path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(sock_listen(&a, false, 8, &again), ERR_INVALID);
    struct stat st;
    assert_int_equal(stat(a.un.sun_path, &st), 0);
    unlink(a.un.sun_path);
    rmdir(dir);

    snprintf(other, sizeof other, "unix:%s/none/s", dir);
    assert_true(addr_parse(&a, other));
    assert_int_equal(sock_listen(&a, false, 8, &again), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_is_read_and_written_back),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_addresses_are_compared_by_meaning),
        cmocka_unit_test(test_address_blocks),
        cmocka_unit_test(test_connect_and_accept),
        cmocka_unit_test(test_a_brief_connect_is_probed_once_that_is_asked_for),
        cmocka_unit_test(test_a_port_nobody_listens_on_refuses),
        cmocka_unit_test(test_a_socket_that_meets_itself_is_told_from_one_that_is_served),
        cmocka_unit_test(test_a_taken_port_is_busy_unless_shared),
        cmocka_unit_test(test_both_families_on_one_port),
        cmocka_unit_test(test_a_port_with_one_socket_to_send_and_one_to_receive),
        cmocka_unit_test(test_an_abandoned_unix_socket_is_replaced_and_nothing_else_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
