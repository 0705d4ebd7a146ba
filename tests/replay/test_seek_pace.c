/* Many seeks at once: how fast they are admitted, in which order, and where they go. */
#include "tests/replay/seeking.h"

#include <sys/socket.h>

#define MANY 1000

#define POOL(servers, restore)                                                                                         \
    "listen: [ { address: '127.0.0.1:1' } ]\n"                                                                         \
    "pools:\n  p:\n    circuit: { failures: 0 }\n    servers:\n" servers                                               \
    "routes:\n  - { path: /ws, pool: p, websocket: { protocol: phoenix, hedge_after: 0, restore: " restore " } }\n"
#define A "      - { name: a, url: 'ws://127.0.0.1:@a' }\n"
#define B "      - { name: b, url: 'ws://127.0.0.1:@b' }\n"
#define C "      - { name: c, url: 'ws://127.0.0.1:@c' }\n"

/* Everybody who waits at the servers is accepted, and hung up on. */
static void serve(struct seeking *w)
{
    int fds[256];
    size_t count = 0;
    struct addr peer;
    char accept[UPGRADE_ACCEPT_BYTES];
    char answer[256];
    upgrade_accept_key(http_view_of(SEEKING_KEY), accept);
    const int len = snprintf(answer, sizeof answer,
                             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: %s\r\n\r\n",
                             accept);
    for (int i = 0; i < RIG_SERVERS; i++)
        while (w->rig.server_fd[i] >= 0 && count < sizeof fds / sizeof fds[0] &&
               sock_accept(w->rig.server_fd[i], &fds[count], &peer) == ERR_NONE)
            count++;
    if (count == 0)
        return;
    sim_settle(w->rig.loop); /* the requests are sent */
    for (size_t i = 0; i < count; i++) {
        char request[1024];
        assert_true(recv(fds[i], request, sizeof request, 0) > 0);
        assert_int_equal(send(fds[i], answer, (size_t)len, MSG_NOSIGNAL), len);
    }
    sim_settle(w->rig.loop);
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

static void pass(struct seeking *w, int64_t time_ms)
{
    for (; time_ms > 0; time_ms -= 100) {
        rig_advance(&w->rig, 100);
        serve(w);
    }
}

static struct owner *owners_create(struct seeking *w, size_t count)
{
    struct owner *o = mem_alloc_array(count, sizeof *o);
    for (size_t i = 0; i < count; i++)
        o[i].home = w;
    return o;
}

static void owners_destroy(struct owner *o, size_t count)
{
    for (size_t i = 0; i < count; i++)
        owner_fini(&o[i]);
    mem_free(o);
}

static size_t found_count(const struct owner *o, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += (size_t)o[i].found_count;
    return found;
}

static void test_a_lost_server_is_no_stampede(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A B C, "{ rate: 100, burst: 50 }"));
    struct owner *o = owners_create(&w, MANY);
    for (size_t i = 0; i < MANY; i++)
        owner_begin(&o[i], &(struct seek_start){.avoid = seeking_server(&w, 'a')});
    sim_settle(w.rig.loop);
    assert_int_equal(w.asked_count[1], 50); /* at once */
    assert_int_equal(w.asked_count[2], 50);
    serve(&w);
    for (uint32_t second = 1; second <= 4; second++) {
        pass(&w, 1000);
        assert_in_range(w.asked_count[1], 50 + 100 * second - 2, 50 + 100 * second);
        assert_in_range(w.asked_count[2], 50 + 100 * second - 2, 50 + 100 * second);
    }
    pass(&w, 700);
    assert_int_equal(found_count(o, MANY), MANY);
    assert_int_equal(w.asked_count[0], 0);
    owners_destroy(o, MANY);
    seeking_close(&w);
}

static void test_the_rate_is_of_joins_and_of_all_workers(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A, "{ rate: 400, burst: 40 }"));
    seekers_set_shares(w.all, 4);
    struct owner *o = owners_create(&w, 60);
    for (size_t i = 0; i < 60; i++)
        owner_begin(&o[i], &(struct seek_start){.cost = 5});
    sim_settle(w.rig.loop);
    assert_int_equal(w.asked_count[0], 2);
    serve(&w);
    pass(&w, 1000);
    assert_in_range(w.asked_count[0], 2 + 19, 2 + 20);
    pass(&w, 1000);
    assert_in_range(w.asked_count[0], 2 + 39, 2 + 40);
    owners_destroy(o, 60);
    seeking_close(&w);
}

