/* The hard part is that everything here happens inside calls of others: of the exchange that asks, of those that wait.
 * So the exchange that asks is begun and given up at the end of a pass only, and once the flight has ended nobody but a
 * reader is told anything. */
#include "gateway/exchange/fetch.h"

#include <string.h>

#include "base/mem.h"
#include "cache/freshness.h"
#include "cache/key.h"
#include "cache/serve.h"
#include "cache/tags.h"
#include "gateway/exchange/inner.h"
#include "gateway/http/date.h"

#define FETCH_MAGIC 0x5fe7c9a3u

/* An answer that was not for storing may be so the next time; until then requests for it do not wait for each other. */
#define PASS_MS 10000

enum fetch_state {
    FETCH_WAITING = 0, /* for the flight to want it, and then for the head of the answer */
    FETCH_COLLECTING,
    FETCH_READING, /* `reader` gets it as it comes */
    FETCH_DROPPING /* nobody wants what comes */
};

struct fetch {
    uint32_t magic;
    enum fetch_state state;
    /* set at the start */
    struct exchange_env *env;
    struct list link; /* in env->fetches */
    struct conf *conf;
    const struct conf_route *route;
    int route_slot;
    bool is_scoped;
    bool is_narrow;   /* not everybody who has the key may have this, ... */
    bool is_personal; /* ... and that may include those who wait */
    struct slice key;
    struct slice asked; /* what the next three look into */
    struct http_view host, path, query;
    struct cache_entry *known; /* what a 304 would renew; NULL: nothing */

    struct flight *flight;   /* NULL once it is over */
    struct exchange *inner;  /* what asks; NULL once it is over */
    struct exchange *reader; /* with FETCH_READING */
    struct later work;
    bool is_wanted;      /* the flight said so, and the origin was not asked yet */
    uint32_t vary_bytes; /* of what was known to tell answers apart when the key was made */

    /* the answer */
    int64_t asked_ms;
    int64_t born_ms;       /* of an answer, by its head: the body may take its time */
    struct server *server; /* a reference; NULL: none has answered */
    uint32_t attempt_count;
    struct cache_position position;
    struct cache_storing storing;
    bool is_renewal; /* a 304 for `known` */
    bool is_error;   /* 5xx: told to those who wait, and remembered for a moment */
    struct strbuf body;
    size_t collected_bytes; /* what it counts for in env */
    struct slice head_copy;
    struct http_head head; /* last, for its fields are not zeroed */
};

static int64_t now_of(const struct fetch *f)
{
    return loop_now_ms(f->env->net->loop);
}

static void count(const struct fetch *f, enum stat_route id)
{
    stat_add(&f->env->net->block->route[f->route_slot][id], 1);
}

/* Whether so much of a body may be collected, as far as an entry goes and all fetches together; if so, it counts. */
static bool may_collect(struct fetch *f, uint64_t bytes)
{
    struct exchange_env *env = f->env;
    const uint64_t entry_bytes = f->conf->cache.max_entry_bytes, memory_bytes = f->conf->cache.memory_bytes;
    const uint64_t all_bytes = memory_bytes > 4 * entry_bytes ? memory_bytes : 4 * entry_bytes;
    if (bytes > entry_bytes || env->collected_bytes - f->collected_bytes + bytes > all_bytes)
        return false;
    if (bytes > f->collected_bytes) {
        env->collected_bytes += (size_t)bytes - f->collected_bytes;
        f->collected_bytes = (size_t)bytes;
    }
    return true;
}

/* The body was passed on, or has become an entry's. */
static void forget_body(struct fetch *f)
{
    f->env->collected_bytes -= f->collected_bytes;
    f->collected_bytes = 0;
    strbuf_fini(&f->body);
}

static void fetch_free(struct fetch *f)
{
    CHECK_OBJ(f, FETCH_MAGIC);
    ASSERT(f->flight == NULL && f->inner == NULL && f->reader == NULL);
    f->env->fetch_count--;
    later_cancel(&f->work);
    list_unlink(&f->link);
    forget_body(f);
    slice_release(&f->head_copy);
    slice_release(&f->asked);
    slice_release(&f->key);
    if (f->known != NULL)
        cache_entry_unref(&f->known);
    if (f->server != NULL)
        server_unref(&f->server);
    conf_unref(&f->conf);
    OBJ_FREE(&f, FETCH_MAGIC);
}

