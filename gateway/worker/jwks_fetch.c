/* A small client on top of one call. Whatever goes wrong, the rules hear of it once and come back later; the next time
 * the pool has moved on to another server. */
#include "gateway/worker/jwks_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/rules/token_keys.h"
#include "gateway/upstream/call.h"

#define JWKS_FETCH_MAGIC 0x3d0a7c41u
#define LOOK_MS          250  /* how soon a wish is noticed */
#define WHOLE_MS         5000 /* for one fetch, whatever the pool's own deadlines are */
#define TARGET_BYTES     4096u
#define SECONDS_BYTES    12u

struct jwks_fetch {
    uint32_t magic;
    struct net *net;
    const struct pool_set *pools;
    struct rules *rules;
    struct conf *conf; /* NULL before the first one */
    struct timer look; /* for what is due; while a call is under way: its end */

    struct call *call; /* NULL: none under way; all below belongs to it */
    struct pick pick;
    char *pool, *path; /* what was asked for */
    struct strbuf body;
    int64_t max_age_ms;
    uint16_t status;
};

static int64_t now_ms(const struct jwks_fetch *f)
{
    return loop_now_ms(f->net->loop);
}

/* The end of a fetch, good or bad; then the next. */
static void finish(struct jwks_fetch *f, enum outcome outcome)
{
    const bool has_text = outcome == OUTCOME_OK && f->status == 200 && !f->body.failed && f->body.len > 0;
    f->call = NULL;
    pick_end(&f->pick, outcome, now_ms(f));
    rules_fetch_done(f->rules, f->pool, f->path, has_text ? f->body.data : NULL, has_text ? f->body.len : 0,
                     f->max_age_ms, now_ms(f));
    strbuf_fini(&f->body);
    mem_free(f->pool);
    mem_free(f->path);
    f->pool = f->path = NULL;
    timer_start(&f->look, LOOK_MS);
}

/* max-age of Cache-Control (RFC 9111 section 5.2.2.1) in ms, -1 when it does not say. */
static int64_t max_age_of(const struct http_head *head)
{
    static const char name[] = "max-age=";
    struct http_view list = http_value(head, "cache-control"), element;
    while (http_list_next(&list, &element)) {
        char digits[SECONDS_BYTES] = "";
        const size_t len = element.len - (sizeof name - 1);
        if (element.len < sizeof name || len >= sizeof digits ||
            !http_view_is_nocase((struct http_view){element.data, sizeof name - 1}, name))
            continue;
        memcpy(digits, element.data + sizeof name - 1, len);
        if (strspn(digits, "0123456789") == len)
            return (int64_t)strtoll(digits, NULL, 10) * 1000;
    }
    return -1;
}

static void on_head(void *arg, const struct http_head *head, bool has_body)
{
    struct jwks_fetch *f = arg;
    CHECK_OBJ(f, JWKS_FETCH_MAGIC);
    (void)has_body;
    f->status = head->status;
    f->max_age_ms = max_age_of(head);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct jwks_fetch *f = arg;
    CHECK_OBJ(f, JWKS_FETCH_MAGIC);
    strbuf_add(&f->body, data, len);
    if (f->body.failed)
        timer_start(&f->look, 0); /* too long for a key set: given up, but not from within the call */
}

static void on_end(void *arg)
{
    struct jwks_fetch *f = arg;
    CHECK_OBJ(f, JWKS_FETCH_MAGIC);
    finish(f, f->status >= 500 ? OUTCOME_FAILED : f->status >= 400 ? OUTCOME_REFUSED : OUTCOME_OK);
}

static void on_failed(void *arg, const struct call_failure *failure)
{
    struct jwks_fetch *f = arg;
    CHECK_OBJ(f, JWKS_FETCH_MAGIC);
    (void)failure;
    finish(f, OUTCOME_FAILED);
}

static const struct call_ops call_ops = {
    .on_head = on_head, .on_data = on_data, .on_end = on_end, .on_failed = on_failed};

static struct pool *find_pool(const struct jwks_fetch *f, const char *name)
{
    const struct conf_pool *p = conf_find_pool(f->conf, name);
    return p != NULL ? pool_set_at(f->pools, (size_t)(p - f->conf->pools)) : NULL;
}

