/* DNS over TCP as RFC 7766 wants it, between real sockets: framing, pipelining, and who is closed when. */
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
#include "health/nameserver/tcp.h"
#include "tests/unit/health/nameserver/world.h"
#include "tests/unit/until.h"

#define CLIENTS_MAX   8
#define LONG_TXT      "records: [ { name: long, txt: [ "
#define RECEIVE_BYTES 65536u

struct fixture {
    struct world w;
    struct loop *loop;
    struct tcp *tcp;
    struct addr addr;
    int client[CLIENTS_MAX];
    unsigned client_count, batch_count;
    uint8_t in[RECEIVE_BYTES];
};

static void on_batch(void *arg)
{
    struct fixture *f = arg;
    f->batch_count++;
}

static void start(struct fixture *f, const char *dns, const struct tcp_limits *limits)
{
    int fd = -1;
    world_init(&f->w, dns);
    f->loop = loop_create();
    f->tcp = tcp_create(f->loop, f->w.responder, f->w.block, on_batch, f);
    f->client_count = f->batch_count = 0;
    tcp_set_limits(f->tcp, limits);
    assert_true(addr_parse(&f->addr, "127.0.0.1:0"));
    assert_int_equal(sock_listen(&f->addr, false, 64, &fd), ERR_NONE);
    assert_int_equal(sock_local_addr(fd, &f->addr), ERR_NONE);
    tcp_add(f->tcp, fd, "here");
}

static void stop(struct fixture *f)
{
    for (unsigned i = 0; i < f->client_count; i++)
        close(f->client[i]);
    tcp_destroy(&f->tcp);
    loop_destroy(&f->loop);
    assert_int_equal(world_count(&f->w, STAT_DNS_TCP_OPEN), 0);
    world_fini(&f->w);
}

#define RUN_UNTIL(f, condition) UNTIL((f)->loop, condition)

static int join(struct fixture *f, int room_bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (room_bytes > 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room_bytes, sizeof room_bytes), 0);
    assert_int_equal(connect(fd, &f->addr.sa, f->addr.len), 0);
    f->client[f->client_count++] = fd;
    return fd;
}

/* One message into `out`, behind its length; how long it is with that. */
static size_t frame(uint8_t *out, const char *name, const char *type, unsigned id)
{
    struct packet p;
    packet_query(&p, name, dns_type_of(type));
    p.data[0] = (uint8_t)(id >> 8);
    p.data[1] = (uint8_t)id;
    out[0] = (uint8_t)(p.len >> 8);
    out[1] = (uint8_t)p.len;
    memcpy(out + 2, p.data, p.len);
    return p.len + 2;
}

