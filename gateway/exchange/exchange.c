/* The walk of one request:
 *
 *   ROUTE   the route by host and path                         400, 404, the public health text
 *   RULES   maintenance, and what the route demands            204, 401, 403, 405, 429, 503
 *   ADMIT   handshake or plain request, the limits             400, 405, 413, 426, 429, 503
 *   LOOKUP  what the cache has, or somebody is fetching         the answer
 *   PICK    the next server not tried yet                      502, 503, 504
 *   CALL    waits for the server's answer; then the answer goes to the client, or the WebSocket becomes a tunnel
 *
 * A step returns the next one, or WAIT when a callback will go on. What fails before an answer has begun is tried on
 * the next server, if repeating it is safe (attempt.c). */
#include <endian.h>
#include <sys/random.h>

#include "base/mem.h"
#include "gateway/exchange/exchange_priv.h"
#include "gateway/exchange/fetch.h"
#include "gateway/http/upgrade.h"
#include "gateway/rules/access.h"

/* An exchange is too large for what malloc(3) keeps at hand: the memory of a few is kept. Not from a sanitizer, which
 * is to see who looks at one that is gone. */
#if defined(__has_feature) /* clang */
#define IS_SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/* ---- the walk ---- */

typedef enum step step_fn(struct exchange *x);
static step_fn *const steps[STEP_COUNT] = {
    [STEP_ROUTE] = step_route,   [STEP_RULES] = step_rules, [STEP_ADMIT] = step_admit,
    [STEP_LOOKUP] = step_lookup, [STEP_PICK] = step_pick,   [STEP_CALL] = step_call,
};

void exchange_run(struct exchange *x, enum step step)
{
    while (step < STEP_COUNT)
        step = steps[step](x);
}

struct http_view exchange_id(const struct exchange *x)
{
    return (struct http_view){x->id, strlen(x->id)};
}

int64_t exchange_now_ms(const struct exchange *x)
{
    return loop_now_ms(x->env->net->loop);
}

/* ---- life ---- */

/* The lowest bytes of `n`; what is behind their digits. */
static char *put_hex(char *out, uint64_t n, size_t byte_count)
{
    uint8_t bytes[sizeof n];
    const uint64_t from_highest = htobe64(n);
    memcpy(bytes, &from_highest, sizeof bytes);
    return hex_text(bytes + sizeof bytes - byte_count, byte_count, out);
}

void exchange_set_id(struct exchange *x)
{
    char fresh[FORWARD_ID_BYTES + 1];
    const uint64_t count = ++x->env->id_count;
    char *end = put_hex(put_hex(fresh, x->env->id_seed, 8), count, count >> 32 == 0 ? 4 : 8);
    *end = '\0';
    struct http_view id = forward_request_id(&x->head, x->is_trusted, fresh);
    memcpy(x->id, id.data, id.len);
    x->id[id.len] = '\0';
}

/* One system call serves forty traces. */
static const uint8_t *draw_random(struct exchange_env *env)
{
    if (env->random_left < TRACE_RANDOM_BYTES) {
        ssize_t got = getrandom(env->random, sizeof env->random, 0);
        ASSERT(got == (ssize_t)sizeof env->random);
        env->random_left = sizeof env->random;
    }
    env->random_left -= TRACE_RANDOM_BYTES;
    return env->random + env->random_left;
}

static void begin_trace(struct exchange *x)
{
    static const uint8_t unused[TRACE_RANDOM_BYTES];
    const struct conf *c = x->conf;
    struct trace_policy p = {.mode = c->trace.mode,
                             .is_believed = c->trace.from == TRACE_FROM_ANYONE || x->is_trusted,
                             .sample_percent = c->trace.sample_percent};
    const bool has_use = p.mode == TRACE_START || http_find(&x->head, "traceparent") != NULL;
    trace_begin(&x->trace, &x->head, &p, has_use ? draw_random(x->env) : unused);
}

/* Methods of which twice is as good as once (RFC 9110 section 9.2.2). A POST may say so itself, where its route
 * believes it. */
static bool is_repeatable(const struct exchange *x)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (http_view_is(x->head.method, methods[i]))
            return true;
    return x->is_websocket;
}

void exchange_env_init(struct exchange_env *env)
{
    list_init(&env->fetches);
    strbuf_init(&env->key, CACHE_KEY_BYTES_MAX);
    env->spare_count = 0;
}

void exchange_env_fini(struct exchange_env *env)
{
    fetch_cancel_all(env);
    strbuf_fini(&env->key);
    while (env->spare_count > 0)
        mem_free(env->spare[--env->spare_count]);
}

