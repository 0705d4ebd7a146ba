/* LOOKUP: may the cache answer, with what, and if not, who asks the origin. The rules are elsewhere - the key in
 * cache/key.h, what may be done with an entry in cache/freshness.h -; here they are put to use:
 *
 *   fresh                          the answer
 *   stale, to be refreshed         the answer, and a flight that nobody waits for
 *   anything else                  the flight to the key, under way or new; what it brings is the answer
 *   the flight failed, took too    what is stale, if it may stand in
 *   long, or no origin is up
 *   not for sharing                its own request, as if there were no cache */
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "cache/freshness.h"
#include "cache/key.h"
#include "gateway/exchange/fetch.h"

#define ROUNDS_MAX 3u /* of looking again: the key has changed, or what came was outdated */
#define CLAIMS_MAX 32u
/* Behind the key of a flight: the one of those for whom the first takes too long. */
#define SECOND_MARK "+"
/* About what a checker needs to see a server come back. */
#define READ_ONLY_RETRY_S 5u

static void on_flight_end(struct flight_waiter *w, const struct flight_outcome *o);

static struct exchange *of_waiter(struct flight_waiter *w)
{
    struct exchange *x = LIST_ENTRY(w, struct exchange, cache.waiter);
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    return x;
}

static const struct conf_cache_route *rules_of(const struct exchange *x)
{
    return &x->route->cache;
}

static void count(const struct exchange *x, enum stat_route id)
{
    stat_add(&x->env->net->block->route[x->route_slot][id], 1);
}

static bool ignores(const struct exchange *x, enum conf_cache_ignore what)
{
    return (rules_of(x)->ignore >> what & 1u) != 0;
}

/* ---- is the request for the cache? ---- */

static bool is_read(const struct exchange *x)
{
    return http_view_is(x->head.method, "GET") || http_view_is(x->head.method, "HEAD");
}

static bool is_key_header(const struct conf_cache_route *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (strcmp(r->headers[i], name) == 0)
            return true;
    return false;
}

/* Other units than bytes ask for something that is not a part of a stored answer. */
static bool has_foreign_range(const struct exchange *x)
{
    const struct http_view range = http_value(&x->head, "range");
    return range.data != NULL && (range.len < 6 || !http_view_is_nocase((struct http_view){range.data, 6}, "bytes="));
}

/* NULL, or why the request goes to the origin as if there were no cache: a token for Cache-Status. */
static const char *find_obstacle(const struct exchange *x, const struct cache_control *c)
{
    const struct conf_cache_route *r = rules_of(x);
    if (!is_read(x) && !(r->post && http_view_is(x->head.method, "POST")))
        return "method";
    if (is_read(x) && x->has_body)
        return "body";
    if (c->no_store)
        return "no-store";
    if (http_count(&x->head, "authorization") > 1)
        return "authorization"; /* who knows which of them the origin believes */
    if (has_foreign_range(x))
        return "range";
    if (r->scope == CACHE_SCOPE_PUBLIC && !ignores(x, CACHE_IGNORE_COOKIE) && http_find(&x->head, "cookie") != NULL &&
        !is_key_header(r, "cookie"))
        return "cookie";
    if (r->scope == CACHE_SCOPE_CLAIMS && x->verdict.claims == NULL)
        return "no-claims";
    if (r->scope == CACHE_SCOPE_TOKEN && http_find(&x->head, "authorization") == NULL)
        return "no-token";
    return NULL;
}

static void read_control(const struct exchange *x, struct cache_control *out)
{
    static const struct cache_control nothing = {.max_age_s = -1,
                                                 .s_maxage_s = -1,
                                                 .max_stale_s = -1,
                                                 .min_fresh_s = -1,
                                                 .stale_while_revalidate_s = -1,
                                                 .stale_if_error_s = -1};
    if (ignores(x, CACHE_IGNORE_REQUEST))
        *out = nothing;
    else
        cache_control_of_request(&x->head, out);
}

/* ---- its key ---- */