/* What else comes is dropped, and the exchange that asks is given up soon. */
static void drop(struct fetch *f)
{
    f->state = FETCH_DROPPING;
    f->reader = NULL;
    later_post(&f->work);
}

/* ---- entries ---- */

/* An entry of that head under the key with `mark` behind it; NULL when it has more tags than can be purged by. */
static struct cache_entry *make_entry(const struct fetch *f, const char *mark, const struct http_head *head,
                                      const struct strbuf *body, const struct cache_life *life)
{
    struct cache_tags tags;
    char key[CACHE_KEY_BYTES_MAX + 1];
    ASSERT(f->key.len + strlen(mark) <= sizeof key);
    if (!cache_tags_collect(&tags, &f->route->cache, head))
        return NULL;
    memcpy(key, f->key.data, f->key.len);
    memcpy(key + f->key.len, mark, strlen(mark));
    struct slice bytes = slice_copy(body->data, body->len);
    const struct cache_draft d = {.status = head->status,
                                  .fields = head->fields,
                                  .field_count = head->field_count,
                                  .tags = tags.tags,
                                  .tag_count = tags.count,
                                  .key = {key, f->key.len + strlen(mark)},
                                  .host = f->host,
                                  .path = f->path,
                                  .query = f->query,
                                  .life = *life,
                                  .position = f->position,
                                  .born_ms = life == &f->storing.life ? f->born_ms : now_of(f),
                                  .body = bytes};
    struct cache_entry *e = cache_entry_create(&d);
    slice_release(&bytes);
    return e;
}

/* Remembers for a while that there is no answer to be shared: why, says the mark. */
static void remember(const struct fetch *f, const char *mark, uint16_t status, const struct cache_life *life)
{
    struct http_head nothing;
    const struct strbuf no_body = {0};
    http_head_clear(&nothing);
    nothing.status = status;
    struct cache_entry *e = life->fresh_ms > 0 && !f->is_narrow ? make_entry(f, mark, &nothing, &no_body, life) : NULL;
    if (e == NULL)
        return;
    cache_memory_put(f->env->cache->memory, e, now_of(f));
    cache_entry_unref(&e);
}

/* ---- the ends of a flight ---- */

static void end_failed(struct fetch *f, uint16_t status, const char *reason)
{
    const struct flight_outcome o = {.end = FLIGHT_FAILED, .by = f, .status = status, .reason = reason};
    const struct cache_life life = cache_negative_life(&f->route->cache);
    count(f, STAT_ROUTE_CACHE_FAILED);
    remember(f, FETCH_FAILED_MARK, status, &life);
    flight_end(&f->flight, &o);
}

/* The origin's own words about its failure. */
static void end_with_error(struct fetch *f)
{
    const struct cache_life life = cache_negative_life(&f->route->cache);
    struct cache_entry *e = make_entry(f, FETCH_FAILED_MARK, &f->head, &f->body, &life);
    const struct flight_outcome o = {
        .end = FLIGHT_FAILED, .entry = e, .by = f, .status = f->head.status, .reason = "origin failed"};
    count(f, STAT_ROUTE_CACHE_FAILED);
    if (e != NULL && !f->is_narrow && life.fresh_ms > 0)
        cache_memory_put(f->env->cache->memory, e, now_of(f));
    flight_end(&f->flight, &o);
    if (e != NULL)
        cache_entry_unref(&e);
}

static void end_with_entry(struct fetch *f, struct cache_entry *e)
{
    const struct flight_outcome o = {.end = FLIGHT_ENTRY, .entry = e, .by = f};
    cache_store(f->env->cache, e);
    flight_end(&f->flight, &o);
    cache_entry_unref(&e);
}

/* What came is no business of those who wait. */
static void end_unshared(struct fetch *f)
{
    const struct flight_outcome o = {.end = f->is_personal ? FLIGHT_AGAIN : FLIGHT_PASS};
    flight_end(&f->flight, &o);
}

/* All of the answer is there. */
static void end_complete(struct fetch *f)
{
    struct cache_entry *e = NULL;
    if (f->is_error && !f->is_personal) {
        end_with_error(f);
        return;
    }
    if (f->is_error) {
        count(f, STAT_ROUTE_CACHE_FAILED);
        end_unshared(f);
        return;
    }
    if (f->is_renewal && !f->storing.may_store) { /* with a Set-Cookie, say, for the one whose request this was */
        cache_forget(f->env->cache, f->key.data, f->key.len);
        end_unshared(f);
        return;
    }
    if (f->is_renewal) {
        count(f, STAT_ROUTE_CACHE_VALIDATED);
        e = cache_entry_update(f->known, f->head.fields, f->head.field_count, &f->storing.life, &f->position,
                               f->born_ms);
    } else {
        e = make_entry(f, "", &f->head, &f->body, &f->storing.life);
    }
    if (e != NULL)
        end_with_entry(f, e);
    else
        end_failed(f, 502, "answer has too many tags");
}

