/* The public face of L2: what each operation is in Redis' words.
 *
 * Whatever Redis says is taken with suspicion: a value of another type, a reply of another kind, an entry without an
 * expiry are no entries. An entry is asked for with GETRANGE, which bounds what a foreign value under our key can make
 * Redis send. */
#include "cache/l2.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "cache/l2_job.h"
#include "cache/l2_leases.h"
#include "cache/l2_priv.h"
#include "cache/l2_purges.h"

#define L2_MAGIC 0x12caceb1u

/* What an encoded entry has besides its body: key, fields, tags. */
#define ENTRY_HEAD_BYTES_MAX (1u << 20)
/* What a reply has besides an entry; also room for CLUSTER SLOTS and a batch of the purge log. */
#define REPLY_REST_BYTES_MAX (4u << 20)

static const char release_script[] =
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";

/* ---- names ---- */

void l2_redis_key(const struct l2 *l, enum l2_name name, const void *key, size_t key_len, struct l2_redis_key *out)
{
    static const char letter[] = {[L2_NAME_ENTRY] = 'e', [L2_NAME_LEASE] = 'l'};
    uint8_t digest[DIGEST_SHA256_BYTES];
    char hex[2 * DIGEST_SHA256_BYTES + 1];
    digest_sha256(key, key_len, digest);
    *hex_text(digest, sizeof digest, hex) = '\0';
    const int len = snprintf(out->text, sizeof out->text, "%s:%c:{%s}", l->redis != NULL ? l->redis->prefix : "",
                             letter[name], hex);
    ASSERT(len > 0 && (size_t)len < sizeof out->text); /* the prefix was bounded when it was read */
    out->len = (size_t)len;
}

void l2_conf_address(const struct conf_redis *r, struct l2_address *out)
{
    *out = (struct l2_address){.is_unix = r->scheme == REDIS_UNIX, .port = r->port};
    (void)snprintf(out->host, sizeof out->host, "%s", r->host);
}

static size_t entry_bytes_max(const struct l2 *l)
{
    return (size_t)l->conf->cache.max_entry_bytes + ENTRY_HEAD_BYTES_MAX;
}

void l2_link_settings(const struct l2 *l, const struct l2_address *address, struct l2_link_settings *out)
{
    const struct conf_redis *r = l->redis;
    *out = (struct l2_link_settings){.what = "redis",
                                     .address = *address,
                                     .tls = l->tls,
                                     .tls_server_name = r->tls.server_name,
                                     .username = r->username,
                                     .password = r->password,
                                     .database = r->database,
                                     .timeout_ms = r->timeout_ms,
                                     .connect_timeout_ms = r->connect_timeout_ms,
                                     .circuit_failures = r->circuit_failures,
                                     .circuit_open_ms = r->circuit_open_ms,
                                     .reply_bytes_max = entry_bytes_max(l) + REPLY_REST_BYTES_MAX};
}

/* ---- configuration ---- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_tls(const struct conf_server_tls *a, const struct conf_server_tls *b)
{
    return a->verify == b->verify && same_text(a->server_name, b->server_name) && same_text(a->ca.text, b->ca.text) &&
           same_text(a->cert.text, b->cert.text) && same_text(a->key.text, b->key.text);
}

static bool same_nodes(const struct conf_redis *a, const struct conf_redis *b)
{
    bool is_same = a->node_count == b->node_count;
    for (size_t i = 0; is_same && i < a->node_count; i++)
        is_same = same_text(a->nodes[i], b->nodes[i]);
    return is_same && a->mode == b->mode && same_text(a->master, b->master) &&
           same_text(a->sentinel_password, b->sentinel_password);
}

static bool same_redis(const struct conf_redis *a, const struct conf_redis *b)
{
    return a->scheme == b->scheme && a->port == b->port && a->database == b->database && same_text(a->host, b->host) &&
           same_text(a->text, b->text) && same_text(a->username, b->username) && same_text(a->password, b->password) &&
           same_text(a->prefix, b->prefix) && same_nodes(a, b) && same_tls(&a->tls, &b->tls) &&
           a->timeout_ms == b->timeout_ms && a->connect_timeout_ms == b->connect_timeout_ms &&
           a->circuit_failures == b->circuit_failures && a->circuit_open_ms == b->circuit_open_ms;
}

static void disconnect(struct l2 *l)
{
    const struct l2_nodes_kind *kind = l->kind;
    void *nodes = l->nodes;
    /* Nobody finds a node from here on: destroying the links answers calls, and users ask again. */
    l->kind = NULL;
    l->nodes = NULL;
    if (kind != NULL)
        kind->destroy(nodes);
    later_cancel(&l->settle);
    if (l->tls != NULL)
        tls_ctx_unref(&l->tls);
    l->redis = NULL;
    if (l->conf != NULL)
        conf_unref(&l->conf);
}

