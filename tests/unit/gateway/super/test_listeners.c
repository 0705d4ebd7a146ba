/* Which sockets a configuration needs: what is bound, kept, and closed from one to the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/super/listeners.h"

struct fixture {
    struct listeners *l;
    struct conf conf;
    struct conf_listen listen[4];
    char error[LISTENERS_ERROR_BYTES];
};

static void name_address(struct fixture *f, const char *text)
{
    struct conf_listen *c = &f->listen[f->conf.listen_count++];
    *c = (struct conf_listen){.text = text, .backlog = 16};
    assert_true(addr_parse(&c->addr, text));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->l = listeners_create();
    f->conf.workers = 2;
    f->conf.listen = f->listen;
    f->conf.admin.text = "";
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    listeners_destroy(&f->l);
    free(f);
    return 0;
}

static uint16_t port_of(int fd)
{
    struct addr a;
    assert_int_equal(sock_local_addr(fd, &a), ERR_NONE);
    return addr_port(&a);
}

/* Different texts for a port the kernel chooses, so that entries differ. Not 127.0.0.1, where connections of all the
 * machine have ports, and one that is free for UDP may be taken for TCP. */
#define FIRST  "127.0.0.7:0"
#define SECOND "127.0.0.2:0"
#define ADMIN  "127.0.0.3:0"

static void test_each_worker_has_a_socket_on_each_address(void **state)
{
    struct fixture *f = *state;
    name_address(f, FIRST);
    name_address(f, SECOND);
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    int a = listeners_worker_fd(f->l, FIRST, 0), b = listeners_worker_fd(f->l, FIRST, 1);
    assert_true(a >= 0 && b >= 0 && a != b);
    assert_int_equal(port_of(a), port_of(b));
    assert_true(listeners_worker_fd(f->l, SECOND, 1) >= 0);
    assert_int_equal(listeners_worker_fd(f->l, FIRST, 2), -1);
    assert_int_equal(listeners_worker_fd(f->l, "127.0.0.9:0", 0), -1);
    assert_int_equal(listeners_admin_fd(f->l, FIRST), -1);
}

static void test_what_stays_in_the_configuration_stays_bound(void **state)
{
    struct fixture *f = *state;
    name_address(f, FIRST);
    name_address(f, SECOND);
    f->conf.admin.text = ADMIN;
    assert_true(addr_parse(&f->conf.admin.addr, ADMIN));
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    int kept = listeners_worker_fd(f->l, FIRST, 1), admin = listeners_admin_fd(f->l, ADMIN);

    f->conf.listen_count = 1; /* the second address leaves */
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    assert_true(listeners_worker_fd(f->l, SECOND, 0) >= 0); /* not before the change is certain */
    listeners_retain(f->l, &f->conf);
    assert_int_equal(listeners_worker_fd(f->l, FIRST, 1), kept);
    assert_int_equal(listeners_admin_fd(f->l, ADMIN), admin);
    assert_int_equal(listeners_worker_fd(f->l, SECOND, 0), -1);
    f->conf.admin.text = "";
    listeners_retain(f->l, &f->conf);
    assert_int_equal(listeners_admin_fd(f->l, ADMIN), -1);
}

static void test_workers_come_and_go(void **state)
{
    struct fixture *f = *state;
    name_address(f, FIRST);
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    int first = listeners_worker_fd(f->l, FIRST, 0);
    f->conf.workers = 4;
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    assert_int_equal(port_of(listeners_worker_fd(f->l, FIRST, 3)), port_of(first));
    f->conf.workers = 1;
    listeners_retain(f->l, &f->conf);
    assert_int_equal(listeners_worker_fd(f->l, FIRST, 0), first);
    assert_int_equal(listeners_worker_fd(f->l, FIRST, 1), -1);
}

static void test_sockets_of_one_worker_are_closed_and_bound_again(void **state)
{
    struct fixture *f = *state;
    name_address(f, FIRST);
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    uint16_t port = port_of(listeners_worker_fd(f->l, FIRST, 0));
    listeners_close_worker(f->l, 0);
    assert_int_equal(listeners_worker_fd(f->l, FIRST, 0), -1);
    assert_true(listeners_worker_fd(f->l, FIRST, 1) >= 0);
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    assert_int_equal(port_of(listeners_worker_fd(f->l, FIRST, 0)), port);
}

static void test_a_worker_that_is_away_gets_no_sockets(void **state)
{
    struct fixture *f = *state;
    name_address(f, FIRST);
    f->conf.workers = 3;
    assert_true(listeners_bind(f->l, &f->conf, 1u << 1, f->error));
    assert_int_equal(listeners_worker_fd(f->l, FIRST, 1), -1);
    assert_true(listeners_worker_fd(f->l, FIRST, 2) >= 0);
    name_address(f, SECOND);
    listeners_close_worker(f->l, 0);
    assert_true(listeners_bind(f->l, &f->conf, ~(UINT64_C(1) << 1), f->error));
    assert_true(listeners_worker_fd(f->l, FIRST, 1) >= 0 && listeners_worker_fd(f->l, SECOND, 1) >= 0);
    assert_int_equal(listeners_worker_fd(f->l, FIRST, 0), -1);
    assert_int_equal(listeners_worker_fd(f->l, SECOND, 0), -1);
}

