/* A shout is written at most once in each form, whatever the number of channels. */
#include "tests/region/hub.h"

#include <string.h>

#include "base/mem.h"
#include "tests/region/channel.h"
#include "tests/region/cluster.h"
#include "tests/region/posts.h"
#include "tests/region/presence.h"
#include "tests/region/region.h"
#include "tests/region/socket.h"

#define TOPIC_MAGIC     0x4e617007u
#define SHOUT_MAX_BYTES (8u << 20)

struct hub *hub_create(struct region *r)
{
    struct hub *h;

    CHECK_OBJ(r, REGION_MAGIC);
    OBJ_NEW(h, HUB_MAGIC);
    h->region = r;
    h->topics = map_create();
    list_init(&h->watching);
    return h;
}

static void topic_destroy(struct topic **tp)
{
    struct topic *t = *tp;

    CHECK_OBJ(t, TOPIC_MAGIC);
    ASSERT(list_is_empty(&t->channels));
    presence_forget_topic(t);
    mem_free(t->name);
    OBJ_FREE(tp, TOPIC_MAGIC);
}

void hub_destroy(struct hub **hp)
{
    size_t cursor = 0;
    void *value;

    CHECK_OBJ(*hp, HUB_MAGIC);
    while (map_next((*hp)->topics, &cursor, NULL, NULL, &value)) {
        struct topic *t = value;

        topic_destroy(&t);
    }
    map_destroy(&(*hp)->topics);
    OBJ_FREE(hp, HUB_MAGIC);
}

struct topic *hub_topic(struct hub *h, const char *name)
{
    struct topic *t;

    CHECK_OBJ(h, HUB_MAGIC);
    t = map_get(h->topics, name, strlen(name));
    if (t != NULL)
        return t;
    if (map_count(h->topics) >= HUB_TOPICS_MAX)
        return NULL;
    OBJ_NEW(t, TOPIC_MAGIC);
    t->name = mem_strdup(name);
    list_init(&t->channels);
    list_init(&t->presences);
    map_put(h->topics, name, strlen(name), t);
    return t;
}

void hub_tidy(struct hub *h, struct topic *t)
{
    CHECK_OBJ(h, HUB_MAGIC);
    CHECK_OBJ(t, TOPIC_MAGIC);
    if (!list_is_empty(&t->channels) || !list_is_empty(&t->presences))
        return;
    map_remove(h->topics, t->name, strlen(t->name));
    topic_destroy(&t);
}

void hub_deliver(struct hub *h, const struct shout *s, const struct channel *except)
{
    struct strbuf text[WIRE_FORM_COUNT];
    bool is_written[WIRE_FORM_COUNT] = {false}, is_good[WIRE_FORM_COUNT], is_binary[WIRE_FORM_COUNT];
    struct topic *t;

    CHECK_OBJ(h, HUB_MAGIC);
    if (s->meta != NULL)
        posts_keep(h->region->posts, s, loop_wall_ms(h->region->loop));
    t = map_get(h->topics, s->topic, strlen(s->topic));
    if (t == NULL)
        return;
    LIST_EACH (it, &t->channels) {
        struct channel *c = LIST_ENTRY(it, struct channel, in_topic);
        enum wire_form form = channel_form(c);

        if (c == except)
            continue;
        if (!is_written[form]) {
            strbuf_init(&text[form], SHOUT_MAX_BYTES);
            is_good[form] = wire_write_shout(&text[form], form, s, &is_binary[form]);
            is_written[form] = true;
        }
        if (is_good[form])
            socket_send(c->socket, text[form].data, text[form].len, is_binary[form]);
    }
    for (size_t i = 0; i < WIRE_FORM_COUNT; i++)
        if (is_written[i])
            strbuf_fini(&text[i]);
}

void hub_shout(struct hub *h, const struct shout *s, const struct channel *except)
{
    hub_deliver(h, s, except);
    if (h->region->cluster != NULL)
        cluster_shout(h->region->cluster, s);
}