static bool make_tls(struct l2 *l)
{
    char error[TLS_ERROR_TEXT_BYTES];
    const struct conf_server_tls *t = &l->redis->tls;
    if (l->redis->scheme != REDIS_TLS)
        return true;
    const struct tls_client_opts o = {
        .ca_pem = t->ca.text, .cert_pem = t->cert.text, .key_pem = t->key.text, .insecure = !t->verify};
    l->tls = tls_ctx_create_client(&o, error);
    if (l->tls == NULL)
        LOG_ERR("redis is not used", KV_STR("cause", err_text(ERR_TLS)), KV_STR("detail", error));
    return l->tls != NULL;
}

static const struct l2_nodes_kind *kind_of(enum conf_redis_mode m)
{
    static const struct l2_nodes_kind *const kinds[] = {
        [REDIS_SINGLE] = &l2_single_kind, [REDIS_SENTINEL] = &l2_sentinel_kind, [REDIS_CLUSTER] = &l2_cluster_kind};
    ASSERT((unsigned)m < sizeof kinds / sizeof *kinds);
    return kinds[m];
}

void l2_take_redis(struct l2 *l, const struct conf *c, const struct conf_redis *r)
{
    CHECK_OBJ(l, L2_MAGIC);
    const bool is_wanted = *r->text != '\0';
    if (l->kind != NULL && is_wanted && same_redis(l->redis, r) &&
        l->conf->cache.max_entry_bytes == c->cache.max_entry_bytes)
        return; /* the old one is kept: links look at its texts */
    if (l->purges != NULL)
        l2_purges_forget_log(l->purges);
    disconnect(l);
    if (!is_wanted)
        return;
    l->conf = conf_ref(c);
    l->redis = r;
    if (!make_tls(l))
        return;
    const struct l2_nodes_kind *kind = kind_of(l->redis->mode);
    if (l->purges != NULL)
        l2_purges_name_log(l->purges);
    l->nodes = kind->create(l);
    l->kind = kind;
}

void l2_take_conf(struct l2 *l, const struct conf *c)
{
    l2_take_redis(l, c, &c->cache.redis);
}

/* ---- life ---- */

static void on_settle(void *arg)
{
    struct l2 *l = arg;
    CHECK_OBJ(l, L2_MAGIC);
    if (l->purges != NULL)
        l2_purges_nodes_changed(l->purges);
    l2_jobs_wake(l);
    if (l->ops->on_change != NULL)
        l->ops->on_change(l->arg);
}

void l2_nodes_changed(struct l2 *l)
{
    CHECK_OBJ(l, L2_MAGIC);
    later_post(&l->settle);
}

struct l2 *l2_create(struct net *n, const struct l2_ops *ops, void *arg)
{
    struct l2 *l;
    OBJ_NEW(l, L2_MAGIC);
    l->net = n;
    l->ops = ops;
    l->arg = arg;
    l->resolver = resolver_create(n->loop);
    l->leases = l2_leases_create();
    list_init(&l->jobs);
    later_init(&l->settle, n->loop, on_settle, l);
    if (ops->on_purge != NULL)
        l->purges = l2_purges_create(l);
    return l;
}

void l2_destroy(struct l2 **lp)
{
    struct l2 *l = *lp;
    CHECK_OBJ(l, L2_MAGIC);
    if (l->purges != NULL)
        l2_purges_destroy(&l->purges);
    while (!list_is_empty(&l->jobs)) {
        struct l2_job *j = LIST_ENTRY(l->jobs.next, struct l2_job, link);
        l2_job_destroy(&j);
    }
    disconnect(l);
    l2_leases_destroy(&l->leases);
    resolver_destroy(&l->resolver);
    OBJ_FREE(lp, L2_MAGIC);
}

static bool is_caught_up(const struct l2 *l)
{
    return l->purges == NULL || l2_purges_is_caught_up(l->purges);
}

bool l2_is_ready(const struct l2 *l)
{
    CHECK_OBJ(l, L2_MAGIC);
    return l->kind != NULL && l->kind->is_up(l->nodes) && is_caught_up(l);
}

void l2_counts(const struct l2 *l, struct l2_counts *out)
{
    CHECK_OBJ(l, L2_MAGIC);
    *out = (struct l2_counts){.command_count = l->counts.command_count,
                              .failure_count = l->counts.failure_count,
                              .timeout_count = l->counts.timeout_count,
                              .time_us = l->counts.time_us,
                              .is_connected = l->kind != NULL && l->kind->is_connected(l->nodes),
                              .is_circuit_open = l->kind != NULL && l->kind->is_circuit_open(l->nodes)};
}

