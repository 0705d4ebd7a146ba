/* Walks the schema's rows, not the file: what a row may rely on (a pool's check before its servers, pools before
 * routes) is there whatever the order in the file. The file is walked once per section to find who is who; that is
 * where unknown keys show. A value that does not pass is replaced by its default and counts as not given, so that one
 * mistake gives one message and the cross-field checks see only sound values. */
#include "conf/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "conf/suggest.h"
#include "conf/value.h"

#define EXPECTED_BYTES 400u
#define KEY_BYTES      64u

struct mark_key {
    const void *at;
    uintptr_t is_section; /* a section and its first member share an address */
};

/* One section being built. */
struct scope {
    enum schema_section section;
    const struct schema_row *rows;
    size_t row_count;
    const struct node *found[SCHEMA_SECTION_ROWS]; /* by row */
    const char *path;
    struct place at;
    char *base; /* the struct */
    bool with_defaults;
};

static void build_section(struct build *b, enum schema_section section, const struct node *map, struct place at,
                          const char *path, void *base, bool with_defaults);

/* ---- marks ---- */

static void put_mark(struct build *b, const void *at, bool is_section, struct mark mark)
{
    struct mark_key key = {.at = at, .is_section = is_section};
    struct mark *m = arena_alloc(b->scratch, 1, sizeof *m);
    *m = mark;
    (void)map_put(b->marks, &key, sizeof key, m);
}

static const struct mark *get_mark(const struct build *b, const void *at, bool is_section)
{
    struct mark_key key = {.at = at, .is_section = is_section};
    return map_get(b->marks, &key, sizeof key);
}

bool build_is_given(const struct build *b, const void *member)
{
    const struct mark *m = get_mark(b, member, false);
    return m != NULL && m->is_good;
}

bool build_is_broken(const struct build *b, const void *member)
{
    const struct mark *m = get_mark(b, member, false);
    return m != NULL && !m->is_good;
}

uint32_t build_line(const struct build *b, const void *section)
{
    const struct mark *m = get_mark(b, section, true);
    return m != NULL ? m->at.line : 0;
}

static const char *join(struct build *b, const char *path, const char *key)
{
    return arena_printf(b->scratch, "%s%s%s", path, path[0] != '\0' && key[0] != '\0' ? "." : "", key);
}

void build_complain(struct build *b, const void *section, const void *member, const char *key, const char *fmt, ...)
{
    CHECK_OBJ(b, BUILD_MAGIC);
    char what[EXPECTED_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    const struct mark *own = member != NULL ? get_mark(b, member, false) : NULL;
    const struct mark *around = get_mark(b, section, true);
    struct place at = own != NULL ? own->at : around != NULL ? around->at : (struct place){1, 1};
    complain(b->complaints, at, join(b, around != NULL ? around->path : "", key), "%s", what);
}

/* ---- who is who ---- */

static bool is_group(const struct scope *s, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < s->row_count; i++)
        if (strncmp(s->rows[i].key, key, len) == 0 && s->rows[i].key[len] == '.')
            return true;
    return false;
}

static const struct node **find_slot(struct scope *s, const char *key)
{
    for (size_t i = 0; i < s->row_count; i++)
        if (strcmp(s->rows[i].key, key) == 0)
            return &s->found[i];
    return NULL;
}

/* `prefix` is "" or a group with its dot. Groups nest once, by the schema. */
static void sort_out(struct build *b, struct scope *s, const struct node *map, const char *prefix)
{
    for (const struct node *n = map->first; n != NULL; n = n->next) {
        if (n->is_duplicate)
            continue;
        char key[KEY_BYTES];
        int len = snprintf(key, sizeof key - 1, "%s%s", prefix, n->key);
        bool fits = len > 0 && (size_t)len < sizeof key - 1 && strchr(n->key, '.') == NULL;
        const struct node **slot = fits ? find_slot(s, key) : NULL;
        if (slot != NULL) {
            *slot = n;
        } else if (fits && is_group(s, key)) {
            if (n->kind == NODE_MAP) {
                memcpy(key + len, ".", 2);
                sort_out(b, s, n, key);
            } else if (n->kind != NODE_NONE && !n->is_broken) {
                complain(b->complaints, n->at, join(b, s->path, key), "is not a section, expected one with %s",
                         suggest_keys(b->scratch, s->section, arena_printf(b->scratch, "%s.", key)));
            }
        } else if (complaints_want_more(b->complaints)) {
            const char *shown = arena_printf(b->scratch, "%s%s", prefix, complaint_show(b->complaints, n->key));
            complain(b->complaints, n->key_at, join(b, s->path, shown), "unknown key, %s",
                     suggest_instead(b->scratch, s->section, prefix, n->key));
        }
    }
}

/* ---- values ---- */

