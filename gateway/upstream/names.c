/* Lookups run ahead of need: one job or one timer per named server, never both. */
#include "gateway/upstream/names.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"

#define NAMES_MAGIC   0x4a3e5b17u
#define LOOKUP_MAGIC  0x100c2b9du
#define CONTEXT_MAGIC 0xc07e8731u

#define LOOKUP_TIMEOUT_MS 2000
/* A TTL below this would make us a nuisance; one above, late to notice a move. */
#define REFRESH_MIN_MS 5000
#define REFRESH_MAX_MS 60000
/* After a lookup that failed. */
#define RETRY_MS 5000

struct names {
    uint32_t magic;
    struct loop *loop;
    struct resolver *resolver;
    uint32_t unsettled_count; /* servers whose first lookup is under way */
    bool is_learning;         /* on_settled is owed */
    struct list contexts;     /* one per set of TLS settings that servers share; making one reads the trust store, and
                                 takes tens of milliseconds */
    names_settled_fn *on_settled;
    void *arg;
};

struct context {
    uint32_t magic;
    struct list link;
    struct tls_client_opts opts; /* owns its texts */
    struct tls_ctx *tls;
    bool is_used; /* by the configuration last learned */
};

struct lookup { /* hangs on server->lookup */
    uint32_t magic;
    struct names *names;
    struct server *server; /* borrow: the lookup ends with it */
    struct resolve_job *job;
    struct timer refresh;
    bool is_settled;
};

static void on_refresh(void *arg);

static void tell_settled(struct names *n)
{
    if (n->is_learning && n->unsettled_count == 0) {
        n->is_learning = false;
        n->on_settled(n->arg);
    }
}

static void settle(struct lookup *k)
{
    if (!k->is_settled) {
        k->is_settled = true;
        k->names->unsettled_count--;
    }
}

static int64_t refresh_after_ms(uint32_t ttl_s)
{
    int64_t ms = (int64_t)ttl_s * 1000;
    if (ms < REFRESH_MIN_MS)
        return REFRESH_MIN_MS;
    return ms > REFRESH_MAX_MS ? REFRESH_MAX_MS : ms;
}

static void on_resolved(void *arg, enum err e, const struct addr *addrs, size_t count, uint32_t ttl_s)
{
    struct lookup *k = arg;
    struct server *s = k->server;
    CHECK_OBJ(k, LOOKUP_MAGIC);
    k->job = NULL;
    if (e == ERR_NONE && count > 0) {
        s->addr_count = (uint32_t)(count < RESOLVE_ADDRS_MAX ? count : RESOLVE_ADDRS_MAX);
        memcpy(s->addrs, addrs, s->addr_count * sizeof *addrs);
        s->addr_next %= s->addr_count;
        timer_start(&k->refresh, refresh_after_ms(ttl_s));
    } else {
        /* Once per outage and not once per retry: the first failure, or the first after addresses were known. */
        if (!k->is_settled || s->addrs_expire_ms != 0)
            LOG_WARN("server name not resolved", KV_STR("server", s->server_conf->slot_name),
                     KV_STR("host", s->server_conf->url.host), KV_STR("cause", err_text(e)),
                     KV_UINT("known_addresses", s->addr_count), KV_INT("retry_ms", RETRY_MS));
        timer_start(&k->refresh, RETRY_MS);
    }
    s->addrs_expire_ms = e == ERR_NONE ? loop_now_ms(k->names->loop) + refresh_after_ms(ttl_s) : 0;
    settle(k);
    tell_settled(k->names);
}

static void on_refresh(void *arg)
{
    struct lookup *k = arg;
    const struct conf_url *url = &k->server->server_conf->url;
    k->job = resolve_start(k->names->resolver, url->host, url->port, LOOKUP_TIMEOUT_MS, on_resolved, k);
}

static void lookup_start(struct names *n, struct server *s)
{
    struct lookup *k;
    OBJ_NEW(k, LOOKUP_MAGIC);
    k->names = n;
    k->server = s;
    timer_init(&k->refresh, n->loop, on_refresh, k);
    n->unsettled_count++;
    s->lookup = k;
    on_refresh(k);
}

