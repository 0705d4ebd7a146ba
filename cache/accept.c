/* Accept-Encoding. Of a coding that is named twice the first counts. */
#include "cache/accept.h"

#include <string.h>

#include "gateway/http/text.h"

#define WEIGHT_MAX 1000u
#define NOT_SAID   UINT16_MAX

/* qvalue (RFC 9110 section 12.4.2): 0 or 1 with up to three digits. -1: none. */
static int weight_of(struct http_view v)
{
    int weight = 0, unit = 100;
    if (v.len == 0 || v.len > 5 || (v.data[0] != '0' && v.data[0] != '1') || (v.len > 1 && v.data[1] != '.'))
        return -1;
    weight = v.data[0] == '1' ? (int)WEIGHT_MAX : 0;
    for (size_t i = 2; i < v.len; i++, unit /= 10) {
        if (!text_is_digit(v.data[i]))
            return -1;
        weight += (v.data[i] - '0') * unit;
    }
    return weight <= (int)WEIGHT_MAX ? weight : -1;
}

/* Cuts ";q=..." off an element; its weight, 1 without one, -1 when it is none. */
static int take_weight(struct http_view *element)
{
    const char *semicolon = memchr(element->data, ';', element->len);
    if (semicolon == NULL)
        return (int)WEIGHT_MAX;
    struct http_view q = {.data = semicolon + 1, .len = element->len - (size_t)(semicolon + 1 - element->data)};
    element->len = (size_t)(semicolon - element->data);
    *element = text_trim(*element);
    q = text_trim(q);
    if (q.len < 2 || text_lower(q.data[0]) != 'q' || q.data[1] != '=')
        return -1;
    q.data += 2;
    q.len -= 2;
    return weight_of(q);
}

/* CODING_OTHER: one that is unknown, or "*". */
static int coding_of(struct http_view name)
{
    if (http_view_is_nocase(name, "x-gzip"))
        return CODING_GZIP;
    int c = 0;
    while (c < CODING_OTHER && !http_view_is_nocase(name, cache_coding_text((enum cache_coding)c)))
        c++;
    return c;
}

struct saying {
    struct cache_accept named;
    uint16_t others; /* "*" */
};

static void take(struct saying *s, struct http_view element)
{
    const int weight = take_weight(&element);
    if (weight < 0)
        return;
    const int c = coding_of(element);
    uint16_t *to = c < CODING_OTHER ? &s->named.weight[c] : &s->others;
    if (c == CODING_OTHER && !http_view_is(element, "*"))
        return;
    if (*to == NOT_SAID)
        *to = (uint16_t)weight;
}

void cache_accept_of(struct cache_accept *out, const struct http_head *request)
{
    struct saying s = {.others = NOT_SAID};
    for (int c = 0; c < CODING_OTHER; c++)
        s.named.weight[c] = NOT_SAID;
    for (uint32_t i = 0; i < request->field_count; i++) {
        struct http_view list = request->fields[i].value, element;
        if (!http_view_is_nocase(request->fields[i].name, "accept-encoding"))
            continue;
        while (http_list_next(&list, &element))
            take(&s, element);
    }
    for (int c = 0; c < CODING_OTHER; c++) {
        const uint16_t unsaid = s.others != NOT_SAID ? s.others : c == CODING_IDENTITY ? 1 : 0;
        out->weight[c] = s.named.weight[c] != NOT_SAID ? s.named.weight[c] : unsaid;
    }
}
