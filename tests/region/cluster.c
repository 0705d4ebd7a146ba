/* A message is one line of JSON (kind, sender), a line feed, and bytes that belong to it: a shout's payload goes
 * through untouched. Redis keeps the order of one publisher; nothing here needs more. */
#include "tests/region/cluster.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/region/changes.h"
#include "tests/region/hub.h"
#include "tests/region/presence.h"
#include "tests/region/redis.h"
#include "tests/region/region.h"

#define CLUSTER_MAGIC   0x4e61c10bu
#define NODE_MAGIC      0x4e610d0cu
#define CLUSTER_CHANNEL "region:cluster"
#define NODES_MAX       256u

struct node {
    uint32_t magic;
    struct list link;
    char *id; /* "us-a/6f00..." */
    int64_t heard_ms;
};

struct cluster {
    uint32_t magic;
    struct region *region;
    char *id;
    struct redis *speak;
    struct redis *listen;
    struct timer alive;
    struct list nodes;
    size_t node_count;
};

/* ---- out ---- */

/* Takes the head. */
static void publish(struct cluster *c, json_t *take_head, const void *bytes, size_t len)
{
    struct strbuf message;
    char *head;

    json_object_set_new(take_head, "from", json_string(c->id));
    head = json_dumps(take_head, JSON_COMPACT);
    strbuf_init(&message, (16u << 20));
    strbuf_puts(&message, head);
    strbuf_puts(&message, "\n");
    strbuf_add(&message, bytes, len);
    if (!message.failed) {
        const char *argv[3] = {"PUBLISH", CLUSTER_CHANNEL, message.data};
        const size_t argv_len[3] = {7, strlen(CLUSTER_CHANNEL), message.len};

        redis_command(c->speak, NULL, NULL, 3, argv, argv_len);
    }
    strbuf_fini(&message);
    mem_free(head);
    json_decref(take_head);
}

void cluster_shout(struct cluster *c, const struct shout *s)
{
    CHECK_OBJ(c, CLUSTER_MAGIC);
    publish(c,
            json_pack("{s:s, s:s, s:s, s:s?, s:b, s:b}", "kind", "shout", "topic", s->topic, "event", s->event, "meta",
                      s->meta, "user", s->is_user, "json", s->is_json),
            s->bytes, s->len);
}

void cluster_presence(struct cluster *c, const json_t *joins, const json_t *leaves)
{
    CHECK_OBJ(c, CLUSTER_MAGIC);
    publish(c, json_pack("{s:s, s:O, s:O}", "kind", "presence", "joins", joins, "leaves", leaves), "", 0);
}

void cluster_change(struct cluster *c, const char *data, size_t len)
{
    CHECK_OBJ(c, CLUSTER_MAGIC);
    publish(c, json_pack("{s:s}", "kind", "change"), data, len);
}

/* Who hears it tells who is present there. Said again whenever one of the two connections is there: what is told before
 * this region listens is lost. */
static void say_hello(struct cluster *c)
{
    publish(c, json_pack("{s:s}", "kind", "hello"), "", 0);
}

static void tell_presence(struct cluster *c)
{
    json_t *entries = presence_entries(c->region->hub);
    json_t *none = json_array();

    if (json_array_size(entries) > 0)
        cluster_presence(c, entries, none);
    json_decref(entries);
    json_decref(none);
}

/* ---- in ---- */

static struct node *find_node(const struct cluster *c, const char *id)
{
    LIST_EACH (it, &c->nodes) {
        struct node *n = LIST_ENTRY(it, struct node, link);

        if (strcmp(n->id, id) == 0)
            return n;
    }
    return NULL;
}

static void node_destroy(struct cluster *c, struct node *n)
{
    c->node_count--;
    list_unlink(&n->link);
    mem_free(n->id);
    OBJ_FREE(&n, NODE_MAGIC);
}

static void node_gone(struct cluster *c, struct node *n)
{
    LOG_INFO("region gone", KV_STR("node", n->id));
    presence_drop_node(c->region->hub, n->id);
    node_destroy(c, n);
}

/* NULL: one too many. */
static struct node *node_heard(struct cluster *c, const char *id)
{
    struct node *n = find_node(c, id);

    if (n == NULL) {
        if (c->node_count == NODES_MAX)
            return NULL;
        OBJ_NEW(n, NODE_MAGIC);
        n->id = mem_strdup(id);
        list_init(&n->link);
        list_append(&c->nodes, &n->link);
        c->node_count++;
        LOG_INFO("region heard", KV_STR("node", id));
        tell_presence(c); /* it may be new and know nobody */
    }
    n->heard_ms = loop_now_ms(c->region->loop);
    return n;
}

static void on_shout(struct cluster *c, struct node *from, const json_t *head, const char *bytes, size_t len)
{
    struct shout s = {
        .topic = json_string_value(json_object_get(head, "topic")),
        .event = json_string_value(json_object_get(head, "event")),
        .meta = json_string_value(json_object_get(head, "meta")),
        .is_user = json_is_true(json_object_get(head, "user")),
        .is_json = json_is_true(json_object_get(head, "json")),
        .bytes = bytes,
        .len = len,
    };

    (void)from;
    if (s.topic != NULL && s.event != NULL)
        hub_deliver(c->region->hub, &s, NULL);
}

