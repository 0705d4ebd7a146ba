/* The ways to a real Redis: names, unix sockets, passwords, users, databases, TLS - and who is not let in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/base/authority.h"
#include "tests/unit/cache/l2_world.h"
#include "tests/unit/cache/redis_nodes.h"

struct fixture {
    struct world w;
    struct redis_node redis;
    uint16_t tls_port;
    struct identity authority, server;
    char ca_path[64], cert_path[64], key_path[64], socket_path[64];
};

static void write_file(const struct fixture *f, char path[64], const char *name, char *text)
{
    (void)snprintf(path, 64, "%s/%s", f->redis.dir, name);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    free(text);
}

/* One that listens in every way at once. */
static void start_redis(struct fixture *f)
{
    char port[8], tls_port[8];
    const char *const argv[] = {"redis-server",
                                "--port",
                                port,
                                "--bind",
                                "127.0.0.1",
                                "--save",
                                "",
                                "--dir",
                                f->redis.dir,
                                "--unixsocket",
                                f->socket_path,
                                "--tls-port",
                                tls_port,
                                "--tls-cert-file",
                                f->cert_path,
                                "--tls-key-file",
                                f->key_path,
                                "--tls-ca-cert-file",
                                f->ca_path,
                                "--tls-auth-clients",
                                "optional",
                                NULL};
    for (int attempt = 0; attempt < 3; attempt++) {
        f->redis.port = nodes_free_port();
        f->tls_port = nodes_free_port();
        (void)snprintf(port, sizeof port, "%u", (unsigned)f->redis.port);
        (void)snprintf(tls_port, sizeof tls_port, "%u", (unsigned)f->tls_port);
        if (node_spawn(&f->redis, argv, "Ready to accept connections"))
            return;
        node_kill(&f->redis);
    }
    fail_msg("redis-server does not start");
}

static int group_setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    f->authority = make_identity(NULL, "authority", NULL);
    f->server = make_identity(&f->authority, "redis", "DNS:redis.example.com,IP:127.0.0.1");
    node_make_dir(&f->redis);
    write_file(f, f->ca_path, "ca.pem", cert_pem(&f->authority));
    write_file(f, f->cert_path, "cert.pem", cert_pem(&f->server));
    write_file(f, f->key_path, "key.pem", key_pem(&f->server));
    (void)snprintf(f->socket_path, sizeof f->socket_path, "%s/sock", f->redis.dir);
    start_redis(f);
    NODE_TELL(&f->redis, "ACL SETUSER gate on >secret ~tidegate:* +@all -ping");
    *state = f;
    return 0;
}

static int group_teardown(void **state)
{
    struct fixture *f = *state;
    node_stop(&f->redis);
    identity_free(&f->server);
    identity_free(&f->authority);
    mem_free(f);
    return 0;
}

static int setup(void **state)
{
    world_init(&((struct fixture *)*state)->w);
    return 0;
}

static int teardown(void **state)
{
    world_fini(&((struct fixture *)*state)->w);
    return 0;
}

/* Works by what `format` makes of cache.redis. */
static void works(struct fixture *f, const char *redis)
{
    world_conf(&f->w, redis);
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
    assert_true(world_put(&f->w, "key", "an entry", 60000));
    assert_int_equal(world_get(&f->w, "key"), ERR_NONE);
    assert_string_equal(f->w.text, "an entry");
    assert_true(l2_remove(f->w.l2, "key", 3));
    assert_int_equal(world_get(&f->w, "key"), ERR_NOT_FOUND);
}

/* Two attempts fail. */
static void fails(struct fixture *f, const char *redis)
{
    struct l2_counts counts;
    l2_counts(f->w.l2, &counts);
    const uint64_t before = counts.failure_count;
    world_conf(&f->w, redis);
    while (counts.failure_count < before + 2) {
        loop_run_once(f->w.loop, true);
        l2_counts(f->w.l2, &counts);
        assert_false(counts.is_connected);
    }
    assert_false(l2_is_ready(f->w.l2));
}

static void by_address_and_by_name(void **state)
{
    struct fixture *f = *state;
    char text[256];
    (void)snprintf(text, sizeof text, "url: 'redis://127.0.0.1:%u', timeout: 5s", (unsigned)f->redis.port);
    works(f, text);
    (void)snprintf(text, sizeof text, "url: 'redis://localhost:%u', timeout: 5s", (unsigned)f->redis.port);
    works(f, text);
}

