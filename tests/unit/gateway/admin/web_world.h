/* The admin server in the test's own process, asked over real sockets. */
#ifndef TESTS_UNIT_GATEWAY_ADMIN_WEB_WORLD_H
#define TESTS_UNIT_GATEWAY_ADMIN_WEB_WORLD_H

#include "gateway/admin/web.h"
#include "tests/unit/gateway/admin/client.h"

struct web_world {
    struct world *world;
    struct clients clients;
    struct web *web;
    struct addr addr;
    bool has_view;
    bool was_asked; /* web_ops.view came */
    bool is_idle;   /* web_ops.on_idle came */
    struct feed *feed;
};

static const struct web_limits web_patient = {.request_ms = PATIENCE_MS, .response_ms = PATIENCE_MS};

static inline bool web_on_view(void *arg, struct report_view *v)
{
    struct web_world *f = arg;

    f->was_asked = true;
    *v = f->world->view;
    return f->has_view;
}

static inline void web_on_idle(void *arg)
{
    struct web_world *f = arg;

    assert_false(f->is_idle);
    f->is_idle = true;
}

static inline struct feed *web_on_feed(void *arg)
{
    struct web_world *f = arg;
    return f->feed;
}

static const struct web_ops web_world_ops = {.view = web_on_view, .feed = web_on_feed, .on_idle = web_on_idle};

/* A listener on a free port; its small send buffer is inherited by what it accepts. */
static inline int web_listen_somewhere(struct addr *a)
{
    int fd, bytes = 16384;

    assert_true(addr_parse(a, "127.0.0.1:0"));
    assert_int_equal(sock_listen(a, false, 512, &fd), ERR_NONE);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    assert_int_equal(sock_local_addr(fd, a), ERR_NONE);
    return fd;
}

static inline int web_world_setup(void **state)
{
    struct web_world *f = mem_alloc(sizeof *f);
    void *world;

    assert_int_equal(world_setup(&world), 0);
    f->world = world;
    f->has_view = true;
    f->feed = feed_create();
    clients_init(&f->clients);
    f->web = web_create(f->clients.loop, &web_world_ops, f, &web_patient);
    assert_non_null(f->web);
    web_listen(f->web, web_listen_somewhere(&f->addr));
    *state = f;
    return 0;
}

static inline int web_world_teardown(void **state)
{
    struct web_world *f = *state;
    void *world = f->world;

    web_destroy(&f->web);
    feed_destroy(&f->feed);
    clients_fini(&f->clients);
    world_teardown(&world);
    mem_free(f);
    return 0;
}

#endif
