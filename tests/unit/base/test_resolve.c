/* Names become addresses, exactly once, never too early and never too late. A name server of our own on loopback
 * answers, lies or keeps silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/resolve.h"

#define DNS_HEADER_BYTES 12u
#define TYPE_A           1u
#define TYPE_AAAA        28u

struct fixture {
    struct loop *loop;
    struct resolver *resolver;
    int dns_fd;
    struct io dns_io;
    unsigned questions;
    unsigned calls;
    enum err result;
    size_t addr_count;
    struct addr addrs[RESOLVE_ADDRS_MAX];
    uint32_t ttl_s;
    bool destroy_in_callback;
};

/* ---- the name server ---- */

static size_t put(uint8_t *p, size_t at, const void *bytes, size_t len)
{
    memcpy(p + at, bytes, len);
    return at + len;
}

/* One answer record that points back to the question's name. */
static size_t put_record(uint8_t *p, size_t at, unsigned type, uint32_t ttl_s, const void *data, uint8_t len)
{
    const uint8_t head[] = {0xc0, DNS_HEADER_BYTES, 0, (uint8_t)type, 0, 1, 0, 0, 0, (uint8_t)ttl_s, 0, len};
    return put(p, put(p, at, head, sizeof head), data, len);
}

/* "good.*": two IPv4 and one IPv6 address, "many.*": twenty-five, "empty.*": none, "silent.*": no answer, else
 * NXDOMAIN. */
static void on_question(void *arg, unsigned events)
{
    (void)events;
    struct fixture *f = arg;
    uint8_t p[1500];
    struct sockaddr_in peer;
    socklen_t peer_len = sizeof peer;
    ssize_t n = recvfrom(f->dns_fd, p, 512, 0, (struct sockaddr *)&peer, &peer_len);
    assert_true(n > (ssize_t)DNS_HEADER_BYTES + 5);
    f->questions++;
    char label[64] = "";
    memcpy(label, p + DNS_HEADER_BYTES + 1, p[DNS_HEADER_BYTES]);
    size_t at = DNS_HEADER_BYTES + strlen((const char *)p + DNS_HEADER_BYTES) + 1;
    unsigned type = p[at + 1];
    at += 4;
    if (strcmp(label, "silent") == 0)
        return;
    unsigned answers = 0;
    bool is_known = strcmp(label, "good") == 0 || strcmp(label, "many") == 0 || strcmp(label, "empty") == 0;
    if (strcmp(label, "good") == 0 && type == TYPE_A) {
        at = put_record(p, at, TYPE_A, 60, (uint8_t[]){127, 0, 0, 1}, 4);
        at = put_record(p, at, TYPE_A, 30, (uint8_t[]){127, 0, 0, 2}, 4);
        answers = 2;
    } else if (strcmp(label, "good") == 0 && type == TYPE_AAAA) {
        at = put_record(p, at, TYPE_AAAA, 90, (uint8_t[16]){[15] = 1}, 16);
        answers = 1;
    } else if (strcmp(label, "many") == 0 && type == TYPE_A) {
        for (; answers < 25; answers++)
            at = put_record(p, at, TYPE_A, 5, (uint8_t[]){127, 0, 1, (uint8_t)answers}, 4);
    }
    p[2] = 0x81, p[3] = is_known ? 0x80 : 0x83; /* response; 3: NXDOMAIN */
    p[6] = 0, p[7] = (uint8_t)answers;
    p[8] = p[9] = p[10] = p[11] = 0; /* no authority, and the question's additional record is not sent back */
    sendto(f->dns_fd, p, at, 0, (struct sockaddr *)&peer, peer_len);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof own;
    char text[64];
    f->loop = loop_create();
    f->dns_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->dns_fd, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(getsockname(f->dns_fd, (struct sockaddr *)&own, &len), 0);
    io_init(&f->dns_io, f->loop, f->dns_fd, on_question, f);
    io_want(&f->dns_io, IO_READ);
    f->resolver = resolver_create(f->loop);
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(own.sin_port));
    assert_true(resolver_set_servers(f->resolver, text));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->resolver != NULL)
        resolver_destroy(&f->resolver);
    io_fini(&f->dns_io);
    close(f->dns_fd);
    loop_destroy(&f->loop);
    free(f);
    return 0;
}

static void on_resolved(void *arg, enum err e, const struct addr *addrs, size_t count, uint32_t ttl_s)
{
    struct fixture *f = arg;
    f->calls++;
    f->result = e;
    f->addr_count = count;
    f->ttl_s = ttl_s;
    for (size_t i = 0; i < count; i++)
        f->addrs[i] = addrs[i];
    if (f->destroy_in_callback)
        resolver_destroy(&f->resolver);
}

static void run_until(struct fixture *f, const unsigned *counter, unsigned wanted)
{
    for (int pass = 0; pass < 1000 && *counter < wanted; pass++)
        loop_run_once(f->loop, true);
    assert_int_equal(*counter, wanted);
}

static bool has_addr(const struct fixture *f, const char *text)
{
    struct addr a;
    assert_true(addr_parse(&a, text));
    for (size_t i = 0; i < f->addr_count; i++)
        if (addr_equal(&f->addrs[i], &a))
            return true;
    return false;
}

