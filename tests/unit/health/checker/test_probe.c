/* Probes of each kind against servers that behave and that misbehave in every way a probe is there to find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>

#include "health/checker/lws_engine.h"
#include "health/checker/probe.h"
#include "tests/unit/health/checker/backend.h"

#define DEADLINE_MS 5000 /* for probes that answer */
#define HANGING_MS  300  /* for those that do not */
#define MANY        3000

struct bench {
    struct loop *loop;
    struct lws_engine *engine;
    struct lws_host *host;
    struct backend backend;
    struct conf_check check;
    struct probe_plan plan;
    /* the probe under way */
    struct probe *probe;
    struct timer deadline;
    bool is_done, is_overdue;
    char waited_for[64];
    struct probe_result result;
};

static void on_done(void *arg, const struct probe_result *result)
{
    struct bench *t = arg;
    assert_false(t->is_done);
    t->is_done = true;
    t->probe = NULL;
    t->result = *result;
}

static void on_deadline(void *arg)
{
    struct bench *t = arg;
    t->is_overdue = true;
    if (t->probe == NULL)
        return;
    snprintf(t->waited_for, sizeof t->waited_for, "%s", probe_waiting_for(t->probe));
    probe_cancel(&t->probe);
}

/* Runs one probe to its answer or its deadline. */
static void ask_for(struct bench *t, int64_t deadline_ms)
{
    t->is_done = t->is_overdue = false;
    t->probe = probe_start(t->loop, &t->plan, on_done, t);
    assert_false(t->is_done); /* never before the start has returned */
    timer_start(&t->deadline, deadline_ms);
    while (!t->is_done && !t->is_overdue)
        loop_run_once(t->loop, true);
    timer_cancel(&t->deadline);
}

static void ask(struct bench *t)
{
    ask_for(t, DEADLINE_MS);
}

static void expect_up(struct bench *t)
{
    ask(t);
    if (!t->is_done || t->result.err != ERR_NONE)
        fail_msg("down: %s", t->is_done ? t->result.cause : t->waited_for);
    assert_string_equal(t->result.cause, "");
    assert_in_range(t->result.latency_us, 1, DEADLINE_MS * 1000);
}

static void expect_down(struct bench *t, const char *cause)
{
    ask(t);
    assert_true(t->is_done);
    assert_string_equal(t->result.cause, cause);
    assert_int_not_equal(t->result.err, ERR_NONE);
}

static void expect_hanging(struct bench *t, const char *waiting_for)
{
    ask_for(t, HANGING_MS);
    assert_true(t->is_overdue);
    assert_string_equal(t->waited_for, waiting_for);
}

/* Lets good-byes be said: until the server has no connection open. */
static void settle(struct bench *t)
{
    timer_start(&t->deadline, DEADLINE_MS);
    while (t->backend.open_count > 0 && timer_is_active(&t->deadline))
        loop_run_once(t->loop, true);
    assert_int_equal(t->backend.open_count, 0);
    timer_cancel(&t->deadline);
}

static int setup(void **state)
{
    struct bench *t = calloc(1, sizeof *t);
    t->loop = loop_create();
    t->engine = lws_engine_create(t->loop);
    assert_non_null(t->engine);
    t->host = lws_host_create(t->engine, NULL, NULL, NULL);
    backend_open(&t->backend, t->loop);
    timer_init(&t->deadline, t->loop, on_deadline, t);
    t->check = (struct conf_check){
        .type = CHECK_HTTP,
        .path = "/health?deep=1",
        .expect_statuses = {.count = 1, .range = {{200, 299}}},
    };
    t->plan = (struct probe_plan){
        .check = &t->check,
        .addr = t->backend.addr,
        .host = t->host,
        .host_header = "edge.test:8080",
    };
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct bench *t = *state;
    if (t->backend.fd >= 0)
        backend_close(&t->backend);
    lws_host_destroy(&t->host);
    lws_engine_destroy(&t->engine);
    loop_destroy(&t->loop);
    free(t);
    return 0;
}

static void kill_backend(struct bench *t)
{
    backend_close(&t->backend);
    t->backend.fd = -1;
}

/* ---- tcp ---- */

static void test_tcp_is_up_when_somebody_listens(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_TCP;
    expect_up(t);
}

static void test_tcp_is_down_when_nobody_does(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_TCP;
    kill_backend(t);
    expect_down(t, "refused");
    assert_int_equal(t->result.err, ERR_REFUSED);
}

/* ---- http ---- */

static void test_http_fields_decide(void **state)
{
    struct bench *t = *state;
    struct conf_pair fields[] = {{"Location", "192.0.2.1"}, {"x-region", "us"}};
    t->backend.does = BACKEND_ANSWERS;
    t->check.expect_headers = fields;
    t->check.expect_header_count = 1;
    expect_up(t);
    fields[0].value = "*";
    expect_up(t);
    fields[0].value = "192.0.2.2";
    expect_down(t, "protocol: header location is not as expected");
    fields[0].value = "*";
    t->check.expect_header_count = 2;
    expect_down(t, "protocol: header x-region is not as expected");
    t->backend.more_fields = "X-Region: us-east\r\n"; /* a name libwebsockets has no number for */
    expect_up(t);
    assert_int_equal(lws_host_open_count(t->host), 0);
}

