/* Planned moves of a whole worker's sessions: who goes where and when, while the client's WebSocket stays open. Drains,
 * restarts, and what must not be torn apart by a move; test_moves_back.c has configurations and tiers. */
#include "tests/replay/moving.h"

/* ---- drains ---- */

static void sessions_leave_a_server_that_drains_at_the_pace(void **state)
{
    static struct world w;
    (void)state;
    world_open_on_a(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 2 }"), 8);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 2000); /* the old link of one that moves stays for a moment */
    assert_in_range(count_on(&w, 1), 4, 5);
    assert_in_range(count_on(&w, 0), 3, 6);
    pass(&w, 3000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 8);
    expect_untouched(&w);
    expect_served(&w, 1);
    for (uint32_t i = 0; i < 8; i++) /* told, and not just dropped */
        assert_int_equal(w.links[i].close_code, WS_CLOSE_NORMAL);
    world_close(&w);
}

static void the_old_server_serves_until_the_new_one_has_everything(void **state)
{
    static struct world w;
    (void)state;
    world_open_on_a(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"), 1);
    judge(&w, "rt/a", VERDICT_UP, true);
    rig_advance(&w.rig, 200); /* the other server is asked, and takes its time */
    assert_true(rig_has_waiting(&w.rig, 1));
    expect_served(&w, 0);
    assert_int_equal(count_on(&w, 0), 1);
    pass(&w, 1000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 1);
    assert_int_equal(w.links[w.link_count - 1].join_count, 1);
    assert_false(w.clients[0].is_closed);
    world_close(&w);
}

static void nothing_else_to_be_had_they_stay(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come_many(&w, 3);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 20000);
    assert_int_equal(count_on(&w, 0), 3);
    expect_untouched(&w);
    judge(&w, "rt/b", VERDICT_UP, false); /* then they go at once, however long they have waited */
    pass(&w, 1500);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 3);
    expect_untouched(&w);
    world_close(&w);
}

static void a_drain_that_is_taken_back_stops_the_rest(void **state)
{
    static struct world w;
    (void)state;
    world_open_on_a(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 1 }"), 6);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 2000);
    judge(&w, "rt/a", VERDICT_UP, false);
    pass(&w, 10000);
    assert_in_range(count_on(&w, 1), 2, 3);
    assert_int_equal(count_on(&w, 0) + count_on(&w, 1), 6);
    expect_untouched(&w);
    world_close(&w);
}

static void a_server_that_goes_down_is_left_at_once(void **state)
{
    static struct world w;
    (void)state;
    world_open_on_a(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 1 }"), 6);
    judge(&w, "rt/a", VERDICT_DOWN, false);
    pass(&w, 250); /* whatever the pace of moves is */
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 6);
    for (uint32_t i = 0; i < w.client_count; i++)
        assert_false(w.clients[i].is_closed);
    world_close(&w);
}

static void a_rescue_is_not_left_to_a_server_that_is_down(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B "," C) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    judge(&w, "rt/c", VERDICT_DOWN, false);
    come(&w);
    judge(&w, "rt/b", VERDICT_UP, false);
    judge(&w, "rt/a", VERDICT_UP, true);
    rig_advance(&w.rig, 200);
    const int frozen = rig_accept(&w.rig, 1); /* takes the WebSocket, and says nothing after that */
    rig_upgrade(&w.rig, frozen);
    judge(&w, "rt/c", VERDICT_UP, false);
    judge(&w, "rt/b", VERDICT_DOWN, false);
    judge(&w, "rt/a", VERDICT_DOWN, false);
    pass(&w, 300);
    assert_int_equal(count_on(&w, 2), 1);
    assert_false(w.clients[0].is_closed);
    close(frozen);
    world_close(&w);
}

