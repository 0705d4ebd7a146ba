/* In Redis a table is a hash from id to the row's text, and ids come from a counter beside it; in memory the same two
 * things are an object and a number. */
#include "tests/region/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "tests/region/redis.h"
#include "tests/region/region.h"

#define ROWS_MAGIC  0x4e610f0fu
#define TABLE_MAGIC 0x4e617a10u
#define JOB_MAGIC   0x4e61b011u

struct table {
    uint32_t magic;
    json_t *rows; /* id as text -> row */
    int64_t last_id;
};

struct rows {
    uint32_t magic;
    struct redis *redis; /* NULL: memory */
    struct map *tables;  /* of memory */
};

/* One operation on its way through Redis. */
struct job {
    uint32_t magic;
    struct rows *store;
    char *table;
    json_t *rows; /* to be stored or dropped */
    rows_fn *fn;
    void *arg;
};

static const char *id_text(const json_t *row, char out[24])
{
    snprintf(out, 24, "%lld", (long long)json_integer_value(json_object_get(row, "id")));
    return out;
}

static int compare_ids(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "id"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "id"));

    return x < y ? -1 : x > y;
}

/* A new array in the order of the ids; takes `rows`. */
static json_t *sorted(json_t *take_rows)
{
    size_t count = json_array_size(take_rows);
    json_t **order = mem_alloc_array(count + 1, sizeof(*order));
    json_t *out = json_array();

    for (size_t i = 0; i < count; i++)
        order[i] = json_array_get(take_rows, i);
    qsort(order, count, sizeof(*order), compare_ids);
    for (size_t i = 0; i < count; i++)
        json_array_append(out, order[i]);
    mem_free(order);
    json_decref(take_rows);
    return out;
}

/* ---- memory ---- */

static struct table *find_table(struct rows *r, const char *name)
{
    struct table *t = map_get(r->tables, name, strlen(name));

    if (t != NULL || map_count(r->tables) == ROWS_TABLES_MAX)
        return t;
    OBJ_NEW(t, TABLE_MAGIC);
    t->rows = json_object();
    map_put(r->tables, name, strlen(name), t);
    return t;
}

static void memory_read(struct rows *r, const char *name, rows_fn *fn, void *arg)
{
    struct table *t = find_table(r, name);
    json_t *all = json_array(), *row;
    const char *id;

    if (t != NULL)
        json_object_foreach(t->rows, id, row) json_array_append_new(all, json_deep_copy(row));
    all = sorted(all);
    fn(arg, all);
    json_decref(all);
}

static void memory_put(struct rows *r, const char *name, json_t *rows, rows_fn *fn, void *arg)
{
    struct table *t = find_table(r, name);
    char id[24];

    if (t == NULL || json_object_size(t->rows) + json_array_size(rows) > ROWS_PER_TABLE_MAX) {
        fn(arg, NULL);
        return;
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);

        if (!json_is_integer(json_object_get(row, "id")))
            json_object_set_new(row, "id", json_integer(++t->last_id));
        else if (json_integer_value(json_object_get(row, "id")) > t->last_id)
            t->last_id = json_integer_value(json_object_get(row, "id"));
        json_object_set_new(t->rows, id_text(row, id), json_deep_copy(row));
    }
    fn(arg, rows);
}

static void memory_drop(struct rows *r, const char *name, json_t *rows, rows_fn *fn, void *arg)
{
    struct table *t = find_table(r, name);
    char id[24];

    for (size_t i = 0; t != NULL && i < json_array_size(rows); i++)
        json_object_del(t->rows, id_text(json_array_get(rows, i), id));
    fn(arg, rows);
}

/* ---- Redis ---- */

static struct job *job_create(struct rows *r, const char *table, json_t *rows, rows_fn *fn, void *arg)
{
    struct job *j;

    OBJ_NEW(j, JOB_MAGIC);
    j->store = r;
    j->table = mem_strdup(table);
    j->rows = json_incref(rows);
    j->fn = fn;
    j->arg = arg;
    return j;
}

static void job_end(struct job *j, json_t *rows)
{
    j->fn(j->arg, rows);
    json_decref(j->rows);
    mem_free(j->table);
    OBJ_FREE(&j, JOB_MAGIC);
}

/* Runs `verb key arguments...` where the arguments come from each row: its id and, `with_text`, the row itself. */
static void command_of_rows(struct job *j, const char *verb, bool with_text, redis_answer_fn *fn)
{
    size_t per_row = with_text ? 2 : 1, count = json_array_size(j->rows), argc = 2 + per_row * count;
    char **text = mem_alloc_array(argc, sizeof(*text));
    size_t *len = mem_alloc_array(argc, sizeof(*len));
    const char **argv = mem_alloc_array(argc, sizeof(*argv));
    char id[24];

    text[0] = mem_strdup(verb);
    text[1] = mem_printf("region:rows:%s", j->table);
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_array_get(j->rows, i);

        text[2 + per_row * i] = mem_strdup(id_text(row, id));
        if (with_text)
            text[3 + per_row * i] = json_dumps(row, JSON_COMPACT);
    }
    for (size_t i = 0; i < argc; i++) {
        argv[i] = text[i];
        len[i] = strlen(text[i]);
    }
    redis_command(j->store->redis, fn, j, argc, argv, len);
    for (size_t i = 0; i < argc; i++)
        mem_free(text[i]);
    mem_free(text);
    mem_free(len);
    mem_free(argv);
}