/* The token that says who is asking, where that is in a field which reaches the origin. */
static struct http_view find_token(const struct exchange *x)
{
    static const char scheme[] = "bearer ";
    const size_t len = sizeof scheme - 1;
    if (rules_of(x)->scope == CACHE_SCOPE_PUBLIC)
        return (struct http_view){NULL, 0}; /* it is not for the key */
    struct http_view v = http_value(&x->head, "authorization");
    const bool is_judged = strcmp(x->route->jwt.header, "authorization") == 0;
    if (rules_of(x)->scope == CACHE_SCOPE_CLAIMS && !is_judged)
        return (struct http_view){NULL, 0};
    if (v.len > len && http_view_is_nocase((struct http_view){v.data, len}, scheme))
        v = (struct http_view){v.data + len, v.len - len};
    return v;
}

/* The key goes to the scratch of the process, and leaves room for a mark behind it. False: it cannot have one. */
static bool make_key(struct exchange *x)
{
    const struct conf_cache_route *r = rules_of(x);
    struct http_view claims[CLAIMS_MAX];
    struct cache_who who = {.token = find_token(x), .is_trusted = x->is_trusted};
    if (x->verdict.claims != NULL && r->claim_count <= CLAIMS_MAX) {
        for (size_t i = 0; i < r->claim_count; i++)
            claims[i] = token_claims_text(x->verdict.claims, r->claims[i]);
        who.claims = claims;
    }
    const struct cache_learned *l = cache_learned_of(x->env->cache, x->route_slot);
    struct strbuf *key = &x->env->key;
    strbuf_clear(key);
    const bool is_post = http_view_is(x->head.method, "POST");
    return cache_key_build(key, x->route, &x->head, x->is_tls, &who, is_post ? x->cache.body_hash : NULL) &&
           (l->len == 0 || cache_key_add_vary(key, (struct http_view){l->names, l->len}, &x->head)) &&
           key->len < CACHE_KEY_BYTES_MAX;
}

static struct http_view key_text(const struct exchange *x)
{
    return (struct http_view){x->env->key.data, x->env->key.len};
}

/* What is noted under the key with a mark behind it. */
static struct cache_entry *find_note(const struct exchange *x, const char *mark)
{
    char key[CACHE_KEY_BYTES_MAX + 1];
    const struct http_view k = key_text(x);
    memcpy(key, k.data, k.len);
    memcpy(key + k.len, mark, strlen(mark));
    return cache_find(x->env->cache, key, k.len + strlen(mark)).entry;
}

/* Whether what is stored may answer a request with an Authorization that is not in the key (RFC 9111 section 3.5). */
static bool is_for_everybody(const struct cache_entry *e)
{
    struct cache_control c;
    cache_control_of_answer(e->fields, e->field_count, &c);
    return c.is_public || c.s_maxage_s >= 0 || c.must_revalidate;
}

static bool is_immutable(const struct cache_entry *e)
{
    struct cache_control c;
    cache_control_of_answer(e->fields, e->field_count, &c);
    return c.is_immutable;
}

/* ---- ways on ---- */

static enum step go_past(struct exchange *x, enum cache_fwd fwd, const char *why)
{
    count(x, STAT_ROUTE_CACHE_BYPASSED);
    if (x->pool->pool_conf != NULL) /* it may have waited */
        x->deadline_ms = exchange_now_ms(x) + x->pool->pool_conf->failover_timeout_ms;
    x->cache.is_told = true;
    x->cache.told = (struct cache_told){.fwd = fwd, .detail = why};
    x->cache.text = "bypass";
    return STEP_PICK;
}

static enum step serve(struct exchange *x, struct cache_entry *e, enum stat_route counter, const char *text,
                       const char *detail)
{
    count(x, counter);
    const int64_t age_ms = cache_entry_age_ms(e, exchange_now_ms(x));
    x->cache.is_told = true;
    x->cache.told = (struct cache_told){
        .is_hit = true, .has_ttl = true, .ttl_s = (e->life.fresh_ms - age_ms) / 1000, .detail = detail};
    x->cache.text = text;
    return stored_deliver(x, e);
}