/* What is stored is not what the origin says any more, and must not be served for as long as it would have lasted: a
 * token may have been taken back. Of what was asked in one client's name nobody else learns anything. */
static bool is_superseding(const struct fetch *f)
{
    return !f->is_narrow && f->head.status < 500 && f->head.status != 429;
}

/* The answer goes to `reader` as it comes: the head, what there is of the body, and later the rest. */
static void hand_over(struct fetch *f, struct exchange *reader, bool has_body)
{
    const bool is_head = http_view_is(reader->head.method, "HEAD"); /* the origin was asked by GET all the same */
    const bool fits = deliver_head(reader, &f->head, has_body && !is_head);
    if (!fits || is_head) {
        reader->cache.pipe = NULL;
        drop(f);
        if (fits)
            deliver_end(reader);
        else
            (void)deliver_own(reader, 502, "answer's head cannot be passed on");
        return;
    }
    if (f->body.len > 0)
        deliver_body(reader, (const uint8_t *)f->body.data, f->body.len);
    forget_body(f);
}

/* The answer is not for storing: the first of those who wait gets it as it comes, the others ask for themselves. */
static void pass(struct fetch *f, bool has_body)
{
    const struct flight_outcome others = {.end = FLIGHT_PASS};
    const struct cache_life life = {.fresh_ms = PASS_MS};
    struct flight_waiter *first = f->is_personal ? NULL : flight_take_first(f->flight);
    remember(f, FETCH_PASSED_MARK, 200, &life);
    if (is_superseding(f))
        cache_forget(f->env->cache, f->key.data, f->key.len);
    if (first == NULL) {
        end_unshared(f);
        drop(f);
        return;
    }
    struct exchange *reader = f->reader = lookup_take_reader(first, f, f->storing.why);
    f->state = FETCH_READING;
    flight_end(&f->flight, &others);
    if (f->reader == NULL) /* one of the others was the end of this one */
        return;
    hand_over(f, reader, has_body);
}

/* ---- the head of the answer ---- */

/* Fields the answers of this route vary by become part of its keys. True when this one's key was made without them: the
 * origin was not told what they say either. */
static bool learn_vary(struct fetch *f)
{
    struct cache_learned *l = cache_learned_of(f->env->cache, f->route_slot);
    const struct http_view known = {l->len > 0 ? l->names : NULL, l->len};
    if (l->len != f->vary_bytes) /* since it began, from another answer */
        return true;
    if (f->is_error || http_find(&f->head, "vary") == NULL)
        return false;
    struct http_view names;
    struct http_texts t;
    http_texts_init(&t, EXCHANGE_TEXTS_BYTES);
    const bool is_known = cache_vary_of(&names, &t, f->route, &f->head, known) && names.len <= sizeof l->names;
    if (!is_known && f->storing.may_store)
        f->storing = (struct cache_storing){.why = "vary"};
    const bool is_new = is_known && names.len != known.len; /* also of what is not stored: it is for somebody */
    if (is_new) {
        memcpy(l->names, names.data, names.len);
        l->len = (uint32_t)names.len;
    }
    http_texts_fini(&t);
    return is_new;
}

/* What is stale may stand in for these, and those who wait share them (RFC 5861 section 4). */
static bool is_failure(uint16_t status)
{
    return status == 500 || (status >= 502 && status <= 504);
}

static void judge(struct fetch *f, const struct http_head *asked)
{
    struct cache_tags tags;
    const int64_t wall_ms = loop_wall_ms(f->env->net->loop);
    const int64_t delay_ms = now_of(f) - f->asked_ms;
    f->is_renewal = f->head.status == 304 && f->known != NULL;
    f->is_error = is_failure(f->head.status);
    if (f->is_renewal)
        cache_may_store_again(&f->route->cache, asked, f->known, &f->head, f->is_scoped, wall_ms, delay_ms,
                              &f->storing);
    else
        cache_may_store(&f->route->cache, asked, &f->head, f->is_scoped, wall_ms, delay_ms, &f->storing);
    if (f->storing.may_store && !cache_tags_collect(&tags, &f->route->cache, &f->head))
        f->storing = (struct cache_storing){.why = "tags"};
    f->born_ms = now_of(f) - f->storing.age_ms;
}

