/* Events are rows of a table: the name, on which kind of channel it means something, and who handles it. What stands in
 * no row is passed on to all by a stock channel and ignored by a Supabase one, as the originals do. */
#include "tests/region/channel.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/region/admission.h"
#include "tests/region/changes.h"
#include "tests/region/client.h"
#include "tests/region/posts.h"
#include "tests/region/presence.h"
#include "tests/region/region.h"
#include "tests/region/socket.h"
#include "tests/region/token.h"

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
    c->is_private = flag(config, "private", false);
    c->bindings = changes_bindings(config);
    if (key == NULL)
        key = json_string_value(json_object_get(payload, "key"));
    if (key != NULL && key[0] != '\0')
        snprintf(c->key, sizeof(c->key), "%s", key);
    else
        snprintf(c->key, sizeof(c->key), "%s-%llu", h->region->run, (unsigned long long)++h->presence_count);
}

void channel_system(struct channel *c, const char *extension, const char *status, const char *message)
{
    const char *colon = strchr(c->topic->name, ':');

    CHECK_OBJ(c, CHANNEL_MAGIC);
    socket_push(c->socket, c->join_ref, NULL, c->topic->name, "system",
                json_pack("{s:s, s:s, s:s, s:s}", "extension", extension, "status", status, "message", message,
                          "channel", colon == NULL ? c->topic->name : colon + 1));
}

static void on_ready(void *arg)
{
    struct channel *c = arg;

    CHECK_OBJ(c, CHANNEL_MAGIC);
    list_unlink(&c->in_watching);
    list_append(&socket_region(c->socket)->hub->watching, &c->in_watching);
    channel_system(c, "postgres_changes", "ok", "Subscribed to PostgreSQL");
}

static void watch_changes(struct channel *c)
{
    if (json_array_size(c->bindings) > 0)
        timer_start(&c->ready, knobs_number(&socket_region(c->socket)->knobs, KNOB_READY_DELAY));
}

/* True when the token is over, and the channel with it. */
static bool has_expired(struct channel *c)
{
    int64_t expires_s;
    char text[128];

    if (c->token == NULL || !token_read(c->token, &expires_s) ||
        !admission_has_expired(socket_client(c->socket), expires_s, text, sizeof(text)))
        return false;
    channel_system(c, "system", "error", text);
    socket_push(c->socket, c->join_ref, c->join_ref, c->topic->name, "phx_close", json_object());
    return true;
}

static void on_expiry(void *arg)
{
    struct channel *c = arg;

    CHECK_OBJ(c, CHANNEL_MAGIC);
    if (has_expired(c))
        socket_drop(c->socket, c);
    else
        timer_start(&c->expiry, 1); /* the clocks differ by a little */
}

static void use_token(struct channel *c, const char *token)
{
    int64_t expires_s, left_ms;
    char *old = c->token;

    c->token = token == NULL ? NULL : mem_strdup(token);
    mem_free(old);
    timer_cancel(&c->expiry);
    if (token == NULL || !token_read(token, &expires_s) || expires_s == 0)
        return;
    left_ms = expires_s * 1000 - loop_wall_ms(socket_region(c->socket)->loop);
    left_ms += knobs_number(&socket_region(c->socket)->knobs, KNOB_EXPIRY_DELAY);
    timer_start(&c->expiry, left_ms > 0 ? left_ms : 0);
}

struct channel *channel_create(struct socket *s, const struct frame *join)
{
    struct topic *t = hub_topic(socket_region(s)->hub, join->topic);
    struct loop *loop = socket_region(s)->loop;
    struct channel *c;
    char room[2048];

    if (t == NULL)
        return NULL;
    OBJ_NEW(c, CHANNEL_MAGIC);
    timer_init(&c->ready, loop, on_ready, c);
    timer_init(&c->expiry, loop, on_expiry, c);
    list_init(&c->in_watching);
    c->socket = s;
    c->topic = t;
    c->join_ref = json_incref(join->join_ref);
    /* vsn 1 clients of old have no join_ref; the ref of their join stands for it. */
    if (json_is_null(c->join_ref))
        c->join_ref = json_incref(join->ref);
    read_config(c, join->payload);
    use_token(c, admission_token(socket_client(s), join->payload, room));
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
    list_unlink(&c->in_watching);
    timer_cancel(&c->ready);
    timer_cancel(&c->expiry);
    presence_untrack(h, c);
    hub_tidy(h, c->topic);
    json_decref(c->join_ref);
    json_decref(c->bindings);
    mem_free(c->token);
    OBJ_FREE(cp, CHANNEL_MAGIC);
}