/* What is stored, for want of something better. NULL: nothing that may be served. Borrowed. */
static struct cache_entry *find_stand_in(struct exchange *x)
{
    struct cache_control c;
    read_control(x, &c);
    const struct cache_found found = cache_find(x->env->cache, x->env->key.data, x->env->key.len);
    if (found.entry == NULL || (x->cache.is_authorised && !is_for_everybody(found.entry)))
        return NULL;
    const struct cache_moment m = {.policy = rules_of(x)->policy,
                                   .is_purged = found.is_soft_purged,
                                   .is_origin_down = pool_is_down(x->pool, exchange_now_ms(x)),
                                   .has_failed = true,
                                   .request = &c};
    const int64_t age_ms = cache_entry_age_ms(found.entry, exchange_now_ms(x));
    return cache_judge(&found.entry->life, age_ms, &m) == CACHE_USE_FRESH ? found.entry : NULL;
}

static enum step serve_stand_in(struct exchange *x, struct cache_entry *e, const char *why)
{
    const bool is_read_only = pool_is_down(x->pool, exchange_now_ms(x));
    return serve(x, e, STAT_ROUTE_CACHE_STALE, "stale", is_read_only ? "read-only" : why);
}

/* The origin failed: what is stale, else what is known about the failure. `words`: the origin's, or NULL. */
static enum step serve_failure(struct exchange *x, struct cache_entry *words, uint16_t status, const char *reason)
{
    struct cache_entry *e = make_key(x) ? find_stand_in(x) : NULL;
    if (e != NULL)
        return serve_stand_in(x, e, "error");
    x->cache.text = "error";
    if (words == NULL || (words->field_count == 0 && words->body.len == 0))
        return deliver_own(x, status, reason);
    x->cache.told = (struct cache_told){.fwd = CACHE_FWD_URI_MISS, .fwd_status = words->status};
    return stored_deliver(x, words);
}

/* ---- waiting ---- */

static void on_patience(void *arg)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    struct cache_entry *e = make_key(x) ? find_stand_in(x) : NULL;
    if (e != NULL) {
        flight_leave(&x->cache.waiter);
        exchange_run(x, serve_stand_in(x, e, "timeout"));
        return;
    }
    if (x->cache.is_first)
        return; /* the network first, and nothing else to offer */
    const int64_t left_ms = rules_of(x)->wait_ms - rules_of(x)->timeout_ms;
    if (rules_of(x)->policy == CACHE_NETWORK_FIRST && left_ms > 0 && !x->cache.is_late) {
        x->cache.is_late = true; /* like the one it waits for; but for `wait`, as all do */
        timer_start(&x->cache.patience, left_ms);
        return;
    }
    /* Whatever holds that flight up, another one may find a better server; all who have waited share it. */
    flight_leave(&x->cache.waiter);
    x->cache.is_second = true;
    exchange_run(x, STEP_LOOKUP);
}

/* Joins the flight to the key, or begins it. */
static enum step wait_for(struct exchange *x, struct cache_entry *known, const struct cache_control *c)
{
    const enum cache_fwd fwd = known != NULL ? CACHE_FWD_STALE : CACHE_FWD_URI_MISS;
    const struct conf_cache_route *r = rules_of(x);
    const struct http_view stored_key = key_text(x);
    uint8_t who[DIGEST_SHA256_BYTES];
    char narrow[CACHE_KEY_BYTES_MAX + sizeof who + sizeof SECOND_MARK];
    struct http_view flight_key = stored_key;
    if (x->cache.is_authorised) {
        const struct http_view a = http_value(&x->head, "authorization");
        digest_sha256(a.data, a.len, who);
        memcpy(narrow, stored_key.data, stored_key.len);
        memcpy(narrow + stored_key.len, who, sizeof who);
        flight_key = (struct http_view){narrow, stored_key.len + sizeof who};
    }
    if (x->cache.is_second) {
        memmove(narrow, flight_key.data, flight_key.len);
        memcpy(narrow + flight_key.len, SECOND_MARK, sizeof SECOND_MARK);
        flight_key = (struct http_view){narrow, flight_key.len + sizeof SECOND_MARK};
    }
    struct flight *f = flight_find(x->env->cache, flight_key.data, flight_key.len);
    if (f == NULL && x->env->fetch_count >= FETCHES_MAX)
        return go_past(x, fwd, "busy");
    x->cache.is_first = f == NULL;
    x->cache.is_late = false;
    x->cache.has_waited = f != NULL;
    x->cache.told = (struct cache_told){.fwd = fwd, .is_collapsed = f != NULL};
    /* Nothing is ever stored under another key than the stored one: Redis need not be asked about it. */
    const bool is_apart = flight_key.len != stored_key.len;
    const bool wants_news = c->no_cache || c->max_age_s == 0;
    const struct fetch_start o = {.key = stored_key,
                                  .flight_key = flight_key,
                                  .known = known,
                                  .is_scoped = r->scope != CACHE_SCOPE_PUBLIC,
                                  .must_ask = is_apart || (wants_news && !pool_is_down(x->pool, exchange_now_ms(x)))};
    if (f == NULL)
        f = fetch_start(x, &o);
    if (x->cache.has_waited)
        count(x, STAT_ROUTE_CACHE_COALESCED);
    x->cache.joined = cache_purges_position(x->env->cache->purges);
    flight_wait(f, &x->cache.waiter, on_flight_end);
    if (r->policy == CACHE_NETWORK_FIRST)
        timer_start(&x->cache.patience, r->timeout_ms);
    else if (x->cache.has_waited && !x->cache.is_second) /* whose fetch has the pool's own deadlines */
        timer_start(&x->cache.patience, r->wait_ms);
    return STEP_WAIT;
}

