/* The connections of test_conn.c under TLS, with a client that is OpenSSL itself: what TLS holds back or brings along,
 * of which the socket does not tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/net/conn_priv.h"
#include "tests/unit/base/meeting.h"
#include "tests/unit/gateway/net/process.h"
#include "tests/unit/until.h"

#define RECORD_BYTES 16384

struct fixture {
    struct process process;
    struct conn *conn;
    int peer_fd;
    SSL_CTX *peer_ctx;
    SSL *peer;
    uint8_t next; /* bytes are numbered, in order */
    size_t data_bytes;
    int data_calls, open_calls, eof_calls, close_calls;
    bool pauses_in_data;
    enum err closed_by;
    char failure[TLS_ERROR_TEXT_BYTES];
};

static void on_open(void *arg)
{
    ((struct fixture *)arg)->open_calls++;
}
static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct fixture *f = arg;
    for (size_t i = 0; i < len; i++)
        assert_int_equal(data[i], f->next++);
    f->data_bytes += len;
    f->data_calls++;
    if (f->pauses_in_data)
        conn_pause(f->conn);
}
static void on_eof(void *arg)
{
    ((struct fixture *)arg)->eof_calls++;
}
static void on_close(void *arg, enum err e)
{
    struct fixture *f = arg;
    (void)snprintf(f->failure, sizeof f->failure, "%s", conn_failure_text(f->conn));
    f->closed_by = e;
    f->conn = NULL;
    f->close_calls++;
}
static const struct conn_ops ops = {.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_close = on_close};

static void pass(struct fixture *f)
{
    for (int i = 0; i < 5; i++)
        loop_run_once(f->process.loop, false);
}

static struct fixture *open_with(const struct people *p)
{
    struct fixture *f = mem_alloc(sizeof *f);
    struct tls_ctx *server = server_ctx_of(&p->edge, (struct tls_server_opts){0});
    process_begin(&f->process);
    f->conn = process_accept(&f->process, &f->peer_fd, &ops, f);
    conn_start_tls(f->conn, server);
    tls_ctx_unref(&server);
    f->peer_ctx = SSL_CTX_new(TLS_client_method());
    f->peer = SSL_new(f->peer_ctx);
    SSL_set_fd(f->peer, f->peer_fd);
    SSL_set_connect_state(f->peer);
    return f;
}

static void end(struct fixture *f)
{
    if (f->conn != NULL)
        conn_close(&f->conn, false);
    SSL_free(f->peer);
    SSL_CTX_free(f->peer_ctx);
    close(f->peer_fd);
    ERR_clear_error();
    process_end(&f->process);
    mem_free(f);
}

/* The peer's side of the handshake is done, and ours as soon as the loop has turned. */
static void meet(struct fixture *f)
{
    for (int turn = 0; turn < 10 && SSL_do_handshake(f->peer) != 1; turn++)
        pass(f);
    assert_true(SSL_is_init_finished(f->peer));
}

static struct fixture *open_and_meet(void **state)
{
    struct fixture *f = open_with(*state);
    meet(f);
    UNTIL(f->process.loop, f->open_calls == 1);
    return f;
}

/* One record, of numbered bytes that begin with `*next`. */
static void say(struct fixture *f, uint8_t *next, int len)
{
    uint8_t record[RECORD_BYTES];
    for (int i = 0; i < len; i++)
        record[i] = (*next)++;
    assert_int_equal(SSL_write(f->peer, record, len), len);
}

/* More than one read takes, which ends in the middle of a record: the beginning of that is TLS's, the rest the
 * socket's. */
static size_t say_much(struct fixture *f)
{
    uint8_t next = 0;
    say(f, &next, 100);
    for (int i = 0; i < 4; i++)
        say(f, &next, RECORD_BYTES);
    return 100 + 4 * RECORD_BYTES;
}

/* ---- reading ---- */

static void what_comes_right_behind_the_handshake_is_not_left_lying(void **state)
{
    struct fixture *f = open_with(*state);
    uint8_t next = 0;
    meet(f); /* our side has not read the end of it */
    assert_int_equal(f->open_calls, 0);
    say(f, &next, 5);
    UNTIL(f->process.loop, f->data_bytes == 5);
    assert_int_equal(f->open_calls, 1);
    end(f);
}

static void more_than_a_read_takes_comes_whole(void **state)
{
    struct fixture *f = open_and_meet(state);
    const size_t said = say_much(f);
    UNTIL(f->process.loop, f->data_bytes == said);
    end(f);
}

static void a_pause_in_the_middle_of_a_record_loses_nothing(void **state)
{
    struct fixture *f = open_and_meet(state);
    f->pauses_in_data = true;
    const size_t said = say_much(f);
    UNTIL(f->process.loop, f->data_calls == 1);
    pass(f);
    assert_int_equal(f->data_calls, 1);
    assert_true(f->data_bytes < said);
    f->pauses_in_data = false;
    conn_resume(f->conn);
    assert_int_equal(f->data_calls, 1); /* not under the caller's feet */
    UNTIL(f->process.loop, f->data_bytes == said);
    end(f);
}

/* The good-bye was read along with what came before it: the socket has nothing more to tell. */
static void what_tls_holds_at_a_pause_comes_after_it(void **state)
{
    struct fixture *f = open_and_meet(state);
    uint8_t next = 0;
    f->pauses_in_data = true;
    say(f, &next, 5);
    assert_int_equal(SSL_shutdown(f->peer), 0);
    UNTIL(f->process.loop, f->data_bytes == 5);
    pass(f);
    assert_true(tls_has_pending(conn_tls(f->conn)));
    assert_int_equal(f->eof_calls, 0);
    conn_resume(f->conn);
    assert_int_equal(f->eof_calls, 0);
    UNTIL(f->process.loop, f->eof_calls == 1);
    end(f);
}

