/* Collecting tags. All or nothing: an answer that is kept with some of its tags would outlive a purge by one of the
 * others. */
#include "cache/tags.h"

#include <string.h>

#include "gateway/http/text.h"

static bool is_known(const struct cache_tags *t, struct http_view tag)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->tags[i].len == tag.len && memcmp(t->tags[i].data, tag.data, tag.len) == 0)
            return true;
    }
    return false;
}

static bool is_good(struct http_view tag)
{
    for (size_t i = 0; i < tag.len; i++) {
        if ((uint8_t)tag.data[i] < ' ' || tag.data[i] == 0x7f)
            return false;
    }
    return tag.len <= CACHE_TAG_BYTES_MAX;
}

static bool add(struct cache_tags *t, struct http_view tag)
{
    if (!is_good(tag))
        return false;
    if (is_known(t, tag))
        return true;
    if (t->count == CACHE_TAGS_MAX)
        return false;
    t->tags[t->count++] = tag;
    return true;
}

/* The next element of a list separated by white space. */
static bool word_next(struct http_view *list, struct http_view *word)
{
    size_t len = 0;

    *list = text_trim(*list);
    while (len < list->len && !text_is_space(list->data[len]))
        len++;
    *word = (struct http_view){list->data, len};
    list->data += len;
    list->len -= len;
    return len > 0;
}

typedef bool next_fn(struct http_view *list, struct http_view *element);

static bool add_all(struct cache_tags *t, const struct http_head *answer, const char *name, next_fn *next)
{
    for (uint32_t i = 0; i < answer->field_count; i++) {
        struct http_view list = answer->fields[i].value, tag;
        if (!http_view_is_nocase(answer->fields[i].name, name) || list.data == NULL)
            continue;
        while (next(&list, &tag)) {
            if (!add(t, tag))
                return false;
        }
    }
    return true;
}

bool cache_tags_collect(struct cache_tags *out, const struct conf_cache_route *r, const struct http_head *answer)
{
    out->count = 0;
    for (size_t i = 0; i < r->tag_count; i++) {
        if (!add(out, http_view_of(r->tags[i])))
            return false;
    }
    return add_all(out, answer, "surrogate-key", word_next) && add_all(out, answer, "cache-tag", http_list_next);
}
