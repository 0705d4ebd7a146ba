/* Calls that share HTTP/2 sessions: many on one, and what becomes of them when it ends. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/upstream/session.h"
#include "tests/replay/peer_h2.h"

static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n"
                           "pools:\n"
                           "  api:\n"
                           "    http: h2\n"
                           "    connect_timeout: 1s\n"
                           "    keepalive: { time: 60s }\n"
                           "    servers:\n"
                           "      - { name: a, url: 'http://127.0.0.1:@a' }\n"
                           "routes: [ { path: /, pool: api } ]\n";

static const struct ask get = {.path = "/x?y"};
static const struct ask upload = {.method = "POST", .has_body = true, .content_length = -1};

/* ---- one session ---- */

static void many_calls_share_one_connection(void **state)
{
    struct calls t;
    struct user u[20] = {0};
    struct peer p;
    char body[32];
    (void)state;
    calls_open(&t, yaml);
    for (int i = 0; i < 20; i++)
        user_start(&t, &u[i], &get);
    peer_accept(&t, &p, 0, false, 100);
    assert_false(server_has_waiting(&t, 0));
    assert_int_equal(p.request_count, 20);
    assert_string_equal(p.requests[0].method, "GET");
    assert_string_equal(p.requests[0].path, "/x?y");
    assert_string_equal(p.requests[0].authority, "app.example.com");
    for (int i = 19; i >= 0; i--) {
        (void)snprintf(body, sizeof body, "answer %d", i);
        peer_answer(&p, i, 200, body, true);
        user_expect(&u[i], 200, body);
        user_fini(&u[i]);
    }
    assert_int_equal(calls_counted(&t, STAT_SERVER_CONNECTS), 1);
    assert_int_equal(calls_counted(&t, STAT_SERVER_REUSES), 19);
    peer_hang_up(&p);
    calls_close(&t);
}

static void answers_may_have_no_body(void **state)
{
    static const struct {
        const char *method;
        uint16_t status;
    } rows[] = {{"HEAD", 200}, {"DELETE", 204}, {"GET", 304}, {"GET", 404}};
    struct calls t;
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    for (int i = 0; i < 4; i++) {
        struct user u = {0};
        user_start(&t, &u, &(struct ask){.method = rows[i].method});
        if (i == 0)
            peer_accept(&t, &p, 0, false, 100);
        peer_run(&p);
        peer_respond(&p, i, rows[i].status, "x-test", "yes", false);
        user_expect(&u, rows[i].status, "");
        assert_false(u.has_body);
        assert_string_equal(u.field, "yes");
        user_fini(&u);
    }
    peer_hang_up(&p);
    calls_close(&t);
}

/* There are servers that read nothing of a body without a length (CGI and its kin). */
static void a_known_length_is_told(void **state)
{
    struct calls t;
    struct user known = {0}, unknown = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &known, &(struct ask){.method = "PUT", .has_body = true, .content_length = 4});
    user_start(&t, &unknown, &upload);
    peer_accept(&t, &p, 0, false, 100);
    assert_int_equal(p.requests[0].content_length, 4);
    assert_int_equal(p.requests[1].content_length, -1);
    call_write(known.call, (const uint8_t *)"body", 4);
    call_end_body(known.call);
    call_end_body(unknown.call);
    peer_run(&p);
    assert_string_equal(p.requests[0].body, "body");
    peer_answer(&p, 0, 204, NULL, true);
    peer_answer(&p, 1, 204, NULL, true);
    user_expect(&known, 204, "");
    user_expect(&unknown, 204, "");
    user_fini(&known);
    user_fini(&unknown);
    peer_hang_up(&p);
    calls_close(&t);
}

