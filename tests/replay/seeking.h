/* Seeks in a worker of the rig: an owner who writes down what it is told, and an origin that says little. */
#ifndef TESTS_REPLAY_SEEKING_H
#define TESTS_REPLAY_SEEKING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/http/upgrade.h"
#include "gateway/realtime/seek.h"
#include "tests/replay/rig.h"

#define SEEKING_KEY "dGhlIHNhbXBsZSBub25jZQ=="

struct seeking {
    struct rig rig;
    struct seekers *all;
    bool is_head_refused; /* the origin cannot make heads */
    const char *protocol; /* what a server must choose; NULL: nothing */
    uint32_t asked_count[RIG_SERVERS];
};

/* One session's side. */
struct owner {
    struct seeking *home;
    struct seek *seek;
    char asked[16]; /* letters of the servers that were asked */
    int found_count, failed_count;
    char found; /* letter */
    struct conn *conn;
    char rest[32];
    char subprotocol[16]; /* "": none */
    enum seek_failure failure;
    uint16_t status;
    char why[64];
    bool cancels_at_asking;
    struct owner *cancels; /* whose seek is cancelled in every callback */
    int again_count;       /* seeks to begin from within callbacks */
};

static inline void seeking_open(struct seeking *w, const char *yaml)
{
    memset(w, 0, sizeof *w);
    rig_open(&w->rig, yaml);
    w->all = seekers_create(w->rig.worker->net, w->rig.worker->pools);
}

static inline void seeking_close(struct seeking *w)
{
    for (size_t i = 0; i < w->rig.worker->conf->pools[0].server_count; i++) {
        const struct server *s = pool_set_at(w->rig.worker->pools, 0)->servers[i];
        assert_int_equal(s->attempt_count, 0);
        assert_int_equal(stat_get(&w->rig.birth.block->server[s->slot][STAT_SERVER_OPEN]), 0);
    }
    seekers_destroy(&w->all);
    rig_close(&w->rig);
}

static inline struct server *seeking_server(struct seeking *w, char letter)
{
    struct pool *p = pool_set_at(w->rig.worker->pools, 0);
    for (size_t i = 0; i < p->server_count; i++)
        if (p->servers[i]->server_conf->name[0] == letter)
            return p->servers[i];
    fail_msg("no server %c", letter);
    return NULL;
}

static inline uint64_t seeking_counted(struct seeking *w, char letter, enum stat_server id)
{
    return stat_get(&w->rig.birth.block->server[seeking_server(w, letter)->slot][id]);
}

static inline void seeking_judge(struct seeking *w, char letter, enum verdict_state state)
{
    const struct verdict v = {.state = state};
    const int slot = seeking_server(w, letter)->slot;
    struct verdict_detail d = {0};
    (void)verdict_adopt(w->rig.verdicts, slot, atomic_load(&w->rig.slots->server[slot].era));
    verdict_write(w->rig.verdicts, slot, &v, &d);
}

/* ---- the origin ---- */

static inline bool origin_make_head(void *origin, const struct conf *c, const struct conf_route *r,
                                    const struct server *to, struct http_head *head, struct http_texts *texts)
{
    const struct seeking *w = origin;
    (void)c;
    if (w->is_head_refused)
        return false;
    http_head_clear(head);
    head->major_version = head->minor_version = 1;
    head->method = http_view_of("GET");
    head->target = head->path = http_texts_printf(texts, "/%s", to->server_conf->name);
    head->authority = http_view_of("app.example.com");
    return http_head_add(head, http_view_of("Sec-WebSocket-Key"), http_view_of(SEEKING_KEY)) &&
           http_head_add(head, http_view_of("Sec-WebSocket-Version"), http_view_of("13")) &&
           http_head_add(head, http_view_of("Sec-WebSocket-Protocol"), http_view_of("p, q")) &&
           http_head_add(head, http_view_of("X-Route"), http_view_of(r->name));
}

static inline void origin_set_key(void *origin, const struct conf_pool *p, struct pick *k)
{
    (void)origin;
    (void)p;
    pick_set_key(k, "key", 3);
}

static inline bool origin_accepts(void *origin, const struct http_head *answer)
{
    const struct seeking *w = origin;
    const struct http_view v = http_value(answer, "sec-websocket-protocol");
    return w->protocol == NULL ? v.data == NULL : http_view_is(v, w->protocol);
}

static const struct origin_ops seeking_origin = {
    .make_head = origin_make_head, .set_key = origin_set_key, .accepts = origin_accepts};

/* ---- the owner ---- */

static inline void owner_on_data(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}

