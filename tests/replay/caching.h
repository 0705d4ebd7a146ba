/* What tests of the cache say to both sides of a worker; include after cmocka.h. Servers close after each answer, so
 * that every fetch comes as a connection of its own. */
#ifndef TESTS_REPLAY_CACHING_H
#define TESTS_REPLAY_CACHING_H

#include <unistd.h>

#include "gateway/exchange/fetch.h"
#include "tests/replay/talk.h"

/* A client asks; `fields` with line ends, or "". */
static inline int ask(struct rig *r, const char *method, const char *path, const char *fields)
{
    char text[2048];
    (void)snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: app.example.com\r\n%s\r\n", method, path, fields);
    return rig_client(r, text);
}

/* The next request that has come to server a; what it says is in `said`, if that is not NULL. */
static inline int next_fetch(struct rig *r, char *said, size_t cap)
{
    char buf[4096];
    const int fd = rig_accept(r, 0);
    assert_true(rig_read(r, fd, said != NULL ? said : buf, said != NULL ? cap : sizeof buf) > 0);
    return fd;
}

static inline void answer(struct rig *r, int fd, const char *status, const char *fields, const char *body)
{
    char text[8192];
    (void)snprintf(text, sizeof text, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                   strlen(body), fields, body);
    say(r, fd, text);
    close(fd);
    sim_settle(r->loop);
}

/* Exactly this body comes to a client, with that status, and nothing behind it. */
static inline void expect_answer(struct rig *r, int fd, int status, const char *body)
{
    char start[32], buf[65536];
    (void)snprintf(start, sizeof start, "HTTP/1.1 %d ", status);
    const char *text = text_at(r, fd, buf, sizeof buf);
    const char *end = strstr(text, "\r\n\r\n");
    if (strncmp(text, start, strlen(start)) != 0 || end == NULL || strcmp(end + 4, body) != 0)
        fail_msg("expected %d %s, got: %s", status, body, text);
}

/* Has `path` stored with `fields`. */
static inline void store(struct rig *r, const char *path, const char *fields, const char *body)
{
    const int client = ask(r, "GET", path, "");
    answer(r, next_fetch(r, NULL, 0), "200 OK", fields, body);
    expect_answer(r, client, 200, body);
    close(client);
}

static inline void close_all(struct rig *r, const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    sim_settle(r->loop);
}

static inline void expect_no_fetch(struct rig *r)
{
    assert_false(rig_has_waiting(r, 0));
}

static inline int64_t counted(const struct rig *r, enum stat_route id)
{
    return (int64_t)stat_get(&r->birth.block->route[slots_find(r->slots, SLOT_ROUTE, "r")][id]);
}

/* Nothing is under way any more, and nothing counts for what is over. */
static inline void expect_calm(struct rig *r)
{
    sim_settle(r->loop);
    assert_int_equal(r->worker->env.fetch_count, 0);
    assert_int_equal(r->worker->env.collected_bytes, 0);
    assert_true(list_is_empty(&r->worker->env.fetches));
    assert_true(cache_memory_is_sound(r->worker->cache->memory));
}

#endif
