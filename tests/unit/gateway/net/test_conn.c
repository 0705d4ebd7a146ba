/* Connections over a socketpair: who is called when, what waits, what is never called again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/net/conn_priv.h"
#include "gateway/net/seats.h"
#include "tests/unit/gateway/net/process.h"

struct fixture {
    struct process process;
    struct conn *conn;
    int peer;
    size_t data_bytes;
    int data_calls, eof_calls, drain_calls, flushed_calls, close_calls;
    bool closes_in_data;
};

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct fixture *f = arg;
    (void)data;
    f->data_bytes += len;
    f->data_calls++;
    if (f->closes_in_data)
        conn_close(&f->conn, false);
}
static void on_eof(void *arg)
{
    ((struct fixture *)arg)->eof_calls++;
}
static void on_drain(void *arg)
{
    ((struct fixture *)arg)->drain_calls++;
}
static void on_flushed(void *arg)
{
    ((struct fixture *)arg)->flushed_calls++;
}
static void on_close(void *arg, enum err e)
{
    struct fixture *f = arg;
    (void)e;
    f->conn = NULL;
    f->close_calls++;
}
static const struct conn_ops ops = {
    .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_flushed = on_flushed, .on_close = on_close};

static void pass(struct fixture *f)
{
    for (int i = 0; i < 3; i++)
        loop_run_once(f->process.loop, false);
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    process_begin(&f->process);
    f->conn = process_accept(&f->process, &f->peer, &ops, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->conn != NULL)
        conn_close(&f->conn, false);
    if (f->peer >= 0)
        close(f->peer);
    process_end(&f->process);
    mem_free(f);
    return 0;
}

static uint64_t buffered_bytes(const struct fixture *f)
{
    return stat_get(&f->process.birth.block->process[STAT_BUFFERED_BYTES]);
}

static void bytes_are_pushed_up(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write(f->peer, "hello", 5), 5);
    pass(f);
    assert_int_equal(f->data_bytes, 5);
    assert_int_equal(f->data_calls, 1);
}

static void a_paused_connection_reads_nothing(void **state)
{
    struct fixture *f = *state;
    conn_pause(f->conn);
    assert_int_equal(write(f->peer, "hello", 5), 5);
    pass(f);
    assert_int_equal(f->data_bytes, 0);
    conn_resume(f->conn);
    pass(f);
    assert_int_equal(f->data_bytes, 5);
}

/* The socket is watched until it has something, and then no more: the loop would spin. */
static void a_pause_that_lasts_ends_the_watching(void **state)
{
    struct fixture *f = *state;
    conn_pause(f->conn);
    conn_resume(f->conn);
    conn_pause(f->conn);
    assert_int_equal(io_wanted(&f->conn->io), IO_READ);
    assert_int_equal(write(f->peer, "hello", 5), 5);
    pass(f);
    assert_int_equal(io_wanted(&f->conn->io), 0);
    conn_resume(f->conn);
    assert_int_equal(io_wanted(&f->conn->io), IO_READ);
    pass(f);
    assert_int_equal(f->data_bytes, 5);
}

static void a_paused_connection_does_not_see_the_end(void **state)
{
    struct fixture *f = *state;
    conn_pause(f->conn);
    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    pass(f);
    assert_int_equal(io_wanted(&f->conn->io), 0);
    assert_int_equal(f->eof_calls, 0);
    conn_resume(f->conn);
    pass(f);
    assert_int_equal(f->eof_calls, 1);
}

static void closing_inside_a_callback_is_the_last_of_it(void **state)
{
    struct fixture *f = *state;
    f->closes_in_data = true;
    assert_int_equal(write(f->peer, "hello", 5), 5);
    pass(f);
    assert_null(f->conn);
    assert_int_equal(f->close_calls, 0);
    assert_int_equal(f->process.net->open_count, 0);
}

static void what_does_not_fit_waits_and_is_told_when_it_drains(void **state)
{
    struct fixture *f = *state;
    static uint8_t block[32768], sink[65536];
    conn_set_high(f->conn, sizeof block);
    while (!conn_is_full(f->conn))
        conn_write(f->conn, block, sizeof block);
    assert_true(conn_buffered(f->conn) > sizeof block);
    assert_int_equal(buffered_bytes(f), conn_buffered(f->conn));
    assert_int_equal(f->drain_calls, 0);
    for (int i = 0; i < 1000 && conn_buffered(f->conn) > 0; i++) {
        while (read(f->peer, sink, sizeof sink) > 0)
            ;
        pass(f);
    }
    assert_int_equal(f->drain_calls, 1);
    assert_int_equal(f->flushed_calls, 1);
    assert_int_equal(buffered_bytes(f), 0);
}