static void test_http_body_decides(void **state)
{
    struct bench *t = *state;
    t->backend.does = BACKEND_ANSWERS;
    t->check.expect_body = "ye";
    expect_up(t);
    t->check.expect_body = "no";
    expect_down(t, "protocol: body without the text expected");
    t->check.expect_body = "yes, and more";
    expect_down(t, "protocol: body without the text expected");
    t->backend.does = BACKEND_PROMISES; /* a head, and a body that does not come */
    expect_hanging(t, "body");
    settle(t);
}

static void test_http_asks_as_a_client_would(void **state)
{
    struct bench *t = *state;
    t->backend.does = BACKEND_ANSWERS;
    expect_up(t);
    assert_ptr_equal(strstr(t->backend.request, "GET /health?deep=1 HTTP/1.1\r\n"), t->backend.request);
    assert_non_null(strstr(t->backend.request, "Host: edge.test:8080\r\n"));
    assert_non_null(strstr(t->backend.request, "User-Agent: tidegate/"));
}

static void test_http_status_decides(void **state)
{
    struct bench *t = *state;
    t->backend.does = BACKEND_ANSWERS;
    t->backend.status = 204;
    expect_up(t);
    t->backend.status = 500;
    expect_down(t, "protocol: status 500");
    t->backend.status = 302; /* is an answer, not a place to go to */
    expect_down(t, "protocol: status 302");
    t->check.expect_statuses.range[0].min = t->check.expect_statuses.range[0].max = 404;
    t->backend.status = 404;
    expect_up(t);
    t->backend.status = 200;
    expect_down(t, "protocol: status 200");
}

static void test_http_server_that_hangs(void **state)
{
    struct bench *t = *state;
    expect_hanging(t, "response");
    assert_int_equal(lws_host_open_count(t->host), 0);
}

static void test_http_server_that_closes(void **state)
{
    struct bench *t = *state;
    t->backend.does = BACKEND_CLOSES;
    ask(t);
    assert_true(t->is_done);
    assert_int_not_equal(t->result.err, ERR_NONE);
}

static void test_http_server_that_speaks_something_else(void **state)
{
    struct bench *t = *state;
    t->backend.does = BACKEND_TALKS_NONSENSE;
    expect_hanging(t, "response"); /* the wait for a head goes on */
}

static void test_http_is_down_when_nobody_listens(void **state)
{
    struct bench *t = *state;
    kill_backend(t);
    expect_down(t, "unreachable: no connection");
}

static void test_address_without_a_route(void **state)
{
    struct bench *t = *state;
    (void)addr_from_ip(&t->plan.addr, "255.255.255.255", 80); /* refused by connect(2) itself */
    expect_down(t, "unreachable: no connection");
    t->check.type = CHECK_TCP;
    ask(t);
    assert_true(t->is_done);
    assert_int_not_equal(t->result.err, ERR_NONE);
}

static void test_what_does_not_fit_into_a_request(void **state)
{
    struct bench *t = *state;
    char text[4096];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    t->check.path = text;
    expect_down(t, "unreachable: path too long");
    t->check.path = "/";
    text[200] = '\0';
    t->plan.host_header = text;
    expect_down(t, "unreachable: host header too long");
    assert_int_equal(t->backend.accepted_count, 0);
}

/* ---- websocket ---- */

static void test_websocket_upgrade_is_enough(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_WEBSOCKET;
    t->backend.does = BACKEND_UPGRADES;
    t->backend.pings = BACKEND_IGNORES_PINGS;
    expect_up(t);
    settle(t);
    assert_int_equal(t->backend.close_frame_count, 1);
    assert_non_null(strstr(t->backend.request, "Upgrade: websocket\r\n"));
    assert_non_null(strstr(t->backend.request, "Sec-WebSocket-Version: 13\r\n"));
    assert_null(strstr(t->backend.request, "Sec-WebSocket-Protocol"));
    assert_null(strstr(t->backend.request, "Sec-WebSocket-Extensions"));
}

static void test_websocket_ping_is_answered(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_WEBSOCKET;
    t->check.speak = SPEAK_PING;
    t->backend.does = BACKEND_UPGRADES;
    expect_up(t);
    settle(t);
    assert_int_equal(t->backend.close_frame_count, 1);
}

static void test_websocket_server_that_ignores_pings(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_WEBSOCKET;
    t->check.speak = SPEAK_PING;
    t->backend.does = BACKEND_UPGRADES;
    t->backend.pings = BACKEND_IGNORES_PINGS;
    expect_hanging(t, "pong");
    t->backend.pings = BACKEND_PONGS_OTHERWISE;
    expect_hanging(t, "pong");
}

