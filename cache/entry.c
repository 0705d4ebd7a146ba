/* Stored answers. An entry is one object with its field and tag tables behind it, one block with all of its text, and
 * the body's block, which it shares with whoever made it. The hard part is which fields stay: what belonged to the
 * connection the answer came by, what is said anew each time, and what would give one client's cookie to another never
 * gets in, neither with the answer nor with a 304 that renews it. */
#include "cache/entry.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/http/date.h"
#include "gateway/http/text.h"

/* A slice of a block with much more room than its bytes would hold memory that nobody counts. */
#define BODY_SLACK_BYTES 256u
/* What malloc keeps beside each of an entry's three blocks. */
#define BLOCK_COST_BYTES (sizeof(struct block) + 16u)

static const char *const coding_texts[] = {"identity", "gzip", "br", "zstd", NULL};
_Static_assert(sizeof coding_texts / sizeof coding_texts[0] == CODING_COUNT, "a text for each coding");

/* RFC 9111 section 3.1 with RFC 9110 section 7.6.1; Content-Length, Age and the id of a request are said anew; a
 * Set-Cookie is for one client alone; tags are for caches. Names that begin with "proxy-" are left out as well. */
static const char *const not_stored[] = {
    "connection",   "keep-alive", "te",          "trailer",       "transfer-encoding", "upgrade",        "age",
    "x-request-id", "set-cookie", "set-cookie2", "surrogate-key", "cache-tag",         "content-length",
};

/* RFC 9111 section 3.2: what tells how the stored body is to be read stays as the body was stored. */
static const char *const not_updated[] = {"content-encoding", "content-range"};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct field_list {
    uint32_t count;
    struct http_field fields[HTTP_ROOM_FIELDS];
};

const char *cache_coding_text(enum cache_coding c)
{
    ASSERT((unsigned)c < CODING_COUNT);
    return coding_texts[c];
}

int64_t cache_life_whole_ms(const struct cache_life *l)
{
    int64_t after_ms = 0;
    const int64_t parts[] = {l->stale_ms, l->error_ms, l->down_ms, l->keep_ms};
    for (size_t i = 0; i < COUNT(parts); i++)
        after_ms = parts[i] > after_ms ? parts[i] : after_ms;
    return l->fresh_ms + after_ms;
}

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int cache_position_compare(const struct cache_position *a, const struct cache_position *b)
{
    int order = compare(a->ms, b->ms);
    if (order == 0)
        order = compare(a->seq, b->seq);
    return order != 0 ? order : compare(a->local, b->local);
}

/* ---- which fields stay ---- */

static bool is_proxy_field(struct http_view name)
{
    static const char proxy[] = "proxy-";
    return name.len >= strlen(proxy) && http_view_is_nocase((struct http_view){name.data, strlen(proxy)}, proxy);
}

static bool is_stored(const struct http_field *fields, uint32_t count, struct http_view name)
{
    return !http_view_is_any(name, not_stored, COUNT(not_stored)) && !is_proxy_field(name) &&
           !http_connection_names(fields, count, name);
}

static bool has_name(const struct field_list *l, struct http_view name)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (http_view_equal_nocase(l->fields[i].name, name))
            return true;
    }
    return false;
}

/* What of an answer is stored; of a 304 (`is_update`) what is taken over from it. */
static void pick(struct field_list *to, const struct http_field *fields, uint32_t count, uint16_t status,
                 bool is_update)
{
    to->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (status == 200 && http_view_is_nocase(fields[i].name, "accept-ranges"))
            continue; /* the cache's own word: serve.h; the others can stay as they were written */
        if (!is_stored(fields, count, fields[i].name) ||
            (is_update && http_view_is_any(fields[i].name, not_updated, COUNT(not_updated))))
            continue;
        to->fields[to->count++] = fields[i];
    }
}

/* ---- making one ---- */

/* Copies `v` to the end of the entry's texts. */
static struct http_view keep(struct cache_entry *e, struct http_view v)
{
    if (v.data == NULL)
        return v;
    char *to = (char *)e->texts.owner->data + e->texts.len;
    if (v.len > 0)
        memcpy(to, v.data, v.len);
    e->texts.len += v.len;
    return (struct http_view){.data = to, .len = v.len};
}