static const char *expected(struct build *b, const struct schema_row *row)
{
    struct strbuf text;
    strbuf_init(&text, EXPECTED_BYTES);
    kinds[row->kind].expect(&text, row, b->conf);
    const char *copy = arena_strndup(b->scratch, text.len > 0 ? text.data : "", text.len);
    strbuf_fini(&text);
    return copy;
}

static void *member_of(const struct scope *s, const struct schema_row *row)
{
    return s->base + row->offset;
}

static void put_default(struct build *b, const struct scope *s, const struct schema_row *row)
{
    if (!s->with_defaults)
        return;
    void *at = member_of(s, row);
    if (schema_is_file(row->kind)) {
        *(struct conf_file *)at = (struct conf_file){.path = ""};
    } else if (row->kind == KIND_URL || row->kind == KIND_ASKED_URL) {
        *(struct conf_url *)at = (struct conf_url){.text = "", .host = "", .authority = "", .path = ""};
    } else if (row->standard != NULL && row->standard[0] != '\0') {
        struct node node = {.kind = NODE_SCALAR, .text = row->standard, .written = row->standard};
        struct expansion as_it_is = {.arena = b->scratch, .dir = "", .is_off = true};
        struct kind_context k = b->kind;
        k.expansion = &as_it_is;
        const char *why = kinds[row->kind].read(&k, row, &node, at);
        ASSERT(why == NULL);
    } else if (row->size_bytes == sizeof(char *) &&
               ((row->kind >= KIND_NAME && row->kind <= KIND_ADDRESS) || row->kind == KIND_TEXT)) {
        *(const char **)at = "";
    }
}

/* How a message calls the value. What came from elsewhere may be a secret and is not shown, nor is a password. */
static const char *show_value(struct build *b, const struct node *n)
{
    if (n->file == NULL && strstr(n->written, "://") != NULL && strchr(n->written, '@') != NULL)
        return "the URL";
    const char *quoted = complaint_quote(b->complaints, n->written);
    if (n->file != NULL)
        return arena_printf(b->scratch, "the content of %s", quoted);
    if (n->text != n->written)
        return arena_printf(b->scratch, "%s, expanded,", quoted);
    return quoted;
}

static void complain_value(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n,
                           const char *why)
{
    const char *what = n->kind != NODE_SCALAR                     ? ""
                       : row->kind == KIND_TEXT && row->is_secret ? "the value"
                       : row->kind == KIND_REDIS_URL              ? "the URL"
                                                                  : show_value(b, n);
    complain(b->complaints, n->at, join(b, s->path, row->key), "%s%s%s, expected %s", what, what[0] ? " " : "", why,
             expected(b, row));
}

static void build_scalar(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n)
{
    struct mark mark = {.at = n->at, .path = s->path, .key = row->key};
    bool is_sealed_file = (schema_is_file(row->kind)) && n->kind == NODE_LIST && b->kind.expansion->is_off;
    put_default(b, s, row);
    put_mark(b, member_of(s, row), false, mark);
    if (n->is_broken)
        return;
    if (n->kind != NODE_SCALAR && !is_sealed_file) {
        complain_value(b, s, row, n,
                       n->kind == NODE_NONE  ? "has no value"
                       : n->kind == NODE_MAP ? "is a section"
                                             : "is a list");
        return;
    }
    mark.is_good = true;
    if (n->kind == NODE_SCALAR && n->text[0] == '\0' && row->standard != NULL && row->standard[0] == '\0') {
        if (!s->with_defaults) /* "" on top of an inherited value */
            *(const char **)member_of(s, row) = "";
        put_mark(b, member_of(s, row), false, mark);
        return;
    }
    b->kind.is_sentence = false;
    const char *why = kinds[row->kind].read(&b->kind, row, n, member_of(s, row));
    if (why == NULL)
        put_mark(b, member_of(s, row), false, mark);
    else if (b->kind.is_sentence)
        complain(b->complaints, n->at, join(b, s->path, row->key), "%s", why);
    else
        complain_value(b, s, row, n, why);
}

/* How many of a list's items will be built; complains about too few and too many. */
static size_t count_items(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n)
{
    enum node_kind want = row->kind == KIND_MAP ? NODE_MAP : NODE_LIST;
    if (n->kind == NODE_NONE && row->min == 0)
        return 0;
    if (n->kind != want) {
        complain_value(b, s, row, n,
                       n->kind == NODE_NONE   ? "is empty"
                       : n->kind == NODE_MAP  ? "is a section, not a list"
                       : n->kind == NODE_LIST ? "is a list, not named sections"
                                              : "is a single value");
        return 0;
    }
    if (n->child_count < (size_t)row->min)
        complain_value(b, s, row, n, "is empty");
    if (n->child_count <= (size_t)row->max)
        return n->child_count;
    complain_value(b, s, row, n, arena_printf(b->scratch, "has %zu items", n->child_count));
    return (size_t)row->max;
}

