/* Connections to servers: which of them the kernel is asked to watch, and from when on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/replay/rig.h"

static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n"
                           "pools:\n"
                           "  rt:\n"
                           "    servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ]\n"
                           "routes:\n"
                           "  - { path: /ws, pool: rt, websocket: { idle_timeout: 1h } }\n";

#define SETTLED_MS 20000 /* twice as long as a connection may be young */
#define MANY       100   /* more than settle in one turn */
#define FDS_MOST   1024

/* How many of the worker's connections to the first server there are, and how many of them are probed when idle. */
static int count_probed(const struct rig *r, int *all)
{
    int probed = 0;
    *all = 0;
    for (int fd = 0; fd < FDS_MOST; fd++) {
        struct addr peer = {.len = sizeof peer.un};
        int keeps = 0;
        socklen_t len = sizeof keeps;
        if (getpeername(fd, &peer.sa, &peer.len) != 0 || peer.sa.sa_family != AF_INET ||
            addr_port(&peer) != r->server_port[0])
            continue;
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keeps, &len), 0);
        probed += keeps;
        (*all)++;
    }
    return probed;
}

static void a_connection_that_lasts_is_probed_and_a_short_one_is_not(void **state)
{
    struct rig r;
    int server, all;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);
    rig_advance(&r, SETTLED_MS / 4);
    assert_int_equal(count_probed(&r, &all), 0);
    assert_int_equal(all, 1);
    rig_advance(&r, SETTLED_MS);
    assert_int_equal(count_probed(&r, &all), 1);
    assert_int_equal(all, 1);
    close(client);
    close(server);
    rig_close(&r);
}

static void one_that_ends_young_leaves_the_others_their_turn(void **state)
{
    struct rig r;
    int server[3], client[3], all;
    (void)state;
    rig_open(&r, yaml);
    for (int i = 0; i < 3; i++)
        client[i] = rig_websocket(&r, "/ws", 0, &server[i]);
    close(server[1]);
    close(client[1]);
    rig_advance(&r, 2 * SETTLED_MS);
    assert_int_equal(count_probed(&r, &all), 2);
    assert_int_equal(all, 2);
    for (int i = 0; i < 3; i += 2) {
        close(client[i]);
        close(server[i]);
    }
    rig_close(&r);
}

static void many_that_began_together_all_come_to_it(void **state)
{
    struct rig r;
    int server[MANY], client[MANY], all;
    (void)state;
    rig_open(&r, yaml);
    for (int i = 0; i < MANY; i++)
        client[i] = rig_websocket(&r, "/ws", 0, &server[i]);
    rig_advance(&r, 2 * SETTLED_MS);
    assert_int_equal(count_probed(&r, &all), MANY);
    assert_int_equal(all, MANY);
    for (int i = 0; i < MANY; i++) {
        close(client[i]);
        close(server[i]);
    }
    rig_close(&r);
}

static void one_that_ends_while_the_others_have_their_turn_is_left_out(void **state)
{
    struct rig r;
    int server[MANY], client[MANY], all, probed = 0;
    (void)state;
    rig_open(&r, yaml);
    for (int i = 0; i < MANY; i++)
        client[i] = rig_websocket(&r, "/ws", 0, &server[i]);
    rig_advance(&r, SETTLED_MS - 100);
    for (int ms = 0; probed == 0 && ms < 200; ms++) {
        rig_advance(&r, 1);
        probed = count_probed(&r, &all);
    }
    assert_in_range(probed, 1, MANY - 2);      /* between two turns */
    for (int i = 0; i < MANY; i += MANY - 1) { /* one that had its turn and one that has not */
        close(client[i]);
        close(server[i]);
    }
    rig_advance(&r, SETTLED_MS);
    assert_int_equal(count_probed(&r, &all), MANY - 2);
    assert_int_equal(all, MANY - 2);
    for (int i = 1; i < MANY - 1; i++) {
        close(client[i]);
        close(server[i]);
    }
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_lasts_is_probed_and_a_short_one_is_not),
        cmocka_unit_test(one_that_ends_young_leaves_the_others_their_turn),
        cmocka_unit_test(many_that_began_together_all_come_to_it),
        cmocka_unit_test(one_that_ends_while_the_others_have_their_turn_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
