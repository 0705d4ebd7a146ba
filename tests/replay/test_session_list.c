/* What a worker tells the supervisor of its sessions: which there are, and how they fare when their server is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ipc.h"
#include "base/mem.h"
#include "base/shm.h"
#include "gateway/ws/mask.h"
#include "tests/replay/rig.h"

#define YAML                                                                                                           \
    "workers: 1\nlisten: [ { address: '127.0.0.1:1' } ]\n"                                                             \
    "pools:\n  rt:\n    servers:\n"                                                                                    \
    "      - { name: a, url: 'ws://127.0.0.1:@a' }\n"                                                                  \
    "      - { name: b, url: 'ws://127.0.0.1:@b', tier: backup }\n"                                                    \
    "      - { name: c, url: 'ws://127.0.0.1:@c', tier: emergency }\n"                                                 \
    "routes:\n"                                                                                                        \
    "  - { name: talk, path: /ws, pool: rt, websocket: { protocol: phoenix, heartbeat: 2s } }\n"                       \
    "  - { name: plain, path: /plain, pool: rt }\n"
#define PATH         "/ws?vsn=2.0.0"
#define SESSIONS     3
#define HEARTBEAT_MS 2000

struct world {
    struct rig rig;
    struct ipc *super;
    int client[SESSIONS], server[SESSIONS];
    struct msg_sessions_answer answer;
    char *items; /* NULL: no file came */
    struct msg_losses losses[4];
    uint32_t losses_count;
};

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct world *w = arg;
    size_t len = 0;
    if (type == MSG_SESSIONS_ANSWER) {
        w->answer = *(const struct msg_sessions_answer *)payload;
        if (fd >= 0)
            assert_int_equal(shm_read_sealed(fd, SESSIONS_BYTES_MAX, &w->items, &len), ERR_NONE);
    } else if (type == MSG_LOSSES) {
        assert_true(w->losses_count < 4);
        w->losses[w->losses_count++] = *(const struct msg_losses *)payload;
    }
    if (fd >= 0)
        close(fd);
}

static void on_closed(void *arg)
{
    (void)arg;
}

static int setup(void **state)
{
    static struct world world;
    world = (struct world){0};
    rig_open(&world.rig, YAML);
    world.super = ipc_create(world.rig.loop, dup(world.rig.supervisor_fd), on_message, on_closed, &world);
    for (int i = 0; i < SESSIONS; i++)
        world.client[i] = rig_websocket(&world.rig, PATH, 0, &world.server[i]);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < SESSIONS; i++) {
        close(w->client[i]);
        close(w->server[i]);
    }
    mem_free(w->items);
    ipc_destroy(&w->super);
    rig_close(&w->rig);
    return 0;
}

/* How many there are, and how many lines came. */
static uint32_t ask(struct world *w, const char *filter, uint32_t limit, uint32_t *line_count)
{
    const uint64_t number = w->answer.number + 1;
    struct msg_sessions m = {.number = number, .limit = limit};
    snprintf(m.filter, sizeof m.filter, "%s", filter);
    mem_free(w->items);
    w->items = NULL;
    assert_int_equal(ipc_send(w->super, MSG_SESSIONS, &m, -1), ERR_NONE);
    for (int i = 0; i < 100 && w->answer.number != number; i++)
        rig_advance(&w->rig, 1);
    assert_int_equal(w->answer.number, number);
    *line_count = 0;
    for (const char *lf = w->items; lf != NULL && (lf = strchr(lf, '\n')) != NULL; lf++)
        ++*line_count;
    return w->answer.fitting_count;
}

static void which_sessions_there_are(void **state)
{
    struct world *w = *state;
    uint32_t lines;
    int plain_server, plain = rig_websocket(&w->rig, "/plain", 0, &plain_server);
    assert_int_equal(ask(w, "", 50, &lines), SESSIONS); /* an opaque WebSocket is none */
    assert_int_equal(lines, SESSIONS);
    assert_non_null(strstr(w->items, "\"client\":\"127.0.0.1\",\"route\":\"talk\",\"protocol\":\"phoenix\",\"state\":"
                                     "\"connected\",\"server\":\"rt/a\",\"opened_ms_ago\":"));
    assert_int_equal(ask(w, "", 2, &lines), SESSIONS);
    assert_int_equal(lines, 2);
    close(plain);
    close(plain_server);
}