/* ---- TLS contexts ---- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_opts(const struct tls_client_opts *a, const struct tls_client_opts *b)
{
    return a->insecure == b->insecure && same_text(a->ca_pem, b->ca_pem) && same_text(a->cert_pem, b->cert_pem) &&
           same_text(a->key_pem, b->key_pem);
}

static char *copy_text(const char *s)
{
    return s != NULL ? mem_strdup(s) : NULL;
}

static void context_free(struct context *c)
{
    list_unlink(&c->link);
    if (c->opts.key_pem != NULL)
        mem_wipe((void *)(uintptr_t)c->opts.key_pem, strlen(c->opts.key_pem));
    mem_free((void *)(uintptr_t)c->opts.ca_pem);
    mem_free((void *)(uintptr_t)c->opts.cert_pem);
    mem_free((void *)(uintptr_t)c->opts.key_pem);
    tls_ctx_unref(&c->tls);
    OBJ_FREE(&c, CONTEXT_MAGIC);
}

/* The context for a server's settings, made when there is none yet; NULL with a sentence in `error`. */
static struct context *context_for(struct names *n, const struct conf_server *sc, char *error)
{
    struct tls_client_opts o = {.ca_pem = sc->tls.ca.text,
                                .cert_pem = sc->tls.cert.text,
                                .key_pem = sc->tls.key.text,
                                .insecure = !sc->tls.verify};
    LIST_EACH (it, &n->contexts) {
        struct context *c = LIST_ENTRY(it, struct context, link);
        if (same_opts(&c->opts, &o))
            return c;
    }
    struct tls_ctx *tls = tls_ctx_create_client(&o, error);
    if (tls == NULL)
        return NULL;
    struct context *c;
    OBJ_NEW(c, CONTEXT_MAGIC);
    c->opts = (struct tls_client_opts){.ca_pem = copy_text(o.ca_pem),
                                       .cert_pem = copy_text(o.cert_pem),
                                       .key_pem = copy_text(o.key_pem),
                                       .insecure = o.insecure};
    c->tls = tls;
    list_init(&c->link);
    list_append(&n->contexts, &c->link);
    return c;
}

static void drop_unused_contexts(struct names *n)
{
    LIST_EACH (it, &n->contexts) {
        struct context *c = LIST_ENTRY(it, struct context, link);
        if (!c->is_used)
            context_free(c);
        else
            c->is_used = false;
    }
}

/* ---- servers ---- */

static void learn_server(struct names *n, struct server *s)
{
    const struct conf_server *sc = s->server_conf;
    if (sc->url.is_tls) {
        char error[TLS_ERROR_TEXT_BYTES];
        struct context *c = context_for(n, sc, error);
        ASSERT(c != NULL); /* names_check() made it, and it is kept until drop_unused_contexts() */
        c->is_used = true;
        if (s->tls == NULL)
            s->tls = tls_ctx_ref(c->tls);
    }
    if (s->addr_count == 0 && s->lookup == NULL) {
        if (addr_from_ip(&s->addrs[0], sc->url.host, sc->url.port))
            s->addr_count = 1;
        else
            lookup_start(n, s);
    }
}

struct names *names_create(struct loop *l, names_settled_fn *on_settled, void *arg)
{
    struct names *n;
    OBJ_NEW(n, NAMES_MAGIC);
    n->loop = l;
    n->resolver = resolver_create(l);
    list_init(&n->contexts);
    n->on_settled = on_settled;
    n->arg = arg;
    return n;
}

void names_destroy(struct names **np)
{
    CHECK_OBJ(*np, NAMES_MAGIC);
    resolver_destroy(&(*np)->resolver);
    LIST_EACH (it, &(*np)->contexts) {
        context_free(LIST_ENTRY(it, struct context, link));
    }
    OBJ_FREE(np, NAMES_MAGIC);
}

bool names_check(struct names *n, const struct conf *c, char *error)
{
    CHECK_OBJ(n, NAMES_MAGIC);
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++) {
            const struct conf_server *sc = &c->pools[i].servers[j];
            if (sc->url.is_tls && context_for(n, sc, error) == NULL)
                return false;
        }
    return true;
}

void names_learn(struct names *n, const struct pool_set *ps, const struct conf *c)
{
    CHECK_OBJ(n, NAMES_MAGIC);
    n->is_learning = true;
    for (size_t i = 0; i < c->pool_count; i++) {
        struct pool *p = pool_set_at(ps, i);
        for (size_t j = 0; j < p->server_count; j++)
            learn_server(n, p->servers[j]);
    }
    drop_unused_contexts(n);
    tell_settled(n);
}

void names_forget(struct server *s)
{
    struct lookup *k = s->lookup;
    if (k != NULL) {
        CHECK_OBJ(k, LOOKUP_MAGIC);
        settle(k); /* not told here, in the middle of an update: names_learn() follows */
        if (k->job != NULL)
            resolve_cancel(&k->job);
        timer_cancel(&k->refresh);
        s->lookup = NULL;
        OBJ_FREE(&k, LOOKUP_MAGIC);
    }
    if (s->tls != NULL)
        tls_ctx_unref(&s->tls);
}
