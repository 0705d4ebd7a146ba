/* Connections between requests. One timer per server watches the oldest of its idle connections; what is kept is a
 * small object per connection, for the time it is idle.
 *
 * How many may be idle is not looked at in the moment they become so: of a hundred requests at a time, fifty may have
 * been answered while the next fifty are still being read, and closing connections only to make new ones is the very
 * thing this is to avoid. What is too much is closed when it has not been needed for a second. */
#include "gateway/upstream/links.h"

#include "base/mem.h"
#include "gateway/upstream/session.h"

#define LINKS_MAGIC 0x117c5e0du
#define KEPT_MAGIC  0x6e97b3a1u

struct links {
    uint32_t magic;
    uint32_t kept_count;
    struct net *net;
    struct server *server; /* borrow: ends with it */
    struct list kept;      /* the newest first */
    struct timer expiry;   /* of the oldest, or earlier */
    bool is_trimming;      /* it runs to when the first of too many is closed */
    struct list sessions;
    int64_t known_until_ms[LINKS_FACT_COUNT];
    uint32_t stream_count; /* 0: not known */
};

struct kept {
    uint32_t magic;
    struct list link;
    struct links *home;
    struct link what;
    int64_t since_ms;
};

/* What servers allow that have no reason to allow less (RFC 9113 section 6.5.2). */
#define STREAMS_USUAL 100u

#define SPARE_MS 1000

static void on_expiry(void *arg);

static struct links *links_of(struct net *n, struct server *s)
{
    if (s->links != NULL)
        return s->links;
    struct links *k;
    OBJ_NEW(k, LINKS_MAGIC);
    k->net = n;
    k->server = s;
    list_init(&k->kept);
    list_init(&k->sessions);
    timer_init(&k->expiry, n->loop, on_expiry, k);
    s->links = k;
    return k;
}

/* ---- idle connections ---- */

static struct kept *oldest(const struct links *k)
{
    return LIST_ENTRY(k->kept.prev, struct kept, link);
}

/* Off the list; its connection is the caller's. */
static struct link unkeep(struct kept *e)
{
    const struct link l = e->what;
    list_unlink(&e->link);
    e->home->kept_count--;
    OBJ_FREE(&e, KEPT_MAGIC);
    return l;
}

static void drop(struct kept *e)
{
    struct link l = unkeep(e);
    conn_close(&l.conn, false);
}

static void on_kept_data(void *arg, const uint8_t *data, size_t len)
{
    struct kept *e = arg;
    CHECK_OBJ(e, KEPT_MAGIC);
    (void)data;
    (void)len;
    drop(e);
}

static void on_kept_eof(void *arg)
{
    struct kept *e = arg;
    CHECK_OBJ(e, KEPT_MAGIC);
    drop(e);
}

static void on_kept_close(void *arg, enum err e)
{
    struct kept *k = arg;
    CHECK_OBJ(k, KEPT_MAGIC);
    (void)e;
    (void)unkeep(k);
}

static const struct conn_ops kept_ops = {.on_data = on_kept_data, .on_eof = on_kept_eof, .on_close = on_kept_close};

/* How long the oldest one may still be idle. */
static int64_t left_ms(const struct links *k)
{
    const struct conf_pool *pc = k->server->pool_conf;
    const bool is_spare = k->kept_count > pc->keepalive_count && SPARE_MS < pc->keepalive_ms;
    return oldest(k)->since_ms + (is_spare ? SPARE_MS : pc->keepalive_ms) - loop_now_ms(k->net->loop);
}

static void on_expiry(void *arg)
{
    struct links *k = arg;
    CHECK_OBJ(k, LINKS_MAGIC);
    k->is_trimming = false;
    while (k->kept_count > 0 && left_ms(k) <= 0)
        drop(oldest(k));
    if (k->kept_count > 0)
        timer_start(&k->expiry, left_ms(k));
}

bool links_take(struct server *s, int64_t idle_max_ms, struct link *l)
{
    struct links *k = s->links;
    if (k == NULL || k->kept_count == 0)
        return false;
    struct kept *newest = LIST_ENTRY(k->kept.next, struct kept, link);
    if (loop_now_ms(k->net->loop) - newest->since_ms > idle_max_ms)
        return false;
    *l = unkeep(newest);
    return true;
}

/* Whether the connection may be used again at all. */
static bool is_worth_keeping(const struct server *s, const struct link *l)
{
    const struct conf_pool *pc = s->pool_conf;
    return pc->keepalive_count > 0 && !s->is_removed && l->forgotten_count == s->forgotten_count &&
           (pc->keepalive_request_count == 0 || l->request_count < pc->keepalive_request_count);
}

void links_keep(struct net *n, struct server *s, struct link *l)
{
    if (!is_worth_keeping(s, l)) {
        conn_close(&l->conn, false);
        return;
    }
    struct links *k = links_of(n, s);
    struct kept *e;
    OBJ_NEW(e, KEPT_MAGIC);
    e->home = k;
    e->what = *l;
    e->since_ms = loop_now_ms(n->loop);
    l->conn = NULL;
    list_init(&e->link);
    list_prepend(&k->kept, &e->link);
    k->kept_count++;
    conn_set_owner(e->what.conn, &kept_ops, e);
    conn_resume(e->what.conn);
    const bool is_too_many = k->kept_count > s->pool_conf->keepalive_count;
    if (!timer_is_active(&k->expiry) || (is_too_many && !k->is_trimming)) {
        k->is_trimming = is_too_many;
        const int64_t first_ms = left_ms(k);
        timer_start(&k->expiry, first_ms > 0 ? first_ms : 0);
    }
}

/* ---- sessions and facts ---- */

struct list *links_sessions(struct net *n, struct server *s)
{
    return &links_of(n, s)->sessions;
}

void links_learn(struct net *n, struct server *s, enum links_fact f)
{
    static const char *const texts[LINKS_FACT_COUNT] = {
        [LINKS_FACT_H1_ONLY] = "server speaks HTTP/1.1 alone",
        [LINKS_FACT_NO_WEBSOCKETS] = "server takes no WebSockets over HTTP/2",
    };
    if (!links_knows(n, s, f))
        LOG_DEBUG(texts[f], KV_STR("server", s->server_conf->slot_name), KV_INT("remembered_ms", LINKS_FACT_MS));
    links_of(n, s)->known_until_ms[f] = loop_now_ms(n->loop) + LINKS_FACT_MS;
}

bool links_knows(struct net *n, const struct server *s, enum links_fact f)
{
    return s->links != NULL && loop_now_ms(n->loop) < s->links->known_until_ms[f];
}

void links_learn_streams(struct net *n, struct server *s, uint32_t count)
{
    links_of(n, s)->stream_count = count;
}

uint32_t links_streams(const struct server *s)
{
    const bool is_known = s->links != NULL && s->links->stream_count > 0;
    return is_known ? s->links->stream_count : STREAMS_USUAL;
}

void links_forget(struct server *s)
{
    struct links *k = s->links;
    s->forgotten_count++;
    if (k == NULL)
        return;
    CHECK_OBJ(k, LINKS_MAGIC);
    s->links = NULL; /* whatever the following leads to finds an empty place */
    LIST_EACH (it, &k->kept) {
        drop(LIST_ENTRY(it, struct kept, link));
    }
    while (!list_is_empty(&k->sessions))
        session_leave(session_of_link(k->sessions.next));
    timer_cancel(&k->expiry);
    OBJ_FREE(&k, LINKS_MAGIC);
}
