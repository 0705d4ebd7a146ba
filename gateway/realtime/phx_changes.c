/* Nearly always the two arrays are the same bytes, and then nothing is parsed. Otherwise they are walked side by side.
 */
#include "gateway/realtime/phx_changes.h"

#include <string.h>

#include "base/json_edit.h"
#include "base/mem.h"
#include "gateway/realtime/phx_json.h"

#define PHX_IDS_MAGIC 0x7d3e91c4u

struct id_pair {
    uint64_t server, client;
};

struct phx_ids {
    uint32_t magic;
    uint32_t count;
    struct id_pair pairs[];
};

/* Numbers are whole and not negative, as everybody writes them. */
static bool read_id(struct json_text value, uint64_t *id)
{
    *id = 0;
    if (value.data == NULL || value.len == 0 || value.len > 19)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        *id = *id * 10 + (uint64_t)(value.data[i] - '0');
    }
    return true;
}

static bool is_nothing(struct json_text value)
{
    return value.data == NULL || (value.len == 4 && memcmp(value.data, "null", 4) == 0);
}

static bool same_string(struct json_text a, struct json_text b)
{
    struct json_string left, right;
    char room[512];
    if (is_nothing(a) || is_nothing(b))
        return is_nothing(a) && is_nothing(b);
    if (a.len == b.len && memcmp(a.data, b.data, a.len) == 0)
        return true;
    if (!json_to_string(a, &left) || !json_to_string(b, &right))
        return false;
    const size_t len = json_decode(left, room, sizeof room);
    return len <= sizeof room && json_string_is(right, room, len);
}

static bool same_change(struct json_text a, struct json_text b)
{
    static const char *const members[] = {"event", "schema", "table", "filter"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (!same_string(json_find(a, members[i]), json_find(b, members[i])))
            return false;
    return true;
}

static enum json_read next_change(struct json_walk *w, struct json_text *change)
{
    const enum json_read r = json_next(w);
    return r == JSON_OK ? json_skip(w->scan, change) : r;
}

/* Fills `pairs`; how many, -1 when the two are not about the same. */
static int pair_up(struct phx_text told, struct phx_text got, struct id_pair pairs[PHX_CHANGES_MAX])
{
    struct json_scan told_scan = json_scan_of(told.data, told.len, true);
    struct json_scan got_scan = json_scan_of(got.data, got.len, true);
    struct json_walk ours, theirs;
    struct json_text a, b;
    uint32_t count = 0;
    if (json_enter(&ours, &told_scan) != JSON_OK || json_enter(&theirs, &got_scan) != JSON_OK || ours.is_object ||
        theirs.is_object)
        return -1;
    for (;;) {
        const enum json_read left = next_change(&ours, &a), right = next_change(&theirs, &b);
        if (left == JSON_END && right == JSON_END)
            return (int)count;
        if (left != JSON_OK || right != JSON_OK || count == PHX_CHANGES_MAX || !same_change(a, b) ||
            !read_id(json_find(a, "id"), &pairs[count].client) || !read_id(json_find(b, "id"), &pairs[count].server))
            return -1;
        count++;
    }
}

enum phx_changes phx_changes_compare(struct phx_text told, struct phx_text got, struct phx_ids **ids)
{
    static const struct phx_text empty = {"[]", 2};
    struct id_pair pairs[PHX_CHANGES_MAX];
    *ids = NULL;
    if (phx_text_equal(told, got))
        return PHX_CHANGES_SAME;
    const int count = pair_up(told.len > 0 ? told : empty, got.len > 0 ? got : empty, pairs);
    if (count < 0)
        return PHX_CHANGES_DIFFER;
    bool is_same = true;
    for (int i = 0; i < count; i++)
        is_same = is_same && pairs[i].server == pairs[i].client;
    if (is_same)
        return PHX_CHANGES_SAME;
    struct phx_ids *made = mem_alloc(sizeof *made + (size_t)count * sizeof made->pairs[0]);
    made->magic = PHX_IDS_MAGIC;
    made->count = (uint32_t)count;
    memcpy(made->pairs, pairs, (size_t)count * sizeof pairs[0]);
    *ids = made;
    return PHX_CHANGES_RENUMBERED;
}

void phx_ids_destroy(struct phx_ids **ids)
{
    OBJ_FREE(ids, PHX_IDS_MAGIC);
}

/* The client may know one number of the server's under several of its own. */
static int put_ids(struct strbuf *list, struct json_text array, const struct phx_ids *ids)
{
    struct json_scan s = json_scan_of(array.data, array.len, true);
    struct json_walk w;
    struct json_text value;
    enum json_read r = json_enter(&w, &s);
    int count = 0;
    uint64_t id;
    strbuf_puts(list, "[");
    while (r == JSON_OK && (r = json_next(&w)) == JSON_OK && (r = json_skip(&s, &value)) == JSON_OK)
        for (uint32_t i = 0; read_id(value, &id) && i < ids->count; i++)
            if (ids->pairs[i].server == id) {
                strbuf_puts(list, count++ > 0 ? "," : "");
                strbuf_decimal(list, ids->pairs[i].client);
            }
    strbuf_puts(list, "]");
    return r == JSON_END && !list->failed ? count : -1;
}

int phx_ids_rewrite(struct strbuf *out, struct phx_text payload, const struct phx_ids *ids)
{
    const struct json_text json = phx_json(payload);
    CHECK_OBJ(ids, PHX_IDS_MAGIC);
    const struct json_text array = json_find(json, "ids");
    if (!json_text_is_array(array))
        return -1;
    struct strbuf list;
    strbuf_init(&list, (size_t)PHX_CHANGES_MAX * (DECIMAL_BYTES + 1) + 2);
    int count = put_ids(&list, array, ids);
    const struct json_edit edit = {"ids", {list.data, list.len}};
    if (count > 0 && !json_edit(out, json, &edit, 1))
        count = -1;
    strbuf_fini(&list);
    return count;
}
