/* Real Redis processes for tests: single ones, a cluster of three masters, a master and a replica with a sentinel. Each
 * has a directory and ports of its own on loopback, and dies with the test whatever happens to that. */
#ifndef TESTS_UNIT_CACHE_REDIS_NODES_H
#define TESTS_UNIT_CACHE_REDIS_NODES_H

#include <dirent.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sock.h"
#include "tests/unit/base/port.h"

#define NODES_WAIT_MS 10000 /* for anything that takes a second at worst on an idle machine */
#define NODE_ARGS     24

struct redis_node {
    pid_t pid; /* 0: not running */
    uint16_t port;
    char dir[40];
    redisContext *talk; /* for what the test itself has to say to it */
};

/* A port nobody has; it is held as long as this process lives. */
static inline uint16_t nodes_free_port(void)
{
    uint16_t port;
    (void)port_hold(&port);
    return port;
}

/* Reads what the process says until `word` comes; false when it ends before. */
static inline bool nodes_says(int fd, const char *word)
{
    char said[8192];
    size_t len = 0;
    while (len + 1 < sizeof said) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t got = poll(&p, 1, NODES_WAIT_MS) == 1 ? read(fd, said + len, sizeof said - 1 - len) : 0;
        if (got <= 0)
            return false;
        len += (size_t)got;
        said[len] = '\0';
        if (strstr(said, word))
            return true;
    }
    return false;
}

static inline bool node_spawn(struct redis_node *n, const char *const *argv, const char *ready_word)
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t parent = getpid();
    n->pid = fork();
    if (n->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(out[1], STDERR_FILENO);
        (void)close(out[0]);
        (void)close(out[1]);
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(out[1]);
    bool is_ready = n->pid > 0 && nodes_says(out[0], ready_word);
    (void)close(out[0]);
    return is_ready;
}

static inline void node_kill(struct redis_node *n)
{
    if (n->talk)
        redisFree(n->talk);
    n->talk = NULL;
    if (n->pid > 0) {
        (void)kill(n->pid, SIGKILL);
        (void)waitpid(n->pid, NULL, 0);
    }
    n->pid = 0;
}

/* Kills it and clears up behind it; harmless for one that was never started. */
static inline void node_stop(struct redis_node *n)
{
    node_kill(n);
    DIR *d = n->dir[0] ? opendir(n->dir) : NULL;
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            (void)unlinkat(dirfd(d), e->d_name, 0);
    (void)closedir(d);
    (void)rmdir(n->dir);
    n->dir[0] = '\0';
}

static inline void node_make_dir(struct redis_node *n)
{
    (void)snprintf(n->dir, sizeof n->dir, "/tmp/tidegate-redis-XXXXXX");
    assert_non_null(mkdtemp(n->dir));
}

static inline redisContext *node_talk(struct redis_node *n)
{
    if (!n->talk)
        n->talk = redisConnectWithTimeout("127.0.0.1", n->port, (struct timeval){.tv_sec = NODES_WAIT_MS / 1000});
    assert_non_null(n->talk);
    assert_int_equal(n->talk->err, 0);
    (void)redisSetTimeout(n->talk, (struct timeval){.tv_sec = NODES_WAIT_MS / 1000});
    return n->talk;
}

/* Asks and returns the reply; freeReplyObject(). Sentinels hang up on the clients of nodes whose part changes: then it
 * is asked once more. */
static inline redisReply *node_ask(struct redis_node *n, const char *format, ...)
{
    redisReply *r = NULL;
    for (int attempt = 0; !r && attempt < 2; attempt++) {
        va_list list;
        va_start(list, format);
        r = redisvCommand(node_talk(n), format, list);
        va_end(list);
        if (!r) {
            redisFree(n->talk);
            n->talk = NULL;
        }
    }
    assert_non_null(r);
    return r;
}