static inline void owner_on_close(void *arg, enum err e)
{
    struct owner *o = arg;
    (void)e;
    o->conn = NULL;
}
static const struct conn_ops owner_conn_ops = {.on_data = owner_on_data, .on_close = owner_on_close};

static inline void owner_begin(struct owner *o, const struct seek_start *more);

static inline void owner_told(struct owner *o)
{
    if (o->cancels != NULL)
        seek_cancel(&o->cancels->seek);
    if (o->again_count > 0 && o->seek == NULL) {
        o->again_count--;
        owner_begin(o, NULL);
    }
}

static inline void owner_on_found(void *arg, const struct seek_found *f)
{
    struct owner *o = arg;
    assert_null(o->seek);
    assert_true(f->server->attempt_count > 0); /* it counts as load until it is counted as a tunnel */
    o->found_count++;
    o->found = f->server->server_conf->name[0];
    o->conn = f->conn;
    conn_set_owner(o->conn, &owner_conn_ops, o);
    (void)snprintf(o->subprotocol, sizeof o->subprotocol, "%.*s", (int)f->subprotocol.len, f->subprotocol.data);
    (void)snprintf(o->rest, sizeof o->rest, "%.*s", (int)f->rest_bytes, (const char *)f->rest);
    struct server *s = f->server;
    server_unref(&s);
    owner_told(o);
}

static inline void owner_on_failed(void *arg, enum seek_failure f, uint16_t status, const char *why)
{
    struct owner *o = arg;
    assert_null(o->seek);
    o->failed_count++;
    o->failure = f;
    o->status = status;
    (void)snprintf(o->why, sizeof o->why, "%s", why);
    owner_told(o);
}

static inline void owner_on_asking(void *arg, const struct server *s)
{
    struct owner *o = arg;
    const size_t len = strlen(o->asked);
    assert_non_null(o->seek); /* seek_begin() has returned */
    if (len + 1 < sizeof o->asked)
        o->asked[len] = s->server_conf->name[0];
    o->home->asked_count[s->server_conf->name[0] - 'a']++;
    if (o->cancels_at_asking)
        seek_cancel(&o->seek);
    owner_told(o);
}

static const struct seek_ops owner_ops = {
    .on_found = owner_on_found, .on_failed = owner_on_failed, .on_asking = owner_on_asking};

/* `more`: what is not as usual; NULL: nothing. */
static inline void owner_begin(struct owner *o, const struct seek_start *more)
{
    struct worker *w = o->home->rig.worker;
    struct seek_start s = more != NULL ? *more : (struct seek_start){.cost = 1};
    if (s.conf == NULL)
        s.conf = w->conf;
    s.route = &s.conf->routes[0];
    s.origin_ops = &seeking_origin;
    s.origin = o->home;
    s.ops = &owner_ops;
    s.arg = o;
    const int told = o->found_count + o->failed_count + (int)strlen(o->asked);
    seek_begin(o->home->all, &o->seek, &s);
    assert_int_equal(o->found_count + o->failed_count + (int)strlen(o->asked), told);
    assert_non_null(o->seek);
}

static inline void owner_fini(struct owner *o)
{
    seek_cancel(&o->seek);
    if (o->conn != NULL)
        conn_close(&o->conn, true);
}

/* ---- servers ---- */

/* Reads the request at the server's end. */
static inline void server_reads(struct seeking *w, int fd)
{
    char request[4096];
    assert_true(rig_read(&w->rig, fd, request, sizeof request) > 0);
    assert_memory_equal(request, "GET /", 5);
    assert_non_null(strstr(request, "\r\nX-Route: "));
}

/* `fields`: more lines of the answer, and what comes behind it. */
static inline void server_accepts(struct seeking *w, int fd, const char *fields)
{
    char accept[UPGRADE_ACCEPT_BYTES];
    char answer[512];
    upgrade_accept_key(http_view_of(SEEKING_KEY), accept);
    const int len = snprintf(answer, sizeof answer,
                             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: %s\r\n%s",
                             accept, fields);
    rig_write(&w->rig, fd, answer, (size_t)len);
}

static inline void server_declines(struct seeking *w, int fd, unsigned status)
{
    char answer[128];
    const int len = snprintf(answer, sizeof answer, "HTTP/1.1 %u No\r\nContent-Length: 2\r\n\r\nno", status);
    rig_write(&w->rig, fd, answer, (size_t)len);
}

/* Whether the gateway has hung up. */
static inline bool server_is_left(struct seeking *w, int fd)
{
    char rest[4096];
    int got;
    while ((got = rig_read(&w->rig, fd, rest, sizeof rest)) > 0)
        continue;
    return got != -1;
}

#endif
