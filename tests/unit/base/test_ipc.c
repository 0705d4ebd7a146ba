/* Messages arrive whole, in order, with their descriptor; a slow peer fills a bounded queue; nonsense ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ipc.h"

struct end {
    struct ipc *ipc;
    int fd; /* the other end, for a test that speaks for the peer */
    unsigned count;
    enum ipc_type last_type;
    uint64_t next_generation;
    char text[IPC_PURGE_TEXT_BYTES];
    int last_fd;
    unsigned closed_count;
    bool destroy_on_message;
    bool destroy_on_close;
};

struct fixture {
    struct loop *loop;
    struct end a, b;
};

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct end *e = arg;
    e->count++;
    e->last_type = type;
    if (type == MSG_CONF)
        assert_int_equal(((const struct msg_conf *)payload)->generation, e->next_generation++);
    if (type == MSG_LISTENER)
        strcpy(e->text, ((const struct msg_listener *)payload)->address);
    if (type == MSG_PURGE) {
        assert_int_equal(((const struct msg_purge *)payload)->number, 1);
        memcpy(e->text, ((const struct msg_purge *)payload)->text, sizeof e->text);
    }
    if (type == MSG_PURGE_ACK)
        e->next_generation = ((const struct msg_purge_ack *)payload)->number;
    if (e->last_fd >= 0)
        close(e->last_fd);
    e->last_fd = fd;
    if (e->destroy_on_message)
        ipc_destroy(&e->ipc);
}

static void on_closed(void *arg)
{
    struct end *e = arg;
    e->closed_count++;
    if (e->destroy_on_close)
        ipc_destroy(&e->ipc);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int pair[2];
    f->loop = loop_create();
    f->a.last_fd = f->b.last_fd = -1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    f->a.ipc = ipc_create(f->loop, pair[0], on_message, on_closed, &f->a);
    f->b.ipc = ipc_create(f->loop, pair[1], on_message, on_closed, &f->b);
    f->a.fd = pair[1];
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct end *ends[] = {&f->a, &f->b};
    for (int i = 0; i < 2; i++) {
        if (ends[i]->ipc != NULL)
            ipc_destroy(&ends[i]->ipc);
        if (ends[i]->last_fd >= 0)
            close(ends[i]->last_fd);
    }
    loop_run_once(f->loop, false);
    loop_destroy(&f->loop);
    free(f);
    return 0;
}

static void run_until(struct fixture *f, const unsigned *counter, unsigned wanted)
{
    for (int pass = 0; pass < 1000 && *counter < wanted; pass++)
        loop_run_once(f->loop, true);
    assert_int_equal(*counter, wanted);
}