/* What was asked for before a purge may be from before it: good enough for who was waiting then, not for who came
 * after - the one, say, whose own write it was. */
static bool is_outdated(const struct exchange *x, const struct cache_entry *e)
{
    return cache_position_compare(&x->cache.joined, &e->position) > 0 &&
           cache_purges_judge(x->env->cache->purges, e) != CACHE_NOT_PURGED;
}

static enum step look_again(struct exchange *x, enum cache_fwd fwd, const char *why)
{
    return ++x->cache.round_count < ROUNDS_MAX ? STEP_LOOKUP : go_past(x, fwd, why);
}

/* The origin was asked, for this request: what Redis had is no miss, and who looks again has not got anything yet. */
static bool was_missed(const struct exchange *x, const struct flight_outcome *o)
{
    return !x->cache.has_waited && !o->is_from_l2 && o->end != FLIGHT_AGAIN;
}

/* Behind the client's back, unless it is under way, or what came a moment ago was of no use. */
static void refresh(struct exchange *x, struct cache_entry *known)
{
    const struct http_view key = key_text(x);
    if (flight_find(x->env->cache, key.data, key.len) != NULL || find_note(x, FETCH_FAILED_MARK) != NULL ||
        find_note(x, FETCH_PASSED_MARK) != NULL || x->env->fetch_count >= FETCHES_MAX)
        return;
    const struct fetch_start o = {.key = key,
                                  .flight_key = key,
                                  .known = known,
                                  .is_scoped = rules_of(x)->scope != CACHE_SCOPE_PUBLIC,
                                  .is_refresh = true};
    (void)fetch_start(x, &o);
}

static enum step serve_and_refresh(struct exchange *x, struct cache_entry *e, const char *detail)
{
    const bool is_down = pool_is_down(x->pool, exchange_now_ms(x));
    if (!is_down && make_key(x))
        refresh(x, e);
    return serve(x, e, STAT_ROUTE_CACHE_STALE, "stale", is_down ? "read-only" : detail);
}

/* Good enough for whoever began the flight; each may wish for more. */
static enum step serve_from_l2(struct exchange *x, const struct flight_outcome *o)
{
    struct cache_control c;
    read_control(x, &c);
    const struct cache_moment m = {.policy = rules_of(x)->policy,
                                   .is_purged = o->is_soft_purged,
                                   .is_immutable = c.max_age_s >= 0 && is_immutable(o->entry),
                                   .request = &c};
    const enum cache_use use = cache_judge(&o->entry->life, cache_entry_age_ms(o->entry, exchange_now_ms(x)), &m);
    if (use == CACHE_USE_FRESH)
        return serve(x, o->entry, STAT_ROUTE_CACHE_L2, "l2", "l2");
    if (use == CACHE_USE_REFRESH)
        return serve_and_refresh(x, o->entry, "l2");
    return look_again(x, CACHE_FWD_STALE, "request");
}