/* ---- errors ---- */

/* What a reply that is an error means; told and counted here. */
static enum err fault_of(struct l2_job *j, const struct l2_reply *r)
{
    struct l2 *l = j->l2;
    const enum l2_fault f = l2_reply_fault(r);
    if (f == L2_FAULT_NONE)
        return ERR_NONE;
    if (f != L2_FAULT_ILL) { /* that was the link's to count and tell */
        l->counts.failure_count++;
        LOG_LIMITED(&l->failed_limit, loop_now_ms(l->net->loop), LOG_LEVEL_WARN, "redis refused a command",
                    KV_STR("cause", err_text(l2_fault_err(f))), KV_STR("detail", r->text));
    }
    return l2_fault_err(f);
}

/* ---- entries ---- */

static void on_entry(struct l2_job *j, enum err e, struct l2_reply *const *replies)
{
    const void *data = NULL;
    size_t len = 0;
    int64_t left_ms = -1;
    if (e == ERR_NONE && !is_caught_up(j->l2))
        e = ERR_CANCELLED; /* what was purged is no longer known */
    if (e == ERR_NONE)
        e = fault_of(j, replies[0]);
    if (e == ERR_NONE)
        e = fault_of(j, replies[1]);
    if (e == ERR_NONE) {
        const bool is_reply = replies[0]->kind == L2_BULK && replies[1]->kind == L2_INTEGER;
        const bool is_there = is_reply && replies[0]->len > 0 && replies[1]->integer != -2;
        const bool is_whole = is_there && replies[0]->len <= entry_bytes_max(j->l2);
        e = !is_reply ? ERR_PROTOCOL : !is_there ? ERR_NOT_FOUND : !is_whole ? ERR_LIMIT : ERR_NONE;
    }
    if (e == ERR_NONE) {
        data = replies[0]->text;
        len = replies[0]->len;
        left_ms = replies[1]->integer >= 0 ? replies[1]->integer : -1;
    }
    j->entry_fn(j->arg, e, data, len, left_ms);
}

struct l2_job *l2_get(struct l2 *l, const void *key, size_t key_len, l2_entry_fn *fn, void *arg)
{
    CHECK_OBJ(l, L2_MAGIC);
    if (!l2_is_ready(l))
        return NULL;
    struct l2_job *j = l2_job_create(l, L2_NAME_ENTRY, key, key_len);
    struct l2_args get = {0}, pttl = {0};
    l2_args_text(&get, "GETRANGE");
    l2_args_bytes(&get, j->key.text, j->key.len);
    l2_args_int(&get, 0);
    l2_args_int(&get, (int64_t)entry_bytes_max(l)); /* one byte more than an entry may have */
    l2_job_add(j, &get);
    l2_args_text(&pttl, "PTTL");
    l2_args_bytes(&pttl, j->key.text, j->key.len);
    l2_job_add(j, &pttl);
    j->on_done = on_entry;
    j->entry_fn = fn;
    j->arg = arg;
    return l2_job_send(j) ? j : NULL;
}

/* What nobody waits for: an answer of another kind than an error is success. */
static void on_written(struct l2_job *j, enum err e, struct l2_reply *const *replies)
{
    if (e == ERR_NONE)
        (void)fault_of(j, replies[0]);
}

bool l2_put(struct l2 *l, const void *key, size_t key_len, const void *data, size_t len, int64_t life_ms)
{
    CHECK_OBJ(l, L2_MAGIC);
    if (!l2_is_ready(l) || life_ms <= 0 || len == 0 || len > entry_bytes_max(l))
        return false;
    struct l2_job *j = l2_job_create(l, L2_NAME_ENTRY, key, key_len);
    struct l2_args a = {0};
    l2_args_text(&a, "SET");
    l2_args_bytes(&a, j->key.text, j->key.len);
    l2_args_bytes(&a, data, len);
    l2_args_text(&a, "PX");
    l2_args_int(&a, life_ms);
    l2_job_add(j, &a);
    j->on_done = on_written;
    return l2_job_send(j);
}

bool l2_remove(struct l2 *l, const void *key, size_t key_len)
{
    CHECK_OBJ(l, L2_MAGIC);
    struct l2_job *j = l2_job_create(l, L2_NAME_ENTRY, key, key_len);
    struct l2_args a = {0};
    l2_args_text(&a, "DEL");
    l2_args_bytes(&a, j->key.text, j->key.len);
    l2_job_add(j, &a);
    j->on_done = on_written;
    return l2_job_send(j);
}

/* ---- leases ---- */