static void mark_list(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n,
                      bool is_good)
{
    put_mark(b, member_of(s, row), false,
             (struct mark){.at = n->at, .path = s->path, .key = row->key, .is_good = is_good});
}

/* A list of plain values. */
static void build_values(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n,
                         struct schema_array *array)
{
    const struct kind_list *list = &kind_lists[row->kind];
    size_t count = count_items(b, s, row, n);
    char *items = arena_alloc(b->kind.arena, count, list->item_bytes);
    *array = (struct schema_array){.items = items};
    for (const struct node *item = n->first; item != NULL && array->count < count; item = item->next) {
        if (item->is_broken)
            continue;
        const char *why = "is not a single value";
        if (item->kind == NODE_SCALAR)
            why = kinds[row->kind].read(&b->kind, row, item, items + array->count * list->item_bytes);
        if (why == NULL)
            put_mark(b, items + array->count++ * list->item_bytes, false,
                     (struct mark){.at = item->at, .path = s->path, .key = row->key, .is_good = true});
        else
            complain(b->complaints, item->at, join(b, s->path, row->key), "%s %s, expected %s",
                     item->kind == NODE_SCALAR ? show_value(b, item) : "this", why, list->item_expected);
    }
    mark_list(b, s, row, n, array->count == n->child_count);
}

static void build_words(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n,
                        uint32_t *bits)
{
    *bits = 0;
    mark_list(b, s, row, n, true);
    if (n->kind != NODE_LIST) {
        complain_value(b, s, row, n, "is not a list");
        return;
    }
    for (const struct node *item = n->first; item != NULL; item = item->next) {
        uint32_t value = 0;
        if (item->kind == NODE_SCALAR && kinds[KIND_WORD].read(&b->kind, row, item, &value) == NULL)
            *bits |= 1u << value;
        else if (!item->is_broken)
            complain(b->complaints, item->at, join(b, s->path, row->key), "%s is not known, expected %s",
                     item->kind == NODE_SCALAR ? show_value(b, item) : "this", expected(b, row));
    }
}

static void add_pair(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *name,
                     const struct node *value, struct schema_array *array)
{
    const char *path = arena_printf(b->scratch, "%s.%s", row->key, complaint_show(b->complaints, name->key));
    if (array->count == (size_t)row->max || value->is_broken)
        return;
    if (value->kind != NODE_SCALAR || value->text[0] == '\0' || name->key[0] == '\0') {
        complain(b->complaints, value->at, join(b, s->path, path), "is not a name with a value, expected one");
        return;
    }
    ((struct conf_pair *)array->items)[array->count++] = (struct conf_pair){
        .name = arena_strdup(b->kind.arena, name->key), .value = arena_strdup(b->kind.arena, value->text)};
}

static void build_pairs(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n,
                        struct schema_array *array)
{
    size_t count = 0;
    *array = (struct schema_array){0};
    mark_list(b, s, row, n, true);
    if (n->kind != NODE_MAP) {
        if (n->kind != NODE_NONE)
            complain_value(b, s, row, n, "does not give names");
        return;
    }
    for (const struct node *item = n->first; item != NULL; item = item->next)
        count += item->kind == NODE_LIST ? item->child_count : 1;
    if (count > (size_t)row->max)
        complain_value(b, s, row, n, arena_printf(b->scratch, "has %zu values", count));
    array->items = arena_alloc(b->kind.arena, count, sizeof(struct conf_pair));
    for (const struct node *item = n->first; item != NULL; item = item->next) {
        if (item->is_duplicate)
            continue;
        if (item->kind != NODE_LIST)
            add_pair(b, s, row, item, item, array);
        for (const struct node *v = item->first; item->kind == NODE_LIST && v != NULL; v = v->next)
            add_pair(b, s, row, item, v, array);
    }
}

static void build_item(struct build *b, const struct schema_row *row, const struct node *n, const char *path,
                       void *base)
{
    static const struct node nothing = {.kind = NODE_MAP};
    struct place at = n->key != NULL ? n->key_at : n->at;
    if (n->kind != NODE_MAP) {
        if (!n->is_broken)
            complain(b->complaints, n->at, path, "is not a section, expected one with %s",
                     suggest_keys(b->scratch, row->of, ""));
        b->complaints->is_muted = true; /* that its keys are missing goes without saying */
        build_section(b, row->of, &nothing, at, path, base, true);
        b->complaints->is_muted = false;
        return;
    }
    build_section(b, row->of, n, at, path, base, true);
}