static void test_a_message_brings_its_descriptor(void **state)
{
    struct fixture *f = *state;
    struct msg_listener m = {.address = "127.0.0.1:80"};
    int pair[2];
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(ipc_send(f->a.ipc, MSG_LISTENER, &m, pair[1]), ERR_NONE);
    close(pair[1]);
    run_until(f, &f->b.count, 1);
    assert_int_equal(f->b.last_type, MSG_LISTENER);
    assert_string_equal(f->b.text, "127.0.0.1:80");
    assert_int_equal(fcntl(f->b.last_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    char byte = 0;
    assert_int_equal(write(f->b.last_fd, "x", 1), 1);
    assert_int_equal(read(pair[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(pair[0]);
}

static void test_both_ends_speak(void **state)
{
    struct fixture *f = *state;
    struct msg_empty stop = {0};
    struct msg_conf_ack ack = {.generation = 7, .ok = 1};
    assert_int_equal(ipc_send(f->a.ipc, MSG_STOP, &stop, -1), ERR_NONE);
    assert_int_equal(ipc_send(f->b.ipc, MSG_CONF_ACK, &ack, -1), ERR_NONE);
    run_until(f, &f->b.count, 1);
    run_until(f, &f->a.count, 1);
    assert_int_equal(f->a.last_type, MSG_CONF_ACK);
    assert_int_equal(f->b.last_type, MSG_STOP);
    assert_int_equal(f->b.last_fd, -1);
}

static void test_a_slow_peer_gets_everything_in_order_up_to_the_bound(void **state)
{
    struct fixture *f = *state;
    struct msg_conf m = {.generation = 0};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    enum err e = ERR_NONE;
    unsigned sent = 0;
    while (e == ERR_NONE && sent < 100000) {
        m.generation = sent;
        e = ipc_send(f->a.ipc, MSG_CONF, &m, fd);
        sent += e == ERR_NONE;
    }
    close(fd);
    assert_int_equal(e, ERR_FULL);
    assert_true(sent >= IPC_QUEUE_MAX);
    run_until(f, &f->b.count, sent); /* on_message checks the order */
    assert_true(f->b.last_fd >= 0);
    m.generation = sent;
    assert_int_equal(ipc_send(f->a.ipc, MSG_CONF, &m, -1), ERR_NONE);
    run_until(f, &f->b.count, sent + 1);
}

static void test_a_purge_carries_a_whole_text_and_is_acknowledged_by_number(void **state)
{
    struct fixture *f = *state;
    struct msg_purge m = {.number = 1, .id = 2, .kind = 3, .is_soft = 1, .is_publisher = 1};
    const struct msg_purge_ack ack = {.number = 1, .published = PURGE_PUBLISHED_LATER};
    memset(m.text, 'x', sizeof m.text - 1);
    assert_int_equal(ipc_send(f->a.ipc, MSG_PURGE, &m, -1), ERR_NONE);
    run_until(f, &f->b.count, 1);
    assert_int_equal(f->b.last_type, MSG_PURGE);
    assert_memory_equal(f->b.text, m.text, sizeof m.text);
    assert_int_equal(ipc_send(f->b.ipc, MSG_PURGE_ACK, &ack, -1), ERR_NONE);
    run_until(f, &f->a.count, 1);
    assert_int_equal(f->a.last_type, MSG_PURGE_ACK);
    assert_int_equal(f->a.next_generation, 1);
}

static void test_half_of_the_queue_is_for_what_must_get_through(void **state)
{
    struct fixture *f = *state;
    const struct msg_purge m = {.number = 1};
    const struct msg_empty stop = {0};
    unsigned sent = 0, more = 0;
    for (; ipc_has_room(f->a.ipc) && sent < 100000; sent++)
        assert_int_equal(ipc_send(f->a.ipc, MSG_PURGE, &m, -1), ERR_NONE);
    for (; more < IPC_QUEUE_MAX / 2; more++)
        assert_int_equal(ipc_send(f->a.ipc, MSG_STOP, &stop, -1), ERR_NONE);
    assert_int_equal(ipc_send(f->a.ipc, MSG_STOP, &stop, -1), ERR_FULL);
    run_until(f, &f->b.count, sent + more);
    assert_int_equal(f->b.last_type, MSG_STOP);
    assert_true(ipc_has_room(f->a.ipc));
}

static void test_a_ping_is_answered_by_whoever_runs(void **state)
{
    struct fixture *f = *state;
    const struct msg_empty ping = {0};
    assert_int_equal(ipc_send(f->a.ipc, MSG_PING, &ping, -1), ERR_NONE);
    run_until(f, &f->a.count, 1);
    assert_int_equal(f->a.last_type, MSG_PONG);
    assert_int_equal(f->b.count, 0); /* the asked one's owner is not bothered */
}

static void test_a_vanished_peer_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct msg_empty stop = {0};
    ipc_destroy(&f->b.ipc);
    run_until(f, &f->a.closed_count, 1);
    loop_run_once(f->loop, false);
    assert_int_equal(f->a.closed_count, 1);
    assert_int_equal(ipc_send(f->a.ipc, MSG_STOP, &stop, -1), ERR_EOF);
}

static void test_destroyed_from_its_own_callbacks(void **state)
{
    struct fixture *f = *state;
    struct msg_empty stop = {0};
    f->b.destroy_on_message = true;
    f->a.destroy_on_close = true;
    assert_int_equal(ipc_send(f->a.ipc, MSG_STOP, &stop, -1), ERR_NONE);
    assert_int_equal(ipc_send(f->a.ipc, MSG_STOP, &stop, -1), ERR_NONE);
    run_until(f, &f->b.count, 1);
    run_until(f, &f->a.closed_count, 1);
    assert_int_equal(f->b.count, 1);
    assert_null(f->a.ipc);
}

static void test_what_is_not_in_the_table_ends_the_connection(void **state)
{
    (void)state;
    struct {
        uint32_t type, size_bytes;
        char payload[4096];
    } raw;
    const struct {
        uint32_t type, size_bytes;
        size_t sent_bytes;
    } cases[] = {
        {MSG_NONE, 0, 8},
        {MSG_COUNT, 0, 8},
        {0xffffffffu, 0, 8},
        {MSG_CONF, sizeof(struct msg_conf), 8}, /* shorter than it says */
        {MSG_CONF, sizeof(struct msg_drain) + 1, 8 + sizeof(struct msg_drain) + 1},
        {MSG_CONF, 0xffffffffu, 16},
        {MSG_CONF, sizeof(struct msg_conf), 17},   /* longer than it says */
        {MSG_CONF, sizeof(struct msg_conf), 4000}, /* longer than any message */
        {MSG_CONF, sizeof(struct msg_conf), 3},    /* no whole header */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        void *fixture = NULL;
        setup(&fixture);
        struct fixture *f = fixture;
        memset(&raw, 0, sizeof raw);
        raw.type = cases[i].type;
        raw.size_bytes = cases[i].size_bytes;
        assert_int_equal(send(f->a.fd, &raw, cases[i].sent_bytes, 0), (ssize_t)cases[i].sent_bytes);
        run_until(f, &f->a.closed_count, 1);
        assert_int_equal(f->a.count, 0);
        teardown(&fixture);
    }
}

static void test_every_type_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(ipc_type_text(MSG_CONF_ACK), "MSG_CONF_ACK");
    assert_string_equal(ipc_type_text(MSG_COUNT), "MSG_UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_message_brings_its_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_both_ends_speak, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_slow_peer_gets_everything_in_order_up_to_the_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_purge_carries_a_whole_text_and_is_acknowledged_by_number, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_half_of_the_queue_is_for_what_must_get_through, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_ping_is_answered_by_whoever_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_vanished_peer_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_destroyed_from_its_own_callbacks, setup, teardown),
        cmocka_unit_test(test_what_is_not_in_the_table_ends_the_connection),
        cmocka_unit_test(test_every_type_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
