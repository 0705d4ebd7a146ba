/* When messages are due, and from when their latency counts. The other ends of the connections are here. */
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

#define LINKS 4u
#define MS    INT64_C(1000000)

struct stage {
    struct options options;
    struct result *result;
    struct load *load;
    struct addr nowhere;
    int others[LINKS];
};

/* A load with open connections, whose measured part begins at the time 0 (for broadcasts a nanosecond later). */
static struct stage *begin(double rate, double per_connection, enum mode mode)
{
    struct stage *t = mem_alloc(sizeof *t);
    t->options = (struct options){.mode = mode,
                                  .connections = LINKS,
                                  .rate = rate,
                                  .per_connection = per_connection,
                                  .channel_count = mode == MODE_BROADCAST,
                                  .member_count = LINKS,
                                  .topic = "t",
                                  .event = "broadcast",
                                  .timeout_ms = 1000,
                                  .size_bytes = 10,
                                  .time_ms = 1000,
                                  .url = {.target = "/", .authority = "x"}};
    t->result = mem_alloc(sizeof *t->result);
    t->load = load_create(&t->options, &t->nowhere, t->result);
    t->load->epoll_fd = -1;
    t->load->phase = PHASE_MEASURE;
    t->load->phase_since_ns = 0;
    t->load->measure_since_ns = 1; /* 0 is "not yet" */
    for (uint32_t i = 0; i < LINKS; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        t->load->links[i].fd = fds[0];
        t->others[i] = fds[1];
        link_set_state(t->load, &t->load->links[i], LINK_IDLE);
        if (t->load->owed != NULL)
            delivery_open(t->load->owed, i);
    }
    return t;
}

static void end(struct stage *t)
{
    load_destroy(&t->load);
    for (uint32_t i = 0; i < LINKS; i++)
        close(t->others[i]);
    mem_free(t->result);
    mem_free(t);
}

static void at(struct stage *t, int64_t ms)
{
    t->load->now_ns = ms * MS;
    pace_send(t->load);
}

static bool is_waiting(const struct stage *t, uint32_t link)
{
    return t->load->links[link].state == LINK_WAITING;
}

static void a_rate_is_spread_over_time(void **state)
{
    (void)state;
    struct stage *t = begin(100, 0, MODE_ECHO); /* one each 10 ms */
    at(t, 0);
    assert_int_equal(t->result->sent, 1);
    assert_int_equal(pace_next_ns(t->load), 10 * MS);
    at(t, 9);
    assert_int_equal(t->result->sent, 1);
    at(t, 10);
    assert_int_equal(t->result->sent, 2);
    assert_true(is_waiting(t, 0) && is_waiting(t, 1) && !is_waiting(t, 2));
    end(t);
}

static void what_no_connection_was_free_for_is_late_and_not_forgotten(void **state)
{
    (void)state;
    struct stage *t = begin(100, 0, MODE_ECHO);
    at(t, 100); /* eleven are due, and there are four connections */
    assert_int_equal(t->result->sent, 4);
    assert_int_equal(t->load->links[3].due_ns, 30 * MS);
    link_on_answer(t->load, &t->load->links[2], true);
    at(t, 100);
    assert_int_equal(t->result->sent, 5);
    assert_int_equal(t->load->links[2].due_ns, 40 * MS); /* that long it has been waiting already */
    end(t);
}

static void latency_counts_from_when_a_message_was_due(void **state)
{
    (void)state;
    struct stage *t = begin(100, 0, MODE_ECHO);
    at(t, 0);
    /* the answer comes now, by the clock of the machine, which has been up for longer than this */
    link_on_answer(t->load, &t->load->links[0], true);
    assert_int_equal(t->result->latency.count, 1);
    assert_true(t->result->latency.max_ns > (uint64_t)(100 * MS));
    end(t);
}

static void each_connection_keeps_its_own_pace(void **state)
{
    (void)state;
    struct stage *t = begin(0, 10, MODE_ECHO); /* each of four every 100 ms, 25 ms apart */
    at(t, 0);
    assert_true(is_waiting(t, 0) && !is_waiting(t, 1));
    at(t, 75);
    assert_true(is_waiting(t, 3));
    assert_int_equal(t->load->links[3].due_ns, 75 * MS);
    /* the first one is not answered for three of its turns: it owes them, nobody sends them in its place */
    for (int64_t ms = 76; ms <= 300; ms++) {
        for (uint32_t i = 1; i < LINKS; i++) {
            if (is_waiting(t, i))
                link_on_answer(t->load, &t->load->links[i], true);
        }
        at(t, ms);
    }
    assert_int_equal(t->load->links[0].owed_count, 3);
    assert_int_equal(t->result->sent, 10);
    link_on_answer(t->load, &t->load->links[0], true);
    assert_int_equal(t->load->links[0].due_ns, 100 * MS);
    link_on_answer(t->load, &t->load->links[0], true);
    assert_int_equal(t->load->links[0].due_ns, 200 * MS);
    link_on_answer(t->load, &t->load->links[0], true);
    assert_int_equal(t->load->links[0].due_ns, 300 * MS);
    link_on_answer(t->load, &t->load->links[0], true);
    assert_false(is_waiting(t, 0));
    end(t);
}

static void a_connection_that_is_gone_sends_nothing(void **state)
{
    (void)state;
    struct stage *t = begin(0, 10, MODE_ECHO);
    link_drop(t->load, &t->load->links[1]);
    at(t, 75);
    assert_int_equal(t->result->sent, 3);
    assert_int_equal(t->result->unsent, 1);
    end(t);
}

static void broadcasts_wait_for_nobody(void **state)
{
    (void)state;
    struct stage *t = begin(100, 0, MODE_BROADCAST);
    at(t, 100);
    assert_int_equal(t->result->sent, 11);
    assert_int_equal(t->result->expected, 11 * (LINKS - 1));
    char bytes[8192];
    const ssize_t n = recv(t->others[1], bytes, sizeof bytes, 0);
    assert_true(n > 0);
    /* the second, sixth and tenth are those of the second connection; heard by another they are deliveries */
    load_on_delivery(t->load, &t->load->links[0], 0, 2, 10 * MS);
    load_on_delivery(t->load, &t->load->links[0], 0, 2, 10 * MS);
    load_on_delivery(t->load, &t->load->links[0], UINT64_MAX, 3, 20 * MS);
    assert_int_equal(t->result->deliveries, 1);
    assert_int_equal(t->result->twice, 1);
    assert_int_equal(t->result->echoes, 1);
    end(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_spread_over_time),
        cmocka_unit_test(what_no_connection_was_free_for_is_late_and_not_forgotten),
        cmocka_unit_test(latency_counts_from_when_a_message_was_due),
        cmocka_unit_test(each_connection_keeps_its_own_pace),
        cmocka_unit_test(a_connection_that_is_gone_sends_nothing),
        cmocka_unit_test(broadcasts_wait_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