static void order_is_kept_when_writes_queue_up(void **state)
{
    struct fixture *f = *state;
    static uint8_t sink[65536];
    uint8_t next = 0, seen = 0;
    size_t sent = 0, got = 0;
    while (sent < 2000000) {
        uint8_t piece[997];
        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = next++;
        conn_write(f->conn, piece, sizeof piece);
        sent += sizeof piece;
    }
    for (int i = 0; i < 10000 && got < sent; i++) {
        ssize_t n = read(f->peer, sink, sizeof sink);
        for (ssize_t k = 0; k < n; k++)
            assert_int_equal(sink[k], seen++);
        got += n > 0 ? (size_t)n : 0;
        pass(f);
    }
    assert_int_equal(got, sent);
}

static void the_end_of_stream_leaves_the_other_direction_open(void **state)
{
    struct fixture *f = *state;
    char buf[8];
    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    pass(f);
    assert_int_equal(f->eof_calls, 1);
    conn_write(f->conn, "bye", 3);
    conn_shutdown_write(f->conn);
    assert_int_equal(read(f->peer, buf, sizeof buf), 3);
    assert_int_equal(read(f->peer, buf, sizeof buf), 0);
}

static void a_shutdown_waits_for_what_is_queued(void **state)
{
    struct fixture *f = *state;
    static uint8_t block[1000000], sink[65536];
    size_t got = 0;
    ssize_t n = 0;
    conn_write(f->conn, block, sizeof block);
    conn_shutdown_write(f->conn);
    for (int i = 0; i < 10000; i++) {
        n = read(f->peer, sink, sizeof sink);
        if (n == 0)
            break;
        got += n > 0 ? (size_t)n : 0;
        pass(f);
    }
    assert_int_equal(n, 0);
    assert_int_equal(got, sizeof block);
}

static void a_broken_peer_is_reported_once(void **state)
{
    struct fixture *f = *state;
    static uint8_t block[1000000];
    conn_write(f->conn, block, sizeof block);
    close(f->peer);
    f->peer = -1;
    pass(f);
    assert_int_equal(f->close_calls, 1);
    assert_null(f->conn);
    assert_int_equal(buffered_bytes(f), 0);
}

static void clients_hold_a_seat_under_their_address(void **state)
{
    struct fixture *f = *state;
    struct addr same, other;
    assert_true(addr_parse(&same, "192.0.2.1:99"));
    assert_true(addr_parse(&other, "192.0.2.2:99"));
    assert_int_equal(seat_count_of(f->process.net, &same), 1);
    assert_int_equal(seat_count_of(f->process.net, &other), 0);
    assert_int_equal(stat_get(&f->process.birth.block->process[STAT_CLIENTS_OPEN]), 1);
    conn_close(&f->conn, false);
    assert_int_equal(seat_count_of(f->process.net, &same), 0);
    assert_int_equal(stat_get(&f->process.birth.block->process[STAT_CLIENTS_OPEN]), 0);
}

static void a_client_keeps_its_seat_on_a_route_until_it_is_closed(void **state)
{
    struct fixture *f = *state;
    struct addr same;
    struct seat seat, other;
    assert_true(addr_parse(&same, "192.0.2.1:98"));
    seat_take_on_route(f->process.net, &seat, &same, 4);
    conn_keep_seat(f->conn, &seat);
    /* What a second client of the same address would find there, before and after this one is gone. */
    seat_take_on_route(f->process.net, &other, &same, 4);
    assert_int_equal(seat_count_on_route(f->process.net, &other), 2);
    conn_close(&f->conn, false);
    assert_int_equal(seat_count_on_route(f->process.net, &other), 1);
    seat_leave_on_route(f->process.net, &other);
    assert_int_equal(seat_count_on_route(f->process.net, &other), 0);
}

static void a_client_behind_a_proxy_sits_under_its_own_address(void **state)
{
    struct fixture *f = *state;
    struct addr proxy, client, told;
    char text[ADDR_TEXT_BYTES];
    assert_true(addr_parse(&proxy, "192.0.2.1:1"));
    assert_true(addr_parse(&client, "[2001:db8::7]:4711"));
    conn_set_peer(f->conn, &client);
    assert_int_equal(seat_count_of(f->process.net, &proxy), 0);
    assert_int_equal(seat_count_of(f->process.net, &client), 1);
    assert_int_equal(stat_get(&f->process.birth.block->process[STAT_CLIENTS_OPEN]), 1);
    conn_peer(f->conn, &told);
    assert_string_equal(addr_text(&told, text, sizeof text), "[2001:db8::7]:4711");
}