enum wire_form channel_form(const struct channel *c)
{
    CHECK_OBJ(c, CHANNEL_MAGIC);
    if (socket_vsn(c->socket) == WIRE_V1)
        return WIRE_FORM_V1;
    return c->is_supabase ? WIRE_FORM_V2_USER : WIRE_FORM_V2;
}

json_t *channel_join_response(const struct channel *c)
{
    json_t *response = json_pack("{s:s}", "region", socket_region(c->socket)->name);

    if (c->is_supabase)
        json_object_set(response, "postgres_changes", c->bindings);
    return response;
}

void channel_greet(struct channel *c, const struct frame *join)
{
    json_t *meta = json_object_get(join->payload, "track");

    CHECK_OBJ(c, CHANNEL_MAGIC);
    if (c->wants_presence)
        socket_push(c->socket, c->join_ref, NULL, c->topic->name, "presence_state", presence_state(c->topic));
    if (!c->is_supabase && json_is_object(meta))
        presence_track(socket_region(c->socket)->hub, c, meta);
    posts_replay(socket_region(c->socket)->posts, c,
                 json_object_get(json_object_get(json_object_get(join->payload, "config"), "broadcast"), "replay"));
    watch_changes(c);
}

json_t *channel_json(const struct channel *c)
{
    CHECK_OBJ(c, CHANNEL_MAGIC);
    return json_pack("{s:s, s:O, s:s, s:b, s:O, s:b, s:s?}", "topic", c->topic->name, "join_ref", c->join_ref, "key",
                     c->key, "private", c->is_private, "changes", c->bindings, "ready", !list_is_empty(&c->in_watching),
                     "token", c->token);
}

static void reply(struct channel *c, const struct frame *f, const char *status, json_t *take_response)
{
    if (knobs_number(&socket_region(c->socket)->knobs, KNOB_HANG) == HANG_ACK)
        json_decref(take_response);
    else
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

/* Nothing, the same one, or a key that is no token: ignored. No answer in any case. */
static bool on_access_token(struct channel *c, const struct frame *f)
{
    const char *token = json_string_value(json_object_get(f->payload, "access_token"));

    if (token == NULL || strncmp(token, "sb_", 3) == 0 || (c->token != NULL && strcmp(token, c->token) == 0))
        return false;
    use_token(c, token);
    if (has_expired(c))
        return true;
    watch_changes(c);
    return false;
}

static const struct {
    const char *event;
    bool is_stock, is_supabase; /* on which kinds of channel */
    bool (*on)(struct channel *, const struct frame *);
} events[] = {
    {"broadcast", false, true, on_broadcast},
    {"presence", false, true, on_presence},
    {"access_token", true, true, on_access_token},
    {"track", true, false, on_track},
    {"untrack", true, false, on_untrack},
    {"whoami", true, true, on_whoami},
    {"fail", true, true, on_fail},
    {"crash", true, true, on_crash},
};

/* What the client calls its message: the event inside a broadcast, else the frame's. */
static const char *name_of(const struct frame *f)
{
    const char *inner = json_string_value(json_object_get(f->payload, "event"));

    return f->user_event != NULL                                 ? f->user_event
           : strcmp(f->event, "broadcast") == 0 && inner != NULL ? inner
                                                                 : f->event;
}

bool channel_take(struct channel *c, const struct frame *f)
{
    const char *poison;

    CHECK_OBJ(c, CHANNEL_MAGIC);
    poison = knobs_text(&socket_region(c->socket)->knobs, KNOB_STOP_AFTER_EVENT);
    if (poison[0] != '\0' && strcmp(poison, name_of(f)) == 0)
        kill(getpid(), SIGKILL);
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
