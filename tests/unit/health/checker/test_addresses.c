/* The addresses of one name, with a name server of our own that takes its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "health/checker/addresses.h"
#include "tests/unit/until.h"

#define DNS_HEADER_BYTES 12u
#define QUESTIONS_MAX    8u
#define TYPE_A           1u

struct question {
    uint8_t bytes[512];
    struct sockaddr_in peer;
};

struct fixture {
    struct loop *loop;
    struct resolver *resolver;
    int dns_fd;
    struct io dns_io;
    struct question questions[QUESTIONS_MAX]; /* not answered yet */
    unsigned question_count;
    struct addresses addresses;
    unsigned calls;
};

static void on_question(void *arg, unsigned events)
{
    struct fixture *f = arg;
    struct question *q = &f->questions[f->question_count];
    socklen_t len = sizeof q->peer;
    (void)events;
    assert_true(f->question_count < QUESTIONS_MAX);
    assert_true(recvfrom(f->dns_fd, q->bytes, 400, 0, (struct sockaddr *)&q->peer, &len) > 0);
    f->question_count++;
}

/* 192.0.2.1 for every name, and no IPv6 address. */
static void answer(struct fixture *f, struct question *q)
{
    static const uint8_t record[] = {0xc0, DNS_HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
    uint8_t *p = q->bytes;
    size_t at = DNS_HEADER_BYTES + strlen((const char *)p + DNS_HEADER_BYTES) + 1;
    bool is_v4 = p[at + 1] == TYPE_A;
    at += 4;
    if (is_v4) {
        memcpy(p + at, record, sizeof record);
        at += sizeof record;
    }
    p[2] = 0x81, p[3] = 0x80;
    p[6] = 0, p[7] = is_v4;
    p[8] = p[9] = p[10] = p[11] = 0;
    assert_int_equal(sendto(f->dns_fd, p, at, 0, (struct sockaddr *)&q->peer, sizeof q->peer), at);
}

static void on_addresses(void *arg, enum err e)
{
    struct fixture *f = arg;
    (void)e;
    f->calls++;
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof own;
    char text[64];
    memset(f, 0, sizeof *f);
    f->loop = loop_create();
    f->dns_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->dns_fd, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(getsockname(f->dns_fd, (struct sockaddr *)&own, &len), 0);
    io_init(&f->dns_io, f->loop, f->dns_fd, on_question, f);
    io_want(&f->dns_io, IO_READ);
    f->resolver = resolver_create(f->loop);
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(own.sin_port));
    assert_true(resolver_set_servers(f->resolver, text));
    addresses_init(&f->addresses, f->loop, f->resolver, on_addresses, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    addresses_fini(&f->addresses);
    resolver_destroy(&f->resolver);
    io_fini(&f->dns_io);
    close(f->dns_fd);
    loop_destroy(&f->loop);
    return 0;
}

#define RUN_UNTIL(f, condition) UNTIL((f)->loop, condition)

static void test_who_waits_is_told(void **state)
{
    struct fixture *f = *state;
    assert_false(addresses_want(&f->addresses, "slow.test", 80));
    RUN_UNTIL(f, f->question_count >= 2); /* A and AAAA */
    for (unsigned i = 0; i < 2; i++)
        answer(f, &f->questions[i]);
    RUN_UNTIL(f, f->calls == 1);
    assert_true(addresses_want(&f->addresses, "slow.test", 80));
}

/* A first name server that is gone costs more time than most probes have. The lookup of the first probe goes on, and
 * asks again, while one after the other gives up. */
static void test_a_lookup_outlasts_the_patience_of_probes(void **state)
{
    struct fixture *f = *state;
    assert_false(addresses_want(&f->addresses, "slow.test", 80));
    const struct resolve_job *job = f->addresses.job;
    addresses_unwant(&f->addresses);
    RUN_UNTIL(f, f->question_count >= 4); /* A and AAAA, twice */
    assert_false(addresses_want(&f->addresses, "slow.test", 80));
    assert_ptr_equal(f->addresses.job, job);
    addresses_unwant(&f->addresses);
    for (unsigned i = 0; i < f->question_count; i++)
        answer(f, &f->questions[i]);
    RUN_UNTIL(f, f->addresses.count == 1);
    assert_true(addresses_want(&f->addresses, "slow.test", 80));
    assert_int_equal(f->calls, 0); /* nobody waited when it came */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_waits_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lookup_outlasts_the_patience_of_probes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