static void on_changed(void *arg, const struct redis_answer *a)
{
    struct job *j = arg;

    CHECK_OBJ(j, JOB_MAGIC);
    job_end(j, a->is_error ? NULL : j->rows);
}

static void on_read(void *arg, const struct redis_answer *a)
{
    struct job *j = arg;
    json_t *all = json_array();

    CHECK_OBJ(j, JOB_MAGIC);
    for (size_t i = 0; i < a->count; i++) {
        json_t *row = a->text[i] == NULL ? NULL : json_loadb(a->text[i], a->len[i], 0, NULL);

        if (row != NULL)
            json_array_append_new(all, row);
    }
    all = sorted(all);
    job_end(j, a->is_error ? NULL : all);
    json_decref(all);
}

/* The counter has moved by as many as there are rows; those that brought an id waste one. */
static void on_ids(void *arg, const struct redis_answer *a)
{
    struct job *j = arg;
    long long last;

    CHECK_OBJ(j, JOB_MAGIC);
    if (a->is_error || a->count != 1 || a->text[0] == NULL) {
        job_end(j, NULL);
        return;
    }
    last = strtoll(a->text[0], NULL, 10);
    for (size_t i = 0; i < json_array_size(j->rows); i++) {
        json_t *row = json_array_get(j->rows, i);

        if (!json_is_integer(json_object_get(row, "id")))
            json_object_set_new(row, "id",
                                json_integer(last - (json_int_t)json_array_size(j->rows) + (json_int_t)i + 1));
    }
    command_of_rows(j, "HSET", true, on_changed);
}

static void redis_put(struct rows *r, const char *table, json_t *rows, rows_fn *fn, void *arg)
{
    struct job *j = job_create(r, table, rows, fn, arg);
    char *key = mem_printf("region:ids:%s", table);
    char *count = mem_printf("%zu", json_array_size(rows));
    const char *argv[3] = {"INCRBY", key, count};
    const size_t len[3] = {6, strlen(key), strlen(count)};

    redis_command(r->redis, on_ids, j, 3, argv, len);
    mem_free(key);
    mem_free(count);
}

/* ---- both ---- */

void rows_read(struct rows *r, const char *table, rows_fn *fn, void *arg)
{
    json_t *none;

    CHECK_OBJ(r, ROWS_MAGIC);
    if (r->redis == NULL) {
        memory_read(r, table, fn, arg);
        return;
    }
    none = json_array();
    command_of_rows(job_create(r, table, none, fn, arg), "HVALS", false, on_read);
    json_decref(none);
}

void rows_put(struct rows *r, const char *table, json_t *rows, rows_fn *fn, void *arg)
{
    CHECK_OBJ(r, ROWS_MAGIC);
    if (json_array_size(rows) == 0)
        fn(arg, rows);
    else if (r->redis == NULL)
        memory_put(r, table, rows, fn, arg);
    else
        redis_put(r, table, rows, fn, arg);
}

void rows_drop(struct rows *r, const char *table, json_t *rows, rows_fn *fn, void *arg)
{
    CHECK_OBJ(r, ROWS_MAGIC);
    if (json_array_size(rows) == 0)
        fn(arg, rows);
    else if (r->redis == NULL)
        memory_drop(r, table, rows, fn, arg);
    else
        command_of_rows(job_create(r, table, rows, fn, arg), "HDEL", false, on_changed);
}

struct rows *rows_create(struct region *region, const char *redis_url)
{
    struct rows *r;

    CHECK_OBJ(region, REGION_MAGIC);
    OBJ_NEW(r, ROWS_MAGIC);
    r->tables = map_create();
    if (redis_url != NULL) {
        r->redis = redis_create(region->loop, redis_url, NULL, NULL);
        if (r->redis == NULL)
            rows_destroy(&r);
    }
    return r;
}

void rows_destroy(struct rows **rp)
{
    struct rows *r = *rp;
    size_t cursor = 0;
    void *value;

    CHECK_OBJ(r, ROWS_MAGIC);
    if (r->redis != NULL)
        redis_destroy(&r->redis);
    while (map_next(r->tables, &cursor, NULL, NULL, &value)) {
        struct table *t = value;

        json_decref(t->rows);
        OBJ_FREE(&t, TABLE_MAGIC);
    }
    map_destroy(&r->tables);
    OBJ_FREE(rp, ROWS_MAGIC);
}