static struct exchange *take_memory(struct exchange_env *env)
{
    struct exchange *x;
    if (env->spare_count == 0) {
        OBJ_NEW_UP_TO(x, EXCHANGE_MAGIC, verdict.add);
        return x;
    }
    x = env->spare[--env->spare_count];
    OBJ_AGAIN_UP_TO(x, EXCHANGE_MAGIC, verdict.add);
    return x;
}

static void give_memory_back(struct exchange_env *env, struct exchange *x)
{
    if (IS_SANITIZED || env->spare_count == EXCHANGE_SPARES) {
        OBJ_FREE(&x, EXCHANGE_MAGIC);
        return;
    }
    x->magic = 0;
    env->spare[env->spare_count++] = x;
}

void exchange_start(struct exchange_env *env, const struct exchange_start *o, struct exchange **ep)
{
    struct exchange *x = take_memory(env);
    x->env = env;
    x->self = ep;
    x->ops = o->ops;
    x->arg = o->arg;
    x->wire = o->wire;
    x->conf = conf_ref(env->conf);
    x->head_copy = http_head_copy(&x->head, o->head);
    x->has_body = o->has_body;
    x->is_body_over = !o->has_body;
    x->start_ms = o->begun_ms;
    x->last_status = 502;
    x->is_tls = conn_tls(o->wire) != NULL;
    conn_peer(o->wire, &x->peer);
    (void)addr_ip_text(&x->peer, x->peer_ip, sizeof x->peer_ip);
    access_client(x->conf, &x->head, &x->peer, &x->client);
    if (addr_equal(&x->client, &x->peer))
        memcpy(x->client_ip, x->peer_ip, sizeof x->client_ip);
    else
        (void)addr_ip_text(&x->client, x->client_ip, sizeof x->client_ip);
    x->is_trusted = conf_is_trusted(x->conf, &x->peer);
    x->is_websocket = upgrade_is_wanted(&x->head);
    x->is_repeatable = is_repeatable(x);
    pick_init(&x->pick);
    exchange_set_id(x);
    begin_trace(x);
    *ep = x;
    exchange_run(x, STEP_ROUTE);
}

void exchange_free(struct exchange *x)
{
    lookup_fini(x);
    if (x->call != NULL)
        call_cancel(&x->call);
    if (x->pick.server != NULL)
        pick_end(&x->pick, OUTCOME_CANCELLED, exchange_now_ms(x));
    if (x->server != NULL)
        server_request_ended(&x->server);
    if (x->has_seat)
        seat_leave_on_route(x->env->net, &x->seat);
    if (x->has_place)
        stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_WS_OPEN], -1);
    if (x->pool != NULL)
        pool_unref(&x->pool);
    rules_verdict_fini(&x->verdict);
    replay_fini(&x->replay);
    slice_release(&x->head_copy);
    conf_unref(&x->conf);
    *x->self = NULL;
    give_memory_back(x->env, x);
}

void exchange_cancel(struct exchange **ep, uint16_t status)
{
    struct exchange *x = *ep;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    if (x->call != NULL && x->status == 0)
        lookup_may_have_written(x);
    deliver_log(x, status, status == 499 ? "client gone" : status == 408 ? "client too slow" : "bad body");
    exchange_free(x);
}

/* ---- the body of the request ---- */

bool exchange_is_calling(struct exchange *const *self, const struct exchange *x, const struct call *c)
{
    return *self == x && x->call == c;
}

void exchange_body(struct exchange *x, const uint8_t *data, size_t len)
{
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    ASSERT((x->call != NULL || x->cache.is_gathering) && !x->is_body_over);
    x->body_bytes += len;
    if (admit_body_is_too_long(x, x->body_bytes)) {
        if (x->status == 0)
            (void)deliver_own(x, 413, "body too long");
        else
            deliver_broken(x, "body too long");
        return;
    }
    if (x->cache.is_gathering) {
        lookup_body(x, data, len);
        return;
    }
    struct exchange **self = x->self;
    struct call *c = x->call;
    replay_add(&x->replay, data, len);
    call_write(c, data, len);
    if (exchange_is_calling(self, x, c) && call_is_full(c))
        x->ops->want_body(x->arg, false);
}

void exchange_body_end(struct exchange *x)
{
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    ASSERT((x->call != NULL || x->cache.is_gathering) && !x->is_body_over);
    x->is_body_over = true;
    if (x->cache.is_gathering)
        lookup_body_end(x);
    else if (x->is_call_ready) /* else it is told when it is: the last piece may have begun another attempt */
        call_end_body(x->call);
}

/* ---- the client ---- */

void exchange_client_drained(struct exchange *x)
{
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    if (x->cache.entry != NULL)
        stored_drained(x);
    else if (x->cache.pipe != NULL)
        fetch_reader_drained(x->cache.pipe);
    else if (x->call != NULL)
        call_resume(x->call);
}

bool exchange_is_answering(const struct exchange *x)
{
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    return x->status != 0;
}