/* Says something that is answered with OK. */
#define NODE_TELL(n, ...)                                                                                              \
    do {                                                                                                               \
        redisReply *told_ = node_ask((n), __VA_ARGS__);                                                                \
        if (told_->type != REDIS_REPLY_STATUS)                                                                         \
            fail_msg("%s", told_->str ? told_->str : "no status");                                                     \
        freeReplyObject(told_);                                                                                        \
    } while (0)

/* Whether a reply of text has the word in it. */
static inline bool node_has(struct redis_node *n, const char *command, const char *word)
{
    redisReply *r = node_ask(n, command);
    bool has = r->str && strstr(r->str, word);
    freeReplyObject(r);
    return has;
}

/* Asks again and again, for what no process reports by itself. */
static inline void node_await(struct redis_node *n, const char *command, const char *word)
{
    for (int waited_ms = 0; !node_has(n, command, word); waited_ms += 10) {
        assert_true(waited_ms < NODES_WAIT_MS);
        (void)poll(NULL, 0, 10);
    }
}

/* Starts redis-server with further options (NULL at the end); a port that was taken in between is tried again. */
static inline void node_start(struct redis_node *n, const char *const *options)
{
    node_make_dir(n);
    for (int attempt = 0; attempt < 3; attempt++) {
        char port[8];
        const char *argv[NODE_ARGS + 1] = {"redis-server", "--port", port,    "--bind", "127.0.0.1",
                                           "--save",       "",       "--dir", n->dir};
        size_t count = 9;
        n->port = nodes_free_port();
        (void)snprintf(port, sizeof port, "%u", (unsigned)n->port);
        for (size_t i = 0; options && options[i]; i++) {
            assert_true(count < NODE_ARGS);
            argv[count++] = options[i];
        }
        if (node_spawn(n, argv, "Ready to accept connections"))
            return;
        node_kill(n);
    }
    fail_msg("redis-server does not start");
}

/* ---- a cluster of three masters ---- */

#define CLUSTER_NODES 3

struct redis_member {
    uint16_t bus_port;
    char id[48];
};
struct redis_cluster {
    struct redis_node node[CLUSTER_NODES];
    struct redis_member member[CLUSTER_NODES];
};

static inline void cluster_stop(struct redis_cluster *c)
{
    for (int i = 0; i < CLUSTER_NODES; i++)
        node_stop(&c->node[i]);
}

/* Slots 0-5460, 5461-10922 and 10923-16383, as everybody deals them. */
static inline uint16_t cluster_first_slot(int node)
{
    static const uint16_t first[CLUSTER_NODES + 1] = {0, 5461, 10923, 16384};
    return first[node];
}
static inline int cluster_node_of(uint16_t slot)
{
    return slot >= cluster_first_slot(2) ? 2 : slot >= cluster_first_slot(1) ? 1 : 0;
}

/* A node that knows nobody yet. */
static inline void member_start(struct redis_node *n, struct redis_member *m)
{
    char bus_port[8];
    m->bus_port = nodes_free_port();
    (void)snprintf(bus_port, sizeof bus_port, "%u", (unsigned)m->bus_port);
    /* Without full coverage: the slots of those who live are served when one has died. */
    const char *const options[] = {"--cluster-enabled",
                                   "yes",
                                   "--cluster-port",
                                   bus_port,
                                   "--cluster-node-timeout",
                                   "1000",
                                   "--cluster-require-full-coverage",
                                   "no",
                                   "--repl-diskless-sync-delay",
                                   "0",
                                   NULL};
    node_start(n, options);
    redisReply *id = node_ask(n, "CLUSTER MYID");
    (void)snprintf(m->id, sizeof m->id, "%s", id->str);
    freeReplyObject(id);
}

/* Somebody who stands in for a master: as its replica, and in the place of it once that has died. */
static inline void cluster_add_replica(struct redis_cluster *c, int of, struct redis_node *n, struct redis_member *m)
{
    member_start(n, m);
    NODE_TELL(n, "CLUSTER MEET 127.0.0.1 %u %u", (unsigned)c->node[of].port, (unsigned)c->member[of].bus_port);
    for (int i = 0; i < CLUSTER_NODES; i++) {
        node_await(n, "CLUSTER NODES", c->member[i].id);
        node_await(&c->node[i], "CLUSTER NODES", m->id);
    }
    NODE_TELL(n, "CLUSTER REPLICATE %s", c->member[of].id);
    node_await(n, "INFO replication", "master_link_status:up");
    node_await(&c->node[of], "INFO replication", "state=online");
}