static void uploads_are_stopped_by_the_servers_window(void **state)
{
    struct calls t;
    struct user u = {0};
    struct peer p;
    static uint8_t piece[16384];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &upload);
    peer_accept(&t, &p, 0, false, 100);
    assert_int_equal(u.ready_count, 1);
    p.is_greedy = true;
    uint64_t written = 0;
    for (int i = 0; i < 100 && !call_is_full(u.call); i++) {
        call_write(u.call, piece, sizeof piece);
        written += sizeof piece;
        peer_run(&p);
    }
    /* Its window, and what waits in the queue. */
    assert_in_range(written, 1, 256 * 1024 + 64 * 1024 + 2 * sizeof piece);
    assert_true(call_is_full(u.call));
    const uint64_t had = p.requests[0].body_bytes;
    h2_stream_consume(p.requests[0].st, had);
    p.is_greedy = false;
    peer_run(&p);
    assert_int_equal(u.drain_count, 1);
    call_end_body(u.call);
    peer_run(&p);
    assert_int_equal(p.requests[0].body_bytes, written);
    assert_true(p.requests[0].is_ended);
    peer_answer(&p, 0, 201, "made", true);
    user_expect(&u, 201, "made");
    user_fini(&u);
    peer_hang_up(&p);
    calls_close(&t);
}

static void a_paused_download_does_not_stop_the_others(void **state)
{
    struct calls t;
    struct user slow = {.pauses = true}, quick = {0};
    struct peer p;
    static uint8_t piece[16384];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &slow, &get);
    user_start(&t, &quick, &get);
    peer_accept(&t, &p, 0, false, 100);
    peer_respond(&p, 0, 200, NULL, NULL, true);
    for (int i = 0; i < 100; i++)
        peer_send(&p, 0, piece, sizeof piece);
    assert_in_range(slow.body_bytes, 1, CALL_AHEAD_BYTES);
    peer_answer(&p, 1, 200, "quick", true);
    user_expect(&quick, 200, "quick");
    slow.pauses = false;
    call_resume(slow.call);
    peer_end(&p, 0);
    assert_int_equal(slow.body_bytes, 100 * sizeof piece);
    assert_true(slow.is_ended);
    user_fini(&slow);
    user_fini(&quick);
    peer_hang_up(&p);
    calls_close(&t);
}

/* However many of them there are on its connection. */
static void many_paused_downloads_do_not_stop_the_others(void **state)
{
    enum { SLOW = 40, PIECES = 20 };
    struct calls t;
    struct user slow[SLOW] = {0}, quick = {0};
    struct peer p;
    static uint8_t piece[16384];
    (void)state;
    calls_open(&t, yaml);
    for (int i = 0; i < SLOW; i++) {
        slow[i].pauses = true;
        user_start(&t, &slow[i], &get);
    }
    user_start(&t, &quick, &get);
    peer_accept(&t, &p, 0, false, 100);
    for (int i = 0; i < SLOW; i++) {
        peer_respond(&p, i, 200, NULL, NULL, true);
        for (int k = 0; k < PIECES; k++)
            h2_stream_send(p.requests[i].st, piece, sizeof piece);
    }
    peer_run(&p);
    peer_answer(&p, SLOW, 200, "quick", true);
    user_expect(&quick, 200, "quick");
    user_fini(&quick);
    for (int i = 0; i < SLOW; i++)
        user_fini(&slow[i]);
    peer_hang_up(&p);
    calls_close(&t);
}

static void an_early_answer_ends_the_upload(void **state)
{
    struct calls t;
    struct user u = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &upload);
    peer_accept(&t, &p, 0, false, 100);
    call_write(u.call, (const uint8_t *)"some", 4);
    peer_run(&p);
    peer_answer(&p, 0, 413, "no", true);
    user_expect(&u, 413, "no");
    user_fini(&u);
    peer_run(&p);
    assert_null(p.requests[0].st);
    /* and nobody else has suffered */
    user_start(&t, &u, &get);
    peer_run(&p);
    peer_answer(&p, 1, 200, "hi", true);
    user_expect(&u, 200, "hi");
    user_fini(&u);
    peer_hang_up(&p);
    calls_close(&t);
}