static void test_one_larger_than_the_bucket_is_admitted_and_paid_for(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A, "{ rate: 10, burst: 5 }"));
    struct owner o[2] = {{.home = &w}, {.home = &w}};
    owner_begin(&o[0], &(struct seek_start){.cost = 25});
    owner_begin(&o[1], &(struct seek_start){.cost = 1});
    sim_settle(w.rig.loop);
    serve(&w);
    assert_int_equal(o[0].found, 'a');
    rig_advance(&w.rig, 2050);
    assert_string_equal(o[1].asked, "");
    rig_advance(&w.rig, 100);
    assert_string_equal(o[1].asked, "a");
    for (int i = 0; i < 2; i++)
        owner_fini(&o[i]);
    seeking_close(&w);
}

static void test_waiting_messages_go_first_then_who_came_first(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A, "{ rate: 20, burst: 1 }"));
    struct owner o[6];
    memset(o, 0, sizeof o);
    for (int i = 0; i < 6; i++) {
        o[i].home = &w;
        /* Every other one is in another line: it would rather not go there. */
        owner_begin(&o[i], &(struct seek_start){.is_urgent = i == 3 || i == 4,
                                                .avoid = i % 2 == 0 ? seeking_server(&w, 'a') : NULL});
    }
    seek_hurry(o[5].seek); /* a message came while it waits */
    seek_hurry(o[5].seek);
    static const int order[] = {3, 4, 5, 0, 1, 2};
    for (int i = 0; i < 6; i++) {
        sim_settle(w.rig.loop);
        assert_int_equal(w.asked_count[0], i + 1);
        assert_string_equal(o[order[i]].asked, "a");
        rig_advance(&w.rig, 50);
    }
    for (int i = 0; i < 6; i++)
        owner_fini(&o[i]);
    seeking_close(&w);
}

/* Small ones do not keep a large one waiting for ever, though each of them could go at once. */
static void test_small_ones_do_not_pass_a_large_one_by(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A B, "{ rate: 10, burst: 10 }"));
    struct owner first[2] = {{.home = &w}, {.home = &w}};
    struct owner large = {.home = &w};
    struct owner *small = owners_create(&w, 100);
    for (int i = 0; i < 2; i++)
        owner_begin(&first[i], &(struct seek_start){.cost = 10});
    owner_begin(&large, &(struct seek_start){.cost = 10});
    for (int i = 0; i < 100; i++) /* in a line of their own */
        owner_begin(&small[i], &(struct seek_start){.avoid = seeking_server(&w, 'b')});
    pass(&w, 900);
    assert_string_equal(large.asked, "");
    assert_int_equal(w.asked_count[0] + w.asked_count[1], 2);
    pass(&w, 200);
    assert_int_equal(strlen(large.asked), 1);
    owner_fini(&first[0]);
    owner_fini(&first[1]);
    owner_fini(&large);
    owners_destroy(small, 100);
    seeking_close(&w);
}

static void test_who_waits_for_one_server_keeps_nobody_from_another(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A B, "{ rate: 10, burst: 10 }"));
    struct owner large = {.home = &w}, next = {.home = &w}, other = {.home = &w};
    owner_begin(&large, &(struct seek_start){.cost = 100, .avoid = seeking_server(&w, 'b')});
    owner_begin(&next, &(struct seek_start){.cost = 1, .avoid = seeking_server(&w, 'b')});
    owner_begin(&other, &(struct seek_start){.cost = 1, .avoid = seeking_server(&w, 'a')});
    rig_advance(&w.rig, 500);
    assert_string_equal(large.asked, "a");
    assert_string_equal(next.asked, "");
    assert_string_equal(other.asked, "b");
    owner_fini(&large);
    owner_fini(&next);
    owner_fini(&other);
    seeking_close(&w);
}

static void test_without_a_rate_all_go_at_once_but_not_in_one_breath(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A B, "{ rate: 0 }"));
    rig_stop_server(&w.rig, 0);
    rig_stop_server(&w.rig, 1);
    struct owner *o = owners_create(&w, 500);
    for (size_t i = 0; i < 500; i++)
        owner_begin(&o[i], NULL);
    loop_run_once(w.rig.loop, false);
    assert_int_equal(w.asked_count[0] + w.asked_count[1], 200);
    rig_advance(&w.rig, 20);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(o[i].failed_count, 1); /* each has asked both */
    assert_int_equal(w.asked_count[0] + w.asked_count[1], 1000);
    owners_destroy(o, 500);
    seeking_close(&w);
}