static void test_an_address_somebody_has_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct addr a;
    char text[ADDR_TEXT_BYTES];
    int other = -1;
    name_address(f, FIRST);
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    int kept = listeners_worker_fd(f->l, FIRST, 1);

    /* Somebody of the same user, who would share the port. */
    assert_true(addr_parse(&a, SECOND));
    assert_int_equal(sock_listen(&a, true, 8, &other), ERR_NONE);
    assert_int_equal(sock_local_addr(other, &a), ERR_NONE);
    addr_text(&a, text, sizeof text);
    name_address(f, "127.0.0.4:0");
    name_address(f, text);
    f->conf.workers = 3;
    assert_false(listeners_bind(f->l, &f->conf, 0, f->error));
    assert_non_null(strstr(f->error, text));
    assert_non_null(strstr(f->error, "somebody else listens there"));
    assert_int_equal(listeners_worker_fd(f->l, FIRST, 1), kept);
    assert_int_equal(listeners_worker_fd(f->l, FIRST, 2), -1);
    assert_int_equal(listeners_worker_fd(f->l, "127.0.0.4:0", 0), -1);
    close(other);
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
}

static void test_workers_share_one_unix_socket(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/tidegate-test-XXXXXX", text[64];
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof text, "unix:%s/s", dir);
    name_address(f, text);
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    int a = listeners_worker_fd(f->l, text, 0), b = listeners_worker_fd(f->l, text, 1);
    assert_true(a >= 0 && b >= 0 && a != b);
    assert_int_equal(stat(text + strlen("unix:"), &st), 0);
    listeners_close_all(f->l);
    assert_int_equal(rmdir(dir), 0); /* the file went with the socket */
}

static uint16_t type_of(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len), 0);
    return (uint16_t)type;
}

static void name_dns_addresses(struct fixture *f, struct conf_address *addresses, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(addr_parse(&addresses[i].addr, addresses[i].text));
    f->conf.dns.listen = addresses;
    f->conf.dns.listen_count = count;
}

static void test_dns_has_udp_and_tcp_on_one_port(void **state)
{
    struct fixture *f = *state;
    struct conf_address addresses[] = {{.text = FIRST}, {.text = SECOND}};
    name_address(f, FIRST); /* the same text, for clients */
    name_dns_addresses(f, addresses, 2);
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
    int udp = listeners_dns_fd(f->l, FIRST, LISTENERS_DNS_UDP), tcp = listeners_dns_fd(f->l, FIRST, LISTENERS_DNS_TCP);
    int sender = listeners_dns_fd(f->l, FIRST, LISTENERS_DNS_SENDER);
    assert_true(sock_is_udp_sender(sender) && !sock_is_udp_sender(udp) && !sock_is_udp_sender(tcp));
    assert_int_equal(port_of(sender), port_of(udp));
    assert_int_equal(type_of(udp), SOCK_DGRAM);
    assert_int_equal(type_of(tcp), SOCK_STREAM);
    assert_int_equal(port_of(udp), port_of(tcp));
    assert_int_not_equal(port_of(tcp), port_of(listeners_worker_fd(f->l, FIRST, 0)));

    f->conf.dns.listen_count = 1;
    listeners_retain(f->l, &f->conf);
    assert_int_equal(listeners_dns_fd(f->l, FIRST, LISTENERS_DNS_UDP), udp);
    assert_int_equal(listeners_dns_fd(f->l, SECOND, LISTENERS_DNS_TCP), -1);
}

static void test_a_dns_port_somebody_answers_on_is_refused(void **state)
{
    struct fixture *f = *state;
    struct addr a;
    char text[ADDR_TEXT_BYTES];
    int other = -1;
    assert_true(addr_parse(&a, FIRST));
    assert_int_equal(sock_bind_udp(&a, &other), ERR_NONE);
    assert_int_equal(sock_local_addr(other, &a), ERR_NONE);
    struct conf_address address = {.text = addr_text(&a, text, sizeof text)};
    name_dns_addresses(f, &address, 1);
    assert_false(listeners_bind(f->l, &f->conf, 0, f->error));
    assert_non_null(strstr(f->error, "somebody else listens there"));
    close(other);
    assert_true(listeners_bind(f->l, &f->conf, 0, f->error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_worker_has_a_socket_on_each_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_stays_in_the_configuration_stays_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_workers_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sockets_of_one_worker_are_closed_and_bound_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_worker_that_is_away_gets_no_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_address_somebody_has_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_workers_share_one_unix_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dns_has_udp_and_tcp_on_one_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_dns_port_somebody_answers_on_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