static void a_full_session_gets_a_second_one(void **state)
{
    struct calls t;
    struct user u[4] = {0};
    struct peer p[2];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u[0], &get);
    peer_accept(&t, &p[0], 0, false, 2);
    for (int i = 1; i < 4; i++)
        user_start(&t, &u[i], &get);
    peer_run(&p[0]);
    assert_int_equal(p[0].request_count, 2);
    peer_accept(&t, &p[1], 0, false, 2);
    assert_int_equal(p[1].request_count, 2);
    for (int i = 0; i < 4; i++) {
        peer_answer(&p[i / 2], i % 2, 200, "hi", true);
        user_expect(&u[i], 200, "hi");
        user_fini(&u[i]);
    }
    peer_hang_up(&p[0]);
    peer_hang_up(&p[1]);
    calls_close(&t);
}

static void a_cancelled_call_leaves_the_others_alone(void **state)
{
    struct calls t;
    struct user gone = {0}, stays = {0}, at_head = {.cancels_at_head = true}, at_data = {.cancels_at_data = true};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &gone, &get);
    user_start(&t, &stays, &get);
    user_start(&t, &at_head, &get);
    user_start(&t, &at_data, &get);
    peer_accept(&t, &p, 0, false, 100);
    user_fini(&gone);
    peer_run(&p);
    assert_null(p.requests[0].st);
    assert_int_equal(p.requests[0].close_code, H2_CANCEL);
    peer_answer(&p, 1, 200, "h", false);
    peer_respond(&p, 2, 200, NULL, NULL, true);
    assert_null(p.requests[2].st);
    peer_respond(&p, 3, 200, NULL, NULL, true);
    peer_send(&p, 3, "x", 1);
    assert_null(p.requests[3].st);
    peer_send(&p, 1, "i", 1);
    peer_end(&p, 1);
    user_expect(&stays, 200, "hi");
    user_fini(&stays);
    user_fini(&at_head);
    user_fini(&at_data);
    peer_hang_up(&p);
    calls_close(&t);
}

/* ---- ends ---- */

static void a_server_that_says_nothing_is_no_session(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    int fd = server_accept(&t, 0);
    calls_advance(&t, 1100);
    user_expect_failed(&u, ERR_TIMEOUT, CALL_CONNECT);
    assert_true(u.failure.is_unprocessed);
    user_fini(&u);
    server_expect_gone(&t, fd); /* the next one gets a fresh one */
    assert_int_equal(t.net->open_count, 0);
    close(fd);
    calls_close(&t);
}

static void a_goodbye_lets_the_others_finish(void **state)
{
    struct calls t;
    struct user first = {0}, second = {0};
    struct peer p[2];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &first, &get);
    peer_accept(&t, &p[0], 0, false, 100);
    /* The second request crosses the goodbye on its way: the server will never look at it. */
    h2_server_goaway(p[0].h2, true);
    user_start(&t, &second, &(struct ask){.method = "POST", .is_not_repeatable = true});
    peer_run(&p[0]);
    peer_accept(&t, &p[1], 0, false, 100);
    assert_int_equal(p[1].request_count, 1);
    peer_answer(&p[0], 0, 200, "old", true);
    peer_answer(&p[1], 0, 200, "new", true);
    user_expect(&first, 200, "old");
    user_expect(&second, 200, "new");
    user_fini(&first);
    user_fini(&second);
    server_expect_gone(&t, p[0].fd);
    peer_hang_up(&p[0]);
    peer_hang_up(&p[1]);
    calls_close(&t);
}

