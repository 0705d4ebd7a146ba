/* One table says what each directive is; the rest is taking lists apart. The hard part is what must not be believed: a
 * comma inside quotes parts nothing, but a quote that is never closed must not hide the no-store that follows it. */
#include "cache/control.h"

#include <stddef.h>
#include <string.h>

#include "gateway/http/text.h"

/* Section 1.2.2: what a number too great to be told stands for. */
#define DELTA_S_MAX (INT64_C(1) << 31)

enum kind {
    KIND_FLAG = 0, /* whatever its argument: no-cache="field" is taken for no-cache */
    KIND_LEAST,    /* a number; the least of several is the strictest */
    KIND_GREATEST,
    KIND_MAX_STALE /* a number or nothing */
};

/* clang-format off */
static const struct directive {
    const char *name;
    enum kind kind;
    size_t at;
} directives[] = {
    {"max-age",                KIND_LEAST,     offsetof(struct cache_control, max_age_s)},
    {"no-cache",               KIND_FLAG,      offsetof(struct cache_control, no_cache)},
    {"no-store",               KIND_FLAG,      offsetof(struct cache_control, no_store)},
    {"private",                KIND_FLAG,      offsetof(struct cache_control, is_private)},
    {"public",                 KIND_FLAG,      offsetof(struct cache_control, is_public)},
    {"s-maxage",               KIND_LEAST,     offsetof(struct cache_control, s_maxage_s)},
    {"must-revalidate",        KIND_FLAG,      offsetof(struct cache_control, must_revalidate)},
    {"proxy-revalidate",       KIND_FLAG,      offsetof(struct cache_control, proxy_revalidate)},
    {"stale-while-revalidate", KIND_LEAST,     offsetof(struct cache_control, stale_while_revalidate_s)},
    {"stale-if-error",         KIND_LEAST,     offsetof(struct cache_control, stale_if_error_s)},
    {"immutable",              KIND_FLAG,      offsetof(struct cache_control, is_immutable)},
    {"no-transform",           KIND_FLAG,      offsetof(struct cache_control, no_transform)},
    {"only-if-cached",         KIND_FLAG,      offsetof(struct cache_control, only_if_cached)},
    {"max-stale",              KIND_MAX_STALE, offsetof(struct cache_control, max_stale_s)},
    {"min-fresh",              KIND_GREATEST,  offsetof(struct cache_control, min_fresh_s)},
};
/* clang-format on */

/* How far the element at the beginning of `v` goes: to the next comma that is not in quotes. */
static size_t element_len(struct http_view v)
{
    size_t i = 0;
    while (i < v.len && v.data[i] != ',') {
        size_t skip = 1;
        if (v.data[i] == '"') {
            size_t end = i + 1;
            while (end < v.len && v.data[end] != '"')
                end += v.data[end] == '\\' && end + 1 < v.len ? 2 : 1;
            if (end < v.len)
                skip = end - i + 1;
        }
        i += skip;
    }
    return i;
}

/* Takes the next directive off a list; `value` has data NULL when there is no "=". */
static bool next_directive(struct http_view *list, struct http_view *name, struct http_view *value)
{
    while (list->len > 0) {
        const size_t len = element_len(*list);
        const struct http_view element = text_trim((struct http_view){.data = list->data, .len = len});
        const size_t skip = len < list->len ? len + 1 : len;
        list->data += skip;
        list->len -= skip;
        if (element.len == 0)
            continue;
        const char *equals = memchr(element.data, '=', element.len);
        *name = element;
        *value = (struct http_view){.data = NULL, .len = 0};
        if (equals != NULL) {
            name->len = (size_t)(equals - element.data);
            *value = (struct http_view){.data = equals + 1, .len = element.len - name->len - 1};
        }
        *name = text_trim(*name);
        return true;
    }
    return false;
}

/* Seconds, with or without quotes; -1: no such number. */
static int64_t number_of(struct http_view v)
{
    int64_t n = 0;
    if (v.len >= 2 && v.data[0] == '"' && v.data[v.len - 1] == '"') {
        v.data++;
        v.len -= 2;
    }
    for (size_t i = 0; i < v.len; i++) {
        if (!text_is_digit(v.data[i]))
            return -1;
        n = n * 10 + (v.data[i] - '0');
        n = n < DELTA_S_MAX ? n : DELTA_S_MAX;
    }
    return v.len > 0 ? n : -1;
}

static void take_number(int64_t *to, int64_t n, enum kind kind)
{
    if (n >= 0 && (*to < 0 || (kind == KIND_GREATEST ? n > *to : n < *to)))
        *to = n;
}

static void take(struct cache_control *c, const struct directive *d, struct http_view value, int64_t in_place_of_none)
{
    void *const to = (char *)c + d->at;
    const int64_t n = number_of(value);

    switch (d->kind) {
    case KIND_FLAG:
        *(bool *)to = true;
        break;
    case KIND_LEAST:
    case KIND_GREATEST:
        take_number(to, n >= 0 ? n : in_place_of_none, d->kind);
        break;
    case KIND_MAX_STALE:
        if (value.data != NULL && n < 0)
            break; /* neither any nor a number: nothing was asked for */
        take_number(to, n, KIND_LEAST);
        c->has_max_stale = true;
        break;
    }
}

static const struct directive *directive_of(struct http_view name)
{
    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
        if (http_view_is_nocase(name, directives[i].name))
            return &directives[i];
    }
    return NULL;
}

/* Whether there was a Cache-Control at all. */
static bool read_fields(const struct http_field *fields, uint32_t field_count, int64_t in_place_of_none,
                        struct cache_control *out)
{
    bool is_there = false;
    *out = (struct cache_control){.max_age_s = -1,
                                  .s_maxage_s = -1,
                                  .max_stale_s = -1,
                                  .min_fresh_s = -1,
                                  .stale_while_revalidate_s = -1,
                                  .stale_if_error_s = -1};
    for (uint32_t i = 0; i < field_count; i++) {
        if (!http_view_is_nocase(fields[i].name, "cache-control"))
            continue;
        struct http_view list = fields[i].value, name, value;
        is_there = true;
        while (next_directive(&list, &name, &value)) {
            const struct directive *d = directive_of(name);
            if (d != NULL)
                take(out, d, value, in_place_of_none);
        }
    }
    return is_there;
}

void cache_control_of_request(const struct http_head *h, struct cache_control *out)
{
    if (!read_fields(h->fields, h->field_count, -1, out) && http_has_token(h, "pragma", "no-cache"))
        out->no_cache = true;
}

void cache_control_of_answer(const struct http_field *fields, uint32_t field_count, struct cache_control *out)
{
    (void)read_fields(fields, field_count, 0, out);
}