static void on_presence(struct cluster *c, struct node *from, const json_t *head, const char *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    presence_apply(c->region->hub, from->id, json_object_get(head, "joins"), json_object_get(head, "leaves"));
}

static void on_change(struct cluster *c, struct node *from, const json_t *head, const char *bytes, size_t len)
{
    (void)from;
    (void)head;
    changes_deliver(c->region, bytes, len);
}

static void on_hello(struct cluster *c, struct node *from, const json_t *head, const char *bytes, size_t len)
{
    (void)from;
    (void)head;
    (void)bytes;
    (void)len;
    tell_presence(c);
}

static void on_bye(struct cluster *c, struct node *from, const json_t *head, const char *bytes, size_t len)
{
    (void)head;
    (void)bytes;
    (void)len;
    node_gone(c, from);
}

static const struct {
    const char *kind;
    void (*on)(struct cluster *, struct node *from, const json_t *head, const char *bytes, size_t len);
} kinds[] = {
    {"shout", on_shout}, {"presence", on_presence}, {"change", on_change}, {"hello", on_hello}, {"bye", on_bye}};

static void on_message(void *arg, const struct redis_answer *a)
{
    struct cluster *c = arg;
    const char *line_end;
    json_t *head;
    const char *from, *kind;

    CHECK_OBJ(c, CLUSTER_MAGIC);
    if (!a->is_error && a->count == 3 && a->text[0] != NULL && strcmp(a->text[0], "subscribe") == 0)
        say_hello(c);
    if (a->is_error || a->count != 3 || a->text[2] == NULL || a->text[0] == NULL || strcmp(a->text[0], "message") != 0)
        return;
    line_end = memchr(a->text[2], '\n', a->len[2]);
    if (line_end == NULL)
        return;
    head = json_loadb(a->text[2], (size_t)(line_end - a->text[2]), 0, NULL);
    from = json_string_value(json_object_get(head, "from"));
    kind = json_string_value(json_object_get(head, "kind"));
    if (from != NULL && kind != NULL && strcmp(from, c->id) != 0) {
        struct node *n = node_heard(c, from);

        for (size_t i = 0; n != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
            if (strcmp(kind, kinds[i].kind) == 0) {
                kinds[i].on(c, n, head, line_end + 1, a->len[2] - (size_t)(line_end + 1 - a->text[2]));
                break;
            }
    }
    json_decref(head);
}

/* ---- life ---- */

static void on_alive(void *arg)
{
    struct cluster *c = arg;
    int64_t now_ms = loop_now_ms(c->region->loop);

    CHECK_OBJ(c, CLUSTER_MAGIC);
    publish(c, json_pack("{s:s}", "kind", "alive"), "", 0);
    LIST_EACH (it, &c->nodes) {
        struct node *n = LIST_ENTRY(it, struct node, link);

        if (now_ms - n->heard_ms > CLUSTER_GONE_MS)
            node_gone(c, n);
    }
    timer_start(&c->alive, CLUSTER_ALIVE_MS);
}

static void on_listen_up(void *arg)
{
    struct cluster *c = arg;

    redis_subscribe(c->listen, CLUSTER_CHANNEL, on_message, c);
}

static void on_speak_up(void *arg)
{
    struct cluster *c = arg;

    say_hello(c);
    tell_presence(c);
}

struct cluster *cluster_create(struct region *r, const char *redis_url)
{
    struct cluster *c;

    CHECK_OBJ(r, REGION_MAGIC);
    OBJ_NEW(c, CLUSTER_MAGIC);
    c->region = r;
    c->id = mem_printf("%s/%s", r->name, r->run);
    list_init(&c->nodes);
    timer_init(&c->alive, r->loop, on_alive, c);
    timer_start(&c->alive, CLUSTER_ALIVE_MS);
    c->listen = redis_create(r->loop, redis_url, on_listen_up, c);
    c->speak = redis_create(r->loop, redis_url, on_speak_up, c);
    if (c->listen == NULL || c->speak == NULL)
        cluster_destroy(&c);
    return c;
}

void cluster_destroy(struct cluster **cp)
{
    struct cluster *c = *cp;

    CHECK_OBJ(c, CLUSTER_MAGIC);
    timer_cancel(&c->alive);
    if (c->speak != NULL && redis_is_up(c->speak))
        publish(c, json_pack("{s:s}", "kind", "bye"), "", 0);
    if (c->listen != NULL)
        redis_destroy(&c->listen);
    if (c->speak != NULL)
        redis_destroy(&c->speak);
    LIST_EACH (it, &c->nodes)
        node_destroy(c, LIST_ENTRY(it, struct node, link));
    mem_free(c->id);
    OBJ_FREE(cp, CLUSTER_MAGIC);
}

json_t *cluster_names(const struct cluster *c)
{
    json_t *names = json_array();

    CHECK_OBJ(c, CLUSTER_MAGIC);
    LIST_EACH (it, &c->nodes) {
        const struct node *n = LIST_ENTRY(it, struct node, link);

        json_array_append_new(names, json_stringn(n->id, strcspn(n->id, "/")));
    }
    return names;
}
