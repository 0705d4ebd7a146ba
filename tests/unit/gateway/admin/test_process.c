/* tidegate-admin as a process: this test plays its supervisor, gives it birth, configurations and listeners, and asks
 * it over HTTP. */
#include "health/steering.h"
#include "tests/unit/gateway/admin/client.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/birth.h"
#include "base/ipc.h"
#include "base/shm.h"

struct supervisor {
    struct clients clients;
    struct shm slots, roster, stats, verdicts, last_words;
    int nudge_fd;
    int log_fds[2]; /* read, write */
    pid_t pid;
    struct ipc *ipc;
    bool has_ack;
    struct msg_conf_ack ack;
    bool is_ipc_closed;
    struct addr addr; /* where it listens */
};

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct supervisor *s = arg;

    assert_int_equal(type, MSG_CONF_ACK);
    assert_int_equal(fd, -1);
    s->ack = *(const struct msg_conf_ack *)payload;
    s->has_ack = true;
}

static void on_closed(void *arg)
{
    struct supervisor *s = arg;

    s->is_ipc_closed = true;
}

/* <build>/tests/unit/gateway/admin/test_process -> <build>/tidegate-admin */
static void find_program(char exe[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", exe, PATH_MAX - 32);

    assert_true(len > 0);
    exe[len] = '\0';
    for (int i = 0; i < 5; i++)
        *strrchr(exe, '/') = '\0';
    strcat(exe, "/tidegate-admin");
}

static void create_tables(struct supervisor *s)
{
    struct roster *r;

    assert_int_equal(shm_create(&s->slots, "slots", sizeof(struct slots)), ERR_NONE);
    assert_int_equal(shm_create(&s->roster, "roster", sizeof(struct roster)), ERR_NONE);
    assert_int_equal(shm_create(&s->stats, "stats", sizeof(struct stats)), ERR_NONE);
    assert_int_equal(shm_create(&s->verdicts, "verdicts", sizeof(struct health_table)), ERR_NONE);
    assert_int_equal(shm_create(&s->last_words, "last-words", LAST_WORDS_BYTES), ERR_NONE);
    slots_init(s->slots.base);
    stats_init(s->stats.base);
    health_table_init(s->verdicts.base);
    assert_true(slots_claim(s->slots.base, SLOT_SERVER, "web/a", NULL) >= 0);
    assert_true(slots_claim(s->slots.base, SLOT_ROUTE, "/", NULL) >= 0);
    r = s->roster.base;
    r->magic = ROSTER_MAGIC;
    atomic_store(&r->reload_ok, 1);
    for (int i = 0; i < 3; i++) {
        r->row[i].role = i == 0 ? ROLE_WORKER : i == 1 ? ROLE_CHECKER : ROLE_ADMIN;
        atomic_store(&r->row[i].pid, i == 1 ? 0 : getpid());
        atomic_store(&r->row[i].state, ROSTER_READY);
    }
}

static int setup(void **state)
{
    struct supervisor *s = mem_alloc(sizeof *s);
    char exe[PATH_MAX];
    struct birth_gift gift;
    int control_fd;

    clients_init(&s->clients);
    create_tables(s);
    s->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(pipe2(s->log_fds, O_CLOEXEC | O_NONBLOCK), 0);
    gift = (struct birth_gift){
        .note = {.magic = BIRTH_MAGIC,
                 .role = ROLE_ADMIN,
                 .roster_row = 2,
                 .worker_count = 1,
                 .log_level = LOG_LEVEL_INFO,
                 .fd_limit = 1024},
        .slots_fd = s->slots.fd,
        .roster_fd = s->roster.fd,
        .stats_fd = s->stats.fd,
        .verdicts_fd = s->verdicts.fd,
        .nudge_fd = s->nudge_fd,
        .last_words_fd = s->last_words.fd,
        .log_fd = s->log_fds[1],
    };
    find_program(exe);
    assert_int_equal(birth_spawn(exe, &gift, &s->pid, &control_fd), ERR_NONE);
    s->ipc = ipc_create(s->clients.loop, control_fd, on_message, on_closed, s);
    *state = s;
    return 0;
}

static void on_child_exit(void *arg, unsigned events)
{
    (void)events;
    *(bool *)arg = true;
}

/* Waits for the child's end; it must leave by itself and content. */
static void expect_exit(struct supervisor *s)
{
    bool is_over = false;
    struct io io;
    int status, fd = pidfd_open(s->pid, 0);

    assert_true(fd >= 0);
    io_init(&io, s->clients.loop, fd, on_child_exit, &is_over);
    io_want(&io, IO_READ);
    run_until(s->clients.loop, &is_over);
    io_fini(&io);
    close(fd);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    s->pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int teardown(void **state)
{
    struct supervisor *s = *state;

    if (s->ipc != NULL)
        ipc_destroy(&s->ipc); /* the supervisor dies */
    if (s->pid > 0)
        expect_exit(s);
    clients_fini(&s->clients);
    shm_fini(&s->slots);
    shm_fini(&s->roster);
    shm_fini(&s->stats);
    shm_fini(&s->verdicts);
    shm_fini(&s->last_words);
    close(s->nudge_fd);
    close(s->log_fds[0]);
    close(s->log_fds[1]);
    mem_free(s);
    return 0;
}

static void send_listener(struct supervisor *s, const char *address)
{
    struct msg_listener m = {.address = ""};
    int fd;

    assert_true(addr_parse(&s->addr, address));
    assert_int_equal(sock_listen(&s->addr, false, 64, &fd), ERR_NONE);
    assert_int_equal(sock_local_addr(fd, &s->addr), ERR_NONE);
    addr_text(&s->addr, m.address, sizeof m.address);
    assert_int_equal(ipc_send(s->ipc, MSG_LISTENER, &m, fd), ERR_NONE);
    close(fd);
}

/* Sends text as a sealed configuration and waits for the answer. */
static void send_sealed(struct supervisor *s, uint64_t generation, const char *text)
{
    struct msg_conf m = {.generation = generation};
    int fd;

    assert_int_equal(shm_seal_bytes("conf", text, strlen(text), &fd), ERR_NONE);
    s->has_ack = false;
    assert_int_equal(ipc_send(s->ipc, MSG_CONF, &m, fd), ERR_NONE);
    close(fd);
    run_until(s->clients.loop, &s->has_ack);
    assert_int_equal(s->ack.generation, generation);
}

static void send_conf(struct supervisor *s, uint64_t generation, const char *node)
{
    struct conf_errors errors = {.count = 0};
    char *yaml = mem_printf("node: { name: %s }\n"
                            "workers: 1\n"
                            "listen: [ { address: \"127.0.0.1:8080\" } ]\n"
                            "admin: { address: \"127.0.0.1:9180\" }\n"
                            "pools:\n"
                            "  web: { servers: [ { name: a, url: \"ws://192.0.2.1:80\" } ] }\n"
                            "routes: [ { path: /, pool: web } ]\n",
                            node);
    struct conf *c = conf_load_text("/etc/tidegate/test.yaml", yaml, strlen(yaml), false, &errors);
    char *sealed;

    if (c == NULL)
        fail_msg("%s", errors.text);
    sealed = conf_seal(c);
    send_sealed(s, generation, sealed);
    mem_free(sealed);
    conf_unref(&c);
    conf_errors_fini(&errors);
    mem_free(yaml);
    if (s->ack.ok != 1)
        fail_msg("configuration refused: %s", s->ack.error);
    atomic_store(&((struct roster *)s->roster.base)->conf_generation, generation);
    for (int i = 0; i < 3; i++)
        atomic_store(&((struct roster *)s->roster.base)->row[i].conf_generation, generation);
    verdict_heartbeat(s->verdicts.base, loop_wall_ms(s->clients.loop));
}

static json_t *ask_json(struct supervisor *s, const char *path, int status)
{
    struct client c;
    struct response r;
    json_error_t error;
    json_t *j;

    client_open(&c, &s->clients, &s->addr, 0);
    client_ask(&c, "GET", path, &r);
    assert_int_equal(r.status, status);
    j = json_loadb(r.body, r.body_len, JSON_REJECT_DUPLICATES, &error);
    if (j == NULL)
        fail_msg("%s is not JSON: %s", path, r.body);
    response_fini(&r);
    client_close(&c);
    return j;
}

static void expect_node(struct supervisor *s, const char *node)
{
    json_t *j = ask_json(s, "/health", 200);

    assert_text(j, "node", node);
    json_decref(j);
}

static void test_it_shows_the_tables_it_was_born_with(void **state)
{
    struct supervisor *s = *state;
    struct stats *stats = s->stats.base;
    struct verdict_detail d = {.since_wall_ms = 1000, .cause = "reset"};
    json_t *j;

    send_listener(s, "127.0.0.1:0");
    send_conf(s, 1, "fra-1");
    j = ask_json(s, "/health", 200);
    assert_text(j, "status", "ok");
    json_decref(j);
    j = ask_json(s, "/readyz", 200);
    json_decref(j);

    stat_add(&stats->block[0].server[0][STAT_SERVER_OPEN], 12);
    verdict_write(s->verdicts.base, 0, &(struct verdict){.state = VERDICT_DOWN}, &d);
    j = ask_json(s, "/status", 200);
    assert_text(j, "config.path", "/etc/tidegate/test.yaml"); /* of the supervisor's file, which it never saw */
    assert_text(j, "pools.0.servers.0.state", "down");
    assert_text(j, "pools.0.servers.0.cause", "reset");
    assert_number(j, "pools.0.servers.0.connections", 12);
    assert_true(json_integer_value(at(j, "processes.0.rss_bytes")) > 0); /* of this test, which plays the worker */
    json_decref(j);
    j = ask_json(s, "/health", 503);
    assert_text(j, "routes.0.status", "down");
    json_decref(j);
}

static void expect_nobody(const struct addr *a)
{
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, &a->sa, a->len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
}

static void test_a_bad_configuration_changes_nothing(void **state)
{
    struct supervisor *s = *state;
    struct addr good;

    send_listener(s, "127.0.0.1:0");
    good = s->addr;
    send_conf(s, 1, "fra-1");
    send_listener(s, "127.0.0.1:0");
    send_sealed(s, 2, "pools: [");
    assert_int_equal(s->ack.ok, 0);
    assert_true(strlen(s->ack.error) > 0);
    expect_nobody(&s->addr); /* what came with it is closed */
    s->addr = good;
    expect_node(s, "fra-1");
    send_listener(s, "127.0.0.1:0"); /* and the next one is taken */
    send_conf(s, 3, "fra-2");
    expect_node(s, "fra-2");
}

static void test_a_reload_may_move_the_listener(void **state)
{
    struct supervisor *s = *state;
    struct addr before;

    send_listener(s, "127.0.0.1:0");
    send_conf(s, 1, "fra-1");
    expect_node(s, "fra-1");
    before = s->addr;
    send_listener(s, "[::1]:0");
    send_conf(s, 2, "fra-2");
    expect_node(s, "fra-2");
    expect_nobody(&before);
}

static void on_log(void *arg, unsigned events)
{
    (void)events;
    *(bool *)arg = true;
}

static void test_the_log_goes_where_it_is_told(void **state)
{
    struct supervisor *s = *state;
    struct msg_empty nothing = {.unused = 0};
    bool has_log = false;
    char line[1024];
    ssize_t len;
    struct io io;
    int fds[2];

    send_listener(s, "127.0.0.1:0");
    send_conf(s, 1, "fra-1");
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(ipc_send(s->ipc, MSG_REOPEN_LOG, &nothing, fds[1]), ERR_NONE);
    close(fds[1]);
    send_listener(s, "127.0.0.1:0");
    send_conf(s, 2, "fra-1");
    io_init(&io, s->clients.loop, fds[0], on_log, &has_log);
    io_want(&io, IO_READ);
    run_until(s->clients.loop, &has_log);
    len = read(fds[0], line, sizeof line - 1);
    assert_true(len > 0);
    line[len] = '\0';
    assert_non_null(strstr(line, "admin"));
    assert_non_null(strstr(line, "generation=2"));
    io_fini(&io);
    close(fds[0]);
}

static void test_stop(void **state)
{
    struct supervisor *s = *state;
    struct msg_empty nothing = {.unused = 0};
    struct client c;

    send_listener(s, "127.0.0.1:0");
    send_conf(s, 1, "fra-1");
    client_open(&c, &s->clients, &s->addr, 0); /* nobody's connection holds it */
    assert_int_equal(ipc_send(s->ipc, MSG_STOP, &nothing, -1), ERR_NONE);
    expect_exit(s);
    client_wait_closed(&c);
    client_close(&c);
}

static void test_drain(void **state)
{
    struct supervisor *s = *state;
    struct msg_drain drain = {.time_ms = PATIENCE_MS * 2};
    struct client c;
    struct response r;

    send_listener(s, "127.0.0.1:0");
    send_conf(s, 1, "fra-1");
    client_open(&c, &s->clients, &s->addr, 0);
    client_ask(&c, "GET", "/livez", &r); /* idle now */
    response_fini(&r);
    assert_int_equal(ipc_send(s->ipc, MSG_DRAIN, &drain, -1), ERR_NONE);
    expect_exit(s);
    client_close(&c);
}

static void test_it_does_not_outlive_its_supervisor(void **state)
{
    struct supervisor *s = *state;

    send_listener(s, "127.0.0.1:0");
    send_conf(s, 1, "fra-1");
    ipc_destroy(&s->ipc);
    expect_exit(s);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_shows_the_tables_it_was_born_with),
        TEST(test_a_bad_configuration_changes_nothing),
        TEST(test_a_reload_may_move_the_listener),
        TEST(test_the_log_goes_where_it_is_told),
        TEST(test_stop),
        TEST(test_drain),
        TEST(test_it_does_not_outlive_its_supervisor),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