static void say(int fd, const void *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* What came so far without waiting; 0: nothing, -1: the end. */
static ssize_t hear(int fd, void *out, size_t cap_bytes)
{
    ssize_t n = recv(fd, out, cap_bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return 0;
    return n <= 0 ? -1 : n;
}

/* The id of the next answer, taken from the beginning of what is heard. */
static unsigned next_id(struct fixture *f, int fd)
{
    size_t have = 0;
    ssize_t n = 0;
    RUN_UNTIL(f, (n = hear(fd, f->in + have, 2 - have)) < 0 || (have += (size_t)n) == 2);
    assert_true(n > 0);
    const size_t len = (size_t)(f->in[0] << 8 | f->in[1]);
    have = 0;
    RUN_UNTIL(f, (n = hear(fd, f->in + have, len - have)) < 0 || (have += (size_t)n) == len);
    assert_true(n > 0);
    return (unsigned)(f->in[0] << 8 | f->in[1]);
}

static bool is_closed(int fd)
{
    uint8_t byte;
    return hear(fd, &byte, 1) < 0;
}

static const struct tcp_limits usual = {.connections = 8, .per_client = 8, .pipelined = 64, .idle_ms = 60000};

static void many_messages_in_one_piece_are_answered_in_order(void **state)
{
    struct fixture f;
    uint8_t out[16384];
    size_t len = 0;
    (void)state;
    start(&f, WORLD_PLAIN WORLD_RECORDS, &(struct tcp_limits){8, 8, 3, 60000});
    int fd = join(&f, 0);
    for (unsigned id = 1; id <= 200; id++)
        len += frame(out + len, "www.rt.test", "A", id);
    say(fd, out, len);
    for (unsigned id = 1; id <= 200; id++)
        assert_int_equal(next_id(&f, fd), id);
    assert_int_equal(world_count(&f.w, STAT_DNS_TCP_QUERIES), 200);
    assert_int_equal(world_count(&f.w, STAT_DNS_ANSWERS), 200);
    assert_true(f.batch_count > 0);
    stop(&f);
}

static void a_message_may_come_in_any_pieces(void **state)
{
    struct fixture f;
    uint8_t out[512];
    (void)state;
    start(&f, WORLD_PLAIN WORLD_RECORDS, &usual);
    int fd = join(&f, 0);
    size_t len = frame(out, "www.rt.test", "A", 7);
    len += frame(out + len, "no.rt.test", "A", 8);
    for (size_t i = 0; i < len; i++) {
        say(fd, out + i, 1);
        loop_run_once(f.loop, false);
    }
    assert_int_equal(next_id(&f, fd), 7);
    assert_int_equal(next_id(&f, fd), 8);
    stop(&f);
}

static void a_length_no_query_has_ends_the_connection(void **state)
{
    static const uint8_t lengths[][2] = {{0, 0}, {0, 11}, {0xff, 0xff}, {0x10, 0x01}};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct fixture f;
        uint8_t out[512];
        start(&f, WORLD_PLAIN WORLD_RECORDS, &usual);
        int fd = join(&f, 0);
        size_t len = frame(out, "www.rt.test", "A", 7); /* what came before it is still answered */
        memcpy(out + len, lengths[i], 2);
        say(fd, out, len + 2);
        assert_int_equal(next_id(&f, fd), 7);
        RUN_UNTIL(&f, is_closed(fd));
        RUN_UNTIL(&f, tcp_connection_count(f.tcp) == 0);
        stop(&f);
    }
}

static void who_is_silent_or_stops_in_the_middle_is_closed(void **state)
{
    struct fixture f;
    uint8_t out[512];
    (void)state;
    start(&f, WORLD_PLAIN WORLD_RECORDS, &(struct tcp_limits){8, 8, 64, 50});
    int silent = join(&f, 0), asks = join(&f, 0);
    say(asks, out, frame(out, "www.rt.test", "A", 7));
    assert_int_equal(next_id(&f, asks), 7);
    RUN_UNTIL(&f, is_closed(silent) && is_closed(asks));
    assert_int_equal(tcp_connection_count(f.tcp), 0);
    stop(&f);
}

static void who_is_idle_makes_room_and_who_has_too_many_is_refused(void **state)
{
    struct fixture f;
    uint8_t out[512];
    (void)state;
    start(&f, WORLD_PLAIN WORLD_RECORDS, &(struct tcp_limits){2, 3, 64, 60000});
    int first = join(&f, 0), second = join(&f, 0);
    RUN_UNTIL(&f, tcp_connection_count(f.tcp) == 2);
    say(first, out, frame(out, "www.rt.test", "A", 1)); /* so the second is idle for longest */
    assert_int_equal(next_id(&f, first), 1);
    int third = join(&f, 0);
    RUN_UNTIL(&f, is_closed(second));
    say(third, out, frame(out, "www.rt.test", "A", 3));
    assert_int_equal(next_id(&f, third), 3);
    assert_int_equal(tcp_connection_count(f.tcp), 2);
    assert_int_equal(world_count(&f.w, STAT_DNS_TCP_REFUSED), 1);

    /* In the middle of a message nobody is closed for others. */
    say(first, out, 5);
    say(third, out, 5);
    const unsigned before = f.batch_count;
    RUN_UNTIL(&f, f.batch_count >= before + 2);
    int fourth = join(&f, 0);
    RUN_UNTIL(&f, is_closed(fourth));
    assert_int_equal(tcp_connection_count(f.tcp), 2);

    tcp_set_limits(f.tcp, &(struct tcp_limits){8, 2, 64, 60000});
    int fifth = join(&f, 0);
    RUN_UNTIL(&f, is_closed(fifth));
    assert_int_equal(world_count(&f.w, STAT_DNS_TCP_REFUSED), 3);
    assert_int_equal(world_count(&f.w, STAT_DNS_TCP_OPEN), 2);
    stop(&f);
}

/* Six texts of 1,000 letters. */
static void long_records(char *out, size_t cap_bytes)
{
    size_t len = (size_t)snprintf(out, cap_bytes, "%s", WORLD_PLAIN LONG_TXT);
    for (unsigned i = 0; i < 6; i++) {
        len += (size_t)snprintf(out + len, cap_bytes - len, "%s\"%u ", i > 0 ? ", " : "", i);
        memset(out + len, 'x', 1000);
        len += 1000;
        len += (size_t)snprintf(out + len, cap_bytes - len, "\"");
    }
    snprintf(out + len, cap_bytes - len, " ] } ]");
}

static void who_does_not_read_is_not_listened_to(void **state)
{
    struct fixture f;
    char dns[8000];
    uint8_t out[16384];
    size_t len = 0;
    unsigned asked = 0;
    (void)state;
    long_records(dns, sizeof dns);
    start(&f, dns, &usual);
    int fd = join(&f, 4096);
    for (unsigned id = 1; id <= 300; id++)
        len += frame(out + len, "long.rt.test", "TXT", id);
    /* Each answer is 6 KiB; without reading, the sockets' buffers are soon full, and then nothing moves. */
    for (;;) {
        ssize_t n = send(fd, out, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < (ssize_t)len)
            break;
        asked += 300;
        for (int i = 0; i < 50; i++)
            loop_run_once(f.loop, false);
    }
    const uint64_t answered = world_count(&f.w, STAT_DNS_TCP_QUERIES);
    for (int i = 0; i < 100; i++)
        loop_run_once(f.loop, false);
    assert_int_equal(world_count(&f.w, STAT_DNS_TCP_QUERIES), answered);
    assert_true(answered < asked);
    for (unsigned i = 0; i < asked; i++) /* and goes on as soon as he does */
        assert_int_equal(next_id(&f, fd), i % 300 + 1);
    stop(&f);
}

static void what_waits_is_answered_when_the_address_goes(void **state)
{
    struct fixture f;
    uint8_t out[512];
    (void)state;
    start(&f, WORLD_PLAIN WORLD_RECORDS, &usual);
    int fd = join(&f, 0);
    say(fd, out, frame(out, "www.rt.test", "A", 7));
    tcp_remove(f.tcp, "somewhere else");
    tcp_remove(f.tcp, "here");
    assert_int_equal(next_id(&f, fd), 7);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late, &f.addr.sa, f.addr.len), -1);
    close(late);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_messages_in_one_piece_are_answered_in_order),
        cmocka_unit_test(a_message_may_come_in_any_pieces),
        cmocka_unit_test(a_length_no_query_has_ends_the_connection),
        cmocka_unit_test(who_is_silent_or_stops_in_the_middle_is_closed),
        cmocka_unit_test(who_is_idle_makes_room_and_who_has_too_many_is_refused),
        cmocka_unit_test(who_does_not_read_is_not_listened_to),
        cmocka_unit_test(what_waits_is_answered_when_the_address_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