static size_t text_bytes(const struct cache_draft *d, const struct field_list *l)
{
    size_t bytes = d->key.len + d->host.len + d->path.len + d->query.len;
    for (uint32_t i = 0; i < l->count; i++)
        bytes += l->fields[i].name.len + 2 + l->fields[i].value.len + 2;
    for (uint32_t i = 0; i < d->tag_count; i++)
        bytes += d->tags[i].len;
    return bytes;
}

static struct http_view first_value(const struct cache_entry *e, const char *name)
{
    for (uint32_t i = 0; i < e->field_count; i++) {
        if (http_view_is_nocase(e->fields[i].name, name))
            return e->fields[i].value;
    }
    return (struct http_view){.data = NULL, .len = 0};
}

static uint32_t count_of(const struct cache_entry *e, const char *name)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < e->field_count; i++)
        count += http_view_is_nocase(e->fields[i].name, name) ? 1 : 0;
    return count;
}

/* entity-tag of RFC 9110 section 8.8.3. */
static bool is_etag(struct http_view v)
{
    if (v.len >= 2 && v.data[0] == 'W' && v.data[1] == '/') {
        v.data += 2;
        v.len -= 2;
    }
    if (v.len < 2 || v.data[0] != '"' || v.data[v.len - 1] != '"')
        return false;
    for (size_t i = 1; i < v.len - 1; i++) {
        if ((uint8_t)v.data[i] <= ' ' || v.data[i] == '"' || v.data[i] == 0x7f)
            return false;
    }
    return true;
}

static enum cache_coding coding_of(const struct cache_entry *e)
{
    const struct http_view v = first_value(e, "content-encoding");
    const uint32_t count = count_of(e, "content-encoding");
    if (count == 0 || (count == 1 && v.len == 0))
        return CODING_IDENTITY;
    if (count == 1 && http_view_is_nocase(v, "x-gzip")) /* RFC 9110 section 8.4.1.3 */
        return CODING_GZIP;
    for (unsigned c = 0; count == 1 && c < CODING_OTHER; c++) {
        if (http_view_is_nocase(v, coding_texts[c]))
            return (enum cache_coding)c;
    }
    return CODING_OTHER;
}

/* What the fields say, found once. A validator that is none of its kind, or that there are several of, is none. */
static void look_up(struct cache_entry *e)
{
    const struct http_view etag = first_value(e, "etag");
    if (count_of(e, "etag") == 1 && is_etag(etag))
        e->etag = etag;
    const struct http_view modified = first_value(e, "last-modified");
    const int64_t date_wall_ms = date_parse(first_value(e, "date"), 0);
    e->last_modified_wall_ms = -1;
    if (count_of(e, "last-modified") == 1) /* a year of two digits is told by when the answer was made */
        e->last_modified_wall_ms = date_parse(modified, date_wall_ms > 0 ? date_wall_ms : 0);
    if (e->last_modified_wall_ms >= 0)
        e->last_modified = modified;
    e->coding = coding_of(e);
}

static struct slice take_body(struct slice body)
{
    if (body.len == 0)
        return (struct slice){0};
    const size_t cap_bytes = body.owner != NULL ? body.owner->cap_bytes : 0;
    if (cap_bytes > body.len + body.len / 4 + BODY_SLACK_BYTES)
        return slice_copy(body.data, body.len);
    return slice_ref(body);
}

static size_t block_bytes(struct slice s)
{
    return s.owner != NULL ? BLOCK_COST_BYTES + s.owner->cap_bytes : 0;
}

/* Field by field as HTTP/1 writes them, so that most answers need no writing at all. */
static void keep_fields(struct cache_entry *e, const struct field_list *l)
{
    const size_t begin = e->texts.len;
    bool are_lines = true;
    for (uint32_t i = 0; i < l->count; i++) {
        e->fields[i].name = keep(e, l->fields[i].name);
        (void)keep(e, (struct http_view){": ", 2});
        e->fields[i].value = keep(e, l->fields[i].value);
        (void)keep(e, (struct http_view){"\r\n", 2});
        are_lines = are_lines && http_is_token(l->fields[i].name) && http_view_is_inline(l->fields[i].value);
    }
    if (are_lines)
        e->written = (struct http_view){(const char *)e->texts.data + begin, e->texts.len - begin};
}

