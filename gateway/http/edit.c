/* Edits to fields. The names in braces are few and fixed, so finding them is a walk over the value; most values have
 * none and are used where they stand, in the configuration. */
#include "gateway/http/edit.h"

#include <string.h>

/* More pieces in one value stay as they are written. */
#define PIECES_MAX 32u

static const struct {
    const char *name;
    size_t offset; /* in struct edit_values */
} variables[] = {
    {"{client_ip}", offsetof(struct edit_values, client_ip)},   {"{host}", offsetof(struct edit_values, host)},
    {"{scheme}", offsetof(struct edit_values, scheme)},         {"{route}", offsetof(struct edit_values, route)},
    {"{request_id}", offsetof(struct edit_values, request_id)}, {"{trace_id}", offsetof(struct edit_values, trace_id)},
};

/* The value the text begins with the name of; *len: of the name. NULL when it begins with none. */
static const struct http_view *variable_at(const char *text, const struct edit_values *v, size_t *len)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        *len = strlen(variables[i].name);
        if (strncmp(text, variables[i].name, *len) == 0)
            return (const struct http_view *)(const void *)((const char *)v + variables[i].offset);
    }
    return NULL;
}

static struct http_view expand(struct http_texts *t, const char *text, const struct edit_values *v)
{
    struct http_view pieces[PIECES_MAX + 1];
    size_t count = 0;
    const char *plain = text; /* since the last variable */
    const char *brace = text;

    while (count + 2 <= PIECES_MAX && (brace = strchr(brace, '{')) != NULL) {
        size_t name_len = 0;
        const struct http_view *value = variable_at(brace, v, &name_len);
        if (value == NULL) {
            brace++;
            continue;
        }
        pieces[count++] = (struct http_view){.data = plain, .len = (size_t)(brace - plain)};
        pieces[count++] = *value;
        plain = brace += name_len;
    }
    if (count == 0)
        return http_view_of(text);
    pieces[count++] = http_view_of(plain);
    return http_texts_join(t, pieces, count);
}

/* Takes all fields of that name away but the first `keep_count`. */
static void take_away(struct http_head *h, struct http_view name, uint32_t keep_count)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (!http_view_equal_nocase(h->fields[i].name, name))
            h->fields[left++] = h->fields[i];
        else if (keep_count > 0) {
            keep_count--;
            h->fields[left++] = h->fields[i];
        }
    }
    h->field_count = left;
}

static struct http_field *find(struct http_head *h, struct http_view name)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (http_view_equal_nocase(h->fields[i].name, name))
            return &h->fields[i];
    }
    return NULL;
}

bool edit_apply(struct http_head *h, struct http_texts *t, const struct conf_edits *e, const struct edit_values *v)
{
    bool has_room = true;

    for (size_t i = 0; i < e->remove_count; i++)
        take_away(h, http_view_of(e->remove[i]), 0);
    for (size_t i = 0; i < e->set_count; i++) {
        const struct http_view name = http_view_of(e->set[i].name);
        const struct http_view value = expand(t, e->set[i].value, v);
        /* A name with several values: they stand in a row, the first of them replaces. */
        const bool is_further = i > 0 && strcmp(e->set[i].name, e->set[i - 1].name) == 0;
        struct http_field *there = is_further ? NULL : find(h, name);
        if (there != NULL) {
            there->value = value;
            take_away(h, name, 1);
        } else {
            has_room = http_head_add(h, name, value) && has_room;
        }
    }
    for (size_t i = 0; i < e->add_count; i++)
        has_room = http_head_add(h, http_view_of(e->add[i].name), expand(t, e->add[i].value, v)) && has_room;
    return has_room && !t->failed;
}
