/* The servers, and a clock that looks at the table for them. A look is one read of shared memory; what costs more, the
 * digest of all sets, is worked out when the table has changed, and every second for the sake of names whose addresses
 * change behind it. Without servers there is no clock. */
#include "health/nameserver/pusher.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define PUSHER_MAGIC    0x1f6e8ac5u
#define LOOK_EVERY_MS   50
#define DIGEST_EVERY_MS 1000
#define AGAIN_MS        (INT64_C(3600) * 1000)
#define RETRY_MS        1000
#define RETRY_MAX_MS    60000

struct pusher {
    uint32_t magic;
    struct pusher_env env;
    struct push_env push_env;
    struct steering_record record; /* as last read */
    uint32_t seen;                 /* sequence of the table; 0: never */
    int64_t digest_due_ms;
    struct timer look;
    struct conf *conf; /* NULL: none yet */
    struct push_server *servers[CONF_DNS_PUSHES_MAX];
    size_t count;
};

static void look_for_all(struct pusher *p)
{
    for (size_t i = 0; i < p->count; i++)
        push_server_look(p->servers[i]);
}

/* True when there was something new. */
static bool read_table(struct pusher *p)
{
    const uint32_t sequence = steering_sequence(p->env.table);
    struct steering_record r;

    if (sequence == p->seen || !steering_load(p->env.table, &r))
        return false;
    p->seen = sequence;
    p->record = r;
    return true;
}

static void on_look(void *arg)
{
    struct pusher *p = arg;
    const int64_t now_ms = loop_now_ms(p->env.loop);

    CHECK_OBJ(p, PUSHER_MAGIC);
    timer_start(&p->look, LOOK_EVERY_MS);
    if (read_table(p) || now_ms >= p->digest_due_ms) {
        p->digest_due_ms = now_ms + DIGEST_EVERY_MS;
        look_for_all(p);
    }
}

/* The server of the configuration before that goes by the same name, out of `old`; or a new one. */
static struct push_server *find_server(struct pusher *p, struct push_server **old, size_t old_count,
                                       const struct conf_dns_push *push)
{
    for (size_t i = 0; i < old_count; i++) {
        struct push_server *s = old[i];
        if (s != NULL && push_server_is(s, push)) {
            old[i] = NULL;
            return s;
        }
    }
    return push_server_create(&p->push_env);
}

/* Where there is a quorum, a process that begins is alone until it has met the others. What it would tell meanwhile
 * could be older than what their leader has told, and nobody would put that right for an hour. */
static void wait_for_others(struct pusher *p, const struct conf *conf)
{
    const bool had_quorum = p->conf != NULL && p->conf->quorum.redis.text[0] != '\0';

    if (conf->quorum.redis.text[0] != '\0' && !had_quorum)
        p->push_env.alone_from_ms = loop_now_ms(p->env.loop) + conf->quorum.lifetime_ms;
}

void pusher_take_conf(struct pusher *p, struct conf *conf)
{
    struct push_server *old[CONF_DNS_PUSHES_MAX];
    const size_t old_count = p->count;
    struct conf *old_conf = p->conf;

    CHECK_OBJ(p, PUSHER_MAGIC);
    wait_for_others(p, conf);
    memcpy(old, p->servers, sizeof old);
    p->conf = conf_ref(conf);
    p->count = 0;
    for (size_t i = 0; i < conf->dns.push_count; i++) {
        struct push_server *s = find_server(p, old, old_count, &conf->dns.pushes[i]);
        const char *why = push_server_take_conf(s, &conf->dns, &conf->dns.pushes[i]);
        if (why == NULL) {
            p->servers[p->count++] = s;
            continue;
        }
        LOG_ERR("server is not told of changes", KV_STR("server", conf->dns.pushes[i].server), KV_STR("cause", why));
        push_server_destroy(&s);
    }
    for (size_t i = 0; i < old_count; i++)
        if (old[i] != NULL)
            push_server_destroy(&old[i]);
    if (old_conf != NULL)
        conf_unref(&old_conf);
    if (p->count > 0)
        timer_start(&p->look, 0);
    else
        timer_cancel(&p->look);
    p->digest_due_ms = 0;
}

struct pusher *pusher_create(const struct pusher_env *env)
{
    struct pusher *p;

    OBJ_NEW(p, PUSHER_MAGIC);
    p->env = *env;
    p->push_env = (struct push_env){.loop = env->loop,
                                    .resolver = env->resolver,
                                    .block = env->block,
                                    .choice = {.record = &p->record, .alias = env->alias, .arg = env->arg},
                                    .pace = {.again_ms = AGAIN_MS, .retry_ms = RETRY_MS, .retry_max_ms = RETRY_MAX_MS},
                                    .on_event = env->on_event,
                                    .arg = env->arg};
    timer_init(&p->look, env->loop, on_look, p);
    return p;
}

void pusher_destroy(struct pusher **pp)
{
    struct pusher *p = *pp;

    CHECK_OBJ(p, PUSHER_MAGIC);
    timer_cancel(&p->look);
    for (size_t i = 0; i < p->count; i++)
        push_server_destroy(&p->servers[i]);
    if (p->conf != NULL)
        conf_unref(&p->conf);
    OBJ_FREE(pp, PUSHER_MAGIC);
}
