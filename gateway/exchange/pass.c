/* Passing a body on: the decoder only finds its end, the bytes go as they are. */
#include "gateway/exchange/pass.h"

#include "base/mem.h"

#define PASS_MAGIC 0x9a55b0d7u

struct pass {
    uint32_t magic;
    struct conn *client; /* borrow: the owner cancels before it goes */
    struct conn *server;
    struct h1_body body;
    struct timer limit;
    pass_fn *fn;
    void *arg;
};

static void pass_free(struct pass *p)
{
    timer_cancel(&p->limit);
    if (p->server != NULL)
        conn_close(&p->server, false);
    OBJ_FREE(&p, PASS_MAGIC);
}

static void done(struct pass *p, bool is_complete)
{
    pass_fn *fn = p->fn;
    void *arg = p->arg;
    pass_free(p);
    fn(arg, is_complete);
}

/* False once the pass is over, and gone. */
static bool feed(struct pass *p, const uint8_t *data, size_t len)
{
    enum h1_result result = p->body.kind == H1_BODY_NONE ? H1_DONE : H1_MORE;
    size_t passed = 0;
    while (result == H1_MORE && passed < len) {
        size_t used = 0;
        struct http_view content;
        result = h1_body_feed(&p->body, data + passed, len - passed, &used, &content);
        passed += used;
    }
    conn_write(p->client, data, passed);
    if (result != H1_MORE) {
        done(p, result == H1_DONE);
        return false;
    }
    return true;
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct pass *p = arg;
    CHECK_OBJ(p, PASS_MAGIC);
    if (feed(p, data, len) && conn_is_full(p->client))
        conn_pause(p->server);
}

static void on_eof(void *arg)
{
    struct pass *p = arg;
    CHECK_OBJ(p, PASS_MAGIC);
    done(p, h1_body_may_end(&p->body));
}

static void on_close(void *arg, enum err e)
{
    struct pass *p = arg;
    CHECK_OBJ(p, PASS_MAGIC);
    (void)e;
    p->server = NULL;
    done(p, false);
}

static const struct conn_ops server_ops = {.on_data = on_data, .on_eof = on_eof, .on_close = on_close};

static void on_limit(void *arg)
{
    done(arg, false);
}

void pass_start(struct net *n, struct conn *client, struct conn *server, const struct h1_body *body,
                const uint8_t *rest, size_t rest_bytes, pass_fn *fn, void *arg, struct pass **pp)
{
    struct pass *p;
    OBJ_NEW(p, PASS_MAGIC);
    p->client = client;
    p->server = server;
    p->body = *body;
    p->fn = fn;
    p->arg = arg;
    timer_init(&p->limit, n->loop, on_limit, p);
    timer_start(&p->limit, PASS_LIMIT_MS);
    conn_set_owner(server, &server_ops, p);
    *pp = p;
    if (feed(p, rest, rest_bytes))
        conn_resume(server);
}

void pass_client_drained(struct pass *p)
{
    CHECK_OBJ(p, PASS_MAGIC);
    conn_resume(p->server);
}

void pass_cancel(struct pass **pp)
{
    CHECK_OBJ(*pp, PASS_MAGIC);
    pass_free(*pp);
    *pp = NULL;
}