static void build_items(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n,
                        struct schema_array *array)
{
    const struct schema_section_info *info = &schema_sections[row->of];
    size_t count = count_items(b, s, row, n);
    char *items = arena_alloc(b->kind.arena, count, info->size_bytes);
    size_t index = 0;
    *array = (struct schema_array){.items = items};
    mark_list(b, s, row, n, count > 0);
    for (const struct node *item = n->first; item != NULL && index < count; item = item->next) {
        if (item->is_duplicate)
            continue;
        char *base = items + array->count * info->size_bytes;
        const char *path = arena_printf(b->scratch, "%s[%zu]", join(b, s->path, row->key), index++);
        if (row->kind == KIND_MAP) {
            path = join(b, join(b, s->path, row->key), complaint_show(b->complaints, item->key));
            const char *why = value_name(item->key);
            if (why != NULL)
                complain(b->complaints, item->key_at, path,
                         "the name %s, expected letters, digits, \".\", \"_\" and \"-\", at most 60", why);
            *(const char **)(void *)(base + info->name_offset) = arena_strdup(b->kind.arena, item->key);
        }
        array->count++;
        build_item(b, row, item, path, base);
    }
}

static void build_inline(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n)
{
    static const struct node nothing = {.kind = NODE_MAP};
    bool is_section = n != NULL && n->kind == NODE_MAP;
    if (n != NULL && !is_section && n->kind != NODE_NONE && !n->is_broken)
        complain(b->complaints, n->at, join(b, s->path, row->key), "is not a section, expected one with %s",
                 suggest_keys(b->scratch, row->of, ""));
    void *base = member_of(s, row);
    if (row->inherits)
        memcpy(base, b->latest[row->of], row->size_bytes);
    else
        b->latest[row->of] = base;
    build_section(b, row->of, is_section ? n : &nothing, n != NULL ? n->at : s->at, join(b, s->path, row->key), base,
                  !row->inherits);
}

static void build_row(struct build *b, const struct scope *s, const struct schema_row *row, const struct node *n)
{
    if (row->kind == KIND_INLINE) {
        build_inline(b, s, row, n);
        return;
    }
    if (n == NULL && row->is_required)
        complain(b->complaints, s->at, join(b, s->path, row->key), "is missing, expected %s", expected(b, row));
    if (n == NULL)
        put_default(b, s, row);
    else if (kind_lists[row->kind].item_bytes > 0)
        build_values(b, s, row, n, member_of(s, row));
    else if (row->kind == KIND_WORDS)
        build_words(b, s, row, n, member_of(s, row));
    else if (row->kind == KIND_PAIRS)
        build_pairs(b, s, row, n, member_of(s, row));
    else if (row->kind == KIND_LIST || row->kind == KIND_MAP)
        build_items(b, s, row, n, member_of(s, row));
    else
        build_scalar(b, s, row, n);
}

static void build_section(struct build *b, enum schema_section section, const struct node *map, struct place at,
                          const char *path, void *base, bool with_defaults)
{
    struct scope s = {.section = section, .path = path, .at = at, .base = base, .with_defaults = with_defaults};
    s.rows = schema_section_rows(section, &s.row_count);
    ASSERT(s.row_count <= SCHEMA_SECTION_ROWS);
    put_mark(b, base, true, (struct mark){.at = at, .path = path, .key = ""});
    sort_out(b, &s, map, "");
    for (size_t i = 0; i < s.row_count; i++)
        build_row(b, &s, &s.rows[i], s.found[i]);
}

void build_missing(struct build *b, const void *section, enum schema_section of, const void *member, const char *key)
{
    CHECK_OBJ(b, BUILD_MAGIC);
    size_t count = 0;
    const struct schema_row *rows = schema_section_rows(of, &count);
    if (build_is_given(b, member) || build_is_broken(b, member))
        return;
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].key, key) == 0)
            build_complain(b, section, NULL, key, "is missing, expected %s", expected(b, &rows[i]));
}

void build_init(struct build *b, struct conf *conf, struct arena *arena, struct arena *scratch,
                struct complaints *complaints, struct expansion *expansion)
{
    *b = (struct build){
        .magic = BUILD_MAGIC, .scratch = scratch, .complaints = complaints, .conf = conf, .marks = map_create()};
    b->kind = (struct kind_context){.arena = arena, .complaints = complaints, .expansion = expansion, .conf = conf};
}

void build_fini(struct build *b)
{
    CHECK_OBJ(b, BUILD_MAGIC);
    map_destroy(&b->marks);
    b->magic = 0;
}

void build_run(struct build *b, const struct node *root)
{
    CHECK_OBJ(b, BUILD_MAGIC);
    if (root->kind != NODE_MAP)
        complain(b->complaints, root->at, "", "is not a section, expected keys such as listen, pools and routes");
    else
        build_section(b, SECTION_ROOT, root, root->at, "", b->conf, true);
}