/* It was on its way already: the server has promised not to have looked at it. */
static void a_goodbye_that_crosses_a_request_is_not_the_end_of_it(void **state)
{
    struct calls t;
    struct user first = {0}, second = {0};
    struct peer p[2];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &first, &get);
    peer_accept(&t, &p[0], 0, false, 100);
    user_start(&t, &second, &(struct ask){.method = "POST", .is_not_repeatable = true});
    sim_settle(t.loop); /* sent */
    h2_server_goaway(p[0].h2, true);
    peer_run(&p[0]);
    peer_accept(&t, &p[1], 0, false, 100);
    assert_int_equal(p[1].request_count, 1);
    peer_answer(&p[0], 0, 200, "old", true);
    peer_answer(&p[1], 0, 200, "new", true);
    user_expect(&first, 200, "old");
    user_expect(&second, 200, "new");
    user_fini(&first);
    user_fini(&second);
    peer_hang_up(&p[0]);
    peer_hang_up(&p[1]);
    calls_close(&t);
}

static const struct {
    enum h2_code code;
    bool is_unprocessed;
} resets[] = {{H2_REFUSED_STREAM, true}, {H2_INTERNAL_ERROR, false}, {H2_CANCEL, false}, {H2_NO_ERROR, false}};

static void a_reset_says_whether_anything_was_done(void **state)
{
    struct calls t;
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    for (int i = 0; i < 4; i++) {
        struct user u = {0};
        user_start(&t, &u, &(struct ask){.method = "POST", .is_not_repeatable = true});
        if (i == 0)
            peer_accept(&t, &p, 0, false, 100);
        peer_run(&p);
        peer_reset(&p, i, resets[i].code);
        user_expect_failed(&u, ERR_RESET, CALL_ANSWER);
        assert_int_equal(u.failure.is_unprocessed, resets[i].is_unprocessed);
        user_fini(&u);
    }
    peer_hang_up(&p);
    calls_close(&t);
}

static void a_reset_within_the_body_breaks_the_answer(void **state)
{
    struct calls t;
    struct user u = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    peer_accept(&t, &p, 0, false, 100);
    peer_answer(&p, 0, 200, "half", false);
    peer_reset(&p, 0, H2_REFUSED_STREAM); /* too late for that */
    user_expect_failed(&u, ERR_RESET, CALL_BODY);
    assert_string_equal(u.body.data, "half");
    user_fini(&u);
    peer_hang_up(&p);
    calls_close(&t);
}

static void a_lost_connection_is_replaced_where_that_is_safe(void **state)
{
    struct calls t;
    struct user old = {0}, safe = {0}, unsafe = {0};
    struct peer p[2];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &old, &get);
    peer_accept(&t, &p[0], 0, false, 100);
    peer_answer(&p[0], 0, 200, "hi", true);
    user_fini(&old);
    user_start(&t, &safe, &get);
    user_start(&t, &unsafe, &(struct ask){.method = "POST", .is_not_repeatable = true});
    peer_run(&p[0]);
    peer_hang_up(&p[0]);
    assert_true(unsafe.is_failed);
    assert_false(unsafe.failure.is_unprocessed);
    peer_accept(&t, &p[1], 0, false, 100);
    peer_answer(&p[1], 0, 200, "hi", true);
    user_expect(&safe, 200, "hi");
    user_fini(&safe);
    user_fini(&unsafe);
    peer_hang_up(&p[1]);
    calls_close(&t);
}

static void a_session_without_a_sign_of_life_is_given_up(void **state)
{
    struct calls t;
    struct user u = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    peer_accept(&t, &p, 0, false, 100);
    for (int i = 0; i < 2; i++) { /* pings are answered while the answer takes its time */
        calls_advance(&t, SESSION_QUIET_MS + 100);
        peer_run(&p);
    }
    assert_false(u.is_failed);
    calls_advance(&t, SESSION_QUIET_MS + SESSION_PONG_MS + 200);
    user_expect_failed(&u, ERR_TIMEOUT, CALL_ANSWER);
    assert_string_equal(u.detail, "no sign of life");
    user_fini(&u);
    peer_hang_up(&p);
    calls_close(&t);
}