static void by_unix_socket(void **state)
{
    struct fixture *f = *state;
    char text[256];
    (void)snprintf(text, sizeof text, "url: 'unix:%s', timeout: 5s", f->socket_path);
    works(f, text);
}

static void in_a_database_of_its_own(void **state)
{
    struct fixture *f = *state;
    char text[256];
    (void)snprintf(text, sizeof text, "url: 'redis://127.0.0.1:%u/7', timeout: 5s, prefix: seven",
                   (unsigned)f->redis.port);
    works(f, text);
    NODE_TELL(&f->redis, "SELECT 7");
    redisReply *r = node_ask(&f->redis, "EXISTS seven:purges");
    assert_int_equal(r->integer, 1);
    freeReplyObject(r);
    NODE_TELL(&f->redis, "SELECT 0");
    (void)snprintf(text, sizeof text, "url: 'redis://127.0.0.1:%u/99', timeout: 5s", (unsigned)f->redis.port);
    fails(f, text); /* there are sixteen */
}

/* `gate` may not even PING. */
static void as_a_user_of_its_own(void **state)
{
    struct fixture *f = *state;
    char text[256];
    (void)snprintf(text, sizeof text, "url: 'redis://gate:secret@127.0.0.1:%u', timeout: 5s", (unsigned)f->redis.port);
    works(f, text);
    (void)snprintf(text, sizeof text, "url: 'redis://gate:wrong@127.0.0.1:%u', timeout: 5s", (unsigned)f->redis.port);
    fails(f, text);
}

static void with_a_password(void **state)
{
    struct fixture *f = *state;
    char text[256];
    NODE_TELL(&f->redis, "CONFIG SET requirepass %s", "let me in");
    (void)snprintf(text, sizeof text, "url: 'redis://127.0.0.1:%u', password: 'let me in', timeout: 5s",
                   (unsigned)f->redis.port);
    works(f, text);
    (void)snprintf(text, sizeof text, "url: 'redis://127.0.0.1:%u', password: 'let me', timeout: 5s",
                   (unsigned)f->redis.port);
    fails(f, text);
    (void)snprintf(text, sizeof text, "url: 'redis://127.0.0.1:%u', timeout: 5s", (unsigned)f->redis.port);
    fails(f, text);
    NODE_TELL(&f->redis, "CONFIG SET requirepass %s", "");
    WORLD_AWAIT(&f->w, l2_is_ready(f->w.l2));
}

static void over_tls(void **state)
{
    struct fixture *f = *state;
    char text[512];
    (void)snprintf(text, sizeof text, "url: 'rediss://127.0.0.1:%u', timeout: 5s, tls: {ca: '%s'}",
                   (unsigned)f->tls_port, f->ca_path);
    works(f, text);
    (void)snprintf(text, sizeof text,
                   "url: 'rediss://127.0.0.1:%u', timeout: 5s, tls: {ca: '%s', server_name: redis.example.com}",
                   (unsigned)f->tls_port, f->ca_path);
    works(f, text);
    (void)snprintf(text, sizeof text, "url: 'rediss://127.0.0.1:%u', timeout: 5s, tls: {verify: false}",
                   (unsigned)f->tls_port);
    works(f, text);
}

static void over_tls_to_who_it_should_be(void **state)
{
    struct fixture *f = *state;
    char text[512];
    (void)snprintf(text, sizeof text,
                   "url: 'rediss://127.0.0.1:%u', timeout: 5s, tls: {ca: '%s', server_name: other.example.com}",
                   (unsigned)f->tls_port, f->ca_path);
    fails(f, text);
    (void)snprintf(text, sizeof text, "url: 'rediss://127.0.0.1:%u', timeout: 5s", (unsigned)f->tls_port);
    fails(f, text); /* no authority the system knows */
    (void)snprintf(text, sizeof text, "url: 'rediss://127.0.0.1:%u', timeout: 5s, tls: {ca: '%s'}",
                   (unsigned)f->redis.port, f->ca_path);
    fails(f, text); /* the port that speaks no TLS */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(by_address_and_by_name),       CASE(by_unix_socket),  CASE(in_a_database_of_its_own),
        CASE(as_a_user_of_its_own),         CASE(with_a_password), CASE(over_tls),
        CASE(over_tls_to_who_it_should_be),
#undef CASE
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
