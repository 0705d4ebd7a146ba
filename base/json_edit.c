/* Goes through the members once and copies those that stay, name and value together. It descends only where a path
 * leads, so the depth is that of the paths, which are the caller's, and not of the text, which is a peer's. */
#include "base/json_edit.h"

#include <string.h>

#include "base/assert.h"

/* What is left of each edit's path below the object that is copied; NULL: it leads elsewhere. */
struct paths {
    const char *rest[JSON_EDITS_MAX];
};

static bool is_last_name(const char *path)
{
    return strchr(path, '.') == NULL;
}

/* How the edits look from inside this member. True when one of them is about the member itself: it goes. */
static bool look_inside(const struct paths *here, size_t count, struct json_string name, struct paths *inside,
                        bool *leads_inside)
{
    bool goes = false;
    *leads_inside = false;
    for (size_t i = 0; i < count; i++) {
        const char *path = here->rest[i];
        inside->rest[i] = NULL;
        if (path == NULL)
            continue;
        const size_t len = strcspn(path, ".");
        if (!json_string_is(name, path, len))
            continue;
        if (path[len] == '\0') {
            goes = true;
        } else {
            inside->rest[i] = path + len + 1;
            *leads_inside = true;
        }
    }
    return goes;
}

static void begin_member(struct strbuf *out, bool *is_first)
{
    if (!*is_first)
        strbuf_puts(out, ",");
    *is_first = false;
}

static bool copy_object(struct strbuf *out, struct json_scan *s, const struct json_edit *edits, size_t count,
                        const struct paths *here)
{
    struct json_walk w;
    struct json_string name;
    bool is_first = true;
    enum json_read r = json_enter(&w, s);
    if (r != JSON_OK || !w.is_object)
        return false;
    strbuf_puts(out, "{");
    while ((r = json_next_member(&w, &name)) == JSON_OK) {
        struct json_text value;
        struct paths inside;
        bool leads_inside;
        struct json_scan ahead = *s; /* in front of the value */
        if (json_skip(s, &value) != JSON_OK)
            return false;
        if (look_inside(here, count, name, &inside, &leads_inside))
            continue;
        begin_member(out, &is_first);
        strbuf_add(out, name.data - 1, name.len + 2);
        strbuf_puts(out, ":");
        if (!leads_inside || !json_text_is_object(value))
            strbuf_add(out, value.data, value.len);
        else if (!copy_object(out, &ahead, edits, count, &inside))
            return false;
    }
    for (size_t i = 0; i < count && r == JSON_END; i++)
        if (here->rest[i] != NULL && is_last_name(here->rest[i]) && edits[i].value.data != NULL) {
            begin_member(out, &is_first);
            strbuf_json_string(out, here->rest[i], strlen(here->rest[i]));
            strbuf_puts(out, ":");
            strbuf_add(out, edits[i].value.data, edits[i].value.len);
        }
    strbuf_puts(out, "}");
    return r == JSON_END;
}

bool json_edit(struct strbuf *out, struct json_text object, const struct json_edit *edits, size_t count)
{
    const size_t begin = out->len;
    struct paths all = {{NULL}};
    struct json_scan s = json_scan_of(object.data, object.len, true);
    char after;

    ASSERT(count <= JSON_EDITS_MAX);
    for (size_t i = 0; i < count; i++) {
        ASSERT(edits[i].path[0] != '\0');
        all.rest[i] = edits[i].path;
    }
    if (copy_object(out, &s, edits, count, &all) && json_peek(&s, &after) != JSON_OK)
        return true;
    out->len = begin;
    if (out->data != NULL)
        out->data[begin] = '\0';
    return false;
}
