/* hiredis drives its own buffers; we lend it the loop (four callbacks) and decide when to connect again. Its context
 * dies inside its own callbacks, so nothing of ours depends on it outside of them. */
#include "tests/region/redis.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define REDIS_MAGIC      0x4e61ed0du
#define CALL_MAGIC       0x4e61ca0eu
#define RECONNECT_MIN_MS 100
#define RECONNECT_MAX_MS 2000
#define ANSWER_PARTS_MAX 100000u

struct redis {
    uint32_t magic;
    struct loop *loop;
    char *host; /* or the path of a unix socket */
    int port;   /* 0: unix socket */
    int db;
    redis_up_fn *on_up;
    void *arg;
    redisAsyncContext *context; /* NULL between tries */
    bool is_up;
    bool is_ending;
    struct io io;
    struct timer again;
    int64_t again_ms;
};

struct call {
    uint32_t magic;
    bool is_standing; /* a subscription: answered many times */
    redis_answer_fn *on_answer;
    void *arg;
};

/* ---- the loop, lent ---- */

static void on_io(void *arg, unsigned events)
{
    struct redis *r = arg;

    CHECK_OBJ(r, REDIS_MAGIC);
    if ((events & IO_READ) != 0 && r->context != NULL)
        redisAsyncHandleRead(r->context);
    if ((events & IO_WRITE) != 0 && r->context != NULL)
        redisAsyncHandleWrite(r->context);
}

static void want(void *arg, unsigned add, unsigned drop)
{
    struct redis *r = arg;

    io_want(&r->io, (io_wanted(&r->io) | add) & ~drop);
}

static void add_read(void *arg)
{
    want(arg, IO_READ, 0);
}

static void del_read(void *arg)
{
    want(arg, 0, IO_READ);
}

static void add_write(void *arg)
{
    want(arg, IO_WRITE, 0);
}

static void del_write(void *arg)
{
    want(arg, 0, IO_WRITE);
}

/* The context frees itself after this. */
static void on_cleanup(void *arg)
{
    struct redis *r = arg;

    io_fini(&r->io);
    r->context = NULL;
    r->is_up = false;
    if (!r->is_ending) {
        timer_start(&r->again, r->again_ms);
        r->again_ms = r->again_ms * 2 > RECONNECT_MAX_MS ? RECONNECT_MAX_MS : r->again_ms * 2;
    }
}

/* ---- connection ---- */

static void on_connected(const redisAsyncContext *context, int status)
{
    struct redis *r = context->data;

    if (status != REDIS_OK) {
        LOG_WARN("redis not reached", KV_STR("host", r->host), KV_STR("cause", context->errstr));
        return;
    }
    r->is_up = true;
    r->again_ms = RECONNECT_MIN_MS;
    if (r->db != 0)
        redisAsyncCommand(r->context, NULL, NULL, "SELECT %d", r->db);
    if (r->on_up != NULL)
        r->on_up(r->arg);
}

static void on_disconnected(const redisAsyncContext *context, int status)
{
    struct redis *r = context->data;

    r->is_up = false;
    if (status != REDIS_OK)
        LOG_WARN("redis lost", KV_STR("host", r->host), KV_STR("cause", context->errstr));
}

static void on_again(void *arg)
{
    struct redis *r = arg;

    CHECK_OBJ(r, REDIS_MAGIC);
    r->context = r->port == 0 ? redisAsyncConnectUnix(r->host) : redisAsyncConnect(r->host, r->port);
    ASSERT(r->context != NULL);
    if (r->context->err != 0) {
        redisAsyncContext *failed = r->context;

        r->context = NULL;
        redisAsyncFree(failed);
        timer_start(&r->again, RECONNECT_MAX_MS);
        return;
    }
    r->context->data = r;
    io_init(&r->io, r->loop, r->context->c.fd, on_io, r);
    r->context->ev.data = r;
    r->context->ev.addRead = add_read;
    r->context->ev.delRead = del_read;
    r->context->ev.addWrite = add_write;
    r->context->ev.delWrite = del_write;
    r->context->ev.cleanup = on_cleanup;
    redisAsyncSetConnectCallback(r->context, on_connected);
    redisAsyncSetDisconnectCallback(r->context, on_disconnected);
}

static bool parse_url(struct redis *r, const char *url)
{
    const char *at, *end;

    if (strncmp(url, "unix:", 5) == 0) {
        r->host = mem_strdup(url + 5);
        return url[5] != '\0';
    }
    if (strncmp(url, "redis://", 8) != 0)
        return false;
    at = url + 8;
    end = at + strcspn(at, ":/");
    r->host = mem_strndup(at, (size_t)(end - at));
    r->port = *end == ':' ? atoi(end + 1) : 6379;
    end += strcspn(end, "/");
    r->db = *end == '/' ? atoi(end + 1) : 0;
    return r->host[0] != '\0' && r->port > 0 && r->port < 65536;
}