/* Takes `j`, which has its key alone. EVAL and not EVALSHA: the script is hardly longer than its digest, and a release
 * that has to be sent twice may come after somebody else's try. */
static bool send_release(struct l2_job *j)
{
    char token[L2_LEASE_TOKEN_BYTES];
    struct l2_args a = {0};
    if (!l2_leases_take(j->l2->leases, j->key.text, j->key.len, token)) {
        l2_job_destroy(&j);
        return false;
    }
    l2_args_text(&a, "EVAL");
    l2_args_text(&a, release_script);
    l2_args_int(&a, 1);
    l2_args_bytes(&a, j->key.text, j->key.len);
    l2_args_text(&a, token);
    l2_job_add(j, &a);
    j->on_done = on_written;
    return l2_job_send(j);
}

bool l2_release(struct l2 *l, const void *key, size_t key_len)
{
    CHECK_OBJ(l, L2_MAGIC);
    return send_release(l2_job_create(l, L2_NAME_LEASE, key, key_len));
}

/* Redis may yet grant what we no longer wait for: it would keep everybody from fetching until it is over. */
static void give_up_lease(struct l2_job *j)
{
    struct l2_job *release = l2_job_create(j->l2, L2_NAME_LEASE, "", 0);
    release->key = j->key;
    (void)send_release(release);
}

static void on_leased(struct l2_job *j, enum err e, struct l2_reply *const *replies)
{
    char token[L2_LEASE_TOKEN_BYTES];
    if (e != ERR_NONE) {
        give_up_lease(j);
    } else {
        e = fault_of(j, replies[0]);
        if (e == ERR_NONE && !l2_reply_is_text(replies[0], "OK"))
            e = replies[0]->kind == L2_NIL ? ERR_BUSY : ERR_PROTOCOL;
        if (e != ERR_NONE)
            (void)l2_leases_take(j->l2->leases, j->key.text, j->key.len, token);
    }
    j->done_fn(j->arg, e);
}

struct l2_job *l2_lease(struct l2 *l, const void *key, size_t key_len, int64_t ms, l2_done_fn *fn, void *arg)
{
    CHECK_OBJ(l, L2_MAGIC);
    const int64_t now_ms = loop_now_ms(l->net->loop);
    if (!l2_is_ready(l) || ms <= 0)
        return NULL;
    struct l2_job *j = l2_job_create(l, L2_NAME_LEASE, key, key_len);
    const char *token = l2_leases_add(l->leases, j->key.text, j->key.len, now_ms + ms, now_ms);
    if (token == NULL) {
        l2_job_destroy(&j);
        return NULL;
    }
    struct l2_args a = {0};
    l2_args_text(&a, "SET");
    l2_args_bytes(&a, j->key.text, j->key.len);
    l2_args_text(&a, token);
    l2_args_text(&a, "NX");
    l2_args_text(&a, "PX");
    l2_args_int(&a, ms);
    l2_job_add(j, &a);
    j->on_done = on_leased;
    j->done_fn = fn;
    j->arg = arg;
    const struct l2_redis_key name = j->key;
    if (l2_job_send(j))
        return j;
    char unused[L2_LEASE_TOKEN_BYTES];
    (void)l2_leases_take(l->leases, name.text, name.len, unused);
    return NULL;
}

/* ---- anything else ---- */

static void on_answer(struct l2_job *j, enum err e, struct l2_reply *const *replies)
{
    if (e == ERR_NONE)
        e = fault_of(j, replies[0]);
    j->answer_fn(j->arg, e, replies != NULL ? replies[0] : NULL);
}

struct l2_job *l2_ask(struct l2 *l, const char *key, const struct l2_args *args, l2_answer_fn *fn, void *arg)
{
    CHECK_OBJ(l, L2_MAGIC);
    if (!l2_is_ready(l))
        return NULL;
    struct l2_job *j = l2_job_create(l, L2_NAME_ENTRY, "", 0);
    j->key.len = strlen(key);
    ASSERT(j->key.len < sizeof j->key.text);
    memcpy(j->key.text, key, j->key.len + 1);
    l2_job_add(j, args);
    j->on_done = on_answer;
    j->answer_fn = fn;
    j->arg = arg;
    return l2_job_send(j) ? j : NULL;
}

void l2_cancel(struct l2_job **jp)
{
    if ((*jp)->on_done == on_leased)
        give_up_lease(*jp);
    l2_job_destroy(jp);
}

bool l2_purge(struct l2 *l, const struct cache_purge *p)
{
    CHECK_OBJ(l, L2_MAGIC);
    return l->kind != NULL && l->purges != NULL && l2_purges_add(l->purges, p);
}