/* With the Date it lacks: whoever gets it later must be able to tell how old it is (RFC 9110 section 6.6.1). */
static void keep_head(struct fetch *f, const struct http_head *head)
{
    char date[DATE_BYTES];
    struct http_head dated = *head;
    if (http_find(head, "date") == NULL)
        (void)http_head_add(&dated, http_view_of("Date"),
                            http_view_of(date_text(loop_wall_ms(f->env->net->loop), date)));
    f->head_copy = http_head_copy(&f->head, &dated);
}

/* A 304 about something else than what is stored (RFC 9111 section 4.3.4). */
static bool is_about_another(const struct fetch *f)
{
    const struct http_view etag = http_value(&f->head, "etag");
    const struct http_view known = f->known != NULL ? f->known->etag : etag;
    return f->is_renewal && etag.data != NULL &&
           (etag.len != known.len || memcmp(etag.data, known.data, etag.len) != 0);
}

static void end_again(struct fetch *f)
{
    const struct flight_outcome again = {.end = FLIGHT_AGAIN};
    flight_end(&f->flight, &again);
    drop(f);
}

void fetch_head(struct fetch *f, const struct http_head *head, bool has_body)
{
    CHECK_OBJ(f, FETCH_MAGIC);
    if (f->state != FETCH_WAITING)
        return;
    keep_head(f, head);
    f->server = server_ref(f->inner->pick.server);
    f->attempt_count = f->inner->pick.attempt_count;
    judge(f, &f->inner->head);
    if (is_about_another(f)) {
        cache_forget(f->env->cache, f->key.data, f->key.len);
        end_again(f);
        return;
    }
    if (learn_vary(f)) {
        end_again(f);
        return;
    }
    const int64_t length = has_body && f->head.content_length > 0 ? f->head.content_length : 0;
    const bool is_too_long = !may_collect(f, (uint64_t)length);
    if (f->storing.may_store && is_too_long)
        f->storing.why = "too-long";
    if (is_too_long || (!f->storing.may_store && !f->is_renewal && !f->is_error)) {
        pass(f, has_body);
        return;
    }
    f->state = FETCH_COLLECTING;
    strbuf_init(&f->body, f->conf->cache.max_entry_bytes);
    if (length > 0)
        strbuf_reserve(&f->body, (size_t)length);
}

void fetch_failed(struct fetch *f, uint16_t status, const char *reason)
{
    CHECK_OBJ(f, FETCH_MAGIC);
    if (f->flight != NULL)
        end_failed(f, status, reason);
    fetch_free(f);
}

/* ---- the requester's side of the exchange that asks ---- */

static void send_body(void *arg, struct slice piece)
{
    struct fetch *f = arg;
    CHECK_OBJ(f, FETCH_MAGIC);
    if (f->state == FETCH_READING) {
        deliver_body(f->reader, piece.data, piece.len);
        return;
    }
    if (f->state != FETCH_COLLECTING)
        return;
    if (may_collect(f, f->body.len + piece.len)) {
        strbuf_add(&f->body, piece.data, piece.len);
        return;
    }
    f->storing.why = "too-long";
    pass(f, true);
    if (f->state == FETCH_READING)
        deliver_body(f->reader, piece.data, piece.len);
}

static bool is_full(void *arg)
{
    const struct fetch *f = arg;
    CHECK_OBJ(f, FETCH_MAGIC);
    return f->state == FETCH_READING && f->reader->ops->is_full(f->reader->arg);
}

/* The exchange that asked is gone, and so is this. */
static void finish(void *arg)
{
    struct fetch *f = arg;
    CHECK_OBJ(f, FETCH_MAGIC);
    struct exchange *reader = f->reader;
    f->reader = NULL;
    if (f->state == FETCH_COLLECTING)
        end_complete(f);
    fetch_free(f);
    if (reader != NULL) {
        reader->cache.pipe = NULL;
        deliver_end(reader);
    }
}

static void break_off(void *arg)
{
    struct fetch *f = arg;
    CHECK_OBJ(f, FETCH_MAGIC);
    struct exchange *reader = f->reader;
    f->reader = NULL;
    if (f->flight != NULL)
        end_failed(f, 502, "answer broke off");
    fetch_free(f);
    if (reader != NULL) {
        reader->cache.pipe = NULL;
        deliver_broken(reader, "answer broke off");
    }
}

