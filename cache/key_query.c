/* Queries as keys have them. The hard part is to leave the query alone: most are in order already, and then nothing is
 * copied; and when parameters do move, those of one name - as the origin decodes it - must stay in their order, because
 * the first or the last of them counts. What is dropped is dropped for the origin too, so it does not matter whether
 * the origin would have taken it apart in another way (";" as a separator). */
#include <string.h>

#include "cache/key_priv.h"
#include "gateway/http/target.h"

/* Order of two encoded names by what they say. */
static int compare_names(struct http_view a, struct http_view b)
{
    while (a.len > 0 && b.len > 0) {
        const int difference = target_query_unit(&a) - target_query_unit(&b);
        if (difference != 0)
            return difference;
    }
    return (a.len > 0) - (b.len > 0);
}

/* Whether an encoded name is meant by the rule: the name, or a beginning with "*" at its end. */
static bool is_meant(struct http_view encoded, const char *rule)
{
    for (;; rule++) {
        if (rule[0] == '*' && rule[1] == '\0')
            return true;
        if (encoded.len == 0 || *rule == '\0')
            return encoded.len == 0 && *rule == '\0';
        if (target_query_unit(&encoded) != (uint8_t)*rule)
            return false;
    }
}

static bool is_in(struct http_view encoded, const char *const *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_meant(encoded, rules[i]))
            return true;
    }
    return false;
}

static bool stays(const struct conf_cache_route *c, struct http_view name)
{
    return (c->keep_query_count == 0 || is_in(name, c->keep_query, c->keep_query_count)) &&
           !is_in(name, c->drop_query, c->drop_query_count);
}

/* Where a parameter of that name goes: behind those of the same name. */
static uint32_t place_of(const struct key_query *q, struct http_view name)
{
    uint32_t low = 0, high = q->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (compare_names(q->parameters[middle].name, name) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put(struct key_query *q, bool is_sorted, const struct key_parameter *p)
{
    uint32_t at = q->count;
    if (is_sorted && at > 0 && compare_names(q->parameters[at - 1].name, p->name) > 0) {
        at = place_of(q, p->name);
        memmove(&q->parameters[at + 1], &q->parameters[at], (q->count - at) * sizeof *p);
        q->is_changed = true;
    }
    q->parameters[at] = *p;
    q->len += p->text.len + (q->count > 0 ? 1 : 0);
    q->count++;
}

bool key_query_make(struct key_query *q, const struct conf_route *r, struct http_view query)
{
    const struct conf_cache_route *c = &r->cache;
    struct key_parameter p;
    struct http_view value, rest = query;

    q->as_is = query.len > 0 ? query : (struct http_view){NULL, 0};
    q->is_changed = false;
    q->len = query.len;
    q->count = 0;
    if (query.len > CACHE_KEY_BYTES_MAX)
        return false;
    if (query.len == 0 || (!c->sorts_query && c->keep_query_count == 0 && c->drop_query_count == 0))
        return true;
    q->len = 0;
    while (target_query_next(&rest, &p.name, &value)) {
        p.text = p.name;
        p.text.len = (size_t)(value.data + value.len - p.name.data);
        if (p.text.len == 0 || !stays(c, p.name))
            continue;
        if (q->count == CACHE_QUERY_PARAMETERS_MAX)
            return false;
        put(q, c->sorts_query, &p);
    }
    q->is_changed = q->is_changed || q->len != query.len;
    if (q->count == 0)
        q->as_is = (struct http_view){NULL, 0};
    return true;
}

void key_query_write(const struct key_query *q, char *to)
{
    if (!q->is_changed) {
        memcpy(to, q->as_is.data, q->len);
        return;
    }
    for (uint32_t i = 0; i < q->count; i++) {
        const struct http_view *text = &q->parameters[i].text;
        if (i > 0)
            *to++ = '&';
        memcpy(to, text->data, text->len);
        to += text->len;
    }
}

bool cache_key_query(struct http_view *out, struct http_texts *t, const struct conf_route *r, struct http_view query)
{
    struct key_query q;
    if (!key_query_make(&q, r, query))
        return false;
    *out = q.as_is;
    if (q.as_is.data == NULL || !q.is_changed)
        return true;
    char *room = http_texts_room(t, q.len);
    if (room == NULL)
        return false;
    key_query_write(&q, room);
    *out = (struct http_view){.data = room, .len = q.len};
    return true;
}