static void start_call(struct jwks_fetch *f, struct server *s)
{
    const struct conf_url *url = &s->server_conf->url;
    char target[TARGET_BYTES];
    struct http_head head;
    (void)snprintf(target, sizeof target, "%s%s", url->path, f->path);
    http_head_clear(&head);
    head.method = http_view_of("GET");
    head.target = http_view_of(target);
    head.authority = http_view_of(url->authority);
    const char *query = strchr(target, '?');
    head.path = (struct http_view){target, query != NULL ? (size_t)(query - target) : head.target.len};
    if (query != NULL)
        head.query = http_view_of(query + 1);
    (void)http_head_add(&head, http_view_of("Accept"), http_view_of("application/jwk-set+json, application/json"));
    (void)http_head_add(&head, http_view_of("User-Agent"), http_view_of("tidegate"));
    const struct call_start o = {.server = s,
                                 .head = &head,
                                 .is_repeatable = true,
                                 .deadline_ms = now_ms(f) + WHOLE_MS,
                                 .ops = &call_ops,
                                 .arg = f};
    f->call = call_start(f->net, &o);
}

static void look(struct jwks_fetch *f)
{
    struct rules_fetch due;
    if (f->conf == NULL)
        return;
    timer_start(&f->look, LOOK_MS);
    if (!rules_fetch_next(f->rules, now_ms(f), &due))
        return;
    struct pool *pool = find_pool(f, due.pool);
    pick_init(&f->pick);
    struct server *s = pool != NULL ? pool_pick(pool, &f->pick, now_ms(f), loop_wall_ms(f->net->loop)) : NULL;
    if (s == NULL) {
        rules_fetch_done(f->rules, due.pool, due.path, NULL, 0, -1, now_ms(f));
        return;
    }
    f->pool = mem_strdup(due.pool);
    f->path = mem_strdup(due.path);
    f->max_age_ms = -1;
    f->status = 0;
    strbuf_init(&f->body, TOKEN_KEYS_TEXT_MAX);
    timer_start(&f->look, WHOLE_MS);
    start_call(f, s);
}

static void on_look(void *arg)
{
    struct jwks_fetch *f = arg;
    CHECK_OBJ(f, JWKS_FETCH_MAGIC);
    if (f->call == NULL) {
        look(f);
        return;
    }
    call_cancel(&f->call);
    finish(f, OUTCOME_FAILED);
}

struct jwks_fetch *jwks_fetch_create(struct net *n, const struct pool_set *pools, struct rules *rules)
{
    struct jwks_fetch *f;
    OBJ_NEW(f, JWKS_FETCH_MAGIC);
    f->net = n;
    f->pools = pools;
    f->rules = rules;
    timer_init(&f->look, n->loop, on_look, f);
    return f;
}

/* Whether any route of the configuration wants keys from a pool: the others need no timer. */
static bool is_wanted(const struct conf *c)
{
    for (size_t i = 0; i < c->route_count; i++)
        if (c->routes[i].jwt.jwks_pool[0] != '\0')
            return true;
    return false;
}

void jwks_fetch_follow(struct jwks_fetch *f, const struct conf *c)
{
    CHECK_OBJ(f, JWKS_FETCH_MAGIC);
    if (f->conf != NULL)
        conf_unref(&f->conf);
    f->conf = is_wanted(c) ? conf_ref(c) : NULL;
    if (f->call == NULL && f->conf != NULL)
        timer_start(&f->look, 0);
    else if (f->call == NULL)
        timer_cancel(&f->look);
}

void jwks_fetch_destroy(struct jwks_fetch **fp)
{
    struct jwks_fetch *f = *fp;
    CHECK_OBJ(f, JWKS_FETCH_MAGIC);
    if (f->call != NULL) {
        call_cancel(&f->call);
        finish(f, OUTCOME_CANCELLED);
    }
    timer_cancel(&f->look);
    if (f->conf != NULL)
        conf_unref(&f->conf);
    OBJ_FREE(fp, JWKS_FETCH_MAGIC);
}