/* A server that restarts closes its WebSockets one after the other; only the first of them is taken by surprise. */
static void a_server_that_announces_its_restart_is_left(void **state)
{
    static struct world w;
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    (void)state;
    world_open_on_a(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"), 4);
    pass(&w, 2000);
    rig_write(&w.rig, w.links[0].fd, frame, ws_close_build(frame, WS_CLOSE_SERVICE_RESTART, "", NULL));
    pass(&w, 2000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 4);
    w.clients[0].heard_count = 1; /* it may have been told of a gap; the others have none */
    expect_untouched(&w);
    come_many(&w, 2); /* whoever comes to the server that is there again stays */
    const uint32_t on_a = count_on(&w, 0);
    pass(&w, 10000);
    assert_int_equal(count_on(&w, 0), on_a);
    world_close(&w);
}

/* ---- half a message ---- */

#define PUSH_BYTES 3000u
#define HALF_BYTES 2000u

/* A client's push, long enough that its beginning goes on before its end has come. */
static size_t make_push(uint8_t frame[PUSH_BYTES])
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    const size_t head = ws_header_build(frame, WS_OPCODE_TEXT, PUSH_BYTES - 8, key);
    const int n = snprintf((char *)frame + head, PUSH_BYTES - head, "[\"1\",\"2\",\"room:a\",\"news\",\"");
    memset(frame + head + n, 'x', PUSH_BYTES - head - (size_t)n);
    memcpy(frame + PUSH_BYTES - 2, "\"]", 2);
    ws_mask(frame + head, PUSH_BYTES - head, key, 0);
    assert_int_equal(head, 8);
    return PUSH_BYTES;
}

static void nothing_stands_inside_a_message_of_the_client(void **state)
{
    static struct world w;
    uint8_t push[PUSH_BYTES];
    (void)state;
    world_open(&w, LISTEN POOL(A) ROUTE("move: { rate: 0 }"));
    come(&w);
    struct link *l = &w.links[0];
    const size_t len = make_push(push);
    rig_write(&w.rig, w.clients[0].fd, push, HALF_BYTES);
    work(&w);
    rig_write(&w.rig, l->fd, "\x89\x01p", 3); /* a ping, whose answer has to wait */
    work(&w);
    assert_int_equal(l->pong_count, 0);
    rig_write(&w.rig, w.clients[0].fd, push + HALF_BYTES, len - HALF_BYTES);
    work(&w);
    assert_int_equal(l->push_count, 1);
    assert_int_equal(l->pong_count, 1);
    expect_untouched(&w);
    world_close(&w);
}

static void a_message_that_has_begun_ends_where_it_began(void **state)
{
    static struct world w;
    uint8_t push[PUSH_BYTES];
    (void)state;
    world_open(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/b", VERDICT_DOWN, false);
    come(&w);
    const size_t len = make_push(push);
    rig_write(&w.rig, w.clients[0].fd, push, HALF_BYTES);
    work(&w);
    judge(&w, "rt/b", VERDICT_UP, false);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 3000);
    assert_int_equal(count_on(&w, 0), 1);
    assert_int_equal(count_on(&w, 1), 1); /* it has everything, and waits */
    rig_write(&w.rig, w.clients[0].fd, push + HALF_BYTES, len - HALF_BYTES);
    pass(&w, 1000);
    assert_int_equal(w.links[0].push_count, 1);
    assert_int_equal(w.links[1].push_count, 0);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 1);
    expect_untouched(&w);
    expect_served(&w, 1);
    world_close(&w);
}

/* ---- the gateway itself leaves ---- */

static void nothing_moves_while_the_gateway_leaves(void **state)
{
    static struct world w;
    (void)state;
    world_open_on_a(&w, LISTEN POOL(A "," B) ROUTE("move: { rate: 0 }"), 4);
    worker_leave(w.rig.worker, 10000, CLOSED_BY_DRAIN);
    judge(&w, "rt/a", VERDICT_UP, true);
    pass(&w, 9000);
    assert_int_equal(count_on(&w, 1), 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_leave_a_server_that_drains_at_the_pace),
        cmocka_unit_test(the_old_server_serves_until_the_new_one_has_everything),
        cmocka_unit_test(nothing_else_to_be_had_they_stay),
        cmocka_unit_test(a_drain_that_is_taken_back_stops_the_rest),
        cmocka_unit_test(a_server_that_goes_down_is_left_at_once),
        cmocka_unit_test(a_rescue_is_not_left_to_a_server_that_is_down),
        cmocka_unit_test(a_server_that_announces_its_restart_is_left),
        cmocka_unit_test(nothing_stands_inside_a_message_of_the_client),
        cmocka_unit_test(a_message_that_has_begun_ends_where_it_began),
        cmocka_unit_test(nothing_moves_while_the_gateway_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
