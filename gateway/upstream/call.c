/* Calls: which way they take, how long they may take, and how they end. The engines do the travelling.
 *
 * The hard part is that the user may end a call in any of its callbacks. So a call that is over lets go of everything
 * at once (no callback comes any more) but keeps its memory until the end of the pass, and whoever has called back
 * looks at is_over before it goes on. The other one is the timer: bytes that move must cost nothing, so they only leave
 * their time, and the timer, when it fires, finds out whether it is time yet. */
#include "gateway/upstream/call.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/mem.h"
#include "gateway/upstream/call_priv.h"

#define DETAIL_BYTES 128u
/* Of a request's body while there is no connection for it: what one read brought, for then the call is full. */
#define BODY_BYTES (256u * 1024u)

static const char *const phase_texts[CALL_PHASE_COUNT] = {
    [CALL_RESOLVE] = "resolve", [CALL_CONNECT] = "connect", [CALL_REQUEST] = "request",
    [CALL_ANSWER] = "answer",   [CALL_BODY] = "body",
};

const char *call_phase_text(enum call_phase p)
{
    ASSERT((unsigned)p < CALL_PHASE_COUNT);
    return phase_texts[p];
}

/* ---- the end ---- */

static void on_reap(void *arg)
{
    struct call *c = arg;
    slice_release(&c->head_text);
    OBJ_FREE(&c, CALL_MAGIC);
}

/* Nothing comes from it any more. The server goes last: with it, its links may. */
static void let_go(struct call *c)
{
    ASSERT(!c->is_over);
    c->is_over = true;
    timer_cancel(&c->timer);
    later_cancel(&c->news);
    strbuf_fini(&c->body);
    c->engine->release(c);
    later_post(&c->reap);
    server_unref(&c->server);
}

void call_finish(struct call *c)
{
    let_go(c);
    c->ops->on_end(c->arg);
}

static void fail(struct call *c, enum err e, const char *detail, bool is_unprocessed, bool is_cut_short)
{
    char text[DETAIL_BYTES]; /* what says it may be let go of */
    const struct call_failure f = {.error = e,
                                   .phase = c->phase,
                                   .is_cut_short = is_cut_short,
                                   .is_unprocessed = is_unprocessed || c->phase <= CALL_CONNECT,
                                   .detail = text};
    (void)snprintf(text, sizeof text, "%s", detail);
    let_go(c);
    c->ops->on_failed(c->arg, &f);
}

void call_fail(struct call *c, enum err e, const char *detail, bool is_unprocessed)
{
    fail(c, e, detail, is_unprocessed, false);
}

void call_fail_later(struct call *c, enum err e, const char *detail)
{
    c->early_error = e;
    c->early_detail = detail;
    later_post(&c->news);
}

void call_cancel(struct call **cp)
{
    struct call *c = *cp;
    CHECK_OBJ(c, CALL_MAGIC);
    *cp = NULL;
    let_go(c);
}

/* ---- deadlines ---- */

/* Whether the server is the one who is waited for, while bodies are under way. */
static bool is_servers_turn(const struct call *c)
{
    if (c->phase == CALL_BODY && c->is_paused)
        return false;
    if (c->engine->is_full(c) && !c->is_body_ended && !c->is_body_unwanted)
        return true;
    return c->phase == CALL_BODY && (c->is_body_ended || c->is_body_unwanted);
}

/* When the attempt's own patience ends. */
static int64_t attempt_due_ms(const struct call *c)
{
    const struct conf_pool *pc = c->server->pool_conf;
    switch (c->phase) {
    case CALL_RESOLVE:
    case CALL_CONNECT:
        return c->since_ms + pc->connect_timeout_ms;
    case CALL_ANSWER:
        return c->since_ms + (c->is_websocket ? pc->upgrade_timeout_ms : pc->first_byte_timeout_ms);
    case CALL_REQUEST:
    case CALL_BODY:
        return is_servers_turn(c) ? c->moved_ms + pc->between_bytes_timeout_ms : INT64_MAX;
    case CALL_PHASE_COUNT:
        break;
    }
    return INT64_MAX;
}

static int64_t users_due_ms(const struct call *c)
{
    return c->phase < CALL_BODY && c->deadline_ms < c->whole_ms ? c->deadline_ms : c->whole_ms;
}

static int64_t due_ms(const struct call *c)
{
    const int64_t own_ms = attempt_due_ms(c), users_ms = users_due_ms(c);
    return own_ms < users_ms ? own_ms : users_ms;
}

