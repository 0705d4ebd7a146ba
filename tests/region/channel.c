/* Events are rows of a table: the name, on which kind of channel it means something, and who handles it. What stands in
 * no row is passed on to all by a stock channel and ignored by a Supabase one, as the originals do. */
#include "tests/region/channel.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/region/client.h"
#include "tests/region/presence.h"
#include "tests/region/region.h"
#include "tests/region/socket.h"

/* Flags may come as booleans or as their names. */
static bool flag(json_t *object, const char *name, bool otherwise)
{
    json_t *j = json_object_get(object, name);

    if (json_is_boolean(j))
        return json_is_true(j);
    if (json_is_string(j))
        return strcmp(json_string_value(j), "true") == 0;
    return otherwise;
}

static void read_config(struct channel *c, json_t *payload)
{
    json_t *config = json_object_get(payload, "config");
    json_t *broadcast = json_object_get(config, "broadcast");
    json_t *presence = json_object_get(config, "presence");
    const char *key = json_string_value(json_object_get(presence, "key"));
    struct hub *h = socket_region(c->socket)->hub;

    c->is_supabase = json_is_object(config);
    c->wants_self = !c->is_supabase || flag(broadcast, "self", false);
    c->wants_ack = !c->is_supabase || flag(broadcast, "ack", false);
    c->wants_presence = !c->is_supabase || flag(presence, "enabled", true);
    if (key == NULL)
        key = json_string_value(json_object_get(payload, "key"));
    if (key != NULL && key[0] != '\0')
        snprintf(c->key, sizeof(c->key), "%s", key);
    else
        snprintf(c->key, sizeof(c->key), "%s-%llu", h->region->run, (unsigned long long)++h->presence_count);
}

struct channel *channel_create(struct socket *s, const struct frame *join)
{
    struct topic *t = hub_topic(socket_region(s)->hub, join->topic);
    struct channel *c;

    if (t == NULL)
        return NULL;
    OBJ_NEW(c, CHANNEL_MAGIC);
    c->socket = s;
    c->topic = t;
    c->join_ref = json_incref(join->join_ref);
    /* vsn 1 clients of old have no join_ref; the ref of their join stands for it. */
    if (json_is_null(c->join_ref))
        c->join_ref = json_incref(join->ref);
    read_config(c, join->payload);
    list_init(&c->in_socket);
    list_init(&c->in_topic);
    list_append(&t->channels, &c->in_topic);
    return c;
}

void channel_destroy(struct channel **cp)
{
    struct channel *c = *cp;
    struct hub *h;

    CHECK_OBJ(c, CHANNEL_MAGIC);
    h = socket_region(c->socket)->hub;
    list_unlink(&c->in_topic);
    list_unlink(&c->in_socket);
    presence_untrack(h, c);
    hub_tidy(h, c->topic);
    json_decref(c->join_ref);
    OBJ_FREE(cp, CHANNEL_MAGIC);
}

enum wire_form channel_form(const struct channel *c)
{
    CHECK_OBJ(c, CHANNEL_MAGIC);
    if (socket_vsn(c->socket) == WIRE_V1)
        return WIRE_FORM_V1;
    return c->is_supabase ? WIRE_FORM_V2_USER : WIRE_FORM_V2;
}

json_t *channel_join_response(const struct channel *c, const struct frame *join)
{
    json_t *response = json_pack("{s:s}", "region", socket_region(c->socket)->name);

    (void)join;
    if (c->is_supabase)
        json_object_set_new(response, "postgres_changes", json_array());
    return response;
}

void channel_greet(struct channel *c)
{
    CHECK_OBJ(c, CHANNEL_MAGIC);
    if (c->wants_presence)
        socket_push(c->socket, c->join_ref, NULL, c->topic->name, "presence_state", presence_state(c->topic));
}

static void reply(struct channel *c, const struct frame *f, const char *status, json_t *take_response)
{
    socket_reply(c->socket, c->join_ref, f->ref, c->topic->name, status, take_response);
}

static void shout_json(struct channel *c, const char *event, const json_t *payload, const struct channel *except)
{
    char *text = json_dumps(payload, JSON_COMPACT | JSON_ENCODE_ANY);
    struct shout s = {.topic = c->topic->name, .event = event, .is_json = true, .bytes = text, .len = strlen(text)};

    hub_shout(socket_region(c->socket)->hub, &s, except);
    mem_free(text);
}

/* ---- events ---- */

static bool on_broadcast(struct channel *c, const struct frame *f)
{
    const struct channel *except = c->wants_self ? NULL : c;

    if (f->payload != NULL) {
        shout_json(c, "broadcast", f->payload, except);
    } else {
        struct shout s = {.topic = c->topic->name,
                          .event = f->user_event,
                          .is_user = true,
                          .is_json = f->user_is_json,
                          .bytes = f->user_bytes,
                          .len = f->user_len};

        hub_shout(socket_region(c->socket)->hub, &s, except);
    }
    if (c->wants_ack)
        reply(c, f, "ok", json_object());
    return false;
}

static bool on_track(struct channel *c, const struct frame *f)
{
    presence_track(socket_region(c->socket)->hub, c, f->payload);
    reply(c, f, "ok", json_object());
    return false;
}

static bool on_untrack(struct channel *c, const struct frame *f)
{
    presence_untrack(socket_region(c->socket)->hub, c);
    reply(c, f, "ok", json_object());
    return false;
}

static bool on_presence(struct channel *c, const struct frame *f)
{
    const char *what = json_string_value(json_object_get(f->payload, "event"));

    if (what != NULL && strcmp(what, "track") == 0)
        presence_track(socket_region(c->socket)->hub, c, json_object_get(f->payload, "payload"));
    else if (what != NULL && strcmp(what, "untrack") == 0)
        presence_untrack(socket_region(c->socket)->hub, c);
    reply(c, f, "ok", json_object());
    return false;
}

static bool on_whoami(struct channel *c, const struct frame *f)
{
    reply(c, f, "ok", json_pack("{s:s, s:s}", "region", socket_region(c->socket)->name, "key", c->key));
    return false;
}

static bool on_fail(struct channel *c, const struct frame *f)
{
    reply(c, f, "error", json_pack("{s:s}", "reason", "asked to fail"));
    return false;
}

static bool on_crash(struct channel *c, const struct frame *f)
{
    (void)f;
    socket_push(c->socket, c->join_ref, c->join_ref, c->topic->name, "phx_error", json_object());
    return true;
}

static bool on_ignored(struct channel *c, const struct frame *f)
{
    (void)c;
    (void)f;
    return false;
}

static const struct {
    const char *event;
    bool is_stock, is_supabase; /* on which kinds of channel */
    bool (*on)(struct channel *, const struct frame *);
} events[] = {
    {"broadcast", false, true, on_broadcast},
    {"presence", false, true, on_presence},
    {"access_token", true, true, on_ignored},
    {"track", true, false, on_track},
    {"untrack", true, false, on_untrack},
    {"whoami", true, true, on_whoami},
    {"fail", true, true, on_fail},
    {"crash", true, true, on_crash},
};

bool channel_take(struct channel *c, const struct frame *f)
{
    CHECK_OBJ(c, CHANNEL_MAGIC);
    if (f->user_event != NULL)
        return on_broadcast(c, f);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (strcmp(f->event, events[i].event) == 0 && (c->is_supabase ? events[i].is_supabase : events[i].is_stock))
            return events[i].on(c, f);
    if (c->is_supabase)
        return false;
    shout_json(c, f->event, f->payload, NULL);
    reply(c, f, "ok", json_object());
    return false;
}
