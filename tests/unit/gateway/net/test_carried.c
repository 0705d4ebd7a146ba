/* Connections carried by another: the carrier is played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/net/carried.h"
#include "tests/unit/gateway/net/process.h"

struct fixture {
    struct process process;
    struct conn *wire;
    int peer;
    struct conn *conn; /* NULL once it is closed, by whomever */
    char got[256];
    size_t got_bytes;
    bool closes_in_data;
    int eof_count, drain_count, flushed_count, close_count;
    /* the carrier's */
    size_t taken_bytes;
    int output_count, carrier_close_count;
    bool was_reset;
};

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct fixture *f = arg;
    memcpy(f->got + f->got_bytes, data, len);
    f->got_bytes += len;
    if (f->closes_in_data)
        conn_close(&f->conn, false);
}
static void on_eof(void *arg)
{
    ((struct fixture *)arg)->eof_count++;
}
static void on_drain(void *arg)
{
    ((struct fixture *)arg)->drain_count++;
}
static void on_flushed(void *arg)
{
    ((struct fixture *)arg)->flushed_count++;
}
static void on_close(void *arg, enum err e)
{
    struct fixture *f = arg;
    assert_int_equal(e, ERR_RESET);
    f->conn = NULL;
    f->close_count++;
}
static const struct conn_ops ops = {
    .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_flushed = on_flushed, .on_close = on_close};
static const struct conn_ops wire_ops = {.on_data = on_data, .on_close = on_close};

static void on_output(void *carrier)
{
    ((struct fixture *)carrier)->output_count++;
}
static void on_taken(void *carrier, size_t len)
{
    ((struct fixture *)carrier)->taken_bytes += len;
}
static void on_closed(void *carrier, bool reset)
{
    struct fixture *f = carrier;
    f->carrier_close_count++;
    f->was_reset = reset;
}
static const struct carrier_ops carrier_ops = {on_output, on_taken, on_closed};

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    process_begin(&f->process);
    f->wire = process_accept(&f->process, &f->peer, &wire_ops, f);
    f->conn = carried_create(f->wire, &carrier_ops, f, &ops, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->conn != NULL)
        conn_close(&f->conn, false);
    conn_close(&f->wire, false);
    close(f->peer);
    process_end(&f->process);
    mem_free(f);
    return 0;
}

static void push(struct fixture *f, const char *text)
{
    carried_push(f->conn, (const uint8_t *)text, strlen(text));
}

static void what_arrives_goes_straight_to_the_owner(void **state)
{
    struct fixture *f = *state;
    push(f, "hello");
    assert_int_equal(f->got_bytes, 5);
    assert_int_equal(f->taken_bytes, 5);
}

static void a_paused_owner_gives_no_room_back(void **state)
{
    struct fixture *f = *state;
    conn_pause(f->conn);
    push(f, "one ");
    push(f, "two");
    carried_push_eof(f->conn);
    assert_int_equal(f->got_bytes, 0);
    assert_int_equal(f->taken_bytes, 0);
    conn_resume(f->conn);
    assert_int_equal(f->got_bytes, 0); /* not from inside the owner's own call */
    loop_run_once(f->process.loop, false);
    assert_int_equal(f->got_bytes, 7);
    assert_memory_equal(f->got, "one two", 7);
    assert_int_equal(f->taken_bytes, 7);
    assert_int_equal(f->eof_count, 1);
}

static void closing_while_bytes_are_delivered_is_the_last_of_it(void **state)
{
    struct fixture *f = *state;
    f->closes_in_data = true;
    push(f, "hello");
    assert_null(f->conn);
    assert_int_equal(f->carrier_close_count, 1);
    assert_false(f->was_reset);
    assert_int_equal(f->taken_bytes, 0);
}