static void silence_counts_from_the_request_on(void **state)
{
    struct calls t;
    struct user u = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    peer_accept(&t, &p, 0, false, 100);
    peer_answer(&p, 0, 200, "hi", true);
    user_fini(&u);
    calls_advance(&t, 20000);
    user_start(&t, &u, &get); /* the server has died meanwhile, without a word */
    calls_advance(&t, SESSION_QUIET_MS + SESSION_PONG_MS - 100);
    assert_false(u.is_failed);
    calls_advance(&t, 200);
    /* It is repeatable, and so another session is tried. */
    struct peer next;
    peer_accept(&t, &next, 0, false, 100);
    peer_answer(&next, 0, 200, "hi", true);
    user_expect(&u, 200, "hi");
    user_fini(&u);
    peer_hang_up(&p);
    peer_hang_up(&next);
    calls_close(&t);
}

static void an_idle_session_is_closed_in_time(void **state)
{
    struct calls t;
    struct user u = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    peer_accept(&t, &p, 0, false, 100);
    peer_answer(&p, 0, 200, "hi", true);
    user_fini(&u);
    calls_advance(&t, 59000);
    assert_int_equal(t.net->open_count, 1);
    calls_advance(&t, 6000);
    assert_int_equal(t.net->open_count, 0);
    peer_hang_up(&p);
    calls_close(&t);
}

static void a_forgotten_server_gets_a_new_session(void **state)
{
    struct calls t;
    struct user busy = {0}, next = {0};
    struct peer p[2];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &busy, &get);
    peer_accept(&t, &p[0], 0, false, 100);
    call_forget_server(calls_server(&t, 0));
    user_start(&t, &next, &get);
    peer_accept(&t, &p[1], 0, false, 100);
    peer_answer(&p[0], 0, 200, "old", true);
    peer_answer(&p[1], 0, 200, "new", true);
    user_expect(&busy, 200, "old");
    user_expect(&next, 200, "new");
    user_fini(&busy);
    user_fini(&next);
    assert_int_equal(t.net->open_count, 1);
    peer_hang_up(&p[0]);
    peer_hang_up(&p[1]);
    calls_close(&t);
}

static void garbage_is_a_broken_protocol(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &get);
    int fd = server_accept(&t, 0);
    server_write(&t, fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    user_expect_failed(&u, ERR_PROTOCOL, CALL_CONNECT);
    assert_true(u.failure.is_unprocessed); /* nothing is sent before the settings have come */
    user_fini(&u);
    server_expect_gone(&t, fd);
    close(fd);
    calls_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_calls_share_one_connection),
        cmocka_unit_test(answers_may_have_no_body),
        cmocka_unit_test(a_known_length_is_told),
        cmocka_unit_test(uploads_are_stopped_by_the_servers_window),
        cmocka_unit_test(a_paused_download_does_not_stop_the_others),
        cmocka_unit_test(many_paused_downloads_do_not_stop_the_others),
        cmocka_unit_test(an_early_answer_ends_the_upload),
        cmocka_unit_test(a_full_session_gets_a_second_one),
        cmocka_unit_test(a_cancelled_call_leaves_the_others_alone),
        cmocka_unit_test(a_server_that_says_nothing_is_no_session),
        cmocka_unit_test(a_goodbye_lets_the_others_finish),
        cmocka_unit_test(a_goodbye_that_crosses_a_request_is_not_the_end_of_it),
        cmocka_unit_test(a_reset_says_whether_anything_was_done),
        cmocka_unit_test(a_reset_within_the_body_breaks_the_answer),
        cmocka_unit_test(a_lost_connection_is_replaced_where_that_is_safe),
        cmocka_unit_test(a_session_without_a_sign_of_life_is_given_up),
        cmocka_unit_test(silence_counts_from_the_request_on),
        cmocka_unit_test(an_idle_session_is_closed_in_time),
        cmocka_unit_test(a_forgotten_server_gets_a_new_session),
        cmocka_unit_test(garbage_is_a_broken_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