static void a_filter_is_an_id_or_part_of_something(void **state)
{
    static const struct {
        const char *filter;
        uint32_t count;
    } cases[] = {{"0-1", 1},         {"0-99", 0},           {"127.0", SESSIONS}, {"tal", SESSIONS},
                 {"rt/a", SESSIONS}, {"phoenix", SESSIONS}, {"phoen", 0},        {"connected", SESSIONS},
                 {"rt/b", 0},        {"plain", 0}};
    struct world *w = *state;
    uint32_t lines;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ask(w, cases[i].filter, 50, &lines), cases[i].count);
        assert_int_equal(lines, cases[i].count);
        assert_int_equal(w->items != NULL, cases[i].count > 0);
    }
}

/* Waits in steps for the next heartbeat of the first session, lets its answer take some time, and sends it. Returns
 * when the heartbeat came. */
static int64_t answer_beat(struct world *w, int64_t step_ms, int64_t rtt_ms)
{
    char got[256], answer[256];
    int len = 0;
    for (int i = 0; (len = rig_read(&w->rig, w->server[0], got, sizeof got)) <= 0 && i < 100; i++)
        rig_advance(&w->rig, step_ms);
    assert_true(len > 6);
    const int64_t beat_ms = loop_now_ms(w->rig.loop);
    ws_mask((uint8_t *)got + 6, (size_t)len - 6, (const uint8_t *)got + 2, 0);
    const char *ref = strstr(got + 6, "\"g");
    assert_non_null(ref);
    rig_advance(&w->rig, rtt_ms);
    snprintf(answer, sizeof answer, "[null,%.*s\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
             (int)strcspn(ref + 1, "\"") + 1, ref);
    rig_send_text(&w->rig, w->server[0], answer, false);
    return beat_ms;
}

static void round_trips_have_names(void **state)
{
    static const struct {
        int64_t rtt_ms;
        const char *name;
    } cases[] = {{0, "excellent"}, {99, "excellent"}, {100, "good"}, {299, "good"},
                 {300, "fair"},    {999, "fair"},     {1000, "poor"}};
    enum { COARSE_MS = 50 };
    struct world *w = *state;
    uint32_t lines;
    char expected[64];
    assert_int_equal(ask(w, "0-1", 50, &lines), 1);
    assert_non_null(strstr(w->items, "\"quality\":\"unknown\""));
    int64_t beat_ms = answer_beat(w, COARSE_MS, 0) - COARSE_MS;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_advance(&w->rig, beat_ms + HEARTBEAT_MS - loop_now_ms(w->rig.loop));
        beat_ms = answer_beat(w, 1, cases[i].rtt_ms);
        assert_int_equal(ask(w, "0-1", 50, &lines), 1);
        snprintf(expected, sizeof expected, "\"quality\":\"%s\"", cases[i].name);
        if (strstr(w->items, expected) == NULL)
            fail_msg("%d ms should be %s: %s", (int)cases[i].rtt_ms, cases[i].name, w->items);
    }
}

/* The server that is left takes their connections and says nothing. */
static void sessions_of_a_lost_server_are_told_of_together(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < SESSIONS; i++)
        rig_send_text(&w->rig, w->client[i], "[\"1\",\"1\",\"t\",\"phx_join\",{}]", true);
    rig_advance(&w->rig, 10);
    rig_stop_server(&w->rig, 0);
    rig_stop_server(&w->rig, 2);
    for (int i = 0; i < SESSIONS; i++) {
        close(w->server[i]);
        w->server[i] = -1;
    }
    rig_advance(&w->rig, 1000);
    assert_int_equal(w->losses_count, 1); /* that there will be an account */
    assert_string_equal(w->losses[0].server, "rt/a");
    assert_false(w->losses[0].is_over);
    assert_int_equal(w->losses[0].waiting, SESSIONS);
    rig_advance(&w->rig, 15000);
    assert_int_equal(w->losses_count, 2);
    assert_true(w->losses[1].is_over);
    assert_int_equal(w->losses[1].lost, SESSIONS);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(which_sessions_there_are),
        TEST(round_trips_have_names),
        TEST(a_filter_is_an_id_or_part_of_something),
        TEST(sessions_of_a_lost_server_are_told_of_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