static void test_a_name_has_the_addresses_of_both_families(void **state)
{
    struct fixture *f = *state;
    resolve_start(f->resolver, "good.test", 8080, 5000, on_resolved, f);
    run_until(f, &f->calls, 1);
    assert_int_equal(f->result, ERR_NONE);
    assert_int_equal(f->addr_count, 3);
    assert_true(has_addr(f, "127.0.0.1:8080"));
    assert_true(has_addr(f, "127.0.0.2:8080"));
    assert_true(has_addr(f, "[::1]:8080"));
    assert_int_equal(f->ttl_s, 30);
}

static void test_a_number_answers_without_a_question_but_not_at_once(void **state)
{
    struct fixture *f = *state;
    resolve_start(f->resolver, "192.0.2.7", 443, 5000, on_resolved, f);
    assert_int_equal(f->calls, 0);
    run_until(f, &f->calls, 1);
    assert_int_equal(f->result, ERR_NONE);
    assert_true(has_addr(f, "192.0.2.7:443"));
    resolve_start(f->resolver, "2001:db8::1", 443, 5000, on_resolved, f);
    run_until(f, &f->calls, 2);
    assert_true(has_addr(f, "[2001:db8::1]:443"));
    assert_int_equal(f->questions, 0);
}

static void test_the_hosts_file_comes_first(void **state)
{
    struct fixture *f = *state;
    resolve_start(f->resolver, "localhost", 80, 5000, on_resolved, f);
    assert_int_equal(f->calls, 0);
    run_until(f, &f->calls, 1);
    assert_int_equal(f->result, ERR_NONE);
    assert_true(has_addr(f, "127.0.0.1:80"));
    assert_int_equal(f->questions, 0);
}

static void test_a_name_without_address_does_not_resolve(void **state)
{
    struct fixture *f = *state;
    const char *const names[] = {"nobody.test", "empty.test", "", "a..b", "-", "white space.test"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        resolve_start(f->resolver, names[i], 80, 5000, on_resolved, f);
        run_until(f, &f->calls, i + 1);
        assert_int_equal(f->result, ERR_RESOLVE);
        assert_int_equal(f->addr_count, 0);
    }
    char longest[400];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    f->calls = 0;
    resolve_start(f->resolver, longest, 80, 5000, on_resolved, f);
    run_until(f, &f->calls, 1);
    assert_int_equal(f->result, ERR_RESOLVE);
}

static void test_more_addresses_than_we_want_are_cut(void **state)
{
    struct fixture *f = *state;
    resolve_start(f->resolver, "many.test", 80, 5000, on_resolved, f);
    run_until(f, &f->calls, 1);
    assert_int_equal(f->result, ERR_NONE);
    assert_int_equal(f->addr_count, RESOLVE_ADDRS_MAX);
}

static void test_silence_ends_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    resolve_start(f->resolver, "silent.test", 80, 30, on_resolved, f);
    run_until(f, &f->calls, 1);
    assert_int_equal(f->result, ERR_TIMEOUT);
    /* The late answer of another lookup comes while the forgotten one is still with the library. */
    resolve_start(f->resolver, "good.test", 80, 5000, on_resolved, f);
    run_until(f, &f->calls, 2);
    assert_int_equal(f->result, ERR_NONE);
}

static void test_a_cancelled_job_never_calls_back(void **state)
{
    struct fixture *f = *state;
    struct resolve_job *waiting = resolve_start(f->resolver, "good.test", 80, 5000, on_resolved, f);
    struct resolve_job *ready = resolve_start(f->resolver, "192.0.2.7", 80, 5000, on_resolved, f);
    resolve_cancel(&waiting);
    resolve_cancel(&ready);
    assert_null(waiting);
    resolve_start(f->resolver, "good.test", 80, 5000, on_resolved, f);
    run_until(f, &f->calls, 1);
    loop_run_once(f->loop, false);
    assert_int_equal(f->calls, 1);
}

static void test_destroyed_with_jobs_under_way_or_from_a_callback(void **state)
{
    struct fixture *f = *state;
    resolve_start(f->resolver, "silent.test", 80, 5000, on_resolved, f);
    resolve_start(f->resolver, "192.0.2.7", 80, 5000, on_resolved, f);
    resolve_start(f->resolver, "192.0.2.8", 80, 5000, on_resolved, f);
    f->destroy_in_callback = true;
    run_until(f, &f->calls, 1);
    assert_null(f->resolver);
    loop_run_once(f->loop, false);
    assert_int_equal(f->calls, 1);
}

static void test_questions_under_way_are_bounded(void **state)
{
    struct fixture *f = *state;
    unsigned started = 0;
    while (f->calls == 0 && started < 10000) {
        char name[32];
        snprintf(name, sizeof name, "silent.n%u.test", started++);
        resolve_start(f->resolver, name, 80, 60000, on_resolved, f);
        loop_run_once(f->loop, false);
    }
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->result, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_name_has_the_addresses_of_both_families, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_number_answers_without_a_question_but_not_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_hosts_file_comes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_without_address_does_not_resolve, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_addresses_than_we_want_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_ends_at_the_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_cancelled_job_never_calls_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destroyed_with_jobs_under_way_or_from_a_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_questions_under_way_are_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
