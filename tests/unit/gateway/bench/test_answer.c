/* Answers over HTTP/1.1, cut into pieces in every way, and what they mean for the message and the connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/bench/load.h"

struct stage {
    struct options options;
    struct result *result;
    struct load *load;
    struct addr nowhere;
    int other;
};

static int begin(void **state)
{
    struct stage *t = mem_alloc(sizeof *t);
    t->options = (struct options){.mode = MODE_ECHO,
                                  .connections = 1,
                                  .messages = 1,
                                  .size_bytes = 1,
                                  .timeout_ms = 1000,
                                  .url = {.speaks_http = true, .target = "/", .authority = "x"}};
    t->result = mem_alloc(sizeof *t->result);
    t->load = load_create(&t->options, &t->nowhere, t->result);
    t->load->epoll_fd = -1;
    t->other = -1;
    *state = t;
    return 0;
}

static int end(void **state)
{
    struct stage *t = *state;
    load_destroy(&t->load);
    if (t->other >= 0)
        close(t->other);
    mem_free(t->result);
    mem_free(t);
    return 0;
}

/* A connection on which a request is under way. */
static struct link *ask(struct stage *t)
{
    struct link *k = &t->load->links[0];
    int fds[2];
    link_drop(t->load, k);
    if (t->other >= 0)
        close(t->other);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    memset(t->result, 0, sizeof *t->result);
    t->load->phase = PHASE_MEASURE;
    t->load->retry_count = 0;
    t->other = fds[1];
    k->fd = fds[0];
    k->message_count = 0;
    k->retry_ns = 0;
    k->answer.is_under_way = false;
    link_set_state(t->load, k, LINK_IDLE);
    link_send(t->load, k, 0);
    assert_int_equal(k->state, LINK_WAITING);
    return k;
}

static void hear(struct stage *t, struct link *k, const char *text, size_t piece)
{
    const size_t len = strlen(text);
    for (size_t at = 0; at < len && k->state != LINK_NONE; at += piece)
        answer_on_bytes(t->load, k, (const uint8_t *)text + at, piece < len - at ? piece : len - at);
}

static void bodies_of_every_kind_are_read_in_any_pieces(void **state)
{
    struct stage *t = *state;
    static const struct {
        const char *text;
        bool is_good, is_kept;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true, true},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", true, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true, true},
        {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, true},
        {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno", false, true},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t piece = 1; piece <= strlen(rows[i].text); piece++) {
            struct link *k = ask(t);
            hear(t, k, rows[i].text, piece);
            assert_int_equal(t->result->echoes, 1);
            assert_int_equal(t->result->answered, rows[i].is_good);
            assert_int_equal(t->result->errors[ERROR_ANSWER], !rows[i].is_good);
            assert_int_equal(k->state, rows[i].is_kept ? LINK_IDLE : LINK_NONE);
            assert_int_equal(t->load->retry_count, !rows[i].is_kept); /* another connection is to be opened */
            assert_int_equal(t->result->dropped, 0);
        }
    }
}

static void a_body_may_end_with_the_connection(void **state)
{
    struct stage *t = *state;
    struct link *k = ask(t);
    hear(t, k, "HTTP/1.1 200 OK\r\n\r\nhello", 100);
    assert_int_equal(k->state, LINK_WAITING);
    assert_true(answer_on_end(t->load, k));
    assert_int_equal(t->result->answered, 1);
    assert_int_equal(t->result->dropped, 0);
}

static void an_end_in_the_middle_is_no_answer(void **state)
{
    struct stage *t = *state;
    static const char *const beginnings[] = {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
                                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        struct link *k = ask(t);
        hear(t, k, beginnings[i], 100);
        assert_false(answer_on_end(t->load, k));
    }
}

static void nonsense_ends_the_connection(void **state)
{
    struct stage *t = *state;
    static const char *const rows[] = {
        "HELLO\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct link *k = ask(t);
        hear(t, k, rows[i], 1000);
        assert_int_equal(k->state, LINK_NONE);
        assert_int_equal(t->result->errors[ERROR_NONSENSE], 1);
        assert_int_equal(t->result->dropped, 1);
    }
}

static void caches_tell_whether_they_answered(void **state)
{
    struct stage *t = *state;
    static const struct {
        const char *status;
        bool is_told, is_hit;
    } rows[] = {
        {"edge; hit", true, true},
        {"edge; hit; ttl=30", true, true},
        {"origin; fwd=uri-miss, edge; hit;ttl=3", true, true},
        {"edge; fwd=uri-miss; stored", true, false},
        {"edge; fwd=stale; detail=\"hitless\"", true, false},
        {NULL, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct link *k = ask(t);
        char *text =
            mem_printf("HTTP/1.1 200 OK\r\n%s%s%sContent-Length: 0\r\n\r\n", rows[i].is_told ? "Cache-Status: " : "",
                       rows[i].is_told ? rows[i].status : "", rows[i].is_told ? "\r\n" : "");
        hear(t, k, text, 7);
        assert_int_equal(t->result->cache_answers, rows[i].is_told);
        assert_int_equal(t->result->cache_hits, rows[i].is_hit);
        mem_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bodies_of_every_kind_are_read_in_any_pieces, begin, end),
        cmocka_unit_test_setup_teardown(a_body_may_end_with_the_connection, begin, end),
        cmocka_unit_test_setup_teardown(an_end_in_the_middle_is_no_answer, begin, end),
        cmocka_unit_test_setup_teardown(nonsense_ends_the_connection, begin, end),
        cmocka_unit_test_setup_teardown(caches_tell_whether_they_answered, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
