/* Anything as JSON, held against jansson; and beginnings of it, cut where the first byte says: a beginning is never
 * judged in a way that the rest takes back. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "base/assert.h"
#include "base/json_edit.h"
#include "base/json_hash.h"
#include "base/json_scan.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is JSON by its grammar, and more than jansson can hold. */
static bool is_beyond_trees(const json_error_t *e, const char *text, size_t len)
{
    switch (json_error_code(e)) {
    case json_error_numeric_overflow:
    case json_error_invalid_utf8:
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return true;
    default:
        return memmem(text, len, "\\u", 2) != NULL; /* halves of surrogate pairs */
    }
}

static void check_opinion(const char *text, size_t len)
{
    json_error_t error;
    json_t *tree = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    const bool is_value = json_is_value((struct json_text){text, len});
    if (tree != NULL) /* a NUL ends what jansson reads */
        ASSERT(is_value || len > JSON_DEPTH_MAX || memchr(text, '\0', len) != NULL);
    else if (is_value)
        ASSERT(is_beyond_trees(&error, text, len));
    json_decref(tree);
}

static void check_cut(const char *text, size_t len, size_t cut)
{
    struct json_scan all = json_scan_of(text, len, true), some = json_scan_of(text, cut, false);
    struct json_text value, early;
    const enum json_read r = json_skip(&all, &value), e = json_skip(&some, &early);
    ASSERT((r == JSON_OK || r == JSON_BAD) && e != JSON_END);
    if (e == JSON_OK)
        ASSERT(r == JSON_OK && early.data == value.data && early.len == value.len);
    if (e == JSON_BAD)
        ASSERT(r == JSON_BAD);
    if (r == JSON_OK && value.data + value.len > text + cut)
        ASSERT(e == JSON_MORE);
}

static void check_string(const char *text, size_t len)
{
    struct json_string string;
    char *room = mem_alloc(len + 1);
    if (json_to_string((struct json_text){text, len}, &string)) {
        const size_t decoded = json_decode(string, room, len);
        ASSERT(decoded <= string.len && json_string_is(string, room, decoded));
        ASSERT(string.has_escapes || decoded == string.len);
        ASSERT(decoded == 0 || json_decode(string, room, decoded - 1) == SIZE_MAX);
    }
    mem_free(room);
}

static void check_edit(const char *text, size_t len)
{
    static const struct json_edit edits[] = {{"a", {"[1]", 3}}, {"b.c", {NULL, 0}}, {"b.d.e", {"\"x\"", 3}}};
    const struct json_text before = {text, len};
    struct strbuf out;
    strbuf_init(&out, 2 * len + 64); /* an object on the way may be there many times */
    if (json_edit(&out, before, edits, 3)) {
        const struct json_text after = {out.data, out.len}, a = json_find(after, "a");
        ASSERT(!out.failed && json_is_value(before) && json_is_value(after));
        ASSERT(a.len == 3 && json_find(after, "b.c").data == NULL);
        ASSERT(!json_text_is_object(json_find(before, "b.d")) || json_text_is(json_find(after, "b.d.e"), "x"));
    } else {
        ASSERT(out.len == 0 && !(json_is_value(before) && json_text_is_object(before)));
    }
    strbuf_fini(&out);
}

/* A value is the same with blanks around it. */
static void check_hash(const char *text, size_t len)
{
    static const uint8_t key[16] = {1};
    struct strbuf out;
    const uint64_t hash = json_hash(key, (struct json_text){text, len});
    strbuf_init(&out, len + 2);
    strbuf_puts(&out, " ");
    strbuf_add(&out, text, len);
    strbuf_puts(&out, "\n");
    if (json_is_value((struct json_text){text, len}))
        ASSERT(json_hash(key, (struct json_text){out.data, out.len}) == hash);
    strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    const char *text = (const char *)data + 1;
    check_opinion(text, len - 1);
    check_cut(text, len - 1, data[0] % len);
    check_string(text, len - 1);
    check_edit(text, len - 1);
    check_hash(text, len - 1);
    return 0;
}