/* Its body, if any, is there before it is asked for. */
static void want_body(void *arg, bool is_wanted)
{
    (void)arg;
    (void)is_wanted;
}

static const struct requester_ops inner_ops = {
    .send_body = send_body,
    .is_full = is_full,
    .finish = finish,
    .break_off = break_off,
    .want_body = want_body,
};

/* ---- the flight's side ---- */

static void ask(void *arg)
{
    struct fetch *f = arg;
    CHECK_OBJ(f, FETCH_MAGIC);
    f->is_wanted = true;
    later_post(&f->work);
}

static void over(void *arg)
{
    struct fetch *f = arg;
    CHECK_OBJ(f, FETCH_MAGIC);
    exchange_free(f->inner);
    fetch_free(f);
}

static const struct flight_ops flight_ops = {.ask = ask, .over = over};

static void on_work(void *arg)
{
    struct fetch *f = arg;
    CHECK_OBJ(f, FETCH_MAGIC);
    if (f->state == FETCH_DROPPING) {
        exchange_free(f->inner);
        fetch_free(f);
    } else if (f->is_wanted) {
        f->is_wanted = false;
        f->asked_ms = now_of(f);
        f->position = cache_purges_position(f->env->cache->purges);
        count(f, STAT_ROUTE_CACHE_FETCHES);
        inner_run(f->inner);
    }
}

/* ---- life ---- */

struct flight *fetch_start(struct exchange *x, const struct fetch_start *o)
{
    struct fetch *f;
    OBJ_NEW_UP_TO(f, FETCH_MAGIC, head);
    f->env = x->env;
    f->conf = conf_ref(x->conf);
    f->route = x->route;
    f->route_slot = x->route_slot;
    f->is_scoped = o->is_scoped;
    f->is_narrow = x->cache.is_authorised;
    f->is_personal = x->cache.is_authorised && o->flight_key.len == o->key.len;
    f->key = slice_copy(o->key.data, o->key.len);
    f->vary_bytes = cache_learned_of(x->env->cache, x->route_slot)->len;
    f->known = o->known != NULL ? cache_entry_ref(o->known) : NULL;
    later_init(&f->work, x->env->net->loop, on_work, f);
    list_append(&x->env->fetches, &f->link);
    x->env->fetch_count++;
    const struct inner_start in = {.of = x, .known = o->known, .ops = &inner_ops, .fetch = f};
    inner_create(&in, &f->inner);
    f->asked = slice_ref(f->inner->head_copy);
    f->host = f->inner->head.authority;
    f->path = f->inner->head.path;
    f->query = f->inner->head.query;
    if (o->is_refresh)
        count(f, STAT_ROUTE_CACHE_REFRESHES);
    const struct flight_start start = {.key = o->flight_key.data,
                                       .key_len = o->flight_key.len,
                                       .route = &f->route->cache,
                                       .known = o->known,
                                       .must_ask = o->must_ask,
                                       .ops = &flight_ops,
                                       .arg = f};
    flight_start(x->env->cache, &start, &f->flight);
    return f->flight;
}

void fetch_cancel_all(struct exchange_env *env)
{
    LIST_EACH (it, &env->fetches) {
        struct fetch *f = LIST_ENTRY(it, struct fetch, link);
        CHECK_OBJ(f, FETCH_MAGIC);
        f->reader = NULL;
        if (f->flight != NULL)
            flight_cancel(&f->flight);
        if (f->inner != NULL)
            exchange_free(f->inner);
        fetch_free(f);
    }
}

void fetch_credit(const struct fetch *f, struct exchange *x)
{
    CHECK_OBJ(f, FETCH_MAGIC);
    x->cache.attempt_count = f->attempt_count;
    x->cache.asked_ms = f->asked_ms;
    if (f->server != NULL && x->cache.server == NULL)
        x->cache.server = server_ref(f->server);
}

/* ---- the exchange that reads along ---- */

void fetch_reader_drained(struct fetch *f)
{
    CHECK_OBJ(f, FETCH_MAGIC);
    if (f->inner != NULL)
        exchange_client_drained(f->inner);
}

void fetch_reader_gone(struct fetch *f)
{
    CHECK_OBJ(f, FETCH_MAGIC);
    drop(f);
}
