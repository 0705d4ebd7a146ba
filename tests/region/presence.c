/* Changes are told as Phoenix does: one presence_diff with joins and leaves; a new meta for the same key is both. */
#include "tests/region/presence.h"

#include <string.h>

#include "base/mem.h"
#include "tests/region/channel.h"
#include "tests/region/cluster.h"
#include "tests/region/region.h"

static void presence_destroy(struct presence **pp)
{
    struct presence *p = *pp;

    CHECK_OBJ(p, PRESENCE_MAGIC);
    list_unlink(&p->link);
    mem_free(p->key);
    mem_free(p->ref);
    mem_free(p->node);
    json_decref(p->meta);
    OBJ_FREE(pp, PRESENCE_MAGIC);
}

static struct presence *add_entry(struct topic *t, const char *key, const char *ref, const char *node, json_t *meta)
{
    struct presence *p;

    OBJ_NEW(p, PRESENCE_MAGIC);
    p->key = mem_strdup(key);
    p->ref = mem_strdup(ref);
    p->node = mem_strdup(node);
    p->meta = json_is_object(meta) ? json_copy(meta) : json_object();
    json_object_set_new(p->meta, "phx_ref", json_string(ref));
    list_init(&p->link);
    list_append(&t->presences, &p->link);
    return p;
}

/* Into {key: {metas: [...]}}. */
static void put_meta(json_t *state, const struct presence *p)
{
    json_t *entry = json_object_get(state, p->key);

    if (entry == NULL) {
        entry = json_pack("{s:[]}", "metas");
        json_object_set_new(state, p->key, entry);
    }
    json_array_append(json_object_get(entry, "metas"), p->meta);
}

json_t *presence_state(const struct topic *t)
{
    json_t *state = json_object();

    LIST_EACH (it, &t->presences)
        put_meta(state, LIST_ENTRY(it, struct presence, link));
    return state;
}

void presence_forget_topic(struct topic *t)
{
    LIST_EACH (it, &t->presences) {
        struct presence *p = LIST_ENTRY(it, struct presence, link);

        presence_destroy(&p);
    }
}

/* Takes both. */
static void tell_subscribers(struct hub *h, const char *topic, json_t *joins, json_t *leaves)
{
    json_t *diff = json_pack("{s:o, s:o}", "joins", joins, "leaves", leaves);
    char *text = json_dumps(diff, JSON_COMPACT);
    struct shout s = {.topic = topic, .event = "presence_diff", .is_json = true, .bytes = text, .len = strlen(text)};

    hub_deliver(h, &s, NULL);
    mem_free(text);
    json_decref(diff);
}

static json_t *entry_json(const char *topic, const struct presence *p)
{
    return json_pack("{s:s, s:s, s:s, s:O}", "topic", topic, "key", p->key, "ref", p->ref, "meta", p->meta);
}

static struct presence *find_own(const struct channel *c)
{
    LIST_EACH (it, &c->topic->presences) {
        struct presence *p = LIST_ENTRY(it, struct presence, link);

        if (p->channel == c)
            return p;
    }
    return NULL;
}

/* Takes `old` (may be NULL) out and tells everybody, with `p` (may be NULL) as the one that came. */
static void change(struct hub *h, const struct topic *t, struct presence *old, const struct presence *p)
{
    json_t *joins = json_object(), *leaves = json_object();
    json_t *joined = json_array(), *left = json_array();

    if (old != NULL) {
        put_meta(leaves, old);
        json_array_append_new(left, entry_json(t->name, old));
        presence_destroy(&old);
    }
    if (p != NULL) {
        put_meta(joins, p);
        json_array_append_new(joined, entry_json(t->name, p));
    }
    tell_subscribers(h, t->name, joins, leaves);
    if (h->region->cluster != NULL)
        cluster_presence(h->region->cluster, joined, left);
    json_decref(joined);
    json_decref(left);
}

void presence_track(struct hub *h, struct channel *c, json_t *meta)
{
    struct presence *old = find_own(c), *p;
    char *ref = mem_printf("%s-%llu", h->region->run, (unsigned long long)++h->presence_count);

    p = add_entry(c->topic, c->key, ref, "", meta);
    p->channel = c;
    mem_free(ref);
    change(h, c->topic, old, p);
}

void presence_untrack(struct hub *h, struct channel *c)
{
    struct presence *old = find_own(c);

    if (old != NULL)
        change(h, c->topic, old, NULL);
}

/* ---- the cluster's side ---- */

json_t *presence_entries(const struct hub *h)
{
    json_t *all = json_array();
    size_t cursor = 0;
    void *value;

    while (map_next(h->topics, &cursor, NULL, NULL, &value)) {
        const struct topic *t = value;

        LIST_EACH (it, &t->presences) {
            const struct presence *p = LIST_ENTRY(it, struct presence, link);

            if (p->channel != NULL)
                json_array_append_new(all, entry_json(t->name, p));
        }
    }
    return all;
}

static struct presence *find_ref(const struct topic *t, const char *ref)
{
    LIST_EACH (it, &t->presences) {
        struct presence *p = LIST_ENTRY(it, struct presence, link);

        if (strcmp(p->ref, ref) == 0)
            return p;
    }
    return NULL;
}

static void apply_one(struct hub *h, const char *node, const json_t *entry, bool is_join)
{
    const char *name = json_string_value(json_object_get(entry, "topic"));
    const char *key = json_string_value(json_object_get(entry, "key"));
    const char *ref = json_string_value(json_object_get(entry, "ref"));
    struct topic *t = name == NULL ? NULL : hub_topic(h, name);
    struct presence *p;
    json_t *joins, *leaves;

    if (t == NULL || key == NULL || ref == NULL)
        return;
    p = find_ref(t, ref);
    if (is_join != (p == NULL)) { /* known already, or never heard of */
        hub_tidy(h, t);
        return;
    }
    joins = json_object();
    leaves = json_object();
    if (is_join) {
        put_meta(joins, add_entry(t, key, ref, node, json_object_get(entry, "meta")));
    } else {
        put_meta(leaves, p);
        presence_destroy(&p);
    }
    tell_subscribers(h, name, joins, leaves);
    hub_tidy(h, t);
}

void presence_apply(struct hub *h, const char *node, const json_t *joins, const json_t *leaves)
{
    for (size_t i = 0; i < json_array_size(joins); i++)
        apply_one(h, node, json_array_get(joins, i), true);
    for (size_t i = 0; i < json_array_size(leaves); i++)
        apply_one(h, node, json_array_get(leaves, i), false);
}

/* Collected first: telling subscribers must not meet a map or list that is being walked. */
void presence_drop_node(struct hub *h, const char *node)
{
    json_t *gone = json_array();
    size_t cursor = 0;
    void *value;

    while (map_next(h->topics, &cursor, NULL, NULL, &value)) {
        const struct topic *t = value;

        LIST_EACH (it, &t->presences) {
            const struct presence *p = LIST_ENTRY(it, struct presence, link);

            if (p->channel == NULL && strcmp(p->node, node) == 0)
                json_array_append_new(gone, entry_json(t->name, p));
        }
    }
    presence_apply(h, node, NULL, gone);
    json_decref(gone);
}