static void test_websocket_server_that_closes(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_WEBSOCKET;
    t->check.speak = SPEAK_PING;
    t->backend.does = BACKEND_UPGRADES;
    t->backend.pings = BACKEND_CLOSES_AT_PING;
    expect_down(t, "closed: close frame 1011");
}

static void test_websocket_server_that_refuses(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_WEBSOCKET;
    t->backend.does = BACKEND_ANSWERS;
    t->backend.status = 403;
    expect_down(t, "protocol: status 403");
    t->backend.status = 200;
    expect_down(t, "protocol: status 200");
    t->backend.status = 401;
    expect_down(t, "protocol: status 401");
}

static void test_websocket_server_that_computes_wrongly(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_WEBSOCKET;
    t->backend.does = BACKEND_UPGRADES;
    t->backend.wrong_accept_key = true;
    ask(t);
    assert_true(t->is_done);
    assert_int_equal(t->result.err, ERR_PROTOCOL);
}

static void test_websocket_server_that_hangs(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_WEBSOCKET;
    expect_hanging(t, "response");
}

/* ---- life ---- */

static void test_cancel_at_any_moment(void **state)
{
    struct bench *t = *state;
    t->backend.does = BACKEND_UPGRADES;
    t->check.speak = SPEAK_PING;
    static const enum conf_check_type types[] = {CHECK_TCP, CHECK_HTTP, CHECK_WEBSOCKET};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (int passes = 0; passes < 12; passes++) {
            t->check.type = types[i];
            t->is_done = false;
            t->probe = probe_start(t->loop, &t->plan, on_done, t);
            for (int k = 0; k < passes && !t->is_done; k++)
                loop_run_once(t->loop, false);
            if (!t->is_done)
                probe_cancel(&t->probe);
            t->is_done = true; /* on_done would complain from now on */
        }
    }
    settle(t);
}

static void test_host_goes_while_it_says_good_bye(void **state)
{
    struct bench *t = *state;
    t->check.type = CHECK_WEBSOCKET;
    t->backend.does = BACKEND_UPGRADES;
    expect_up(t);
    lws_host_destroy(&t->host);
    t->host = lws_host_create(t->engine, NULL, NULL, NULL);
    t->plan.host = t->host;
    expect_up(t);
}

static size_t heap_bytes(void)
{
    return mallinfo2().uordblks;
}

static void test_memory_and_descriptors_stay_flat(void **state)
{
    struct bench *t = *state;
    size_t after_first = 0;
    for (int i = 0; i < MANY; i++) {
        t->check.type = i % 3 == 0 ? CHECK_HTTP : CHECK_WEBSOCKET;
        t->check.speak = i % 2 == 0 ? SPEAK_PING : SPEAK_NOTHING;
        t->backend.does = t->check.type == CHECK_HTTP ? BACKEND_ANSWERS : BACKEND_UPGRADES;
        t->backend.status = i % 7 == 0 ? 500 : 200;
        ask(t);
        assert_true(t->is_done);
        if (i % 100 == 99) {
            settle(t);
            if (i == 99)
                after_first = heap_bytes();
        }
    }
    assert_int_equal(t->backend.accepted_count, MANY);
    assert_true(lws_host_open_count(t->host) <= 1);
    assert_true(heap_bytes() <= after_first + 4096);
}

static void test_hosts_come_and_go_without_a_trace(void **state)
{
    struct bench *t = *state;
    t->backend.does = BACKEND_UPGRADES;
    t->check.type = CHECK_WEBSOCKET;
    size_t after_first = 0;
    for (int i = 0; i < 300; i++) {
        lws_host_destroy(&t->host);
        t->host = lws_host_create(t->engine, NULL, NULL, NULL);
        t->plan.host = t->host;
        expect_up(t);
        if (i == 50) {
            settle(t);
            after_first = heap_bytes();
        }
    }
    settle(t);
    assert_true(heap_bytes() <= after_first + 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_tcp_is_up_when_somebody_listens),
        T(test_tcp_is_down_when_nobody_does),
        T(test_http_asks_as_a_client_would),
        T(test_http_status_decides),
        T(test_http_fields_decide),
        T(test_http_body_decides),
        T(test_http_server_that_hangs),
        T(test_http_server_that_closes),
        T(test_http_server_that_speaks_something_else),
        T(test_http_is_down_when_nobody_listens),
        T(test_address_without_a_route),
        T(test_what_does_not_fit_into_a_request),
        T(test_websocket_upgrade_is_enough),
        T(test_websocket_ping_is_answered),
        T(test_websocket_server_that_ignores_pings),
        T(test_websocket_server_that_closes),
        T(test_websocket_server_that_refuses),
        T(test_websocket_server_that_computes_wrongly),
        T(test_websocket_server_that_hangs),
        T(test_cancel_at_any_moment),
        T(test_host_goes_while_it_says_good_bye),
        T(test_memory_and_descriptors_stay_flat),
        T(test_hosts_come_and_go_without_a_trace),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