void call_watch(struct call *c)
{
    const int64_t due = due_ms(c);
    if (c->is_over || due == INT64_MAX || (timer_is_active(&c->timer) && c->timer_due_ms <= due))
        return;
    const int64_t left_ms = due - loop_now_ms(c->net->loop);
    c->timer_due_ms = due;
    timer_start(&c->timer, left_ms > 0 ? left_ms : 0);
}

static void on_timer(void *arg)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    if (loop_now_ms(c->net->loop) < due_ms(c))
        call_watch(c);
    else
        fail(c, ERR_TIMEOUT, "", false, users_due_ms(c) < attempt_due_ms(c));
}

void call_set_phase(struct call *c, enum call_phase p)
{
    c->phase = p;
    c->since_ms = loop_now_ms(c->net->loop);
    c->moved_ms = c->since_ms;
    call_watch(c);
}

/* ---- the answer ---- */

/* With what the user has said before it could know that this is the second connection. */
static void go_on(struct call *c)
{
    if (c->body.len > 0) {
        c->engine->write(c, (const uint8_t *)c->body.data, c->body.len);
        strbuf_fini(&c->body);
    }
    if (c->is_over)
        return;
    if (c->is_body_ended)
        c->engine->end_body(c);
    else
        call_has_room(c);
}

void call_sent_head(struct call *c)
{
    call_set_phase(c, c->is_body_ended ? CALL_ANSWER : CALL_REQUEST);
    if (c->has_body && c->is_ready_told)
        go_on(c);
    else if (c->has_body)
        later_post(&c->news);
}

static void on_news(void *arg)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    if (c->early_error != ERR_NONE) {
        call_fail(c, c->early_error, c->early_detail, true);
        return;
    }
    c->is_ready_told = true;
    c->ops->on_ready(c->arg);
}

void call_has_room(struct call *c)
{
    call_moved(c);
    if (c->is_drain_owed && !call_is_full(c)) {
        c->is_drain_owed = false;
        if (!c->is_body_ended && c->ops->on_drain != NULL)
            c->ops->on_drain(c->arg);
    }
    if (!c->is_over)
        call_watch(c);
}

bool call_answer(struct call *c, const struct http_head *h, bool has_body, bool is_persistent)
{
    /* A server that refuses a request, or is about to hang up, does not read the rest of it. Writing on would make the
     * kernel reset the connection, and the answer might be lost with it. */
    c->is_body_unwanted = !c->is_body_ended && (h->status >= 300 || !is_persistent);
    if (c->is_body_unwanted)
        later_cancel(&c->news);
    call_set_phase(c, CALL_BODY);
    c->ops->on_head(c->arg, h, has_body);
    if (!c->is_over)
        call_watch(c);
    return !c->is_over;
}

/* The head of an acceptance without what belongs to its way. */
static void clean_joined(struct http_head *to, const struct http_head *h)
{
    static const char *const dropped[] = {"upgrade", "sec-websocket-accept"};
    http_head_borrow(to, h);
    to->status = 101;
    to->content_length = -1;
    to->reason = (struct http_view){0};
    to->field_count = 0;
    to->names = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (!http_view_is_any(h->fields[i].name, dropped, sizeof dropped / sizeof dropped[0]))
            (void)http_head_add(to, h->fields[i].name, h->fields[i].value);
    }
}

void call_join(struct call *c, const struct http_head *h, struct conn *conn, const uint8_t *rest, size_t rest_bytes)
{
    struct http_head head;
    clean_joined(&head, h);
    const bool is_to_its_key = h->major_version == 1 && c->key.data != c->made_key;
    const struct call_joined j = {.head = &head,
                                  .accept =
                                      is_to_its_key ? http_value(h, "sec-websocket-accept") : (struct http_view){0},
                                  .conn = conn,
                                  .rest = rest,
                                  .rest_bytes = rest_bytes};
    let_go(c);
    c->ops->on_joined(c->arg, &j);
}

/* ---- ways ---- */

static const struct call_engine *way_of(const struct call *c)
{
    const bool is_tls = c->server->server_conf->url.is_tls;
    if (c->over == OVER_H1 || (c->is_websocket && links_knows(c->net, c->server, LINKS_FACT_NO_WEBSOCKETS)))
        return &call_h1;
    if (c->over == OVER_H2)
        return &call_h2;
    return is_tls && !links_knows(c->net, c->server, LINKS_FACT_H1_ONLY) ? &call_h2 : &call_h1;
}

static void begin(struct call *c, const struct call_engine *e)
{
    c->engine = e;
    later_cancel(&c->news);              /* of a connection that is gone */
    c->is_drain_owed = c->is_ready_told; /* full until there is a connection */
    call_set_phase(c, CALL_CONNECT);
    e->start(c);
}

void call_fall_back(struct call *c)
{
    c->engine->release(c);
    begin(c, &call_h1);
}