static void closing_while_held_bytes_are_delivered_drops_the_rest(void **state)
{
    struct fixture *f = *state;
    char big[20000];
    memset(big, 'x', sizeof big);
    conn_pause(f->conn);
    push(f, "first");
    carried_push(f->conn, (const uint8_t *)big, 100);
    f->closes_in_data = true;
    conn_resume(f->conn);
    loop_run_once(f->process.loop, false);
    assert_null(f->conn);
    assert_int_equal(f->carrier_close_count, 1);
}

static void the_carrier_pulls_what_is_written(void **state)
{
    struct fixture *f = *state;
    char out[8];
    bool is_end = true;
    conn_write(f->conn, "hello, world", 12);
    assert_int_equal(f->output_count, 1);
    assert_int_equal(carried_pull(f->conn, out, 8, &is_end), 8);
    assert_false(is_end);
    assert_memory_equal(out, "hello, w", 8);
    conn_shutdown_write(f->conn);
    assert_int_equal(carried_pull(f->conn, out, 8, &is_end), 4);
    assert_true(is_end);
    assert_int_equal(f->flushed_count, 0); /* told from the loop */
    loop_run_once(f->process.loop, false);
    assert_int_equal(f->flushed_count, 1);
    assert_int_equal(conn_buffered(f->conn), 0);
}

static void an_end_with_nothing_before_it_is_pulled_too(void **state)
{
    struct fixture *f = *state;
    char out[8];
    bool is_end = false;
    conn_shutdown_write(f->conn);
    assert_int_equal(f->output_count, 1);
    assert_int_equal(carried_pull(f->conn, out, 8, &is_end), 0);
    assert_true(is_end);
}

static void a_slow_carrier_fills_it_up(void **state)
{
    struct fixture *f = *state;
    static char bytes[3000];
    bool is_end;
    conn_set_high(f->conn, 2000);
    conn_write(f->conn, bytes, sizeof bytes);
    assert_true(conn_is_full(f->conn));
    assert_int_equal(carried_pull(f->conn, bytes, 1500, &is_end), 1500);
    loop_run_once(f->process.loop, false);
    assert_int_equal(f->drain_count, 0);
    assert_int_equal(carried_pull(f->conn, bytes, 1000, &is_end), 1000);
    loop_run_once(f->process.loop, false);
    assert_int_equal(f->drain_count, 1);
    assert_false(conn_is_full(f->conn));
}

static void a_broken_stream_is_reported_once(void **state)
{
    struct fixture *f = *state;
    conn_write(f->conn, "unsent", 6);
    carried_break(f->conn, ERR_RESET);
    assert_int_equal(f->close_count, 1);
    assert_int_equal(f->carrier_close_count, 0); /* who broke it knows */
    loop_run_once(f->process.loop, false);
    assert_int_equal(stat_get(&f->process.birth.block->process[STAT_BUFFERED_BYTES]), 0);
}

static void a_reset_by_the_owner_reaches_the_carrier(void **state)
{
    struct fixture *f = *state;
    conn_close(&f->conn, true);
    assert_int_equal(f->carrier_close_count, 1);
    assert_true(f->was_reset);
}

static void it_has_the_address_of_its_wire_but_is_no_client_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct addr a;
    char text[ADDR_TEXT_BYTES];
    conn_peer(f->conn, &a);
    assert_string_equal(addr_text(&a, text, sizeof text), "192.0.2.1:1234");
    assert_int_equal(stat_get(&f->process.birth.block->process[STAT_CLIENTS_OPEN]), 1);
    assert_null(conn_tls(f->conn));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_arrives_goes_straight_to_the_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paused_owner_gives_no_room_back, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_while_bytes_are_delivered_is_the_last_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_while_held_bytes_are_delivered_drops_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(the_carrier_pulls_what_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_with_nothing_before_it_is_pulled_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_carrier_fills_it_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_stream_is_reported_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_by_the_owner_reaches_the_carrier, setup, teardown),
        cmocka_unit_test_setup_teardown(it_has_the_address_of_its_wire_but_is_no_client_of_its_own, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