static void on_flight_end(struct flight_waiter *w, const struct flight_outcome *o)
{
    struct exchange *x = of_waiter(w);
    timer_cancel(&x->cache.patience);
    x->cache.is_told = true;
    if (was_missed(x, o))
        count(x, STAT_ROUTE_CACHE_MISSES);
    if (o->by != NULL && !x->cache.has_waited)
        fetch_credit(o->by, x);
    switch (o->end) {
    case FLIGHT_ENTRY:
        if (o->is_from_l2) {
            exchange_run(x, serve_from_l2(x, o));
            return;
        }
        if (is_outdated(x, o->entry)) {
            exchange_run(x, look_again(x, CACHE_FWD_MISS, "purged"));
            return;
        }
        x->cache.told.is_stored = !x->cache.has_waited;
        x->cache.text = x->cache.has_waited ? "coalesced" : "miss";
        exchange_run(x, stored_deliver(x, o->entry));
        return;
    case FLIGHT_PASS:
        exchange_run(x, go_past(x, CACHE_FWD_MISS, "not-shared"));
        return;
    case FLIGHT_AGAIN:
        exchange_run(x, look_again(x, CACHE_FWD_VARY_MISS, "vary"));
        return;
    case FLIGHT_FAILED:
        exchange_run(x, serve_failure(x, o->entry, o->status, o->reason));
        return;
    }
}

struct exchange *lookup_take_reader(struct flight_waiter *w, struct fetch *f, const char *why)
{
    struct exchange *x = of_waiter(w);
    timer_cancel(&x->cache.patience);
    if (!x->cache.has_waited)
        count(x, STAT_ROUTE_CACHE_MISSES);
    x->cache.pipe = f;
    fetch_credit(f, x);
    x->cache.is_told = true;
    x->cache.told.detail = why;
    x->cache.text = "pass";
    return x;
}

/* ---- the step ---- */

/* Not fresh, or not there. */
static enum step look_further(struct exchange *x, struct cache_entry *known, const struct cache_control *c)
{
    if (c->only_if_cached) {
        x->cache.is_told = true;
        x->cache.told = (struct cache_told){.detail = "only-if-cached"};
        x->cache.text = "absent";
        return deliver_own(x, 504, "not in the cache");
    }
    const bool is_down = pool_is_down(x->pool, exchange_now_ms(x));
    struct cache_entry *e = is_down ? find_stand_in(x) : NULL;
    if (e != NULL)
        return serve_stand_in(x, e, "");
    struct cache_entry *note = find_note(x, FETCH_FAILED_MARK);
    if (note != NULL) {
        x->cache.is_told = true;
        cache_entry_ref(note);
        enum step next = serve_failure(x, note, note->status, "the origin failed a moment ago");
        cache_entry_unref(&note);
        return next;
    }
    if (find_note(x, FETCH_PASSED_MARK) != NULL)
        return go_past(x, CACHE_FWD_MISS, "not-shared");
    if (is_down && !l2_is_ready(x->env->cache->l2)) /* nobody has it, and nobody is to be asked */
        return go_past(x, CACHE_FWD_MISS, "read-only");
    return wait_for(x, known, c);
}

static enum step look(struct exchange *x, const struct cache_control *c)
{
    struct cache *cache = x->env->cache;
    if (!make_key(x))
        return go_past(x, CACHE_FWD_BYPASS, "key");
    const struct cache_found found = cache_find(cache, x->env->key.data, x->env->key.len);
    struct cache_entry *e = found.entry;
    if (e != NULL && x->cache.is_authorised && !is_for_everybody(e))
        e = NULL;
    if (e == NULL)
        return look_further(x, NULL, c);
    const struct cache_moment m = {.policy = rules_of(x)->policy,
                                   .is_purged = found.is_soft_purged,
                                   .is_immutable = c->max_age_s >= 0 && is_immutable(e),
                                   .request = c};
    const enum cache_use use = cache_judge(&e->life, cache_entry_age_ms(e, exchange_now_ms(x)), &m);
    if (use == CACHE_USE_FRESH)
        return serve(x, e, STAT_ROUTE_CACHE_HITS, "hit", NULL);
    cache_entry_ref(e); /* what follows may put it out of memory */
    enum step next;
    if (use == CACHE_USE_REFRESH) {
        next = serve_and_refresh(x, e, NULL);
    } else {
        next = look_further(x, e, c);
    }
    cache_entry_unref(&e);
    return next;
}