/* The fixture's connection replaced by one over TCP, where a socket can be told when to wake us. */
static void use_tcp(struct fixture *f)
{
    struct addr a;
    int listening = -1, fd = -1, peer = -1;
    conn_close(&f->conn, false);
    close(f->peer);
    assert_true(addr_parse(&a, "127.0.0.1:0"));
    assert_int_equal(sock_listen(&a, false, 1, &listening), ERR_NONE);
    assert_int_equal(sock_local_addr(listening, &a), ERR_NONE);
    assert_int_equal(sock_connect(&a, &peer), ERR_NONE);
    assert_int_equal(sock_accept(listening, &fd, &a), ERR_NONE);
    close(listening);
    f->peer = peer;
    f->conn = conn_accept(f->process.net, fd, &a, &ops, f);
}

static void bytes_can_be_looked_at_before_they_are_taken(void **state)
{
    struct fixture *f = *state;
    use_tcp(f);
    conn_peek(f->conn);
    assert_int_equal(write(f->peer, "PRO", 3), 3);
    pass(f);
    assert_int_equal(f->data_calls, 1); /* not again and again for the same three */
    assert_int_equal(f->data_bytes, 3);
    assert_int_equal(write(f->peer, "XY and more", 11), 11);
    pass(f);
    assert_int_equal(f->data_calls, 2);
    assert_int_equal(f->data_bytes, 3 + 14);
    conn_skip(f->conn, 5);
    f->data_bytes = 0;
    pass(f);
    assert_int_equal(f->data_bytes, 9);
    assert_int_equal(f->eof_calls, 0);
}

static void who_ends_while_looked_at_has_ended(void **state)
{
    struct fixture *f = *state;
    use_tcp(f);
    conn_peek(f->conn);
    assert_int_equal(write(f->peer, "PRO", 3), 3);
    pass(f);
    assert_int_equal(shutdown(f->peer, SHUT_WR), 0);
    pass(f);
    assert_int_equal(f->eof_calls, 1);
}

static void several_pieces_arrive_as_one_text(void **state)
{
    struct fixture *f = *state;
    char text[64];
    const struct slice pieces[] = {slice_borrow("one ", 4), slice_borrow("", 0), slice_borrow("two ", 4),
                                   slice_borrow("three", 5)};
    conn_write_pieces(f->conn, pieces, 4);
    assert_int_equal(read(f->peer, text, sizeof text), 13);
    assert_memory_equal(text, "one two three", 13);
}

/* Around the size up to which they are put together first. */
static void pieces_of_any_size_arrive_as_one_text(void **state)
{
    struct fixture *f = *state;
    static const size_t sizes[] = {1, 1024, 4094, 4095, 4096, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        static uint8_t body[20000], in[sizeof body + 3];
        memset(body, 'a' + (int)i, sizes[i]);
        const struct slice pieces[] = {slice_borrow("<", 1), slice_borrow(body, sizes[i]), slice_borrow(">", 1)};
        conn_write_pieces(f->conn, pieces, 3);
        assert_int_equal(read(f->peer, in, sizeof in), sizes[i] + 2);
        assert_int_equal(in[0], '<');
        assert_memory_equal(in + 1, body, sizes[i]);
        assert_int_equal(in[sizes[i] + 1], '>');
    }
}

static void pieces_wait_behind_what_waits_already(void **state)
{
    struct fixture *f = *state;
    static const uint8_t zeros[4u << 20];
    size_t zero_count = 0, x_count = 0;
    uint8_t in[65536];
    const struct slice pieces[] = {slice_borrow("x", 1), slice_borrow("x", 1)};
    conn_write(f->conn, zeros, sizeof zeros);
    conn_write_pieces(f->conn, pieces, 2);
    while (x_count < 2) {
        ssize_t n = read(f->peer, in, sizeof in);
        for (ssize_t i = 0; i < n; i++) {
            if (in[i] == 'x')
                x_count++;
            else
                zero_count++;
            assert_true(x_count == 0 || zero_count == sizeof zeros);
        }
        pass(f);
    }
}

static void the_peers_address_is_remembered(void **state)
{
    struct fixture *f = *state;
    struct addr a;
    char text[ADDR_TEXT_BYTES];
    conn_peer(f->conn, &a);
    assert_string_equal(addr_text(&a, text, sizeof text), "192.0.2.1:1234");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_are_pushed_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paused_connection_reads_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_that_lasts_ends_the_watching, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paused_connection_does_not_see_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_inside_a_callback_is_the_last_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_waits_and_is_told_when_it_drains, setup, teardown),
        cmocka_unit_test_setup_teardown(order_is_kept_when_writes_queue_up, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_stream_leaves_the_other_direction_open, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shutdown_waits_for_what_is_queued, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_peer_is_reported_once, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_hold_a_seat_under_their_address, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_keeps_its_seat_on_a_route_until_it_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_behind_a_proxy_sits_under_its_own_address, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_can_be_looked_at_before_they_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(who_ends_while_looked_at_has_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(several_pieces_arrive_as_one_text, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_of_any_size_arrive_as_one_text, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_wait_behind_what_waits_already, setup, teardown),
        cmocka_unit_test_setup_teardown(the_peers_address_is_remembered, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