static void a_pause_that_lasts_ends_the_watching(void **state)
{
    struct fixture *f = open_and_meet(state);
    uint8_t next = 0;
    conn_pause(f->conn);
    assert_int_equal(io_wanted(&f->conn->io), IO_READ);
    say(f, &next, 5);
    pass(f);
    assert_int_equal(f->data_bytes, 0);
    assert_int_equal(io_wanted(&f->conn->io), 0);
    conn_resume(f->conn);
    UNTIL(f->process.loop, f->data_bytes == 5);
    end(f);
}

/* ---- writing ---- */

static void what_does_not_fit_is_sent_in_order(void **state)
{
    struct fixture *f = open_and_meet(state);
    const size_t len = 2000000;
    uint8_t *all = mem_alloc(len), in[RECORD_BYTES];
    size_t got = 0;
    for (size_t i = 0; i < len; i++)
        all[i] = (uint8_t)(i % 251);
    conn_write(f->conn, all, len);
    assert_true(conn_buffered(f->conn) > 0);
    for (int turn = 0; turn < 10000 && got < len; turn++) {
        const int n = SSL_read(f->peer, in, sizeof in);
        if (n > 0)
            assert_memory_equal(in, all + got, (size_t)n);
        got += n > 0 ? (size_t)n : 0;
        loop_run_once(f->process.loop, false);
    }
    assert_int_equal(got, len);
    assert_int_equal(conn_buffered(f->conn), 0);
    mem_free(all);
    end(f);
}

/* ---- the end ---- */

static int what_the_peer_sees(struct fixture *f)
{
    uint8_t in[16];
    ERR_clear_error();
    const int n = SSL_read(f->peer, in, sizeof in);
    assert_true(n <= 0);
    return SSL_get_error(f->peer, n);
}

static void closing_says_so_and_resetting_does_not(void **state)
{
    for (int resets = 0; resets <= 1; resets++) {
        struct fixture *f = open_and_meet(state);
        conn_close(&f->conn, resets == 1);
        pass(f);
        const int seen = what_the_peer_sees(f);
        assert_int_not_equal(seen, SSL_ERROR_WANT_READ);
        assert_int_equal(seen == SSL_ERROR_ZERO_RETURN, resets == 0);
        end(f);
    }
}

static void a_peer_that_says_good_bye_has_ended(void **state)
{
    struct fixture *f = open_and_meet(state);
    uint8_t next = 0;
    say(f, &next, 5);
    assert_int_equal(SSL_shutdown(f->peer), 0);
    UNTIL(f->process.loop, f->eof_calls == 1);
    assert_int_equal(f->data_bytes, 5);
    assert_int_equal(f->close_calls, 0);
    end(f);
}

/* Somebody on the path may have cut it: that is no orderly end. */
static void a_peer_that_is_cut_off_is_a_failure_behind_what_it_said(void **state)
{
    struct fixture *f = open_and_meet(state);
    uint8_t next = 0;
    say(f, &next, 5);
    assert_int_equal(shutdown(f->peer_fd, SHUT_WR), 0);
    UNTIL(f->process.loop, f->close_calls == 1);
    assert_int_equal(f->data_bytes, 5);
    assert_int_equal(f->eof_calls, 0);
    assert_int_equal(f->closed_by, ERR_RESET);
    assert_string_equal(f->failure, "closed without close_notify");
    end(f);
}

static void a_peer_that_speaks_no_tls_is_told_from_the_others(void **state)
{
    struct fixture *f = open_with(*state);
    assert_int_equal(write(f->peer_fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    UNTIL(f->process.loop, f->close_calls == 1);
    assert_int_equal(f->open_calls, 0);
    assert_int_equal(f->closed_by, ERR_TLS);
    assert_string_equal(f->failure, "http request");
    end(f);
}

static void a_peer_that_leaves_in_the_handshake_is_a_failure(void **state)
{
    struct fixture *f = open_with(*state);
    (void)SSL_do_handshake(f->peer);
    pass(f);
    assert_int_equal(shutdown(f->peer_fd, SHUT_WR), 0);
    UNTIL(f->process.loop, f->close_calls == 1);
    assert_int_equal(f->open_calls, 0);
    assert_int_equal(f->closed_by, ERR_RESET);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_right_behind_the_handshake_is_not_left_lying),
        cmocka_unit_test(more_than_a_read_takes_comes_whole),
        cmocka_unit_test(a_pause_in_the_middle_of_a_record_loses_nothing),
        cmocka_unit_test(what_tls_holds_at_a_pause_comes_after_it),
        cmocka_unit_test(a_pause_that_lasts_ends_the_watching),
        cmocka_unit_test(what_does_not_fit_is_sent_in_order),
        cmocka_unit_test(closing_says_so_and_resetting_does_not),
        cmocka_unit_test(a_peer_that_says_good_bye_has_ended),
        cmocka_unit_test(a_peer_that_is_cut_off_is_a_failure_behind_what_it_said),
        cmocka_unit_test(a_peer_that_speaks_no_tls_is_told_from_the_others),
        cmocka_unit_test(a_peer_that_leaves_in_the_handshake_is_a_failure),
    };
    return cmocka_run_group_tests(tests, people_setup, people_teardown);
}