static inline void cluster_start(struct redis_cluster *c)
{
    for (int i = 0; i < CLUSTER_NODES; i++) {
        member_start(&c->node[i], &c->member[i]);
        NODE_TELL(&c->node[i], "CLUSTER ADDSLOTSRANGE %d %d", cluster_first_slot(i), cluster_first_slot(i + 1) - 1);
        NODE_TELL(&c->node[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
    }
    for (int i = 1; i < CLUSTER_NODES; i++)
        NODE_TELL(&c->node[0], "CLUSTER MEET 127.0.0.1 %u %u", (unsigned)c->node[i].port,
                  (unsigned)c->member[i].bus_port);
    for (int i = 0; i < CLUSTER_NODES; i++)
        node_await(&c->node[i], "CLUSTER INFO", "cluster_slots_ok:16384");
    /* Masters that have come up wait two seconds before they serve. */
    for (int i = 0; i < CLUSTER_NODES; i++)
        node_await(&c->node[i], "CLUSTER INFO", "cluster_state:ok");
}

/* ---- a master, its replica, and one sentinel ---- */

#define SENTINEL_MASTER "tide"

struct redis_watch {
    struct redis_node node[2]; /* 0 begins as the master */
    struct redis_node sentinel;
};

static inline void watch_stop(struct redis_watch *w)
{
    node_stop(&w->sentinel);
    node_stop(&w->node[0]);
    node_stop(&w->node[1]);
}

static inline void watch_start_sentinel(struct redis_watch *w)
{
    struct redis_node *s = &w->sentinel;
    char path[sizeof s->dir + 16];
    node_make_dir(s);
    (void)snprintf(path, sizeof path, "%s/sentinel.conf", s->dir);
    for (int attempt = 0; attempt < 3; attempt++) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        s->port = nodes_free_port();
        (void)fprintf(f,
                      "port %u\nbind 127.0.0.1\ndir %s\n"
                      "sentinel monitor " SENTINEL_MASTER " 127.0.0.1 %u 1\n"
                      "sentinel down-after-milliseconds " SENTINEL_MASTER " 1000\n"
                      "sentinel failover-timeout " SENTINEL_MASTER " 5000\n",
                      (unsigned)s->port, s->dir, (unsigned)w->node[0].port);
        assert_int_equal(fclose(f), 0);
        const char *const argv[] = {"redis-sentinel", path, NULL};
        if (node_spawn(s, argv, "+monitor master"))
            return;
        node_kill(s);
    }
    fail_msg("redis-sentinel does not start");
}

static inline void watch_start(struct redis_watch *w)
{
    char port[8];
    const char *const master_options[] = {"--repl-diskless-sync-delay", "0", NULL};
    node_start(&w->node[0], master_options);
    (void)snprintf(port, sizeof port, "%u", (unsigned)w->node[0].port);
    const char *const replica_options[] = {"--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", port, NULL};
    node_start(&w->node[1], replica_options);
    node_await(&w->node[1], "INFO replication", "master_link_status:up");
    watch_start_sentinel(w);
}

/* Makes the replica the master. The sentinel refuses until it has looked at the replica for the first time. */
static inline void watch_fail_over(struct redis_watch *w)
{
    for (int waited_ms = 0;; waited_ms += 10) {
        redisReply *r = node_ask(&w->sentinel, "SENTINEL FAILOVER " SENTINEL_MASTER);
        bool is_begun = r->type == REDIS_REPLY_STATUS;
        freeReplyObject(r);
        if (is_begun)
            return;
        assert_true(waited_ms < NODES_WAIT_MS);
        (void)poll(NULL, 0, 10);
    }
}

#endif