static struct cache_entry *make(const struct cache_draft *d, const struct field_list *l)
{
    const size_t fields_bytes = l->count * sizeof(struct http_field);
    const size_t tags_bytes = d->tag_count * sizeof(struct http_view);
    const size_t object_bytes = sizeof(struct cache_entry) + fields_bytes + tags_bytes;
    struct cache_entry *e = mem_alloc(object_bytes);

    e->magic = CACHE_ENTRY_MAGIC;
    e->refs = 1;
    e->status = d->status;
    e->life = d->life;
    e->position = d->position;
    e->born_ms = d->born_ms;
    e->fields = (struct http_field *)(void *)(e + 1);
    e->tags = (struct http_view *)(void *)((char *)e->fields + fields_bytes);
    e->field_count = l->count;
    e->tag_count = d->tag_count;
    e->texts.owner = block_create(text_bytes(d, l));
    e->texts.data = e->texts.owner->data;
    e->key = keep(e, d->key);
    e->host = keep(e, d->host);
    e->path = keep(e, d->path);
    e->query = keep(e, d->query);
    keep_fields(e, l);
    for (uint32_t i = 0; i < d->tag_count; i++)
        e->tags[i] = keep(e, d->tags[i]);
    ASSERT(e->texts.len == e->texts.owner->cap_bytes);
    e->body = take_body(d->body);
    look_up(e);
    e->size_bytes = object_bytes + block_bytes(e->texts) + block_bytes(e->body);
    return e;
}

struct cache_entry *cache_entry_create(const struct cache_draft *d)
{
    struct field_list list;

    ASSERT(d->field_count <= HTTP_ROOM_FIELDS && d->tag_count <= CACHE_TAGS_MAX);
    ASSERT(d->key.len <= CACHE_KEY_BYTES_MAX);
    pick(&list, d->fields, d->field_count, d->status, false);
    return make(d, &list);
}

struct cache_entry *cache_entry_update(const struct cache_entry *old, const struct http_field *fields,
                                       uint32_t field_count, const struct cache_life *life,
                                       const struct cache_position *position, int64_t born_ms)
{
    struct field_list from, list = {.count = 0};

    CHECK_OBJ(old, CACHE_ENTRY_MAGIC);
    ASSERT(field_count <= HTTP_ROOM_FIELDS);
    pick(&from, fields, field_count, old->status, true);
    for (uint32_t i = 0; i < old->field_count; i++) {
        if (!has_name(&from, old->fields[i].name))
            list.fields[list.count++] = old->fields[i];
    }
    for (uint32_t i = 0; i < from.count && list.count < HTTP_ROOM_FIELDS; i++)
        list.fields[list.count++] = from.fields[i];

    struct cache_entry *e = make(
        &(struct cache_draft){
            .status = old->status,
            .tags = old->tags,
            .tag_count = old->tag_count,
            .key = old->key,
            .host = old->host,
            .path = old->path,
            .query = old->query,
            .life = *life,
            .position = *position,
            .born_ms = born_ms,
            .body = old->body,
        },
        &list);
    for (unsigned c = 0; c < CODING_COUNT; c++) {
        if (old->coded[c].data != NULL)
            e->coded[c] = slice_ref(old->coded[c]);
        e->is_coded_in_vain[c] = old->is_coded_in_vain[c];
    }
    return e;
}

/* ---- use ---- */

struct cache_entry *cache_entry_ref(struct cache_entry *e)
{
    CHECK_OBJ(e, CACHE_ENTRY_MAGIC);
    ASSERT(e->refs > 0 && e->refs < UINT32_MAX);
    e->refs++;
    return e;
}

void cache_entry_unref(struct cache_entry **ep)
{
    struct cache_entry *e = *ep;

    CHECK_OBJ(e, CACHE_ENTRY_MAGIC);
    ASSERT(e->refs > 0);
    if (--e->refs > 0) {
        *ep = NULL;
        return;
    }
    slice_release(&e->texts);
    slice_release(&e->body);
    for (unsigned c = 0; c < CODING_COUNT; c++)
        slice_release(&e->coded[c]);
    OBJ_FREE(ep, CACHE_ENTRY_MAGIC);
}

int64_t cache_entry_age_ms(const struct cache_entry *e, int64_t now_ms)
{
    CHECK_OBJ(e, CACHE_ENTRY_MAGIC);
    return now_ms > e->born_ms ? now_ms - e->born_ms : 0;
}
