/* Most unknown keys are one slip away from a known one, or a known one in the wrong place; the rest of the time the
 * list of what exists is the best answer. */
#include "conf/suggest.h"

#include <string.h>

#include "base/buf.h"
#include "conf/value.h"

#define LIST_BYTES 380u
#define PART_BYTES 64u

/* The part of a row's key that stands at this level: "circuit" of "circuit.open" below "", "open" below "circuit.".
 * NULL when the row is not below the prefix. */
static const char *part_of(const struct schema_row *row, const char *prefix, char out[PART_BYTES])
{
    size_t skip = strlen(prefix);
    if (strncmp(row->key, prefix, skip) != 0)
        return NULL;
    size_t len = strcspn(row->key + skip, ".");
    if (len >= PART_BYTES)
        return NULL;
    memcpy(out, row->key + skip, len);
    out[len] = '\0';
    return out;
}

const char *suggest_keys(struct arena *a, enum schema_section section, const char *prefix)
{
    size_t count = 0;
    const struct schema_row *rows = schema_section_rows(section, &count);
    struct strbuf text;
    char last[PART_BYTES] = "", part[PART_BYTES];
    strbuf_init(&text, LIST_BYTES);
    for (size_t i = 0; i < count; i++) {
        if (part_of(&rows[i], prefix, part) == NULL || strcmp(part, last) == 0)
            continue;
        strbuf_printf(&text, "%s%s", text.len > 0 ? ", " : "", part);
        memcpy(last, part, sizeof last);
    }
    const char *copy = arena_strndup(a, text.len > 0 ? text.data : "", text.len);
    strbuf_fini(&text);
    return copy;
}

static const char *nearest(struct arena *a, enum schema_section section, const char *prefix, const char *key)
{
    size_t count = 0, len = strlen(key);
    const struct schema_row *rows = schema_section_rows(section, &count);
    size_t best = (len <= 2 ? 0 : len <= 4 ? 1 : len <= 7 ? 2 : 3) + 1;
    char part[PART_BYTES], found[PART_BYTES] = "";
    for (size_t i = 0; i < count; i++) {
        if (part_of(&rows[i], prefix, part) == NULL)
            continue;
        size_t distance = value_distance(key, part, best - 1);
        if (distance < best) {
            best = distance;
            memcpy(found, part, sizeof found);
        }
    }
    return found[0] != '\0' ? arena_strdup(a, found) : NULL;
}

/* The key with its dots when it exists deeper in this section or in one that is part of it. */
static const char *elsewhere(struct arena *a, enum schema_section section, const char *prefix, const char *key)
{
    size_t count = 0;
    const struct schema_row *rows = schema_section_rows(section, &count);
    for (size_t i = 0; i < count; i++) {
        const char *dot = strrchr(rows[i].key, '.');
        if (dot != NULL && strcmp(dot + 1, key) == 0 && strncmp(rows[i].key, prefix, strlen(prefix)) == 0)
            return rows[i].key;
        if (prefix[0] != '\0' && strcmp(rows[i].key, key) == 0)
            return key;
        if (rows[i].kind != KIND_INLINE || prefix[0] != '\0')
            continue;
        size_t inner_count = 0;
        const struct schema_row *inner = schema_section_rows(rows[i].of, &inner_count);
        for (size_t j = 0; j < inner_count; j++)
            if (strcmp(inner[j].key, key) == 0)
                return arena_printf(a, "%s.%s", rows[i].key, key);
    }
    return NULL;
}

const char *suggest_instead(struct arena *a, enum schema_section section, const char *prefix, const char *key)
{
    if (strcmp(key, "<<") == 0)
        return "expected the keys themselves (merge keys are not supported)";
    if (strchr(key, '.') != NULL)
        return "expected sections in each other instead of dots";
    const char *full = elsewhere(a, section, prefix, key);
    if (full != NULL)
        return arena_printf(a, "expected it as %s", full);
    const char *near = nearest(a, section, prefix, key);
    if (near != NULL)
        return arena_printf(a, "expected %s?", near);
    return arena_printf(a, "expected one of %s", suggest_keys(a, section, prefix));
}
