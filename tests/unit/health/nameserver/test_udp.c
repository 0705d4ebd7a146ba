/* DNS over UDP between real sockets: batches, what gets no answer, and from which address an answer comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/sock.h"
#include "health/nameserver/udp.h"
#include "tests/unit/health/nameserver/world.h"

#define PATIENCE_MS 5000

struct fixture {
    struct world w;
    struct loop *loop;
    struct udp *udp;
    uint16_t port;
    int client;
    unsigned batch_count;
    struct timer patience;
};

static void on_batch(void *arg)
{
    struct fixture *f = arg;
    f->batch_count++;
}

static void on_patience(void *arg)
{
    (void)arg;
}

/* Serves on `address`, and has a client who may talk to any address of its family. */
static void start(struct fixture *f, const char *address)
{
    struct addr addr;
    int fd = -1, sender_fd = -1;
    world_init(&f->w, WORLD_PLAIN WORLD_RECORDS);
    f->loop = loop_create();
    f->batch_count = 0;
    f->udp = udp_create(f->loop, f->w.responder, f->w.block, on_batch, f);
    assert_true(addr_parse(&addr, address));
    assert_int_equal(sock_bind_udp(&addr, &fd), ERR_NONE); /* finds a port that is free */
    assert_int_equal(sock_local_addr(fd, &addr), ERR_NONE);
    close(fd);
    assert_int_equal(sock_bind_udp_sender(&addr, &sender_fd), ERR_NONE);
    assert_int_equal(sock_bind_udp_beside(&addr, sender_fd, &fd), ERR_NONE);
    f->port = addr_port(&addr);
    udp_add_sender(f->udp, sender_fd, address);
    udp_add(f->udp, fd, address);
    f->client = socket(addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    timer_init(&f->patience, f->loop, on_patience, f);
}

static void stop(struct fixture *f)
{
    close(f->client);
    timer_cancel(&f->patience);
    udp_destroy(&f->udp);
    loop_destroy(&f->loop);
    world_fini(&f->w);
}

static void say(const struct fixture *f, const char *to, const void *data, size_t len)
{
    struct addr a;
    assert_true(addr_from_ip(&a, to, f->port));
    assert_int_equal(sendto(f->client, data, len, 0, &a.sa, a.len), (ssize_t)len);
}

static void ask(const struct fixture *f, const char *to, unsigned id)
{
    struct packet p;
    packet_query(&p, "www.rt.test", DNS_TYPE_A);
    p.data[0] = (uint8_t)(id >> 8);
    p.data[1] = (uint8_t)id;
    say(f, to, p.data, p.len);
}

/* The id of the next answer, and where it came from. */
static unsigned next_id(struct fixture *f, char from[ADDR_TEXT_BYTES])
{
    uint8_t data[2048];
    struct addr peer = {.len = sizeof peer.un};
    ssize_t n = -1;
    timer_start(&f->patience, PATIENCE_MS);
    while (n < 0) {
        if (!timer_is_active(&f->patience))
            fail_msg("no answer");
        loop_run_once(f->loop, false);
        n = recvfrom(f->client, data, sizeof data, MSG_DONTWAIT, &peer.sa, &peer.len);
    }
    timer_cancel(&f->patience);
    assert_true(n > 12);
    (void)addr_ip_text(&peer, from, ADDR_TEXT_BYTES);
    return (unsigned)(data[0] << 8 | data[1]);
}

static void more_than_a_batch_is_answered(void **state)
{
    char from[ADDR_TEXT_BYTES];
    struct fixture f;
    (void)state;
    start(&f, "127.0.0.1:0");
    for (unsigned id = 1; id <= 150; id++)
        ask(&f, "127.0.0.1", id);
    for (unsigned id = 1; id <= 150; id++)
        assert_int_equal(next_id(&f, from), id);
    assert_string_equal(from, "127.0.0.1");
    assert_true(f.batch_count >= 3);
    assert_int_equal(world_count(&f.w, STAT_DNS_UDP_QUERIES), 150);
    assert_int_equal(world_count(&f.w, STAT_DNS_SEND_DROPPED), 0);
    stop(&f);
}

static void what_is_no_query_gets_no_answer_and_keeps_no_other_from_its_own(void **state)
{
    uint8_t junk[2000] = {0};
    char from[ADDR_TEXT_BYTES];
    struct fixture f;
    (void)state;
    start(&f, "127.0.0.1:0");
    say(&f, "127.0.0.1", junk, 0);
    say(&f, "127.0.0.1", junk, 5);
    ask(&f, "127.0.0.1", 1);
    say(&f, "127.0.0.1", junk, sizeof junk); /* longer than any query */
    junk[2] = 0x80;                          /* an answer */
    say(&f, "127.0.0.1", junk, 12);
    ask(&f, "127.0.0.1", 2);
    assert_int_equal(next_id(&f, from), 1);
    assert_int_equal(next_id(&f, from), 2);
    assert_int_equal(world_count(&f.w, STAT_DNS_IGNORED), 4);
    stop(&f);
}

/* A service that says something to everything would be answered for ever. */
static void who_answers_everything_is_not_answered(void **state)
{
    const uint16_t ports[] = {7, 13, 19, 37};
    char from[ADDR_TEXT_BYTES];
    struct fixture f;
    (void)state;
    start(&f, "127.0.0.1:0");
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        const int usual = f.client;
        struct addr own;
        int fd = -1;
        assert_true(addr_from_ip(&own, "127.0.0.1", ports[i]));
        const enum err e = sock_bind_udp(&own, &fd);
        if (e != ERR_NONE) {
            stop(&f);
            assert_true(e == ERR_DENIED || e == ERR_BUSY); /* not for every user, and not beside such a service */
            skip();
        }
        f.client = fd;
        ask(&f, "127.0.0.1", 1);
        f.client = usual;
        close(fd);
    }
    ask(&f, "127.0.0.1", 2);
    assert_int_equal(next_id(&f, from), 2);
    assert_int_equal(world_count(&f.w, STAT_DNS_IGNORED), sizeof ports / sizeof *ports);
    assert_int_equal(world_count(&f.w, STAT_DNS_ANSWERS), 1);
    stop(&f);
}

static void the_answer_comes_from_the_address_that_was_asked(void **state)
{
    char from[ADDR_TEXT_BYTES];
    struct fixture f;
    (void)state;
    start(&f, "0.0.0.0:0");
    ask(&f, "127.0.0.3", 3);
    assert_int_equal(next_id(&f, from), 3);
    assert_string_equal(from, "127.0.0.3");
    ask(&f, "127.0.0.1", 4);
    assert_int_equal(next_id(&f, from), 4);
    assert_string_equal(from, "127.0.0.1");
    stop(&f);
    start(&f, "[::]:0");
    ask(&f, "::1", 5);
    assert_int_equal(next_id(&f, from), 5);
    assert_string_equal(from, "::1");
    stop(&f);
}

static void what_waits_is_answered_when_the_address_goes(void **state)
{
    char from[ADDR_TEXT_BYTES];
    struct fixture f;
    (void)state;
    start(&f, "127.0.0.1:0");
    ask(&f, "127.0.0.1", 6);
    udp_remove(f.udp, "127.0.0.1:0");
    assert_int_equal(next_id(&f, from), 6);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_a_batch_is_answered),
        cmocka_unit_test(what_is_no_query_gets_no_answer_and_keeps_no_other_from_its_own),
        cmocka_unit_test(who_answers_everything_is_not_answered),
        cmocka_unit_test(the_answer_comes_from_the_address_that_was_asked),
        cmocka_unit_test(what_waits_is_answered_when_the_address_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