/* A write that no server is there for is told so at once, and how long it may take. */
static enum step refuse_write(struct exchange *x)
{
    struct answer a = {.status = 503, .error = "read-only: no server is up", .retry_after_s = READ_ONLY_RETRY_S};
    x->cache.is_told = true;
    x->cache.told = (struct cache_told){.fwd = CACHE_FWD_METHOD, .detail = "read-only"};
    x->cache.text = "read-only";
    return deliver_answer(x, &a, "read-only");
}

enum step step_lookup(struct exchange *x)
{
    const struct conf_cache_route *r = rules_of(x);
    struct cache_control c;
    if (r->policy == CACHE_OFF || x->is_websocket)
        return STEP_PICK;
    if (!x->cache.is_for_cache)
        timer_init(&x->cache.patience, x->env->net->loop, on_patience, x);
    x->cache.is_for_cache = true;
    read_control(x, &c);
    const char *why = find_obstacle(x, &c);
    if (why != NULL && !is_read(x) && r->down_ms > 0 && pool_is_down(x->pool, exchange_now_ms(x)))
        return refuse_write(x);
    if (why != NULL)
        return go_past(x, is_read(x) ? CACHE_FWD_BYPASS : CACHE_FWD_METHOD, why);
    x->cache.is_authorised = r->scope == CACHE_SCOPE_PUBLIC && !ignores(x, CACHE_IGNORE_AUTHORIZATION) &&
                             http_find(&x->head, "authorization") != NULL;
    if (!x->has_body || x->is_body_over)
        return look(x, &c);
    replay_fini(&x->replay);
    replay_init(&x->replay, r->body_bytes + NET_SCRATCH_BYTES);
    x->cache.is_gathering = true;
    x->ops->want_body(x->arg, true);
    return STEP_WAIT;
}

void lookup_body(struct exchange *x, const uint8_t *data, size_t len)
{
    replay_add(&x->replay, data, len);
    if (x->body_bytes <= rules_of(x)->body_bytes && !x->replay.is_lost)
        return;
    /* What has come is sent on from where it is kept. */
    x->cache.is_gathering = false;
    x->ops->want_body(x->arg, false);
    if (x->replay.is_lost)
        (void)deliver_own(x, 413, "body too long");
    else
        exchange_run(x, go_past(x, CACHE_FWD_BYPASS, "body"));
}

void lookup_body_end(struct exchange *x)
{
    x->cache.is_gathering = false;
    digest_sha256(x->replay.kept.data, x->replay.kept.len, x->cache.body_hash);
    exchange_run(x, STEP_LOOKUP);
}

void lookup_fini(struct exchange *x)
{
    struct lookup *l = &x->cache;
    flight_leave(&l->waiter);
    if (l->is_for_cache)
        timer_cancel(&l->patience);
    if (l->pipe != NULL)
        fetch_reader_gone(l->pipe);
    if (l->entry != NULL)
        cache_entry_unref(&l->entry);
    if (l->server != NULL)
        server_unref(&l->server);
}

/* ---- warming ---- */

bool lookup_warm(struct exchange *x, bool is_first)
{
    if (!make_key(x))
        return false;
    struct cache *cache = x->env->cache;
    const struct http_view key = key_text(x);
    struct cache_found found = cache_memory_peek(cache->memory, key.data, key.len);
    if (found.entry == NULL) {
        if (is_first)
            refresh(x, NULL);
        return false;
    }
    /* In time, so that nobody meets it stale. */
    const int64_t left_ms = found.entry->life.fresh_ms - cache_entry_age_ms(found.entry, exchange_now_ms(x));
    if (left_ms < found.entry->life.fresh_ms / 5 && cache_memory_take_uses(cache->memory, key.data, key.len) > 0) {
        cache_entry_ref(found.entry);
        refresh(x, found.entry);
        cache_entry_unref(&found.entry);
    }
    return true;
}
