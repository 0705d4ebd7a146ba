/* What a reload does to what is open: nothing, unless its route or server is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/ws/close.h"
#include "tests/replay/rig.h"

#define HEAD "listen: [ { address: '127.0.0.1:1' } ]\ndrain: { time: 10s }\npools:\n"
#define A    "  one: { servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ] }\n"
#define B    "  two: { servers: [ { name: b, url: 'ws://127.0.0.1:@b' } ] }\n"

static const char both[] = HEAD A B "routes:\n  - { path: /one, pool: one }\n  - { path: /two, pool: two }\n";
static const char edited[] = HEAD A B
    "routes:\n  - { path: /one, pool: one }\n  - { path: /two, pool: two, websocket: { idle_timeout: 30s } }\n";
static const char sharing[] = HEAD A "routes:\n  - { path: /one, pool: one }\n  - { path: /two, pool: one }\n";
static const char without_two[] = HEAD A "routes:\n  - { path: /one, pool: one }\n";

static void a_hundred_reloads_leave_a_tunnel_alone(void **state)
{
    struct rig r;
    char buf[64];
    int server;
    (void)state;
    rig_open(&r, both);
    int client = rig_websocket(&r, "/one", 0, &server);
    for (int i = 0; i < 100; i++)
        rig_reload(&r, i % 2 == 0 ? edited : both);
    rig_send_text(&r, client, "still", true);
    assert_true(rig_read(&r, server, buf, sizeof buf) > 0);
    rig_send_text(&r, server, "there", false);
    assert_true(rig_read(&r, client, buf, sizeof buf) > 0);
    /* Nobody holds on to an old configuration: the worker, its TLS contexts, its rules, its cache, its two pools, their
     * two servers and the tunnel share one. */
    assert_int_equal(r.worker->conf->refs, 9);
    close(client);
    close(server);
    rig_close(&r);
}

static void an_open_tunnel_follows_the_new_timeouts_of_its_route(void **state)
{
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, both);
    int client = rig_websocket(&r, "/two", 1, &server);
    rig_reload(&r, edited);
    rig_advance(&r, 31000);
    rig_expect_close(&r, client, WS_CLOSE_GOING_AWAY);
    close(client);
    close(server);
    rig_close(&r);
}

static void what_was_removed_is_drained_and_the_rest_is_not(void **state)
{
    struct rig r;
    char buf[64];
    int kept_server, gone_server;
    (void)state;
    rig_open(&r, both);
    int kept = rig_websocket(&r, "/one", 0, &kept_server);
    int gone = rig_websocket(&r, "/two", 1, &gone_server);
    rig_reload(&r, without_two);
    assert_int_equal(rig_read(&r, kept, buf, sizeof buf), -1);
    rig_advance(&r, 11000);
    rig_expect_close(&r, gone, WS_CLOSE_SERVICE_RESTART);
    assert_int_equal(rig_read(&r, kept, buf, sizeof buf), -1);
    close(gone);
    close(gone_server);
    sim_settle(r.loop);
    assert_int_equal(tunnel_set_count(r.worker->tunnels), 1);
    close(kept);
    close(kept_server);
    rig_close(&r);
}

/* Over the whole time, however late and however close together their clients came. */
static void clients_of_a_removed_route_leave_evenly_spread(void **state)
{
    enum { KEPT = 8, GONE = 4 };
    struct rig r;
    int client[KEPT + GONE], server[KEPT + GONE];
    (void)state;
    rig_open(&r, sharing);
    for (int i = 0; i < KEPT; i++)
        client[i] = rig_websocket(&r, "/one", 0, &server[i]);
    for (int i = KEPT; i < KEPT + GONE; i++)
        client[i] = rig_websocket(&r, "/two", 0, &server[i]);
    rig_reload(&r, without_two);
    for (int i = KEPT; i < KEPT + GONE; i++) {
        rig_advance(&r, 10000 / GONE);
        rig_expect_close(&r, client[i], WS_CLOSE_SERVICE_RESTART);
    }
    for (int i = 0; i < KEPT + GONE; i++) {
        close(client[i]);
        close(server[i]);
    }
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_reloads_leave_a_tunnel_alone),
        cmocka_unit_test(an_open_tunnel_follows_the_new_timeouts_of_its_route),
        cmocka_unit_test(what_was_removed_is_drained_and_the_rest_is_not),
        cmocka_unit_test(clients_of_a_removed_route_leave_evenly_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
