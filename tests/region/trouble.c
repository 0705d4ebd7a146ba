#include "tests/region/trouble.h"

#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "tests/region/channel.h"
#include "tests/region/client.h"
#include "tests/region/hub.h"
#include "tests/region/region.h"
#include "tests/region/socket.h"

struct trouble {
    const char *name;
    const char *extension, *status, *message; /* of a "system" message; NULL: none */
    const char *event;                        /* pushed with the join's reference; NULL: none */
    bool is_end;                              /* the channel is gone from here */
    bool is_end_of_all;                       /* the WebSocket is closed with 1012 */
};

/* clang-format off */
static const struct trouble troubles[] = {
    {"close",      NULL,     NULL,    NULL,                                        "phx_close", true,  false},
    {"error",      NULL,     NULL,    NULL,                                        "phx_error", true,  false},
    {"lose",       NULL,     NULL,    NULL,                                        NULL,        true,  false},
    {"rate",       "system", "error", "Too many messages per second",              "phx_close", true,  false},
    {"presence",   "system", "error", "Client presence rate limit exceeded",       "phx_close", true,  false},
    {"expire",     "system", "error", "Token has expired 0 seconds ago",           "phx_close", true,  false},
    {"revoke",     "system", "error", "You no longer have permission to read from this Channel", "phx_close", true, false},
    {"changes",    "postgres_changes", "error", "Subscribing to PostgreSQL failed", NULL,       false, false},
    {"disconnect", "system", "ok",    "Server requested disconnect",               NULL,        true,  true},
};
/* clang-format on */

static void meet(void *arg, struct channel *c)
{
    const struct trouble *t = arg;

    if (t->message != NULL)
        channel_system(c, t->extension, t->status, t->message);
    if (t->event != NULL)
        socket_push(c->socket, c->join_ref, c->join_ref, c->topic->name, t->event, json_object());
    if (t->is_end)
        socket_drop(c->socket, c);
}

static size_t each(struct region *r, const char *topic, socket_channel_fn *fn, void *arg, bool is_end_of_all)
{
    size_t count = 0;

    LIST_EACH (it, &r->clients) {
        struct client *c = LIST_ENTRY(it, struct client, link);
        size_t met = c->socket == NULL ? 0 : socket_each(c->socket, topic, fn, arg);

        if (met > 0 && is_end_of_all)
            client_dismiss(c, 1012, "");
        count += met;
    }
    return count;
}

bool trouble_make(struct region *r, const char *name, const char *topic, size_t *count)
{
    CHECK_OBJ(r, REGION_MAGIC);
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        struct trouble t = troubles[i];

        if (strcmp(name, t.name) != 0)
            continue;
        *count = each(r, topic[0] == '\0' ? NULL : topic, meet, &t, t.is_end_of_all);
        return true;
    }
    return false;
}

static void list(void *arg, struct channel *c)
{
    json_array_append_new(arg, channel_json(c));
}

json_t *trouble_channels(struct region *r)
{
    json_t *all = json_array();

    CHECK_OBJ(r, REGION_MAGIC);
    each(r, NULL, list, all, false);
    return all;
}