struct redis *redis_create(struct loop *l, const char *url, redis_up_fn *on_up, void *arg)
{
    struct redis *r;

    OBJ_NEW(r, REDIS_MAGIC);
    r->loop = l;
    r->on_up = on_up;
    r->arg = arg;
    r->again_ms = RECONNECT_MIN_MS;
    timer_init(&r->again, l, on_again, r);
    if (!parse_url(r, url)) {
        LOG_ERR("not a redis url", KV_STR("url", url));
        redis_destroy(&r);
        return NULL;
    }
    timer_start(&r->again, 0);
    return r;
}

void redis_destroy(struct redis **rp)
{
    struct redis *r = *rp;

    CHECK_OBJ(r, REDIS_MAGIC);
    r->is_ending = true;
    timer_cancel(&r->again);
    if (r->context != NULL && r->is_up)
        redisAsyncHandleWrite(r->context); /* the last words, if the socket takes them */
    if (r->context != NULL)
        redisAsyncFree(r->context);
    ASSERT(r->context == NULL);
    mem_free(r->host);
    OBJ_FREE(rp, REDIS_MAGIC);
}

bool redis_is_up(const struct redis *r)
{
    CHECK_OBJ(r, REDIS_MAGIC);
    return r->is_up;
}

/* ---- commands ---- */

static void flatten_one(const redisReply *reply, const char **text, size_t *len, char *number)
{
    *text = NULL;
    *len = 0;
    if (reply->type == REDIS_REPLY_INTEGER) {
        *len = (size_t)snprintf(number, 24, "%lld", reply->integer);
        *text = number;
    } else if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) {
        *text = reply->str;
        *len = (size_t)reply->len;
    }
}

static void answer(const struct call *k, const redisReply *reply)
{
    struct redis_answer a = {.is_error = reply == NULL || reply->type == REDIS_REPLY_ERROR};
    bool is_array = reply != NULL && reply->type == REDIS_REPLY_ARRAY;
    size_t count = a.is_error ? 0 : is_array ? reply->elements : 1;
    char *numbers;

    if (count > ANSWER_PARTS_MAX) {
        a.is_error = true;
        count = 0;
    }
    a.count = a.is_error || reply->type == REDIS_REPLY_NIL ? 0 : count;
    a.text = mem_alloc_array(count + 1, sizeof(*a.text));
    a.len = mem_alloc_array(count + 1, sizeof(*a.len));
    numbers = mem_alloc_array(count + 1, 24);
    for (size_t i = 0; i < count; i++)
        flatten_one(is_array ? reply->element[i] : reply, &a.text[i], &a.len[i], numbers + 24 * i);
    k->on_answer(k->arg, &a);
    mem_free(numbers);
    mem_free(a.len);
    mem_free(a.text);
}

static void on_reply(redisAsyncContext *context, void *reply, void *arg)
{
    struct call *k = arg;

    (void)context;
    CHECK_OBJ(k, CALL_MAGIC);
    answer(k, reply);
    if (!k->is_standing || reply == NULL)
        OBJ_FREE(&k, CALL_MAGIC);
}

static void no_connection(redis_answer_fn *on_answer, void *arg)
{
    struct redis_answer a = {.is_error = true};

    if (on_answer != NULL)
        on_answer(arg, &a);
}

static struct call *call_create(redis_answer_fn *on_answer, void *arg, bool is_standing)
{
    struct call *k;

    if (on_answer == NULL)
        return NULL;
    OBJ_NEW(k, CALL_MAGIC);
    k->on_answer = on_answer;
    k->arg = arg;
    k->is_standing = is_standing;
    return k;
}

void redis_command(struct redis *r, redis_answer_fn *on_answer, void *arg, size_t argc, const char **argv,
                   const size_t *argv_len)
{
    struct call *k;

    CHECK_OBJ(r, REDIS_MAGIC);
    if (!r->is_up || sdslen(r->context->c.obuf) > REDIS_BACKLOG_MAX_BYTES) {
        no_connection(on_answer, arg);
        return;
    }
    k = call_create(on_answer, arg, false);
    if (redisAsyncCommandArgv(r->context, k == NULL ? NULL : on_reply, k, (int)argc, argv, argv_len) != REDIS_OK) {
        if (k != NULL)
            OBJ_FREE(&k, CALL_MAGIC);
        no_connection(on_answer, arg);
    }
}

void redis_subscribe(struct redis *r, const char *channel, redis_answer_fn *on_message, void *arg)
{
    struct call *k = call_create(on_message, arg, true);

    CHECK_OBJ(r, REDIS_MAGIC);
    ASSERT(r->is_up && k != NULL);
    if (redisAsyncCommand(r->context, on_reply, k, "SUBSCRIBE %s", channel) != REDIS_OK)
        OBJ_FREE(&k, CALL_MAGIC);
}
