/* Names that are answered by their addresses, resolved at a name server of this test's own: known as soon as may be,
 * renewed, and never forgotten because somebody else's server is down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "health/nameserver/aliases.h"
#include "tests/unit/until.h"

#define HEADER_BYTES 12u
#define TYPE_A       1u

struct fixture {
    struct loop *loop;
    struct resolver *resolver;
    struct aliases *aliases;
    int fd;
    struct io io;
    unsigned questions;
    bool is_down; /* the server says SERVFAIL */
    uint8_t last; /* byte of the address it has */
    uint8_t ttl_s;
};

/* One address for every name. */
static void on_question(void *arg, unsigned events)
{
    struct fixture *f = arg;
    uint8_t p[600];
    struct sockaddr_in peer;
    socklen_t peer_len = sizeof peer;
    ssize_t n = recvfrom(f->fd, p, 512, 0, (struct sockaddr *)&peer, &peer_len);
    (void)events;
    assert_true(n > (ssize_t)HEADER_BYTES + 5);
    f->questions++;
    size_t at = HEADER_BYTES + strlen((const char *)p + HEADER_BYTES) + 5;
    const bool has_answer = p[at - 3] == TYPE_A && !f->is_down;
    const uint8_t record[] = {0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, f->ttl_s, 0, 4, 192, 0, 2, f->last};
    if (has_answer)
        memcpy(p + at, record, sizeof record);
    at += has_answer ? sizeof record : 0;
    p[2] = 0x81, p[3] = f->is_down ? 0x82 : 0x80;
    memset(p + 6, 0, 6);
    p[7] = has_answer;
    (void)sendto(f->fd, p, at, 0, (struct sockaddr *)&peer, peer_len);
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
    f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&own, &len), 0);
    io_init(&f->io, f->loop, f->fd, on_question, f);
    io_want(&f->io, IO_READ);
    f->resolver = resolver_create(f->loop);
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(own.sin_port));
    assert_true(resolver_set_servers(f->resolver, text));
    f->aliases = aliases_create(f->loop, f->resolver);
    f->last = 1;
    f->ttl_s = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    aliases_destroy(&f->aliases);
    resolver_destroy(&f->resolver);
    io_fini(&f->io);
    close(f->fd);
    loop_destroy(&f->loop);
    return 0;
}

#define RUN_UNTIL(f, condition) UNTIL((f)->loop, condition)

static struct dns_name name_of(const char *text)
{
    struct dns_name name;
    assert_null(dns_name_of(&name, text));
    return name;
}

static void a_name_is_resolved_once_for_all_its_places(void **state)
{
    struct fixture *f = *state;
    const struct dns_name name = name_of("edge.example.test");
    struct steering_alias places[3] = {{.is_known = true}};
    aliases_begin(f->aliases);
    aliases_want(f->aliases, &name, &places[0]);
    aliases_want(f->aliases, &name, &places[1]);
    aliases_end(f->aliases);
    assert_false(places[0].is_known); /* not yet */
    RUN_UNTIL(f, places[0].is_known);
    assert_true(places[1].is_known);
    assert_int_equal(places[1].a_count, 1);
    assert_int_equal(places[1].a[0][3], 1);
    assert_int_equal(places[1].ttl_s, ALIASES_TTL_MIN_S);
    assert_int_equal(f->questions, 2); /* A and AAAA */

    /* A reload: what is known is there at once, and places of the former configuration are left alone. */
    const struct steering_alias before = places[0];
    aliases_begin(f->aliases);
    aliases_want(f->aliases, &name, &places[2]);
    aliases_end(f->aliases);
    assert_true(places[2].is_known);
    f->last = 2;
    RUN_UNTIL(f, places[2].a[0][3] == 2); /* asked again in time */
    assert_memory_equal(&places[0], &before, sizeof before);
}

static void what_was_known_stays_known_while_nobody_answers(void **state)
{
    struct fixture *f = *state;
    const struct dns_name name = name_of("edge.example.test");
    struct steering_alias place;
    f->is_down = true;
    aliases_begin(f->aliases);
    aliases_want(f->aliases, &name, &place);
    aliases_end(f->aliases);
    RUN_UNTIL(f, f->questions >= 2);
    assert_false(place.is_known);
    f->is_down = false;
    RUN_UNTIL(f, place.is_known); /* soon, not after the TTL of something */
    f->is_down = true;
    const unsigned asked = f->questions;
    RUN_UNTIL(f, f->questions >= asked + 4);
    assert_true(place.is_known && place.a[0][3] == 1);
}

static void a_name_nobody_wants_is_not_asked_for(void **state)
{
    struct fixture *f = *state;
    const struct dns_name name = name_of("edge.example.test"), other = name_of("other.example.test");
    struct steering_alias place, gone;
    aliases_begin(f->aliases);
    aliases_want(f->aliases, &name, &gone);
    aliases_begin(f->aliases);
    aliases_want(f->aliases, &other, &place);
    aliases_end(f->aliases); /* while the first question is under way */
    RUN_UNTIL(f, place.is_known);
    assert_false(gone.is_known);
}

/* Nobody may believe an address for longer than its owner said, counted from when he said it. */
static void a_lifetime_runs_out(void **state)
{
    struct fixture *f = *state;
    const struct dns_name name = name_of("edge.example.test");
    struct steering_alias place;
    f->ttl_s = 2;
    aliases_begin(f->aliases);
    aliases_want(f->aliases, &name, &place);
    aliases_end(f->aliases);
    RUN_UNTIL(f, place.is_known);
    assert_int_equal(place.ttl_s, 2);
    const unsigned asked = f->questions;
    f->is_down = true;
    RUN_UNTIL(f, place.ttl_s == 1);
    assert_int_equal(f->questions, asked); /* it was not asked for again meanwhile */
    RUN_UNTIL(f, place.ttl_s == ALIASES_TTL_STALE_S);
    assert_true(f->questions > asked);
    f->is_down = false;
    RUN_UNTIL(f, place.ttl_s == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_is_resolved_once_for_all_its_places, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_known_stays_known_while_nobody_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lifetime_runs_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_nobody_wants_is_not_asked_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
