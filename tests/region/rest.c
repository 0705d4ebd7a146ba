/* A request is at most two questions to the store: read and match, then put or drop what matched. */
#include "tests/region/rest.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/region/changes.h"
#include "tests/region/client.h"
#include "tests/region/condition.h"
#include "tests/region/region.h"
#include "tests/region/rows.h"

#define REQUEST_MAGIC 0x4e614e12u
#define VALUE_BYTES   512u

struct request {
    uint32_t magic;
    struct client *client; /* NULL: gone */
    struct region *region;
    char *table;
    json_t *change; /* PATCH: what to set */
    json_t *before; /* PATCH, DELETE: the rows as they were */
    bool is_delete;
};

static void request_end(struct request *q, int status, const json_t *rows)
{
    if (q->client != NULL) {
        q->client->request = NULL;
        if (rows == NULL)
            client_answer_json(q->client, 503, json_pack("{s:s}", "error", "no rows: store unreachable or full"));
        else
            client_answer_json(q->client, status, json_deep_copy(rows));
    }
    json_decref(q->change);
    json_decref(q->before);
    mem_free(q->table);
    OBJ_FREE(&q, REQUEST_MAGIC);
}

static bool row_matches(const struct head *h, const json_t *row)
{
    char name[128], value[VALUE_BYTES];
    size_t cursor = 0;

    while (head_query_next(h, &cursor, name, sizeof(name), value, sizeof(value)))
        if (!condition_holds(row, name, value))
            return false;
    return true;
}

static json_t *matching(const struct head *h, json_t *rows)
{
    json_t *out = json_array();

    for (size_t i = 0; i < json_array_size(rows); i++)
        if (row_matches(h, json_array_get(rows, i)))
            json_array_append(out, json_array_get(rows, i));
    return out;
}

static json_t *columns_of(json_t *row, const char *columns)
{
    json_t *out = json_object();

    while (*columns != '\0') {
        size_t len = strcspn(columns, ",");
        char *name = mem_strndup(columns, len);
        json_t *value = json_object_get(row, name);

        if (value != NULL)
            json_object_set(out, name, value);
        mem_free(name);
        columns += len + (columns[len] == ',');
    }
    return out;
}

/* order (by id, backwards), limit and select; takes `rows`. */
static json_t *shaped(const struct head *h, json_t *take_rows)
{
    char value[VALUE_BYTES];
    json_t *out = json_array();
    size_t count = json_array_size(take_rows), limit = count;
    bool is_backwards, is_all;

    is_backwards = head_query(h, "order", value, sizeof(value)) && strstr(value, ".desc") != NULL;
    if (head_query(h, "limit", value, sizeof(value)) && strtoull(value, NULL, 10) < limit)
        limit = (size_t)strtoull(value, NULL, 10);
    is_all = !head_query(h, "select", value, sizeof(value)) || strcmp(value, "*") == 0;
    for (size_t i = 0; i < limit; i++) {
        json_t *row = json_array_get(take_rows, is_backwards ? count - 1 - i : i);

        json_array_append_new(out, is_all ? json_incref(row) : columns_of(row, value));
    }
    json_decref(take_rows);
    return out;
}

static void on_stored(void *arg, json_t *rows)
{
    struct request *q = arg;

    CHECK_OBJ(q, REQUEST_MAGIC);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i), *before = json_array_get(q->before, i);

        changes_tell(q->region, q->table, q->is_delete ? NULL : row, before);
    }
    request_end(q, q->before == NULL ? 201 : 200, rows);
}

static void on_read(void *arg, json_t *rows)
{
    struct request *q = arg;
    json_t *found;

    CHECK_OBJ(q, REQUEST_MAGIC);
    if (rows == NULL || q->client == NULL) {
        request_end(q, 503, NULL);
        return;
    }
    found = matching(&q->client->head, rows);
    if (q->is_delete || q->change != NULL)
        q->before = json_deep_copy(found);
    if (q->is_delete) {
        rows_drop(q->region->rows, q->table, found, on_stored, q);
    } else if (q->change != NULL) {
        for (size_t i = 0; i < json_array_size(found); i++)
            json_object_update(json_array_get(found, i), q->change);
        rows_put(q->region->rows, q->table, found, on_stored, q);
    } else {
        found = shaped(&q->client->head, found);
        request_end(q, 200, found);
    }
    json_decref(found);
}

/* The body as an array of objects, or NULL; new reference. */
static json_t *body_rows(const struct client *c)
{
    json_t *body = c->in.data == NULL ? NULL : json_loadb(c->in.data, c->in.len, 0, NULL);
    json_t *rows = json_is_object(body) ? json_pack("[O]", body) : json_incref(body);
    bool is_good = json_is_array(rows);

    for (size_t i = 0; is_good && i < json_array_size(rows); i++)
        is_good = json_is_object(json_array_get(rows, i));
    json_decref(body);
    if (is_good)
        return rows;
    json_decref(rows);
    return NULL;
}

void rest_serve(struct client *c, const char *table)
{
    const char *method = c->head.method;
    bool has_body = strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0;
    json_t *rows = has_body ? body_rows(c) : NULL;
    struct request *q;

    CHECK_OBJ(c, CLIENT_MAGIC);
    if (has_body && rows == NULL) {
        client_answer_json(c, 400, json_pack("{s:s}", "error", "an object or an array of objects is expected"));
        return;
    }
    OBJ_NEW(q, REQUEST_MAGIC);
    q->client = c;
    q->region = c->region;
    q->table = mem_strdup(table);
    q->is_delete = strcmp(method, "DELETE") == 0;
    c->request = q;
    if (strcmp(method, "POST") == 0) {
        rows_put(c->region->rows, table, rows, on_stored, q);
    } else {
        if (has_body)
            q->change = json_incref(json_array_get(rows, 0));
        rows_read(c->region->rows, table, on_read, q);
    }
    json_decref(rows);
}

void rest_abandon(struct request **qp)
{
    CHECK_OBJ(*qp, REQUEST_MAGIC);
    (*qp)->client = NULL;
    *qp = NULL;
}