static void test_a_server_that_comes_back_is_noticed_while_others_are_paced(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A B, "{ rate: 1, burst: 1 }"));
    seeking_judge(&w, 'b', VERDICT_DOWN);
    struct owner o[2] = {{.home = &w}, {.home = &w}};
    for (int i = 0; i < 2; i++)
        owner_begin(&o[i], &(struct seek_start){.cost = 10});
    rig_advance(&w.rig, 100);
    assert_string_equal(o[0].asked, "a");
    assert_string_equal(o[1].asked, "");
    seeking_judge(&w, 'b', VERDICT_UP);
    rig_advance(&w.rig, 250);
    assert_string_equal(o[1].asked, "b");
    for (int i = 0; i < 2; i++)
        owner_fini(&o[i]);
    seeking_close(&w);
}

static void test_waiting_costs_next_to_nothing(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A B, "{ rate: 1, burst: 1 }"));
    struct owner *o = owners_create(&w, MANY);
    for (size_t i = 0; i < MANY; i++)
        owner_begin(&o[i], &(struct seek_start){.avoid = seeking_server(&w, 'a')});
    sim_limit_passes(w.rig.loop, 3000); /* of the loop: a timer every 200 ms, not one for everybody */
    pass(&w, 10000);
    assert_in_range(w.asked_count[1], 10, 11);
    owners_destroy(o, MANY);
    seeking_close(&w);
}

/* Time in line is not time for asking. */
static void test_a_second_try_may_have_to_wait_again(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A B, "{ rate: 1, burst: 10 }"));
    struct owner one = {.home = &w}, two = {.home = &w};
    owner_begin(&one, &(struct seek_start){.cost = 10, .avoid = seeking_server(&w, 'a')});
    owner_begin(&two, &(struct seek_start){.cost = 10, .avoid = seeking_server(&w, 'b')});
    int b = rig_accept(&w.rig, 1);
    server_reads(&w, b);
    server_declines(&w, b, 500);
    rig_advance(&w.rig, 9000);
    assert_string_equal(one.asked, "b");
    rig_advance(&w.rig, 1200);
    assert_string_equal(one.asked, "ba");
    assert_int_equal(one.failed_count, 0);
    owner_fini(&one);
    owner_fini(&two);
    close(b);
    seeking_close(&w);
}

static void test_who_waits_for_a_second_server_keeps_nobody_from_the_first(void **state)
{
    (void)state;
    struct seeking w;
    seeking_open(&w, POOL(A B, "{ rate: 1, burst: 10 }"));
    struct owner large = {.home = &w}, one = {.home = &w}, other = {.home = &w};
    owner_begin(&large, &(struct seek_start){.cost = 100, .avoid = seeking_server(&w, 'b')});
    owner_begin(&one, &(struct seek_start){.cost = 1});
    int b = rig_accept(&w.rig, 1);
    server_reads(&w, b);
    server_declines(&w, b, 500);
    owner_begin(&other, &(struct seek_start){.cost = 1});
    rig_advance(&w.rig, 250);
    assert_string_equal(large.asked, "a");
    assert_string_equal(one.asked, "b");
    assert_string_equal(other.asked, "b");
    owner_fini(&large);
    owner_fini(&one);
    owner_fini(&other);
    close(b);
    seeking_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_server_is_no_stampede),
        cmocka_unit_test(test_the_rate_is_of_joins_and_of_all_workers),
        cmocka_unit_test(test_one_larger_than_the_bucket_is_admitted_and_paid_for),
        cmocka_unit_test(test_waiting_messages_go_first_then_who_came_first),
        cmocka_unit_test(test_small_ones_do_not_pass_a_large_one_by),
        cmocka_unit_test(test_who_waits_for_one_server_keeps_nobody_from_another),
        cmocka_unit_test(test_without_a_rate_all_go_at_once_but_not_in_one_breath),
        cmocka_unit_test(test_a_server_that_comes_back_is_noticed_while_others_are_paced),
        cmocka_unit_test(test_waiting_costs_next_to_nothing),
        cmocka_unit_test(test_a_second_try_may_have_to_wait_again),
        cmocka_unit_test(test_who_waits_for_a_second_server_keeps_nobody_from_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
