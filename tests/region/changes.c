/* The data of a change is written once, where it happened, and goes through the cluster as it is: every subscriber
 * anywhere gets the same bytes, with ids of its own in front. */
#include "tests/region/changes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"
#include "tests/region/channel.h"
#include "tests/region/client.h"
#include "tests/region/cluster.h"
#include "tests/region/condition.h"
#include "tests/region/hub.h"
#include "tests/region/region.h"
#include "tests/region/socket.h"

#define ID_COUNT         (1u << 27) /* of Erlang's phash2(), which the original uses */
#define BINDINGS_MAX     100u
#define CHANGE_MAX_BYTES (8u << 20)

/* FNV-1a over the sorted members: any hash will do that is the same everywhere. Never 0, which clients ignore. */
static json_int_t binding_id(const json_t *params)
{
    char *text = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
    uint32_t hash = 2166136261u;

    ASSERT(text != NULL);
    for (const char *c = text; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    mem_free(text);
    return (json_int_t)(hash % (ID_COUNT - 1) + 1);
}

json_t *changes_bindings(const json_t *config)
{
    const json_t *wanted = json_object_get(config, "postgres_changes");
    json_t *out = json_array();

    for (size_t i = 0; i < json_array_size(wanted) && i < BINDINGS_MAX; i++) {
        json_t *binding = json_copy(json_array_get(wanted, i));

        if (json_is_object(binding))
            json_object_set_new(binding, "id", json_integer(binding_id(json_array_get(wanted, i))));
        json_array_append_new(out, binding);
    }
    return out;
}

static const char *type_of(const json_t *value)
{
    if (json_is_boolean(value))
        return "bool";
    if (json_is_integer(value))
        return "int8";
    if (json_is_real(value))
        return "float8";
    return json_is_string(value) ? "text" : "jsonb";
}

static json_t *columns_of(const json_t *row)
{
    json_t *columns = json_array(), *value;
    const char *name;

    json_object_foreach((json_t *)row, name, value)
        json_array_append_new(columns, json_pack("{s:s, s:s}", "name", name, "type", type_of(value)));
    return columns;
}

static json_t *data_of(const struct region *r, const char *table, const json_t *row, const json_t *before)
{
    const char *type = before == NULL ? "INSERT" : row == NULL ? "DELETE" : "UPDATE";
    int64_t now_ms = loop_wall_ms(r->loop);
    time_t now_s = (time_t)(now_ms / 1000);
    char at[48], seconds[32];
    struct tm tm;
    json_t *data;

    gmtime_r(&now_s, &tm);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(at, sizeof(at), "%s.%03dZ", seconds, (int)(now_ms % 1000));
    data = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:n}", "type", type, "schema", "public", "table", table,
                     "commit_timestamp", at, "columns", columns_of(row == NULL ? before : row), "record",
                     row == NULL ? json_object() : json_deep_copy(row), "errors");
    if (before != NULL)
        json_object_set_new(data, "old_record", json_deep_copy(before));
    return data;
}

/* ---- who wants it ---- */

static bool names(const json_t *binding, const char *member, const json_t *data, const char *in_data)
{
    const char *wanted = json_string_value(json_object_get(binding, member));

    return wanted == NULL || strcmp(wanted, "*") == 0 ||
           strcasecmp(wanted, json_string_value(json_object_get(data, in_data))) == 0;
}

static bool is_wanted(const json_t *binding, const json_t *data)
{
    bool is_gone = json_object_size(json_object_get(data, "record")) == 0;
    const json_t *row = json_object_get(data, is_gone ? "old_record" : "record");

    return names(binding, "event", data, "type") && names(binding, "schema", data, "schema") &&
           names(binding, "table", data, "table") &&
           condition_text_holds(row, json_string_value(json_object_get(binding, "filter")));
}

static void tell_channel(const struct channel *c, const json_t *data, const char *text, size_t len)
{
    size_t count = 0;
    struct strbuf payload, out;

    strbuf_init(&payload, CHANGE_MAX_BYTES);
    strbuf_puts(&payload, "{\"ids\":[");
    for (size_t i = 0; i < json_array_size(c->bindings); i++) {
        const json_t *binding = json_array_get(c->bindings, i);

        if (!is_wanted(binding, data))
            continue;
        strbuf_printf(&payload, "%s%lld", count++ == 0 ? "" : ",",
                      (long long)json_integer_value(json_object_get(binding, "id")));
    }
    strbuf_puts(&payload, "],\"data\":");
    strbuf_add(&payload, text, len);
    strbuf_puts(&payload, "}");
    strbuf_init(&out, CHANGE_MAX_BYTES);
    if (count > 0 && !payload.failed)
        wire_write(&out, socket_vsn(c->socket), NULL, NULL, c->topic->name, "postgres_changes", payload.data,
                   payload.len);
    if (out.len > 0 && !out.failed)
        socket_send(c->socket, out.data, out.len, false);
    strbuf_fini(&out);
    strbuf_fini(&payload);
}

void changes_deliver(struct region *r, const char *text, size_t len)
{
    json_t *data;

    CHECK_OBJ(r, REGION_MAGIC);
    data = json_loadb(text, len, 0, NULL);
    if (json_is_string(json_object_get(data, "type")) && json_is_string(json_object_get(data, "schema")) &&
        json_is_string(json_object_get(data, "table"))) {
        LIST_EACH (it, &r->hub->watching)
            tell_channel(LIST_ENTRY(it, struct channel, in_watching), data, text, len);
    }
    json_decref(data);
}

void changes_tell(struct region *r, const char *table, const json_t *row, const json_t *before)
{
    json_t *data;
    char *text;

    CHECK_OBJ(r, REGION_MAGIC);
    data = data_of(r, table, row, before);
    text = json_dumps(data, JSON_COMPACT);
    ASSERT(text != NULL);
    changes_deliver(r, text, strlen(text));
    if (r->cluster != NULL)
        cluster_change(r->cluster, text, strlen(text));
    mem_free(text);
    json_decref(data);
}
