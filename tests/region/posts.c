#include "tests/region/posts.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "tests/region/channel.h"
#include "tests/region/client.h"
#include "tests/region/hub.h"
#include "tests/region/region.h"
#include "tests/region/socket.h"

#define POSTS_MAGIC 0x4e617057u
#define POSTS_KEPT  256u
#define REPLAY_MAX  25u

struct post {
    char *topic;
    json_t *said; /* the payload of its frame */
    int64_t at_ms;
};

struct posts {
    uint32_t magic;
    size_t count; /* ever; the next row is this modulo the size */
    struct post kept[POSTS_KEPT];
};

struct posts *posts_create(void)
{
    struct posts *p;

    OBJ_NEW(p, POSTS_MAGIC);
    return p;
}

static void forget(struct post *p)
{
    mem_free(p->topic);
    json_decref(p->said);
}

void posts_destroy(struct posts **pp)
{
    CHECK_OBJ(*pp, POSTS_MAGIC);
    for (size_t i = 0; i < POSTS_KEPT; i++)
        forget(&(*pp)->kept[i]);
    OBJ_FREE(pp, POSTS_MAGIC);
}

/* ---- in ---- */

static void make_id(char out[37])
{
    uint8_t b[16];

    ASSERT(getrandom(b, sizeof(b), 0) == (ssize_t)sizeof(b));
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-a%01x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
             b[4], b[5], b[6] & 15, b[7], b[8] & 15, b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void send_one(struct region *r, const json_t *message)
{
    const char *topic = json_string_value(json_object_get(message, "topic"));
    const char *event = json_string_value(json_object_get(message, "event"));
    char *payload = json_dumps(json_object_get(message, "payload"), JSON_COMPACT | JSON_ENCODE_ANY);
    char id[37], meta[64];

    if (topic != NULL && event != NULL && payload != NULL) {
        char *full = mem_printf("realtime:%s", topic);
        struct shout s = {.topic = full,
                          .event = event,
                          .meta = meta,
                          .is_user = true,
                          .is_json = true,
                          .bytes = payload,
                          .len = strlen(payload)};

        make_id(id);
        snprintf(meta, sizeof(meta), "{\"id\":\"%s\"}", id);
        hub_shout(r->hub, &s, NULL);
        mem_free(full);
    }
    mem_free(payload);
}

void posts_serve(struct client *c)
{
    json_t *body, *messages;

    CHECK_OBJ(c, CLIENT_MAGIC);
    body = c->in.data == NULL ? NULL : json_loadb(c->in.data, c->in.len, 0, NULL);
    messages = json_object_get(body, "messages");
    for (size_t i = 0; i < json_array_size(messages); i++)
        send_one(c->region, json_array_get(messages, i));
    if (json_is_array(messages))
        client_answer(c, 202, NULL, "", 0);
    else
        client_answer_json(c, 422, json_pack("{s:s}", "error", "messages are expected"));
    json_decref(body);
}

void posts_keep(struct posts *p, const struct shout *s, int64_t wall_ms)
{
    struct post *post = &p->kept[p->count % POSTS_KEPT];

    CHECK_OBJ(p, POSTS_MAGIC);
    forget(post);
    p->count++;
    post->topic = mem_strdup(s->topic);
    post->at_ms = wall_ms;
    post->said = json_pack("{s:s, s:s, s:o, s:o}", "type", "broadcast", "event", s->event, "payload",
                           json_loadb(s->bytes, s->len, JSON_DECODE_ANY, NULL), "meta", json_loads(s->meta, 0, NULL));
    if (post->said != NULL)
        json_object_set_new(json_object_get(post->said, "meta"), "replayed", json_true());
}

/* ---- out ---- */

static bool is_missed(const struct post *p, const struct channel *c, int64_t since_ms)
{
    return p->said != NULL && p->at_ms >= since_ms && strcmp(p->topic, c->topic->name) == 0;
}

void posts_replay(const struct posts *p, struct channel *c, const json_t *wanted)
{
    const struct post *found[REPLAY_MAX];
    int64_t since_ms = (int64_t)json_number_value(json_object_get(wanted, "since"));
    size_t limit = (size_t)json_integer_value(json_object_get(wanted, "limit")), count = 0;

    CHECK_OBJ(p, POSTS_MAGIC);
    if (!json_is_object(wanted) || !c->is_private)
        return;
    if (limit == 0 || limit > REPLAY_MAX)
        limit = REPLAY_MAX;
    for (size_t back = 1; back <= POSTS_KEPT && back <= p->count && count < limit; back++) {
        const struct post *post = &p->kept[(p->count - back) % POSTS_KEPT];

        if (is_missed(post, c, since_ms))
            found[count++] = post;
    }
    while (count > 0)
        socket_push(c->socket, c->join_ref, NULL, c->topic->name, "broadcast", json_incref(found[--count]->said));
}