bool call_replace(struct call *c, bool is_unprocessed)
{
    if (c->is_replaced || c->is_body_begun || !(is_unprocessed || c->is_repeatable))
        return false;
    c->is_replaced = true;
    c->engine->release(c);
    begin(c, c->engine);
    return true;
}

/* What the configuration wants for this request. A WebSocket without a wish of its own goes as the pool does. */
static enum conf_over over_of(const struct call_start *o)
{
    const enum conf_over pools = o->server->pool_conf->http;
    return o->websocket == CALL_WEBSOCKET && o->over != OVER_AUTO ? o->over : pools;
}

static void take_key(struct call *c)
{
    uint8_t random[16];
    c->key = http_value(&c->head, "sec-websocket-key");
    if (!c->is_websocket || c->key.data != NULL)
        return;
    const ssize_t got = getrandom(random, sizeof random, 0);
    ASSERT(got == (ssize_t)sizeof random);
    upgrade_make_key(random, c->made_key);
    c->key = http_view_of(c->made_key);
}

struct call *call_start(struct net *n, const struct call_start *o)
{
    const int64_t now_ms = loop_now_ms(n->loop), whole_ms = o->server->pool_conf->request_timeout_ms;
    struct call *c;
    ASSERT(!(o->has_body && o->websocket == CALL_WEBSOCKET));
    OBJ_NEW_UP_TO(c, CALL_MAGIC, head);
    c->net = n;
    c->server = server_ref(o->server);
    c->ops = o->ops;
    c->arg = o->arg;
    c->head_text = http_head_copy(&c->head, o->head);
    c->has_body = o->has_body;
    c->is_body_ended = !o->has_body;
    c->is_websocket = o->websocket == CALL_WEBSOCKET;
    c->is_repeatable = o->is_repeatable || c->is_websocket;
    c->over = over_of(o);
    c->deadline_ms = o->deadline_ms != 0 ? o->deadline_ms : INT64_MAX;
    c->whole_ms = whole_ms == 0 || c->is_websocket ? INT64_MAX : (o->begun_ms != 0 ? o->begun_ms : now_ms) + whole_ms;
    take_key(c);
    strbuf_init(&c->body, BODY_BYTES);
    later_init(&c->reap, n->loop, on_reap, c);
    later_init(&c->news, n->loop, on_news, c);
    timer_init(&c->timer, n->loop, on_timer, c);
    begin(c, way_of(c));
    return c;
}

/* ---- the user's side ---- */

void call_write(struct call *c, const uint8_t *data, size_t len)
{
    CHECK_OBJ(c, CALL_MAGIC);
    ASSERT(!c->is_over && c->is_ready_told && !c->is_body_ended);
    if (len == 0 || c->is_body_unwanted)
        return;
    const bool was_full = c->engine->is_full(c);
    c->is_body_begun = true;
    if (c->phase >= CALL_REQUEST)
        c->engine->write(c, data, len);
    else
        strbuf_add(&c->body, data, len);
    if (c->body.failed)
        call_fail(c, ERR_LIMIT, "request body came too early", true);
    if (c->is_over)
        return;
    if (c->engine->is_full(c))
        c->is_drain_owed = true;
    if (!was_full)
        call_moved(c); /* also when it is full now: from here on it is the server's turn */
    call_watch(c);
}

void call_end_body(struct call *c)
{
    CHECK_OBJ(c, CALL_MAGIC);
    ASSERT(!c->is_over && c->is_ready_told && !c->is_body_ended);
    c->is_body_ended = true;
    if (!c->is_body_unwanted && c->phase >= CALL_REQUEST)
        c->engine->end_body(c);
    if (c->is_over)
        return;
    call_moved(c);
    if (c->phase == CALL_REQUEST)
        call_set_phase(c, CALL_ANSWER);
    else
        call_watch(c);
}

bool call_is_full(const struct call *c)
{
    CHECK_OBJ(c, CALL_MAGIC);
    return c->is_body_unwanted || c->engine->is_full(c);
}

void call_pause(struct call *c)
{
    CHECK_OBJ(c, CALL_MAGIC);
    ASSERT(!c->is_over);
    c->is_paused = true;
    c->engine->pause(c);
}

void call_resume(struct call *c)
{
    CHECK_OBJ(c, CALL_MAGIC);
    ASSERT(!c->is_over);
    if (!c->is_paused)
        return;
    c->is_paused = false;
    call_moved(c);
    c->engine->resume(c);
    call_watch(c);
}

void call_forget_server(struct server *s)
{
    CHECK_OBJ(s, SERVER_MAGIC);
    links_forget(s);
}
